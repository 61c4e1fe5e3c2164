"""A limit of contact that stands at this moment: nobody is dialled, planned for or handed out, in any campaign."""

from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.config import Config
from include.desk.calls import phones
from include.desk.tickets import contacts, life_cycle, next_ticket, plans
from include.desk.tickets.transaction import Actor
from include.domain.errors import Refused
from include.domain.ticket import ASKS_LIMITS, WHILE_FROZEN
from tests.fixtures.renewal import RENEWAL, with_renewal
from tests.fixtures.work import FRIDAY

KINDS = ("refused", "red_list", "do_not_disturb", "contacted_elsewhere")
NOW = FRIDAY + timedelta(hours=2)
TODAY = NOW.date()


@pytest.fixture(scope="session")
def config(config: Config) -> Config:
    return with_renewal(config)


@pytest.fixture
def two(ask, tickets, numbers) -> list[int]:
    """The agent's two tickets: the same customer's, in two campaigns, under two numbers."""
    moved = (
        "update tickets set beside = true, customer_key = 'S0001',"
        " campaign = case ticket_id when :id then :campaign else campaign end"
        " where ticket_id = any(cast(:both as bigint [])) returning 1"
    )
    ask(moved, campaign=RENEWAL, id=tickets[1], both=tickets[:2])
    return tickets[:2]


@pytest.fixture
def limit(ask):
    """The feed told of a limit of a number, since the loop came by last."""

    def tell(kind="refused", of="S0001", key="S0001", since=TODAY, until=None):
        ask(
            "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, valid_to, month, recorded_at)"
            " values (:of, :key, :kind, :since, :until, '2026-11', :now) returning 1",
            of=of, key=key, kind=kind, since=since, until=until, now=NOW,
        )  # fmt: skip

    return tell


@pytest.fixture
def actor(desk, config, people, ask):
    def of(ticket: int, staff_id: int | None = None) -> Actor:
        ((version,),) = ask("select version from tickets where ticket_id = :id", id=ticket)
        return Actor(desk, config, staff_id or people.agent, ticket, version, NOW)

    return of


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("use", ["reveal", "call"])
def test_no_number_is_shown_or_dialled_in_any_campaign(visit, desk_app, two, limit, numbers, ask, kind, use):
    dialled = []
    desk_app.state.dial = lambda *call: dialled.append(call)
    limit(kind)
    for ticket in two:
        page = visit("agent").post(
            f"/tickets/{ticket}/{use}", headers={"content-type": "application/x-www-form-urlencoded"}
        )
        program = visit("agent").post(f"/api/v1/tickets/{ticket}/{use}", json={})
        assert (page.status_code, program.status_code) == (409, 409)
        assert program.json()["error"]["code"] == "limited"
        assert numbers[ticket] not in page.text + program.text
    assert (dialled, ask("select 1 from desk_uses")) == ([], [])


def test_it_is_told_in_the_readers_words(visit, two, limit):
    limit("red_list")
    for language, words in (("en", "the customer is on the red list"), ("zh", "客户在红名单内")):
        told = (
            visit("agent", language)
            .post(f"/api/v1/tickets/{two[0]}/call", json={})
            .json()["error"]["message"]
        )
        assert words in told


@pytest.mark.parametrize(
    ("since", "until", "stands"),
    [(0, None, True), (0, 0, True), (-5, 0, True), (1, None, False), (-5, -1, False)],
)
def test_it_is_the_day_that_counts(two, limit, actor, desk_app, since, until, stands):
    ahead = None if until is None else TODAY + timedelta(days=until)
    limit("do_not_disturb", since=TODAY + timedelta(days=since), until=ahead)
    if stands:
        with pytest.raises(Refused, match="A limit of contact stands today"):
            phones.use_number(actor(two[0]), desk_app.state.rules, "call")
    else:
        assert phones.use_number(actor(two[0]), desk_app.state.rules, "call")


def test_no_plan_is_made_and_what_happened_already_is_recorded(two, limit, actor):
    seen = actor(two[0])
    seen = replace(seen, version=contacts.record_contact(seen, channel="call", result="reached"))
    limit("do_not_disturb")
    seen = replace(seen, version=contacts.record_survey(seen, needs=["price"]))
    with pytest.raises(Refused, match="cannot be given a retention plan"):
        plans.record_plan(seen, strategy="plan_discount")
    seen = replace(seen, version=contacts.record_contact(seen, channel="call", result="refused"))
    life_cycle.close(seen, outcome="refused_contact", detail=_first_detail(seen, "refused_contact"))


def _first_detail(actor: Actor, outcome: str) -> str | None:
    return next(iter(actor.config.campaign("churn_warning").catalogue[outcome].details), None)


def test_a_ticket_of_nobody_is_not_claimed_against_it(two, limit, actor, ask):
    ask("update tickets set assignee_id = null where ticket_id = :id returning 1", id=two[0])
    limit()
    with pytest.raises(Refused, match="cannot be claimed: the customer refuses contact"):
        life_cycle.claim(actor(two[0]))


def test_a_closed_ticket_is_not_reopened_against_what_the_feed_says(two, limit, actor, people):
    closed = actor(two[0])
    closed = replace(closed, version=contacts.record_contact(closed, channel="call", result="reached"))
    life_cycle.close(closed, outcome="no_intention", detail=_first_detail(closed, "no_intention"))
    limit("red_list", of="S0001", key="S0001")
    with pytest.raises(Refused, match="cannot be"):
        life_cycle.reopen(actor(two[0], people.lead), reason="once more")


def test_the_next_ticket_is_one_whose_customer_may_be_contacted(desk_app, desk, people, tickets, limit, ask):
    whose = {row.ticket_id: row.subscriber_id for row in ask("select ticket_id, subscriber_id from tickets")}
    given = {"staff_id": people.agent, "now": NOW}
    first = next_ticket.hold_next(desk, desk_app.state.rules, **given)
    limit("contacted_elsewhere", of=whose[first], key="C9")
    second = next_ticket.hold_next(desk, desk_app.state.rules, **given)
    assert {first, second} == set(tickets[:2])
    limit("red_list", of=whose[second], key="C9")
    assert next_ticket.hold_next(desk, desk_app.state.rules, **given) is None


def test_what_a_former_holder_refused_does_not_keep_the_new_one_from_being_called(
    two, limit, actor, ask, desk_app
):
    limit(since=TODAY - timedelta(days=200), key="C1")
    with pytest.raises(Refused, match="A limit of contact stands"):
        phones.use_number(actor(two[0]), desk_app.state.rules, "call")
    ask(
        "insert into new_holders values ('S0001', :left, :joined) returning 1",
        left=TODAY - timedelta(days=90), joined=TODAY - timedelta(days=30),
    )  # fmt: skip
    assert phones.use_number(actor(two[0]), desk_app.state.rules, "call")


def test_the_desk_learns_of_no_limit_but_those_of_tickets_the_person_sees(
    desk, people, tickets, limit, numbers
):
    limit(of="S0001", key="S0001")
    asked = sa.text("select limit_of_ticket(:ticket, :today)")
    identify = sa.text("select set_config('app.staff_id', :id, true)")
    for who, sees in (
        (people.agent, "refused"),
        (people.colleague, None),
        (people.stranger, None),
        (0, None),
    ):
        with desk.begin():
            desk.execute(identify, {"id": str(who)})
            assert desk.execute(asked, {"ticket": tickets[0], "today": TODAY}).scalar_one() == sees
    with desk.begin():
        desk.execute(identify, {"id": str(people.agent)})
        taken = "select count(*) from use_phone('call', :ticket, :now, 9)"
        assert desk.execute(sa.text(taken), {"ticket": tickets[0], "now": NOW}).scalar_one() == 0
    for statement in (
        "select standing_limit('S0002', 'S0002', current_date)",
        "select * from limits_in_force",
        "select * from new_holders",
    ):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), desk.begin():
            desk.execute(sa.text(statement))


def test_nothing_that_only_records_or_ends_asks_for_limits():
    assert not ASKS_LIMITS & (WHILE_FROZEN | {"contact", "survey", "close", "processing"})
