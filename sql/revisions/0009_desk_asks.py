"""What the desk asks of a ticket's money and offers it is told of tickets the person sees."""

from include.database import run_revision

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_revision("0009_desk_asks")
