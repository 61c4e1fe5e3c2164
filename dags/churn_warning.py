"""### The closed warning loop, once a month

collection → features → (training) → prediction → grading → dispatch → follow_up, for one month **M**: the
partition key of a scheduled run (06:00 on the 5th of M+1, Asia/Shanghai) or the Param `month` of a manual one.

- Safe to clear, retry, backfill and run twice at any place: the same month gives the same tickets, once.
- A month whose following month is over is graded and evaluated but **never dispatched**, unless `dispatch_late`.
- An unusually large dispatch waits for a person at `dispatch.approve`. Rejected, or unanswered for one working
  day: the run fails with that reason and nothing is dispatched. Clear the task to ask again.
- A task that fails says in one sentence what to do. Follow it, then clear the task.
"""

from airflow.sdk import CronPartitionTimetable, Param, chain, dag, task, task_group

from include import orchestration
from include.approval import DispatchApproval
from include.orchestration import DEFAULTS, LABELS, run_stage

PARAMS = {
    "month": Param(
        None,
        type=["null", "string"],
        pattern=r"^[12]\d{3}-(0[1-9]|1[0-2])$",
        title="Month 月份",
        description="YYYY-MM. Only for a manual run; a scheduled one has its partition key.",
    ),
    "as_of": Param(
        None,
        type=["null", "string"],
        format="date-time",
        title="As of 数据截止",
        description="Facts from this instant on are not known yet. Default: 06:00 on the 5th of the month after.",
    ),
    "dispatch_late": Param(
        False,
        type="boolean",
        title="Dispatch late 逾期派单",
        description="Dispatch although the month after is over. People will get cold tickets.",
    ),
    "top_up": Param(
        False,
        type="boolean",
        title="Top up 补派",
        description="Add new high risk to a cycle already dispatched, within the capacity that is left.",
    ),
    "train": Param(
        False, type="boolean", title="Train 训练", description="Train a model on the months labelled at `as_of` first."
    ),
}


@task
def open_cycle(params: dict, partition_key: str | None = None):
    return orchestration.open_cycle(params, partition_key)


@task_group
def collection(cycle):
    @task
    def plan(cycle: dict):
        from include.stages import collection

        return orchestration.by_feed_and_month(run_stage(collection.plan, cycle))

    @task(map_index_template="{{ task.op_kwargs['feed'] }} {{ task.op_kwargs['periods'][0][:7] }}")
    def collect(cycle: dict, feed: str, periods: list):
        from include.stages import collection

        return [run_stage(collection.collect, cycle, feed=feed, period=period) for period in periods]

    @task(trigger_rule="none_failed")
    def report(cycle: dict):
        from include.stages import collection

        return run_stage(collection.report, cycle)

    collect.partial(cycle=cycle).expand_kwargs(plan(cycle)) >> report(cycle)


@task(trigger_rule="none_failed")
def shards():
    return orchestration.shards()


@task_group
def features(cycle):
    @task(map_index_template="shard {{ task.op_kwargs['shard'] }}")
    def compute(cycle: dict, shard: int):
        from include.stages import features

        return run_stage(features.compute_shard, cycle, shard=shard)

    @task
    def publish(cycle: dict, parts: list):
        from include.stages import features

        return run_stage(features.publish, cycle, parts=parts[:])

    publish(cycle, compute.partial(cycle=cycle).expand(shard=shards()))


@task.skip_if(lambda context: not context["params"]["train"], skip_message="The Param train is off.")
@task
def training(cycle: dict):
    from include.stages import training

    return run_stage(training.train, cycle)


@task_group
def prediction(cycle):
    @task(trigger_rule="none_failed")
    def champions(cycle: dict):
        from include.stages import prediction

        return run_stage(prediction.champions, cycle)

    @task(map_index_template="shard {{ task.op_kwargs['shard'] }}")
    def predict(cycle: dict, champions: dict, shard: int):
        from include.stages import prediction

        return run_stage(prediction.predict_shard, cycle, champions=champions, shard=shard)

    @task
    def publish(cycle: dict, champions: dict, parts: list):
        from include.stages import prediction

        return run_stage(prediction.publish, cycle, champions=champions, parts=parts[:])

    chosen = champions(cycle)
    publish(cycle, chosen, predict.partial(cycle=cycle, champions=chosen).expand(shard=shards()))


@task
def grading(cycle: dict):
    from include.stages import grading

    return run_stage(grading.grade, cycle)


@task_group
def dispatch(cycle):
    @task
    def plan_size(cycle: dict, params: dict):
        from include.stages import dispatch

        return run_stage(dispatch.plan_size, cycle, **orchestration.choices(params))

    approve = DispatchApproval(
        task_id="approve",
        asks_for="dispatch.plan_size",
        execution_timeout=None,
        subject="Dispatch {{ ti.xcom_pull('open_cycle')['month'] }}? 批准本月派单？",
    )

    @task(trigger_rule="none_failed")
    def assign(cycle: dict, params: dict):
        from include.stages import dispatch

        return run_stage(dispatch.dispatch, cycle, **orchestration.choices(params))

    plan_size(cycle) >> approve >> assign(cycle)


@task_group
def follow_up(cycle):
    @task
    def evaluate(cycle: dict):
        from include.stages import follow_up

        return run_stage(follow_up.follow_up, cycle)

    @task(outlets=[LABELS])
    def announce(result: dict, outlet_events):
        orchestration.announce_labels(result, outlet_events)

    announce(evaluate(cycle))


@dag(
    schedule=CronPartitionTimetable("0 6 5 * *", timezone="Asia/Shanghai", run_offset=-1, key_format="%Y-%m"),
    catchup=False,
    max_active_runs=4,
    default_args=DEFAULTS,
    params=PARAMS,
    tags=["churn", "monthly"],
    dag_display_name="Churn warning 离网预警",
    doc_md=__doc__,
)
def churn_warning():
    cycle = open_cycle()
    stages = [collection, features, training, prediction, grading, dispatch, follow_up]
    chain(cycle, *(stage(cycle) for stage in stages))


churn_warning()
