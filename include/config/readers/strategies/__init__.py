"""strategies.yaml: phases, segments, exclusions, reasons, authority, offers, strategies and the outreach list."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, model_validator

from include.config.expressions import Expression, compile_row
from include.config.expressions import parse as parse_expression
from include.config.expressions.grammar import ROW
from include.config.readers.factors import PROFILE, Factors, Label, Text
from include.config.readers.operations import Count, Share, Yuan
from include.config.readers.reading import Entry, validated
from include.config.readers.strategies.reach import Outreach
from include.config.readers.strategies.scripts import RefusedScript
from include.domain.contact.offer import Book, Offer
from include.domain.contact.outcome import NEED_NAMES
from include.domain.errors import ConfigError

Channel = Literal["call", "sms", "app", "walk_in", "home_visit"]
Kind = Literal["tariff", "benefit", "service"]
INTERVENTION = "intervention"

#: What expressions here may read besides factors: the profile of the month, identity, and what is derived for them.
FACTS: Mapping[str, pl.DataType] = {
    **PROFILE,
    "cluster": pl.String(),
    "value_yuan": pl.Float64(),
    **dict.fromkeys(("is_active", "consents_to_marketing", "has_applied_to_port_out"), pl.Boolean()),
    "numbers_on_account": pl.Float64(),
}


class Condition(Label):
    """Something that is true of a subscriber, false, or not known."""

    expression: Text

    @cached_property
    def parsed(self) -> Expression:
        """The checked expression."""
        return parse_expression(self.expression)


class Segment(Condition):
    """Who somebody is, and the channels that do not reach such people."""

    not_by: tuple[Channel, ...] = ()


class Exclusion(Condition):
    """What rules offers out: those that name it, and every offer of the kinds it bars."""

    bars: tuple[Kind, ...] = ()


class Authority(Entry):
    """What one plan may cost, in yuan, when an agent or a lead records it."""

    agent: Yuan
    lead: Yuan

    @model_validator(mode="after")
    def _a_lead_may_more(self) -> "Authority":
        if self.lead < self.agent:
            raise ValueError(f"a lead's {self.lead} yuan must not be below an agent's {self.agent}")
        return self


class Hint(Label):
    """A sentence for the talk: it may be said aloud, or is for the agent alone."""

    use: Literal["may_be_said", "internal"]


class OfferEntry(Label):
    """One offer: what it is, costs and needs, how it can be made, and how long it runs once it is given.

    `valid_days` is how long the subscriber may think it over.
    """

    kind: Kind
    cost_yuan: Yuan
    valid_days: Count
    runs_days: Count = 90
    eligible: Text | None = None
    excluded_by: tuple[str, ...] = ()
    channels: Annotated[tuple[Channel, ...], Field(min_length=1)]
    hints: tuple[Hint, ...] = ()

    @cached_property
    def parsed(self) -> Expression | None:
        """The checked expression of eligibility."""
        return None if self.eligible is None else parse_expression(self.eligible)


class Strategy(Label):
    """One answer to one reason to leave: in which phases, for which segments (none: everybody), which offers."""

    reason: str
    phases: Annotated[tuple[str, ...], Field(min_length=1)]
    segments: tuple[str, ...] = ()
    offers: Annotated[tuple[str, ...], Field(min_length=1)]


class Budgets(Entry):
    """When a pot warns."""

    warn_share: Share


class Strategies(Entry):
    """Everything that may be offered, by name."""

    phases: dict[str, Label]
    #: The phase of each campaign whose own file names none: a folder of before says so here
    campaigns: dict[str, str] = Field(default_factory=dict)
    segments: dict[str, Segment]
    exclusions: dict[str, Exclusion]
    reasons: dict[str, Label]
    authority: Authority
    budgets: Budgets
    outreach: Outreach
    refused_scripts: dict[str, RefusedScript] | None = None
    offers: dict[str, OfferEntry]
    strategies: dict[str, Strategy]

    def phase_of(self, campaign: str) -> str:
        """The phase a campaign works in."""
        return self.campaigns.get(campaign, INTERVENTION)

    @cached_property
    def book(self) -> Book:
        """The offers of every strategy, in the order of the file, as the rules of the domain read them."""
        pairs = [(name, each) for name, strategy in self.strategies.items() for each in strategy.offers]
        offers = tuple(self._offer(order, name, each) for order, (name, each) in enumerate(pairs))
        limits = {"agent": self.authority.agent, "lead": self.authority.lead}
        closed = {name: frozenset[str](segment.not_by) for name, segment in self.segments.items()}
        return Book(offers, limits, closed)

    def _offer(self, order: int, strategy_name: str, name: str) -> Offer:
        strategy, offer = self.strategies[strategy_name], self.offers[name]
        barred = [each for each, exclusion in self.exclusions.items() if offer.kind in exclusion.bars]
        return Offer(
            name=name,
            strategy=strategy_name,
            reason=strategy.reason,
            order=order,
            phases=frozenset(strategy.phases),
            segments=frozenset(strategy.segments),
            channels=frozenset(offer.channels),
            cost_yuan=offer.cost_yuan,
            condition=f"offer {name}" if offer.eligible else None,
            exclusions=tuple(f"exclusion {each}" for each in dict.fromkeys((*barred, *offer.excluded_by))),
        )

    def conditions(self) -> Iterator[tuple[str, Expression]]:
        """Every expression of the file under the name its truth goes by."""
        yield from ((f"segment {name}", each.parsed) for name, each in self.segments.items())
        yield from ((f"exclusion {name}", each.parsed) for name, each in self.exclusions.items())
        yield from ((f"offer {name}", each.parsed) for name, each in self.offers.items() if each.parsed)

    @cached_property
    def names_read(self) -> frozenset[str]:
        """The facts and factors that the expressions read."""
        return frozenset[str]().union(*(parsed.needs(ROW) for _, parsed in self.conditions()))


def type_of(name: str) -> pl.DataType:
    """The type of a fact; factors are numbers."""
    return FACTS.get(name, pl.Float64())


def parse(raw: object, file: str) -> Strategies:
    """strategies.yaml; every name it refers to is there. ConfigError names file, entry and cause."""
    strategies = validated(Strategies, raw, file)
    for where, known, named in _references(strategies):
        for name in named:
            if name not in known:
                raise ConfigError(f"{file}, {where}: there is no '{name}'; there are {', '.join(known)}.")
    for name, cause in _faults(strategies):
        raise ConfigError(f"{file}, {name}: {cause}")
    return strategies


def _references(strategies: Strategies) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    phases, segments = list(strategies.phases), list(strategies.segments)
    yield "campaigns", phases, list(strategies.campaigns.values())
    yield "outreach.phases", phases, strategies.outreach.phases
    for name, offer in strategies.offers.items():
        yield f"offer '{name}', excluded_by", list(strategies.exclusions), offer.excluded_by
    for name, strategy in strategies.strategies.items():
        where = f"strategy '{name}'"
        yield f"{where}, reason", list(strategies.reasons), (strategy.reason,)
        yield f"{where}, phases", phases, strategy.phases
        yield f"{where}, segments", segments, strategy.segments
        yield f"{where}, offers", list(strategies.offers), strategy.offers


def _faults(strategies: Strategies) -> Iterator[tuple[str, str]]:
    """Compute every expression over no rows: it must yield true or false."""
    used = {name for strategy in strategies.strategies.values() for name in strategy.offers}
    for name in strategies.offers.keys() - used:
        yield f"offer '{name}'", "no strategy makes it. Name it in one, or take it out."
    for name, read in _expressions(strategies):
        try:
            parsed = read()
            schema = {each: type_of(each) for each in parsed.needs(ROW)}
            result = pl.DataFrame(schema=schema).select(compile_row(parsed).alias("is_so"))
        except ConfigError as error:
            yield name, str(error)
        except pl.exceptions.PolarsError as error:
            yield name, f"it cannot be computed: {str(error).splitlines()[0]}"
        else:
            if result.schema["is_so"] != pl.Boolean:
                yield name, "it gives a number; it must compare, for example 'age_years < 26'."


def _expressions(strategies: Strategies) -> Iterator[tuple[str, Any]]:
    for name, segment in strategies.segments.items():
        yield f"segment '{name}'", lambda each=segment: each.parsed
    for name, exclusion in strategies.exclusions.items():
        yield f"exclusion '{name}'", lambda each=exclusion: each.parsed
    for name, offer in strategies.offers.items():
        if offer.eligible is not None:
            yield f"offer '{name}'", lambda each=offer: each.parsed


def check_names(strategies: Strategies, factors: Factors, file: str = "strategies.yaml") -> None:
    """Refuse an expression over a fact nobody has, and a reason that neither evidence nor a survey can tell."""
    for name, parsed in strategies.conditions():
        if unknown := parsed.needs(ROW) - FACTS.keys() - set(factors.names):
            raise ConfigError(
                f"{file}, {name}: there is no fact or factor '{min(unknown)}'. "
                f"Use a factor of factors.yaml or one of {', '.join(FACTS)}."
            )
    known = dict.fromkeys((*factors.causes, *NEED_NAMES))
    for name in strategies.reasons:
        if name not in known:
            raise ConfigError(
                f"{file}, reason '{name}': it is no cause of factors.yaml and no need of the survey. "
                f"Use one of {', '.join(known)}."
            )
