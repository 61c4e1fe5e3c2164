import json
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.local import sites
from include.local.sites import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(sites, "RUN", tmp_path / ".run")
    made = Site("demo", tmp_path / ".run" / "demo")
    made.prepare()
    return made


@pytest.fixture
def started(site: Site) -> Site:
    (site.folder / "postgres").mkdir()
    (site.folder / "postgres" / "port").write_text("5499")
    (site.folder / "postgres" / "password").write_text("super\n")
    return site


def test_secrets_are_for_the_owner_alone_from_their_first_byte(site: Site) -> None:
    site.secrets()
    site.password_of("admin")
    assert stat.S_IMODE(site.secrets_file.stat().st_mode) == 0o600
    assert [path.name for path in site.folder.glob("secrets*")] == ["secrets.json"]


def test_data_and_logs_are_for_the_owner_alone(site: Site) -> None:
    for folder in (site.lake, site.logs, site.folder / "airflow"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_password_is_generated_once_and_differs_between_users(site: Site) -> None:
    first = site.password_of("admin")
    assert Site("demo", site.folder).password_of("admin") == first
    assert site.password_of("operator") != first


def test_keys_are_long_enough_for_airflow(site: Site) -> None:
    keys = site.secrets()["keys"]
    assert len(keys["jwt"]) >= 32
    assert len(keys["fernet"]) == 44


def test_steps_finished_side_by_side_are_all_remembered(site: Site) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: site.finish(f"step {number}", number), range(40)))
    assert len(site.finished()) == 40


def test_a_login_that_came_later_gets_a_password_at_first_need(started: Site) -> None:
    kept = started.secrets()
    kept["roles"] = {"churn_owner": "old"}
    started.secrets_file.write_text(json.dumps(kept))
    assert started.role_password("airflow") == started.role_password("airflow") != "old"


def test_no_process_gets_the_password_of_the_superuser(started: Site) -> None:
    assert not [name for name, text in started.environment().items() if ":super@" in text]


def test_every_process_gets_the_same_keys_and_its_own_databases(started: Site) -> None:
    environment = started.environment()
    keys = started.secrets()["keys"]
    assert environment["AIRFLOW__API_AUTH__JWT_SECRET"] == keys["jwt"]
    assert environment["AIRFLOW__CORE__FERNET_KEY"] == keys["fernet"]
    assert environment["AIRFLOW_CONN_CHURN_DB"].startswith("postgresql://churn_loop:")
    assert environment["AIRFLOW_CONN_CHURN_DESK_DB"].startswith("postgresql://churn_desk:")
    assert environment["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("postgresql+psycopg2://airflow:")
    assert environment["AIRFLOW__API__HOST"] == "127.0.0.1"


def test_loopback_never_goes_through_a_proxy(started: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet.example.org")
    assert started.environment()["NO_PROXY"] == "intranet.example.org,127.0.0.1,localhost"


def test_an_address_for_a_command_line_carries_no_password(started: Site) -> None:
    address = started.bare_database_url("churn_loop")
    assert address == "postgresql://churn_loop@127.0.0.1:5499/churn"


def test_the_landing_folder_is_the_one_remembered(started: Site, tmp_path: Path) -> None:
    started.remember(landing=str(tmp_path / "deliveries"))
    assert started.environment()["CHURN_LANDING"] == str(tmp_path / "deliveries")
