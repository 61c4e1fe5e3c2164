"""### What became of the warned, every morning

At 07:00 (Asia/Shanghai), for every campaign that is enabled: joins outcomes and observed churn, labels every month
that is now complete and evaluates it per grade, cluster and arm. A campaign whose file is wrong fails here every day
with what is wrong in it, until it is mended; the others go on. A labelled month no training has seen is told to the
asset `labels`, which starts `train_models`; told every morning until one has, nothing is lost to a kill or a pause.
Afterwards what has been kept as long as `retention.yaml` says is removed.
"""

from airflow.sdk import CronTriggerTimetable, dag, task, task_group

from include.orchestration import DEFAULTS, LABELS, all_campaigns, announce_labels, notices, run_task
from include.words import in_airflow


@task
def campaigns():
    """The campaigns to follow up, each on its own."""
    return all_campaigns.to_follow_up()


@task_group
def followed(campaign: str):
    """One campaign; what stops it stops no other."""

    @task(map_index_template="{{ task.op_kwargs['campaign'] }}")
    def evaluate(campaign: str):
        """Labels, outcomes and figures per grade, cluster and arm, as known now."""
        return all_campaigns.follow_up(campaign)

    @task(outlets=[LABELS])
    def announce(result: dict, outlet_events):
        """Tell the asset labels which months await training."""
        announce_labels(result, outlet_events)

    announce(evaluate(campaign=campaign))


@task(retries=1)
def heartbeats():
    """Alarm when the watcher of the clocks has fallen silent."""
    return notices.check()


@task(trigger_rule="all_done")
def retain():
    """Remove what has been kept long enough: months of the lake, quarantine, rows of the database."""
    from include.commands import data_retention

    return run_task(lambda at: data_retention.retain(db=at.db, lake=at.lake, config=at.config, now=at.now))


@dag(
    schedule=CronTriggerTimetable("0 7 * * *", timezone="Asia/Shanghai"),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
    tags=["churn", "daily"],
    dag_display_name=in_airflow("dags.follow_up"),
    doc_md=__doc__,
)
def follow_up():
    """Evaluate, announce what became labelled, end what was kept long enough; beside it, is the watcher alive?"""
    each = followed.expand(campaign=campaigns())
    # not after announce: with nothing behind it, a campaign that failed makes the run red
    each.children["followed.evaluate"] >> retain()
    heartbeats()


follow_up()
