"""From frozen evidence to what offers are judged by: facts, their truths, and the reasons to leave they point to."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from include.config.expressions import compile_row
from include.config.readers.strategies import Strategies, type_of
from include.domain.contact.offer import Facts


def facts_in(evidence: Mapping[str, Any]) -> dict[str, float | str | bool | None]:
    """The facts frozen in evidence by name: factors, identity, profile."""
    return {**evidence.get("factors", {}), **evidence.get("subscriber", {}), **evidence.get("profile", {})}


def reasons_in(evidence: Mapping[str, Any], known: Strategies) -> list[str]:
    """The causes evidence tells under `human_reasons`, in their order, as far as strategies answer them.

    A cause that neither raises the risk nor has a sign or rule hit for it is none; a symptom never is.
    """
    return [
        each["reason"]
        for each in evidence.get("human_reasons", [])
        if not each["is_symptom"]
        and (each["contribution"] > 0 or each["evidence"] > 0)
        and each["reason"] in known.reasons
    ]


def truths(known: Strategies, rows: pl.DataFrame) -> list[dict[str, bool | None]]:
    """Per row of facts the truth of every condition; a column that is not there is not known."""
    absent = {name: pl.lit(None, type_of(name)) for name in known.names_read - set(rows.columns)}
    # a condition over absent columns alone would be one value for all rows
    height = pl.Series("row", range(rows.height), pl.UInt32)
    made = rows.with_columns(height).with_columns(
        compile_row(parsed, absent).cast(pl.Boolean).alias(name) for name, parsed in known.conditions()
    )
    return made.select(name for name, _ in known.conditions()).to_dicts()


def truths_of(known: Strategies, facts: Mapping[str, Any]) -> dict[str, bool | None]:
    """The truths of one subscriber's facts, as they were frozen."""
    columns = {name: [facts.get(name)] for name in known.names_read}
    schema = {name: type_of(name) for name in columns}
    return truths(known, pl.DataFrame(columns, schema=schema, strict=False))[0]


def judged_by(
    known: Strategies,
    found: Mapping[str, bool | None],
    phases: Sequence[str],
    running: Sequence[str] = (),
    channels: Sequence[str] | None = None,
) -> Facts:
    """The facts the domain judges offers by; `channels` None means that any will do."""
    segments = frozenset(name for name in known.segments if found.get(f"segment {name}"))
    open_to = None if channels is None else frozenset(channels)
    return Facts(frozenset(phases), found, segments, frozenset(running), open_to)
