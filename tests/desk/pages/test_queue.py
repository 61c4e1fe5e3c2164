"""The queue over HTTP: views, filters, paging, next ticket, many at once, saved views, words."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier

import pytest

from include.words import catalogue

FORM = {"content-type": "application/x-www-form-urlencoded"}
DESK = Path(__file__).resolve().parents[3] / "include" / "desk"


def press(browser, address, **fields):
    return browser.post(address, data=fields, headers=FORM)


def listed(text):
    return [int(number) for number in re.findall(r'class="open" href="[^"]*/tickets/(\d+)"', text)]


def set_free(ask, tickets):
    ask("update tickets set assignee_id = null where ticket_id = any(:ids) returning 1", ids=tickets)


def test_everybody_sees_their_own_part_of_the_queue(visit, tickets):
    assert listed(visit("agent").get("/").text) == tickets[:2]
    assert listed(visit("colleague").get("/").text) == tickets[2:]
    assert listed(visit("lead").get("/?view=team").text) == sorted(tickets)
    assert listed(visit("stranger").get("/?view=team").text) == []
    assert listed(visit("manager").get("/?view=team").text) == sorted(tickets)


@pytest.mark.parametrize(
    ("query", "is_there"),
    [
        ("grade=high", True),
        ("grade=mid", False),
        ("tier=priority", True),
        ("tier=monitoring", False),
        ("region=X", False),
    ],
)
def test_filters_in_the_address_narrow_the_queue(visit, tickets, query, is_there):
    assert bool(listed(visit("agent").get(f"/?view=mine&{query}").text)) is is_there


def test_the_queue_is_narrowed_to_a_segment_and_names_it(visit, tickets, ask):
    ask(
        'update assignments set evidence = \'{"strategy": {"segments": ["young"]}}\' where assignment_id ='
        " (select assignment_id from tickets where ticket_id = :id) returning 1",
        id=tickets[1],
    )
    shown = visit("agent").get("/?view=mine&segment=young").text
    assert listed(shown) == [tickets[1]]
    assert 'data-label="Segment">Young</td>' in shown
    assert listed(visit("agent").get("/?view=mine&segment=family").text) == []
    (one,) = visit("agent").get("/api/v1/tickets", params={"segment": "young"}).json()["tickets"]
    assert (one["ticket_id"], one["segments"]) == (tickets[1], ["young"])


def test_a_paused_ticket_says_so_in_place_of_its_urgency(visit, tickets, clock):
    api = f"/api/v1/tickets/{tickets[0]}"
    contact = {"version": 2, "channel": "call", "result": "reached"}
    assert visit("agent").post(f"{api}/contact", json=contact).status_code == 200
    rest = {"version": 3, "call_back_on": "2026-11-10"}
    assert visit("agent").post(f"{api}/pause", json=rest).status_code == 200
    assert '<span class="badge paused">Paused</span>' in visit("agent").get("/?view=paused").text


@pytest.mark.parametrize("query", ["view=nobody", "view=waiting", "after=x,1", "after=infinity,x"])
def test_an_address_that_asks_for_nonsense_is_answered_with_a_sentence(visit, tickets, query):
    answer = visit("agent").get(f"/?{query}")
    assert (answer.status_code, 'role="alert"' in answer.text) == (422, True)


def test_pages_follow_each_other_without_gap_or_repetition(visit, tickets, monkeypatch):
    monkeypatch.setattr("include.desk.tickets.queue.PAGE", 3)
    first = visit("lead").get("/?view=team&grade=high").text
    more = re.search(r'rel="next" href="([^"]+)"', first).group(1).replace("&amp;", "&")
    assert "grade=high" in more
    assert listed(first) + listed(visit("lead").get(more).text) == sorted(tickets)


def test_next_gives_the_own_ticket_first_and_holds_it(visit, tickets, ask, people):
    set_free(ask, tickets[:1])
    answer = press(visit("agent"), "/next")
    assert answer.headers["location"] == f"/tickets/{tickets[1]}"
    held = ask("select ticket_id, staff_id from ticket_holds")
    assert [tuple(row) for row in held] == [(tickets[1], people.agent)]
    assert "Held for you until" in visit("agent").get(f"/tickets/{tickets[1]}").text


def test_next_takes_up_no_ticket_of_a_colleague_and_says_when_nothing_is_left(visit, tickets, clock):
    assert press(visit("lead"), "/next").headers["location"] == "/?none_left=1"
    assert "Nothing is left" in visit("lead").get("/?view=team&none_left=1").text


def test_finished_tickets_are_narrowed_by_the_filters_too(visit, tickets, ask):
    ask("update tickets set region_code = 'R7' where ticket_id = :first returning 1", first=tickets[0])
    for ticket in tickets[:2]:
        gone = press(visit("lead"), f"/tickets/{ticket}/cancel", version=2, reason="withdrawn")
        assert gone.status_code == 303, gone.text
    assert listed(visit("lead").get("/?view=closed").text) == tickets[1::-1]
    assert listed(visit("lead").get("/?view=closed&region=R7").text) == tickets[:1]
    assert listed(visit("lead").get("/?view=closed&tier=monitoring").text) == []


def test_a_choice_of_language_comes_back_to_the_filters(visit, tickets):
    text = visit("lead").get("/?view=team&region=R1").text
    assert "back=/%3Fview%3Dteam%26region%3DR1" in text.replace("back=%2F", "back=/")


def test_a_number_with_two_signs_is_refused_with_a_sentence(visit, tickets):
    refused = press(visit("agent"), f"/tickets/{tickets[0]}/claim", version="--5")
    assert refused.status_code == 422
    assert "--5" in refused.text


def test_a_held_ticket_is_not_called_by_others(visit, tickets, ask):
    set_free(ask, tickets)
    ask("delete from ticket_holds returning 1")
    mine = press(visit("agent"), "/next").headers["location"]
    assert press(visit("colleague"), f"{mine}/call").status_code == 409


def test_people_who_press_at_once_never_get_the_same_ticket(visit, tickets, ask):
    set_free(ask, tickets)

    everybody = ("agent", "colleague", "lead")
    together = Barrier(len(everybody))

    def once(who):
        together.wait(30)
        return press(visit(who), "/next").headers["location"]

    for _ in range(3):
        with ThreadPoolExecutor(len(everybody)) as pool:
            given = Counter(pool.map(once, everybody))
        assert max(given.values()) == 1, given
        assert "/?none_left=1" not in given
        ask("delete from ticket_holds returning 1")


def test_a_held_ticket_is_nobody_elses_until_the_hold_ends(visit, tickets, ask, clock):
    set_free(ask, tickets)
    ask("delete from ticket_holds returning 1")
    mine = press(visit("agent"), "/next").headers["location"]
    ticket = int(mine.rpartition("/")[2])
    version = ask("select version from tickets where ticket_id = :id", id=ticket)[0].version
    refused = press(visit("colleague"), f"/tickets/{ticket}/claim", version=version)
    assert refused.status_code == 409
    assert "is held for agent until" in refused.text
    assert press(visit("colleague"), "/next").headers["location"] != mine
    clock.now += timedelta(minutes=11)
    assert press(visit("colleague"), f"/tickets/{ticket}/claim", version=version).status_code == 303


def test_the_third_skip_of_a_day_asks_why_and_keeps_it(visit, tickets, ask, clock, db):
    set_free(ask, tickets)
    browser, location = visit("agent"), press(visit("agent"), "/next").headers["location"]
    passed = []
    for _ in range(2):
        passed.append(location)
        location = press(browser, f"{location}/skip").headers["location"]
    assert len({*passed, location}) == 3  # none came twice
    assert "Why this one, too?" in browser.get(location).text
    assert press(browser, f"{location}/skip").status_code == 422
    assert press(browser, f"{location}/skip", note="speaks only Uyghur").status_code == 303
    assert [row.note for row in ask("select note from ticket_skips order by skip_id")] == [
        None, None, "speaks only Uyghur",
    ]  # fmt: skip
    assert press(browser, f"{location}/skip", note="again").status_code == 409


def test_a_ticket_just_tried_rests_and_a_promised_call_comes_first_when_due(visit, tickets, ask, clock):
    first, second = tickets[:2]
    version = ask("select version from tickets where ticket_id = :id", id=first)[0].version
    promised = {
        "version": version,
        "channel": "call",
        "result": "call_back",
        "call_back_at": "2026-11-06T15:00",
    }
    assert press(visit("agent"), f"/tickets/{first}/contact", **promised).status_code == 303
    assert press(visit("agent"), "/next").headers["location"] == f"/tickets/{second}"
    clock.now = clock.now.replace(hour=15, minute=1)
    assert press(visit("agent"), "/next").headers["location"] == f"/tickets/{first}"


def test_a_lead_gives_many_tickets_at_once_and_is_told_which_were_refused(visit, tickets, ask, people):
    versions = {row.ticket_id: row.version for row in ask("select ticket_id, version from tickets")}
    ticked = [f"{tickets[0]}:{versions[tickets[0]]}", f"{tickets[1]}:{versions[tickets[1]] - 1}"]
    sent = press(visit("lead"), "/reassign", view="team", to_staff_id=people.colleague, ticket=ticked)
    assert sent.status_code == 303
    answer = visit("lead").get(sent.headers["location"])
    assert "were given away" not in visit("manager").get(sent.headers["location"]).text
    assert "1 tickets were given away" in answer.text
    assert "was changed meanwhile" in answer.text
    owners = {row.ticket_id: row.assignee_id for row in ask("select ticket_id, assignee_id from tickets")}
    assert (owners[tickets[0]], owners[tickets[1]]) == (people.colleague, people.agent)


@pytest.mark.parametrize(
    "fields", [{}, {"ticket": "1:2"}, {"to_staff_id": 1, "ticket": "1:x"}, {"to_staff_id": 1}]
)
def test_a_bulk_without_tickets_or_heir_is_told(visit, tickets, fields):
    assert press(visit("lead"), "/reassign", view="team", **fields).status_code == 422


def test_an_agent_reassigns_nothing(visit, tickets):
    assert "reassign" not in visit("agent").get("/").text
    assert press(visit("agent"), "/reassign", to_staff_id=1, ticket="1:1").status_code == 403


def test_a_view_is_kept_for_its_person_and_forgotten(visit, tickets, ask):
    saved = press(visit("agent"), "/views", view="team", grade="high", name="our <b>best</b>")
    assert saved.headers["location"] == "/?view=team&grade=high"
    shown = visit("agent").get("/").text
    assert "our &lt;b&gt;best&lt;/b&gt;" in shown
    assert "/?view=team&amp;grade=high" in shown
    assert "best" not in visit("colleague").get("/").text
    view = ask("select view_id from saved_views")[0].view_id
    press(visit("colleague"), "/views/forget", view_id=view)
    assert len(ask("select 1 from saved_views")) == 1
    press(visit("agent"), "/views/forget", view_id=view)
    assert ask("select 1 from saved_views") == []


def test_what_subscribers_and_staff_write_is_shown_as_text(visit, tickets, ask):
    ask("update tickets set region_code = '<script>x</script>' returning 1")
    shown = visit("agent").get("/").text
    assert "<script>x" not in shown
    assert "&lt;script&gt;x" in shown


def test_both_languages_have_the_same_words():
    zh, en = catalogue("zh"), catalogue("en")
    assert zh.keys() == en.keys()
    slots = {key: (set(re.findall(r"{(\w+)}", zh[key])), set(re.findall(r"{(\w+)}", en[key]))) for key in zh}
    assert {key: pair for key, pair in slots.items() if pair[0] != pair[1]} == {}


@pytest.mark.parametrize("path", sorted((DESK / "templates").glob("*.html")), ids=lambda path: path.name)
def test_every_word_a_template_asks_for_exists(path):
    text, known = path.read_text("utf-8"), catalogue("en")
    plain = set(re.findall(r"\bt\(['\"]([\w.]+)['\"][,)]", text))
    assert plain <= known.keys(), plain - known.keys()
    for prefix in set(re.findall(r"\bt\(['\"]([\w.]+\.)['\"] ~", text)):
        assert any(key.startswith(prefix) for key in known), prefix
