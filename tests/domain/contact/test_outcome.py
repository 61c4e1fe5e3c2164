"""How a ticket may end: outcomes that need survey and plan, or the procedure; details; needs that are known."""

import pytest

from include.domain.contact.outcome import (
    PLAN,
    PROCEDURE,
    SURVEY,
    Outcome,
    check_close,
    check_needs,
    check_satisfaction,
)
from include.domain.errors import BadInput, Refused
from include.domain.text.words import Words
from include.words.outcomes import NEEDS, OUTCOMES

DETAILED = {
    "retained": Outcome(
        "已挽留", "Retained", frozenset({PLAN}), True, {"accepted": Words("接受", "Accepted")}
    )
}


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if outcome.needs_plan])
def test_an_outcome_that_needs_a_plan_is_refused_without_survey_or_plan(name):
    for done, missing in (({PLAN}, "needs survey"), ({SURVEY}, "retention plan")):
        with pytest.raises(Refused, match=f"needs a {missing}"):
            check_close(name, catalogue=OUTCOMES, done=done)
    assert check_close(name, catalogue=OUTCOMES, done={SURVEY, PLAN}) is OUTCOMES[name]


def test_unreachable_needs_the_procedure_and_is_told_the_next_step():
    with pytest.raises(Refused, match=r"kept to its end. Next: Call 2 of 3"):
        check_close("unreachable", catalogue=OUTCOMES, next_step="Call 2 of 3.")
    check_close("unreachable", catalogue=OUTCOMES, done={PROCEDURE})


def test_an_outcome_with_details_needs_one_of_them():
    with pytest.raises(BadInput, match=r"needs a detail. Choose one of accepted"):
        check_close("retained", catalogue=DETAILED, done={PLAN})
    with pytest.raises(BadInput, match=r"'won' is not a detail of outcome 'retained'. Known: accepted"):
        check_close("retained", "won", catalogue=DETAILED, done={PLAN})
    check_close("retained", "accepted", catalogue=DETAILED, done={PLAN})


def test_an_outcome_without_details_takes_none():
    with pytest.raises(BadInput, match="Known: none"):
        check_close("no_intention", "happy", catalogue=OUTCOMES)


def test_satisfaction_is_zero_to_ten_of_somebody_spoken_to():
    for right in (None, 0, 10):
        check_satisfaction(right, OUTCOMES["declined"])
    for wrong in (-1, 11):
        with pytest.raises(BadInput, match="Give 0 to 10"):
            check_satisfaction(wrong, OUTCOMES["declined"])
    with pytest.raises(BadInput, match="Nobody was spoken to"):
        check_satisfaction(5, OUTCOMES["unreachable"])


def test_an_unknown_outcome_or_need_is_told_with_the_known_ones():
    with pytest.raises(BadInput, match="Choose one of retained"):
        check_close("won", catalogue=OUTCOMES)
    with pytest.raises(BadInput, match="price, bundle_mismatch"):
        check_needs(["weather"])
    with pytest.raises(BadInput):
        check_needs([])
    check_needs(list(NEEDS), "the shop is far")


def test_the_need_other_says_it_in_words():
    for words in (None, " "):
        with pytest.raises(BadInput, match="in words"):
            check_needs(["other"], words)
