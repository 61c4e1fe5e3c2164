"""The outreach list taken out: who may still be written to, as a file for the SMS platform."""

import csv
import hashlib
import io
import json
import os
import stat
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypedDict

import polars as pl
import sqlalchemy as sa

from include.config import Config
from include.database.queries import load
from include.domain.contact.outreach import masked, send_from
from include.domain.errors import BadInput, NotReady
from include.domain.periods.months import ZONE
from include.domain.signature import Signature
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


@dataclass(frozen=True)
class OutreachList:
    """The outreach list of a cycle, and where it and what it rests on are read."""

    db: sa.Connection
    lake: Lake
    config: Config
    campaign: str
    cycle: str


class Message(TypedDict):
    """A row of the list, its columns those of `COLUMNS`: whom to write to, with what offer, and when."""

    msisdn: str
    channel: str
    offer: str
    offer_zh: str
    offer_en: str
    strategy: str
    send_from: str
    send_daily_from: str
    send_daily_until: str
    rank: int
    grade: str
    campaign: str
    cycle: str


class Exported(TypedDict):
    """What was written: rows, how many were left out for which reason, the file's hash and name."""

    stage: str
    rows: int
    left_out: dict[str, int]
    sha256: str
    masked: bool
    file: str


def export(outreach: OutreachList, to: Path, signed: Signature, *, is_masked: bool = False) -> Exported:
    """Write the list of a cycle to the new file `to` (.csv or .parquet); counts, path and sha256.

    With phone numbers it needs a folder nobody else can read. Whoever has refused, left or got a ticket since
    the listing is left out. Kept in the audit log before the file appears. BadInput for a file that stands, of
    another kind, or where others can look; NotReady when nobody is listed.
    """
    _check_place(to, is_masked)
    rows, left_out = list_of(outreach, signed.at, is_masked=is_masked)
    content = _as_csv(rows) if to.suffix == ".csv" else _as_parquet(rows)
    done: Exported = {
        "stage": "outreach",
        "rows": len(rows),
        "left_out": left_out,
        "sha256": hashlib.sha256(content).hexdigest(),
        "masked": is_masked,
        "file": to.name,
    }
    details = {name: value for name, value in done.items() if name != "stage"}
    with outreach.db.begin():
        audit = {"action": "export_outreach", "subject": f"{outreach.campaign} {outreach.cycle}"}
        values = {"by": signed.by, "now": signed.at, "details": json.dumps(details)}
        outreach.db.execute(Q["record_audit"], audit | values)
    _write(to, content)
    return done


def list_of(
    outreach: OutreachList, now: datetime, *, is_masked: bool
) -> tuple[list[Message], dict[str, int]]:
    """The rows of the list as they may be sent now, by rank, and how many were left out for which reason.

    NotReady when nobody is listed in the cycle.
    """
    db, lake = outreach.db, outreach.lake
    campaign, cycle = outreach.campaign, outreach.cycle
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
    rows, left_out = [], Counter[str]()
    for item in items:
        number = numbers.get(item.subscriber_id, "")
        if reason := against.get(item.subscriber_id) or item.barred or (None if number else "no_number"):
            left_out[reason] += 1
            continue
        rows.append(_row(outreach, item, masked(number) if is_masked else number, now))
    return rows, dict(sorted(left_out.items()))


def _row(outreach: OutreachList, item: sa.Row[Any], number: str, now: datetime) -> Message:
    entry = outreach.config.strategies.offers.get(item.offer)
    quiet = outreach.config.contact.quiet_hours
    return {
        "msisdn": number,
        "channel": item.channel,
        "offer": item.offer,
        "offer_zh": entry.zh if entry else "",
        "offer_en": entry.en if entry else "",
        "strategy": item.strategy,
        "send_from": send_from(now, quiet.begins, quiet.ends).isoformat(timespec="minutes"),
        "send_daily_from": f"{quiet.ends:%H:%M}",
        "send_daily_until": f"{quiet.begins:%H:%M}",
        "rank": item.rank,
        "grade": item.grade,
        "campaign": outreach.campaign,
        "cycle": outreach.cycle,
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


def _as_csv(rows: Sequence[Message]) -> bytes:
    """UTF-8 with a byte order mark, for spreadsheets; no cell can be taken for a formula."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows([harmless(str(value)) for value in _cells(row)] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def _cells(row: Message) -> list[object]:
    facts = dict(row)
    return [facts[name] for name in COLUMNS]


def _as_parquet(rows: Sequence[Message]) -> bytes:
    schema = {name: pl.Int64 if name == "rank" else pl.String for name in COLUMNS}
    made = io.BytesIO()
    pl.DataFrame([_cells(row) for row in rows], schema=schema, orient="row").write_parquet(made)
    return made.getvalue()
