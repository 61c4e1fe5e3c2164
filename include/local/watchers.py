"""What `make status` tells of the watchers: who has fallen silent, and what could not be delivered."""

from datetime import datetime

import sqlalchemy as sa

from include import settings
from include.config.readers.notices import load_notices
from include.database import engine
from include.database.queries import load
from include.domain.errors import LoopError
from include.domain.periods.months import ZONE
from include.local.sites import Site
from include.notices.alarms import silent_watchers


def watcher_lines(site: Site, now: datetime) -> list[str]:
    """One line for each watcher that missed a tick and one for dead messages; none when all is well."""
    made = engine(site.database_url("churn_loop"))
    try:
        with made.connect() as db, db.begin():
            silent = silent_watchers(db, load_notices(settings.config_folder()), now)
            dead = int(db.execute(load("notices")["count_dead_messages"]).scalar_one())
    except (sa.exc.SQLAlchemyError, LoopError) as error:
        return [f"the watchers cannot be asked: {type(error).__name__}"]
    finally:
        made.dispose()
    lines = [
        f"{name} is silent: expected at {_minute(expected)}, last seen {_minute(seen)}"
        for name, (expected, seen) in silent.items()
    ]
    return lines + (
        [f"{dead} messages could not be delivered: python -m include.notices list"] if dead else []
    )


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(ZONE):%Y-%m-%d %H:%M}"
