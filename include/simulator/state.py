"""Everything that changes about the subscribers of a block from month to month."""

from dataclasses import dataclass

import numpy as np

from include.simulator.draws import Bools, Draws, Floats, Ints
from include.simulator.leaving import Opening
from include.simulator.market import market_of
from include.simulator.people import NO_CONTRACT, People
from include.simulator.reasons import (
    BURN_IN_MONTHS,
    CONTRACT,
    MISMATCH,
    PRICE,
    advance,
    strength,
)
from include.simulator.treatment import RELIEF, Treatments

_CONTRACT_MONTHS = 24


@dataclass
class State:
    """One entry per subscriber who has arrived so far; the position is the local number."""

    pressure: Floats
    vigour: Floats
    plan: Ints
    contract_end: Ints
    gone: Bools


def settled(draws: Draws, people: People, seed: int, first: int) -> State:
    """The state at the end of the month before `first`, after some months in which nobody leaves."""
    rows = int((people.arrives < first).sum())
    state = State(
        pressure=np.zeros((rows, 6)),
        vigour=np.zeros(rows),
        plan=people.plan[:rows].copy(),
        contract_end=people.contract_end[:rows].copy(),
        gone=np.zeros(rows, dtype=np.bool_),
    )
    for month in range(first - BURN_IN_MONTHS, first):
        _move(draws, people, state, market_of(seed, month).pull, month)
    return state


def arrive(people: People, state: State, month: int) -> None:
    """Let the joiners of `month` in, without any pressure yet."""
    rows = int((people.arrives <= month).sum())
    old = len(state.gone)
    fresh = slice(old, rows)
    state.pressure = np.vstack([state.pressure, np.zeros((rows - old, 6))])
    state.vigour = np.concatenate([state.vigour, np.zeros(rows - old)])
    state.plan = np.concatenate([state.plan, people.plan[fresh]])
    state.contract_end = np.concatenate([state.contract_end, people.contract_end[fresh]])
    state.gone = np.concatenate([state.gone, np.zeros(rows - old, dtype=np.bool_)])


def live(draws: Draws, people: People, state: State, seed: int, month: int) -> None:
    """Bring pressures, vigour and contracts to the end of `month`."""
    _move(draws, people, state, market_of(seed, month).pull, month)


def close(state: State, opening: Opening, treatments: Treatments | None) -> None:
    """Apply what the month decided: new plans, relief by a right offer, and who is gone."""
    old = len(opening.gone_on)
    changed = (opening.plan_change_on > 0) & _before_leaving(opening.plan_change_on, opening.gone_on)
    state.plan[:old] += np.where(changed, opening.plan_step, 0)
    state.pressure[:old, MISMATCH] *= np.where(changed & (opening.plan_step > 0), 0.4, 1.0)
    state.pressure[:old, PRICE] *= np.where(changed & (opening.plan_step < 0), 0.6, 1.0)
    if treatments is not None:
        _relieve(state, opening, treatments)
    state.gone[:old] |= opening.leaves


def _before_leaving(day: Ints, gone_on: Ints) -> Bools:
    return np.asarray((gone_on == 0) | (day < gone_on))


def _relieve(state: State, opening: Opening, treatments: Treatments) -> None:
    """A right offer eases its reason for the months to come, so that the subscriber can return to stable."""
    reason = opening.reason[treatments.row]
    right = treatments.row[(treatments.offer == reason) & (reason >= 0)]
    state.pressure[right, opening.reason[right]] *= RELIEF


def _move(draws: Draws, people: People, state: State, pull: Floats, month: int) -> None:
    row = people.row[: len(state.gone)]
    renewal = draws.uniform("renewal", month, row) < 0.4 * (1 - 0.6 * strength(state.pressure)[:, CONTRACT])
    state.contract_end = _renewed(state.contract_end, renewal, month)
    state.pressure = advance(draws, people, state.pressure, state.contract_end, pull, month)
    state.vigour = 0.6 * state.vigour + 0.10 * draws.normal("vigour", month, row)


def _renewed(contract_end: Ints, renewal: Bools, month: int) -> Ints:
    """Contracts about to end or ended up to two months ago may be renewed; later they simply have ended."""
    bound = contract_end != NO_CONTRACT
    due = bound & (contract_end - month <= 0)
    renewed = np.where(due & renewal, contract_end + _CONTRACT_MONTHS, contract_end)
    return np.where(bound & (renewed - month < -2), NO_CONTRACT, renewed).astype(np.int64)
