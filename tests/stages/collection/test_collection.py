"""Collection: every delivered row ends in the lake or in quarantine, with its reason, whatever happens."""

import gzip
import shutil
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from include.config import Config
from include.config.readers.sources import Sources
from include.database import engine
from include.domain.errors import BadInput, LoopError, NotReady
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.stages import collection
from include.stages.collection import DeliveryKey, publisher
from include.stages.collection.ingest import refuse_above, take_in
from include.stages.collection.intake import Intake
from include.stages.collection.sources import landing_folder
from include.stages.collection.staging import Staged, staging_folder

MONTH = "2026-10"
NOW = datetime(2026, 11, 5, 6, tzinfo=UTC)
AS_OF = default_as_of(MONTH)


class Operator:
    """Delivers files into a landing folder and collects them."""

    def __init__(self, landing: Path, db: Connection, lake: Lake, config: Config) -> None:
        self.landing, self.db, self.lake, self.config = landing, db, lake, config

    def deliver(
        self, feed: str, content: str | bytes, *, period: str = MONTH, name: str = "part-1.csv"
    ) -> Path:
        return deliver(self.landing, feed, content, period=period, name=name)

    def site(self, **connections: Any) -> collection.Site:
        return collection.Site(self.db, self.lake, self.config, self.landing, NOW, connections)

    def plan(self, as_of: datetime = AS_OF) -> list[str]:
        found = collection.plan(self.site(), as_of=as_of)
        return [f"{delivery['feed']} {delivery['period']}" for delivery in found]

    def collect(self, feed: str, period: str = MONTH) -> dict[str, Any]:
        return collection.collect(self.site(), DeliveryKey(feed, period))

    def report(self, month: str = MONTH) -> dict[str, Any]:
        return collection.report(
            db=self.db, lake=self.lake, config=self.config, month=month, as_of=default_as_of(month)
        )

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with self.db.begin():
            return [tuple(row) for row in self.db.execute(text(statement))]

    def quarantined(self, feed: str, period: str = MONTH) -> list[tuple[Any, ...]]:
        folder = self.lake.root / "quarantine" / feed / f"period={period}"
        frames = [pl.read_parquet(path) for path in folder.glob("*.parquet")]
        return sorted(row for frame in frames for row in frame.rows())


def deliver(
    landing: Path, feed: str, content: str | bytes, *, period: str = MONTH, name: str = "part-1.csv"
) -> Path:
    folder = landing / feed / (f"month={period}" if len(period) == 7 else f"day={period}")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture(scope="session")
def sources(config: Config) -> Sources:
    return config.sources


@pytest.fixture
def operator(tmp_path: Path, db: Connection, lake: Lake, config: Config) -> Operator:
    (tmp_path / "landing").mkdir()
    return Operator(tmp_path / "landing", db, lake, lenient(config))


def lenient(config: Config, share: float = 1.0) -> Config:
    """The default configuration that bears a share of broken rows: the tests' files are small."""
    return Config(
        **{**vars(config), "sources": config.sources.model_copy(update={"quarantine_share": share})}
    )


@dataclass(frozen=True)
class Taken:
    """What became of a delivery read without a database."""

    staged: Staged
    rows: pl.DataFrame
    quarantined: pl.DataFrame


def take(
    folder: Path, sources: Sources, feed: str, content: str | bytes, *, name: str = "part-1.csv"
) -> Taken:
    """Read one file; what it accepts and what it puts aside must meet what was read."""
    shutil.rmtree(folder, ignore_errors=True)
    deliver(folder / "landing", feed, content, name=name)
    lake = Lake.create(folder / "lake")
    delivery = landing_folder.named(folder / "landing", sources, DeliveryKey(feed, MONTH))
    # of a site only what is read without a database
    site = collection.Site(None, lake, SimpleNamespace(sources=sources), folder / "landing", NOW)
    intake = Intake.of(site, delivery)
    with staging_folder(lake) as staging:
        staged = take_in(intake, staging)
        taken = Taken(staged, staged.accepted(0).collect(), staged.quarantined().collect())
    assert taken.rows.height == staged.rows_accepted
    assert taken.quarantined.height == staged.rows_quarantined
    assert staged.rows_read == staged.rows_accepted + staged.rows_quarantined
    refuse_above(1.0, intake, staged, str(folder))
    return taken


def usage(*rows: str) -> str:
    return "\n".join(["subscriber_id,bill_yuan,data_mb,sms_count", *rows]) + "\n"


# ---------------------------------------------------------------- from files to the lake


def test_columns_arrive_typed_and_sorted(operator: Operator) -> None:
    operator.deliver("usage_months", usage("S2,-3.5,1024.25,3.0000", "S1,20.1234,,4"))
    result = operator.collect("usage_months")
    found = operator.lake.scan("usage_months", MONTH).collect()
    assert found.rows() == [("S1", Decimal("20.1234"), None, 4), ("S2", Decimal("-3.5000"), 1024.25, 3)]
    assert found.schema["bill_yuan"] == pl.Decimal(14, 4)
    assert (result["rows_in"], result["rows_out"], result["quarantined"]) == (2, 2, 0)


def test_naive_instants_are_meant_in_shanghai(tmp_path: Path, sources: Sources) -> None:
    header = "event_id,subscriber_id,occurred_at,kind\n"
    events = "E1,S1,2026-10-03 08:30,complaint\nE2,S1,2026-10-03T08:30:00Z,fault_report\n"
    found = take(tmp_path, sources, "service_events", header + events).rows["occurred_at"].to_list()
    assert found == [datetime(2026, 10, 3, 0, 30, tzinfo=UTC), datetime(2026, 10, 3, 8, 30, tzinfo=UTC)]


@pytest.mark.parametrize(
    ("name", "encode"),
    [
        ("a.csv", lambda content: content),
        ("a.csv", lambda content: b"\xef\xbb\xbf" + content),
        ("a.csv", lambda content: content.replace(b"\n", b"\r\n")),
        ("a.csv", lambda content: content.rstrip(b"\n")),
        ("a.CSV", lambda content: content.replace(b"S1", b'"S1"')),
        ("a.csv", lambda content: content.replace(b"\n", b"\n\n")),
        ("a.csv.gz", gzip.compress),
    ],
    ids=["plain", "bom", "crlf", "no last newline", "quoted", "blank lines", "gz"],
)
def test_the_same_rows_give_the_same_lake_however_written(
    tmp_path: Path, sources: Sources, name: str, encode: Callable[[bytes], bytes]
) -> None:
    content = encode(usage("S1,10,1,1", "S2,20,2,2").encode())
    rows = take(tmp_path, sources, "usage_months", content, name=name).rows.rows()
    assert rows == [("S1", Decimal("10.0000"), 1.0, 1), ("S2", Decimal("20.0000"), 2.0, 2)]


def test_parquet_is_read_like_csv(operator: Operator) -> None:
    frame = pl.DataFrame(
        {
            "subscriber_id": ["S1", "S2"],
            "joined_on": [datetime(2024, 3, 1), datetime(2025, 1, 31)],  # noqa: DTZ001
            "plan_fee_yuan": [58.0, None],
            "is_student": [True, False],
        }
    )
    path = operator.deliver("subscribers", b"", name="a.parquet")
    frame.write_parquet(path)
    operator.collect("subscribers")
    found = operator.lake.scan("subscribers", MONTH).collect()
    assert found["joined_on"].to_list() == [datetime(2024, 3, 1).date(), datetime(2025, 1, 31).date()]  # noqa: DTZ001
    assert found["plan_fee_yuan"].to_list() == [Decimal("58.0000"), None]
    assert found["is_student"].to_list() == [True, False]


def test_several_files_are_one_delivery_and_may_differ_in_columns(operator: Operator) -> None:
    operator.deliver("usage_months", "subscriber_id,bill_yuan\nS1,1\n", name="north.csv")
    operator.deliver("usage_months", "app_logins,bill_yuan,subscriber_id\n7,2,S2\n", name="south.csv")
    operator.collect("usage_months")
    rows = operator.lake.scan("usage_months", MONTH).collect().rows()
    assert rows == [("S1", Decimal("1.0000"), None), ("S2", Decimal("2.0000"), 7)]
    assert operator.rows("select files, rows_read from deliveries where is_current") == [(2, 2)]


def test_quoted_texts_keep_their_commas_quotes_and_lines(tmp_path: Path, sources: Sources) -> None:
    header = "event_id,subscriber_id,occurred_at,kind,text\n"
    spoken = '"他说""转网"",\n再见"'
    event = f"{header}E1,S1,2026-10-03T10:00:00,complaint,{spoken}\n"
    assert take(tmp_path, sources, "service_events", event).rows["text"].to_list() == ['他说"转网",\n再见']


def test_phone_numbers_go_to_contacts_alone(operator: Operator) -> None:
    header = "subscriber_id,joined_on,msisdn\n"
    operator.deliver("subscribers", f"{header}S1,2024-01-01,13800000001\nS2,2024-01-01,\n")
    operator.collect("subscribers")
    assert "msisdn" not in operator.lake.scan("subscribers", MONTH).collect_schema().names()
    assert operator.lake.scan("contacts", MONTH).collect().rows() == [("S1", "13800000001")]


def test_contacts_stand_empty_when_no_phone_number_is_delivered(operator: Operator) -> None:
    operator.deliver("subscribers", "subscriber_id,joined_on\nS1,2024-01-01\n")
    operator.collect("subscribers")
    assert operator.lake.scan("contacts", MONTH).collect().columns == ["subscriber_id", "msisdn"]
    assert operator.lake.manifest("contacts", MONTH).rows == 0


def test_every_row_lies_in_the_shard_of_its_subscriber(
    tmp_path: Path, db: Connection, config: Config
) -> None:
    lake = Lake.create(tmp_path / "wide", subscribers=2_000_000)
    operator = Operator(tmp_path / "landing", db, lake, config)
    operator.deliver("usage_months", usage(*(f"S{n},{n},0,0" for n in range(200))))
    operator.collect("usage_months")
    for shard in range(lake.shards):
        ids = lake.scan("usage_months", MONTH, shard).collect()["subscriber_id"]
        assert ids.len() > 0
        assert set(lake.shard_of(ids)) == {shard}
    assert lake.manifest("usage_months", MONTH).rows == 200


def test_a_header_alone_is_an_empty_month(operator: Operator) -> None:
    operator.deliver("churned", "subscriber_id,churned_on\n")
    assert operator.collect("churned")["rows_in"] == 0
    found = operator.lake.scan("churned", MONTH).collect()
    assert found.schema == {"subscriber_id": pl.String, "churned_on": pl.Date}


def test_the_marker_makes_the_month_complete(operator: Operator) -> None:
    path = operator.deliver("churned", "subscriber_id,churned_on\nS1,2026-10-09\n")
    operator.collect("churned")
    assert operator.lake.manifest("churned", MONTH).facts["complete"] is False
    path.with_name("_COMPLETE").touch()
    assert operator.plan() == ["churned 2026-10"]
    operator.collect("churned")
    assert operator.lake.manifest("churned", MONTH).facts["complete"] is True
    assert operator.rows("select is_complete from deliveries where is_current") == [(True,)]


# ---------------------------------------------------------------- quarantine


def test_each_broken_row_is_told_with_file_line_column_and_reason(operator: Operator) -> None:
    operator.deliver(
        "usage_months",
        usage("S1,10,1,1", "S2,ten,1,1", ",10,1,1", "S4,10,-5,1", "S5,10,1,1.5", "S6,,1,1", "S7,nan,1,1"),
    )
    result = operator.collect("usage_months")
    assert (result["rows_in"], result["rows_out"], result["quarantined"]) == (7, 1, 6)
    assert operator.quarantined("usage_months") == [
        ("part-1.csv", 3, "bill_yuan", "is not an amount", "S2,ten,1,1"),
        ("part-1.csv", 4, "subscriber_id", "is empty", ",10,1,1"),
        ("part-1.csv", 5, "data_mb", "lies outside 0 and above", "S4,10,-5,1"),
        ("part-1.csv", 6, "sms_count", "is not a whole number", "S5,10,1,1.5"),
        ("part-1.csv", 7, "bill_yuan", "is empty", "S6,,1,1"),
        ("part-1.csv", 8, "bill_yuan", "is not an amount", "S7,nan,1,1"),
    ]
    summary = operator.rows(
        "select column_name, reason, rows, first_line from quarantine_summary order by first_line"
    )
    assert summary[0] == ("bill_yuan", "is not an amount", 2, 3)
    assert sum(row[2] for row in summary) == 6
    assert operator.rows("select rows_read, rows_accepted, rows_quarantined from deliveries") == [(7, 1, 6)]


def test_a_phone_number_never_lies_in_the_quarantine(operator: Operator) -> None:
    lines = [
        "subscriber_id,msisdn,joined_on,plan_fee_yuan,phone2",
        "S1,13800000001,2020-01-01,58,13900000001",
        "S2,13800000002,yesterday,58,13900000002",
        '"S3",13800000003,2020-01-01,"fifty, about",13900000003',
        "S4,,someday,58,13900000004",
        "S5,13800000005,2020-01-01",
        "S6,13800000006,2020-01-01,58,13900000006",
        "S6,13800000007,2020-01-01,58,13900000007",
    ]
    operator.deliver("subscribers", "\n".join(lines))
    operator.collect("subscribers")
    aside = operator.quarantined("subscribers")
    assert [(line, column, raw) for _, line, column, _, raw in aside] == [
        (3, "joined_on", "S2,***,yesterday,58"),
        (4, "plan_fee_yuan", "S3,***,2020-01-01,fifty, about"),
        (5, "joined_on", "S4,,someday,58"),
        (6, "(row)", None),
        (7, "subscriber_id", "S6,***,2020-01-01,58"),
        (8, "subscriber_id", "S6,***,2020-01-01,58"),
    ]
    numbers = operator.lake.scan("contacts", MONTH).collect()
    assert numbers.rows() == [("S1", "13800000001")]


def test_numbers_and_quarantine_are_for_the_owner_alone(operator: Operator) -> None:
    operator.deliver("subscribers", "subscriber_id,joined_on,msisdn\nS1,2020-01-01,1\nS2,never,2\n")
    operator.collect("subscribers")
    for name in ("contacts", "quarantine"):
        assert stat.S_IMODE((operator.lake.root / name).stat().st_mode) == 0o700


def test_a_days_file_bears_a_few_broken_rows_and_a_months_file_does_not(
    operator: Operator, config: Config
) -> None:
    operator.config = config
    header = "event_id,subscriber_id,occurred_at,kind\n"
    good = [f"E{n},S{n},2026-10-03T10:00:00,complaint\n" for n in range(3)]
    bad = [f"B{n},S{n},2026-10-03T10:00:00,praise\n" for n in range(4)]
    operator.deliver("service_events", header + "".join(good + bad[:3]), period="2026-10-03")
    assert operator.collect("service_events", "2026-10-03")["quarantined"] == 3
    operator.deliver("service_events", header + "".join(good + bad), period="2026-10-03")
    with pytest.raises(BadInput, match="4 of 7 rows"):
        operator.collect("service_events", "2026-10-03")
    operator.deliver("usage_months", usage("S1,1,0,0", "S2,two,0,0"))
    with pytest.raises(BadInput, match="1 of 2 rows"):
        operator.collect("usage_months")


def test_lines_that_are_no_row_are_put_aside_and_their_neighbours_kept(operator: Operator) -> None:
    lines = [
        b"subscriber_id,bill_yuan",
        b"S1,1",
        b"S2,2,extra",
        b"S3",
        b"S4,\xff\xfe",
        b"S5,5\x00",
        b'"S6"x,6',
        b'"S7,7',
        b"S8,8",
    ]
    operator.deliver("usage_months", b"\n".join(lines))
    operator.collect("usage_months")
    told = {line: reason for _, line, _, reason, _ in operator.quarantined("usage_months")}
    assert told == {
        3: "has more fields than the header",
        4: "has fewer fields than the header",
        5: "is not UTF-8",
        6: "holds a NUL byte",
        7: "has a quote in the wrong place",
        8: "has a quote that is never closed",
    }
    found = operator.lake.scan("usage_months", MONTH).collect()["subscriber_id"].to_list()
    assert found == ["S1", "S8"]


def test_of_identical_rows_one_is_kept_and_of_conflicting_ones_none(operator: Operator) -> None:
    operator.deliver("usage_months", usage("S1,1,0,0", "S1,1.0,0,0.0", "S2,2,0,0", "S2,3,0,0", "S3,3,0,0"))
    operator.deliver("usage_months", usage("S3,3,0,0", "S4,4,0,0"), name="part-2.csv")
    operator.collect("usage_months")
    found = operator.lake.scan("usage_months", MONTH).collect()["subscriber_id"].to_list()
    assert found == ["S1", "S3", "S4"]
    assert [(name, line, reason) for name, line, _, reason, _ in operator.quarantined("usage_months")] == [
        ("part-1.csv", 3, "repeats a row"),
        ("part-1.csv", 4, "conflicts with another row"),
        ("part-1.csv", 5, "conflicts with another row"),
        ("part-2.csv", 2, "repeats a row"),
    ]


def test_an_event_id_given_to_two_subscribers_is_a_conflict_across_shards(
    tmp_path: Path, db: Connection, config: Config
) -> None:
    lake = Lake.create(tmp_path / "wide", subscribers=4_000_000)
    operator = Operator(tmp_path / "landing", db, lake, lenient(config))
    header = "event_id,subscriber_id,occurred_at,kind\n"
    events = [f"E{n % 8},S{n},2026-10-03T10:00:00,complaint" for n in range(16)]
    operator.deliver("service_events", header + "\n".join(events))
    assert operator.collect("service_events")["quarantined"] == 16


def test_two_limits_that_differ_are_both_kept_so_that_no_refusal_is_lost(operator: Operator) -> None:
    header = "subscriber_id,kind,valid_from,valid_to,source\n"
    limits = (
        "S1,refused,2026-01-01,,call\nS1,refused,2026-01-01,2026-12-31,call\nS1,refused,2026-01-01,,call\n"
    )
    operator.deliver("contact_limits", header + limits, period="2026-10-03")
    assert operator.collect("contact_limits", "2026-10-03")["rows_out"] == 2


@pytest.mark.parametrize(
    ("occurred_at", "accepted"),
    [
        ("2026-09-30T23:59:59", 0),
        ("2026-10-01T00:00:00", 1),
        ("2026-10-31T23:59:59", 1),
        ("2026-11-01T00:00:00", 0),
        ("2026-09-30T16:00:00Z", 1),
        ("2026-10-31T16:00:00Z", 0),
    ],
)
def test_a_fact_outside_the_delivered_month_in_shanghai_is_put_aside(
    tmp_path: Path, sources: Sources, occurred_at: str, accepted: int
) -> None:
    event = f"event_id,subscriber_id,occurred_at,kind\nE1,S1,{occurred_at},complaint\n"
    assert take(tmp_path, sources, "service_events", event).rows.height == accepted


def test_a_fact_outside_the_delivered_day_is_put_aside(operator: Operator) -> None:
    header = "event_id,subscriber_id,occurred_at,kind\n"
    events = "E1,S1,2026-10-03T10:00:00,complaint\nE2,S2,2026-10-04T00:00:00,complaint\n"
    operator.deliver("service_events", header + events, period="2026-10-03")
    assert operator.collect("service_events", "2026-10-03")["rows_out"] == 1


def test_somebody_who_joined_after_the_month_is_put_aside(tmp_path: Path, sources: Sources) -> None:
    profiles = "subscriber_id,joined_on\nS1,2026-10-31\nS2,2026-11-01\n"
    assert take(tmp_path, sources, "subscribers", profiles).rows["subscriber_id"].to_list() == ["S1"]


def test_too_many_broken_rows_publish_nothing_and_name_the_worst_file_and_column(
    operator: Operator, config: Config
) -> None:
    operator.deliver("usage_months", usage(*(f"S{n},1,0,0" for n in range(20))))
    operator.collect("usage_months")
    operator.config = config
    good = [f"S{n},2,0,0" for n in range(90)]
    operator.deliver("usage_months", usage(*good[18:]), name="good.csv")
    operator.deliver("usage_months", usage(*good[:18], "T1,x,0,0", "T2,0,y,0", "T3,x,0,0"), name="part-1.csv")
    with pytest.raises(BadInput) as raised:
        operator.collect("usage_months")
    sentence = str(raised.value)
    assert "3 of 21 rows of part-1.csv" in sentence
    assert "column bill_yuan, which is not an amount in 2" in sentence
    assert "at most 5.0% may" in sentence
    assert operator.lake.manifest("usage_months", MONTH).rows == 20
    assert operator.rows("select rows_read from deliveries where is_current") == [(20,)]
    assert len(operator.quarantined("usage_months")) == 3


# ---------------------------------------------------------------- files that cannot be read


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "has no header"),
        ("a.csv", b"\n\n", "has no header"),
        ("a.csv", b"subscriber_id,data_mb\nS1,1\n", "has no column bill_yuan, which is required"),
        ("a.csv", b"subscriber_id,bill_yuan,bill_yuan\nS1,1,2\n", "column 'bill_yuan' twice"),
        ("a.csv", "订户,账单\nS1,1\n".encode("gbk"), "header that is not UTF-8"),
        ("a.csv", "subscriber_id,bill_yuan\n".encode("utf-16"), "is UTF-16"),
        ("a.csv", b'"subscriber_id,bill_yuan\nS1,1\n', "header that is not CSV"),
        ("a.csv", b"subscriber_id\0,bill_yuan\n", "NUL byte in its header"),
        ("a.csv.gz", gzip.compress(b"subscriber_id,bill_yuan\n" + b"S1,1\n" * 999, mtime=0)[:60], "cut off"),
        ("a.csv.gz", b"subscriber_id,bill_yuan\nS1,1\n", "cut off or no gzip file"),
        ("a.parquet", b"PAR1 not really", "cannot be read as Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_in_one_sentence(
    tmp_path: Path, sources: Sources, name: str, content: bytes, sentence: str
) -> None:
    with pytest.raises(BadInput, match=sentence) as raised:
        take(tmp_path, sources, "usage_months", content, name=name)
    assert name in str(raised.value)


def test_a_header_of_a_hundred_thousand_columns_is_borne(tmp_path: Path, sources: Sources) -> None:
    more = ",".join(f"c{n}" for n in range(100_000))
    content = f"subscriber_id,bill_yuan,{more}\nS1,1,{',' * 99_999}\n"
    assert take(tmp_path, sources, "usage_months", content).rows.height == 1


@pytest.mark.parametrize("folder", ["month=2026-13", "day=2026-10-03", "month=October", "week=40"])
def test_a_misnamed_folder_is_refused_rather_than_overlooked(operator: Operator, folder: str) -> None:
    (operator.landing / "usage_months" / folder).mkdir(parents=True)
    with pytest.raises(BadInput, match=folder):
        operator.plan()


def test_collecting_what_was_not_delivered_says_what_to_deliver(operator: Operator) -> None:
    with pytest.raises(NotReady, match="No files in churned/month=2026-10"):
        operator.collect("churned")
    with pytest.raises(BadInput, match="is no feed"):
        operator.collect("invoices")
    with pytest.raises(BadInput, match="names no period"):
        operator.collect("churned", "2026-1")


def test_files_of_unknown_kinds_are_named_in_the_result(operator: Operator) -> None:
    operator.deliver("usage_months", usage("S1,1,1,1"))
    operator.deliver("usage_months", b"PK", name="copy.xlsx")
    operator.deliver("usage_months", b"", name=".hidden.csv")
    result = operator.collect("usage_months")
    assert result["ignored_files"] == ["copy.xlsx"]


# ---------------------------------------------------------------- known, changed, repeated deliveries


def test_a_known_delivery_is_neither_planned_nor_collected_again(operator: Operator) -> None:
    path = operator.deliver("usage_months", usage("S1,1,1,1"))
    assert operator.plan() == ["usage_months 2026-10"]
    first = operator.collect("usage_months")
    written = operator.lake.manifest("usage_months", MONTH)
    path.touch()
    assert operator.plan() == []
    again = operator.collect("usage_months")
    assert first["is_new"] is True
    assert again == {**first, "is_new": False}
    assert operator.lake.manifest("usage_months", MONTH) == written
    assert operator.rows("select count(*) from deliveries") == [(1,)]


def test_a_changed_delivery_replaces_the_month_and_keeps_its_history(operator: Operator) -> None:
    operator.deliver("usage_months", usage("S1,1,1,1", "S2,1,1,1"))
    operator.collect("usage_months")
    operator.deliver("usage_months", usage("S1,9,1,1"))
    assert operator.plan() == ["usage_months 2026-10"]
    operator.collect("usage_months")
    assert operator.lake.scan("usage_months", MONTH).collect()["bill_yuan"].to_list() == [Decimal("9.0000")]
    history = operator.rows("select rows_read, is_current from deliveries order by delivery_id")
    assert history == [(2, False), (1, True)]


def test_another_declaration_of_a_feed_collects_its_files_again(operator: Operator) -> None:
    operator.deliver("usage_months", "subscriber_id,bill_yuan,onnet_minutes\nS1,1,7\n")
    operator.collect("usage_months")
    assert "onnet_minutes" not in operator.lake.scan("usage_months", MONTH).collect_schema()
    raw = operator.config.sources.model_dump()
    raw["feeds"]["usage_months"]["columns"]["onnet_minutes"] = {"type": "number"}
    operator.config = replace(operator.config, sources=Sources.model_validate(raw))
    assert operator.plan() == ["usage_months 2026-10"]
    operator.collect("usage_months")
    assert operator.lake.scan("usage_months", MONTH).collect()["onnet_minutes"].to_list() == [7.0]


def test_a_day_replaces_only_its_day(operator: Operator) -> None:
    header = "subscriber_id,occurred_at,kind\n"
    for day in ("2026-10-03", "2026-10-04"):
        operator.deliver("subscriber_changes", f"{header}S1,{day}T10:00:00,joined\n", period=day)
        operator.collect("subscriber_changes", day)
    operator.deliver("subscriber_changes", f"{header}S9,2026-10-03T11:00:00,left\n", period="2026-10-03")
    assert operator.plan() == ["subscriber_changes 2026-10-03"]
    operator.collect("subscriber_changes", "2026-10-03")
    found = operator.lake.scan("subscriber_changes", MONTH).collect().sort("occurred_at")
    assert found["subscriber_id"].to_list() == ["S9", "S1"]
    assert operator.plan() == []


def test_a_whole_month_takes_the_place_of_its_days(operator: Operator) -> None:
    header = "subscriber_id,occurred_at,kind\n"
    operator.deliver("subscriber_changes", f"{header}S1,2026-10-03T10:00:00,left\n", period="2026-10-03")
    operator.collect("subscriber_changes", "2026-10-03")
    operator.deliver("subscriber_changes", f"{header}S2,2026-10-03T10:00:00,left\n")
    assert operator.plan() == ["subscriber_changes 2026-10"]
    operator.collect("subscriber_changes")
    found = operator.lake.scan("subscriber_changes", MONTH).collect()
    assert found["subscriber_id"].to_list() == ["S2"]
    assert operator.rows("select period from deliveries where is_current") == [("2026-10",)]
    assert operator.collect("subscriber_changes", "2026-10-03")["covered_by"] == "2026-10"
    assert operator.plan() == []


def test_only_deliveries_begun_before_as_of_are_planned(operator: Operator) -> None:
    operator.deliver("churned", "subscriber_id,churned_on\n")
    operator.deliver("churned", "subscriber_id,churned_on\n", period="2026-11")
    operator.deliver("churned", "subscriber_id,churned_on\n", period="2026-12")
    header = "subscriber_id,occurred_at,kind\n"
    operator.deliver("subscriber_changes", header, period="2026-11-05")
    operator.deliver("subscriber_changes", header, period="2026-11-06")
    assert operator.plan() == ["churned 2026-10", "churned 2026-11", "subscriber_changes 2026-11-05"]


def test_a_delivery_changed_while_it_is_read_is_not_published(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    operator.deliver("usage_months", usage("S1,1,1,1"))

    def write_meanwhile(*given: Any) -> Any:
        parts = publisher.write_parts(*given)
        operator.deliver("usage_months", usage("S1,1,1,1", "S2,2,2,2"))
        return parts

    monkeypatch.setattr(collection, "write_parts", write_meanwhile)
    with pytest.raises(NotReady, match="changed while it was read"):
        operator.collect("usage_months")
    assert not operator.lake.has("usage_months", MONTH)


@pytest.mark.parametrize("killed_in", ["write_quarantine", "write_parts", "publish", "record"])
def test_a_collector_killed_anywhere_is_repaired_by_the_next_run(
    operator: Operator, monkeypatch: pytest.MonkeyPatch, killed_in: str
) -> None:
    operator.deliver("subscribers", "subscriber_id,joined_on,msisdn\nS1,2024-01-01,13800000001\nS2,x,\n")
    with monkeypatch.context() as killing:
        killing.setattr(collection, killed_in, _die)
        with pytest.raises(KeyboardInterrupt):
            operator.collect("subscribers")
    assert operator.rows("select count(*) from deliveries") == [(0,)]
    assert operator.plan() == ["subscribers 2026-10"]
    assert operator.collect("subscribers")["rows_out"] == 1
    assert operator.lake.scan("subscribers", MONTH).collect()["subscriber_id"].to_list() == ["S1"]
    assert operator.lake.scan("contacts", MONTH).collect()["msisdn"].to_list() == ["13800000001"]
    assert len(operator.quarantined("subscribers")) == 1
    assert operator.rows("select rows_read, is_current from deliveries") == [(2, True)]
    assert operator.plan() == []


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_lost_lake_is_collected_again_though_the_database_knows_the_files(operator: Operator) -> None:
    operator.deliver("usage_months", usage("S1,1,1,1"))
    operator.collect("usage_months")
    shutil.rmtree(operator.lake.root / "usage_months")
    assert operator.plan() == ["usage_months 2026-10"]
    assert operator.collect("usage_months")["is_new"] is True
    assert operator.lake.manifest("usage_months", MONTH).rows == 1
    assert operator.rows("select count(*) from deliveries where is_current") == [(1,)]


def test_two_collectors_of_one_delivery_leave_one_current_row(
    operator: Operator, role_url: Callable[[str], str]
) -> None:
    operator.deliver("usage_months", usage(*(f"S{n},{n},0,0" for n in range(500))))
    pool = engine(role_url("churn_loop"))
    barrier, results = threading.Barrier(2), []

    def work() -> None:
        with pool.connect() as connection:
            colleague = Operator(operator.landing, connection, operator.lake, operator.config)
            barrier.wait()
            results.append(colleague.collect("usage_months"))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.dispose()
    assert [result["rows_out"] for result in results] == [500, 500]
    assert operator.rows("select count(*), count(*) filter (where is_current) from deliveries") == [(1, 1)]
    assert operator.lake.scan("usage_months", MONTH).collect().height == 500


def test_nothing_of_the_work_is_left_beside_the_tables(operator: Operator) -> None:
    operator.deliver("usage_months", usage("S1,1,1,1"))
    operator.collect("usage_months")
    assert sorted(path.name for path in operator.lake.root.iterdir()) == ["lake.json", "usage_months"]


# ---------------------------------------------------------------- report


def test_the_report_names_missing_feeds_and_columns_once(operator: Operator) -> None:
    operator.deliver("usage_months", "subscriber_id,bill_yuan,onnet_minutes\nS1,1,7\nS2,1,7\n")
    operator.deliver("subscribers", "subscriber_id,joined_on\nS1,2024-01-01\n")
    operator.collect("usage_months")
    operator.collect("subscribers")
    report = operator.report()
    assert report["missing_feeds"] == [
        "service_events",
        "market_events",
        "subscriber_changes",
        "contact_limits",
        "churned",
    ]
    first = "feed service_events was not delivered for 2026-10; its factors are left out"
    assert report["notes"][0] == first
    assert "data_mb" in report["missing_columns"]["usage_months"]
    assert report["ignored_columns"] == {"usage_months": ["onnet_minutes"]}
    assert report["usage_without_profile"] == 1
    assert (report["rows_in"], report["rows_out"], report["quarantined"]) == (3, 3, 0)
    assert sum("onnet_minutes" in note for note in report["notes"]) == 1


def test_total_rows_are_usage_without_a_profile_and_told_as_such(operator: Operator) -> None:
    totals = ("合计", "总计：", "全省合計", "小计(户)", "TOTAL", "Grand Total", "sub-total", "Sum", "汇总")
    operator.deliver("usage_months", usage("S1,1,1,1", "S2,1,1,1", *(f"{name},2,2,2" for name in totals)))
    operator.deliver("subscribers", "subscriber_id,joined_on\nS1,2024-01-01\n")
    operator.collect("usage_months")
    operator.collect("subscribers")
    report = operator.report()
    assert (report["rows_in"], report["rows_out"], report["usage_without_profile"]) == (12, 12, 10)
    told = [note for note in report["notes"] if "profile row" in note or "total row" in note]
    assert told == [
        "10 subscribers of usage_months 2026-10 have no profile row; they are kept, and nobody is warned of them",
        "usage_months 2026-10 holds what looks like a total row (grandtotal, subtotal, sum, total, 合計, 合计, 小计, "
        "总计, 汇总); it is nobody's usage",
    ]


def test_an_id_that_only_resembles_a_total_is_not_told_as_one(operator: Operator) -> None:
    ids = ("TOTAL1", "Summer", "13800000001", "S_sum", "计")
    operator.deliver("usage_months", usage("S1,1,1,1", *(f"{name},1,1,1" for name in ids)))
    operator.deliver("subscribers", "subscriber_id,joined_on\nS1,2024-01-01\n")
    operator.collect("usage_months")
    operator.collect("subscribers")
    report = operator.report()
    assert report["usage_without_profile"] == len(ids)
    assert [note for note in report["notes"] if "total row" in note] == []


@pytest.mark.parametrize("absent", ["usage_months", "subscribers"])
def test_without_a_required_feed_the_report_says_what_to_deliver(operator: Operator, absent: str) -> None:
    contents = {
        "usage_months": usage("S1,1,1,1"),
        "subscribers": "subscriber_id,joined_on\nS1,2024-01-01\n",
    }
    for feed in contents.keys() - {absent}:
        operator.deliver(feed, contents[feed])
        operator.collect(feed)
    with pytest.raises(NotReady) as raised:
        operator.report()
    assert str(raised.value) == f"No {absent} rows for 2026-10. Deliver {absent}/month=2026-10 first."


# ---------------------------------------------------------------- whatever the file

CELLS = st.one_of(
    st.sampled_from(["", " ", "S1", "S2", "3.0000", "-1", "nan", "1e999", "x", "2026-10-03", "=1+1", "转网"]),
    st.sampled_from(['"', '""', '"a', 'a"b', "a,b", '"a,b"', '"a\nb"', "\0", "\r", "\ufeff", "\u2028"]),
    st.text(max_size=6),
)
LINES = st.one_of(
    st.lists(CELLS, min_size=4, max_size=4).map(",".join),
    st.lists(CELLS, max_size=6).map(",".join),
    st.sampled_from(["S1,1,1,1", "S2,2,2,2", "S3,3,3,3", "S1,9,9,9"]),
)


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lines=st.lists(LINES, max_size=12),
    flips=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=3),
)
def test_whatever_the_lines_read_is_accepted_plus_quarantined(
    tmp_path: Path, sources: Sources, lines: list[str], flips: list[tuple[int, int]]
) -> None:
    content = bytearray(usage(*lines).encode("utf-8", "surrogatepass"))
    for position, byte in flips:
        content[position % len(content)] = byte
    with suppress(LoopError):
        take(tmp_path / "any", sources, "usage_months", bytes(content))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(LINES, max_size=12), size=st.integers(1, 64))
def test_where_a_block_ends_changes_nothing(
    tmp_path: Path, sources: Sources, lines: list[str], size: int
) -> None:
    content = usage(*lines).encode("utf-8", "surrogatepass")
    whole = take(tmp_path / "any", sources, "usage_months", content)
    with pytest.MonkeyPatch.context() as small:
        small.setattr("include.stages.collection.reader.delimited.BLOCK_BYTES", size)
        pieces = take(tmp_path / "any", sources, "usage_months", content)
    assert pieces.rows.equals(whole.rows)
    assert pieces.quarantined.sort("line").equals(whole.quarantined.sort("line"))


def test_a_new_lake_is_laid_out_for_the_subscribers_delivered(tmp_path: Path, config: Config) -> None:
    landing = tmp_path / "landing"
    folder = landing / "subscribers" / "month=2026-10"
    folder.mkdir(parents=True)
    (folder / "part-1.csv").write_bytes(b"subscriber_id,joined_on\n" + b"S1,2020-01-01\n" * 600_000)
    assert collection.open_lake(tmp_path / "lake", landing, config).shards == 2
    assert collection.open_lake(tmp_path / "lake", tmp_path, config).shards == 2  # it stands: nothing is read
