"""Looking: whom a campaign looks at, with the rules that hit them, their score, and what its terms say of them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from include.config.readers.campaign import Campaign
from include.domain.errors import NotDelivered, NotReady
from include.lake import Manifest
from include.models.champions import rules_champion
from include.run import Run
from include.stages.grading.admission import names_read, terms_of, why_nobody_is_written
from include.stages.grading.rule_hits import ActiveRules, active_rules, hits_of
from include.stages.grading.sources import Group, find, groups
from include.subscribers.eligibility import gone
from include.subscribers.facts import fact_rows

_OWN = [pl.col(name) for name in ("cluster", "probability", "model_version")]
_NOBODY: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("subscriber_id", "customer_id", "region_code", "branch_code"), pl.String()),
    **dict.fromkeys(("cluster", "model_version"), pl.String()),
    **dict.fromkeys(("probability", "value_yuan", "tenure_months", "rule_points", "order"), pl.Float64()),
    **dict.fromkeys(("has_high_floor", "is_member", "is_wanted", "is_written"), pl.Boolean()),
    "rule_hits": pl.List(pl.String()),
    "shard": pl.UInt32(),
}


@dataclass(frozen=True)
class Looked:
    """Everybody a campaign looks at, with the rules that hit them; `found` by its source, None for everybody.

    `made_of` tells their grades from those of other people, `note` what was not delivered.
    """

    people: pl.DataFrame
    rules: ActiveRules
    made_of: tuple[str, ...]
    note: str
    found: int | None


def looked_at(run: Run, scores: Manifest | None) -> Looked:
    """Everybody the campaign looks at, with the rules hit and their points; what was not delivered is noted."""
    rules = active_rules(run.config, run.month, run.lake.manifest("factors", run.month))
    source, made_of = find(run), _distinguished(run.rules)
    frames, notes = [], [source.note] if source.note else []
    for group in groups(run, source.people):
        made_of += _made_of(run, group) if made_of else []
        try:
            frames.append(_with_hits(run, group, scores, rules))
        except NotDelivered as error:
            notes.append(str(error))
    if frames and run.rules.written is not None:
        notes += filter(None, [why_nobody_is_written(run.rules, run.lake, run.month)])
    people = pl.concat(frames) if frames else pl.DataFrame(schema=_NOBODY)
    found = None if source.people is None else source.people.height
    return Looked(people, rules, tuple(made_of), " ".join(notes), found)


def _distinguished(campaign: Campaign) -> list[str]:
    """What besides factors, scores and rules decides about a campaign's grades; of one that says nothing, nothing."""
    asks = {"source", "people", "population", "admission", "rank"}
    terms = campaign.model_dump(mode="json", include=asks, exclude_unset=True, exclude_none=True)
    return [json.dumps(terms, sort_keys=True)] if terms else []


def _made_of(run: Run, group: Group) -> list[str]:
    factors = run.lake.manifest("factors", group.month).fingerprint
    found = "" if group.people is None else hashlib.sha256(group.people.write_csv().encode()).hexdigest()
    return [group.month, factors, found]


def _with_hits(run: Run, group: Group, scores: Manifest | None, rules: ActiveRules) -> pl.DataFrame:
    """Everybody of a group with the rules hit and their points, shard by shard."""
    terms = terms_of(run.rules, run.lake, group.month)
    lake, frames = run.lake, []
    for shard in range(lake.shards):
        people = fact_rows(lake, group.month, names_read(run.rules), shard)
        people = people if group.people is None else people.join(group.people.lazy(), on="subscriber_id")
        people = _scored(run, people, scores, shard, is_everybody=group.people is None)
        more = [
            *_OWN, terms.wanted.alias("is_wanted"), terms.written.alias("is_written"), terms.order.alias("order")
        ]  # fmt: skip
        hits = hits_of(people, rules, terms.member, [*more, pl.lit(shard, pl.UInt32).alias("shard")])
        frames.append(hits.collect(engine="streaming"))
    frame = pl.concat(frames)
    if group.people is None and scores is not None:
        _require_fitting(frame, scores)
    if run.rules.people == "left" or run.rules.admission.by == "grade":
        return frame
    left = gone(lake, run.month, run.as_of).collect(engine="streaming")
    return frame.join(left, on="subscriber_id", how="anti")  # they would take the places of the first


def _require_fitting(frame: pl.DataFrame, scores: Manifest) -> None:
    if {frame.height, frame["subscriber_id"].n_unique()} != {scores.rows}:
        raise NotReady(
            f"The scores of {scores.month} do not fit its factors. Run prediction again, then grading."
        )


def _scored(
    run: Run, people: pl.LazyFrame, scores: Manifest | None, shard: int, *, is_everybody: bool
) -> pl.LazyFrame:
    """`people` with probability and model_version; without a model the rules serve, as they do who has no score."""
    rules = pl.lit(rules_champion(run.config.texts["rules.yaml"])["version"])
    if scores is None:
        return people.with_columns(
            pl.lit(None, pl.Float64).alias("probability"), rules.alias("model_version")
        )
    own = run.lake.scan(scores.table, scores.month, shard).drop("cluster")
    scored = people.join(own, on="subscriber_id", how="inner" if is_everybody else "left")
    return scored.with_columns(pl.col("model_version").fill_null(rules))
