"""What has been kept long enough goes, whole months and rows; what has not stays as it was."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from include.commands.data_retention import main, retain
from include.config import Config
from include.config.readers.plain import read_yaml
from include.config.readers.retention import parse
from include.domain.errors import ConfigError
from include.domain.periods.months import ZONE
from include.lake import Lake
from include.lake.campaigns import LABELS, SCORES, of_campaign
from include.stages import collection
from tests.fixtures.work import fill_cycle, hire

NOW = datetime(2026, 11, 22, 7, 0, tzinfo=ZONE)
LONG_AFTER = NOW + timedelta(days=1200)


def publish(lake: Lake, table: str, month: str) -> None:
    part = lake.write_part(table, month, 0, pl.DataFrame({"subscriber_id": ["S1", "S2"]}), "run")
    lake.publish(table, month, [part])


def kept(db: sa.Connection, table: str) -> int:
    with db.begin():
        return int(db.execute(sa.text(f"select count(*) from {table}")).scalar_one())


def run(db: sa.Connection, *statements: str, **values: object) -> None:
    with db.begin():
        for statement in statements:
            db.execute(sa.text(statement), {"now": NOW, **values})


@pytest.fixture
def worked(db: sa.Connection) -> int:
    """A ticket closed today with everything that is kept about it for a time; a second one is still open."""
    agent = hire(db).agent
    closed = fill_cycle(db, 2)[0]
    run(db, *_WORKED, id=closed, agent=agent)
    return closed


_WORKED = (
    "insert into ticket_phones select ticket_id, '1380' || ticket_id from tickets",
    "insert into contact_attempts (ticket_id, attempted_at, channel, result, note, staff_id)"
    " select ticket_id, :now, 'call', 'reached', 'said so', :agent from tickets",
    "insert into notices (dedupe_key, kind, audience, ticket_id, details, created_at)"
    " select ticket_id::text, 'told', 'lead', ticket_id, '{}', :now from tickets",
    "insert into warnings (campaign, cycle, revision, subscriber_id, customer_key, cluster, model_version, grade, tier,"
    " rank, rule_hits, rule_points) select campaign, cycle, 0, subscriber_id, customer_key, 'over_12', 'r', 'high',"
    " 'priority', rank, '{}', 1 from tickets",
    "update cycles set fixed_at = :now, fixed_facts = '{}'",
    "insert into dispatch_decisions (campaign, cycle, subscriber_id, customer_key, rank, decision, decided_at)"
    " select campaign, cycle, subscriber_id, customer_key, rank, 'treated', :now from tickets",
    "insert into audit_log (happened_at, actor, action, subject, details)"
    " values (cast(:now as timestamptz) - interval '1000 days', 'a', 'reveal', 'x', '{}')",
    "insert into deliveries (feed, period, fingerprint, files, rows_read, rows_accepted, rows_quarantined, is_complete,"
    " is_current, run_id, collected_at) values ('churned', '2026-09', 'a', 1, 1, 1, 0, true, false, 'r', :now),"
    " ('churned', '2026-09', 'b', 1, 1, 1, 0, true, true, 'r', :now)",
    "insert into stage_runs (campaign, cycle, stage, finished_at, seconds, peak_mb, facts)"
    " select 'churn_warning', '2026-10', stage, :now, 1, 1, '{}' from unnest(array['features', 'training']) as stage",
    "insert into needs_surveys (ticket_id, recorded_at, staff_id, needs, note)"
    " select ticket_id, :now, :agent, '{other}', 'her mother' from tickets",
    "insert into retention_plans (ticket_id, recorded_at, strategy, offer, offer_reason, cost_yuan, note, staff_id)"
    " select ticket_id, :now, 's', 'o', 'price', 9, 'said so', :agent from tickets",
    "insert into plan_processings (plan_id, ticket_id, result, processed_at, staff_id, note)"
    " select plan_id, ticket_id, 'failed', :now, :agent, 'said so' from retention_plans",
    "insert into inbound_contacts (campaign, subscriber_id, customer_key, recorded_at, staff_id, channel, needs, said,"
    " done) values ('churn_warning', 'S1', 'S1', :now, :agent, 'call', '{}', 'her mother', 'listened')",
    "insert into linked_tasks (ticket_id, inbound_id, unit, words, opened_at, opened_by, due_at,"
    " is_provisional, done_at,"
    " result) select t, i, 'network', 'at hers', :now, :agent, cast(:now as timestamptz) + interval"
    " '1 day', false, d, r"
    " from (select ticket_id as t, null::bigint as i, cast(:now as timestamptz) as d, 'ok' as r from tickets"
    " union all select null, inbound_id, null, null from inbound_contacts) as of_both",
    "insert into refusals (subscriber_id, customer_key, refused_at, staff_id, ticket_id, inbound_id, words)"
    " select 'S1', 'S1', :now, :agent, null, inbound_id, 'never again' from inbound_contacts"
    " union all select 'S2', 'S2', :now, :agent, cast(:id as bigint), null, 'never again'",
    "insert into messages (dedupe_key, channel, severity, subject, body, notices, created_at, next_attempt_at,"
    " delivered_at) select 'm' || n, 'operations', 'page', 's', 'b', 1, :now, :now, :now from"
    " generate_series(1, 2) as n",
    "insert into message_notices select message_id, notice_id from messages, notices"
    " where notices.ticket_id = :id or messages.dedupe_key = 'm2'",
    "insert into outreach_items (campaign, cycle, subscriber_id, customer_key, rank, grade, decision, listed_at)"
    " select campaign, cycle, subscriber_id, customer_key, 1, grade, 'not_reached', :now from tickets",
    "insert into absences (staff_id, from_on, until_on, reason, recorded_at, recorded_by)"
    " values (:agent, '2026-11-01', '2026-11-03', 'ill', :now, 'lead')",
    "insert into shifts (staff_id, day) values (:agent, '2026-11-04')",
    "with ended as (update tickets set state = 'cancelled', version = 2, closed_at = :now where ticket_id = :id"
    " returning ticket_id) insert into ticket_events (ticket_id, version, kind, from_state, to_state, actor,"
    " occurred_at, details) select ticket_id, 2, 'cancel', 'waiting', 'cancelled', 'L', :now,"
    """ '{"reason": "她母亲住院"}' from ended""",
)
TABLES = (
    "ticket_phones", "notices", "warnings", "dispatch_decisions", "audit_log", "deliveries", "stage_runs",
    "tickets", "ticket_events", "contact_attempts", "messages", "message_notices",
)  # fmt: skip


def test_nothing_goes_before_its_time(db: sa.Connection, lake: Lake, config: Config, worked: int) -> None:
    publish(lake, "contacts", "2026-08")
    publish(lake, "usage_months", "2023-11")
    assert retain(db=db, lake=lake, config=config, now=NOW)["gone"] == {}
    assert kept(db, "retentions") == 0


def test_what_has_been_kept_long_enough_goes_and_the_record_stays(
    db: sa.Connection, lake: Lake, config: Config, worked: int, as_admin: Callable[..., None]
) -> None:
    as_admin("set local session_replication_role = replica", "update cycles set month = '2016-10'")
    lake.write_file("quarantine/churned/period=2026-09/a.parquet", b"")
    told = retain(db=db, lake=lake, config=config, now=LONG_AFTER, dry_run=True)
    before = {table: kept(db, table) for table in TABLES}
    assert retain(db=db, lake=lake, config=config, now=LONG_AFTER)["gone"] == told["gone"]
    # one of two tickets is still open: its number, notes, notice and evidence stay
    assert told["gone"] == {
        "lake.quarantine": 1, "phones": 1, "notes": 7, "inbound": 2, "evidence": 1, "warnings": 2, "decisions": 2,
        "outreach": 2, "notices": 2, "absences": 2, "stage_runs": 1, "deliveries": 1, "audit_log": 1,
    }  # fmt: skip
    gone = {table: before[table] - kept(db, table) for table in TABLES}
    assert gone == {
        "ticket_phones": 1, "notices": 1, "messages": 1, "message_notices": 2,
        "warnings": 2, "dispatch_decisions": 2, "audit_log": 1, "deliveries": 1,
        "stage_runs": 1, "tickets": 0, "ticket_events": 0, "contact_attempts": 0,
    }  # fmt: skip
    assert kept(db, "retentions") == 12
    with db.begin():
        notes = db.execute(
            sa.text("select count(*) from contact_attempts where note is not null")
        ).scalar_one()
        said = db.execute(
            sa.text("select details ->> 'reason' from ticket_events where version = 2")
        ).scalar_one()
    assert (notes, said) == (1, "erased")
    assert retain(db=db, lake=lake, config=config, now=LONG_AFTER)["gone"] == {}


def test_whole_months_of_the_lake_go_by_the_period_of_their_table(
    db: sa.Connection, lake_root: str, config: Config
) -> None:
    lake = Lake.create(lake_root)
    labels, scores = of_campaign(LABELS, "renewal"), of_campaign(SCORES, "signals")
    for month in ("2026-07", "2026-08"):
        publish(lake, "contacts", month)
    for month in ("2023-10", "2023-11"):
        publish(lake, "usage_months", month)
    publish(lake, labels, "2023-10")
    publish(lake, scores, "2024-10-31")  # a daily campaign goes day by day, by the months of scores
    publish(lake, scores, "2024-11-01")
    told = retain(db=db, lake=lake, config=config, now=NOW)
    assert told["gone"] == {"lake.contacts": 2, f"lake.{scores}": 2, "lake.usage_months": 2}
    assert {table: lake.months(table) for table in lake.tables()} == {
        "contacts": ["2026-08"],
        labels: ["2023-10"],
        scores: ["2024-11-01"],
        "usage_months": ["2023-11"],
    }
    assert not any("2023-10" in name for name in lake.store.below("usage_months"))


def test_what_is_no_longer_kept_is_not_collected_again(
    db: sa.Connection, lake: Lake, config: Config, tmp_path: Path
) -> None:
    for month in ("2023-10", "2023-11"):
        folder = tmp_path / "landing" / "usage_months" / f"month={month}"
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text("subscriber_id,bill_yuan\nS1,1\n")
    site = collection.Site(db, lake, config, tmp_path / "landing", NOW)
    found = collection.plan(site, as_of=NOW)
    assert found == [{"feed": "usage_months", "period": "2023-11"}]


def test_the_audit_log_is_kept_half_a_year_at_least(db: sa.Connection) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="180 days"), db.begin():
        db.execute(
            sa.text("select retire_audit(:before, :now)"), {"before": NOW - timedelta(days=90), "now": NOW}
        )


def test_a_clock_in_the_future_shortens_the_audit_log_by_nothing(db: sa.Connection) -> None:
    entry = (
        "insert into audit_log (happened_at, actor, action, subject, details)"
        " select now() - make_interval(days => ago), 'a', 'reveal', 'x', '{}' from unnest(array[170, 190]) as ago"
    )
    ahead = "select retire_audit(now() + interval '9 years', now() + interval '10 years')"
    with db.begin():
        db.execute(sa.text(entry))
        assert db.execute(sa.text(ahead)).scalar_one() == 1
    assert kept(db, "audit_log") == 1


@pytest.mark.parametrize(("months_ago", "goes"), [(4, False), (8, True)])
def test_a_month_in_the_future_takes_no_warning_before_its_time(
    db: sa.Connection, worked: int, as_admin: Callable[..., None], months_ago: int, goes: bool
) -> None:
    as_admin(
        "set local session_replication_role = replica",
        "update cycles set month = to_char(now() - make_interval(months => :ago), 'YYYY-MM')",
        ago=months_ago,
    )
    with db.begin():
        db.execute(sa.text("select retire_warnings('2999-01')"))
    assert (kept(db, "warnings") == 0) is goes


def test_the_desk_may_neither_retire_nor_erase(role_url) -> None:  # type: ignore[no-untyped-def]
    made = sa.create_engine(
        role_url("churn_desk")
        .replace("postgres://", "postgresql://", 1)
        .replace("postgresql://", "postgresql+psycopg2://", 1),
        poolclass=sa.NullPool,
    )
    for call in ("retire_warnings('2030-01')", "erase_subscriber('S1', '{}', 'x', 'y', '2026-11-22T00:00Z')"):
        with made.connect() as desk, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            desk.execute(sa.text(f"select {call}"))


def test_the_command_prints_what_goes(db: sa.Connection, lake: Lake, role_url, capsys, worked: int) -> None:  # type: ignore[no-untyped-def]
    words = ["--lake", str(lake.root), "--db", role_url("churn_loop"), "--now", LONG_AFTER.isoformat()]
    assert main([*words, "--dry-run"]) == 0
    assert f"{'phones':<52}{1:>12}" in capsys.readouterr().out
    assert kept(db, "ticket_phones") == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{lake: {default: {months: 1}}, quarantine: {days: 9}}", "lake.default.months"),
        (
            "{lake: {default: {months: 9}}, quarantine: {days: 9}, database: {tickets: {days: 9}}}",
            "database.tickets",
        ),
        ("{lake: {default: {days: 9}}, quarantine: {days: 9}}", "lake.default.days"),
        (
            "{lake: {default: {months: 9}}, quarantine: {days: 9}, database: {warnings: {days: 179}}}",
            "database.*'warnings' is kept for 180 days at least",
        ),
    ],
)
def test_a_wrong_period_is_told_with_its_entry(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=rf"retention\.yaml, .*{told}"):
        parse(read_yaml(text, "retention.yaml"), "retention.yaml")
