"""What a dispatch asks of the past does not cost more with every cycle."""

from include.database import run_revision

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_revision("0010_long_histories")
