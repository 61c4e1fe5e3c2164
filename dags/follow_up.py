"""### What became of the warned, every morning

At 07:00 (Asia/Shanghai): joins outcomes and observed churn, labels every month that is now complete and
evaluates it per grade, cluster and arm. A labelled month no training has seen is told to the asset `labels`,
which starts `train_models`; told every morning until one has, nothing is lost to a kill or a pause.
"""

from airflow.sdk import CronTriggerTimetable, dag, task

from include.orchestration import DEFAULTS, LABELS, announce_labels, right_now, run_stage


@task
def evaluate():
    """Labels, outcomes and figures per grade, cluster and arm, as known now."""
    from include.stages import follow_up

    return run_stage(follow_up.follow_up, as_of=right_now())


@task(outlets=[LABELS])
def announce(result: dict, outlet_events):
    """Tell the asset labels which months await training."""
    announce_labels(result, outlet_events)


@task(retries=1)
def heartbeats():
    """Alarm when the watcher of the clocks has fallen silent."""
    from include.notices import telling

    return run_stage(telling.check)


@dag(
    schedule=CronTriggerTimetable("0 7 * * *", timezone="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["churn", "daily"],
    dag_display_name="Follow up 跟踪回访",
    doc_md=__doc__,
)
def follow_up():
    """Evaluate, then announce what became labelled; beside it, is the watcher of the clocks alive?"""
    announce(evaluate())
    heartbeats()


follow_up()
