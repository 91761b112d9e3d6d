"""What `course run` and `course expect` do, below the command line: choose, prepare, execute, report."""

import ast
import hashlib
import statistics
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from course_lib import authoring, expected, grading, paths, profiles, report, runner
from course_lib.datasets import fetch, registry
from course_lib.datasets.load import load
from course_lib.errors import CourseError, UsageError
from course_lib.locks import lock


def chosen_notebooks(only: str, folder: Path) -> list[Path]:
    """Notebooks of `folder`, those whose two digits are in the comma-separated `only`, or all."""
    every = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    if not only:
        return every
    wanted = [w.strip().zfill(2) for w in only.split(",") if w.strip()]
    known = {authoring.number(p): p for p in every}
    if not wanted:
        raise UsageError(f"--only {only}: names no notebook; there are {', '.join(known)}")
    unknown = [w for w in wanted if w not in known]
    if unknown:
        raise UsageError(f"--only {only}: no notebook {', '.join(unknown)}; there are {', '.join(known)}")
    return [known[w] for w in sorted(set(wanted))]


def parsed_parameters(pairs: list[str]) -> dict[str, object]:
    """`name=value` pairs as a dictionary; a value is a Python literal, or else a text.

    Raises
    ------
    UsageError
        A pair is none, or names what has an option of its own: data, limits and reports go by that.
    """
    parsed = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"--param {pair}: expected name=value")
        if name in authoring.STANDARD_PARAMETERS:
            raise UsageError(f"--param {pair}: {name} has an option of its own; use --{name} {text}")
        try:
            parsed[name] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            parsed[name] = text
    return parsed


def located(dataset: str) -> str:
    """`dataset` as notebooks need it, which run in another folder: a name, or the absolute path of a manifest."""
    if not dataset.endswith(".csv"):
        return registry.entry(dataset).name
    path = Path(dataset).expanduser().resolve()
    if not path.is_file():
        raise CourseError(f"{path}: No such file; give the path of a CSV file with the columns filename,label")
    return str(path)


def prepare_data(dataset: str, profile: profiles.Profile, seed: int, console: Console) -> str:
    """Fetch, load and decode `dataset` once, so that its faults come up before any notebook starts; a hash of it."""
    if dataset in registry.names() and not registry.entry(dataset).embedded:
        fetch.get(dataset)
    clips = load(dataset, profile, seed)
    clips.waves()
    console.print(f"data: {clips.name}, {len(clips)} clips, {len(clips.classes)} classes, {clips.length_s:g} s each")
    listing = Path(dataset).read_bytes() if Path(dataset).is_file() else b""  # labels and folds of one's own sounds
    return hashlib.sha256(clips.content.encode() + listing).hexdigest()


def execute(todo: list[runner.Job], workers: int, resume: bool, console: Console) -> list[runner.Result]:
    """Results of `todo`, with a bar that tells the time left and a line for every notebook that ends."""
    with report.progress_bar(console) as bar:
        task = bar.add_task("cells", total=None)

        def on_change(progress: dict[Path, tuple[int, int]], done: runner.Result | None) -> None:
            finished, total = (sum(values) for values in zip(*progress.values(), strict=True))
            bar.update(task, completed=finished, total=total)
            if done is not None:
                console.print(
                    f"  {report.SIGNS[done.state]}  {done.notebook}  {done.minutes:.2f} min  {escape(done.message)}"
                )

        return runner.run(todo, workers=workers, resume=resume, on_change=on_change)


def conclude(results: list[runner.Result], about: dict, target: Path, console: Console) -> int:
    """Write every report, print the table; returns the exit code."""
    report.write_json(results, about, target / "results.json")
    report.write_junit(results, target / "junit.xml")
    index = report.write_pages(results, about, target)
    console.print(report.screen_table(results, "notebooks, " + ", ".join(f"{k} {v}" for k, v in about.items())))
    for r in results:
        if r.state == runner.FAILED:
            console.print(f"[red]{r.notebook}[/]: {escape(r.message)}", soft_wrap=True)
            if Path(r.output).exists():
                console.print(f"  executed copy: {r.output}", soft_wrap=True)
    console.print(f"open {index}", soft_wrap=True)
    if any(r.state == runner.NOT_RUN for r in results):
        console.print("interrupted; go on with --resume")
        return 130
    return int(any(r.state == runner.FAILED for r in results))


def run_course(
    profile: str,
    dataset: str,
    seed: int,
    given: dict[str, object],
    *,
    only: str,
    jobs: int,
    resume: bool,
    solutions: bool,
    output: Path | None,
    publish: bool,
    console: Console,
) -> int:
    """Everything behind `course run`; returns the exit code."""
    size = profiles.get(profile)
    folder = authoring.notebooks_dir() / "solutions" if solutions else authoring.notebooks_dir()
    notebooks = chosen_notebooks(only, folder)
    dataset = located(dataset)
    label = f"{profile}-{Path(dataset).stem}" + ("-solutions" if solutions else "")
    target = paths.as_folder(output or paths.runs_dir() / label, "--output")
    parameters = {"profile": profile, "dataset": dataset, "seed": seed} | given
    with lock(target, "notebooks"):
        todo = runner.prepare(notebooks, parameters, target, size.cell_timeout_s)
        content = prepare_data(dataset, size, seed, console)
        results = execute([replace(job, data=content) for job in todo], jobs, resume, console)
    about = {"profile": profile, "data set": dataset, "seed": seed, "jobs": jobs}
    for path in report.publish(results, about, paths.published_dir()) if publish else ():
        console.print(f"published {path.relative_to(paths.repo_root())}")
    return conclude(results, about, target, console)


def measure_expectations(profile: str, dataset: str, *, only: str, seeds: int, jobs: int, console: Console) -> None:
    """Run the notebooks under several seeds and store what they record as the expected values."""
    size = profiles.get(profile)
    notebooks = chosen_notebooks(only, authoring.notebooks_dir())
    name, todo = located(dataset), []
    for seed in range(seeds):
        parameters = {"profile": profile, "dataset": name, "seed": seed}
        folder = paths.runs_dir() / f"expect-{profile}-{Path(name).stem}" / f"seed-{seed}"
        begun = runner.prepare(notebooks, parameters, folder, size.cell_timeout_s)
        content = prepare_data(name, size, seed, console)
        todo += [replace(job, data=content) for job in begun]
    results = execute(todo, jobs, True, console)
    for place, notebook in enumerate(notebooks):
        runs = results[place :: len(notebooks)]
        broken = next((r for r in runs if not r.recorded), None)
        if broken is not None:
            raise CourseError(f"{notebook.stem} did not run: {broken.message}; nothing of it was written")
        metrics = expected.measure([r.recorded for r in runs])
        minutes = round(statistics.median(r.minutes for r in runs), 2)
        origin = report.provenance() | {"seeds": seeds, "notebooks_at_a_time": jobs, "minutes": minutes}
        where = expected.store(profile, dataset, notebook.stem, metrics, origin)
        console.print(f"{notebook.stem}: {len(metrics)} expectations in {where.relative_to(paths.repo_root())}")


def grade_folder(
    folder: Path, output: Path, profile: str, dataset: str, *, minutes: float, jobs: int, console: Console
) -> int:
    """Everything behind `course grade`; returns the exit code. The table is whole after every submission.

    It is written empty before the first: where it cannot be, nothing is executed in vain.
    """
    parameters = {"profile": profiles.get(profile).name, "dataset": located(dataset), "seed": 0}
    total, kept = len(grading.submissions(folder)), []

    def on_done(done: grading.Grade) -> None:
        kept.append(done)
        grading.write_table(sorted(kept, key=lambda g: g.file), output)
        counts = f"{done.passed} of {len(done.states)}" if done.states else "not graded"
        console.print(f"  {escape(done.file)}  {counts}  {escape(done.remark)}", soft_wrap=True)

    grading.write_table([], output)
    runner.share_cores(jobs)
    grades, complete = grading.grade(folder, parameters, limit_s=60 * minutes, workers=jobs, on_done=on_done)
    for exercise, passed, asked, said in grading.by_exercise(grades):
        often = f"; most often: {escape(said)}" if said else ""
        console.print(f"exercise {exercise}: {passed} of {asked} passed{often}", soft_wrap=True)
    console.print(f"{output}: {len(grades)} of {total} submissions", soft_wrap=True)
    return 0 if complete else 130
