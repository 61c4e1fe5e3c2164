"""Models in the lake: XGBoost's own JSON, a calibration table and a card per version, checked by hash."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from include.domain.errors import BadInput, NotReady
from include.lake import Lake
from include.models.calibration import Calibration, Floats

Matrix = NDArray[np.float32]

ROWS_PER_THREAD = 50_000

_FILES = ("model.json", "calibration.json", "card.json")


@dataclass(frozen=True)
class Model:
    """A loaded version: `factors` name the columns of its matrix, in order."""

    version: str
    factors: tuple[str, ...]
    booster: Any
    calibration: Calibration
    card: dict[str, Any]
    nthread: int | None = None

    def matrix(self, people: pl.DataFrame) -> Matrix:
        """The factors of `people` as float32 (rows × factors), what training never missed filled in.

        Trees have learned no way for what was always known, and for a whole feed that fails to come they would
        take the one of the few who were unknown then: such a factor counts as the median of training.
        """
        values = matrix(people, self.factors)
        for at, name in enumerate(self.factors):
            known = self.card.get("known", {}).get(name)
            if known and (name not in people.columns or not known["missing"]):
                column = values[:, at]
                column[np.isnan(column)] = known["median"]
        return values

    def margins(self, matrix: Matrix) -> Floats:
        """Log-odds before calibration, one per row of `matrix` (rows × factors)."""
        return margins(self.booster, matrix, self.nthread)

    def probabilities(self, matrix: Matrix) -> Floats:
        """Calibrated probability of churn, one per row of `matrix`."""
        return self.calibration.probabilities(self.margins(matrix))

    def contributions(self, matrix: Matrix) -> Floats:
        """Exact log-odds by factor (rows × factors + 1, the last is the base); a row sums to its margin.

        Shapley values of trees (Lundberg, Erion and Lee 2018), as XGBoost's `pred_contribs` gives them.
        """
        if matrix.shape[0] == 0:
            return np.empty((0, len(self.factors) + 1))
        from xgboost import DMatrix  # two seconds that most who read a card never need

        nthread = threads(len(matrix), self.nthread)
        self.booster.set_param({"nthread": nthread})
        rows = DMatrix(matrix, feature_names=list(self.factors), nthread=nthread)
        return np.asarray(self.booster.predict(rows, pred_contribs=True), dtype=np.float64)


def margins(booster: Any, matrix: Matrix, nthread: int | None = None) -> Floats:
    """Log-odds of a booster for every row; missing values are NaN."""
    if matrix.shape[0] == 0:
        return np.empty(0)
    booster.set_param({"nthread": threads(len(matrix), nthread)})
    return np.asarray(booster.inplace_predict(matrix, predict_type="margin"), dtype=np.float64)


def matrix(frame: pl.DataFrame, factors: tuple[str, ...]) -> Matrix:
    """The factors of `frame` as float32 (rows × factors); what is absent, null or infinite is NaN."""
    absent = [pl.lit(None, pl.Float32).alias(name) for name in factors if name not in frame.columns]
    known = frame.with_columns(absent).select(pl.col(name).cast(pl.Float32) for name in factors)
    finite = known.select(pl.when(pl.all().is_finite()).then(pl.all()).fill_null(float("nan")))
    return np.ascontiguousarray(finite.to_numpy(), dtype=np.float32)


def threads(rows: int, wanted: int | None = None) -> int:
    """How many threads to use for so many rows: as wanted, else one per core, but no more than have work to do.

    On few rows threads wait for one another: on a busy machine minutes instead of a second.
    """
    return min(wanted or os.cpu_count() or 1, 1 + rows // ROWS_PER_THREAD)


def save(lake: Lake, version: str, booster: Any, calibration: Calibration, card: Mapping[str, Any]) -> str:
    """Write `<lake>/models/<version>/` and return the sha256 over its three files."""
    contents = (
        bytes(booster.save_raw(raw_format="json")),
        calibration.to_json().encode(),
        json.dumps(card, ensure_ascii=False, sort_keys=True, indent=1).encode(),
    )
    for name, content in zip(_FILES, contents, strict=True):
        lake.write_file(_path(version, name), content)
    return _sha256(contents)


def load(lake: Lake, version: str, sha256: str, nthread: int | None = None) -> Model:
    """The stored version; BadInput when its files are not those that were trained (`sha256`)."""
    contents = tuple(lake.read_file(_path(version, name)) for name in _FILES)
    if _sha256(contents) != sha256:
        raise BadInput(
            f"The files of model {version} in {lake.root} are not the ones that were trained. "
            "Restore models/ from the backup of that day, or train again."
        )
    return _parsed(version, contents, nthread)


def is_intact(lake: Lake, version: str, sha256: str) -> bool:
    """Whether the files of the version stand as they were trained."""
    try:
        return load(lake, version, sha256).version == version
    except (BadInput, NotReady):
        return False


@lru_cache(maxsize=8)
def _parsed(version: str, contents: tuple[bytes, ...], nthread: int | None) -> Model:
    from xgboost import Booster

    model, calibration, card = contents
    booster = Booster()
    booster.load_model(bytearray(model))
    names = tuple(booster.feature_names or ())
    return Model(version, names, booster, Calibration.from_json(calibration), json.loads(card), nthread)


def _sha256(contents: tuple[bytes, ...]) -> str:
    digests = [hashlib.sha256(content).hexdigest() for content in contents]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _path(version: str, name: str) -> str:
    return f"models/{version}/{name}"
