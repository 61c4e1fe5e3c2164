"""Which plan an approval is of: the fingerprint of the warnings and the configuration a dispatch would go by."""

import hashlib
import json

from include.domain.errors import Refused
from include.run import Run
from include.stages.dispatch.run import Q


def fingerprint(run: Run) -> str:
    """The fingerprint of the plan as it stands now."""
    with run.db.begin():
        return fingerprint_within(run)


def fingerprint_within(run: Run) -> str:
    """The same inside a transaction: as_of, configuration, and everybody warned with grade, tier and rank.

    Not the capacity: where it has shrunk fewer go out, and more than was approved never do.
    """
    as_of = run.db.execute(Q["find_cycle"], run.key).one().as_of
    warnings = run.db.execute(Q["hash_warnings"], run.key_of_revision).scalar_one()
    found = json.dumps([run.config.hash, as_of.timestamp(), run.revision, warnings])
    return hashlib.sha256(found.encode()).hexdigest()[:12]


def require_planned(run: Run, planned: str | None) -> None:
    """Refused unless the plan still is the one of the fingerprint `planned`, if there is any."""
    stands = planned and fingerprint_within(run)
    if stands != planned:
        raise Refused(
            f"Plan {planned} is not what would be dispatched now ({stands}): the cycle was graded or opened anew "
            "since. Nothing was dispatched. Clear dispatch.plan_size and dispatch.approve to plan and ask anew."
        )
