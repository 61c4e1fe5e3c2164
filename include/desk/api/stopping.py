"""Programs and the switch that stops outbound: what stands, stop, lift."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field

from include.desk import stops
from include.desk.api.bodies import Id
from include.desk.api.repeating import Key, receipt_of
from include.desk.viewer import TEAM, Viewer
from include.desk.web.identity import needs
from include.desk.web.receipts import once
from include.domain.contact.stop import Scope

router = APIRouter()
#: Leads and managers; the database asks once more which of them it is.
Lead = Annotated[Viewer, needs("GET", TEAM)]


class Stopping(BaseModel):
    """What to stop and why; `what` is the campaign, team or region, and left out for all."""

    model_config = ConfigDict(extra="forbid")

    scope: Literal["all", "campaign", "team", "region"]
    what: Annotated[str, Field(min_length=1, max_length=60)] | None = None
    because: Annotated[str, Field(min_length=1, max_length=2000)]


class Stop(BaseModel):
    """A stop: it stands while lifted_at is null."""

    stop_id: int
    scope: str
    what: str | None
    because: str
    stopped_at: datetime
    stopped_by: str
    lifted_at: datetime | None
    lifted_by: str | None


class Stops(BaseModel):
    """The stops that stand, then the last ones lifted."""

    stops: list[Stop]


class Done(BaseModel):
    """The number of the stop made or lifted."""

    stop_id: int


@router.get("/stops")
def read(request: Request, viewer: Lead) -> Stops:
    """What is stopped, since when, by whom and why."""
    with request.app.state.database.reading(viewer.staff_id) as db:
        return Stops(stops=[Stop.model_validate(dict(row)) for row in stops.known(db)])


@router.post("/stops")
def stop(request: Request, viewer: Lead, wanted: Stopping, key: Key = None) -> Done:
    """Stop all outbound of a region, team, campaign or everything, at once."""
    state, receipt = request.app.state, receipt_of(request, viewer, key, "stop", wanted.model_dump())
    stopping = stops.Stopping(Scope(wanted.scope, wanted.what), wanted.because)
    with state.database.working() as db:
        made = once(
            db, receipt,
            lambda: stops.stop(db, state.config, viewer, stopping, now=state.clock()),
        )  # fmt: skip
    return Done(stop_id=made.value)


@router.post("/stops/{stop_id}/lift")
def lift(request: Request, viewer: Lead, stop_id: Annotated[Id, Path()], key: Key = None) -> Done:
    """Let outbound go on."""
    state, receipt = request.app.state, receipt_of(request, viewer, key, "lift", stop_id)
    with state.database.working() as db:
        done = once(
            db, receipt,
            lambda: stops.lift(db, staff_id=viewer.staff_id, stop_id=stop_id, now=state.clock()),
        )  # fmt: skip
    return Done(stop_id=done.value)
