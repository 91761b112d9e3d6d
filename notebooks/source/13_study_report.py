# %% [markdown]
# # 13 · Study report
#
# Four papers make claims about how finely a network should look at a sound. You have
# taken their ideas apart in twelve notebooks. Behind these notebooks stands a study:
# the same networks, trained again and again on every fold and with several seeds, with
# one row in a table for each training. What do the rows say about the claims, on which
# data, and how sure can we be?

# %% [markdown]
# ## You will be able to
#
# - **pair** the runs of two conditions, and count how many independent pairs there are
#   (exercise 13.1);
# - **judge** a claim from intervals, margins and several questions (exercise 13.2);
# - **plan** how many pairs an experiment needs to detect an effect (exercise 13.3);
# - **ask** a question of the published rows, with its margin fixed beforehand (exercise
#   13.4).

# %% [markdown]
# ## Before you start
#
# You need notebook 04 for folds and intervals; each result names the notebook that
# explains it. Reading takes 40 minutes, the four exercises 40. Nothing is trained here:
# the machine needs less than a minute in every profile.
#
# All numbers are computed from published rows when you run the notebook. The complete
# results are in [study/RESULTS.md](../study/RESULTS.md), and the rules in
# [study/protocol.md](../study/protocol.md).

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import t as student_t
from sklearn.metrics import accuracy_score

from course_lib import plots
from course_lib.analysis import (
    claims,
    figures,
    findings,
    per_class,
    power,
    questions,
    verdicts,
)
from course_lib.data.load import load_timing
from course_lib.evaluation.intervals import paired_difference
from course_lib.lesson.checks import check
from course_lib.lesson.display import (
    answer,
    play_pair,
    predict,
    record,
    say,
    show,
)
from course_lib.study import stats

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # smoke, lesson or study: nothing is trained, they do the same
dataset: str = "synth10"  # not used: the study has data sets of its own
seed: int = 0  # not used: nothing here is random
paper: str = "A"  # whose claims section 5 lists in full: A, B, C or D

# %%
started = time.perf_counter()
evidence, verdict_table = findings.judged()  # all published rows, and all verdicts

# %% [markdown]
# ## 1. Five findings
#
# Each finding below has a sentence, its numbers, and one figure. The sentence appears
# only as long as the verdicts behind it allow it; if new rows change a verdict, only
# the numbers remain.


# %%
def finding(place, picture):
    """Show finding number `place` with its figure."""
    _, meaning, numbers = findings.headlines()[place]
    drawing = figures.FIGURES[picture]
    tables = drawing.tables()
    say(f"**{meaning}** {numbers}")
    show(drawing.figure(*tables), alt=drawing.text(*tables))


# %% [markdown]
# ### Does the hop matter?
#
# Notebook 05 trained a CNN at several hops. The study has done so on recordings, and on
# the timing probe, clips made such that a few milliseconds decide between the classes.

# %%
predict(
    "13.a",
    ...,
    "On the timing probe, by how many points does a hop of 2.5 ms beat one of 10 ms?",
)

# %%
probe_clips = load_timing(clips_per_class=2, tasks=("gap",))
probe_waves = probe_clips.waves()
first_of_class = {}
for k, target in enumerate(probe_clips.targets):
    name = probe_clips.classes[target]
    first_of_class.setdefault(name.replace("_", " "), probe_waves[k])
play_pair(
    first_of_class,
    16_000,
    describe="Two classes of the timing probe: the silence inside the noise lasts "
    "5 or 10 ms.",
)

# %%
finding(0, "hops.png")
hop_parts = {(part.data, part.about): part for part in findings.parts()["A1"]}
fine_over_coarse = hop_parts["timing probe", "2.5 ms over 10 ms"].found.interval.mean
answer("13.a", round(100 * fine_over_coarse, 1), unit="points", within=0.3)

# %% [markdown]
# ### On recordings, does it help to learn which frames to keep?
#
# DiffRes (notebooks 07 and 08) removes half the frames of ESC-10. The figure subtracts
# the accuracy of its rivals: the same merging with equal widths, with random widths,
# with its own widths shuffled, and the CNN on all frames.

# %%
finding(1, "widths.png")

# %% [markdown]
# ### Where milliseconds decide, do learned widths find them?
#
# On the timing probe, only a few frames matter. Each dot of the figure is one training
# run.

# %%
finding(2, "probe.png")

# %% [markdown]
# ### Do fewer multiply-accumulates save time?
#
# Papers count multiply-accumulates (MACs). We also measured milliseconds, for one clip
# and for batches of 16, with everything else on the machine switched off.

# %%
finding(3, "frontier.png")

# %% [markdown]
# ### Do pretrained features help to say what sounds, and when?
#
# Notebooks 10 and 11 detect sound events in mixed scenes. An event that is not
# recognised cannot be placed in time either, so the two are judged apart: tagging F1
# for recognition, and event F1 on the events that both systems recognise for
# localisation.

# %%
finding(4, "localisation.png")

# %% [markdown]
# ## 2. One row
#
# Every number above goes back to rows like the next one. A row is one training run and
# one look at its test fold. It holds the settings, the predictions for every test clip,
# and what the run cost.

# %%
rows = claims.sweep(evidence)  # the hop sweep on ESC-10, 240 steps
of_run = (rows["features.hop_ms"] == 10) & (rows["fold"] == 1) & (rows["seed"] == 0)
row = rows[of_run].iloc[0]
SHOWN = [
    "dataset",
    "model",
    "features.hop_ms",
    "fold",
    "seed",
    "test_accuracy",
    "device_name",
    "minutes",
    "commit",
]
row[SHOWN].astype(str).rename("one row").to_frame()

# %% [markdown]
# Anyone can recompute the accuracy from the list of predictions.

# %%
recomputed = accuracy_score(row["test_targets"], row["test_predicted"])
assert recomputed == row["test_accuracy"]
n_test = len(row["test_targets"])
say(
    f"The row lists the predictions for {n_test} test clips. Recomputed from this "
    f"list, the accuracy is {100 * recomputed:.1f} %, as recorded."
)

# %% [markdown]
# ## 3. From rows to a difference
#
# Is a hop of 20 ms worse than one of 10 ms? Some folds hold harder recordings than
# others, but both conditions were tested on the same folds. So we subtract within the
# fold: what makes a fold hard cancels.
#
# Each fold was trained three times, with three seeds. **How many differences may the
# interval count, five or fifteen?** The seeds of a fold share its test clips. They
# measure the randomness of training, but they bring no new recordings. We average them
# within the fold, and the interval counts five.

# %%
accuracy = rows.set_index(["features.hop_ms", "fold", "seed"])["test_accuracy"]
per_run = 100 * (accuracy[20.0] - accuracy[10.0])  # points, one for each fold and seed
per_fold = per_run.groupby("fold").mean()
zeros = np.zeros(len(per_fold))
honest = paired_difference(per_fold.to_numpy(), zeros)
too_many = paired_difference(per_run.to_numpy(), np.zeros(len(per_run)))

# %% tags=["hide-input"]
# Draw the differences of single runs and of folds
fig, ax = plt.subplots(figsize=(8, 3.6))
fold_of_run = per_run.index.get_level_values("fold")
seed_of_run = per_run.index.get_level_values("seed")
ax.plot(fold_of_run + 0.08 * (seed_of_run - 1), per_run, "o", label="one run")
ax.plot(
    per_fold.index,
    per_fold,
    "x",
    markersize=12,
    markeredgewidth=2.5,
    label="mean of the fold",
)
ax.axhline(0, color="grey", linewidth=1)
ax.set(xlabel="fold", ylabel="20 ms minus 10 ms (points)", xticks=per_fold.index)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(
    fig,
    alt=f"Accuracy at 20 ms minus accuracy at 10 ms by fold: {len(per_run)} dots for "
    f"single runs, from {per_run.min():+.1f} to {per_run.max():+.1f} points, and "
    f"{len(per_fold)} crosses for the means of the folds, from {per_fold.min():+.1f} "
    f"to {per_fold.max():+.1f}.",
    caption="Differences within a fold, run by run and averaged",
)
say(
    f"From {len(per_fold)} folds: **{verdicts.signed(honest)}** points. If we counted "
    f"all {len(per_run)} runs as independent: {verdicts.signed(too_many)}."
)

# %% [markdown]
# ### Exercise 13.1
#
# `first` and `second` are the runs of two conditions, each a list of dicts with the
# keys `fold`, `seed` and `accuracy`. Return the list of differences, first minus
# second, one for each fold and in the order of the folds. Use only runs whose fold and
# seed both conditions have, and average the seeds of a fold.


# %% tags=["exercise"]
def fold_differences(first, second):
    ### BEGIN SOLUTION
    accuracy_of_second = {}
    for run in second:
        accuracy_of_second[run["fold"], run["seed"]] = run["accuracy"]
    gaps_of_fold = {}
    for run in first:
        partner = run["fold"], run["seed"]
        if partner in accuracy_of_second:
            gap = run["accuracy"] - accuracy_of_second[partner]
            gaps_of_fold.setdefault(run["fold"], []).append(gap)
    return [np.mean(gaps_of_fold[fold]) for fold in sorted(gaps_of_fold)]
    ### END SOLUTION


check("13.1", fold_differences)

# %% [markdown]
# ### Five differences cannot measure their own spread
#
# The width of a t interval follows from the standard deviation of the differences. Five
# numbers estimate it badly: by luck, some conditions seem to agree closely and others
# to disagree. The next figure shows the standard deviation that each pair of conditions
# on ESC-10 would get from its own five differences, although all of them were trained
# in the same way on the same folds.

# %%
long_rows = evidence.rows("diffres")
is_long = (long_rows["dataset"] == "esc10") & (long_rows["recipe.steps"] == 800)
long_rows = long_rows[is_long]
all_frames = (long_rows["frame_reducer"] == "none") & (
    long_rows["features.hop_ms"] == 10
)
baseline = long_rows[all_frames].groupby("fold")["test_accuracy"].mean()

own_std = []
for _, of_condition in long_rows[~all_frames].groupby(
    ["frame_reducer", "features.hop_ms"]
):
    by_fold = of_condition.groupby("fold")["test_accuracy"].mean()
    if len(by_fold) == len(baseline):
        own_std.append(100 * (by_fold - baseline).std())
own_std = np.sort(own_std)

of_design = evidence.answers[evidence.answers["where"] == questions.LONG]
pooled_std = 100 * of_design["std"].iloc[0]

# %% tags=["hide-input"]
# Draw the standard deviations and the pooled one
fig, ax = plt.subplots(figsize=(8, 2.2))
ax.plot(own_std, np.zeros(len(own_std)), "o", alpha=0.6, label="from five differences")
ax.axvline(pooled_std, color=plots.COLOURS[1], label="pooled")
ax.set(xlabel="standard deviation of a difference (points)", yticks=[], xlim=(0, None))
ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.35), ncols=2)
show(
    fig,
    alt=f"Standard deviations of {len(own_std)} differences to all frames of 10 ms, "
    f"from {own_std[0]:.1f} to {own_std[-1]:.1f} points, and the pooled one at "
    f"{pooled_std:.1f}.",
    caption="One dot for each condition that is compared with all frames of 10 ms",
)
say(
    f"They range from {own_std[0]:.1f} to {own_std[-1]:.1f} points: whether an "
    "interval is narrow or wide is largely luck. The study therefore pools the "
    "residuals of all conditions of a design into one standard deviation, here "
    f"{pooled_std:.1f} points with {of_design['df'].iloc[0]} degrees of freedom "
    "instead of 4."
)

# %% [markdown]
# ## 4. From a difference to a verdict
#
# A question has a **margin** that was fixed before its rows were read. *Better* has a
# margin of 0. *No worse* has a margin of two points: a loss of up to two points is
# tolerated. The question holds if the difference is significantly above minus the
# margin, and is contradicted if it is significantly below.
#
# ### Six questions are six chances of a false answer
#
# Claim A3, *as good as fixed resolution with at least 25 % less computation*, is put to
# the rows as six questions. If nothing were true, each would still give a false answer
# in 5 of 100 studies, and six together in up to 30 of 100.
#
# **Holm's procedure** keeps the probability of any false answer at 5 %. Sort the p
# values. The smallest must pass the hardest test, $p \le 0.05/6$; the next one $p \le
# 0.05/5$, and so on; after the first that fails, all others are not shown either.

# %%
of_a3 = evidence.answers[evidence.answers["claim"] == "A3"]
raw_p = []
for question in of_a3.to_dict("records"):
    standard_error = question["std"] / np.sqrt(question["pairs"])
    t_value = (question["difference"] + question["margin"]) / standard_error
    raw_p.append(2 * student_t.sf(abs(t_value), question["df"]))
raw_p = np.sort(raw_p)
thresholds = 0.05 / np.arange(len(raw_p), 0, -1)

# %% tags=["hide-input"]
# Draw the sorted p values and Holm's thresholds
fig, ax = plt.subplots(figsize=(8, 3.4))
places = np.arange(1, len(raw_p) + 1)
ax.plot(places, raw_p, "o", label="p value")
ax.step(places, thresholds, where="mid", color=plots.COLOURS[1], label="Holm")
ax.axhline(0.05, color="grey", linestyle=":", label="0.05, uncorrected")
ax.set(xlabel="questions of A3, smallest p value first", ylabel="p", yscale="log")
ax.set_xticks(places)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
listed_p = ", ".join(f"{p:.3f}" for p in raw_p)
listed_thresholds = ", ".join(f"{p:.3f}" for p in thresholds)
show(
    fig,
    alt=f"Sorted p values {listed_p} with Holm's thresholds {listed_thresholds} and "
    "the uncorrected 0.05.",
    caption="A p value counts only if it and all smaller ones lie below the steps",
)
n_uncorrected = int((raw_p < 0.05).sum())
passed = raw_p < thresholds
n_corrected = int(np.cumprod(passed).sum())
say(
    f"Without correction, {n_uncorrected} of the {len(raw_p)} questions would hold or "
    f"be contradicted; with Holm's procedure, {n_corrected}."
)

# %% [markdown]
# The questions of a claim are then put together, separately for each data set. The
# claim **holds** there if all questions hold, is **contradicted** if one is and none
# holds, and is **not shown** otherwise. Some verdicts follow from the design, whatever
# the numbers: *met by construction*, *not testable here*, and *one fold: no verdict*.
#
# ### Exercise 13.2
#
# Write this rule for intervals (leave Holm's procedure aside). `parts` has one entry
# per question, `(low, high, margin)` in points, or `None` for a question that was not
# run. Return `"holds"`, `"contradicted"`, `"not shown"`, or `"not run"` if nothing was
# run.


# %% tags=["exercise"]
def judge(parts):
    ### BEGIN SOLUTION
    n_run, n_hold, n_contradicted = 0, 0, 0
    for part in parts:
        if part is None:
            continue
        low, high, margin = part
        n_run += 1
        n_hold += low > -margin
        n_contradicted += high < -margin
    if n_run == 0:
        return "not run"
    if n_hold == len(parts):
        return "holds"
    if n_contradicted > 0 and n_hold == 0:
        return "contradicted"
    return "not shown"
    ### END SOLUTION


check("13.2", judge)

# %% [markdown]
# ## 5. All verdicts
#
# Each claim of the four papers gets a verdict on each data set that can answer it.

# %%
predict("13.b", ..., "Which verdict will be the most frequent one?")

# %%
PAPERS = {
    "A": "DiffRes",
    "B": "MAST",
    "C": "audiovisual transfer",
    "D": "augmentation",
}
paper_of_verdict = verdict_table["id"].str[0].map(PAPERS)
counts = pd.crosstab(paper_of_verdict, verdict_table["verdict"])
words = [word for word in verdicts.VERDICTS if word in counts]
counts = counts.loc[list(PAPERS.values()), words]

# %% tags=["hide-input"]
# Draw the number of verdicts by paper
HATCHES = ["", "//", "xx", "..", "\\\\", "++", "oo"]
fig, ax = plt.subplots(figsize=(9, 3.2))
left = np.zeros(len(counts))
for k, word in enumerate(words):
    bars = ax.barh(
        counts.index,
        counts[word],
        left=left,
        color=plots.COLOURS[k % len(plots.COLOURS)],
        hatch=HATCHES[k],
        edgecolor="white",
        label=word,
    )
    numbers = [str(n) if n else "" for n in counts[word]]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.bar_label(bars, numbers, label_type="center", fontsize=12, bbox=box)
    left += counts[word].to_numpy()
ax.invert_yaxis()
ax.set(xlabel="number of verdicts")
ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.22), ncols=3)
in_words = []
for name in counts.index:
    of_paper = [f"{counts.loc[name, word]} {word}" for word in words]
    in_words.append(f"{name}: {', '.join(of_paper)}")
show(
    fig,
    alt="Verdicts by paper, one stacked bar each. " + "; ".join(in_words) + ".",
    caption="One verdict for each claim and data set",
)

# %%
totals = counts.sum()
answer("13.b", totals.idxmax())
listed = [f"{totals[word]} *{word}*" for word in words]
say(
    f"Of {totals.sum()} verdicts: {', '.join(listed)}. *Not shown* means that our "
    "interval leaves the question open, not that the claim is false."
)

# %% [markdown]
# The next table lists the claims of one paper: what the paper says, and what we
# measured. The parameter `paper` chooses which; the other tables are in
# [study/RESULTS.md](../study/RESULTS.md), with the reasons behind each verdict.
# Differences are in points, with 95 % intervals.


# %% tags=["hide-input"]
# List the claims of one paper as a table
def claims_of(letter):
    lines = [
        "| claim | the paper | data set: question | measured here | answer |",
        "|---|---|---|---|---|",
    ]
    fixed = verdict_table.drop_duplicates("id").set_index("id")["verdict"]
    for claim in claims.claims():
        if not claim.id.startswith(letter):
            continue
        name = f"**{claim.id}**: {claim.says}"
        for part in findings.parts()[claim.id] or [""]:
            if isinstance(part, str):
                asked, measured, word = part, "", fixed[claim.id]
            elif part.found is None:
                asked, measured, word = f"{part.data}: {part.about}", "", "not run"
            else:
                asked, measured = f"{part.data}: {part.about}", part.difference
                word = claim.verdict or part.verdict
            stated = claim.paper if name else ""
            lines.append(f"| {name} | {stated} | {asked} | {measured} | {word} |")
            name = ""  # once for each claim
    return "\n".join(lines)


say(claims_of(paper))

# %% [markdown]
# Read the claims of paper A with one reservation in mind: the rows behind A2 to A4 are
# not the published method. They have no guide loss and no SpecAugment, and most use a
# lighter scorer of our own, another optimiser (AdamW at a learning rate of 3e-3), mixup
# on log-mels, and bfloat16.
#
# Paper C is judged on one fold of scenes. Its intervals cover the randomness of
# training, not the choice of sounds.

# %% [markdown]
# ## 6. What temporal resolution does each sound need?
#
# This is the question with which the course began. With 10 classes and four hops to
# compare with 10 ms, we ask 40 questions at once, so the figure frames a cell only if
# it is significant after Holm's procedure for 40. Classes are compared by F1, because a
# network that answers *dog* too often has a high recall for dogs.

# %%
predict("13.c", ..., "Of the 40 cells, how many will be significant?")

# %%
cells = per_class.against(rows)
show(
    per_class.classes_figure(cells),
    alt=per_class.classes_text(cells),
    caption="F1 minus that at 10 ms, ESC-10, 240 steps; significant cells are framed",
)
compared = cells[cells["hop_ms"] != per_class.USUAL_MS]
n_sure = int(compared["sure"].sum())
answer("13.c", n_sure)
n_alone = int(((compared["low"] > 0) | (compared["high"] < 0)).sum())
say(
    f"One by one, {n_alone} of the {len(compared)} intervals leave out 0; after the "
    f"correction, **{n_sure}** cells are significant."
)

# %% [markdown]
# Ticks and crackles would seem to need short hops, and rain not, but a plausible
# pattern is easily seen in noise. A sharper test: four folds choose the best hop for
# each class, and the best single hop for all. The fifth fold, which had no say, judges
# both. If classes need different hops, the hops chosen by class win on the fifth fold.

# %%
own_gain, chosen_hops = per_class.own_hop(rows)
long_sweep = long_rows[long_rows["frame_reducer"] == "none"]
own_gain_long, _ = per_class.own_hop(long_sweep)
say(
    "A hop for each class, against one hop for all, in points of F1: "
    f"**{verdicts.difference_text(own_gain.scaled(100))}** after 240 steps, and "
    f"**{verdicts.difference_text(own_gain_long.scaled(100))}** after 800."
)

# %% [markdown]
# ## 7. What could these experiments have seen?
#
# *Not shown* is not *absent*. An experiment with few pairs that scatter widely is blind
# to small effects. The **smallest detectable effect** is the true difference that the
# experiment would find in 80 of 100 repetitions.

# %%
designs = power.designs(evidence)

# %% tags=["hide-input"]
# Draw the smallest detectable effect of each design
fig, ax = plt.subplots(figsize=(9, 0.45 * len(designs) + 1.4))
places = np.arange(len(designs))
smallest = designs["minimum_detectable_effect"]
ax.barh(places, smallest, color=plots.COLOURS[4], label="smallest detectable effect")
ax.plot(
    designs["claimed"], places, "D", color=plots.COLOURS[1], label="the paper's effect"
)
two_points = 100 * questions.EQUAL
ax.axvline(two_points, color="black", linestyle=":", label='margin of "no worse"')
names = [f"{d.design} ({d.pairs} {d.paired_by}s)" for d in designs.itertuples()]
ax.set_yticks(places, names)
ax.set(xlabel="points", ylim=(len(designs) - 0.5, -0.5))
ax.legend(loc="upper center", bbox_to_anchor=(0.2, -0.15), ncols=3)
in_words = [
    f"{d.design} {d.minimum_detectable_effect:.1f}" for d in designs.itertuples()
]
show(
    fig,
    alt="Smallest detectable effect of each design in points: " + "; ".join(in_words),
    caption="Diamonds: the least effect that the paper states, where it states one",
)
stated = designs[designs["claimed"].notna()]
lines = []
for design in stated.itertuples():
    word = "within reach" if design.sees else "out of reach"
    lines.append(
        f"- {design.design}: the paper states {design.claimed:.1f} points, and "
        f"{design.minimum_detectable_effect:.1f} are detectable: **{word}**."
    )
say("\n".join(lines))

# %% [markdown]
# ### Exercise 13.3
#
# A rule of thumb for planning: to be found in 80 of 100 studies, an effect must measure
# $1.96 + 0.84 = 2.8$ standard errors, and the standard error of a mean of $n$
# differences is $s/\sqrt{n}$. Given the standard deviation `sd` of the differences and
# the `effect`, both in points, return the number of pairs that you need, a whole
# number.
#
# Then predict: if you want to see half the effect, how many times as many pairs does it
# take?


# %% tags=["exercise"]
def pairs_needed(sd, effect):
    ### BEGIN SOLUTION
    return int(np.ceil((2.8 * sd / effect) ** 2))
    ### END SOLUTION


check("13.3", pairs_needed)

# %%
effects = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0])  # points
rule_of_thumb = np.ceil((2.8 * pooled_std / effects) ** 2)
exact = []
for effect in effects:
    n_pairs = 2
    while stats.minimum_detectable_effect(pooled_std, n_pairs) > effect:
        n_pairs += 1
    exact.append(n_pairs)

# %% tags=["hide-input"]
# Draw the pairs that an effect takes
fig, ax = plt.subplots(figsize=(8, 3.4))
plots.lines(
    effects,
    {"rule of thumb": rule_of_thumb, "t test, exact": np.array(exact)},
    ax,
    xlabel="effect (points)",
    ylabel="pairs needed",
    markers=True,
)
ax.set(yscale="log")
plots.log_ticks(ax.yaxis, (2, 5, 10, 20, 50, 100))
n_folds = len(per_fold)
ax.axhline(n_folds, color="grey", linestyle=":", linewidth=1)
show(
    fig,
    alt=f"Pairs of folds needed, falling from {exact[0]} for {effects[0]} points to "
    f"{exact[-1]} for {effects[-1]:g}; a dotted line at the {n_folds} folds of ESC-10.",
    caption="ESC-10, 800 steps; the dotted line marks its five folds",
)
say(
    f"To see one point takes {exact[1]} folds, to see two points {exact[3]}. ESC-10 "
    f"has {n_folds}. With few pairs the rule of thumb is too optimistic, because the "
    "standard deviation is itself uncertain."
)

# %% [markdown]
# ## 8. What to run next
#
# There are no more folds of ESC-10, but larger sets have more clips in each fold, and
# some have more folds. Their grids are ready in `study/grids`. The table estimates
# their cost from the seconds of published rows, and what they could detect if the
# spread falls with the square root of the number of test clips.

# %%
plan = power.next_runs(evidence.rows)
plan_table = plan[["grid", "rows", "hours", "pairs", "minimum_detectable_effect"]]
plan_table = plan_table.set_index("grid").round(1).astype(object)
plan_table.columns = ["rows", "hours of a GPU", "folds", "could detect (points)"]
plan_table.fillna("one split: unknown")

# %%
by_hours = plan.sort_values("hours")
fits_into_week = by_hours["hours"].cumsum() <= power.WEEK_H
n_weeks = plan["hours"].sum() / power.WEEK_H
sharpest = plan.loc[plan["minimum_detectable_effect"].idxmin()]
say(
    f"All grids together take {plan['hours'].sum():.0f} hours of one GPU, "
    f"{n_weeks:.1f} weeks. The most sensitive would be *{sharpest['grid']}*, with "
    f"{sharpest['minimum_detectable_effect']:.1f} points."
)

# %% [markdown]
# `course study run esc50` starts such a grid; if it is interrupted, the same command
# continues it. `course study report esc50 --publish` adds its rows to those that this
# notebook reads.
#
# ### Exercise 13.4
#
# Now ask a question of your own. Choose two conditions of the grid `diffres` that
# differ in **one** setting, and write down, before you look at any accuracy, what you
# expect and by what margin. The next cell lists what was run.

# %%
SETTINGS = ["dataset", "recipe.steps", "features.hop_ms", "frame_reducer"]
run_settings = evidence.rows("diffres")[SETTINGS].value_counts().rename("runs")
with pd.option_context("display.max_rows", None):
    display(run_settings.sort_index().to_frame())

# %% [markdown]
# Return a dict with
#
# - `"first"` and `"second"`, each a dict with the four settings above;
# - `"margin"`, in points: 0 for *better*, more for *no worse*;
# - `"expected"`: `"holds"`, `"contradicted"` or `"not shown"`.


# %% tags=["exercise"]
def my_question():
    ### BEGIN SOLUTION
    common = {"dataset": "esc10", "recipe.steps": 800, "features.hop_ms": 10.0}
    return {
        "first": common | {"frame_reducer": "diffres-light:0.5"},
        "second": common | {"frame_reducer": "flux:0.5"},
        "margin": 0.0,
        "expected": "not shown",
    }
    ### END SOLUTION


check("13.4", my_question)

# %% [markdown]
# Only now the answer.

# %%
asked = my_question()
if asked is not None and asked is not ...:
    diffres_rows = evidence.rows("diffres")
    first = questions.chosen(diffres_rows, asked["first"])
    second = questions.chosen(diffres_rows, asked["second"])
    found = stats.difference(first, second)
    word = verdicts.judged(found, asked["margin"] / 100, found.p(asked["margin"] / 100))
    say(
        f"{verdicts.signed(found.interval.scaled(100))} points over {found.pairs} "
        f"{found.paired_by}s: **{word}**. You expected *{asked['expected']}*."
    )
else:
    say("Write `my_question` first; this cell then answers it from the rows.")

# %% [markdown]
# Had you tried ten questions and kept the best, its interval would mean little. Report
# how many you asked.
#
# ## What we saw

# %% tags=["hide-input"]
lines = []
for _, meaning, numbers in findings.headlines():
    lines.append(f"- {meaning or numbers}")
gain_in_words = verdicts.difference_text(own_gain_long.scaled(100))
lines.append(f"- A hop of its own for each class, on held-out folds: {gain_in_words}.")
say("\n".join(lines))

# %% [markdown]
# - Seeds of one fold are not independent experiments.
# - Fix the margin before you see the interval.
# - Several questions need a correction; several data sets need a verdict each.
# - *Not shown* is the usual outcome of a small study. The smallest detectable effect
#   says what it could have shown.
#
# ## What next
#
# This is the last notebook. [Questions to test yourself](quizzes/13_study_report.md)
# are ready. After that: run the course on your own sounds (`make course
# DATASET=FOLDER`), or write a grid and a question, and publish your rows beside ours.
#
# ## References
#
# - W. Boes, H. Van hamme, "Audiovisual transfer learning for audio tagging and sound
#   event detection", Interspeech 2021. doi:10.48550/arXiv.2106.05408
# - S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
#   Journal of Statistics 6, 1979
# - H. Liu, X. Liu, Q. Kong, W. Wang, M. D. Plumbley, "Learning temporal resolution in
#   spectrogram for audio classification", AAAI 2024. doi:10.48550/arXiv.2210.01719
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound
#   classification using CNN with meaningful data augmentation", Applied Acoustics 172,
#   107581, 2021
# - C. Nadeau, Y. Bengio, "Inference for the generalization error", Machine Learning 52,
#   2003
# - W. Zhu, M. Omar, "Multiscale audio spectrogram transformer for efficient audio
#   classification", 2023. doi:10.48550/arXiv.2303.10757

# %% tags=["record"]
record("claims", verdict_table["id"].str[:2].nunique(), kind="exact")
for word in verdicts.VERDICTS:
    record(f"claims {word}", int(totals.get(word, 0)), kind="info")
record("pooled_std", pooled_std, unit="points", kind="info")
record("own_hop", 100 * own_gain.mean, unit="points", kind="info")
record("framed_cells", n_sure, kind="info")
record("hours_of_the_next_grids", float(plan["hours"].sum()), unit="h", kind="info")
record("minutes", (time.perf_counter() - started) / 60, unit="min", kind="info")
