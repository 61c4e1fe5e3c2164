"""Calibration: probabilities that mean what they say, and survive being written down."""

import numpy as np
import pytest

from include.models.calibration import ISOTONIC, PLATT, Calibration, calibrate, fit_calibration


def people(number: int, seed: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Margins twice as bold as the truth behind them, what happened, and equal weights."""
    random = np.random.default_rng(seed)
    log_odds = random.normal(-2.5, 1.0, number)
    happened = (random.random(number) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return 2 * log_odds + 1, happened, np.ones(number)


def folds(number: int) -> np.ndarray:
    return (np.arange(number) % 5).astype(np.uint8)


@pytest.mark.parametrize("kind", [PLATT, ISOTONIC])
def test_either_curve_undoes_boldness(kind: str) -> None:
    margins, happened, weights = people(30_000)
    calibration = fit_calibration(kind, margins, happened, weights)
    assert calibration.kind == kind
    other, _, _ = people(5_000, seed=6)
    meant = 1 / (1 + np.exp(-(other - 1) / 2))
    assert calibration.probabilities(other) == pytest.approx(meant, abs=0.1)
    assert calibration.probabilities(margins).mean() == pytest.approx(happened.mean(), rel=0.03)


def test_the_data_choose_the_curve_where_churners_are_many() -> None:
    margins, happened, weights = people(30_000)
    assert calibrate(margins, happened, weights, folds(30_000)).calibration.kind == PLATT
    bent = (margins + 4) ** 3
    assert calibrate(bent, happened, weights, folds(30_000)).calibration.kind == ISOTONIC
    few = slice(0, 1_000)
    chosen = calibrate(bent[few], happened[few], weights[few], folds(1_000))
    assert happened[few].sum() < 200
    assert chosen.calibration.kind == PLATT


def test_probabilities_come_from_curves_that_did_not_see_the_person() -> None:
    margins, happened, weights = people(2_000)
    fold = folds(2_000)
    seen = fold != 3
    without = fit_calibration(PLATT, margins[seen], happened[seen], weights[seen])
    found = calibrate(margins, happened, weights, fold, (PLATT,)).probabilities[~seen]
    assert found == pytest.approx(without.probabilities(margins[~seen]))


@pytest.mark.parametrize("kind", [PLATT, ISOTONIC])
def test_a_higher_margin_never_gets_a_lower_probability(kind: str) -> None:
    calibration = fit_calibration(kind, *people(30_000))
    probabilities = calibration.probabilities(np.linspace(-30, 30, 1_000))
    assert (np.diff(probabilities) >= 0).all()
    assert 0 < probabilities.min() < probabilities.max() < 1


def test_the_table_survives_json() -> None:
    calibration = fit_calibration(ISOTONIC, *people(30_000))
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_weights_count_as_so_many_people() -> None:
    margins, happened, weights = people(1_000)
    weights[:200] = 3.0
    repeated = np.concatenate([np.arange(1_000), np.tile(np.arange(200), 2)])
    weighted = fit_calibration(PLATT, margins, happened, weights)
    drawn_out = fit_calibration(PLATT, margins[repeated], happened[repeated], np.ones(1_400))
    assert weighted.log_odds == pytest.approx(drawn_out.log_odds)
    assert weighted.slope == pytest.approx(drawn_out.slope)


def test_a_ranking_worth_nothing_gives_everybody_the_base_rate() -> None:
    margins, happened, weights = people(2_000)
    probabilities = fit_calibration(PLATT, -margins, happened, weights).probabilities(margins)
    assert probabilities == pytest.approx(np.full(2_000, happened.mean()), abs=0.01)
