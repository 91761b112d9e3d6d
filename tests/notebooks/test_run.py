"""The complete notebooks, every exercise strict; and the same numbers twice."""

import json
import re
from pathlib import Path

import pytest

from course_lib.lesson import checks
from course_lib.tools import authoring, runner

GIVEN = {"profile": "smoke", "dataset": "synth10", "seed": 0}
LARGEST_MB = 1.25  # 0.97 today; pictures of another machine differ a little in size


AGAIN = "07_*.ipynb"  # a second run costs minutes: one notebook that draws and trains; `make course` runs all


def execute(folder, output, names="[0-9][0-9]_*.ipynb"):
    jobs = runner.prepare(sorted(folder.glob(names)), GIVEN, output, cell_timeout_s=120)
    return {result.notebook: result for result in runner.run(jobs, workers=2)}


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """Results of all solutions with `COURSE_STRICT=1`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COURSE_STRICT", "1")
        return execute(authoring.notebooks_dir() / "solutions", tmp_path_factory.mktemp("solutions"))


@pytest.mark.timeout(900)
def test_every_solution_passes_and_records_what_is_expected(complete):
    assert {name: r.message for name, r in complete.items() if r.state != runner.PASSED} == {}
    assert set(complete) == {p.stem for p in authoring.sources()}
    for result in complete.values():
        assert result.verdicts and all(v["ok"] is not False for v in result.verdicts)


def test_executed_notebooks_are_small_described_and_fully_checked(complete):
    for name, result in complete.items():
        text = Path(result.output).read_text(encoding="utf-8")
        assert len(text) < LARGEST_MB * 1e6, f"{name}: {len(text) / 1e6:.1f} MB"
        notebook = json.loads(text)
        outcomes = checks.outcomes(notebook)
        assert outcomes and {o["state"] for o in outcomes} == {checks.PASSED}
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


@pytest.mark.timeout(600)
def test_the_learners_copy_finds_the_same_numbers_as_the_solution(complete, tmp_path):
    """Same seed, machine and threads: every number equal to the last bit, whether exercises are solved or not."""
    again = execute(authoring.notebooks_dir(), tmp_path, AGAIN)
    for name, result in again.items():
        assert result.state == runner.PASSED, result.message
        first, second = (
            {key: entry["value"] for key, entry in r.recorded.items() if entry["kind"] != "info"}
            for r in (complete[name], result)
        )
        assert first == second
        states = {o["state"] for o in checks.outcomes(json.loads(Path(result.output).read_text(encoding="utf-8")))}
        assert states == {checks.NOT_ATTEMPTED}
