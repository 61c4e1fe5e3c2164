"""Follow-up on ten subscribers: labels, outcomes, and figures one can work out by hand."""

from datetime import date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.periods.months import default_as_of, month_start
from include.lake import Lake
from include.lake.campaigns import LABELS, grades_of, of_campaign
from include.run.results import record
from include.stages import features, follow_up, training
from tests.fixtures.runs import run_of
from tests.stages.province import Province
from tests.stages.worked_cycle import CAMPAIGN, WorkedCycle

IDS = [f"S{number:07d}" for number in range(10)]
LEAVERS = [IDS[0], IDS[1], IDS[4], IDS[9]]
AS_OF = default_as_of("2026-09") + timedelta(days=1)


@pytest.fixture(autouse=True)
def published(monkeypatch: pytest.MonkeyPatch) -> None:
    """The province publishes its factors itself."""
    monkeypatch.setattr(features, "build", lambda _run: {})


@pytest.fixture
def province(lake: Lake) -> Province:
    """August, graded: five high, two mid, three low; four of the ten leave in September."""
    made = Province(lake, 10)
    people = made.factors()
    made.publish("factors", "2026-08", people, facts={"factors": []})
    made.publish(grades_of(CAMPAIGN), "2026-08", grades(people), facts={"revision": 0})
    for feed in ("subscribers", "usage_months"):
        made.publish(feed, "2026-08", people.select("subscriber_id"))
    made.leave("2026-09", LEAVERS)
    return made


def grades(people: pl.DataFrame, probability: list[float | None] | None = None) -> pl.DataFrame:
    return people.select(
        "subscriber_id",
        "cluster",
        pl.Series("grade", ["high"] * 5 + ["mid"] * 2 + ["low"] * 3),
        pl.Series("tier", ["priority"] * 5 + ["secondary"] * 2 + ["monitoring"] * 3),
        pl.Series("probability", probability or [None] * 10, dtype=pl.Float64),
    )


def worked(db: sa.Connection, revisions: int = 0) -> WorkedCycle:
    cycle = WorkedCycle(db, "2026-08", revisions)
    for subscriber in IDS[:3]:
        cycle.assign(subscriber, "treated")
    for subscriber in IDS[3:5]:
        cycle.assign(subscriber, "held_out")
    return cycle


def run(
    db: sa.Connection, lake: Lake, config: Config, as_of: datetime = AS_OF, days: int = 0
) -> dict[str, Any]:
    now = as_of + timedelta(days=days)
    return follow_up.follow_up(db=db, lake=lake, config=config, campaign=CAMPAIGN, as_of=as_of, now=now)


def figures(db: sa.Connection, revision: int = 0) -> dict[tuple[str, str, str], tuple[float | None, int]]:
    statement = sa.text(
        "select slice, slice_value, metric, value, subscribers from evaluations where revision = :revision"
    )
    with db.begin():
        found = db.execute(statement, {"revision": revision})
        return {(row.slice, row.slice_value, row.metric): (row.value, row.subscribers) for row in found}


def outcomes(db: sa.Connection) -> list[tuple[Any, ...]]:
    statement = sa.text(
        "select subscriber_id, has_churned, churned_on, month_observed, observed_at"
        " from outcomes join assignments using (assignment_id) order by subscriber_id"
    )
    with db.begin():
        return [tuple(row) for row in db.execute(statement)]


def test_before_the_churn_of_the_next_month_is_complete_nothing_is_judged(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    worked(db)
    result = run(db, lake, config, month_start("2026-10") - timedelta(seconds=1))
    assert result["months"] == result["labelled"] == []
    assert not lake.has(of_campaign(LABELS, CAMPAIGN), "2026-08")
    assert figures(db) == {}
    assert outcomes(db) == []


def test_a_labelled_month_says_of_everybody_whether_they_left(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    assert run(db, lake, config)["labelled"] == ["2026-08"]
    labels = lake.scan(of_campaign(LABELS, CAMPAIGN), "2026-08").collect()
    assert labels["subscriber_id"].to_list() == IDS
    assert labels.filter("happened")["subscriber_id"].to_list() == LEAVERS
    assert labels["churned_on"].to_list()[:3] == [date(2026, 9, 1), date(2026, 9, 2), None]


def test_only_a_new_or_changed_label_is_announced(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    run(db, lake, config)
    assert run(db, lake, config)["labelled"] == []
    province.leave("2026-09", [*LEAVERS, IDS[8]])
    assert run(db, lake, config)["labelled"] == ["2026-08"]
    assert lake.scan(of_campaign(LABELS, CAMPAIGN), "2026-08").collect()["happened"].sum() == 5


def test_a_label_waits_for_training_until_one_has_seen_it(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    assert [run(db, lake, config)["untaught"] for _ in range(2)] == [["2026-08"]] * 2
    see_labels(db, lake, config)
    assert run(db, lake, config)["untaught"] == []
    province.leave("2026-09", [*LEAVERS, IDS[8]])
    assert run(db, lake, config)["untaught"] == ["2026-08"]
    see_labels(db, lake, config)
    province.leave("2026-09", LEAVERS)
    assert run(db, lake, config)["untaught"] == ["2026-08"]


def see_labels(db: sa.Connection, lake: Lake, config: Config) -> None:
    """A training at AS_OF (ten subscribers are too few to fit), recorded as every edge records it."""
    given = {"db": db, "lake": lake, "config": config, "campaign": CAMPAIGN, "month": "2026-08"}
    seen = training.train(run_of(**given, as_of=AS_OF, now=AS_OF))
    assert seen["trained"] is False
    record(run_of(**given, as_of=AS_OF), seen, seconds=1, peak_mb=1)


def test_every_assignment_gets_its_outcome(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    worked(db)
    run(db, lake, config)
    assert [row[:4] for row in outcomes(db)] == [
        (IDS[0], True, date(2026, 9, 1), "2026-09"),
        (IDS[1], True, date(2026, 9, 2), "2026-09"),
        (IDS[2], False, None, "2026-09"),
        (IDS[3], False, None, "2026-09"),
        (IDS[4], True, date(2026, 9, 3), "2026-09"),
    ]


def test_following_up_again_changes_nothing(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    worked(db)
    first, before, seen = run(db, lake, config), figures(db), outcomes(db)
    again = run(db, lake, config, days=1)
    assert {**again, "labelled": []} == {**first, "labelled": []}
    assert (figures(db), outcomes(db)) == (before, seen)


def test_grades_and_tiers_are_judged_by_what_happened(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    worked(db)
    run(db, lake, config)
    found = figures(db)
    assert found["all", "all", "churn_rate"] == (0.4, 10)
    assert found["grade", "high", "churned"] == (3.0, 5)
    assert found["grade", "high", "precision"] == (pytest.approx(0.6), 5)
    assert found["grade", "high", "recall"] == (pytest.approx(0.75), 5)
    assert found["grade", "high", "lift"] == (pytest.approx(1.5), 5)
    assert found["grade", "mid", "churn_rate"] == (0.0, 2)
    assert found["tier", "monitoring", "churn_rate"] == (pytest.approx(1 / 3), 3)
    assert ("all", "all", "auc") not in found


def test_arms_are_compared_as_assigned_not_as_contacted(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    cycle = worked(db)
    cycle.contact(IDS[2], default_as_of("2026-08") + timedelta(days=2))
    (judged,) = run(db, lake, config)["months"]
    found = figures(db)
    assert found["arm", "treated", "churn_rate"] == (pytest.approx(2 / 3), 3)
    assert found["arm", "held_out", "churn_rate"] == (pytest.approx(1 / 2), 2)
    effect = ("arm", "treated_against_held_out")
    assert found[*effect, "churn_avoided"] == (pytest.approx(-1 / 6), 5)
    assert found[*effect, "incremental_saves"] == (pytest.approx(-0.5), 5)
    assert found[*effect, "churn_avoided_low"][0] < -1 / 6 < found[*effect, "churn_avoided_high"][0]
    assert found["contact", "reached", "churned"] == (0.0, 1)
    assert found["contact", "not_reached", "churned"] == (2.0, 2)
    assert judged["arms"]["treated"]["subscribers"] == 3


def test_arms_are_compared_at_the_first_assignment_of_the_epoch(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    earlier = WorkedCycle(db, "2026-07")
    earlier.assign(IDS[0], "treated")
    with db.begin():
        db.execute(
            sa.text("update tickets set state = 'cancelled', closed_at = now(), version = version + 1")
        )
        db.execute(
            sa.text(
                "insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)"
                " select ticket_id, version, 'cancel', 'cancelled', 'loop', now() from tickets"
            )
        )
    worked(db)
    run(db, lake, config)
    with db.begin():
        counted = db.execute(
            sa.text(
                "select subscribers from evaluations where cycle = '2026-08' and slice = 'arm'"
                " and slice_value = 'treated' and metric = 'churn_rate'"
            )
        ).scalar_one()
    assert counted == 2  # of the three treated one was treated in July already


def test_warnings_are_judged_without_the_contacted_and_with_the_held_out_in_their_place(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    cycle = worked(db)
    for subscriber in IDS[:3]:
        cycle.contact(subscriber, default_as_of("2026-08") + timedelta(days=2))
    run(db, lake, config)
    found = figures(db)
    assert found["grade", "high", "churn_rate"] == (0.6, 5)
    assert found["grade", "high", "precision"] == (pytest.approx(5 / 10), 5)
    assert found["grade", "high", "recall"] == (pytest.approx(5 / 6), 5)


def test_a_revision_is_judged_beside_the_cycle_people_acted_on(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    worked(db, revisions=1)
    scored = grades(province.factors().vstack(lake.scan("factors", "2026-08").collect())[-10:], None)
    probability = [0.9 if each in LEAVERS else 0.1 for each in IDS]
    scored = scored.with_columns(probability=pl.Series(probability))
    province.publish(grades_of(CAMPAIGN, 1), "2026-08", scored, facts={"revision": 1})
    result = run(db, lake, config)
    assert [(each["cycle"], each["revision"]) for each in result["months"]] == [
        ("2026-08", 0),
        ("2026-08", 1),
    ]
    found = figures(db, revision=1)
    assert found["all", "all", "auc"] == (1.0, 10)
    assert found["all", "all", "brier"] == (pytest.approx(0.01), 10)
    assert not [key for key in found if key[0] == "arm"]
    assert [key for key in figures(db) if key[0] == "arm"]


def test_figures_of_a_revision_the_lake_no_longer_holds_stay_as_they_were_judged(
    db: sa.Connection, lake: Lake, config: Config, province: Province
) -> None:
    worked(db, revisions=2)
    people = lake.scan("factors", "2026-08").collect()
    province.publish(grades_of(CAMPAIGN, 1), "2026-08", grades(people), facts={"revision": 1})
    run(db, lake, config)
    province.publish(grades_of(CAMPAIGN, 1), "2026-08", grades(people, [0.5] * 10), facts={"revision": 2})
    run(db, lake, config)
    assert figures(db, revision=1)["all", "all", "churn_rate"] == (0.4, 10)
    assert ("all", "all", "brier") not in figures(db, revision=1)
    assert figures(db, revision=2)["all", "all", "brier"] == (0.25, 10)
