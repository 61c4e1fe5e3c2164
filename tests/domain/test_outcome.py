"""How a ticket may end: outcomes that need survey and plan, or attempts, and needs that are known."""

import pytest

from include.domain.errors import BadInput, Refused
from include.domain.outcome import NEEDS, OUTCOMES, check_close, check_needs


@pytest.mark.parametrize("name", [name for name, outcome in OUTCOMES.items() if outcome.needs_plan])
def test_an_outcome_that_needs_a_plan_is_refused_without_survey_or_plan(name):
    for survey, plan, missing in ((False, True, "needs survey"), (True, False, "retention plan")):
        with pytest.raises(Refused, match=f"needs a {missing}"):
            check_close(name, has_survey=survey, has_plan=plan, may_be_unreachable=True)
    assert check_close(name, has_survey=True, has_plan=True, may_be_unreachable=False) is OUTCOMES[name]


def test_unreachable_needs_its_attempts():
    with pytest.raises(Refused, match="more attempts"):
        check_close("unreachable", has_survey=False, has_plan=False, may_be_unreachable=False)
    check_close("unreachable", has_survey=False, has_plan=False, may_be_unreachable=True)


def test_an_unknown_outcome_or_need_is_told_with_the_known_ones():
    with pytest.raises(BadInput, match="Choose one of retained"):
        check_close("won", has_survey=True, has_plan=True, may_be_unreachable=True)
    with pytest.raises(BadInput, match="price, bundle_mismatch"):
        check_needs(["weather"])
    with pytest.raises(BadInput):
        check_needs([])
    check_needs(list(NEEDS))
