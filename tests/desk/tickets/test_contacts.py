"""Do not call, who calls in, tasks of other units, merging, handing back: across teams, campaigns and arms."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from include.database.queries import load
from include.desk.tickets import contacts, life_cycle, tasks
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.workdays import WorkCalendar
from tests.fixtures.desk import MONDAY, call_in, hold_out, worked_through

TICKET = load("desk/ticket")


def inbound(world, db, subscriber, **words):
    return call_in(db, world.config, world.people.agent, subscriber, **words).number()


# ---------------------------------------------------------------- do not call


def test_do_not_call_ends_every_ticket_of_the_customer_in_every_campaign(world):
    with world.undone() as db:
        actor = world.actor(db, world.people.agent, world.tickets["in_progress"])
        contacts.do_not_call(actor, words=" never again ")
        states = world.one(
            db,
            "select array_agg(state order by ticket_id) as states, array_agg(distinct campaign) as campaigns"
            " from tickets where ticket_id = any(:ids)",
            ids=[actor.ticket_id, world.twin],
        )
        assert states.states == ["cancelled", "cancelled"]
        assert len(states.campaigns) == 2
        refusal = world.one(db, "select * from refusals")
        assert (refusal.words, refusal.ticket_id, refusal.staff_id) == (
            "never again",
            actor.ticket_id,
            actor.staff_id,
        )
        task = world.one(db, "select * from linked_tasks where unit = 'complaint'")
        assert (task.ticket_id, task.due_at) == (actor.ticket_id, datetime(2026, 11, 11, 18, tzinfo=ZONE))
        clocks = world.one(
            db,
            "select count(*) from ticket_clocks where ticket_id = any(:ids) and met_at is null and voided_at is null",
            ids=[actor.ticket_id, world.twin],
        )
        assert clocks.count == 0


def test_do_not_call_reaches_a_ticket_of_a_team_the_agent_does_not_see(world):
    with world.undone() as db:
        with db.begin():
            db.execute(
                sa.text("select set_config('app.staff_id', :id, true)"), {"id": str(world.people.manager)}
            )
            db.execute(
                sa.text("update tickets set assignee_id = :colleague where ticket_id = :twin"),
                {"colleague": world.people.colleague, "twin": world.twin},
            )
        contacts.do_not_call(
            world.actor(db, world.people.agent, world.tickets["in_progress"]), words="never again"
        )
        twin = world.one(
            db,
            "select t.state, e.kind, e.actor from tickets as t join ticket_events as e using (ticket_id, version)"
            " where ticket_id = :id",
            id=world.twin,
        )
        assert tuple(twin) == ("cancelled", "do_not_call", "agent")


def test_whoever_works_a_ticket_that_a_do_not_call_cancels_elsewhere_is_told(world):
    values = {"colleague": world.people.colleague, "agent": str(world.people.agent), "twin": world.twin}
    values |= {"ticket": world.tickets["in_progress"], "now": MONDAY}
    with world.admin.begin() as changes:  # the desk does not read notices
        for statement in (
            "update tickets set assignee_id = :colleague, state = 'assigned' where ticket_id = :twin",
            "select set_config('app.staff_id', :agent, true), stop_customer(:ticket, :now, 'never again')",
        ):
            world.admin.execute(sa.text(statement), values)
        told = world.admin.execute(
            sa.text(
                "select n.ticket_id, n.audience, n.staff_id, n.details,"
                " n.dedupe_key = concat_ws('/', 'cancelled', n.ticket_id, t.version) as has_the_key_of_limits"
                " from notices as n join tickets as t using (ticket_id) where n.kind = 'ticket_cancelled'"
            )
        ).one()
        changes.rollback()
    assert tuple(told) == (world.twin, "assignee", world.people.colleague, {"reason": "refused"}, True)


def test_a_closed_ticket_is_never_reopened_against_a_refusal(world):
    with world.undone() as db:
        closed = world.actor(db, world.people.lead, world.tickets["closed"])
        subscriber = world.one(
            db, "select subscriber_id from tickets where ticket_id = :id", id=closed.ticket_id
        )
        inbound(world, db, subscriber.subscriber_id, is_refusal=True)
        with pytest.raises(Refused, match="refused all calls at 2026-11-09 08:30"):
            life_cycle.reopen(closed, reason="once more")


@pytest.mark.parametrize("who", ["colleague", "stranger", None])
def test_nobody_stops_calls_to_a_customer_who_is_not_theirs(world, who):
    identity = str(getattr(world.people, who)) if who else ""
    statement = sa.text("select set_config('app.staff_id', :id, true), stop_customer(:ticket, :now, 'x')")
    values = {"id": identity, "ticket": world.tickets["in_progress"], "now": MONDAY}
    with pytest.raises(sa.exc.ProgrammingError, match="do not work with"), world.desk.begin():
        world.desk.execute(statement, values)


def test_saying_it_twice_is_one_refusal(world):
    with world.undone() as db:
        for _ in range(2):
            inbound(world, db, "NOBODY", is_refusal=True)
        with world.admin.begin():
            assert world.admin.execute(sa.text("select count(*) from refusals")).scalar() == 0
        stand = world.desk.execute(
            sa.text("select count(*) from linked_tasks where unit = 'complaint' and inbound_id is not null")
        )
        assert stand.scalar() == 2


# ---------------------------------------------------------------- who calls in


def test_a_held_out_customer_who_calls_is_noted_and_the_desk_does_not_learn_the_arm(world):
    hold_out(world.admin, "H1")
    with world.undone() as db:
        known, unknown = inbound(world, db, "H1", needs=["price"]), inbound(world, db, "H2")
        assert unknown == known + 1
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), db.begin():
            db.execute(sa.text("select assignment_id from inbound_contacts"))
        seen = {each: world.one(db, _SEEN, id=each) for each in (known, unknown)}
        assert set(seen[known]._fields) == set(seen[unknown]._fields)
        assert seen[known].needs == ["price"]


_SEEN = """
select inbound_id, campaign, subscriber_id, recorded_at, staff_id, channel, needs, said, done, is_refusal
from inbound_contacts where inbound_id = :id
"""


def test_the_talk_hangs_on_the_newest_assignment_of_either_arm(world, db, config):
    from tests.fixtures.work import fill_cycle, hire

    people = hire(db)
    fill_cycle(db, 1)
    for subscriber in ("S0001", "X"):
        call_in(db, config, people.agent, subscriber)
    with db.begin():
        rows = db.execute(
            sa.text("select subscriber_id, assignment_id is not null from inbound_contacts order by 1")
        ).all()
    assert [tuple(row) for row in rows] == [("S0001", True), ("X", False)]


def test_a_caller_with_a_released_ticket_is_passed_on_to_it(world):
    with world.undone() as db:
        paused = world.one(
            db,
            "select ticket_id, subscriber_id from tickets where state = 'paused' and campaign = 'churn_warning'",
        )
        with pytest.raises(Refused, match=f"has ticket {paused.ticket_id} in team 'mid_high'"):
            inbound(world, db, paused.subscriber_id)


def test_a_talk_without_words_is_no_record(world):
    with world.undone() as db:
        with pytest.raises(BadInput, match="in words"):
            inbound(world, db, "H9", said="  ")
        with pytest.raises(BadInput, match="names one or more"):
            inbound(world, db, "H9", needs=["weather"])


def test_a_call_back_lies_ahead_and_has_its_time_zone(world):
    with world.undone() as db:
        actor = world.actor(db, world.people.agent, world.tickets["assigned"])
        for wrong, told in (
            (MONDAY, "does not lie ahead"),
            (datetime(2026, 11, 12, 9), "no time zone"),  # noqa: DTZ001
            (None, "give the instant"),
        ):
            with pytest.raises(BadInput, match=told):
                contacts.record_contact(actor, channel="call", result="call_back", call_back_at=wrong)
        with pytest.raises(BadInput, match="Choose one of call, sms, app, visit"):
            contacts.record_contact(actor, channel="pigeon", result="reached")


# ---------------------------------------------------------------- tasks of other units


def test_a_task_has_its_own_deadline_and_outlives_the_ticket(world):
    with world.undone() as db:
        actor = world.actor(db, world.people.agent, world.tickets["in_progress"])
        actor = replace(actor, version=tasks.open_task(actor, unit="tariff", words="billed twice"))
        task = world.one(db, "select task_id, due_at from linked_tasks where unit = 'tariff'")
        assert task.due_at == WorkCalendar.from_library().due_on(MONDAY, 3).at
        actor = replace(actor, version=life_cycle.close(actor, outcome="declined", detail="lost_trust"))
        version = tasks.finish_task(actor, task_id=task.task_id, result="credited")
        assert version == actor.version + 1
        stand = db.execute(TICKET["read_tasks"], {"ticket_id": actor.ticket_id}).all()
        assert {(row.unit, row.done_at is not None) for row in stand} == {
            ("network", False),
            ("tariff", True),
        }
        with pytest.raises(Refused, match="is done already"):
            tasks.finish_task(replace(actor, version=version), task_id=task.task_id, result="again")


def test_a_task_of_another_ticket_or_an_unknown_unit_is_refused(world):
    with world.undone() as db:
        actor = world.actor(db, world.people.agent, world.tickets["in_progress"])
        with pytest.raises(Refused, match="does not belong here"):
            tasks.finish_task(actor, task_id=world.tasks["paused"], result="done")
        with pytest.raises(BadInput, match="Choose one of network, tariff, complaint"):
            tasks.open_task(actor, unit="kitchen", words="cold")


def test_an_overdue_task_is_noticed_and_told_once(world):
    due = datetime(2026, 11, 16, 18, tzinfo=ZONE)
    notice = load("stages/sla")["notice_overdue_tasks"]
    outer = world.admin.begin()
    for now, noticed in ((due, 0), (due + timedelta(minutes=1), 5), (due + timedelta(days=1), 0)):
        assert world.admin.execute(notice, {"now": now}).scalar() == noticed
    told = world.admin.execute(sa.text("select distinct staff_id from notices where kind = 'task_overdue'"))
    assert list(told.scalars()) == [world.people.agent]
    outer.rollback()


def test_a_task_from_a_talk_without_ticket_is_finished_by_who_took_it(world):
    with world.undone() as db:
        inbound(world, db, "H7", is_refusal=True)
        task = db.execute(sa.text("select task_id from linked_tasks where inbound_id is not null")).scalar()
        finish = {"task_id": task, "result": "apologised", "now": MONDAY + timedelta(hours=1)}
        with pytest.raises(Refused, match="not yours to see"):
            tasks.finish_inbound_task(db, staff_id=world.people.stranger, **finish)
        tasks.finish_inbound_task(db, staff_id=world.people.agent, **finish)


# ---------------------------------------------------------------- merging and handing back


def test_the_survivor_of_a_merge_shows_the_contacts_and_promises_of_the_other(world):
    with world.undone() as db:
        gone = world.actor(db, world.people.agent, world.tickets["in_progress"])
        back = MONDAY + timedelta(days=1)
        version = contacts.record_contact(gone, channel="call", result="call_back", call_back_at=back)
        lead = replace(gone, staff_id=world.people.lead, version=version)
        kept = world.actor(db, world.people.lead, world.twin)
        life_cycle.merge(lead, into=kept.ticket_id, into_version=kept.version, reason="one customer")
        link = world.one(
            db, "select state, merged_into from tickets where ticket_id = :id", id=gone.ticket_id
        )
        assert tuple(link) == ("cancelled", world.twin)
        key = {"ticket_id": world.twin}
        seen = db.execute(TICKET["read_past_contacts"], key).all()
        assert [(row.result, row.ticket_id) for row in seen] == [
            ("call_back", gone.ticket_id),
            ("reached", gone.ticket_id),
        ]
        owed = db.execute(TICKET["read_tasks"], key).all()
        assert [row.ticket_id for row in owed] == [gone.ticket_id]
        event = world.one(
            db,
            "select kind, details from ticket_events where ticket_id = :id order by version desc limit 1",
            id=world.twin,
        )
        assert event.kind == "absorb"
        assert datetime.fromisoformat(event.details["call_back_at"]) == back


def test_tickets_of_two_customers_are_not_merged_by_accident(world):
    with world.undone() as db:
        lead = world.actor(db, world.people.lead, world.tickets["in_progress"])
        other = world.actor(db, world.people.lead, world.partner)
        words = {"into": other.ticket_id, "into_version": other.version, "reason": "looks alike"}
        with pytest.raises(Refused, match="share neither customer nor number"):
            life_cycle.merge(lead, **words)
        life_cycle.merge(lead, **words, has_changed_customer=True)
        with pytest.raises(BadInput, match="into itself"):
            life_cycle.merge(lead, into=lead.ticket_id, into_version=lead.version, reason="x")


def test_a_merge_onto_an_old_screen_changes_neither_ticket(world):
    with world.undone() as db:
        before = world.prints(db)
        lead = world.actor(db, world.people.lead, world.tickets["in_progress"])
        with pytest.raises(Refused, match="changed meanwhile"):
            life_cycle.merge(lead, into=world.twin, into_version=1, reason="one customer")
        assert world.prints(db) == before


def test_a_ticket_handed_back_waits_for_the_team_with_its_promise(world):
    with world.undone() as db:
        actor = world.actor(db, world.people.agent, world.tickets["paused"])
        with pytest.raises(BadInput, match="is to be said in words"):
            life_cycle.hand_back(actor, reason=" ")
        version = life_cycle.hand_back(actor, reason="on leave")
        with pytest.raises(Refused, match="lies in the team's queue already"):
            life_cycle.hand_back(replace(actor, version=version), reason="again")
        colleague = replace(actor, staff_id=world.people.colleague, version=version)
        version = life_cycle.claim(colleague)
        row = world.one(
            db,
            "select assignee_id, state, paused_until from tickets where ticket_id = :id",
            id=actor.ticket_id,
        )
        assert tuple(row) == (world.people.colleague, "paused", MONDAY.date() + timedelta(days=2))
        with pytest.raises(Refused, match="not yours"):
            contacts.record_contact(replace(actor, version=version), channel="call", result="reached")


def test_the_ending_is_kept_when_a_plan_is_processed_later(world):
    from include.desk.tickets import plans

    with world.undone() as db:
        actor = world.actor(db, world.people.agent, world.tickets["in_progress"])
        ending = {"outcome": "retained", "detail": "changed_plan", "satisfaction": 9}
        closed = replace(actor, version=life_cycle.close(actor, **ending))
        plans.record_processing(closed, result="done", order_number="N-77")
        row = world.one(
            db,
            "select state, outcome, outcome_detail, satisfaction, closed_at from tickets where ticket_id = :id",
            id=actor.ticket_id,
        )
        assert tuple(row) == ("closed", "retained", "changed_plan", 9, MONDAY)


def test_an_ending_forgets_its_satisfaction_when_the_ticket_is_reopened(world):
    with world.undone() as db:
        reopened = world.actor(db, world.people.lead, world.tickets["closed"])
        life_cycle.reopen(reopened, reason="called back")
        row = world.one(
            db, "select outcome, outcome_detail, satisfaction, closed_at from tickets where ticket_id = :id",
            id=reopened.ticket_id,
        )  # fmt: skip
        assert tuple(row) == (None, None, None, None)


# ---------------------------------------------------------------- walls


@pytest.mark.parametrize(
    "table", ["linked_tasks", "refusals", "inbound_contacts", "contact_attempts", "tickets"]
)
def test_without_identity_the_desk_sees_no_row(world, table):
    with world.undone() as db:
        contacts.do_not_call(world.actor(db, world.people.agent, world.tickets["in_progress"]), words="never")
        inbound(world, db, "H5")
        column = {"inbound_contacts": "inbound_id"}.get(table, "*")
        for identity, is_seen in (("", False), (str(world.people.manager), True)):
            with db.begin():
                db.execute(sa.text("select set_config('app.staff_id', :id, true)"), {"id": identity})
                count = db.execute(sa.text(f"select count({column}) from {table}")).scalar()
            assert (count > 0) is is_seen


def test_work_done_before_a_hand_back_counts_for_the_next_one(world):
    with world.undone() as db:
        actor = worked_through(world.actor(db, world.people.agent, world.tickets["assigned"]))
        version = life_cycle.hand_back(actor, reason="end of shift")
        colleague = replace(actor, staff_id=world.people.colleague, version=version)
        life_cycle.close(colleague, outcome="retained", detail="accepted_offer")
        row = world.one(db, "select assignee_id from tickets where ticket_id = :id", id=actor.ticket_id)
        assert row.assignee_id == world.people.colleague
