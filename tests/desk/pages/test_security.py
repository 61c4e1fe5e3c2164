"""What people and programs should not send: the desk takes it as text or refuses it, and never breaks."""

import pytest
import sqlalchemy as sa

from tests.desk.pages.conftest import SITE

INJECTION = "'; update tickets set state = 'cancelled'; --"
SCRIPT = '<script>alert("x")</script>'


@pytest.fixture
def stored(db):
    """One column of every row of a table."""

    def read(table, column):
        with db.begin():
            return list(db.execute(sa.text(f"select {column} from {table} order by 1")).scalars())

    return read


def test_sql_in_any_field_or_filter_stays_text(visit, tickets, stored):
    agent = visit("agent")
    for path in ("/", "/api/v1/tickets"):
        for name in ("view", "grade", "region", "tier", "after"):
            answer = agent.get(path, params={name: INJECTION[:20]})
            assert answer.status_code in (200, 422), (path, name)
    fields = (
        "channel",
        "result",
        "note",
        "needs",
        "offer",
        "outcome",
        "order_number",
        "reason",
        "words",
        "unit",
    )
    typed = dict.fromkeys(fields, INJECTION) | {"version": "2"}
    for form in ("survey", "plan", "processing", "close", "open_task", "pause", "merge", "cancel"):
        assert agent.post(f"/tickets/{tickets[0]}/{form}", data=typed).status_code in (403, 409, 422)
    agent.post("/search", data={"what": INJECTION, "words": INJECTION})
    contact = {"version": 2, "channel": "call", "result": "reached", "note": INJECTION}
    assert agent.post(f"/api/v1/tickets/{tickets[0]}/contact", json=contact).status_code == 200
    assert stored("contact_attempts", "note") == [INJECTION]
    assert set(stored("tickets", "state")) == {"assigned", "in_progress"}


def test_a_script_in_what_a_subscriber_said_is_shown_as_text(visit, tickets, db):
    agent, mine = visit("agent"), tickets[0]
    for version, form, typed in (
        (2, "contact", {"channel": "call", "result": "reached"}),
        (3, "survey", {"needs": "other"}),
    ):
        sent = agent.post(f"/tickets/{mine}/{form}", data={"version": version, "note": SCRIPT, **typed})
        assert sent.status_code == 303
    with db.begin():
        db.execute(sa.text("update tickets set region_code = :words"), {"words": SCRIPT})
    refused = agent.post(f"/tickets/{mine}/survey", data={"version": 2, "needs": "other", "note": SCRIPT})
    filtered = agent.get("/", params={"region": SCRIPT[:40]})
    for page in (agent.get(f"/tickets/{mine}"), agent.get("/"), refused, filtered):
        assert "<script>alert" not in page.text
        assert "&lt;script&gt;alert" in page.text
    assert refused.status_code == 409


def test_input_longer_than_any_field_is_refused(visit, tickets, stored):
    agent = visit("agent")
    typed = {"version": "2", "channel": "call", "result": "reached", "note": "长" * 2001}
    assert agent.post(f"/tickets/{tickets[0]}/contact", data=typed).status_code == 422
    assert agent.post(f"/api/v1/tickets/{tickets[0]}/contact", json=typed).status_code == 422
    assert (
        agent.post(f"/tickets/{tickets[0]}/contact", data=typed | {"note": "x" * 70_000}).status_code == 413
    )
    for path in ("/", "/api/v1/tickets"):
        assert agent.get(path, params={"region": "x" * 3000}).status_code == 422
    assert agent.get("/tickets/" + "9" * 400).status_code in (404, 422)
    assert stored("contact_attempts", "note") == []


@pytest.mark.parametrize(
    "place", ["//evil.test", "https://evil.test/", "/\\evil.test", "/%5cevil.test", "\\\\evil.test"]
)
def test_the_choice_of_a_language_leads_nowhere_else(visit, tickets, place):
    target = visit("agent").get("/choose", params={"language": "en", "back": place}).headers["location"]
    assert target == "/" or (target.startswith("/") and target[1] not in "/\\")
    assert SITE not in target
