"""What retention work records: contact ladder, processing, outcomes, do-not-call, linked tasks."""

from include.database import run_revision

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_revision("0003_retention_work")
