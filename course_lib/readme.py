"""The parts of README.md that hold numbers, made from the files where the numbers were measured."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from course_lib import authoring, claims, scene_claims
from course_lib.errors import CourseError
from course_lib.expected import expected_path
from course_lib.figures import claims_text, hop_text
from course_lib.paths import published_dir, repo_root, write_whole

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
    published = json.loads((published_dir() / LEAK).read_text(encoding="utf-8"))
    value = {name: entry["value"] for name, entry in published["recorded"].items()}
    lines = ["| | how ESC-10 was split | " + " | ".join(MODELS) + " |", "|---|---|" + "---:|" * len(MODELS)]
    for letter, how in PROTOCOLS.items():
        cells = [f"{value[f'accuracy_{letter}_{m}']:.1f} ({value[f'interval_{letter}_{m}']})" for m in MODELS]
        lines.append(f"| {letter} | {how} | " + " | ".join(cells) + " |")
    origin = f"{value['seeds']} seeds, {value['trees']} trees, commit {published['provenance']['commit']}"
    lines += ["", f"Accuracy in % with 95 % intervals by source; 26 numbers a clip, no neural network; {origin}."]
    return "\n".join(lines)


def study_part(name: str) -> pd.DataFrame:
    """The published summary of one part of the grid `lesson`, one row a condition."""
    summary = pd.read_csv(published_dir() / GRID / "summary.csv")
    return summary[summary["part"] == name]


def hop_table() -> str:
    """Accuracy of the course's CNN on ESC-10 against the hop, from the published grid, with its figure."""
    rows = study_part("hop").sort_values("features.hop_ms")
    lines = [f"![{hop_text(rows)}](study/results/{GRID}/hop.png)", ""]
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
    origin = json.loads((published_dir() / GRID / "provenance.json").read_text(encoding="utf-8"))
    widest = 100 * rows["smallest_effect"].max()
    lines += [
        "",
        "Accuracy in % with 95 % intervals by source, differences in points with 95 % t intervals. With so many folds "
        f"a true difference of less than {widest:.0f} points could go unseen. {origin['rows']} rows are in the grid, "
        f"run at commit {', '.join(origin['commits'])}.",
    ]
    return "\n".join(lines)


def diffres_table() -> str:
    """Questions to DiffRes with their answers, from the published grid, with its figure; those of short runs drawn."""
    answers = claims.answers(claims.published(DIFFRES))
    lines = [f"![{claims_text(answers)}](study/results/{DIFFRES}/claims.png)", ""]
    lines += ["| runs | claim | question | accuracies | difference | MACs | |", "|---|---|---|---:|---:|---:|---|"]
    told = answers[answers["where"] != claims.SHORT]
    for row in told.itertuples():
        points = [f"{100 * value:+.1f}" for value in (row.difference, row.low, row.high)]
        cells = [row.where, row.claim, row.question, f"{100 * row.first:.1f} and {100 * row.second:.1f}"]
        cells += [f"{points[0]} ({points[1]} to {points[2]})", f"{row.macs:.2f}", row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    origin = json.loads((published_dir() / DIFFRES / "provenance.json").read_text(encoding="utf-8"))
    lines += [
        "",
        "Accuracies in %, differences in points with 95 % t intervals over folds, MACs of the first as a share of the "
        f"second's, the layer charged; {told['pairs'].min()} folds, {told['seeds'].min()} seeds a fold (in the figure "
        f"at least {answers['seeds'].min()}). *No worse* allows {100 * answers['margin'].max():.0f} points, fixed "
        f"before the runs. {origin['rows']} rows on {' and '.join(origin['devices'])}, commits "
        f"{', '.join(origin['commits'])}.",
    ]
    return "\n".join(lines)


def scenes_table() -> str:
    """The audiovisual paper's numbers beside ours, and questions to rows on scenes, from the published grid."""
    rows = claims.published(SCENES)
    lines = ["| micro F1 in % | the network gets | paper | here |", "|---|---|---:|---:|"]
    for row in scene_claims.levels(rows).itertuples():
        ours = f"{row.mean:.1f} ({row.low:.1f} to {row.high:.1f})"
        lines.append(f"| {SCORES[row.score]} | {row.streams.replace('+', ', ')} | {row.paper:.2f} | {ours} |")
    lines += ["", "| score | question | paper | difference here | |", "|---|---|---:|---:|---|"]
    answers = scene_claims.answers(rows)
    for row in answers.itertuples():
        points = [f"{100 * value:+.1f}" for value in (row.difference, row.low, row.high)]
        paper = "" if pd.isna(row.paper) else f"{row.paper:+.2f}"
        cells = [row.score, row.question, paper, f"{points[0]} ({points[1]} to {points[2]})", row.verdict]
        lines.append(f"| {' | '.join(cells)} |")
    origin = json.loads((published_dir() / SCENES / "provenance.json").read_text(encoding="utf-8"))
    lines += [
        "",
        f"{answers['pairs'].min()} to {answers['pairs'].max()} starts on the same scenes of one fold, pair by pair: "
        f"the 95 % t intervals tell of training, not of other sounds. {origin['rows']} rows on "
        f"{' and '.join(origin['devices'])}, commits {', '.join(origin['commits'])}.",
    ]
    return "\n".join(lines)


PARTS = {
    "notebooks": notebook_map, "leak": leak_table, "hop": hop_table, "diffres": diffres_table, "scenes": scenes_table,
    "bench": bench_table,
}  # fmt: skip


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
    path = repo_root() / "README.md"
    text = path.read_text(encoding="utf-8")
    if filled(text) == text:
        return False
    write_whole(path, filled(text))
    return True
