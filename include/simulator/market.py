"""The world outside: regions and branches, competitors' launches and price cuts, seasons."""

from dataclasses import dataclass

import numpy as np

from include.simulator.draws import Draws, Floats, Ints

REGIONS = 17
REGION_WEIGHTS = [1.0 / (rank + 2.0) for rank in range(REGIONS)]
BRANCHES_PER_REGION = 6
OPERATORS = ("OP2", "OP3")

_PROVINCE = -1
_FESTIVALS = {2025: 1, 2028: 1, 2031: 1, 2033: 1, 2036: 1}
_KINDS = (("price_cut", 0.07, 1.0), ("plan_launch", 0.09, 0.5))


@dataclass(frozen=True)
class MarketEvents:
    """One month's events outside, one array entry per event, and the pull (0 and up) on each region."""

    kind: list[str]
    region: Ints
    operator: list[str]
    day: Ints
    value: Floats
    pull: Floats


def market_of(seed: int, month: int) -> MarketEvents:
    """The events of a month, the same for every block of the province."""
    draws = Draws(seed, _PROVINCE)
    regions = np.arange(REGIONS, dtype=np.int64)
    pull = np.zeros(REGIONS)
    parts: list[tuple[str, str, Ints, Floats]] = []
    for operator in OPERATORS:
        for kind, chance, strength in _KINDS:
            name = f"market/{operator}/{kind}"
            hit = regions[draws.uniform(name, month, regions) < chance]
            pull[hit] += strength
            parts.append((kind, operator, hit, _value(draws, name, month, hit, kind)))
    mood = np.clip(-0.25 * pull + 0.3 * draws.normal("market/mood", month, regions), -1, 1)
    parts.append(("sentiment", "", regions, mood))
    return _joined(draws, month, parts, pull)


def _value(draws: Draws, name: str, month: int, hit: Ints, kind: str) -> Floats:
    size = draws.uniform(name + "/value", month, hit)
    return 5 + 25 * size if kind == "price_cut" else 19 + 180 * size


def _joined(
    draws: Draws, month: int, parts: list[tuple[str, str, Ints, Floats]], pull: Floats
) -> MarketEvents:
    region = np.concatenate([part[2] for part in parts])
    row = np.arange(len(region), dtype=np.int64)
    return MarketEvents(
        kind=[part[0] for part in parts for _ in part[2]],
        region=region,
        operator=[part[1] for part in parts for _ in part[2]],
        day=(draws.uniform("market/day", month, row) * 28).astype(np.int64),
        value=np.round(np.concatenate([part[3] for part in parts]), 2),
        pull=pull,
    )


def is_festival(month: int) -> bool:
    """Whether most of the Spring Festival travel falls into this month."""
    return month % 12 == _FESTIVALS.get(month // 12, 2) - 1


def leaving_season(month: int) -> float:
    """What the season adds to everybody's log-odds of leaving (people move after the festival)."""
    if is_festival(month - 1):
        return 0.15
    return {5: 0.05, 6: 0.06}.get(month % 12, -0.02)


def data_season(month: int) -> float:
    """Factor on data use: holidays and the summer months are heavier."""
    return 1.08 if is_festival(month) else {6: 1.06, 7: 1.06, 9: 1.03}.get(month % 12, 1.0)


def voice_season(month: int) -> float:
    """Factor on voice use: the Spring Festival is a time of calls."""
    return 1.15 if is_festival(month) else 1.0
