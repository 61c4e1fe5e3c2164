"""The list taken out: private, formula-safe, checked again, audited; and what it did."""

import csv
import hashlib
import io
import json
import stat
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from include.commands.outreach.__main__ import main
from include.commands.outreach.effect import effect
from include.commands.outreach.lists import COLUMNS, OutreachList, export
from include.config import Config
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import ZONE
from include.domain.signature import Signature
from include.stages.outreach import outreach
from tests.fixtures.graded import Warned, put
from tests.fixtures.offers import MONDAY
from tests.fixtures.runs import run_of
from tests.fixtures.secondary import secondary_cycle
from tests.fixtures.work import hire

CYCLE = {"campaign": "churn_warning", "cycle": "2026-10"}


@pytest.fixture
def listed(db, lake, config: Config) -> dict:
    """A list of two, with what `export` is called with."""
    rules = config.strategies.outreach
    whole = rules.model_copy(update={"hold_out": rules.hold_out.model_copy(update={"share": 0.0})})
    known = replace(config, strategies=config.strategies.model_copy(update={"outreach": whole}))
    outreach(run_of(**secondary_cycle(db, lake, known, [Warned("A"), Warned("B")])))
    return {"outreach": OutreachList(db, lake, known, **CYCLE), "signed": Signature("marketing", MONDAY)}


def audit(db: sa.Connection) -> list[dict]:
    with db.begin():
        rows = db.execute(
            sa.text("select actor, subject, details from audit_log where action = 'export_outreach'")
        )
        return [dict(row) for row in rows.mappings()]


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"))))


def test_the_list_is_a_private_file_with_numbers_and_in_the_audit_log(listed, db, tmp_path):
    to = tmp_path / "out" / "list.csv"
    told = export(to=to, **listed)
    assert stat.S_IMODE(to.stat().st_mode) == 0o600
    assert stat.S_IMODE(to.parent.stat().st_mode) == 0o700
    assert to.read_bytes().startswith(b"\xef\xbb\xbf")
    assert [path.name for path in to.parent.iterdir()] == ["list.csv"]
    rows = read(to)
    assert [row["msisdn"] for row in rows] == ["13800000000", "13800000001"]
    assert rows[0]["offer_zh"] == "流量包五折，连续三个月"
    assert (rows[0]["send_from"], rows[0]["send_daily_until"]) == ("2026-11-09T09:00+08:00", "20:00")
    assert told["sha256"] == hashlib.sha256(to.read_bytes()).hexdigest()
    (kept,) = audit(db)
    assert (kept["actor"], kept["subject"]) == ("marketing", "churn_warning 2026-10")
    assert (kept["details"]["rows"], kept["details"]["sha256"]) == (2, told["sha256"])


def test_numbers_are_never_written_where_others_can_look_nor_over_a_file_that_stands(listed, db, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    with pytest.raises(BadInput, match=r"Others can look into the folder .* \(mode 755\)"):
        export(to=shared / "list.csv", **listed)
    with pytest.raises(BadInput, match=r"neither \.csv nor \.parquet"):
        export(to=tmp_path / "own" / "list.xlsx", **listed)
    export(to=tmp_path / "own" / "list.csv", **listed)
    with pytest.raises(BadInput, match="stands already"):
        export(to=tmp_path / "own" / "list.csv", **listed)
    assert len(audit(db)) == 1


def test_a_masked_list_may_lie_anywhere_and_shows_no_number(listed, db, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o755)
    export(to=shared / "list.csv", is_masked=True, **listed)
    assert [row["msisdn"] for row in read(shared / "list.csv")] == ["138****0000", "138****0001"]
    assert audit(db)[0]["details"]["masked"] is True


def test_a_list_as_parquet_holds_the_same(listed, tmp_path):
    export(to=tmp_path / "own" / "list.parquet", **listed)
    rows = pl.read_parquet(tmp_path / "own" / "list.parquet")
    assert tuple(rows.columns) == COLUMNS
    assert rows["msisdn"].to_list() == ["13800000000", "13800000001"]


def test_who_has_refused_or_left_since_the_listing_is_left_out(listed, db, lake, tmp_path):
    people = hire(db)
    with db.begin():
        db.execute(
            sa.text(
                "insert into refusals (customer_key, subscriber_id, refused_at, staff_id, words)"
                " values ('A', 'A', :now, :staff, 'no')"
            ),
            {"now": MONDAY, "staff": people.agent},
        )
    put(
        lake, "subscriber_changes", "2026-11",
        [{"subscriber_id": "B", "occurred_at": MONDAY - timedelta(days=1), "kind": "port_out_applied"}],
        {"subscriber_id": pl.String, "occurred_at": pl.Datetime("us", "UTC"), "kind": pl.String},
    )  # fmt: skip
    told = export(to=tmp_path / "own" / "list.csv", **listed)
    assert (told["rows"], told["left_out"]) == (0, {"port_out_applied": 1, "refused": 1})


def test_a_cycle_without_a_list_says_so(listed, tmp_path):
    other = replace(listed["outreach"], cycle="2026-09")
    with pytest.raises(NotReady, match="Nobody is listed in cycle 2026-09"):
        export(to=tmp_path / "own" / "list.csv", **listed | {"outreach": other})


def test_the_command_takes_the_list_out_and_shows_it_masked(listed, role_url, lake, tmp_path, capsys):
    place = ["--db", role_url("churn_loop"), "--lake", str(lake.root), "--now", MONDAY.isoformat()]
    to = str(tmp_path / "own" / "list.csv")
    assert main(["export", "--cycle", "2026-10", "--to", to, "--by", "me", *place]) == 0
    assert json.loads(capsys.readouterr().out)["rows"] == 2
    assert main(["show", "--cycle", "2026-10", *place]) == 0
    shown = capsys.readouterr().out
    assert "138****0001" in shown and "13800000001" not in shown
    assert main(["effect", "--cycle", "2026-10", *place]) == 1
    assert "is not known yet" in capsys.readouterr().err


def test_the_effect_is_the_difference_of_the_two_groups(db, lake, config):
    names = [f"S{n:03}" for n in range(200)]
    outreach(run_of(**secondary_cycle(db, lake, config, [Warned(name) for name in names])))
    with db.begin():
        arms = dict(db.execute(sa.text("select subscriber_id, decision from outreach_items")).all())
    held = sorted(name for name in names if arms[name] == "held_out")
    listed = sorted(name for name in names if arms[name] == "listed")
    left = [*held[: len(held) // 2], *listed[:9]]
    put(
        lake, "churned", "2026-11",
        [{"subscriber_id": name, "churned_on": date(2026, 11, 20), "reason": "port_out"} for name in left],
        {"subscriber_id": pl.String, "churned_on": pl.Date, "reason": pl.String},
    )  # fmt: skip
    told = effect(OutreachList(db, lake, config, **CYCLE), datetime(2027, 1, 10, tzinfo=ZONE))
    assert (told["listed"], told["held_out"]) == (len(listed), len(held))
    assert told["churn_held_out"] == round((len(held) // 2) / len(held), 6)
    assert told["churn_listed"] == round(9 / len(listed), 6)
    assert told["avoided_low"] < told["avoided"] < told["avoided_high"]
