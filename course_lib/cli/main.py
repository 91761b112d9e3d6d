"""The command line: `course run`, `course study`, `course data`, `course doctor`, and more for teachers and authors.

The work is done in modules that each command imports itself: some take seconds, and `--help` should not wait for them.

Exit codes: 0 success; 1 a notebook, a check or the machine failed; 2 wrong use; 130 interrupted.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from course_lib import __version__, paths, profiles
from course_lib.cli.study import named_value, study
from course_lib.errors import CourseError, UsageError, disk_line
from course_lib.lesson import screen

app = typer.Typer(
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="The course on temporal resolution in audio classification.",
)
data = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Data sets: list, get, verify, describe.")
app.add_typer(data, name="data")
app.add_typer(study, name="study")
console = screen.console()


def _names() -> list[str]:
    from course_lib.data import registry

    return registry.names()


def _as_listed(name: str) -> str:
    """A data set's name as the registry spells it, `ESC10` as `esc10`; a path stays."""
    return name.lower() if name.lower() in _names() and not Path(name).exists() else name


def _lower(name: str) -> str:
    return name.lower()


ProfileOption = Annotated[
    str,
    typer.Option(
        help="How much to run: lesson, study, or smoke (a test of the machinery).",
        callback=_lower,
        autocompletion=lambda: [*profiles.PROFILES],
    ),
]
DatasetOption = Annotated[
    str,
    typer.Option(
        help="A name from `course data list`, or the path of your own manifest.csv or folder.",
        callback=_as_listed,
        autocompletion=_names,
    ),
]
NameArgument = Annotated[
    str, typer.Argument(help="A name from `course data list`.", callback=_as_listed, autocompletion=_names)
]
OnlyOption = Annotated[
    str,
    typer.Option(
        help="Notebooks, separated by commas: numbers, ranges or names, as in 00-02,05 or 03_waveform_augmentation."
    ),
]
JobsOption = Annotated[int, typer.Option(min=1, help="Notebooks at a time; the cores are shared among them.")]


def _print_version(asked: bool) -> None:
    if asked:
        console.print(f"course {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """What `course` takes without a command."""


def main() -> None:
    """Entry point: a user's mistake ends in one line and an exit code, never in a traceback."""
    try:
        app(prog_name="course")
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


@app.command(epilog="`course run --dataset esc10 --only 01,02` · `course run --profile study --jobs 2 --resume`")
def run(
    profile: ProfileOption = "lesson",
    dataset: DatasetOption = "synth10",
    only: OnlyOption = "",
    jobs: JobsOption = min(2, os.cpu_count() or 1),
    seed: Annotated[int, typer.Option(help="Seed of all random numbers.")] = 0,
    param: Annotated[list[str], typer.Option("--param", "-p", help="A notebook's own parameter, name=value.")] = [],  # noqa: B006
    resume: Annotated[
        bool, typer.Option(help="Keep the notebooks that passed in an earlier, interrupted run.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="Output folder [default: runs/...].")] = None,
    clip_s: Annotated[
        float | None,
        typer.Option("--clip-s", min=0.05, help="Length in s of clips of your own sounds [default: from the files]."),
    ] = None,
    publish: Annotated[
        bool, typer.Option(help="Store in study/results the numbers of the notebooks that passed.")
    ] = False,
) -> None:
    """Execute the notebooks and judge them.

    Leaves executed copies, `index.html`, `results.json` and `junit.xml`.
    """
    from course_lib.tools import runner

    if clip_s is not None:
        from course_lib.data.load import is_own

        if not is_own(dataset):
            raise UsageError(
                f"--clip-s {clip_s:g}: is only for your own sounds; clips of {dataset} have a fixed length"
            )
        os.environ["COURSE_CLIP_S"] = str(clip_s)  # read in the processes of the notebooks
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system then ends it as cleanly as Ctrl-C
    given = {"profile": profile, "dataset": dataset, "seed": seed} | parsed_parameters(param)
    how = {"only": only, "jobs": jobs, "output": output, "resume": resume, "publish": publish}
    raise typer.Exit(runner.run_course(given, **how, console=console))


def parsed_parameters(pairs: list[str]) -> dict[str, object]:
    """The pairs of `--param` as a dictionary; profile, dataset and seed are refused, because they have options."""
    from course_lib.tools.authoring import STANDARD_PARAMETERS

    parsed = {}
    for pair in pairs:
        name, value = named_value(pair)
        if not name.isidentifier():
            raise UsageError(f"--param {pair}: expected name=value")
        if name in STANDARD_PARAMETERS:
            raise UsageError(f"--param {pair}: {name} has an option of its own; use --{name} {value}")
        parsed[name] = value
    return parsed


@app.command(epilog="`course grade submissions/` · `course grade submissions/ --output grades.csv --minutes 3`")
def grade(
    folder: Annotated[Path, typer.Argument(help="Submitted notebooks, one folder or one file per student.")],
    output: Annotated[Path, typer.Option(help="The CSV file to write.")] = Path("grades.csv"),
    minutes: Annotated[float, typer.Option(min=0.05, help="Minutes that one submission may take.")] = 10.0,
    memory_gb: Annotated[
        float | None, typer.Option(min=0.1, help="Memory in GB for one submission [default: its share of 80 %].")
    ] = None,
    profile: ProfileOption = "smoke",
    dataset: DatasetOption = "synth10",
    jobs: JobsOption = min(2, os.cpu_count() or 1),
) -> None:
    """Execute submitted notebooks and count the exercises that pass, one line per submission.

    This runs students' code with your permissions: use a machine where it can do no harm.
    """
    from course_lib.tools import grading

    how = {"minutes": minutes, "memory_gb": memory_gb, "jobs": jobs}
    code = grading.grade_folder(folder, output, profile, dataset, **how, console=console)
    raise typer.Exit(code)


@app.command(epilog="`course predict long.wav` · `course predict *.flac --model esc10-fixed --output found`")
def predict(
    files: Annotated[list[Path], typer.Argument(help="Sound files of any length: WAV, FLAC, OGG, MP3.")],
    model: Annotated[
        str, typer.Option(help="mn04_as (527 classes of AudioSet), a network of the course, or a .safetensors file.")
    ] = "mn04_as",
    threshold: Annotated[float, typer.Option(min=0.0, max=1.0, help="Probability above which a class is there.")] = 0.5,
    window_s: Annotated[
        float, typer.Option("--window-s", min=0.02, help="Seconds that the network hears at once.")
    ] = 2.0,
    overlap: Annotated[
        float, typer.Option(min=0.0, max=0.95, help="Part of its length that a window shares with the next.")
    ] = 0.5,
    median_frames: Annotated[int, typer.Option(min=1, help="Frames of the median filter, an odd number.")] = 1,
    gap_s: Annotated[float, typer.Option("--gap-s", min=0.0, help="Pauses up to here are bridged.")] = 0.0,
    min_s: Annotated[float, typer.Option("--min-s", min=0.0, help="Shorter events are left out.")] = 0.0,
    output: Annotated[Path, typer.Option(help="Folder of the results.")] = Path(),
) -> None:
    """Find what sounds when in recordings of any length.

    Writes `NAME.events.csv` (onset, offset, label, confidence) and `NAME.labels.txt` (a label track for Audacity),
    event by event: Ctrl-C keeps what was found.
    """
    from course_lib.tools import predict as predicting

    if median_frames % 2 == 0:
        raise UsageError(f"--median-frames {median_frames}: expected an odd number, such as {median_frames + 1}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    settings = {"threshold": threshold, "window_s": window_s, "overlap": overlap}
    settings |= {"median_frames": median_frames, "gap_s": gap_s, "min_s": min_s}
    raise typer.Exit(predicting.predict_files(files, model, output, settings, console, _complain))


@app.command(epilog="`course export mn04_as --output mn04.onnx`")
def export(
    model: Annotated[str, typer.Argument(help="mn04_as, a network of the course, or a .safetensors file.")],
    output: Annotated[Path, typer.Option(help="The .onnx file to write.")],
) -> None:
    """Write a network as one ONNX file: from a waveform to probabilities, the log-mel inside."""
    from course_lib.models import export as exporting
    from course_lib.models import wave_classifier

    exporting.check_installed()
    console.print(exporting.to_onnx(wave_classifier.load(model), output), soft_wrap=True, markup=False)


@app.command(epilog="`course work` · `course work --fresh 03`")
def work(
    fresh: Annotated[str, typer.Option(help="Notebooks to copy again, beside your own: 03, or 00-02,05.")] = "",
) -> None:
    """Copy the notebooks into `work/`, where they are yours to edit. Existing copies are never overwritten."""
    from course_lib.tools import runner, workspace

    chosen = runner.chosen_notebooks(fresh) if fresh else []
    workspace.prepare(workspace.work_dir(), chosen, console)


@app.command()
def expect(
    profile: ProfileOption = "lesson",
    dataset: DatasetOption = "synth10",
    only: OnlyOption = "",
    seeds: Annotated[int, typer.Option(min=5, help="Seeds to measure the bands from.")] = 5,  # regression.MIN_SEEDS
    add: Annotated[bool, typer.Option("--add", help="Keep the values of another machine, and add these.")] = False,
    jobs: JobsOption = min(2, os.cpu_count() or 1),
) -> None:
    """Measure what the notebooks record over several seeds, and write it to `tests/expected/`."""
    from course_lib.tools import runner

    runner.measure_expectations(profile, dataset, only=only, seeds=seeds, jobs=jobs, console=console, add=add)


@app.command()
def generate() -> None:
    """Write all derived files: notebooks from their sources, figures, tables of README and INSTRUCTORS, data cards."""
    from course_lib.data import registry
    from course_lib.tools import authoring, crate, readme, timetables

    root = paths.repo_root()
    written = authoring.write_notebooks() + readme.refresh()
    written += readme.fill(root / "bench" / "README.md", readme.BENCH_PARTS)
    written += readme.fill(root / "INSTRUCTORS.md", timetables.parts())
    written += crate.write_crate() + registry.write_cards()
    lines = [f"wrote {path.relative_to(root)}" for path in written]
    console.print("\n".join(lines) or "all derived files are up to date")


@app.command()
def site(
    run: Annotated[
        Path | None, typer.Option(help="Folder of executed notebooks [default: the latest complete run].")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder to write to [default: runs/site].")] = None,
) -> None:
    """Build the site of the course from executed notebooks; `make site` also installs what this needs."""
    from course_lib.tools import site_build

    site_build.build_site(run, output or paths.site_dir(), console)


@app.command()
def doctor() -> None:
    """Report what this machine has: versions, cores, memory, device, data, disk. Exits 1 if the course cannot run."""
    from course_lib.lesson import doctor as examine

    problems = examine.report(console)
    raise typer.Exit(1 if problems else 0)


@data.command("list")
def data_list() -> None:
    """List all data sets, with their size and whether they are on this machine."""
    from rich.table import Table

    from course_lib.data import download, registry

    table = Table()
    for column in ("name", "clips", "classes", "MB", "here", "what it is"):
        table.add_column(column, justify="right" if column in ("clips", "classes", "MB") else "left")
    for name in registry.names():
        e = registry.entry(name)
        here = "yes" if download.present(name) else "no"
        size = f"{e.download_mb:,}" if e.download_mb else ""
        table.add_row(name, f"{e.clips:,}", str(e.classes), size, "generated" if e.embedded else here, e.title)
    screen.print_table(table, console)
    console.print("get one: course data get NAME    more on it: course data card NAME")


@data.command("get", epilog="`course data get esc10` · `COURSE_MIRROR=/media/usb course data get fsdd`")
def data_get(
    name: NameArgument,
    force: Annotated[bool, typer.Option(help="Fetch it again even if it is here.")] = False,
) -> None:
    """Fetch a data set (mirror first, then the network) and verify it."""
    from course_lib.data import download

    console.print(f"{name} is in {download.get(name, force=force)}", soft_wrap=True)


@data.command("verify")
def data_verify(name: NameArgument) -> None:
    """Compare every file with its published checksum, and list missing, changed and unknown files."""
    from course_lib.data import download

    console.print(download.verify(name), soft_wrap=True)


@data.command("card")
def data_card(
    name: Annotated[
        str,
        typer.Argument(
            help="A name from `course data list`, or the path of your own sounds.",
            callback=_as_listed,
            autocompletion=_names,
        ),
    ],
) -> None:
    """Describe a data set: licence, citation, protocol, known flaws; or your own sounds: clips, length, sources."""
    from course_lib.data import load, registry

    screen.print_markdown(load.own_card(name) if load.is_own(name) else registry.card(name), console)


@data.command("manifest")
def data_manifest(
    kind: Annotated[str, typer.Argument(help="vggsound, audioset, or folder.")],
    listings: Annotated[
        list[Path], typer.Argument(help="The official lists, as downloaded; for folder, your folder of classes.")
    ],
    folder: Annotated[
        Path | None, typer.Option(help="For an official list: folder of the sounds, one file per clip.")
    ] = None,
    output: Annotated[Path, typer.Option(help="The manifest to write.")] = Path("manifest.csv"),
) -> None:
    """Write a manifest for `--dataset`: from an official list and the sounds that you have, or from your own folder."""
    from course_lib.data.manifest import manifest_from_folder, manifest_from_list

    if kind == "folder":
        if folder is not None or len(listings) != 1:
            raise UsageError("data manifest folder: expected one folder, as in: course data manifest folder my_sounds/")
        done = manifest_from_folder(listings[0], output)
    elif folder is None:
        raise UsageError(f"data manifest {kind}: --folder is missing; give the folder of the sounds")
    else:
        done = manifest_from_list(kind, listings, folder, output)
    console.print(f"{output}: {done}", soft_wrap=True, markup=False)


@data.command("scenes", epilog="`course data scenes esc10` · `course data scenes ave:/media/usb/AVE_Dataset`")
def data_scenes(
    dataset: Annotated[
        str,
        typer.Argument(
            help="A data set to mix from, or ave:FOLDER or videos:FOLDER.", callback=_as_listed, autocompletion=_names
        ),
    ],
) -> None:
    """Describe the scenes for the study on sound events: scenes, sources and events in each part."""
    from course_lib.scenes import load as load_scenes_module
    from course_lib.scenes.scenes import SceneSpec

    scenes = load_scenes_module.load_scenes(dataset, 1, SceneSpec())
    pictures = "with video" if scenes.video_reader else "without video"
    console.print(f"{len(scenes)} scenes of {scenes.clip_s:g} s, {len(scenes.classes)} classes, {pictures}")
    for part, table in scenes.table.groupby("part", sort=False):
        n_events = int(scenes.events["filename"].isin(table["filename"]).sum())
        labels = f", {n_events} events" if n_events else ""
        console.print(f"  {part}: {len(table)} scenes from {table['source'].nunique()} sources{labels}")
