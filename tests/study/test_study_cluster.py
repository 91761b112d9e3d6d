"""Rows over several processes: a worker that is killed, workers started by hand, an interrupt from the keyboard."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import distributed
import psutil
import pytest
from helpers import PATIENCE_S, gone, wait_for, workers
from tiny_runs import ON_CLIPS

from course_lib.study import engine
from course_lib.training.supervised import Recipe

ROW = replace(ON_CLIPS, recipe=Recipe(steps=24, batch_size=16, n_evals=12))
SPECS = [replace(ROW, seed=seed) for seed in range(4)]
MEASURED = ("status", "weights", "chosen_step", "history.validation_loss", "test_predicted", "test_accuracy", "threads")


@pytest.fixture(scope="module")
def serial(tmp_path_factory):
    """The rows, one after the other."""
    return engine.run_grid(SPECS, tmp_path_factory.mktemp("serial"), device="cpu")


def measured(records):
    return [{name: record[name] for name in MEASURED} for record in records]


def test_a_killed_worker_costs_no_row(tmp_path, serial):
    """Two workers, one killed by the system in the middle of a row: every row once, and as in the serial run."""
    killed = []

    def kill_one():
        wait_for(lambda: list((tmp_path / "checkpoints").glob("*.pt")))
        killed.append(workers()[0].pid)
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    told = []
    records = engine.run_grid(SPECS, tmp_path, jobs=2, device="cpu", on_done=told.append)
    killer.join()
    assert killed and not workers(), "one was killed, and none is left"
    assert sorted(r["key"] for r in told) == sorted(s.key for s in SPECS)
    assert sorted(p.name for p in (tmp_path / "records").iterdir()) == sorted(f"{s.key}.json" for s in SPECS)
    assert measured(records) == measured(serial)
    assert not list((tmp_path / "checkpoints").iterdir())


def broken_cluster(monkeypatch, error):
    """A cluster with a GPU on which every row ends with `error`; returns the resources that rows ask for."""
    asked = []

    class Future:
        status = "error"

        def exception(self):
            return error

        def release(self):
            pass

    def submit(*_, resources, **__):
        asked.append(resources)
        return Future()

    client = SimpleNamespace(
        scheduler_info=lambda n_workers: {"workers": {"one": {"resources": {"GPU": 1.0}}}}, submit=submit
    )
    monkeypatch.setattr(engine, "_client", lambda *_: contextlib.nullcontext(client))
    monkeypatch.setattr(distributed, "as_completed", list)
    monkeypatch.setattr(engine, "prefetch", lambda *_: None)
    return asked


def test_a_row_that_kills_its_workers_is_recorded_as_failed(tmp_path, monkeypatch):
    asked = broken_cluster(monkeypatch, RuntimeError("attempted on 3 workers, all died"))
    record = engine.run_grid([ROW], tmp_path, scheduler="tcp://somewhere:1")[0]
    assert asked == [{"GPU": 1}], "a cluster that counts its GPUs gets one row per GPU"
    assert (record["status"], record["error"]) == ("failed", "RuntimeError: attempted on 3 workers, all died")


def test_a_full_disk_of_a_worker_stops_the_run(tmp_path, monkeypatch):
    broken_cluster(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.json"))
    with pytest.raises(OSError, match=r"No space left on device: 'a\.json'"):
        engine.run_grid([ROW], tmp_path, scheduler="tcp://somewhere:1")
    assert engine.pending([ROW], tmp_path) == [ROW]


def test_a_scheduler_and_a_worker_started_by_hand(tmp_path, serial):
    file = tmp_path / "dask.json"
    dask = str(Path(sys.executable).with_name("dask"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = [dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *options]
    worker = [dask, "worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", *options]
    with (
        subprocess.Popen(scheduler, **quiet, cwd=tmp_path) as head,
        subprocess.Popen(worker, **quiet, cwd=tmp_path) as hand,
    ):
        try:
            wait_for(file.exists)
            address = json.loads(wait_for(file.read_text))["address"]
            by_file = engine.run_grid(SPECS[:1], tmp_path / "run", scheduler=str(file), device="cpu")
            records = engine.run_grid(SPECS[:2], tmp_path / "run", scheduler=address, device="cpu")
        finally:
            hand.kill()
            head.kill()
    assert by_file == records[:1]
    assert measured(records) == measured(serial[:2])


GRID = """
[common]
dataset = "synth10"
clips_per_class = 10
fold = 1
features.hop_ms = 80
recipe.steps = 100000
recipe.n_evals = 20000
[[part]]
name = "endless"
seed = [0, 1, 2]
"""


def test_an_interrupt_leaves_whole_records_and_no_processes(tmp_path):
    (tmp_path / "endless.toml").write_text(GRID)
    done = tmp_path / "run" / "records" / "0123456789abcdef.json"
    done.parent.mkdir(parents=True)
    done.write_text("{}\n")
    words = "study run endless.toml --jobs 2 --output run"
    command = [sys.executable, "-m", "course_lib.cli", *words.split()]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_for(lambda: list((tmp_path / "run" / "checkpoints").glob("*.pt")))
        family = psutil.Process(process.pid).children(recursive=True)
        os.kill(process.pid, signal.SIGINT)
        printed, _ = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, printed
    assert "interrupted; 0 of 3 rows are on record" in printed and "Traceback" not in printed
    wait_for(lambda: all(gone(p) for p in family), 10)
    assert [p.name for p in done.parent.glob("*.json")] == [done.name]
    assert not (tmp_path / "run" / ".lock").exists()
