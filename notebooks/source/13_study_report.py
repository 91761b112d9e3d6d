# %% [markdown]
# # 13 · Study report
#
# A dog barks, and four papers have something to say about how finely a computer must look at it. Eleven notebooks
# took the papers' ideas apart. Behind them, a study trained the same networks again and again, on every fold and
# with several seeds, and kept one row for each training.
#
# This notebook trains nothing. It reads the rows and asks of every claim: what did the paper say, what did we
# measure, on which data, and how sure are we? It ends with what to run next. All results in one place, with
# pictures: [study/RESULTS.md](../study/RESULTS.md).
#
# All numbers here come from rows that are published with the course. A grid that has not been run yet says *not run*, and fills in by itself when it is.

# %% [markdown]
# ## You will be able to
#
# - **pair** the rows of two conditions, and say how many pairs an interval may count (exercise 13.1);
# - **judge** a claim of several questions on one data set, by intervals and margins alone (exercise 13.2);
# - **tell** a need from noise, where many cells of a table are looked at;
# - **say** how many pairs it takes to see an effect (exercise 13.3), and what a week of a graphics card would buy.

# %% [markdown]
# ## Before you start
#
# You need notebook 08, where intervals and margins were met, and 05 for the folds; each section names the notebook of the claim that it judges. Reading takes 50 minutes, the three exercises 30. The machine needs less than a minute in every profile, for nothing is trained.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from course_lib import plots, profiles
from course_lib.analysis import claims, pareto, per_class, power, questions, verdicts
from course_lib.data.load import load
from course_lib.evaluation.intervals import paired_difference
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, show
from course_lib.study import config, stats

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # lesson, study, or smoke (a test, no conclusions); they do the same here
dataset: str = "synth10"  # where the sound of section 1 comes from: a name from `course data list`, or your own manifest.csv
seed: int = 0  # not used: nothing here is drawn or trained

# %% [markdown]
# ## 1. One row
#
# A row is one training and one look at its test fold. It holds what was asked for, what was chosen on validation, what the network said of every test clip, and what it cost. Its *key* is a hash of everything that was asked for: two rows of one key are the same experiment.
#
# Trust is good. We take a row apart: does its score follow from its list of clips, and its key from its fields?

# %%
started = time.perf_counter()
evidence = claims.Evidence()
rows = claims.sweep(evidence)  # the hop sweep of notebook 05: one window, one budget, every start
row = rows[(rows["features.hop_ms"] == 10) & (rows["fold"] == 1) & (rows["seed"] == 0)].iloc[0]
right = np.asarray(row["test_targets"]) == np.asarray(row["test_predicted"])
asked = {name: None if pd.isna(row[name]) else row[name] for name in config.FIELDS}
again = config.from_dict({name: value.item() if hasattr(value, "item") else value for name, value in asked.items()})
assert right.mean() == row["test_accuracy"] and again.key == row["key"]
say(f"Row `{row['key']}`: {row['model']}, hop {row['features.hop_ms']:g} ms, fold {row['fold']}, start {row['seed']}. **{right.sum()} of {len(right)}** test clips are right, which is its {100 * row['test_accuracy']:.1f} %, and its key is that of its fields. It was run at commit {row['commit'][:7]} on {row['device_name']} in {row['minutes']:.1f} minutes.")

# %% [markdown]
# Behind the list of clips are sounds. Which recording does the coarsest hop lose most often that the usual one knows? Here it is, where you have ESC-10; else a made sound stands in for it.

# %%
known = {hop: pd.Series([c for clips in of["test_correct"] for c in clips], [c for clips in of["test_clips"] for c in clips]).groupby(level=0).mean() for hop, of in rows.groupby("features.hop_ms") if hop in (10, 80)}
lost = (known[10] - known[80]).sort_values(ascending=False)
clips = load(dataset, profiles.get(profile))
there = np.flatnonzero(clips.table["clip"] == lost.index[0])
place = int(there[0]) if len(there) else 0
wave = clips.where(np.arange(len(clips)) == place).waves()[0]
loudest = int(np.abs(wave).argmax())
cut = wave[max(0, loudest - 16_000) :][:32_000]
what = clips.table["label"].iloc[place].replace("_", " ")
play(0.8 * cut / max(np.abs(cut).max(), 1e-9), 16_000, describe=f"2 s around the loudest moment of a clip: {what}." if len(there) else f"A made sound in its place: {what}.")
say(f"Clip `{lost.index[0]}` of ESC-10: right in {100 * known[10][lost.index[0]]:.0f} % of the trainings at 10 ms, in {100 * known[80][lost.index[0]]:.0f} % at 80 ms. Of {len(lost)} clips {int((lost > 0.5).sum())} are lost so, and {int((lost < -0.5).sum())} are won. One clip proves nothing; that is why there are folds.")

# %% [markdown]
# ## 2. From rows to a difference
#
# Folds differ: some hold the harder recordings. Two conditions on the *same* fold share that, so we look at differences, fold by fold. Starts of one fold share its clips. They tell how much luck there is in training, and are no new sounds: we average them first.
#
# **Predict:** in the figure every dot is one pair of trainings, every cross the mean of a fold. Which of the two would you put into a t interval?

# %%
pair = {hop: rows[rows["features.hop_ms"] == hop].set_index(["fold", "seed"])["test_accuracy"] for hop in (10.0, 20.0)}
single = 100 * (pair[20.0] - pair[10.0])
by_fold = single.groupby("fold").mean()
wrong, gap = (paired_difference(values.to_numpy(), np.zeros(len(values))) for values in (single, by_fold))
fig, ax = plt.subplots(figsize=(8, 3.4))
ax.plot(single.index.get_level_values("fold") + 0.08 * (single.index.get_level_values("seed") - 1), single, "o", label="one start")
ax.plot(by_fold.index, by_fold, "x", markersize=12, markeredgewidth=2.5, label="mean of the fold")
ax.axhline(0, color="grey", linewidth=1)
ax.set(xlabel="fold", ylabel="20 ms less 10 ms (points)", xticks=by_fold.index)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt=f"Difference in accuracy between 20 and 10 ms by fold, {len(single)} dots for single starts from {single.min():+.1f} to {single.max():+.1f} points and {len(by_fold)} crosses for the folds' means from {by_fold.min():+.1f} to {by_fold.max():+.1f}.")
say(f"From {len(by_fold)} folds: **{verdicts.signed(gap)}** points. As if all {len(single)} pairs were independent: {verdicts.signed(wrong)}. The honest interval has fewer pairs and {'more' if gap.high - gap.low > wrong.high - wrong.low else 'less'} width here; what it claims to cover is other recordings, not other starts on the same ones.")

# %% [markdown]
# ### Exercise 13.1
#
# Two conditions as lists of dicts with `fold`, `seed` and `accuracy`. Return the list of differences, first less second, one number a fold in the order of the folds: over the starts that **both** have, averaged within the fold.

# %% tags=["exercise"]
def fold_differences(first, second):
    ### BEGIN SOLUTION
    other = {(row["fold"], row["seed"]): row["accuracy"] for row in second}
    found = {}
    for row in first:
        if (row["fold"], row["seed"]) in other:
            found.setdefault(row["fold"], []).append(row["accuracy"] - other[row["fold"], row["seed"]])
    return [sum(found[fold]) / len(found[fold]) for fold in sorted(found)]
    ### END SOLUTION


check("13.1", fold_differences)

# %% [markdown]
# ## 3. One claim, one verdict
#
# A claim is split into questions that rows can answer: *is this better than that?* A question has a margin, 0 for
# *better*, two points for *no worse*, and its interval decides, as in notebook 08. Each data set gets a verdict of
# its own: there, a claim **holds** if all its questions hold, is **contradicted** if one is and none holds, and is
# **not shown** otherwise. A question without rows counts as one that is not answered.
#
# Three refinements matter when you read the tables below:
#
# - Five differences estimate their own spread badly. Intervals therefore use a standard deviation that is *pooled*
#   over all conditions of a design.
# - A claim with six questions has six chances of a false answer. The p values of a claim are corrected for that
#   (Holm's procedure), so a question can be *not shown* although its own interval leaves out 0.
# - Some verdicts follow from the design, whatever the numbers: *met by construction*, *not testable here*, and
#   *one fold: no verdict*, where fewer than five pairs come from a single fold.
#
# ### Exercise 13.2
#
# Write that rule. `parts` is a list of `(low, high, margin)`, or `None` for a question that was not run. Return `"holds"`, `"contradicted"`, `"not shown"`, or `"not run"` if nothing was run.

# %% tags=["exercise"]
def judge(parts):
    ### BEGIN SOLUTION
    run = [part for part in parts if part is not None]
    if not run:
        return "not run"
    above, below = sum(low > -margin for low, _, margin in run), sum(high < -margin for _, high, margin in run)
    if above == len(parts):
        return "holds"
    return "contradicted" if below and not above else "not shown"
    ### END SOLUTION


check("13.2", judge)

# %% [markdown]
# Now all of them. **Predict** before you run: how many of the verdicts will be *holds*? And how many
# *contradicted*?

# %%
PAPERS = {"A": "DiffRes (notebooks 07 and 08)", "B": "MAST (notebook 09)", "C": "audiovisual transfer (notebooks 10 and 11)", "D": "meaningful augmentation (notebooks 03, 04, 06)"}
table = claims.table(evidence)
counts = table["verdict"].value_counts()
fig, ax = plt.subplots(figsize=(9, 3))
left = np.zeros(len(PAPERS))
for k, word in enumerate(w for w in verdicts.VERDICTS if w in counts):
    share = np.array([(table["id"].str.startswith(paper) & (table["verdict"] == word)).sum() for paper in PAPERS])
    bars = ax.barh(range(len(PAPERS)), share, left=left, color=plots.COLOURS[k % len(plots.COLOURS)], hatch=("", "//", "xx", "..", "\\\\", "++", "oo")[k], edgecolor="white", label=word)
    ax.bar_label(bars, [str(n) if n else "" for n in share], label_type="center", fontsize=12, bbox={"facecolor": "white", "edgecolor": "none", "pad": 1})
    left += share
ax.set(yticks=range(len(PAPERS)), yticklabels=PAPERS.values(), xlabel="verdicts", ylim=(len(PAPERS) - 0.5, -0.5))
ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.2), ncols=3)
by_word = {word: ", ".join(table.loc[table["verdict"] == word, ["id", "data"]].agg(" ".join, axis=1).str.strip()) for word in counts.index}
show(fig, alt="Verdicts by paper, a bar each, cut by verdict: " + "; ".join(f"{word}: {ids}" for word, ids in by_word.items()) + ".")
say("; ".join(f"**{counts[word]} {word}**" for word in verdicts.VERDICTS if word in counts) + f", of {len(table)} verdicts on {table['id'].str[:2].nunique()} claims.")

# %% [markdown]
# ### A and B, one by one
#
# Read a row from left to right: what the paper says and its figure; the data set; what we measured there, in
# points, with its 95 % interval; folds × seeds; the verdict. Below each table: the controls, and what to know about
# the design.

# %%
def claims_of(paper):
    """The claims of one paper as a table in Markdown."""
    mine = table[table["id"].str.startswith(paper)]
    lines = ["| | claim | paper | data | here | design | verdict |", "|---|---|---|---|---|---|---|"]
    for r in mine.to_dict("records"):
        lines.append(
            f"| {r['id']} | {r['claim']} | {r['paper']} | {r['data']} | {r['ours']} | {r['design']} "
            f"| **{r['verdict']}** |"
        )
    notes = []
    for r in mine.drop_duplicates("id").to_dict("records"):
        control = f" Beside it: {r['control']}." if r["control"] else ""
        notes.append(f"- **{r['id']}**: {r['reason']}{control}")
    return f"**{paper}: {PAPERS[paper]}**\n\n" + "\n".join(lines) + "\n\n" + "\n".join(notes)


say(claims_of("A"))
say(claims_of("B"))

# %% [markdown]
# One thing stands between these rows and the paper on DiffRes: they are not the published method. They have no guide
# loss and no SpecAugment, most use a lighter scorer of our own, AdamW at 3e-3 with weight decay on everything, mixup on
# log-mels, and bfloat16.
#
# Look at the controls of A2 and A3. If the gain of a learned layer comes from having fewer frames, equal widths have it
# too. The budget matters as much: the next figure asks the same question after 240 and after 800 steps.

# %%
shown = evidence.answers[(evidence.answers["question"] == claims.HALF) | (evidence.answers["question"] == "equal widths, half the frames, no worse than 10 ms")]
shown = shown[shown["where"].isin((questions.LONG, questions.SHORT))].sort_values("where", ascending=False)
fig, ax = plt.subplots(figsize=(9, 2.8))
plots.forest(100 * shown[["difference", "low", "high"]].to_numpy(), [f"{r.where}: {r.question.split(',')[0]}" for r in shown.itertuples()], ax, xlabel="half the frames minus all frames of 10 ms (points)")
ax.axvline(-100 * questions.EQUAL, color="black", linestyle=":", linewidth=1)
show(fig, alt="Half the frames minus all frames of 10 ms, in points with intervals, a line each: " + "; ".join(f"{r.where}, {r.question.split(',')[0]} {100 * r.difference:+.1f}" for r in shown.itertuples()) + "; a dotted line at the margin.")
say("The same question at two budgets: " + "; ".join(f"{r.where}, {r.question.split(',')[0].replace('DiffRes', 'learned widths')} **{100 * r.difference:+.1f}** ({100 * r.low:+.1f} to {100 * r.high:+.1f})" for r in shown.itertuples()) + ". The long budget was added after the short one had been seen, as the protocol says, and the margin stayed.")

# %% [markdown]
# ### C and D, one by one
#
# The rows of C rest on one fold of scenes. Their intervals cover the randomness of training, not other sounds, and
# three seeds on one fold get no verdict. Levels on other scenes are not compared; what each input adds is.

# %%
say(claims_of("C"))
say(claims_of("D"))

# %% [markdown]
# ## 4. What does accuracy cost?
#
# Four papers have four ideas of where to save. The next figure shows test accuracy on ESC-10 against the milliseconds
# that one clip takes on a processor, one panel for each training budget: only points of one panel had the same steps
# and clips.
#
# **Predict:** DiffRes with half the frames (*light -50 %*) needs about half the multiply-accumulates of all frames of
# 10 ms. How much of the time?

# %%
plane = pareto.table(evidence.rows)
show(pareto.systems_figure(plane), alt=pareto.systems_text(plane))
at_800 = plane[plane["panel"] == pareto.LONG].set_index("system")
half, full = at_800.loc["light -50 %"], at_800.loc["10 ms"]
say(
    f"DiffRes with half the frames takes {half['macs'] / full['macs']:.2f} of the multiply-accumulates of all frames "
    f"of 10 ms and **{half['ms_cpu'] / full['ms_cpu']:.2f}** of the time ({half['ms_cpu']:.1f} and "
    f"{full['ms_cpu']:.1f} ms). A plain hop of 40 ms takes {at_800.loc['40 ms', 'ms_cpu']:.1f} ms, with an accuracy "
    f"{at_800.loc['40 ms', 'accuracy'] - half['accuracy']:+.1f} points from that of DiffRes. Intervals by source reach "
    f"over {plane['high'].sub(plane['low']).median():.0f} points, so the order of neighbours is not known."
)

# %% [markdown]
# ## 5. What resolution does each sound need?
#
# This is the question that the course began with. We have 40 clips per class and five hops, each with three seeds: 40 differences to 10 ms, in F1. Of 40 intervals of 95 %, two leave out 0 by chance. So a cell gets a frame only if its p value is small enough for *forty* questions (Holm's procedure).
#
# **Predict:** which class loses most with long hops, and which does not care?

# %%
cells = per_class.against(rows)
show(per_class.classes_figure(cells), alt=per_class.classes_text(cells))
others = cells[cells["hop_ms"] != per_class.USUAL_MS]
alone = others[(others["low"] > 0) | (others["high"] < 0)]
worst = others.loc[others["difference"].idxmin()]
say(f"The largest loss is **{worst['label'].replace('_', ' ')}** at {worst['hop_ms']:g} ms, {100 * worst['difference']:+.0f} points ({100 * worst['low']:+.0f} to {100 * worst['high']:+.0f}). {len(alone)} of {len(others)} intervals leave out 0, one by one; after Holm **{int(others['sure'].sum())}** do. Noise of folds explains so much of the spread among classes that a cautious reader would shrink {worst['label'].replace('_', ' ')} to {100 * worst['shrunk']:+.0f}.")

# %% [markdown]
# A pattern that looks like sense (ticks and crackles want short hops, rain does not) is still a pattern that we wanted to see. There is a sharper test. Let four folds choose a hop for each class, and one hop for all; let the fifth, which had no say, judge. If classes need different hops, their own ones win there.
#
# A second look: the same sweep was run with 800 steps. Do the same cells stand out?

# %%
own, needs = per_class.own_hop(rows)
longer = evidence.rows("diffres")
longer = longer[(longer["recipe.steps"] == 800) & (longer["frame_reducer"] == "none") & (longer["dataset"] == "esc10")]
own_800, needs_800 = per_class.own_hop(longer)
both = cells.merge(per_class.against(longer), on=["label", "hop_ms"], suffixes=("", "_800"))
both = both[both["hop_ms"] != per_class.USUAL_MS]
alike = float(np.corrcoef(both["difference"], both["difference_800"])[0, 1])
display(needs.merge(needs_800, on="label", suffixes=(", 240 steps", ", 800 steps")).set_index("label"))
say(f"A hop of its own for each class is worth **{verdicts.signed(own.scaled(100))}** points at 240 steps and {verdicts.signed(own_800.scaled(100))} at 800: {verdicts.difference_text(own.scaled(100))}. The differences of the two budgets correlate by {alike:+.2f} over {len(both)} cells, on the same clips; {int((needs['hop_ms'] == needs_800['hop_ms']).sum())} of {len(needs)} classes choose the same hop twice. `agree` counts the folds, of five, whose choice without them is the same.")

# %% [markdown]
# ## 6. How far do data and compute carry?
#
# *Not shown* is not *not there*. An experiment has a smallest effect that it would find four times in five; below that it is blind. It follows from how much pairs differ and how many there are. Beside it, where a paper states one, the effect that was to be found.

# %%
seen = power.designs(evidence)
fig, ax = plt.subplots(figsize=(9, 0.42 * len(seen) + 1.2))
ax.barh(range(len(seen)), seen["minimum_detectable_effect"], color=plots.COLOURS[4], label="smallest effect seen in 80 of 100 studies")
ax.plot(seen["claimed"], range(len(seen)), "D", color=plots.COLOURS[1], label="least effect that the paper states")
ax.axvline(100 * questions.EQUAL, color="black", linestyle=":", linewidth=1, label="margin of no worse")
ax.set(yticks=range(len(seen)), yticklabels=[f"{r.design} ({r.pairs} {r.paired_by}s)" for r in seen.itertuples()], xlabel="points", ylim=(len(seen) - 0.5, -0.5))
ax.legend(loc="upper center", bbox_to_anchor=(0.3, -0.15), ncols=2)
stated = seen[seen["claimed"].notna()]
show(fig, alt="Smallest effect that each design could see in points, a bar a design, with a diamond where the paper states an effect: " + "; ".join(f"{r.design} {r.minimum_detectable_effect:.1f}" for r in seen.itertuples()) + ".")
say("Where a paper states an effect: " + "; ".join(f"{r.design}, {r.claimed:.1f} stated, {r.minimum_detectable_effect:.1f} visible: **{'within reach' if r.sees else 'out of reach'}**" for r in stated.itertuples()) + f". A single class at a single hop would have to move by {seen['minimum_detectable_effect'].iloc[-1]:.0f} points to be seen as surely.")

# %% [markdown]
# ### Exercise 13.3
#
# A rule of thumb for the plan of a study: to see an effect in 80 of 100 studies it must be (1.96 + 0.84) = 2.8 standard errors large, and a standard error is `sd / √pairs`. Write how many pairs it takes, a whole number, from the deviation `sd` of the differences and the `effect`, both in points.

# %% tags=["exercise"]
def pairs_needed(sd, effect):
    ### BEGIN SOLUTION
    return int(np.ceil((2.8 * sd / effect) ** 2))
    ### END SOLUTION


check("13.3", pairs_needed)

# %%
long_half = evidence.part(claims.HALF, questions.LONG)
folds_run = int(evidence.answers.loc[evidence.answers["where"] == questions.LONG, "pairs"].max())
sd = 100 * long_half.found.std  # pooled over all conditions at 800 steps
effects = np.array([0.5, 1, 1.5, 2, 3, 4])
thumb = np.ceil((2.8 * sd / effects) ** 2).astype(int)
exact = [next(n for n in range(2, 2000) if stats.minimum_detectable_effect(sd, n) <= e) for e in effects]
fig, ax = plt.subplots(figsize=(8, 3.2))
plots.lines(effects, {"rule of thumb": thumb, "t test, exact": np.array(exact)}, ax, xlabel="effect (points)", ylabel="pairs needed", markers=True)
ax.set(yscale="log")
plots.log_ticks(ax.yaxis, (2, 5, 10, 20, 50, 100))
ax.axhline(folds_run, color="grey", linestyle=":", linewidth=1)
show(fig, alt="Pairs of folds that it takes to see an effect, falling from " + f"{exact[0]} at {effects[0]} points to {exact[-1]} at {effects[-1]:g}, the rule of thumb a little below; a dotted line at the {folds_run} that we have.")
say(f"Half the frames less all frames scatter by **{sd:.1f} points** from fold to fold. To see two points takes {exact[3]} pairs, to see one {exact[1]}; we have {folds_run}. With few pairs the rule of thumb is too hopeful, for the deviation itself is known badly.")

# %% [markdown]
# ## 7. A week of a graphics card
#
# More folds of ESC-10 there are not. Larger sets have more clips a fold, and some have more folds. Their grids are in `study/grids`, tested on tiny sets of the same layout. What would they cost, and what could they see? The hours are computed from the seconds of published rows; the smallest effect assumes that the scatter falls with the root of the clips tested.

# %%
plan = power.next_runs(evidence.rows)
display(plan.assign(week=100 * plan["week"]).rename(columns={"hours": "hours of a GPU", "unknown": "rows of unknown cost", "week": "of a week (%)", "clips": "clips a test fold", "minimum_detectable_effect": "could see (points)"}).set_index("grid").round(1))
fitting = plan.sort_values("hours")
fitting = fitting[fitting["hours"].cumsum() <= power.WEEK_H]
left_h = power.WEEK_H - fitting["hours"].sum()
sharpest = plan.loc[plan["minimum_detectable_effect"].idxmin()] if plan["minimum_detectable_effect"].notna().any() else None
say(f"**{', '.join(fitting['grid'])}** fit into one week of one GPU, {fitting['hours'].sum():.0f} hours for {fitting['rows'].sum()} rows, with {left_h:.0f} hours to spare" + (f" ({plan['unknown'].sum()} rows of networks that no published row was timed for are not in the sum)" if plan["unknown"].sum() else "") + "." + (f" The sharpest is {sharpest['grid']}: it could see {sharpest['minimum_detectable_effect']:.1f} points." if sharpest is not None else ""))

# %% [markdown]
# If you have the week: run the set with the most folds first, for pairs are what we lack; ask the questions of `study/questions.toml` as they stand, with the margins that they have; and leave the recipe alone. `course study run urbansound8k`, then `course study report urbansound8k --publish`: this notebook, the README and the site then say what came of it.
#
# ## What we saw

# %%
by_verdict = {
    word: [f"{r.id} {r.data}".strip() for r in table[table["verdict"] == word].itertuples()]
    for word in verdicts.VERDICTS
}
say(f"""{chr(10).join(f"- **{word[0].upper()}{word[1:]}** ({len(ids)}): {'; '.join(ids)}." for word, ids in by_verdict.items() if ids)}
- The hop moves accuracy by up to {abs(100 * cells['difference'].groupby(cells['hop_ms']).mean().min()):.0f} points at one budget. That each class has a hop of its own: {verdicts.difference_text(own.scaled(100))}.
- Half the frames take {half['macs'] / full['macs']:.2f} of the multiply-accumulates and {half['ms_cpu'] / full['ms_cpu']:.2f} of the time of all of them, for one clip on a processor.""")

# %% [markdown]
# - Fix the margin before you see the interval.
# - Controls turn a number into an answer: equal widths, a CNN of the same cost, a constant answer, a split by recording.
# - *Not shown* is the usual outcome of a small study. It says what to run next.
#
# ## What next
#
# Before you go: [questions to test yourself](quizzes/13_study_report.md). Nothing follows in this course. What you can do: bring your own sounds (`make course DATASET=manifest.csv`), write a grid and a question, and put your rows beside these.
#
# ## References
#
# - H. Liu, X. Liu, Q. Kong, W. Wang, M. D. Plumbley, "Learning temporal resolution in spectrogram for audio classification", AAAI 2024. doi:10.48550/arXiv.2210.01719
# - W. Zhu, M. Omar, "Multiscale audio spectrogram transformer for efficient audio classification", 2023. doi:10.48550/arXiv.2303.10757
# - W. Boes, H. Van hamme, "Audiovisual transfer learning for audio tagging and sound event detection", Interspeech 2021. doi:10.48550/arXiv.2106.05408
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound classification using CNN with meaningful data augmentation", Applied Acoustics 172, 107581, 2021
# - S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6, 1979

# %% tags=["record"]
record("claims", table["id"].str[:2].nunique(), kind="exact")
record("key_of_the_row", row["key"], kind="info")
for word in verdicts.VERDICTS:
    record(f"claims {word}", int(counts.get(word, 0)), kind="info")
record("verdicts", ", ".join(f"{r.id} {r.data} {r.verdict}" for r in table.itertuples()), kind="info")
record("systems", len(plane), kind="info")
record("own_hop", 100 * own.mean, unit="points", kind="info")
record("framed_cells", int(others["sure"].sum()), kind="info")
record("hours_of_the_next_grids", float(plan["hours"].sum()), unit="h", kind="info")
record("minutes", (time.perf_counter() - started) / 60, unit="min", kind="info")
