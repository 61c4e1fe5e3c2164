"""The part of an address that says what of the queue is shown; pages and API read it alike."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Query

from include.desk.tickets.queue import Filters, Selection, select_view
from include.desk.viewer import Viewer


@dataclass(frozen=True)
class QueueAddress:
    """The filters of a view and the place its page begins after, as a dependency of a route."""

    grade: Annotated[str | None, Query(max_length=10)] = None
    region: Annotated[str | None, Query(max_length=40)] = None
    tier: Annotated[str | None, Query(max_length=20)] = None
    segment: Annotated[str | None, Query(max_length=40)] = None
    campaign: Annotated[str | None, Query(max_length=63)] = None
    after: Annotated[str | None, Query(max_length=60)] = None

    def selection(self, viewer: Viewer, view: str) -> Selection:
        """What a view shows under these filters; BadInput for a view not theirs or a place that is none."""
        filters = Filters.of(self.campaign, self.grade, self.region, self.tier, self.segment)
        return select_view(viewer, view, filters, self.after)
