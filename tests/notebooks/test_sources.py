"""Every notebook follows the skeleton, stays small, and equals its source."""

import ast
import json
import re

import pytest
from helpers import LINE

from course_lib import profiles
from course_lib.lesson.checks import NOT_ATTEMPTED, judge
from course_lib.tools import authoring

SOURCES = authoring.sources()
SECTIONS = ["## You will be able to", "## Before you start", "## What we saw", "## What next", "## References"]
source = pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)


def cells(path, kind=None):
    notebook = authoring.convert(path.read_text(encoding="utf-8"), path.stem, solutions=True)
    return [c for c in notebook.cells if kind is None or c.cell_type == kind]


def exercises(path):
    return re.findall(r'^check\("(\d\d\.\d)"', "\n".join(c.source for c in cells(path, "code")), re.M)


def test_numbers_follow_each_other():
    assert [authoring.number(p) for p in SOURCES] == [f"{i:02d}" for i in range(len(SOURCES))]


@source
def test_committed_notebooks_equal_their_source(path):
    for notebook, text in authoring.rendered(path).items():
        assert notebook.exists(), f"{notebook.name} is missing; run `make generate`"
        assert json.loads(notebook.read_text(encoding="utf-8")) == json.loads(text), (
            f"{notebook} differs from its source; edit the source and run `make generate`"
        )


def test_no_notebook_without_a_source():
    stems = {p.stem for p in SOURCES}
    for folder in (authoring.notebooks_dir(), authoring.notebooks_dir() / "solutions"):
        assert {p.stem for p in folder.glob("*.ipynb")} == stems


@source
def test_skeleton(path):
    texts = [c.source for c in cells(path, "markdown")]
    assert texts[0].startswith(f"# {authoring.number(path)} · ")
    headings = [line for text in texts for line in text.splitlines() if line.startswith("## ")]
    assert [h for h in headings if h in SECTIONS] == SECTIONS
    assert "minute" in next(t for t in texts if t.startswith("## Before you start"))
    assert "record" in cells(path, "code")[-1].metadata.get("tags", [])
    assert re.search(r"doi:10\.\d{4,}/\S+", texts[-1])


def too_long(path):
    """Lines of the generated notebooks with more than 88 characters, of text only if they could be wrapped."""
    text = path.read_text(encoding="utf-8")
    found = []
    for solutions in (False, True):
        for cell in authoring.convert(text, path.stem, solutions=solutions).cells:
            for line in cell.source.splitlines():
                wrapped = line
                if cell.cell_type == "markdown":
                    wrapped = "" if line.startswith(("#", "|")) else re.sub(r"\]\([^)]*\)|https?://\S+", "", line)
                if len(wrapped) > LINE:
                    found.append(line)
    return found


@source
def test_lines_fit_on_a_page(path):
    assert too_long(path) == []


@source
def test_parameters(path):
    notebook = authoring.convert(path.read_text(encoding="utf-8"), path.stem, solutions=False)
    found = {p.name: p for p in authoring.parameters(notebook, path.stem)}
    assert list(found)[:3] == list(authoring.STANDARD_PARAMETERS)
    assert found["profile"].default in profiles.PROFILES


def calls(path, name):
    """Calls of `name` or of a method `name` in the code of a notebook."""
    tree = ast.parse("\n".join(c.source for c in cells(path, "code")))
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Call)]
    return [n for n in found if name in (getattr(n.func, "id", ""), getattr(n.func, "attr", ""))]


@source
def test_figures_and_sounds_go_through_the_library(path):
    code = "\n".join(c.source for c in cells(path, "code"))
    assert "plt.show(" not in code and "Audio(" not in code
    drawn = any(calls(path, name) for name in ("subplots", "figure"))
    assert not drawn or any(calls(path, name) for name in ("show", "scrub"))
    assert 1 <= len(calls(path, "play")) + len(calls(path, "play_pair")) <= 6


@source
def test_every_figure_and_sound_is_described_in_words(path):
    """Words that are written, not what a variable brings: `alt=name` would be refused here."""
    described = (("show", "alt", 4), ("scrub", "alt", 4), ("play", "describe", 2), ("play_pair", "describe", 2))
    for name, argument, fewest in described:
        for call in calls(path, name):
            (given,) = [k.value for k in call.keywords if k.arg == argument]
            text = " ".join(
                n.value for n in ast.walk(given) if isinstance(n, ast.Constant) and isinstance(n.value, str)
            )
            own = isinstance(given, ast.Call) and "text" in ast.unparse(given.func)  # said by `figures`, tested there
            assert own or len(text.split()) >= fewest, ast.unparse(call)


@source
def test_predictions_and_answers_belong_together(path):
    """Every prediction is answered further below, and the learner's copy has none."""
    predictions = [c for c in calls(path, "predict") if c.args and isinstance(c.args[0], ast.Constant)]  # not a model's
    asked = [call.args[0].value for call in predictions]
    answered = [call.args[0].value for call in calls(path, "answer")]
    assert len(set(asked)) == len(asked) and sorted(asked) == sorted(answered)
    assert all(re.fullmatch(rf"{authoring.number(path)}\.[a-z]", number) for number in asked)
    assert all(call.args[1].value is Ellipsis for call in predictions)


@source
def test_nothing_is_told_by_colour_alone(path):
    """A mark whose colour is chosen by a variable also has a line style, a marker or a hatch chosen by one."""
    tree = ast.parse("\n".join(c.source for c in cells(path, "code")))
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and getattr(n.func, "attr", "") != "text"):
        chosen = {k.arg: k.value for k in call.keywords if k.arg}
        colours = [
            n for k in ("color", "c") for n in ast.walk(chosen.get(k, ast.Constant(0))) if isinstance(n, ast.Subscript)
        ]
        if any("COLOURS" in ast.unparse(n.value) and not isinstance(n.slice, ast.Constant) for n in colours):
            beside = [chosen[k] for k in ("linestyle", "marker", "hatch", "fmt") if k in chosen]
            beside += (
                call.args[2:] if getattr(call.func, "attr", "") == "plot" else []
            )  # the format of `ax.plot(x, y, "o")`
            assert any(not isinstance(value, ast.Constant) for value in beside), ast.unparse(call)


@source
def test_exercises_exist_and_the_learner_has_not_attempted_them(path):
    found = exercises(path)
    assert len(found) >= (1 if path.name.startswith("00") else 3)
    assert found == sorted(found) and len(set(found)) == len(found)
    headings = re.findall(r"^### Exercise (\d\d\.\d)", "\n".join(c.source for c in cells(path, "markdown")), re.M)
    assert headings == found
    learner = authoring.convert(path.read_text(encoding="utf-8"), path.stem, solutions=False)
    for cell in learner.cells:
        match = re.search(r'^check\("(\d\d\.\d)", (\w+)\)', cell.source, re.M)
        if match:
            assert authoring.TO_FILL_IN in cell.source
            scope: dict = {}
            exec(cell.source.split("check(")[0], scope)
            assert judge(match[1], scope[match[2]]).state == NOT_ATTEMPTED
        assert authoring.BEGIN not in cell.source


@pytest.mark.parametrize(
    "number, at_hand, first", [("10", "published", ("visual+auditory",)), ("11", "published_net", ())]
)
def test_what_ears_decide_is_judged_for_the_published_ears_alone(number, at_hand, first):
    """Bands were measured with them, and a machine without their weights trains ears that score otherwise."""
    path = next(p for p in SOURCES if authoring.number(p) == number)
    (rule,) = (node for node in ast.parse(cells(path, "code")[-1].source).body if isinstance(node, ast.FunctionDef))
    for profile in profiles.PROFILES:
        for heard in (True, False):
            space = {"profile": profile, at_hand: heard}
            exec(ast.unparse(rule), space)
            in_band = profile != "smoke" and heard
            assert space[rule.name](*first, 2.5) == ({"step": 2.5} if in_band else {"kind": "info"}), (profile, heard)
