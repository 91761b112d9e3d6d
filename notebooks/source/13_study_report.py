# %% [markdown]
# # 13 · Study report
#
# The earlier notebooks took apart the ideas of four papers on temporal resolution,
# pooling, transfer and augmentation. The study behind the course tests the papers'
# claims: it trained small networks, most of them on several folds with several seeds,
# and published one row of results per training run. What do the rows say about the
# claims, on which data, and how sure can we be?

# %% [markdown]
# ## You will be able to
#
# - **pair** the runs of two conditions, and count the pairs on which an interval rests
#   (exercise 13.1);
# - **judge** a claim from the intervals and margins of its questions (exercise 13.2);
# - **plan** how many pairs an experiment needs to detect an effect (exercise 13.3);
# - **answer** a question of your own from the published rows, with its margin fixed
#   beforehand (exercise 13.4).

# %% [markdown]
# ## Before you start
#
# You need notebook 04 for folds and intervals; each finding names the notebooks that
# explain it. Reading takes 40 minutes, the four exercises 40. Nothing is trained here,
# so the notebook runs in less than a minute in every profile.
#
# All numbers are computed from the published rows. The complete results are in
# [study/RESULTS.md](../study/RESULTS.md), and the rules in
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
profile: str = "lesson"  # smoke, lesson or study: all three do the same here
dataset: str = "synth10"  # not used: the study has its own data sets
seed: int = 0  # not used: nothing here depends on it
paper: str = "A"  # whose claims section 5 lists in full: A, B, C or D

# %%
started = time.perf_counter()
# `evidence` gives access to the published rows and to the answers computed from them
evidence = findings.evidence()
verdict_table = findings.claims_table()

# %% [markdown]
# ## 1. Five findings
#
# Each finding has a sentence in bold, its numbers and a figure. If the published rows
# no longer support the bold sentence, only the numbers are shown. Differences are in
# points, with 95 % intervals.
#
# The papers' claims are numbered: A1 is the first claim of paper A. The **verdict** on
# a claim says what the rows show on one data set: it *holds*, is *contradicted* or is
# *not shown*. Sections 3 and 4 explain how a verdict is reached, and list the words for
# claims that get no verdict.


# %%
def show_finding(index, file_name, caption):
    """Show finding number `index`, counted from 0, with its published figure."""
    _, meaning, numbers = findings.headlines()[index]
    sentence = f"**{meaning}** " if meaning else ""
    say(sentence + numbers)
    published = figures.FIGURES[file_name]
    tables = published.tables()  # the numbers that the figure shows
    figure = published.figure(*tables)
    show(figure, alt=published.text(*tables), caption=caption)


# %% [markdown]
# ### Does the hop matter?
#
# Notebook 05 trained a CNN at several hops. The study did the same on recordings and on
# the timing probe. The probe's sounds are generated: the two classes of a task differ
# only in *when* their energy comes.

# %%
predict(
    "13.a",
    ...,
    "On the timing probe, by how many points does a hop of 10 ms beat one of 50 ms?",
)

# %%
probe_clips = load_timing(clips_per_class=2, tasks=("gap",))
probe_waves = probe_clips.waves()
first_of_class = {}
for k, target in enumerate(probe_clips.targets):
    name = probe_clips.classes[target].replace("_", " ")
    if name not in first_of_class:
        first_of_class[name] = probe_waves[k]
play_pair(
    first_of_class,
    16_000,
    describe="Two classes of the timing probe: two clicks of noise, with a silence of "
    "5 or 10 ms between them.",
)

# %%
show_finding(0, "hops.png", caption="Bands: 95 % intervals of the accuracy, by source")
questions_of_a1 = {}  # claim A1 is about the hop; keys: data set and question
for question in findings.parts("A1"):
    questions_of_a1[question.data, question.about] = question
fine_over_coarse = questions_of_a1["timing probe", "10 ms over 50 ms"].found
gain = 100 * fine_over_coarse.interval.mean  # points
answer("13.a", round(gain, 1), unit="points", within=0.3)

# %% [markdown]
# The verdict on ESC-10 comes from the panel with 800 steps; the shorter training of 240
# steps is a control. On ESC-10 the window is fixed at 25 ms, so long hops leave gaps
# between windows: more than a third of a recording at 40 ms, and more than two thirds
# at 80 ms (notebook 05, section 11). Part of a difference may come from these gaps. On
# the probe and on the larger sets, windows are 2.5 hops long and leave none. Because
# they overlap, a network can solve the probe at longer hops than in notebook 05, where
# windows are no longer than the hop. At a hop of 40 ms, a spoken word has 26 frames, of
# which the poolings of the CNN leave one step in time, so part of the difference on
# words may come from the network.
#
# ### On recordings, does it help to learn which frames to keep?
#
# DiffRes (notebooks 07 and 08) keeps half the frames of ESC-10. The figure shows its
# accuracy minus that of each rival: the same merging with equal widths, random widths,
# widths by energy, or its own widths shuffled; average pooling; and the CNN on all
# frames at a hop of 10 or 20 ms.

# %%
show_finding(
    1, "widths.png", caption="95 % intervals; section 3 explains the wider grey bars"
)

# %% [markdown]
# Doing better than equal widths does not yet show that learning is needed: a rule, such
# as widths by flux, might do as well. For that comparison on the spoken words, see
# *Larger sets* in [study/RESULTS.md](../study/RESULTS.md).
#
# ### Where milliseconds decide, do learned widths find them?
#
# On the timing probe we know which frames matter. The figure shows the accuracy against
# the share of frames of 2.5 ms that are kept, for DiffRes, rules without learning and a
# longer hop. The oracle keeps the frames of the events and of the short pauses between
# them; at 5 % it is no upper bound (notebook 08, section 6). A training run succeeds if
# its test accuracy is at least 95 %.

# %%
show_finding(
    2,
    "budget.png",
    caption="Open marks: some training runs succeed and others fail. Dotted: guessing "
    "within the pair. Bars: 95 % intervals, by source",
)

# %% [markdown]
# ### Do fewer multiply-accumulates save time?
#
# Papers count multiply-accumulates (MACs). We also measured time, for one clip and for
# batches of 16, on one thread of an otherwise idle machine (notebook 08, section 2).
# The times include the log-mel; the counts do not. The text below compares DiffRes at
# half the frames with a plain hop of 40 ms. For the other conditions, check in the
# figure whether the time falls as much as the MACs.

# %%
show_finding(
    3,
    "frontier.png",
    caption="Dashed line: all frames of 10 ms. In brackets: accuracy on ESC-10",
)

# %% [markdown]
# ### Do pretrained features improve recognition and localisation?
#
# Notebook 10 tags mixed scenes, and notebook 11 detects the events in them. A system
# cannot localise an event that it does not recognise, so the two abilities are judged
# separately: recognition by tagging F1, and localisation by event F1 on the events that
# both systems recognise (notebook 11, section 5). All runs share one fold of scenes.

# %%
show_finding(
    4,
    "localisation.png",
    caption="95 % intervals over seeds, on one fold of scenes. Every class: a constant "
    "answer that names all classes",
)

# %% [markdown]
# The localisation result above is for auditory features every 320 ms in place of the
# log-mel. Finer auditory features (right panel) and features used together with the
# log-mel are separate questions: C8 and C7c in
# [study/RESULTS.md](../study/RESULTS.md).
#
# ## 2. One row
#
# All scores above are computed from rows like the next one. A row is one training run,
# tested once on its test fold. It holds the settings, the predictions for every test
# clip and the cost of the run.

# %%
sweep_rows = claims.sweep(evidence)  # the hop sweep on ESC-10, 240 steps
has_hop = sweep_rows["features.hop_ms"] == 10
has_fold_and_seed = (sweep_rows["fold"] == 1) & (sweep_rows["seed"] == 0)
row = sweep_rows[has_hop & has_fold_and_seed].iloc[0]
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
shown_values = row[SHOWN].astype(str)
shown_values.to_frame("one row")

# %%
recomputed = accuracy_score(row["test_targets"], row["test_predicted"])
assert recomputed == row["test_accuracy"]
n_test = len(row["test_targets"])
say(
    f"The row also lists the predictions for {n_test} test clips. Recomputed from "
    f"them, the accuracy is {100 * recomputed:.1f} %, as recorded."
)

# %% [markdown]
# ## 3. From rows to a difference
#
# Is a hop of 20 ms worse than one of 10 ms? Some folds contain harder recordings than
# others, but both conditions were tested on the same folds. So we subtract within each
# fold, and effects that both conditions share cancel.
#
# Both conditions were trained on five folds with three seeds each. **Should the
# interval count five differences or fifteen?** The seeds of a fold share its test
# clips. They measure the randomness of training but add no new recordings. We average
# them within the fold, so the interval counts five.

# %%
accuracy = sweep_rows.set_index(["features.hop_ms", "fold", "seed"])["test_accuracy"]
# accuracy[20.0] holds all runs at 20 ms; pandas pairs them by fold and seed
per_run = 100 * (accuracy[20.0] - accuracy[10.0])  # points, one per fold and seed
per_fold = per_run.groupby("fold").mean()
# These are differences already, so the second argument is 0
over_folds = paired_difference(per_fold.to_numpy(), np.zeros(len(per_fold)))
over_runs = paired_difference(per_run.to_numpy(), np.zeros(len(per_run)))

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
    f"{len(per_fold)} crosses for the fold means, from {per_fold.min():+.1f} to "
    f"{per_fold.max():+.1f}.",
    caption="The interval counts the crosses, one per fold",
)
say(
    f"The mean over {len(per_fold)} folds is **{verdicts.signed(over_folds, 2)}** "
    f"points. If all {len(per_run)} differences were treated as independent, the "
    f"interval would be {over_runs.low:+.2f} to {over_runs.high:+.2f}."
)

# %% [markdown]
# ### Exercise 13.1
#
# `first` and `second` are the runs of two conditions, each a list of dicts with the
# keys `fold`, `seed` and `accuracy`. Return a list of differences, first minus second,
# one per fold, in the order of the folds. Use only those combinations of fold and seed
# that both conditions have, and average over the seeds of each fold.


# %% tags=["exercise"]
def fold_differences(first, second):
    ### BEGIN SOLUTION
    accuracy_of_second = {}
    for run in second:
        fold_and_seed = (run["fold"], run["seed"])
        accuracy_of_second[fold_and_seed] = run["accuracy"]
    gaps_of_fold = {}
    for run in first:
        fold_and_seed = (run["fold"], run["seed"])
        if fold_and_seed in accuracy_of_second:
            gap = run["accuracy"] - accuracy_of_second[fold_and_seed]
            gaps_of_fold.setdefault(run["fold"], []).append(gap)
    return [np.mean(gaps_of_fold[fold]) for fold in sorted(gaps_of_fold)]
    ### END SOLUTION


check("13.1", fold_differences)

# %% [markdown]
# ### Five differences are too few to measure their spread
#
# The width of a t interval is proportional to the standard deviation of the
# differences, and five values give a poor estimate of it. If they are drawn from a
# normal distribution, 95 % of the estimates lie between 0.35 and 1.67 times the true
# value.
#
# How far do the estimates vary in the study? We take all conditions on ESC-10 with 800
# steps, trained on the same folds with the same seeds. From each we subtract the
# baseline, the CNN on all frames at a hop of 10 ms, and compute the standard deviation
# of the five differences.

# %%
diffres_rows = evidence.rows("diffres")  # all runs of the experiment with DiffRes
is_esc10 = diffres_rows["dataset"] == "esc10"
long_rows = diffres_rows[is_esc10 & (diffres_rows["recipe.steps"] == 800)]
no_reducer = long_rows["frame_reducer"] == "none"
is_baseline = no_reducer & (long_rows["features.hop_ms"] == 10)
baseline = long_rows[is_baseline].groupby("fold")["test_accuracy"].mean()
conditions = long_rows[~is_baseline].groupby(["frame_reducer", "features.hop_ms"])

own_std = []  # points, one per condition
for _, condition_rows in conditions:
    by_fold = condition_rows.groupby("fold")["test_accuracy"].mean()
    if len(by_fold) == len(baseline):  # trained on all folds
        differences = by_fold - baseline
        own_std.append(100 * differences.std())
own_std = np.sort(own_std)

# All answers about these runs share one pooled standard deviation: read the first
answers_long = evidence.answers[evidence.answers["where"] == questions.LONG]
pooled_std = 100 * answers_long["std"].iloc[0]
pooled_df = answers_long["df"].iloc[0]

# %% tags=["hide-input"]
# Draw the standard deviations and the pooled one
fig, ax = plt.subplots(figsize=(8, 2.2))
ax.plot(own_std, np.zeros(len(own_std)), "o", alpha=0.6, label="from five differences")
ax.axvline(pooled_std, color=plots.COLOURS[1], label="pooled")
ax.set(xlabel="standard deviation of a difference (points)", yticks=[], xlim=(0, None))
ax.legend(loc="upper center", bbox_to_anchor=(0.5, 1.35), ncols=2)
show(
    fig,
    alt=f"Standard deviations of the differences of {len(own_std)} conditions from the "
    f"baseline, from {own_std[0]:.1f} to {own_std[-1]:.1f} points, and the pooled one "
    f"at {pooled_std:.1f}.",
    caption="One dot per condition; the line is the pooled estimate",
)
say(
    f"The dots range from {own_std[0]:.1f} to {own_std[-1]:.1f} points. The study "
    "replaces them with a single standard deviation, pooled over all conditions: "
    f"{pooled_std:.1f} points, with {pooled_df} degrees of freedom instead of "
    f"{len(baseline) - 1}."
)
about_line = (
    "The line is not the average of the dots. All dots share one baseline; pooling "
    "uses every pair of conditions."
)
# Exactly then, the baseline stays closer to the mean of all conditions than is usual
if np.mean(own_std**2) < pooled_std**2:
    about_line += (
        " From fold to fold, this baseline happens to follow the mean of all "
        "conditions more closely than a typical condition does; "
        f"{np.sum(own_std < pooled_std)} of the {len(own_std)} dots lie to the left of "
        "the line."
    )
say(about_line)

# %% [markdown]
# To pool, average the accuracy over the seeds, for each condition on each fold. From
# each of these means subtract the mean of its condition and the mean of its fold, and
# add the overall mean. The residuals $r$ of all $k$ conditions on $f$ folds give the
# standard deviation of a difference between two conditions,
#
# $$s = \sqrt{\frac{2 \sum r^2}{(k-1)(f-1)}},$$
#
# with $(k-1)(f-1)$ degrees of freedom. The factor of 2 is there because both conditions
# vary. We apply the formula to the example at the beginning of this section, whose
# design is the sweep over all hops. Does the interval still exclude 0?

# %%
sweep_accuracy = sweep_rows.groupby(["features.hop_ms", "fold"])["test_accuracy"]
hop_by_fold = 100 * sweep_accuracy.mean().unstack("fold").to_numpy()  # points
n_hops, n_folds = hop_by_fold.shape
hop_means = hop_by_fold.mean(axis=1, keepdims=True)
fold_means = hop_by_fold.mean(axis=0)
residuals = hop_by_fold - hop_means - fold_means + hop_by_fold.mean()
sweep_df = (n_hops - 1) * (n_folds - 1)
sweep_std = np.sqrt(2 * (residuals**2).sum() / sweep_df)

half_width = student_t.ppf(0.975, sweep_df) * sweep_std / np.sqrt(n_folds)
pooled_low = over_folds.mean - half_width
pooled_high = over_folds.mean + half_width
word = "contains" if pooled_low <= 0 <= pooled_high else "excludes"
say(
    f"Pooled over the {n_hops} hops of its design, the standard deviation is "
    f"{sweep_std:.1f} points, with {sweep_df} degrees of freedom. The interval of our "
    f"example becomes **{pooled_low:+.2f} to {pooled_high:+.2f}** points and {word} 0; "
    f"from its own {n_folds} differences, it was {over_folds.low:+.2f} to "
    f"{over_folds.high:+.2f}."
)

# %% [markdown]
# Pooling assumes that all conditions have the same spread. On the timing probe they do
# not, because some runs fail, so the questions of the claims use the standard deviation
# of their own pairs there. One exception was planned: the comparisons of our variant of
# DiffRes (notebook 07, section 8) with its rivals are pooled, and where runs fail,
# their intervals are too narrow.
#
# The folds are not independent, because their training sets share clips. Nadeau and
# Bengio's correction widens the interval by a factor of
# $\sqrt{1 + f n_\text{test} / n_\text{train}}$, with the numbers of test and training
# clips of a fold. On ESC-10, one of the five folds is for testing, one for validation
# and three are for training, so the factor is $\sqrt{1 + 5/3} \approx 1.6$. These wider
# intervals, grey in the second finding, decide no verdict. In
# [study/RESULTS.md](../study/RESULTS.md), an asterisk marks each answer that they would
# turn into *not shown*.
#
# ## 4. From a difference to a verdict
#
# Each question has a **margin**, which should be fixed before the rows are read. For
# *better* it is 0. For *no worse* it is two points: a loss of up to two points is
# tolerated. The answer is *holds* if the difference is significantly above minus the
# margin, *contradicted* if it is significantly below, and *not shown* otherwise.
#
# Apart from the margin, the rules of sections 3 and 4 were chosen after the rows of the
# first study had been seen, so on those rows the verdicts correct our first analysis
# but confirm nothing ([study/protocol.md](../study/protocol.md), *The published rows
# judged again*). The questions for ten spoken words, ESC-50 and the budget curve were
# registered before their rows were read; the protocol lists the exceptions.
#
# ### Ten questions, ten chances of a false answer
#
# Claim A3, *as good as fixed resolution or better with at least 25 % less computation*,
# is tested by ten questions on five data sets. Suppose that each true difference were
# exactly minus the margin. Each question would still get a false answer in 5 of 100
# studies, so at least one of the ten answers would be false in up to 50 of 100.
#
# **Holm's procedure** keeps the probability of any false answer at 5 % or less. Sort
# the p values. The smallest must pass the strictest test, $p < 0.05/10$, the next one
# $p < 0.05/9$, and so on. Once a p value fails, its question and all that follow are
# *not shown*. A question whose rows are missing counts with $p = 1$: otherwise a test
# would be easier as long as others are unanswered. A question about networks that were
# still improving gets no verdict, however small its p value.

# %%
raw_p = []
has_converged = []
for question in findings.parts("A3"):
    has_converged.append(question.converged)
    if question.found is None:
        raw_p.append(1.0)
        continue
    standard_error = question.found.std / np.sqrt(question.found.pairs)
    # Positive if the difference is above minus the margin
    distance = question.found.interval.mean + question.margin
    t_value = distance / standard_error
    two_sided_p = 2 * student_t.sf(abs(t_value), question.found.df)
    raw_p.append(two_sided_p)
order = np.argsort(raw_p)
raw_p = np.array(raw_p)[order]
has_converged = np.array(has_converged)[order]
thresholds = 0.05 / np.arange(len(raw_p), 0, -1)  # 0.05/10, 0.05/9, ..., 0.05/1

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
n_uncorrected = int(((raw_p < 0.05) & has_converged).sum())
n_corrected = 0
for k in range(len(raw_p)):
    if raw_p[k] >= thresholds[k]:
        break  # this question and all that follow are not shown
    if has_converged[k]:
        n_corrected += 1
say(
    f"Without correction, {n_uncorrected} of the {len(raw_p)} questions would hold or "
    f"be contradicted; with Holm's procedure, {n_corrected}."
)

# %% [markdown]
# The answers to the questions of a claim are then combined, separately for each data
# set. The claim **holds** there if all its questions hold, is **contradicted** if at
# least one is contradicted and none holds, and is **not shown** otherwise.
#
# Some verdicts do not depend on the size of the difference:
#
# - *met by construction*: what we count was built to match the paper's number;
# - *not testable here*: our data or networks cannot answer the question;
# - *one fold: no verdict*: there are fewer than five pairs, on a single fold;
# - *not converged: no verdict*: a condition was still improving at its last step;
# - *not run*: no question of the claim about this data set has all its rows;
# - *not shown* for claim B2: a single training budget cannot show whether AST
#   (notebook 09) had converged.
#
# ### Exercise 13.2
#
# Write the rule that combines the answers, from intervals and without Holm's procedure.
# `parts` has one entry per question: `(low, high, margin)` in points, or `None` for a
# question that was not run. Return `"holds"`, `"contradicted"`, `"not shown"`, or
# `"not run"` if no question was run.


# %% tags=["exercise"]
def judge(parts):
    ### BEGIN SOLUTION
    n_run = 0
    n_hold = 0
    n_contradicted = 0
    for part in parts:
        if part is None:
            continue
        low, high, margin = part
        n_run += 1
        if low > -margin:
            n_hold += 1
        if high < -margin:
            n_contradicted += 1
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

# %%
predict("13.b", ..., "Which verdict will be the most frequent?")

# %%
PAPERS = {
    "A": "DiffRes",
    "B": "MAST",
    "C": "audiovisual transfer",
    "D": "augmentation",
}
paper_of_verdict = verdict_table["id"].str[0].map(PAPERS)  # claim "A3": paper A
counts = pd.crosstab(paper_of_verdict, verdict_table["verdict"])
words = [word for word in verdicts.VERDICTS if word in counts]
counts = counts.loc[list(PAPERS.values()), words]

# %% tags=["hide-input"]
# Draw the number of verdicts by paper
STYLES = {  # colour and hatch
    "holds": (plots.COLOURS[2], ""),
    "not shown": (plots.COLOURS[4], "//"),
    "contradicted": (plots.COLOURS[1], "xx"),
    "met by construction": (plots.COLOURS[0], ".."),
    "one fold: no verdict": (plots.COLOURS[5], "\\\\"),
    "not converged: no verdict": (plots.COLOURS[3], "++"),
    "not testable here": ("0.65", ""),
    "not run": ("white", ""),
}
fig, ax = plt.subplots(figsize=(9, 3.2))
left = np.zeros(len(counts))
for word in words:
    colour, hatch = STYLES[word]
    bars = ax.barh(
        counts.index,
        counts[word],
        left=left,
        color=colour,
        hatch=hatch,
        edgecolor="black",
        label=word,
    )
    numbers = [str(n) if n else "" for n in counts[word]]
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    ax.bar_label(bars, numbers, label_type="center", fontsize=12, bbox=box)
    left += counts[word].to_numpy()
ax.invert_yaxis()
ax.set(xlabel="claims, each counted once per data set")
ax.set_xticks(np.arange(0, left.max() + 1, 5))
ax.legend(loc="upper center", bbox_to_anchor=(0.4, -0.22), ncols=3)
in_words = []
for name in counts.index:
    of_paper = [f"{counts.loc[name, word]} {word}" for word in words]
    in_words.append(f"{name}: {', '.join(of_paper)}")
show(
    fig,
    alt="Verdicts by paper, one stacked bar each. " + "; ".join(in_words) + ".",
    caption="White: not run, so there is no verdict yet",
)

# %%
totals = counts.sum()
n_not_run = int(totals.get(verdicts.NOT_RUN, 0))
reached = totals.drop(verdicts.NOT_RUN, errors="ignore")
answer("13.b", reached.idxmax())
listed = [f"{n} *{word}*" for word, n in reached.items()]
say(
    f"{reached.sum()} verdicts: {', '.join(listed)}; {n_not_run} further pairs of a "
    "claim and a data set are *not run*. *Not shown* does not mean that a claim is "
    "false. It is open because an interval is too wide, because Holm's procedure "
    "requires a smaller p value, or because the design cannot decide (B2)."
)

# %% [markdown]
# The next table sets the claims of one paper beside our measurements. The parameter
# `paper` chooses the paper; [study/RESULTS.md](../study/RESULTS.md) has all four
# tables, with the reasons behind each verdict. Differences are in points, with 95 %
# intervals, unless the line names another measure or unit. The last column answers the
# question of its line; where the design decides, it gives the verdict on the claim.
#
# Intervals are not corrected for the number of questions; verdicts are (Holm's
# procedure). Where the interval is clear of the margin and only the correction leaves
# the question open, the corrected p value stands in brackets.


# %% tags=["hide-input"]
# List the claims of one paper as a table
def answer_to(claim, part):
    """The difference measured for a question, and its answer; both as text."""
    if part.found is None:
        return "", verdicts.NOT_RUN
    if claim.verdict:  # it follows from the design
        return part.difference, claim.verdict
    word = part.verdict
    p_alone = part.found.p(part.margin)  # without Holm's procedure
    if word == verdicts.NOT_SHOWN and p_alone < verdicts.LEVEL:
        word += f" (p {part.p:.2f})"
    return part.difference, word


def claims_of(letter):
    lines = [
        "| claim | the paper | data set: question | measured here | answer |",
        "|---|---|---|---|---|",
    ]
    verdict_of = verdict_table.drop_duplicates("id").set_index("id")["verdict"]
    for claim in claims.claims():
        if not claim.id.startswith(letter):
            continue
        name = f"**{claim.id}**: {claim.says}"
        stated = claim.paper
        parts = findings.parts(claim.id)
        if not parts:  # a claim without questions still gets a line
            lines.append(f"| {name} | {stated} | | | {verdict_of[claim.id]} |")
        for part in parts:
            if isinstance(part, verdicts.Part):  # a question
                asked = f"{part.data}: {part.about}"
                measured, word = answer_to(claim, part)
            else:  # a count or a level, in words
                asked = part
                measured = ""
                word = verdict_of[claim.id]
            lines.append(f"| {name} | {stated} | {asked} | {measured} | {word} |")
            name, stated = "", ""  # the claim stands only on its first line
    return "\n".join(lines)


say(claims_of(paper))

# %% [markdown]
# Two reservations apply. First, the rows behind A2 to A4 do not test DiffRes as
# published (notebook 08, section 8). They have no guide loss and no SpecAugment. All
# train a small CNN from scratch, with AdamW at a learning rate of 2e-3 or 3e-3 and in
# bfloat16; most use a lighter scorer of our own and mixup on log-mels.
#
# Second, paper C is judged on one fold of scenes. Its intervals cover the randomness of
# training, not the choice of sounds.

# %% [markdown]
# ## 6. What temporal resolution does each sound need?
#
# The course began with this question. Ten classes at four hops, each compared with
# 10 ms, make 40 questions, one per cell of the next figure. A cell is framed only if
# its difference is significant after Holm's procedure for all 40. The test of a cell
# uses only its five differences, without pooling. We compare classes by F1, because a
# network that answers *dog* too often has a high recall for dogs.

# %%
predict("13.c", ..., "Of the 40 cells, how many will be significant?")

# %%
cells = per_class.against(sweep_rows)
show(
    per_class.classes_figure(cells),
    alt=per_class.classes_text(cells),
    caption="F1 minus F1 at 10 ms, ESC-10, 240 steps; significant cells are framed",
)
compared = cells[cells["hop_ms"] != per_class.USUAL_MS]
n_sure = int(compared["sure"].sum())
answer("13.c", n_sure)
excludes_zero = (compared["low"] > 0) | (compared["high"] < 0)
say(
    f"Without correction, {excludes_zero.sum()} of the {len(compared)} intervals "
    f"exclude 0. After Holm's procedure, **{n_sure}** differences are significant."
)

# %% [markdown]
# At 40 and 80 ms, a difference may also come from the gaps between windows (section 1).
#
# You might expect clock ticks and crackling fire to need shorter hops than rain, but
# among 40 noisy cells a plausible pattern can appear by chance. So we test the idea on
# data that were not used to find it. On four folds we choose the best hop for each
# class and the best single hop for all, and we score both choices on the fifth; each
# fold is the fifth once. If classes need different hops, and four folds suffice to find
# them, the choice by class should score higher.

# %%
own_gain, _ = per_class.own_hop(sweep_rows)
long_sweep = long_rows[long_rows["frame_reducer"] == "none"]
own_gain_long, _ = per_class.own_hop(long_sweep)
say(
    "F1 with a separate hop for each class, compared with one hop for all: "
    f"**{verdicts.difference_text(own_gain.scaled(100))}** after 240 steps, and "
    f"**{verdicts.difference_text(own_gain_long.scaled(100))}** after 800."
)

# %% [markdown]
# ## 7. How small an effect could the study detect?
#
# An experiment with few pairs and widely scattered differences can miss a small effect.
# Its **smallest detectable effect** is the true difference that it would find, at the
# 5 % level, in 80 of 100 repetitions. The next figure groups the questions by design:
# a data set with its training recipe or, for scenes, a score. Each bar is the median
# over the questions of a design, without Holm's procedure. In the names of the designs,
#
# - *both forms* are DiffRes with the light scorer and our variant;
# - *small and from scratch* compares AST, MAST and a CNN of 7 layers;
# - *Lite0* is the network of notebook 06;
# - *windows of 2.5 hops* are those of the probe in section 1;
# - *one class, one hop* is a cell of section 6.

# %%
designs = power.designs(evidence)
# On one score of scenes the paper reports a small loss: no improvement to detect
for score in ("tagging", "segment", "event"):
    stated_f1 = questions.paper_scores(score)
    if stated_f1[questions.ALL_STREAMS] < stated_f1["spectral"]:
        designs.loc[designs["design"] == f"scenes, {score}", "claimed"] = np.nan

# %% tags=["hide-input"]
# Draw the smallest detectable effect of each design
fig, ax = plt.subplots(figsize=(9, 0.45 * len(designs) + 1.4))
places = np.arange(len(designs))
smallest = designs["minimum_detectable_effect"]
ax.barh(places, smallest, color=plots.COLOURS[4], label="smallest detectable effect")
ax.plot(
    designs["claimed"], places, "D", color=plots.COLOURS[1], label="the paper's gain"
)
two_points = 100 * questions.EQUAL
ax.axvline(two_points, color="black", linestyle=":", label='margin of "no worse"')
names = [f"{d.design} ({d.pairs} {d.paired_by}s)" for d in designs.itertuples()]
ax.set_yticks(places, names)
ax.set(xlabel="points", ylim=(len(designs) - 0.5, -0.5))
ax.legend(loc="upper center", bbox_to_anchor=(0.2, -0.07), ncols=3)
in_words = [
    f"{d.design} {d.minimum_detectable_effect:.1f}" for d in designs.itertuples()
]
show(
    fig,
    alt="Smallest detectable effect of each design in points: " + "; ".join(in_words),
    caption="Diamonds: the smallest gain stated in the paper, if there is one",
)
stated = designs[designs["claimed"].notna()]
lines = []
for design in stated.itertuples():
    word = "within reach" if design.sees else "out of reach"
    lines.append(
        f"- {design.design}: the paper states a gain of {design.claimed:.1f} points; "
        f"the smallest detectable effect is {design.minimum_detectable_effect:.1f}: "
        f"**{word}**."
    )
say("\n".join(lines))

# %% [markdown]
# ### Exercise 13.3
#
# Here is a rule of thumb for planning. To be significant at the 5 % level, a difference
# must exceed 1.96 standard errors. To exceed them in 80 of 100 studies, the true effect
# must be 0.84 standard errors larger: $1.96 + 0.84 = 2.8$. The standard error of the
# mean of $n$ differences is $s/\sqrt{n}$. Given the standard deviation $s$ of the
# differences (`sd`) and the `effect`, both in points, return the smallest whole number
# of pairs that is enough.
#
# **Predict:** how many times as many pairs does an effect half as large need?


# %% tags=["exercise"]
def pairs_needed(sd, effect):
    ### BEGIN SOLUTION
    return int(np.ceil((2.8 * sd / effect) ** 2))
    ### END SOLUTION


check("13.3", pairs_needed)

# %%
effects = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0])  # points
rule_of_thumb = np.ceil((2.8 * pooled_std / effects) ** 2)
by_t_test = []  # the smallest number of pairs that detects each effect
for effect in effects:
    n_pairs = 2  # a standard deviation needs at least two
    while stats.minimum_detectable_effect(pooled_std, n_pairs) > effect:
        n_pairs += 1
    by_t_test.append(n_pairs)
pooled_effect = 100 * answers_long["minimum_detectable_effect"].median()

# %% tags=["hide-input"]
# Draw the number of pairs that each effect needs
fig, ax = plt.subplots(figsize=(8, 3.4))
plots.lines(
    effects,
    {"rule of thumb": rule_of_thumb, "t test, exact": np.array(by_t_test)},
    ax,
    xlabel="effect (points)",
    ylabel="pairs needed",
    markers=True,
)
ax.set(yscale="log")
plots.log_ticks(ax.yaxis, (2, 5, 10, 20, 50, 100))
ax.axhline(n_folds, color="grey", linestyle=":", linewidth=1)
show(
    fig,
    alt=f"Folds needed, falling from {by_t_test[0]} for {effects[0]} points to "
    f"{by_t_test[-1]} for {effects[-1]:g}; a dotted line at the {n_folds} folds of "
    "ESC-10.",
    caption="ESC-10, 800 steps; the dotted line marks its five folds",
)
say(
    "By the rule of thumb, half the effect needs four times as many pairs. By the t "
    f"test, you need {by_t_test[1]} folds to detect one point and {by_t_test[3]} to "
    f"detect two; ESC-10 has {n_folds}. With few pairs the rule of thumb is too "
    "optimistic, because it treats the standard deviation as known. The t test "
    "estimates it from the same pairs. The study pools it over all conditions, so its "
    f"{n_folds} folds can detect {pooled_effect:.1f} points (*ESC-10, 800 steps* in "
    "the first figure of this section)."
)

# %% [markdown]
# ## 8. What to run next
#
# ESC-10 has only five folds, but larger data sets have more clips, and UrbanSound8K has
# more folds. A **grid** is a file that lists the runs of an experiment, and grids for
# larger sets are ready in `study/grids`. We estimate their cost from the training times
# in the published rows. For the smallest detectable effect, we assume that the standard
# deviation of the differences is inversely proportional to the square root of the
# number of test clips per fold.

# %%
plan = power.next_runs(evidence.rows)
plan_table = plan[["grid", "rows", "hours", "pairs", "minimum_detectable_effect"]]
plan_table = plan_table.set_index("grid").round(1)
plan_table = plan_table.astype(object)  # so that the last column can hold text too
plan_table.columns = ["rows", "GPU hours", "folds", "could detect (points)"]
plan_table.fillna("one split: unknown")

# %%
n_weeks = plan["hours"].sum() / power.WEEK_H
sharpest = plan.loc[plan["minimum_detectable_effect"].idxmin()]
n_untimed = int(plan["unknown"].sum())  # rows of networks that no published row timed
without = f", without {n_untimed} rows of networks never timed" if n_untimed else ""
say(
    f"All grids together take about {plan['hours'].sum():.0f} hours on one GPU "
    f"({n_weeks:.1f} weeks{without}). Where we can estimate it, the smallest "
    f"detectable effect is lowest for *{sharpest['grid']}*: "
    f"{sharpest['minimum_detectable_effect']:.1f} points."
)

# %% [markdown]
# `course study run urbansound8k` starts such a grid. After an interruption, the same
# command resumes it. Once the grid is complete, `course study report urbansound8k
# --publish` publishes its rows.
#
# ### Exercise 13.4
#
# Now ask a question of your own. Choose two conditions of the grid `diffres` that
# differ in **one** setting and that you have not seen compared. Before you look at
# their accuracies, write down the margin and the answer that you expect. The next cell
# lists the conditions; the number after the name of a frame reducer is the share of
# frames that it removes. On ESC-10, avoid `diffres-light:0.5` at a hop of 10 ms after
# 240 steps, because ten of its runs had another recipe, with SpecAugment.
#
# The data sets are `esc10`, `fsdd` (spoken digits) and `timing` (the probe). The frame
# reducers without learning are
#
# - widths by a rule: `uniform` (equal), `random`, `frozen` (the same random widths for
#   all clips), `energy` and `flux`;
# - poolings: `average` (mean of log power), `linear` (mean of power), `average-max`
#   (mean of average and maximum) and `subsample` (single frames);
# - segments: `similarity` (merges the most similar neighbours) and `distortion` (least
#   squared error).
#
# Learned are `diffres`, `diffres-light` (with the lighter scorer), `shuffled` (the
# same, with its scores shuffled at test time) and `convolution` (a few trained layers
# before the average). `none` keeps all frames.

# %%
SETTINGS = ["dataset", "recipe.steps", "features.hop_ms", "frame_reducer"]
n_runs = diffres_rows[SETTINGS].value_counts().rename("runs")
with pd.option_context("display.max_rows", None):
    display(n_runs.sort_index().to_frame())

# %% [markdown]
# Return a dict with
#
# - `"first"` and `"second"`, each a dict with the four settings above;
# - `"margin"`, in points: 0 if you ask whether the first is *better*, above 0 if you
#   ask whether it is *no worse*;
# - `"expected"`: `"holds"`, `"contradicted"` or `"not shown"`.


# %% tags=["exercise"]
def my_question():
    ### BEGIN SOLUTION
    common = {"dataset": "esc10", "recipe.steps": 800, "features.hop_ms": 10.0}
    return {
        "first": common | {"frame_reducer": "diffres-light:0.75"},
        "second": common | {"frame_reducer": "diffres-light:0.5"},
        "margin": 2.0,
        "expected": "not shown",
    }
    ### END SOLUTION


check("13.4", my_question)

# %% [markdown]
# The next cell answers your question. It uses only the differences between your two
# conditions, without pooling and without Holm's procedure, so the interval can differ
# from the one in [study/RESULTS.md](../study/RESULTS.md).

# %%
asked = my_question()
is_written = asked is not None and asked is not ...
found = None
if is_written:
    first = questions.chosen(diffres_rows, asked["first"])
    second = questions.chosen(diffres_rows, asked["second"])
    found = stats.difference(first, second)  # None if they share fewer than two pairs
if not is_written:
    say("Write `my_question` first; this cell then answers it from the rows.")
elif found is None:
    say("These two conditions share too few runs; choose others from the list above.")
else:
    margin = asked["margin"] / 100  # a share, like the accuracies
    word = verdicts.judged(found, margin, found.p(margin))
    say(
        f"{verdicts.signed(found.interval.scaled(100))} points over {found.pairs} "
        f"{found.paired_by}s: **{word}**. You expected *{asked['expected']}*."
    )

# %% [markdown]
# If you ask ten questions and report only the best, its interval means little. Report
# how many you asked.
#
# ## What we saw

# %% tags=["hide-input"]
lines = []
for _, meaning, numbers in findings.headlines():
    lines.append(f"- {meaning or numbers}")
gain_in_words = verdicts.difference_text(own_gain_long.scaled(100))
lines.append(
    "- F1 with a separate hop for each class, compared with one hop for all, on "
    f"held-out folds of ESC-10 after 800 steps: {gain_in_words}."
)
say("\n".join(lines))

# %% [markdown]
# - Seeds of one fold are not independent experiments.
# - Fix the margin before you see the interval.
# - Correct for the number of questions, and judge each data set separately.
# - *Not shown* does not mean *absent*: compare with the smallest detectable effect.
#
# ## What next
#
# This is the last notebook. Test yourself with its
# [questions](quizzes/13_study_report.md). Then run the course on your own sounds
# (`make course DATASET=FOLDER`), or write a grid and a question of your own and publish
# the rows beside ours.
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
#   classification", ICASSP 2023. doi:10.48550/arXiv.2303.10757

# %% tags=["record"]
record("claims", verdict_table["id"].str[:2].nunique(), kind="exact")
for word in verdicts.VERDICTS:
    record(f"claims {word}", int(totals.get(word, 0)), kind="info")
record("pooled_std", pooled_std, unit="points", kind="info")
record("own_hop", 100 * own_gain.mean, unit="points", kind="info")
record("framed_cells", n_sure, kind="info")
record("hours_of_the_next_grids", float(plan["hours"].sum()), unit="h", kind="info")
record("minutes", (time.perf_counter() - started) / 60, unit="min", kind="info")
