"""The import and style rules of docs/architecture.md, each a function from a syntax tree to its offences."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAGES = (
    "collection",
    "features",
    "training",
    "prediction",
    "drift",
    "grading",
    "limits",
    "dispatch",
    "outreach",
    "release",
    "sla",
    "follow_up",
)
HEAVY = {"numpy", "pandas", "polars", "psycopg2", "pydantic", "scipy", "sklearn", "sqlalchemy", "xgboost"}
PICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
CLOCK_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "time.localtime",
    "time.gmtime",
}
# The edge, which gives `now` to everything else
MAY_READ_CLOCK = (
    "dags/",
    "plugins/",
    "include/loop.py",
    "include/commands/__init__.py",
    "include/desk/app.py",
    "include/orchestration/__init__.py",
    "include/analysis/__main__.py",
    "include/local/",
)
#: The rooms of the loop: what is true of a stage is true of what stages are made of.
LOOP = ("include/stages/", "include/models/", "include/clocks/", "include/subscribers/")
#: The caller asks what stands under the lock, then publishes.
WRITES_A_PERIOD = {"publish", "drop", "exchange", "supersede"}
LOCKED_BY_ANOTHER_MODULE = {("include/stages/collection/publisher.py", "publish")}
STAGES_MAY_IMPORT = (
    "include.config",
    "include.run",
    "include.database",
    "include.domain",
    "include.lake",
    "include.stages",
    "include.models",
    "include.clocks",
    "include.subscribers",
    "include.words",
)
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?)(_|$)", re.IGNORECASE)
# Words of the business that contain a forbidden one, and what months have in common
ALLOWED_NAMES = re.compile(r"manager_code|(account|customer|retention|branch)_manager|^common_\w+$")

Offences = Iterator[tuple[int, str]]


@dataclass(frozen=True)
class Rule:
    """One rule: the sentence it stands for, the files it holds in, and the check."""

    sentence: str
    applies: Callable[[str], bool]
    check: Callable[[ast.Module, str], Offences]

    def offences(self, source: str, path: str) -> list[str]:
        """The rule's findings in one file as `path:line: what`."""
        if not self.applies(path):
            return []
        return [f"{path}:{line}: {what}" for line, what in self.check(ast.parse(source), path)]


def project_files() -> list[str]:
    """Every Python file of the program, relative to the project root."""
    found = [path for folder in ("include", "dags", "plugins") for path in (ROOT / folder).rglob("*.py")]
    found += (ROOT / "sql" / "alembic").rglob("*.py")
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def imports(tree: ast.AST) -> Offences:
    """Every imported module with its line; `from a import b` yields both a and a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def top_level_imports(tree: ast.Module) -> Offences:
    """Imports that run when the module is loaded: outside functions and `if TYPE_CHECKING`."""
    pending: list[ast.stmt] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from imports(node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            pending.extend(node.orelse)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            pending.extend(child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt))


def root_of(module: str) -> str:
    """The top-level package of a dotted module."""
    return module.partition(".")[0]


def is_within(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted module is one of the packages or lies below one."""
    return any(module == package or module.startswith(package + ".") for package in packages)


def domain_imports(tree: ast.Module, path: str) -> Offences:
    """The domain imports the standard library and itself (chinese_calendar inside a function only)."""
    at_top = {module for _, module in top_level_imports(tree)}
    for line, module in imports(tree):
        if root_of(module) in sys.stdlib_module_names or is_within(module, ("include.domain",)):
            continue
        if root_of(module) == "chinese_calendar" and module not in at_top:
            continue
        yield line, f"the domain imports {module}"


def stage_imports(tree: ast.Module, path: str) -> Offences:
    """Stages know neither Airflow nor the web, and only the modules given to them by contract."""
    for line, module in imports(tree):
        is_foreign = module.startswith("include.") and not is_within(module, STAGES_MAY_IMPORT)
        if is_foreign or root_of(module) in {"airflow", "fastapi", "starlette", "flask"}:
            yield line, f"a stage imports {module}"


def page_imports(tree: ast.Module, path: str) -> Offences:
    """The JSON API stands beside the pages, not on top of them."""
    for line, module in imports(tree):
        if is_within(module, ("include.desk.pages",)):
            yield line, f"the API imports {module}"


def web_imports(tree: ast.Module, path: str) -> Offences:
    """What is done with tickets knows no request, page or template."""
    above = ("include.desk.web", "include.desk.pages", "include.desk.api", "fastapi", "starlette", "jinja2")
    for line, module in imports(tree):
        if is_within(module, above):
            yield line, f"a service of the desk imports {module}"


def dotted(node: ast.expr) -> str:
    """`a.b.c` as text, or an empty text for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


def calls(tree: ast.AST) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name it calls."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node, dotted(node.func)


def clock_reads(tree: ast.Module, path: str) -> Offences:
    """Only the edge reads the clock; everything else is given as_of and now."""
    for call, name in calls(tree):
        if ".".join(name.split(".")[-2:]) in CLOCK_CALLS:
            yield call.lineno, f"reads the clock with {name}()"


def connections_opened(tree: ast.Module, path: str) -> Offences:
    """Stages are given an open connection."""
    for call, name in calls(tree):
        if name.split(".")[-1] in {"create_engine", "connect", "connection_for"}:
            yield call.lineno, f"opens a connection with {name}()"


def simulator_imports(tree: ast.Module, path: str) -> Offences:
    """Nothing outside include/simulator and include/local knows the simulator."""
    for line, module in imports(tree):
        if is_within(module, ("include.simulator",)):
            yield line, f"imports {module}"


def truth_reads(tree: ast.Module, path: str) -> Offences:
    """Nothing reads the simulator's truth: no literal outside docstrings names it."""
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in documented:
            continue
        if isinstance(node.value, str) and re.search(r"(^|[^a-z])truth([^a-z]|$)", node.value):
            yield node.lineno, f"names the simulator's truth: {node.value!r}"


def source_of(module: str, root: Path) -> Path | None:
    """The file of a project module, if it is one."""
    stem = root / Path(*module.split("."))
    for candidate in (stem.with_suffix(".py"), stem / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def loaded_packages(tree: ast.Module, root: Path, seen: set[str]) -> set[str]:
    """Top-level packages that loading a module brings in, through project modules as well."""
    found = set()
    for _, module in top_level_imports(tree):
        found.add(root_of(module))
        source = source_of(module, root) if root_of(module) == "include" else None
        if source is not None and module not in seen:
            seen.add(module)
            found |= loaded_packages(ast.parse(source.read_text("utf-8")), root, seen)
    return found


def heavy_imports(tree: ast.Module, path: str) -> Offences:
    """Parsing a DAG or loading a plugin brings in no heavy library, directly or through include/."""
    for node in tree.body:
        brought = loaded_packages(ast.Module(body=[node], type_ignores=[]), ROOT, set())
        for package in sorted(brought & HEAVY):
            yield node.lineno, f"loads {package} when Airflow parses the file"


def pickles(tree: ast.Module, path: str) -> Offences:
    """Models are native JSON; nothing is pickled."""
    for line, module in imports(tree):
        if root_of(module) in PICKLERS:
            yield line, f"imports {module}"


def swallowed_errors(tree: ast.Module, path: str) -> Offences:
    """No bare except, and no broad one whose body does nothing."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        if node.type is None:
            yield node.lineno, "a bare except"
        elif dotted(node.type) in {"Exception", "BaseException"} and all(
            isinstance(line, ast.Pass | ast.Continue) for line in node.body
        ):
            yield node.lineno, f"swallows {dotted(node.type)}"


def is_built_text(node: ast.expr) -> bool:
    """Whether an expression builds text from parts: f-string, format, % or +."""
    if isinstance(node, ast.JoinedStr):
        return any(isinstance(part, ast.FormattedValue) for part in node.values)
    if isinstance(node, ast.BinOp):
        return isinstance(node.op, ast.Add | ast.Mod)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr == "format" and isinstance(node.func.value, ast.Constant)
    return False


def built_sql(tree: ast.Module, path: str) -> Offences:
    """SQL is parameterised: text() and execute() never receive a text built from parts."""
    for call, name in calls(tree):
        last = name.split(".")[-1] or (call.func.attr if isinstance(call.func, ast.Attribute) else "")
        if last not in {"text", "execute", "executemany", "exec_driver_sql"}:
            continue
        if call.args and is_built_text(call.args[0]):
            yield call.lineno, f"builds SQL inside {last}()"


def inline_sql(tree: ast.Module, path: str) -> Offences:
    """SQL of stages and desk lives in sql/*.sql under a name."""
    for line, module in imports(tree):
        if module == "sqlalchemy.text":
            yield line, "imports sqlalchemy.text; put the statement into sql/ and load() it"


def vague_names(tree: ast.Module, path: str) -> Offences:
    """Modules, classes and functions are named for what they do."""
    for part in Path(path).with_suffix("").parts:
        if FORBIDDEN_NAMES.search(part):
            yield 1, f"the path says nothing: {part}"
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", node.name)
            if FORBIDDEN_NAMES.search(words) and not ALLOWED_NAMES.search(words.lower()):
                yield node.lineno, f"the name says nothing: {node.name}"


def unordered_sums(tree: ast.Module, path: str) -> Offences:
    """Floats are added across columns by include/config/expressions/arithmetic.py, which fixes their order."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {"sum_horizontal", "mean_horizontal"}:
            yield node.lineno, f"adds floats in no fixed order with {node.attr}"


def unlocked_writes(tree: ast.Module, path: str) -> Offences:
    """Who publishes, drops or exchanges a period of the lake holds the lock all who do so share, or its caller does."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    called = {each.name: {name.rpartition(".")[2] for _, name in calls(each)} for each in functions}
    for name, function in [("", tree), *((each.name, each) for each in functions)]:
        who = [names for names in called.values() if name in names] or [{n for _, n in calls(function)}]
        is_held = all("hold" in names for names in who) or "hold" in called.get(name, ())
        if (path, name) in LOCKED_BY_ANOTHER_MODULE or is_held or (not name and functions):
            continue
        for call, written in calls(function):
            receiver, _, method = written.rpartition(".")
            if method in WRITES_A_PERIOD and receiver.rpartition(".")[2] == "lake":
                yield call.lineno, f"{method} without hold of include/lake/locks.py"


def under(*folders: str) -> Callable[[str], bool]:
    """Holds in these folders or files."""
    return lambda path: path.startswith(folders)


def outside(*folders: str) -> Callable[[str], bool]:
    """Holds everywhere else."""
    return lambda path: not path.startswith(folders)


RULES = {
    "domain": Rule("domain imports only the standard library", under("include/domain/"), domain_imports),
    "stages": Rule("stages import only their contract", under(*LOOP), stage_imports),
    "api": Rule("the API imports no page", under("include/desk/api/"), page_imports),
    "services": Rule(
        "what is done with tickets knows no web",
        under("include/desk/tickets/", "include/desk/calls/"),
        web_imports,
    ),
    "clock": Rule("only the edge reads the clock", outside(*MAY_READ_CLOCK), clock_reads),
    "connection": Rule("stages never open a connection", under(*LOOP, "include/domain/"), connections_opened),
    "simulator": Rule(
        "nothing knows the simulator",
        outside("include/simulator/", "include/local/"),
        simulator_imports,
    ),
    # the demo tells the simulated staff, not the loop, where it lies
    "truth": Rule(
        "nothing reads the simulator's truth",
        outside("include/simulator/", "include/local/demo.py"),
        truth_reads,
    ),
    "heavy": Rule("DAGs and plugins load quickly", under("dags/", "plugins/"), heavy_imports),
    "pickle": Rule("nothing is pickled", outside(), pickles),
    "except": Rule("no error is swallowed", outside(), swallowed_errors),
    "sql": Rule("SQL is never built from text", outside("include/local/"), built_sql),
    "inline": Rule("SQL lives in sql/", under(*LOOP, "include/desk/"), inline_sql),
    "locks": Rule(
        "a period of the lake is written under its lock",
        outside("include/lake/", "include/simulator/"),
        unlocked_writes,
    ),
    "sums": Rule("floats are added in a fixed order", outside(), unordered_sums),
    "names": Rule("names say what a thing does", outside(), vague_names),
}


def function_lengths(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Name and lines of every function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def named_statements() -> list[Path]:
    """Every file of named statements: what lies below sql/ and is no revision."""
    files = (ROOT / "sql").rglob("*.sql")
    return sorted(path for path in files if "revisions" not in path.parts)


def queries_loaded(tree: ast.AST) -> set[str]:
    """Names of the SQL files a module loads with load("...")."""
    return {
        call.args[0].value
        for call, name in calls(tree)
        if name.split(".")[-1] == "load" and call.args
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }
