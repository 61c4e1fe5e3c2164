"""A form sent twice is done once; refusals taken over the telephone are limited and told."""

from include.database import run_revision

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_revision("0013_desk_once")
