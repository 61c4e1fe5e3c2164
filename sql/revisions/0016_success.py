"""Whether an assignment was a success, and from which day on a cycle's can be known."""

from include.database import run_revision

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    run_revision("0016_success")
