"""No cell of a file that people open in a spreadsheet is taken for a formula."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.text.spreadsheets import harmless

SIGNS = "=+-@|%" + "＝＋－＠｜％" + "﹦﹢﹣﹫﹪"
#: zero-width space and joiners, BOM, soft hyphen, marks of direction, fillers, blanks of every width, separators
UNSEEN = (
    "\u200b\u200c\u200d\u2060\ufeff\u00ad\u061c\u200e\u200f\u202a\u202d\u202e\u2066\u2069\u3164\ufe0f"
    " \u00a0\u2003\u3000\u2028\u0085"
)
BREAKS = "\t\r\n\0"


@given(st.text(st.sampled_from(UNSEEN + BREAKS), max_size=4), st.sampled_from(SIGNS), st.text(max_size=8))
def test_a_formula_is_guarded_whatever_stands_unseen_before_it(before: str, sign: str, rest: str) -> None:
    assert harmless(before + sign + rest) == f"'{before}{sign}{rest}"


@given(st.text(st.sampled_from(UNSEEN), max_size=4), st.sampled_from(BREAKS), st.text(max_size=8))
def test_a_cell_that_begins_with_a_tab_or_line_end_is_guarded(before: str, sign: str, rest: str) -> None:
    assert harmless(before + sign + rest) == f"'{before}{sign}{rest}"


@given(st.text(max_size=20))
def test_text_is_never_changed_but_by_one_apostrophe_before_it(text: str) -> None:
    assert harmless(text) in (text, f"'{text}")


@given(st.text(max_size=20))
def test_what_is_guarded_is_guarded_once(text: str) -> None:
    assert harmless(harmless(text)) == harmless(text)


@given(st.characters(categories=("L", "N")), st.text(max_size=20))
def test_a_cell_that_begins_with_a_letter_or_digit_stays(first: str, rest: str) -> None:
    if unicodedata.normalize("NFKC", first)[:1].isalnum():
        assert harmless(first + rest) == first + rest


@pytest.mark.parametrize(
    "text", ["", " ", "流量包 5 折", "–", "S-1", "13812345678", "“=1”", "'=1", "a=1\n=2"]
)
def test_plain_text_stays(text: str) -> None:
    assert harmless(text) == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", " =1", "\t=1", "\r", "%x", "|x"])
def test_a_spreadsheet_takes_no_cell_for_a_formula(text):
    assert harmless(text) == "'" + text
    assert harmless("流量包 5 折") == "流量包 5 折"
