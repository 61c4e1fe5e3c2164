"""Cycles: which month or day a campaign works on, what it may know (`as_of`), and which revision a re-run writes."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NotRequired, TypedDict, cast

import sqlalchemy as sa

from include.config import Config, campaign_from, config_from
from include.config.readers.campaign import Campaign
from include.database import lock
from include.database.queries import load
from include.domain.errors import BadInput, NotReady
from include.domain.periods import months, period

Q = load("cycles")


class CycleFacts(TypedDict):
    """A `Cycle` as JSON; what trains apart from a cycle has neither its configuration nor its fix."""

    campaign: str
    cycle: str
    month: str
    as_of: str
    revision: int
    is_fixed: NotRequired[bool]
    config_hash: NotRequired[str]


class Fixed(TypedDict, total=False):
    """What a cycle was dispatched from."""

    as_of: str
    config_hash: str
    inputs: dict[str, str]
    champions: dict[str, Any]


@dataclass(frozen=True)
class Cycle:
    """An opened cycle; `revision` 0 is what people act on, later ones compare with a fixed cycle.

    `cycle` is its key, a month or a day; `month` the one whose factors it reads.
    """

    campaign: str
    cycle: str
    month: str
    as_of: datetime
    revision: int
    is_fixed: bool
    config_hash: str

    def as_json(self) -> CycleFacts:
        """The cycle as an XCom or a log line carries it."""
        return cast(CycleFacts, asdict(self) | {"as_of": self.as_of.isoformat()})


def open_cycle(
    *, db: sa.Connection, config: Config, campaign: str, cycle: str, as_of: datetime | None, now: datetime
) -> Cycle:
    """Open the cycle with the key `cycle`, or find it again; the same call twice gives the same cycle.

    `as_of` must have come by `now`. It is kept at the first attempt; an explicit other one replaces it until the
    first dispatch, and opens a revision for comparison after it.
    """
    own = config.of(campaign)
    rules = own.campaign(campaign)
    cycle = period.parse_key(cycle, own.cadence(campaign))
    _check_as_of(cycle, as_of)
    key = {"campaign": campaign, "cycle": cycle}
    with db.begin():
        lock(db, "cycle", campaign, cycle)
        texts = json.dumps(own.texts, sort_keys=True, ensure_ascii=False)
        db.execute(Q["keep_configuration"], {"config_hash": own.hash, "texts": texts, "now": now})
        found = db.execute(Q["find_cycle"], key).one_or_none()
        wanted = as_of or (found.as_of if found else period.default_as_of(cycle))
        wanted = wanted.astimezone(months.ZONE)
        months.require_past(wanted, now)
        month = period.factors_month(cycle, wanted)
        values = key | _described(rules, cycle) | {"month": month, "as_of": wanted, "now": now}
        values |= {"config_hash": own.hash, "cadence": own.cadence(campaign)}
        if found and found.fixed_at:
            return Cycle(campaign, cycle, month, wanted, _revision(db, values), True, own.hash)
        db.execute(Q["reopen_cycle" if found else "open_cycle"], values)
        db.execute(Q["keep_revision"], values | {"revision": 0})
        return Cycle(campaign, cycle, month, wanted, 0, False, own.hash)


def _described(rules: Campaign, cycle: str) -> dict[str, Any]:
    """What other campaigns go by, without reading the files of this one."""
    return {
        "precedence": rules.precedence,
        "beside_others": rules.beside_others,
        "is_shadow": rules.shadow,
        "measure": rules.measure_name,
        "horizon_ends_at": rules.horizon_ends_at(cycle),
        "dispatch_ends_at": rules.dispatch_ends_at(cycle),
    }


def config_of(db: sa.Connection, config_hash: str) -> Config:
    """The configuration a cycle was opened with, whatever the files in the folder say by now."""
    with db.begin():
        texts = db.execute(Q["find_configuration"], {"config_hash": config_hash}).scalar()
    if texts is None:
        raise NotReady(
            f"The database has no configuration {config_hash}. Open the cycle again: clear open_cycle."
        )
    return config_from(texts)


def campaign_of(db: sa.Connection, config: Config, campaign: str, cycle: str) -> Campaign:
    """The rules tickets of a cycle are worked by; inside a transaction.

    Those of the campaign's file; where that is wrong or gone by now, those its cycle was opened with.
    """
    if campaign in config.campaigns:
        return config.campaigns[campaign]
    key = {"campaign": campaign, "cycle": cycle}
    text = db.execute(Q["find_campaign_file"], key).scalar()
    return config.campaign(campaign) if text is None else campaign_from(text, f"{campaign}.yaml of {cycle}")


def is_fixed(db: sa.Connection, campaign: str, cycle: str) -> bool:
    """Whether the cycle has been dispatched; to be asked inside a transaction that holds its lock."""
    return bool(db.execute(Q["is_fixed"], {"campaign": campaign, "cycle": cycle}).scalar())


def dispatched_from(db: sa.Connection, campaign: str, cycle: str) -> Fixed | None:
    """What fixed the cycle (as_of, config_hash, champions, fingerprints of its inputs); None while it is not fixed.

    To be asked inside a transaction that holds its lock.
    """
    found: Fixed | None = db.execute(Q["dispatched_from"], {"campaign": campaign, "cycle": cycle}).scalar()
    return found


def _check_as_of(cycle: str, as_of: datetime | None) -> None:
    if as_of is None:
        return
    if as_of.tzinfo is None:
        raise BadInput(f"as_of {as_of.isoformat()} has no time zone. Write it like 2026-11-05T06:00+08:00.")
    if as_of < period.ends_at(cycle):
        raise BadInput(
            f"as_of {as_of.isoformat()} lies before the end of {cycle}. Use an instant in the following month or later."
            if period.cadence_of(cycle) == period.MONTHLY
            else f"as_of {as_of.isoformat()} lies before {cycle}. Use an instant on that day or later."
        )


def _revision(db: sa.Connection, values: dict[str, Any]) -> int:
    known = db.execute(Q["find_revision"], values).scalar()
    if known is not None:
        return int(known)
    revision = int(db.execute(Q["next_revision"], values).scalar_one())
    db.execute(Q["keep_revision"], values | {"revision": revision})
    return revision
