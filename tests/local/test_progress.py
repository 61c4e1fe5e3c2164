import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.local import progress
from include.local.progress import RunFailed, counts, follow, last_error
from include.local.sites import Site


def test_counts_are_told_in_words() -> None:
    assert counts({"stage": "grading", "rows_in": 2114, "auc": 0.81234}) == "rows in 2,114  auc 0.8123"


def test_mapped_results_are_added_up() -> None:
    assert counts([{"rows_in": 2, "late": True}, {"rows_in": 3, "late": True}]) == "rows in 5  late True"


def test_what_is_no_count_is_not_told() -> None:
    assert counts({"stage": "x", "fingerprint": "abc", "notes": ["long"], "none": None, "why": ""}) == ""
    assert counts(["a/path"]) == ""
    assert counts(None) == ""


def test_the_last_error_is_the_sentence_of_the_exception(tmp_path: Path) -> None:
    log = tmp_path / "attempt=1.log"
    error = [{"exc_type": "NotReady", "exc_value": "No usage rows for 2026-10."}]
    entries = [
        {"event": "began"},
        {"event": "failed", "level": "error", "error_detail": error},
        {"event": "end"},
    ]
    log.write_text("\n".join(json.dumps(entry) for entry in entries))
    assert last_error(log) == "NotReady: No usage rows for 2026-10."


@pytest.mark.parametrize(
    ("text", "told"),
    [(None, "its process ended without a word"), ("", "its process ended before telling why")],
)
def test_a_task_killed_without_a_word_is_told_as_such(tmp_path: Path, text: str | None, told: str) -> None:
    log = tmp_path / "attempt=1.log"
    if text is not None:
        log.write_text(text)
    assert last_error(log) == told


class Airflow:
    """Answers as Airflow's API would while a run goes from picture to picture."""

    url = "http://127.0.0.1:8080"

    def __init__(self, pictures: list[tuple[str, list[dict[str, Any]]]]) -> None:
        self._pictures: Iterator[tuple[str, list[dict[str, Any]]]] = iter(pictures)

    def run_state(self, _dag: str, _run: str) -> str:
        state, self._tasks = next(self._pictures)
        return state

    def task_instances(self, _dag: str, _run: str) -> list[dict[str, Any]]:
        return self._tasks

    def result(self, _dag: str, _run: str, task: str, _map_index: int) -> Any:
        return {"stage": task, "rows_in": 7}


def task(name: str, state: str, **more: Any) -> dict[str, Any]:
    return {"task_id": name, "map_index": -1, "state": state, "try_number": 1, "end_date": "1", **more}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(progress, "require_alive", lambda _site: None)
    monkeypatch.setattr(progress, "_POLL_SECONDS", 0)
    return Site("demo", tmp_path)


def test_each_finished_task_is_told_once(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    api = Airflow(
        [
            ("running", [task("collection", "success"), task("grading", "running")]),
            ("running", [task("collection", "success"), task("grading", "running")]),
            ("success", [task("collection", "success"), task("grading", "success", map_index=3)]),
        ]
    )
    results = follow(site, api, "churn_warning", "r1")
    told = capsys.readouterr().out
    assert told.count("collection") == 1
    assert "grading [3]" in told
    assert [each["stage"] for each in results] == ["collection", "grading"]


def test_a_red_run_names_task_reason_and_log(site: Site) -> None:
    log = site.logs / "tasks" / "dag_id=churn_warning" / "run_id=r1" / "task_id=grading" / "attempt=1.log"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"level": "error", "event": "the disk is full"}))
    tasks = [task("grading", "failed"), task("dispatch", "upstream_failed", end_date=None)]
    with pytest.raises(RunFailed) as told:
        follow(site, Airflow([("failed", tasks)]), "churn_warning", "r1")
    assert "task grading failed: the disk is full" in str(told.value)
    assert str(log) in str(told.value)


def test_a_retry_is_told_with_its_reason(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    api = Airflow([("running", [task("grading", "up_for_retry")]), ("success", [task("grading", "success")])])
    follow(site, api, "churn_warning", "r1")
    assert "tries again soon, attempt 1 failed: its process ended without a word" in capsys.readouterr().out


def test_a_question_to_a_person_is_told_with_its_address(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    api = Airflow([("running", [task("dispatch.approve", "awaiting_input")]), ("success", [])])
    follow(site, api, "churn_warning", "r1")
    assert "http://127.0.0.1:8080/dags/churn_warning/runs/r1/required_actions" in capsys.readouterr().out
