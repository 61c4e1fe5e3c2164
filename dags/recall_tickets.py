"""### Take a wrong batch of tickets back, by hand

Trigger it with the campaign, its cycle, the part of it that was wrong, and the reason. In one transaction the
unfinished tickets of that part are cancelled as recalled and their clocks are void; tickets on which a customer was
contacted stay, unless `contacted_too`. The hold-out of that part is recalled with them. Arms stay as drawn: a
top-up of the campaign may dispatch the same customers again. Running it twice takes back nothing more.
"""

from airflow.sdk import Param, dag, task

from include.domain.campaign_files import cadences
from include.orchestration import DEFAULTS, run_task
from include.settings import config_folder
from include.words import in_airflow

CAMPAIGNS = sorted(cadences(config_folder()))


def _optional(title: str, description: str) -> Param:
    return Param(None, type=["null", "string"], title=title, description=description)


PARAMS = {
    "campaign": Param(
        next(iter(CAMPAIGNS), ""),
        type="string",
        enum=CAMPAIGNS or [""],
        title=in_airflow("recall.campaign"),
        description="Whose tickets.",
    ),
    "cycle": Param(
        "",
        type="string",
        minLength=1,
        title=in_airflow("recall.cycle"),
        description="YYYY-MM, or YYYY-MM-DD of a daily one.",
    ),
    "because": Param(
        "",
        type="string",
        minLength=1,
        title=in_airflow("recall.because"),
        description="Kept with every ticket.",
    ),
    "by": Param(
        "", type="string", minLength=1, title=in_airflow("recall.by"), description="Who takes the batch back."
    ),
    "team": _optional(in_airflow("recall.team"), "Only tickets routed to this team."),
    "region": _optional(in_airflow("recall.region"), "Only this region_code."),
    "rule": _optional(in_airflow("recall.rule"), "Only where this rule fired."),
    "contacted_too": Param(
        False,
        type="boolean",
        title=in_airflow("recall.contacted_too"),
        description="Also where a customer was contacted.",
    ),
}


# one retry: a slip in the form is told within a minute
@task(retries=1)
def recall(params: dict):
    """Take back what the Params select."""
    from include.commands.recall import take_back, wished

    wish = wished(params)
    return run_task(lambda at: take_back(db=at.db, config=at.config, wish=wish, now=at.now))


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params=PARAMS,
    tags=["churn", "by hand"],
    dag_display_name=in_airflow("dags.recall_tickets"),
    doc_md=__doc__,
)
def recall_tickets():
    """One task: all or nothing."""
    recall()


recall_tickets()
