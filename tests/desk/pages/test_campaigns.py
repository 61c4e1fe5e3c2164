"""Two campaigns and a shadow at one desk: the queue, the search and the board tell them apart and together."""

import csv
import io
import re
from datetime import timedelta
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from include.config import config_from, load_config
from include.desk.tickets import contacts
from include.desk.tickets.transaction import Actor
from include.settings import ROOT
from include.stages.release import release
from tests.fixtures.work import FRIDAY, fill_cycle

RENEWAL = """\
zh: 合约续签
en: Renewal
kind: service
measure: {because: everybody is called}
model: none
horizon_months: 3
approval: {tickets: 100, share_warned_times: 2.0}
splits: [channel_code]
routing: {by: manager, shared_by: seller}
clocks:
  first_contact: {zh: 首次联系, en: First contact, stops: contact}
  plan: {zh: 续约方案, en: Renewal plan, days: 5, stops: plan}
rates:
  willing: {zh: 愿续约, en: Will renew}
outcomes:
  renewed: {zh: 已续签, en: Renewed, is_reached: true, is_willing: true}
  thinking: {zh: 再想想, en: Thinks it over, is_reached: true}
  away: {zh: 未接通, en: Not there, is_reached: false}
"""
SIGNALS = """\
zh: 每日信号
en: Signals
shadow: true
measure: {because: a shadow}
model: none
horizon_days: 7
approval: {tickets: 100, share_warned_times: 2.0}
"""


@pytest.fixture(scope="session")
def config():
    """The project's own campaign, a renewal in another's words, and daily signals that are but a shadow."""
    texts = load_config(ROOT / "include" / "config").texts
    own = {file: text for file, text in texts.items() if "campaigns/" not in file or "churn_warning" in file}
    more = {"campaigns/monthly/renewal.yaml": RENEWAL, "campaigns/daily/signals.yaml": SIGNALS}
    found = config_from(own | more)
    assert not found.broken
    return found


#: Tickets 5 and 6 of the warning become the renewal's, one of them ungraded; a shadow decides without acting.
_RENEWED = (
    "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at, fixed_at, fixed_facts, horizon_ends_at,"
    " known_on) select 'renewal', cycle, month, as_of, config_hash, opened_at, :now, '{}', '2027-02-01 00:00+08',"
    " '2027-02-05' from cycles"
    " where campaign = 'churn_warning' and cycle = '2026-10'",
    "update cycles set measure = 'churn_warning', horizon_ends_at = '2026-12-01 00:00+08', fixed_at = :now,"
    " known_on = '2026-12-05', fixed_facts = '{}', dispatch_summary = '{\"scored\": 990}'"
    " where campaign = 'churn_warning'",
    "update assignments set campaign = 'renewal', measure = null, probability_of_assignment = 1,"
    " evidence = jsonb_build_object('splits', jsonb_build_object('channel_code', case rank when 5 then 'shop' end))"
    " where rank > 4",
    "update tickets set campaign = 'renewal', branch_code = 'B1', shared_by = 'agent', led_by = 'unknown-7',"
    " grade = case when rank = 6 then null else grade end where rank > 4",
    "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at, cadence, is_shadow)"
    " select 'signals', day, '2026-10', as_of, config_hash, opened_at, 'daily', true from cycles"
    " cross join (values ('2026-11-05'), ('2026-11-06')) as v (day) where campaign = 'renewal'",
    "insert into dispatch_decisions (campaign, cycle, subscriber_id, customer_key, rank, decision, reason, decided_at,"
    " team, yields_to)"
    " select v.campaign, v.cycle, v.who, v.who, 1, v.decision, v.reason, cast(:now as timestamptz), 'mid_high', v.other"
    " from (values"
    " ('churn_warning', '2026-10', 'S0001', 'treated', null, null),"
    " ('churn_warning', '2026-10', 'S0002', 'treated', null, null),"
    " ('churn_warning', '2026-10', 'S0003', 'held_out', null, null),"
    " ('churn_warning', '2026-10', 'Y1', 'ineligible', 'yields', 'renewal'),"
    " ('churn_warning', '2026-10', 'Y2', 'ineligible', 'yields', 'renewal'),"
    " ('churn_warning', '2026-10', 'C1', 'ineligible', 'cooling_off', null),"
    " ('signals', '2026-11-06', 'D1', 'treated', null, null),"
    " ('signals', '2026-11-06', 'D2', 'ineligible', 'cap_month', null)"
    ") as v (campaign, cycle, who, decision, reason, other)",
)
_CLOSE = """
with gone as (
    update tickets set state = 'closed', outcome = :outcome, version = version + 1, closed_at = :now
    where ticket_id = :id returning ticket_id, version
)
insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at)
select ticket_id, version, 'close', 'in_progress', 'closed', 'agent', :now from gone
"""


@pytest.fixture
def worked(db, config, people, clock, ask):
    """Four tickets of the warning and two of the renewal, all released; one of each closed."""
    fill_cycle(db, 6)
    for statement in _RENEWED:
        ask(f"{statement} returning 1", now=FRIDAY)
    release(db=db, config=config, now=FRIDAY)
    rows = ask("select ticket_id, rank, assignee_id, version from tickets order by rank")
    by_rank = {row.rank: row for row in rows}
    later = FRIDAY + timedelta(hours=2)
    for rank, outcome in ((1, "declined"), (5, "renewed")):
        row = by_rank[rank]
        actor = Actor(db, config, row.assignee_id, row.ticket_id, row.version, later)
        contacts.record_contact(actor, channel="call", result="reached")
        ask(f"{_CLOSE} returning 1", id=row.ticket_id, outcome=outcome, now=later)
    clock.now = FRIDAY + timedelta(hours=4)
    return SimpleNamespace(**{f"of_{rank}": row.ticket_id for rank, row in by_rank.items()})


@pytest.fixture
def rows(visit):
    """A section's rows from its file: `rows("lead", "funnel", campaign="renewal")`."""

    def read(who, name, **asked):
        answer = visit(who).get(f"/board/{name}.csv", params=asked)
        assert answer.status_code == 200, answer.text
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))

    return read


def listed(text):
    return [int(number) for number in re.findall(r'class="open" href="[^"]*/tickets/(\d+)"', text)]


# ---------------------------------------------------------------- the queue


def test_a_row_of_the_queue_tells_its_campaign_in_the_readers_language(worked, visit):
    for language, warning, renewal in (("en", "Churn warning", "Renewal"), ("zh", "流失预警", "合约续签")):
        shown = visit("lead", language).get("/?view=team").text
        assert (
            shown.count(f'class="of-campaign" data-label="{"Campaign" if language == "en" else "活动"}">')
            == 4
        )
        assert f">{warning} 3</a>" in shown and f">{renewal} 1</a>" in shown
        assert "Signals" not in shown and "每日信号" not in shown


def test_a_campaign_nobody_configured_any_more_is_told_as_it_came(worked, visit, ask):
    ask("update tickets set campaign = 'long_gone' where ticket_id = :id returning 1", id=worked.of_6)
    assert ">long_gone 1</a>" in visit("lead").get("/?view=team").text


def test_the_queue_is_narrowed_to_a_campaign_and_the_other_filters_stay(worked, visit):
    shown = visit("lead").get("/?view=team&campaign=renewal&region=").text
    assert listed(shown) == [worked.of_6]
    assert "/?view=team&amp;campaign=churn_warning" in shown
    assert listed(visit("lead").get("/?view=closed&campaign=renewal").text) == [worked.of_5]
    assert "Renewed" in visit("lead").get("/?view=closed&campaign=renewal").text
    assert listed(visit("lead").get("/?view=team&campaign=signals").text) == []


def test_a_ticket_without_a_grade_shows_none(worked, visit, tickets_of_api):
    assert "grade-None" not in visit("lead").get("/?view=team&campaign=renewal").text
    (one,) = tickets_of_api("lead", campaign="renewal")["tickets"]
    assert (one["grade"], one["campaign"]) == (None, "renewal")


@pytest.fixture
def tickets_of_api(visit):
    return lambda who, **asked: visit(who).get("/api/v1/tickets", params={"view": "team"} | asked).json()


def test_a_program_gets_the_counts_of_a_view_too(worked, tickets_of_api, visit):
    assert tickets_of_api("lead")["campaigns"] == {"churn_warning": 3, "renewal": 1}
    closed = visit("lead").get("/api/v1/tickets", params={"view": "closed"}).json()
    assert closed["campaigns"] == {"churn_warning": None, "renewal": None}


def test_every_view_counts_what_it_lists(worked, visit, tickets_of_api, ask):
    ask("update tickets set assignee_id = null where ticket_id = :id returning 1", id=worked.of_6)
    for who in ("agent", "colleague", "lead", "manager", "stranger"):
        for view in ("mine", "team", "unassigned", "paused"):
            if (who, view) == ("manager", "mine"):
                continue
            answer = tickets_of_api(who, view=view)
            told = {each["campaign"] for each in answer["tickets"]}
            assert set(answer["campaigns"]) == told, (who, view)
            assert sum(answer["campaigns"].values()) == len(answer["tickets"]), (who, view)


def test_a_kept_view_and_the_exported_queue_know_the_campaign(worked, visit):
    sent = visit("lead").post("/views", data={"view": "team", "campaign": "renewal", "name": "mine"})
    assert sent.headers["location"] == "/?view=team&campaign=renewal"
    told = list(csv.DictReader(io.StringIO(visit("lead").get("/queue.csv").content.decode("utf-8-sig"))))
    assert sorted(row["Campaign"] for row in told) == ["Churn warning"] * 3 + ["Renewal"]
    one = visit("lead").get("/queue.csv?campaign=renewal").content.decode("utf-8-sig")
    assert [row["Campaign"] for row in csv.DictReader(io.StringIO(one))] == ["Renewal"]


def test_what_a_search_finds_tells_its_campaign(worked, visit):
    found = visit("lead").get(f"/search?tickets={worked.of_1},{worked.of_5}").text
    assert 'data-label="Campaign">Churn warning<' in found and 'data-label="Campaign">Renewal<' in found
    answer = visit("lead").post("/api/v1/search", json={"q": f"#{worked.of_5}"}).json()
    assert answer["tickets"][0]["campaign"] == "renewal"


# ---------------------------------------------------------------- the board


def test_the_board_is_of_all_campaigns_unless_one_is_named(worked, visit):
    for who in ("lead", "manager"):
        shown = visit(who).get("/board").text
        assert 'href="/board?campaign=all" aria-current="page"' in shown
        assert '<option value="2026-10" selected>' in shown
        assert visit(who).get("/board?campaign=renewal").status_code == 200
    assert visit("agent").get("/board?campaign=renewal").status_code == 403


def test_the_funnels_of_all_campaigns_stand_side_by_side(worked, rows):
    told = {row["Step"]: row for row in rows("manager", "funnel")}
    assert [told["Released"][name] for name in ("Together", "Churn warning", "Renewal")] == ["6", "4", "2"]
    assert [told["Won"][name] for name in ("Together", "Churn warning", "Renewal")] == ["1", "0", "1"]
    assert "Signals" not in told["Won"]


def test_each_section_over_all_is_the_sum_of_its_campaigns(worked, rows):
    def released(campaign, level):
        return [
            int(row["Released"]) for row in rows("lead", "rates", campaign=campaign) if row["Level"] == level
        ]

    assert released("churn_warning", "Together") + released("renewal", "Together") == [4, 2]
    assert (released("all", "Together"), released("all", "Campaign")) == ([6], [4, 2])
    by_clock = {(row["Campaign"], row["Clock"]): row["On time"] for row in rows("lead", "service")}
    assert by_clock["Renewal", "First contact"] == "1" and ("Churn warning", "First contact") in by_clock


def test_endings_and_clocks_are_the_campaigns_own(worked, rows):
    (team,) = [row for row in rows("lead", "outcomes", campaign="renewal") if row["By"] == "Team"]
    assert (team["Renewed"], team["Thinks it over"], team["Won, share"]) == ("1", "0", "1.0000")
    assert "Retained" not in team and "Other" not in team
    together = rows("lead", "service", campaign="renewal")[0]
    assert together["First contact on time"] == "1" and "Renewal plan open" in together
    of_all = {row["Value"]: row for row in rows("lead", "outcomes") if row["By"] == "Campaign"}
    assert (of_all["Renewal"]["Willing"], of_all["Churn warning"]["Reached"]) == ("1", "1")


def test_an_ending_no_file_knows_any_more_is_counted_as_another(worked, rows, ask):
    ask("update tickets set outcome = 'of_old' where ticket_id = :id returning 1", id=worked.of_5)
    (team,) = [row for row in rows("lead", "outcomes", campaign="renewal") if row["By"] == "Team"]
    assert (team["Other"], team["Renewed"], team["Won, share"]) == ("1", "0", "0.0000")


def test_the_rates_bear_the_campaigns_names_by_unit_and_person(worked, rows):
    told = rows("lead", "rates", campaign="renewal")
    assert [(row["Level"], row["Will renew"]) for row in told[:3]] == [
        ("Together", "1"), ("Branch", "1"), ("Team", "1"),
    ]  # fmt: skip
    assert told[1]["Branch"] == "B1" and told[1]["Will renew, share"] == "1.0000"


def test_a_list_that_is_split_is_counted_by_its_values_and_by_who_shares(worked, rows, visit):
    told = {(row["By"], row["Value"]): (row["Tickets"], row["Will renew"]) for row in rows(
        "lead", "splits", campaign="renewal"
    )}  # fmt: skip
    assert told == {
        ("Channel", "shop"): ("1", "1"),
        ("Channel", ""): ("1", "0"),
        ("Shares the figure", "agent"): ("2", "1"),
        ("Leads", "unknown-7"): ("2", "1"),
    }
    assert 'id="splits"' in visit("lead").get("/board?campaign=renewal").text
    assert 'id="splits"' not in visit("lead").get("/board?campaign=churn_warning").text


def test_who_was_left_out_is_told_with_the_reason_and_for_whom(worked, rows):
    told = [(row["Reason"], row["Left to"], row["Subscribers"]) for row in rows(
        "lead", "suppressed", campaign="churn_warning"
    )]  # fmt: skip
    assert told == [("Left to another campaign", "Renewal", "2"), ("Cooling off", "–", "1")]
    assert {row["Campaign"] for row in rows("manager", "suppressed")} == {"Churn warning"}


def test_success_is_told_per_arm_and_until_then_on_which_day(worked, rows, ask):
    (waiting,) = rows("lead", "success", campaign="renewal")
    assert (waiting["Observed"], waiting["Day"]) == ("not known yet, on", "2027-02-05")
    ask(
        "insert into cycle_revisions (campaign, cycle, revision, as_of, config_hash, opened_at)"
        " select 'renewal', '2026-10', 0, as_of, config_hash, opened_at from cycles where campaign = 'renewal'"
        " returning 1"
    )
    ask(
        "insert into evaluations select 'renewal', '2026-10', 0, 'arm', v.arm, v.metric, v.value, 40, :now"
        " from (values ('treated', 'succeeded', 12.0), ('treated', 'success_rate', 0.3),"
        " ('treated_against_held_out', 'success_gained', 0.1)) as v (arm, metric, value) returning 1",
        now=FRIDAY,
    )
    (known,) = rows("lead", "success", campaign="renewal")
    assert [known[name] for name in ("Arm", "Succeeded", "Subscribers", "Succeeded, share", "Observed", "Day")] == [
        "With a ticket", "12", "40", "0.3000", "known on", "2026-11-06",
    ]  # fmt: skip
    assert known["Difference"] == "0.1000"
    assert {row["Campaign"] for row in rows("lead", "success")} == {"Churn warning", "Renewal"}


def test_contacts_of_others_and_talks_begun_are_counted_by_arm(worked, rows, ask, people):
    # the renewal calls one treated and one held out by the warning; another held out begins a talk after its horizon
    ask("update tickets set beside = true returning 1")
    for ticket, customer in ((worked.of_5, "S0003"), (worked.of_6, "S0002")):
        ask("update tickets set customer_key = :c, beside = true where ticket_id = :id returning 1",
            c=customer, id=ticket)  # fmt: skip
    ask(
        "insert into inbound_contacts (campaign, subscriber_id, customer_key, recorded_at, staff_id, channel, needs,"
        " said, done) select 'churn_warning', v.who, v.who, v.at, :me, 'call', '{}', 'x', 'y' from (values"
        " ('S0001', cast('2026-11-20 10:00+08' as timestamptz)), ('S0003', '2026-12-20 10:00+08')) as v (who, at)"
        " returning 1",
        me=people.agent,
    )
    told = {row["Arm"]: row for row in rows("lead", "exposure", campaign="churn_warning")}
    names = (
        "Drawn",
        "Reached by service",
        "By campaigns without hold-out",
        "By other campaigns",
        "Began a talk",
    )
    assert [told["Held out"][name] for name in names] == ["1", "1", "0", "0", "0"]
    assert [told["With a ticket"][name] for name in names] == ["2", "0", "0", "0", "1"]


def test_a_shadow_has_a_board_of_what_it_would_have_done_and_is_nowhere_else(worked, rows, visit):
    shown = visit("manager").get("/board?campaign=signals").text
    assert "This campaign is a shadow" in shown
    assert '<option value="2026-11-06" selected>' in shown and shown.index("2026-11-06") < shown.index(
        "2026-11-05"
    )
    assert 'id="funnel"' not in shown and 'id="shadow"' in shown
    together, team = rows("lead", "shadow", campaign="signals")
    assert (together["Would be called"], together["Left out"], team["Level"]) == ("1", "1", "Team")
    assert [row["Reason"] for row in rows("lead", "suppressed", campaign="signals")] == ["Cap of the month"]
    assert "would have done" not in visit("manager").get("/board").text
    for section in ("funnel", "suppressed", "success", "rates", "stages"):
        assert "Signals" not in visit("manager").get(f"/board/{section}.csv").text


def test_days_are_chosen_by_day_and_over_all_campaigns_by_month(worked, visit, ask, rows):
    ask("update cycles set is_shadow = false where campaign = 'signals' returning 1")
    of_all = visit("lead").get("/board?campaign=all").text
    assert re.findall(r'<option value="([^"]+)"', of_all) == ["2026-11", "2026-10"]
    days = visit("lead").get("/board?campaign=signals&cycle=2026-11-05").text
    assert re.findall(r'<option value="([^"]+)"( selected)?>', days) == [
        ("2026-11-06", ""), ("2026-11-05", " selected"),
    ]  # fmt: skip
    assert [
        row["Signals"] for row in rows("lead", "funnel", cycle="2026-11") if row["Step"] == "Released"
    ] == ["0"]
    assert visit("lead").get("/board?campaign=signals&cycle=2026-11").status_code == 422


def test_the_pictures_of_all_campaigns_can_be_drawn(worked, visit):
    for campaign in ("all", "renewal", "signals"):
        for name in ("funnel", "service", "outcomes", "effect"):
            answer = visit("manager", "zh").get(f"/board/{name}.svg?campaign={campaign}")
            assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")


def test_a_lead_sees_no_figure_of_another_team_over_all_campaigns(worked, rows, ask):
    ask("update tickets set team = 'vip' where campaign = 'renewal' returning 1")
    ask("update dispatch_decisions set team = 'vip' where campaign = 'churn_warning' returning 1")
    assert [row["Campaign"] for row in rows("lead", "rates") if row["Level"] == "Campaign"] == [
        "Churn warning"
    ]
    assert rows("lead", "suppressed") == []
    assert rows("lead", "splits", campaign="renewal") == []
    assert len(rows("manager", "suppressed")) == 2


def test_the_board_of_a_campaign_whose_file_is_gone_stands(worked, visit, rows, ask, config):
    ask(
        "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at)"
        " select 'long_gone', '2026-09', '2026-09', as_of, config_hash, opened_at from cycles"
        " where campaign = 'renewal' returning 1"
    )
    assert "long_gone" in visit("lead").get("/board?campaign=long_gone").text


def test_a_database_nobody_looks_at_gives_no_figure(worked, desk_app, people):
    asked = "from board_exposure(array['churn_warning'], array['2026-10'], array['x'])"
    for staff_id, lines in ((people.lead, 2), (people.agent, 0), (None, 0)):
        with desk_app.state.database.reading(staff_id) as desk:
            assert desk.execute(sa.text(f"select count(*) {asked}")).scalar_one() == lines
