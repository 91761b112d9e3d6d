"""Execute notebooks with papermill, several at a time, and report how far each one got.

Each notebook runs in a separate process, so that it can be stopped if it hangs. Its results are in the copy that
papermill writes after every cell: the output of each cell, which cell raised an error, and which cells never ran.
"""

import json
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import psutil

from course_lib.errors import disk_line, first_line
from course_lib.lesson.live import EXECUTED

POLL_S = 0.3
SILENCE_S = 120  # beyond the limit of a cell: a kernel may take a minute to start and seconds to end on a busy machine
GRACE_S = 5
TIDY_S = 1  # for helpers that outlive a kernel to remove what it shared
MARK = EXECUTED  # environment variable that marks every process a notebook started, even one with a new parent
SHARE_OF_MEMORY = 0.8  # that all running notebooks may take together
LAG_S = 60  # that outputs may take to arrive once their cell has ended
BYTES_PER_MESSAGE = 500  # what even the shortest output takes up in the copy
HUNG = "stopped, having made no progress for longer than a cell may take, twice; run it again"
NO_START = "its kernel did not start, twice; run it again"
DIED = "Kernel died; if memory ran out, use --jobs 1 or a smaller profile"
INJECTED = "injected-parameters"  # papermill's tag of the cell that it adds
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

# Papermill takes seconds to import: where the system can fork, one clean process imports it for all notebooks
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_processes = multiprocessing.get_context(_METHOD)
_processes.set_forkserver_preload(["__main__", "papermill"])


@dataclass(frozen=True)
class Task:
    """A notebook to execute with `parameters`, writing the executed copy to `output`.

    The kernel runs in `folder`, by default the folder of the notebook. Each cell may take `cell_timeout_s` seconds, and
    the whole notebook `limit_s`; None means no limit. It may show `outputs_mb`, and its processes, `max_processes` at
    most, may hold `memory_gb` together (None: the notebook's share of the machine). A notebook that exceeds a limit is
    stopped. With `keep_going`, execution continues after a cell that raised.
    """

    notebook: Path
    parameters: Mapping[str, object]
    output: Path
    cell_timeout_s: int | None = None
    limit_s: float | None = None
    outputs_mb: float = 20.0
    memory_gb: float | None = None
    max_processes: int = 100 + 2 * (os.cpu_count() or 1)  # joblib starts one per core
    keep_going: bool = False
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def result_path(self) -> Path:
        """Where a caller may store results from the copy; a new run deletes it together with the old copy."""
        return self.output.with_suffix(".result.json")


def execute(
    tasks: Sequence[Task],
    workers: int,
    *,
    on_cells: Callable[[Task, int], None] = lambda task, n_done: None,
) -> Iterator[tuple[Task, str, float]]:
    """Yield each task as it ends, with what stopped it (empty if nothing did) and its duration in minutes.

    Up to `workers` notebooks run at a time; `on_cells` gets the number of finished cells whenever a copy has changed.
    A notebook whose kernel does not start, or that makes no progress for `SILENCE_S` beyond the cell timeout, is
    executed again, once. Closing the iterator, or an error such as `KeyboardInterrupt`, stops all running notebooks.
    No process outlives its notebook.
    """
    waiting, running, again = deque(tasks), list[_Running](), set[Path]()
    environment = dict(os.environ) | _shared_cores(workers)
    share_gb = SHARE_OF_MEMORY * psutil.virtual_memory().total / 1e9 / workers
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Running(waiting.popleft(), environment, share_gb))
            wait([one.report for one in running], timeout=POLL_S)
            for one in list(running):
                task = one.task
                if one.has_moved():
                    on_cells(task, count_cells(task.output)[0])
                trouble = one.trouble()
                if trouble is None:
                    continue
                running.remove(one)
                one.clear_away()
                if trouble in (HUNG, NO_START) and task.output not in again:
                    again.add(task.output)  # chance: a busy machine, or a port that two kernels chose at once
                    waiting.append(task)
                    continue
                yield task, trouble, (time.monotonic() - one.begun) / 60
    finally:
        for one in running:
            one.clear_away()


class _Running:
    """A process that executes one task, with its start time and the time when the copy last changed."""

    def __init__(self, task: Task, environment: Mapping[str, str], share_gb: float) -> None:
        for old in (task.result_path, task.output):
            old.unlink(missing_ok=True)
        self.task = task
        self.report, theirs = _processes.Pipe(duplex=False)
        environment = environment | {MARK: str(task.output)}
        self.process = _processes.Process(target=_work, args=(task, environment, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of its report
        self.begun = self.moved = time.monotonic()
        self.memory_gb = task.memory_gb or share_gb
        self._stamp = 0.0
        self._seen: set[psutil.Process] = set()

    def has_moved(self) -> bool:
        """Whether the copy has changed since the last call."""
        before = self._stamp
        with suppress(OSError):  # not there yet
            self._stamp = self.task.output.stat().st_mtime
        if self._stamp == before:
            return False
        self.moved = time.monotonic()
        if not before:
            self.begun = self.moved  # papermill is loaded and has read the notebook
        return True

    def trouble(self) -> str | None:
        """What stopped the notebook, empty if nothing did; None while it is running within its limits."""
        task, now = self.task, time.monotonic()
        if self.report.poll():
            try:
                return self.report.recv()
            except EOFError:  # it was killed
                return DIED
        if task.limit_s is not None and now - self.begun > task.limit_s:
            self.stop()
            return f"stopped after {task.limit_s:g} s"
        if task.cell_timeout_s is not None and now - self.moved > task.cell_timeout_s + SILENCE_S:
            self.stop()
            return HUNG
        excess = self.excess()
        if excess:
            self.stop()
            return f"stopped: {excess}"
        return None

    def excess(self) -> str:
        """Which limit its processes exceed, in one line; empty if they stay within all of them."""
        self._seen.update(_family(self.process.pid))
        held = []
        for process in self._seen:
            with suppress(psutil.Error):  # it ends just now
                if process.is_running():  # its number may be another's by now
                    held.append(process.memory_info().rss / 1e9)
        if sum(held) > self.memory_gb:
            return f"its processes held {sum(held):.1f} GB of memory, the limit is {self.memory_gb:.1f} GB"
        if len(held) > self.task.max_processes:
            return f"it started {len(held)} processes, the limit is {self.task.max_processes}"
        return ""

    def stop(self) -> None:
        """Kill the kernel first, so that papermill can still write the copy; after `GRACE_S`, kill whatever is left."""
        _kill(_family(self.process.pid)[1:])
        self.process.join(GRACE_S)
        self.clear_away()

    def clear_away(self) -> None:
        """Kill all that this notebook has started, even what has left its process tree."""
        self._seen.update(_family(self.process.pid))
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # ended, or somebody else's
                if process.environ().get(MARK) == str(self.task.output):
                    self._seen.add(process)
        _, left = psutil.wait_procs(list(self._seen), timeout=TIDY_S)
        _kill(left)


def _family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; empty if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill(processes: Collection[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.Error):  # it has ended
            process.kill()
    psutil.wait_procs(list(processes), timeout=GRACE_S)


def _shared_cores(workers: int) -> dict[str, str]:
    """Variables that give each kernel its share of the cores: kernels that all use every core are slower."""
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    return dict.fromkeys(THREAD_VARIABLES, threads) | {"PYTHONHASHSEED": "0", "MPLBACKEND": "agg"}


# --- In the process of a notebook


def _work(task: Task, environment: Mapping[str, str], report: Connection) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes at once, and the parent stops this one
    os.environ.clear()
    os.environ.update(environment | task.environment)
    report.send(run_papermill(task))


def _end_with_parent() -> None:
    """End this process when its parent is killed; the kernel then ends by itself."""
    multiprocessing.parent_process().join()
    os._exit(1)


def run_papermill(task: Task) -> str:
    """Execute `task` in this process; returns what stopped it, in one line; empty if the copy shows everything."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.engines import papermill_engines

    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    engine = _bounded_engine(task)
    papermill_engines.register("bounded", engine)
    try:
        papermill.execute_notebook(
            task.notebook,
            task.output,
            dict(task.parameters),
            engine_name="bounded",
            kernel_name="python3",
            progress_bar=False,
            cwd=task.folder or task.notebook.parent,
        )
    except papermill.PapermillExecutionError:
        return ""  # the copy shows it
    except Exception as error:  # whatever it is, it becomes one line
        if engine.overflowed:  # its kernel was killed, which looks like a death or a timeout
            return f"stopped: it showed more than {task.outputs_mb:g} MB of outputs"
        if isinstance(error, RuntimeError) and not engine.started:
            return NO_START
        if isinstance(error, DeadKernelError):
            return DIED
        if isinstance(error, CellTimeoutError):
            return f"timed out after {task.cell_timeout_s} s, the limit of a cell in this profile"
        return one_line(error)
    return ""


def _bounded_engine(task: Task) -> type:
    """Papermill's engine for `task`, which kills the kernel once more than `outputs_mb` have come from it.

    Further outputs are dropped, so neither this process nor the copy keeps growing.
    """
    from papermill.clientwrap import PapermillNotebookClient
    from papermill.engines import NBClientEngine

    class Bounded(NBClientEngine):
        started = overflowed = False

        @classmethod
        def execute_managed_notebook(cls, nb_man: object, kernel_name: str, **_: object) -> None:
            client = Client(
                nb_man,
                kernel_name=kernel_name,
                timeout=task.cell_timeout_s,
                startup_timeout=SILENCE_S,
                iopub_timeout=LAG_S,
                on_notebook_start=Bounded.has_started,
                allow_errors=task.keep_going,
                extra_arguments=["--IPKernelApp.log_level=50"],
            )
            client.execute()

        @classmethod
        def has_started(cls, notebook: object) -> None:
            cls.started = True

    class Client(PapermillNotebookClient):
        n_bytes = 0

        def process_message(self, message: dict, *place: object) -> object:
            self.n_bytes += BYTES_PER_MESSAGE + len(str(message["content"]))
            if self.n_bytes <= 1e6 * task.outputs_mb:
                return super().process_message(message, *place)
            if not Bounded.overflowed:
                Bounded.overflowed = True
                _kill(_family(os.getpid())[1:])
            return None

    return Bounded


def one_line(error: Exception) -> str:
    """An error in one line: the course's own wording for disk errors, otherwise its type and first line."""
    line = disk_line(error) if isinstance(error, OSError) else None
    return line or f"{type(error).__name__}: {first_line(error, 'no message')}"


# --- What an executed copy shows


def count_cells(notebook: Path) -> tuple[int, int]:
    """Number of code cells that have run, and of all code cells; 0, 0 if the copy is missing or half-written."""
    try:
        code = _code_cells(json.loads(notebook.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError):
        return 0, 0
    return sum(cell.get("execution_count") is not None for cell in code), len(code)


def went_wrong(copy: Mapping, trouble: str) -> str:
    """What kept a notebook from completing, in one line: the cell, and the `trouble` that stopped it.

    Empty if every cell ran, none raised and there was no `trouble`.
    """
    code = _code_cells(copy)
    for place, cell in enumerate(code):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                what = f"{output['ename']}: {output['evalue']}".strip().removesuffix(":")
                return "; ".join(filter(None, [f"{_name(code, place)}: {what}", trouble]))
    begun = [place for place, cell in enumerate(code) if cell["metadata"].get("papermill", {}).get("start_time")]
    never_ran = [place for place, cell in enumerate(code) if cell.get("execution_count") is None]
    if trouble and begun:  # the last one: a kernel may or may not have counted the cell that it died in
        return f"{_name(code, begun[-1])} never ran to its end; {trouble}"
    if never_ran:
        return "; ".join(filter(None, [f"{_name(code, never_ran[0])} never ran to its end", trouble]))
    return trouble


def _code_cells(notebook: Mapping) -> list[Mapping]:
    return [
        cell
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        and "".join(cell["source"]).strip()
        and INJECTED not in cell["metadata"].get("tags", [])  # papermill's own, which the reader does not count
    ]


def _name(code: Sequence[Mapping], place: int) -> str:
    """A cell as a reader would find it: its number and the first line that is not a comment."""
    lines = [line for line in "".join(code[place]["source"]).splitlines() if line.strip() and not line.startswith("#")]
    return f"cell {place + 1} of {len(code)} ({(lines or ['only comments'])[0][:60]})"
