"""One run: the cycle it works on, its two instants, and what it works with. Every stage is given one."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

import sqlalchemy as sa

from include.config import Config
from include.config.readers.campaign import Campaign
from include.config.readers.measures import Measure
from include.domain.periods import months
from include.lake import Lake
from include.lake.campaigns import grades_of, scores_of
from include.run.cycles import Cycle


class Provenance(TypedDict):
    """For which cycle and run something in the lake was made."""

    campaign: str
    cycle: str
    as_of: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class MonthRun:
    """What the factors of a month are made with, which all campaigns share.

    db: outside a transaction. as_of: aware; nothing dated from it on is known.
    """

    db: sa.Connection
    lake: Lake
    config: Config
    month: str
    as_of: datetime


@dataclass(frozen=True, kw_only=True)
class Run(MonthRun):
    """What every stage of a cycle is given.

    campaign: its name. cycle: its key, a month or a day; `month` is the one whose factors it reads. now: aware, what
    people and clocks are stamped with. revision: 0 is what people act on, later ones compare with a fixed cycle.
    config: the common files and the campaign's own.
    """

    campaign: str
    cycle: str
    now: datetime
    revision: int = 0

    @classmethod
    def of(cls, opened: Cycle, *, db: sa.Connection, lake: Lake, config: Config, now: datetime) -> "Run":
        """The run of a cycle that `open_cycle` opened."""
        return cls(
            db=db, lake=lake, config=config, now=now, campaign=opened.campaign, cycle=opened.cycle,
            month=opened.month, as_of=opened.as_of, revision=opened.revision,
        )  # fmt: skip

    @property
    def key(self) -> dict[str, str]:
        """The cycle as statements name it."""
        return {"campaign": self.campaign, "cycle": self.cycle}

    @property
    def key_of_revision(self) -> dict[str, str | int]:
        """The revision of the cycle as statements name it."""
        return {**self.key, "revision": self.revision}

    @property
    def rules(self) -> Campaign:
        """The campaign as configured."""
        return self.config.campaign(self.campaign)

    @property
    def measure(self) -> Measure | None:
        """The draw of its hold-out; None where nobody is held out."""
        return self.config.measure(self.campaign)

    @property
    def scores_table(self) -> str:
        """Where its revision keeps scores."""
        return scores_of(self.campaign, self.revision)

    @property
    def grades_table(self) -> str:
        """Where its revision keeps grades."""
        return grades_of(self.campaign, self.revision)

    @property
    def provenance(self) -> Provenance:
        """What ties scores and grades in the lake to this run."""
        instant = self.as_of.astimezone(months.ZONE).isoformat()
        return {"campaign": self.campaign, "cycle": self.cycle, "as_of": instant, "revision": self.revision}

    def foreign(self, facts: Mapping[str, Any]) -> str:
        """For which other cycle, as_of or revision scores or grades of those `facts` were made; empty when for none."""
        wanted = self.provenance
        made = {name: facts.get(name, "not kept") for name in wanted}
        if made == wanted:
            return ""
        sentence = "for {campaign} {cycle} as of {as_of} (revision {revision})"
        return f"were made {sentence.format(**made)}, not {sentence.format(**wanted)}"
