"""Reading one YAML file into a validated model, with errors that name file, entry, value and cause."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from include.domain.errors import BadInput, ConfigError
from include.domain.text.canonical import canonical_id
from include.domain.text.typed import parse_day, parse_flag


class Entry(BaseModel):
    """Base of every configuration model: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def _typed(read: Any) -> BeforeValidator:
    """What a person typed goes through `read`, whose refusal becomes the cause of the entry's error."""

    def reading(value: object) -> object:
        try:
            return read(value) if isinstance(value, str) else value
        except BadInput as error:
            raise ValueError(str(error)) from error

    return BeforeValidator(reading)


#: The code of somebody or something, in its one writing: 0012 stays 0012.
Code = Annotated[str, _typed(canonical_id), Field(min_length=1, max_length=40)]
#: true or false, yes or no, on or off.
Flag = Annotated[bool, _typed(parse_flag)]
#: A day, the year first.
Day = Annotated[date, _typed(parse_day)]


def read_text(path: Path) -> str:
    """The text of a configuration file; ConfigError when it is absent or not UTF-8."""
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path.name} is missing in {path.parent}. Copy it from include/config.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path.name} is not UTF-8 at byte {error.start}. Save it as UTF-8.") from error


def validated(model: type[M], raw: object, file: str) -> M:
    """`raw` as `model`; ConfigError "file, entry: cause" listing every wrong entry."""
    if not isinstance(raw, Mapping):
        found = "empty" if raw is None else type(raw).__name__
        raise ConfigError(f"{file} must be a mapping of names to values, but is {found}.")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        causes = (f"entry '{entry}': {cause}" for entry, cause in faults(error, "file"))
        raise ConfigError(f"{file}, " + "; ".join(causes)) from error


def faults(error: ValidationError, whole: str) -> list[tuple[str, str]]:
    """Of every fault the entry (`whole` where it is none alone) and the cause, with the value that was given."""
    return [(".".join(map(str, each["loc"])) or whole, _cause(each)) for each in error.errors()]


def _cause(problem: Any) -> str:
    given = problem["input"]
    value = f" (given: {given!r})" if isinstance(given, str | int | float | bool) else ""
    return f"{problem['msg']}{value}"
