from pathlib import Path

import pytest

from include.domain.errors import BadInput
from include.local.deliveries import Request


def test_a_request_becomes_the_params_of_the_run(tmp_path: Path) -> None:
    request = Request.parse(str(tmp_path), "2014-08", "2014-10-06T06:00+08:00", "1")
    assert request.conf() == {
        "month": "2014-08",
        "as_of": "2014-10-06T06:00:00+08:00",
        "dispatch_late": True,
        "train": True,
    }


def test_by_default_nothing_is_dispatched_late_and_as_of_is_left_to_the_loop(tmp_path: Path) -> None:
    conf = Request.parse(str(tmp_path), "2014-08", None, "").conf()
    assert conf["as_of"] is None
    assert conf["dispatch_late"] is False


@pytest.mark.parametrize(
    ("landing", "month", "as_of", "late", "told"),
    [
        (None, "2014-08", None, "", "LANDING is missing"),
        ("/nowhere/at/all", "2014-08", None, "", "LANDING=/nowhere/at/all is not a folder"),
        (".", None, None, "", "MONTH is missing"),
        (".", "2014-13", None, "", "'2014-13' is not a month"),
        (".", "2014-8", None, "", "'2014-8' is not a month"),
        (".", "2014-08", "yesterday", "", "AS_OF 'yesterday' is not an instant"),
        (".", "2014-08", "2014-10-06T06:00", "", "has no time zone"),
        (".", "2014-08", None, "perhaps", "DISPATCH_LATE=perhaps"),
    ],
)
def test_what_cannot_be_used_is_named_in_one_line(
    landing: str | None, month: str | None, as_of: str | None, late: str, told: str
) -> None:
    with pytest.raises(BadInput, match=told) as refused:
        Request.parse(landing, month, as_of, late)
    assert "\n" not in str(refused.value)
