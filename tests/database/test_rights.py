"""Who may do what in the operations database, and attacks by those who may less."""

import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from include.config import Config
from include.database import DESK_ROLE, engine, revisions
from include.local.postgres import Server
from tests.fixtures.work import People, hire, release_two_each

RIGHTS = yaml.safe_load((Path(__file__).parent / "rights.yaml").read_text("utf-8"))
ORDER = ("select", "insert", "update", "delete")


@dataclass(frozen=True)
class Held:
    """What a catalogue grants: the roles of each function, and role → privileges of everything else."""

    functions: dict[str, str]
    relations: dict[str, dict[str, str]]
    elsewhere: dict[str, dict[str, str]]


def held(found: revisions.Catalogue) -> Held:
    """The rights of a catalogue, in the words of rights.yaml."""
    callers = {name: set() for kind, name in found if kind == "function"}
    relations = {name: defaultdict(dict) for kind, name in found if kind in ("table", "view")}
    elsewhere = defaultdict(dict)
    for (_, name), privileges in sorted((key, value) for key, value in found.items() if key[0] == "grant"):
        what, _, role = name.rpartition(" to ")
        role = {"churn_loop": "loop", "churn_desk": "desk"}.get(role, role)
        kind, _, place = what.partition(" ")
        if kind == "function":
            callers[place].add(role)
        elif kind in ("table", "column"):
            relation, _, column = place.partition(".")
            for privilege in privileges.split(", "):
                relations[relation][role].setdefault(privilege, []).append(column)
        else:
            elsewhere[what][role] = privileges
    return Held(
        {name: " and ".join(sorted(roles, reverse=True)) or "nobody" for name, roles in callers.items()},
        {name: {role: _told(given) for role, given in roles.items()} for name, roles in relations.items()},
        dict(elsewhere),
    )


def _told(given: dict[str, list[str]]) -> str:
    """Privileges in their order; of a column right the columns."""
    names = sorted(given, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    return ", ".join(name if "" in given[name] else f"{name} ({', '.join(given[name])})" for name in names)


def catalogue(db: sa.Connection) -> revisions.Catalogue:
    with db.begin():
        return revisions.catalogue(db, revisions.wanted()[1])[1]


def ask(db: sa.Connection, statement: str) -> list[str]:
    with db.begin():
        return list(db.execute(sa.text(statement)).scalars())


# ---------------------------------------------------------------- the catalogue


def test_every_function_has_its_line_and_is_for_whom_it_says(db):
    lines = {name: who for who, names in RIGHTS["functions"].items() for name in names}
    assert held(catalogue(db)).functions == lines


def test_every_table_and_view_has_its_line_and_gives_what_it_says(db):
    assert held(catalogue(db)).relations == RIGHTS["relations"]


def test_nobody_makes_more_than_is_told(db):
    assert held(catalogue(db)).elsewhere == RIGHTS["elsewhere"]


def test_a_function_or_table_without_a_line_is_found_and_begins_without_rights(db, as_admin):
    as_admin(
        "set role churn_owner",
        "create function new_one(n int) returns int language sql return n",
        "create table new_table (n int)",
    )
    found = held(catalogue(db))
    assert (found.functions["new_one(integer)"], found.relations["new_table"]) == ("nobody", {})


def test_every_function_looks_into_temporary_tables_last(db):
    """But those parsed when they were made that name no table: nothing leads them astray."""
    astray = """
        select cast(cast(p.oid as regprocedure) as text) from pg_proc as p
        where
            p.pronamespace = cast('public' as regnamespace)
            and 'search_path=public, pg_temp' <> all(coalesce(p.proconfig, '{}'))
            and (p.prosqlbody is null or p.prosecdef or exists (
                select 1 from pg_depend as d
                where d.objid = p.oid and d.classid = cast('pg_proc' as regclass)
                and d.refclassid = cast('pg_class' as regclass)
            ))
    """
    assert ask(db, astray) == []


def test_whatever_the_desk_writes_under_a_name_is_tied_to_who_works(db):
    unsigned = """
        select c.relname from pg_class as c
        where
            c.relnamespace = cast('public' as regnamespace) and c.relkind = 'r'
            and has_any_column_privilege('churn_desk', c.oid, 'insert')
            and exists (
                select 1 from pg_attribute as a
                where a.attrelid = c.oid and a.attname in ('staff_id', 'opened_by', 'actor')
            )
            and not exists (
                select 1 from pg_policies as p
                where p.tablename = c.relname and 'churn_desk' = any(p.roles) and p.cmd in ('INSERT', 'ALL')
                and p.with_check ~ '(staff_id|opened_by) = desk_staff_id'
            )
    """
    assert ask(db, unsigned) == []


# ---------------------------------------------------------------- attacks


@dataclass
class World:
    """A fixed cycle whose tickets are in work, and two connections; whatever a test does is undone."""

    loop: sa.Connection
    desk: sa.Connection
    people: People
    ticket: int

    def try_as_loop(self, *statements: str) -> None:
        with self.loop.begin() as whole:
            for statement in statements:
                self.loop.execute(sa.text(statement))
            whole.rollback()

    @contextmanager
    def at_the_desk(self) -> Iterator[Callable[[str], None]]:
        """The agent's transaction, rolled back: `run(statement)`; :me, :other and :ticket are given."""
        given = {"me": self.people.agent, "other": self.people.colleague, "ticket": self.ticket}
        with self.desk.begin() as whole:
            self.desk.execute(sa.text("select set_config('app.staff_id', cast(:me as text), true)"), given)
            yield lambda statement: self.desk.execute(sa.text(statement), given)
            whole.rollback()


@pytest.fixture(scope="module")
def world(
    postgres: Server,
    execute: Callable[..., None],
    migrated_template: str,
    role_password: str,
    config: Config,
) -> Iterator[World]:
    name = f"rights_{secrets.token_hex(4)}"
    execute(f"create database {name} template {migrated_template} strategy file_copy")
    execute(f"revoke temporary on database {name} from public")
    execute(f"grant temporary on database {name} to churn_owner, churn_loop")
    pools = [engine(postgres.url(name, role, role_password), role=role) for role in ("churn_loop", DESK_ROLE)]
    with pools[0].connect() as loop, pools[1].connect() as desk:
        people = hire(loop)
        ticket = release_two_each(loop, config, people)[0]
        with loop.begin():
            for statement in _FIXED:
                loop.execute(sa.text(statement), {"staff": people.agent, "ticket": ticket})
        yield World(loop, desk, people, ticket)
    for pool in pools:
        pool.dispose()
    execute(f"drop database {name} with (force)")


_FIXED = (
    "insert into cycle_revisions select campaign, cycle, 1, as_of + interval '1 hour', config_hash, opened_at"
    " from cycle_revisions",
    "insert into warnings (campaign, cycle, revision, subscriber_id, customer_key, cluster, model_version, grade, tier,"
    " rank, rule_hits, rule_points) select campaign, cycle, revision, format('W%s', revision), 'W', 'x', 'r', 'high',"
    " 'priority', 1, '{}', 1 from cycle_revisions",
    "insert into linked_tasks (ticket_id, unit, words, opened_at, opened_by, due_at, is_provisional)"
    " values (:ticket, 'network', 'no signal', '2026-11-06 10:00+08', :staff, '2026-11-09 10:00+08', false)",
    "insert into retention_plans (ticket_id, recorded_at, strategy, offer, offer_reason, cost_yuan, staff_id)"
    " values (:ticket, '2026-11-06 10:00+08', 'x', 'x', 'x', 0, :staff)",
    "update cycles set fixed_at = opened_at, fixed_facts = '{}'",
)


def test_a_temporary_table_named_like_ours_unfixes_no_cycle(world):
    shadow = "create temporary table cycles (campaign text, cycle text, fixed_at timestamptz)"
    with pytest.raises(sa.exc.IntegrityError, match="fixed since its first dispatch"):
        world.try_as_loop(shadow, "delete from warnings where revision = 0")


@pytest.mark.parametrize(
    "statement",
    [
        "update cycles set fixed_at = null, fixed_facts = null",
        "update cycles set as_of = as_of - interval '1 day'",
        """update cycles set fixed_facts = '{"champions": {}}'""",
        "update cycle_revisions set as_of = as_of - interval '1 day' where revision = 0",
    ],
)
def test_what_a_fixed_cycle_knew_does_not_change(world, statement):
    with pytest.raises(sa.exc.IntegrityError, match="fixed since its first dispatch"):
        world.try_as_loop(statement)


def test_the_summary_of_a_fixed_cycle_and_later_revisions_are_kept_up(world):
    with world.loop.begin() as whole:
        for statement in (
            "update cycles set dispatch_summary = '{}', fixed_at = coalesce(fixed_at, now())",
            "update cycle_revisions set comparison = '{}' where revision = 1",
        ):
            assert world.loop.execute(sa.text(statement)).rowcount == 1
        whole.rollback()


NOT_BY_HAND = (
    *(
        f"delete from {table}"
        for table in (
            "contact_attempts", "outcomes", "evaluations", "refusals", "cycles", "cycle_revisions", "arms",
            "subscriber_arms", "assignments", "tickets", "ticket_clocks", "needs_surveys", "retention_plans",
            "plan_processings", "inbound_contacts", "linked_tasks", "configurations", "models", "ticket_events",
            "audit_log",
        )
    ),
    # a warning of another revision becomes one the cycle was fixed with
    "update warnings set revision = 0, subscriber_id = 'W9' where revision = 1",
    "update arms set arm = 'held_out'",
    "update assignments set arm = 'held_out'",
    "update contact_attempts set result = 'reached'",
    "update refusals set customer_key = 'nobody'",
    "update configurations set texts = '{}'",
    "update evaluations set value = 1",
    "truncate warnings",
)  # fmt: skip


@pytest.mark.parametrize("statement", NOT_BY_HAND)
def test_the_loop_takes_back_nothing_that_was_recorded(world, statement):
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        world.try_as_loop(statement)


def test_figures_of_a_revision_are_forgotten_as_a_whole(world):
    figure = (
        "insert into evaluations (campaign, cycle, revision, slice, slice_value, metric, subscribers, evaluated_at)"
        " select campaign, cycle, revision, 'all', 'all', 'lift', 1, opened_at from cycle_revisions"
    )
    forget = "select forget_evaluations('churn_warning', '2026-10', 1)"
    with world.loop.begin() as whole:
        world.loop.execute(sa.text(figure))
        assert world.loop.execute(sa.text(forget)).scalar_one() == 1
        assert world.loop.execute(sa.text("select revision from evaluations")).scalars().all() == [0]
        whole.rollback()


SIGNED = {
    "audit_log": "insert into audit_log (happened_at, actor, action, subject, details)"
    " select now(), staff_code, 'x', 'x', '{}' from staff where staff_id = :who",
    "ticket_events": "insert into ticket_events (ticket_id, version, kind, to_state, staff_id, actor, occurred_at)"
    " select :ticket, 99, 'x', 'assigned', staff_id, staff_code, now() from staff where staff_id = :who",
    "contact_attempts": "insert into contact_attempts (ticket_id, attempted_at, channel, result, staff_id)"
    " values (:ticket, now(), 'call', 'reached', :who)",
    "needs_surveys": "insert into needs_surveys (ticket_id, recorded_at, needs, staff_id)"
    " values (:ticket, now(), '{price}', :who)",
    "retention_plans": "insert into retention_plans"
    " (ticket_id, recorded_at, strategy, offer, offer_reason, cost_yuan, staff_id)"
    " values (:ticket, now(), 'x', 'x', 'x', 0, :who)",
    "plan_processings": "insert into plan_processings (plan_id, ticket_id, result, processed_at, staff_id)"
    " select plan_id, ticket_id, 'failed', now(), :who from retention_plans",
    "linked_tasks": "insert into linked_tasks"
    " (ticket_id, unit, words, opened_at, due_at, is_provisional, opened_by)"
    " values (:ticket, 'network', 'x', now(), now() + interval '1 day', false, :who)",
    "who did a task": "update linked_tasks set done_at = now(), result = 'x', done_by = :who",
}


@pytest.mark.parametrize("what", SIGNED)
def test_the_desk_signs_with_the_name_of_who_works_and_no_other(world, what):
    with world.at_the_desk() as run:
        assert run(SIGNED[what].replace(":who", ":me")).rowcount == 1
    with (
        pytest.raises(sa.exc.ProgrammingError, match="row-level security policy"),
        world.at_the_desk() as run,
    ):
        run(SIGNED[what].replace(":who", ":other"))


def test_an_event_carries_one_name_not_two(world):
    forged = SIGNED["ticket_events"].replace(":who", ":me").replace("staff_code", "'colleague'")
    with (
        pytest.raises(sa.exc.ProgrammingError, match="row-level security policy"),
        world.at_the_desk() as run,
    ):
        run(forged)


def test_the_desk_makes_no_temporary_tables(world):
    with (
        pytest.raises(sa.exc.ProgrammingError, match="permission denied to create temporary tables"),
        world.at_the_desk() as run,
    ):
        run("create temporary table staff (staff_id bigint)")
