"""One installation on this machine: where its things lie, its secrets, its processes' environment."""

import base64
import json
import os
import secrets
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypedDict

from include.local.postgres import Server
from include.local.processes import HOST, MARK
from include.settings import ROOT

RUN = ROOT / ".run"
#: the logins: Airflow's own, and ours with the rights of stages and desk; nobody works as the superuser
ROLES = ("airflow", "churn_loop", "churn_desk")
DEFAULT_UI_PORT = 8080
#: steps of one command run side by side in threads
_WRITING = threading.RLock()


class Memory(TypedDict, total=False):
    """What a site remembers from command to command: port, landing folder, steps done, hash of the environment."""

    ui_port: int
    landing: str
    environment: str
    finished: dict[str, Any]


class Secrets(TypedDict):
    """Keys by what they are for, passwords of the databases' logins and of Airflow's users by name."""

    keys: dict[str, str]
    roles: dict[str, str]
    users: dict[str, str]


@dataclass(frozen=True)
class Site:
    """`demo` (everything simulated) or `local` (the operator's own deliveries), in `.run/<name>`."""

    name: str
    folder: Path

    @classmethod
    def named(cls, name: str) -> "Site":
        """The site `.run/<name>` of this checkout."""
        return cls(name, RUN / name)

    @property
    def server(self) -> Server:
        """Its PostgreSQL, holding the databases `airflow` and `churn`."""
        return Server(self.folder / "postgres")

    @property
    def lake(self) -> Path:
        """Its lake."""
        return self.folder / "lake"

    @property
    def logs(self) -> Path:
        """Logs of components and tasks."""
        return self.folder / "logs"

    @property
    def secrets_file(self) -> Path:
        """Passwords and keys, readable by the owner alone."""
        return self.folder / "secrets.json"

    def prepare(self) -> None:
        """Make the folders: open enough for PostgreSQL's own user to pass, data for the owner alone."""
        for folder in (RUN, self.folder):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        for name in ("lake", "logs", "airflow", "processes"):
            (self.folder / name).mkdir(exist_ok=True, mode=0o700)

    def remember(self, **facts: Any) -> None:
        """Keep facts (UI port, landing folder, months, finished steps) for the next command."""
        with _WRITING:
            kept = {**self.memory(), **facts}
            temporary = self.folder / "site.json.new"
            temporary.write_text(json.dumps(kept, indent=1), encoding="utf-8")
            temporary.replace(self.folder / "site.json")

    def finish(self, step: str, result: Any) -> None:
        """Keep the result (JSON) of a step that need not be done again."""
        with _WRITING:
            self.remember(finished={**self.finished(), step: result})

    def finished(self) -> dict[str, Any]:
        """Results of the steps earlier commands have finished."""
        return dict(self.memory().get("finished", {}))

    def memory(self) -> Memory:
        """What `remember` kept; empty for a new site."""
        try:
            kept: Memory = json.loads((self.folder / "site.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        return kept

    @property
    def ui_port(self) -> int:
        """The port of the Airflow UI."""
        return int(self.memory().get("ui_port", DEFAULT_UI_PORT))

    @property
    def url(self) -> str:
        """Where the Airflow UI answers."""
        return f"http://{HOST}:{self.ui_port}"

    def secrets(self) -> Secrets:
        """Keys and passwords, generated once."""
        if self.secrets_file.exists():
            kept: Secrets = json.loads(self.secrets_file.read_text(encoding="utf-8"))
            return kept
        made: Secrets = {
            "keys": {
                "jwt": secrets.token_urlsafe(48),
                "api": secrets.token_urlsafe(48),
                "fernet": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            },
            "roles": {},
            "users": {},
        }
        self._keep_secrets(made)
        return made

    def password_of(self, username: str) -> str:
        """The password of an Airflow user, generated at first need."""
        return self._password("users", username, length=9)

    def role_password(self, role: str) -> str:
        """The password of a login of the databases, generated at first need."""
        return self._password("roles", role, length=24)

    def _password(self, kind: Literal["users", "roles"], name: str, length: int) -> str:
        with _WRITING:
            known = self.secrets()
            if name not in known[kind]:
                known[kind][name] = secrets.token_urlsafe(length)
                self._keep_secrets(known)
        return str(known[kind][name])

    def _keep_secrets(self, known: Secrets) -> None:
        temporary = self.folder / "secrets.json.new"
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_text(json.dumps(known, indent=1), encoding="utf-8")
        temporary.replace(self.secrets_file)

    def database_url(self, role: str) -> str:
        """The database a role works in, as that role: `airflow` in its own, the others in `churn`."""
        database = "airflow" if role == "airflow" else "churn"
        return self.server.url(database, user=role, password=self.role_password(role))

    def bare_database_url(self, role: str) -> str:
        """`database_url` for a command line, where everybody sees it; PGPASSWORD goes with it."""
        return f"postgresql://{role}@{HOST}:{self.server.port}/churn"

    def environment(self) -> dict[str, str]:
        """What every process of this site gets on top of the caller's environment."""
        keys = self.secrets()["keys"]
        metadata = self.database_url("airflow").replace("postgresql://", "postgresql+psycopg2://", 1)
        around = {name: os.environ.get(name, "") for name in ("NO_PROXY", "no_proxy")}
        return {
            **os.environ,
            **{name: ",".join(filter(None, (hosts, HOST, "localhost"))) for name, hosts in around.items()},
            **_airflow_settings(self),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": metadata,
            "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
            "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
            "AIRFLOW__API__SECRET_KEY": keys["api"],
            "AIRFLOW_CONN_CHURN_DB": self.database_url("churn_loop"),
            "AIRFLOW_CONN_CHURN_DESK_DB": self.database_url("churn_desk"),
            "CHURN_LAKE": str(self.lake),
            "CHURN_NOTICES": str(self.folder / "notices"),
            "CHURN_LANDING": str(self.memory().get("landing", self.folder / "landing")),
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            # several fits share the cores: a waiting thread must not spin
            "OMP_WAIT_POLICY": "PASSIVE",
            MARK: str(self.folder),
        }


def work_mark(site: Site) -> Path:
    """Marks foreground programs, which a restart of Airflow's processes must not end."""
    return site.folder / "work"


def _airflow_settings(site: Site) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(site.folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        # LocalExecutor forks this many workers of about 120 MB
        "AIRFLOW__CORE__PARALLELISM": str(max(2, os.cpu_count() or 2)),
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{site.url}/execution/",
        "AIRFLOW__API__HOST": HOST,
        "AIRFLOW__API__PORT": str(site.ui_port),
        "AIRFLOW__API__BASE_URL": site.url,
        "AIRFLOW__API__INSTANCE_NAME": "Churn loop" + (" (demo)" if site.name == "demo" else ""),
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        # a worker may overlook the end of its task for so long: 5 s made half a minute a run
        "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
        # a busy machine is slow, not broken: 5 s would fail tasks
        "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "60",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(site.logs / "tasks"),
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    }
