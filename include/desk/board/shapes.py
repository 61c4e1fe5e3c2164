"""How rows of the board's statements become tables whose columns are a campaign's own: its endings, clocks, rates."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from include.config import Config
from include.config.readers.campaign import CLOCKS, Rates
from include.config.readers.campaign.work import Worded
from include.desk.board.scope import BoardScope
from include.desk.board.tables import (
    CAMPAIGN,
    CLOCK,
    COUNT,
    RATES,
    SHARE,
    STEPS,
    STEPS_OVER_ALL_TEAMS,
    VERDICTS,
    Rows,
    Section,
    Table,
)  # fmt: skip
from include.desk.campaigns import ALL
from include.domain.periods import months
from include.domain.text.words import Words
from include.words import catalogue

#: Endings of several campaigns, told alike: the customer was won, else spoken to, else neither.
_ENDS = ("willing", "reached", "not_reached", "other")
_KINDS = ("campaign", "strategy", "team", "grade", "cluster", "region")


def funnel(section: Section, rows: Rows, scope: BoardScope) -> Table:
    """A step a row: of one campaign against the cycle before, of all of them side by side."""
    if scope.campaign == ALL:
        return _side_by_side(section, rows, scope)
    counts = {row["cycle"]: row for row in rows}
    this, before = _of(counts, scope.cycles), _of(counts, [key for key in counts if key not in scope.cycles])
    shaped: list[dict[str, Any]] = []
    last: int | None = None
    for step in STEPS:
        count, old = this.get(step), before.get(step)
        change = None if count is None or not old else float((count - old) / old)
        if step == "closed":  # closing needs no processed plan
            last = this.get("contacted")
        of_before = None if count is None or not last else float(count / last)
        shaped.append({"step": step, "this": count, "before": old, "change": change, "of_before": of_before})
        # the held out leave the way here: they are compared with the warned, and so are the dispatched
        last = last if step == "held_out" else count
    return Table(section, shaped)


def _of(counts: Mapping[str, Mapping[str, Any]], keys: Iterable[str]) -> Mapping[str, Any]:
    return next((counts[key] for key in keys if key in counts), {})


def _side_by_side(section: Section, rows: Rows, scope: BoardScope) -> Table:
    """Cycles of a campaign added up; all campaigns begin with the same subscribers, which are not added."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["campaign"]].append(row)
    shaped = []
    for step in STEPS:
        of = {name: _added(step, cycles) for name, cycles in found.items()}
        counted = [count for count in of.values() if count is not None]
        together = sum(counted) if counted and step not in STEPS_OVER_ALL_TEAMS[:2] else None
        shaped.append({"step": step, "together": together} | {f"of_{name}": of[name] for name in of})
    columns = {"step": section.columns["step"], "together": COUNT, **{f"of_{name}": COUNT for name in found}}
    headings = {f"of_{name}": _named(scope.config, name) for name in found}
    return Table(replace(section, columns=columns), shaped, headings=headings)


def _added(step: str, cycles: Rows) -> int | None:
    counts = [int(row[step]) for row in cycles if row[step] is not None]
    if not counts:
        return None
    return max(counts) if step == STEPS[0] else sum(counts)


def service(section: Section, rows: Rows, scope: BoardScope) -> Table:
    """Of one campaign a column per clock and verdict; of all of them a line per campaign and clock."""
    if scope.campaign == ALL:
        columns = {
            "campaign": CAMPAIGN,
            "clock": CLOCK,
            **dict.fromkeys(VERDICTS, COUNT),
            "on_time_share": SHARE,
        }
        return Table(replace(section, columns=columns), [row for row in rows if row["level"] == "all"])
    clocks = clocks_of(scope)
    clocks |= {row["clock"]: Words(row["clock"], row["clock"]) for row in rows if row["clock"] not in clocks}
    lines: dict[Any, dict[str, Any]] = {}
    for row in rows:
        line = lines.setdefault((row["level"], row["team"], row["assignee_id"]), dict(row) | _none(clocks))
        line |= {f"{row['clock']}_{name}": row[name] for name in (*VERDICTS, "on_time_share")}
    *_, last = clocks
    columns = {**section.columns, **{f"{clock}_{name}": COUNT for clock in clocks for name in VERDICTS}}
    columns |= {f"{last}_on_time_share": SHARE}
    headings = {
        f"{clock}_{name}": _composed(f"board.clock.{name}", words)
        for clock, words in clocks.items()
        for name in (*VERDICTS, "on_time_share")
    }
    return Table(replace(section, columns=columns), list(lines.values()), headings=headings)


def clocks_of(scope: BoardScope) -> dict[str, Worded | Words]:
    """The clocks of the campaign the board is of; the engine's where its file is wrong or gone."""
    own = scope.config.campaigns.get(scope.campaign)
    return dict(own.clocks if own else CLOCKS)


def _none(clocks: Iterable[str]) -> dict[str, Any]:
    return {f"{clock}_{name}": 0 for clock in clocks for name in VERDICTS} | {
        f"{clock}_on_time_share": None for clock in clocks
    }


def outcomes(section: Section, rows: Rows, scope: BoardScope) -> Table:
    """A line per kind and value; a column per ending of the campaign, or per kind of ending of all of them."""
    columns, headings = _endings(scope)
    counted: dict[tuple[str, Any], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        value = row["campaign"] if row["kind"] == "campaign" else row["value"]
        line, won = counted[row["kind"], value], _is_won(scope.config, row)
        line[_column(scope, row)] += row["closed"]
        line["closed"] += row["closed"]
        line["won"] += row["closed"] * won
    if not any(line["other"] for line in counted.values()):
        columns.pop("other")
    wanted = {**section.columns, **columns, "closed": COUNT, "won_share": SHARE}
    lines = [
        {"kind": kind, "value": value} | {name: line[name] for name in (*columns, "closed")}
        | {"won_share": line["won"] / line["closed"]}
        for (kind, value), line in counted.items()
        if scope.campaign == ALL or kind != "campaign"
    ]  # fmt: skip
    lines.sort(key=lambda line: (_KINDS.index(line["kind"]), -line["closed"], str(line["value"])))
    return Table(replace(section, columns=wanted), lines, headings=headings)


def _endings(scope: BoardScope) -> tuple[dict[str, str], dict[str, Words]]:
    if scope.campaign == ALL:
        return dict.fromkeys(_ENDS, COUNT), {}
    endings = scope.config.catalogue(scope.campaign)
    headings = {f"ended_{name}": Words(ending.zh, ending.en) for name, ending in endings.items()}
    return dict.fromkeys([*headings, "other"], COUNT), headings


def _column(scope: BoardScope, row: Mapping[str, Any]) -> str:
    """The column an ending is counted in; endings no file knows any more are others."""
    ending = scope.config.catalogue(row["campaign"]).get(row["outcome"])
    if ending is None:
        return "other"
    if scope.campaign != ALL:
        return f"ended_{row['outcome']}"
    return "willing" if ending.is_willing else "reached" if ending.is_reached else "not_reached"


def _is_won(config: Config, row: Mapping[str, Any]) -> bool:
    ending = config.catalogue(row["campaign"]).get(row["outcome"])
    return ending is not None and ending.is_willing


def rates(section: Section, rows: Rows, scope: BoardScope) -> Table:
    """The three rates in the campaign's own words."""
    own = scope.config.campaigns.get(scope.campaign)
    words = own.rates if own else Rates()
    headings: dict[str, Worded | Words] = {name: getattr(words, name) for name in RATES}
    headings |= {f"{name}_share": _composed("board.share_of", headings[name]) for name in RATES}
    return Table(section, rows, headings=headings)


def success(section: Section, rows: Rows, scope: BoardScope) -> Table:
    """A line per arm observed; one line with the day to wait for where nothing is known yet."""
    return Table(section, [dict(row) | _known(row) for row in rows])


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["success_rate"] is not None:
        return {"is_known": True, "known_on": row["evaluated_at"].astimezone(months.ZONE).date()}
    return {"is_known": False, "known_on": row["known_on"]}


def _named(config: Config, name: str) -> Worded | Words:
    own = config.campaigns.get(name)
    return Words(own.zh, own.en) if own else Words(name, name)


def _composed(key: str, name: Worded | Words) -> Words:
    """A heading that holds a word of the campaign."""
    return Words(catalogue("zh")[key].format(name=name.zh), catalogue("en")[key].format(name=name.en))
