import numpy as np
import pytest

from include.domain.errors import BadInput
from include.simulator.province import Province, joiners


def test_a_large_province_is_cut_into_blocks_that_hold_everybody():
    blocks = Province(1_000_001, 1, 1).blocks
    assert sum(blocks) == 1_000_001
    assert max(blocks) <= 200_001


def test_joiners_replace_about_two_in_a_hundred():
    year = [joiners(100_000, 2026 * 12 + month) for month in range(12)]
    assert 1900 < np.mean(year) < 2300


@pytest.mark.parametrize(
    ("values", "cause"),
    [
        ((5, 8, 1), "subscribers is 5"),
        ((100, 0, 1), "months is 0"),
        ((100, 8, -1), "seed is -1"),
        ((100, 8, 1, "2026-13"), "'2026-13' is not a month"),
    ],
)
def test_a_province_that_cannot_be_is_refused(values, cause):
    with pytest.raises(BadInput, match=cause):
        Province(*values)
