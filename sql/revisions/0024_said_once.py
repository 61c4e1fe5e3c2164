"""What a finished ticket is, and what a stopped clock is stamped with, is said in one place."""

from include.database import run_revision

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    run_revision("0024_said_once")
