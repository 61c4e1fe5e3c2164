"""Where the lake's files lie: what a folder and an object store both do for it, under names like a/b/c."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

import polars as pl

from include.domain.errors import BadInput

#: Object stores that both obstore and Polars read by the same environment variables.
SCHEMES = ("s3", "s3a", "gs", "az", "abfs", "abfss")


class File(NamedTuple):
    """A file as its store lists it: bytes, instant of change (epoch), and what differs once it is written anew."""

    size: int
    changed_at: float
    version: str


class Written(NamedTuple):
    """The bytes and the hash of what was written."""

    size: int
    sha256: str


class Store(Protocol):
    """Files by name. Whatever is written appears whole under its name, or not at all."""

    @property
    def root(self) -> Path | str:
        """The folder, or the address of the object store."""

    def read(self, name: str) -> bytes:
        """The content of a small file; FileNotFoundError when there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Put a small file at `name`, in place of one that stands."""

    def create(self, name: str, content: bytes) -> None:
        """Put a small file at `name`; FileExistsError when another process was first."""

    def write_parquet(self, name: str, rows: pl.DataFrame) -> Written:
        """Put rows at `name` as Parquet, zstd."""

    def sha256(self, name: str) -> str:
        """The hash of the bytes that lie at `name`, in hexadecimal; FileNotFoundError when there are none."""

    def take(self, name: str, file: Path) -> None:
        """Put a local file at `name`; a folder moves it."""

    def has(self, name: str) -> bool:
        """Whether a file is there."""

    def address(self, name: str) -> str:
        """What Polars opens the file by."""

    def folders(self, name: str = "") -> list[str]:
        """The names directly below `name` that hold further files, sorted; nothing hidden."""

    def files(self, name: str) -> dict[str, File]:
        """The files directly in `name`, hidden ones, too."""

    def below(self, name: str) -> Iterator[str]:
        """The full names of all files anywhere below `name`; nothing hidden."""

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone already is fine."""

    def clock(self, name: str) -> float:
        """The store's own time for files in `name` (epoch): it need not agree with this machine's."""

    def make_private(self, name: str) -> None:
        """Make the folder `name` for its owner alone, where folders have rights."""

    def is_private(self, name: str) -> bool:
        """Whether the folder `name` is its owner's alone; an object store does not say."""

    def is_empty(self) -> bool:
        """Whether nothing lies here yet."""

    def spool(self, prefix: str) -> AbstractContextManager[Path]:
        """A private local folder for work under way, removed at the end."""

    def drop_spools(self, prefix: str, older_than: float) -> int:
        """Remove what collectors left that died `older_than` seconds ago; how many folders there were."""


def open_store(root: str | Path) -> Store:
    """The store at a folder, a file:// address or an object store's URL; BadInput for another address."""
    from include.lake.folder import Folder

    scheme, separator, rest = str(root).partition("://")
    if not separator:
        return Folder(Path(root))
    if scheme == "file":
        return Folder(Path("/" + rest.lstrip("/")))
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise BadInput(f"The lake cannot live at {root}: give a folder, file:// or one of {known}.")
    from include.lake.objects import Objects

    return Objects(str(root).rstrip("/"))
