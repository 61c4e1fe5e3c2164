"""The factor catalogue: docs/factor-catalogue.md, made from factors.yaml and a month's values in a lake.

python -m include.analysis.catalogue --lake DIR --month YYYY-MM > docs/factor-catalogue.md
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from include.config.readers.factors import Factor, Factors, parse
from include.config.readers.plain import read_yaml
from include.config.readers.reading import read_text

_HEAD = """# Factor catalogue

Made by `python -m include.analysis.catalogue` from `include/config/factors.yaml`; do not edit it. How to add a
factor stands at the head of that file. Class `risk` warns of leaving, class `value` tells of growth.
"""
_DISTRIBUTION = """
## A month's values

Coverage is the share of subscribers for whom the factor is known. This is {month} of a simulated province,
made again (with folders and a database of your own) by

```
python -m include.simulator --subscribers 20000 --months 8 --seed 2026 --last-month 2026-09 --out OUT
python -m include.loop --landing OUT/landing --lake LAKE --db URL --month 2026-09 --until features
python -m include.analysis.catalogue --lake LAKE --month 2026-09
```

| factor | coverage | 5 % | median | 95 % | zero |
|---|---|---|---|---|---|"""
_PERCENTILES = (0.05, 0.5, 0.95)

Values = Mapping[str, tuple[float, ...]]


def definitions(library: Factors) -> str:
    """The first part of the page: reasons, groups and every factor, from the library alone."""
    return "\n".join(_lines(library)) + "\n"


def distribution(values: Values, month: str) -> str:
    """The second part: coverage, percentiles (5, 50, 95 %) and share of zeros of every factor in a month."""
    rows = [f"| {name} | {' | '.join(_cells(known))} |" for name, known in values.items()]
    return "\n".join([_DISTRIBUTION.format(month=month), *rows]) + "\n"


def values_of(lake: str, month: str) -> Values:
    """Coverage (share not null), percentiles and share of zeros of every factor of a month in the lake."""
    from include.lake import Lake

    table = Lake(lake)
    factors = table.manifest("factors", month).facts["factors"]
    return {
        name: _values(table.scan("factors", month).select(pl.col(name).cast(pl.Float64))) for name in factors
    }


def _values(column: pl.LazyFrame) -> tuple[float, ...]:
    values = column.collect().to_series()
    known = values.filter(values.is_finite())
    if not len(known):
        return (0.0,)
    spread = [known.quantile(share, "nearest") for share in _PERCENTILES]
    zeros = float((known == 0).sum()) / len(known)
    return (len(known) / len(values), *(each for each in spread if each is not None), zeros)


def _lines(library: Factors) -> Iterator[str]:
    yield _HEAD
    yield f"{len(library.factors)} factors in {len(library.groups)} groups.\n"
    yield from _reasons(library)
    for name, group in library.groups.items():
        yield f"\n## {group.en} · {group.zh}\n"
        yield "| factor | Chinese | English | class | unit | reason | expression |"
        yield "|---|---|---|---|---|---|---|"
        for factor in library.factors:
            if factor.group == name:
                yield _row(factor, library.reason_of[factor.name])


def _reasons(library: Factors) -> Iterator[str]:
    yield "## Reasons\n"
    yield "A symptom comes with leaving but does not explain it. What it adds goes to the causes that share it, by"
    yield "the evidence for each: the sum of the expressions, each from 0 up, and a point per rule that names it.\n"
    yield "| reason | Chinese | English | factors | evidence, or causes that share it |"
    yield "|---|---|---|---|---|"
    for name, reason in library.reasons.items():
        count = list(library.reason_of.values()).count(name)
        kind = " (symptom)" if reason.symptom else ""
        signs = " + ".join(f"`{text}`" for text in reason.evidence) or ", ".join(reason.shared_by)
        yield f"| {name} | {reason.zh} | {reason.en}{kind} | {count} | {signs} |"


def _row(factor: Factor, reason: str) -> str:
    expression = f"`{factor.expression}`".replace("|", "\\|")
    cells = [factor.name, factor.zh, factor.en, factor.kind, factor.unit, reason, expression]
    return f"| {' | '.join(cells)} |"


def _cells(value: tuple[float, ...]) -> list[str]:
    if len(value) == 1:
        return [f"{value[0]:.0%}", "", "", "", ""]
    coverage, *spread, zeros = value
    return [f"{coverage:.0%}", *(f"{each:.4g}" for each in spread), f"{zeros:.0%}"]


def main(words: list[str] | None = None) -> int:
    """Print the catalogue of the configuration folder."""
    from include.settings import config_folder

    parser = argparse.ArgumentParser(prog="python -m include.analysis.catalogue")
    parser.add_argument("--lake", help="tell the distribution in this lake as well")
    parser.add_argument("--month", help="YYYY-MM, with --lake")
    asked = parser.parse_args(words)
    if bool(asked.lake) != bool(asked.month):
        parser.error("give --lake and --month together")
    path = Path(config_folder()) / "factors.yaml"
    library = parse(read_yaml(read_text(path), path.name), path.name)
    sys.stdout.write(definitions(library))
    if asked.lake:
        sys.stdout.write(distribution(values_of(asked.lake, asked.month), asked.month))
    return 0


if __name__ == "__main__":
    sys.exit(main())
