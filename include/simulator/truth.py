"""The truth behind a simulated province, in files the loop never reads."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from include.domain.errors import BadInput, NotReady
from include.simulator.feeds import subscriber_id
from include.simulator.leaving import Opening
from include.simulator.presence import Presence
from include.simulator.province import Province, month_named
from include.simulator.reasons import NO_REASON, REASONS, main_reason, single_cause
from include.simulator.state import State
from include.simulator.treatment import effects

# A small block may hold nobody who left, and then a column tells nothing of its type
_TYPES = {"hazard": pl.Float64, "hazard_untreated": pl.Float64, "left_on": pl.Date}


@dataclass(frozen=True)
class Truth:
    """The folder DIR/truth.

    `month=YYYY-MM/part-NNNN.csv`, one row per subscriber seen in the month: subscriber_id, main_reason (at
    the end of the month: what drives the next one, or none), has_single_cause (no other reason is strong
    enough to matter then), hazard (of leaving within this month on the days after a contact, empty for
    joiners), hazard_untreated, left, left_on, left_untreated.
    effects.json holds the effect of treatment, dirt.csv the dirty rows, province.json whose truth it is.
    """

    folder: Path

    def claim(self, province: Province) -> None:
        """Note whose folder this is; BadInput when it holds another province."""
        mine = {
            "subscribers": province.subscribers,
            "seed": province.seed,
            "first_month": month_named(province.first),
        }
        note = self.folder / "province.json"
        if note.exists() and json.loads(note.read_text(encoding="utf-8")) != mine:
            raise BadInput(
                f"{self.folder.parent} holds another province ({note.read_text(encoding='utf-8').strip()}). "
                "Give the same subscribers, seed and first month, or another folder."
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        note.write_text(json.dumps(mine) + "\n", encoding="utf-8")
        _write_json(self.folder / "effects.json", effects())

    def write_month(self, month: int, block: int, frame: pl.DataFrame) -> None:
        """Write one block's part of a month."""
        path = self.folder / f"month={month_named(month)}" / f"part-{block:04d}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        frame.write_csv(path, float_precision=6)

    def write_dirt(self, counts: pl.DataFrame, from_month: str) -> None:
        """Write dirt.csv; the counts of months before `from_month` stay as they were."""
        path = self.folder / "dirt.csv"
        if path.exists():
            old = pl.read_csv(path, schema_overrides=counts.schema)
            counts = pl.concat([old.filter(pl.col("period") < from_month), counts])
        counts.sort("feed", "period", "defect").write_csv(path)


def truth_frame(state: State, opening: Opening, seen: Presence, offset: int) -> pl.DataFrame:
    """The truth of one block and month, after the month was closed (see Truth for the columns)."""
    old = len(opening.hazard)
    known = seen.row < old
    at = np.minimum(seen.row, old - 1)
    reason = main_reason(state.pressure[seen.row])
    frame = pl.DataFrame(
        {
            "row": seen.row,
            "main_reason": pl.Series([*REASONS, "none"]).gather(np.where(reason == NO_REASON, 6, reason)),
            "has_single_cause": single_cause(state.pressure[seen.row]),
            "known": known,
            "hazard": opening.hazard[at],
            "hazard_untreated": opening.hazard_untreated[at],
            "left": ~seen.stays,
            "left_on": seen.gone_on.astype(np.int32),
            "left_untreated": known & opening.left_untreated[at],
        }
    )
    return frame.select(
        subscriber_id(offset),
        "main_reason",
        "has_single_cause",
        pl.when("known").then("hazard").alias("hazard"),
        pl.when("known").then("hazard_untreated").alias("hazard_untreated"),
        "left",
        pl.when("left").then(pl.col("left_on").cast(pl.Date)).alias("left_on"),
        "left_untreated",
    )


def read_truth(out: Path, month: str) -> pl.DataFrame:
    """The truth of a month below `out` (the simulator's --out), for simulated staff and for tests.

    Raises NotReady when that month was not simulated.
    """
    folder = out / "truth" / f"month={month}"
    if not folder.is_dir():
        raise NotReady(f"No truth for {month} in {out}. Simulate that month first.")
    parts = sorted(folder.glob("part-*.csv"))
    return pl.concat([pl.read_csv(path, schema_overrides=_TYPES) for path in parts])


def main_reasons(out: Path, month: str) -> dict[str, str]:
    """subscriber_id → main reason at the end of `month` ("none" without one)."""
    frame = read_truth(out, month)
    return dict(zip(frame["subscriber_id"].to_list(), frame["main_reason"].to_list(), strict=True))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
