"""A copy of the course with notebooks and a data set of its own, and its command line."""

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
from helpers import HEAD, PATIENCE_S, RECORD, gone, write_notebooks

from course_lib.paths import repo_root

CELL_LIMIT_S = 8
SLOW = "\n# %%\nimport time\nfrom pathlib import Path\nwhile not Path('go').exists(): time.sleep(0.1)\n"
NOTEBOOKS = {
    "00_good": HEAD + RECORD,
    "01_endless": HEAD + "\n# %%\nimport time; time.sleep(600)\n" + RECORD,
    "02_hungry": HEAD + "\n# %%\nimport os; os.kill(os.getpid(), 9)\n" + RECORD,
    "03_slow": HEAD + SLOW + RECORD,
}
TOY = """
[datasets.toy]
title = "four files for the tests"
clips = 4
classes = 2
rate_hz = 8000
length_s = 1.0
folds = ""
protocol = ""
layout = ""
flaws = ""
licence = ""
citation = ""
unpacked_mb = 1
needs = ["audio/*.wav"]
manifest = "{manifest}"
[[datasets.toy.files]]
url = "{url}"
strip = 1
keep = ["audio/*.wav"]
{checksum}
"""
GRID = """
[common]
dataset = "synth10"
clips_per_class = 10
fold = 1
features.hop_ms = 80
recipe.steps = 24
recipe.batch_size = 8
recipe.n_evals = 12
[[part]]
name = "seeds"
seed = [0, 1, 2]
"""
# On the path of a process as sitecustomize.py
CLOCK = '''
"""Once there is a file in the folder $CLOCK_BACK, the clock of this process goes back by an hour."""
import os, threading, time
from pathlib import Path

def watch():
    while not list(Path(os.environ["CLOCK_BACK"]).glob("*.json")):
        time.sleep(0.01)
    import time_machine
    time_machine.travel(time.time() - 3600, tick=True).start()

threading.Thread(target=watch, daemon=True).start()
'''


class Course:
    """The command line of the copy, run from the folder `here`."""

    def __init__(self, copy: Path, here: Path, data: Path) -> None:
        self.copy, self.here, self.running = copy, here, []
        own = {"PYTHONPATH": str(copy), "COURSE_DATA_DIR": str(data), "COLUMNS": "250", "OMP_NUM_THREADS": "1"}
        dropped = ("COURSE_MIRROR", "COURSE_OFFLINE", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
        self.env = {name: value for name, value in os.environ.items() if name not in dropped} | own

    def start(self, *words, **env) -> subprocess.Popen:
        """The command, running; ended with the test at the latest."""
        command = [sys.executable, "-m", "course_lib.cli", *map(str, words)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        self.running.append(subprocess.Popen(command, cwd=self.here, env=self.env | env, **pipes))
        return self.running[-1]

    def end(self, process: subprocess.Popen) -> tuple[int, str]:
        """Exit status and all it printed, without a traceback in it."""
        printed, _ = process.communicate(timeout=PATIENCE_S)
        assert "Traceback" not in printed, printed
        return process.returncode, printed

    def kill(self, process: subprocess.Popen) -> int:
        """End it as the system does when memory runs out; the exit status that a shell tells."""
        process.kill()
        process.communicate()
        return 128 - process.returncode

    def __call__(self, *words, **env) -> tuple[int, str]:
        return self.end(self.start(*words, **env))

    def kernels(self) -> list[psutil.Process]:
        """Kernels of notebooks that this command line started, whoever their parent is now."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                mine = process.environ().get("PYTHONPATH") == self.env["PYTHONPATH"]
                if mine and "ipykernel_launcher" in " ".join(process.cmdline()) and not gone(process):
                    found.append(process)
        return found

    def stop(self) -> None:
        """End what still runs."""
        for process in self.running:
            process.kill()
            process.wait()
            process.stdout.close()


def made_copy(root: Path) -> Path:
    """`root` with the library as it is, notebooks made for this, a short limit for a cell, and a little grid."""
    shutil.copytree(repo_root() / "course_lib", root / "course_lib")
    profiles = root / "course_lib" / "profiles.py"
    text = profiles.read_text(encoding="utf-8")
    assert text.count("(0,), 600)") == 1  # of lesson, the default
    profiles.write_text(text.replace("(0,), 600)", f"(0,), {CELL_LIMIT_S})"), encoding="utf-8")
    (root / "notebooks").mkdir()
    write_notebooks(root / "notebooks", NOTEBOOKS)
    (root / "data" / "manifests").mkdir(parents=True)
    shutil.copy(repo_root() / "data" / "registry.toml", root / "data")
    shutil.copytree(repo_root() / "study" / "networks", root / "study" / "networks")
    (root / "little.toml").write_text(GRID, encoding="utf-8")
    return root
