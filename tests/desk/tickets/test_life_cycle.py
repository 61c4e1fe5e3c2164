"""What people do to a ticket: states, clocks, versions, walls between teams."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.config import Config
from include.desk.tickets import contacts, life_cycle, plans
from include.desk.tickets.procedure import next_contact
from include.desk.tickets.transaction import Actor
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from tests.fixtures.work import FRIDAY, People, Released, fill_cycle, snapshot

MONDAY = FRIDAY + timedelta(days=3)


@pytest.fixture
def people(released: Released) -> People:
    return released.people


@pytest.fixture
def tickets(released: Released) -> list[int]:
    return released.tickets


@pytest.fixture
def agent(desk: sa.Connection, config: Config, people: People, tickets: list[int]) -> Actor:
    """The agent on the first ticket as released (version 2), on Monday morning."""
    return Actor(desk, config, people.agent, tickets[0], 2, MONDAY)


def clock(db: sa.Connection, ticket_id: int, name: str = "plan", round_: int = 1) -> sa.Row:
    with db.begin():
        return db.execute(
            sa.text("select * from ticket_clocks where ticket_id = :id and clock = :name and round = :round"),
            {"id": ticket_id, "name": name, "round": round_},
        ).one()


def worked_through(agent: Actor) -> Actor:
    """Contact, survey and plan recorded; the actor as it then sees the ticket."""
    agent = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    agent = replace(agent, version=contacts.record_survey(agent, needs=["price"]))
    return replace(agent, version=plans.record_plan(agent, strategy="plan_discount"))


def test_a_worked_ticket_is_closed_with_an_event_for_every_step(db, agent):
    done = worked_through(agent)
    life_cycle.close(done, outcome="retained", detail="accepted_offer")
    with db.begin():
        kinds = db.execute(
            sa.text(
                "select kind, version, to_state from ticket_events where ticket_id = :id order by version"
            ),
            {"id": agent.ticket_id},
        ).all()
    assert [tuple(row) for row in kinds] == [
        ("dispatch", 1, "waiting"),
        ("release", 2, "assigned"),
        ("contact", 3, "in_progress"),
        ("survey", 4, "in_progress"),
        ("plan", 5, "in_progress"),
        ("close", 6, "closed"),
    ]


def test_the_first_attempt_meets_the_contact_clock_reached_or_not(db, agent):
    contacts.record_contact(agent, channel="call", result="no_answer")
    assert clock(db, agent.ticket_id, "first_contact").met_at == MONDAY
    assert clock(db, agent.ticket_id).met_at is None


def test_survey_and_plan_together_meet_the_plan_clock(db, agent):
    agent = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    agent = replace(
        agent, version=contacts.record_survey(agent, needs=["network", "other"], note="signal in the cellar")
    )
    assert clock(db, agent.ticket_id).met_at is None
    plans.record_plan(agent, strategy="network_cure")
    assert clock(db, agent.ticket_id).met_at == MONDAY


def test_retained_needs_survey_and_plan(agent):
    contacted = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    with pytest.raises(Refused, match="needs a needs survey"):
        life_cycle.close(contacted, outcome="retained", detail="accepted_offer")


def test_an_outcome_without_plan_meets_the_plan_clock(db, agent):
    contacted = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    life_cycle.close(contacted, outcome="no_intention", detail="satisfied")
    assert clock(db, agent.ticket_id).met_at == MONDAY


def test_unreachable_needs_the_procedure_kept(agent):
    agent = replace(agent, version=contacts.record_contact(agent, channel="call", result="no_answer"))
    with pytest.raises(
        Refused, match=r"kept to its end. Next: Call 2 of 3, in the afternoon or evening this time\."
    ):
        life_cycle.close(agent, outcome="unreachable", detail="never_answers")
    for at in (MONDAY.replace(hour=14), MONDAY + timedelta(days=1)):
        agent = replace(agent, now=at)
        agent = replace(agent, version=contacts.record_contact(agent, channel="call", result="no_answer"))
    with pytest.raises(Refused, match=r"Next: Nobody answers: send an SMS\."):
        life_cycle.close(agent, outcome="unreachable", detail="never_answers")
    agent = replace(agent, version=contacts.record_contact(agent, channel="sms", result="no_answer"))
    assert next_contact(agent).is_unreachable_allowed
    life_cycle.close(agent, outcome="unreachable", detail="never_answers")


def test_a_pause_moves_the_plan_deadline_by_its_working_days(db, agent):
    contacted = replace(
        agent,
        version=contacts.record_contact(
            agent, channel="call", result="call_back", call_back_at=datetime(2026, 11, 12, 10, tzinfo=ZONE)
        ),
    )
    life_cycle.pause(contacted, call_back_on=date(2026, 11, 12))
    # Mon 9, Tue 10 and Wed 11 rest: Thu 12, Fri 13, Mon 16 count
    assert clock(db, agent.ticket_id).due_at == datetime(2026, 11, 16, 18, tzinfo=ZONE)


def test_a_pause_cut_short_gives_its_days_back(db, agent):
    contacted = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    paused = replace(contacted, version=life_cycle.pause(contacted, call_back_on=date(2026, 11, 12)))
    life_cycle.resume(replace(paused, now=MONDAY + timedelta(days=1)))
    # only Monday rested: Tue 10, Wed 11, Thu 12 count
    assert clock(db, agent.ticket_id).due_at == datetime(2026, 11, 12, 18, tzinfo=ZONE)


def test_a_contact_ends_the_pause(db, agent):
    contacted = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    paused = replace(contacted, version=life_cycle.pause(contacted, call_back_on=date(2026, 11, 12)))
    contacts.record_contact(replace(paused, now=MONDAY + timedelta(days=1)), channel="call", result="reached")
    assert clock(db, agent.ticket_id).due_at == datetime(2026, 11, 12, 18, tzinfo=ZONE)


def test_a_long_pause_is_refused_without_the_lead_and_changes_nothing(db, agent):
    contacted = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    before = snapshot(db, agent.ticket_id)
    with pytest.raises(Refused, match="without the team lead"):
        life_cycle.pause(contacted, call_back_on=date(2026, 11, 18))
    assert snapshot(db, agent.ticket_id) == before


def test_a_stale_version_is_refused_with_what_happened(agent):
    contacts.record_contact(agent, channel="call", result="reached")
    with pytest.raises(
        Refused, match=r"changed meanwhile: 'contact' by agent .*You saw version 2, it stands at 3"
    ):
        contacts.record_contact(agent, channel="call", result="reached")


@pytest.mark.parametrize("who", ["colleague", "stranger"])
def test_somebody_elses_ticket_cannot_be_seen_or_worked(agent, people, who):
    with pytest.raises(Refused, match="not yours to work"):
        contacts.record_contact(
            replace(agent, staff_id=getattr(people, who)), channel="call", result="reached"
        )


def test_without_identity_the_desk_sees_no_row(desk, tickets):
    with desk.begin():
        assert desk.execute(sa.text("select count(*) from tickets")).scalar() == 0


def test_the_lead_reassigns_within_the_team_and_no_clock_moves(db, agent, people):
    before = clock(db, agent.ticket_id)
    lead = replace(agent, staff_id=people.lead)
    version = life_cycle.reassign(lead, people.colleague)
    assert clock(db, agent.ticket_id) == before
    with pytest.raises(Refused, match="not active in team 'mid_high'"):
        life_cycle.reassign(replace(lead, version=version), people.stranger)


def test_an_agent_may_not_reassign(agent, people):
    with pytest.raises(Refused, match="reassigned by lead or loop or manager, not by agent"):
        life_cycle.reassign(agent, people.colleague)


def test_cancelling_voids_the_clocks(db, agent, people):
    life_cycle.cancel(replace(agent, staff_id=people.lead), reason="wrong number")
    assert clock(db, agent.ticket_id).voided_at == MONDAY
    assert clock(db, agent.ticket_id).met_at is None


def test_reopening_starts_a_new_plan_clock_and_keeps_the_old_verdict(db, agent, people):
    done = worked_through(agent)
    closed = replace(
        done, version=life_cycle.close(done, outcome="declined", detail="lost_trust"), staff_id=people.lead
    )
    life_cycle.reopen(replace(closed, now=MONDAY + timedelta(days=1)), reason="called back")
    assert clock(db, agent.ticket_id).met_at == MONDAY
    assert clock(db, agent.ticket_id, round_=2).due_at == datetime(2026, 11, 13, 18, tzinfo=ZONE)


LATE = datetime(2026, 11, 12, 8, 30, tzinfo=ZONE)


def test_work_after_the_deadline_does_not_undo_the_breach_though_no_tick_saw_it(db, agent):
    worked_through(replace(agent, now=LATE))
    plan = clock(db, agent.ticket_id)
    assert (plan.met_at, plan.breached_at, plan.noticed_at) == (
        LATE,
        datetime(2026, 11, 11, 18, tzinfo=ZONE),
        LATE,
    )
    assert clock(db, agent.ticket_id, "first_contact").breached_at == datetime(2026, 11, 9, 18, tzinfo=ZONE)


def test_cancelling_after_the_deadline_does_not_undo_the_breach(db, agent, people):
    life_cycle.cancel(replace(agent, staff_id=people.lead, now=LATE), reason="gone")
    plan = clock(db, agent.ticket_id)
    assert (plan.voided_at, plan.breached_at) == (LATE, datetime(2026, 11, 11, 18, tzinfo=ZONE))


def test_an_overdue_plan_cannot_be_paused_away(db, agent):
    late = replace(agent, now=LATE)
    late = replace(late, version=contacts.record_contact(late, channel="call", result="reached"))
    with pytest.raises(Refused, match="The ticket was due at 2026-11-11 18:00; a pause cannot undo that"):
        life_cycle.pause(late, call_back_on=date(2026, 11, 16))


def test_a_pause_ended_after_closing_time_keeps_its_day_of_rest(db, agent):
    wednesday = datetime(2026, 11, 11, 10, tzinfo=ZONE)
    agent = replace(agent, now=wednesday)
    agent = replace(agent, version=contacts.record_contact(agent, channel="call", result="reached"))
    paused = replace(agent, version=life_cycle.pause(agent, call_back_on=date(2026, 11, 16)))
    life_cycle.resume(replace(paused, now=wednesday.replace(hour=19)))
    # Wednesday rested whole: the third working day is Thursday, and nothing is breached at once
    assert clock(db, agent.ticket_id).due_at == datetime(2026, 11, 12, 18, tzinfo=ZONE)


def reopened(agent: Actor, people: People) -> Actor:
    done = worked_through(agent)
    closed = replace(
        done, version=life_cycle.close(done, outcome="declined", detail="lost_trust"), staff_id=people.lead
    )
    version = life_cycle.reopen(replace(closed, now=MONDAY + timedelta(days=1)), reason="called back")
    return replace(done, version=version, now=MONDAY + timedelta(days=1, hours=1))


def test_a_reopened_ticket_starts_over_with_survey_and_plan(db, agent, people):
    again = reopened(agent, people)
    with pytest.raises(Refused, match="needs a needs survey"):
        life_cycle.close(again, outcome="retained", detail="accepted_offer")
    again = replace(again, version=contacts.record_survey(again, needs=["price"]))
    assert clock(db, agent.ticket_id, round_=2).met_at is None
    plans.record_plan(again, strategy="plan_discount")
    assert clock(db, agent.ticket_id, round_=2).met_at == again.now


def closed_ticket(agent: Actor, people: People) -> Actor:
    """The lead, before a ticket the agent has closed."""
    done = worked_through(agent)
    version = life_cycle.close(done, outcome="declined", detail="lost_trust")
    return replace(done, version=version, staff_id=people.lead)


def other_ticket(as_admin, db: sa.Connection) -> int:
    """An unfinished ticket of S0001 in another campaign and team, which the lead does not see."""
    (ticket_id,) = fill_cycle(db, 1, cycle="2026-11")
    as_admin(f"update tickets set campaign = 'renewal', team = 'vip' where ticket_id = {ticket_id}")
    return ticket_id


def test_a_closed_ticket_stays_closed_while_the_customer_has_another_one(db, agent, people):
    closed = closed_ticket(agent, people)
    (other,) = fill_cycle(db, 1, cycle="2026-11")
    with pytest.raises(
        Refused, match=f"has ticket {other} of campaign churn_warning in work. Go on with that one"
    ):
        life_cycle.reopen(closed, reason="called back")


def test_a_ticket_of_another_campaign_and_team_keeps_a_closed_one_closed(db, agent, people, as_admin):
    closed = closed_ticket(agent, people)
    other = other_ticket(as_admin, db)
    with pytest.raises(Refused, match=f"has ticket {other} of campaign renewal in work") as refused:
        life_cycle.reopen(closed, reason="called back")
    assert refused.value.code == "other_in_work"


def test_a_ticket_dispatched_while_one_is_reopened_is_told_in_a_sentence(
    db, agent, people, as_admin, monkeypatch
):
    closed = closed_ticket(agent, people)
    made: list[int] = []
    refuse = life_cycle._refuse_limited

    def meanwhile(of: life_cycle.OpenedTicket) -> None:
        made.append(other_ticket(as_admin, db))
        refuse(of)

    monkeypatch.setattr(life_cycle, "_refuse_limited", meanwhile)
    with pytest.raises(Refused, match="of campaign renewal in work"):
        life_cycle.reopen(closed, reason="called back")
    assert len(made) == 1


def test_a_ticket_is_reopened_beside_another_where_both_campaigns_allow_it(db, agent, people, as_admin):
    closed = closed_ticket(agent, people)
    as_admin("update tickets set beside = true")
    other_ticket(as_admin, db)
    as_admin("update tickets set beside = true")
    assert life_cycle.reopen(closed, reason="called back") == closed.version + 1


def test_the_neighbouring_ticket_is_untouched(db, agent, tickets):
    before = snapshot(db, tickets[1])
    life_cycle.close(worked_through(agent), outcome="retained", detail="accepted_offer")
    assert snapshot(db, tickets[1]) == before


def test_an_illegal_step_is_refused_in_a_sentence(agent):
    with pytest.raises(Refused, match="state 'assigned' cannot be closed; it must be in_progress or paused"):
        life_cycle.close(agent, outcome="retained", detail="accepted_offer")


def test_a_call_back_needs_its_date(agent):
    with pytest.raises(BadInput, match="give the instant promised with 'call_back' and with nothing else"):
        contacts.record_contact(agent, channel="call", result="call_back")


def test_history_cannot_be_rewritten_by_any_role(db, tickets):
    for statement in (
        "update ticket_events set actor = 'x'",
        "delete from ticket_events",
        "truncate ticket_events",
    ):
        with pytest.raises(sa.exc.ProgrammingError), db.begin():
            db.execute(sa.text(statement))


def test_state_and_events_cannot_disagree(db, tickets):
    with pytest.raises(sa.exc.IntegrityError, match="tickets_agree_with_events"), db.begin():
        db.execute(
            sa.text("update tickets set version = version + 1 where ticket_id = :id"), {"id": tickets[0]}
        )
