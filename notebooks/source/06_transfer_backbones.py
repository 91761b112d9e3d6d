# %% [markdown]
# # 06 · Transfer from photographs
#
# Take a network that has learnt to tell a thousand kinds of things in photographs: dogs, teapots, lighthouses. Show it a log-mel of a barking dog, which looks like none of them. Give it a new last layer, train for a minute, and it tells sounds apart,
# often better than a network that has seen nothing but sounds. Why should that work? What has to be kept still, and for how long? And what is left of numbers such as 99 % when every recording stays on its side of the split?

# %% [markdown]
# ## You will be able to
#
# - **say** which filters of a photograph network can hear at all, and which are deaf to a grey picture (exercise 06.1);
# - **turn** one channel into three, and say what each way adds;
# - **fine-tune** with frozen stages and discriminative rates (exercises 06.2 and 06.3), and check which weights moved;
# - **compare** augmentation of the clip and of the picture without a leak (exercise 06.4), and read a claim of 99 % with an interval beside it.

# %% [markdown]
# ## Before you start
#
# You need notebooks 03 to 05. Reading takes 45 minutes, the four exercises 35. The machine needs less than a minute in `smoke`, two or so in `lesson`, ten in `study`.
#
# A network that has learnt from photographs and is to serve another task is called a *backbone*. Ours is EfficientNet-Lite0: made for small devices, 4.7 million weights with its thousand classes, and they come with a package, so that nothing is downloaded. Five others can be chosen instead; section 4 says what each costs. In `smoke` everything is cut down to ten clips a class and a handful of steps: the lines run, the accuracies mean nothing.

# %%
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn import linear_model, pipeline, preprocessing
from torch.optim.optimizer import register_optimizer_step_pre_hook

from course_lib import paths, plots, profiles
from course_lib.analysis import figures, questions, verdicts
from course_lib.audio.augment import NAA
from course_lib.audio.features import FeatureSpec
from course_lib.data import folds
from course_lib.data.augmented import with_copies
from course_lib.data.clips import features
from course_lib.data.load import load
from course_lib.evaluation.intervals import Interval, accuracy_by_source
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show
from course_lib.models.backbones import CHANNEL_MODES, NAMES, Backbone, three_channels
from course_lib.study import stats
from course_lib.training import cost
from course_lib.training.supervised import Normalised, Recipe, Split, best_eval, fit, predict

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # lesson, study, or smoke (a test, no conclusions)
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of new weights, of the order of clips, and of copies; the clips are the same for every seed
backbone: str = "lite0"  # lite0, or resnet152, densenet161, alexnet, squeezenet1_1, vgg16, whose weights are fetched
n_steps: int = 0  # updates of each training; 0 takes two thirds of the profile's

# %%
started = time.perf_counter()
size = profiles.get(profile)
if profile == "smoke":  # one backbone costs more than all CNNs of notebook 05: ten clips a class
    size = replace(size, real_clips_per_class=10)
clips = load(dataset, size)
hop_ms = next((h for h in (60.0, 30.0) if 1000 * clips.length_s / h >= 64), 15.0)  # the body halves 64 frames five times
spec = FeatureSpec(window_ms=max(25.0, hop_ms), hop_ms=hop_ms, n_mels=64)
x, y = features(clips, spec), clips.targets
training, validation, test = folds.split(clips, folds.testable_folds(clips)[0])
say(f"{training.sum()} clips of *{clips.name}* to train, {validation.sum()} to choose by, {test.sum()} to test, no source on two sides. "
    f"A picture has {x.shape[1]} frames of {spec.hop_ms:.0f} ms and {x.shape[2]} mel bands.")
wanted = next((name for name in ("dog", "rooster") if name in clips.classes), clips.classes[0])
one = np.flatnonzero(training & (clips.table["label"] == wanted).to_numpy())[0]
wave = clips.waves(spec.rate_hz)[one]
play(0.9 * wave / np.abs(wave).max(), spec.rate_hz, describe=f"The first 2 s of the clip that we look at: {wanted.replace('_', ' ')}.")

# %% [markdown]
# Why so coarse a picture? A backbone halves its picture five times and wants at least 64 x 64 pixels, so 5 s need a frame every 60 ms, and 1 s one every 15 ms. More frames cost more and would teach you nothing new here; what finer frames are worth is the question of notebook 05.
#
# ## 1. What a first layer looks for
#
# A photograph has three channels: red, green, blue. Each filter of the first layer is a tiny colour picture, and answers where the photograph looks like it. We draw all of them, beside a fresh network of the same make.
#
# **Predict** before you run: our picture is one channel, copied three times, so it is *grey*. What does a filter that looks for colour alone answer?

# %%
def first_filters(net, n_most=32):
    """Filters of the first convolution, (filters, 3, height, width)."""
    return next(m for m in net.modules() if isinstance(m, torch.nn.Conv2d)).weight.detach()[:n_most]


def mosaic(filters, across=8):
    """Filters as small colour pictures, each at its own brightness, side by side."""
    rows = 0.5 + 0.5 * filters / filters.abs().amax((1, 2, 3), keepdim=True).clamp(min=1e-9)
    tiles = [np.pad(f.permute(1, 2, 0).repeat_interleave(8, 0).repeat_interleave(8, 1), ((2, 2), (2, 2), (0, 0)), constant_values=1) for f in rows]
    return np.vstack([np.hstack(tiles[k : k + across]) for k in range(0, len(tiles), across)])


seed_everything(seed)
nets = {"photographs": Backbone(backbone, len(clips.classes)), "fresh": Backbone(backbone, len(clips.classes), pretrained=False)}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.2))
for ax, (name, net) in zip(axes, nets.items(), strict=True):
    ax.imshow(mosaic(first_filters(net)))
    ax.set_title({"photographs": "trained on photographs", "fresh": "fresh weights"}[name])
    ax.axis("off")
show(fig, alt=f"The {len(first_filters(nets['fresh']))} filters of the first layer of {backbone} as colour pictures of {first_filters(net).shape[-1]} pixels a side: "
     "those trained on photographs are smooth, lines and corners in green against purple and a few blobs of one colour; fresh ones are coloured noise.")

# %% [markdown]
# The sum over the three colours is what a grey picture meets. Where red and green have opposite signs the sum is nothing. We measure the *grey share* of a filter: which part of its energy is left when the three colours are replaced by their mean. Weights drawn at random have a third on average.

# %%
def grey_share(filters):
    """Part of each filter's energy that is the same in all three colours, (filters,)."""
    return (filters.mean(1, keepdim=True).expand_as(filters).square().sum((1, 2, 3)) / filters.square().sum((1, 2, 3))).numpy()


def edges(filters):
    """How much each filter answers to an upright and to a lying edge in a grey picture, (filters,) each."""
    grey, ramp = filters.sum(1), torch.linspace(-1, 1, filters.shape[-1])
    return (grey * ramp).sum((1, 2)).abs(), (grey * ramp[:, None]).sum((1, 2)).abs()


shares = {name: np.sort(grey_share(first_filters(net))) for name, net in nets.items()}
deaf = {name: int((s < 0.07).sum()) for name, s in shares.items()}
fig, ax = plt.subplots(figsize=(8, 3))
plots.lines(np.arange(1, len(shares["fresh"]) + 1), {f"{k}": 100 * v for k, v in shares.items()}, ax, xlabel="filters, in order", ylabel="grey share (%)", markers=True)
ax.axhline(100 / 3, color="grey", linewidth=1, linestyle=":")
show(fig, alt=f"Grey share of the filters in rising order: trained on photographs from {100 * shares['photographs'][0]:.0f} to {100 * shares['photographs'][-1]:.0f} %, fresh ones from {100 * shares['fresh'][0]:.0f} to {100 * shares['fresh'][-1]:.0f} %; a dotted line at a third.")
say(f"**{deaf['photographs']} of {len(shares['fresh'])}** trained filters keep less than 7 % of their energy: they look for colour, and three copies of one channel are silence to them. Others are nearly pure grey, up to {100 * shares['photographs'][-1]:.0f} %. Of the fresh ones {deaf['fresh']} are deaf.")

# %% [markdown]
# ### Exercise 06.1
#
# All three channels hold the same picture. Write the filters of *one* channel that answer the same as `filters`, shape `(filters, 3, height, width)`. The result has shape `(filters, height, width)`, and the first layer would need a third of the multiplications.

# %% tags=["exercise"]
def one_channel_filters(filters):
    ### BEGIN SOLUTION
    return filters.sum(axis=1)
    ### END SOLUTION


check("06.1", one_channel_filters)

# %% [markdown]
# An edge that stands upright in the picture is an *onset*; one that lies is the border of a *tone*. We take from each network the filter that likes upright edges best and the one that likes lying edges best, and let them look at the clip that you heard. Each has its mean taken off first, so that silence and steady noise alike give no answer.

# %%
band_db = x[training].std((0, 1))  # every band is brought to mean 0 and standard deviation 1, as in training
normal = torch.tensor((x[training] - x[training].mean((0, 1))) / band_db)
picture = normal[np.flatnonzero(training).tolist().index(one)]
fig = plt.figure(figsize=(12, 5))
axes = fig.subplot_mosaic([["clip", "photographs 0", "photographs 1"], ["clip", "fresh 0", "fresh 1"]])
axes["clip"].pcolormesh(spec.frame_centres_s(len(picture)), np.arange(spec.n_mels), picture.T, rasterized=True)
axes["clip"].set(title="the clip", xlabel="time (s)", ylabel="mel band")
liking = {}
for name, net in nets.items():
    filters = first_filters(net)
    upright, lying = edges(filters)
    for which, (wanted_edge, other) in enumerate([(upright, lying), (lying, upright)]):
        best = int((wanted_edge - other).argmax())
        liking[name, which] = float(wanted_edge[best] / (other[best] + 1e-9))
        answer = torch.nn.functional.conv2d(three_channels(picture[None], "copy").transpose(2, 3).flip(2), (filters[best] - filters[best].mean())[None])[0, 0].abs()
        ax = axes[f"{name} {which}"]
        ax.pcolormesh(answer.flip(0), vmax=float(answer.quantile(0.99)), rasterized=True)
        ax.set(title=f"{name}: {('upright', 'lying')[which]} edges", xticks=[], yticks=[])
show(fig, alt=f"A log-mel of a {wanted.replace('_', ' ')} beside the answers of four filters, time to the right, mel bands upwards: the filters for upright edges keep what starts at once in many bands, those for lying edges take it apart into bands, in the trained network and in the fresh one.")
say(f"The trained filter for upright edges answers {liking['photographs', 0]:.0f} times as much to them as to lying ones. But look at the fresh network: among {len(filters)} random filters there is one that prefers them **{liking['fresh', 0]:.0f}** times, by chance. The first layer alone does not explain transfer.")

# %% [markdown]
# ## 2. One channel to three
#
# So the colours are there to be used. Three ways, and the second and third make a *coloured* picture of a sound:
#
# - `copy`: three times the same, a grey picture;
# - `deltas`: the log-mel, its change from frame to frame, the change of that;
# - `smoothed`: means over 1, 3 and 9 frames: three temporal resolutions at once.
#
# **Predict:** which of the nine channels do not change when the clip is played 10 dB louder?

# %%
fig, axes = plt.subplots(3, 4, figsize=(13, 7), sharex=True, sharey=True)
std = {}
for row, three in zip(axes, CHANNEL_MODES, strict=True):
    channels = three_channels(picture[None], three)[0]
    std[three] = three_channels(normal, three).std((0, 2, 3)).numpy()
    row[0].imshow(((channels + 2) / 4).clamp(0, 1).permute(2, 1, 0), origin="lower", aspect="auto")
    row[0].set_ylabel(f"{three}: mel band")
    for k, ax in enumerate(row[1:]):
        ax.imshow(channels[k].T, origin="lower", aspect="auto", vmin=-2, vmax=2)
for ax, title in zip(axes[0], ("as a colour picture", "red", "green", "blue"), strict=True):
    ax.set_title(title)
fig.supxlabel("frame")
louder = three_channels(picture[None] + torch.tensor(10 / band_db), "deltas") - three_channels(picture[None], "deltas")
show(fig, alt="One clip in three ways, a row each: three copies make a grey picture; with deltas green and blue are even but where the sound changes; smoothed over 1, 3 and 9 frames, sharp things have coloured fringes.")
say(f"Ten dB louder move the copies by 10 dB and the deltas by **{float(louder[0, 1:].abs().max()):.0f}**: change does not know the gain. They are also smaller, a standard deviation of {std['deltas'][1]:.2f} where the log-mel has 1. "
    f"The third smoothed channel looks {9 * spec.hop_ms:.0f} ms wide and still keeps {std['smoothed'][2]:.2f}: most of what distinguishes these clips is slow.")

# %% [markdown]
# Do they help? And does transfer work at all? There is a cheap way to ask: *freeze* the whole body. Its output for a clip then never changes, so we compute it once for all clips, keep it, and train a last layer on that table of numbers, in seconds. (The test clips go through the body as well; nobody looks at their labels yet.)

# %%
def body_output(model):
    """What the last layer of `model` gets for every clip, (clips, numbers); the body as for a test."""
    model, kept = Normalised(model, x[training]).eval(), []
    hook = model.stages[-1].register_forward_pre_hook(lambda _, given: kept.append(given[0].flatten(2).mean(2) if given[0].ndim == 4 else given[0]))
    with torch.inference_mode():
        for start in range(0, len(x), 32):
            model(torch.tensor(x[start : start + 32]))
    hook.remove()
    return torch.cat(kept).numpy()


def linear(table):
    """A linear classifier of such a table, trained on the training clips."""
    return pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression(C=0.01, max_iter=500)).fit(table[training], y[training])


began = time.perf_counter()
tables = {"fresh": body_output(nets["fresh"])} | {three: body_output(Backbone(backbone, len(clips.classes), channel_mode=three)) for three in CHANNEL_MODES}
probes = {name: linear(table) for name, table in tables.items()}
seconds = time.perf_counter() - began
guess = 100 / len(clips.classes)
on_validation = {name: 100 * probes[name].score(table[validation], y[validation]) for name, table in tables.items()}
display(pd.Series(on_validation, name="validation accuracy (%) of a linear layer on the frozen body").round(1).to_frame())
say(f"A frozen body that never heard a sound, with a linear layer behind it: **{on_validation['copy']:.1f} %** on validation; guessing gives {guess:.0f} %. A frozen body of *fresh* weights: {on_validation['fresh']:.1f} %, not nothing, for random filters keep much of a picture. The difference is what photographs taught. "
    f"Deltas give {on_validation['deltas']:.1f}, smoothing {on_validation['smoothed']:.1f} %; one clip is worth {100 / validation.sum():.1f} points here. All four took {seconds:.0f} s.")

# %% [markdown]
# ## 3. Freeze, train, unfreeze, train again
#
# A new last layer starts at random. Its first gradients are large and wrong, and would be handed down into a body that is right. So: first train the last layer alone (`freeze_steps`), then everything, the early stages more slowly than the late ones (`layer_decay`): *discriminative rates*.
#
# We watch a real training rather than a drawing of it: a hook sees the optimiser just before each update and notes the rate of every stage that has a gradient, and how far its weights have moved from where they began.
#
# **Predict:** by how many per cent do the early stages move? And the last?

# %%
n_train_steps = n_steps or max(4, size.steps * 2 // 3)
recipe = Recipe(steps=n_train_steps, batch_size=8 if profile == "smoke" else 16, learning_rate=2e-3, freeze_steps=max(2, n_train_steps // 5), layer_decay=0.6, roll=False, spec_augment=False, mixup=0.0, n_evals=min(5, n_train_steps))
began_with, rates, moved = [], [], []


def watch(optimiser, *_):
    """Note the rate and the way of each stage, one group of the optimiser each."""
    stages = [group["params"] for group in optimiser.param_groups]
    if not began_with:
        began_with.extend([[p.detach().clone() for p in stage] for stage in stages])
    rates.append([group["lr"] if stage[0].grad is not None and group["lr"] > 0 else np.nan for group, stage in zip(optimiser.param_groups, stages, strict=True)])
    pairs = [list(zip(stage, begin, strict=True)) for stage, begin in zip(stages, began_with, strict=True)]
    moved.append([float(sum((p.detach() - b).square().sum() for p, b in pair) / sum(b.square().sum() for _, b in pair)) ** 0.5 for pair in pairs])


# %%
def examples(mask, table=x, targets=y):
    return Split(table[mask], targets[mask], len(clips.classes))


def trained(recipe, given=None, *, pretrained=True):
    """A backbone trained by `recipe` on the training clips or on what is given, chosen on the validation fold."""
    seed_everything(seed)
    model = Backbone(backbone, len(clips.classes), pretrained=pretrained)
    return fit(model, examples(training) if given is None else given, examples(validation), recipe, spec, seed=seed, device=profiles.device())


hook = register_optimizer_step_pre_hook(watch)
fits = {"fine-tuned": trained(recipe)}
hook.remove()

# %%
stage_names = ("first third", "second third", "last third", "new layer")
fig, axes = plt.subplots(1, 2, figsize=(12, 3.8))
plots.lines(np.arange(1, len(rates) + 1), dict(zip(stage_names, np.array(rates).T, strict=True)), axes[0], xlabel="step", ylabel="learning rate")
plots.lines(np.arange(len(moved)), dict(zip(stage_names, 100 * np.array(moved).T, strict=True)), axes[1], xlabel="step", ylabel="moved (% of the norm)")
axes[0].set_yscale("log")
axes[1].set_yscale("symlog", linthresh=0.1)
axes[1].legend().remove()
far = dict(zip(stage_names, 100 * np.array(moved[-1]), strict=True))
show(fig, alt=f"Left: learning rate of four stages against the step; for {recipe.freeze_steps} steps the new layer is alone, then all rise and fall, each earlier stage at 0.6 of the next. Right: how far their weights moved, at the end " + ", ".join(f"{v:.1f} % ({k})" for k, v in far.items()) + ".")
say(f"Up to step {recipe.freeze_steps} three stages stand still. At the end the first third has moved by **{far['first third']:.1f} %** of its norm, the last third by {far['last third']:.1f} %, the new layer by {far['new layer']:.0f} %. Fine-tuning is a small correction of a large thing.")

# %% [markdown]
# ### Exercise 06.2
#
# Write the learning rates of all stages, as a list from the first to the last. The last stage learns at `rate`, each stage before it at `factor` times the rate of the one after it.

# %% tags=["exercise"]
def stage_rates(rate, factor, n_stages):
    ### BEGIN SOLUTION
    return [rate * factor ** (n_stages - 1 - k) for k in range(n_stages)]
    ### END SOLUTION


check("06.2", stage_rates)

# %% [markdown]
# ### Exercise 06.3
#
# One thing in the body moves without any gradient: the running mean of each normalisation. After every batch it becomes `(1 - momentum)` times itself plus `momentum` times the mean of the batch. EfficientNet-Lite0 was published with a momentum of 0.01. Sounds have other means than photographs, and a test uses the running ones.
# After how many batches is no more than `share` of the old mean left? Give the smallest whole number. (Try it with 0.1 left, at 0.01 and at 0.1: you will see why the course sets it to 0.1, and why a short fine-tuning of the published network looks as if it had failed.)

# %% tags=["exercise"]
def batches_to_forget(share, momentum):
    ### BEGIN SOLUTION
    return int(np.ceil(np.log(share) / np.log(1 - momentum)))
    ### END SOLUTION


check("06.3", batches_to_forget)

# %% [markdown]
# ## 4. On equal terms
#
# Now the comparisons. All have the same clips, steps, batch, and highest rate; only one thing differs at a time. First the start: the same network *from scratch* (fresh weights, one rate for all), *frozen* (the last layer alone learns, by the same loop), and the fine-tuned one from above.
#
# **Predict** the order of the three, and how far apart they are.

# %%
fits["from scratch"] = trained(replace(recipe, freeze_steps=0, layer_decay=1.0), pretrained=False)
fits["frozen"] = trained(replace(recipe, freeze_steps=recipe.steps))

# %% tags=["cover"]
fig, ax = plt.subplots(figsize=(8.5, 3.6))
for (name, done), marker in zip(fits.items(), plots.MARKERS, strict=False):
    ax.plot([look["step"] for look in done.history], [100 * look["validation_accuracy"] for look in done.history], marker=marker, label=name)
ax.axhline(guess, color="grey", linestyle=":", linewidth=1)
ax.set(xlabel="step", ylabel="accuracy on validation (%)", ylim=(0, 102))
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
best = {name: 100 * best_eval(done.history)["validation_accuracy"] for name, done in fits.items()}
show(fig, alt="Accuracy on the validation fold against the step: best look of each " + ", ".join(f"{name} {value:.0f} %" for name, value in best.items()) + "; a dotted line marks guessing.")
say(f"After {recipe.steps} steps the best look is {best['from scratch']:.1f} % from scratch, {best['frozen']:.1f} % frozen, **{best['fine-tuned']:.1f} %** fine-tuned. A head start of {best['fine-tuned'] - best['from scratch']:.0f} points. "
    f"Frozen and fine-tuned are apart by {abs(best['fine-tuned'] - best['frozen']) * validation.sum() / 100:.0f} of {validation.sum()} clips: in so few steps, unfreezing has to earn its keep.")

# %% [markdown]
# Second, augmentation. The paper compares two kinds: of the *clip* (it calls that NAA: pitch, speed, shift, trim) and of its *picture* (TAA, the *traditional* one of notebook 03: zoom, shift, shear, rotation, brightness, flip). Ours differ from none in that alone, and copies never leave the training rows. The steps are the same for all three, so that NAA does not win by training longer.
#
# ### Exercise 06.4
#
# `table` has the columns `fold` and `transform` (`"original"` for the clips themselves). Return three masks `(train, validation, test)`, one entry a row: who may train, who chooses, who is tested?

# %% tags=["exercise"]
def honest_masks(table, validation_fold, test_fold):
    ### BEGIN SOLUTION
    fold, original = table["fold"], table["transform"] == "original"
    return ~fold.isin([validation_fold, test_fold]), original & (fold == validation_fold), original & (fold == test_fold)
    ### END SOLUTION


check("06.4", honest_masks)

# %%
augmented = with_copies(clips.where(training), NAA, seed=seed)  # copies of training clips are all there is
naa = Split(features(augmented, spec), augmented.targets, len(clips.classes))
fits["NAA"] = trained(recipe, naa)
fits["TAA"] = trained(replace(recipe, image_augment=True))
best |= {name: 100 * best_eval(fits[name].history)["validation_accuracy"] for name in ("NAA", "TAA")}
say(f"{len(naa.y)} training rows with NAA instead of {training.sum()}. Best look on validation: none {best['fine-tuned']:.1f} %, NAA {best['NAA']:.1f} %, TAA {best['TAA']:.1f} %. "
    f"{recipe.steps} steps are {recipe.steps * recipe.batch_size / training.sum():.1f} passes over the training clips: augmentation is a medicine against learning by heart, and such a short training has hardly begun to. Where it does not help here, that is no verdict on a long one.")

# %% [markdown]
# ### The test, once
#
# Everything is trained and chosen. Only now do we read the test fold, every model once. Intervals are drawn by source, as in notebook 04.

# %%
sources = clips.table.loc[test, "source"].to_numpy()
if len(set(sources)) == 1:  # a fold that is one speaker: the interval then draws the clips again
    sources = np.arange(len(sources))
right = {name: (predict(done.model, x[test], precision=done.precision).argmax(1) == y[test]).astype(float) for name, done in fits.items()}
right |= {f"linear, {name}": (probes[name].predict(tables[name][test]) == y[test]).astype(float) for name in tables}
found = {name: accuracy_by_source(r, sources, seed=seed).scaled(100) for name, r in right.items()}
order = ["from scratch", "frozen", "fine-tuned", "NAA", "TAA", *(f"linear, {name}" for name in tables)]
fig, ax = plt.subplots(figsize=(8.5, 4))
means = np.array([found[name].mean for name in order])
spans = np.abs(np.array([[found[name].low, found[name].high] for name in order]).T - means)
for part, marker, colour in ((slice(0, 5), "o", plots.COLOURS[0]), (slice(5, None), "s", plots.COLOURS[1])):
    ax.errorbar(means[part], np.arange(len(order))[part], xerr=spans[:, part], fmt=marker, capsize=3, color=colour, linestyle="none")
ax.set_yticks(np.arange(len(order)), order)
ax.invert_yaxis()
ax.set(xlabel="accuracy on the test fold (%)", xlim=(0, 102))
show(fig, alt="Accuracy on the test fold with 95 % intervals by source: " + ", ".join(f"{name} {found[name].mean:.0f}" for name in order) + " %.")


def difference(a, b):
    """Accuracy of `a` minus that of `b` on the same clips, in points, with an interval by source."""
    return accuracy_by_source(right[a] - right[b], sources, seed=seed).scaled(100)


gain_transfer, gain_naa = difference("fine-tuned", "from scratch"), difference("NAA", "TAA")
say(f"Transfer against scratch: **{gain_transfer.mean:+.1f} points** ({gain_transfer.low:+.1f} to {gain_transfer.high:+.1f}). NAA against TAA: **{gain_naa.mean:+.1f}** ({gain_naa.low:+.1f} to {gain_naa.high:+.1f}); NAA against none {difference('NAA', 'fine-tuned').mean:+.1f}. "
    f"An interval of one model is {found['fine-tuned'].high - found['fine-tuned'].low:.0f} points wide: one fold of {test.sum()} clips tells large differences from none, and no small ones from each other.")

# %% [markdown]
# ### Other backbones
#
# The paper speaks of families: ResNet, DenseNet, AlexNet, SqueezeNet, VGG. To count what they cost one does not need their weights. **Predict:** AlexNet or DenseNet-161, which has more parameters, and which multiplies more?

# %%
import torchvision


def weights_here(name):
    """Whether the published weights of `name` are on this machine."""
    if name == "lite0":
        return "yes, in a package"
    published = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    places = [folder / published.url.rsplit("/", 1)[-1] for folder in (paths.mirror_dir(), paths.data_dir() / "weights") if folder]
    return "yes" if any(place.is_file() for place in places) else f"no, {published.meta['_file_size']:.0f} MB to fetch"


costs = {}
for name in NAMES:
    with torch.device("meta"):  # a network without numbers: hundreds of millions need not be drawn to be counted
        net = Backbone(name, len(clips.classes), pretrained=False)
    net = net.to_empty(device="cpu")
    costs[name] = (cost.parameters(net), cost.macs(net, *x.shape[1:]), weights_here(name))
families = pd.DataFrame(costs, index=["parameters", "MACs", "weights"]).T
display(families.assign(parameters=[f"{v / 1e6:.1f} M" for v in families["parameters"]], MACs=[f"{v / 1e6:,.0f} M" for v in families["MACs"]]))
alex, dense, lite = (costs[name] for name in ("alexnet", "densenet161", "lite0"))
say(f"AlexNet has {alex[0] / dense[0]:.1f} times the parameters of DenseNet-161 and a {dense[1] / alex[1]:.0f}th of its multiplications: its weights sit in dense layers that are used once a picture, not once a place. The paper's ResNet-152 multiplies **{costs['resnet152'][1] / lite[1]:.0f}** times as often as Lite0. "
    "To run this notebook with another: `course run --only 06 -p backbone=alexnet`. Its weights are fetched once; without a network you get one line that says which file is missing and where to put it.")

# %% [markdown]
# ## 5. Claims and counterparts
#
# What Mushtaq, Su and Tran (2021) report, beside what we found, and beside what others published for networks of the same kind under the official folds: Palanisamy et al. (2020), an ensemble of DenseNets on spectrograms, 92.89 % on ESC-50 and 87.42 % on UrbanSound8K.

# %% [markdown]
# First the study: the same questions on ESC-10, all five official folds and three seeds, 400 steps each, every test fold read once. Copies are made of training clips alone, and the state is chosen on another fold. Differences are paired by fold. **Predict** the order of augmented clips, augmented pictures, and neither.

# %%
# STUDY GRID
study = questions.published("transfer")
answered = questions.answers("transfer", study)
if len(answered):
    show(figures.claims_figure(answered), alt=figures.claims_text(answered))
    for row in answered.itertuples():
        gap = Interval(100 * row.difference, 100 * row.low, 100 * row.high)
        say(f"- {row.question}: {100 * row.first:.1f} and {100 * row.second:.1f} %, difference **{verdicts.difference_text(gap)}**, {row.pairs} folds, {row.seeds} seeds.")
    finer, fourth, large, half, whole = (questions.chosen(study, fields) for fields in ("Lite0, 128 bands", "Lite0, 128 bands, refit", "Lite0, 224 bands", "Lite0, 224 bands, half the steps", "Lite0, 224 bands, half the steps, refit"))
    better, best, refit = (stats.accuracy(rows).scaled(100) for rows in (finer, large, whole))
    at_all = 100 * large["validation_accuracy"].mean()
    say(f"And at its best? Twice as many frames, rolled and mixed clips bring Lite0 to **{better.mean:.1f} %** ({better.low:.1f} to {better.high:.1f} by source). Pictures of 251 frames by 224 bands up to 16 kHz, with the six copies of every clip and 800 steps of twice the batch, bring it to **{best.mean:.1f} %** ({best.low:.1f} to {best.high:.1f}; one seed), for {large['macs'].mean() / finer['macs'].mean():.1f} times the multiplications. "
        f"That recipe was chosen by validation, where it has {at_all:.1f} %: had we quoted that, we would have flattered it by {at_all - best.mean:.1f} points. Choosing among recipes is a choice too, and what chose cannot judge.")
else:
    say("The study of this notebook has not been run: `course study run transfer --jobs 2`, then `course study report transfer --publish`.")

# %% [markdown]
# One fold of five chose, and taught nothing. What others publish on these folds learns from four. Once the recipe is settled, the clips that chose it can be learnt from too, with the last step kept and nothing left to choose. We did that with half the steps, for the training of 800 had mostly kept an early look. So two things changed at once, and a gain has two possible reasons. Two controls, put down before they were run, change one of them: half the steps on three folds, and, for smaller pictures, the fourth fold with as many steps as before.
#
# **Predict:** the clips or the steps?

# %%
# STUDY GRID
if len(study):
    compared = {"four folds and half the steps": (whole, large), "half the steps": (half, large), "the fourth fold": (whole, half), "the fourth fold, at 128 bands": (fourth, finer)}
    moved = {name: stats.difference(*pair).interval.scaled(100) for name, pair in compared.items() if all(map(len, pair))}
    fig, ax = plt.subplots(figsize=(8, 0.6 + 0.5 * len(moved)))
    plots.forest([(g.mean, g.low, g.high) for g in moved.values()], list(moved), ax, xlabel="gain (points of test accuracy)")
    show(fig, alt="Gains in points with intervals by folds: " + "; ".join(f"{name} {g.mean:+.1f} ({g.low:+.1f} to {g.high:+.1f})" for name, g in moved.items()) + ".")
    say(f"Four folds and 400 steps have **{refit.mean:.1f} %** ({refit.low:.1f} to {refit.high:.1f} by source; one seed). Accuracy by folds: " + "; ".join(f"{name}, **{verdicts.difference_text(gap)}**" for name, gap in moved.items()) + ".")
    parts = {name: moved[name].mean for name in ("half the steps", "the fourth fold") if name in moved}
    if len(parts) == 2:
        say(f"Of {moved['four folds and half the steps'].mean:+.1f} points, {parts['half the steps']:+.1f} came with the steps and **{parts['the fourth fold']:+.1f}** with the fold: {'the clips more than the steps' if parts['the fourth fold'] > parts['half the steps'] else 'the steps more than the clips'}, as far as one start on five folds can tell{', and surely it cannot: every interval has 0 in it' if all(g.low < 0 < g.high for g in moved.values()) else ''}. "
            "A third more recordings to learn from, none of them of the test: whoever holds back a fold to choose by pays for it, and compares fairly with those alone who do the same.")

# %%
def direction(gain):
    return "the same direction" if gain.low > 0 else "the opposite direction" if gain.high < 0 else "not decided by one fold"


def of_study(claim):
    """The answer of the study to a claim, in points, with its verdict."""
    rows = answered[answered["claim"] == claim]
    return "; ".join(f"{100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f}), {row.verdict}" for row in rows.itertuples()) or "not run"


ours = f"{found['NAA']} %, {backbone} + NAA" if clips.name == "esc10" else "not run here: dataset=esc10"
level = f"{best.mean:.1f} %, Lite0 + NAA, large, 1 seed; refit on 4 folds {refit.mean:.1f} %" if len(study) else "not run"
table = pd.DataFrame(
    [
        ("D1: augmenting the clip beats augmenting its picture", "NAA above TAA", f"{gain_naa.mean:+.1f} points ({gain_naa.low:+.1f} to {gain_naa.high:+.1f})", of_study("D1"), "none found", direction(gain_naa)),
        ("D2: ResNet-152 + NAA, ESC-10", "99.04 %", ours, level, "none found", "a number: one fold cannot decide it"),
        ("D2: ResNet-152 + NAA, UrbanSound8K", "99.49 %", "not run here", "not run", "87.42 %", f"{99.49 - 87.42:.0f} points above the counterpart"),
        ("D3: DenseNet-161 + NAA, ESC-50", "97.57 %", "not run here", "not run", "92.89 %", f"{97.57 - 92.89:.0f} points above the counterpart"),
        ("D5: transfer from photographs beats scratch", "transfer above scratch", f"{gain_transfer.mean:+.1f} points ({gain_transfer.low:+.1f} to {gain_transfer.high:+.1f})", of_study("D5"), "", direction(gain_transfer)),
    ],
    columns=["claim", "paper", f"this run: 1 fold, 1 seed, {test.sum()} test clips", "the study: ESC-10, 5 folds, 3 seeds", "published, official folds", "what this run says"],
).set_index("claim")
with pd.option_context("display.max_colwidth", None):
    display(table)

# %% [markdown]
# How to read this table fairly:
#
# - A run of this notebook is one fold, one seed, a small network, a coarse picture and a few minutes of training at most. It can support or contradict a *direction*; the study can say how surely. Neither refutes a number that was reached with a larger network and longer training.
# - A number from `synth10` is about sounds that the course made, and says nothing about ESC-10.
# - The counterparts are other networks than the paper's: an ensemble, trained by others. They show what the same idea reached when folds were kept, not what it must reach.
# - The texts of the 2021 paper that are open to us do not say how copies were grouped when the data were split. Notebook 04 shows that a split after augmentation alone brings weak classifiers close to such numbers. That is a possible reason, not a finding about this paper.

# %% [markdown]
# ## What we saw

# %%
say(f"""- {deaf['photographs']} of {len(shares['fresh'])} first filters are deaf to a grey picture; edges alone do not explain transfer, since random filters have them too.
- A linear layer on a frozen body: {on_validation['copy']:.0f} % on validation with photographs' weights, {on_validation['fresh']:.0f} % with fresh ones.
- Fine-tuning moved the first third by {far['first third']:.1f} % and the new layer by {far['new layer']:.0f} %.
- Test, once: from scratch {found['from scratch']} %, frozen {found['frozen']} %, fine-tuned {found['fine-tuned']} % (95 % by source).
- NAA {found['NAA']} %, TAA {found['TAA']} %: {gain_naa.mean:+.1f} points between them, {direction(gain_naa)}.""")

# %% [markdown]
# ## What next
#
# Up to here someone chose the hop, and every frame was treated alike. Notebooks 07 and 08 let a network choose which frames to keep.
# Before you go on: [questions to test yourself](quizzes/06_transfer_backbones.md).
#
# ## References
#
# - K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015. doi:10.1145/2733373.2806390
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound classification using CNN with meaningful data augmentation", Applied Acoustics 172, 107581, 2021
# - K. Palanisamy, D. Singhania, A. Yao, "Rethinking CNN models for audio classification", arXiv:2007.11154, 2020
# - M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, arXiv:1905.11946

# %% tags=["record"]
band = {"step": 100 / int(test.sum())}
judged = {"kind": "info"} if profile == "smoke" else band  # a handful of steps, or a body of chance: no band means much
for name in order:
    drawn = name not in [f"linear, {three}" for three in CHANNEL_MODES]
    record("test_" + name.replace(", ", "_").replace(" ", "_").replace("-", "_"), found[name].mean, unit="%", **(judged if drawn else band))
record("transfer_minus_scratch", gain_transfer.mean, unit="points", **judged)
record("naa_minus_taa", gain_naa.mean, unit="points", **judged)
record("filters_deaf_to_grey", deaf["photographs"], unit="filters", kind="exact")
for name in dict.fromkeys((backbone, "resnet152")):
    record(f"parameters_{name}", costs[name][0], kind="exact")
    record(f"macs_{name}", costs[name][1], kind="exact")
record("minutes", (time.perf_counter() - started) / 60, unit="min", kind="info")
