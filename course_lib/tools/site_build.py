"""Gather the pages of the site in one folder, laid out as the repository is, and hand it to Sphinx."""

import json
import posixpath
import re
import shutil
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from course_lib.data import registry
from course_lib.errors import CourseError, UsageError
from course_lib.paths import as_folder, repo_root, runs_dir
from course_lib.tools import authoring, executor, site_explorer, site_pages
from course_lib.tools.run_report import PASSED

# --- A run of the notebooks, as `course run` left it

HOW = "run `make course` first"
REPORT = "results.json"


@dataclass(frozen=True)
class Run:
    """Executed notebooks of one folder.

    `title` is its profile and data set in words, `date` when it ended. `failures` says for each notebook, in the
    course's order, what went wrong; the text is empty if nothing did. `dataset` is the name of a data set, or the path
    of the user's own sounds.
    """

    folder: Path
    title: str
    date: str
    failures: dict[str, str]
    dataset: str

    @property
    def complete(self) -> bool:
        """Whether every notebook was run without a failure, on a data set of the course's own."""
        return self.dataset in registry.names() and not missing(self) and not any(self.failures.values())


def read(folder: Path) -> Run:
    """The run that `folder` holds.

    Raises
    ------
    CourseError
        There are no executed notebooks with their results in `folder`.
    """
    failures = {}
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        title = f"profile {report['run']['profile']}, data set {Path(report['run']['data set']).stem}"
        date = report["provenance"]["date"]
        for path in sorted(folder.glob("[0-9][0-9]_*.ipynb")):
            if path.with_suffix(".result.json").exists():
                result = json.loads(path.with_suffix(".result.json").read_text(encoding="utf-8"))
                failures[path.stem] = "" if result["state"] == PASSED else result["message"]
    except (FileNotFoundError, NotADirectoryError):
        raise CourseError(f"{folder}: no {REPORT} there; {HOW}") from None
    except (ValueError, LookupError, TypeError):
        raise CourseError(f"{folder}: {REPORT} or a result there is not what a run leaves; {HOW}") from None
    if not failures:
        raise CourseError(f"{folder}: no executed notebooks with their results; {HOW}")
    return Run(folder, title, date, failures, report["run"]["data set"])


def latest(runs: Path) -> Run:
    """The latest `complete` run below `runs`; if there is none, the latest run.

    Folders that cannot be read are skipped: an interrupted run leaves one.

    Raises
    ------
    CourseError
        There is none yet.
    """
    found = []
    for path in sorted(runs.glob(f"*/{REPORT}")):
        with suppress(CourseError):
            found.append(read(path.parent))
    if not found:
        raise CourseError(f"{runs}: no run of the notebooks yet; {HOW}")
    return max(found, key=lambda run: (run.complete, run.date))


def missing(run: Run) -> list[str]:
    """Notebooks that the run does not hold, and that a site made from it would lack."""
    return [source.stem for source in authoring.sources() if source.stem not in run.failures]


def complaints(run: Run) -> list[str]:
    """What is wrong with a run that is to become a site, one line each."""
    lines = [f"{name} failed: {message}" for name, message in run.failures.items() if message]
    lines += [f"{name} was not run" for name in missing(run)]
    for name in run.failures:
        if _own_cells(run.folder / f"{name}.ipynb") != _own_cells(authoring.notebooks_dir() / f"{name}.ipynb"):
            lines.append(f"{name} has changed since it was run")
    return lines


def _own_cells(path: Path) -> list[str]:
    """Text of every cell, without the one that papermill adds."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(c["source"]) for c in cells if executor.INJECTED not in c["metadata"].get("tags", [])]


# --- The site

START, LOG = "index.md", "sphinx.log"
MARK = ".made-by-course-site"  # in a folder that the next site may replace
# A link or picture of Markdown that leads to a file: !, words, target, fragment
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!#|[a-z]+:)([^)\s#]+)(#[^)\s]*|)\)")
# Pages besides the notebooks, by part of the site: those made here, and texts of the repository where they exist
PARTS = {
    "Questions": ("notebooks/quizzes/*.md",),
    "Teach": ("INSTRUCTORS.md",),
    "The study": ("study/RESULTS.md", "study/README.md", "study/protocol.md", "data/README.md"),
    "Reference": (
        "INSTALL.md", "docs/questions.md",
        "docs/library.md", "api.md", "glossary.md", "launch.md", "STYLE.md", "CONTRIBUTING.md", "bench/README.md",
        "docs/*.md", "CHANGELOG.md",
    ),
}  # fmt: skip


def build_site(run_folder: Path | None, output: Path, console: Console) -> Path:
    """The start page of the site made from `run_folder`, or from the latest run, below `output`.

    Raises
    ------
    UsageError
        `output` is a file, or has a folder `source` or `html` that was not made here.
    CourseError
        There is no run to show, Sphinx is not installed or gave a warning; or the site was built, but lacks notebooks
        that the run does not hold.
    """
    as_folder(output, "--output")
    source, html = output / "source", output / "html"
    for folder in (source, html):
        _refuse_foreign(folder)
    run = read(run_folder) if run_folder else latest(runs_dir())
    if find_spec("sphinx_book_theme") is None:
        raise CourseError("the site needs Sphinx and its theme, which are not installed; run `make site`")
    console.print(f"site: {len(run.failures)} notebooks of {run.folder}, {run.title}", soft_wrap=True)
    found = complaints(run)
    for line in [*found, *([f"the site is built from what there is; for a complete one {HOW}"] if found else [])]:
        console.print(f"[yellow]site[/]: {escape(line)}", soft_wrap=True)
    gather(run, source)
    start = render(source, html)
    console.print(f"open {start}", soft_wrap=True)
    if missing(run):
        raise CourseError(f"{start}: this site lacks {', '.join(missing(run))}; {HOW}, for all of them")
    return start


def gather(run: Run, source: Path) -> None:
    """Write every page of the site, and what it shows or links to, below `source`, which is emptied first.

    Raises
    ------
    UsageError
        `source` was not made here.
    CourseError
        A page links to, or shows, a file that is not in the repository.
    """
    _empty(source)
    pages = {
        "explorer.md": site_explorer.page(repo_root() / "site"),
        "glossary.md": site_pages.glossary(_text("STYLE.md")),
        "api.md": _text("site/api.md"),
    }
    repository, tag = site_pages.address(_text("CITATION.cff"))
    if repository:
        pages["launch.md"] = site_pages.launch(_text("site/launch.md"), repository, tag)
    parts = {"Try it": ["explorer.md"], "Notebooks": [f"notebooks/{name}.ipynb" for name in run.failures]}
    for caption, patterns in PARTS.items():
        names = []
        for pattern in patterns:
            found = sorted(path.relative_to(repo_root()).as_posix() for path in repo_root().glob(pattern))
            names += [pattern] if pattern in pages else found
        parts[caption] = list(dict.fromkeys(names))
        pages |= {name: _text(name) for name in names if name not in pages}
    pages[START] = site_pages.home(_text("site/home.md"), _text("README.md")) + site_pages.contents(parts)
    shown = {*pages, *parts["Notebooks"]}
    for name, text in pages.items():
        _write(source / name, settled(text, posixpath.dirname(name), shown, source))
    for name in run.failures:
        _gather_notebook(run, name, shown, source)


def settled(text: str, folder: str, shown: set[str], source: Path) -> str:
    """`text` of a page in `folder` with its links pointing to pages in `shown`, else to copies made below `source`.

    Blocks of code, and links to elsewhere and within the page, stay as they are.

    Raises
    ------
    CourseError
        It links to, or shows, a file that is not in the repository.
    """

    def settle(link: re.Match) -> str:
        picture, words, target, fragment = link.groups()
        name = posixpath.normpath(posixpath.join(folder, target))
        if picture:
            _copy(name, source / name)
            return link[0]
        if name in ("README.md", "."):
            name = START
        if name == "site/explorer.md":
            name = "explorer.md"
        if name in shown:
            return f"[{words}]({posixpath.relpath(name, folder or '.')}{fragment})"
        if (repo_root() / name).is_dir():
            return words
        _copy(name, source / "download" / name)
        return f"{{download}}`{words.replace('`', '')} <{posixpath.relpath(f'download/{name}', folder or '.')}>`"

    pieces = re.split(r"(^```.*?^```)", text, flags=re.M | re.S)
    return "".join(piece if piece.startswith("```") else LINK.sub(settle, piece) for piece in pieces)


def render(source: Path, html: Path) -> Path:
    """The start page, after running Sphinx on `source`.

    Raises
    ------
    UsageError
        `html` was not made here.
    CourseError
        Sphinx gave a warning, which counts as an error.
    """
    _empty(html)  # no page of an earlier run stays
    words = ["-W", "--keep-going", "-q", "-b", "html", "-c", repo_root() / "site", source, html]
    told = subprocess.run([sys.executable, "-m", "sphinx", *map(str, words)], capture_output=True, text=True)
    if told.returncode:
        lines = [line for line in told.stderr.splitlines() if line.strip()]
        (source.parent / LOG).write_text(told.stderr, encoding="utf-8")
        raise CourseError(f"{lines[0] if lines else 'Sphinx failed'} ({len(lines)} lines in {source.parent / LOG})")
    return html / "index.html"


def _refuse_foreign(folder: Path) -> None:
    """Raise for a folder that a site must not replace: one that is not empty and was not made here."""
    made_here = (folder / MARK).is_file()
    empty = folder.is_dir() and next(folder.iterdir(), None) is None
    if folder.exists() and not made_here and not empty:
        raise UsageError(
            f"{folder}: exists and is not an earlier site, which a new one would replace; "
            "name another folder (--output), or move it away"
        )


def _empty(folder: Path) -> None:
    """Empty `folder`, leaving only our mark in it."""
    _refuse_foreign(folder)
    shutil.rmtree(folder, ignore_errors=True)
    _write(folder / MARK, "Made by `course site`, which replaces this folder.\n")


def _gather_notebook(run: Run, name: str, shown: set[str], source: Path) -> None:
    """Write the page of the executed notebook `name`, and the learner's copy to download."""
    file = f"notebooks/{name}.ipynb"
    executed = json.loads((run.folder / f"{name}.ipynb").read_text(encoding="utf-8"))
    complete = json.loads(_text(f"notebooks/solutions/{name}.ipynb"))
    page = site_pages.page(executed, complete, name, run.failures[name])
    for cell in page["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = settled("".join(cell["source"]), "notebooks", shown, source)
    _write(source / file, json.dumps(page))
    _copy(file, source / "download" / file)


def _copy(name: str, place: Path) -> None:
    """Copy the file `name` of the repository to `place`."""
    if name.startswith("..") or not (repo_root() / name).is_file():
        raise CourseError(f"{name}: a page of the site links to it, but it is not in the repository")
    _write(place, (repo_root() / name).read_bytes())


def _text(name: str) -> str:
    return (repo_root() / name).read_text(encoding="utf-8")


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
