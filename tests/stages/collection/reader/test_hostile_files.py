"""Hostile files end as designed: in quarantine or refused in one sentence, with every row counted."""

import gzip
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from include.config import Config
from include.config.readers.sources import Sources
from include.domain.errors import BadInput
from include.stages.collection import open_lake, reader
from tests.stages.collection.fuzz_collection import fuzz
from tests.stages.collection.test_collection import MONTH, Operator, operator, sources, take, usage

__all__ = ["operator", "sources"]


@pytest.mark.slow
def test_mutated_files_raise_no_traceback_and_lose_no_row(tmp_path: Path, sources: Sources) -> None:
    """Some files with a fixed seed; `python -m tests.stages.collection.fuzz_collection` makes thousands."""
    counted = fuzz(120, 7, sources, tmp_path / "any")
    assert counted["refused"] + counted["with quarantine"] + counted["whole"] == 120
    # guards against a fuzz that only ever makes files nobody reads
    assert min(counted["refused"], counted["with quarantine"], counted["whole"]) > 2


def test_a_panic_of_the_reader_is_told_like_any_damaged_file(tmp_path: Path) -> None:
    told = pytest.raises(BadInput, match=r"a\.parquet cannot be read as Parquet: invalid num_bits")
    with told, reader._told_as_bad_input(tmp_path / "a.parquet"):
        raise pl.exceptions.PanicException("invalid num_bits 121")


def test_formula_cells_stay_text_and_are_no_numbers(tmp_path: Path, sources: Sources) -> None:
    formula = "=cmd|'/c'!A1"
    found = take(tmp_path, sources, "usage_months", usage(f"{formula},1,1,1", "S2,=1+1,1,1", "S3,+3,1,1"))
    assert found.rows["subscriber_id"].to_list() == [formula, "S3"]
    assert found.quarantined["reason"].to_list() == ["is not an amount"]


def test_a_third_of_broken_rows_stops_the_delivery(operator: Operator, config: Config) -> None:
    operator.config = config
    rows = [f"S{n},{'x' if n % 10 < 3 else 1},1,1" for n in range(100)]
    operator.deliver("usage_months", usage(*rows))
    with pytest.raises(BadInput, match=r"30 of 100 rows of part-1\.csv break the contract \(30\.0%"):
        operator.collect("usage_months")
    assert not operator.lake.has("usage_months", MONTH)


def test_a_month_in_the_wrong_folder_is_put_aside_whole(tmp_path: Path, sources: Sources) -> None:
    rows = "".join(f"S{n},2026-09-{n:02d}\n" for n in range(1, 21))
    found = take(tmp_path, sources, "churned", f"subscriber_id,churned_on\n{rows}")
    assert (found.rows.height, found.quarantined.height) == (0, 20)
    assert set(found.quarantined["reason"]) == {"lies outside 2026-10-01 to 2026-10-31"}


def test_kinds_nobody_knows_are_put_aside(tmp_path: Path, sources: Sources) -> None:
    header = "event_id,subscriber_id,occurred_at,kind\n"
    lines = "E1,S1,2026-10-03T10:00:00,praise\nE2,S1,2026-10-03T10:00:00,Complaint\n"
    found = take(tmp_path, sources, "service_events", header + lines)
    assert found.rows["event_id"].to_list() == ["E2"]
    assert found.quarantined["column"].to_list() == ["kind"]


def test_nul_bytes_newlines_and_crlf_in_one_file_are_told_by_their_lines(
    tmp_path: Path, sources: Sources
) -> None:
    header = b"\xef\xbb\xbfevent_id,subscriber_id,occurred_at,kind,text\r\n"
    rows = [
        b'E1,S1,2026-10-03T10:00:00,complaint,"a\r\nb"\r\n',
        b"E2,S1,2026-10-03T10:00:00,complaint,c\0d\r\n",
        b"E3,S1,2026-10-03T10:00:00,complaint,e\r\n",
    ]
    found = take(tmp_path, sources, "service_events", header + b"".join(rows))
    assert found.rows["event_id"].to_list() == ["E1", "E3"]
    assert found.quarantined.select("line", "reason").rows() == [(4, "holds a NUL byte")]


def test_a_gz_cut_anywhere_publishes_nothing(tmp_path: Path, sources: Sources) -> None:
    whole = gzip.compress(usage(*(f"S{n},{n},1,1" for n in range(400))).encode())
    for kept in (1, 9, 11, len(whole) // 2, len(whole) - 9, len(whole) - 1):
        with pytest.raises(BadInput, match="cut off or no gzip file"):
            take(tmp_path, sources, "usage_months", whole[:kept], name="a.csv.gz")


@pytest.mark.parametrize("cells", [[[1.0], [2.0]], [{"yuan": 1}, {"yuan": 2}], [b"\xff", b"\xfe"]])
def test_parquet_cells_that_are_no_values_are_never_accepted(
    tmp_path: Path, sources: Sources, cells: list[object]
) -> None:
    pl.DataFrame({"subscriber_id": ["S1", "S2"], "bill_yuan": cells}).write_parquet(tmp_path / "odd.parquet")
    content = (tmp_path / "odd.parquet").read_bytes()
    with suppress(BadInput):
        found = take(tmp_path / "any", sources, "usage_months", content, name="a.parquet")
        assert (found.rows.height, found.quarantined.height) == (0, 2)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz"])
def test_a_damaged_profile_is_told_by_collection_and_not_by_laying_out_the_lake(
    operator: Operator, tmp_path: Path, name: str
) -> None:
    operator.deliver("subscribers", b"PAR1 not really", name=name)
    assert open_lake(tmp_path / "first", operator.landing, operator.config).shards == 1
    with pytest.raises(BadInput, match="Deliver it again"):
        operator.collect("subscribers")


@pytest.mark.parametrize("sign", [" ", "\t", "\x0b", "\u3000", "\u00a0"])
def test_space_around_cells_is_no_part_of_them_whatever_kind_it_is(
    tmp_path: Path, sources: Sources, sign: str
) -> None:
    plain = take(tmp_path / "plain", sources, "usage_months", usage("S1,1,1,1", "S2,,1,2"))
    spaced = usage(f"{sign}S1,1{sign},1,1", f"S2,{sign},1,2")
    assert take(tmp_path / "spaced", sources, "usage_months", spaced).rows.equals(plain.rows)


def test_a_repeated_row_is_put_aside_with_its_own_text_from_whichever_file(
    tmp_path: Path, operator: Operator
) -> None:
    operator.deliver("usage_months", usage("S1, 1,1,1", "S2,2,1,1"), name="a.csv")
    operator.deliver("usage_months", usage("S3,3,1,1", "S1,1 ,1,1", "S2,9,1,1"), name="b.csv")
    operator.collect("usage_months")
    assert [(row[0], row[1], row[4]) for row in operator.quarantined("usage_months")] == [
        ("a.csv", 3, "S2,2,1,1"),
        ("b.csv", 3, "S1,1 ,1,1"),
        ("b.csv", 4, "S2,9,1,1"),
    ]
    assert operator.lake.scan("usage_months", MONTH).collect()["subscriber_id"].to_list() == ["S1", "S3"]
