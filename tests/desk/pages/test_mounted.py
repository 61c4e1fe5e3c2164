"""The desk inside a real Airflow: its own application with the plugin, its login, its navigation."""

import re
import sys
from subprocess import run

import pytest
from fastapi.testclient import TestClient

from tests.architecture import ROOT
from tests.desk.pages.conftest import SITE


@pytest.fixture
def airflow(airflow_environment, tokens):
    """A browser at the api-server of Airflow with our plugin, on this test's database."""
    from airflow import plugins_manager
    from airflow.api_fastapi.app import create_app

    for cached in vars(plugins_manager).values():
        getattr(cached, "cache_clear", lambda: None)()
    app = create_app(apps="core")
    return TestClient(app, base_url=SITE, follow_redirects=False, headers={"accept-language": "en"})


def test_a_person_logs_in_where_airflow_does_and_comes_back_to_the_desk(airflow, tickets):
    asked = f"/desk/tickets/{tickets[0]}?from=desk"
    to_login = airflow.get(asked)
    assert to_login.status_code == 303
    form_at = airflow.get(to_login.headers["location"]).headers["location"]
    form = airflow.get(form_at)
    csrf = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    typed = {"username": "agent", "password": "of agent"} | ({"csrf_token": csrf[1]} if csrf else {})
    logged_in = airflow.post(form_at, data=typed)
    assert logged_in.status_code == 302 and logged_in.headers["location"].endswith(asked)
    page = airflow.get(logged_in.headers["location"])
    assert page.status_code == 200 and f"#{tickets[0]}" in page.text
    assert 'href="/desk/static/desk.css"' in page.text
    assert airflow.get("/desk/static/desk.css").headers["content-type"].startswith("text/css")
    assert airflow.get("/desk/").status_code == 200


def test_the_api_answers_below_the_mount_and_airflow_keeps_staff_from_dags(airflow, tickets, tokens):
    assert airflow.get("/desk/api/v1/tickets").json()["error"]["kind"] == "not_logged_in"
    bearer = {"authorization": f"Bearer {tokens['agent']}"}
    mine = airflow.get("/desk/api/v1/tickets?view=mine", headers=bearer).json()
    assert {ticket["ticket_id"] for ticket in mine["tickets"]} == set(tickets[:2])
    body = {"version": 2, "channel": "call", "result": "reached"}
    done = airflow.post(f"/desk/api/v1/tickets/{tickets[0]}/contact", json=body, headers=bearer)
    assert done.json() == {"ticket_id": tickets[0], "version": 3}
    assert airflow.get("/api/v2/dags", headers=bearer).status_code == 403


def test_the_plugin_is_read_by_airflow_without_a_complaint(airflow):
    from airflow import plugins_manager
    from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse

    told = next(each for each in plugins_manager.get_plugin_info() if each["name"] == "retention_desk")
    described = PluginResponse.model_validate(told)
    (view,) = (view for view in described.external_views if view.destination == "nav")
    assert (view.href, view.url_route) == ("/desk/", "retention-desk")
    assert [app.url_prefix for app in described.fastapi_apps] == ["/desk"]
    assert plugins_manager.get_import_errors() == {}


def test_reading_the_plugin_loads_no_web_framework_and_no_database():
    program = (
        "import sys; before = set(sys.modules); import include.desk.mount; "
        "print([name for name in ('fastapi', 'starlette', 'sqlalchemy', 'pydantic', 'jinja2', 'polars')"
        " if name in set(sys.modules) - before])"
    )
    told = run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
