"""The closed loop without Airflow: the same stages in the same order, one JSON object per stage on stdout.

python -m include.loop --landing DIR --lake DIR --db URL [--campaign NAME] --month YYYY-MM | --day YYYY-MM-DD
    [--as-of ISO] [--now ISO] [--source FEED=URL] [--train] [--dispatch-late] [--top-up] [--from STAGE] [--until STAGE]
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa

from include import database, settings
from include.commands import DEFAULT_CAMPAIGN, add_campaign, add_place, ended, required_place
from include.config import Config, load_config
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE, parse_instant
from include.domain.periods.period import DAILY, parse_key
from include.domain.row_counts import added
from include.lake import Lake
from include.run import Run, cycles
from include.run.results import Counts, measured, record
from include.stages import (
    collection,
    dispatch,
    drift,
    features,
    follow_up,
    grading,
    limits,
    outreach,
    prediction,
    training,
)
from include.stages.collection import migrations
from include.stages.dispatch import Choices


class StageResult(Counts):
    """What a stage counted, of which cycle it was, and what it cost; beside the stage's own figures."""

    campaign: str
    month: str
    as_of: str
    revision: int
    seconds: float
    peak_mb: int


@dataclass(frozen=True)
class Loop:
    """How the loop is run once; `key` is the month or day of the campaign's cycle, `now` None the real time."""

    db: sa.Connection
    lake: Lake
    config: Config
    landing: Path
    key: str
    as_of: datetime | None = None
    now: datetime | None = None
    train: bool = False
    dispatch_late: bool = False
    top_up: bool = False
    campaign: str = DEFAULT_CAMPAIGN
    connections: Mapping[str, Any] | None = None

    def run(self, first: str | None = None, last: str | None = None) -> Iterator[StageResult]:
        """Run the stages from `first` to `last` in order; yield each one's counts, seconds and peak memory."""
        if idle := self.config.why_idle(self.campaign):
            raise Refused(idle)
        opened = self._open()
        for name in stages_between(first, last):
            if name not in self._left_out():
                yield self._done(name, opened)

    def instant(self) -> datetime:
        """The instant people and clocks are stamped with."""
        return self.now or datetime.now(ZONE)

    def has_factors(self, run: Run) -> bool:
        """Whether a day finds the factors of its month made already."""
        return self._is_daily and self.lake.has("factors", run.month)

    @property
    def _is_daily(self) -> bool:
        return self.config.cadence(self.campaign) == DAILY

    def _left_out(self) -> set[str]:
        """The stages this run goes without: as in Airflow, scores without a model, lists of a day."""
        left_out = set() if self.train else {"training"}
        if self.config.campaign(self.campaign).model is None:
            left_out |= {"training", "prediction", "drift"}
        return left_out | ({"drift", "outreach"} if self._is_daily else set())

    def _open(self) -> cycles.Cycle:
        return cycles.open_cycle(
            db=self.db, config=self.config, campaign=self.campaign, cycle=self.key, as_of=self.as_of,
            now=self.instant(),
        )  # fmt: skip

    def _run(self, opened: cycles.Cycle) -> Run:
        own = self.config.of(self.campaign)
        return Run.of(opened, db=self.db, lake=self.lake, config=own, now=self.instant())

    def _done(self, name: str, opened: cycles.Cycle) -> StageResult:
        """The result of a stage, kept with the cycle."""
        started, run = time.monotonic(), self._run(opened)
        facts = {**STAGES[name](self, run), "campaign": run.campaign, "month": run.month}
        facts |= {"as_of": run.as_of.isoformat(), "revision": run.revision}
        result = cast(StageResult, measured(facts, started))
        record(self._run(opened), facts, seconds=time.monotonic() - started, peak_mb=result["peak_mb"])
        return result


def _collection(loop: Loop, run: Run) -> Mapping[str, Any]:
    connections = loop.connections or {}
    site = collection.Site(run.db, run.lake, run.config, loop.landing, loop.instant(), connections)
    # a day whose factors stand asks no database for that month once more
    asked = None if loop.has_factors(run) else run.month
    planned = collection.plan(site, as_of=run.as_of, month=asked, queried=connections.keys())
    done = [
        collection.collect(replace(site, now=loop.instant()), collection.DeliveryKey(**each))
        for each in planned
    ]
    reported = collection.report(
        db=run.db, lake=run.lake, config=run.config, month=run.month, as_of=run.as_of
    )
    return {**reported, "stage": "collection", **added(done), "deliveries": len(done)}


def _features(loop: Loop, run: Run) -> Counts:
    if loop.has_factors(run):
        message = f"The factors of {run.month} stand."
        return {"stage": "features", "rows_in": 0, "rows_out": 0, "quarantined": 0, "message": message}
    return features.build(run)


def _limits(loop: Loop, run: Run) -> Mapping[str, Any]:
    return limits.process(db=run.db, lake=run.lake, config=loop.config, now=run.now)


def _dispatch(loop: Loop, run: Run) -> Counts:
    return dispatch.dispatch(run, Choices(loop.dispatch_late, loop.top_up))


STAGES: dict[str, Callable[[Loop, Run], Mapping[str, Any]]] = {
    "collection": _collection,
    "features": _features,
    "training": lambda _, run: training.train(run),
    "prediction": lambda _, run: prediction.predict(run),
    "drift": lambda _, run: drift.measure(run),
    "grading": lambda _, run: grading.grade(run),
    "limits": _limits,
    "dispatch": _dispatch,
    "outreach": lambda loop, run: outreach.outreach(run, dispatch_late=loop.dispatch_late),
    "follow_up": lambda _, run: follow_up.of_run(run),
}


def stages_between(first: str | None, last: str | None) -> list[str]:
    """The stage names from `first` to `last`, both included; BadInput for an unknown or reversed pair."""
    names = list(STAGES)
    for name in (first, last):
        if name is not None and name not in STAGES:
            raise BadInput(f"'{name}' is not a stage. Choose one of {', '.join(names)}.")
    start, end = names.index(first or names[0]), names.index(last or names[-1])
    if start > end:
        raise BadInput(
            f"--from {first} comes after --until {last}. Give them in the order {', '.join(names)}."
        )
    return names[start : end + 1]


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.loop", description="Run the closed loop once.")
    parser.add_argument(
        "--landing", type=Path, default=settings.landing(), help="folder of deliveries; default CHURN_LANDING"
    )
    parser.add_argument(
        "--lake",
        default=settings.lake_root(),
        help="folder or URL of the lake, made when absent; default CHURN_LAKE",
    )
    add_place(parser)
    add_campaign(parser)
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--month", dest="key", metavar="YYYY-MM", help="of a monthly campaign")
    keys.add_argument("--day", dest="key", metavar="YYYY-MM-DD", help="of a daily campaign")
    parser.add_argument("--as-of", help="instant from which on nothing is known, with its offset")
    parser.add_argument("--now", help="instant people and clocks are stamped with; default: the real time")
    parser.add_argument(
        "--source",
        action="append",
        default=[],
        metavar="FEED=URL",
        help="read a feed by SQL; may be repeated",
    )
    parser.add_argument("--train", action="store_true", help="train on the months labelled at as_of first")
    parser.add_argument(
        "--dispatch-late", action="store_true", help="send tickets although the month is over"
    )
    parser.add_argument("--top-up", action="store_true", help="fill the remaining capacity of a fixed cycle")
    parser.add_argument("--from", dest="first", metavar="STAGE", help="first stage to run")
    parser.add_argument("--until", dest="last", metavar="STAGE", help="last stage to run")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after one sentence on stderr, when a person must act."""
    args = _arguments(words)
    return ended(lambda: _run(args))


def _run(args: argparse.Namespace) -> None:
    first, last = stages_between(args.first, args.last)[0], args.last
    as_of = parse_instant(args.as_of, "--as-of") if args.as_of else None
    now = parse_instant(args.now, "--now") if args.now else None
    if not args.landing.is_dir():
        raise BadInput(
            f"The landing folder {args.landing} does not exist. Give the folder deliveries land in."
        )
    config = load_config(settings.config_folder())
    key = parse_key(args.key, config.cadence(args.campaign))
    place = required_place(args.db)
    database.upgrade(place)
    lake = collection.open_lake(args.lake, args.landing, config)
    made = database.engine(place)
    with ExitStack() as stack:
        stack.callback(made.dispose)
        sources = {feed: _opened(url, feed, stack) for feed, url in _sources(args.source, config).items()}
        db = stack.enter_context(made.connect())
        counts = migrations.bring_up_to_date(db=db, lake=lake, config=config, now=now or datetime.now(ZONE))
        if counts is not None:
            print(f"The lake was brought up to date: {json.dumps(counts)}", file=sys.stderr)
        loop = Loop(
            db, lake, config, args.landing, key, as_of, now, args.train,
            args.dispatch_late, args.top_up, args.campaign, sources,
        )  # fmt: skip
        for result in loop.run(first, last):
            print(json.dumps(result, ensure_ascii=False, default=str), flush=True)


def _sources(words: Sequence[str], config: Config) -> dict[str, str]:
    """Feed → URL from FEED=URL words; BadInput for anything else."""
    pairs = [word.partition("=") for word in words]
    for word, (feed, _, url) in zip(words, pairs, strict=True):
        if feed not in config.sources.feeds or not url:
            feeds = ", ".join(config.sources.feeds)
            raise BadInput(f"--source {word.partition('=')[0]} is not FEED=URL with a feed of {feeds}.")
    return {feed: url for feed, _, url in pairs}


def _opened(url: str, feed: str, stack: ExitStack) -> Any:
    """The open DBAPI connection behind a database URL."""
    try:
        engine = sa.create_engine(url)
        stack.callback(engine.dispose)
        fairy = engine.raw_connection()
    except sa.exc.SQLAlchemyError as error:
        cause = str(error).splitlines()[0]
        raise BadInput(f"The source of {feed} cannot be opened: {cause}. Look at its URL.") from None
    stack.callback(fairy.close)
    return fairy.driver_connection


if __name__ == "__main__":
    sys.exit(main())
