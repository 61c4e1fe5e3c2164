"""What every request passes: origin, content, length, headers, and what a visitor is told when something breaks."""

import logging
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from include.desk.app import build
from include.desk.web import reading
from include.desk.web.guards import HEADERS, LONGEST_BODY
from tests.desk.pages.conftest import SITE

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
def nowhere(config, clock):
    """The desk on a database that cannot be reached: nobody gets that far without being let in."""
    app = build("postgresql://nobody:nothing@127.0.0.1:1/none", config, clock)
    yield app
    app.state.database.close()


def client(app, **headers):
    return TestClient(
        app, base_url=SITE, headers=headers, follow_redirects=False, raise_server_exceptions=False
    )


def break_at(app, path, message):
    def broken():
        raise RuntimeError(message)

    app.add_api_route(path, broken)
    app.router.routes.insert(0, app.router.routes.pop())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": SITE}, 401),
        ({"referer": f"{SITE}/tickets/1"}, 401),
        ({"authorization": "Bearer x"}, 401),
        ({}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "http://desk.test.evil.test"}, 403),
        ({"origin": "http://desk.test:81"}, 403),
        ({"origin": "http://[broken"}, 403),
        ({"origin": "http://evil.test", "referer": f"{SITE}/"}, 403),
        ({"origin": SITE, "content-type": "text/plain"}, 415),
        ({"origin": SITE, "content-type": "multipart/form-data; boundary=x"}, 415),
        ({"authorization": "Bearer x", "content-type": "text/plain"}, 415),
    ],
)
def test_a_write_comes_from_the_same_site_as_form_or_json(nowhere, tokens, headers, status):
    for path in ("/tickets/1/claim", "/api/v1/tickets/1/claim"):
        answer = client(nowhere).post(path, content="{}", headers=FORM | headers)
        assert (path, answer.status_code) == (path, status), answer.text
        assert ("error" in answer.json()) if "/api/" in path else "<html" in answer.text


def test_a_program_that_sends_no_body_needs_no_content_type(nowhere, tokens):
    answer = client(nowhere).post("/api/v1/next", headers={"authorization": "Bearer x"})
    assert answer.status_code == 401
    assert client(nowhere).post("/api/v1/next", headers={"origin": SITE}).status_code == 415


def test_every_answer_carries_the_strict_headers(nowhere, tokens):
    break_at(nowhere, "/broken", "x")
    browser = client(nowhere, origin=SITE)
    answers = [
        browser.get("/"), browser.get("/static/desk.css"), browser.get("/no/such/page"), browser.get("/broken"),
        browser.delete("/tickets/1"), browser.post("/tickets/1/claim"), browser.post("/tickets/1/claim", data={}),
        browser.get("/api/v1/tickets"), browser.get("/?view=%ff"), browser.head("/static/desk.css"),
        browser.post("/tickets/1/claim", content=b"x" * (LONGEST_BODY + 1), headers=FORM),
    ]  # fmt: skip
    assert [answer.status_code for answer in answers] == [
        303,
        200,
        404,
        500,
        415,
        415,
        415,
        401,
        422,
        200,
        413,
    ]
    for answer in answers:
        assert {name: answer.headers[name] for name in HEADERS} == HEADERS
        is_static = answer.status_code == 200
        assert answer.headers["cache-control"] == ("private, max-age=3600" if is_static else "no-store")
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_a_body_longer_than_allowed_is_refused_whatever_it_claims(nowhere, tokens):
    def stream(size):
        yield from (b"x" * 1024 for _ in range(size // 1024))

    browser = client(nowhere, origin=SITE, **FORM)
    fits, too_long = LONGEST_BODY, LONGEST_BODY + 1024
    assert browser.post("/tickets/1/claim", content=stream(fits)).status_code == 401
    assert browser.post("/tickets/1/claim", content=stream(too_long)).status_code == 413
    assert browser.post("/tickets/1/claim", content=b"x" * too_long).status_code == 413
    told = browser.post("/api/v1/tickets/1/claim", content=stream(too_long)).json()
    assert told["error"]["kind"] == "too_long"
    claimed = {"content-length": "twelve"}
    assert browser.post("/tickets/1/claim", content=stream(1024), headers=claimed).status_code == 413


@pytest.mark.parametrize("sent", [b"note=%ff%fe", b"note=\xe4\xbd", b"note=a%00b", b"note=a\0b"])
def test_what_is_not_text_is_refused_before_anything_is_done(nowhere, tokens, sent):
    browser = client(nowhere, origin=SITE)
    assert browser.post("/tickets/1/survey", content=sent, headers=FORM).status_code == 422
    json = {"content-type": "application/json"}
    raw = sent.replace(b"%ff%fe", b"\xff\xfe").replace(b"%00", b"\0")
    assert browser.post("/api/v1/tickets/1/survey", content=raw, headers=json).status_code == 422


def test_the_head_of_a_page_is_that_of_the_page_without_its_body(nowhere, tokens):
    browser = client(nowhere)
    whole, head = browser.get("/static/desk.css"), browser.head("/static/desk.css")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]
    assert browser.head("/").status_code == 303
    assert browser.head("/tickets/1").headers["location"] == browser.get("/tickets/1").headers["location"]


def test_a_browser_is_led_to_the_login_and_back_a_program_is_told(nowhere, tokens):
    browser = client(nowhere, origin=SITE)
    asked = "/tickets/7?a=1&b=%E7%BB%B4"
    answer = browser.get(asked)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/api/v2/auth/login?next={quote(asked, safe='')}"
    posted = browser.post("/tickets/7/claim", data={"version": "2"}, headers={"accept-language": "en"})
    assert posted.status_code == 401 and "login has ended" in posted.text
    told = browser.get("/api/v1/tickets/7")
    assert (told.status_code, told.headers["www-authenticate"]) == (401, "Bearer")
    assert told.json()["error"]["kind"] == "not_logged_in"


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/no/such", 404), ("PUT", "/", 405), ("GET", "/../etc", 404)]
)
def test_an_unknown_address_is_told_in_page_and_json(nowhere, tokens, method, path, status):
    browser = client(nowhere, origin=SITE, **{"content-type": "application/json"})
    page, told = browser.request(method, path), browser.request(method, f"/api/v1{path}")
    assert page.status_code == status and "<html" in page.text
    assert told.status_code in (404, 405) and set(told.json()["error"]) == {
        "kind",
        "code",
        "message",
        "values",
        "details",
    }


def test_a_mistake_of_ours_is_told_by_a_number_and_logged_without_anybodys_data(nowhere, tokens, caplog):
    for path in ("/broken", "/api/v1/broken"):
        break_at(nowhere, path, "no plan for 13800138000")
    with caplog.at_level(logging.ERROR):
        page = client(nowhere).get("/broken", headers={"accept-language": "en"})
        told = client(nowhere).get("/api/v1/broken")
    assert page.status_code == told.status_code == 500
    references = [record.args[0] for record in caplog.records if record.name == "include.desk.web.guards"]
    assert len(references) == 2
    assert references[0] in page.text and references[1] in told.json()["error"]["message"]
    assert "RuntimeError" in caplog.text and "in broken" in caplog.text
    assert "13800138000" not in caplog.text + page.text + told.text


def test_a_database_that_is_away_is_told_in_a_sentence(nowhere, tokens):
    bearer = {"authorization": f"Bearer {tokens['agent']}"}
    page = client(nowhere).get("/", headers=bearer | {"accept-language": "zh"})
    told = client(nowhere).get("/api/v1/tickets", headers=bearer)
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "无法连接数据库" in page.text and "127.0.0.1" not in page.text
    assert (told.status_code, told.json()["error"]["kind"]) == (503, "down")


def test_a_slow_statement_and_a_full_pool_are_told_in_a_sentence(
    role_url, config, clock, tickets, tokens, db, monkeypatch
):
    monkeypatch.setattr(reading, "STATEMENT_MS", 300)
    monkeypatch.setattr(reading, "WAIT_SECONDS", 0.3)
    app = build(role_url("churn_desk"), config, clock)
    browser = client(app, authorization=f"Bearer {tokens['agent']}")
    body = {"version": 2, "channel": "call", "result": "reached"}
    with db.begin():
        db.execute(sa.text("select 1 from tickets where ticket_id = :id for update"), {"id": tickets[0]})
        slow = browser.post(f"/api/v1/tickets/{tickets[0]}/contact", json=body)
    assert (slow.status_code, slow.json()["error"]["kind"]) == (503, "slow")
    pool = app.state.database._engine
    taken = [pool.connect() for _ in range(reading.CONNECTIONS)]
    full = browser.get("/api/v1/tickets")
    for connection in taken:
        connection.close()
    assert (full.status_code, full.json()["error"]["kind"]) == (503, "busy")
    assert browser.post(f"/api/v1/tickets/{tickets[0]}/contact", json=body).status_code == 200
    app.state.database.close()
