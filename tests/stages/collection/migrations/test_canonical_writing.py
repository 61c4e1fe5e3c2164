"""What was stored before ids had one writing is brought to it: database and lake, counted, killed in the middle."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from include import database
from include.commands.erasure import Request, erase
from include.config import Config
from include.domain.errors import BadInput, NotReady
from include.domain.signature import Signature
from include.domain.text.canonical import canonical_id
from include.lake import Lake
from include.lake.campaigns import scores_of
from include.lake.upkeep import faults, resharded
from include.stages.collection import migrations
from include.stages.collection.validator import erased
from tests.fixtures import deliveries, lakes
from tests.fixtures.work import fill_cycle, hire
from tests.fixtures.writings import WRITINGS
from tests.stages.worked_cycle import CAMPAIGN

NOW = datetime(2026, 11, 5, 6, tzinfo=UTC)
MONTH = deliveries.MONTH
LIMITED = "S0001 S0002 S0003 S0004 S0005 S0006"


# ---------------------------------------------------------------- database


@pytest.fixture
def of_before(empty_database: Callable[[], str]) -> Iterator[sa.Connection]:
    """A database of the revision before, six waiting tickets in it, open with a superuser's rights."""
    made = sa.create_engine(database.driver_url(empty_database()))
    with made.connect() as db:
        with db.begin():
            database.run_revisions(db, "0010")
        hire(db)
        fill_cycle(db, 6)
        yield db
    made.dispose()


def rewrite(db: sa.Connection, old: str, new: str) -> None:
    """Every table names a person in another writing, as it would have been delivered then."""
    with db.begin():
        db.execute(sa.text("set local session_replication_role = replica"))
        columns = db.execute(
            sa.text(
                "select table_name, column_name from information_schema.columns join information_schema.tables"
                " using (table_schema, table_name) where table_schema = 'public' and table_type = 'BASE TABLE'"
                " and column_name in ('subscriber_id', 'customer_key')"
            )
        ).all()
        for table, column in columns:
            db.execute(
                sa.text(f"update {table} set {column} = :new where {column} = :old"), {"new": new, "old": old}
            )


def run(db: sa.Connection, statement: str, **values: Any) -> None:
    with db.begin():
        db.execute(sa.text(statement), values)


def rows(db: sa.Connection, statement: str) -> list[tuple[Any, ...]]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement))]


def carry(db: sa.Connection) -> dict[str, int]:
    """Bring the database up to date; the counts it tells."""
    database.upgrade(db.engine.url.render_as_string(hide_password=False))
    told = rows(
        db, "select details from audit_log where action = 'ids_made_canonical' and subject = 'database'"
    )
    return told[0][0] if told else {}


def test_the_database_knows_a_canonical_id_as_the_program_does(db: Connection) -> None:
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
    @given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12))
    def agree(text: str) -> None:
        try:
            wanted = canonical_id(text)
        except BadInput:
            return
        with db.begin():
            found = db.execute(sa.text("select canonical_id(:text)"), {"text": text}).scalar_one()
        assert found == wanted

    agree()
    for write in WRITINGS.values():
        with db.begin():
            assert (
                db.execute(sa.text("select canonical_id(:text)"), {"text": write("S1")}).scalar_one() == "S1"
            )


def test_every_table_names_people_in_one_writing_after_the_upgrade(of_before: sa.Connection) -> None:
    ways = ["float", "formula", "zero width", "full width", "pasted", "text mark"]
    for name, way in zip(LIMITED.split(), ways, strict=True):
        rewrite(of_before, name, WRITINGS[way](name))
    told = carry(of_before)
    assert (told["ids"], told["tickets"], told["tickets_merged"], told["assignments_apart"]) == (6, 6, 0, 0)
    for table in ("tickets", "assignments", "subscriber_arms"):
        assert rows(of_before, f"select subscriber_id from {table} order by 1") == [
            (name,) for name in LIMITED.split()
        ]
    assert rows(of_before, "select customer_key from arms order by 1") == [
        (name,) for name in LIMITED.split()
    ]


def test_limits_and_refusals_hold_under_the_canonical_id_and_none_is_lost(of_before: sa.Connection) -> None:
    limit = (
        "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, month, recorded_at)"
        " values (:id, :id, :kind, '2026-10-01', '2026-10', now())"
    )
    for each, kind in (
        ("S0001.0", "refused"),
        ("S0001", "refused"),
        ("S0001.0", "red_list"),
        ('="S0002"', "refused"),
    ):
        run(of_before, limit, id=each, kind=kind)
    refusal = (
        "insert into refusals (customer_key, subscriber_id, refused_at, staff_id, words)"
        " values (:id, :id, :at, 1, 'no calls')"
    )
    for at, each in enumerate(("S0003\u200b", "S0003", "'S0004"), start=1):
        run(of_before, refusal, id=each, at=datetime(2026, 10, at, tzinfo=UTC))
    carry(of_before)
    held = rows(of_before, "select subscriber_id, kind from standing_limits order by 1, 2")
    assert held == [("S0001", "red_list"), ("S0001", "refused"), ("S0002", "refused")]
    refused = rows(
        of_before,
        "select subscriber_id, extract(day from refused_at at time zone 'UTC')::int from refusals order by 1",
    )
    assert refused == [("S0003", 2), ("S0004", 3)]
    for each in ("S0001", "S0002", "S0003", "S0004"):
        assert rows(of_before, f"select standing_limit('{each}', '{each}', '2026-11-05')") == [("refused",)]


def test_of_two_equal_limits_the_one_that_knows_the_customer_stays(of_before: sa.Connection) -> None:
    limit = (
        "insert into standing_limits (subscriber_id, customer_key, kind, valid_from, month, recorded_at)"
        " values (:id, :key, 'refused', '2026-10-01', '2026-10', now())"
    )
    run(of_before, limit, id="S0001", key="S0001")
    run(of_before, limit, id="S0001.0", key="C1")
    carry(of_before)
    assert rows(of_before, "select subscriber_id, customer_key from standing_limits") == [("S0001", "C1")]


def test_two_unfinished_tickets_of_one_person_become_one(of_before: sa.Connection) -> None:
    rewrite(of_before, "S0001", "S0001.0")
    fill_cycle(of_before, 1, cycle="2026-11")  # the next cycle wrote S0001 plainly
    rewrite(of_before, "S0003", '="S0002"')  # and one cycle wrote one person in two ways
    told = carry(of_before)
    assert (told["tickets_merged"], told["tickets"]) == (2, 1)
    working = "select subscriber_id, cycle from tickets where state = 'waiting' order by 1, 2"
    assert rows(of_before, working)[:2] == [("S0001", "2026-10"), ("S0002", "2026-10")]
    merged = "select t.state, o.subscriber_id from tickets t join tickets o on t.merged_into = o.ticket_id order by 2"
    assert rows(of_before, merged) == [("cancelled", "S0001"), ("cancelled", "S0002")]
    agree = "select count(*) from tickets t join ticket_events e using (ticket_id, version) where e.to_state = t.state"
    assert rows(of_before, agree) == [(7,)]


def test_an_erasure_reaches_what_stayed_in_another_writing(of_before: sa.Connection, tmp_path: Path) -> None:
    rewrite(of_before, "S0003", '="S0002"')  # two tickets of one cycle: the second could not be renamed
    run(
        of_before,
        "insert into ticket_phones select ticket_id, '1380000000' || ticket_id from tickets where ticket_id > 1",
    )
    carry(of_before)
    assert rows(of_before, "select count(*) from ticket_phones") == [(5,)]
    left = """select count(*) from tickets where subscriber_id in ('S0002', '="S0002"')"""
    assert rows(of_before, left) == [(2,)]
    request = Request("S0002.0", Signature("office", NOW, "letter"))
    erase(db=of_before, lake=Lake.create(tmp_path / "lake"), request=request)
    named = {"tickets": "subscriber_id", "assignments": "subscriber_id", "arms": "customer_key"}
    for table, name in named.items():
        assert rows(of_before, f"select count(*) from {table} where {name} like '%S0002%'") == [(0,)], table
    assert rows(of_before, "select count(*) from ticket_phones") == [(3,)]


def test_who_was_drawn_into_both_arms_stays_apart_and_is_counted(of_before: sa.Connection) -> None:
    rewrite(of_before, "S0002", "S0001.0")
    with of_before.begin():
        of_before.execute(sa.text("set local session_replication_role = replica"))
        of_before.execute(sa.text("delete from ticket_events where ticket_id = 2"))
        of_before.execute(sa.text("delete from tickets where ticket_id = 2"))
        for table in ("arms", "subscriber_arms", "assignments"):
            column = "customer_key" if table == "arms" else "subscriber_id"
            of_before.execute(sa.text(f"update {table} set arm = 'held_out' where {column} = 'S0001.0'"))
    assert carry(of_before)["assignments_apart"] == 1
    assert rows(of_before, "select arm from arms where customer_key like 'S0001%' order by 1") == [
        ("held_out",), ("treated",),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("stored", "dialled"),
    [("13800000001.0", "13800000001"), ("+86 138-0000-0001", "13800000001"), ("010-62345678", "01062345678"),
     ("+852 61234567", "+85261234567"), ("1.38E+10", None), ("未知", None), ("13800000001;13900000002", None)],
)  # fmt: skip
def test_a_number_of_a_ticket_is_dialled_rightly_or_not_at_all(
    of_before: sa.Connection, stored: str, dialled: str | None
) -> None:
    run(of_before, "insert into ticket_phones values (1, :stored), (2, '13800000002')", stored=stored)
    told = carry(of_before)
    found = dict(rows(of_before, "select ticket_id, msisdn from ticket_phones"))
    assert found == {2: "13800000002"} | ({1: dialled} if dialled else {})
    assert (told["numbers_mended"], told["numbers_gone"]) == ((1, 0) if dialled else (0, 1))


def test_a_database_with_nothing_to_mend_tells_nothing(of_before: sa.Connection) -> None:
    assert carry(of_before) == {}


# ---------------------------------------------------------------- lake


def lake_of_before(folder: Path, shards: int = 1) -> Lake:
    """A lake as it was laid down before: nobody says how its ids are written."""
    lake = Lake.create(folder, shards * 500_000)
    lake.store.write("lake.json", json.dumps({"shards": shards}).encode())
    return Lake(folder)


def put(lake: Lake, table: str, day: str | None = None, **columns: list[Any]) -> None:
    if day is None:
        lakes.put(lake, table, MONTH, pl.DataFrame(columns))
        return
    frame = pl.DataFrame(columns)
    shards = lake.shard_of(frame["subscriber_id"])
    parts = [
        lake.write_part(table, MONTH, shard, frame.filter(shards == shard), "test", day)
        for shard in range(lake.shards)
    ]
    lake.publish(table, MONTH, parts, fingerprint=day, period=day)


@pytest.mark.parametrize("shards", [1, 4])
def test_a_lake_of_before_is_brought_to_one_writing(
    tmp_path: Path, db: Connection, config: Config, shards: int
) -> None:
    lake = lake_of_before(tmp_path / "lake", shards)
    names = ["S1.0", '="S2"', "S3\u200b", "S4", "S4.0"]
    put(
        lake,
        "subscribers",
        subscriber_id=names,
        customer_id=["C1.0", None, "C3", "C4", "C4"],
        plan_code=list("abcdd"),
    )
    put(
        lake,
        "contacts",
        subscriber_id=["S1.0", "S2", "S4"],
        msisdn=["13800000001.0", "1.38E+10", "13800000004"],
    )
    put(
        lake,
        "contact_limits",
        "2026-10-01",
        subscriber_id=["S5.0"],
        kind=["refused"],
        valid_from=["2026-10-01"],
    )
    put(
        lake,
        "contact_limits",
        "2026-10-02",
        subscriber_id=["S6"],
        kind=["refused"],
        valid_from=["2026-10-02"],
    )
    put(lake, "scores", subscriber_id=["S1.0", "S4"], probability=[0.5, 0.25])
    before = lake.manifest("subscribers", MONTH).fingerprint
    counts = migrations.bring_up_to_date(db=db, lake=lake, config=config, now=NOW)
    assert counts is not None
    assert counts["tables"] == 4
    assert (counts["rows_merged"], counts["numbers_mended"], counts["numbers_gone"]) == (1, 1, 1)
    found = lake.scan("subscribers", MONTH).sort("subscriber_id").collect()
    assert found["subscriber_id"].to_list() == ["S1", "S2", "S3", "S4"]
    assert found["customer_id"].to_list() == ["C1", None, "C3", "C4"]
    assert lake.scan("contacts", MONTH).sort("subscriber_id").collect().rows() == [
        ("S1", "13800000001"),
        ("S4", "13800000004"),
    ]
    limits = lake.scan("contact_limits", MONTH).sort("subscriber_id").collect()
    assert limits["subscriber_id"].to_list() == ["S5", "S6"]
    assert set(lake.manifest("contact_limits", MONTH).periods) == {"2026-10-01", "2026-10-02"}
    assert lake.scan(scores_of(CAMPAIGN), MONTH).sort("subscriber_id").collect().rows() == [
        ("S1", 0.5),
        ("S4", 0.25),
    ]
    assert lake.manifest("subscribers", MONTH).fingerprint != before
    assert faults(lake) == []
    assert Lake(tmp_path / "lake").is_current
    assert migrations.bring_up_to_date(db=db, lake=lake, config=config, now=NOW) is None
    told = rows(db, "select action, details from audit_log where subject = 'lake' order by action")
    assert counts.pop("moved") == 1
    assert told == [("ids_made_canonical", counts), ("tables_moved_to_campaign", {"moved": 1})]


@pytest.mark.parametrize("exchanged", [0, 1, 3])
def test_carrying_over_goes_on_where_it_was_killed(
    tmp_path: Path, db: Connection, config: Config, monkeypatch: pytest.MonkeyPatch, exchanged: int
) -> None:
    lake = lake_of_before(tmp_path / "lake", 2)
    tables = ("churned", "scores", "subscribers", "usage_months")
    for table in tables:
        put(lake, table, subscriber_id=["S1.0", "S2.0", "S3"])
    left, real = iter(range(exchanged)), Lake.supersede

    def die_later(self: Lake, *given: Any) -> Any:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return real(self, *given)

    with monkeypatch.context() as killing:
        killing.setattr(Lake, "supersede", die_later)
        with pytest.raises(KeyboardInterrupt):
            migrations.bring_up_to_date(db=db, lake=lake, config=config, now=NOW)
    assert not Lake(lake.root).is_current
    counts = migrations.bring_up_to_date(db=db, lake=Lake(lake.root), config=config, now=NOW)
    assert counts is not None
    assert counts["tables"] == len(tables) - exchanged
    for table in ("churned", scores_of(CAMPAIGN), "subscribers", "usage_months"):
        assert lake.scan(table, MONTH).sort("subscriber_id").collect()["subscriber_id"].to_list() == [
            "S1",
            "S2",
            "S3",
        ]


def test_a_lake_of_before_is_not_resharded_before_its_ids_are_one(tmp_path: Path) -> None:
    lake = lake_of_before(tmp_path / "lake")
    with pytest.raises(NotReady, match="Let a run of the loop bring it up to date"):
        resharded(lake, tmp_path / "other", 2)


# ---------------------------------------------------------------- the erased


@pytest.mark.parametrize("erased_as", ["S0001", "S0001.0"])
@pytest.mark.parametrize("way", sorted(WRITINGS))
def test_the_erased_are_known_again_in_any_writing(erased_as: str, way: str) -> None:
    kept_out = erased.KeptOut("salt", {erased.bucket_of(erased_as)}, {erased.hash_of(erased_as, "salt")})
    found = kept_out.among(pl.Series([WRITINGS[way]("S0001"), "S0002", None]))
    assert found.to_list() == [True, False, False]
