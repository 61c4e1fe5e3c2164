"""All outbound of a region, team, campaign or everything can be stopped at once, and clocks rest meanwhile."""

from include.database import run_revision

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    run_revision("0022_stops")
