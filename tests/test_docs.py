"""The documentation names only what exists: commands, variables, DAGs, paths, links, tables, sentences."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from include.domain.campaign_files import COMMON_DAGS, cadences
from include.settings import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README.zh-CN.md")
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if path.is_file()
)
DAGS = {*COMMON_DAGS, *cadences(ROOT / "include" / "config")}
GROUPS = ("collection", "features", "training", "prediction", "grading", "dispatch", "outreach", "follow_up")
FOLDERS = ("include", "dags", "plugins", "sql", "tests", "docs")


@cache
def read(page: str) -> str:
    """A page's text."""
    return (ROOT / page).read_text("utf-8")


def prose(page: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"(?ms)^```.*?^```$", "", read(page))


def quoted(page: str) -> list[str]:
    """Everything in single backticks outside fenced blocks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def commands(page: str) -> list[str]:
    """Lines of shell blocks and backticked words, where commands stand."""
    blocks = re.findall(r"(?ms)^```sh\n(.*?)^```$", read(page))
    lines = (line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines())
    return [*quoted(page), *lines]


def anchors(page: str) -> set[str]:
    """The anchors GitHub makes of a page's headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", read(page)))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def sources() -> Iterator[Path]:
    """Every Python file of the program."""
    for folder in ("include", "dags", "plugins"):
        yield from (ROOT / folder).rglob("*.py")


@cache
def literals() -> tuple[str, ...]:
    """Every text in the program, the parts of f-strings one by one."""
    trees = (ast.parse(path.read_text("utf-8")) for path in sources())
    nodes = (node for tree in trees for node in ast.walk(tree))
    return tuple(
        node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def is_said(fragment: str) -> bool:
    """Whether the program can say these words."""
    return any(fragment in text for text in literals())


# ---------------------------------------------------------------- commands and names


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_and_variable_named_exists(page):
    makefile = read("Makefile")
    targets = set(re.findall(r"(?m)^([a-z]+):", makefile))
    variables = set(re.findall(r"\$\((\w+)\)", makefile))
    for command in commands(page):
        if match := re.match(r"make ([a-z]+)(.*)", command):
            assert match[1] in targets, command
            assert set(re.findall(r"\b([A-Z_]+)=", match[2])) <= variables, command


@pytest.mark.parametrize("page", PAGES)
def test_every_module_run_and_option_named_exists(page):
    found = (re.search(r"python -m (include[\w.]+)(.*)", command) for command in commands(page))
    for module, rest in (match.groups() for match in found if match):
        stem = ROOT / Path(*module.split("."))
        source = next(path for path in (stem.with_suffix(".py"), stem / "__main__.py") if path.is_file())
        said = source.read_text("utf-8") + read("include/commands/__init__.py")
        for option in re.findall(r"(?<![\w-])--[a-z][a-z-]+", rest):
            assert f'"{option}"' in said, f"{module} has no {option}"


@pytest.mark.parametrize("page", PAGES)
def test_every_environment_variable_named_is_read(page):
    assert set(re.findall(r"\b(?:CHURN|AIRFLOW_CONN)_[A-Z_]+\b", read(page))) <= set(ENVIRONMENT)


@pytest.mark.parametrize("page", READMES)
def test_the_readmes_name_every_environment_variable_and_every_dag(page):
    assert set(ENVIRONMENT) <= set(quoted(page))
    rows = re.findall(r"(?m)^\| `(\w+)` \|", read(page))
    assert set(rows) >= DAGS
    assert {row for row in rows if re.fullmatch(r"[a-z_]+", row)} == DAGS


@pytest.mark.parametrize("page", PAGES)
def test_every_dag_and_task_named_in_a_command_exists(page):
    assert set(re.findall(r"--dag-id (\w+)", read(page))) <= DAGS
    tasks = {
        name for path in (ROOT / "dags").glob("*.py") for name in re.findall(r"\w+", path.read_text("utf-8"))
    }
    for group, task in re.findall(
        r"`(collection|features|prediction|dispatch|follow_up)\.(\w+)`", read(page)
    ):
        assert {group, task} <= tasks, f"{group}.{task}"


@pytest.mark.parametrize("page", READMES)
def test_the_picture_of_the_dag_shows_its_tasks(page):
    shown = read(page).split("open_cycle", 1)[1].split("```")[0]
    source = read("dags/campaigns.py")
    for task in re.findall(
        r"\b(plan|collect|report|compute|publish|champions|predict|assign|announce)\b", shown
    ):
        assert re.search(rf"def {task}\b", source), task
    drawn = [*GROUPS, "reopen_cycle", "plan_size", "approve", "assign", "evaluate", "announce"]
    assert [word for word in drawn if word not in shown] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_named_exists(page):
    for word in quoted(page):
        if re.fullmatch(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*", word):
            assert (ROOT / word).exists(), word


@pytest.mark.parametrize("page", PAGES)
def test_every_link_resolves(page):
    for target in re.findall(r"\]\(([^)]+)\)", read(page)):
        if target.startswith("http"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file.resolve().relative_to(ROOT).as_posix()), target


def test_every_picture_kept_is_shown_and_small():
    from tests.desk.pictures import shown_pictures

    kept = {file.name: file.stat().st_size for file in (ROOT / "docs" / "pictures").iterdir()}
    assert set(kept) == {picture.name for picture in shown_pictures()}
    assert sum(kept.values()) < 2_500_000


@pytest.mark.parametrize("page", READMES)
def test_every_sentence_of_the_troubleshooting_table_can_be_said(page):
    rows = re.findall(r"(?m)^\| `([^`]*(?:…|\.)[^`]*)` \| ", read(page))
    assert len(rows) >= 10
    for sentence in rows:
        for fragment in filter(None, (part.strip() for part in sentence.split("…"))):
            assert is_said(fragment), f"nothing says '{fragment}' of '{sentence}'"


# ---------------------------------------------------------------- the two languages


def test_both_readmes_have_the_same_shape():
    def shape(page: str) -> list[str]:
        return re.findall(r"(?m)^(#+ |```\w*|\| `[^`]*` \|)", read(page))

    assert shape("README.md") == shape("README.zh-CN.md")


def test_both_readmes_link_to_the_same_pages():
    def links(page: str) -> list[str]:
        found = [target for target in re.findall(r"\]\(([^)]+)\)", read(page)) if "README" not in target]
        # each has its own pictures
        return [re.sub(r"-(en|zh)-(light|dark)-", "-", target) for target in found]

    assert links("README.md") == links("README.zh-CN.md")


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_finished(page):
    assert not re.search(r"\b(TODO|TBD|FIXME|XXX)\b", read(page))
    assert len(re.findall(r"(?m)^```", read(page))) % 2 == 0, "a fenced block is not closed"


# ---------------------------------------------------------------- what is promised


def test_what_keeps_each_promise_exists():
    table = read("docs/architecture.md").split("## Exactly once")[1].split("\n## ")[0]
    program = "\n".join(path.read_text("utf-8") for path in [*sources(), *(ROOT / "sql").rglob("*.sql")])
    kept_by = [row.split("|")[2] for row in table.splitlines() if row.count("|") == 3]
    assert len(kept_by) > 12
    for word in re.findall(r"`([\w.]+)`", " ".join(kept_by)):
        assert word.split(".")[-1] in program, word


def test_the_life_cycle_shows_every_state_action_outcome_and_clock():
    from include.domain.ticket import ACTIONS, STATES
    from include.words.outcomes import OUTCOMES

    page = read("docs/ticket-life-cycle.md")
    for word in (*STATES, *OUTCOMES, "first_contact", "plan"):
        assert f"| `{word}` |" in page, word
    for word in ACTIONS:
        assert re.search(rf"\b{word}\b", page), word


def test_the_state_picture_shows_exactly_the_transitions():
    from include.domain.ticket import ACTIONS

    page = read("docs/ticket-life-cycle.md")
    drawn = {
        (since, action.strip(), to)
        for since, to, actions in re.findall(r"(?m)^    (\w+) --> (\w+): ([^\n]+)$", page)
        for action in re.sub(r"\(.*\)", "", actions).split(",")
    }
    made = {
        (since, name, action.to)
        for name, action in ACTIONS.items()
        for since in action.since
        if action.to != since
    }
    assert drawn == {each for each in made if each[2] is not None}


def test_the_table_of_actions_is_the_one_in_force():
    from include.domain.ticket import ACTIONS

    rows = re.findall(
        r"(?m)^\| `(\w+)` \| ([\w, ]+) \| (\w+) \| ([\w, ]+) \|$", read("docs/ticket-life-cycle.md")
    )
    assert rows == [
        (name, ", ".join(sorted(action.since)), action.to or "kept", ", ".join(sorted(action.by)))
        for name, action in ACTIONS.items()
    ]


def test_the_feeds_are_those_the_loop_reads():
    feeds = yaml.safe_load(read("include/config/sources.yaml"))["feeds"]
    section = read("docs/data-dictionary.md").split("## Landing")[1].split("\n## ")[0]
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", section)) == set(feeds)


def test_every_table_and_column_of_the_database_is_described(db):
    statement = sa.text(
        "select table_name, column_name from information_schema.columns where table_schema = 'public'"
        " and table_name in (select tablename from pg_tables where schemaname = 'public')"
    )
    with db.begin():
        stand = {(row.table_name, row.column_name) for row in db.execute(statement)}
    described = set()
    for table, section in re.findall(r"(?ms)^#### `(\w+)`\n(.*?)(?=^#|\Z)", read("docs/data-dictionary.md")):
        described |= {(table, column) for column in re.findall(r"(?m)^\| `(\w+)` \|", section)}
    assert described == {each for each in stand if each[0] != "churn_revision"}
    assert "`churn_revision`" in read("docs/data-dictionary.md")


def test_every_decision_is_listed():
    records = {path.name for path in (ROOT / "docs" / "adr").glob("0*.md")}
    assert set(re.findall(r"\((0[^)]+\.md)\)", read("docs/adr/README.md"))) == records


def test_the_operations_guide_tells_how_long_retries_outlast():
    from include.orchestration import DEFAULTS

    factor, first = DEFAULTS["retry_exponential_backoff"], DEFAULTS["retry_delay"].total_seconds()
    delays = [first * factor**n for n in range(DEFAULTS["retries"])]
    guide = read("docs/operations-guide.md")
    told = f"after {delays[0]:.0f}, {delays[1]:.0f} and {delays[2]:.0f} seconds"
    assert told in guide
    # Airflow stretches each by a jitter of up to its own length
    assert f"{sum(delays) // 60:.0f} to {2 * sum(delays) // 60:.0f} minutes" in guide


@pytest.mark.parametrize("page", READMES)
def test_the_readme_says_that_the_summary_prints_passwords(page):
    from include.local import summary

    assert "password" in Path(summary.__file__).read_text("utf-8")
    told = {"README.md": "the summary prints those of the users", "README.zh-CN.md": "汇总会打印各用户的密码"}
    assert told[page] in read(page)
