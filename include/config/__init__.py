"""The configuration analysts edit: read and validated once, at the start of a cycle, whose text then serves."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

from include.config import factors, operations, retention, rules, scripts, sla, sources, strategies, teams
from include.config.plain import read_yaml
from include.config.reading import read_text
from include.domain.errors import ConfigError

_FILES = ("sources", "factors", "rules", "grading", "sla", "teams", "strategies")
# A folder, or a cycle, made before this file existed is served by the project's own.
_RETENTION = "retention.yaml"


@dataclass(frozen=True)
class Config:
    """Every file of the configuration folder, validated, with its text and one hash over all."""

    sources: sources.Sources
    factors: factors.Factors
    rules: rules.Rules
    grading: operations.Grading
    sla: sla.Sla
    teams: teams.Teams
    strategies: strategies.Strategies
    campaigns: dict[str, operations.Campaign]
    retention: retention.Retention
    texts: dict[str, str]
    hash: str

    def campaign(self, name: str) -> operations.Campaign:
        """The campaign of that name; ConfigError listing the known ones otherwise."""
        if name not in self.campaigns:
            raise ConfigError(
                "No campaign '{typed}' in campaigns/. Known: {campaigns}.",
                code="campaign_not_configured", typed=name, campaigns=sorted(self.campaigns),
            )  # fmt: skip
        return self.campaigns[name]


def load_config(folder: Path) -> Config:
    """Read and validate the configuration `folder`; ConfigError names file, entry and cause."""
    texts = {f"{name}.yaml": read_text(folder / f"{name}.yaml") for name in _FILES}
    if (folder / _RETENTION).exists():
        texts[_RETENTION] = read_text(folder / _RETENTION)
    campaign_files = sorted((folder / "campaigns").glob("*.yaml"))
    texts |= {f"campaigns/{path.name}": read_text(path) for path in campaign_files}
    config = config_from(texts)
    scripts.check_scripts(config.strategies)
    return config


def config_from(texts: Mapping[str, str]) -> Config:
    """Validate the files of a configuration (name in its folder → text), as `Config.texts` keeps them."""
    return _validated(tuple(sorted(texts.items())))


# every stage of a process asks for the configuration of its cycle: the same texts are read once
@lru_cache(maxsize=4)
def _validated(files: tuple[tuple[str, str], ...]) -> Config:
    texts = dict(files)
    raw = {file: read_yaml(text, file) for file, text in texts.items()}
    if _RETENTION not in raw:
        raw[_RETENTION] = read_yaml(read_text(Path(__file__).with_name(_RETENTION)), _RETENTION)

    def of(file: str) -> tuple[object, str]:
        return raw[file], file

    known_sources = sources.parse(*of("sources.yaml"))
    known_factors = factors.parse(*of("factors.yaml"))
    known_rules = rules.parse(*of("rules.yaml"))
    factors.check_metrics(known_factors, known_sources.feeds["usage_months"].columns)
    rules.check_factors(known_rules, known_factors)
    known_strategies = strategies.parse(*of("strategies.yaml"))
    strategies.check_names(known_strategies, known_factors)
    known_sla = sla.parse(*of("sla.yaml"))
    known_teams = teams.parse(*of("teams.yaml"))
    campaigns = {
        PurePosixPath(file).stem: operations.parse_campaign(*of(file))
        for file in sorted(texts)
        if file.startswith("campaigns/")
    }
    sla.check_names(known_sla, set(campaigns), set(known_teams.teams))
    for name, campaign in campaigns.items():
        factors.check_population(campaign.population, known_factors, f"campaigns/{name}.yaml")
    return Config(
        sources=known_sources,
        factors=known_factors,
        rules=known_rules,
        grading=operations.parse_grading(*of("grading.yaml")),
        sla=known_sla,
        teams=known_teams,
        strategies=known_strategies,
        campaigns=campaigns,
        retention=retention.parse(*of(_RETENTION)),
        texts=texts,
        hash=_hash(texts),
    )


def _hash(texts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()[:16]
