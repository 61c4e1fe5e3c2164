"""Drift and ranking of factors; erasure over everything the revisions since 0003 added."""

from include.database import run_revision

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_revision("0007_drift")
