"""The feeds subscribers (snapshot at month end) and churned."""

import numpy as np
import polars as pl

from include.simulator.draws import Draws, Floats, Ints
from include.simulator.population.leaving import WAYS
from include.simulator.population.people import (
    CHANNELS,
    NO_CONTRACT,
    PLAN_DATA_GB,
    PLAN_FEES,
    PLAN_MINUTES,
    People,
)
from include.simulator.population.presence import Presence
from include.simulator.population.reasons import COMPETITION, PRICE, strength
from include.simulator.population.state import State
from include.simulator.province import first_day

_NETWORKS = ("2g", "3g", "4g", "5g")
_NETWORK_WEIGHTS = [2.0, 3, 43, 52]
_PHONES_FROM = 19_900_000_000


def profiles_frame(draws: Draws, people: People, state: State, seen: Presence, offset: int) -> pl.DataFrame:
    """One row per subscriber seen in the month; those who left in it stand as closed for the last time."""
    row = seen.row
    plan = state.plan[row]
    return pl.DataFrame(
        {
            "row": row,
            "joined_on": pl.Series(people.joined[row].astype(np.int32)).cast(pl.Date),
            "msisdn": _PHONES_FROM + offset + row,
            "customer_id": _coded("C", offset + people.customer[row], 8),
            "account_id": _coded("A", offset + people.customer[row], 8),
            "plan_code": _coded("P", PLAN_FEES[plan].astype(np.int64), 3),
            "plan_fee_yuan": PLAN_FEES[plan],
            "plan_data_mb": PLAN_DATA_GB[plan] * 1024,
            "plan_voice_minutes": PLAN_MINUTES[plan],
            "contract_ends_on": _contract_ends(state.contract_end[row]),
            "birth_year": _birth_year(draws, people, row),
            "is_student": people.student[row],
            "is_enterprise": people.enterprise[row],
            **_places(draws, people, row, plan),
            "network_type": _networks(draws, row),
            "device_code": _device(draws, row),
            **_money(draws, state, seen, plan),
            "consents_to_marketing": _consent(draws, row),
            "status": _status(draws, seen),
        }
    )


def churned_frame(seen: Presence) -> pl.DataFrame:
    """One row per subscriber who left in the month: row, churned_on (day number), reason."""
    gone = ~seen.stays
    return pl.DataFrame(
        {
            "row": seen.row[gone],
            "churned_on": seen.gone_on[gone],
            "reason": [WAYS[way] for way in seen.way[gone]],
        },
        schema={"row": pl.Int64, "churned_on": pl.Int64, "reason": pl.String},
    )


def _coded(letter: str, numbers: Ints, digits: int) -> pl.Series:
    return letter + pl.Series(numbers).cast(pl.String).str.zfill(digits)


def _contract_ends(contract_end: Ints) -> pl.Series:
    """The last day of the month the contract ends in; null without a contract."""
    known = np.unique(contract_end[contract_end != NO_CONTRACT])
    days = np.array([first_day(int(month) + 1) - 1 for month in known] or [0], dtype=np.int32)
    found = days[np.searchsorted(known, contract_end).clip(0, len(days) - 1)]
    return _where(contract_end != NO_CONTRACT, pl.Series(found).cast(pl.Date))


def _where(known: np.typing.NDArray[np.bool_], values: pl.Series) -> pl.Series:
    """The values, null where they are not known."""
    return values.scatter(np.flatnonzero(~known), None)


def _birth_year(draws: Draws, people: People, row: Ints) -> pl.Series:
    known = ~people.enterprise[row] & (draws.uniform("birth/known", 0, row) < 0.97)
    return _where(known, pl.Series(people.birth_year[row]))


def _places(draws: Draws, people: People, row: Ints, plan: Ints) -> dict[str, pl.Series]:
    region, branch, channel = people.region[row], people.branch[row], people.channel[row]
    region_code = _coded("R", region + 1, 2)
    seller = (draws.uniform("seller", 0, row) * 20).astype(np.int64)
    managed = people.enterprise[row] | (PLAN_FEES[plan] >= 129)
    return {
        "region_code": region_code,
        "branch_code": region_code + "-" + _coded("B", branch + 1, 2),
        "channel_code": pl.Series(CHANNELS).gather(channel),
        "seller_code": region_code + "-" + _coded("S", channel * 20 + seller, 3),
        "manager_code": _where(managed, region_code + "-" + _coded("M", branch + 1, 2)),
    }


def _networks(draws: Draws, row: Ints) -> pl.Series:
    return pl.Series(_NETWORKS).gather(draws.pick("network", 0, row, _NETWORK_WEIGHTS))


def _device(draws: Draws, row: Ints) -> pl.Series:
    codes = _coded("D", (draws.uniform("device", 0, row) * 400).astype(np.int64), 4)
    return _where(draws.uniform("device/known", 0, row) < 0.95, codes)


def _money(draws: Draws, state: State, seen: Presence, plan: Ints) -> dict[str, Floats]:
    """Balance and arrears (yuan): the wavering let the balance run down; few owe anything."""
    force = strength(state.pressure[seen.row])
    thrift = 1 - 0.55 * force[:, COMPETITION] - 0.45 * force[:, PRICE]
    fee = PLAN_FEES[plan]
    balance = 0.9 * fee * np.exp(0.8 * draws.normal("balance", seen.month, seen.row)) * thrift
    owing = draws.uniform("owing", seen.month, seen.row) < 0.012 + 0.01 * force[:, PRICE]
    arrears = np.where(owing, 0.3 * fee + fee * draws.uniform("owed", seen.month, seen.row), 0.0)
    return {"balance_yuan": np.where(owing, 0.0, balance), "arrears_yuan": arrears}


def _consent(draws: Draws, row: Ints) -> pl.Series:
    share = draws.uniform("consent", 0, row)
    return _where(share < 0.96, pl.Series(share < 0.88))


def _status(draws: Draws, seen: Presence) -> pl.Series:
    """Closed for those gone, suspended for one in a hundred, active for the others."""
    suspended = draws.uniform("suspended", seen.month, seen.row) < 0.009
    code = np.where(~seen.stays, 2, suspended.astype(np.int64))
    return pl.Series(("active", "suspended", "closed")).gather(code)
