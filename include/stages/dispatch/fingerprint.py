"""Which plan an approval is of: the fingerprint of the warnings and the configuration a dispatch would go by."""

import hashlib
import json
from collections.abc import Mapping

import sqlalchemy as sa

from include.config import Config
from include.domain.errors import Refused
from include.stages.dispatch.run import Q


def fingerprint(*, db: sa.Connection, config: Config, campaign: str, cycle: str, revision: int = 0) -> str:
    """The fingerprint of the plan as it stands now."""
    with db.begin():
        return fingerprint_within(db, config, {"campaign": campaign, "cycle": cycle}, revision)


def fingerprint_within(db: sa.Connection, config: Config, key: Mapping[str, str], revision: int) -> str:
    """The same inside a transaction: as_of, configuration, and everybody warned with grade, tier and rank.

    Not the capacity: where it has shrunk fewer go out, and more than was approved never do.
    """
    as_of = db.execute(Q["find_cycle"], dict(key)).one().as_of
    warnings = db.execute(Q["hash_warnings"], {**key, "revision": revision}).scalar_one()
    found = json.dumps([config.hash, as_of.timestamp(), revision, warnings])
    return hashlib.sha256(found.encode()).hexdigest()[:12]


def require_planned(
    db: sa.Connection, config: Config, key: Mapping[str, str], revision: int, planned: str | None
) -> None:
    """Refused unless the plan still is the one of the fingerprint `planned`, if there is any."""
    stands = planned and fingerprint_within(db, config, key, revision)
    if stands != planned:
        raise Refused(
            f"Plan {planned} is not what would be dispatched now ({stands}): the cycle was graded or opened anew "
            "since. Nothing was dispatched. Clear dispatch.plan_size and dispatch.approve to plan and ask anew."
        )
