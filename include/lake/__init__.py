"""The lake: Parquet tables by month and shard. A month is published by one small atomic write of its
manifest; readers go by the manifest, so they never see half a month.

What is made for one campaign has a table of its own (include/lake/campaigns.py). Those of a daily campaign are
published by the day of their cycle, which stands wherever a `month` is asked for here.
"""

import logging
import re
import uuid
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from include.domain.errors import BadInput, Damaged, NotReady
from include.lake.campaigns import named_in
from include.lake.description import DESCRIPTION, LAYOUT, MANIFEST, content, cure, described, require_new
from include.lake.manifest import Manifest, Part, decoded, encoded, successor
from include.lake.periods import folder_of, period_of
from include.lake.store import Store, open_store

__all__ = [
    "GRACE_SECONDS",
    "LAYOUT",
    "SUBSCRIBERS_PER_SHARD",
    "UNKNOWN_SECONDS",
    "Lake",
    "Manifest",
    "Part",
    "scan_files",
]

SUBSCRIBERS_PER_SHARD = 500_000
GRACE_SECONDS = 3_600
UNKNOWN_SECONDS = 86_400

_log = logging.getLogger("churn")


class Lake:
    """Opens the lake at `root`, a folder or an object store's URL; NotReady when there is none."""

    def __init__(self, root: str | Path) -> None:
        self.store: Store = open_store(root)
        #: The versions of the files that were found to be what was written, by name.
        self._whole: dict[str, str] = {}
        self._warned: set[str] = set()
        facts = described(self.store)
        self.shards: int = facts["shards"]
        self.layout: int = facts.get("layout", 1)
        if self.layout > LAYOUT:
            raise NotReady(
                f"The lake {self.root} has layout {self.layout}, and this version knows {LAYOUT} at most. "
                "Run the newer one."
            )

    @property
    def is_current(self) -> bool:
        """Whether it is laid out as this version wants it, or is still to be brought up to date."""
        return self.layout == LAYOUT

    @property
    def root(self) -> Any:
        """The folder (a Path) or the URL (text) the lake lies at."""
        return self.store.root

    @classmethod
    def create(cls, root: str | Path, subscribers: int = 0) -> "Lake":
        """Lay down a lake with a shard for every 500,000 subscribers expected; BadInput when one exists."""
        shards = max(1, -(-subscribers // SUBSCRIBERS_PER_SHARD))
        store = open_store(root)
        require_new(store)
        try:
            store.create(DESCRIPTION, content(shards))
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
        return open_store(root).has(DESCRIPTION)

    def mark(self, layout: int) -> None:
        """From now on the lake has that layout; its caller has seen to that."""
        self.store.write(DESCRIPTION, content(self.shards, layout))
        self.layout = layout

    def shard_of(self, ids: pl.Series) -> pl.Series:
        """The shard (UInt32) of each subscriber_id: crc32 of its UTF-8 text modulo the shard count."""
        if self.shards == 1:
            return pl.zeros(len(ids), pl.UInt32, eager=True).alias("shard")
        crc32, shards = zlib.crc32, self.shards
        hashes = [crc32(text) % shards for text in ids.cast(pl.Binary).fill_null(b"").to_list()]
        return pl.Series("shard", hashes, dtype=pl.UInt32)

    def tables(self) -> list[str]:
        """The tables that have a published month; those of each campaign by their own names."""
        return [table for table in named_in(self.store) if self.months(table)]

    def months(self, table: str) -> list[str]:
        """The published months of a table (days of a daily campaign's), oldest first."""
        found = sorted(filter(None, map(period_of, self.store.folders(table))))
        return [month for month in found if self.has(table, month)]

    def has(self, table: str, month: str) -> bool:
        """Whether the month of the table is published."""
        return self.store.has(f"{self.folder(table, month)}/{MANIFEST}")

    def manifest(self, table: str, month: str) -> Manifest:
        """What the month consists of, its files there in their sizes; NotReady when never published, or Damaged."""
        return self._required(table, month)

    def published(self, table: str, month: str) -> Manifest | None:
        """The month as its manifest says, whatever became of its files; None when there is none that can be read."""
        try:
            return self._read_manifest(table, month)
        except Damaged as error:
            self._tell(error)
            return None

    def standing(
        self, table: str, month: str, *, period: str | None = None, shard: int | None = None
    ) -> Manifest | None:
        """The month while every byte of it (of a period, of a shard) is what was written, for who else makes it again.

        None when it was never published, or is damaged: that is told in the log.
        """
        try:
            return self._checked(table, month, {"period": period, "shard": shard})
        except Damaged as error:
            self._tell(error)
            return None

    def scan(self, table: str, month: str, shard: int | None = None) -> pl.LazyFrame:
        """Lazily the live rows of a month, of one shard or of all; NotReady when never published, or Damaged."""
        manifest = self._required(table, month, {"shard": shard})
        if not manifest.parts:
            raise NotReady(f"The {table} of {month} were published without a file. Run their stage again.")
        parts = manifest.of(shard=shard)
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
        written = self.store.write_parquet(f"{self.folder(table, month)}/{name}", rows)
        return Part(name, shard, period or month, rows.height, *written)

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
        before = self.published(table, month)
        wanted = Manifest(table, month, tuple(parts), fingerprint, dict(facts or {}))
        self._refuse_unwritten(wanted)  # what became of other days does not keep this one out
        return self._replace_manifest(before, successor(before, wanted, period))

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

    def drop(self, table: str, month: str, period: str | None = None) -> int:
        """Take a whole month back, or a period of it, in one step for readers; how many files went."""
        stands = self.published(table, month) if period else None
        if stands and (left := stands.without(str(period))).periods:
            self._replace_manifest(stands, left)
            return len(stands.of(period))
        folder = self.folder(table, month)
        self.store.delete(f"{folder}/{MANIFEST}")
        names = list(self.store.files(folder))
        for name in names:
            self.store.delete(f"{folder}/{name}")
        return len(names)

    def folder(self, table: str, month: str) -> str:
        """The name of a month's (or day's) folder, relative to the root; BadInput for what is neither."""
        return f"{table}/{folder_of(month)}"

    def part_address(self, manifest: Manifest, part: Part) -> str:
        """What Polars opens a live part by; Damaged when it is not what was written."""
        if damage := self.damage(manifest, [part], [part]):
            raise damage
        return self._address(manifest, part)

    def damage(
        self, manifest: Manifest, parts: Sequence[Part], hashed: Collection[Part] = ()
    ) -> Damaged | None:
        """The first of the parts that is gone, has another size or, of those `hashed`, other bytes than were written.

        What is unchanged since this process last read it is not read again.
        """
        folder = self.folder(manifest.table, manifest.month)
        there = self.store.files(folder) if parts else {}
        for part in parts:
            name, file = f"{folder}/{part.name}", there.get(part.name)
            if file is None:
                return self._damaged(manifest, name, "is gone")
            if part.size not in (None, file.size):
                return self._damaged(manifest, name, f"holds {file.size:,} bytes instead of {part.size:,}")
            if part in hashed and part.sha256 and self._whole.get(name) != file.version:
                if what := self._changed(name, part.sha256):
                    return self._damaged(manifest, name, what)
                self._whole[name] = file.version
        return None

    def _changed(self, name: str, sha256: str) -> str | None:
        try:
            return None if self.store.sha256(name) == sha256 else "holds other bytes than were written"
        except FileNotFoundError:  # removed since it was listed
            return "is gone"

    def _damaged(self, manifest: Manifest, name: str, what: str) -> Damaged:
        where = f"{manifest.table} of {manifest.month}: {self.store.address(name)}"
        return Damaged(f"{where} {what}", cure(self.root))

    def _tell(self, error: Damaged) -> None:
        if error.what not in self._warned:  # several ask for the same month
            self._warned.add(error.what)
            _log.warning("%s. It counts as not published and is made again.", error.what)

    def _required(self, table: str, month: str, hashed: Mapping[str, Any] | None = None) -> Manifest:
        found = self._checked(table, month, hashed)
        if found is None:
            raise NotReady(f"The lake holds no {table} for {month}. Run the stage that makes them first.")
        return found

    def _checked(self, table: str, month: str, hashed: Mapping[str, Any] | None) -> Manifest | None:
        """The published month when its files are there in their sizes, and those `hashed` byte by byte; or Damaged."""
        while (found := self._read_manifest(table, month)) is not None:
            damage = self.damage(found, found.parts, found.of(**hashed) if hashed is not None else ())
            if damage is None:
                break
            if self._read_manifest(table, month) == found:  # else it was replaced meanwhile: look again
                raise damage
        return found

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
        name = f"{self.folder(table, month)}/{MANIFEST}"
        try:
            return decoded(self.store.read(name), table, month)
        except FileNotFoundError:
            return None
        except ValueError:
            where = f"{table} of {month}: {self.store.address(name)}"
            raise Damaged(f"{where} is no manifest that can be read", cure(self.root)) from None

    def _scan_parts(self, manifest: Manifest, parts: Sequence[Part]) -> pl.LazyFrame:
        by_period: dict[str, list[str]] = {}
        for part in sorted(parts, key=lambda part: (part.period, part.shard)):
            by_period.setdefault(part.period, []).append(self._address(manifest, part))
        frames = [scan_files(addresses) for addresses in by_period.values()]
        # A day may have been delivered with fewer columns than the others.
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")

    def _address(self, manifest: Manifest, part: Part) -> str:
        return self.store.address(f"{self.folder(manifest.table, manifest.month)}/{part.name}")

    def _refuse_unwritten(self, manifest: Manifest) -> None:
        written = self.store.files(self.folder(manifest.table, manifest.month))
        for part in manifest.parts:
            if part.name not in written:
                where = f"{manifest.table} of {manifest.month}"
                raise NotReady(f"{part.name} of {where} is gone. Run the stage again before publishing.")

    def _replace_manifest(self, before: Manifest | None, after: Manifest) -> Manifest:
        folder = self.folder(after.table, after.month)
        at = self.store.clock(folder)
        waiting = before.superseded_by(after, at) if before else {}
        expired = {name for name, since in waiting.items() if at - since > GRACE_SECONDS}
        after.superseded.update({name: since for name, since in waiting.items() if name not in expired})
        self._write_manifest(after)
        self._purge(folder, after, expired, at)
        return after

    def _write_manifest(self, manifest: Manifest) -> None:
        self.store.write(f"{self.folder(manifest.table, manifest.month)}/{MANIFEST}", encoded(manifest))

    def _purge(self, folder: str, manifest: Manifest, expired: set[str], at: float) -> None:
        """Delete what no reader can still need: the expired, and files of writers that died a day ago."""
        kept = {MANIFEST, *(part.name for part in manifest.parts), *manifest.superseded}
        for name, file in self.store.files(folder).items():
            if name in expired or (name not in kept and at - file.changed_at > UNKNOWN_SECONDS):
                self.store.delete(f"{folder}/{name}")


def scan_files(addresses: str | Sequence[str]) -> pl.LazyFrame:
    """Lazily the rows of Parquet files of a lake, wherever they lie."""
    listed = [addresses] if isinstance(addresses, str) else list(addresses)
    return pl.scan_parquet(listed, hive_partitioning=False, credential_provider=None)


def _part_name(shard: int, period: str | None, run_id: str) -> str:
    """A name no other attempt can take, even of the same run: live files are never written over."""
    run = re.sub(r"[^0-9A-Za-z_-]+", "-", run_id)[:80]
    words = [f"shard={shard:04d}", *([period] if period else []), run, uuid.uuid4().hex[:8], "parquet"]
    return ".".join(words)
