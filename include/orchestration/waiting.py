"""The wait for the required feeds of a month: deferred, so that it holds no worker, and told once."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from include.domain.periods.months import ZONE
from include.orchestration import alarm, deliveries, right_now

if TYPE_CHECKING:  # heavy, and a DAG file is read every few seconds
    from include.run.cycles import CycleFacts

_LOOK_EVERY = timedelta(minutes=10)


class RequiredFeeds(BaseOperator):  # type: ignore[misc]  # Airflow is seen as Any
    """Collects the feeds a month cannot do without; a scheduled run waits for those that are not there.

    It waits until the hour of sources.yaml on the day of as_of. Then, or at once in a run that a person
    started, it fails with one sentence that names feeds, regions and counts; no retry follows.
    """

    def __init__(self, *, cycle_from: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cycle_from = cycle_from

    def execute(self, context: Context) -> Any:
        return self.look(context)

    def look(
        self, context: Context, event: Any = None, seen: Mapping[str, Mapping[str, str]] | None = None
    ) -> Any:
        """Collect what has come since the last look, whose findings were `seen`; then wait or fail."""
        cycle: CycleFacts = context["ti"].xcom_pull(task_ids=self.cycle_from)
        found, hour = deliveries.require(cycle, seen or {})
        lacking = found["lacking"]
        if not lacking:
            # the stage's result is that of collection.report, which counts these rows too
            return {name: value for name, value in found.items() if name not in ("stage", "lacking")}
        now, until = right_now(), cut_off(cycle["as_of"], hour)
        causes = " ".join(lack["why"] for lack in lacking.values())
        if context.get("partition_key") and now < until:
            self.log.warning(
                "Waiting until %s for %s: %s", f"{until:%Y-%m-%d %H:%M}", ", ".join(lacking), causes
            )
            moment = min(now + _LOOK_EVERY, until)
            self._tell(context, cycle, until, causes)
            self.defer(trigger=DateTimeTrigger(moment), method_name="look", kwargs={"seen": lacking})
        raise AirflowFailException(f"{causes} Then clear this task.")

    def _tell(self, context: Context, cycle: Mapping[str, Any], until: datetime, causes: str) -> None:
        """Tell operations once a day that this month waits, and for what."""
        link = str(getattr(context["ti"], "log_url", "") or "")
        details = {"month": cycle["month"], "until": until.isoformat(), "why": causes, "link": link}
        alarm("feed_waiting", cycle["month"], details)


def cut_off(as_of: str, hour: int) -> datetime:
    """Until when a run waits: the hour, in Shanghai, of the day of its as_of."""
    return (
        datetime.fromisoformat(as_of).astimezone(ZONE).replace(hour=hour, minute=0, second=0, microsecond=0)
    )
