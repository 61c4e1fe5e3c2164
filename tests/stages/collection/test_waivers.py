"""Going on without a file is a person's choice, about those very bytes, and never silent."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from include.commands.quarantine import Omission, go_on, main
from include.config import Config
from include.config.readers.sources import Completeness
from include.domain.errors import BadInput, NotReady
from include.lake import Lake
from include.stages.collection.sources import landing_folder
from include.stages.collection.sources.delivery import DeliveryKey
from include.stages.collection.waivers import Decision
from tests.stages.collection.test_collection import MONTH, NOW, Operator
from tests.stages.collection.test_completeness import BEFORE, REGIONS, of_all, profiles, require, stand, usage

BROKEN = "subscriber_id,bill_yuan\nS1,x\nS2,y\n"
GOOD = "subscriber_id,bill_yuan\nS3,1\nS4,2\n"


@pytest.fixture
def operator(tmp_path: Path, db: Connection, lake: Lake, config: Config) -> Operator:
    (tmp_path / "landing").mkdir()
    bounds = Completeness(band=0.3, least_rows=10)
    judged = replace(config, sources=config.sources.model_copy(update={"completeness": bounds}))
    return Operator(tmp_path / "landing", db, lake, judged)


def without(operator: Operator, file: str | None, feed: str = "usage_months", period: str = MONTH) -> str:
    omission = Omission(DeliveryKey(feed, period), file)
    decision = Decision("Li Na", "the region sends it next week", NOW)
    return go_on(operator.db, operator.config.sources, operator.landing, omission, decision)


def test_the_failure_says_what_to_run_and_that_lets_the_rest_through(operator: Operator) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    operator.deliver("usage_months", GOOD, name="b.csv")
    command = rf"continue --month {MONTH} --feed usage_months --file 'a.csv' --by NAME --because WHY\.$"
    with pytest.raises(BadInput, match=command):
        operator.collect("usage_months")
    assert without(operator, "a.csv") == (
        f"usage_months of {MONTH} goes on without a.csv (2 rows), decided by Li Na: the region sends it next week. "
        "Clear the failed task, or run again."
    )
    assert operator.plan() == [f"usage_months {MONTH}"]
    assert operator.collect("usage_months")["rows_in"] == 2
    assert operator.lake.scan("usage_months", MONTH).collect()["subscriber_id"].to_list() == ["S3", "S4"]
    assert operator.plan() == []
    recorded = operator.rows(
        "select feed, period, file, rows_left_out, approved_by, because from approved_gaps"
    )
    assert recorded == [("usage_months", MONTH, "a.csv", 2, "Li Na", "the region sends it next week")]
    assert operator.rows("select actor, action, subject from audit_log") == [
        ("Li Na", "go_on_without", f"usage_months/{MONTH}/a.csv")
    ]


def test_the_report_the_run_and_the_table_name_what_was_left_out(
    operator: Operator, role_url: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    operator.deliver("subscribers", "subscriber_id,joined_on\nS3,2024-01-01\n")
    operator.collect("subscribers")
    operator.deliver("usage_months", BROKEN, name="a.csv")
    operator.deliver("usage_months", GOOD, name="b.csv")
    without(operator, "a.csv")
    operator.collect("usage_months")
    report = operator.report()
    assert [(gap["file"], gap["rows"], gap["by"]) for gap in report["goes_on_without"]] == [
        ("a.csv", 2, "Li Na")
    ]
    assert json.dumps(report)  # it travels as XCom and is kept with the cycle
    sentence = f"usage_months of {MONTH} goes on without a.csv (2 rows), decided by Li Na"
    assert report["notes"][0].startswith(sentence)
    assert main(["--month", MONTH, "--db", role_url("churn_loop")]) == 0
    assert sentence in capsys.readouterr().out


def test_a_file_delivered_anew_is_read_again(operator: Operator) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    operator.deliver("usage_months", GOOD, name="b.csv")
    without(operator, "a.csv")
    operator.collect("usage_months")
    operator.deliver("usage_months", "subscriber_id,bill_yuan\nS1,7\n", name="a.csv")
    assert operator.plan() == [f"usage_months {MONTH}"]
    assert operator.collect("usage_months")["rows_in"] == 3
    assert operator.rows("select superseded_at is null from approved_gaps") == [(False,)]


def test_another_broken_file_of_the_same_name_stops_collection_again(operator: Operator) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    operator.deliver("usage_months", GOOD, name="b.csv")
    without(operator, "a.csv")
    operator.collect("usage_months")
    operator.deliver("usage_months", BROKEN + "S9,z\n", name="a.csv")
    with pytest.raises(BadInput, match=r"3 of 3 rows of a\.csv"):
        operator.collect("usage_months")


def test_a_file_nobody_can_read_is_left_out_uncounted(operator: Operator) -> None:
    operator.deliver("usage_months", b"\x1f\x8b\x08cut", name="a.csv.gz")
    operator.deliver("usage_months", GOOD, name="b.csv")
    with pytest.raises(BadInput, match=r"--file 'a\.csv\.gz'"):
        operator.collect("usage_months")
    assert "(rows not counted)" in without(operator, "a.csv.gz")
    assert operator.collect("usage_months")["rows_in"] == 2


def test_thirteen_of_seventeen_regions_go_on_only_when_a_person_takes_them_as_they_are(
    operator: Operator,
) -> None:
    stand(operator, BEFORE, of_all(REGIONS))
    operator.deliver("subscribers", profiles(of_all(REGIONS)))
    operator.deliver("usage_months", usage(of_all(REGIONS[:13])))
    lacking = require(operator)["lacking"]
    command = f"continue --month {MONTH} --feed usage_months --by NAME --because WHY."
    assert lacking["usage_months"]["why"].endswith(command)
    assert "though its delivery is incomplete" in without(operator, None)
    assert require(operator, seen=lacking)["lacking"] == {}  # the waiting run sees the decision
    assert operator.lake.manifest("usage_months", MONTH).rows == 13 * 20
    operator.deliver("usage_months", usage(of_all(REGIONS[:12])))
    with pytest.raises(NotReady, match="R13 has 0 rows"):
        operator.collect("usage_months")
    assert operator.lake.manifest("usage_months", MONTH).rows == 13 * 20


def test_a_region_whose_file_was_left_out_is_not_missed(operator: Operator) -> None:
    stand(operator, BEFORE, of_all(REGIONS))
    operator.deliver("usage_months", usage(of_all(REGIONS[:13])), name="a.csv")
    operator.deliver("usage_months", BROKEN, name="b.csv")
    without(operator, "b.csv")
    assert operator.collect("usage_months")["rows_out"] == 13 * 20


def test_a_file_left_out_is_not_asked_for_by_the_manifest(operator: Operator) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    operator.deliver("usage_months", GOOD, name="b.csv")
    operator.deliver("usage_months", "file,rows\na.csv,9\nb.csv,2\n", name="_MANIFEST.csv")
    without(operator, "a.csv")
    assert operator.collect("usage_months")["rows_in"] == 2


def test_the_only_file_of_a_required_feed_cannot_be_left_out_and_no_failure_offers_it(
    operator: Operator,
) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    with pytest.raises(BadInput) as raised:
        operator.collect("usage_months")
    assert "continue" not in str(raised.value)
    with pytest.raises(BadInput, match="is all there is"):
        without(operator, "a.csv")


def test_a_days_only_file_may_be_left_out_and_the_day_is_then_done(operator: Operator) -> None:
    day = "2026-10-03"
    operator.deliver("contact_limits", "subscriber_id,kind\nS1,refused\n", period=day)
    with pytest.raises(BadInput, match=rf"--day {day} --feed contact_limits --file 'part-1\.csv'"):
        operator.collect("contact_limits", day)
    without(operator, "part-1.csv", "contact_limits", day)
    assert operator.plan() == []
    assert operator.collect("contact_limits", day)["rows_in"] == 0


def test_decided_twice_is_recorded_once_with_the_newer_reason(operator: Operator) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    operator.deliver("usage_months", GOOD, name="b.csv")
    for _ in range(2):
        without(operator, "a.csv")
    assert operator.rows("select count(*) from approved_gaps") == [(1,)]


# ---------------------------------------------------------------- the command


def test_the_command_records_who_and_why(
    operator: Operator, role_url: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    operator.deliver("usage_months", GOOD, name="b.csv")
    words = ["continue", "--feed", "usage_months", "--by", "Li Na", "--because", "late"]
    where = ["--landing", str(operator.landing), "--db", role_url("churn_loop")]
    at = ["--now", (NOW + timedelta(hours=1)).isoformat()]
    assert main([*words, *where, *at, "--month", MONTH, "--file", "a.csv"]) == 0
    assert operator.rows("select approved_at, approved_by from approved_gaps") == [
        (NOW + timedelta(hours=1), "Li Na")
    ]
    assert "goes on without a.csv (2 rows)" in capsys.readouterr().out


def test_a_wrong_choice_is_told_in_one_sentence(
    operator: Operator, role_url: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    operator.deliver("usage_months", BROKEN, name="a.csv")
    given = ["continue", "--feed", "usage_months", "--by", "Li Na", "--because", "late"]
    where = ["--landing", str(operator.landing), "--db", role_url("churn_loop")]
    for words, told in (
        (["--month", MONTH, "--file", "z.csv"], "has no file z.csv, only a.csv"),
        (["--file", "a.csv"], "by --month or by --day"),
        (["--month", MONTH, "--file", "a.csv", "--by", " "], "Who decides"),
        (["--day", "2026-10-03"], "is delivered by month"),
        (["--month", MONTH, "--landing", "/nowhere"], "No files in usage_months"),
    ):
        assert main([*given, *where, *words]) == 1
        error = capsys.readouterr().err
        assert told in error
        assert len(error.splitlines()) == 1


def test_an_unreadable_file_is_bound_by_its_size_and_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from include.stages.collection import waivers

    path = tmp_path / "a.csv"
    path.write_text("x")
    known = waivers.file_fingerprint(path)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as closed:
        closed.setattr(Path, "open", refuse)
        unread = waivers.file_fingerprint(path)
        assert unread == waivers.file_fingerprint(path) != known
    path.write_text("longer")
    with monkeypatch.context() as closed:
        closed.setattr(Path, "open", refuse)
        assert waivers.file_fingerprint(path) != unread


def test_leaving_nothing_out_keeps_fingerprints_as_they_were(operator: Operator) -> None:
    operator.deliver("usage_months", GOOD)
    delivery = landing_folder.named(
        operator.landing, operator.config.sources, DeliveryKey("usage_months", MONTH)
    )
    assert delivery.fingerprint("x") != replace(delivery, left_out=("a.csv",)).fingerprint("x")
    assert delivery.fingerprint("x") == replace(delivery, is_taken_as_is=True).fingerprint("x")
