"""Many people at once on the same tickets: every action is done once or refused, none lost, none doubled."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import sqlalchemy as sa

from include.config import Config
from include.database import DESK_ROLE, engine
from include.desk.tickets import contacts, life_cycle
from include.desk.tickets.transaction import Actor
from include.domain.errors import Refused
from include.stages.release import release
from tests.fixtures.desk import MONDAY, worked_through
from tests.fixtures.work import FRIDAY, fill_cycle, hire

CLAIMERS, TICKETS = 50, 20


@pytest.fixture
def pool(role_url: Callable[[str], str]) -> Iterator[sa.Engine]:
    made = engine(role_url(DESK_ROLE), role=DESK_ROLE, pool_size=CLAIMERS, max_overflow=0)
    yield made
    made.dispose()


def at_once(jobs: list[Callable[[], None]]) -> None:
    """Run every job in a thread of its own, all let loose together."""
    gate, failed = threading.Barrier(len(jobs)), []

    def run(job: Callable[[], None]) -> None:
        gate.wait()
        try:
            job()
        except Exception as error:  # noqa: BLE001 - told to the test below
            failed.append(error)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def tried(done: Counter, what: str, function: Callable[..., object], *words, **named) -> None:
    """Count whether it was done or refused; anything else fails the test."""
    try:
        function(*words, **named)
    except Refused:
        done["refused"] += 1
    else:
        done[what] += 1


def events(db: sa.Connection) -> list[tuple]:
    """Per ticket its version, the number of its events and how many are claims."""
    with db.begin():
        return db.execute(
            sa.text(
                "select t.ticket_id, t.version, count(*) as events, count(*) filter (where e.kind = 'claim') as claims,"
                " t.assignee_id from tickets as t join ticket_events as e using (ticket_id)"
                " group by t.ticket_id order by t.ticket_id"
            )
        ).all()


def test_fifty_claimers_of_twenty_tickets_get_each_once(db, config, pool):
    fill_cycle(db, TICKETS)
    release(db=db, config=config, now=FRIDAY)  # nobody is hired yet: all lies in the team's queue
    with db.begin():
        agents = list(
            db.execute(
                sa.text(
                    "insert into staff (staff_code, name, role, team, contacts_per_day)"
                    " select 'C' || n, 'C' || n, 'agent', 'mid_high', 4 from generate_series(1, :n) as n"
                    " returning staff_id"
                ),
                {"n": CLAIMERS},
            ).scalars()
        )
        tickets = db.execute(sa.text("select ticket_id, version from tickets")).all()
    done: Counter = Counter()

    def claimer(staff_id: int) -> Callable[[], None]:
        order = random.Random(staff_id).sample(tickets, len(tickets))

        def job() -> None:
            with pool.connect() as own:
                for ticket in order:
                    actor = Actor(own, config, staff_id, ticket.ticket_id, ticket.version, MONDAY)
                    tried(done, "claimed", life_cycle.claim, actor)

        return job

    at_once([claimer(agent) for agent in agents])
    assert done == {"claimed": TICKETS, "refused": (CLAIMERS - 1) * TICKETS}
    for row in events(db):
        assert (row.claims, row.events, row.version) == (1, 3, 3)
        assert row.assignee_id in agents


def test_reassign_against_close_and_close_against_close_is_one_of_them(db, config, pool):
    people = hire(db, contacts_per_day=20)
    fill_cycle(db, TICKETS)
    release(db=db, config=config, now=FRIDAY)
    with db.begin():
        rows = db.execute(sa.text("select ticket_id, version, assignee_id from tickets")).all()
    with pool.connect() as own:
        seen = [
            worked_through(Actor(own, config, row.assignee_id, row.ticket_id, row.version, MONDAY))
            for row in rows
        ]
    done: Counter = Counter()

    def close(own: sa.Connection, actor: Actor) -> None:
        tried(
            done,
            "closed",
            life_cycle.close,
            replace(actor, db=own),
            outcome="retained",
            detail="accepted_offer",
        )

    def reassign(own: sa.Connection, actor: Actor) -> None:
        lead = replace(actor, db=own, staff_id=people.lead)
        heir = people.colleague if actor.staff_id == people.agent else people.agent
        tried(done, "reassigned", life_cycle.reassign, lead, heir)

    def all_of(step: Callable[[sa.Connection, Actor], None]) -> Callable[[], None]:
        def job() -> None:
            with pool.connect() as own:
                for actor in seen:
                    step(own, actor)

        return job

    at_once([all_of(step) for step in (close, reassign, close, reassign)])
    assert done["closed"] + done["reassigned"] == TICKETS
    assert done["refused"] == 3 * TICKETS
    # 1 dispatch, 2 release, 3 contact, 4 survey, 5 plan, 6 the one that won
    assert [(row.version, row.events) for row in events(db)] == [(6, 6)] * TICKETS
    with db.begin():
        twice = db.execute(sa.text("select count(*) from tickets where state = 'closed'")).scalar()
    assert twice == done["closed"]


#: Two campaigns whose tickets may stand side by side.
_TWO_OF_ONE = """
update tickets set
    beside = true, customer_key = 'S0001', campaign = case rank when 2 then 'renewal' else campaign end
"""


def test_do_not_call_on_both_tickets_of_a_customer_at_once_waits_in_no_ring(db, config: Config, pool):
    people = hire(db)
    fill_cycle(db, 2)
    release(db=db, config=config, now=FRIDAY)
    with db.begin():
        db.execute(sa.text(_TWO_OF_ONE))
        rows = db.execute(sa.text("select ticket_id, version from tickets order by rank")).all()
    config = replace(config, campaigns={**config.campaigns, "renewal": config.campaigns["churn_warning"]})
    done: Counter = Counter()

    def job(ticket: sa.Row) -> Callable[[], None]:
        def run() -> None:
            with pool.connect() as own:
                actor = Actor(own, config, people.lead, ticket.ticket_id, ticket.version, MONDAY)
                tried(done, "stopped", contacts.do_not_call, actor, words="never again")

        return run

    at_once([job(ticket) for ticket in rows] * 8)
    assert done == {"stopped": 1, "refused": 15}
    assert [(row.version, row.events) for row in events(db)] == [(3, 3)] * 2
