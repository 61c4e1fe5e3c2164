"""What the DAG of a campaign does between its stages: which cycle, which shards, which scores, what may go out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, cast

from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from include.domain.errors import BadInput
from include.domain.periods.months import parse_instant
from include.domain.periods.period import DAILY, MONTHLY, cadence_of, parse_key
from include.orchestration import Workplace, finish_parts, finish_stage, run_stage, workplace, write_part

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from include.models.champions import Champion
    from include.run import Run
    from include.run.cycles import CycleFacts
    from include.stages.dispatch.run import Choices, Dispatched
    from include.stages.dispatch.size import Size
    from include.stages.features import Featured
    from include.stages.training import Trained

_log = logging.getLogger("churn")

#: By cadence the Param that says what a run is for, and an example.
_KEYS = {MONTHLY: ("month", "2026-10"), DAILY: ("day", "2026-10-17")}


@dataclass(frozen=True)
class Answer:
    """The size of the plan that stands, what was approved of it, and what scoring again by that approval made of it."""

    size: Mapping[str, Any]
    approved: Mapping[str, Any] | None
    rescored: Mapping[str, Any] | None


class MayGo(TypedDict):
    """How many tickets may go out, and of which plan."""

    most: int
    planned: str


class Rescored(TypedDict):
    """The month graded again, and the fingerprint of what a dispatch would now go by; beside the counts of grading."""

    fingerprint: str


#: The approvals by which the month is scored and graded again.
_RESCORED = ("last_champion", "rules_only")


def open_cycle(campaign: str, params: Mapping[str, Any], partition_key: str | None) -> "CycleFacts | None":
    """Open the cycle a run works on, or take up the one that stands; lay down the lake when there is none.

    None, after a sentence, for a campaign that is not enabled; ConfigError for one whose file is wrong.
    """
    from include.settings import lake_root
    from include.stages import collection

    with workplace() as place:
        if idle := place.config.why_idle(campaign):
            _log.warning(idle)
            return None
        key = key_of_run(params, partition_key, place.config.cadence(campaign))
        as_of = parse_instant(params["as_of"]) if params["as_of"] else None
        opened = _opened(place, campaign, key, as_of)
        collection.open_lake(lake_root(), place.landing, place.config)
        return opened


def reopen_cycle(cycle: "CycleFacts") -> "CycleFacts":
    """The cycle as it stands now: a task cleared after the dispatch must not touch what people act on.

    Its configuration stays the one the run was opened with.
    """
    with workplace(cycle) as place:
        return _opened(place, cycle["campaign"], cycle["cycle"], datetime.fromisoformat(cycle["as_of"]))


def _opened(place: Workplace, campaign: str, key: str, as_of: datetime | None) -> "CycleFacts":
    from include.run import cycles

    opened = cycles.open_cycle(
        db=place.db, config=place.config, campaign=campaign, cycle=key, as_of=as_of, now=place.now
    )
    return opened.as_json()


def key_of_run(params: Mapping[str, Any], partition_key: str | None, cadence: str) -> str:
    """The month or day a run is for: its partition key or the Param of its cadence, exactly one of them."""
    word, example = _KEYS[cadence]
    param = params.get(word)
    if param and partition_key:
        raise BadInput(
            f"This run has the partition key {partition_key} and the Param {word} {param}. Give one."
        )
    named = param or partition_key
    if not named:
        raise BadInput(
            f'This run has no {word}. Trigger it with the Param {word}, like {{"{word}": "{example}"}}.'
        )
    return parse_key(named, cadence)


def is_daily(cycle: "CycleFacts") -> bool:
    """Whether the cycle is a day's: it reads factors of a month that may have been made long before."""
    return cadence_of(cycle["cycle"]) == DAILY


# ---------------------------------------------------------------- features


def has_factors(place: Workplace, cycle: "CycleFacts") -> bool:
    """Whether a day finds the factors it reads; a month makes sure of its own itself."""
    return is_daily(cycle) and place.lake.has("factors", cycle["month"])


def make_factors(cycle: "CycleFacts") -> "Featured":
    """The factors a day reads, where no run has made them yet."""
    from include.stages import features

    with workplace(cycle) as place:
        if has_factors(place, cycle):
            raise AirflowSkipException(f"The factors of {cycle['month']} stand.")
    return finish_stage(features.build, cycle)


def shards() -> list[int]:
    """The shard numbers of the lake, one mapped task each."""
    with workplace() as place:
        return list(range(place.lake.shards))


# ---------------------------------------------------------------- training, prediction, dispatch


def train(cycle: "CycleFacts") -> "Trained":
    """Train on what is labelled at as_of; a campaign without a model skips."""
    from include.stages import training

    run_stage(_need_model, cycle)
    return finish_stage(training.train, cycle)


def champions(cycle: "CycleFacts") -> "dict[str, Champion]":
    """Who scores which cluster; a campaign without a model skips, and everything that needs scores with it."""
    from include.stages import prediction

    run_stage(_need_model, cycle)
    return run_stage(prediction.champions, cycle)


def _need_model(run: "Run") -> None:
    if run.rules.model is None:
        raise AirflowSkipException(f"The campaign {run.campaign} works without a model.")


def rescore(cycle: "CycleFacts", choice: str) -> "Rescored":
    """Score and grade a month not dispatched yet again, by `last_champion` or `rules_only`; what else skips.

    Through the same stages as before; the champion of the register stays what it is for the next month.
    """
    from include.stages import dispatch, grading, prediction

    if choice not in _RESCORED:
        raise AirflowSkipException("The scores stay as they are.")
    chosen = run_stage(_other_champions, cycle, choice)
    made = [write_part(prediction.predict_shard, cycle, champions=chosen, shard=each) for each in shards()]
    finish_parts(prediction.publish, cycle, made, champions=chosen)
    graded = finish_stage(grading.grade, cycle)
    return cast(Rescored, {**graded, "fingerprint": run_stage(dispatch.fingerprint, cycle)})


def plans(cycle: "CycleFacts", params: Mapping[str, Any], tries: int) -> "list[Size | None]":
    """The plan of a dispatch as the last of so many entries as were planned in this run.

    Each entry has a question of its own: Airflow never changes one that was asked, not even when it is cleared.
    """
    from include.stages import dispatch

    size = run_stage(dispatch.plan_size, cycle, _choices(params))
    return [*(None for _ in range(tries - 1)), size]


def assign(cycle: "CycleFacts", answer: Answer, params: Mapping[str, Any]) -> "Dispatched":
    """Dispatch what may go out of the plan that stands, and of no other."""
    from include.stages import dispatch

    allowed = may_go(answer)
    choices = replace(_choices(params), most=allowed["most"], planned=allowed["planned"])
    return finish_stage(dispatch.dispatch, cycle, choices)


def may_go(answer: Answer) -> MayGo:
    """How many of which plan: what was approved, or what scoring again by that approval made of it.

    Unasked no more than needs no asking: people may have been hired since.
    """
    size, approved, rescored = answer.size, answer.approved, answer.rescored
    if not size["ask"]:
        return {"most": size["tickets_unasked"], "planned": size["fingerprint"]}
    if not approved:
        raise AirflowFailException(
            f"Nothing was dispatched: nobody approved plan {size['fingerprint']}, made since the last answer. "
            "Clear dispatch.approve to ask."
        )
    made = rescored if rescored and approved["choice"] in _RESCORED else approved
    return {"most": approved["most"], "planned": made["fingerprint"]}


def _choices(params: Mapping[str, Any]) -> "Choices":
    """The Params that planning and dispatching must read alike."""
    from include.stages.dispatch import Choices

    return Choices(dispatch_late=params["dispatch_late"], top_up=params["top_up"])


def _other_champions(run: "Run", choice: str) -> "dict[str, Champion]":
    from include.models.champions import POOLED, rules_champion
    from include.stages.dispatch import champions_before

    if choice == "rules_only":
        return {POOLED: rules_champion(run.config.texts["rules.yaml"])}
    with run.db.begin():
        last = champions_before(run.db, run.key, run.month)
    if last is None:
        raise BadInput(
            f"No cycle before {run.cycle} was scored by a model. Clear dispatch.approve, choose another."
        )
    return last
