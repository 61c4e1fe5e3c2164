"""Days and yes or no as people and spreadsheets write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.errors import BadInput
from include.domain.text.typed import WORDS, parse_day, parse_flag

WAYS = (
    "{0:04}-{1:02}-{2:02}", "{0:04}-{1}-{2}", "{0:04}/{1}/{2}", "{0:04}/{1:02}/{2:02}", "{0:04}.{1}.{2}",
    "{0:04}年{1}月{2}日", "{0:04}年{1:02}月{2:02}日", " {0:04}/{1}/{2} 0:00", "{0:04}-{1:02}-{2:02} 00:00:00",
    "\ufeff{0:04}-{1:02}-{2:02}\u200b", "{0:04}／{1}／{2}",
)  # fmt: skip


@given(st.dates(), st.sampled_from(WAYS))
def test_a_day_is_the_same_however_a_spreadsheet_writes_it(day, way):
    assert parse_day(way.format(day.year, day.month, day.day)) == day


@pytest.mark.parametrize("text", ["9/11/2026", "13/11/2026", "11-09-2026", "9.11.26", "9/11/2026 0:00"])
def test_an_order_of_day_and_month_is_never_guessed(text):
    with pytest.raises(
        BadInput, match=f"'{text}' does not tell the day from the month. Write the year first"
    ):
        parse_day(text)


@pytest.mark.parametrize(
    "text",
    ["", "x", "2026-13-01", "2026-02-30", "2026", "2026-11", "2026-11/09", "20261109", "46335", "2026-11-09 08:00",
     "2026-11-09T00:00+08:00", "26年11月9日"],
)  # fmt: skip
def test_what_is_no_day_is_refused_with_the_value(text):
    with pytest.raises(BadInput, match=r"is no day\. Write it like 2026-11-09"):
        parse_day(text)


@pytest.mark.parametrize("word", WORDS)
def test_the_words_for_yes_and_no_count_in_any_writing(word):
    for written in (word, word.upper(), f" {word.title()}\u3000"):
        assert parse_flag(written) is WORDS[word]


@pytest.mark.parametrize("word", ["", "maybe", "2", "nope", "truе"])
def test_another_word_is_neither(word):
    with pytest.raises(
        BadInput, match=r"is neither true nor false\. Write true or false, yes or no, on or off"
    ):
        parse_flag(word)
