"""A lake of an earlier layout is brought up to date, table by table; killed, the next run goes on.

First, from before ids had one writing, to that; then what is made per campaign to its campaign.
"""

import json
from datetime import datetime

from sqlalchemy import Connection

from include.config import Config
from include.database.queries import load
from include.lake import LAYOUT, Lake
from include.stages.collection.migrations import canonical_writing, per_campaign


def bring_up_to_date(*, db: Connection, lake: Lake, config: Config, now: datetime) -> dict[str, int] | None:
    """Bring the lake to the layout of this version; the counts, or None where nothing was to do.

    `moved` counts months of tables that have gone to their campaign.
    """
    if lake.is_current:
        return None
    counts: dict[str, int] = {}
    if lake.layout < canonical_writing.LAYOUT:
        counts = canonical_writing.make_canonical(db, lake, config)
        lake.mark(canonical_writing.LAYOUT)
        _record(db, "ids_made_canonical", counts, now)
    moved = {"moved": per_campaign.move(db, lake)}
    lake.mark(LAYOUT)
    _record(db, "tables_moved_to_campaign", moved, now)
    return {**counts, **moved}


def _record(db: Connection, action: str, counts: dict[str, int], now: datetime) -> None:
    with db.begin():
        values = {"now": now, "action": action, "details": json.dumps(counts)}
        db.execute(load("stages/collection")["audit_carried_over"], values)
