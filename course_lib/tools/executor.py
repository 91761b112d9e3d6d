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
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import psutil

from course_lib.errors import disk_line

POLL_S = 0.3
SILENCE_S = 120  # over the limit of a cell: a kernel has a minute to start, some seconds to end, and machines are busy
GRACE_S = 5
HUNG = "stopped, having done nothing for longer than a cell may take, twice; run it again"
DIED = "Kernel died; if memory ran out, --jobs 1 or a smaller profile needs less"
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")

# Papermill takes seconds to import: where the system can fork, one clean process imports it for all notebooks
_METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
_processes = multiprocessing.get_context(_METHOD)
_processes.set_forkserver_preload(["__main__", "papermill"])


@dataclass(frozen=True)
class Task:
    """A notebook to execute with `parameters`, writing the executed copy to `output`.

    The kernel runs in `folder`, by default the folder of the notebook. Each cell may take `cell_timeout_s` seconds, and
    the whole notebook `limit_s`; None means no limit. With `keep_going`, execution continues after a cell that raised.
    """

    notebook: Path
    parameters: Mapping[str, object]
    output: Path
    cell_timeout_s: int | None = None
    limit_s: float | None = None
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
    A notebook that makes no progress for `SILENCE_S` beyond the cell timeout is executed again, once. Closing the
    iterator, or an error such as `KeyboardInterrupt`, stops all running notebooks.
    """
    waiting, running, again = deque(tasks), list[_Running](), set[Path]()
    environment = dict(os.environ) | _shared_cores(workers)
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_Running(waiting.popleft(), environment))
            wait([one.report for one in running], timeout=POLL_S)
            for one in list(running):
                task = one.task
                if one.has_moved():
                    on_cells(task, count_cells(task.output)[0])
                trouble = one.trouble()
                if trouble is None:
                    continue
                running.remove(one)
                if trouble == HUNG and task.output not in again:
                    again.add(task.output)  # its cells have limits of their own: what hangs beyond them is chance
                    waiting.append(task)
                    continue
                yield task, trouble, (time.monotonic() - one.begun) / 60
    finally:
        _kill([process for one in running for process in _family(one.process.pid)])


class _Running:
    """A process that executes one task, with its start time and the time when the copy last changed."""

    def __init__(self, task: Task, environment: Mapping[str, str]) -> None:
        for old in (task.result_path, task.output):
            old.unlink(missing_ok=True)
        self.task = task
        self.report, theirs = _processes.Pipe(duplex=False)
        self.process = _processes.Process(target=_work, args=(task, environment, theirs), daemon=True)
        self.process.start()
        theirs.close()  # so that the end of the process is the end of its report
        self.begun = self.moved = time.monotonic()
        self._stamp = 0.0

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
        return None

    def stop(self) -> None:
        """Kill the kernel first, so that papermill can still write the copy; after `GRACE_S`, kill whatever is left."""
        _kill(_family(self.process.pid)[1:])
        self.process.join(GRACE_S)
        _kill(_family(self.process.pid))


def _family(pid: int) -> list[psutil.Process]:
    """A process and all its descendants; empty if it has ended."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _kill(processes: Sequence[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=GRACE_S)


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

    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    try:
        papermill.execute_notebook(
            task.notebook,
            task.output,
            dict(task.parameters),
            kernel_name="python3",
            progress_bar=False,
            cwd=task.folder or task.notebook.parent,
            execution_timeout=task.cell_timeout_s,
            allow_errors=task.keep_going,
            extra_arguments=["--IPKernelApp.log_level=50"],
        )
    except papermill.PapermillExecutionError:
        return ""  # the copy shows it
    except DeadKernelError:
        return DIED
    except CellTimeoutError:
        return f"timed out after {task.cell_timeout_s} s, the limit of a cell in this profile"
    except Exception as error:  # whatever it is, it ends as one line
        return one_line(error)
    return ""


def one_line(error: Exception) -> str:
    """An error in one line: the course's own wording for disk errors, otherwise its type and first line."""
    line = disk_line(error) if isinstance(error, OSError) else None
    return line or f"{type(error).__name__}: {(str(error).strip().splitlines() or ['no message'])[0]}"


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
        and "injected-parameters" not in cell["metadata"].get("tags", [])  # papermill's own, not in the reader's count
    ]


def _name(code: Sequence[Mapping], place: int) -> str:
    """A cell as a reader would find it: its number and the first line that is not a comment."""
    lines = [line for line in "".join(code[place]["source"]).splitlines() if line.strip() and not line.startswith("#")]
    return f"cell {place + 1} of {len(code)} ({(lines or ['only comments'])[0][:60]})"
