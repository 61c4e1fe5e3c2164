"""Branches, rosters, capacity per team, recall and hand-over."""

from include.database import run_revision

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run_revision("0005_people_and_capacity")
