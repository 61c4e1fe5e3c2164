"""The closing summary of a run: stages and feeds; of each campaign whom it chose, what became of them; the logins."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from include.commands import in_columns
from include.config import load_config
from include.database import engine
from include.database.queries import load
from include.domain.periods.months import ZONE
from include.local.sites import Site
from include.settings import config_folder

Q = load("commands/local")

_COUNTS = ("rows_in", "rows_out", "quarantined")
_RATES = ("reached", "willing", "completed")


def ask(
    site: Site, query: str, statements: Mapping[str, Any] = Q, /, **values: Any
) -> list[Mapping[str, Any]]:
    """Rows of one of the queries in sql/commands/local.sql, or in other `statements`, with the rights of the stages."""
    made = engine(site.database_url("churn_loop"))
    try:
        with made.connect() as db, db.begin():
            return [dict(row) for row in db.execute(statements[query], values).mappings()]
    finally:
        made.dispose()


def summarise(
    site: Site, month: str, results: Mapping[str, Sequence[Any]], people: Sequence[tuple[str, str]]
) -> str:
    """The summary of `month`; `results` of the stages by campaign, `people` as (username, what for)."""
    parts = [(f"Stages of {name}", stage_lines(done)) for name, done in results.items()]
    every = [result for done in results.values() for result in done]
    parts += [("Do the feeds name the same people?", people_lines(every))]
    today = datetime.now(ZONE).date()
    for name, done in results.items():
        cycle, lacks = {"campaign": name, "cycle": month}, lacks_of(done)
        parts += (
            [(f"{name}: nothing to do in {month}", lacks)] if lacks else campaign_parts(site, cycle, today)
        )
    parts += [(f"Log in at {site.url}", _login_lines(site, people))]
    return "\n".join(f"\n{title}\n" + "\n".join(f"  {line}" for line in lines) for title, lines in parts)


def lacks_of(results: Iterable[Any]) -> list[str]:
    """Why a campaign looked at nobody: what it goes by was not delivered; nothing when it looked at somebody."""
    graded = (result for result in _flat(results) if result["stage"] == "grading")
    return [result["message"] for result in graded if not result["rows_in"] and result.get("message")]


def campaign_parts(site: Site, cycle: Mapping[str, str], today: date) -> list[tuple[str, list[str]]]:
    """Title and lines of all the summary says of a campaign: its cycle, and how the work of all its cycles went."""
    name = cycle["campaign"]
    warned, decided, tickets = (
        ask(site, f"count_{what}", **cycle) for what in ("warnings", "decisions", "tickets")
    )
    return [
        (f"{name}: warned of in {cycle['cycle']}", warning_lines(warned)),
        (f"{name}: dispatch", decision_lines(decided) + _cut_lines(site, cycle)),
        (f"{name}: tickets", _ticket_lines(tickets)),
        (f"{name}: work", _work_lines(site, name)),
        (f"{name}: success", success_lines(ask(site, "count_outcomes", campaign=name), today)),
    ]


def stage_lines(results: Iterable[Any]) -> list[str]:
    """Rows in and out of each stage, summed over its mapped tasks."""
    added: dict[str, dict[str, int]] = {}
    for result in _flat(results):
        counts = added.setdefault(str(result["stage"]), {})
        for name in _COUNTS:
            if isinstance(result.get(name), int):
                counts[name] = counts.get(name, 0) + result[name]
    rows = [(stage, *(counts.get(name, "") for name in _COUNTS)) for stage, counts in added.items()]
    return _table(
        ("", "rows in", "rows out", "quarantined"), [row for row in rows if any(c != "" for c in row[1:])]
    )


def people_lines(results: Iterable[Any]) -> list[str]:
    """How many of the people of each feed occur in a profile, and the feeds of which nobody can say."""
    reports = [result for result in _flat(results) if "known_ids" in result]
    if not reports:
        return ["not measured in this run: collection did not report"]
    newest = reports[-1]
    rows = [
        (feed, counts["ids"], counts["known"], f"{100 * counts['share']:.1f} %")
        for feed, counts in newest["known_ids"].items()
    ]
    lines = _table(("feed", "people", "in a profile", "share"), rows)
    if newest["missing_feeds"]:
        lines.append(f"not delivered, so nothing is known of their ids: {', '.join(newest['missing_feeds'])}")
    if newest["values_not_taken"]:
        lines.append(f"{newest['values_not_taken']:,} values not taken (numbers to call, shared customers)")
    return lines


def _flat(results: Iterable[Any]) -> Iterable[Mapping[str, Any]]:
    for result in results:
        if isinstance(result, list):
            yield from _flat(result)
        elif isinstance(result, Mapping) and "stage" in result:
            yield result


def warning_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many were warned of and admitted, by grade where the campaign grades."""
    if not rows:
        return ["nobody"]
    return _table(
        ("grade", "tier", "subscribers", "admitted"),
        [(row["grade"] or "not graded", row["tier"], row["subscribers"], row["admitted"]) for row in rows],
    )


def decision_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """How many of those admitted get a ticket or are held out, and why the others are left out."""
    if not rows:
        return ["nothing was dispatched"]
    words = {
        "treated": "gets a ticket",
        "held_out": "held out, for comparison",
        "not_reached": "beyond capacity",
    }
    named = [(words.get(row["decision"], f"left out: {row['reason']}"), row["subscribers"]) for row in rows]
    return _table(("admitted", "subscribers"), named)


def _cut_lines(site: Site, cycle: Mapping[str, str]) -> list[str]:
    """Who stays out of reach, and what one more agent would be worth."""
    return [
        row[words]
        for row in ask(site, "read_cut", load("stages/dispatch"), **cycle)
        for words in ("en", "zh")
    ]


def _ticket_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return ["no tickets"]
    return _table(
        ("state", "tickets", "expected", "plan due"),
        [(row["state"], row["tickets"], _expected(row), _due(row)) for row in rows],
    )


def _expected(row: Mapping[str, Any]) -> str:
    if row["state"] != "waiting":
        return ""
    return _span(str(row["first_expected_on"]), str(row["last_expected_on"]))


def _due(row: Mapping[str, Any]) -> str:
    if row["first_due_at"] is None:
        return "set at release"
    first, last = (f"{row[name].astimezone(ZONE):%Y-%m-%d %H:%M}" for name in ("first_due_at", "last_due_at"))
    return _span(first, last) + (" (provisional)" if row["is_provisional"] else "")


def _span(first: str, last: str) -> str:
    return first if first == last else f"{first} to {last}"


def _work_lines(site: Site, campaign: str) -> list[str]:
    willing = load_config(config_folder()).willing([campaign])
    rates = ask(site, "count_rates", load("desk/rates"), campaign=campaign, willing=willing)
    return rate_lines(rates, ask(site, "count_inbound", load("desk/rates"), campaign=campaign))


def rate_lines(rates: Sequence[Mapping[str, Any]], inbound: Sequence[Mapping[str, Any]]) -> list[str]:
    """Per cycle of each campaign how many were reached, willing, completed, and how many held out called in."""
    called = {
        (row["campaign"], row["cycle"]): row["subscribers"] for row in inbound if row["arm"] == "held_out"
    }
    rows = [row for row in rates if row["level"] == "cycle"]
    if not rows:
        return ["no ticket was released yet"]
    return _table(
        ("campaign", "cycle", "released", "reached", "willing", "completed", "held out who called in"),
        [
            (
                row["campaign"],
                row["cycle"],
                row["released"],
                *(_rate(row, name) for name in _RATES),
                called.get((row["campaign"], row["cycle"]), 0),
            )
            for row in rows
        ],
    )


def _rate(row: Mapping[str, Any], name: str) -> str:
    share = row[f"{name}_share"]
    return f"{row[name]}" + ("" if share is None else f" ({100 * share:.1f} %)")


def success_lines(rows: Sequence[Mapping[str, Any]], today: date) -> list[str]:
    """Of both arms of every dispatched cycle how many succeeded and left, or from which day on it can be known."""
    if not rows:
        return ["no cycle was dispatched yet"]
    words = {"treated": "with a ticket", "held_out": "held out"}
    return _table(
        ("cycle", "arm", "subscribers", "succeeded", "share", "left"),
        [
            (row["cycle"], words.get(row["arm"], row["arm"]), row["subscribers"], *_observed(row, today))
            for row in rows
        ],
    )


def _observed(row: Mapping[str, Any], today: date) -> tuple[Any, str, Any]:
    left = "" if row["churned"] is None else row["churned"]
    if not row["known"]:
        return "", _awaited(row["known_on"], today), left
    return row["succeeded"], f"{100 * row['succeeded'] / row['known']:.1f} %", left


def _awaited(known_on: date | None, today: date) -> str:
    if known_on is None:
        return "not known yet"
    return (
        f"not known yet, {'on' if known_on > today else 'what tells it is awaited since'} {known_on:%Y-%m-%d}"
    )


def _login_lines(site: Site, people: Sequence[tuple[str, str]]) -> list[str]:
    known = site.secrets()["users"]
    return _table(
        ("user", "password", ""),
        [(user, known[user], what_for) for user, what_for in people if user in known],
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in [head, *rows]]
    numeric = [
        column
        for column in range(len(head))
        if all(isinstance(row[column], int) or row[column] == "" for row in rows)
    ]
    return in_columns(cells, to_the_right=numeric).splitlines()
