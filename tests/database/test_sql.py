"""Every named statement is linted by itself, has its sentence, is short and reads no clock."""

import re

import pytest
from sqlfluff.core import FluffConfig, Linter

from tests.architecture import ROOT, named_statements

FILES = named_statements()
MOST_LINES = 64
LONGEST_LINE = 140
PARAMETER = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
CLOCK = re.compile(r"\bnow\(\)|clock_timestamp|statement_timestamp|current_(date|time)", re.IGNORECASE)


def statements(sql: str) -> list[tuple[int, str]]:
    """Line and text of each statement, beginning with its `-- name:` line."""
    starts = [match.start() for match in re.finditer(r"(?m)^-- name:", sql)]
    ends = [*starts[1:], len(sql)]
    return [(sql.count("\n", 0, start) + 1, sql[start:end]) for start, end in zip(starts, ends, strict=True)]


def faults(statement: str) -> list[str]:
    """What is wrong with the form of one statement."""
    lines = statement.strip().splitlines()
    found = []
    if not re.fullmatch(r"-- name: [a-z_0-9]+", lines[0]):
        found.append(f"'{lines[0]}' is not '-- name: some_name'")
    if not lines[1].startswith("-- "):
        found.append(f"{lines[0]} has no sentence")
    if len(lines) > MOST_LINES:
        found.append(f"{lines[0]} has {len(lines)} lines")
    if max(map(len, lines)) > LONGEST_LINE:
        found.append(f"{lines[0]} has a line of {max(map(len, lines))} characters")
    if CLOCK.search("\n".join(line.partition("--")[0] for line in lines)):
        found.append(f"{lines[0]} reads the clock: pass :now or :as_of")
    return found


@pytest.fixture(scope="module")
def linter() -> Linter:
    return Linter(config=FluffConfig.from_path(str(ROOT)))


def lint(linter: Linter, statement: str) -> list[str]:
    """sqlfluff's findings in one statement."""
    # a parameter is linted under its name, which may be a keyword: limit :limit
    linted = linter.lint_string(PARAMETER.sub(r":given_\1", statement.strip() + "\n"))
    found = [error for error in linted.get_violations() if error.rule_code() != "LT05"]  # judged as written
    return [f"+{error.line_no - 1}: {error.rule_code()} {error.desc()}" for error in found]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_named_statements_keep_their_form(path):
    found = statements(path.read_text("utf-8"))
    assert found, f"{path.name} names no statement"
    wrong = [f"{path.name}:{line}: {fault}" for line, statement in found for fault in faults(statement)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_named_statements_pass_sqlfluff(path, linter):
    found = statements(path.read_text("utf-8"))
    wrong = [f"{path.name}:{line}{fault}" for line, statement in found for fault in lint(linter, statement)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "statement",
    [
        "-- name: find\nselect 1",
        "-- name: Find It\n-- A sentence.\nselect 1",
        "-- name: find\n-- A sentence.\nselect now()",
        "-- name: find\n-- A sentence.\nselect\n" + "1,\n" * MOST_LINES + "2",
        "-- name: find\n-- A sentence.\nselect " + "1, " * LONGEST_LINE + "2",
    ],
)
def test_a_badly_formed_statement_is_found(statement):
    assert faults(statement)


@pytest.mark.parametrize(
    "statement",
    ["-- name: find\n-- A sentence.\nSELECT a FROM t", "-- name: find\n-- A sentence.\nselect a from from t"],
)
def test_a_statement_sqlfluff_dislikes_is_found(statement, linter):
    assert lint(linter, statement)


def test_the_lines_of_statements_are_those_of_the_file():
    assert [line for line, _ in statements("-- About.\n-- name: a\nselect 1\n\n-- name: b\nselect 2\n")] == [
        2,
        5,
    ]
