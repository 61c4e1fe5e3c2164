"""How far a cycle looks ahead, in months or in days, and the time that makes of its key."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.domain.periods import months, period


@dataclass(frozen=True)
class Window:
    """The time something is to happen in: from one midnight up to, not including, another (Asia/Shanghai).

    `month` is the month whose profile and usage were known before it.
    """

    month: str
    begins_at: datetime
    ends_at: datetime

    @property
    def last_day(self) -> date:
        """The last day that belongs to it."""
        return self.ends_at.date() - timedelta(days=1)

    @property
    def last_month(self) -> str:
        """The month its last day lies in, by whose profile and usage it is judged."""
        return months.month_of(self.last_day)

    @property
    def months(self) -> list[str]:
        """Every month it touches, oldest first."""
        found = [months.month_of(self.begins_at.date())]
        while found[-1] < self.last_month:
            found.append(months.shift(found[-1], 1))
        return found

    @property
    def is_of_whole_months(self) -> bool:
        """Whether it begins and ends with a month."""
        return self.begins_at.day == self.ends_at.day == 1

    def days_in(self, month: str) -> list[str]:
        """Its days that lie in `month`, as their deliveries are named."""
        first = max(self.begins_at.date(), months.first_day(month))
        last = min(self.last_day, months.last_day(month))
        return [(first + timedelta(days=ahead)).isoformat() for ahead in range((last - first).days + 1)]


@dataclass(frozen=True)
class Horizon:
    """So many calendar months after the month of a key, or days after its month's end or its own morning."""

    length: int
    is_in_days: bool = False

    @property
    def as_fact(self) -> int | str:
        """As model versions and labels are marked with it: months by their number alone."""
        return f"{self.length} days" if self.is_in_days else self.length

    def ends_at(self, key: str) -> datetime:
        """When what the cycle `key` is about is over."""
        if self.is_in_days:
            return period.ends_at(key) + timedelta(days=self.length)
        return months.month_start(months.shift(key[:7], 1 + self.length))

    def after(self, key: str, month: str | None = None) -> Window:
        """The time a cycle is about; `month` is that of its factors, where its key is a day."""
        return Window(month or key, period.ends_at(key), self.ends_at(key))
