"""What lands through the day: taken in within minutes, once, and before anybody dials."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.config.readers.desk import load_desk
from include.desk.calls import phones
from include.desk.tickets import plans
from include.desk.tickets.transaction import Actor
from include.domain.errors import Refused
from include.domain.periods.months import ZONE
from include.stages.release import release
from tests.conftest import ROOT
from tests.fixtures.work import fill_cycle, hire

DAY = datetime(2026, 11, 5, tzinfo=ZONE)
CHANGES, LIMITS = "subscriber_changes", "contact_limits"
HEADER = {CHANGES: "subscriber_id,occurred_at,kind", LIMITS: "subscriber_id,kind,valid_from,valid_to,source"}


def at(time: str) -> datetime:
    hour, minute = map(int, time.split(":"))
    return DAY + timedelta(hours=hour, minutes=minute)


@pytest.fixture
def land(airflow_environment: Path) -> Callable[..., None]:
    """Put one more file into the folder of the day."""

    def write(feed: str, file: str, *rows: str, header: str | None = None) -> None:
        folder = airflow_environment / "landing" / feed / "day=2026-11-05"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("\n".join([header or HEADER[feed], *rows, ""]), "utf-8")

    return write


@pytest.fixture
def tick(run_dag, clock) -> Callable[[str], dict[str, str]]:
    """A run of the DAG at a time of the day: the states of its tasks."""

    def run(time: str) -> dict[str, str]:
        clock(at(time))
        return run_dag("take_in_changes").states

    return run


DONE = {"look": "success", "collection": "success", "limits": "success"}
NOTHING = {"look": "success", "collection": "skipped", "limits": "skipped"}
UNREAD = DONE | {"collection": "failed"}


def column(db: sa.Connection, statement: str, **values: object) -> list[object]:
    with db.begin():
        return list(db.execute(sa.text(statement), values).scalars())


def test_an_application_at_ten_blocks_dialling_by_a_quarter_past_in_every_campaign(
    tick, land, lake, db, desk, config, airflow_environment
):
    people = hire(db)
    fill_cycle(db, 4)
    release(db=db, config=config, now=at("8:30"))
    with db.begin():  # one customer's tickets in two campaigns
        elsewhere = (
            "update tickets set beside = true, subscriber_id = 'S0001',"
            " campaign = case subscriber_id when 'S0003' then 'renewal' else campaign end"
            " where subscriber_id in ('S0001', 'S0003')"
        )
        db.execute(sa.text(elsewhere))
        db.execute(sa.text("insert into ticket_phones select ticket_id, '13800000001' from tickets"))
    theirs = db.execute(
        sa.text("select ticket_id, assignee_id, campaign from tickets where subscriber_id = 'S0001'")
    ).all()
    db.rollback()
    assert {row.campaign for row in theirs} == {"churn_warning", "renewal"}
    rules = load_desk(ROOT / "include" / "config")
    land(CHANGES, "0900.csv", "S0009,2026-11-05T08:55:00+08:00,port_out_query")
    assert tick("9:00") == DONE

    def actor(row: sa.Row, time: str) -> Actor:
        return Actor(desk, config, row.assignee_id, row.ticket_id, 2, at(time))

    for row in theirs:
        given = phones.use_number(actor(row, "9:59"), rules, "call")
        found = phones.number_of(desk, staff_id=row.assignee_id, use_id=given, now=at("9:59"))
        assert found.number == "13800000001"
    land(CHANGES, "1000.csv", "S0001,2026-11-05T10:00:00+08:00,port_out_applied")
    assert tick("10:05") == DONE
    for row in theirs:
        for use in ("reveal", "call"):
            with pytest.raises(Refused, match=r"frozen.*applied to port out"):
                phones.use_number(actor(row, "10:15"), rules, use)
        with pytest.raises(Refused, match=r"frozen.*applied to port out"):
            plans.record_plan(replace(actor(row, "10:15"), version=3), strategy="plan_discount")
    assert column(db, "select count(*) from tickets where frozen_at is not null") == [len(theirs)]
    assert people.agent in {row.assignee_id for row in theirs}


def test_when_nothing_landed_since_the_last_look_nothing_runs(tick, land, lake, db):
    land(CHANGES, "1.csv", "S0001,2026-11-05T08:00:00+08:00,left")
    land(LIMITS, "1.csv", "S0002,refused,2026-11-05,,10086")
    assert tick("9:00") == DONE
    assert tick("9:05") == NOTHING
    land(LIMITS, "1.csv", "S0003,refused,2026-11-05,,10086")  # the same file, replaced
    assert tick("9:10") == DONE
    assert column(db, "select subscriber_id from standing_limits") == ["S0003"]
    assert tick("9:15") == NOTHING
    assert column(db, "select ticked_at from heartbeats where name = 'take_in_changes'") == [at("9:15")]


def test_a_look_at_a_folder_without_news_loads_nothing_heavy(airflow_environment, land, db):
    land(CHANGES, "1.csv", "S0001,2026-11-05T08:00:00+08:00,left")
    script = (
        "import sys\nfrom include.orchestration import morning\nlanded = morning.look()\nassert landed\n"
        "print(*sorted({'polars', 'pandas', 'numpy', 'include.lake', 'include.config'} & set(sys.modules)))\n"
        "print(*sorted(name for name in sys.modules if name.startswith('include.stages')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def test_what_is_dated_ahead_is_processed_when_its_time_has_come(tick, land, lake, db):
    fill_cycle(db, 1)
    land(CHANGES, "1.csv", "S0001,2026-11-05T10:07:00+08:00,port_out_applied")
    assert tick("10:05") == DONE
    assert column(db, "select frozen_at from tickets") == [None]
    assert tick("10:10") == DONE
    assert column(db, "select frozen_at from tickets") == [at("10:10")]
    assert tick("10:15") == NOTHING


def test_a_delivery_nobody_can_read_holds_back_nothing_else_and_is_told_once_a_day(
    tick, land, lake, db, airflow_environment
):
    fill_cycle(db, 2)
    land(LIMITS, "1.csv", "S0002,refused", header="subscriber_id,kind")
    land(CHANGES, "1.csv", "S0001,2026-11-05T09:00:00+08:00,port_out_applied")
    assert tick("10:00") == UNREAD
    assert column(db, "select frozen_because from tickets order by subscriber_id") == [
        "port_out_applied",
        None,
    ]
    assert tick("10:05") == NOTHING  # it is the same delivery still
    land(CHANGES, "2.csv", "S0009,2026-11-05T10:00:00+08:00,plan_change")
    assert tick("10:10") == UNREAD
    assert column(db, "select count(*) from notices where kind = 'stage_failed'") == [1]
    land(LIMITS, "1.csv", "S0002,refused,2026-11-05,,10086")
    assert tick("10:15") == DONE
    assert column(db, "select state from tickets order by subscriber_id") == ["waiting", "cancelled"]


def test_what_a_killed_task_did_not_try_is_tried_at_the_next_look(tick, land, lake, db, monkeypatch):
    fill_cycle(db, 1)
    land(CHANGES, "1.csv", "S0001,2026-11-05T09:00:00+08:00,port_out_applied")
    with monkeypatch.context() as broken:
        broken.setattr("include.stages.collection.collect", lambda *_: 1 / 0)
        assert tick("9:00") == UNREAD
    assert tick("9:05") == DONE
    assert column(db, "select frozen_at from tickets") == [at("9:05")]
    assert tick("9:10") == NOTHING


def test_without_a_lake_or_anything_landed_it_is_green(tick, land):
    assert tick("9:00")["look"] == "success"
    land(CHANGES, "1.csv", "S0001,2026-11-05T08:00:00+08:00,left")
    assert tick("9:05") == DONE
