"""Who calls in, over HTTP: an id typed in any way is that person, an unknown one is asked about; refusals a day."""

import re
from datetime import timedelta

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.notices.texts import digest
from include.stages import limits
from include.stages.release import release
from tests.fixtures.work import FRIDAY, fill_cycle
from tests.fixtures.writings import WRITINGS

FORM = {"content-type": "application/x-www-form-urlencoded"}
WORDS = {"channel": "call", "said": "too dear", "done": "explained"}
REFUSAL = WORDS | {"said": "call nobody!", "is_refusal": "1"}
#: Who is known from other months, without a ticket; the last two differ by case alone.
KNOWN = ("S0009", "0012", "b7-X.01", "13800000005", "用户7", "Ab", "aB")


def press(browser, address, **fields):
    return browser.post(address, data=fields, headers=FORM)


def inbound(browser, subscriber_id, **words):
    return press(browser, "/inbound", subscriber_id=subscriber_id, **WORDS | words)


def kept(ask):
    return [row[0] for row in ask("select subscriber_id from inbound_contacts order by inbound_id")]


def standing(ask, subscriber_id):
    return ask("select standing_limit(:id, :id, '2026-11-06') as kind", id=subscriber_id)[0].kind


@pytest.fixture
def known(db, tickets):
    with db.begin():
        for subscriber_id in KNOWN:
            db.execute(
                sa.text(
                    "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, month, recorded_at)"
                    " values (:id, :id, 'contacted_elsewhere', '2026-09-01', '2026-09', :now)"
                ),
                {"id": subscriber_id, "now": FRIDAY},
            )


# ---------------------------------------------------------------- typed in any way


@pytest.mark.parametrize("typed", ["S0001\u200b", "Ｓ０００１", "s0001"])
def test_a_refusal_of_somebody_with_a_ticket_bars_at_once_and_names_the_ticket(
    visit, tickets, ask, typed, clock
):
    for who in ("colleague", "stranger", "colleague"):
        clock.now += timedelta(minutes=1)
        refused = inbound(visit(who), typed, **REFUSAL)
        assert refused.status_code == 409
        assert f"has ticket {tickets[0]} in team" in refused.text
        assert "call nobody!</textarea>" in refused.text
        assert standing(ask, "S0001") == "refused"
    assert kept(ask) == []
    assert [tuple(row) for row in ask("select subscriber_id, ticket_id, awaits_lead from refusals")] == [
        ("S0001", tickets[0], False)
    ]
    told = ask("select kind, audience, ticket_id from notices")
    assert [tuple(row) for row in told] == [("refusal_heard", "assignee", tickets[0])]
    clock.now += timedelta(minutes=1)
    agent = visit("agent")  # the talk itself is recorded where it belongs
    assert (
        press(agent, f"/tickets/{tickets[0]}/do_not_call", version=2, words="told a colleague").status_code
        == 303
    )


def test_a_program_is_refused_with_the_ticket_and_the_refusal_stands(visit, tickets, ask):
    body = {"subscriber_id": "s0001\u200b", **WORDS, "is_refusal": True}
    refused = visit("agent").post("/api/v1/inbound", json=body).json()["error"]
    assert (refused["code"], refused["values"]["ticket"]) == ("talk_has_ticket", tickets[0])
    assert standing(ask, "S0001") == "refused"


def test_a_talk_that_belongs_on_a_ticket_and_refuses_nothing_leaves_nothing(visit, tickets, ask):
    assert inbound(visit("agent"), "S0001").status_code == 409
    for table in ("refusals", "inbound_contacts", "notices", "idempotency_keys"):
        assert ask(f"select count(*) from {table}")[0][0] == 0


@settings(
    max_examples=60, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(
    subscriber_id=st.sampled_from(KNOWN),
    writing=st.sampled_from(sorted(WRITINGS)),
    is_swapped=st.booleans(),
    is_form=st.booleans(),
    nth=st.integers(0, 10**9),
)
def test_however_an_id_is_written_it_is_that_subscriber(
    visit, known, ask, subscriber_id, writing, is_swapped, is_form, nth
):
    typed = subscriber_id.swapcase() if is_swapped else subscriber_id
    expected = typed if typed in KNOWN else subscriber_id
    written, said = WRITINGS[writing](typed), f"question {nth} {writing} {is_swapped}"
    if is_form:
        answer = inbound(visit("agent"), written, said=said)
        assert answer.status_code == 303, (written, answer.text)
    else:
        body = {"subscriber_id": written, **WORDS, "said": said}
        answer = visit("agent").post("/api/v1/inbound", json=body)
        assert answer.status_code == 200, (written, answer.text)
    assert kept(ask)[-1] == expected


@pytest.mark.parametrize("writing", sorted(WRITINGS))
def test_however_it_is_written_a_search_finds_it(visit, tickets, numbers, writing):
    write, mine = WRITINGS[writing], tickets[0]
    for typed in ("S0001", "s0001", numbers[mine], f"#{mine}", str(mine)):
        answer = press(visit("agent"), "/search", q=write(typed))
        assert (answer.status_code, answer.headers.get("location")) == (303, f"/tickets/{mine}"), write(typed)
        found = visit("agent").post("/api/v1/search", json={"q": write(typed)}).json()["tickets"]
        assert [each["ticket_id"] for each in found] == [mine]
    end = press(visit("agent"), "/search", q=WRITINGS["full width"](numbers[mine][-4:]))
    assert end.headers["location"] == f"/tickets/{mine}"


def test_several_tickets_found_stand_at_an_address_without_what_was_searched_for(
    visit, tickets, numbers, ask
):
    ask("update ticket_phones set msisdn = '13911110001' where ticket_id = :id returning 1", id=tickets[1])
    sent = press(visit("agent"), "/search", q="0001")
    assert sent.headers["location"] == f"/search?tickets={tickets[1]},{tickets[0]}"
    shown = visit("agent").get(sent.headers["location"]).text
    assert all(f'href="/tickets/{ticket}"' in shown for ticket in tickets[:2])
    others = visit("stranger").get(sent.headers["location"]).text
    assert "/tickets/" not in others


def test_a_ticket_to_merge_into_may_be_written_in_any_way(visit, tickets, ask):
    typed = {"reason": "new id", "has_changed_customer": "1", "version": "2"}
    full = WRITINGS["full width"](f"#{tickets[1]}/2")
    assert press(visit("lead"), f"/tickets/{tickets[0]}/merge", into=full, **typed).status_code == 303
    assert ask("select merged_into from tickets where ticket_id = :id", id=tickets[0])[0][0] == tickets[1]


def test_a_number_whose_digits_are_lost_is_told_and_finds_nobody(visit, tickets, ask):
    for answer in (
        inbound(visit("agent"), "1.38E+10"),
        press(visit("agent"), "/search", q="1.38E+10"),
        visit("agent").post("/api/v1/search", json={"q": "1.38E+10"}),
    ):
        assert (answer.status_code, "scientific notation" in answer.text) == (422, True)
    assert inbound(visit("agent"), "\u200b").status_code == 422
    assert kept(ask) == []


# ---------------------------------------------------------------- nobody known


def test_an_unknown_id_is_asked_about_and_kept_by_one_click(visit, tickets, ask):
    agent = visit("agent")
    asked = inbound(agent, " ｎ９９\u200b", **REFUSAL)
    assert asked.status_code == 409
    assert "The desk knows nobody with the id &#39;n99&#39;" in asked.text
    assert kept(ask) == [] and ask("select 1 from refusals") == []
    fields = dict(
        re.findall(
            r'<(?:input|button)[^>]*name="(subscriber_id|confirmed_id)"[^>]*value="([^"]*)"', asked.text
        )
    )
    # what was typed since then is another id, and asked about again
    assert inbound(agent, "N98", **REFUSAL, confirmed_id=fields["confirmed_id"]).status_code == 409
    done = inbound(agent, fields["subscriber_id"], **REFUSAL, confirmed_id=fields["confirmed_id"])
    assert done.status_code == 303, done.text
    assert kept(ask) == ["n99"]
    assert standing(ask, "n99") == "refused"
    assert inbound(agent, "N99", said="again").status_code == 303  # known by now, in any case
    assert kept(ask) == ["n99", "n99"]


def test_a_program_confirms_an_unknown_id_by_a_field(visit, tickets, ask):
    talk = {"subscriber_id": "N99", **WORDS}
    asked = visit("agent").post("/api/v1/inbound", json=talk)
    assert (asked.status_code, asked.json()["error"]["code"]) == (409, "unknown_subscriber")
    assert (
        visit("agent").post("/api/v1/inbound", json=talk | {"is_unknown_confirmed": True}).status_code == 200
    )
    assert kept(ask) == ["N99"]


def test_an_id_that_two_have_but_for_its_case_is_asked_about(visit, known, ask):
    for confirmed in ({}, {"confirmed_id": "AB"}):
        refused = inbound(visit("agent"), "AB", **REFUSAL, **confirmed)
        assert refused.status_code == 409
        assert "2 known ids are &#39;AB&#39; but for small and capital letters" in refused.text
    assert ask("select 1 from refusals") == []
    assert inbound(visit("agent"), "aB").status_code == 303
    assert kept(ask) == ["aB"]


def test_a_refusal_of_an_unknown_id_bars_as_soon_as_the_id_appears(visit, people, db, config, ask):
    assert inbound(visit("agent"), "S0001", **REFUSAL, confirmed_id="S0001").status_code == 303
    fill_cycle(db, 2)
    release(db=db, config=config, now=FRIDAY)
    assert [tuple(row) for row in ask("select subscriber_id, state from tickets order by 1")] == [
        ("S0001", "waiting"),
        ("S0002", "assigned"),
    ]


# ---------------------------------------------------------------- how many a day


@pytest.fixture
def others(visit, desk_app, people, db):
    """Four waiting tickets of the team vip, whose lead is the lead; two refusals a day end tickets of other teams."""
    few = desk_app.state.rules.limits_per_day.model_copy(update={"refusal": 2})
    desk_app.state.rules = desk_app.state.rules.model_copy(update={"limits_per_day": few})
    with db.begin():
        db.execute(sa.text("update staff set team = 'vip' where staff_code = 'lead'"))
    return fill_cycle(db, 4, team="vip")


def states(ask):
    return [row.state for row in ask("select state from tickets order by ticket_id")]


def refuse_all(browser):
    for nth in range(1, 5):
        assert inbound(browser, f"S000{nth}", **REFUSAL).status_code == 303


def test_beyond_the_days_limit_tickets_of_other_teams_wait_for_their_lead_barred_and_told(
    visit, others, db, config, ask, clock
):
    refuse_all(visit("agent"))
    assert states(ask) == ["cancelled", "cancelled", "waiting", "waiting"]
    assert {standing(ask, f"S000{nth}") for nth in range(1, 5)} == {"refused"}
    release(db=db, config=config, now=FRIDAY + timedelta(hours=1))
    assert states(ask)[2:] == ["waiting", "waiting"]
    told = ask(
        "select kind, audience, ticket_id, details ->> 'person' as person from notices order by notice_id"
    )
    assert [tuple(row) for row in told] == [
        (kind, "lead", ticket, "agent")
        for kind, ticket in zip(["ended_by_refusal"] * 2 + ["refusal_waits"] * 2, others, strict=True)
    ]
    audited = ask("select actor, action, details from audit_log order by audit_id")
    assert [(row.actor, row.action) for row in audited] == [("agent", "inbound_refusal")] * 4
    assert [row.details for row in audited] == [
        {"ended": [ticket], "waiting": []} if nth < 2 else {"ended": [], "waiting": [ticket]}
        for nth, ticket in enumerate(others)
    ]
    clock.now += timedelta(days=1)  # said again, it still waits; what is said tomorrow counts anew
    assert inbound(visit("agent"), "S0003", **REFUSAL).status_code == 303
    assert states(ask)[2:] == ["waiting", "waiting"]


def test_the_morning_leaves_to_the_lead_what_waits_for_the_lead(visit, others, db, lake, config, ask):
    refuse_all(visit("agent"))
    for _ in range(2):
        limits.process(db=db, lake=lake, config=config, now=FRIDAY + timedelta(hours=1))
        assert states(ask) == ["cancelled"] * 2 + ["waiting"] * 2
    waiting = visit("lead").get("/api/v1/refusals").json()["refusals"][0]["refusal_id"]
    visit("lead").post(f"/api/v1/refusals/{waiting}", json={"is_confirmed": True})
    limits.process(db=db, lake=lake, config=config, now=FRIDAY + timedelta(hours=2))
    assert states(ask) == ["cancelled"] * 3 + ["waiting"]


def test_refusals_that_end_no_ticket_of_another_team_are_not_counted(visit, others, db, ask):
    with db.begin():
        db.execute(sa.text("update tickets set team = 'mid_high'"))
    refuse_all(visit("agent"))
    assert states(ask) == ["cancelled"] * 4
    assert ask("select 1 from desk_uses") == []


def test_a_lead_confirms_or_withdraws_what_waits_by_one_click(visit, others, db, config, ask):
    refuse_all(visit("agent"))
    lead = visit("lead")
    shown = lead.get("/search").text
    first, second = (int(each) for each in re.findall(r'action="/refusals/(\d+)"', shown))
    assert "call nobody!" in shown and f'href="/tickets/{others[2]}"' in shown
    assert 'action="/refusals/' not in visit("agent").get("/search").text
    assert f'action="/refusals/{first}"' in lead.get(f"/tickets/{others[2]}").text
    sent = [press(lead, f"/refusals/{first}", decision="confirm", once="k") for _ in range(2)]
    assert [each.headers["location"] for each in sent] == ["/search?kept=refusal"] * 2
    assert press(lead, f"/refusals/{second}", decision="withdraw").status_code == 303
    assert states(ask) == ["cancelled"] * 3 + ["waiting"]
    assert standing(ask, "S0004") is None
    assert 'action="/refusals/' not in lead.get("/search").text
    assert press(lead, f"/refusals/{second}", decision="confirm").status_code == 409
    release(db=db, config=config, now=FRIDAY + timedelta(hours=1))
    assert states(ask)[3] == "assigned"
    decided = ask(
        "select actor, action, details ->> 'heard_by' as heard_by from audit_log order by audit_id"
    )[4:]
    assert [tuple(row) for row in decided] == [
        ("lead", "refusal_confirmed", "agent"),
        ("lead", "refusal_withdrawn", "agent"),
    ]


def test_programs_of_a_lead_decide_what_waits_and_nobody_elses_do(visit, others, db, ask):
    refuse_all(visit("agent"))
    waiting = visit("lead").get("/api/v1/refusals").json()["refusals"]
    assert [each["ticket_ids"] for each in waiting] == [[others[2]], [others[3]]]
    address, confirm = f"/api/v1/refusals/{waiting[0]['refusal_id']}", {"is_confirmed": True}
    assert visit("agent").post(address, json=confirm).status_code == 403
    with db.begin():
        db.execute(sa.text("update staff set team = 'mid_high' where staff_code = 'lead'"))
    assert visit("lead").get("/api/v1/refusals").json() == {"refusals": []}
    refused = visit("lead").post(address, json=confirm)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "refusal_decided")
    done = visit("manager").post(address, json=confirm)
    assert (done.status_code, done.json()["ticket_ids"]) == (200, [others[2]])
    assert states(ask)[2:] == ["cancelled", "waiting"]


def test_a_manager_does_not_confirm_what_the_manager_heard(visit, others, people, ask):
    refuse_all(visit("agent"))
    ask("update refusals set staff_id = :id returning 1", id=people.manager)
    refusal = ask("select refusal_id from refusals where awaits_lead")[0].refusal_id
    refused = visit("manager").post(f"/api/v1/refusals/{refusal}", json={"is_confirmed": True})
    assert refused.json()["error"]["code"] == "refusal_decided"


def test_what_somebody_else_heard_too_waits_for_nobody_and_is_no_mistake(visit, others, desk_app, ask, clock):
    refuse_all(visit("agent"))
    waiting = [row.refusal_id for row in ask("select refusal_id from refusals where awaits_lead order by 1")]
    clock.now += timedelta(hours=2)
    for subscriber in ("S0001", "S0002"):  # known already: costs the colleague nothing of the day
        assert inbound(visit("colleague"), subscriber, **REFUSAL).status_code == 303
    assert inbound(visit("colleague"), "S0003", **REFUSAL).status_code == 303
    assert states(ask) == ["cancelled"] * 3 + ["waiting"]
    few = desk_app.state.rules.limits_per_day.model_copy(
        update={"refusal": 1}
    )  # now the colleague's day is full, too
    desk_app.state.rules = desk_app.state.rules.model_copy(update={"limits_per_day": few})
    assert inbound(visit("colleague"), "S0004", **REFUSAL).status_code == 303
    assert states(ask)[3] == "waiting"
    refused = visit("lead").post(f"/api/v1/refusals/{waiting[1]}", json={"is_confirmed": False})
    assert refused.json()["error"]["code"] == "refusal_decided"
    assert standing(ask, "S0004") == "refused"


def test_a_caller_passed_on_to_a_ticket_costs_nothing_of_the_days_refusals(visit, tickets, ask):
    assert inbound(visit("stranger"), "S0001", **REFUSAL).status_code == 409
    assert ask("select 1 from desk_uses where kind = 'refusal'") == []


def test_a_do_not_call_by_who_works_with_the_customer_leaves_nothing_to_decide(visit, others, ask, clock):
    refuse_all(visit("agent"))
    clock.now += timedelta(hours=1)
    lead = visit("lead")
    done = press(lead, f"/tickets/{others[2]}/do_not_call", version=1, words="confirmed by telephone")
    assert done.status_code == 303, done.text
    assert [tuple(row) for row in ask("select subscriber_id, awaits_lead from refusals order by 1")][2] == (
        "S0003",
        False,
    )


def test_what_leads_are_told_of_refusals_names_ticket_and_person(config):
    from include.config.readers.notices import load_notices
    from tests.conftest import ROOT

    notices = load_notices(ROOT / "include" / "config")
    for kind in ("refusal_heard", "ended_by_refusal", "refusal_waits"):
        row = {"kind": kind, "ticket_id": 7, "details": {"person": "王芳"}, "name": "li.na"}
        _, body = digest(notices, "staff", [row], ("zh", "en"))
        assert body.count("7") == body.count("王芳") == 2
