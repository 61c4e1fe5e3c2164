"""Two campaigns with equal month and as_of: neither reads, replaces or fixes what was made for the other."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.domain.errors import BadInput, Damaged, NotReady, Refused
from include.domain.periods.months import default_as_of
from include.lake import Lake
from include.lake.__main__ import main as lake_command
from include.lake.campaigns import LABELS, OUT_OF_FOLD, grades_of, of_campaign, parted, scores_of
from include.lake.description import MANIFEST
from include.lake.manifest import encoded
from include.lake.upkeep import faults
from include.models import champions, trees
from include.run import cycles
from include.stages import features, follow_up, grading, prediction, training
from include.stages.dispatch import dispatch
from tests.fixtures import ten_subscribers as ten
from tests.fixtures.graded import Warned, graded_cycle
from tests.fixtures.lakes import fill
from tests.fixtures.runs import month_run, run_of
from tests.fixtures.work import hire
from tests.stages.province import Province, quick_recipes

ONE, OTHER = "churn_warning", "renewal"
MONTH = ten.MONTH
AS_OF = default_as_of(MONTH)
NOW = datetime(2026, 11, 6, 2, tzinfo=UTC)


@pytest.fixture
def both(config: Config) -> Config:
    """The configuration with a second campaign of the very same rules."""
    return replace(config, campaigns={ONE: config.campaigns[ONE], OTHER: config.campaigns[ONE]})


@pytest.fixture
def factored(lake: Lake, db: sa.Connection, both: Config, tmp_path: Any) -> Lake:
    """The factors of the ten subscribers, common to both."""
    ten.write_landing(tmp_path / "landing")
    fill(lake, tmp_path / "landing")
    features.build(month_run(db=db, lake=lake, config=both, month=MONTH, as_of=AS_OF))
    return lake


def given(db: sa.Connection, lake: Lake, config: Config, campaign: str) -> dict[str, Any]:
    run = {"campaign": campaign, "cycle": MONTH, "month": MONTH, "as_of": AS_OF, "revision": 0}
    return {"db": db, "lake": lake, "config": config, **run}


def scored(db: sa.Connection, lake: Lake, config: Config, campaign: str) -> None:
    cycles.open_cycle(db=db, config=config, campaign=campaign, cycle=MONTH, as_of=None, now=NOW)
    prediction.predict(run_of(**given(db, lake, config, campaign)))


def graded(db: sa.Connection, lake: Lake, config: Config, campaign: str) -> dict[str, Any]:
    return grading.grade(run_of(**given(db, lake, config, campaign), now=NOW))


def made(lake: Lake, campaign: str) -> list[Any]:
    return [
        lake.manifest(table, month)
        for table in lake.tables()
        if parted(table)[1] == campaign
        for month in lake.months(table)
    ]


def slipped_in(lake: Lake, table: str, campaign: str, *, of: str, disguised: bool) -> None:
    """Put what was made for the campaign `of` where that of `campaign` lies, its name in the manifest or not."""
    source, target = of_campaign(table, of), of_campaign(table, campaign)
    manifest = lake.manifest(source, MONTH)
    for part in manifest.parts:
        lake.store.write(
            f"{lake.folder(target, MONTH)}/{part.name}",
            lake.store.read(f"{lake.folder(source, MONTH)}/{part.name}"),
        )
    told = replace(manifest, table=target) if disguised else manifest
    lake.store.write(f"{lake.folder(target, MONTH)}/{MANIFEST}", encoded(told))


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "a b", "续约", "a-b", "a\n", "campaign=a"])
def test_no_name_of_a_campaign_leads_out_of_its_table(name: str) -> None:
    with pytest.raises(BadInput, match="is no name of a campaign"):
        of_campaign("scores", name)


def test_a_name_in_the_lake_is_a_table_and_its_campaign() -> None:
    assert parted(of_campaign("scores", "plan_advice_2")) == ("scores", "plan_advice_2")
    assert parted("factors") == ("factors", None)
    assert scores_of(ONE, 3) == "scores_revised/campaign=churn_warning"
    assert grades_of(ONE) == "grades/campaign=churn_warning"


def test_folders_that_are_no_campaign_s_are_no_tables(lake: Lake) -> None:
    for folder in ("campaign=", "campaign=a b", "version=1"):
        lake.store.write(f"scores/{folder}/month=2026-10/{MANIFEST}", b"{}")
    assert lake.tables() == []


@pytest.mark.parametrize("period", ["2026-10-17", "2026-10"])
def test_a_table_of_a_campaign_is_published_by_month_or_by_day(lake_root: str, period: str) -> None:
    lake, table = Lake.create(lake_root), scores_of("signals_of_the_day")
    part = lake.write_part(table, period, 0, pl.DataFrame({"subscriber_id": ["S1"]}), "run")
    lake.publish(table, period, [part], fingerprint="a")
    assert (lake.tables(), lake.months(table)) == ([table], [period])
    assert lake.scan(table, period).collect().height == 1
    assert lake.manifest(table, period).periods == {period: "a"}
    assert faults(lake) == []
    lake.drop(table, period)
    assert lake.tables() == []


@pytest.mark.parametrize(
    "period", ["2026-10-32", "2026-1-17", "20261017", "2026-10-17 ", "2026-13", "../2026-10"]
)
def test_what_is_neither_month_nor_day_is_no_period(lake: Lake, period: str) -> None:
    with pytest.raises(BadInput, match=r"is not a (day|month)"):
        lake.folder("scores", period)


# ---------------------------------------------------------------- scores and grades


def test_scoring_and_grading_one_leaves_the_other_as_it_is(
    db: sa.Connection, factored: Lake, both: Config
) -> None:
    scored(db, factored, both, ONE)
    graded(db, factored, both, ONE)
    before = made(factored, ONE)
    assert len(before) == 2
    scored(db, factored, both, OTHER)
    graded(db, factored, both, OTHER)
    assert made(factored, ONE) == before
    assert {each.facts["campaign"] for each in made(factored, OTHER)} == {OTHER}
    with db.begin():
        counts = db.execute(sa.text("select campaign, count(*) from warnings group by 1")).all()
    assert {row.campaign for row in counts} == {ONE, OTHER}


def test_the_scores_of_one_are_not_graded_for_the_other(
    db: sa.Connection, factored: Lake, both: Config
) -> None:
    scored(db, factored, both, ONE)
    with pytest.raises(NotReady, match=f"holds no scores/campaign={OTHER} for {MONTH}"):
        graded(db, factored, both, OTHER)


def test_scores_that_lie_in_another_campaign_s_place_do_not_pass_for_its_own(
    db: sa.Connection, factored: Lake, both: Config
) -> None:
    scored(db, factored, both, ONE)
    slipped_in(factored, "scores", OTHER, of=ONE, disguised=False)
    with pytest.raises(Damaged):
        graded(db, factored, both, OTHER)
    slipped_in(factored, "scores", OTHER, of=ONE, disguised=True)
    with pytest.raises(NotReady, match=f"were made for {ONE} {MONTH} as of .* not for {OTHER} {MONTH}"):
        graded(db, factored, both, OTHER)


def test_the_grades_of_one_are_not_dispatched_for_the_other(
    db: sa.Connection, lake: Lake, both: Config
) -> None:
    hire(db)
    people = [Warned(f"S{number}") for number in range(4)]
    graded_cycle(db, lake, both, people)
    asked = graded_cycle(db, lake, both, people, campaign=OTHER)
    slipped_in(lake, "grades", OTHER, of=ONE, disguised=True)
    with pytest.raises(Refused, match=f"The grades were made for {ONE} {MONTH} .* not for {OTHER}"):
        dispatch(run_of(**asked, now=NOW))


def test_the_dispatch_of_one_fixes_nothing_of_the_other(
    db: sa.Connection, factored: Lake, both: Config
) -> None:
    hire(db)
    for campaign in (ONE, OTHER):
        scored(db, factored, both, campaign)
        graded(db, factored, both, campaign)
    assert "already_fixed" not in dispatch(run_of(**given(db, factored, both, ONE), now=NOW))
    fixed, before = made(factored, ONE), factored.manifest(scores_of(OTHER), MONTH).parts[0].name
    told = prediction.predict(run_of(**given(db, factored, both, OTHER)))
    assert "fixed" not in told
    assert "fixed" not in graded(db, factored, both, OTHER)
    assert prediction.predict(run_of(**given(db, factored, both, ONE)))["fixed"]
    assert made(factored, ONE) == fixed
    assert factored.manifest(scores_of(OTHER), MONTH).parts[0].name != before


# ---------------------------------------------------------------- repair


def test_repair_makes_the_one_again_and_leaves_the_other(
    db: sa.Connection, role_url: Callable[[str], str], factored: Lake, both: Config, tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(cycles, "config_of", lambda *_: both)
    hire(db)
    for campaign in (ONE, OTHER):
        scored(db, factored, both, campaign)
        graded(db, factored, both, campaign)
    dispatch(run_of(**given(db, factored, both, ONE), now=NOW))
    before = made(factored, ONE)
    wanted = {each.table: (each.fingerprint, each.facts) for each in made(factored, OTHER)}
    for table in (scores_of(OTHER), grades_of(OTHER)):
        factored.store.delete(
            f"{factored.folder(table, MONTH)}/{factored.manifest(table, MONTH).parts[0].name}"
        )
    words = ["--db", role_url("churn_loop"), "--landing", str(tmp_path / "landing"), "--now", NOW.isoformat()]
    assert lake_command(["repair", "--lake", str(factored.root), *words]) == 0
    lake = Lake(factored.root)
    assert made(lake, ONE) == before
    assert {each.table: (each.fingerprint, each.facts) for each in made(lake, OTHER)} == wanted


# ---------------------------------------------------------------- labels and folds


@pytest.fixture
def province(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> Province:
    """Three months of a made-up province, two of them labelled."""
    monkeypatch.setattr(trees, "RECIPES", quick_recipes(8))
    monkeypatch.setattr(features, "build", lambda _run: None)
    made = Province(lake, subscribers=1500)
    for month in ("2026-07", "2026-08"):
        made.live_through(month)
    return made


def test_each_has_its_own_labels_and_scores_out_of_fold(
    db: sa.Connection, lake: Lake, both: Config, province: Province
) -> None:
    as_of = default_as_of("2026-09")
    run = {"db": db, "lake": lake, "config": both, "as_of": as_of, "now": as_of}
    follow_up.follow_up(**run, campaign=ONE)
    first = training.train(run_of(**run, campaign=ONE, month="2026-08"), nthread=1)
    assert first["trained"]
    before = made(lake, ONE)
    assert {parted(each.table)[0] for each in before} == {LABELS, OUT_OF_FOLD}
    assert champions.out_of_fold(lake, OTHER, "2026-08", first["model_version"]) is None
    assert follow_up.follow_up(**run, campaign=OTHER)["labelled"] == ["2026-07", "2026-08"]
    second = training.train(run_of(**run, campaign=OTHER, month="2026-08"), nthread=1)
    assert second["model_version"] != first["model_version"]
    assert made(lake, ONE) == before
    assert champions.out_of_fold(lake, ONE, "2026-08", second["model_version"]) is None
    assert champions.out_of_fold(lake, OTHER, "2026-08", second["model_version"]) is not None
