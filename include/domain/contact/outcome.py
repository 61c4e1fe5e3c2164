"""How a retention ticket can end, what each ending needs, and what a subscriber may need."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from include.domain.errors import BadInput, Refused
from include.domain.text.words import Phrase, Words

SURVEY, PLAN, PROCEDURE, CHECKLIST = "survey", "plan", "procedure", "checklist"
_MISSING = {
    SURVEY: Phrase("record.survey", "needs survey"),
    PLAN: Phrase("record.plan", "retention plan"),
    CHECKLIST: Phrase("record.checklist", "checklist"),
}


def phrases() -> Iterable[Phrase]:
    """Every part of a refusal said here."""
    return _MISSING.values()


_NOTHING = Words("", "")


@dataclass(frozen=True)
class Outcome:
    """One ending: its words, what must be recorded first, whether the subscriber was spoken to, its details.

    `needs` holds `survey`, `plan`, `checklist` or `procedure` (the contact ladder kept to its end). When there are
    details, one of them must be named. `is_willing`: the customer was won, though nothing may be processed yet.
    """

    zh: str
    en: str
    needs: frozenset[str]
    is_reached: bool
    details: Mapping[str, Words] = field(default_factory=dict)
    is_willing: bool = False

    @property
    def needs_plan(self) -> bool:
        """Whether a retention plan must have been offered."""
        return PLAN in self.needs


_OFFERED = frozenset({SURVEY, PLAN})


@dataclass(frozen=True)
class Ending:
    """What the engine goes by in one ending, whatever a campaign calls it."""

    needs: frozenset[str]
    is_reached: bool
    is_willing: bool = False


#: The endings the engine knows.
ENDINGS: Mapping[str, Ending] = {
    "retained": Ending(_OFFERED, is_reached=True, is_willing=True),
    "considering": Ending(_OFFERED, is_reached=True),
    "declined": Ending(_OFFERED, is_reached=True),
    "no_intention": Ending(frozenset(), is_reached=True),
    "refused_contact": Ending(frozenset(), is_reached=True),
    "unreachable": Ending(frozenset({PROCEDURE}), is_reached=False),
}

#: What an ending always needs, whatever a campaign configures: nobody is retained without a plan.
ALWAYS_NEEDED: Mapping[str, frozenset[str]] = {
    "retained": frozenset({PLAN}),
    "unreachable": frozenset({PROCEDURE}),
}

#: What a needs survey can find; the names of the latent reasons strategies answer to.
NEED_NAMES = (
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

LOWEST, HIGHEST = 0, 10


def outcome_named(name: str, catalogue: Mapping[str, Outcome]) -> Outcome:
    """The outcome of that name; BadInput listing the known ones."""
    if name not in catalogue:
        raise BadInput(
            "'{typed}' is not an outcome. Choose one of {outcomes}.",
            code="unknown_outcome", typed=name, outcomes=list(catalogue),
        )  # fmt: skip
    return catalogue[name]


def check_close(
    name: str,
    detail: str | None = None,
    *,
    catalogue: Mapping[str, Outcome],
    done: Iterable[str] = (),
    next_step: object = _NOTHING,
) -> Outcome:
    """The outcome a ticket may be closed with; Refused when something it needs is not among `done`.

    `next_step` tells in both languages what the contact ladder still asks for. BadInput for an unknown outcome
    or detail.
    """
    outcome = outcome_named(name, catalogue)
    _check_detail(name, outcome, detail)
    missing = outcome.needs - set(done)
    if PROCEDURE in missing:
        raise Refused(
            "'{outcome}' needs the contact procedure kept to its end. Next: {next_step}",
            code="procedure_not_kept", outcome=name, next_step=next_step,
        )  # fmt: skip
    for need, record in _MISSING.items():
        if need in missing:
            raise Refused(
                "Outcome '{outcome}' needs a {record}. Record it first, then close.",
                code="needed_first", outcome=name, record=record,
            )  # fmt: skip
    return outcome


def _check_detail(name: str, outcome: Outcome, detail: str | None) -> None:
    if detail is None and outcome.details:
        raise BadInput(
            "Outcome '{outcome}' needs a detail. Choose one of {details}.",
            code="detail_missing", outcome=name, details=list(outcome.details),
        )  # fmt: skip
    if detail is not None and detail not in outcome.details:
        raise BadInput(
            "'{typed}' is not a detail of outcome '{outcome}'. Known: {details}.",
            code="unknown_detail", typed=detail, outcome=name, details=list(outcome.details),
        )  # fmt: skip


def check_items(items: list[str], known: Iterable[str]) -> None:
    """BadInput when no item of a checklist is named, or one that is not `known`."""
    listed = list(known)
    unknown = [item for item in items if item not in listed]
    if not items or unknown:
        raise BadInput(
            "A checklist is ticked by one or more of {items}; got {typed}.",
            code="unknown_items", items=listed, typed=unknown,
        )  # fmt: skip


def check_satisfaction(satisfaction: int | None, outcome: Outcome) -> None:
    """BadInput unless satisfaction is absent, or 0 to 10 from somebody who was spoken to."""
    if satisfaction is None:
        return
    if not LOWEST <= satisfaction <= HIGHEST:
        raise BadInput(
            "Satisfaction {number} is not on the scale. Give {least} to {most}.",
            code="off_scale", number=satisfaction, least=LOWEST, most=HIGHEST,
        )  # fmt: skip
    if not outcome.is_reached:
        raise BadInput(
            "Nobody was spoken to ('{ending}'), so nobody was satisfied. Leave it empty.",
            code="not_spoken_to", ending=Words(outcome.zh, outcome.en),
        )  # fmt: skip


def check_needs(needs: list[str], words: str | None = None, known: Collection[str] = NEED_NAMES) -> None:
    """BadInput when a survey names no need or one that is not `known`, or 'other' without words."""
    unknown = [need for need in needs if need not in known]
    if not needs or unknown:
        raise BadInput(
            "A needs survey names one or more of {needs}; got {typed}.",
            code="unknown_needs", needs=list(known), typed=unknown,
        )  # fmt: skip
    if "other" in needs and not (words or "").strip():
        raise BadInput(
            "The need 'other' says nothing by itself. Write down in words what it is.", code="other_in_words"
        )
