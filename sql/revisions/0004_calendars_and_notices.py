"""Calendar layers, service levels, delivery of notices."""

from include.database import run_revision

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_revision("0004_calendars_and_notices")
