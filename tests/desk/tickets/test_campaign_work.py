"""The work on a ticket is drawn from its campaign: clocks and what stops them, survey, checklist, endings."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.config import Config
from include.database import engine
from include.desk.tickets import checks, contacts, life_cycle
from include.desk.tickets.transaction import Actor, identify
from include.domain.errors import BadInput, ConfigError, Refused
from include.domain.periods.months import ZONE
from include.stages import sla
from tests.fixtures.renewal import FILE, RENEWAL, TEXT, release_renewals, with_renewal
from tests.fixtures.work import FRIDAY, People, hire

MONDAY = FRIDAY + timedelta(days=3)
ITEMS = ("terms_read", "identity_seen")


def at(day: int, hour: int = 18) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=ZONE)


@pytest.fixture
def renewals(config: Config) -> Config:
    return with_renewal(config)


@pytest.fixture
def people(db: sa.Connection) -> People:
    return hire(db)


@pytest.fixture
def agent(db: sa.Connection, desk: sa.Connection, renewals: Config, people: People) -> Actor:
    """The agent on a ticket of the second campaign as released on Friday, on the Saturday after."""
    (ticket,) = release_renewals(db, renewals, 1)
    return Actor(desk, renewals, people.agent, ticket, 2, at(7, 10))


@pytest.fixture
def clocks(db: sa.Connection) -> Callable[..., dict[tuple[str, int], sa.Row]]:
    """The clocks of a ticket by name and round."""

    def read(ticket_id: int) -> dict[tuple[str, int], sa.Row]:
        with db.begin():
            rows = db.execute(sa.text("select * from ticket_clocks where ticket_id = :id"), {"id": ticket_id})
            return {(row.clock, row.round): row for row in rows}

    return read


def ticket_row(db: sa.Connection, ticket_id: int) -> sa.Row:
    with db.begin():
        return db.execute(sa.text("select * from tickets where ticket_id = :id"), {"id": ticket_id}).one()


def called(actor: Actor, result: str = "reached") -> Actor:
    return replace(actor, version=contacts.record_contact(actor, channel="call", result=result))


def ticked(actor: Actor, *items: str) -> Actor:
    return replace(actor, version=checks.record_checks(actor, items=items))


def test_a_ticket_gets_the_clocks_its_campaign_names(db, agent, clocks):
    """Friday's ticket: working days to Monday and to the Friday after next, calendar days over the weekend."""
    found = clocks(agent.ticket_id)
    assert {name: (row.stops, row.due_at, row.warn_at) for (name, _), row in found.items()} == {
        "first_contact": ("contact", at(9), at(9, 15)),
        "talk": ("reached", at(8), at(8)),
        "checked": ("checklist", at(11), at(10)),
        "done": ("closed", at(20), at(17)),
    }
    assert [note["reason"] for note in found["talk", 1].explanation["days"]] == [
        "opened", "calendar", "calendar",
    ]  # fmt: skip
    assert ticket_row(db, agent.ticket_id).due_at == at(8)


def test_the_first_attempt_meets_one_clock_and_the_first_talk_another(db, agent, clocks):
    agent = called(agent, "no_answer")
    assert [name for (name, _), row in clocks(agent.ticket_id).items() if row.met_at] == ["first_contact"]
    called(agent, "refused")
    met = {name for (name, _), row in clocks(agent.ticket_id).items() if row.met_at}
    assert met == {"first_contact", "talk"}
    assert ticket_row(db, agent.ticket_id).due_at == at(11)


def test_the_last_item_of_the_checklist_meets_its_clock_and_lets_the_ending_be(db, agent, clocks):
    agent = called(agent)
    with pytest.raises(Refused, match="'renewed' needs a checklist"):
        life_cycle.close(agent, outcome="renewed")
    agent = ticked(agent, ITEMS[0], ITEMS[0])
    assert clocks(agent.ticket_id)["checked", 1].met_at is None
    with pytest.raises(Refused, match="'renewed' needs a checklist"):
        life_cycle.close(agent, outcome="renewed")
    agent = ticked(agent, *ITEMS)
    assert clocks(agent.ticket_id)["checked", 1].met_at == agent.now
    life_cycle.close(agent, outcome="renewed", satisfaction=9)
    closed = ticket_row(db, agent.ticket_id)
    assert (closed.outcome, closed.is_willing, closed.due_at) == ("renewed", True, None)
    assert all(row.met_at for row in clocks(agent.ticket_id).values())
    with db.begin():
        rows = db.execute(
            sa.text("select details -> 'items' from ticket_events where kind = 'check' order by version")
        )
        assert list(rows.scalars()) == [[ITEMS[0]], [ITEMS[1]]]


def test_what_is_ticked_already_or_on_no_checklist_is_refused(agent):
    agent = ticked(called(agent), *ITEMS)
    with pytest.raises(Refused, match=rf"ticked already on ticket {agent.ticket_id}"):
        ticked(agent, ITEMS[0])
    with pytest.raises(BadInput, match=r"one or more of terms_read, identity_seen; got shoe_size"):
        ticked(agent, "shoe_size")
    with pytest.raises(BadInput, match="got none"):
        ticked(agent)


def test_endings_and_needs_are_the_campaigns_own(db, agent):
    agent = called(agent)
    for foreign in ("retained", "no_intention"):
        with pytest.raises(BadInput, match=r"Choose one of renewed, thinking, refused_contact, not_reached"):
            life_cycle.close(agent, outcome=foreign)
    with pytest.raises(BadInput, match=r"one or more of price, contract_end, roaming; got network"):
        contacts.record_survey(agent, needs=["network"])
    with pytest.raises(Refused, match="'not_reached' needs the contact procedure"):
        life_cycle.close(agent, outcome="not_reached")
    agent = replace(agent, version=contacts.record_survey(agent, needs=["roaming"]))
    life_cycle.close(agent, outcome="thinking")
    assert ticket_row(db, agent.ticket_id).is_willing is False


def test_a_pause_rests_every_clock_and_a_deadline_that_has_passed_stands(agent, clocks):
    agent = replace(called(agent, "no_answer"), now=at(9, 10))  # the talk was due on Sunday
    paused = replace(agent, version=life_cycle.pause(agent, call_back_on=date(2026, 11, 11)))
    moved = clocks(agent.ticket_id)
    assert {name: row.due_at for (name, _), row in moved.items() if row.met_at is None} == {
        "talk": at(8), "checked": at(13), "done": at(24),
    }  # fmt: skip
    reasons = [note["reason"] for note in moved["checked", 1].explanation["days"]]
    assert reasons == [
        "opened",
        "calendar",
        "calendar",
        "paused",
        "paused",
        "calendar",
        "calendar",
        "calendar",
    ]
    life_cycle.resume(replace(paused, now=at(10, 10)))  # Tuesday counts again
    back = {name: row.due_at for (name, _), row in clocks(agent.ticket_id).items() if row.met_at is None}
    assert back == {"talk": at(8), "checked": at(12), "done": at(23)}


def test_a_pause_is_refused_when_every_deadline_has_passed(agent):
    agent = replace(called(agent), now=at(23, 10))
    with pytest.raises(Refused, match=r"was due at 2026-11-20 18:00; a pause cannot undo that"):
        life_cycle.pause(agent, call_back_on=date(2026, 11, 25))


@pytest.mark.parametrize(("items", "again"), [(ITEMS, {"done"}), (ITEMS[:1], {"done", "checked"})])
def test_a_reopened_ticket_gets_new_clocks_for_what_is_left_to_do(agent, people, clocks, items, again):
    agent = ticked(called(agent), *items)
    agent = replace(agent, version=contacts.record_survey(agent, needs=["price"]))
    closed = replace(
        agent, version=life_cycle.close(agent, outcome="thinking"), staff_id=people.lead, now=MONDAY
    )
    opened = replace(closed, version=life_cycle.reopen(closed, reason="called back"))
    second = {name: row for (name, nth), row in clocks(agent.ticket_id).items() if nth == 2}
    assert set(second) == again
    assert second["done"].due_at == at(23)
    with pytest.raises(Refused, match="needs a needs survey"):  # recorded anew
        life_cycle.close(opened, outcome="thinking")
    if items == ITEMS:  # what is ticked stays ticked
        life_cycle.close(opened, outcome="renewed")


def test_clocks_of_any_name_warn_breach_escalate_and_are_void(db, agent, renewals, people, clocks):
    told = sla.watch(db=db, config=renewals, now=at(8, 19))
    assert (told["breached"], told["escalated"]) == (1, 1)
    told = sla.watch(db=db, config=renewals, now=at(10, 19))
    assert told["warned"] == 1  # the checklist, due on Wednesday
    with db.begin():
        rows = db.execute(sa.text("select kind, audience, details ->> 'clock' as clock from notices"))
        assert {tuple(row) for row in rows} == {
            ("clock_breached", "assignee", "talk"), ("clock_breached", "branch_manager", "talk"),
            ("clock_breached", "lead", "first_contact"), ("clock_warned", "assignee", "checked"),
        }  # fmt: skip
    life_cycle.cancel(replace(agent, staff_id=people.lead, now=at(10, 20)), reason="gone")
    assert all(row.voided_at == at(10, 20) for row in clocks(agent.ticket_id).values())


def test_an_edit_of_the_file_changes_no_running_clock(config, agent, clocks):
    edited = TEXT.replace("days: 2, counts: calendar, stops: reached", "days: 9, stops: survey")
    before = clocks(agent.ticket_id)
    actor = called(replace(agent, config=with_renewal(config, edited)))
    after = clocks(agent.ticket_id)
    assert (after["talk", 1].met_at, after["talk", 1].due_at) == (actor.now, before["talk", 1].due_at)


@pytest.mark.parametrize("text", ["nonsense", None])
def test_a_ticket_whose_campaigns_file_is_wrong_or_gone_is_worked_by_that_of_its_cycle(
    db, config, agent, clocks, people, text
):
    left = config if text is None else with_renewal(config, text)
    with pytest.raises(ConfigError):
        left.campaign(RENEWAL)
    agent = ticked(called(replace(agent, config=left)), *ITEMS)
    closed = replace(agent, version=life_cycle.close(agent, outcome="renewed"), staff_id=people.lead)
    life_cycle.reopen(closed, reason="called back")
    assert clocks(agent.ticket_id)["done", 2].due_at == at(20)


def test_a_checklist_is_ticked_by_those_who_see_the_ticket_and_in_their_own_name(db, desk, agent, people):
    agent = ticked(called(agent), ITEMS[0])
    tick = sa.text(
        "insert into ticket_checks (ticket_id, item, checked_at, staff_id) values (:id, 'x', now(), :by)"
    )
    for me, signs in ((people.stranger, people.stranger), (people.agent, people.lead)):
        with desk.begin():
            identify(desk, me)
            with pytest.raises(sa.exc.ProgrammingError, match="row-level security"), desk.begin_nested():
                desk.execute(tick, {"id": agent.ticket_id, "by": signs})
    for me, seen in ((people.stranger, 0), (people.agent, 1), (people.lead, 1), (people.manager, 1)):
        with desk.begin():
            identify(desk, me)
            assert desk.execute(sa.text("select count(*) from ticket_checks")).scalar_one() == seen


@pytest.mark.parametrize(
    ("outcome", "is_willing", "ends"),
    [
        ("renewed", True, False),
        ("retained", True, False),
        ("considering", False, False),
        ("thinking", False, True),
    ],
)
def test_the_money_of_a_plan_stays_with_those_who_were_won_under_whatever_name(
    database_url, outcome, is_willing, ends
):
    asked = sa.text("select ends_plans('closed', :outcome, :is_willing, false)")
    made = engine(database_url, role=None)
    with made.connect() as owner:
        assert owner.execute(asked, {"outcome": outcome, "is_willing": is_willing}).scalar_one() is ends
    made.dispose()


def test_the_second_campaign_is_one_file(renewals, config):
    assert set(renewals.texts) - set(config.texts) == {FILE}
