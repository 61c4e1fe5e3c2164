"""Release: what the teams can call today, best rank first; clocks start; a repeat gives out nothing more."""

from collections import Counter
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from include.domain.months import ZONE
from include.stages.release import release
from tests.fixtures.work import FRIDAY, fill_cycle, hire, snapshot

SATURDAY = FRIDAY + timedelta(days=1)


def column(db, statement, **values):
    with db.begin():
        return list(db.execute(sa.text(statement), values).scalars())


def test_each_agent_gets_a_days_contacts_best_rank_first(db, config):
    people = hire(db, contacts_per_day=2)
    fill_cycle(db, 10)
    told = release(db=db, config=config, now=FRIDAY)
    assert told["released"] == 4
    assert column(db, "select rank from tickets where state = 'assigned' order by rank") == [1, 2, 3, 4]
    given = Counter(column(db, "select assignee_id from tickets where state = 'assigned'"))
    assert given == {people.agent: 2, people.colleague: 2}


def test_a_ticket_released_on_friday_is_due_on_wednesday_and_first_called_by_monday_evening(db, config):
    hire(db)
    fill_cycle(db, 1)
    release(db=db, config=config, now=FRIDAY)
    due = column(db, "select due_at from ticket_clocks order by clock")
    assert due == [datetime(2026, 11, 9, 18, tzinfo=ZONE), datetime(2026, 11, 11, 18, tzinfo=ZONE)]
    assert column(db, "select warn_at from ticket_clocks order by clock") == [
        datetime(2026, 11, 9, 15, tzinfo=ZONE),
        datetime(2026, 11, 10, 18, tzinfo=ZONE),
    ]


def test_released_twice_a_day_is_released_once(db, config):
    hire(db, contacts_per_day=2)
    ids = fill_cycle(db, 10)
    release(db=db, config=config, now=FRIDAY)
    before = [snapshot(db, ticket) for ticket in ids]
    again = release(db=db, config=config, now=FRIDAY + timedelta(hours=1))
    assert again["released"] == 0
    assert [snapshot(db, ticket) for ticket in ids] == before


def test_the_next_working_day_gives_out_the_next_ones(db, config):
    hire(db, contacts_per_day=2)
    fill_cycle(db, 10)
    for days in (0, 3):
        release(db=db, config=config, now=FRIDAY + timedelta(days=days))
    assert column(db, "select count(*) from tickets where state = 'assigned'") == [8]


def test_a_rest_day_releases_nothing_unless_told_to(db, config):
    hire(db)
    fill_cycle(db, 2)
    assert "rest day" in release(db=db, config=config, now=SATURDAY)["message"]
    assert release(db=db, config=config, now=SATURDAY, on_rest_days=True)["released"] == 2


def test_a_make_up_saturday_is_a_working_morning(db, config):
    hire(db)
    fill_cycle(db, 1)
    make_up = datetime(2026, 10, 10, 8, 30, tzinfo=ZONE)
    assert release(db=db, config=config, now=make_up)["released"] == 1


def test_without_staff_everything_is_released_at_once_and_belongs_to_nobody(db, config):
    fill_cycle(db, 5)
    assert release(db=db, config=config, now=SATURDAY)["released"] == 5
    assert column(db, "select distinct assignee_id from tickets") == [None]


def test_absent_staff_gets_nothing(db, config):
    people = hire(db, contacts_per_day=5)
    with db.begin():
        db.execute(sa.text("update staff set is_present = false where staff_id = :id"), {"id": people.agent})
    fill_cycle(db, 10)
    release(db=db, config=config, now=FRIDAY)
    assert set(column(db, "select assignee_id from tickets where state = 'assigned'")) == {people.colleague}


def test_on_a_day_everybody_is_away_nothing_is_released(db, config):
    hire(db)
    fill_cycle(db, 3)
    with db.begin():
        db.execute(sa.text("update staff set is_present = false"))
    assert release(db=db, config=config, now=FRIDAY)["released"] == 0
    assert column(db, "select distinct state from tickets") == ["waiting"]


def test_every_waiting_ticket_knows_the_day_it_is_expected(db, config):
    hire(db, contacts_per_day=2)
    fill_cycle(db, 10)
    release(db=db, config=config, now=FRIDAY)
    waiting = column(db, "select expected_on from tickets where state = 'waiting' order by rank")
    assert waiting == [date(2026, 11, 9)] * 4 + [date(2026, 11, 10)] * 2


def test_the_explanation_of_the_deadline_is_stored_day_by_day(db, config):
    hire(db)
    fill_cycle(db, 1)
    release(db=db, config=config, now=FRIDAY)
    days = column(db, "select explanation -> 'days' from ticket_clocks where clock = 'plan'")[0]
    assert [(day["day"][-2:], day["counted"]) for day in days] == [
        ("06", False), ("07", False), ("08", False), ("09", True), ("10", True), ("11", True),
    ]  # fmt: skip
