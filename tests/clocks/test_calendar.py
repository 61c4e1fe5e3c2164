"""The stored calendar: filled, changed after a preview, and the open tickets that a change moves."""

import json
from datetime import date, datetime, timedelta

import pytest
import sqlalchemy as sa

from include.clocks import calendar
from include.clocks.ticket_clocks import read_clocks
from include.config import config_from
from include.database import engine
from include.desk.tickets import contacts, life_cycle, transaction
from include.domain.deadline import Deadline
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.workdays import WorkDay
from include.stages import sla
from include.stages.release import release
from include.words.deadlines import explain
from tests.fixtures.work import FRIDAY, fill_cycle, hire, snapshot

#: The Tuesday after the release of FRIDAY; plans are due on Wednesday 11 November at 18:00.
TUESDAY = datetime(2026, 11, 10, 12, tzinfo=ZONE)
TUESDAY_18, WEDNESDAY_18, THURSDAY_18 = (datetime(2026, 11, day, 18, tzinfo=ZONE) for day in (10, 11, 12))
NOTICE = "国办发明电〔2026〕9号"


@pytest.fixture
def people(db):
    return hire(db)


@pytest.fixture
def tickets(db, config, people):
    ids = fill_cycle(db, 3)
    release(db=db, config=config, now=FRIDAY)
    return ids


def asked(db, statement, **values):
    with db.begin():
        return db.execute(sa.text(statement), values).all()


def due(db, ticket, clock="plan"):
    found = asked(
        db, "select due_at from ticket_clocks where ticket_id = :t and clock = :c", t=ticket, c=clock
    )
    return found[-1].due_at


def note(db, *days, actor="planner"):
    with db.begin():
        calendar.draft(db, [WorkDay(*day) for day in days], actor=actor, now=TUESDAY)


def put(db, config, confirm, now=TUESDAY):
    with db.begin():
        return calendar.apply(db, config, now, confirm=confirm, actor="planner")


def looked_at(db, config, now=TUESDAY):
    with db.begin():
        return calendar.preview(db, config, now)


def fill(db, config, now=TUESDAY):
    with db.begin():
        return calendar.fill_calendar(db, config, now)


WEDNESDAY_OFF = (date(2026, 11, 11), False, "调休 / swapped", NOTICE)

# ------------------------------------------------------------ a change within the year


def test_a_change_is_previewed_and_changes_nothing_until_it_is_applied(db, config, tickets):
    before = [snapshot(db, ticket) for ticket in tickets]
    note(db, WEDNESDAY_OFF)
    found = looked_at(db, config)
    assert (found.tickets, found.earlier) == (3, 0)
    assert found.deadlines() == [("plan", WEDNESDAY_18, THURSDAY_18, 3)]
    assert [snapshot(db, ticket) for ticket in tickets] == before
    assert looked_at(db, config) == found


def test_applying_moves_each_open_ticket_with_an_event_and_a_notice(db, config, tickets, people):
    note(db, WEDNESDAY_OFF)
    assert put(db, config, 3) == 3
    assert [due(db, ticket) for ticket in tickets] == [THURSDAY_18] * 3
    events = asked(db, "select version, actor, details from ticket_events where kind = 'recompute'")
    assert [(event.version, event.actor) for event in events] == [(3, "planner")] * 3
    moved = events[0].details["clocks"][0]
    assert datetime.fromisoformat(moved["old_due_at"]) == WEDNESDAY_18
    assert datetime.fromisoformat(moved["new_due_at"]) == THURSDAY_18
    assert NOTICE in events[0].details["why"]
    told = asked(db, "select kind, audience, staff_id, ticket_id from notices order by ticket_id")
    assert [tuple(row)[:2] for row in told] == [("deadline_moved", "assignee")] * 3
    assert {row.staff_id for row in told} <= {people.agent, people.colleague}
    assert asked(db, "select count(*) as n from work_day_drafts")[0].n == 0
    assert asked(db, "select actor, details from audit_log")[0].details["tickets"] == 3


def test_the_order_of_the_queue_follows_the_running_clocks(db, config, tickets):
    def orders():
        return {row.due_at for row in asked(db, "select due_at from tickets")}

    assert orders() == {WEDNESDAY_18} == {due(db, ticket) for ticket in tickets}
    note(db, (date(2026, 11, 11), False, "storm", NOTICE))
    put(db, config, 3)
    assert orders() == {THURSDAY_18}
    asked(db, "update ticket_clocks set met_at = :now where clock = 'plan' returning 1", now=TUESDAY)
    assert orders() == {due(db, tickets[0], "first_contact")}
    asked(db, "update ticket_clocks set met_at = :now where met_at is null returning 1", now=TUESDAY)
    assert orders() == {None}
    asked(db, "update ticket_clocks set met_at = null where clock = 'plan' returning 1")
    assert orders() == {THURSDAY_18}


def test_days_read_before_are_kept_until_one_of_them_changes(db, config, tickets):
    def read():
        with db.begin():
            return read_clocks(db, config, TUESDAY)

    before = read()
    assert read().days is before.days
    note(db, (date(2026, 11, 11), False, "storm", NOTICE))
    put(db, config, 3)
    after = read()
    assert after.days is not before.days
    assert [before.calendar().is_working(WEDNESDAY_18), after.calendar().is_working(WEDNESDAY_18)] == [
        True,
        False,
    ]


def test_applied_again_it_moves_nothing(db, config, tickets):
    note(db, WEDNESDAY_OFF)
    put(db, config, 3)
    before = [snapshot(db, ticket) for ticket in tickets]
    note(db, WEDNESDAY_OFF)
    assert looked_at(db, config).moves == ()
    assert put(db, config, 0) == 0
    assert [snapshot(db, ticket) for ticket in tickets] == before


def test_another_figure_than_the_previews_is_refused_and_nothing_changes(db, config, tickets):
    note(db, WEDNESDAY_OFF)
    before = [snapshot(db, ticket) for ticket in tickets]
    with pytest.raises(Refused, match="moves 3 tickets, not the 2 you confirmed"):
        put(db, config, 2)
    assert [snapshot(db, ticket) for ticket in tickets] == before
    with db.begin():
        assert read_clocks(db, config, TUESDAY).calendar().is_working(date(2026, 11, 11))


def test_without_a_noted_day_there_is_nothing_to_apply(db, config, tickets):
    with pytest.raises(Refused, match="No day is noted"):
        put(db, config, 0)


def test_a_closed_breached_or_met_clock_keeps_its_verdict(db, config, tickets, people):
    mine, breached, open_one = tickets
    row = asked(db, "select version, assignee_id from tickets where ticket_id = :t", t=mine)[0]
    actor = transaction.Actor(db, config, row.assignee_id, mine, row.version, TUESDAY)
    contacts.record_contact(actor, channel="call", result="reached")
    with db.begin():
        db.execute(
            sa.text(
                "update ticket_clocks set breached_at = due_at, noticed_at = due_at"
                " where ticket_id = :t and clock = 'plan'"
            ),
            {"t": breached},
        )
    before = snapshot(db, breached)
    note(db, WEDNESDAY_OFF, (date(2026, 11, 9), False, None, NOTICE))
    assert put(db, config, 2) == 2
    assert snapshot(db, breached) == before
    assert due(db, mine, "first_contact") == datetime(2026, 11, 9, 18, tzinfo=ZONE)
    assert due(db, open_one) > THURSDAY_18


def test_no_change_breaches_a_ticket_at_once(db, config, tickets):
    # both weekend days become worked: counted anew the plan was due on Monday, yesterday
    note(db, *[(date(2026, 11, day), True, "补班 / make-up", NOTICE) for day in (7, 8)])
    found = looked_at(db, config)
    assert found.earlier == 0  # Wednesday is the next working day already
    put(db, config, 0)
    assert [due(db, ticket) for ticket in tickets] == [WEDNESDAY_18] * 3
    told = sla.watch(db=db, config=config, now=TUESDAY)
    plans = asked(
        db, "select count(*) as n from ticket_clocks where clock = 'plan' and breached_at is not null"
    )
    assert (told["moved"], plans[0].n) == (0, 0)
    stored = asked(db, "select explanation from ticket_clocks where clock = 'plan' limit 1")[0].explanation
    lines = explain(Deadline.from_json(stored), "Plan", "en")
    assert lines[-2:] == [
        "Tue 10 Nov 2026: left after a change of the calendar, not counted",
        "Wed 11 Nov 2026: left after a change of the calendar, not counted",
    ]
    assert "日历调整后留出的时间" in explain(Deadline.from_json(stored), "方案")[-1]


def test_a_paused_clock_keeps_its_rest_when_the_calendar_changes(db, config, tickets):
    row = asked(db, "select version, assignee_id from tickets where ticket_id = :t", t=tickets[0])[0]
    now = datetime(2026, 11, 9, 15, tzinfo=ZONE)
    actor = transaction.Actor(db, config, row.assignee_id, tickets[0], row.version, now)
    version = contacts.record_contact(actor, channel="call", result="reached")
    paused = transaction.Actor(db, config, row.assignee_id, tickets[0], version, now)
    version = life_cycle.pause(paused, call_back_on=date(2026, 11, 12))
    assert due(db, tickets[0]) == datetime(2026, 11, 16, 18, tzinfo=ZONE)
    note(db, (date(2026, 11, 13), False, None, NOTICE))
    assert looked_at(db, config).tickets == 1
    put(db, config, 1)
    assert due(db, tickets[0]) == datetime(2026, 11, 17, 18, tzinfo=ZONE)
    # and the rest is given back by the days the stored calendar now has
    early = transaction.Actor(db, config, row.assignee_id, tickets[0], version + 1, TUESDAY)
    life_cycle.resume(early)
    assert due(db, tickets[0]) == THURSDAY_18


def test_a_warning_that_lies_ahead_again_is_due_again(db, config, tickets):
    tuesday_evening = TUESDAY_18
    sla.watch(db=db, config=config, now=tuesday_evening)
    assert asked(db, "select 1 from ticket_clocks where clock = 'plan' and warned_at is not null")
    note(db, WEDNESDAY_OFF, (date(2026, 11, 10), False, None, NOTICE))
    put(db, config, 3, now=tuesday_evening)
    assert not asked(db, "select 1 from ticket_clocks where clock = 'plan' and warned_at is not null")


def test_the_next_escalation_goes_by_the_changed_calendar(db, config, tickets):
    late = datetime(2026, 11, 9, 18, 15, tzinfo=ZONE)
    sla.watch(db=db, config=config, now=late)
    first = "select escalated_to, escalate_at from ticket_clocks where clock = 'first_contact'"
    assert {row.escalate_at for row in asked(db, first)} == {TUESDAY_18}
    note(db, (date(2026, 11, 10), False, None, NOTICE))
    put(db, config, looked_at(db, config, late).tickets, now=late)
    sla.watch(db=db, config=config, now=TUESDAY_18 + timedelta(minutes=15))
    assert {tuple(row) for row in asked(db, first)} == {("assignee", WEDNESDAY_18)}
    sla.watch(db=db, config=config, now=WEDNESDAY_18)
    assert {row.escalated_to for row in asked(db, first)} == {"lead"}


# ------------------------------------------------------------ layers


@pytest.fixture
def layered(config):
    """A province's layer for branch 45, one for the team vip, and two plan days for that team."""
    raw = config.texts["sla.yaml"].replace("branch_layers: {}", 'branch_layers: {"45": [guangxi]}')
    raw = raw.replace("team_layers: {}", "team_layers: {vip: [vip]}")
    raw = raw.replace("overrides: []", "overrides: [{team: vip, plan_days: 2}]")
    return config_from(config.texts | {"sla.yaml": raw})


def test_a_ticket_goes_by_the_layers_of_its_branch_and_the_rules_of_its_team(db, layered, people):
    ids = fill_cycle(db, 3)
    with db.begin():
        db.execute(sa.text("insert into branches (branch_code, name) values ('45', '广西')"))
        db.execute(
            sa.text("insert into branches (branch_code, parent_code, name) values ('4501', '45', '南宁')")
        )
        db.execute(sa.text("update tickets set branch_code = '4501' where ticket_id = :t"), {"t": ids[0]})
        db.execute(sa.text("update tickets set team = 'vip' where ticket_id = :t"), {"t": ids[1]})
        calendar.fill_calendar(db, layered, FRIDAY)
        calendar.draft(
            db,
            [
                WorkDay(date(2026, 11, 10), False, "三月三", "省政府", "guangxi"),
                WorkDay(date(2026, 11, 7), True, None, "vip", "vip"),
            ],
            actor="planner",
            now=FRIDAY,
        )
    put(db, layered, 0, now=FRIDAY)
    release(db=db, config=layered, now=FRIDAY)
    found = {ticket: due(db, ticket) for ticket in ids}
    assert found == {
        ids[0]: THURSDAY_18,  # Tuesday is a holiday of the province above its branch
        ids[1]: datetime(2026, 11, 9, 18, tzinfo=ZONE),  # two days, and Saturday is worked
        ids[2]: WEDNESDAY_18,
    }
    stored = asked(
        db, "select explanation from ticket_clocks where ticket_id = :t and clock = 'plan'", t=ids[0]
    )
    assert stored[0].explanation["terms"]["layers"] == ["cn", "guangxi"]


def test_a_change_of_a_layer_moves_its_own_tickets_and_no_bystander(db, layered, people):
    ids = fill_cycle(db, 2)
    with db.begin():
        db.execute(sa.text("insert into branches (branch_code, name) values ('45', '广西')"))
        db.execute(sa.text("update tickets set branch_code = '45' where ticket_id = :t"), {"t": ids[0]})
    release(db=db, config=layered, now=FRIDAY)
    bystander = snapshot(db, ids[1])
    note(db, (date(2026, 11, 11), False, "三月三", "省政府", "guangxi"))
    assert put(db, layered, 1) == 1
    assert (due(db, ids[0]), due(db, ids[1])) == (THURSDAY_18, WEDNESDAY_18)
    assert snapshot(db, ids[1]) == bystander
    # taken away again it moves back: Wednesday is still the next working day
    with db.begin():
        calendar.draft(db, [("guangxi", date(2026, 11, 11))], actor="planner", now=TUESDAY)
    assert put(db, layered, 1) == 1
    assert due(db, ids[0]) == WEDNESDAY_18


def test_an_edit_of_the_rules_leaves_running_clocks_alone(db, config, layered, tickets):
    before = [due(db, ticket) for ticket in tickets]
    fewer = config_from(
        config.texts | {"sla.yaml": config.texts["sla.yaml"].replace("plan_days: 3", "plan_days: 1", 1)}
    )
    note(db, (date(2026, 12, 1), False, None, NOTICE))
    assert looked_at(db, fewer).tickets == 0
    assert [due(db, ticket) for ticket in tickets] == before


def test_the_national_layer_can_be_changed_but_not_taken_away(db):
    with pytest.raises(BadInput, match="cannot be taken out of 'cn'"), db.begin():
        calendar.draft(db, [("cn", date(2026, 11, 11))], actor="planner", now=TUESDAY)


# ------------------------------------------------------------ a year that is published


def test_a_published_year_replaces_provisional_days_and_nothing_else(db, config):
    fill(db, config)
    asked_for = "update work_days set is_working = false, source = :source where date = :day and layer = 'cn'"
    with db.begin():
        db.execute(sa.text(asked_for), {"source": "provisional", "day": date(2026, 11, 9)})
        db.execute(sa.text(asked_for), {"source": NOTICE, "day": date(2026, 11, 10)})
    fill(db, config)
    rows = asked(
        db,
        "select is_working, source from work_days where date between '2026-11-09' and '2026-11-10' order by date",
    )
    assert [tuple(row) for row in rows] == [(True, "chinesecalendar"), (False, NOTICE)]


def test_open_provisional_tickets_are_recomputed_when_the_year_is_published(db, config, people):
    fill(db, config)
    with db.begin():  # as if the library did not know 2026 yet: Monday 4 to Friday 8 May are guesses
        db.execute(
            sa.text(
                "update work_days set source = 'provisional', name = null,"
                " is_working = extract(isodow from date) < 6 and to_char(date, 'MM-DD') not in"
                " ('01-01', '05-01', '05-02', '10-01', '10-02', '10-03') where date >= '2026-01-01'"
            )
        )
    released_at = datetime(2026, 4, 29, 8, 30, tzinfo=ZONE)
    ids = fill_cycle(db, 2)
    _release_without_filling(db, config, released_at)
    provisional = asked(db, "select is_provisional, due_at from ticket_clocks where clock = 'plan'")
    assert {tuple(row) for row in provisional} == {(True, datetime(2026, 5, 5, 18, tzinfo=ZONE))}
    told = sla.watch(db=db, config=config, now=released_at + timedelta(hours=1))
    assert told["moved"] == 2
    settled = asked(db, "select is_provisional, due_at from ticket_clocks where clock = 'plan'")
    assert {tuple(row) for row in settled} == {(False, datetime(2026, 5, 7, 18, tzinfo=ZONE))}
    events = asked(db, "select ticket_id, actor from ticket_events where kind = 'recompute' order by 1")
    assert [tuple(event) for event in events] == [(ticket, "loop") for ticket in ids]
    assert sla.watch(db=db, config=config, now=released_at + timedelta(hours=2))["moved"] == 0


def _release_without_filling(db, config, now):
    """Start the clocks by the calendar as it stands."""
    with db.begin():
        tickets = db.execute(sa.text("select * from tickets order by rank")).all()
        _, clocks = read_clocks(db, config, now).at_release(tickets, now)
        db.execute(
            sa.text(
                "with t as (update tickets set state = 'assigned', version = 2, released_at = :now returning *)"
                " insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)"
                " select ticket_id, 2, 'release', 'assigned', 'loop', :now from t"
            ),
            {"now": now},
        )
        db.execute(
            sa.text(
                "insert into ticket_clocks (ticket_id, clock, stops, started_at, warn_at, due_at, is_provisional,"
                " explanation) select ticket_id, c.clock, c.stops, :now, c.warn_at, c.due_at, c.is_provisional,"
                " c.explanation from tickets"
                " cross join jsonb_to_recordset(cast(:clocks as jsonb)) as c (clock text, stops text,"
                " warn_at timestamptz, due_at timestamptz, is_provisional boolean, explanation jsonb)"
            ),
            {"now": now, "clocks": json.dumps(clocks)},
        )


def test_a_change_waits_for_the_stages_at_work_and_they_for_it(db, config, tickets, role_url):
    note(db, WEDNESDAY_OFF)
    made = engine(role_url("churn_loop"))
    with made.connect() as other, other.begin():
        calendar.fill_calendar(other, config, TUESDAY)
        with db.begin():
            db.execute(sa.text("set local lock_timeout = '200ms'"))
            with pytest.raises(sa.exc.OperationalError, match="lock timeout"):
                calendar.apply(db, config, TUESDAY, confirm=3, actor="planner")
    made.dispose()
    assert put(db, config, 3) == 3
