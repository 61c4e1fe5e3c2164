"""People are who they are in every feed: one writing of an id, numbers that can be dialled, words for nothing."""

import csv
import io
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from include.config import Config
from include.config.readers.dialects import NULLS
from include.config.readers.sources import Known, Sources
from include.domain.errors import BadInput
from include.domain.text.canonical import canonical_id, canonical_phone
from include.lake import Lake
from include.stages.collection.validator import values
from tests.fixtures import deliveries
from tests.fixtures.writings import WRITINGS
from tests.stages.collection.test_collection import MONTH, Operator, operator, sources, take
from tests.stages.collection.validator.test_dialects import spoken, taken

__all__ = ["operator", "sources"]
FEEDS = ("subscribers", "usage_months", "service_events", "subscriber_changes", "contact_limits", "churned")
ANY_FOLDER = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25
)


def content(rows: list[dict[str, str]]) -> str:
    made = io.StringIO()
    written = csv.DictWriter(made, list(rows[0]), lineterminator="\n")
    written.writeheader()
    written.writerows(rows)
    return made.getvalue()


# ---------------------------------------------------------------- ids


@given(texts=st.lists(st.text(max_size=12) | st.from_regex(r"[0-9eE.+\-]{1,9}", fullmatch=True), max_size=20))
def test_a_column_is_made_canonical_as_each_of_its_ids_is(texts: list[str]) -> None:
    def one(text: str) -> str | None:
        try:
            return canonical_id(text) or None
        except BadInput:
            return None

    wanted = [None if text is None or "\0" in (one(text) or "") else one(text) for text in texts]
    series = pl.Series("id", texts, dtype=pl.String)
    # an empty cell is no cell: reading makes it null before
    assert values.canonical_ids(series.replace("", None)).to_list() == wanted
    phones = [canonical_phone(text) for text in texts]
    assert values.canonical_phones(series).to_list() == phones


@ANY_FOLDER
@given(ways=st.lists(st.sampled_from(sorted(WRITINGS)), min_size=4, max_size=4), feed=st.sampled_from(FEEDS))
def test_a_feed_holds_the_same_people_however_its_ids_are_written(
    tmp_path: Path, sources: Sources, ways: list[str], feed: str
) -> None:
    rows = deliveries.province()[feed]
    names = [name for name in rows[0] if name in ("subscriber_id", "event_id")]
    other = [
        row | {name: WRITINGS[ways[nth % 4]](row[name]) for name in names} for nth, row in enumerate(rows)
    ]
    plain = take(tmp_path / "plain", sources, feed, content(rows))
    found = take(tmp_path / "other", sources, feed, content(other))
    assert found.rows.equals(plain.rows)
    assert found.quarantined.height == 0


@pytest.mark.parametrize("written", ["1.38E+10", "1.38e+10", "１．３８Ｅ＋１０", "1.3800000005E10"])
def test_scientific_notation_is_put_aside_with_its_line(
    tmp_path: Path, sources: Sources, written: str
) -> None:
    found = take(tmp_path, sources, "usage_months", f"subscriber_id,bill_yuan\n13800000003,1\n{written},2\n")
    assert found.rows["subscriber_id"].to_list() == ["13800000003"]
    told = found.quarantined.select("line", "column", "reason").rows()
    assert told == [(3, "subscriber_id", "is a number whose last digits are lost")]


def test_floats_of_parquet_and_of_a_database_are_ids(tmp_path: Path, sources: Sources) -> None:
    frame = pl.DataFrame({"subscriber_id": [13800000003.0, 7.0], "bill_yuan": [1.0, 2.0]})
    frame.write_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    found = take(tmp_path / "any", sources, "usage_months", whole, name="a.parquet")
    assert found.rows["subscriber_id"].to_list() == ["13800000003", "7"]


def test_capitals_tell_ids_apart_in_a_feed(tmp_path: Path, sources: Sources) -> None:
    found = take(tmp_path, sources, "usage_months", "subscriber_id,bill_yuan\ns1,1\nS1,2\n")
    assert found.rows["subscriber_id"].to_list() == ["S1", "s1"]


def test_one_person_written_twice_is_told_as_a_conflict(tmp_path: Path, sources: Sources) -> None:
    found = take(tmp_path, sources, "usage_months", "subscriber_id,bill_yuan\nS1,1\nＳ１,2\nS2,3\nS2.0,3\n")
    assert found.rows["subscriber_id"].to_list() == ["S2"]
    assert sorted(found.quarantined["reason"]) == ["conflicts with another row"] * 2 + ["repeats a row"]


def test_columns_declared_as_text_before_there_were_ids_are_ids(raw_sources: Any) -> None:
    raw_sources["feeds"]["churned"]["columns"]["subscriber_id"]["type"] = "text"
    raw_sources["feeds"]["subscribers"]["columns"]["msisdn"]["type"] = "text"
    read = Sources.model_validate(raw_sources)
    assert read.feeds["churned"].columns["subscriber_id"].type == "id"
    assert read.feeds["subscribers"].columns["msisdn"].type == "phone"


@pytest.fixture
def raw_sources(sources: Sources) -> Any:
    return sources.model_dump()


# ---------------------------------------------------------------- numbers to call


def test_a_number_that_cannot_be_read_goes_and_its_person_stays(operator: Operator) -> None:
    written = ["1.38E+10", "13800000001.0", r"\N", "未知", "13800000001;13900000002", "+86 138-0000-0006", ""]
    rows = [f"S{nth},2024-01-01,{text}" for nth, text in enumerate(written, start=1)]
    operator.deliver("subscribers", "\n".join(["subscriber_id,joined_on,msisdn", *rows, ""]))
    assert operator.collect("subscribers")["quarantined"] == 0
    contacts = operator.lake.scan("contacts", MONTH).collect().rows()
    assert contacts == [("S2", "13800000001"), ("S6", "13800000006")]
    assert operator.lake.scan("subscribers", MONTH).collect().height == 7
    told = operator.rows("select file, column_name, reason, rows, first_line from cleared_values")
    assert told == [("part-1.csv", "msisdn", "is no telephone number", 3, 2)]
    operator.deliver("usage_months", "subscriber_id,bill_yuan\nS1,1\n")
    operator.collect("usage_months")
    report = operator.report()
    assert report["values_not_taken"] == 3
    assert any("3 values of subscribers 2026-10 were not taken" in note for note in report["notes"])


# ---------------------------------------------------------------- words for nothing


@ANY_FOLDER
@given(word=st.sampled_from([word for word in NULLS if word]), data=st.data())
def test_a_word_for_nothing_is_nothing_in_every_column(
    tmp_path: Path, sources: Sources, word: str, data: st.DataObject
) -> None:
    feed = data.draw(st.sampled_from(FEEDS))
    declared = sources.feeds[feed]
    row = deliveries.province()[feed][0]
    name = data.draw(st.sampled_from(sorted(declared.columns)))
    with_word = take(tmp_path / "word", sources, feed, content([row | {name: f" {word}"}]))
    without = take(tmp_path / "none", sources, feed, content([row | {name: ""}]))
    assert with_word.rows.equals(without.rows)
    assert with_word.quarantined.drop("raw").equals(without.quarantined.drop("raw"))
    if not declared.columns[name].required:
        assert with_word.rows[name].to_list() == [None]


def test_a_dialect_names_its_own_words_for_nothing(tmp_path: Path, config: Config) -> None:
    rows, aside = taken(
        tmp_path,
        config.sources,
        "usage_months",
        "subscriber_id,bill_yuan,data_mb\nS1,1,-\nS2,2,NULL\n",
        nulls=["-"],
    )
    assert rows == [("S1", Decimal("1.0000"), None)]
    assert aside == [("data_mb", "is not a number")]


def test_a_word_for_nothing_that_is_a_code_is_refused(config: Config) -> None:
    with pytest.raises(ValueError, match="'None' of status as a code and as nothing"):
        spoken(config.sources, {"subscribers": {"codes": {"status": {"None": "active"}}}})


@pytest.mark.parametrize("written", ["\\N", "0", "-", "无"])
def test_a_customer_of_too_many_numbers_is_nobody(operator: Operator, written: str) -> None:
    rows = [f"S{nth},2024-01-01,{written if nth < 30 else f'C{nth // 2}'}" for nth in range(40)]
    operator.deliver("subscribers", "\n".join(["subscriber_id,joined_on,customer_id", *rows, ""]))
    operator.collect("subscribers")
    found = dict(
        operator.lake.scan("subscribers", MONTH).select("subscriber_id", "customer_id").collect().iter_rows()
    )
    assert {found[f"S{nth}"] for nth in range(30)} == {None}
    assert [found["S30"], found["S31"], found["S39"]] == ["C15", "C15", "C19"]
    told = operator.rows("select column_name, reason, rows from cleared_values")
    shared = [("customer_id", "is borne by more people than one customer can be", 30)]
    assert told == ([] if written == "\\N" else shared)


# ---------------------------------------------------------------- dates and numbers as Excel writes them


@pytest.mark.parametrize(
    ("written", "formats"),
    [
        ("2026/1/5", "%Y/%m/%d"), ("2026/01/05", "%Y/%m/%d"), ("2026/1/05", "%Y/%-m/%-d"),
        ("2026年1月5日", "%Y年%m月%d日"),
        ("5.1.2026", "%d.%m.%Y"), ("46027", "serial"), ("46027.0", "serial"), ("20260105", ["%Y/%m/%d", "%Y%m%d"]),
        ("2026/1/5", ["%Y%m%d", "%Y/%m/%d", "serial"]), ("2026/1/5 9:05", ["%Y-%m-%d", "%Y/%m/%d %H:%M"]),
    ],
)  # fmt: skip
def test_a_date_is_read_as_it_is_declared(tmp_path: Path, config: Config, written: str, formats: Any) -> None:
    rows, aside = taken(
        tmp_path,
        config.sources,
        "subscribers",
        f"subscriber_id,joined_on\nS1,{written}\n",
        date_format=formats,
    )
    assert (rows, aside) == ([("S1", date(2026, 1, 5))], [])


@pytest.mark.parametrize("written", ["2026/13/5", "2026/1/5/", "26/1/5", "46027.5", "2026/0/5", "2026-1-5"])
def test_what_no_format_reads_is_put_aside(tmp_path: Path, config: Config, written: str) -> None:
    rows, aside = taken(
        tmp_path, config.sources, "subscribers", f"subscriber_id,joined_on\nS1,{written}\n",
        date_format=["%Y/%m/%d", "serial"],
    )  # fmt: skip
    assert (rows, aside) == (
        [],
        [
            (
                "joined_on",
                "is not written as %Y/%m/%d or serial, or as more than one of them with different meanings",
            )
        ],
    )


def test_a_cell_two_formats_read_differently_is_not_guessed(tmp_path: Path, config: Config) -> None:
    rows, aside = taken(
        tmp_path, config.sources, "subscribers", "subscriber_id,joined_on\nS1,3/4/2026\nS2,13/4/2026\nS3,5/5/2026\n",
        date_format=["%d/%m/%Y", "%m/%d/%Y"],
    )  # fmt: skip
    assert rows == [("S2", date(2026, 4, 13)), ("S3", date(2026, 5, 5))]
    assert aside == [
        (
            "joined_on",
            "is not written as %d/%m/%Y or %m/%d/%Y, or as more than one of them with different meanings",
        )
    ]


def test_a_column_may_have_a_format_of_its_own(tmp_path: Path, config: Config) -> None:
    header, line = "subscriber_id,joined_on,contract_ends_on", "S1,2024/3/1,31.12.2026"
    rows, _ = taken(
        tmp_path, config.sources, "subscribers", f"{header}\n{line}\n",
        date_format="%Y/%m/%d", formats={"contract_ends_on": "%d.%m.%Y"},
    )  # fmt: skip
    assert rows == [("S1", date(2024, 3, 1), date(2026, 12, 31))]


@pytest.mark.parametrize(
    ("written", "formats", "hour"),
    [
        ("2026/10/5 9:05", "%Y/%m/%d %H:%M", 9), ("2026/10/5 下午 3:05", "%Y/%m/%d %p %I:%M", 15),
        ("2026/10/5 上午 9:05", "%Y/%m/%d %p %I:%M", 9), ("2026/10/5 下午 12:05", "%Y/%m/%d %p %I:%M", 12),
        ("2026/10/5 pm 3:05", "%Y/%m/%d %p %I:%M", 15), ("46300.378472222222", "serial", 9),
    ],
)  # fmt: skip
def test_an_instant_is_read_as_it_is_declared(
    tmp_path: Path, config: Config, written: str, formats: str, hour: int
) -> None:
    text = f"subscriber_id,occurred_at,kind\nS1,{written},joined\n"
    rows, aside = taken(tmp_path, config.sources, "subscriber_changes", text, instant_format=formats)
    assert aside == []
    assert rows[0][1] == datetime(2026, 10, 5, hour - 8, 5, tzinfo=UTC)


@pytest.mark.parametrize("formats", ["%H:%M", "%Y/%m/%d %p %H:%M", "%Y%m%d%Q", "%Y/%m/%d %z", []])
def test_a_format_that_cannot_be_meant_is_refused(config: Config, formats: Any) -> None:
    with pytest.raises(ValueError, match="format"):
        spoken(config.sources, {"churned": {"date_format": formats}})


def test_thousands_and_currency_signs_are_no_part_of_a_number(tmp_path: Path, config: Config) -> None:
    lines = [
        'S1,"¥1,234.50","1,024"',
        'S2,"-2,000,000元","12"',
        'S3,"1,23","1"',
        'S4,"1234.5","1,0"',
        "S5,1元5,1",
    ]
    rows, aside = taken(
        tmp_path, config.sources, "usage_months", "\n".join(["subscriber_id,bill_yuan,sms_count", *lines, ""]),
        thousands=",", currency=["¥", "元"],
    )  # fmt: skip
    assert rows == [("S1", Decimal("1234.5000"), 1024), ("S2", Decimal("-2000000.0000"), 12)]
    assert aside == [
        ("bill_yuan", "is not an amount"), ("sms_count", "is not a whole number"), ("bill_yuan", "is not an amount"),
    ]  # fmt: skip


@pytest.mark.parametrize("sign", ["，", "\u00a0", "\u202f", "'", "·"])
def test_any_sign_may_group_thousands(tmp_path: Path, config: Config, sign: str) -> None:
    rows, aside = taken(
        tmp_path,
        config.sources,
        "usage_months",
        f"subscriber_id,bill_yuan\nS1,1{sign}234.5\n",
        thousands=sign,
    )
    assert (rows, aside) == ([("S1", Decimal("1234.5000"))], [])


@pytest.mark.parametrize("sign", ["1", ".", "-", " "])
def test_what_may_be_part_of_a_number_is_no_sign_of_a_currency(config: Config, sign: str) -> None:
    with pytest.raises(ValueError, match="no sign of a currency"):
        spoken(config.sources, {"usage_months": {"currency": [sign]}})


# ---------------------------------------------------------------- do the feeds name the same people?


def delivered(operator: Operator, **others: str) -> None:
    """Thirty people with profile and usage, and what the others feeds say of some of them."""
    ids = [f"1380000{nth:04d}" for nth in range(30)]
    operator.deliver(
        "subscribers", "".join(["subscriber_id,joined_on\n", *(f"{each},2020-01-01\n" for each in ids)])
    )
    operator.deliver("usage_months", "".join(["subscriber_id,bill_yuan\n", *(f"{each},9\n" for each in ids)]))
    for feed, text in others.items():
        operator.deliver(feed, text)
    for feed in ("subscribers", "usage_months", *others):
        operator.collect(feed)


def test_the_share_of_known_people_is_told_and_stored_by_feed_and_period(operator: Operator) -> None:
    limits = "subscriber_id,kind,valid_from\n13800000001,refused,2026-10-01\nX1,refused,2026-10-01\n"
    delivered(operator, contact_limits=limits)
    report = operator.report()
    assert report["known_ids"]["contact_limits"] == {"ids": 2, "known": 1, "share": 0.5}
    assert report["known_ids"]["usage_months"]["share"] == 1.0
    note = (
        "1 of 2 people in contact_limits are in no profile; they are kept, and hold as soon as the id appears. "
        "The unknown ids have 2 characters and 0% are digits alone; most of the profiles' have 11"
    )
    assert note in report["notes"]
    stored = operator.rows("select feed, period, ids, ids_known from deliveries order by feed")
    assert stored == [
        ("contact_limits", MONTH, 2, 1), ("subscribers", MONTH, 30, 30), ("usage_months", MONTH, 30, 30),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("write", "way"),
    [
        (lambda each: f"86{each}", "without the prefix 86"), (lambda each: f"+86{each}", "without the prefix 86"),
        (lambda each: f"000{each}", "without leading zeros"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("people", [1, 25])
def test_a_feed_that_writes_its_people_another_way_stops_the_collection(
    operator: Operator, write: Any, way: str, people: int
) -> None:
    rows = [f"{write(f'1380000{nth:04d}')},2026-10-10,port_out\n" for nth in range(people)]
    delivered(operator, churned="".join(["subscriber_id,churned_on,reason\n", *rows]))
    told = rf"churned of 2026-10: 0 of {people} people \(0\.0%\) are in any profile.*{people} of {people} .* {way}"
    for _ in range(2):  # it stops again until it is delivered otherwise
        with pytest.raises(BadInput, match=told):
            operator.report()
    operator.deliver("churned", "subscriber_id,churned_on,reason\n13800000001,2026-10-10,port_out\n")
    operator.collect("churned")
    assert operator.report()["known_ids"]["churned"]["share"] == 1.0


@pytest.mark.parametrize("feed", ["contact_limits", "churned", "subscriber_changes"])
@pytest.mark.parametrize(
    "other", ["8613800000001", "013800000001", "=13800000001", "13800000001,", "١٣٨٠٠٠٠٠٠٠١"]
)
def test_one_person_written_otherwise_among_others_is_one_too_many_where_it_is_grave(
    operator: Operator, feed: str, other: str
) -> None:
    rest = {
        "contact_limits": "refused,2026-10-01", "churned": "2026-10-10,port_out",
        "subscriber_changes": "2026-10-10T10:00:00+08:00,left",
    }[feed]  # fmt: skip
    header = {
        "contact_limits": "subscriber_id,kind,valid_from", "churned": "subscriber_id,churned_on,reason",
        "subscriber_changes": "subscriber_id,occurred_at,kind",
    }[feed]  # fmt: skip
    rows = [f'"{each}",{rest}' for each in (other, "13800000002", "13800000003")]
    delivered(operator, **{feed: "\n".join([header, *rows, ""])})
    with pytest.raises(
        BadInput, match=rf"{feed} of 2026-10: 2 of 3 people .*1 of 1 unknown ids looked at would be known"
    ):
        operator.report()


def test_what_parts_an_id_is_part_of_it_and_a_share_of_nothing_asks_nothing(
    operator: Operator, config: Config
) -> None:
    header, rest = "subscriber_id,kind,valid_from\n", ",refused,2026-10-01\n"
    delivered(operator, contact_limits=f"{header}1380000-0001{rest}13800000002{rest}")
    assert operator.report()["known_ids"]["contact_limits"]["known"] == 1
    operator.deliver("contact_limits", f"{header}8613800000001{rest}13800000002{rest}")
    limits = config.sources.feeds["contact_limits"].model_copy(update={"least_known": Known(share=0)})
    feeds = {**operator.config.sources.feeds, "contact_limits": limits}
    operator.config = replace(
        operator.config, sources=operator.config.sources.model_copy(update={"feeds": feeds})
    )
    operator.collect("contact_limits")
    assert operator.report()["known_ids"]["contact_limits"]["known"] == 1


def test_a_broken_row_of_a_refusal_stops_the_delivery_and_a_repeated_one_does_not(
    operator: Operator, config: Config
) -> None:
    operator.config = config
    header = "subscriber_id,kind,valid_from\n"
    for row in ("S1,refused,2026/10/10", "S1,拒绝,2026-10-10", "S1,refused", "1.38E+10,refused,2026-10-10"):
        operator.deliver("contact_limits", f"{header}S2,refused,2026-10-10\n{row}\n")
        with pytest.raises(
            BadInput, match=r"1 of 2 rows of part-1\.csv break the contract .* go on without it"
        ):
            operator.collect("contact_limits")
    operator.deliver("contact_limits", header + "S2,refused,2026-10-10\n" * 3)
    assert operator.collect("contact_limits")["rows_out"] == 1


@pytest.mark.parametrize("dtype", [pl.Float32, pl.Float64])
def test_a_float_that_has_lost_digits_is_no_id_and_no_number_to_call(
    tmp_path: Path, sources: Sources, dtype: Any
) -> None:
    value = 13800000005.0 if dtype is pl.Float32 else 2.0**53 + 2
    people = pl.DataFrame({"subscriber_id": ["S1"], "joined_on": ["2020-01-01"], "msisdn": [value]})
    people.with_columns(pl.col("msisdn").cast(dtype)).write_parquet(tmp_path / "people.parquet")
    found = take(
        tmp_path / "a", sources, "subscribers", (tmp_path / "people.parquet").read_bytes(), name="a.parquet"
    )
    assert found.rows["msisdn"].to_list() == [None]
    usage = pl.DataFrame({"subscriber_id": [value, 7.0], "bill_yuan": [1.0, 2.0], "data_mb": [value, 1.0]})
    usage.with_columns(pl.col("subscriber_id", "data_mb").cast(dtype)).write_parquet(
        tmp_path / "usage.parquet"
    )
    used = take(
        tmp_path / "b", sources, "usage_months", (tmp_path / "usage.parquet").read_bytes(), name="a.parquet"
    )
    assert used.rows["subscriber_id"].to_list() == ["7"]
    assert used.quarantined["reason"].to_list() == ["is a number whose last digits are lost"]


def test_a_profile_is_held_against_those_of_earlier_months(operator: Operator) -> None:
    ids = [f"8613800{nth:06d}" for nth in range(30)]
    before = "".join(["subscriber_id,joined_on\n", *(f"{each[2:]},2020-01-01\n" for each in ids)])
    operator.deliver("subscribers", before, period="2026-09")
    operator.deliver(
        "subscribers", "".join(["subscriber_id,joined_on\n", *(f"{each},2020-01-01\n" for each in ids)])
    )
    operator.deliver("usage_months", "subscriber_id,bill_yuan\n" + "".join(f"{each},9\n" for each in ids))
    for feed, period in (("subscribers", "2026-09"), ("subscribers", MONTH), ("usage_months", MONTH)):
        operator.collect(feed, period)
    with pytest.raises(
        BadInput, match=r"subscribers of 2026-10: 0 of 30 people .* an earlier profile.*prefix 86"
    ):
        operator.report()


def test_leavers_of_the_first_month_need_not_be_in_its_profile(operator: Operator) -> None:
    rows = [f"L{nth:03d},2026-10-10,closed\n" for nth in range(30)]
    delivered(operator, churned="".join(["subscriber_id,churned_on,reason\n", *rows]))
    assert operator.report()["known_ids"]["churned"] == {"ids": 30, "known": 0, "share": 0.0}


def test_who_has_just_joined_need_not_be_in_a_profile(operator: Operator) -> None:
    rows = [f"N{nth:03d},2026-10-10T10:00:00+08:00,joined\n" for nth in range(30)]
    delivered(operator, subscriber_changes="".join(["subscriber_id,occurred_at,kind\n", *rows]))
    assert operator.report()["known_ids"].get("subscriber_changes", {"ids": 0})["ids"] == 0


@pytest.mark.parametrize("shards", [1, 8])
def test_people_are_known_in_every_shard(tmp_path: Path, db: Connection, config: Config, shards: int) -> None:
    lake = Lake.create(tmp_path / "lake", shards * 500_000)
    operator = Operator(tmp_path / "landing", db, lake, replace(config))
    delivered(operator, contact_limits="subscriber_id,kind,valid_from\n8613800000001,refused,2026-10-01\n")
    with pytest.raises(BadInput, match="1 of 1 unknown ids looked at would be known without the prefix 86"):
        operator.report()


# ---------------------------------------------------------------- a province delivered twice


def test_a_province_whose_feeds_each_write_ids_another_way_is_the_same_lake(
    tmp_path: Path, db: Connection, config: Config
) -> None:
    def lake_of(ways: dict[str, str], name: str) -> dict[str, pl.DataFrame]:
        operator = Operator(tmp_path / name, db, Lake.create(tmp_path / f"{name}.lake"), config)
        for feed, rows in deliveries.province().items():
            ids = [key for key in rows[0] if key in ("subscriber_id", "event_id")]
            write = WRITINGS[ways.get(feed, "plain")]
            other = [row | {key: write(row[key]) for key in ids} for row in rows]
            operator.deliver(feed, content(other))
        for feed in deliveries.province():
            operator.collect(feed)
        operator.report()
        tables = (*deliveries.province(), "contacts")
        return {table: operator.lake.scan(table, MONTH).collect() for table in tables}

    plain = lake_of({}, "plain")
    others = sorted(WRITINGS)
    for turn in range(3):
        ways = {
            feed: others[(nth * 5 + turn * 4) % len(others)] for nth, feed in enumerate(deliveries.province())
        }
        for table, rows in lake_of(ways, f"turn {turn}").items():
            assert rows.equals(plain[table]), (table, ways)
