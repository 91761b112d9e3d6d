"""From an executed notebook to a page: folded solutions and drawing code, a link to the notebook itself.

Pure functions: notebooks and texts in, notebooks and texts out. Pages are in MyST, a Markdown with directives.
"""

import re
from collections.abc import Mapping, Sequence

from course_lib.errors import CourseError

MARKUP = re.compile(r"([\\`*_{}\[\]<>$#|~^])")
OURS = "application/vnd.course."
FOLDED = {"record": ("hide-cell", "The numbers that this run recorded"),
          "injected-parameters": ("hide-input", "What this run was asked for"),
          "hide-input": ("hide-input", "Code of the figure")}  # fmt: skip


def page(executed: Mapping, complete: Mapping, name: str, failure: str = "") -> dict:
    """The notebook `name` as a page.

    `executed` is the learner's copy after a run, `complete` the one with the answers, which may be newer: exercises
    find theirs by number. `failure` says what went wrong in the run, if anything did.
    """
    solutions = answers(complete)
    cells = []
    numbers = exercises(executed["cells"])
    for place, (cell, number) in enumerate(zip(executed["cells"], numbers, strict=True)):
        cells.append(_shown(cell))
        if place == 0:
            cells.append(_markdown(f"{name}-about", about(name, failure)))
        if number in solutions:
            cells.append(_markdown(f"{cell['id']}-solution", folded(number, solutions[number])))
    return {**executed, "cells": cells}


def about(name: str, failure: str = "") -> str:
    """What stands below the title of the page."""
    text = f"{{download}}`Download this notebook <../download/notebooks/{name}.ipynb>`"
    if failure:
        text += f"\n\n:::{{warning}}\nThis run of the notebook failed: {literal(failure)}\n:::"
    return text


def answers(complete: Mapping) -> dict[str, str]:
    """Complete code of every exercise, by the number in its heading.

    Cells tagged `solution`, which the learner's copy lacks, belong to the exercise before them.
    """
    found: dict[str, str] = {}
    last = ""
    cells = complete["cells"]
    for cell, number in zip(cells, exercises(cells), strict=True):
        code = "".join(cell["source"])
        if number:
            last = number
            found[last] = code
        elif "solution" in cell["metadata"].get("tags", []) and last and cell["cell_type"] == "code":
            found[last] += f"\n\n{code}"
    return found


def exercises(cells: Sequence[Mapping]) -> list[str]:
    """For each of `cells` the number of the exercise that is written in it, or an empty text.

    The number is that of the last heading "Exercise 01.2" above a cell tagged `exercise`.
    """
    numbers = []
    headed = ""
    for cell in cells:
        headings = re.findall(r"^#+ Exercise (\d\d\.\d)", "".join(cell["source"]), re.M)
        if cell["cell_type"] == "markdown" and headings:
            headed = headings[-1]
        numbers.append(headed if "exercise" in cell["metadata"].get("tags", []) else "")
    return numbers


def folded(number: str, code: str) -> str:
    """A solution under a heading that opens by mouse or keyboard."""
    head = f"::::{{dropdown}} Solution of exercise {number}\n:class-container: solution"
    return f"{head}\n\n````python\n{code}\n````\n::::"


def _shown(cell: Mapping) -> dict:
    """`cell` with its tags as the site wants them, without what its outputs hold for programs."""
    if cell["cell_type"] != "code":
        return dict(cell)
    metadata = dict(cell["metadata"])
    for tag, (fold, prompt) in FOLDED.items():
        if tag in metadata.get("tags", []):
            metadata["tags"] = list(dict.fromkeys([*metadata["tags"], fold]))
            metadata["mystnb"] = {"code_prompt_show": prompt, "code_prompt_hide": prompt}
    return {**cell, "metadata": metadata, "outputs": [_for_readers(output) for output in cell["outputs"]]}


def literal(text: str) -> str:
    """`text` so that no character of it is taken for markup."""
    return MARKUP.sub(r"\\\1", text)


def _for_readers(output: Mapping) -> dict:
    """`output` without what it holds for programs, the runner's own kinds."""
    if "data" not in output:
        return dict(output)
    return {**output, "data": {kind: value for kind, value in output["data"].items() if not kind.startswith(OURS)}}


def _markdown(key: str, text: str) -> dict:
    return {"cell_type": "markdown", "id": re.sub(r"[^\w-]", "-", key)[:64], "metadata": {}, "source": text}


# --- Pages that are made from texts of the repository: home, glossary, contents, launch


def home(text: str, readme: str) -> str:
    """The start page: `text` with the picture and the findings of README.md between its marks, which disappear.

    Raises
    ------
    CourseError
        One of the two pages lacks a mark.
    """
    for name in ("picture", "findings"):
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        for page, where in ((readme, "README.md"), (text, "site/home.md")):
            if page.count(begin) != 1 or page.count(end) != 1:
                raise CourseError(f"{where}: expected one {begin} and one {end}, for the start page of the site")
        before, rest = text.split(begin)
        text = before + readme.split(begin)[1].split(end)[0].strip() + rest.split(end)[1]
    return text


def glossary(style: str) -> str:
    """The words of the course, from the table in STYLE.md.

    Raises
    ------
    CourseError
        STYLE.md holds no table with the columns *we say*, *meaning* and *we avoid*.
    """
    table = re.search(r"^\| we say \| meaning \| we avoid \|\n\|[-| :]+\|\n((?:\|.*\|\n)+)", style, re.M)
    if table is None:
        raise CourseError("STYLE.md: no table '| we say | meaning | we avoid |', from which the glossary is made")
    lines = ["# Glossary", "", "One term for each concept, the one that the field uses.", "", ":::{glossary}"]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    for words, meaning, others in sorted(rows, key=lambda row: row[0].casefold()):
        lines += words.split(", ")
        instead = f" We avoid: {others}." if others else ""
        lines += [f"  {meaning[0].upper()}{meaning[1:]}.{instead}", ""]
    return "\n".join([*lines, ":::", ""])


def contents(parts: Mapping[str, Sequence[str]]) -> str:
    """Tables of contents, one for each part that has pages; they appear in the sidebar, not on the start page."""
    return "\n".join(
        "\n".join(["", ":::{toctree}", ":hidden:", f":caption: {caption}", "", *pages, ":::", ""])
        for caption, pages in parts.items()
        if pages
    )


def address(citation: str) -> tuple[str, str]:
    """Public address of the repository and the tag of its release, from CITATION.cff; empty without an address."""
    repository = re.search(r"^repository-code: *[\"']?([^\"'\s]+)", citation, re.M)
    version = re.search(r"^version: *[\"']?([^\"'\s]+)", citation, re.M)
    return (repository[1] if repository else ""), f"v{version[1]}"


def launch(text: str, repository: str, tag: str) -> str:
    """The page about opening the notebooks on hosted machines, from `repository` at `tag`."""
    name = repository.rstrip("/").removesuffix(".git").rpartition("/")[2]
    return text.format(name=name, repository=repository, tag=tag)
