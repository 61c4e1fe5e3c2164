"""A small made-up province in the lake: factors that tell a little about who leaves, and who left."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import polars as pl

from include.domain.periods.months import first_day, shift
from include.lake import Lake
from include.models import trees
from include.models.trees import Recipe


def quick_recipes(rounds: int) -> dict[str, Recipe]:
    """The candidates with few trees: good enough for a made-up province."""
    forest = trees.RECIPES[trees.FOREST]
    shallow = {**forest.parameters, "max_depth": 6, "min_child_weight": 2}
    ten, once = {"num_parallel_tree": 10, "rounds": 1}, {"max_depth": 3, "eta": 0.1, "rounds": rounds}
    return {
        trees.BOOSTED: replace(trees.RECIPES[trees.BOOSTED], few=once, many=once),
        trees.FOREST: replace(forest, parameters=shallow, few=ten, many=ten),
    }


FACTORS = ("bill_fall", "complaints", "tenure_months", "noise")


class Province:
    """`subscribers` people; those with falling bills and complaints leave more often, none surely."""

    def __init__(self, lake: Lake, subscribers: int = 3000, seed: int = 1, base: float = -3.2) -> None:
        self.lake = lake
        self.random = np.random.default_rng(seed)
        self.base = base
        self.ids = [f"S{number:07d}" for number in range(subscribers)]
        self.gone: set[str] = set()

    def live_through(self, month: str, **changed: Any) -> None:
        """Publish the factors of `month` and, as the churn of the month after, who left because of them."""
        people = self.factors(**changed)
        self.publish("factors", month, people, facts={"factors": list(FACTORS)})
        for feed in ("usage_months", "subscribers"):
            self.publish(feed, month, people.select("subscriber_id"))
        risk = self.base + 1.2 * people["bill_fall"] + 0.9 * people["complaints"]
        leaves = self.random.random(people.height) < 1 / (1 + np.exp(-risk.to_numpy()))
        self.leave(shift(month, 1), people["subscriber_id"].filter(pl.Series(leaves)).to_list())

    def factors(self, *, signal: float = 1.0) -> pl.DataFrame:
        """A factors table of everybody still there; `signal` scales how much the factors tell."""
        ids = [each for each in self.ids if each not in self.gone]
        size = len(ids)
        tenure = self.random.uniform(0, 60, size)
        return pl.DataFrame(
            {
                "subscriber_id": ids,
                "bill_fall": signal * self.random.normal(size=size),
                "complaints": self.random.poisson(0.4, size).astype(float),
                "noise": self.random.normal(size=size),
                "tenure_months": tenure,
                "is_active": self.random.random(size) < 0.9,
                "value_yuan": self.random.uniform(10, 200, size),
            }
        ).with_columns(
            noise=pl.when(pl.col("noise") < 1).then("noise"),
            cluster=pl.when(pl.col("tenure_months") < 6)
            .then(pl.lit("under_6"))
            .when(pl.col("tenure_months") < 12)
            .then(pl.lit("6_to_12"))
            .otherwise(pl.lit("over_12")),
        )

    def leave(self, month: str, ids: Sequence[str]) -> None:
        """Publish who left in `month`, complete; they are gone from later months."""
        days = [first_day(month) + timedelta(days=number % 28) for number in range(len(ids))]
        left = pl.DataFrame(
            {"subscriber_id": list(ids), "churned_on": days, "reason": ["port_out"] * len(ids)},
            schema={"subscriber_id": pl.String, "churned_on": pl.Date, "reason": pl.String},
        )
        self.publish("churned", month, left, facts={"complete": True})
        self.gone |= set(ids)

    def publish(self, table: str, month: str, frame: pl.DataFrame, **about: Any) -> None:
        """Publish `frame` as the month of a table, cut into the lake's shards."""
        shard = self.lake.shard_of(frame["subscriber_id"])
        parts = [
            self.lake.write_part(table, month, number, frame.filter(shard == number), "test")
            for number in range(self.lake.shards)
        ]
        about.setdefault("fingerprint", f"{table} {month} {frame.hash_rows().sum()}")
        self.lake.publish(table, month, parts, **about)
