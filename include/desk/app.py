"""The desk's web application: routes, walls and the answers to what went wrong, put together."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from include.config import Config, load_config
from include.config.readers.desk import DeskRules, load_desk
from include.desk import api, pages
from include.desk.calls.dialling import Dial, dial_from_airflow
from include.desk.web import errors
from include.desk.web.guards import Walls
from include.desk.web.reading import Database
from include.domain.periods.months import ZONE
from include.settings import config_folder

_HERE = Path(__file__).parent


def build_from_airflow() -> FastAPI:
    """The desk of a running Airflow: its Connection `churn_desk_db`, its users, the real time."""
    from airflow.models.connection import Connection

    url = Connection.get_connection_from_secrets("churn_desk_db").get_uri()
    folder = config_folder()
    rules, dial = load_desk(folder), dial_from_airflow()
    return build(url, load_config(folder), lambda: datetime.now(ZONE), rules, dial)


def build(
    url: str,
    config: Config,
    clock: Callable[[], datetime],
    rules: DeskRules | None = None,
    dial: Dial | None = None,
) -> FastAPI:
    """The desk on the database behind `url`; `clock` gives the instant of each request.

    `rules` are the project's own unless given; without `dial` a call is a link to the computer's telephone.
    """
    app = FastAPI(title="Retention desk", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.database, app.state.config, app.state.clock = Database(url), config, clock
    app.state.rules, app.state.dial = rules or load_desk(_HERE.parent / "config"), dial
    for router in (*pages.ROUTERS, api.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    errors.add_to(app)
    app.add_middleware(Walls)
    return app
