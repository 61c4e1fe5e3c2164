"""What a subscriber is offered and what became of it. Each function returns the ticket's new version."""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from include.config.strategies import Strategies
from include.desk.acting import Actor, Work, meet_plan_when_complete, working
from include.desk.offers import Pot, left_in, read_pots, situation, told_against
from include.domain.errors import BadInput, Refused
from include.domain.months import ZONE
from include.domain.offer import Book, Judged, fitting_offers
from include.queries import load

Q = load("plans")

RESULTS = ("done", "failed")
_ORDER_NUMBER = re.compile(r"\S(.{0,62}\S)?")


def record_plan(actor: Actor, *, strategy: str, offer: str | None = None, note: str | None = None) -> int:
    """Record the offer of a strategy, by default its first that fits; with a survey it meets the plan clock.

    Its cost is reserved in the budget, and an earlier plan of the ticket that was not processed gives its
    money back. Refused when the offer does not fit, is beyond the person's authority or the budget left.
    """
    known = actor.config.strategies
    _check_names(known, strategy, offer)
    with working(actor, "plan") as work:
        chosen = _chosen(work, known, strategy, offer)
        entry = known.offers[chosen.offer.name]
        work.run(
            Q["record_plan"], strategy=strategy, offer_name=chosen.offer.name, offer=entry.zh,
            offer_reason=chosen.offer.reason, cost_yuan=entry.cost_yuan, note=note,
            valid_until=actor.now.astimezone(ZONE).date() + timedelta(days=entry.valid_days),
        )  # fmt: skip
        meet_plan_when_complete(work)
        work.details = {
            "strategy": strategy,
            "offer": chosen.offer.name,
            "cost_yuan": str(chosen.offer.cost_yuan),
        }
    return work.version


def record_processing(
    actor: Actor, *, result: str, order_number: str | None = None, note: str | None = None
) -> int:
    """Record that the ticket's newest plan was carried out, with its order number, or failed.

    Possible after closing too: an order comes back days after the talk. Done commits the money of the plan;
    failed releases it, and a later done reserves it anew. Refused when there is no plan or it is done already.
    """
    order_number = _checked_order(result, order_number)
    with working(actor, "processing") as work:
        plan = _plan_to_process(work)
        if order_number is not None and work.run(Q["find_order"], order_number=order_number).scalar():
            raise _taken(order_number)
        if result == "done":
            _check_budget_again(work, plan)
        values = {"plan_id": plan.plan_id, "result": result, "order_number": order_number, "note": note}
        try:
            work.run(Q["record_processing"], **values)
        except sa.exc.IntegrityError as error:
            raise _beaten(error, str(order_number)) from error
        work.details = {
            "plan_id": plan.plan_id,
            "offer": plan.offer_name,
            "result": result,
            "order_number": order_number,
        }
    return work.version


def _check_names(known: Strategies, strategy: str, offer: str | None) -> None:
    if strategy not in known.strategies:
        raise BadInput(f"'{strategy}' is not a strategy. Choose one of {', '.join(known.strategies)}.")
    offers = known.strategies[strategy].offers
    if offer is not None and offer not in offers:
        raise BadInput(
            f"'{offer}' is not an offer of strategy '{strategy}'. Choose one of {', '.join(offers)}."
        )


def _chosen(work: Work, known: Strategies, strategy: str, offer: str | None) -> Judged:
    """The offer that is recorded, judged while nobody else can use the budget; Refused when it does not fit."""
    standing = situation(work.actor.db, work.actor.config, work.actor.ticket_id, work.actor.now)
    wanted = tuple(
        each
        for each in known.book.offers
        if each.strategy == strategy and (offer is None or each.name == offer)
    )
    if not wanted[0].phases & standing.facts.phases:
        raise Refused(
            f"Strategy '{strategy}' belongs to the phase {_listed(wanted[0].phases)}, this ticket to "
            f"{_listed(standing.facts.phases)}. Choose another strategy."
        )
    book = Book(wanted, known.book.limits, known.book.closed_channels)
    pots = _locked_pots(work, max(each.cost_yuan for each in wanted))
    judged = fitting_offers(standing.facts, standing.reasons, book, work.role, left_in(pots))
    if not judged[0].fits:
        raise Refused(_refusal(judged[0], work, known, pots))
    return judged[0]


def _locked_pots(work: Work, most_yuan: Any) -> list[Pot]:
    """The pots of the ticket, locked; where they run short, what lapsed offers still hold is freed first."""
    pots = read_pots(work.actor.db, "lock_budget", work.actor.ticket_id, work.actor.now)
    left = left_in(pots)
    if left is None or left >= most_yuan:
        return pots
    day = work.actor.now.astimezone(ZONE).date()
    work.run(Q["release_lapsed"], day=day, pot_ids=[pot.pot_id for pot in pots])
    return read_pots(work.actor.db, "lock_budget", work.actor.ticket_id, work.actor.now)


def _refusal(judged: Judged, work: Work, known: Strategies, pots: Sequence[Pot]) -> str:
    """Why the offer cannot be recorded, and what to do about the first cause."""
    offer = judged.offer
    told = "; ".join(told_against(each, known).en for each in judged.against)
    advice = "Choose another offer."
    causes = {each.cause: each for each in judged.against}
    if set(causes) == {"authority"}:
        limit = known.book.limits.get(work.role)
        advice = f"It costs {offer.cost_yuan} yuan, your limit is {limit}. Ask your {causes['authority'].names[0]}."
    elif set(causes) == {"budget"}:
        tightest = min(pots, key=lambda pot: pot.left_yuan)
        where = f"branch {tightest.branch_code}" if tightest.branch_code else "all branches"
        advice = (
            f"It costs {offer.cost_yuan} yuan; the pot of {where} runs until {tightest.ends_on}. "
            "Choose a cheaper offer, or ask your branch manager for more."
        )
    return f"Offer '{offer.name}' of strategy '{offer.strategy}' cannot be recorded: {told}. {advice}"


def _checked_order(result: str, order_number: str | None) -> str | None:
    if result not in RESULTS:
        raise BadInput(f"'{result}' is not a result of processing. Choose one of {', '.join(RESULTS)}.")
    number = (order_number or "").strip() or None
    if result == "done" and number is None:
        raise BadInput("A processed plan needs its order number. Copy it from the billing system.")
    if number is not None and not _ORDER_NUMBER.fullmatch(number):
        raise BadInput(
            f"The order number has {len(number)} characters; at most 64 in one line are kept. Copy it anew."
        )
    return number


def _plan_to_process(work: Work) -> sa.Row[Any]:
    plan = work.run(Q["find_current_plan"]).one_or_none()
    if plan is None:
        raise Refused(f"Ticket {work.actor.ticket_id} has no retention plan. Record the plan first.")
    if plan.order_number is not None:
        raise Refused(
            f"The plan of ticket {work.actor.ticket_id} was processed already under order {plan.order_number}. "
            "Record a new plan for another offer."
        )
    return plan


def _check_budget_again(work: Work, plan: sa.Row[Any]) -> None:
    """What was released since the plan must still be there when it is done after all."""
    for pot in work.run(Q["reserved_for_plan"], plan_id=plan.plan_id):
        if not pot.is_open and pot.left_yuan < pot.amount_yuan:
            raise Refused(
                f"The plan's {pot.amount_yuan:.2f} yuan were released meanwhile and the budget has only "
                f"{pot.left_yuan:.2f} left. Ask your branch manager for more, then record it."
            )


def _beaten(error: sa.exc.IntegrityError, order_number: str) -> Exception:
    """What somebody else did between the checks and the record; any other fault is returned as it is."""
    told = str(error.orig)
    if "plan_processings_order" in told:
        return _taken(order_number)
    if "budget_pots_within_limit" in told:
        return Refused(
            "The plan's money was released meanwhile and another plan has just taken what was left of the budget. "
            "Ask your branch manager for more, then record it."
        )
    return error


def _taken(order_number: str) -> Refused:
    return Refused(
        f"Order number {order_number} stands on another plan already. Look it up in the billing system again."
    )


def _listed(words: frozenset[str]) -> str:
    return " or ".join(sorted(words))
