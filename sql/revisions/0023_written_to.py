"""Who is written to by a campaign that does not grade stands on its list without a grade."""

from include.database import run_revision

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    run_revision("0023_written_to")
