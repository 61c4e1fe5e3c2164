"""The lake in a folder: a file is written beside its place, forced to disk, then given its name."""

import hashlib
import io
import os
import re
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import polars as pl

from include.lake.store import File, Written

_TEMPORARY = ".tmp-"


class Folder:
    """A store in the folder `root`, which need not exist yet."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, content: bytes) -> None:
        with _placed(self._beneath(name)) as temporary:
            temporary.write_bytes(content)

    def create(self, name: str, content: bytes) -> None:
        # for the owner alone; a folder that stands keeps the rights its operator gave it
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = _write_temporary(self.root / name, content)
        try:
            # A link, unlike a rename, fails when another process was first.
            os.link(temporary, self.root / name)
        finally:
            temporary.unlink()

    def write_parquet(self, name: str, rows: pl.DataFrame) -> Written:
        with _placed(self._beneath(name)) as temporary, writing(temporary) as file:
            rows.write_parquet(file, compression="zstd")
        return Written(file.size, file.digest.hexdigest())

    def sha256(self, name: str) -> str:
        return _sha256(self.root / name)

    def take(self, name: str, file: Path) -> None:
        with _placed(self._beneath(name)) as temporary:
            shutil.move(file, temporary)

    def has(self, name: str) -> bool:
        return (self.root / name).exists()

    def address(self, name: str) -> str:
        return str(self.root / name)

    def folders(self, name: str = "") -> list[str]:
        with suppress(FileNotFoundError):
            inside = (path for path in (self.root / name).iterdir() if path.is_dir())
            return sorted(path.name for path in inside if not path.name.startswith("."))
        return []

    def files(self, name: str) -> dict[str, File]:
        found = {}
        with suppress(FileNotFoundError):
            for path in (self.root / name).iterdir():
                with suppress(FileNotFoundError):  # another purge was faster
                    if path.is_file():
                        stat = path.stat()
                        version = f"{stat.st_ino} {stat.st_mtime_ns} {stat.st_size}"
                        found[path.name] = File(stat.st_size, stat.st_mtime, version)
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
        with naming(target):
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
    try:
        with naming(target):
            temporary.write_bytes(content)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def _placed(target: Path) -> Iterator[Path]:
    """A file beside `target`, which gets that name once its bytes are on disk, in one atomic step, or goes."""
    temporary = target.with_name(f"{_TEMPORARY}{uuid.uuid4().hex}")
    try:
        with naming(target):
            yield temporary
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What the disk refuses names the file at `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


class Watched(io.RawIOBase):
    """A file Polars writes: its size and hash, and what the disk refused, which Polars tells as an error of its own."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size, self.digest = 0, hashlib.sha256()
        self.refused: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        try:
            self._file.write(piece)
        except OSError as error:
            self.refused = error
            raise
        self.digest.update(piece)
        self.size += len(piece)
        return len(piece)


@contextmanager
def writing(path: Path) -> Iterator[Any]:
    """The file at `path` for Polars to write, a Watched; an OSError that names it for what the disk refuses."""
    with naming(path), path.open("wb") as file:
        watched = Watched(file)
        try:
            yield watched
        except pl.exceptions.ComputeError as error:
            raise watched.refused or error from error


def error_number(error: BaseException) -> int | None:
    """The number of the operating system's error behind one of the disk, of Python or of Polars."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    number = re.search(r"\(os error (\d+)\)", str(error))
    return int(number[1]) if number else None
