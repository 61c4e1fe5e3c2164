"""The tables that are made for one campaign each: TABLE/campaign=NAME, so that no campaign meets another's."""

import re
from collections.abc import Iterator

from include.domain.errors import BadInput
from include.lake.store import Store

SCORES, SCORES_REVISED = "scores", "scores_revised"
GRADES, GRADES_REVISED = "grades", "grades_revised"
LABELS, OUT_OF_FOLD = "labels", "scores_out_of_fold"

#: Every table made per campaign; all others are common to them.
PER_CAMPAIGN = (SCORES, SCORES_REVISED, GRADES, GRADES_REVISED, LABELS, OUT_OF_FOLD)

_FOLDER = "campaign="
_NAME = re.compile(r"[A-Za-z0-9_]+")


def of_campaign(table: str, campaign: str) -> str:
    """The name in the lake of a campaign's own table; BadInput for a name that would lead elsewhere."""
    if not _NAME.fullmatch(campaign):
        raise BadInput(f"'{campaign}' is no name of a campaign. Use letters, digits and _ alone.")
    return f"{table}/{_FOLDER}{campaign}"


def parted(name: str) -> tuple[str, str | None]:
    """The table and the campaign (None: common to all) that a table's name in the lake is made of."""
    table, _, folder = name.partition("/")
    return table, folder.removeprefix(_FOLDER) or None


def scores_of(campaign: str, revision: int = 0) -> str:
    """The table with the scores people act on (revision 0), or with those of the newest re-run."""
    return of_campaign(SCORES_REVISED if revision else SCORES, campaign)


def grades_of(campaign: str, revision: int = 0) -> str:
    """The table with the grades people act on (revision 0), or with those of the newest re-run."""
    return of_campaign(GRADES_REVISED if revision else GRADES, campaign)


def named_in(store: Store) -> Iterator[str]:
    """Every name in the store that a table may have, published or not."""
    for table in store.folders():
        yield table
        for folder in store.folders(table):
            if folder.startswith(_FOLDER) and _NAME.fullmatch(folder.removeprefix(_FOLDER)):
                yield f"{table}/{folder}"
