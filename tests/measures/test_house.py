"""Every figure of the measuring script, on a small made-up program: it is right, and it moves with what it counts."""

from pathlib import Path

import pytest

from tests.measures import house, import_cost
from tests.measures.house import House, read

ARCHITECTURE = 'STAGES = ("alpha", "beta")\n'
TYPES = """
from collections.abc import Mapping
from typing import Any, TypedDict

Row = Mapping[str, Any]
Rows = list[Row]
Sizes = dict[str, int]


class Told(TypedDict):
    rows: int
"""
ALPHA = """
from typing import TYPE_CHECKING, Any

from include import types
from include.handed import Rows

if TYPE_CHECKING:
    from include.types import Sizes, Told


def plain() -> dict: ...
def of_anything() -> dict[str, Any]: ...
def of_objects() -> "dict[str, object] | None": ...
def in_a_list() -> list[dict[str, Any]]: ...
def nested() -> dict[str, dict[str, Any]]: ...
def behind_an_alias() -> Rows: ...
def behind_a_module() -> types.Row: ...
class Seen:
    def method(self) -> dict[str, Any]: ...


def typed() -> "Told": ...
def sizes() -> "Sizes": ...
def keyed_by_anything() -> dict[Any, int]: ...
def _private() -> dict[str, Any]: ...
class _Unseen:
    def method(self) -> dict[str, Any]: ...


def outer() -> None:
    def inner() -> dict[str, Any]: ...
"""
BETA = """
def five(a, b, c, d, e, *rest, **named): ...
def six(a, /, b, c, d, *, e, as_of): ...
class Kept:
    def five_and_self(self, a, b, c, d, ticket_id): ...

    @staticmethod
    def six_without_self(a, b, c, d, config, as_of):
        def within(config):
            return "told, untold, told"
        return within
"""
DAG = """
from airflow.sdk import task

from include import edge


@task
def one():
    from include.stages import beta

    return beta.six()


@task.short_circuit(retries=1)
def two():
    return edge.look()


def three():
    from include import types

    return types.Row
"""
PROGRAM = {
    "tests/architecture.py": ARCHITECTURE,
    "include/types.py": TYPES,
    "include/handed.py": "from include.types import Rows\n",
    "include/edge.py": "import html.parser\n",
    "include/loop.py": "",
    "include/stages/alpha/__init__.py": ALPHA,
    "include/stages/alpha/part.yaml": "",
    "include/stages/beta.py": BETA,
    "include/stages/__pycache__/beta.pyc": "",
    "include/.hidden": "",
    "dags/daily.py": DAG,
}


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, PROGRAM)
    return tmp_path


def measured(root: Path) -> House:
    return read(root, with_imports=False)


def figures(root: Path) -> dict[str, str]:
    return dict(house.rows([measured(root)]))  # type: ignore[arg-type]


def test_entries_are_files_and_folders_but_neither_caches_nor_init_files(root: Path) -> None:
    counted = {"include": 5, "include/stages": 2, "include/stages/alpha": 1, "dags": 1}
    assert measured(root).folders == counted
    write(root, {"include/stages/__init__.py": "", "include/stages/gamma.py": ""})
    assert measured(root).folders == counted | {"include/stages": 3}


def test_the_fullest_ten_folders_are_shown_and_every_one_of_more_than_sixteen_entries(root: Path) -> None:
    for room in range(12):
        write(root, {f"include/room{room:02}/{number}.yaml": "" for number in range(16 + room % 12)})
    shown = figures(root)
    assert shown["folders of more than 16 entries"] == "12"
    assert shown["entries of include/room11/"] == "27" and shown["entries of include/room01/"] == "17"
    assert "entries of include/room00/" not in shown and "entries of dags/" not in shown


def test_lengths_are_told_as_median_ninetieth_percentile_and_largest() -> None:
    assert house.spread({f"a/{number}.py": number for number in range(1, 11)}) == "5.5 / 9 / 10 (10.py)"
    assert house.spread({f"a/{number}.py": number for number in range(1, 12)}) == "6 / 10 / 11 (11.py)"
    assert house.spread({}) == "-"


def test_lines_are_those_of_the_file_and_from_def_to_the_end_of_the_function(root: Path) -> None:
    lines = {each.name: each.lines for each in measured(root).functions}
    assert (lines["six"], lines["Kept.six_without_self"], lines["outer"], lines["one"]) == (1, 4, 2, 4)
    assert "/ 4 (" in figures(root)["lines per function: median / 90 % / largest"]
    write(root, {"include/long.py": "\n" * 200, "include/longer.py": "def f():\n" + "    f()\n" * 300})
    assert figures(root)["lines per module: median / 90 % / largest"].endswith("/ 301 (longer.py)")
    assert figures(root)["lines per function: median / 90 % / largest"].endswith("/ 301 (longer.py:1 f)")


def test_six_parameters_are_counted_without_self_and_without_stars(root: Path) -> None:
    found = measured(root)
    assert [each.name for each in found.loaded] == ["six", "Kept.six_without_self"]
    assert figures(root)["functions of 6 or more parameters"] == f"2 ({2 / len(found.functions):.1%})"
    write(root, {"include/loop.py": "def seven(a, b, c, d, e, f, g): ...\n"})
    assert [each.name for each in measured(root).loaded] == ["seven", "six", "Kept.six_without_self"]


def test_untyped_results_are_found_through_text_lists_optionals_and_aliases(root: Path) -> None:
    untyped = [
        "plain",
        "of_anything",
        "of_objects",
        "in_a_list",
        "nested",
        "behind_an_alias",
        "behind_a_module",
    ]
    assert [each.name for each in measured(root).untyped] == [*untyped, "Seen.method"]
    assert figures(root)["public functions that return an untyped dict"] == "8"


def test_a_result_that_is_typed_or_not_for_others_is_no_untyped_one(root: Path) -> None:
    write(root, {"include/types.py": TYPES.replace("Mapping[str, Any]", "Mapping[str, int]")})
    names = [each.name for each in measured(root).untyped]
    assert "behind_an_alias" not in names and "behind_a_module" not in names
    assert not {"typed", "sizes", "keyed_by_anything", "_private", "_Unseen.method", "outer.inner"} & {*names}


def test_aliases_that_name_each_other_end(root: Path) -> None:
    write(
        root,
        {
            "include/round.py": "from include.ring import A\n",
            "include/ring.py": "from include.round import A\n",
        },
    )
    write(root, {"include/loop.py": "from include.round import A\ndef f() -> A: ...\n"})
    assert "f" not in [each.name for each in measured(root).untyped]


def test_parameters_by_name_are_counted_with_their_modules(root: Path) -> None:
    shown = figures(root)
    assert shown["functions with a parameter as_of"] == "2 in 1 modules"
    assert shown["functions with a parameter config"] == "2 in 1 modules"
    assert shown["functions with a parameter ticket_id"] == "1 in 1 modules"
    assert shown["functions with a parameter feed"] == "0 in 0 modules"
    write(root, {"include/loop.py": "def f(feed, *, as_of): ...\n"})
    assert figures(root)["functions with a parameter as_of"] == "3 in 2 modules"


def test_the_word_told_is_counted_as_a_whole_word(root: Path) -> None:
    assert figures(root)["the word told"] == "2"
    write(root, {"include/loop.py": "told = 1  # told, Told, told_at\n"})
    assert figures(root)["the word told"] == "4"


def test_what_is_imported_are_stages_what_tasks_call_and_the_loop(root: Path) -> None:
    assert import_cost.measured(root) == [
        "include.stages.alpha",
        "include.stages.beta",
        "include.edge",
        "include.loop",
    ]
    write(root, {"tests/architecture.py": 'STAGES = ("alpha",)\n'})
    assert import_cost.measured(root) == [
        "include.stages.alpha",
        "include.stages.beta",
        "include.edge",
        "include.loop",
    ]
    write(root, {"dags/daily.py": DAG.replace("@task\n", "")})
    assert import_cost.measured(root) == ["include.stages.alpha", "include.edge", "include.loop"]


def test_an_import_costs_its_own_seconds_and_names_the_libraries_it_loads(root: Path) -> None:
    busy = "import time\nwhile time.process_time() < 0.5: pass\n"
    write(root, {"include/loop.py": busy, "xgboost.py": "", "include/edge.py": "import xgboost\n"})
    costs = read(root).imports
    assert 0.5 <= costs["include.loop"].seconds < 2
    assert costs["include.stages.beta"].seconds < 0.5
    assert costs["include.edge"].libraries == ("xgboost",)
    assert costs["include.loop"].libraries == ()


def test_two_checkouts_stand_beside_each_other(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "before", {"include/old/only.py": "def f() -> dict: ...\n", "tests/architecture.py": ""})
    monkeypatch.setattr(house, "ROOT", root)
    house.main(["--before", str(tmp_path / "before"), "--without-imports", "--list"])
    printed = capsys.readouterr().out
    lines = {line[:46].strip(): line[46:].split() for line in printed.splitlines()}
    assert lines["public functions that return an untyped dict"] == ["1", "8"]
    assert lines["entries of include/old/"] == ["1", "-"]
    assert "include/stages/alpha/__init__.py:12 of_anything" in printed
    assert "6 include/stages/beta.py:3 six(a, b, c, d, e, as_of)" in printed
