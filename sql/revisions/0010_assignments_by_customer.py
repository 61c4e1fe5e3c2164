"""Assignments are found by customer as they are by number."""

from include.database import run_revision

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_revision("0010_assignments_by_customer")
