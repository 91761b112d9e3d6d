"""Every notebook has a quiz: a few questions, each with an answer that is folded away, and no number of any run."""

import re
from pathlib import Path
from urllib.parse import unquote, urlparse

import nbformat
import pytest

from course_lib.tools import authoring, run_report

FOLDER = authoring.notebooks_dir() / authoring.QUIZZES
SOURCES = authoring.sources()
QUESTION = re.compile(
    r"## (\d)\n\n(?P<question>[^\n]+)\n\n<details>\n<summary>Answer</summary>\n\n(?P<answer>[^\n]+)\n\n</details>\n"
)
quiz = pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)


def text_of(source):
    return (FOLDER / f"{source.stem}.md").read_text(encoding="utf-8")


def test_there_is_a_quiz_for_every_notebook_and_none_without():
    assert {p.stem for p in FOLDER.iterdir()} == {p.stem for p in SOURCES}
    assert all(p.suffix == ".md" for p in FOLDER.iterdir())


@quiz
def test_it_has_three_to_five_questions_with_an_answer_each(source):
    found = list(QUESTION.finditer(text_of(source)))
    assert [m[1] for m in found] == [str(k + 1) for k in range(len(found))]
    assert 3 <= len(found) <= 5
    head = QUESTION.sub("", text_of(source))
    title = re.search(r"^# # (\d\d · .+)$", source.read_text(encoding="utf-8"), re.M)[1]
    assert head.startswith(f"# {title}: questions\n") and f"](../{source.stem}.ipynb)" in head
    assert "<details>" not in head and "## " not in head, "a question is not of the usual form"
    for m in found:
        assert m["question"].endswith(("?", ".")) and 4 <= len(m["question"].split()) <= 50, m["question"]
        assert 8 <= len(m["answer"].split()) <= 80, m["answer"]


@quiz
def test_it_holds_no_number_that_a_run_could_change(source):
    """Settings such as a hop in ms, or the name of a profile or a method, do not depend on a run; results would."""
    prose = " ".join(m["question"] + " " + m["answer"] for m in QUESTION.finditer(text_of(source)))
    results = re.findall(r"\d[\d.,]* ?(?:%|points?\b|dB\b|times\b|minutes\b)|\d+\.\d+", prose)
    assert not results, results


@quiz
def test_the_notebook_links_it_from_what_comes_next(source):
    text = source.read_text(encoding="utf-8")
    after = text.split("# ## What next", 1)[1].split("# ## References", 1)[0]
    assert after.count(f"]({authoring.QUIZZES}/{source.stem}.md)") == 1
    for solutions, link in ((False, f"]({authoring.QUIZZES}/"), (True, f"](../{authoring.QUIZZES}/")):
        notebook = authoring.convert(text, source.stem, solutions=solutions)
        (cell,) = [c for c in notebook.cells if f"{authoring.QUIZZES}/" in c.source]
        assert link in cell.source


@pytest.mark.parametrize("solutions", [False, True])
def test_the_page_of_an_executed_copy_leads_to_it_too(solutions, tmp_path):
    source = SOURCES[0]
    nbformat.write(
        authoring.convert(source.read_text(encoding="utf-8"), source.stem, solutions=solutions), tmp_path / "run.ipynb"
    )
    page = run_report.write_page(tmp_path / "run.ipynb").read_text(encoding="utf-8")
    (address,) = re.findall(r'href="([^"]*quizzes/[^"]*)"', page)
    assert Path(unquote(urlparse(address).path)) == FOLDER / f"{source.stem}.md"
