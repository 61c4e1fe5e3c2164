"""Which campaigns a configuration folder holds, by where their files lie and how they are named: nothing is read.

Light, for DAG files are parsed again and again.
"""

import re
from pathlib import Path

from include.domain.periods.period import CADENCES, MONTHLY

FOLDER = "campaigns"
#: The DAGs beside those of the campaigns: none of these can be a campaign's name.
COMMON_DAGS = (
    "release_tickets",
    "take_in_changes",
    "watch_sla",
    "follow_up",
    "train_models",
    "recall_tickets",
)
#: What all campaigns together are called where one could stand.
ALL = "all"
_NAME = re.compile(r"[a-z][a-z0-9_]{2,62}")


def campaign_files(folder: Path) -> list[Path]:
    """The campaign files of a configuration folder: below a cadence, or in the folder of before."""
    found = [path for cadence in CADENCES for path in (folder / FOLDER / cadence).glob("*.yaml")]
    return sorted([*found, *(folder / FOLDER).glob("*.yaml")])


def cadences(folder: Path) -> dict[str, str]:
    """The campaigns a DAG can be made for, each with its cadence; a file of before, below none, is monthly."""
    return {
        path.stem: path.parent.name if path.parent.name in CADENCES else MONTHLY
        for path in campaign_files(folder)
        if not why_no_name(path.stem)
    }


def why_no_name(name: str) -> str:
    """Why a file of that name is no campaign; empty when it is one."""
    if name == ALL:
        return "the board calls all campaigns together so. Rename the file."
    if name in COMMON_DAGS:
        return f"a DAG of all campaigns is named '{name}'. Rename the file."
    if not _NAME.fullmatch(name):
        return "a campaign is named by 3 to 63 small letters, digits and _, first a letter. Rename the file."
    return ""
