"""From notices to digests: whom each is for, whether that person is at work now, one message per person."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, time, timedelta
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from include.clocks.ticket_clocks import Clocks, read_clocks
from include.config import Config
from include.config.readers.notices import Channel, Notices
from include.database import lock
from include.database.queries import load
from include.domain.periods.months import ZONE
from include.notices.texts import digest

Q = load("notices")
Message = dict[str, Any]


def gather(db: sa.Connection, config: Config, notices: Notices, now: datetime) -> int:
    """Put what is to be told now into messages, one per person and one for operations; return how many.

    A person is told in the working hours of the own team and branch, on a day on duty, and not twice within
    `digest_minutes`. What an absent assignee should know is told to the lead, what an absent lead should
    know to the branch's manager; without anybody it waits.
    """
    with db.begin():
        lock(db, "notices")
        db.execute(Q["put_aside_untold"], {"now": now, "kinds": notices.kinds_by("none")})
        db.execute(Q["put_aside_settled"], {"now": now})
        messages = [*_for_operations(db, notices, now), *_for_staff(db, config, notices, now)]
        _write(db, messages, now)
    return len(messages)


def gather_alarms(db: sa.Connection, notices: Notices, now: datetime) -> int:
    """The same for operations alone, who are told at any hour."""
    with db.begin():
        lock(db, "notices")
        messages = _for_operations(db, notices, now)
        _write(db, messages, now)
    return len(messages)


def _kinds(notices: Notices, opens: time, now: datetime) -> dict[str, Any]:
    """Which kinds are told at once, and which once the morning after they arose has come."""
    opened_at = datetime.combine(now.astimezone(ZONE).date(), opens, ZONE)
    if now < opened_at:
        opened_at -= timedelta(days=1)
    pages, mornings = notices.kinds_by("page"), notices.kinds_by("morning_mail")
    return {"pages": pages, "mornings": mornings, "opened_at": opened_at}


def _for_operations(db: sa.Connection, notices: Notices, now: datetime) -> list[Message]:
    kinds = _kinds(notices, min(each.since for each in notices.heartbeats.values()), now)
    rows = db.execute(Q["find_for_operations"], kinds).mappings().all()
    return [_message(notices, "operations", rows)] if rows else []


def _for_staff(db: sa.Connection, config: Config, notices: Notices, now: datetime) -> list[Message]:
    posts = _posts_at_work(db, read_clocks(db, config, now), now)
    if not posts:
        return []
    values = {
        "posts": json.dumps(posts),
        "today": now.astimezone(ZONE).date(),
        "told_before": now - timedelta(minutes=notices.digest_minutes),
        **_kinds(notices, config.sla.opens, now),
    }
    found = db.execute(Q["find_for_staff"], values).mappings()
    rows = [{**row, "clocks": config.clocks_named(row["campaign"])} for row in found]
    return [_message(notices, "staff", list(own)) for _, own in groupby(rows, lambda row: row["recipient"])]


def _posts_at_work(db: sa.Connection, clocks: Clocks, now: datetime) -> list[dict[str, Any]]:
    """Teams and branches inside their working hours; `is_worked` when today is a working day of theirs."""
    found = []
    for row in db.execute(Q["find_posts"]):
        terms = clocks.terms(team=row.team, branch=row.branch_code)
        if terms.is_within_hours(now):
            worked = terms.calendar.is_working(now)
            found.append({"team": row.team, "branch_code": row.branch_code, "is_worked": worked})
    return found


def _message(notices: Notices, channel: str, rows: Sequence[Any]) -> Message:
    way: Channel = notices.channels["staff" if channel == "staff" else "operations"]
    subject, body = digest(notices, channel, rows, way.languages)
    ids = sorted(row["notice_id"] for row in rows)
    recipient = rows[0].get("recipient")
    is_page = any(notices.kinds[row["kind"]].tell == "page" for row in rows)
    return {
        "dedupe_key": f"digest/{recipient or channel}/{ids[0]}-{ids[-1]}-{len(ids)}",
        "channel": channel,
        "staff_id": recipient,
        "address": rows[0].get("email"),
        "severity": "page" if is_page else "morning_mail",
        "subject": subject,
        "body": body,
        "notice_ids": ids,
    }


def _write(db: sa.Connection, messages: Iterable[Message], now: datetime) -> None:
    if written := list(messages):
        db.execute(Q["write_messages"], {"messages": json.dumps(written, ensure_ascii=False), "now": now})
