"""What people and programs should not send: the desk takes it as text or refuses it, and never breaks."""

import json
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.desk.api import described
from tests.desk.pages.conftest import SITE

INJECTION = "'; update tickets set state = 'cancelled'; --"
SCRIPT = '<script>alert("x")</script>'
SLOWLY = settings(
    max_examples=150,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

# ---- requests drawn from the description of the API

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)
TIMES = st.sampled_from(
    ["2026-11-09T09:00:00+08:00", "0001-01-01T00:00:00Z", "9999-12-31", "2026-11-10", "now"]
)
SCHEMAS: dict[str, Any] = described()["components"]["schemas"]


def mostly(usual: st.SearchStrategy[Any], rare: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The usual six times out of seven."""
    return st.integers(0, 6).flatmap(lambda drawn: rare if drawn == 6 else usual)


def fitting(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that mostly fit a schema."""
    if "$ref" in schema:
        return fitting(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return st.one_of(*map(fitting, schema["anyOf"]))
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("type") == "object":
        fields = {name: fitting(each) for name, each in schema["properties"].items()}
        told = {name: mostly(each, ANYTHING) for name, each in fields.items()}
        needed = {name: told.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(needed, optional=told)
    if schema.get("type") == "array":
        return st.lists(fitting(schema["items"]), max_size=3)
    return {
        "integer": mostly(st.integers(1, 3), st.integers()),
        "string": TIMES if "format" in schema else st.text(max_size=30) | st.just("plan_discount"),
        "null": st.none(),
    }[schema["type"]]


def requests(
    ticket_ids: list[int],
) -> st.SearchStrategy[tuple[str, str, Any, dict[str, str], dict[str, str]]]:
    """Method, path, body, query and headers of any operation."""
    known = st.sampled_from([*map(str, ticket_ids), "99999"])
    numbers = mostly(known, st.sampled_from(["0", "-1", str(2**63), "9" * 30, "1.0", "%00", "x"]))
    asciis = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12)
    told = []
    for path, operations in described()["paths"].items():
        for method, operation in operations.items():
            wants_body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            body = mostly(fitting(wants_body["schema"]), ANYTHING) if wants_body else st.none()
            names = {where: [] for where in ("query", "header", "path")}
            for parameter in operation.get("parameters", ()):
                names[parameter["in"]].append(parameter["name"])
            query = st.dictionaries(
                st.sampled_from(names["query"] or ["x"]), st.text(max_size=20), max_size=3
            )
            heads = mostly(
                st.just({}),
                st.dictionaries(st.sampled_from(names["header"] or ["x-none"]), asciis, max_size=2),
            )
            paths = numbers.map(lambda number, path=path: path.replace("{ticket_id}", number))
            told.append(st.tuples(st.just(method), paths, body, query, heads))
    return st.one_of(*told)


def test_no_request_drawn_from_the_description_breaks_the_api(visit, tickets):
    agent = visit("agent")
    seen = set()

    @SLOWLY
    @given(requests(tickets[:3]))
    def send(request):
        method, path, body, query, headers = request
        sent = {} if method == "get" else {"content": json.dumps(body)}
        typed = headers | {"content-type": "application/json"}
        answer = agent.request(method, path, params=query, headers=typed, **sent)
        seen.add(answer.status_code)
        assert answer.status_code < 500, (request, answer.text)
        if answer.status_code >= 400:
            assert set(answer.json()["error"]) == {"kind", "code", "message", "values", "details"}

    send()
    assert {200, 404, 409, 422} <= seen  # neither everything refused nor everything let in


# ---- each kind of ill will once, through forms, filters and the API


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
