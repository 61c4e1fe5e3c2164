"""### Judge the clocks of open tickets, every 15 minutes of working time

09:00–18:15 (Asia/Shanghai), rest days too: stamps warnings and breaches of first-contact and plan deadlines,
each once. No deadline falls on a rest day, so a tick there finds nothing new, unless ticks were missed: the
next one, on whatever day, notices what is due by then. A missed tick loses nothing. Notices go out after each
tick; the mornings' `release_tickets` and `follow_up` look whether the ticks of this DAG are missing.
"""

from datetime import timedelta

from airflow.sdk import MultipleCronTriggerTimetable, dag, task

from include.orchestration import DEFAULTS, run_task
from include.orchestration import notices as due
from include.words import in_airflow


@task(execution_timeout=timedelta(minutes=10), retries=1)
def sla():
    """Stamp warnings and breaches, each once."""
    from include.stages import sla

    return run_task(lambda at: sla.watch(db=at.db, config=at.config, now=at.now))


@task(execution_timeout=timedelta(minutes=10), retries=1, trigger_rule="all_done")
def notices():
    """Gather notices into one digest per person on duty, and deliver what is due."""
    return due.tell()


@dag(
    schedule=MultipleCronTriggerTimetable("*/15 9-17 * * *", "0,15 18 * * *", timezone="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["churn", "working time"],
    dag_display_name=in_airflow("dags.watch_sla"),
    doc_md=__doc__,
)
def watch_sla():
    """The stage reads the stored deadlines, whatever the day; then notices go out, also when it failed."""
    sla() >> notices()


watch_sla()
