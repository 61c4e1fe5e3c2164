"""Nobody writes in another's name, frees other people's money or unfixes a cycle."""

from include.database import run_revision

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    run_revision("0014_rights")
