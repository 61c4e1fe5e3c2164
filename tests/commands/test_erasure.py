"""An erased subscriber is in no file and no table any more; everybody else is exactly as before."""

import json
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import sqlalchemy as sa

from include.commands.erasure import Request, Sought, erase
from include.commands.erasure.__main__ import main
from include.config import Config
from include.database import engine
from include.database.queries import load
from include.desk.tickets import contacts, life_cycle
from include.desk.tickets.transaction import Actor
from include.domain.erasure import bucket_of, hash_of, pattern_of
from include.domain.errors import BadInput
from include.domain.periods.months import ZONE
from include.domain.signature import Signature
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.local.postgres import Server
from include.loop import Loop
from include.stages import collection
from tests.fixtures.lakes import put
from tests.fixtures.ten_subscribers import MONTH, write_landing
from tests.fixtures.writings import WRITINGS

OPENED = datetime(2026, 11, 5, 6, 30, tzinfo=ZONE)
ERASED = datetime(2026, 11, 22, 9, 0, tzinfo=ZONE)
#: What somebody wrote about a person without naming them: no pattern finds it.
SECRET = "她母亲住院"
ASKED = Signature("privacy office", ERASED, "asked in writing, case 17")


@dataclass
class World:
    """A province after its first dispatch, with one subscriber whose ticket was worked."""

    loop: Loop
    ticket: int
    subscriber: str
    phone: str
    customer: str

    @property
    def db(self) -> sa.Connection:
        return self.loop.db

    @property
    def lake(self) -> Lake:
        return self.loop.lake

    def erase(self, *, dry_run: bool = False) -> dict[str, int | str]:
        request = Request(self.subscriber, ASKED)
        return erase(db=self.db, lake=self.lake, request=request, dry_run=dry_run).as_json()

    def names(self, text: str) -> bool:
        return any(word in text for word in (self.subscriber, self.phone, self.customer))

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.db.begin():
            return [tuple(row) for row in self.db.execute(sa.text(statement))]


def made_world(db: sa.Connection, folder: Path, config: Config, lake_root: str) -> World:
    landing = folder / "landing"
    _deliver(landing)
    loop = Loop(db, Lake.create(lake_root, 600_000), config, landing, MONTH, now=OPENED)
    list(loop.run())
    number, subscriber = _ticket(db)
    made = World(loop, number, subscriber, f"138000000{subscriber[-2:]}", f"CUST-00{subscriber[-2:]}")
    _work(made)
    _leave_behind(made)
    return made


@dataclass(frozen=True)
class Made:
    """A world to begin from: its folder and its database, which nobody is connected to."""

    folder: Path
    database: str
    world: World


@pytest.fixture(scope="module")
def made(
    postgres: Server,
    execute: Callable[..., None],
    migrated_template: str,
    role_password: str,
    config: Config,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Made]:
    """The world most tests begin from, made once."""
    name, folder = f"erasure_{secrets.token_hex(4)}", tmp_path_factory.mktemp("erasure")
    execute(f"create database {name} template {migrated_template} strategy file_copy")
    pool = engine(postgres.url(name, user="churn_loop", password=role_password), poolclass=sa.NullPool)
    with pool.connect() as db:
        world = made_world(db, folder, config, str(folder / "lake"))
    yield Made(folder, name, world)
    execute(f"drop database {name} with (force)")


@pytest.fixture
def template(request: pytest.FixtureRequest, migrated_template: str) -> str:
    if "world" not in request.fixturenames:
        return migrated_template
    return str(request.getfixturevalue("made").database)


@pytest.fixture
def world(made: Made, db: sa.Connection, tmp_path: Path) -> World:
    for part in ("lake", "landing"):
        shutil.copytree(made.folder / part, tmp_path / part)
    loop = replace(made.world.loop, db=db, lake=Lake(tmp_path / "lake"), landing=tmp_path / "landing")
    return replace(made.world, loop=loop)


@pytest.fixture
def world_anywhere(db: sa.Connection, tmp_path: Path, config: Config, lake_root: str) -> World:
    return made_world(db, tmp_path, config, lake_root)


def _deliver(landing: Path) -> None:
    """The ten subscribers under long ids; some name each other, and one row of each is broken."""
    write_landing(landing)
    for early in ("2026-05", "2026-06", "2026-07"):
        for folder in landing.glob(f"*/month={early}"):
            shutil.rmtree(folder)
    for path in landing.rglob("*.csv"):
        text = re.sub(r"\bS(\d\d)\b", r"SUB-00\1", path.read_text("utf-8"))
        path.write_text(re.sub(r"\bC(\d\d)\b", r"CUST-00\1", text), "utf-8")
    events = landing / "service_events" / "month=2026-08"
    events.mkdir(exist_ok=True)
    lines = [
        f"N{n},SUB-00{n:02d},2026-08-03T10:00:00+08:00,complaint,我的号码138000000{other:02d}和SUB-00{other:02d}的账单"
        for n, other in ((1, 2), (2, 3), (3, 1), (4, 5), (5, 4), (6, 1))
    ]
    header = "event_id,subscriber_id,occurred_at,kind,text"
    (events / "more.csv").write_text("\n".join([header, *lines, ""]), "utf-8")
    for n in range(1, 11):
        line = f"X{n},SUB-00{n:02d},not an instant,complaint,138000000{n:02d}"
        (events / f"broken-{n:02d}.csv").write_text(f"{header}\n{line}\n", "utf-8")


def _ticket(db: sa.Connection) -> tuple[int, str]:
    with db.begin():
        found = db.execute(sa.text("select ticket_id, subscriber_id from tickets order by rank limit 1"))
        number, subscriber = found.one()
        return number, subscriber


def _work(world: World) -> None:
    """What people wrote and the loop kept about the subscriber beyond what it needs."""
    values = {
        "id": world.ticket,
        "note": f"{SECRET}, {world.subscriber} said call {world.phone} tomorrow",
        "letter": f"ticket of {world.subscriber}",
        "subscriber": world.subscriber,
        "details": json.dumps(
            {"reason": f"{SECRET}, {world.phone}", "of": [world.subscriber], "n": int(world.phone)},
            ensure_ascii=False,
        ),
        "at": OPENED,
    }
    with world.db.begin():
        agent = world.db.execute(
            sa.text(
                "insert into staff (staff_code, name, role, team, contacts_per_day)"
                " select 'A1', 'A1', 'agent', team, 4 from tickets where ticket_id = :id returning staff_id"
            ),
            values,
        ).scalar_one()
    actor = Actor(
        world.db, world.loop.config, agent, world.ticket, _version(world), OPENED + timedelta(hours=3)
    )
    for step, words in (
        (life_cycle.claim, {}),
        (life_cycle.hand_back, {"reason": values["note"]}),
        (life_cycle.claim, {}),
        (contacts.record_contact, {"channel": "call", "result": "reached", "note": values["note"]}),
        (contacts.record_survey, {"needs": ["price", "other"], "note": values["note"]}),
    ):
        actor = replace(actor, version=step(actor, **words))
    with world.db.begin():
        for statement in _LOOSE_ENDS:
            world.db.execute(sa.text(statement), values | {"agent": agent})


_LOOSE_ENDS = (
    "insert into audit_log (happened_at, actor, action, subject, details)"
    " values (:at, 'lead', 'reveal', :note, cast(:details as jsonb))",
    "insert into notices (dedupe_key, kind, audience, ticket_id, details, created_at)"
    " values ('loose', 'told', 'lead', :id, cast(:details as jsonb), :at)",
    "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, month, recorded_at)"
    " select subscriber_id, customer_key, 'refused', '2026-10-01', '2026-10', :at from tickets",
    "insert into new_holders select distinct subscriber_id, date '2026-01-31', date '2026-02-28' from tickets",
    "update assignments set evidence = jsonb_build_object('said', cast(:note as text))"
    " where subscriber_id = :subscriber",
    "insert into inbound_contacts (campaign, subscriber_id, customer_key, recorded_at, staff_id, channel, needs, said,"
    " done) select campaign, subscriber_id, customer_key, :at, :agent, 'call', '{price}', :note, :note from tickets"
    " where ticket_id = :id",
    "insert into refusals (subscriber_id, customer_key, refused_at, staff_id, ticket_id, words)"
    " select subscriber_id, customer_key, :at, :agent, ticket_id, :note from tickets where ticket_id = :id",
    "insert into linked_tasks (ticket_id, unit, words, opened_at, opened_by, due_at, is_provisional, done_at, result)"
    " values (:id, 'network', :note, :at, :agent, cast(:at as timestamptz) + interval '1 day', false, :at, :note)",
    "insert into linked_tasks (inbound_id, unit, words, opened_at, opened_by, due_at, is_provisional)"
    " select inbound_id, 'network', :note, :at, :agent, cast(:at as timestamptz) + interval '1 day', false"
    " from inbound_contacts",
    "insert into retention_plans (ticket_id, recorded_at, strategy, offer, offer_reason, cost_yuan, valid_until, note,"
    " staff_id) values (:id, :at, 'plan_discount', 'd', 'price', 9, '2026-12-31', :note, :agent)",
    "insert into plan_processings (plan_id, ticket_id, result, order_number, processed_at, staff_id, note)"
    " select plan_id, ticket_id, 'done', 'N-4711', :at, :agent, :note from retention_plans",
    "insert into messages (dedupe_key, channel, severity, subject, body, notices, created_at, next_attempt_at)"
    " values ('loose', 'operations', 'page', :letter, :letter, 1, :at, :at)",
    "insert into message_notices select message_id, notice_id from messages, notices"
    " where notices.dedupe_key = 'loose'",
    "insert into ticket_skips (ticket_id, staff_id, skipped_at, note) values (:id, :agent, :at, :note)",
    "insert into outreach_items (campaign, cycle, subscriber_id, customer_key, rank, grade, decision, listed_at)"
    " select campaign, cycle, subscriber_id, customer_key, 1, grade, 'not_reached', :at from tickets"
    " where ticket_id = :id",
)
#: Columns in which the loop alone writes: codes, names of things, texts of its own catalogues.
OURS = {
    "campaign", "cycle", "epoch", "arm", "decision", "team", "channel", "kind", "cause", "unit", "state", "from_state",
    "to_state", "actor", "audience", "dedupe_key", "severity", "address", "subject", "body", "error", "strategy",
    "offer", "offer_reason", "offer_name", "month", "clock", "escalated_to", "explanation", "branch_code",
    "region_code", "grade", "tier", "outcome", "outcome_detail", "frozen_because", "skill", "cluster",
    "model_version", "rule_hits", "needs", "evidence_sha256", "dispatch_decisions.reason", "outreach_items.reason",
    "outcomes.reason", "outcomes.month_observed", "measure", "led_by", "shared_by", "yields_to", "stops", "item",
    "contact_attempts.result", "plan_processings.result", "idempotency_keys.key", "idempotency_keys.request_sha256",
}  # fmt: skip
#: By these somebody outside knows who it is.
IDS = {"subscriber_id", "customer_key", "msisdn", "order_number"}
_TEXTS = """
select c.relname as table_name, a.attname as column_name
from pg_class as c
join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
join pg_type as t on t.oid = a.atttypid
where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
and t.typname in ('text', 'varchar', 'json', 'jsonb', '_text', '_varchar') and exists (
    select 1 from pg_attribute as o where o.attrelid = c.oid and o.attname in (
        'subscriber_id', 'customer_key', 'ticket_id', 'assignment_id', 'inbound_id', 'plan_id', 'notice_id',
        'message_id', 'refusal_id', 'task_id', 'processing_id'
    )
)
"""


def _version(world: World) -> int:
    return int(world.rows(f"select version from tickets where ticket_id = {world.ticket}")[0][0])


def _leave_behind(world: World) -> None:
    """Files of writers that died, a superseded month and rows under way."""
    rows = pl.DataFrame({"subscriber_id": [world.subscriber], "bill_yuan": [1]})
    for shard in range(world.lake.shards):
        world.lake.write_part("usage_months", MONTH, shard, rows, "dead")
    old = world.lake.manifest("usage_months", "2026-09")
    for table, manifest in (("usage_months", old),):
        parts = [
            world.lake.write_part(table, "2026-09", n, world.lake.scan(table, "2026-09", n), "again")
            for n in range(2)
        ]
        world.lake.publish(table, "2026-09", parts, fingerprint=manifest.fingerprint, facts=manifest.facts)


def everything(world: World) -> dict[str, list[str]]:
    """Every row of every table of the database as text."""
    tables = [
        row[0] for row in world.rows("select tablename from pg_tables where schemaname = 'public' order by 1")
    ]
    return {
        table: sorted(str(row[0]) for row in world.rows(f"select to_jsonb(t)::text from {table} as t"))
        for table in tables
    }


def lake_rows(lake: Lake) -> dict[str, pl.DataFrame]:
    return {
        f"{table} {month}": lake.scan(table, month).collect()
        for table in lake.tables()
        for month in lake.months(table)
    }


def files_naming(world: World, scratch: Path) -> list[str]:
    """Files of the lake (dead ones and quarantine, too) in which the subscriber is found."""
    found = []
    for name in world.lake.store.below(""):
        content = world.lake.store.read(name)
        if name.endswith(".parquet"):
            scratch.write_bytes(content)
            frame = pl.read_parquet(scratch, hive_partitioning=False)
            content = frame.select(pl.col(pl.String)).write_csv().encode()
        if world.names(content.decode("utf-8", "replace")):
            found.append(name)
    return found


def test_no_file_and_no_table_names_the_erased_and_all_others_are_as_before(
    world_anywhere: World, tmp_path: Path
) -> None:
    world, scratch = world_anywhere, tmp_path / "scratch.parquet"
    before, lake_before, counted = everything(world), lake_rows(world.lake), _figures(world)
    told = world.erase()
    assert (told["pseudonym"], told["lake.subscribers"]) == ("erased-1", 3)
    after = everything(world)
    assert [(table, row) for table, rows in after.items() for row in rows if world.names(row)] == []
    assert files_naming(world, scratch) == []
    for table, rows in before.items():
        lost = {row for row in rows if not world.names(row)} - set(after[table])
        assert not [row for row in lost if f'"ticket_id": {world.ticket}' not in row], table
    assert_equal(lake_rows(world.lake), {name: _others(world, rows) for name, rows in lake_before.items()})
    assert _figures(world) == counted


def test_erasure_knows_every_column_in_which_somebody_can_be_known_or_written_about(world: World) -> None:
    """A table or column that is added later fails here until the world fills it, or it is said to be OURS."""
    places = world.rows(_TEXTS)
    assert ("inbound_contacts", "said") in places
    ids = [place for place in places if place[1] in IDS]
    texts = [(t, c) for t, c in places if not {c, f"{t}.{c}"} & (OURS | IDS)]
    assert [place for place in ids if not _holding(world, place, world.names)] == []
    assert [place for place in texts if not _holding(world, place, lambda text: SECRET in text)] == []
    world.erase()
    for place in places:
        assert not _holding(world, place, world.names), place
        assert not _holding(world, place, lambda text: SECRET in text), place
    assert world.rows("select count(*) from linked_tasks where done_at is null") == [(0,)]


def _holding(world: World, place: tuple[object, ...], is_meant: Callable[[str], bool]) -> list[str]:
    """The values of a column that are meant."""
    table, column = place
    values = [
        str(row[0]) for row in world.rows(f"select {column}::text from {table} where {column} is not null")
    ]
    return [value for value in values if is_meant(value) or (column == "order_number" and value == "N-4711")]


def test_a_refusal_of_a_customer_with_other_numbers_goes_on_holding_for_them(
    world: World, as_admin: Callable[..., None]
) -> None:
    as_admin("update refusals set customer_key = 'CUST-SHARED'")
    with world.db.begin():
        shared = sa.text(
            "select count(*) from erase_subscriber(:subscriber, '{}', :subscriber, 'erased-1', :at)"
        )
        world.db.execute(shared, {"subscriber": world.subscriber, "at": ERASED})
    assert world.rows("select standing_limit('SUB-9999', 'CUST-SHARED', '2026-12-01')") == [("refused",)]
    assert world.rows("select subscriber_id, words from refusals") == [("erased-1", "erased")]


def test_what_others_of_the_customer_were_told_of_the_number_goes_too(
    world: World, as_admin: Callable[..., None]
) -> None:
    told = '{"other_numbers": [{"plan_code": "P19"}], "month": "2026-10"}'
    with world.db.begin():
        key = sa.text("select customer_key from assignments where subscriber_id = :who")
        customer = world.db.execute(key, {"who": world.subscriber}).scalar_one()
        other = world.db.execute(
            sa.text(
                "select min(o.assignment_id) from assignments as o inner join assignments as a"
                " on a.subscriber_id = :who and o.arm = a.arm where o.subscriber_id <> :who"
            ),
            {"who": world.subscriber},
        ).scalar_one()
    as_admin(
        "update assignments set evidence = cast(:told as jsonb), customer_key = :customer where assignment_id = :id",
        told=told, customer=customer, id=other,
    )  # fmt: skip
    world.erase()
    assert world.rows(f"select evidence::text from assignments where assignment_id = {other}") == [
        ('{"month": "2026-10"}',)
    ]


def test_a_code_that_equals_the_id_stays_everybodys(world: World) -> None:
    with world.db.begin():
        for statement in (
            "insert into branches values (:code, null, :code, :code)",
            "insert into budget_pots (campaign, starts_on, ends_on, branch_code, limit_yuan, warn_share, set_by,"
            " set_at) values ('churn_warning', '2026-10-01', '2026-10-31', :code, 9, 0.8, 'lead', :at)",
            "insert into heartbeats values ('of branches', :at, jsonb_build_object('branch', :code))",
            "update tickets set branch_code = :code, region_code = :code, team = :code"
            " where subscriber_id <> :code",
        ):
            world.db.execute(sa.text(statement), {"code": world.subscriber, "at": OPENED})
    codes = (
        "select branch_code, name, region_code from branches",
        "select branch_code, limit_yuan from budget_pots",
        "select facts from heartbeats where name = 'of branches'",
        f"select branch_code, region_code, team from tickets where ticket_id <> {world.ticket} order by ticket_id",
    )
    before = [world.rows(statement) for statement in codes]
    assert world.subscriber in before[-1][0]
    world.erase()
    assert [world.rows(statement) for statement in codes] == before


def test_a_limit_of_the_feed_goes_on_holding_for_the_other_numbers_of_the_household(world: World) -> None:
    with world.db.begin():
        shared = "update standing_limits set customer_key = 'CUST-SHARED' where subscriber_id = :who"
        world.db.execute(sa.text(shared), {"who": world.subscriber})
        limit = (
            "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, month, recorded_at)"
            " values (:who, 'CUST-SHARED', 'refused', '2026-10-01', '2026-10', :at)"
        )
        given = {"who": world.subscriber, "at": ERASED}
        again = sa.text(
            "select count(*) from erase_subscriber(:who, '{}', cast(:who as text), 'erased-1', :at)"
        )
        for _killed in range(2):
            world.db.execute(again, given)
            world.db.execute(load("stages/limits")["forget_months"], {"months": ["2026-10"]})
            world.db.execute(sa.text(limit), given)  # the lake still had it
        world.db.execute(again, given)
        world.db.execute(load("stages/limits")["forget_months"], {"months": ["2026-10"]})
    assert world.rows("select subscriber_id, customer_key, kind from standing_limits") == [
        ("erased-1", "CUST-SHARED", "refused")
    ]
    with world.db.begin():
        last = sa.text(
            "select count(*) from erase_subscriber('SUB-9', '{CUST-SHARED}', 'SUB-9', 'erased-2', :at)"
        )
        world.db.execute(last, given)
    assert world.rows("select customer_key from standing_limits") == [("erased-2",)]


def test_what_a_former_holder_refused_holds_for_them_when_the_number_is_erased(
    world: World, as_admin: Callable[..., None]
) -> None:
    as_admin("delete from refusals")
    with world.db.begin():
        for statement in (
            "update standing_limits set customer_key = 'CUST-FORMER', valid_from = '2026-01-01'"
            " where subscriber_id = :who",
            "insert into outreach_items"
            " (campaign, cycle, subscriber_id, customer_key, rank, grade, decision, listed_at)"
            " select campaign, cycle, 'OTHER', 'CUST-FORMER', 2, grade, 'not_reached', :at from tickets limit 1",
        ):
            world.db.execute(sa.text(statement), {"who": world.subscriber, "at": OPENED})
    asked = (
        f"select standing_limit('{world.subscriber}', 'CUST-NEW', '2026-12-01'),"
        " standing_limit('OTHER', 'CUST-FORMER', '2026-12-01')"
    )
    assert world.rows(asked) == [(None, "refused")]
    instead = world.erase()["pseudonym"]
    assert world.rows(asked) == [(None, "refused")]
    assert (instead,) in world.rows("select subscriber_id from new_holders")


def test_refusals_of_one_subscriber_under_two_customers_become_one(world: World) -> None:
    with world.db.begin():
        again = "insert into refusals (customer_key, subscriber_id, refused_at, staff_id, words)"
        told = "select subscriber_id, subscriber_id, refused_at, staff_id, words from refusals"
        world.db.execute(sa.text(f"{again} {told}"))
    instead = world.erase()["pseudonym"]
    assert world.rows("select customer_key, subscriber_id, words from refusals") == [
        (instead, instead, "erased")
    ]


def assert_equal(found: dict[str, pl.DataFrame], wanted: dict[str, pl.DataFrame]) -> None:
    """The same rows in the same order with the same types."""
    assert found.keys() == wanted.keys()
    for name, frame in found.items():
        assert frame.schema == wanted[name].schema, name
        assert frame.equals(wanted[name]), name


def _others(world: World, rows: pl.DataFrame) -> pl.DataFrame:
    """What must be left of a table's month: nothing of the erased, where others name them a mask."""
    if "subscriber_id" in rows.columns:
        rows = rows.filter(pl.col("subscriber_id") != world.subscriber)
    masked = pl.col("^text$")
    for word in (world.phone, world.subscriber):
        masked = masked.str.replace_all(word, "***", literal=True)
    return rows.with_columns(masked)


def _figures(world: World) -> list[list[tuple[object, ...]]]:
    """What statistics count: people by arm, tickets, attempts, events."""
    queries = (
        "select arm, count(*), count(distinct customer_key), count(distinct subscriber_id)"
        " from assignments group by arm order by 1",
        "select grade, tier, count(distinct subscriber_id), sum(rank) from warnings group by 1, 2 order by 1, 2",
        "select count(*) from contact_attempts",
        "select count(*) from tickets",
        "select count(*) from needs_surveys",
        "select sum(rows) from quarantine_summary",
    )
    return [world.rows(query) for query in queries]


def test_the_history_stays_whole_and_old_facts_stay_out(world: World, role_url, capsys) -> None:  # type: ignore[no-untyped-def]
    before, lake_before = everything(world), lake_rows(world.lake)
    told = world.erase(dry_run=True)
    assert (told["lake.subscribers"], told["tickets"]) == (3, 1)
    assert everything(world) == before
    assert_equal(lake_rows(world.lake), lake_before)

    events = f"select version, kind, from_state, to_state from ticket_events where ticket_id = {world.ticket}"
    happened = world.rows(f"{events} order by 1")
    words = ["--subscriber", world.subscriber, "--because", f"letter of {world.subscriber}", "--by", "office"]
    words += ["--now", ERASED.isoformat(), "--lake", str(world.lake.root), "--db", role_url("churn_loop")]
    assert main(words) == 0
    printed = capsys.readouterr().out.splitlines()
    assert json.loads(printed[0])["pseudonym"] == "erased-1"
    assert "The landing folder is yours" in printed[1]
    assert world.subscriber not in "".join(printed)

    after = world.rows(f"{events} order by 1")
    assert after[:-1] == happened
    assert after[-1] == (len(happened) + 1, "cancel", "in_progress", "cancelled")
    ticket = f"select state, version, subscriber_id from tickets where ticket_id = {world.ticket}"
    assert world.rows(ticket) == [("cancelled", len(happened) + 1, "erased-1")]
    open_clocks = f"where ticket_id = {world.ticket} and met_at is null and voided_at is null"
    assert world.rows(f"select count(*) from ticket_clocks {open_clocks}") == [(0,)]

    salt = world.rows("select salt from erasure_salts")[0][0]
    logged = "select subscriber_hash, bucket, kept_out_through, requested_by, because, counts from erasures"
    (row,) = world.rows(logged)
    assert row[:2] == (hash_of(world.subscriber, salt), bucket_of(world.subscriber))
    assert row[2:5] == ("2026-11", "office", "letter of ***")
    assert row[5]["lake.usage_months"] >= 3

    assert _collect_for(world, "2026-11")["quarantined"] == 1
    (name,) = (name for name in world.lake.store.below("quarantine") if "usage_months/period=2026-11" in name)
    aside = pl.read_parquet(world.lake.store.read(name)).rows()
    assert [row[2:] for row in aside] == [("subscriber_id", "belongs to an erased subscriber", None)]
    assert _collect_for(world, "2026-12")["quarantined"] == 0
    assert world.subscriber in set(world.lake.scan("usage_months", "2026-12").collect()["subscriber_id"])


def _collect_for(world: World, month: str) -> dict[str, object]:
    folder = world.loop.landing / "usage_months" / f"month={month}"
    folder.mkdir()
    (folder / "_MANIFEST.csv").write_text("file,rows\na.csv,11\n")
    rows = [f"{world.subscriber},5", *(f"NEW-{n:04d},5" for n in range(10))]
    (folder / "a.csv").write_text("\n".join(["subscriber_id,bill_yuan", *rows, ""]))
    site = collection.Site(world.db, world.lake, world.loop.config, world.loop.landing, ERASED)
    return collection.collect(site, collection.DeliveryKey("usage_months", month))


KILLED = """
import os, signal, sys
from datetime import datetime
import include.commands.erasure as module
from include.database import engine
from include.domain.signature import Signature
from include.lake import Lake
made, after = engine(sys.argv[1]), int(sys.argv[4])
as_it_is, done = module._from_month, []
def dying(*given):
    done.append(given)
    if len(done) > after:
        os.kill(os.getpid(), signal.SIGKILL)
    return as_it_is(*given)
module._from_month = dying
with made.connect() as db:
    signed = Signature("office", datetime.fromisoformat(sys.argv[5]), "case 17")
    module.erase(db=db, lake=Lake(sys.argv[2]), request=module.Request(sys.argv[3], signed, bar=True))
"""


def test_killed_midway_and_run_again_it_finishes_and_who_is_barred_never_comes_back(
    world: World,
    role_url,
    tmp_path: Path,  # type: ignore[no-untyped-def]
) -> None:
    left = files_naming(world, tmp_path / "scratch.parquet")
    words = [role_url("churn_loop"), str(world.lake.root), world.subscriber, "5", ERASED.isoformat()]
    ended = subprocess.run([sys.executable, "-c", KILLED, *words], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert any("quarantine" in name for name in left)
    assert any(f"usage_months/month={MONTH}" in name for name in left)  # of the writer that died
    assert world.rows("select count(*) from erasures where finished_at is null") == [(1,)]
    assert world.erase()["erasure_id"] == 1
    assert files_naming(world, tmp_path / "scratch.parquet") == []
    assert not [row for rows in everything(world).values() for row in rows if world.names(row)]
    assert world.rows("select count(*), count(finished_at) from erasures") == [(1, 1)]

    before, lake_before = everything(world), lake_rows(world.lake)
    again = world.erase()
    assert not any(rows for place, rows in again.items() if place.startswith("lake."))
    then = everything(world)
    assert {table for table in then if then[table] != before[table]} == {"erasures"}
    assert_equal(lake_rows(world.lake), lake_before)
    assert _collect_for(world, "2027-05")["quarantined"] == 1


@pytest.mark.parametrize("statement", ["update ticket_events set actor = 'x'", "delete from audit_log"])
def test_history_is_still_refused_to_everybody_else(db: sa.Connection, statement: str) -> None:
    with db.begin():
        db.execute(sa.text("select set_config('app.reducing', 'on', false)"))
    with pytest.raises(sa.exc.DBAPIError):
        db.execute(sa.text(statement))
    db.rollback()


def test_the_erased_go_from_tables_of_every_campaign_by_month_and_day(
    db: sa.Connection, lake_root: str
) -> None:
    lake = Lake.create(lake_root, 600_000)
    tables = [(scores_of("renewal"), MONTH), (grades_of("signals"), "2026-10-17")]
    for table, period in tables:
        put(lake, table, period, pl.DataFrame({"subscriber_id": ["S1", "S2", "S3"]}))
    told = erase(db=db, lake=lake, request=Request("S2", ASKED)).as_json()
    assert [told[f"lake.{table}"] for table, _ in tables] == [1, 1]
    for table, period in tables:
        assert lake.scan(table, period).collect()["subscriber_id"].sort().to_list() == ["S1", "S3"]


def test_an_erasure_needs_a_reason(db: sa.Connection, lake: Lake) -> None:
    with pytest.raises(BadInput, match="needs a subscriber, a reason and who asked"):
        erase(db=db, lake=lake, request=Request("S1", Signature("x", ERASED, because=" ")))


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("call SUB-0001!", True),
        ("SUB-00012", False),
        ("XSUB-0001", False),
        ("号码13800000001打", True),
        ("42", True),
        ("142", False),
        ("at 42", False),
    ],
)
def test_an_id_is_a_word_and_a_short_one_a_whole_text(text: str, is_named: bool) -> None:
    assert bool(re.search(pattern_of(["SUB-0001", "42"], ["13800000001"]), text)) is is_named


@pytest.mark.parametrize("phone", ["", "-", "0", "10086"])
def test_what_stands_for_an_unknown_number_is_looked_for_in_nobodys_texts(phone: str) -> None:
    assert not re.search(pattern_of(["SUB-0001"], [phone]), "ticket 10086-0 of 2026-10")


@pytest.mark.parametrize("way", sorted(set(WRITINGS) - {"inner blanks"}))
def test_a_text_that_an_eye_reads_as_the_subscriber_names_the_subscriber(way: str) -> None:
    sought = Sought("SUB-0005", ("13800000005",), ())
    texts = [f"改名为 {WRITINGS[way](word)} 的用户" for word in ("SUB-0005", "13800000005")]
    assert sought.mentioned(pl.Series([*texts, "SUB-00051 的用户", "别人"])).to_list() == [
        True,
        True,
        False,
        False,
    ]
    for text in texts:
        masked = sought.masked(text)
        assert "***" in masked
        assert not sought.mentioned(pl.Series([masked])).any()
