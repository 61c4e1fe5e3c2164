"""The contact ladder: what to try next, in words, and when "unreachable" may be said."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.contact.ladder import Attempt, Rules, day_part, next_step
from include.domain.periods.months import ZONE
from include.domain.workdays import WorkCalendar
from include.words.ladder import step_in_words

CALENDAR = WorkCalendar.from_library()
RULES = Rules()


def at(day: int, hour: int = 10, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZONE)


def silent(day: int, hour: int = 10, channel: str = "call") -> Attempt:
    return Attempt(at(day, hour), channel, "no_answer")


@pytest.mark.parametrize(
    ("hour", "part"),
    [(0, "morning"), (9, "morning"), (11, "morning"), (12, "afternoon"), (17, "afternoon"), (18, "evening")],
)
def test_the_part_of_the_day_is_shanghais(hour, part):
    assert day_part(at(9, hour)) == part
    assert day_part(at(9, hour).astimezone(UTC)) == part


@pytest.mark.parametrize(
    ("attempts", "kind", "en"),
    [
        ([], "call", "Call 1 of 3."),
        ([silent(9)], "call", "Call 2 of 3, in the afternoon or evening this time."),
        (
            [silent(9), silent(9, 14)],
            "call",
            "Call 3 of 3, on a working day from 2026-11-10.",
        ),
        (
            [silent(9), silent(9, 11)],
            "call",
            "Call 3 of 3, in the afternoon or evening this time, on a working day from 2026-11-10.",
        ),
        (
            [silent(9), silent(10), silent(11)],
            "call",
            "Call 4 of 4, in the afternoon or evening this time.",
        ),
        ([silent(9), silent(9, 14), silent(10)], "sms", "Nobody answers: send an SMS."),
        # a Saturday call is a call, but no working day
        ([silent(13), silent(14), silent(14, 15)], "call", "Call 4 of 4, on a working day from 2026-11-16."),
        (
            [silent(9), silent(9, 14), silent(10), silent(10, 10, "sms")],
            "unreachable",
            "The procedure was kept: the ticket may be closed as unreachable.",
        ),
        (
            [silent(9), Attempt(at(9, 14), "call", "reached")],
            "talk",
            "Reached: record needs survey and plan, then close.",
        ),
        (
            [Attempt(at(9), "call", "refused")],
            "refused",
            "The customer refused to talk: close as refused contact, or record do-not-call.",
        ),
        (
            [Attempt(at(9), "call", "call_back", at(12, 15, 30))],
            "call_back",
            "Call back as promised at 2026-11-12 15:30.",
        ),
        # once spoken to, the count starts over
        (
            [silent(9), silent(9, 14), Attempt(at(10), "call", "call_back", at(11)), silent(11)],
            "call",
            "Call 2 of 3, in the afternoon or evening this time.",
        ),
        # messages are no calls
        (
            [silent(9, 10, "sms"), silent(10, 14, "app"), silent(11, 14, "sms")],
            "call",
            "Call 1 of 3.",
        ),
    ],
)
def test_the_next_step(attempts, kind, en):
    step = next_step(attempts, CALENDAR, RULES)
    words = step_in_words(step)
    assert (step.kind, words.en) == (kind, en)
    assert words.zh.endswith("。")
    assert step.is_unreachable_allowed is (kind == "unreachable")


def test_a_campaign_may_ask_for_more_or_for_no_message():
    kept = [silent(9), silent(9, 14), silent(10)]
    assert next_step(kept, CALENDAR, Rules(sms=False)).kind == "unreachable"
    assert step_in_words(next_step(kept, CALENDAR, Rules(attempts=5))).en.startswith("Call 4 of 5")
    assert next_step(kept, CALENDAR, Rules(day_parts=3)).parts == ("evening",)
    assert next_step(kept, CALENDAR, Rules(days=3)).not_before == date(2026, 11, 11)


def test_the_words_exist_in_chinese():
    assert (
        step_in_words(next_step([silent(9)], CALENDAR, RULES)).zh == "第 2 次呼叫，共 3 次，换到下午、晚上。"
    )


_attempts = st.lists(
    st.builds(
        Attempt,
        st.integers(0, 110 * 24).map(lambda hours: at(1) + timedelta(hours=hours - 60 * 24)),
        st.sampled_from(["call", "visit", "sms", "app"]),
        st.sampled_from(["no_answer", "no_answer", "no_answer", "reached"]),
    ),
    max_size=9,
)


@given(_attempts)
def test_unreachable_is_never_allowed_below_the_floor_of_the_service_levels(attempts):
    if next_step(attempts, CALENDAR, RULES).is_unreachable_allowed:
        calls = [attempt.at for attempt in attempts if attempt.channel in ("call", "visit")]
        assert len(calls) >= RULES.attempts
        assert len({day_part(call) for call in calls}) >= RULES.day_parts
        assert len({call.date() for call in calls if CALENDAR.is_working(call.date())}) >= RULES.days


@given(_attempts)
def test_whoever_follows_the_steps_gets_to_the_end(attempts):
    """Each step followed by a silent attempt as told brings "unreachable" within a few steps."""
    moment = max((attempt.at for attempt in attempts), default=at(1))
    for _ in range(8):
        step = next_step(attempts, CALENDAR, RULES)
        if step.is_unreachable_allowed:
            return
        day = CALENDAR.next_working_day(max(moment.date(), step.not_before or moment.date()))
        hours = {"morning": 10, "afternoon": 14, "evening": 19}
        hour = hours[step.parts[0]] if step.parts else 10
        moment = datetime.combine(day, datetime.min.time(), ZONE) + timedelta(hours=hour)
        attempts = [*attempts, Attempt(moment, "sms" if step.kind == "sms" else "call", "no_answer")]
    pytest.fail(f"no end after {attempts}")
