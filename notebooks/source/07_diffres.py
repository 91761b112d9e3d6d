# %% [markdown]
# # 07 · DiffRes
#
# A hop treats every moment alike. A dog barks once in five seconds, and a log-mel spends as many frames on the silence before the bark as on the bark. A coarser hop saves frames in both, a finer hop adds them to both. What if the network could say which frames it needs, and merge the others?
# That is DiffRes (*differentiable temporal resolution*), by Liu and colleagues: a layer between the log-mel and a classifier, which gives each frame a **width** and lays a line of fewer frames over it. We build it here in numpy, one formula a cell, compare each with the library's, and train it. Whether it beats a fixed hop is the question of notebook 08.

# %% [markdown]
# ## You will be able to
#
# - **turn** scores of frames into widths that sum to the number of frames you can afford (exercise 07.1);
# - **cut** a line of frames into pieces without a matrix (exercise 07.2);
# - **merge** levels as power, and say what goes wrong with decibels (exercise 07.3);
# - **charge** the layer for its own cost (exercise 07.4);
# - **test** whether learnt scores mean what they seem to mean.

# %% [markdown]
# ## Before you start
#
# You need notebooks 02 and 05. Reading takes 50 minutes, the four exercises 40. The machine needs less than a minute in `smoke`, about one in `lesson`, a quarter of an hour in `study`, all on one core.
#
# In `smoke` every network gets a dozen steps. Sections 1 to 7 are exact all the same; from section 8 on the numbers then mean little, and the text says so.

# %%
import time

import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch.nn import functional

from course_lib import plots, profiles
from course_lib.audio import spec_augment, timebase
from course_lib.audio.features import FeatureSpec, floor_level, log_mel
from course_lib.data import folds
from course_lib.data.clips import features
from course_lib.data.load import load, load_timing
from course_lib.evaluation.intervals import accuracy_by_source
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show
from course_lib.models import classifier, diffres
from course_lib.models.classifier import build
from course_lib.models.diffres import Scorer
from course_lib.training import cost, supervised
from course_lib.training.supervised import Recipe, Split

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # lesson, study, or smoke (a test, no conclusions)
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of the weights, the order of the clips, dropout and noise; the clips are the same for every seed
n_steps: int = 0  # steps of each training; 0 takes 12 in smoke, 120 in lesson, 640 in study
test_fold: int = 1  # the fold that is read once, at the end of section 8

# %% [markdown]
# ## 1. Which frames matter?
#
# We let the data choose two clips. For every clip of the training folds we ask which share of its energy lies in the loudest tenth of its frames. A steady sound has about a tenth of its energy there; a short one nearly all. One clip comes from the class where that share is largest, the other from the class where it is smallest.
#
# **Predict:** if you may keep half of the frames, which would you keep in either clip?

# %%
started = time.perf_counter()
size, device = profiles.get(profile), profiles.device()
clips = load(dataset, size)
training, validation, test = folds.split(clips, test_fold)
targets, n_classes, steps = clips.targets, len(clips.classes), n_steps or size.steps
hop_ms, coarse_ms = (next((h for h in (first, 20.0, 10.0, 5.0) if 1000 * clips.length_s / h >= 40), 2.5) for first in ({"smoke": 40.0, "lesson": 20.0, "study": 10.0}[profile], 40.0))
spec = FeatureSpec(hop_ms=hop_ms)
x = features(clips, spec, progress=False)
n_frames, n_mels = x.shape[1:]
power = 10 ** (x.astype(np.float64) / 10)
tenth = round(n_frames / 10)
concentrated = np.sort(power.mean(2), axis=1)[:, -tenth:].sum(1) / power.mean(2).sum(1)
medians = {k: np.median(concentrated[training & (targets == k)]) for k in np.unique(targets[training])}
most, least = max(medians, key=medians.get), min(medians, key=medians.get)
brief = int(np.where(training & (targets == most), concentrated, -1).argmax())
steady = int(np.where(training & (targets == least), concentrated, 2).argmin())
named = {brief: clips.classes[most].replace("_", " "), steady: clips.classes[least].replace("_", " ")}
say(f"*{clips.name}*, hop {hop_ms:g} ms, {n_frames} frames a clip. The loudest tenth of the frames holds **{100 * concentrated[brief]:.0f} %** of the energy of the first clip (*{named[brief]}*) and **{100 * concentrated[steady]:.0f} %** of the second (*{named[steady]}*).")

# %%
times_s, level = spec.frame_centres_s(n_frames), 10 * np.log10(power.mean(2))
fig, axes = plt.subplots(2, 2, figsize=(12, 5), sharex=True, sharey="row")
heard = {}
for (above, below), clip in zip(axes.T, (brief, steady), strict=True):
    plots.mel_spectrogram(x[clip], times_s, above, range_db=60)
    above.set(title=named[clip], xlabel="")
    loudest = np.sort(level[clip].argsort()[-tenth:])
    below.plot(times_s, level[clip], label="all frames")
    below.plot(times_s[loudest], level[clip][loudest], "s", markersize=4, label="the loudest tenth")
    below.set(xlabel="time (s)", ylabel="level (dB)" if clip == brief else "")
    wave = clips.where(np.arange(len(clips)) == clip).waves()[0].astype(np.float64)
    length = min(len(wave), timebase.seconds_to_samples(1.5, spec.rate_hz))
    sums = np.cumsum(np.r_[0, wave**2])
    start = int((sums[length:] - sums[:-length]).argmax())
    heard[clip] = wave, slice(start, start + length)
axes[1, 1].legend(loc="lower right")
show(fig, alt=f"Two clips, log-mel above and mean level of each frame below. {named[brief]}: the loudest tenth of the frames, marked by squares, stands in one or few places. {named[steady]}: the squares lie all over the clip.")
for clip, (wave, part) in heard.items():
    play(0.8 * wave[part] / np.abs(wave).max(), spec.rate_hz, describe=f"The loudest 1.5 s of the clip of {named[clip]}.")

# %% [markdown]
# In the first clip most frames could be one frame, and little would be lost. In the second no frame is more important than another. Loudness is only our guess, though: a quiet breath before a sneeze may tell more than the sneeze. DiffRes guesses nothing. It has a small network, the **scorer**, that gives each frame a number, and lets the loss of the classifier say which numbers are good. For that, everything between score and loss must have a gradient: no sorting, no choosing, no rounding.
#
# ## 2. From scores to widths
#
# Suppose twelve frames got these scores, and we can afford six output frames. A frame's **width** is the share of an output frame that it may take: width 1 is an output frame for itself, width 0.1 a tenth of one. So widths must lie within 0 and 1 and sum to six. Three steps do that:
#
# 1. **scale** all scores so that they sum to six;
# 2. **cap**: if one is now wider than 1, divide all by the largest, so that their ratios stay;
# 3. **give out** what is then missing, to each frame in proportion to its distance from 1.
#
# **Predict:** frame 3 has nine times the score of frame 1. Is its width nine times as large at the end?

# %%
raw = np.array([0.1, 0.1, 0.2, 0.9, 0.7, 0.2, 0.1, 0.1, 0.5, 0.2, 0.1, 0.1])
n_out = 6
scaled = raw * n_out / raw.sum()
capped = scaled / max(1, scaled.max())
missing, room = n_out - capped.sum(), 1 - capped
width = capped + room * missing / room.sum()
fig, axes = plt.subplots(1, 3, figsize=(12, 3.2), sharey=True)
for ax, (name, now), before in zip(axes, {"1. scaled": scaled, "2. capped": capped, "3. given out": width}.items(), (None, scaled, capped), strict=True):
    ax.bar(range(12), now, color=plots.COLOURS[0])
    if before is not None:
        ax.step(np.arange(13) - 0.5, np.r_[before, before[-1]], where="post", color=plots.COLOURS[1], linestyle="--", label="the step before")
        ax.legend(loc="upper right")
    ax.axhline(1, color="black", linestyle=":", linewidth=1)
    ax.set(title=f"{name}: sum {now.sum():.2f}", xlabel="frame")
axes[0].set_ylabel("width")
show(fig, alt=f"Three bar charts of 12 widths with a dotted line at 1. Scaled: sum 6, one bar of {scaled.max():.2f} above the line. Capped: the highest touches the line, sum {capped.sum():.2f}. Given out: all low bars have risen, sum {width.sum():.0f}.")
library = diffres.rectify(torch.tensor(raw)[None], n_out)[0].numpy()
widths_agree = bool(np.allclose(library, width, atol=1e-9))
say(f"Frame 3 had {raw[3] / raw[1]:.0f} times the score of frame 1 and ends with **{width[3] / width[1]:.1f} times** its width: capping kept the ratio, giving out did not. The library's `rectify` gives {'the same twelve numbers' if widths_agree else 'OTHER NUMBERS'} (largest difference {np.abs(library - width).max():.0e}).")

# %% [markdown]
# Look at the price of the third step. When one frame stands out, the quiet ones are lifted, since the line must be filled with something: at a reduction of one half, widths cannot be all-or-nothing unless half of the frames are wanted. Multiply all scores by any factor and nothing changes. And every step is made of sums, products and one maximum: each has a gradient.
#
# ### Exercise 07.1
#
# Write the three steps for any scores (all above 0) and any number of output frames. If nothing is missing, nothing is given out; beware of 0 divided by 0.

# %% tags=["exercise"]
def widths_from(scores, n_out):
    ### BEGIN SOLUTION
    s = scores * n_out / scores.sum()
    s = s / max(1, s.max())
    room = 1 - s
    return s + room * (n_out - s.sum()) / max(room.sum(), 1e-9)
    ### END SOLUTION


check("07.1", widths_from)

# %% [markdown]
# ## 3. From widths to pieces
#
# Now lay the frames end to end, each as long as its width. The line is six long. Cut it at 1, 2, 3, 4, 5: each **piece** is an output frame. A frame that lies across a cut gives to both sides, in proportion. As no frame is wider than 1, it can cross at most one cut.
#
# So all that is needed of frame $j$ is where it ends, $C_j$, the sum of the widths up to it:
#
# - it ends in piece $\lceil C_j \rceil - 1$ (a frame that ends on a cut belongs to the piece before it);
# - there it gives its **own** share, $C_j$ minus the start of the frame or the cut before, whichever comes later;
# - to the piece **before** it gives the rest of its width.
#
# **Predict** the sum of each column of the table of shares (a row a frame, a column a piece), and of each row.

# %%
ends = np.round(np.cumsum(width), 9)  # rounding errors must not push an end over a cut
starts = np.r_[0, ends[:-1]]
column = np.ceil(ends).astype(int) - 1
own = ends - np.maximum(starts, column)
before = (ends - starts) - own
warp = np.zeros((12, n_out))
warp[np.arange(12), column] = own
warp[np.arange(12), np.maximum(column - 1, 0)] += before
fig, (above, below) = plt.subplots(2, 1, figsize=(10, 6), height_ratios=[1, 3.4])
for j in range(12):
    above.barh(0, width[j], left=starts[j], color=plots.COLOURS[4] if j % 2 else "white", edgecolor="black")
    above.text((starts[j] + ends[j]) / 2, 0, j, ha="center", va="center", fontsize=11)
for cut in range(1, n_out):
    above.axvline(cut, color=plots.COLOURS[1], linestyle="--")
above.set(xlim=(0, n_out), yticks=[], xlabel="sum of widths", title="twelve frames, end to end, and where they are cut")
below.pcolormesh(np.arange(n_out + 1), np.arange(13) - 0.5, warp, cmap="cividis", vmin=0, vmax=1)
for j, k in zip(*np.nonzero(warp > 1e-6), strict=True):
    below.text(k + 0.5, j, f"{warp[j, k]:.2f}", ha="center", va="center", fontsize=11, color="white" if warp[j, k] < 0.5 else "black")
below.set(xlabel="output frame", ylabel="frame", ylim=(11.5, -0.5), xlim=(0, n_out), yticks=range(12), xticks=np.arange(n_out) + 0.5, xticklabels=range(n_out))
show(fig, alt=f"Above, twelve frames as boxes of different widths on a line of length 6, with dashed cuts at whole numbers. Below, the warp matrix, a staircase from upper left to lower right: {np.sum(warp > 1e-6)} of {warp.size} shares are not 0, at most two a row.")

# %%
library_warp = diffres.warp_matrix(torch.tensor(width)[None], n_out)[0].numpy()
matrix_agrees = bool(np.allclose(library_warp, warp, atol=1e-5))
say(f"Columns sum to {warp.sum(0).min():.6f} up to {warp.sum(0).max():.6f}: **every output frame weighs exactly one**. Rows sum to the widths (largest difference {np.abs(warp.sum(1) - width).max():.0e}): nothing is lost, nothing counted twice. No row has more than {np.sum(warp > 1e-6, axis=1).max()} shares. The library's `warp_matrix` {'agrees' if matrix_agrees else 'DOES NOT AGREE'}.")

# %% [markdown]
# Read the staircase. Where it is steep, many frames share one output frame: time runs fast there. Where it is flat, a frame has an output frame nearly to itself: that stretch keeps its resolution. The order of time is never changed. With equal widths the staircase is a straight line, and the layer is an average over neighbours, as a longer hop would be.
#
# ### Exercise 07.2
#
# Write the closed form for one frame that lies from `start` to `end` on the line, no wider than 1: the piece in which it ends (from 0), its own share there, and the share of the piece before.

# %% tags=["exercise"]
def shared(start, end):
    ### BEGIN SOLUTION
    column = int(np.ceil(end)) - 1
    own = end - max(start, column)
    return column, own, end - start - own
    ### END SOLUTION


check("07.2", shared)

# %% [markdown]
# ## 4. Merging
#
# A piece now says which frames it is made of. What is its level? Sound powers of independent sounds add; decibels do not. The mean of -20 dB and -100 dB is -60 dB in decibels, as if the sound had been a hundredth of a hundredth. As power it is -23 dB, half of the sound. So the log-mel goes back to power, is averaged with the shares as weights, and returns to the logarithm.
#
# **Predict:** we merge pairs of frames, once as power, once as decibels. Noise is steady; by how many decibels can the two means differ there?

# %%
rng = np.random.default_rng([seed, 4])
noise = 0.1 * rng.standard_normal(timebase.seconds_to_samples(4, spec.rate_hz))
rows = {}
for name, levels in {"white noise": log_mel(noise, spec), named[steady]: x[steady], named[brief]: x[brief]}.items():
    pairs = levels[: len(levels) // 2 * 2].reshape(-1, 2, n_mels).astype(np.float64)
    as_power = 10 * np.log10((10 ** (pairs / 10)).mean(1))
    loss = as_power - pairs.mean(1)
    rows[name] = {"mean difference (dB)": loss.mean(), "largest (dB)": loss.max()}
apart = pd.DataFrame(rows).T
display(apart.round(2))
noise_db = apart.loc["white noise", "mean difference (dB)"]
say(f"The mean of decibels is never the larger one. Steady noise loses **{noise_db:.2f} dB** on average, because its level in a band jumps from frame to frame; the onset of *{named[brief]}* loses up to **{apart.loc[named[brief], 'largest (dB)']:.0f} dB** in one value: merged as decibels, silence eats the attack.")

# %% [markdown]
# ### Exercise 07.3
#
# Merge two levels in dB as power: the first with the weight `share`, the second with what is left of 1.

# %% tags=["exercise"]
def merged_db(first_db, second_db, share):
    ### BEGIN SOLUTION
    return 10 * np.log10(share * 10 ** (first_db / 10) + (1 - share) * 10 ** (second_db / 10))
    ### END SOLUTION


check("07.3", merged_db)

# %% [markdown]
# The mean is the first of three pictures that DiffRes hands on. The second is the **peak**: the largest product of share and power in the piece, times the frames per output frame, so that equal widths give the plain maximum. A click of one frame among ten is 10 dB weaker in the mean; the peak keeps it. The third is the **position encoding**, sines and cosines of the frame's number, merged in the same way. The classifier could not know otherwise how long a piece lasts: the picture has lost its clock.
#
# We have no trained scorer yet, so let the amplitude of a frame be its score for once, and keep a quarter of the frames.

# %% tags=["cover"]
quarter = classifier.REDUCERS["energy"](n_mels, 0.75)
in_nats = torch.tensor(x[brief : brief + 1] / classifier.NATS["db"])
reduced = quarter(in_nats)
kept = reduced.scores[0].numpy()
mean, peak, place = reduced.features[0].numpy()
chosen = kept > 0.5
fig, axes = plt.subplots(2, 2, figsize=(13, 6.4))
plots.mel_spectrogram(x[brief], times_s, axes[0, 0], range_db=60)
axes[0, 0].plot(times_s[chosen], np.full(chosen.sum(), n_mels + 2.0), "v", color=plots.COLOURS[1], markersize=5)
axes[0, 0].set(title=f"{named[brief]}: {n_frames} frames (triangles: width above 0.5)", ylim=(0, n_mels + 5))
for ax, picture, name in ((axes[0, 1], mean * classifier.NATS["db"], "mean"), (axes[1, 0], peak * classifier.NATS["db"], "peak")):
    plots.mel_spectrogram(picture, np.arange(len(picture)), ax, range_db=60)
    ax.set(title=f"{name}: {len(picture)} output frames", xlabel="output frame")
image = axes[1, 1].pcolormesh(place.T, cmap="cividis", vmin=-1, vmax=1, rasterized=True)
axes[1, 1].set(title="position encoding, merged", xlabel="output frame", ylabel="component")
fig.colorbar(image, ax=axes[1, 1], label="value", pad=0.01)
inside = np.isin(np.arange(n_frames), level[brief].argsort()[-tenth:])
show(fig, alt=f"Four pictures of a clip. The log-mel with triangles over {chosen.sum()} wide frames; its mean and peak in {len(mean)} output frames, where the loud part takes up a larger share of the picture; the merged position encoding, stripes that run slower where frames are wide.")
say(f"The loudest tenth of the frames takes **{100 * kept[inside].sum() / kept.sum():.0f} %** of the output. {n_frames} frames became {len(mean)}, and the time axis is bent: the loud part is stretched, the rest squeezed.")

# %% [markdown]
# ## 5. No matrix
#
# Written with the warp matrix, merging is one product, and that is how the paper draws it. But the matrix has a row for each frame and a column for each output frame, and nearly all of it is zeros. Section 3 needs two shares a frame. Twice the frames means four times the matrix, and only twice the shares.
#
# **Predict:** how many numbers does the matrix of a clip have at a hop of 1 ms?

# %%
rows = {}
for each_ms in (40.0, 10.0, 2.5, 1.0):
    long = FeatureSpec(hop_ms=each_ms).frame_count(timebase.seconds_to_samples(clips.length_s, spec.rate_hz))
    short = timebase.out_frames(long, 0.5)
    rows[f"{each_ms:g} ms"] = {"frames": long, "matrix": long * short, "two shares a frame": 2 * long, "ratio": long * short / (2 * long)}
display(pd.DataFrame(rows).T.astype(int))
matrix = diffres.warp_matrix(reduced.scores.double(), len(mean))[0].numpy()
product = matrix.T @ power[brief]
largest = float(np.abs(10 * np.log10(product) - mean * classifier.NATS["db"]).max())
product_agrees = largest < 0.05
say(f"At 1 ms the matrix holds **{rows['1 ms']['matrix'] / 1e6:.1f} million** numbers a clip, and a training keeps one for every clip of the batch; the shares are {rows['1 ms']['two shares a frame']:,}. The result is the same: the product with the matrix differs from the library's mean by at most {largest:.0e} dB.")

# %% [markdown]
# ## 6. The scorer
#
# What gives the scores? A residual network of ten convolutions over time, each over five frames, and a sigmoid at the end. The published one works on all mels. Our **light** one first averages the mels into 16 bands, and spaces its taps so that six convolutions reach as far.
#
# The reach is in *frames* again, as in notebook 05. A bark of 200 ms is longer than the whole field at one hop and a small part of it at another. Five taps a convolution, ten or six convolutions, the light ones with gaps: the formula of notebook 05 gives the reach.

# %%
macs = {"cnn7": cost.macs(build("cnn7", n_classes), n_frames, n_mels)}
half = timebase.out_frames(n_frames, 0.5)
behind = cost.macs(build("cnn7", n_classes, channels=3), 3, half, n_mels)
rows, fields = {}, {}
for kind, mels in (("published", 128), ("published", n_mels), ("light", n_mels)):
    seed_everything(seed)
    scorer = Scorer(mels, kind)
    dilations = [part.dilation[0] for part in scorer.modules() if isinstance(part, torch.nn.Conv1d)]
    fields[kind] = timebase.receptive_field([5] * len(dilations), [1] * len(dilations), dilations)[0]
    macs[kind] = cost.macs(scorer, n_frames, mels) // n_frames
    rows[f"{kind}, {mels} mels"] = {"parameters": cost.parameters(scorer), "field (frames)": fields[kind], "MACs a frame": macs[kind], "% of the 7-layer CNN": 100 * macs[kind] * n_frames / macs["cnn7"]}
display(pd.DataFrame(rows).T.round(1))
reach = {h: timebase.span_ms(fields["light"], FeatureSpec(hop_ms=h).window_samples, FeatureSpec(hop_ms=h).hop_samples, spec.rate_hz) for h in (2.5, 10.0, 40.0)}
say(f"A score looks at **{fields['light']} frames**: {reach[2.5]:.0f} ms of sound at a hop of 2.5 ms, {reach[10.0]:.0f} ms at 10 ms, {reach[40.0]:.0f} ms at 40 ms. The CNN costs {macs['cnn7'] / 1e6:.1f} M MACs on all frames and {behind / 1e6:.1f} M on half of them; with the light scorer in front the sum is {(behind + macs['light'] * n_frames) / 1e6:.1f} M, with the published one **{(behind + macs['published'] * n_frames) / 1e6:.1f} M**.")

# %% [markdown]
# A scorer of S MACs a frame before a network of N MACs a frame saves something when the reduction is larger than S / N. Before a large network that is nearly always so; before a small one it decides. That is why this course has a light scorer, and why notebook 08 counts both.
#
# ### Exercise 07.4
#
# From the frames of a clip, the reduction (share of frames to save), and the MACs *a frame* of scorer and network: return the output frames (rounded to the nearest whole number) and the MACs of the clip.

# %% tags=["exercise"]
def reduced_cost(n_frames, reduction, scorer_macs, network_macs):
    ### BEGIN SOLUTION
    left = round(n_frames * (1 - reduction))
    return left, n_frames * scorer_macs + left * network_macs
    ### END SOLUTION


check("07.4", reduced_cost)

# %% [markdown]
# ## 7. The gradient reaches the scores
#
# "Differentiable" is in the name; let us see it. We take a fresh network, a clip and random scores, and ask torch for the gradient of the loss by each score. Then we ask without torch: push one score up by a millionth, down by a millionth, and divide the difference of the losses. **Predict:** a factor on all scores changes nothing. What does that say about the sum of score times gradient?

# %%
class Given(diffres.WarpMerge):
    """A frame reducer whose scores are set by hand."""

    def raw_scores(self, x):
        return self.scores[None]


seed_everything(seed)
by_hand = Given(n_mels, 0.5)
net = classifier.Normalised(classifier.ReducedClassifier(by_hand, build("cnn7", n_classes, channels=3), n_mels, "db"), x[training]).double().eval()
one, truth = torch.tensor(x[brief : brief + 1]).double(), torch.tensor(targets[brief : brief + 1])


def loss_of(scores):
    by_hand.scores = scores
    return functional.cross_entropy(net(one), truth)


drawn = np.random.default_rng(7)  # the same scores for every seed
scores = torch.tensor(drawn.uniform(0.2, 0.8, n_frames), requires_grad=True)
(gradient,) = torch.autograd.grad(loss_of(scores), scores)
tried, push = np.sort(drawn.choice(n_frames, 12, replace=False)), 1e-6 * torch.eye(n_frames, dtype=torch.float64)
with torch.no_grad():
    numeric = np.array([float(loss_of(scores + push[j]) - loss_of(scores - push[j])) / 2e-6 for j in tried])

# %%
gradient, tiny = gradient.numpy(), float(torch.finfo(torch.float64).tiny)
error = float(np.abs(gradient[tried] - numeric).max() / (np.abs(gradient).max() + tiny))
gradient_agrees = error < 1e-2
balance = abs(float((scores.detach().numpy() * gradient).sum())) / float(np.abs(scores.detach().numpy() * gradient).sum())
fig, (above, below) = plt.subplots(2, 1, figsize=(10, 5), sharex=True)
above.plot(times_s, level[brief])
above.set(ylabel="level (dB)", title=f"{named[brief]}, scores drawn at random")
unit = 10.0 ** np.floor(np.log10(np.abs(gradient).max()))
below.plot(times_s, gradient / unit, linewidth=1, label="autograd")
below.plot(times_s[tried], numeric / unit, "s", markersize=7, markerfacecolor="none", label="finite differences")
below.axhline(0, color="grey", linewidth=1, linestyle="-")
below.set(xlabel="time (s)", ylabel=f"gradient ({unit:.0e} nats)")
below.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt=f"Above, the level of the clip over time. Below, the gradient of the loss by the score of each frame, a jagged line of both signs, with {len(tried)} squares of finite differences that lie on it.")
say(f"The largest disagreement is {100 * error:.2g} % of the largest gradient, and **{np.mean(gradient != 0):.0%} of the frames** have a gradient. Scores times gradients sum to {100 * balance:.1g} % of what they would without signs: what one frame gains in width, others lose.")

# %% [markdown]
# Where the line is below zero, a wider frame would lower the loss, and a step of training widens it. Where a frame moves in its piece, all frames behind it move too, so one score touches many output frames. That makes the gradient jagged: it is exact for a small push, and it says little about a large one.
#
# ## 8. Training both together
#
# Now the scorer stands before the 7-layer network of notebook 05, half of the frames are saved, and *one* loss trains both. There is no label for a good score. `train.fit` does it with no further change; only the normalisation moves behind the merging, which needs power.
#
# Before and after the training we look at four sounds that the network never learns from: a click, a tone, noise, each in the middle of near silence, and the short clip of section 1. A fresh scorer first gets its normalisation statistics from the training clips, as otherwise its sigmoid would be stuck.

# %%
def network(frame_reducer, n_classes=n_classes, n_mels=n_mels):
    """A fresh 7-layer CNN behind a frame reducer, the same weights for the same seed."""
    seed_everything(seed)
    return classifier.classifier("cnn7", n_classes, reducer=frame_reducer, n_mels=n_mels)


def widths_by(model, x):
    """Widths `(clips, frames)` that the frame reducer of a network gives to log-mels in dB."""
    frame_reducer = model.model.frame_reducer.eval()
    with torch.inference_mode():
        return frame_reducer(torch.tensor(x / classifier.NATS["db"], device=model.mean.device)).scores.cpu().numpy()


parts = Split(x[training], targets[training], n_classes), Split(x[validation], targets[validation], n_classes)
plain = {"steps": steps, "batch_size": 16, "mixup": 0.0, "label_smoothing": 0.0, "precision": "fp32"}
fresh = classifier.Normalised(network("diffres-light:0.5"), x[training])
for part in fresh.modules():
    if isinstance(part, torch.nn.BatchNorm1d):
        part.momentum = None  # a plain mean over all that it sees
with torch.no_grad():
    fresh.model.frame_reducer.train()(torch.tensor(x[training] / classifier.NATS["db"]))
fitted = supervised.fit(network("diffres-light:0.5"), *parts, Recipe(**plain, spec_augment=False, n_evals=4), spec, seed=seed, device=device)
looks = pd.DataFrame(fitted.history)[["step", "loss", "validation_loss", "validation_accuracy"]]
display(looks.round(3).style.hide())

# %%
n_samples = timebase.seconds_to_samples(clips.length_s, spec.rate_hz)
t, third = np.arange(n_samples) / spec.rate_hz, (np.arange(n_samples) * 3 // n_samples) == 1
click = np.arange(n_samples) == round(times_s[len(times_s) // 2] * spec.rate_hz)  # where a frame sees it, at any hop
hush = 1e-3 * rng.standard_normal(n_samples)  # digital silence would be a sound of its own
waves = {"click": 0.9 * click, "tone": 0.3 * third * np.sin(2 * np.pi * 1000 * t), "noise": 0.1 * third * rng.standard_normal(n_samples)}
sounds = {name: log_mel(wave + hush, spec) for name, wave in waves.items()} | {named[brief]: x[brief]}
loud_part = {"click": np.abs(times_s - t[click]) <= 0.0125, "tone": np.abs(times_s - clips.length_s / 2) < clips.length_s / 6}
loud_part |= {"noise": loud_part["tone"], named[brief]: inside}
fig, axes = plt.subplots(2, 4, figsize=(15, 5), sharex=True, sharey="row")
ratios = {}
for (above, below), (name, levels) in zip(axes.T, sounds.items(), strict=True):
    above.pcolormesh(times_s, np.arange(n_mels), levels.T, vmin=levels.max() - 60, vmax=levels.max(), shading="nearest", rasterized=True)
    above.set(title=name)
    old, new = (widths_by(model, levels[None])[0] for model in (fresh, fitted.model))
    plots.lines(times_s, {"before training": old, "after": new}, below, xlabel="time (s)", ylabel="")
    below.get_legend().remove()
    ratios[name] = [w[loud_part[name]].mean() / w[~loud_part[name]].mean() for w in (old, new)]
axes[0, 0].set_ylabel("mel band")
axes[1, 0].set_ylabel("width")
axes[1, 3].legend(*axes[1, 0].get_legend_handles_labels(), loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt="Log-mels of a click, a tone, noise and a short clip, and under each the widths of its frames before and after training. Mean width inside the sound over that outside, before and after: " + "; ".join(f"{name} {a:.2f} and {b:.2f}" for name, (a, b) in ratios.items()) + ".")
accuracy = accuracy_by_source((supervised.predict(fitted.model, x[test]).argmax(1) == targets[test]).astype(float), np.arange(int(test.sum())), seed=seed).scaled(100)
spread_before, spread_after = (float(widths_by(model, x[validation]).std(1).mean()) for model in (fresh, fitted.model))
say(f"On the test fold, read once, the network is right on **{accuracy} %** of {test.sum()} clips at half of the frames; guessing gives {100 / n_classes:.0f} %. Widths within a clip spread by {spread_before:.3f} before and **{spread_after:.3f}** after training, around a mean of 0.5. " + ("After a dozen steps the running statistics of the trained scorer have hardly settled, while the fresh one took its own from all training clips: do not read the two against each other." if profile == "smoke" else f"Inside against outside of the sound, widths stand as {ratios['click'][1]:.2f} for the click, {ratios['tone'][1]:.2f} for the tone, {ratios['noise'][1]:.2f} for the noise and {ratios[named[brief]][1]:.2f} for *{named[brief]}*: above 1 the sound is wider than its surroundings, below 1 it is squeezed."))

# %% [markdown]
# A width plot tempts us to tell a story. Be slow. A *low* width inside a steady tone can be right: one frame of it says as much as fifty. High widths beside a sound may be its edges, or only the reach of the scorer, which sees twenty frames to either side. And a spread this small means that the layer still works nearly like plain averaging. What the scores are worth is a question for controls: notebook 08 shuffles them, draws them at random, and sets them by energy.
#
# ## 9. The guide loss, and why a 0 is loud
#
# SpecAugment hides stretches of time (notebook 03). A hidden frame holds nothing, so it should be narrow. The **guide loss** says so: it is the mean width of the *empty* frames of a clip, as long as that is more than half of the mean width of all. It is added to the loss of the task.
#
# But what is empty? Many programs write a 0 into the log-mel. In decibels, 0 is not nothing. **Predict:** where does 0 dB lie among the levels of this data set?

# %%
mean_db, deviation_db = float(x[training].mean()), float(x[training].std())
guide_spec = FeatureSpec(hop_ms=coarse_ms)
coarse = features(clips, guide_spec, progress=False)
widest_ms = min(200.0, 200 * clips.length_s)  # a fifth of the clip at most
filled = {fill: spec_augment.spec_augment(coarse[[steady]], np.random.default_rng([seed, 9]), guide_spec, widest_time_ms=widest_ms, n_bands=0, mask_value=fill).numpy()[0] for fill in ("mean", "floor")}
hidden = (filled["floor"] <= floor_level(guide_spec) + 1e-3).all(1)
filled["0 in the log"] = np.where(hidden[:, None], 0, coarse[steady])
fig, ax = plt.subplots(figsize=(10, 3.4))
curves = {name: 10 * np.log10((10 ** (levels.astype(np.float64) / 10)).mean(1)) for name, levels in filled.items()}
plots.lines(guide_spec.frame_centres_s(len(hidden)), curves, ax, xlabel="time (s)", ylabel="level (dB)", markers=True)
for line in ax.get_lines():
    line.set_markersize(4)
ax.legend(title="masked with", loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt=f"Level over time of one clip with hidden stretches, three curves. Masked with the mean they are hard to see, with the floor they fall to {floor_level(guide_spec):.0f} dB, with a 0 in the log they rise to 0 dB, above everything else.")
say(f"The mean level of the training clips is {mean_db:.0f} dB with a standard deviation of {deviation_db:.0f} dB. A 0 lies **{-mean_db / deviation_db:.1f} deviations above** the mean, louder than {100 * np.mean(x[training] < 0):.0f} % of all values; the floor of {floor_level(spec):.0f} dB lies {(mean_db - floor_level(spec)) / deviation_db:.1f} below. Empty must mean no *power*.")

# %% [markdown]
# Now two short trainings at a coarse hop, the same but for one number: the weight of the guide loss, 0 or 1. Masks are filled with the floor. We look at validation once, at the end, so nothing is chosen. Then we mask the validation clips with fresh masks and compare widths. **Predict:** without the guide loss, will the network find out by itself that hidden frames are useless?

# %%
drawn = np.random.default_rng([seed, 10])
masked = spec_augment.spec_augment(coarse[validation], drawn, guide_spec, widest_time_ms=widest_ms, n_bands=0, mask_value="floor").numpy()
empty = (masked <= floor_level(guide_spec) + 1e-3).all(2)
hidden = empty & ~(coarse[validation] <= floor_level(guide_spec) + 1e-3).all(2)
parts = [Split(coarse[mask], targets[mask], n_classes) for mask in (training, validation)]
found, shown = {}, {}
example = int(hidden.sum(1).argmax())
for weight in (0.0, 1.0):
    recipe = Recipe(**plain, mask_value="floor", guide=weight, n_evals=1)
    model = supervised.fit(network("diffres-light:0.5"), *parts, recipe, guide_spec, seed=seed, device=device).model
    widths = widths_by(model, masked)
    found[weight], shown[f"guide {weight:g}"] = (float(widths[hidden].mean()), float(widths[~empty].mean())), widths[example]
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6), width_ratios=[1, 2])
for offset, name in enumerate(("hidden frames", "all others")):
    bars = left.bar(np.arange(2) + 0.4 * offset - 0.2, [found[weight][offset] for weight in found], 0.38, label=name, hatch=("", "//")[offset], edgecolor="white")
    left.bar_label(bars, fmt="%.2f", fontsize=11)
left.set(xticks=range(2), xticklabels=["guide 0", "guide 1"], ylabel="mean width", ylim=(0, 1))
left.legend(loc="upper center")
plots.lines(guide_spec.frame_centres_s(len(hidden[example])), shown, right, xlabel="time (s)", ylabel="width")
right.fill_between(guide_spec.frame_centres_s(len(hidden[example])), 0, 1, where=hidden[example], color="lightgrey", step="mid", label="hidden")
right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt=f"Left, mean widths: without guide loss {found[0.0][0]:.2f} for hidden frames and {found[0.0][1]:.2f} for others, with it {found[1.0][0]:.2f} and {found[1.0][1]:.2f}. Right, widths of one clip over time, hidden stretches in grey.")
say(f"Hidden frames are **{found[0.0][0] / found[0.0][1]:.2f} times** as wide as the others without the guide loss and **{found[1.0][0] / found[1.0][1]:.2f} times** with it." + (" A dozen steps are too few to read that." if profile == "smoke" else ""))

# %% [markdown]
# The guide loss reaches one half of the mean width and stops there: below that its gate is shut. It cannot make frames vanish, and it speaks about frames without any power alone. Quiet is not empty.
#
# ## 10. Sounds whose answer is known
#
# On a dog nobody can say which frames matter. On the timing probe of notebook 05 we can. The task *order*: a burst of 20 ms and one of 40 ms with a pause of 20 ms, or the other way round, somewhere in a second of faint noise. At a hop of 10 ms we save three quarters: output frames of 40 ms if widths are equal, too coarse to tell the order. **Predict:** will DiffRes tell it? And will its widths be largest at the bursts?

# %%
probe = load_timing({"smoke": 40, "lesson": 100, "study": 100}[profile], tasks=("order",))
probe_spec = FeatureSpec(window_ms=10.0, hop_ms=10.0, n_mels=16, fmin_hz=200.0)
heights, centres_s = features(probe, probe_spec, progress=False), None
centres_s = probe_spec.frame_centres_s(heights.shape[1])
learn, choose, judge = folds.split(probe, 1)
probe_recipe = Recipe(steps=40 if profile == "smoke" else 120, batch_size=16 if profile == "smoke" else 32, roll=False, spec_augment=False, mixup=0.0, label_smoothing=0.0, n_evals=4, precision="fp32")
told, probe_models = {}, {}
for frame_reducer in ("uniform:0.75", "diffres-light:0.75"):
    sets = (Split(heights[mask], probe.targets[mask], 2) for mask in (learn, choose))
    model = supervised.fit(network(frame_reducer, 2, 16), *sets, probe_recipe, probe_spec, seed=seed, device=device).model
    right = (supervised.predict(model, heights[judge]).argmax(1) == probe.targets[judge]).astype(float)
    told[frame_reducer], probe_models[frame_reducer] = accuracy_by_source(right, np.arange(len(right)), seed=seed).scaled(100), model
probe_widths = widths_by(probe_models["diffres-light:0.75"], heights[judge])
bursts = dict(tuple(probe.events.groupby("clip")))
burst = np.array([((bursts[c].onset_s.to_numpy()[:, None] <= centres_s) & (centres_s < bursts[c].offset_s.to_numpy()[:, None])).any(0) for c in probe.table["clip"][judge]])
probe_levels, one = heights[judge].mean(2), int(np.argmax(probe_widths.std(1)))
fig, (above, below) = plt.subplots(2, 1, figsize=(9, 4), sharex=True)
for ax, values, ylabel in ((above, probe_levels[one], "level (dB)"), (below, probe_widths[one], "width")):
    ax.plot(centres_s, values)
    ax.fill_between(centres_s, values.min(), values.max(), where=burst[one], color="lightgrey", step="mid")
    ax.set(ylabel=ylabel)
below.set_xlabel("time (s)")
follows = {name: np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(values, burst.astype(float), strict=True)]) for name, values in (("widths", probe_widths), ("level", probe_levels))}
show(fig, alt=f"One test clip of the probe, bursts in grey: above its level, which rises at the bursts, below its learnt widths, which follow the bursts with a correlation of {follows['widths'][one]:+.2f}.")
say(f"Equal widths: {told['uniform:0.75']} % right, and guessing gives 50. DiffRes: **{told['diffres-light:0.75']} %**. Correlation with the bursts, frame by frame, mean over {judge.sum()} test clips: **{follows['widths'].mean():+.2f}** for the learnt widths, {follows['level'].mean():+.2f} for the plain level." + (" Forty steps: the numbers mean little." if profile == "smoke" else ""))

# %% [markdown]
# Read the two numbers together. The plain level follows the bursts almost perfectly, because on this probe nothing else is loud; a rule as simple as *wide where loud* would find every burst. A learnt score has to find that rule from the labels alone, with a gradient that says only how the loss would change. A low correlation does not make the layer useless: to tell a short burst from a long one it is enough to treat *their edges* differently. It does warn against reading scores as importance.
#
# ## 11. Hear what is kept
#
# What does the classifier still get to hear? We can make it audible, roughly. A frame of width 1 keeps all of its own; one of width 0.1 shares an output frame with nine others. So we scale each frame of the short-time Fourier transform by the square of its width, over that of the widest, and turn it back into sound, with the phases of the recording. The square exaggerates. What the layer squeezes grows quiet.
# **Predict:** equal widths would make everything equally quieter. What will the learnt ones do, after so short a training?

# %%
wave = next(clips.where(np.arange(len(clips)) == short_clip).waves() for short_clip in [brief])[0]
widths = widths_by(fitted.model, x[brief][None])[0]
hop, n_fft = spec.hop_samples, spec.fft_samples
frames = librosa.stft(wave, n_fft=n_fft, hop_length=hop, win_length=n_fft, pad_mode="constant")[:, : len(widths)]
gain = (widths / widths.max()) ** 2
kept = librosa.istft(frames * gain[: frames.shape[1]], hop_length=hop, n_fft=n_fft, win_length=n_fft, length=len(wave))
loudest_s = times_s[int(x[brief].mean(1).argmax())]
begin = max(0, timebase.seconds_to_samples(max(0.0, loudest_s - 0.5), spec.rate_hz))
piece = slice(begin, begin + timebase.seconds_to_samples(1.5, spec.rate_hz))
peak = max(np.abs(wave).max(), np.abs(kept).max(), 1e-6)
fig, (above, below) = plt.subplots(2, 1, figsize=(9, 4.2), sharex=True)
for ax, sound, title in ((above, wave, "as recorded"), (below, kept, "each frame scaled by the square of its width")):
    plots.waveform(sound[piece] / peak, spec.rate_hz, ax, start_s=begin / spec.rate_hz)
    ax.set(title=title, ylim=(-1.05, 1.05))
above.set_xlabel("")
lost_db = 10 * np.log10(np.sum(kept[piece] ** 2) / np.sum(wave[piece] ** 2) + 1e-12)
show(fig, alt=f"Two waveforms of the same 1.5 s of {named[brief]}: as recorded, and with each frame scaled by the square of its width, which changes the energy by {lost_db:.1f} dB.")
play(0.8 * wave[piece] / peak, spec.rate_hz, describe=f"1.5 s of {named[brief]}, as recorded.")
play(0.8 * kept[piece] / peak, spec.rate_hz, describe=f"The same 1.5 s with each frame scaled by the square of its width: {-lost_db:.1f} dB quieter, most so where frames are narrow.")

# %% [markdown]
# This is a picture in sound, not what the network gets: the network gets means and peaks of merged frames, at full level, with a position encoding that says where they came from. It tells by ear what the plots told: a layer that has learnt little leaves everything as it was.
#
# ## What we saw

# %%
say(f"""| claim | in the paper's words, shortened | what we saw | reading |
|---|---|---|---|
| A2 | Liu et al. (2024): a drop-in module between mel-spectrogram and an off-the-shelf classifier | one line of code before the 7-layer CNN, any length, any number of mels; output frames weigh one exactly | holds, by construction |
| A2 | trained jointly with the task | gradients reach every frame; {100 * supervised.best_eval(fitted.history)["validation_accuracy"]:.0f} % on validation at half of the frames | {"too few steps to read" if profile == "smoke" else "it trains"} |
| A2 | merges non-essential frames and keeps important ones | on the probe, where the important frames are known, widths follow them with a correlation of {follows["widths"].mean():+.2f}, the plain level with {follows["level"].mean():+.2f} | {"too few steps to read" if profile == "smoke" else "not shown by this run" if follows["widths"].mean() < 0.5 else "shown on the probe"} |

Our classifier, data and budget are not the paper's. Ours differs from the published code where that leaves output frames empty or too light, lets a clip depend on its batch, or truncates lengths; `course_lib/models/diffres.py` lists all of it.""")

# %% [markdown]
# - Scores become widths that sum to the frames one can afford; widths become pieces that weigh one each; pieces are means of power.
# - All of it needs two numbers a frame, no matrix, and lets gradients through.
# - A score is what lowers the loss. Whether that is importance must be tested where importance is known.
#
# ## What next
#
# Notebook 08 lets DiffRes compete: with a coarser hop, with plain pooling, with scores by energy and by chance, at a cost that is charged in full.
# Before you go on: [questions to test yourself](quizzes/07_diffres.md).
#
# ## References
#
# - H. Liu, X. Liu, Q. Kong, W. Wang, M. D. Plumbley, "Learning temporal resolution in spectrogram for audio classification", AAAI 2024. doi:10.48550/arXiv.2210.01719
# - D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic speech recognition", Interspeech 2019. doi:10.21437/Interspeech.2019-2680

# %% tags=["record"]
def judged(step=None):
    """How a trained network's number is judged: within a band, but not after the dozen steps of `smoke`."""
    return {"kind": "info"} if profile == "smoke" else {"step": step} if step else {}


record("field_light", fields["light"], unit="frames", kind="exact")
record("macs_a_frame_light", macs["light"], kind="exact")
record("macs_a_frame_published", macs["published"], kind="exact")
record("parameters_published_128", int(rows["published, 128 mels"]["parameters"]), kind="exact")
record("accuracy", accuracy.mean, unit="%", **judged(100 / int(test.sum())))
record("spread_of_widths", spread_after, **judged())
record("hidden_to_others_guide_0", found[0.0][0] / found[0.0][1], **judged())
record("hidden_to_others_guide_1", found[1.0][0] / found[1.0][1], **judged())
record("level_follows_bursts", float(follows["level"].mean()), kind="rel", rel=1e-3)
record("widths_follow_bursts", float(follows["widths"].mean()), kind="info")
record("minutes", (time.perf_counter() - started) / 60, unit="min", kind="info")
