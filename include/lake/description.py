"""lake.json: how many shards a lake has and how it is laid out. Lost, it can be told from the files themselves."""

import json
import re
from typing import Any

from include.domain.errors import Damaged, NotReady
from include.lake.campaigns import named_in
from include.lake.periods import period_of
from include.lake.store import Store

DESCRIPTION = "lake.json"
MANIFEST = "_manifest.json"
#: How a lake is laid out: 1 held ids as they were delivered, 2 holds each in its one writing, 3 keeps scores,
#: grades and labels per campaign.
LAYOUT = 3

_SHARD = re.compile(r"shard=(\d+)\.")


def described(store: Store) -> dict[str, int]:
    """What lake.json says; NotReady when there is no lake, Damaged when it is no description of one."""
    try:
        facts = json.loads(store.read(DESCRIPTION))
        if isinstance(facts["shards"], int) and isinstance(facts.get("layout", 1), int):
            return dict(facts)
    except FileNotFoundError:
        raise NotReady(f"There is no lake in {store.root}. The loop's first run makes one.") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        pass  # told below, as is what is JSON and describes no lake
    raise Damaged(f"{store.address(DESCRIPTION)} cannot be read", cure(store.root))


def content(shards: int, layout: int = LAYOUT) -> bytes:
    """lake.json of a lake of that layout, by default the one this version wants."""
    return json.dumps({"shards": shards, "layout": layout}).encode()


def require_new(store: Store) -> None:
    """Damaged where there are months and no lake.json: another one might be of other shards than they are."""
    if not store.has(DESCRIPTION) and _shards_in_use(store):
        raise Damaged(f"{store.address(DESCRIPTION)} is gone", cure(store.root))


def mended(store: Store) -> str | None:
    """Write lake.json anew where it is gone or cannot be read; what was done, in a sentence, or None.

    Without a layout: the next run looks whether all is as this version wants it.
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
    for table in named_in(store):
        for folder in store.folders(table):
            if period_of(folder) and store.has(f"{table}/{folder}/{MANIFEST}"):
                numbers = (_SHARD.match(name) for name in store.files(f"{table}/{folder}"))
                found += [int(number[1]) + 1 for number in numbers if number]
    return max(found)
