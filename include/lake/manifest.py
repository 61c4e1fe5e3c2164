"""What a month of a table consists of, as its manifest says it; a manifest that was harmed does not pass for one."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, TypedDict, cast

from pydantic import TypeAdapter


class PartFacts(TypedDict):
    """A `Part` as JSON carries it."""

    name: str
    shard: int
    period: str
    rows: int
    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class Part:
    """One live Parquet file of a table's month; `period` is the delivered month or day it came from.

    `size` (bytes) and `sha256` are those of the file as it was written; None where an earlier version wrote it.
    """

    name: str
    shard: int
    period: str
    rows: int
    size: int | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> "Part":
        """The part that `asdict` made a mapping of; what else the mapping tells is left alone."""
        return cls(**{each.name: facts[each.name] for each in fields(cls) if each.name in facts})

    def as_facts(self) -> PartFacts:
        """The part as JSON carries it."""
        return cast(PartFacts, asdict(self))


@dataclass(frozen=True)
class Manifest:
    """What a month of a table consists of; `facts` is what its writer wants readers to know (JSON)."""

    table: str
    month: str
    parts: tuple[Part, ...]
    fingerprint: str
    facts: dict[str, Any] = field(default_factory=dict)
    periods: dict[str, str] = field(default_factory=dict)
    superseded: dict[str, float] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)

    def of(self, period: str | None = None, shard: int | None = None) -> tuple[Part, ...]:
        """The parts of a period, of a shard, of both, or all."""
        theirs = (part for part in self.parts if period in (None, part.period))
        return tuple(part for part in theirs if shard in (None, part.shard))

    def without(self, period: str) -> "Manifest":
        """The month as it stands when one of its periods is taken away."""
        periods = {name: known for name, known in self.periods.items() if name != period}
        kept = tuple(part for part in self.parts if part.period != period)
        return replace(self, parts=kept, periods=periods, fingerprint=_together(periods))

    def superseded_by(self, after: "Manifest", at: float) -> dict[str, float]:
        """Files that readers of this manifest may still have open, and since when they are replaced."""
        live = {part.name for part in after.parts}
        return {**{part.name: at for part in self.parts if part.name not in live}, **self.superseded}


_MANIFESTS = TypeAdapter(Manifest)
_OWN = "sha256"


def encoded(manifest: Manifest) -> bytes:
    """A manifest as it is stored, with the hash of all it says."""
    facts = json.loads(json.dumps(asdict(manifest)))
    return json.dumps({**facts, _OWN: _hash(facts)}, ensure_ascii=False, sort_keys=True).encode()


def decoded(content: bytes, table: str, month: str) -> Manifest:
    """The stored manifest of a month; ValueError for what is none, or not as it was stored."""
    manifest = _MANIFESTS.validate_json(content, strict=True)
    facts = json.loads(content)
    stored = facts.pop(_OWN, None)
    if stored not in (None, _hash(facts)) or (manifest.table, manifest.month) != (table, month):
        raise ValueError("not as it was stored")
    return manifest


def successor(before: Manifest | None, after: Manifest, period: str | None) -> Manifest:
    """`after` as it stands for the whole month: for a day, joined with what stands for the other periods."""
    if period is None:
        return replace(after, periods={after.month: after.fingerprint})
    stands = before or replace(after, parts=(), facts={}, periods={})
    others = tuple(part for part in stands.parts if part.period != period)
    periods = {**stands.periods, period: after.fingerprint}
    facts = {**stands.facts, **after.facts}
    parts = (*others, *after.parts)
    return replace(after, parts=parts, fingerprint=_together(periods), facts=facts, periods=periods)


def _together(periods: Mapping[str, str]) -> str:
    """The fingerprint of a month by those of its periods."""
    return hashlib.sha256(json.dumps(periods, sort_keys=True).encode()).hexdigest()


def _hash(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
