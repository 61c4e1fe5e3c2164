"""The tree keeps the rules of docs/architecture.md, and every rule is shown to be able to fail."""

import ast
import re
import statistics
import subprocess
import sys

import pytest

from include.domain.campaign_files import cadences
from tests.architecture import (
    ROOT,
    RULES,
    STAGES,
    function_lengths,
    loaded_packages,
    named_statements,
    project_files,
    queries_loaded,
)

#: The default of commands, the demo, and what carries over the data of when there was but one campaign.
MAY_NAME_A_CAMPAIGN = (
    "include/commands/__init__.py",
    "include/simulator/",
    "include/local/demo.py",
    "include/stages/collection/migrations/per_campaign.py",
)

BAD = [
    ("domain", "include/domain/x.py", "import polars"),
    ("domain", "include/domain/x.py", "from include.config import load_config"),
    ("domain", "include/domain/x.py", "import chinese_calendar"),
    ("stages", "include/stages/x.py", "from airflow.sdk import task"),
    ("stages", "include/stages/x.py", "import fastapi"),
    ("stages", "include/stages/x.py", "def f():\n    from include.desk import work"),
    ("stages", "include/stages/x.py", "from include import loop"),
    ("api", "include/desk/api/x.py", "from include.desk.pages import queue"),
    ("api", "include/desk/api/x.py", "def f():\n    import include.desk.pages.ticket"),
    ("services", "include/desk/tickets/x.py", "from fastapi import Request"),
    ("services", "include/desk/calls/x.py", "from include.desk.web.rendering import page"),
    ("clock", "include/stages/x.py", "from datetime import datetime\nnow = datetime.now(ZONE)"),
    ("clock", "include/stages/x.py", "import datetime\nnow = datetime.datetime.utcnow()"),
    ("clock", "include/desk/tickets/life_cycle.py", "today = date.today()"),
    ("clock", "include/domain/x.py", "import time\nstarted = time.time()"),
    ("connection", "include/stages/x.py", "engine = sqlalchemy.create_engine(url)"),
    ("connection", "include/stages/x.py", "db = psycopg2.connect(url)"),
    ("simulator", "include/loop.py", "from include.simulator.staff import work_tickets"),
    ("simulator", "dags/x.py", "def f():\n    from include import simulator"),
    ("truth", "include/stages/x.py", "path = landing.parent / 'truth' / 'reasons.csv'"),
    ("truth", "include/local/x.py", "frame = read('out/truth/month=2026-10.csv')"),
    ("heavy", "dags/x.py", "import polars as pl"),
    ("heavy", "plugins/x.py", "try:\n    from sqlalchemy import text\nexcept ImportError:\n    raise"),
    ("heavy", "dags/x.py", "from include.lake import Lake"),
    ("pickle", "include/lake/__init__.py", "import pickle"),
    ("pickle", "include/stages/x.py", "def f():\n    from joblib import dump"),
    ("except", "include/loop.py", "try:\n    f()\nexcept:\n    raise"),
    ("except", "include/loop.py", "try:\n    f()\nexcept Exception:\n    pass"),
    ("sql", "include/loop.py", "db.execute(f'select {column} from tickets')"),
    ("sql", "include/loop.py", "db.execute(text('select * from %s' % table))"),
    ("sql", "include/loop.py", "open_db().execute('select {} from tickets'.format(column))"),
    ("sql", "include/loop.py", "text('select ' + column)"),
    ("inline", "include/stages/x.py", "from sqlalchemy import Connection, text"),
    ("locks", "include/stages/x.py", "run.lake.publish('scores', month, parts)"),
    ("locks", "include/commands/x.py", "def f(lake):\n    lake.drop(table, month)"),
    ("sums", "include/stages/x.py", "WINDOWS = {'mean': pl.mean_horizontal}"),
    ("names", "include/utils.py", ""),
    ("names", "include/common/x.py", ""),
    ("names", "include/stages/x.py", "class TicketManager: ..."),
    ("names", "include/stages/x.py", "def date_helper(): ..."),
]

GOOD = [
    ("domain", "include/domain/x.py", "import json\nfrom include.domain.periods.months import ZONE"),
    ("domain", "include/domain/x.py", "def f():\n    import chinese_calendar"),
    ("domain", "include/stages/x.py", "import polars"),
    ("stages", "include/stages/x.py", "import polars\nfrom include.database import lock"),
    ("api", "include/desk/api/x.py", "from include.desk.tickets import queue"),
    ("services", "include/desk/tickets/x.py", "from include.desk.viewer import Viewer"),
    ("clock", "include/stages/x.py", "started = time.perf_counter()\nnow = now.astimezone(ZONE)"),
    ("clock", "include/loop.py", "now = datetime.now(ZONE)"),
    ("connection", "include/stages/x.py", "db.execute(Q['claim'], {})"),
    ("simulator", "include/local/demo.py", "from include.simulator import province"),
    ("truth", "include/stages/x.py", "'''Never reads the truth.'''\ntruthful = 'untruthful'"),
    ("heavy", "dags/x.py", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import polars"),
    ("heavy", "dags/x.py", "def f():\n    import polars"),
    ("pickle", "include/stages/x.py", "import json"),
    ("except", "include/loop.py", "try:\n    f()\nexcept ValueError:\n    pass"),
    ("sql", "include/loop.py", "db.execute(text('select 1 from t where a = :a'), {'a': f'{a}'})"),
    ("sums", "include/stages/x.py", "highest = pl.max_horizontal(bills)"),
    ("locks", "include/commands/x.py", "hold(db, table, month)\nlake.drop(table, month)"),
    ("names", "include/stages/x.py", "def retention_manager(): ..."),
]


@pytest.mark.parametrize("rule", RULES)
def test_the_tree_keeps_the_rule(rule):
    offences = [
        offence
        for path in project_files()
        for offence in RULES[rule].offences((ROOT / path).read_text("utf-8"), path)
    ]
    assert not offences, f"{RULES[rule].sentence}:\n" + "\n".join(offences)


@pytest.mark.parametrize(("rule", "path", "source"), BAD)
def test_a_rule_catches_its_offence(rule, path, source):
    assert RULES[rule].offences(source, path)


@pytest.mark.parametrize(("rule", "path", "source"), GOOD)
def test_a_rule_lets_the_innocent_pass(rule, path, source):
    assert RULES[rule].offences(source, path) == []


def test_every_rule_is_shown_to_catch_something():
    assert {rule for rule, _, _ in BAD} == set(RULES)


def test_heavy_imports_are_found_through_project_modules(tmp_path):
    (tmp_path / "include").mkdir()
    (tmp_path / "include" / "light.py").write_text("from include import deep\n")
    (tmp_path / "include" / "deep.py").write_text("import polars\n")
    assert "polars" in loaded_packages(ast.parse("from include.light import x"), tmp_path, set())


def test_no_stage_task_or_command_brings_in_a_library_of_models_before_it_uses_one():
    rooms = ("stages", "orchestration", "commands", "notices", "analysis", "desk", "clocks", "loop")
    modules = [
        path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for path in project_files()
        if path.startswith(tuple(f"include/{room}" for room in rooms))
    ]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"include.stages.training", "include.loop", "include.orchestration.campaign", "polars"} <= loaded
    assert not {"xgboost", "sklearn", "scipy", "pandas"} & loaded


def test_the_program_is_looked_at():
    """Guards the rules above against an empty list of files."""
    assert {"include/domain/periods/months.py", "include/stages/dispatch/__init__.py"} <= set(project_files())


@pytest.mark.parametrize("word", STAGES)
def test_one_word_per_stage_names_module_tests_and_heading(word):
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    headings = re.findall(r"^#+ +`?(\w+)`?", page, re.MULTILINE)
    stage = ROOT / "include" / "stages" / word
    assert stage.with_suffix(".py").is_file() or (stage / "__init__.py").is_file()
    tests = ROOT / "tests" / "stages"
    assert list(tests.glob(f"test_{word}*.py")) or list((tests / word).glob("test_*.py")), (
        f"tests/stages/test_{word}.py is missing"
    )
    assert word in headings, f"docs/architecture.md has no heading '{word}'"


def test_the_room_of_the_stages_holds_stages_alone():
    found = {path.stem for path in (ROOT / "include" / "stages").iterdir() if not path.stem.startswith("__")}
    assert found == set(STAGES)


def test_every_loaded_sql_file_exists_and_every_sql_file_is_loaded():
    loaded = set()
    for path in project_files():
        loaded |= queries_loaded(ast.parse((ROOT / path).read_text("utf-8")))
    assert loaded == {
        path.relative_to(ROOT / "sql").with_suffix("").as_posix() for path in named_statements()
    }


def test_nothing_but_the_demo_and_the_default_of_commands_names_a_campaign():
    campaigns = re.compile("|".join(rf"\b{name}\b" for name in cadences(ROOT / "include" / "config")))
    desk = ROOT / "include" / "desk"
    others = [
        *named_statements(),
        *desk.rglob("*.html"),
        *desk.rglob("*.js"),
        *(ROOT / "include" / "words").glob("*.yaml"),
    ]
    read = [ROOT / path for path in project_files() if not path.startswith(MAY_NAME_A_CAMPAIGN)]
    naming = {
        path.relative_to(ROOT).as_posix() for path in [*read, *others] if campaigns.search(path.read_text())
    }
    assert naming == set()
    assert campaigns.search((ROOT / "include" / "commands" / "__init__.py").read_text("utf-8"))


def test_modules_and_functions_are_short_as_a_habit():
    lengths, modules = [], []
    for path in project_files():
        source = (ROOT / path).read_text("utf-8")
        lengths += [(lines, f"{path}: {name}") for name, lines in function_lengths(ast.parse(source))]
        modules.append((len(source.splitlines()), path))
    longest = "\n".join(f"{lines:4d} {what}" for lines, what in sorted(lengths + modules, reverse=True)[:15])
    share = sum(lines < 40 for lines, _ in lengths) / len(lengths)
    assert share >= 0.9, f"only {share:.0%} of the functions are under 40 lines; the longest:\n{longest}"
    assert statistics.median(lines for lines, _ in lengths) <= 14, longest
    assert sum(lines <= 250 for lines, _ in modules) / len(modules) >= 0.9, longest
    assert max(lines for lines, _ in modules) <= 400, longest
