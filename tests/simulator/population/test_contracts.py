"""Contracts that end: what the truth says of their renewal, uncalled and called, is what the feeds show."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from include.domain.errors import BadInput
from include.simulator.population.contracts import ENDING_DAYS
from include.simulator.province import FEEDS, Province
from include.simulator.truth import read_truth
from include.simulator.walk import Order, simulate
from tests.simulator.conftest import SMALL
from tests.simulator.reading import feed, prints

CYCLE, AFTER, LAST = "2026-07", "2026-08", "2026-10"
PROVINCE = Province(subscribers=60_000, months=4, seed=5, last_month=LAST)


def ending(out: Path) -> pl.DataFrame:
    """The truth of those whose contract ends soon after the cycle month."""
    return read_truth(out, CYCLE).drop_nulls("renews_alone")


def called_file(path: Path, names: list[str], day: str = f"{AFTER}-10", month: str = CYCLE) -> Path:
    rows = [f"{name},{month},,{day},contract_renewal" for name in names]
    header = "subscriber_id,month,offer_reason,contacted_on,campaign"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def ends(out: Path, month: str) -> pl.DataFrame:
    """When the contract of each subscriber who stays to the end of `month` ends."""
    frame = feed(out, "subscribers", f"month={month}").filter(pl.col("status") != "closed")
    return frame.select("subscriber_id", pl.col("contract_ends_on").str.to_date())


def renewed(out: Path, month: str) -> pl.DataFrame:
    """The truth of those with an ending contract who stay, and whether it ends later at the end of `month`."""
    before = ends(out, CYCLE).rename({"contract_ends_on": "before"})
    later = pl.col("contract_ends_on").fill_null(pl.col("before")) > pl.col("before")
    known = ending(out).join(before, on="subscriber_id").join(ends(out, month), on="subscriber_id")
    return known.with_columns(is_renewed=later)


def error_of_share(shares: pl.Series) -> float:
    """Three standard errors of the share of successes with these chances."""
    return float(3 * np.sqrt((shares * (1 - shares)).sum()) / len(shares))


@pytest.fixture(scope="module")
def uncalled(tmp_path_factory):
    """PROVINCE as it is when nobody is called; not to be written to."""
    out = tmp_path_factory.mktemp("uncalled")
    simulate(PROVINCE, out)
    return out


@pytest.fixture(scope="module")
def called(uncalled, tmp_path_factory):
    """PROVINCE in which every second subscriber whose contract ends was called; not to be written to."""
    out = tmp_path_factory.mktemp("called")
    file = called_file(out / "treated.csv", ending(uncalled)["subscriber_id"].to_list()[::2])
    simulate(PROVINCE, out, Order(treated=file))
    return out


def half(frame: pl.DataFrame, out: Path, start: int) -> pl.DataFrame:
    """Every second subscriber whose contract ends, from `start` on: those called from 0 on."""
    return frame.filter(pl.col("subscriber_id").is_in(ending(out)["subscriber_id"].to_list()[start::2]))


def test_the_truth_is_of_those_whose_contract_ends_within_90_days(uncalled):
    days = (pl.col("contract_ends_on") - pl.date(2026, 7, 31)).dt.total_days()
    due = ends(uncalled, CYCLE).filter(days.is_between(0, ENDING_DAYS))
    assert set(due["subscriber_id"]) == set(ending(uncalled)["subscriber_id"])
    assert len(due) > 1500


def test_the_share_renewed_by_itself_is_as_the_truth_says(uncalled):
    found = renewed(uncalled, LAST)
    assert found["is_renewed"].mean() == pytest.approx(
        found["renews_alone"].mean(), abs=error_of_share(found["renews_alone"])
    )


def test_the_share_renewed_by_those_called_is_as_the_truth_says(called, uncalled):
    found = half(renewed(called, LAST), uncalled, 0)
    assert found["is_renewed"].mean() == pytest.approx(
        found["renews_called"].mean(), abs=error_of_share(found["renews_called"])
    )


def test_the_difference_between_called_and_not_called_is_the_known_effect(called, uncalled):
    found = renewed(called, LAST)
    treated, others = half(found, uncalled, 0), half(found, uncalled, 1)
    measured = treated["is_renewed"].mean() - others["is_renewed"].mean()
    known = (found["renews_called"] - found["renews_alone"]).mean()
    assert known > 0.1
    spread = np.hypot(error_of_share(treated["renews_called"]), error_of_share(others["renews_alone"]))
    assert measured == pytest.approx(known, abs=spread)


def test_a_call_renews_at_once_for_exactly_those_who_agree(called, uncalled):
    now = half(renewed(called, AFTER), uncalled, 0)
    without = renewed(uncalled, AFTER).select("subscriber_id", is_renewed_alone="is_renewed")
    both = now.join(without, on="subscriber_id")
    expected = both["agrees_when_called"] | both["is_renewed_alone"]
    assert both["is_renewed"].equals(expected.rename("is_renewed"))
    assert both["agrees_when_called"].mean() == pytest.approx(
        _added(both).mean(), abs=error_of_share(_added(both))
    )


def _added(frame: pl.DataFrame) -> pl.Series:
    return 1 - (1 - frame["renews_called"]) / (1 - frame["renews_alone"])


def test_the_known_effect_hangs_on_tenure_fee_and_what_the_price_weighs(uncalled):
    told = json.loads((uncalled / "truth" / "effects.json").read_text("utf-8"))["contract_renewal"]
    people = feed(uncalled, "subscribers", f"month={CYCLE}").select(
        "subscriber_id", "joined_on", "plan_fee_yuan"
    )
    known = ending(uncalled).join(people, on="subscriber_id")
    calm = known.with_columns(added=_added(known)).filter(
        pl.col("main_reason").is_in(["none", "contract_end"]) & pl.col("has_single_cause")
    )
    long = pl.col("joined_on") < "2023-07-01"
    dear = pl.col("plan_fee_yuan").cast(pl.Float64) >= told["high_fee_yuan"]
    plain = calm.filter(~long & ~dear & (pl.col("joined_on") > "2023-09-01"))["added"].max()
    assert plain == pytest.approx(told["added_chance"], abs=1e-4)
    every = told["added_chance"] + told["added_with_long_tenure"] + told["added_with_high_fee"]
    assert calm.filter(long & dear)["added"].max() == pytest.approx(every, abs=1e-4)
    weighed = known.with_columns(added=_added(known)).filter(pl.col("main_reason") == "price")
    assert weighed["added"].max() < every * 0.95


def test_who_was_not_called_lives_as_if_nobody_had_been(called, uncalled):
    treated = ending(uncalled)["subscriber_id"].to_list()[::2]
    for name in set(FEEDS) & {"usage_months", "subscribers", "service_events", "churned"}:
        for month in (AFTER, LAST):
            untouched = ~pl.col("subscriber_id").is_in(treated)
            plain, worked = (feed(out, name, f"month={month}") for out in (uncalled, called))
            assert plain.filter(untouched).equals(worked.filter(untouched)), (name, month)


def test_a_renewed_contract_drives_nobody_away_and_the_call_itself_neither(called, uncalled):
    agreeing = half(ending(uncalled), uncalled, 0).filter("agrees_when_called")["subscriber_id"].implode()

    def hazards(month: str) -> list[float]:
        worlds = (read_truth(out, month) for out in (uncalled, called))
        return [world.filter(pl.col("subscriber_id").is_in(agreeing))["hazard"].mean() for world in worlds]

    before, same = hazards(AFTER)
    assert before == same
    driven, calm = hazards("2026-09")
    assert calm < 0.7 * driven


@pytest.mark.parametrize(
    ("day", "month"), [("2026-09-01", CYCLE), ("2026-08-10", "2026-08")], ids=["too late", "another cycle"]
)
def test_a_call_outside_the_month_after_its_cycle_renews_nothing_in_it(uncalled, tmp_path, day, month):
    names = ending(uncalled)["subscriber_id"].to_list()
    file = called_file(tmp_path / "treated.csv", names, day, month)
    simulate(Province(60_000, 2, 5, AFTER), tmp_path, Order(treated=file))
    both = (ends(out, AFTER) for out in (uncalled, tmp_path))
    assert next(both).equals(next(both))


def test_a_call_to_somebody_without_an_ending_contract_changes_no_file(province, tmp_path):
    due = read_truth(province, "2026-08").filter(pl.col("renews_alone").is_null() & ~pl.col("left"))
    file = called_file(tmp_path / "called.csv", due["subscriber_id"].to_list(), "2026-09-08", "2026-08")
    simulate(SMALL, tmp_path / "out", Order(treated=file))
    assert prints(tmp_path / "out") == prints(province)


def test_the_calls_of_both_campaigns_are_kept_apart(province, tmp_path):
    reasons = read_truth(province, "2026-08").filter(~pl.col("left")).select("subscriber_id", "main_reason")
    warned = [
        f"{name},2026-08,{reason},2026-09-08" for name, reason in reasons.iter_rows() if reason != "none"
    ]
    header = "subscriber_id,month,offer_reason,contacted_on"
    (tmp_path / "old.csv").write_text("\n".join([header, *warned]), encoding="utf-8")
    rows = [f"{row},churn_warning" for row in warned]
    (tmp_path / "new.csv").write_text("\n".join([f"{header},campaign", *rows]), encoding="utf-8")
    both = [f"{name},2026-08,,2026-09-08,contract_renewal" for name in reasons["subscriber_id"]]
    (tmp_path / "both.csv").write_text("\n".join([f"{header},campaign", *rows, *both]), encoding="utf-8")
    for name in ("old", "new", "both"):
        simulate(SMALL, tmp_path / name, Order(treated=tmp_path / f"{name}.csv"))
    assert prints(tmp_path / "new") == prints(tmp_path / "old")
    warning, renewal = (feed(tmp_path / name, "churned", "month=2026-09") for name in ("old", "both"))
    assert warning.equals(renewal)
    assert not ends(tmp_path / "both", "2026-09").equals(ends(tmp_path / "old", "2026-09"))


@pytest.mark.parametrize("name", ["coaching", ""])
def test_contacts_of_a_campaign_without_a_known_effect_are_refused(tmp_path, name):
    file = tmp_path / "treated.csv"
    file.write_text(
        f"subscriber_id,month,offer_reason,contacted_on,campaign\nS00000001,2026-08,,2026-09-06,{name}\n",
        encoding="utf-8",
    )
    with pytest.raises(BadInput, match=f"campaign '{name}' have no known effect"):
        simulate(SMALL, tmp_path / "out", Order(treated=file))
