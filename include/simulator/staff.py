"""Simulated retention staff: they are hired, and work a cycle day by day through the desk's own functions.

    python -m include.simulator.staff hire --db URL
    python -m include.simulator.staff work --db URL --truth DIR --cycle YYYY-MM --from ISO --until ISO --seed N

What an agent does with a ticket stands in include/simulator/talks.py.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from include import settings
from include.config import Config, load_config
from include.config.desk import load_desk
from include.database import engine
from include.desk import tasks
from include.desk.acting import Actor
from include.desk.talks import Talk, keep_talk
from include.domain.errors import LoopError
from include.domain.months import ZONE
from include.queries import load
from include.simulator.branches import lay_out
from include.simulator.talks import Talks
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
_LUNCH_ENDS, _LAST_TALK = time(13, 30), time(17, 50)
_TASK_DONE = 0.3
_CALLS_IN = 0.4


@dataclass
class Shift:
    """The staff at work on one cycle: who calls in of their own accord among those held out, and what is done."""

    talks: Talks
    cycle: str

    @property
    def db(self) -> sa.Connection:
        """The connection everybody works on."""
        return self.talks.db

    @property
    def done(self) -> Counter[str]:
        """Counts of what was done."""
        return self.talks.done

    def day(self, morning: datetime) -> None:
        """One working day: release at 08:30, talks from 09:00, orders at 17:55, the watcher at lunch and after."""
        out = release.release(db=self.db, config=self.talks.config, now=morning)
        self.done["released"] += out["released"]
        agents = self._ask("list_agents")
        for agent in agents:
            self._agents_day(agent.staff_id, morning)
        self._calls_in(agents[0].staff_id if agents else None, morning.replace(hour=11))
        self._cure(morning.replace(hour=17, minute=52))
        self._orders(morning.replace(hour=17, minute=55))
        for hour in (12, 18):
            tick = sla.watch(db=self.db, config=self.talks.config, now=morning.replace(hour=hour, minute=15))
            for name in ("warned", "breached", "escalated"):
                self.done[name] += tick[name]

    def unfinished(self) -> int:
        """How many tickets are neither closed, cancelled nor expired."""
        return int(self._ask("count_unfinished")[0].tickets)

    def _agents_day(self, staff_id: int, morning: datetime) -> None:
        """The queue in order; whom the contact ladder wants tried after noon is called after lunch."""
        at, later = morning.replace(hour=9, minute=0), []
        for ticket in self._ask("list_queue", staff_id=staff_id, today=morning.date()):
            actor = self._actor(staff_id, ticket, at)
            step = self.talks.step(actor)
            if step.not_before and step.not_before > morning.date():
                continue
            if step.parts and "morning" not in step.parts:
                later.append((ticket, step))
                continue
            self.talks.work(actor, ticket.subscriber_id, step)
            at = _next(at)
        at = max(at, datetime.combine(morning.date(), _LUNCH_ENDS, ZONE))
        for ticket, step in later:
            self.talks.work(self._actor(staff_id, ticket, at), ticket.subscriber_id, step)
            at = _next(at)

    def _orders(self, at: datetime) -> None:
        for order in self._ask("list_orders"):
            self.talks.process(self._actor(order.assignee_id, order, at), at.date())

    def _cure(self, at: datetime) -> None:
        """Other units tell of the tasks they did."""
        for task in self._ask("list_open_tasks"):
            if self.talks.dice.random() < _TASK_DONE:
                actor = self._actor(task.assignee_id, task, at)
                tasks.finish_task(actor, task_id=task.task_id, result="已处理 / done")
                self.done["tasks_done"] += 1

    def _calls_in(self, staff_id: int | None, at: datetime) -> None:
        """Now and then somebody calls who was never called: served, and noted without a ticket."""
        callers = self._ask("list_who_may_call_in", campaign=self.talks.campaign, cycle=self.cycle)
        if staff_id is None or not callers or self.talks.dice.random() > _CALLS_IN:
            return
        caller = callers[int(self.talks.dice.integers(len(callers)))]
        talk = Talk(
            self.talks.campaign, caller.subscriber_id, "call", "咨询账单 / asked about the bill",
            "解释账单 / explained the bill",
        )  # fmt: skip
        keep_talk(
            self.db,
            self.talks.config,
            load_desk(settings.config_folder()),
            staff_id=staff_id,
            talk=talk,
            now=at,
        )
        self.done["inbound"] += 1

    def _ask(self, query: str, **values: Any) -> list[sa.Row[Any]]:
        with self.db.begin():
            return list(self.db.execute(Q[query], values))

    def _actor(self, staff_id: int, ticket: sa.Row[Any], at: datetime) -> Actor:
        return Actor(self.db, self.talks.config, staff_id, ticket.ticket_id, ticket.version, at)


def _next(at: datetime) -> datetime:
    return min(at + _TALK, datetime.combine(at.date(), _LAST_TALK, ZONE))


def hire(db: sa.Connection) -> int:
    """Put the simulated people into `staff`, once; return how many there are."""
    names = ("staff_code", "airflow_username", "name", "role", "team", "contacts_per_day")
    with db.begin():
        for person in PEOPLE:
            db.execute(Q["hire"], dict(zip(names, person, strict=True)))
        lay_out(db)
    return len(PEOPLE)


def open_shift(db: sa.Connection, config: Config, cycle: str, reasons: dict[str, str], seed: int) -> Shift:
    """The staff ready to work a cycle; whoever leads them all decides what is beyond an agent's authority."""
    with db.begin():
        manager_id = db.execute(Q["find_manager"]).scalar()
    talks = Talks(db, config, settings.CAMPAIGN, reasons, np.random.default_rng(seed), manager_id)
    return Shift(talks, cycle)


def work_cycle(shift: Shift, start: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Work every working day from `start` to `until` while a ticket is unfinished; a row of counts per day."""
    with shift.db.begin():
        fill_calendar(shift.db, shift.talks.config, start)
        calendar = read_clocks(shift.db, shift.talks.config, start).calendar()
    day = start.astimezone(ZONE).date()
    while day <= until.astimezone(ZONE).date() and shift.unfinished():
        if calendar.is_working(day):
            before = shift.done.copy()
            shift.day(datetime.combine(day, time(8, 30), ZONE))
            yield {"stage": "staff", "day": day.isoformat(), **_grown(shift.done, before)}
        day += timedelta(days=1)
    with shift.db.begin():  # of simulated time: the real watcher is not silent since then
        shift.db.execute(sla.Q["forget_beat"], {"name": "watch_sla"})
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
            shift = open_shift(db, config, told.cycle, reasons, told.seed)
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
