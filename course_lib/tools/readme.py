"""The parts of README.md that hold numbers, made from the files where the numbers were measured."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from course_lib import paths
from course_lib.analysis import claims, figures, pareto, per_class, questions
from course_lib.analysis.verdicts import VERDICTS, signed
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval
from course_lib.paths import atomic_write, repo_root
from course_lib.study import scene_run
from course_lib.tools import authoring, regression

SHOWN = (("smoke", "synth10"), ("smoke", "esc10"), ("lesson", "synth10"))  # runs whose minutes are told
BENCH = "bench/results/features.json"
GRID, DIFFRES, SCENES = "lesson", "diffres", "scenes"
SCORES = {"tagging": "tagging", "segment": "segments of 1 s", "event": "events within 200 ms"}
PROTOCOLS = {
    "A": "official folds",
    "B": "official folds, copies of training clips in training",
    "C": "random folds by clip",
    "D": "random folds by clip, copies of training clips in training",
    "E": "copies of everything first, random folds afterwards",
}
MODELS = ("forest", "SVM", "1-NN")


def table(head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table in Markdown. `head` names its columns as in `notebook | minutes:`; a colon aligns right."""
    columns = [column.strip() for column in head.split("|")]
    lines = ["|" + "".join(f" {name.removesuffix(':')} |" if name else " |" for name in columns)]
    lines.append("|" + "".join("---:|" if name.endswith(":") else "---|" for name in columns))
    return lines + [f"| {' | '.join(cells)} |" for cells in rows]


def percent(mean: float, low: float, high: float) -> str:
    """A share with its interval, in %."""
    return f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def origin(grid: str) -> dict:
    """Where the published rows of a grid come from."""
    return json.loads((paths.published_dir() / grid / "provenance.json").read_text(encoding="utf-8"))


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


def leak_table() -> str:
    """Accuracy on ESC-10 under five protocols, from the published run of notebook 04."""
    path = paths.published_dir() / claims.LEAKAGE
    commit = json.loads(path.read_text(encoding="utf-8"))["provenance"]["commit"]
    value = claims.recorded(claims.LEAKAGE)
    rows = []
    for letter, how in PROTOCOLS.items():
        cells = [f"{value[f'accuracy_{letter}_{m}']:.1f} ({value[f'interval_{letter}_{m}']})" for m in MODELS]
        rows.append([letter, how, *cells])
    lines = table(f" | how ESC-10 was split | {': | '.join(MODELS)}:", rows)
    below = (
        "Accuracy in % with 95 % intervals by source; 26 numbers a clip, no neural network; "
        f"{value['seeds']} seeds, {value['trees']} trees, commit {commit}."
    )
    return "\n".join([*lines, "", below])


def hop_table() -> str:
    """Accuracy of the course's CNN on ESC-10 against the hop, from the published grid, with its figure."""
    summary, rows = figures.hops().sort_values("features.hop_ms"), []
    for row in summary.to_dict("records"):
        gap = Interval(row["difference"], row["difference_low"], row["difference_high"]).scaled(100)
        rows.append([
            f"{row['features.hop_ms']:g} ms", percent(row["accuracy"], row["low"], row["high"]),
            signed(gap) if row["pairs"] > 0 else "", f"{row['macs'] / 1e6:.0f}", f"{row['folds']} x {row['seeds']}",
        ])  # fmt: skip
    head = "hop: | test accuracy: | against 10 ms, paired by fold: | million MACs: | folds x seeds:"
    widest = 100 * summary["minimum_detectable_effect"].max()
    below = (
        "Accuracy in % with 95 % intervals by source, differences in points with 95 % t intervals. With so many folds "
        f"a true difference of less than {widest:.0f} points could go unseen. {origin(GRID)['rows']} rows are in the "
        f"grid, run at commit {', '.join(origin(GRID)['commits'])}."
    )
    return "\n".join([figures.FIGURES["lesson/hop.png"].markdown, "", *table(head, rows), "", below])


def diffres_table() -> str:
    """Questions to DiffRes with their answers, from the published grid, with its figure, which has short runs too."""
    answers = questions.answers(DIFFRES)
    shown = answers[answers["where"] != questions.SHORT]
    rows = [
        [row["where"], row["claim"], row["question"], f"{100 * row['first']:.1f} and {100 * row['second']:.1f}",
         signed(questions.points(row)), f"{row['macs']:.2f}", row["verdict"]]
        for row in shown.to_dict("records")
    ]  # fmt: skip
    below = (
        "Accuracies in %, differences in points with 95 % t intervals over folds, MACs of the first as a share of the "
        f"second's, the layer charged; {shown['pairs'].min()} folds, {shown['seeds'].min()} seeds a fold (in the "
        f"figure at least {answers['seeds'].min()}). *No worse* allows {100 * answers['margin'].max():.0f} points. "
        f"{_rows_of(DIFFRES)}.{_mixed(shown)}"
    )
    lines = table("runs | claim | question | accuracies: | difference: | MACs: | ", rows)
    return "\n".join([figures.FIGURES["diffres/claims.png"].markdown, "", *lines, "", below])


def _rows_of(grid: str) -> str:
    """How many rows of a grid are published, where they were run, and at which commits."""
    made = origin(grid)
    return f"{made['rows']} rows on {' and '.join(made['devices'])}, commits {', '.join(made['commits'])}"


def _mixed(answers: pd.DataFrame) -> str:
    """Questions whose two sides did not always run on the same kind of machine, as sentences; nothing if all did."""
    named = [f"*{row.question}* ({row.where}): {row.mixed}" for row in answers.itertuples() if row.mixed]
    return f" Runs that stand against one of another kind of machine: {'; '.join(named)}." if named else ""


def scenes_table() -> str:
    """The audiovisual paper's numbers beside ours, and questions to rows on scenes, from the published grid."""
    rows = questions.published(SCENES)
    levels = [
        [SCORES[row.score], row.streams.replace("+", ", "), f"{row.paper:.2f}",
         f"{row.mean:.1f} ({row.low:.1f} to {row.high:.1f})"]
        for row in questions.levels(rows).itertuples()
    ]  # fmt: skip
    answers = questions.answers(SCENES, rows)
    asked = [
        [row["where"], row["question"], "" if pd.isna(row["paper"]) else f"{row['paper']:+.2f}",
         signed(questions.points(row)), row["verdict"]]
        for row in answers.to_dict("records")
    ]  # fmt: skip
    below = (
        f"{answers['pairs'].min()} to {answers['pairs'].max()} starts on the same scenes of one fold, pair by pair: "
        f"the 95 % t intervals tell of training, not of other sounds. {_rows_of(SCENES)}."
    )
    lines = table("micro F1 in % | the network gets | paper: | here:", levels)
    lines += ["", *table("score | question | paper: | difference here: | ", asked)]
    return "\n".join([*lines, "", _offsets_undone(rows), "", below])


def _offsets_undone(rows: pd.DataFrame) -> str:
    """What is left of the answers about hops once the offset of each is undone, in two sentences."""
    found, offsets = questions.offsets_undone(rows, scene_run.published())
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    left = ", ".join(signed(questions.points(row)) for row in found.to_dict("records"))
    return (
        f"Every hop is brought to frames of 80 ms by the nearest, which moves events by an amount of its own: {moved}. "
        f"With that undone, and nothing trained anew, the finer hops have {left} over 320 ms."
    )


def claims_table() -> str:
    """Every claim of the four papers beside what was measured here, and the verdict that follows."""
    found = claims.table(claims.Evidence())
    cells = [[r.id, r.claim, r.data, r.ours, f"**{r.verdict}**"] for r in found.itertuples()]
    counts = found["verdict"].value_counts()
    listed = ", ".join(f"{counts[word]} {word}" for word in VERDICTS if word in counts)
    below = (
        f"{len(found)} verdicts: {listed}. Differences in points with 95 % intervals; the verdict follows from them by "
        "the rules of [study/protocol.md](study/protocol.md), of a claim with several questions from all of them. "
        "Designs, controls and reasons: [notebook 12](notebooks/12_study_report.ipynb)."
    )
    return "\n".join([*table(" | claim | data | here | ", cells), "", below])


def systems_figure() -> str:
    """Accuracy and cost of every system on ESC-10 in one figure, and what it rests on."""
    found = pareto.table()
    best = found[found["pareto_optimal"]].sort_values("macs")
    listed = ", ".join(f"{r.system} ({r.family}) {r.accuracy:.1f} % at {r.macs:.0f}" for r in best.itertuples())
    return (
        f"{figures.FIGURES['systems.png'].markdown}\n\n"
        f"{len(found)} systems of {found['family'].nunique()} families, each with its own budget of steps; test "
        f"accuracy on the official folds with 95 % intervals by source, {found['seeds'].min()} to "
        f"{found['seeds'].max()} starts a fold. With *4 folds* the one that chooses elsewhere was learnt from too, and "
        f"nothing chosen. No other is cheaper and better than: {listed} million MACs."
    )


def classes_figure() -> str:
    """What a hop does to every class, and what a hop of its own would be worth to each."""
    rows = claims.sweep(claims.Evidence())
    asked = per_class.against(rows)
    asked = asked[asked["hop_ms"] != per_class.USUAL_MS]
    gain, _ = per_class.own_hop(rows)
    return (
        f"{figures.FIGURES['lesson/classes.png'].markdown}\n\n"
        f"After Holm correction, {int(asked['sure'].sum())} of {len(asked)} differences in F1 are significant. "
        "A hop of its own for each class, chosen on four folds and judged on the fifth, is worth "
        f"{signed(gain.scaled(100))} points (notebook 12)."
    )


PARTS = {
    "claims": claims_table,
    "systems": systems_figure,
    "notebooks": notebook_map,
    "leak": leak_table,
    "hop": hop_table,
    "classes": classes_figure,
    "diffres": diffres_table,
    "scenes": scenes_table,
    "bench": bench_table,
}


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
    """Draw and fill what follows from the published rows: the figures and README.md; returns what changed."""
    return figures.write() + fill(readme_path(), PARTS)


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
