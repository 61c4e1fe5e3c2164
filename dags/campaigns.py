"""One DAG per campaign, named like its file below `include/config/campaigns/monthly` or `daily`.

Only the folder is listed here: a file put in appears as a DAG, one taken away disappears, and none is read before
a run opens its cycle. What a wrong file lacks is told by the first task of its own DAG; the others run on.
"""

from airflow.sdk import CronPartitionTimetable, chain, dag, task, task_group

from include.domain.campaign_files import cadences
from include.domain.periods.period import MONTHLY
from include.orchestration import (
    COLLECTION,
    DEFAULTS,
    FACTORS,
    LABELS,
    announce_drift,
    announce_labels,
    deliveries,
    finish_parts,
    finish_stage,
    run_stage,
    run_task,
    write_part,
)
from include.orchestration import campaign as campaign_run
from include.orchestration.approval import DispatchApproval, answer_to
from include.orchestration.form import DAILY_DOC, MONTHLY_DOC, daily_form, monthly_form
from include.orchestration.waiting import RequiredFeeds
from include.settings import config_folder
from include.words import in_airflow


def monthly(name: str) -> None:
    """The DAG of a campaign whose cycles are months."""

    @dag(
        dag_id=name,
        schedule=CronPartitionTimetable(
            "0 6 5 * *", timezone="Asia/Shanghai", run_offset=-1, key_format="%Y-%m"
        ),
        catchup=False,
        max_active_runs=4,
        default_args=DEFAULTS,
        params=monthly_form(),
        tags=["churn", "campaign", "monthly"],
        doc_md=MONTHLY_DOC.replace("NAME", name),
    )
    def campaign():
        """The loop for one month, stage by stage."""
        opened = open_cycle(name)
        reopened = reopen_cycle(opened)
        before = [stage(opened) for stage in (collection, features, training)]
        after = [stage(reopened) for stage in (prediction, grading, dispatch, outreach, follow_up)]
        chain(opened, *before, reopened, *after)
        after[0] >> drift(reopened)

    campaign()


def daily(name: str) -> None:
    """The DAG of a campaign whose cycles are days."""

    @dag(
        dag_id=name,
        schedule=CronPartitionTimetable("0 6 * * *", timezone="Asia/Shanghai", key_format="%Y-%m-%d"),
        catchup=False,
        max_active_runs=4,
        default_args=DEFAULTS,
        params=daily_form(),
        tags=["churn", "campaign", "daily"],
        doc_md=DAILY_DOC.replace("NAME", name),
    )
    def campaign():
        """The loop for one day, stage by stage."""
        opened = open_cycle(name)
        reopened = reopen_cycle(opened)
        before = [stage(opened) for stage in (collection, newest_features)]
        after = [stage(reopened) for stage in (prediction, grading, dispatch, follow_up)]
        chain(opened, *before, reopened, *after)

    campaign()


# ---------------------------------------------------------------- the stages


# a wrong file, like a wrong key, fails at once; a campaign that is not enabled skips all that follows
@task.short_circuit
def open_cycle(campaign: str, params: dict, partition_key: str | None = None):
    """Find the key and open its cycle, or take up the one that stands."""
    return campaign_run.open_cycle(campaign, params, partition_key)


@task_group
def collection(cycle):
    """Bring new and changed deliveries into the lake, of which all campaigns live."""

    @task
    def plan(cycle: dict):
        """Which feeds and months have new or changed deliveries."""
        return deliveries.plan(cycle)

    @task(map_index_template=deliveries.COLLECTED)
    def collect(cycle: dict, feed: str, periods: list):
        """Validate, quarantine, reconcile and publish the deliveries of one feed and month."""
        return deliveries.labelled(deliveries.collect(cycle, {"feed": feed, "periods": periods}))

    @task(trigger_rule="none_failed", outlets=[COLLECTION])
    def report(cycle: dict, required: dict, collected: list, outlet_events):
        """Say what stands for the month and what the operator did not deliver, on the asset's page as well."""
        reported = finish_stage(deliveries.report, cycle, collected=[required, *collected[:]])
        return deliveries.announce(reported, outlet_events)

    required = RequiredFeeds(task_id="required", cycle_from="open_cycle")
    planned = plan(cycle)
    cycle >> required >> planned
    report(cycle, required.output, collect.partial(cycle=cycle).expand_kwargs(planned))


@task
def shards():
    """The lake's shards, one mapped task each."""
    return campaign_run.shards()


@task_group
def features(cycle):
    """Compute the month's factors for every subscriber; what another campaign's run made is found made."""

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

        return finish_parts(features.publish, cycle, made[:])

    computed = compute.partial(cycle=cycle).expand(shard=shards())
    peers(cycle) >> computed
    publish(cycle, computed)


@task(task_id="features")
def newest_features(cycle: dict):
    """The factors of the newest month, where no run has made them yet; a day reads those."""
    return campaign_run.make_factors(cycle)


@task.skip_if(lambda context: not context["params"]["train"], skip_message="The Param train is off.")
@task
def training(cycle: dict):
    """Train on the months labelled at as_of; only with the Param train, and where the campaign has a model."""
    return campaign_run.train(cycle)


@task(trigger_rule="none_failed")
def reopen_cycle(cycle: dict):
    """The cycle as it stands now: cleared from here on after the dispatch, a run only compares."""
    return campaign_run.reopen_cycle(cycle)


@task_group
def prediction(cycle):
    """Score every subscriber by the champion of the cluster, or leave it to the rules; skipped without a model."""

    @task
    def champions(cycle: dict):
        """Who scores which cluster, chosen once for all shards."""
        return campaign_run.champions(cycle)

    @task(map_index_template="shard {{ task.op_kwargs['shard'] }}")
    def predict(cycle: dict, champions: dict, shard: int):
        """The scores of one shard, not visible yet."""
        from include.stages import prediction

        return write_part(prediction.predict_shard, cycle, champions=champions, shard=shard)

    @task
    def publish(cycle: dict, champions: dict, made: list):
        """Make the scored shards the cycle's scores."""
        from include.stages import prediction

        return finish_parts(prediction.publish, cycle, made[:], champions=champions)

    chosen = champions(cycle)
    publish(cycle, chosen, predict.partial(cycle=cycle, champions=chosen).expand(shard=shards()))


@task(outlets=[FACTORS])
def drift(cycle: dict, outlet_events):
    """How factors and scores moved against the month before, and which factors tell most."""
    from include.stages import drift

    announce_drift(finish_stage(drift.measure, cycle), outlet_events)


# a campaign without a model skips its prediction and is graded all the same
@task(trigger_rule="none_failed")
def grading(cycle: dict):
    """Grade and tier everybody, or admit them as the campaign says; who stands out becomes a warning."""
    from include.stages import grading

    return finish_stage(grading.grade, cycle)


@task_group
def dispatch(cycle):
    """Draw the arms and write assignments and tickets, once a cycle."""

    @task
    def limits(cycle: dict):
        """Who is gone, porting out or refuses by now: their unfinished tickets, of any campaign, first."""
        from include.stages import limits

        return run_task(lambda at: limits.process(db=at.db, lake=at.lake, config=at.config, now=at.now))

    @task
    def plan_size(cycle: dict, params: dict, ti=None):
        """How large the dispatch would be, and whether a person must agree first; the last entry holds."""
        return campaign_run.plans(cycle, params, ti.try_number)

    @task
    def rescore(cycle: dict, plans: list, ti=None):
        """Score and grade the cycle again by the one before's model or the rules, when that was chosen."""
        return campaign_run.rescore(cycle, answer_to(plans, ti)["choice"])

    @task(trigger_rule="none_failed")
    def assign(cycle: dict, plans: list, params: dict, ti=None):
        """Eligibility, arms, walk by rank, evidence and tickets in one transaction; see the campaign's board."""
        rescored = ti.xcom_pull(task_ids="dispatch.rescore")
        return campaign_run.assign(
            cycle, campaign_run.Answer(plans[-1], answer_to(plans, ti), rescored), params
        )

    plans = plan_size(cycle)
    approve = DispatchApproval.partial(
        task_id="approve",
        subject=in_airflow(
            "approval.subject", dag="{{ ti.dag_id }}", cycle="{{ ti.xcom_pull('open_cycle')['cycle'] }}"
        ),
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
    """Label and evaluate every cycle of the campaign that is now complete."""

    @task
    def evaluate(cycle: dict):
        """Labels, outcomes and figures per grade, cluster and arm."""
        from include.stages import follow_up

        return finish_stage(follow_up.of_run, cycle)

    @task(outlets=[LABELS])
    def announce(result: dict, outlet_events):
        """Tell the asset labels which months await training."""
        announce_labels(result, outlet_events)

    announce(evaluate(cycle))


for campaign_name, cadence in cadences(config_folder()).items():
    (monthly if cadence == MONTHLY else daily)(campaign_name)
