"""The operations database: engines with least privilege, revisions, and locks by name."""

import hashlib
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg2
import psycopg2.sql
import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from include.database import revisions
from include.database.server_log import told_of_loud
from include.domain.errors import BadInput, NotReady

VERSION_TABLE = "churn_revision"
LOOP_ROLE = "churn_loop"
DESK_ROLE = "churn_desk"
_UPGRADE_LOCK = 7_203_114_998_011
_COPY_BYTES = 256 * 1024
_DATA_EXCEPTION = "22"
_NO_RIGHT = "42501"


def driver_url(url: str) -> sa.URL:
    """Any `postgres://` or `postgresql://` URL with the driver the project ships (psycopg2)."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgres", "postgresql"):
        raise BadInput(
            f"'{scheme}' is not a PostgreSQL URL. Write postgresql://user:password@host:port/database."
        )
    return sa.make_url(f"postgresql+psycopg2://{rest}")


def engine(url: str, role: str | None = LOOP_ROLE, **options: Any) -> sa.Engine:
    """An engine whose every connection works with the rights of `role` and no more.

    `role=None` keeps the rights of the login itself (revisions need them). Errors name the statement, never
    its values: those are people's, and errors end in logs.
    """
    options.setdefault("hide_parameters", True)
    options.setdefault("pool_pre_ping", True)
    made = sa.create_engine(driver_url(url), **options)
    sa.event.listen(made, "handle_error", _without_values)
    if role is not None:
        sa.event.listen(made, "connect", lambda connection, _record: _take_role(connection, role))
    return made


def _without_values(failed: sa.engine.ExceptionContext) -> None:
    for error in (failed.original_exception, failed.sqlalchemy_exception):
        if error is not None:
            _forget_values(error)


def _forget_values(error: BaseException) -> None:
    """Keep the first line of a server's error: the next ones quote the statement, keys and whole rows.

    What is wrong with a value quotes the value as well.
    """
    if not error.args:
        return
    sentence = str(error.args[0]).partition("\n")[0]
    if str(getattr(getattr(error, "orig", error), "pgcode", None)).startswith(_DATA_EXCEPTION):
        sentence = re.sub(r'"[^"]*"?', '"…"', sentence)
    error.args = (sentence, *error.args[1:])


@contextmanager
def _like_any_statement(what: str) -> Iterator[None]:
    """Errors of the driver's own cursor as those of every other statement: their kind, and no values."""
    try:
        yield
    except psycopg2.Error as error:
        _forget_values(error)
        raise DBAPIError.instance(what, None, error, psycopg2.Error, hide_parameters=True) from None


def _take_role(connection: Any, role: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("select to_regrole(%s) is not null, current_user = %s", (role, role))
        exists, is_role = cursor.fetchone()
        if not exists:
            raise NotReady(
                f"The database has no role {role}. make run and python -m include.loop bring it up to date."
            )
        if not is_role:
            cursor.execute("select set_config('role', %s, false)", (role,))
    connection.commit()


def lock(db: sa.Connection, *words: object) -> None:
    """Wait for, and hold until the transaction ends, the advisory lock named by `words`."""
    digest = hashlib.sha256("\x1f".join(map(str, words)).encode()).digest()
    key = int.from_bytes(digest[:8], "big", signed=True)
    db.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": key})


def copy_rows(db: sa.Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Bulk-load `rows` into `table` by COPY inside the open transaction; return how many there were.

    Values are written as PostgreSQL reads them from text; None is null. Only a piece of the rows is held in
    memory at a time. What fails is told like the failure of any statement, without a row.
    """
    stream = _CopyStream(rows)
    names = psycopg2.sql.SQL(", ").join(map(psycopg2.sql.Identifier, columns))
    statement = psycopg2.sql.SQL("copy {} ({}) from stdin").format(psycopg2.sql.Identifier(table), names)
    with (
        _like_any_statement(f"copy {table}"),
        db.connection.driver_connection.cursor() as cursor,  # type: ignore[union-attr]
    ):
        cursor.copy_expert(statement, stream, size=_COPY_BYTES)
    return stream.rows


class _CopyStream(io.RawIOBase):
    """Rows as the bytes COPY reads, made when they are asked for; `rows` counts them."""

    def __init__(self, rows: Iterable[Sequence[object]]) -> None:
        self._lines = iter(rows)
        self._left = b""
        self.rows = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        pieces, length = [self._left], len(self._left)
        while size < 0 or length < size:
            row = next(self._lines, None)
            if row is None:
                break
            pieces.append(("\t".join(map(_copy_text, row)) + "\n").encode())
            length += len(pieces[-1])
            self.rows += 1
        found = b"".join(pieces)
        end = len(found) if size < 0 else size
        self._left = found[end:]
        return found[:end]


def _copy_text(value: object) -> str:
    if value is None:
        return r"\N"
    text = str(value)
    return text.replace("\\", r"\\").replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def upgrade(url: str) -> str:
    """Bring a database up to date, an empty one too; return the revision it stands at.

    Safe to run from several processes at once. Needs a login that may create roles, or says what to run. NotReady
    when a revision is not the text that was released, or when the database is not what its revisions make: nothing
    is changed then. A server whose log may hold what people said is told of on stderr.
    """
    revisions.require_frozen()
    made = engine(url, role=None, poolclass=sa.NullPool)
    with _told_plainly(made), made.begin() as db:
        if _revision_of(db) != _newest():
            db.execute(sa.text("select pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            run_revisions(db)
            revisions.record_texts(db)
        revisions.require_as_made(db)
        loud = told_of_loud(db)
    if loud:
        print(loud, file=sys.stderr)
    return _newest()


def run_revisions(db: sa.Connection, until: str = "head") -> None:
    """Run the revisions a database lacks, up to the newest or `until`, in the open transaction; nothing is compared."""
    config = _alembic()
    config.attributes["connection"] = db
    command.upgrade(config, until)


def is_current(db: sa.Connection) -> bool:
    """Whether the database stands at the newest revision; NotReady when it does and is not what revisions make."""
    with db.begin():
        if _revision_of(db) != _newest():
            return False
        revisions.require_as_made(db)
        return True


def run_revision(name: str) -> None:
    """Run `sql/revisions/<name>.sql` as released, inside Alembic's transaction; what it notes goes to stderr.

    What earlier revisions of the same upgrade changed is checked first: PostgreSQL alters no table with checks pending.
    """
    script = revisions.text_of(name)
    driver_connection = op.get_bind().connection.driver_connection
    with _like_any_statement(f"revision {name}"), driver_connection.cursor() as cursor:  # type: ignore[union-attr]
        cursor.execute("set constraints all immediate")
        cursor.execute(script)
    for notice in driver_connection.notices:  # type: ignore[union-attr]
        print(notice.strip(), file=sys.stderr)
    driver_connection.notices.clear()  # type: ignore[union-attr]


def _alembic() -> AlembicConfig:
    config = AlembicConfig()
    config.set_main_option("script_location", str(revisions.SQL / "alembic"))
    config.set_main_option("version_locations", str(revisions.SQL / "revisions"))
    config.set_main_option("path_separator", "newline")
    return config


def _newest() -> str:
    return str(ScriptDirectory.from_config(_alembic()).get_current_head())


def _revision_of(db: sa.Connection) -> str | None:
    found = MigrationContext.configure(db, opts={"version_table": VERSION_TABLE}).get_current_revision()
    return None if found is None else str(found)


@contextmanager
def _told_plainly(made: sa.Engine) -> Iterator[None]:
    target = made.url.render_as_string(hide_password=True)
    try:
        yield
    except OperationalError as error:
        cause = str(error.orig).strip().splitlines()[0]
        raise NotReady(f"The database {target} cannot be reached: {cause}") from error
    except ProgrammingError as error:
        cause, code = str(error.orig).strip().splitlines()[0], getattr(error.orig, "pgcode", "")
        if code != _NO_RIGHT:
            raise NotReady(
                f"The database {target} is not what its revisions make, so nothing was changed: {cause}. "
                "Restore a backup, or put right what it names; sql/catalogue.tsv has what is to be there."
            ) from error
        raise NotReady(
            f"The login of {target} may not bring the database up to date: {cause}. Run once as an "
            "administrator: create role churn_owner; create role churn_loop; create role churn_desk; "
            "grant churn_owner, churn_loop, churn_desk to the login; grant all on schema public to churn_owner; "
            f"revoke temporary on database {made.url.database} from public; "
            f"grant temporary on database {made.url.database} to churn_owner, churn_loop."
        ) from error
    finally:
        made.dispose()
