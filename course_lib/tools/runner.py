"""Execute notebooks with papermill, several kernels at a time, and judge what came out.

A notebook is green when papermill finished it, every code cell ran, it recorded its numbers, and they are as expected.
Papermill alone would call a notebook that left half-way by `sys.exit()`, or that ignored a misspelt parameter, a
success.
"""

import hashlib
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from course_lib.errors import UsageError, disk_line
from course_lib.lesson.display import records
from course_lib.paths import atomic_write, repo_root
from course_lib.tools import authoring, regression

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
DIED = "Kernel died"
POLL_S = 0.3
SILENCE_S = 120  # over the limit of a cell: a kernel has a minute to start, some seconds to end, and machines are busy
FREED_S = 10
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One notebook to execute; `data` is a hash of what its data set holds."""

    notebook: Path
    parameters: Mapping[str, object]
    output: Path
    cell_timeout_s: int
    data: str = ""

    @property
    def name(self) -> str:
        return self.notebook.stem

    @property
    def result_path(self) -> Path:
        return self.output.with_suffix(".result.json")

    def key(self) -> str:
        """Hash of everything that the recorded numbers depend on: notebook, parameters, data, library."""
        digest = hashlib.sha256(self.notebook.read_bytes())
        digest.update(json.dumps([dict(self.parameters), self.data], sort_keys=True).encode())
        for path in sorted((repo_root() / "course_lib").rglob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()


@dataclass(frozen=True)
class Result:
    """What came of one notebook."""

    notebook: str
    state: str
    minutes: float
    message: str
    output: str
    key: str
    verdicts: list[dict] = field(default_factory=list)
    recorded: dict = field(default_factory=dict)


def prepare(notebooks: Sequence[Path], given: Mapping[str, object], folder: Path, cell_timeout_s: int) -> list[Job]:
    """Jobs for `notebooks`, after their parameters were checked: a misspelt one stops the run before it starts.

    Raises
    ------
    UsageError
        A notebook does not take a parameter that was given, or `folder` holds one that no run has written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for path in notebooks:
        refuse_to_replace(folder / path.name)
        authoring.check_parameters(dict(given), json.loads(path.read_text(encoding="utf-8")), path.stem)
    return [Job(path, given, folder / path.name, cell_timeout_s) for path in notebooks]


def run(
    jobs: Sequence[Job],
    *,
    workers: int,
    resume: bool = False,
    on_change: Callable[[dict[Path, tuple[int, int]], Result | None], None] = lambda progress, done: None,
) -> list[Result]:
    """Results of `jobs` in their order, `workers` kernels at a time.

    `on_change(progress, finished)` is called often with the cells done and in all of every executed copy, and once with
    each result. A notebook may be there several times, under other parameters and with a copy for each.
    With `resume`, a green result of the same key stands if its numbers are what is expected of them now.
    A notebook that does nothing for longer than a cell may take is run again, once.
    A `KeyboardInterrupt` stops the kernels and comes back to the caller as the results so far, the rest `NOT_RUN`.
    """
    share_cores(workers)
    progress = {job.output: (0, _n_cells(job.notebook)) for job in jobs}
    results: dict[Path, Result] = {}
    waiting, running, again = deque(jobs), dict[Future[Result], _Running](), set[Path]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                begun = _Running(waiting.popleft())
                running[begun.start(resume)] = begun
            done, _ = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED)
            for one in running.values():
                if one.has_moved():
                    total = progress[one.job.output][1]
                    progress[one.job.output] = (_cells_done(one.job.output, total), total)
            on_change(progress, None)
            for future in [f for f, one in running.items() if f in done or one.is_silent()]:
                one = running.pop(future)
                result = future.result() if future in done else _given_up(one, future)
                if future not in done and one.job.output not in again:
                    again.add(one.job.output)  # its cells have limits of their own: what hangs beyond them is chance
                    waiting.append(one.job)
                    continue
                results[one.job.output] = result
                on_change(progress, result)
    except KeyboardInterrupt:
        until = time.monotonic() + SILENCE_S
        while not all(future.done() for future in running) and time.monotonic() < until:
            _stop_kernels()  # again and again: one just starting escapes at first
            time.sleep(POLL_S)
    unfinished = {job.output: Result(job.name, NOT_RUN, 0.0, "interrupted", str(job.output), "") for job in jobs}
    return list((unfinished | results).values())


class _Running:
    """A notebook in a thread that nobody waits for at exit, and when it was last seen to do something."""

    def __init__(self, job: Job) -> None:
        self.job, self.begun = job, time.monotonic()
        self._seen, self._since = 0.0, self.begun

    def start(self, resume: bool) -> "Future[Result]":
        future: Future[Result] = Future()

        def work() -> None:
            try:
                future.set_result(_run_one(self.job, resume))
            except BaseException as error:  # whoever waits for the result gets it
                future.set_exception(error)

        self._thread = threading.Thread(target=work, name=self.job.name, daemon=True)
        self._thread.start()
        return future

    def has_moved(self) -> bool:
        """Whether the executed copy, written after every cell, is another than when this was last asked."""
        before = self._seen
        try:
            self._seen = self.job.output.stat().st_mtime
        except OSError:
            self._seen = 0.0  # not there yet
        if self._seen != before:
            self._since = time.monotonic()
        return self._seen != before

    def is_silent(self) -> bool:
        """Whether it has not moved for longer than a cell may take."""
        return time.monotonic() - self._since > self.job.cell_timeout_s + SILENCE_S

    def where(self) -> str:
        """The line that its thread is in."""
        frame = sys._current_frames().get(self._thread.ident)
        if frame is None:
            return "nowhere"
        last = traceback.extract_stack(frame)[-1]
        return f"{Path(last.filename).name}:{last.lineno} ({last.name})"


def _given_up(one: _Running, future: "Future[Result]") -> Result:
    """What is told of a notebook that no longer does anything: stopping its kernel mostly frees it, else it is left."""
    where = one.where()
    _stop_kernels(one.job)
    wait([future], timeout=FREED_S)
    if future.done():
        return future.result()
    minutes = (time.monotonic() - one.begun) / 60
    trouble = f"nothing happened for {one.job.cell_timeout_s + SILENCE_S} s, twice, last in {where}; run it again"
    return _conclude(one.job, trouble, minutes)


def share_cores(workers: int) -> None:
    """Give every kernel its share of the cores: two that take all of them are slower than one after the other."""
    threads = str(max(1, (os.cpu_count() or 1) // workers))
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, threads) | {"PYTHONHASHSEED": "0", "MPLBACKEND": "agg"})


def _run_one(job: Job, resume: bool) -> Result:
    """Execute and judge one notebook, or take its green result of an earlier run."""
    kept = _finished_before(job) if resume else None
    if kept is not None:
        return kept
    for old in (job.output, job.result_path):
        old.unlink(missing_ok=True)
    start = time.monotonic()
    trouble = _execute(job)
    return _conclude(job, trouble, (time.monotonic() - start) / 60)


def _execute(job: Job) -> str:
    """Run papermill on one notebook; returns what stopped it, where that is not an error inside a cell."""
    import papermill  # seconds to import, and only needed here
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what stops a notebook is told once, by its result
    try:
        papermill.execute_notebook(
            job.notebook,
            job.output,
            dict(job.parameters),
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=job.cell_timeout_s,
            # papermill's `cwd` moves the whole process, which several notebooks share; this one moves the kernel alone
            resources={"metadata": {"path": str(job.notebook.parent)}},
            extra_arguments=["--IPKernelApp.log_level=50", _mark(job)],
        )
    except papermill.PapermillExecutionError:
        return ""  # the executed copy shows it
    except DeadKernelError:
        return f"{DIED}; if memory ran out, --jobs 1 or a smaller profile needs less"
    except CellTimeoutError:
        return f"timed out after {job.cell_timeout_s} s, the limit of a cell in this profile"
    except Exception as error:  # whatever it is, it ends as one red line
        return _one_line(error)
    return ""


def _mark(job: Job) -> str:
    """An argument that changes nothing in a kernel and tells, in a list of processes, whose it is."""
    return f"--InteractiveShell.banner2={job.output}"


def _one_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or ["no message"]
    return (disk_line(error) if isinstance(error, OSError) else None) or f"{type(error).__name__}: {lines[0]}"


def _stop_kernels(job: Job | None = None) -> None:
    """End the kernels that this process started, or that of `job`; their notebooks then end by themselves."""
    mark = "ipykernel_launcher" if job is None else _mark(job)
    family = [p for p in psutil.Process().children(recursive=True) if mark in " ".join(_command(p))]
    for member in family:
        member.terminate()
    for member in psutil.wait_procs(family, timeout=3)[1]:
        member.kill()


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _n_cells(path: Path) -> int:
    return sum(cell["cell_type"] == "code" for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])


def _cells_done(output: Path, total: int) -> int:
    """Code cells finished so far, read from the copy that papermill saves after each cell."""
    try:
        cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError, KeyError):
        return 0  # not there yet, or just being written
    done = sum(c["cell_type"] == "code" and c.get("execution_count") is not None for c in cells)
    return min(max(done - 1, 0), total)  # papermill adds a cell with the parameters


def _finished_before(job: Job) -> Result | None:
    try:
        result = Result(**json.loads(job.result_path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if result.state != PASSED or result.key != job.key() or not job.output.exists():
        return None
    verdicts = _judged(job, result.recorded)  # anew: what is expected may have changed since
    return None if any(v.ok is False for v in verdicts) else replace(result, verdicts=[asdict(v) for v in verdicts])


def _conclude(job: Job, trouble: str, minutes: float) -> Result:
    """Judge one executed notebook and keep the result beside it, written whole or not at all."""
    found: dict[str, dict] = {}
    verdicts: list[regression.Verdict] = []
    try:
        notebook = json.loads(job.output.read_text(encoding="utf-8"))
        unfinished = died_in if trouble.startswith(DIED) else never_ran
        inside = raised(notebook) or unfinished(notebook)
        message = "; ".join(filter(None, [inside, trouble]))
        found = records(notebook)
    except (OSError, ValueError) as error:
        message = trouble or f"the executed copy cannot be read: {error}"
        if isinstance(error, json.JSONDecodeError):
            job.output.unlink()  # half of a copy, which no program opens
    if not message:
        verdicts = _judged(job, found)
        message = "; ".join(f"{v.name} is {v.shown}, expected {v.expected}" for v in verdicts if v.ok is False)
        message = message or ("" if found else "it records nothing; the last cell calls record(...)")
    state = FAILED if message else PASSED
    result = Result(
        job.name, state, round(minutes, 3), message, str(job.output), job.key(), [asdict(v) for v in verdicts], found
    )
    try:
        atomic_write(job.result_path, json.dumps(asdict(result), indent=1))
    except OSError as error:  # the other notebooks go on, and --resume runs this one again
        return replace(result, state=FAILED, message=message or _one_line(error))
    return result


def _judged(job: Job, found: Mapping[str, Mapping]) -> list[regression.Verdict]:
    wanted = regression.expectations(job.parameters["profile"], str(job.parameters.get("dataset", "")), job.name)
    return regression.judge_all(found, wanted)


# --- Executed notebooks: where one may be written, and how far one came, as one line on an error or an unended cell


def refuse_to_replace(path: Path) -> None:
    """A run writes where a run has written before, and never over a notebook of the course or of a learner.

    Raises
    ------
    UsageError
        `path` is a notebook that papermill did not write.
    """
    try:
        ours = "papermill" in json.loads(path.read_text(encoding="utf-8"))["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or half of one that a killed run left
    if not ours:
        raise UsageError(f"{path}: a notebook that no run has written; give --output another folder")


def _code_cells(notebook: Mapping) -> list[Mapping]:
    return [
        cell
        for cell in notebook["cells"]
        if cell["cell_type"] == "code"
        and "".join(cell["source"]).strip()
        and "injected-parameters" not in cell["metadata"].get("tags", [])  # papermill's own, not in the reader's count
    ]


def raised(notebook: Mapping) -> str:
    """The error inside an executed notebook, in one line with its cell; empty where there is none."""
    code = _code_cells(notebook)
    for place, cell in enumerate(code, start=1):
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                what = f"{output['ename']}: {output['evalue']}".strip().removesuffix(":")
                return f"cell {place} of {len(code)} ({_first_line(cell)}): {what}"
    return ""


def never_ran(notebook: Mapping) -> str:
    """The first code cell that was not executed to its end, in one line; empty when all were."""
    code = _code_cells(notebook)
    place = next((place for place, cell in enumerate(code) if cell.get("execution_count") is None), None)
    return "" if place is None else _unfinished(code, place)


def died_in(notebook: Mapping) -> str:
    """The last code cell that was begun, in one line: a kernel may or may not have counted it before it died in it."""
    code = _code_cells(notebook)
    begun = [place for place, cell in enumerate(code) if cell["metadata"].get("papermill", {}).get("start_time")]
    return _unfinished(code, begun[-1]) if begun else never_ran(notebook)


def _unfinished(code: Sequence[Mapping], place: int) -> str:
    return f"cell {place + 1} of {len(code)} ({_first_line(code[place])}) never ran to its end"


def _first_line(cell: Mapping) -> str:
    lines = [line for line in "".join(cell["source"]).splitlines() if line.strip() and not line.startswith("#")]
    return (lines or ["only comments"])[0][:60]
