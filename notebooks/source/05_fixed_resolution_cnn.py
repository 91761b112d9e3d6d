# %% [markdown]
# # 05 · A CNN at a fixed resolution
#
# Everyone who computes a log-mel chooses a hop, and nearly everyone chooses 10 ms. Half the hop doubles the frames, and with them the work of every layer behind. Twice the hop halves them.
# What does the choice cost, and what does it buy? We train the same network at every hop, on the same clips, for the same number of steps, and look. Then we do it once more on sounds whose answer is known before the first step: the timing probe.

# %% [markdown]
# ## You will be able to
#
# - **count** the multiply-accumulates of a convolution from its shapes (exercise 05.1);
# - **convert** a network's receptive field from frames to milliseconds, and say why that spoils a hop sweep (exercise 05.2);
# - **write** a training loop, and choose its best state without a look at the test (exercise 05.3);
# - **find** the settings that no other beats in both cost and accuracy (exercise 05.4);
# - **read** a result on one fold: what its interval allows you to say, and what not.

# %% [markdown]
# ## Before you start
#
# You need notebooks 01, 02 and 04, and to have seen a gradient step in torch. Reading takes 50 minutes, the four exercises 40. The machine needs less than a minute in `smoke`, six or so in `lesson`, half an hour or more in `study`, all on one core.
#
# In `smoke` every network gets twelve steps. That shows that every line runs; the numbers mean little, and the text below says so where it matters.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from course_lib import paths, plots, profiles
from course_lib.analysis import figures
from course_lib.audio import timebase, timing_probe
from course_lib.audio.features import FeatureSpec
from course_lib.data import folds
from course_lib.data.clips import features
from course_lib.data.load import load, load_timing
from course_lib.evaluation.intervals import accuracy_by_source
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show
from course_lib.models import cnn
from course_lib.models.classifier import build
from course_lib.training import cost, supervised
from course_lib.training.supervised import Recipe, Split

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # lesson, study, or smoke (a test, no conclusions)
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of the weights, the order of the clips and dropout; the clips are the same for every seed
n_steps: int = 0  # steps of each training, the same at every hop; 0 takes 12 in smoke, 100 in lesson, 640 in study
test_fold: int = 1  # the fold that is read once, at the end

# %% [markdown]
# ## 1. Three masks
#
# Notebook 04 kept every source in one fold. A network needs three parts of them. It learns from **training**. We look at **validation** as often as we like: to choose a step, a hop, a window. Whatever is chosen that way has been fitted to validation, so its accuracy there is a little too good.
# The **test** fold answers the last question, once. `folds.split` takes one fold for the test, the next for validation and the rest for training.

# %%
started = time.perf_counter()
size, device, WINDOW_MS = profiles.get(profile), profiles.device(), 25.0
clips = load(dataset, size)
training, validation, test = folds.split(clips, test_fold)
targets, sources, n_classes = clips.targets, clips.table["source"].to_numpy(), len(clips.classes)
steps = n_steps or {"smoke": size.steps, "lesson": 100, "study": size.steps}[profile]
looks = 2 if profile == "smoke" else 4
alone = len(set(sources[test])) == 1
groups = np.arange(len(clips)) if alone else sources  # what the interval draws again
hops_ms = [h for h in size.hops_ms if 1000 * clips.length_s / h >= 16]  # four halvings need 16 frames


def examples(x, mask, y=targets, n=n_classes):
    return Split(x[mask], y[mask], n)


first = clips.where(np.arange(len(clips)) == np.flatnonzero(training)[0])
x = first.waves()[0]
play(0.8 * x / np.abs(x).max(), 16_000, describe=f"2 s of one training clip: {first.table['label'].iloc[0].replace('_', ' ')}.")
say(f"*{clips.name}*: {training.sum()} clips to learn from, {validation.sum()} to choose by, {test.sum()} to be tested on, {n_classes} classes. **One test clip is worth {100 / test.sum():.3g} points of accuracy.**" + (" The test fold is one single source: intervals draw its clips instead, and are too narrow." if alone else ""))

# %% [markdown]
# ## 2. Two networks
#
# Mushtaq, Su and Tran (2021) train a 7-layer and a 9-layer CNN from scratch on pictures of mel spectrograms. Their exact layers are not public, so ours are not theirs. We declare them instead, in `course_lib/models/cnn.py`: five or seven convolutions of 3 × 3 and two dense layers at the end.
# After four of the convolutions the picture is halved, in time and in frequency, by taking the largest of every 2 × 2 values. At the end the picture is averaged over frequency, and its mean and its maximum over time are added: any number of frames becomes 128 numbers, and two dense layers, the *head*, read the classes from them.
#
# Each layer has a **receptive field**: how many frames of the input one of its values has seen. A 3 × 3 convolution adds two positions of its own input; after each halving, a position is twice as many frames apart.
# Its **MACs** (multiply-accumulates) are what it costs. **Predict:** which of the five convolutions is the most expensive, the first with the largest picture, or the last with the most channels?

# %%
def layer_table(model, n_frames, n_mels):
    """One row a layer: output shape, multiply-accumulates in millions, receptive field in frames."""
    rows, kernels, strides = [], [], []
    x = torch.zeros(1, 1, n_frames, n_mels)
    with torch.inference_mode():
        for k, block in enumerate(model.eval().blocks, 1):
            macs, x = cost.macs(block, *x.shape[1:]), block(x)
            halved = any(isinstance(part, torch.nn.MaxPool2d) for part in block)
            kernels, strides = kernels + [3, 2][: 1 + halved], strides + [1, 2][: 1 + halved]
            shape = " × ".join(str(n) for n in x.shape[1:])
            rows.append((f"convolution {k}", shape, macs / 1e6, timebase.receptive_field(kernels, strides)[0]))
    for k, dense in enumerate((m for m in model.head if isinstance(m, torch.nn.Linear)), 1):
        rows.append((f"dense {k}", str(dense.out_features), dense.weight.numel() / 1e6, n_frames))
    return pd.DataFrame(rows, columns=["layer", "channels × frames × mels", "MACs (M)", "field (frames)"])


spec10 = FeatureSpec(hop_ms=10.0)
n_frames = spec10.frame_count(timebase.seconds_to_samples(clips.length_s, spec10.rate_hz))
networks = {name: build(name, n_classes) for name in ("cnn7", "cnn9")}
tables = {name: layer_table(model, n_frames, spec10.n_mels) for name, model in networks.items()}
display(tables["cnn7"].round(2))
say("; ".join(f"**{name}**: {cost.parameters(model):,} parameters, {cost.macs(model, n_frames, spec10.n_mels) / 1e6:.0f} M MACs for a clip at 10 ms" for name, model in networks.items()) + ".")

# %% [markdown]
# Read the table from the top. The picture shrinks, the channels multiply, the field grows faster and faster, because each halving doubles what one more position is worth. The first convolution is the cheapest, because it reads one channel. The second to the fourth cost about the same: each halving takes away three quarters of the positions while channels double on both sides. The dense layers see the whole clip and cost next to nothing.
#
# Every convolution's cost is proportional to the number of frames. **Half the hop, twice the cost**, whatever the network; only the head escapes.
#
# ### Exercise 05.1
#
# Write the MACs of a 3 × 3 convolution with a border of zeros (so that its output has the size of its input), from the frames and mels of its input and the channels before and after. Compare with the table: the pooling comes *after* the convolution.

# %% tags=["exercise"]
def conv_macs(n_frames, n_mels, n_in, n_out):
    ### BEGIN SOLUTION
    return n_frames * n_mels * n_in * n_out * 3 * 3
    ### END SOLUTION


check("05.1", conv_macs)

# %% [markdown]
# ## 3. The same network hears another span at each hop
#
# The field in the table is in frames. Sounds are not. Below, the reach of the last convolution, in milliseconds, at every hop of the sweep: the window of the first frame and one hop for each further frame.

# %%
field = int(tables["cnn7"].loc[4, "field (frames)"])
reach_ms = {}
for hop_ms in sorted({2.5, 5.0, 10.0, 20.0, 40.0, 80.0, *size.hops_ms}):
    spec = FeatureSpec(hop_ms=hop_ms)
    reach_ms[hop_ms] = timebase.span_ms(field, spec.window_samples, spec.hop_samples, spec.rate_hz)
levels = features(first, spec10)[0]
fig, (above, below) = plt.subplots(2, 1, figsize=(9, 5.2), sharex=True)
plots.mel_spectrogram(levels, spec10.frame_centres_s(len(levels)), above, range_db=50)
above.set(xlabel="", title=f"{first.table['label'].iloc[0].replace('_', ' ')}, hop 10 ms")
middle_s = clips.length_s / 2
for place, ms in enumerate(reach_ms.values()):
    below.barh(place, ms / 1000, left=middle_s - ms / 2000, color=plots.COLOURS[0], height=0.6)
below.set_yticks(range(len(reach_ms)), [f"{hop_ms:g}" for hop_ms in reach_ms])
below.set(xlim=(0, clips.length_s), xlabel="time (s)", ylabel="hop (ms)", title=f"what one value of the last convolution sees: {field} frames")
show(fig, alt=f"Above, the log-mel of a clip over {clips.length_s:g} s. Below, one bar a hop: the time that the last convolution sees grows from {reach_ms[2.5]:.0f} ms at hop 2.5 ms to {reach_ms[80.0]:.0f} ms at hop 80 ms.")
say(f"{field} frames are **{reach_ms[2.5]:.0f} ms** of sound at a hop of 2.5 ms, **{reach_ms[10.0]:.0f} ms** at 10 ms and {reach_ms[80.0] / 1000:.1f} s at 80 ms.")

# %% [markdown]
# This is the **confound that no hop sweep with one network avoids**. A finer hop shows finer detail, *and* the filters reach less far. If accuracy changes, either may be why. A network scaled with the hop would keep its reach, and be another network with other costs.
# Longer clips than the reach are not lost, since the end of the network takes mean and maximum over the whole clip; but no filter sees the rhythm of two events that are farther apart than its reach. Keep this in mind when the curves come.
#
# ### Exercise 05.2
#
# Write the reach in milliseconds of a layer that sees `field` frames, for any window and hop.

# %% tags=["exercise"]
def reach_in_ms(field, window_ms, hop_ms):
    ### BEGIN SOLUTION
    return window_ms + (field - 1) * hop_ms
    ### END SOLUTION


check("05.2", reach_in_ms)

# %% [markdown]
# ## 4. The loop, by hand
#
# Training is four lines, again and again. Take a **batch** of clips. Measure how wrong the network is (**loss**: the cross-entropy, minus the logarithm of the probability it gave to the truth; as the logarithm is the natural one, its unit is the *nat*). Ask how each weight should move to lower that (**backward**). Move all of them a little (**step**). Now and then, **look** at validation.
#
# Two details make it work. The size of a step, the *rate*, rises over the first tenth and falls to zero as half a cosine: large steps early, fine ones late. And `train()` and `eval()` switch dropout and the normalisation between learning and judging; forgetting `eval()` is a classic mistake, and it shows as validation numbers that change when nothing else does.
#
# `Normalised` brings every mel band to mean 0 and standard deviation 1, with statistics of the training clips alone. Those of all clips would be a small leak.

# %%
def rate_at(done, highest):
    """The rate after a share `done` of the steps: up in a tenth, down to 0 as half a cosine."""
    return highest * min(1, done / 0.1) * (1 + np.cos(np.pi * max(0, done - 0.1) / 0.9)) / 2


def fit_by_hand(model, train_set, validation_set, recipe):
    """Losses of all steps and accuracy on validation after each, as `train.fit` would find them."""
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=recipe.weight_decay, fused=True)
    x, y = torch.tensor(train_set.x), torch.tensor(train_set.y)
    turns = [np.random.default_rng([seed, 0, k]).permutation(len(y)) for k in range(1 + recipe.steps * recipe.batch_size // len(y))]
    losses, accuracies = [], []
    for step, batch in enumerate(np.concatenate(turns)[: recipe.steps * recipe.batch_size].reshape(recipe.steps, -1)):
        optimiser.param_groups[0]["lr"] = rate_at((step + 1) / recipe.steps, recipe.learning_rate)
        torch.manual_seed(seed * 1_000_003 + step)  # dropout drops the same values as in the library
        loss = functional.cross_entropy(model.train()(x[batch]), y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        guesses = supervised.predict(model.eval(), validation_set.x).argmax(1)
        accuracies.append(np.mean(guesses == validation_set.y))
    return losses, accuracies

# %% [markdown]
# The library's `train.fit` is this loop, with augmentation, checkpoints and the choice of the best look around it. Do not believe it, test it: same weights at the start, same clips in the same order, everything else off. **Predict:** will the losses be equal, or only similar?

# %%
plain = Recipe(steps=8, batch_size=10, roll=False, spec_augment=False, mixup=0.0, label_smoothing=0.0, n_evals=8, precision="fp32")
spec40 = FeatureSpec(hop_ms=40.0)
log_mels = features(clips, spec40)
parts = examples(log_mels, training), examples(log_mels, validation)
seed_everything(seed)
model = supervised.Normalised(build("cnn7", n_classes), parts[0].x).to(memory_format=torch.channels_last)
by_hand, accuracies = fit_by_hand(model, *parts, plain)
seed_everything(seed)
by_library = supervised.fit(build("cnn7", n_classes), *parts, plain, spec40, seed=seed).history
library_losses = np.array([look["loss"] for look in by_library])
loop_difference = float(np.max(np.abs(library_losses - by_hand)))
fig, ax = plt.subplots(figsize=(9, 3))
at = np.arange(1, plain.steps + 1)
ax.plot(at, library_losses, linewidth=6, alpha=0.35, label="train.fit")
ax.plot(at, by_hand, "o--", label="by hand")
ax.axhline(np.log(n_classes), color="grey", linestyle=":", label="guessing")
ax.set(xlabel="step", ylabel="loss (nats)")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt=f"Loss in nats against the step: the curve by hand lies on top of the library's, no step differs by more than {loop_difference:.0e}; both start near guessing, {np.log(n_classes):.2f}.")
agree = max(abs(a - look["validation_accuracy"]) for a, look in zip(accuracies, by_library, strict=True))
say(f"The largest difference in {plain.steps} steps is **{loop_difference:.0e} nats**, on losses around {by_hand[0]:.1f}, and {100 * agree:.0f} points of accuracy on validation. Where it is not 0 it is rounding. From here on we use the library's loop.")

# %% [markdown]
# The first loss is a check worth making every time: a network that knows nothing spreads its bets, and should start near the logarithm of the number of classes. A start far above it means that the last layer begins with strong opinions; a start far below, that the answer leaks.
#
# ### Exercise 05.3
#
# `fit` keeps the weights of the best *look*. Write the choice: from a list of looks (dictionaries with `step`, `loss`, `validation_loss`, `validation_accuracy`) return the `step` to keep. The highest accuracy on validation wins; among equals the lowest loss on validation.

# %% tags=["exercise"]
def chosen_step(history):
    ### BEGIN SOLUTION
    best = max(history, key=lambda look: (look["validation_accuracy"], -look["validation_loss"]))
    return best["step"]
    ### END SOLUTION


check("05.3", chosen_step)

# %% [markdown]
# ## 5. Overfitting, and what augmentation does to it
#
# One function trains at any setting. Every setting starts from the same weights, sees the same clips in the same order and takes the same number of steps: the **budget** is counted in steps times clips, never in frames, or a fine hop would get more of it.

# %%
recipe = Recipe(steps=steps, batch_size=16, spec_augment=False, mixup=0.0, label_smoothing=0.0, n_evals=looks, precision="fp32")


def trained(hop_ms, window_ms=WINDOW_MS, name="cnn7", recipe=recipe, bar=None):
    """A network trained at one setting, with its history, its cost and its accuracies on training and validation in %."""
    spec = FeatureSpec(window_ms=window_ms, hop_ms=hop_ms)
    x = features(clips, spec, progress=False)
    report = None if bar is None else lambda look: bar.update(x.shape[1] / recipe.n_evals)
    seed_everything(seed)
    fitted = supervised.fit(build(name, n_classes), examples(x, training), examples(x, validation), recipe, spec, seed=seed, device=device, on_eval=report)
    macs = cost.macs(fitted.model, *x.shape[1:]) + cost.feature_macs(spec, timebase.seconds_to_samples(clips.length_s, spec.rate_hz))
    best = supervised.best_eval(fitted.history)
    return {"spec": spec, "model": fitted.model, "history": fitted.history, "seconds": fitted.seconds, "macs": macs,
            "validation": 100 * best["validation_accuracy"], "frames": x.shape[1]}


def accuracy_on(run, mask):
    """Share of the clips in `mask` that a trained network gets right, in %."""
    return 100 * np.mean(supervised.predict(run["model"], features(clips, run["spec"])[mask]).argmax(1) == targets[mask])

# %% [markdown]
# First we let a network overfit. At the coarsest hop steps are cheap, so we take five times as many of them: once on the bare clips, once with everything that `train.fit` can do to a batch: clips turned round in time and masks in time and frequency (notebook 03), *mixup*, which adds two clips and shares out their labels, and *soft targets*, which leave a little probability to the other classes.
# **Predict:** which has the lower training loss? Which is better on validation?

# %%
long = {"steps": 5 * steps, "batch_size": 16, "n_evals": 2 * looks, "precision": "fp32"}
longs = {
    "bare": trained(hops_ms[-1], recipe=Recipe(**long, roll=False, spec_augment=False, mixup=0.0, label_smoothing=0.0)),
    "augmented": trained(hops_ms[-1], recipe=Recipe(**long)),
}
fit_and_validation = {name: (accuracy_on(run, training), run["validation"]) for name, run in longs.items()}
gaps = {name: learnt - held for name, (learnt, held) in fit_and_validation.items()}
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6))
at = [look["step"] for look in longs["bare"]["history"]]
curves = {f"{name}: {what}": [look[key] for look in run["history"]] for name, run in longs.items() for what, key in (("training", "loss"), ("validation", "validation_loss"))}
plots.lines(at, curves, left, xlabel="step", ylabel="loss (nats)", markers=True)
left.set_ylim(0, None)
left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
for offset, (part, number) in enumerate((("training", 0), ("validation", 1))):
    heights = [both[number] for both in fit_and_validation.values()]
    drawn = right.bar(np.arange(2) + 0.4 * offset - 0.2, heights, 0.38, label=part, hatch=("", "//")[offset], edgecolor="white")
    right.bar_label(drawn, fmt="%.0f", fontsize=11)
right.set_xticks(range(2), list(longs))
right.set(ylabel="accuracy (%)", ylim=(0, 112))
right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)
show(fig, alt=f"Left, losses over steps: the bare training loss falls below all others. Right, accuracy on training and validation: bare {fit_and_validation['bare'][0]:.0f} and {fit_and_validation['bare'][1]:.0f} %, augmented {fit_and_validation['augmented'][0]:.0f} and {fit_and_validation['augmented'][1]:.0f} %.")
say(f"Bare, the network is right on {fit_and_validation['bare'][0]:.0f} % of what it learnt from and {fit_and_validation['bare'][1]:.0f} % of validation: a gap of **{gaps['bare']:.0f} points**. Augmented the gap is **{gaps['augmented']:.0f} points**, at {fit_and_validation['augmented'][1]:.0f} % on validation.")

# %% [markdown]
# Two things are easy to mix up. The **gap** between training and validation is overfitting. The **height** of validation is what we want. Augmentation makes the task harder, so it narrows the gap first; it raises validation only when there are steps enough to learn the harder task. The loss of the augmented training is also that of mixed clips with soft targets, and cannot come near zero: compare it with itself, not with the bare one.
#
# The sweep below has a short budget. It therefore uses the mildest augmentation alone: clips turned round in time, which changes no frame.
#
# ## 6. Three sweeps
#
# The first sweep keeps the window at 25 ms and takes the hop from fine to coarse, an octave at a time. That changes a second thing besides. At 10 ms windows of 25 ms overlap; at 80 ms more than two thirds of every clip lie between the windows and are **never seen**. Notebook 01 called the window the anti-alias filter of the hop: there that filter is missing.
#
# So we sweep twice more: the window at a fixed hop, and both at a fixed overlap (a window of 2.5 hops, as 25 ms and 10 ms), where every sample is seen at every hop. And one 9-layer network at 10 ms, to compare a change of hop with a change of network.
#
# **Predict** the shape of the first: does accuracy rise with finer hops, fall, or stay flat? The bar counts frames, not networks, so that its time left is right although hops differ.

# %%
hop_sweep = [(hop_ms, WINDOW_MS) for hop_ms in hops_ms]
both_sweep = [(hop_ms, 2.5 * hop_ms) for hop_ms in hops_ms if hop_ms >= 10]
fixed_hop_ms, windows_ms = (hops_ms[-1], (25.0, 100.0, 200.0)) if profile == "smoke" else (40.0, (10.0, 25.0, 50.0, 100.0))
window_sweep = [(fixed_hop_ms, window_ms) for window_ms in windows_ms]
settings = dict.fromkeys([(*s, "cnn7") for s in hop_sweep + both_sweep + window_sweep] + [(10.0, WINDOW_MS, "cnn9")])  # each once
runs = {}
with tqdm(total=sum(1 + round(1000 * clips.length_s / hop_ms) for hop_ms, _, _ in settings), unit="frame") as bar:
    for hop_ms, window_ms, name in settings:
        bar.set_description(f"{name}, hop {hop_ms:g} ms")
        runs[hop_ms, window_ms, name] = trained(hop_ms, window_ms, name, bar=bar)
rows = [(name, w, h, run["frames"], run["macs"] / 1e6, run["seconds"] / 60, run["validation"]) for (h, w, name), run in runs.items()]
display(pd.DataFrame(rows, columns=["network", "window (ms)", "hop (ms)", "frames", "MACs (M)", "training (minutes)", "validation (%)"]).round(2))
finest, coarsest = (runs[*s, "cnn7"] for s in (hop_sweep[0], hop_sweep[-1]))
chosen = max(hop_sweep, key=lambda s: (runs[*s, "cnn7"]["validation"], s[0]))  # of equals the cheapest
say(f"From {hop_sweep[-1][0]:g} to {hop_sweep[0][0]:g} ms the MACs grow by a factor of **{finest['macs'] / coarsest['macs']:.1f}**, the minutes by {finest['seconds'] / coarsest['seconds']:.1f}. "
    f"Validation chooses a hop of **{chosen[0]:g} ms** among those with a window of {WINDOW_MS:g} ms ({runs[*chosen, 'cnn7']['validation']:.0f} %; of equals we take the cheapest).")

# %% [markdown]
# MACs are exact and the same everywhere; minutes belong to this machine on this day. Here MACs include the log-mel itself, which costs a few per cent of the network.
#
# How did they learn? Equal steps is one way to compare; equal *time* is another, and it can turn the order round. The same looks, over both:

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 3.6), sharey=True)
for place, (hop_ms, window_ms) in enumerate(hop_sweep):
    history = runs[hop_ms, window_ms, "cnn7"]["history"]
    shares = [100 * look["validation_accuracy"] for look in history]
    style = {"marker": plots.MARKERS[place], "linestyle": plots.LINES[place], "color": plots.COLOURS[place]}
    axes[0].plot([look["step"] for look in history], shares, **style)
    axes[1].plot([look["seconds"] for look in history], shares, label=f"{hop_ms:g} ms", **style)
axes[0].set(xlabel="step", ylabel="accuracy on validation (%)")
axes[1].set(xlabel="time (s)", xscale="log")
plots.log_ticks(axes[1].xaxis, (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500))
axes[1].legend(title="hop", loc="center left", bbox_to_anchor=(1, 0.5))
by_step = finest["history"][-1]["validation_accuracy"] - coarsest["history"][-1]["validation_accuracy"]
show(fig, alt=f"Accuracy on validation in % over steps and over seconds, one curve a hop. At the last step hop {hop_sweep[0][0]:g} ms is {100 * by_step:+.0f} points from hop {hop_sweep[-1][0]:g} ms; over time the coarse hops are done before the fine ones have begun.")
say(f"After {steps} steps the finest hop stands {100 * by_step:+.0f} points from the coarsest on validation. The coarsest was done after {coarsest['seconds']:.0f} s, when the finest had taken about {steps * coarsest['seconds'] / finest['seconds']:.0f} of its {steps} steps.")

# %% [markdown]
# ## 7. The test, once
#
# Every choice is made; now the test fold is read, for all networks in one cell. The interval draws the *sources* of the test clips again and again (notebook 04). It holds the chance of having these clips, and **not** that of another fold or another start: the true uncertainty is larger. **Predict:** how wide is it?

# %%
guesses = {key: supervised.predict(run["model"], features(clips, run["spec"])[test]).argmax(1) for key, run in runs.items()}
right = {key: (guess == targets[test]).astype(float) for key, guess in guesses.items()}
accuracy = {key: accuracy_by_source(r, groups[test], seed=seed).scaled(100) for key, r in right.items()}
sweeps = [(hop_sweep, 0, f"hop (ms), window {WINDOW_MS:g} ms"), (both_sweep, 0, "hop (ms), window 2.5 hops"), (window_sweep, 1, f"window (ms), hop {fixed_hop_ms:g} ms")]
fig, axes = plt.subplots(1, 3, figsize=(13, 4), sharey=True, width_ratios=[3, 2, 2])
for ax, (settings, which, label) in zip(axes, sweeps, strict=True):
    ax.set_xscale("log")
    values = [s[which] for s in settings]
    rows = [accuracy[*s, "cnn7"] for s in settings]
    plots.intervals(values, {"": [(i.mean, i.low, i.high) for i in rows]}, ax, xlabel=label, ylabel="")
    plots.log_ticks(ax.xaxis, values)
axes[0].set_ylabel("accuracy on the test fold (%)")
axes[0].axvline(chosen[0], color="grey", linestyle=":")
fine, at10, coarse = (accuracy[h, WINDOW_MS, "cnn7"] for h in (hop_sweep[0][0], 10.0, hop_sweep[-1][0]))
show(fig, alt=f"Accuracy on the test fold in % with 95 % intervals, three panels. Hop at a window of {WINDOW_MS:g} ms: {fine.mean:.0f} at {hop_sweep[0][0]:g} ms, {at10.mean:.0f} at 10 ms, {coarse.mean:.0f} at {hop_sweep[-1][0]:g} ms; a dotted line marks the hop that validation chose. Hop with a window of 2.5 hops; window at a hop of {fixed_hop_ms:g} ms.")
ends = accuracy[*both_sweep[-1], "cnn7"], accuracy[*window_sweep[0], "cnn7"], accuracy[*window_sweep[-1], "cnn7"]
say(f"The hop that validation chose, {chosen[0]:g} ms, is right on **{accuracy[*chosen, 'cnn7']} %** of the test. At {both_sweep[-1][0]:g} ms a window that sees every sample gives {ends[0].mean:.0f} % and one of {WINDOW_MS:g} ms {coarse.mean:.0f} %. The window alone, from {windows_ms[0]:g} to {windows_ms[-1]:g} ms, goes from {ends[1].mean:.0f} to {ends[2].mean:.0f} %.")

# %% [markdown]
# The intervals overlap nearly everywhere. That does not make two hops equal: the *same* clips were judged at both, so we may ask clip by clip. The difference has an interval of its own, narrower than those of its two ends.

# %%
def difference(first, second):
    """Difference of accuracy in points between two settings on the same test clips, with an interval by source."""
    return accuracy_by_source(right[first] - right[second], groups[test], seed=seed).scaled(100)


def verdict(d):
    return "an interval without 0, for this start of the weights" if d.low > 0 or d.high < 0 else "0 lies in the interval: this fold cannot tell"


ten = (10.0, WINDOW_MS, "cnn7")
differences = {f"hop {h:g} ms": difference((h, w, "cnn7"), ten) for h, w in hop_sweep if h != 10} | {"9 layers": difference((10.0, WINDOW_MS, "cnn9"), ten)}
ratios = {f"hop {h:g} ms": runs[h, w, "cnn7"]["macs"] / runs[ten]["macs"] for h, w in hop_sweep} | {"9 layers": runs[10.0, WINDOW_MS, "cnn9"]["macs"] / runs[ten]["macs"]}
width = at10.high - at10.low
display(pd.DataFrame([(name, f"{d.mean:+.1f}", f"{d.low:+.1f} to {d.high:+.1f}", f"{ratios[name]:.2f}", verdict(d)) for name, d in differences.items()],
                     columns=["against hop 10 ms, 7 layers", "points", "95 % interval", "MACs, times", "reading"]))
say(f"The interval at 10 ms is **{width:.0f} points wide** on {test.sum()} clips. A difference of one to three points, which papers are written about, is {test.sum() / 100:.2g} to {3 * test.sum() / 100:.2g} clips here: no single fold of this size shows it. Folds and seeds do, in pairs; that is what the study is for.")

# %% [markdown]
# Even an interval without 0 is no discovery yet, for three reasons.
#
# - **The start.** Other first weights, or another order of the clips, would end elsewhere. The interval knows of the clips alone; it would look the same if we had trained a hundred times and shown the best.
# - **The number of questions.** Each row asks one. Of twenty rows without any true difference, one is expected to leave 0 outside its 95 %.
# - **The shape.** An effect of the hop should be smooth along the axis. A hop that falls below *both* its neighbours has most likely had a bad start.
#
# The budget speaks too: with the steps of `smoke` and `lesson` no network here is trained to its end, so the sweep compares how fast they learn as much as how well they could.
#
# ### Which sounds need fine time?
#
# Accuracy hides that classes differ. The recall of a class is the share of its clips that are found. A dripping tap or a clock lives in milliseconds; rain does not. **Predict:** which rows change from left to right?

# %%
tested, per_class = np.unique(targets[test], return_counts=True)
recall = np.array([[100 * right[*s, "cnn7"][targets[test] == k].mean() for s in hop_sweep] for k in tested])
names = [clips.classes[k].replace("_", " ") for k in tested]
fig, ax = plt.subplots(figsize=(1.2 * len(hop_sweep) + 4.5, 0.36 * len(tested) + 1.2))
image = ax.pcolormesh(recall, cmap="cividis", vmin=0, vmax=100)
for row, column in np.ndindex(*recall.shape):
    shade = "white" if recall[row, column] < 50 else "black"
    ax.text(column + 0.5, row + 0.5, f"{recall[row, column]:.0f}", ha="center", va="center", color=shade, fontsize=11)
ax.set_xticks(np.arange(len(hop_sweep)) + 0.5, [f"{h:g}" for h, _ in hop_sweep])
ax.set_yticks(np.arange(len(tested)) + 0.5, names)
ax.set(xlabel="hop (ms)")
fig.colorbar(image, ax=ax, label="recall (%)")
change = recall[:, 0] - recall[:, -1]
most, least = int(change.argmax()), int(change.argmin())
uneven = per_class.max() >= 1.5 * per_class.min()
balanced = recall[:, hop_sweep.index(chosen)].mean()
beside = f" The classes are uneven ({per_class.min()} to {per_class.max()} test clips): at the chosen hop the mean of the recalls, the **balanced accuracy, is {balanced:.0f} %**, beside an accuracy of {accuracy[*chosen, 'cnn7'].mean:.0f} %." if uneven else ""
show(fig, alt=f"Recall in % of each class (rows) at each hop (columns). From the coarsest to the finest hop {names[most]} changes most upwards, by {change[most]:+.0f} points, {names[least]} most downwards, by {change[least]:+.0f}.")
say(f"*{names[most].capitalize()}* gains {change[most]:.0f} points from the finest hop, *{names[least]}* changes by {change[least]:+.0f}. **The smallest class has {per_class.min()} test clips, so one clip is {100 / per_class.min():.3g} points**: read rows in which several neighbouring hops agree, and distrust single cells.{beside}")

# %% [markdown]
# ## 8. What a point costs
#
# Accuracy against cost, one dot a network. A setting is worth a thought when no other is both cheaper and better; such settings form the *Pareto front*, the dots with a ring.

# %%
keys = [key for key in runs if key[1] == WINDOW_MS]
labels = [f"{h:g} ms" + (" (9 layers)" if name == "cnn9" else "") for h, _, name in keys]
fig, ax = plt.subplots(figsize=(9, 4))
macs = np.array([runs[key]["macs"] / 1e6 for key in keys])
points = np.array([accuracy[key].mean for key in keys])
spans = np.abs(np.array([[accuracy[key].low, accuracy[key].high] for key in keys]).T - points)
ax.errorbar(macs, points, spans, fmt="none", ecolor="lightgrey", capsize=3, zorder=0)
plots.pareto(macs, points, labels, ax, xlabel="multiply-accumulates a clip (millions)", ylabel="accuracy on the test fold (%)")
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17))
show(fig, alt=f"Accuracy in % with intervals against millions of multiply-accumulates on a logarithmic axis: {macs.min():.0f} M at the coarsest hop to {macs.max():.0f} M at the most expensive setting; rings and a dotted line mark the settings that none beats in both.")
say(f"Between the cheapest and the most expensive dot lie a factor of {macs.max() / macs.min():.0f} in cost and {points[macs.argmax()] - points[macs.argmin()]:+.0f} points. With intervals this wide the *front* is uncertain too: a dot may be on it by luck.")

# %% [markdown]
# ### Exercise 05.4
#
# Write the Pareto front: from equally long lists of costs and accuracies, the places (0, 1, …) of all settings that no other beats. A setting is beaten when another costs no more and is at least as good, and is better in one of the two. Return a sorted list.

# %% tags=["exercise"]
def undominated(macs, accuracies):
    ### BEGIN SOLUTION
    points = list(zip(macs, accuracies, strict=True))
    return [i for i, (m, a) in enumerate(points) if not any(n <= m and b >= a and (n, b) != (m, a) for n, b in points)]
    ### END SOLUTION


check("05.4", undominated)

# %% [markdown]
# ## 9. The timing probe: sounds whose answer is known
#
# A flat curve has two readings: the hop does not matter, or *our experiment cannot see that it does*. A probe tells them apart. The set `timing` has three tasks of two classes. All are bursts of white noise with the same long-term spectrum and energy; the two classes of a task differ in **when** the energy comes, and in nothing else:
#
# - **gap**: two clicks with a silence of 5 ms or of 10 ms between them;
# - **am**: noise that swells and drops in periods of 40 ms, or drops and swells;
# - **order**: a burst of 20 ms and then one of 40 ms, or the other way round.
#
# By construction the longest hop that can keep them apart, with a window no longer than the hop, is 5, 10 and 20 ms.

# %%
probe = load_timing({"smoke": 40, "lesson": 200, "study": 200}[profile])
fig, axes = plt.subplots(2, 3, figsize=(12, 4), sharex=True, sharey=True)
heard = []
for ax, label in zip(axes.T.flat, probe.table["label"].unique(), strict=True):
    one = probe.where((probe.table["label"] == label) & (probe.table["number"] == 0))
    wave, onset_s = one.waves()[0], one.events["onset_s"].min()
    heard.append(0.5 * wave / np.abs(wave).max())
    begin = max(0, timebase.seconds_to_samples(onset_s, timing_probe.RATE_HZ) - 320)
    plots.waveform(wave[begin : begin + 2560] / np.abs(wave).max(), timing_probe.RATE_HZ, ax)
    ax.set(title=label.replace("_", " "), ylabel="", xlabel="")
for ax in axes[-1]:
    ax.set_xlabel("time (ms)")
axes[0, 0].set_ylabel("amplitude")
show(fig, alt="Six waveforms of 160 ms, two a column: two clicks 5 or 10 ms apart; noise that swells or drops in periods of about 40 ms; a short burst before or after one twice as long.")
play(np.concatenate(heard[:2]), timing_probe.RATE_HZ, describe="Two clips of 1 s: a double click with 5 ms of silence inside, then one with 10 ms; they are hard to tell apart by ear.")

# %% [markdown]
# The same 7-layer network learns all six classes at once, with 16 mel bands (white noise has no more to tell) and a window as long as the hop. A clip counts as right when the network prefers its class over the *other class of its task*; guessing is right half of the time.
#
# **Predict** three knees, one a task: the hop from which the curve falls. Which task falls first as the hop grows?

# %%
probe_hops_ms, probe_steps, probe_batch = ((5.0, 40.0), 40, 16) if profile == "smoke" else ((2.5, 5.0, 10.0, 20.0, 40.0), 120, 32)
probe_recipe = Recipe(steps=probe_steps, batch_size=probe_batch, roll=False, spec_augment=False, mixup=0.0, label_smoothing=0.0, n_evals=4, precision="fp32")
parts = dict(zip(("learn", "choose", "judge"), folds.split(probe, 1), strict=True))
task, found = probe.table["task"].to_numpy(), {name: [] for name in timing_probe.TASKS}
for hop_ms in tqdm(probe_hops_ms, desc="probe"):
    spec = FeatureSpec(window_ms=hop_ms, hop_ms=hop_ms, n_mels=16, fmin_hz=200.0)
    x = features(probe, spec)
    seed_everything(seed)
    sets = (examples(x, parts[name], probe.targets, 6) for name in ("learn", "choose"))
    fitted = supervised.fit(cnn.CNN(6, cnn.CNN7), *sets, probe_recipe, spec, seed=seed, device=device)
    for name in timing_probe.TASKS:
        rows = parts["judge"] & (task == name)
        own = np.unique(probe.targets[rows])
        best_of_two = own[supervised.predict(fitted.model, x[rows])[:, own].argmax(1)]
        found[name].append(accuracy_by_source(best_of_two == probe.targets[rows], np.flatnonzero(rows), seed=seed).scaled(100))
display(pd.DataFrame({name: [f"{i.mean:.0f} ({i.low:.0f} to {i.high:.0f})" for i in row] for name, row in found.items()}, index=[f"{h:g} ms" for h in probe_hops_ms]))

# %%
needed_ms = {name: timing_probe.needed_resolution_ms(name) for name in timing_probe.TASKS}
fig, axes = plt.subplots(1, 3, figsize=(12, 3.6), sharey=True)
for place, (ax, name) in enumerate(zip(axes, timing_probe.TASKS, strict=True)):
    means = np.array([i.mean for i in found[name]])
    spans = np.abs(np.array([[i.low, i.high] for i in found[name]]).T - means)
    ax.errorbar(probe_hops_ms, means, spans, capsize=3, color=plots.COLOURS[place], marker=plots.MARKERS[place])
    ax.axvline(needed_ms[name], color="black", linestyle="--")
    ax.axhline(50, color="grey", linestyle=":")
    ax.set(xscale="log", title=f"{name}: needs {needed_ms[name]:g} ms", xlabel="hop = window (ms)", ylim=(25, 104))
    plots.log_ticks(ax.xaxis, (2.5, 5, 10, 20, 40))
axes[0].set_ylabel("accuracy, chance 50 (%)")
kept = {name: max((i.mean for i, h in zip(found[name], probe_hops_ms, strict=True) if h <= needed_ms[name])) for name in timing_probe.TASKS}
at_needed = {name: [i.mean for i, h in zip(found[name], probe_hops_ms, strict=True) if h == needed_ms[name]] for name in timing_probe.TASKS}
lost = {name: found[name][-1].mean for name in timing_probe.TASKS}
show(fig, alt="Accuracy in % against the hop in ms, one panel a task, with a dashed line at the hop the task needs: " + "; ".join(f"{name} up to {kept[name]:.0f} at or below {needed_ms[name]:g} ms and {lost[name]:.0f} at {probe_hops_ms[-1]:g} ms" for name in timing_probe.TASKS) + ".")
say("At or below the dashed line: " + ", ".join(f"**{name}** up to {kept[name]:.0f} %" for name in timing_probe.TASKS) + f"; at {probe_hops_ms[-1]:g} ms: " + ", ".join(f"{lost[name]:.0f} %" for name in timing_probe.TASKS) + (". Forty steps are few: in `smoke` the finest task is not learnt yet, and two hops show no knee. Run `lesson` for that." if profile == "smoke" else "."))

# %% [markdown]
# With the steps of `lesson` a task is found left of its line and lost right of it. The method works: **where the sounds need fine time, this network and this budget show it**. So a curve that stays flat on other sounds tells about those sounds, within its interval, and not about a blind experiment.
#
# *Gap* can stay a little above one half for a while, and rightly so: the longer silence lies more often across the border of two frames, so that counting bright frames is worth something even when no frame resolves the silence.
#
# The probe has limits as well. It shows that detail of 5 ms *can* be used; it does not show that any natural sound needs it. And the hop and the window moved together here, as they must: section 5 of notebook 01 showed that a finer hop under a long window separates nothing.
#
# ## 10. Many folds, many seeds
#
# One fold and one seed is what an evening allows. The same sweep over all folds and several seeds is what the study runs, and pairs are what its tables compare. Two doubts have rows of their own. At a hop of 80 ms a window of 25 ms leaves two thirds of every clip unseen: is it the hop that costs, or what was never looked at? And all hops had the same 240 steps: is a coarse picture poor, or slow to learn from?

# %%
# STUDY GRID
sweeps = figures.hop_sweeps(paths.published_dir())
if sweeps:
    from_study = figures.sweeps_figure(sweeps)
    show(from_study, alt=figures.sweeps_text(sweeps))
    study = next(iter(sweeps.values()))
    pairs = study[study["pairs"] > 0]
    say(f"ESC-10, {study['folds'].max()} folds, {study['seeds'].min()} to {study['seeds'].max()} seeds, the 7-layer network. At 240 steps and 25 ms against 10 ms, paired by fold: " + "; ".join(
        f"**{row['features.hop_ms']:g} ms {100 * row['difference']:+.1f} points** ({100 * row['difference_low']:+.1f} to {100 * row['difference_high']:+.1f})" for _, row in pairs.iterrows()
    ) + f". So many pairs could have missed a true difference of up to {100 * pairs['minimum_detectable_effect'].max():.0f} points.")

# %% [markdown]
# Read the three lines against each other. A window that grows with the hop gives back about half of what 80 ms had lost: that half was **unseen sound**. With 800 steps the hops that were run lie close together: much of the rest was **unfinished learning**. Less than it seems is left for resolution itself.
#
# ## What we saw
#
# Claims have a letter for the paper and a number: A for Liu et al., B for notebook 09, C for 10 and 11, D for Mushtaq et al. Notebook 12 has all of them.

# %%
last = f"hop {max((h for h in hops_ms if h != 10), key=lambda h: abs(np.log(h / 10))):g} ms"  # the farthest from 10 ms
d = differences[last]
say(f"""| claim | in the paper's words, shortened | our number on one fold | reading |
|---|---|---|---|
| A1 | Liu et al. (2024): a fixed temporal resolution such as 10 ms is not optimal for all sounds; the hop moves accuracy and cost | {last} against 10 ms: {d.mean:+.1f} points ({d.low:+.1f} to {d.high:+.1f}) at {ratios[last]:.2f} of the MACs | cost moves as computed; accuracy: {"too few steps to read" if profile == "smoke" else verdict(d)} |
| | the same, on sounds made to need time | {"; ".join(f"{name} {kept[name]:.0f} % at or below {needed_ms[name]:g} ms, {lost[name]:.0f} % at {probe_hops_ms[-1]:g} ms" for name in timing_probe.TASKS)} | {"too few steps to read" if profile == "smoke" else "each task wants another hop, as constructed"} |
| D4 | Mushtaq et al. (2021): 7- and 9-layer CNNs from scratch learn from mel pictures | 7 layers {at10}, 9 layers {accuracy[10.0, WINDOW_MS, 'cnn9']} % at 10 ms; guessing gives {100 / n_classes:.0f} % | {"too few steps to read" if profile == "smoke" else "they learn" if at10.low > 100 / n_classes else "not above guessing"} |
| | augmentation curbs overfitting | gap between training and validation {gaps['bare']:.0f} points bare, {gaps['augmented']:.0f} augmented | {"narrower here" if gaps['augmented'] < gaps['bare'] else "not narrower here"}, one run each |

Our layers, data and budget are not the papers', so no row confirms or refutes a number of theirs.""")

# %% [markdown]
# - The cost of a network on a log-mel grows as fast as the number of frames, that is, inversely with the hop.
# - The same network at another hop reaches over another span of time: two things change at once.
# - Whatever is chosen, is chosen on validation; the test is read once, and read with its interval.
# - Where time matters by construction, accuracy falls where construction says. On ordinary sounds one fold cannot tell neighbours apart.
#
# ## What next
#
# Notebook 06 starts from networks that have already learnt something, and asks what of it survives on spectrograms. Notebook 07 takes up this one's question: if no hop is right for every sound, can the network choose?
# Before you go on: [questions to test yourself](quizzes/05_fixed_resolution_cnn.md).
#
# ## References
#
# - H. Liu, X. Liu, Q. Kong, W. Wang, M. D. Plumbley, "Learning temporal resolution in spectrogram for audio classification", AAAI 2024. doi:10.48550/arXiv.2210.01719
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound classification using CNN with meaningful data augmentation", Applied Acoustics 172, 107581, 2021
# - K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015. doi:10.1145/2733373.2806390

# %% tags=["record"]
one_clip = 100 / int(test.sum())


def judged(step):
    """How a trained network's number is judged: within a band, but not after the dozen steps of `smoke`."""
    return {"kind": "info"} if profile == "smoke" else {"step": step}


record("parameters_cnn7", cost.parameters(networks["cnn7"]), kind="exact")
record("parameters_cnn9", cost.parameters(networks["cnn9"]), kind="exact")
record("field_cnn7", field, unit="frames", kind="exact")
record("macs_cnn7_10ms", cost.macs(networks["cnn7"], n_frames, spec10.n_mels), kind="exact")
record("hand_loop_is_the_librarys", "yes" if loop_difference < 1e-3 else "no", kind="exact")
for hop_ms in sorted({hops_ms[0], 10.0, hops_ms[-1]}):
    record(f"accuracy_{hop_ms:g}ms", accuracy[hop_ms, WINDOW_MS, "cnn7"].mean, unit="%", **judged(one_clip))
for name, gap in gaps.items():
    record(f"gap_{name}", gap, unit="points", **judged(100 / int(validation.sum())))
if profile != "smoke":
    for name in timing_probe.TASKS:
        record(f"probe_{name}_at_needed", at_needed[name][0], unit="%", step=100 / int(np.sum(parts["judge"] & (task == name))))
    record("probe_at_longest", float(np.mean(list(lost.values()))), unit="%", step=100 / int(parts["judge"].sum()))
else:
    record("probe_order_fine", kept["order"], unit="%", step=100 / int(np.sum(parts["judge"] & (task == "order"))))
record("chosen_hop", chosen[0], unit="ms", kind="info")
record("minutes", (time.perf_counter() - started) / 60, unit="min", kind="info")
