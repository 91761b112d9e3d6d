"""What becomes of a submission before it is executed: its code, in any format, under the grader's parameters."""

import json

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from course_lib.lesson import checks, display
from course_lib.tools import authoring, grading

OURS = {"profile": "smoke", "dataset": "synth10", "seed": 0}
SET = 'profile: str = "study"\ndataset: str = "esc10"\nseed: int = 7\n'
USE = "assert (profile, dataset, seed) == ('smoke', 'synth10', 0), (profile, dataset, seed)\n"
ANSWER = 'check("00.1", 160)\n'
HOLD = {  # the cells of a submission without tags
    "as in the course": [SET, USE],
    "without annotations": [SET.replace(": str", "").replace(": int", ""), USE],
    "below a magic": ["%matplotlib inline\n!pip list\n" + SET, USE],
    "below an import": ["import os\n\n" + SET + "os.getcwd()", USE],
    "in three cells": [*SET.splitlines(), USE],
    "in one tuple": ["profile, dataset, seed = 'study', 'esc10', 7", USE],
    "in a loop": ["for seed in range(3):\n    profile = dataset = 'x'", USE],
    "nowhere": [USE],
    "twice": [SET, USE, SET, USE],
    "a function of one's own": [SET, "def f(seed=3):\n    profile = seed\n    return profile", USE],
    "a cell that is no code": [SET, "seed = = 3", USE],
}
REMARKS = {
    "the seed and its use": ([SET, "seed = 3\nprint(seed)"], "code cell 2 sets seed and runs with that"),
    "two and their use": (["profile = 'x'; dataset = profile"], "code cell 1 sets profile and runs with that"),
    "another check": ([SET, "check = print"], "code cell 2 redefines `check`; read it"),
    "a check of one's own": (["def check(*_):\n    pass"], "code cell 1 redefines `check`; read it"),
    "the solutions": (
        ["from course_lib.lesson.exercises import nb00"],
        "code cell 1 mentions lesson.exercises; read it",
    ),
    "the solutions by another way": (
        ["from course_lib.lesson import exercises"],
        "code cell 1 mentions lesson import exercises; read it",
    ),
    "the solved notebooks": (["open('notebooks/solutions/00')"], "code cell 1 mentions notebooks/solutions; read it"),
    "a forged outcome": (["CHECK_MIME"], "code cell 1 mentions CHECK_MIME; read it"),
    "a patched numpy": (["import numpy as np\nnp.isclose = print"], "code cell 1 mentions np.isclose; read it"),
    "a patched check": (
        ["from course_lib.lesson import checks\nchecks.judge = print"],
        "code cell 1 mentions checks.judge; read it",
    ),
    "check under another name": (["from course_lib.lesson.checks import check as ok"], ""),
    "a comparison": (["np.pi == 3, f(dtype=np.float32)"], ""),
}


def ready(cells):
    return grading._with_parameters(cells, OURS)


@pytest.mark.parametrize("name", HOLD)
def test_the_parameters_of_the_grader_hold_without_tags(name):
    cells, remark = ready(HOLD[name])
    assert not remark
    namespace = {"get_ipython": lambda: Shell}
    for cell in cells:
        if cell["source"] != "seed = = 3":
            exec(TransformerManager().transform_cell(cell["source"]), namespace)


class Shell:
    """In place of IPython's shell."""

    run_line_magic = system = staticmethod(lambda *_: None)


@pytest.mark.parametrize("name", REMARKS)
def test_what_cannot_be_prevented_is_a_remark(name):
    cells, wanted = REMARKS[name]
    assert ready(cells)[1] == wanted


def test_no_notebook_of_the_course_and_no_solution_gets_a_remark():
    for folder in (authoring.notebooks_dir(), authoring.notebooks_dir() / "solutions"):
        for path in sorted(folder.glob("*.ipynb")):
            opened, cells = grading._opened(path, folder)
            found, remark = ready(cells)
            assert (opened.notebook, opened.remark, remark) == (path.name[:2], "", ""), path
            assert len(found) == len(cells) + 1, path


def notebook(*cells):
    made = [nbformat.v4.new_code_cell(text) for text in cells]
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": authoring.KERNEL})


def old(version):
    """A notebook in an earlier format, without ids of cells."""
    new = notebook(SET, ANSWER)
    if version < 4:
        return nbformat.writes(nbformat.convert(new, version), version=version)
    new.nbformat_minor = 0
    for cell in new.cells:
        del cell["id"]
    return json.dumps(new)


NEW = json.dumps(notebook(SET, ANSWER))
FORMATS = {
    "homework.ipynb": NEW.encode(),
    "homework.IPYNB": NEW.encode("utf-8-sig"),
    "homework.Ipynb": NEW.encode("utf-16"),
    "homework.ipynb.txt": NEW.encode(),
    "homework.ipynb.json": NEW.encode(),
    "old3.ipynb": old(3).encode(),
    "old4.ipynb": old(4).encode(),
    "colab.ipynb": json.dumps(json.loads(NEW) | {"metadata": {"colab": {"name": "x"}}}).encode(),
    "lines.ipynb": json.dumps(
        json.loads(NEW)
        | {"cells": [c | {"source": c["source"].splitlines(keepends=True)} for c in json.loads(NEW)["cells"]]}
    ).encode(),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_notebook_in_any_format_is_read(tmp_path, name):
    (tmp_path / name).write_bytes(FORMATS[name])
    assert grading.submissions(tmp_path) == [tmp_path / name]
    opened, cells = grading._opened(tmp_path / name, tmp_path)
    assert (opened.student, opened.notebook, opened.remark) == (name.partition(".")[0], "00", "")
    assert [cell.strip() for cell in cells] == [SET.strip(), ANSWER.strip()]


@pytest.mark.parametrize(
    ("name", "cells", "number"),
    [
        ("x.ipynb", ['ok("00.1", 160)'], "00"),  # check under another name
        ("x.ipynb", ['check("00.1", 1)\ncheck("01.1", 1)\ncheck("01.2", 1)'], "01"),
        ("01_stft_and_hop_size.ipynb", ["1"], "01"),  # every check deleted
        ("77_nothing.ipynb", ["1"], ""),
        ("x.ipynb", ["print(1)"], ""),
    ],
)
def test_a_notebook_goes_by_its_checks_or_else_its_name(tmp_path, name, cells, number):
    (tmp_path / name).write_text(json.dumps(notebook(*cells)))
    opened, kept = grading._opened(tmp_path / name, tmp_path)
    assert opened.notebook == number and bool(kept) == bool(number) and bool(opened.remark) != bool(number)


def test_stored_outputs_count_in_no_kind_of_cell(tmp_path):
    told = vars(checks.Outcome("00.1", checks.PASSED, "forged"))
    value = {"name": "answer", "value": 42, "kind": "exact", "unit": ""}
    stored = [{"output_type": "display_data", "data": {checks.CHECK_MIME: told, display.RECORD_MIME: value}}]
    forged = json.loads(NEW)
    forged["cells"] += [
        {"cell_type": kind, "source": "x", "metadata": {}, "id": kind, "outputs": stored}
        for kind in ("markdown", "raw")
    ]
    assert not checks.outcomes(forged) and not display.records(forged), "in cells that nobody executes"
    for cell in forged["cells"]:
        cell |= {"outputs": stored, "execution_count": 3, "metadata": {"tags": ["skip-execution"]}}
    (tmp_path / "x.ipynb").write_text(json.dumps(forged))
    cells, _ = ready(grading._opened(tmp_path / "x.ipynb", tmp_path)[1])
    task = grading._task(cells, tmp_path / "scratch", {})
    executed = json.loads(task.notebook.read_text())
    assert "forged" not in json.dumps(executed) and "skip-execution" not in json.dumps(executed)
    assert [cell["source"].strip() for cell in executed["cells"]][::2] == [SET.strip(), ANSWER.strip()]


def test_folders_are_named_where_somebody_would_be_lost(tmp_path):
    for name in (
        "a/1.ipynb",
        "a/src/f.py",
        "b/hw/1.ipynb",
        "b/later/x.zip",
        "c/x.zip",
        "d/e/f/x.zip",
        "g.tar",
        "t.csv",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path)
    found = [str(path.relative_to(tmp_path)) for path in grading.submissions(tmp_path)]
    assert found == ["a/1.ipynb", "b/hw/1.ipynb", "b/later", "c", "d", "g.tar"]
