"""One subscriber taken out of everything the loop keeps: database, lake, quarantine, rows under way.

The order makes a killed erasure safe to run again: what tells the numbers to look for (contacts, profiles)
goes last. Counts and history stay under a pseudonym; the log keeps a salted hash, no id.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import polars as pl
from sqlalchemy import Connection

from include.database.queries import load
from include.domain.erasure import bucket_of, pattern_of, pseudonym
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import ZONE, month_of
from include.domain.signature import Signature
from include.domain.text.canonical import UNSEEN, canonical_id, legible
from include.lake import Lake, Manifest, Part, scan_files
from include.lake.locks import hold
from include.lake.upkeep import QUARANTINE
from include.stages.collection.publisher import CONTACTS
from include.stages.collection.staging import STAGING_PREFIX

PROFILES = "subscribers"
#: Columns of the lake in which people write what they like.
FREE_TEXT = ("text", "category", "source", "reason")
ERASED = "***"
_ID = "subscriber_id"
# What a search for plain letters and digits may miss: full-width ones, and signs no eye sees
_DISGUISED = f"[０-９Ａ-Ｚａ-ｚ＿－{UNSEEN}]"


@dataclass(frozen=True)
class Sought:
    """Whom to look for: the id, the numbers to call, and the customers that are this subscriber alone.

    `writings` are other ones of the id under which rows still stand in the database, since its own row stood too.
    """

    subscriber: str
    phones: tuple[str, ...]
    customers: tuple[str, ...]
    writings: tuple[str, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """Every writing of the id."""
        return (self.subscriber, *self.writings)

    @property
    def pattern(self) -> str:
        return pattern_of([*self.ids, *self.customers], self.phones)

    def mentioned(self, texts: pl.Series) -> pl.Series:
        """Which texts name the subscriber, in any writing (a coarse look first: nearly none does)."""
        words = [self.subscriber, *self.customers, *self.phones]
        is_near = texts.str.contains_any(words) | texts.str.contains(_DISGUISED)
        near = texts.filter(is_near).unique().to_list()
        return texts.is_in([text for text in near if re.search(self.pattern, text) or self._is_read(text)])

    def masked(self, text: str) -> str:
        """`text` without what names the subscriber."""
        plain = legible(text) if self._is_read(text) else text
        return re.sub(self.pattern, ERASED, plain)

    def _is_read(self, text: str) -> bool:
        """Whether an eye reads the subscriber in what a search does not find."""
        return not text.isascii() and bool(re.search(self.pattern, legible(text)))


@dataclass(frozen=True)
class Request:
    """Whom to erase, signed by who asked for it and why; with `bar` later deliveries of any month are kept out."""

    subscriber: str
    signed: Signature
    bar: bool = False


@dataclass(frozen=True)
class Erased:
    """Rows by place (`tickets`, `lake.scores`) that went, or of a dry run would go; that one has no number."""

    counts: dict[str, int]
    erasure_id: int | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing was stored of the id."""
        return not any(self.counts.values())

    def as_json(self) -> dict[str, int | str]:
        """The counts by place, with number and pseudonym of the erasure."""
        if self.erasure_id is None:
            return {"dry_run": True, **self.counts}
        return {"erasure_id": self.erasure_id, "pseudonym": pseudonym(self.erasure_id), **self.counts}


def erase(*, db: Connection, lake: Lake, request: Request, dry_run: bool = False) -> Erased:
    """Erase one subscriber everywhere; counts by place. Run again, it finishes what was killed, or finds nothing.

    Facts up to the month of the request are kept out of later deliveries. BadInput without subscriber, reason or
    name. NotReady for a lake of an earlier version, and when a run that was under way has brought something back:
    run again once it has ended.
    """
    subscriber, signed = canonical_id(request.subscriber), request.signed
    if not subscriber or not signed.because.strip() or not signed.by.strip():
        raise BadInput("An erasure needs a subscriber, a reason and who asked for it.")
    if not lake.is_current:
        raise NotReady(
            f"The lake {lake.root} is laid out as by an earlier version. Let a run of the loop bring it up to date."
        )
    sought = _sought(db, lake, subscriber)
    if dry_run:
        return Erased({**_in_database(db, sought, None, signed.at), **_found(lake, sought)})
    erasure_id = _begin(db, sought, request)
    counts = _in_database(db, sought, erasure_id, signed.at)
    _finish(db, erasure_id, counts, None)
    counts |= {"spools": lake.store.drop_spools(STAGING_PREFIX, -1.0)}
    counts |= {f"lake.{QUARANTINE}": _from_quarantine(lake, sought)} | _from_lake(db, lake, sought)
    left = [place for place, rows in _found(lake, sought).items() if rows]
    if left:
        raise NotReady(
            f"A run under way has brought rows back meanwhile ({', '.join(left)}). Erase again once it has ended."
        )
    _finish(db, erasure_id, counts, signed.at)
    return Erased(counts, erasure_id)


def _begin(db: Connection, sought: Sought, request: Request) -> int:
    signed = request.signed
    begun = {
        "subscriber": sought.subscriber,
        "bucket": bucket_of(sought.subscriber),
        "by": signed.by,
        "because": re.sub(sought.pattern, ERASED, signed.because),
        "through": None if request.bar else month_of(signed.at.astimezone(ZONE).date()),
        "now": signed.at,
    }
    with db.begin():
        erasure_id: int = db.execute(load("commands/erasure")["begin"], begun).scalar_one()
    return erasure_id


def _finish(db: Connection, erasure_id: int, counts: dict[str, int], at: datetime | None) -> None:
    concerned = {name: rows for name, rows in counts.items() if rows}
    with db.begin():
        db.execute(
            load("commands/erasure")["finish"],
            {"erasure_id": erasure_id, "counts": json.dumps(concerned), "finished_at": at},
        )


def _sought(db: Connection, lake: Lake, subscriber: str) -> Sought:
    phones, customers = set[str](), set[str]()
    with db.begin():
        writings = (
            db.execute(load("commands/erasure")["other_writings"], {"subscriber": subscriber}).scalars().all()
        )
        for who in ({"subscriber": each} for each in (subscriber, *writings)):
            phones |= set(db.execute(load("commands/erasure")["phones"], who).scalars())
            customers |= set(db.execute(load("commands/erasure")["own_customers"], who).scalars())
    phones |= _values(lake, CONTACTS, "msisdn", subscriber)
    customers |= _values(lake, PROFILES, "customer_id", subscriber)
    customers -= _shared(lake, customers, subscriber)
    own = customers - {subscriber, *writings}
    return Sought(subscriber, tuple(sorted(phones)), tuple(sorted(own)), tuple(writings))


def _values(lake: Lake, table: str, column: str, subscriber: str) -> set[str]:
    """What a column ever held for the subscriber."""
    found: set[str] = set()
    for month in lake.months(table):
        rows = lake.scan(table, month, _shard_of(lake, subscriber)).filter(pl.col(_ID) == subscriber)
        if column in rows.collect_schema().names():
            found |= set(rows.select(column).drop_nulls().collect().to_series())
    return found


def _shared(lake: Lake, customers: set[str], subscriber: str) -> set[str]:
    """Those of the customers that other subscribers belong to as well."""
    shared: set[str] = set()
    for month in lake.months(PROFILES) if customers else ():
        rows = lake.scan(PROFILES, month)
        if "customer_id" in rows.collect_schema().names():
            others = rows.filter(pl.col("customer_id").is_in(customers) & (pl.col(_ID) != subscriber))
            shared |= set(others.select("customer_id").unique().collect(engine="streaming").to_series())
    return shared


def _shard_of(lake: Lake, subscriber: str) -> int:
    return int(lake.shard_of(pl.Series([subscriber]))[0])


def _in_database(db: Connection, sought: Sought, erasure_id: int | None, now: datetime) -> dict[str, int]:
    """Rows changed by table; without an erasure all is rolled back again."""
    with db.begin() as transaction:
        wanted = {
            "customers": [*sought.customers, *sought.ids],
            "pattern": sought.pattern,
            "now": now,
        }
        counts: dict[str, int] = {}
        for nth, written in enumerate(sought.ids):
            # rows of two writings stood beside each other, and go on to
            instead = pseudonym(erasure_id or 0) + (f"-{nth}" if nth else "")
            for row in db.execute(
                load("commands/erasure")["erase"], wanted | {"subscriber": written, "instead": instead}
            ):
                counts[row.what] = max(counts.get(row.what, 0), row.changed)
        if erasure_id is None:
            transaction.rollback()
    return counts


# ---------------------------------------------------------------- lake


def _months(lake: Lake) -> Iterator[tuple[str, str]]:
    """Every table and month; those that tell numbers and customers come last."""
    last = (PROFILES, CONTACTS)
    tables = [table for table in lake.tables() if table not in last]
    for table in [*tables, *(table for table in last if table in lake.tables())]:
        for month in lake.months(table):
            yield table, month


def _from_lake(db: Connection, lake: Lake, sought: Sought) -> dict[str, int]:
    counts: dict[str, int] = {}
    for table, month in _months(lake):
        with db.begin():
            hold(db, table, month)
            counts[f"lake.{table}"] = counts.get(f"lake.{table}", 0) + _from_month(lake, table, month, sought)
    return counts


def _from_month(lake: Lake, table: str, month: str, sought: Sought) -> int:
    """Write the parts of a month that hold the subscriber anew, without; how many rows it concerned."""
    manifest, replaced, concerned = lake.manifest(table, month), {}, 0
    for part in manifest.parts:
        rows, changed = _without(lake, manifest, part, sought)
        if changed:
            day = part.period if part.period != month else None
            replaced[part.name] = lake.write_part(table, month, part.shard, rows, "erase", day)
            concerned += changed
    obsolete = _dead(lake, manifest, sought)
    if replaced or obsolete:
        lake.exchange(manifest, replaced, obsolete)
    return concerned


def _without(lake: Lake, manifest: Manifest, part: Part, sought: Sought) -> tuple[pl.DataFrame, int]:
    """The rows of a part without the subscriber, and how many rows that changes; none are read if none."""
    address = lake.part_address(manifest, part)
    changed = _concerned(address, sought, is_theirs=part.shard == _shard_of(lake, sought.subscriber))
    if not changed:
        return pl.DataFrame(), 0
    rows = scan_files(address).collect()
    if _ID in rows.columns:
        rows = rows.filter(pl.col(_ID).ne_missing(sought.subscriber))
    for name in _free_text(rows.schema):
        masked = [sought.masked(text) if text else text for text in rows[name]]
        rows = rows.with_columns(pl.Series(name, masked, pl.String))
    return rows, changed


def _concerned(address: str, sought: Sought, *, is_theirs: bool) -> int:
    """Rows of a file that are the subscriber's or name them."""
    scanned = scan_files(address)
    schema = scanned.collect_schema()
    wanted = [name for name in _free_text(schema) + [_ID] * is_theirs if name in schema]
    if not wanted:
        return 0
    rows = scanned.select(wanted).collect()
    concerned = pl.repeat(False, rows.height, eager=True)
    for name in wanted:
        found = rows[name] == sought.subscriber if name == _ID else sought.mentioned(rows[name])
        concerned |= found.fill_null(False)
    return int(concerned.sum())


def _free_text(schema: pl.Schema) -> list[str]:
    return [name for name in FREE_TEXT if schema.get(name) == pl.String]


def _dead(lake: Lake, manifest: Manifest, sought: Sought) -> list[str]:
    """Files of the month no reader goes by (superseded, or of a writer that died) that hold the subscriber."""
    folder, live = lake.folder(manifest.table, manifest.month), {part.name for part in manifest.parts}
    names = [name for name in lake.store.files(folder) if name.endswith(".parquet") and name not in live]
    return [name for name in names if _may_hold(lake.store.address(f"{folder}/{name}"), sought)]


def _may_hold(address: str, sought: Sought) -> bool:
    try:
        return _concerned(address, sought, is_theirs=True) > 0
    except FileNotFoundError:  # a purge was faster
        return False
    except (pl.exceptions.PolarsError, OSError):
        return True  # half a file of a writer that was killed: nobody can tell what it holds


def _from_quarantine(lake: Lake, sought: Sought) -> int:
    """Mask the raw rows that name the subscriber; file, line and reason stay, so that counts agree."""
    concerned = 0
    for name in list(lake.store.below(QUARANTINE)):
        rows = scan_files(lake.store.address(name)).collect()
        named = sought.mentioned(rows["raw"]).fill_null(False)
        if named.any():
            raw = pl.when(named).then(pl.lit(ERASED)).otherwise(pl.col("raw"))
            lake.store.write_parquet(name, rows.with_columns(raw.alias("raw")))
            concerned += int(named.sum())
    return concerned


def _found(lake: Lake, sought: Sought) -> dict[str, int]:
    """Rows by table that are the subscriber's or name them, in the lake and its quarantine."""
    counts: dict[str, int] = {}
    for table, month in _months(lake):
        manifest = lake.manifest(table, month)
        for part in manifest.parts:
            theirs = part.shard == _shard_of(lake, sought.subscriber)
            rows = _concerned(lake.part_address(manifest, part), sought, is_theirs=theirs)
            counts[f"lake.{table}"] = counts.get(f"lake.{table}", 0) + rows
    for name in lake.store.below(QUARANTINE):
        raw = scan_files(lake.store.address(name)).select("raw").collect().to_series()
        counts[f"lake.{QUARANTINE}"] = counts.get(f"lake.{QUARANTINE}", 0) + int(sought.mentioned(raw).sum())
    return counts
