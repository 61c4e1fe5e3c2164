"""Grading: the ten subscribers' hits, grades, tiers, ranks; the set-based rules against the pure ones."""

import random
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from include.config import config_from
from include.domain.dispatch.grading import Thresholds, high_places
from include.domain.errors import ConfigError, NotReady
from include.domain.periods.months import ZONE, default_as_of
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.run.cycles import open_cycle
from include.stages import features, grading
from include.stages.grading import admission, rule_hits
from tests.fixtures import ten_subscribers as ten
from tests.fixtures.campaigns import close_ticket
from tests.fixtures.lakes import fill, put
from tests.fixtures.runs import month_run, run_of
from tests.stages.grading import rules_for_one
from tests.stages.grading.rules_for_one import Scored, grade_all

CAMPAIGN = "churn_warning"
SCORES = scores_of(CAMPAIGN)
AS_OF = default_as_of(ten.MONTH)
NOW = datetime(2026, 11, 5, 6, 0, tzinfo=ZONE)
LIMITS = Thresholds(0.02, 6.0, 3.0, 2.0, 0.03, 30.0, 100.0)


@pytest.fixture
def factored(lake, tmp_path, db, config):
    """The ten subscribers' factors in the lake, their cycle opened."""
    ten.write_landing(tmp_path / "landing")
    fill(lake, tmp_path / "landing")
    features.build(month_run(db=db, lake=lake, config=config, month=ten.MONTH, as_of=AS_OF))
    open_cycle(db=db, config=config, campaign=CAMPAIGN, cycle=ten.MONTH, as_of=None, now=NOW)
    return lake


def score(
    lake: Lake, probabilities: dict[str, float] | None = None, table: str = SCORES, **facts: Any
) -> None:
    found = probabilities or {}
    rows = [
        {
            "subscriber_id": name,
            "probability": found.get(name),
            "model_version": "m1" if found else "rules-1",
            "cluster": "over_12",
        }
        for name in ten.SUBSCRIBERS
    ]
    put(lake, table, ten.MONTH, rows, probability=pl.Float64)
    own(lake, table, **{"revision": int(table != SCORES), **facts})


def own(lake: Lake, table: str = SCORES, **facts: Any) -> None:
    """Mark the scores that stand as made for the run that grades them, save for `facts`."""
    scores = lake.manifest(table, ten.MONTH)
    told = {"campaign": CAMPAIGN, "cycle": ten.MONTH, "as_of": AS_OF.isoformat(), "revision": 0, **facts}
    lake.publish(table, ten.MONTH, scores.parts, fingerprint=scores.fingerprint, facts=told)


def run(lake, db, config, revision=0):
    return grading.grade(
        run_of(
            db=db,
            lake=lake,
            config=config,
            campaign=CAMPAIGN,
            cycle=ten.MONTH,
            month=ten.MONTH,
            as_of=AS_OF,
            now=NOW,
            revision=revision,
        )
    )


def graded(lake, revision=0):
    rows = lake.scan(grades_of(CAMPAIGN, revision), ten.MONTH)
    return {row["subscriber_id"]: row for row in rows.collect().to_dicts()}


def warnings(db, revision=0):
    with db.begin():
        found = db.exec_driver_sql(
            "select * from warnings where revision = %s order by rank", (revision,)
        ).mappings()
        return [dict(row) for row in found]


def test_every_indicator_hits_exactly_whom_it_should(factored, db, config):
    score(factored)
    run(factored, db, config)
    hits = {name: tuple(row["rule_hits"]) for name, row in graded(factored).items()}
    assert hits == ten.EXPECTED_HITS


def test_rules_alone_grade_the_ten_as_worked_out_by_hand(factored, db, config):
    score(factored)
    result = run(factored, db, config)
    rows = graded(factored)
    assert {name: (row["grade"], row["tier"]) for name, row in rows.items()} == ten.EXPECTED_GRADES
    assert tuple(sorted(rows, key=lambda name: rows[name]["rank"])) == ten.EXPECTED_RANKS
    assert result["grades"] == {"high": 4, "mid": 5, "low": 1}
    assert result["tiers"] == {"priority": 3, "secondary": 4, "monitoring": 3}
    assert result["rule_hits"]["port_out_words"] == 3
    assert result["inactive_rules"] == {}


def with_population(config, text):
    campaign = config.campaign(CAMPAIGN).model_copy(update={"population": text})
    return replace(config, campaigns={**config.campaigns, CAMPAIGN: campaign})


def test_whoever_is_outside_the_population_is_graded_but_only_watched(factored, db, config):
    score(factored)
    result = run(factored, db, with_population(config, "tenure_months > 24"))
    rows = graded(factored)
    tenure = dict(
        factored.scan("factors", ten.MONTH).select("subscriber_id", "tenure_months").collect().iter_rows()
    )
    outside = {name for name in rows if not tenure[name] or tenure[name] <= 24}
    assert result["outside_population"] == len(outside) > 0
    expected = {
        name: (grade, "monitoring" if name in outside else tier)
        for name, (grade, tier) in ten.EXPECTED_GRADES.items()
    }
    assert {name: (row["grade"], row["tier"]) for name, row in rows.items()} == expected


def test_a_population_over_a_factor_that_is_left_out_is_told_and_nobody_is_graded(factored, db, config):
    score(factored)
    run(factored, db, config)
    result = run(factored, db, with_population(config, "plan_changes_6m == 0"))
    assert result["message"].startswith(
        "The campaign's population needs the factor plan_changes_6m, which is left out: "
    )
    assert (result["rows_out"], result["admitted"], warnings(db), graded(factored)) == (0, 0, [], {})
    assert factored.manifest(grades_of(CAMPAIGN), ten.MONTH).facts["message"] == result["message"]


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("tenure_months", "gives no true or false"),
        ("tenure > 3", "names 'tenure', which is not a factor"),
        ("last(bill_yuan) > 3", "there is no function 'last'"),
        ("tenure_months >", "cannot be read"),
    ],
)
def test_a_wrong_population_is_refused_with_file_entry_and_cause(config, text, cause):
    texts = dict(config.texts)
    texts[f"campaigns/monthly/{CAMPAIGN}.yaml"] += f"\npopulation: {text}\n"
    with pytest.raises(ConfigError, match=rf"monthly/{CAMPAIGN}\.yaml, entry 'population': .*{cause}"):
        config_from(texts).campaign(CAMPAIGN)


def test_the_grades_table_has_the_contracts_columns(factored, db, config):
    score(factored)
    run(factored, db, config)
    schema = factored.scan(grades_of(CAMPAIGN), ten.MONTH).collect_schema()
    assert tuple(schema) == grading._COLUMNS
    assert schema["rank"] == pl.UInt32
    assert schema["rule_hits"] == pl.List(pl.String)


def test_a_probability_grades_relative_to_the_base_rate(factored, db, config):
    score(factored, dict.fromkeys(ten.SUBSCRIBERS, 0.01) | {"S08": 0.12, "S01": 0.1199, "S03": 0.06})
    run(factored, db, config)
    rows = graded(factored)
    assert rows["S08"]["grade"] == "high"
    assert rows["S01"]["grade"] == "mid"
    assert rows["S02"]["grade"] == "high"  # the floor of port-out words holds against a low probability
    assert rows["S07"]["grade"] == "mid"


def test_the_base_rate_is_the_pooled_champions_when_there_is_one(factored, db, config):
    champion = {"pooled": {"version": "m1", "base_rate": 0.08}}
    score(factored, dict.fromkeys(ten.SUBSCRIBERS, 0.2), champions=champion)
    result = run(factored, db, config)
    assert result["base_rate"] == 0.08
    assert graded(factored)["S08"]["grade"] == "low"


def test_grades_say_which_run_they_came_from(factored, db, config):
    score(factored)
    run(factored, db, config)
    facts = factored.manifest(grades_of(CAMPAIGN), ten.MONTH).facts
    told = {name: facts[name] for name in ("as_of", "config_hash", "revision")}
    assert told == {"as_of": "2026-11-05T06:00:00+08:00", "config_hash": config.hash, "revision": 0}


@pytest.mark.parametrize("facts", [{"as_of": "2026-11-09T06:00:00+08:00"}, {"revision": 1}])
def test_scores_of_another_run_are_refused(factored, db, config, facts):
    score(factored, **facts)
    with pytest.raises(NotReady, match="run prediction for this as_of first"):
        run(factored, db, config)
    assert warnings(db) == []


def test_scores_replaced_while_they_are_graded_are_refused(factored, db, config, monkeypatch):
    score(factored)
    summary = grading._summary

    def overtaken(*given):
        score(factored, dict.fromkeys(ten.SUBSCRIBERS, 0.5))
        return summary(*given)

    monkeypatch.setattr(grading, "_summary", overtaken)
    with pytest.raises(NotReady, match="were replaced while they were graded"):
        run(factored, db, config)


def test_high_and_mid_are_written_to_the_database_with_their_customer(factored, db, config):
    score(factored)
    run(factored, db, config)
    rows = warnings(db)
    assert [row["subscriber_id"] for row in rows] == list(ten.EXPECTED_RANKS[:9])
    keys = {row["subscriber_id"]: row["customer_key"] for row in rows}
    assert keys["S01"] == "C01"
    assert keys["S04"] == "S04"
    best = rows[0]
    assert best["rule_hits"] == ["unsatisfied_after_fault", "port_out_words"]
    assert (best["rule_points"], best["value_yuan"], best["rank"]) == (4.5, Decimal("90.0000"), 1)


def test_grading_twice_is_grading_once(factored, db, config):
    score(factored)
    first, before = run(factored, db, config), warnings(db)
    assert run(factored, db, config) == first
    assert warnings(db) == before


def test_a_second_grading_replaces_the_first(factored, db, config):
    score(factored)
    run(factored, db, config)
    score(factored, dict.fromkeys(ten.SUBSCRIBERS, 0.5))
    run(factored, db, config)
    assert {row["grade"] for row in warnings(db)} == {"high"}
    assert len(warnings(db)) == 10


def test_a_revision_leaves_the_cycle_it_compares_with_untouched(factored, db, config):
    score(factored)
    run(factored, db, config)
    before = warnings(db)
    score(factored, dict.fromkeys(ten.SUBSCRIBERS, 0.5), table=scores_of(CAMPAIGN, 1))
    with db.begin():
        db.exec_driver_sql(
            "insert into cycle_revisions select campaign, cycle, 1, as_of, config_hash, opened_at"
            " from cycle_revisions"
        )
    run(factored, db, config, revision=1)
    assert warnings(db) == before
    assert len(warnings(db, revision=1)) == 10
    assert graded(factored)["S08"]["grade"] == "low"
    assert graded(factored, revision=1)["S08"]["grade"] == "high"


def test_a_fixed_cycle_is_not_graded_again(factored, db, config):
    score(factored)
    run(factored, db, config)
    before = warnings(db)
    with db.begin():
        db.exec_driver_sql("update cycles set fixed_at = opened_at, fixed_facts = '{}'")
    score(factored, dict.fromkeys(ten.SUBSCRIBERS, 0.5))
    assert run(factored, db, config)["fixed"]
    assert warnings(db) == before
    assert graded(factored)["S08"]["grade"] == "low"


def test_a_rule_whose_factor_is_left_out_is_inactive_and_reported(lake, tmp_path, db, config):
    ten.write_landing(tmp_path / "landing")
    for folder in (tmp_path / "landing" / "service_events").iterdir():
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    fill(lake, tmp_path / "landing")
    features.build(month_run(db=db, lake=lake, config=config, month=ten.MONTH, as_of=AS_OF))
    open_cycle(db=db, config=config, campaign=CAMPAIGN, cycle=ten.MONTH, as_of=None, now=NOW)
    score(lake)
    result = run(lake, db, config)
    assert set(result["inactive_rules"]) == {
        "repeated_complaints", "unsatisfied_after_fault", "long_agent_calls", "competitor_event",
        "port_out_words",
        "known_pattern",
    }  # fmt: skip
    assert "service_events was not delivered" in result["inactive_rules"]["known_pattern"]
    assert set(result["rule_hits"]) == {
        "arpu_falling", "data_usage_down", "out_of_bundle_data_rising", "competitor_plan_lookups"
    }  # fmt: skip


def test_port_out_mentions_count_where_no_text_is_delivered(factored, config):
    manifest = factored.manifest("factors", ten.MONTH)
    there = [name for name in manifest.facts["factors"] if name != "port_out_texts_1m"]
    facts = {"factors": there, "left_out": {"port_out_texts_1m": "no column text"}}
    factored.publish("factors", ten.MONTH, manifest.parts, facts=facts)
    rules = rule_hits.active_rules(config, ten.MONTH, factored.manifest("factors", ten.MONTH))
    assert rules.inactive == {}
    hit = {rule.name: expression for rule, expression in rules.hits}["port_out_words"]
    rows = factored.scan("factors", ten.MONTH).filter(hit).collect()
    assert rows["subscriber_id"].to_list() == ["S02"]


def test_a_rule_that_is_no_longer_valid_is_inactive(factored, config):
    manifest = factored.manifest("factors", ten.MONTH)
    rules = rule_hits.active_rules(config, "2009-12", manifest)
    assert set(rules.inactive.values()) == {"not in force in 2009-12"}
    assert rules.hits == ()


def test_two_indicators_make_the_strongest_share_high_without_a_model():
    people = [
        Scored(f"S{n:03d}", None, hits=n % 3, points=float(n % 3), has_high_floor=False, value_yuan=n)
        for n in range(100)
    ]
    high = {one.subscriber_id for one in grade_all(people, LIMITS) if one.grade == "high"}
    assert high == {"S098", "S095", "S092"}


def test_floors_use_up_the_share_that_rules_alone_may_make_high():
    people = [Scored(f"S{n:03d}", None, 2, 2.0, has_high_floor=n < 5, value_yuan=50.0) for n in range(100)]
    assert sum(one.grade == "high" for one in grade_all(people, LIMITS)) == 5
    assert high_places(2114, 0, LIMITS) == 63


def test_somebody_is_high_when_few_subscribers_have_two_hits():
    people = [Scored("A", None, 2, 2.0, False, 50.0), Scored("B", None, 1, 1.5, False, 50.0)]
    assert [one.grade for one in grade_all(people, LIMITS)] == ["high", "mid"]


def test_one_hit_alone_is_never_high():
    assert grade_all([Scored("A", None, 1, 9.0, False, 500.0)], LIMITS)[0].grade == "mid"


@pytest.mark.parametrize(
    ("grade", "value", "refused", "tier"),
    [
        ("high", 30.0, False, "priority"),
        ("high", 29.99, False, "secondary"),
        ("high", 30.0, True, "secondary"),
        ("high", None, False, "secondary"),
        ("mid", 100.0, False, "secondary"),
        ("mid", 99.99, False, "monitoring"),
        ("low", 500.0, False, "monitoring"),
    ],
)
def test_the_tier_follows_grade_value_and_past_contacts(grade, value, refused, tier):
    assert rules_for_one.tier_of(grade, value, LIMITS, refused=refused) == tier


def test_whom_the_last_two_cycles_could_not_reach_is_not_called_again(factored, db, config):
    score(factored)
    before = AS_OF - timedelta(days=1)
    close_ticket(
        db, CAMPAIGN, "X1", "C05", "refused_contact", "2026-09", before
    )  # another number of S05's customer
    close_ticket(db, CAMPAIGN, "S09", "C09", "unreachable", "2026-07", before)  # three cycles ago
    close_ticket(db, CAMPAIGN, "X2", "C09", "retained", "2026-08", before)
    close_ticket(db, CAMPAIGN, "S10", "C10", "unreachable", "2026-09", AS_OF)  # not known yet at as_of
    run(factored, db, config)
    rows = graded(factored)
    tiers = {name: rows[name]["tier"] for name in ("S05", "S09", "S10")}
    assert tiers == {"S05": "secondary", "S09": "priority", "S10": "priority"}


def test_what_the_former_holder_of_a_number_refused_is_not_refused_by_the_new_one(factored, db, config):
    """S05 gave the number up after refusing. S09 refused when it was free already, S10's customer by another."""
    score(factored)
    names = ("S05", "S09", "S10")
    gone = [{"subscriber_id": name, "churned_on": date(2026, 8, 31)} for name in names]
    put(factored, "churned", "2026-08", gone)
    is_new = pl.col("subscriber_id").is_in(names)
    joined_on = pl.when(is_new).then(date(2026, 10, 5)).otherwise("joined_on").alias("joined_on")
    put(
        factored,
        "subscribers",
        ten.MONTH,
        factored.scan("subscribers", ten.MONTH).with_columns(joined_on).collect(),
    )
    august = datetime(2026, 8, 20, 12, tzinfo=ZONE)
    close_ticket(db, CAMPAIGN, "S05", "C05", "refused_contact", "2026-08", august)
    close_ticket(db, CAMPAIGN, "S09", "C09", "refused_contact", "2026-08", august + timedelta(days=20))
    close_ticket(db, CAMPAIGN, "X1", "C10", "refused_contact", "2026-08", august)
    run(factored, db, config)
    rows = graded(factored)
    assert {name: rows[name]["tier"] for name in names} == {
        "S05": "priority",
        "S09": "secondary",
        "S10": "secondary",
    }


def random_people(seed: int) -> list[Scored]:
    luck = random.Random(seed)
    with_model = seed % 2
    return [
        Scored(
            f"S{number:03d}",
            luck.choice([0.01, 0.06, 0.12, 0.3, luck.random()])
            if with_model and luck.random() < 0.9
            else None,
            hits := luck.choice([0, 0, 0, 1, 2, 3]),
            hits * luck.choice([1.0, 1.5]),
            bool(hits) and luck.random() < 0.1,
            luck.choice([None, -5.0, 0.0, 29.9, 30.0, 100.0, 250.0]),
            luck.random() < 0.1,
        )
        for number in range(luck.choice([1, 7, 200]))
    ]


@pytest.mark.parametrize("seed", range(30))
def test_the_rules_for_all_agree_with_the_rules_for_one(seed):
    people = random_people(seed)
    frame = pl.DataFrame(
        {
            "subscriber_id": [one.subscriber_id for one in people],
            "customer_id": pl.Series([None] * len(people), dtype=pl.String),
            "probability": pl.Series([one.probability for one in people], dtype=pl.Float64),
            "rule_hits": [["a", "b", "c"][: one.hits] for one in people],
            "rule_points": [one.points for one in people],
            "has_high_floor": [one.has_high_floor for one in people],
            "value_yuan": pl.Series([one.value_yuan for one in people], dtype=pl.Float64),
        },
        schema_overrides={"rule_hits": pl.List(pl.String)},
    )
    refused = [one.subscriber_id for one in people if one.refused]
    made = admission.by_grade(frame, LIMITS, refused).select("subscriber_id", "grade", "tier", "rank")
    expected = [(one.subscriber_id, one.grade, one.tier, one.rank) for one in grade_all(people, LIMITS)]
    assert made.rows() == expected


def test_scores_of_people_without_factors_stop_the_stage(factored, db, config):
    rows = [{"subscriber_id": "X1", "probability": 0.5, "model_version": "m1", "cluster": "over_12"}]
    put(factored, SCORES, ten.MONTH, rows)
    own(factored)
    with pytest.raises(NotReady, match="do not fit"):
        run(factored, db, config)
