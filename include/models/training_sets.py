"""Training examples: factors of labelled months with what happened, weighted and sampled to fit in memory."""

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sqlalchemy import Connection

from include.database.queries import load
from include.domain.periods.horizon import Window
from include.domain.periods.months import shift
from include.domain.periods.period import MONTHLY, cadence_of, default_as_of
from include.lake import Lake
from include.models import labels
from include.models.calibration import Floats
from include.models.labels import HAPPENED, Label
from include.models.store import Matrix, matrix
from include.subscribers.histories import Histories

FOLDS = 5

Folds = NDArray[np.uint8]

_CALLS = ("voice_out_minutes", "voice_in_minutes")
_WEIGHTS = {"subscriber_id": pl.String, "weight": pl.Float64}


@dataclass(frozen=True)
class LabelledMonth:
    """A month whose label is known: of whom it is true (or null), and the weights other than one.

    A weight is 0 for who was contacted and more than 1 for who was held out. Of whom nobody knows is left out.
    cluster: cut down to one tenure cluster; months_earlier: seen with the factors of so many months before.
    """

    month: str
    truths: pl.DataFrame
    weights: pl.DataFrame
    cluster: str | None = None
    months_earlier: int = 0

    @property
    def seen_in(self) -> str:
        """The month whose factors are looked at."""
        return shift(self.month, -self.months_earlier)

    def of_cluster(self, cluster: str) -> "LabelledMonth":
        """The month cut down to the people of one tenure cluster."""
        return replace(self, cluster=cluster)

    def seen_a_month_earlier(self) -> "LabelledMonth":
        """The same people and label with what was known of them at the end of the month before."""
        return replace(self, months_earlier=self.months_earlier + 1)

    def people(self, lake: Lake, shard: int | None = None) -> pl.LazyFrame:
        """The factors rows of the month with happened (Boolean) and weight (Float64)."""
        people = lake.scan("factors", self.month, shard)
        if self.cluster is not None:
            people = people.filter(pl.col("cluster") == self.cluster)
        if self.months_earlier:
            earlier = lake.scan("factors", self.seen_in, shard)
            earlier = Histories.of(lake, self.month, shard).of_same_holders(earlier, self.seen_in)
            people = earlier.join(people, on="subscriber_id", how="semi", maintain_order="left")
        return self.labelled(people)

    def people_of_views(self, lake: Lake, shard: int | None = None) -> pl.LazyFrame:
        """`people`, whose is_active says whether they had a call minute, where the operator delivers those."""
        people = self.people(lake, shard)
        if not lake.has("usage_months", self.seen_in):
            return people
        usage = Histories.of(lake, self.month, shard).usage(self.seen_in)
        minutes = [name for name in _CALLS if name in usage.collect_schema()]
        if not minutes:
            return people
        called = pl.any_horizontal(pl.col(name).fill_null(0) > 0 for name in minutes).alias("is_active")
        joined = people.drop("is_active", strict=False).join(
            usage.select("subscriber_id", called), on="subscriber_id", how="left", maintain_order="left"
        )
        return joined.with_columns(pl.col("is_active").fill_null(False))

    def labelled(self, people: pl.LazyFrame) -> pl.LazyFrame:
        """`people` of the month with happened (Boolean) and weight (Float64)."""
        labelled = labels.with_labels(people, self.truths).filter(pl.col(HAPPENED).is_not_null())
        joined = labelled.join(self.weights.lazy(), on="subscriber_id", how="left", maintain_order="left")
        return joined.with_columns(pl.col("weight").fill_null(1.0))


@dataclass(frozen=True)
class Examples:
    """Rows to fit on; `month` holds positions in the list of months they were read from."""

    matrix: Matrix
    happened: Floats
    weights: Floats
    fold: Folds
    month: NDArray[np.uint8]

    def taken(self, rows: NDArray[np.bool_]) -> "Examples":
        """The rows where the mask is true."""
        return Examples(
            self.matrix[rows], self.happened[rows], self.weights[rows], self.fold[rows], self.month[rows]
        )

    def known(self, factors: Sequence[str]) -> dict[str, dict[str, float]]:
        """Per factor anybody has: the median of those who have it, and the share of those who have not."""
        columns = zip(factors, self.matrix.T, strict=True)
        shares = ((name, column, float(np.isnan(column).mean())) for name, column in columns)
        return {
            name: {"median": float(np.nanmedian(column)), "missing": missing}
            for name, column, missing in shares
            if missing < 1
        }

    @property
    def base_rate(self) -> float:
        """Weighted share of churners."""
        return float(self.weights @ self.happened / self.weights.sum())


@dataclass(frozen=True)
class Labelling:
    """A campaign's label as it is known at `as_of`, for months of a lake.

    Without `db` everybody counts as they went: the lake does not know who was contacted.
    """

    db: Connection | None
    lake: Lake
    campaign: str
    label: Label
    as_of: datetime

    def of_month(self, month: str) -> LabelledMonth:
        """The label of the people of `month`, and their contact weights."""
        window = self.label.horizon.after(month)
        people = self.lake.scan("factors", month).select("subscriber_id")
        weights = (
            pl.DataFrame(schema=_WEIGHTS)
            if self.db is None
            else contact_weights(self.db, self.campaign, month, window, self.as_of)
        )
        return LabelledMonth(month, labels.truths(self.lake, self.label, window, people), weights)


def contact_weights(db: Connection, campaign: str, key: str, window: Window, as_of: datetime) -> pl.DataFrame:
    """Weights other than one (subscriber_id, weight) of the month or cycle `key`, by what is known at `as_of`.

    Contacted people are left out, and the held-out stand for them by the inverse of their chance (Horvitz and
    Thompson 1952). Held out by two draws that know nothing of each other somebody stands for the treated of both:
    both count.
    """
    # a month nobody scored for days to come is contacted from its end on
    is_whole = window.is_of_whole_months or cadence_of(key) != MONTHLY
    asked = {
        "campaign": campaign,
        "cycle": key,
        "scored_at": default_as_of(key) if is_whole else window.begins_at,
        "horizon_ends_at": min(window.ends_at, as_of),
    }
    with db.begin():
        found = db.execute(load("stages/training")["contact_weights"], asked)
        rows = [(row.subscriber_id, math.prod(row.weights)) for row in found]
    return pl.DataFrame(rows, schema=_WEIGHTS, orient="row")


def churners_and_stayers(lake: Lake, month: LabelledMonth) -> tuple[int, int]:
    """How many rows of the month count in training, by what happened."""
    counted = month.people(lake).filter(pl.col("weight") > 0)
    churned = pl.col("happened").sum()
    row = counted.select(churned.alias("churners"), pl.len().alias("rows")).collect(engine="streaming").row(0)
    return int(row[0]), int(row[1]) - int(row[0])


def read_examples(
    lake: Lake,
    months: Sequence[LabelledMonth],
    factors: tuple[str, ...],
    kept_share: float,
    split: int = 0,
) -> Examples:
    """All churners of the months and `kept_share` of those who stayed, who then weigh 1 / kept_share.

    Sorted by month and subscriber: what trees draw by position must not hang on how the lake is cut.
    """
    pieces = []
    for position, month in enumerate(months):
        shards = [_drawn(month.people(lake, shard), factors, kept_share) for shard in range(lake.shards)]
        pieces.append(_examples_of(pl.concat(shards), position, factors, kept_share, split))
    return Examples(
        np.concatenate([piece.matrix for piece in pieces]),
        np.concatenate([piece.happened for piece in pieces]),
        np.concatenate([piece.weights for piece in pieces]),
        np.concatenate([piece.fold for piece in pieces]),
        np.concatenate([piece.month for piece in pieces]),
    )


def folds_of(ids: pl.Series, split: int = 0) -> Folds:
    """The fold (0 … 4) of each subscriber: the same in every month, on every machine, in the same `split`.

    Another number splits the people another way, to judge a model by more than one chance.
    """
    if split == 0:
        return (_hashes(ids, b"") % FOLDS).astype(np.uint8)
    # not a salted CRC: it differs from the plain one by a constant, and the folds would resemble each other
    digests = (blake2b(f"{split} {text}".encode(), digest_size=8).digest() for text in ids)
    return np.fromiter((int.from_bytes(each) % FOLDS for each in digests), np.uint8, len(ids))


def common_factors(lake: Lake, months: Iterable[str]) -> tuple[str, ...]:
    """The numeric factors that stand in any of the months, in the order of the newest that names them."""
    names: dict[str, None] = {}
    for month in sorted(months, reverse=True):
        schema: Mapping[str, pl.DataType] = lake.scan("factors", month).collect_schema()
        declared = lake.manifest("factors", month).facts["factors"]
        names |= {name: None for name in declared if name in schema and _is_number(schema[name])}
    return tuple(names)


def _examples_of(
    drawn: pl.DataFrame, position: int, factors: tuple[str, ...], kept_share: float, split: int
) -> Examples:
    frame = drawn.sort("subscriber_id")
    happened = frame["happened"].cast(pl.Float64).to_numpy()
    return Examples(
        matrix=matrix(frame, factors),
        happened=happened,
        weights=frame["weight"].to_numpy() * np.where(happened > 0, 1.0, 1 / kept_share),
        fold=folds_of(frame["subscriber_id"], split),
        month=np.full(frame.height, position, np.uint8),
    )


def _drawn(people: pl.LazyFrame, factors: tuple[str, ...], kept_share: float) -> pl.DataFrame:
    """Those of a shard who teach: everybody of weight who left, and the share drawn of those who stayed."""
    present = set(people.collect_schema().names())
    wanted = [pl.col(name).cast(pl.Float32) for name in factors if name in present]
    rows = people.filter(pl.col("weight") > 0).select("subscriber_id", "happened", "weight", *wanted)
    frame = rows.collect(engine="streaming")
    drawn = _hashes(frame["subscriber_id"], b"draw ") < kept_share * 2**32
    return frame.filter(pl.col("happened") | pl.Series(drawn))


def _hashes(ids: pl.Series, salt: bytes) -> NDArray[np.uint32]:
    return np.fromiter((zlib.crc32(salt + text.encode()) for text in ids), np.uint32, len(ids))


def _is_number(kind: pl.DataType) -> bool:
    return kind.is_numeric() or kind == pl.Boolean
