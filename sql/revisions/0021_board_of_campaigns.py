"""The board of one campaign or of all: figures over several campaigns, splits, suppressions, exposure of the arms."""

from include.database import run_revision

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    run_revision("0021_board_of_campaigns")
