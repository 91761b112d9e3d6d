"""study/RESULTS.md: findings, verdicts and tables, made from the published rows.

The page itself holds what is true whatever the rows say. Every number, and every word that follows from a number, is
generated here; `tests/analysis/test_results.py` computes them again from the rows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib import paths
from course_lib.analysis import (
    beginnings,
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
    verdicts,
)
from course_lib.analysis.findings import (
    Headline,
    claims_table,
    cost_beside_all_frames,
    evidence,
    headlines,
    hop_headline,
    joined,
    localisation_headline,
    parts,
    probe_headline,
    time_headline,
    verdict_on,
    widths_headline,
)
from course_lib.analysis.questions import chosen
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_SHOWN, Part, difference_text, level_text, signed
from course_lib.paths import repo_root
from course_lib.study import records, scene_run, stats
from course_lib.study.disturbance import HEARD_S

GRID, DIFFRES, SCENES, FIVE_FOLDS, RARE = "lesson", "diffres", "scenes", "events", "sparse"
SCORES = {"tagging": "tagging", "segment": "segments of 1 s", "event": "events within 200 ms"}
PAPERS = {
    "A": "DiffRes (Liu et al., [arXiv:2210.01719](https://arxiv.org/abs/2210.01719))",
    "B": "MAST (Zhu and Omar, [arXiv:2303.10757](https://arxiv.org/abs/2303.10757))",
    "C": "audiovisual transfer (Boes and Van hamme, [arXiv:2106.05408](https://arxiv.org/abs/2106.05408))",
    "D": "meaningful augmentation (Mushtaq, Su and Tran, Applied Acoustics 172, 107581, 2021)",
}
NOT_THE_METHOD = (
    "The rows behind A2 to A4 are not the published method: a small CNN trained from scratch instead of a pretrained "
    "EfficientNet-B2, no guide loss, no SpecAugment, mostly a lighter scorer of our own, AdamW at 2e-3 or 3e-3 with "
    "weight decay on every parameter, mixup on log-mels (not on the timing probe), bfloat16 where the machine computes "
    "in it."
)
PROTOCOLS = {
    "A": "official folds",
    "B": "official folds, copies of training clips in training",
    "C": "random folds by clip",
    "D": "random folds by clip, copies of training clips in training",
    "E": "copies of everything first, random folds afterwards",
}
MERGING = {  # the questions about DiffRes on the larger sets that finding 2 answers
    "equal widths": "DiffRes better than equal widths, {}",
    "all frames of 10 ms": "DiffRes, {}, no worse than 10 ms",
}
ANSWERS_OF_LARGER_SETS = (
    "All questions about these sets are answered under *Larger sets*, with p values corrected for the questions of one "
    "kind about one set. The verdicts on A2 and A3 are corrected for the questions about all sets, so they can differ."
)
LARGER = {"words": "Ten spoken words", "esc50": "ESC-50", "contrast": "ESC-10, both forms of DiffRes"}  # by grid
UNFINISHED = (
    "Conditions without all ten runs are left out. The intervals use one standard deviation, pooled over the "
    "conditions shown, so they will still change a little, and so may an answer."
)
# Piczak, MLSP 2015 and ACM Multimedia 2015 (forest, listeners); Tokozume, Ushiku & Harada, ICLR 2018
PUBLISHED_ON_ESC50 = {
    "a random forest": 44.3,
    "Piczak's CNN of four layers": 64.5,
    "listeners": 81.3,
    "EnvNet-v2 with strong augmentation and between-class learning": 84.9,
}
ONSET_ERRORS = (
    "Errors of the onset on events that both networks recognise: a tenth of the errors are below the first number, "
    "half below the second, nine tenths below the third."
)
ASTERISK = r" \*"
NO_WORSE_THAN_LIGHT = "no worse than the light scorer"  # how the questions of the variant's bar on recordings end
NOTHING_YET = "No condition has been run completely yet."
CURVE_RULES = (
    "The contrast variant minus its rivals, in accuracy, over seeds 0 and 1 (ten runs per condition; the table counts "
    "every published run, so its means can differ). All intervals use one standard deviation, pooled over the "
    "conditions of both grids; the verdicts use p values corrected for nine questions (Holm), given in brackets where "
    "only this correction leaves a question open. An asterisk marks an answer that the wider interval, for folds that "
    "share training clips, would turn into *not shown*."
)
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


def turned(part: Part) -> Part:
    """The part with its two conditions exchanged."""
    return replace(part, found=part.found.reversed())


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
    found = [part for part in parts("A1") if part.found is not None]
    sets = dict.fromkeys(part.data for part in found)
    verdicts = [f"*{verdict_on('A1', data)}* on {data.replace('timing', 'the timing')}" for data in sets]
    lines = [f"- {part.data}, {part.about}: {said(part)}" for part in found]
    controls = [claims.short_training(evidence()), claims.wide_windows(evidence())]
    if any(part.data == questions.DATA["speechcommands10"] for part in found):
        lines.append("")
        lines.append(
            "A word has 26 frames of 40 ms, which the CNN's pooling layers reduce to a single step in time, so part of "
            "the difference on words may come from the network."
        )
    return "\n".join([
        *begun(hop_headline(), "hops.png"),
        f"The hop changes accuracy (A1): {joined(verdicts)}.", "", *lines, "",
        "After 800 steps on ESC-10, and on spoken digits, windows are 25 ms at every hop. On the other sets they grow "
        "with the hop (2.5 hops), so hop and window change together.", "",
        f"On ESC-10, {controls[0]} points with windows of 25 ms; {controls[1]} (one seed). At a hop of 80 ms, windows "
        "of 25 ms leave 69 % of the signal outside every window.",
    ])  # fmt: skip


def widths_finding() -> str:
    """2. On real sounds, does it help to learn which frames to keep?"""
    answers = evidence().answers
    rows = answers[(answers["where"] == questions.LONG) & answers["question"].isin(figures.WIDTHS)]
    early = answers[(answers["where"] == questions.SHORT) & (answers["question"] == claims.HALF)].iloc[0]
    apart = rows[(rows["low"] > 0) | (rows["high"] < 0)]
    found = {row["question"]: difference_text(questions.points(row)) for row in rows.to_dict("records")}
    return "\n".join([
        *begun(widths_headline(), "widths.png"),
        f"On ESC-10, after 800 steps and with half the frames, {len(apart)} of {len(rows)} intervals exclude 0. "
        f"DiffRes against equal widths: {found['DiffRes better than equal widths']}. Against its own widths, shuffled "
        f"among the frames: {found['DiffRes better than its own widths, shuffled']}. Against all frames of 10 ms: "
        f"{found[claims.HALF]}; after 240 steps: {difference_text(questions.points(early))}.",
        *merging_on_larger_sets(),
    ])  # fmt: skip


def merging_on_larger_sets() -> list[str]:
    """Lines with what DiffRes gains and loses on the larger sets, as far as these questions are answered."""
    lines = []
    for grid in disturbance.GRIDS:
        found = {row["question"]: row for row in questions.answers(grid).to_dict("records")}
        clauses = []
        for rival, question in MERGING.items():
            asked = {share: question.format(share) for share in ("half the frames", "a quarter of the frames")}
            gaps = [f"{said(_as_part(found[text]))}, with {share}" for share, text in asked.items() if text in found]
            clauses += [f"against {rival}: {'; '.join(gaps)}"] if gaps else []
        if clauses:
            lines.append(f"- {LARGER[grid]}, {'. '.join(clauses)}.".replace(". against", ". Against"))
    return ["", *lines, "", ANSWERS_OF_LARGER_SETS] if lines else []


def probe_finding() -> str:
    """3. Where milliseconds decide, do learned widths find them?"""
    rows = probe.successes(probe.runs()).set_index("frame_reducer")
    learned = rows.loc["diffres-light:0.75"]
    accuracies = chosen(probe.runs(), {"frame_reducer": "diffres-light:0.75"})["test_accuracy"]
    failed = 100 * accuracies[accuracies < probe.SUCCESS]
    cells = [
        [row.condition, f"{row.successes} of {row.runs}", f"{100 * row.low:.0f} to {100 * row.high:.0f}",
         f"{100 * row.mean:.1f}", f"{100 * row.best_of_three:.1f}"]
        for row in rows.itertuples()
    ]  # fmt: skip
    head = (
        "condition | runs that reach 95 %: | 95 % interval of this share (%): | mean accuracy of all runs (%): | "
        "best of three seeds (%):"
    )
    over = [claims.best_of_three(evidence(), name) for name in ("uniform:0.75", "flux:0.75", "none")]
    return "\n".join([
        *begun(probe_headline(), "budget.png"),
        *longer_training(), "",
        "**After 800 steps, with a quarter of the frames** (grid `diffres`), "
        f"{learned['successes']} of {learned['runs']} runs of DiffRes reach 95 %, with a mean of "
        f"{100 * learned['succeeded']:.1f} %; the others end between {failed.min():.0f} and {failed.max():.0f} %. The "
        "mean over all runs hides that. These rows have windows of 5 ms at every hop, so a hop of 10 ms leaves half of "
        "a clip in no window; in the table above, windows cover every sample.", "",
        *table(head, cells), "",
        "In each fold, the best of three seeds is the one with the highest validation accuracy. We added this "
        "comparison after seeing the rows, so it gets no verdict. DiffRes minus others, in points, each at its best "
        "seed: " + "; ".join(text.removeprefix("timing probe, best of three seeds, ") for text in over) + ".",
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
        else f"All {n_rows} planned rows are published."
    )
    kept = " | ".join(f"{100 * (1 - saved):g} % of the frames:" for saved in budget.REDUCTIONS)
    return [
        "**After 2,400 steps** (grids `failures` and `budget`): mean test accuracy in %, and in brackets the runs that "
        "reach 95 %. The longer hop keeps as many frames as the reducers in its column.",
        "",
        *table(f"condition | {kept}", cells),
        "",
        "The oracle spends all frames on the events and the short pauses between them; with 5 % of the frames it is no "
        "upper bound, because the events of one class fill half a clip. The variant was designed on seed 0. Without "
        "that seed, the runs of the variant and of the light scorer that reach 95 % are "
        f"{without_the_pilot_seed()} of the frames. {state}",
        *counted_failures(),
        *curve_answers(),
    ]  # fmt: skip


def sparse_table() -> str:
    """Accuracy and successful runs where nearly all frames are background; the questions that have all their rows."""
    found = budget.curve([RARE])
    found = found[found["runs"] >= disturbance.N_RUNS]
    if found.empty:
        return NOTHING_YET
    kept = sorted(found["saved"].unique())
    cells = []
    for condition, of_condition in found.groupby("condition", sort=False):
        by_saved = of_condition.set_index("saved")
        cells.append([condition, *(_level(by_saved.loc[saved]) if saved in by_saved.index else "" for saved in kept)])
    head = " | ".join(f"{100 * (1 - saved):g} % of the frames:" for saved in kept)
    text = [*table(f"condition | {head}", cells), ""]
    answers = [_as_part(row) for row in questions.answers(RARE).to_dict("records")]
    cells = [[part.about, part.difference, corrected_ends(part), answered(part)] for part in answers]
    text += [*table("question | difference: | shared clips: | answer", cells), ""] if cells else []
    left = len(origin(RARE).get("missing", []))
    return "\n".join([*text, f"{_rows_of(RARE)}." + (f" {left} rows are still to be run." if left else "")])


def without_the_pilot_seed() -> str:
    """How many runs of the variant and of the light scorer succeed with seeds 1 to 3, a clause for each reduction."""
    rows, clauses = budget.runs(), []
    rows = rows[rows["seed"].isin(budget.SINGLE_SEEDS[1:])]
    for saved in budget.REDUCTIONS:
        counts = []
        for kind in (budget.VARIANT, budget.PUBLISHED):
            accuracies = rows.loc[(rows["kind"] == kind) & (rows["saved"] == saved), "test_accuracy"]
            counts.append(f"{int((accuracies >= probe.SUCCESS).sum())} of {len(accuracies)}")
        clauses.append(f"{counts[0]} and {counts[1]} at {100 * (1 - saved):g} %")
    return joined(clauses)


def curve_answers() -> list[str]:
    """The answers to the questions of the budget curve, once all their rows are published."""
    lines = [f"- {part.about}: {part.difference} points, {answered(part)}" for part in budget.answers()]
    return ["", CURVE_RULES, "", *lines] if lines else []


def counted_failures() -> list[str]:
    """Lines on how often single runs of both forms succeed, once all of them are published; and on the bar."""
    found = budget.failures()
    if found["p"].isna().any():
        return []
    cells = []
    for row in found.itertuples():
        both = [single_runs(row.variant, row.variant_mean), single_runs(row.published, row.published_mean)]
        state = {True: "reached", False: "missed", None: "open"}[row.counts_met]
        p = "< 0.001" if row.p < 0.001 else f"{row.p:.2f}"
        cells.append([f"{100 * (1 - row.saved):g} %", *both, p, f"{row.groups_met} of {row.groups}", state])
    head = "frames: | contrast variant: | light scorer: | p: | best of three: | both counts"
    return [
        "",
        "Runs that reach 95 %, of the twenty with seeds 0 to 3, with the exact 95 % interval of their share and the "
        "mean accuracy (%) of these runs; p is that of Fisher's exact test between the two forms, with Holm's "
        "correction for three. *Best of three*: of three seeds of the variant on a fold, the run with the highest "
        "validation accuracy. Before the runs, we set a bar for the variant ([protocol](protocol.md), *Failures of "
        "learned widths*): 18 of 20 single runs and 20 of 20 choices among three at each share, and no loss against "
        f"the light scorer on recordings, which is judged under *Larger sets*. {bar_of_the_counts(found)}",
        "",
        *table(head, cells),
    ]


def bar_of_the_counts(found: pd.DataFrame) -> str:
    """Whether the counts of the bar are reached, in a sentence, from `budget.failures`."""
    missed = [f"{100 * (1 - row.saved):g} %" for row in found.itertuples() if row.counts_met is False]
    if missed:
        return f"The bar is missed: with {joined(missed)} of the frames, its counts are not reached."
    return "Its counts are reached." if all(found["counts_met"]) else "Not all of its runs have been made."


def single_runs(successes: int, accuracy: float) -> str:
    """How many single runs of a form succeed, with the interval of their share, and their mean accuracy in %."""
    share = probe.success_interval(successes, budget.N_SINGLE)
    mean = "none" if np.isnan(accuracy) else f"mean {accuracy:.1f}"
    return f"{successes} of {budget.N_SINGLE} ({100 * share.low:.0f} to {100 * share.high:.0f} %), {mean}"


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
        f"On a graphics card ({gpu_of(rows)}), without the log-mel, one clip takes {full_ms:.1f} ms with all frames "
        f"and {half_ms:.1f} ms with DiffRes at half of them, probably because the number of separate operations sets "
        "the time there, not the number of multiply-accumulates.",
    ])  # fmt: skip


def gpu_of(rows: pd.DataFrame) -> str:
    """The graphics cards that `rows` were measured on."""
    return joined(sorted(rows.loc[rows["device"] == "cuda", "device_name"].unique()))


def localisation_finding() -> str:
    """5. Do pretrained features help to say what sounds, and when?"""
    alone, recognised, instead, beside = (parts(claim)[0] for claim in ("C2", "C7a", "C7b", "C7c"))  # of one fold
    by_hop, levels = figures.localisation_tables()
    finer = ", ".join(
        f"{row.gap:+.1f} ({row.gap_low:+.1f} to {row.gap_high:+.1f}) at {row.hop_ms} ms" for row in by_hop.itertuples()
    )
    tags = ", ".join(f"{row.tagging:.1f} at {row.hop_ms} ms" for row in by_hop.itertuples())
    return "\n".join([
        "We mixed scenes of ten seconds from ESC-10. A network gets the log-mel (*spectral*), the features of a "
        "network pretrained on AudioSet (*auditory*), those of one pretrained on photographs (*visual*), or several. "
        "*Tagging F1* asks which classes occur in a scene; *event F1* also asks when each event begins and ends.", "",
        *begun(localisation_headline(), "localisation.png"),
        f"Recognition, tagging F1, against the log-mel: auditory features every 320 ms, {said(alone)}; all three "
        f"inputs, {said(recognised)}. Localisation, event F1 on the events that both recognise, against the log-mel: "
        f"auditory features every 320 ms, {said(turned(instead))}; all three inputs, {said(turned(beside))}.", "",
        f"Finer auditory features recognise less (tagging F1 {tags}; {levels['log-mel']:.1f} from the log-mel, "
        f"{levels['every class']:.1f} from the constant answer *every class*). Event F1 minus that of the log-mel, "
        f"on events that both recognise: {finer}. One fold of scenes; three seeds for hops below 320 ms, so these "
        "differences have no verdict. Events that both recognise are the easier ones.",
    ])  # fmt: skip


# --- Verdicts


def verdict_table() -> str:
    """One row for each claim: every verdict, and the data sets on which it was given."""
    cells = []
    for (claim, says), of_claim in claims_table().groupby(["id", "claim"], sort=False):
        clauses = []
        for word in verdicts.VERDICTS:
            sets = [
                f"{data.replace('timing', 'the timing')}{ASTERISK if would_change(claim, data, word) else ''}"
                for data in of_claim.loc[of_claim["verdict"] == word, "data"]
            ]
            if sets:
                clauses.append(f"**{word}**{f' on {joined(sets)}' if any(sets) else ''}")
        cells.append([claim, says, "; ".join(clauses)])
    return "\n".join(table(" | claim | verdicts", cells))


def would_change(claim: str, data: str, word: str) -> bool:
    """Whether the verdict `word` would be another with the interval for folds that share training clips."""
    if word not in (HOLDS, CONTRADICTED):
        return False
    found = [part for part in parts(claim) if isinstance(part, Part) and part.data == data]
    return verdicts.overall([NOT_SHOWN if part.lost else part.verdict for part in found]) != word


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
                cells += [_question(claim, found) for found in parts(claim.id)]
        head = " | data set: question | difference: | shared clips: | answer"
        text += [*table(head, [cell for cell in cells if cell]), ""]
        found = claims_table().drop_duplicates("id")
        for row in found[found["id"].str.startswith(letter)].to_dict("records"):
            paper_said = f" The paper: {row['paper']}." if row["paper"] else ""
            control = f" For comparison: {row['control']}." if row["control"] else ""
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
        return [claim.id, f"{found.data}: {found.about}", "", "", found.verdict] if found.data else []
    answer = claim.verdict or f"{found.verdict}{' *' if found.lost else ''}"
    if not claim.verdict:
        answer += open_by_holm(found)
    return [claim.id, f"{found.data}: {found.about}", found.difference, corrected_ends(found), answer]


def corrected_ends(part: Part) -> str:
    """The ends of the interval for folds that share training clips; empty where there is none."""
    wide = part.found.corrected
    if np.isnan(wide.low):
        return ""
    return f"{part.scale * wide.low:+.{part.digits}f} to {part.scale * wide.high:+.{part.digits}f}"


def answered(part: Part) -> str:
    """The verdict on a part, and why it is not certain: an asterisk (see `Part.lost`), or p (see `open_by_holm`)."""
    return f"*{part.verdict}*{ASTERISK if part.lost else ''}{open_by_holm(part)}"


def open_by_holm(part: Part) -> str:
    """The corrected p value in brackets, if only Holm's correction leaves the question of a part open."""
    if part.p < 1 and part.verdict == NOT_SHOWN and part.found.p(part.margin) < verdicts.LEVEL:
        return f" (p {part.p:.2f})"
    return ""


# --- Tables


def percent(mean: float, low: float, high: float) -> str:
    """A share with its interval, in %."""
    return level_text(100 * mean, 100 * low, 100 * high)


def origin(grid: str) -> dict:
    """Where the published rows of a grid come from."""
    return json.loads((paths.published_dir() / grid / records.ORIGIN).read_text(encoding="utf-8"))


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
        got, gap = stats.accuracy(of_hop), ""
        if hop_ms != 10:
            gap = signed(stats.difference(of_hop, usual, design=rows).interval.scaled(100))
        ms = latency.milliseconds(grid, of_hop.iloc[0])
        macs = f"{of_hop['macs'].median() / 1e6:.0f}"
        cells.append([f"{hop_ms:g} ms", percent(got.mean, got.low, got.high), gap, macs, latency.text(ms)])
    below = (
        "Accuracy in % with 95 % intervals by source, differences in points. Five folds, three seeds; one seed at "
        f"2.5 ms, compared with the same seed at 10 ms. {latency.machines(grid)} {_rows_of(GRID)}."
    )
    return "\n".join([*table("hop: | test accuracy: | minus 10 ms: | million MACs: | ms:", cells), "", below])


def classes_figure() -> str:
    """The effect of the hop on the F1 of every class, and what a separate hop for each would gain."""
    rows = claims.sweep(evidence())
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
    answers = evidence().answers
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
    """Levels of the finished conditions of the grids in `LARGER`, then the questions that have all their rows."""
    text = []
    for grid, place in LARGER.items():
        text += [f"**{place}**", ""]
        rows = questions.published(grid)
        if rows.empty:
            text += ["No row has been published.", ""]
            continue
        left = len(origin(grid).get("missing", []))
        state = f" {left} rows are still to be run. {UNFINISHED}" if left else ""
        text += [f"{_rows_of(grid)}.{state} {latency.machines(rows)}", ""]
        text += [*table("condition | test accuracy: | million MACs: | ms:", _finished_levels(rows)), ""]
        text += [*published_levels(rows), ""] if grid == "esc50" else []
        cells = []
        for row in questions.answers(grid).to_dict("records"):
            part = _as_part(row)
            cells.append([part.about, part.difference, corrected_ends(part), answered(part)])
        if cells:
            text += [*table("question | difference: | shared clips: | answer", cells), ""]
    return "\n".join([*text, bar_on_recordings()])


def bar_on_recordings() -> str:
    """A sentence on the part of the bar for the variant that recordings decide."""
    clauses = []
    for grid, place in LARGER.items():
        answers = [_as_part(row) for row in questions.answers(grid).to_dict("records")]
        asked = [part for part in answers if part.about.endswith(NO_WORSE_THAN_LIGHT)]
        found = [f"*{part.verdict}* with {part.about.split(', ')[1]}" for part in asked]
        clauses.append(f"{place.partition(',')[0]}: {', '.join(found) or 'not run'}")
    return f"No worse than the light scorer, as the bar of finding 3 asks of the variant? {'; '.join(clauses)}."


def published_levels(rows: pd.DataFrame) -> list[str]:
    """A sentence that puts CNN7 on ESC-50 beside published levels, once the ten runs at 40 ms are there."""
    usual = chosen(rows, questions.usual_fields("ESC-50, hop of 40 ms") | questions.condition("neither augmented"))
    if len(usual) < disturbance.N_RUNS:
        return []
    got = stats.accuracy(usual)
    published = "; ".join(f"{name} {level}" for name, level in PUBLISHED_ON_ESC50.items())
    return [
        f"For comparison, published accuracies in % on the same folds: {published}. They heard higher sampling rates; "
        "our clips have nothing above 8 kHz, and we train on three folds and choose the state on a fourth. All frames "
        f"of 40 ms without augmentation: {percent(got.mean, got.low, got.high)}."
    ]


def _as_part(row: Mapping[str, object]) -> Part:
    """A row of `questions.answers` as a part."""
    converged = row["verdict"] != verdicts.UNCONVERGED
    found = questions.difference_of(row)
    return Part(row["question"], row["data"], found, row["margin"], row["p"], converged=converged)


def _finished_levels(rows: pd.DataFrame) -> list[list[str]]:
    """The cells of a table of levels: a line for each condition of a larger set that has all its runs."""
    cells = []
    augmented = (rows["copies"] != "none") | rows["recipe.image_augment"]
    rows = rows.assign(merged=rows["frame_reducer"] != "none", augmented=augmented)
    fields = [
        "augmented", "merged", "features.hop_ms", "recipe.guide", "frame_reducer", "copies", "recipe.image_augment",
    ]  # fmt: skip
    for values, alike in rows.groupby(fields):
        if len(alike) < disturbance.N_RUNS:
            continue
        _, _, hop_ms, guide, reducer, copies, pictures = values
        how = ", clips augmented" if copies != "none" else ", pictures augmented" if pictures else ""
        how += ", guide loss" if guide else ""
        how += ", not converged" if questions.late_rise(alike) > questions.STILL_RISING else ""
        got, ms = stats.accuracy(alike), latency.milliseconds(rows, alike.iloc[0])
        cells.append([
            frontier.name(hop_ms, reducer) + how, percent(got.mean, got.low, got.high),
            f"{alike['macs'].median() / 1e6:.0f}", latency.text(ms),
        ])  # fmt: skip
    return cells


def disturbance_table() -> str:
    """Answers that a shift changes, accuracy at other levels and in noise, and the questions that have their rows."""
    found = disturbance.tables()
    if not found:
        return NOTHING_YET
    text = [picture("disturbance.png"), ""]
    for grid, place in disturbance.GRIDS.items():
        rows = found.get(questions.data_of(place))
        if rows is None:
            continue
        cells = [
            [row["condition"], level_text(row["changed"], row["low"], row["high"]),
             *("" if np.isnan(row[name]) else f"{row[name]:.1f}" for name in disturbance.SHARES)]
            for row in rows.to_dict("records")
        ]  # fmt: skip
        levels = ": | ".join(name.replace("gain ", "").replace("noise", "SNR") for name in disturbance.LEVELS)
        head = "condition | changed: | of right answers: | at 2.5 to 10 ms: | by a whole hop: | accuracy: | "
        head += f"{levels}:"
        text += [f"**{LARGER[grid]}**", "", *table(head, cells), ""]
        text += [f"- {part.about}: {part.difference} points, {answered(part)}" for part in disturbance.answers(grid)]
        text += [""]
    return "\n".join(text[:-1])


def beginnings_table() -> str:
    """Accuracy against the seconds heard, and the questions about widths in chunks once they have their rows."""
    found = beginnings.table()
    if found.empty:
        return NOTHING_YET
    cells = []
    for row in found.to_dict("records"):
        levels = []
        for heard_s in HEARD_S:
            whole, in_chunks = (row.get(f"first {heard_s:g} s{how}", np.nan) for how in ("", ", in chunks"))
            text = "" if np.isnan(whole) else f"{whole:.1f}"
            levels.append(text if np.isnan(in_chunks) else f"{text} ({in_chunks:.1f})")
        cells.append([row["condition"], f"{row['frames_per_s']:g}", *levels])
    after = " | ".join(f"after {heard_s:g} s:" for heard_s in HEARD_S)
    lines = [picture("beginnings.png"), "", *table(f"condition | frames per second: | {after}", cells), ""]
    lines += [
        f"- {part.about}, in chunks no worse: {part.difference} points, {answered(part)}"
        for part in beginnings.answers()
    ]
    return "\n".join(lines).rstrip()


def systems_table() -> str:
    """Accuracy, multiply-accumulates and milliseconds of every system on ESC-10, a table for each budget."""
    found, text = pareto.table(), [picture("systems.png"), ""]
    for panel, rows in found.groupby("panel", sort=False):
        cells = [
            [row.system, level_text(row.accuracy, row.low, row.high), f"{row.macs:.0f}",
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
            cells.append([words, streams, f"{row.paper:.2f}", level_text(row.mean, row.low, row.high)])
        cells.append([words, "*every class, active all the time*", "", f"{100 * constant[score]:.1f}"])
    text += [*table("micro F1 in % | the network gets | paper: | here:", cells), ""]
    answers = evidence().answers
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


def folds_table() -> str:
    """Levels of the scenes on five folds, beside a constant answer, and how far detected onsets are off."""
    conditions, truth = localisation.on_five_folds(), scene_run.published(FIVE_FOLDS)
    if not conditions:
        return NOTHING_YET
    scores = {"tagging": "tagging_f1", "segments of 1 s": "segment_f1", "events within 200 ms": "event_f1",
              "PSDS1": "psds1", "PSDS2": "psds2"}  # fmt: skip
    cells = []
    for name, rows in conditions.items():
        found = [stats.repeats_interval(rows, f"test_{score}").scaled(100) for score in scores.values()]
        cells.append([name, *(level_text(one.mean, one.low, one.high) for one in found)])
    constant = localisation.mean_baselines(next(iter(conditions.values())), truth)
    cells.append(["*every class, active all the time*", *(f"{100 * constant[score]:.1f}" for score in SCORES), "", ""])
    text = [*table(f"the network gets | {' | '.join(f'{words}:' for words in scores)}", cells), ""]
    errors = localisation.onset_table(conditions, truth)
    if len(errors):
        cells = [
            [row["first"], row["second"], f"{row['events']:,}",
             *(" / ".join(f"{row[f'{side} {q:g}']:+.0f}" for q in localisation.QUANTILES)
               for side in ("first", "second"))]
            for row in errors.to_dict("records")
        ]  # fmt: skip
        head = "the first gets | the second gets | events: | the first (ms): | the second (ms):"
        text += [ONSET_ERRORS, "", *table(head, cells), ""]
    below = (
        "F1 and PSDS in %, with t intervals over the five folds after averaging the two seeds. Questions are answered "
        f"under claims C2 and C6 to C8. {_rows_of(FIVE_FOLDS)}."
    )
    return "\n".join([*text, below])


def _offsets_undone(rows: pd.DataFrame) -> str:
    """The answers about hops after correcting for the offset of each."""
    found, offsets = questions.offsets_undone(rows, scene_run.published())
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    left = ", ".join(signed(questions.points(row)) for row in found.to_dict("records"))
    hops = joined([row["question"].split()[2] for row in found.to_dict("records")])
    return (
        f"Taking the nearest frame every 80 ms shifts events by an amount that depends on the hop: {moved}. With the "
        f"detected events corrected for that, the event F1 of features every {hops} ms minus 320 ms is {left} points."
    )


def leak_table() -> str:
    """Accuracies under five protocols, a table for each data set, from the published runs of notebook 04."""
    text = []
    for dataset, run in claims.LEAKAGE.items():
        made = json.loads((paths.published_dir() / run).read_text(encoding="utf-8"))["provenance"]
        value, cells = claims.recorded(run), []
        for letter, how in PROTOCOLS.items():
            levels = [f"{value[f'accuracy_{letter}_{m}']:.1f} ({value[f'interval_{letter}_{m}']})" for m in MODELS]
            cells.append([letter, how, *levels])
        text += [
            f"**{questions.DATA[dataset]}**. With random folds, {value['siblings_met_random']:.0f} % of the test clips "
            f"have a clip of the same recording in training ({value['seeds']} seeds, {value['trees']} trees, commit "
            f"{made['commit']}).",
            "",
            *table(f" | how the clips were split | {': | '.join(MODELS)}:", cells),
            "",
        ]
    return "\n".join([*text, "Accuracy in % with 95 % intervals by source."])


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
    "beginnings": beginnings_table,
    "systems": systems_table,
    "scenes": scenes_table,
    "folds": folds_table,
    "sparse": sparse_table,
    "leak": leak_table,
}
