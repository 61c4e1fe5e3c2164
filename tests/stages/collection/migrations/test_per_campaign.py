"""A lake that kept scores, grades and labels of one campaign alone: all of it moves there, killed anywhere or twice."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa

from include.config import Config
from include.database import engine
from include.domain.errors import Damaged
from include.lake import Lake
from include.lake.__main__ import main as lake_command
from include.lake.campaigns import LABELS, PER_CAMPAIGN, SCORES, grades_of, of_campaign, scores_of
from include.lake.upkeep import faults
from include.stages.collection import migrations
from include.stages.dispatch import dispatch
from tests.fixtures.graded import CAMPAIGN, MONTH, Warned, graded_cycle
from tests.fixtures.lakes import as_before_campaigns, put
from tests.fixtures.runs import run_of
from tests.fixtures.work import hire

NOW = datetime(2026, 11, 6, 2, tzinfo=UTC)
MONTHS = ("2026-09", MONTH)
PEOPLE = pl.DataFrame({"subscriber_id": [f"S{number}" for number in range(50)], "probability": [0.5] * 50})


def filled(root: str | Path, months: Sequence[str] = MONTHS, tables: Sequence[str] = PER_CAMPAIGN) -> Lake:
    """Months of tables made per campaign, and of a common one, as layout 2 kept them."""
    lake = Lake.create(root, subscribers=1_000_000)
    for month in months:
        for table in ("factors", *tables):
            own = table if table == "factors" else of_campaign(table, CAMPAIGN)
            put(lake, own, month, PEOPLE)
            stands = lake.manifest(own, month)
            facts = {"revision": 0, "as_of": "2026-11-05T06:00:00+08:00"}
            lake.publish(own, month, stands.parts, fingerprint=stands.fingerprint, facts=facts)
    return as_before_campaigns(lake)


def update(db: sa.Connection, lake: Lake, config: Config) -> dict[str, Any] | None:
    return migrations.bring_up_to_date(db=db, lake=Lake(lake.root), config=config, now=NOW)


def names(lake: Lake) -> list[str]:
    return sorted(lake.store.below(""))


def moved(lake: Lake) -> dict[tuple[str, str], Any]:
    """What is known of every month of a table, and that its rows are the people's."""
    found = {}
    for table in lake.tables():
        for month in lake.months(table):
            assert (
                lake.scan(table, month).sort("subscriber_id").collect().equals(PEOPLE.sort("subscriber_id"))
            )
            manifest = lake.manifest(table, month)
            found[table, month] = (manifest.fingerprint, manifest.facts, manifest.parts)
    return found


def test_every_table_goes_to_the_campaign_with_its_hashes_and_gains_its_cycle(
    db: sa.Connection, lake_root: str, config: Config
) -> None:
    lake = filled(lake_root)
    before = moved(lake)
    assert {table for table, _ in before} == {"factors", *PER_CAMPAIGN}
    assert update(db, lake, config) == {"moved": len(PER_CAMPAIGN) * len(MONTHS)}
    after = moved(Lake(lake_root))
    for (table, month), (fingerprint, facts, parts) in before.items():
        own = table if table == "factors" else of_campaign(table, CAMPAIGN)
        key = {} if table == "factors" else {"campaign": CAMPAIGN, "cycle": month}
        assert after.pop((own, month)) == (fingerprint, facts | key, parts)
    assert after == {}
    assert not [name for table in PER_CAMPAIGN for name in names(lake) if name.startswith(f"{table}/month=")]
    assert faults(Lake(lake_root)) == []
    assert Lake(lake_root).is_current
    assert update(db, lake, config) is None


class Killed(BaseException):
    """The end of a process, at whatever it was about to do."""


def dying(monkeypatch: pytest.MonkeyPatch, lake: Lake, steps: int) -> None:
    """Whoever writes to or deletes from the store for the `steps`-th time is dead."""
    left, kind = iter(range(steps)), type(lake.store)

    def counted(real: Callable[..., None]) -> Callable[..., None]:
        def act(*given: Any) -> None:
            if next(left, None) is None:
                raise Killed
            real(*given)

        return act

    for name in ("write", "delete"):
        monkeypatch.setattr(kind, name, counted(getattr(kind, name)))


def test_killed_at_any_step_the_next_run_goes_on_and_nothing_is_lost_or_doubled(
    db: sa.Connection, lake_root: str, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = ((MONTH,), (SCORES, LABELS))
    whole = filled(f"{lake_root}-whole", *small)
    update(db, whole, config)
    wanted = {key: facts[:2] for key, facts in moved(Lake(whole.root)).items()}
    steps = 0
    while True:
        lake = filled(f"{lake_root}-{steps}", *small)
        with monkeypatch.context() as killing:
            dying(killing, lake, steps)
            try:
                update(db, lake, config)
                break
            except Killed:
                assert not Lake(lake.root).is_current
        steps += 1
        update(db, lake, config)
        assert {key: facts[:2] for key, facts in moved(Lake(lake.root)).items()} == wanted
        assert [name.rpartition("/")[0] for name in names(lake)] == [
            name.rpartition("/")[0] for name in names(whole)
        ]
    assert steps == 2 * 6 + 1  # two files and a manifest written and removed of each table; the description


def test_two_runs_that_move_at_the_same_time_move_it_once(
    role_url: Callable[[str], str], tmp_path: Path, config: Config
) -> None:
    lake, pool, told = filled(tmp_path / "lake"), engine(role_url("churn_loop")), []
    begun = threading.Barrier(2)

    def run() -> None:
        with pool.connect() as db:
            mine = Lake(lake.root)
            begun.wait()
            told.append(migrations.bring_up_to_date(db=db, lake=mine, config=config, now=NOW))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pool.dispose()
    assert sum(each["moved"] for each in told) == len(PER_CAMPAIGN) * len(MONTHS)
    assert len(moved(Lake(lake.root))) == (len(PER_CAMPAIGN) + 1) * len(MONTHS)
    assert faults(Lake(lake.root)) == []


def test_the_campaign_is_the_one_the_database_began_with(
    db: sa.Connection, tmp_path: Path, config: Config
) -> None:
    with db.begin():
        db.execute(sa.text("insert into configurations values ('test', '{}', now())"))
        for campaign, month, at in (("rescue", "2026-09", NOW), ("later", "2026-10", NOW.replace(day=7))):
            db.execute(
                sa.text(
                    "insert into cycles (campaign, cycle, month, as_of, config_hash, opened_at)"
                    " values (:campaign, :month, :month, :at, 'test', :at)"
                ),
                {"campaign": campaign, "month": month, "at": at},
            )
    lake = filled(tmp_path / "lake")
    update(db, lake, config)
    assert [table for table in Lake(lake.root).tables() if table.startswith(SCORES + "/")] == [
        scores_of("rescue")
    ]


def test_what_was_damaged_before_is_told_where_it_lies_now(
    db: sa.Connection, tmp_path: Path, config: Config
) -> None:
    lake = filled(tmp_path / "lake")
    part = lake.manifest(SCORES, MONTH).parts[0]
    lake.store.delete(f"{lake.folder(SCORES, MONTH)}/{part.name}")
    lake.store.write(f"{lake.folder('grades', MONTH)}/_manifest.json", b"[]")
    update(db, lake, config)
    found = {fault.table: fault.sentence for fault in faults(Lake(lake.root))}
    assert found.keys() == {scores_of(CAMPAIGN), grades_of(CAMPAIGN)}
    assert "is gone" in found[scores_of(CAMPAIGN)]
    with pytest.raises(Damaged, match="is no manifest that can be read"):
        Lake(lake.root).manifest(grades_of(CAMPAIGN), MONTH)


def test_what_a_dead_writer_left_without_a_manifest_goes(
    db: sa.Connection, tmp_path: Path, config: Config
) -> None:
    lake = filled(tmp_path / "lake")
    lake.write_part(SCORES, "2026-08", 0, PEOPLE, "dead")
    update(db, lake, config)
    assert not [name for name in names(lake) if "2026-08" in name]


def test_a_description_that_was_lost_lets_the_next_run_look_again_and_change_nothing(
    db: sa.Connection, role_url: Callable[[str], str], tmp_path: Path, config: Config
) -> None:
    lake = filled(tmp_path / "lake")
    update(db, lake, config)
    before = moved(Lake(lake.root))
    lake.store.delete("lake.json")
    words = ["--lake", str(lake.root), "--db", role_url("churn_loop"), "--landing", str(tmp_path)]
    assert lake_command(["repair", *words]) == 0
    assert Lake(lake.root).layout == 1
    counts = update(db, lake, config)
    assert counts is not None
    assert (counts["moved"], counts["tables"]) == (0, 0)
    assert moved(Lake(lake.root)) == before


def test_repair_moves_before_it_cures(
    db: sa.Connection, role_url: Callable[[str], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lake = filled(tmp_path / "lake")
    lake.store.write(f"{lake.folder('labels', MONTH)}/_manifest.json", b"[]")
    words = ["--lake", str(lake.root), "--db", role_url("churn_loop"), "--landing", str(tmp_path)]
    assert lake_command(["repair", *words]) == 1
    told = capsys.readouterr().out
    assert "12 months of tables were moved to the campaign they were made for." in told
    assert f"labels/campaign={CAMPAIGN} of {MONTH} were dropped" in told


# ---------------------------------------------------------------- cycles of before


def of_before(db: sa.Connection, lake: Lake, config: Config) -> dict[str, Any]:
    """A cycle graded by the version before, five people warned."""
    hire(db, contacts_per_day=9)
    return graded_cycle(db, lake, config, [Warned(f"S{number}") for number in range(5)])


def rows(db: sa.Connection, statement: str) -> list[tuple[Any, ...]]:
    with db.begin():
        return [tuple(row) for row in db.execute(sa.text(statement))]


def test_a_cycle_graded_before_is_dispatched_without_scoring_it_again(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    given = of_before(db, lake, config)
    old = as_before_campaigns(lake)
    migrations.bring_up_to_date(db=db, lake=old, config=config, now=NOW)
    result = dispatch(run_of(**given | {"lake": old}, now=NOW))
    assert result["rows_in"] == 5
    assert rows(db, "select count(*) from assignments") == [(result["treated"] + result["held_out"],)]
    assert rows(db, "select fixed_facts -> 'inputs' from cycles") == [
        ({"factors": "test", "scores": "test"},)
    ]


def test_a_cycle_dispatched_before_stays_fixed_and_keeps_its_evidence(
    db: sa.Connection, lake: Lake, config: Config
) -> None:
    given = of_before(db, lake, config)
    dispatch(run_of(**given, now=NOW))
    before = rows(db, "select subscriber_id, arm, evidence_sha256 from assignments order by 1")
    old = as_before_campaigns(lake)
    migrations.bring_up_to_date(db=db, lake=old, config=config, now=NOW)
    result = dispatch(run_of(**given | {"lake": old}, now=NOW))
    assert (result["already_fixed"], result["would_differ"]) == (True, 0)
    assert rows(db, "select subscriber_id, arm, evidence_sha256 from assignments order by 1") == before
