"""Rows over several processes: a worker that is killed, workers started by hand, an interrupt from the keyboard."""

import contextlib
import errno
import json
import os
import re
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
from distributed.comm import CommClosedError
from helpers import PATIENCE_S, gone, wait_for, workers
from tiny_runs import ON_CLIPS

from course_lib.errors import CourseError
from course_lib.provenance import code_hash
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


def broken_cluster(monkeypatch, error, status="error"):
    """A cluster with a GPU on which every row ends with `error`; returns the resources that rows ask for."""
    asked = []

    class Future:
        def __init__(self):
            self.status = status

        def exception(self):
            return error

        def release(self):
            pass

    def submit(*_, resources, **__):
        asked.append(resources)
        return Future()

    client = SimpleNamespace(
        scheduler_info=lambda n_workers: {"workers": {"one": {"resources": {"GPU": 1.0}}}},
        submit=submit,
        run=lambda look, on_error: {"one": look()},
    )
    monkeypatch.setattr(engine, "_client", lambda *_: contextlib.nullcontext(client))
    monkeypatch.setattr(distributed, "as_completed", list)
    monkeypatch.setattr(engine, "prefetch", lambda *_: None)
    return client, asked


def test_a_row_that_kills_its_workers_is_recorded_as_failed(tmp_path, monkeypatch):
    _, asked = broken_cluster(monkeypatch, distributed.KilledWorker("row", SimpleNamespace(address="tcp://w:1"), 2))
    record = engine.run_grid([ROW], tmp_path, scheduler="tcp://somewhere:1")[0]
    assert asked == [{"GPU": 1}], "a cluster that counts its GPUs gets one row per GPU"
    assert record["status"] == "failed"
    assert record["error"].startswith("KilledWorker: Attempted to run task 'row' on 3 different workers, but all")


def test_a_full_disk_of_a_worker_stops_the_run(tmp_path, monkeypatch):
    broken_cluster(monkeypatch, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "a.json"))
    with pytest.raises(OSError, match=r"No space left on device: 'a\.json'"):
        engine.run_grid([ROW], tmp_path, scheduler="tcp://somewhere:1")
    assert engine.pending([ROW], tmp_path) == [ROW]


NOT_RIGHT = {  # what a worker may answer where its installation or its disk is not right
    engine.WrongWorker("its code of the rows is A, expected B"): "its code of the rows is A, expected B",
    ModuleNotFoundError("No module named 'timm'"): "ModuleNotFoundError: No module named 'timm'",
    FileNotFoundError(errno.ENOENT, "No such file", "/run/records/a.json"): "FileNotFoundError: [Errno 2] No such file",
}


@pytest.mark.parametrize("error", NOT_RIGHT, ids=lambda error: type(error).__name__)
def test_a_worker_that_cannot_run_rows_stops_the_run_and_no_row_is_blamed(tmp_path, monkeypatch, error):
    broken_cluster(monkeypatch, error)
    line = rf"^--scheduler tcp://somewhere:1: a worker cannot run rows: {re.escape(NOT_RIGHT[error])}.*same command$"
    with pytest.raises(CourseError, match=line):
        engine.run_grid([ROW], tmp_path / "run", scheduler="tcp://somewhere:1")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("found", ["code", "word"])
def test_a_worker_with_other_code_or_another_folder_computes_nothing(tmp_path, found):
    (tmp_path / engine.SHARED).write_text("a word")
    right = {"code": code_hash(), "word": "a word"}
    with pytest.raises(engine.WrongWorker, match={"code": "install the same version", "word": "share that fol"}[found]):
        engine.finish(engine.to_dict(ROW), str(tmp_path), "cpu", **right | {found: "another"})
    assert not (tmp_path / "records").exists()


def test_a_worker_without_the_library_is_named(tmp_path, monkeypatch):
    client, _ = broken_cluster(monkeypatch, None)
    client.run = lambda look, on_error: {"tcp://w:1": ModuleNotFoundError("No module named 'course_lib'")}
    with pytest.raises(CourseError, match=r"the worker at tcp://w:1 has no course_lib \(Module.+\); install it"):
        engine.run_grid([ROW], tmp_path, scheduler="tcp://somewhere:1")


@pytest.mark.parametrize("when", ["a row is waited for", "rows are handed out", "a worker is waited for"])
def test_a_scheduler_that_is_gone_is_named(tmp_path, monkeypatch, when):
    """Its end cancels every row, or breaks the call that is under way."""
    client, _ = broken_cluster(monkeypatch, None, status="cancelled")

    def broken(*_, **__):
        raise CommClosedError("in <TCP (closed) Scheduler>: Stream is closed")

    if when == "rows are handed out":
        client.submit = broken
    elif when == "a worker is waited for":
        client.scheduler_info, client.wait_for_workers = lambda n_workers: {"workers": {}}, broken
    with pytest.raises(CourseError, match=r"^the scheduler at tcp://somewhere:1 is gone; restart it and give the same"):
        engine.run_grid([ROW], tmp_path / "run", scheduler="tcp://somewhere:1")
    assert not (tmp_path / "run").exists()


def test_a_scheduler_and_a_worker_started_by_hand(tmp_path, serial):
    file = tmp_path / "dask.json"
    dask = str(Path(sys.executable).with_name("dask"))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    scheduler = [dask, "scheduler", "--host", "127.0.0.1", "--port", "0", *options]
    worker = [dask, "worker", "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", *options]
    started, told = [subprocess.Popen(scheduler, **quiet, cwd=tmp_path)], []

    def join(line):
        told.append(line)
        started.append(subprocess.Popen(worker, **quiet, cwd=tmp_path))

    try:
        wait_for(file.exists)
        address = json.loads(wait_for(file.read_text))["address"]
        how = {"device": "cpu", "on_wait": join}
        by_file = engine.run_grid(SPECS[:1], tmp_path / "run", scheduler=str(file), **how)
        records = engine.run_grid(SPECS[:2], tmp_path / "run", scheduler=address, **how)
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert told == [f"waiting for the first worker of the scheduler at {file}"], "it joined late"
    assert not (tmp_path / "run" / engine.SHARED).exists()
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
