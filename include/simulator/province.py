"""What a simulated province is: its size, seed and months, and how it is cut into blocks."""

from dataclasses import dataclass
from datetime import date

from include.domain.errors import BadInput
from include.domain.periods import months as calendar

LAST_MONTH = "2026-10"
FEEDS = (
    "subscribers",
    "usage_months",
    "service_events",
    "market_events",
    "subscriber_changes",
    "contact_limits",
    "churned",
)
WARNING, RENEWAL = "churn_warning", "contract_renewal"
#: The campaigns whose contacts have a known effect here, and the results of a contact that have it.
CAMPAIGNS = {WARNING: ("reached", "refused"), RENEWAL: ("reached",)}

_BLOCK = 200_000
NUMBERS_PER_BLOCK = 1_000_000
_MOST_SUBSCRIBERS = 10_000_000
_MOST_MONTHS = 60
_JOINERS_A_MONTH = 0.0205


def ordinal(month: str) -> int:
    """The number of a month counted in months, so that months can be added and compared."""
    return int(month[:4]) * 12 + int(month[5:7]) - 1


def month_named(number: int) -> str:
    """The month "YYYY-MM" behind an ordinal."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def day_number(day: date) -> int:
    """Days since 1970-01-01, the unit of every date inside the simulator."""
    return day.toordinal() - date(1970, 1, 1).toordinal()


def first_day(month: int) -> int:
    """The day number of the first day of a month ordinal."""
    return day_number(calendar.first_day(month_named(month)))


def days_in(month: int) -> int:
    """How many days a month ordinal has."""
    return first_day(month + 1) - first_day(month)


@dataclass(frozen=True)
class Province:
    """A seeded province: `subscribers` at the start, `months` months of which `last_month` is the last.

    The same seed, subscribers and *first* month give the same world; it may be continued by more months.
    Raises BadInput when a value cannot be used.
    """

    subscribers: int
    months: int
    seed: int
    last_month: str = LAST_MONTH

    def __post_init__(self) -> None:
        calendar.parse_month(self.last_month)
        _within("subscribers", self.subscribers, 10, _MOST_SUBSCRIBERS)
        _within("months", self.months, 1, _MOST_MONTHS)
        _within("seed", self.seed, 0, 2**63)

    @property
    def last(self) -> int:
        """Ordinal of the last whole month."""
        return ordinal(self.last_month)

    @property
    def first(self) -> int:
        """Ordinal of the first month."""
        return self.last - self.months + 1

    @property
    def blocks(self) -> list[int]:
        """Subscribers at the start of each block; blocks are simulated in turn, so memory stays bounded."""
        count = -(-self.subscribers // _BLOCK)
        return [self.subscribers // count + (block < self.subscribers % count) for block in range(count)]


def joiners(size: int, month: int) -> int:
    """How many join a block of `size` in a month: fixed in advance, so treatment never moves a newcomer."""
    season = {1: 0.85, 7: 1.1, 8: 1.5, 9: 1.0}.get(month % 12, 0.96)
    return round(size * _JOINERS_A_MONTH * season)


def _within(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise BadInput(f"{name} is {value}. Give a whole number from {low} to {high}.")
