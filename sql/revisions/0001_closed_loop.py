"""The closed loop: the first revision of the operations database."""

from include.database import run_revision

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_revision("0001_closed_loop")
