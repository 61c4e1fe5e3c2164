"""What the desk asks all day is read from an index made for it, row-level security and all."""

import json
import secrets
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database import DESK_ROLE, engine
from include.database.queries import load
from include.desk.tickets.queue import PAGE, VIEWS, Q, _whose
from include.desk.viewer import Viewer
from include.domain.periods.months import ZONE
from tests.desk.filling import fill

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=ZONE)
TICKETS = 20_000
#: Tables of which a page may never read the whole.
LONG = {"tickets", "ticket_events", "ticket_clocks", "contact_attempts", "assignments", "ticket_phones"}


@pytest.fixture(scope="module")
def year(postgres, execute, migrated_template, config):
    """The name of a database with a year of tickets."""
    name = f"year_{secrets.token_hex(4)}"
    execute(f"create database {name} template {migrated_template}")
    fill(postgres.url(name), config, tickets=TICKETS, agents=60, now=NOW)
    yield name
    execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def filled(postgres, year, role_password):
    """A connection with desk rights."""
    made = engine(postgres.url(year, user=DESK_ROLE, password=role_password), role=DESK_ROLE)
    with made.connect() as db:
        yield db
    made.dispose()


@pytest.fixture(scope="module")
def owner(postgres, year):
    """A connection nothing is hidden from."""
    made = engine(postgres.url(year), role=None)
    with made.connect() as db:
        yield db
    made.dispose()


def person(db, code):
    row = db.execute(
        sa.text("select staff_id, role, team, branch_code from staff where staff_code = :c"), {"c": code}
    ).one()
    db.rollback()
    return Viewer(row.staff_id, code, code, row.role, row.team, row.branch_code, code, frozenset())


def plan_of(db, viewer, statement, **values):
    """The nodes of the plan of a statement as this person runs it, those of its sub-plans too."""
    with db.begin():
        db.execute(sa.text("select set_config('app.staff_id', :id, true)"), {"id": str(viewer.staff_id)})
        clause = sa.text(f"explain (format json, costs off) {statement.text}")
        found = db.execute(clause, values).scalar_one()
    told = json.loads(found) if isinstance(found, str) else found
    return list(nodes(told[0]["Plan"]))


def nodes(plan):
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def indexes(plan):
    return {node["Index Name"] for node in plan if "Index Name" in node}


def read_whole(plan):
    return {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"} & LONG


def values_of(view, viewer, after=None):
    return {
        **_whose(view, viewer), "after_at": NOW.isoformat() if after else None, "after_id": after, "limit": PAGE + 1,
        "states": list(view.states), "unassigned": view.is_unassigned, "escalated": view.is_escalated,
        "pooled": viewer.role != "agent", "campaign": None, "grade": None, "region": None, "tier": None,
        "segment": None,
    }  # fmt: skip


def queue_of(*whose):
    return {f"tickets_queue_of_{each}" for each in whose}


def finished_of(*whose):
    return {f"tickets_finished_of_{each}" for each in whose}


WAITING = {"tickets_queue_waiting"}
#: Of few tickets the planner may prefer another index made for the queue: one of these is read, and nothing whole.
ANY = queue_of("person", "nobody", "team", "all") | {"tickets_by_assignee"}
READ_FROM = {
    "agent1": {
        "mine": queue_of("person"), "team": queue_of("person"), "unassigned": ANY, "paused": ANY,
        "closed": finished_of("person"),
    },
    "lead1": {
        "mine": queue_of("person"), "team": queue_of("team"), "unassigned": ANY, "waiting": WAITING,
        "escalated": ANY, "paused": ANY, "closed": finished_of("team", "all"),
    },
    "manager1": {
        "team": queue_of("all"), "unassigned": ANY, "waiting": WAITING, "escalated": ANY, "paused": ANY,
        "closed": finished_of("all"),
    },
}  # fmt: skip


@pytest.mark.parametrize("after", [None, 700])
@pytest.mark.parametrize(("who", "view"), [(who, view) for who in READ_FROM for view in READ_FROM[who]])
def test_every_view_of_the_queue_is_read_from_an_index_of_its_own(filled, who, view, after):
    viewer, asked = person(filled, who), VIEWS[view]
    statement = Q["read_open" if asked.states else "read_finished"]
    plan = plan_of(filled, viewer, statement, **values_of(asked, viewer, after))
    assert READ_FROM[who][view] & indexes(plan)
    assert not read_whole(plan)


@pytest.mark.parametrize("who", READ_FROM)
@pytest.mark.parametrize("view", ["mine", "team", "unassigned", "waiting", "paused"])
def test_the_campaigns_of_a_view_are_counted_in_an_index(filled, who, view):
    viewer = person(filled, who)
    plan = plan_of(filled, viewer, Q["count_campaigns"], **values_of(VIEWS[view], viewer))
    assert not read_whole(plan)
    counts_everybodys = values_of(VIEWS[view], viewer)["everybodys"]
    assert indexes(plan) & ({"tickets_open_by_campaign"} if counts_everybodys else ANY)


def test_the_next_ticket_is_found_among_the_own_and_nobodys(filled):
    viewer = person(filled, "agent1")
    values = {
        "staff_id": viewer.staff_id, "team": viewer.team, "now": NOW, "today": NOW.date(), "rested_since": NOW,
        "held_until": NOW + timedelta(minutes=10),
    }  # fmt: skip
    plan = plan_of(filled, viewer, load("desk/next")["hold_next"], **values)
    assert ANY & indexes(plan)
    assert not read_whole(plan)


@pytest.mark.parametrize("condition", ["right(msisdn, 4) = '1234'", "right(msisdn, 11) = '13900001234'"])
def test_a_number_and_its_end_are_looked_up(owner, condition):
    # the search runs as the owner of the numbers: whoever may read them gets this plan
    statement = sa.text(f"explain (format json) select ticket_id from ticket_phones where {condition}")
    with owner.begin():
        plan = list(nodes(owner.execute(statement).scalar_one()[0]["Plan"]))
    assert indexes(plan) & {"ticket_phones_by_end", "ticket_phones_by_number"}


def test_a_subscriber_is_looked_up_and_a_ticket_page_reads_nothing_whole(filled):
    viewer = person(filled, "agent1")
    phones, ticket = load("desk/phones"), load("desk/ticket")
    plan = plan_of(filled, viewer, phones["find_tickets"], ticket_ids=[], subscriber_id="S00000007")
    assert "tickets_by_subscriber" in indexes(plan) and not read_whole(plan)
    for name in set(ticket) - {"read_team_mates"}:
        assert not read_whole(plan_of(filled, viewer, ticket[name], ticket_id=TICKETS // 2)), name


@pytest.fixture(scope="module")
def limited(owner):
    """Very many limits of contact, of the feed and of the desk, and numbers that went to somebody new."""
    with owner.begin():
        for statement in (
            "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, month, recorded_at)"
            " select 'L' || n, 'C' || n / 2, 'refused', '2026-01-01', '2026-01', now()"
            " from generate_series(1, 6000) as n",
            "insert into refusals (customer_key, subscriber_id, refused_at, staff_id, words)"
            " select 'C' || n, 'R' || n, now(), (select min(staff_id) from staff), 'no'"
            " from generate_series(1, 3000) as n",
            "insert into new_holders select 'L' || n, '2026-02-01', '2026-05-01' from generate_series(1, 3000) as n",
        ):
            owner.execute(sa.text(statement))
        owner.execute(sa.text("analyze standing_limits, refusals, new_holders"))
    return owner


@pytest.mark.parametrize(
    "whose", ["subscriber_id = 'L7' and holds_for_number", "customer_key = 'C7' and holds_for_customer"]
)
def test_a_limit_of_contact_is_looked_up(limited, whose):
    statement = sa.text(f"explain (format json) select kind from limits_in_force where {whose}")
    with limited.begin():
        plan = list(nodes(limited.execute(statement).scalar_one()[0]["Plan"]))
    assert not {node["Relation Name"] for node in plan if node["Node Type"] == "Seq Scan"}


def test_limits_are_asked_for_until_the_first_ticket_that_may_be_called(filled, limited):
    viewer = person(filled, "lead1")
    given = {"staff_id": str(viewer.staff_id), "team": viewer.team, "now": NOW, "today": NOW.date()}
    given |= {"rested_since": NOW, "held_until": NOW + timedelta(minutes=10)}
    with filled.begin() as asked:
        filled.execute(sa.text("select set_config('app.staff_id', :staff_id, true)"), given)
        clause = sa.text(f"explain (analyze, format json) {load('desk/next')['hold_next'].text}")
        plan = list(nodes(filled.execute(clause, given).scalar_one()[0]["Plan"]))
        asked.rollback()
    (urgent,) = [node for node in plan if node.get("CTE Name") == "urgent"]
    assert (urgent["Actual Rows"], urgent.get("Rows Removed by Filter", 0)) == (1, 0)


@pytest.mark.parametrize("code", ["agent1", "agent2", "lead1", "lead2", "manager1"])
def test_the_walls_an_index_sees_through_stand_where_desk_sees_says(filled, owner, code):
    identify = sa.text("select set_config('app.staff_id', :id, true)")
    me = {"id": str(person(filled, code).staff_id)}
    asked = "select array_agg(ticket_id order by ticket_id) from tickets where ticket_id % 20 = 0"
    with filled.begin(), owner.begin():
        filled.execute(identify, me)
        owner.execute(identify, me)
        told = owner.execute(sa.text(f"{asked} and desk_sees(team, assignee_id)")).scalar_one()
        assert filled.execute(sa.text(asked)).scalar_one() == told != []


def test_nobody_sees_nothing_through_them(filled):
    for identity in ("", "0", "999999"):
        with filled.begin():
            filled.execute(sa.text("select set_config('app.staff_id', :id, true)"), {"id": identity})
            assert filled.execute(sa.text("select count(*) from tickets")).scalar_one() == 0
