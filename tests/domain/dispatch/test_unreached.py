"""What one more agent is worth: the next tickets by rank, bill × probability × assumed effect."""

from decimal import Decimal

from include.domain.dispatch.unreached import Missed, OneMore, one_more_agent


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
