import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from include.domain.errors import BadInput
from include.simulator.population.reasons import REASONS
from include.simulator.population.treatment import NO_REASON_CONTACT, RIGHT_OFFER, WRONG_OFFER
from include.simulator.province import Province
from include.simulator.truth import main_reasons, read_truth
from include.simulator.walk import Order, simulate
from tests.simulator.conftest import SMALL
from tests.simulator.reading import days, feed, prints

LONGER = Province(subscribers=3000, months=4, seed=11, last_month="2026-10")
REPEATED = ("subscribers", "market_events")


def treated_file(path: Path, offers: dict[str, str], contacted_on: str = "2026-10-06") -> Path:
    rows = [f"{name},2026-09,{offer},{contacted_on}" for name, offer in offers.items()]
    path.write_text("\n".join(["subscriber_id,month,offer_reason,contacted_on", *rows]), encoding="utf-8")
    return path


def test_the_same_seed_writes_the_same_bytes(province, tmp_path):
    simulate(SMALL, tmp_path)
    assert prints(tmp_path) == prints(province)


def test_a_world_called_by_churn_warning_alone_is_byte_by_byte_what_it_was(tmp_path):
    """The feeds as commit 11429e0 wrote them, when no other campaign was known: worlds delivered go on."""
    offers = [f"S{n:08d},2026-08,{REASONS[n % 6]},2026-09-{1 + n % 28:02d}" for n in range(0, 600, 2)]
    file = tmp_path / "treated.csv"
    file.write_text("\n".join(["subscriber_id,month,offer_reason,contacted_on", *offers]), encoding="utf-8")
    simulate(Province(600, 3, 11, "2026-09"), tmp_path, Order(dirt=0.01, treated=file))
    told = json.dumps(prints(tmp_path / "landing"), sort_keys=True).encode()
    assert (
        hashlib.sha256(told).hexdigest() == "b3733601efbdebe2ff6049526583aa37a0cd04f8bad854e939b688ca15a9ab3c"
    )


def test_another_seed_is_another_province(province, tmp_path):
    simulate(Province(3000, 3, 12, "2026-09"), tmp_path)
    ours, theirs = prints(province / "landing"), prints(tmp_path / "landing")
    assert ours.keys() == theirs.keys()
    usage = [name for name in ours if name.startswith("usage_months")]
    assert all(ours[name] != theirs[name] for name in usage)


def test_a_longer_history_keeps_every_file_delivered_before(province, tmp_path):
    simulate(LONGER, tmp_path)
    before, after = prints(province / "landing"), prints(tmp_path / "landing")
    assert {name: after[name] for name in before} == before
    assert len(after) > len(before)


def test_whoever_left_in_the_first_days_is_known_from_the_daily_files_before_the_churn_arrives(
    province, tmp_path
):
    simulate(LONGER, tmp_path)
    churned = feed(tmp_path, "churned", "month=2026-10")
    early = churned.filter(pl.col("churned_on") < "2026-10-05")
    changes = days(province, "subscriber_changes", "2026-10")
    left = changes.filter(pl.col("kind") == "left")
    assert len(early) >= 3
    assert set(early["subscriber_id"]) == set(left["subscriber_id"])
    assert left["occurred_at"].max() < "2026-10-05"


def test_day_files_end_four_days_after_the_last_month(province):
    for name in ("subscriber_changes", "contact_limits"):
        last = max(path.name for path in (province / "landing" / name).iterdir())
        assert last == "day=2026-10-04"


def test_a_silent_leaver_counts_as_gone_on_the_last_day_and_has_no_left_change(province):
    silent = feed(province, "churned", "month=2026-08").filter(pl.col("reason") == "silent")
    left = days(province, "subscriber_changes", "2026-08").filter(pl.col("kind") == "left")
    assert set(silent["churned_on"]) == {"2026-08-31"}
    assert not set(silent["subscriber_id"]) & set(left["subscriber_id"])


def test_every_loud_leaver_has_a_left_change_on_the_same_day(province):
    loud = feed(province, "churned", "month=2026-08").filter(pl.col("reason") != "silent")
    left = days(province, "subscriber_changes", "2026-08").filter(pl.col("kind") == "left")
    on = left.select("subscriber_id", pl.col("occurred_at").str.head(10).alias("churned_on"))
    assert loud.drop("reason").sort("subscriber_id").equals(on.sort("subscriber_id"))


def test_nobody_appears_after_having_left(province):
    gone = set(feed(province, "churned", "month=2026-07")["subscriber_id"])
    assert gone
    for name in ("subscribers", "usage_months", "service_events", "churned"):
        assert not gone & set(feed(province, name, "month=2026-08")["subscriber_id"])


def test_missing_feeds_are_not_written_and_the_others_stay_as_they_were(province, tmp_path):
    simulate(SMALL, tmp_path, Order(missing=frozenset({"market_events", "churned"})))
    written = {path.name for path in (tmp_path / "landing").iterdir()}
    assert not written & {"market_events", "churned"}
    whole = prints(province / "landing")
    assert all(whole[name] == value for name, value in prints(tmp_path / "landing").items())


def test_what_lies_behind_comes_whole_and_holds_the_rows_of_its_days(province, tmp_path):
    simulate(SMALL, tmp_path, Order(days_from="2026-09"))
    for name in ("subscriber_changes", "contact_limits"):
        whole, by_day = feed(tmp_path, name, "month=2026-08"), days(province, name, "2026-08")
        assert whole.sort(pl.all()).equals(by_day.select(whole.columns).sort(pl.all()))
        assert not list((tmp_path / "landing" / name).glob("day=2026-08-*"))
        assert len(list((tmp_path / "landing" / name).glob("day=2026-09-*"))) == 30


def test_treatment_changes_only_the_treated_and_only_the_months_after(province, tmp_path):
    simulate(LONGER, tmp_path / "plain")
    simulate(SMALL, tmp_path / "worked")
    reasons = main_reasons(province, "2026-09")
    offers = {name: reason for name, reason in reasons.items() if reason != "none"}
    file = treated_file(tmp_path / "treated.csv", offers)
    simulate(LONGER, tmp_path / "worked", Order(treated=file, from_month="2026-10"))
    for name in ("usage_months", "subscribers", "service_events", "churned"):
        plain = feed(tmp_path / "plain", name, "month=2026-10")
        worked = feed(tmp_path / "worked", name, "month=2026-10")
        untouched = ~pl.col("subscriber_id").is_in(list(offers))
        assert plain.filter(untouched).equals(worked.filter(untouched))
    earlier = prints(tmp_path / "plain" / "landing")
    now = prints(tmp_path / "worked" / "landing")
    until = [name for name in prints(province / "landing") if "_COMPLETE" not in name]
    assert all(earlier[name] == now[name] for name in until)
    assert len(feed(tmp_path / "worked", "churned", "month=2026-10")) < len(
        feed(tmp_path / "plain", "churned", "month=2026-10")
    )


def test_the_right_offer_multiplies_the_hazard_by_the_known_factor(tmp_path):
    before, after = Province(20_000, 1, 5, "2026-09"), Province(20_000, 2, 5, "2026-10")
    simulate(before, tmp_path)
    reasons = main_reasons(tmp_path, "2026-09")
    troubled = [name for name, reason in reasons.items() if reason != "none"]
    calm = [name for name, reason in reasons.items() if reason == "none"][:2000]
    offers = {name: reasons[name] for name in troubled[::2]}
    offers |= dict.fromkeys(troubled[1::4], "") | dict.fromkeys(calm, "price")
    file = treated_file(tmp_path / "treated.csv", offers, "2026-10-05")
    simulate(after, tmp_path, Order(treated=file, from_month="2026-10"))
    truth = read_truth(tmp_path, "2026-10").filter(pl.col("hazard").is_not_null())

    def factor(names):
        rows = truth.filter(pl.col("subscriber_id").is_in(names))
        return (rows["hazard"] / rows["hazard_untreated"]).median(), rows

    ratio, right = factor(troubled[::2])
    assert ratio == pytest.approx(RIGHT_OFFER, abs=1e-3)
    assert factor(troubled[1::4])[0] == pytest.approx(WRONG_OFFER, abs=1e-3)
    assert factor(calm)[0] == pytest.approx(NO_REASON_CONTACT, abs=1e-3)
    assert factor(troubled[3::4])[0] == 1.0
    late = right.filter(pl.col("left_on").is_null() | (pl.col("left_on").cast(pl.String) > "2026-10-05"))
    assert late["left"].sum() < 0.75 * right["left_untreated"].sum()


def test_contact_after_the_month_changes_nothing(tmp_path):
    simulate(SMALL, tmp_path)
    offers = dict.fromkeys(list(main_reasons(tmp_path, "2026-09"))[:500], "price")
    file = treated_file(tmp_path / "treated.csv", offers, "2026-11-02")
    simulate(LONGER, tmp_path, Order(treated=file, from_month="2026-10"))
    truth = read_truth(tmp_path, "2026-10").drop_nulls("hazard")
    assert truth["hazard"].equals(truth["hazard_untreated"].rename("hazard"))


def test_a_folder_of_another_province_is_refused(tmp_path):
    simulate(Province(100, 1, 1), tmp_path)
    with pytest.raises(BadInput, match="holds another province"):
        simulate(Province(100, 1, 2), tmp_path)


@pytest.mark.parametrize(
    ("row", "cause"),
    [
        ("S00000001,2026-09,discount,2026-10-06", "offer_reason 'discount' is unknown"),
        ("S00000001,2026-9,price,2026-10-06", "'2026-9' is not a month"),
        ("S00000001,2026-09,price,6 October", "contacted_on '6 October' is not a date"),
        ("13900000001,2026-09,price,2026-10-06", "'13900000001' is no subscriber"),
        ("S00999999,2026-09,price,2026-10-06", "does not live in this province"),
        ("S00000001,2025-01,price,2026-10-06", "a month that is not simulated"),
    ],
)
def test_a_treated_row_that_cannot_be_used_is_refused_with_its_cause(tmp_path, row, cause):
    file = tmp_path / "treated.csv"
    file.write_text(f"subscriber_id,month,offer_reason,contacted_on\n{row}\n", encoding="utf-8")
    with pytest.raises(BadInput, match=cause):
        simulate(SMALL, tmp_path / "out", Order(treated=file))
    assert not (tmp_path / "out").exists()


def test_blocks_share_the_world_outside_but_no_subscriber(monkeypatch, tmp_path):
    monkeypatch.setattr("include.simulator.province._BLOCK", 400)
    said = []
    simulate(Province(1000, 2, 3, "2026-09"), tmp_path, say=said.append)
    assert len(said) == 6
    frame = feed(tmp_path, "subscribers", "month=2026-09")
    assert frame["subscriber_id"].is_unique().all()
    assert frame["msisdn"].is_unique().all()
    assert len(frame) > 1000
    assert [
        len(list((tmp_path / "landing" / name / "month=2026-09").glob("part-*"))) for name in REPEATED
    ] == [3, 1]
    assert feed(tmp_path, "service_events", "month=2026-09")["event_id"].is_unique().all()
    treated = treated_file(tmp_path / "treated.csv", {"S02000005": "price"})
    simulate(Province(1000, 3, 3, "2026-10"), tmp_path, Order(treated=treated, from_month="2026-10"))
    truth = read_truth(tmp_path, "2026-10").drop_nulls("hazard")
    changed = truth.filter(pl.col("hazard") != pl.col("hazard_untreated"))
    assert changed["subscriber_id"].to_list() == ["S02000005"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_handful_of_subscribers_without_any_event_is_a_province_too(tmp_path, seed):
    simulate(Province(10, 1, seed, "2026-09"), tmp_path, Order(dirt=0.2))
    assert len(feed(tmp_path, "usage_months", "month=2026-09")) >= 10
    assert feed(tmp_path, "service_events", "month=2026-09").columns[0] == "event_id"
