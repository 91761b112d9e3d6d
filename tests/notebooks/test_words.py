"""STYLE.md's words, where a machine can tell: what we do not say, and British spelling, in all that is told."""

import ast
import re

import pytest

from course_lib.paths import repo_root
from course_lib.tools import authoring

# Words of STYLE's right-hand column that have no other sense here (a stride, a shift, a step, an example have one)
NOT_SAID = {
    r"frame sizes?": "window",
    r"time[- ]steps?": "frame",
    r"slices?": "frame, or clip",
    r"annotat(?:e|es|ed|ing|ions?)": "weak or strong label",
    r"simply|obviously": "nothing",
    r"just(?! (?:before|after|begun))": "nothing",
    r"colors?|colored|gray|centers?|centered|behaviors?|neighbors?|neighboring|labeled|modeling": "-our, -re",
    r"(?:normal|optim|general|summar|recogn|initial|visual)iz\w+|analyz\w+": "-ise, -yse",
}
PAGES = ["README.md", "INSTRUCTORS.md", "CONTRIBUTING.md", "study/README.md"]
QUIZZES = sorted((authoring.notebooks_dir() / authoring.QUIZZES).glob("*.md"))


def offences(text):
    """What we do not say in `text`, each with the word to say; code, mathematics and addresses may say it."""
    prose = re.sub(r"```.*?```|`[^`]*`|\$[^$]*\$|\]\([^)]*\)|https?://\S+", " ", text, flags=re.S)
    found = []
    for words, better in NOT_SAID.items():
        found += [f"{m[0]!r}, say {better}" for m in re.finditer(rf"\b(?:{words})\b", prose, re.I)]
    return found


def said(source):
    """Prose of a notebook without its references, and every sentence in its code (captions, descriptions, results)."""
    notebook = authoring.convert(source.read_text(encoding="utf-8"), source.stem, solutions=True)
    prose = [c.source.split("## References")[0] for c in notebook.cells if c.cell_type == "markdown"]
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    strings = [n.value for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return "\n\n".join(prose + [s for s in strings if len(s.split()) > 3])


@pytest.mark.parametrize("source", authoring.sources(), ids=lambda p: p.stem)
def test_notebooks_say_what_style_says(source):
    assert offences(said(source)) == []


@pytest.mark.parametrize("path", [*(repo_root() / p for p in PAGES), *QUIZZES], ids=lambda p: p.name)
def test_pages_say_what_style_says(path):
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "a larger frame size", "At each time-step", "ten slices of sound", "Annotations are weak.", "Simply put",
        "it is just a filter", "Obviously,", "the color of noise", "we normalize it", "analyzed", "the behavior",
    ],
)  # fmt: skip
def test_what_we_do_not_say_is_found(text):
    assert len(offences(text)) == 1
