"""The feed service_events: complaints, faults, agent calls, competitors' events, words of leaving."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from include.simulator.draws import Bools, Draws, Floats, Ints
from include.simulator.feeds import texts
from include.simulator.population.presence import Presence
from include.simulator.population.reasons import (
    COMPETITION,
    CONTRACT,
    MISMATCH,
    NETWORK,
    NO_REASON,
    PRICE,
    SERVICE,
    intent,
    main_reason,
    strength,
)
from include.simulator.province import days_in, first_day

_MOST = 8
_SECONDS = 86_400


@dataclass(frozen=True)
class Happenings:
    """All events of one kind in a month: the subscriber's local number, and a key that no other event has."""

    draws: Draws
    kind: str
    month: int
    row: Ints
    key: Ints
    force: Floats
    reason: Ints

    def uniform(self, purpose: str) -> Floats:
        """A number per event."""
        return self.draws.uniform(f"{self.kind}/{purpose}", self.month, self.key)

    def normal(self, purpose: str) -> Floats:
        """A standard normal number per event."""
        return self.draws.normal(f"{self.kind}/{purpose}", self.month, self.key)

    @property
    def has_leaving_words(self) -> Bools:
        """Whether the words of leaving fall: hardly ever without a reason, most where a competitor pulls."""
        near = np.minimum(intent(self.force), 1.5)
        return self.uniform("words") < 0.003 + 0.08 * near + 0.06 * self.force[:, COMPETITION] * near


def events_frame(draws: Draws, pressure: Floats, seen: Presence) -> pl.DataFrame:
    """One row per event, with `row` (local number) and `key` beside the columns of the contract."""
    trouble = _Trouble(strength(pressure), main_reason(pressure))
    makers = {
        "complaint": _complaints,
        "fault_report": _faults,
        "agent_call": _calls,
        "competitor_event": _competitor_events,
        "port_out_mention": _mentions,
    }
    frames = []
    for code, (kind, mean) in enumerate(_means(trouble.force[seen.row]).items()):
        happenings = _happen(draws, kind, mean, trouble, seen)
        frames.append(_dated(makers[kind](happenings), happenings, seen, code))
    return pl.concat(frames, how="diagonal").sort("row", "occurred_at", "key")


def _means(force: Floats) -> dict[str, Floats]:
    """Mean number of events of each kind in a month, by the strength of each reason."""
    trouble = force.sum(axis=1)
    service, network = force[:, SERVICE], force[:, NETWORK]
    irritation = 0.34 * service + 0.28 * network + 0.20 * (force[:, PRICE] + force[:, MISMATCH])
    return {
        "complaint": 0.011 + irritation + 0.10 * force[:, COMPETITION] + 0.08 * force[:, CONTRACT],
        "fault_report": 0.010 + 0.28 * service + 0.20 * network,
        "agent_call": 0.08 + 0.35 * trouble,
        "competitor_event": 0.003 + 0.12 * force[:, COMPETITION],
        "port_out_mention": 0.0004 + (0.03 + 0.08 * force[:, COMPETITION]) * np.minimum(intent(force), 1.5),
    }


@dataclass(frozen=True)
class _Trouble:
    force: Floats
    reason: Ints


def _happen(draws: Draws, kind: str, mean: Floats, trouble: _Trouble, seen: Presence) -> Happenings:
    count = draws.poisson(f"{kind}/count", seen.month, seen.row, mean)
    row = np.repeat(seen.row, count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    key = row * _MOST + number
    return Happenings(draws, kind, seen.month, row, key, trouble.force[row], trouble.reason[row])


def _dated(frame: pl.DataFrame, these: Happenings, seen: Presence, code: int) -> pl.DataFrame:
    """Add id, time and kind; what would fall outside the subscriber's presence does not happen."""
    place = np.searchsorted(seen.row, these.row)
    since, until = seen.since[place], seen.until[place]
    day = first_day(seen.month) + (these.uniform("day") * days_in(seen.month)).astype(np.int64)
    seconds = _SECONDS * day + 8 * 3600 + (these.uniform("time") * 13.5 * 3600).astype(np.int64)
    # A kind that nobody has in a month has untyped, empty columns
    dated = frame.cast({pl.Null: pl.String}).with_columns(
        pl.Series("row", these.row),
        pl.Series("key", these.key * 8 + code),
        pl.Series("occurred_at", seconds),
        pl.lit(these.kind).alias("kind"),
    )
    return dated.filter(pl.Series((day >= since) & (day <= until)))


def _phrases(these: Happenings, choices: tuple[tuple[str, ...], ...], spoken: Ints) -> list[str]:
    pick = these.uniform("phrase")
    found = [choices[group] for group in spoken]
    return [group[int(share * len(group))] for group, share in zip(found, pick, strict=True)]


def _spoken_of(these: Happenings) -> Ints:
    """What an event is about: mostly the main reason, often anything else; 6 is none of them."""
    anything = (these.uniform("about") * 7).astype(np.int64)
    own = np.where(these.reason == NO_REASON, anything, these.reason)
    return np.where(these.uniform("off_topic") < 0.35, anything, own)


def _with_words(these: Happenings, sentences: list[str]) -> list[str]:
    choice = (these.uniform("which_words") * len(texts.LEAVING_WORDS)).astype(np.int64)
    said = zip(sentences, these.has_leaving_words, choice, strict=True)
    return [f"{text}，{texts.LEAVING_WORDS[which]}" if words else text for text, words, which in said]


def _complaints(these: Happenings) -> pl.DataFrame:
    spoken = _spoken_of(these)
    return pl.DataFrame(
        {
            "product": _products(these),
            "category": [texts.COMPLAINT_CATEGORIES[group] for group in spoken],
            "open_seconds": _open_seconds(these, 20.0),
            "text": _with_words(these, _phrases(these, texts.COMPLAINTS, spoken)),
        }
    )


def _faults(these: Happenings) -> pl.DataFrame:
    """Faults: badly served ones stay open longer and leave less satisfaction; three in ten do not answer."""
    mark = 8.6 - 3.2 * these.force[:, SERVICE] - 1.6 * these.force[:, NETWORK] + 1.3 * these.normal("mark")
    answered = these.uniform("answered") < 0.7
    return pl.DataFrame(
        {
            "product": _products(these),
            "category": np.where(these.uniform("about") < 0.6, "no_connection", "slow").tolist(),
            "open_seconds": _open_seconds(these, 9.0),
            "satisfaction": np.clip(np.round(mark), 0, 10).astype(np.int64),
        }
    ).with_columns(pl.when(pl.Series(answered)).then(pl.col("satisfaction")).alias("satisfaction"))


def _calls(these: Happenings) -> pl.DataFrame:
    long = 0.55 * these.force[:, SERVICE] + 0.2 * these.force.sum(axis=1)
    duration = np.exp(5.1 + 0.55 * these.normal("duration") + long)
    return pl.DataFrame(
        {
            "category": np.where(these.uniform("wait") < 0.1, "long_wait", "enquiry").tolist(),
            "duration_seconds": np.clip(duration, 15, 5400).astype(np.int64),
            "text": _with_words(these, _phrases(these, texts.CALLS, _spoken_of(these))),
        }
    )


def _competitor_events(these: Happenings) -> pl.DataFrame:
    return pl.DataFrame({"category": ["promotion"] * len(these.row)})


def _mentions(these: Happenings) -> pl.DataFrame:
    choice = (these.uniform("which") * len(texts.MENTIONS)).astype(np.int64)
    return pl.DataFrame({"text": [texts.MENTIONS[which] for which in choice]})


def _products(these: Happenings) -> list[str]:
    return ["broadband" if share < 0.3 else "mobile" for share in these.uniform("product")]


def _open_seconds(these: Happenings, hours: float) -> Ints:
    """How long it took to resolve; a fault of the service itself doubles or triples it."""
    slow = 1.1 * these.force[:, SERVICE] + 0.3 * these.force[:, NETWORK]
    return np.asarray(hours * 3600 * np.exp(0.8 * these.normal("open") + slow)).astype(np.int64)
