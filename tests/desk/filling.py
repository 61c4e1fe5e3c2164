"""Fill a database with a desk's year, set-based: tickets in every state with what hangs on them, and the staff."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from include.clocks.calendar import fill_calendar
from include.clocks.ticket_clocks import read_clocks
from include.config import Config
from include.config.readers.campaign import CLOCKS
from include.database import engine

_STATEMENTS = Path(__file__).with_suffix(".sql").read_text("utf-8").split(";\n")
_MONTHS = ["2026-05", "2026-06", "2026-07", "2026-08", "2026-09", "2026-10"]
#: What dispatch freezes about a subscriber, of the usual shape and size.
EVIDENCE: dict[str, Any] = {
    "subscriber": {"plan_code": "5G-129", "plan_fee_yuan": 129.0, "tenure_months": 38.2},
    "profile": {"plan_data_mb": 30720, "plan_voice_minutes": 500, "balance_yuan": 12.5, "numbers_on_account": 1},
    "reasons": [
        {"factor": factor, "contribution": 0.4, "value": 3.2, "zh": "近三个月流量下降", "en": "Data use is falling"}
        for factor in ("data_mb_trend", "calls_out_trend", "arpu_yuan_trend")
    ],
    "human_reasons": [
        {
            "reason": "price", "contribution": 0.7, "evidence": 1.0, "is_symptom": False,
            "zh": "资费偏高", "en": "The fee is too high",
        }
    ],
    "rules": [{"rule": "contract_ends", "zh": "合约即将到期", "en": "The contract ends soon"}],
    "factors": {f"factor_{nth}": round(nth * 1.37, 2) for nth in range(20)},
    "history": {"months": _MONTHS, "data_mb": [9000, 8500, 7000, 6100, 5200, 4000], "bill_yuan": [129] * 6},
}  # fmt: skip


def fill(url: str, config: Config, *, tickets: int, agents: int, now: datetime) -> None:
    """Write the year before `now` as the superuser behind `url`, triggers off, then gather statistics."""
    made = engine(url, role=None, poolclass=sa.NullPool)
    with made.connect() as db:
        with db.begin():
            fill_calendar(db, config, now)
            plan = read_clocks(db, config, now).terms().started({"plan": CLOCKS["plan"]}, now)[0]
            values = {
                "tickets": tickets, "agents": agents, "now": now, "evidence": json.dumps(EVIDENCE),
                "explanation": json.dumps(plan["explanation"]),
            }  # fmt: skip
            db.execute(sa.text("set local session_replication_role = replica"))
            for statement in filter(str.strip, _STATEMENTS):
                db.execute(sa.text(statement), values)
        db.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("vacuum analyze"))
    made.dispose()


def number_of(ticket_id: int) -> str:
    """The telephone number of a ticket."""
    return f"139{ticket_id * 7919 % 100_000_000:08d}"
