"""What the desk keeps: uses of phone numbers, tickets held for a moment, idempotency keys."""

from include.database import run_revision

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    run_revision("0008_desk")
