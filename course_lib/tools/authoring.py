"""From one text source to the learner's notebook and the complete one.

`notebooks/source/NN_name.py` (jupytext's percent format) holds everything once. In it

- lines between `### BEGIN SOLUTION` and `### END SOLUTION` are an answer: the learner sees one line to fill in instead;
- a cell tagged `solution` is for the complete copy only;
- the one cell tagged `parameters` holds what the runner may change;
- a cell tagged `hide-input` only draws: its code is folded in JupyterLab and on the site.

The functions here take and return texts and notebooks; only `sources` and `rendered` read files, and only
`write_notebooks` writes them.
"""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.errors import CourseError, UsageError
from course_lib.paths import repo_root, write_if_changed

if TYPE_CHECKING:
    from nbformat import NotebookNode

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
TO_FILL_IN = "...  # your answer"
QUIZZES = "quizzes"  # a folder beside the notebooks, with questions to each of them
FOLDED = "hide-input"  # tag of cells whose code is folded
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
STANDARD_PARAMETERS = ("profile", "dataset", "seed")


@dataclass(frozen=True)
class Parameter:
    """One line of a `parameters` cell: its name, its default as written, the help in its trailing comment."""

    name: str
    default: object
    help: str


def notebooks_dir() -> Path:
    """Folder of the learner's notebooks."""
    return repo_root() / "notebooks"


def sources() -> list[Path]:
    """Sources of all notebooks in the course's order."""
    return sorted((notebooks_dir() / "source").glob("[0-9][0-9]_*.py"))


def number(path: Path | str) -> str:
    """The two digits of a notebook's name."""
    return Path(path).name[:2]


def without_answers(code: str, where: str = "cell") -> str:
    """`code` with every answer replaced by one line to fill in, at the answer's own indentation.

    Raises
    ------
    CourseError
        A mark without its partner: the answer would be shown to the learner, or the rest of the cell lost.
    """
    kept, inside = [], False
    for line in code.splitlines():
        mark = line.strip()
        if mark in (BEGIN, END):
            if (mark == BEGIN) == inside:
                raise CourseError(f"{where}: {mark!r} without its partner; each BEGIN needs one END after it")
            inside = mark == BEGIN
            if inside:
                kept.append(line[: len(line) - len(line.lstrip())] + TO_FILL_IN)
        elif not inside:
            kept.append(line)
    if inside:
        raise CourseError(f"{where}: {BEGIN!r} without its partner; each BEGIN needs one END after it")
    return "\n".join(kept)


def with_answers(code: str) -> str:
    """`code` complete, without the marks."""
    return "\n".join(line for line in code.splitlines() if line.strip() not in (BEGIN, END))


def convert(source: str, name: str, *, solutions: bool) -> "NotebookNode":
    """The notebook written in `source`: complete with `solutions`, else the learner's copy. No outputs.

    A cell's id is its place in the source, so that regenerating changes nothing but what was edited.
    """
    import jupytext  # seconds to import, with nbformat
    import nbformat

    notebook = jupytext.reads(source, fmt="py:percent")
    cells = []
    for place, cell in enumerate(notebook.cells):
        tags = cell.metadata.get("tags", [])
        if "solution" in tags and not solutions:
            continue
        if cell.cell_type == "code":
            where = f"{name}, cell {place}"
            cell.source = with_answers(cell.source) if solutions else without_answers(cell.source, where)
        elif solutions:
            cell.source = cell.source.replace(f"]({QUIZZES}/", f"](../{QUIZZES}/")  # these copies are one folder deeper
        cell.id = f"nb{number(name)}-{place:03d}"
        cell.metadata = {"tags": tags} if tags else {}
        if FOLDED in tags:
            cell.metadata["jupyter"] = {"source_hidden": True}  # for JupyterLab; the site uses the tag
        cells.append(cell)
    about = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=about)


def rendered(source_path: Path) -> dict[Path, str]:
    """What the two notebooks of `source_path` should hold: `{path: JSON text}`."""
    import nbformat

    text = source_path.read_text(encoding="utf-8")
    folders = {False: notebooks_dir(), True: notebooks_dir() / "solutions"}
    return {
        folder / f"{source_path.stem}.ipynb": nbformat.writes(convert(text, source_path.stem, solutions=full)) + "\n"
        for full, folder in folders.items()
    }


def write_notebooks() -> list[Path]:
    """Write every notebook whose text differs from its source; returns what changed."""
    changed = []
    for source_path in sources():
        for path, text in rendered(source_path).items():
            changed += write_if_changed(path, text)
    return changed


def parameters(notebook: Mapping, name: str = "notebook") -> list[Parameter]:
    """The parameters that `notebook` takes, in order.

    Stricter than papermill's own inspection, which skips what it cannot read: here every line must be
    `name: type = literal  # help`.

    Raises
    ------
    UsageError
        There is not exactly one `parameters` cell, or a line of it has another form.
    """
    cells = [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]
    if len(cells) != 1:
        raise UsageError(f"{name}: {len(cells)} cells are tagged 'parameters'; a notebook has exactly one")
    code, found = "".join(cells[0]["source"]), []
    lines = code.splitlines()
    for statement in ast.parse(code).body:
        line = lines[statement.lineno - 1]
        try:
            if not isinstance(statement, ast.AnnAssign) or statement.lineno != statement.end_lineno:
                raise ValueError
            value = ast.literal_eval(statement.value)
            comment = re.search(r"  # (\S.*)$", line).group(1)
        except (ValueError, TypeError, AttributeError):
            raise UsageError(f"{name}: parameter line {line!r} is not `name: type = literal  # help`") from None
        found.append(Parameter(statement.target.id, value, comment))
    return found


def check_parameters(given: dict[str, object], notebook: Mapping, name: str) -> None:
    """Refuse parameters that `notebook` lacks or of the wrong type; papermill would only warn and use the defaults.

    Raises
    ------
    UsageError
        An unknown name, or a value of another type than the default.
    """
    known = {p.name: p for p in parameters(notebook, name)}
    for key, value in given.items():
        if key not in known:
            raise UsageError(f"{name}: no parameter {key!r}; it takes {', '.join(known)}")
        wanted = type(known[key].default)
        number_given = wanted is float and isinstance(value, int) and not isinstance(value, bool)
        if not (type(value) is wanted or number_given):
            raise UsageError(f"{name}: {key}={value!r} is {type(value).__name__}, expected {wanted.__name__}")
