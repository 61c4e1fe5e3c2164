"""Simulated retention staff: they are hired, and work a cycle day by day through the desk's own functions.

    python -m include.simulator.staff hire --db URL
    python -m include.simulator.staff work --db URL --truth DIR --cycle YYYY-MM --from ISO --until ISO --seed N

What a subscriber tells an agent is drawn from the province's truth, as it would be in a real talk.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from include import settings
from include.config import Config, load_config
from include.database import engine
from include.desk import contacts, plans, work
from include.desk.acting import Actor
from include.domain.errors import LoopError
from include.domain.months import ZONE
from include.queries import load
from include.simulator.reasons import REASONS
from include.stages import release, sla
from include.stages.calendar import fill_calendar
from include.stages.clocks import read_clocks

Q = load("staff")

#: (staff_code, airflow_username, name, role, team, contacts a day)
PEOPLE = (
    ("A001", "wang.fang", "王芳", "agent", "vip", 10),
    ("A002", "zhang.wei", "张伟", "agent", "mid_high", 12),
    ("A003", "liu.yang", "刘洋", "agent", "mid_high", 12),
    ("A004", "chen.jing", "陈静", "agent", "new_subscriber", 12),
    ("L001", "li.na", "李娜", "lead", "mid_high", 0),
    ("M001", "zhao.lei", "赵磊", "manager", "mid_high", 0),
)

_TALK = timedelta(minutes=20)
_REACHED, _REFUSED = 0.65, 0.05
_CALL_BACK = 0.10
_TOLD_RIGHT = 0.85
_NO_REASON_SEEN = 0.70
_ACCEPTED = 0.45
_CONSIDERED = 0.25


@dataclass
class Shift:
    """The staff at work on one cycle: connection, what subscribers know of themselves, dice, and counts."""

    db: sa.Connection
    config: Config
    reasons: dict[str, str]
    dice: np.random.Generator
    done: Counter[str] = field(default_factory=Counter)

    def day(self, morning: datetime) -> None:
        """One working day: release at 08:30, talks from 09:00, the watcher at lunch and after closing."""
        out = release.release(db=self.db, config=self.config, now=morning)
        self.done["released"] += out["released"]
        opens = morning.replace(hour=9, minute=0)
        for staff_id in self._agents():
            at = opens
            for ticket in self._queue(staff_id, morning):
                self._work(staff_id, ticket, at)
                at = min(at + _TALK, morning.replace(hour=17, minute=50))
        for hour in (12, 18):
            tick = sla.watch(db=self.db, config=self.config, now=morning.replace(hour=hour, minute=15))
            for name in ("warned", "breached", "escalated"):
                self.done[name] += tick[name]

    def unfinished(self) -> int:
        """How many tickets are neither closed, cancelled nor expired."""
        with self.db.begin():
            return int(self.db.execute(Q["count_unfinished"]).scalar_one())

    def _agents(self) -> list[int]:
        with self.db.begin():
            return list(self.db.execute(Q["list_agents"]).scalars())

    def _queue(self, staff_id: int, morning: datetime) -> list[sa.Row[Any]]:
        with self.db.begin():
            return list(self.db.execute(Q["list_queue"], {"staff_id": staff_id, "today": morning.date()}))

    def _work(self, staff_id: int, ticket: sa.Row[Any], at: datetime) -> None:
        actor = Actor(self.db, self.config, staff_id, ticket.ticket_id, ticket.version, at)
        self.done["attempts"] += 1
        drawn = self.dice.random()
        if drawn < _REFUSED:
            self._close(
                actor, contacts.record_contact(actor, channel="call", result="refused"), "refused_contact"
            )
        elif drawn < _REFUSED + _REACHED:
            self._talk(actor, ticket.subscriber_id)
        else:
            version = contacts.record_contact(actor, channel="call", result="no_answer")
            if ticket.attempts >= 2 and ticket.attempt_days >= 1 and ticket.tried_today == 0:
                self._close(actor, version, "unreachable")

    def _talk(self, actor: Actor, subscriber_id: str) -> None:
        if self.dice.random() < _CALL_BACK:
            back = actor.now.astimezone(ZONE).date() + timedelta(days=1)
            version = contacts.record_contact(actor, channel="call", result="call_back", call_back_on=back)
            work.pause(_seen(actor, version), call_back_on=back)
            self.done["call_backs"] += 1
            return
        actor = _seen(actor, contacts.record_contact(actor, channel="call", result="reached"))
        need = self._need(subscriber_id)
        if need is None:
            self._close(actor, actor.version, "no_intention")
            return
        actor = _seen(actor, contacts.record_survey(actor, needs=[need]))
        version = plans.record_plan(actor, strategy=_strategy_for(self.config, need))
        drawn = self.dice.random()
        outcome = (
            "retained"
            if drawn < _ACCEPTED
            else "considering"
            if drawn < _ACCEPTED + _CONSIDERED
            else "declined"
        )
        self._close(actor, version, outcome)

    def _need(self, subscriber_id: str) -> str | None:
        """What the talk brings out: mostly the true reason, sometimes another, none where there is none."""
        own = self.reasons.get(subscriber_id)
        if own not in REASONS:
            return None if self.dice.random() < _NO_REASON_SEEN else str(self.dice.choice(REASONS))
        return own if self.dice.random() < _TOLD_RIGHT else str(self.dice.choice(REASONS))

    def _close(self, actor: Actor, version: int, outcome: str) -> None:
        work.close(_seen(actor, version), outcome=outcome)
        self.done[outcome] += 1


def hire(db: sa.Connection) -> int:
    """Put the simulated people into `staff`, once; return how many there are."""
    names = ("staff_code", "airflow_username", "name", "role", "team", "contacts_per_day")
    with db.begin():
        for person in PEOPLE:
            db.execute(Q["hire"], dict(zip(names, person, strict=True)))
    return len(PEOPLE)


def work_cycle(shift: Shift, start: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Work every working day from `start` to `until` while a ticket is unfinished; a row of counts per day."""
    with shift.db.begin():
        fill_calendar(shift.db, shift.config, start)
        calendar = read_clocks(shift.db, shift.config, start).calendar()
    day = start.astimezone(ZONE).date()
    while day <= until.astimezone(ZONE).date() and shift.unfinished():
        if calendar.is_working(day):
            before = shift.done.copy()
            shift.day(datetime.combine(day, time(8, 30), ZONE))
            yield {"stage": "staff", "day": day.isoformat(), **_grown(shift.done, before)}
        day += timedelta(days=1)
    yield {
        "stage": "staff",
        "total": True,
        "unfinished": shift.unfinished(),
        **dict(sorted(shift.done.items())),
    }


def read_reasons(truth: Path, month: str) -> dict[str, str]:
    """The main reason of every subscriber at the end of `month`, from the province's truth."""
    files = sorted((truth / f"month={month}").glob("part-*.csv"))
    frame = pl.concat([pl.read_csv(file, columns=["subscriber_id", "main_reason"]) for file in files])
    return dict(frame.drop_nulls().iter_rows())


def _seen(actor: Actor, version: int) -> Actor:
    return Actor(actor.db, actor.config, actor.staff_id, actor.ticket_id, version, actor.now)


def _strategy_for(config: Config, need: str) -> str:
    fitting = [name for name, strategy in config.strategies.strategies.items() if strategy.reason == need]
    return fitting[0] if fitting else next(iter(config.strategies.strategies))


def _grown(after: Counter[str], before: Counter[str]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in sorted(after) if after[name] != before[name]}


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m include.simulator.staff")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("hire", "work"):
        commands.add_parser(name).add_argument("--db", required=True)
    works = commands.choices["work"]
    for name in ("--truth", "--cycle", "--from", "--until"):
        works.add_argument(name, required=True, dest=name.strip("-").replace("from", "start"))
    works.add_argument("--seed", type=int, default=0)
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the command; 1 and a sentence on stderr when something must be put right first."""
    told = _arguments(words)
    made = engine(told.db)
    try:
        with made.connect() as db:
            if told.command == "hire":
                print(json.dumps({"stage": "staff", "hired": hire(db)}))
                return 0
            config = load_config(settings.config_folder())
            reasons = read_reasons(Path(told.truth), told.cycle)
            shift = Shift(db, config, reasons, np.random.default_rng(told.seed))
            start, until = (datetime.fromisoformat(text) for text in (told.start, told.until))
            for result in work_cycle(shift, start, until):
                print(json.dumps(result, ensure_ascii=False), flush=True)
    except LoopError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    finally:
        made.dispose()
    return 0


if __name__ == "__main__":
    sys.exit(main())
