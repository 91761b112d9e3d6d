"""The parts of README.md that hold numbers, made from the files where the numbers were measured."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from course_lib import paths
from course_lib.analysis import (
    claim_parts,
    claims,
    pareto,
    per_class,
    questions,
    scene_questions,
    study_figures,
    verdicts,
)
from course_lib.errors import CourseError
from course_lib.paths import atomic_write, repo_root
from course_lib.study import scene_run
from course_lib.tools import authoring
from course_lib.tools.regression import expected_path

SHOWN = (("smoke", "synth10"), ("smoke", "esc10"), ("lesson", "synth10"))  # runs whose minutes are told
BENCH = "bench/results/features.json"
GRID, DIFFRES, SCENES = "lesson", "diffres", "scenes"
SCORES = {"tagging": "tagging", "segment": "segments of 1 s", "event": "events within 200 ms"}
LEAK = "04_folds_and_leakage-study-esc10.json"
PROTOCOLS = {
    "A": "official folds",
    "B": "official folds, copies of training clips in training",
    "C": "random folds by clip",
    "D": "random folds by clip, copies of training clips in training",
    "E": "copies of everything first, random folds afterwards",
}
MODELS = ("forest", "SVM", "1-NN")


def notebook_map() -> str:
    """A row a notebook: title, what a learner can do afterwards, minutes measured on each profile and data set."""
    measured = {run: minutes(*run) for run in SHOWN}
    head = "| | notebook | afterwards you can | " + " | ".join(f"{p}, `{d}`" for p, d in SHOWN) + " |"
    lines = [head, "|---|---|---|" + "---:|" * len(SHOWN)]
    for source in authoring.sources():
        title, verbs = title_and_verbs(source)
        cells = [f"{measured[run][source.stem]:.1f}" if source.stem in measured[run] else "" for run in SHOWN]
        link = f"[{title}](notebooks/{source.stem}.ipynb)"
        lines.append(f"| {authoring.number(source)} | {link} | {verbs} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def minutes(profile: str, dataset: str) -> dict[str, float]:
    """Minutes by notebook, where they were measured together with the expected values."""
    path = expected_path(profile)
    stored = json.loads(path.read_text(encoding="utf-8")).get(dataset, {}) if path.exists() else {}
    return {name: entry["provenance"]["minutes"] for name, entry in stored.items()}


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
    lines = [f"| {what} | ms | times ours | MB, {few} clips | MB, {many} clips |", "|---|---:|---:|---:|---:|"]
    for row in measured["rows"]:
        memory = row["memory_mb"] or ["", *[""] * (len(measured["growth"]) - 1)]
        cells = [
            f"{row['ms']:.0f}",
            f"{row['ratio']:.1f}",
            *(f"{mb:.0f}" if mb else "" for mb in (memory[0], memory[-1])),
        ]
        lines.append(f"| {row['name']} | " + " | ".join(cells) + " |")
    where = measured["provenance"]
    lines += ["", f"{measured['threads']} threads, {where['machine']}, torch {where['torch']}, {where['date'][:10]}."]
    return "\n".join(lines)


def leak_table() -> str:
    """Accuracy on ESC-10 under five protocols, from the published run of notebook 04."""
    published = json.loads((paths.published_dir() / LEAK).read_text(encoding="utf-8"))
    value = {name: entry["value"] for name, entry in published["recorded"].items()}
    lines = ["| | how ESC-10 was split | " + " | ".join(MODELS) + " |", "|---|---|" + "---:|" * len(MODELS)]
    for letter, how in PROTOCOLS.items():
        cells = [f"{value[f'accuracy_{letter}_{m}']:.1f} ({value[f'interval_{letter}_{m}']})" for m in MODELS]
        lines.append(f"| {letter} | {how} | " + " | ".join(cells) + " |")
    origin = f"{value['seeds']} seeds, {value['trees']} trees, commit {published['provenance']['commit']}"
    lines += ["", f"Accuracy in % with 95 % intervals by source; 26 numbers a clip, no neural network; {origin}."]
    return "\n".join(lines)


def hop_table() -> str:
    """Accuracy of the course's CNN on ESC-10 against the hop, from the published grid, with its figure."""
    rows = study_figures.hops().sort_values("features.hop_ms")
    lines = [study_figures.markdown("lesson/hop.png"), ""]
    lines += [
        "| hop | test accuracy | against 10 ms, paired by fold | million MACs | folds x seeds |",
        "|---:|---:|---:|---:|---:|",
    ]
    for row in rows.to_dict("records"):
        spans = [f"{100 * row[name]:.1f}" for name in ("accuracy", "low", "high")]
        changes = [f"{100 * row[name]:+.1f}" for name in ("difference", "difference_low", "difference_high")]
        change = f"{changes[0]} ({changes[1]} to {changes[2]})" if row["pairs"] > 0 else ""
        cells = [f"{row['features.hop_ms']:g} ms", f"{spans[0]} ({spans[1]} to {spans[2]})", change]
        lines.append(f"| {' | '.join(cells)} | {row['macs'] / 1e6:.0f} | {row['folds']} x {row['seeds']} |")
    origin = json.loads((paths.published_dir() / GRID / "provenance.json").read_text(encoding="utf-8"))
    widest = 100 * rows["minimum_detectable_effect"].max()
    lines += [
        "",
        "Accuracy in % with 95 % intervals by source, differences in points with 95 % t intervals. With so many folds "
        f"a true difference of less than {widest:.0f} points could go unseen. {origin['rows']} rows are in the grid, "
        f"run at commit {', '.join(origin['commits'])}.",
    ]
    return "\n".join(lines)


def diffres_table() -> str:
    """Questions to DiffRes with their answers, from the published grid, with its figure; those of short runs drawn."""
    answers = questions.answers(questions.published(DIFFRES))
    lines = [study_figures.markdown("diffres/claims.png"), ""]
    lines += ["| runs | claim | question | accuracies | difference | MACs | |", "|---|---|---|---:|---:|---:|---|"]
    told = answers[answers["where"] != questions.SHORT]
    for row in told.itertuples():
        points = [f"{100 * value:+.1f}" for value in (row.difference, row.low, row.high)]
        cells = [row.where, row.claim, row.question, f"{100 * row.first:.1f} and {100 * row.second:.1f}"]
        cells += [f"{points[0]} ({points[1]} to {points[2]})", f"{row.macs:.2f}", row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    origin = json.loads((paths.published_dir() / DIFFRES / "provenance.json").read_text(encoding="utf-8"))
    lines += [
        "",
        "Accuracies in %, differences in points with 95 % t intervals over folds, MACs of the first as a share of the "
        f"second's, the layer charged; {told['pairs'].min()} folds, {told['seeds'].min()} seeds a fold (in the figure "
        f"at least {answers['seeds'].min()}). *No worse* allows {100 * answers['margin'].max():.0f} points. "
        f"{origin['rows']} rows on {' and '.join(origin['devices'])}, commits "
        f"{', '.join(origin['commits'])}.{_mixed(told)}",
    ]
    return "\n".join(lines)


def _mixed(told: pd.DataFrame) -> str:
    """Questions whose two sides did not always run on the same kind of machine, as sentences; nothing if all did."""
    named = [f"*{row.question}* ({row.where}): {row.mixed}" for row in told.itertuples() if row.mixed]
    return f" Runs that stand against one of another kind of machine: {'; '.join(named)}." if named else ""


def scenes_table() -> str:
    """The audiovisual paper's numbers beside ours, and questions to rows on scenes, from the published grid."""
    rows = questions.published(SCENES)
    lines = ["| micro F1 in % | the network gets | paper | here |", "|---|---|---:|---:|"]
    for row in scene_questions.levels(rows).itertuples():
        ours = f"{row.mean:.1f} ({row.low:.1f} to {row.high:.1f})"
        lines.append(f"| {SCORES[row.score]} | {row.streams.replace('+', ', ')} | {row.paper:.2f} | {ours} |")
    lines += ["", "| score | question | paper | difference here | |", "|---|---|---:|---:|---|"]
    answers = scene_questions.answers(rows)
    for row in answers.itertuples():
        points = [f"{100 * value:+.1f}" for value in (row.difference, row.low, row.high)]
        paper = "" if pd.isna(row.paper) else f"{row.paper:+.2f}"
        cells = [row.score, row.question, paper, f"{points[0]} ({points[1]} to {points[2]})", row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    origin = json.loads((paths.published_dir() / SCENES / "provenance.json").read_text(encoding="utf-8"))
    lines += [
        "",
        _hops_set_right(rows),
        "",
        f"{answers['pairs'].min()} to {answers['pairs'].max()} starts on the same scenes of one fold, pair by pair: "
        f"the 95 % t intervals tell of training, not of other sounds. {origin['rows']} rows on "
        f"{' and '.join(origin['devices'])}, commits {', '.join(origin['commits'])}.",
    ]
    return "\n".join(lines)


def _hops_set_right(rows: pd.DataFrame) -> str:
    """What is left of the answers about hops once the offset of each is undone, in two sentences."""
    found, offsets = scene_questions.hops_set_right(rows, scene_run.published())
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    points = 100 * found[["difference", "low", "high"]]
    told = ", ".join("{:+.1f} ({:+.1f} to {:+.1f})".format(*row) for row in points.to_numpy())
    return (
        f"Every hop is brought to frames of 80 ms by the nearest, which moves events by an amount of its own: {moved}. "
        f"With that undone, and nothing trained anew, the finer hops have {told} over 320 ms."
    )


def claims_table() -> str:
    """Every claim of the four papers beside what was measured here, and the verdict that follows."""
    found = verdicts.table(claims.CLAIMS, verdicts.Evidence())
    lines = ["| | claim | paper | here | |", "|---|---|---|---|---|"]
    for row in found.to_dict("records"):
        cells = [row["id"], row["claim"], row["paper"], row["ours"], f"**{row['verdict']}**"]
        lines.append(f"| {' | '.join(cells)} |")
    counts = found["verdict"].value_counts()
    told = ", ".join(f"{counts[word]} {word}" for word in verdicts.VERDICTS if word in counts)
    lines += [
        "",
        f"{len(found)} claims: {told}. Differences in points with 95 % intervals; the verdict follows from them by the "
        "rules of [study/protocol.md](study/protocol.md), of a claim with several questions from all of them. Designs, "
        "controls and reasons: [notebook 12](notebooks/12_study_report.ipynb).",
    ]
    return "\n".join(lines)


def systems_picture() -> str:
    """Accuracy and cost of every system on ESC-10 in one picture, and what it rests on."""
    found = pareto.table(questions.published)
    best = found[found["pareto_optimal"]].sort_values("macs")
    told = ", ".join(f"{row.system} ({row.family}) {row.accuracy:.1f} % at {row.macs:.0f}" for row in best.itertuples())
    return (
        f"{study_figures.markdown('systems.png')}\n\n"
        f"{len(found)} systems of {found['family'].nunique()} families, each with its own budget of steps; test "
        f"accuracy on the official folds with 95 % intervals by source, {found['seeds'].min()} to "
        f"{found['seeds'].max()} starts a fold. With *4 folds* the one that chooses elsewhere was learnt from too, and "
        f"nothing chosen. No other is cheaper and better than: {told} million MACs."
    )


def classes_picture() -> str:
    """What a hop does to every class, and what a hop of its own would be worth to each."""
    rows = claim_parts.sweep(verdicts.Evidence())
    asked = per_class.against(rows)
    asked = asked[asked["hop_ms"] != per_class.USUAL_MS]
    gain, _ = per_class.own_hop(rows)
    return (
        f"{study_figures.markdown('lesson/classes.png')}\n\n"
        f"{int(asked['sure'].sum())} of {len(asked)} differences are more than noise where so many are asked (Holm). "
        "A hop of its own for each class, chosen on four folds and judged on the fifth, is worth "
        f"{verdicts.signed(gain.scaled(100))} points (notebook 12)."
    )


def _of_grids(make: Callable[[], str], *grids: str) -> Callable[[], str]:
    """`make`, or where none of `grids` is published the command that runs them."""

    def part() -> str:
        if any((paths.published_dir() / grid / "rows.parquet").is_file() for grid in grids):
            return make()
        return f"Not run yet: `course study run {grids[0]}`, then `course study report {grids[0]} --publish`."

    return part


PARTS = {
    "claims": claims_table, "systems": _of_grids(systems_picture, *(f.grid for f in pareto.FAMILIES)),
    "notebooks": notebook_map, "leak": leak_table, "hop": _of_grids(hop_table, GRID),
    "classes": _of_grids(classes_picture, GRID),
    "diffres": _of_grids(diffres_table, DIFFRES), "scenes": _of_grids(scenes_table, SCENES), "bench": bench_table,
}  # fmt: skip


def readme_path() -> Path:
    """README.md."""
    return repo_root() / "README.md"


def filled(text: str, parts: Mapping[str, Callable[[], str]] = PARTS, where: str = "README.md") -> str:
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


def write_readme() -> bool:
    """Fill README.md; returns whether it changed."""
    path = readme_path()
    text = path.read_text(encoding="utf-8")
    new = filled(text, PARTS)
    if new == text:
        return False
    atomic_write(path, new)
    return True


def refresh() -> list[Path]:
    """Draw and fill what follows from the published rows: the pictures and README.md; returns what changed."""
    return study_figures.write() + ([readme_path()] if write_readme() else [])


# --- The table of bench/README.md: what every benchmark reached beside the bar that was set before it was measured

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
    new = filled(text, {"bars": table}, "bench/README.md")
    if new == text:
        return []
    atomic_write(path, new)
    return [path]
