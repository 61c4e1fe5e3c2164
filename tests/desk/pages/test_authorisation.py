"""Who may do what: every route against every kind of visitor, and what the database shows to whom."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from starlette.routing import Mount

from include.local.bootstrap import RIGHTS
from tests.desk.pages.conftest import USERS
from tests.desk.pages.routes import rights, routes_of, unruled
from tests.fixtures.work import snapshot

METHODS = {"can_read": "GET", "can_edit": "PUT"}
#: Enough for any form; the JSON API is told below what it takes.
FORM = {
    "version": "2", "channel": "call", "result": "reached", "needs": "price", "offer": "plan_discount",
    "order_number": "A-1", "call_back_on": "2026-11-10", "outcome": "no_intention", "reason": "as agreed",
    "words": "as agreed", "unit": "complaint", "note": "as agreed", "to_staff_id": "1", "task_id": "1",
}  # fmt: skip
BODIES = {
    "contact": {"channel": "call", "result": "reached"},
    "survey": {"needs": ["price"]},
    "plan": {"strategy": "plan_discount"},
    "processing": {"result": "done", "order_number": "A-1"},
    "pause": {"call_back_on": "2026-11-10"},
    "close": {"outcome": "no_intention"},
    "hand_back": {"reason": "as agreed"},
    "do_not_call": {"words": "as agreed"},
    "open_task": {"unit": "complaint", "words": "as agreed"},
    "finish_task": {"task_id": 1, "result": "as agreed"},
    "reassign": {"to_staff_id": 1},
    "merge": {"into": 1, "into_version": 2, "reason": "as agreed"},
    "cancel": {"reason": "as agreed"},
    "reopen": {"reason": "as agreed"},
}
#: What belongs to no version of a ticket.
WHOLE = {
    "/api/v1/reassign": {"to_staff_id": 1, "tickets": [{"ticket_id": 1, "version": 2}]},
    "/api/v1/search": {"q": "S0001"},
    "/api/v1/inbound": {"subscriber_id": "S1", "channel": "call", "said": "as agreed", "done": "as agreed"},
    "/api/v1/tasks/{task_id}": {"result": "as agreed"},
    "/api/v1/refusals/{refusal_id}": {"is_confirmed": True},
    "/api/v1/next": {},
    "/api/v1/tickets/{ticket_id}/skip": {"note": "as agreed"},
    "/api/v1/tickets/{ticket_id}/reveal": {},
    "/api/v1/tickets/{ticket_id}/call": {},
}


def ask(browser, route, method, ticket):
    """A request to a route; its path parameters are the ticket's number and a name nobody uses."""
    path = route.path.format(
        **{name: ticket if name == "ticket_id" else "none" for name in route.param_convertors}
    )
    if method != "POST":
        return browser.request(method, path)
    if route.path in WHOLE:
        return browser.post(path, json=WHOLE[route.path])
    if "/api/" in path:
        return browser.post(path, json=BODIES.get(path.rpartition("/")[2], {}) | {"version": 2})
    return browser.post(path, data=FORM)


def allowed(user, route):
    """Whether the Airflow role of a user has every right the route asks for."""
    mine = {(METHODS[action], resource) for action, resource in RIGHTS.get(USERS[user], ())}
    return rights(route) <= mine


@pytest.fixture
def expired(tokens):
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        agent = builder.sm.find_user(username="agent")
        return get_auth_manager().generate_jwt(agent, expiration_time_in_seconds=-3600)


def test_every_route_asks_for_a_right(desk_app):
    assert unruled(desk_app) == []
    assert len(list(routes_of(desk_app))) > 25
    assert [route.path for route in desk_app.routes if isinstance(route, Mount)] == ["/static"]


def test_a_route_without_a_right_is_found():
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.get("/open")(lambda: "anybody")
    app.mount("/else", FastAPI())
    app.add_route("/raw", lambda request: None)
    assert unruled(app) == ["/open", "/else", "/raw"]


def test_the_matrix_of_all_routes_and_all_visitors(desk_app, visit, tickets, db, expired):
    before, wrong = snapshot(db, tickets[0]), []
    bad = visit(None)
    bad.cookies.set("_token", "no.token.atall")
    late = visit(None)
    late.cookies.set("_token", expired)
    strangers = {"anonymous": visit(None), "bad token": bad, "expired token": late}
    staff = {name: visit(name) for name in ("visitor", "operator", "manager", "stranger", "lead", "agent")}

    def expect(who, route, method, answer, *statuses):
        if answer.status_code not in statuses:
            wrong.append(f"{who} {method} {route.path}: {answer.status_code}")

    for route, method in routes_of(desk_app):
        to_login = 303 if method == "GET" and "/api/" not in route.path else 401
        for who, browser in strangers.items():
            expect(who, route, method, ask(browser, route, method, tickets[0]), to_login)
        for who in ("visitor", "operator"):
            expect(who, route, method, ask(staff[who], route, method, tickets[0]), 403)
        for who in ("manager", "stranger"):
            if not allowed(who, route):
                expect(who, route, method, ask(staff[who], route, method, tickets[0]), 403)
            elif who == "stranger" and "ticket_id" in route.path:
                expect(who, route, method, ask(staff[who], route, method, tickets[0]), 404, 409, 422)
    assert not wrong, "\n".join(wrong)
    assert snapshot(db, tickets[0]) == before

    for route, method in routes_of(desk_app):
        for who in ("lead", "agent"):
            answer = ask(staff[who], route, method, tickets[0])
            if allowed(who, route):
                expect(who, route, method, answer, 200, 303, 404, 409, 422)
            else:
                expect(who, route, method, answer, 403)
    assert not wrong, "\n".join(wrong)


def test_an_agent_reaches_neither_a_colleagues_ticket_nor_that_of_another_team(visit, tickets):
    for browser, ticket in ((visit("agent"), tickets[2]), (visit("stranger"), tickets[0])):
        assert browser.get(f"/tickets/{ticket}").status_code == 404
        assert browser.get(f"/api/v1/tickets/{ticket}").json()["error"]["kind"] == "not_found"
        assert browser.get("/api/v1/tickets/999999").json()["error"]["kind"] == "not_found"
        write = {"version": 2, **BODIES["contact"]}
        assert browser.post(f"/api/v1/tickets/{ticket}/contact", json=write).status_code == 409
        assert ticket not in {
            one["ticket_id"] for one in browser.get("/api/v1/tickets?view=team").json()["tickets"]
        }


# ---- row-level security, as the desk's own pool has it


def walled_tables(db):
    with db.begin():
        return db.execute(
            sa.text(
                "select relname from pg_class where relrowsecurity and relforcerowsecurity"
                " and relnamespace = 'public'::regnamespace order by relname"
            )
        ).scalars().all()  # fmt: skip


def rows_seen(db, table):
    """How many rows of a table an open transaction sees; None when it may not read it at all."""
    try:
        with db.begin_nested():
            return db.execute(sa.text(f"select count(*) from {table}")).scalar_one()
    except sa.exc.ProgrammingError as error:
        if error.orig.pgcode != "42501":
            raise
        return None


def test_without_an_identity_no_walled_table_shows_a_row(desk_app, visit, tickets, db, people):
    key = {"idempotency-key": "k"}
    for action, version in (("contact", 2), ("survey", 3), ("plan", 4)):
        body = {"version": version, **BODIES[action]}
        done = visit("agent").post(f"/api/v1/tickets/{tickets[0]}/{action}", json=body, headers=key)
        key = {}
        assert done.status_code == 200, done.text
    tables = walled_tables(db)
    assert {"tickets", "ticket_events", "ticket_phones", "idempotency_keys", "assignments"} <= set(tables)
    with desk_app.state.database.reading(None) as desk:
        seen = {table: rows_seen(desk, table) for table in tables}
    assert not any(seen.values()), seen
    with desk_app.state.database.reading(people.agent) as desk:
        assert rows_seen(desk, "tickets") == 2  # not walled off for everybody
        assert rows_seen(desk, "idempotency_keys") == 1
        assert rows_seen(desk, "ticket_phones") is None
    with desk_app.state.database.reading(people.colleague) as desk:
        assert rows_seen(desk, "idempotency_keys") == 0


def test_who_worked_is_forgotten_when_the_transaction_ends(desk_app, visit, tickets, people, config, clock):
    from include.desk.tickets import contacts
    from include.desk.tickets.transaction import Actor

    database = desk_app.state.database
    with database.reading(people.agent) as desk:
        first, seen = desk.execute(sa.text("select pg_backend_pid(), (select count(*) from tickets)")).one()
    assert seen == 2
    clock.now += timedelta(minutes=1)
    with database.working() as desk:
        actor = Actor(desk, config, people.agent, tickets[0], 2, clock.now)
        contacts.record_contact(actor, channel="call", result="reached")
        after_commit = desk.execute(
            sa.text("select pg_backend_pid(), desk_staff_id(), (select count(*) from tickets)")
        ).one()
    with database.reading(None) as desk:
        next_one = desk.execute(
            sa.text("select pg_backend_pid(), desk_staff_id(), (select count(*) from tickets)")
        ).one()
    assert after_commit == next_one == (first, None, 0)


def test_an_identity_does_not_leak_to_other_connections_of_the_pool(desk_app, people, tickets):
    database = desk_app.state.database
    with (
        database.reading(people.agent) as one,
        database.reading(people.stranger) as other,
        database.reading(None) as none,
    ):
        told = [db.execute(sa.text("select desk_staff_id()")).scalar_one() for db in (one, other, none)]
    assert told == [people.agent, people.stranger, None]
