"""How a retention ticket can end, and what each ending needs."""

from collections.abc import Mapping
from dataclasses import dataclass

from include.domain.errors import BadInput, Refused


@dataclass(frozen=True)
class Outcome:
    """One ending: its words, whether it needs survey and plan, and whether the subscriber was spoken to."""

    zh: str
    en: str
    needs_plan: bool
    is_reached: bool


OUTCOMES: Mapping[str, Outcome] = {
    "retained": Outcome("已挽留", "Retained", needs_plan=True, is_reached=True),
    "considering": Outcome("考虑中", "Considering", needs_plan=True, is_reached=True),
    "declined": Outcome("拒绝方案", "Declined the plan", needs_plan=True, is_reached=True),
    "no_intention": Outcome("无离网意向", "No intention to leave", needs_plan=False, is_reached=True),
    "refused_contact": Outcome("拒绝沟通", "Refused contact", needs_plan=False, is_reached=True),
    "unreachable": Outcome("无法接通", "Unreachable", needs_plan=False, is_reached=False),
}

#: What a needs survey can find; the same words as the latent reasons strategies answer to.
NEEDS = (
    "price",
    "bundle_mismatch",
    "network",
    "service",
    "competition",
    "contract_end",
    "device",
    "moving",
    "other",
)


def outcome_named(name: str) -> Outcome:
    """The outcome of that name; BadInput listing the known ones."""
    if name not in OUTCOMES:
        raise BadInput(f"'{name}' is not an outcome. Choose one of {', '.join(OUTCOMES)}.")
    return OUTCOMES[name]


def check_close(name: str, *, has_survey: bool, has_plan: bool, may_be_unreachable: bool) -> Outcome:
    """The outcome a ticket may be closed with; Refused when something it needs is missing."""
    outcome = outcome_named(name)
    if outcome.needs_plan and not (has_survey and has_plan):
        missing = "needs survey" if not has_survey else "retention plan"
        raise Refused(f"Outcome '{name}' needs a {missing}. Record it first, then close.")
    if name == "unreachable" and not may_be_unreachable:
        raise Refused("'unreachable' needs more attempts on more working days. Try again, then close.")
    return outcome


def check_needs(needs: list[str]) -> None:
    """BadInput when a survey names no need or an unknown one."""
    unknown = [need for need in needs if need not in NEEDS]
    if not needs or unknown:
        raise BadInput(f"A needs survey names one or more of {', '.join(NEEDS)}; got {needs}.")
