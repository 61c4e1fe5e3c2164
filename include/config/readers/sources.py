"""What operators deliver: the feeds, their columns and types, and how much may be wrong."""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from include.config.readers.dialects import Dialect, units_of
from include.config.readers.reading import Entry, Flag, validated

FEEDS = (
    "subscribers",
    "usage_months",
    "service_events",
    "market_events",
    "subscriber_changes",
    "contact_limits",
    "churned",
)
Type = Literal["id", "phone", "text", "integer", "number", "amount", "date", "instant", "flag", "choice"]
Period = Literal["month", "day"]
_IDS = (
    "subscriber_id", "customer_id", "account_id", "event_id", "region_code", "branch_code", "seller_code",
    "manager_code",
)  # fmt: skip
_FORMERLY_TEXT = {**dict.fromkeys(_IDS, "id"), "msisdn": "phone"}


def _existing_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(f"'{name}' is not a time zone; write one like Asia/Shanghai") from None
    return name


Zone = Annotated[str, AfterValidator(_existing_zone)]
Share = Annotated[float, Field(ge=0, le=1)]


class Column(Entry):
    """One declared column; `required` columns must be in the header and filled in every row."""

    type: Type
    required: Flag = False
    of: tuple[str, ...] = ()
    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _bounds_fit_the_type(self) -> "Column":
        if (self.type == "choice") != bool(self.of):
            raise ValueError("a choice, and only a choice, lists its values under 'of'")
        if self.type not in ("integer", "number", "amount") and (self.min, self.max) != (None, None):
            raise ValueError(f"a {self.type} has no min or max")
        return self


class Shared(Entry):
    """How many people may bear one value of a key: above both bounds it names nobody and counts as unknown."""

    people: Annotated[int, Field(ge=1)]
    share: Share


class Known(Entry):
    """What share of the people a delivery names must be in a profile, and from how many ids on that is asked."""

    share: Share
    ids: Annotated[int, Field(ge=1)] = 20


class Query(Entry):
    """A feed that stands in the operator's database: by which Airflow Connection, and how it is asked for.

    `by` month a query may use :month (YYYY-MM), :first_day and :next_month (dates); by day :day (YYYY-MM-DD),
    :first_day and :next_day. Without a query all columns of the table of the feed's name are read where its
    column `month`, or `day`, is the period.
    """

    connection: str | None = None
    query: str | None = None
    by: Period = "month"


class Feed(Entry):
    """One feed: how it is delivered, what identifies a row, which columns it may bring.

    `within` names the column whose Shanghai date must lie inside the delivered month or day, `until` one
    that must not lie after it. `restricted` columns go to the lake table `contacts` instead.
    A file with at most `quarantine_rows` broken rows is borne, whatever their share. A key of `shared_at_most`
    that more people bear is none. Where less than `least_known` of the ids occur in a profile, collection stops.
    """

    periods: tuple[Period, ...] = Field(min_length=1)
    required: Flag = False
    key: tuple[str, ...] = Field(min_length=1)
    within: str | None = None
    until: str | None = None
    restricted: tuple[str, ...] = ()
    shared_at_most: dict[str, Shared] = Field(default_factory=dict)
    least_known: Known | None = None
    time_zone: Zone | None = None
    dialect: Dialect = Dialect()
    sql: Query | None = None
    quarantine_share: Share | None = None
    quarantine_rows: Annotated[int, Field(ge=0)] = 0
    when_absent: str
    columns: dict[str, Column] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _people_are_ids(cls, raw: Any) -> Any:
        """Columns that name people or places were declared as text before there was a type for them."""
        columns = raw.get("columns") if isinstance(raw, dict) else None
        if not isinstance(columns, dict):
            return raw
        known = {
            name: {**column, "type": _FORMERLY_TEXT[name]}
            for name, column in columns.items()
            if name in _FORMERLY_TEXT and isinstance(column, dict) and column.get("type") == "text"
        }
        return {**raw, "columns": {**columns, **known}}

    @model_validator(mode="after")
    def _names_declared_columns(self) -> "Feed":
        named = [*self.key, *self.restricted, *self.shared_at_most, *filter(None, [self.within, self.until])]
        unknown = sorted(set(named) - self.columns.keys())
        if unknown:
            raise ValueError(f"the column {', '.join(unknown)} is used but not declared under 'columns'")
        if self.sql and self.sql.by not in self.periods:
            raise ValueError(f"the feed is not delivered by {self.sql.by}; ask for it by {self.periods[0]}")
        for name in filter(None, [self.within, self.until]):
            if self.columns[name].type not in ("date", "instant"):
                raise ValueError(f"the column {name} must be a date or an instant")
        return self

    @model_validator(mode="after")
    def _dialect_fits_the_columns(self) -> "Feed":
        spoken = self.dialect
        named = {*spoken.headers.values(), *spoken.codes, *spoken.units, *spoken.formats}
        unknown = named - self.columns.keys()
        if unknown:
            raise ValueError(
                f"the dialect names {', '.join(sorted(unknown))}, which 'columns' does not declare"
            )
        for name, unit in spoken.units.items():
            if unit not in units_of(name) or self.columns[name].type not in ("amount", "number"):
                raise ValueError(f"the dialect cannot deliver {name} in {unit}")
        for name in spoken.formats:
            if self.columns[name].type not in ("date", "instant"):
                raise ValueError(f"the dialect gives a format to {name}, which is no date and no instant")
        for name, codes in spoken.codes.items():
            if voided := sorted(set(codes) & set(spoken.nulls)):
                raise ValueError(
                    f"the dialect reads {voided[0]!r} of {name} as a code and as nothing; keep one"
                )
            wrong = set(codes.values()) - set(self.columns[name].of)
            if self.columns[name].type == "choice" and wrong:
                raise ValueError(
                    f"the dialect makes {', '.join(sorted(wrong))} of {name}, which is no choice"
                )
        return self

    @property
    def required_columns(self) -> tuple[str, ...]:
        return tuple(name for name, column in self.columns.items() if column.required)


class Completeness(Entry):
    """When a required month feed without a manifest counts as complete, and how long a run waits for it.

    `band`: by how much the rows of a region may differ from the month before; regions of fewer than
    `least_rows` then are not judged. `wait_until_hour`: hour in Shanghai.
    """

    band: Annotated[float, Field(gt=0)] = 0.3
    least_rows: Annotated[int, Field(ge=1)] = 50
    wait_until_hour: Annotated[int, Field(ge=0, le=23)] = 18


class Sources(Entry):
    """The file sources.yaml; every feed of the landing contract must be declared."""

    quarantine_share: Share
    time_zone: Zone
    completeness: Completeness = Completeness()
    least_known: Known = Known(share=0.5)
    feeds: dict[str, Feed]

    @model_validator(mode="after")
    def _has_every_feed(self) -> "Sources":
        absent, unknown = set(FEEDS) - self.feeds.keys(), self.feeds.keys() - set(FEEDS)
        if absent or unknown:
            raise ValueError(f"feeds absent: {sorted(absent)}; feeds unknown: {sorted(unknown)}")
        return self

    def contract(self, name: str) -> "FeedContract":
        """The feed of that name with what holds for all feeds where it does not say otherwise."""
        return FeedContract(name, self.feeds[name], self)

    @property
    def connections(self) -> dict[str, str]:
        """Feed → Airflow Connection, of the feeds that are read by SQL."""
        declared = {name: feed.sql.connection for name, feed in self.feeds.items() if feed.sql}
        return {name: connection for name, connection in declared.items() if connection}


@dataclass(frozen=True)
class FeedContract:
    """One feed as it is to be delivered: what it declares itself, and else what is `common` to all feeds."""

    name: str
    declared: Feed
    common: Sources

    @property
    def zone(self) -> str:
        """The time zone of instants that the feed delivers without an offset."""
        return self.declared.time_zone or self.common.time_zone

    @property
    def quarantine_share(self) -> float:
        """The share of a file or delivery that may be broken before collection stops."""
        own = self.declared.quarantine_share
        return self.common.quarantine_share if own is None else own

    @property
    def least_known(self) -> Known:
        """How many of the people a delivery names must be known before collection stops."""
        return self.declared.least_known or self.common.least_known

    @property
    def query(self) -> str:
        """The statement that gives a month, or a day, of the feed in the operator's database."""
        whole = f"select * from {self.name} where {self.asked_by} = :{self.asked_by}"  # noqa: S608  # one of FEEDS
        return (self.declared.sql and self.declared.sql.query) or whole

    @property
    def asked_by(self) -> Period:
        """Whether the operator's database is asked for months or for days of the feed."""
        return self.declared.sql.by if self.declared.sql else "month"

    @property
    def hash(self) -> str:
        """Changes whenever the declaration would read the same files differently."""
        tolerated = {"quarantine_share", "quarantine_rows", "required", "when_absent", "sql", "least_known"}
        if self.declared.dialect == Dialect():
            tolerated.add("dialect")  # months delivered before there were dialects stay known
        declared = self.declared.model_dump_json(exclude=tolerated) + self.zone
        return hashlib.sha256(declared.encode()).hexdigest()


def parse(raw: object, file: str) -> Sources:
    """Validate the content of sources.yaml; ConfigError names file, entry and cause."""
    return validated(Sources, raw, file)
