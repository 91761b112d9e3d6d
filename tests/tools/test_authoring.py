"""From source to notebooks: answers are taken out whole, marks must pair, parameters must be readable."""

import re
from dataclasses import replace

import nbformat
import pytest

from course_lib.analysis import figures
from course_lib.errors import CourseError, UsageError
from course_lib.paths import repo_root
from course_lib.tools import authoring, readme, results, timetables

SOURCE = """# %% [markdown]
# # 01 · Title

# %% tags=["parameters"]
profile: str = "smoke"  # how much
hop_ms: float = 10.0  # the hop; = is allowed here

# %% tags=["exercise"]
def f(x):
    ### BEGIN SOLUTION
    y = x + 1
    return y
    ### END SOLUTION

# %% [markdown] tags=["solution"]
# Why it is so.
"""


def test_learner_sees_a_line_to_fill_in_and_no_solution_cell():
    learner = authoring.convert(SOURCE, "01_x", solutions=False)
    assert [c.cell_type for c in learner.cells] == ["markdown", "code", "code"]
    assert learner.cells[2].source == "def f(x):\n    ...  # your answer"
    assert learner.metadata.kernelspec.language == "python"
    nbformat.validate(learner)


def test_complete_copy_has_everything_but_the_marks():
    full = authoring.convert(SOURCE, "01_x", solutions=True)
    assert full.cells[2].source == "def f(x):\n    y = x + 1\n    return y"
    assert full.cells[3].source == "Why it is so."
    assert [c.id for c in full.cells] == [f"nb01-{i:03d}" for i in range(4)]


def test_both_copies_are_the_same_every_time():
    for solutions in (True, False):
        texts = {nbformat.writes(authoring.convert(SOURCE, "01_x", solutions=solutions)) for _ in range(3)}
        assert len(texts) == 1


@pytest.mark.parametrize(
    "code",
    [
        "### BEGIN SOLUTION\n1",
        "1\n### END SOLUTION",
        "### BEGIN SOLUTION\n### BEGIN SOLUTION\n### END SOLUTION",
        "### BEGIN SOLUTION\n1\n### END SOLUTION\n### END SOLUTION",
    ],
)
def test_a_mark_without_its_partner_is_an_error(code):
    with pytest.raises(CourseError, match="without its partner"):
        authoring.without_answers(code)


def test_parameters_are_read_with_help():
    found = authoring.parameters(authoring.convert(SOURCE, "01_x", solutions=False))
    assert [(p.name, p.default) for p in found] == [("profile", "smoke"), ("hop_ms", 10.0)]
    assert found[1].help == "the hop; = is allowed here"


@pytest.mark.parametrize(
    "line",
    [
        "hop_ms = 10.0  # no type",
        "hop_ms: float = 10.0",
        "hop_ms: float = 2 * 5.0  # derived",
        "hops: tuple = (1,\n2)  # two lines",
        "hop_ms: float = x  # a name",
        "import os  # not a parameter",
    ],
)
def test_a_parameter_line_of_another_form_is_refused(line):
    notebook = {"cells": [{"cell_type": "code", "source": line, "metadata": {"tags": ["parameters"]}}]}
    with pytest.raises(UsageError, match="is not `name: type = literal"):
        authoring.parameters(notebook, "x")


@pytest.mark.parametrize("count", [0, 2])
def test_there_is_exactly_one_parameters_cell(count):
    cell = {"cell_type": "code", "source": "a: int = 1  # one", "metadata": {"tags": ["parameters"]}}
    with pytest.raises(UsageError, match=f"{count} cells are tagged 'parameters'"):
        authoring.parameters({"cells": [cell] * count}, "x")


def test_whole_numbers_are_floats_but_not_the_other_way_round():
    notebook = authoring.convert(SOURCE, "01_x", solutions=False)
    authoring.check_parameters({"hop_ms": 5}, notebook, "01_x")
    with pytest.raises(UsageError, match="hop_ms='5' is str, expected float"):
        authoring.check_parameters({"hop_ms": "5"}, notebook, "01_x")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("README.md", readme.PARTS),
        ("study/RESULTS.md", results.PARTS),
        ("INSTRUCTORS.md", timetables.parts()),
        ("bench/README.md", readme.BENCH_PARTS),
    ],
)
def test_a_page_equals_what_its_tables_are_made_from(name, parts):
    text = (repo_root() / name).read_text(encoding="utf-8")
    assert readme.filled(text, parts, name) == text, "run `make generate`"


def test_readme_names_every_notebook_and_fits_a_screen_and_a_half():
    text = readme.readme_path().read_text(encoding="utf-8")
    for source in authoring.sources():
        assert f"notebooks/{source.stem}.ipynb" in text
    assert len(text.encode()) <= 7000


def test_pictures_of_the_study_are_drawn_from_the_published_rows():
    assert [one.name for one in figures.stale()] == [], "run `make generate`"
    text = results.path().read_text(encoding="utf-8")
    shown = re.findall(r"\]\(results/(\S+\.png)\)", text)
    drawn = {name for name, one in figures.FIGURES.items() if one.source}  # of grids that have rows
    assert set(shown) == drawn - {"front.png"} and len(shown) == len(set(shown))


def test_a_picture_is_drawn_again_if_its_words_change(monkeypatch):
    renamed = replace(figures.FIGURES["widths.png"], text=lambda answers: "other words")
    monkeypatch.setattr(figures, "FIGURES", {"widths.png": renamed})
    assert [one.name for one in figures.stale()] == ["widths.png"]


def test_a_page_without_its_marks_is_an_error():
    with pytest.raises(CourseError, match=r"^INSTRUCTORS\.md: expected one <!-- minutes -->"):
        readme.filled("# Nothing", {"minutes": str}, "INSTRUCTORS.md")
