"""Whoever writes, drops, erases or copies a period of the lake waits for whoever is doing so."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from psycopg2.errors import LockNotAvailable

from include.commands.data_retention import retain
from include.commands.erasure import Request, erase
from include.config import Config
from include.database import engine
from include.domain.periods.months import ZONE
from include.domain.signature import Signature
from include.lake import Lake, upkeep
from include.lake.locks import hold
from include.lake.upkeep import resharded
from include.run.results import new_name
from include.stages.training.out_of_fold import Unseen, publish_out_of_fold

NOW = datetime(2026, 11, 22, 7, tzinfo=ZONE)
LONG_AFTER = NOW.replace(year=2032)
MONTH = "2026-10"
TABLES = ("usage_months", "contacts", "scores_out_of_fold/campaign=churn_warning")
ROWS = pl.DataFrame({"subscriber_id": ["S1", "S2"]})
JUDGED = ROWS.with_columns(month=pl.lit(MONTH), probability=pl.lit(0.5), cluster=pl.lit("over_12"))


@pytest.fixture
def filled(lake: Lake) -> Lake:
    """A month of a feed, of what is split off from one, and of what a campaign makes."""
    for table in TABLES:
        part = lake.write_part(table, MONTH, 0, ROWS, "run")
        lake.publish(table, MONTH, [part], facts={"model_versions": []})
    return lake


@pytest.fixture
def holder(role_url: Callable[[str], str]) -> Iterator[sa.Connection]:
    """Somebody else at work."""
    pool = engine(role_url("churn_loop"))
    with pool.connect() as connection:
        yield connection
    pool.dispose()


def _erase(db: sa.Connection, lake: Lake, _config: Config) -> Any:
    return erase(db=db, lake=lake, request=Request("S1", Signature("privacy desk", NOW, "asked for it")))


def _retain(db: sa.Connection, lake: Lake, config: Config) -> Any:
    return retain(db=db, lake=lake, config=config, now=LONG_AFTER)


def _reshard(db: sa.Connection, lake: Lake, _config: Config) -> Any:
    return resharded(lake, f"{lake.root}-{new_name()}", 2, db)


def _train(db: sa.Connection, lake: Lake, _config: Config) -> Any:
    return publish_out_of_fold(Unseen(db, lake, TABLES[2], MONTH), "v1", JUDGED)


@pytest.mark.parametrize(
    ("work", "table"),
    [
        *((work, table) for work in (_erase, _retain, _reshard) for table in ("usage_months", TABLES[2])),
        (_train, TABLES[2]),
        # written together with the profiles
        *((work, "subscribers") for work in (_erase, _retain, _reshard)),
    ],
)
def test_one_waits_for_the_other(db, holder, filled, config, work, table):
    with holder.begin():
        hold(holder, table, MONTH)
        with db.begin():
            db.execute(sa.text("set lock_timeout = '300ms'"))
        with pytest.raises(sa.exc.OperationalError) as stopped:
            work(db, filled, config)
        assert isinstance(stopped.value.orig, LockNotAvailable)
    work(db, filled, config)


def test_nobody_waits_for_another_period(db, holder, filled, config):
    with holder.begin():
        hold(holder, "usage_months", "2026-09")
        with db.begin():
            db.execute(sa.text("set lock_timeout = '300ms'"))
        _reshard(db, filled, config)
        _erase(db, filled, config)


def test_what_changes_while_a_lake_is_copied_is_copied_again(
    filled: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy, copied = upkeep._moved, []

    def moved(lake: Lake, made: Lake, manifest: Any) -> Any:
        done = copy(lake, made, manifest)
        copied.append(manifest.table)
        if copied.count("usage_months") == 1 and manifest.table == "usage_months":
            # a month erased from, one dropped after it was copied and one before, one new
            left = lake.write_part(
                "usage_months", MONTH, 0, ROWS.filter(pl.col("subscriber_id") != "S1"), "erase"
            )
            stood = lake.manifest("usage_months", MONTH)
            lake.exchange(stood, {stood.parts[0].name: left}, [])
            for table in ("contacts", "zone_events"):
                lake.drop(table, MONTH)
            lake.publish("arrivals", MONTH, [lake.write_part("arrivals", MONTH, 0, ROWS, "run")])
        return done

    filled.publish("zone_events", MONTH, [filled.write_part("zone_events", MONTH, 0, ROWS, "run")])
    monkeypatch.setattr(upkeep, "_moved", moved)
    made = resharded(filled, tmp_path / "new", 2)
    assert copied.count("usage_months") == 2
    assert made.scan("usage_months", MONTH).collect()["subscriber_id"].to_list() == ["S2"]
    assert made.tables() == ["arrivals", TABLES[2], "usage_months"]
    assert upkeep.faults(made) == []
    live = {part.name for part in made.manifest("usage_months", MONTH).parts}
    files = {path.name for path in (tmp_path / "new" / "usage_months" / f"month={MONTH}").iterdir()}
    assert files == {*live, "_manifest.json"}
