"""What a notebook takes too much of ends that notebook, and nothing else."""

import json
import uuid

import psutil
import pytest
from helpers import HEAD, RECORD, write_notebooks

from course_lib.tools import executor

OUTPUT = "stopped: it showed more than 1 MB of outputs"
GREEDY = {
    "endless_print": ("while True:\n    print('x' * 10_000)", OUTPUT),
    "endless_display": ("from IPython.display import display\nwhile True:\n    display(1)", OUTPUT),
    "one_giant_line": ("print('x' * 5_000_000)\nimport time\ntime.sleep(60)", OUTPUT),
    "replaced_output": (
        "from IPython.display import clear_output\nwhile True:\n    print('x' * 10_000)\n    clear_output()",
        OUTPUT,
    ),
    "memory": (
        "import time\nheld = []\nwhile True:\n    held.append(b'x' * 50_000_000)\n    time.sleep(0.05)",
        "stopped: its processes held",
    ),
    "memory_of_a_child": (
        "import subprocess, sys\n"
        "hold = 'import time; held = bytes([1]) * 900_000_000; time.sleep(60)'\n"
        "subprocess.run([sys.executable, '-c', hold])",
        "stopped: its processes held",
    ),
    "processes": (
        "import subprocess, time\nmany = [subprocess.Popen(['sleep', '600']) for _ in range(15)]\ntime.sleep(60)",
        "stopped: it started 1",
    ),
}
MARK = uuid.uuid4().hex
LEAVE = f"""
import subprocess, sys
wait = "import time; time.sleep(600)  # {MARK}"
subprocess.Popen([sys.executable, "-c", wait], start_new_session=True)
subprocess.run([sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {{wait!r}}])"])
"""
LEFT = {"left_behind": LEAVE, "left_and_died": LEAVE + "import os\nos._exit(1)"}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Each of them executed under small limits: `{name: (copy, trouble)}`."""
    folder = tmp_path_factory.mktemp("greedy")
    cells = {name: code for name, (code, _) in GREEDY.items()} | LEFT
    notebooks = write_notebooks(folder, {name: f"{HEAD}\n# %%\n{code}\n{RECORD}" for name, code in cells.items()})
    bounds = {"limit_s": 100, "outputs_mb": 1, "max_processes": 10, "keep_going": True}
    memory_gb = {name: 1.0 for name in cells if name.startswith("memory")}  # the others must not meet this limit first
    tasks = [
        executor.Task(path, {}, folder / "out" / path.name, memory_gb=memory_gb.get(path.stem), **bounds)
        for path in notebooks
    ]
    (folder / "out").mkdir()
    done = executor.execute(tasks, 2)
    return {task.notebook.stem: (json.loads(task.output.read_text()), trouble) for task, trouble, _ in done}


@pytest.mark.parametrize("name", GREEDY)
def test_what_is_greedy_is_stopped_with_a_remark(ended, name):
    copy, trouble = ended[name]
    assert trouble.startswith(GREEDY[name][1])
    assert executor.went_wrong(copy, trouble).startswith("cell 3 of 4 (") and trouble in executor.went_wrong(
        copy, trouble
    )
    assert len(json.dumps(copy)) < 2_000_000


def test_the_others_end_as_ever(ended):
    assert executor.went_wrong(*ended["left_behind"]) == ""
    assert executor.went_wrong(*ended["left_and_died"]).endswith(executor.DIED)


def test_no_process_outlives_its_notebook(ended):
    """Neither one that left the session nor one whose parent has ended."""
    assert not [p for p in psutil.process_iter(["cmdline"]) if MARK in " ".join(p.info["cmdline"] or [])]
