"""What the operations database is made of: revisions frozen by hash, and the catalogue a database of them has.

`sql/revisions/SHA256SUMS` and `sql/catalogue.tsv` are written by `python -m tests.freeze_revisions`.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from include.database.queries import load
from include.domain.errors import NotReady
from include.settings import ROOT

SQL = ROOT / "sql"
FREEZE = "python -m tests.freeze_revisions"
_TOLD = 10
#: Kinds of objects whose definition is made of names, or of text nobody words anew: equal on every server.
_WORDED_BY_US = frozenset({"grant", "role", "table", "revision"})

#: Kind and name of an object of the database → its definition.
Catalogue = dict[tuple[str, str], str]


def sha256_of(file: Path) -> str:
    """The hash a file is frozen by."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def revision_files() -> list[Path]:
    """Every file of a revision, in their order."""
    return sorted(file for ending in ("py", "sql") for file in (SQL / "revisions").glob(f"[0-9]*.{ending}"))


def frozen() -> dict[str, str]:
    """File → hash, as released."""
    lines = (SQL / "revisions" / "SHA256SUMS").read_text("utf-8").splitlines()
    return {name: found for found, name in (line.split(maxsplit=1) for line in lines)}


def require_frozen() -> None:
    """NotReady, naming the file, unless every revision is the text that was released."""
    released = frozen()
    found = {file.name: sha256_of(file) for file in revision_files()}
    for name in sorted(released | found):
        if name not in released:
            raise NotReady(
                f"sql/revisions/{name} has no hash, so nobody can tell a changed one. Write it: {FREEZE}."
            )
        if name not in found:
            raise NotReady(
                f"sql/revisions/{name} is missing. Take it back: git checkout -- sql/revisions/{name}."
            )
        if found[name] != released[name]:
            raise NotReady(
                f"sql/revisions/{name} is not the text that was released: its sha256 is {found[name][:12]}…, "
                f"the released one's {released[name][:12]}…. Take that back (git checkout -- "
                f"sql/revisions/{name}); what is to change needs a revision of its own."
            )


def text_of(name: str) -> str:
    """The text of a revision to run; NotReady unless it is the one that was released."""
    require_frozen()
    return (SQL / "revisions" / f"{name}.sql").read_text("utf-8")


def record_texts(db: sa.Connection) -> None:
    """Keep with the database by which texts it was made; what is kept stays."""
    for name, sha256 in _texts(frozen()).items():
        db.execute(load("database/catalogue")["record_text"], {"revision": name, "sha256": sha256})


def _texts(files: Mapping[str, str]) -> dict[str, str]:
    """Revision → hash of its SQL."""
    return {name[:4]: sha256 for name, sha256 in files.items() if name.endswith(".sql")}


def wanted() -> tuple[int, Catalogue]:
    """The catalogue of a database made by these revisions, and the major version of the server it was taken from."""
    version, *lines = (SQL / "catalogue.tsv").read_text("utf-8").splitlines()
    objects = {(kind, name): definition for kind, name, definition in (line.split("\t") for line in lines)}
    texts = {("revision", name): sha256 for name, sha256 in _texts(frozen()).items()}
    return int(version.split()[-1]), objects | texts


def catalogue(db: sa.Connection, known: Mapping[tuple[str, str], str]) -> tuple[int, Catalogue]:
    """The catalogue of a database, and the major version of its server; `known` names what is looked at in any case."""
    asked = load("database/catalogue")
    names = [name for kind, name in known if kind in ("table", "view", "function")]
    db.execute(asked["look_from_public"])
    found: Catalogue = {}
    for statement in _ASKED:
        if statement == "texts_run" and ("table", "revision_texts") not in found:
            continue
        for row in db.execute(asked[statement], {"known": names} if statement in _OF_KNOWN else {}):
            found[row.kind, row.name] = " ".join(row.definition.split())
    return int(db.execute(asked["server_version"]).scalar_one()), found


_OF_KNOWN = ("relations", "columns", "constraints", "indexes", "triggers", "functions", "grants")
_ASKED = (*_OF_KNOWN, "policies", "rights_above", "roles", "texts_run")


def differences(db: sa.Connection) -> list[str]:
    """How a database differs from one made by these revisions, one object each."""
    made_on, expected = wanted()
    version, found = catalogue(db, expected)
    return compared(found, expected, is_same_server=version == made_on)


def compared(found: Catalogue, expected: Catalogue, *, is_same_server: bool = True) -> list[str]:
    """Every object that is missing, too much or another; another major version words definitions its own way."""
    differing = []
    for key in sorted(found.keys() | expected.keys()):
        what = " ".join(key)
        if key not in found:
            differing.append(f"{what} is missing{_rights(key, expected)}")
        elif key not in expected:
            differing.append(f"{what} is too much{_rights(key, found)}")
        elif found[key] != expected[key] and (is_same_server or key[0] in _WORDED_BY_US):
            differing.append(
                f"{what} is another" + (f": {found[key]}" if key[0] in ("grant", "role") else "")
            )
    return differing


def _rights(key: tuple[str, str], catalogue: Catalogue) -> str:
    return f" ({catalogue[key]})" if key[0] == "grant" else ""


def require_as_made(db: sa.Connection) -> None:
    """NotReady, telling the differences, unless the database is what its revisions make."""
    differing = differences(db)
    if not differing:
        return
    more = f"; and {len(differing) - _TOLD} more" if len(differing) > _TOLD else ""
    database: Any = db.engine.url.database
    raise NotReady(
        f"The database {database} is not what its revisions make, so it is left as it is: "
        f"{'; '.join(differing[:_TOLD])}{more}. What each is to be stands in sql/catalogue.tsv: put it right as an "
        "administrator, or restore a backup with its owners and grants. See 'A database that differs' in "
        "docs/operations-guide.md."
    )
