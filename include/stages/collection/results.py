"""What collection tells of its work: each a JSON object that tasks hand on and cycles keep."""

from typing import NotRequired, TypedDict

from include.domain.row_counts import RowCounts


class PlannedDelivery(TypedDict):
    """A delivery that is to be collected."""

    feed: str
    period: str


class Collected(RowCounts):
    """One delivery in the lake; `covered_by` names the month that stands in place of a day."""

    stage: str
    feed: str
    period: str
    is_new: bool
    ignored_files: list[str]
    covered_by: NotRequired[str]


class Lack(TypedDict):
    """Why a required feed lacks; `state` tells its files as they were seen, empty when there were none."""

    state: str
    why: str


class RequiredFeeds(RowCounts):
    """What came of the feeds a month cannot do without, and by feed what `lacking` waits for."""

    stage: str
    deliveries: int
    lacking: dict[str, Lack]


class WaiverInForce(TypedDict):
    """What a month goes on without; `rows` is None where they could not be counted, `at` an ISO instant."""

    feed: str
    period: str
    file: str
    rows: int | None
    by: str
    because: str
    at: str


class KnownIds(TypedDict):
    """How many people a feed names, how many of them are in a profile, and the share from 0 to 1."""

    ids: int
    known: int
    share: float


class FeedRows(TypedDict):
    """Rows of a feed in a month."""

    read: int
    accepted: int
    quarantined: int


class MonthReport(RowCounts):
    """What stands for a month after collection; `worst` and `notes` are sentences."""

    stage: str
    month: str
    deliveries: int
    missing_feeds: list[str]
    missing_columns: dict[str, list[str]]
    ignored_columns: dict[str, list[str]]
    usage_without_profile: int
    known_ids: dict[str, KnownIds]
    values_not_taken: int
    goes_on_without: list[WaiverInForce]
    by_feed: dict[str, FeedRows]
    worst: list[str]
    notes: list[str]
