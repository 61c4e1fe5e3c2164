"""What the board is of: a campaign and one of its cycles, or all campaigns and a month."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from include.config import Config
from include.database.queries import load
from include.desk.board.tables import OF_ALL, OF_ONE, OF_SHADOW
from include.desk.campaigns import ALL, known_campaigns, unknown_campaign
from include.domain.errors import BadInput

Q = load("desk/campaigns")

#: So many keys are offered to choose from: a year of days and more.
PERIODS = 400
#: Over all campaigns a period is the month the keys of months and days begin with.
_MONTH, _KEY = 7, 10


@dataclass(frozen=True)
class BoardScope:
    """What the board is of, and when: a campaign or ALL, the period chosen, its cycles and those of the one before.

    `known` are the campaigns to choose from, and whether each is but a shadow; no period before the first cycle.
    """

    campaign: str
    campaigns: tuple[str, ...]
    known: Mapping[str, bool]
    periods: tuple[str, ...]
    period: str | None
    cycles: tuple[str, ...]
    before: tuple[str, ...]
    is_shadow: bool
    now: datetime
    config: Config

    @property
    def board(self) -> str:
        """Which of the boards there are it is."""
        return OF_ALL if self.campaign == ALL else OF_SHADOW if self.is_shadow else OF_ONE


def board_scope(db: sa.Connection, config: Config, campaign: str, period: str, now: datetime) -> BoardScope:
    """The campaign named, else the only one or ALL; the period named, else the newest. BadInput for what is not."""
    known = known_campaigns(db, config)
    name = campaign or (ALL if len(known) != 1 else next(iter(known)))
    if name not in known and name != ALL:
        raise unknown_campaign(name, [*known, ALL])
    names = tuple(each for each in known if each == name or (name == ALL and not known[each]))
    values = {"campaigns": list(names), "shadows": name != ALL, "length": _MONTH if name == ALL else _KEY}
    periods = tuple(db.execute(Q["list_periods"], values | {"limit": PERIODS}).scalars())
    chosen, before = _chosen(name, periods, period)
    rows = db.execute(Q["list_cycles"], values | {"periods": [chosen, before]}).all()
    own, others = (tuple(dict.fromkeys(r.cycle for r in rows if r.period == of)) for of in (chosen, before))
    is_shadow = name != ALL and (any(row.is_shadow for row in rows if row.period == chosen) or known[name])
    return BoardScope(name, names, known, periods, chosen, own, others, is_shadow, now, config)


def _chosen(campaign: str, periods: tuple[str, ...], typed: str) -> tuple[str | None, str | None]:
    """The period typed, else the newest, and the one before it."""
    if typed and typed not in periods:
        raise _no_period(campaign, periods, typed)
    following = iter(periods[periods.index(typed) if typed else 0 :])
    return next(following, None), next(following, None)


def _no_period(campaign: str, periods: tuple[str, ...], typed: str) -> BadInput:
    newest = list(periods[:24])
    if campaign == ALL:
        return BadInput(
            "No campaign has a cycle in '{typed}'. Choose one of {cycles}.",
            code="unknown_month", typed=typed, cycles=newest,
        )  # fmt: skip
    return BadInput(
        "'{typed}' is not a cycle of campaign '{campaign}'. Choose one of {cycles}.",
        code="unknown_cycle", typed=typed, campaign=campaign, cycles=newest,
    )  # fmt: skip
