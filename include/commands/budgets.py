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
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlalchemy as sa

from include import settings
from include.commands import add_campaign, add_place_and_time, an_id, instant, on_database
from include.config import load_config
from include.database.queries import load
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE

Q = load("commands/budgets")

_PERIOD = re.compile(r"(20\d\d)(?:-(?:Q([1-4])|(0[1-9]|1[0-2])))?")
_LARGEST = Decimal(10) ** 9


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


def set_pot(
    *, db: sa.Connection, campaign: str, period: str, limit_yuan: Decimal, warn_share: float, by: str,
    now: datetime, branch_code: str | None = None,
) -> int:  # fmt: skip
    """Fill a pot, or change the limit of one that stands; return its number.

    Refused below what its plans reserve and have committed. Kept in the audit log with who and how much.
    """
    starts_on, ends_on = period_of(period)
    key: dict[str, Any] = {
        "campaign": campaign,
        "starts_on": starts_on,
        "ends_on": ends_on,
        "branch_code": branch_code,
    }
    with db.begin():
        found = db.execute(Q["lock_pot"], key).one_or_none()
        used = found.reserved_yuan + found.committed_yuan if found else Decimal(0)
        if limit_yuan < used:
            raise Refused(
                f"The plans of {period} hold {used:.2f} yuan already, more than {limit_yuan:.2f}. "
                f"Set at least {used:.2f}."
            )
        values = {"limit_yuan": limit_yuan, "warn_share": warn_share, "by": by, "now": now}
        pot_id = int(db.execute(Q["set_pot"], key | values).scalar_one())
        details = {"from_yuan": str(found.limit_yuan) if found else None, "to_yuan": str(limit_yuan)}
        audit = {"action": "set_budget", "subject": f"{campaign} {period} {branch_code or 'all branches'}"}
        db.execute(Q["record_audit"], {"now": now, "by": by, "details": json.dumps(details)} | audit)
    return pot_id


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


def _show(db: sa.Connection, told: argparse.Namespace, now: datetime) -> None:
    """what the pots of a campaign hold"""
    load_config(settings.config_folder()).campaign(told.campaign)
    found = pots(db=db, campaign=told.campaign, now=now)
    if not found:
        print(f"{told.campaign}: no pot is set, so plans have no budget limit.")
        return
    print(
        f"{'from':<12}{'until':<12}{'branch':<10}{'limit':>14}{'reserved':>14}{'committed':>14}{'left':>14}"
    )
    for row in found:
        amounts = (row.limit_yuan, row.reserved_yuan, row.committed_yuan, row.left_yuan)
        told_amounts = "".join(f"{amount:>14,.2f}" for amount in amounts)
        print(f"{row.starts_on!s:<12}{row.ends_on!s:<12}{row.branch_code or 'all':<10}{told_amounts}")


def _set(db: sa.Connection, told: argparse.Namespace, now: datetime) -> None:
    """fill a pot, or change its limit"""
    config = load_config(settings.config_folder())
    config.campaign(told.campaign)
    _require_branch(db, told.branch)
    set_pot(
        db=db, campaign=told.campaign, period=told.period, limit_yuan=yuan(told.limit), by=told.by, now=now,
        warn_share=config.strategies.budgets.warn_share, branch_code=told.branch,
    )  # fmt: skip
    _show(db, told, now)


_COMMANDS = {"set": _set, "show": _show}


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m include.commands.budgets", description="Budgets of plans."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in _COMMANDS.items():
        one = commands.add_parser(name, help=command.__doc__)
        add_place_and_time(one)
        add_campaign(one)
    sets = commands.choices["set"]
    sets.add_argument("--period", required=True, help="2026, 2026-Q4 or 2026-11")
    sets.add_argument("--limit", required=True, help="yuan")
    sets.add_argument("--by", required=True, help="who decides, for the audit log")
    sets.add_argument("--branch", type=an_id, help="branch code; without it the pot is for all branches")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run the command; 1 and a sentence on stderr when something must be put right first."""
    told = _arguments(words)
    return on_database(told, lambda db: _COMMANDS[told.command](db, told, instant(told)))


if __name__ == "__main__":
    sys.exit(main())
