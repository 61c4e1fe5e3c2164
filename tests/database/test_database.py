"""The operations database: any URL, one upgrade at a time, least privilege, bulk loads that keep every byte."""

import threading
from datetime import datetime

import pytest
import sqlalchemy as sa

from include.database import copy_rows, driver_url, engine, run_revisions, upgrade
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import ZONE
from include.settings import ROOT


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg", "postgresql+psycopg2"])
def test_any_postgresql_url_gets_the_driver_the_project_ships(scheme):
    assert driver_url(f"{scheme}://u:p@h:5/d").drivername == "postgresql+psycopg2"


def test_another_database_is_refused_without_telling_the_password():
    with pytest.raises(BadInput, match="'mysql' is not a PostgreSQL URL") as refused:
        driver_url("mysql://user:secret@host/db")
    assert "secret" not in str(refused.value)


def test_an_empty_database_is_brought_up_to_date_by_several_processes_at_once(empty_database):
    url, told = empty_database(), []
    threads = [threading.Thread(target=lambda: told.append(upgrade(url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    newest = max(file.stem[:4] for file in (ROOT / "sql" / "revisions").glob("*.sql"))
    assert told == [newest] * 4


def test_an_unreachable_server_is_one_sentence_without_the_password():
    with pytest.raises(NotReady, match="cannot be reached") as refused:
        upgrade("postgresql://u:secret@127.0.0.1:1/x")
    assert "secret" not in str(refused.value)


def test_a_database_never_brought_up_to_date_says_what_to_run(
    empty_database, migrated_template, role_password
):
    url = empty_database()
    user = url.replace("//postgres:", "//churn_loop:").replace(url.split(":")[2].split("@")[0], role_password)
    with pytest.raises(NotReady, match="create role churn_owner"):
        upgrade(user)


def test_the_loop_works_with_its_own_rights_whoever_logs_in(database_url):
    made = engine(database_url)
    with made.connect() as db, db.begin():
        assert db.execute(sa.text("select current_user")).scalar() == "churn_loop"
        with pytest.raises(sa.exc.ProgrammingError, match="must be owner"):
            db.execute(sa.text("drop table tickets"))
    made.dispose()


def test_the_desk_may_not_read_phone_numbers(role_url):
    made = engine(role_url("churn_desk"), role="churn_desk")
    with made.connect() as db, db.begin(), pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        db.execute(sa.text("select * from ticket_phones"))
    made.dispose()


def test_an_error_never_carries_the_values_of_the_statement(db):
    with pytest.raises(sa.exc.DBAPIError) as failed, db.begin():
        db.execute(sa.text("select cast(:msisdn as text) from nowhere"), {"msisdn": "13800138000"})
    assert "13800138000" not in str(failed.value)


def test_bulk_loads_keep_every_character(db):
    odd = ["plain", "tab\there", "line\nbreak", "back\\slash", "\\N", "回车\r", "", None]
    with db.begin():
        db.execute(sa.text("create temporary table odd (n int, words text) on commit drop"))
        assert copy_rows(db, "odd", ("n", "words"), enumerate(odd)) == len(odd)
        assert list(db.execute(sa.text("select words from odd order by n")).scalars()) == odd


def test_what_works_with_the_owners_rights_is_only_for_whom_it_was_granted(db):
    for_everybody = """
        select p.proname from pg_proc as p
        cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a
        where p.prosecdef and p.pronamespace = 'public'::regnamespace and p.prorettype <> 'trigger'::regtype
        and a.grantee = 0
    """
    with db.begin():
        assert list(db.execute(sa.text(for_everybody)).scalars()) == []


@pytest.fixture
def first_revision(empty_database):
    """A database as its first revision left it, and the URL."""
    url = empty_database()
    made = engine(url, role=None)
    with made.begin() as db:
        run_revisions(db, "0001")
    yield made, url
    made.dispose()


def test_call_backs_promised_before_they_had_a_time_of_day_can_still_be_changed(first_revision):
    made, url = first_revision
    with made.begin() as db:
        db.execute(sa.text("set local session_replication_role = replica"))  # neither ticket nor person
        db.execute(
            sa.text(
                "insert into contact_attempts (ticket_id, attempted_at, channel, result, call_back_on, note, staff_id)"
                " values (1, '2026-11-06 14:00+08', 'call', 'call_back', '2026-11-06', 'this evening', 1),"
                " (1, '2026-11-06 14:00+08', 'call', 'call_back', '2026-11-09', 'on Monday', 1)"
            )
        )
    upgrade(url)
    with made.begin() as db:
        changed = "update contact_attempts set note = null returning call_back_on::text"
        assert list(db.execute(sa.text(changed)).scalars()) == ["2026-11-06", "2026-11-09"]


def test_old_notices_stay_to_be_read_and_page_nobody_after_the_upgrade(first_revision):
    made, url = first_revision
    with made.begin() as db:
        db.execute(
            sa.text(
                "insert into notices (dedupe_key, kind, audience, details, created_at)"
                " values ('old', 'clock_breached', 'operations', '{}', '2026-03-02 10:00+08')"
            )
        )
    upgrade(url)
    with made.begin() as db:
        kept = db.execute(sa.text("select dedupe_key, gathered_at is null as is_to_be_told from notices"))
        assert [tuple(row) for row in kept] == [("old", False)]


_TICKETS_OF_BEFORE = (
    "insert into configurations values ('test', '{}', '2026-03-05')",
    "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at)"
    " values ('churn_warning', '2026-02', '2026-02', '2026-03-05', 'test', '2026-03-05')",
    "insert into arms select 'churn_warning', '2026-01', 'S' || n, 'treated', 0.2, '2026-03-05'"
    " from generate_series(1, 3) as n",
    "insert into subscriber_arms select campaign, epoch, customer_key, arm from arms",
    "insert into assignments (campaign, cycle, subscriber_id, customer_key, epoch, arm, probability_of_assignment,"
    " rank, evidence, evidence_sha256, assigned_at) select campaign, '2026-02', customer_key, customer_key, epoch, arm,"
    " 0.8, right(customer_key, 1)::int, '{}', 'x', '2026-03-05' from arms",
    "insert into tickets (assignment_id, campaign, cycle, subscriber_id, customer_key, state, team, grade, tier, rank,"
    " dispatched_at, expected_on, released_at, outcome, closed_at)"
    " select assignment_id, campaign, cycle, subscriber_id, customer_key,"
    " case when rank < 3 then 'closed' else 'in_progress' end, 'vip', 'high', 'priority', rank, '2026-03-05',"
    " '2026-03-05', '2026-03-05', (array['retained', 'declined'])[rank],"
    " case when rank < 3 then timestamptz '2026-03-06' end from assignments",
    "insert into ticket_events (ticket_id, version, kind, to_state, actor, occurred_at)"
    " select ticket_id, version, 'contact', state, 'test', '2026-03-05' from tickets",
    "insert into ticket_clocks (ticket_id, clock, started_at, warn_at, due_at, is_provisional, explanation)"
    " select ticket_id, clock, '2026-03-05', '2026-03-06', '2026-03-09', false, '{}' from tickets"
    " cross join (values ('first_contact'), ('plan')) as k (clock)",
    "update cycles set fixed_at = '2026-03-05', fixed_facts = '{}'",
)


def test_clocks_and_endings_of_before_know_what_meets_them_and_who_was_won(first_revision):
    made, url = first_revision
    with made.begin() as db:
        for statement in _TICKETS_OF_BEFORE:
            db.execute(sa.text(statement))
    upgrade(url)
    with made.begin() as db:
        stops = db.execute(sa.text("select distinct clock, stops from ticket_clocks order by clock"))
        assert [tuple(row) for row in stops] == [("first_contact", "contact"), ("plan", "plan")]
        won = db.execute(sa.text("select is_willing, due_at is null from tickets order by rank"))
        assert [tuple(row) for row in won] == [(True, False), (False, False), (None, False)]
        cycle = db.execute(sa.text("select measure, horizon_ends_at from cycles")).one()
        assert tuple(cycle) == ("churn_warning", datetime(2026, 4, 1, tzinfo=ZONE))


def test_a_mail_address_that_is_none_is_refused_where_it_is_kept(db):
    insert = sa.text(
        "insert into staff (staff_code, name, role, team, contacts_per_day, email)"
        " values ('w', 'w', 'agent', 'vip', 1, :email)"
    )
    for email in ("wang@example.cn\nBcc: all@example.cn", "wang", "a@b.cn,c@d.cn", ""):
        with pytest.raises(sa.exc.IntegrityError, match="staff_email_is_one_address"), db.begin():
            db.execute(insert, {"email": email})
    with db.begin():
        db.execute(insert, {"email": "wang.fang@example.cn"})
