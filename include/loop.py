"""The closed loop without Airflow: the same stages in the same order, one JSON object per stage on stdout.

python -m include.loop --landing DIR --lake DIR --db URL [--campaign NAME] --month YYYY-MM | --day YYYY-MM-DD
    [--as-of ISO] [--now ISO] [--source FEED=URL] [--train] [--dispatch-late] [--top-up] [--from STAGE] [--until STAGE]
"""

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from include import database, settings
from include.commands import DEFAULT_CAMPAIGN, add_campaign, add_place, ended, required_place
from include.config import Config, load_config
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE, parse_instant
from include.domain.periods.period import DAILY, parse_key
from include.lake import Lake
from include.run import cycles
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
from include.stages.collection import carried_over

Result = dict[str, Any]


@dataclass(frozen=True)
class Loop:
    """What every stage is given; `key` is the month or day of the campaign's cycle, `now` None the real time."""

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

    def run(self, first: str | None = None, last: str | None = None) -> Iterator[Result]:
        """Run the stages from `first` to `last` in order; yield each one's counts, seconds and peak memory."""
        if idle := self.config.why_idle(self.campaign):
            raise Refused(idle)
        cycle = self._open()
        for name in stages_between(first, last):
            if name in self._left_out():
                continue
            started = time.monotonic()
            told = STAGES[name](self, cycle) | {"campaign": cycle.campaign, "month": cycle.month}
            told |= {"as_of": cycle.as_of.isoformat(), "revision": cycle.revision}
            yield self._recorded(cycle, told, time.monotonic() - started)

    @property
    def own(self) -> Config:
        """What the campaign's cycle goes by: the common files and its own."""
        return self.config.of(self.campaign)

    def instant(self) -> datetime:
        """The instant people and clocks are stamped with."""
        return self.now or datetime.now(ZONE)

    @property
    def is_daily(self) -> bool:
        """Whether its cycle is a day's, which reads factors of a month that may have been made before."""
        return self.config.cadence(self.campaign) == DAILY

    def _left_out(self) -> set[str]:
        """The stages this run goes without: as in Airflow, scores without a model, lists of a day."""
        left_out = set() if self.train else {"training"}
        if self.config.campaign(self.campaign).model is None:
            left_out |= {"training", "prediction", "drift"}
        return left_out | ({"drift", "outreach"} if self.is_daily else set())

    def _open(self) -> cycles.Cycle:
        return cycles.open_cycle(
            db=self.db, config=self.config, campaign=self.campaign, cycle=self.key, as_of=self.as_of,
            now=self.instant(),
        )  # fmt: skip

    def _recorded(self, cycle: cycles.Cycle, told: Result, seconds: float) -> Result:
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        cycles.record_stage(
            db=self.db, campaign=self.campaign, cycle=cycle.cycle, facts=told, seconds=seconds, peak_mb=peak_mb,
            now=self.instant(),
        )  # fmt: skip
        return told | {"seconds": round(seconds, 2), "peak_mb": peak_mb}


def _collection(loop: Loop, cycle: cycles.Cycle) -> Result:
    shared: dict[str, Any] = {"db": loop.db, "lake": loop.lake, "config": loop.own}
    sources = loop.connections or {}
    # a day whose factors stand asks no database for that month once more
    asked = None if _has_factors(loop, cycle) else cycle.month
    planned = collection.plan(
        landing=loop.landing, as_of=cycle.as_of, month=asked, queried=sources.keys(), **shared
    )
    done = [
        collection.collect(
            landing=loop.landing, now=loop.instant(), connections=sources, **shared, **delivery
        )
        for delivery in planned
    ]
    reported = collection.report(month=cycle.month, as_of=cycle.as_of, **shared)
    counts = {name: sum(each[name] for each in done) for name in ("rows_in", "rows_out", "quarantined")}
    return {**reported, "stage": "collection", **counts, "deliveries": len(done)}


def _has_factors(loop: Loop, cycle: cycles.Cycle) -> bool:
    return loop.is_daily and loop.lake.has("factors", cycle.month)


def _features(loop: Loop, cycle: cycles.Cycle) -> Result:
    if _has_factors(loop, cycle):
        told = f"The factors of {cycle.month} stand."
        return {"stage": "features", "rows_in": 0, "rows_out": 0, "quarantined": 0, "message": told}
    return features.build(
        db=loop.db, lake=loop.lake, config=loop.own, month=cycle.month, as_of=cycle.as_of, run_id=_run_id()
    )


def _training(loop: Loop, cycle: cycles.Cycle) -> Result:
    return training.train(
        db=loop.db, lake=loop.lake, config=loop.own, campaign=loop.campaign, month=cycle.month,
        as_of=cycle.as_of, now=loop.instant(),
    )  # fmt: skip


def _prediction(loop: Loop, cycle: cycles.Cycle) -> Result:
    return prediction.predict(
        db=loop.db, lake=loop.lake, config=loop.own, campaign=loop.campaign, cycle=cycle.cycle,
        month=cycle.month, as_of=cycle.as_of, run_id=_run_id(), revision=cycle.revision,
    )  # fmt: skip


def _drift(loop: Loop, cycle: cycles.Cycle) -> Result:
    return drift.measure(
        db=loop.db, lake=loop.lake, config=loop.own, campaign=loop.campaign, cycle=cycle.cycle,
        month=cycle.month, as_of=cycle.as_of, now=loop.instant(), revision=cycle.revision,
    )  # fmt: skip


def _grading(loop: Loop, cycle: cycles.Cycle) -> Result:
    return grading.grade(
        db=loop.db, lake=loop.lake, config=loop.own, campaign=loop.campaign, cycle=cycle.cycle,
        month=cycle.month, as_of=cycle.as_of, now=loop.instant(), revision=cycle.revision,
    )  # fmt: skip


def _limits(loop: Loop, cycle: cycles.Cycle) -> Result:
    return limits.process(db=loop.db, lake=loop.lake, config=loop.config, now=loop.instant())


def _dispatch(loop: Loop, cycle: cycles.Cycle) -> Result:
    return dispatch.dispatch(
        db=loop.db, lake=loop.lake, config=loop.own, campaign=loop.campaign, cycle=cycle.cycle,
        month=cycle.month, as_of=cycle.as_of, now=loop.instant(), revision=cycle.revision,
        dispatch_late=loop.dispatch_late, top_up=loop.top_up,
    )  # fmt: skip


def _outreach(loop: Loop, cycle: cycles.Cycle) -> Result:
    return outreach.outreach(
        db=loop.db, lake=loop.lake, config=loop.own, campaign=loop.campaign, cycle=cycle.cycle,
        month=cycle.month, now=loop.instant(), dispatch_late=loop.dispatch_late,
    )  # fmt: skip


def _follow_up(loop: Loop, cycle: cycles.Cycle) -> Result:
    return follow_up.follow_up(
        db=loop.db, lake=loop.lake, config=loop.own, campaign=loop.campaign, as_of=cycle.as_of,
        now=loop.instant(),
    )  # fmt: skip


STAGES: dict[str, Callable[[Loop, cycles.Cycle], Result]] = {
    "collection": _collection,
    "features": _features,
    "training": _training,
    "prediction": _prediction,
    "drift": _drift,
    "grading": _grading,
    "limits": _limits,
    "dispatch": _dispatch,
    "outreach": _outreach,
    "follow_up": _follow_up,
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


def _run_id() -> str:
    return uuid4().hex[:12]


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
    told = _arguments(words)
    return ended(lambda: _run(told))


def _run(told: argparse.Namespace) -> None:
    first, last = stages_between(told.first, told.last)[0], told.last
    as_of = parse_instant(told.as_of, "--as-of") if told.as_of else None
    now = parse_instant(told.now, "--now") if told.now else None
    if not told.landing.is_dir():
        raise BadInput(
            f"The landing folder {told.landing} does not exist. Give the folder deliveries land in."
        )
    config = load_config(settings.config_folder())
    key = parse_key(told.key, config.cadence(told.campaign))
    place = required_place(told.db)
    database.upgrade(place)
    lake = collection.open_lake(told.lake, told.landing, config)
    made = database.engine(place)
    with ExitStack() as stack:
        stack.callback(made.dispose)
        sources = {feed: _opened(url, feed, stack) for feed, url in _sources(told.source, config).items()}
        db = stack.enter_context(made.connect())
        counts = carried_over.bring_up_to_date(db=db, lake=lake, config=config, now=now or datetime.now(ZONE))
        if counts is not None:
            print(f"The lake was brought up to date: {json.dumps(counts)}", file=sys.stderr)
        loop = Loop(
            db, lake, config, told.landing, key, as_of, now, told.train,
            told.dispatch_late, told.top_up, told.campaign, sources,
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
