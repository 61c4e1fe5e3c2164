"""One writing for one person: what is stored is brought to the canonical form, counts told."""

from include.database import run_revision

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    run_revision("0011_canonical_ids")
