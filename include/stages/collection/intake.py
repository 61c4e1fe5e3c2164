"""One delivery on its way into the lake, and where that happens: what all steps of collection share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection

from include.config import Config
from include.config.readers.sources import Feed, FeedContract
from include.lake import Lake
from include.stages.collection import waivers
from include.stages.collection.sources import landing_folder
from include.stages.collection.sources.database import Connection as OperatorDatabase
from include.stages.collection.sources.delivery import Delivery, DeliveryKey
from include.stages.collection.validator.contract import Contract
from include.stages.collection.waivers import Waivers


@dataclass(frozen=True)
class Site:
    """Where collection is at work: from which folder and databases, into which lake, and when.

    `connections` are open DBAPI connections to the operator's databases, by feed.
    """

    db: Connection
    lake: Lake
    config: Config
    landing: Path
    now: datetime
    connections: Mapping[str, OperatorDatabase] = field(default_factory=dict)

    def landed(self, key: DeliveryKey, approved: Waivers) -> Delivery:
        """What lies of a delivery in the landing folder, without what a person goes on without."""
        return waivers.applied(landing_folder.named(self.landing, self.config.sources, key), approved)

    def is_landed(self, key: DeliveryKey) -> bool:
        """Whether files of a delivery lie in the landing folder."""
        return landing_folder.is_landed(self.landing, key)


@dataclass(frozen=True)
class Intake:
    """A delivery being taken in at a site.

    `approved` are the waivers that were in force when it was looked at, `state` tells its files as they lay there
    then. `fingerprint` is what it is known by; another declaration of its feed makes it another one.
    """

    site: Site
    delivery: Delivery
    approved: Waivers
    state: tuple[tuple[str, int, int], ...]
    fingerprint: str

    @classmethod
    def of(cls, site: Site, delivery: Delivery, approved: Waivers | None = None) -> "Intake":
        """The intake of a delivery as it lies there now; NotReady when a file cannot be read."""
        state = delivery.state()  # first: what changes while the files are hashed is to be noticed
        declared = site.config.sources.contract(delivery.key.feed)
        return cls(site, delivery, approved or {}, state, delivery.fingerprint(declared.hash))

    @property
    def key(self) -> DeliveryKey:
        """Feed and period."""
        return self.delivery.key

    @property
    def lake(self) -> Lake:
        """Where its rows go."""
        return self.site.lake

    @property
    def terms(self) -> FeedContract:
        """What sources.yaml asks of its feed, and else of all feeds."""
        return self.site.config.sources.contract(self.key.feed)

    @property
    def feed(self) -> Feed:
        """How its feed is declared in sources.yaml."""
        return self.terms.declared

    @property
    def contract(self) -> Contract:
        """What each of its rows is held against."""
        return Contract(self.feed, self.terms.zone, self.key.days)

    @property
    def restricted(self) -> tuple[str, ...]:
        """Its columns that few may see, which go to a table of their own."""
        return self.feed.restricted

    @property
    def run_id(self) -> str:
        """The name of the run that its files in the lake carry: the same at every attempt."""
        return f"collect-{self.fingerprint[:12]}"

    def has_changed(self) -> bool:
        """Whether somebody has written to the delivery since; what a query gave is what it gave."""
        if self.delivery.content:
            return self.delivery.state() != self.state
        now = self.site.landed(self.key, self.approved)
        return now.is_complete != self.delivery.is_complete or now.state() != self.state
