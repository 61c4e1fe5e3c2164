"""The cut of a dispatch in a sentence, with what it assumes."""

from decimal import Decimal

from include.domain.dispatch.unreached import OneMore
from include.words.reach import cut_in_words


def test_the_cut_is_told_with_its_assumption():
    counts = {"treated": 720, "held_out": 180, "not_reached": 340}
    said = cut_in_words(counts, OneMore("mid_high", 38, Decimal("2100.4")), 0.2)
    assert said["en"].startswith("1,240 admitted may be called, 900 within reach this cycle")
    assert "340 not; one more agent in mid_high is worth 38 tickets, about 2,100 yuan a month" in said["en"]
    assert "assumed" in said["en"] and "假定" in said["zh"] and "2,100 元" in said["zh"]


def test_without_a_cut_nothing_is_claimed_and_without_a_probability_no_value():
    assert cut_in_words({"treated": 8, "held_out": 2}, None, 0.2)["en"].endswith("0 not.")
    assert "no value either" in cut_in_words({"not_reached": 1}, OneMore("vip", 1, None), 0.2)["en"]
