"""The benchmark: a simulated province of any size through every stage, each stage's seconds, rows/s and memory.

    make bench SUBSCRIBERS=1000000

The same month of usage is also converted CSV → Parquet by plain Polars, without any validation: the ratio to it
says what validation, quarantine and reconciliation cost on this machine in this run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from include import database, settings
from include.commands import DEFAULT_CAMPAIGN
from include.config import load_config
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.lake.campaigns import scores_of
from include.local.postgres import Server
from include.local.progress import tell
from include.loop import STAGES
from include.run import Run
from include.settings import ROOT
from include.stages import prediction

_MONTHS = 7
_LAST = "2026-10"
_NOW = "2026-11-05T06:30+08:00"
_EXPLAINED = 10_000


def bench(subscribers: int, folder: Path) -> Iterator[str]:
    """Lines of the report, each as soon as it is known."""
    province, server = folder / "province", Server(folder / "postgres")
    started = time.monotonic()
    size = ["--subscribers", str(subscribers), "--months", str(_MONTHS), "--last-month", _LAST]
    _run("include.simulator", *size, "--seed", "1", "--out", str(province))
    yield f"simulated {subscribers:,} subscribers × {_MONTHS} months in {time.monotonic() - started:.0f} s"
    yield f"{'stage':<12}{'rows':>14}{'seconds':>10}{'rows/s':>12}{'peak MB':>9}"
    server.start()
    try:
        landing, lake = str(province / "landing"), str(folder / "lake")
        where = ["--landing", landing, "--lake", lake, "--db", server.url("postgres"), "--month", _LAST]
        # one process a stage: peak memory is the stage's own
        for stage in STAGES:
            train = ["--train"] if stage == "training" else []
            printed = _run("include.loop", *where, "--now", _NOW, "--from", stage, "--until", stage, *train)
            yield _line(json.loads(printed.splitlines()[-1]))
        yield _reasons(lake, server.url("postgres"))
    finally:
        server.stop()
    yield _plain(province / "landing" / "usage_months" / f"month={_LAST}", folder / "plain.parquet")


def _run(module: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", module, *words], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def _line(result: Mapping[str, Any]) -> str:
    rows = max(result["rows_in"], result["rows_out"])
    a_second = rows / max(result["seconds"], 0.01)
    return (
        f"{result['stage']:<12}{rows:>14,}{result['seconds']:>10.1f}{a_second:>12,.0f}{result['peak_mb']:>9,}"
    )


def _reasons(lake: str, url: str) -> str:
    """Exact reasons, all factors, of the ten thousand with the highest probability."""
    config, store = load_config(settings.config_folder()), Lake(lake)
    made = database.engine(url)
    with made.connect() as db:
        as_of = default_as_of(_LAST)
        run = Run(
            db=db, lake=store, config=config, month=_LAST, as_of=as_of, campaign=DEFAULT_CAMPAIGN, cycle=_LAST,
            now=as_of,
        )  # fmt: skip
        chosen = prediction.champions(run)
    made.dispose()
    best = (
        store.scan(scores_of(DEFAULT_CAMPAIGN), _LAST)
        .select("subscriber_id", "probability")
        .top_k(_EXPLAINED, by="probability")
    )
    wanted = best.collect()["subscriber_id"].to_list()
    started = time.monotonic()
    prediction.reasons(lake=store, month=_LAST, champions=chosen, subscriber_ids=wanted, top=None)
    seconds = time.monotonic() - started
    return f"{'reasons':<12}{len(wanted):>14,}{seconds:>10.1f}{len(wanted) / max(seconds, 0.01):>12,.0f}"


def _plain(source: Path, target: Path) -> str:
    started = time.monotonic()
    pl.scan_csv(source / "*.csv").sink_parquet(target)
    seconds = max(time.monotonic() - started, 0.01)
    rows = pl.scan_parquet(target).select(pl.len()).collect().item()
    figures = f"{rows:>14,}{seconds:>10.1f}{rows / seconds:>12,.0f}"
    return f"{'plain Polars':<12}{figures}   (one month CSV → Parquet, no checks)"


def main() -> int:
    """Run the benchmark in a temporary folder and print its report."""
    parser = argparse.ArgumentParser(prog="python -m include.local.bench")
    parser.add_argument("--subscribers", type=int, default=1_000_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="churn-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # the server's own user must reach its folder
        for line in bench(args.subscribers, folder):
            tell(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
