"""People, tickets and notices to tell, and a channel that only remembers."""

from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest
import sqlalchemy as sa

from include.config.readers.notices import Notices, load_notices
from include.domain.periods.months import ZONE
from include.notices.delivering import Message, NotDelivered
from include.stages.release import release
from tests.conftest import ROOT
from tests.fixtures.work import FRIDAY, fill_cycle, hire

#: A working Monday, within working hours.
MONDAY = datetime(2026, 11, 9, 10, tzinfo=ZONE)


@dataclass
class Remembering:
    """A channel that keeps what it was given, and refuses the first `refusals` attempts."""

    refusals: int = 0
    is_final: bool = False
    sent: list[Message] = field(default_factory=list)
    attempts: int = 0

    def __call__(self, message: Message, now: datetime) -> None:
        self.attempts += 1
        if self.attempts <= self.refusals:
            raise NotDelivered("The line is dead, call 13912345678.", is_final=self.is_final)
        self.sent.append(message)


@pytest.fixture(scope="session")
def notices() -> Notices:
    return load_notices(ROOT / "include" / "config")


@pytest.fixture
def channels():
    return {"staff": Remembering(), "operations": Remembering()}


@pytest.fixture
def people(db):
    return hire(db)


@pytest.fixture
def tickets(db, config, people):
    """Four tickets of mid_high, two for each agent, released on Friday."""
    ids = fill_cycle(db, 4)
    release(db=db, config=config, now=FRIDAY)
    return ids


@pytest.fixture
def write(db):
    """Put a notice down: `write(kind, audience, staff_id, ticket_id, created_at, **details)`."""

    def put(kind, audience, staff_id=None, ticket_id=None, created_at=FRIDAY, **details):
        import json

        with db.begin():
            return db.execute(
                sa.text(
                    "insert into notices (dedupe_key, kind, audience, staff_id, ticket_id, details, created_at)"
                    " values (gen_random_uuid()::text, :kind, :audience, :staff, :ticket, cast(:details as jsonb), :at)"
                    " returning notice_id"
                ),
                {
                    "kind": kind, "audience": audience, "staff": staff_id, "ticket": ticket_id,
                    "details": json.dumps(details), "at": created_at,
                },
            ).scalar_one()  # fmt: skip

    return put


def warned(ticket_id: int) -> dict[str, str]:
    """The details of a warning."""
    return {"clock": "plan", "due_at": "2026-11-11T10:00:00+00:00"}


def quickly(notices: Notices, **changes) -> Notices:
    """The configuration with some values changed."""
    return notices.model_copy(update=changes)


__all__ = ["MONDAY", "Remembering", "quickly", "replace", "warned"]
