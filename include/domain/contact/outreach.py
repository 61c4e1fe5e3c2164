"""The automatic list of the secondary tier: who is on it, who is held out, and when something may be sent."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from include.domain.dispatch.assignment import HELD_OUT
from include.domain.periods.months import ZONE

LISTED, SUPPRESSED, NOT_REACHED = "listed", "suppressed", "not_reached"


@dataclass(frozen=True)
class Prospect:
    """Somebody of the secondary tier in the order of the rank; `barred` says why nothing may be sent."""

    subscriber_id: str
    customer_key: str
    barred: str | None = None


@dataclass(frozen=True)
class Listing:
    """What was decided for a prospect; a reason only where it was suppressed."""

    prospect: Prospect
    decision: str
    reason: str | None = None


def walk(prospects: Iterable[Prospect], arms: Mapping[str, str], at_most: int) -> list[Listing]:
    """List by rank until `at_most` are listed; whoever is drawn into the hold-out on the way is held out.

    `arms` by customer_key. Of one customer the best ranked stands for all.
    """
    seen: set[str] = set()
    listed = 0
    decided = []
    for prospect in prospects:
        if prospect.barred or prospect.customer_key in seen:
            decided.append(Listing(prospect, SUPPRESSED, prospect.barred or "same_customer"))
            continue
        if listed >= at_most:
            decided.append(Listing(prospect, NOT_REACHED))
            continue
        seen.add(prospect.customer_key)
        is_held_out = arms[prospect.customer_key] == HELD_OUT
        listed += not is_held_out
        decided.append(Listing(prospect, HELD_OUT if is_held_out else LISTED))
    return decided


def is_quiet(at: time, begins: time, ends: time) -> bool:
    """Whether `at` lies in the quiet hours from `begins` (included) to `ends`; they may span midnight."""
    if begins <= ends:
        return begins <= at < ends
    return at >= begins or at < ends


def send_from(now: datetime, begins: time, ends: time) -> datetime:
    """The first instant from `now` on that is not quiet, Asia/Shanghai."""
    local = now.astimezone(ZONE)
    if not is_quiet(local.time(), begins, ends):
        return local
    morning = datetime.combine(local.date(), ends, ZONE)
    return morning if morning > local else morning + timedelta(days=1)


def masked(number: str) -> str:
    """A phone number of which the first three and last four digits show; a short one shows nothing."""
    if len(number) < 9:
        return "*" * len(number)
    return f"{number[:3]}{'*' * (len(number) - 7)}{number[-4:]}"


def first_open(channels: Sequence[str], open_to: frozenset[str]) -> str | None:
    """The first of the preferred `channels` that is open."""
    return next((channel for channel in channels if channel in open_to), None)
