"""How the program's house is kept: folders, lengths, parameters, untyped results, names, the cost of imports.

python -m tests.measures.house [--before DIR] [--list] [--without-imports]

Reads the syntax trees below include/, dags/ and plugins/ of this checkout. With `--before`, another one (`git
worktree add DIR COMMIT`), its figures stand beside. `--list` names the functions that are counted. Imports are
measured in fresh interpreters and take some minutes.
"""

import argparse
import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.measures import import_cost, syntax
from tests.measures.import_cost import Cost
from tests.measures.syntax import Function, Module
from tests.measures.untyped import Annotations

ROOT = Path(__file__).resolve().parent.parent.parent
FULLEST, FULL = 10, 16
PARAMETERS = 6
CONTEXT = ("feed", "as_of", "config", "ticket_id", "ticket")
ABSENT = "-"

Row = tuple[str, ...]


@dataclass(frozen=True)
class House:
    """One checkout, read: entries by folder, modules, functions, and the cost of importing modules by name."""

    folders: dict[str, int]
    modules: list[Module]
    functions: list[Function]
    untyped: list[Function]
    imports: dict[str, Cost]

    @property
    def loaded(self) -> list[Function]:
        """The functions with six or more parameters, the most first."""
        found = [each for each in self.functions if len(each.parameters) >= PARAMETERS]
        return sorted(found, key=lambda each: -len(each.parameters))


def read(root: Path, with_imports: bool = True) -> House:
    """What is measured of the checkout at `root`."""
    modules = syntax.modules(root)
    functions = [each for module in modules for each in syntax.functions(module)]
    annotations = Annotations.of(modules)
    untyped = [each for each in functions if each.is_public and annotations.is_untyped(each)]
    costs = import_cost.measure(root) if with_imports else {}
    return House(syntax.entries(root), modules, functions, untyped, costs)


def rows(houses: Sequence[House]) -> Iterator[Row]:
    """A label and the figure of every checkout, line by line."""
    yield from folder_rows(houses)
    for label, figure in FIGURES.items():
        yield label, *(figure(house) for house in houses)
    for name in dict.fromkeys(name for house in houses for name in house.imports):
        yield f"importing {name}", *(str(house.imports.get(name, ABSENT)) for house in houses)


def folder_rows(houses: Sequence[House]) -> Iterator[Row]:
    """The folders that are the fullest ten, or hold more than sixteen entries, in any of the checkouts."""
    shown: set[str] = set()
    for house in houses:
        fullest = sorted(house.folders, key=lambda folder: -house.folders[folder])
        shown |= {*fullest[:FULLEST], *(folder for folder in fullest if house.folders[folder] > FULL)}
    for folder in sorted(shown, key=lambda folder: (-houses[-1].folders.get(folder, 0), folder)):
        yield f"entries of {folder}/", *(str(house.folders.get(folder, ABSENT)) for house in houses)
    too_full = [sum(number > FULL for number in house.folders.values()) for house in houses]
    yield f"folders of more than {FULL} entries", *map(str, too_full)


def spread(lengths: dict[str, int]) -> str:
    """Median, ninetieth percentile (the least that nine in ten do not exceed) and largest, with whose it is."""
    if not lengths:
        return ABSENT
    ordered = sorted(lengths.values())
    ninetieth = ordered[math.ceil(0.9 * len(ordered)) - 1]
    largest = max(lengths, key=lambda name: lengths[name])
    return f"{statistics.median(ordered):g} / {ninetieth} / {lengths[largest]} ({largest.rpartition('/')[2]})"


def module_lines(house: House) -> str:
    """Lines per module."""
    return spread({module.path: len(module.text.splitlines()) for module in house.modules})


def function_lines(house: House) -> str:
    """Lines per function, from `def` on."""
    return spread({str(each): each.lines for each in house.functions})


def many_parameters(house: House) -> str:
    """Functions with six or more parameters, and their share."""
    return f"{len(house.loaded)} ({len(house.loaded) / max(len(house.functions), 1):.1%})"


def taking(house: House, parameter: str) -> str:
    """How many functions have a parameter of this name, and in how many modules."""
    found = [each.module.path for each in house.functions if parameter in each.parameters]
    return f"{len(found)} in {len(set(found))} modules"


def words(house: House, word: str) -> str:
    """How often a word stands in the modules, comments and sentences counted."""
    return str(sum(len(re.findall(rf"\b{word}\b", module.text)) for module in house.modules))


FIGURES = {
    "modules": lambda house: str(len(house.modules)),
    "functions": lambda house: str(len(house.functions)),
    "lines per module: median / 90 % / largest": module_lines,
    "lines per function: median / 90 % / largest": function_lines,
    f"functions of {PARAMETERS} or more parameters": many_parameters,
    "public functions that return an untyped dict": lambda house: str(len(house.untyped)),
    **{
        f"functions with a parameter {name}": lambda house, name=name: taking(house, name) for name in CONTEXT
    },
    "the word told": lambda house: words(house, "told"),
}


def table(lines: Sequence[Row]) -> str:
    """Rows under each other, every column as wide as its widest field."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def listed(house: House) -> Iterator[str]:
    """The functions behind the counts, one a line."""
    yield f"\nFunctions of {PARAMETERS} or more parameters:"
    for each in house.loaded:
        yield f"  {len(each.parameters)} {each}({', '.join(each.parameters)})"
    yield "\nPublic functions that return an untyped dict:"
    yield from (f"  {each}" for each in house.untyped)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--before", type=Path, help="another checkout, whose figures stand beside")
    parser.add_argument("--list", action="store_true", help="name the functions that are counted")
    parser.add_argument("--without-imports", action="store_true", help="leave out what takes minutes")
    args = parser.parse_args(arguments)
    roots = {"before": args.before.resolve(), "now": ROOT} if args.before else {"now": ROOT}
    houses = [read(root, not args.without_imports) for root in roots.values()]
    print(table([("", *roots), *rows(houses)]))
    if args.list:
        print(*listed(houses[-1]), sep="\n")


if __name__ == "__main__":
    main()
