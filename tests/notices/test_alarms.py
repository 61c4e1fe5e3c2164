"""Alarms: once a day each, and a watcher that has fallen silent is one."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from include.domain.periods.months import ZONE
from include.notices.alarms import Alarm, announce, expected_tick, silent_watchers
from include.notices.tick import alarm, check, tell
from include.stages import sla
from tests.notices.conftest import MONDAY

DAY = timedelta(days=1)


def shanghai(day, hour, minute=0):
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE)


def test_one_thing_is_told_once_a_day(db, notices, channels):
    given = {"db": db, "notices": notices, "channels": channels}
    details = {"where": "grading", "why": "no scores.", "link": ""}
    first, second = (Alarm("stage_failed", f"grading, run {nth}", details) for nth in (1, 2))
    told = [alarm(**given, now=now, alarm=first) for now in (MONDAY, MONDAY, MONDAY + DAY)]
    assert told == [True, False, True]
    assert len(channels["operations"].sent) == 2
    assert alarm(**given, now=MONDAY, alarm=second)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (shanghai(9, 8, 30), shanghai(8, 18, 15)),
        (shanghai(9, 9, 29), shanghai(8, 18, 15)),
        (shanghai(9, 9, 30), shanghai(9, 9)),
        (shanghai(9, 12, 7), shanghai(9, 11, 30)),
        (shanghai(9, 18, 50), shanghai(9, 18, 15)),
        (shanghai(9, 23), shanghai(9, 18, 15)),
    ],
)
def test_the_tick_that_must_be_over_is_the_last_one_before_the_allowance(notices, now, expected):
    assert expected_tick(notices.heartbeats["watch_sla"], now) == expected


def test_a_watcher_at_work_raises_no_alarm_and_a_silent_one_does(db, config, notices, tickets, channels):
    yesterday = shanghai(9, 18, 15)
    sla.watch(db=db, config=config, now=yesterday)
    tell(db=db, config=config, notices=notices, channels=channels, now=yesterday)
    morning = shanghai(10, 8, 30)
    assert check(db=db, notices=notices, channels=channels, now=morning)["rows_out"] == 0
    # two days without a tick
    later = shanghai(12, 7)
    assert check(db=db, notices=notices, channels=channels, now=later)["rows_out"] == 3
    body = channels["operations"].sent[-1].body
    assert "watch_sla should have run at 2026-11-11 18:15, last seen 2026-11-09 18:15." in body
    check(db=db, notices=notices, channels=channels, now=later)
    assert len(channels["operations"].sent) == 1


def test_a_watcher_never_seen_is_awaited_from_the_first_look_on(db, notices, channels):
    with db.begin():
        assert silent_watchers(db, notices, MONDAY) == {}
    assert check(db=db, notices=notices, channels=channels, now=MONDAY)["rows_out"] == 0
    assert check(db=db, notices=notices, channels=channels, now=MONDAY + DAY)["rows_out"] == 3
    assert "last seen 2026-11-09 10:00" in channels["operations"].sent[0].body


def test_an_alarm_is_kept_when_it_cannot_be_delivered(db, notices, channels):
    channels["operations"].refusals = 1
    alarm(
        db=db, notices=notices, channels=channels, now=MONDAY,
        alarm=Alarm("stage_failed", "x", {"where": "x", "why": "y", "link": ""}),
    )  # fmt: skip
    assert channels["operations"].sent == []
    check(db=db, notices=notices, channels=channels, now=MONDAY + timedelta(minutes=2))
    assert len(channels["operations"].sent) == 1


def test_an_alarm_is_part_of_the_transaction_that_causes_it(db, notices):
    with db.begin() as transaction:
        assert announce(db, "drift", "scores", {"what": "scores", "why": "psi", "link": ""}, MONDAY)
        transaction.rollback()
    with db.begin():
        assert db.execute(sa.text("select count(*) from notices")).scalar_one() == 0
