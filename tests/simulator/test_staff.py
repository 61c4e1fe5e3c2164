"""Simulated staff finish a cycle through the desk's own functions, and keep every rule of it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.ladder import day_part
from include.simulator import talks
from include.simulator.staff import Shift, hire, open_shift, work_cycle
from tests.fixtures.work import FRIDAY, fill_cycle

TICKETS = 24


@pytest.fixture
def shift(db: sa.Connection, config: Config) -> Shift:
    hire(db)
    fill_cycle(db, TICKETS)
    reasons = {f"S{n:04d}": ("price", "network", "bundle_mismatch")[n % 3] for n in range(1, TICKETS, 2)}
    return open_shift(db, config, "2026-10", reasons, seed=7)


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
