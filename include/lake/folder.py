"""The lake in a folder: a file is written beside its place, forced to disk, then given its name."""

import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

_TEMPORARY = ".tmp-"


class Folder:
    """A store in the folder `root`, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        target = self._beneath(name)
        _settle(_write_temporary(target, content), target)

    def create(self, name: str, content: bytes) -> None:
        # for the owner alone; a folder that stands keeps the rights its operator gave it
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = _write_temporary(self.root / name, content)
        try:
            # A link, unlike a rename, fails when another process was first.
            os.link(temporary, self.root / name)
        finally:
            temporary.unlink()

    def write_parquet(self, name: str, rows: pl.DataFrame) -> None:
        target = self._beneath(name)
        temporary = target.with_name(_TEMPORARY + target.name)
        rows.write_parquet(temporary, compression="zstd")
        _settle(temporary, target)

    def take(self, name: str, file: Path) -> None:
        target = self._beneath(name)
        temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
        shutil.move(file, temporary)
        _settle(temporary, target)

    def has(self, name: str) -> bool:
        return (self.root / name).exists()

    def size(self, name: str) -> int:
        try:
            return (self.root / name).stat().st_size
        except FileNotFoundError:
            return 0

    def address(self, name: str) -> str:
        return str(self.root / name)

    def folders(self, name: str = "") -> list[str]:
        with suppress(FileNotFoundError):
            inside = (path for path in (self.root / name).iterdir() if path.is_dir())
            return sorted(path.name for path in inside if not path.name.startswith("."))
        return []

    def files(self, name: str) -> dict[str, float]:
        found = {}
        with suppress(FileNotFoundError):
            for path in (self.root / name).iterdir():
                with suppress(FileNotFoundError):  # another purge was faster
                    if path.is_file():
                        found[path.name] = path.stat().st_mtime
        return found

    def below(self, name: str) -> Iterator[str]:
        for path in sorted((self.root / name).rglob("*")):
            inside = path.relative_to(self.root)
            if path.is_file() and not any(part.startswith(".") for part in inside.parts):
                yield inside.as_posix()

    def delete(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def clock(self, name: str) -> float:
        temporary = _write_temporary(self._beneath(f"{name}/clock"), b"")
        try:
            return temporary.stat().st_mtime
        finally:
            temporary.unlink()

    def make_private(self, name: str) -> None:
        (self.root / name).mkdir(mode=0o700, exist_ok=True)

    def is_private(self, name: str) -> bool:
        return not stat.S_IMODE((self.root / name).stat().st_mode) & 0o077

    def is_empty(self) -> bool:
        return not self.root.exists() or not any(self.root.iterdir())

    @contextmanager
    def spool(self, prefix: str) -> Iterator[Path]:
        # beside the tables: the same disk, and found again when its collector dies
        with TemporaryDirectory(prefix=prefix, dir=self.root, ignore_cleanup_errors=True) as name:
            yield Path(name)

    def drop_spools(self, prefix: str, older_than: float) -> int:
        return drop_spools(self.root, prefix, older_than, self.clock("."))

    def _beneath(self, name: str) -> Path:
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


def drop_spools(folder: Path, prefix: str, older_than: float, at: float) -> int:
    """Remove the folders of that prefix changed `older_than` seconds before `at`; how many there were."""
    dropped = 0
    for path in folder.glob(f"{prefix}*"):
        with suppress(FileNotFoundError):
            if at - path.stat().st_mtime > older_than:
                shutil.rmtree(path, ignore_errors=True)
                dropped += 1
    return dropped


def _write_temporary(target: Path, content: bytes) -> Path:
    temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
    temporary.write_bytes(content)
    return temporary


def _settle(temporary: Path, target: Path) -> None:
    """Give a finished file its name once its bytes are on disk, in one atomic step."""
    with temporary.open("rb") as written:
        os.fsync(written.fileno())
    temporary.replace(target)
