"""Contracts that end: renewed by themselves, or because the campaign contract_renewal called in time."""

from typing import TypedDict

import numpy as np

from include.simulator.draws import Bools, Draws, Floats, Ints
from include.simulator.population.people import NO_CONTRACT, PLAN_FEES, People
from include.simulator.population.reasons import CONTRACT, PRICE, contract_pressure, strength, tenure_months
from include.simulator.province import first_day

CONTRACT_MONTHS = 24
#: A contract is ending when it ends within so many days of the end of the month.
ENDING_DAYS = 90
#: The truth tells whether it is renewed by the end of so many months later.
WINDOW_MONTHS = 3

# By itself, each month from the one it ends in on; the pressure of its end (0 to 1) takes part of it away
_ALONE = 0.4
_ALONE_LOST_TO_PRESSURE = 0.6
# What being called adds, once, in the month of the call; a price that weighs takes part of it away
_CALLED = 0.20
_CALLED_LONG_TENURE = 0.10
_CALLED_HIGH_FEE = 0.10
_LONG_TENURE_MONTHS = 36
_HIGH_FEE_YUAN = 59
_CALLED_LOST_TO_PRICE = 0.5


class RenewalEffect(TypedDict):
    """What a call adds to the chance of a renewal (0 to 1), for whom (months, yuan), and when it applies."""

    added_chance: float
    added_with_long_tenure: float
    long_tenure_months: int
    added_with_high_fee: float
    high_fee_yuan: int
    lost_where_price_weighs_fully: float
    applies_to: str
    renewed_by: str


def effect() -> RenewalEffect:
    """The known effect of a call, for the truth folder."""
    return {
        "added_chance": _CALLED,
        "added_with_long_tenure": _CALLED_LONG_TENURE,
        "long_tenure_months": _LONG_TENURE_MONTHS,
        "added_with_high_fee": _CALLED_HIGH_FEE,
        "high_fee_yuan": _HIGH_FEE_YUAN,
        "lost_where_price_weighs_fully": _CALLED_LOST_TO_PRICE,
        "applies_to": f"a contract that ends 0 to {ENDING_DAYS} days after the end of the cycle month, of a "
        "subscriber reached before the month after it is over and who stays in it; once",
        "renewed_by": f"{CONTRACT_MONTHS} months, seen in the snapshot of the month after the cycle month; from "
        "then on its end drives nobody away",
    }


def monthly_chance(pressure: Floats) -> Floats:
    """Chance that a contract due is renewed by itself, from the pressures at the end of the month before."""
    return _ALONE * (1 - _ALONE_LOST_TO_PRESSURE * strength(pressure)[:, CONTRACT])


def due_renewed(contract_end: Ints, renewal: Bools, month: int) -> Ints:
    """Contracts about to end or ended up to three months ago may be renewed; later they simply have ended."""
    bound = contract_end != NO_CONTRACT
    due = bound & (contract_end - month <= 0)
    renewed = np.where(due & renewal, contract_end + CONTRACT_MONTHS, contract_end)
    return np.where(bound & (renewed - month < -2), NO_CONTRACT, renewed).astype(np.int64)


def is_ending(contract_end: Ints, month: int) -> Bools:
    """Whose contract ends within ENDING_DAYS of the end of `month`: whom the campaign is for."""
    ends = first_day(month + 1)
    near = [ahead for ahead in range(4) if first_day(month + ahead + 1) - ends <= ENDING_DAYS]
    return np.isin(contract_end - month, near)


def chance_alone(draws: Draws, pressure: Floats, contract_end: Ints, row: Ints, month: int) -> Floats:
    """Chance that an ending contract is renewed uncalled within WINDOW_MONTHS after `month` by who stays."""
    kept = np.ones(len(row))
    now = pressure.copy()
    for later in range(month + 1, month + WINDOW_MONTHS + 1):
        kept *= np.where(contract_end <= later, 1 - monthly_chance(now), 1.0)
        now[:, CONTRACT] = contract_pressure(draws, row, contract_end, later)
    return 1 - kept


def added_chance(people: People, pressure: Floats, plan: Ints, row: Ints, month: int) -> Floats:
    """Chance that a call in the month after `month` makes its subscriber renew an ending contract."""
    tenure = tenure_months(people.joined[row], month + 1)
    added = _CALLED + _CALLED_LONG_TENURE * (tenure >= _LONG_TENURE_MONTHS)
    added = added + _CALLED_HIGH_FEE * (PLAN_FEES[plan] >= _HIGH_FEE_YUAN)
    return np.asarray(added * (1 - _CALLED_LOST_TO_PRICE * strength(pressure)[:, PRICE]))


def agrees(draws: Draws, added: Floats, row: Ints, month: int) -> Bools:
    """Who would agree when called in the month after `month`: a draw that nothing else hangs on."""
    return np.asarray(draws.uniform("renewal/called", month, row) < added)
