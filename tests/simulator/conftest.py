"""One small province for the tests that only read it."""

from pathlib import Path

import pytest

from include.simulator.province import Province
from include.simulator.walk import simulate

SMALL = Province(subscribers=3000, months=3, seed=11, last_month="2026-09")


@pytest.fixture(scope="session")
def province(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with landing/ and truth/ of SMALL; not to be written to."""
    out = tmp_path_factory.mktemp("province")
    simulate(SMALL, out)
    return out
