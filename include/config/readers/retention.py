"""retention.yaml: how many months or days of each kind of data are kept."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from include.config.readers.reading import Entry, validated
from include.domain.periods.months import ZONE, month_of, shift

Kept = Literal[
    "phones", "notes", "inbound", "evidence", "warnings", "decisions", "outreach", "notices", "absences",
    "stage_runs", "deliveries", "audit_log",
]  # fmt: skip


#: Days the database keeps these for whatever is configured: its procedures take nothing younger.
AT_LEAST = {"audit_log": 180, "warnings": 180}


class Months(Entry):
    """So many months back from the running one."""

    months: Annotated[int, Field(ge=2, le=600)]


class Days(Entry):
    """So many days back."""

    days: Annotated[int, Field(ge=1, le=20_000)]


class LakeMonths(Entry):
    """The months of each table; `default` for those not named."""

    default: Months
    tables: dict[str, Months] = Field(default_factory=dict)


def _long_enough(kept: dict[Kept, Days]) -> dict[Kept, Days]:
    for kind, least in AT_LEAST.items():
        if kind in kept and kept[kind].days < least:
            raise ValueError(f"'{kind}' is kept for {least} days at least")
    return kept


class Retention(Entry):
    """What is kept for how long; a kind of the database that is not named is kept."""

    lake: LakeMonths
    quarantine: Days
    database: Annotated[dict[Kept, Days], AfterValidator(_long_enough)] = Field(default_factory=dict)

    def oldest_month(self, table: str, now: datetime) -> str:
        """The oldest month of a lake table that is still kept at `now`."""
        kept = self.lake.tables.get(table, self.lake.default).months
        return shift(month_of(now.astimezone(ZONE).date()), -kept)


def parse(raw: object, file: str) -> Retention:
    """retention.yaml."""
    return validated(Retention, raw, file)
