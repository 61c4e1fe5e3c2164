"""One writing for one person, whatever exports and hands add to an id or a number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.errors import BadInput
from include.domain.text.canonical import canonical_id, canonical_phone
from tests.fixtures.writings import WRITINGS

IDS = st.from_regex(r"[A-Za-z0-9_]{1,12}", fullmatch=True) | st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True)
#: What is safe to write in any way: a text like 12E4 stays itself, and none of these ends in a mark of its own.


@given(IDS, st.lists(st.sampled_from(sorted(WRITINGS)), max_size=3))
def test_however_it_is_written_an_id_is_one_id(name: str, ways: list[str]) -> None:
    written = name
    for way in ways:
        written = WRITINGS[way](written)
    assert canonical_id(written) == name


@given(st.text(max_size=20))
def test_the_canonical_form_of_a_canonical_form_is_itself(text: str) -> None:
    try:
        once = canonical_id(text)
    except BadInput:
        return
    assert canonical_id(once) == once


@pytest.mark.parametrize(
    ("one", "other"), [("S1", "s1"), ("007", "7"), ("A-1", "A1"), ("S1", "S2"), ("12E4", "120000")]
)
def test_what_differs_in_sight_are_two_ids(one: str, other: str) -> None:
    assert canonical_id(one) != canonical_id(other)


@pytest.mark.parametrize(
    "text", ["1.38E+10", "1.38e+10", "1.3800000005E10", "1E+10", "１．３８Ｅ＋１０", '="1.38E+10"']
)
def test_scientific_notation_is_refused_with_the_value(text: str) -> None:
    with pytest.raises(BadInput, match=r"1(\.38(00000005)?)?[Ee]\+?10.*as text"):
        canonical_id(text)


@pytest.mark.parametrize("text", ["", " ", "\u200b", '=""', "'", '""', "\ufeff\u202d"])
def test_nothing_is_no_id(text: str) -> None:
    assert canonical_id(text) == ""


@pytest.mark.parametrize(
    "text",
    [
        "13800000001", "13800000001.0", '="13800000001"', "'13800000001", "\u202d13800000001\u202c",
        "１３８０００００００１",
        "+86 138 0000 0001", "86-13800000001", "0086 13800000001", "138-0000-0001", "013800000001", "(+86)13800000001",
        "+8613800000001.0", "138 0000 0001\t",
    ],
)  # fmt: skip
def test_a_mobile_number_is_its_eleven_digits(text: str) -> None:
    assert canonical_phone(text) == "13800000001"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("010-62345678", "01062345678"),
        ("+86 (0)451 8234567", "04518234567"),
        ("4008001234", "4008001234"),
        ("+852 61234567", "+85261234567"),
        ("+86 138-1234-5678", "13812345678"),
        ("0086 13812345678", "13812345678"),
        ("13812345678", "13812345678"),
    ],
)
def test_other_numbers_that_can_be_dialled_stay(text: str, number: str) -> None:
    assert canonical_phone(text) == number


@pytest.mark.parametrize(
    "text",
    [
        "", "1.38E+10", "未知", "\\N", "13800000001;13900000002", "13800000001/13900000002", "13800000001 13900000002",
        "1380000000", "138000000010", "23800000001", "13810", "0", "-", "138000O0001", "+86", "=1+1", "12345678",
        "0013800000001", "00138000000", "01380000000", "0138000000", "0101234567", "0211234567",
    ],
)  # fmt: skip
def test_what_cannot_be_read_as_one_number_is_none(text: str) -> None:
    assert canonical_phone(text) is None


@given(st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True), st.sampled_from(sorted(WRITINGS)))
def test_a_number_is_dialled_the_same_however_it_was_written(number: str, way: str) -> None:
    assert canonical_phone(WRITINGS[way](number)) == number
