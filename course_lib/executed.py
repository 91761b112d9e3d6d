"""Executed notebooks: where one may be written, and how far one came, as one line on an error or an unended cell."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from course_lib.errors import UsageError


def refuse_to_replace(path: Path) -> None:
    """A run writes where a run has written before, and never over a notebook of the course or of a learner.

    Raises
    ------
    UsageError
        `path` is a notebook that papermill did not write.
    """
    try:
        ours = "papermill" in json.loads(path.read_text(encoding="utf-8"))["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or half of one that a killed run left
    if not ours:
        raise UsageError(f"{path}: a notebook that no run has written; give --output another folder")


def _code_cells(notebook: Mapping) -> list[Mapping]:
    return [
        cell
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        and "".join(cell["source"]).strip()
        and "injected-parameters" not in cell["metadata"].get("tags", [])  # papermill's own, not in the reader's count
    ]


def raised(notebook: Mapping) -> str:
    """The error inside an executed notebook, in one line with its cell; empty where there is none."""
    code = _code_cells(notebook)
    for place, cell in enumerate(code, start=1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                what = f"{output['ename']}: {output['evalue']}".strip().removesuffix(":")
                return f"cell {place} of {len(code)} ({_first_line(cell)}): {what}"
    return ""


def never_ran(notebook: Mapping) -> str:
    """The first code cell that was not executed to its end, in one line; empty when all were."""
    code = _code_cells(notebook)
    place = next((place for place, cell in enumerate(code) if cell.get("execution_count") is None), None)
    return "" if place is None else _unfinished(code, place)


def died_in(notebook: Mapping) -> str:
    """The last code cell that was begun, in one line: a kernel may or may not have counted it before it died in it."""
    code = _code_cells(notebook)
    begun = [place for place, cell in enumerate(code) if cell["metadata"].get("papermill", {}).get("start_time")]
    return _unfinished(code, begun[-1]) if begun else never_ran(notebook)


def _unfinished(code: Sequence[Mapping], place: int) -> str:
    return f"cell {place + 1} of {len(code)} ({_first_line(code[place])}) never ran to its end"


def _first_line(cell: Mapping) -> str:
    lines = [line for line in "".join(cell["source"]).splitlines() if line.strip() and not line.startswith("#")]
    return (lines or ["only comments"])[0][:60]
