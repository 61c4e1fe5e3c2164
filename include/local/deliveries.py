"""The loop on the operator's own deliveries: no simulated row, no simulated person."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypedDict

from include.domain.errors import BadInput
from include.domain.periods.months import parse_instant, parse_month
from include.local.airflow import dags, run_campaigns, run_dag, start_airflow, start_databases
from include.local.sites import Site
from include.local.summary import summarise

_USERS = (("admin", "Admin", "Administrator"), ("operator", "Op", "Operator"))


class Conf(TypedDict):
    """The Params of a run of a month: `as_of` in ISO form where a person chose it."""

    month: str
    as_of: str | None
    dispatch_late: bool
    train: bool


@dataclass(frozen=True)
class Request:
    """What to run: a landing folder, a month, and a person's choices."""

    landing: Path
    month: str
    as_of: datetime | None = None
    dispatch_late: bool = False

    @classmethod
    def parse(
        cls, landing: str | None, month: str | None, as_of: str | None, dispatch_late: str
    ) -> "Request":
        """The request behind the words of a command; BadInput says which of them cannot be used."""
        if not landing:
            raise BadInput("LANDING is missing. Say: make run LANDING=folder MONTH=YYYY-MM")
        folder = Path(landing).expanduser().resolve()
        if not folder.is_dir():
            raise BadInput(f"LANDING={landing} is not a folder. It must hold <feed>/month=YYYY-MM/ folders.")
        if not month:
            raise BadInput(f"MONTH is missing. Say: make run LANDING={landing} MONTH=YYYY-MM")
        return cls(
            folder,
            parse_month(month),
            parse_instant(as_of, "AS_OF") if as_of else None,
            _is_yes(dispatch_late),
        )

    def conf(self) -> Conf:
        """The Params of the DAG run."""
        as_of = self.as_of.isoformat() if self.as_of else None
        return {"month": self.month, "as_of": as_of, "dispatch_late": self.dispatch_late, "train": True}


def run_deliveries(site: Site, request: Request) -> str:
    """Run every campaign's loop for one month in Airflow; return the closing summary."""
    site.remember(landing=str(request.landing))
    start_databases(site)
    api = start_airflow(site, _USERS)
    results = run_campaigns(request.conf(), lambda dag, conf: run_dag(site, api, dag, conf))
    for dag in dags():
        api.unpause(dag)
    return summarise(site, request.month, results, [("admin", "everything"), ("operator", "DAGs and runs")])


def _is_yes(text: str) -> bool:
    if text.lower() in ("", "0", "no", "false"):
        return False
    if text.lower() in ("1", "yes", "true"):
        return True
    raise BadInput(f"DISPATCH_LATE={text} is neither 1 nor 0.")
