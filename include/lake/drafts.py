"""Parts that are written and not yet published, left for whoever would make the very same at the same time."""

import json
from dataclasses import asdict

from include.lake import GRACE_SECONDS, Lake, Manifest, Part
from include.lake.description import MANIFEST

_SUFFIX = ".json"


def leave(lake: Lake, table: str, month: str, part: Part, fingerprint: str) -> None:
    """Tell others of a part made from the inputs of that fingerprint; the caller holds the shard's lock."""
    lake.write_file(_name(lake, table, month, part.shard, fingerprint), json.dumps(asdict(part)).encode())


def left(lake: Lake, table: str, month: str, shard: int, fingerprint: str) -> Part | None:
    """The part another run left within the hour and that is what was written; None where there is none.

    An older one is of a run that died, and may hold somebody erased since.
    """
    folder, name = lake.folder(table, month), _name(lake, table, month, shard, fingerprint)
    file = lake.store.files(folder).get(name.rpartition("/")[2])
    if file is None or lake.store.clock(folder) - file.changed_at > GRACE_SECONDS:
        return None
    part = Part.of(json.loads(lake.read_file(name)))
    return None if lake.damage(Manifest(table, month, (part,), fingerprint), [part], [part]) else part


def forget(lake: Lake, table: str, month: str) -> None:
    """Nothing is left for anybody: the month is published."""
    folder = lake.folder(table, month)
    for name in lake.store.files(folder):
        if name.endswith(_SUFFIX) and name != MANIFEST:
            lake.store.delete(f"{folder}/{name}")


def _name(lake: Lake, table: str, month: str, shard: int, fingerprint: str) -> str:
    return f"{lake.folder(table, month)}/shard={shard:04d}.{fingerprint}{_SUFFIX}"
