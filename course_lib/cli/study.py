"""`course study`: run a grid, see how far it is, report it, compare two sets of its rows."""

import ast
import signal
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from course_lib import paths, profiles
from course_lib.errors import CourseError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from course_lib.study.config import Run
    from course_lib.study.grid import Grid

study = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="The study: grids of runs and their rows.")
console = Console(highlight=False)

GridArgument = Annotated[str, typer.Argument(help="A TOML file, or the name of one in study/grids; `study` is all.")]
OutputOption = Annotated[
    Path | None, typer.Option(help="Folder of the records [default: runs/study/GRID]; of several grids, its parent.")
]


@study.command(epilog="`course study run smoke --jobs 2` · `course study run lesson --scheduler tcp://head:8786`")
def run(
    grid: GridArgument,
    jobs: Annotated[int, typer.Option(min=1, help="Rows at a time, one process and one thread each.")] = 1,
    scheduler: Annotated[
        str | None, typer.Option(help="Dask scheduler to hand the rows to: its address, or the .json file it wrote.")
    ] = None,
    retry_failed: Annotated[bool, typer.Option(help="Run rows again that failed before.")] = False,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps [default: the fastest there is].")] = None,
    output: OutputOption = None,
) -> None:
    """Run what a grid, or each of a list, has no record of yet. Cut off, the same command goes on from there.

    Exits 1 when a row failed, 130 when interrupted.
    """
    from course_lib.study import grid as grids

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's end is as orderly as Ctrl-C
    chosen = _chosen(grid, output)
    if device is not None:
        profiles.check_device(device, here=not scheduler)  # else every row would be on record as failed by it
    for one, _ in chosen:
        grids.check(one)  # of all, before any of them is run
    how = {"jobs": jobs, "scheduler": scheduler, "retry_failed": retry_failed, "device": device}
    failed = sum(_run_one(one, folder, how) for one, folder in chosen)
    raise typer.Exit(int(failed > 0))


def _chosen(name: str, output: Path | None) -> list[tuple["Grid", Path]]:
    """The grids that `name` stands for, each with the folder of its records."""
    from course_lib.study import grid as grids

    found = [grids.read(path) for path in grids.listed(name)]
    if len(found) == 1:
        return [(found[0], folder_of(found[0].name, output))]
    return [(one, folder_of(one.name, output / one.name if output else None)) for one in found]


def _called(chosen: "Grid") -> str:
    """What to call a grid by on the command line: its name where that finds it, else its file."""
    return chosen.name if chosen.path.parent == paths.grids_dir() else str(chosen.path)


def _run_one(chosen: "Grid", folder: Path, how: dict) -> int:
    """Run one grid and tell of every row; returns how many rows failed."""
    from course_lib.study import (
        engine,  # seconds to import, which --help need not wait for
        records,
    )
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
                on_done=on_done,
            )
    except KeyboardInterrupt:
        left = len(engine.pending(specs, folder))
        console.print(f"interrupted; {len(specs) - left} of {len(specs)} rows are on record, the same command goes on")
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
    """Put the published rows of a grid on record, so that `run` does only what has been added to the grid since."""
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
    """How many rows of a grid are done, stale, failed, under way and left, and why rows failed.

    A row is stale where the code that computes rows changed since.
    """
    for chosen, folder in _chosen(grid, output):
        _tell_status(chosen, folder)


def _tell_status(chosen: "Grid", folder: Path) -> None:
    from course_lib.study import engine, records

    records = {spec.key: records.read_record(folder, spec.key) for spec in chosen.specs}
    table = Table(title=f"{chosen.name}, records in {folder}", title_justify="left")
    for column in ("part", "rows", "done", "stale", "failed", "left"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, runs in chosen.parts:
        table.add_row(name, *_counts([records[spec.key] for spec in runs]))
    table.add_section()
    table.add_row("all, each once", *_counts(list(records.values())))
    console.print(table)
    console.print(f"code of the rows: {_code_line(filter(None, records.values()))}")
    for record in records.values():
        if record and record["status"] == engine.FAILED:
            console.print(row_line(record), soft_wrap=True)
    started = len(list((folder / "checkpoints").glob("*.pt")))
    commits = sorted({record["commit"] for record in records.values() if record and "commit" in record})
    console.print(f"{started} rows begun and not finished; commits: {', '.join(commits) or 'none'}")
    owner = paths.holder(folder)
    console.print(f"process {owner} is running it" if owner else "nobody is running it")


@study.command(epilog="`course study report lesson --against features.hop_ms=5` · `... report study --publish`")
def report(
    grid: GridArgument,
    against: Annotated[
        list[str],
        typer.Option(help="field=value: compare with the same condition at this value [default: what the grid says]."),
    ] = [],  # noqa: B006
    publish: Annotated[
        bool, typer.Option(help="Keep rows and summary in study/results/GRID; write figures and README from them.")
    ] = False,
    output: OutputOption = None,
) -> None:
    """Accuracy and differences of the conditions of each part; writes `rows.parquet` and `summary.csv`."""
    from course_lib.tools import readme

    if publish:
        paths.repo_root()  # the results are part of the course; without it nothing is written
    for chosen, folder in _chosen(grid, output):
        other = _against(against, chosen.specs[0]) if against else dict(chosen.against)
        for path in _report_one(chosen, folder, other, publish):
            console.print(f"published {path}", soft_wrap=True)
    for name in readme.refresh() if publish else ():
        console.print(f"wrote {name}", soft_wrap=True)


def _report_one(chosen: "Grid", folder: Path, against: dict, publish: bool) -> list[Path]:
    """Tell and keep the summary of one grid; returns what was published."""
    import pandas as pd

    from course_lib.study import records as rows
    from course_lib.study import stats

    draw = _scenes_table if chosen.task == "scenes" else _summary_table
    every = rows.gather(folder)
    every = every[every["key"].isin([spec.key for spec in chosen.specs])].set_index("key", drop=False)
    missing = len(chosen.specs) - len(every)
    parts = []
    for name, runs in chosen.parts:
        of_part = rows.done(every.loc[[spec.key for spec in runs if spec.key in every.index]])
        if len(of_part):
            found = stats.summarise(of_part, against=against)
            console.print(draw(f"{chosen.name}: {name}", found, stats.condition_fields(of_part)))
            parts.append(found.assign(part=name))
        else:
            console.print(f"{chosen.name}: {name}: no rows are done")
    summary = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    summary = summary[["part", *(c for c in summary.columns if c != "part")]] if parts else summary
    console.print(f"{len(every)} of {len(chosen.specs)} rows, {sum(every['status'] == 'failed')} of them failed")
    if publish and missing:
        command = f"course study run {_called(chosen)}"
        raise CourseError(f"{folder}: {missing} rows of {chosen.name} are missing; run: {command}")
    rows.write(every, summary, folder)
    if not publish:
        return []
    about = {"grid": chosen.name, "about": chosen.about, "test_readings": _readings(folder)}
    published = rows.publish(every, summary, about, paths.published_dir() / chosen.name)
    if chosen.task == "scenes":
        from course_lib.study import scene_run

        published.append(scene_run.keep(chosen.specs, published[0].parent))
    return published


@study.command(epilog="`course study diff smoke /media/usb/smoke`")
def diff(
    first: Annotated[str, typer.Argument(help="A folder of records or published rows, or the name of a grid.")],
    second: Annotated[str, typer.Argument(help="Another.")],
) -> None:
    """Compare two sets of rows by key; exits 1 when a row that both have differs in what was measured."""
    from course_lib.study import records as rows

    tables = [rows.gather(rows.find(name)) for name in (first, second)]
    found = rows.compare(*tables)
    for row in found[found["state"] == "differs"].itertuples():
        console.print(f"  {row.key}  {escape(row.what)}", soft_wrap=True)
    counts = found["state"].value_counts()
    states = ("same", "differs", "only first", "only second")
    console.print(", ".join(f"{state}: {counts.get(state, 0)}" for state in states))
    for name, table in zip(("first", "second"), tables, strict=True):
        console.print(f"code of the {name}: {_code_line(table.to_dict('records'))}")
    raise typer.Exit(int(counts.get("differs", 0) > 0))


def _code_line(records: Iterable[Mapping]) -> str:
    """How many rows today's code computed, for the screen."""
    from course_lib.study.records import code_states

    counts = code_states(records)
    meaning = {
        "current": "current",
        "stale": "stale (the code changed since)",
        "unknown": "unknown (they do not say)",
    }
    return ", ".join(f"{n} {meaning[state]}" for state, n in counts.items() if n) or "no rows"


def _against(pairs: list[str], run: "Run") -> dict[str, object]:
    """`field=value` pairs, the values as `run` would hold them."""
    from course_lib.study.config import current_name, to_dict, typed

    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = current_name(name)
        if not equals or name not in to_dict(run):
            raise UsageError(f"--against {pair}: expected field=value with a field such as features.hop_ms")
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        try:
            found |= typed({name: value}, run)
        except ValueError as error:
            raise UsageError(f"--against {pair}: {error}") from None
    return found


def _summary_table(title: str, summary: "pd.DataFrame", by: list[str]) -> Table:
    """One part for the screen: accuracies, or of tags mean average precisions, in per cent, differences in points."""
    table, score = Table(title=title, title_justify="left"), "map" if "map" in summary else "accuracy"
    for column in (
        *(name.rpartition(".")[2] for name in by),
        score.replace("map", "mAP"),
        "difference",
        "could see",
        "folds x seeds",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for row in summary.to_dict("records"):
        points = [
            100 * row[name] for name in ("difference", "difference_low", "difference_high", "minimum_detectable_effect")
        ]
        seen = row["pairs"] > 0
        table.add_row(
            *(f"{row[name]:g}" if isinstance(row[name], float) else str(row[name]) for name in by),
            f"{100 * row[score]:.1f} ({100 * row['low']:.1f} to {100 * row['high']:.1f})",
            "{:+.1f} ({:+.1f} to {:+.1f})".format(*points[:3]) if seen else "",
            f"{points[3]:.1f} by {row['pairs']} {row['paired_by']}s" if seen else "",
            f"{row['folds']} x {row['seeds']}",
        )
    return table


def _scenes_table(title: str, summary: "pd.DataFrame", by: list[str]) -> Table:
    """One part for the screen: F1 in per cent (interval over seeds), differences in points (by pairs of seeds)."""
    from course_lib.study.stats import SCORES

    table = Table(title=title, title_justify="left")
    for column in (
        *(name.rpartition(".")[2] for name in by),
        *(f"{s} {w}" for s in SCORES for w in ("F1", "±")),
        "seeds",
    ):
        table.add_column(column, justify="right", no_wrap=True)
    for row in summary.to_dict("records"):
        cells = []
        for score in SCORES:
            value, low, high = (100 * row[f"{score}{end}"] for end in ("", "_low", "_high"))
            cells.append(f"{value:.1f}" + (f" ({low:.1f} to {high:.1f})" if low == low else ""))
            moved = [100 * row[f"{score}_difference{end}"] for end in ("", "_low", "_high")]
            cells.append("{:+.1f} ({:+.1f} to {:+.1f})".format(*moved) if moved[0] == moved[0] else "")
        table.add_row(*(str(row[name]) for name in by), *cells, str(row["seeds"]))
    return table


def _readings(folder: Path) -> int:
    """How often a test fold was read in `folder`."""
    try:
        return len((folder / "test_readings.jsonl").read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return 0


def folder_of(name: str, output: Path | None) -> Path:
    """Where the records of the grid `name` are."""
    return paths.as_folder(output or paths.runs_dir() / "study" / name, "--output")


def row_line(record: dict) -> str:
    """One row for the screen: what it was, what came of it."""
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
