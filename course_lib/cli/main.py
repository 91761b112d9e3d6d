"""The command line: `course run`, `course study`, `course data`, `course doctor`, and what the authors need.

Exit codes: 0 good; 1 a notebook, a check or the machine failed; 2 wrong use; 130 interrupted.
"""

import ast
import hashlib
import os
import signal
import statistics
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from course_lib import paths, profiles
from course_lib.cli.study import study
from course_lib.data import download, registry
from course_lib.data.load import load
from course_lib.errors import CourseError, UsageError, disk_line
from course_lib.paths import lock
from course_lib.tools import authoring, grading, regression, run_report, runner

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="The course on temporal resolution in audio classification.",
)
data = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Data sets: list, get, verify, describe.")
app.add_typer(data, name="data")
app.add_typer(study, name="study")
console = Console(highlight=False)

ProfileOption = Annotated[str, typer.Option(help="How much to run: smoke, lesson or study.")]
DatasetOption = Annotated[
    str, typer.Option(help="A name from `course data list`, or the path of your own manifest.csv or folder.")
]
JobsOption = Annotated[int, typer.Option(min=1, help="Notebooks at a time; the cores are shared among them.")]


def main() -> None:
    """Entry point: a user's mistake ends in one line and an exit code, never in a traceback."""
    try:
        app()
    except CourseError as error:
        _complain(str(error))
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except OSError as error:
        line = disk_line(error)
        if line is None:
            raise
        _complain(line)
        sys.exit(1)


def _complain(line: str) -> None:
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]course:[/] {escape(line)}")


@app.command(epilog="`course run --dataset esc10 --only 01,02` · `course run --profile lesson --jobs 2 --resume`")
def run(
    profile: ProfileOption = "smoke",
    dataset: DatasetOption = "synth10",
    only: Annotated[str, typer.Option(help="Numbers of notebooks, comma between, as in 01,05.")] = "",
    jobs: JobsOption = min(2, os.cpu_count() or 1),
    seed: Annotated[int, typer.Option(help="Seed of everything drawn at random.")] = 0,
    param: Annotated[list[str], typer.Option("--param", "-p", help="A notebook's own parameter, name=value.")] = [],  # noqa: B006
    resume: Annotated[bool, typer.Option(help="Keep green results of an earlier, interrupted run.")] = False,
    solutions: Annotated[bool, typer.Option(help="Run the complete copies, every exercise strict.")] = False,
    output: Annotated[Path | None, typer.Option(help="Folder for what comes out [default: runs/...].")] = None,
    publish: Annotated[bool, typer.Option(help="Keep the numbers of green notebooks in study/results.")] = False,
) -> None:
    """Execute the notebooks and judge them.

    Leaves executed copies, `index.html`, `results.json` and `junit.xml`.
    """
    # this and the like below: seconds to import, which --help need not wait for

    if solutions:
        os.environ["COURSE_STRICT"] = "1"
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's end is as orderly as Ctrl-C
    code = run_course(
        profile,
        dataset,
        seed,
        parsed_parameters(param),
        only=only,
        jobs=jobs,
        resume=resume,
        solutions=solutions,
        output=output,
        publish=publish,
        console=console,
    )
    raise typer.Exit(code)


@app.command(epilog="`course grade submissions/` · `course grade submissions/ --output grades.csv --minutes 3`")
def grade(
    folder: Annotated[Path, typer.Argument(help="Submitted notebooks, one folder a student or one file each.")],
    output: Annotated[Path, typer.Option(help="The CSV file to write.")] = Path("grades.csv"),
    minutes: Annotated[float, typer.Option(min=0.05, help="Time that one submission may take.")] = 10.0,
    profile: ProfileOption = "smoke",
    dataset: DatasetOption = "synth10",
    jobs: JobsOption = min(2, os.cpu_count() or 1),
) -> None:
    """Execute submitted notebooks and count the exercises that pass, a line each.

    This runs what students wrote, with your rights: do it on a machine where that is no harm.
    """

    raise typer.Exit(grade_folder(folder, output, profile, dataset, minutes=minutes, jobs=jobs, console=console))


@app.command()
def expect(
    profile: ProfileOption = "smoke",
    dataset: DatasetOption = "synth10",
    only: Annotated[str, typer.Option(help="Numbers of notebooks, comma between.")] = "",
    seeds: Annotated[
        int, typer.Option(min=regression.MIN_SEEDS, help="Seeds to measure the bands from.")
    ] = regression.MIN_SEEDS,
    jobs: JobsOption = min(2, os.cpu_count() or 1),
) -> None:
    """Measure what the notebooks record, over seeds, and write it to `tests/expected/`."""

    measure_expectations(profile, dataset, only=only, seeds=seeds, jobs=jobs, console=console)


@app.command()
def generate() -> None:
    """Write what is derived: notebooks from their sources, pictures, tables of README and INSTRUCTORS, cards."""
    from course_lib.data import registry
    from course_lib.tools import readme, timetables

    changed = [path.relative_to(paths.repo_root()) for path in authoring.write_notebooks()]
    changed += [path.relative_to(paths.repo_root()) for path in readme.refresh()]
    changed += [path.relative_to(paths.repo_root()) for path in readme.write_table()]
    changed += ["INSTRUCTORS.md"] if timetables.write_instructors() else []
    changed += ["data/README.md"] if registry.write_cards() else []
    console.print("\n".join(f"wrote {name}" for name in changed) or "everything derived is up to date")


@app.command()
def site(
    run: Annotated[Path | None, typer.Option(help="Folder of executed notebooks [default: the latest].")] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to write to [default: runs/site].")] = None,
) -> None:
    """Make the pages of the course from executed notebooks; `make site` also installs what this needs."""
    from course_lib.tools import site_build

    site_build.build_site(run, output or paths.site_dir(), console)


@app.command()
def doctor() -> None:
    """Say what this machine has: versions, cores, memory, device, data, free disk. Exits 1 if the course cannot run."""
    from course_lib.lesson import doctor as examine

    problems = examine.report(console)
    raise typer.Exit(1 if problems else 0)


@data.command("list")
def data_list() -> None:
    """All data sets, with size and whether they are here."""
    from rich.table import Table

    from course_lib.data import download, registry

    table = Table()
    for column, justify in (
        ("name", "left"),
        ("clips", "right"),
        ("classes", "right"),
        ("MB", "right"),
        ("here", "left"),
    ):
        table.add_column(column, justify=justify)
    table.add_column("what it is")
    for name in registry.names():
        e = registry.entry(name)
        here = "embedded" if e.embedded else "yes" if download.present(name) else "no"
        table.add_row(
            name, f"{e.clips:,}", str(e.classes), f"{e.download_mb:,}" if e.download_mb else "", here, e.title
        )
    console.print(table)
    console.print("get one: course data get NAME    more on it: course data card NAME")


@data.command("get", epilog="`course data get esc10` · `COURSE_MIRROR=/media/usb course data get fsdd`")
def data_get(
    name: Annotated[str, typer.Argument(help="A name from `course data list`.")],
    force: Annotated[bool, typer.Option(help="Fetch again even if it is here.")] = False,
) -> None:
    """Fetch a data set (mirror first, then the network) and verify it."""
    from course_lib.data import download

    console.print(f"{name} is in {download.get(name, force=force)}", soft_wrap=True)


@data.command("verify")
def data_verify(name: Annotated[str, typer.Argument(help="A name from `course data list`.")]) -> None:
    """Compare every file with its published sum; names what is missing, changed or foreign."""
    from course_lib.data import download

    console.print(download.verify(name), soft_wrap=True)


@data.command("card")
def data_card(name: Annotated[str, typer.Argument(help="A name from `course data list`.")]) -> None:
    """Where a data set comes from: licence, citation, protocol, known flaws."""
    from course_lib.data import registry

    console.print(registry.card(name), markup=False)


@data.command("manifest")
def data_manifest(
    kind: Annotated[str, typer.Argument(help="vggsound or audioset.")],
    listings: Annotated[list[Path], typer.Argument(help="The official lists, as downloaded.")],
    folder: Annotated[Path, typer.Option(help="Folder of the sounds, one file a clip.")],
    output: Annotated[Path, typer.Option(help="The manifest to write.")] = Path("manifest.csv"),
) -> None:
    """From a set's official list and the sounds that you have of it, a manifest for `--dataset`."""
    from course_lib.data.manifest import manifest_from_list

    console.print(f"{output}: {manifest_from_list(kind, listings, folder, output)}", soft_wrap=True, markup=False)


@data.command("scenes", epilog="`course data scenes esc10` · `course data scenes ave:/media/usb/AVE_Dataset`")
def data_scenes(
    dataset: Annotated[str, typer.Argument(help="A set to mix from, or ave: or videos: and a folder.")],
) -> None:
    """Scenes for the study on sound events: how many a part, how many events, what is missing."""
    from course_lib.scenes import load as load_scenes_module
    from course_lib.scenes.scenes import SceneSpec

    scenes = load_scenes_module.load_scenes(dataset, 1, SceneSpec())
    pictures = "with video" if scenes.video_reader else "without video"
    console.print(f"{len(scenes)} scenes of {scenes.clip_s:g} s, {len(scenes.classes)} classes, {pictures}")
    for part, table in scenes.table.groupby("part", sort=False):
        n_events = int(scenes.events["filename"].isin(table["filename"]).sum())
        labels = f", {n_events} events" if n_events else ""
        console.print(f"  {part}: {len(table)} scenes from {table['source'].nunique()} sources{labels}")


# --- What `course run` and `course expect` do, below the command line: choose, prepare, execute, report


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


def resolve_dataset(dataset: str) -> str:
    """`dataset` as notebooks need it, which run in another folder: a name, or the absolute path of your own sounds."""
    if dataset not in registry.names() and Path(dataset).expanduser().is_dir():
        return str(Path(dataset).expanduser().resolve())
    if not dataset.endswith(".csv"):
        return registry.entry(dataset).name
    path = Path(dataset).expanduser().resolve()
    if not path.is_file():
        raise CourseError(f"{path}: No such file; give the path of a CSV file with the columns filename,label")
    return str(path)


def prepare_data(dataset: str, profile: profiles.Profile, seed: int, console: Console) -> str:
    """Fetch, load and decode `dataset` once, so that its faults come up before any notebook starts; a hash of it."""
    if dataset in registry.names() and not registry.entry(dataset).embedded:
        download.get(dataset)
    clips = load(dataset, profile, seed)
    clips.waves()
    console.print(f"data: {clips.name}, {len(clips)} clips, {len(clips.classes)} classes, {clips.length_s:g} s each")
    listing = Path(dataset).read_bytes() if Path(dataset).is_file() else b""  # labels and folds of one's own sounds
    return hashlib.sha256(clips.content.encode() + listing).hexdigest()


def execute(todo: list[runner.Job], workers: int, resume: bool, console: Console) -> list[runner.Result]:
    """Results of `todo`, with a bar that tells the time left and a line for every notebook that ends."""
    with run_report.progress_bar(console) as bar:
        task = bar.add_task("cells", total=None)

        def on_change(progress: dict[Path, tuple[int, int]], done: runner.Result | None) -> None:
            finished, total = (sum(values) for values in zip(*progress.values(), strict=True))
            bar.update(task, completed=finished, total=total)
            if done is not None:
                console.print(
                    f"  {run_report.SIGNS[done.state]}  {done.notebook}  {done.minutes:.2f} min  {escape(done.message)}"
                )

        return runner.run(todo, workers=workers, resume=resume, on_change=on_change)


def conclude(results: list[runner.Result], about: dict, target: Path, console: Console) -> int:
    """Write every report, print the table; returns the exit code."""
    run_report.write_json(results, about, target / "results.json")
    run_report.write_junit(results, target / "junit.xml")
    index = run_report.write_pages(results, about, target)
    console.print(run_report.screen_table(results, "notebooks, " + ", ".join(f"{k} {v}" for k, v in about.items())))
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
    dataset = resolve_dataset(dataset)
    label = f"{profile}-{Path(dataset).stem}" + ("-solutions" if solutions else "")
    target = paths.as_folder(output or paths.runs_dir() / label, "--output")
    parameters = {"profile": profile, "dataset": dataset, "seed": seed} | given
    with lock(target, "notebooks"):
        todo = runner.prepare(notebooks, parameters, target, size.cell_timeout_s)
        content = prepare_data(dataset, size, seed, console)
        results = execute([replace(job, data=content) for job in todo], jobs, resume, console)
    about = {"profile": profile, "data set": dataset, "seed": seed, "jobs": jobs}
    for path in run_report.publish(results, about, paths.published_dir()) if publish else ():
        console.print(f"published {path.relative_to(paths.repo_root())}")
    return conclude(results, about, target, console)


def measure_expectations(profile: str, dataset: str, *, only: str, seeds: int, jobs: int, console: Console) -> None:
    """Run the notebooks under several seeds and store what they record as the expected values."""
    size = profiles.get(profile)
    notebooks = chosen_notebooks(only, authoring.notebooks_dir())
    name, todo = resolve_dataset(dataset), []
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
        metrics = regression.measure([r.recorded for r in runs])
        minutes = round(statistics.median(r.minutes for r in runs), 2)
        origin = run_report.provenance() | {"seeds": seeds, "notebooks_at_a_time": jobs, "minutes": minutes}
        where = regression.store(profile, dataset, notebook.stem, metrics, origin)
        console.print(f"{notebook.stem}: {len(metrics)} expectations in {where.relative_to(paths.repo_root())}")


def grade_folder(
    folder: Path, output: Path, profile: str, dataset: str, *, minutes: float, jobs: int, console: Console
) -> int:
    """Everything behind `course grade`; returns the exit code. The table is whole after every submission.

    It is written empty before the first: where it cannot be, nothing is executed in vain.
    """
    parameters = {"profile": profiles.get(profile).name, "dataset": resolve_dataset(dataset), "seed": 0}
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
