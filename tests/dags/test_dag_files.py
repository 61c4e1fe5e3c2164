"""What holds for every DAG: it parses at once, says what it is for, whose it is, and what a failure does."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.domain.campaign_files import COMMON_DAGS, cadences
from include.orchestration import tell_failure
from tests.conftest import ROOT

FILES = sorted(path.stem for path in (ROOT / "dags").glob("*.py"))
CAMPAIGNS = sorted(cadences(ROOT / "include" / "config"))
DAGS = sorted([*COMMON_DAGS, *CAMPAIGNS])
HEAVY = (
    "polars",
    "pandas",
    "numpy",
    "xgboost",
    "sklearn",
    "include.lake",
    "include.database",
    "include.stages",
    "include.config",
)


def test_there_is_one_file_for_all_campaigns_and_one_for_each_dag_beside_them():
    assert sorted(["campaigns", *COMMON_DAGS]) == FILES


def test_parsing_loads_nothing_heavy_and_takes_no_time(airflow_home: Path):
    script = (
        "import json, sys\n"
        "from airflow.dag_processing.dagbag import DagBag\n"
        f"bag = DagBag({str(ROOT / 'dags')!r})\n"
        "seconds = max(stat.duration.total_seconds() for stat in bag.dagbag_stats)\n"
        "print(json.dumps([sorted(bag.dags), bag.import_errors, seconds, sorted(sys.modules)]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR"}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    dags, errors, seconds, loaded = json.loads(done.stdout.splitlines()[-1])
    assert dags == DAGS
    assert errors == {}
    assert not set(HEAVY) & set(loaded)
    assert seconds < 5


@pytest.mark.parametrize("name", DAGS)
def test_a_dag_says_what_it_does_and_whose_it_is(parse, name):
    dag = parse(name)
    assert dag.doc_md.startswith("### ")
    assert "churn" in dag.tags
    assert dag.catchup is False
    assert {task.owner for task in dag.tasks} == {"operations"}


@pytest.mark.parametrize("name", DAGS)
def test_every_task_is_retried_then_told_in_one_line(parse, name):
    for task in parse(name).tasks:
        assert task.retries >= 1, task.task_id
        assert task.on_failure_callback in (tell_failure, [tell_failure]), task.task_id
        assert task.pool == "default_pool", f"{task.task_id}: a pool nobody created holds a task for ever"


@pytest.mark.parametrize("name", DAGS)
def test_nothing_runs_for_more_than_two_hours_except_a_question(parse, name):
    unlimited = [task.task_id for task in parse(name).tasks if task.execution_timeout is None]
    assert unlimited == (["dispatch.approve"] if name in CAMPAIGNS else [])


@pytest.mark.parametrize("name", FILES)
def test_task_bodies_are_a_few_lines(name):
    tree = ast.parse((ROOT / "dags" / f"{name}.py").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and any(_word(each) == "task" for each in node.decorator_list):
            body = [line for line in node.body if not isinstance(line, ast.Expr | ast.ImportFrom)]
            assert len(body) <= 2, f"{node.name} belongs into include/"


def _word(decorator: ast.expr) -> str:
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return target.id if isinstance(target, ast.Name) else ""
