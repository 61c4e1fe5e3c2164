"""Revisions are frozen by hash, and a database is what they make or is refused with the differences."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.database import engine, is_current, revisions, run_revisions, upgrade
from include.domain.errors import NotReady
from tests import freeze_revisions

DESK = "sql/revisions/0008_desk.sql"


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of sql/ that revisions are run from, to be tampered with."""
    shutil.copytree(revisions.SQL, tmp_path / "sql")
    monkeypatch.setattr(revisions, "SQL", tmp_path / "sql")
    return tmp_path


@pytest.fixture
def admin(database_url: str) -> Iterator[sa.Connection]:
    """A superuser's connection to a database made by the revisions."""
    made = engine(database_url, role=None, poolclass=sa.NullPool)
    with made.connect() as db:
        yield db


# ---------------------------------------------------------------- frozen


def test_the_hashes_and_the_catalogue_are_those_of_the_revisions(admin):
    assert freeze_revisions.hashes() == (revisions.SQL / "revisions" / "SHA256SUMS").read_text("utf-8")
    with admin.begin():
        assert freeze_revisions.catalogue(admin) == (revisions.SQL / "catalogue.tsv").read_text("utf-8")


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (lambda file: change(file, "'****'", "p.msisdn"), f"{DESK} is not the text that was released"),
        (lambda file: file.unlink(), f"{DESK} is missing. Take it back: git checkout -- {DESK}"),
        (
            lambda file: file.with_name("0099_more.sql").write_text("select 1"),
            r"sql/revisions/0099_more.sql has no hash, .* Write it: python -m tests.freeze_revisions",
        ),
    ],
    ids=["edited", "lost", "added"],
)
def test_a_tampered_revision_is_refused_by_its_name_and_nothing_is_run(
    checkout, empty_database, tamper, told
):
    tamper(checkout / DESK)
    url = empty_database()
    with pytest.raises(NotReady, match=told):
        upgrade(url)
    with engine(url, role=None, poolclass=sa.NullPool).connect() as db:
        assert db.scalar(sa.text("select to_regclass('cycles')")) is None


def test_a_tampered_revision_is_refused_where_a_database_stands_as_well(checkout, database_url):
    change(checkout / DESK, "'****'", "p.msisdn")
    with pytest.raises(NotReady, match=f"{DESK} is not the text"):
        upgrade(database_url)


# ---------------------------------------------------------------- a database of other revisions


def made_by_another(checkout: Path, url: str, old: str, new: str) -> None:
    """A database of before the hashes, whose 0008 had another text."""
    change(checkout / DESK, old, new)
    (checkout / "sql" / "revisions" / "SHA256SUMS").write_text(freeze_revisions.hashes(), "utf-8")
    with engine(url, role=None, poolclass=sa.NullPool).begin() as db:
        run_revisions(db, "0010")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("left(p.msisdn, 3) || '****' || right(p.msisdn, 4) else", "p.msisdn else", "function masked_phone(bigint) is"),
        (
            "-- further sections of the desk go above this line",
            "grant select on ticket_phones to churn_desk;",
            "grant table ticket_phones to churn_desk is too much (select)",
        ),
        (" and length(name) <= 40", "", "constraint saved_views.saved_views_name_check is another"),
        # found while the revisions after it are run
        ("(msisdn text, is_over boolean)", "(msisdn text, is_over boolean, n int)", "cannot change return type"),
    ],
    ids=["function", "grant", "constraint", "on the way"],
)  # fmt: skip
def test_a_database_of_an_edited_revision_is_refused_with_the_differences_and_stays_as_it_was(
    checkout, empty_database, monkeypatch, old, new, told
):
    url = empty_database()
    made_by_another(checkout, url, old, new)
    monkeypatch.undo()
    with pytest.raises(NotReady, match="is not what its revisions make, so") as refused:
        upgrade(url)
    assert told in str(refused.value)
    with engine(url, role=None, poolclass=sa.NullPool).connect() as db:
        assert db.scalar(sa.text("select version_num from churn_revision")) == "0010"
        assert db.scalar(sa.text("select to_regclass('revision_texts')")) is None


def test_a_database_of_before_the_hashes_is_brought_up_to_date_and_its_texts_are_kept(empty_database):
    url = empty_database()
    with engine(url, role=None, poolclass=sa.NullPool).begin() as db:
        run_revisions(db, "0010")
    upgrade(url)
    with engine(url, role=None, poolclass=sa.NullPool).connect() as db:
        kept = dict(db.execute(sa.text("select revision, sha256 from revision_texts")).all())
    found = {file.name[:4]: revisions.sha256_of(file) for file in revisions.revision_files()[1::2]}
    assert kept == found


def test_a_database_that_was_run_with_another_text_is_refused_whatever_is_in_it(admin, database_url):
    with admin.begin():
        admin.execute(sa.text("update revision_texts set sha256 = repeat('0', 64) where revision = '0008'"))
    for look in (upgrade, lambda _: is_current(admin)):
        with pytest.raises(NotReady, match="revision 0008 is another"):
            look(database_url)


# ---------------------------------------------------------------- a database that differs

DIFFERENT = {
    "alter table tickets disable row level security": "table tickets is another",
    "alter table tickets owner to postgres": "table tickets is another",
    "alter table warnings disable trigger warnings_delete_before_fix": (
        "trigger warnings.warnings_delete_before_fix is another"
    ),
    "drop trigger cycles_stay_fixed on cycles": "trigger cycles.cycles_stay_fixed is missing",
    "drop policy desk_signs on audit_log": "policy audit_log.desk_signs is missing",
    "alter policy desk_works on tickets using (true)": "policy tickets.desk_works is another",
    "create policy all_see on tickets for select to churn_desk using (true)": (
        "policy tickets.all_see is too much"
    ),
    "grant delete on outcomes to churn_loop": (
        "grant table outcomes to churn_loop is another: delete, insert, select"
    ),
    "grant update (cadence) on cycles to churn_loop": (
        "grant column cycles.cadence to churn_loop is too much (update)"
    ),
    "revoke select on staff from churn_desk": "grant table staff to churn_desk is missing (select)",
    "grant execute on function erased_json to public": (
        "grant function erased_json(jsonb,text,text) to public is too much (execute)"
    ),
    "alter function desk_sees reset search_path": "function desk_sees(text,bigint) is another",
    "alter function desk_sees owner to postgres": "function desk_sees(text,bigint) is another",
    "drop table revision_texts": "table revision_texts is missing",
    "drop view board_stages": "view board_stages is missing",
    "alter view board_tickets set (security_barrier = false)": "view board_tickets is another",
    "drop index tickets_once": "index tickets.tickets_once is missing",
    "alter table staff alter name drop not null": "column staff.name is another",
    "alter table staff add nickname text": "column staff.nickname is too much",
    "alter table budget_pots drop constraint budget_pots_within_limit": (
        "constraint budget_pots.budget_pots_within_limit is missing"
    ),
    "grant create on schema public to churn_desk": (
        "grant schema public to churn_desk is another: create, usage"
    ),
    "grant churn_owner to churn_loop": "role churn_loop is another: ordinary, member of churn_owner",
    "alter role churn_desk bypassrls": "role churn_desk is another: ordinary, passes by row security",
}


@pytest.fixture(scope="module")
def standing(postgres, execute, migrated_template) -> Iterator[sa.Connection]:
    """A superuser's connection to a database of the module; whatever a test changes is undone."""
    execute(
        f"create database standing template {migrated_template} strategy file_copy",
        "revoke temporary on database standing from public",
        "grant temporary on database standing to churn_owner, churn_loop",
    )
    with engine(postgres.url("standing"), role=None, poolclass=sa.NullPool).connect() as db:
        yield db
    execute("drop database standing with (force)")


@pytest.mark.parametrize("statement", DIFFERENT)
def test_what_differs_is_named(standing, statement):
    with standing.begin() as whole:
        standing.execute(sa.text(statement))
        found = revisions.differences(standing)
        whole.rollback()
    assert DIFFERENT[statement] in found


@pytest.mark.parametrize(
    "statement",
    [
        "create table notes_of_the_administrator (n int)",
        "alter table needs_surveys validate constraint needs_surveys_other_has_words",
        "create role report; grant select on cycles to report",
        "set local search_path = pg_catalog",
    ],
)
def test_what_is_an_administrators_own_is_no_difference(standing, statement):
    with standing.begin() as whole:
        standing.execute(sa.text(statement))
        found = revisions.differences(standing)
        whole.rollback()
    assert found == []


def test_a_copy_without_its_owners_is_told_in_a_few_sentences_with_what_to_do(admin, database_url, as_admin):
    as_admin("reassign owned by churn_owner to postgres")
    with pytest.raises(NotReady) as refused:
        is_current(admin)
    told = str(refused.value)
    assert told.count(" is another") == 10
    assert "more. What each is to be stands in sql/catalogue.tsv" in told
    assert "restore a backup with its owners and grants" in told


def test_temporary_tables_for_everybody_are_told(admin, execute):
    name = str(admin.engine.url.database)
    execute(f"grant temporary on database {name} to public")
    with pytest.raises(NotReady, match=r"grant database to churn_desk is too much \(temporary\)"):
        is_current(admin)


@pytest.mark.parametrize("role", ["churn_loop", "churn_desk"])
def test_whoever_looks_sees_the_same_database(role, role_url: Callable[[str], str]):
    with engine(role_url(role), role=role, poolclass=sa.NullPool).connect() as db:
        assert is_current(db)


def test_a_server_of_another_version_words_definitions_its_own_way():
    wanted = {("policy", "a.b"): "using (true)", ("grant", "table a to churn_loop"): "select"}
    other = {("policy", "a.b"): "USING true", ("grant", "table a to churn_loop"): "delete"}
    assert revisions.compared(other, wanted, is_same_server=False) == [
        "grant table a to churn_loop is another: delete"
    ]
    assert revisions.compared({}, wanted, is_same_server=False) == [
        "grant table a to churn_loop is missing (select)",
        "policy a.b is missing",
    ]
