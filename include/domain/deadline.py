"""A deadline and its explanation: each calendar day from its start to its end, counted, or why not."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

from include.domain.errors import BadInput
from include.domain.periods.months import ZONE

Language = Literal["zh", "en"]
Reason = Literal["opened", "working", "make_up", "calendar", "weekend", "holiday", "paused", "grace"]

_WEEKDAYS = {
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
# strftime would follow the machine's locale
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_PROVISIONAL = {
    "zh": (
        "暂定：下一份放假安排通知尚未公布，可能调整这些日期。在此之前按周一至周五和日期固定的法定假日"
        "（1月1日、5月1–2日、10月1–3日）推算；春节、清明、端午、中秋和调休上班日要等公布后才知道，届时重新计算。"
    ),
    "en": (
        "Provisional: the next official holiday notice is not published yet and may move these days. Until "
        "then they count as Monday to Friday without the statutory holidays of fixed date (1 January, 1–2 "
        "May, 1–3 October); Spring Festival, Tomb-sweeping Day, Dragon Boat and Mid-autumn Festival and "
        "make-up working days are not known before the notice, and the deadline is worked out again then."
    ),
}


@dataclass(frozen=True, slots=True)
class DayNote:
    """One calendar day: counted, or why not. `name` is "中文 / English" of the holiday behind it, if any."""

    day: date
    counted: bool
    reason: Reason
    name: str | None = None
    is_provisional: bool = False


@dataclass(frozen=True, slots=True)
class Deadline:
    """An aware instant, whether a notice may still move it, and every day from day 0 to its own."""

    at: datetime
    is_provisional: bool
    days: tuple[DayNote, ...]

    @property
    def day(self) -> date:
        """The Shanghai date of the deadline."""
        return self.at.astimezone(ZONE).date()

    def explain(self, language: Language = "zh") -> list[str]:
        """One sentence per day and, for a provisional deadline, one on what is not known yet."""
        check_language(language)
        sentences = []
        number = 0
        for note in self.days:
            number += note.counted
            sentences.append(_sentence(note, number, language))
        return sentences + [_PROVISIONAL[language]] * self.is_provisional

    def to_json(self) -> dict[str, Any]:
        """The deadline as JSON, to be stored with a ticket as it was."""
        days = [asdict(note) | {"day": note.day.isoformat()} for note in self.days]
        return {"at": self.at.isoformat(), "is_provisional": self.is_provisional, "days": days}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Deadline":
        """The deadline that `to_json` stored."""
        days = (DayNote(**note | {"day": date.fromisoformat(note["day"])}) for note in stored["days"])
        at = datetime.fromisoformat(stored["at"]).astimezone(ZONE)
        return cls(at, stored["is_provisional"], tuple(days))


def check_language(language: str) -> None:
    """Raise BadInput unless `language` is zh or en."""
    if language not in get_args(Language):
        raise BadInput(f"Deadlines are explained in zh or en, not in '{language}'. Choose one of the two.")


def day_text(day: date, language: Language) -> str:
    """A date with its weekday: 2026年10月10日 周六, Sat 10 Oct 2026."""
    weekday = _WEEKDAYS[language][day.weekday()]
    if language == "zh":
        return f"{day.year}年{day.month}月{day.day}日 {weekday}"
    return f"{weekday} {day.day} {_MONTHS[day.month - 1]} {day.year}"


def _sentence(note: DayNote, number: int, language: Language) -> str:
    if language == "zh":
        mark = "（暂定）" if note.is_provisional else ""
        return f"{day_text(note.day, 'zh')}：{_reason_zh(note, number)}{mark}"
    mark = " (provisional)" if note.is_provisional else ""
    return f"{day_text(note.day, 'en')}: {_reason_en(note, number)}{mark}"


def _reason_zh(note: DayNote, number: int) -> str:
    name = (note.name or "").split(" / ")[0]
    return {
        "opened": "起算日（第 0 天），不计",
        "working": f"第 {number} 个工作日",
        "make_up": f"第 {number} 个工作日（{name}调休上班）",
        "calendar": f"第 {number} 天",
        "weekend": "周末，不计",
        "holiday": f"{name + '放假' if name else '休息日'}，不计",
        "paused": "已暂停，不计",
        "grace": "日历调整后留出的时间，不计",
    }[note.reason]


def _reason_en(note: DayNote, number: int) -> str:
    name = (note.name or "").split(" / ")[-1]
    return {
        "opened": "the day it starts (day 0), not counted",
        "working": f"working day {number}",
        "make_up": f"working day {number} (make-up day{' for ' + name if name else ''})",
        "calendar": f"day {number}",
        "weekend": "weekend, not counted",
        "holiday": f"{name or 'rest day'}, not counted",
        "paused": "paused, not counted",
        "grace": "left after a change of the calendar, not counted",
    }[note.reason]
