from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.deadline import DayNote, Deadline
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.workdays import PROVISIONAL, WorkCalendar, shanghai_day
from include.words.deadlines import explain_days
from tests.domain.official_days import NOTICES, days_from, is_worked, working_days_after

LIBRARY = WorkCalendar.from_library()
RECENT_ROWS = [row for row in LIBRARY.rows() if row["date"].year >= 2025]
OFFICIAL_YEARS = days_from(date(2022, 1, 1), date(2026, 12, 31))

any_day = st.dates(date(2003, 1, 1), date(2029, 12, 31))
few_days = st.integers(1, 15)
quickly = settings(max_examples=60, deadline=None, database=None)


@st.composite
def pauses(draw: st.DrawFn, around: date) -> list[tuple[date, date]]:
    """Up to three pauses that follow one another without overlapping, near a day."""
    cuts = sorted(draw(st.lists(st.integers(-3, 25), max_size=6)))
    days = [around + timedelta(days=cut) for cut in cuts]
    return list(zip(days[::2], days[1::2], strict=False))


# ------------------------------------------------------------ the official list


@pytest.mark.parametrize("notice", NOTICES, ids=lambda notice: notice.number)
def test_the_official_list_is_copied_without_a_slip(notice):
    for each in notice.breaks:
        assert len(days_from(each.first, each.last)) == each.days
        assert all(day.weekday() >= 5 for day in each.make_ups)
    statutory = 13 if notice.year >= 2025 else 11
    off = {day for each in notice.breaks for day in days_from(each.first, each.last)}
    make_ups = {day for each in notice.breaks for day in each.make_ups}
    weekdays_off = sum(day.weekday() < 5 for day in off)
    # a weekday off is given back by a make-up day or is a statutory holiday (or stands for one on a weekend)
    assert weekdays_off - len(make_ups) == statutory


def test_the_library_works_exactly_on_the_official_working_days():
    differing = [day for day in OFFICIAL_YEARS if LIBRARY.is_working(day) != is_worked(day)]
    assert differing == []


def test_every_start_day_2022_to_2026_is_due_as_the_official_list_counts():
    wrong = []
    for opened in OFFICIAL_YEARS:
        for days, official in enumerate(working_days_after(opened, 10), start=1):
            due = LIBRARY.due_on(opened, days)
            if due.at.date() != official or due.is_provisional != (official >= date(2026, 12, 26)):
                wrong.append((opened, days, due.at, official))
    assert wrong == []


def test_the_weekend_inside_a_break_carries_its_name():
    assert LIBRARY.note_on(date(2026, 10, 3)).reason == "holiday"
    assert LIBRARY.note_on(date(2026, 10, 11)).reason == "weekend"


def test_each_days_name_is_the_one_of_the_notice():
    assert LIBRARY.note_on(date(2026, 2, 16)).name == "春节 / Spring Festival"
    assert LIBRARY.note_on(date(2026, 2, 28)) == DayNote(
        date(2026, 2, 28), True, "make_up", "春节 / Spring Festival"
    )
    assert LIBRARY.note_on(date(2025, 10, 6)).name == "中秋 / Mid-autumn Festival"


# ------------------------------------------------------------ deadlines


@pytest.mark.parametrize(
    ("opened", "due"),
    [
        (date(2026, 11, 6), date(2026, 11, 11)),  # a Friday
        (date(2026, 11, 7), date(2026, 11, 11)),  # a Saturday: day 0 need not be worked
        (date(2026, 9, 30), date(2026, 10, 10)),  # over the National Day week, the make-up Saturday counts
        (date(2026, 9, 18), date(2026, 9, 22)),  # the make-up Sunday 20 September counts
        (date(2026, 2, 13), date(2026, 2, 25)),  # make-up Saturday before Spring Festival, then nine days off
    ],
)
def test_three_working_days_after_the_day_it_is_opened(opened, due):
    assert LIBRARY.due_on(opened, 3).at == datetime(due.year, due.month, due.day, 18, tzinfo=ZONE)


def test_a_make_up_day_that_is_day_0_does_not_count():
    assert LIBRARY.due_on(date(2026, 10, 10), 1).at.date() == date(2026, 10, 12)


def test_the_deadline_is_aware_and_at_the_closing_time_of_the_calendar():
    early = WorkCalendar.from_library(closing=time(17, 30))
    due = early.due_on(date(2026, 11, 6), 1)
    assert due.at.isoformat() == "2026-11-09T17:30:00+08:00"
    assert early.closes_at(date(2026, 11, 9)) == due.at


def test_an_aware_instant_stands_for_its_day_in_shanghai():
    saturday_evening_utc = datetime(2026, 11, 7, 17, tzinfo=UTC)
    assert shanghai_day(saturday_evening_utc) == date(2026, 11, 8)
    assert LIBRARY.due_on(saturday_evening_utc, 3) == LIBRARY.due_on(date(2026, 11, 8), 3)


def test_paused_days_do_not_count_and_the_last_day_of_a_pause_is_worked_again():
    paused = [(date(2026, 11, 9), date(2026, 11, 12))]
    due = LIBRARY.due_on(date(2026, 11, 6), 3, paused)
    assert due.at.date() == date(2026, 11, 16)
    assert [note.day.day for note in due.days if note.reason == "paused"] == [9, 10, 11]
    assert [note.day.day for note in due.days if note.counted] == [12, 13, 16]


def test_pauses_may_touch_come_in_any_order_and_be_empty():
    one = LIBRARY.due_on(date(2026, 11, 6), 3, [(date(2026, 11, 9), date(2026, 11, 12))])
    parts = [
        (date(2026, 11, 10), date(2026, 11, 12)),
        (date(2026, 11, 9), date(2026, 11, 10)),
        (date(2026, 11, 9), date(2026, 11, 9)),
    ]
    assert LIBRARY.due_on(date(2026, 11, 6), 3, parts) == one


def test_a_pause_before_or_on_the_day_of_opening_changes_nothing():
    plain = LIBRARY.due_on(date(2026, 11, 6), 3)
    assert LIBRARY.due_on(date(2026, 11, 6), 3, [(date(2026, 11, 1), date(2026, 11, 7))]) == plain


# ------------------------------------------------------------ what is not known yet


@pytest.mark.parametrize("opened", days_from(date(2026, 12, 29), date(2026, 12, 31)))
@pytest.mark.parametrize("days", range(1, 11))
def test_the_last_days_of_2026_are_provisional_and_never_an_exception(opened, days):
    due = LIBRARY.due_on(opened, days)
    assert due.is_provisional
    assert due.at.date() == working_days_after(opened, days)[-1]
    assert "2026" in explain_days(due, "en")[0]
    assert explain_days(due, "zh")[-1].startswith("暂定")


def test_days_are_provisional_from_26_december_of_the_last_published_year():
    assert LIBRARY.last_published_year == 2026
    assert LIBRARY.note_on(date(2026, 12, 26)).is_provisional
    assert not LIBRARY.note_on(date(2026, 12, 25)).is_provisional
    assert not LIBRARY.due_on(date(2026, 12, 23), 2).is_provisional  # Friday 25 December
    assert LIBRARY.due_on(date(2026, 12, 23), 3).is_provisional  # Monday 28 December
    assert not LIBRARY.due_on(date(2025, 12, 29), 3).is_provisional


def test_an_unknown_year_counts_weekdays_without_the_holidays_of_fixed_date():
    rest_days = [
        day for day in days_from(date(2031, 1, 1), date(2031, 12, 31)) if not LIBRARY.is_working(day)
    ]
    on_weekdays = [(day.month, day.day) for day in rest_days if day.weekday() < 5]
    assert on_weekdays == [(1, 1), (5, 1), (5, 2), (10, 1), (10, 2), (10, 3)]
    assert all(LIBRARY.note_on(day).is_provisional for day in rest_days)


def test_years_before_the_first_known_one_are_provisional_too():
    assert LIBRARY.due_on(date(2003, 12, 30), 1).is_provisional
    assert LIBRARY.due_on(date(2003, 12, 30), 3).is_provisional  # 5 January 2004 is known, 31 December is not


def test_a_calendar_without_rows_knows_nothing_and_still_answers():
    empty = WorkCalendar.from_rows([])
    assert empty.last_published_year is None
    due = empty.due_on(date(2026, 9, 30), 3)
    assert due.is_provisional
    assert due.at.date() == date(2026, 10, 7)


def test_publishing_a_year_moves_the_provisional_days_to_its_end():
    notice = [
        (day, day.weekday() < 5 and day != date(2027, 1, 1), None, "notice 2027")
        for day in days_from(date(2027, 1, 1), date(2027, 12, 31))
    ]
    known = [row for row in RECENT_ROWS if row["source"] != PROVISIONAL]
    published = WorkCalendar.from_rows([*known, *notice])
    assert published.last_published_year == 2027
    assert not published.due_on(date(2026, 12, 29), 3).is_provisional
    assert published.due_on(date(2027, 12, 24), 1).is_provisional


def test_a_leap_year_is_published_when_its_366_days_stand():
    rows = [row for row in LIBRARY.rows() if row["date"].year == 2024]
    assert WorkCalendar.from_rows(rows).last_published_year == 2024
    assert WorkCalendar.from_rows(rows[:-1]).last_published_year is None


def test_a_year_with_a_day_missing_is_not_published():
    rows = [row for row in RECENT_ROWS if row["date"] != date(2026, 7, 1)]
    calendar = WorkCalendar.from_rows(rows)
    assert calendar.last_published_year == 2025
    assert calendar.due_on(date(2026, 6, 30), 1).is_provisional


# ------------------------------------------------------------ stored rows and layers


def test_the_rows_filled_from_the_library_give_the_library_back():
    assert WorkCalendar.from_rows(LIBRARY.rows()) == LIBRARY


def test_the_rows_hold_every_known_year_and_the_next_one_provisionally():
    rows = LIBRARY.rows()
    assert set(rows[0]) == {"date", "is_working", "name", "source", "layer"}
    assert [row["date"] for row in rows] == days_from(date(2004, 1, 1), date(2027, 12, 31))
    assert {row["source"] for row in rows if row["date"].year == 2027} == {PROVISIONAL}
    assert {row["source"] for row in rows if row["date"].year < 2027} == {"chinesecalendar"}


def test_rows_come_as_mappings_tuples_or_database_rows():
    class DatabaseRow(tuple):
        _mapping: dict[str, object]

    mappings = LIBRARY.rows()[-800:]
    tuples = [tuple(row.values())[:4] for row in mappings]
    stored = DatabaseRow(reversed(tuples[0]))
    stored._mapping = mappings[0]
    assert WorkCalendar.from_rows(tuples) == WorkCalendar.from_rows([stored, *mappings[1:]])


FESTIVAL = (date(2026, 4, 20), False, "壮族三月三 / Zhuang Song Festival", "gx 2026", "gx")
ON_DUTY = (date(2026, 4, 20), True, None, "duty roster", "a_team")


def test_a_province_overrides_the_national_calendar_and_a_team_its_province():
    rows = [*RECENT_ROWS, ON_DUTY, FESTIVAL]
    national = WorkCalendar.from_rows(rows)
    province = WorkCalendar.from_rows(rows, layers=("cn", "gx"))
    team = WorkCalendar.from_rows(rows, layers=("cn", "gx", "a_team"))
    assert [each.is_working(date(2026, 4, 20)) for each in (national, province, team)] == [True, False, True]
    assert province.last_published_year == 2026
    assert WorkCalendar.from_rows(team.rows(), layers=team.layers) == team
    assert "Zhuang Song Festival, not counted" in explain_days(province.due_on(date(2026, 4, 17), 1), "en")[3]


def test_a_province_alone_publishes_no_year():
    rows = [(day, True, None, "gx 2027", "gx") for day in days_from(date(2027, 1, 1), date(2027, 12, 31))]
    calendar = WorkCalendar.from_rows([*RECENT_ROWS, *rows], layers=("cn", "gx"))
    assert calendar.last_published_year == 2026
    assert calendar.due_on(date(2027, 6, 1), 1).is_provisional


# ------------------------------------------------------------ the other questions


def test_the_next_working_day_skips_holidays_and_finds_make_up_days():
    assert LIBRARY.next_working_day(date(2026, 9, 30)) == date(2026, 10, 8)
    assert LIBRARY.next_working_day(date(2026, 10, 9)) == date(2026, 10, 10)


def test_working_days_between_leaves_out_the_first_day_and_takes_the_last():
    assert LIBRARY.working_days_between(date(2026, 9, 30), date(2026, 10, 10)) == 3
    assert LIBRARY.working_days_between(date(2026, 9, 30), date(2026, 9, 30)) == 0


# ------------------------------------------------------------ explanations


def test_an_explanation_tells_every_day_in_both_languages():
    due = LIBRARY.due_on(date(2026, 9, 18), 2, [(date(2026, 9, 21), date(2026, 9, 22))])
    assert explain_days(due, "zh") == [
        "2026年9月18日 周五：起算日（第 0 天），不计",
        "2026年9月19日 周六：周末，不计",
        "2026年9月20日 周日：第 1 个工作日（国庆节调休上班）",
        "2026年9月21日 周一：已暂停，不计",
        "2026年9月22日 周二：第 2 个工作日",
    ]
    assert explain_days(due, "en") == [
        "Fri 18 Sep 2026: the day it starts (day 0), not counted",
        "Sat 19 Sep 2026: weekend, not counted",
        "Sun 20 Sep 2026: working day 1 (make-up day for National Day)",
        "Mon 21 Sep 2026: paused, not counted",
        "Tue 22 Sep 2026: working day 2",
    ]


def test_a_rest_or_duty_day_without_a_name_is_explained_too():
    rows = [
        (date(2026, 11, 6), False, None, "roster"),
        (date(2026, 11, 7), True, None, "roster"),
    ]
    due = WorkCalendar.from_rows(rows).due_on(date(2026, 11, 5), 1)
    assert explain_days(due, "en")[1:3] == [
        "Fri 6 Nov 2026: rest day, not counted (provisional)",
        "Sat 7 Nov 2026: working day 1 (make-up day) (provisional)",
    ]
    assert explain_days(due, "zh")[1] == "2026年11月6日 周五：休息日，不计（暂定）"


def test_a_provisional_deadline_says_which_holidays_cannot_be_known():
    due = LIBRARY.due_on(date(2026, 12, 30), 1)
    assert "春节" in explain_days(due, "zh")[-1]
    assert "Spring Festival" in explain_days(due, "en")[-1]
    assert "(provisional)" in explain_days(due, "en")[1]


def test_a_stored_deadline_comes_back_as_it_was():
    due = LIBRARY.due_on(date(2026, 12, 24), 3, [(date(2026, 12, 25), date(2026, 12, 28))])
    assert Deadline.from_json(due.to_json()) == due


def test_a_language_the_desk_does_not_speak_is_refused():
    with pytest.raises(BadInput, match="not in 'fr'"):
        explain_days(LIBRARY.due_on(date(2026, 11, 6), 1), "fr")  # type: ignore[arg-type]


# ------------------------------------------------------------ bad input


@pytest.mark.parametrize("days", [0, -1, 1001, 2.5, True, None])
def test_a_number_of_days_that_cannot_be_counted_is_refused(days):
    with pytest.raises(BadInput, match="working days cannot be counted"):
        LIBRARY.due_on(date(2026, 11, 6), days)


@pytest.mark.parametrize(
    ("paused", "sentence"),
    [
        ([(date(2026, 11, 12), date(2026, 11, 9))], "ends before it starts"),
        ([(date(2026, 11, 9), date(2026, 11, 12)), (date(2026, 11, 11), date(2026, 11, 13))], "overlaps"),
        ([(date(2026, 11, 9), date(2026, 11, 12)), (date(2026, 11, 9), date(2026, 11, 12))], "overlaps"),
        ([(datetime(2026, 11, 9), date(2026, 11, 12))], "no time zone"),  # noqa: DTZ001
    ],
)
def test_reversed_overlapping_or_naive_pauses_are_refused(paused, sentence):
    with pytest.raises(BadInput, match=sentence):
        LIBRARY.due_on(date(2026, 11, 6), 3, paused)


def test_a_naive_instant_is_refused():
    naive = datetime(2026, 11, 6, 9)  # noqa: DTZ001
    for ask in (lambda: LIBRARY.due_on(naive, 3), lambda: LIBRARY.is_working(naive)):
        with pytest.raises(BadInput, match="no time zone"):
            ask()


def test_the_end_of_the_calendar_is_a_sentence_not_an_overflow():
    with pytest.raises(BadInput, match="9999-12-31"):
        LIBRARY.due_on(date(9999, 12, 30), 5)


def test_days_in_the_wrong_order_are_refused():
    with pytest.raises(BadInput, match="lies before"):
        LIBRARY.working_days_between(date(2026, 11, 6), date(2026, 11, 5))


@pytest.mark.parametrize(
    "rows",
    [
        [(date(2026, 1, 1), False)],
        [{"date": date(2026, 1, 1), "is_working": False}],
        [("2026-01-01", False, None, "typed")],
        [(date(2026, 1, 1), False, None, "one"), (date(2026, 1, 1), True, None, "two")],
    ],
)
def test_rows_that_cannot_be_read_or_contradict_each_other_are_refused(rows):
    with pytest.raises(BadInput, match="2026"):
        WorkCalendar.from_rows(rows)


@pytest.mark.parametrize("layers", [(), "cn"])
def test_a_calendar_needs_a_list_of_layers(layers):
    with pytest.raises(BadInput, match="names no calendar"):
        WorkCalendar.from_rows([], layers=layers)


# ------------------------------------------------------------ properties


@quickly
@given(any_day, few_days, st.data())
def test_one_more_day_is_always_due_later(opened, days, data):
    paused = data.draw(pauses(around=opened))
    assert LIBRARY.due_on(opened, days, paused).at < LIBRARY.due_on(opened, days + 1, paused).at


@quickly
@given(any_day, few_days, st.data())
def test_pausing_never_shortens_a_deadline(opened, days, data):
    paused = data.draw(pauses(around=opened))
    assert LIBRARY.due_on(opened, days, paused).at >= LIBRARY.due_on(opened, days).at


@quickly
@given(any_day, few_days, st.data())
def test_the_explanation_counts_exactly_the_days_and_leaves_out_none(opened, days, data):
    due = LIBRARY.due_on(opened, days, data.draw(pauses(around=opened)))
    assert sum(note.counted for note in due.days) == days
    assert [note.day for note in due.days] == days_from(opened, due.at.date())
    assert due.days[-1].counted
    assert due.is_provisional == any(note.is_provisional for note in due.days)


@quickly
@given(any_day, few_days)
def test_counting_the_days_back_gives_their_number(opened, days):
    assert LIBRARY.working_days_between(opened, LIBRARY.due_on(opened, days).day) == days


@quickly
@given(any_day, st.integers(0, 30), few_days)
def test_opening_later_is_never_due_earlier(opened, later, days):
    due_later = LIBRARY.due_on(opened + timedelta(days=later), days)
    assert due_later.at >= LIBRARY.due_on(opened, days).at
