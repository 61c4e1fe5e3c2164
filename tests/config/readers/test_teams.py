"""teams.yaml: who takes whose overflow, and what one more agent is assumed to do."""

import pytest
import yaml

from include.config.readers.teams import parse
from include.domain.errors import ConfigError
from tests.conftest import ROOT

RAW = yaml.safe_load((ROOT / "include" / "config" / "teams.yaml").read_text("utf-8"))


def test_by_default_nobody_takes_anothers_overflow():
    assert parse(RAW, "teams.yaml").overflow == {}


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"overflow": {"vip": ["nobody"]}}, "overflow names team 'nobody'"),
        ({"overflow": {"vips": ["vip"]}}, "overflow names team 'vips'"),
        ({"overflow": {"vip": ["mid_high", "vip"]}}, "overflow of 'vip' leads to itself"),
        ({"others": "elsewhere"}, "team 'elsewhere' is routed to but not defined"),
        ({"assumed_effect": 1.5}, "entry 'assumed_effect'"),
        ({"overflows": {}}, "entry 'overflows'"),
    ],
)
def test_a_mistake_names_file_and_cause(change, cause):
    with pytest.raises(ConfigError, match=cause) as told:
        parse({**RAW, **change}, "teams.yaml")
    assert str(told.value).startswith("teams.yaml")


def test_the_order_of_overflow_is_kept():
    assert parse({**RAW, "overflow": {"vip": ["mid_high", "new_subscriber"]}}, "x").overflow == {
        "vip": ("mid_high", "new_subscriber")
    }
