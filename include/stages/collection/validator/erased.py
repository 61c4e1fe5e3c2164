"""Erased subscribers in a delivery: their rows of the time before the erasure never come back."""

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection

from include.database.queries import load
from include.domain.erasure import bucket_of, hash_of
from include.stages.collection.reader.batch import BROKEN
from include.stages.collection.validator.values import canonical_ids

_AS_FLOAT = ".0"
COLUMN, REASON = "subscriber_id", "belongs to an erased subscriber"


@dataclass(frozen=True)
class KeptOut:
    """Whom a month must not hold: coarse buckets to look into, hashes to look for."""

    salt: str
    buckets: Collection[int]
    hashes: Collection[str]

    def among(self, ids: pl.Series) -> pl.Series:
        """Which of the ids are kept out: an id written in any way, of somebody erased under any of them.

        An erasure made before ids had one writing hashed the id as it was delivered then.
        """
        canonical = canonical_ids(ids)
        theirs = self._hashed(ids) | self._hashed(canonical) | self._hashed(canonical + _AS_FLOAT)
        return theirs.fill_null(False)

    def _hashed(self, ids: pl.Series) -> pl.Series:
        near = [each for each in ids.unique().to_list() if each and bucket_of(each) in self.buckets]
        return ids.is_in([each for each in near if hash_of(each, self.salt) in self.hashes])


NOBODY = KeptOut("", (), ())


def kept_out(db: Connection, month: str) -> KeptOut:
    """Whom a delivery of this month must not hold."""
    rows = db.execute(load("commands/erasure")["kept_out"], {"month": month}).all()
    if not rows:
        return NOBODY
    return KeptOut(rows[0].salt, {row.bucket for row in rows}, {row.subscriber_hash for row in rows})


def parted(rows: pl.DataFrame, whom: KeptOut) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows of everybody else, and those kept out: line and reason, nothing of what they said."""
    if not whom.hashes or COLUMN not in rows.columns:
        return rows, pl.DataFrame(schema=BROKEN)
    theirs = whom.among(rows[COLUMN].str.strip_chars())
    put_aside = rows.filter(theirs).select(
        "line",
        pl.lit(COLUMN).alias("column"),
        pl.lit(REASON).alias("reason"),
        pl.lit(None, pl.String).alias("raw"),
    )
    return rows.filter(~theirs), put_aside
