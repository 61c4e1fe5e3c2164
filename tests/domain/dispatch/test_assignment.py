"""Who is called and who is held out: the draw, the walk, the teams, the sharing out."""

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from include.domain.dispatch.assignment import Candidate, Routing, arm_of, expected_days, team_of, walk

ROUTING = Routing("vip", Decimal(150), "new_subscriber", 6, "mid_high")


def candidates(n):
    return [Candidate(f"S{i}", f"S{i}", i) for i in range(n)]


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


TEAMS = ("vip", "mid_high", "new_subscriber")
ARMS = st.sampled_from(["treated", "held_out"])
PEOPLE = st.lists(st.tuples(ARMS, st.sampled_from(TEAMS)), max_size=40)
ROOMS = st.fixed_dictionaries({}, optional={team: st.integers(0, 12) for team in TEAMS})
OVERFLOW = st.sampled_from([{}, {"vip": ("mid_high",)}, {"vip": ("new_subscriber", "mid_high")}])


def walked(drawn, rooms, overflow, most=None):
    people = [Candidate(f"S{i}", f"S{i}", i, team=team) for i, (_, team) in enumerate(drawn)]
    arms = {person.customer_key: arm for person, (arm, _) in zip(people, drawn, strict=True)}
    return walk(people, arms, rooms, overflow, most)


@given(PEOPLE)
def test_without_a_limit_everybody_is_reached(drawn):
    assert [each.decision for each in walked(drawn, None, {})] == [arm for arm, _ in drawn]


@given(PEOPLE, ROOMS)
def test_every_team_fills_its_own_room_and_stops_at_its_last_treated(drawn, rooms):
    decided = walked(drawn, rooms, {})
    for team in TEAMS:
        own = [each.decision for each in decided if each.candidate.team == team]
        treated = [arm for arm, its in drawn if its == team].count("treated")
        assert own.count("treated") == min(rooms.get(team, 0), treated)
        reached = [i for i, each in enumerate(own) if each != "not_reached"]
        assert reached == list(range(len(reached)))  # nobody of the team is passed over
        if "not_reached" in own and reached:
            assert own[len(reached) - 1] == "treated"


@given(PEOPLE, ROOMS | st.none(), OVERFLOW, st.none() | st.integers(0, 15))
def test_whether_somebody_is_reached_does_not_depend_on_the_own_arm(drawn, rooms, overflow, most):
    reached = [each.decision != "not_reached" for each in walked(drawn, rooms, overflow, most)]
    for position, (arm, team) in enumerate(drawn):
        other = "treated" if arm == "held_out" else "held_out"
        flipped = [*drawn[:position], (other, team), *drawn[position + 1 :]]
        again = walked(flipped, rooms, overflow, most)[position]
        assert (again.decision != "not_reached") == reached[position]


@given(PEOPLE, ROOMS, OVERFLOW)
def test_no_team_is_given_more_than_its_room_whoever_overflows(drawn, rooms, overflow):
    decided = walked(drawn, rooms, overflow)
    given_to = [each.worked_by for each in decided if each.decision == "treated"]
    assert all(given_to.count(team) <= rooms.get(team, 0) for team in TEAMS)
    assert all(
        each.worked_by in (each.candidate.team, *overflow.get(each.candidate.team, ()))
        for each in decided
        if each.decision == "treated"
    )
    assert all(each.worked_by is None for each in decided if each.decision != "treated")


@given(PEOPLE, ROOMS | st.none(), st.integers(0, 15))
def test_no_more_are_treated_than_was_approved(drawn, rooms, most):
    assert sum(each.decision == "treated" for each in walked(drawn, rooms, {}, most)) <= most


def test_a_full_team_takes_no_room_from_another_unless_configured():
    drawn = [("treated", "vip")] * 3 + [("treated", "mid_high")] * 2
    rooms = {"vip": 1, "mid_high": 3}
    told = [each.worked_by for each in walked(drawn, rooms, {})]
    assert told == ["vip", None, None, "mid_high", "mid_high"]
    told = [each.worked_by for each in walked(drawn, rooms, {"vip": ("mid_high",)})]
    assert told == ["vip", "mid_high", "mid_high", "mid_high", None]


def test_a_barred_candidate_takes_no_capacity():
    people = [Candidate("A", "A", 1, "gone"), *candidates(2)]
    decided = walk(people, {"S0": "treated", "S1": "treated"}, {"": 1})
    assert [(each.decision, each.reason) for each in decided] == [
        ("ineligible", "gone"), ("treated", None), ("not_reached", None),
    ]  # fmt: skip


def test_value_goes_before_tenure_when_choosing_the_team():
    assert team_of(Decimal(150), 2, ROUTING) == "vip"
    assert team_of(Decimal(149), 5.9, ROUTING) == "new_subscriber"
    assert team_of(None, None, ROUTING) == "mid_high"


def test_expected_days_follow_each_teams_own_roster():
    days = [date(2026, 11, day) for day in (9, 10, 11)]
    rooms = {"a": [2, 0, 5], "b": [1, 1, 1]}
    expected = expected_days(["a", "a", "b", "a", "none"], rooms, days)
    assert [day.day for day in expected] == [9, 9, 9, 11, 11]


def test_what_fits_on_no_day_is_expected_on_the_last():
    days = [date(2026, 11, 9), date(2026, 11, 10)]
    assert expected_days(["a"] * 4, {"a": [1, 1]}, days)[-2:] == [days[-1], days[-1]]
