"""Release: what the teams can call today, best rank first; clocks start; a repeat gives out nothing more."""

import threading
from collections import Counter
from datetime import date, datetime, timedelta

import sqlalchemy as sa

from include.database import engine
from include.domain.periods.months import ZONE
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


def test_two_releasers_at_once_give_a_ticket_out_once(db, config, role_url):
    hire(db, contacts_per_day=3)
    fill_cycle(db, 20)
    told = []

    def run():
        made = engine(role_url("churn_loop"))
        with made.connect() as own:
            told.append(release(db=own, config=config, now=FRIDAY)["released"])
        made.dispose()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [0, 0, 0, 6]
    assert column(db, "select count(*) from ticket_events where kind = 'release'") == [6]
    assert column(db, "select count(*) from ticket_clocks") == [12]


def test_a_ticket_goes_to_who_serves_its_branch_and_has_its_skill(db, config):
    people = hire(db, contacts_per_day=9)
    ids = fill_cycle(db, 4)
    with db.begin():
        for statement in (
            "insert into branches values ('county', null, 'County', null), ('shop', 'county', 'Shop', null),"
            " ('far', null, 'Far', null)",
            f"update staff set branch_code = 'county' where staff_id = {people.agent}",
            f"update staff set branch_code = 'far', skills = '{{silver}}' where staff_id = {people.colleague}",
            f"update tickets set branch_code = 'shop' where ticket_id in ({ids[0]}, {ids[1]})",
            f"update tickets set branch_code = 'far', skill = 'silver' where ticket_id = {ids[2]}",
            f"update tickets set branch_code = 'shop', skill = 'silver' where ticket_id = {ids[3]}",
        ):
            db.execute(sa.text(statement))
    told = release(db=db, config=config, now=FRIDAY)
    # the last fits nobody of the team: it goes to the team's queue
    assert (told["released"], told["to_queue"]) == (4, 1)
    given = column(db, "select assignee_id from tickets order by ticket_id")
    assert given == [people.agent, people.agent, people.colleague, None]


def test_what_went_to_the_queue_this_morning_leaves_less_for_the_callers_in_the_afternoon(db, config):
    hire(db, contacts_per_day=2)
    fill_cycle(db, 8)
    with db.begin():
        db.execute(sa.text("update tickets set skill = 'silver' where rank <= 3"))
        db.execute(
            sa.text(
                "update tickets set frozen_at = now(), frozen_because = 'port_out_applied' where rank > 3"
            )
        )
    assert release(db=db, config=config, now=FRIDAY)["to_queue"] == 3
    with db.begin():
        db.execute(sa.text("update tickets set frozen_at = null, frozen_because = null"))
    again = release(db=db, config=config, now=FRIDAY + timedelta(hours=4))
    assert (again["released"], again["to_queue"]) == (1, 0)


def test_a_ticket_only_somebody_on_leave_fits_waits(db, config):
    people = hire(db, contacts_per_day=9)
    fill_cycle(db, 1)
    with db.begin():
        for statement in (
            "insert into branches values ('shop', null, 'Shop', null), ('far', null, 'Far', null)",
            f"update staff set branch_code = 'shop' where staff_id = {people.agent}",
            f"update staff set branch_code = 'far' where staff_id = {people.colleague}",
            "update tickets set branch_code = 'shop'",
            "insert into absences (staff_id, from_on, until_on, recorded_at, recorded_by)"
            f" values ({people.agent}, '2026-11-06', '2026-11-06', now(), 'x')",
        ):
            db.execute(sa.text(statement))
    assert release(db=db, config=config, now=FRIDAY)["released"] == 0
    monday = FRIDAY + timedelta(days=3)
    assert column(db, "select expected_on from tickets") == [monday.date()]
    assert release(db=db, config=config, now=monday)["released"] == 1


def test_on_a_rest_day_those_on_the_roster_get_theirs(db, config):
    people = hire(db, contacts_per_day=9)
    fill_cycle(db, 5)
    with db.begin():
        db.execute(
            sa.text("insert into shifts values (:who, :day, 2)"),
            {"who": people.agent, "day": SATURDAY.date()},
        )
    assert release(db=db, config=config, now=SATURDAY)["released"] == 2
    assert set(column(db, "select assignee_id from tickets where state = 'assigned'")) == {people.agent}
