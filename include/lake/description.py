"""lake.json: how many shards a lake has and how it is laid out. Lost, it can be told from the files themselves."""

import json
import re
from typing import Any

from include.domain.errors import Damaged, NotReady
from include.lake.store import Store

DESCRIPTION = "lake.json"
MANIFEST = "_manifest.json"
#: How a lake is laid out: 1 held ids as they were delivered, 2 holds each in its one writing.
LAYOUT = 2

_SHARD = re.compile(r"shard=(\d+)\.")


def described(store: Store) -> dict[str, int]:
    """What lake.json says; NotReady when there is no lake, Damaged when it is no description of one."""
    try:
        told = json.loads(store.read(DESCRIPTION))
        if isinstance(told["shards"], int) and isinstance(told.get("layout", 1), int):
            return dict(told)
    except FileNotFoundError:
        raise NotReady(f"There is no lake in {store.root}. The loop's first run makes one.") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        pass  # told below, as is what is JSON and describes no lake
    raise Damaged(f"{store.address(DESCRIPTION)} cannot be read", cure(store.root))


def content(shards: int) -> bytes:
    """lake.json of a lake that is laid out as this version wants it."""
    return json.dumps({"shards": shards, "layout": LAYOUT}).encode()


def require_new(store: Store) -> None:
    """Damaged where there are months and no lake.json: another one might be of other shards than they are."""
    if not store.has(DESCRIPTION) and _shards_in_use(store):
        raise Damaged(f"{store.address(DESCRIPTION)} is gone", cure(store.root))


def mended(store: Store) -> str | None:
    """Write lake.json anew where it is gone or cannot be read; what was done, in a sentence, or None.

    Without a layout: the next run looks whether all is in its one writing.
    """
    try:
        described(store)
    except NotReady:
        if shards := _shards_in_use(store):
            store.write(DESCRIPTION, json.dumps({"shards": shards}).encode())
            return f"{store.address(DESCRIPTION)} was written anew: the files are of {shards} shards."
    return None


def cure(root: Any) -> str:
    """What to do about a file of the lake at `root` that is not what was written."""
    return f"Run `python -m include.lake repair --lake {root}`."


def _shards_in_use(store: Store) -> int:
    """How many shards the files of the published months are of; 0 where none is published."""
    found = [0]
    for table in store.folders():
        for month in store.folders(table):
            if month.startswith("month=") and store.has(f"{table}/{month}/{MANIFEST}"):
                numbers = (_SHARD.match(name) for name in store.files(f"{table}/{month}"))
                found += [int(number[1]) + 1 for number in numbers if number]
    return max(found)
