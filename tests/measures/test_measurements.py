"""The measuring scripts say what they are meant to say on made-up people."""

from dataclasses import dataclass

import numpy as np
import polars as pl
import pytest

from tests.measures.a_year_of_contact import judged, months
from tests.measures.calibration_out_of_time import figures


@dataclass(frozen=True)
class Teller:
    """A model whose probability is a factor times something."""

    times: float
    factors: tuple[str, ...] = ("risk",)

    def probabilities(self, values: np.ndarray) -> np.ndarray:
        return values[:, 0].astype(float) * self.times


@pytest.fixture
def people() -> pl.DataFrame:
    random = np.random.default_rng(3)
    risk = random.beta(0.5, 9, 5_000)
    return pl.DataFrame(
        {
            "subscriber_id": [f"S{number}" for number in range(5_000)],
            "risk": risk,
            "probability": risk,
            "happened": (random.random(5_000) < risk).astype(float),
            "cluster": random.choice(["under_6", "over_12"], 5_000),
            "model_version": "xgb",
        }
    )


def test_a_model_that_promises_too_little_to_the_riskiest_is_seen_to(people: pl.DataFrame) -> None:
    people = people.with_columns(chance=pl.col("risk").clip(1e-6, 1 - 1e-6))
    models = {"weighted": Teller(1.0), "unweighted": Teller(0.6), "without_contact": Teller(1.0)}
    told = {each["model"]: each for each in judged(people, models)}  # type: ignore[arg-type]
    assert told["weighted"]["excess_brier"]["more_than_without_contact"] == (0.0, 0.0)
    assert told["unweighted"]["excess_brier"]["more_than_without_contact"][0] > 0
    assert told["unweighted"]["excess_log_loss"]["more_than_without_contact"][0] > 0
    assert told["unweighted"]["auc"] == told["weighted"]["auc"]
    for name, share in (("weighted", 1.0), ("unweighted", 0.6)):
        riskiest = told[name]["riskiest_2.0%"]
        assert riskiest["promised"] == pytest.approx(share * riskiest["true"], rel=0.01)


def test_probabilities_that_are_true_have_no_calibration_error_beyond_chance(people: pl.DataFrame) -> None:
    told = figures(people)
    assert told["calibration_error"] < 0.02
    assert set(told["clusters"]) == {"under_6", "over_12"}
    assert [people for people, _, _ in told["bins"]] == [500] * 10
    bold = figures(people.with_columns(probability=2 * pl.col("probability")))
    assert bold["calibration_error"] == pytest.approx(people["probability"].mean(), rel=0.15)


def test_months_follow_one_another() -> None:
    assert months("2025-11", 3) == ["2025-11", "2025-12", "2026-01"]
