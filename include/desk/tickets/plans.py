"""What a subscriber is offered and what became of it. Each function returns the ticket's new version."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from include.config.readers.strategies import Strategies
from include.database.queries import load
from include.desk.tickets.offers import Pot, label_against, left_in, read_pots, situation
from include.desk.tickets.rounds import meet_plan_when_complete
from include.desk.tickets.transaction import Actor, OpenedTicket, working
from include.domain.contact.offer import Book, Judged, fitting_offers
from include.domain.errors import BadInput, Refused
from include.domain.periods.months import ZONE
from include.words import both

Q = load("desk/plans")

RESULTS = ("done", "failed")
_ORDER_NUMBER = re.compile(r"\S(.{0,62}\S)?")


def record_plan(actor: Actor, *, strategy: str, offer: str | None = None, note: str | None = None) -> int:
    """Record the offer of a strategy, by default its first that fits; with a survey it meets clocks.

    Its cost is reserved in the budget, and an earlier plan of the ticket that was not processed gives its
    money back. Refused when the offer does not fit, is beyond the person's authority or the budget left.
    """
    known = actor.config.strategies
    _check_names(known, strategy, offer)
    with working(actor, "plan") as opened:
        chosen = _chosen(opened, known, strategy, offer)
        entry = known.offers[chosen.offer.name]
        opened.run(
            Q["record_plan"], strategy=strategy, offer_name=chosen.offer.name, offer=entry.zh,
            offer_reason=chosen.offer.reason, cost_yuan=entry.cost_yuan, note=note,
            valid_until=actor.now.astimezone(ZONE).date() + timedelta(days=entry.valid_days),
        )  # fmt: skip
        meet_plan_when_complete(opened)
        opened.details = {
            "strategy": strategy,
            "offer": chosen.offer.name,
            "cost_yuan": str(chosen.offer.cost_yuan),
        }
    return opened.version


def record_processing(
    actor: Actor, *, result: str, order_number: str | None = None, note: str | None = None
) -> int:
    """Record that the ticket's newest plan was carried out, with its order number, or failed.

    Possible after closing too: an order comes back days after the talk. Done commits the money of the plan;
    failed releases it, and a later done reserves it anew. Refused when there is no plan or it is done already.
    """
    order_number = _checked_order(result, order_number)
    with working(actor, "processing") as opened:
        plan = _plan_to_process(opened)
        if order_number is not None and opened.run(Q["find_order"], order_number=order_number).scalar():
            raise _taken(order_number)
        if result == "done":
            _check_budget_again(opened, plan)
        values = {"plan_id": plan.plan_id, "result": result, "order_number": order_number, "note": note}
        try:
            opened.run(Q["record_processing"], **values)
        except sa.exc.IntegrityError as error:
            raise _beaten(error, str(order_number)) from error
        opened.details = {
            "plan_id": plan.plan_id,
            "offer": plan.offer_name,
            "result": result,
            "order_number": order_number,
        }
    return opened.version


def _check_names(known: Strategies, strategy: str, offer: str | None) -> None:
    if strategy not in known.strategies:
        raise BadInput(
            "'{typed}' is not a strategy. Choose one of {strategies}.",
            code="unknown_strategy", typed=strategy, strategies=list(known.strategies),
        )  # fmt: skip
    offers = known.strategies[strategy].offers
    if offer is not None and offer not in offers:
        raise BadInput(
            "'{typed}' is not an offer of strategy '{strategy}'. Choose one of {offers}.",
            code="unknown_offer", typed=offer, strategy=strategy, offers=list(offers),
        )  # fmt: skip


def _chosen(opened: OpenedTicket, known: Strategies, strategy: str, offer: str | None) -> Judged:
    """The offer that is recorded, judged while nobody else can use the budget; Refused when it does not fit."""
    standing = situation(opened.actor.db, opened.actor.config, opened.actor.ticket_id, opened.actor.now)
    wanted = tuple(
        each
        for each in known.book.offers
        if each.strategy == strategy and (offer is None or each.name == offer)
    )
    if not wanted[0].phases & standing.facts.phases:
        raise Refused(
            "Strategy '{strategy}' belongs to the phase {phases}, this ticket to {own_phases}. "
            "Choose another strategy.",
            code="other_phase", strategy=strategy, phases=wanted[0].phases, own_phases=standing.facts.phases,
        )  # fmt: skip
    book = Book(wanted, known.book.limits, known.book.closed_channels)
    pots = _locked_pots(opened, max(each.cost_yuan for each in wanted))
    judged = fitting_offers(standing.facts, standing.reasons, book, opened.role, left_in(pots))
    if not judged[0].fits:
        raise _refusal(judged[0], opened, known, pots)
    return judged[0]


def _locked_pots(opened: OpenedTicket, most_yuan: Any) -> list[Pot]:
    """The pots of the ticket, locked; where they run short, what lapsed offers still hold is freed first."""
    pots = read_pots(opened.actor.db, "lock_budget", opened.actor.ticket_id, opened.actor.now)
    left = left_in(pots)
    if left is None or left >= most_yuan:
        return pots
    day = opened.actor.now.astimezone(ZONE).date()
    opened.run(Q["release_lapsed"], day=day, pot_ids=[pot.pot_id for pot in pots])
    return read_pots(opened.actor.db, "lock_budget", opened.actor.ticket_id, opened.actor.now)


def _refusal(judged: Judged, opened: OpenedTicket, known: Strategies, pots: Sequence[Pot]) -> Refused:
    """Why the offer cannot be recorded, and what to do about it."""
    offer = judged.offer
    return Refused(
        "Offer '{offer}' of strategy '{strategy}' cannot be recorded: {against}. {advice}",
        code="offer_unfit", offer=offer.name, strategy=offer.strategy,
        against=[label_against(each, known) for each in judged.against],
        advice=_advice(judged, known.book.limits.get(opened.role), pots),
    )  # fmt: skip


def _advice(judged: Judged, limit: Any, pots: Sequence[Pot]) -> Refused:
    """What to do about an offer against which nothing but authority or money speaks, or else."""
    causes, cost = {each.cause: each for each in judged.against}, judged.offer.cost_yuan
    if set(causes) == {"authority"}:
        return Refused(
            "It costs {cost_yuan} yuan, your limit is {limit_yuan}. Ask your {role}.",
            code="ask_for_authority", cost_yuan=cost, limit_yuan=limit, role=causes["authority"].names[0],
        )  # fmt: skip
    if set(causes) == {"budget"}:
        tightest = min(pots, key=lambda pot: pot.left_yuan)
        branch = tightest.branch_code
        return Refused(
            "It costs {cost_yuan} yuan; the pot of {where} runs until {until}. "
            "Choose a cheaper offer, or ask your branch manager for more.",
            code="ask_for_budget", cost_yuan=cost, until=tightest.ends_on,
            where=both("plans.at_branch", branch=branch) if branch else both("plans.everywhere"),
        )  # fmt: skip
    return Refused("Choose another offer.", code="choose_another")


def _checked_order(result: str, order_number: str | None) -> str | None:
    if result not in RESULTS:
        raise BadInput(
            "'{typed}' is not a result of processing. Choose one of {processed}.",
            code="unknown_processing", typed=result, processed=RESULTS,
        )  # fmt: skip
    number = (order_number or "").strip() or None
    if result == "done" and number is None:
        raise BadInput(
            "A processed plan needs its order number. Copy it from the billing system.", code="order_missing"
        )
    if number is not None and not _ORDER_NUMBER.fullmatch(number):
        raise BadInput(
            "The order number has {count} characters; at most 64 in one line are kept. Copy it anew.",
            code="order_unfit", count=len(number),
        )  # fmt: skip
    return number


def _plan_to_process(opened: OpenedTicket) -> sa.Row[Any]:
    plan = opened.run(Q["find_current_plan"]).one_or_none()
    if plan is None:
        raise Refused(
            "Ticket {ticket} has no retention plan. Record the plan first.",
            code="no_plan", ticket=opened.actor.ticket_id,
        )  # fmt: skip
    if plan.order_number is not None:
        raise Refused(
            "The plan of ticket {ticket} was processed already under order {order}. "
            "Record a new plan for another offer.",
            code="processed_already", ticket=opened.actor.ticket_id, order=plan.order_number,
        )  # fmt: skip
    return plan


def _check_budget_again(opened: OpenedTicket, plan: sa.Row[Any]) -> None:
    """What was released since the plan must still be there when it is done after all."""
    for pot in opened.run(Q["reserved_for_plan"], plan_id=plan.plan_id):
        if not pot.is_open and pot.left_yuan < pot.amount_yuan:
            raise Refused(
                "The plan's {cost_yuan} yuan were released meanwhile and the budget has only "
                "{left_yuan} left. Ask your branch manager for more, then record it.",
                code="money_released", cost_yuan=f"{pot.amount_yuan:.2f}", left_yuan=f"{pot.left_yuan:.2f}",
            )  # fmt: skip


def _beaten(error: sa.exc.IntegrityError, order_number: str) -> Exception:
    """What somebody else did between the checks and the record; any other fault is returned as it is."""
    message = str(error.orig)
    if "plan_processings_order" in message:
        return _taken(order_number)
    if "budget_pots_within_limit" in message:
        return Refused(
            "The plan's money was released meanwhile and another plan has just taken what was left of the budget. "
            "Ask your branch manager for more, then record it.",
            code="money_taken",
        )
    return error


def _taken(order_number: str) -> Refused:
    return Refused(
        "Order number {order} stands on another plan already. Look it up in the billing system again.",
        code="order_taken", order=order_number,
    )  # fmt: skip
