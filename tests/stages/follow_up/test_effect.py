"""The effect of retention against published figures."""

import pytest

from include.stages.follow_up.effect import Arm, difference, effect_of


def test_the_interval_is_newcombes_method_ten() -> None:
    # Newcombe 1998, Statistics in Medicine 17, table II (a): 56/70 against 48/80 gives 0.0524 to 0.3339
    effect = effect_of(treated=Arm(80, 48), held_out=Arm(70, 56))
    assert effect is not None
    assert effect.avoided == pytest.approx(0.2)
    assert (effect.low, effect.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))


def test_saves_are_those_of_the_treated() -> None:
    effect = effect_of(treated=Arm(800, 160), held_out=Arm(200, 70))
    assert effect is not None
    saves, low, high = effect.saves
    assert saves == pytest.approx(800 * 0.35 - 160)
    assert low < saves < high


def test_contact_that_makes_people_leave_counts_against_us() -> None:
    effect = effect_of(treated=Arm(1000, 100), held_out=Arm(1000, 64))
    assert effect is not None
    assert effect.saves[0] == pytest.approx(-36)
    assert effect.high < 0


def test_without_both_arms_there_is_no_effect_to_tell() -> None:
    assert effect_of(treated=Arm(10, 1), held_out=Arm(0, 0)) is None


def test_small_arms_without_a_churner_leave_the_question_open() -> None:
    effect = effect_of(treated=Arm(5, 0), held_out=Arm(3, 0))
    assert effect is not None
    assert effect.low < 0 < effect.high


def test_what_is_gained_is_the_same_difference_the_other_way_round() -> None:
    treated, held_out = Arm(70, 56), Arm(80, 48)
    gained, avoided = difference(treated, held_out), effect_of(treated=held_out, held_out=treated)
    assert gained is not None
    assert avoided is not None
    assert (gained.value, gained.low, gained.high) == (avoided.avoided, avoided.low, avoided.high)
    assert difference(treated, Arm(0, 0)) is None
