"""The board over HTTP: figures counted by hand on a small worked cycle, by team, as pages, pictures and files."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from xml.etree import ElementTree

import pytest
import sqlalchemy as sa

from include.database.queries import load
from include.desk.board.charts import Look, bars, stacked
from include.desk.board.sections import SECTIONS
from include.desk.board.tables import STEPS, VERDICTS
from include.desk.tickets import contacts, life_cycle, plans
from include.desk.tickets.transaction import Actor
from include.domain.text.spreadsheets import harmless
from include.stages.release import release
from tests.fixtures.desk import worked_through
from tests.fixtures.work import FRIDAY, fill_cycle

TUESDAY = FRIDAY + timedelta(days=4, hours=2)

_EXPIRE = """
with gone as (
    update tickets set state = 'expired', version = version + 1, closed_at = :now returning ticket_id, version
)
insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at)
select ticket_id, version, 'expire', 'waiting', 'expired', 'loop', :now from gone
"""
_FACTS = (
    "update tickets set team = 'vip' where cycle = '2026-10' and rank > 4",
    "update cycles set fixed_at = :now, fixed_facts = '{}', dispatch_summary = '{\"scored\": 990}'"
    " where cycle = '2026-10'",
    "insert into dispatch_decisions (campaign, cycle, subscriber_id, customer_key, rank, decision, decided_at, team)"
    " select 'churn_warning', '2026-10', 'H' || n, 'H' || n, n, 'held_out', :now,"
    " case when n <= 2 then 'mid_high' else 'vip' end from generate_series(1, 3) as n",
    "insert into deliveries (feed, period, fingerprint, files, rows_read, rows_accepted, rows_quarantined,"
    " is_complete, run_id, collected_at) values ('subscribers', '2026-10', 'f', 1, 1003, 1000, 3, true, 'r', :now)",
    "insert into quarantine_summary select delivery_id, '=a.csv', 'joined_on', 'is no date', 3, 7 from deliveries",
    "insert into heartbeats values ('watch_sla', :now, '{}')",
    "insert into budget_pots (campaign, starts_on, ends_on, branch_code, limit_yuan, warn_share, set_by, set_at)"
    " values ('churn_warning', '2026-11-01', '2026-11-30', null, 5000, 0.8, 'x', :now),"
    " ('churn_warning', '2026-11-01', '2026-11-30', 'B9', 7777, 0.8, 'x', :now)",
    "insert into evaluations select 'churn_warning', '2026-09', 0, 'arm', v.slice_value, v.metric, v.value,"
    " v.n, :now from (values ('treated', 'churn_rate', 0.1, 80), ('held_out', 'churn_rate', 0.3, 20),"
    " ('treated_against_held_out', 'churn_avoided', 0.2, 100),"
    " ('treated_against_held_out', 'churn_avoided_low', -0.0123, 100),"
    " ('treated_against_held_out', 'churn_avoided_high', 0.41, 100)) as v (slice_value, metric, value, n)",
)


@pytest.fixture
def worked(db, config, people, clock):
    """September's two tickets expired; of October's six the lead's team has four, of which two are closed.

    Two of the agent (retained and processed; not answered), two of the colleague (declined; untouched),
    two of another team (reached; untouched).
    """
    fill_cycle(db, 2, cycle="2026-09")
    with db.begin():
        db.execute(sa.text(_EXPIRE), {"now": FRIDAY - timedelta(days=20)})
    fill_cycle(db, 6)
    with db.begin():
        for statement in _FACTS:
            db.execute(sa.text(statement), {"now": FRIDAY})
    release(db=db, config=config, now=FRIDAY)
    with db.begin():
        rows = db.execute(
            sa.text("select ticket_id, assignee_id from tickets where cycle = '2026-10' order by rank")
        ).all()

    def tickets_of(staff_id):
        return [row.ticket_id for row in rows if row.assignee_id == staff_id]

    def act(staff_id, ticket_id):
        return Actor(db, config, staff_id, ticket_id, 2, FRIDAY + timedelta(hours=2))

    won, unanswered = tickets_of(people.agent)
    declined, untouched = tickets_of(people.colleague)
    strange, _ = tickets_of(people.stranger)
    actor = worked_through(act(people.agent, won))
    actor = replace(actor, version=plans.record_processing(actor, result="done", order_number="N-1"))
    life_cycle.close(actor, outcome="retained", detail="accepted_offer")
    contacts.record_contact(act(people.agent, unanswered), channel="call", result="no_answer")
    life_cycle.close(worked_through(act(people.colleague, declined)), outcome="declined", detail="lost_trust")
    contacts.record_contact(act(people.stranger, strange), channel="call", result="reached")
    clock.now = TUESDAY
    return {
        "won": won,
        "unanswered": unanswered,
        "declined": declined,
        "untouched": untouched,
        "strange": strange,
    }


@pytest.fixture
def rows(visit):
    """A section's rows as somebody gets them, from its file: `rows("lead", "funnel")`."""

    def read(who, name, **asked):
        answer = visit(who).get(f"/board/{name}.csv", params={"campaign": "churn_warning"} | asked)
        assert answer.status_code == 200, answer.text
        assert answer.content.startswith(b"\xef\xbb\xbf")
        return list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))

    return read


def funnel(rows, who, column="This cycle"):
    return [row[column] for row in rows(who, "funnel")]


def test_the_funnel_counts_the_team_for_its_lead_and_all_for_a_manager(worked, rows):
    assert funnel(rows, "lead") == ["1000", "990", "", "2", "4", "4", "3", "2", "1", "2", "1"]
    assert funnel(rows, "manager") == ["1000", "990", "", "3", "6", "6", "4", "2", "1", "2", "1"]


def test_the_funnel_is_set_against_the_cycle_before(worked, rows):
    assert funnel(rows, "manager", "Cycle before")[4:6] == ["2", "0"]
    assert funnel(rows, "manager", "Change")[4] == "2.0000"
    shares = dict(
        zip(funnel(rows, "manager", "Step"), funnel(rows, "manager", "Of the step before"), strict=True)
    )
    assert (shares["Contacted"], shares["With a plan"]) == ("0.6667", "0.5000")


def test_service_levels_are_told_together_by_team_and_by_agent(worked, rows):
    def told(who):
        return {
            (row["Level"], row["Agent"] if row["Level"] == "Agent" else row["Team"]): [
                row[f"{clock} {verdict}"]
                for clock in ("First contact", "Needs survey and retention plan")
                for verdict in ("on time", "breached", "open")
            ]
            for row in rows(who, "service")
        }

    lead, manager = told("lead"), told("manager")
    assert lead["Together", "–"] == ["3", "1", "0", "2", "0", "2"]
    assert lead["Agent", "agent"] == ["2", "0", "0", "1", "0", "1"]
    assert lead["Agent", "colleague"] == ["1", "1", "0", "1", "0", "1"]
    assert ("Agent", "stranger") not in lead
    assert manager["Agent", "stranger"] == ["1", "1", "0", "0", "0", "2"]
    assert manager["Together", "–"] == ["4", "2", "0", "2", "0", "4"]


def test_a_passed_deadline_is_on_the_list_before_the_watcher_has_seen_it(worked, rows):
    assert [(row["Ticket"], row["Agent"], row["Deadline"]) for row in rows("lead", "breaches")] == [
        (str(worked["untouched"]), "colleague", "2026-11-09 18:00")
    ]
    assert len(rows("manager", "breaches")) == 2


def test_unfinished_tickets_are_aged_by_days_since_release(worked, rows):
    assert [
        (row["Agent"], row["Up to 3 days"], row["4 to 7"], row["Oldest (days)"])
        for row in rows("lead", "ages")
    ] == [
        ("agent", "0", "1", "4"),
        ("colleague", "0", "1", "4"),
    ]
    oldest = [row["Ticket"] for row in rows("lead", "oldest")]
    assert oldest == [str(worked["unanswered"]), str(worked["untouched"])]


def test_outcomes_are_counted_by_strategy_team_and_grade(worked, rows):
    told = {
        (row["By"], row["Value"]): (row["Retained"], row["Declined the plan"])
        for row in rows("lead", "outcomes")
    }
    assert told["Strategy", "Tariff discount"] == ("1", "1")
    assert told["Team", "Mid/high-end retention"] == ("1", "1")
    assert told["Grade", "High"] == ("1", "1")


def test_the_rates_are_those_of_the_rates_statement(worked, rows, desk_app, people):
    assert _rates(rows, desk_app, people, "lead") == ["4", "2", "1", "1"]
    assert _rates(rows, desk_app, people, "manager") == ["6", "3", "1", "1"]


def _rates(rows, desk_app, people, who):
    with desk_app.state.database.reading(getattr(people, who)) as desk:
        defined = [
            row
            for row in desk.execute(
                load("desk/rates")["count_rates"],
                {"campaign": "churn_warning", "willing": desk_app.state.config.willing(["churn_warning"])},
            ).mappings()
            if row["level"] == "cycle" and row["cycle"] == "2026-10"
        ]
    together = rows(who, "rates")[0]
    names = ("Released", "Reached", "Willing", "Completed")
    assert [int(together[name]) for name in names] == [defined[0][name.lower()] for name in names]
    return [together[name] for name in names]


def test_the_views_show_exactly_the_tickets_row_level_security_shows(worked, desk_app, people):
    def seen(staff_id, relation):
        with desk_app.state.database.reading(staff_id) as desk:
            return set(desk.execute(sa.text(f"select ticket_id from {relation}")).scalars())

    for who in ("lead", "manager"):
        staff_id = getattr(people, who)
        assert seen(staff_id, "board_tickets") == seen(staff_id, "tickets") != set()
        assert seen(staff_id, "board_clocks") == seen(staff_id, "ticket_clocks")
    for nobody in (people.agent, None):
        assert seen(nobody, "board_tickets") == seen(nobody, "board_clocks") == set()


def test_the_sample_is_the_same_each_time_and_never_empty(worked, rows):
    first = [row["Ticket"] for row in rows("lead", "sample")]
    assert first == [row["Ticket"] for row in rows("manager", "sample")]
    assert first and set(first) <= {str(worked["won"]), str(worked["declined"])}


def test_the_sample_is_five_in_a_hundred_closed_tickets(db, desk_app, people):
    ids = fill_cycle(db, 800)
    close = _EXPIRE.replace("'expired', version", "'closed', outcome = 'declined', version").replace(
        "'expired'", "'closed'"
    )
    with db.begin():
        db.execute(sa.text(close), {"now": FRIDAY})
    values = {"campaigns": ["churn_warning"], "cycles": ["2026-10"], "share": 0.05, "limit": 800}
    with desk_app.state.database.reading(people.lead) as desk:
        drawn = {row.ticket_id for row in desk.execute(load("desk/board")["read_sample"], values)}
    assert drawn <= set(ids)
    assert 15 <= len(drawn) <= 70  # 40 expected; far beyond three deviations either way


def test_money_effect_and_the_machine_are_told(worked, rows):
    assert [row["Limit"] for row in rows("lead", "pots")] == [
        "5000.00"
    ]  # the pot of a branch that is not theirs
    assert [row["Limit"] for row in rows("manager", "pots")] == ["5000.00", "7777.00"]
    effect = rows("lead", "effect")[0]
    assert (effect["With a ticket"], effect["Left with a ticket"], effect["At least"]) == (
        "80",
        "0.1000",
        "-0.0123",
    )
    assert rows("lead", "deliveries")[0]["Rows accepted"] == "1000"
    assert rows("lead", "quarantine")[0]["File"] == "'=a.csv"
    assert rows("lead", "heartbeats")[0]["Watcher"] == "watch_sla"


def test_every_section_is_on_the_page_in_both_languages_and_names_no_subscriber(worked, visit):
    for who, language in (("lead", "en"), ("manager", "zh")):
        shown = visit(who, language).get("/board?campaign=churn_warning").text
        for name in set(SECTIONS) - {"shadow", "splits"}:
            assert f'id="{name}"' in shown
        assert "<script>" not in shown and " style=" not in shown
        assert "S0001" not in shown


def test_the_page_of_a_lead_tells_nothing_of_another_team(worked, visit):
    assert "stranger" in visit("manager").get("/board").text
    shown = visit("lead").get("/board").text
    assert "stranger" not in shown
    assert f"/tickets/{worked['strange']}" not in shown


def test_beside_a_run_stands_the_board_of_its_dags_campaign(worked, visit, desk_app, config):
    campaigns = {"a_first": config.campaign("churn_warning"), **config.campaigns}
    desk_app.state.config = replace(config, campaigns=campaigns)
    empty = "No cycle has been opened yet"
    assert empty in visit("lead").get("/board?dag=a_first").text
    assert empty not in visit("lead").get("/board?dag=churn_warning").text
    # a run of a DAG of all campaigns
    assert empty not in visit("lead").get("/board?dag=release_tickets").text


def test_a_board_before_the_first_cycle_says_so(people, visit):
    assert "No cycle has been opened yet" in visit("lead").get("/board").text
    assert visit("lead").get("/board/funnel.csv").status_code == 200
    assert visit("lead").get("/board/effect.svg").status_code == 200


def test_agents_and_strangers_have_no_board(people, visit):
    for address in ("/board", "/board/funnel.csv", "/board/funnel.svg", "/queue.csv", "/board/nothing.csv"):
        assert visit("agent").get(address).status_code == 403
        assert visit("operator").get(address).status_code == 403
        assert visit(None).get(address).status_code in (303, 307, 401)


def test_what_does_not_exist_is_refused_with_what_does(worked, visit):
    for address in (
        "?campaign=churn_warning&cycle=2020-01",
        "?campaign=all&cycle=2020-01",
        "?campaign=none",
        "/nothing.csv",
        "/sample.svg",
        "/nothing.svg",
    ):
        answer = visit("lead").get(f"/board{address}")
        assert answer.status_code == 422
        assert "Choose" in answer.text


def test_charts_are_pictures_without_scripts_under_their_own_policy(worked, visit):
    drawn = [name for name, section in SECTIONS.items() if section.is_drawn]
    for name, theme in zip(drawn, ("auto", "light", "dark", "auto"), strict=True):
        browser = visit("lead", "zh")
        browser.cookies.set("desk_theme", theme)
        answer = browser.get(f"/board/{name}.svg")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml")
        assert answer.headers["content-security-policy"].startswith(
            "default-src 'none'; style-src 'unsafe-inline'"
        )
        root = ElementTree.fromstring(answer.content)
        assert "script" not in {element.tag.rpartition("}")[2] for element in root.iter()}
        assert not [each for element in root.iter() for each in element.attrib if each.startswith("on")]
        assert ("prefers-color-scheme" in answer.text) == (theme == "auto")


@pytest.mark.parametrize("look", [Look("light"), Look("light", is_narrow=True)], ids=["wide", "narrow"])
@pytest.mark.parametrize("names", range(2, 8))
def test_every_name_below_a_chart_lies_in_the_picture(look, names):
    picture = bars("t", ["甲", "乙"], {f"name {n}": [1.0, 2.0] for n in range(names)}, look).decode()
    height = float(re.search(r'viewBox="0 0 \d+ (\d+)"', picture)[1])
    top = float(re.search(r'transform="translate\([\d.]+, ([\d.]+)\)" class="legends"', picture)[1])
    boxes = re.findall(r'activate-serie.*?<rect[^>]*? y="([\d.]+)"', picture, re.DOTALL)
    assert len(boxes) == names
    assert top + max(map(float, boxes)) + 14 <= height


def test_labels_of_charts_are_text_whatever_they_hold():
    for draw in (bars, stacked):
        picture = draw(
            "</title><script>alert(1)</script>", ["<b>"], {"a&b": [1.0], "c": [None]}, Look("light")
        )
        root = ElementTree.fromstring(picture)
        assert not [element for element in root.iter() if element.tag.endswith("script")]
        assert "<b>" in [element.text for element in root.iter()]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx", "\r=1", "  =1", "＝1", "\u3000@x"])
def test_a_cell_that_would_be_a_formula_is_text(text):
    assert harmless(text) == f"'{text}"


def test_a_name_that_is_a_formula_stays_a_name_in_the_file(worked, rows, db):
    with db.begin():
        db.execute(sa.text("update staff set name = '=cmd|''/c calc''!A0' where staff_code = 'agent'"))
    assert rows("lead", "rates")[-1]["Agent"] == "colleague"
    assert "'=cmd|'/c calc'!A0" in [row["Agent"] for row in rows("lead", "rates")]


def test_the_queue_is_exported_masked_and_of_the_own_team(worked, visit, db, people):
    answer = visit("lead").get("/queue.csv")
    told = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["Ticket"] for row in told} == {str(worked["unanswered"]), str(worked["untouched"])}
    assert all(row["Subscriber"].startswith("***") for row in told)
    assert len(list(csv.DictReader(io.StringIO(visit("manager").get("/queue.csv").text)))) == 4
    with db.begin():
        uses = db.execute(sa.text("select staff_id, kind from desk_uses order by use_id")).all()
    assert [tuple(use) for use in uses] == [(people.lead, "export"), (people.manager, "export")]


@pytest.mark.parametrize(
    ("language", "on_screen", "in_file"),
    [("en", "the 2 most urgent", "2 more are left out"), ("zh", "最急的 2 张", "另有 2 张未列出")],
)
def test_a_queue_too_long_for_a_file_says_so_on_screen_and_in_the_file(
    worked, visit, monkeypatch, language, on_screen, in_file
):
    for module in ("include.desk.board.figures", "include.desk.pages.board"):
        monkeypatch.setattr(f"{module}.LONGEST_EXPORT", 2)
    assert on_screen in visit("manager", language).get("/board").text
    *rows, last = visit("manager", language).get("/queue.csv").text.splitlines()
    assert len(rows) == 1 + 2
    assert in_file in last


def test_exports_end_with_the_days_limit(worked, visit):
    codes = [visit("lead").get("/queue.csv").status_code for _ in range(6)]
    assert codes == [200] * 5 + [429]


def test_a_viewer_without_rights_to_dags_gets_no_link_to_them(worked, visit):
    assert "/dags/churn_warning" not in visit("manager").get("/board").text


def test_both_languages_have_every_word_of_the_board():
    from include.words import catalogue

    wanted = {f"board.columns.{column}" for section in SECTIONS.values() for column in section.columns}
    wanted |= {
        f"board.columns.{column}" for column in (*VERDICTS, "on_time_share", "together", "won_share", "other")
    }
    wanted |= {f"board.steps.{step}" for step in STEPS}
    wanted |= {f"board.{part}.{name}" for part in ("sections", "about") for name in SECTIONS}
    for language in ("zh", "en"):
        assert wanted <= set(catalogue(language)), json.dumps(sorted(wanted - set(catalogue(language))))
