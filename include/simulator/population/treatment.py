"""What staff of each campaign did to whom, read from a file, and the known effect of it."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypedDict

import numpy as np

from include.domain.errors import BadInput
from include.domain.periods.months import parse_month
from include.simulator.draws import Floats, Ints
from include.simulator.population import contracts
from include.simulator.population.reasons import NO_REASON, REASONS
from include.simulator.province import CAMPAIGNS, NUMBERS_PER_BLOCK, WARNING, day_number, ordinal

RIGHT_OFFER = 0.55
WRONG_OFFER = 0.95
NO_REASON_CONTACT = 1.10
RELIEF = 0.40

_COLUMNS = ("subscriber_id", "month", "offer_reason", "contacted_on")
_NO_OFFER = ("", "none")


@dataclass(frozen=True)
class Treatments:
    """The contacts of a campaign for one cycle month inside one block, sorted by local subscriber number."""

    row: Ints
    offer: Ints
    contacted: Ints


#: By campaign, and those by (block, cycle month).
Calls = Mapping[str, Treatments]
Book = dict[tuple[int, int], Calls]
# By (block, cycle month), campaign and local number: offer and day of contact
_Notes = dict[tuple[int, int], dict[str, dict[int, tuple[int, int]]]]


class Effects(TypedDict):
    """Factors on the hazard of leaving and on the pressure left, what they apply to; the effect of renewal calls."""

    right_offer: float
    wrong_offer: float
    contact_without_reason: float
    pressure_left_after_right_offer: float
    applies_to: str
    right: str
    contract_renewal: contracts.RenewalEffect


def effects() -> Effects:
    """The known effects, for the truth folder: of churn_warning, and under its name of contract_renewal."""
    return {
        "right_offer": RIGHT_OFFER,
        "wrong_offer": WRONG_OFFER,
        "contact_without_reason": NO_REASON_CONTACT,
        "pressure_left_after_right_offer": RELIEF,
        "applies_to": "the hazard of the month after the cycle month, for days after contacted_on",
        "right": "offer_reason equals main_reason of the cycle month",
        "contract_renewal": contracts.effect(),
    }


def read_treated(path: Path) -> Book:
    """Read a CSV subscriber_id, month, offer_reason, contacted_on, campaign; key (block, cycle month).

    `offer_reason` is one of REASONS, or empty (or "none") for a contact without an offer; only of churn_warning
    it matters. A file without the column campaign tells of churn_warning. Raises BadInput naming file, line and
    value.
    """
    found: _Notes = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            _check_header(path, reader.fieldnames)
            for line, record in enumerate(reader, start=2):
                _note(found, record, f"{path}, line {line}")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}). Give a UTF-8 CSV file.") from error
    return {
        key: {campaign: _arrays(rows) for campaign, rows in calls.items()} for key, calls in found.items()
    }


def _check_header(path: Path, names: object) -> None:
    missing = [name for name in _COLUMNS if name not in (names if isinstance(names, list) else [])]
    if missing:
        raise BadInput(f"{path} lacks the column {missing[0]}. Its header is {','.join(_COLUMNS)}.")


def _note(found: _Notes, record: dict[str, str | None], place: str) -> None:
    number = number_of(record["subscriber_id"] or "", place)
    month = ordinal(parse_month(record["month"] or ""))
    campaign = _campaign(record.get("campaign", WARNING) or "", place)
    rows = found.setdefault((number // NUMBERS_PER_BLOCK, month), {}).setdefault(campaign, {})
    local = number % NUMBERS_PER_BLOCK
    if local in rows:
        name = record["subscriber_id"]
        raise BadInput(f"{place}: {name} is treated twice in {record['month']}. Keep one row.")
    offer = _offer(record["offer_reason"] or "", place) if campaign == WARNING else NO_REASON
    rows[local] = (offer, _day(record["contacted_on"] or "", place))


def number_of(subscriber_id: str, place: str) -> int:
    """The subscriber's number in the province; BadInput when the text is none of its ids."""
    if len(subscriber_id) == 9 and subscriber_id[0] == "S" and subscriber_id[1:].isdecimal():
        return int(subscriber_id[1:])
    raise BadInput(f"{place}: '{subscriber_id}' is no subscriber of a simulated province (S and 8 digits).")


def _campaign(text: str, place: str) -> str:
    if text not in CAMPAIGNS:
        raise BadInput(
            f"{place}: contacts of campaign '{text}' have no known effect. Use one of {', '.join(CAMPAIGNS)}."
        )
    return text


def _offer(text: str, place: str) -> int:
    if text in _NO_OFFER:
        return NO_REASON
    if text not in REASONS:
        raise BadInput(
            f"{place}: offer_reason '{text}' is unknown. Use one of {', '.join(REASONS)}, or none."
        )
    return REASONS.index(text)


def _day(text: str, place: str) -> int:
    try:
        return day_number(date.fromisoformat(text))
    except ValueError as error:
        raise BadInput(f"{place}: contacted_on '{text}' is not a date. Write YYYY-MM-DD.") from error


def _arrays(rows: dict[int, tuple[int, int]]) -> Treatments:
    table = np.array([(row, *rows[row]) for row in sorted(rows)], dtype=np.int64).reshape(-1, 3)
    return Treatments(row=table[:, 0], offer=table[:, 1], contacted=table[:, 2])


def multipliers(treatments: Treatments, reason: Ints) -> Floats:
    """Factor on the hazard of each treated row, from its main reason in the cycle month."""
    own = reason[treatments.row]
    offered = np.where(treatments.offer == own, RIGHT_OFFER, WRONG_OFFER)
    return np.where(own == NO_REASON, NO_REASON_CONTACT, offered)
