"""The runner is tested with notebooks that must fail, each for a reason of its own."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import xml.etree.ElementTree as ET
from contextlib import suppress
from dataclasses import asdict, replace

import numpy as np
import psutil
import pytest
from helpers import HEAD, RECORD, gone, wait_for, write_notebooks
from rich.console import Console
from typer.testing import CliRunner

from course_lib import paths, profiles
from course_lib.cli import main as cli
from course_lib.data import folds
from course_lib.data.load import load_timing
from course_lib.errors import CourseError, UsageError
from course_lib.lesson import expected
from course_lib.tools import authoring, executor, run_report, runner

FAULTY = {
    "01_good": HEAD + RECORD,
    "02_error": HEAD + "\n# %%\nvalue = 1 / 0\n" + RECORD,
    "03_exit": HEAD + "\n# %%\nimport sys\nsys.exit()\n" + RECORD,
    "06_no_record": HEAD + "\n# %%\nanswer = 42\n",
    "07_metric_missing": HEAD + '\n# %%\nrecord("other", 1.0)\n',
    "08_out_of_band": HEAD + '\n# %%\nrecord("accuracy", 0.2)\n',
    "09_exit_code": HEAD + "\n# %%\nimport os\nos._exit(0)\n" + RECORD,
    "10_twice": HEAD + RECORD + RECORD,
    "11_any_number": HEAD + '\n# %%\nrecord("answer", 43, kind="exact")\n',
}  # tests/faults has a cell that never ends and a kernel that is killed
WANTED = {
    "01_good": {"answer": {"kind": "exact", "value": 42}},
    "07_metric_missing": {
        "answer": {"kind": "exact", "value": 42},
        "other": {"kind": "rel", "value": 1.0, "rel": 1e-6},
    },
    "08_out_of_band": {"accuracy": {"kind": "band", "low": 0.5, "high": 0.7}},
    "11_any_number": {"answer": {"kind": "exact", "value": 42}},
}
MESSAGES = {
    "02_error": "cell 3 of 4 (value = 1 / 0): ZeroDivisionError",
    "03_exit": "SystemExit",
    "06_no_record": "records nothing",
    "07_metric_missing": "answer is missing, expected 42",
    "08_out_of_band": "accuracy is 0.2, expected 0.5 to 0.7",
    "09_exit_code": "Kernel died",
    "10_twice": "'answer' is recorded twice",
    "11_any_number": "answer is 43, expected 42",
}
GIVEN = {"profile": "smoke", "dataset": "synth10", "seed": 0}


def test_a_run_replaces_what_a_run_has_written_and_no_notebook_of_anybody(tmp_path):
    """As with --output notebooks, or a folder with a learner's answers in it."""
    (one,) = write_notebooks(tmp_path, {"01_good": FAULTY["01_good"]})
    before = one.read_bytes()
    with pytest.raises(UsageError, match=r"01_good\.ipynb: a notebook that no run has written; choose another"):
        runner.prepare([one], GIVEN, tmp_path, 30)
    assert one.read_bytes() == before
    ours, half = tmp_path / "ours" / one.name, tmp_path / "half" / one.name
    for path, text in ((ours, '{"metadata": {"papermill": {}}}'), (half, '{"metadata": {"pap')):
        path.parent.mkdir()
        path.write_text(text)
        assert runner.prepare([one], GIVEN, path.parent, 30)


def test_every_data_set_has_a_folder_of_runs_to_itself(tmp_path):
    sets = [
        "synth10",
        "esc10",
        *(str(tmp_path / name) for name in ("a/manifest.csv", "b/manifest.csv", "a/b", "b/a/b")),
    ]
    labels = [run_report.label("smoke", name) for name in sets]
    assert labels[:2] == ["smoke-synth10", "smoke-esc10"] and len(set(labels)) == len(sets)
    assert labels[2].startswith("smoke-a-manifest-") and "/" not in "".join(labels)


@pytest.mark.parametrize(("table", "extra"), [("filename,label\nnowhere.wav,k\n", {}), (None, {"sead": 1})])
def test_a_refused_run_leaves_no_folder(tmp_path, monkeypatch, table, extra):
    """Its data cannot be read, or a parameter is misspelt; whether the folder has a name of ours or of the user's."""
    monkeypatch.setattr(paths, "runs_dir", lambda: tmp_path / "runs")
    mine = tmp_path / "manifest.csv"
    if table:
        mine.write_text(table)
    given = GIVEN | {"dataset": str(mine) if table else "synth10"} | extra
    for output in (None, tmp_path / "x" / "y"):
        with pytest.raises(CourseError):
            runner.run_course(given, jobs=1, output=output, console=Console(quiet=True), only="0")
    assert not (tmp_path / "runs").exists() and not (tmp_path / "x").exists()


def test_notebooks_that_cannot_run_on_the_sounds_are_named_before_any_starts():
    notebooks, clips = authoring.sources(), load_timing(10)
    runner.refuse_unfit(notebooks, clips)  # every notebook runs on clips of a second
    with pytest.raises(UsageError) as caught:
        runner.refuse_unfit(notebooks, replace(clips, name="my.csv", length_s=0.25))
    line = str(caught.value)
    assert line.startswith("my.csv: 05_fixed_resolution_cnn needs clips of 1 s, not 0.25 s (its CNN halves the")
    assert "06_transfer_backbones needs clips of 1 s, not 0.25 s (its networks take" in line and "\n" not in line
    runner.refuse_unfit(notebooks[:5], replace(clips, length_s=0.25))
    assert line.endswith("; give a larger --clip-s, or run the others with --only 00,01,02,03,04,10,11,12,13")
    few = load_timing(3)
    _, validation, _ = few.split(folds.testable_folds(few)[0])
    keep = np.ones(len(few), dtype=bool)
    keep[np.flatnonzero(validation)[0]] = False  # its class is left with one source, in the test set
    with pytest.raises(UsageError, match=r"timing: 12_clips_to_a_stream needs 2 sources of each class in validation"):
        runner.refuse_unfit(notebooks, few.where(keep))
    runner.refuse_unfit(notebooks[:12], few.where(keep))
    stems = {path.stem for path in notebooks}
    assert set(tomllib.loads((authoring.notebooks_dir() / "needs.toml").read_text(encoding="utf-8"))) <= stems


@pytest.mark.parametrize(("per_class", "times"), [(10, 1), (100, 2)])
def test_cells_get_more_time_on_more_clips(tmp_path, monkeypatch, per_class, times):
    monkeypatch.setattr(runner, "load", lambda *_: load_timing(per_class))
    assert runner.prepare_data("timing", profiles.get("smoke"), 0, Console(quiet=True))[1] == times


def test_clip_s_is_for_ones_own_sounds(monkeypatch, tmp_path):
    asked = ["run", "--clip-s", "2", "--dataset"]
    refused = CliRunner().invoke(cli.app, [*asked, "synth10"])
    assert "--clip-s 2: is only for your own sounds" in str(refused.exception)
    monkeypatch.setenv("COURSE_CLIP_S", "")  # so that it is as before afterwards
    monkeypatch.setattr(runner, "run_course", lambda *_, **__: 0)
    CliRunner().invoke(cli.app, [*asked, str(tmp_path)])
    assert os.environ["COURSE_CLIP_S"] == "2.0"


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """All faulty notebooks, executed once."""
    folder = tmp_path_factory.mktemp("faulty")
    file = folder / "smoke.json"
    file.write_text(json.dumps({"synth10": {name: {"provenance": {}, "metrics": m} for name, m in WANTED.items()}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expected, "expected_path", lambda profile: file)
        jobs = runner.prepare(write_notebooks(folder, FAULTY), GIVEN, folder / "out", cell_timeout_s=60)
        results = runner.run(jobs, workers=2)
    return folder / "out", {r.notebook: r for r in results}


def test_the_good_notebook_passes(outcome):
    good = outcome[1]["01_good"]
    assert (good.state, good.message) == (runner.PASSED, "")
    assert good.recorded["answer"]["value"] == 42
    assert good.verdicts == [{"name": "answer", "shown": "42", "expected": "42", "ok": True}]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_faulty_notebook_fails_and_says_why(outcome, name):
    result = outcome[1][name]
    assert result.state == runner.FAILED
    assert MESSAGES[name] in result.message


def test_a_broken_notebook_leaves_its_executed_copy(outcome):
    copy = json.loads((outcome[0] / "02_error.ipynb").read_text())
    assert any(o["output_type"] == "error" for c in copy["cells"] for o in c.get("outputs", []))


def test_reports_tell_the_same_story(outcome):
    folder, results = outcome
    run_report.write_json(list(results.values()), {"profile": "smoke"}, folder / "results.json")
    run_report.write_junit(list(results.values()), folder / "junit.xml")
    index = run_report.write_pages(list(results.values()), {"profile": "smoke"}, folder)
    stored = json.loads((folder / "results.json").read_text())
    assert {n["notebook"]: n["state"] for n in stored["notebooks"]} == {r.notebook: r.state for r in results.values()}
    assert {"commit", "date", "python"} <= set(stored["provenance"])
    suite = ET.parse(folder / "junit.xml").getroot()
    assert suite.get("failures") == str(len(MESSAGES)) == str(len(suite.findall("testcase/failure")))
    page = index.read_text()
    for name in results:
        assert f'href="{name}.html"' in page
        assert (folder / f"{name}.html").exists()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sead": 1}, "01_good: no parameter 'sead'; it takes profile, dataset, seed"),
        ({"seed": "one"}, "01_good: seed='one' is str, expected int"),
        ({"seed": True}, "01_good: seed=True is bool, expected int"),
    ],
)
def test_a_wrong_parameter_stops_the_run_before_it_starts(tmp_path, given, message):
    notebook = write_notebooks(tmp_path, {"01_good": FAULTY["01_good"]})
    with pytest.raises(UsageError, match="^" + message.replace("(", r"\(")):
        runner.prepare(notebook, GIVEN | given, tmp_path / "out", 10)


def test_resume_keeps_green_results_and_runs_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(expected, "expected_path", lambda profile: tmp_path / "none.json")
    notebooks = write_notebooks(tmp_path, {"01_good": FAULTY["01_good"], "02_error": FAULTY["02_error"]})
    jobs = runner.prepare(notebooks, GIVEN, tmp_path / "out", 30)
    first = runner.run(jobs, workers=2)
    stamps = [job.result_path.stat().st_mtime_ns for job in jobs]
    second = runner.run(jobs, workers=2, resume=True)
    assert [r.state for r in first] == [r.state for r in second] == [runner.PASSED, runner.FAILED]
    again = [job.result_path.stat().st_mtime_ns for job in jobs]
    assert again[0] == stamps[0], "a green notebook was run again"
    assert again[1] > stamps[1], "a red notebook was not run again"
    other = runner.prepare(notebooks[:1], GIVEN | {"seed": 1}, tmp_path / "out", 30)
    runner.run(other, workers=1, resume=True)
    assert jobs[0].result_path.stat().st_mtime_ns > again[0], "another seed was answered from the old result"


@pytest.mark.parametrize(
    ("data", "wanted", "stands"), [("as then", 42, True), ("as then", 43, False), ("of today", 42, False)]
)
def test_a_green_result_stands_for_the_same_data_and_what_is_expected_now(tmp_path, monkeypatch, data, wanted, stands):
    file = tmp_path / "smoke.json"
    entry = {"provenance": {}, "metrics": {"answer": {"kind": "exact", "value": wanted}}}
    file.write_text(json.dumps({"synth10": {"01_good": entry}}))
    monkeypatch.setattr(expected, "expected_path", lambda profile: file)
    (then,) = runner.prepare(write_notebooks(tmp_path, {"01_good": FAULTY["01_good"]}), GIVEN, tmp_path / "out", 30)
    then = replace(then, data="as then")
    then.output.write_text("{}")
    recorded = {"answer": {"kind": "exact", "value": 42, "unit": ""}}
    green = runner.Result("01_good", runner.PASSED, 1.0, "", str(then.output), then.key(), [], recorded)
    then.result_path.write_text(json.dumps(asdict(green)))
    result = runner.kept_result(replace(then, data=data))
    assert (result is not None) == stands
    assert not stands or [v["expected"] for v in result.verdicts] == ["42"]


@pytest.mark.parametrize("counted", [None, 2])
def test_a_kernel_died_in_the_last_cell_that_it_began(counted):
    """Whether it still told the number of that cell is chance."""
    begun, source = {"papermill": {"start_time": "2026-01-01T00:00:00"}}, ("one = 1", "two = 2", "three = 3")
    metadata, counts = (begun, begun, {"papermill": {"start_time": None}}), (1, counted, None)
    cells = [
        {"cell_type": "code", "source": text, "metadata": meta, "execution_count": count, "outputs": []}
        for text, meta, count in zip(source, metadata, counts, strict=True)
    ]
    assert executor.went_wrong({"cells": cells}, "died") == "cell 2 of 3 (two = 2) never ran to its end; died"


def test_a_full_disk_fails_the_notebook_in_one_line_and_leaves_no_half_copy(tmp_path, monkeypatch):
    notebook = write_notebooks(tmp_path, {"01_good": FAULTY["01_good"]})
    (job,) = runner.prepare(notebook, GIVEN, tmp_path / "out", 30)

    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def half(notebook, output, *_, **__):
        output.write_text("{")
        full(output, "")

    monkeypatch.setattr("papermill.execute_notebook", half)
    monkeypatch.setattr(paths, "atomic_write", full)
    result = runner.conclude(job, executor.run_papermill(job), 0.1)
    assert result.state == runner.FAILED
    assert result.message.startswith(f"{job.output}: No space left on device; make room or allow writing")
    assert not list((tmp_path / "out").iterdir())


# A process that is stopped answers nobody, whatever it was to wait for
STUCK = HEAD + "\n# %%\nimport os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\n" + RECORD
ONCE = STUCK.replace(
    "os.kill(", "from pathlib import Path\nif not Path('once').exists():\n    Path('once').touch()\n    os.kill("
)


class Clock:
    """Goes on by 100 s more at every look while a process is stopped, so that no test waits as long as a user would."""

    ahead_s = 0

    def monotonic(self):
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                self.ahead_s += 100 * (process.status() == psutil.STATUS_STOPPED)
        return time.monotonic() + self.ahead_s


def test_what_no_longer_answers_is_tried_twice_and_given_up_and_the_others_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr(executor, "time", Clock())
    monkeypatch.setattr(executor, "GRACE_S", 1)
    notebooks = write_notebooks(tmp_path, {"01_stuck": STUCK, "02_once": ONCE, "03_good": FAULTY["01_good"]})
    jobs = runner.prepare(notebooks, GIVEN, tmp_path / "out", 60)
    ended = {job.name: (job, trouble) for job, trouble, _ in executor.execute(jobs, 1)}
    assert {name: trouble for name, (_, trouble) in ended.items()} == {
        "03_good": "",
        "01_stuck": executor.HUNG,
        "02_once": "",
    }
    message = runner.conclude(*ended["01_stuck"], minutes=1).message
    assert message == f"cell 3 of 4 (import os, signal) never ran to its end; {executor.HUNG}"


# On the path of a kernel as sitecustomize.py
DIES_AT_START = """
import os, sys
from pathlib import Path
starts = Path(__file__).with_name("starts")
if "ipykernel_launcher" in " ".join(sys.orig_argv):
    starts.write_text("x" * (1 + (starts.stat().st_size if starts.exists() else 0)))
    if starts.stat().st_size <= DEATHS:
        os._exit(1)
"""


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_kernel_that_dies_as_it_starts_is_started_once_more(tmp_path, deaths):
    (tmp_path / "sitecustomize.py").write_text(DIES_AT_START.replace("DEATHS", str(deaths)))
    notebooks = write_notebooks(tmp_path, {"01_good": FAULTY["01_good"]})
    path = os.pathsep.join([str(tmp_path), *sys.path])
    jobs = [
        replace(job, environment={"PYTHONPATH": path}) for job in runner.prepare(notebooks, GIVEN, tmp_path / "out", 60)
    ]
    [(job, trouble, _)] = executor.execute(jobs, 1)
    assert trouble == ("" if deaths == 1 else executor.NO_START)
    if deaths == 2:
        assert runner.conclude(job, trouble, minutes=1).message.endswith(executor.NO_START)


INTERRUPT_ME = """
import sys
from pathlib import Path
from course_lib.tools import runner
folder = Path(sys.argv[1])
jobs = runner.prepare(sorted(folder.glob("*.ipynb")), {given}, folder / "out", 600)
print([r.state for r in runner.run(jobs, workers=2)], flush=True)
"""


@pytest.mark.parametrize("notebooks", [["01_good", "05_endless"], ["05_endless"]])
def test_interrupting_stops_the_kernels_and_keeps_what_is_done(tmp_path, notebooks):
    """After the good one is done, or just when the first process starts."""
    sources = {"01_good": FAULTY["01_good"], "05_endless": HEAD + "\n# %%\nimport time\ntime.sleep(600)\n" + RECORD}
    write_notebooks(tmp_path, {name: sources[name] for name in notebooks})
    script = INTERRUPT_ME.replace("{given}", repr(GIVEN))
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    children = psutil.Process(process.pid).children
    wait_for(children)
    if "01_good" in notebooks:
        wait_for((tmp_path / "out" / "01_good.result.json").exists)
    family = children(recursive=True)
    os.kill(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=60)
    assert printed.strip() == str(["passed", "not run"][-len(notebooks) :])
    assert all(gone(p) for p in family), "a kernel was left behind"
