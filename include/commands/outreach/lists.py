"""The outreach list taken out: who may still be written to, as a file for the SMS platform."""

import csv
import hashlib
import io
import json
import os
import stat
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import sqlalchemy as sa

from include.config import Config
from include.database.queries import load
from include.domain.contact.outreach import masked, send_from
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import ZONE
from include.domain.text.canonical import canonical_phone
from include.domain.text.spreadsheets import harmless
from include.lake import Lake
from include.subscribers.eligibility import barred

Q = load("stages/outreach")

COLUMNS = (
    "msisdn", "channel", "offer", "offer_zh", "offer_en", "strategy", "send_from", "send_daily_from",
    "send_daily_until", "rank", "grade", "campaign", "cycle",
)  # fmt: skip
_SUFFIXES = (".csv", ".parquet")


def export(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, to: Path, by: str, now: datetime,
    is_masked: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write the list of a cycle to the new file `to` (.csv or .parquet); counts, path and sha256.

    With phone numbers it needs a folder nobody else can read. Whoever has refused, left or got a ticket since
    the listing is left out. Kept in the audit log before the file appears.
    """
    _check_place(to, is_masked)
    rows, left_out = list_of(
        db=db, lake=lake, config=config, campaign=campaign, cycle=cycle, now=now, is_masked=is_masked
    )
    content = _as_csv(rows) if to.suffix == ".csv" else _as_parquet(rows)
    told = {
        "rows": len(rows),
        "left_out": left_out,
        "sha256": hashlib.sha256(content).hexdigest(),
        "masked": is_masked,
        "file": to.name,
    }
    with db.begin():
        audit = {"by": by, "action": "export_outreach", "subject": f"{campaign} {cycle}", "now": now}
        db.execute(Q["record_audit"], audit | {"details": json.dumps(told)})
    _write(to, content)
    return {"stage": "outreach", **told}


def list_of(
    *, db: sa.Connection, lake: Lake, config: Config, campaign: str, cycle: str, now: datetime, is_masked: bool
) -> tuple[list[dict[str, Any]], dict[str, int]]:  # fmt: skip
    """The rows of the list as they may be sent now, by rank, and how many were left out for which reason."""
    with db.begin():
        key = {"campaign": campaign, "cycle": cycle, "day": now.astimezone(ZONE).date()}
        items = db.execute(Q["read_list"], key).all()
    if not items:
        raise NotReady(
            f"Nobody is listed in cycle {cycle} of {campaign}. Run its dispatch and outreach first."
        )
    month, subscribers = items[0].month, [item.subscriber_id for item in items]
    numbers = _numbers(lake, month, subscribers)
    against = barred(lake, month, now, subscribers)
    quiet = config.contact.quiet_hours
    when = {
        "send_from": send_from(now, quiet.begins, quiet.ends).isoformat(timespec="minutes"),
        "send_daily_from": f"{quiet.ends:%H:%M}",
        "send_daily_until": f"{quiet.begins:%H:%M}",
        "campaign": campaign,
        "cycle": cycle,
    }
    rows, left_out = [], Counter[str]()
    for item in items:
        number = numbers.get(item.subscriber_id, "")
        if reason := against.get(item.subscriber_id) or item.barred or (None if number else "no_number"):
            left_out[reason] += 1
            continue
        rows.append(_row(item, masked(number) if is_masked else number, config) | when)
    return rows, dict(sorted(left_out.items()))


def _row(item: sa.Row[Any], number: str, config: Config) -> dict[str, Any]:
    entry = config.strategies.offers.get(item.offer)
    return {
        "msisdn": number,
        "channel": item.channel,
        "offer": item.offer,
        "offer_zh": entry.zh if entry else "",
        "offer_en": entry.en if entry else "",
        "strategy": item.strategy,
        "rank": item.rank,
        "grade": item.grade,
    }


def _numbers(lake: Lake, month: str, subscribers: Sequence[str]) -> dict[str, str]:
    if not lake.has("contacts", month):
        return {}
    wanted = pl.LazyFrame({"subscriber_id": subscribers}, schema={"subscriber_id": pl.String})
    rows = lake.scan("contacts", month).join(wanted, on="subscriber_id", how="semi").collect()
    found = rows.drop_nulls("msisdn").select("subscriber_id", "msisdn").iter_rows()
    known = ((subscriber, canonical_phone(msisdn)) for subscriber, msisdn in found)
    return {subscriber: number.removeprefix("+") for subscriber, number in known if number}


def _check_place(to: Path, is_masked: bool) -> None:
    """Refuse a name that stands, an unknown kind of file, and for numbers a folder others can look into."""
    if to.suffix not in _SUFFIXES:
        raise BadInput(f"{to.name} is neither .csv nor .parquet. Give the list one of these endings.")
    if to.exists():
        raise BadInput(f"{to} stands already. Give the list a new name.")
    to.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = stat.S_IMODE(to.parent.stat().st_mode)
    if mode & 0o077 and not is_masked:
        raise BadInput(
            f"Others can look into the folder {to.parent} (mode {mode:o}), and the list holds phone numbers. "
            "Give a folder of mode 700, or --masked."
        )


def _write(to: Path, content: bytes) -> None:
    """Write the file whole or not at all, readable by its owner alone."""
    passing = to.with_name(f".{to.name}.part")
    passing.unlink(missing_ok=True)
    handle = os.open(passing, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.link(passing, to)  # unlike a renaming it never replaces what stands
    passing.unlink()


def _as_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """UTF-8 with a byte order mark, for spreadsheets; no cell can be taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([harmless(str(row[name])) for name in COLUMNS] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _as_parquet(rows: Sequence[Mapping[str, Any]]) -> bytes:
    schema = {name: pl.Int64 if name == "rank" else pl.String for name in COLUMNS}
    made = io.BytesIO()
    pl.DataFrame([{name: row[name] for name in COLUMNS} for row in rows], schema=schema).write_parquet(made)
    return made.getvalue()
