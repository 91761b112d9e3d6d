"""Every notebook, and in it every exercise: first as the learner finds it, then solved. And the same numbers twice.

Each notebook is executed once. Behind a cell with an exercise stands the same cell with the solution, so what comes
after it runs with the answer. Taking these cells out again leaves the executed copy of a learner who solved nothing.
"""

import json
import os
import re
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
from rich.console import Console

from course_lib import profiles
from course_lib.data import registry
from course_lib.lesson import checks
from course_lib.tools import authoring, run_report, runner, site_build

LARGEST_MB = 1.25  # 0.97 today; pictures of another machine differ a little in size
SOLUTION = "solution"  # tag of the cells that are put in
AGAIN = "07_*.ipynb"  # a second run costs minutes: one notebook that draws and trains; `make course` runs all
SMOKE = profiles.get("smoke")


def dataset():
    """Real recordings if their archive is at hand, else the sounds that come with the course."""
    mirror = os.environ.get("COURSE_MIRROR")
    at_hand = mirror and all((Path(mirror) / file.filename).is_file() for file in registry.entry("esc10").files)
    return "esc10" if at_hand else "synth10"


def with_solutions(learners):
    """The notebook at the path `learners`, with the solution of each exercise in a cell of its own behind it."""
    notebook, solved = (
        json.loads(path.read_text(encoding="utf-8"))
        for path in (learners, learners.parent / "solutions" / learners.name)
    )
    assert [cell["id"] for cell in notebook["cells"]] == [cell["id"] for cell in solved["cells"]]
    cells = []
    for cell, answer in zip(notebook["cells"], solved["cells"], strict=True):
        cells.append(cell)
        if cell["cell_type"] == "code" and cell["source"] != answer["source"]:
            cells.append(answer | {"id": f"{answer['id']}-solved", "metadata": {"tags": [SOLUTION]}})
    return notebook | {"cells": cells}


def without_solutions(notebook):
    """The executed `notebook` without the cells that `with_solutions` put in."""
    cells = [cell for cell in notebook["cells"] if SOLUTION not in cell["metadata"].get("tags", [])]
    return notebook | {"cells": cells}


def execute(notebooks, output):
    given = {"profile": SMOKE.name, "dataset": dataset(), "seed": 0}
    content, _ = runner.prepare_data(given["dataset"], SMOKE, given["seed"], Console(quiet=True))
    jobs = runner.prepare(notebooks, given, output, cell_timeout_s=120)
    return runner.run([replace(job, data=content, folder=authoring.notebooks_dir()) for job in jobs], workers=2)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Results of all notebooks with solutions.

    If `COURSE_RUN` names a folder, the learner's copies and their results are left there, for the site.
    """
    folder = tmp_path_factory.mktemp("with_solutions")
    for path in authoring.notebooks_dir().glob("[0-9][0-9]_*.ipynb"):
        (folder / path.name).write_text(json.dumps(with_solutions(path)), encoding="utf-8")
    found = execute(sorted(folder.glob("*.ipynb")), folder / "run")
    if os.environ.get("COURSE_RUN"):
        kept = Path(os.environ["COURSE_RUN"])
        kept.mkdir(parents=True, exist_ok=True)
        for result in found:
            ran = json.loads(Path(result.output).read_text(encoding="utf-8"))
            path = kept / f"{result.notebook}.ipynb"
            path.write_text(json.dumps(without_solutions(ran)), encoding="utf-8")
            path.with_suffix(".result.json").write_text(json.dumps(vars(result)), encoding="utf-8")
        about = {"profile": SMOKE.name, "data set": dataset(), "seed": 0, "jobs": 2}
        run_report.write_json(found, about, kept / site_build.REPORT)
    return {result.notebook: result for result in found}


@pytest.fixture(scope="module")
def executed(results):
    """The executed notebooks, by name."""
    return {name: json.loads(Path(r.output).read_text(encoding="utf-8")) for name, r in results.items()}


@pytest.mark.timeout(900)
def test_every_notebook_runs_and_records_what_is_expected(results):
    assert {name: r.message for name, r in results.items() if r.state != runner.PASSED} == {}
    assert set(results) == {path.stem for path in authoring.sources()}
    for result in results.values():
        assert result.verdicts and all(verdict["ok"] is not False for verdict in result.verdicts)


def test_no_exercise_is_solved_before_its_solution_and_every_one_is_after_it(executed):
    for name, notebook in executed.items():
        outcomes = checks.outcomes(notebook)
        assert outcomes, name
        for exercise, of_exercise in groupby(outcomes, key=lambda outcome: outcome["exercise"]):
            *before, after = [outcome["state"] for outcome in of_exercise]
            assert set(before) <= {checks.NOT_ATTEMPTED}, exercise  # 12.5 is checked in a later cell, so only once
            assert after == checks.PASSED, exercise


def test_executed_notebooks_are_small_and_described(executed):
    for name, notebook in executed.items():
        size_mb = len(json.dumps(notebook)) / 1e6
        assert size_mb < LARGEST_MB, f"{name}: {size_mb:.1f} MB"
        for cell in notebook["cells"]:
            for output in cell.get("outputs", []):
                assert "image/png" not in output.get("data", {}), f"{name}: a picture without words; use show"
                page = "".join(output.get("data", {}).get("text/html", ""))
                assert page.count("<img ") == len(re.findall(r"<img [^>]*alt=", page)), name
                for label in re.findall(r'<img [^>]*alt="([^"]*)"', page):
                    assert len(label.split()) >= 6, f"{name}: {label}"
                for label in re.findall(r'<audio [^>]*aria-label="([^"]*)"', page):
                    assert len(label.split()) >= 4, f"{name}: {label}"
                assert output.get("name") != "stderr", f"{name}: {''.join(output['text'])[:300]}"


def numbers(result):
    return {key: entry["value"] for key, entry in result.recorded.items() if entry["kind"] != "info"}


@pytest.mark.timeout(600)
def test_the_learners_copy_alone_finds_the_same_numbers(results, tmp_path):
    """Same seed, machine and threads: every number equal to the last bit, whether exercises are solved or not."""
    for result in execute(sorted(authoring.notebooks_dir().glob(AGAIN)), tmp_path):
        assert result.state == runner.PASSED, result.message
        assert numbers(result) == numbers(results[result.notebook])
        outcomes = checks.outcomes(json.loads(Path(result.output).read_text(encoding="utf-8")))
        assert {outcome["state"] for outcome in outcomes} == {checks.NOT_ATTEMPTED}
