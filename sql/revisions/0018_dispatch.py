"""Dispatch for many campaigns: when a waiting ticket is stale, who was taken up when, which ticket is in the way."""

from include.database import run_revision

revision = "0018"
down_revision = "0016"


def upgrade() -> None:
    run_revision("0018_dispatch")
