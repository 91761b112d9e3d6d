"""A learner's own copies of the notebooks, in the folder `work/`, which git ignores.

A copy is never overwritten. Its metadata record from which version of the course's notebook it was taken, so that a
later call can tell whether the course has a newer one.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from course_lib.paths import atomic_write, repo_root
from course_lib.tools import authoring

STATE = "course_copy_of"  # in a notebook's metadata


def work_dir() -> Path:
    """Folder of the learner's copies, beside `notebooks/`."""
    return repo_root() / "work"


def prepare(folder: Path, fresh: Sequence[Path], console: Console) -> None:
    """Copy each notebook of the course that `folder` lacks, and put a new copy of those in `fresh` beside the old one.

    One line says which notebooks of the course have changed since they were copied.
    """
    folder.mkdir(parents=True, exist_ok=True)
    copied, changed = [], []
    for notebook in sorted(authoring.notebooks_dir().glob("[0-9][0-9]_*.ipynb")):
        own = folder / notebook.name
        if not own.exists():
            atomic_write(own, copy_of(notebook))
            copied.append(notebook.name)
        elif notebook in fresh:
            place = _free_name(own)
            atomic_write(place, copy_of(notebook))
            console.print(f"{place}: the course's notebook as it is now; {own.name} stays as it was", soft_wrap=True)
        elif _is_behind(notebook, folder):
            changed.append(authoring.number(notebook))
    if copied:
        count = f"{len(copied)} notebooks" if len(copied) > 1 else copied[0]
        console.print(f"{folder}: copied {count}; work there, git ignores it", soft_wrap=True)
    if changed:
        names = ",".join(changed)
        console.print(
            f"changed in the course since you copied them: {names}; your copies stay as they are, and "
            f"`course work --fresh {names}` puts new ones beside them",
            soft_wrap=True,
        )


def copy_of(notebook: Path) -> str:
    """The learner's copy of a notebook of the course, as JSON, with links that lead from another folder."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"][STATE] = state(notebook)
    for cell in content["cells"]:
        if cell["cell_type"] == "markdown":
            text = "".join(cell["source"])
            target = f"](../{authoring.notebooks_dir().name}/{authoring.QUIZZES}/"
            cell["source"] = text.replace(f"]({authoring.QUIZZES}/", target)
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def state(notebook: Path) -> str:
    """16 hexadecimal digits that identify the version of a notebook of the course."""
    return hashlib.sha256(notebook.read_bytes()).hexdigest()[:16]


def _is_behind(notebook: Path, folder: Path) -> bool:
    """Whether copies of `notebook` are in `folder`, and none of them is of its current version."""
    states = [_state_of_copy(path) for path in folder.glob(f"{notebook.stem}*.ipynb")]
    return any(states) and state(notebook) not in states


def _state_of_copy(path: Path) -> str:
    try:
        return json.loads(path.read_text(encoding="utf-8"))["metadata"].get(STATE, "")
    except (
        OSError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
    ):  # the learner's file, whatever it is
        return ""


def _free_name(own: Path) -> Path:
    """A name beside `own` that no file has yet."""
    place, count = own.with_stem(f"{own.stem}-fresh"), 1
    while place.exists():
        count += 1
        place = own.with_stem(f"{own.stem}-fresh-{count}")
    return place
