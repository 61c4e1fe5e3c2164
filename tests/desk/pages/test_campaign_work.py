"""A ticket of another campaign over HTTP: its page, forms and API are drawn from that campaign's file."""

import json
import re
from datetime import timedelta

import pytest

from include.config import Config
from tests.fixtures.renewal import RENEWAL, with_renewal
from tests.fixtures.work import FRIDAY

API = "/api/v1/tickets"


@pytest.fixture(scope="session")
def config(config: Config) -> Config:
    return with_renewal(config)


@pytest.fixture
def renewal(config, tickets, ask) -> int:
    """The agent's first ticket as one of the second campaign, whose cycle was opened with its file."""
    values = {"texts": json.dumps(config.texts), "now": FRIDAY, "campaign": RENEWAL, "id": tickets[0]}
    for statement in (
        "insert into configurations values ('renewal', cast(:texts as jsonb), :now) returning 1",
        "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at)"
        " values (:campaign, '2026-10', '2026-10', :now, 'renewal', :now) returning 1",
        "update tickets set campaign = :campaign, grade = null where ticket_id = :id returning 1",
        "update ticket_clocks set clock = 'talk', stops = 'reached'"
        " where ticket_id = :id and clock = 'plan' returning 1",
    ):
        ask(statement, **{name: values[name] for name in re.findall(r":(\w+)", statement)})
    return tickets[0]


@pytest.fixture
def submit(visit, ask):
    def send(who, ticket_id, form, **fields):
        ((version,),) = ask("select version from tickets where ticket_id = :id", id=ticket_id)
        return visit(who).post(f"/tickets/{ticket_id}/{form}", data={"version": version, **fields})

    return send


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            ("Renewal", "First talk", "contract nearly over", "roaming", "Terms read out", "Thinks it over"),
        ),
        ("zh", ("合约续签", "首次通话", "合约快到期", "漫游", "已宣读条款", "再想想")),
    ],
)
def test_the_page_has_the_words_of_the_tickets_campaign(visit, submit, renewal, language, words):
    assert submit("agent", renewal, "contact", channel="call", result="reached").status_code == 303
    shown = visit("agent", language).get(f"/tickets/{renewal}").text
    assert [each for each in words if each not in shown] == []
    for foreign in ("Retained", "已挽留", 'name="needs" value="network"', 'class="badge grade-'):
        assert foreign not in shown, foreign


def test_a_renewal_is_worked_from_contact_to_close_by_forms(visit, submit, renewal, clock, ask):
    for form, fields in (
        ("contact", {"channel": "call", "result": "reached"}),
        ("survey", {"needs": ["roaming", "contract_end"]}),
        ("check", {"items": ["terms_read"]}),
        ("check", {"items": ["identity_seen"]}),
        ("close", {"outcome": "renewed"}),
    ):
        clock.now += timedelta(minutes=5)
        answer = submit("agent", renewal, form, **fields)
        assert (form, answer.status_code) == (form, 303), answer.text
    shown = visit("agent").get(f"/tickets/{renewal}").text
    assert "Renewed" in shown and "Checklist: Identity seen" in shown and "contract nearly over" in shown
    assert ask("select outcome, is_willing from tickets where ticket_id = :id", id=renewal) == [
        ("renewed", True)
    ]


def test_a_refused_tick_keeps_what_was_typed_and_is_told_in_the_readers_language(visit, submit, renewal):
    submit("agent", renewal, "contact", channel="call", result="reached")
    assert submit("agent", renewal, "close", outcome="renewed").status_code == 409
    answer = visit("agent", "zh").post(
        f"/tickets/{renewal}/check", data={"version": 3, "items": ["terms_read", "shoe_size"]}
    )
    assert answer.status_code == 422
    assert "核对清单须勾选以下一项或多项：已宣读条款、已核验身份；收到：shoe_size" in answer.text
    assert re.search(r'value="terms_read" checked>', answer.text)


def test_a_renewal_is_worked_by_the_api_and_answers_with_its_own_clocks_and_checks(visit, renewal, clock):
    version = 2
    for action, body in (
        ("contact", {"channel": "call", "result": "reached"}),
        ("check", {"items": ["terms_read", "identity_seen"]}),
        ("close", {"outcome": "renewed"}),
    ):
        clock.now += timedelta(minutes=5)
        answer = visit("agent").post(f"{API}/{renewal}/{action}", json={"version": version, **body})
        assert (action, answer.status_code) == (action, 200), answer.text
        version += 1
    ticket = visit("agent").get(f"{API}/{renewal}").json()
    assert {each["item"] for each in ticket["checks"]} == {"terms_read", "identity_seen"}
    assert {(each["clock"], each["stops"]) for each in ticket["clocks"]} == {
        ("first_contact", "contact"), ("talk", "reached"),
    }  # fmt: skip
    refused = visit("agent").post(f"{API}/{renewal}/survey", json={"version": version, "needs": ["network"]})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("who", "status"),
    [
        ("lead", 303),
        ("manager", 403),
        ("colleague", 404),
        ("stranger", 404),
        ("visitor", 403),
        ("operator", 403),
    ],
)
def test_a_checklist_is_ticked_by_agent_and_lead(submit, renewal, ask, who, status):
    submit("agent", renewal, "contact", channel="call", result="reached")
    answer = submit(who, renewal, "check", items=["terms_read"])
    assert answer.status_code == status
    assert len(ask("select * from ticket_checks")) == (status == 303)


def test_the_customers_other_campaigns_stand_on_the_page_with_their_endings(
    visit, submit, renewal, tickets, ask
):
    submit("agent", renewal, "contact", channel="call", result="reached")
    submit("agent", renewal, "check", items=["terms_read", "identity_seen"])
    submit("agent", renewal, "close", outcome="renewed")
    one_customer = (
        "update tickets set customer_key = (select customer_key from tickets where ticket_id = :of)"
        " where ticket_id = :id returning 1"
    )
    ask(one_customer, of=renewal, id=tickets[1])
    shown = " ".join(visit("agent").get(f"/tickets/{tickets[1]}").text.split())
    assert re.search(rf"#{renewal}</a> \S+ · Renewal 2026-10 · Closed: Renewed · 11-06 ", shown)
    back = " ".join(visit("agent").get(f"/tickets/{renewal}").text.split())
    assert re.search(rf"#{tickets[1]}</a> \S+ · Churn warning 2026-10 · Assigned </li>", back)
    assert f"#{renewal}</a>" not in visit("colleague").get(f"/tickets/{tickets[2]}").text


def test_a_ticket_whose_campaign_is_broken_is_shown_and_worked_all_the_same(
    visit, submit, renewal, tickets, desk_app, config
):
    desk_app.state.config = with_renewal(config, "nonsense")
    assert submit("agent", renewal, "contact", channel="call", result="reached").status_code == 303
    answer = visit("agent").get(f"/tickets/{renewal}")
    assert answer.status_code == 200 and "Terms read out" in answer.text and "Renewal" in answer.text
    assert submit("agent", renewal, "check", items=["terms_read", "identity_seen"]).status_code == 303
    assert submit("agent", renewal, "close", outcome="renewed").status_code == 303


def test_words_that_no_file_has_any_more_show_as_they_came(visit, renewal, ask):
    ask(
        "update ticket_clocks set clock = 'old_clock' where ticket_id = :id and clock = 'talk' returning 1",
        id=renewal,
    )
    ask(
        "insert into ticket_checks select :id, 'old_item', :now, staff_id from staff where staff_code = 'agent'"
        " returning 1",
        id=renewal, now=FRIDAY,
    )  # fmt: skip
    shown = visit("agent").get(f"/tickets/{renewal}").text
    assert "old_clock: <strong>" in shown and "Checklist: old_item" in shown
