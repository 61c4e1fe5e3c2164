"""How often the loop tells the true reason: the truth of a simulated month beside the reasons of its warned.

python -m include.simulator.told_reasons --out DIR --lake DIR --month YYYY-MM
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from include import settings
from include.commands import DEFAULT_CAMPAIGN
from include.config import Config, load_config
from include.domain.errors import LoopError
from include.domain.periods.months import parse_month
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.models.reasons import evidence_for, grouped
from include.simulator.truth import read_truth
from include.stages import prediction

WARNED = ("high", "mid")
_Z = 1.96
_NONE = "none"


def agreement(
    out: Path, lake: Lake, config: Config, campaign: str, month: str, grades: Sequence[str]
) -> dict[str, Any]:
    """Share of people of `grades` with a single cause whose first reason is the true one, with its interval.

    `confusion` counts true reason → first cause told. NotReady when the month was not simulated or graded.
    """
    people = _people(out, lake, campaign, month, grades)
    champions = lake.manifest(scores_of(campaign), month).facts["champions"]
    ids = people["subscriber_id"].to_list()
    found = prediction.reasons(lake=lake, month=month, champions=champions, subscriber_ids=ids, top=None)
    rows = lake.scan("factors", month).filter(
        pl.col("subscriber_id").is_in(people["subscriber_id"].implode())
    )
    hits = dict(zip(ids, people["rule_hits"].to_list(), strict=True))
    signs = evidence_for(rows.collect(), hits, config)
    told = {one: grouped(found[one], config.factors, signs[one]) for one in ids}
    first = {one: told[one][0]["reason"] if told[one] else _NONE for one in ids}
    pairs = [(true, first[one]) for one, true in people.select("subscriber_id", "main_reason").iter_rows()]
    right = sum(true == said for true, said in pairs)
    low, high = interval(right, len(pairs))
    return {
        "month": month, "grades": list(grades), "people": len(pairs), "right": right,
        "share": round(right / max(len(pairs), 1), 4), "low": round(low, 4), "high": round(high, 4),
        "confusion": _confusion(pairs),
    }  # fmt: skip


def _people(out: Path, lake: Lake, campaign: str, month: str, grades: Sequence[str]) -> pl.DataFrame:
    truth = read_truth(out, month).filter(pl.col("has_single_cause") & ~pl.col("left"))
    graded = lake.scan(grades_of(campaign), month).filter(pl.col("grade").is_in(list(grades)))
    wanted = graded.select("subscriber_id", "rule_hits").collect()
    return wanted.join(truth.select("subscriber_id", "main_reason"), on="subscriber_id").sort("subscriber_id")


def interval(right: int, among: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not among:
        return 0.0, 1.0
    share, weight = right / among, _Z**2 / among
    middle = share + weight / 2
    spread = _Z * ((share * (1 - share) + weight / 4) / among) ** 0.5
    return (middle - spread) / (1 + weight), (middle + spread) / (1 + weight)


def _confusion(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for true, said in pairs:
        counts.setdefault(true, Counter())[said] += 1
    return {true: dict(said.most_common()) for true, said in sorted(counts.items())}


def _printed(facts: Mapping[str, Any]) -> str:
    rows = [f"{true}: {json.dumps(said)}" for true, said in facts["confusion"].items()]
    said = f"{facts['right']:,} of {facts['people']:,} = {facts['share']:.1%}"
    spread = f"95 % interval {facts['low']:.1%} to {facts['high']:.1%}"
    return "\n".join([f"{facts['month']}, {' and '.join(facts['grades'])}: {said} ({spread})", *rows])


def main(words: list[str] | None = None) -> int:
    """Print the share and what was told instead; exit status 1 with a sentence when it cannot be made."""
    parser = argparse.ArgumentParser(prog="python -m include.simulator.told_reasons")
    parser.add_argument("--out", type=Path, required=True, help="the simulator's --out")
    parser.add_argument("--lake", required=True, help="the lake the loop graded the month in")
    parser.add_argument("--month", required=True, help="YYYY-MM")
    parser.add_argument("--grade", action="append", choices=WARNED, help="by default all warned")
    asked = parser.parse_args(words)
    try:
        config = load_config(settings.config_folder())
        month, grades = parse_month(asked.month), asked.grade or WARNED
        lake = Lake(asked.lake)
        print(_printed(agreement(asked.out, lake, config, DEFAULT_CAMPAIGN, month, grades)))
    except LoopError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
