"""The desk's web application: routes, walls and the answers to what went wrong, put together."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from include.config import Config, load_config
from include.desk import pages
from include.desk.errors import Denied, UnknownLogin, answer_denied, answer_error, answer_unknown_login
from include.desk.reading import Database
from include.desk.walls import Walls
from include.domain.errors import LoopError
from include.domain.months import ZONE
from include.settings import config_folder

_HERE = Path(__file__).parent


def build_from_airflow() -> FastAPI:
    """The desk of a running Airflow: its Connection `churn_desk_db`, its users, the real time."""
    from airflow.models.connection import Connection

    url = Connection.get_connection_from_secrets("churn_desk_db").get_uri()
    return build(url, load_config(config_folder()), lambda: datetime.now(ZONE))


def build(url: str, config: Config, clock: Callable[[], datetime]) -> FastAPI:
    """The desk on the database behind `url`; `clock` gives the instant of each request."""
    app = FastAPI(title="Retention desk", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.database, app.state.config, app.state.clock = Database(url), config, clock
    for router in pages.ROUTERS:
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=_HERE / "static"), name="static")
    app.add_exception_handler(Denied, answer_denied)
    app.add_exception_handler(UnknownLogin, answer_unknown_login)
    app.add_exception_handler(LoopError, answer_error)
    app.add_middleware(Walls)
    return app
