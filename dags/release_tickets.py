"""### Hand out tickets, every working morning

First the day feeds `subscriber_changes` and `contact_limits` that have landed are collected and processed, rest
days too: unfinished tickets of subscribers who are gone or refuse are cancelled, those of port-out applicants
frozen, in every campaign. While a delivery of these feeds cannot be read, nothing is released: mend it, or
decide to go on without the file, then clear the task `collection`.

At 08:30 (Asia/Shanghai) each team gets the waiting tickets it can first-contact today, best rank first. Their
clocks start at release. On a rest day the stage releases nothing, unless the Param `on_rest_days` is set.
Running it twice in a morning releases nothing more than the day's capacity.
"""

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.orchestration import DEFAULTS, morning, notices, run_task
from include.words import in_airflow

ON_REST_DAYS = Param(
    False, type="boolean", title=in_airflow("form.on_rest_days"), description="Release on a rest day, too."
)


@task
def collection():
    """Collect what has landed of the day feeds."""
    return morning.collect_days()


@task(trigger_rule="all_done")
def limits():
    """Cancel, freeze and unfreeze tickets by what is known now; also when a delivery could not be read."""
    return morning.process_limits()


@task
def release(params: dict):
    """Give each team what it can first-contact today."""
    from include.stages import release

    is_any_day = params["on_rest_days"]
    return run_task(
        lambda at: release.release(db=at.db, config=at.config, now=at.now, on_rest_days=is_any_day)
    )


@task(retries=1)
def heartbeats():
    """Alarm when the watcher of the clocks has fallen silent."""
    return notices.check()


@dag(
    schedule=CronTriggerTimetable("30 8 * * *", timezone="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    params={"on_rest_days": ON_REST_DAYS},
    tags=["churn", "daily"],
    dag_display_name=in_airflow("dags.release_tickets"),
    doc_md=__doc__,
)
def release_tickets():
    """Day feeds in, tickets brought up to them, then released on working mornings; beside it, is the watcher alive?"""
    collected, limited = collection(), limits()
    collected >> limited
    [collected, limited] >> release()
    heartbeats()


release_tickets()
