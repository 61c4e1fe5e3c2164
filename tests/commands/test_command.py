"""What the small commands share: ids and days in any writing, tables."""

import argparse
from datetime import date

import pytest

from include.commands import an_id, day, in_columns
from tests.fixtures.writings import WRITINGS


@pytest.mark.parametrize("way", WRITINGS)
def test_an_id_is_the_same_however_it_is_written(way):
    assert an_id(WRITINGS[way]("0012")) == "0012"


@pytest.mark.parametrize(("text", "told"), [("1.38E+10", "Give the id as text"), ("\u200b", "it is empty")])
def test_what_is_no_id_is_told(text, told):
    with pytest.raises(argparse.ArgumentTypeError, match=told):
        an_id(text)


def test_a_day_is_written_with_the_year_first():
    assert day("2026/11/9") == date(2026, 11, 9)
    with pytest.raises(argparse.ArgumentTypeError, match="Write the year first"):
        day("9/11/2026")


def test_columns_stand_below_each_other_and_chinese_takes_two_places():
    rows = [
        ("of", "since", "tickets"),
        ("广西壮族", "2026-11-09", "1,000"),
        ("vip", "", "7"),
        ("", "007", ""),
    ]
    assert in_columns(rows, to_the_right=[2]).splitlines() == [
        "of        since       tickets",
        "广西壮族  2026-11-09    1,000",
        "vip                         7",
        "          007",
    ]
    assert in_columns([]) == ""
