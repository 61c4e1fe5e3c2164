"""A stop of all outbound: what it can cover, and the days on which the clocks it held up rest."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from include.domain.errors import BadInput
from include.domain.periods.months import ZONE

ALL, CAMPAIGN, TEAM, REGION = SCOPES = ("all", "campaign", "team", "region")
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Scope:
    """What is stopped: everything, or a campaign, team or region by its name or code."""

    scope: str
    what: str | None = None

    def __post_init__(self) -> None:
        if self.scope not in SCOPES or (self.scope == ALL) != (self.what is None):
            raise BadInput(
                "A stop is of everything, or of one campaign, team or region; got '{typed}'. Name one of them.",
                code="stop_of_what", typed=self.named,
            )  # fmt: skip

    @property
    def named(self) -> str:
        """all, or "region 0451"."""
        return f"{self.scope} {self.what or ''}".strip()


def rested_days(stopped_at: datetime, lifted_at: datetime, opens: time, closes: time) -> list[date]:
    """The days that do not count: those in whose working hours the stop stood, however short (Asia/Shanghai)."""
    start, end = stopped_at.astimezone(ZONE), lifted_at.astimezone(ZONE)
    first = start.date() if start.time() < closes else start.date() + _DAY
    last = end.date() if end.time() > opens else end.date() - _DAY
    return [first + _DAY * ahead for ahead in range((last - first).days + 1)]


def as_rests(pauses: Iterable[tuple[date, date]], days: Iterable[date] = ()) -> list[tuple[date, date]]:
    """Pauses and further days as rests of one day each, none twice, the first one first."""
    paused = (start + _DAY * ahead for start, end in pauses for ahead in range((end - start).days))
    return [(day, day + _DAY) for day in sorted({*paused, *days})]
