"""Factors, prediction and reasons for a million people: copies of a small province whose cycle has been run.

python -m tests.measures.a_million_people --lake DIR --month YYYY-MM [--copies 50]

The lake must hold the feeds of six months and trained models (the demo's does, or `include.loop --train`). Its
people are copied under other ids into a temporary lake, so that nothing waits for a million rows of text
to be simulated and collected. Prints one JSON object a step: seconds by the wall and of the processor, rows a
second, and the most memory the process has held so far.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from include.commands import DEFAULT_CAMPAIGN
from include.config import Config, load_config
from include.domain.periods.months import default_as_of, shift
from include.lake import Lake
from include.models import store
from include.models.champions import Champion
from include.settings import ROOT
from include.stages import features, prediction
from include.stages.features import peers
from include.stages.features.rows import MonthRows
from tests.fixtures.runs import run_of

_HISTORY = ("usage_months", "service_events", "subscriber_changes", "churned")
_EXPLAINED = 10_000


@dataclass
class Step:
    """What one step took; `rows` is set by the step itself."""

    name: str
    rows: int = 0
    told: dict[str, Any] = field(default_factory=dict)


@contextmanager
def measured(name: str) -> Iterator[Step]:
    """Take the time of a step and say it on leaving."""
    step, wall, cpu = Step(name), time.monotonic(), time.process_time()
    yield step
    seconds, used = time.monotonic() - wall, time.process_time() - cpu
    step.told = {
        "step": name,
        "rows": step.rows,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "rows_a_second": round(step.rows / max(seconds, 0.01)),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **step.told,
    }
    print(json.dumps(step.told), flush=True)


def copied(source: Lake, target: Path, month: str, copies: int) -> Lake:
    """A lake with every subscriber of `source` so many times, in the shards so many people need."""
    people = source.manifest("subscribers", month).rows * copies
    lake = Lake.create(target, subscribers=people)
    wanted = [("subscribers", month)]
    wanted += [(feed, shift(month, -back)) for feed in _HISTORY for back in range(6)]
    for feed, period in wanted:
        if source.has(feed, period):
            _copy(source, lake, feed, period, copies)
    for period in source.months("market_events"):
        rows = source.scan("market_events", period).collect()
        part = lake.write_part("market_events", period, 0, rows, "copy")
        lake.publish("market_events", period, [part], fingerprint="copy")
    return lake


def _copy(source: Lake, lake: Lake, feed: str, period: str, copies: int) -> None:
    rows = source.scan(feed, period).collect()
    renamed = (pl.col("subscriber_id") + f"-{copy:03d}" for copy in range(copies))
    whole = pl.concat([rows.with_columns(name) for name in renamed])
    shard = lake.shard_of(whole["subscriber_id"])
    parts = [
        lake.write_part(feed, period, number, whole.filter(shard == number), "copy")
        for number in range(lake.shards)
    ]
    lake.publish(feed, period, parts, fingerprint="copy")


def champions_of(source: Lake, lake: Lake) -> dict[str, Champion]:
    """The newest model of each tenure cluster in `source`, copied into `lake`, by cluster."""
    found: dict[str, Champion] = {}
    for folder in sorted((Path(source.root) / "models").iterdir()):
        contents = tuple((folder / name).read_bytes() for name in store._FILES)
        card = json.loads(contents[-1])
        for name, content in zip(store._FILES, contents, strict=True):
            lake.write_file(f"models/{folder.name}/{name}", content)
        found[card["cluster"]] = {
            "version": folder.name,
            "kind": card["kind"],
            "sha256": store._sha256(contents),
        }
    return found


def measure(source: Lake, folder: Path, month: str, copies: int, config: Config) -> None:
    """Copy, compute the factors, score everybody, explain the ten thousand most likely to leave."""
    with measured("copy") as step:
        lake = copied(source, folder / "lake", month, copies)
        step.rows = lake.manifest("subscribers", month).rows
    with measured("factors") as step:
        step.rows, step.told["factors"] = build_factors(lake, config, month)
        step.told["shards"] = lake.shards
    chosen = champions_of(source, lake)
    with measured("prediction") as step:
        for shard in range(lake.shards):
            part = prediction.predict_shard(
                run_of(lake=lake, config=config, campaign=DEFAULT_CAMPAIGN, cycle=month, month=month),
                shard=shard,
                champions=chosen,
            )
            step.rows += part["rows"]
        step.told["kinds"] = {cluster: champion["kind"] for cluster, champion in chosen.items()}
    wanted = lake.scan("factors", month).select("subscriber_id").head(_EXPLAINED).collect()
    with measured("reasons") as step:
        found = prediction.reasons(
            lake=lake, month=month, champions=chosen, subscriber_ids=wanted["subscriber_id"].to_list()
        )
        step.rows = len(found)


def build_factors(lake: Lake, config: Config, month: str) -> tuple[int, int]:
    """Write and publish the factors of the month; people and factors."""
    plan = features.make_plan(lake, config, month, default_as_of(month))
    means = MonthRows(lake, config.factors, month, plan.factors).peer_means()
    if means.width:
        lake.publish(peers.TABLE, month, [lake.write_part(peers.TABLE, month, 0, means, "m")])
    parts = [
        lake.write_part(
            "factors",
            month,
            shard,
            MonthRows(lake, config.factors, month, plan.factors).of_shard(shard, means),
            "m",
        )
        for shard in range(lake.shards)
    ]
    lake.publish("factors", month, parts, fingerprint="m", facts={"factors": list(plan.factors)})
    return sum(part.rows for part in parts), len(plan.factors)


def main() -> int:
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.measures.a_million_people")
    parser.add_argument("--lake", required=True)
    parser.add_argument("--month", required=True)
    parser.add_argument("--copies", type=int, default=50)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-million-") as folder:
        config = load_config(ROOT / "include" / "config")
        measure(Lake(asked.lake), Path(folder), asked.month, asked.copies, config)
    return 0


if __name__ == "__main__":
    sys.exit(main())
