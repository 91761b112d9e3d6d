"""`course study`: run a grid, see how far it is, report it, compare two sets of its rows."""

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from course_lib import paths

study = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="The study: grids of runs and their rows.")
console = Console(highlight=False)

GridArgument = Annotated[str, typer.Argument(help="A TOML file, or the name of one in study/grids.")]
OutputOption = Annotated[Path | None, typer.Option(help="Folder of the records [default: runs/study/GRID].")]


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
    """Run what a grid has no record of yet. Cut off, the same command goes on from there.

    Exits 1 when a row failed, 130 when interrupted.
    """
    from course_lib.study import engine  # seconds to import, which --help need not wait for
    from course_lib.study import grid as grids

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a batch system's end is as orderly as Ctrl-C
    chosen = grids.read(grids.find(grid))
    grids.check(chosen)
    specs, folder = chosen.specs, folder_of(chosen.name, output)
    left = len(engine.pending(specs, folder, retry_failed=retry_failed))
    console.print(f"{chosen.name}: {len(specs)} rows, {left} to run, records in {folder}", soft_wrap=True)
    try:
        with _bar() as bar:
            warm, rows = bar.add_task("features", total=None, visible=False), bar.add_task("rows", total=left)

            def on_done(record: dict) -> None:
                bar.advance(rows)
                bar.console.print(row_line(record), soft_wrap=True)

            records = engine.run_grid(
                specs,
                folder,
                jobs=jobs,
                scheduler=scheduler,
                retry_failed=retry_failed,
                device=device,
                on_warm=lambda done, total: bar.update(warm, completed=done, total=total, visible=done < total),
                on_done=on_done,
            )
    except KeyboardInterrupt:
        left = len(engine.pending(specs, folder))
        console.print(f"interrupted; {len(specs) - left} of {len(specs)} rows are on record, the same command goes on")
        raise typer.Exit(130) from None
    failed = sum(record["status"] == engine.FAILED for record in records)
    more = f"; why: course study status {grid}" if failed else ""
    console.print(f"{len(records) - failed} rows done, {failed} failed{more}")
    raise typer.Exit(int(failed > 0))


@study.command()
def status(grid: GridArgument, output: OutputOption = None) -> None:
    """How many rows of a grid are done, failed, under way and left, and why rows failed."""
    from rich.table import Table

    from course_lib.locks import holder
    from course_lib.study import engine
    from course_lib.study import grid as grids

    chosen = grids.read(grids.find(grid))
    folder = folder_of(chosen.name, output)
    records = {spec.key: engine.read_record(folder, spec.key) for spec in chosen.specs}
    table = Table(title=f"{chosen.name}, records in {folder}", title_justify="left")
    for column in ("part", "rows", "done", "failed", "left"):
        table.add_column(column, justify="left" if column == "part" else "right")
    for name, runs in chosen.parts:
        table.add_row(name, *_counts([records[spec.key] for spec in runs]))
    table.add_section()
    table.add_row("all, each once", *_counts(list(records.values())))
    console.print(table)
    for record in records.values():
        if record and record["status"] == engine.FAILED:
            console.print(row_line(record), soft_wrap=True)
    started = len(list((folder / "checkpoints").glob("*.pt")))
    commits = sorted({record["commit"] for record in records.values() if record and "commit" in record})
    console.print(f"{started} rows begun and not finished; commits: {', '.join(commits) or 'none'}")
    owner = holder(folder)
    console.print(f"process {owner} is running it" if owner else "nobody is running it")


def folder_of(name: str, output: Path | None) -> Path:
    """Where the records of the grid `name` are."""
    return (output or paths.runs_dir() / "study" / name).resolve()


def row_line(record: dict) -> str:
    """One row for the screen: what it was, what came of it."""
    what = (
        f"{record['key']}  {record['dataset']} fold {record['fold']} seed {record['seed']}  {record['model']}  "
        f"hop {record['features.hop_ms']:g} ms  window {record['features.window_ms']:g} ms"
    )
    if record["status"] == "failed":
        return f"  [red]✘ failed[/]  {what}  {escape(record['error'])}"
    return f"  [green]✔ done[/]  {what}  test {100 * record['test_accuracy']:.1f} %  {record['minutes']:.2f} min"


def _counts(records: list[dict | None]) -> list[str]:
    states = [record and record["status"] for record in records]
    return [str(n) for n in (len(states), states.count("done"), states.count("failed"), states.count(None))]


def _bar() -> Progress:
    """A bar whose time left is told from all rows so far: they take minutes each."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, speed_estimate_period=7 * 86_400)
