"""A number that went to somebody new: the former holder's refusals lapse, by the number alone."""

from include.database import run_revision

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    run_revision("0012_new_holders")
