"""The table of bench/README.md: what every benchmark reached beside the bar that was set before it was measured."""

import json
from pathlib import Path
from typing import NamedTuple

from course_lib import readme
from course_lib.paths import repo_root, write_whole

AT_MOST = {  # of these, less is better
    "4000 frames against 1000", "memory at 1000 frames, 25 % saved", "step against average pooling",
    "time of the engine, as a share",
}  # fmt: skip
WHY = {
    ("diffres_cuda", "speed at 500 frames"): "measured before merging had a way back of its own",
    ("diffres_cuda", "speed at 1000 frames"): "as above",
    ("diffres_cuda", "memory at 1000 frames, 25 % saved"): "as above",
    ("diffres_cuda", "step against average pooling"): "not looked into",
    (
        "train",
        "a second and core, over the plain loop",
    ): "on a processor with bf16 units; pooling, which they do not speed up, takes almost a third of the step",
    ("train", "two workers, over one core of the plain loop"): "as above; two workers do twice as much as one",
    (
        "train_fp32",
        "a second and core, over the plain loop",
    ): "the bar counts on bf16, which this other processor computed at half the speed of fp32",
    ("train_fp32", "two workers, over one core of the plain loop"): "as above; two workers do twice as much as one",
    (
        "transformers",
        "AST over MAST, CPU time forward, 1 thread",
    ): "multiply-accumulates are 5.2 times fewer at this length, and "
    "pooling, norms and reshapes take time that no multiply-accumulate tells of",
}


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


def table() -> str:
    """A row a bar, and why it is missed where it is."""
    lines = ["| file | what | reached | bar | |", "|---|---|---:|---:|---|"]
    for one in (one for path in results() for one in reached(path)):
        sense = "at most" if one.what in AT_MOST else "at least"
        said = "met" if one.met else f"**missed**: {WHY.get((one.file, one.what), 'not looked into')}"
        value = f"{one.value:,.0f}" if one.value >= 100 else f"{one.value:.3g}"
        lines.append(f"| `{one.file}` | {one.what} | {value} | {sense} {one.bar:g} | {said} |")
    return "\n".join(lines)


def write_table() -> list[Path]:
    """Fill bench/README.md; returns it if it changed."""
    path = repo_root() / "bench" / "README.md"
    text = path.read_text(encoding="utf-8")
    new = readme.filled(text, {"bars": table}, "bench/README.md")
    if new == text:
        return []
    write_whole(path, new)
    return [path]
