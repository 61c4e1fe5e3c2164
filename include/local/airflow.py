"""The Airflow of a site as steps: make its databases, start it, run a DAG in it to the end."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from include.config import load_config
from include.domain.campaign_files import COMMON_DAGS
from include.domain.errors import NotReady
from include.domain.periods.period import MONTHLY
from include.local import components
from include.local.api import Api
from include.local.progress import RunFailed, follow, tell
from include.local.sites import ROLES, Site
from include.local.steps import bootstrap_airflow, is_behind, make_databases, once
from include.settings import config_folder


def monthly_campaigns() -> list[str]:
    """The campaigns a month is run for, those the others yield to first; what is wrong with another is told."""
    config = load_config(config_folder())
    for sentence in config.broken.values():
        tell(f"! a campaign cannot run: {sentence}")
    if not (named := config.enabled(MONTHLY)):
        raise NotReady(
            "No monthly campaign is enabled, so there is nothing to run. Enable one in campaigns/."
        )
    return named


def dags() -> list[str]:
    """The DAGs of a site: of every campaign that is enabled, and of all; recalling is done by hand alone."""
    common = [dag for dag in COMMON_DAGS if dag != "recall_tickets"]
    return [*load_config(config_folder()).enabled(), *common]


def start_databases(site: Site) -> None:
    """PostgreSQL with both databases, the operations database at its newest revision."""
    if site.server.is_ready() and site.finished().get("databases") == [*ROLES] and not is_behind(site):
        return
    # Airflow's processes hold code that knows the old revision only
    components.stop(site)
    site.server.start()
    make_databases(site)
    site.finish("databases", [*ROLES])
    tell(f"PostgreSQL is ready on port {site.server.port}")


def start_airflow(site: Site, users: Sequence[tuple[str, str, str]]) -> Api:
    """Airflow with its roles and `users` (username, role, name), healthy, DAGs read, logged in as admin."""
    api = Api(site.url)
    wanted = sorted(username for username, _, _ in users)
    if site.finished().get("users") != wanted:
        bootstrap_airflow(site, users)
        site.finish("users", wanted)
        tell("Airflow's database, roles and users are ready")
    started = components.start(site)
    components.wait_until_healthy(site, api, dags())
    if started:
        tell(f"Airflow is healthy: {site.url}")
    return api


def run_dag(site: Site, api: Api, dag: str, conf: Mapping[str, object]) -> list[Any]:
    """Trigger a DAG, tell its progress and return what its tasks returned; RunFailed when it ends red."""
    run_id = api.trigger(dag, conf)
    api.unpause(dag)
    tell(f"{dag} started: {site.url}/dags/{dag}/runs/{run_id}")
    return follow(site, api, dag, run_id)


def run_dag_once(site: Site, api: Api, dag: str, conf: Mapping[str, object]) -> list[Any]:
    """`run_dag`, unless an earlier command saw it end green; its results are kept."""
    results: list[Any] = once(
        site, f"{dag} {conf.get('month', '')}".strip(), lambda: run_dag(site, api, dag, conf)
    )
    return results


def run_campaigns(
    conf: Mapping[str, object], run: Callable[[str, Mapping[str, object]], list[Any]]
) -> dict[str, list[Any]]:
    """Run the month of every campaign, one after the other; by campaign what its tasks returned.

    One that ends red holds up no other; RunFailed tells of all of them at the end.
    """
    results: dict[str, list[Any]] = {}
    failed: list[str] = []
    for name in monthly_campaigns():
        try:
            results[name] = run(name, conf)
        except RunFailed as error:
            failed.append(str(error))
    if failed:
        raise RunFailed("\n".join(failed))
    return results
