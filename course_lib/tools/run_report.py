"""The reports of a run of the notebooks: a table on the screen, `results.json`, `junit.xml`, `index.html`."""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from jinja2 import Environment
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from course_lib.data import registry
from course_lib.lesson import expected, pictures, screen
from course_lib.paths import atomic_write
from course_lib.provenance import provenance
from course_lib.tools.authoring import QUIZZES, notebooks_dir

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
SIGNS = {PASSED: "✔ passed", FAILED: "✘ failed", NOT_RUN: "… not run"}
COLOURS = {PASSED: "green", FAILED: "red", NOT_RUN: "yellow"}
LOOK_BACK_S = 7 * 86_400
PAGE = Path(__file__).with_name("run_page.html.j2")


@dataclass(frozen=True)
class Result:
    """The result of one notebook."""

    notebook: str
    state: str
    minutes: float
    message: str
    output: str
    key: str
    verdicts: list[dict] = field(default_factory=list)
    recorded: dict = field(default_factory=dict)


def progress_bar(console: Console) -> Progress:
    """A bar that shows how many are done and the time left, estimated from all so far because one may take minutes."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, speed_estimate_period=LOOK_BACK_S)


def numbers_text(result: Result) -> str:
    """How many of a notebook's numbers are as expected, in words."""
    judged = [v for v in result.verdicts if v["ok"] is not None]
    if judged:
        return f"{sum(v['ok'] for v in judged)} of {len(judged)} as expected"
    return f"{len(result.recorded)} recorded, none judged" if result.recorded else "none"


def effects(result: Result, profile: str, dataset: str) -> list[str]:
    """One line per effect that a notebook recorded: its value, and whether it is clear of its spread over seeds."""
    lines = []
    for name, found in result.recorded.items():
        if found["kind"] != "effect":
            continue
        on_file = expected.effect(profile, dataset, name)
        if on_file is None:
            verdict = "no spread on file"
        elif expected.is_clear(found["value"], on_file):
            verdict = f"clear, standard deviation {on_file['sd']:.3g} over seeds"
        else:
            verdict = f"not clear, mean {on_file['mean']:.3g} ± {on_file['sd']:.3g} over seeds"
        lines.append(f"{result.notebook}: {name} is {found['value']:.4g} {found['unit']}".rstrip() + f": {verdict}")
    return lines


def screen_table(results: Sequence[Result], wall_minutes: float) -> Table:
    """The final table for the terminal; `wall_minutes` is the elapsed time, which is less if several ran at once."""
    table = Table()
    for name, justify in (("notebook", "left"), ("state", "left"), ("minutes", "right"), ("numbers", "left")):
        table.add_column(name, justify=justify)
    for r in results:
        table.add_row(r.notebook, f"[{COLOURS[r.state]}]{SIGNS[r.state]}[/]", f"{r.minutes:.2f}", numbers_text(r))
    table.add_section()
    passed = sum(r.state == PASSED for r in results)
    table.add_row("all", f"{passed} of {len(results)} passed", f"{sum(r.minutes for r in results):.2f}", "")
    table.add_row("elapsed", "", f"{wall_minutes:.2f}", "")
    return table


def write_json(results: Sequence[Result], about: Mapping, path: Path) -> None:
    """All results and where they came from, for programs."""
    _write_with_origin(path, about, {"notebooks": [asdict(r) for r in results]})


def _write_with_origin(path: Path, about: Mapping, content: Mapping) -> None:
    whole = {"run": dict(about), "provenance": provenance(), **content}
    atomic_write(path, json.dumps(whole, indent=1, ensure_ascii=False) + "\n")


def write_junit(results: Sequence[Result], path: Path) -> None:
    """One test case per notebook, in the format that CI servers read."""
    failed, skipped = (sum(r.state == s for r in results) for s in (FAILED, NOT_RUN))
    suite = ET.Element(
        "testsuite", name="notebooks", tests=str(len(results)), failures=str(failed), skipped=str(skipped)
    )
    for r in results:
        case = ET.SubElement(suite, "testcase", classname="notebooks", name=r.notebook, time=f"{r.minutes * 60:.2f}")
        if r.state == FAILED:
            ET.SubElement(case, "failure", message=r.message).text = f"{r.message}\nexecuted copy: {r.output}"
        elif r.state == NOT_RUN:
            ET.SubElement(case, "skipped", message=r.message)
    atomic_write(path, ET.tostring(suite, encoding="unicode") + "\n")


def label(profile: str, dataset: str) -> str:
    """The label under which the results of a run are stored; `dataset` as `resolve_dataset` returns it.

    The user's own sounds are labelled by their path: its last two parts, and six digits of a hash of the whole.
    """
    if dataset in registry.names():
        return f"{profile}-{dataset}"
    path = Path(dataset)
    shown = "-".join(part for part in (path.parent.name, path.stem) if part)
    return f"{profile}-{shown}-{hashlib.sha256(dataset.encode()).hexdigest()[:6]}"


def publish(results: Sequence[Result], about: Mapping, folder: Path) -> list[Path]:
    """Store what the green notebooks recorded, one file each, as published results with their origin."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for r in results:
        if r.state == PASSED:
            path = folder / f"{r.notebook}-{label(about['profile'], about['data set'])}.json"
            _write_with_origin(path, about, {"minutes": r.minutes, "recorded": r.recorded})
            written.append(path)
    return written


def write_all(results: Sequence[Result], about: Mapping, folder: Path, console: Console, wall_minutes: float) -> None:
    """Write every report into `folder`, and print the table and what failed; the run took `wall_minutes`."""
    write_json(results, about, folder / "results.json")
    write_junit(results, folder / "junit.xml")
    index = write_pages(results, about, folder)
    title = "notebooks, " + ", ".join(f"{k} {v}" for k, v in about.items())
    screen.print_table(screen_table(results, wall_minutes), console, title)
    for r in results if about["profile"] != "smoke" else []:
        for line in effects(r, about["profile"], about["data set"]):
            console.print(escape(line), soft_wrap=True)
    for r in results:
        if r.state == FAILED:
            console.print(f"[red]{r.notebook}[/]: {escape(r.message)}", soft_wrap=True)
            if Path(r.output).exists():
                console.print(f"  executed copy: {r.output}", soft_wrap=True)
    console.print(f"open {index}", soft_wrap=True)


def write_pages(results: Sequence[Result], about: Mapping, folder: Path) -> Path:
    """Every executed notebook as a page and one index that links them; returns the index."""
    rows = []
    for r in results:
        output = Path(r.output)
        page = write_page(output) if output.exists() else None
        more = {"sign": SIGNS[r.state], "numbers": numbers_text(r), "file": output.name, "page": page and page.name}
        rows.append(asdict(r) | more | {"figure": cover_figure(output)})
    passed = sum(r.state == PASSED for r in results)
    template = Environment(autoescape=True, trim_blocks=True).from_string(PAGE.read_text(encoding="utf-8"))
    summary = f"{passed} of {len(results)} notebooks passed. " + ", ".join(f"{k}: {v}" for k, v in about.items())
    title = "Temporal resolution in audio classification: run of the notebooks"
    index = folder / "index.html"
    atomic_write(index, template.render(title=title, summary=summary, rows=rows, provenance=provenance()))
    return index


def write_page(executed: Path) -> Path | None:
    """`executed` as an HTML page beside it; None when the notebook is too broken to be shown."""
    import nbformat
    from nbconvert import HTMLExporter  # seconds to import

    try:
        notebook = nbformat.read(executed, as_version=4)
        named = {"metadata": {"name": title_of(notebook)}}
        body, _ = HTMLExporter(template_name="lab").from_notebook_node(notebook, resources=named)
    except (ValueError, nbformat.ValidationError):
        return None
    page = executed.with_suffix(".html")
    quizzes = (notebooks_dir() / QUIZZES).as_uri()  # the page lies elsewhere than the notebook
    atomic_write(page, re.sub(rf'href="(\.\./)?{QUIZZES}/', f'href="{quizzes}/', body))
    return page


def title_of(notebook: Mapping) -> str:
    """The first heading of a notebook."""
    for cell in notebook["cells"]:
        heading = re.match(r"# (.+)", "".join(cell["source"]))
        if cell["cell_type"] == "markdown" and heading:
            return heading[1].strip()
    return "Notebook"


def cover_figure(executed: Path) -> pictures.Picture | None:
    """Picture of the cell tagged `cover`, or else the first one; None if there is none."""
    try:
        cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    except (OSError, ValueError):
        return None
    for cell in sorted(cells, key=lambda cell: "cover" not in cell["metadata"].get("tags", [])):
        for output in cell.get("outputs", []):
            picture = pictures.figure_in(output)
            if picture is not None:
                return picture
    return None
