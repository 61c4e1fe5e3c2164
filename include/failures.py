"""What disk, object store, Polars or database refuse, as one sentence a person can act on; what is a bug stays one."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from include.domain.errors import LoopError, NotReady

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
AGAIN = "Then run the same command again: what is done is not done twice."


@contextmanager
def told_plainly() -> Iterator[None]:
    """Raise NotReady in place of what the machinery refuses; what the loop itself refuses passes as it is."""
    try:
        yield
    except LoopError:
        raise
    except BaseException as error:  # a panic of Polars is none of the common ones
        sentence = sentence_of(error)
        if sentence is None:
            raise
        raise NotReady(sentence) from error


def sentence_of(error: BaseException) -> str | None:
    """The sentence for an error of disk, object store, Polars or database; None for any other."""
    import polars as pl  # here: DAG files come by, which may load nothing heavy

    if cause := _of_database(error):
        return f"The database failed: {cause}. {AGAIN}"
    if isinstance(error, OSError) or (isinstance(error, pl.exceptions.ComputeError) and _number(error)):
        return f"{_of_disk(error)} {AGAIN}"
    is_unreadable = isinstance(error, pl.exceptions.ComputeError) and "parquet" in str(error)
    if is_unreadable or isinstance(error, pl.exceptions.PanicException):
        cause = " ".join(str(error).split())[:200]
        return f"A file of the lake cannot be read ({cause}). Run `python -m include.lake verify`, which names it."
    return None


def _of_database(error: BaseException) -> str | None:
    """The first line of what a database says that does not answer; the lines after it may quote rows."""
    import psycopg2
    from sqlalchemy import exc

    original = getattr(error, "orig", None) or error
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError) or isinstance(
        original, psycopg2.OperationalError | psycopg2.InterfaceError
    ):
        return next(iter(str(original).strip().splitlines()), type(original).__name__)
    return None


def _number(error: BaseException) -> int | None:
    from include.lake.folder import error_number

    return error_number(error)


def _of_disk(error: BaseException) -> str:
    number = _number(error)
    cause = os.strerror(number) if number else " ".join(str(error).split())
    file = getattr(error, "filename", None)
    if not file and number not in _NO_ROOM:
        return f"{cause}. Mend that."
    return f"{cause}{f': {file}' if file else ''}. Mend the folder or free its disk."
