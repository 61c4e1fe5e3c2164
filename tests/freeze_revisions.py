"""Writes down what the revisions are and make: sql/revisions/SHA256SUMS and sql/catalogue.tsv.

PYTHONPATH=. .venv/bin/python -m tests.freeze_revisions

To be run when a revision was added. A line that changes for a merged one tells that it was edited: take it back.
"""

import shutil

import sqlalchemy as sa

from include.database import engine, revisions, run_revisions
from include.local.postgres import Server
from tests.conftest import scratch


def hashes() -> str:
    """The lines of SHA256SUMS, as the program sha256sum reads them."""
    return "".join(f"{revisions.sha256_of(file)}  {file.name}\n" for file in revisions.revision_files())


def catalogue(db: sa.Connection) -> str:
    """The lines of catalogue.tsv of a fresh database."""
    version, found = revisions.catalogue(
        db, {("table", "churn_revision"): "", ("table", "revision_texts"): ""}
    )
    objects = {key: definition for key, definition in found.items() if key[0] != "revision"}
    lines = ["\t".join((*key, definition)) for key, definition in sorted(objects.items())]
    return "\n".join([f"PostgreSQL {version}", *lines, ""])


def main() -> None:
    """Freeze the hashes, then take the catalogue of a database made by these very revisions."""
    (revisions.SQL / "revisions" / "SHA256SUMS").write_text(hashes(), "utf-8")
    folder = scratch("churn-freeze-")
    server = Server(folder / "postgres", fsync=False)
    try:
        server.start()
        with engine(server.url("postgres"), role=None, poolclass=sa.NullPool).begin() as db:
            run_revisions(db)
            told = catalogue(db)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    (revisions.SQL / "catalogue.tsv").write_text(told, "utf-8")
    print(f"{len(told.splitlines()) - 1} objects, {len(hashes().splitlines())} files")


if __name__ == "__main__":
    main()
