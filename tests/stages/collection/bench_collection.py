"""How fast collection takes in a month with all its checks, beside plain Polars CSV → Parquet in the same run.

python -m tests.stages.collection.bench_collection --subscribers 5000000 [--files 4] [--folder DIR]

Each way runs in a process of its own; its peak memory is that process's. Prints one JSON object.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from include.config import load_config
from include.lake import Lake
from include.settings import ROOT, config_folder
from include.stages.collection import DeliveryKey, Site
from include.stages.collection.ingest import refuse_above, take_in
from include.stages.collection.intake import Intake
from include.stages.collection.publisher import publish, write_parts, write_quarantine
from include.stages.collection.sources import landing_folder
from include.stages.collection.staging import staging_folder

FEED, MONTH = "usage_months", "2026-10"
_CHUNK = 500_000


def write_landing(landing: Path, subscribers: int, files: int) -> int:
    """A month of usage of so many subscribers as CSV, one row in 1,000 broken; its size in bytes."""
    folder = landing / FEED / f"month={MONTH}"
    folder.mkdir(parents=True)
    bounds = [subscribers * n // files for n in range(files + 1)]
    for n in range(files):
        with (folder / f"part-{n + 1:02d}.csv").open("wb") as target:
            for first in range(bounds[n], bounds[n + 1], _CHUNK):
                rows = _usage(first, min(first + _CHUNK, bounds[n + 1]))
                rows.write_csv(target, include_header=first == bounds[n])
    return sum(path.stat().st_size for path in folder.iterdir())


def _usage(first: int, end: int) -> pl.DataFrame:
    draw, number = np.random.default_rng(first), np.arange(first, end)
    fen = {
        name: draw.integers(0, most * 100, len(number))
        for name, most in (("bill", 300), ("out_of_bundle", 30), ("out_of_bundle_data", 20), ("topup", 200))
    }
    counts = (
        "sms_count",
        "topup_count",
        "active_days",
        "business_transactions",
        "app_logins",
        "community_posts",
    )
    counts += ("competitor_plan_queries", "call_attempts", "dropped_calls")
    rows = pl.DataFrame(
        {
            "subscriber_id": pl.Series(number * 7919 % 10_000_019).cast(pl.String).str.zfill(11),
            **{
                f"{name}_yuan": pl.Series(value / 100).round(2).cast(pl.String) for name, value in fen.items()
            },
            "data_mb": pl.Series(draw.gamma(2, 5000, len(number))).round(1),
            "voice_out_minutes": pl.Series(draw.gamma(2, 100, len(number))).round(1),
            "voice_in_minutes": pl.Series(draw.gamma(2, 80, len(number))).round(1),
            **{name: draw.integers(0, 28, len(number)) for name in counts},
        }
    )
    broken = pl.Series(number % 1000 == 13)
    bill = pl.when(broken).then(pl.lit("n/a")).otherwise(pl.col("bill_yuan"))
    return rows.with_columns(bill.alias("bill_yuan"))


def collect(landing: Path, folder: Path, subscribers: int) -> dict[str, Any]:
    """Everything collection does with the delivery, but for the database's record of it."""
    config, lake = load_config(config_folder()), Lake.create(folder / "lake", subscribers)
    delivery = landing_folder.named(landing, config.sources, DeliveryKey(FEED, MONTH))
    seconds, at = {}, time.monotonic()

    def done(step: str) -> None:
        nonlocal at
        seconds[step], at = round(time.monotonic() - at, 1), time.monotonic()

    # what is recorded in the database, and when, is not measured
    intake = Intake.of(Site(None, lake, config, landing, None), delivery)
    done("fingerprint")
    with staging_folder(lake) as staging:
        staged = take_in(intake, staging)
        done("read and judge")
        spilled = sum(path.stat().st_size for path in staging.iterdir())
        quarantine = write_quarantine(intake, staged)
        refuse_above(0.05, intake, staged, quarantine)
        parts = write_parts(intake, staged)
        done("shards")
    publish(intake, staged, parts)
    done("publish")
    told = {"read": staged.rows_read, "quarantined": staged.rows_quarantined, "steps": seconds}
    return {**told, "accepted": lake.manifest(FEED, MONTH).rows, "spilled_mb": spilled >> 20}


def plain(landing: Path, folder: Path, subscribers: int) -> dict[str, Any]:
    """CSV → Parquet by Polars as it is, types guessed, nothing checked, nothing sorted."""
    target = folder / "plain.parquet"
    pl.scan_csv(landing / FEED / f"month={MONTH}" / "*.csv").sink_parquet(target)
    return {"read": pl.scan_parquet(target).select(pl.len()).collect().item()}


WAYS = {"collection": collect, "plain": plain}


def measured(way: str, landing: Path, folder: Path, subscribers: int) -> dict[str, Any]:
    """One way with its seconds, rows a second and the peak memory of this process."""
    started, cpu = time.monotonic(), time.process_time()
    told = WAYS[way](landing, folder, subscribers)
    seconds = time.monotonic() - started
    return {
        **told,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "rows_per_second": round(told["read"] / seconds),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.stages.collection.bench_collection")
    parser.add_argument("--subscribers", type=int, default=5_000_000)
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="where the files go; removed afterwards")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.way:
        print(json.dumps(measured(told.way, told.folder / "landing", told.folder, told.subscribers)))
        return
    with tempfile.TemporaryDirectory(prefix="churn-bench-", dir=told.folder) as name:
        folder = Path(name)
        size = write_landing(folder / "landing", told.subscribers, told.files)
        report: dict[str, Any] = {"subscribers": told.subscribers, "csv_mb": size >> 20}
        for way in WAYS:
            words = ["--way", way, "--folder", name, "--subscribers", str(told.subscribers)]
            command = [sys.executable, "-m", "tests.stages.collection.bench_collection", *words]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
            report[way] = json.loads(done.stdout)
    times = report["collection"]["seconds"] / report["plain"]["seconds"]
    print(json.dumps({**report, "times_plain": round(times, 1)}))


if __name__ == "__main__":
    main()
