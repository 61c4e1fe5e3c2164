"""Many names in a sentence."""

import pytest

from include.domain.text.listing import first_of


@pytest.mark.parametrize(
    ("names", "listed"),
    [
        ([], ""),
        (["a"], "a"),
        (["x"] * 20, ", ".join(["x"] * 20)),
        (["x"] * 21, ", ".join(["x"] * 20) + " and 1 more"),
        (["x"] * 1_500, ", ".join(["x"] * 20) + " and 1,480 more"),
    ],
)
def test_twenty_are_named_and_the_others_counted(names, listed):
    assert first_of(names) == listed
