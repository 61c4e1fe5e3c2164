"""Budget pots by command: periods, limits that hold what is used, the audit log; and conservation of money."""

from datetime import date
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.commands.budgets import Pot, main, period_of, pots, set_pot, yuan
from include.domain.errors import BadInput, Refused
from include.domain.signature import Signature
from tests.fixtures.offers import MONDAY, in_work
from tests.fixtures.work import hire

SIGNED = Signature("marketing", MONDAY)


def pot_of(limit: str) -> Pot:
    return Pot("churn_warning", "2026-11", Decimal(limit), warn_share=0.8)


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026", date(2026, 1, 1), date(2026, 12, 31)),
        ("2026-Q1", date(2026, 1, 1), date(2026, 3, 31)),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31)),
        ("2028-02", date(2028, 2, 1), date(2028, 2, 29)),
    ],
)
def test_a_period_is_a_year_a_quarter_or_a_month(text, first, last):
    assert period_of(text) == (first, last)


@pytest.mark.parametrize("text", ["2026-13", "2026-Q5", "11/2026", "", "2026-1"])
def test_anything_else_is_no_period(text):
    with pytest.raises(BadInput, match=r"is not a period\. Write"):
        period_of(text)


@pytest.mark.parametrize("text", ["-1", "1e99", "nan", "1.00001", "Infinity", "much"])
def test_an_amount_that_cannot_be_a_limit_is_told(text):
    with pytest.raises(BadInput):
        yuan(text)


def plan(db: sa.Connection, ticket_id: int, staff: int, cost: Decimal) -> int:
    return db.execute(
        sa.text(
            "insert into retention_plans (ticket_id, recorded_at, staff_id, strategy, offer, offer_reason, cost_yuan,"
            " valid_until) values (:id, :now, :staff, 'x', 'x', 'x', :cost, :until) returning plan_id"
        ),
        {
            "id": ticket_id,
            "now": MONDAY,
            "staff": staff,
            "cost": cost,
            "until": date(2016, 11, 9),  # whatever the server's clock says, it has lapsed
        },
    ).scalar_one()


def process(db: sa.Connection, ticket_id: int, staff: int, result: str) -> None:
    """Record how the newest plan of the ticket went, unless it has none or is done."""
    db.execute(
        sa.text(
            "insert into plan_processings (plan_id, ticket_id, result, order_number, processed_at, staff_id)"
            " select p.plan_id, p.ticket_id, :result, 'N' || p.plan_id, :now, :staff from retention_plans as p"
            " where p.plan_id = (select max(plan_id) from retention_plans where ticket_id = :id)"
            " and not exists (select 1 from plan_processings as d where d.plan_id = p.plan_id)"
        ),
        {"id": ticket_id, "result": result, "now": MONDAY, "staff": staff},
    )


def end(db: sa.Connection, ticket_id: int, state: str, outcome: str | None) -> None:
    db.execute(
        sa.text(
            "with ended as (update tickets set state = :state, outcome = :outcome, closed_at = :now,"
            " version = version + 1 where ticket_id = :id and state = 'in_progress' returning ticket_id, version)"
            " insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)"
            " select ticket_id, version, 'end', :state, 'loop', :now from ended"
        ),
        {"id": ticket_id, "state": state, "outcome": outcome, "now": MONDAY},
    )


def test_a_limit_below_what_plans_hold_is_refused_and_every_change_is_audited(db):
    people = hire(db)
    (ticket,) = in_work(db, people, 1)
    set_pot(db=db, pot=pot_of("100"), signed=SIGNED)
    with db.begin():
        plan(db, ticket, people.agent, Decimal("40.5"))
    with pytest.raises(Refused, match=r"hold 40.50 yuan already, more than 40.00. Set at least 40.50"):
        set_pot(db=db, pot=pot_of("40"), signed=SIGNED)
    set_pot(db=db, pot=pot_of("40.5"), signed=SIGNED)
    (pot,) = pots(db=db, campaign="churn_warning", now=MONDAY)
    assert (pot.limit_yuan, pot.left_yuan) == (Decimal("40.5"), 0)
    with db.begin():
        kept = db.execute(
            sa.text("select actor, details from audit_log where action = 'set_budget' order by audit_id")
        )
        told = [(row.actor, row.details["from_yuan"], row.details["to_yuan"]) for row in kept]
    assert told == [("marketing", None, "100"), ("marketing", "100.0000", "40.5")]


def open_branch(db: sa.Connection) -> None:
    with db.begin():
        db.execute(sa.text("insert into branches (branch_code, name) values ('B1', '一店')"))


def test_the_command_fills_a_pot_and_says_when_there_is_none(db, role_url, capsys):
    open_branch(db)
    place = ["--db", role_url("churn_loop")]
    assert main(["show", *place]) == 0
    assert "no pot is set, so plans have no budget limit" in capsys.readouterr().out
    assert (
        main(["set", "--period", "2026-Q4", "--limit", "5000", "--by", "me", "--branch", "B1", *place]) == 0
    )
    assert "5,000.00" in capsys.readouterr().out
    assert main(["set", "--period", "soon", "--limit", "5000", "--by", "me", *place]) == 1
    assert "'soon' is not a period" in capsys.readouterr().err


def test_a_pot_of_an_unknown_branch_or_campaign_is_refused(db, role_url, capsys):
    place = ["--db", role_url("churn_loop")]
    words = ["set", "--period", "2026-Q4", "--limit", "5000", "--by", "me", "--branch", "NOPE", *place]
    assert main(words) == 1
    assert "no branch 'NOPE', so nothing was set. Known, for example: none; load" in capsys.readouterr().err
    open_branch(db)
    assert main(words) == 1
    assert "Known, for example: B1." in capsys.readouterr().err
    with db.begin():
        assert db.execute(sa.text("select count(*) from budget_pots")).scalar_one() == 0
    assert main(["show", "--campaign", "nope", *place]) == 1
    assert "No campaign 'nope' in campaigns/. Known: churn_warning" in capsys.readouterr().err


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["plan", "done", "failed", "closed", "cancelled", "lapse"]),
        st.integers(0, 3),
        st.decimals("0.0001", 60, places=4),
    ),
    max_size=14,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS, st.decimals(0, 120, places=4))
def test_money_is_conserved_whatever_happens_to_plans_and_tickets(db, hired, steps, limit):
    """Never negative, never above the limit; what was reserved is reserved still, committed or released."""
    with db.begin() as whole:
        fresh(db, hired, limit)
        for step, at, cost in steps:
            refused = ""
            try:
                with db.begin_nested():
                    apply(db, hired, step, hired.tickets[at], cost)
            except sa.exc.IntegrityError as error:
                refused = str(error.orig)
            assert not refused or "budget_pots_within_limit" in refused
            check(db)
        whole.rollback()


class Hired:
    def __init__(self, db: sa.Connection) -> None:
        self.people = hire(db)
        self.tickets = in_work(db, self.people, 4)


@pytest.fixture
def hired(db: sa.Connection) -> Hired:
    return Hired(db)


def fresh(db: sa.Connection, hired: Hired, limit: Decimal) -> None:
    db.execute(
        sa.text(
            "insert into budget_pots"
            " (campaign, starts_on, ends_on, branch_code, limit_yuan, warn_share, set_by, set_at)"
            " values ('churn_warning', '2026-11-01', '2026-11-30', null, :limit, 0.8, 'x', :now),"
            " ('churn_warning', '2026-01-01', '2026-12-31', 'B1', :more, 0.8, 'x', :now)"
        ),
        {"limit": limit, "more": limit + 10, "now": MONDAY},
    )


def apply(db: sa.Connection, hired: Hired, step: str, ticket_id: int, cost: Decimal) -> None:
    if step == "plan":
        plan(db, ticket_id, hired.people.agent, cost)
    elif step in ("done", "failed"):
        process(db, ticket_id, hired.people.agent, step)
    elif step == "lapse":
        late = {"day": MONDAY.date(), "now": MONDAY}
        db.execute(
            sa.text("select release_lapsed_budget(:day, :now, array(select pot_id from budget_pots))"), late
        )
    else:
        end(db, ticket_id, step, "retained" if step == "closed" else None)


def check(db: sa.Connection) -> None:
    rows = db.execute(
        sa.text(
            "select p.pot_id, p.limit_yuan, p.reserved_yuan, p.committed_yuan,"
            " coalesce(sum(m.amount_yuan) filter (where m.kind = 'reserved'), 0) as moved_in,"
            " coalesce(sum(m.amount_yuan) filter (where m.kind = 'committed'), 0) as committed,"
            " coalesce(sum(m.amount_yuan) filter (where m.kind = 'released'), 0) as released,"
            " (select coalesce(sum(amount_yuan), 0) from budget_open as o where o.pot_id = p.pot_id) as open_yuan"
            " from budget_pots as p left join budget_movements as m using (pot_id) group by p.pot_id"
        )
    ).all()
    for row in rows:
        assert row.moved_in == row.open_yuan + row.committed + row.released
        assert (row.reserved_yuan, row.committed_yuan) == (row.open_yuan, row.committed)
        assert row.reserved_yuan >= 0 and row.reserved_yuan + row.committed_yuan <= row.limit_yuan
