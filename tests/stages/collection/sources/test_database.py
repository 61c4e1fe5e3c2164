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
from include.config.readers.sources import Sources
from include.domain.errors import BadInput, NotReady
from include.lake import Lake
from include.stages import collection
from include.stages.collection import DeliveryKey
from include.stages.collection.sources.database import as_text, bound
from tests.fixtures import deliveries
from tests.stages.collection.test_collection import AS_OF, Operator, lenient
from tests.stages.collection.validator.test_dialects import FEEDS, MONTH, TABLES, lake_of, spoken


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
    return collection.collect(operator.site(**{feed: connection}), DeliveryKey(feed, MONTH))


def tables(operator: Operator, connection: Any) -> Mapping[str, Any]:
    for feed in FEEDS:
        assert collect(operator, feed, connection)["quarantined"] == 0
    frames = {table: operator.lake.scan(table, MONTH).collect() for table in TABLES}
    return {table: (frame.schema, frame.rows()) for table, frame in frames.items()}


@pytest.fixture
def from_files(tmp_path: Path, db: Connection, config: Config) -> Mapping[str, Any]:
    deliveries.write_plain(tmp_path / "files")
    found = lake_of(Operator(tmp_path / "files", db, Lake.create(tmp_path / "other"), config))
    return {table: (frame.schema, frame.rows()) for table, frame in found.items()}


@pytest.mark.parametrize("batch", [200_000, 7])
def test_a_typed_table_gives_the_lake_of_the_files(
    operator: Operator,
    postgresql: Any,
    from_files: Mapping[str, list[Any]],
    batch: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("include.stages.collection.sources.database.BATCH_ROWS", batch)
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
    with postgresql.cursor() as cursor:
        cursor.execute("drop table contact_limits")
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
    site = operator.site()
    assert collection.plan(site, as_of=AS_OF, month=MONTH) == [{"feed": "usage_months", "period": MONTH}]
    assert collection.plan(site, as_of=AS_OF, month=MONTH, queried=()) == []
    assert collection.plan(site, as_of=AS_OF, month="2026-12") == []
    operator.deliver("usage_months", "subscriber_id,bill_yuan\nS1,1\n")
    assert collection.plan(site, as_of=AS_OF, month=MONTH) == [{"feed": "usage_months", "period": MONTH}]


def test_a_day_is_not_asked_for_by_sql(operator: Operator, postgresql: Any) -> None:
    with pytest.raises(BadInput, match="month by month"):
        collection.collect(
            operator.site(subscriber_changes=postgresql), DeliveryKey("subscriber_changes", "2026-10-03")
        )


def by_day(operator: Operator) -> None:
    """From now on subscriber_changes stand in the operator's database, asked for day by day."""
    raw = operator.config.sources.model_dump()
    query = "select subscriber_id, occurred_at, kind from changes where at >= :first_day and at < :next_day"
    raw["feeds"]["subscriber_changes"]["sql"] = {"connection": "bss", "by": "day", "query": query}
    operator.config = replace(operator.config, sources=Sources.model_validate(raw))


def asked(operator: Operator, as_of: datetime) -> list[str]:
    found = collection.plan(operator.site(), as_of=as_of, feeds=("subscriber_changes", "contact_limits"))
    return [each["period"] for each in found]


def test_a_day_feed_is_asked_for_day_by_day_with_the_day_as_a_parameter(
    operator: Operator, postgresql: Any
) -> None:
    by_day(operator)
    with postgresql.cursor() as cursor:
        cursor.execute(
            "create table changes (subscriber_id text, occurred_at timestamptz, kind text, at date)"
        )
        for day in ("2026-11-02", "2026-11-03", "2026-11-04"):
            cursor.execute(
                "insert into changes values (%s, %s, 'left', %s)",
                [f"S{day[-1]}", f"{day}T10:00:00+08:00", day],
            )
    postgresql.commit()
    days = [f"2026-10-{day}" for day in (29, 30, 31)] + [f"2026-11-0{day}" for day in (1, 2, 3, 4)]
    assert asked(operator, AS_OF) == days  # the week before 5 November
    for day in days:
        site = operator.site(subscriber_changes=postgresql)
        found = collection.collect(site, DeliveryKey("subscriber_changes", day))
        assert found["rows_out"] == (1 if day in days[4:] else 0)
    gone = operator.lake.scan("subscriber_changes", "2026-11").collect()["subscriber_id"].to_list()
    assert sorted(gone) == ["S2", "S3", "S4"]


def test_days_missed_since_the_last_one_are_asked_for_as_well(operator: Operator) -> None:
    by_day(operator)
    operator.deliver("subscriber_changes", "subscriber_id,occurred_at,kind\n", period="2026-10-20")
    operator.collect("subscriber_changes", "2026-10-20")
    assert asked(operator, AS_OF)[0] == "2026-10-21"  # the 20th has landed as a file, which goes before
    assert asked(operator, AS_OF)[-1] == "2026-11-04"
    operator.deliver("subscriber_changes", "subscriber_id,occurred_at,kind\n", period="2026-11")
    assert asked(operator, AS_OF) == ["2026-11", *(f"2026-10-{day}" for day in range(21, 32))]


def test_a_day_is_refused_to_a_feed_that_has_none(config: Config) -> None:
    raw = config.sources.model_dump()
    raw["feeds"]["usage_months"]["sql"] = {"connection": "bss", "by": "day"}
    with pytest.raises(ValueError, match="not delivered by day"):
        Sources.model_validate(raw)


def test_a_phone_number_that_came_by_sql_is_masked_in_quarantine_too(
    operator: Operator, postgresql: Any
) -> None:
    operator.config = lenient(operator.config)
    with postgresql.cursor() as cursor:
        cursor.execute(
            f"update subscribers set joined_on = '2027-01-01' where month = '{MONTH}' and subscriber_id = 'S001'"
        )
    postgresql.commit()
    assert collect(operator, "subscribers", postgresql)["quarantined"] == 1
    (row,) = operator.quarantined("subscribers")
    assert "13800000001" not in str(row)
    assert "***" in str(row)


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
    days = bound("d = :day and at < :next_day", "2026-12-31", "named")[1]
    assert days == {"day": "2026-12-31", "next_day": date(2027, 1, 1)}


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
