"""The work on a ticket is drawn from its campaign: clocks of any name, a checklist, endings that are willing."""

from include.database import run_revision

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    run_revision("0020_work")
