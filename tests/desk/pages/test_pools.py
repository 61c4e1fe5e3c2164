"""Pools over HTTP: not listed for agents, the next one by button and API, refusals in both languages."""

import pytest

from tests.desk.pages.test_queue import listed, press
from tests.fixtures.pools import POOL, with_campaign

CAMPAIGN = "coaching"


@pytest.fixture
def desk_app(desk_app):
    desk_app.state.config = with_campaign(
        desk_app.state.config, CAMPAIGN, routing=POOL | {"quota": 1}, zh="辅导", en="Coaching"
    )
    return desk_app


@pytest.fixture
def pool(db, ask, tickets):
    """Two released tickets of the pool, nobody's; and two more the colleague has of another campaign."""
    ask(
        "update tickets set assignee_id = null, is_pool = true, campaign = :name where ticket_id = any(:ids)"
        " returning 1",
        ids=tickets[:2], name=CAMPAIGN,
    )  # fmt: skip
    return tickets[:2]


def test_agents_do_not_see_listed_what_lies_in_a_pool_and_leads_do(visit, tickets, pool):
    for view in ("team", "unassigned"):
        assert listed(visit("agent").get(f"/?view={view}").text) == []
        assert visit("agent").get("/api/v1/tickets", params={"view": view}).json()["tickets"] == []
        assert set(pool) <= set(listed(visit("lead").get(f"/?view={view}").text))
    assert listed(visit("manager").get("/?view=unassigned").text) == pool


def test_a_ticket_of_a_pool_says_so_and_offers_an_agent_no_way_to_take_it(visit, pool):
    shown = visit("agent").get(f"/tickets/{pool[1]}").text
    assert "It lies in a pool" in shown
    assert f"/tickets/{pool[1]}/do_not_call" in shown
    for form in ("claim", "contact", "call", "reveal"):
        assert f"/tickets/{pool[1]}/{form}" not in shown
    of_lead = visit("lead").get(f"/tickets/{pool[1]}").text
    assert f"/tickets/{pool[1]}/reassign" in of_lead and f"/tickets/{pool[1]}/claim" not in of_lead


def test_a_chosen_one_is_refused_in_the_words_of_the_reader(visit, pool):
    refused = press(visit("agent"), f"/tickets/{pool[1]}/claim", version=2)
    assert (refused.status_code, "Ask for the next ticket" in refused.text) == (409, True)
    told = visit("agent", "zh").post(f"/api/v1/tickets/{pool[1]}/claim", json={"version": 2}).json()["error"]
    assert (told["code"], "不能自选" in told["message"]) == ("pool_gives_the_next", True)


def test_next_leads_to_the_best_ranked_then_says_that_the_quota_is_used(visit, pool, ask):
    assert press(visit("agent"), "/next").headers["location"] == f"/tickets/{pool[0]}"
    shown = visit("agent").get(f"/tickets/{pool[0]}").text
    assert f"/tickets/{pool[0]}/contact" in shown and "It lies in a pool" not in shown
    ask("update tickets set team = 'vip' where ticket_id = :id returning 1", id=pool[0])  # out of hand
    ask("update tickets set assignee_id = null where ticket_id = :id returning 1", id=pool[0])
    refused = press(visit("agent"), "/next")
    assert (refused.status_code, "Your quota of campaign" in refused.text) == (409, True)
    told = visit("agent", "zh").post("/api/v1/next", json={}).json()["error"]
    assert told["code"] == "quota_reached"
    assert told["values"] == {"most": 1, "campaign": CAMPAIGN}
    assert "您在活动“辅导”本周期的领取上限 1 张已用完" in told["message"]


def test_a_program_is_given_the_next_once_however_often_it_asks_under_a_key(visit, pool, ask):
    for _ in range(2):
        answer = visit("agent").post("/api/v1/next", json={}, headers={"idempotency-key": "again"})
        assert answer.json() == {"ticket_id": pool[0]}
    assert ask("select count(*) as claims from ticket_events where kind = 'claim'")[0].claims == 1


def test_passing_by_gives_the_next_of_the_pool_and_counts_also_when_the_pool_gives_no_more(
    visit, pool, tickets, ask, people
):
    give = "update tickets set assignee_id = :who where ticket_id = :id returning 1"
    browser = visit("agent")
    for own, expected in ((tickets[2], f"/tickets/{pool[0]}"), (tickets[3], "/?none_left=1")):
        ask(give, who=people.agent, id=own)
        assert press(browser, "/next").headers["location"] == f"/tickets/{own}"
        assert press(browser, f"/tickets/{own}/skip").headers["location"] == expected
        ask(give, who=people.colleague, id=pool[0])
    assert [row.ticket_id for row in ask("select ticket_id from ticket_skips order by skip_id")] == tickets[
        2:
    ]
