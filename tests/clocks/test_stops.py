"""Outbound stopped: nothing is released, deadlines rest and move by the days it stood, everything is audited."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa

from include.clocks import stops
from include.commands.stops import main
from include.domain.contact.stop import Scope
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.signature import Signature
from include.stages import sla
from include.stages.release import release
from tests.fixtures.work import FRIDAY, fill_cycle, hire

MONDAY = datetime(2026, 11, 9, 10, tzinfo=ZONE)
WEDNESDAY_18 = datetime(2026, 11, 11, 18, tzinfo=ZONE)
TICK = timedelta(minutes=15)


def stopped(db, config, scope, now=MONDAY):
    return stops.stop(db, config, scope, Signature("operations", now, "storm, all lines are needed"))["stop"]


def rows(db, statement, **values):
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def due(db, clock="plan"):
    return rows(
        db, "select ticket_id, due_at from ticket_clocks where clock = :clock order by 1", clock=clock
    )


@pytest.fixture
def tickets(db, config):
    """Four tickets released on Friday; the first is of region 0451, the second of team vip."""
    hire(db)
    ids = fill_cycle(db, 4)
    rows(db, "update tickets set region_code = '0451' where ticket_id = :id returning 1", id=ids[0])
    rows(db, "update tickets set team = 'vip' where ticket_id = :id returning 1", id=ids[1])
    release(db=db, config=config, now=FRIDAY)
    return ids


SCOPES = {
    "region": (Scope("region", "0451"), {0}),
    "team": (Scope("team", "vip"), {1}),
    "campaign": (Scope("campaign", "churn_warning"), {0, 1, 2, 3}),
    "all": (Scope("all"), {0, 1, 2, 3}),
}


@pytest.mark.parametrize("name", SCOPES)
def test_nothing_of_what_is_stopped_is_released_and_all_else_is(db, config, name):
    scope, of = SCOPES[name]
    hire(db)
    ids = fill_cycle(db, 4)
    rows(db, "update tickets set region_code = '0451' where ticket_id = :id returning 1", id=ids[0])
    rows(db, "update tickets set team = 'vip' where ticket_id = :id returning 1", id=ids[1])
    stop = stopped(db, config, scope, FRIDAY - TICK)
    release(db=db, config=config, now=FRIDAY)
    waiting = {row[0] for row in rows(db, "select ticket_id from tickets where state = 'waiting'")}
    assert waiting == {ids[at] for at in of}
    stops.lift(db, stop, Signature("operations", FRIDAY + TICK))
    release(db=db, config=config, now=FRIDAY + 2 * TICK)
    assert rows(db, "select count(*) from tickets where state = 'waiting'") == [(0,)]


def test_a_ticket_that_names_no_region_is_of_that_of_its_branch(db, config):
    hire(db)
    ids = fill_cycle(db, 3)
    rows(db, "insert into branches (branch_code, name, region_code) values ('B1', 'One', '0451') returning 1")
    rows(db, "update tickets set branch_code = 'B1' where ticket_id = any(:ids) returning 1", ids=ids[:2])
    rows(db, "update tickets set region_code = '0459' where ticket_id = :id returning 1", id=ids[1])
    stop = stopped(db, config, Scope("region", "0451"), FRIDAY - TICK)
    release(db=db, config=config, now=FRIDAY)
    assert rows(db, "select ticket_id from tickets where state = 'waiting'") == [(ids[0],)]
    stops.lift(db, stop, Signature("operations", FRIDAY + TICK))
    release(db=db, config=config, now=FRIDAY + 2 * TICK)
    stop = stopped(db, config, Scope("region", "0451"))
    sla.watch(db=db, config=config, now=WEDNESDAY_18 + TICK)
    assert (ids[0],) not in rows(db, "select ticket_id from ticket_clocks where breached_at is not null")
    stops.lift(db, stop, Signature("operations", WEDNESDAY_18 + 2 * TICK))
    assert sla.watch(db=db, config=config, now=WEDNESDAY_18 + 3 * TICK)["rested"] == 1


def test_without_staff_nothing_of_what_is_stopped_goes_out_either(db, config):
    fill_cycle(db, 2)
    stopped(db, config, Scope("all"), FRIDAY - TICK)
    assert release(db=db, config=config, now=FRIDAY)["released"] == 0


@pytest.mark.parametrize("name", SCOPES)
def test_clocks_rest_while_it_stands_and_deadlines_move_by_its_days_once_lifted(db, config, tickets, name):
    scope, of = SCOPES[name]
    stop = stopped(db, config, scope)
    assert {row[1] for row in due(db)} == {WEDNESDAY_18}
    told = sla.watch(db=db, config=config, now=WEDNESDAY_18 + TICK)
    breached = rows(db, "select distinct ticket_id from ticket_clocks where breached_at is not null")
    assert {row[0] for row in breached} == {tickets[at] for at in range(4)} - {tickets[at] for at in of}
    stops.lift(db, stop, Signature("operations", WEDNESDAY_18 + 2 * TICK))
    # lifted, but not counted anew yet: nothing is breached in between
    told = sla.watch(db=db, config=config, now=WEDNESDAY_18 + 3 * TICK)
    assert (told["rested"], told["breached"]) == (len(of), 0)
    moved = dict(due(db))
    # Monday, Tuesday and Wednesday do not count: Thursday, Friday and the Monday after are the three
    assert {moved[tickets[at]] for at in of} == {datetime(2026, 11, 16, 18, tzinfo=ZONE)}
    assert sla.watch(db=db, config=config, now=WEDNESDAY_18 + 4 * TICK)["rested"] == 0
    events = rows(db, "select count(*) from ticket_events where kind = 'recompute' and details ? 'stop'")
    assert events == [(len(of),)]


def test_the_explanation_says_which_days_rested(db, config, tickets):
    stop = stopped(db, config, Scope("all"))
    stops.lift(db, stop, Signature("operations", MONDAY + TICK))
    sla.watch(db=db, config=config, now=MONDAY + 2 * TICK)
    ((explanation,),) = rows(
        db, "select explanation from ticket_clocks where clock = 'plan' and ticket_id = :id", id=tickets[0]
    )
    paused = [note["day"] for note in explanation["days"] if note["reason"] == "paused"]
    assert paused == ["2026-11-09"]


def test_what_was_overdue_before_the_stop_is_breached_all_the_same(db, config, tickets):
    stopped(db, config, Scope("all"), WEDNESDAY_18 + TICK)
    assert sla.watch(db=db, config=config, now=WEDNESDAY_18 + 2 * TICK)["breached"] == 8


def test_what_is_breached_climbs_no_further_while_it_stands(db, config, tickets):
    sla.watch(db=db, config=config, now=WEDNESDAY_18 + TICK)
    raised = rows(db, "select count(*) from notices where kind = 'clock_breached'")
    stop = stopped(db, config, Scope("all"), WEDNESDAY_18 + 2 * TICK)
    later = WEDNESDAY_18 + timedelta(days=5)
    assert sla.watch(db=db, config=config, now=later)["escalated"] == 0
    assert rows(db, "select count(*) from notices where kind = 'clock_breached'") == raised
    stops.lift(db, stop, Signature("operations", later + TICK))
    # the first contacts, overdue since Friday, stood at the highest level before it
    assert sla.watch(db=db, config=config, now=later + 2 * TICK)["escalated"] == 4


def test_a_stop_outside_working_hours_moves_nothing(db, config, tickets):
    before = due(db)
    stop = stopped(db, config, Scope("all"), datetime(2026, 11, 9, 20, tzinfo=ZONE))
    stops.lift(db, stop, Signature("operations", datetime(2026, 11, 10, 7, tzinfo=ZONE)))
    assert sla.watch(db=db, config=config, now=datetime(2026, 11, 10, 10, tzinfo=ZONE))["rested"] == 0
    assert due(db) == before


def test_two_stops_of_one_day_give_it_back_once(db, config, tickets):
    for scope in (Scope("all"), Scope("campaign", "churn_warning")):
        stop = stopped(db, config, scope)
        stops.lift(db, stop, Signature("operations", MONDAY + TICK))
    sla.watch(db=db, config=config, now=MONDAY + 2 * TICK)
    assert {row[1] for row in due(db)} == {datetime(2026, 11, 12, 18, tzinfo=ZONE)}


def test_the_same_is_not_stopped_twice_nor_lifted_twice(db, config):
    stop = stopped(db, config, Scope("team", "vip"))
    with pytest.raises(Refused, match="team vip is stopped already"):
        stopped(db, config, Scope("team", "vip"))
    stops.lift(db, stop, Signature("operations", MONDAY))
    with pytest.raises(Refused, match="is lifted already"):
        stops.lift(db, stop, Signature("operations", MONDAY))
    assert stopped(db, config, Scope("team", "vip")) != stop


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        (Scope("team", "nobody"), "There is no team 'nobody'. Known: .*vip"),
        (Scope("campaign", "nothing"), "There is no campaign 'nothing'. Known: .*churn_warning"),
        (Scope("region", "9999"), "No ticket and no branch is of region '9999'"),
    ],
)
def test_a_slip_is_told_instead_of_stopping_nothing(db, config, scope, told):
    with pytest.raises(BadInput, match=told):
        stopped(db, config, scope)


def test_it_needs_its_reason(db, config):
    with pytest.raises(BadInput, match="in words"):
        stops.stop(db, config, Scope("all"), Signature("operations", MONDAY, " "))


def test_by_command_it_is_stopped_listed_lifted_and_audited(db, role_url, capsys):
    place = ["--db", role_url("churn_loop"), "--now", MONDAY.isoformat()]
    assert main(["stop", "--team", "vip", "--because", "storm", "--by", "li", *place]) == 0
    assert main(["list", *place]) == 0
    shown = capsys.readouterr().out
    assert "team vip" in shown
    assert "stands" in shown
    ((stop,),) = rows(db, "select stop_id from outbound_stops")
    assert main(["lift", str(stop), "--by", "li", *place]) == 0
    assert main(["lift", str(stop), "--by", "li", *place]) == 1
    assert "is lifted already" in capsys.readouterr().err
    audited = rows(db, "select actor, action, subject from audit_log order by happened_at, action desc")
    assert audited == [("li", "stop_outbound", "team vip"), ("li", "lift_stop", "team vip")]
