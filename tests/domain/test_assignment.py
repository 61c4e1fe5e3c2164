"""Who is called and who is held out: the draw, the walk, the teams, the sharing out."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from include.domain.assignment import (
    Caller,
    Candidate,
    Routing,
    arm_of,
    epoch_of,
    expected_days,
    share_out,
    team_of,
    walk,
)

ROUTING = Routing("vip", Decimal(150), "new_subscriber", 6, "mid_high")


def candidates(n):
    return [Candidate(f"S{i}", f"S{i}", i) for i in range(n)]


def test_an_epoch_is_a_half_year():
    assert [epoch_of(month) for month in ("2026-01", "2026-06", "2026-07", "2026-12")] == [
        "2026H1", "2026H1", "2026H2", "2026H2",
    ]  # fmt: skip


def test_the_draw_holds_out_its_share_and_repeats_itself():
    drawn = [arm_of(f"C{n}", "churn_warning", "2026H2", "a-long-salt", 0.2) for n in range(20_000)]
    assert 0.19 < drawn.count("held_out") / 20_000 < 0.21
    assert drawn == [arm_of(f"C{n}", "churn_warning", "2026H2", "a-long-salt", 0.2) for n in range(20_000)]


def test_another_epoch_draws_anew():
    first, second = (
        [arm_of(f"C{n}", "x", epoch, "a-long-salt", 0.5) for n in range(1_000)] for epoch in ("A", "B")
    )
    assert 400 < sum(a != b for a, b in zip(first, second, strict=True)) < 600


def test_raising_the_share_never_moves_anybody_out_of_the_control():
    for n in range(1_000):
        if arm_of(f"C{n}", "x", "A", "a-long-salt", 0.1) == "held_out":
            assert arm_of(f"C{n}", "x", "A", "a-long-salt", 0.3) == "held_out"


@given(st.lists(st.sampled_from(["treated", "held_out"]), max_size=40), st.integers(0, 20) | st.none())
def test_the_walk_fills_the_capacity_and_stops_there(drawn, capacity):
    people = candidates(len(drawn))
    arms = {person.customer_key: arm for person, arm in zip(people, drawn, strict=True)}
    decided = [each.decision for each in walk(people, arms, capacity)]
    wanted = drawn.count("treated") if capacity is None else min(capacity, drawn.count("treated"))
    assert decided.count("treated") == wanted
    reached = [i for i, each in enumerate(decided) if each != "not_reached"]
    assert reached == list(range(len(reached)))  # nobody is passed over
    if "not_reached" in decided:
        assert decided[len(reached) - 1 : len(reached)] in (
            [],
            ["treated"],
        )  # the line lies at the last treated


def test_a_barred_candidate_takes_no_capacity():
    people = [Candidate("A", "A", 1, "gone"), *candidates(2)]
    decided = walk(people, {"S0": "treated", "S1": "treated"}, 1)
    assert [(each.decision, each.reason) for each in decided] == [
        ("ineligible", "gone"), ("treated", None), ("not_reached", None),
    ]  # fmt: skip


def test_value_goes_before_tenure_when_choosing_the_team():
    assert team_of(Decimal(150), 2, ROUTING) == "vip"
    assert team_of(Decimal(149), 5.9, ROUTING) == "new_subscriber"
    assert team_of(None, None, ROUTING) == "mid_high"


def test_expected_days_follow_each_teams_own_queue():
    days = [date(2026, 11, day) for day in (9, 10, 11)]
    expected = expected_days(["a", "a", "b", "a", "none"], {"a": 2, "b": 1}, days)
    assert [day.day for day in expected] == [9, 9, 9, 10, 11]


@given(st.lists(st.integers(0, 5), max_size=6), st.integers(0, 20))
def test_tickets_are_shared_out_evenly_within_the_room(rooms, count):
    callers = [Caller(number, room) for number, room in enumerate(rooms)]
    pairs = share_out(list(range(count)), callers)
    assert [ticket for ticket, _ in pairs] == list(range(min(count, sum(rooms))))
    for caller in callers:
        assert sum(staff == caller.staff_id for _, staff in pairs) <= caller.room
