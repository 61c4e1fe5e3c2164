"""Whether all of a delivery has come: by the operator's own list of files, or beside the month before."""

import csv
from collections.abc import Mapping

import polars as pl

from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import shift
from include.domain.text.listing import first_of
from include.lake import Lake
from include.stages.collection.intake import Intake
from include.stages.collection.sources.delivery import MANIFEST, Delivery, DeliveryKey, written
from include.stages.collection.staging import Staged
from include.stages.collection.waivers import Incomplete

_EVERYWHERE = "all regions"

Counts = Mapping[str, int]


def listed(delivery: Delivery) -> Counts | None:
    """File → rows by the delivery's _MANIFEST.csv; None without one, BadInput when it cannot be read.

    Files a person decided to go on without are not asked for.
    """
    if not delivery.has_manifest:
        return None
    where = f"{delivery.name}/{MANIFEST}"
    try:
        with (delivery.folder / MANIFEST).open(encoding="utf-8-sig", newline="") as content:
            rows = [
                {str(name).strip(): value for name, value in row.items()} for row in csv.DictReader(content)
            ]
            named = {row["file"].strip(): int(row["rows"]) for row in rows}
            return {name: count for name, count in named.items() if name not in delivery.left_out}
    except (KeyError, ValueError, AttributeError, csv.Error, TypeError):
        raise BadInput(f"{where} is no CSV with the columns file and rows. Deliver it again.") from None
    except OSError as error:
        raise NotReady(f"{where} cannot be read: {error.strerror}. Deliver it again.") from None


def refuse_unlisted(delivery: Delivery) -> None:
    """NotReady when the files are not those that the manifest lists; before anything is read."""
    wanted, present = listed(delivery), {written(path.name) for path in delivery.files}
    if wanted is None or delivery.is_taken_as_is or wanted.keys() == present:
        return
    absent, more = sorted(wanted.keys() - present), sorted(present - wanted.keys())
    faults = [f"{first_of(absent)} not delivered yet"] if absent else []
    faults += [f"{first_of(more)} not listed"] if more else []
    raise Incomplete(
        f"{delivery.name} is incomplete: {' and '.join(faults)} by {MANIFEST} "
        f"({len(present)} of {len(wanted)} files). Deliver what it lists."
    )


def refuse_absent(lake: Lake, key: DeliveryKey) -> None:
    """NotReady when the lake holds no row of a feed's month."""
    if not (lake.has(*key) and lake.manifest(*key).rows):
        raise NotReady(f"No {key.feed} rows for {key.period}. Deliver {key.name} first.")


def refuse_incomplete(intake: Intake, staged: Staged) -> None:
    """NotReady, naming files or regions and counts, when rows are missing or too many.

    The manifest decides where there is one. Otherwise each region of a required month feed must hold about
    as many rows as the month before; a first month has nothing to be compared with, and what a person takes as
    it is, or without one of its files, need not be like it.
    """
    delivery = intake.delivery
    wanted = listed(delivery)
    if delivery.is_taken_as_is:
        return
    if wanted is not None:
        _refuse_miscounted(delivery, staged.read, wanted)
    elif delivery.left_out:
        return
    elif intake.feed.required and not intake.key.is_day:
        _refuse_outside_band(intake, staged)


def _refuse_miscounted(delivery: Delivery, read: Counts, wanted: Counts) -> None:
    wrong = [
        f"{name} has {read.get(name, 0):,} rows of {rows:,}"
        for name, rows in wanted.items()
        if read.get(name) != rows
    ]
    if wrong:
        raise Incomplete(
            f"{delivery.name} is incomplete: {first_of(wrong)} by {MANIFEST}. "
            "Deliver the rest, or mend the list."
        )


def _refuse_outside_band(intake: Intake, staged: Staged) -> None:
    lake, feed, before = intake.lake, intake.key.feed, shift(intake.key.period, -1)
    if not lake.has(feed, before) or not lake.manifest(feed, before).rows:
        return
    bounds = intake.terms.common.completeness
    profile = lake.scan("subscribers", before) if lake.has("subscribers", before) else None
    stood, came = (_by_region(rows, profile) for rows in (lake.scan(feed, before), staged.typed()))
    if stood.keys() == {_EVERYWHERE} or came.keys() == {_EVERYWHERE}:
        stood, came = ({_EVERYWHERE: sum(counts.values())} for counts in (stood, came))
    wrong = [
        f"{region} has {came.get(region, 0):,} rows ({rows:,} the month before)"
        for region, rows in sorted(stood.items())
        if rows >= bounds.least_rows and abs(came.get(region, 0) - rows) > bounds.band * rows
    ]
    if wrong:
        raise Incomplete(
            f"{intake.delivery.name} is incomplete: {first_of(wrong)}; {bounds.band:.0%} more or less would pass. "
            f"Nothing was published. Deliver the rest, or list the files in a {MANIFEST} if this is all."
        )


def _by_region(rows: pl.LazyFrame, profile: pl.LazyFrame | None) -> dict[str, int]:
    """Rows by region: the row's own, else that of the profile of the month before.

    Both months are counted by the same profile, so that it does not matter which feed comes first.
    """
    names = rows.collect_schema().names()
    if "region_code" not in names:
        if profile is None or "region_code" not in profile.collect_schema().names():
            return {_EVERYWHERE: rows.select(pl.len()).collect(engine="streaming").item()}
        rows = rows.select("subscriber_id").join(
            profile.select("subscriber_id", "region_code"), on="subscriber_id"
        )
    counted = rows.drop_nulls("region_code").group_by("region_code").len().collect(engine="streaming")
    return dict(counted.iter_rows())
