"""What the DAGs of every day do for all campaigns: which ones, each followed up and trained on its own."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from include.domain.errors import NotReady
from include.domain.periods.period import DAILY
from include.orchestration import Workplace, finish_stage, right_now, run_task, workplace

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from include.run.cycles import CycleFacts
    from include.stages.follow_up import FollowedUp
    from include.stages.training import Trained


def to_follow_up() -> list[str]:
    """The campaigns to follow up; one whose file is wrong is among them, and told every day until it is mended."""
    with workplace() as place:
        return [*place.config.enabled(), *sorted(place.config.broken)]


def follow_up(campaign: str) -> "FollowedUp":
    """Labels, outcomes and figures of a campaign, as known now."""
    from include.stages import follow_up

    def task(place: Workplace) -> "FollowedUp":
        return follow_up.follow_up(
            db=place.db,
            lake=place.lake,
            config=place.config,
            campaign=campaign,
            as_of=right_now(),
            now=place.now,
        )

    return {**run_task(task), "campaign": campaign}


def to_train(events: Iterable[Any]) -> list[str]:
    """The campaigns with a model whose newly labelled months started the run; all, when a person started it."""
    named = {event.extra["campaign"] for event in events if "campaign" in event.extra}
    with workplace() as place:
        return [
            name
            for name in place.config.enabled()
            if place.config.campaign(name).model and (name in named or not named)
        ]


def train(campaign: str) -> "Trained":
    """Train for the newest month with factors on every label known now; kept with the campaign's newest cycle."""
    from include.stages import training

    now = right_now()
    with workplace() as place:
        months = place.lake.months("factors")
        if not months:
            raise NotReady("The lake holds no factors yet. Run a campaign for a month first.")
        is_daily = place.config.cadence(campaign) == DAILY
    cycle: CycleFacts = {
        "campaign": campaign, "cycle": f"{now:%Y-%m-%d}" if is_daily else months[-1], "month": months[-1],
        "as_of": now.isoformat(), "revision": 0,
    }  # fmt: skip
    return finish_stage(training.train, cycle)
