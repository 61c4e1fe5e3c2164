"""What may be offered to whom: never an ineligible offer, never above the authority, the best one first."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.domain.contact.offer import ROLES, Book, Facts, Offer, choose, fitting_offers, role_for

LIMITS = {"agent": Decimal(60), "lead": Decimal(200)}
REASONS = ["price", "service", "network"]
SEGMENTS = ["young", "elderly", "family"]
TRUTHS = ["cheap", "in_arrears", "bound"]


def offer(name: str = "discount", **changes: object) -> Offer:
    values: dict[str, object] = {
        "strategy": "plan_discount", "reason": "price", "order": 0, "phases": frozenset({"intervention"}),
        "segments": frozenset(), "channels": frozenset({"call", "sms"}), "cost_yuan": Decimal(36),
    }  # fmt: skip
    return Offer(name=name, **(values | changes))


def facts(**changes: object) -> Facts:
    values: dict[str, object] = {"phases": frozenset({"intervention"}), "truths": {}, "segments": frozenset()}
    return Facts(**(values | changes))


def judge(
    *offers: Offer, of: Facts | None = None, reasons=(), role="agent", left=None, closed=None
) -> dict[str, list]:
    """The causes against each offer by its name, in the order they were ranked."""
    book = Book(offers, LIMITS, closed or {})
    found = fitting_offers(of or facts(), reasons, book, role, left)
    return {each.offer.name: [against.cause for against in each.against] for each in found}


def test_an_offer_for_everybody_fits_when_nothing_speaks_against_it():
    assert judge(offer()) == {"discount": []}


def test_an_offer_of_another_phase_is_not_shown():
    assert judge(offer(phases=frozenset({"win_back"}))) == {}


@pytest.mark.parametrize(("truth", "causes"), [(True, []), (False, ["ineligible"]), (None, ["unknown"])])
def test_an_offer_with_a_condition_needs_it_to_be_true(truth, causes):
    assert judge(offer(condition="cheap"), of=facts(truths={"cheap": truth})) == {"discount": causes}


@pytest.mark.parametrize(("truth", "causes"), [(True, ["excluded"]), (False, []), (None, [])])
def test_an_exclusion_counts_only_when_it_is_known_to_be_true(truth, causes):
    assert judge(offer(exclusions=("bound",)), of=facts(truths={"bound": truth})) == {"discount": causes}


def test_an_offer_for_a_segment_is_for_nobody_else():
    assert judge(offer(segments=frozenset({"young"}))) == {"discount": ["segment"]}
    assert judge(offer(segments=frozenset({"young"})), of=facts(segments=frozenset({"young"}))) == {
        "discount": []
    }


def test_the_elderly_are_not_offered_by_sms_alone():
    closed = {"elderly": frozenset({"sms"})}
    elderly = facts(segments=frozenset({"elderly"}))
    sms = offer(channels=frozenset({"sms"}))
    assert judge(sms, of=elderly, closed=closed) == {"discount": ["channel"]}
    assert judge(offer(), of=elderly, closed=closed) == {"discount": []}


@pytest.mark.parametrize(
    ("cost", "role"),
    [("0", "agent"), ("60", "agent"), ("60.0001", "lead"), ("200", "lead"), ("200.01", "manager")],
)
def test_the_lowest_role_that_may_spend_it(cost, role):
    assert role_for(Decimal(cost), LIMITS) == role


def test_the_last_cent_of_the_budget_may_be_used_and_no_more():
    assert judge(offer(), left=Decimal(36)) == {"discount": []}
    assert judge(offer(), left=Decimal("35.9999")) == {"discount": ["budget"]}


def test_fitting_offers_come_by_reason_then_segment_then_order_and_the_others_last():
    ranked = judge(
        offer("dear", cost_yuan=Decimal(100)),
        offer("general", order=1),
        offer("other_reason", order=2, reason="network"),
        offer("for_the_young", order=3, segments=frozenset({"young"})),
        of=facts(segments=frozenset({"young"})),
        reasons=["price"],
    )
    assert list(ranked) == ["for_the_young", "general", "other_reason", "dear"]


def test_the_runner_up_is_of_another_strategy():
    offers = (
        offer("a"),
        offer("b", order=1),
        offer("c", order=2, strategy="plan_fit", reason="bundle_mismatch"),
    )
    ranked = fitting_offers(facts(), ["price"], Book(offers, LIMITS, {}), "agent", None)
    choice = choose(ranked, ["price"])
    assert (choice.best.offer.name, choice.runner_up.offer.name, choice.reason) == ("a", "c", "price")


def test_nothing_is_chosen_where_nothing_fits():
    ranked = fitting_offers(facts(), [], Book((offer(cost_yuan=Decimal(999)),), LIMITS, {}), "agent", None)
    assert (choose(ranked, []).best, choose(ranked, []).runner_up) == (None, None)


offers_drawn = st.lists(
    st.builds(
        lambda cost, reason, segments, channels, condition, exclusions, phases: {
            "cost_yuan": cost, "reason": reason, "segments": frozenset(segments),
            "channels": frozenset(channels), "condition": condition, "exclusions": tuple(exclusions),
            "phases": frozenset(phases),
        },
        st.decimals(0, 500, places=2),
        st.sampled_from(REASONS),
        st.sets(st.sampled_from(SEGMENTS), max_size=2),
        st.sets(st.sampled_from(["call", "sms", "app"]), min_size=1),
        st.none() | st.sampled_from(TRUTHS),
        st.lists(st.sampled_from(TRUTHS), max_size=2, unique=True),
        st.sets(st.sampled_from(["preventive", "intervention"]), min_size=1),
    ),
    max_size=8,
)  # fmt: skip


@given(
    offers_drawn,
    st.dictionaries(st.sampled_from(TRUTHS), st.sampled_from([True, False, None])),
    st.sets(st.sampled_from(SEGMENTS)),
    st.lists(st.sampled_from(REASONS), unique=True),
    st.sampled_from(ROLES),
    st.none() | st.decimals(0, 500, places=2),
)
def test_whatever_is_drawn_nothing_fits_that_must_not(drawn, truths, segments, reasons, role, left):
    book = Book(
        tuple(offer(f"o{n}", order=n, **each) for n, each in enumerate(drawn)),
        LIMITS,
        {"elderly": frozenset({"sms"})},
    )
    ranked = fitting_offers(facts(truths=truths, segments=frozenset(segments)), reasons, book, role, left)
    assert sorted(each.offer.order for each in ranked) == [
        each.order for each in book.offers if "intervention" in each.phases
    ]
    fits = [each.fits for each in ranked]
    assert fits == sorted(fits, reverse=True)
    for each in (judged.offer for judged in ranked if judged.fits):
        assert each.cost_yuan <= {"agent": 60, "lead": 200, "manager": 500}[role]
        assert left is None or each.cost_yuan <= left
        assert each.condition is None or truths.get(each.condition) is True
        assert not any(truths.get(name) for name in each.exclusions)
        assert not each.segments or each.segments & segments
        assert each.channels - ({"sms"} if "elderly" in segments else set())
