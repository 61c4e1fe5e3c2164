"""The dry run of a rule: on whom, how precise where churn is known, how many tickets, and what it says."""

from datetime import timedelta
from typing import Any

import polars as pl
import pytest
import yaml

from include.analysis import dry_run as module
from include.analysis.__main__ import main
from include.analysis.dry_run import Trial, dry_run, sentence
from include.config import Config
from include.config.readers import rules as rules_config
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import default_as_of, month_start
from include.lake import Lake
from include.lake.campaigns import scores_of
from tests.fixtures.lakes import put
from tests.stages.worked_cycle import CAMPAIGN, WorkedCycle

MONTH, NEXT = "2026-09", "2026-10"
AS_OF = default_as_of(MONTH)
KNOWN = default_as_of("2026-11")
RULE = {
    "name": "many_complaints", "zh": "投诉", "en": "Complaints", "group": "service",
    "expression": "complaints_3m >= many", "floor": "high", "points": 2, "owner": "analysts",
    "valid_from": "2010-01-01",
}  # fmt: skip


def library(*entries: dict[str, Any]) -> rules_config.Rules:
    raw = {
        "benchmarks": {"many": 2},
        "groups": {"service": {"zh": "服务", "en": "Service"}},
        "rules": list(entries),
    }
    return rules_config.parse(yaml.safe_load(yaml.safe_dump(raw)), "trial.yaml")


@pytest.fixture
def month(lake: Lake) -> Lake:
    """100 people: 10 with two complaints, of whom S00 and S01 leave, as S99 does; half are worth a call."""
    ids = [f"S{number:02d}" for number in range(100)]
    frame = pl.DataFrame(
        {
            "subscriber_id": ids,
            "value_yuan": [100.0 if number % 2 == 0 else 10.0 for number in range(100)],
            "complaints_3m": [2.0 if number < 10 else 0.0 for number in range(100)],
            "tenure_months": [36.0] * 100,
        }
    ).with_columns(
        pl.lit(None, pl.String).alias(name) for name in ("region_code", "branch_code", "customer_id")
    )
    facts = {"factors": ["complaints_3m", "tenure_months"], "left_out": {"bill_falls": "nothing delivered"}}
    lake.publish("factors", MONTH, [lake.write_part("factors", MONTH, 0, frame, "test")], facts=facts)
    return lake


def churn(lake: Lake) -> None:
    gone = [{"subscriber_id": name, "churned_on": month_start(NEXT).date()} for name in ("S00", "S01", "S99")]
    put(lake, "churned", NEXT, gone)
    for feed in ("subscribers", "usage_months"):
        put(lake, feed, MONTH, [{"subscriber_id": "S00"}])


def tried(lake: Lake, config: Config, rules: rules_config.Rules, as_of: Any = AS_OF) -> dict[str, Any]:
    return next(dry_run(Trial(lake, config, "churn_warning", MONTH, rules), as_of=as_of))


def test_it_tells_on_how_many_a_rule_fires_and_how_many_tickets_that_makes(month, config) -> None:
    told = tried(month, config, library(RULE))
    assert (told["subscribers"], told["fired"], told["priority"]) == (100, 10, 5)
    assert (told["tickets"], told["tickets_added"]) == (4, 4)  # a fifth is held out
    assert told["model_grades"] is None


def test_precision_is_not_known_before_the_churn_is_and_then_the_share_that_left(month, config) -> None:
    assert tried(month, config, library(RULE))["precision"] is None
    churn(month)
    assert tried(month, config, library(RULE))["precision"] is None
    told = tried(month, config, library(RULE), KNOWN)
    assert told["precision"] == 0.2
    assert told["labelled"][MONTH] == {"fired": 10, "left": 2, "base_rate": 0.03, "precision": 0.2}


def test_the_overlap_with_the_model_is_told(month, config) -> None:
    ids = [f"S{number:02d}" for number in range(100)]
    scores = {"subscriber_id": ids, "probability": [0.5] * 4 + [0.08] * 2 + [0.01] * 94}
    part = month.write_part(scores_of(CAMPAIGN), MONTH, 0, pl.DataFrame(scores), "test")
    month.publish(scores_of(CAMPAIGN), MONTH, [part], facts={"base_rate": 0.02})
    told = tried(month, config, library(RULE))
    assert told["model_grades"] == {"high": 4, "mid": 2, "low": 4}
    assert (told["priority"], told["tickets"], told["tickets_added"]) == (5, 4, 2)


def test_whom_staff_called_does_not_count_where_the_database_tells_and_the_held_out_weigh(
    month, config, db, role_url, capsys
) -> None:
    """S02 to S05 were called and stayed, S00 was held out and left: of those nobody called more leave."""
    churn(month)
    cycle = WorkedCycle(db, MONTH)
    for number in range(2, 6):
        cycle.assign(f"S{number:02d}", "treated")
        cycle.contact(f"S{number:02d}", month_start(NEXT) + timedelta(days=10))
    cycle.assign("S00", "held_out")
    told = next(dry_run(Trial(month, config, "churn_warning", MONTH, library(RULE)), as_of=KNOWN, db=db))
    assert (told["labelled"][MONTH]["fired"], told["labelled"][MONTH]["left"]) == (6, 2)
    assert told["precision"] == pytest.approx((5 + 1) / (5 + 5))
    assert "Contacted people are left out, and the held-out weigh for them." in sentence(told)
    where = ["--lake", str(month.root), "--month", MONTH, "--as-of", KNOWN.isoformat()]
    assert main(["dry-run", *where, "--db", role_url("churn_loop"), "--rule", "repeated_complaints"]) == 0
    assert "2026-09 60% of 6" in capsys.readouterr().out


def test_a_rule_stands_in_for_its_namesake(month, config) -> None:
    strict = RULE | {"name": "repeated_complaints"}
    told = tried(month, config, library(strict))
    assert (told["also_hit_by_others"], told["priority"]) == (0, 5)
    other = tried(month, config, library(RULE))
    assert other["also_hit_by_others"] == 10


def test_a_rule_that_fires_on_nobody_has_no_precision(month, config) -> None:
    churn(month)
    told = tried(month, config, library(RULE | {"expression": "complaints_3m > 9"}), KNOWN)
    assert (told["fired"], told["precision"], told["tickets"]) == (0, None, 0)


def test_a_rule_whose_factor_is_left_out_cannot_be_judged(month, config) -> None:
    told = tried(month, config, library(RULE | {"expression": "bill_falls > 1"}))
    assert sentence(told) == (
        "many_complaints: cannot be judged in 2026-09: factor bill_falls is left out: nothing delivered."
    )


def test_a_rule_out_of_force_is_tried_all_the_same_and_said_to_be(month, config) -> None:
    told = tried(month, config, library(RULE | {"valid_to": "2020-01-01"}))
    assert told["fired"] == 10
    assert sentence(told).endswith("It is not in force in 2026-09.")


def test_what_it_says_can_be_read_aloud(month, config) -> None:
    churn(month)
    told = tried(month, config, library(RULE), KNOWN)
    counts = {"fired": 3120, "precision": 0.14, "priority": 262, "tickets": 210, "tickets_added": 12}
    assert sentence(told | counts) == (
        "many_complaints: would have fired on 3,120 subscribers in 2026-09, precision 14%, 262 priority warnings, "
        "about 210 tickets after the hold-out, 12 only because of it (before who may be contacted and capacity). "
        "By the model alone: no model scored them. Precision in labelled months: 2026-09 20% of 10 (base 3.0%). "
        "Contacted people count as they went."
    )
    assert "precision not yet known" in sentence(tried(month, config, library(RULE)))


def test_it_stores_nothing(month, config) -> None:
    before = sorted(path.as_posix() for path in month.root.rglob("*"))
    tried(month, config, library(RULE))
    assert sorted(path.as_posix() for path in month.root.rglob("*")) == before


def test_an_unknown_rule_and_an_unknown_month_are_refused_with_a_sentence(month, config) -> None:
    with pytest.raises(BadInput, match=r"no rule 'x'. Choose one of many_complaints"):
        list(dry_run(Trial(month, config, "churn_warning", MONTH, library(RULE)), as_of=AS_OF, name="x"))
    with pytest.raises(NotReady, match="holds no factors for 2020-01"):
        list(dry_run(Trial(month, config, "churn_warning", "2020-01", library(RULE)), as_of=AS_OF))


def test_at_most_three_labelled_months_tell_the_precision(month, config, monkeypatch) -> None:
    monkeypatch.setattr(module.labels, "labelled_months", lambda *_: ["2026-01", *([MONTH] * 5)])
    monkeypatch.setattr(module.Lake, "has", lambda *_: True)
    assert module._known_months(month, MONTH, 1, AS_OF) == [MONTH] * 3


# ---------------------------------------------------------------- the command


def test_the_command_tries_a_file_of_rules(month, tmp_path, capsys) -> None:
    path = tmp_path / "trial.yaml"
    path.write_text(yaml.safe_dump({"benchmarks": {"many": 2}, "groups": {"service": {"zh": "服", "en": "S"}},
                                    "rules": [RULE]}), "utf-8")  # fmt: skip
    where = ["--lake", str(month.root), "--month", MONTH]
    assert main(["dry-run", *where, "--file", str(path)]) == 0
    assert "many_complaints: would have fired on 10 subscribers" in capsys.readouterr().out
    assert main(["dry-run", *where, "--rule", "repeated_complaints", "--json"]) == 0
    assert '"fired": 10' in capsys.readouterr().out


def test_the_command_refuses_a_wrong_rule_by_file_and_name(month, tmp_path, capsys) -> None:
    path = tmp_path / "trial.yaml"
    wrong = RULE | {"expression": "complaint_count >= many"}
    path.write_text(yaml.safe_dump({"benchmarks": {"many": 2}, "groups": {"service": {"zh": "服", "en": "S"}},
                                    "rules": [wrong]}), "utf-8")  # fmt: skip
    assert main(["dry-run", "--lake", str(month.root), "--month", MONTH, "--file", str(path)]) == 1
    said = capsys.readouterr().err
    assert "trial.yaml, rule 'many_complaints': there is no factor or benchmark 'complaint_count'" in said


def test_the_command_tells_drift(month, capsys) -> None:
    frame = month.scan("factors", MONTH).collect()
    part = month.write_part("factors", NEXT, 0, frame.with_columns(pl.col("complaints_3m") + 3), "test")
    month.publish("factors", NEXT, [part], facts=month.manifest("factors", MONTH).facts)
    assert main(["drift", "--lake", str(month.root), "--month", NEXT, "--as-of", AS_OF.isoformat()]) == 0
    told = capsys.readouterr().out
    assert "Against 2026-09 these have shifted: complaints_3m." in told
    assert "nothing is ranked" in told
