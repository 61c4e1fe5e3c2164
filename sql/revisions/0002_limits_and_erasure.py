"""Standing contact limits, the frozen, approved gaps, retention periods and erasure."""

from include.database import run_revision

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run_revision("0002_limits_and_erasure")
