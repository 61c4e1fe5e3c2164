"""What `make status` says of watchers that fell silent and of messages nobody got."""

from datetime import datetime
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from include.domain.periods.months import ZONE
from include.local.watchers import watcher_lines
from include.stages.sla import beat

NOW = datetime(2026, 11, 12, 7, tzinfo=ZONE)


@pytest.fixture
def site(role_url):
    return SimpleNamespace(database_url=role_url)


def test_all_is_well_says_nothing(site):
    assert watcher_lines(site, NOW) == []


def test_a_silent_watcher_and_dead_messages_are_told(db, site):
    with db.begin():
        beat(db, "watch_sla", datetime(2026, 11, 9, 18, tzinfo=ZONE), {})
        db.execute(
            sa.text(
                "insert into messages (dedupe_key, channel, severity, subject, body, notices, created_at,"
                " next_attempt_at, dead_at) values ('x', 'operations', 'page', 's', 'b', 1, :now, :now, :now)"
            ),
            {"now": NOW},
        )
    assert watcher_lines(site, NOW) == [
        "watch_sla is silent: expected at 2026-11-11 18:15, last seen 2026-11-09 18:00",
        "1 messages could not be delivered: python -m include.notices list",
    ]


def test_a_database_of_an_older_revision_is_no_reason_to_fail(site, execute, database_url):
    execute("drop table message_notices, messages cascade", database=database_url.rpartition("/")[2])
    assert watcher_lines(site, NOW) == ["the watchers cannot be asked: ProgrammingError"]
