"""The latent reasons to leave, how they come and fade, and the hazard they make: known to the truth alone."""

from dataclasses import dataclass

import numpy as np

from include.simulator.draws import Bools, Draws, Floats, Ints
from include.simulator.market import leaving_season
from include.simulator.population.people import NO_CONTRACT, People
from include.simulator.province import first_day

REASONS = ("price", "bundle_mismatch", "service", "network", "competition", "contract_end")
PRICE, MISMATCH, SERVICE, NETWORK, COMPETITION, CONTRACT = range(6)
NO_REASON = -1
BURN_IN_MONTHS = 6

_FADE = np.array([0.70, 0.72, 0.62, 0.70, 0.66, 0.0])
_TROUBLE = 0.35
_CONTRACT_PRESSURE = {2: 0.25, 1: 0.6, 0: 1.0, -1: 0.9, -2: 0.5}
_WEIGHTS = np.array([4.15, 3.8, 4.2, 3.9, 4.6, 2.8])
_INTERCEPT = -5.2
_FRAILTY = 0.3
_SURPRISE = 0.35
_TOP_LOG_ODDS = -0.4


def strength(pressure: Floats) -> Floats:
    """Pressure (0 and up) as a share between 0 and 1, which signs and hazard are proportional to."""
    return np.asarray(1.0 - np.exp(-pressure))


@dataclass(frozen=True)
class Burden:
    """What drives each row away at the end of a month: its pressures (rows × six reasons), the contract's end."""

    pressure: Floats
    contract_end: Ints


def advance(draws: Draws, people: People, burden: Burden, pull: Floats, month: int) -> Floats:
    """Pressures at the end of `month` (rows × six reasons): the old ones fade, new shocks arrive."""
    pressure = burden.pressure
    row = people.row[: len(pressure)]
    later = np.asarray(pressure * _FADE)
    for reason, chance in enumerate(_shock_chances(people, pull, len(row))):
        name = f"shock/{REASONS[reason]}"
        hit = draws.uniform(name, month, row) < chance
        size = 0.5 - 0.8 * np.log(draws.uniform(name + "/size", month, row))
        later[:, reason] += np.where(hit, size, 0.0)
    later[:, CONTRACT] = contract_pressure(draws, row, burden.contract_end, month)
    return later


def _shock_chances(people: People, pull: Floats, rows: int) -> list[Floats]:
    """Monthly chance of a new episode for price, mismatch, service, network and competition."""
    sense = people.price_sense[:rows]
    service = np.where(np.isin(people.channel[:rows], (1, 4)), 1.4, 0.9)
    return [
        0.004 + 0.014 * sense,
        np.where(people.plan[:rows] <= 3, 0.012, 0.007),
        0.010 * service,
        0.008 * people.weak_signal[:rows],
        0.003 + (0.004 + 0.025 * np.minimum(pull[people.region[:rows]], 2.0)) * sense,
    ]


def contract_pressure(draws: Draws, row: Ints, contract_end: Ints, month: int) -> Floats:
    """Pressure at the end of `month` from a contract that ends soon or did: how much it is minded is personal."""
    left = np.where(contract_end == NO_CONTRACT, 99, contract_end - month)
    base = np.zeros(len(row))
    for months_left, value in _CONTRACT_PRESSURE.items():
        base[left == months_left] = value
    return base * (0.3 + 1.4 * draws.uniform("contract/mind", 0, row))


def intent(force: Floats) -> Floats:
    """How near to leaving the reasons of each row bring it: 0 without any, about 1 with one strong reason."""
    return np.asarray(((force * _WEIGHTS).sum(axis=1) / 4.5) ** 3)


def main_reason(pressure: Floats) -> Ints:
    """Index of the strongest reason of each row, NO_REASON where none is strong enough to matter."""
    weighted = strength(pressure) * _WEIGHTS
    top = weighted.argmax(axis=1)
    heavy = np.take_along_axis(weighted, top[:, None], axis=1)[:, 0]
    return np.where(heavy < _TROUBLE, NO_REASON, top).astype(np.int64)


def single_cause(pressure: Floats) -> Bools:
    """Whether exactly one reason of each row is strong enough to matter."""
    return np.asarray((strength(pressure) * _WEIGHTS >= _TROUBLE).sum(axis=1) == 1)


def tenure_months(joined: Ints, month: int) -> Floats:
    """Months from joining to the start of `month`."""
    return np.maximum(first_day(month) - joined, 0) / 30.44


def hazards(draws: Draws, people: People, pressure: Floats, month: int) -> Floats:
    """Probability of leaving within `month`, untreated, from the pressures at the end of the month before.

    A personal frailty and a monthly surprise that no feed shows keep it from being separable.
    """
    rows = len(pressure)
    row = people.row[:rows]
    odds = _INTERCEPT + leaving_season(month) + _tenure_effect(tenure_months(people.joined[:rows], month))
    odds = odds + _FRAILTY * people.frailty[:rows] + _SURPRISE * draws.normal("surprise", month, row)
    odds = odds + (strength(pressure) * _WEIGHTS).sum(axis=1)
    odds = odds + 1.1 * people.hollow[:rows] + 0.5 * people.dormant[:rows] - 0.5 * people.enterprise[:rows]
    if month % 12 in (5, 6):
        odds = odds + 0.7 * people.student[:rows]
    return np.asarray(1.0 / (1.0 + np.exp(-np.minimum(odds, _TOP_LOG_ODDS))))


def _tenure_effect(tenure: Floats) -> Floats:
    """New subscribers leave most easily; from one to two years there is a second, smaller rise."""
    return np.select([tenure < 6, tenure < 12, tenure < 24], [0.65, 0.35, 0.2], -0.15)
