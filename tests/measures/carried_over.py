"""What an earlier version stored under other writings of its ids, carried over by this one, in counts.

python -m tests.measures.carried_over --before DIR [--subscribers N] [--months M] [--seed S] [--without-landing]
    [--graded]

The checkout `--before` fills a database and a lake from a simulated province in which every id is written as a float
(`….0`), up to the month before the last. Then the province is delivered plainly, and this checkout goes on with the
last month, also `--without-landing`: only the lake has the months before, or from dispatch on when the checkout
before has `--graded` it. Then it runs the month that was dispatched before once more. Prints one JSON object.
"""

import argparse
import csv
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2

from include.domain.periods.months import default_as_of
from include.local.postgres import Server
from tests.measures.two_checkouts import ROOT, run, site

IDS = ("subscriber_id", "customer_id")
ASKED = {
    "told": "select action, subject, details from audit_log where actor = 'upgrade' order by 1, 2",
    "tickets": "select cycle, count(*) from tickets group by cycle order by cycle",
    "standing_limits": "select count(*) from standing_limits",
    "decisions": "select coalesce(reason, decision), count(*) from dispatch_decisions where cycle = %(month)s"
    " group by 1 order by 1",
    "still_floats": "select count(*) from tickets where subscriber_id like '%%.0' or customer_key like '%%.0'",
}


def rewrite(landing: Path, write: Callable[[str], str]) -> None:
    """Every file of a landing folder with its ids in another writing."""
    for path in landing.glob("*/*/*.csv"):
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        if not rows or IDS[0] not in rows[0]:
            continue
        for row in rows:
            row |= {name: write(row[name]) for name in IDS if row.get(name)}
        with path.open("w", encoding="utf-8", newline="") as file:
            written = csv.DictWriter(file, list(rows[0]))
            written.writeheader()
            written.writerows(rows)


def carry(folder: Path, server: Server, told: argparse.Namespace) -> dict[str, Any]:
    """The earlier checkout fills a site, this one goes on with it; what then stands."""
    size = ["--subscribers", str(told.subscribers), "--months", str(told.months), "--seed", str(told.seed)]
    run(told.before, "-m", "include.simulator", *size, "--out", str(folder / "province"))
    landing, url = folder / "province" / "landing", server.url("postgres")
    months = sorted(path.name[6:] for path in landing.glob("subscribers/month=*"))
    place = ["--landing", str(landing), "--lake", str(folder / "lake"), "--db", url]

    def loop(checkout: Path, month: str, *words: str, now: str = "") -> str:
        now = now or default_as_of(month).isoformat()
        return run(checkout, "-m", "include.loop", *place, "--month", month, "--now", now, *words)

    rewrite(landing, lambda text: f"{text}.0")
    loop(told.before, months[-2], "--train")
    rewrite(landing, lambda text: text.removesuffix(".0"))
    if told.without_landing:
        for path in landing.glob("*/*"):
            if path.name.partition("=")[2][:7] < months[-1]:
                shutil.rmtree(path)
    if told.graded:
        loop(told.before, months[-1], "--train", "--until", "grading")
    loop(ROOT, months[-1], *(["--from", "dispatch"] if told.graded else ["--train"]))
    again = loop(ROOT, months[-2], now=default_as_of(months[-1]).isoformat()).splitlines()
    dispatched = next(each for each in map(json.loads, again) if each["stage"] == "dispatch")
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        found = {}
        for name, statement in ASKED.items():
            cursor.execute(statement, {"month": months[-1]})
            found[name] = cursor.fetchall()
    return {"month": months[-1], "dispatched_before": dispatched["message"], **found}


def main() -> None:
    """Carry over, and print what stands; the exit status is 1 when an id still stands as a float."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.measures.carried_over",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--subscribers", type=int, default=3000)
    parser.add_argument("--months", type=int, default=6)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--without-landing", action="store_true")
    parser.add_argument("--graded", action="store_true")
    told = parser.parse_args()
    told.before = told.before.resolve()
    with site() as (folder, server):
        found = carry(folder, server, told)
    print(json.dumps(found))
    sys.exit(found["still_floats"] != [(0,)])


if __name__ == "__main__":
    main()
