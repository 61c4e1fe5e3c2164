"""Outbound stopped at the desk: by leads and managers, told on every page, nothing called or taken meanwhile."""

from datetime import timedelta

import pytest

from include.desk.calls import phones
from include.desk.tickets import contacts, life_cycle, next_ticket
from include.desk.tickets.transaction import Actor
from include.domain.errors import Refused
from tests.fixtures.desk import RULES
from tests.fixtures.work import FRIDAY

NOW = FRIDAY + timedelta(hours=2)
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(autouse=True)
def at_work(clock):
    clock.now = NOW


@pytest.fixture
def stop(visit, people):
    """Somebody stops something by form."""

    def post(who="manager", scope="all", **fields):
        return visit(who).post(
            "/stops", data={"scope": scope, "because": "storm", **fields}, follow_redirects=False
        )

    return post


@pytest.fixture
def actor(desk, config, people, ask):
    def of(ticket: int, staff_id: int | None = None) -> Actor:
        ((version,),) = ask("select version from tickets where ticket_id = :id", id=ticket)
        return Actor(desk, config, staff_id or people.agent, ticket, version, NOW)

    return of


def test_everybody_is_told_on_every_page_who_stopped_what_and_why(visit, stop, tickets):
    assert stop(scope="team", team="mid_high").status_code == 303
    for who, path in (
        ("agent", "/"),
        ("agent", f"/tickets/{tickets[0]}"),
        ("lead", "/board"),
        ("lead", "/stops"),
    ):
        page = visit(who).get(path, headers={"accept-language": "en"})
        assert page.status_code == 200, path
        assert "Outbound is stopped:" in page.text, path
        assert "storm" in page.text
        assert "manager" in page.text


@pytest.mark.parametrize("use", ["reveal", "call"])
def test_no_number_is_shown_or_dialled(visit, desk_app, stop, tickets, numbers, ask, use):
    dialled = []
    desk_app.state.dial = lambda *call: dialled.append(call)
    assert stop().status_code == 303
    page = visit("agent").post(f"/tickets/{tickets[0]}/{use}", headers=FORM)
    program = visit("agent").post(f"/api/v1/tickets/{tickets[0]}/{use}", json={})
    assert (page.status_code, program.status_code) == (409, 409)
    assert program.json()["error"]["code"] == "outbound_stopped"
    assert dialled == []
    assert ask("select count(*) from desk_uses") == [(0,)]


def test_a_number_shown_just_before_is_shown_no_more(desk, config, actor, tickets, numbers, stop, people):
    use = phones.use_number(actor(tickets[0]), RULES, "reveal")
    assert phones.number_of(desk, staff_id=people.agent, use_id=use, now=NOW) is not None
    stop()
    assert phones.number_of(desk, staff_id=people.agent, use_id=use, now=NOW) is None


def test_nobody_is_given_the_next_ticket_and_nothing_is_claimed(desk, actor, tickets, people, stop, ask):
    ask("update tickets set assignee_id = null where ticket_id = :id returning 1", id=tickets[0])
    stop()
    assert next_ticket.hold_next(desk, RULES, staff_id=people.agent, now=NOW) is None
    with pytest.raises(Refused, match="Outbound is stopped"):
        life_cycle.claim(actor(tickets[0]))


def test_what_was_said_already_is_recorded_all_the_same(actor, tickets, stop):
    stop()
    contacts.record_contact(actor(tickets[0]), channel="call", result="reached")


def test_another_region_team_or_campaign_goes_on(actor, tickets, numbers, stop, ask):
    ask("update tickets set region_code = '0451' where ticket_id = :id returning 1", id=tickets[1])
    assert stop(scope="region", region="0451").status_code == 303
    assert stop(scope="team", team="vip").status_code == 303
    phones.use_number(actor(tickets[0]), RULES, "call")
    with pytest.raises(Refused, match="Outbound is stopped"):
        phones.use_number(actor(tickets[1]), RULES, "call")


def test_a_lead_stops_the_own_team_alone_and_an_agent_nothing(stop, ask):
    assert stop("lead", "team", team="mid_high").status_code == 303
    for scope, what in (("team", "vip"), ("campaign", "churn_warning"), ("all", "")):
        assert stop("lead", scope, **({scope: what} if what else {})).status_code == 409
    assert stop("agent").status_code == 403
    assert ask("select scope, what, stopped_by from outbound_stops") == [("team", "mid_high", "lead")]


def test_lifted_everything_goes_on_and_both_are_audited(visit, stop, ask, actor, tickets, numbers):
    stop()
    ((number,),) = ask("select stop_id from outbound_stops")
    assert visit("lead").post(f"/stops/{number}/lift", headers=FORM).status_code == 409
    done = visit("manager").post(f"/stops/{number}/lift", headers=FORM, follow_redirects=False)
    assert done.status_code == 303
    phones.use_number(actor(tickets[0]), RULES, "call")
    assert "Outbound is stopped:" not in visit("agent").get("/", headers={"accept-language": "en"}).text
    audited = ask("select actor, action, subject from audit_log where action like '%stop%' order by 2 desc")
    assert audited == [("manager", "stop_outbound", "all"), ("manager", "lift_stop", "all")]


def test_a_lead_lifts_what_leads_of_the_team_stopped_and_not_what_a_manager_did(visit, stop, ask):
    stop(scope="team", team="mid_high")
    ((of_manager,),) = ask("select stop_id from outbound_stops")
    assert "/lift" not in visit("lead").get("/stops").text
    assert visit("lead").post(f"/stops/{of_manager}/lift", headers=FORM).status_code == 409
    sent = {"headers": FORM, "follow_redirects": False}
    assert visit("manager").post(f"/stops/{of_manager}/lift", **sent).status_code == 303
    stop("lead", "team", team="mid_high")
    assert f"/stops/{of_manager + 1}/lift" in visit("lead").get("/stops").text
    assert visit("lead").post(f"/stops/{of_manager + 1}/lift", **sent).status_code == 303


def test_a_form_sent_twice_stops_once_and_a_slip_is_told(visit, stop, ask):
    first, second = (stop(once="the same key") for _ in range(2))
    assert (first.status_code, second.status_code) == (303, 303)
    assert ask("select count(*) from outbound_stops") == [(1,)]
    slip = stop(scope="region", region="9999")
    assert slip.status_code == 422
    assert "9999" in slip.text


def test_a_program_stops_reads_and_lifts(visit, people):
    wanted = {"scope": "team", "what": "vip", "because": "storm"}
    made = visit("manager").post("/api/v1/stops", json=wanted)
    assert made.status_code == 200
    number = made.json()["stop_id"]
    (stands,) = visit("lead").get("/api/v1/stops").json()["stops"]
    assert (stands["stop_id"], stands["what"], stands["lifted_at"]) == (number, "vip", None)
    assert visit("manager").post("/api/v1/stops", json=wanted).status_code == 409
    assert visit("manager").post(f"/api/v1/stops/{number}/lift", json={}).status_code == 200
    assert visit("agent").get("/api/v1/stops").status_code == 403


def test_a_pause_keeps_the_days_a_stop_gave_back(desk, config, db, actor, tickets, people, stop, visit, ask):
    from include.stages import sla

    contacts.record_contact(actor(tickets[0]), channel="call", result="reached")
    stop()
    ((number,),) = ask("select stop_id from outbound_stops")
    visit("manager").post(f"/stops/{number}/lift", headers=FORM)
    sla.watch(db=db, config=config, now=NOW + timedelta(minutes=15))
    life_cycle.pause(actor(tickets[0]), call_back_on=NOW.date() + timedelta(days=4))
    ((explanation,),) = ask(
        "select explanation from ticket_clocks where clock = 'plan' and ticket_id = :id", id=tickets[0]
    )
    counted = [note["day"] for note in explanation["days"] if note["counted"]]
    assert counted == ["2026-11-10", "2026-11-11", "2026-11-12"]
