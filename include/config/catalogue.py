"""The factor catalogue: docs/factor-catalogue.md, made from factors.yaml and, with a lake, a month's values.

python -m include.config.catalogue > docs/factor-catalogue.md
python -m include.config.catalogue --lake DIR --month YYYY-MM
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

from include.config.factors import Factor, Factors, parse
from include.config.reading import read_text, read_yaml

_HEAD = """# Factor catalogue

Made by `python -m include.config.catalogue` from `include/config/factors.yaml`; do not edit it. With
`--lake` and `--month` every table also tells how many subscribers have the factor and how it is distributed.
"""
_PERCENTILES = (0.05, 0.5, 0.95)

Values = Mapping[str, tuple[float, ...]]


def catalogue(library: Factors, values: Values | None = None) -> str:
    """The page; `values` are coverage and percentiles (5, 50, 95 %) by factor."""
    return "\n".join(_lines(library, values))


def values_of(lake: str, month: str) -> Values:
    """Coverage (share not null) and percentiles of every factor of a month in the lake."""
    from include.lake import Lake

    table = Lake(lake)
    names = table.manifest("factors", month).facts["factors"]
    found = {}
    for name in names:
        column = table.scan("factors", month).select(pl.col(name).cast(pl.Float64)).collect().to_series()
        known = column.drop_nulls()
        spread = [known.quantile(share, "nearest") for share in _PERCENTILES] if len(known) else []
        found[name] = (len(known) / max(len(column), 1), *(each for each in spread if each is not None))
    return found


def _lines(library: Factors, values: Values | None) -> Iterator[str]:
    yield _HEAD
    yield f"{len(library.factors)} factors in {len(library.groups)} groups.\n"
    yield "## Reasons\n"
    yield "| reason | Chinese | English | factors |"
    yield "|---|---|---|---|"
    for name, reason in library.reasons.items():
        count = list(library.reason_of.values()).count(name)
        kind = " (symptom)" if reason.symptom else ""
        yield f"| {name} | {reason.zh} | {reason.en}{kind} | {count} |"
    for name, group in library.groups.items():
        yield f"\n## {group.en} · {group.zh}\n"
        more = " | coverage | 5 % | median | 95 %" if values is not None else ""
        yield f"| factor | Chinese | English | class | unit | reason | expression{more} |"
        yield "|---|---|---|---|---|---|---" + ("|---|---|---|---" if more else "") + "|"
        for factor in library.factors:
            if factor.group == name:
                yield _row(factor, library.reason_of[factor.name], values)


def _row(factor: Factor, reason: str, values: Values | None) -> str:
    expression = f"`{factor.expression}`".replace("|", "\\|")
    cells = [factor.name, factor.zh, factor.en, factor.kind, factor.unit, reason, expression]
    if values is not None:
        cells += _told(values.get(factor.name, (0.0,)))
    return f"| {' | '.join(cells)} |"


def _told(value: tuple[float, ...]) -> list[str]:
    told = [f"{value[0]:.0%}", *(f"{each:.4g}" for each in value[1:])]
    return told + [""] * (1 + len(_PERCENTILES) - len(told))


def main(words: list[str] | None = None) -> int:
    """Print the catalogue of the configuration folder."""
    from include.settings import config_folder

    parser = argparse.ArgumentParser(prog="python -m include.config.catalogue")
    parser.add_argument("--lake", help="tell the distribution in this lake as well")
    parser.add_argument("--month", help="YYYY-MM, with --lake")
    asked = parser.parse_args(words)
    if bool(asked.lake) != bool(asked.month):
        parser.error("give --lake and --month together")
    path = Path(config_folder()) / "factors.yaml"
    library = parse(read_yaml(read_text(path), path.name), path.name)
    values = values_of(asked.lake, asked.month) if asked.lake else None
    sys.stdout.write(catalogue(library, values) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
