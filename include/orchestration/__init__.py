"""What the DAGs share: defaults, how a task calls a stage, how a result and a failure are told."""

import hashlib
import inspect
import logging
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from include import settings
from include.domain.errors import BadInput, ConfigError, Damaged, LoopError, Refused
from include.domain.periods.months import ZONE
from include.run import failures

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from pathlib import Path

    from sqlalchemy import Connection

    from include.config import Config
    from include.config.readers.notices import Notices
    from include.lake import Lake
    from include.notices.channels import Endpoint
    from include.notices.delivering import Send

#: Told while a labelled month awaits training: what really happened to its subscribers is known.
LABELS = Asset("labels", uri="churn://labels", group="churn")

#: Told when a month has been collected: what came, what was put aside, what a person went on without.
COLLECTION = Asset("collection", uri="churn://collection", group="churn")
#: Told when a month's factors were measured: how far they moved, and which tell most about churn.
FACTORS = Asset("factors", uri="churn://factors", group="churn")

#: No retry cures these; a person does. NotReady may cure itself while the retries wait.
_INCURABLE = (BadInput, ConfigError, Damaged, Refused)
_REASON_LENGTH = 600
_COUNTS = (("rows_in", "read"), ("rows_out", "accepted"), ("quarantined", "quarantined"))
_NOT_TOLD = {"stage", "feed", "period", "month", "message", "name", *(name for name, _ in _COUNTS)}

_log = logging.getLogger("churn")


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

    try:
        with ExitStack() as stack:
            place = Workplace(stack)
            tick.alarm(
                db=place.db, notices=place.notices, channels=place.channels, now=place.now,
                kind=kind, key=key, details=details,
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

    def __init__(self, stack: ExitStack, cycle: Mapping[str, Any] | None = None) -> None:
        self._stack = stack
        self._cycle = cycle or {}

    @cached_property
    def db(self) -> "Connection":
        """The operations database behind the Airflow Connection `churn_db`, with the rights of the stages."""
        from airflow.sdk import Connection as AirflowConnection

        from include.database import engine

        made = engine(AirflowConnection.get("churn_db").get_uri())
        self._stack.callback(made.dispose)
        return self._stack.enter_context(made.connect())

    def connections(self, feed: str) -> dict[str, Any]:
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
            from include.stages.collection import carried_over

            counts = carried_over.bring_up_to_date(db=self.db, lake=lake, config=self.config, now=self.now)
            _log.warning("The lake was brought up to date: %s", counts)
        return lake

    @cached_property
    def config(self) -> "Config":
        """The configuration the task's cycle was opened with; without a cycle that of `CHURN_CONFIG` now."""
        if config_hash := self._cycle.get("config_hash"):
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

    @cached_property
    def run_id(self) -> str:
        """A name for the files of this attempt, which no other attempt shares."""
        return uuid4().hex[:12]


def _endpoint(name: str) -> "Endpoint":
    """The server an Airflow Connection stands for."""
    from airflow.sdk import Connection as AirflowConnection

    from include.notices.channels import Endpoint

    found = AirflowConnection.get(name)
    extra = found.extra_dejson
    return Endpoint(found.host or "", found.port, found.login, found.password, found.schema, extra)


@contextmanager
def workplace(cycle: Mapping[str, Any] | None = None) -> Iterator[Workplace]:
    """Open what is asked for, close it afterwards, and tell a LoopError plainly.

    All tasks of a `cycle` work with the configuration it was opened with: an edit meanwhile waits for the next.
    """
    with told_plainly(), ExitStack() as stack:
        yield Workplace(stack, cycle)


def run_stage(function: Callable[..., Any], cycle: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
    """Call a stage function with what its parameters ask for by name; log and return its result.

    `arguments` come first, then the `cycle` of `open_cycle` (campaign, cycle, month, as_of, revision, …), then
    the `Workplace`. A result with counts gets `seconds` and `peak_mb`.
    """
    with workplace(cycle) as place:
        return called(place, function, cycle, arguments)


def write_part(function: Callable[..., Any], cycle: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
    """Call a stage function that writes one shard: its part, with rows, seconds and peak memory."""
    started = time.monotonic()
    part = run_stage(function, cycle, **arguments)
    return measured({"part": part, "rows": part["rows"]}, started)


def finish_stage(
    function: Callable[..., Any],
    cycle: Mapping[str, Any],
    made: Iterable[Mapping[str, Any]] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """`run_stage` for the call that ends a stage: its result is kept with the cycle.

    `made` are the results of `write_part`: their parts are published, their seconds count as the stage's.
    """
    shards = list(made or ())
    with workplace(cycle) as place:
        parts = {} if made is None else {"parts": [each["part"] for each in shards]}
        result: dict[str, Any] = called(place, function, cycle, {**arguments, **parts})
        result["seconds"] = round(sum((each["seconds"] for each in shards), result["seconds"]), 2)
        result["peak_mb"] = max((each["peak_mb"] for each in shards), default=result["peak_mb"])
        _keep(place, cycle, result)
        return result


def called(
    place: Workplace,
    function: Callable[..., Any],
    cycle: Mapping[str, Any] | None,
    arguments: Mapping[str, Any],
) -> Any:
    """Call `function` with what it asks for, at a `place` opened already."""
    facts = {**cycle, "as_of": datetime.fromisoformat(cycle["as_of"])} if cycle else {}
    asked = [name for name in inspect.signature(function).parameters if name not in arguments]
    given = {name: facts[name] for name in asked if name in facts}
    opened = {name: getattr(place, name) for name in asked if name not in facts and hasattr(Workplace, name)}
    started = time.monotonic()
    result = function(**given, **opened, **arguments)
    if isinstance(result, dict) and "stage" in result:
        told = {name: cycle[name] for name in ("campaign", "month")} if cycle else {}
        result = measured({**result, **told}, started)
        _log.info(described(result))
    return result


def _keep(place: Workplace, cycle: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    from include.run import cycles

    facts = {**result, "as_of": cycle["as_of"], "revision": cycle["revision"]}
    cycles.record_stage(
        db=place.db,
        campaign=cycle["campaign"],
        cycle=cycle["cycle"],
        facts=facts,
        seconds=result["seconds"],
        peak_mb=result["peak_mb"],
        now=right_now(),
    )


def measured(result: dict[str, Any], started: float) -> dict[str, Any]:
    """The result with the seconds since `started` (monotonic) and the peak memory of this process."""
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {**result, "seconds": round(time.monotonic() - started, 2), "peak_mb": peak_mb}


def described(result: Mapping[str, Any]) -> str:
    """One line: "collection usage_months 2026-10: 20,000 read, 19,996 accepted, 4 quarantined, …"."""
    about = (result["stage"], result.get("feed"), result.get("period") or result.get("month"))
    counts = [f"{result[name]:,} {word}" for name, word in _COUNTS if isinstance(result.get(name), int)]
    figures = [
        f"{name} {value:,}"
        for name, value in result.items()
        if name not in _NOT_TOLD and isinstance(value, int | float) and not isinstance(value, bool)
    ]
    told = ", ".join(counts + figures)
    return f"{' '.join(word for word in about if word)}: {told}. {result.get('message', '')}".strip()


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
