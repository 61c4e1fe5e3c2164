"""What the DAGs share: defaults, how a task calls a stage, how a result and a failure are told."""

import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypedDict, TypeVar, cast

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include import settings
from include.domain.errors import BadInput, ConfigError, Damaged, LoopError, Refused
from include.domain.periods.months import ZONE

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from pathlib import Path

    from sqlalchemy import Connection

    from include.config import Config
    from include.config.readers.notices import Notices
    from include.lake import Lake
    from include.lake.manifest import PartFacts
    from include.notices.channels import Endpoint
    from include.notices.delivering import Send
    from include.run import Run
    from include.run.cycles import CycleFacts
    from include.run.results import Result
    from include.stages.collection.sources.database import Connection as OpenDatabase

#: Told while a labelled month awaits training: what really happened to its subscribers is known.
LABELS = Asset("labels", uri="churn://labels", group="churn")

#: Told when a month has been collected: what came, what was put aside, what a person went on without.
COLLECTION = Asset("collection", uri="churn://collection", group="churn")
#: Told when a month's factors were measured: how far they moved, and which tell most about churn.
FACTORS = Asset("factors", uri="churn://factors", group="churn")

#: No retry cures these; a person does. NotReady may cure itself while the retries wait.
_INCURABLE = (BadInput, ConfigError, Damaged, Refused)
_REASON_LENGTH = 600

_log = logging.getLogger("churn")

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class WrittenPart(TypedDict):
    """A shard that is written, with what it cost."""

    part: "PartFacts"
    rows: int
    seconds: float
    peak_mb: int


def tell_failure(context: Mapping[str, Any]) -> None:
    """One line about a task that failed for good: where, and why (the sentence says what to do)."""
    ti = context["ti"]
    cause = " ".join(str(context.get("exception") or "Its process ended without a word.").split())
    task = ti.task_id + (f" [{ti.map_index}]" if ti.map_index >= 0 else "")
    _log.error("FAILED %s %s, run %s: %s", ti.dag_id, task, ti.run_id, cause[:_REASON_LENGTH])
    where, why = f"{ti.dag_id} {task}", cause[:_REASON_LENGTH]
    link = str(getattr(ti, "log_url", "") or "")
    # by its cause, whichever run: what fails every few minutes is told once a day
    key = f"{where}, cause {hashlib.sha256(why.encode()).hexdigest()[:12]}"
    alarm("stage_failed", key, {"where": f"{where}, run {ti.run_id}", "why": why, "link": link})


def alarm(kind: str, key: str, details: Mapping[str, Any]) -> None:
    """Tell operations of one thing, once a day; what hinders that is logged and never hides the thing itself."""
    from sqlalchemy.exc import SQLAlchemyError

    from include.notices import tick
    from include.notices.alarms import Alarm

    try:
        with ExitStack() as stack:
            place = Workplace(stack)
            tick.alarm(
                db=place.db, notices=place.notices, channels=place.channels, now=place.now,
                alarm=Alarm(kind, key, details),
            )  # fmt: skip
    except (LoopError, SQLAlchemyError, AirflowException) as error:
        _log.warning("Operations could not be told of %s: %s", kind, type(error).__name__)


#: Three retries within ten minutes outlast a database that restarts; a person is told after them.
DEFAULTS: dict[str, Any] = {
    "owner": "operations",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 3,
    "max_retry_delay": timedelta(minutes=10),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": tell_failure,
}


def right_now() -> datetime:
    """The real time in Shanghai: the one place where a DAG reads the clock."""
    return datetime.now(ZONE)


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn what no retry can cure into a failure at once, told in its own sentence; disk and database are retried."""
    from include import failures

    try:
        with failures.told_plainly():
            yield
    except _INCURABLE as error:
        raise AirflowFailException(str(error)) from error
    except LoopError as error:
        _log.warning("Not yet: %s", error)
        raise


class Workplace:
    """What a task may ask for, opened when first asked for and closed when its `stack` is."""

    def __init__(self, stack: ExitStack, cycle: "CycleFacts | None" = None) -> None:
        self._stack = stack
        self._cycle = cycle

    @cached_property
    def run(self) -> "Run":
        """The run of the task's cycle, which a stage is given."""
        from include.run import Run

        cycle = self._cycle
        assert cycle is not None  # noqa: S101  # asked for by tasks of a cycle alone
        return Run(
            db=self.db, lake=self.lake, config=self.config, now=self.now, campaign=cycle["campaign"],
            cycle=cycle["cycle"], month=cycle["month"], as_of=datetime.fromisoformat(cycle["as_of"]),
            revision=cycle["revision"],
        )  # fmt: skip

    @cached_property
    def db(self) -> "Connection":
        """The operations database behind the Airflow Connection `churn_db`, with the rights of the stages."""
        from airflow.sdk import Connection as AirflowConnection

        from include.database import engine

        made = engine(AirflowConnection.get("churn_db").get_uri())
        self._stack.callback(made.dispose)
        return self._stack.enter_context(made.connect())

    def connections(self, feed: str) -> "dict[str, OpenDatabase]":
        """An open DBAPI connection for the feed by its Airflow Connection; empty when it comes as files."""
        from airflow.sdk import Connection as AirflowConnection

        name = self.config.sources.connections.get(feed)
        if name is None:
            return {}
        opened = AirflowConnection.get(name).get_hook().get_conn()
        self._stack.callback(opened.close)
        return {feed: opened}

    @cached_property
    def lake(self) -> "Lake":
        """The lake of `CHURN_LAKE`, one of an earlier version brought up to date; NotReady when there is none."""
        from include.lake import Lake

        lake = Lake(settings.lake_root())
        if not lake.is_current:
            from include.stages.collection import migrations

            counts = migrations.bring_up_to_date(db=self.db, lake=lake, config=self.config, now=self.now)
            _log.warning("The lake was brought up to date: %s", counts)
        return lake

    @cached_property
    def config(self) -> "Config":
        """The configuration the task's cycle was opened with; without a cycle that of `CHURN_CONFIG` now."""
        if config_hash := self._cycle and self._cycle.get("config_hash"):
            from include.run.cycles import config_of

            return config_of(self.db, config_hash)
        from include.config import load_config

        return load_config(settings.config_folder())

    @cached_property
    def notices(self) -> "Notices":
        """What is told to whom, as configured now."""
        from include.config.readers.notices import load_notices

        return load_notices(settings.config_folder())

    @cached_property
    def channels(self) -> "dict[str, Send]":
        """The ways messages go; a channel's Airflow Connection is looked up when it is first used."""
        from include.notices.channels import open_channels

        return open_channels(self.notices, settings.notices_folder(), _endpoint)

    @cached_property
    def landing(self) -> "Path":
        """The folder deliveries land in."""
        return settings.landing()

    @cached_property
    def now(self) -> datetime:
        """The instant this task stamps things with."""
        return right_now()


def _endpoint(name: str) -> "Endpoint":
    """The server an Airflow Connection stands for."""
    from airflow.sdk import Connection as AirflowConnection

    from include.notices.channels import Endpoint

    found = AirflowConnection.get(name)
    extra = found.extra_dejson
    return Endpoint(found.host or "", found.port, found.login, found.password, found.schema, extra)


@contextmanager
def workplace(cycle: "CycleFacts | None" = None) -> Iterator[Workplace]:
    """Open what is asked for, close it afterwards, and tell a LoopError plainly.

    All tasks of a `cycle` work with the configuration it was opened with: an edit meanwhile waits for the next.
    """
    with told_plainly(), ExitStack() as stack:
        yield Workplace(stack, cycle)


def run_task(task: Callable[[Workplace], "Result"]) -> "Result":
    """Do what belongs to no cycle at a workplace of its own; log and return its measured result."""
    with workplace() as place:
        started = time.monotonic()
        return logged(task(place), started)


def run_stage(
    stage: Callable[Concatenate["Run", Arguments], Returned],
    cycle: "CycleFacts",
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Returned:
    """Call a stage with the run of the `cycle` and its own arguments; a result with counts is measured and logged."""
    with workplace(cycle) as place:
        return _called(place, cycle, lambda run: stage(run, *arguments, **named))


def write_part(
    stage: "Callable[Concatenate[Run, Arguments], PartFacts]",
    cycle: "CycleFacts",
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> "WrittenPart":
    """Call a stage that writes one shard: its part, with rows, seconds and peak memory."""
    from include.run.results import measured

    started = time.monotonic()
    part = run_stage(stage, cycle, *arguments, **named)
    return cast(WrittenPart, measured({"part": part, "rows": part["rows"]}, started))


def finish_stage(
    stage: Callable[Concatenate["Run", Arguments], Returned],
    cycle: "CycleFacts",
    *arguments: Arguments.args,
    **named: Arguments.kwargs,
) -> Returned:
    """`run_stage` for the call that ends a stage: its result is kept with the cycle."""
    with workplace(cycle) as place:
        result = _called(place, cycle, lambda run: stage(run, *arguments, **named))
        _keep(place, result)
        return result


def finish_parts(
    stage: "Callable[..., Returned]", cycle: "CycleFacts", made: "Iterable[WrittenPart]", **named: Any
) -> Returned:
    """`finish_stage` for parts written by tasks of their own: their seconds count as the stage's."""
    shards = list(made)
    parts = [each["part"] for each in shards]
    with workplace(cycle) as place:
        done: Any = _called(place, cycle, lambda run: stage(run, parts=parts, **named))
        result: dict[str, Any] = dict(done)
        result["seconds"] = round(sum((each["seconds"] for each in shards), result["seconds"]), 2)
        result["peak_mb"] = max((each["peak_mb"] for each in shards), default=result["peak_mb"])
        _keep(place, result)
        return cast(Returned, result)


def logged(result: "Result", started: float) -> "Result":
    """The result with seconds since `started` (monotonic) and peak memory, logged; one without counts as it is."""
    from include.run.results import described, measured

    if not isinstance(result, dict) or "stage" not in result:
        return result
    done = measured(result, started)
    _log.info(described(done))
    return done


def of_cycle(result: Returned, started: float, cycle: "CycleFacts") -> Returned:
    """A result with counts is of the cycle's campaign and month, measured and logged."""
    if not isinstance(result, dict) or "stage" not in result:
        return result
    facts = {**result, "campaign": cycle["campaign"], "month": cycle["month"]}
    return cast(Returned, logged(facts, started))


def _called(place: Workplace, cycle: "CycleFacts", stage: Callable[["Run"], Returned]) -> Returned:
    """What a stage makes of the run of the cycle; opening what it works with is none of its seconds."""
    run, started = place.run, time.monotonic()
    return of_cycle(stage(run), started, cycle)


def _keep(place: Workplace, result: Any) -> None:
    from include.run.results import record

    run = replace(place.run, now=right_now())  # when it ended, not when it began
    facts = {**result, "as_of": run.as_of.isoformat(), "revision": run.revision}
    record(run, facts, seconds=result["seconds"], peak_mb=result["peak_mb"])


def announce_labels(result: Mapping[str, Any], outlet_events: Any) -> None:
    """Tell the asset `labels` which months of a campaign no training has seen; skipped when there are none.

    Told again every time until a training has run: an event lost to a kill or a paused DAG comes back.
    """
    if not result["untaught"]:
        raise AirflowSkipException("Every labelled month has been trained on.")
    outlet_events[LABELS].extra = {"campaign": result["campaign"], "months": result["untaught"]}


def announce_drift(result: Mapping[str, Any], outlet_events: Any) -> None:
    """Show the drift figures as metadata of the asset `factors`; when something has shifted, tell operations."""
    shown = ("campaign", "month", "baseline_month", "score_psi", "largest", "shifted", "watch")
    outlet_events[FACTORS].extra = {name: result[name] for name in (*shown, "ranked_on", "strongest")}
    if result["shifted"]:
        _log.warning("drift: %s", result["message"])
        alarm("drift", f"{result['campaign']} {result['month']}", _drifted(result))


def _drifted(result: Mapping[str, Any]) -> dict[str, str]:
    """What shifted and how far, as a notice tells it."""
    far = ", ".join(f"{name} {psi}" for name, psi in result["largest"].items() if name in result["shifted"])
    why = f"PSI {far} ({result['baseline_month']} → {result['month']})."
    return {"what": ", ".join(result["shifted"]), "why": why, "link": ""}
