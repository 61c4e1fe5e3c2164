"""A flat table with a label, for evaluation: numbers stay, dates become days, texts one column a value."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from include.domain.errors import BadInput
from include.models.calibration import Floats
from include.models.store import Matrix, matrix
from include.models.training_sets import Folds, folds_of

#: Words that mean "left" when nobody says which value does.
_POSITIVE = ("1", "1.0", "true", "yes", "y", "t", "churn", "churned", "left", "是")
#: So many of the most frequent values of a text column get a column each, if so many rows share them.
_VALUES, _ROWS_PER_VALUE = 20, 5
#: So many numbers drawn with repetition from up to 50 a row all differ by chance less than once in 100.
_ROWS_OF_AN_ID, _NUMBERS_PER_ROW = 500, 50
#: A text column is one of numbers when so large a share of what is filled reads as numbers.
_NUMBERS_FROM = 0.95


@dataclass(frozen=True)
class Table:
    """Factors (columns of `values`, rows × factors), the label, and a fold that equal rows share.

    left_out: columns that say nothing, with the reason; unlabelled: rows without a label, not counted.
    """

    factors: tuple[str, ...]
    values: Matrix
    happened: Floats
    fold: Folds
    left_out: dict[str, str]
    unlabelled: int


def read_table(path: Path, label: str, positive: str | None, drop: Collection[str]) -> Table:
    """The CSV (UTF-8, header; empty fields are unknown) as a table; BadInput says what is wrong with it."""
    frame = _read(path)
    for name in (label, *drop):
        if name not in frame.columns:
            raise BadInput(f"{path.name} has no column '{name}'. It has {', '.join(frame.columns)}.")
    if label in drop:
        raise BadInput(f"'{label}' is the label and cannot be dropped.")
    labelled = frame.filter(pl.col(label).is_not_null())
    happened = _churned(labelled[label], positive)
    texts = labelled.drop(label, *drop)
    columns, left_out = [], {}
    for column in texts:
        found = [] if _numbers_the_rows(column) else _numbers_of(column)
        columns += found
        if not found:
            left_out[column.name] = _says_nothing(column)
    if not columns:
        raise BadInput(f"{path.name} has no column that tells rows apart beside '{label}'.")
    factors = tuple(column.name for column in columns)
    values = matrix(pl.DataFrame(columns), factors)
    fold = _folds(texts.drop(left_out))
    return Table(factors, values, happened, fold, left_out, frame.height - labelled.height)


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise BadInput(f"There is no file {path}. Name a CSV file with a header.")
    try:
        texts = pl.read_csv(path, infer_schema=False, encoding="utf8", truncate_ragged_lines=False)
    except (pl.exceptions.PolarsError, UnicodeError) as error:
        raise BadInput(f"{path.name} is not a CSV file in UTF-8: {str(error).splitlines()[0]}") from error
    if texts.is_empty():
        raise BadInput(f"{path.name} has no rows below its header.")
    trimmed = texts.select(pl.all().str.strip_chars())
    return trimmed.select(pl.when(pl.all().str.len_chars() > 0).then(pl.all()))


def _churned(label: pl.Series, positive: str | None) -> Floats:
    """1.0 where the label has the value that means leaving."""
    values = sorted(label.unique().to_list())
    if positive is None:
        meant = [value for value in values if value.lower() in _POSITIVE]
        if len(values) != 2 or len(meant) != 1:
            raise BadInput(
                f"'{label.name}' has the values {_some(values)}. "
                "Say which one means leaving: --positive VALUE."
            )
        positive = meant[0]
    if positive not in values:
        raise BadInput(f"No row has '{positive}' in '{label.name}'; it has {_some(values)}.")
    happened = (label == positive).cast(pl.Float64).to_numpy()
    left, stayed = int(happened.sum()), int((1 - happened).sum())
    if min(left, stayed) < 10:
        raise BadInput(
            f"{left} rows left and {stayed} stayed; at least 10 of each are needed to judge anything."
        )
    return happened


def _some(values: list[str]) -> str:
    shown = ", ".join(f"'{value}'" for value in values[:6])
    return f"{shown} and {len(values) - 6} more" if len(values) > 6 else shown


def _says_nothing(column: pl.Series) -> str:
    """Why a column is left out."""
    if column.n_unique() == 1:
        return "every row has the same value"
    if _numbers_the_rows(column):
        return "it numbers the rows"
    return f"no value is shared by {_ROWS_PER_VALUE} rows"


def _numbers_the_rows(column: pl.Series) -> bool:
    """Whether the column is an id: whole numbers, all different, so close together that chance would repeat some."""
    if len(column) < _ROWS_OF_AN_ID or column.has_nulls() or column.n_unique() < len(column):
        return False
    whole = column.cast(pl.Int64, strict=False)
    if whole.has_nulls():
        return False
    low, high = int(whole.min()), int(whole.max())  # type: ignore[arg-type]
    return high - low < _NUMBERS_PER_ROW * len(column)


def _numbers_of(column: pl.Series) -> list[pl.Series]:
    """A text column as columns of numbers; none when it says nothing."""
    filled = column.drop_nulls()
    if filled.is_empty() or (column.n_unique() == 1):
        return []
    for read in (_as_number, _as_days):
        numbers = read(column)
        if len(numbers.drop_nulls()) >= _NUMBERS_FROM * len(filled):
            return [numbers]
    return _one_column_a_value(column)


def _as_number(column: pl.Series) -> pl.Series:
    flags = column.str.to_lowercase().replace({"true": "1", "false": "0"})
    return flags.cast(pl.Float64, strict=False)


def _as_days(column: pl.Series) -> pl.Series:
    """Days since 1970 of dates written year, month, day."""
    return (
        column.str.head(10)
        .str.replace_all("/", "-")
        .str.to_date("%Y-%m-%d", strict=False)
        .cast(pl.Int32)
        .cast(pl.Float64)
    )


def _one_column_a_value(column: pl.Series) -> list[pl.Series]:
    counts = column.drop_nulls().value_counts(sort=True).sort("count", column.name, descending=[True, False])
    frequent = counts.filter(pl.col("count") >= _ROWS_PER_VALUE)[column.name].head(_VALUES)
    return [(column == value).cast(pl.Float64).alias(f"{column.name} = {value}") for value in frequent]


def _folds(texts: pl.DataFrame) -> Folds:
    """Folds by content: whoever stands in the table twice is never judged by a model that saw the double.

    `texts` are the columns the model sees: a double under another id is a double all the same.
    """
    content = texts.select(pl.concat_str(pl.all().fill_null(""), separator="\x1f")).to_series()
    fold = folds_of(content)
    if len(np.unique(fold)) < 2:
        raise BadInput("Nearly all rows are equal; there is nothing to judge by.")
    return fold
