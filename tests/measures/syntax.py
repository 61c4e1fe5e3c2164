"""The program of any checkout as syntax trees: its folders, modules and functions; nothing is imported."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("include", "dags", "plugins")

Names = dict[str, tuple[str, str]]
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A module of the program: its path and dotted name, its text, and where the names it imports come from."""

    path: str
    name: str
    text: str
    tree: ast.Module
    imported: Names


@dataclass(frozen=True)
class Function:
    """A function or method: its parameters without self and cls, and whether others may call it."""

    module: Module
    name: str
    line: int
    lines: int
    parameters: tuple[str, ...]
    returns: ast.expr | None
    is_public: bool

    def __str__(self) -> str:
        return f"{self.module.path}:{self.line} {self.name}"


@dataclass(frozen=True)
class Scope:
    """What a definition lies in: the names before its own, whether others see it, whether it is a class."""

    before: str = ""
    is_open: bool = True
    is_class: bool = False

    def within(self, name: str, is_class: bool) -> "Scope":
        """The scope that a class or function of this name opens here."""
        is_open = self.is_open and is_class and not name.startswith("_")
        return Scope(f"{self.before}{name}.", is_open, is_class)


def files(root: Path) -> list[Path]:
    """Every file of the program, relative to `root`; nothing hidden, nothing that a run has left behind."""
    found = [path for folder in FOLDERS for path in (root / folder).rglob("*") if path.is_file()]
    return sorted(path for path in (path.relative_to(root) for path in found) if is_kept(path))


def is_kept(path: Path) -> bool:
    """Whether a path is of the program."""
    return not any(part.startswith(".") or part == "__pycache__" for part in path.parts)


def entries(root: Path) -> dict[str, int]:
    """How many files and folders every folder holds, `__init__.py` not counted."""
    held: dict[str, set[str]] = {}
    for path in files(root):
        for entry in (path, *path.parents):
            if entry.parent.name and entry.name != "__init__.py":
                held.setdefault(entry.parent.as_posix(), set()).add(entry.name)
    return {folder: len(names) for folder, names in held.items()}


def modules(root: Path) -> list[Module]:
    """Every module of the program."""
    return [module(root, path) for path in files(root) if path.suffix == ".py"]


def module(root: Path, path: Path) -> Module:
    """The module at `path`, relative to `root`."""
    text = (root / path).read_text("utf-8")
    tree = ast.parse(text)
    parts = path.with_suffix("").parts
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(path.as_posix(), name, text, tree, names_imported(tree))


def names_imported(tree: ast.AST) -> Names:
    """What each imported name stands for, as (module, name); of a whole module the name is empty."""
    found: Names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {alias.asname or alias.name: (node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or alias.name: (alias.name, "") for alias in node.names}
    return found


def functions(module: Module) -> list[Function]:
    """Every function of a module from top to bottom, those within classes and functions as well."""
    return sorted(_functions(module), key=lambda each: each.line)


def _functions(module: Module) -> Iterator[Function]:
    pending: list[tuple[ast.AST, Scope]] = [(module.tree, Scope())]
    while pending:
        parent, scope = pending.pop()
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, Definition):
                yield function(module, node, scope)
                pending.append((node, scope.within(node.name, is_class=False)))
            elif isinstance(node, ast.ClassDef):
                pending.append((node, scope.within(node.name, is_class=True)))
            else:
                pending.append((node, scope))


def function(module: Module, node: Definition, scope: Scope) -> Function:
    """One function of a module."""
    parameters = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    if scope.is_class and parameters[:1] in (["self"], ["cls"]):
        del parameters[0]
    return Function(
        module,
        name=scope.before + node.name,
        line=node.lineno,
        lines=(node.end_lineno or node.lineno) - node.lineno + 1,
        parameters=tuple(parameters),
        returns=node.returns,
        is_public=scope.is_open and not node.name.startswith("_"),
    )
