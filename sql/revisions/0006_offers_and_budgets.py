"""Offers, budget pots, outreach lists."""

from include.database import run_revision

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_revision("0006_offers_and_budgets")
