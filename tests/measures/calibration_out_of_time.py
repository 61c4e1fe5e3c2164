"""Whether probabilities mean what they say: a province scored in one month, and who of it left in the next.

python -m tests.measures.calibration_out_of_time [--subscribers 200000] [--months 9] [--seed 11]

The loop trains and scores the last month but one as it could have been on its own default as_of; the churn of
the last month, which nothing of it saw, is then laid beside the probabilities. Prints JSON: the expected
calibration error in ten and twenty bins of equal people, by cluster and model, and the bins themselves.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.commands import DEFAULT_CAMPAIGN
from include.domain.periods.months import default_as_of, shift
from include.lake.campaigns import scores_of
from include.local.postgres import Server
from include.models import quality
from include.settings import ROOT

LAST = "2026-10"
#: Day feeds are a thousand small deliveries; training and scores hardly need them.
_MISSING = ("contact_limits", "subscriber_changes", "market_events")


def measure(folder: Path, subscribers: int, months: int, seed: int) -> Iterator[dict[str, Any]]:
    """The loop's own lines of training and prediction, then the figures out of time."""
    size = ("--subscribers", str(subscribers), "--months", str(months), "--last-month", LAST)
    run("include.simulator", *size, "--seed", str(seed), "--missing", *_MISSING, "--out", str(folder / "out"))
    month, server = shift(LAST, -1), Server(folder / "postgres", fsync=False)
    server.start()
    try:
        where = ("--landing", str(folder / "out" / "landing"), "--lake", str(folder / "lake"))
        asked = (
            "--db",
            server.url("postgres"),
            "--month",
            month,
            "--as-of",
            default_as_of(month).isoformat(),
        )
        told = run("include.loop", *where, *asked, "--train", "--until", "prediction")
    finally:
        server.stop()
    for line in told.splitlines():
        stage = json.loads(line)
        if stage["stage"] in ("training", "prediction"):
            yield {
                name: stage[name]
                for name in ("stage", "kind", "months", "rows_in", "rows_out", "seconds", "peak_mb")
                if name in stage
            }
    yield figures(scores(folder, month))


def scores(folder: Path, month: str) -> pl.DataFrame:
    """Everybody scored in `month` with the probability, and whether they left in the month after."""
    left = pl.concat(
        pl.read_csv(path, columns=["subscriber_id"])
        for path in (folder / "out" / "landing" / "churned" / f"month={shift(month, 1)}").glob("*.csv")
    )["subscriber_id"]
    found = pl.concat(
        pl.read_parquet(path)
        for path in (folder / "lake" / scores_of(DEFAULT_CAMPAIGN) / f"month={month}").glob("*.parquet")
    )
    return found.with_columns(happened=pl.col("subscriber_id").is_in(left.implode()).cast(pl.Float64))


def figures(found: pl.DataFrame) -> dict[str, Any]:
    """Calibration and ranking of everybody and by cluster; `bins` are [people, promised, seen]."""
    told = _figures(found) | {"bins": list(_bins(found))}
    told["clusters"] = {
        str(name): {"model_version": rows["model_version"][0], **_figures(rows)}
        for (name,), rows in sorted(found.group_by("cluster"), key=lambda each: str(each[0]))
    }
    return told


def _figures(rows: pl.DataFrame) -> dict[str, Any]:
    p, y, w = rows["probability"].to_numpy(), rows["happened"].to_numpy(), np.ones(rows.height)
    found = quality.figures(p, y, w)
    return {
        "people": rows.height,
        "promised": float(p.mean()),
        "seen": float(y.mean()),
        "calibration_error": quality.calibration_error(p, y, w),
        "calibration_error_20_bins": quality.calibration_error(p, y, w, 20),
        **{name: found[name] for name in ("auc", "pr_auc", "brier", "top_decile_lift")},
    }


def _bins(rows: pl.DataFrame) -> Iterator[list[float]]:
    ordered = rows.sort("probability", "subscriber_id")
    for piece in np.array_split(np.arange(ordered.height), 10):
        part = ordered[piece]
        yield [part.height, float(part["probability"].mean()), float(part["happened"].mean())]


def run(module: str, *words: str) -> str:
    """What a command of the project prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    return done.stdout


def main() -> int:
    """Measure in a temporary folder and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.measures.calibration_out_of_time")
    parser.add_argument("--subscribers", type=int, default=200_000)
    parser.add_argument("--months", type=int, default=9)
    parser.add_argument("--seed", type=int, default=11)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="churn-calibration-"))
    folder.chmod(0o755)  # the server has a user of its own
    try:
        for told in measure(folder, asked.subscribers, asked.months, asked.seed):
            print(json.dumps(told, ensure_ascii=False), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
