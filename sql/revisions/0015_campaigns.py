"""One engine for many campaigns: cycles know their place, draws are shared, one calling ticket per customer."""

from include.database import run_revision

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    run_revision("0015_campaigns")
