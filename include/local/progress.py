"""What a person sees while it works: one line per finished step or task, with its counts."""

import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from include.domain.errors import LoopError
from include.local.api import Api, ApiError, TaskInstance
from include.local.components import require_alive
from include.local.sites import Site

_DONE = ("success", "failed", "skipped", "upstream_failed", "removed")
_ASKING = "awaiting_input"
_AGAIN = "up_for_retry"
_POLL_SECONDS = 1.0
_LOST_SECONDS = 60
_FIRST = ("seconds", "rows_in", "rows_out", "quarantined")
_MOST_WORDS = 9
_KEYS = ("stage", "feed", "period", "month", "campaign", "cycle", "revision", "as_of", "run_id", "name")
_HIDDEN = frozenset((*_KEYS, "fingerprint", "is_fixed", "peak_mb", "total"))


class RunFailed(LoopError):
    """A run in Airflow ended red."""


_began = time.monotonic()


def tell(line: str) -> None:
    """One line with the seconds since the command began."""
    print(f"{time.monotonic() - _began:6.0f} s  {line}", flush=True)


def tell_result(name: str, result: Any) -> None:
    """One line for a finished task or stage: its name and the counts in its result."""
    figures = counts(result)
    tell(f"{name:<34} {figures}" if figures else name)


def counts(result: Any) -> str:
    """The numbers and short words of a stage's result, as "rows in 2,114  rows out 2,110 …"."""
    if isinstance(result, list):
        results = [each for each in result if isinstance(each, dict)]
        return counts(_added(results)) if results else ""
    if not isinstance(result, Mapping):
        return ""
    rest = [name for name, value in result.items() if name not in (*_FIRST, *_HIDDEN) and _is_short(value)]
    names = [name for name in _FIRST if result.get(name) is not None] + rest
    return "  ".join(f"{name.replace('_', ' ')} {_text(result[name])}" for name in names[:_MOST_WORDS])


def _added(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for name, value in results[0].items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            total[name] = sum(each.get(name, 0) for each in results)
        else:
            total[name] = value
    return total


def _is_short(value: Any) -> bool:
    return isinstance(value, int | float) or (isinstance(value, str) and 0 < len(value) < 40)


def _text(value: Any) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


#: What is told once of a task: its id, its index where mapped, and its state at which attempt.
News = tuple[str, int, str]


@dataclass(frozen=True)
class _Run:
    """A run in the Airflow of a site."""

    site: Site
    api: Api
    dag: str
    run_id: str


def follow(site: Site, api: Api, dag: str, run_id: str) -> list[Any]:
    """Tell each task of a run as it finishes; what they returned when it is green, RunFailed when red.

    ApiError when Airflow does not answer for a minute, NotStarted when one of its processes has died.
    """
    run, results = _Run(site, api, dag, run_id), dict[News, Any]()
    answered = time.monotonic()
    while True:
        require_alive(site)
        try:
            state = api.run_state(dag, run_id)
            tasks = api.task_instances(dag, run_id)
            answered = time.monotonic()
        except ApiError:
            if time.monotonic() - answered > _LOST_SECONDS:
                raise
            time.sleep(_POLL_SECONDS)
            continue
        _tell_news(run, tasks, results)
        if state == "success":
            return list(results.values())
        if state == "failed":
            raise RunFailed(_failure(run, tasks))
        time.sleep(_POLL_SECONDS)


def _tell_news(run: _Run, tasks: Sequence[TaskInstance], results: dict[News, Any]) -> None:
    """Tell what is new of the tasks; `results` gets an entry for all that was told."""
    finished = [task for task in tasks if task["state"] in (*_DONE, _ASKING, _AGAIN)]
    for task in sorted(finished, key=_ended_at):
        news = (task["task_id"], task["map_index"], f"{task['state']} {task['try_number']}")
        if news not in results:
            results[news] = _result_of(run, task) if task["state"] == "success" else None
            if line := _line_of(run, task):
                tell(line)


def _result_of(run: _Run, task: TaskInstance) -> Any:
    result = run.api.result(run.dag, run.run_id, task["task_id"], task["map_index"])
    tell_result(_name(task), result)
    return result


def _line_of(run: _Run, task: TaskInstance) -> str | None:
    if task["state"] == "failed":
        return f"{_name(task):<34} FAILED"
    if task["state"] == _AGAIN:
        reason = last_error(_log_of(run, task))
        return f"{_name(task):<34} tries again soon, attempt {task['try_number']} failed: {reason}"
    if task["state"] == _ASKING:
        where = f"{run.api.url}/dags/{run.dag}/runs/{run.run_id}/required_actions"
        return f"{_name(task):<34} waits for you: {where}"
    return None


def _ended_at(task: TaskInstance) -> str:
    return str(task.get("end_date") or "9")


def _name(task: TaskInstance) -> str:
    if task["map_index"] < 0:
        return str(task["task_id"])
    return f"{task['task_id']} [{task.get('rendered_map_index') or task['map_index']}]"


def _failure(run: _Run, tasks: Sequence[TaskInstance]) -> str:
    failed = [task for task in tasks if task["state"] == "failed"]
    if not failed:
        log = run.site.logs / "scheduler.log"
        return f"The run {run.run_id} of {run.dag} failed without a failed task; read {log}."
    first = min(failed, key=_ended_at)
    log = _log_of(run, first)
    return f"{run.dag}, task {_name(first)} failed: {last_error(log)}\n        log: {log}"


def _log_of(run: _Run, task: TaskInstance) -> Path:
    tasks = run.site.logs / "tasks"
    folder = tasks / f"dag_id={run.dag}" / f"run_id={run.run_id}" / f"task_id={task['task_id']}"
    if task["map_index"] >= 0:
        folder /= f"map_index={task['map_index']}"
    return folder / f"attempt={task['try_number']}.log"


def last_error(log: Path) -> str:
    """The last error a task's log (JSON lines) tells, in one line."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return "its process ended without a word"
    errors = (_error_in(line) for line in reversed(lines))
    return next((each for each in errors if each is not None), "its process ended before telling why")


def _error_in(line: str) -> str | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return line.strip() if re.match(r"\w*(Error|Exception)\b", line) else None
    details = entry.get("error_detail")
    if details:
        return f"{details[-1]['exc_type']}: {details[-1]['exc_value']}"
    is_error = entry.get("level") in ("error", "critical")
    return str(entry.get("event")) if is_error else None


def complain(sentence: str) -> None:
    """The one line of a failure, on standard error."""
    print(f"\nFAILED: {sentence}", file=sys.stderr, flush=True)
