"""Two checkouts of this project, one landing folder: do both find the same scores, grades, arms and assignments?

python -m tests.measures.two_checkouts --before DIR --landing DIR --month YYYY-MM [--as-of ISO] [--now ISO]
    [--train] [--late]
python -m tests.measures.two_checkouts --before DIR --subscribers N --months M [--seed S] [--train] [--beside CAMPAIGN]

`--before` is another checkout (`git worktree add DIR COMMIT`), this one is compared with it; both run in the
environment this is run in. Without a landing folder the other checkout writes a simulated province, in which every
consent is filled in: what an unknown one means is a rule of marketing that checkouts may differ in. Prints one JSON
object: for each table how many rows both hold, hold alike, and hold alone.

With `--beside` this checkout dispatches another campaign of the month first. Then `assignments` may differ, each for a
reason that is counted: who is `lost` bears that of the decision here, who is `gained` that of the decision there.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psycopg2

from include.domain.periods.months import default_as_of
from include.local.postgres import Server
from include.settings import ROOT

# Run by either checkout with its own modules: what stands in its lake, one JSON row a line.
EXPORT = """
import json, sys
from include.lake import Lake
lake, wanted, month = Lake(sys.argv[1]), sys.argv[2], sys.argv[3]
# a table of one campaign lies below its name, and in earlier versions under the bare name
names = (f"{wanted}/campaign=churn_warning", wanted)
for table in [name for name in names if lake.has(name, month)][:1]:
    for row in lake.scan(table, month).sort("subscriber_id").collect().iter_rows(named=True):
        print(json.dumps(row, default=str, sort_keys=True))
"""
LAKE = ("factors", "scores", "grades")
DATABASE = {
    "warnings": "select campaign, cycle, subscriber_id, customer_key, cluster, probability, grade, tier, rank,"
    " rule_hits, rule_points, value_yuan, region_code, branch_code, tenure_months"
    " from warnings where campaign = 'churn_warning' and cycle = %s and revision = 0",
    # the draw was named after its campaign before it had a name of its own
    "arms": "select coalesce(to_jsonb(arms) ->> 'measure', to_jsonb(arms) ->> 'campaign') as measure, epoch,"
    " customer_key, arm from arms"
    " where 'churn_warning' in (to_jsonb(arms) ->> 'measure', to_jsonb(arms) ->> 'campaign') and %s is not null",
    "assignments": "select campaign, subscriber_id, customer_key, arm, rank, probability_of_assignment"
    " from assignments where campaign = 'churn_warning' and cycle = %s",
    "evidence": "select subscriber_id, evidence from assignments where campaign = 'churn_warning' and cycle = %s",
    "tickets": "select subscriber_id, state, team, rank from tickets where campaign = 'churn_warning' and cycle = %s",
    "decisions": "select subscriber_id, coalesce(reason, decision) as told from dispatch_decisions"
    " where campaign = 'churn_warning' and cycle = %s",
}
#: What another campaign may change: who gets a ticket, never what is known and told of somebody.
MOVED = ("arms", "assignments", "evidence", "tickets")
KEYS = {"arms": "customer_key"}
# a model's name carries the time of its training
NAMES = re.compile(r'"(model_version|model)": "[^"]*"')


@contextmanager
def site() -> Iterator[tuple[Path, Server]]:
    """A folder and a PostgreSQL that end with it."""
    folder = Path(tempfile.mkdtemp(prefix="two-checkouts-"))
    folder.chmod(0o755)
    server = Server(folder / "postgres", fsync=False)
    try:
        server.start()
        yield folder, server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def run(checkout: Path, *words: str) -> str:
    """The output of a module or of a program text, run with the modules of `checkout`."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    done = subprocess.run(
        [sys.executable, *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{checkout} {' '.join(words[:3])} failed: {done.stderr.strip()[-2000:]}")
    return done.stdout


def found_by(
    checkout: Path, name: str, folder: Path, server: Server, told: argparse.Namespace
) -> dict[str, Any]:
    """By table the rows a checkout makes of the landing folder, by key."""
    connection = psycopg2.connect(server.url("postgres"))
    connection.autocommit = True  # a database is made outside any transaction
    connection.cursor().execute(f"create database {name}")
    connection.close()
    lake = folder / name
    words = [
        "--landing",
        str(told.landing),
        "--lake",
        str(lake),
        "--db",
        server.url(name),
        "--month",
        told.month,
    ]
    words += ["--now", told.now or default_as_of(told.month).isoformat()]
    words += [word for option in ("as_of",) if getattr(told, option) for word in ("--as-of", told.as_of)]
    words += ["--dispatch-late"] * told.late
    if told.beside and checkout == ROOT:
        run(checkout, "-m", "include.loop", *words, "--campaign", told.beside)
    run(checkout, "-m", "include.loop", *words, *["--train"] * told.train)
    tables = {}
    for table in LAKE:
        rows = run(checkout, "-c", EXPORT, str(lake), table, told.month).splitlines()
        tables[table] = {json.loads(row)["subscriber_id"]: NAMES.sub("", row) for row in rows}
    with psycopg2.connect(server.url(name)) as connection, connection.cursor() as cursor:
        for table, statement in DATABASE.items():
            cursor.execute(f"select to_jsonb(x) from ({statement}) as x", (told.month,))
            key = KEYS.get(table, "subscriber_id")
            tables[table] = {
                row[key]: NAMES.sub("", json.dumps(row, sort_keys=True)) for (row,) in cursor.fetchall()
            }
    return tables


def fill_consents(landing: Path) -> None:
    """Let everybody whose consent is unknown have consented."""
    for path in landing.glob("subscribers/month=*/*.csv"):
        pl.read_csv(path, infer_schema=False).with_columns(
            pl.col("consents_to_marketing").fill_null("true")
        ).write_csv(path)


def compared(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, int]]:
    """By table: rows in both, how many of them are equal, rows in one alone."""
    counts = {}
    for table, rows in before.items():
        both = rows.keys() & after[table].keys()
        counts[table] = {
            "both": len(both),
            "equal": sum(rows[key] == after[table][key] for key in both),
            "before_only": len(rows.keys() - both),
            "after_only": len(after[table].keys() - both),
        }
    return counts


def why_moved(before: dict[str, Any], after: dict[str, Any]) -> dict[str, dict[str, int]]:
    """Of the assignments one alone holds, how many the other decided otherwise about, by what it decided."""
    sides = {"lost": (before, after), "gained": (after, before)}
    return {
        name: dict(
            Counter(
                json.loads(other["decisions"][each])["told"] if each in other["decisions"] else "unexplained"
                for each in one["assignments"].keys() - other["assignments"].keys()
            )
        )
        for name, (one, other) in sides.items()
    }


def main() -> None:
    """Compare, and print the counts; the exit status is 1 when anything differs."""
    told = _arguments()
    with site() as (folder, server):
        if told.landing is None:
            size = [
                "--subscribers",
                str(told.subscribers),
                "--months",
                str(told.months),
                "--seed",
                str(told.seed),
            ]
            run(told.before, "-m", "include.simulator", *size, "--out", str(folder / "province"))
            told.landing = folder / "province" / "landing"
            fill_consents(told.landing)
            told.month = max(path.name[6:] for path in told.landing.glob("subscribers/month=*"))
        before = found_by(told.before, "before", folder, server, told)
        after = found_by(ROOT, "after", folder, server, told)
    moved = why_moved(before, after) if told.beside else {}
    del before["decisions"]  # a dispatch may say more about somebody than it did
    counts = compared(before, after)
    print(json.dumps({"month": told.month, **counts, **moved}))
    differs = any(
        each["both"] != each["equal"]
        or ((each["before_only"] or each["after_only"]) and not (told.beside and table in MOVED))
        for table, each in counts.items()
    )
    sys.exit(differs or any("unexplained" in reasons for reasons in moved.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.measures.two_checkouts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--landing", type=Path)
    parser.add_argument("--month")
    parser.add_argument("--as-of")
    parser.add_argument("--now")
    parser.add_argument("--train", action="store_true")
    parser.add_argument(
        "--beside", help="a campaign this checkout dispatches first, such as contract_renewal"
    )
    parser.add_argument("--late", action="store_true", help="dispatch although the month is over")
    parser.add_argument("--subscribers", type=int, default=2000)
    parser.add_argument("--months", type=int, default=8)
    parser.add_argument("--seed", type=int, default=2026)
    told = parser.parse_args()
    if told.landing is not None and not told.month:
        parser.error("--landing needs --month")
    for name in ("before", "landing"):
        if getattr(told, name) is not None:
            setattr(told, name, getattr(told, name).resolve())
    return told


if __name__ == "__main__":
    main()
