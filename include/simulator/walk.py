"""Walks a province month by month, block after block, and writes what it sees."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from include.domain.errors import BadInput
from include.domain.periods.months import parse_month
from include.simulator.draws import Draws
from include.simulator.feeds.changes import changes_frame, limits_frame
from include.simulator.feeds.contract import (
    changes_feed,
    churned_feed,
    events_feed,
    limits_feed,
    market_feed,
    subscriber_id,
)
from include.simulator.feeds.dirt import Rows, counts_frame
from include.simulator.feeds.events import events_frame
from include.simulator.feeds.landing import Landing
from include.simulator.feeds.profiles import churned_frame, profiles_frame
from include.simulator.feeds.usage import month_of_use, usage_frame
from include.simulator.market import market_of
from include.simulator.population.leaving import Eve, Opening, open_month
from include.simulator.population.people import People, settle
from include.simulator.population.presence import Presence, presence_in
from include.simulator.population.state import State, arrive, close, live, renew, settled
from include.simulator.population.treatment import Book, Calls, read_treated
from include.simulator.province import (
    FEEDS,
    NUMBERS_PER_BLOCK,
    RENEWAL,
    WARNING,
    Province,
    days_in,
    joiners,
    month_named,
    ordinal,
)
from include.simulator.truth import Truth, truth_frame

# A run on the 5th at 06:00 must know who left in the first days of the month that has just begun
_OPENING_DAYS = 4

Say = Callable[[str], None]


@dataclass(frozen=True)
class Order:
    """What to write: `treated` is the staff's file, months before `from_month` are lived but not written.

    Months before `days_from` bring the day feeds as one delivery each.
    """

    dirt: float = 0.0
    missing: frozenset[str] = frozenset()
    treated: Path | None = None
    from_month: str | None = None
    days_from: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.dirt <= 0.5:
            raise BadInput(f"dirt is {self.dirt}. Give a share from 0 to 0.5.")
        unknown = sorted(self.missing - set(FEEDS))
        if unknown:
            raise BadInput(f"'{unknown[0]}' is no feed. Choose from {', '.join(FEEDS)}.")


@dataclass(frozen=True)
class Summary:
    """What a run wrote: subscribers seen and gone per month."""

    seen: dict[str, int] = field(default_factory=dict)
    left: dict[str, int] = field(default_factory=dict)

    def count(self, seen: Presence) -> None:
        """Add one block's month."""
        month = month_named(seen.month)
        self.seen[month] = self.seen.get(month, 0) + len(seen.row)
        self.left[month] = self.left.get(month, 0) + int((~seen.stays).sum())


@dataclass(frozen=True)
class _Block:
    province: Province
    number: int
    draws: Draws
    people: People
    state: State

    @property
    def offset(self) -> int:
        return self.number * NUMBERS_PER_BLOCK


@dataclass(frozen=True)
class _Output:
    """Where what is lived from the month `start` (an ordinal) on is written."""

    landing: Landing
    truth: Truth
    start: int


def simulate(
    province: Province, out: Path, order: Order | None = None, say: Say = lambda line: None
) -> Summary:
    """Write the landing files of `province` below `out`/landing and its truth below `out`/truth.

    The same province and order give identical bytes. A province continued by more months, or by treatments of
    a later cycle, keeps every file of the months before; subscribers without treatment stay as they were.
    `say` is told one line per month and block. Raises BadInput when the order cannot be carried out.
    """
    order = order or Order()
    start = _month_of(province, "from-month", order.from_month)
    days_from = _month_of(province, "days-from", order.days_from)
    book = read_treated(order.treated) if order.treated else {}
    _check_book(province, book)
    truth = Truth(out / "truth")
    truth.claim(province)
    landing = Landing(out / "landing", order.missing, order.dirt, days_from)
    output = _Output(landing, truth, start)
    summary = Summary()
    for number, size in enumerate(province.blocks):
        block = _settle(province, number, size)
        for month in range(province.first, province.last + 1):
            seen = _month(block, month, book.get((number, month - 1), {}), output)
            summary.count(seen)
            say(_line(province, number, seen))
        _first_days(block, province.last + 1, book.get((number, province.last), {}), landing)
    truth.write_dirt(counts_frame(landing.counts), month_named(start))
    return summary


def _month_of(province: Province, option: str, text: str | None) -> int:
    """The month an option names, the province's first where it names none."""
    if text is None:
        return province.first
    month = ordinal(parse_month(text))
    if not province.first <= month <= province.last:
        first, last = month_named(province.first), province.last_month
        raise BadInput(f"{option} {text} is not simulated. Choose one from {first} to {last}.")
    return month


def _check_book(province: Province, book: Book) -> None:
    """Every treated subscriber must have arrived in the province by the treated month."""
    for (number, month), calls in book.items():
        last = max(int(treatments.row[-1]) for treatments in calls.values())
        name = f"S{number * NUMBERS_PER_BLOCK + last:08d}"
        if not province.first <= month <= province.last:
            raise BadInput(f"{name} is treated in {month_named(month)}, a month that is not simulated.")
        if last >= _arrived(province, number, month):
            raise BadInput(f"{name} is treated in {month_named(month)} but does not live in this province.")


def _arrived(province: Province, number: int, month: int) -> int:
    """How many have ever arrived in a block by the end of a month."""
    if number >= len(province.blocks):
        return 0
    size = province.blocks[number]
    return size + sum(joiners(size, earlier) for earlier in range(province.first, month + 1))


def _settle(province: Province, number: int, size: int) -> _Block:
    draws = Draws(province.seed, number)
    people = settle(draws, size, province.first, province.last + 1)
    return _Block(province, number, draws, people, settled(draws, people, province.seed, province.first))


def _open(block: _Block, month: int, calls: Calls) -> Opening:
    state, warned = block.state, calls.get(WARNING)
    eve = Eve(state.pressure, ~state.gone, state.plan)
    return open_month(block.draws, block.people, eve, warned, month)


def _month(block: _Block, month: int, calls: Calls, output: _Output) -> Presence:
    """Live one month of a block; write its deliveries and its truth from the first month of the output on."""
    state, people, draws = block.state, block.people, block.draws
    opening = _open(block, month, calls)
    arrive(people, state, month)
    renew(draws, people, state, opening, calls.get(RENEWAL))
    live(draws, people, state, block.province.seed, month)
    seen = presence_in(people, state, opening)
    if month >= output.start:
        _deliver_use(block, seen, output.landing)
        _deliver_days(block, opening, output.landing, days_in(month))
    close(state, opening, calls.get(WARNING))
    if month >= output.start:
        _deliver_rest(block, seen, output.landing)
        frame = truth_frame(draws, people, state, opening, seen)
        truth = frame.select(subscriber_id(block.offset), pl.exclude("row"))
        output.truth.write_month(month, block.number, truth)
    return seen


def _deliver_use(block: _Block, seen: Presence, landing: Landing) -> None:
    """usage_months and service_events, as the month was lived (on the old plan, before any relief)."""
    state, draws, month = block.state, block.draws, seen.month
    use = month_of_use(draws, block.people, state, seen)
    usage = usage_frame(use).with_columns(row=seen.row).with_columns(subscriber_id(block.offset))
    landing.deliver_month(draws, block.number, Rows("usage_months", month, usage))
    events = events_feed(events_frame(draws, state.pressure, seen), month, block.offset)
    landing.deliver_month(draws, block.number, Rows("service_events", month, events))


def _deliver_rest(block: _Block, seen: Presence, landing: Landing) -> None:
    """The snapshot at month end, who churned, and (once for the province) the world outside."""
    draws, month, offset = block.draws, seen.month, block.offset
    profiles = profiles_frame(draws, block.people, block.state, seen, offset).with_columns(
        subscriber_id(offset)
    )
    landing.deliver_month(draws, block.number, Rows("subscribers", month, profiles))
    churned = churned_feed(churned_frame(seen), offset)
    landing.deliver_month(draws, block.number, Rows("churned", month, churned))
    landing.mark_complete("churned", month)
    if block.number == 0:
        market = market_feed(market_of(block.province.seed, month), month)
        landing.deliver_month(draws, 0, Rows("market_events", month, market))


def _deliver_days(block: _Block, opening: Opening, landing: Landing, days: int) -> None:
    draws, month = block.draws, opening.month
    changes = changes_feed(changes_frame(draws, block.people, opening), block.offset)
    landing.deliver_days(draws, block.number, Rows("subscriber_changes", month, changes), days)
    stock = month == block.province.first
    limits = limits_feed(limits_frame(draws, opening, stock), block.offset)
    landing.deliver_days(draws, block.number, Rows("contact_limits", month, limits), days)


def _first_days(block: _Block, month: int, calls: Calls, landing: Landing) -> None:
    """The day deliveries of the first days after the last month, exactly as that month will have them."""
    _deliver_days(block, _open(block, month, calls), landing, _OPENING_DAYS)


def _line(province: Province, number: int, seen: Presence) -> str:
    left = int((~seen.stays).sum())
    part = f" (block {number + 1} of {len(province.blocks)})" if len(province.blocks) > 1 else ""
    return f"{month_named(seen.month)}{part}: {len(seen.row)} subscribers, {left} left"
