"""However an operator writes a month, the lake holds the same rows."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sqlalchemy import Connection

from include.config import Config
from include.config.readers.sources import Sources
from include.lake import Lake
from tests.fixtures import deliveries
from tests.stages.collection.test_collection import Operator, take

MONTH = deliveries.MONTH
FEEDS = (
    "churned", "contact_limits", "market_events", "service_events", "subscriber_changes", "subscribers", "usage_months",
)  # fmt: skip
TABLES = (*FEEDS, "contacts")

Tables = dict[str, pl.DataFrame]


def spoken(sources: Sources, dialects: Mapping[str, Any]) -> Sources:
    """The default declarations with a dialect for each feed named."""
    raw = sources.model_dump()
    for feed, dialect in dialects.items():
        raw["feeds"][feed]["dialect"] = dict(dialect)
    return Sources.model_validate(raw)


def lake_of(operator: Operator) -> Tables:
    """Every table of the month after collecting all that was delivered."""
    assert operator.plan() == [f"{feed} {MONTH}" for feed in FEEDS]
    assert sum(operator.collect(feed)["quarantined"] for feed in FEEDS) == 0
    return {table: operator.lake.scan(table, MONTH).collect() for table in TABLES}


@pytest.fixture
def collected(tmp_path: Path, db: Connection, config: Config) -> Callable[..., Tables]:
    """Collect what a writer puts into a landing folder of its own, into a lake of its own."""

    def collect(write: Callable[[Path], None], dialects: Mapping[str, Any] | None = None) -> Tables:
        place = tmp_path / write.__name__
        write(place / "landing")
        spoken_by = replace(config, sources=spoken(config.sources, dialects or {}))
        return lake_of(Operator(place / "landing", db, Lake.create(place / "lake"), spoken_by))

    return collect


def test_the_same_province_gives_the_same_lake_however_it_is_delivered(
    collected: Callable[..., Tables],
) -> None:
    plain = collected(deliveries.write_plain)
    assert {table: rows.height for table, rows in plain.items()} == {
        "churned": 2,
        "service_events": 13,
        "subscribers": 39,
        "usage_months": 39,
        "contacts": 39,
        "market_events": 4,
        "subscriber_changes": 4,
        "contact_limits": 6,
    }
    others = {
        "gbk": collected(deliveries.write_gbk, deliveries.DIALECTS),
        "parquet": collected(deliveries.write_parquet),
        "gz": collected(deliveries.write_gz),
        "13 files": collected(deliveries.write_thirteen_files),
    }
    for way, tables in others.items():
        for table in TABLES:
            assert tables[table].schema == plain[table].schema, f"{table} by {way}"
            assert tables[table].rows() == plain[table].rows(), f"{table} by {way}"


def test_the_plain_province_is_in_the_lake_value_by_value(collected: Callable[..., Tables]) -> None:
    """Guards the test above against five lakes that are equally wrong."""
    tables = collected(deliveries.write_gbk, deliveries.DIALECTS)
    profile = tables["subscribers"].row(by_predicate=pl.col("subscriber_id") == "S007", named=True)
    assert profile["balance_yuan"] == Decimal("-7.1234")
    assert (profile["plan_data_mb"], profile["status"], profile["is_student"]) == (7168.0, "suspended", False)
    assert profile["region_code"] == f"区{deliveries.TRAP}7"
    assert profile["joined_on"].isoformat() == "2017-08-08"
    event = tables["service_events"].row(by_predicate=pl.col("event_id") == "E003", named=True)
    assert event["occurred_at"] == datetime(2026, 10, 4, 0, 30, 3, tzinfo=UTC)
    assert (event["kind"], event["text"]) == ("complaint", '他说"转网", 再见')


def taken(
    folder: Path, sources: Sources, feed: str, content: str | bytes, **dialect: Any
) -> tuple[list[Any], list[tuple[str, str]]]:
    """Rows accepted, and column and reason of those put aside."""
    found = take(folder, spoken(sources, {feed: dialect}), feed, content)
    return found.rows.rows(), found.quarantined.select("column", "reason").rows()


def test_lines_that_are_not_in_the_encoding_are_put_aside_alone(tmp_path: Path, config: Config) -> None:
    header = "subscriber_id,joined_on,region_code\n"
    lines = [f"{header}S1,2024-01-01,沪\n".encode("gbk"), b"S2,2024-01-01,\x81\n", b"S3,2024-01-01,\n"]
    content = b"".join(lines)
    rows, aside = taken(tmp_path, config.sources, "subscribers", content, encoding="gbk")
    assert [(row[0], row[2]) for row in rows] == [("S1", "沪"), ("S3", None)]
    assert aside == [("(row)", "is not GBK")]


def test_a_date_is_read_in_the_declared_format_alone(tmp_path: Path, config: Config) -> None:
    content = "subscriber_id,churned_on\nS1,20261003\nS2,2026-10-03\nS3,2026103\nS4,20261032\n"
    rows, aside = taken(tmp_path, config.sources, "churned", content, date_format="%Y%m%d")
    assert [row[0] for row in rows] == ["S1"]
    assert aside == [("churned_on", "is not written as %Y%m%d")] * 3


@pytest.mark.parametrize(
    ("unit", "delivered", "yuan"),
    [
        ("厘", "1.5", "0.0015"),
        ("分", "-1", "-0.0100"),
        ("元", "7", "7.0000"),
        ("厘", "9999999999999", "9999999999.9990"),
    ],
)
def test_amounts_in_small_coins_are_exact(
    tmp_path: Path, config: Config, unit: str, delivered: str, yuan: str
) -> None:
    content = f"subscriber_id,bill_yuan\nS1,{delivered}\n"
    rows, _ = taken(tmp_path, config.sources, "usage_months", content, units={"bill_yuan": unit})
    assert rows == [("S1", Decimal(yuan))]


def test_bounds_hold_in_the_unit_of_the_contract(tmp_path: Path, config: Config) -> None:
    content = "subscriber_id,bill_yuan,data_mb\nS1,1,-1024\nS2,1,x\nS3,1,512\n"
    rows, aside = taken(tmp_path, config.sources, "usage_months", content, units={"data_mb": "KB"})
    assert rows == [("S3", Decimal("1.0000"), 0.5)]
    assert aside == [("data_mb", "lies outside 0 and above"), ("data_mb", "is not a number")]


def test_a_code_not_named_stays_as_it_is(tmp_path: Path, config: Config) -> None:
    content = "subscriber_id,churned_on,reason\nS1,2026-10-03,携出\nS2,2026-10-03,closed\nS3,2026-10-03,？\n"
    codes = {"reason": {"携出": "port_out"}}
    rows, aside = taken(tmp_path, config.sources, "churned", content, codes=codes)
    assert [row[2] for row in rows] == ["port_out", "closed"]
    assert aside == [("reason", "is not one of port_out, closed, silent")]


@pytest.mark.parametrize("size", [7, 64])
def test_a_block_may_end_within_a_character(
    tmp_path: Path, config: Config, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [f"S{n},2024-01-01,区{deliveries.TRAP}{n}" for n in range(40)]
    content = "\n".join(["subscriber_id,joined_on,region_code", *rows]).encode("gb18030")
    monkeypatch.setattr("include.stages.collection.reader.delimited.BLOCK_BYTES", size)
    found, aside = taken(tmp_path, config.sources, "subscribers", content, encoding="gb18030")
    assert (len(found), aside) == (40, [])
    assert found[0][2] == f"区{deliveries.TRAP}0"


def test_a_restricted_column_is_masked_under_whatever_header(tmp_path: Path, config: Config) -> None:
    header = "用户|手机号码|入网日期\n"
    content = f"{header}S1|13800000001|20240101\nS2|13800000002|x\nS3|13800000003\n".encode("gbk")
    dialect = {
        "encoding": "gbk",
        "separator": "|",
        "date_format": "%Y%m%d",
        "headers": {"用户": "subscriber_id", "手机号码": "msisdn", "入网日期": "joined_on"},
    }
    found = take(tmp_path, spoken(config.sources, {"subscribers": dialect}), "subscribers", content)
    assert found.rows["msisdn"].to_list() == ["13800000001"]
    assert found.quarantined.sort("line")["raw"].to_list() == ["S2,***,x", None]


def test_typed_dates_of_a_feed_with_restricted_columns_need_no_format(tmp_path: Path, config: Config) -> None:
    rows = pl.DataFrame({"subscriber_id": ["S1"], "msisdn": ["138"], "joined_on": [date(2024, 1, 1)]})
    rows.write_parquet(tmp_path / "delivered.parquet")
    content = (tmp_path / "delivered.parquet").read_bytes()
    sources = spoken(config.sources, {"subscribers": {"date_format": "%Y%m%d"}})
    found = take(tmp_path, sources, "subscribers", content, name="a.parquet")
    assert found.rows["joined_on"].to_list() == [date(2024, 1, 1)]
