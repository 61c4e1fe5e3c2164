"""Budget pots: what may be spent on the plans of a campaign, by period and branch. No pot means no limit.

python -m include.commands.budgets set --period YYYY[-MM|-Qn] --limit YUAN --by WHO
    [--branch CODE] [--campaign NAME] [--db URL]
python -m include.commands.budgets show [--campaign NAME] [--db URL]
"""

import argparse
import json
import re
import sys
from calendar import monthrange
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa

from include import settings
from include.commands import (
    Command,
    add_campaign,
    add_place_and_time,
    an_id,
    command_line,
    in_columns,
    instant,
    on_database,
    option,
    signature,
)
from include.config import load_config
from include.database.queries import load
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.domain.signature import Signature

Q = load("commands/budgets")

_PERIOD = re.compile(r"(20\d\d)(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?")
_LARGEST = Decimal(10) ** 9


@dataclass(frozen=True)
class Pot:
    """What may be spent on the plans of a campaign in a `period` ("2026", "2026-Q4", "2026-11").

    Without a branch code it is for all branches; from `warn_share` (0 to 1) of the limit on it counts as nearly used.
    """

    campaign: str
    period: str
    limit_yuan: Decimal
    warn_share: float
    branch_code: str | None = None


def period_of(text: str) -> tuple[date, date]:
    """First and last day of "2026", "2026-Q4" or "2026-11"; BadInput for anything else."""
    match = _PERIOD.fullmatch(text)
    if match is None:
        raise BadInput(f"'{text}' is not a period. Write a year, quarter or month: 2026, 2026-Q4, 2026-11.")
    year, quarter, month = (int(each or 0) for each in match.groups())
    first = month or (3 * quarter - 2 if quarter else 1)
    last = month or (3 * quarter if quarter else 12)
    return date(year, first, 1), date(year, last, monthrange(year, last)[1])


def yuan(text: str) -> Decimal:
    """An amount with at most four decimals; BadInput otherwise."""
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise BadInput(f"'{text}' is not an amount in yuan. Write it like 50000 or 12.50.") from None
    exponent = amount.as_tuple().exponent
    if not amount.is_finite() or not 0 <= amount < _LARGEST or not isinstance(exponent, int) or exponent < -4:
        raise BadInput(f"{text} yuan cannot be a limit. Give 0 to {_LARGEST:,} with at most four decimals.")
    return amount


def set_pot(*, db: sa.Connection, pot: Pot, signed: Signature) -> int:
    """Fill a pot, or change the limit of one that stands; return its number.

    Refused below what its plans reserve and have committed; BadInput when its period is none. Kept in the audit log
    with who and how much.
    """
    starts_on, ends_on = period_of(pot.period)
    key: dict[str, Any] = {
        "campaign": pot.campaign,
        "starts_on": starts_on,
        "ends_on": ends_on,
        "branch_code": pot.branch_code,
    }
    with db.begin():
        found = db.execute(Q["lock_pot"], key).one_or_none()
        used = found.reserved_yuan + found.committed_yuan if found else Decimal(0)
        if pot.limit_yuan < used:
            raise Refused(
                f"The plans of {pot.period} hold {used:.2f} yuan already, more than {pot.limit_yuan:.2f}. "
                f"Set at least {used:.2f}."
            )
        values = {
            "limit_yuan": pot.limit_yuan,
            "warn_share": pot.warn_share,
            "by": signed.by,
            "now": signed.at,
        }
        pot_id = int(db.execute(Q["set_pot"], key | values).scalar_one())
        _audit(db, pot, signed, found.limit_yuan if found else None)
    return pot_id


def _audit(db: sa.Connection, pot: Pot, signed: Signature, before: Decimal | None) -> None:
    details = {"from_yuan": None if before is None else str(before), "to_yuan": str(pot.limit_yuan)}
    subject = f"{pot.campaign} {pot.period} {pot.branch_code or 'all branches'}"
    audit = {"action": "set_budget", "subject": subject, "details": json.dumps(details)}
    db.execute(Q["record_audit"], {"now": signed.at, "by": signed.by} | audit)


def pots(*, db: sa.Connection, campaign: str, now: datetime) -> Sequence[sa.Row[Any]]:
    """The pots of a campaign, after what lapsed offers still held has been freed."""
    key = {"campaign": campaign, "now": now, "day": now.astimezone(ZONE).date()}
    with db.begin():
        db.execute(Q["release_lapsed"], key)
        return db.execute(Q["read_pots"], key).all()


def _require_branch(db: sa.Connection, branch: str | None) -> None:
    """No plan is ever made in an unknown branch, so its pot would look like a limit and hold nothing back."""
    if branch is None:
        return
    with db.begin():
        known, some = db.execute(Q["find_branch"], {"branch_code": branch}).one()
    if not known:
        listed = ", ".join(some) or "none; load them with python -m include.commands.staff load"
        raise BadInput(f"There is no branch '{branch}', so nothing was set. Known, for example: {listed}.")


@on_database
def _show(db: sa.Connection, args: argparse.Namespace) -> None:
    """what the pots of a campaign hold"""
    _print_pots(db, args)


@on_database
def _set(db: sa.Connection, args: argparse.Namespace) -> None:
    """fill a pot, or change its limit"""
    config = load_config(settings.config_folder())
    config.campaign(args.campaign)
    _require_branch(db, args.branch)
    pot = Pot(args.campaign, args.period, yuan(args.limit), config.strategies.budgets.warn_share, args.branch)
    set_pot(db=db, pot=pot, signed=signature(args))
    _print_pots(db, args)


def _print_pots(db: sa.Connection, args: argparse.Namespace) -> None:
    load_config(settings.config_folder()).campaign(args.campaign)
    found = pots(db=db, campaign=args.campaign, now=instant(args))
    print(_table(found) if found else f"{args.campaign}: no pot is set, so plans have no budget limit.")


def _table(found: Sequence[sa.Row[Any]]) -> str:
    rows = [("from", "until", "branch", "limit", "reserved", "committed", "left")]
    for row in found:
        amounts = (row.limit_yuan, row.reserved_yuan, row.committed_yuan, row.left_yuan)
        limit, reserved, committed, left = (f"{amount:,.2f}" for amount in amounts)
        branch = row.branch_code or "all"
        rows.append((str(row.starts_on), str(row.ends_on), branch, limit, reserved, committed, left))
    return in_columns(rows, to_the_right=range(3, 7))


main = command_line(
    "include.commands.budgets",
    "Budgets of plans.",
    {
        "set": Command(
            _set,
            (
                add_place_and_time,
                add_campaign,
                option("--period", required=True, help="2026, 2026-Q4 or 2026-11"),
                option("--limit", required=True, help="yuan"),
                option("--by", required=True, help="who decides, for the audit log"),
                option("--branch", type=an_id, help="branch code; without it the pot is for all branches"),
            ),
        ),
        "show": Command(_show, (add_place_and_time, add_campaign)),
    },
)


if __name__ == "__main__":
    sys.exit(main())
