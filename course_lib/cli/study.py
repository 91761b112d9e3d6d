"""`course study`: run a grid, show its progress, report it, compare two sets of rows."""

import ast
import math
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from course_lib import paths, profiles
from course_lib.errors import CourseError, UsageError
from course_lib.lesson import screen

if TYPE_CHECKING:
    import pandas as pd

    from course_lib.study.config import Run
    from course_lib.study.grid import Grid

study = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="The study: grids of runs and their rows.")
console = screen.console()


def _grid_names() -> list[str]:
    return sorted(path.stem for path in paths.grids_dir().glob("*.toml"))


GridArgument = Annotated[
    str,
    typer.Argument(
        help="A TOML file, or the name of one in study/grids; `study` is the reference study.",
        autocompletion=_grid_names,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the records [default: runs/study/GRID here, or beside a grid of your own]; for several grids, "
        "its parent."
    ),
]


@study.command(epilog="`course study run smoke --jobs 2` · `course study run lesson --scheduler tcp://head:8786`")
def run(
    grid: GridArgument,
    jobs: Annotated[int, typer.Option(min=1, help="Rows at a time, one process and one thread each.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler to run the rows on: its address, or the .json file it wrote.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option(help="Rerun rows that failed before.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps [default: the fastest available].")] = None,
    output: OutputOption = None,
) -> None:
    """Run the rows of a grid that are not on record yet; for a list of grids, one grid after the other.

    The same command resumes an interrupted run.

    Exits 1 when a row failed, 130 when interrupted.
    """
    from course_lib.study import grid as grids

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system then ends it as cleanly as Ctrl-C
    chosen = _chosen(grid, output)
    if device is not None:
        profiles.check_device(device, here=not scheduler)  # otherwise every row would be recorded as failed
    for one, _ in chosen:
        grids.check(one)  # all of them, before any is run
    how = {"jobs": jobs, "scheduler": scheduler, "retry_failed": retry_failed, "device": device}
    failed = sum(_run_one(one, folder, how) for one, folder in chosen)
    raise typer.Exit(int(failed > 0))


def _chosen(name: str, output: Path | None) -> list[tuple["Grid", Path]]:
    """The grids that `name` stands for, each with the folder of its records."""
    from course_lib.study import grid as grids

    found = [grids.read(path) for path in grids.listed(name)]
    if output and len(found) == 1:
        return [(found[0], paths.as_folder(output, "--output"))]
    folders = [output / one.name if output else records_folder(one.path) for one in found]
    return [(one, paths.as_folder(folder, "--output")) for one, folder in zip(found, folders, strict=True)]


def records_folder(path: Path) -> Path:
    """The folder of records of the grid in `path`: in `runs` for the course's own grids, beside the file for others."""
    root = paths.checkout()
    ours = path.parent == paths.grids_dir() or (root is not None and path.is_relative_to(root))
    return (paths.runs_dir() if ours else path.parent / "runs") / "study" / path.stem


def _called(chosen: "Grid") -> str:
    """How to name a grid on the command line: by its name if that finds it, else by its file."""
    return chosen.name if chosen.path.parent == paths.grids_dir() else str(chosen.path)


def _run_one(chosen: "Grid", folder: Path, how: dict) -> int:
    """The number of failed rows, after running one grid and reporting every row."""
    from course_lib.study import engine  # takes seconds to import, and --help should not wait for it
    from course_lib.tools.run_report import progress_bar

    specs = chosen.specs
    left = len(engine.pending(specs, folder, retry_failed=how["retry_failed"]))
    console.print(f"{chosen.name}: {len(specs)} rows, {left} to run, records in {folder}", soft_wrap=True)
    try:
        with progress_bar(console) as bar:
            warm, rows = bar.add_task("features", total=None, visible=False), bar.add_task("rows", total=left)

            def on_done(record: dict) -> None:
                bar.advance(rows)
                bar.console.print(row_line(record), soft_wrap=True)

            records = engine.run_grid(
                specs,
                folder,
                **how,
                on_prefetch=lambda done, total: bar.update(warm, completed=done, total=total, visible=done < total),
                on_wait=lambda line: bar.console.print(line, soft_wrap=True),
                on_done=on_done,
            )
    except KeyboardInterrupt:
        left = len(engine.pending(specs, folder))
        console.print(f"interrupted; {len(specs) - left} of {len(specs)} rows are on record; the same command resumes")
        raise typer.Exit(130) from None
    failed = sum(record["status"] == engine.FAILED for record in records)
    more = f"; why: course study status {_called(chosen)}" if failed else ""
    console.print(f"{len(records) - failed} rows done, {failed} failed{more}")
    return failed


@study.command("adopt", hidden=True)  # its name in the first edition
@study.command(
    "import", epilog="`course study import lesson` · `course study run lesson` · `course study report lesson --publish`"
)
def import_published(grid: GridArgument, output: OutputOption = None) -> None:
    """Put the published rows of a grid on record, so that `run` runs only what has been added to the grid since."""
    from course_lib.study import records as rows

    for chosen, folder in _chosen(grid, output):
        published, keys = paths.published_dir() / chosen.name, {spec.key for spec in chosen.specs}
        if not (published / rows.ROWS).is_file():
            raise CourseError(f"{published}: no rows to import; run all of it: course study run {_called(chosen)}")
        with paths.lock(folder, "a study"):
            n = rows.import_rows(published, keys, folder)
        console.print(f"{chosen.name}: {n} of {len(keys)} rows imported into {folder}", soft_wrap=True)


@study.command()
def status(grid: GridArgument, output: OutputOption = None) -> None:
    """Show how many rows of a grid are done, stale, failed, begun and left, and why rows failed.

    A row is stale if the code that computes rows has changed since.
    """
    for chosen, folder in _chosen(grid, output):
        _tell_status(chosen, folder)


def _tell_status(chosen: "Grid", folder: Path) -> None:
    from course_lib.study import engine, records

    records = {spec.key: records.read_record(folder, spec.key) for spec in chosen.specs}
    table = Table()
    for column in ("part", "rows", "done", "stale", "failed", "left"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, runs in chosen.parts:
        table.add_row(name, *_counts([records[spec.key] for spec in runs]))
    table.add_section()
    table.add_row("all, each once", *_counts(list(records.values())))
    screen.print_table(table, console, f"{chosen.name}, records in {folder}")
    console.print(f"code of the rows: {_code_line(filter(None, records.values()))}")
    for record in records.values():
        if record and record["status"] == engine.FAILED:
            console.print(row_line(record), soft_wrap=True)
    started = len(list((folder / "checkpoints").glob("*.pt")))
    commits = sorted({record["commit"] for record in records.values() if record and "commit" in record})
    console.print(f"{started} rows begun but not finished; commits: {', '.join(commits) or 'none'}")
    owner = paths.holder(folder)
    console.print(f"process {owner} is running it" if owner else "no process is running it")


@study.command(epilog="`course study report lesson --against features.hop_ms=5` · `... report study --publish`")
def report(
    grid: GridArgument,
    against: Annotated[
        list[str],
        typer.Option(help="field=value: compare with the same condition at this value [default: what the grid says]."),
    ] = [],  # noqa: B006
    publish: Annotated[
        bool, typer.Option(help="Store rows and summary in study/results/GRID; update figures and README.")
    ] = False,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Publish even if rows are missing; the missing ones are listed.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Show scores and differences of the conditions of each part; write `rows.parquet` and `summary.csv`."""
    from course_lib.tools import readme

    if publish:
        paths.repo_root()  # the results are part of the course; without it nothing is written
    for chosen, folder in _chosen(grid, output):
        other = _against(against, chosen.specs[0]) if against else dict(chosen.against)
        for path in _report_one(chosen, folder, other, publish, unfinished):
            console.print(f"published {path}", soft_wrap=True)
    for name in readme.refresh() if publish else ():
        console.print(f"wrote {name}", soft_wrap=True)


def _report_one(chosen: "Grid", folder: Path, against: dict, publish: bool, unfinished: bool) -> list[Path]:
    """Paths of what was published, after printing and storing the summary of one grid."""
    import pandas as pd

    from course_lib.study import records as rows
    from course_lib.study import stats

    every = rows.gather(folder)
    every = every[every["key"].isin([spec.key for spec in chosen.specs])].set_index("key", drop=False)
    missing = [spec.key for spec in chosen.specs if spec.key not in every.index]
    parts = []
    for name, runs in chosen.parts:
        of_part = rows.done(every.loc[[spec.key for spec in runs if spec.key in every.index]])
        if len(of_part):
            found = stats.summarise(of_part, against=against)
            table = _summary_table(found, stats.condition_fields(of_part))
            screen.print_table(table, console, f"{chosen.name}: {name}")
            found.insert(0, "part", name)
            parts.append(found)
        else:
            console.print(f"{chosen.name}: {name}: no rows are done")
    summary = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    console.print(f"{len(every)} of {len(chosen.specs)} rows, {sum(every['status'] == 'failed')} of them failed")
    if publish and missing and not unfinished:
        command = f"course study run {_called(chosen)}"
        raise CourseError(
            f"{folder}: {len(missing)} rows of {chosen.name} are missing; run: {command}, or publish with --unfinished"
        )
    rows.write(every, summary, folder)
    if not publish:
        return []
    readings = folder / rows.READINGS  # one line for each reading of a test fold
    read = len(readings.read_text(encoding="utf-8").splitlines()) if readings.exists() else 0
    about = {"grid": chosen.name, "about": chosen.about, "test_readings": read}
    if missing:
        about["missing"] = missing
    published = rows.publish(every, summary, about, paths.published_dir() / chosen.name)
    if chosen.task == "scenes":
        from course_lib.study import scene_run

        published.append(scene_run.keep(chosen.specs, published[0].parent))
    return published


@study.command(epilog="`course study diff smoke /media/usb/smoke` · `course study diff mine.toml smoke`")
def diff(
    first: Annotated[
        str,
        typer.Argument(
            help="A folder of records or published rows, a grid's file, or the name of one in study/grids.",
            autocompletion=_grid_names,
        ),
    ],
    second: Annotated[str, typer.Argument(help="The other rows, given in the same way.", autocompletion=_grid_names)],
) -> None:
    """Compare two sets of rows by key; exits 1 if a row that both have differs in what was measured."""
    from course_lib.study import records as rows

    tables = [rows.gather(_rows_of(name)) for name in (first, second)]
    found = rows.compare(*tables)
    for row in found[found["state"] == "differs"].itertuples():
        console.print(f"  {row.key}  {escape(row.what)}", soft_wrap=True)
    counts = found["state"].value_counts()
    states = ("same", "differs", "only first", "only second")
    console.print(", ".join(f"{state}: {counts.get(state, 0)}" for state in states))
    for name, table in zip(("first", "second"), tables, strict=True):
        console.print(f"code of the {name}: {_code_line(table.to_dict('records'))}")
    raise typer.Exit(int(counts.get("differs", 0) > 0))


def _rows_of(name: str) -> Path:
    """The folder of rows that `name` stands for: of a grid's file, where its records are."""
    from course_lib.study import grid as grids
    from course_lib.study import records as rows

    path = Path(name).expanduser()
    if path.is_file() and path.suffix.lower() == ".toml":
        folder = records_folder(path.resolve())
        return rows.find(str(folder) if folder.is_dir() else path.stem)
    if not path.exists():
        with suppress(UsageError):
            name = grids.find(name).stem  # the name as it is spelt
    return rows.find(name)


def _code_line(records: Iterable[Mapping]) -> str:
    """How many rows the current code computed, for the screen."""
    from course_lib.study.records import code_states

    counts = code_states(records)
    meaning = {
        "current": "current",
        "stale": "stale (the code has changed since)",
        "unknown": "unknown (not recorded)",
    }
    return ", ".join(f"{n} {meaning[state]}" for state, n in counts.items() if n) or "no rows"


def named_value(pair: str) -> tuple[str, object]:
    """The two sides of `name=value`; the value is a Python literal, or else a text. The name is empty without `=`."""
    name, equals, text = pair.partition("=")
    if not equals:
        return "", text
    try:
        return name, ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return name, text


def _against(pairs: list[str], run: "Run") -> dict[str, object]:
    """`field=value` pairs, the values as `run` would hold them."""
    from course_lib.study.config import current_name, to_dict, typed

    found = {}
    for pair in pairs:
        name, value = named_value(pair)
        name = current_name(name)
        if name not in to_dict(run):
            raise UsageError(f"--against {pair}: expected field=value with a field such as features.hop_ms")
        try:
            found |= typed({name: value}, run)
        except ValueError as error:
            raise UsageError(f"--against {pair}: {error}") from None
    return found


def _summary_table(summary: "pd.DataFrame", by: list[str]) -> Table:
    """One part for the screen: scores in per cent and differences in points, each with its interval."""
    from course_lib.study.stats import SCORES

    shown = {"accuracy": "accuracy", "map": "mAP"} | {name: f"{name} F1" for name in SCORES}
    scores = [name for name in shown if name in summary]
    single = len(scores) == 1
    heads = [head for score in scores for head in (shown[score], "difference")]
    heads += ["could see", "folds x seeds"] if single else ["folds x seeds"]
    table = Table()
    for column in (*(name.rpartition(".")[2] for name in by), *heads):
        table.add_column(column, justify="right")
    for row in summary.to_dict("records"):
        cells = [f"{row[name]:g}" if isinstance(row[name], float) else str(row[name]) for name in by]
        for score in scores:
            prefix = "" if single else f"{score}_"
            cells += [_percent(row, score, prefix), _points(row, f"{prefix}difference")]
        if single:
            effect = f"{100 * row['minimum_detectable_effect']:.1f} by {row['pairs']} {row['paired_by']}s"
            cells.append(effect if row["pairs"] else "")
        table.add_row(*cells, f"{row['folds']} x {row['seeds']}")
    return table


def _percent(row: Mapping, score: str, prefix: str) -> str:
    """A score in per cent with its interval, if it has one."""
    from course_lib.analysis.verdicts import level_text

    mean, low, high = (100 * row[name] for name in (score, f"{prefix}low", f"{prefix}high"))
    return f"{mean:.1f}" if math.isnan(low) else level_text(mean, low, high)


def _points(row: Mapping, name: str) -> str:
    """The difference `name` in points with its interval; empty if there is none."""
    mean, low, high = (100 * row[f"{name}{end}"] for end in ("", "_low", "_high"))
    return "" if math.isnan(mean) else f"{mean:+.1f} ({low:+.1f} to {high:+.1f})"


def row_line(record: dict) -> str:
    """One row for the screen: its settings and its result."""
    on_scenes = "streams" in record
    net = record["streams"] if on_scenes else record["model"]
    what = (
        f"{record['key']}  {record['dataset']} fold {record['fold']} seed {record['seed']}  "
        f"{net}{'' if record['frame_reducer'] == 'none' else ' behind ' + record['frame_reducer']}  "
        f"hop {record['features.hop_ms']:g} ms  window {record['features.window_ms']:g} ms"
    )
    if record["status"] == "failed":
        return f"  [red]✘ failed[/]  {what}  {escape(record['error'])}"
    if on_scenes:
        found = ", ".join(f"{name} {100 * record[f'test_{name}_f1']:.1f}" for name in ("tagging", "segment", "event"))
    elif "test_map" in record:
        found = f"test mAP {100 * record['test_map']:.1f}"
    else:
        found = f"test {100 * record['test_accuracy']:.1f}"
    return f"  [green]✔ done[/]  {what}  {found} %  {record['minutes']:.2f} min"


def _counts(records: list[dict | None]) -> list[str]:
    from course_lib.study.records import code_states

    states = [record and record["status"] for record in records]
    stale = code_states(filter(None, records))["stale"]
    counts = (len(states), states.count("done"), stale, states.count("failed"), states.count(None))
    return [str(n) for n in counts]
