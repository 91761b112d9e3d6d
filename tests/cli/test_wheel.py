"""The library installed from its wheel, without the repository, in a folder of the user's own."""

import os
import re
import subprocess
import sys
import zipfile

import pytest

from course_lib.paths import repo_root

GRID = """
about = "Two hops, a few steps."

[common]
dataset = "synth10"
clips_per_class = 10
fold = 1
seed = 0
model = "cnn7"
recipe.steps = 4
recipe.batch_size = 16
recipe.n_evals = 2

[[part]]
name = "hops"
features.hop_ms = [40, 80]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the unpacked wheel and nothing else of the course; a function runs Python beside it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=repo_root(), check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    environment = os.environ | {"PYTHONPATH": str(folder / "site"), "COURSE_DATA_DIR": str(folder / "data")}
    environment.pop("COURSE_MIRROR", None)

    def run(*words, cwd=elsewhere):
        command = [sys.executable, *words]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)

    run.folder = elsewhere
    run.site = folder / "site"
    return run


def course(installed, *words, **where):
    return installed("-m", "course_lib.cli", *words, **where)


def test_it_is_the_wheel_that_is_tried(installed):
    found = installed("-c", "import course_lib; print(course_lib.__file__)").stdout
    assert found.startswith(str(installed.site))


def test_the_example_of_the_library_page_runs(installed):
    """The page's own code, on 24 noises in a folder per class and with 4 steps instead of 400."""
    page = (repo_root() / "docs" / "library.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", page, re.DOTALL)[1].replace("steps=400", "steps=4")
    made = (
        "import numpy as np, soundfile; from pathlib import Path; rng = np.random.default_rng(0)\n"
        "for k in range(24):\n"
        "    place = Path('my_sounds') / ('hiss', 'hum')[k % 2]; place.mkdir(parents=True, exist_ok=True)\n"
        "    soundfile.write(place / f'{k}.wav', 0.1 * rng.standard_normal(16_000), 16_000)\n"
    )
    assert installed("-c", made).returncode == 0
    done = installed("-c", code)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\d+\.\d % \(\d+\.\d to \d+\.\d\)", done.stdout)


@pytest.mark.parametrize(
    "words", [("data", "list"), ("data", "card", "esc50"), ("doctor",), ("--help",), ("study", "status", "smoke")]
)
def test_commands_that_need_no_repository(installed, words):
    done = course(installed, *words)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_grid_of_ones_own_runs_and_is_reported(installed):
    (installed.folder / "mine.toml").write_text(GRID, encoding="utf-8")
    done = course(installed, "study", "run", "mine.toml", "--jobs", "2")
    assert done.returncode == 0 and "2 rows done, 0 failed" in done.stdout, done.stdout + done.stderr
    assert course(installed, "study", "report", "mine.toml").returncode == 0


@pytest.mark.parametrize("words", [("run",), ("generate",), ("site",), ("study", "report", "mine.toml", "--publish")])
def test_what_needs_the_repository_says_so_in_one_line(installed, words):
    done = course(installed, *words)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert "this needs the course's repository" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert list(installed.folder.glob("*.csv")) == []


def test_notebooks_are_found_above_the_current_folder(installed):
    """The wheel has no notebooks; inside a copy of the course, those of the copy are used."""
    found = installed("-c", "from course_lib.paths import repo_root; print(repo_root())", cwd=repo_root() / "notebooks")
    assert found.stdout.strip() == str(repo_root())
