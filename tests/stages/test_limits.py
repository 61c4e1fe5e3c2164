"""Day feeds at work: the gone and the refusing are cancelled, port-out applicants frozen, in every campaign."""

import csv
import itertools
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.config.readers.desk import load_desk
from include.database import engine
from include.desk.calls.talks import Talk, keep_talk
from include.desk.tickets import contacts, life_cycle, plans
from include.desk.tickets.transaction import Actor, AtDesk
from include.domain.day_feeds import FEEDS
from include.domain.errors import Refused
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.stages import collection, limits
from include.stages.release import release
from include.stages.sla import watch
from tests.conftest import ROOT
from tests.fixtures.lakes import put
from tests.fixtures.work import FRIDAY, People, fill_cycle, hire, snapshot

MONDAY = FRIDAY + timedelta(days=3)
TUESDAY = FRIDAY + timedelta(days=4)
WEDNESDAY = FRIDAY + timedelta(days=5)
THURSDAY = FRIDAY + timedelta(days=6)
CHANGES, CONTACTS = "subscriber_changes", "contact_limits"


@dataclass(frozen=True)
class Mornings:
    """What a morning is run with: deliver days, then `work` collects and processes them."""

    db: sa.Connection
    lake: Lake
    config: Config
    landing: Path

    def changed(self, day: str, *rows: tuple[str, str, str]) -> None:
        """Deliver a day of (subscriber, time, kind)."""
        told = [(who, f"{day}T{at}:00+08:00", kind) for who, at, kind in rows]
        self._deliver(CHANGES, day, ("subscriber_id", "occurred_at", "kind"), told)

    def limited(self, day: str, *rows: tuple[str, str, str, str]) -> None:
        """Deliver a day of (subscriber, kind, valid_from, valid_to)."""
        self._deliver(CONTACTS, day, ("subscriber_id", "kind", "valid_from", "valid_to"), rows)

    def _deliver(self, feed: str, day: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        folder = self.landing / feed / f"day={day}"
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "part-1.csv").open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    def collect(self, now: datetime) -> None:
        site = collection.Site(self.db, self.lake, self.config, self.landing, now)
        for each in collection.plan(site, as_of=now, feeds=FEEDS):
            collection.collect(site, collection.DeliveryKey(**each))

    def process(self, now: datetime) -> dict[str, Any]:
        return limits.process(db=self.db, lake=self.lake, config=self.config, now=now)

    def work(self, now: datetime) -> dict[str, Any]:
        self.collect(now)
        return self.process(now)

    def release(self, now: datetime = FRIDAY) -> int:
        return int(release(db=self.db, config=self.config, now=now)["released"])

    def column(self, statement: str, **values: Any) -> list[Any]:
        with self.db.begin():
            return list(self.db.execute(sa.text(statement), values).scalars())

    def state(self, subscriber: str) -> str:
        (state,) = self.column("select state from tickets where subscriber_id = :who", who=subscriber)
        return str(state)

    def events(self, subscriber: str) -> list[str]:
        return self.column(
            "select kind from ticket_events join tickets using (ticket_id) where subscriber_id = :who"
            " order by ticket_events.version",
            who=subscriber,
        )

    def clocks(self, subscriber: str) -> list[dict[str, Any]]:
        return self.column(
            "select to_jsonb(c) from ticket_clocks c join tickets using (ticket_id) where subscriber_id = :who"
            " order by clock, round",
            who=subscriber,
        )


@pytest.fixture
def mornings(db: sa.Connection, lake: Lake, config: Config, tmp_path: Path) -> Mornings:
    (tmp_path / "landing").mkdir()
    return Mornings(db, lake, config, tmp_path / "landing")


@pytest.fixture
def people(db: sa.Connection) -> People:
    return hire(db, contacts_per_day=4)


def everything(mornings: Mornings) -> str:
    """All rows of the tables that processing writes, without their own numbers and instants."""
    told = {
        table: mornings.column(f"select to_jsonb(t) - '{own}' from {table} as t order by 1")
        for table, own in (
            ("tickets", "-"), ("ticket_events", "event_id"), ("ticket_clocks", "-"),
            ("notices", "notice_id"), ("standing_limits", "standing_limit_id"), ("new_holders", "-"),
        )
    }  # fmt: skip
    return json.dumps(told, sort_keys=True)


# ---------------------------------------------------------------- the gone


def test_who_left_loses_every_unfinished_ticket_and_the_assignee_is_told(mornings, people):
    fill_cycle(mornings.db, 2)
    mornings.release()
    mornings.changed("2026-11-08", ("S0001", "10:00", "left"))
    told = mornings.work(MONDAY)
    assert (told["cancelled_because"], told["rows_out"]) == ({"gone": 1}, 1)
    assert (mornings.state("S0001"), mornings.state("S0002")) == ("cancelled", "assigned")
    assert mornings.events("S0001") == ["dispatch", "release", "cancel"]
    assert {clock["voided_at"] is not None for clock in mornings.clocks("S0001")} == {True}
    notices = mornings.column("select details ->> 'reason' from notices where kind = 'ticket_cancelled'")
    assert notices == ["gone"]
    assert mornings.column("select staff_id from notices") == mornings.column(
        "select assignee_id from tickets where subscriber_id = 'S0001'"
    )


def test_a_ticket_that_waits_is_cancelled_before_it_is_handed_out_and_nobody_is_told(mornings, people):
    fill_cycle(mornings.db, 1)
    mornings.changed("2026-11-05", ("S0001", "10:00", "left"))
    mornings.work(FRIDAY)
    assert mornings.state("S0001") == "cancelled"
    assert mornings.release() == 0
    assert mornings.column("select count(*) from notices") == [0]


def test_who_is_in_churned_is_gone_too(mornings, people):
    fill_cycle(mornings.db, 1)
    put(mornings.lake, "churned", "2026-11", [{"subscriber_id": "S0001", "churned_on": date(2026, 11, 4)}])
    assert mornings.process(FRIDAY)["cancelled_because"] == {"gone": 1}


def test_a_breach_that_had_run_out_before_the_leaving_stays_a_breach(mornings, people):
    fill_cycle(mornings.db, 1)
    mornings.release()
    mornings.changed("2026-11-09", ("S0001", "20:00", "left"))
    mornings.work(TUESDAY)  # first contact was due on Monday evening, the plan is on Wednesday
    first, plan = mornings.clocks("S0001")
    assert first["breached_at"] == first["due_at"] and first["voided_at"]
    assert plan["breached_at"] is None and plan["voided_at"]


def test_who_returned_after_leaving_is_not_gone(mornings, people):
    fill_cycle(mornings.db, 1)
    mornings.changed("2026-11-04", ("S0001", "10:00", "left"))
    mornings.changed("2026-11-05", ("S0001", "09:00", "returned"))
    assert mornings.work(FRIDAY)["cancelled"] == 0


def test_a_leaving_of_tomorrow_is_not_known_today(mornings, people):
    fill_cycle(mornings.db, 1)
    mornings.changed("2026-11-06", ("S0001", "10:00", "left"))
    assert mornings.work(FRIDAY)["cancelled"] == 0
    assert mornings.work(FRIDAY + timedelta(hours=2))["cancelled"] == 1


# ---------------------------------------------------------------- port-out applicants


def frozen_on_monday(mornings: Mornings, tickets: int = 1) -> None:
    fill_cycle(mornings.db, tickets)
    mornings.release()
    mornings.changed("2026-11-08", ("S0001", "10:00", "port_out_applied"))
    assert mornings.work(MONDAY)["frozen"] == 1


def test_an_applicants_ticket_freezes_its_clocks_stop_and_the_agent_is_told_why(mornings, people):
    frozen_on_monday(mornings)
    assert (mornings.state("S0001"), mornings.events("S0001")[-1]) == ("assigned", "freeze")
    assert mornings.column("select frozen_because from tickets") == ["port_out_applied"]
    assert all(clock["voided_at"] for clock in mornings.clocks("S0001"))
    watch(db=mornings.db, config=mornings.config, now=MONDAY + timedelta(days=9))
    assert [clock["breached_at"] for clock in mornings.clocks("S0001")] == [None, None]
    assert mornings.column("select kind from notices") == ["ticket_frozen"]


def test_nothing_reaches_a_frozen_subscriber_and_the_desk_says_why(mornings, people, desk, config):
    fill_cycle(mornings.db, 1)
    mornings.release()
    (ticket,) = mornings.column("select ticket_id from tickets")
    (assignee,) = mornings.column("select assignee_id from tickets")
    actor = Actor(desk, config, assignee, ticket, 2, FRIDAY + timedelta(hours=1))
    contacted = contacts.record_contact(actor, channel="call", result="reached")
    mornings.changed("2026-11-08", ("S0001", "10:00", "port_out_applied"))
    mornings.work(MONDAY)
    before, actor = snapshot(mornings.db, ticket), replace(actor, version=contacted + 1, now=MONDAY)
    steps: tuple[tuple[Callable[..., int], dict[str, Any]], ...] = (
        (contacts.record_contact, {"channel": "call", "result": "reached"}),
        (contacts.record_survey, {"needs": ["price"]}),
        (plans.record_plan, {"strategy": "plan_discount"}),
        (life_cycle.pause, {"call_back_on": THURSDAY.date()}),
        (life_cycle.close, {"outcome": "declined"}),
    )
    for step, words in steps:
        with pytest.raises(Refused, match=r"frozen.*applied to port out"):
            step(actor, **words)
    assert snapshot(mornings.db, ticket) == before


def test_a_lead_may_still_withdraw_or_hand_over_a_frozen_ticket(mornings, people, desk, config):
    frozen_on_monday(mornings)
    (ticket,) = mornings.column("select ticket_id from tickets")
    lead = Actor(desk, config, people.lead, ticket, 3, MONDAY)
    version = life_cycle.reassign(lead, people.colleague)
    life_cycle.cancel(replace(lead, version=version), reason="withdrawn")
    assert mornings.state("S0001") == "cancelled"


def test_a_frozen_waiting_ticket_is_not_handed_out_without_staff_either(mornings):
    fill_cycle(mornings.db, 2)
    mornings.changed("2026-11-05", ("S0001", "10:00", "port_out_applied"))
    mornings.work(FRIDAY)
    assert mornings.release() == 1
    assert (mornings.state("S0001"), mornings.state("S0002")) == ("waiting", "assigned")
    assert mornings.column("select count(*) from notices") == [0]


def test_a_pause_ends_when_its_ticket_freezes(mornings, people, desk, config):
    fill_cycle(mornings.db, 1)
    mornings.release()
    (ticket,), (assignee,) = (
        mornings.column(f"select {name} from tickets") for name in ("ticket_id", "assignee_id")
    )
    actor = Actor(desk, config, assignee, ticket, 2, FRIDAY + timedelta(hours=1))
    actor = replace(actor, version=contacts.record_contact(actor, channel="call", result="reached"))
    life_cycle.pause(actor, call_back_on=TUESDAY.date())
    mornings.changed("2026-11-08", ("S0001", "10:00", "port_out_applied"))
    mornings.work(MONDAY)
    assert mornings.events("S0001")[-3:] == ["pause", "resume", "freeze"]
    assert mornings.state("S0001") == "in_progress"
    mornings.changed("2026-11-09", ("S0001", "12:00", "returned"))
    mornings.work(TUESDAY)
    (version,) = mornings.column("select version from tickets")
    life_cycle.pause(replace(actor, version=version, now=TUESDAY), call_back_on=THURSDAY.date())
    assert mornings.state("S0001") == "paused"


def test_who_stays_after_all_is_unfrozen_with_a_new_round_of_each_unmet_clock(mornings, people, desk, config):
    fill_cycle(mornings.db, 1)
    mornings.release()
    (ticket,), (assignee,) = (
        mornings.column(f"select {name} from tickets") for name in ("ticket_id", "assignee_id")
    )
    actor = Actor(desk, config, assignee, ticket, 2, FRIDAY + timedelta(hours=1))
    contacts.record_contact(actor, channel="call", result="reached")
    mornings.changed("2026-11-08", ("S0001", "10:00", "port_out_applied"))
    mornings.work(MONDAY)
    mornings.changed("2026-11-09", ("S0001", "12:00", "returned"))
    assert mornings.work(TUESDAY)["unfrozen"] == 1
    assert mornings.events("S0001")[-2:] == ["freeze", "unfreeze"]
    rounds = [(clock["clock"], clock["round"]) for clock in mornings.clocks("S0001")]
    assert rounds == [("first_contact", 1), ("plan", 1), ("plan", 2)]  # the first contact was met before
    plan = mornings.clocks("S0001")[-1]
    assert datetime.fromisoformat(plan["due_at"]) == datetime(2026, 11, 13, 18, tzinfo=ZONE)
    assert plan["voided_at"] is None
    (version,) = mornings.column("select version from tickets")
    assert contacts.record_survey(replace(actor, version=version, now=TUESDAY), needs=["price"])


def test_the_calendar_is_asked_for_before_any_ticket_is_locked(mornings, people):
    frozen_on_monday(mornings)
    mornings.changed("2026-11-09", ("S0001", "12:00", "returned"))
    mornings.collect(TUESDAY)
    told: list[str] = []
    sa.event.listen(mornings.db, "before_cursor_execute", lambda *given: told.append(given[2]))
    assert mornings.process(TUESDAY)["unfrozen"] == 1
    first = [next(n for n, said in enumerate(told) if words in said) for words in ("'calendar'", "tickets")]
    assert first == sorted(first)


def test_an_unfrozen_ticket_that_waits_is_released_with_its_first_clocks(mornings, people):
    fill_cycle(mornings.db, 1)
    mornings.changed("2026-11-05", ("S0001", "10:00", "port_out_applied"))
    mornings.work(FRIDAY)
    mornings.changed("2026-11-08", ("S0001", "10:00", "returned"))
    mornings.work(MONDAY)
    assert mornings.release(MONDAY) == 1
    assert [(clock["clock"], clock["round"]) for clock in mornings.clocks("S0001")] == [
        ("first_contact", 1), ("plan", 1),
    ]  # fmt: skip


def test_an_applicant_who_leaves_is_cancelled(mornings, people):
    frozen_on_monday(mornings)
    mornings.changed("2026-11-09", ("S0001", "12:00", "left"))
    assert mornings.work(TUESDAY)["cancelled_because"] == {"gone": 1}


# ---------------------------------------------------------------- refusals


def test_an_unfinished_ticket_of_who_refuses_is_cancelled(mornings, people):
    fill_cycle(mornings.db, 4)
    mornings.release()
    kinds = ("refused", "do_not_disturb", "red_list")
    mornings.limited("2026-11-08", *((f"S000{n}", kind, "2026-11-08", "") for n, kind in enumerate(kinds, 1)))
    assert mornings.work(MONDAY)["cancelled_because"] == dict.fromkeys(sorted(kinds), 1)
    assert mornings.state("S0004") == "assigned"
    assert mornings.column("select details ->> 'reason' from notices order by 1") == sorted(kinds)


def test_contacted_elsewhere_holds_a_ticket_back_until_it_ends_and_cancels_none(mornings, people):
    fill_cycle(mornings.db, 1)
    mornings.limited("2026-11-05", ("S0001", "contacted_elsewhere", "2026-11-05", "2026-11-09"))
    assert mornings.work(FRIDAY)["cancelled"] == 0
    assert (mornings.release(FRIDAY), mornings.release(MONDAY), mornings.release(TUESDAY)) == (0, 0, 1)


def test_a_limit_holds_from_its_first_to_its_last_day_and_a_refusal_for_good(mornings, people):
    fill_cycle(mornings.db, 4)
    mornings.limited(
        "2026-11-05",
        ("S0001", "refused", "2026-01-02", "2026-02-03"),
        ("S0002", "do_not_disturb", "2026-10-01", "2026-11-05"),
        ("S0003", "red_list", "2026-11-09", ""),
        ("S0004", "do_not_disturb", "2026-10-01", "2026-11-06"),
    )
    assert mornings.work(FRIDAY)["cancelled_because"] == {"refused": 1, "do_not_disturb": 1}
    assert (mornings.state("S0001"), mornings.state("S0004")) == ("cancelled", "cancelled")
    assert mornings.work(MONDAY)["cancelled_because"] == {"red_list": 1}
    assert mornings.state("S0002") == "waiting"


def test_a_refusal_by_one_number_holds_for_every_number_of_the_customer(mornings, people):
    profile = [{"subscriber_id": name, "customer_id": "C1"} for name in ("S0001", "S0007")]
    put(mornings.lake, "subscribers", "2026-10", profile)
    mornings.limited("2026-11-05", ("S0007", "refused", "2026-11-05", ""))
    mornings.work(FRIDAY)
    with mornings.db.begin():
        asked = mornings.db.execute(sa.text("select standing_limit('S0001', 'C1', '2026-11-06')")).scalar()
        stranger = mornings.db.execute(sa.text("select standing_limit('S0002', 'C2', '2026-11-06')")).scalar()
    assert (asked, stranger) == ("refused", None)


def test_what_the_desk_was_told_counts_like_what_the_feed_says(mornings, people):
    fill_cycle(mornings.db, 1)
    with mornings.db.begin():
        mornings.db.execute(
            sa.text(
                "insert into refusals (subscriber_id, customer_key, refused_at, staff_id, ticket_id, words)"
                " select subscriber_id, customer_key, :at, :staff, ticket_id, 'no calls' from tickets"
            ),
            {"staff": people.agent, "at": FRIDAY - timedelta(days=1)},
        )
    assert mornings.process(FRIDAY)["cancelled_because"] == {"refused": 1}


# ---------------------------------------------------------------- numbers that went to somebody new

JOINED = date(2026, 10, 5)


def profiles(mornings: Mornings, **months: Sequence[tuple[str, str | None, date]]) -> None:
    """Profiles by month (m2026_10=…) of (number, customer, joined on)."""
    for month, people in months.items():
        rows = [{"subscriber_id": who, "customer_id": key, "joined_on": day} for who, key, day in people]
        put(mornings.lake, "subscribers", month[1:].replace("_", "-"), rows, customer_id=pl.String)


def recycle(mornings: Mornings, left_on: date | None = date(2026, 8, 31), former: str | None = "C1") -> None:
    """S0001 was C1's, who has S0002 too, and has been C99's since 5 October, who has S0003 too."""
    old = date(2020, 1, 1)
    profiles(
        mornings,
        m2026_08=[("S0001", former, old), ("S0002", "C1", old), ("S0003", "C99", old)],
        m2026_10=[("S0001", "C99", JOINED), ("S0002", "C1", old), ("S0003", "C99", old)],
    )
    if left_on is not None:
        put(mornings.lake, "churned", f"{left_on:%Y-%m}", [{"subscriber_id": "S0001", "churned_on": left_on}])


def standing(mornings: Mornings, day: str = "2026-11-06") -> dict[str, str]:
    """The limit of each of the three numbers, as every place asks for it."""
    keys = {"S0001": "C99", "S0002": "C1", "S0003": "C99"}
    asked = "select standing_limit(:who, :key, cast(:day as date))"
    found = {who: mornings.column(asked, who=who, key=key, day=day)[0] for who, key in keys.items()}
    return {who: kind for who, kind in found.items() if kind}


def test_a_former_holders_refusal_lapses_for_the_number_and_holds_for_the_customer(mornings, people):
    fill_cycle(mornings.db, 3)
    recycle(mornings)
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    told = mornings.work(FRIDAY)
    assert standing(mornings) == {"S0002": "refused"}
    assert told["told"] == {"lapsed": 1, "rejoined": 0, "unknown": 0, "resolved": 0}
    assert "1 limits of contact were said by a former holder of the number" in told["message"]
    assert (mornings.state("S0001"), told["cancelled"]) == ("waiting", 0)  # in the tickets each is a customer
    assert mornings.column("select subscriber_id || left_on || joined_on from new_holders") == [
        "S00012026-08-312026-10-05"
    ]


def test_a_former_holder_without_a_customer_takes_the_refusal_along(mornings, people):
    fill_cycle(mornings.db, 3)
    recycle(mornings, former=None)
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    assert mornings.work(FRIDAY)["cancelled"] == 0
    assert standing(mornings) == {}
    assert mornings.column("select standing_limit('S0001', 'S0001', '2026-11-06')") == [None]


def test_a_former_holder_of_whom_no_profile_is_left_takes_the_refusal_along(mornings, people):
    fill_cycle(mornings.db, 3)
    profiles(mornings, m2026_10=[("S0001", "C99", JOINED), ("S0003", "C99", date(2020, 1, 1))])
    put(mornings.lake, "churned", "2026-08", [{"subscriber_id": "S0001", "churned_on": date(2026, 8, 31)}])
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    assert mornings.work(FRIDAY)["cancelled"] == 0
    assert standing(mornings) == {}


def test_profiles_that_tell_no_joining_are_a_former_holders_before_the_month_of_the_joining(mornings, people):
    recycle(mornings)
    rows = [{"subscriber_id": "S0001", "customer_id": "C1"}, {"subscriber_id": "S0002", "customer_id": "C1"}]
    put(mornings.lake, "subscribers", "2026-08", rows)
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    mornings.work(FRIDAY)
    assert standing(mornings) == {"S0002": "refused"}


def test_a_refusal_of_the_new_holder_holds_for_all_their_numbers(mornings, people):
    recycle(mornings)
    mornings.limited("2026-10-20", ("S0001", "refused", "2026-10-20", ""))
    mornings.work(FRIDAY)
    assert standing(mornings) == {"S0001": "refused", "S0003": "refused"}


@pytest.mark.parametrize("left_on", [None, date(2026, 5, 9)])
def test_a_refusal_stands_and_is_told_when_no_leaving_lies_between_it_and_the_joining(
    mornings, people, left_on
):
    fill_cycle(mornings.db, 1)
    recycle(mornings, left_on)
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    told = mornings.work(FRIDAY)
    assert told["cancelled_because"] == {"refused": 1}
    assert told["told"] == {"lapsed": 0, "rejoined": 1, "unknown": 0, "resolved": 0}
    assert "1 limits of contact are older than the joining of their number" in told["message"]


def test_who_returned_has_refused_still(mornings, people):
    recycle(mornings)
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    mornings.changed("2026-10-05", ("S0001", "09:00", "returned"))
    assert mornings.work(FRIDAY)["told"]["rejoined"] == 1
    assert "S0001" in standing(mornings)


def test_what_a_former_holder_told_the_desk_lapses_alike(mornings, people):
    recycle(mornings)
    with mornings.db.begin():
        mornings.db.execute(
            sa.text(
                "insert into refusals (subscriber_id, customer_key, refused_at, staff_id, words)"
                " values ('S0001', 'C1', '2026-05-10T20:00+08:00', :staff, 'no calls')"
            ),
            {"staff": people.agent},
        )
    assert mornings.work(FRIDAY)["told"]["lapsed"] == 1
    assert standing(mornings) == {"S0002": "refused"}


def test_a_new_holder_who_refuses_at_the_desk_as_the_former_one_did_is_left_in_peace(mornings, people, desk):
    recycle(mornings, former=None)
    rules = load_desk(ROOT / "include" / "config")
    talk = Talk(
        "churn_warning", "S0001", "call", "no calls", "promised", is_refusal=True, is_unknown_confirmed=True
    )
    for said_at in (datetime(2026, 5, 10, 20, tzinfo=ZONE), datetime(2026, 11, 3, 10, tzinfo=ZONE)):
        keep_talk(AtDesk(desk, people.agent, said_at), mornings.config, rules, talk)
    assert mornings.work(FRIDAY)["told"]["lapsed"] == 0
    # and so are the other numbers of the customer the profile knows the new holder by
    assert standing(mornings) == {"S0001": "refused", "S0003": "refused"}
    assert mornings.column("select subscriber_id from refusals where customer_key = subscriber_id") == [
        "S0001"
    ]


@pytest.mark.parametrize("typed", ["S0001", "s0001", "13800000001", "+86 138-0000-0001"])
def test_a_refusal_of_somebody_the_desk_did_not_know_holds_for_the_subscriber_and_the_customer(
    mornings, people, desk, typed
):
    old = date(2020, 1, 1)
    profiles(mornings, m2026_10=[("S0001", "C1", old), ("S0002", "C1", old), ("S0003", "C99", old)])
    put(mornings.lake, "contacts", "2026-10", [{"subscriber_id": "S0001", "msisdn": "13800000001"}])
    rules = load_desk(ROOT / "include" / "config")
    talk = Talk(
        "churn_warning", typed, "call", "no calls", "promised", is_refusal=True, is_unknown_confirmed=True
    )
    keep_talk(AtDesk(desk, people.agent, FRIDAY), mornings.config, rules, talk)
    for _ in range(2):
        told = mornings.work(FRIDAY + timedelta(hours=1))["told"]
    assert told["resolved"] == 0  # once done it is done
    limited = "select standing_limit(:who, :key, cast('2026-11-06' as date))"
    found = [
        mornings.column(limited, who=who, key=key)[0]
        for who, key in (("S0001", "C1"), ("S0002", "C1"), ("S0003", "C99"))
    ]
    assert found == ["refused", "refused", None]


def test_a_refusal_typed_in_a_case_that_two_could_mean_holds_for_neither(mornings, people, desk):
    old = date(2020, 1, 1)
    profiles(mornings, m2026_10=[("Ab", None, old), ("aB", None, old)])
    rules = load_desk(ROOT / "include" / "config")
    talk = Talk(
        "churn_warning", "AB", "call", "no calls", "promised", is_refusal=True, is_unknown_confirmed=True
    )
    keep_talk(AtDesk(desk, people.agent, FRIDAY), mornings.config, rules, talk)
    told = mornings.work(FRIDAY + timedelta(hours=1))
    assert (told["told"]["resolved"], told["told"]["unknown"]) == (0, 1)


def test_a_leaving_taken_back_by_a_corrected_delivery_brings_the_refusal_back(mornings, people):
    recycle(mornings)
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    mornings.work(FRIDAY)
    put(mornings.lake, "churned", "2026-08", [{"subscriber_id": "S0009", "churned_on": date(2026, 8, 31)}])
    mornings.work(MONDAY)
    assert {"S0001", "S0003"} <= standing(mornings).keys()


def test_a_leaving_the_lake_no_longer_reaches_back_to_is_remembered(mornings, people):
    recycle(mornings)
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    mornings.work(FRIDAY)
    mornings.lake.drop("churned", "2026-08")
    put(mornings.lake, "churned", "2026-10", [{"subscriber_id": "S0009", "churned_on": date(2026, 10, 31)}])
    assert mornings.work(MONDAY)["told"]["lapsed"] == 1
    mornings.lake.drop("churned", "2026-10")
    mornings.work(TUESDAY)
    assert standing(mornings) == {"S0002": "refused"}


def test_a_number_that_left_the_profile_keeps_the_customer_it_had(mornings, people):
    old = date(2020, 1, 1)
    profiles(
        mornings,
        m2026_08=[("S0001", "C1", old), ("S0002", "C1", old)],
        m2026_10=[("S0002", "C1", old), ("S0003", "C99", old)],
    )
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    mornings.work(FRIDAY)
    assert standing(mornings)["S0002"] == "refused"


def test_a_number_left_by_two_holders_keeps_the_customer_of_the_one_who_refused(mornings, people):
    recycle(mornings)
    profiles(mornings, m2026_11=[("S0002", "C1", date(2020, 1, 1)), ("S0003", "C99", date(2020, 1, 1))])
    mornings.limited("2026-05-10", ("S0001", "refused", "2026-05-10", ""))
    mornings.changed("2026-11-08", ("S0001", "10:00", "left"))
    mornings.work(MONDAY)
    assert "S0002" in standing(mornings) and "S0003" not in standing(mornings)


def test_a_limit_of_an_id_nobody_knows_is_told_and_holds_as_soon_as_the_id_appears(mornings, people):
    fill_cycle(mornings.db, 2)
    profiles(mornings, m2026_09=[("S0002", "C1", date(2020, 1, 1))])
    mornings.limited("2026-10-05", ("S0001", "refused", "2026-10-05", ""))
    told = mornings.work(FRIDAY - timedelta(days=1))
    assert told["told"] == {"lapsed": 0, "rejoined": 0, "unknown": 1, "resolved": 0}
    assert "1 limits of contact name ids no profile has" in told["message"]
    assert told["cancelled_because"] == {"refused": 1}
    assert "S0002" not in standing(mornings)
    profiles(mornings, m2026_10=[("S0001", "C1", date(2020, 1, 1)), ("S0002", "C1", date(2020, 1, 1))])
    assert mornings.work(FRIDAY)["told"]["unknown"] == 0
    assert standing(mornings)["S0002"] == "refused"


def test_where_nobody_has_a_customer_one_refusal_bars_one_person(mornings, people):
    fill_cycle(mornings.db, 3)
    profiles(mornings, m2026_10=[(f"S000{n}", None, date(2020, 1, n)) for n in (1, 2, 3)])
    mornings.limited("2026-10-10", ("S0002", "refused", "2026-10-10", ""))
    assert mornings.work(FRIDAY)["cancelled"] == 1
    assert [mornings.state(f"S000{n}") for n in (1, 2, 3)] == ["waiting", "cancelled", "waiting"]


# ---------------------------------------------------------------- once, and the same in any order


def three_days(mornings: Mornings) -> list[Callable[[], None]]:
    """Deliveries that contradict each other unless read by their dates."""
    return [
        lambda: mornings.changed("2026-11-03", ("S0001", "09:00", "left"), ("S0002", "08:00", "port_out_applied")),
        lambda: mornings.changed("2026-11-04", ("S0001", "09:00", "returned"), ("S0003", "08:00", "left")),
        lambda: mornings.changed("2026-11-05", ("S0002", "08:00", "returned"), ("S0004", "08:00", "port_out_applied")),
        lambda: mornings.limited("2026-11-05", ("S0005", "refused", "2026-11-05", "")),
    ]  # fmt: skip


def test_days_in_any_order_give_the_same_tickets(mornings, people):
    fill_cycle(mornings.db, 6)
    seen = set()
    for order in itertools.islice(itertools.permutations(range(4)), 0, 24, 5):
        root = mornings.lake.root.with_name(f"lake-{'-'.join(map(str, order))}")
        fresh = replace(mornings, lake=Lake.create(root), landing=mornings.landing / root.name)
        with mornings.db.begin():
            mornings.db.execute(sa.text("delete from deliveries"))
        with rolled_back(mornings.db):
            days = three_days(fresh)
            for nth in order:
                days[nth]()
                fresh.collect(FRIDAY)
            fresh.process(FRIDAY)
            seen.add(everything(fresh))
    assert len(seen) == 1


@contextmanager
def rolled_back(db: sa.Connection) -> Iterator[None]:
    """Everything done meanwhile on the connection is undone at the end."""
    begin, outer = db.begin, db.begin()
    db.begin = db.begin_nested  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        db.begin = begin  # type: ignore[method-assign]
        outer.rollback()


def test_processed_twice_is_processed_once(mornings, people):
    fill_cycle(mornings.db, 6)
    for deliver in three_days(mornings):
        deliver()
    assert mornings.work(FRIDAY)["rows_out"] == 3
    before = everything(mornings)
    assert mornings.work(FRIDAY + timedelta(hours=1))["rows_out"] == 0
    assert everything(mornings) == before


def test_killed_before_its_end_it_has_done_nothing_and_the_next_does_all(mornings, people, monkeypatch):
    fill_cycle(mornings.db, 6)
    for deliver in three_days(mornings):
        deliver()
    mornings.collect(FRIDAY)
    before = everything(mornings)
    with monkeypatch.context() as patch:
        patch.setitem(limits.Q, "beat", sa.text("select 1 / 0"))
        with pytest.raises(sa.exc.SQLAlchemyError):
            mornings.process(FRIDAY)
    assert everything(mornings) == before
    assert mornings.process(FRIDAY)["rows_out"] == 3


def test_two_at_once_do_it_once(mornings, people, role_url):
    fill_cycle(mornings.db, 6)
    for deliver in three_days(mornings):
        deliver()
    mornings.collect(FRIDAY)
    told: list[int] = []

    def process() -> None:
        made = engine(role_url("churn_loop"))
        with made.connect() as db:
            told.append(replace(mornings, db=db).process(FRIDAY)["rows_out"])
        made.dispose()

    threads = [threading.Thread(target=process) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [0, 3]


def test_tickets_are_locked_by_number_so_that_nobody_waits_in_a_ring(mornings, people, role_url):
    fill_cycle(mornings.db, 2)
    mornings.changed("2026-11-05", ("S0002", "10:00", "left"), ("S0001", "10:00", "port_out_applied"))
    mornings.collect(FRIDAY)
    made, lock = (
        engine(role_url("churn_loop")),
        "select 1 from tickets where subscriber_id = '{}' for update nowait",
    )
    waits = sa.text("select count(*) from pg_locks where not granted")
    morning = threading.Thread(target=lambda: mornings.process(FRIDAY))
    with made.connect() as other, other.begin():
        other.execute(sa.text(lock.format("S0001")))
        morning.start()
        deadline = time.monotonic() + 30
        while not other.execute(waits).scalar() and time.monotonic() < deadline:
            time.sleep(0.05)
        other.execute(sa.text(lock.format("S0002")))  # refused while it waits with this one in hand
    morning.join()
    made.dispose()
    assert (mornings.state("S0001"), mornings.state("S0002")) == ("waiting", "cancelled")


def test_a_day_delivered_again_replaces_its_rows(mornings, people):
    fill_cycle(mornings.db, 3)
    mornings.limited("2026-11-04", ("S0009", "refused", "2026-11-04", ""))
    mornings.limited("2026-11-05", ("S0008", "refused", "2026-11-05", ""))
    mornings.work(FRIDAY)
    mornings.limited("2026-11-05", ("S0002", "red_list", "2026-11-05", ""))
    mornings.work(FRIDAY)
    assert mornings.column("select subscriber_id || kind from standing_limits order by 1") == [
        "S0002red_list", "S0009refused",
    ]  # fmt: skip


def test_an_application_taken_back_by_a_corrected_delivery_unfreezes(mornings, people):
    frozen_on_monday(mornings)
    mornings.changed("2026-11-08", ("S0009", "10:00", "port_out_applied"))
    assert mornings.work(TUESDAY)["unfrozen"] == 1


def test_limits_of_a_month_no_longer_in_the_lake_still_stand(mornings, people):
    mornings.limited("2026-11-05", ("S0001", "refused", "2026-11-05", ""))
    mornings.work(FRIDAY)
    shutil.rmtree(mornings.lake.root / CONTACTS)
    fill_cycle(mornings.db, 1)
    assert mornings.process(FRIDAY)["cancelled_because"] == {"refused": 1}


def test_it_says_until_when_each_feed_is_known(mornings, people):
    mornings.changed("2026-11-04", ("S0009", "10:00", "left"))
    told = mornings.work(FRIDAY)
    assert (
        told["message"] == "subscriber_changes is known until 2026-11-04; contact_limits was never delivered."
    )


def test_an_empty_lake_changes_nothing(mornings, people):
    fill_cycle(mornings.db, 1)
    before = everything(mornings)
    assert mornings.process(FRIDAY)["rows_out"] == 0
    assert everything(mornings) == before


def test_the_desk_sees_the_limits_of_its_own_tickets_alone(mornings, people, desk):
    fill_cycle(mornings.db, 1)
    mornings.release()
    (assignee,) = mornings.column("select assignee_id from tickets")
    mine = ("S0001", "contacted_elsewhere", "2026-11-05", "")
    mornings.limited("2026-11-05", mine, ("S0099", "refused", "2026-11-05", ""))
    mornings.work(FRIDAY)
    seen = sa.text("select count(*) from standing_limits")
    with acting(desk, assignee):
        assert desk.execute(seen).scalar() == 1
    with acting(desk, people.stranger):
        assert desk.execute(seen).scalar() == 0


@contextmanager
def acting(desk: sa.Connection, staff_id: int) -> Iterator[None]:
    """A transaction of the desk for a person."""
    with desk.begin() as begun:
        desk.execute(sa.text("select set_config('app.staff_id', :id, true)"), {"id": str(staff_id)})
        yield
        if begun.is_valid:
            begun.commit()
