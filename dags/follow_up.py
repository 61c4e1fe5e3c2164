"""### What became of the warned, every morning

At 07:00 (Asia/Shanghai): joins outcomes and observed churn, labels every month that is now complete and
evaluates it per grade, cluster and arm. A labelled month no training has seen is told to the asset `labels`,
which starts `train_models`; told every morning until one has, nothing is lost to a kill or a pause. Afterwards
what has been kept as long as `retention.yaml` says is removed.
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


@task
def retain():
    """Remove what has been kept long enough: months of the lake, quarantine, rows of the database."""
    from include import retention

    return run_stage(retention.retain, now=right_now())


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
    """Evaluate, announce what became labelled, end what was kept long enough; beside it, is the watcher alive?"""
    evaluated = evaluate()
    announce(evaluated)
    evaluated >> retain()
    heartbeats()


follow_up()
