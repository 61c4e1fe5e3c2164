"""The files a lead or an administrator writes: one YAML with sections, or one CSV per kind."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from include.commands.csv_files import read_csv
from include.config.readers.plain import read_yaml
from include.config.readers.reading import Code, Day, Entry, faults, read_text
from include.domain.errors import BadInput
from include.domain.text.typed import bare


def _empty_is_none(value: object) -> object:
    return None if isinstance(value, str) and not bare(value) else value


def _listed(value: object) -> object:
    """A CSV cell "silver;english" is a list."""
    return [word.strip() for word in value.split(";") if word.strip()] if isinstance(value, str) else value


OptionalCode = Annotated[Code | None, BeforeValidator(_empty_is_none)]
#: A word of another system: a team or skill of teams.yaml, a user of Airflow.
Name = Annotated[
    str,
    BeforeValidator(lambda value: bare(value) if isinstance(value, str) else value),
    Field(min_length=1, max_length=40),
]
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
    team: Name
    contacts_per_day: Contacts
    airflow_username: Annotated[Name | None, BeforeValidator(_empty_is_none)] = None
    branch_code: OptionalCode = None
    skills: Annotated[tuple[Name, ...], BeforeValidator(_listed)] = ()


class Shift(Entry):
    """A day on the roster; `contacts` where it differs from the person's usual number."""

    staff_code: Code
    day: Day
    contacts: Annotated[Contacts | None, BeforeValidator(_empty_is_none)] = None


class Absence(Entry):
    """Leave, first and last day included."""

    staff_code: Code
    from_on: Day
    until_on: Day
    reason: Annotated[str | None, BeforeValidator(_empty_is_none)] = None

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> "Absence":
        if self.until_on < self.from_on:
            raise ValueError(f"until_on {self.until_on} lies before from_on {self.from_on}")
        return self


class People(Entry):
    """What one file says, with what is to be told of its reading; what it leaves out stays as it is."""

    branches: tuple[Branch, ...] = ()
    staff: tuple[Person, ...] = ()
    shifts: tuple[Shift, ...] = ()
    absences: tuple[Absence, ...] = ()
    note: str = ""


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
    note = ""
    if path.suffix.lower() == ".csv":
        sections, note = _csv_section(path)
    elif path.suffix.lower() in (".yaml", ".yml"):
        sections = _yaml_sections(path)
    else:
        raise BadInput(f"{path.name} is neither .csv nor .yaml. Save it as one of them.")
    wrong: list[str] = []
    found = {kind: tuple(_rows(kind, rows, wrong)) for kind, rows in sections.items()}
    for kind, rows in found.items():
        wrong += _doubled(kind, rows)
    if wrong:
        raise BadInput(
            f"{path.name}, nothing was loaded: " + "; ".join(wrong[:10]) + ". Mend and load again."
        )
    return People(**found, note=note)


Numbered = tuple[str, Mapping[str, object]]


def _csv_section(path: Path) -> tuple[dict[str, list[Numbered]], str]:
    """A CSV holds one kind of rows, known by its columns; its rows are counted as an editor shows them."""
    file = read_csv(path)
    for kind, model in _KINDS.items():
        required = {name for name, field in model.model_fields.items() if field.is_required()}
        if required <= set(file.columns) <= set(model.model_fields):
            return {kind: [(f"line {line}", row) for line, row in file.rows]}, file.note
    known = "; ".join(f"{kind}: {', '.join(model.model_fields)}" for kind, model in _KINDS.items())
    raise BadInput(f"{path.name} has the columns {', '.join(file.columns) or 'none'}, not those of {known}.")


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


def _rows(kind: str, rows: Sequence[Numbered], wrong: list[str]) -> Iterator[Entry]:
    for where, row in rows:
        try:
            yield _KINDS[kind].model_validate(row)
        except ValidationError as error:
            wrong += [f"{where}, {entry}: {cause}" for entry, cause in faults(error, "row")]


def _doubled(kind: str, rows: Sequence[Entry]) -> Iterator[str]:
    seen = set()
    for row in rows:
        key = _KEYS[kind](row)
        if key in seen:
            yield f"{kind}: {key} stands twice"
        seen.add(key)
