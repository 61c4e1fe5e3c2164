"""The province's branches: one head office, an office per region, the branches below them; and who sits where."""

import json
from collections.abc import Iterator

import sqlalchemy as sa

from include.database.queries import load
from include.simulator.market import BRANCHES_PER_REGION, REGIONS

Q = load("commands/roster")

HEAD = "P00"


def branches() -> Iterator[dict[str, str | None]]:
    """Every branch with the one it reports to, by the codes of the landing files."""
    yield {"branch_code": HEAD, "parent_code": None, "name": "省公司 / Head office", "region_code": None}
    for region in range(1, REGIONS + 1):
        code = f"R{region:02d}"
        yield {"branch_code": code, "parent_code": HEAD, "name": f"{code} 分公司", "region_code": code}
        for branch in range(1, BRANCHES_PER_REGION + 1):
            below = f"{code}-B{branch:02d}"
            yield {"branch_code": below, "parent_code": code, "name": f"{below} 营业部", "region_code": code}


def lay_out(db: sa.Connection) -> int:
    """Put the branches into the open transaction, once, and the simulated people into the head office."""
    rows = list(branches())
    db.execute(Q["put_branches"], {"rows": json.dumps(rows, ensure_ascii=False)})
    db.execute(Q["place_simulated"], {"branch_code": HEAD})
    return len(rows)
