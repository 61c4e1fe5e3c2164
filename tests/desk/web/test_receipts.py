"""Receipts kept before forms had any are read on: a program that repeats its request after an upgrade is answered."""

from datetime import timedelta

import pytest
import sqlalchemy as sa

from include import database
from include.database import engine, upgrade
from include.desk.web.errors import KeyReused
from include.desk.web.receipts import Receipt, once, request_sha256
from tests.fixtures.desk import MONDAY


def test_a_receipt_of_before_the_upgrade_still_answers(empty_database):
    url = empty_database()
    made = engine(url, role=None)
    with made.begin() as db:
        database.run_revisions(db, "0012")
        db.execute(sa.text("set local session_replication_role = replica"))  # neither ticket nor person
        db.execute(
            sa.text(
                "insert into idempotency_keys (staff_id, key, request_sha256, ticket_id, version, recorded_at)"
                " values (1, 'k', :digest, 7, 3, :now)"
            ),
            {"digest": request_sha256("claim", 7, 2, {}), "now": MONDAY},
        )
    upgrade(url)
    with made.begin() as db:
        receipt = Receipt(1, "k", request_sha256("claim", 7, 2, {}), MONDAY)
        assert receipt.find(db) == [3]
    made.dispose()


def test_an_action_and_its_receipt_stand_or_fall_together(desk, people):
    receipt = Receipt(people.agent, "k", request_sha256("a"), MONDAY)

    def fail():
        raise RuntimeError

    with pytest.raises(RuntimeError):
        once(desk, receipt, fail)
    assert once(desk, receipt, lambda: {"a": None}).value == {"a": None}
    again = once(desk, receipt, fail)
    assert (again.value, again.is_first) == ({"a": None}, False)
    with pytest.raises(KeyReused):
        once(desk, Receipt(people.agent, "k", request_sha256("b"), MONDAY), fail)
    late = Receipt(people.agent, "k", request_sha256("b"), MONDAY + timedelta(days=8))
    assert once(desk, late, lambda: None).is_first


def test_what_is_done_within_a_greater_transaction_is_undone_with_it(desk, people):
    from include.desk.tickets.saved_views import save_view

    receipt = Receipt(people.agent, "k", request_sha256("a"), MONDAY)

    def half():
        save_view(desk, staff_id=people.agent, name="mine", query="view=mine")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        once(desk, receipt, half)
    with desk.begin():
        desk.execute(sa.text("select set_config('app.staff_id', :id, true)"), {"id": str(people.agent)})
        assert desk.execute(sa.text("select count(*) from saved_views")).scalar_one() == 0


@pytest.fixture
def people(db):
    from tests.fixtures.work import hire

    return hire(db)
