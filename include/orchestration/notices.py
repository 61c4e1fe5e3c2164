"""What the DAGs do about notices: tell what is due, and look whether those who watch are alive."""

from typing import TYPE_CHECKING

from include.orchestration import run_task

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from include.notices.tick import Delivery


def tell() -> "Delivery":
    """Gather notices into one digest per person on duty, and deliver what is due."""
    from include.notices import tick

    return run_task(
        lambda at: tick.tell(db=at.db, config=at.config, notices=at.notices, channels=at.channels, now=at.now)
    )


def check() -> "Delivery":
    """Alarm for watchers that have fallen silent."""
    from include.notices import tick

    return run_task(lambda at: tick.check(db=at.db, notices=at.notices, channels=at.channels, now=at.now))
