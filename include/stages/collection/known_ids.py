"""Do the feeds name the same people? Each delivery's ids are held against the profiles of all months."""

import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.config.readers.sources import Known
from include.database.queries import load
from include.domain.errors import BadInput
from include.lake import Lake, scan_files
from include.stages.collection.results import KnownIds
from include.stages.collection.sources.delivery import DeliveryKey

PROFILES = "subscribers"
#: Feeds that name people as they go: with no profile of an earlier month their ids cannot be expected in any.
_OF_LEAVERS = ("churned", "subscriber_changes")
#: Feeds in which one person missed is one too many: somebody who refused is called, somebody who left is kept.
_GRAVE = (PROFILES, "contact_limits", *_OF_LEAVERS)
_ID = "subscriber_id"
_ASKED_AT_MOST = 1_000
_PARTING = "-_./:#"
_SHORTEST_NUMBER = 8

#: How a writing may differ, and what of an unknown id would then be known; what is None cannot differ so.
_DIFFERENCES: Mapping[str, Callable[[str, int], str | None]] = {
    "without the prefix 86": lambda text, _: _without_country(text),
    "with the prefix 86": lambda text, _: f"86{text}" if text.isdecimal() else None,
    "with the prefix +86": lambda text, _: f"+86{text}" if text.isdecimal() else None,
    "without leading zeros": lambda text, _: text.lstrip("0") if text[:1] == "0" else None,
    "with leading zeros": lambda text, length: text.zfill(length) if len(text) < length else None,
    "by its letters and digits alone": lambda text, _: _letters_and_digits(text),
    "in capitals": lambda text, _: text.upper(),
    "in small letters": lambda text, _: text.lower(),
}


@dataclass(frozen=True)
class Named:
    """How many people a delivery names, how many of them any profile knows, and a few of the unknown."""

    key: DeliveryKey
    ids: int
    known: int
    unknown: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The share that is known, 1 where nobody is named."""
        return self.known / self.ids if self.ids else 1.0


def measure(
    db: Connection,
    lake: Lake,
    config: Config,
    months: Sequence[str] = (),
    feeds: Collection[str] | None = None,
) -> list[Named]:
    """Hold the deliveries not yet measured, and those of `months`, against the profiles, and record the counts.

    Of `feeds` alone, by default of all that name people. Raises BadInput, naming feeds, shares and how the ids
    differ, when one knows too few people; that one stays unmeasured.
    """
    named = [
        name
        for name, declared in config.sources.feeds.items()
        if _ID in declared.columns and (feeds is None or name in feeds)
    ]
    with db.begin():
        wanted = {"feeds": named, "months": list(months)}
        rows = db.execute(load("stages/collection")["unmeasured"], wanted).all()
    keys = [key for key in (DeliveryKey(row.feed, row.period) for row in rows) if lake.has(*key.of_month)]
    found = _named(lake, keys) if lake.months(PROFILES) else []
    strange = {
        each: _too_few(lake, each, config.sources.contract(each.key.feed).least_known) for each in found
    }
    with db.begin():
        for each in (each for each, why in strange.items() if why is None):
            counts = {"feed": each.key.feed, "period": each.key.period, "ids": each.ids, "known": each.known}
            db.execute(load("stages/collection")["record_known"], counts)
    if sentences := [why for why in strange.values() if why]:
        raise BadInput(f"{' '.join(sentences)} Deliver one writing in all feeds, or map it in the query.")
    return found


def by_feed(found: Sequence[Named]) -> dict[str, KnownIds]:
    """By feed: people named, how many of them are known, and the share."""
    sums: dict[str, tuple[int, int]] = {}
    for each in found:
        ids, known = sums.get(each.key.feed, (0, 0))
        sums[each.key.feed] = (ids + each.ids, known + each.known)
    return {
        name: KnownIds(ids=ids, known=known, share=round(known / ids, 4) if ids else 1.0)
        for name, (ids, known) in sums.items()
    }


def notes(lake: Lake, found: Sequence[Named]) -> Iterator[str]:
    """A sentence for each feed that names people no profile knows."""
    for name, counts in by_feed(found).items():
        strangers = counts["ids"] - counts["known"]
        if not strangers or name == PROFILES:  # every month has new subscribers
            continue
        kept = "; they are kept, and hold as soon as the id appears" if name == "contact_limits" else ""
        unknown = [text for each in found if each.key.feed == name for text in each.unknown]
        differ = _differ(lake, unknown)
        how = _in_words(*differ) if differ else _shapes(lake, unknown)
        yield f"{strangers:,} of {counts['ids']:,} people in {name} are in no profile{kept}. {how}"


# ---------------------------------------------------------------- who is known


def _named(lake: Lake, keys: Sequence[DeliveryKey]) -> list[Named]:
    counts = {key: [0, 0] for key in keys}
    unknown: dict[DeliveryKey, list[str]] = {key: [] for key in keys}
    for shard in range(lake.shards):
        frames = [_people(lake, key, shard) for key in keys]
        if not frames:
            continue
        people = pl.concat(frames)
        strangers = _strangers(lake, people, shard)
        for at, rows in enumerate((people, strangers)):
            for name, period, number in rows.group_by("feed", "period").len().iter_rows():
                counts[DeliveryKey(name, period)][at] += number
        for name, period, text in strangers.select("feed", "period", _ID).sort(_ID).iter_rows():
            if len(unknown[DeliveryKey(name, period)]) < _ASKED_AT_MOST:
                unknown[DeliveryKey(name, period)].append(text)
    return [Named(key, ids, ids - strange, tuple(unknown[key])) for key, (ids, strange) in counts.items()]


def _people(lake: Lake, key: DeliveryKey, shard: int) -> pl.DataFrame:
    """The people a delivery names, each once; who is told to have joined need not be in a profile yet."""
    manifest = lake.manifest(*key.of_month)
    parts = [part for part in manifest.parts if part.period == key.period and part.shard == shard]
    schema = {"feed": pl.String, "period": pl.String, _ID: pl.String}
    if not parts:
        return pl.DataFrame(schema=schema)
    rows = scan_files([lake.part_address(manifest, part) for part in parts])
    if key.feed == "subscriber_changes":
        rows = rows.filter(pl.col("kind") != "joined")
    ids = rows.select(pl.lit(key.feed).alias("feed"), pl.lit(key.period).alias("period"), _ID)
    return ids.unique().collect(engine="streaming").select(*schema)


def _strangers(lake: Lake, people: pl.DataFrame, shard: int) -> pl.DataFrame:
    """Those of `people` whom no profile knows; a profile itself is held against those of earlier months."""
    left = people
    for month in reversed(lake.months(PROFILES)):
        if left.is_empty():
            break
        known = lake.scan(PROFILES, month, shard).select(_ID).collect(engine="streaming")
        own = (pl.col("feed") == PROFILES) & (pl.col("period") <= month)
        left = pl.concat([left.filter(own), left.filter(~own).join(known, on=_ID, how="anti")])
    is_first = (pl.col("feed") == PROFILES) & (pl.col("period") <= min(lake.months(PROFILES)))
    return left.filter(~is_first)  # nothing to be held against


# ---------------------------------------------------------------- how they differ


def _too_few(lake: Lake, named: Named, least: Known) -> str | None:
    """What is wrong with a delivery that misses people it means; None when enough of them are known.

    Where a way of writing would make unknown ids known, nothing is guessed: it is named. Of grave feeds one such id
    is too many.
    """
    is_grave = named.key.feed in _GRAVE
    if not named.unknown or not least.share or (named.share >= least.share and not is_grave):
        return None
    differ = _differ(lake, named.unknown, None if named.key.feed != PROFILES else named.key.period)
    may_be_judged = named.ids >= least.ids and not (
        named.key.feed in _OF_LEAVERS and min(lake.months(PROFILES)) >= named.key.month
    )
    is_other = differ is not None and (is_grave or 2 * differ[1] >= len(named.unknown))
    if not (is_other or (may_be_judged and named.share < least.share)):
        return None
    known_by = "an earlier profile" if named.key.feed == PROFILES else "any profile"
    asked = f", at least {least.share:.0%} must" if named.share < least.share else ""
    sentence = (
        f"{named.key.feed} of {named.key.period}: {named.known:,} of {named.ids:,} people ({named.share:.1%}) are in "
        f"{known_by}{asked}."
    )
    return f"{sentence} {_in_words(*differ) if differ else _shapes(lake, named.unknown)}."


def _differ(lake: Lake, unknown: Sequence[str], before: str | None = None) -> tuple[str, int, int] | None:
    """The way of writing that would make most of the unknown known, how many of how many; None when none does.

    Known are the profiles of all months, or of those before `before`.
    """
    if not unknown:
        return None
    length = _usual_length(lake)
    tried = [
        (way, made)
        for text in unknown
        for way, change in _DIFFERENCES.items()
        if (made := change(text, length)) not in (None, text)
    ]
    variants = pl.DataFrame(tried, schema={"way": pl.String, _ID: pl.String}, orient="row")
    hits = pl.DataFrame(schema={"way": pl.String, _ID: pl.String})
    for month in (month for month in lake.months(PROFILES) if before is None or month < before):
        known = lake.scan(PROFILES, month).select(_ID)
        hits = pl.concat([hits, variants.lazy().join(known, on=_ID, how="semi").collect(engine="streaming")])
    counted = hits.unique().group_by("way").len().sort("len", "way", descending=[True, False])
    return (*counted.row(0), len(unknown)) if counted.height else None


def _in_words(way: str, would: int, unknown: int) -> str:
    return f"{would:,} of {unknown:,} unknown ids looked at would be known {way}"


def _without_country(text: str) -> str | None:
    for prefix in ("+86", "0086", "86"):
        rest = text.removeprefix(prefix)
        if rest != text and len(rest) >= _SHORTEST_NUMBER:
            return rest
    return None


def _letters_and_digits(text: str) -> str:
    """`=138`, `138,` and digits of other scripts as 138; what parts an id (10-11) stays."""
    plain = (str(unicodedata.digit(each, each)) for each in text if each.isalnum() or each in _PARTING)
    return "".join(plain).strip(_PARTING)


def _usual_length(lake: Lake) -> int:
    """How many characters most ids of the newest profile have."""
    ids = lake.scan(PROFILES, lake.months(PROFILES)[-1]).select(pl.col(_ID).str.len_chars().alias("length"))
    counted = ids.group_by("length").len().sort("len", "length", descending=True).collect(engine="streaming")
    return int(counted["length"][0])


def _shapes(lake: Lake, unknown: Sequence[str]) -> str:
    """How the unknown ids look beside those of the profiles; no id itself."""
    lengths = sorted({len(text) for text in unknown})
    spread = f"{lengths[0]}" if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"
    digits = sum(text.isdecimal() for text in unknown) / len(unknown)
    return (
        f"The unknown ids have {spread} characters and {digits:.0%} are digits alone; most of the profiles' have "
        f"{_usual_length(lake)}"
    )
