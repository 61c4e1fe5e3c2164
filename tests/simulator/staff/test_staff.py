"""Simulated staff finish a cycle through the desk's own functions, and keep every rule of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.config import Config
from include.database.queries import load
from include.domain.contact.ladder import day_part
from include.simulator.province import CAMPAIGNS, Province
from include.simulator.staff import (
    Knowledge,
    Shift,
    conversations,
    hire,
    open_shift,
    read_knowledge,
    talks,
    work_cycle,
)
from include.simulator.staff.conversations import Agreed
from include.simulator.truth import read_truth
from include.simulator.walk import simulate
from tests.fixtures.work import FRIDAY, fill_cycle

TICKETS = 24


@pytest.fixture
def shift(db: sa.Connection, config: Config) -> Shift:
    hire(db)
    fill_cycle(db, TICKETS)
    reasons = {f"S{n:04d}": ("price", "network", "bundle_mismatch")[n % 3] for n in range(1, TICKETS, 2)}
    return open_shift(db, config, "2026-10", Knowledge(reasons), seed=7)


def rows(db: sa.Connection, statement: str) -> list:
    with db.begin():
        return db.execute(sa.text(statement)).all()


def test_the_staff_finish_a_cycle_and_keep_the_rules(db, shift):
    *days, total = work_cycle(shift, FRIDAY, FRIDAY + timedelta(days=24))
    assert total["unfinished"] == 0
    assert len(days) < 18
    ended = rows(db, "select state, outcome, outcome_detail, satisfaction, ticket_id from tickets")
    assert len(ended) == TICKETS
    assert {row.state for row in ended} <= {"closed", "cancelled"}
    assert all(row.outcome_detail for row in ended if row.state == "closed")
    retained = {row.ticket_id for row in ended if row.outcome == "retained"}
    assert retained
    assert retained <= {row.ticket_id for row in rows(db, "select ticket_id from retention_plans")}
    assert retained == {row.ticket_id for row in rows(db, "select ticket_id from plan_processings")}
    assert all(
        (row.satisfaction is None) == (row.outcome in (None, "unreachable", "refused_contact"))
        for row in ended
    )


def test_nobody_is_given_up_before_the_procedure_is_kept(db, shift, monkeypatch):
    monkeypatch.setattr(talks, "_REACHED", 0.2)
    list(work_cycle(shift, FRIDAY, FRIDAY + timedelta(days=24)))
    given_up = rows(
        db,
        "select ticket_id, array_agg(attempted_at order by attempted_at) filter (where channel = 'call') as calls,"
        " bool_or(channel = 'sms') as has_sms from tickets join contact_attempts using (ticket_id)"
        " where outcome = 'unreachable' group by ticket_id",
    )
    assert given_up
    for row in given_up:
        assert row.has_sms
        assert len(row.calls) >= 3
        assert len({day_part(call) for call in row.calls}) >= 2


_SECOND = (
    "insert into cycles select (jsonb_populate_record(c, jsonb_build_object('campaign', 'contract_renewal'))).*"
    " from cycles as c",
    "insert into cycle_revisions"
    " select (jsonb_populate_record(c, jsonb_build_object('campaign', 'contract_renewal'))).*"
    " from cycle_revisions as c",
    "insert into arms select (jsonb_populate_record(a, jsonb_build_object('campaign', 'contract_renewal'))).*"
    " from arms as a on conflict do nothing",
    "insert into subscriber_arms"
    " select (jsonb_populate_record(a, jsonb_build_object('campaign', 'contract_renewal'))).*"
    " from subscriber_arms as a on conflict do nothing",
    "alter table assignments disable trigger all",
    "alter table tickets disable trigger all",
    "update tickets set campaign = 'contract_renewal' where rank % 2 = 0",
    "update assignments set campaign = 'contract_renewal' where rank % 2 = 0",
    "alter table assignments enable trigger all",
    "alter table tickets enable trigger all",
)
AGREEING = frozenset(f"S{n:04d}" for n in range(2, TICKETS + 1, 4))


@pytest.fixture
def two_campaigns(
    db: sa.Connection, config: Config, shift: Shift, as_admin: Callable[..., None]
) -> Callable[[Agreed | None], Shift]:
    """The shift once every second ticket is of contract_renewal, which knows no 'declined'; told who agrees there."""
    as_admin(*_SECOND)
    warning = config.campaign("churn_warning")
    renewal = {name: ending for name, ending in warning.outcomes.items() if name != "declined"}
    renewal["considering"] = renewal["considering"].model_copy(update={"needs": ("survey",)})
    campaign = warning.model_copy(update={"outcomes": renewal})
    both = replace(config, campaigns={**config.campaigns, "contract_renewal": campaign})

    def told(agreed: Agreed | None) -> Shift:
        known = {} if agreed is None else {"contract_renewal": agreed}
        return replace(shift, config=both, known=replace(shift.known, agreed=known))

    return told


def endings(db: sa.Connection, campaign: str) -> list:
    return rows(
        db,
        "select t.ticket_id, t.subscriber_id, t.outcome, p.ticket_id is not null as is_processed,"
        " (select s.needs from needs_surveys as s where s.ticket_id = t.ticket_id) as needs,"
        " exists (select 1 from contact_attempts as c where c.ticket_id = t.ticket_id and c.result = 'reached')"
        " as is_reached from tickets as t left join plan_processings as p on t.ticket_id = p.ticket_id"
        f" where t.campaign = '{campaign}' and t.state = 'closed' order by 1",
    )


def test_a_ticket_ends_as_its_campaign_knows_it(db, two_campaigns):
    *_, total = work_cycle(two_campaigns(None), FRIDAY, FRIDAY + timedelta(days=24))
    assert total["unfinished"] == 0
    renewal = {row.outcome for row in endings(db, "contract_renewal")}
    assert renewal <= {"retained", "considering", "no_intention", "refused_contact", "unreachable"}
    assert len(renewal) >= 3
    assert "declined" not in renewal
    assert {row.outcome for row in endings(db, "churn_warning")} & {"declined", "retained"}


def test_those_reached_who_agree_by_the_truth_renew_and_nobody_else_does(db, two_campaigns):
    agreed = Agreed(AGREEING, "retained", "contract_end")
    list(work_cycle(two_campaigns(agreed), FRIDAY, FRIDAY + timedelta(days=24)))
    reached = [row for row in endings(db, "contract_renewal") if row.is_reached]
    renewed = {row.subscriber_id for row in reached if row.outcome == "retained"}
    assert renewed == {row.subscriber_id for row in reached} & AGREEING
    assert len(renewed) >= 3
    assert all(
        row.needs == ["contract_end"] and row.is_processed for row in reached if row.outcome == "retained"
    )


def test_who_agrees_but_can_be_offered_nothing_ends_without_a_plan(db, two_campaigns, monkeypatch):
    monkeypatch.setattr(conversations.CampaignTalks, "plan", lambda talks, actor: None)
    agreed = Agreed(AGREEING, "retained", "contract_end")
    *_, total = work_cycle(two_campaigns(agreed), FRIDAY, FRIDAY + timedelta(days=24))
    assert total["unfinished"] == 0
    outcomes = {row.outcome for row in endings(db, "contract_renewal") if row.is_reached}
    assert outcomes == {"considering", "no_intention"}


def test_the_simulator_is_told_of_each_campaign_whom_a_contact_with_an_effect_reached(
    db, two_campaigns, monkeypatch
):
    monkeypatch.setattr(talks, "_REFUSED", 0.3)
    list(work_cycle(two_campaigns(None), FRIDAY, FRIDAY + timedelta(days=24)))
    found = {}
    for campaign, effective in CAMPAIGNS.items():
        told = {"campaign": campaign, "cycle": "2026-10", "results": list(effective)}
        with db.begin():
            found[campaign] = db.execute(load("commands/local")["list_treated"], told).all()
        assert {row.campaign for row in found[campaign]} == {campaign}
    for campaign, effective in CAMPAIGNS.items():
        tried = rows(
            db,
            "select t.subscriber_id, c.result from tickets as t join contact_attempts as c using (ticket_id)"
            f" where t.campaign = '{campaign}'",
        )
        expected = {row.subscriber_id for row in tried if row.result in effective}
        assert [row.subscriber_id for row in found[campaign]] == sorted(expected)
        assert "refused" in {row.result for row in tried}


def test_the_dice_of_a_campaign_are_moved_by_no_other(two_campaigns):
    alone, beside = two_campaigns(None), two_campaigns(None)
    beside.talks("contract_renewal").dice.random(9)
    assert alone.talks("churn_warning").dice.random() == beside.talks("churn_warning").dice.random()
    assert alone.talks("contract_renewal").dice.random() != alone.talks("another").dice.random()


def test_what_subscribers_know_of_themselves_is_read_from_the_truth(tmp_path):
    simulate(Province(2000, 1, 3, "2026-09"), tmp_path)
    told, truth = read_knowledge(tmp_path / "truth", "2026-09"), read_truth(tmp_path, "2026-09")
    assert told.reasons == dict(truth.select("subscriber_id", "main_reason").iter_rows())
    agreed = told.agreed["contract_renewal"]
    assert agreed.outcome == "renewed"
    assert agreed.subscribers == set(truth.filter("agrees_when_called")["subscriber_id"]) != set()
