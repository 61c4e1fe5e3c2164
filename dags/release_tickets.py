"""### Hand out tickets, every working morning

At 08:30 (Asia/Shanghai) each team gets the waiting tickets it can first-contact today, best rank first. Their
clocks start at release. On a rest day the stage releases nothing, unless the Param `on_rest_days` is set.
Running it twice in a morning releases nothing more than the day's capacity.
"""

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.orchestration import DEFAULTS, run_stage

ON_REST_DAYS = Param(
    False, type="boolean", title="On rest days 休息日也放单", description="Release on a rest day, too."
)


@task
def release(params: dict):
    """Give each team what it can first-contact today."""
    from include.stages import release

    return run_stage(release.release, on_rest_days=params["on_rest_days"])


@task(retries=1)
def heartbeats():
    """Alarm when the watcher of the clocks has fallen silent."""
    from include.notices import telling

    return run_stage(telling.check)


@dag(
    schedule=CronTriggerTimetable("30 8 * * *", timezone="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={"on_rest_days": ON_REST_DAYS},
    tags=["churn", "daily"],
    dag_display_name="Release tickets 放单",
    doc_md=__doc__,
)
def release_tickets():
    """The stage decides whether the morning is a working one; beside it, is the watcher alive?"""
    release()
    heartbeats()


release_tickets()
