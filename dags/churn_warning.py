"""### The closed warning loop, once a month

collection → features → (training) → prediction → grading → dispatch → outreach → follow_up, for one month
**M**: the partition key of a scheduled run (06:00 on the 5th of M+1, Asia/Shanghai) or the Param `month` of a
manual one. `drift` is measured beside grading and holds nothing up; `dispatch` begins with `limits`, which ends
or freezes the tickets of those who left, refuse or port out.

- Safe to clear, retry, backfill and run twice at any place: the same month gives the same tickets, once.
- A month whose following month is over is graded and evaluated but **never dispatched**, unless
  `dispatch_late` is set.
- An unusually large dispatch waits for a person at `dispatch.approve`, who sees it against the month before and
  may let all of it go out, the best ranked alone, or have the month scored again by last month's model or by the
  rules. Rejected, or unanswered for one working day: the run fails with that reason and nothing is dispatched.
  Clear `dispatch.plan_size` and `dispatch.approve` to plan and ask anew: every plan has a question of its own.
- A scheduled run waits at `collection.required` for the feeds it cannot do without, until the hour of
  `sources.yaml`; then it fails once, naming feeds, regions and counts.
- A task that fails says in one sentence what to do. Follow it, then clear the task.
- A run works with the configuration it was opened with, to its end. After editing it clear `open_cycle` with
  everything downstream.
- What became of the people warned of is on the [retention board](/desk/board), which links back to the runs.
"""

from airflow.sdk import CronPartitionTimetable, Param, chain, dag, task, task_group

from include import monthly_run
from include.approval import DispatchApproval, answer_to
from include.orchestration import (
    DEFAULTS,
    FACTORS,
    LABELS,
    announce_drift,
    announce_labels,
    finish_stage,
    run_stage,
    write_part,
)
from include.waiting import RequiredFeeds

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
        description="Facts from then on are not known yet. Default: 06:00 on the 5th of the month after.",
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
        False,
        type="boolean",
        title="Train 训练",
        description="Train a model on the months labelled at `as_of` first.",
    ),
}


@task
def open_cycle(params: dict, partition_key: str | None = None):
    """Find the month and open its cycle, or take up the one that stands."""
    return monthly_run.open_cycle(params, partition_key)


@task_group
def collection(cycle):
    """Bring new and changed deliveries into the lake."""

    @task
    def plan(cycle: dict):
        """Which feeds and months have new or changed deliveries."""
        from include.stages import collection

        return monthly_run.by_feed_and_month(run_stage(collection.plan, cycle))

    @task(map_index_template=monthly_run.COLLECTED)
    def collect(cycle: dict, feed: str, periods: list):
        """Validate, quarantine, reconcile and publish the deliveries of one feed and month."""
        return monthly_run.labelled(monthly_run.collect_periods(cycle, feed, periods))

    @task(trigger_rule="none_failed", outlets=[monthly_run.COLLECTION])
    def report(cycle: dict, required: dict, collected: list, outlet_events):
        """Say what stands for the month and what the operator did not deliver, on the asset's page as well."""
        told = finish_stage(monthly_run.report_collection, cycle, collected=[required, *collected[:]])
        return monthly_run.announce_collection(told, outlet_events)

    required = RequiredFeeds(task_id="required", cycle_from="open_cycle")
    planned = plan(cycle)
    cycle >> required >> planned
    report(cycle, required.output, collect.partial(cycle=cycle).expand_kwargs(planned))


@task
def shards():
    """The lake's shards, one mapped task each."""
    return monthly_run.shards()


@task_group
def features(cycle):
    """Compute the month's factors for every subscriber."""

    @task
    def peers(cycle: dict):
        """The means of plan and region that people are compared with, once for all shards."""
        from include.stages import features

        return run_stage(features.compute_peers, cycle)

    @task(map_index_template="shard {{ task.op_kwargs['shard'] }}")
    def compute(cycle: dict, shard: int):
        """The factors of one shard, not visible yet."""
        from include.stages import features

        return write_part(features.compute_shard, cycle, shard=shard)

    @task
    def publish(cycle: dict, made: list):
        """Make the computed shards the month's factors."""
        from include.stages import features

        return finish_stage(features.publish, cycle, made[:])

    computed = compute.partial(cycle=cycle).expand(shard=shards())
    peers(cycle) >> computed
    publish(cycle, computed)


@task.skip_if(lambda context: not context["params"]["train"], skip_message="The Param train is off.")
@task
def training(cycle: dict):
    """Train on the months labelled at as_of; only with the Param train."""
    from include.stages import training

    return finish_stage(training.train, cycle)


@task(trigger_rule="none_failed")
def reopen_cycle(cycle: dict):
    """The cycle as it stands now: cleared from here on after the dispatch, a run only compares."""
    return monthly_run.reopen_cycle(cycle)


@task_group
def prediction(cycle):
    """Score every subscriber by the champion of the cluster, or leave it to the rules."""

    @task
    def champions(cycle: dict):
        """Who scores which cluster, chosen once for all shards."""
        from include.stages import prediction

        return run_stage(prediction.champions, cycle)

    @task(map_index_template="shard {{ task.op_kwargs['shard'] }}")
    def predict(cycle: dict, champions: dict, shard: int):
        """The scores of one shard, not visible yet."""
        from include.stages import prediction

        return write_part(prediction.predict_shard, cycle, champions=champions, shard=shard)

    @task
    def publish(cycle: dict, champions: dict, made: list):
        """Make the scored shards the month's scores."""
        from include.stages import prediction

        return finish_stage(prediction.publish, cycle, made[:], champions=champions)

    chosen = champions(cycle)
    publish(cycle, chosen, predict.partial(cycle=cycle, champions=chosen).expand(shard=shards()))


@task(outlets=[FACTORS])
def drift(cycle: dict, outlet_events):
    """How factors and scores moved against the month before, and which factors tell most."""
    from include.stages import drift

    announce_drift(finish_stage(drift.measure, cycle), outlet_events)


@task
def grading(cycle: dict):
    """Grade and tier everybody; high and mid become warnings."""
    from include.stages import grading

    return finish_stage(grading.grade, cycle)


@task_group
def dispatch(cycle):
    """Draw the arms and write assignments and tickets, once a cycle."""

    @task
    def limits(cycle: dict):
        """Who is gone, porting out or refuses by now: their unfinished tickets first."""
        from include.stages import limits

        return run_stage(limits.process, cycle)

    @task
    def plan_size(cycle: dict, params: dict, ti=None):
        """How large the dispatch would be, and whether a person must agree first; the last entry holds."""
        return monthly_run.plans(cycle, monthly_run.how_to_dispatch(params), ti.try_number)

    @task
    def rescore(cycle: dict, plans: list, ti=None):
        """Score and grade the month again by last cycle's model or the rules, when that was chosen."""
        return monthly_run.rescore(cycle, answer_to(plans, ti)["choice"])

    @task(trigger_rule="none_failed")
    def assign(cycle: dict, plans: list, params: dict, ti=None):
        """Eligibility, arms, walk by rank, evidence and tickets in one transaction; see the [board](/desk/board)."""
        approved, rescored = answer_to(plans, ti), ti.xcom_pull(task_ids="dispatch.rescore")
        return monthly_run.assign(cycle, plans[-1], approved, rescored, monthly_run.how_to_dispatch(params))

    plans = plan_size(cycle)
    approve = DispatchApproval.partial(
        task_id="approve",
        subject="Dispatch {{ ti.xcom_pull('open_cycle')['month'] }}? 批准派单吗？",
        execution_timeout=None,
        map_index_template="{{ 'plan %d' % (ti.map_index + 1) }}",
    ).expand(plan=plans)
    limits(cycle) >> plans >> approve >> rescore(cycle, plans) >> assign(cycle, plans)


@task(trigger_rule="none_failed")
def outreach(cycle: dict, params: dict):
    """List the secondary tier of a dispatched cycle for SMS and app, once."""
    from include.stages import outreach

    return finish_stage(outreach.outreach, cycle, dispatch_late=params["dispatch_late"])


@task_group
def follow_up(cycle):
    """Label and evaluate every month that is now complete."""

    @task
    def evaluate(cycle: dict):
        """Labels, outcomes and figures per grade, cluster and arm."""
        from include.stages import follow_up

        return finish_stage(follow_up.follow_up, cycle)

    @task(outlets=[LABELS])
    def announce(result: dict, outlet_events):
        """Tell the asset labels which months await training."""
        announce_labels(result, outlet_events)

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
    """The loop for one month, stage by stage."""
    opened = open_cycle()
    reopened = reopen_cycle(opened)
    before = [stage(opened) for stage in (collection, features, training)]
    after = [stage(reopened) for stage in (prediction, grading, dispatch, outreach, follow_up)]
    chain(opened, *before, reopened, *after)
    after[0] >> drift(reopened)


churn_warning()
