"""Running a DAG of the project in this process, with its own databases, lake, landing folder and clock."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from include.domain.campaign_files import cadences
from include.domain.periods.months import ZONE, default_as_of, month_start
from include.settings import config_folder
from tests.conftest import ROOT
from tests.fixtures import ten_subscribers
from tests.fixtures.collected import collect

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from include.config import Config
    from include.lake import Lake

#: On the morning of a scheduled run for 2026-10, a working day.
MORNING = datetime(2026, 11, 5, 8, 30, tzinfo=ZONE)


class Run:
    """A finished DAG run: its state, its tasks' states and what they returned."""

    def __init__(self, dag_run: Any) -> None:
        self.state = str(dag_run.state)
        self._tasks = dag_run.get_task_instances()

    @property
    def run_id(self) -> str:
        """Its key."""
        return str(self._tasks[0].run_id)

    @property
    def states(self) -> dict[str, str]:
        """Task id → state; of mapped tasks the states of all, joined."""
        found: dict[str, set[str]] = {}
        for task in self._tasks:
            found.setdefault(task.task_id, set()).add(str(task.state))
        return {task: " ".join(sorted(states)) for task, states in found.items()}

    @property
    def tries(self) -> dict[str, int]:
        """Task id → attempts."""
        return {task.task_id: task.try_number for task in self._tasks}

    def labels(self, task: str) -> list[str]:
        """How the UI calls the mapped instances of a task."""
        return sorted(each.rendered_map_index or "" for each in self._tasks if each.task_id == task)

    def asset_extra(self, asset: str) -> dict[str, Any]:
        """What the page of an asset shows of its event of this run."""
        from airflow.models.asset import AssetEvent, AssetModel
        from airflow.utils.session import create_session
        from sqlalchemy import select

        with create_session() as session:
            found = select(AssetEvent.extra).join(AssetModel, AssetModel.id == AssetEvent.asset_id)
            mine = found.where(AssetModel.name == asset, AssetEvent.source_run_id == self._tasks[0].run_id)
            return dict(session.execute(mine).scalar_one())

    def result(self, task: str, map_index: int = -1) -> Any:
        """What a task returned."""
        from airflow.models.xcom import XComModel
        from airflow.utils.session import create_session

        with create_session() as session:
            query = XComModel.get_many(
                run_id=self._tasks[0].run_id,
                dag_ids=self._tasks[0].dag_id,
                task_ids=task,
                key="return_value",
                map_indexes=map_index,
            )
            row = session.execute(query).scalars().first()
            return XComModel.deserialize_value(row)


@pytest.fixture
def parse(airflow_home: Path) -> Callable[[str], Any]:
    """Read the file of one DAG anew: dag.test() leaves a run's conf in the Params of the DAG it ran."""

    def read(name: str) -> Any:
        from airflow.dag_processing.dagbag import DagBag

        own = ROOT / "dags" / f"{name}.py"
        bag = DagBag(str(own if own.exists() else ROOT / "dags" / "campaigns.py"))
        assert not bag.import_errors
        return bag.dags[name]

    return read


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[datetime], None]:
    """Set the time the DAGs work at; without a call it is MORNING."""

    def work_at(moment: datetime) -> None:
        for module in (
            "include.orchestration",
            "include.orchestration.approval",
            "include.orchestration.waiting",
            "include.orchestration.all_campaigns",
        ):
            monkeypatch.setattr(f"{module}.right_now", lambda: moment)

    work_at(MORNING)
    return work_at


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch, airflow_home: Path, stored_for: list[dict[str, str]]) -> None:
    """dag.test() without what it repeats for nothing.

    It sleeps a whole second whenever it finds nothing to run, which after a skipped task is a moment. And before
    each run it reads every DAG file and stores every DAG, which are the same as long as the campaigns are.
    """
    from airflow.dag_processing import dagbag

    monkeypatch.setattr(time, "sleep", lambda seconds, slept=time.sleep: slept(min(seconds, 0.05)))

    class Unread:
        """A folder of DAGs that is read when it is stored."""

        def __init__(self, **folder: Any) -> None:
            self.folder = folder

    def store_once(
        folder: Unread, *bundle: Any, read: Any = dagbag.BundleDagBag, store: Any = dagbag.sync_bag_to_db
    ) -> None:
        campaigns = cadences(config_folder())
        if stored_for != [campaigns]:
            store(read(**folder.folder), *bundle)
            stored_for[:] = [campaigns]

    monkeypatch.setattr(dagbag, "BundleDagBag", Unread)
    monkeypatch.setattr(dagbag, "sync_bag_to_db", store_once)


@pytest.fixture(scope="session")
def stored_for() -> list[dict[str, str]]:
    """The campaigns for which Airflow's database holds the DAGs; empty before the first run."""
    return []


@pytest.fixture
def run_dag(
    parse: Callable[[str], Any], airflow_environment: Path, clock: Callable[[datetime], None], hurried: None
) -> Callable[..., Run]:
    """Run a DAG to its end: `run_dag("churn_warning", month="2026-10")`; no task but one named is retried."""

    def run(name: str, retried: str = "", **conf: Any) -> Run:
        dag = _unretried(parse(name))
        if retried:
            dag.get_task(retried).retries, dag.get_task(retried).retry_delay = 1, timedelta(0)
        return Run(dag.test(logical_date=None, run_conf=conf))

    return run


def _unretried(dag: Any) -> Any:
    for task in dag.tasks:
        task.retries = 0
    return dag


@pytest.fixture
def clear(
    parse: Callable[[str], Any], airflow_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Run]:
    """Clear tasks of a finished run as the UI does, those after them too, and run it on to its end."""

    def run_on(run: Run, name: str, *task_ids: str) -> Run:
        from airflow.models.dagrun import DagRun
        from airflow.models.taskinstance import TaskInstance, clear_task_instances
        from airflow.utils.session import create_session
        from airflow.utils.state import DagRunState
        from sqlalchemy import select

        dag = _unretried(parse(name))
        named = {after for each in task_ids for after in (each, *dag.get_task(each).get_flat_relative_ids())}
        with create_session() as session:
            mine = select(TaskInstance).where(
                TaskInstance.run_id == run.run_id, TaskInstance.task_id.in_(named)
            )
            cleared = list(session.scalars(mine))
            clear_task_instances(cleared, session, dag_run_state=DagRunState.RUNNING)

        def found(*, dag: Any, session: Any, **_: Any) -> DagRun:
            again = session.scalars(select(DagRun).where(DagRun.run_id == run.run_id)).one()
            again.dag = dag
            return again

        monkeypatch.setattr(
            "airflow.models.dagrun.get_or_create_dagrun", found
        )  # dag.test would begin a new one
        return Run(dag.test(logical_date=datetime(2000, 1, 1, tzinfo=UTC)))  # None would clear every run

    return run_on


@pytest.fixture
def ten_delivered(airflow_environment: Path) -> Path:
    """The ten subscribers' six months in the landing folder."""
    ten_subscribers.write_landing(airflow_environment / "landing")
    return airflow_environment


@pytest.fixture
def ten_collected(ten_delivered: Path, db: "Connection", lake: "Lake", config: "Config") -> Path:
    """The ten subscribers in the lake, too: a run has nothing to collect and comes quickly to what follows."""
    as_of = default_as_of(ten_subscribers.MONTH)
    collect(ten_delivered / "landing", db, lake, config, as_of=as_of, now=MORNING)
    return ten_delivered


@pytest.fixture
def ten_of_one_month(ten_delivered: Path, db: "Connection", lake: "Lake", config: "Config") -> Path:
    """The months before in the lake: a run has the deliveries of its own month to collect, not of six."""
    as_of = month_start(ten_subscribers.MONTH)
    collect(ten_delivered / "landing", db, lake, config, as_of=as_of, now=MORNING)
    return ten_delivered


@pytest.fixture
def answer(airflow_home: Path) -> Iterator[Callable[..., list[str]]]:
    """Answer the next question a run asks, from beside it, as the UI would; what was asked fills the list."""
    over = threading.Event()
    threads: list[threading.Thread] = []

    def prepare(option: str, **params: Any) -> list[str]:
        asked: list[str] = []
        before = threads[-1] if threads else None
        given = (option, params, asked, over, before)
        threads.append(threading.Thread(target=_answer, args=given, daemon=True))
        threads[-1].start()
        return asked

    yield prepare
    over.set()
    for thread in threads:
        thread.join(timeout=5)


def _answer(
    option: str,
    params: dict[str, Any],
    asked: list[str],
    over: threading.Event,
    before: threading.Thread | None,
) -> None:
    from sqlalchemy.exc import OperationalError

    if before is not None:
        before.join()
    while not over.wait(0.2):
        with contextlib.suppress(OperationalError):  # SQLite is locked: the run is writing
            if _answered(option, params, asked):
                return


def _answered(option: str, params: dict[str, Any], asked: list[str]) -> bool:
    from airflow._shared.timezones.timezone import utcnow
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import handle_event_submit
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select
    from sqlalchemy.orm import joinedload

    with create_session() as session:
        waiting = select(TaskInstance).where(TaskInstance.state == "awaiting_input")
        task = session.scalars(waiting.options(joinedload(TaskInstance.hitl_detail))).first()
        if task is None:
            return False
        detail = task.hitl_detail
        detail.chosen_options, detail.params_input, detail.responded_at = [option], params, utcnow()
        detail.responded_by = {"id": "7", "name": "Li Na"}
        event = TriggerEvent(detail.as_resume_event_payload(timedout=False))
        handle_event_submit(event, task_instance=task, session=session)
        session.flush()
        asked.extend((detail.subject, detail.body))
    return True
