"""`course study`: run, status, report, diff through the command line, and a line and a code for every mistake."""

import json
import re
import shutil
import sys

import pandas as pd
import pytest

from course_lib import paths
from course_lib.analysis import figures
from course_lib.cli import main as cli
from course_lib.cli import study
from course_lib.study import grid as grids
from course_lib.study import records as rows
from course_lib.tools import readme, results

GRID = """
[common]
dataset = "synth10"
clips_per_class = 10
seed = 0
features.hop_ms = 80
recipe.steps = 2
recipe.batch_size = 4
[[part]]
name = "folds"
fold = [1, 2]
recipe.spec_augment = [true, false]
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


@pytest.fixture
def own_folders(monkeypatch, tmp_path):
    """Runs and published rows of the test's own, which no README is made from."""
    monkeypatch.setattr(paths, "runs_dir", lambda: tmp_path / "runs")
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "published")
    monkeypatch.setattr(readme, "refresh", list)


def test_a_grid_from_run_to_publication(course, own_folders, monkeypatch, tmp_path):
    monkeypatch.setattr(study.console, "width", 120)
    grid = tmp_path / "little.toml"
    grid.write_text(GRID)
    code, out, _ = course("status", grid)
    assert code == 0 and "folds │ 4 │ 0 │ 0 │ 0 │ 4" in out and "no process is running it" in out
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
    assert summary["part"].tolist() == ["folds"] * 2 and summary["recipe.spec_augment"].tolist() == [True, False]
    code, out, _ = course("diff", "little", published)
    assert code == 0 and out.startswith("same: 4, differs: 0, only first: 0, only second: 0")
    assert "code of the first: 4 current" in out and "code of the second: 4 current" in out

    record = next((tmp_path / "runs" / "study" / "little" / "records").iterdir())
    record.write_text(json.dumps(json.loads(record.read_text()) | {"test_accuracy": 0.123, "code": "of yesterday"}))
    code, out, _ = course("diff", "little", published)
    assert code == 1 and "test_accuracy 0.123 and" in out and "computed by different code" in out
    assert "differs: 1" in out and "code of the first: 3 current, 1 stale" in out
    assert "folds │ 4 │ 4 │ 1 │ 0 │ 0" in course("status", grid)[1]
    failed = {"status": "failed", "error": "MemoryError: no message"}
    record.write_text(json.dumps(json.loads(record.read_text()) | failed))
    code, out, _ = course("run", grid)
    assert code == 1 and "3 rows done, 1 failed; why: course study status" in out
    code, out, _ = course("status", grid)
    assert "folds │ 4 │ 3 │ 0 │ 1 │ 0" in out and "✘ failed" in out and "MemoryError: no message" in out
    record.unlink()
    code, _, errors = course("report", grid, "--publish")
    assert code == 1 and "1 rows of little are missing; run: course study run" in errors
    assert course("report", grid, "--publish", "--unfinished")[0] == 0
    assert json.loads((published / "provenance.json").read_text())["missing"] == [record.stem]
    assert len(rows.gather(published)) == 3


def test_published_rows_are_imported_and_only_what_came_since_is_run(course, own_folders, tmp_path):
    (grid := tmp_path / "little.toml").write_text(GRID.replace("[1, 2]", "1"))
    code, _, errors = course("import", grid)
    assert code == 1 and "published/little: no rows to import; run all of it: course study run" in errors
    assert not (tmp_path / "runs").exists()
    assert course("run", grid, "--device", "cpu")[0] == course("report", grid, "--publish")[0] == 0
    published = rows.gather(tmp_path / "published" / "little")
    elsewhere = tmp_path / "elsewhere"
    grid.write_text(GRID)  # a fold more
    code, out, _ = course("import", grid, "--output", elsewhere)
    assert code == 0 and out.startswith("little: 2 of 4 rows imported into")
    pd.testing.assert_frame_equal(rows.gather(elsewhere), published.sort_values("key", ignore_index=True))
    failed = published.assign(status="failed")
    failed.to_parquet(tmp_path / "published" / "little" / rows.ROWS)
    assert "0 of 4 rows imported" in course("import", grid, "--output", tmp_path / "third")[1], (
        "what failed is run again"
    )
    code, out, _ = course("adopt", grid, "--output", elsewhere)
    assert code == 0 and "0 of 4 rows imported" in out, (
        "what is on record stays; adopt was its name in the first edition"
    )
    code, out, _ = course("run", grid, "--device", "cpu", "--output", elsewhere)
    assert code == 0 and "4 rows, 2 to run" in out and out.count("✔ done") == 2
    assert course("report", grid, "--publish", "--output", elsewhere)[0] == 0
    origin = json.loads((tmp_path / "published" / "little" / "provenance.json").read_text())
    assert (origin["rows"], origin["test_readings"]) == (4, 4)
    record = next((elsewhere / "records").iterdir())
    record.write_text(json.dumps(json.loads(record.read_text()) | {"content": "of another version"}))
    code, _, errors = course("report", grid, "--publish", "--output", elsewhere)
    assert code == 1 and "little: rows of synth10 were run on different data; run them again" in errors


def test_records_of_ones_own_grid_lie_beside_it_and_are_found_by_its_file(course, monkeypatch, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "little.toml").write_text(GRID.replace("[1, 2]", "1"))
    monkeypatch.chdir(tmp_path)
    code, out, errors = course("run", "mine/little.toml", "--device", "cpu")
    assert code == 0, errors
    folder = tmp_path / "mine" / "runs" / "study" / "little"
    assert f"records in {folder}" in out and len(list((folder / "records").glob("*.json"))) == 2
    shutil.copytree(folder, tmp_path / "other")
    for first, second in (("mine/little.toml", "other"), ("other", "mine/little.toml")):
        code, out, errors = course("diff", first, second)
        assert code == 0 and out.startswith("same: 2, differs: 0"), errors
    (tmp_path / "mine" / "new.toml").write_text(GRID)
    code, _, errors = course("diff", "mine/new.toml", "other")
    assert code == 2 and "new: no folder of records, no run and no published rows" in errors


def test_records_of_the_courses_own_grids_stay_in_its_runs():
    for path in (paths.grids_dir() / "smoke.toml", paths.repo_root() / "mine" / "smoke.toml"):
        assert study.records_folder(path) == paths.runs_dir() / "study" / "smoke"


def test_grids_are_known_in_any_case(course):
    assert course("status", "Smoke") == course("status", "smoke.toml") == course("status", "smoke")
    assert course("diff", "LESSON", "lesson")[0] == 0


def test_no_number_of_a_report_is_cut(course, monkeypatch, tmp_path):
    course("import", "lesson", "--output", tmp_path)
    numbers = []
    for width in (1000, 40):
        monkeypatch.setattr(study.console, "width", width)
        code, out, errors = course("report", "lesson", "--output", tmp_path)
        assert code == 0 and "…" not in out, errors
        numbers.append(sorted(re.findall(r"\d+\.\d+", out)))
    assert numbers[0] == numbers[1] and len(numbers[0]) > 50


@pytest.mark.parametrize("name", ["lesson", "transfer", "scenes"])
def test_imported_rows_are_those_that_were_published(course, monkeypatch, tmp_path, name):
    course("import", name, "--output", tmp_path)
    folders = paths.published_dir() / name, tmp_path
    one, other = (rows.gather(folder).sort_values("key", ignore_index=True) for folder in folders)
    found = rows.compare(one, other)
    assert (found["state"] == "same").all() and len(found) == len(one)
    for table in (one, other):
        for column in table:  # lists are arrays in one and lists in the other
            table[column] = [json.dumps(v, default=lambda found: found.tolist()) for v in table[column]]
    pd.testing.assert_frame_equal(one, other[one.columns])


def test_a_changed_row_changes_the_page_and_pictures_in_the_same_command(course, monkeypatch, tmp_path):
    """The published rows of a grid as records of a run, one of them with another result."""
    shutil.copytree(paths.published_dir() / "lesson", tmp_path / "published" / "lesson")
    rows = pd.read_parquet(paths.published_dir() / "lesson" / "rows.parquet")
    monkeypatch.setattr(paths, "runs_dir", lambda: tmp_path / "runs")
    monkeypatch.setattr(paths, "published_dir", lambda: tmp_path / "published")
    monkeypatch.setattr(readme, "readme_path", lambda: tmp_path / "README.md")
    monkeypatch.setattr(readme, "PARTS", {})
    monkeypatch.setattr(results, "path", lambda: tmp_path / "RESULTS.md")
    monkeypatch.setattr(results, "PARTS", {"hop": results.PARTS["hop"]})
    figure = figures.FIGURES["hops.png"]
    monkeypatch.setattr(figures, "FIGURES", {figure.name: figure})
    (tmp_path / "README.md").write_text("nothing\n")
    (tmp_path / "RESULTS.md").write_text("<!-- hop -->\n<!-- /hop -->\n")
    readme.refresh()
    before, drawn = (tmp_path / "RESULTS.md").read_text(), figure.path.read_bytes()
    records = tmp_path / "runs" / "study" / "lesson" / "records"
    records.mkdir(parents=True)
    changed = (rows["features.hop_ms"] == 80) & (rows["recipe.steps"] == 240) & (rows["features.window_ms"] == 25)
    rows.loc[changed, "test_accuracy"] = 0.8
    for record in rows.to_dict("records"):
        (records / f"{record['key']}.json").write_text(json.dumps(record, default=lambda found: found.tolist()))
    code, out, errors = course("report", "lesson", "--publish")
    assert code == 0, errors
    after = (tmp_path / "RESULTS.md").read_text()
    assert "| 80 ms | 80.0" in after and "| 80 ms | 81.0" in before
    assert "| 10 ms | 87.0 (82.6 to 91.1) |  |" in after
    assert figure.path.read_bytes() != drawn and "wrote" in out
    assert readme.refresh() == [], "once is enough"


def test_a_list_of_grids_is_run_and_reported_one_after_the_other(course, own_folders, tmp_path):
    for name, fold in (("first", "1"), ("second", "2")):
        (tmp_path / f"{name}.toml").write_text(GRID.replace("[1, 2]", fold))
    both = tmp_path / "both.toml"
    both.write_text(f'include = ["{tmp_path}/first.toml", "{tmp_path}/second.toml"]')
    code, out, errors = course("run", both, "--device", "cpu")
    assert code == 0, errors
    assert out.index("first: 2 rows, 2 to run") < out.index("second: 2 rows, 2 to run") and out.count("✔ done") == 4
    code, out, _ = course("run", both)
    assert code == 0 and "✔" not in out
    code, out, _ = course("status", both)
    assert code == 0 and "first, records in" in out and "second, records in" in out
    code, _, errors = course("report", both, "--publish")
    assert code == 0, errors
    assert sorted(p.name for p in (tmp_path / "published").iterdir()) == ["first", "second"]
    code, out, _ = course("run", both, "--device", "cpu", "--output", tmp_path / "other")
    assert sorted(p.name for p in (tmp_path / "other").iterdir()) == ["first", "second"]
    (tmp_path / "second.toml").write_text(GRID.replace("[1, 2]", "9"))
    code, _, errors = course("run", both, "--output", tmp_path / "third")
    assert code == 2 and "cannot test on fold 9" in errors and not (tmp_path / "third").exists(), "all before one"


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "smoky"], 2, "grid 'smoky': no such file, and none of that name in"),
        (["status", "smoky"], 2, "grid 'smoky'"),
        (["report", "smoke", "--output", "nowhere"], 1, "nowhere: no rows, neither rows.parquet nor records/*.json"),
        (["report", "smoke", "--against", "hop=10"], 2, "--against hop=10: expected field=value"),
        (
            ["report", "smoke", "--against", "fold=ten"],
            2,
            "--against fold=ten: fold: found 'ten', expected a whole number",
        ),
        (["diff", "nowhere", "smoke"], 2, "nowhere: no folder of records, no run and no published rows"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(course, words, code, message):
    got, _, errors = course(*words)
    assert got == code
    assert errors.startswith("course: ") and message in errors
    assert "Traceback" not in errors and len(errors.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("nosuch", "is not a device that torch knows"), ("", "is not a device"), ("meta", "cannot be used on this")],
)
@pytest.mark.parametrize("over", [(), ("--scheduler", "tcp://nobody:1")])
def test_a_wrong_device_fails_no_row(course, monkeypatch, tmp_path, name, words, over):
    """Of a device that torch knows, workers elsewhere may have what is not here."""
    monkeypatch.setattr(grids, "check", lambda grid: None)
    monkeypatch.setattr(study, "_run_one", lambda *_: 0)
    (tmp_path / "little.toml").write_text(GRID)
    code, _, errors = course("run", tmp_path / "little.toml", "--device", name, "--output", tmp_path / "run", *over)
    if over and name == "meta":
        assert code == 0
    else:
        assert code == 2 and errors.startswith(f"course: --device {name}: {words}") and len(errors.splitlines()) == 1


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
