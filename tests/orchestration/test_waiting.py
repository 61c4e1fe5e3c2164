"""A scheduled run waits for required feeds without a worker until the hour, then fails once."""

from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.domain.periods.months import ZONE
from include.orchestration import waiting
from include.orchestration.waiting import RequiredFeeds, cut_off

CYCLE = {"month": "2026-10", "as_of": "2026-11-05T06:00:00+08:00"}
LACKING = {"subscribers": {"state": "", "why": "No subscribers rows for 2026-10. Deliver them first."}}


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Look at a time of day on the 5th: what lacks, and whether the run is a scheduled one."""

    def at(hour: int, minute: int, lacking: Any, *, scheduled: bool = True, method: str = "execute") -> Any:
        moment = datetime(2026, 11, 5, hour, minute, tzinfo=ZONE)
        monkeypatch.setattr(waiting, "right_now", lambda: moment)
        found = {"stage": "collection", "rows_in": 3, "lacking": dict(lacking)}
        monkeypatch.setattr(waiting.deliveries, "require", lambda cycle, seen: (found, 18))
        context = {
            "ti": SimpleNamespace(xcom_pull=lambda task_ids: CYCLE),
            "partition_key": "2026-10" if scheduled else None,
        }
        task = RequiredFeeds(task_id="required", cycle_from="open_cycle")
        return getattr(task, method)(context)

    return at


def test_with_everything_there_it_goes_on_with_the_counts(look):
    assert look(6, 0, {}) == {"rows_in": 3}


def test_a_scheduled_run_looks_again_in_ten_minutes_and_knows_what_it_saw(look):
    with pytest.raises(TaskDeferred) as deferred:
        look(6, 0, LACKING)
    assert deferred.value.trigger.moment == datetime(2026, 11, 5, 6, 10, tzinfo=ZONE)
    assert (deferred.value.method_name, deferred.value.kwargs) == ("look", {"seen": LACKING})


def test_the_last_look_is_at_the_hour_itself(look):
    with pytest.raises(TaskDeferred) as deferred:
        look(17, 55, LACKING, method="look")
    assert deferred.value.trigger.moment == datetime(2026, 11, 5, 18, 0, tzinfo=ZONE)


@pytest.mark.parametrize(("hour", "scheduled"), [(18, True), (23, True), (6, False)])
def test_after_the_hour_or_for_a_person_it_fails_at_once_in_the_same_words(look, hour, scheduled):
    with pytest.raises(
        AirflowFailException, match=r"^No subscribers rows .* first\. Then clear this task\.$"
    ):
        look(hour, 0, LACKING, scheduled=scheduled)


def test_the_hour_is_meant_in_shanghai():
    assert cut_off("2026-11-04T22:00:00+00:00", 18) == datetime(2026, 11, 5, 18, tzinfo=ZONE)
