"""Everything that changes about the subscribers of a block from month to month."""

from dataclasses import dataclass

import numpy as np

from include.simulator.draws import Bools, Draws, Floats, Ints
from include.simulator.market import market_of
from include.simulator.population.contracts import (
    CONTRACT_MONTHS,
    added_chance,
    agrees,
    due_renewed,
    is_ending,
    monthly_chance,
)
from include.simulator.population.leaving import Opening
from include.simulator.population.people import People
from include.simulator.population.reasons import BURN_IN_MONTHS, MISMATCH, PRICE, Burden, advance
from include.simulator.population.treatment import RELIEF, Treatments
from include.simulator.province import first_day


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


def renew(draws: Draws, people: People, state: State, opening: Opening, calls: Treatments | None) -> None:
    """Renew the contracts of those whom `calls` of the month convinced, before it is lived; leavers renew none."""
    if calls is None:
        return
    row, month = calls.row, opening.month
    stays = opening.present[row] & ~opening.leaves[row] & (calls.contacted < first_day(month + 1))
    row = row[stays & is_ending(state.contract_end[row], month - 1)]
    added = added_chance(people, state.pressure[row], state.plan[row], row, month - 1)
    state.contract_end[row[agrees(draws, added, row, month - 1)]] += CONTRACT_MONTHS


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
    renewal = draws.uniform("renewal", month, row) < monthly_chance(state.pressure)
    state.contract_end = due_renewed(state.contract_end, renewal, month)
    state.pressure = advance(draws, people, Burden(state.pressure, state.contract_end), pull, month)
    state.vigour = 0.6 * state.vigour + 0.10 * draws.normal("vigour", month, row)
