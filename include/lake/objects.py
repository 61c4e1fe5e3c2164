"""The lake in an object store: a PUT is whole or not there, so that a file needs no second step.

Address and credentials come from the environment as the store's own tools read it (AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT_URL …); obstore and Polars use the same Rust library for it.
"""

import hashlib
import io
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import obstore
import polars as pl
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from include.domain.errors import NotReady
from include.lake.folder import drop_spools
from include.lake.store import File, Written

_RETRIES: Any = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


class Objects:
    """A store at `root`, a URL like s3://bucket/prefix."""

    def __init__(self, root: str) -> None:
        self.root = root
        # an endpoint on http:// is taken at its word: object stores inside a house often have no TLS
        if os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://"):
            os.environ.setdefault("AWS_ALLOW_HTTP", "true")
        with _told_plainly(root):
            self._store: Any = from_url(root, retry_config=_RETRIES)

    def read(self, name: str) -> bytes:
        with _told_plainly(self.root):
            return bytes(obstore.get(self._store, name).bytes())

    def write(self, name: str, content: bytes) -> None:
        with _told_plainly(self.root):
            obstore.put(self._store, name, content)

    def create(self, name: str, content: bytes) -> None:
        with _told_plainly(self.root):
            try:
                obstore.put(self._store, name, content, mode="create")
            except AlreadyExistsError:
                raise FileExistsError(name) from None

    def write_parquet(self, name: str, rows: pl.DataFrame) -> Written:
        # made here first: what a store says of its content hangs on how it came there
        content = io.BytesIO()
        rows.write_parquet(content, compression="zstd")
        made = content.getvalue()
        self.write(name, made)
        return Written(len(made), hashlib.sha256(made).hexdigest())

    def sha256(self, name: str) -> str:
        digest = hashlib.sha256()
        with _told_plainly(self.root):
            for piece in obstore.get(self._store, name):
                digest.update(piece)
        return digest.hexdigest()

    def take(self, name: str, file: Path) -> None:
        with _told_plainly(self.root):
            obstore.put(self._store, name, file)
        file.unlink()

    def has(self, name: str) -> bool:
        return self._head(name) is not None

    def address(self, name: str) -> str:
        return f"{self.root}/{name}"

    def folders(self, name: str = "") -> list[str]:
        with _told_plainly(self.root):
            found = obstore.list_with_delimiter(self._store, name or None)
        return sorted(path.rpartition("/")[2] for path in found["common_prefixes"])

    def files(self, name: str) -> dict[str, File]:
        with _told_plainly(self.root):
            found = obstore.list_with_delimiter(self._store, name or None)
        return {each["path"].rpartition("/")[2]: _file(each) for each in found["objects"]}

    def below(self, name: str) -> Iterator[str]:
        with _told_plainly(self.root):
            for batch in obstore.list(self._store, name or None):
                yield from (each["path"] for each in batch)

    def delete(self, name: str) -> None:
        with _told_plainly(self.root):
            try:
                obstore.delete(self._store, name)
            except FileNotFoundError:
                return

    def clock(self, name: str) -> float:
        probe = f"{name}/.tmp-{uuid.uuid4().hex}"
        self.write(probe, b"")
        found = self._head(probe)
        self.delete(probe)
        if found is None:
            raise NotReady(f"{self.root} does not show what was just written to it. Run the stage again.")
        return float(found["last_modified"].timestamp())

    def make_private(self, name: str) -> None:
        """Nothing: who may read a prefix is a matter of the bucket's policy."""

    def is_private(self, name: str) -> bool:
        return False

    def is_empty(self) -> bool:
        return next(self.below(""), None) is None

    @contextmanager
    def spool(self, prefix: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix=self._own(prefix), ignore_cleanup_errors=True) as name:
            yield Path(name)

    def drop_spools(self, prefix: str, older_than: float) -> int:
        with tempfile.NamedTemporaryFile() as now:
            at = Path(now.name).stat().st_mtime
        return drop_spools(Path(tempfile.gettempdir()), self._own(prefix), older_than, at)

    def _own(self, prefix: str) -> str:
        """The prefix for this lake alone: others of the machine may spool in the same folder."""
        return f"{prefix}{hashlib.sha256(self.root.encode()).hexdigest()[:12]}-"

    def _head(self, name: str) -> Any:
        with _told_plainly(self.root):
            try:
                return obstore.head(self._store, name)
            except FileNotFoundError:
                return None


def _file(found: Any) -> File:
    changed_at = found["last_modified"].timestamp()
    return File(found["size"], changed_at, f"{found['e_tag']} {changed_at} {found['size']}")


@contextmanager
def _told_plainly(root: str) -> Iterator[None]:
    """What the store refuses in one sentence; a file that is not there stays FileNotFoundError."""
    try:
        yield
    except BaseError as error:
        cause = " ".join(str(error).split())[:300]
        raise NotReady(
            f"The object store {root} does not answer as it should: {cause}. "
            "Look at its address and credentials (AWS_ENDPOINT_URL, AWS_ACCESS_KEY_ID …), then run again."
        ) from error
