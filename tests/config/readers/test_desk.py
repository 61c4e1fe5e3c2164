"""desk.yaml: what stands in the project's own, and what is refused."""

import pytest
import yaml

from include.config.readers.desk import load_desk, parse
from include.domain.errors import ConfigError
from include.settings import OWN_CONFIG


def test_the_limits_stand_above_an_honest_days_work():
    limits = load_desk(OWN_CONFIG).limits_per_day
    assert min(limits.of("reveal"), limits.of("call"), limits.of("search")) >= 60


def test_a_folder_without_the_file_gets_the_projects_own(tmp_path):
    assert load_desk(tmp_path) == load_desk(OWN_CONFIG)


@pytest.mark.parametrize(
    ("section", "entry", "value"),
    [("limits_per_day", "reveal", 0), ("limits_per_day", "print", 3), ("next_ticket", "hold_minutes", 0)],
)
def test_a_wrong_entry_is_named(section, entry, value):
    raw = yaml.safe_load((OWN_CONFIG / "desk.yaml").read_text("utf-8"))
    raw[section][entry] = value
    with pytest.raises(ConfigError, match=rf"desk\.yaml, entry '{section}\.{entry}'"):
        parse(raw, "desk.yaml")
