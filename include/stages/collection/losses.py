"""What was collected and the lake no longer holds is never taken for never delivered: the stages that read it stop."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from include.database.queries import load
from include.domain.errors import NotReady
from include.lake import Lake
from include.stages.collection.sources.delivery import DeliveryKey

_NAMED_AT_MOST = 5


def lost(
    db: Connection, lake: Lake, is_read: Callable[[str, str], bool], beside: Mapping[str, str] | None = None
) -> list[DeliveryKey]:
    """The deliveries that stand in the database and lack in the lake, of what is read (table, month).

    `beside` names the further table that a feed fills. To be asked inside a transaction.
    """
    keys = [
        DeliveryKey(row.feed, row.period) for row in db.execute(load("stages/collection")["kept_deliveries"])
    ]
    filled = [(key.feed, key) for key in keys]
    filled += [(table, key) for key in keys if (table := (beside or {}).get(key.feed))]
    wanted = [(table, key) for table, key in filled if is_read(table, key.month)]
    months = {(table, key.month) for table, key in wanted}
    stand = {each: manifest.periods for each in months if (manifest := lake.published(*each))}
    gone = {key for table, key in wanted if key.period not in stand.get((table, key.month), {})}
    return sorted(gone, key=lambda key: (key.period, key.feed))


def refuse_lost(db: Connection, lake: Lake, is_read: Callable[[str, str], bool]) -> None:
    """NotReady naming the deliveries that are to come again; to be asked inside a transaction."""
    if gone := lost(db, lake, is_read):
        named = ", ".join(key.name for key in gone[:_NAMED_AT_MOST])
        more = f" and {len(gone) - _NAMED_AT_MOST} more" if len(gone) > _NAMED_AT_MOST else ""
        raise NotReady(
            f"The lake no longer holds what was collected of {named}{more}. Deliver it again, or its header alone "
            "to go on without, and run collection."
        )
