"""`course study`: run, status, report, diff through the command line, and a line and a code for every mistake."""

import json
import sys

import pandas as pd
import pytest

from course_lib import cli, paths

GRID = """
[common]
dataset = "synth10"
clips_per_class = 10
seed = 0
features.hop_ms = 80
recipe.steps = 2
recipe.batch = 4
[[part]]
name = "folds"
fold = [1, 2]
recipe.masks = [true, false]
"""


@pytest.fixture
def course(monkeypatch, capsys):
    """Call `course study` with some words; returns exit code, output and errors."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["course", "study", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, " ".join(printed.out.split()), printed.err

    return call


def test_a_grid_from_run_to_publication(course, monkeypatch, tmp_path):
    monkeypatch.setattr(paths, "runs_dir", lambda: tmp_path / "runs")
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "published")
    monkeypatch.setenv("COLUMNS", "120")
    grid = tmp_path / "little.toml"
    grid.write_text(GRID)
    code, out, _ = course("status", grid)
    assert code == 0 and "folds │ 4 │ 0 │ 0 │ 4" in out and "nobody is running it" in out
    code, out, errors = course("run", grid, "--device", "cpu")
    assert code == 0, errors
    assert out.startswith("little: 4 rows, 4 to run") and out.count("✔ done") == 4 and "4 rows done, 0 failed" in out
    code, out, _ = course("run", grid)
    assert code == 0 and "4 rows, 0 to run" in out and "✔" not in out
    code, out, _ = course("report", grid, "--publish")
    assert code == 0 and "little: folds" in out and "2 x 1" in out and "by 2 folds" in out
    published = tmp_path / "published" / "little"
    assert sorted(p.name for p in published.iterdir()) == ["provenance.json", "rows.parquet", "summary.csv"]
    assert json.loads((published / "provenance.json").read_text())["test_readings"] == 4
    summary = pd.read_csv(published / "summary.csv")
    assert summary["part"].tolist() == ["folds"] * 2 and summary["recipe.masks"].tolist() == [True, False]
    code, out, _ = course("diff", "little", published)
    assert code == 0 and out == "same: 4, differs: 0, only first: 0, only second: 0"

    record = next((tmp_path / "runs" / "study" / "little" / "records").iterdir())
    record.write_text(json.dumps(json.loads(record.read_text()) | {"test_accuracy": 0.123}))
    code, out, _ = course("diff", "little", published)
    assert code == 1 and "test_accuracy 0.123 and" in out and "differs: 1" in out
    failed = {"status": "failed", "error": "MemoryError: no message"}
    record.write_text(json.dumps(json.loads(record.read_text()) | failed))
    code, out, _ = course("run", grid)
    assert code == 1 and "3 rows done, 1 failed; why: course study status" in out
    code, out, _ = course("status", grid)
    assert "folds │ 4 │ 3 │ 1 │ 0" in out and "✘ failed" in out and "MemoryError: no message" in out
    record.unlink()
    code, _, errors = course("report", grid, "--publish")
    assert code == 1 and "1 rows of little are missing; run: course study run" in errors


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "smoky"], 2, "grid 'smoky': no such file, and none of that name in"),
        (["status", "smoky"], 2, "grid 'smoky'"),
        (["report", "smoke", "--output", "nowhere"], 1, "nowhere: no rows, neither rows.parquet nor records/*.json"),
        (["report", "smoke", "--against", "hop=10"], 2, "--against hop=10: expected field=value"),
        (["report", "smoke", "--against", "fold=ten"], 2, "--against fold=ten: expected a value of type int"),
        (["diff", "nowhere", "smoke"], 2, "nowhere: no folder of records, no run and no published rows"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(course, words, code, message):
    got, _, errors = course(*words)
    assert got == code
    assert errors.startswith("course: ") and message in errors
    assert "Traceback" not in errors and len(errors.strip().splitlines()) == 1


def test_a_grid_is_checked_before_anything_is_run(course, tmp_path):
    grid = tmp_path / "wrong.toml"
    grid.write_text(GRID.replace("features.hop_ms = 80", "features.hop_ms = 800"))
    code, _, errors = course("run", grid, "--output", tmp_path / "run")
    assert code == 2 and "part 'folds': features.hop_ms=800 gives 7 frames" in errors
    assert not (tmp_path / "run").exists()
    assert course("run", grid, "--jobs", "0")[0] == 2


def test_a_scheduler_that_does_not_answer_is_one_line(course, monkeypatch, tmp_path):
    import distributed

    def none_there(**_):
        raise OSError("timed out")

    monkeypatch.setattr(distributed, "Client", none_there)
    (tmp_path / "little.toml").write_text(GRID)
    code, _, errors = course("run", tmp_path / "little.toml", "--scheduler", "tcp://nobody:1", "--output", tmp_path)
    assert code == 1 and "--scheduler tcp://nobody:1: no Dask scheduler answers there (timed out)" in errors
