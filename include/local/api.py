"""A small client of Airflow's REST API, as much as starting and following a run needs."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NotRequired, TypedDict

from include.domain.errors import LoopError

#: a proxy set up on the machine must not swallow loopback
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ApiError(LoopError):
    """Airflow did not answer, or answered with an error; `status` is 0 without an answer."""

    def __init__(self, sentence: str, status: int = 0) -> None:
        super().__init__(sentence)
        self.status = status


class DagRun(TypedDict):
    """What is asked of a run, of all that Airflow tells."""

    dag_run_id: str
    state: str


class TaskInstance(TypedDict):
    """What is asked of a task instance, of all that Airflow tells; `map_index` is -1 where it is not mapped."""

    task_id: str
    map_index: int
    rendered_map_index: NotRequired[str | None]
    state: str | None
    try_number: int
    end_date: NotRequired[str | None]


class Api:
    """Airflow at `url`, after `login` as one of its users."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._token = ""

    def login(self, username: str, password: str) -> None:
        """Work as this user from now on."""
        answer = self.send("POST", "/auth/token", {"username": username, "password": password})
        self._token = str(answer["access_token"])

    def health(self) -> dict[str, str]:
        """Component → state ("healthy" when it is); empty while the API does not answer yet."""
        try:
            answer = self.send("GET", "/api/v2/monitor/health")
        except ApiError:
            return {}
        return {name: str((state or {}).get("status")) for name, state in answer.items()}

    def warm_up(self) -> None:
        """Let the execution API build its routes now: its first answer keeps everybody else waiting."""
        with suppress(ApiError):
            self.send("GET", "/execution/health", patience=120)

    def knows_dag(self, dag: str) -> bool:
        """Whether the DAG has been read by the DAG processor."""
        try:
            self.send("GET", f"/api/v2/dags/{dag}")
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def import_errors(self) -> list[str]:
        """One line per DAG file that cannot be read: its name and the last line of the trouble."""
        found = self.send("GET", "/api/v2/importErrors")["import_errors"]
        return [f"{each['filename']}: {each['stack_trace'].strip().splitlines()[-1]}" for each in found]

    def unpause(self, dag: str) -> None:
        """Let the DAG's runs be scheduled."""
        self.send("PATCH", f"/api/v2/dags/{dag}?update_mask=is_paused", {"is_paused": False})

    def trigger(self, dag: str, conf: Mapping[str, object]) -> str:
        """Start a run with these Params; return its id."""
        run = self.send("POST", f"/api/v2/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def run_state(self, dag: str, run_id: str) -> str:
        """State of a run: queued, running, success or failed."""
        return str(self.send("GET", f"/api/v2/dags/{dag}/dagRuns/{_quoted(run_id)}")["state"])

    def runs(self, dag: str) -> list[DagRun]:
        """The newest runs of a DAG, newest first."""
        path = f"/api/v2/dags/{dag}/dagRuns?order_by=-run_after&limit=50"
        return list(self.send("GET", path)["dag_runs"])

    def task_instances(self, dag: str, run_id: str) -> list[TaskInstance]:
        """Every task instance of a run, mapped ones each."""
        found: list[TaskInstance] = []
        while True:
            page = f"/api/v2/dags/{dag}/dagRuns/{_quoted(run_id)}/taskInstances?limit=100&offset={len(found)}"
            answer = self.send("GET", page)
            found += answer["task_instances"]
            if not answer["task_instances"] or len(found) >= answer["total_entries"]:
                return found

    def result(self, dag: str, run_id: str, task: str, map_index: int) -> Any:
        """What a task returned, or None."""
        path = f"/api/v2/dags/{dag}/dagRuns/{_quoted(run_id)}/taskInstances/{task}/xcomEntries/return_value"
        try:
            return self.send("GET", f"{path}?map_index={map_index}&deserialize=true")["value"]
        except ApiError:
            return None

    def send(
        self, method: str, path: str, body: Mapping[str, object] | None = None, patience: int = 30
    ) -> dict[str, Any]:
        """One request, answered within `patience` seconds; ApiError tells what Airflow answered."""
        request = urllib.request.Request(  # noqa: S310 - always our own http://127.0.0.1
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", "Accept": "application/json"},
        )
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with _OPENER.open(request, timeout=patience) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            raise ApiError(
                f"Airflow refused {method} {path.partition('?')[0]} ({error.code}): {_reason(error)}",
                error.code,
            ) from None
        except OSError as error:
            raise ApiError(f"Airflow does not answer at {self.url}: {error}") from None
        return dict(json.loads(text)) if text else {}


def _quoted(run_id: str) -> str:
    return urllib.parse.quote(run_id, safe="")


def _reason(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["detail"])
    except (ValueError, KeyError, TypeError):
        return text[:200]
