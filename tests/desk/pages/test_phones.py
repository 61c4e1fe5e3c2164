"""Numbers and search over HTTP: masked, shown, called and found, each recorded and limited by the day."""

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import sqlalchemy as sa

from include.config.readers.desk import DailyLimits, DeskRules, NextTicket
from include.domain.errors import LoopError

FORM = {"content-type": "application/x-www-form-urlencoded"}
FEW = DeskRules(
    limits_per_day=DailyLimits(reveal=2, call=2, search=2, export=1),
    next_ticket=NextTicket(hold_minutes=10, rest_minutes=60, free_skips=2),
)


def press(browser, address, **fields):
    return browser.post(address, data=fields, headers=FORM)


def follow(browser, address, **fields):
    """The page a form leads to."""
    sent = press(browser, address, **fields)
    assert sent.status_code == 303, sent.text
    return browser.get(sent.headers["location"])


def uses(ask):
    return [(row.kind, row.ticket_id) for row in ask("select kind, ticket_id from desk_uses order by use_id")]


def test_a_ticket_shows_the_number_masked_and_nothing_more(visit, tickets, numbers, ask):
    shown = visit("agent").get(f"/tickets/{tickets[0]}").text
    assert "138****0001" in shown
    assert numbers[tickets[0]] not in shown
    assert uses(ask) == []


def test_a_number_is_shown_for_some_minutes_in_a_page_that_is_not_stored_and_the_use_is_recorded(
    visit, tickets, numbers, ask, clock, caplog
):
    caplog.set_level(logging.DEBUG)
    address = press(visit("agent"), f"/tickets/{tickets[0]}/reveal").headers["location"]
    assert numbers[tickets[0]] not in address
    answer = visit("agent").get(address)
    assert numbers[tickets[0]] in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert uses(ask) == [("reveal", tickets[0])]
    assert numbers[tickets[0]] not in visit("agent").get(f"/tickets/{tickets[0]}").text
    for who, path in (("lead", address), ("agent", address.replace(f"/{tickets[0]}?", f"/{tickets[1]}?"))):
        assert numbers[tickets[0]] not in visit(who).get(path).text
    refused = {
        "subscriber_id": "S0001",
        "channel": "call",
        "said": "no more",
        "done": "noted",
        "is_refusal": "1",
    }
    assert press(visit("colleague"), "/inbound", **refused).status_code == 409
    assert numbers[tickets[0]] not in visit("agent").get(address).text  # whoever refused since is not called
    ask("delete from refusals returning 1")
    assert numbers[tickets[0]] in visit("agent").get(address).text
    clock.now += timedelta(minutes=6)
    assert numbers[tickets[0]] not in visit("agent").get(address).text
    assert uses(ask) == [("reveal", tickets[0])]
    assert numbers[tickets[0]] not in caplog.text


def test_a_call_is_a_link_that_dials_and_does_not_show_the_number(visit, tickets, numbers, ask):
    number = numbers[tickets[0]]
    text = follow(visit("agent"), f"/tickets/{tickets[0]}/call").text
    assert f'href="tel:{number}"' in text
    assert number not in text.replace(f"tel:{number}", "")
    assert uses(ask) == [("call", tickets[0])]


def test_with_a_telephone_system_the_number_never_reaches_the_page(visit, desk_app, tickets, numbers):
    dialled = []
    desk_app.state.dial = lambda *call: dialled.append(call)
    answer = follow(visit("agent"), f"/tickets/{tickets[0]}/call")
    assert dialled == [("agent", numbers[tickets[0]], tickets[0])]
    assert numbers[tickets[0]] not in answer.text


def test_a_telephone_system_that_is_away_is_told_and_leaves_a_link(visit, desk_app, tickets, numbers):
    def away(*_):
        raise LoopError("The telephone system did not take the call. Dial by hand.")

    desk_app.state.dial = away
    answer = press(visit("agent"), f"/tickets/{tickets[0]}/call")
    assert answer.status_code == 503
    assert "did not take the call" in answer.text
    assert f"tel:{numbers[tickets[0]]}" in answer.text


@pytest.mark.parametrize(("who", "status"), [("manager", 403), ("operator", 403), ("stranger", 404)])
def test_a_number_is_given_only_to_those_with_the_right_and_the_ticket(
    visit, tickets, numbers, ask, who, status
):
    for kind in ("reveal", "call"):
        answer = press(visit(who), f"/tickets/{tickets[0]}/{kind}")
        assert answer.status_code == status
        assert numbers[tickets[0]] not in answer.text
    assert uses(ask) == []


def test_a_ticket_that_is_frozen_or_over_gives_no_number(visit, tickets, numbers, ask, db):
    ask(
        "update tickets set frozen_at = dispatched_at, frozen_because = 'port_out_applied'"
        " where ticket_id = :id returning 1",
        id=tickets[0],
    )
    answer = press(visit("agent"), f"/tickets/{tickets[0]}/reveal")
    assert (answer.status_code, numbers[tickets[0]] in answer.text) == (409, False)
    assert "Frozen" in answer.text
    assert uses(ask) == []


def test_beyond_the_days_limit_a_sentence_stands_in_place_of_the_number(
    visit, desk_app, tickets, numbers, clock
):
    desk_app.state.rules = FEW
    browser, address = visit("agent"), f"/tickets/{tickets[0]}/reveal"
    assert [press(browser, address).status_code for _ in range(3)] == [303, 303, 429]
    answer = press(browser, address)
    assert "as many as a day allows" in answer.text
    assert answer.headers["retry-after"] == str(15 * 3600 + 1800)  # it is half past eight
    assert numbers[tickets[0]] not in answer.text
    assert press(browser, f"/tickets/{tickets[0]}/call").status_code == 303  # calls are counted apart
    clock.now += timedelta(days=1)
    assert press(browser, address).status_code == 303


def test_many_at_once_cannot_pass_the_limit(visit, desk_app, tickets, numbers, ask):
    desk_app.state.rules = FEW

    def once(_):
        return press(visit("agent"), f"/tickets/{tickets[0]}/reveal").status_code

    with ThreadPoolExecutor(6) as pool:
        answers = sorted(pool.map(once, range(6)))
    assert answers == [303, 303, 429, 429, 429, 429]
    assert len(uses(ask)) == 2


@pytest.mark.parametrize("forged", ["delete from desk_uses", "update desk_uses set kind = 'search'"])
def test_uses_are_never_rewritten(visit, tickets, numbers, ask, forged):
    press(visit("agent"), f"/tickets/{tickets[0]}/reveal")
    with pytest.raises(sa.exc.DBAPIError, match=r"append-only|permission denied"):
        ask(f"{forged} returning 1")


def test_uses_are_seen_by_the_person_the_lead_and_the_manager(visit, desk_app, tickets, numbers, people):
    press(visit("agent"), f"/tickets/{tickets[0]}/reveal")
    seen = {}
    for who in ("agent", "colleague", "stranger", "lead", "manager"):
        with desk_app.state.database.reading(getattr(people, who)) as db:
            seen[who] = db.execute(sa.text("select count(*) from desk_uses")).scalar_one()
    assert seen == {"agent": 1, "colleague": 0, "stranger": 0, "lead": 1, "manager": 1}


def test_the_desk_reads_no_number_and_records_no_use_without_its_functions(
    desk_app, tickets, numbers, people
):
    for forged in (
        "select msisdn from ticket_phones",
        "insert into desk_uses (staff_id, kind, used_at) values (1, 'search', '2026-11-06Z')",
    ):
        with (
            pytest.raises(sa.exc.DBAPIError, match="permission denied"),
            desk_app.state.database.reading(people.agent) as db,
        ):
            db.execute(sa.text(forged))
    with desk_app.state.database.reading(None) as db:
        masked = db.execute(sa.text("select masked_phone(:id)"), {"id": tickets[0]}).scalar_one()
    assert masked is None


def test_search_finds_by_ticket_subscriber_end_and_whole_number(visit, tickets, numbers, ask):
    browser, mine = visit("agent"), tickets[0]
    subscriber = ask("select subscriber_id from tickets where ticket_id = :id", id=mine)[0].subscriber_id
    number = numbers[mine]
    for words in (f"#{mine}", str(mine), subscriber, number[-4:], number, f"+86 {number[:3]}-{number[3:]}"):
        answer = press(browser, "/search", q=words)
        assert (words, answer.status_code, answer.headers.get("location")) == (words, 303, f"/tickets/{mine}")
    assert uses(ask) == [("search", None)] * 3


def test_search_finds_nothing_of_others_and_offers_the_form_for_the_talk(visit, tickets, numbers):
    theirs = tickets[2]
    for words in (f"#{theirs}", numbers[theirs], numbers[theirs][-4:]):
        answer = press(visit("agent"), "/search", q=words)
        assert answer.status_code == 200
        assert "No ticket you may see" in answer.text
        assert 'action="/inbound"' in answer.text
    lead = press(visit("lead"), "/search", q=numbers[theirs])
    assert lead.headers["location"] == f"/tickets/{theirs}"


def test_searches_by_number_are_limited_others_are_not(visit, desk_app, tickets, numbers):
    desk_app.state.rules = FEW
    browser = visit("agent")
    statuses = [press(browser, "/search", q=numbers[tickets[0]]).status_code for _ in range(3)]
    assert statuses == [303, 303, 429]
    assert press(browser, "/search", q=f"#{tickets[0]}").status_code == 303


def test_search_never_takes_a_number_in_its_address(visit, tickets, numbers):
    answer = visit("agent").get("/search", params={"q": numbers[tickets[0]]})
    assert answer.status_code == 200
    assert f"/tickets/{tickets[0]}" not in answer.text


def test_a_talk_of_somebody_without_a_ticket_is_kept(visit, tickets, ask):
    talk = {
        "subscriber_id": "S9999",
        "channel": "call",
        "said": "too dear",
        "done": "explained",
        "needs": ["price"],
        "confirmed_id": "S9999",
    }
    answer = follow(visit("agent"), "/inbound", **talk)
    assert "The talk is kept." in answer.text
    kept = ask("select subscriber_id, said, done, needs from inbound_contacts")
    assert [tuple(row) for row in kept] == [("S9999", "too dear", "explained", ["price"])]


def test_a_task_of_a_talk_stands_where_talks_are_kept_until_it_is_done(visit, tickets, ask):
    talk = {"subscriber_id": "S9999", "channel": "call", "said": "call nobody!", "done": "promised"}
    talk["confirmed_id"] = "S9999"
    agent = visit("agent")
    assert "call nobody!" in follow(agent, "/inbound", **talk, is_refusal="1").text
    (task,) = agent.get("/api/v1/tasks").json()["tasks"]
    assert (task["unit"], task["subscriber_id"], task["words"]) == ("complaint", "S9999", "call nobody!")
    stranger = visit("stranger")
    assert "call nobody!" not in stranger.get("/search").text
    assert press(stranger, f"/tasks/{task['task_id']}", result="mine").status_code == 409
    assert press(agent, f"/tasks/{task['task_id']}", result=" ").status_code == 422
    answer = follow(agent, f"/tasks/{task['task_id']}", result="apologised")
    assert "The task is done." in answer.text
    assert "call nobody!" not in answer.text
    assert [tuple(row) for row in ask("select result from linked_tasks")] == [("apologised",)]
    again = agent.post(f"/api/v1/tasks/{task['task_id']}", json={"result": "again"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "task_done")


def test_a_talk_refused_keeps_what_was_typed(visit, tickets, ask):
    subscriber = ask("select subscriber_id from tickets where ticket_id = :id", id=tickets[2])[
        0
    ].subscriber_id
    talk = {"subscriber_id": subscriber, "channel": "app", "said": "<b>calls</b>", "done": "passed on"}
    answer = press(visit("agent"), "/inbound", **talk)
    assert answer.status_code == 409
    assert f"has ticket {tickets[2]}" in answer.text
    assert "&lt;b&gt;calls&lt;/b&gt;" in answer.text
    assert "<b>calls</b>" not in answer.text


def test_the_telephone_system_is_asked_by_post_with_its_token(httpx_posts):
    from include.desk.calls.dialling import dial_by

    dial_by("https://cti.example/calls", "secret")("agent", "13800000001", 7)
    address, sent = httpx_posts.pop()
    assert address == "https://cti.example/calls"
    assert sent["json"] == {"agent": "agent", "number": "13800000001", "ticket_id": 7}
    assert sent["headers"] == {"Authorization": "Bearer secret"}


@pytest.fixture
def exchange():
    """A telephone system on loopback: its port, and what it was asked."""
    asked = []

    class Takes(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append((self.path, self.headers.get("authorization"), body))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Takes) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def connection(port):
    """As the operations guide writes it: the host with its scheme, for a bare one is reached by https alone."""
    told = {"conn_type": "http", "host": "http://127.0.0.1", "port": port, "password": "secret"}
    return json.dumps(told | {"extra": {"path": "/calls?of=desk"}})


def test_a_connection_of_airflow_puts_a_call_through(
    visit, desk_app, tickets, numbers, exchange, monkeypatch
):
    from include.desk.calls.dialling import dial_from_airflow

    port, asked = exchange
    monkeypatch.setenv("AIRFLOW_CONN_CHURN_CTI", connection(port))
    desk_app.state.dial = dial_from_airflow()
    answer = follow(visit("agent"), f"/tickets/{tickets[0]}/call")
    assert "Your telephone rings" in answer.text
    assert numbers[tickets[0]] not in answer.text
    call = {"agent": "agent", "number": numbers[tickets[0]], "ticket_id": tickets[0]}
    assert asked == [("/calls?of=desk", "Bearer secret", call)]


def test_without_a_connection_a_call_is_a_link(airflow_home, monkeypatch):
    from include.desk.calls.dialling import dial_from_airflow

    monkeypatch.delenv("AIRFLOW_CONN_CHURN_CTI", raising=False)
    assert dial_from_airflow() is None


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_telephone_system_that_does_not_take_a_call_says_so_without_the_number(httpx_posts, status):
    from include.desk.calls.dialling import dial_by

    httpx_posts.status = status
    with pytest.raises(LoopError, match="did not take the call") as told:
        dial_by("https://cti.example/calls", None)("agent", "13800000001", 7)
    assert "1380000" not in str(told.value)


class Posts(list):
    status = 200


@pytest.fixture
def httpx_posts(monkeypatch):
    """What would have been posted; answers with `status`."""
    import httpx

    posts = Posts()

    def post(address, **sent):
        posts.append((address, sent))
        return httpx.Response(posts.status)

    monkeypatch.setattr(httpx, "post", post)
    return posts
