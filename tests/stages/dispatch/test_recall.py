"""A wrong batch taken back: what is cancelled, what stays, and that it can be dispatched again."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
import sqlalchemy as sa

from include.commands import recall as command
from include.commands.budgets import Pot, set_pot
from include.domain.errors import BadInput, NotReady
from include.domain.signature import Signature
from include.stages.dispatch import Batch, Choices, Selection, dispatch, recall
from include.stages.release import release
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire, snapshot
from tests.stages.dispatch.test_dispatch import NOW, people, rows

WHAT = {"campaign": "churn_warning", "cycle": "2026-10"}
SIGNED = Signature("Li Na", NOW, "the rule was wrong")


@pytest.fixture
def dispatched(db, lake, config):
    """Forty customers of mid_high and ten of vip, dispatched and the first released to two agents and one."""
    staff = hire(db, contacts_per_day=20)
    given = graded_cycle(
        db, lake, config, [*people(40), *(Warned(f"V{n:03d}", value_yuan=200) for n in range(10))]
    )
    dispatch(run_of(**given, now=NOW))
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
    told = recall(db=db, batch=Batch(**WHAT), signed=SIGNED)
    assert told["recalled"] + told["held_out_recalled"] == 50
    assert count(db, "not is_recalled or state <> 'cancelled'") == 0
    assert rows(db, "select count(*) from ticket_clocks where voided_at is null") == [(0,)]
    assert rows(db, "select distinct details ->> 'because' from ticket_events where kind = 'recall'") == [
        (SIGNED.because,)
    ]
    dispatch(run_of(**given, now=NOW), Choices(top_up=True))
    again = rows(db, "select subscriber_id, arm from assignments where not is_recalled order by 1")
    assert again == arms
    assert count(db, "not is_recalled") == told["recalled"]


def test_a_second_recall_finds_nothing_left(db, dispatched):
    recall(db=db, batch=Batch(**WHAT), signed=SIGNED)
    before = rows(db, "select count(*) from ticket_events")
    again = recall(db=db, batch=Batch(**WHAT), signed=SIGNED)
    assert (again["recalled"], again["held_out_recalled"]) == (0, 0)
    assert rows(db, "select count(*) from ticket_events") == before


def test_only_the_selected_team_is_taken_back_in_both_arms(db, dispatched):
    vip = [ticket for (ticket,) in rows(db, "select ticket_id from tickets where team = 'mid_high'")]
    bystanders = [snapshot(db, ticket) for ticket in vip]
    recall(db=db, batch=Batch(**WHAT, selection=Selection(team="vip")), signed=SIGNED)
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
    assert (
        recall(db=db, batch=Batch(**WHAT, selection=Selection(rule="nothing")), signed=SIGNED)["recalled"]
        == 0
    )
    assert (
        recall(db=db, batch=Batch(**WHAT, selection=Selection(region="R99")), signed=SIGNED)["recalled"] == 0
    )
    assert (
        recall(db=db, batch=Batch(**WHAT, selection=Selection(rule="arpu_falling")), signed=SIGNED)[
            "recalled"
        ]
        > 0
    )


def test_a_contacted_ticket_stays_unless_told_otherwise(db, dispatched):
    _, staff = dispatched
    ticket = contact_one(db, staff)
    told = recall(db=db, batch=Batch(**WHAT), signed=SIGNED)
    assert told["kept_contacted"] == 1
    assert rows(db, "select state, is_recalled from tickets where ticket_id = :id", id=ticket) == [
        ("in_progress", False)
    ]
    told = recall(db=db, batch=Batch(**WHAT), signed=SIGNED, contacted_too=True)
    assert told["recalled"] == 1
    states = "select from_state, to_state from ticket_events where ticket_id = :id and kind = 'recall'"
    assert rows(db, states, id=ticket) == [("in_progress", "cancelled")]


def test_a_contacted_ticket_with_a_plan_gives_its_money_back_when_it_is_recalled(db, dispatched):
    _, staff = dispatched
    ticket = contact_one(db, staff)
    pot = Pot("churn_warning", "2026", Decimal(100), warn_share=0.8)
    set_pot(db=db, pot=pot, signed=Signature("marketing", NOW))
    with db.begin():
        db.execute(
            sa.text(
                "insert into retention_plans (ticket_id, recorded_at, staff_id, strategy, offer, offer_reason,"
                " cost_yuan, valid_until) values (:ticket, :now, :staff, 'x', 'x', 'price', 36, '2026-12-31')"
            ),
            {"ticket": ticket, "now": NOW, "staff": staff.agent},
        )
    recall(db=db, batch=Batch(**WHAT), signed=SIGNED)
    used = "select reserved_yuan, committed_yuan from budget_pots"
    assert rows(db, used) == [(36, 0)]  # it was contacted, so it stays and so does its money
    recall(db=db, batch=Batch(**WHAT), signed=SIGNED, contacted_too=True)
    assert rows(db, used) == [(0, 0)]
    assert rows(db, "select kind, cause, amount_yuan from budget_movements order by movement_id") == [
        ("reserved", "planned", 36), ("released", "ended", 36),
    ]  # fmt: skip


def test_what_was_never_dispatched_or_has_no_reason_is_refused(db, lake, config):
    given = graded_cycle(db, lake, config, people(3))
    with pytest.raises(NotReady, match="there is nothing to recall"):
        recall(db=db, batch=Batch(**WHAT), signed=SIGNED)
    dispatch(run_of(**given, now=NOW))
    with pytest.raises(BadInput, match="reason in words"):
        recall(db=db, batch=Batch(**WHAT), signed=Signature("x", NOW, " "))


def test_the_command_takes_back_and_tells(db, dispatched, role_url, capsys):
    words = ["--cycle", "2026-10", "--because", "wrong rule", "--by", "Li Na", "--now", NOW.isoformat()]
    assert command.main([*words, "--db", role_url("churn_loop")]) == 0
    assert json.loads(capsys.readouterr().out)["recalled"] > 0
    assert rows(db, "select actor, subject from audit_log where action = 'recall'") == [
        ("Li Na", "churn_warning 2026-10")
    ]
    assert command.main(["--cycle", "2026-01", *words[2:], "--db", role_url("churn_loop")]) == 1
    assert "was not dispatched" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["--campaign", "nope"], "No campaign 'nope' in campaigns/. Known: churn_warning"),
        (["--cycle", "October"], "'October' is not a month. Write it as YYYY-MM"),
        (["--cycle", "2026-01"], "There is no cycle 2026-01 of churn_warning"),
        (["--cycle", "2026-01"], "The newest are: 2026-10."),
        (["--team", "vips"], "There is no team 'vips' in teams.yaml. Known: vip, "),
        (["--rule", "arpu_fell"], "There is no rule 'arpu_fell' in rules.yaml. Known: arpu_falling, "),
    ],
)
def test_a_name_that_is_not_known_is_told_with_the_known_ones(
    db, lake, config, role_url, capsys, given, told
):
    dispatch(run_of(**graded_cycle(db, lake, config, people(3)), now=NOW))
    words = ["--cycle", "2026-10", "--because", "wrong rule", "--by", "Li Na", *given]
    assert command.main([*words, "--db", role_url("churn_loop")]) == 1
    error = capsys.readouterr().err
    assert told in error
    assert len(error.splitlines()) == 1


def test_the_form_checks_its_names_and_a_rule_since_removed_is_known_by_the_cycle(db, lake, config):
    dispatch(run_of(**graded_cycle(db, lake, config, people(3)), now=NOW))
    form = {
        "campaign": "churn_warning",
        "cycle": "2026-10",
        "because": SIGNED.because,
        "by": SIGNED.by,
        "contacted_too": False,
        "team": None,
        "region": None,
        "rule": None,
    }
    rest = {"db": db, "config": config, "now": NOW}
    with pytest.raises(BadInput, match="no team 'vips'"):
        command.take_back(wish=command.wished({**form, "team": "vips"}), **rest)
    left = [rule for rule in config.rules.rules if rule.name != "arpu_falling"]
    rules = config.rules.model_copy(update={"rules": tuple(left)})
    since = {**rest, "config": replace(config, rules=rules)}
    assert command.take_back(wish=command.wished({**form, "rule": "arpu_falling"}), **since)["recalled"] > 0
