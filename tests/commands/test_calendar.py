"""The calendar at the command line: note, preview, confirm, explain."""

from datetime import date, datetime

import pytest
import sqlalchemy as sa

from include.commands.calendar import main, read_days
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.workdays import WorkDay
from include.stages.release import release
from tests.fixtures.work import FRIDAY, fill_cycle, hire

TUESDAY = "2026-11-10T12:00+08:00"


@pytest.fixture
def run(db, role_url, capsys):
    """Run a command on the test's database; its exit status, output and errors."""

    def command(*words, now=TUESDAY):
        status = main([*words, "--db", role_url("churn_loop"), "--now", now, "--by", "planner"])
        told = capsys.readouterr()
        return status, told.out, told.err

    return command


@pytest.fixture
def ticket(db, config):
    hire(db)
    (number,) = fill_cycle(db, 1)
    release(db=db, config=config, now=FRIDAY)
    return number


def due(db):
    with db.begin():
        return db.execute(sa.text("select due_at from ticket_clocks where clock = 'plan'")).scalar_one()


def test_a_day_is_noted_previewed_confirmed_and_explained(db, run, ticket):
    noted = run(
        "set", "--layer", "cn", "--date", "2026-11-11", "--rest", "--name", "调休", "--source", "国办"
    )
    assert noted[0] == 0
    status, out, _ = run("preview")
    assert status == 0
    assert "plan           2026-11-11 18:00 -> 2026-11-12 18:00  1 clocks" in out
    assert "1 open tickets would get another deadline, 0 of them an earlier one; none is breached" in out
    assert "noted by planner: cn 2026-11-11 worked -> rest  (国办)" in out
    assert run("apply", "--confirm", "5")[0] == 1
    status, out, _ = run("apply", "--confirm", "1")
    assert (status, due(db)) == (0, datetime(2026, 11, 12, 18, tzinfo=ZONE))
    assert "1 tickets have another deadline" in out
    assert "2026年11月11日 周三：调休放假，不计" in run("explain", str(ticket))[1]
    english = run("explain", str(ticket), "--language", "en")[1]
    assert "Thu 12 Nov 2026: working day 3" in english
    assert "调休" in run("show", "--from", "2026-11-01", "--until", "2026-11-30")[1]


def test_what_is_noted_can_be_discarded(db, run, ticket):
    run("set", "--layer", "cn", "--date", "2026-11-11", "--rest", "--source", "国办")
    assert run("discard")[0] == 0
    status, _, err = run("apply", "--confirm", "0")
    assert (status, "No day is noted" in err) == (1, True)


def test_a_file_of_days_is_noted_as_a_whole(db, run, ticket, tmp_path):
    file = tmp_path / "days.csv"
    file.write_text(
        "layer,date,is_working,name\ncn,2026-11-11,false,调休\ncn,2026-11-14,true,调休\n", "utf-8"
    )
    assert "Noted 2 days." in run("load", str(file), "--source", "国办")[1]
    assert "1 open tickets" in run("preview")[1]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk"])
def test_a_file_of_days_from_a_spreadsheet_is_read(tmp_path, encoding):
    file = tmp_path / "days.csv"
    file.write_text("Layer;Date;is_working;name\r\ncn;2026/11/13;FALSE;调休\r\n", encoding)
    days, note = read_days(file, "国办")
    assert days == [WorkDay(date(2026, 11, 13), False, "调休", "国办", "cn")]
    assert ("GB18030" in note) == (encoding == "gbk")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("date,is_working\n2026-11-11,true\n", "it needs layer, date, is_working, name"),
        (
            "layer,date,is_working,name\ncn,11.11.2026,true,\n",
            "line 2, date: '11.11.2026' does not tell the day",
        ),
        ("layer,date,is_working,name\ncn,2026-11-11,maybe,\n", "line 2, is_working: 'maybe' is neither"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_line(tmp_path, text, told):
    file = tmp_path / "days.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(BadInput, match=told):
        read_days(file, "国办")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--layer", "cn", "--rest"), "has no source"),
        (("--layer", "cn", "--rest", "--source", "provisional"), "has no source"),
        (
            ("--layer", "hainan", "--rest", "--source", "x"),
            "'hainan' is in no entry of sla.yaml; known are cn",
        ),
        (("--layer", "cn", "--drop"), "cannot be taken out of 'cn'"),
    ],
)
def test_a_day_nobody_could_use_is_refused(run, words, told):
    status, _, err = run("set", "--date", "2026-11-11", *words)
    assert status == 1
    assert told in err


def test_a_ticket_without_a_clock_has_nothing_to_explain(run):
    assert "Ticket 9 has no clock" in run("explain", "9")[2]


def test_without_a_database_the_command_says_what_to_give(capsys, monkeypatch):
    monkeypatch.delenv("AIRFLOW_CONN_CHURN_DB", raising=False)
    assert main(["show"]) == 1
    assert "Give --db" in capsys.readouterr().err
