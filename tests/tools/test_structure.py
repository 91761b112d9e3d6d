"""The house: which module may import which, and how large things may grow."""

import ast
from pathlib import Path

import pytest

from course_lib.paths import repo_root

LIBRARY = repo_root() / "course_lib"
# A module imports from floors below its own only. A folder is one room, inside which modules may meet.
FLOORS = [
    {"errors"},
    {"paths", "timebase", "profiles"},
    {"cache", "locks", "provenance", "events", "matching", "executed"},
    {"audio", "sounds"},
    {"synth", "timing", "video"},
    {"datasets"},
    {"features", "augment", "soundscapes"},
    {"pictures"},
    {"models"},
    {"metrics", "psds", "tagging", "cost", "streams", "checkpoints"},
    {"train", "mean_teacher", "embeddings"},
    {"study"},
    {"plots", "notebook", "checks"},
    {"exercises"},
    {"authoring", "doctor", "figures", "claims"},
    {"scene_claims", "by_class", "systems"},
    {"verdicts"},
    {"claim_parts"},
    {"all_claims", "study_figures", "reach"},
    {"expected"},
    {"runner"},
    {"report", "readme", "grading"},
    {"running", "study_cli", "teaching", "speed"},
    {"site"},
    {"cli"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
MODULES = sorted(p for p in LIBRARY.rglob("*.py") if p.name != "__init__.py")


def room(path: Path) -> str:
    return path.relative_to(LIBRARY).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    """Rooms of the library that a module imports, also inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "course_lib" else [f"course_lib.{a.name}" for a in node.names]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        found |= {n.split(".")[1] for n in names if n.startswith("course_lib.")}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(LIBRARY)))
def test_a_module_imports_from_below_only(path):
    own = room(path)
    assert own in FLOOR, f"{own} has no floor yet: add it to FLOORS"
    for other in imported_rooms(path) - {own}:
        assert FLOOR[other] < FLOOR[own], f"{own} (floor {FLOOR[own]}) imports {other} (floor {FLOOR[other]})"


def test_modules_of_one_folder_do_not_import_in_circles():
    for folder in (p for p in LIBRARY.iterdir() if p.is_dir() and not p.name.startswith("__")):
        graph = {}
        for path in folder.glob("*.py"):
            text = path.read_text(encoding="utf-8")
            graph[path.stem] = {p.stem for p in folder.glob("*.py") if p != path and names_module(text, folder, p.stem)}
        while graph:
            leaves = {name for name, needs in graph.items() if not needs & graph.keys()}
            assert leaves, f"modules of {folder.name} import each other in a circle: {sorted(graph)}"
            graph = {name: needs for name, needs in graph.items() if name not in leaves}


def names_module(text: str, folder: Path, stem: str) -> bool:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == f"course_lib.{folder.name}":
            if stem in {a.name for a in node.names}:
                return True
        elif isinstance(node, ast.ImportFrom) and node.module == f"course_lib.{folder.name}.{stem}":
            return True
    return False


@pytest.mark.parametrize("path", sorted(LIBRARY.rglob("__init__.py")), ids=lambda p: p.parent.name)
def test_packages_re_export_nothing(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        assert isinstance(node, ast.Expr | ast.Assign), f"{path}: holds more than a docstring and the version"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(LIBRARY)))
def test_modules_are_short_and_documented(path):
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), f"{path.name}: no docstring"
    assert len(text.splitlines()) <= 330, f"{path.name}: {len(text.splitlines())} lines; split it by thing"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            code = node.end_lineno - node.lineno + 1 - len((ast.get_docstring(node, clean=False) or "").splitlines())
            assert code <= 45, f"{path.name}: {node.name} has {code} lines besides its docstring"
        public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
        if public and node in tree.body:
            assert ast.get_docstring(node), f"{path.name}: {node.name} has no docstring"


def test_only_timebase_turns_time_into_samples():
    """`rate_hz * something / 1000` and the like belong to one module: a rounding done twice is done differently."""
    offenders = []
    for path in MODULES:
        if path.name in ("timebase.py",) or room(path) == "exercises":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "round")
            if call and node.args and isinstance(node.args[0], ast.BinOp):
                names = {n.id for n in ast.walk(node.args[0]) if isinstance(n, ast.Name)}
                names |= {n.attr for n in ast.walk(node.args[0]) if isinstance(n, ast.Attribute)}
                if any(n.endswith("rate_hz") or n in ("RATE_HZ", "sr") for n in names):
                    offenders.append(f"{path.name}:{node.lineno}")
    assert not offenders, f"use course_lib.timebase at {offenders}"


def test_versions_are_written_once():
    """environment.yml installs this project and names no package of its own but Python and pip."""
    lines = (repo_root() / "environment.yml").read_text(encoding="utf-8").splitlines()
    dependencies = [line.strip().removeprefix("- ") for line in lines if line.strip().startswith("- ")]
    assert dependencies == ["conda-forge", "nodefaults", "python=3.11", "pip", "pip:", "-e ."]
    python = dependencies[2].removeprefix("python=")
    project = (repo_root() / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={python},' in project
