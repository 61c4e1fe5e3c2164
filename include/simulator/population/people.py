"""Who lives in a block: everybody of the start and every later joiner, with the traits that never change."""

from dataclasses import dataclass

import numpy as np

from include.simulator.draws import Bools, Draws, Floats, Ints
from include.simulator.market import BRANCHES_PER_REGION, REGION_WEIGHTS
from include.simulator.province import days_in, first_day, joiners

PLAN_FEES = np.array([8, 19, 29, 39, 59, 79, 99, 129, 169, 199, 299], dtype=np.float64)
PLAN_DATA_GB = np.array([0.2, 2, 5, 10, 20, 30, 40, 60, 80, 100, 150], dtype=np.float64)
PLAN_MINUTES = np.array([0, 50, 100, 200, 300, 500, 800, 1000, 1500, 2000, 3000], dtype=np.int64)
_PLAN_WEIGHTS = [9.0, 15, 17, 16, 15, 10, 7, 5, 3, 2, 1]
CHANNELS = ("own_store", "agent", "online", "campus", "telesales")
_CHANNEL_WEIGHTS = [38.0, 27, 20, 7, 8]
NO_CONTRACT = -1


@dataclass(frozen=True)
class People:
    """One entry per subscriber who ever lives in the block; the position is the subscriber's local number."""

    row: Ints
    arrives: Ints
    joined: Ints
    customer: Ints
    region: Ints
    branch: Ints
    channel: Ints
    birth_year: Ints
    student: Bools
    enterprise: Bools
    plan: Ints
    contract_end: Ints
    price_sense: Floats
    frailty: Floats
    need_gb: Floats
    minutes: Floats
    flexible: Floats
    weak_signal: Floats
    dormant: Bools
    hollow: Bools


def settle(draws: Draws, size: int, first: int, last: int) -> People:
    """The people of a block of `size`: those there before month `first`, then the joiners up to `last`."""
    counts = [size] + [joiners(size, month) for month in range(first, last + 1)]
    arrives = np.repeat(np.arange(first - 1, last + 1, dtype=np.int64), counts)
    row = np.arange(len(arrives), dtype=np.int64)
    joined = _joined(draws, row, arrives, first)
    channel = draws.pick("channel", 0, row, _CHANNEL_WEIGHTS)
    customer = _customer(draws, row)
    region = draws.pick("region", 0, customer, REGION_WEIGHTS)
    branch = (draws.uniform("branch", 0, customer) * BRANCHES_PER_REGION).astype(np.int64)
    student = (channel == 3) | (draws.uniform("student", 0, row) < 0.02)
    enterprise = ~student & (draws.uniform("enterprise", 0, customer) < 0.06)
    plan = draws.pick("plan", 0, row, _PLAN_WEIGHTS)
    sold_badly = np.isin(channel, (1, 3, 4)) & (draws.uniform("hollow", 0, row) < 0.09)
    new = joined > first_day(first) - 270
    return People(
        row=row,
        arrives=arrives,
        joined=joined,
        customer=customer,
        region=region,
        branch=branch,
        channel=channel,
        birth_year=_birth_years(draws, customer, student),
        student=student,
        enterprise=enterprise,
        plan=plan,
        contract_end=_contracts(draws, row, joined, first),
        price_sense=draws.uniform("price_sense", 0, row),
        frailty=draws.normal("frailty", 0, row),
        need_gb=_need(draws, row, plan),
        minutes=np.exp(4.2 + 0.8 * draws.normal("minutes", 0, row) + 0.1 * plan),
        flexible=_flexible(draws, row),
        weak_signal=_weak_signal(draws, row, region, branch),
        dormant=draws.uniform("dormant", 0, row) < 0.05,
        hollow=sold_badly & new,
    )


def _joined(draws: Draws, row: Ints, arrives: Ints, first: int) -> Ints:
    """Day of joining: recent ones are more frequent among those of the start, as churn would leave it."""
    share = draws.uniform("joined", 0, row)
    old = np.maximum(share - 0.12, 0) / 0.88
    months_ago = np.where(share < 0.12, share / 0.12 * 6, 6 + 150 * old**1.7)
    before = first_day(first) - 1 - (months_ago * 30.44).astype(np.int64)
    starts = np.array([first_day(int(month)) for month in range(first - 1, int(arrives.max()) + 1)])
    lengths = np.array([days_in(int(month)) for month in range(first - 1, int(arrives.max()) + 1)])
    which = arrives - (first - 1)
    later = starts[which] + (share * lengths[which]).astype(np.int64)
    return np.where(arrives < first, before, later).astype(np.int64)


def _customer(draws: Draws, row: Ints) -> Ints:
    """Local number of the customer's first SIM: about one SIM in nine is a second or third one."""
    own = draws.uniform("customer", 0, row) >= 0.11
    own[0] = True
    return np.maximum.accumulate(np.where(own, row, 0)).astype(np.int64)


def _birth_years(draws: Draws, customer: Ints, student: Bools) -> Ints:
    share = draws.uniform("birth", 0, customer)
    return np.where(student, 2003 + (share * 6).astype(np.int64), 1938 + (share * 66).astype(np.int64))


def _contracts(draws: Draws, row: Ints, joined: Ints, first: int) -> Ints:
    """Month ordinal in which the running 24-month contract ends; NO_CONTRACT for about six in ten."""
    start = 1970 * 12 + joined * 12 // 365.25
    passed = np.maximum(first - 1 - start, 0) // 24
    ends = (start + 24 * (passed + 1)).astype(np.int64)
    return np.where(draws.uniform("contract", 0, row) < 0.4, ends, NO_CONTRACT).astype(np.int64)


def _need(draws: Draws, row: Ints, plan: Ints) -> Floats:
    """Data a subscriber wants each month (GB), most of it inside the plan."""
    return np.asarray(PLAN_DATA_GB[plan] * np.exp(-0.55 + 0.45 * draws.normal("need", 0, row)) + 0.05)


def _flexible(draws: Draws, row: Ints) -> Floats:
    """Share of the bill that follows use: none for four in ten, up to 0.9 for the others."""
    share = draws.uniform("flexible", 0, row)
    return np.where(share < 0.42, 0.0, 0.2 + 0.7 * (share - 0.42) / 0.58)


def _weak_signal(draws: Draws, row: Ints, region: Ints, branch: Ints) -> Floats:
    """How poor the coverage is (1 = usual): one branch in five is three times worse."""
    place = region * BRANCHES_PER_REGION + branch
    poor = draws.uniform("coverage", 0, place) < 0.2
    return np.where(poor, 2.2, 0.75) * np.exp(0.3 * draws.normal("signal", 0, row))
