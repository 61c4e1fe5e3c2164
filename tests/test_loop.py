"""The closed loop end to end without Airflow: ten subscribers from landing files to a closed ticket and back."""

import csv
import errno
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.config import load_config
from include.database import engine, upgrade
from include.desk.tickets import contacts, life_cycle, plans
from include.desk.tickets.transaction import Actor
from include.domain.periods.months import ZONE, default_as_of
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.loop import STAGES, Loop, main
from include.run import Run, cycles
from tests.fixtures.acted_on import acted_on
from tests.fixtures.campaign_folder import CARE, copied_config, put_campaign
from tests.fixtures.ten_subscribers import EXPECTED_GRADES, MONTH, SUBSCRIBERS, write_landing
from tests.fixtures.writings import WRITINGS
from tests.stages.worked_cycle import CAMPAIGN

OPENED = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
OBSERVED = datetime(2026, 12, 7, 6, tzinfo=ZONE)
SCORES, GRADES = scores_of(CAMPAIGN), grades_of(CAMPAIGN)


@pytest.fixture
def landing(tmp_path):
    folder = tmp_path / "landing"
    write_landing(folder)
    return folder


@pytest.fixture
def loop(db, lake, config, landing):
    return Loop(db, lake, config, landing, MONTH, now=OPENED)


def run(loop, **stages):
    return {told["stage"]: told for told in loop.run(**stages)}


def rows(db, statement):
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement))]


def deliver_churn(landing, month, leavers, *, complete=True):
    folder = landing / "churned" / f"month={month}"
    folder.mkdir(parents=True)
    with (folder / "part-1.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("subscriber_id", "churned_on", "reason"))
        writer.writerows(leavers)
    if complete:
        (folder / "_COMPLETE").touch()


def another_loop(loop, url, folder):
    """The same landing into an empty lake and database."""
    made = engine(url, poolclass=sa.NullPool)
    return replace(loop, db=made.connect(), lake=Lake.create(folder))


def test_ten_subscribers_walk_the_whole_loop(loop, db, landing, config):
    told = run(loop)
    assert list(told) == [stage for stage in STAGES if stage != "training"]
    assert told["collection"]["rows_in"] == told["collection"]["rows_out"] > 0
    high = {name for name, (grade, tier) in EXPECTED_GRADES.items() if (grade, tier) == ("high", "priority")}
    assert {row[0] for row in acted_on(db)[1]} == high
    assert told["dispatch"]["treated"] + told["dispatch"]["held_out"] == len(high)

    ticket = rows(
        db, "select ticket_id, version, subscriber_id from tickets where state = 'assigned' order by rank"
    )[0]
    agent = _hire(db)
    actor = Actor(db, config, agent, ticket[0], ticket[1], OPENED + timedelta(hours=3))
    for step, words in (
        (life_cycle.claim, {}),
        (contacts.record_contact, {"channel": "call", "result": "reached"}),
        (contacts.record_survey, {"needs": ["price"]}),
        (plans.record_plan, {"strategy": "plan_discount"}),
        (life_cycle.close, {"outcome": "retained", "detail": "accepted_offer"}),
    ):
        actor = replace(actor, version=step(actor, **words))

    gone = min(high - {ticket[2]})
    deliver_churn(landing, "2026-11", [(gone, "2026-11-20", "port_out")])
    back = run(replace(loop, as_of=OBSERVED, now=OBSERVED), first="collection", last="follow_up")
    assert back["dispatch"]["already_fixed"] is True
    observed = dict(
        rows(db, "select subscriber_id, has_churned from outcomes join assignments using (assignment_id)")
    )
    assert observed == {name: name == gone for name in high}
    assert rows(db, "select count(*) from evaluations where slice = 'grade' and slice_value = 'high'") != [
        (0,)
    ]


def _hire(db):
    with db.begin():
        return db.execute(
            sa.text(
                "insert into staff (staff_code, name, role, team, contacts_per_day)"
                " select 'A1', 'A1', 'agent', team, 4 from tickets order by rank limit 1 returning staff_id"
            )
        ).scalar_one()


def test_run_twice_is_run_once(loop, db):
    run(loop)
    before = acted_on(db)
    again = run(replace(loop, now=OPENED + timedelta(days=1)))
    assert again["dispatch"]["would_differ"] == 0
    assert acted_on(db) == before


def test_every_stage_run_again_before_dispatch_replaces_its_own_output(loop, db):
    run(loop, last="grading")
    before = acted_on(db)
    for stage in ("features", "prediction", "grading"):
        run(loop, first=stage, last=stage)
    assert acted_on(db) == before


def test_replayed_after_the_churn_is_delivered_it_gives_the_same_grades_and_tickets(
    loop, db, landing, empty_database, tmp_path
):
    run(loop)
    before = acted_on(db)
    leavers = [(name, f"2026-11-{day:02d}", "port_out") for day, name in enumerate(SUBSCRIBERS, start=6)]
    deliver_churn(landing, "2026-11", leavers)
    url = empty_database()
    upgrade(url)
    replay = another_loop(loop, url, tmp_path / "replay")
    run(replace(replay, train=True))
    assert acted_on(replay.db) == before
    replay.db.close()


def test_a_month_that_is_over_is_evaluated_but_never_dispatched(loop, db, landing):
    deliver_churn(landing, "2026-11", [("S05", "2026-11-20", "port_out")])
    told = run(replace(loop, as_of=OBSERVED, now=OBSERVED))
    assert "is over" in told["dispatch"]["message"]
    assert rows(db, "select count(*) from tickets") == [(0,)]
    assert told["follow_up"]["labelled"] == [MONTH]


def test_the_leaver_known_before_as_of_is_not_called(loop, db, landing):
    deliver_churn(landing, "2026-11", [("S05", "2026-11-03", "port_out")], complete=False)
    run(loop)
    assert ("S05", "ineligible", "gone") in acted_on(db)[3]


def test_a_cleared_prediction_of_a_fixed_cycle_leaves_what_was_acted_on(loop, db, lake):
    run(loop)
    before, scores = acted_on(db), lake.manifest(SCORES, MONTH)
    run(loop, first="prediction", last="grading")
    assert acted_on(db) == before
    assert lake.manifest(SCORES, MONTH) == scores
    assert lake.has(scores_of(CAMPAIGN, 1), MONTH)


def test_a_run_overtaken_by_another_dispatch_changes_nothing(loop, db, lake, config):
    """It opened the cycle as revision 0; another run fixed it; its late stages must not touch revision 0."""
    cycle = cycles.open_cycle(
        db=db, config=config, campaign="churn_warning", cycle=MONTH, as_of=None, now=OPENED
    )
    run(loop)
    before, scores, grades = acted_on(db), lake.manifest(SCORES, MONTH), lake.manifest(GRADES, MONTH)
    late = Run.of(cycle, db=db, lake=lake, config=config.of("churn_warning"), now=OPENED)
    for stage in ("prediction", "grading"):
        STAGES[stage](loop, late)
    assert acted_on(db) == before
    assert (lake.manifest(SCORES, MONTH), lake.manifest(GRADES, MONTH)) == (scores, grades)


def test_the_command_prints_one_json_object_per_stage(landing, tmp_path, empty_database, monkeypatch, capsys):
    words = [
        "--landing",
        str(landing),
        "--lake",
        str(tmp_path / "lake"),
        "--db",
        empty_database(),
        "--month",
        MONTH,
    ]
    assert main([*words, "--now", OPENED.isoformat()]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["stage"] for each in told] == [stage for stage in STAGES if stage != "training"]
    assert all(each["seconds"] >= 0 and each["peak_mb"] > 0 for each in told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--month", "2026-13"], "'2026-13' is not a month"),
        (["--as-of", "2026-11-05T06:00"], "has no time zone"),
        (["--as-of", "yesterday"], "is not an instant"),
        (["--from", "grade"], "is not a stage"),
        (["--from", "dispatch", "--until", "features"], "comes after"),
        (["--landing", "nowhere"], "does not exist"),
        (["--db", "mysql://u@h/d"], "is not a PostgreSQL URL"),
        (["--db", ""], "No operations database is named"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_a_non_zero_exit(words, told, landing, tmp_path, capsys):
    given = {
        "--landing": str(landing),
        "--lake": str(tmp_path / "lake"),
        "--db": "postgresql://x",
        "--month": MONTH,
    }
    given |= dict(zip(words[::2], words[1::2], strict=True))
    assert main([word for pair in given.items() for word in pair]) == 1
    assert told in capsys.readouterr().err


def test_a_clock_behind_as_of_is_one_line_and_opens_nothing(landing, tmp_path, database_url, db, capsys):
    words = [
        "--landing",
        str(landing),
        "--lake",
        str(tmp_path / "lake"),
        "--db",
        database_url,
        "--month",
        MONTH,
    ]
    assert main([*words, "--now", "2026-11-05T05:59+08:00"]) == 1
    told = capsys.readouterr().err
    assert "It is 2026-11-05T05:59:00+08:00, before as_of 2026-11-05T06:00:00+08:00" in told
    assert rows(db, "select count(*) from cycles") == [(0,)]


def test_a_lake_that_cannot_be_written_is_one_line(landing, tmp_path, database_url, capsys):
    (tmp_path / "file").touch()
    words = ["--landing", str(landing), "--lake", str(tmp_path / "file" / "lake"), "--db", database_url]
    assert main([*words, "--month", MONTH]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in told
    assert told.endswith("Then run the same command again: what is done is not done twice.")


def test_a_disk_that_fills_up_is_one_line(landing, tmp_path, database_url, capsys, monkeypatch):
    def full(*_given, **_named):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Lake, "publish", full)
    words = ["--landing", str(landing), "--lake", str(tmp_path / "lake"), "--db", database_url]
    assert main([*words, "--month", MONTH]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("NotReady: No space left on device. Mend the folder or free its disk. ")


def test_a_database_that_goes_away_is_one_line(landing, tmp_path, database_url, capsys, monkeypatch):
    def cut_off(loop, _cycle):
        with loop.db.begin():
            loop.db.execute(sa.text("reset role"))
            loop.db.execute(sa.text("select pg_terminate_backend(pg_backend_pid())"))

    monkeypatch.setitem(STAGES, "features", cut_off)
    words = ["--landing", str(landing), "--lake", str(tmp_path / "lake"), "--db", database_url]
    assert main([*words, "--month", MONTH, "--until", "features"]) == 1
    (told,) = capsys.readouterr().err.splitlines()
    assert told.startswith("NotReady: The database failed: ")


def test_a_month_without_usage_says_what_to_deliver(landing, lake, database_url, capsys):
    shutil.rmtree(landing / "usage_months" / f"month={MONTH}")
    words = ["--landing", str(landing), "--lake", str(lake.root), "--db", database_url, "--month", MONTH]
    assert main(words) == 1
    assert f"Deliver usage_months/month={MONTH} first." in capsys.readouterr().err


def test_two_whole_runs_at_once_leave_one_of_everything(landing, tmp_path, database_url, db):
    root = Path(__file__).resolve().parent.parent
    words = [
        sys.executable,
        "-m",
        "include.loop",
        "--landing",
        str(landing),
        "--lake",
        str(tmp_path / "lake"),
    ]
    words += ["--db", database_url, "--month", MONTH, "--now", OPENED.isoformat()]
    environment = os.environ | {"PYTHONPATH": str(root)}
    both = [subprocess.Popen(words, cwd=root, env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [each.communicate(timeout=120)[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], outputs
    assert rows(db, "select count(*), count(distinct subscriber_id) from tickets") == rows(
        db, "select count(*), count(*) from assignments where arm = 'treated'"
    )
    assert default_as_of(MONTH) == rows(db, "select as_of from cycles")[0][0]


def test_a_feed_may_come_from_a_database_of_the_operator(empty_database, role_url, landing, tmp_path, capsys):
    source = empty_database()
    shutil.rmtree(landing / "usage_months" / f"month={MONTH}")
    made = sa.create_engine(source)
    with made.begin() as connection:
        connection.execute(
            sa.text("create table usage_months (month text, subscriber_id text, bill_yuan int)")
        )
        connection.execute(sa.text("insert into usage_months values (:m, 'S01', 100)"), {"m": MONTH})
    made.dispose()
    words = ["--landing", str(landing), "--lake", str(tmp_path / "fresh"), "--db", role_url("churn_loop")]
    words += ["--month", MONTH, "--until", "collection"]
    assert main([*words, "--source", f"usage_months={source}"]) == 0
    assert Lake(tmp_path / "fresh").manifest("usage_months", MONTH).rows == 1
    assert main([*words, "--source", "usage=x"]) == 1
    assert "is not FEED=URL" in capsys.readouterr().err
    assert main([*words, "--source", "usage_months=nonsense"]) == 1
    assert "The source of usage_months cannot be opened" in capsys.readouterr().err


def _written_otherwise(landing: Path, limits: str) -> None:
    """Every feed of every month writes its ids in another way; two refusals come in yet another one."""
    ways = sorted(WRITINGS)
    for nth, path in enumerate(sorted(landing.rglob("*.csv"))):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        write = WRITINGS[ways[nth % len(ways)]]
        for row in rows:
            row |= {
                name: write(row[name])
                for name in ("subscriber_id", "customer_id", "event_id")
                if row.get(name)
            }
        with path.open("w", encoding="utf-8", newline="") as file:
            written = csv.DictWriter(file, list(rows[0]))
            written.writeheader()
            written.writerows(rows)
    _refuse(landing, WRITINGS[limits])


def _refuse(landing: Path, write: Callable[[str], str]) -> None:
    folder = landing / "contact_limits" / f"month={MONTH}"
    folder.mkdir(parents=True)
    with (folder / "part-1.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("subscriber_id", "kind", "valid_from"))
        writer.writerows((write(name), "refused", f"{MONTH}-03") for name in ("S01", "S05"))


# ---------------------------------------------------------------- campaigns


@pytest.fixture
def folder(tmp_path, monkeypatch):
    made = copied_config(tmp_path)
    monkeypatch.setenv("CHURN_CONFIG", str(made))
    return made


def commanded(landing, tmp_path, url, *words):
    return main(["--landing", str(landing), "--lake", str(tmp_path / "lake"), "--db", url, *words])


def test_another_campaign_of_the_month_finds_the_factors_made_and_opens_a_cycle_of_its_own(
    folder, landing, tmp_path, database_url, db, capsys
):
    put_campaign(folder, "care")
    until = ("--month", MONTH, "--now", OPENED.isoformat(), "--until", "grading")
    assert commanded(landing, tmp_path, database_url, *until) == 0
    assert commanded(landing, tmp_path, database_url, "--campaign", "care", *until) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["campaign"] for each in told[: len(told) // 2]] == ["churn_warning"] * (len(told) // 2)
    second = {each["stage"]: each for each in told if each["campaign"] == "care"}
    assert (second["collection"]["deliveries"], second["features"]["unchanged"]) == (0, True)
    assert rows(db, "select campaign, cycle from cycles order by 1") == [
        ("care", MONTH),
        ("churn_warning", MONTH),
    ]


def test_a_day_of_a_daily_campaign_reads_the_newest_months_factors(
    folder, landing, tmp_path, database_url, db, capsys
):
    put_campaign(folder, "audit", cadence="daily")
    for day in ("2026-11-06", "2026-11-07"):
        words = ("--campaign", "audit", "--day", day, "--now", f"{day}T06:30+08:00", "--until", "grading")
        assert commanded(landing, tmp_path, database_url, *words) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    made = [each for each in told if each["stage"] == "features"]
    assert [each["rows_out"] for each in made] == [len(SUBSCRIBERS), 0]
    assert made[1]["message"] == f"The factors of {MONTH} stand."
    assert {each["month"] for each in told} == {MONTH}
    assert "drift" not in {each["stage"] for each in told}
    assert rows(db, "select cycle, cadence from cycles order by 1") == [
        ("2026-11-06", "daily"),
        ("2026-11-07", "daily"),
    ]


def test_a_campaign_without_a_model_goes_without_its_scores(folder, loop):
    put_campaign(folder, "care", CARE + "model: none\n")
    told = [*replace(loop, campaign="care", config=load_config(folder), train=True).run(last="features")]
    assert [each["stage"] for each in told] == ["collection", "features"]
    assert replace(loop, campaign="care", config=load_config(folder))._left_out() >= {
        "prediction",
        "training",
    }


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--campaign", "care", "--month", MONTH), "The campaign care is not enabled"),
        (("--campaign", "broken", "--month", MONTH), "broken.yaml is not valid YAML"),
        (("--campaign", "nobody", "--month", MONTH), "No campaign 'nobody'"),
        (("--campaign", "audit", "--month", MONTH), f"'{MONTH}' is not a day"),
        (("--day", "2026-11-06"), "'2026-11-06' is not a month"),
    ],
)
def test_a_campaign_that_cannot_run_says_why_and_stops_no_other(
    folder, landing, tmp_path, database_url, db, capsys, words, told
):
    put_campaign(folder, "care", CARE + "enabled: false\n")
    put_campaign(folder, "broken", "zh: [")
    put_campaign(folder, "audit", cadence="daily")
    assert commanded(landing, tmp_path, database_url, *words) == 1
    assert told in capsys.readouterr().err
    assert rows(db, "select count(*) from cycles") == [(0,)]


@pytest.mark.parametrize("words", [(), ("--month", MONTH, "--day", "2026-11-06")])
def test_month_and_day_are_given_one_of_them(landing, tmp_path, words):
    with pytest.raises(SystemExit):
        commanded(landing, tmp_path, "postgresql://x", *words)


@pytest.mark.parametrize("limits", ["float", "full width", "pasted"])
def test_a_province_that_writes_its_ids_in_many_ways_gives_the_same_tickets_and_limits(
    loop, db, landing, empty_database, tmp_path, limits
):
    other = tmp_path / "otherwise"
    shutil.copytree(landing, other)
    _refuse(landing, WRITINGS["plain"])
    _written_otherwise(other, limits)
    run(loop)
    url = empty_database()
    upgrade(url)
    again = replace(another_loop(loop, url, tmp_path / "again"), landing=other)
    run(again)
    assert acted_on(again.db) == acted_on(db)
    standing = "select subscriber_id, customer_key, kind, valid_from from standing_limits order by 1"
    assert rows(again.db, standing) == rows(db, standing)
    assert {row[0] for row in rows(db, standing)} == {"S01", "S05"}
    for table in ("subscribers", "usage_months", "service_events", "contacts", "factors", GRADES):
        assert again.lake.scan(table, MONTH).collect().equals(loop.lake.scan(table, MONTH).collect()), table
    again.db.close()
