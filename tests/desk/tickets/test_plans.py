"""Plans and their processing: what fits, who may record it, and the budget it holds."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa

from include.commands.budgets import Pot, set_pot
from include.config import Config
from include.database import DESK_ROLE, engine
from include.desk.tickets import plans
from include.desk.tickets.transaction import Actor
from include.domain.errors import BadInput, Refused
from include.domain.signature import Signature
from tests.fixtures.offers import MONDAY, actor_on, in_work
from tests.fixtures.work import People, hire


@pytest.fixture
def people(db: sa.Connection) -> People:
    return hire(db)


@pytest.fixture
def tickets(db: sa.Connection, people: People) -> list[int]:
    return in_work(db, people, 3)


@pytest.fixture
def agent(desk: sa.Connection, config: Config, people: People, tickets: list[int]) -> Actor:
    return actor_on(desk, config, people.agent, tickets[0])


def pot(db: sa.Connection, limit: str, **key: str) -> int:
    named = {"campaign": "churn_warning", "period": "2026-11", "warn_share": 0.8} | key
    return set_pot(db=db, pot=Pot(limit_yuan=Decimal(limit), **named), signed=Signature("test", MONDAY))


def totals(db: sa.Connection, pot_id: int) -> tuple[Decimal, Decimal]:
    """What a pot has reserved and committed, after checking that its movements say the same."""
    with db.begin():
        row = db.execute(
            sa.text(
                "select reserved_yuan, committed_yuan,"
                " (select coalesce(sum(case kind when 'reserved' then amount_yuan else -amount_yuan end), 0)"
                "  from budget_movements where pot_id = :id) as moved_reserved,"
                " (select coalesce(sum(amount_yuan) filter (where kind = 'committed'), 0)"
                "  from budget_movements where pot_id = :id) as moved_committed"
                " from budget_pots where pot_id = :id"
            ),
            {"id": pot_id},
        ).one()
    assert row.reserved_yuan == row.moved_reserved and row.committed_yuan == row.moved_committed
    return row.reserved_yuan, row.committed_yuan


def one(db: sa.Connection, statement: str, **values: object) -> sa.Row:
    with db.begin():
        return db.execute(sa.text(statement), values).one()


def end(db: sa.Connection, ids: list[int], state: str, outcome: str | None = None) -> None:
    """End tickets as the loop would: set-based, with their events."""
    with db.begin():
        db.execute(
            sa.text(
                "with ended as (update tickets set state = :state, version = version + 1, closed_at = :now,"
                " outcome = :outcome, is_willing = (:outcome = 'retained')"
                " where ticket_id = any(:ids) returning ticket_id, version)"
                " insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)"
                " select ticket_id, version, 'end', :state, 'loop', :now from ended"
            ),
            {"ids": ids, "state": state, "outcome": outcome, "now": MONDAY},
        )


# ---------------------------------------------------------------- what fits


def test_without_a_named_offer_the_first_that_fits_is_recorded(db, agent):
    version = plans.record_plan(agent, strategy="plan_discount", note="asked for it")
    row = one(db, "select * from retention_plans")
    assert version == 3
    assert (row.offer_name, row.offer, row.offer_reason) == (
        "discount_3_months",
        "连续三个月月租八折",
        "price",
    )
    assert (row.cost_yuan, row.valid_until) == (Decimal(36), (MONDAY + timedelta(days=30)).date())


def test_somebody_in_arrears_is_offered_the_next_that_fits(db, desk, config, people):
    ticket = in_work(db, people, 1, {"arrears_yuan": 12.5})[0]
    actor = actor_on(desk, config, people.agent, ticket)
    with pytest.raises(Refused, match=r"'discount_3_months'.* cannot be recorded: ruled out by: in arrears"):
        plans.record_plan(actor, strategy="plan_discount", offer="discount_3_months")
    plans.record_plan(actor, strategy="plan_discount")
    assert one(db, "select offer_name from retention_plans").offer_name == "data_pack_discount"


def test_no_tariff_is_offered_to_whom_has_applied_to_port_out(db, desk, config, people):
    ticket = in_work(db, people, 1, {"has_applied_to_port_out": True})[0]
    actor = actor_on(desk, config, people.agent, ticket)
    with pytest.raises(Refused, match="ruled out by: has applied to port out"):
        plans.record_plan(actor, strategy="plan_fit", offer="fitted_plan")


@pytest.mark.parametrize(("strategy", "offer"), [("nonsense", None), ("plan_fit", "renewal_gift")])
def test_an_unknown_strategy_or_an_offer_of_another_one_is_told(agent, strategy, offer):
    with pytest.raises(BadInput, match=r"is not a.* Choose one of"):
        plans.record_plan(agent, strategy=strategy, offer=offer)


def test_a_win_back_offer_is_not_for_a_ticket_of_the_warning_campaign(agent):
    with pytest.raises(Refused, match="belongs to the phase win_back, this ticket to intervention"):
        plans.record_plan(agent, strategy="welcome_back")


def test_a_dearer_offer_is_recorded_by_the_lead_whom_the_refusal_names(db, desk, config, people):
    ticket = in_work(db, people, 1, {"value_yuan": 300.0})[0]
    actor = actor_on(desk, config, people.agent, ticket)
    with pytest.raises(
        Refused, match=r"to be recorded by: lead. It costs 120 yuan, your limit is 60. Ask your lead"
    ):
        plans.record_plan(actor, strategy="vip_plan")
    plans.record_plan(replace(actor, staff_id=people.lead), strategy="vip_plan")
    assert one(db, "select staff_id from retention_plans").staff_id == people.lead


def test_what_the_subscriber_was_given_already_is_not_offered_again_until_it_has_run_out(
    db, agent, desk, config, people
):
    agent = replace(agent, version=plans.record_plan(agent, strategy="plan_discount"))
    agent = replace(agent, version=plans.record_processing(agent, result="done", order_number="N1"))
    with pytest.raises(Refused, match="the subscriber already has it"):
        plans.record_plan(agent, strategy="plan_discount", offer="discount_3_months")
    later = replace(agent, now=MONDAY + timedelta(days=91))
    plans.record_plan(later, strategy="plan_discount", offer="discount_3_months")


# ---------------------------------------------------------------- processing


def test_processing_needs_a_plan_an_order_number_and_a_known_result(agent):
    with pytest.raises(Refused, match=r"has no retention plan. Record the plan first"):
        plans.record_processing(agent, result="done", order_number="N1")
    with pytest.raises(BadInput, match="needs its order number"):
        plans.record_processing(agent, result="done", order_number="  ")
    with pytest.raises(BadInput, match="'maybe' is not a result"):
        plans.record_processing(agent, result="maybe")
    with pytest.raises(BadInput, match="has 70 characters"):
        plans.record_processing(agent, result="failed", order_number="9" * 70)


def test_a_plan_is_processed_once_and_an_order_number_stands_once(db, desk, config, people, tickets, agent):
    done = replace(agent, version=plans.record_plan(agent, strategy="plan_fit"))
    done = replace(done, version=plans.record_processing(done, result="done", order_number=" N1 "))
    assert one(db, "select order_number, ticket_id from plan_processings") == ("N1", agent.ticket_id)
    with pytest.raises(Refused, match="processed already under order N1"):
        plans.record_processing(done, result="done", order_number="N2")
    other = actor_on(desk, config, people.lead, tickets[1])
    other = replace(other, version=plans.record_plan(other, strategy="plan_fit"))
    with pytest.raises(Refused, match="Order number N1 stands on another plan"):
        plans.record_processing(other, result="done", order_number="N1")


def test_an_order_that_comes_back_after_closing_is_recorded_and_the_ending_stays(db, agent):
    closed = replace(agent, version=plans.record_plan(agent, strategy="plan_fit") + 1)
    end(db, [agent.ticket_id], "closed", "retained")
    plans.record_processing(closed, result="done", order_number="N1")
    row = one(db, "select state, outcome, closed_at from tickets where ticket_id = :id", id=agent.ticket_id)
    assert (row.state, row.outcome, row.closed_at) == ("closed", "retained", MONDAY)


def test_a_stranger_sees_neither_processings_nor_movements_and_is_told_of_no_pot_or_offer(
    db, desk, config, people, agent
):
    pot(db, "100")
    agent = replace(agent, version=plans.record_plan(agent, strategy="plan_fit"))
    plans.record_processing(agent, result="done", order_number="N1")
    day, ticket, seen = MONDAY.date(), agent.ticket_id, {}
    asked = (f"budget_of({ticket}, '{day}')", f"lock_budget_of({ticket}, '{day}')", f"offers_given({ticket})")
    for who in ("agent", "stranger"):
        with desk.begin():
            desk.execute(
                sa.text("select set_config('app.staff_id', :id, true)"), {"id": str(getattr(people, who))}
            )
            seen[who] = [
                desk.execute(sa.text(f"select count(*) from {table}")).scalar()
                for table in ("plan_processings", "budget_movements", "budget_open", *asked)
            ]
    assert seen == {"agent": [1, 2, 0, 1, 1, 1], "stranger": [0, 0, 0, 0, 0, 0]}
    with db.begin():  # the loop asks of any
        told = [db.execute(sa.text(f"select count(*) from {each}")).scalar() for each in asked]
    assert told == [1, 1, 1]


# ---------------------------------------------------------------- budget


def test_without_a_pot_nothing_is_limited_or_moved(db, agent):
    plans.record_plan(agent, strategy="plan_discount")
    assert one(db, "select count(*) from budget_movements").count == 0


def test_a_plan_reserves_and_its_processing_commits(db, agent):
    pot_id = pot(db, "100")
    agent = replace(agent, version=plans.record_plan(agent, strategy="plan_discount"))
    assert totals(db, pot_id) == (36, 0)
    agent = replace(agent, version=plans.record_processing(agent, result="failed", note="no stock"))
    assert totals(db, pot_id) == (0, 0)
    plans.record_processing(agent, result="done", order_number="N1")
    assert totals(db, pot_id) == (0, 36)


def test_a_new_plan_replaces_the_old_ones_money(db, agent):
    pot_id = pot(db, "40")
    agent = replace(agent, version=plans.record_plan(agent, strategy="plan_discount"))
    plans.record_plan(agent, strategy="match_competitor")
    assert totals(db, pot_id) == (30, 0)


def test_a_pot_that_is_short_refuses_with_what_is_left_and_changes_nothing(
    db, desk, config, people, tickets, agent
):
    pot_id = pot(db, "50.5")
    plans.record_plan(agent, strategy="plan_discount")
    other = actor_on(desk, config, people.agent, tickets[1])
    with pytest.raises(
        Refused, match=r"only 14.50 yuan left. It costs 36.* until 2026-11-30. Choose a cheaper"
    ):
        plans.record_plan(other, strategy="plan_discount", offer="discount_3_months")
    assert totals(db, pot_id) == (36, 0)
    plans.record_plan(other, strategy="plan_discount")  # the check-up costs nothing
    assert totals(db, pot_id) == (36, 0)


def test_every_covering_pot_must_hold_a_plan_and_others_are_untouched(db, agent):
    every = pot(db, "100")
    branch = pot(db, "30", branch_code="B1", period="2026-Q4")
    other = [pot(db, "100", branch_code="B2"), pot(db, "100", period="2026-12")]
    with pytest.raises(Refused, match=r"only 30.00 yuan left.* the pot of branch B1"):
        plans.record_plan(agent, strategy="plan_discount", offer="discount_3_months")
    plans.record_plan(agent, strategy="match_competitor")
    assert [totals(db, each) for each in (every, branch, *other)] == [(30, 0), (30, 0), (0, 0), (0, 0)]


def test_a_pot_of_a_branch_covers_the_branches_that_report_to_it(db, agent):
    with db.begin():
        db.execute(
            sa.text("insert into branches (branch_code, parent_code, name) values ('CITY', null, 'x')")
        )
        db.execute(
            sa.text("insert into branches (branch_code, parent_code, name) values ('B1', 'CITY', 'y')")
        )
    city = pot(db, "100", branch_code="CITY")
    plans.record_plan(agent, strategy="plan_discount")
    assert totals(db, city) == (36, 0)


@pytest.mark.parametrize(
    ("state", "outcome", "left_reserved"),
    [
        ("cancelled", None, 0),
        ("expired", None, 0),
        ("closed", "declined", 0),
        ("closed", "retained", 36),
        ("closed", "considering", 36),
    ],
)
def test_however_the_loop_ends_tickets_what_no_plan_can_use_is_free(
    db, desk, config, people, tickets, agent, state, outcome, left_reserved
):
    pot_id = pot(db, "100")
    plans.record_plan(agent, strategy="plan_discount")
    plans.record_plan(actor_on(desk, config, people.agent, tickets[1]), strategy="plan_fit")
    end(db, [tickets[0], tickets[2]], state, outcome)
    assert totals(db, pot_id) == (left_reserved + 20, 0)


def test_money_released_by_the_ending_is_reserved_anew_when_the_order_comes_after_all(
    db, desk, config, people, tickets, agent
):
    pot_id = pot(db, "60")
    late = replace(agent, version=plans.record_plan(agent, strategy="plan_discount") + 1)
    end(db, [agent.ticket_id], "closed", "declined")
    plans.record_plan(actor_on(desk, config, people.agent, tickets[1]), strategy="match_competitor")
    with pytest.raises(
        Refused, match=r"36.00 yuan were released meanwhile and the budget has only 30.00 left"
    ):
        plans.record_processing(late, result="done", order_number="N1")
    pot(db, "66")
    plans.record_processing(late, result="done", order_number="N1")
    assert totals(db, pot_id) == (30, 36)


def test_money_another_plan_takes_after_the_check_is_refused_and_nothing_is_recorded(
    db, desk, config, people, tickets, agent, monkeypatch
):
    pot_id = pot(db, "60")
    late = replace(agent, version=plans.record_plan(agent, strategy="plan_discount") + 1)
    end(db, [agent.ticket_id], "closed", "declined")
    plans.record_plan(actor_on(desk, config, people.agent, tickets[1]), strategy="match_competitor")
    monkeypatch.setattr(plans, "_check_budget_again", lambda work, plan: None)  # it saw the money still there
    with pytest.raises(Refused, match="another plan has just taken"):
        plans.record_processing(late, result="done", order_number="N1")
    assert totals(db, pot_id) == (30, 0)


def test_what_lapsed_offers_of_closed_tickets_hold_is_freed_when_it_is_wanted(
    db, desk, config, people, tickets, agent, as_admin
):
    pot_id = pot(db, "40", period="2026")
    plans.record_plan(agent, strategy="plan_discount")
    end(db, [agent.ticket_id], "closed", "retained")
    other = actor_on(desk, config, people.agent, tickets[1])
    with pytest.raises(Refused, match=r"only 4.00 yuan left"):
        plans.record_plan(other, strategy="plan_fit", offer="fitted_plan")
    # before any clock a server may have
    as_admin("update retention_plans set valid_until = '2016-11-09'")
    plans.record_plan(other, strategy="plan_fit", offer="fitted_plan")
    assert totals(db, pot_id) == (20, 0)


def test_nobody_frees_money_with_a_day_that_has_not_come(db, desk, agent, as_admin):
    pot_id = pot(db, "40", period="2026")
    plans.record_plan(agent, strategy="plan_discount")
    end(db, [agent.ticket_id], "closed", "retained")
    as_admin("update retention_plans set valid_until = current_date + 2")
    free = "select release_lapsed_budget('2999-01-01', now(), array[:pot])"
    with desk.begin():
        assert desk.execute(sa.text(free), {"pot": pot_id}).scalar_one() == 0
    assert totals(db, pot_id) == (36, 0)
    as_admin("update retention_plans set valid_until = current_date - 2")
    with desk.begin():
        assert desk.execute(sa.text(free), {"pot": pot_id}).scalar_one() == 1
    assert totals(db, pot_id) == (0, 0)


def test_the_pot_warns_once_at_its_share(db, desk, config, people, tickets, agent):
    pot(db, "70")
    plans.record_plan(agent, strategy="plan_discount")
    count = "select count(*) from notices where kind = 'budget_nearly_spent'"
    assert one(db, count).count == 0
    other = actor_on(desk, config, people.agent, tickets[1])
    other = replace(other, version=plans.record_plan(other, strategy="plan_fit"))
    plans.record_plan(other, strategy="match_competitor")
    assert one(db, count).count == 1
    details = one(db, "select details from notices where kind = 'budget_nearly_spent'").details
    assert (details["limit_yuan"], details["reserved_yuan"]) == (70, 56)


def test_nobody_moves_money_by_hand_or_rewrites_what_moved(db, desk, agent):
    pot_id = pot(db, "100")
    plans.record_plan(agent, strategy="plan_discount")
    for statement in (
        "update budget_pots set reserved_yuan = 0",
        "update budget_movements set amount_yuan = 1",
        "delete from budget_movements",
        "insert into budget_movements (plan_id, pot_id, step, kind, amount_yuan, cause, moved_at)"
        " select plan_id, pot_id, 2, 'released', amount_yuan, 'ended', moved_at from budget_movements",
    ):
        for connection in (db, desk):
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"), connection.begin():
                connection.execute(sa.text(statement))
    assert totals(db, pot_id) == (36, 0)


def test_the_limit_holds_even_against_whoever_does_not_ask(db, tickets, people):
    pot(db, "50")
    insert = sa.text(
        "insert into retention_plans (ticket_id, recorded_at, staff_id, strategy, offer, offer_reason, cost_yuan)"
        " values (:id, :now, :staff, 'x', 'x', 'x', 30)"
    )
    with db.begin():
        db.execute(insert, {"id": tickets[0], "now": MONDAY, "staff": people.agent})
    with pytest.raises(sa.exc.IntegrityError, match="budget_pots_within_limit"), db.begin():
        db.execute(insert, {"id": tickets[1], "now": MONDAY, "staff": people.agent})


def test_of_fifty_plans_at_once_exactly_the_ten_there_is_room_for_are_recorded(db, role_url, config, people):
    ids = in_work(db, people, 50)
    pot_id = pot(db, "369.9999")  # ten times 36, and not an eleventh
    made = engine(role_url(DESK_ROLE), role=DESK_ROLE, pool_size=10)

    def plan(ticket_id: int) -> str:
        with made.connect() as own:
            try:
                plans.record_plan(
                    actor_on(own, config, people.agent, ticket_id),
                    strategy="plan_discount",
                    offer="discount_3_months",
                )
            except Refused as error:
                return "refused" if "the budget has only" in str(error) else str(error)
        return "recorded"

    with ThreadPoolExecutor(10) as pool:
        results = list(pool.map(plan, ids))
    made.dispose()
    assert (results.count("recorded"), results.count("refused")) == (10, 40)
    assert totals(db, pot_id) == (360, 0)
    assert one(db, "select count(*) from retention_plans").count == 10
