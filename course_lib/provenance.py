"""Where a number comes from: date, commit, code, versions, machine."""

import ast
import hashlib
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from course_lib.paths import checkout

DISTRIBUTION = "temporal-resolution-course"  # the name of the wheel
PACKAGES = ("numpy", "scipy", "librosa", "torch", "torchaudio", "scikit-learn")
# What computes the rows of the study
COMPUTING = ("audio", "data", "models", "scenes", "evaluation", "training", "study/clip_run.py", "study/scene_run.py")
WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Written by the runs that record the commit, so a change in them does not count
MEASURED = (":!tests/expected", ":!bench/results", ":!study/results", ":!README.md")


def provenance() -> dict[str, str]:
    """Date, commit and environment of this run."""
    return {"date": now(), "commit": commit(), **environment()}


def now() -> str:
    """The current time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def commit() -> str:
    """The checked-out commit, with `+changes` if any file but measured results has changed.

    `unknown` outside git; the version if the library was installed from a wheel.
    """
    root = checkout()
    if root is None:
        return f"version {version(DISTRIBUTION)}"
    try:
        git = ["git", "-C", str(root)]
        sha = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "-uno", "--", ".", *MEASURED], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return sha.stdout.strip() + ("+changes" if dirty.stdout.strip() else "")


@lru_cache
def code_hash(library: Path = Path(__file__).parent) -> str:
    """16 hexadecimal digits over the modules that compute a row of the study: `COMPUTING`.

    Comments, docstrings, layout and the Python version do not affect it. It is computed once per process, because the
    process keeps running the modules that it has imported.
    """
    modules = [path for name in COMPUTING for path in sorted([library / name, *(library / name).rglob("*.py")])]
    words: list[str] = []
    for path in modules:
        if path.is_file():
            words.append(path.relative_to(library).as_posix())
            _outline(ast.parse(path.read_bytes()), words)
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:16]


def _outline(node: ast.AST, words: list[str]) -> None:
    """Append a syntax tree to `words`, without docstrings and empty fields, such as those that newer Pythons add."""
    words.append(type(node).__name__)
    for name in node._fields:
        value = getattr(node, name, None)
        if name == "body" and isinstance(node, WITH_DOCSTRING) and ast.get_docstring(node, clean=False) is not None:
            value = value[1:]
        if value is None or value == []:
            continue
        words.append(name)
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                _outline(part, words)
            else:
                words.append(repr(part))
    words.append("end")


@lru_cache(maxsize=1)
def processor() -> str:
    """The model of this machine's processor, such as `Apple M2`, or its architecture if the model is unknown.

    On Linux with its family, model and stepping: a cloud gives the same name to processors that round differently, so
    that the same row gets other numbers.
    """
    found = ""
    try:
        if platform.system() == "Linux":
            found = _described(Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        elif platform.system() == "Darwin":
            asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
            found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        else:
            found = os.environ.get("PROCESSOR_IDENTIFIER", "")
    except (OSError, subprocess.CalledProcessError):
        pass
    return " ".join(found.split()) or platform.machine()


def _described(cpuinfo: str) -> str:
    """The first processor in the text of `/proc/cpuinfo`: its name and numbers; empty if it has no name."""
    fields = dict(re.findall(r"^([\w ]+?)\s*: (.*)$", cpuinfo.partition("\n\n")[0], re.MULTILINE))
    numbers = [f"{name.split()[-1]} {fields[name]}" for name in ("cpu family", "model", "stepping") if name in fields]
    name = fields.get("model name", "")
    return f"{name} ({', '.join(numbers)})" if name and numbers else name


def environment() -> dict[str, str]:
    """What a result may depend on besides the code: versions, machine, threads."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": str(os.cpu_count()),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }
