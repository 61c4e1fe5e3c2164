"""How often the loop tells the true reason: the truth of a simulated month beside the reasons of its warned.

python -m include.simulator.told_reasons --out DIR --lake DIR --month YYYY-MM
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import polars as pl

from include import settings
from include.commands import DEFAULT_CAMPAIGN, Command, command_line, option
from include.config import Config, load_config
from include.domain.periods.months import parse_month
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.models.reasons import evidence_for, grouped
from include.simulator.truth import read_truth
from include.stages import prediction

WARNED = ("high", "mid")
_Z = 1.96
_NONE = "none"


@dataclass(frozen=True)
class Graded:
    """The people of a campaign's month who were graded one of `grades`."""

    campaign: str
    month: str
    grades: Sequence[str]


class Agreement(TypedDict):
    """Of `people` with a single cause how many were told it first, the share with its 95 % interval (0 to 1).

    `confusion` counts true reason → first cause told.
    """

    month: str
    grades: list[str]
    people: int
    right: int
    share: float
    low: float
    high: float
    confusion: dict[str, dict[str, int]]


def agreement(out: Path, lake: Lake, config: Config, graded: Graded) -> Agreement:
    """Share of the graded with a single cause whose first reason is the true one, with its interval.

    NotReady when the month was not simulated or graded.
    """
    month = graded.month
    people = _people(out, lake, graded)
    champions = lake.manifest(scores_of(graded.campaign), month).facts["champions"]
    ids = people["subscriber_id"].to_list()
    found = prediction.reasons(lake=lake, month=month, champions=champions, subscriber_ids=ids, top=None)
    rows = lake.scan("factors", month).filter(
        pl.col("subscriber_id").is_in(people["subscriber_id"].implode())
    )
    hits = dict(zip(ids, people["rule_hits"].to_list(), strict=True))
    signs = evidence_for(rows.collect(), hits, config)
    causes = {one: grouped(found[one], config.factors, signs[one]) for one in ids}
    first = {one: causes[one][0]["reason"] if causes[one] else _NONE for one in ids}
    pairs = [(true, first[one]) for one, true in people.select("subscriber_id", "main_reason").iter_rows()]
    right = sum(true == said for true, said in pairs)
    low, high = interval(right, len(pairs))
    return {
        "month": month, "grades": list(graded.grades), "people": len(pairs), "right": right,
        "share": round(right / max(len(pairs), 1), 4), "low": round(low, 4), "high": round(high, 4),
        "confusion": _confusion(pairs),
    }  # fmt: skip


def _people(out: Path, lake: Lake, graded: Graded) -> pl.DataFrame:
    truth = read_truth(out, graded.month).filter(pl.col("has_single_cause") & ~pl.col("left"))
    grades = lake.scan(grades_of(graded.campaign), graded.month)
    graded_so = grades.filter(pl.col("grade").is_in(list(graded.grades)))
    wanted = graded_so.select("subscriber_id", "rule_hits").collect()
    return wanted.join(truth.select("subscriber_id", "main_reason"), on="subscriber_id").sort("subscriber_id")


def interval(right: int, among: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if not among:
        return 0.0, 1.0
    share, weight = right / among, _Z**2 / among
    middle = share + weight / 2
    spread = _Z * ((share * (1 - share) + weight / 4) / among) ** 0.5
    return (middle - spread) / (1 + weight), (middle + spread) / (1 + weight)


def _confusion(pairs: Sequence[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, Counter[str]] = {}
    for true, said in pairs:
        counts.setdefault(true, Counter())[said] += 1
    return {true: dict(said.most_common()) for true, said in sorted(counts.items())}


def _printed(facts: Agreement) -> str:
    rows = [f"{true}: {json.dumps(said)}" for true, said in facts["confusion"].items()]
    said = f"{facts['right']:,} of {facts['people']:,} = {facts['share']:.1%}"
    spread = f"95 % interval {facts['low']:.1%} to {facts['high']:.1%}"
    return "\n".join([f"{facts['month']}, {' and '.join(facts['grades'])}: {said} ({spread})", *rows])


def _run(args: argparse.Namespace) -> None:
    config = load_config(settings.config_folder())
    graded = Graded(DEFAULT_CAMPAIGN, parse_month(args.month), args.grade or WARNED)
    print(_printed(agreement(args.out, Lake(args.lake), config, graded)))


main = command_line(
    "include.simulator.told_reasons",
    None,
    Command(
        _run,
        (
            option("--out", type=Path, required=True, help="the simulator's --out"),
            option("--lake", required=True, help="the lake the loop graded the month in"),
            option("--month", required=True, help="YYYY-MM"),
            option("--grade", action="append", choices=WARNED, help="by default all warned"),
        ),
    ),
)


if __name__ == "__main__":
    sys.exit(main())
