"""The ticket page over HTTP: what it shows, what its forms do, what a refusal keeps."""

import json
from datetime import timedelta

import pytest
import sqlalchemy as sa

from include.words import named_in, words_in


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


def state_of(db, ticket_id):
    with db.begin():
        return db.execute(
            sa.text("select state, assignee_id, version from tickets where ticket_id = :id"),
            {"id": ticket_id},
        ).one()


def test_every_form_of_an_agent_writes_and_comes_back_to_the_ticket(submit, tickets, db, clock, people):
    mine = tickets[0]
    for form, fields in (
        ("contact", {"channel": "call", "result": "call_back", "call_back_at": "2026-11-06T16:00"}),
        ("open_task", {"unit": "network", "words": "no signal"}),
        ("pause", {"call_back_on": "2026-11-09"}),
        ("resume", {}),
        ("hand_back", {"reason": "wrong language"}),
        ("claim", {}),
        ("do_not_call", {"words": "leave me alone"}),
    ):
        clock.now += timedelta(minutes=5)
        answer = submit("agent", mine, form, **fields)
        assert (form, answer.status_code) == (form, 303), answer.text
        assert f"desk_done={mine}-{form}" in answer.headers["set-cookie"]
    assert tuple(state_of(db, mine))[:2] == ("cancelled", people.agent)


def test_a_task_is_finished_and_a_lead_reassigns_cancels_reopens(submit, tickets, db, people, ask):
    submit("agent", tickets[0], "contact", channel="call", result="reached")
    submit("agent", tickets[0], "open_task", unit="network", words="no signal")
    task = ask("select task_id from linked_tasks")[0].task_id
    assert submit("agent", tickets[0], "finish_task", task_id=task, result="mast mended").status_code == 303
    assert submit("lead", tickets[0], "reassign", to_staff_id=people.colleague).status_code == 303
    assert submit("lead", tickets[1], "cancel", reason="gone").status_code == 303
    assert submit("lead", tickets[1], "reopen", reason="came back").status_code == 409
    assert (state_of(db, tickets[0]).assignee_id, state_of(db, tickets[1]).state) == (
        people.colleague,
        "cancelled",
    )


def test_a_lead_merges_two_tickets_of_one_customer(submit, tickets, db, ask):
    refused = submit("lead", tickets[0], "merge", into=tickets[1], reason="one family")
    assert refused.status_code == 409
    assert "one family" in refused.text
    both = {"into": f"{tickets[1]}/{state_of(db, tickets[1]).version}", "has_changed_customer": "1"}
    assert submit("lead", tickets[0], "merge", reason="new id", **both).status_code == 303
    assert (
        ask("select merged_into from tickets where ticket_id = :id", id=tickets[0])[0].merged_into
        == tickets[1]
    )


@pytest.mark.parametrize("form", ["reassign", "cancel", "reopen", "merge"])
def test_what_is_a_leads_is_refused_to_an_agent(submit, tickets, db, form):
    before = state_of(db, tickets[0])
    assert submit("agent", tickets[0], form, reason="x", into=tickets[1], to_staff_id=1).status_code == 403
    assert state_of(db, tickets[0]) == before


def test_a_stale_write_keeps_what_was_typed_and_shows_what_changed(visit, submit, tickets, db):
    seen = version_of(db, tickets[0])
    assert submit("lead", tickets[0], "open_task", unit="network", words="first").status_code == 303
    answer = visit("agent").post(
        f"/tickets/{tickets[0]}/contact",
        data={"version": seen, "channel": "visit", "result": "reached", "note": "said <i>no</i>"},
    )
    assert answer.status_code == 409
    assert "was changed meanwhile" in answer.text
    assert "What happened since you opened it" in answer.text
    assert "lead · Task for another unit" in answer.text
    assert "said &lt;i&gt;no&lt;/i&gt;</textarea>" in answer.text
    assert 'value="visit" checked' in answer.text
    assert f'name="version" value="{version_of(db, tickets[0])}"' in answer.text  # sending again then works


@pytest.mark.parametrize(
    ("form", "fields", "told"),
    [
        ("contact", {"channel": "call"}, "'Result' is empty"),
        ("contact", {"channel": "call", "result": "call_back"}, "give the instant promised"),
        ("contact", {"channel": "call", "result": "call_back", "call_back_at": "soon"}, "not a time"),
        ("contact", {"channel": "call", "result": "reached", "note": "x" * 2001}, "longer than 2000"),
        ("survey", {"needs": "price"}, "must be"),
        ("close", {"outcome": "retained/accepted_offer", "satisfaction": "many"}, "not a whole number"),
        ("pause", {}, "promised call-back date"),
        ("hand_back", {"reason": " "}, "'Why' is empty"),
        ("plan", {"offer": "nothing/of_that"}, "is not a strategy"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(submit, tickets, db, form, fields, told):
    before = state_of(db, tickets[0])
    answer = submit("agent", tickets[0], form, **fields)
    assert answer.status_code in (409, 422)
    assert told.replace("'", "&#39;") in answer.text
    assert state_of(db, tickets[0]) == before


def test_a_text_as_long_as_the_browser_lets_it_be_is_taken_with_its_lines(submit, tickets, ask):
    note = "\r\n".join(["x" * 9] * 200)
    assert (
        submit("agent", tickets[0], "contact", channel="call", result="reached", note=note).status_code == 303
    )
    assert len(ask("select note from contact_attempts")[0].note) == 1999


def test_a_form_without_its_version_is_not_taken(visit, tickets, db):
    before = state_of(db, tickets[0])
    assert visit("agent").post(f"/tickets/{tickets[0]}/claim", data={"x": "1"}).status_code == 422
    assert state_of(db, tickets[0]) == before


def test_a_refusal_is_told_in_the_language_of_the_reader(visit, tickets, db):
    typed = {"version": version_of(db, tickets[0]), "outcome": "retained/accepted_offer"}
    refused = visit("agent", "zh").post(f"/tickets/{tickets[0]}/close", data=typed)
    assert refused.status_code == 409
    assert "状态为“已下发”的工单不能关闭，须为处理中或已暂停。请先登记一次联系。" in refused.text
    away = visit("agent", "zh").get("/", params={"view": "escalated"})
    assert "“escalated”不是您的视图。可选：我的、团队、未认领、已暂停、已结束。" in away.text
    unread = visit("agent", "zh").get("/tickets/x")
    assert unread.status_code == 422
    assert "不是整数" in unread.text
    no_board = visit("agent", "zh").get("/board")
    assert "没有“Retention Board”权限" in no_board.text


@pytest.mark.parametrize("who", ["colleague", "stranger"])
def test_the_ticket_of_somebody_else_does_not_exist(visit, submit, tickets, who):
    assert visit(who).get(f"/tickets/{tickets[0]}").status_code == 404
    assert submit(who, tickets[0], "claim").status_code == 404
    assert visit(who).get("/tickets/99999999").status_code == 404


EVIDENCE = """
{"as_of": "2026-11-05T06:00:00+08:00", "month": "2026-10",
 "subscriber": {"plan_code": "P88", "plan_fee_yuan": 88.0, "tenure_months": 30},
 "profile": {"plan_data_mb": 10240, "days_to_contract_end": 40},
 "factors": {"complaints_3m": 3},
 "human_reasons": [
   {"reason": "price", "zh": "资费", "en": "Price <above> peers", "contribution": 0.8, "evidence": 1.0,
    "is_symptom": false},
   {"reason": "network", "zh": "网络", "en": "Network fine", "contribution": -0.2, "evidence": 0.0,
    "is_symptom": false}],
 "reasons": [{"factor": "bill_change_3m", "zh": "账单变化", "en": "Bill change", "value": -0.31, "contribution": 0.4}],
 "rules": [{"rule": "r", "zh": "投诉", "en": "Repeated complaints"}],
 "history": {"months": [], "data_mb": [null, 900, 800, 700, 600, 5120], "bill_yuan": [88, 90, 87, 88, 88, 131.5]},
 "open_faults": [{"day": "2026-10-20", "product": "broadband", "category": "slow <b>line</b>"}],
 "other_numbers": [{"plan_code": "P19", "plan_fee_yuan": 19.0, "status": "suspended"}],
 "strategy": {"chosen": {"strategy": "plan_discount", "offer": "discount_3_months", "cost_yuan": "60"},
              "runner_up": {"strategy": "gone", "offer": "gone", "cost_yuan": "1"}}}
"""


def test_the_ticket_tells_who_why_and_what_from_the_frozen_evidence(visit, tickets, ask):
    ask(
        "update assignments set evidence = cast(:evidence as jsonb) where assignment_id ="
        " (select assignment_id from tickets where ticket_id = :id) returning 1",
        evidence=EVIDENCE, id=tickets[0],
    )  # fmt: skip
    shown = visit("agent").get(f"/tickets/{tickets[0]}").text
    for told in (
        "of working time left",
        "Price &lt;above&gt; peers", "Bill change", "−31 %", "Repeated complaints", "P88", "50 %", "2026-12-15",
        "<svg", "Tariff discount", "runner-up", "may be said", "<dt>Last bill (yuan)</dt><dd>131.5",
        "2026-10-20 · Broadband · slow &lt;b&gt;line&lt;/b&gt;", "P19 · ¥19.00 · suspended",
    ):  # fmt: skip
        assert told in shown, told
    assert "Network fine" not in shown
    assert "Price &lt;above&gt; peers" in visit("agent").get("/").text
    assert "资费" in visit("agent", "zh").get(f"/tickets/{tickets[0]}").text


def choices(config):
    """Every column of a feed whose words an operator may add to."""
    return sorted(
        {
            column
            for feed in config.sources.feeds.values()
            for column, told in feed.columns.items()
            if told.type == "choice"
        }
    )


@pytest.mark.parametrize("language", ["zh", "en"])
def test_a_word_nobody_translated_is_shown_as_it_came(visit, tickets, ask, config, language):
    new = {name: f"new-{name}" for name in choices(config)}
    evidence = {
        "as_of": "2026-11-05T06:00:00+08:00",
        "subscriber": {**new, "cluster": "new-cluster", "new_fact": 3},
        "profile": new,
        "history": {"months": [], "new_metric": [1, 2, 3, 4, 5, 6]},
        "open_faults": [{"day": "2026-10-20", **new}],
        "other_numbers": [{"plan_code": "P19", **new}],
    }
    ask(
        "update assignments set evidence = cast(:evidence as jsonb) where assignment_id ="
        " (select assignment_id from tickets where ticket_id = :id) returning 1",
        evidence=json.dumps(evidence), id=tickets[0],
    )  # fmt: skip
    answer = visit("agent", language).get(f"/tickets/{tickets[0]}")
    assert answer.status_code == 200
    told = (*new.values(), "new-cluster", "new_fact", "new_metric")
    assert [each for each in told if each not in answer.text] == []
    assert "2026-10-20 · new-product" in answer.text and "P19 · new-status" in answer.text


def test_a_word_of_the_desk_itself_that_nobody_wrote_still_fails():
    with pytest.raises(KeyError):
        words_in("en")("states.asleep")
    assert named_in("zh")("products", "mobile") == "移动"


def test_the_customers_other_tickets_and_contacts_are_shown(visit, submit, tickets, ask):
    submit("agent", tickets[1], "contact", channel="sms", result="no_answer", note="wrote twice")
    ask(
        "update tickets set beside = true, campaign = case ticket_id when :second then 'other' else campaign end,"
        " customer_key = (select customer_key from tickets where ticket_id = :first)"
        " where ticket_id in (:first, :second) returning 1",
        first=tickets[0], second=tickets[1],
    )  # fmt: skip
    shown = visit("agent").get(f"/tickets/{tickets[0]}").text
    assert f'href="/tickets/{tickets[1]}"' in shown
    assert "wrote twice" in shown


def test_a_frozen_ticket_says_so_and_why(visit, tickets, ask):
    ask(
        "update tickets set frozen_at = dispatched_at, frozen_because = 'port_out_applied'"
        " where ticket_id = :id returning 1",
        id=tickets[0],
    )
    assert "has applied to port out" in visit("agent").get(f"/tickets/{tickets[0]}").text
    assert "携号转网" in visit("agent", "zh").get(f"/tickets/{tickets[0]}").text
