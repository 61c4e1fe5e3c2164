"""A wrong batch taken back: what is cancelled, what stays, and that it can be dispatched again."""

import json

import pytest
import sqlalchemy as sa

from include import recall as command
from include.domain.errors import BadInput, NotReady
from include.stages.dispatch import Selection, dispatch, recall
from include.stages.release import release
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.work import hire, snapshot
from tests.stages.test_dispatch import NOW, people, rows

WHAT = {"campaign": "churn_warning", "cycle": "2026-10"}
WHY = {"because": "the rule was wrong", "by": "Li Na"}


@pytest.fixture
def dispatched(db, lake, config):
    """Forty customers of mid_high and ten of vip, dispatched and the first released to two agents and one."""
    staff = hire(db, contacts_per_day=20)
    given = graded_cycle(
        db, lake, config, [*people(40), *(Warned(f"V{n:03d}", value_yuan=200) for n in range(10))]
    )
    dispatch(**given, now=NOW)
    release(db=db, config=config, now=NOW.replace(hour=8))
    return given, staff


def contact_one(db, staff, team="mid_high"):
    """Record a contact on the best ranked ticket of the team, as the desk would; return its number."""
    ticket = rows(db, "select ticket_id from tickets where team = :team order by rank limit 1", team=team)[0][
        0
    ]
    with db.begin():
        for statement in (
            "insert into contact_attempts (ticket_id, attempted_at, channel, result, staff_id)"
            " values (:ticket, now(), 'call', 'reached', :staff)",
            "update tickets set state = 'in_progress', version = version + 1 where ticket_id = :ticket",
            "insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at)"
            " select ticket_id, version, 'contact', 'assigned', 'in_progress', 'x', now() from tickets"
            " where ticket_id = :ticket",
        ):
            db.execute(sa.text(statement), {"ticket": ticket, "staff": staff.agent})
    return ticket


def count(db, where):
    return rows(db, f"select count(*) from tickets where {where}")[0][0]


def test_a_whole_cycle_is_taken_back_and_dispatched_again_into_the_same_arms(db, dispatched):
    given, _ = dispatched
    arms = rows(db, "select subscriber_id, arm from assignments order by 1")
    told = recall(db=db, **WHAT, **WHY, selection=Selection(), now=NOW)
    assert told["recalled"] + told["held_out_recalled"] == 50
    assert count(db, "not is_recalled or state <> 'cancelled'") == 0
    assert rows(db, "select count(*) from ticket_clocks where voided_at is null") == [(0,)]
    assert rows(db, "select distinct details ->> 'because' from ticket_events where kind = 'recall'") == [
        (WHY["because"],)
    ]
    dispatch(**given, now=NOW, top_up=True)
    again = rows(db, "select subscriber_id, arm from assignments where not is_recalled order by 1")
    assert again == arms
    assert count(db, "not is_recalled") == told["recalled"]


def test_a_second_recall_finds_nothing_left(db, dispatched):
    recall(db=db, **WHAT, **WHY, selection=Selection(), now=NOW)
    before = rows(db, "select count(*) from ticket_events")
    again = recall(db=db, **WHAT, **WHY, selection=Selection(), now=NOW)
    assert (again["recalled"], again["held_out_recalled"]) == (0, 0)
    assert rows(db, "select count(*) from ticket_events") == before


def test_only_the_selected_team_is_taken_back_in_both_arms(db, dispatched):
    vip = [ticket for (ticket,) in rows(db, "select ticket_id from tickets where team = 'mid_high'")]
    bystanders = [snapshot(db, ticket) for ticket in vip]
    recall(db=db, **WHAT, **WHY, selection=Selection(team="vip"), now=NOW)
    assert rows(
        db, "select distinct d.team from assignments as a join dispatch_decisions as d"
        " using (campaign, cycle, subscriber_id) where a.is_recalled",
    ) == [("vip",)]  # fmt: skip
    assert rows(
        db, "select count(*) from assignments as a join dispatch_decisions as d"
        " using (campaign, cycle, subscriber_id) where not a.is_recalled and d.team = 'vip'",
    ) == [(0,)]  # fmt: skip
    assert [snapshot(db, ticket) for ticket in vip] == bystanders


def test_a_rule_or_region_selects_by_the_frozen_evidence(db, dispatched):
    assert recall(db=db, **WHAT, **WHY, selection=Selection(rule="nothing"), now=NOW)["recalled"] == 0
    assert recall(db=db, **WHAT, **WHY, selection=Selection(region="R99"), now=NOW)["recalled"] == 0
    assert recall(db=db, **WHAT, **WHY, selection=Selection(rule="arpu_falling"), now=NOW)["recalled"] > 0


def test_a_contacted_ticket_stays_unless_told_otherwise(db, dispatched):
    _, staff = dispatched
    ticket = contact_one(db, staff)
    told = recall(db=db, **WHAT, **WHY, selection=Selection(), now=NOW)
    assert told["kept_contacted"] == 1
    assert rows(db, "select state, is_recalled from tickets where ticket_id = :id", id=ticket) == [
        ("in_progress", False)
    ]
    told = recall(db=db, **WHAT, **WHY, selection=Selection(), contacted_too=True, now=NOW)
    assert told["recalled"] == 1
    states = "select from_state, to_state from ticket_events where ticket_id = :id and kind = 'recall'"
    assert rows(db, states, id=ticket) == [("in_progress", "cancelled")]


def test_what_was_never_dispatched_or_has_no_reason_is_refused(db, lake, config):
    given = graded_cycle(db, lake, config, people(3))
    with pytest.raises(NotReady, match="there is nothing to recall"):
        recall(db=db, **WHAT, **WHY, selection=Selection(), now=NOW)
    dispatch(**given, now=NOW)
    with pytest.raises(BadInput, match="reason in words"):
        recall(db=db, **WHAT, because=" ", by="x", selection=Selection(), now=NOW)


def test_the_command_takes_back_and_tells(db, dispatched, role_url, capsys):
    words = ["--cycle", "2026-10", "--because", "wrong rule", "--by", "Li Na", "--now", NOW.isoformat()]
    assert command.main([*words, "--db", role_url("churn_loop")]) == 0
    assert json.loads(capsys.readouterr().out)["recalled"] > 0
    assert rows(db, "select actor, subject from audit_log where action = 'recall'") == [
        ("Li Na", "churn_warning 2026-10")
    ]
    assert command.main(["--cycle", "2026-01", *words[2:], "--db", role_url("churn_loop")]) == 1
    assert "was not dispatched" in capsys.readouterr().err
