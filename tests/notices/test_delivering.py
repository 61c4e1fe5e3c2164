"""Delivery at least once: retries, dead letters, several deliverers, and one that is killed in between."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.database import engine
from include.notices.__main__ import main
from include.notices.channels import to_file
from include.notices.delivering import deliver, retry_dead
from include.notices.gathering import gather, gather_alarms
from tests.conftest import ROOT
from tests.notices.conftest import MONDAY, Remembering, quickly, warned

MINUTE = timedelta(minutes=1)


@pytest.fixture
def digests(db, config, notices, people, tickets, write):
    """A digest for each of the two agents, gathered on Monday."""
    for staff in (people.agent, people.colleague):
        write("clock_warned", "assignee", staff, tickets[0], **warned(tickets[0]))
    gather(db, config, notices, MONDAY)


def messages(db):
    with db.begin():
        return db.execute(sa.text("select * from messages order by message_id")).all()


def test_each_message_is_sent_once(db, notices, digests, channels):
    assert deliver(db, notices, MONDAY, channels) == {"sent": 2, "failed": 0, "dead": 0}
    assert deliver(db, notices, MONDAY, channels)["sent"] == 0
    assert len({message.dedupe_key for message in channels["staff"].sent}) == 2
    assert {row.delivered_at for row in messages(db)} == {MONDAY}


def test_a_failure_is_tried_again_after_ever_longer_pauses(db, notices, write):
    write("stage_failed", "operations", where="x", why="y", link="")
    gather_alarms(db, notices, MONDAY)
    channel = Remembering(refusals=3)
    tried = []
    for minutes in range(16):
        before = channel.attempts
        deliver(db, notices, MONDAY + minutes * MINUTE, {"operations": channel})
        tried += [minutes] * (channel.attempts - before)
    assert tried == [0, 1, 3, 7]  # after 1, 2 and 4 minutes
    assert len(channel.sent) == 1


def test_after_the_last_attempt_a_message_is_dead_and_operations_are_alarmed(db, notices, digests):
    few = quickly(notices, attempts=2)
    staff = Remembering(refusals=99)
    deliver(db, few, MONDAY, {"staff": staff})
    done = deliver(db, few, MONDAY + MINUTE, {"staff": staff})
    assert done == {"sent": 0, "failed": 0, "dead": 2}
    assert staff.attempts == 4
    first = messages(db)[0]
    assert (first.dead_at, first.error) == (MONDAY + MINUTE, "The line is dead, call 139****5678.")
    gather_alarms(db, few, MONDAY + MINUTE)
    operations = Remembering()
    deliver(db, few, MONDAY + MINUTE, {"operations": operations})
    assert "could not be delivered in 2 attempts" in operations.sent[0].body
    # it is tried again when a person says so, with the same key
    assert retry_dead(db, MONDAY + 5 * MINUTE) == 2
    again = Remembering()
    deliver(db, few, MONDAY + 5 * MINUTE, {"staff": again})
    assert {message.dedupe_key for message in again.sent} == {row.dedupe_key for row in messages(db)[:2]}


def test_what_no_repetition_can_help_is_dead_at_once(db, notices, digests):
    done = deliver(db, notices, MONDAY, {"staff": Remembering(refusals=2, is_final=True)})
    assert done["dead"] == 2


def test_a_dead_alarm_raises_no_further_alarm(db, notices, write):
    write("stage_failed", "operations", where="x", why="y", link="")
    gather_alarms(db, notices, MONDAY)
    deliver(db, quickly(notices, attempts=1), MONDAY, {"operations": Remembering(refusals=9)})
    assert messages(db)[0].dead_at == MONDAY
    assert gather_alarms(db, notices, MONDAY) == 0


def test_a_server_that_is_down_is_not_asked_for_every_message(db, notices, write):
    for n in range(6):
        write("stage_failed", "operations", where=str(n), why="y", link="")
        gather_alarms(db, notices, MONDAY)
    down = Remembering(refusals=99)
    assert deliver(db, notices, MONDAY, {"operations": down})["failed"] == 3
    assert [row.attempts for row in messages(db)] == [1, 1, 1, 0, 0, 0]


def test_eight_at_once_gather_and_deliver_each_notice_exactly_once(
    db, config, notices, people, tickets, write, role_url
):
    for n in range(24):
        staff = (people.agent, people.colleague, people.lead, people.manager)[n % 4]
        write("clock_warned", "assignee", staff, tickets[n % 4], **warned(tickets[n % 4]))
    channel, guard = Remembering(), threading.Lock()

    def send(message, now):
        time.sleep(0.01)
        with guard:
            channel(message, now)

    def run():
        made = engine(role_url("churn_loop"))
        with made.connect() as own:
            gather(own, config, quickly(notices, digest_minutes=0), MONDAY)
            deliver(own, notices, MONDAY, {"staff": send})
        made.dispose()

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deliver(db, notices, MONDAY, {"staff": channel})
    keys = [message.dedupe_key for message in channel.sent]
    assert len(keys) == len(set(keys)) == 4
    with db.begin():
        told = db.execute(sa.text("select count(*), count(distinct notice_id) from message_notices")).one()
    assert tuple(told) == (24, 24)


_KILLED = """
import os, signal, sys
from datetime import datetime
from pathlib import Path
from include.database import engine
from include.config.readers.notices import load_notices
from include.notices.channels import to_file
from include.notices.delivering import deliver
url, folder, when, now, config = sys.argv[1:]
def send(message, at):
    if when == "before": os.kill(os.getpid(), signal.SIGKILL)
    to_file(Path(folder), message, at)
    if when == "after": os.kill(os.getpid(), signal.SIGKILL)
with engine(url).connect() as db:
    deliver(db, load_notices(Path(config)), datetime.fromisoformat(now), {"operations": send})
"""


@pytest.mark.parametrize(("when", "sent"), [("before", 1), ("after", 2)])
def test_a_deliverer_killed_around_the_sending_repeats_at_most_once_with_the_same_key(
    db, notices, write, role_url, tmp_path, when, sent
):
    write("stage_failed", "operations", where="x", why="y", link="")
    gather_alarms(db, notices, MONDAY)
    words = [
        role_url("churn_loop"),
        str(tmp_path),
        when,
        MONDAY.isoformat(),
        str(ROOT / "include" / "config"),
    ]
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL

    def send(message, now):
        to_file(tmp_path, message, now)

    # while the dead one's lease lasts nobody else sends it; afterwards it goes out, once
    assert deliver(db, notices, MONDAY + 14 * MINUTE, {"operations": send})["sent"] == 0
    for minutes in (16, 17):
        deliver(db, notices, MONDAY + minutes * MINUTE, {"operations": send})
    lines = [json.loads(line) for line in (tmp_path / "2026-11.jsonl").read_text("utf-8").splitlines()]
    assert (len(lines), len({line["dedupe_key"] for line in lines})) == (sent, 1)


def test_the_command_lists_what_waits_and_revives_what_is_dead(db, notices, digests, role_url, capsys):
    deliver(db, quickly(notices, attempts=1), MONDAY, {"staff": Remembering(refusals=1)})
    assert main(["list", "--db", role_url("churn_loop")]) == 0
    told = capsys.readouterr().out
    assert "dead" in told
    assert "The line is dead" in told
    assert main(["retry", "--db", role_url("churn_loop"), "--now", MONDAY.isoformat()]) == 0
    assert "1 messages are on their way again." in capsys.readouterr().out
    deliver(db, notices, MONDAY, {"staff": Remembering(), "operations": Remembering()})
    main(["list", "--db", role_url("churn_loop")])
    assert "Every message is delivered." in capsys.readouterr().out
