"""The configuration analysts edit: read and validated once, at the start of a cycle, whose text then serves."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

from include.config.readers import (
    campaign,
    contact,
    factors,
    measures,
    operations,
    retention,
    rules,
    sla,
    sources,
    strategies,
    teams,
)
from include.config.readers.campaign import CLOCKS, Campaign, admission, later
from include.config.readers.campaign.work import Worded
from include.config.readers.measures import Measure
from include.config.readers.plain import read_yaml
from include.config.readers.reading import read_text
from include.config.readers.strategies import scripts
from include.domain.campaign_files import campaign_files, why_no_name
from include.domain.contact.outcome import Outcome
from include.domain.errors import ConfigError
from include.domain.periods.period import CADENCES, MONTHLY
from include.words.outcomes import OUTCOMES

_FILES = ("sources", "factors", "rules", "grading", "sla", "teams", "strategies")
# A folder, or a cycle, made before these files existed is served by the project's own.
_LATER = ("retention", "measures", "contact")
_CAMPAIGNS = "campaigns/"


@dataclass(frozen=True)
class Config:
    """Every file of the configuration folder, validated, with its text and one hash over all.

    `campaigns` are the sound ones by name; `broken` says of each other why it cannot run. A wrong campaign file
    stops that campaign, and no other.
    """

    sources: sources.Sources
    factors: factors.Factors
    rules: rules.Rules
    grading: operations.Grading
    sla: sla.Sla
    teams: teams.Teams
    strategies: strategies.Strategies
    measures: dict[str, Measure]
    contact: contact.Contact
    campaigns: dict[str, Campaign]
    broken: dict[str, str]
    retention: retention.Retention
    texts: dict[str, str]
    hash: str

    def campaign(self, name: str) -> Campaign:
        """The campaign of that name; ConfigError with what is wrong in its file, or listing the known ones."""
        if name in self.broken:
            raise ConfigError("{why}", code="campaign_broken", why=self.broken[name])
        if name not in self.campaigns:
            raise ConfigError(
                "No campaign '{typed}' in campaigns/. Known: {campaigns}.",
                code="campaign_not_configured", typed=name, campaigns=sorted(self.campaigns),
            )  # fmt: skip
        return self.campaigns[name]

    def enabled(self, cadence: str | None = None) -> list[str]:
        """The sound campaigns that are to run, of one cadence or of any; those the others yield to come first."""
        named = [
            (each.precedence, name)
            for name, each in self.campaigns.items()
            if each.enabled and cadence in (None, self.cadence(name))
        ]
        return [name for _, name in sorted(named)]

    def why_idle(self, name: str) -> str:
        """Why no run of the campaign does anything; empty when it runs."""
        if self.campaign(name).enabled:
            return ""
        return f"The campaign {name} is not enabled, so nothing is done. Set `enabled: true` in its file to run it."

    def measure(self, name: str) -> Measure | None:
        """The draw of a campaign; None where it holds nobody out."""
        draw = self.campaign(name).measure_name
        return None if draw is None else self.measures[draw]

    def cadence(self, name: str) -> str:
        """monthly or daily: the folder a campaign's file lies in."""
        self.campaign(name)
        return _cadence(next((file for file in self.texts if _name(file) == name), ""))

    def phase(self, name: str) -> str:
        """The phase a campaign works in, whose strategies serve it."""
        return self.campaign(name).phase or self.strategies.phase_of(name)

    def clocks_named(self, campaign: str | None) -> Mapping[str, Worded]:
        """What the clocks of a campaign's tickets are called; without a sound file those every campaign may have."""
        own = self.campaigns.get(campaign or "")
        return CLOCKS if own is None else {**CLOCKS, **own.clocks}

    def catalogue(self, name: str) -> Mapping[str, Outcome]:
        """The endings of a campaign; the engine's own where its file is wrong or gone."""
        return self.campaigns[name].catalogue if name in self.campaigns else OUTCOMES

    def willing(self, names: Iterable[str]) -> list[str]:
        """`campaign/ending` of every ending by which a customer is won, as statements over campaigns take them."""
        endings = ((name, *each) for name in names for each in self.catalogue(name).items())
        return [f"{name}/{ending}" for name, ending, words in endings if words.is_willing]

    def of(self, name: str) -> "Config":
        """What a cycle of the campaign goes by and is known by: the common files and its own, no other campaign's."""
        own = {file: text for file, text in self.texts.items() if _name(file) in (None, name)}
        return replace(self, campaigns={name: self.campaign(name)}, broken={}, texts=own, hash=_hash(own))


def load_config(folder: Path) -> Config:
    """Read and validate the configuration `folder`; ConfigError names file, entry and cause.

    What is wrong in a campaign's file alone is kept in `Config.broken`.
    """
    texts = {f"{name}.yaml": read_text(folder / f"{name}.yaml") for name in _FILES}
    texts |= {
        f"{name}.yaml": read_text(path) for name in _LATER if (path := folder / f"{name}.yaml").exists()
    }
    texts |= {path.relative_to(folder).as_posix(): read_text(path) for path in campaign_files(folder)}
    config = config_from(texts)
    sla.check_campaigns(config.sla, {*config.campaigns, *config.broken})
    scripts.check_scripts(config.strategies)
    return admission.check_outcomes(config)


def config_from(texts: Mapping[str, str]) -> Config:
    """Validate the files of a configuration (name in its folder → text), as `Config.texts` keeps them."""
    return _validated(tuple(sorted(texts.items())))


# every stage of a process asks for the configuration of its cycle: the same texts are read once
@lru_cache(maxsize=16)
def _validated(files: tuple[tuple[str, str], ...]) -> Config:
    texts = dict(files)
    common = {file: read_yaml(text, file) for file, text in texts.items() if _name(file) is None}
    own = Path(__file__).parent
    later = {f"{name}.yaml" for name in _LATER} - set(common)
    common |= {file: read_yaml(read_text(own / file), file) for file in later}

    def of(file: str) -> tuple[object, str]:
        return common[file], file

    known_sources = sources.parse(*of("sources.yaml"))
    known_factors = factors.parse(*of("factors.yaml"))
    known_rules = rules.parse(*of("rules.yaml"))
    factors.check_metrics(known_factors, known_sources.feeds["usage_months"].columns)
    rules.check_factors(known_rules, known_factors)
    known_strategies = strategies.parse(*of("strategies.yaml"))
    strategies.check_names(known_strategies, known_factors)
    known_sla = sla.parse(*of("sla.yaml"))
    known_teams = teams.parse(*of("teams.yaml"))
    draws = measures.parse(*of("measures.yaml"))
    reader = _Reader(
        known_sources, known_factors, known_teams, known_strategies, draws, "measures.yaml" in texts
    )
    for file in (file for file in texts if _name(file) is not None):
        reader.read(file, texts[file])
    sla.check_teams(known_sla, set(known_teams.teams))
    return Config(
        sources=known_sources,
        factors=known_factors,
        rules=known_rules,
        grading=operations.parse_grading(*of("grading.yaml")),
        sla=known_sla,
        teams=known_teams,
        strategies=known_strategies,
        measures=reader.draws,
        contact=_contact(common["contact.yaml"], known_strategies, "contact.yaml" in texts),
        campaigns=reader.sound,
        broken=reader.broken,
        retention=retention.parse(*of("retention.yaml")),
        texts=texts,
        hash=_hash(texts),
    )


@dataclass
class _Reader:
    """Reads campaign files one by one; what is wrong with one is noted and touches no other."""

    sources: sources.Sources
    factors: factors.Factors
    teams: teams.Teams
    strategies: strategies.Strategies
    draws: dict[str, Measure]
    has_measures: bool
    sound: dict[str, Campaign] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)

    def read(self, file: str, text: str) -> None:
        name = str(_name(file))
        try:
            if why := why_no_name(name):
                raise ConfigError(f"{file}: {why}")
            if name in (*self.sound, *self.broken):
                raise ConfigError(
                    f"{file}: there is another file of the campaign '{name}'. Keep one of them."
                )
            self.sound[name] = self._checked(file, self._read(name, file, text))
        except ConfigError as error:
            self.sound.pop(name, None)
            self.broken[name] = str(error)

    def _read(self, name: str, file: str, text: str) -> Campaign:
        raw, hold_out = _without_hold_out(read_yaml(text, file), name)
        if hold_out is not None:
            if self.has_measures:
                raise ConfigError(
                    f"{file}, entry 'hold_out': it is a measure now. Name one of measures.yaml."
                )
            self.draws = {**self.draws, name: measures.parse({name: hold_out}, file)[name]}
        return campaign.parse_campaign(raw, file)

    def _checked(self, file: str, read: Campaign) -> Campaign:
        """What the campaign names exists; ConfigError naming file, entry and the known ones otherwise."""
        named: list[tuple[str, str | None, Mapping[str, object]]] = [
            ("measure", read.measure_name, self.draws),
            ("phase", read.phase, self.strategies.phases),
            ("routing.team", read.routing.team, self.teams.teams),
        ]
        for entry, value, known in named:
            if value is not None and value not in known:
                raise ConfigError(
                    f"{file}, entry '{entry}': there is no '{value}'; known: {', '.join(sorted(known))}."
                )
        if read.written is not None and (_cadence(file) != MONTHLY or read.people == "left"):
            raise ConfigError(
                f"{file}, entry 'admission.write': lists of messages are of monthly campaigns whose people live; "
                "here nobody would be written to. Take the entry out."
            )
        admission.check(read, self.factors, file)
        later.check_later(read.model.label if read.model else None, self.sources, file, "model.label")
        later.check_later(read.success, self.sources, file, "success")
        return read


def _contact(raw: object, known: strategies.Strategies, is_given: bool) -> contact.Contact:
    """contact.yaml; where a folder of before has none, with the quiet hours its outreach had."""
    read, before = contact.parse(raw, "contact.yaml"), known.outreach.quiet_hours
    if before is None:
        return read
    if is_given:
        raise ConfigError(
            "strategies.yaml, entry 'outreach.quiet_hours': one setting holds for calls and messages, that of "
            "contact.yaml. Take the entry out here."
        )
    return read.model_copy(update={"quiet_hours": before})


def campaign_from(text: str, file: str) -> Campaign:
    """A campaign by its own file alone, as a cycle keeps it; what it names elsewhere was checked when it was opened."""
    raw, _ = _without_hold_out(read_yaml(text, file), PurePosixPath(file).stem)
    return campaign.parse_campaign(raw, file)


def _without_hold_out(raw: object, name: str) -> tuple[object, object]:
    """What a campaign's file says, and the draw it brings itself: written before there were measures."""
    if not isinstance(raw, dict) or "hold_out" not in raw:
        return raw, None
    return {**{key: value for key, value in raw.items() if key != "hold_out"}, "measure": name}, raw[
        "hold_out"
    ]


def _name(file: str) -> str | None:
    """The campaign a file is of; None for a common one."""
    return PurePosixPath(file).stem if file.startswith(_CAMPAIGNS) else None


def _cadence(file: str) -> str:
    """The cadence a campaign's file says by its folder; one of before lies in none and is monthly."""
    folder = PurePosixPath(file).parent.name
    return folder if folder in CADENCES else MONTHLY


def _hash(texts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode()).hexdigest()[:16]
