"""The house: packages import downwards in one order, without circles, and everything public says what it is."""

import ast
from pathlib import Path

import pytest

from course_lib.paths import repo_root

LIBRARY = repo_root() / "course_lib"
# From the ground up. A package imports from those before it; inside a package modules may meet, but not in a circle.
ORDER = (
    "errors", "checked", "paths", "profiles", "provenance", "plots",  # the ground
    "audio", "data", "models", "scenes", "evaluation", "training", "api",  # science
    "study", "analysis",  # the study
    "lesson", "tools", "cli",  # the course
)  # fmt: skip
MODULES = sorted(path for path in LIBRARY.rglob("*.py") if path.name != "__init__.py")
PUBLIC = sorted(LIBRARY.rglob("*.py"))


def dotted(path: Path) -> str:
    """The name under which a module is imported."""
    return ".".join(path.relative_to(LIBRARY.parent).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Modules of the library that a module imports, also inside its functions."""
    names = {dotted(p) for p in PUBLIC}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & names) or {node.module}
    return found & names


def package(name: str) -> str:
    """The package of a module, or the module itself where it lies on the ground."""
    return [*name.split("."), ""][1]


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_package_imports_downwards_only(path):
    own = package(dotted(path))
    assert own in ORDER, f"{own} has no place yet: add it to ORDER"
    for name in imports(path):
        other = package(name)
        if other and other != own:
            assert ORDER.index(other) < ORDER.index(own), f"{dotted(path)} imports {name}, which stands above it"


def test_no_modules_import_each_other_in_a_circle():
    graph = {dotted(path): imports(path) - {dotted(path)} for path in MODULES}
    while graph:
        leaves = {name for name, needs in graph.items() if not needs & graph.keys()}
        assert leaves, f"these import each other in a circle: {', '.join(sorted(graph))}"
        graph = {name: needs for name, needs in graph.items() if name not in leaves}


@pytest.mark.parametrize("path", PUBLIC, ids=dotted)
def test_public_things_have_docstrings(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{dotted(path)}: no docstring"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{dotted(path)}: {node.name} has no docstring"


def test_only_timebase_turns_time_into_samples():
    """`rate_hz * something / 1000` and the like belong to one module: a rounding done twice is done differently."""
    offenders = []
    for path in MODULES:
        if path.name == "timebase.py" or path.parent.name == "exercises":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "round")
            if call and node.args and isinstance(node.args[0], ast.BinOp):
                names = {n.id for n in ast.walk(node.args[0]) if isinstance(n, ast.Name)}
                names |= {n.attr for n in ast.walk(node.args[0]) if isinstance(n, ast.Attribute)}
                if any(name.endswith("rate_hz") or name in ("RATE_HZ", "sr") for name in names):
                    offenders.append(f"{path.name}:{node.lineno}")
    assert not offenders, f"use course_lib.audio.timebase at {offenders}"


def test_versions_are_written_once():
    """environment.yml installs this project and names no package of its own but Python and pip."""
    lines = (repo_root() / "environment.yml").read_text(encoding="utf-8").splitlines()
    dependencies = [line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")]
    assert dependencies == ["conda-forge", "nodefaults", "python=3.11", "pip", "pip:", "-e ."]
    python = dependencies[2].removeprefix("python=")
    project = (repo_root() / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={python},' in project
