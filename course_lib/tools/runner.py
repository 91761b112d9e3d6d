"""Run the course: execute the notebooks, judge what they recorded and report it; and measure what to expect of them.

A notebook is green when papermill finished it, every code cell ran, it recorded its numbers, and they are as expected.
Papermill by itself would report success for a notebook that ended half-way in `sys.exit()`, or that ignored a misspelt
parameter.
"""

import hashlib
import json
import math
import statistics
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from course_lib import paths, profiles
from course_lib.data import download, folds, registry
from course_lib.data.clips import Clips
from course_lib.data.load import load, resolve_dataset
from course_lib.errors import CourseError, UsageError
from course_lib.lesson import expected
from course_lib.lesson.display import records
from course_lib.provenance import provenance
from course_lib.tools import authoring, executor, regression, run_report
from course_lib.tools.run_report import FAILED, NOT_RUN, PASSED, Result

USUAL_CLIPS = 400  # the cell limits in the profiles assume this many clips, as in ESC-10


@dataclass(frozen=True)
class Job(executor.Task):
    """One notebook of the course to execute; `data` is a hash of what its data set holds."""

    data: str = ""

    @property
    def name(self) -> str:
        """Name of the notebook, without its ending."""
        return self.notebook.stem

    def key(self) -> str:
        """Hash of everything that the recorded numbers depend on: notebook, parameters, data, library."""
        digest = hashlib.sha256(self.notebook.read_bytes())
        digest.update(json.dumps([dict(self.parameters), self.data], sort_keys=True).encode())
        for path in sorted((paths.repo_root() / "course_lib").rglob("*.py")):
            digest.update(path.read_bytes())
        return digest.hexdigest()


# --- The notebooks: choose, prepare, execute, judge


def chosen_notebooks(only: str) -> list[Path]:
    """Notebooks that the comma-separated `only` names, or all of them: as 01, 00-02 or 03_waveform_augmentation."""
    known = {authoring.number(path): path for path in sorted(authoring.notebooks_dir().glob("[0-9][0-9]_*.ipynb"))}
    if not only:
        return list(known.values())
    wanted = sorted({number for word in only.split(",") if word.strip() for number in _numbers(word.strip(), known)})
    if not wanted:
        raise UsageError(f"--only {only}: names no notebook; there are {', '.join(known)}")
    unknown = [number for number in wanted if number not in known]
    if unknown:
        raise UsageError(f"--only {only}: no notebook {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[number] for number in wanted]


def _numbers(word: str, known: Mapping[str, Path]) -> list[str]:
    """The numbers of notebooks that one word of `--only` stands for; a word that is none comes back as it is."""
    ends = [part.strip().zfill(2) for part in word.split("-")]
    if len(ends) == 2 and all(end in known for end in ends):
        return [number for number in known if ends[0] <= number <= ends[1]] or [word]
    named = [number for number, path in known.items() if path.stem.lower() == Path(word).stem.lower()]
    return named or [word.zfill(2)]


def prepare(notebooks: Sequence[Path], given: Mapping[str, object], folder: Path, cell_timeout_s: int) -> list[Job]:
    """Jobs for `notebooks`, with their parameters checked: a misspelt one stops the run before it starts.

    Raises
    ------
    UsageError
        A notebook does not take a parameter that was given, or `folder` holds one that no run has written.
    """
    for path in notebooks:
        _refuse_to_replace(folder / path.name)
        authoring.check_parameters(dict(given), json.loads(path.read_text(encoding="utf-8")), path.stem)
    folder.mkdir(parents=True, exist_ok=True)
    return [Job(path, given, folder / path.name, cell_timeout_s) for path in notebooks]


def _refuse_to_replace(path: Path) -> None:
    """A run writes where a run has written before, and never over a notebook of the course or of a learner."""
    try:
        ours = "papermill" in json.loads(path.read_text(encoding="utf-8"))["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return  # none, or half of one that a killed run left
    if not ours:
        raise UsageError(f"{path}: a notebook that no run has written; choose another folder with --output")


def run(
    jobs: Sequence[Job],
    *,
    workers: int,
    resume: bool = False,
    on_cells: Callable[[executor.Task, int], None] = lambda job, n_done: None,
    on_done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Results of `jobs` in their order, `workers` notebooks at a time (see `executor.execute`).

    `on_done` is called with each result. A notebook may occur several times, with other parameters and another copy.
    With `resume`, a green result with the same key is kept if its numbers meet the current expectations. After a
    `KeyboardInterrupt` the results so far are returned, the others as `NOT_RUN`.
    """
    results = {job.output: Result(job.name, NOT_RUN, 0.0, "interrupted", str(job.output), "") for job in jobs}
    todo = []
    try:
        for job in jobs:
            kept = kept_result(job) if resume else None
            if kept is None:
                todo.append(job)
            else:
                results[job.output] = kept
                on_done(kept)
        with closing(executor.execute(todo, workers, on_cells=on_cells)) as ended:
            for job, trouble, minutes in ended:
                results[job.output] = conclude(job, trouble, minutes)
                on_done(results[job.output])
    except KeyboardInterrupt:
        pass  # what is not done is on record as not run
    return list(results.values())


def kept_result(job: Job) -> Result | None:
    """The green result of an earlier run, if it has the same key and its numbers meet the current expectations."""
    try:
        result = Result(**json.loads(job.result_path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    if result.state != PASSED or result.key != job.key() or not job.output.exists():
        return None
    verdicts = _judged(job, result.recorded)
    if any(verdict.ok is False for verdict in verdicts):
        return None
    return replace(result, verdicts=[asdict(verdict) for verdict in verdicts])


def conclude(job: Job, trouble: str, minutes: float) -> Result:
    """Judge one executed notebook and keep the result beside it, written whole or not at all."""
    found, verdicts = {}, []
    try:
        copy = json.loads(job.output.read_text(encoding="utf-8"))
        message = executor.went_wrong(copy, trouble)
        found = records(copy)
    except (OSError, ValueError) as error:
        message = trouble or f"the executed copy cannot be read: {error}"
        if isinstance(error, json.JSONDecodeError):
            job.output.unlink()  # half a copy, which no program opens
    if not message:
        verdicts = _judged(job, found)
        message = "; ".join(f"{v.name} is {v.shown}, expected {v.expected}" for v in verdicts if v.ok is False)
    if not message and not found:
        message = "it records nothing; its last cell should call record(...)"
    state, minutes = FAILED if message else PASSED, round(minutes, 3)
    result = Result(job.name, state, minutes, message, str(job.output), job.key(), [asdict(v) for v in verdicts], found)
    try:
        paths.atomic_write(job.result_path, json.dumps(asdict(result), indent=1))
    except OSError as error:  # the other notebooks go on, and --resume runs this one again
        return replace(result, state=FAILED, message=message or executor.one_line(error))
    return result


def _judged(job: Job, found: Mapping[str, Mapping]) -> list[regression.Verdict]:
    wanted = regression.expectations(job.parameters["profile"], str(job.parameters.get("dataset", "")), job.name)
    return regression.judge_all(found, wanted)


# --- `course run` and `course expect`


def run_course(
    given: Mapping[str, object],
    *,
    jobs: int,
    output: Path | None,
    console: Console,
    only: str = "",
    resume: bool = False,
    publish: bool = False,
) -> int:
    """Run the notebooks with the parameters `given` and leave all reports in `output`; returns the exit code."""
    begun = time.monotonic()
    profile, dataset = profiles.get(given["profile"]), given["dataset"]
    notebooks = chosen_notebooks(only)
    if profile.name == "smoke":
        console.print("smoke tests the machinery: its numbers mean little, and its notebooks draw no conclusions")
    given = {**given, "dataset": resolve_dataset(dataset)}
    default = paths.runs_dir() / run_report.label(profile.name, given["dataset"])
    target = paths.as_folder(output or default, "--output")
    with paths.lock(target, "notebooks"):
        todo = prepare(notebooks, given, target, profile.cell_timeout_s)
        content, slower = prepare_data(given["dataset"], profile, given["seed"], console, notebooks)
        todo = [replace(job, data=content, cell_timeout_s=slower * job.cell_timeout_s) for job in todo]
        results = _run_on_screen(todo, jobs, resume, console)
        about = {"profile": profile.name, "data set": given["dataset"], "seed": given["seed"], "jobs": jobs}
        if publish:
            for path in run_report.publish(results, about, paths.published_dir()):
                console.print(f"published {path.relative_to(paths.repo_root())}")
        run_report.write_all(results, about, target, console, (time.monotonic() - begun) / 60)
    states = {result.state for result in results}
    if NOT_RUN in states:
        console.print("interrupted; continue with --resume")
        return 130
    return int(FAILED in states)


def measure_expectations(
    profile: str, dataset: str, *, only: str, seeds: int, jobs: int, console: Console, add: bool = False
) -> None:
    """Run the notebooks with several seeds and store what they record as the expected values.

    With `add`, the values on file, measured on another machine, are kept and count as more seeds; so do its minutes.

    Raises
    ------
    CourseError
        A notebook recorded nothing with one of the seeds, or has no values on file to add to.
    """
    size = profiles.get(profile)
    notebooks = chosen_notebooks(only)
    name, todo = resolve_dataset(dataset), []
    on_file = {n.stem: expected.stored(profile).get(name, {}).get(n.stem) for n in notebooks} if add else {}
    if missing := [stem for stem, entry in on_file.items() if entry is None]:
        raise CourseError(f"--add: {', '.join(missing)}: no values of {profile} on {name} on file; leave out --add")
    for seed in range(seeds):
        parameters = {"profile": profile, "dataset": name, "seed": seed}
        folder = paths.runs_dir() / f"expect-{run_report.label(profile, name)}" / f"seed-{seed}"
        begun = prepare(notebooks, parameters, folder, size.cell_timeout_s)
        content, slower = prepare_data(name, size, seed, console)
        todo += [replace(job, data=content, cell_timeout_s=slower * job.cell_timeout_s) for job in begun]
    results = _run_on_screen(todo, jobs, True, console)
    for place, notebook in enumerate(notebooks):
        runs = results[place :: len(notebooks)]
        broken = next((r for r in runs if not r.recorded), None)
        if broken is not None:
            raise CourseError(f"{notebook.stem} did not run: {broken.message}; its expectations were not written")
        minutes = round(statistics.median(r.minutes for r in runs), 2)
        origin = provenance() | {"seeds": seeds, "notebooks_at_a_time": jobs, "minutes": minutes}
        earlier = on_file.get(notebook.stem, {"metrics": {}})
        metrics = regression.measure([r.recorded for r in runs], earlier["metrics"])
        if add:
            before = earlier["provenance"]
            origin |= {"added_to": before, "minutes": before["minutes"]}
        where = regression.store(profile, dataset, notebook.stem, metrics, origin)
        console.print(f"{notebook.stem}: {len(metrics)} expectations in {where.relative_to(paths.repo_root())}")
        for line in regression.unclear_effects(metrics) if profile != "smoke" else []:
            console.print(f"[yellow]{notebook.stem}[/]: not clear: {escape(line)}", soft_wrap=True)


def prepare_data(
    dataset: str, profile: profiles.Profile, seed: int, console: Console, notebooks: Sequence[Path] = ()
) -> tuple[str, int]:
    """A hash of `dataset` and the factor for cell limits, after loading it once, so that its faults appear early.

    The factor is the number of clips over `USUAL_CLIPS`, rounded up: the limits of the profile are multiplied by it,
    because data sets with many classes have many clips, however few are taken per class.

    Raises
    ------
    UsageError
        One of `notebooks` needs longer or more clips.
    """
    if dataset in registry.names() and not registry.entry(dataset).embedded:
        download.get(download.available(dataset))
    clips = load(dataset, profile, seed)
    refuse_unfit(notebooks, clips)
    clips.waves()
    console.print(f"data: {clips.name}, {len(clips)} clips, {len(clips.classes)} classes, {clips.length_s:g} s each")
    listing = Path(dataset).read_bytes() if Path(dataset).is_file() else b""  # labels and folds of own sounds
    return hashlib.sha256(clips.content.encode() + listing).hexdigest(), math.ceil(len(clips) / USUAL_CLIPS)


def refuse_unfit(notebooks: Sequence[Path], clips: Clips) -> None:
    """Raises UsageError if some of `notebooks` cannot run on `clips`, by what `notebooks/needs.toml` says of them."""
    path = authoring.notebooks_dir() / "needs.toml"
    needs = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    held_out = fewest_held_out(clips)
    unfit, names, remedies = [], set(), set()
    for name, of in ((p.stem, needs[p.stem]) for p in notebooks if p.stem in needs):
        lacking = []
        if clips.length_s < of.get("clip_s", 0):
            lacking.append(f"clips of {of['clip_s']:g} s, not {clips.length_s:g} s")
            remedies.add("give a larger --clip-s")
        if held_out < of.get("held_out", 0):
            lacking.append(f"{of['held_out']} sources of each class in validation and test together, not {held_out}")
            remedies.add("add sounds")
        if lacking:
            unfit.append(f"{name} needs {' and '.join(lacking)} ({of['because']})")
            names.add(name)
    if unfit:
        others = ",".join(authoring.number(p) for p in notebooks if p.stem not in names)
        remedies |= {f"run the others with --only {others}"} if others else set()
        raise UsageError(f"{clips.name}: {'; '.join(unfit)}; {', or '.join(sorted(remedies))}")


def fewest_held_out(clips: Clips) -> int:
    """The fewest sources of a class in validation and test of the first fold; clips, if the test set is one source."""
    _, validation, test = clips.split(folds.testable_folds(clips)[0])
    single = clips.table["source"][test].nunique() == 1
    held = clips.table[validation | test]
    return int(held.groupby("label")["clip" if single else "source"].nunique().min())


def _run_on_screen(todo: Sequence[Job], workers: int, resume: bool, console: Console) -> list[Result]:
    """Results of `todo`, with a bar that shows the time left and a line for every notebook that ends."""
    n_cells = {job.output: executor.count_cells(job.notebook)[1] for job in todo}
    n_done = dict.fromkeys(n_cells, 0)
    with run_report.progress_bar(console) as bar:
        cells = bar.add_task("cells", total=sum(n_cells.values()))

        def on_cells(job: executor.Task, done: int) -> None:
            n_done[job.output] = max(done, n_done[job.output])
            bar.update(cells, completed=sum(n_done.values()))

        def on_done(result: Result) -> None:
            n_done[Path(result.output)] = n_cells[Path(result.output)]
            bar.update(cells, completed=sum(n_done.values()))
            sign, minutes = run_report.SIGNS[result.state], f"{result.minutes:.2f} min"
            console.print(f"  {sign}  {result.notebook}  {minutes}  {escape(result.message)}")

        return run(todo, workers=workers, resume=resume, on_cells=on_cells, on_done=on_done)
