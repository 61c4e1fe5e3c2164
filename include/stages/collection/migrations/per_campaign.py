"""What a lake of before kept for the one campaign there was is moved to that campaign; killed, the next run goes on."""

from dataclasses import replace

from sqlalchemy import Connection

from include.database.queries import load
from include.lake import Lake
from include.lake.campaigns import PER_CAMPAIGN, of_campaign
from include.lake.description import MANIFEST
from include.lake.locks import hold
from include.lake.manifest import encoded
from include.lake.periods import period_of

#: Whose a lake is whose database knows of no cycle: the only one there was before they were kept apart.
_ONLY_ONE = "churn_warning"


def move(db: Connection, lake: Lake) -> int:
    """Move every table made per campaign to the campaign of the database's cycles; how many months of tables."""
    found = [(table, month) for table in PER_CAMPAIGN for month in _months(lake, table)]
    moved = 0
    for table, month in found:
        with db.begin():
            campaign = db.execute(load("stages/collection")["campaign_of_before"]).scalar() or _ONLY_ONE
            for name in (table, of_campaign(table, campaign)):
                hold(db, name, month)
            moved += _moved(lake, table, month, campaign)
    return moved


def _months(lake: Lake, table: str) -> list[str]:
    """The months of which anything lies where earlier versions kept it, published or not."""
    folders = {month: f"{table}/{name}" for name in lake.store.folders(table) if (month := period_of(name))}
    return [month for month, folder in folders.items() if lake.store.files(folder)]


def _moved(lake: Lake, table: str, month: str, campaign: str) -> bool:
    """Publish a month under its campaign, then remove it; whether there was anything published.

    The old manifest goes last of all: until then a next run finds what is left of a move that was killed.
    """
    old = lake.folder(table, month)
    names = sorted(lake.store.files(old), key=lambda name: name == MANIFEST)
    is_published = MANIFEST in names
    if is_published and not lake.has(of_campaign(table, campaign), month):
        _copy(lake, table, month, campaign, names)
    for name in names:
        lake.store.delete(f"{old}/{name}")
    return is_published


def _copy(lake: Lake, table: str, month: str, campaign: str, names: list[str]) -> None:
    """The same files and what is known of them, damaged ones too: `repair` finds them as it would have before."""
    own = of_campaign(table, campaign)
    old, new = lake.folder(table, month), lake.folder(own, month)
    for name in (name for name in names if name != MANIFEST and not name.startswith(".")):
        lake.store.write(f"{new}/{name}", lake.store.read(f"{old}/{name}"))
    manifest = lake.published(table, month)
    if manifest is None:  # nobody can read it, there as here
        lake.store.write(f"{new}/{MANIFEST}", lake.store.read(f"{old}/{MANIFEST}"))
        return
    facts = {**manifest.facts, "campaign": campaign, "cycle": month}
    lake.store.write(f"{new}/{MANIFEST}", encoded(replace(manifest, table=own, facts=facts)))
