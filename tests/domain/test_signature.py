"""Who, when and why, as one value."""

from datetime import UTC, datetime

import pytest

from include.domain.signature import Signature


def test_a_change_is_signed_at_an_instant_with_a_time_zone():
    assert Signature("Li Na", datetime(2026, 11, 9, tzinfo=UTC)).because == ""
    with pytest.raises(ValueError, match="has no time zone"):
        Signature("Li Na", datetime(2026, 11, 9))  # noqa: DTZ001 - that is the mistake
