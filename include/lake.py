"""The lake: Parquet tables by month and shard. A month is published by one small atomic write of its
manifest; readers go by the manifest, so they never see half a month."""

import hashlib
import json
import os
import re
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from include.domain.errors import BadInput, NotReady
from include.domain.months import parse_month

SUBSCRIBERS_PER_SHARD = 500_000
GRACE_SECONDS = 3_600
UNKNOWN_SECONDS = 86_400

_MANIFEST = "_manifest.json"
_LAKE = "lake.json"
_TEMPORARY = ".tmp-"


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
    """Opens the lake in folder `root`; NotReady when there is none."""

    def __init__(self, root: str | Path) -> None:
        self.root = _folder(root)
        try:
            described = json.loads((self.root / _LAKE).read_bytes())
        except FileNotFoundError:
            raise NotReady(f"There is no lake in {self.root}. The loop's first run makes one.") from None
        self.shards: int = described["shards"]

    @classmethod
    def create(cls, root: str | Path, subscribers: int = 0) -> "Lake":
        """Lay down a lake with a shard for every 500,000 subscribers expected; BadInput when one exists."""
        folder = _folder(root)
        # for the owner alone; a folder that stands keeps the rights its operator gave it
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        shards = max(1, -(-subscribers // SUBSCRIBERS_PER_SHARD))
        temporary = _write_temporary(folder / _LAKE, json.dumps({"shards": shards}).encode())
        try:
            # A link, unlike a rename, fails when another process was first.
            os.link(temporary, folder / _LAKE)
        except FileExistsError:
            raise BadInput(f"{folder} already holds a lake. Open it, or choose another folder.") from None
        finally:
            temporary.unlink()
        return cls(folder)

    @classmethod
    def open_or_create(cls, root: str | Path, subscribers: int = 0) -> "Lake":
        """The lake in `root`, laid down first when there is none; safe when two processes start at once."""
        if not cls.exists(root):
            try:
                return cls.create(root, subscribers)
            except BadInput:
                pass  # another process created it in between: open that one
        return cls(root)

    @staticmethod
    def exists(root: str | Path) -> bool:
        """Whether a lake has been laid down in `root`."""
        return (_folder(root) / _LAKE).exists()

    def shard_of(self, ids: pl.Series) -> pl.Series:
        """The shard (UInt32) of each subscriber_id: crc32 of its UTF-8 text modulo the shard count."""
        if self.shards == 1:
            return pl.zeros(len(ids), pl.UInt32, eager=True).alias("shard")
        hashes = [zlib.crc32((text or "").encode()) % self.shards for text in ids.to_list()]
        return pl.Series("shard", hashes, dtype=pl.UInt32)

    def months(self, table: str) -> list[str]:
        """The published months of a table, oldest first."""
        return sorted(path.parent.name[6:] for path in self.root.glob(f"{table}/month=*/{_MANIFEST}"))

    def has(self, table: str, month: str) -> bool:
        """Whether the month of the table is published."""
        return (self._month(table, month) / _MANIFEST).exists()

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
        target = self._month(table, month) / name
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(_TEMPORARY + name)
        rows.write_parquet(temporary, compression="zstd")
        _settle(temporary, target)
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

    def private_folder(self, name: str) -> Path:
        """The folder `name` below the root, made for the owner alone when there is none."""
        folder = self.root / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def write_file(self, name: str, content: bytes) -> None:
        """Put a small file (a model, a card) at `name` relative to the root, in one atomic step."""
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        _settle(_write_temporary(target, content), target)

    def read_file(self, name: str) -> bytes:
        """The small file at `name` relative to the root; NotReady when there is none."""
        try:
            return (self.root / name).read_bytes()
        except FileNotFoundError:
            raise NotReady(f"The lake holds no file {name}. Run the stage that makes it first.") from None

    def _month(self, table: str, month: str) -> Path:
        return self.root / table / f"month={parse_month(month)}"

    def _read_manifest(self, table: str, month: str) -> Manifest | None:
        try:
            stored = json.loads((self._month(table, month) / _MANIFEST).read_bytes())
        except FileNotFoundError:
            return None
        return Manifest(**{**stored, "parts": tuple(Part(**part) for part in stored["parts"])})

    def _scan_parts(self, manifest: Manifest, parts: Sequence[Part]) -> pl.LazyFrame:
        folder = self._month(manifest.table, manifest.month)
        by_period: dict[str, list[Path]] = {}
        for part in sorted(parts, key=lambda part: (part.period, part.shard)):
            by_period.setdefault(part.period, []).append(folder / part.name)
        frames = [pl.scan_parquet(paths, hive_partitioning=False) for paths in by_period.values()]
        # A day may have been delivered with fewer columns than the others.
        return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal")

    def _refuse_unwritten(self, manifest: Manifest) -> None:
        folder = self._month(manifest.table, manifest.month)
        for part in manifest.parts:
            if not (folder / part.name).exists():
                where = f"{manifest.table} of {manifest.month}"
                raise NotReady(f"{part.name} of {where} is gone. Run the stage again before publishing.")

    def _replace_manifest(self, before: Manifest | None, after: Manifest) -> Manifest:
        target = self._month(after.table, after.month) / _MANIFEST
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _write_temporary(target, b"")
        # The store's own clock tells the age of files; it need not agree with this machine's.
        at = temporary.stat().st_mtime
        waiting = _superseded(before, after, at)
        expired = {name for name, since in waiting.items() if at - since > GRACE_SECONDS}
        after.superseded.update({name: since for name, since in waiting.items() if name not in expired})
        temporary.write_bytes(json.dumps(asdict(after), ensure_ascii=False, sort_keys=True).encode())
        _settle(temporary, target)
        _purge(target.parent, after, expired, at)
        return after


def _superseded(before: Manifest | None, after: Manifest, at: float) -> dict[str, float]:
    """Files that readers of an earlier manifest may still have open, and since when they are replaced."""
    if before is None:
        return {}
    live = {part.name for part in after.parts}
    return {**{part.name: at for part in before.parts if part.name not in live}, **before.superseded}


def _purge(folder: Path, manifest: Manifest, expired: set[str], at: float) -> None:
    """Delete what no reader can still need: the expired, and files of writers that died a day ago."""
    kept = {_MANIFEST, *(part.name for part in manifest.parts), *manifest.superseded}
    for path in folder.iterdir():
        if path.name in expired or (path.name not in kept and at - _modified(path, at) > UNKNOWN_SECONDS):
            path.unlink(missing_ok=True)


def _successor(before: Manifest | None, after: Manifest, period: str | None) -> Manifest:
    """`after` as it stands for the whole month: for a day, joined with what stands for the other periods."""
    if period is None:
        return replace(after, periods={after.month: after.fingerprint})
    others = [part for part in before.parts if part.period != period] if before else []
    periods = {**(before.periods if before else {}), period: after.fingerprint}
    together = hashlib.sha256(json.dumps(periods, sort_keys=True).encode()).hexdigest()
    facts = {**(before.facts if before else {}), **after.facts}
    return replace(after, parts=(*others, *after.parts), fingerprint=together, facts=facts, periods=periods)


def _folder(root: str | Path) -> Path:
    if "://" in str(root):
        raise BadInput(f"The lake cannot live at {root} yet: give a folder.")
    return Path(root)


def _part_name(shard: int, period: str | None, run_id: str) -> str:
    """A name no other attempt can take, even of the same run: live files are never written over."""
    run = re.sub(r"[^0-9A-Za-z_-]+", "-", run_id)[:80]
    words = [f"shard={shard:04d}", *([period] if period else []), run, uuid.uuid4().hex[:8], "parquet"]
    return ".".join(words)


def _write_temporary(target: Path, content: bytes) -> Path:
    temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    return temporary


def _settle(temporary: Path, target: Path) -> None:
    """Give a finished file its name once its bytes are on disk, in one atomic step."""
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)


def _modified(path: Path, otherwise: float) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # another purge was faster
        return otherwise
