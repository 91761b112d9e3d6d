"""The engine: runs every row of a grid once, in this process or on several machines, and resumes after an interruption.

`records/KEY.json` says that a row is done or failed. It is written by the process that ran the row, and no row with a
record is run again. Dask distributes the rows and notices when a worker dies; with one job it is not imported.
"""

import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import torch

from course_lib.data.load import is_own
from course_lib.errors import CourseError, disk_is_full, first_line
from course_lib.paths import atomic_write, lock
from course_lib.profiles import one_thread
from course_lib.provenance import code_hash, now
from course_lib.scenes.load import is_real
from course_lib.study import plugins
from course_lib.study.config import Run, SceneRun, from_fields, to_dict
from course_lib.study.records import READINGS, read_record, record_path
from course_lib.training.checkpoint import OtherTraining

if TYPE_CHECKING:
    from distributed import Client

DONE, FAILED = "done", "failed"
DEATHS = 2  # workers that may die while running a row before it is recorded as failed
# One thread per row: the numbers are then the same for any number of jobs, and jobs do not compete for cores. The last
# two keep freed memory for the next step; returning it to the system would cost a fifth of the training time.
WORKER_ENVIRONMENT = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS", "NUMBA")} | {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**30),
}


SHARED = ".shared"  # holds a random word while Dask runs rows: a worker that can read it sees the same folder


class WrongWorker(CourseError):
    """A worker that cannot compute rows of this run, because its code or its folder differs."""


def pending(specs: Iterable[Run], folder: Path, *, retry_failed: bool = False) -> list[Run]:
    """The `specs` without a record in `folder`, and with `retry_failed` also those that failed.

    They include rows on the user's own data if the data have changed under the same name.
    """
    todo = []
    for spec in specs:
        record = read_record(folder, spec.key)
        if record is None or (retry_failed and record["status"] == FAILED) or _outdated(spec, record):
            todo.append(spec)
    return todo


def _outdated(spec: Run, record: dict) -> bool:
    """Whether the user's manifest or folder has changed since this row was computed from it."""
    mine = is_own(spec.dataset) or is_real(spec.dataset)
    return mine and record["status"] == DONE and record["content"] != runner(spec).content_of(spec)


def run_grid(
    specs: Sequence[Run],
    folder: Path,
    *,
    jobs: int = 1,
    scheduler: str | None = None,
    retry_failed: bool = False,
    device: str | None = None,
    on_prefetch: Callable[[int, int], None] = lambda done, total: None,
    on_wait: Callable[[str], None] = lambda line: None,
    on_done: Callable[[dict], None] = lambda record: None,
) -> list[dict]:
    """Records of `specs` in their order, after running those without one.

    A single job runs in this process, several in other processes on this machine. `scheduler` is the address of a Dask
    scheduler, or the file it wrote; its workers must see `folder` and the data under the same paths, and may join at
    any time. A row that fails is recorded with its error, and the others are still run. `on_prefetch` receives how many
    sets of features are ready and how many there are, `on_wait` a line on what the run is waiting for, `on_done` each
    record. An interrupted call leaves complete records and no processes; the next call continues from there.

    Raises
    ------
    CourseError
        Another run writes to `folder`, a record is damaged, the scheduler does not answer or is gone, or one of its
        workers has different code or sees another folder.
    OSError
        The disk is full or read-only; records are kept.
    """
    folder = folder.resolve()
    with lock(folder, "a study"):
        (folder / "records").mkdir(exist_ok=True)
        (folder / "checkpoints").mkdir(exist_ok=True)
        todo = pending(specs, folder, retry_failed=retry_failed)
        for spec in specs:
            if spec not in todo:
                _tidy(folder, spec.key)  # a run killed just after it wrote the record left the checkpoint
        for spec in todo:
            record_path(folder, spec.key).unlink(missing_ok=True)  # failed, or computed from other data
        for plugin in {spec.plugin for spec in todo}:
            plugins.keep(plugin, folder)
        prefetch(todo, on_prefetch)
        if jobs == 1 and not scheduler:
            records = (read_record(folder, finish(to_dict(spec), str(folder), device)) for spec in todo)
        else:
            records = _over_dask(todo, folder, device, jobs, scheduler, on_wait)
        for record in records:
            on_done(record)
    return [read_record(folder, spec.key) for spec in specs]


def prefetch(specs: Iterable[Run], on_prefetch: Callable[[int, int], None] = lambda done, total: None) -> None:
    """Compute the features of `specs`, each set once, so that no two workers compute the same ones at the same time.

    An error here is ignored: it occurs again in its row and is recorded there.
    """
    sets = {runner(s).prefetch_key(s): s for s in specs}
    for place, spec in enumerate(sets.values(), 1):
        with suppress(Exception):
            runner(spec).features_of(spec)
        on_prefetch(place, len(sets))


def finish(fields: dict, folder: str, device: str | None, code: str | None = None, word: str | None = None) -> str:
    """The key of one row, after running it on one thread and writing its record: the task of a worker.

    A row with a record is not run: its first worker may have died between writing and reporting. If `code` (the hash of
    the code that must compute the row) or `word` (the content of `SHARED`) is given, the worker is checked first.

    Raises
    ------
    WrongWorker
        Its code or its folder differs.
    """
    place = Path(folder)
    if code and code != code_hash():
        raise WrongWorker(f"its row code has the hash {code_hash()}, expected {code}; install the same version there")
    if word and word != _word_in(place):
        raise WrongWorker(f"it does not see the same {folder}; share that folder with it under the same path")
    plugins.read_kept(fields["plugin"], place)
    spec = from_fields(fields)
    if read_record(place, spec.key) is None:
        with one_thread():
            record = _attempt(spec, place, device)
        _write(place, record)
    _tidy(place, spec.key)
    return spec.key


def _word_in(folder: Path) -> str:
    try:
        return (folder / SHARED).read_text()
    except OSError:
        return ""


def _attempt(spec: Run, folder: Path, device: str | None) -> dict:
    """The record of `spec`, done or failed. Running out of memory counts as a failure; a full disk is raised."""
    try:
        checkpoint = folder / "checkpoints" / f"{spec.key}.pt"
        how = {"device": device, "checkpoint": checkpoint, "readings": folder / READINGS}
        try:
            row = runner(spec).run_one(spec, **how)
        except OtherTraining:  # the data or the code changed since the checkpoint
            checkpoint.unlink()
            row = runner(spec).run_one(spec, **how)
        return row | {"status": DONE}
    except Exception as error:  # of any kind: it goes into this row's record, and the other rows are run
        if disk_is_full(error):
            raise  # all rows that follow would fail too
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()
        return failure(spec, error)


def failure(spec: Run, error: BaseException) -> dict:
    """The record of a row that failed: its fields, and the error in one line."""
    origin = {"key": spec.key, "date": now(), "status": FAILED}
    return to_dict(spec) | origin | {"error": f"{type(error).__name__}: {first_line(error, 'no message')}"}


def _write(folder: Path, record: dict) -> None:
    atomic_write(record_path(folder, record["key"]), json.dumps(record, separators=(",", ":")) + "\n")


def _tidy(folder: Path, key: str) -> None:
    """Remove the checkpoint of a recorded row, and the unfinished files of killed workers."""
    unfinished = (folder / "records").glob(f"{key}.json.*.partial")
    for path in [*unfinished, *(folder / "checkpoints").glob(f"{key}.pt*")]:
        path.unlink(missing_ok=True)


def _over_dask(
    todo: Sequence[Run],
    folder: Path,
    device: str | None,
    jobs: int,
    scheduler: str | None,
    on_wait: Callable[[str], None],
) -> Iterator[dict]:
    """Records of `todo` as workers finish them; a row whose workers died too often is recorded as failed here."""
    if not todo:
        return
    from distributed import as_completed
    from distributed.comm import CommClosedError

    gone = f"the scheduler at {scheduler} is gone; restart it and give the same command; recorded rows are kept"
    try:
        with _client(min(jobs, len(todo)), scheduler) as client, _shared(folder) as word:
            if scheduler and not _workers(client):
                on_wait(f"waiting for the first worker of the scheduler at {scheduler}")
                client.wait_for_workers(1)
            if scheduler:
                _check_library(client, scheduler)
            has_gpus = any("GPU" in w["resources"] for w in _workers(client))
            wanted = {"GPU": 1} if has_gpus and device != "cpu" else None
            futures = {
                client.submit(
                    finish, to_dict(spec), str(folder), device, code_hash(), word,
                    key=("study", os.urandom(8).hex(), spec.key), retries=2, pure=False, resources=wanted,
                ): spec
                for spec in todo
            }  # fmt: skip
            for future in as_completed(futures):
                if future.status == "cancelled":  # a run never cancels rows
                    raise CourseError(gone)
                error = future.exception() if future.status != "finished" else None
                yield _collected(futures[future], folder, error, scheduler)
                future.release()
    except CommClosedError as error:
        raise CourseError(gone) from error


def _collected(spec: Run, folder: Path, error: BaseException | None, scheduler: str | None) -> dict:
    """The record of a row that a worker has finished, or that ended with `error`."""
    from distributed import KilledWorker

    record = read_record(folder, spec.key)
    if record is None and error is None:
        raise CourseError(f"{record_path(folder, spec.key)}: a worker wrote it elsewhere; share {folder}")
    if record is None and disk_is_full(error):
        raise error
    if record is None and scheduler and not isinstance(error, KilledWorker):  # what a row raises is on record
        line = str(error) if isinstance(error, WrongWorker) else failure(spec, error)["error"]
        raise CourseError(f"--scheduler {scheduler}: a worker cannot run rows: {line}; then give the same command")
    if record is None:
        record = failure(spec, error)
        _write(folder, record)
        _tidy(folder, spec.key)
    return record


def _check_library(client: "Client", scheduler: str) -> None:
    """Refuse workers without the course's library: the first row would kill them, and the run would wait for others."""

    def look() -> None:  # sent as code, because a worker may not have this module
        import course_lib.study.engine  # noqa: F401

    for worker, error in client.run(look, on_error="return").items():
        if error is not None:
            line = f"{type(error).__name__}: {error}"
            raise CourseError(f"--scheduler {scheduler}: the worker at {worker} has no course_lib ({line}); install it")


def _workers(client: "Client") -> Iterable[dict]:
    return client.scheduler_info(n_workers=-1)["workers"].values()


@contextmanager
def _shared(folder: Path) -> Iterator[str]:
    """A random word, which the file `SHARED` in `folder` holds inside the `with` block."""
    word = os.urandom(8).hex()
    atomic_write(folder / SHARED, word)
    try:
        yield word
    finally:
        (folder / SHARED).unlink(missing_ok=True)


@contextmanager
def _client(jobs: int, scheduler: str | None) -> Iterator["Client"]:
    """A client of `scheduler`, or of a cluster on this machine that is shut down afterwards."""
    import dask
    from distributed import Client, LocalCluster

    for name in ["distributed", *logging.root.manager.loggerDict]:
        if name.startswith("distributed"):  # each has its own level
            logging.getLogger(name).setLevel(logging.CRITICAL)  # the row's record or one line of ours reports it
    if scheduler:
        where = {"scheduler_file": scheduler} if scheduler.endswith(".json") else {"address": scheduler}
        try:
            client = Client(**where, timeout=30)
        except (OSError, ValueError) as error:
            raise CourseError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error})") from error
        with client:
            yield client
        return
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS,
        "distributed.scheduler.worker-saturation": 1.0,  # else a row waiting at a busy worker would share its death
        "distributed.nanny.pre-spawn-environ": WORKER_ENVIRONMENT,
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=jobs,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",  # with the next line: no dashboard, and no conflict over its port
            scheduler_kwargs={"dashboard": False},
            memory_limit=0,
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def runner(run: Run) -> ModuleType:
    """The module with `run_one`, `features_of`, `prefetch_key` and `content_of` for this run."""
    if isinstance(run, SceneRun):
        from course_lib.study import scene_run

        return scene_run
    from course_lib.study import clip_run

    return clip_run
