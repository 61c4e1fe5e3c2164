"""measures.yaml: the random draws by which effect is measured, one for all campaigns that name it."""

from typing import Annotated, Literal

from pydantic import Field, RootModel

from include.config.readers.operations import HoldOut
from include.config.readers.reading import validated

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{2,62}$")]


class Measure(HoldOut):
    """One draw: the share held out, the salt, and the span an arm holds for."""

    epoch: Literal["month", "quarter", "half_year", "year"] = "half_year"


class Measures(RootModel[dict[Name, Measure]]):
    """The draws by name."""


def parse(raw: object, file: str) -> dict[str, Measure]:
    """measures.yaml."""
    return validated(Measures, raw, file).root
