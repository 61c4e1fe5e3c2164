"""The official days off and make-up working days 2022–2026, copied by hand from the State Council's notices.

Nothing here comes from the package chinesecalendar: this list is what it is measured against.
"""

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Break:
    """One numbered item of a notice: days off from `first` to `last` (共 `days` 天) and its make-up days."""

    name: str
    first: date
    last: date
    days: int
    make_ups: tuple[date, ...] = ()


@dataclass(frozen=True)
class Notice:
    """国务院办公厅关于…年部分节假日安排的通知: its number, its date, its items."""

    year: int
    number: str
    issued_on: date
    breaks: tuple[Break, ...]


NOTICES = (
    Notice(
        2022,
        "国办发明电〔2021〕11号",
        date(2021, 10, 25),
        (
            Break("元旦", date(2022, 1, 1), date(2022, 1, 3), 3),
            Break("春节", date(2022, 1, 31), date(2022, 2, 6), 7, (date(2022, 1, 29), date(2022, 1, 30))),
            Break("清明节", date(2022, 4, 3), date(2022, 4, 5), 3, (date(2022, 4, 2),)),
            Break("劳动节", date(2022, 4, 30), date(2022, 5, 4), 5, (date(2022, 4, 24), date(2022, 5, 7))),
            Break("端午节", date(2022, 6, 3), date(2022, 6, 5), 3),
            Break("中秋节", date(2022, 9, 10), date(2022, 9, 12), 3),
            Break("国庆节", date(2022, 10, 1), date(2022, 10, 7), 7, (date(2022, 10, 8), date(2022, 10, 9))),
        ),
    ),
    Notice(
        2023,
        "国办发明电〔2022〕16号",
        date(2022, 12, 8),
        (
            Break("元旦", date(2022, 12, 31), date(2023, 1, 2), 3),
            Break("春节", date(2023, 1, 21), date(2023, 1, 27), 7, (date(2023, 1, 28), date(2023, 1, 29))),
            Break("清明节", date(2023, 4, 5), date(2023, 4, 5), 1),
            Break("劳动节", date(2023, 4, 29), date(2023, 5, 3), 5, (date(2023, 4, 23), date(2023, 5, 6))),
            Break("端午节", date(2023, 6, 22), date(2023, 6, 24), 3, (date(2023, 6, 25),)),
            Break(
                "中秋节、国庆节",
                date(2023, 9, 29),
                date(2023, 10, 6),
                8,
                (date(2023, 10, 7), date(2023, 10, 8)),
            ),
        ),
    ),
    Notice(
        2024,
        "国办发明电〔2023〕7号",
        date(2023, 10, 25),
        (
            # "1月1日放假，与周末连休"
            Break("元旦", date(2024, 1, 1), date(2024, 1, 1), 1),
            Break("春节", date(2024, 2, 10), date(2024, 2, 17), 8, (date(2024, 2, 4), date(2024, 2, 18))),
            Break("清明节", date(2024, 4, 4), date(2024, 4, 6), 3, (date(2024, 4, 7),)),
            Break("劳动节", date(2024, 5, 1), date(2024, 5, 5), 5, (date(2024, 4, 28), date(2024, 5, 11))),
            # "6月10日放假，与周末连休"
            Break("端午节", date(2024, 6, 10), date(2024, 6, 10), 1),
            Break("中秋节", date(2024, 9, 15), date(2024, 9, 17), 3, (date(2024, 9, 14),)),
            Break("国庆节", date(2024, 10, 1), date(2024, 10, 7), 7, (date(2024, 9, 29), date(2024, 10, 12))),
        ),
    ),
    Notice(
        2025,
        "国办发明电〔2024〕12号",
        date(2024, 11, 12),
        (
            Break("元旦", date(2025, 1, 1), date(2025, 1, 1), 1),
            Break("春节", date(2025, 1, 28), date(2025, 2, 4), 8, (date(2025, 1, 26), date(2025, 2, 8))),
            Break("清明节", date(2025, 4, 4), date(2025, 4, 6), 3),
            Break("劳动节", date(2025, 5, 1), date(2025, 5, 5), 5, (date(2025, 4, 27),)),
            Break("端午节", date(2025, 5, 31), date(2025, 6, 2), 3),
            Break(
                "国庆节、中秋节",
                date(2025, 10, 1),
                date(2025, 10, 8),
                8,
                (date(2025, 9, 28), date(2025, 10, 11)),
            ),
        ),
    ),
    Notice(
        2026,
        "国办发明电〔2025〕7号",
        date(2025, 11, 4),
        (
            Break("元旦", date(2026, 1, 1), date(2026, 1, 3), 3, (date(2026, 1, 4),)),
            Break("春节", date(2026, 2, 15), date(2026, 2, 23), 9, (date(2026, 2, 14), date(2026, 2, 28))),
            Break("清明节", date(2026, 4, 4), date(2026, 4, 6), 3),
            Break("劳动节", date(2026, 5, 1), date(2026, 5, 5), 5, (date(2026, 5, 9),)),
            Break("端午节", date(2026, 6, 19), date(2026, 6, 21), 3),
            Break("中秋节", date(2026, 9, 25), date(2026, 9, 27), 3),
            Break("国庆节", date(2026, 10, 1), date(2026, 10, 7), 7, (date(2026, 9, 20), date(2026, 10, 10))),
        ),
    ),
)


def days_from(first: date, last: date) -> list[date]:
    """Every day from `first` to `last`, both included."""
    return [first + timedelta(days=ahead) for ahead in range((last - first).days + 1)]


DAYS_OFF = {day for notice in NOTICES for each in notice.breaks for day in days_from(each.first, each.last)}
MAKE_UPS = {day for notice in NOTICES for each in notice.breaks for day in each.make_ups}
# No notice for 2027 yet: only the statutory holiday of fixed date that ten working days from 2026 can meet
NEW_YEAR_2027 = date(2027, 1, 1)


def is_worked(day: date) -> bool:
    """Whether an office works on a day of 2022–2026 or, as far as is known today, of January 2027."""
    if day in MAKE_UPS:
        return True
    return day.weekday() < 5 and day not in DAYS_OFF and day != NEW_YEAR_2027


def working_days_after(opened: date, days: int) -> list[date]:
    """The first `days` working days after a day, counted naively one day at a time."""
    found: list[date] = []
    day = opened
    while len(found) < days:
        day += timedelta(days=1)
        if is_worked(day):
            found.append(day)
    return found
