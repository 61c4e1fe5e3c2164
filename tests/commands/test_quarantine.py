"""An operator reads what was put aside as one table."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Connection

from include.commands.quarantine import main, table
from include.config import Config
from include.lake import Lake
from tests.stages.collection.test_collection import MONTH, Operator, lenient, usage


def test_the_worst_stand_first_with_file_column_reason_rows_and_line(
    tmp_path: Path,
    db: Connection,
    lake: Lake,
    config: Config,
    role_url: Callable[[str], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    operator = Operator(tmp_path / "landing", db, lake, lenient(config))
    operator.deliver("usage_months", usage("S1,x,1,1", "S2,1,1,1"))
    operator.collect("usage_months")
    operator.deliver("usage_months", usage("S1,1,1,1", "S2,x,1,1", "S3,y,1,1", "S4,1,-1,1"), name="北.csv")
    (operator.landing / "usage_months" / f"month={MONTH}" / "part-1.csv").unlink()
    operator.collect("usage_months")
    assert main(["--month", MONTH, "--db", role_url("churn_loop")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "feed          period   file    column     reason                    rows  first line",
        "usage_months  2026-10  北.csv  bill_yuan  is not an amount          2     3",
        "usage_months  2026-10  北.csv  data_mb    lies outside 0 and above  1     5",
    ]
    assert main(["--month", "2026-11", "--db", role_url("churn_loop")]) == 0
    assert capsys.readouterr().out == "Nothing of 2026-11 is in quarantine.\n"


def test_the_report_of_a_run_tells_the_worst(
    tmp_path: Path, db: Connection, lake: Lake, config: Config
) -> None:
    operator = Operator(tmp_path / "landing", db, lake, lenient(config))
    operator.deliver("subscribers", "subscriber_id,joined_on\nS1,2024-01-01\n")
    operator.deliver("usage_months", usage("S1,1,1,1", "S2,x,1,1", "S3,y,1,1"))
    for feed in ("subscribers", "usage_months"):
        operator.collect(feed)
    assert operator.report()["notes"][-1] == (
        "2 rows of usage_months 2026-10 are in quarantine: bill_yuan is not an amount, "
        "first in line 3 of part-1.csv"
    )


def test_what_is_missing_is_said_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--month", MONTH]) == 1
    assert "Give --db, or set AIRFLOW_CONN_CHURN_DB" in capsys.readouterr().err
    nowhere = "postgresql://127.0.0.1:1/none"
    assert main(["--month", "October", "--db", nowhere]) == 1
    assert "October" in capsys.readouterr().err
    assert main(["--month", MONTH, "--db", nowhere]) == 1
    assert "cannot be reached" in capsys.readouterr().err


def test_a_folder_that_cannot_be_read_is_told_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "landing" / "churned").mkdir(parents=True)

    def refuse(folder: Path, *_: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "is_dir", refuse)
    words = ["continue", "--month", MONTH, "--feed", "churned", "--by", "Li Na", "--because", "late"]
    landing = str(tmp_path / "landing")
    assert main([*words, "--landing", landing, "--db", "postgresql://127.0.0.1:1/none"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("NotReady: Permission denied: ")
    assert len(told.splitlines()) == 1


def test_without_rows_the_table_is_its_header() -> None:
    assert table([]) == "feed  period  file  column  reason  rows  first line"
