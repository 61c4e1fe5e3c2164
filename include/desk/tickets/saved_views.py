"""Views of the queue a person keeps: a name and the filters of its address. Each change its own transaction."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from include.database.queries import load
from include.desk.tickets.transaction import begin, identify
from include.domain.errors import BadInput

Q = load("desk/views")


def read_saved_views(db: sa.Connection, staff_id: int) -> Sequence[sa.Row[Any]]:
    """The views a person keeps, each with view_id, name and query; within an open transaction of the person."""
    return db.execute(Q["read_saved"], {"staff_id": staff_id}).all()


def save_view(db: sa.Connection, *, staff_id: int, name: str, query: str) -> None:
    """Keep a view; the same name again replaces it. BadInput for a name that is too long."""
    if len(name) > 40:
        raise BadInput(
            "The name has {count} characters. Take at most {most}.",
            code="long_name",
            count=len(name),
            most=40,
        )
    if len(query) > 300:
        raise BadInput(
            "The filters have {count} characters. Take at most {most}.",
            code="long_filters", count=len(query), most=300,
        )  # fmt: skip
    with begin(db):
        identify(db, staff_id)
        db.execute(Q["save_view"], {"staff_id": staff_id, "name": name, "query": query})


def forget_view(db: sa.Connection, *, staff_id: int, view_id: int) -> None:
    """Keep a view no longer; one that is not theirs stays as it is."""
    with begin(db):
        identify(db, staff_id)
        db.execute(Q["forget_view"], {"staff_id": staff_id, "view_id": view_id})
