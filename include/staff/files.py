"""The files a lead or an administrator writes: one YAML with sections, or one CSV per kind."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from include.config.plain import read_yaml
from include.config.reading import Entry, read_text
from include.domain.errors import BadInput

Code = Annotated[str, BeforeValidator(lambda value: str(value).strip()), Field(min_length=1, max_length=40)]


def _empty_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


def _listed(value: object) -> object:
    """A CSV cell "silver;english" is a list."""
    return [word.strip() for word in value.split(";") if word.strip()] if isinstance(value, str) else value


OptionalCode = Annotated[Code | None, BeforeValidator(_empty_is_none)]
Contacts = Annotated[int, Field(ge=0, le=200)]


class Branch(Entry):
    """A branch and the one it reports to."""

    branch_code: Code
    name: Annotated[str, Field(min_length=1)]
    parent_code: OptionalCode = None
    region_code: OptionalCode = None


class Person(Entry):
    """Somebody who works tickets, known by staff_code."""

    staff_code: Code
    name: Annotated[str, Field(min_length=1)]
    role: Literal["agent", "lead", "manager"]
    team: Code
    contacts_per_day: Contacts
    airflow_username: OptionalCode = None
    branch_code: OptionalCode = None
    skills: Annotated[tuple[Code, ...], BeforeValidator(_listed)] = ()


class Shift(Entry):
    """A day on the roster; `contacts` where it differs from the person's usual number."""

    staff_code: Code
    day: date
    contacts: Annotated[Contacts | None, BeforeValidator(_empty_is_none)] = None


class Absence(Entry):
    """Leave, first and last day included."""

    staff_code: Code
    from_on: date
    until_on: date
    reason: Annotated[str | None, BeforeValidator(_empty_is_none)] = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Absence":
        if self.until_on < self.from_on:
            raise ValueError(f"until_on {self.until_on} lies before from_on {self.from_on}")
        return self


class People(Entry):
    """What one file says; what it leaves out stays as it is."""

    branches: tuple[Branch, ...] = ()
    staff: tuple[Person, ...] = ()
    shifts: tuple[Shift, ...] = ()
    absences: tuple[Absence, ...] = ()


_KINDS: Mapping[str, type[Entry]] = {
    "staff": Person,
    "shifts": Shift,
    "absences": Absence,
    "branches": Branch,
}
_KEYS: Mapping[str, Callable[[Any], object]] = {
    "branches": lambda row: row.branch_code,
    "staff": lambda row: row.staff_code,
    "shifts": lambda row: (row.staff_code, row.day),
    "absences": lambda row: (row.staff_code, row.from_on),
}


def read_people(path: Path) -> People:
    """The file as written, each row checked by itself; BadInput names file, row and cause of every fault."""
    if not path.is_file():
        raise BadInput(f"There is no file {path}. Give a .csv or .yaml file.")
    if path.suffix.lower() == ".csv":
        sections = _csv_section(path)
    elif path.suffix.lower() in (".yaml", ".yml"):
        sections = _yaml_sections(path)
    else:
        raise BadInput(f"{path.name} is neither .csv nor .yaml. Save it as one of them.")
    faults: list[str] = []
    found = {kind: tuple(_rows(kind, rows, faults)) for kind, rows in sections.items()}
    for kind, rows in found.items():
        faults += _doubled(kind, rows)
    if faults:
        raise BadInput(
            f"{path.name}, nothing was loaded: " + "; ".join(faults[:10]) + ". Mend and load again."
        )
    return People(**found)


Numbered = tuple[str, Mapping[str, object]]


def _csv_section(path: Path) -> dict[str, list[Numbered]]:
    """A CSV holds one kind of rows, known by its columns; its rows are counted as an editor shows them."""
    text = read_text(path).removeprefix("\ufeff")
    reader = csv.DictReader(io.StringIO(text), strict=True)
    columns = set(reader.fieldnames or ())
    for kind, model in _KINDS.items():
        required = {name for name, field in model.model_fields.items() if field.is_required()}
        if required <= columns <= set(model.model_fields):
            return {kind: [(f"line {reader.line_num}", row) for row in reader]}
    known = "; ".join(f"{kind}: {', '.join(model.model_fields)}" for kind, model in _KINDS.items())
    raise BadInput(f"{path.name} has the columns {', '.join(sorted(columns))}, which are none of {known}.")


def _yaml_sections(path: Path) -> dict[str, list[Numbered]]:
    raw = read_yaml(read_text(path), path.name)
    if not isinstance(raw, Mapping) or not set(raw) <= set(_KINDS):
        raise BadInput(f"{path.name} must hold sections of {', '.join(_KINDS)}, each a list of rows.")
    sections: dict[str, list[Numbered]] = {}
    for kind, rows in raw.items():
        if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
            raise BadInput(f"{path.name}, section {kind} must be a list of rows with named values.")
        sections[kind] = [(f"{kind} {number}", row) for number, row in enumerate(rows, start=1)]
    return sections


def _rows(kind: str, rows: Sequence[Numbered], faults: list[str]) -> Iterator[Entry]:
    for where, row in rows:
        try:
            yield _KINDS[kind].model_validate(row)
        except ValidationError as error:
            for fault in error.errors():
                name = ".".join(str(step) for step in fault["loc"]) or "row"
                faults.append(f"{where}, {name}: {fault['msg']} (given: {fault['input']!r})")


def _doubled(kind: str, rows: Sequence[Entry]) -> Iterator[str]:
    seen = set()
    for row in rows:
        key = _KEYS[kind](row)
        if key in seen:
            yield f"{kind}: {key} stands twice"
        seen.add(key)
