# %% [markdown]
# # 05 · A CNN at a fixed resolution
#
# Tap a table with two fingers, one a moment after the other. With a hop of 10 ms, a
# log-mel can show two taps; with a hop of 80 ms it shows one, at about an eighth of the
# cost for a convolutional network. In this notebook we train the same small network at
# one hop after another, on everyday sounds (synthesised, unless you choose recordings)
# and on a *timing probe*: sounds for which we know how short the hop must be. We want to
# find out what a finer hop buys, what it costs, and how to distinguish a hop that
# *loses* information from one that only needs longer training.

# %% [markdown]
# ## You will be able to
#
# - **count** the multiply-accumulates of a convolution (exercise 05.1);
# - **convert** a network's receptive field from frames to milliseconds (exercise 05.2);
# - **choose** which state of a network to keep, without looking at the test fold
#   (exercise 05.3);
# - **find** the systems that are worth their cost, the *Pareto front* (exercise 05.4);
# - **predict** and then measure the hop at which a class is lost (exercise 05.5).

# %% [markdown]
# ## Before you start
#
# You need notebooks 01, 02 and 04, and should have met gradients and PyTorch tensors
# before. Reading takes 55 minutes, the five exercises 55; the last one trains networks.
# With the `lesson` profile, the notebook runs in about two minutes.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.patches import Rectangle
from torch.nn import functional
from tqdm.auto import tqdm

from course_lib import paths, plots, profiles
from course_lib.analysis import claims, figures
from course_lib.audio import timebase, timing_probe
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.data import folds
from course_lib.data.clips import features
from course_lib.data.load import load, load_timing
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
from course_lib.models import cnn
from course_lib.models.classifier import Normalised, build
from course_lib.training import cost, supervised
from course_lib.training.supervised import Recipe, Split

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # smoke, lesson or study
dataset: str = "synth10"  # a name from `course data list`, or a path to your own sounds
seed: int = 0  # seed of the initial weights, the order of the clips and dropout
test_fold: int = 1  # the fold used for testing
n_steps: int = 0  # steps per network; 0 means 120 (smoke: 12, study: 640)

# %%
RATE_HZ = 16_000
N_MELS = 32  # half as many as usual, so that the sweep takes half as long
HOPS_MS = {
    "smoke": (10.0, 80.0),
    "lesson": (5.0, 10.0, 20.0, 40.0, 80.0),
    "study": (2.5, 5.0, 10.0, 20.0, 40.0, 80.0),
}
STEPS = {"smoke": 12, "lesson": 120, "study": 640}

size = profiles.get(profile)
device = profiles.device()
clips = load(dataset, size)
targets = clips.targets  # the class of each clip, as a number
n_classes = clips.n_classes
if n_steps == 0:
    n_steps = STEPS[profile]

# The network halves the frames four times, so a clip needs at least 16 of them
hops_ms = cnn.hops_that_fit(HOPS_MS[profile], clips.length_s)
say(
    f"{len(clips)} clips of *{clips.name}*, {clips.length_s:g} s each, in {n_classes} "
    f"classes. Hops: {', '.join(f'{hop_ms:g}' for hop_ms in hops_ms)} ms."
)

# %% [markdown]
# ## 1. Training, validation and test
#
# The nearest-neighbour classifier of notebook 04 left us nothing to choose, so two sets
# of clips were enough. When we train a network, we do choose: when to stop, which hop,
# which window. Hence there are three sets:
#
# - **training**: the network learns from these clips;
# - **validation**: we look at these as often as we like, and base our choices on them.
#   That makes the chosen network look a little better on these clips than it is;
# - **test**: these clips measure how good the chosen network is.
#
# `folds.split` takes one of the data set's folds for testing, the next one for
# validation and the others for training. Clips from one source are always in the same
# set.

# %%
training, validation, test = folds.split(clips, test_fold)
sources = clips.table["source"].to_numpy()

one_test_clip = 100 / test.sum()
say(
    f"{training.sum()} clips for training, {validation.sum()} for validation and "
    f"{test.sum()} for testing. **One test clip is worth {one_test_clip:.3g} points of "
    "accuracy.**"
)

# %% tags=["hide-input"]
# Clips per fold, coloured by their use
fold_of_clip = clips.table["fold"].to_numpy()
fig, ax = plt.subplots(figsize=(8, 2.6))
roles = [
    ("training", training, ""),
    ("validation", validation, "//"),
    ("test", test, "xx"),
]
for place, (name, mask, hatch) in enumerate(roles):
    numbers, counts = np.unique(fold_of_clip[mask], return_counts=True)
    ax.bar(
        numbers,
        counts,
        color=plots.COLOURS[place],
        hatch=hatch,
        edgecolor="white",
        label=name,
    )
ax.set_xticks(np.unique(fold_of_clip))
ax.set(xlabel="fold", ylabel="clips")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(
    fig,
    alt=f"Clips per fold. Fold {test_fold} is for testing, the next one for validation "
    "and the remaining folds are for training.",
    caption="What each fold is used for.",
)

# %% [markdown]
# ## 2. What does a convolution do?
#
# A **convolution** slides a small table of weights, its *kernel* $w$, over a picture $x$.
# Here the picture is a log-mel with frames $m$ and mel bands $b$, and the kernel has
# 3 × 3 weights. At each place it multiplies nine values by nine weights and adds them up:
#
# $$ y[m, b] = \sum_{i=-1}^{1} \sum_{j=-1}^{1} w[i, j] \; x[m + i, b + j] $$
#
# Beyond the edges, $x$ counts as zero. (Signal processing calls this operation a
# *cross-correlation*, because the kernel is not reversed.) In a network the weights are
# learned. To see what a kernel can do, we choose them ourselves: the next frame minus
# the previous one, averaged over three bands. Where will its output be large?

# %%
def spec_at(hop_ms):
    """The log-mel of this notebook at one hop, with a window of 2.5 hops."""
    return FeatureSpec(
        rate_hz=RATE_HZ, window_ms=2.5 * hop_ms, hop_ms=hop_ms, n_mels=N_MELS
    )


spec_10 = spec_at(10.0)
log_mels_10 = features(clips, spec_10, progress=False)  # dB, (clips, frames, mels)

# An example with many onsets: the training clip whose level changes most
mean_level = log_mels_10.mean(axis=2)  # shape (clips, frames)
change = np.abs(np.diff(mean_level, axis=1)).mean(axis=1)
change[~training] = 0
example = int(np.argmax(change))
example_wave = clips.waves(RATE_HZ)[example]
example_name = clips.table["label"].iloc[example].replace("_", " ")
picture = log_mels_10[example]
n_frames_10 = len(picture)

# %%
def convolve_by_hand(x, kernel):
    """3 x 3 convolution with a border of zeros; the output is as large as `x`."""
    n_frames, n_bands = x.shape
    padded = np.pad(x, 1)
    y = np.zeros((n_frames, n_bands))
    # In the formula i and j run from -1 to 1; after padding, they run from 0 to 2
    for i in range(3):
        for j in range(3):
            shifted = padded[i : i + n_frames, j : j + n_bands]
            y += kernel[i, j] * shifted
    return y


rise = np.array([[-1, -1, -1], [0, 0, 0], [1, 1, 1]]) / 3  # a row per frame
rises = convolve_by_hand(picture, rise)

x = torch.tensor(picture, dtype=torch.float64)[None, None]  # (clips, channels, m, b)
w = torch.tensor(rise)[None, None]
by_torch = functional.conv2d(x, w, padding=1)[0, 0].numpy()
say(
    "The largest difference between our convolution and PyTorch's is "
    f"{np.abs(rises - by_torch).max():.1g} dB."
)

# %% [markdown]
# Two more operations follow in most networks. The **ReLU** keeps positive values and
# replaces negative ones with zero. **Max pooling** keeps the largest value in each
# 2 × 2 block, which leaves half as many frames and half as many bands:

# %%
def pool_by_hand(x):
    """The largest value in each 2 x 2 block."""
    n_frames, n_bands = x.shape[0] // 2, x.shape[1] // 2
    # Axes: pair of frames, frame within the pair, pair of bands, band within the pair
    blocks = x[: 2 * n_frames, : 2 * n_bands].reshape(n_frames, 2, n_bands, 2)
    return blocks.max(axis=(1, 3))


positive = np.maximum(rises, 0)
pooled = pool_by_hand(positive)
print("before pooling:", positive.shape, " after:", pooled.shape)

# %% tags=["hide-input"]
# The log-mel, the output of the kernel, and the same after pooling
fig, axes = plt.subplots(3, 1, figsize=(9, 6.6), sharex=True)
times_s = spec_10.frame_centres_s(n_frames_10)
half_hop_s = 0.005
plots.mel_spectrogram(
    picture, times_s, axes[0], range_db=60, centres_hz=spec_10.mel_centres_hz
)
axes[0].set(xlabel="", title=f"log-mel of the clip ({example_name})")
for ax, values, step, name in [
    (axes[1], positive, 1, "rises in level, after the ReLU"),
    (axes[2], pooled, 2, "the same after max pooling"),
]:
    # Frames 0 and 1 become one value, so pooled values lie half a hop later
    centres_s = times_s[: step * len(values) : step] + half_hop_s * (step - 1)
    image = ax.pcolormesh(
        centres_s, np.arange(values.shape[1]), values.T, vmin=0, vmax=20, cmap="magma"
    )
    fig.colorbar(image, ax=ax, label="rise (dB)", pad=0.01)
    ax.set(ylabel="band", title=name)
axes[2].set_xlabel("time (s)")
show(
    fig,
    alt=f"Three pictures over the same time axis: the log-mel of a clip of "
    f"{example_name}; the output of the kernel, bright in narrow columns where the "
    "level rises; and the same with half as many frames and bands.",
    caption="One kernel of one convolution, and the pooling after it.",
)

# %%
loudest = int(np.abs(example_wave).argmax())
latest_start = len(example_wave) - 2 * RATE_HZ
start = min(loudest - RATE_HZ // 2, latest_start)
start = max(0, start)
excerpt = example_wave[start : start + 2 * RATE_HZ]
peak = max(np.abs(excerpt).max(), 1e-9)
play(
    0.8 * excerpt / peak,
    RATE_HZ,
    describe=f"Two seconds around the loudest moment of the clip: {example_name}.",
)

# %% [markdown]
# This kernel responds wherever the level rises. (It also responds in the very last
# frame, because the zeros beyond the edge lie far above the levels in dB.) Other kernels
# respond to steady tones, or to edges between bands. A network has hundreds of kernels,
# and learns all of their weights.
#
# ## 3. A network with seven layers
#
# A **convolutional neural network** (CNN) stacks such layers. Mushtaq, Su and Tran (2021)
# trained networks of seven and of nine layers on pictures of mel spectrograms. We do not
# know their exact layers, so we use our own (`course_lib/models/cnn.py`): five
# convolutions, the first four followed by pooling, and two *dense* layers. Each
# convolution has several kernels. Each kernel reads all *channels* (output pictures) of
# the layer before it and makes one channel of its own.
#
# The last convolution gives 128 channels, each with few frames and bands. They are
# averaged over the bands; over time we take the mean *plus* the maximum (Kong et al.,
# 2020), since the mean responds to what lasts and the maximum to what happens once. The
# result is 128 numbers for a clip of any length, and the dense layers turn them into
# one score per class, the *logits*.
#
# Each convolution comes with one more layer, *batch normalisation*. It brings every
# channel to mean 0 and standard deviation 1 over the batch, then scales and shifts it
# by two learned numbers. A convolution, its pooling, its batch normalisation and a ReLU
# form a *block*. Pooling comes before the normalisation, which then has fewer values to
# process. The second block:

# %%
seed_everything(seed)
network = build("cnn7", n_classes).eval()
print(network.blocks[1])

# %% tags=["hide-input"]
# The layers of the network as a diagram, with their shapes
shapes = [("log-mel", 1, n_frames_10, N_MELS)]
with torch.inference_mode():
    x = torch.zeros(1, 1, n_frames_10, N_MELS)
    for number, block in enumerate(network.blocks, start=1):
        x = block(x)
        shapes.append((f"conv {number}", *x.shape[1:]))
shapes.append(("mean + max", 128, 1, 1))
shapes.append(("logits", n_classes, 1, 1))
fig, ax = plt.subplots(figsize=(10, 3.8))
plots.feature_maps(shapes, ax)
show(
    fig,
    alt="The layers of the network from left to right as stacks of sheets: "
    + ", ".join(f"{name} {c} by {m} by {b}" for name, c, m, b in shapes)
    + " (channels by frames by bands). Sheets shrink as channels multiply.",
    caption="Channels × frames × bands after each layer, at a hop of 10 ms.",
)

# %% [markdown]
# What does this cost? We count **multiply-accumulates** (MACs), each of which is one
# multiplication and one addition. Each value of a convolution's output needs
# $3 \times 3$ of them for every input channel:
#
# $$ \text{MACs} = M \cdot B \cdot C_\text{in} \cdot C_\text{out} \cdot 3 \cdot 3 $$
#
# for $M$ frames, $B$ bands, and $C_\text{in}$ input and $C_\text{out}$ output channels.
# The first convolution reads the whole log-mel and has 1 input and 16 output channels.
# The second reads a quarter as many values per channel, and has 16 input and 32 output
# channels.

# %%
predict("05.a", ..., "By what factor do the MACs grow from convolution 1 to 2?")

# %%
def layer_costs(network, n_frames, n_mels):
    """One row per convolution or dense layer: output shape and MACs in millions."""
    rows = []
    x = torch.zeros(1, 1, n_frames, n_mels)
    with torch.inference_mode():
        for number, block in enumerate(network.blocks, start=1):
            kernels = block[0].weight  # (channels out, channels in, 3, 3)
            _, _, frames, bands = x.shape
            macs = frames * bands * kernels.numel()
            x = block(x)
            shape = " × ".join(str(n) for n in x.shape[1:])
            rows.append((f"convolution {number}", shape, macs / 1e6))
    # In `head`, numbers 1 and 4 are the dense layers; the others are dropout and ReLU
    for number, dense in enumerate([network.head[1], network.head[4]], start=1):
        rows.append((f"dense {number}", dense.out_features, dense.weight.numel() / 1e6))
    return pd.DataFrame(rows, columns=["layer", "output", "MACs (million)"])


layers = layer_costs(network, n_frames_10, N_MELS)
display(layers.style.format({"MACs (million)": "{:.2f}"}).hide(axis="index"))

# %%
layer_macs = layers["MACs (million)"]
answer("05.a", round(layer_macs[1] / layer_macs[0], 1), unit="times", within=0.05)

macs_10 = cost.macs(network, n_frames_10, N_MELS)
say(
    f"Our table adds up to {layer_macs.sum():.2f} million MACs, and the library counts "
    f"{macs_10 / 1e6:.2f} million. The network has {cost.parameters(network):,} "
    "parameters."
)

# %% [markdown]
# From convolution 2 to 4, each pooling layer leaves a quarter of the values while the
# numbers of input and output channels both double, so all three cost about the same.
# The dense layers see 128 numbers and cost next to nothing. Everything else is
# proportional to the number of frames $M$, apart from an odd last frame that pooling
# drops. So **half the hop means about twice the MACs.**
#
# ### Exercise 05.1
#
# Return the number of MACs of a 3 × 3 convolution with a border of zeros. `n_frames` and
# `n_mels` are those of its *input*, before any pooling; `n_in` and `n_out` are the
# numbers of channels before and after it.
#
# <details><summary>Hint</summary>
#
# With a border of zeros the output has as many frames and bands as the input. How many
# values does one output channel have, and how many weights does each of them use?
#
# </details>

# %% tags=["exercise"]
def conv_macs(n_frames, n_mels, n_in, n_out):
    ### BEGIN SOLUTION
    output_values = n_frames * n_mels * n_out
    weights_per_value = n_in * 3 * 3
    return output_values * weights_per_value
    ### END SOLUTION


check("05.1", conv_macs)

# %% [markdown]
# ## 4. How much of the sound does one value see?
#
# A value after the first convolution depends on three frames. Pooling combines two
# neighbouring values, so each pooled value depends on four frames, and the next one lies
# two frames further on. The second convolution reads three of these, and so on. The
# number of frames that one value depends on is its **receptive field** $r$. If the
# inputs of a layer lie $d$ frames apart, its kernel size is $k$ and its *stride* is $s$
# (its outputs lie $s$ of its inputs apart), then the layer changes $r$ and $d$ to
#
# $$ r \leftarrow r + (k - 1)\, d, \qquad d \leftarrow s\, d, $$
#
# starting from $r = d = 1$ (Araujo et al., 2019). A convolution has $k = 3$ and
# $s = 1$; a pooling layer has $k = s = 2$.

# %%
# Convolution, pooling, convolution, and so on
KERNELS = [3, 2, 3, 2, 3, 2, 3, 2, 3]
STRIDES = [1, 2, 1, 2, 1, 2, 1, 2, 1]

field = 1
distance = 1
field_after_conv = []
for kernel, stride in zip(KERNELS, STRIDES, strict=True):
    field += (kernel - 1) * distance
    distance *= stride
    if kernel == 3:
        field_after_conv.append(field)

field_by_library, _ = timebase.receptive_field(KERNELS, STRIDES)
say(
    f"After the five convolutions the receptive field is {field_after_conv} frames. "
    f"The library finds {field_by_library} for the last one."
)

# %% tags=["hide-input"]
# A log-mel with receptive fields as boxes
def draw_fields(x, rate_hz, hop_ms, fields=(field,)):
    """The log-mel of a sound at one hop, with receptive fields as boxes."""
    spec = spec_at(hop_ms)
    levels = log_mel(x, spec)
    length_s = len(x) / rate_hz
    fig, ax = plt.subplots(figsize=(8, 3))
    times_s = spec.frame_centres_s(len(levels))
    plots.mel_spectrogram(
        levels, times_s, ax, range_db=60, centres_hz=spec.mel_centres_hz
    )
    for place, frames in enumerate(fields):
        width_s = timebase.span_ms(
            frames, spec.window_samples, spec.hop_samples, rate_hz
        ) / 1000
        height = min(frames, N_MELS - 1) - 0.4  # a high box stays inside the axes
        corner = ((length_s - width_s) / 2, (N_MELS - 1 - height) / 2)
        ax.add_patch(
            Rectangle(corner, width_s, height, fill=False, edgecolor="white",
                      linewidth=2, linestyle=plots.LINES[place])
        )
    # A field longer than the clip has no visible sides, so the title gives its length
    ax.set(
        xlim=(0, length_s),
        title=f"hop {hop_ms:g} ms, {len(levels)} frames; largest field {width_s:.1f} s",
    )
    return fig


fig = draw_fields(example_wave, RATE_HZ, 10.0, field_after_conv)
show(
    fig,
    alt=f"Log-mel of a clip of {example_name} at a hop of 10 ms with five nested white "
    "boxes around its middle: what one value sees after each convolution, from 3 "
    f"frames and bands to {field} frames and all bands.",
    caption="Receptive fields of the five convolutions at a hop of 10 ms.",
)

# %% [markdown]
# In frequency, the fields grow in the same way: after the fourth convolution, a value
# in the middle sees nearly all bands; after the fifth, every value sees all of them.
# The field in *frames* is a property of the network. In milliseconds it depends on the
# hop. Move the slider:

# %% tags=["hide-input"]
# The receptive field of the last convolution, at one hop after another
SHOWN_MS = (5.0, 10.0, 20.0, 40.0, 80.0)
slides = {f"{ms:g} ms": draw_fields(example_wave, RATE_HZ, ms) for ms in SHOWN_MS}
scrub(
    slides,
    label="hop",
    start="10 ms",
    alt="The same clip at one hop after another, with the receptive field of the last "
    "convolution as a white box. At the shortest hop the box covers a small part of "
    "the clip; each time the hop doubles, the box gets twice as wide, until it covers "
    "all of the clip.",
    caption="What one value of the last convolution sees.",
)
live(draw_fields, label="hop (ms)", values=SHOWN_MS, sound=example_wave,
     rate_hz=RATE_HZ)

# %%
def field_ms(hop_ms):
    """Receptive field of the last convolution in ms, windows included."""
    spec = spec_at(hop_ms)
    return timebase.span_ms(field, spec.window_samples, spec.hop_samples, RATE_HZ)


say(
    f"{field} frames are **{field_ms(10.0):.0f} ms** of sound at a hop of 10 ms and "
    f"{field_ms(80.0) / 1000:.1f} s at 80 ms. The clips last {clips.length_s:g} s."
)
longer = [hop_ms for hop_ms in hops_ms if field_ms(hop_ms) > 1000 * clips.length_s]
if longer:
    say(
        "The field is longer than the clips at "
        + " and ".join(f"{hop_ms:g}" for hop_ms in longer)
        + " ms. There, every value also sees some of the zeros beyond the ends."
    )

# %% [markdown]
# So when we change the hop and keep the network, two things change at once: how fine the
# detail is, *and* how far a kernel reaches. If the accuracy changes, either may be the
# reason: the two are *confounded*. Scaling the network with the hop would only exchange
# this confound for another, since the number of weights and the cost would then change
# too. We therefore keep the network fixed.
#
# ### Exercise 05.2
#
# How many milliseconds of sound does a receptive field of `field` frames cover?
# Its first frame lasts for one window, and each further frame begins one hop later.
#
# <details><summary>Hint</summary>
#
# Draw three frames of 25 ms with a hop of 10 ms. Where does the last one end?
#
# </details>

# %% tags=["exercise"]
def reach_in_ms(field, window_ms, hop_ms):
    ### BEGIN SOLUTION
    return window_ms + (field - 1) * hop_ms
    ### END SOLUTION


check("05.2", reach_in_ms)

# %% [markdown]
# ## 5. The training loop, by hand
#
# Training needs five ingredients. We build each by hand and compare the result with the
# library.
#
# **1. Normalised inputs.** Networks learn best from numbers around zero with a spread of
# about one, and levels in dB are far from that. So we bring each band to mean 0 and
# standard deviation 1. We compute both from the *training* clips only: computed from
# all clips, they would leak a little information about the test clips.

# %%
coarse_spec = spec_at(hops_ms[-1])  # the longest hop, where training is fastest
log_mels = features(clips, coarse_spec, progress=False)
x_train = log_mels[training]
band_mean = x_train.mean(axis=(0, 1), dtype=np.float64)
band_std = x_train.std(axis=(0, 1), dtype=np.float64)

wrapped = Normalised(network, x_train)  # the library: normalises, then calls `network`
same_mean = np.allclose(wrapped.mean, band_mean, atol=1e-3)
same_std = np.allclose(wrapped.std, band_std, atol=1e-3)
print("the library's `Normalised` uses the same numbers:", same_mean and same_std)

# %% [markdown]
# **2. A loss.** The *softmax* turns the logits $z$ into probabilities, and the
# cross-entropy is minus the logarithm of the probability of the true class $c$,
# averaged over the clips:
#
# $$ p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}, \qquad
#    L = -\frac1n \sum_{\text{clips}} \ln p_c $$
#
# Its unit is the *nat*. A network that guesses gives each of $K$ classes the
# probability $1/K$, and its loss is $\ln K$.

# %%
with torch.inference_mode():
    logits = wrapped(torch.tensor(x_train[:8])).numpy()
exponentials = np.exp(logits)
probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
true_class = targets[training][:8]
loss_by_hand = -np.log(probabilities[np.arange(8), true_class]).mean()
loss_by_torch = functional.cross_entropy(
    torch.tensor(logits), torch.tensor(true_class)
).item()
say(
    f"Loss of the untrained network on eight clips: {loss_by_hand:.3f} nats by hand, "
    f"{loss_by_torch:.3f} by PyTorch. The loss of guessing is ln {n_classes} = "
    f"{np.log(n_classes):.3f}."
)

# %% [markdown]
# **3. An order.** Each step uses a *batch* of clips. We shuffle all clips, take them
# batch by batch, and shuffle again after each *epoch*, when every clip has been used.
#
# **4. A learning rate.** It sets how far the weights move in one step. It rises over the
# first tenth of the steps and then falls to zero along a cosine.

# %%
def shuffled_batches(n_clips, n_steps, batch_size):
    """Numbers of the clips in each batch, shape (steps, batch size)."""
    n_epochs = 1 + n_steps * batch_size // n_clips
    epochs = []
    for epoch in range(n_epochs):
        generator = np.random.default_rng([seed, 0, epoch])  # as in the library
        epochs.append(generator.permutation(n_clips))
    order = np.concatenate(epochs)[: n_steps * batch_size]
    return order.reshape(n_steps, batch_size)


def learning_rate(done, highest):
    """Learning rate after a share `done` of the steps."""
    warm_up = min(1, done / 0.1)
    cosine = 0.5 * (1 + np.cos(np.pi * max(0, done - 0.1) / 0.9))
    return highest * warm_up * cosine

# %% tags=["hide-input"]
# The learning rate over the steps
fig, ax = plt.subplots(figsize=(7, 2.4))
done = np.linspace(0, 1, 200)
ax.plot(100 * done, [learning_rate(share, 2e-3) for share in done], linestyle="-")
ax.set(xlabel="share of the steps (%)", ylabel="learning rate")
show(
    fig,
    alt="Learning rate against the share of the steps: it rises to 0.002 within the "
    "first tenth and falls along a cosine to zero at the end.",
    caption="The schedule of the learning rate.",
)

# %% [markdown]
# **5. The step.** PyTorch computes the gradient of the loss with respect to all weights
# (`backward`), and the optimiser moves the weights against it (`step`). Our optimiser is
# AdamW (Loshchilov and Hutter, 2019), which also shrinks all weights a little at every
# step.
#
# Two kinds of layers work differently in training. *Dropout* sets randomly chosen values
# to zero, so that the network cannot rely on any single one; outside training it does
# nothing. Batch normalisation uses the mean and standard deviation of the batch; outside
# training it uses running averages from training. The methods `train()` and `eval()`
# switch between the two modes.

# %%
def train_by_hand(network, x, y, n_steps, batch_size, highest_rate):
    """Train `network`, and return the loss of every step."""
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    batches = shuffled_batches(len(y), n_steps, batch_size)
    losses = []
    network.train()
    for step, batch in enumerate(batches):
        rate = learning_rate((step + 1) / n_steps, highest_rate)
        optimiser.param_groups[0]["lr"] = rate
        torch.manual_seed(seed * 1_000_003 + step)  # same dropout as the library

        logits = network(x[batch])
        loss = functional.cross_entropy(logits, y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses

# %% [markdown]
# The library's `supervised.fit` is this loop, with augmentation, checkpoints and
# evaluations around it. A `Recipe` holds its settings: the number of steps, the batch
# size, the highest learning rate, the kinds of augmentation, and how many times the
# network is evaluated on the validation clips during training (`n_evals`). A `Split`
# holds the features and the classes of some clips. `fit` returns the network together
# with its normalisation (`model`), and a `history` with one entry per evaluation.
#
# Is it really the same loop? We start both from the same weights:

# %%
PLAIN = {  # switches off everything that the loop by hand leaves out
    "roll": False,
    "spec_augment": False,
    "mixup": 0.0,
    "label_smoothing": 0.0,
    "precision": "fp32",
}


def split_of(x, mask):
    """Features and classes of the clips in `mask`."""
    return Split(x[mask], targets[mask], n_classes)


short = Recipe(steps=8, batch_size=10, learning_rate=2e-3, n_evals=8, **PLAIN)

seed_everything(seed)
ours = Normalised(build("cnn7", n_classes), x_train)
# The library's memory layout; with another one, sums are rounded differently
ours = ours.to(memory_format=torch.channels_last)
losses_by_hand = train_by_hand(
    ours,
    torch.tensor(x_train),
    torch.tensor(targets[training]),
    n_steps=short.steps,
    batch_size=short.batch_size,
    highest_rate=short.learning_rate,
)

seed_everything(seed)
library = supervised.fit(
    build("cnn7", n_classes),
    split_of(log_mels, training),
    split_of(log_mels, validation),
    short,
    coarse_spec,  # some augmentations need it
    seed=seed,
)
losses_by_library = [entry["loss"] for entry in library.history]
loop_difference = np.abs(np.array(losses_by_hand) - losses_by_library).max()

# %% tags=["hide-input"]
# Losses of the loop by hand and of the library
fig, ax = plt.subplots(figsize=(7, 2.8))
step_numbers = np.arange(1, 9)
ax.plot(step_numbers, losses_by_library, linestyle="-", linewidth=6, alpha=0.35,
        label="library")
ax.plot(step_numbers, losses_by_hand, "o--", label="by hand")
ax.axhline(np.log(n_classes), color="grey", linestyle=":", label="guessing")
ax.set(xlabel="step", ylabel="loss (nats)")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(
    fig,
    alt="Loss in nats over eight steps. The curve by hand lies on the library's curve; "
    "both start near the loss of guessing.",
    caption="The same loop twice, from the same weights.",
)

# %%
same_loop = loop_difference < 1e-3
remark = "which is rounding" if same_loop else "which is more than rounding explains"
say(
    f"The largest difference between the two is {loop_difference:.0e} nats, {remark}. "
    f"The first loss is {losses_by_hand[0]:.2f} nats; the loss of guessing is "
    f"{np.log(n_classes):.2f}."
)

# %% [markdown]
# Check the first loss in every project: it should be near the loss of guessing. If it is
# far above, the untrained network is too confident; if it is far below, the weights are
# not fresh, or the loss is computed wrongly.
#
# ## 6. When to stop
#
# We train the network for longer on the coarsest pictures, where steps are cheap. Along
# the way we evaluate it ten times on the validation clips.

# %%
LONG_STEPS = {"smoke": 20, "lesson": 300, "study": 1000}
long = Recipe(steps=LONG_STEPS[profile], batch_size=16, n_evals=10, **PLAIN)

seed_everything(seed)
long_run = supervised.fit(
    build("cnn7", n_classes),
    split_of(log_mels, training),
    split_of(log_mels, validation),
    long,
    coarse_spec,
    seed=seed,
    device=device,
)
history = pd.DataFrame(long_run.history)
# The evaluation whose weights `fit` kept; the rule is explained below
kept = supervised.best_eval(long_run.history)


def accuracy_on(model, x, mask):
    """Accuracy in % on the clips in `mask`."""
    guesses = supervised.predict(model, x[mask]).argmax(axis=1)
    return 100 * np.mean(guesses == targets[mask])


training_accuracy = accuracy_on(long_run.model, log_mels, training)
validation_accuracy = 100 * kept["validation_accuracy"]

# %% tags=["hide-input"]
# Loss and accuracy during the longer training run
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4))
curves = {"training": history["loss"], "validation": history["validation_loss"]}
plots.lines(history["step"], curves, axes[0], xlabel="step", ylabel="loss (nats)",
            markers=True)
axes[0].set_ylim(0, None)
axes[1].plot(history["step"], 100 * history["validation_accuracy"], "s--",
             color=plots.COLOURS[1])
axes[1].plot(kept["step"], validation_accuracy, "o", markersize=14, color="black",
             markerfacecolor="none", label="kept")
axes[1].set(xlabel="step", ylabel="validation accuracy (%)", ylim=(0, 102))
axes[1].legend(loc="lower right")
show(
    fig,
    alt="Left: loss on training and validation against the step. The training loss "
    f"ends at {history['loss'].iloc[-1]:.2f}, the validation loss at "
    f"{history['validation_loss'].iloc[-1]:.2f} nats. Right: accuracy on validation, "
    f"with a ring around the evaluation that is kept, {validation_accuracy:.0f} % at "
    f"step {kept['step']}.",
    caption="A longer training run without augmentation, evaluated ten times.",
)

# %%
conclude(
    "overfitting_gap",
    training_accuracy - validation_accuracy,
    unit="points",
    step=100 / validation.sum(),
    if_clear=f"The network classifies **{training_accuracy:.0f} %** of its training "
    f"clips correctly and {validation_accuracy:.0f} % of the validation clips. The "
    "difference is *overfitting*: part of what it has learned holds only for the "
    "recordings it has seen.",
    if_not=f"The network classifies {training_accuracy:.0f} % of its training clips "
    f"correctly and {validation_accuracy:.0f} % of the validation clips. For these "
    "clips, we do not know whether the difference is larger than the spread between "
    "seeds.",
)

# %% [markdown]
# Which of the ten states should we keep? `fit` keeps the one with the highest accuracy on
# validation and, among equals, the one with the lowest validation loss. It uses neither
# the training loss nor the test fold.
#
# ### Exercise 05.3
#
# Implement this rule. `history` is a list of evaluations, each a dictionary with the keys
# `step`, `loss` (in training), `validation_loss` and `validation_accuracy`. Return the
# `step` of the evaluation to keep.
#
# <details><summary>Hint</summary>
#
# Find the highest accuracy first. Then look for the lowest validation loss among the
# evaluations that reach it.
#
# </details>

# %% tags=["exercise"]
def chosen_step(history):
    ### BEGIN SOLUTION
    highest = max(entry["validation_accuracy"] for entry in history)
    equal = [entry for entry in history if entry["validation_accuracy"] == highest]
    best = equal[0]
    for entry in equal:
        if entry["validation_loss"] < best["validation_loss"]:
            best = entry
    return best["step"]
    ### END SOLUTION


check("05.3", chosen_step)

# %% [markdown]
# ## 7. Sounds with a known answer
#
# Suppose we sweep the hop and the accuracy does not change. Either the hop does not
# matter for these sounds, or our experiment is unable to show that it matters. To rule
# out the second, we need sounds for which the hop must matter.
#
# The **timing probe** has three tasks with two classes each. All its sounds are bursts of
# white noise. The two classes of a task have the same spectrum and the same energy; they
# differ only in *when* the energy arrives:
#
# | task | one class | the other | needs a hop of |
# |---|---|---|---|
# | gap | 5 ms of silence between two clicks | 10 ms of silence | 5 ms |
# | am | noise that swells and cuts off about every 40 ms | the same, reversed | 10 ms |
# | order | a burst of 20 ms, then one of 40 ms | the other way round | 20 ms |
#
# The last column holds for windows no longer than the hop, and follows from how the
# sounds are made. In *gap* and *order* it is the length of the shorter silence or
# burst: if neither the hop nor the window is longer than that, at least half of some
# frame lies inside the silence or burst. In *am*, the
# envelopes of both classes have the same harmonics and differ only in their phases.
# Each clip starts at a random point of the period, so the phase of the first harmonic
# does not reveal the class; the second harmonic is needed too. Its period is about
# 20 ms, and the hop should be at most half of that. At longer hops, less and less of
# the difference is left.

# %%
N_PROBE = {"smoke": 40, "lesson": 200, "study": 200}  # clips per class
probe = load_timing(N_PROBE[profile])
probe_task = probe.table["task"].to_numpy()
probe_training, probe_validation, probe_test = folds.split(probe, 1)
TASKS = timing_probe.TASKS
needed_ms = {task: timing_probe.needed_resolution_ms(task) for task in TASKS}


def probe_clip(label):
    """Waveform of the first clip of a class, around its sound."""
    of_class = (probe.table["label"] == label) & (probe.table["number"] == 0)
    clip = probe.where(of_class)
    wave = clip.waves()[0]
    onset_s = clip.events["onset_s"].min()
    start = max(0, timebase.seconds_to_samples(onset_s - 0.05, RATE_HZ))
    return 0.8 * wave[start : start + 3200] / np.abs(wave).max()  # 0.2 s


play_pair(
    {
        "short burst first": probe_clip("order_20_40ms"),
        "long burst first": probe_clip("order_40_20ms"),
    },
    RATE_HZ,
    describe="Two bursts of noise, the shorter one first; then the longer one first.",
)
play_pair(
    {"5 ms": probe_clip("gap_5ms"), "10 ms": probe_clip("gap_10ms")},
    RATE_HZ,
    describe="A double click with a silence of 5 ms inside, then with one of 10 ms. "
    "They are hard to tell apart.",
)

# %%
def probe_spec(hop_ms, window_ms):
    """The log-mel of the probe. For white noise, 16 bands are enough."""
    return FeatureSpec(
        rate_hz=RATE_HZ, window_ms=window_ms, hop_ms=hop_ms, n_mels=16, fmin_hz=200.0
    )

# %% tags=["hide-input"]
# Log-mels of the two classes of the order task, at 10 and 40 ms
classes = {"short burst first": "order_20_40ms", "long burst first": "order_40_20ms"}
pictures = [(10.0, 0), (40.0, 0), (40.0, 1)]  # hop and number of the clip
fig, axes = plt.subplots(2, 3, figsize=(11, 4.4), sharex=True, sharey=True)
for row, (name, label) in enumerate(classes.items()):
    for column, (hop_ms, number) in enumerate(pictures):
        chosen = (probe.table["label"] == label) & (probe.table["number"] == number)
        clip = probe.where(chosen)
        spec = probe_spec(hop_ms, hop_ms)
        levels = log_mel(clip.waves()[0], spec)
        onset_s = clip.events["onset_s"].min()
        times_ms = 1000 * (spec.frame_centres_s(len(levels)) - onset_s)
        ax = axes[row, column]
        plots.mel_spectrogram(levels, times_ms, ax, range_db=40, bar=False)
        ax.set(xlim=(-100, 200), xlabel="", ylabel="", facecolor="black")
        ax.set_title(f"{name}, {hop_ms:g} ms")
for ax in axes[:, 0]:
    ax.set_ylabel("band")
for ax in axes[1]:
    ax.set_xlabel("time after the onset (ms)")
show(
    fig,
    alt="Log-mels of the two classes of the order task. At a hop of 10 ms, left, two "
    "bursts of different lengths are visible, and so is their order. At 40 ms there "
    "are three wide columns. In the middle, the clip with the short burst first ends "
    "with its loudest column and the other clip begins with it. On the right, the clip "
    "with the short burst first ends with its quietest column, and the other clip "
    "begins with it.",
    caption="Both classes of the order task: one clip at 10 ms, and two at 40 ms.",
)

# %% [markdown]
# At 40 ms, one frame can hold parts of both bursts and the silence between them. What
# the frames show then depends on where the bursts lie relative to the frames: in one of
# the two clips with the short burst first, the last of the three bright columns is the
# loudest; in the other it is the quietest.

# %% [markdown]
# We train one network on all six classes. For each clip of the test fold we then ask: of
# the two classes of its task, which one does the network find more probable? Guessing is
# right half of the time.
#
# With six classes the best *overall* accuracy can be computed in advance. At a hop of
# 20 ms, say, *order* can be decided. For *gap* and *am* the network can still recognise
# the task, but has to guess between its two classes.

# %%
predict(
    "05.b",
    ...,
    "What is the best accuracy over all six classes, in %, at a hop of 20 ms?",
)

# %%
def best_accuracy(hop_ms):
    """Accuracy over six classes, in %, if tasks that need a finer hop are guessed."""
    decided = sum(needed_ms[task] >= hop_ms for task in TASKS)
    guessed = len(TASKS) - decided
    return 100 * (decided + guessed / 2) / len(TASKS)


answer("05.b", best_accuracy(20.0), unit="%", within=0.02)

# %% [markdown]
# ## 8. Two sweeps, side by side
#
# Now we sweep the hop twice: on the probe, and on the sounds of the data set chosen in
# the parameters.
#
# - **Budget.** At every hop, training starts from the same weights and takes the same
#   clips in the same order for the same number of steps.
# - **Windows.** On the sounds, the window is 2.5 hops long, the usual ratio of 25 to 10
#   ms. With a fixed window of 25 ms, more than two thirds of every clip would lie in no
#   window at a hop of 80 ms. On the probe, the window is as long as the hop, because the
#   hop that a task needs (section 7) was derived for windows no longer than that hop.
#   Exercise 05.5 asks what a longer window does.
# - **Augmentation.** On the sounds, `roll=True` shifts each training clip circularly by a
#   random number of frames (compare *shift* in notebook 03). There is no other
#   augmentation.

# %%
PROBE_HOPS_MS = (2.5, 5.0, 10.0, 20.0, 40.0)
if profile == "smoke":
    PROBE_HOPS_MS = (5.0, 40.0)
PROBE_STEPS = {"smoke": 12, "lesson": 120, "study": 120}
N_EVALS = 2 if profile == "smoke" else 8
probe_recipe = Recipe(
    steps=PROBE_STEPS[profile], batch_size=32, n_evals=N_EVALS, **PLAIN
)


def train_on_probe(hop_ms, recipe):
    """The result of training on the probe at one hop, and the log-mels used."""
    spec = probe_spec(hop_ms, window_ms=hop_ms)
    x = features(probe, spec, progress=False)
    y = probe.targets
    seed_everything(seed)  # the same initial weights at every hop
    run = supervised.fit(
        build("cnn7", 6),
        Split(x[probe_training], y[probe_training], 6),
        Split(x[probe_validation], y[probe_validation], 6),
        recipe,
        spec,
        seed=seed,
        device=device,
    )
    return run, x


def correct_within_task(model, x, task):
    """For each test clip of a task: is its class more probable than the other one?"""
    rows = np.flatnonzero(probe_test & (probe_task == task))
    two_classes = np.unique(probe.targets[rows])  # their columns among the six
    probabilities = supervised.predict(model, x[rows])[:, two_classes]
    # argmax gives column 0 or 1; `two_classes` turns that back into a class number
    guesses = two_classes[probabilities.argmax(axis=1)]
    return guesses == probe.targets[rows]


probe_runs = {}
probe_correct = {}
for hop_ms in tqdm(PROBE_HOPS_MS[::-1], desc="probe, from coarse to fine"):
    run, x = train_on_probe(hop_ms, probe_recipe)
    probe_runs[hop_ms] = run
    for task in TASKS:
        probe_correct[hop_ms, task] = correct_within_task(run.model, x, task)

# %% [markdown]
# The same for the sounds. The progress bar counts frames, because a fine hop takes
# longer.

# %%
ROLLED = PLAIN | {"roll": True}
recipe = Recipe(steps=n_steps, batch_size=16, n_evals=N_EVALS, **ROLLED)


def train_at(hop_ms):
    """The result of training on the sounds at one hop, and the log-mels used."""
    spec = spec_at(hop_ms)
    x = features(clips, spec, progress=False)
    seed_everything(seed)
    run = supervised.fit(
        build("cnn7", n_classes),
        split_of(x, training),
        split_of(x, validation),
        recipe,
        spec,
        seed=seed,
        device=device,
    )
    return run, x


runs = {}
correct = {}
n_frames = {hop_ms: 1 + int(1000 * clips.length_s / hop_ms) for hop_ms in hops_ms}
with tqdm(total=sum(n_frames.values()), unit="frame", desc="sounds") as bar:
    for hop_ms in hops_ms[::-1]:
        run, x = train_at(hop_ms)
        guesses = supervised.predict(run.model, x[test]).argmax(axis=1)
        runs[hop_ms] = run
        correct[hop_ms] = guesses == targets[test]
        bar.update(n_frames[hop_ms])

# %% [markdown]
# Each accuracy gets an interval. `accuracy_by_source` is the bootstrap of notebook 04: it
# redraws the sources of the test clips many times, and returns the accuracy with the
# middle 95 % of the redrawn accuracies. The interval reflects which clips are in the
# test fold. It does not cover other seeds or folds, so the true uncertainty is larger.
# We report what the test fold shows, but base no choice on it.

# %%
predict(
    "05.c",
    ...,
    "On the sounds, how many points lie between the best and the worst hop?",
)

# %%
# The bootstrap draws sources, or clips if all test clips come from one source
one_source = len(np.unique(sources[test])) == 1
drawn = np.arange(test.sum()) if one_source else sources[test]

accuracy = {}
for hop_ms in hops_ms:
    found = accuracy_by_source(correct[hop_ms], drawn, seed=seed)
    accuracy[hop_ms] = found.scaled(100)

probe_accuracy = {}
for (hop_ms, task), is_correct in probe_correct.items():
    each_clip = np.arange(len(is_correct))  # every clip of the probe is its own source
    found = accuracy_by_source(is_correct, each_clip, seed=seed)
    probe_accuracy[hop_ms, task] = found.scaled(100)
probe_means = {key: interval.mean for key, interval in probe_accuracy.items()}

# %% tags=["hide-input", "cover"]
# Accuracy against the hop, on the probe and on the sounds
fig, (probe_ax, sounds_ax) = plt.subplots(1, 2, figsize=(11, 4), sharey=True)
for place, task in enumerate(TASKS):
    of_task = [probe_accuracy[hop_ms, task] for hop_ms in PROBE_HOPS_MS]
    centres = np.array([interval.mean for interval in of_task])
    lows = np.array([interval.low for interval in of_task])
    highs = np.array([interval.high for interval in of_task])
    shift = 1 + 0.03 * (place - 1)  # side by side, so that bars do not overlap
    probe_ax.errorbar(
        shift * np.array(PROBE_HOPS_MS),
        centres,
        [centres - lows, highs - centres],
        color=plots.COLOURS[place],
        marker=plots.MARKERS[place],
        linestyle=plots.LINES[place],
        capsize=3,
        label=f"{task} (needs {needed_ms[task]:g} ms)",
    )
    probe_ax.axvline(needed_ms[task], color=plots.COLOURS[place],
                     linestyle=plots.LINES[place], linewidth=1, alpha=0.6)
probe_ax.axhline(50, color="grey", linestyle=":")
probe_ax.text(PROBE_HOPS_MS[0], 45.5, "guessing one of two", color="0.35", fontsize=11)
probe_ax.set(title="timing probe, window = hop", xlabel="hop (ms)", xscale="log",
             ylabel="accuracy on the test fold (%)", ylim=(0, 104))
plots.log_ticks(probe_ax.xaxis, PROBE_HOPS_MS)
probe_ax.legend(loc="lower left")

sounds_ax.set_xscale("log")
found = [(accuracy[h].mean, accuracy[h].low, accuracy[h].high) for h in hops_ms]
plots.intervals(hops_ms, {"": found}, sounds_ax, xlabel="hop (ms)", ylabel="")
sounds_ax.axhline(100 / n_classes, color="grey", linestyle=":")
sounds_ax.text(hops_ms[0], 100 / n_classes + 2, f"guessing one of {n_classes}",
               color="0.35", fontsize=11)
sounds_ax.set_title("sounds, window = 2.5 hops")
plots.log_ticks(sounds_ax.xaxis, hops_ms)
show(
    fig,
    alt="Accuracy on the test fold against the hop, with 95 % intervals. Left, the "
    "timing probe: "
    + "; ".join(
        f"{task} "
        + ", ".join(f"{probe_means[h, task]:.0f} at {h:g}" for h in PROBE_HOPS_MS)
        for task in TASKS
    )
    + " ms. Right, the sounds: "
    + ", ".join(f"{accuracy[h].mean:.0f} at {h:g}" for h in hops_ms)
    + " ms.",
    caption="One network per hop, the same steps for all. Vertical lines: the hop that "
    "each task needs.",
)

# %% [markdown]
# Read the left panel from left to right. Does the accuracy of each task drop beyond its
# own line? We measure this cliff as the accuracy at the hop that a task needs, minus
# the accuracy at twice that hop, and average over the three tasks.

# %%
fine_ms, coarse_ms = 5.0, 40.0  # on the probe, every profile runs these two

before = {}
cliffs = {}
for task in TASKS:
    before_ms = needed_ms[task]
    beyond_ms = 2 * needed_ms[task]
    if profile == "smoke":  # its only two hops stand in for the two sides of the cliff
        before_ms = fine_ms
        beyond_ms = coarse_ms
    before[task] = probe_means[before_ms, task]
    cliffs[task] = before[task] - probe_means[beyond_ms, task]
mean_before = np.mean(list(before.values()))
mean_cliff = np.mean(list(cliffs.values()))

conclude(
    "probe_cliff",
    mean_cliff,
    unit="points",
    if_clear="At the hop that a task needs, the accuracy is on average "
    f"**{mean_before:.0f} %** ("
    + ", ".join(f"{before[task]:.0f} % for *{task}*" for task in TASKS)
    + f"). At twice that hop it is on average **{mean_cliff:.0f} points** lower. So "
    "this experiment *can* show that the hop matters.",
    if_not=f"At the hop that a task needs, the accuracy is {mean_before:.0f} % on "
    f"average, {mean_cliff:.0f} points more than at twice that hop. For these clips, "
    "we do not know whether the difference is larger than the spread between seeds.",
)

# %%
def probe_mean(hop_ms):
    """Accuracy within the task, averaged over the three tasks, in %."""
    return np.mean([probe_means[hop_ms, task] for task in TASKS])


best_ms = max(hops_ms, key=lambda hop_ms: accuracy[hop_ms].mean)
worst_ms = min(hops_ms, key=lambda hop_ms: accuracy[hop_ms].mean)
spread = accuracy[best_ms].mean - accuracy[worst_ms].mean
answer("05.c", round(spread, 1), unit="points", within=0.3)

probe_drop = probe_mean(fine_ms) - probe_mean(coarse_ms)
sounds_change = accuracy[hops_ms[-1]].mean - accuracy[hops_ms[0]].mean
sounds_drop = -sounds_change
conclude(
    "probe_drop_minus_sounds",
    probe_drop - sounds_drop,
    unit="points",
    step=one_test_clip,
    if_clear=f"From {fine_ms:g} to {coarse_ms:g} ms, the probe loses "
    f"**{probe_drop:.0f} points**. From {hops_ms[0]:g} to {hops_ms[-1]:g} ms, the "
    f"accuracy on the sounds changes by **{sounds_change:+.0f} points**. With the same "
    "kind of network, the sounds show no cliff as large as the probe's.",
    if_not=f"The probe loses {probe_drop:.0f} points from {fine_ms:g} to "
    f"{coarse_ms:g} ms, and the sounds change by {sounds_change:+.0f} points from "
    f"{hops_ms[0]:g} to {hops_ms[-1]:g} ms. For these clips, we do not know whether "
    "the difference is larger than the spread between seeds.",
)

# %% [markdown]
# Is the curve for the sounds flat? All hops were tested on the same clips, so we can
# compare them clip by clip, with the paired interval of notebook 04:

# %%
usual_ms = 10.0 if 10.0 in hops_ms else hops_ms[0]
rows = []
for hop_ms in hops_ms:
    if hop_ms == usual_ms:
        continue
    # 1: right at this hop only, -1: right at the usual hop only, 0: no difference
    change = correct[hop_ms].astype(float) - correct[usual_ms].astype(float)
    difference = accuracy_by_source(change, drawn, seed=seed).scaled(100)
    rows.append((f"{hop_ms:g} ms", difference.mean, difference.low, difference.high))
against_usual = pd.DataFrame(rows, columns=["hop", "points", "from", "to"])
display(
    against_usual.style.format({c: "{:+.1f}" for c in ("points", "from", "to")})
    .set_caption(f"accuracy minus that at {usual_ms:g} ms")
    .hide(axis="index")
)

# %%
half_width = (against_usual["to"] - against_usual["from"]).max() / 2
unseen = max(half_width, one_test_clip)
say(
    f"The widest of these intervals reaches {half_width:.0f} points to either side, "
    f"and one clip is worth {one_test_clip:.3g}. **A difference of up to about "
    f"{unseen:.0f} points could go unseen here.** One test fold and one seed can show "
    "a cliff; they cannot show that a curve is flat to within a point or two. That "
    "takes more folds, more seeds or more clips (section 11)."
)

# %% [markdown]
# ## 9. Too little training, or too little information?
#
# A low accuracy can have two reasons. Either the features do not contain what the network
# would need, or the network has not learned to use it yet. The learning curves help us
# to tell which.
#
# For the probe we know what to expect. If $g$ of the three tasks have to be guessed,
# then for a share $g/3$ of the clips a network can at best give each of the two classes
# the probability $\frac12$. For the other clips it can give the right class the
# probability 1. So the expected loss on *unseen* clips cannot be lower than
#
# $$ L_\text{floor} = \frac{g}{3}\,\ln 2 + \frac{3 - g}{3}\,\ln 1 = \frac{g}{3}\,\ln 2. $$

# %%
def loss_floor(hop_ms):
    """The lowest loss in nats if tasks that need a finer hop are guessed."""
    guessed = sum(needed_ms[task] < hop_ms for task in TASKS)
    return guessed / len(TASKS) * np.log(2)


# %% tags=["hide-input"]
# Learning curves on the probe and on the sounds
fig, axes = plt.subplots(2, 2, figsize=(11.5, 7))
sweeps = [("timing probe", PROBE_HOPS_MS, probe_runs), ("sounds", hops_ms, runs)]
for row, (name, swept_ms, found) in enumerate(sweeps):
    for place, hop_ms in enumerate(swept_ms):
        curve = pd.DataFrame(found[hop_ms].history)
        style = {
            "color": plots.COLOURS[place % 6],
            "marker": plots.MARKERS[place % 6],
            "linestyle": plots.LINES[place % 6],
        }
        accuracies = 100 * curve["validation_accuracy"]
        axes[row, 0].plot(curve["step"], accuracies, **style)
        axes[row, 1].plot(curve["step"], curve["loss"], label=f"{hop_ms:g} ms", **style)
    axes[row, 0].set(title=name, ylabel="validation accuracy (%)", ylim=(0, 104))
    axes[row, 1].set(title=name, ylabel="training loss (nats)", ylim=(0, None))
    axes[row, 1].legend(title="hop", loc="center left", bbox_to_anchor=(1.22, 0.5))
for guessed in (3, 2, 1, 0):
    level = 100 * (1 - guessed / 6)
    axes[0, 0].axhline(level, color="grey", linestyle=":", linewidth=1, zorder=0)
    floor = guessed / 3 * np.log(2)
    axes[0, 1].axhline(floor, color="grey", linestyle=":", linewidth=1, zorder=0)
    axes[0, 1].text(1.01, floor, f"{guessed} guessed", va="center", fontsize=11,
                    color="0.35", transform=axes[0, 1].get_yaxis_transform())
for ax in axes[1]:
    ax.set_xlabel("step")
show(
    fig,
    alt="Validation accuracy, left, and training loss, right, against the step; a line "
    "per hop. Top, the probe, with dotted lines at accuracies of 50, 67, 83 and 100 % "
    "and at the matching losses. The accuracy ends at "
    + ", ".join(
        f"{100 * probe_runs[h].history[-1]['validation_accuracy']:.0f} % at {h:g} ms"
        for h in PROBE_HOPS_MS
    )
    + ". Bottom, the sounds. The accuracy ends at "
    + ", ".join(
        f"{100 * runs[h].history[-1]['validation_accuracy']:.0f} % at {h:g} ms"
        for h in hops_ms
    )
    + ".",
    caption="Dotted: the levels of accuracy and loss with 3, 2, 1 or no task guessed.",
)

# %%
def fine_minus_coarse(entry):
    """Validation accuracy at 5 ms minus that at 40 ms, at one evaluation, in points."""
    fine = probe_runs[fine_ms].history[entry]["validation_accuracy"]
    coarse = probe_runs[coarse_ms].history[entry]["validation_accuracy"]
    return 100 * (fine - coarse)


first_step = probe_runs[fine_ms].history[0]["step"]
early = fine_minus_coarse(0)
late = fine_minus_coarse(-1)
conclude(
    "cliff_appears_late",
    late - early,
    unit="points",
    if_clear=f"On the probe, the validation accuracy at {fine_ms:g} ms minus that at "
    f"{coarse_ms:g} ms is {early:+.0f} points after {first_step} steps, and "
    f"**{late:+.0f}** points at the end. Had we stopped early, we would have "
    "missed much of the effect of the hop.",
    if_not=f"On the probe, the validation accuracy at {fine_ms:g} ms minus that at "
    f"{coarse_ms:g} ms is {early:+.0f} points after {first_step} steps, and "
    f"{late:+.0f} points at the end. For these clips, we do not know "
    "whether the difference is larger than the spread between seeds.",
)

# %% [markdown]
# Two patterns to look for:
#
# - *Too little information.* The validation accuracy settles near one of the dotted
#   levels, and more steps do not raise it. The training loss falls more slowly near the
#   matching floor. Later it can drop below the floor, which holds for unseen clips only:
#   a network can learn its training clips by heart. The coarse hops of the probe are an
#   example.
# - *Too little training.* The training loss is still falling when the steps end. More
#   steps may raise the accuracy, and perhaps not equally at all hops.

# %%
still_falling = 0
last_losses = []
for hop_ms in hops_ms:
    curve = pd.DataFrame(runs[hop_ms].history)["loss"]
    last_losses.append(f"{curve.iloc[-1]:.2f} at {hop_ms:g} ms")
    if curve.iloc[-1] < curve.iloc[-2]:
        still_falling += 1
say(
    f"On the sounds, the training loss is still falling at {still_falling} of "
    f"{len(hops_ms)} hops when the steps end. It ends at {', '.join(last_losses)}."
)

# %% [markdown]
# Where it is still falling, the accuracy in section 8 also depends on how fast the
# network learns at that hop. If the hop with the lowest training loss is also the most
# accurate one, it may be ahead only because the network learns faster there.
#
# Is it true that more steps do not help on the probe at 40 ms? We train three times as
# long.

# %%
predict(
    "05.d",
    ...,
    "Validation accuracy on the probe at 40 ms, in %, after three times the steps?",
)

# %%
patient = Recipe(
    steps=3 * PROBE_STEPS[profile], batch_size=32, n_evals=N_EVALS, **PLAIN
)
patient_run, _ = train_on_probe(40.0, patient)
last = patient_run.history[-1]
answer("05.d", round(100 * last["validation_accuracy"]), unit="%", within=0.1)
say(
    f"For unseen clips, the floor at 40 ms is {loss_floor(40.0):.2f} nats. The "
    f"training loss ends at **{last['loss']:.2f}**, and the validation accuracy at "
    f"{100 * last['validation_accuracy']:.0f} %. Guessing in all three tasks gives "
    f"{best_accuracy(40.0):.0f} % on average."
)

# %% [markdown]
# If the training loss ends below the floor but the validation accuracy stays near its
# level, the network has begun to *memorise* its training clips. This is a third pattern.
#
# The levels are not exact. At hops longer than the one a task needs, a little
# information can remain: with the longer silence of *gap*, the two clicks more often
# fall into different frames, and some clips of *order* still show at 40 ms which burst
# was the longer one.
#
# ## 10. What does a hop cost?
#
# MACs are easy to count and the same on every machine, but what users notice is time.
# We time each network on one clip, not counting the log-mel. Whatever else the machine
# is doing can only make a call slower, so we take the fastest of 20 calls.

# %%
predict(
    "05.e",
    ...,
    "The MACs grow about as fast as the frames. By what factor does the time grow "
    "from the coarsest to the finest hop?",
)

# %%
def time_ms(network, n_frames):
    """Shortest time in ms that one clip takes on the processor, out of 20 calls."""
    clip = torch.zeros(1, n_frames, N_MELS)
    taken = []
    with torch.inference_mode():
        for _ in range(20):
            begin = time.perf_counter()
            network(clip)
            taken.append(1000 * (time.perf_counter() - begin))
    return min(taken)


rows = []
for hop_ms in hops_ms:
    model = runs[hop_ms].model.to("cpu").eval()
    frames = n_frames[hop_ms]
    macs = cost.macs(model, frames, N_MELS)
    rows.append(
        (hop_ms, frames, macs / 1e6, time_ms(model, frames), accuracy[hop_ms].mean)
    )
costs = pd.DataFrame(
    rows, columns=["hop (ms)", "frames", "MACs (million)", "time (ms)", "accuracy (%)"]
)
display(costs.style.format(precision=1).hide(axis="index"))

# %% tags=["hide-input"]
# Accuracy against MACs and time, with the Pareto front
fig, axes = plt.subplots(1, 2, figsize=(11, 3.8), sharey=True)
names = [f"{hop_ms:g} ms" for hop_ms in hops_ms]
for ax, column, label in [
    (axes[0], "MACs (million)", "multiply-accumulates (million)"),
    (axes[1], "time (ms)", "time for one clip (ms)"),
]:
    low = [accuracy[h].mean - accuracy[h].low for h in hops_ms]
    high = [accuracy[h].high - accuracy[h].mean for h in hops_ms]
    ax.errorbar(costs[column], costs["accuracy (%)"], [low, high], fmt="none",
                ecolor="lightgrey", capsize=3, zorder=0)
    plots.pareto(costs[column], costs["accuracy (%)"], names, ax, xlabel=label,
                 ylabel="")
    ax.margins(x=0.15)
axes[0].set_ylabel("accuracy on the test fold (%)")
axes[1].get_legend().remove()
axes[0].legend(loc="upper center", bbox_to_anchor=(0.5, -0.2))
show(
    fig,
    alt="Accuracy on the sounds with intervals against cost, one point per hop: left "
    "against millions of MACs, right against milliseconds for one clip, both on "
    "logarithmic axes. Rings mark the Pareto front. The cost grows "
    "from the coarsest to the finest hop.",
    caption="What each hop costs on this machine. Grey: 95 % intervals.",
)

# %%
macs_ratio = costs["MACs (million)"].max() / costs["MACs (million)"].min()
time_ratio = costs["time (ms)"].max() / costs["time (ms)"].min()
answer("05.e", round(time_ratio, 1), unit="times", within=0.3)
say(
    f"From {hops_ms[-1]:g} to {hops_ms[0]:g} ms the MACs grow by a factor of "
    f"**{macs_ratio:.1f}**, and the time on this machine by "
    f"**{time_ratio:.1f}**."
)

# %% [markdown]
# The two factors need not agree. MACs count what has to be computed. The time also
# contains a fixed cost per call, such as starting each layer, and the time to fetch data
# that do not fit into the processor's fast memory. So give both numbers, and say which
# machine the time was measured on. Notebook 08 comes back to this.
#
# A system is **dominated** if another one costs no more *and* is at least as accurate,
# and is better in at least one of the two. The systems that are not dominated form the
# **Pareto front**, ringed in the figure. With intervals as wide as these the front itself
# is uncertain: a system can be on it by luck.
#
# ### Exercise 05.4
#
# Find the Pareto front. `macs` and `accuracies` are two lists of the same length. Return
# the positions (0, 1, ...) of the systems that are not dominated, as a sorted list.
#
# <details><summary>Hint</summary>
#
# Two loops are enough: for each system, look for one that dominates it. Two systems
# that are equal in both do not dominate each other.
#
# </details>

# %% tags=["exercise"]
def undominated(macs, accuracies):
    ### BEGIN SOLUTION
    front = []
    for i in range(len(macs)):
        dominated = False
        for j in range(len(macs)):
            no_worse = macs[j] <= macs[i] and accuracies[j] >= accuracies[i]
            better = macs[j] < macs[i] or accuracies[j] > accuracies[i]
            if no_worse and better:
                dominated = True
        if not dominated:
            front.append(i)
    return front
    ### END SOLUTION


check("05.4", undominated)

# %% [markdown]
# ## 11. Five folds and more steps: the study
#
# This notebook uses one fold and one seed. The study that accompanies the course has run
# the sweep on the five official folds of ESC-10, with up to three seeds, in three
# variants: a fixed window of 25 ms, windows of 2.5 hops, and more steps.

# %% tags=["hide-input"]
# The study's sweeps on ESC-10
sweeps = figures.hop_sweeps(paths.published_dir())
GRIDS = ("lesson", "diffres", "budget", "words", "esc50", "scratch")
evidence = claims.evidence_from(*GRIDS)
if sweeps:
    trained = claims.sweep(evidence)
    # `history.loss` holds a list of losses for each run; `.str[-1]` takes the last one
    trained = trained.assign(last_loss=trained["history.loss"].str[-1])
    last_loss = trained.groupby("features.hop_ms")["last_loss"].mean()
    fig = figures.sweeps_figure(sweeps)
    show(fig, alt=figures.sweeps_text(sweeps),
         caption="The study on ESC-10. Bars: 95 % intervals by source.")
    losses = ", ".join(f"{loss:.2f} at {hop:g} ms" for hop, loss in last_loss.items())
    say(
        f"The training loss of the first variant (25 ms, 240 steps) ends at {losses}. "
        f"It is lowest at **{last_loss.idxmin():g} ms**."
    )

# %% [markdown]
# Where the training loss is higher, the pictures were learned less well in 240 steps. At
# 5 ms this cannot be a lack of information, because every second frame is also a frame
# at 10 ms: the network learns more slowly, or its receptive field is too short
# (section 4). At 80 ms it can be a lack of information: with windows of 25 ms, more than
# two thirds of the sound lies in no window. So this sweep mixes several effects, and its
# differences do not measure temporal resolution alone.
#
# Of the other two variants, one changes the window. (At a hop of 5 ms, a window of 2.5
# hops is shorter than 25 ms; at 20 ms and above it is longer.) The other has more
# steps, a higher learning rate and *mixup* (training on weighted means of pairs of
# clips). Compare the lines hop by hop, and compare their differences with the width of
# the intervals. The table at the end has the study's verdicts.

# %% tags=["hide-input"]
# The study's sweeps on larger sets, where they are published
larger = figures.long_sweeps()
if larger:
    fig = figures.hops_figure(larger)
    show(fig, alt=figures.hops_text(larger),
         caption="The same sweep on larger sets, with windows of 2.5 hops. Bands: 95 % "
         "intervals.")

# %% [markdown]
# *Ten spoken words* are clips of 1 s. At a hop of 40 ms, such a clip has 26 frames, of
# which the poolings leave one step in time (section 4), so part of a difference between
# hops may come from the network.
#
# ## 12. At which hop is a class lost?
#
# In section 8, the window on the probe was as long as the hop. Most systems use longer
# windows, and so did we on the sounds. Does a longer window move the cliff? The next
# function trains the network on the two classes of *one* task, with any hop and any
# window, and returns its test accuracy in %. A call takes a few seconds.

# %%
def two_class_accuracy(task, hop_ms, window_ms):
    """Test accuracy in % of a network that is trained on the two classes of a task."""
    pair = load_timing(100, tasks=(task,))
    in_training, in_validation, in_test = folds.split(pair, 1)
    spec = probe_spec(hop_ms, window_ms)
    x = features(pair, spec, progress=False)
    y = pair.targets
    seed_everything(seed)
    run = supervised.fit(
        build("cnn7", 2),
        Split(x[in_training], y[in_training], 2),
        Split(x[in_validation], y[in_validation], 2),
        Recipe(steps=80, batch_size=32, n_evals=4, **PLAIN),
        spec,
        seed=seed,
    )
    guesses = supervised.predict(run.model, x[in_test]).argmax(axis=1)
    return 100 * np.mean(guesses == y[in_test])

# %% [markdown]
# ### Exercise 05.5: find the hop
#
# At which hop is *order* lost if the window is 2.5 hops long? Write down a prediction
# first, with your reason: is it shorter than the hop at which *order* was lost in
# section 8, the same, or longer? Then search. Start with a few hops far apart, and
# continue between the longest that works and the shortest that does not. Return a
# dictionary from the hop in ms to the accuracy in %.
#
# The check needs at least four hops. One must reach 90 %, and a longer one must have at
# most 75 %, with no more than a factor of 2 between them.
#
# <details><summary>Hint</summary>
#
# `two_class_accuracy("order", hop_ms, 2.5 * hop_ms)` gives one accuracy. The network
# needs 16 frames, so the hop can be at most 66 ms.
#
# </details>

# %% tags=["exercise"]
def search_for_the_hop():
    ### BEGIN SOLUTION
    found = {}
    for hop_ms in (10.0, 14.0, 28.0, 40.0):
        found[hop_ms] = two_class_accuracy("order", hop_ms, 2.5 * hop_ms)
    return found
    ### END SOLUTION


check("05.5", search_for_the_hop)

# %% [markdown]
# Now compare with windows of one hop at the two hops around your cliff. Can you explain
# what you find?
#
# <details><summary>Our explanation</summary>
#
# In our runs, the longer window moved the cliff less than its length suggests: with a
# hop of 14 ms, *order* was not lost, although the window of 35 ms is longer than the
# short burst. A likely reason is that the window blurs the two bursts, but neighbouring
# windows overlap and blur in the same way, so that a network can still use the
# *differences* between frames. A longer hop gives fewer frames, and in general the
# missing ones cannot be computed from the others. Blurred pictures can also take longer
# to learn from, so after few steps the longer window may look worse than it is.
#
# </details>

# %% [markdown]
# ## What we saw

# %% tags=["hide-input"]
# The study's verdicts on the papers' claims
rows = []
for claim in claims.claims():
    if claim.id not in ("A1", "D4a", "D4b"):
        continue
    for part in claims.parts_of(claim, evidence):
        if part.found is not None:
            rows.append((claim.id, claim.says, part.data, part.text, part.verdict))
columns = ["", "the paper's claim", "data", "the study's number", "verdict"]
display(pd.DataFrame(rows, columns=columns).style.hide(axis="index"))

# %% [markdown]
# Claims marked A are from Liu et al. (2024), those marked D from Mushtaq, Su and Tran
# (2021). Our layers, data and budgets are not theirs, so no row confirms or refutes one
# of their numbers. *Holds* and *contradicted* mean a significant difference in or against
# the direction of the claim; *not shown* leaves the question open. In this run:

# %% tags=["hide-input"]
# The numbers of this run
say(
    f"""- Half the hop costs about twice the MACs. From {hops_ms[-1]:g} to \
{hops_ms[0]:g} ms the MACs grew by a factor of {macs_ratio:.1f}.
- One value of the last convolution sees {field} frames: {field_ms(10.0):.0f} ms of \
sound at a hop of 10 ms, {field_ms(80.0) / 1000:.1f} s at 80 ms.
- The accuracy within the tasks of the probe was {probe_mean(fine_ms):.0f} % at \
{fine_ms:g} ms and {probe_mean(coarse_ms):.0f} % at {coarse_ms:g} ms.
- On the sounds, the best and the worst hop were {spread:.1f} points apart; one test \
clip is worth {one_test_clip:.3g}."""
)

# %% [markdown]
# - Make every choice on the validation clips.
# - If the training loss is still falling and the validation accuracy still rising, there
#   was *too little training*. If both have levelled off and the accuracy is low, the
#   features may hold *too little information*. If the loss is falling but the accuracy
#   is not rising, the network is *memorising*.
#
# ## What next
#
# Notebook 06 starts from networks that were trained on photographs, and asks how much of
# what they have learned helps with spectrograms. Notebook 07 takes the question of this
# notebook further: if no single hop is right for every sound, can a network choose its
# own?
# Before you go on: [questions to test yourself](quizzes/05_fixed_resolution_cnn.md).
#
# ## References
#
# - A. Araujo, W. Norris, J. Sim, "Computing receptive fields of convolutional neural
#   networks", Distill 2019. doi:10.23915/distill.00021
# - Q. Kong et al., "PANNs: Large-scale pretrained audio neural networks for audio pattern
#   recognition", IEEE/ACM TASLP 28, 2020. doi:10.1109/TASLP.2020.3030497
# - H. Liu, X. Liu, Q. Kong, W. Wang, M. D. Plumbley, "Learning temporal resolution in
#   spectrogram for audio classification", AAAI 2024. doi:10.48550/arXiv.2210.01719
# - I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.
#   doi:10.48550/arXiv.1711.05101
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound
#   classification using CNN with meaningful data augmentation", Applied Acoustics 172,
#   107581, 2021

# %% tags=["record"]
record("parameters_cnn7", cost.parameters(network), kind="exact")
record("parameters_cnn9", cost.parameters(build("cnn9", n_classes)), kind="exact")
record("field_cnn7", field, unit="frames", kind="exact")
record("macs_cnn7_10ms", macs_10, kind="exact")
record("hand_loop_is_the_librarys", "yes" if same_loop else "no", kind="exact")
if profile != "smoke":  # a dozen steps are noise, and not judged
    for hop_ms in hops_ms:
        name = f"accuracy_{hop_ms:g}ms"
        record(name, accuracy[hop_ms].mean, unit="%", step=one_test_clip)
    for task in TASKS:
        one_clip = 100 / len(probe_correct[fine_ms, task])
        at_needed = probe_means[needed_ms[task], task]
        record(f"probe_{task}_at_needed", at_needed, unit="%", step=one_clip)
        record(f"cliff_{task}", cliffs[task], unit="points", step=one_clip)
    record("patient_loss_40ms", last["loss"], unit="nats")
record("best_hop", best_ms, unit="ms", kind="info")
record("time_ratio", time_ratio, kind="info")
