"""Who works on which day, as the database tells it, and the branch tree."""

from datetime import date

import pytest
import sqlalchemy as sa

from tests.fixtures.work import hire

FRIDAY, SATURDAY, MONDAY = date(2026, 11, 6), date(2026, 11, 7), date(2026, 11, 9)
MAKE_UP_SATURDAY = date(2026, 10, 10)


def ask(db, statement, **values):
    with db.begin():
        return db.execute(sa.text(statement), values).scalar()


def on_duty(db, person, day):
    return ask(db, "select is_on_duty(:person, :day)", person=person, day=day)


def put(db, statement, **values):
    with db.begin():
        db.execute(sa.text(statement), values)


def test_without_a_roster_a_person_works_on_working_days(db):
    agent = hire(db).agent
    assert [on_duty(db, agent, day) for day in (FRIDAY, SATURDAY, MONDAY)] == [True, False, True]


def test_a_make_up_saturday_of_the_calendar_is_a_day_on_duty(db):
    agent = hire(db).agent
    put(db, "insert into work_days values ('cn', :day, true, null, 'test')", day=MAKE_UP_SATURDAY)
    assert on_duty(db, agent, MAKE_UP_SATURDAY)


def test_in_a_rostered_week_only_the_rostered_days_are_worked_rest_days_too(db):
    agent = hire(db).agent
    put(db, "insert into shifts (staff_id, day) values (:who, :day)", who=agent, day=SATURDAY)
    assert [on_duty(db, agent, day) for day in (FRIDAY, SATURDAY, MONDAY)] == [False, True, True]


def test_nobody_on_leave_absent_or_gone_is_on_duty(db):
    people = hire(db)
    put(
        db, "insert into absences (staff_id, from_on, until_on, recorded_at, recorded_by)"
        " values (:who, :day, :day, now(), 'test')", who=people.agent, day=FRIDAY,
    )  # fmt: skip
    put(db, "update staff set is_present = false where staff_id = :who", who=people.colleague)
    put(db, "update staff set is_active = false where staff_id = :who", who=people.stranger)
    told = [
        on_duty(db, who, FRIDAY) for who in (people.agent, people.colleague, people.stranger, people.lead)
    ]
    assert told == [False, False, False, True]
    assert on_duty(db, people.agent, MONDAY)
    assert on_duty(db, 10**9, FRIDAY) is False


def test_the_line_of_a_branch_leads_up_the_tree(db):
    put(db, "insert into branches values ('shop', 'county', 'Shop', 'R01'), ('county', 'city', 'County', 'R01'),"
        " ('city', null, 'City', 'R01')")  # fmt: skip
    assert ask(db, "select branch_line('shop')") == ["shop", "county", "city"]
    assert ask(db, "select branch_line('nowhere')") is None


def test_a_branch_cannot_report_to_itself(db):
    with pytest.raises(sa.exc.IntegrityError):
        put(db, "insert into branches values ('shop', 'shop', 'Shop', null)")
