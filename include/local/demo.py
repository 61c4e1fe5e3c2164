"""The demo: a simulated province lives through two cycles of every monthly campaign.

M−1 is scored as it would have been then, worked by simulated staff and observed; M is opened in Airflow and
waits for people. Every step is kept when finished, so that a second `make run` goes on where the first ended.
"""

import csv
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from include.domain.periods.months import ZONE, default_as_of, first_day, month_of, shift
from include.local.airflow import (
    dags,
    monthly_campaigns,
    run_campaigns,
    run_dag_once,
    start_airflow,
    start_databases,
)
from include.local.progress import tell, tell_result
from include.local.sites import Site
from include.local.steps import once, results, run, together
from include.local.summary import ask, summarise
from include.settings import ROOT
from include.simulator.province import CAMPAIGNS

SUBSCRIBERS = 20_000
HISTORY_MONTHS = 8
# a province in which two to three in a hundred are graded high
SEED = 7
_FAB_ROLES = {"agent": "RetentionStaff", "lead": "RetentionLead", "manager": "RetentionManager"}


def run_demo(site: Site, now: datetime) -> str:
    """Bring the demo to where M waits for people; return the closing summary."""
    month = once(site, "month", lambda: newest_month(now))
    (site.folder / "province").mkdir(exist_ok=True, mode=0o700)
    site.remember(landing=str(landing(site)))
    start_databases(site)
    once(site, "staff", lambda: hire_staff(site))
    together(site, lambda: start_airflow(site, users(site)), lambda: prepare_data(site, month))
    api = start_airflow(site, users(site))
    # in the first days of a month the newest cycle is over already; the demo shows its tickets all the same
    conf = {"month": month, "train": True, "dispatch_late": True}
    results_by_campaign = run_campaigns(conf, lambda dag, conf: run_dag_once(site, api, dag, conf))
    run_dag_once(site, api, "release_tickets", {"on_rest_days": True})
    for dag in dags():
        api.unpause(dag)
    return summarise(site, month, results_by_campaign, who_logs_in(site))


def newest_month(now: datetime) -> str:
    """The newest month a scheduled run would have worked on by `now`."""
    month = shift(month_of(now.astimezone(ZONE).date()), -1)
    return month if default_as_of(month) <= now else shift(month, -1)


def landing(site: Site) -> Path:
    """Where the simulated province's deliveries land."""
    return site.folder / "province" / "landing"


# ---- the data of both cycles


def prepare_data(site: Site, month: str) -> None:
    """The province up to M−1, its cycles and their staff, then month M as their work made it."""
    earlier = shift(month, -1)
    once(site, f"province {earlier}", lambda: simulate(site, HISTORY_MONTHS, earlier))
    for campaign in monthly_campaigns():
        once(site, f"cycle {campaign} {earlier}", partial(run_earlier_cycle, site, campaign, earlier))
    once(site, f"work {earlier}", lambda: work_tickets(site, earlier))
    once(site, f"province {month}", lambda: simulate(site, HISTORY_MONTHS + 1, month, treated(site, earlier)))


def simulate(site: Site, months: int, last_month: str, treated: Path | None = None) -> bool:
    """Write the province's landing files up to `last_month`, with the effect of the contacts in `treated`."""
    size = ["--subscribers", str(SUBSCRIBERS), "--months", str(months), "--seed", str(SEED)]
    where = ["--out", str(site.folder / "province")]
    # as an operator loads what lies behind: whole months, and days from the one that is worked on
    until = ["--last-month", last_month, "--days-from", last_month]
    # what happened before the contacts is delivered already and stays as it is
    contacts = ["--treated", str(treated), "--from-month", last_month] if treated else []
    run(site, "simulator", ["-m", "include.simulator", *size, *until, *where, *contacts])
    tell(f"{'simulated province':<34} {SUBSCRIBERS:,} subscribers up to {last_month}")
    return True


def run_earlier_cycle(site: Site, campaign: str, month: str) -> list[Any]:
    """A campaign's loop for M−1 without Airflow, as it would have run on the 5th of the month after."""
    as_of = default_as_of(month)
    words = ["-m", "include.loop", "--landing", str(landing(site)), "--lake", str(site.lake), "--train"]
    words += ["--db", site.bare_database_url("churn_loop"), "--campaign", campaign, "--month", month]
    words += ["--as-of", as_of.isoformat(), "--now", (as_of + timedelta(hours=2)).isoformat()]
    done = []
    for result in results(site, "loop", words):
        done.append(result)
        tell_result(f"{campaign} {month} {result.get('stage', '')}", result)
    return done


def treated(site: Site, month: str) -> Path:
    """Write whom staff of each campaign contacted in the cycle `month`, and with what offer, for the simulator."""
    file = site.folder / "province" / f"treated-{month}.csv"
    rows = []
    for campaign, effective in CAMPAIGNS.items():
        rows += ask(site, "list_treated", campaign=campaign, cycle=month, results=list(effective))
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(("subscriber_id", "month", "offer_reason", "contacted_on", "campaign"))
        writer.writerows(tuple(row.values()) for row in rows)
    return file


# ---- the people


def hire_staff(site: Site) -> bool:
    """Put the simulated staff, each with an Airflow user, into the operations database."""
    run(
        site, "staff", ["-m", "include.simulator.staff", "hire", "--db", site.bare_database_url("churn_loop")]
    )
    return True


def work_tickets(site: Site, month: str) -> list[Any]:
    """Let the simulated staff work the cycles of M−1 day by day, until the month after it ends."""
    opened = default_as_of(month)
    ends = datetime.combine(first_day(shift(month, 2)) - timedelta(days=1), time(20, 0), ZONE)
    words = [
        "-m",
        "include.simulator.staff",
        "work",
        "--db",
        site.bare_database_url("churn_loop"),
        "--cycle",
        month,
    ]
    words += [
        "--truth",
        str(site.folder / "province" / "truth"),
        "--from",
        opened.isoformat(),
        "--until",
        ends.isoformat(),
        "--seed",
        str(SEED),
    ]
    done = []
    for result in results(site, "staff", words):
        done.append(result)
        tell_result(f"{month} simulated staff", result)
    return done


def users(site: Site) -> list[tuple[str, str, str]]:
    """Airflow's users: administrator, operator, and everybody on the staff."""
    people = ask(site, "list_people")
    staff = [(row["airflow_username"], _FAB_ROLES[row["role"]], row["name"]) for row in people]
    return [("admin", "Admin", "Administrator"), ("operator", "Op", "Operator"), *staff]


def who_logs_in(site: Site) -> Sequence[tuple[str, str]]:
    """For the summary: the administrator, the operator and one person of each role."""
    people = ask(site, "list_people")
    first = {row["role"]: row for row in reversed(people)}
    desk = ", desk at /plugin/retention-desk" if (ROOT / "plugins" / "retention_desk.py").exists() else ""
    named = [
        (row["airflow_username"], f"{role} {row['name']} ({row['team']}){desk}")
        for role, row in sorted(first.items())
    ]
    return [("admin", "everything"), ("operator", "DAGs and runs"), *named]
