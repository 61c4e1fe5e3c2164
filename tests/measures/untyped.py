"""Which functions return a mapping that says nothing of its values, also behind the name of an alias."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.measures.syntax import Function, Module

MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "OrderedDict"}
ANYTHING = {"Any", "object"}


@dataclass(frozen=True)
class Annotations:
    """The annotations of a program: its modules by name, and the types they assign to names at top level."""

    modules: dict[str, Module]
    aliases: dict[tuple[str, str], ast.expr]
    under_way: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def of(cls, modules: Sequence[Module]) -> "Annotations":
        """Those of these modules."""
        assigned = {
            (module.name, name): value for module in modules for name, value in aliases(module).items()
        }
        return cls({module.name: module for module in modules}, assigned)

    def is_untyped(self, function: Function) -> bool:
        """Whether a function returns a mapping of anything, or a list, tuple, iterator or optional of such."""
        return function.returns is not None and self._says_nothing(function.returns, function.module)

    def _says_nothing(self, node: ast.expr, module: Module) -> bool:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._says_nothing(ast.parse(node.value, mode="eval").body, module)
        if isinstance(node, ast.BinOp):
            return self._says_nothing(node.left, module) or self._says_nothing(node.right, module)
        if isinstance(node, ast.Subscript):
            return self._holds_nothing(node, module)
        name = ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""
        if name.split(".")[-1] in MAPPINGS:
            return True
        found = self._origin(name, module)
        return found is not None and self._alias_says_nothing(found)

    def _alias_says_nothing(self, found: "Origin") -> bool:
        """The same of what an alias stands for; one that names itself (JSON) adds nothing by that."""
        key = (found.name, found.alias)
        if key in self.under_way:
            return False
        self.under_way.add(key)
        try:
            return self._says_nothing(self.aliases[key], found.module)
        finally:
            self.under_way.remove(key)

    def _holds_nothing(self, node: ast.Subscript, module: Module) -> bool:
        """The same of `node[…]`: what a mapping holds are its values, of anything else all it names."""
        kind = ast.unparse(node.value).split(".")[-1]
        held = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if kind in {"Callable", "Literal"}:
            return False
        if kind in MAPPINGS:
            held = held[-1:]
            if ast.unparse(held[0]).split(".")[-1] in ANYTHING:
                return True
        return any(self._says_nothing(each, module) for each in held)

    def _origin(self, name: str, module: Module) -> "Origin | None":
        """Where an alias called `name` in a module is assigned, through the modules that hand it on."""
        seen: set[tuple[str, str]] = set()
        while name and (module.name, name) not in seen:
            seen.add((module.name, name))
            if (module.name, name) in self.aliases:
                return Origin(module, name)
            first, _, rest = name.partition(".")
            source, imported = module.imported.get(first, ("", ""))
            if f"{source}.{imported}" in self.modules:
                source, imported = f"{source}.{imported}", ""
            if source not in self.modules:
                return None
            module, name = self.modules[source], ".".join(part for part in (imported, rest) if part)
        return None


@dataclass(frozen=True)
class Origin:
    """The module that assigns an alias, and what it is called there."""

    module: Module
    alias: str

    @property
    def name(self) -> str:
        """The module's name."""
        return self.module.name


def aliases(module: Module) -> dict[str, ast.expr]:
    """What a module assigns to names at its top level."""
    found: dict[str, ast.expr] = {}
    for node in module.tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
        elif type(node).__name__ == "TypeAlias":  # `type Row = …`, from Python 3.12 on
            found[node.name.id] = node.value  # type: ignore[attr-defined]
    return found
