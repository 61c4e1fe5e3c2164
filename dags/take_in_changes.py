"""### Take in what lands through the day, every 5 minutes

08:00–20:55 (Asia/Shanghai), every day: when files of `subscriber_changes` or `contact_limits` have landed since the
last look, they are collected and reach the tickets of every campaign: an applicant to port out is frozen, who is
gone or refuses is cancelled, within minutes and not only next morning. Nothing new: nothing is read, one task runs.

A delivery that cannot be read is told once a day, tried again when something lands, and holds back none of what
else is known; having decided to go on without a file, clear the task `collection`.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from include.orchestration import DEFAULTS, morning
from include.words import in_airflow


@task.short_circuit(retries=1)
def look():
    """Has anything landed since the last look? Reads no file."""
    return morning.look()


@task(retries=1)
def collection(landed: str):
    """Collect what has landed of the day feeds."""
    return morning.collect_landed(landed)


@task(trigger_rule="all_done")
def limits(landed: str):
    """Cancel, freeze and unfreeze tickets by what is known now; also when a delivery could not be read."""
    return morning.process_limits(landed)


@dag(
    schedule=CronTriggerTimetable("*/5 8-20 * * *", timezone="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args={**DEFAULTS, "execution_timeout": timedelta(minutes=30)},
    tags=["churn", "working time"],
    dag_display_name=in_airflow("dags.take_in_changes"),
    doc_md=__doc__,
)
def take_in_changes():
    """A look; when something has landed, it comes in and reaches the tickets."""
    landed = look()
    collection(landed) >> limits(landed)


take_in_changes()
