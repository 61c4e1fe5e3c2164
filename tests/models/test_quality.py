"""Figures of quality on cases small enough to work out by hand."""

import numpy as np
import pytest

from include.models import quality

ONES = np.ones(4)


def test_a_perfect_ranking_has_an_area_of_one_and_a_reversed_one_of_nought() -> None:
    scores, happened = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.0, 0.0, 1.0, 1.0])
    assert quality.auc(scores, happened, ONES) == 1.0
    assert quality.auc(-scores, happened, ONES) == 0.0


def test_without_both_outcomes_there_is_no_area() -> None:
    assert quality.auc(np.array([0.1, 0.2]), np.zeros(2), np.ones(2)) is None


def test_rows_of_weight_nought_do_not_count() -> None:
    probabilities, happened = np.array([0.9, 0.1, 0.8]), np.array([0.0, 0.0, 1.0])
    found = quality.figures(probabilities, happened, np.array([0.0, 1.0, 1.0]))
    assert found["n"] == 2
    assert found["churners"] == 1
    assert found["auc"] == 1.0
    assert found["brier"] == pytest.approx((0.1**2 + 0.2**2) / 2)
    assert found["base_rate"] == 0.5


def test_a_weight_counts_as_so_many_people() -> None:
    probabilities, happened = np.array([0.2, 0.6, 0.4]), np.array([0.0, 1.0, 0.0])
    weighted = quality.figures(probabilities, happened, np.array([1.0, 5.0, 1.0]))
    repeated = quality.figures(np.array([0.2, *[0.6] * 5, 0.4]), np.array([0.0, *[1.0] * 5, 0.0]), np.ones(7))
    for metric in ("auc", "pr_auc", "brier", "log_loss", "base_rate", "top_decile_lift"):
        assert weighted[metric] == pytest.approx(repeated[metric])


def test_the_lift_of_the_top_decile_is_its_churn_rate_over_that_of_all() -> None:
    probabilities = np.linspace(0, 1, 100)
    happened = np.zeros(100)
    happened[[99, 98, 97, 96, 95, 0, 1, 2, 3, 4]] = 1
    assert quality.top_decile_lift(probabilities, happened, np.ones(100)) == pytest.approx(5.0)


def test_ties_share_their_churners_instead_of_depending_on_the_order_of_rows() -> None:
    happened = np.zeros(100)
    happened[:10] = 1
    assert quality.top_decile_lift(np.full(100, 0.1), happened, np.ones(100)) == pytest.approx(1.0)


def test_nobody_scored_gives_no_figures() -> None:
    found = quality.figures(np.empty(0), np.empty(0), np.empty(0))
    assert found["n"] == 0
    assert found["auc"] is None
