"""Is the configuration right? Every campaign with its cadence, place and draw, or what is wrong with its file.

python -m include.config [FOLDER]
"""

import sys
from pathlib import Path

from include import settings
from include.commands import ended, in_columns
from include.config import Config, load_config
from include.domain.errors import ConfigError

_HEAD = ("campaign", "cadence", "kind", "precedence", "measure", "horizon", "state")


def _row(config: Config, name: str) -> tuple[str, ...]:
    campaign, draw = config.campaign(name), config.measure(name)
    held_out = f"{campaign.measure_name} ({draw.share:.0%})" if draw else "nobody is held out"
    horizon = (
        f"{campaign.horizon_months} months" if campaign.horizon_months else f"{campaign.horizon_days} days"
    )
    state = "shadow" if campaign.shadow else "enabled" if campaign.enabled else "disabled"
    return name, config.cadence(name), campaign.kind, str(campaign.precedence), held_out, horizon, state


def _tell(folder: Path) -> None:
    config = load_config(folder)
    in_order = sorted(config.campaigns, key=lambda name: (config.campaigns[name].precedence, name))
    print(in_columns([_HEAD, *(_row(config, name) for name in in_order)]))
    if config.broken:
        raise ConfigError(" ".join(config.broken.values()))


def main(words: list[str] | None = None) -> int:
    """Run the command; the exit status is 1, after what is wrong on stderr, when a file must be mended."""
    given = sys.argv[1:] if words is None else words
    return ended(lambda: _tell(Path(given[0]) if given else settings.config_folder()))


if __name__ == "__main__":
    sys.exit(main())
