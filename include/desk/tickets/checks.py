"""The checklist of a ticket's campaign: what is ticked off, by whom, once."""

from collections.abc import Sequence

from include.desk.tickets.rounds import meet
from include.desk.tickets.transaction import Actor, OpenedTicket, working
from include.domain.contact.outcome import check_items
from include.domain.errors import Refused


def record_checks(actor: Actor, *, items: Sequence[str]) -> int:
    """Tick items of the campaign's checklist; the last one meets the clocks that wait for it. The new version.

    What is ticked stays ticked, also when the ticket is reopened. Refused when all of these are ticked already.
    """
    with working(actor, "check") as opened:
        check_items(list(items), opened.campaign.checklist)
        ticked = _ticked(opened)
        new = [item for item in dict.fromkeys(items) if item not in ticked]
        if not new:
            raise Refused(
                "{items}: ticked already on ticket {ticket}. Look at it again.",
                code="ticked_already", items=list(items), ticket=actor.ticket_id,
            )  # fmt: skip
        opened.run("record_checks", items=new)
        if is_complete(opened):
            meet(opened, "checklist")
        opened.details = {"items": new}
    return opened.version


def is_complete(opened: OpenedTicket) -> bool:
    """Whether every item of the campaign's checklist is ticked."""
    return set(opened.campaign.checklist) <= _ticked(opened)


def _ticked(opened: OpenedTicket) -> set[str]:
    return set(opened.run("read_checked").scalars())
