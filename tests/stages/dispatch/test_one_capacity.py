"""One capacity for all campaigns: what is spoken for, never sold twice, and free when a ticket has waited too long."""

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.clocks.expiry import expire_waiting
from include.config import Config
from include.database import engine
from include.domain.periods.months import ZONE
from include.stages.dispatch import Choices, dispatch, plan_size
from include.stages.release import release
from tests.fixtures.beside import with_campaign, with_draws
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire

NOW = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
FIRST, SECOND = "churn_warning", "renewal"
TREATED_ALL = {"share": 0.0}


@pytest.fixture(scope="module")
def both(config: Config) -> Config:
    """churn_warning without a hold-out, and a campaign that has none."""
    return with_draws(with_campaign(config, SECOND, measure={"because": "test"}), churn_warning=TREATED_ALL)


def people(letter: str, n: int = 60) -> list[Warned]:
    return [Warned(f"{letter}{number:03}") for number in range(n)]


def graded(db, lake, config, campaign: str, warned: list[Warned], month: str = "2026-10") -> dict[str, Any]:
    everybody = [*people("A"), *people("B")]
    return graded_cycle(db, lake, config.of(campaign), warned, month, campaign=campaign, everybody=everybody)


def rows(db: sa.Connection, statement: str, **values: Any) -> list[Any]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def states(db: sa.Connection) -> dict[tuple[str, str], int]:
    return {
        (campaign, state): count
        for campaign, state, count in rows(
            db, "select campaign, state, count(*) from tickets group by campaign, state"
        )
    }


def test_what_waits_or_was_never_contacted_is_spoken_for_whichever_campaign_it_is_of(db, lake, both):
    hire(db, contacts_per_day=4)  # of mid_high 2 × 4 × 3 days: 24
    dispatch(run_of(**graded(db, lake, both, FIRST, people("A", 20)), now=NOW))
    told = dispatch(run_of(**graded(db, lake, both, SECOND, people("B")), now=NOW))
    assert (told["treated"], told["not_reached"], told["capacity_taken"]) == (4, 56, 20)


def test_who_was_contacted_takes_no_first_contact_any_more(db, lake, both):
    staff = hire(db, contacts_per_day=4)
    dispatch(run_of(**graded(db, lake, both, FIRST, people("A", 24)), now=NOW))
    release(db=db, config=both, now=NOW.replace(hour=9))
    contacted = rows(
        db,
        "insert into contact_attempts (ticket_id, attempted_at, channel, result, staff_id)"
        " select ticket_id, now(), 'call', 'no_answer', :staff from tickets where state = 'assigned'"
        " returning ticket_id",
        staff=staff.agent,
    )
    assert len(contacted) == 8
    assert dispatch(run_of(**graded(db, lake, both, SECOND, people("B")), now=NOW))["treated"] == 8


def test_the_tickets_of_the_cycle_itself_stay_spoken_for_when_they_are_done(db, lake, both):
    hire(db, contacts_per_day=4)
    given = graded(db, lake, both, FIRST, people("A"))
    assert dispatch(run_of(**given, now=NOW))["treated"] == 24
    rows(
        db,
        "with gone as (update tickets set state = 'cancelled', closed_at = now(), version = version + 1"
        " returning ticket_id, version)"
        " insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at)"
        " select ticket_id, version, 'cancel', 'waiting', 'cancelled', 'x', now() from gone returning 1",
    )
    assert dispatch(run_of(**given, now=NOW), Choices(top_up=True))["treated"] == 0
    assert dispatch(run_of(**graded(db, lake, both, SECOND, people("B")), now=NOW))["treated"] == 24


def test_a_plan_counts_what_is_spoken_for_like_the_dispatch(db, lake, both):
    hire(db, contacts_per_day=4)
    dispatch(run_of(**graded(db, lake, both, FIRST, people("A", 20)), now=NOW))
    given = graded(db, lake, both, SECOND, people("B"))
    asked = {name: value for name, value in given.items() if name != "as_of"}
    assert plan_size(run_of(**asked, now=NOW), Choices())["tickets_at_most"] == 4
    # what will have expired by the dispatch frees its place in the plan already
    assert plan_size(run_of(**asked, now=NOW + timedelta(days=27)), Choices())["tickets_at_most"] == 24


def test_two_campaigns_that_dispatch_at_once_never_sell_a_contact_twice(db, lake, both, role_url):
    hire(db, contacts_per_day=4)
    given = [graded(db, lake, both, name, people(letter)) for name, letter in ((FIRST, "A"), (SECOND, "B"))]
    together = threading.Barrier(2)
    told: list[dict[str, Any]] = []

    def run(one: dict[str, Any]) -> None:
        made = engine(role_url("churn_loop"))
        with made.connect() as own:
            together.wait()
            told.append(dispatch(run_of(**one | {"db": own}, now=NOW)))
        made.dispose()

    threads = [threading.Thread(target=run, args=(one,)) for one in given]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each["treated"] for each in told) == [0, 24]
    assert rows(db, "select count(*) from tickets") == [(24,)]


def test_what_waited_for_the_days_of_its_campaign_expires_whoever_dispatches(db, lake, both):
    hire(db, contacts_per_day=1)
    quick = with_campaign(both, "quick", measure={"because": "test"}, waiting_days=2)
    dispatch(run_of(**graded(db, lake, quick, FIRST, people("A", 3)), now=NOW))
    dispatch(run_of(**graded(db, lake, quick, "quick", people("B", 2)), now=NOW))
    later = NOW + timedelta(days=2)
    dispatch(run_of(**graded(db, lake, quick, SECOND, []), now=later))
    assert states(db) == {(FIRST, "waiting"): 3, ("quick", "expired"): 2}
    expired = rows(db, "select actor, occurred_at, from_state from ticket_events where kind = 'expire'")
    assert expired == [("loop", later, "waiting")] * 2


def test_the_dispatch_of_a_month_later_expires_what_the_former_left(db, lake, both):
    """Two monthly dispatches lie at least 28 days apart: February to March."""
    hire(db, contacts_per_day=1)
    february = datetime(2027, 2, 5, 6, 30, tzinfo=ZONE)
    dispatch(run_of(**graded(db, lake, both, FIRST, people("A", 3), month="2027-01"), now=february))
    march = february + timedelta(days=28, minutes=-20)
    told = dispatch(run_of(**graded(db, lake, both, FIRST, people("B", 6), month="2027-02"), now=march))
    assert told["treated"] == 6
    assert states(db) == {(FIRST, "expired"): 3, (FIRST, "waiting"): 6}


def test_a_ticket_waits_until_the_instant_it_expires_and_no_longer(db, lake, both):
    hire(db, contacts_per_day=1)
    dispatch(run_of(**graded(db, lake, both, FIRST, people("A", 3)), now=NOW))
    ends = NOW + timedelta(days=27)
    with db.begin():
        assert expire_waiting(db, ends - timedelta(seconds=1)) == 0
        assert expire_waiting(db, ends) == 3
        assert expire_waiting(db, ends) == 0


def test_expiring_waits_for_nobody_who_holds_a_ticket(db, lake, both, role_url):
    hire(db, contacts_per_day=1)
    dispatch(run_of(**graded(db, lake, both, FIRST, people("A", 3)), now=NOW))
    made = engine(role_url("churn_loop"))
    with made.connect() as other, other.begin():
        other.execute(sa.text("select 1 from tickets where rank = 1 for update"))
        with db.begin():
            assert expire_waiting(db, NOW + timedelta(days=27)) == 2
    made.dispose()


def test_a_ticket_knows_its_place_among_campaigns(db, lake, both):
    beside = with_campaign(both, SECOND, measure={"because": "test"}, precedence=30, beside_others=True)
    dispatch(run_of(**graded(db, lake, beside, SECOND, [Warned("A001", grade=None)]), now=NOW))
    assert rows(
        db,
        "select grade, tier, precedence, beside, is_pool, led_by, shared_by, expires_at - dispatched_at from tickets",
    ) == [(None, "priority", 30, True, False, None, None, timedelta(days=27))]
    assert rows(db, "select dispatch_summary -> 'high' from cycles") == [(1,)]


def test_a_day_is_dispatched_until_three_days_later(db, lake, config):
    daily = with_campaign(
        config, "by_day", cadence="daily", horizon_months=None, horizon_days=7, measure={"because": "test"}
    )
    given = graded(db, lake, daily, "by_day", people("A", 5), month="2026-11-09")
    late = datetime(2026, 11, 12, 0, 0, tzinfo=ZONE)
    assert dispatch(run_of(**given, now=late))["message"].startswith("2026-11-09 is over")
    told = dispatch(run_of(**given, now=late - timedelta(seconds=1)))
    assert (given["month"], told["treated"]) == ("2026-10", 5)
    assert rows(db, "select distinct cycle, epoch from assignments") == [("2026-11-09", "2026H2")]
