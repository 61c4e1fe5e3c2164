"""Where things are: the environment variables the project reads, each with its default."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: The configuration the project ships.
OWN_CONFIG = ROOT / "include" / "config"

#: Every environment variable the project itself reads, with what it names.
ENVIRONMENT = {
    "AIRFLOW_CONN_CHURN_DB": "the operations database as the stages use it",
    "AIRFLOW_CONN_CHURN_DESK_DB": "the operations database as the desk uses it",
    "CHURN_LAKE": "the lake: a folder or an object store URL",
    "CHURN_LANDING": "the folder into which deliveries land",
    "CHURN_CONFIG": "the folder of YAML files analysts edit",
    "CHURN_NOTICES": "the private folder of notices that go by no other way",
}


def config_folder() -> Path:
    """The folder of YAML files (`CHURN_CONFIG`, else the project's own)."""
    return Path(os.environ.get("CHURN_CONFIG") or ROOT / "include" / "config")


def lake_root() -> str:
    """The lake's folder or URL (`CHURN_LAKE`, else `.run/lake` in the project)."""
    return os.environ.get("CHURN_LAKE") or str(ROOT / ".run" / "lake")


def landing() -> Path:
    """The folder deliveries land in (`CHURN_LANDING`, else `.run/landing` in the project)."""
    return Path(os.environ.get("CHURN_LANDING") or ROOT / ".run" / "landing")


def notices_folder() -> Path:
    """The folder of notices sent to a file (`CHURN_NOTICES`, else `.run/notices` in the project)."""
    return Path(os.environ.get("CHURN_NOTICES") or ROOT / ".run" / "notices")
