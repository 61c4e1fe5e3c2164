"""Who is given which ticket: the least loaded who fits, within the room of the day."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from include.domain.dispatch.sharing import (
    NOBODY,
    Caller,
    Waiting,
    fits,
    in_turn,
    least_of,
    share_among,
    share_out,
)

PLACES = (None, "city", "county", "shop", "elsewhere")
LINES = {None: (), "city": ("city",), "county": ("county", "city"), "shop": ("shop", "county", "city")}
LINES["elsewhere"] = ("elsewhere",)
CALLERS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 8), st.integers(0, 9), st.sampled_from(PLACES)), max_size=6
)
TICKETS = st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from([None, "silver"])), max_size=25)


def callers(drawn):
    return [
        Caller(number, room, contacts, unfinished, branch, None, frozenset({"silver"} if number % 2 else ()))
        for number, (room, contacts, unfinished, branch) in enumerate(drawn)
    ]


def tickets(drawn):
    return [Waiting(number, LINES[place], None, skill) for number, (place, skill) in enumerate(drawn)]


@given(CALLERS, TICKETS)
def test_everybody_fits_what_they_get_and_gets_no_more_than_there_is_room(people, waiting):
    shared = share_out(tickets(waiting), callers(people))
    known = {each.ticket_id: each for each in tickets(waiting)}
    given_to = Counter(staff for _, staff in shared.pairs)
    for caller in callers(people):
        assert given_to[caller.staff_id] <= caller.room
    for ticket, staff in shared.pairs:
        assert fits(callers(people)[staff], known[ticket])
    assert len({ticket for ticket, _ in shared.pairs}) == len(shared.pairs)
    assert not {ticket for ticket, _ in shared.pairs} & set(shared.unfitting)


@given(CALLERS, TICKETS)
def test_a_ticket_stays_only_when_everybody_who_fits_is_full(people, waiting):
    at_work = callers(people)
    shared = share_out(tickets(waiting), at_work)
    stay = {each.ticket_id for each in tickets(waiting)} - {ticket for ticket, _ in shared.pairs}
    for ticket in tickets(waiting):
        if ticket.ticket_id in stay:
            fitting = [caller for caller in at_work if fits(caller, ticket)]
            assert all(caller.room == 0 for caller in fitting)
            assert (ticket.ticket_id in shared.unfitting) == (not fitting)


def test_the_least_loaded_for_their_contacts_a_day_comes_first():
    busy, free = Caller(1, 5, contacts=10, unfinished=5), Caller(2, 5, contacts=2, unfinished=0)
    given_to = [staff for _, staff in share_out([Waiting(n) for n in range(3)], [busy, free]).pairs]
    assert given_to == [2, 1, 2]  # loads: 1/2 against 0, then 1/2 against 1/2, then 6/10 against 1/2


def test_an_office_serves_the_shops_below_it_and_a_shop_not_its_neighbour():
    shop = Waiting(1, LINES["shop"])
    assert fits(Caller(1, 1, branch="county"), shop)
    assert not fits(Caller(1, 1, branch="elsewhere"), shop)
    assert fits(Caller(1, 1, branch="elsewhere", region="R01"), Waiting(1, LINES["shop"], "R01"))


def test_a_ticket_that_only_somebody_away_today_fits_waits_for_them():
    ticket = Waiting(1, LINES["shop"])
    here, away = Caller(1, 3, branch="elsewhere"), Caller(2, 0, branch="shop")
    assert share_out([ticket], [here], [away]).unfitting == []
    assert share_out([ticket], [here], []).unfitting == [1]


def test_a_skill_is_had_by_those_trained_for_it():
    assert not fits(Caller(1, 1), Waiting(1, skill="silver"))
    assert fits(Caller(1, 1, skills=frozenset({"silver"})), Waiting(1, skill="silver"))


CAMPAIGNS = ("first", "second", "third")
SHARES = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([0.05, 0.1, 0.3, 0.34]) for name in CAMPAIGNS}
)
MIXED = st.lists(st.sampled_from(CAMPAIGNS), max_size=40)
ROOMS = st.lists(st.integers(0, 6), min_size=1, max_size=5)


def of_campaigns(named):
    """Tickets as they wait, by precedence: those of the first campaign before those of the second."""
    return [Waiting(number, campaign=name) for number, name in enumerate(sorted(named))]


@given(MIXED, SHARES, ROOMS, st.integers(0, 30))
def test_every_campaign_has_its_share_of_the_day_and_the_rest_goes_by_precedence(named, shares, rooms, room):
    waiting = of_campaigns(named)
    room = min(room, sum(rooms))
    people = [Caller(number, each) for number, each in enumerate(rooms, start=1)]
    least = least_of(shares, room)
    given_to = [ticket for ticket, _ in share_among(waiting, least, people, [], room)]
    assert len(set(given_to)) == len(given_to) == min(room, len(waiting))
    counts = Counter(waiting[ticket].campaign for ticket in given_to)
    if sum(least.values()) <= room:
        for name, count in least.items():
            assert counts[name] >= min(count, named.count(name))
    for name in CAMPAIGNS:  # within a campaign nobody is passed over
        assert [each.ticket_id for each in waiting if each.campaign == name][: counts[name]] == sorted(
            ticket for ticket in given_to if waiting[ticket].campaign == name
        )
    spare = [name for name in CAMPAIGNS if counts[name] > least.get(name, 0)]
    for name in spare[1:]:  # more than its share only when all better placed ones are through
        better = CAMPAIGNS[: CAMPAIGNS.index(name)]
        assert all(counts[each] == named.count(each) for each in better)


@given(CALLERS, TICKETS, st.integers(0, 30), st.sampled_from([0.0, 0.2, 0.7, 1.0]))
def test_one_campaign_alone_is_shared_out_as_if_it_had_no_share(people, drawn, room, share):
    waiting = tickets(drawn)
    plain = share_among(waiting, {}, callers(people), [], room)
    assert share_among(waiting, least_of({"": share}, room), callers(people), [], room) == plain
    shared = share_out(waiting, callers(people))
    assert plain == [*shared.pairs, *((ticket, NOBODY) for ticket in shared.unfitting)][:room]


@given(MIXED, SHARES, st.lists(st.integers(0, 9), max_size=6))
def test_the_days_ahead_come_to_the_tickets_as_each_morning_will(named, shares, rooms):
    left, mornings = of_campaigns(named), []
    for room in rooms:
        today = dict(share_among(left, least_of(shares, room), [Caller(1, room)], [], room))
        mornings += today
        left = [each for each in left if each.ticket_id not in today]
    turn = [each.ticket_id for each in in_turn(of_campaigns(named), shares, rooms)]
    assert turn == [*mornings, *(each.ticket_id for each in left)]


def test_a_share_is_counted_as_it_is_written_and_a_part_of_a_ticket_is_one():
    assert least_of({"first": 0.1, "second": 0.34}, 30) == {"first": 3, "second": 11}
    assert least_of({"first": 0.1}, 4) == {"first": 1}
    assert least_of({"first": 0.1}, 0) == {"first": 0}


def test_a_ticket_goes_to_whom_it_is_for_whatever_fits():
    busy, idle = Caller(1, 1, contacts=1, unfinished=9, branch="elsewhere"), Caller(2, 5)
    ticket = Waiting(1, LINES["shop"], skill="silver", led_by=1)
    assert share_out([ticket], [busy, idle]).pairs == [(1, 1)]


def test_a_ticket_waits_for_the_room_of_whom_it_is_for_and_is_anybodys_while_they_are_away():
    ticket, idle = Waiting(1, led_by=1), Caller(2, 5)
    full, away = Caller(1, 0, contacts=4), Caller(1, 0, contacts=0)
    waits = share_out([ticket], [idle], [full])
    assert (waits.pairs, waits.unfitting) == ([], [])
    assert share_out([ticket], [idle], [away]).pairs == [(1, 2)]
