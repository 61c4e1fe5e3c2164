"""Every form is done once: sent again it leads to where it led, and a talk sent twice in the same words is one talk."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from include.domain.errors import LoopError

FORM = {"content-type": "application/x-www-form-urlencoded"}
TEMPLATES = sorted((Path(__file__).resolve().parents[3] / "include" / "desk" / "templates").glob("*.html"))
TALK = {
    "subscriber_id": "S0009",
    "channel": "call",
    "said": "call nobody!",
    "done": "promised",
    "is_refusal": "1",
}


def press(browser, address, **fields):
    return browser.post(address, data=fields, headers=FORM)


def where(answer):
    return answer.status_code, answer.headers.get("location")


def count(ask, table):
    return ask(f"select count(*) from {table}")[0][0]


@pytest.fixture
def known(ask, tickets):
    """A subscriber the loop knows who has no ticket."""
    ask(
        "insert into warnings (campaign, cycle, revision, subscriber_id, customer_key, cluster, model_version, grade,"
        " tier, rank, rule_hits, rule_points) values ('churn_warning', '2026-10', 0, 'S0009', 'S0009', 'pooled', 'm',"
        " 'mid', 'monitoring', 9, '{}', 0) returning 1"
    )
    return "S0009"


def written(ask):
    """Whatever a form may leave behind, but for receipts."""
    tables = (
        "inbound_contacts",
        "refusals",
        "linked_tasks",
        "desk_uses",
        "ticket_skips",
        "ticket_events",
        "audit_log",
    )
    return {table: count(ask, table) for table in (*tables, "saved_views", "contact_attempts", "notices")}


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_form_that_writes_carries_a_key(path):
    forms = re.findall(r"<form [^>]*?method=\"post\"[\s\S]*?</form>", path.read_text("utf-8"))
    assert [form[:80] for form in forms if 'name="once" value="{{ once }}"' not in form] == []


def test_two_pages_never_carry_the_same_key(visit, tickets):
    shown = [re.findall(r'name="once" value="([^"]+)"', visit("agent").get("/search").text) for _ in range(2)]
    assert len(set(shown[0])) == len(set(shown[1])) == 1 and shown[0] != shown[1]


@pytest.mark.parametrize("key", [{}, {"once": "k-1"}])
def test_a_talk_sent_twice_is_one_talk_and_one_complaint(visit, known, ask, clock, key):
    first = press(visit("agent"), "/inbound", **TALK, **key)
    before = written(ask)
    again = press(visit("agent"), "/inbound", **TALK, **key)
    assert where(first) == where(again) == (303, "/search?kept=talk")
    assert written(ask) == before
    assert (before["inbound_contacts"], before["linked_tasks"], before["refusals"]) == (1, 1, 1)
    # other words, another person, or (without a key) another hour is another talk
    press(visit("agent"), "/inbound", **TALK | key | {"said": "call me later"})
    press(visit("lead"), "/inbound", **TALK, **key)
    clock.now += timedelta(hours=1)
    press(visit("agent"), "/inbound", **TALK, **key)
    assert count(ask, "inbound_contacts") == (3 if key else 4)


def test_a_program_that_repeats_a_talk_is_given_the_first_one(visit, known, ask):
    talk = {name: value for name, value in TALK.items() if name != "is_refusal"} | {"is_refusal": True}
    for headers in ({}, {"idempotency-key": "k-2"}):
        sent = [visit("agent").post("/api/v1/inbound", json=talk, headers=headers).json() for _ in range(2)]
        assert sent[0] == sent[1] and sent[0]["inbound_id"]
    assert count(ask, "inbound_contacts") == 2


def test_a_talk_sent_eight_times_at_once_is_one_talk(visit, known, ask):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: where(press(visit("agent"), "/inbound", **TALK)), range(8)))
    assert answers == [(303, "/search?kept=talk")] * 8
    assert count(ask, "inbound_contacts") == count(ask, "linked_tasks") == 1


def test_what_was_refused_uses_up_no_key_and_keeps_every_word(visit, known, ask):
    wrong = TALK | {"once": "k-1", "done": " ", "said": "<call> nobody"}
    refused = press(visit("agent"), "/inbound", **wrong)
    assert refused.status_code == 422
    for kept in ("S0009", "&lt;call&gt; nobody", 'name="is_refusal" value="1" checked'):
        assert kept in refused.text
    assert count(ask, "idempotency_keys") == count(ask, "inbound_contacts") == 0
    assert where(press(visit("agent"), "/inbound", **wrong | {"done": "promised"}))[0] == 303


def test_what_was_typed_about_a_task_comes_back_when_it_is_refused(visit, known, tickets, ask):
    agent, lead = visit("agent"), visit("lead")
    for said in ("call nobody!", "not once more!"):
        assert press(agent, "/inbound", **TALK | {"said": said}).status_code == 303
    done, open_one = (row.task_id for row in ask("select task_id from linked_tasks order by 1"))
    long = press(lead, f"/tasks/{open_one}", result="x" * 2001)
    assert (long.status_code, f"{'x' * 2001}</textarea>" in long.text) == (422, True)
    press(agent, f"/tickets/{tickets[0]}/contact", version="2", channel="call", result="reached")
    press(agent, f"/tickets/{tickets[0]}/open_task", version="3", unit="tariff", words="billed twice")
    task = ask("select max(task_id) as task_id from linked_tasks")[0].task_id
    stale = press(agent, f"/tickets/{tickets[0]}/finish_task", version="3", task_id=task, result="credited")
    assert (stale.status_code, "credited</textarea>" in stale.text) == (409, True)
    again = press(
        agent, f"/tickets/{tickets[0]}/open_task", version="3", unit="tariff", words="billed thrice"
    )
    assert 'value="tariff" selected' in again.text and "billed thrice</textarea>" in again.text
    assert press(lead, f"/tasks/{done}", result=" ").status_code == 422


@pytest.mark.parametrize(
    ("who", "path", "fields"),
    [
        ("agent", "/tickets/{0}/contact", {"version": "2", "channel": "call", "result": "reached"}),
        ("agent", "/tickets/{0}/do_not_call", {"version": "2", "words": "leave me alone"}),
        ("lead", "/tickets/{0}/reassign", {"version": "2", "to_staff_id": "{colleague}"}),
        ("lead", "/reassign", {"view": "team", "to_staff_id": "{colleague}", "ticket": ["{0}:2", "{1}:9"]}),
        ("agent", "/tickets/{0}/reveal", {}),
        ("agent", "/tickets/{0}/call", {}),
        ("agent", "/search", {"q": "0001"}),
        ("agent", "/next", {}),
        ("agent", "/views", {"view": "mine", "name": "mine"}),
    ],
)
def test_a_form_sent_twice_is_done_once_and_leads_to_the_same_place(
    visit, tickets, numbers, people, ask, who, path, fields
):
    def filled(text):
        return text.format(*tickets, colleague=people.colleague)

    sent = {
        name: [filled(each) for each in value] if isinstance(value, list) else filled(value)
        for name, value in fields.items()
    }
    browser = visit(who)
    first = press(browser, filled(path), once="k-1", **sent)
    before = written(ask)
    assert where(press(browser, filled(path), once="k-1", **sent)) == where(first)
    assert first.status_code == 303, first.text
    assert written(ask) == before
    assert browser.get(first.headers["location"]).status_code == 200


def test_the_key_of_another_form_tells_nothing_of_tickets_given_away(visit, known, numbers, ask):
    assert press(visit("lead"), "/inbound", **TALK).status_code == 303
    press(visit("lead"), "/search", q="0001")
    press(visit("lead"), "/views", view="team", name="mine")
    for row in ask("select key from idempotency_keys"):
        answer = visit("lead").get(f"/?view=team&told={row.key}")
        assert (answer.status_code, "given away" in answer.text) == (200, False)


def test_a_ticket_passed_by_twice_leads_to_the_same_next_one(visit, tickets, ask):
    agent = visit("agent")
    held = press(agent, "/next").headers["location"]
    first = press(agent, f"{held}/skip", once="k-1")
    assert where(press(agent, f"{held}/skip", once="k-1")) == where(first)
    assert first.headers["location"] not in (held, "/?none_left=1")
    assert count(ask, "ticket_skips") == 1


def test_a_task_of_a_talk_done_twice_is_done_once(visit, known, ask):
    press(visit("agent"), "/inbound", **TALK)
    task = ask("select task_id from linked_tasks")[0].task_id
    sent = [press(visit("agent"), f"/tasks/{task}", once="k-1", result="apologised") for _ in range(2)]
    assert [where(each) for each in sent] == [(303, "/search?kept=task")] * 2


def test_a_double_click_rings_once_and_a_call_not_taken_may_be_made_again(
    visit, desk_app, tickets, numbers, ask
):
    rung, is_away = [], True

    def dial(*call):
        rung.append(call)
        if is_away:
            raise LoopError("The telephone system did not take the call.")

    desk_app.state.dial = dial
    agent, address = visit("agent"), f"/tickets/{tickets[0]}/call"
    assert [press(agent, address, once="k-1").status_code for _ in range(2)] == [503, 503]
    is_away = False
    assert [where(press(agent, address, once="k-1")) for _ in range(2)] == [
        (303, f"/tickets/{tickets[0]}?dialled=1")
    ] * 2
    assert len(rung) == count(ask, "desk_uses") == 3


@pytest.mark.parametrize(
    ("path", "body"),
    [("/reveal", {}), ("/call", {}), ("/skip", {}), ("", None)],
)
def test_a_program_repeats_any_request_under_its_key(visit, tickets, numbers, ask, path, body):
    agent, key = visit("agent"), {"idempotency-key": "k-1"}
    address = f"/api/v1/tickets/{tickets[0]}{path}" if path else "/api/v1/next"
    if path == "/skip":
        assert agent.post("/api/v1/next", json={}).json() == {"ticket_id": tickets[0]}
    first = agent.post(address, json=body or {}, headers=key)
    before = written(ask)
    again = agent.post(address, json=body or {}, headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (200, first.json())
    assert written(ask) == before
    other = agent.post(f"/api/v1/tickets/{tickets[1]}/reveal", json={}, headers=key)
    assert (other.status_code, other.json()["error"]["kind"]) == (409, "key_reused")


def test_a_number_repeated_under_an_old_key_is_not_given_again(visit, tickets, numbers, clock):
    agent, key = visit("agent"), {"idempotency-key": "k-1"}
    assert agent.post(f"/api/v1/tickets/{tickets[0]}/reveal", json={}, headers=key).status_code == 200
    clock.now += timedelta(minutes=6)
    late = agent.post(f"/api/v1/tickets/{tickets[0]}/reveal", json={}, headers=key)
    assert (late.status_code, late.json()["error"]["code"]) == (409, "given_before")


def test_many_tickets_given_by_a_program_are_told_again_as_the_first_time(visit, tickets, people):
    wished = [{"ticket_id": ticket, "version": seen} for ticket, seen in ((tickets[0], 2), (tickets[1], 9))]
    body, key = {"to_staff_id": people.colleague, "tickets": wished}, {"idempotency-key": "k-1"}
    first, again = (visit("lead").post("/api/v1/reassign", json=body, headers=key).json() for _ in range(2))
    assert first == again
    assert [each["version"] for each in first["results"]] == [3, 2]
    assert first["results"][1]["why_not"]["code"] == "listed_stale"
