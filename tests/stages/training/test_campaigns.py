"""Training beside other campaigns: whose contacts weigh, what a label of one's own teaches, which version it makes."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.config import Config, config_from
from include.domain.periods.months import ZONE, default_as_of, month_start
from include.lake import Lake
from include.models import champions, labels, training_sets, trees
from include.stages import features, prediction, training
from tests.fixtures.runs import run_of
from tests.stages.collection.delivered import events
from tests.stages.province import Province, quick_recipes
from tests.stages.worked_cycle import CAMPAIGN, LEAVING, WorkedCycle

MONTH = "2026-08"
REACHED = default_as_of(MONTH) + timedelta(days=2)
LATER = default_as_of("2026-12")
DAILY = "signals_of_the_day"
TEXT = """\
zh: 当日信号
en: Signals of the day
horizon_days: 7
model: {label: later_complaint > 0}
measure: {because: everybody is called}
approval: {tickets: 10, share_warned_times: 2.0}
training: {minimum_churners: 20}
"""


@pytest.fixture(autouse=True)
def standing_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """The province publishes its factors itself, and a short fit is good enough for it."""
    monkeypatch.setattr(features, "build", lambda _run: {})
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(20))


@pytest.fixture
def province(lake: Lake) -> Province:
    made = Province(lake, 50)
    made.live_through(MONTH)
    return made


def who(number: int) -> str:
    return f"S{number:07d}"


def worked(
    db: sa.Connection, campaign: str, share: float, *, measure: str | None = "own", key: str = MONTH
) -> WorkedCycle:
    """1 and 2 treated, 3 and 4 held out (all in both campaigns of a test)."""
    cycle = WorkedCycle(db, key, campaign=campaign, measure=measure)
    for number in (1, 2):
        cycle.assign(who(number), "treated", share)
    for number in (3, 4) if measure else ():
        cycle.assign(who(number), "held_out", share)
    return cycle


def weights(db: sa.Connection, lake: Lake, campaign: str = CAMPAIGN) -> dict[str, float]:
    found = training_sets.Labelling(db, lake, campaign, LEAVING, LATER).of_month(MONTH).weights
    return dict(found.rows())


# ---------------------------------------------------------------- contacts of all campaigns


def test_a_contact_of_another_campaign_drops_its_arm_and_its_held_out_stand_in(
    db: sa.Connection, lake: Lake, province: Province
) -> None:
    other = worked(db, "contract_renewal", 0.25)
    assert weights(db, lake) == {}
    other.contact(who(1), REACHED)
    expected = {who(1): 0.0, who(2): 0.0, who(3): 4.0, who(4): 4.0}
    assert weights(db, lake) == expected
    assert weights(db, lake, "contract_renewal") == expected


def test_held_out_by_two_draws_somebody_stands_for_the_treated_of_both(
    db: sa.Connection, lake: Lake, province: Province
) -> None:
    own, other = worked(db, CAMPAIGN, 0.2), worked(db, "contract_renewal", 0.25)
    own.assign(who(5), "held_out", 0.2)
    other.assign(who(6), "held_out", 0.25)
    own.assign(who(7), "held_out", 0.2)
    other.assign(who(7), "treated", 0.25)
    own.contact(who(1), REACHED)
    # nobody of the other campaign was reached: its hold-out stands for nobody
    assert weights(db, lake)[who(3)] == 5.0
    other.contact(who(2), REACHED)
    assert weights(db, lake) == {
        who(1): 0.0, who(2): 0.0, who(3): 20.0, who(4): 20.0, who(5): 5.0, who(6): 4.0, who(7): 0.0,
    }  # fmt: skip


def test_campaigns_of_one_measure_share_its_draw_and_their_held_out_count_once(
    db: sa.Connection, lake: Lake, province: Province
) -> None:
    for campaign in (CAMPAIGN, "contract_renewal"):
        worked(db, campaign, 0.2, measure="shared").contact(who(1), REACHED)
    assert weights(db, lake) == {who(1): 0.0, who(2): 0.0, who(3): 5.0, who(4): 5.0}


def test_a_call_of_a_campaign_without_hold_out_drops_whom_it_reached_alone(
    db: sa.Connection, lake: Lake, province: Province
) -> None:
    worked(db, CAMPAIGN, 0.2).contact(who(1), REACHED)
    service = worked(db, DAILY, 1.0, measure=None, key="2026-09-10")
    service.assign(who(3), "treated")
    service.assign(who(8), "treated")
    for number in (3, 8):
        service.contact(who(number), REACHED)
    # 3 was held out, and called all the same: the one exception there is, and no example of being left alone
    assert weights(db, lake) == {who(1): 0.0, who(2): 0.0, who(3): 0.0, who(4): 5.0, who(8): 0.0}


def test_messages_of_another_campaign_work_on_people_as_well(
    db: sa.Connection, lake: Lake, province: Province
) -> None:
    other = WorkedCycle(db, MONTH, campaign="contract_renewal")
    other.write_to(who(1), REACHED)
    other.write_to(who(2), month_start("2026-10"))
    other.write_to(who(3), REACHED, "held_out")
    assert weights(db, lake) == {who(1): 0.0, who(2): 0.0, who(3): 10.0}


def test_contacts_before_scoring_and_after_the_horizon_change_nothing(
    db: sa.Connection, lake: Lake, province: Province
) -> None:
    other = worked(db, "contract_renewal", 0.25)
    other.contact(who(1), default_as_of(MONTH) - timedelta(seconds=1))
    other.contact(who(1), month_start("2026-10"))
    other.contact(who(2), REACHED, "no_answer")
    assert weights(db, lake) == {}


# ---------------------------------------------------------------- a label of one's own


@pytest.fixture(scope="module")
def campaigns(config: Config) -> Config:
    """The project's own campaign with a daily one beside it."""
    return config_from(config.texts | {f"campaigns/daily/{DAILY}.yaml": TEXT})


def train(
    db: sa.Connection, lake: Lake, config: Config, campaign: str, as_of: datetime = LATER
) -> dict[str, Any]:
    asked = {"db": db, "lake": lake, "config": config, "campaign": campaign, "month": MONTH}
    return training.train(run_of(**asked, as_of=as_of, now=as_of), nthread=1)


@pytest.fixture
def complaints(lake: Lake) -> Lake:
    """600 people; those who complained in August complain again in the first week of September, and in the second."""
    made = Province(lake, 600)
    made.live_through(MONTH)
    people = lake.scan("factors", MONTH).collect()
    again = people.filter(people["complaints"] > 0)["subscriber_id"]
    calm = people.filter(people["complaints"] == 0)["subscriber_id"]
    at = [datetime(2026, 9, day, 12, tzinfo=ZONE) for day in (1, 7, 8)]
    happened = [(each, at[number % 2], "complaint") for number, each in enumerate(again)]
    events(lake, "2026-09", [*happened, *((each, at[2], "complaint") for each in calm)])
    return lake


def test_a_daily_campaign_learns_from_months_by_its_label_over_the_days_after_them(
    db: sa.Connection, complaints: Lake, campaigns: Config
) -> None:
    result = train(db, complaints, campaigns, DAILY)
    assert result["trained"]
    people = complaints.scan("factors", MONTH).collect()
    assert result["churners"] == people.filter(people["complaints"] > 0).height
    assert result["auc_all"] > 0.99


def test_each_campaign_is_scored_by_its_own_champion(
    db: sa.Connection, complaints: Lake, campaigns: Config
) -> None:
    versions = {each: train(db, complaints, campaigns, each)["model_version"] for each in (CAMPAIGN, DAILY)}
    asked = {"db": db, "lake": complaints, "config": campaigns, "month": "2026-09", "as_of": LATER}
    chosen = {
        each: prediction.champions(run_of(**asked, campaign=each))[champions.POOLED] for each in versions
    }
    assert {each: champion["version"] for each, champion in chosen.items()} == versions
    assert versions[CAMPAIGN] != versions[DAILY]


def test_a_campaign_that_gave_its_model_up_is_scored_by_the_rules(
    db: sa.Connection, complaints: Lake, campaigns: Config
) -> None:
    train(db, complaints, campaigns, DAILY)
    plain = TEXT.replace("model: {label: later_complaint > 0}", "model: none")
    without = config_from(campaigns.texts | {f"campaigns/daily/{DAILY}.yaml": plain})
    asked = {"db": db, "lake": complaints, "month": "2026-09", "as_of": LATER, "campaign": DAILY}
    assert (
        prediction.champions(run_of(**asked, config=campaigns))[champions.POOLED]["kind"] != champions.RULES
    )
    assert set(prediction.champions(run_of(**asked, config=without))) == {champions.POOLED}
    assert prediction.champions(run_of(**asked, config=without))[champions.POOLED]["kind"] == champions.RULES


def test_who_is_called_in_the_days_of_the_label_is_no_example_though_nobody_scored_the_month(
    db: sa.Connection, complaints: Lake, campaigns: Config
) -> None:
    label = labels.label_of(campaigns, DAILY)
    assert label is not None
    cycle = WorkedCycle(db, "2026-09-02", campaign=DAILY, measure=None)
    for number, day in ((1, 2), (2, 8)):
        cycle.assign(who(number), "treated")
        cycle.contact(who(number), datetime(2026, 9, day, 10, tzinfo=ZONE))
    month = training_sets.Labelling(db, complaints, DAILY, label, LATER).of_month(MONTH)
    assert month.weights.rows() == [(who(1), 0.0)]


def test_another_label_or_horizon_makes_another_version(
    db: sa.Connection, complaints: Lake, campaigns: Config
) -> None:
    file, made = f"campaigns/daily/{DAILY}.yaml", set()
    for old, new in (
        ("", ""),
        ("later_complaint > 0", "later_complaint > 0 or left"),
        ("days: 7", "days: 6"),
    ):
        read = config_from(campaigns.texts | {file: TEXT.replace(old, new)})
        made.add(train(db, complaints, read, DAILY)["model_version"])
    assert len(made) == 3
