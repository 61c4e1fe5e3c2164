"""factors.yaml: the factor library. Adding a factor is one entry; it is read, checked and tried at load."""

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, ValidationError, field_validator, model_validator

from include.config.expressions import compile_row
from include.config.expressions.grammar import EVENT, MONTHLY, ROW, Expression
from include.config.expressions.grammar import parse as parse_expression
from include.config.expressions.windows import AGE, DAYS, FACTOR_FUNCTIONS, MONTHS_BACK, FactorCompiler
from include.config.readers.reading import Entry, Flag, faults, validated
from include.domain.errors import ConfigError
from include.words import named

# What a factor may read from the snapshot of M; the last three are derived by the features stage.
PROFILE: Mapping[str, pl.DataType] = {
    **dict.fromkeys(("plan_code", "region_code", "branch_code", "channel_code"), pl.String()),
    **dict.fromkeys(("network_type", "device_code", "status"), pl.String()),
    **dict.fromkeys(("is_student", "is_enterprise"), pl.Boolean()),
    **dict.fromkeys(("plan_fee_yuan", "plan_data_mb", "plan_voice_minutes"), pl.Float64()),
    **dict.fromkeys(("balance_yuan", "arrears_yuan"), pl.Float64()),
    **dict.fromkeys(("tenure_months", "days_to_contract_end", "age_years"), pl.Float64()),
}
# The columns the factors table begins with; only tenure_months is a factor as well, under the same meaning.
IDENTITY = (
    "subscriber_id",
    "customer_id",
    "region_code",
    "branch_code",
    "manager_code",
    "plan_code",
    "plan_fee_yuan",
    "tenure_months",
    "cluster",
    "value_yuan",
    "is_active",
    "consents_to_marketing",
)
# What a factor may read of an event; repair_hours and open_hours are derived by the features stage.
EVENTS: Mapping[str, Mapping[str, pl.DataType]] = {
    "service_events": {
        **dict.fromkeys(("kind", "product", "category", "text"), pl.String()),
        **dict.fromkeys(("satisfaction", "duration_seconds"), pl.Float64()),
        **dict.fromkeys(("repair_hours", "open_hours"), pl.Float64()),
    },
    "subscriber_changes": {"kind": pl.String()},
    "market_events": {
        **dict.fromkeys(("kind", "operator_code", "text"), pl.String()),
        "value": pl.Float64(),
    },
}

#: The reason of factors that speak of none.
OTHER_REASON = "other"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,62}$")]
Text = Annotated[str, Field(min_length=1)]


class Label(Entry):
    """A name for people, Chinese and English."""

    zh: Text
    en: Text


class Reason(Label):
    """A human reason to leave; a symptom accompanies leaving but does not explain it.

    evidence: expressions over factors; what they add up to, each at least 0, speaks for this cause.
    shared_by: causes a symptom may come from; what it adds to the risk is theirs, by their evidence.
    """

    symptom: Flag = False
    evidence: tuple[Text, ...] = ()
    shared_by: tuple[Name, ...] = ()

    @cached_property
    def signs(self) -> tuple[Expression, ...]:
        """The checked expressions of the evidence."""
        return tuple(parse_expression(text) for text in self.evidence)

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Reason":
        if self.evidence and self.symptom:
            raise ValueError("a symptom has no evidence of its own; name the causes under shared_by")
        if self.shared_by and not self.symptom:
            raise ValueError("only a symptom can be shared by causes; say symptom: true")
        return self


class Group(Label):
    """A group of factors; `reason` is the human reason they speak of."""

    reason: Name | None = None


class Factor(Entry):
    """One factor: what it is called, where it belongs, how it is computed; `reason` if not its group's."""

    name: Name
    zh: Text
    en: Text
    kind: Literal["risk", "value"] = Field(alias="class")
    group: Name
    unit: Text
    expression: Text
    reason: Name | None = None

    @cached_property
    def parsed(self) -> Expression:
        """The checked expression."""
        return parse_expression(self.expression, FACTOR_FUNCTIONS)


class Transform(Label):
    """A way to look at any metric: words to follow its name, and the expression over `x`."""

    expression: Text
    unit: Text | None = None  # the metric's own


#: What an entry under `metrics` becomes unless it says which of these it wants.
TRANSFORMS: Mapping[str, Transform] = {
    name: Transform(**named(f"transforms.{name}"), expression=expression, unit=unit)
    for name, expression, unit in (
        ("level", "last({x})", None),
        ("mean_3m", "mean({x}, 3)", None),
        ("change_3m", "change({x}, 3)", "ratio"),
        ("difference_1m", "difference({x}, 1)", None),
        ("falls", "falls({x})", "months"),
        ("zeros_6m", "zeros({x}, 6)", "months"),
        ("spread_6m", "spread({x}, 6)", "ratio"),
    )
}


class Metric(Entry):
    """A further usage column as several factors at once: <name>_<transform> for each transform."""

    name: Name
    zh: Text
    en: Text
    kind: Literal["risk", "value"] = Field("risk", alias="class")
    group: Name
    unit: Text
    reason: Name | None = None
    transforms: tuple[str, ...] = ("level", "mean_3m", "change_3m", "difference_1m")

    @field_validator("transforms")
    @classmethod
    def _known_transforms(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := set(names) - TRANSFORMS.keys():
            raise ValueError(f"there is no transform '{min(unknown)}'; there are {', '.join(TRANSFORMS)}")
        return names

    def entries(self) -> list[dict[str, Any]]:
        """The factors it stands for, as entries of factors.yaml."""
        return [self._entry(name, TRANSFORMS[name]) for name in self.transforms]

    def _entry(self, name: str, transform: Transform) -> dict[str, Any]:
        return {
            "name": f"{self.name}_{name}",
            "zh": f"{self.zh}{transform.zh}",
            "en": f"{self.en}, {transform.en}",
            "class": self.kind,
            "group": self.group,
            "unit": transform.unit or self.unit,
            "expression": transform.expression.format(x=self.name),
            "reason": self.reason,
        }


class Drift(Entry):
    """From which population stability index on a factor or score is watched, and counts as shifted."""

    watch: Annotated[float, Field(gt=0)] = 0.1
    warn: Annotated[float, Field(gt=0)] = 0.25

    @model_validator(mode="after")
    def _watched_before_it_warns(self) -> "Drift":
        if self.warn < self.watch:
            raise ValueError(f"warn {self.warn} lies below watch {self.watch}")
        return self


class Factors(Entry):
    """The library: word lists for text search, human reasons, groups, and the factors in file order."""

    words: dict[str, tuple[Text, ...]]
    reasons: dict[str, Reason] = Field(default_factory=dict)
    groups: dict[str, Group]
    factors: tuple[Factor, ...]
    drift: Drift = Drift()

    @property
    def names(self) -> tuple[str, ...]:
        """The factors' names in the order of the file."""
        return tuple(factor.name for factor in self.factors)

    @property
    def causes(self) -> tuple[str, ...]:
        """The reasons that explain leaving, in the order of the file."""
        return tuple(name for name, reason in self.reasons.items() if not reason.symptom)

    @cached_property
    def reason_of(self) -> Mapping[str, str]:
        """Factor name → human reason: its own, else its group's, else "other"."""
        return {
            factor.name: factor.reason or self.groups[factor.group].reason or OTHER_REASON
            for factor in self.factors
        }


def parse(raw: object, file: str) -> Factors:
    """factors.yaml as a library whose every expression computes; ConfigError names file, factor, cause."""
    if isinstance(raw, Mapping):
        raw = _with_metrics(raw, file)
        refuse_unnamed(raw, "factors", "factor", Factor, file)
    library = validated(Factors, raw, file)
    _check_reasons(library, file)
    for factor in library.factors:
        try:
            _try(factor, library)
        except ConfigError as error:
            raise ConfigError(f"{file}, factor '{factor.name}': {error}") from error
    return library


def _with_metrics(raw: Mapping[Any, Any], file: str) -> Mapping[Any, Any]:
    """The file with its metrics written out as factors."""
    if "metrics" not in raw:
        return raw
    refuse_unnamed(raw, "metrics", "metric", Metric, file)
    written = [entry for each in raw["metrics"] for entry in Metric.model_validate(each).entries()]
    rest = {name: value for name, value in raw.items() if name != "metrics"}
    listed = rest.get("factors")
    return {**rest, "factors": [*listed, *written] if isinstance(listed, list) else written}


def _check_reasons(library: Factors, file: str) -> None:
    """Refuse a reason that has no words."""
    given = [(f"group '{name}'", group.reason) for name, group in library.groups.items()]
    given += [(f"factor '{factor.name}'", factor.reason) for factor in library.factors]
    for where, wanted in given:
        if wanted is not None and wanted not in library.reasons:
            known = ", ".join(library.reasons) or "none"
            raise ConfigError(f"{file}, {where}: there is no reason '{wanted}'; there are: {known}.")
    for name, reason in library.reasons.items():
        try:
            _try_reason(reason, library)
        except ConfigError as error:
            raise ConfigError(f"{file}, reason '{name}': {error}") from error


def _try_reason(reason: Reason, library: Factors) -> None:
    """The causes a symptom is shared by exist, and the evidence of a cause can be computed."""
    if wrong := set(reason.shared_by) - set(library.causes):
        raise ConfigError(
            f"'{min(wrong)}' under shared_by is not a cause; causes are {', '.join(library.causes)}."
        )
    for sign in reason.signs:
        if _tried(sign, library).dtypes == [pl.String]:
            raise ConfigError(f"'{sign.text}' gives a text; evidence must be a number, or true or false.")


#: No facts beside the factors.
_NO_FACTS: Mapping[str, pl.DataType] = {}


def _tried(
    expression: Expression, library: Factors, facts: Mapping[str, pl.DataType] = _NO_FACTS
) -> pl.DataFrame:
    """What an expression over factors, and `facts` of these types, gives for nobody."""
    if unknown := expression.needs(ROW) - set(library.names) - facts.keys():
        others = f" and none of {', '.join(facts)}" if facts else ""
        raise ConfigError(f"'{expression.text}' names '{min(unknown)}', which is not a factor{others}.")
    nobody = pl.DataFrame(
        schema={name: facts.get(name, pl.Float64()) for name in sorted(expression.needs(ROW))}
    )
    try:
        return nobody.select(compile_row(expression).alias("value"))
    except pl.exceptions.PolarsError as error:
        cause = str(error).splitlines()[0]
        raise ConfigError(f"'{expression.text}' cannot be computed: {cause}") from error


def check_truth(
    text: str | None, library: Factors, file: str, entry: str, facts: Mapping[str, pl.DataType] = _NO_FACTS
) -> None:
    """Refuse an expression over what is no factor or fact, or that is neither true nor false; None is none."""
    found = _type(text, library, file, entry, facts)
    if found not in (None, pl.Boolean):
        raise ConfigError(f"{file}, entry '{entry}': '{text}' gives no true or false; it must compare.")


def check_number(
    text: str | None, library: Factors, file: str, entry: str, facts: Mapping[str, pl.DataType] = _NO_FACTS
) -> None:
    """Refuse an expression over what is no factor or fact, or that gives no number; None is none."""
    found = _type(text, library, file, entry, facts)
    if found is not None and not found.is_numeric():
        raise ConfigError(f"{file}, entry '{entry}': '{text}' gives no number.")


def _type(
    text: str | None, library: Factors, file: str, entry: str, facts: Mapping[str, pl.DataType]
) -> pl.DataType | None:
    try:
        return None if text is None else _tried(parse_expression(text), library, facts).dtypes[0]
    except ConfigError as error:
        raise ConfigError(f"{file}, entry '{entry}': {error}") from error


def check_metrics(library: Factors, metrics: Collection[str], file: str = "factors.yaml") -> None:
    """Refuse a factor over a usage column that neither the contract nor sources.yaml declares."""
    for factor in library.factors:
        if unknown := factor.parsed.needs(MONTHLY) - set(metrics):
            raise ConfigError(
                f"{file}, factor '{factor.name}': usage_months has no column '{min(unknown)}'. "
                "Mend the name, or declare the column in sources.yaml."
            )


def refuse_unnamed(raw: Mapping[Any, Any], entries: str, what: str, model: type[Entry], file: str) -> None:
    """Check the entries of a list one by one, so that an error can name the entry instead of its number."""
    listed = raw.get(entries)
    if not isinstance(listed, list):
        raise ConfigError(f"{file} needs a list '{entries}' of entries that begin with '- name: …'.")
    for number, entry in enumerate(listed, start=1):
        name = entry.get("name", f"no. {number}") if isinstance(entry, Mapping) else f"no. {number}"
        try:
            model.model_validate(entry)
        except ValidationError as error:
            causes = [f"{entry}: {cause}" for entry, cause in faults(error, "entry")]
            raise ConfigError(f"{file}, {what} '{name}': {'; '.join(causes)}") from error
    twice = [name for name, times in Counter(entry["name"] for entry in listed).items() if times > 1]
    if twice:
        raise ConfigError(f"{file}, {what} '{twice[0]}': the name stands twice. Rename one of them.")


def _try(factor: Factor, library: Factors) -> None:
    """Compute the factor over no rows: finds unknown names and texts taken for numbers."""
    if factor.group not in library.groups:
        raise ConfigError(f"group '{factor.group}' is not among {', '.join(library.groups)}.")
    if factor.name in IDENTITY and not factor.name == factor.expression == "tenure_months":
        raise ConfigError("the name is a column of the factors table already. Choose another.")
    compiler = FactorCompiler(library.words)
    row = {name: _known(PROFILE, name, "subscribers") for name in factor.parsed.needs(ROW)}
    for name in factor.parsed.needs(EVENT):
        feed, _, column = name.partition(".")
        _known(EVENTS.get(feed, {}), column, feed)
    wide = {
        f"{name}@{back}": pl.Float64() for name in factor.parsed.needs(MONTHLY) for back in range(MONTHS_BACK)
    }
    frame = pl.DataFrame(schema={"subscriber_id": pl.String(), **row, **wide})
    try:
        value = compiler.compile(factor.parsed)
        for feed, aggregates in compiler.aggregates.items():
            frame = frame.join(_no_events(feed, aggregates), on="subscriber_id", how="left")
        frame.with_columns(metric.alias(column) for column, metric in compiler.peers.items()).select(value)
    except pl.exceptions.PolarsError as error:
        raise ConfigError(
            f"'{factor.expression}' cannot be computed: {str(error).splitlines()[0]}"
        ) from error


def _known(columns: Mapping[str, pl.DataType], name: str, feed: str) -> pl.DataType:
    if name not in columns:
        raise ConfigError(
            f"{feed} has no column '{name}' that a factor may use; it has {', '.join(columns)}."
        )
    return columns[name]


def _no_events(feed: str, aggregates: list[pl.Expr]) -> pl.DataFrame:
    if feed not in EVENTS:
        raise ConfigError(f"'{feed}' is not a feed of events; there are {', '.join(EVENTS)}.")
    columns = {"subscriber_id": pl.String(), **EVENTS[feed], AGE: pl.Int32(), DAYS: pl.Int64()}
    return pl.DataFrame(schema=columns).group_by("subscriber_id").agg(aggregates)
