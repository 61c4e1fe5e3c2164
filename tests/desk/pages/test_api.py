"""The JSON API over HTTP: the same work as the forms, done once, with one format of errors."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

API = "/api/v1/tickets"
JSON = {"content-type": "application/json"}


@pytest.fixture
def send(visit):
    """Write as somebody: `send("agent", ticket, "contact", key=…, channel=…)`; the answer."""

    def send(who, ticket_id, action, key=None, **body):
        headers = {"idempotency-key": key} if key else {}
        return visit(who).post(f"{API}/{ticket_id}/{action}", json=body, headers=headers)

    return send


def problem(answer):
    """Status and kind of an error, whose format is checked."""
    told = answer.json()["error"]
    assert set(told) == {"kind", "message", "details"} and told["message"]
    return answer.status_code, told["kind"]


def test_a_program_works_a_ticket_from_contact_to_close(visit, send, tickets, clock):
    version = 2
    for action, body in (
        ("contact", {"channel": "call", "result": "reached"}),
        ("survey", {"needs": ["price", "network"]}),
        ("plan", {"strategy": "plan_discount", "note": "as asked"}),
        ("processing", {"result": "done", "order_number": "A-1"}),
        ("pause", {"call_back_on": "2026-11-10"}),
        ("resume", {}),
        ("close", {"outcome": "retained", "detail": "accepted_offer", "satisfaction": 9}),
    ):
        clock.now += timedelta(minutes=5)
        answer = send("agent", tickets[0], action, version=version, **body)
        version += 1
        assert (action, answer.status_code, answer.json()) == (
            action, 200, {"ticket_id": tickets[0], "version": version}
        )  # fmt: skip
        assert answer.headers["etag"] == f'"{version}"'
    ticket = visit("agent").get(f"{API}/{tickets[0]}").json()
    assert (ticket["state"], ticket["outcome"], ticket["version"]) == ("closed", "retained", version)
    assert [len(ticket[name]) for name in ("attempts", "surveys", "plans", "events")] == [1, 1, 1, version]


def test_the_queue_has_the_views_of_the_pages_and_goes_on_where_it_ended(visit, tickets, monkeypatch):
    from include.desk.pages import queue

    monkeypatch.setattr(queue, "PAGE", 1)
    seen, after = [], ""
    while after is not None:
        page = visit("agent").get(API, params={"view": "mine", "after": after}).json()
        seen += [ticket["ticket_id"] for ticket in page["tickets"]]
        after = page["next"]
    assert sorted(seen) == sorted(tickets[:2])
    assert page["tickets"][0]["urgency"] == "on_time" and page["tickets"][0]["left_minutes"] > 0


def test_a_claim_takes_an_unassigned_ticket(visit, send, tickets, db, people):
    with db.begin():
        db.execute(sa.text("update tickets set assignee_id = null where ticket_id = :id"), {"id": tickets[2]})
    assert send("agent", tickets[2], "claim", version=2).status_code == 200
    assert visit("agent").get(f"{API}/{tickets[2]}").json()["assignee_id"] == people.agent


def test_a_request_repeated_under_its_key_is_answered_and_not_done_again(visit, send, tickets, clock):
    mine, body = tickets[0], {"channel": "call", "result": "no_answer", "version": 2}
    first = send("agent", mine, "contact", key="k-1", **body)
    clock.now += timedelta(days=6)
    again = send("agent", mine, "contact", key="k-1", **body)
    assert (first.status_code, first.json(), first.headers["etag"]) == (
        again.status_code, again.json(), again.headers["etag"]
    )  # fmt: skip
    assert len(visit("agent").get(f"{API}/{mine}").json()["attempts"]) == 1
    clock.now += timedelta(days=2)  # the key is forgotten, the version still tells
    assert problem(send("agent", mine, "contact", key="k-1", **body)) == (409, "refused")


def test_a_key_belongs_to_one_request_of_one_person(send, tickets):
    body = {"channel": "call", "result": "no_answer", "version": 2}
    assert send("agent", tickets[0], "contact", key="k", **body).status_code == 200
    changed = body | {"result": "reached"}
    assert problem(send("agent", tickets[0], "contact", key="k", **changed)) == (409, "key_reused")
    assert problem(send("agent", tickets[1], "contact", key="k", **body)) == (409, "key_reused")
    assert send("colleague", tickets[2], "contact", key="k", **body).status_code == 200


def test_what_was_refused_leaves_no_key(send, tickets):
    assert problem(send("agent", tickets[0], "resume", key="k", version=2)) == (409, "refused")
    done = send("agent", tickets[0], "contact", key="k", version=2, channel="call", result="reached")
    assert done.status_code == 200


def test_one_request_sent_eight_times_at_once_is_done_once(visit, tickets):
    def contact(_):
        return visit("agent").post(
            f"{API}/{tickets[0]}/contact", headers={"idempotency-key": "once"},
            json={"channel": "call", "result": "reached", "version": 2},
        )  # fmt: skip

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(contact, range(8)))
    assert [(answer.status_code, answer.json()) for answer in answers] == [
        (200, {"ticket_id": tickets[0], "version": 3})
    ] * 8
    assert len(visit("agent").get(f"{API}/{tickets[0]}").json()["attempts"]) == 1


def test_the_version_is_told_in_the_body_or_by_if_match(visit, tickets):
    for seen, (match, body) in enumerate(
        (('"2"', {}), ("3", {}), (None, {"version": 4}), ('W/"5"', {"version": 5})), 2
    ):
        told = {"channel": "call", "result": "reached"} | body
        headers = {"if-match": match} if match else {}
        done = visit("agent").post(f"{API}/{tickets[0]}/contact", json=told, headers=headers)
        assert (done.status_code, done.json()["version"]) == (200, seen + 1)


def test_a_stale_version_tells_who_changed_the_ticket(send, tickets):
    send("agent", tickets[0], "contact", version=2, channel="call", result="reached")
    stale = send("agent", tickets[0], "survey", version=2, needs=["price"])
    assert problem(stale) == (409, "refused")
    assert "'contact' by agent" in stale.json()["error"]["message"]


WRONG = (
    ({"result": None}, {}, "body.result"),
    ({"version": None}, {}, "If-Match"),
    ({}, {"if-match": "3"}, "If-Match"),
    ({}, {"if-match": "x"}, "If-Match"),
    ({"channel": "fax"}, {}, "call, sms, app, visit"),
    ({"more": 1}, {}, "body.more"),
    ({"version": 0}, {}, "body.version"),
    ({}, {"idempotency-key": "a b"}, "Idempotency-Key"),
    ({"result": "call_back", "call_back_at": "9999-12-31T23:59:59Z"}, {}, "year"),
    ({"result": "call_back", "call_back_at": "2026-11-09T09:00"}, {}, "call_back_at"),
    ({"note": "x" * 2001}, {}, "body.note"),
    ({"note": "a\0b"}, {}, "body.note"),
    ({"note": "\ud800"}, {}, "body.note"),
    ({"\ud800": "x"}, {}, "body"),
)


def test_a_wrong_value_is_named_and_changes_nothing(visit, tickets):
    mine, right = visit("agent"), {"channel": "call", "result": "reached", "version": 2}
    for wrong, headers, said in WRONG:
        body = json.dumps(right | wrong)
        answer = mine.post(f"{API}/{tickets[0]}/contact", content=body, headers=JSON | headers)
        assert problem(answer) == (422, "bad_input"), wrong
        assert said.lower() in answer.json()["error"]["message"].lower()
    for broken in ("[]", "{", "null", "1e999", '{"version": 1e999}', "[" * 30_000):
        answer = mine.post(f"{API}/{tickets[0]}/contact", content=broken, headers=JSON)
        assert answer.status_code == 422, (broken[:20], answer.text)
    assert mine.get(f"{API}/{tickets[0]}").json()["version"] == 2


def test_a_wrong_value_is_not_quoted_back(visit, tickets):
    answer = visit("agent").post(f"{API}/{tickets[0]}/contact", json={"note": ["13800138000"]})
    assert answer.status_code == 422 and "13800138000" not in answer.text


def test_a_token_needs_no_origin_and_wins_over_the_cookie(visit, tickets, tokens):
    browser = visit(None)
    browser.headers.pop("origin")
    bearer = {"authorization": f"Bearer {tokens['agent']}"}
    assert browser.get(f"{API}/{tickets[0]}", headers=bearer).status_code == 200
    body = {"channel": "call", "result": "reached", "version": 2}
    assert browser.post(f"{API}/{tickets[0]}/contact", json=body, headers=bearer).status_code == 200
    stranger = visit("stranger").get(f"{API}/{tickets[0]}", headers=bearer)
    assert stranger.status_code == 200


def test_the_description_names_every_action_and_the_one_format_of_errors(visit, tickets):
    assert problem(visit(None).get("/api/v1/openapi.json")) == (401, "not_logged_in")
    described = visit("agent").get("/api/v1/openapi.json").json()
    actions = {path.rpartition("/")[2] for path in described["paths"] if path.count("/") == 5}
    assert actions == {"claim", "contact", "survey", "plan", "processing", "pause", "resume", "close"}
    for path in described["paths"].values():
        for told in path.values():
            schemas = {
                code: answer["content"]["application/json"]["schema"]
                for code, answer in told["responses"].items()
            }
            problems = {
                code for code, schema in schemas.items() if schema == {"$ref": "#/components/schemas/Problem"}
            }
            assert problems >= {"401", "403", "404", "409", "422", "429", "503"}


def test_an_action_needs_the_right_its_form_needs(desk_app):
    from tests.desk.pages.routes import rights, routes_of

    needed = {(route.path, method): rights(route) for route, method in routes_of(desk_app)}
    actions = [path for path, method in needed if method == "POST" and path.startswith("/api/")]
    assert actions
    for path in actions:
        assert needed[path, "POST"] == needed[path.removeprefix("/api/v1"), "POST"]
