"""Follow-up: label months, note outcomes and judge warnings and arms, each once all it reads is complete."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NotRequired, cast

import polars as pl
from sqlalchemy import Connection

from include.config import Config
from include.database import lock
from include.database.queries import load
from include.domain.periods.horizon import Window
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.lake.campaigns import LABELS, grades_of, of_campaign
from include.lake.locks import hold
from include.models import labels, training_sets
from include.models.labels import HAPPENED, Label
from include.models.training_sets import LabelledMonth
from include.run import Run
from include.run.results import Counts
from include.stages import training
from include.stages.follow_up import verdicts
from include.stages.follow_up.verdicts import Figure
from include.subscribers import later
from include.subscribers.later import Knowledge


@dataclass(frozen=True)
class Watch:
    """What a campaign's cycles are followed up by at `as_of`: the model's label (None: no model), success, leaving."""

    db: Connection
    lake: Lake
    campaign: str
    label: Label | None
    success: Label
    leaving: Label
    as_of: datetime
    now: datetime

    def knowledge(self, label: Label, window: Window) -> Knowledge:
        """When a label of a cycle can be known."""
        return labels.knowledge(self.lake, label, window, self.as_of)


@dataclass(frozen=True)
class Seen:
    """A cycle and what is known of its people by now."""

    cycle: str
    revisions: tuple[int, ...]
    window: Window
    success: Knowledge
    is_left_known: bool
    is_success_known: bool
    is_judged: bool


class Judged(verdicts.Summary):
    """A revision of a cycle that was judged."""

    cycle: str
    month: str
    revision: int


class FollowedUp(Counts):
    """What became known; see `follow_up`. campaign: where the edge adds it."""

    labelled: list[str]
    untaught: list[str]
    months: list[Judged]
    waiting: dict[str, str]
    campaign: NotRequired[str]


def follow_up(
    *, db: Connection, lake: Lake, config: Config, campaign: str, as_of: datetime, now: datetime
) -> FollowedUp:
    """Label every month with factors whose label is known at `as_of`; evaluate the cycles and revisions that can be.

    Replaces what it wrote before, so that running it again changes nothing. `labelled` names the months
    whose label is new or changed; `untaught` those no training has seen yet, until one has, so that no kill
    and no earlier run loses them; `months` holds the figures of every cycle and revision judged; `waiting` says of
    every other cycle what keeps its success from being known.
    """
    label, horizon = labels.label_of(config, campaign), config.campaign(campaign).horizon
    success, leaving = labels.success_of(config, campaign), labels.leaving(horizon)
    watch = Watch(db, lake, campaign, label, success, leaving, as_of, now)
    known = _labelled(lake, label, as_of)
    labelled = [month for month in known if label and _write_labels(watch, month, label)]
    judged: list[Judged] = []
    waiting: dict[str, str] = {}
    for cycle in list(_cycles(watch)):
        _record_outcomes(watch, cycle)
        if not cycle.is_success_known:
            waiting[cycle.cycle] = cycle.success.why_unknown(as_of)
        judged += [found for each in cycle.revisions if (found := _evaluate(watch, cycle, each))]
    return {
        "stage": "follow_up",
        "rows_in": sum(each["subscribers"] for each in judged),
        "rows_out": sum(each.pop("figures", 0) for each in judged),
        "quarantined": 0,
        "labelled": labelled,
        "untaught": _untaught(watch, known),
        "months": judged,
        "waiting": waiting,
    }


def of_run(run: Run) -> FollowedUp:
    """`follow_up` of the campaign of a run, as known at its `as_of`."""
    return follow_up(
        db=run.db, lake=run.lake, config=run.config, campaign=run.campaign, as_of=run.as_of, now=run.now
    )


def _labelled(lake: Lake, label: Label | None, as_of: datetime) -> list[str]:
    """The months with factors whose label is known."""
    if label is None:
        return []
    return [month for month in lake.months("factors") if labels.is_labelled(lake, month, label, as_of)]


def _untaught(watch: Watch, known: list[str]) -> list[str]:
    """The months of `known` training would look at whose label no recorded training has seen as it stands."""
    lake, label = watch.lake, watch.label
    if label is None or not known:
        return []
    taught = training.months_looked_at(lake, known[-1], label, watch.as_of)
    with watch.db.begin():
        rows = watch.db.execute(load("stages/follow_up")["labels_seen"], {"campaign": watch.campaign})
        seen = {row.month: row.fingerprint for row in rows}
    wanted = [month for month in known if month in taught]
    return [month for month in wanted if seen.get(month) != labels.fingerprint(lake, month, label)]


def _write_labels(watch: Watch, month: str, label: Label) -> bool:
    """Publish the labels of a month unless they stand already; whether anything was written."""
    lake, table = watch.lake, of_campaign(LABELS, watch.campaign)
    made_of = labels.fingerprint(lake, month, label)
    with watch.db.begin():
        hold(watch.db, table, month)
        stands = lake.standing(table, month)
        # a month labelled before there were other labels than leaving does not say what it is of
        if stands and stands.fingerprint == made_of and stands.facts.get("label") == label.text:
            return False
        window = label.horizon.after(month)
        truths = labels.truths(lake, label, window, lake.scan("factors", month).select("subscriber_id"))
        if labels.is_leaving(label):
            truths = truths.join(later.leavers(lake, window), on="subscriber_id", how="left")
        parts = []
        for shard in range(lake.shards):
            people = lake.scan("factors", month, shard).select("subscriber_id")
            frame = labels.with_labels(people, truths)
            parts.append(lake.write_part(table, month, shard, frame, f"labels-{made_of[:8]}"))
        facts = {"label": label.text, "horizon": label.horizon.as_fact}
        lake.publish(table, month, parts, fingerprint=made_of, facts=facts)
    return True


def _cycles(watch: Watch) -> Iterator[Seen]:
    """Every cycle with its revisions and what is known of it; the day its success can be known is kept with it."""
    with watch.db.begin():
        rows = watch.db.execute(load("stages/follow_up")["revisions"], {"campaign": watch.campaign}).all()
    by_cycle: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        by_cycle.setdefault((row.cycle, row.month), []).append(row.revision)
    for (cycle, month), revisions in by_cycle.items():
        window = watch.leaving.horizon.after(cycle, month)
        success = watch.knowledge(watch.success, window)
        is_known = success.is_there(watch.as_of)
        yield Seen(
            cycle,
            tuple(revisions),
            window,
            success,
            watch.knowledge(watch.leaving, window).is_there(watch.as_of),
            is_known,
            is_known and (watch.label is None or watch.knowledge(watch.label, window).is_there(watch.as_of)),
        )


def _record_outcomes(watch: Watch, seen: Seen) -> None:
    """Keep what is known of everybody assigned, and with the cycle the day from which on its success can be."""
    queries, key, db = load("stages/follow_up"), {"campaign": watch.campaign, "cycle": seen.cycle}, watch.db
    with db.begin():
        lock(db, "follow_up", watch.campaign, seen.cycle)
        if seen.is_success_known or seen.success.on > watch.as_of.astimezone(ZONE).date():
            db.execute(queries["keep_known_on"], {**key, "known_on": seen.success.on})
        if seen.is_left_known or seen.is_success_known:
            assigned = pl.Series("subscriber_id", db.execute(queries["assigned"], key).scalars(), pl.String)
            facts = _left(watch, seen, assigned) | _succeeded(watch, seen, assigned)
            observed = {"month_observed": seen.window.last_month, "now": watch.now}
            db.execute(queries["record_outcomes"], {**key, **facts, **observed})


def _left(watch: Watch, seen: Seen, assigned: pl.Series) -> dict[str, Any]:
    """Who of the assigned left, and when and why; of nobody anything while it is not known."""
    left = later.leavers(watch.lake, seen.window) if seen.is_left_known else later.NOBODY
    rows = left.filter(pl.col("subscriber_id").is_in(assigned.implode()))
    return {
        "is_left_known": seen.is_left_known,
        "leavers": rows["subscriber_id"].to_list(),
        "days": rows["churned_on"].to_list(),
        "reasons": rows["reason"].to_list(),
    }


def _succeeded(watch: Watch, seen: Seen, assigned: pl.Series) -> dict[str, Any]:
    """Of whom of the assigned success is true, or null: nobody knows; of the others it is false, once it is known."""
    truths = pl.DataFrame(schema={"subscriber_id": pl.String, HAPPENED: pl.Boolean})
    if seen.is_success_known:
        truths = labels.truths(watch.lake, watch.success, seen.window, assigned.to_frame().lazy())
    return {
        "is_success_known": seen.is_success_known,
        "judged": truths["subscriber_id"].to_list(),
        "successes": truths[HAPPENED].to_list(),
    }


def _evaluate(watch: Watch, seen: Seen, revision: int) -> Judged | None:
    """Judge one revision and replace its figures; None while it cannot be, or where nothing is left to judge."""
    key = {"campaign": watch.campaign, "cycle": seen.cycle, "revision": revision}
    queries, db, figures = load("stages/follow_up"), watch.db, _figures_of_people(watch, seen, revision)
    if figures is None:
        return None
    with db.begin():
        lock(db, "follow_up", watch.campaign, seen.cycle)
        ends = {"horizon_ends_at": seen.window.ends_at}
        arms = db.execute(queries["arms"], {**key, **ends}).all() if revision == 0 else []
        figures += verdicts.of_arms(arms)
        if not figures:
            return None
        db.execute(queries["forget_evaluations"], key)
        rows = [{**key, **vars(figure), "now": watch.now} for figure in figures]
        db.execute(queries["write_evaluation"], rows)
    whose = {"cycle": seen.cycle, "month": seen.window.month, "revision": revision}
    return cast(Judged, {**whose, **verdicts.summary_of(figures)})


def _figures_of_people(watch: Watch, seen: Seen, revision: int) -> list[Figure] | None:
    """What the label says of the graded; None when the revision cannot be judged, nothing without a model."""
    if not seen.is_judged:
        return None
    if watch.label is None:
        return []
    grades = _grades(watch, seen.cycle, revision)
    if grades is None:
        return None
    truths = labels.truths(watch.lake, watch.label, seen.window, grades.select("subscriber_id"))
    weights = training_sets.contact_weights(watch.db, watch.campaign, seen.cycle, seen.window, watch.as_of)
    people = _judged(LabelledMonth(seen.window.month, truths, weights), grades)
    names = verdicts.LEAVING if labels.is_leaving(watch.label) else verdicts.OTHER
    return list(verdicts.of_people(people, names))


def _grades(watch: Watch, cycle: str, revision: int) -> pl.LazyFrame | None:
    """The grades of a cycle's revision; None where they are gone, for the lake keeps only the newest re-run."""
    table = grades_of(watch.campaign, revision)
    if not watch.lake.has(table, cycle):
        return None
    facts = watch.lake.manifest(table, cycle).facts
    wanted = {"campaign": watch.campaign, "cycle": cycle, "revision": revision}
    if any(facts.get(name, value) != value for name, value in wanted.items()):
        return None
    return watch.lake.scan(table, cycle).select("subscriber_id", "grade", "tier", "cluster", "probability")


def _judged(month: LabelledMonth, grades: pl.LazyFrame) -> pl.DataFrame:
    """The graded with the label's truth (Float64) and weight.

    Sorted: weights are summed, and floats in another order give another sum.
    """
    people = month.labelled(grades).with_columns(pl.col(HAPPENED).cast(pl.Float64))
    return people.collect(engine="streaming").sort("subscriber_id")
