"""The tables of INSTRUCTORS.md: minutes of every notebook, and timetables made of notebooks and sections.

A notebook takes the minutes that it states under *Before you start*; machine time was measured together with the
expected values. A section takes a share of them: of the reading in proportion to its words, of the exercises in
proportion to their number. `notebooks/timetables.toml` says which sections make a session; it gives minutes only for
breaks.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from course_lib.errors import CourseError
from course_lib.tools import authoring, readme, regression

INTRO, SUMMARY = "intro", "What we saw"
UNREAD = ("What next", "References")  # including the numbers recorded at the end
MACHINE = (("lesson", "synth10"),)


@dataclass(frozen=True)
class Section:
    """A numbered section of a notebook, or the introduction before the first or the summary after the last."""

    name: str
    words: int
    exercises: tuple[str, ...]


@dataclass(frozen=True)
class Minutes:
    """What a notebook, or a part of it, takes someone working alone."""

    reading: float
    exercises: float

    @property
    def total(self) -> float:
        return self.reading + self.exercises


def stated(source: Path) -> Minutes:
    """Minutes that the notebook of `source` states for reading and for all its exercises (0 where it has none).

    Raises
    ------
    CourseError
        It does not say how long reading, or its exercises, take, in the words that all notebooks use.
    """
    whole = source.read_text(encoding="utf-8")
    text = whole.split("Before you start", 1)[-1].split("# %%", 1)[0].replace("\n#", "")
    reading = re.search(r"Reading takes (?:about )?(\d+) minutes", text)
    exercises = re.search(r"minutes, the (?:\w+ )?exercises? (\d+)", text)
    if not reading or (not exercises and re.search(r"^# #+ Exercise \d", whole, re.M)):
        raise CourseError(f"{source.name}: 'Before you start' has to say 'Reading takes N minutes, the k exercises M'")
    return Minutes(float(reading[1]), float(exercises[1]) if exercises else 0.0)


def sections(source: Path) -> list[Section]:
    """Sections of a notebook in order, with their words (prose and code) and exercises; the introduction first."""
    found, name, title, lines = [], INTRO, "", []
    numbered = re.compile(r"# ## (?:(\d+)\. )?(.+)$")
    for line in [*source.read_text(encoding="utf-8").splitlines(), "# ## end"]:
        heading = numbered.match(line)
        if not heading or (name == INTRO and not heading[1] and heading[2] not in (SUMMARY, *UNREAD)):
            lines.append(line)
            continue
        text = "\n".join(lines)
        exercises = tuple(re.findall(r'^check\("(\d\d\.\d)"', text, re.M))
        if title not in UNREAD:
            found.append(Section(name, len(re.findall(r"\w+", text)), exercises))
        name, title, lines = heading[1] or heading[2], heading[2], []
    return found


def taken(source: Path, names: Sequence[str] = ()) -> tuple[Minutes, tuple[str, ...]]:
    """Minutes and exercises of the sections `names` with introduction and summary; without `names`, of all sections.

    Raises
    ------
    CourseError
        There is no such section.
    """
    whole, every = stated(source), sections(source)
    unknown = [name for name in names if name not in {s.name for s in every}]
    if unknown:
        raise CourseError(f"{source.stem}: no section {', '.join(unknown)}; see notebooks/timetables.toml")
    chosen = [s for s in every if not names or s.name in (*names, INTRO, SUMMARY)]
    exercises = tuple(e for s in chosen for e in s.exercises)
    words = sum(s.words for s in chosen) / sum(s.words for s in every)
    share = len(exercises) / max(1, sum(len(s.exercises) for s in every))
    return Minutes(whole.reading * words, whole.exercises * share), exercises


def minutes_table() -> str:
    """One row per notebook: reading and exercises as it states them, and the machine's minutes as measured."""
    rows = []
    for source in authoring.sources():
        title, whole = readme.title(source), stated(source)
        exercises = sum(len(section.exercises) for section in sections(source))
        link = f"[{title}](notebooks/{source.stem}.ipynb)"
        machine = [regression.minutes(*run, source.stem) for run in MACHINE]
        stated_cells = [f"{whole.reading:.0f}", f"{whole.exercises:.0f} ({exercises})"]
        rows.append([authoring.number(source), link, *stated_cells, *machine])
    columns = " | ".join(f"machine, {profile}:" for profile, _ in MACHINE)
    return "\n".join(readme.table(f" | notebook | reading: | exercises: | {columns}", rows))


def plans() -> dict[str, dict]:
    """The timetables of `notebooks/timetables.toml` by name."""
    return tomllib.loads((authoring.notebooks_dir() / "timetables.toml").read_text(encoding="utf-8"))


def timetable(plan: Mapping) -> str:
    """One row per session: what is read and solved, how long that takes alone, what the class does together.

    A notebook that is not written yet is left out.
    """
    sources = {authoring.number(s): s for s in authoring.sources()}
    rows = []
    whole = 0
    for session in plan["session"]:
        parts, exercises, minutes = [], [], float(session.get("break", 0))
        for entry in session.get("notebooks", []):
            number, _, names = entry.partition(":")
            if number in sources:
                names = [n.strip() for n in names.split(",") if n.strip()]
                spent, asked = taken(sources[number], names)
                parts.append(f"**{number}** {_spans(names)}".strip())
                exercises += asked
                minutes += spent.total
        rounded = 5 * round(minutes / 5)
        whole += rounded
        minutes_text = str(rounded) if rounded else ""
        rows.append([session["when"], "; ".join(parts), ", ".join(exercises), minutes_text, session["together"]])
    lines = readme.table(" | notebooks and sections | exercises | minutes: | together", rows)
    return "\n".join([*lines, f"| in all | | | {whole} | |"])


def _spans(names: Sequence[str]) -> str:
    """Sections in few characters: `1 to 3, 5`; `whole` if none is named."""
    if not names:
        return "whole"
    runs: list[list[int]] = []
    for number in sorted(map(int, names)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs)


def parts() -> dict[str, Callable[[], str]]:
    """The generated parts of INSTRUCTORS.md by name, as `readme.filled` takes them."""
    return {"minutes": minutes_table} | {name: partial(timetable, plan) for name, plan in plans().items()}
