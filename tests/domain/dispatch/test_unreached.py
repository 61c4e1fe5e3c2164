"""What one more agent is worth: the next tickets by rank, bill × probability × assumed effect."""

from decimal import Decimal

from include.domain.dispatch.unreached import Missed, OneMore, described, one_more_agent


def test_one_more_agent_takes_the_next_tickets_of_the_team_by_rank():
    stakes = [(Decimal(100), 0.5), (Decimal(80), 0.25), (Decimal(999), 1.0)]
    missed = [Missed("mid_high", *stake) for stake in stakes]
    assert one_more_agent(missed, {"mid_high": 2}, 0.2) == [OneMore("mid_high", 2, Decimal("14.00"))]


def test_the_team_where_one_more_is_worth_most_comes_first():
    missed = [Missed("a", Decimal(10), 0.5), Missed("b", Decimal(100), 0.5), Missed("c", None, None)]
    found = one_more_agent(missed, {"a": 5, "b": 5, "c": 5}, 0.2)
    assert [(each.team, each.tickets, each.yuan) for each in found] == [
        ("b", 1, Decimal("10.00")), ("a", 1, Decimal("1.00")), ("c", 1, None),
    ]  # fmt: skip


def test_the_cut_is_told_with_its_assumption():
    counts = {"treated": 720, "held_out": 180, "not_reached": 340}
    said = described(counts, OneMore("mid_high", 38, Decimal("2100.4")), 0.2)
    assert said["en"].startswith("1,240 admitted may be called, 900 within reach this cycle")
    assert "340 not; one more agent in mid_high is worth 38 tickets, about 2,100 yuan a month" in said["en"]
    assert "assumed" in said["en"] and "假定" in said["zh"] and "2,100 元" in said["zh"]


def test_without_a_cut_nothing_is_claimed_and_without_a_probability_no_value():
    assert described({"treated": 8, "held_out": 2}, None, 0.2)["en"].endswith("0 not.")
    assert "no value either" in described({"not_reached": 1}, OneMore("vip", 1, None), 0.2)["en"]
