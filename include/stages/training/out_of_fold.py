"""Out-of-fold scores: what a version gave to the people of a month whose label it had not seen, kept in the lake."""

from dataclasses import dataclass

import polars as pl
from sqlalchemy import Connection

from include.lake import Lake
from include.lake.locks import hold


@dataclass(frozen=True)
class Unseen:
    """The out-of-fold scores of a month: one table and period of the lake, written under its lock."""

    db: Connection
    lake: Lake
    table: str
    month: str


def publish_out_of_fold(unseen: Unseen, version: str, judged: pl.DataFrame) -> None:
    """Keep the scores of the newest month made by models that did not learn from the person, per version."""
    lake, table, month = unseen.lake, unseen.table, unseen.month
    scores = judged.filter(pl.col("month") == month).select(
        "subscriber_id", "probability", pl.lit(version).alias("model_version"), "cluster"
    )
    shard = lake.shard_of(scores["subscriber_id"])
    with unseen.db.begin():
        hold(unseen.db, table, month)
        others = _other_versions(lake, table, month, version)
        parts = []
        for number in range(lake.shards):
            kept = [scores.filter(shard == number)]
            kept += [
                other for each in others if (other := _of_version(lake, table, month, each, number)).height
            ]
            frame = pl.concat(kept).sort("subscriber_id", "model_version")
            parts.append(lake.write_part(table, month, number, frame, version))
        lake.publish(table, month, parts, facts={"model_versions": [*others, version]})


def _other_versions(lake: Lake, table: str, month: str, version: str) -> list[str]:
    stands = lake.standing(table, month)
    if stands is None:
        return []
    stored: list[str] = stands.facts["model_versions"]
    return [each for each in stored if each != version]


def _of_version(lake: Lake, table: str, month: str, version: str, shard: int) -> pl.DataFrame:
    scores = lake.scan(table, month, shard)
    return scores.filter(pl.col("model_version") == version).collect()
