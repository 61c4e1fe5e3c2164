"""What was collected and the lake no longer holds is never taken for never delivered: the stages that read it stop."""

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

from include.database.queries import load
from include.domain.errors import NotReady
from include.lake import Lake

_NAMED_AT_MOST = 5


def lost(
    db: Connection, lake: Lake, is_read: Callable[[str, str], bool], beside: Mapping[str, str] | None = None
) -> list[tuple[str, str]]:
    """The deliveries (feed, period) that stand in the database and lack in the lake, of what is read (table, month).

    `beside` names the further table that a feed fills. To be asked inside a transaction.
    """
    rows = [(row.feed, row.period) for row in db.execute(load("stages/collection")["kept_deliveries"])]
    further = [(table, feed, period) for feed, period in rows if (table := (beside or {}).get(feed))]
    filled = [(feed, feed, period) for feed, period in rows] + further
    wanted = [each for each in filled if is_read(each[0], each[2][:7])]
    months = {(table, period[:7]) for table, _, period in wanted}
    stand = {each: manifest.periods for each in months if (manifest := lake.published(*each))}
    gone = {
        (feed, period) for table, feed, period in wanted if period not in stand.get((table, period[:7]), {})
    }
    return sorted(gone, key=lambda each: (each[1], each[0]))


def refuse_lost(db: Connection, lake: Lake, is_read: Callable[[str, str], bool]) -> None:
    """NotReady naming the deliveries that are to come again; to be asked inside a transaction."""
    if gone := lost(db, lake, is_read):
        named = ", ".join(delivery_name(feed, period) for feed, period in gone[:_NAMED_AT_MOST])
        more = f" and {len(gone) - _NAMED_AT_MOST} more" if len(gone) > _NAMED_AT_MOST else ""
        raise NotReady(
            f"The lake no longer holds what was collected of {named}{more}. Deliver it again, or its header alone "
            "to go on without, and run collection."
        )


def delivery_name(feed: str, period: str) -> str:
    """A delivery as its folder is called."""
    return f"{feed}/{'day' if len(period) > len('2026-10') else 'month'}={period}"
