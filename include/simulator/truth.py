"""The truth behind a simulated province, in files the loop never reads."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from include.domain.errors import BadInput, NotReady
from include.simulator.draws import Draws
from include.simulator.population.contracts import added_chance, agrees, chance_alone, is_ending
from include.simulator.population.leaving import Opening
from include.simulator.population.people import People
from include.simulator.population.presence import Presence
from include.simulator.population.reasons import NO_REASON, REASONS, main_reason, single_cause
from include.simulator.population.state import State
from include.simulator.population.treatment import effects
from include.simulator.province import Province, month_named

# A small block may hold nobody who left, and then a column tells nothing of its type
_TYPES = {
    "hazard": pl.Float64,
    "hazard_untreated": pl.Float64,
    "left_on": pl.Date,
    "renews_alone": pl.Float64,
    "renews_called": pl.Float64,
    "agrees_when_called": pl.Boolean,
}


@dataclass(frozen=True)
class Truth:
    """The folder DIR/truth.

    `month=YYYY-MM/part-NNNN.csv`, one row per subscriber seen in the month: subscriber_id, main_reason (at
    the end of the month: what drives the next one, or none), has_single_cause (no other reason is strong
    enough to matter then), hazard (of leaving within this month on the days after a contact, empty for
    joiners), hazard_untreated, left, left_on, left_untreated. Of who stays with a contract that ends within 90
    days of the month's end: renews_alone and renews_called (chance that it is renewed by the end of the third
    month after by a subscriber who stays: called by nobody, or reached in the month after by the campaign
    contract_renewal alone), agrees_when_called (the draw behind that call); empty for the others.
    effects.json holds the effects of contacts, dirt.csv the dirty rows, province.json whose truth it is.
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


def truth_frame(draws: Draws, people: People, state: State, opening: Opening, seen: Presence) -> pl.DataFrame:
    """The truth of one block and month, after the month was closed (see Truth for the columns).

    With `row`, the local number, in the place of subscriber_id.
    """
    leaving = _leaving(state, opening, seen)
    return pl.concat([leaving, _renewing(draws, people, state, seen)], how="horizontal")


def _leaving(state: State, opening: Opening, seen: Presence) -> pl.DataFrame:
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
        "row",
        "main_reason",
        "has_single_cause",
        pl.when("known").then("hazard").alias("hazard"),
        pl.when("known").then("hazard_untreated").alias("hazard_untreated"),
        "left",
        pl.when("left").then(pl.col("left_on").cast(pl.Date)).alias("left_on"),
        "left_untreated",
    )


def _renewing(draws: Draws, people: People, state: State, seen: Presence) -> pl.DataFrame:
    """What becomes of ending contracts, uncalled and called; null where there is none, or its owner is gone."""
    row, month = seen.row, seen.month
    pressure, contract_end = state.pressure[row], state.contract_end[row]
    alone = chance_alone(draws, pressure, contract_end, row, month)
    added = added_chance(people, pressure, state.plan[row], row, month)
    frame = pl.DataFrame(
        {
            "renews_alone": alone,
            "renews_called": 1 - (1 - alone) * (1 - added),
            "agrees_when_called": agrees(draws, added, row, month),
        }
    )
    ending = pl.Series(is_ending(contract_end, month) & seen.stays)
    return frame.select(pl.when(ending).then(pl.all()))


def read_truth(out: Path, month: str) -> pl.DataFrame:
    """The truth of a month below `out` (the simulator's --out), for tests. NotReady as read_month."""
    return read_month(out / "truth", month)


def read_month(truth: Path, month: str) -> pl.DataFrame:
    """The truth of a month in the folder `truth`, for simulated staff. NotReady when it was not simulated."""
    folder = truth / f"month={month}"
    if not folder.is_dir():
        raise NotReady(f"No truth for {month} in {truth.parent}. Simulate that month first.")
    parts = sorted(folder.glob("part-*.csv"))
    return pl.concat([pl.read_csv(path, schema_overrides=_TYPES) for path in parts])


def main_reasons(out: Path, month: str) -> dict[str, str]:
    """subscriber_id → main reason at the end of `month` ("none" without one)."""
    frame = read_truth(out, month)
    return dict(zip(frame["subscriber_id"].to_list(), frame["main_reason"].to_list(), strict=True))


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
