"""CPU seconds of importing each stage and what each task of a DAG calls, every one in a fresh interpreter."""

import ast
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.measures.syntax import names_imported

LIBRARIES = ("xgboost", "sklearn", "scipy", "pandas")
TRIES = 3
IMPORT = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"


@dataclass(frozen=True)
class Cost:
    """What one import costs: user and system seconds, the least of three, and the large libraries it loaded."""

    seconds: float
    libraries: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join([f"{self.seconds:.2f} s", *self.libraries])


def measure(root: Path) -> dict[str, Cost]:
    """The cost of every module of `measured`."""
    return {module: cost(root, module) for module in measured(root)}


def measured(root: Path) -> list[str]:
    """The stages of a checkout, what its tasks call, and the loop as a command."""
    found = [f"include.stages.{stage}" for stage in stages(root)]
    for path in sorted((root / "dags").glob("*.py")):
        found += called(ast.parse(path.read_text("utf-8")), root)
    return [name for name in dict.fromkeys([*found, "include.loop"]) if is_module(name, root)]


def stages(root: Path) -> list[str]:
    """The words of the stages, as the checkout's own rules of architecture list them."""
    for node in ast.parse((root / "tests" / "architecture.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "STAGES":
            return list(ast.literal_eval(node.value))
    return []


def called(tree: ast.Module, root: Path) -> list[str]:
    """The modules of the program whose functions the tasks of a DAG name."""
    imported = names_imported(tree)
    names = [node.id for task in tasks(tree) for node in ast.walk(task) if isinstance(node, ast.Name)]
    origins = [imported[name] for name in names if name in imported]
    modules = [
        f"{source}.{name}" if is_module(f"{source}.{name}", root) else source for source, name in origins
    ]
    return [module for module in modules if module.startswith("include.")]


def tasks(tree: ast.Module) -> list[ast.FunctionDef]:
    """The functions that `@task`, with or without anything behind it, makes tasks of."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return [each for each in functions if any(is_task(decorator) for decorator in each.decorator_list)]


def is_task(decorator: ast.expr) -> bool:
    """Whether a decorator is `task`, `task(…)`, `task.…` or `task.…(…)`."""
    name = ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return name.split(".")[0] == "task"


def is_module(name: str, root: Path) -> bool:
    """Whether a dotted name is a module or package of the checkout."""
    stem = root.joinpath(*name.split("."))
    return stem.with_suffix(".py").is_file() or (stem / "__init__.py").is_file()


def cost(root: Path, module: str) -> Cost:
    """What importing `module` costs in the checkout at `root`; CalledProcessError when it cannot be imported."""
    tries = [once(root, module) for _ in range(TRIES)]
    return Cost(min(seconds for seconds, _ in tries), tries[0][1])


def once(root: Path, module: str) -> tuple[float, tuple[str, ...]]:
    """One import: its seconds, and which of the libraries it loaded."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    loaded = subprocess.run(
        [sys.executable, "-c", IMPORT, module],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout.split()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, tuple(library for library in LIBRARIES if library in loaded)
