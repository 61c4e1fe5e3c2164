"""What the revisions say in functions, named statements do not say again; the planner reads through the functions."""

import json
import re
import secrets
from datetime import datetime

import pytest
import sqlalchemy as sa

from include.database import engine
from include.database.queries import load
from include.domain.periods.months import ZONE
from include.domain.ticket import FINISHED, STATES
from tests.architecture import ROOT, named_statements
from tests.desk.filling import fill

NOW = datetime(2026, 11, 20, 10, 30, tzinfo=ZONE)
#: How the states of a finished ticket and the stamps of a stopped clock would be written out by hand.
LISTED = re.compile(r"'(closed|cancelled|expired)',\s*'(closed|cancelled|expired)'")
STAMPED = re.compile(r"case\s+when\s+(\w+\.)?due_at\s*<")
WRITTEN_OUT = (
    (re.compile(r"not is_finished\(([\w.]+)\)"), r"\1 not in ('closed', 'cancelled', 'expired')"),
    (re.compile(r"is_finished\(([\w.]+)\)"), r"\1 in ('closed', 'cancelled', 'expired')"),
)
MAKING = re.compile(r"create temporary table \w+ on commit drop as\n")
PARAMETER = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")


def asking() -> dict[str, str]:
    """The statements that ask whether a ticket is finished, by file and name."""
    files = [path.relative_to(ROOT / "sql").with_suffix("").as_posix() for path in named_statements()]
    found = {f"{file}:{name}": text.text for file in files for name, text in load(file).items()}
    return {name: text for name, text in found.items() if "is_finished(" in text}


ASKING = asking()


@pytest.fixture(scope="module")
def year(postgres, execute, migrated_template, config):
    """A connection nothing is hidden from, to a year of tickets."""
    name = f"said_{secrets.token_hex(4)}"
    execute(f"create database {name} template {migrated_template}")
    fill(postgres.url(name), config, tickets=20_000, agents=60, now=NOW)
    made = engine(postgres.url(name), role=None)
    with made.connect() as db:
        # what the statements of the limits find there, made beforehand
        db.execute(load("stages/limits")["stage_leaving"])
        db.execute(load("stages/limits")["stage_limited"], {"today": NOW.date()})
        yield db
    made.dispose()
    execute(f"drop database {name} with (force)")


def plan(db, text):
    """The plan of a statement for any values of its parameters, costs and all."""
    names = dict.fromkeys(PARAMETER.findall(text))
    numbers = {name: f"${nth}" for nth, name in enumerate(names, start=1)}
    numbered = PARAMETER.sub(lambda match: numbers[match[1]], MAKING.sub("", text)).replace("%", "%%")
    with db.begin_nested():
        return db.exec_driver_sql(f"explain (format json, generic_plan) {numbered}").scalar_one()


@pytest.mark.parametrize("path", named_statements(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_statement_lists_the_finished_states_or_stamps_a_stopped_clock_by_hand(path):
    text = path.read_text("utf-8")
    assert LISTED.search(text) is None
    assert STAMPED.search(text) is None


def test_both_would_be_found():
    assert LISTED.search("where t.state not in ('closed', 'cancelled', 'expired')")
    assert STAMPED.search("breached_at = case when c.due_at < :now then c.due_at end")


def test_the_database_and_the_domain_agree_on_what_is_finished(year):
    rows = year.execute(
        sa.text("select s, is_finished(s) from unnest(cast(:states as text[])) as s"),
        {"states": list(STATES)},
    )
    assert {state for state, is_over in rows if is_over} == set(FINISHED)


@pytest.mark.parametrize("name", ASKING)
def test_a_statement_is_planned_as_if_the_states_were_written_out(year, name):
    text = spelled = ASKING[name]
    for pattern, out in WRITTEN_OUT:
        spelled = pattern.sub(out, spelled)
    assert spelled != text
    assert plan(year, text) == plan(year, spelled)


def test_the_search_for_a_customers_unfinished_ticket_uses_the_partial_indexes(year):
    told = json.dumps(plan(year, ASKING["stages/dispatch:find_candidates"]))
    assert {"tickets_unfinished_by_customer", "tickets_unfinished_by_number"} <= set(
        re.findall(r"tickets_unfinished_by_\w+", told)
    )
