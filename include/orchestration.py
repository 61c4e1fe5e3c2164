"""What the DAGs share: defaults, the cycle a run works on, how a task calls a stage, how a failure is told."""

import inspect
import logging
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from airflow.sdk import Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.domain.errors import BadInput, ConfigError, LoopError, NotReady, Refused
from include.domain.months import ZONE, parse_month

if TYPE_CHECKING:  # heavy: a DAG file is read every few seconds
    from sqlalchemy import Connection

CAMPAIGN = "churn_warning"

#: Told whenever a month becomes labelled: what really happened to its subscribers is known.
LABELS = Asset("labels", uri="churn://labels", group="churn")

#: No retry cures these; a person does. NotReady may cure itself while the retries wait.
_INCURABLE = (BadInput, ConfigError, Refused)

_log = logging.getLogger("churn")


def tell_failure(context: Mapping[str, Any]) -> None:
    """One line about a task that failed for good: where, for which month, why, and what to do next."""
    ti = context["ti"]
    reason = " ".join(str(context.get("exception") or "the process ended without a word").split())
    place = f"{ti.dag_id} {ti.task_id}" + (f"[{ti.map_index}]" if ti.map_index >= 0 else "")
    _log.error("FAILED %s in run %s: %s Cure the cause, then clear the task.", place, ti.run_id, reason)


#: Three retries within about twenty minutes outlast a restarted database or a full disk being cleared.
DEFAULTS: dict[str, Any] = {
    "owner": "operations",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 3,
    "max_retry_delay": timedelta(minutes=15),
    "execution_timeout": timedelta(hours=2),
    "on_failure_callback": tell_failure,
}


def open_cycle(params: Mapping[str, Any], partition_key: str | None) -> dict[str, Any]:
    """Open the cycle this run works on, or take up the one that stands: what later tasks need, as JSON."""
    with told_plainly(), ExitStack() as stack:
        from include import cycles

        cycle = cycles.open_cycle(
            db=_open_db(stack),
            config=_read_config(stack),
            campaign=CAMPAIGN,
            month=month_of_run(params.get("month"), partition_key),
            as_of=instant(params.get("as_of")),
            now=right_now(),
        )
        _log.info("open_cycle %s %s as of %s, revision %d", CAMPAIGN, cycle.cycle, cycle.as_of, cycle.revision)
        return cycle.as_json()


def month_of_run(param: str | None, partition_key: str | None) -> str:
    """The month a run is for: its partition key or the Param `month`, exactly one of them."""
    named = [text for text in (param, partition_key) if text]
    if len(named) == 1:
        return parse_month(named[0])
    if named:
        raise BadInput(
            f"This run has the partition key {partition_key} and the Param month {param}. Give exactly one of them."
        )
    raise BadInput('This run has no month. Trigger it with the Param month, for example {"month": "2026-10"}.')


def instant(text: str | None) -> datetime | None:
    """An aware instant from ISO text; None stays None. Raises BadInput without a time zone."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"'{text}' is not an instant. Write it as 2026-11-05T06:00+08:00.") from None
    if moment.tzinfo is None:
        raise BadInput(f"The instant '{text}' has no time zone. Write it as {text}+08:00.")
    return moment


def run_stage(function: Callable[..., Any], cycle: Mapping[str, Any] | None = None, **arguments: Any) -> Any:
    """Call a stage function with what its parameters ask for by name, and log its result in one line.

    `cycle` (of `open_cycle`) gives campaign, cycle, month, as_of, revision; this module opens db, lake, config
    and landing, and gives now and run_id; `arguments` win over all. What was opened is closed before returning.
    """
    with told_plainly(), ExitStack() as stack:
        facts = _facts(cycle)
        asked = [name for name in inspect.signature(function).parameters if name not in arguments]
        given = {name: facts[name] for name in asked if name in facts}
        opened = {name: _OPENERS[name](stack) for name in asked if name in _OPENERS and name not in given}
        started = time.monotonic()
        result = function(**given, **opened, **arguments)
        seconds = time.monotonic() - started
    about = {**facts, **arguments}
    return _measured(result, seconds, about) if isinstance(result, dict) and "stage" in result else result


@contextmanager
def told_plainly() -> Iterator[None]:
    """Turn what no retry can cure into a failure at once, told in its own sentence."""
    try:
        yield
    except _INCURABLE as error:
        raise AirflowFailException(str(error)) from error
    except LoopError as error:
        _log.warning("not yet: %s", error)
        raise


def shards() -> list[int]:
    """The shard numbers of the lake, one mapped task each."""
    with ExitStack() as stack:
        return list(range(_open_lake(stack).shards))


def newest_month() -> str:
    """The newest month that has factors: the next one a model will serve."""
    with told_plainly(), ExitStack() as stack:
        months: list[str] = _open_lake(stack).months("factors")
        if not months:
            raise NotReady("The lake holds no factors yet. Run churn_warning for a month first.")
        return months[-1]


def right_now() -> datetime:
    """The real time in Shanghai: the one place where a DAG reads the clock."""
    return datetime.now(ZONE)


def choices(params: Mapping[str, Any]) -> dict[str, bool]:
    """What a person decided about this run's dispatch when triggering it."""
    return {name: bool(params.get(name)) for name in ("dispatch_late", "top_up")}


def announce_labels(result: Mapping[str, Any], outlet_events: Any) -> None:
    """Tell the asset `labels` which months became labelled; skip when none did, so that nothing is triggered."""
    months = result.get("labelled") or []
    if not months:
        raise AirflowSkipException("No month became labelled.")
    outlet_events[LABELS].extra = {"months": months}


def by_feed_and_month(deliveries: Iterable[Mapping[str, str]]) -> list[dict[str, Any]]:
    """Group deliveries ({"feed", "period"}) by feed and month: years of days must not make thousands of tasks."""
    groups: dict[tuple[str, str], list[str]] = {}
    for delivery in deliveries:
        groups.setdefault((delivery["feed"], delivery["period"][:7]), []).append(delivery["period"])
    return [{"feed": feed, "periods": sorted(periods)} for (feed, _month), periods in sorted(groups.items())]


def describe(result: Mapping[str, Any], about: Mapping[str, Any]) -> str:
    """One line a person reads: "collection usage_months 2026-10: 20,000 read, 19,996 kept, 4 quarantined"."""
    names = (result.get("feed") or about.get("feed"), result.get("period") or about.get("period") or about.get("month"))
    head = " ".join(str(word) for word in (result.get("stage", "stage"), *names) if word)
    counts = (("rows_in", "read"), ("rows_out", "kept"), ("quarantined", "quarantined"))
    told = [f"{result[name]:,} {word}" for name, word in counts if isinstance(result.get(name), int)]
    rest = [f"{k} {v}" for k, v in result.items() if k not in _NOT_TOLD and isinstance(v, int | float | str)]
    return f"{head}: " + ", ".join(told + rest)


_NOT_TOLD = frozenset(("stage", "feed", "period", "month", "rows_in", "rows_out", "quarantined"))


def _facts(cycle: Mapping[str, Any] | None) -> dict[str, Any]:
    if cycle is None:
        return {"campaign": CAMPAIGN}
    return {**cycle, "as_of": datetime.fromisoformat(cycle["as_of"])}


def _measured(result: dict[str, Any], seconds: float, about: Mapping[str, Any]) -> dict[str, Any]:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    measured = {**result, "seconds": round(seconds, 2), "peak_mb": peak_mb}
    _log.info(describe(measured, about))
    return measured


def _open_db(stack: ExitStack) -> "Connection":
    from airflow.sdk import Connection as AirflowConnection

    from include.database import engine

    made = engine(AirflowConnection.get("churn_db").get_uri())
    stack.callback(made.dispose)
    return stack.enter_context(made.connect())


def _open_lake(_stack: ExitStack) -> Any:
    from include.lake import Lake
    from include.settings import lake_root

    return Lake(lake_root())


def _read_config(_stack: ExitStack) -> Any:
    from include.config import load_config
    from include.settings import config_folder

    return load_config(config_folder())


def _landing(_stack: ExitStack) -> Path:
    from include.settings import landing

    return landing()


#: What a stage function may ask for by name, and how it is come by. Files of an attempt never share a name.
_OPENERS: dict[str, Callable[[ExitStack], Any]] = {
    "db": _open_db,
    "lake": _open_lake,
    "config": _read_config,
    "landing": _landing,
    "now": lambda _stack: right_now(),
    "run_id": lambda _stack: uuid4().hex[:12],
}
