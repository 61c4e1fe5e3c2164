"""Follow-up of any campaign: success by arm over what is delivered later, and nothing before it can be known."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config, config_from
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.lake.campaigns import LABELS, grades_of, of_campaign
from include.stages import features, follow_up, prediction, training
from tests.fixtures.runs import run_of
from tests.stages.collection.delivered import deliver, events, leave
from tests.stages.worked_cycle import WorkedCycle

RENEWAL, SIGNALS = "contract_renewal", "signals_of_the_day"
FILES = {
    f"campaigns/monthly/{RENEWAL}.yaml": """\
zh: 合约续约
en: Contract renewal
horizon_months: 2
model: {label: later_contract_ends_on > contract_ends_on}
success: later_contract_ends_on > contract_ends_on
measure: contract_renewal
approval: {tickets: 10, share_warned_times: 2.0}
""",
    f"campaigns/daily/{SIGNALS}.yaml": """\
zh: 当日信号
en: Signals of the day
kind: service
horizon_days: 7
model: {label: later_complaint > 0}
success: later_complaint == 0 and not left
measure: {because: everybody with a signal is called the same day}
approval: {tickets: 10, share_warned_times: 2.0}
""",
}
IDS = [f"S{number:02d}" for number in range(10)]
OLD, NEW = date(2026, 10, 31), date(2028, 10, 31)


def at(*words: int) -> datetime:
    return datetime(*words, tzinfo=ZONE)  # type: ignore[misc]


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The factors stand as the tests put them."""
    monkeypatch.setattr(features, "build", lambda _run: {})


@pytest.fixture(scope="module")
def campaigns(config: Config) -> Config:
    """The project's own configuration with a monthly and a daily campaign beside it."""
    read = config_from(config.texts | FILES)
    assert not read.broken
    return read


def followed_up(
    db: sa.Connection, lake: Lake, config: Config, campaign: str, as_of: datetime
) -> dict[str, Any]:
    return follow_up.follow_up(db=db, lake=lake, config=config, campaign=campaign, as_of=as_of, now=as_of)


def outcomes(db: sa.Connection) -> dict[str, tuple[Any, ...]]:
    statement = (
        "select subscriber_id, has_succeeded, has_churned, month_observed from outcomes"
        " join assignments using (assignment_id) order by subscriber_id"
    )
    return {who: tuple(facts) for who, *facts in rows(db, statement)}


def figures(db: sa.Connection) -> dict[tuple[str, str], tuple[float | None, int]]:
    found = rows(db, "select slice_value, metric, value, subscribers from evaluations where slice = 'arm'")
    return {(row.slice_value, row.metric): (row.value, row.subscribers) for row in found}


def rows(db: sa.Connection, statement: str) -> list[Any]:
    with db.begin():
        return list(db.execute(sa.text(statement)))


def publish(lake: Lake, table: str, period: str, frame: pl.DataFrame, **facts: Any) -> None:
    parts = [lake.write_part(table, period, 0, frame, "test")]
    lake.publish(table, period, parts, fingerprint=f"{table} {frame.hash_rows(1).sum()}", facts=facts)


def graded(lake: Lake, key: str, month: str, campaign: str) -> None:
    """Factors of the month, and grades of the cycle: half of the ten are high."""
    people = pl.DataFrame(
        {"subscriber_id": IDS, "cluster": "over_12", "x": [float(each) for each in range(10)]}
    )
    publish(lake, "factors", month, people, factors=["x"])
    grades = people.select(
        "subscriber_id",
        "cluster",
        pl.Series("grade", ["high"] * 5 + ["low"] * 5),
        pl.Series("tier", ["priority"] * 5 + ["monitoring"] * 5),
        pl.Series("probability", [None] * 10, dtype=pl.Float64),
    )
    publish(lake, grades_of(campaign), key, grades, revision=0)


# ---------------------------------------------------------------- a monthly campaign


@pytest.fixture
def renewal(db: sa.Connection, lake: Lake) -> WorkedCycle:
    """August: contracts of ten end in October; six were called, three held out. By October three of them renewed."""
    graded(lake, "2026-08", "2026-08", RENEWAL)
    deliver(lake, "subscribers", "2026-08", dict.fromkeys(IDS, (OLD, "A", False)))
    deliver(lake, "usage_months", "2026-08", {})
    ends = dict.fromkeys(IDS, OLD) | {"S00": NEW, "S01": NEW, "S06": NEW}
    later = {who: (end, "A", False) for who, end in ends.items() if who not in ("S04", "S05")}
    deliver(lake, "subscribers", "2026-10", later)
    leave(lake, "2026-09", {"S04": date(2026, 9, 20)})
    leave(lake, "2026-10", {})
    cycle = WorkedCycle(db, "2026-08", campaign=RENEWAL)
    for who in IDS[:6]:
        cycle.assign(who, "treated")
    for who in IDS[6:9]:
        cycle.assign(who, "held_out")
    with db.begin():
        db.execute(sa.text("update cycles set fixed_at = as_of, fixed_facts = '{}'"))
    return cycle


def test_success_is_told_by_arm_and_what_the_treated_gained_with_its_interval(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    result = followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 6))
    assert result["labelled"] == ["2026-08"]
    assert result["waiting"] == {}
    assert outcomes(db) == {
        **dict.fromkeys(("S00", "S01", "S06"), (True, False, "2026-10")),
        **dict.fromkeys(("S02", "S03", "S07", "S08"), (False, False, "2026-10")),
        "S04": (False, True, "2026-10"),  # left
        "S05": (None, False, "2026-10"),  # lost sight of
    }
    found = figures(db)
    # S05 counts among those of whom leaving is known, not among those of whom success is
    assert found["treated", "succeeded"] == (2, 5)
    assert found["treated", "success_rate"] == (pytest.approx(0.4), 5)
    assert found["held_out", "success_rate"] == (pytest.approx(1 / 3), 3)
    against = "treated_against_held_out"
    assert found[against, "success_gained"] == (pytest.approx(0.4 - 1 / 3), 8)
    assert found[against, "success_gained_low"][0] < 0 < found[against, "success_gained_high"][0]
    assert found["treated", "churn_rate"] == (pytest.approx(1 / 6), 6)
    assert found[against, "churn_avoided"] == (pytest.approx(-1 / 6), 9)


def test_grades_are_judged_by_what_the_model_foretells(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    (judged,) = followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 6))["months"]
    # nobody knows what became of S05: the other nine are judged
    assert (judged["subscribers"], judged["happened"]) == (9, 3)
    assert judged["grades"]["high"]["precision"] == pytest.approx(2 / 5)
    assert "churn_rate" not in judged


def test_nothing_is_said_before_it_can_be_known_but_the_day(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    result = followed_up(db, lake, campaigns, RENEWAL, at(2026, 10, 31, 23))
    assert result["waiting"] == {"2026-08": "not known yet, on 2026-11-06"}
    assert result["months"] == result["labelled"] == result["untaught"] == []
    assert outcomes(db) == figures(db) == {}
    assert rows(db, "select known_on from cycles") == [(date(2026, 11, 6),)]
    # leavings are marked complete: they are told, and success still is not
    followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 3))
    assert outcomes(db)["S04"] == (None, True, "2026-10")
    assert figures(db) == {}


def test_a_delivery_that_lacks_is_named(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    lake.drop("subscribers", "2026-10")
    result = followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 6))
    assert result["waiting"] == {"2026-08": "not known: subscribers of 2026-10 was not delivered"}
    assert figures(db) == {}


def test_what_was_known_stays_when_its_deliveries_are_gone(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 6))
    before, told = outcomes(db), figures(db)
    for feed, month in (("subscribers", "2026-10"), ("churned", "2026-09")):
        lake.drop(feed, month)
    followed_up(db, lake, campaigns, RENEWAL, at(2030, 1, 6))
    assert (outcomes(db), figures(db)) == (before, told)
    assert rows(db, "select known_on from cycles") == [(date(2026, 11, 6),)]


def test_following_up_again_changes_nothing_and_a_mended_delivery_does(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    stamped = "select observed_at, has_succeeded from outcomes order by assignment_id"
    followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 6))
    before = rows(db, stamped)
    assert followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 7))["labelled"] == []
    assert rows(db, stamped) == before
    deliver(lake, "subscribers", "2026-10", dict.fromkeys(IDS, (NEW, "A", False)))
    assert followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 8))["labelled"] == ["2026-08"]
    assert outcomes(db)["S05"] == (True, False, "2026-10")


def test_the_labels_of_a_month_say_of_whom_nobody_knows(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 6))
    told = lake.scan(of_campaign(LABELS, RENEWAL), "2026-08").collect()
    assert told.columns == ["subscriber_id", "happened"]
    by_id: Mapping[str, bool | None] = dict(told.iter_rows())
    assert [who for who in IDS if by_id[who]] == ["S00", "S01", "S06"]
    assert [who for who in IDS if by_id[who] is None] == ["S05"]


def test_a_campaign_of_the_same_measure_takes_later_first_assignments_out_of_the_comparison(
    db: sa.Connection, lake: Lake, campaigns: Config, renewal: WorkedCycle
) -> None:
    earlier = WorkedCycle(db, "2026-07", campaign="another", measure=RENEWAL)
    earlier.assign("S00", "treated")
    earlier.assign("S06", "held_out")
    WorkedCycle(db, "2026-06", campaign="apart").assign("S01", "treated")
    followed_up(db, lake, campaigns, RENEWAL, at(2026, 11, 6))
    found = figures(db)
    assert found["treated", "succeeded"] == (1, 4)
    assert found["held_out", "succeeded"] == (0, 2)


# ---------------------------------------------------------------- a daily campaign


@pytest.fixture
def signals(db: sa.Connection, lake: Lake) -> WorkedCycle:
    """17 October: two were called; one complained within seven days, another a day too late. Nobody is held out."""
    graded(lake, "2026-10-17", "2026-09", SIGNALS)
    complaints = {20: "S01", 24: "S00", 16: "S02"}
    for day in range(1, 25):
        who = complaints.get(day)
        events(
            lake,
            "2026-10",
            [(who, at(2026, 10, day, 9), "complaint")] if who else [],
            day=f"2026-10-{day:02d}",
        )
    cycle = WorkedCycle(db, "2026-10-17", campaign=SIGNALS, measure=None)
    for who in IDS[:2]:
        cycle.assign(who, "treated")
    return cycle


def test_a_daily_cycle_is_judged_by_its_key_once_its_days_are_over(
    db: sa.Connection, lake: Lake, campaigns: Config, signals: WorkedCycle
) -> None:
    leave(lake, "2026-10", {})
    early = followed_up(db, lake, campaigns, SIGNALS, at(2026, 10, 24, 7))
    # success asks who left, too, and October's leavers are complete when it is over
    assert early["waiting"] == {"2026-10-17": "not known yet, on 2026-11-01"}
    assert outcomes(db) == {}
    (judged,) = followed_up(db, lake, campaigns, SIGNALS, at(2026, 11, 1))["months"]
    assert (judged["cycle"], judged["month"], judged["happened"], judged["subscribers"]) == (
        "2026-10-17", "2026-09", 1, 10,
    )  # fmt: skip
    assert outcomes(db) == {"S00": (True, False, "2026-10"), "S01": (False, False, "2026-10")}


def test_without_a_hold_out_the_rate_is_told_and_nothing_of_an_effect(
    db: sa.Connection, lake: Lake, campaigns: Config, signals: WorkedCycle
) -> None:
    leave(lake, "2026-10", {})
    followed_up(db, lake, campaigns, SIGNALS, at(2026, 11, 1))
    found = figures(db)
    assert found["treated", "success_rate"] == (0.5, 2)
    assert {arm for arm, _ in found} == {"treated"}


def test_where_leaving_is_never_delivered_success_without_it_is_told_all_the_same(
    db: sa.Connection, lake: Lake, config: Config, signals: WorkedCycle
) -> None:
    file = f"campaigns/daily/{SIGNALS}.yaml"
    calm = config_from(config.texts | {file: FILES[file].replace(" and not left", "")})
    result = followed_up(db, lake, calm, SIGNALS, at(2026, 10, 24, 7))
    assert result["waiting"] == {}
    assert outcomes(db) == {"S00": (True, None, "2026-10"), "S01": (False, None, "2026-10")}
    assert {metric for _, metric in figures(db)} == {"succeeded", "success_rate"}


# ---------------------------------------------------------------- no model


def test_without_a_model_success_is_told_and_nothing_is_labelled_or_trained(
    db: sa.Connection, lake: Lake, config: Config, renewal: WorkedCycle
) -> None:
    file = f"campaigns/monthly/{RENEWAL}.yaml"
    text = FILES[file].replace("model: {label: later_contract_ends_on > contract_ends_on}", "model: none")
    plain, as_of = config_from(config.texts | {file: text}), at(2026, 11, 6)
    result = followed_up(db, lake, plain, RENEWAL, as_of)
    assert result["labelled"] == result["untaught"] == []
    assert not lake.has(of_campaign(LABELS, RENEWAL), "2026-08")
    (judged,) = result["months"]
    assert (judged["subscribers"], judged["grades"]) == (8, {})
    assert figures(db)["treated", "succeeded"] == (2, 5)
    asked = {"db": db, "lake": lake, "config": plain, "campaign": RENEWAL, "month": "2026-08", "as_of": as_of}
    trained = training.train(run_of(**asked, now=as_of))
    assert (trained["trained"], trained["reason"]) == (
        False,
        "The campaign has no model: its order comes from elsewhere.",
    )
    assert prediction.champions(run_of(**asked))["pooled"]["kind"] == "rules"
