"""What the machinery refuses is one sentence; a mistake of the program keeps its traceback."""

import errno
from pathlib import Path

import polars as pl
import psycopg2
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from include.domain.errors import BadInput, NotReady
from include.failures import sentence_of, told_plainly
from include.lake.folder import writing

AGAIN = "Then run the same command again: what is done is not done twice."


def raised_by(path: Path) -> BaseException:
    with pytest.raises(pl.exceptions.ComputeError) as told:
        pl.read_parquet(path)
    return told.value


def test_what_the_disk_refuses_polars_is_told_with_the_file() -> None:
    with pytest.raises(OSError, match="No space left") as told, writing(Path("/dev/full")) as file:
        pl.DataFrame({"a": range(100_000)}).write_parquet(file)
    assert sentence_of(told.value) == (
        f"No space left on device: /dev/full. Mend the folder or free its disk. {AGAIN}"
    )


def test_the_disk_behind_an_error_of_polars_is_told_as_the_disk() -> None:
    with pytest.raises(pl.exceptions.ComputeError) as told:
        pl.DataFrame({"a": range(1000)}).write_parquet("/dev/full")
    assert sentence_of(told.value) == (f"No space left on device. Mend the folder or free its disk. {AGAIN}")


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more of it", b"PAR1" + bytes(40) + b"PAR1"])
def test_a_file_that_is_no_parquet_is_told_with_the_command_that_names_it(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    told = sentence_of(raised_by(tmp_path / "a.parquet"))
    assert told is not None
    assert told.startswith("A file of the lake cannot be read (parquet: ")
    assert told.endswith("Run `python -m include.lake verify`, which names it.")


@pytest.mark.parametrize(
    "error",
    [
        psycopg2.OperationalError("server closed the connection\nDETAIL: 13800000001"),
        psycopg2.InterfaceError("server closed the connection"),
        OperationalError("select 1", {}, psycopg2.OperationalError("server closed the connection\nand more")),
        sa.exc.TimeoutError("server closed the connection"),
    ],
)
def test_a_database_that_went_away_is_told_by_its_first_line_alone(error: Exception) -> None:
    assert sentence_of(error) == f"The database failed: server closed the connection. {AGAIN}"


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyboardInterrupt(), pl.exceptions.ColumnNotFoundError("bill"), KeyError("x")]
)
def test_a_mistake_of_the_program_is_no_sentence(error: BaseException) -> None:
    assert sentence_of(error) is None
    with pytest.raises(type(error)), told_plainly():
        raise error


def test_what_the_loop_refuses_passes_as_it_is() -> None:
    with pytest.raises(BadInput, match=r"^Deliver it again$"), told_plainly():
        raise BadInput("Deliver it again")


def test_the_cause_is_kept_for_who_looks_for_it() -> None:
    gone = OSError(errno.EIO, "Input/output error", "/lake/a")
    with pytest.raises(NotReady) as told, told_plainly():
        raise gone
    assert told.value.__cause__ is gone
