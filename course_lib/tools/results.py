"""study/RESULTS.md: findings, verdicts and tables, made from the published rows.

The page itself holds what is true whatever the rows say. Every number, and every word that follows from a number, is
generated here; `tests/analysis/test_results.py` computes them again from the rows.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import paths
from course_lib.analysis import (
    budget,
    claims,
    disturbance,
    figures,
    frontier,
    latency,
    localisation,
    pareto,
    per_class,
    probe,
    questions,
)
from course_lib.analysis.findings import (
    Headline,
    cost_beside_all_frames,
    headlines,
    hop_headline,
    judged,
    localisation_headline,
    parts,
    probe_headline,
    time_headline,
    verdict_on,
    widths_headline,
)
from course_lib.analysis.questions import chosen
from course_lib.analysis.verdicts import NOT_SHOWN, Part, difference_text, signed
from course_lib.paths import repo_root
from course_lib.study import scene_run, stats

GRID, DIFFRES, SCENES = "lesson", "diffres", "scenes"
SCORES = {"tagging": "tagging", "segment": "segments of 1 s", "event": "events within 200 ms"}
PAPERS = {
    "A": "DiffRes (Liu et al., [arXiv:2210.01719](https://arxiv.org/abs/2210.01719))",
    "B": "MAST (Zhu and Omar, [arXiv:2303.10757](https://arxiv.org/abs/2303.10757))",
    "C": "audiovisual transfer (Boes and Van hamme, [arXiv:2106.05408](https://arxiv.org/abs/2106.05408))",
    "D": "meaningful augmentation (Mushtaq, Su and Tran, Applied Acoustics 172, 107581, 2021)",
}
NOT_THE_METHOD = (
    "The rows behind A2 to A4 are not the published method: a small CNN trained from scratch instead of a pretrained "
    "EfficientNet-B2, no guide loss, no SpecAugment, mostly a lighter scorer of our own, AdamW at 3e-3 with weight "
    "decay on every parameter, mixup on log-mels, bfloat16."
)
PROTOCOLS = {
    "A": "official folds",
    "B": "official folds, copies of training clips in training",
    "C": "random folds by clip",
    "D": "random folds by clip, copies of training clips in training",
    "E": "copies of everything first, random folds afterwards",
}
MODELS = ("forest", "SVM", "1-NN")


def path() -> Path:
    """study/RESULTS.md."""
    return repo_root() / "study" / "RESULTS.md"


def table(head: str, rows: Iterable[Sequence[str]]) -> list[str]:
    """Lines of a table in Markdown. `head` names its columns as in `notebook | minutes:`; a colon aligns right."""
    columns = [column.strip() for column in head.split("|")]
    lines = ["|" + "".join(f" {name.removesuffix(':')} |" if name else " |" for name in columns)]
    lines.append("|" + "".join("---:|" if name.endswith(":") else "---|" for name in columns))
    return lines + [f"| {' | '.join(cells)} |" for cells in rows]


def said(part: Part) -> str:
    """The difference of a part, in words that its interval supports."""
    return difference_text(part.found.interval.scaled(100))


def listed(words: Sequence[str]) -> str:
    """Words joined by commas, the last two by *and*."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def picture(name: str) -> str:
    """A figure as a line of Markdown."""
    return figures.FIGURES[name].markdown


# --- Five findings


def headline_list() -> str:
    """The five findings as a list, for README.md."""
    lines = []
    for about, meaning, numbers in headlines():
        lines.append(f"- **{about}.** {meaning + ' ' if meaning else ''}{numbers}")
    return "\n".join(lines)


def begun(headline: Headline, picture_name: str) -> list[str]:
    """The lines that a finding begins with: what it means, if that can be said, and its picture."""
    return [*([f"**{headline[1]}**", ""] if headline[1] else []), picture(picture_name), ""]


def hop_finding() -> str:
    """1. Does the hop matter?"""
    found = [part for part in parts()["A1"] if part.found is not None]
    sets = dict.fromkeys(part.data for part in found)
    verdicts = [f"*{verdict_on('A1', data)}* on {data.replace('timing', 'the timing')}" for data in sets]
    lines = [f"- {part.data}, {part.about}: {said(part)}" for part in found]
    controls = [claims.short_training(judged()[0]), claims.wide_windows(judged()[0])]
    return "\n".join([
        *begun(hop_headline(), "hops.png"),
        f"A fixed resolution is not optimal for all sounds (A1): {listed(verdicts)}.", "", *lines, "",
        f"With less training, on ESC-10, {controls[0]} points; {controls[1]}. The first keeps a window of 25 ms, which "
        "at a hop of 80 ms leaves 69 % of the signal outside every window.",
    ])  # fmt: skip


def widths_finding() -> str:
    """2. On real sounds, does it help to learn which frames to keep?"""
    answers = judged()[0].answers
    rows = answers[(answers["where"] == questions.LONG) & answers["question"].isin(figures.WIDTHS)]
    apart = rows[(rows["low"] > 0) | (rows["high"] < 0)]
    found = {row["question"]: difference_text(questions.points(row)) for row in rows.to_dict("records")}
    return "\n".join([
        *begun(widths_headline(), "widths.png"),
        f"On ESC-10, after 800 steps and with half the frames, {len(apart)} of {len(rows)} intervals exclude 0. "
        f"DiffRes against equal widths: {found['DiffRes better than equal widths']}. Against its own widths, shuffled "
        f"among the frames: {found['DiffRes better than its own widths, shuffled']}. Against all frames of 10 ms: "
        f"{found[claims.HALF]}.",
        "", NOT_THE_METHOD,
    ])  # fmt: skip


def probe_finding() -> str:
    """3. Where milliseconds decide, do learned widths find them?"""
    rows = probe.successes(probe.runs()).set_index("frame_reducer")
    learned = rows.loc["diffres-light:0.75"]
    cells = [
        [row.condition, f"{row.successes} of {row.runs}", f"{100 * row.low:.0f} to {100 * row.high:.0f}",
         "" if np.isnan(row.succeeded) else f"{100 * row.succeeded:.1f}", f"{100 * row.best_of_three:.1f}"]
        for row in rows.itertuples()
    ]  # fmt: skip
    head = "condition | runs of at least 95 %: | share in %, exact 95 %: | accuracy of these: | best of three seeds:"
    over = [claims.best_of_three(judged()[0], name) for name in ("uniform:0.75", "flux:0.75", "none")]
    return "\n".join([
        *begun(probe_headline(), "budget.png"),
        *longer_training(), "",
        "**After 800 steps, with a quarter of the frames** (grid `diffres`), "
        f"{learned['successes']} of {learned['runs']} runs of DiffRes reach 95 %, with a mean of "
        f"{100 * learned['succeeded']:.1f} %; the others fail. A mean over all runs hides both.", "",
        *table(head, cells), "",
        "The best of three seeds of a fold is the one with the highest validation accuracy, a choice made after the "
        "rows were seen, so it has no verdict. DiffRes so chosen, minus others, in points: "
        + "; ".join(text.removeprefix("timing probe, best of three seeds, ") for text in over) + ".",
    ])  # fmt: skip


def longer_training() -> list[str]:
    """Lines on the grids `failures` and `budget`, as far as they are published: accuracy and successes by condition."""
    found, cells = budget.curve(), []
    if not len(found):
        return []
    n_rows = found["runs"].sum()
    for condition, of_condition in found.groupby("condition", sort=False):
        by_saved = of_condition.set_index("saved")
        texts = [_level(by_saved.loc[saved]) if saved in by_saved.index else "" for saved in budget.REDUCTIONS]
        if any(texts):
            cells.append([condition, *texts])
    planned = [origin(grid) for grid in budget.GRIDS if (paths.published_dir() / grid).is_dir()]
    left = sum(len(each.get("missing", [])) for each in planned)
    state = (
        f"{n_rows} rows are published and {left} are still to be run, so conditions have different numbers of runs; a "
        "question is answered once it has all its rows."
        if left
        else f"{n_rows} rows."
    )
    kept = " | ".join(f"{100 * (1 - saved):g} % of the frames:" for saved in budget.REDUCTIONS)
    return [
        "**After 2,400 steps** (grids `failures` and `budget`): mean test accuracy in %, and in "
        "brackets the runs that reach 95 %. The longer hop keeps as many frames as the reducers in its column. "
        f"{state}",
        "",
        *table(f"condition | {kept}", cells),
        *counted_failures(),
        *curve_answers(),
    ]  # fmt: skip


def curve_answers() -> list[str]:
    """The answers to the questions of the budget curve, once all their rows are published."""
    lines = [f"- {part.about}: {said(part)}; *{part.verdict}*" for part in budget.answers()]
    return (
        ["", "The variant (DiffRes, started with contrast) against its rivals, in accuracy:", "", *lines]
        if lines
        else []
    )


def counted_failures() -> list[str]:
    """The answers to the questions of the grid `failures`, for the reductions at which all planned runs are published.

    The bar is missed or met; how often the two forms succeed is compared by Fisher's exact test.
    """
    found = budget.failures()
    lines = [
        f"- {100 * (1 - row.saved):g} % of the frames: {row.variant} of {row.variant_runs} single runs of the variant "
        f"succeed and {row.groups_met} of {row.groups} choices among three (bar {'met' if row.bar_met else 'missed'}); "
        f"of the published form {row.published} of {row.published_runs} (p {row.p:.2f}, Holm)."
        for row in found[found["complete"]].itertuples()
    ]
    return ["", *lines] if lines else []


def _level(row: pd.Series) -> str:
    """Mean accuracy and successes of a row of `budget.curve`."""
    return f"{row['accuracy']:.1f} ({row['successes']} of {row['runs']})"


def time_finding() -> str:
    """4. Do fewer multiply-accumulates save time?"""
    half, equal, hop_40 = (
        cost_beside_all_frames(*condition)
        for condition in (("diffres-light:0.5", 10.0), ("uniform:0.5", 10.0), ("none", 40.0))
    )
    rows = questions.published(DIFFRES)
    usual = {"dataset": "esc10", "model": "cnn7", "features.n_mels": 64, "features.hop_ms": 10.0}
    full_ms, half_ms = (
        latency.milliseconds(rows, usual | {"frame_reducer": name})["GPU"] for name in ("none", "diffres-light:0.5")
    )
    return "\n".join([
        *begun(time_headline(), "frontier.png"),
        f"Time on one thread of a processor ({frontier.measured_on()}), log-mel included, all conditions in turns on "
        "an idle machine; accuracies on ESC-10 after 800 steps.", "",
        f"- DiffRes with half the frames: {half['macs']:.2f} times the multiply-accumulates of all frames of 10 ms, "
        f"{half[1]:.2f} times the time for one clip, {half[16]:.2f} times in batches of 16 clips.",
        f"- Equal widths with half the frames: {equal['macs']:.2f}, {equal[1]:.2f} and {equal[16]:.2f}.",
        f"- A plain hop of 40 ms: {hop_40['macs']:.2f}, {hop_40[1]:.2f} and {hop_40[16]:.2f}.", "",
        f"On a graphics card ({gpu_of(rows)}), where the number of separate operations limits these networks, one clip "
        f"takes {full_ms:.1f} ms with all frames and {half_ms:.1f} ms with DiffRes at half of them.",
    ])  # fmt: skip


def gpu_of(rows: pd.DataFrame) -> str:
    """The graphics cards that `rows` were measured on."""
    return listed(sorted(rows.loc[rows["device"] == "cuda", "device_name"].unique()))


def localisation_finding() -> str:
    """5. Do pretrained features help to say what sounds, and when?"""
    recognised, [instead], [beside] = parts()["C7a"][0], parts()["C7b"], parts()["C7c"]
    by_hop, levels = figures.localisation_tables()
    finer = ", ".join(
        f"{row.gap:+.1f} ({row.gap_low:+.1f} to {row.gap_high:+.1f}) at {row.hop_ms} ms" for row in by_hop.itertuples()
    )
    tags = ", ".join(f"{row.tagging:.1f} at {row.hop_ms} ms" for row in by_hop.itertuples())
    return "\n".join([
        *begun(localisation_headline(), "localisation.png"),
        f"Recognition, tagging F1: all three inputs against the log-mel, {said(recognised)}. Localisation, event F1 on "
        f"the events that both recognise: the log-mel against auditory features every 320 ms, {said(instead)}; the "
        f"log-mel against all three inputs, {said(beside)}.", "",
        f"Finer auditory features recognise less (tagging F1 {tags}; {levels['log-mel']:.1f} from the log-mel, "
        f"{levels['every class']:.1f} from the constant answer *every class*). Event F1 minus that of the log-mel, "
        f"on events that both recognise: {finer}. One fold of scenes; three seeds for hops below 320 ms, so these "
        "differences have no verdict. Events that both recognise are the easier ones.",
    ])  # fmt: skip


# --- Verdicts


def verdict_table() -> str:
    """One row for each claim and data set."""
    found = judged()[1]
    lost = {(claim, part.data) for claim, each in parts().items() for part in each
            if isinstance(part, Part) and part.found is not None and part.lost}  # fmt: skip
    cells = [
        [row.id, row.claim, row.data, f"**{row.verdict}**{' *' if (row.id, row.data) in lost else ''}"]
        for row in found.itertuples()
    ]
    return "\n".join(table(" | claim | data set | verdict", cells))


def claim_tables() -> str:
    """The questions of every claim, a table for each paper, and below it what to know about each claim."""
    text = []
    for letter, paper in PAPERS.items():
        text += [f"### {letter}: {paper}", ""]
        if letter == "A":
            text += [NOT_THE_METHOD, ""]
        if letter == "C":
            text += [constant_levels(), ""]
        cells = []
        for claim in claims.claims():
            if claim.id.startswith(letter):
                cells += [_question(claim, found) for found in parts()[claim.id]]
        head = " | data set: question | difference: | shared clips: | answer"
        text += [*table(head, [cell for cell in cells if cell]), ""]
        found = judged()[1].drop_duplicates("id")
        for row in found[found["id"].str.startswith(letter)].to_dict("records"):
            paper_said = f" The paper: {row['paper']}." if row["paper"] else ""
            control = f" Beside it: {row['control']}." if row["control"] else ""
            text.append(f"- **{row['id']}**, {row['claim']}.{paper_said} {row['reason']}{control}")
        text.append("")
    return "\n".join(text[:-1])


def constant_levels() -> str:
    """What a constant answer scores on the scenes, as a sentence."""
    constant = localisation.published_baselines()
    levels = ", ".join(f"{100 * constant[score]:.1f} in {words}" for score, words in SCORES.items())
    return f"F1 of the constant answer *every class, active all the time*: {levels}."


def _question(claim: claims.Claim, found: Part | str) -> list[str]:
    """The cells of one question of a claim, or of a text; none for one that was not run."""
    if isinstance(found, str):
        return [claim.id, found, "", "", claim.verdict]
    if found.found is None:
        return []
    wide = found.found.corrected
    corrected = (
        ""
        if np.isnan(wide.low)
        else f"{found.scale * wide.low:+.{found.digits}f} to {found.scale * wide.high:+.{found.digits}f}"
    )
    answer = claim.verdict or f"{found.verdict}{' *' if found.lost else ''}"
    if not claim.verdict and found.p < 1 and found.verdict == NOT_SHOWN and found.found.p(found.margin) < 0.05:
        answer += f" (p {found.p:.2f})"
    return [claim.id, f"{found.data}: {found.about}", found.difference, corrected, answer]


# --- Tables


def percent(mean: float, low: float, high: float) -> str:
    """A share with its interval, in %."""
    return f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def origin(grid: str) -> dict:
    """Where the published rows of a grid come from."""
    return json.loads((paths.published_dir() / grid / "provenance.json").read_text(encoding="utf-8"))


def _rows_of(grid: str) -> str:
    """How many rows of a grid are published, where they were run, and at which commits."""
    made = origin(grid)
    return f"{made['rows']} rows on {' and '.join(made['devices'])}, commits {', '.join(made['commits'])}"


def hop_table() -> str:
    """Accuracy of the course's CNN on ESC-10 against the hop at 240 steps."""
    grid = questions.published(GRID)
    rows = chosen(grid, {"recipe.steps": 240, "features.window_ms": 25.0})
    usual, cells = chosen(rows, {"features.hop_ms": 10.0}), []
    for hop_ms, of_hop in rows.groupby("features.hop_ms"):
        got, gap = stats.accuracy(of_hop), stats.difference(of_hop, usual, design=rows)
        ms = latency.milliseconds(grid, of_hop.iloc[0])
        cells.append([
            f"{hop_ms:g} ms", percent(got.mean, got.low, got.high),
            "" if hop_ms == 10 else signed(gap.interval.scaled(100)), f"{of_hop['macs'].median() / 1e6:.0f}",
            latency.text(ms),
        ])  # fmt: skip
    below = (
        "Accuracy in % with 95 % intervals by source, differences in points. Five folds, three seeds; one seed at 2.5 "
        f"ms. {latency.machines(grid)} {_rows_of(GRID)}."
    )
    return "\n".join([*table("hop: | test accuracy: | minus 10 ms: | million MACs: | ms:", cells), "", below])


def classes_figure() -> str:
    """The effect of the hop on the F1 of every class, and what a separate hop for each would gain."""
    rows = claims.sweep(judged()[0])
    asked = per_class.against(rows)
    asked = asked[asked["hop_ms"] != per_class.USUAL_MS]
    gain, _ = per_class.own_hop(rows)
    return (
        f"{picture('lesson/classes.png')}\n\n"
        f"After Holm correction, {int(asked['sure'].sum())} of {len(asked)} differences are significant. A separate "
        f"hop for each class, chosen on four folds and judged on the fifth: {difference_text(gain.scaled(100))} of F1."
    )


def diffres_table() -> str:
    """Questions about DiffRes and its controls, a table for each data set and budget."""
    rows, text = questions.published(DIFFRES), [picture("diffres/claims.png"), ""]
    asked = {(question.text, question.where): question for question in questions.questions()}
    answers = judged()[0].answers
    answers = answers[answers["grid"] == DIFFRES]
    for where, of_place in answers.groupby("where", sort=False):
        cells = []
        for row in of_place.to_dict("records"):
            question = asked[row["question"], where]
            ms = [latency.milliseconds(rows, fields) for fields in (question.first, question.second)]
            both = {kind: f"{ms[0][kind]:.1f} and {ms[1][kind]:.1f} {kind}" for kind in ms[0] if kind in ms[1]}
            cells.append([
                row["question"], f"{100 * row['first']:.1f} and {100 * row['second']:.1f}",
                signed(questions.points(row)), f"{row['macs']:.2f}", ", ".join(both.values()),
            ])  # fmt: skip
        text += [f"**{where[0].upper()}{where[1:]}**", ""]
        text += [*table("question | accuracies (%): | difference: | MACs: | ms:", cells), ""]
    mixed = [f"*{r.question}* ({r.where}) {r.mixed}" for r in answers.itertuples() if r.mixed]
    below = (
        "Differences in points with 95 % intervals. MACs are those of the first condition as a share of the second's, "
        f"the layer included. {latency.machines(rows)} Pairs on two kinds of machine: {'; '.join(mixed)}. "
        f"{_rows_of(DIFFRES)}."
    )
    return "\n".join([*text, below])


def larger_sets_table() -> str:
    """Accuracy of every condition on ten words and ESC-50, then the questions that have all their rows."""
    text = []
    for grid, place in disturbance.GRIDS.items():
        text += [f"**{questions.data_of(place)}**", ""]
        rows = questions.published(grid)
        if rows.empty:
            text += ["No row has been published.", ""]
            continue
        left = len(origin(grid).get("missing", []))
        text += [f"{_rows_of(grid)}" + (f"; {left} rows are still to be run." if left else "."), ""]
        text += [*table("condition | test accuracy: | runs: | million MACs: | ms:", _levels(rows)), ""]
        answers = questions.answers(grid)
        cells = [[row["question"], signed(questions.points(row)), row["verdict"]] for row in answers.to_dict("records")]
        if cells:
            text += [*table("question | difference: | answer", cells), ""]
    return "\n".join(text[:-1])


def _levels(rows: pd.DataFrame) -> list[list[str]]:
    """The cells of a table of levels: a line for each condition of a larger set."""
    cells = []
    fields = ["copies", "recipe.image_augment", "frame_reducer", "features.hop_ms"]
    for (copies, pictures, reducer, hop_ms), alike in rows.groupby(fields, sort=False):
        got, ms = stats.accuracy(alike), alike["latency_ms"].median()
        how = ", clips augmented" if copies != "none" else ", pictures augmented" if pictures else ""
        cells.append([
            frontier.name(hop_ms, reducer) + how, percent(got.mean, got.low, got.high), str(len(alike)),
            f"{alike['macs'].median() / 1e6:.0f}", f"{ms:.1f}",
        ])  # fmt: skip
    return cells


def disturbance_table() -> str:
    """Answers that a shift changes, accuracy at other levels and in noise, and the questions that have their rows."""
    found = disturbance.tables()
    if not found:
        return "No row has been published."
    text = [picture("disturbance.png"), ""]
    for grid, place in disturbance.GRIDS.items():
        rows = found.get(questions.data_of(place))
        if rows is None:
            continue
        cells = [
            [row["condition"], f"{row['changed']:.1f} ({row['low']:.1f} to {row['high']:.1f})",
             *(f"{row[name]:.1f}" for name in disturbance.SHARES)]
            for row in rows.to_dict("records")
        ]  # fmt: skip
        levels = ": | ".join(name.replace("gain ", "").replace("noise", "SNR") for name in disturbance.LEVELS)
        head = f"condition | changed: | of right answers: | by a whole hop: | accuracy: | {levels}:"
        text += [f"**{questions.data_of(place)}**", "", *table(head, cells), ""]
        text += [f"- {part.about}: {said(part)}; *{part.verdict}*" for part in disturbance.answers(grid)] + [""]
    return "\n".join(text[:-1])


def systems_table() -> str:
    """Accuracy, multiply-accumulates and milliseconds of every system on ESC-10, a table for each budget."""
    found, text = pareto.table(), [picture("systems.png"), ""]
    for panel, rows in found.groupby("panel", sort=False):
        cells = [
            [row.system, f"{row.accuracy:.1f} ({row.low:.1f} to {row.high:.1f})", f"{row.macs:.0f}",
             *("" if np.isnan(ms) else f"{ms:.1f}" for ms in (row.ms_cpu, row.ms_gpu))]
            for row in rows.sort_values("macs").itertuples()
        ]  # fmt: skip
        text += [f"**{panel}**", "", *table("system | test accuracy: | million MACs: | ms, CPU: | ms, GPU:", cells), ""]
    below = (
        "Test accuracy in % on the official folds of ESC-10 with 95 % intervals by source. Guessing gives 10 %. *4 "
        "folds*: trained on the validation fold too, so nothing was chosen by validation."
    )
    return "\n".join([*text, below])


def scenes_table() -> str:
    """Levels beside the paper's and beside constant answers, then questions to the rows on scenes."""
    rows, text = questions.published(SCENES), [picture("scenes/tagging.png"), ""]
    levels, constant = questions.levels(rows), localisation.published_baselines()
    cells = []
    for score, words in SCORES.items():
        for row in levels[levels["score"] == score].itertuples():
            streams = row.streams.replace("+", ", ")
            cells.append([words, streams, f"{row.paper:.2f}", f"{row.mean:.1f} ({row.low:.1f} to {row.high:.1f})"])
        cells.append([words, "*every class, active all the time*", "", f"{100 * constant[score]:.1f}"])
    text += [*table("micro F1 in % | the network gets | paper: | here:", cells), ""]
    answers = judged()[0].answers
    answers = answers[answers["grid"] == SCENES]
    for score, words in SCORES.items():
        asked = [
            [row["question"], "" if pd.isna(row["paper"]) else f"{row['paper']:+.2f}", signed(questions.points(row)),
             str(row["pairs"])]
            for row in answers[answers["where"] == score].to_dict("records")
        ]  # fmt: skip
        text += [f"**{words[0].upper()}{words[1:]}** (the constant answer has {100 * constant[score]:.1f})", ""]
        text += [*table("question | paper: | difference: | seeds:", asked), ""]
    below = (
        "All on one fold of scenes: intervals cover the randomness of training, not other sounds, and three seeds get "
        f"no verdict. These rows record no times. {_rows_of(SCENES)}."
    )
    return "\n".join([*text, _offsets_undone(rows), "", below])


def _offsets_undone(rows: pd.DataFrame) -> str:
    """The answers about hops after correcting for the offset of each."""
    found, offsets = questions.offsets_undone(rows, scene_run.published())
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    left = ", ".join(signed(questions.points(row)) for row in found.to_dict("records"))
    hops = listed([row["question"].split()[2] for row in found.to_dict("records")])
    return (
        f"Taking the nearest frame every 80 ms shifts events by an amount that depends on the hop: {moved}. With the "
        f"detected events corrected for that, the event F1 of features every {hops} ms minus 320 ms is {left} points."
    )


def leak_table() -> str:
    """Accuracy on ESC-10 under five protocols, from the published run of notebook 04."""
    source = paths.published_dir() / claims.LEAKAGE
    commit = json.loads(source.read_text(encoding="utf-8"))["provenance"]["commit"]
    value = claims.recorded(claims.LEAKAGE)
    rows = []
    for letter, how in PROTOCOLS.items():
        cells = [f"{value[f'accuracy_{letter}_{m}']:.1f} ({value[f'interval_{letter}_{m}']})" for m in MODELS]
        rows.append([letter, how, *cells])
    lines = table(f" | how ESC-10 was split | {': | '.join(MODELS)}:", rows)
    below = (
        "Accuracy in % with 95 % intervals by source; guessing gives 10 %. 26 numbers per clip, no neural network; "
        f"{value['seeds']} seeds, {value['trees']} trees, commit {commit}."
    )
    return "\n".join([*lines, "", below])


PARTS = {
    "finding-hop": hop_finding,
    "finding-widths": widths_finding,
    "finding-probe": probe_finding,
    "finding-time": time_finding,
    "finding-localisation": localisation_finding,
    "verdicts": verdict_table,
    "claims": claim_tables,
    "hop": hop_table,
    "classes": classes_figure,
    "diffres": diffres_table,
    "larger": larger_sets_table,
    "disturbance": disturbance_table,
    "systems": systems_table,
    "scenes": scenes_table,
    "leak": leak_table,
}
