"""The parts of README.md and bench/README.md that hold numbers, made from the files that record them."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from course_lib.analysis import figures, findings
from course_lib.errors import CourseError
from course_lib.paths import repo_root, write_if_changed
from course_lib.tools import authoring, regression
from course_lib.tools import results as study
from course_lib.tools.results import table

BENCH = "bench/results/features.json"


def picture() -> str:
    """The first picture, for the page in the root of the repository."""
    return figures.FIGURES["front.png"].markdown.replace("(results/", "(study/results/")


def notebook_map() -> str:
    """A row per notebook: title, what it is about, and the minutes of `lesson` on the course's own sounds."""
    about = tomllib.loads((authoring.notebooks_dir() / "contents.toml").read_text(encoding="utf-8"))
    rows = []
    for source in authoring.sources():
        number, minutes = authoring.number(source), regression.minutes("lesson", "synth10", source.stem)
        rows.append([number, f"[{title(source)}](notebooks/{source.stem}.ipynb)", about[number], minutes])
    return "\n".join(table(" | notebook | about | minutes:", rows))


def title(source: Path) -> str:
    """Title of a notebook."""
    return re.search(r"^# # \d\d · (.+)$", source.read_text(encoding="utf-8"), re.M).group(1)


def bench_table() -> str:
    """Our log-mel beside those of other libraries, as measured by `make bench`."""
    measured = json.loads((repo_root() / BENCH).read_text(encoding="utf-8"))
    few, many = measured["growth"][0], measured["growth"][-1]
    what = f"{measured['clips']} clips of {measured['length_s']} s"
    rows = []
    for row in measured["rows"]:
        memory = row["memory_mb"] or [0]
        used = [f"{mb:.0f}" if mb else "" for mb in (memory[0], memory[-1])]
        rows.append([row["name"], f"{row['ms']:.0f}", f"{row['ratio']:.1f}", *used])
    where = measured["provenance"]
    below = f"{measured['threads']} threads, {where['machine']}, torch {where['torch']}, {where['date'][:10]}."
    lines = table(f"{what} | ms: | times ours: | MB, {few} clips: | MB, {many} clips:", rows)
    return "\n".join([*lines, "", below])


PARTS = {"picture": picture, "findings": study.headline_list, "notebooks": notebook_map}


def readme_path() -> Path:
    """README.md."""
    return repo_root() / "README.md"


def filled(text: str, parts: Mapping[str, Callable[[], str]], where: str) -> str:
    """`text` of the file `where` with every part between `<!-- NAME -->` and `<!-- /NAME -->` regenerated.

    Raises
    ------
    CourseError
        A pair of marks is missing.
    """
    for name, make in parts.items():
        begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise CourseError(f"{where}: expected one {begin} and one {end}; put them back around the generated part")
        before, rest = text.split(begin)
        text = before + begin + "\n" + make() + "\n" + end + rest.split(end)[1]
    return text


def fill(path: Path, parts: Mapping[str, Callable[[], str]]) -> list[Path]:
    """Regenerate the generated parts of the file `path`; returns it if that changed it."""
    return write_if_changed(path, filled(path.read_text(encoding="utf-8"), parts, str(path)))


def refresh() -> list[Path]:
    """Regenerate what follows from the published rows: figures, study/RESULTS.md, README.md; returns what changed."""
    for computed in (findings.evidence, findings.claims_table, findings.parts):
        computed.cache_clear()  # rows may have been published since
    return figures.write() + fill(study.path(), study.PARTS) + fill(readme_path(), PARTS)


# --- The table of bench/README.md: what every benchmark reached, beside the bar that was set before the measurement

AT_MOST = {  # lower is better
    "4000 frames against 1000", "memory at 1000 frames, 25 % saved", "step against average pooling",
    "engine overhead, as a share", "half the frames, one clip, one thread, over all frames",
    "half the frames, 16 clips, one thread, over all frames",
}  # fmt: skip


class Reached(NamedTuple):
    """One number of a benchmark: its file, what it is, its value, its bar, and whether it is met."""

    file: str
    what: str
    value: float
    bar: float

    @property
    def met(self) -> bool:
        return self.value <= self.bar if self.what in AT_MOST else self.value >= self.bar


def results() -> list[Path]:
    """Files that `make bench` has written."""
    return sorted((repo_root() / "bench" / "results").glob("*.json"))


def reached(path: Path) -> list[Reached]:
    """What the benchmark behind `path` reached, beside its bars; empty if it has none."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    found = {what: (kept["reached"][what], bar) for what, bar in kept.get("bars", {}).items()}
    if path.stem == "study":
        found["engine overhead, as a share"] = (kept["engine"]["overhead"], 0.02)
        found["rows per minute, two workers over one"] = (kept["rows"][-1]["ratio"], 1.8)
    elif path.stem in ("train", "train_fp32"):
        ours = {row["workers"]: row for row in kept["rows"] if row["name"] == "course_lib"}
        found["clips per second and core, over the plain loop"] = (ours[1]["ratio_a_core"], 4.0)
        found["two workers, over one core of the plain loop"] = (ours[2]["ratio_to_one_core"], 7.0)
    elif path.stem == "sed_metrics":
        found["speed over sed_eval, worst case"] = (min(row["times_as_fast"] for row in kept["rows"]), kept["bar"])
    return [Reached(path.stem, what, *pair) for what, pair in found.items()]


def reasons() -> dict[tuple[str, str], str]:
    """Why bars are missed, from `bench/missed.toml`, by file and what was measured."""
    by_file = tomllib.loads((repo_root() / "bench" / "missed.toml").read_text(encoding="utf-8"))
    return {(file, what): reason for file, found in by_file.items() for what, reason in found.items()}


def bars_table() -> str:
    """One row per bar, with the reason if it is missed."""
    rows, why = [], reasons()
    for one in (one for path in results() for one in reached(path)):
        sense = "at most" if one.what in AT_MOST else "at least"
        said = "met" if one.met else f"**missed**: {why.get((one.file, one.what), 'not investigated')}"
        value = f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:.3g}"
        rows.append([f"`{one.file}`", one.what, value, f"{sense} {one.bar:g}", said])
    return "\n".join(table("file | what | reached: | bar: | ", rows))


BENCH_PARTS = {"bars": bars_table, "features": bench_table}  # of bench/README.md
