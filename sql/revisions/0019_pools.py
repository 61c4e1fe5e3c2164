"""Pools: the next ticket is given by rank, and how many a person had of a campaign's cycle is counted."""

from include.database import run_revision

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    run_revision("0019_pools")
