"""The feed usage_months: what a subscriber used and paid, with the signs of trouble among a lot of noise."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from include.simulator.draws import Draws, Floats, Ints
from include.simulator.market import data_season, voice_season
from include.simulator.population.people import PLAN_DATA_GB, PLAN_FEES, PLAN_MINUTES, People
from include.simulator.population.presence import Presence
from include.simulator.population.reasons import (
    COMPETITION,
    CONTRACT,
    MISMATCH,
    NETWORK,
    PRICE,
    SERVICE,
    strength,
)
from include.simulator.population.state import State
from include.simulator.province import days_in

_YUAN_PER_GB = 3.0
_YUAN_PER_MINUTE = 0.15


@dataclass(frozen=True)
class Month:
    """What every column of a usage month is drawn from: rows of the subscribers seen in it."""

    draws: Draws
    people: People
    row: Ints
    month: int
    share: Floats
    force: Floats
    vigour: Floats
    plan: Ints

    def noise(self, purpose: str) -> Floats:
        """A standard normal number per row, this month."""
        return self.draws.normal("usage/" + purpose, self.month, self.row)

    def count(self, purpose: str, mean: Floats) -> Ints:
        """A small count per row, this month."""
        return self.draws.poisson("usage/" + purpose, self.month, self.row, mean)

    def trait(self, purpose: str) -> Floats:
        """A standard normal number per row that stays the same every month."""
        return self.draws.normal("trait/" + purpose, 0, self.row)

    @property
    def shrinking(self) -> Floats:
        """Share by which those with a reason to leave use less."""
        force = self.force
        return np.asarray(
            0.42 * force[:, PRICE]
            + 0.38 * force[:, NETWORK]
            + 0.52 * force[:, COMPETITION]
            + 0.25 * force[:, SERVICE]
            + 0.15 * force[:, CONTRACT]
        )

    @property
    def keeping(self) -> Floats:
        """Share of their former use that those with a reason to leave keep."""
        return np.clip(1 - self.shrinking, 0.15, 1.0)

    @property
    def idle(self) -> Floats:
        """Factor for SIMs that lie in a drawer (dormant) or were sold to nobody (hollow)."""
        people, row = self.people, self.row
        asleep = self.draws.uniform("asleep", 0, row) < 0.7
        factor = np.where(people.dormant[row] & asleep, 0.0, np.where(people.dormant[row], 0.03, 1.0))
        return np.asarray(factor * np.where(people.hollow[row], 0.08, 1.0))


def month_of_use(draws: Draws, people: People, state: State, seen: Presence) -> Month:
    """Gather one month for the subscribers seen in it, each for its share of it and on its plan of the moment."""
    row, share = seen.row, np.clip(seen.share, 0.01, 1)
    force, vigour, plan = strength(state.pressure[row]), state.vigour[row], state.plan[row]
    return Month(draws, people, row, seen.month, share, force, vigour, plan)


def usage_frame(use: Month) -> pl.DataFrame:
    """One row per subscriber seen in the month, in the columns of the contract (without the id)."""
    data_gb = _data(use)
    voice_out = _voice(use)
    columns = _charges(use, data_gb, voice_out)
    attempts = np.round(voice_out / 2.1 * np.exp(0.2 * use.noise("attempts"))).astype(np.int64)
    return pl.DataFrame(
        {
            "bill_yuan": columns["bill"],
            "data_mb": data_gb * 1024,
            "voice_out_minutes": voice_out,
            "voice_in_minutes": voice_out * np.exp(0.1 + 0.35 * use.trait("called") + 0.15 * use.noise("in")),
            "sms_count": use.count("sms", 0.3 + 1.5 * use.share * np.exp(0.5 * use.trait("sms"))),
            "out_of_bundle_yuan": columns["out"],
            "out_of_bundle_data_yuan": columns["out_data"],
            "topup_yuan": columns["topup"],
            "topup_count": columns["topups"].astype(np.int64),
            "active_days": _active_days(use, data_gb, voice_out),
            **_behaviour(use),
            "call_attempts": attempts,
            "dropped_calls": _dropped(use, attempts),
        }
    )


def _data(use: Month) -> Floats:
    want = use.people.need_gb[use.row] * np.exp(0.85 * use.force[:, MISMATCH])
    noise = np.exp(use.vigour + 0.11 * use.noise("data"))
    return np.asarray(want * data_season(use.month) * noise * use.keeping * use.share * use.idle)


def _voice(use: Month) -> Floats:
    noise = np.exp(0.7 * use.vigour + 0.15 * use.noise("voice"))
    wanted = use.people.minutes[use.row] * voice_season(use.month) * noise
    return np.asarray(wanted * use.keeping * use.share * use.idle)


def _charges(use: Month, data_gb: Floats, voice_out: Floats) -> dict[str, Floats]:
    """Bill, out-of-bundle charges and top-ups (yuan); the flexible part of a fee follows use."""
    fee = PLAN_FEES[use.plan]
    flexible = use.people.flexible[use.row]
    part = np.exp(0.45 * use.vigour + 0.05 * use.noise("part")) * use.keeping
    over_data = np.clip(data_gb - PLAN_DATA_GB[use.plan] * use.share, 0, None) * _YUAN_PER_GB
    over_voice = np.clip(voice_out - PLAN_MINUTES[use.plan] * use.share, 0, None) * _YUAN_PER_MINUTE
    out_data = np.minimum(over_data, 8 + 0.8 * fee)
    out = out_data + np.minimum(over_voice, 5 + 0.5 * fee)
    credit = np.where(use.draws.uniform("usage/credit", use.month, use.row) < 0.012, 5 + 0.5 * fee, 0.0)
    bill = fee * use.share * (1 - flexible + flexible * part) + out - credit
    return {"bill": bill, "out": out, "out_data": out_data, **_topups(use, np.maximum(bill, 0))}


def _topups(use: Month, bill: Floats) -> dict[str, Floats]:
    """How often and how much is paid in advance; the wavering let their balance run down."""
    keen = (1.1 - 0.6 * use.force[:, COMPETITION] - 0.4 * use.force[:, PRICE]) * use.share
    topups = np.where(use.people.hollow[use.row], 0, use.count("topups", keen)).astype(np.float64)
    amount = np.ceil(np.maximum(bill, 10) / 10) * 10
    return {"topups": topups, "topup": topups * amount}


def _active_days(use: Month, data_gb: Floats, voice_out: Floats) -> Ints:
    length = days_in(use.month) * use.share
    level = 0.95 - 0.8 * use.shrinking - 0.06 * np.abs(use.noise("days")) - 0.12 * np.abs(use.trait("days"))
    days = np.ceil(length * np.clip(level, 0.05, 1.0) * np.where(use.idle < 1, 0.1, 1.0))
    return np.where(data_gb + voice_out > 0, days, 0).astype(np.int64)


def _behaviour(use: Month) -> dict[str, Ints]:
    force = use.force
    logins = np.exp(1.2 + 0.8 * use.trait("app") + 0.35 * use.noise("app")) * use.keeping
    curious = 0.04 * np.exp(0.9 * use.trait("curious"))
    looks = curious + 2.0 * force[:, COMPETITION] + 0.9 * force[:, PRICE] + 0.5 * force[:, CONTRACT]
    trades = 0.25 + 1.2 * force[:, MISMATCH] + 0.3 * force[:, PRICE] + 0.3 * force[:, CONTRACT]
    return {
        "business_transactions": use.count("trades", trades * use.share),
        "app_logins": np.round(logins * use.share * np.where(use.idle < 1, 0.1, 1.0)).astype(np.int64),
        "community_posts": use.count("posts", 0.04 + 0.2 * force[:, SERVICE]),
        "competitor_plan_queries": use.count("looks", looks * use.share),
    }


def _dropped(use: Month, attempts: Ints) -> Ints:
    rate = 0.010 * use.people.weak_signal[use.row] + 0.06 * use.force[:, NETWORK]
    mean = attempts * rate
    return np.maximum(np.round(mean + np.sqrt(mean) * use.noise("dropped")), 0).astype(np.int64)
