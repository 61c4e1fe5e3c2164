"""Named SQL statements: `sql/<room>/<word>.sql` holds `-- name: claim_ticket` blocks, `load` gives them by name."""

import re
from collections.abc import Mapping
from functools import cache

from sqlalchemy import TextClause, text

from include.settings import ROOT

_NAME = re.compile(r"^-- name: *(\w+) *$", re.MULTILINE)


@cache
def load(file: str) -> Mapping[str, TextClause]:
    """The statements of `sql/<file>.sql` by name, with `:parameter` placeholders.

    Raises FileNotFoundError for an unknown file and ValueError for a name given twice.
    """
    pieces = _NAME.split((ROOT / "sql" / f"{file}.sql").read_text("utf-8"))
    names, bodies = pieces[1::2], pieces[2::2]
    if len(set(names)) != len(names):
        raise ValueError(f"sql/{file}.sql names a statement twice: {sorted(names)}.")
    return {name: text(body.strip()) for name, body in zip(names, bodies, strict=True)}
