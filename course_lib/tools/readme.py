"""The parts of README.md that hold numbers, made from the files where the numbers were measured."""

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from course_lib.analysis import figures
from course_lib.analysis.verdicts import VERDICTS
from course_lib.errors import CourseError
from course_lib.paths import atomic_write, repo_root
from course_lib.tools import authoring, regression
from course_lib.tools import results as study
from course_lib.tools.results import table

SHOWN = (("smoke", "synth10"), ("smoke", "esc10"), ("lesson", "synth10"))  # runs whose minutes are told
BENCH = "bench/results/features.json"


def notebook_map() -> str:
    """A row a notebook: title, what a learner can do afterwards, minutes measured on each profile and data set."""
    rows = []
    for source in authoring.sources():
        title, verbs = title_and_verbs(source)
        cells = [regression.minutes(*run, source.stem) for run in SHOWN]
        rows.append([authoring.number(source), f"[{title}](notebooks/{source.stem}.ipynb)", verbs, *cells])
    columns = " | ".join(f"{profile}, `{dataset}`:" for profile, dataset in SHOWN)
    return "\n".join(table(f" | notebook | afterwards you can | {columns}", rows))


def title_and_verbs(source: Path) -> tuple[str, str]:
    """Title of a notebook and its objectives, the parts in bold and what follows, in one line."""
    text = source.read_text(encoding="utf-8")
    title = re.search(r"^# # \d\d · (.+)$", text, re.M).group(1)
    objectives = text.split("You will be able to", 1)[1].split("# %%", 1)[0]
    verbs = re.findall(r"^# - \*\*(.+?)\*\* (.+?)(?: \(exercise[^)]*\).*?)?[;.]$", objectives, re.M)
    return title, "; ".join(f"{verb} {rest}" for verb, rest in verbs)


def bench_table() -> str:
    """Our log-mel beside the libraries that compute it too, as measured by `make bench`."""
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


def summary() -> str:
    """How many verdicts of each kind there are, by data set."""
    found = study.judged()[1]
    words = [word for word in VERDICTS if (found["verdict"] == word).any()]
    rows = []
    for data in sorted(found["data"].unique(), key=lambda name: name == ""):  # what has no data set comes last
        of_set = found[found["data"] == data]
        counts = of_set["verdict"].value_counts()
        rows.append([data or "no data set of its own", *(str(counts.get(word, "")) for word in words)])
    return "\n".join(table("verdicts by data set | " + " | ".join(f"{word}:" for word in words), rows))


PARTS = {"notebooks": notebook_map, "summary": summary, "bench": bench_table}


def readme_path() -> Path:
    """README.md."""
    return repo_root() / "README.md"


def filled(text: str, parts: Mapping[str, Callable[[], str]], where: str) -> str:
    """`text` of the file `where` with every part between `<!-- NAME -->` and `<!-- /NAME -->` made anew.

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
    """Make the generated parts of the file `path` anew; returns it if that changed it."""
    text = path.read_text(encoding="utf-8")
    new = filled(text, parts, str(path))
    if new == text:
        return []
    atomic_write(path, new)
    return [path]


def refresh() -> list[Path]:
    """Make anew what follows from the published rows: figures, study/RESULTS.md, README.md; returns what changed."""
    study.judged.cache_clear()  # rows may have been published since
    study.parts.cache_clear()
    return figures.write() + fill(study.path(), study.PARTS) + fill(readme_path(), PARTS)


# --- The table of bench/README.md: what every benchmark reached beside the bar that was set before it was measured

AT_MOST = {  # of these, less is better
    "4000 frames against 1000", "memory at 1000 frames, 25 % saved", "step against average pooling",
    "time of the engine, as a share",
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
    """What the benchmark behind `path` was to reach; none where it has a table of its own and no bar."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    found = {what: (kept["reached"][what], bar) for what, bar in kept.get("bars", {}).items()}
    if path.stem == "study":
        found["time of the engine, as a share"] = (kept["engine"]["overhead"], 0.02)
        found["two workers over one"] = (kept["rows"][-1]["ratio"], 1.8)
    elif path.stem in ("train", "train_fp32"):
        ours = {row["workers"]: row for row in kept["rows"] if row["name"] == "course_lib"}
        found["a second and core, over the plain loop"] = (ours[1]["ratio_a_core"], 4.0)
        found["two workers, over one core of the plain loop"] = (ours[2]["ratio_to_one_core"], 7.0)
    elif path.stem == "sed_metrics":
        found["over sed_eval, the least of all"] = (min(row["times_as_fast"] for row in kept["rows"]), kept["bar"])
    return [Reached(path.stem, what, *pair) for what, pair in found.items()]


def reasons() -> dict[tuple[str, str], str]:
    """Why bars are missed, from `bench/missed.toml`, by file and what was measured."""
    by_file = tomllib.loads((repo_root() / "bench" / "missed.toml").read_text(encoding="utf-8"))
    return {(file, what): reason for file, found in by_file.items() for what, reason in found.items()}


def bars_table() -> str:
    """A row a bar, and why it is missed where it is."""
    rows, why = [], reasons()
    for one in (one for path in results() for one in reached(path)):
        sense = "at most" if one.what in AT_MOST else "at least"
        said = "met" if one.met else f"**missed**: {why.get((one.file, one.what), 'not looked into')}"
        value = f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:.3g}"
        rows.append([f"`{one.file}`", one.what, value, f"{sense} {one.bar:g}", said])
    return "\n".join(table("file | what | reached: | bar: | ", rows))
