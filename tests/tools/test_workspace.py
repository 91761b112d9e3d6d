"""A learner's copies: made once, never written over, and told apart from newer notebooks of the course."""

import json

import nbformat
import pytest
from helpers import HEAD, RECORD
from rich.console import Console

from course_lib import paths
from course_lib.tools import authoring, workspace

LINK = "\n# %% [markdown]\n# [Questions](quizzes/01_a.md), [more](https://x.org/quizzes/1)\n"


def write(tmp_path, name, source):
    """The course's notebook for learners."""
    notebook = authoring.convert(source, name, solutions=False)
    nbformat.write(notebook, tmp_path / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of two notebooks; calling it gives what `prepare` prints."""
    (tmp_path / "notebooks").mkdir()
    write(tmp_path, "01_a", HEAD + LINK + RECORD)
    write(tmp_path, "02_b", HEAD + RECORD)
    monkeypatch.setattr(authoring, "notebooks_dir", lambda: tmp_path / "notebooks")

    def prepare(*fresh):
        console = Console(record=True, quiet=False, width=500, file=(tmp_path / "log").open("w"))
        workspace.prepare(tmp_path / "work", [tmp_path / "notebooks" / name for name in fresh], console)
        return console.export_text()

    return prepare


def rewrite(tmp_path):
    """Change both notebooks of the course, and return what the learner had written into the first."""
    own = tmp_path / "work" / "01_a.ipynb"
    notebook = nbformat.read(own, as_version=4)
    notebook.cells[-1].source = "answer = 'mine'"
    nbformat.write(notebook, own)
    write(tmp_path, "01_a", HEAD + LINK + "\n# %%\nnew = 1\n" + RECORD)
    return own.read_bytes()


def test_copies_are_made_once_and_lead_to_the_quizzes(course, tmp_path):
    assert "copied 2 notebooks" in course() and course() == ""
    notebook = nbformat.read(tmp_path / "work" / "01_a.ipynb", as_version=4)
    nbformat.validate(notebook)
    text = "\n".join(cell.source for cell in notebook.cells)
    assert "](../notebooks/quizzes/01_a.md)" in text and "(https://x.org/quizzes/1)" in text
    (tmp_path / "work" / "02_b.ipynb").unlink()
    assert "copied 02_b.ipynb" in course()


def test_a_changed_notebook_is_named_and_the_learners_copy_stays(course, tmp_path):
    course()
    mine = rewrite(tmp_path)
    for _ in range(2):
        said = course()
        assert "since you copied them: 01;" in said and "course work --fresh 01`" in said and said.count("\n") == 1
    assert (tmp_path / "work" / "01_a.ipynb").read_bytes() == mine


def test_a_fresh_copy_lies_beside_the_old_one(course, tmp_path):
    course()
    mine = rewrite(tmp_path)
    assert "01_a-fresh.ipynb" in course("01_a.ipynb") and course() == ""
    assert "new = 1" in (tmp_path / "work" / "01_a-fresh.ipynb").read_text()
    course("01_a.ipynb")
    names = {path.name for path in (tmp_path / "work").iterdir()}
    assert names == {"01_a.ipynb", "01_a-fresh.ipynb", "01_a-fresh-2.ipynb", "02_b.ipynb"}
    assert (tmp_path / "work" / "01_a.ipynb").read_bytes() == mine


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"metadata": null}', '{"metadata": {}, "cells": []}'])
def test_whatever_lies_there_stays(course, tmp_path, content):
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "01_a.ipynb").write_text(content)
    assert "copied 02_b.ipynb" in course() and course() == ""
    assert (tmp_path / "work" / "01_a.ipynb").read_text() == content


def test_git_ignores_the_copies():
    assert "work/" in (paths.repo_root() / ".gitignore").read_text(encoding="utf-8").split()
    assert workspace.work_dir() == paths.repo_root() / "work"


def test_a_saved_copy_keeps_its_state(course, tmp_path):
    """JupyterLab keeps metadata that it does not know, and so does nbformat."""
    course()
    own = tmp_path / "work" / "01_a.ipynb"
    nbformat.write(nbformat.read(own, as_version=4), own)
    assert json.loads(own.read_text())["metadata"][workspace.STATE] == workspace.state(
        tmp_path / "notebooks/01_a.ipynb"
    )
