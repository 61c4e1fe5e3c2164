"""Who is given which ticket: the least loaded who fits, within the room of the day."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from include.domain.sharing import Caller, Waiting, fits, share_out

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
