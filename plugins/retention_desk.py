"""The retention desk: a page in Airflow's navigation, and the same full-window at /desk/."""

from airflow.plugins_manager import AirflowPlugin

from include.desk.mount import Desk
from include.words import in_airflow


class RetentionDesk(AirflowPlugin):
    """Mounts the desk's web application; it is built when the first person asks for a page."""

    name = "retention_desk"
    fastapi_apps = [{"app": Desk(), "url_prefix": "/desk", "name": "Retention desk"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": in_airflow("views.desk"),
            "href": "/desk/",
            "destination": "nav",
            "url_route": "retention-desk",
            "nav_top_level": True,
            "icon": "/desk/static/icon.svg",
        },
        # beside every run: what became of the people it warned of
        {
            "name": in_airflow("views.board"),
            "href": "/desk/board?dag={DAG_ID}",
            "destination": "dag_run",
            "url_route": "retention-board",
        },
    ]
