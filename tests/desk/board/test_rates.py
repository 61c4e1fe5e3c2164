"""The three rates: reached, willing, completed, as defined in sql/desk/rates.sql, worked out by hand."""

from dataclasses import replace
from datetime import timedelta

import sqlalchemy as sa

from include.database.queries import load
from include.desk.tickets import contacts, life_cycle, plans
from tests.fixtures.desk import MONDAY, call_in, hold_out, worked_through
from tests.fixtures.work import fill_cycle, hire

Q = load("desk/rates")


def rates(world, db, level, **named):
    """The row of a level: released, reached, willing, completed and the three shares."""
    with db.begin():
        db.execute(sa.text("select set_config('app.staff_id', :id, true)"), {"id": str(world.people.manager)})
        values = {"campaign": "churn_warning", "willing": world.config.willing(world.config.campaigns)}
        rows = db.execute(Q["count_rates"], values).mappings().all()
    fitting = [row for row in rows if row["level"] == level and named.items() <= dict(row).items()]
    assert len(fitting) == 1
    names = (
        "released",
        "reached",
        "willing",
        "completed",
        "reached_share",
        "willing_share",
        "completed_share",
    )
    return tuple(fitting[0][name] for name in names)


def test_an_accepted_plan_is_willing_and_one_processed_is_completed(world):
    with world.undone() as db:
        # the twin is another campaign's; reached are in_progress, paused, closed and cancelled
        assert rates(world, db, "cycle") == (13, 4, 0, 0, 4 / 13, 0.0, None)
        actor = world.actor(db, world.people.agent, world.tickets["in_progress"])
        actor = replace(actor, version=life_cycle.close(actor, outcome="retained", detail="accepted_offer"))
        assert rates(world, db, "cycle")[:4] == (13, 4, 1, 0)
        actor = replace(actor, version=plans.record_processing(actor, result="failed"))
        assert rates(world, db, "cycle")[:4] == (13, 4, 1, 0)
        plans.record_processing(actor, result="done", order_number="N-5")
        assert rates(world, db, "cycle") == (13, 4, 1, 1, 4 / 13, 0.25, 1.0)


def test_rates_are_told_by_team_and_agent(world):
    with world.undone() as db:
        worked_through(world.actor(db, world.people.colleague, world.partner))
        assert rates(world, db, "team", team="mid_high")[:2] == (13, 5)
        assert rates(world, db, "agent", agent="agent")[:2] == (6, 4)
        assert rates(world, db, "agent", agent="colleague")[:2] == (7, 1)


def test_an_attempt_nobody_answers_reaches_nobody_and_a_refusal_does(world):
    with world.undone() as db:
        actor = world.actor(db, world.people.agent, world.tickets["assigned"])
        actor = replace(actor, version=contacts.record_contact(actor, channel="call", result="no_answer"))
        assert rates(world, db, "cycle")[1] == 4
        contacts.record_contact(actor, channel="call", result="refused")
        assert rates(world, db, "cycle")[1] == 5


def test_a_merged_ticket_counts_once_with_its_contacts(world):
    with world.undone() as db:
        lead = world.actor(db, world.people.lead, world.tickets["in_progress"])
        kept = world.actor(db, world.people.lead, world.tickets["assigned"])
        life_cycle.merge(
            lead, into=kept.ticket_id, into_version=kept.version, reason="moved", has_changed_customer=True
        )
        assert rates(world, db, "cycle")[:2] == (12, 4)


def test_who_calls_in_is_counted_apart_by_arm_and_once(db, config):
    people = hire(db)
    fill_cycle(db, 1)
    hold_out(db, "H1")
    for number, is_refusal in (("S0001", False), ("H1", False), ("H1", True), ("unknown", False)):
        call_in(db, config, people.agent, number, now=MONDAY + timedelta(hours=2), is_refusal=is_refusal)
    with db.begin():
        rows = db.execute(Q["count_inbound"], {"campaign": "churn_warning"}).all()
    cycle = ("churn_warning", "2026-10")
    assert [tuple(row) for row in rows] == [(*cycle, "held_out", 1, 1), (*cycle, "treated", 1, 0)]
