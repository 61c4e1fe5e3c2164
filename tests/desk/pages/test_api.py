"""The JSON API over HTTP: the same work as the forms, done once, with one format of errors."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.domain.errors import LoopError

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
    assert set(told) == {"kind", "code", "message", "values", "details"} and told["message"] and told["code"]
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
    from include.desk.tickets import queue

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
    told = stale.json()["error"]
    assert "'Contact' by agent" in told["message"]
    assert (told["code"], told["values"]["action"], told["values"]["version"]) == ("stale", "contact", 3)


def test_a_refusal_has_a_code_and_the_language_asked_for(visit, tickets):
    body = {"version": 2, "outcome": "retained", "detail": "accepted_offer"}
    told = {}
    for language in ("zh-CN,zh;q=0.9", "en", ""):
        program = visit("agent")
        program.headers["accept-language"] = language
        told[language] = program.post(f"{API}/{tickets[0]}/close", json=body).json()["error"]
    assert {each["code"] for each in told.values()} == {"wrong_state"}
    assert told["zh-CN,zh;q=0.9"]["message"].startswith("状态为“已下发”的工单不能关闭")
    assert told["en"] == told[""]
    assert told["en"]["values"]["states"] == ["in_progress", "paused"]


def test_an_agent_gives_back_owes_and_ends_by_the_api(send, visit, tickets, ask, people):
    mine = tickets[0]
    assert send("agent", mine, "contact", version=2, channel="call", result="reached").status_code == 200
    assert send("agent", mine, "open_task", version=3, unit="network", words="no signal").status_code == 200
    task = ask("select task_id from linked_tasks")[0].task_id
    done = {"task_id": task, "result": "mast mended"}
    assert send("agent", mine, "finish_task", version=4, **done).status_code == 200
    assert problem(send("agent", mine, "finish_task", version=5, **done)) == (409, "refused")
    assert send("agent", mine, "hand_back", version=5, reason="on leave").status_code == 200
    assert visit("agent").get(f"{API}/{mine}").json()["assignee_id"] is None
    assert send("agent", mine, "do_not_call", version=6, words="leave me alone").status_code == 200
    assert visit("agent").get(f"{API}/{mine}").json()["state"] == "cancelled"


def test_a_lead_reassigns_merges_cancels_and_reopens_by_the_api(send, visit, tickets, people):
    one, two, three = tickets[:3]
    given = send("lead", one, "reassign", key="r", version=2, to_staff_id=people.colleague)
    assert given.json() == {"ticket_id": one, "version": 3}
    merged = {"into": two, "into_version": 2, "reason": "new id", "has_changed_customer": True}
    first = send("lead", one, "merge", key="m", version=3, **merged)
    assert first.json() == {"ticket_id": one, "version": 4}
    assert send("lead", one, "merge", key="m", version=3, **merged).json() == first.json()
    assert visit("lead").get(f"{API}/{one}").json()["merged_into"] == two
    assert send("agent", two, "contact", version=3, channel="call", result="reached").status_code == 200
    ended = send("agent", two, "close", version=4, outcome="no_intention", detail="satisfied")
    assert ended.status_code == 200
    assert send("lead", two, "reopen", version=5, reason="called again").status_code == 200
    assert send("lead", three, "cancel", version=2, reason="gone").status_code == 200
    assert problem(send("agent", two, "cancel", version=6, reason="gone")) == (403, "denied")


def test_a_lead_gives_many_tickets_at_once_and_is_told_of_each(visit, tickets, people):
    wished = [{"ticket_id": ticket, "version": seen} for ticket, seen in ((tickets[0], 2), (tickets[1], 9))]
    body = {"to_staff_id": people.colleague, "tickets": wished}
    done, stale = visit("lead").post("/api/v1/reassign", json=body).json()["results"]
    assert (done["ticket_id"], done["version"], done["why_not"]) == (tickets[0], 3, None)
    assert (stale["ticket_id"], stale["why_not"]["code"]) == (tickets[1], "listed_stale")
    assert problem(visit("agent").post("/api/v1/reassign", json=body)) == (403, "denied")
    twice = body | {"tickets": [wished[0], wished[0]]}
    assert visit("lead").post("/api/v1/reassign", json=twice).json()["error"]["code"] == "listed_twice"


def test_the_next_ticket_is_held_and_passed_by(visit, tickets, desk_app):
    agent = visit("agent")
    first = agent.post("/api/v1/next", json={}).json()["ticket_id"]
    assert first in tickets[:2]
    assert agent.post(f"{API}/{first}/skip", json={}).json() == {"ticket_id": None}
    assert agent.post("/api/v1/next", json={}).json()["ticket_id"] not in (first, None)
    assert agent.post(f"{API}/{first}/skip", json={}).json()["error"]["code"] == "not_held"


def test_numbers_are_shown_and_searched_up_to_the_days_limit(visit, desk_app, tickets, numbers, ask):
    from include.config.readers.desk import DailyLimits

    few = DailyLimits(reveal=1, call=1, search=1, export=1)
    desk_app.state.rules = desk_app.state.rules.model_copy(update={"limits_per_day": few})
    agent, number = visit("agent"), numbers[tickets[0]]
    for path, body, told in (
        (f"{API}/{tickets[0]}/reveal", {}, {"number": number}),
        (f"{API}/{tickets[0]}/call", {}, {"number": number}),
        ("/api/v1/search", {"q": number}, None),
    ):
        answer = agent.post(path, json=body)
        assert answer.status_code == 200, answer.text
        assert told is None or answer.json() == told
        over = agent.post(path, json=body)
        assert problem(over) == (429, "too_many")
        assert (over.json()["error"]["code"], over.headers["retry-after"]) == ("day_is_full", "55800")
        assert number not in over.text
    assert [
        one["ticket_id"]
        for one in agent.post("/api/v1/search", json={"q": f"#{tickets[0]}"}).json()["tickets"]
    ]
    assert visit("lead").get("/queue.csv").status_code == 200
    over = visit("lead").get("/queue.csv")
    assert (over.status_code, over.headers["retry-after"]) == (429, "55800")


def test_a_call_goes_to_the_telephone_system_where_there_is_one(visit, desk_app, tickets, numbers):
    rung = []
    desk_app.state.dial = lambda *call: rung.append(call)
    answer = visit("agent").post(f"{API}/{tickets[0]}/call", json={})
    assert (answer.json(), rung) == ({"number": None}, [("agent", numbers[tickets[0]], tickets[0])])


def test_a_call_the_telephone_system_does_not_take_gives_the_number_to_dial(
    visit, desk_app, tickets, numbers
):
    def away(*_):
        raise LoopError("The telephone system did not take the call.")

    desk_app.state.dial = away
    answer = visit("agent").post(f"{API}/{tickets[0]}/call", json={})
    assert (answer.status_code, answer.json()) == (200, {"number": numbers[tickets[0]]})


def test_calls_are_stopped_only_where_the_ticket_is_seen(visit, tickets):
    body = {"version": 1, "words": "no more calls"}
    refused = visit("stranger").post(f"{API}/{tickets[0]}/do_not_call", json=body)
    assert refused.json()["error"]["code"] == "hidden"


def test_who_calls_in_is_kept_by_the_api(visit, tickets, ask):
    talk = {"subscriber_id": "S9999", "channel": "call", "said": "too dear", "done": "explained"}
    talk["is_unknown_confirmed"] = True
    kept = visit("agent").post("/api/v1/inbound", json=talk).json()["inbound_id"]
    assert ask("select subscriber_id from inbound_contacts where inbound_id = :id", id=kept)[0][0] == "S9999"


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
    forms = {"claim", "contact", "survey", "plan", "processing", "pause", "resume", "close", "hand_back"}
    forms |= {"do_not_call", "open_task", "finish_task", "reassign", "merge", "cancel", "reopen", "check"}
    assert actions == forms | {"skip", "reveal", "call", "lift"}
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
