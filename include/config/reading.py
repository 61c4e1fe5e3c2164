"""Reading one YAML file into a validated model, with errors that name file, entry and cause."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from include.domain.errors import ConfigError


class Entry(BaseModel):
    """Base of every configuration model: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


M = TypeVar("M", bound=BaseModel)


def read_yaml(text: str, file: str) -> object:
    """The content of a YAML file; ConfigError with the line when it is not YAML."""
    try:
        return yaml.load(text, Loader=yaml.CSafeLoader)  # safe_load, in C
    except yaml.YAMLError as error:
        raise ConfigError(
            f"{file} is not valid YAML: {' '.join(str(error).split())}. Mend that line."
        ) from error


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
        raise ConfigError(f"{file} must be a mapping of names to values, but is {type(raw).__name__}.")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{file}, " + "; ".join(_told(problem) for problem in error.errors())) from error


def _told(problem: Any) -> str:
    entry = ".".join(str(step) for step in problem["loc"]) or "file"
    return f"entry '{entry}': {problem['msg']}"
