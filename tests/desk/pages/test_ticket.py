"""The ticket page over HTTP: what it shows, what its forms do, what a refusal keeps."""

from datetime import timedelta

import pytest
import sqlalchemy as sa


def version_of(db: sa.Connection, ticket_id: int) -> int:
    with db.begin():
        return db.execute(
            sa.text("select version from tickets where ticket_id = :id"), {"id": ticket_id}
        ).scalar_one()


@pytest.fixture
def submit(visit, db):
    """Submit a form of a ticket as somebody: `submit("agent", ticket, "contact", channel=…)`."""

    def send(who, ticket_id, form, **fields):
        data = {"version": version_of(db, ticket_id), **fields}
        return visit(who).post(f"/tickets/{ticket_id}/{form}", data=data)

    return send


def test_an_agent_works_a_ticket_from_contact_to_close(visit, submit, tickets, db, clock):
    mine = tickets[0]
    for form, fields in (
        ("contact", {"channel": "call", "result": "reached"}),
        ("survey", {"needs": ["price", "network"]}),
        ("plan", {"offer": "plan_discount"}),
        ("processing", {"result": "done", "order_number": "A-1"}),
        ("close", {"outcome": "retained/accepted_offer", "satisfaction": "9"}),
    ):
        clock.now += timedelta(minutes=5)
        answer = submit("agent", mine, form, **fields)
        assert (form, answer.status_code, answer.headers.get("location")) == (
            form,
            303,
            f"/tickets/{mine}",
        ), answer.text
    shown = visit("agent").get(f"/tickets/{mine}").text
    assert "Accepted the offer" in shown or "Retained" in shown
