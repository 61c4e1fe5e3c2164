"""The lake: Parquet tables by month and shard. A month is published by one small atomic write of its
manifest; readers go by the manifest, so they never see half a month."""

import hashlib
import json
import re
import uuid
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from include.domain.errors import BadInput, NotReady
from include.domain.months import parse_month
from include.lake.store import Store, open_store

SUBSCRIBERS_PER_SHARD = 500_000
GRACE_SECONDS = 3_600
UNKNOWN_SECONDS = 86_400

_MANIFEST = "_manifest.json"
_LAKE = "lake.json"
#: How a lake is laid out: 1 held ids as they were delivered, 2 holds each in its one writing.
LAYOUT = 2


@dataclass(frozen=True)
class Part:
    """One live Parquet file of a table's month; `period` is the delivered month or day it came from."""

    name: str
    shard: int
    period: str
    rows: int


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


class Lake:
    """Opens the lake at `root`, a folder or an object store's URL; NotReady when there is none."""

    def __init__(self, root: str | Path) -> None:
        self.store: Store = open_store(root)
        try:
            described = json.loads(self.store.read(_LAKE))
        except FileNotFoundError:
            raise NotReady(f"There is no lake in {self.root}. The loop's first run makes one.") from None
        self.shards: int = described["shards"]
        layout = described.get("layout", 1)
        if layout > LAYOUT:
            raise NotReady(
                f"The lake {self.root} has layout {layout}, and this version knows {LAYOUT} at most. Run the newer one."
            )
        #: Whether it is laid out as this version wants it, or is still to be brought up to date.
        self.is_current: bool = layout == LAYOUT

    @property
    def root(self) -> Any:
        """The folder (a Path) or the URL (text) the lake lies at."""
        return self.store.root

    @classmethod
    def create(cls, root: str | Path, subscribers: int = 0) -> "Lake":
        """Lay down a lake with a shard for every 500,000 subscribers expected; BadInput when one exists."""
        shards = max(1, -(-subscribers // SUBSCRIBERS_PER_SHARD))
        try:
            open_store(root).create(_LAKE, json.dumps({"shards": shards, "layout": LAYOUT}).encode())
        except FileExistsError:
            raise BadInput(f"{root} already holds a lake. Open it, or choose another folder.") from None
        return cls(root)

    @classmethod
    def open_or_create(cls, root: str | Path, subscribers: int = 0) -> "Lake":
        """The lake at `root`, laid down first when there is none; safe when two processes start at once."""
        if not cls.exists(root):
            try:
                return cls.create(root, subscribers)
            except BadInput:
                pass  # another process created it in between: open that one
        return cls(root)

    @staticmethod
    def exists(root: str | Path) -> bool:
        """Whether a lake has been laid down at `root`."""
        return open_store(root).has(_LAKE)

    def mark_current(self) -> None:
        """From now on the lake is laid out as this version wants it; its caller has seen to that."""
        self.store.write(_LAKE, json.dumps({"shards": self.shards, "layout": LAYOUT}).encode())
        self.is_current = True

    def shard_of(self, ids: pl.Series) -> pl.Series:
        """The shard (UInt32) of each subscriber_id: crc32 of its UTF-8 text modulo the shard count."""
        if self.shards == 1:
            return pl.zeros(len(ids), pl.UInt32, eager=True).alias("shard")
        crc32, shards = zlib.crc32, self.shards
        hashes = [crc32(text) % shards for text in ids.cast(pl.Binary).fill_null(b"").to_list()]
        return pl.Series("shard", hashes, dtype=pl.UInt32)

    def tables(self) -> list[str]:
        """The tables that have a published month."""
        return [table for table in self.store.folders() if self.months(table)]

    def months(self, table: str) -> list[str]:
        """The published months of a table, oldest first."""
        months = [name[6:] for name in self.store.folders(table) if name.startswith("month=")]
        return [month for month in months if self.has(table, month)]

    def has(self, table: str, month: str) -> bool:
        """Whether the month of the table is published."""
        return self.store.has(f"{self.folder(table, month)}/{_MANIFEST}")

    def manifest(self, table: str, month: str) -> Manifest:
        """What the month consists of; NotReady when it was never published."""
        found = self._read_manifest(table, month)
        if found is None:
            raise NotReady(f"The lake holds no {table} for {month}. Run the stage that makes them first.")
        return found

    def scan(self, table: str, month: str, shard: int | None = None) -> pl.LazyFrame:
        """Lazily the live rows of a month, of one shard or of all; NotReady when it was never published."""
        manifest = self.manifest(table, month)
        if not manifest.parts:
            raise NotReady(f"The {table} of {month} were published without a file. Run their stage again.")
        parts = [part for part in manifest.parts if shard is None or part.shard == shard]
        if not parts:
            return self._scan_parts(manifest, manifest.parts[:1]).clear()
        return self._scan_parts(manifest, parts)

    def write_part(
        self,
        table: str,
        month: str,
        shard: int,
        frame: pl.DataFrame | pl.LazyFrame,
        run_id: str,
        period: str | None = None,
    ) -> Part:
        """Write one Parquet file, sorted by subscriber_id where there is one; unseen until published."""
        rows = frame.collect(engine="streaming") if isinstance(frame, pl.LazyFrame) else frame
        if "subscriber_id" in rows.columns:
            rows = rows.sort("subscriber_id", maintain_order=True)
        name = _part_name(shard, period, run_id)
        self.store.write_parquet(f"{self.folder(table, month)}/{name}", rows)
        return Part(name, shard, period or month, rows.height)

    def publish(
        self,
        table: str,
        month: str,
        parts: Iterable[Part],
        *,
        fingerprint: str = "",
        facts: Mapping[str, Any] | None = None,
        period: str | None = None,
    ) -> Manifest:
        """Make `parts` the live rows of the month, or, given a day as `period`, of that day within it.

        The caller holds the advisory lock of (table, month). With a period the manifest's fingerprint
        covers those of all its periods, and `facts` are laid over the facts that stand.
        """
        before = self._read_manifest(table, month)
        wanted = Manifest(table, month, tuple(parts), fingerprint, dict(facts or {}))
        after = _successor(before, wanted, period)
        self._refuse_unwritten(after)
        return self._replace_manifest(before, after)

    def adopt(self, manifest: Manifest) -> Manifest:
        """Publish a month of another lake, its parts written here, under the fingerprints it is known by."""
        self._refuse_unwritten(manifest)
        return self._replace_manifest(None, replace(manifest, superseded={}))

    def supersede(self, before: Manifest, after: Manifest) -> Manifest:
        """Publish a month with other parts; those of `before` go after the grace readers have.

        The caller holds the lock of the month.
        """
        self._refuse_unwritten(after)
        return self._replace_manifest(before, after)

    def exchange(
        self, manifest: Manifest, parts: Mapping[str, Part], obsolete: Collection[str] = ()
    ) -> Manifest:
        """Publish a month with some live parts, by name, replaced; under the fingerprints it is known by.

        What is replaced and the files named `obsolete` are removed at once, without grace. The caller holds
        the lock of the month.
        """
        live = tuple(parts.get(part.name, part) for part in manifest.parts)
        after = replace(manifest, parts=live)
        after = replace(
            after, superseded={n: at for n, at in manifest.superseded.items() if n not in obsolete}
        )
        self._refuse_unwritten(after)
        folder = self.folder(after.table, after.month)
        self._write_manifest(after)
        for name in {*parts, *obsolete}:
            self.store.delete(f"{folder}/{name}")
        return after

    def drop(self, table: str, month: str) -> int:
        """Take a whole month back, in one step for readers; how many files were removed."""
        folder = self.folder(table, month)
        self.store.delete(f"{folder}/{_MANIFEST}")
        names = list(self.store.files(folder))
        for name in names:
            self.store.delete(f"{folder}/{name}")
        return len(names)

    def folder(self, table: str, month: str) -> str:
        """The name of a month's folder, relative to the root; BadInput for no month."""
        return f"{table}/month={parse_month(month)}"

    def part_address(self, manifest: Manifest, part: Part) -> str:
        """What Polars opens a live part by."""
        return self.store.address(f"{self.folder(manifest.table, manifest.month)}/{part.name}")

    def part_size(self, manifest: Manifest, part: Part) -> int:
        """Bytes of a live part; 0 when it is gone."""
        return self.store.size(f"{self.folder(manifest.table, manifest.month)}/{part.name}")

    def make_private(self, name: str) -> None:
        """Make the folder `name` below the root for the owner alone, where there is none."""
        self.store.make_private(name)

    def write_file(self, name: str, content: bytes) -> None:
        """Put a small file (a model, a card) at `name` relative to the root, in one atomic step."""
        self.store.write(name, content)

    def read_file(self, name: str) -> bytes:
        """The small file at `name` relative to the root; NotReady when there is none."""
        try:
            return self.store.read(name)
        except FileNotFoundError:
            raise NotReady(f"The lake holds no file {name}. Run the stage that makes it first.") from None

    def _read_manifest(self, table: str, month: str) -> Manifest | None:
        try:
            stored = json.loads(self.store.read(f"{self.folder(table, month)}/{_MANIFEST}"))
        except FileNotFoundError:
            return None
        return Manifest(**{**stored, "parts": tuple(Part(**part) for part in stored["parts"])})

    def _scan_parts(self, manifest: Manifest, parts: Sequence[Part]) -> pl.LazyFrame:
        by_period: dict[str, list[str]] = {}
        for part in sorted(parts, key=lambda part: (part.period, part.shard)):
            by_period.setdefault(part.period, []).append(self.part_address(manifest, part))
        frames = [scan_files(addresses) for addresses in by_period.values()]
        # A day may have been delivered with fewer columns than the others.
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")

    def _refuse_unwritten(self, manifest: Manifest) -> None:
        written = self.store.files(self.folder(manifest.table, manifest.month))
        for part in manifest.parts:
            if part.name not in written:
                where = f"{manifest.table} of {manifest.month}"
                raise NotReady(f"{part.name} of {where} is gone. Run the stage again before publishing.")

    def _replace_manifest(self, before: Manifest | None, after: Manifest) -> Manifest:
        folder = self.folder(after.table, after.month)
        at = self.store.clock(folder)
        waiting = _superseded(before, after, at)
        expired = {name for name, since in waiting.items() if at - since > GRACE_SECONDS}
        after.superseded.update({name: since for name, since in waiting.items() if name not in expired})
        self._write_manifest(after)
        self._purge(folder, after, expired, at)
        return after

    def _write_manifest(self, manifest: Manifest) -> None:
        content = json.dumps(asdict(manifest), ensure_ascii=False, sort_keys=True).encode()
        self.store.write(f"{self.folder(manifest.table, manifest.month)}/{_MANIFEST}", content)

    def _purge(self, folder: str, manifest: Manifest, expired: set[str], at: float) -> None:
        """Delete what no reader can still need: the expired, and files of writers that died a day ago."""
        kept = {_MANIFEST, *(part.name for part in manifest.parts), *manifest.superseded}
        for name, modified in self.store.files(folder).items():
            if name in expired or (name not in kept and at - modified > UNKNOWN_SECONDS):
                self.store.delete(f"{folder}/{name}")


def scan_files(addresses: str | Sequence[str]) -> pl.LazyFrame:
    """Lazily the rows of Parquet files of a lake, wherever they lie."""
    listed = [addresses] if isinstance(addresses, str) else list(addresses)
    return pl.scan_parquet(listed, hive_partitioning=False, credential_provider=None)


def _superseded(before: Manifest | None, after: Manifest, at: float) -> dict[str, float]:
    """Files that readers of an earlier manifest may still have open, and since when they are replaced."""
    if before is None:
        return {}
    live = {part.name for part in after.parts}
    return {**{part.name: at for part in before.parts if part.name not in live}, **before.superseded}


def _successor(before: Manifest | None, after: Manifest, period: str | None) -> Manifest:
    """`after` as it stands for the whole month: for a day, joined with what stands for the other periods."""
    if period is None:
        return replace(after, periods={after.month: after.fingerprint})
    others = [part for part in before.parts if part.period != period] if before else []
    periods = {**(before.periods if before else {}), period: after.fingerprint}
    together = hashlib.sha256(json.dumps(periods, sort_keys=True).encode()).hexdigest()
    facts = {**(before.facts if before else {}), **after.facts}
    return replace(after, parts=(*others, *after.parts), fingerprint=together, facts=facts, periods=periods)


def _part_name(shard: int, period: str | None, run_id: str) -> str:
    """A name no other attempt can take, even of the same run: live files are never written over."""
    run = re.sub(r"[^0-9A-Za-z_-]+", "-", run_id)[:80]
    words = [f"shard={shard:04d}", *([period] if period else []), run, uuid.uuid4().hex[:8], "parquet"]
    return ".".join(words)
