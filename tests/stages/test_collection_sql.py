"""A feed read from an operator's database gives the lake that its files would."""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from sqlalchemy import Connection

from include.config import Config
from include.config.sources import Sources
from include.domain.errors import BadInput, NotReady
from include.lake import Lake
from include.stages import collection
from include.stages.collection.spooling import as_text, bound
from tests.fixtures import deliveries
from tests.stages.test_collection import AS_OF, NOW, Operator
from tests.stages.test_collection_dialects import FEEDS, MONTH, TABLES, lake_of, spoken


@pytest.fixture
def postgresql(empty_database: Callable[[], str]) -> Iterator[Any]:
    """An operator's PostgreSQL database that holds the province."""
    connection = psycopg2.connect(empty_database())
    deliveries.fill_database(connection)
    yield connection
    connection.close()


@pytest.fixture
def operator(tmp_path: Path, db: Connection, lake: Lake, config: Config) -> Operator:
    (tmp_path / "landing").mkdir()
    return Operator(tmp_path / "landing", db, lake, config)


def collect(operator: Operator, feed: str, connection: Any) -> dict[str, Any]:
    return collection.collect(
        landing=operator.landing,
        db=operator.db,
        lake=operator.lake,
        config=operator.config,
        feed=feed,
        period=MONTH,
        now=NOW,
        connections={feed: connection},
    )


def tables(operator: Operator, connection: Any) -> Mapping[str, list[Any]]:
    for feed in FEEDS:
        assert collect(operator, feed, connection)["quarantined"] == 0
    return {table: operator.lake.scan(table, MONTH).collect().rows() for table in TABLES}


@pytest.fixture
def from_files(tmp_path: Path, db: Connection, config: Config) -> Mapping[str, list[Any]]:
    deliveries.write_plain(tmp_path / "files")
    found = lake_of(Operator(tmp_path / "files", db, Lake.create(tmp_path / "other"), config))
    return {table: frame.rows() for table, frame in found.items()}


@pytest.mark.parametrize("batch", [200_000, 7])
def test_a_typed_table_gives_the_lake_of_the_files(
    operator: Operator,
    postgresql: Any,
    from_files: Mapping[str, list[Any]],
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("include.stages.collection.spooling.BATCH_ROWS", batch)
    assert tables(operator, postgresql) == from_files


def test_a_database_in_a_dialect_gives_the_lake_of_the_files(
    operator: Operator, from_files: Mapping[str, list[Any]]
) -> None:
    operator.config = replace(operator.config, sources=spoken(operator.config.sources, deliveries.DIALECTS))
    connection = sqlite3.connect(":memory:")
    deliveries.fill_sqlite(connection)
    assert tables(operator, connection) == from_files


def test_the_same_rows_in_another_order_are_known(operator: Operator, postgresql: Any) -> None:
    assert collect(operator, "usage_months", postgresql)["is_new"]
    with postgresql.cursor() as cursor:
        cursor.execute("create table b as select * from usage_months order by random()")
        cursor.execute("drop table usage_months; alter table b rename to usage_months")
    assert not collect(operator, "usage_months", postgresql)["is_new"]
    with postgresql.cursor() as cursor:
        cursor.execute("update usage_months set bill_yuan = 9 where subscriber_id = 'S001'")
    assert collect(operator, "usage_months", postgresql)["is_new"]


def test_a_broken_row_is_told_by_its_number(operator: Operator, postgresql: Any) -> None:
    with postgresql.cursor() as cursor:
        cursor.execute("update usage_months set data_mb = -1 where subscriber_id = 'S020'")
    operator.config = replace(
        operator.config, sources=operator.config.sources.model_copy(update={"quarantine_share": 1.0})
    )
    assert collect(operator, "usage_months", postgresql)["quarantined"] == 1
    [(file, line, column, reason, raw)] = operator.quarantined("usage_months")
    assert (file, column, reason) == ("usage_months.sql", "data_mb", "lies outside 0 and above")
    assert 1 <= line <= 39
    assert raw.startswith("S020,")


def test_a_query_that_fails_says_why_and_publishes_nothing(operator: Operator, postgresql: Any) -> None:
    with pytest.raises(
        NotReady, match='query for contact_limits of 2026-10 failed: relation "contact_limits"'
    ):
        collect(operator, "contact_limits", postgresql)
    assert not operator.lake.has("contact_limits", MONTH)


def test_files_that_landed_go_before_the_query(operator: Operator, postgresql: Any) -> None:
    operator.deliver("churned", "subscriber_id,churned_on\nS1,2026-10-09\n")
    assert collect(operator, "churned", postgresql)["rows_in"] == 1


def test_feeds_with_a_connection_are_planned_for_the_month_of_the_cycle(operator: Operator) -> None:
    raw = operator.config.sources.model_dump()
    raw["feeds"]["usage_months"]["sql"] = {"connection": "bss"}
    operator.config = replace(operator.config, sources=Sources.model_validate(raw))
    given = {
        "landing": operator.landing,
        "db": operator.db,
        "lake": operator.lake,
        "config": operator.config,
        "as_of": AS_OF,
    }
    assert collection.plan(**given, month=MONTH) == [{"feed": "usage_months", "period": MONTH}]
    assert collection.plan(**given, month=MONTH, queried=()) == []
    assert collection.plan(**given, month="2026-12") == []
    operator.deliver("usage_months", "subscriber_id,bill_yuan\nS1,1\n")
    assert collection.plan(**given, month=MONTH) == [{"feed": "usage_months", "period": MONTH}]


def test_a_day_is_not_asked_for_by_sql(operator: Operator, postgresql: Any) -> None:
    with pytest.raises(BadInput, match="month by month"):
        collection.collect(
            landing=operator.landing,
            db=operator.db,
            lake=operator.lake,
            config=operator.config,
            feed="subscriber_changes",
            period="2026-10-03",
            now=NOW,
            connections={"subscriber_changes": postgresql},
        )


@pytest.mark.parametrize(
    ("paramstyle", "statement", "values"),
    [
        ("pyformat", "%(month)s::text like '%%' and d >= %(first_day)s", {"month": "2026-12"}),
        ("named", ":month::text like '%' and d >= :first_day", {"month": "2026-12"}),
        ("qmark", "?::text like '%' and d >= ?", ["2026-12", date(2026, 12, 1)]),
        ("format", "%s::text like '%%' and d >= %s", ["2026-12", date(2026, 12, 1)]),
        ("numeric", ":1::text like '%' and d >= :2", ["2026-12", date(2026, 12, 1)]),
    ],
)
def test_parameters_are_bound_as_the_driver_wants_them(paramstyle: str, statement: str, values: Any) -> None:
    expected = values if isinstance(values, list) else {**values, "first_day": date(2026, 12, 1)}
    query = ":month::text like '%' and d >= :first_day"
    assert bound(query, "2026-12", paramstyle) == (statement, expected)
    assert bound("d < :next_month", "2026-12", "qmark") == ("d < ?", [date(2027, 1, 1)])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, None),
        (True, "true"),
        (Decimal("1E+2"), "100"),
        (date(2026, 10, 3), "2026-10-03"),
        (datetime(2026, 10, 3, 8, tzinfo=UTC), "2026-10-03T08:00:00+00:00"),
        (memoryview("转".encode()), "转"),
        (3, "3"),
    ],
)
def test_a_value_is_written_as_a_file_would_hold_it(value: Any, text: str | None) -> None:
    assert as_text(value) == text
