"""Stopping and lifting outbound at the desk: leads for their team, managers for anything; audited, at once in force.

A lead lifts what leads of the team stopped; what a manager or the command stopped a manager lifts.

Every function makes its own transaction on a connection with desk rights.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from include.clocks.stops import Q, lifted, read_stops, require_known, standing
from include.config import Config
from include.desk.tickets.transaction import begin, identify, in_words
from include.desk.viewer import Viewer
from include.domain.contact.stop import TEAM, Scope
from include.domain.errors import Refused


@dataclass(frozen=True)
class Stopping:
    """Of what outbound shall stop, and why."""

    scope: Scope
    because: str


def stop(db: sa.Connection, config: Config, viewer: Viewer, wanted: Stopping, *, now: datetime) -> int:
    """Stop outbound of a scope; the stop's number. Refused to agents, to leads beyond their team, and twice."""
    scope, said = wanted.scope, in_words(wanted.because, "because")
    if not viewer.may_stop or (viewer.role != "manager" and scope != Scope(TEAM, viewer.team)):
        raise Refused(
            "A lead stops their own team; regions, campaigns and everything are stopped by a manager.",
            code="stop_not_yours",
        )
    with begin(db):
        identify(db, viewer.staff_id)
        require_known(db, config, scope)
        values = asdict(scope) | {"because": said, "now": now}
        made: int | None = db.execute(Q["stop_at_desk"], values).scalar_one()
        if made is None:
            raise standing(scope)
        return made


def lift(db: sa.Connection, *, staff_id: int, stop_id: int, now: datetime) -> int:
    """Lift a stop; its number. Refused when it is lifted already or not theirs to lift."""
    with begin(db):
        identify(db, staff_id)
        done: int | None = db.execute(Q["lift_at_desk"], {"stop_id": stop_id, "now": now}).scalar_one()
    if done is None:
        raise lifted(stop_id)
    return done


def known(db: sa.Connection) -> Sequence[sa.RowMapping]:
    """The stops that stand, then the last ones lifted; as the identified person may see them: all."""
    return read_stops(db)
