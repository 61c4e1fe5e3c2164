"""Simulated retention staff: they are hired, and work a cycle day by day through the desk's own functions.

What an agent does with a ticket stands in include/simulator/staff/talks.py, what is said in conversations.py.
"""

import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from include import settings
from include.clocks.calendar import fill_calendar
from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.config.readers.desk import load_desk
from include.database.queries import load
from include.desk.calls.talks import Talk, keep_talk
from include.desk.tickets import tasks
from include.desk.tickets.transaction import Actor, AtDesk
from include.domain.periods.months import ZONE
from include.simulator.province import RENEWAL, WARNING
from include.simulator.staff.branches import lay_out
from include.simulator.staff.conversations import Agreed, CampaignTalks, LeavingTalks
from include.simulator.staff.talks import Talks
from include.simulator.truth import read_month
from include.stages import release, sla

Q = load("commands/staff")

#: (staff_code, airflow_username, name, role, team, contacts a day)
PEOPLE = (
    # the manager of a branch, by the code the profiles know her by: renewals of her subscribers are hers
    ("R01-M01", "wang.fang", "王芳", "agent", "vip", 10),
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


@dataclass(frozen=True)
class Knowledge:
    """What subscribers know of themselves: their main reason, and by campaign who agrees when it calls."""

    reasons: Mapping[str, str]
    agreed: Mapping[str, Agreed] = field(default_factory=dict)


@dataclass
class Shift:
    """The staff at work: tickets of any campaign, and those held out in `cycle` who call of their own accord."""

    db: sa.Connection
    config: Config
    cycle: str
    known: Knowledge
    seed: int
    manager_id: int | None = None
    done: Counter[str] = field(default_factory=Counter)
    _talks: dict[str, Talks] = field(init=False, default_factory=dict)

    def talks(self, campaign: str) -> Talks:
        """The talks of a campaign, whose dice no other campaign's tickets move."""
        if campaign not in self._talks:
            self._talks[campaign] = self._made(campaign)
        return self._talks[campaign]

    def _made(self, campaign: str) -> Talks:
        known = (self.db, self.config, campaign, self.known.reasons)
        if campaign == WARNING:
            return LeavingTalks(*known, np.random.default_rng(self.seed), self.manager_id, self.done)
        dice = np.random.default_rng([self.seed, zlib.crc32(campaign.encode())])
        return CampaignTalks(*known, dice, self.manager_id, self.done, self.known.agreed.get(campaign))

    def day(self, morning: datetime) -> None:
        """One working day: release at 08:30, talks from 09:00, orders at 17:55, the watcher at lunch and after."""
        out = release.release(db=self.db, config=self.config, now=morning)
        self.done["released"] += out["released"]
        agents = self._ask("list_agents")
        for agent in agents:
            self._agents_day(agent.staff_id, morning)
        self._calls_in(agents[0].staff_id if agents else None, morning.replace(hour=11))
        self._cure(morning.replace(hour=17, minute=52))
        self._orders(morning.replace(hour=17, minute=55))
        for hour in (12, 18):
            tick = sla.watch(db=self.db, config=self.config, now=morning.replace(hour=hour, minute=15))
            for name in ("warned", "breached", "escalated"):
                self.done[name] += tick[name]

    def unfinished(self) -> int:
        """How many tickets are neither closed, cancelled nor expired."""
        return int(self._ask("count_unfinished")[0].tickets)

    def _agents_day(self, staff_id: int, morning: datetime) -> None:
        """The queue in order; whom the contact ladder wants tried after noon is called after lunch."""
        at, later = morning.replace(hour=9, minute=0), []
        for ticket in self._ask("list_queue", staff_id=staff_id, today=morning.date()):
            actor, talks = self._actor(staff_id, ticket, at), self.talks(ticket.campaign)
            step = talks.step(actor)
            if step.not_before and step.not_before > morning.date():
                continue
            if step.parts and "morning" not in step.parts:
                later.append((ticket, step))
                continue
            talks.work(actor, ticket.subscriber_id, step)
            at = _next(at)
        at = max(at, datetime.combine(morning.date(), _LUNCH_ENDS, ZONE))
        for ticket, step in later:
            self.talks(ticket.campaign).work(self._actor(staff_id, ticket, at), ticket.subscriber_id, step)
            at = _next(at)

    def _orders(self, at: datetime) -> None:
        for order in self._ask("list_orders"):
            self.talks(order.campaign).process(self._actor(order.assignee_id, order, at), at.date())

    def _cure(self, at: datetime) -> None:
        """Other units tell of the tasks they did."""
        for task in self._ask("list_open_tasks"):
            if self.talks(task.campaign).dice.random() < _TASK_DONE:
                actor = self._actor(task.assignee_id, task, at)
                tasks.finish_task(actor, task_id=task.task_id, result="已处理 / done")
                self.done["tasks_done"] += 1

    def _calls_in(self, staff_id: int | None, at: datetime) -> None:
        """Now and then somebody calls who was never called: served, and noted without a ticket."""
        callers = self._ask("list_who_may_call_in", cycle=self.cycle)
        if staff_id is None:
            return
        for campaign, held_out in groupby(callers, key=lambda caller: caller.campaign):
            dice, known = self.talks(campaign).dice, [caller.subscriber_id for caller in held_out]
            if dice.random() <= _CALLS_IN:
                self._serve(staff_id, campaign, known[int(dice.integers(len(known)))], at)

    def _serve(self, staff_id: int, campaign: str, subscriber_id: str, at: datetime) -> None:
        said, done = "咨询账单 / asked about the bill", "解释账单 / explained the bill"
        talk = Talk(campaign, subscriber_id, "call", said, done)
        rules = load_desk(settings.config_folder())
        keep_talk(AtDesk(self.db, staff_id, at), self.config, rules, talk)
        self.done["inbound"] += 1

    def _ask(self, query: str, **values: Any) -> list[sa.Row[Any]]:
        with self.db.begin():
            return list(self.db.execute(Q[query], values))

    def _actor(self, staff_id: int, ticket: sa.Row[Any], at: datetime) -> Actor:
        return Actor(self.db, self.config, staff_id, ticket.ticket_id, ticket.version, at)


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


def open_shift(db: sa.Connection, config: Config, cycle: str, known: Knowledge, seed: int) -> Shift:
    """The staff ready to work a cycle; whoever leads them all decides what is beyond an agent's authority."""
    with db.begin():
        manager_id = db.execute(Q["find_manager"]).scalar()
    return Shift(db, config, cycle, known, seed, manager_id)


def work_cycle(shift: Shift, start: datetime, until: datetime) -> Iterator[dict[str, int | str]]:
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
    with shift.db.begin():  # of simulated time: the real watcher is not silent since then
        shift.db.execute(sla.Q["forget_beat"], {"name": "watch_sla"})
    yield {
        "stage": "staff",
        "total": True,
        "unfinished": shift.unfinished(),
        **dict(sorted(shift.done.items())),
    }


def read_knowledge(truth: Path, month: str) -> Knowledge:
    """What subscribers know of themselves at the end of `month`, from the province's truth."""
    people = read_month(truth, month)
    renewing = frozenset(people.filter("agrees_when_called")["subscriber_id"])
    return Knowledge(
        dict(people.select("subscriber_id", "main_reason").iter_rows()),
        {RENEWAL: Agreed(renewing, "renewed", "contract_end")},
    )


def _grown(after: Counter[str], before: Counter[str]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in sorted(after) if after[name] != before[name]}
