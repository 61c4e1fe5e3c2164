"""Dispatch: eligibility, arms, the walk by rank, frozen evidence, once a cycle whatever happens."""

import json
import threading
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.database import engine
from include.database.queries import load
from include.domain.errors import NotReady, Refused
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.run.cycles import open_cycle
from include.stages.dispatch import Choices, champions_before, dispatch, plan_size
from tests.fixtures.graded import CAMPAIGN, MONTH, Warned, graded_cycle, put
from tests.fixtures.runs import run_of
from tests.fixtures.work import fill_cycle, hire

NOW = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
SEPTEMBER = date(2026, 9, 1)
CHANGES = {"subscriber_id": pl.String, "occurred_at": pl.Datetime("us", "UTC"), "kind": pl.String}
LIMITS = {"subscriber_id": pl.String, "kind": pl.String, "valid_from": pl.Date, "valid_to": pl.Date}


def people(n: int) -> list[Warned]:
    return [Warned(f"S{number:04d}") for number in range(1, n + 1)]


def rows(db: sa.Connection, statement: str, **values: Any) -> list[Any]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement), values)]


def state(db: sa.Connection) -> list[Any]:
    """Assignments with their evidence and tickets, without the instants people are stamped with."""
    return rows(
        db,
        "select a.subscriber_id, a.arm, a.rank, a.evidence::text, a.evidence_sha256, t.state, t.team"
        " from assignments as a left join tickets as t using (assignment_id) order by a.rank",
    )


def cancel_everything(db: sa.Connection) -> None:
    with db.begin():
        db.execute(
            sa.text("update tickets set state = 'cancelled', closed_at = now(), version = version + 1")
        )
        db.execute(
            sa.text(
                "insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor, occurred_at)"
                " select ticket_id, version, 'cancel', 'assigned', 'cancelled', 'loop', now() from tickets"
            )
        )


def test_everybody_eligible_is_treated_or_held_out_when_nothing_limits(db, lake, config):
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(200)), now=NOW))
    assert result["treated"] + result["held_out"] == 200
    assert 20 <= result["held_out"] <= 60  # a share of 20 % of 200
    assert rows(db, "select count(*) from tickets") == [(result["treated"],)]


def test_no_held_out_customer_can_get_a_ticket(db, lake, config):
    dispatch(run_of(**graded_cycle(db, lake, config, people(60)), now=NOW))
    held_out = rows(db, "select assignment_id from assignments where arm = 'held_out' limit 1")[0][0]
    with pytest.raises(sa.exc.IntegrityError), db.begin():
        db.execute(
            sa.text(
                "insert into tickets (assignment_id, campaign, cycle, subscriber_id, customer_key, state, team, grade,"
                " tier, rank, dispatched_at, expected_on) values (:id, 'x', 'x', 'x', 'x', 'waiting', 'vip', 'high',"
                " 'priority', 1, now(), current_date)"
            ),
            {"id": held_out},
        )


def test_the_treated_fill_the_capacity_and_the_rest_is_in_neither_arm(db, lake, config):
    hire(db, contacts_per_day=4)  # two agents of mid_high: 4 × 2 × 3 days = 24; one of vip: 12
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(100)), now=NOW))
    assert (result["treated"], result["capacity"]) == (24, 36)
    last = rows(db, "select max(rank) from assignments where arm = 'treated'")[0][0]
    assert rows(
        db, "select count(*) from dispatch_decisions where decision = 'not_reached' and rank < :r", r=last
    ) == [(0,)]
    assert rows(db, "select count(*) from assignments where rank > :r", r=last) == [(0,)]


def test_a_team_without_room_does_not_eat_anothers(db, lake, config):
    hire(db, contacts_per_day=2)  # mid_high 12, vip 6, nobody for new subscribers
    warned = [Warned(f"V{n:03d}", value_yuan=200) for n in range(40)]
    warned += [Warned(f"M{n:03d}") for n in range(20)] + [
        Warned(f"N{n:03d}", tenure_months=2) for n in range(5)
    ]
    result = dispatch(run_of(**graded_cycle(db, lake, _all_treated(config), warned), now=NOW))
    teams = {team: told.get("treated", 0) for team, told in result["teams"].items()}
    assert teams == {"mid_high": 12, "new_subscriber": 0, "vip": 6}
    assert rows(db, "select team, count(*) from tickets group by team order by team") == [
        ("mid_high", 12), ("vip", 6),
    ]  # fmt: skip
    assert (
        "Team new_subscriber has nobody who can call: 5 of its customers are not reached."
        in result["message"]
    )


def test_overflow_is_taken_where_it_is_configured(db, lake, config):
    hire(db, contacts_per_day=2)
    config = _all_treated(config)
    config = replace(config, teams=config.teams.model_copy(update={"overflow": {"vip": ("mid_high",)}}))
    warned = [Warned(f"V{n:03d}", value_yuan=200) for n in range(10)]
    dispatch(run_of(**graded_cycle(db, lake, config, warned), now=NOW))
    assert rows(db, "select team, count(*) from tickets group by team order by team") == [
        ("mid_high", 4), ("vip", 6),
    ]  # fmt: skip
    assert rows(db, "select distinct team from dispatch_decisions") == [("vip",)]


def test_the_held_out_of_a_full_team_are_not_reached_either(db, lake, config):
    hire(db, contacts_per_day=2)
    warned = [Warned(f"S{n:04d}", value_yuan=200 if n % 2 else 80) for n in range(200)]
    dispatch(run_of(**graded_cycle(db, lake, config, warned), now=NOW))
    for team in ("vip", "mid_high"):
        last = rows(
            db,
            "select max(rank) from dispatch_decisions where team = :team and decision = 'treated'",
            team=team,
        )[0][0]
        beyond = rows(
            db, "select distinct decision from dispatch_decisions where team = :team and rank > :last",
            team=team, last=last,
        )  # fmt: skip
        assert beyond == [("not_reached",)]


def test_leave_in_the_days_of_the_cycle_lowers_its_capacity(db, lake, config):
    staff = hire(db, contacts_per_day=4)
    leave = (
        "insert into absences (staff_id, from_on, until_on, recorded_at, recorded_by)"
        " values (:who, :day, :day, now(), 'x')"
    )
    with db.begin():
        db.execute(sa.text(leave), {"who": staff.agent, "day": date(2026, 11, 6)})
        db.execute(
            sa.text(leave), {"who": staff.colleague, "day": date(2026, 11, 20)}
        )  # after the cycle's days
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(100)), now=NOW))
    assert (result["teams"]["mid_high"]["capacity"], result["treated"]) == (20, 20)


def test_the_cut_is_explained_and_kept(db, lake, config):
    hire(db, contacts_per_day=4)
    config = _all_treated(config)
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(100)), now=NOW))
    assert result["cut"]["one_more_agent"] == [{"team": "mid_high", "tickets": 12, "yuan_a_month": None}]
    assert result["message"].startswith("100 admitted may be called, 24 within reach this cycle")
    assert rows(db, "select dispatch_summary -> 'cut' ->> 'effect_is' from cycles") == [("assumed",)]


def test_a_refusal_told_to_us_bars_both_numbers_of_a_customer_in_every_campaign(db, lake, config):
    staff = hire(db, contacts_per_day=50)
    with db.begin():
        db.execute(
            sa.text(
                "insert into refusals (customer_key, subscriber_id, refused_at, staff_id, words)"
                " values ('C1', 'S0001', now(), :who, 'no calls')"
            ),
            {"who": staff.agent},
        )
    warned = [Warned("S0001", "C9"), Warned("S0002", "C1"), Warned("S0003", "C3")]
    result = dispatch(run_of(**graded_cycle(db, lake, config, warned), now=NOW))
    assert result["ineligible"] == {"refused": 2}


def test_an_arm_holds_for_the_half_year_even_when_the_share_changes(db, lake, config):
    first = dispatch(
        run_of(
            **graded_cycle(db, lake, config, people(80), month="2026-07"),
            now=datetime(2026, 8, 5, 7, tzinfo=ZONE),
        )
    )
    cancel_everything(db)
    changed = _all_treated(config)
    later = dispatch(run_of(**graded_cycle(db, lake, changed, people(80), month="2026-10"), now=NOW))
    assert (later["treated"], later["held_out"]) == (first["treated"], first["held_out"])


def _with_campaign(config: Config, campaign: Any) -> Config:
    file = f"campaigns/monthly/{CAMPAIGN}.yaml"
    texts = {**config.texts, file: config.texts[file] + "# changed\n"}
    return replace(config, campaigns={CAMPAIGN: campaign}, texts=texts, hash=config.hash[::-1])


def test_who_must_not_be_called_is_in_neither_arm_and_counted_by_reason(db, lake, config):
    put(
        lake, "subscriber_changes", "2026-11",
        [
            {"subscriber_id": "S0001", "occurred_at": datetime(2026, 11, 2, tzinfo=UTC), "kind": "port_out_applied"},
            {"subscriber_id": "S0002", "occurred_at": datetime(2026, 11, 3, tzinfo=UTC), "kind": "left"},
            {"subscriber_id": "S0003", "occurred_at": datetime(2026, 11, 6, tzinfo=UTC), "kind": "left"},
        ],
        CHANGES,
    )  # fmt: skip
    put(
        lake, "contact_limits", "2026-09",
        [
            {"subscriber_id": "S0004", "kind": "refused", "valid_from": SEPTEMBER, "valid_to": SEPTEMBER},
            {"subscriber_id": "S0005", "kind": "red_list", "valid_from": SEPTEMBER, "valid_to": SEPTEMBER},
            {"subscriber_id": "S0006", "kind": "red_list", "valid_from": SEPTEMBER, "valid_to": None},
        ],
        LIMITS,
    )  # fmt: skip
    warned = [*people(6), Warned("S0007", consents=False)]
    result = dispatch(run_of(**graded_cycle(db, lake, config, warned), now=NOW))
    assert result["ineligible"] == {
        "gone": 1,
        "no_consent": 1,
        "port_out_applied": 1,
        "red_list": 1,
        "refused": 1,
    }
    # S0003 leaves after as_of and S0005's limit is over: nobody knows, nothing bars
    assert rows(db, "select subscriber_id from assignments order by 1") == [("S0003",), ("S0005",)]


def test_one_customer_gets_one_ticket_and_the_other_number_is_linked_to_it(db, lake, config):
    warned = [Warned("S0001", customer_id="C1"), Warned("S0002", customer_id="C1"), Warned("S0003")]
    config = _all_treated(config)
    dispatch(run_of(**graded_cycle(db, lake, config, warned), now=NOW))
    assert rows(
        db,
        "select d.reason, t.subscriber_id from dispatch_decisions as d join tickets as t"
        " on t.ticket_id = d.linked_ticket_id where d.subscriber_id = 'S0002'",
    ) == [("same_customer", "S0001")]


def _all_treated(config: Config) -> Config:
    draw = config.measures[CAMPAIGN].model_copy(update={"share": 0.0})
    return replace(config, measures={**config.measures, CAMPAIGN: draw})


def test_a_number_keeps_its_arm_when_its_customer_becomes_known_or_changes(db, lake, config):
    config = _with_campaign(config, config.campaign(CAMPAIGN).model_copy(update={"cooling_off_days": 0}))
    july = graded_cycle(db, lake, config, people(60), month="2026-07")
    dispatch(run_of(**july, now=datetime(2026, 8, 5, 7, tzinfo=ZONE)))
    cancel_everything(db)
    known = [Warned(f"S{number:04d}", customer_id=f"C{number:04d}") for number in range(1, 61)]
    dispatch(run_of(**graded_cycle(db, lake, config, known), now=NOW))
    both = "select subscriber_id from assignments group by subscriber_id having count(distinct arm) > 1"
    assert rows(db, both) == []
    assert rows(db, "select count(*) from assignments where cycle = '2026-10'") == [(60,)]


def test_a_customer_whose_numbers_were_in_both_arms_is_in_neither(db, lake, config):
    config = _with_campaign(config, config.campaign(CAMPAIGN).model_copy(update={"cooling_off_days": 0}))
    july = graded_cycle(db, lake, config, people(60), month="2026-07")
    dispatch(run_of(**july, now=datetime(2026, 8, 5, 7, tzinfo=ZONE)))
    cancel_everything(db)
    pair = [
        rows(db, f"select min(subscriber_id) from assignments where arm = '{arm}'")[0][0]
        for arm in ("treated", "held_out")
    ]
    joined = [Warned(name, customer_id="C1") for name in pair]
    result = dispatch(run_of(**graded_cycle(db, lake, config, joined), now=NOW))
    assert result["ineligible"] == {"mixed_arms": 2}


def test_an_unfinished_ticket_is_found_by_its_number_too(db, lake, config):
    config = _with_campaign(
        _all_treated(config), config.campaign(CAMPAIGN).model_copy(update={"cooling_off_days": 0})
    )
    dispatch(
        run_of(
            **graded_cycle(db, lake, config, people(1), month="2026-09"),
            now=datetime(2026, 10, 8, 7, tzinfo=ZONE),
        )
    )
    result = dispatch(run_of(**graded_cycle(db, lake, config, [Warned("S0001", customer_id="C1")]), now=NOW))
    assert result["ineligible"] == {"unfinished_ticket": 1}


def test_grades_of_another_as_of_are_not_dispatched(db, lake, config):
    given = graded_cycle(db, lake, config, people(3))
    other = given["as_of"] - timedelta(days=1)
    open_cycle(db=db, config=config, campaign=CAMPAIGN, cycle=MONTH, as_of=other, now=NOW)
    with pytest.raises(Refused, match="Run prediction and grading for this as_of first"):
        dispatch(run_of(**given | {"as_of": other}, now=NOW))
    assert rows(db, "select fixed_at from cycles") == [(None,)]


def test_agents_all_absent_today_are_still_the_capacity_of_the_cycle(db, lake, config):
    hire(db, contacts_per_day=1)
    with db.begin():
        db.execute(sa.text("update staff set is_present = false"))
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(30)), now=NOW))
    assert (result["capacity"], result["treated"]) == (9, 6)
    assert rows(db, "select distinct state from tickets") == [("waiting",)]


def test_the_arms_are_alike_in_what_was_known_before(db, lake, config):
    warned = [
        Warned(f"S{number:04d}", value_yuan=30 + number % 70, tenure_months=number % 97)
        for number in range(1, 2001)
    ]
    dispatch(run_of(**graded_cycle(db, lake, config, warned), now=NOW))
    means = rows(
        db,
        "select avg(w.value_yuan), avg(w.tenure_months), avg(w.rank) from assignments as a"
        " join warnings as w using (campaign, cycle, subscriber_id) group by a.arm order by a.arm",
    )
    for held_out, treated in zip(*means, strict=True):
        assert abs(float(held_out) - float(treated)) < 0.12 * float(treated)


def test_an_unfinished_ticket_suppresses_a_second_one_and_is_linked(db, lake, config):
    campaign = config.campaign(CAMPAIGN).model_copy(update={"cooling_off_days": 0})
    config = _with_campaign(_all_treated(config), campaign)
    dispatch(
        run_of(
            **graded_cycle(db, lake, config, people(1), month="2026-09"),
            now=datetime(2026, 10, 8, 7, tzinfo=ZONE),
        )
    )
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(1)), now=NOW))
    assert result["ineligible"] == {"unfinished_ticket": 1}
    assert rows(db, "select count(*) from dispatch_decisions where linked_ticket_id is not null") == [(1,)]


def test_after_an_assignment_both_arms_are_left_in_peace_alike(db, lake, config):
    dispatch(
        run_of(
            **graded_cycle(db, lake, config, people(40), month="2026-09"),
            now=datetime(2026, 10, 8, 7, tzinfo=ZONE),
        )
    )
    cancel_everything(db)
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(40)), now=NOW))
    assert result["ineligible"] == {"cooling_off": 40}


def test_a_second_dispatch_changes_nothing_and_says_so(db, lake, config):
    given = graded_cycle(db, lake, config, people(30))
    dispatch(run_of(**given, now=NOW))
    before = state(db)
    again = dispatch(run_of(**given, now=NOW + timedelta(days=1)))
    assert (again["already_fixed"], again["treated"], again["would_differ"]) == (True, 0, 0)
    assert state(db) == before


def test_a_month_that_is_over_is_not_dispatched_unless_a_person_says_so(db, lake, config):
    given = graded_cycle(db, lake, config, people(5))
    late = datetime(2026, 12, 1, 0, 0, tzinfo=ZONE)
    assert "is over" in dispatch(run_of(**given, now=late))["message"]
    assert rows(db, "select count(*) from assignments") == [(0,)]
    result = dispatch(run_of(**given, now=late), Choices(dispatch_late=True))
    assert result["treated"] + result["held_out"] == 5


def test_a_top_up_adds_new_high_risk_within_the_capacity_left(db, lake, config):
    config = _all_treated(config)
    hire(db, contacts_per_day=1)  # two agents of mid_high: capacity 6
    given = graded_cycle(db, lake, config, people(3))
    dispatch(run_of(**given, now=NOW))
    with db.begin():
        db.execute(
            sa.text(
                "insert into cycle_revisions select campaign, cycle, 1, as_of, config_hash, now(), null from cycles"
            )
        )
        db.execute(
            sa.text(
                "insert into warnings select campaign, cycle, 1, 'N' || n, 'N' || n, cluster, probability,"
                " model_version, grade, tier, 100 + n, rule_hits, rule_points, value_yuan, region_code, branch_code,"
                " tenure_months, is_admitted"
                " from warnings cross join generate_series(1, 5) as n where rank = 1"
            )
        )
    for table, target in (
        (scores_of(CAMPAIGN), scores_of(CAMPAIGN, 1)),
        (grades_of(CAMPAIGN), grades_of(CAMPAIGN, 1)),
        ("factors", "factors"),
    ):
        put_copy(lake, table, target, [f"N{n}" for n in range(1, 6)])
    result = dispatch(run_of(**given, now=NOW, revision=1), Choices(top_up=True))
    assert (result["treated"], result["not_reached"], result["top_up"]) == (3, 2, True)
    assert rows(db, "select count(*) from tickets") == [(6,)]


def put_copy(lake: Lake, table: str, target: str, extra: list[str]) -> None:
    manifest = lake.manifest(table, MONTH)
    frame = lake.scan(table, MONTH).collect()
    added = pl.concat([frame.head(1).with_columns(subscriber_id=pl.lit(name)) for name in extra])
    part = lake.write_part(target, MONTH, 0, pl.concat([frame, added]), "again")
    lake.publish(target, MONTH, [part], fingerprint="again", facts=manifest.facts | {"revision": 1})


def test_evidence_is_the_same_bytes_whenever_it_is_made(db, lake, config, database_url, execute):
    given = graded_cycle(db, lake, config, people(20))
    dispatch(run_of(**given, now=NOW))
    mine = state(db)
    assert {row[4] for row in mine} and json.loads(mine[0][3])["rules"][0]["rule"] == "arpu_falling"
    with db.begin():
        for table in ("dispatch_decisions", "ticket_phones"):
            db.execute(sa.text(f"delete from {table}"))
    name = database_url.rpartition("/")[2]
    execute(
        "set session_replication_role = replica; delete from ticket_clocks; delete from ticket_events;"
        " delete from tickets;"
        " delete from assignments; delete from arms; delete from subscriber_arms;"
        " update cycles set fixed_at = null, fixed_facts = null",
        database=name,
    )
    dispatch(run_of(**given, now=NOW + timedelta(days=7)))
    assert state(db) == mine


def test_the_cycle_remembers_what_fixed_it(db, lake, config):
    dispatch(run_of(**graded_cycle(db, lake, config, people(3)), now=NOW))
    facts = rows(db, "select fixed_facts from cycles")[0][0]
    assert facts["config_hash"] == config.hash
    assert facts["inputs"] == {"factors": "test", "scores": "test"}


def test_a_cycle_reopened_with_another_as_of_is_refused(db, lake, config):
    given = graded_cycle(db, lake, config, people(3))
    with pytest.raises(Refused, match="was reopened with as_of"):
        dispatch(run_of(**given | {"as_of": given["as_of"] - timedelta(days=1)}, now=NOW))


def test_a_clock_behind_as_of_dispatches_nothing(db, lake, config):
    given = graded_cycle(db, lake, config, people(3))
    with pytest.raises(NotReady, match=r"It is 2026-11-05T05:59:59\+08:00, before as_of 2026-11-05T06:00:00"):
        dispatch(run_of(**given, now=given["as_of"] - timedelta(seconds=1)))
    assert rows(db, "select fixed_at from cycles") == [(None,)]
    assert rows(db, "select count(*) from assignments") == [(0,)]
    assert dispatch(run_of(**given, now=given["as_of"]))["treated"] > 0


def test_warnings_of_a_fixed_cycle_cannot_be_rewritten(db, lake, config):
    dispatch(run_of(**graded_cycle(db, lake, config, people(3)), now=NOW))
    with pytest.raises(sa.exc.IntegrityError, match="fixed since its first dispatch"), db.begin():
        db.execute(sa.text("delete from warnings"))


def test_an_unusually_large_dispatch_asks_a_person(db, lake, config):
    given = graded_cycle(db, lake, config, people(30))
    asked = {name: value for name, value in given.items() if name != "as_of"}
    assert plan_size(run_of(**asked, now=NOW), Choices())["ask"] is False
    campaign = config.campaign(CAMPAIGN)
    small = campaign.model_copy(update={"approval": campaign.approval.model_copy(update={"tickets": 10})})
    told = plan_size(run_of(**asked | {"config": _with_campaign(config, small)}, now=NOW), Choices())
    assert told["ask"] is True
    assert "more than 10 need approval" in told["why"]


GRADED_ANEW = (
    "with gone as (delete from warnings where {who} returning *) insert into warnings"
    " select (jsonb_populate_record(cast(null as warnings), to_jsonb(gone) || {change})).* from gone"
)


@pytest.mark.parametrize(
    "change",
    [
        "delete from warnings where subscriber_id = 'S0002'",
        GRADED_ANEW.format(change="jsonb_build_object('rank', 3 - rank)", who="rank < 3"),
        GRADED_ANEW.format(change="""'{"grade": "mid"}'""", who="subscriber_id = 'S0002'"),
    ],
)
def test_a_plan_that_changed_since_it_was_approved_is_not_dispatched(db, lake, config, change):
    given = graded_cycle(db, lake, config, people(5))
    planned = _fingerprint(given)
    with db.begin():
        db.execute(sa.text(change))
    with pytest.raises(
        Refused, match=rf"Plan {planned} is not what would be dispatched now .* Clear dispatch\.plan"
    ):
        dispatch(run_of(**given, now=NOW), Choices(planned=planned))
    assert rows(db, "select fixed_at from cycles") == [(None,)]
    assert dispatch(run_of(**given, now=NOW), Choices(planned=_fingerprint(given)))["treated"] > 0


def test_another_as_of_or_configuration_is_another_plan(db, lake, config):
    given = graded_cycle(db, lake, config, people(3))
    planned = _fingerprint(given)
    assert _fingerprint(given | {"config": replace(config, hash="another")}) != planned == _fingerprint(given)
    with db.begin():
        db.execute(sa.text("update cycles set as_of = as_of - interval '1 hour'"))
    assert _fingerprint(given) != planned


def test_the_plan_that_was_approved_is_dispatched_whoever_was_hired_or_fell_ill_since(db, lake, config):
    given = graded_cycle(db, lake, config, people(5))
    planned = _fingerprint(given)
    hire(db, contacts_per_day=1)
    assert _fingerprint(given) == planned
    assert dispatch(run_of(**given, now=NOW), Choices(planned=planned))["treated"] > 0


def _fingerprint(given):
    return plan_size(
        run_of(**{name: value for name, value in given.items() if name != "as_of"}, now=NOW), Choices()
    )["fingerprint"]


def test_a_top_up_asks_like_a_first_dispatch(db, lake, config):
    given = graded_cycle(db, lake, config, people(30))
    dispatch(run_of(**given, now=NOW))
    campaign = config.campaign(CAMPAIGN)
    small = campaign.model_copy(update={"approval": campaign.approval.model_copy(update={"tickets": 10})})
    asked = {name: value for name, value in given.items() if name != "as_of"}
    asked["config"] = _with_campaign(config, small)
    assert plan_size(run_of(**asked, now=NOW), Choices())["ask"] is False
    assert plan_size(run_of(**asked, now=NOW), Choices(top_up=True))["ask"] is True


def test_a_share_warned_that_jumps_asks_a_person(db, lake, config):
    with db.begin():
        db.execute(sa.text("insert into configurations values ('old', '{}', now())"))
        db.execute(
            sa.text(
                "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at, fixed_at, fixed_facts,"
                " dispatch_summary) values ('churn_warning', '2026-09', '2026-09', now(), 'old', now(), now(), '{}',"
                """ '{"high": 10, "scored": 1000}')"""
            )
        )
    given = graded_cycle(db, lake, config, people(30))
    told = plan_size(
        run_of(**{name: value for name, value in given.items() if name != "as_of"}, now=NOW), Choices()
    )
    assert told["ask"] is True and told["share_warned_times"] == 100


def test_two_dispatchers_at_once_make_one_set_of_tickets(db, lake, config, role_url):
    given = graded_cycle(db, lake, config, people(50))
    told: list[dict[str, Any]] = []

    def run() -> None:
        made = engine(role_url("churn_loop"))
        with made.connect() as own:
            told.append(dispatch(run_of(**given | {"db": own}, now=NOW)))
        made.dispose()

    threads = [threading.Thread(target=run) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(bool(each.get("already_fixed")) for each in told) == [False, True, True]
    assert rows(db, "select count(*), count(distinct subscriber_id) from assignments") == [(50, 50)]


MODEL = {"version": "m-1", "kind": "xgboost", "base_rate": 0.02, "sha256": "x", "trained_for": "2026-08"}
BY_RULES = {"version": "rules-1", "kind": "rules", "base_rate": None}


@pytest.mark.parametrize(
    ("champions", "version"),
    [
        ({"pooled": MODEL | {"is_out_of_fold": True}}, "m-1"),
        ({"pooled": BY_RULES, "over_12": MODEL}, "rules-1"),
        ({"pooled": BY_RULES}, None),  # the rules are no model to go back to
        ({"pooled": MODEL | {"trained_for": "2026-10"}}, None),  # it knows the answers of the month
    ],
)
def test_the_last_champion_is_the_model_of_the_cycle_dispatched_before(db, champions, version):
    with db.begin():
        db.execute(sa.text("insert into configurations values ('old', '{}', now())"))
        db.execute(
            sa.text(
                "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at, fixed_at, fixed_facts)"
                " values ('churn_warning', '2026-09', '2026-09', now(), 'old', now(), now(),"
                " jsonb_build_object('champions', cast(:champions as jsonb)))"
            ),
            {"champions": json.dumps(champions)},
        )
        found = champions_before(db, {"campaign": CAMPAIGN, "cycle": MONTH}, MONTH)
    assert (found and found["pooled"]["version"]) == version
    assert not any(each["is_out_of_fold"] for each in (found or {}).values())


def test_the_figures_of_the_question_are_split_against_the_cycle_before(db, lake, config):
    config = _with_campaign(config, config.campaign(CAMPAIGN).model_copy(update={"cooling_off_days": 0}))
    july = graded_cycle(db, lake, config, people(20), month="2026-07")
    dispatch(run_of(**july, now=datetime(2026, 8, 5, 7, tzinfo=ZONE)))
    given = graded_cycle(db, lake, config, people(30))
    campaign = config.campaign(CAMPAIGN)
    small = campaign.model_copy(update={"approval": campaign.approval.model_copy(update={"tickets": 10})})
    asked = {name: value for name, value in given.items() if name != "as_of"}
    told = plan_size(run_of(**asked | {"config": _with_campaign(config, small)}, now=NOW), Choices())
    assert told["before"] == "2026-07"
    assert told["figures"]["cluster"] == [("over_12", 30, 20)]
    assert told["figures"]["rule"] == [("arpu_falling", 30, 20)]
    assert (told["may_rescore"], told["last_champion"]) == (True, [])


def test_no_more_than_was_approved_goes_out_and_the_arms_stay_comparable(db, lake, config):
    result = dispatch(run_of(**graded_cycle(db, lake, config, people(100)), now=NOW), Choices(most=20))
    assert result["treated"] == 20
    last = rows(db, "select max(rank) from assignments where arm = 'treated'")[0][0]
    assert rows(db, "select count(*) from assignments where rank > :last", last=last) == [(0,)]


@pytest.mark.parametrize(
    ("name", "most"), [("find_candidates", 7_000), ("find_better_placed", 1_000), ("find_barred", 20_000)]
)
def test_what_bars_a_customer_is_looked_up_however_long_the_history(db, lake, config, name, most):
    """Compared pair by pair, 200 warnings and 4,500 assignments, or 3,000 limits, would make a million rows."""
    hire(db)
    for cycle in ("2026-06", "2026-07", "2026-08"):
        fill_cycle(db, 1500, cycle)
        cancel_everything(db)
    refused = (
        "insert into standing_limits (month, subscriber_id, customer_key, kind, valid_from, recorded_at)"
        " select '2026-09', 'S' || n, 'S' || n, 'refused', date '2026-09-01', now() from generate_series(1, 3000) as n"
    )
    rows(db, f"{refused} returning 1")
    given = graded_cycle(db, lake, config, people(200))
    values = {
        "campaign": CAMPAIGN, "cycle": MONTH, "revision": 0, "epoch": "2026H2", "as_of": given["as_of"],
        "cooling_off_days": 90, "day": NOW.date(), "measure": CAMPAIGN, "now": NOW, "precedence": 10,
        "beside_others": False,
    }  # fmt: skip
    ((plan,),) = rows(db, f"explain (analyze, format json) {load('stages/dispatch')[name].text}", **values)
    assert read_by(plan[0]["Plan"]) < most, json.dumps(plan)


def read_by(plan: dict[str, Any]) -> int:
    """How many rows of tables and lists a plan looked at, those it threw away too."""
    looked = plan["Actual Rows"] + sum(value for key, value in plan.items() if key.startswith("Rows Removed"))
    below = sum(read_by(each) for each in plan.get("Plans", ()))
    is_read = "Scan" in plan["Node Type"] or "Rows Removed by Join Filter" in plan
    return below + (int(looked * plan["Actual Loops"]) if is_read else 0)
