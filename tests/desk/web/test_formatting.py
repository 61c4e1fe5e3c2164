"""Figures as the screens tell them."""

from typing import Any

import pytest

from include.desk.web import formatting


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (-0.312, "ratio", "−31 %"),
        (1.3, "ratio", "130 %"),
        (0.004, "ratio", "0.4 %"),
        (1.0, "flag", "✓"),
        (0.0, "flag", "✗"),
        (76.771, "yuan", "¥76.77"),
        (5.0, "times", "5"),
        (0.3333, "points", "0.33"),
        (17488.2, "MB", "17,488"),
        ("R03", "", "R03"),
    ],
)
def test_a_factor_is_told_in_its_unit(value: Any, unit: str, told: str) -> None:
    assert formatting.measured(value, unit) == told
