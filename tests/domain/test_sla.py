from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.sla import (
    Escalation,
    Verdict,
    end_pause,
    escalation_due,
    escalations,
    judge,
    plan_deadline,
    plan_pause,
    warn_at,
)
from include.domain.workdays import WorkCalendar
from include.words.deadlines import explain, explain_days

CALENDAR = WorkCalendar.from_library()
quickly = settings(max_examples=60, deadline=None, database=None)


def at(day: int, hour: int = 9, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=ZONE)


# Friday 6 November 2026; no holiday and no make-up day within four weeks
FRIDAY = at(6)
DUE = at(11, 18)


# ------------------------------------------------------------ deadlines


def test_a_ticket_released_on_friday_is_due_on_wednesday():
    assert plan_deadline(FRIDAY, CALENDAR).at == DUE


def test_a_release_at_17_utc_on_saturday_is_a_release_on_sunday_in_shanghai():
    saturday_evening = datetime(2026, 11, 7, 17, tzinfo=UTC)
    assert plan_deadline(saturday_evening, CALENDAR).days[0].day == date(2026, 11, 8)
    # and on a Monday evening it makes a day of difference
    assert plan_deadline(datetime(2026, 11, 9, 15, tzinfo=UTC), CALENDAR).at == at(12, 18)
    assert plan_deadline(datetime(2026, 11, 9, 17, tzinfo=UTC), CALENDAR).at == at(13, 18)


def test_the_hour_of_release_does_not_matter():
    assert plan_deadline(at(6, 0), CALENDAR) == plan_deadline(at(6, 23, 59), CALENDAR)


def test_a_release_before_new_year_2027_is_due_provisionally():
    due = plan_deadline(at(30, month=12), CALENDAR)
    assert due.is_provisional
    assert due.at == datetime(2027, 1, 5, 18, tzinfo=ZONE)


@pytest.mark.parametrize("moment", [datetime(2026, 11, 6, 9), date(2026, 11, 6)])  # noqa: DTZ001
def test_a_release_without_a_time_zone_is_refused(moment):
    for rule in (plan_deadline, warn_at):
        with pytest.raises(BadInput, match="time zone"):
            rule(moment, CALENDAR)


# ------------------------------------------------------------ warnings


@pytest.mark.parametrize(
    ("days", "warned"),
    [(1, at(9, 15)), (2, at(10, 18)), (3, at(10, 18)), (4, at(11, 18)), (5, at(12, 18)), (6, at(12, 18))],
)
def test_a_clock_warns_at_two_thirds_of_its_days(days, warned):
    assert warn_at(FRIDAY, CALENDAR, days) == warned


def test_a_pause_moves_the_warning_with_the_deadline():
    paused = [(date(2026, 11, 10), date(2026, 11, 12))]
    assert warn_at(FRIDAY, CALENDAR, 3, paused) == at(12, 18)
    assert plan_deadline(FRIDAY, CALENDAR, 3, paused).at == at(13, 18)


def test_a_warning_on_a_clock_of_no_days_is_refused():
    with pytest.raises(BadInput, match="0 working days"):
        warn_at(FRIDAY, CALENDAR, 0)


@quickly
@given(st.datetimes(datetime(2022, 1, 1), datetime(2028, 1, 1), timezones=st.just(ZONE)), st.integers(1, 12))  # noqa: DTZ001
def test_no_warning_comes_after_its_deadline_or_before_release(released_at, days):
    assert released_at < warn_at(released_at, CALENDAR, days) <= plan_deadline(released_at, CALENDAR, days).at


# ------------------------------------------------------------ pauses


def test_a_pause_runs_from_today_to_the_promised_day_exclusive():
    assert plan_pause(at(9, 16), date(2026, 11, 12), CALENDAR) == (date(2026, 11, 9), date(2026, 11, 12))


def test_five_working_days_may_be_paused_without_the_lead_and_a_sixth_with_the_lead():
    # Monday 9 to Sunday 15 November holds five working days
    assert plan_pause(at(9), date(2026, 11, 16), CALENDAR)[1] == date(2026, 11, 16)
    with pytest.raises(Refused, match="to 6 working days of rest; 5 are allowed without the team lead"):
        plan_pause(at(9), date(2026, 11, 17), CALENDAR)
    assert plan_pause(at(9), date(2026, 11, 17), CALENDAR, with_lead=True)[1] == date(2026, 11, 17)


def test_a_pause_begun_on_a_rest_day_ends_before_the_day_of_the_call_back():
    # Saturday 7 to Sunday 15 November: the Monday of the call-back is worked
    assert plan_pause(at(7), date(2026, 11, 16), CALENDAR) == (date(2026, 11, 7), date(2026, 11, 16))


def test_a_holiday_week_does_not_use_up_the_working_days_of_a_pause():
    # Wednesday 30 September to Monday 12 October: 30 September, 8, 9 and the make-up Saturday 10 October
    plan_pause(at(30, month=9), date(2026, 10, 13), CALENDAR)
    with pytest.raises(Refused, match="to 6 working days"):
        plan_pause(at(30, month=9), date(2026, 10, 14), CALENDAR)


def test_pauses_of_a_ticket_share_its_five_working_days():
    earlier = [(date(2026, 11, 9), date(2026, 11, 13))]
    plan_pause(at(16), date(2026, 11, 17), CALENDAR, earlier)
    with pytest.raises(Refused, match="to 6 working days"):
        plan_pause(at(16), date(2026, 11, 18), CALENDAR, earlier)


@pytest.mark.parametrize("promised", [date(2026, 11, 9), date(2026, 11, 6)])
def test_a_call_back_today_or_in_the_past_is_no_pause(promised):
    with pytest.raises(BadInput, match="does not lie after today"):
        plan_pause(at(9), promised, CALENDAR)


def test_a_clock_at_rest_cannot_be_paused_again():
    with pytest.raises(Refused, match="rests already until 2026-11-12"):
        plan_pause(at(10), date(2026, 11, 13), CALENDAR, [(date(2026, 11, 9), date(2026, 11, 12))])


def test_a_pause_ended_early_gives_today_back():
    pause = (date(2026, 11, 9), date(2026, 11, 12))
    assert end_pause(pause, at(11)) == (date(2026, 11, 9), date(2026, 11, 11))
    assert end_pause(pause, at(9, 17)) == (date(2026, 11, 9), date(2026, 11, 9))
    assert end_pause(pause, at(20)) == pause
    assert end_pause(pause, at(6)) == (date(2026, 11, 9), date(2026, 11, 9))


def test_a_pause_ended_early_may_be_followed_by_another_on_the_same_day():
    ended = end_pause((date(2026, 11, 9), date(2026, 11, 12)), at(10))
    again = plan_pause(at(10, 17), date(2026, 11, 12), CALENDAR, [ended])
    assert plan_deadline(FRIDAY, CALENDAR, 3, [ended, again]).at == at(16, 18)


# ------------------------------------------------------------ verdicts


def test_a_clock_runs_until_its_deadline_and_is_breached_at_the_deadline():
    assert judge(DUE, at(11, 17, 59)) == Verdict("running")
    assert judge(DUE, DUE) == Verdict("running")
    assert judge(DUE, at(11, 18, 15)) == Verdict("breached", DUE, at(11, 18, 15))


def test_a_breach_seen_after_an_outage_is_dated_to_its_deadline():
    assert judge(DUE, at(16, 9)) == Verdict("breached", DUE, at(16, 9))


def test_work_up_to_the_instant_of_the_deadline_meets_it():
    assert judge(DUE, at(16), met_at=DUE) == Verdict("met", DUE)
    assert judge(DUE, at(16), met_at=DUE + timedelta(microseconds=1)).state == "breached"


def test_a_cancelled_ticket_voids_its_clock_unless_it_was_breached_before():
    assert judge(DUE, at(16), voided_at=at(10)) == Verdict("void", at(10))
    assert judge(DUE, at(16), voided_at=at(12)).state == "breached"


@pytest.mark.parametrize(
    ("met", "voided", "state"), [(9, 10, "met"), (10, 9, "void"), (9, 9, "met"), (9, 14, "met")]
)
def test_the_first_event_decides(met, voided, state):
    assert judge(DUE, at(16), met_at=at(met), voided_at=at(voided)).state == state


def test_what_has_not_happened_yet_at_the_tick_does_not_count():
    assert judge(DUE, at(10), met_at=at(11)) == Verdict("running")


def test_the_verdict_compares_instants_whatever_their_zone():
    assert judge(DUE, at(16), met_at=datetime(2026, 11, 11, 10, tzinfo=UTC)).state == "met"
    assert judge(DUE, at(16), met_at=datetime(2026, 11, 11, 10, 1, tzinfo=UTC)).state == "breached"


def test_a_verdict_on_naive_instants_is_refused():
    with pytest.raises(BadInput, match="no time zone"):
        judge(DUE, datetime(2026, 11, 16))  # noqa: DTZ001


# ------------------------------------------------------------ escalation


def test_a_breach_climbs_one_level_a_working_day():
    friday_breach = at(13, 18)
    assert escalations(friday_breach, CALENDAR) == (
        Escalation("assignee", friday_breach),
        Escalation("lead", at(16, 18)),
        Escalation("branch_manager", at(17, 18)),
    )


def test_escalation_skips_the_national_day_week():
    breach = at(30, 18, month=9)
    assert [each.due_at.day for each in escalations(breach, CALENDAR)] == [30, 8, 9]


def test_each_level_is_told_once():
    breach = at(13, 18)
    told = []
    sent = None
    for hours in range(24 * 8):
        due = escalation_due(breach, breach + timedelta(hours=hours), CALENDAR, sent)
        if due:
            sent = due.level
            told.append(due)
    assert tuple(told) == escalations(breach, CALENDAR)


@pytest.mark.parametrize(
    ("now", "level"),
    [(at(13, 17), None), (at(16, 17), "assignee"), (at(16, 18), "lead"), (at(25), "branch_manager")],
)
def test_after_an_outage_only_the_highest_due_level_is_told(now, level):
    due = escalation_due(at(13, 18), now, CALENDAR)
    assert (due.level if due else None) == level


def test_a_missed_lower_level_is_not_told_later():
    assert escalation_due(at(13, 18), at(25), CALENDAR, sent="branch_manager") is None
    assert escalation_due(at(13, 18), at(16, 18), CALENDAR, sent="lead") is None


# ------------------------------------------------------------ explanation


def test_why_this_deadline_is_told_in_both_languages():
    due, what = plan_deadline(FRIDAY, CALENDAR), "Needs survey and retention plan"
    assert (
        explain(due, "需求调查和挽留方案")[0]
        == "需求调查和挽留方案须在 2026年11月11日 周三 18:00 前完成：起算日后第 3 个工作日。"
    )
    assert explain(due, what, "en")[0] == (
        "Needs survey and retention plan due by Wed 11 Nov 2026 18:00: working day 3 after the day it starts."
    )
    assert explain(due, what, "en")[1:] == explain_days(due, "en")


def test_an_explanation_in_another_language_is_refused():
    with pytest.raises(BadInput, match="zh or en"):
        explain(plan_deadline(FRIDAY, CALENDAR), "Plan", "fr")  # type: ignore[arg-type]
