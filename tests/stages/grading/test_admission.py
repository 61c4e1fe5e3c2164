"""Admission: who is admitted without a grade, in which order, by which facts; campaigns beside each other."""

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from include.config import Config
from include.domain.periods.months import ZONE, default_as_of
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.stages import features
from include.stages.dispatch.evidence import evidence_of
from include.stages.grading import admission
from include.subscribers.facts import splits_of
from tests.fixtures import ten_subscribers as ten
from tests.fixtures.campaigns import graded, opened, warned, with_campaign
from tests.fixtures.lakes import fill, put
from tests.fixtures.runs import month_run, run_of
from tests.stages.grading import rules_for_one
from tests.stages.grading.rules_for_one import Wanted

NOW = datetime(2026, 11, 5, 6, tzinfo=ZONE)
NO_MODEL = "model: none\n"


@pytest.fixture
def factored(lake: Lake, tmp_path: Path, db: sa.Connection, config: Config) -> Lake:
    """The factors of the ten subscribers of October in the lake."""
    ten.write_landing(tmp_path / "landing")
    fill(lake, tmp_path / "landing")
    features.build(
        month_run(db=db, lake=lake, config=config, month=ten.MONTH, as_of=default_as_of(ten.MONTH))
    )
    return lake


def run(db: sa.Connection, lake: Lake, config: Config, text: str, name: str = "renewal") -> dict[str, Any]:
    """Grade a monthly campaign that says `text`."""
    known = with_campaign(config, name, text)
    return graded(db, lake, known, opened(db, known, name, ten.MONTH, NOW))


def named(db: sa.Connection, campaign: str = "renewal") -> list[str]:
    return [row["subscriber_id"] for row in warned(db, campaign)]


def test_the_members_of_whom_the_condition_is_true_are_admitted_in_the_order_of_the_rank(
    factored, db, config
):
    text = """\
admission: {by: all, where: days_to_contract_end <= 90 and region_code == 'R1', top: 3}
population: network_type in ('4g', '5g') and value_yuan > 25
rank: value_yuan
"""
    result = run(db, factored, config, NO_MODEL + text)
    assert [(row["subscriber_id"], row["rank"]) for row in warned(db, "renewal")] == [
        ("S03", 1), ("S01", 2), ("S05", 3),
    ]  # fmt: skip
    told = {
        name: result[name] for name in ("rows_in", "rows_out", "admitted", "outside_population", "grades")
    }
    assert told == {
        "rows_in": 10, "rows_out": 10, "admitted": 3, "outside_population": 1,
        "grades": {"high": 0, "mid": 0, "low": 0},
    }  # fmt: skip
    rows = factored.scan(grades_of("renewal"), ten.MONTH).collect()
    assert rows["grade"].null_count() == 10
    assert dict(rows["tier"].value_counts().iter_rows()) == {"priority": 3, "monitoring": 7}


def test_who_is_written_to_is_not_called_but_gets_the_second_tier(factored, db, config):
    text = "admission: {by: all, where: value_yuan > 0, write: region_code == 'R1'}\n"
    result = run(db, factored, config, NO_MODEL + text)
    tiers = {row["subscriber_id"]: (row["tier"], row["is_admitted"]) for row in warned(db, "renewal")}
    assert set(tiers.values()) == {("priority", True), ("secondary", False)}
    regions = {row["subscriber_id"]: row["region_code"] for row in warned(db, "renewal")}
    assert {name for name, (tier, _) in tiers.items() if tier == "secondary"} == {
        name for name, region in regions.items() if region == "R1"
    }
    assert "message" not in result


def test_where_nobody_can_be_told_from_the_others_all_are_called_and_it_is_said(factored, db, config):
    result = run(db, factored, config, NO_MODEL + "admission: {by: all, write: plan_changes_6m > 0}\n")
    assert {row["tier"] for row in warned(db, "renewal")} == {"priority"}
    assert "Nobody is written to instead of called: that needs" in result["message"]


def test_without_a_rank_of_its_own_probability_times_value_ranks(factored, db, config):
    rows = [
        {
            "subscriber_id": name,
            "probability": 0.9 if name == "S02" else 0.1,
            "model_version": "m1",
            "cluster": "x",
        }
        for name in ten.SUBSCRIBERS
    ]
    table = scores_of("renewal")
    put(factored, table, ten.MONTH, rows)
    stands = factored.manifest(table, ten.MONTH)
    facts = {"campaign": "renewal", "cycle": ten.MONTH, "as_of": NOW.isoformat(), "revision": 0}
    factored.publish(table, ten.MONTH, stands.parts, fingerprint=stands.fingerprint, facts=facts)
    run(db, factored, config, "admission: {by: all, where: probability > 0, top: 2}\n")
    assert [(row["subscriber_id"], row["probability"]) for row in warned(db, "renewal")] == [
        ("S02", 0.9),
        ("S03", 0.1),
    ]


def test_by_grade_a_rank_of_its_own_orders_within_a_grade_and_the_top_ones_are_admitted(factored, db, config):
    run(db, factored, config, NO_MODEL + "admission: {by: grade, top: 2}\nrank: 0 - value_yuan\n")
    rows = warned(db, "renewal")
    assert [row["subscriber_id"] for row in rows if row["grade"] == "high"] == ["S02", "S09", "S05", "S10"]
    assert [row["subscriber_id"] for row in rows if row["is_admitted"]] == ["S09", "S05"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "population: channel_code == 'shop'",
            "population needs channel_code, which is not delivered: subscribers of",
        ),
        (
            "rank: plan_changes_6m",
            "rank needs the factor plan_changes_6m, which is left out: subscriber_changes was",
        ),
        (
            "rank: days_to_contract_end",
            "rank needs the factor days_to_contract_end, which is left out: subscribers of",
        ),
    ],
)
def test_a_fact_that_is_known_of_nobody_is_told_and_nobody_is_warned(lake, tmp_path, db, config, text, why):
    ten.write_landing(tmp_path / "landing")
    fill(lake, tmp_path / "landing")
    put(
        lake, "subscribers", ten.MONTH, lake.scan("subscribers", ten.MONTH).drop("contract_ends_on").collect()
    )
    features.build(
        month_run(db=db, lake=lake, config=config, month=ten.MONTH, as_of=default_as_of(ten.MONTH))
    )
    result = run(db, lake, config, f"{NO_MODEL}admission: {{by: all}}\n{text}\n")
    assert result["message"].startswith(f"The campaign's {why}")
    assert (result["rows_out"], named(db)) == (0, [])


def test_two_campaigns_graded_beside_each_other_keep_their_own_warnings(factored, db, config):
    everybody = NO_MODEL + "admission: {by: all}\n"
    run(db, factored, config, everybody, "renewal")
    before = warned(db, "renewal")
    run(db, factored, config, everybody + "population: value_yuan > 1000\n", "upsell")
    run(db, factored, config, NO_MODEL, "another")
    assert warned(db, "renewal") == before
    assert (len(before), named(db, "upsell"), len(named(db, "another"))) == (10, [], 9)
    run(db, factored, config, everybody + "population: value_yuan > 1000\n", "renewal")
    assert (named(db, "renewal"), len(named(db, "another"))) == ([], 9)


def test_a_list_is_split_by_words_of_the_profile_which_its_evidence_keeps(factored, db, config):
    profiles = factored.scan("subscribers", ten.MONTH).with_columns(channel_code=pl.lit("shop")).collect()
    put(factored, "subscribers", ten.MONTH, profiles)
    split = {"channel_code": "shop", "status": "active", "plan_code": "P59", "device_code": None}
    assert splits_of(factored, ten.MONTH, list(split), ["S01"]) == {"S01": split}
    known = with_campaign(
        config,
        "renewal",
        NO_MODEL + "admission: {by: all}\nsplits: [channel_code, status, plan_code, device_code]\n",
    )
    graded(db, factored, known, opened(db, known, "renewal", ten.MONTH, NOW))
    told = evidence_of(
        run_of(lake=factored, config=known, month=ten.MONTH, as_of=NOW, campaign="renewal"),
        warnings=warned(db, "renewal")[:1],
        reasons={},
    )
    (evidence,) = pl.Series(list(told.values())).str.json_decode(infer_schema_length=None).to_list()
    assert evidence["splits"] == split
    assert (evidence["score"]["grade"], evidence["score"]["probability"]) == (None, None)


ORDERS = st.one_of(st.none(), st.floats(-5, 5), st.sampled_from([0.0, 1.0]))


@given(
    people=st.lists(st.tuples(st.booleans(), st.booleans(), st.booleans(), ORDERS), max_size=30),
    top=st.sampled_from([None, 1, 3]),
)
def test_the_admission_of_all_agrees_with_that_of_one(people, top):
    frame = pl.DataFrame(
        {
            "subscriber_id": [f"S{number:02d}" for number in range(len(people))],
            "is_member": [member for member, _, _, _ in people],
            "is_wanted": [wanted for _, wanted, _, _ in people],
            "is_written": [written for _, _, written, _ in people],
            "order": [order for _, _, _, order in people],
        },
        schema={
            "subscriber_id": pl.String,
            "is_member": pl.Boolean,
            "is_wanted": pl.Boolean,
            "is_written": pl.Boolean,
            "order": pl.Float64,
        },
    )
    made = admission.by_all(frame, top, has_order=True)
    asked = [
        Wanted(f"S{number:02d}", member and wanted and not written, order)
        for number, (member, wanted, written, order) in enumerate(people)
    ]
    assert made.select("subscriber_id", "is_admitted").rows() == rules_for_one.admitted(asked, top)
    assert made["rank"].to_list() == list(range(1, len(people) + 1))
    written = {
        f"S{number:02d}"
        for number, (member, wanted, writes, _) in enumerate(people)
        if member and wanted and writes
    }
    assert set(made.filter(pl.col("tier") == "secondary")["subscriber_id"]) == written
