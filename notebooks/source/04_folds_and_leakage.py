# %% [markdown]
# # 04 · Folds and leakage
#
# Someone records a rooster for a minute and uploads it. A data set cuts five clips from it: same bird, same yard, same microphone, same hum of a road. Put three of them into training and two into the test, and a classifier that knows nothing
# of roosters may still be right: it remembers the hum. Now make seven versions of each clip, *then* split. This notebook measures what that is worth: tens of points of accuracy, on any classifier, without learning anything.

# %% [markdown]
# ## You will be able to
#
# - **find** the clips of a data set that share a source, and what a random split does to them (exercise 04.1);
# - **split** by source, so that nothing crosses (exercise 04.2);
# - **estimate** how surely an augmented copy meets its twin in training (exercise 04.3);
# - **read** a reported accuracy with the right question: what was split, and when?

# %% [markdown]
# ## Before you start
#
# You need notebooks 00 to 03. Reading takes 40 minutes, the three exercises 30. The machine needs about a minute in `smoke`, two or three in `lesson`.
#
# No neural network appears here. Three old classifiers on 26 numbers a clip are enough, which is the point: the effect is in the protocol, not in the model.

# %%
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from scipy.fft import dct
from sklearn.ensemble import RandomForestClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from course_lib import plots, profiles
from course_lib.audio.augment import NAA
from course_lib.audio.features import FeatureSpec, log_mel_torch
from course_lib.data import download, folds
from course_lib.data.augmented import with_copies
from course_lib.data.load import load
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import accuracy_by_source, paired_difference
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show

plots.use_style()

# %% tags=["parameters"]
profile: str = "smoke"  # smoke, lesson or study
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of the copies, the random splits and the forest; the clips are the same for every seed
n_splits: int = 0  # random splits and forests to average over; 0 takes 1 in smoke, 3 otherwise

# %%
RATE_HZ = 16_000
size = profiles.get(profile)
trees = {"smoke": 50, "lesson": 100, "study": 500}[profile]
seeds = [seed + k for k in range(n_splits or (1 if profile == "smoke" else 3))]
# With fewer clips a class no source of synth10 would have a second take
clips = load(dataset, replace(size, clips_per_class=max(size.clips_per_class or 40, 15)))
seed_everything(seed)
say(f"{len(clips)} clips of *{clips.name}*, {clips.table['source'].nunique()} sources, {clips.table['fold'].nunique()} folds.")

# %% [markdown]
# ## 1. Siblings
#
# Two clips of one source are *siblings*. The data set's folds keep them together. A random split does not know about sources.
#
# **Predict:** in a random split into five parts, what share of the test clips has a sibling in training?

# %%
takes = clips.table.groupby("source").size()
has_sibling = clips.table["source"].map(takes).to_numpy() > 1


def share_that_meets_a_sibling(fold_of_clip, source_of_clip):
    """Share of clips whose source is also in a fold other than their own."""
    together = pd.DataFrame({"fold": fold_of_clip, "source": source_of_clip})
    in_all, in_own = together.groupby("source")["fold"].transform("size"), together.groupby(["source", "fold"])["fold"].transform("size")
    return float(np.mean(in_all > in_own))


official = share_that_meets_a_sibling(clips.table["fold"], clips.table["source"])
n_folds = min(5, int(clips.table.groupby("label").size().min()))
random_splits = [share_that_meets_a_sibling(folds.leaky_split(clips.table, n_folds=n_folds, seed=s), clips.table["source"]) for s in range(10)]
say(f"{100 * has_sibling.mean():.0f} % of the clips have a sibling. With the data set's folds **{100 * official:.0f} %** of the test clips meet theirs in training, with a random split **{100 * np.mean(random_splits):.0f} %**.")

# %%
by_class = clips.table.groupby("label")["source"].nunique().sort_values()
counts = clips.table.groupby("label").size().loc[by_class.index]
fig, ax = plt.subplots(figsize=(9, 0.34 * len(by_class) + 1))
names = [name.replace("_", " ") for name in by_class.index]
ax.barh(names, counts, color="lightgrey", label="clips")
ax.barh(names, by_class, color=plots.COLOURS[0], height=0.5, label="sources")
ax.set(xlabel="number")
ax.xaxis.get_major_locator().set_params(integer=True)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt=f"Bars of clips and of sources, one class a row: from {by_class.iloc[0]} sources for {counts.iloc[0]} clips ({names[0]}) to {by_class.iloc[-1]} for {counts.iloc[-1]} ({names[-1]}).")
say(f"*{names[0].capitalize()}* has {counts.iloc[0]} clips from {by_class.iloc[0]} sources: for such a class a random split asks mostly for recordings it has seen.")

# %% [markdown]
# ### Exercise 04.1
#
# Write a function that finds the sources with clips in more than one fold. `table` has the columns `source` and `fold`; return the names, sorted, as a list.

# %% tags=["exercise"]
def crossing_sources(table):
    ### BEGIN SOLUTION
    folds_of_source = table.groupby("source")["fold"].nunique()
    return sorted(folds_of_source.index[folds_of_source > 1])
    ### END SOLUTION


check("04.1", crossing_sources)

# %% [markdown]
# ## 2. Copies
#
# Notebook 03 made variants of a clip: higher, lower, slower, faster, shifted, trimmed. Six of them and the original are seven versions of one recording. In this library a copy *is* its original as far as splitting goes: it has the same source and the same fold,
# and there is no argument to give it another.

# %%
augmented = with_copies(clips, NAA, seed=seed)
waves = augmented.waves(RATE_HZ)
table = augmented.table
display(table.loc[table["original"] == table["original"].iloc[0], ["clip", "transform", "label", "fold", "source"]])
versions = [waves[table.index[(table["original"] == table["original"].iloc[0]) & (table["transform"] == t)][0]] for t in ("original", *list(NAA)[:2])]
for name, x in zip(("original", *list(NAA)[:2]), versions, strict=True):
    play(0.8 * x / np.abs(x).max(), RATE_HZ, describe=f"The first 2 s of a {table['label'].iloc[0].replace('_', ' ')}, {name.replace('_', ' ')}.")

# %% [markdown]
# What if someone tries to part them all the same, by hand? Let us give every row a fold at random.

# %%
try:
    replace(augmented, table=table.assign(fold=np.random.default_rng(seed).integers(1, 6, len(table))))
    refused = "nothing was refused"
except CourseError as error:
    refused = str(error)
print(refused)

# %% [markdown]
# The library refuses, and says which source would be parted. To do it anyway one has to call a function whose name says what it does: `leaky_split`. We do so below, to see what it is worth.
#
# ## 3. Twenty-six numbers a clip
#
# Mean and standard deviation over time of twelve MFCCs (the cosine transform of a log-mel frame) and of the zero-crossing rate: the features of the data set's own baseline (Piczak, 2015).

# %%
def statistics(waves):
    """Mean and deviation over time of 12 MFCCs and the zero-crossing rate, shape (clips, 26)."""
    spec = FeatureSpec(n_mels=40, window_ms=32, hop_ms=16)
    rows = []
    for start in range(0, len(waves), 64):
        x = np.array(waves[start : start + 64])
        mfcc = dct(log_mel_torch(torch.from_numpy(x), spec).numpy(), norm="ortho")[:, :, 1:13]
        signs = np.signbit(x[:, : x.shape[1] // 512 * 512]).reshape(len(x), -1, 512)
        crossings = np.mean(signs[:, :, 1:] != signs[:, :, :-1], axis=2)[..., np.newaxis]
        rows.append(np.hstack([f(part, axis=1) for part in (mfcc, crossings) for f in (np.mean, np.std)]))
    return np.concatenate(rows)


features = statistics(waves)
print("features:", features.shape)

# %% [markdown]
# ## 4. Five protocols
#
# | | folds | copies |
# |---|---|---|
# | A | the data set's, by source | none |
# | B | the data set's, by source | of training clips, in training only |
# | C | random, by clip | none |
# | D | random, by clip | of training clips, in training only |
# | E | random, **over all versions** | everywhere, in training and in test |
#
# Only A and B answer the question "how well does this do on a recording it has never met?". **Predict:** how far apart are A and E?

# %%
is_original = augmented.is_original


def rows_of(protocol, split_seed):
    """Fold of every row, which rows may train, which are tested."""
    everything = np.ones(len(table), dtype=bool)
    if protocol in "AB":
        fold = table["fold"].to_numpy()
    else:  # in C and D a copy goes where its clip goes, in E it goes anywhere
        fold = folds.leaky_split(table, "clip" if protocol == "E" else "original", n_folds, split_seed)
    return fold, everything if protocol in "BDE" else is_original, everything if protocol == "E" else is_original


# %% [markdown]
# Every row is then judged once, by a classifier that was trained without its fold. In A and B that classifier has never met its recording; in C, D and E nobody asked.

# %%
MODELS = {
    "forest": lambda s: RandomForestClassifier(trees, random_state=s),
    "SVM": lambda s: make_pipeline(StandardScaler(), SVC(C=10)),
    "1-NN": lambda s: make_pipeline(StandardScaler(), KNeighborsClassifier(1)),
}


def judged(model, protocol, split_seed, may_train=None):
    """Right or wrong for every tested row, (rows,), and the rows, over all folds."""
    fold, train, test = rows_of(protocol, split_seed)
    train = train if may_train is None else train & may_train
    right, labels = np.zeros(len(table)), table["label"].to_numpy()
    for k in np.unique(fold):
        fitted = MODELS[model](split_seed).fit(features[train & (fold != k)], labels[train & (fold != k)])
        right[test & (fold == k)] = fitted.predict(features[test & (fold == k)]) == labels[test & (fold == k)]
    return right[test], test


# %%
found = {}
for protocol in "ABCDE":
    for model in MODELS:
        runs = [judged(model, protocol, s) for s in (seeds if model == "forest" or protocol in "CDE" else seeds[:1])]
        right, test = np.mean([r for r, _ in runs], axis=0), runs[0][1]
        found[protocol, model] = accuracy_by_source(right, table.loc[test, "source"].to_numpy(), seed=seed).scaled(100)
shown = pd.Series({key: str(interval) for key, interval in found.items()}).unstack()
display(shown[list(MODELS)])

# %% tags=["cover"]
fig, ax = plt.subplots(figsize=(9, 3.6))
for offset, (model, marker) in enumerate(zip(MODELS, plots.MARKERS, strict=False)):
    intervals = [found[p, model] for p in "ABCDE"]
    means = np.array([i.mean for i in intervals])
    spans = np.abs(np.array([[i.low, i.high] for i in intervals]).T - means)
    ax.errorbar(np.arange(5) + 0.12 * (offset - 1), means, spans, fmt=marker, capsize=3, label=model)
ax.set_xticks(np.arange(5), ["A: by source", "B: A + copies\nin training", "C: by clip", "D: C + copies\nin training", "E: copies,\nthen split"])
ax.axvspan(-0.5, 1.5, color="lightgrey", alpha=0.4, zorder=0)
ax.text(0.5, 101, "honest", ha="center")
ax.set(ylabel="accuracy (%)", ylim=(None, 106), xlim=(-0.5, 4.5))
ax.legend(loc="lower right", ncols=3)
honest, leaked = found["B", "forest"], found["E", "forest"]
show(fig, alt=f"Accuracy in % with 95 % intervals of three classifiers under five protocols: forest {found['A', 'forest'].mean:.0f}, {honest.mean:.0f}, {found['C', 'forest'].mean:.0f}, {found['D', 'forest'].mean:.0f}, and {leaked.mean:.0f} when copies are made before the split.")

# %%
say(f"Honest augmentation takes the forest from {found['A', 'forest'].mean:.1f} to {honest.mean:.1f} %. Splitting after augmenting takes it to **{leaked.mean:.1f} %**, and 1-NN, which does nothing but remember, from {found['B', '1-NN'].mean:.1f} to **{found['E', '1-NN'].mean:.1f} %**. "
    "The data, the features and the classifiers are the same; nothing was learnt in between.")

# %% [markdown]
# ### Exercise 04.2
#
# Write a split by source: give each row of `table` a fold from 1 to `n_folds`, such that no source is in two folds and every fold gets some rows. A deal of the sources, one after the other like cards, is good enough. Return an array, one number a row.

# %% tags=["exercise"]
def folds_by_source(table, n_folds):
    ### BEGIN SOLUTION
    number_of_source = pd.factorize(table["source"])[0]
    return number_of_source % n_folds + 1
    ### END SOLUTION


check("04.2", folds_by_source)

# %% [markdown]
# ### Exercise 04.3
#
# Every clip has `versions` versions in all, and each lands in one of `n_folds` folds at random. What is the probability that a version in the test fold has at least one of its twins in training?

# %% tags=["exercise"]
def meets_a_twin(versions, n_folds):
    ### BEGIN SOLUTION
    return 1 - (1 / n_folds) ** (versions - 1)
    ### END SOLUTION


check("04.3", meets_a_twin)

# %% [markdown]
# ## 5. What each transform gives, honestly
#
# Under the data set's own folds, with copies of one kind at a time. Folds differ from each other by many points, so we compare *within* folds: the difference between with and without, fold by fold, which usually scatters less, and an interval of these differences. Seeds of the forest are averaged first, for two seeds on one fold are not two experiments.

# %%
def accuracy_by_fold(model, protocol, may_train=None):
    """Accuracy of every fold in %, the mean over seeds where seeds matter, (folds,)."""
    runs = [judged(model, protocol, s, may_train=may_train) for s in (seeds if model == "forest" else seeds[:1])]
    fold, right = table.loc[runs[0][1], "fold"].to_numpy(), np.mean([r for r, _ in runs], axis=0)
    return np.array([100 * right[fold == k].mean() for k in np.unique(fold)])


without = {model: accuracy_by_fold(model, "A") for model in ("forest", "SVM")}
gains, scatter = {}, {}
for name in (*NAA, "all six"):
    kept = is_original | (table["transform"] == name).to_numpy() if name in NAA else np.ones(len(table), dtype=bool)
    for model, base in without.items():
        after = accuracy_by_fold(model, "B", kept)
        gains[name, model] = paired_difference(after, base)
        scatter[name, model] = float(np.std(after - base, ddof=1))
display(pd.Series({key: f"{g.mean:+.1f} ({g.low:+.1f} to {g.high:+.1f})" for key, g in gains.items()}).unstack().loc[[*NAA, "all six"]])

# %%
fig, ax = plt.subplots(figsize=(9, 3.6))
for offset, (model, marker) in enumerate(zip(without, plots.MARKERS, strict=False)):
    rows = [gains[name, model] for name in (*NAA, "all six")]
    means = np.array([g.mean for g in rows])
    ax.errorbar(means, np.arange(len(rows)) + 0.2 * offset, xerr=np.abs(np.array([[g.low, g.high] for g in rows]).T - means), fmt=marker, capsize=3, label=model)
ax.axvline(0, color="grey", linestyle=":")
ax.set_yticks(np.arange(len(rows)) + 0.1, [name.replace("_", " ") for name in (*NAA, "all six")])
ax.set(xlabel="change of accuracy (points), paired by fold")
ax.legend()
spread = float(without["forest"].std(ddof=1))
show(fig, alt=f"Change of accuracy in points for each transform with 95 % intervals: all six together {gains['all six', 'forest'].mean:+.1f} for the forest and {gains['all six', 'SVM'].mean:+.1f} for the SVM; a dotted line marks no change.")
of_forest = {name.replace("_", " "): (gains[name, "forest"], scatter[name, "forest"]) for name in (*NAA, "all six")}
helps, harms = [name for name, (g, _) in of_forest.items() if g.low > 0], [name for name, (g, _) in of_forest.items() if g.high < 0]
least, most = (pick(of_forest, key=lambda name: of_forest[name][1]) for pick in (min, max))
say(f"The forest's accuracy scatters by {spread:.1f} points from fold to fold, and differences within folds by {of_forest[least][1]:.1f} (*{least}*) to {of_forest[most][1]:.1f} (*{most}*). "
    f"The interval lies above zero for: {', '.join(helps) or 'none'}; below zero for: {', '.join(harms) or 'none'}. All six together change accuracy by **{gains['all six', 'forest'].mean:+.1f} points** ({gains['all six', 'forest'].low:+.1f} to {gains['all six', 'forest'].high:+.1f}), the leak by {leaked.mean - found['A', 'forest'].mean:+.0f}.")

# %% [markdown]
# ## 6. Elsewhere: UrbanSound8K
#
# Leaks are worse where recordings are long. UrbanSound8K cuts 8,732 clips from 1,297 recordings, up to a hundred from one. Its authors ask everyone to keep their ten folds.

# %%
if download.present("urbansound8k"):
    urban = load("urbansound8k", profiles.get("study")).table
    exposed = share_that_meets_a_sibling(folds.leaky_split(urban, n_folds=10, seed=seed), urban["source"])
    say(f"Counted from its table: a random split into ten puts **{100 * exposed:.1f} %** of the clips next to training clips of the same recording.")
else:
    say("UrbanSound8K is not on this machine; `course data get urbansound8k` (6 GB) lets this cell count for itself.")

# %% [markdown]
# ## 7. What a 99 % can and cannot mean
#
# Mushtaq, Su and Tran (2021) report 99.04 % on ESC-10, 97.57 % on ESC-50 and 99.49 % on UrbanSound8K with augmentation of the clip and *backbones*, networks that have first learnt from the photographs of ImageNet (notebook 06). The same kind of backbone on spectrograms under the official folds has been reported at
# 92.89 % (ESC-50) and 87.42 % (UrbanSound8K) by Palanisamy et al. (2020). On UrbanSound8K, Yurtsever reports 83.94 % at best with official folds, and 98.06 % with a random split.
#
# The texts of the 2021 paper that are open to us do not say how copies were grouped when the data were split. So we can say this and no more: numbers of that size are what a leak alone produces, with classifiers far weaker than theirs; and they are far above what
# comparable networks reach when nothing leaks. This is *consistent with* leakage. It is not proof, and it says nothing about anyone's intentions: the public tools of the field split by clip unless told otherwise. Notebook 06 trains backbones under the official folds.

# %% [markdown]
# ## What we saw

# %%
say(f"""- {100 * has_sibling.mean():.0f} % of the clips have a sibling; a random split lets {100 * np.mean(random_splits):.0f} % of the test clips meet theirs in training, the official folds {100 * official:.0f} %.
- Honest accuracy of the forest: {found['A', 'forest']} %, with copies in training {honest} % (95 % intervals by source).
- Augment first, split later: **{leaked} %**. The leak is worth {leaked.mean - honest.mean:.0f} points.
- 1-NN, which only remembers, gains most: {found['E', '1-NN'].mean - found['B', '1-NN'].mean:.0f} points.""")

# %% [markdown]
# ## What next
#
# Notebook 05 trains the first neural networks, on official folds, with a validation fold of their own.
# Before you go on: [questions to test yourself](quizzes/04_folds_and_leakage.md).
#
# ## References
#
# - K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015. doi:10.1145/2733373.2806390
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound classification using CNN with meaningful data augmentation", Applied Acoustics 172, 107581, 2021
# - K. Palanisamy, D. Singhania, A. Yao, "Rethinking CNN models for audio classification", arXiv:2007.11154, 2020
# - U. Yurtsever, "Modern deep learning architectures for urban sound classification on UrbanSound8K". doi:10.35377/saucis...1830726

# %% tags=["record"]
one_clip, one_version = 100 / len(clips), 100 / len(table)
for (protocol, model), interval in found.items():
    record(f"accuracy_{protocol}_{model}", interval.mean, unit="%", step=one_version if protocol == "E" else one_clip)
    record(f"interval_{protocol}_{model}", f"{interval.low:.1f} to {interval.high:.1f}", unit="%", kind="info")
record("leak_forest", leaked.mean - honest.mean, unit="points", step=one_clip)
record("siblings_met_random", 100 * float(np.mean(random_splits)), unit="%", step=one_clip)
record("siblings_met_official", 100 * official, unit="%", kind="exact")
sizes = clips.table["fold"].value_counts()  # the gain is a mean over folds, in which a clip of the smallest is worth most
record("gain_all_six_forest", gains["all six", "forest"].mean, unit="points", step=100 / sizes.min() / len(sizes))
record("seeds", len(seeds), kind="info")
record("trees", trees, kind="info")
record("parting_is_refused", "yes" if "fold" in refused else "no", kind="exact")
