# %% [markdown]
# # 02 · Log-mel features
#
# Rain, seen every 10 ms with a 25 ms window, is 500 spectra of 257 numbers for five seconds of sound. Nobody hears 257 numbers: the ear groups frequencies into bands, narrow ones low down and wide ones high up, and it hears ratios, not differences.
# *Log-mel* features do both. They are what nearly every audio classifier of the last ten years is given, and their size is set by one number we are free to choose: the hop.

# %% [markdown]
# ## You will be able to
#
# - **go** from power spectra to mel bands (exercise 02.1) and on to decibels without losing silence (exercise 02.2);
# - **predict** what a hop costs in frames and bytes (exercise 02.3);
# - **say** what a change of hop does to level, energy and the likeness of neighbouring frames;
# - **read** from a probe at which hop a timing difference is lost.

# %% [markdown]
# ## Before you start
#
# You need notebook 01: window, hop, frames, dB. Reading takes 40 minutes, the three exercises 25.
# The machine needs less than a minute in `smoke` and in `lesson`.

# %%
import time

import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from course_lib import plots, profiles
from course_lib.audio import timebase, timing_probe
from course_lib.audio.features import FeatureSpec, log_mel, log_mel_torch, mel_bank, power_spectrogram
from course_lib.data.clips import features
from course_lib.data.load import load, load_timing
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show

plots.use_style()

# %% tags=["parameters"]
profile: str = "smoke"  # smoke, lesson or study
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of the data and of the classifier in section 6
probe_clips: int = 150  # clips a class of the timing probe in section 6

# %%
size = profiles.get(profile)
clips = load(dataset, size, seed)
seed_everything(seed)
spec = FeatureSpec()  # 16 kHz, window 25 ms, hop 10 ms, 64 mel bands from 50 Hz: the usual choice
waves = clips.waves(spec.rate_hz)
levels = np.sqrt(np.mean(waves**2, axis=1))
clip = waves[np.argsort(levels)[len(levels) // 2]]  # a clip of middling level
say(f"{len(clips)} clips of *{clips.name}*, {clips.length_s:g} s each. `{spec}`")

# %% [markdown]
# ## 1. From bins to mel bands
#
# Notebook 01 ended with spectra: for every frame, one number a bin, and bins that are equally wide everywhere. A window of 25 ms has 400 samples, which we pad with zeros to 512; so bins are about 31 Hz apart, at 100 Hz as at 7 kHz. That is too coarse for the pitch of a voice
# and far finer than anyone can hear at the top. Speech and music people settled on a remedy long ago, and classifiers took it over.
#
# A mel band is a weighted sum of the power in neighbouring bins. The weights are a triangle: full in the middle, zero where the next band has its middle. Low bands are narrow and high bands wide, roughly as in the ear
# (Stevens, Volkmann & Newman, 1937). Every triangle has the same *area*, so white noise gives every band the same level.

# %%
bank = mel_bank(spec)
freqs_khz = np.arange(len(bank)) * spec.rate_hz / spec.fft_samples / 1000
fig, ax = plt.subplots(figsize=(9, 3))
for place, band in enumerate(range(3, spec.n_mels, 12)):
    ax.plot(freqs_khz, bank[:, band], color=plots.COLOURS[place % 6], linestyle=plots.LINES[place % 6], label=f"band {band}")
ax.set(xlabel="frequency (kHz)", ylabel="weight", xlim=(0, 8))
ax.legend(ncols=2)
middles_hz = librosa.mel_frequencies(spec.n_mels + 2, fmin=spec.fmin_hz, fmax=spec.top_hz)
low_hz, high_hz = np.diff(middles_hz)[[0, -1]]
show(fig, alt=f"Triangles of six of the {spec.n_mels} mel bands over frequency in kHz: tall and {2 * low_hz:.0f} Hz wide at the bottom, low and {2 * high_hz:.0f} Hz wide at the top.")

# %%
say(f"The lowest band spans {2 * low_hz:.0f} Hz, the highest {2 * high_hz:.0f} Hz. {bank.shape[0]} bins become {bank.shape[1]} bands: "
    f"{bank.shape[0] / bank.shape[1]:.1f} times fewer numbers a frame.")

# %% [markdown]
# ### Exercise 02.1
#
# `power` holds the power of every bin of every frame, `bank` the weights. Their shapes are printed. Write the mel power `(frames, mels)`.

# %%
power = power_spectrogram(clip, spec)
print("power:", power.shape, "(frames, bins)   bank:", bank.shape, "(bins, mels)")


# %% tags=["exercise"]
def mel_power(power, bank):
    ### BEGIN SOLUTION
    return power @ bank
    ### END SOLUTION


check("02.1", mel_power)

# %% [markdown]
# ## 2. The logarithm
#
# Powers of real sounds span many orders of magnitude. A network fed with them would see the loudest frames and nothing else. **Predict:** what does a histogram of mel powers look like, and what does one of their decibels look like? A *cell* is one band of one frame.

# %%
mels = power @ bank
in_db = 10 * np.log10(np.maximum(mels, spec.floor))
fig, axes = plt.subplots(1, 2, figsize=(11, 3.2))
axes[0].hist(mels.ravel() / mels.max(), bins=60, color=plots.COLOURS[0])
axes[0].set(xlabel="mel power over its maximum", ylabel="cells", yscale="log")
axes[1].hist(in_db.ravel(), bins=60, color=plots.COLOURS[0])
axes[1].set(xlabel="level (dB)", ylabel="cells")
below = float(np.mean(mels < 0.01 * mels.max()))
show(fig, alt=f"Two histograms of the same clip. Power: {100 * below:.0f} % of the cells lie below a hundredth of the maximum. Decibels: a broad hump.")

# %%
say(f"{100 * below:.0f} % of all cells have less than a hundredth of the largest power: as power they are one bar. In dB they spread over {np.percentile(in_db, 95) - np.percentile(in_db, 5):.0f} dB (5th to 95th percentile).")

# %% [markdown]
# There is a second reason for the logarithm. A microphone twice as far away makes every power four times smaller. In dB that is one constant, 6 dB, subtracted everywhere, and the first layer of any network can learn to ignore a constant. Ratios become differences.
#
# The logarithm of zero is minus infinity, and one silent frame would ruin every average. So power is raised to a *floor* first. A floor is a decision: above the quietest sounds, it erases them.
#
# ### Exercise 02.2
#
# Write the level in dB of an array of powers, with a floor.

# %% tags=["exercise"]
def to_db(power, floor):
    ### BEGIN SOLUTION
    return 10 * np.log10(np.maximum(power, floor))
    ### END SOLUTION


check("02.2", to_db)

# %% [markdown]
# ## 3. One definition, three programs
#
# Formulas leave room: how the edges are padded, whether the window is symmetric or periodic, whether a triangle has unit height or unit area, what happens below the floor. Two programs that answer differently give features that look alike and differ by decibels.
#
# The library has the steps above twice: `log_mel` in numpy, to be read, and `log_mel_torch`, to be fast. librosa has them too. A study that compares hops must not compare programs by accident, so we check.

# %%
batch = np.array(waves[: min(len(waves), 32)])


def with_librosa(x):
    kwargs = dict(sr=spec.rate_hz, n_fft=spec.fft_samples, hop_length=spec.hop_samples, win_length=spec.window_samples)
    mel = librosa.feature.melspectrogram(y=x, **kwargs, n_mels=spec.n_mels, fmin=spec.fmin_hz, fmax=spec.top_hz, pad_mode="constant")
    return 10 * np.log10(np.maximum(mel.T, spec.floor))


programs = {
    "numpy": lambda: log_mel(batch, spec),
    "torch": lambda: log_mel_torch(torch.from_numpy(batch), spec).numpy(),
    "librosa": lambda: np.stack([with_librosa(x) for x in batch]),
}
reference = log_mel(batch, spec)
audible = reference > reference.max(axis=(1, 2), keepdims=True) - 80  # what lies deeper is rounding of float32
rows = []
for name, program in programs.items():
    program()  # the first call builds tables
    start = time.perf_counter()
    result = program()
    milliseconds = 1000 * (time.perf_counter() - start)
    rows.append((name, milliseconds, np.abs(result - reference)[audible].max()))
programs_table = pd.DataFrame(rows, columns=["program", "ms", "largest difference (dB)"]).set_index("program")
display(programs_table.style.format({"ms": "{:.0f}", "largest difference (dB)": "{:.1e}"}))

# %%
say(f"Within 80 dB of each clip's top all three agree to {programs_table['largest difference (dB)'].max():.0e} dB. The times are one measurement on your machine; `bench/features.py` measures with care.")

# %% [markdown]
# ## 4. See and hear one clip at three hops
#
# The window stays 25 ms. Only the hop changes. **Predict** where the pictures differ.

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 3.6), sharey=True)
hops = (size.hops_ms[0], 10.0, size.hops_ms[-1])
for ax, hop_ms in zip(axes, hops, strict=True):
    at_hop = FeatureSpec(hop_ms=hop_ms)
    picture = log_mel(clip, at_hop)
    plots.mel_spectrogram(picture, at_hop.frame_centres_s(len(picture)), ax, range_db=60)
    ax.set_title(f"hop {hop_ms:g} ms: {len(picture)} frames")
show(fig, alt=f"The same clip as log-mel at hops of {hops[0]:g}, {hops[1]:g} and {hops[2]:g} ms: the first two look alike, the last is visibly made of columns.")
play(0.8 * clip[: 2 * spec.rate_hz] / np.abs(clip).max(), spec.rate_hz, describe=f"The first 2 s of the clip in the pictures, a {clips.table['label'].iloc[np.argsort(levels)[len(levels) // 2]].replace('_', ' ')}.")

# %% [markdown]
# Between the first two pictures there is hardly a difference to see, although one has twice or more the frames of the other. The last one shows its columns: each is an average over 25 ms, and between two of them lies a stretch that no frame has looked at.
# A picture that looks complete is not a proof that nothing is missing, and the eye is a poor judge of what a classifier can use. So we measure.
#
# ## 5. What a hop costs, and what it buys
#
# Every network of the later notebooks visits every frame, so the cost of *everything after* the features grows with their number too: in proportion in most of them, with the square in some (notebook 09). That is why the hop
# is the cheapest knob there is, and why it is worth knowing what it buys.
#
# Frames grow as one over the hop, and so do memory and the time to compute them. How alike neighbouring frames are tells how much of that is repetition.
#
# **Predict:** at the finest hop of your profile, that of the first picture above, what is the correlation between one frame and the next?

# %%
log_mel_torch(torch.from_numpy(batch), FeatureSpec(hop_ms=7.0))  # the first call of torch's transforms is slow


def neighbour_correlation(db):
    """Correlation of every band with itself one frame later, over all frames of all clips, at most 60 dB below the top."""
    db = np.maximum(db, db.max(axis=(1, 2), keepdims=True) - 60)
    centred = db - db.mean(axis=1, keepdims=True)
    return float(np.sum(centred[:, 1:] * centred[:, :-1]) / np.sum(centred**2))


rows = []
for hop_ms in size.hops_ms:
    at_hop = FeatureSpec(hop_ms=hop_ms)
    start = time.perf_counter()
    log_mel_torch(torch.from_numpy(batch), at_hop)
    seconds = (time.perf_counter() - start) / len(batch)
    db = features(clips, at_hop, progress=False)
    mean_level = 10 * np.log10(np.mean(10 ** (db[:, 2:-2].astype(np.float64) / 10)))
    rows.append((hop_ms, db.shape[1], db.nbytes / len(db) / 1e6, 1000 * seconds, mean_level, neighbour_correlation(db)))
columns = ["hop (ms)", "frames a clip", "MB a clip", "ms a clip", "mean level (dB)", "correlation"]
costs = pd.DataFrame(rows, columns=columns).set_index("hop (ms)")
display(costs.round(3))

# %%
fig, axes = plt.subplots(1, 2, figsize=(11, 3.4))
hops = costs.index.to_numpy()
plots.lines(hops, {"frames a clip": costs["frames a clip"].to_numpy()}, axes[0], xlabel="hop (ms)", ylabel="frames a clip", markers=True)
plots.lines(hops, {"correlation": costs["correlation"].to_numpy()}, axes[1], xlabel="hop (ms)", ylabel="correlation with the next frame", markers=True)
for ax in axes:
    ax.set_xscale("log")
    ax.set_xticks(hops, [f"{h:g}" for h in hops])
    ax.minorticks_off()
axes[0].set_yscale("log")
finest, coarsest = costs.iloc[0], costs.iloc[-1]
show(fig, alt=f"Left: frames a clip fall from {finest['frames a clip']:.0f} to {coarsest['frames a clip']:.0f} as the hop grows, a straight line on log axes. "
     f"Right: correlation of neighbouring frames falls from {finest['correlation']:.2f} to {coarsest['correlation']:.2f}.")

# %%
say(f"From {hops[0]:g} to {hops[-1]:g} ms the frames fall {finest['frames a clip'] / coarsest['frames a clip']:.0f}-fold. The mean level moves by {abs(finest['mean level (dB)'] - coarsest['mean level (dB)']):.2f} dB: "
    f"a hop changes *how many* numbers there are, not what they are. Summed over frames, energy shrinks as the count does, so pool with a **mean**, never with a sum. "
    f"At {hops[0]:g} ms neighbours correlate **{finest['correlation']:.2f}**, at {hops[-1]:g} ms {coarsest['correlation']:.2f}.")

# %% [markdown]
# ### Exercise 02.3
#
# How many megabytes ($10^6$ bytes) do the features of a data set take? Frames are centred, `n_fft` is even, numbers are float32, the rate is 16 kHz.

# %% tags=["exercise"]
def megabytes(n_clips, length_s, hop_ms, n_mels):
    ### BEGIN SOLUTION
    n_frames = 1 + int(length_s * 16_000) // int(hop_ms * 16)
    return n_clips * n_frames * n_mels * 4 / 1e6
    ### END SOLUTION


check("02.3", megabytes)

# %% [markdown]
# ## 6. The timing probe: when does a hop lose what matters?
#
# So far a coarse hop looks like a bargain: fewer numbers, the same levels, and what was left out resembled what was kept. But the clips above differ in many ways at once, in pitch, in colour, in length, and any of these may be enough to tell them apart.
# High correlation does not mean that nothing is lost. The set `timing` is made so that we know the truth: each task has two classes of white noise in a gate, with the same spectrum and energy, that differ only in *when* the
# energy comes. In `gap`, two clicks lie 5 or 10 ms apart. In `am`, loudness climbs and drops, or drops and climbs, within 40 ms (ramped and damped sounds, after Patterson). In `order`, a burst of 20 ms stands before or after one of 40 ms.

# %%
probe = load_timing(probe_clips, seed)
probe_waves = probe.waves(16_000)
fig, axes = plt.subplots(1, 3, figsize=(13, 3), sharey=True)
for ax, task in zip(axes, timing_probe.TASKS, strict=True):
    rows = probe.table[probe.table["task"] == task].groupby("label").head(1)
    for offset, (row, label) in enumerate(zip(rows.index, rows["label"], strict=True)):
        onset = probe.events.loc[probe.events["clip"] == probe.table["clip"][row], "onset_s"].min()
        start = timebase.seconds_to_samples(max(onset - 0.01, 0), 16_000)
        x = probe_waves[row, start : start + 1600]
        ax.plot(np.arange(len(x)) / 16, x / np.abs(x).max() / 2.5 - 1.2 * offset, "-", linewidth=0.7)
        ax.text(0, 0.45 - 1.2 * offset, label.replace("_", " "), color=plots.COLOURS[offset])
    ax.set(xlabel="time (ms)", title=f"{task}: needs {timing_probe.needed_resolution_ms(task):g} ms", yticks=[], ylim=(-1.7, 0.75))
show(fig, alt="One clip of each of the six classes, 100 ms: gap with two clicks 5 or 10 ms apart, am rising or falling every 40 ms, order with a short and a long burst.")

# %% [markdown]
# Whoever averages over time finds nothing here: both classes of a task give the same long-term spectrum, and a test of this repository checks that a classifier on it stays at chance. Only the order of events is left.
#
# A hundred randomised trees get the energy of every frame, aligned to the first loud one, and the autocorrelation of those energies. They are tested on folds they were not trained on. The window is as long as the hop, so every
# sample is in exactly one frame. **Predict** for each task the hop from which the trees can only guess.

# %%
def frame_energies(waves, hop_ms, n_kept=12):
    """Energies of the frames from the first loud one on, and their autocorrelation, shape (clips, 24)."""
    whole = FeatureSpec(hop_ms=hop_ms, window_ms=hop_ms, window="boxcar", n_mels=8, log="none")
    energy = log_mel_torch(torch.tensor(waves), whole).sum(dim=2).numpy()
    energy /= energy.sum(axis=1, keepdims=True)
    first = np.argmax(energy > 0.1 * energy.max(axis=1, keepdims=True), axis=1)
    aligned = np.take_along_axis(np.pad(energy, ((0, 0), (0, n_kept))), first[:, None] + np.arange(n_kept), axis=1)
    spectrum = np.fft.rfft(energy - energy.mean(axis=1, keepdims=True), 2 * energy.shape[1])
    return np.hstack([aligned, np.fft.irfft(np.abs(spectrum) ** 2)[:, :n_kept]])


def accuracy(task, hop_ms):
    own = (probe.table["task"] == task).to_numpy()
    labels, folds = probe.table.loc[own, "label"], PredefinedSplit(probe.table.loc[own, "fold"])
    trees = ExtraTreesClassifier(100, random_state=seed)
    return float(np.mean(cross_val_predict(trees, frame_energies(probe_waves[own], hop_ms), labels, cv=folds) == labels))


found = pd.DataFrame({task: [accuracy(task, hop_ms) for hop_ms in size.hops_ms] for task in timing_probe.TASKS}, index=list(size.hops_ms))
found.index.name = "hop (ms)"
display(found.round(2))

# %% tags=["cover"]
fig, ax = plt.subplots()
plots.lines(found.index.to_numpy(), {f"{task}, needs {timing_probe.needed_resolution_ms(task):g} ms": found[task].to_numpy() for task in found}, ax,
            xlabel="hop (ms)", ylabel="accuracy", markers=True)
ax.axhline(0.5, color="grey", linestyle=":", linewidth=1)
ax.text(found.index[0], 0.51, "guessing", color="dimgrey", fontsize=11)
ax.set(xscale="log", ylim=(0.35, 1.03))
ax.set_xticks(found.index, [f"{h:g}" for h in found.index])
ax.minorticks_off()
show(fig, alt="Accuracy against hop for the three tasks of the probe. " + "; ".join(
    f"{task} from {100 * found[task].iloc[0]:.0f} % at {found.index[0]:g} ms to {100 * found[task].iloc[-1]:.0f} % at {found.index[-1]:g} ms" for task in found) + ".")

# %%
needs = pd.Series({task: timing_probe.needed_resolution_ms(task) for task in found})
fine_enough = found.where(found.index.to_numpy()[:, None] <= needs.to_numpy() / 2).stack().mean()
far_too_coarse = found.where(found.index.to_numpy()[:, None] >= 4 * needs.to_numpy()).stack().mean()
say(f"At half the needed resolution or finer the accuracy is **{100 * fine_enough:.0f} %** on average. At four times it or coarser it is **{100 * far_too_coarse:.0f} %**, where guessing gives 50 %. "
    "Between the two each curve falls, at its own hop, as the construction says. No later layer brings back what the hop has lost.")

# %% [markdown]
# ## 7. An aside: PCEN
#
# The logarithm turns a gain into an offset: the same sound recorded 20 dB louder shifts every number. Per-channel energy normalisation (Wang et al., 2017) divides each band by its own recent past instead, so a steady gain cancels.
# It has a time constant, and so it too has a temporal resolution.

# %%
def pcen(x):
    mel = power_spectrogram(x, spec) @ mel_bank(spec)
    return librosa.pcen(mel.T * 2**31, sr=spec.rate_hz, hop_length=spec.hop_samples).T


quiet, loud = 0.1 * clip, clip
shift_log = float(np.mean(log_mel(loud, spec) - log_mel(quiet, spec)))
shift_pcen = float(np.mean(np.abs(pcen(loud) - pcen(quiet))) / np.mean(pcen(loud)))
fig, axes = plt.subplots(1, 2, figsize=(11, 3.4))
times = spec.frame_centres_s(len(mels))
plots.mel_spectrogram(in_db, times, axes[0], range_db=60)
axes[0].set_title("log-mel")
normalised = pcen(clip)
top = np.percentile(normalised, 99.5)  # its very first frames know no past and stick out
image = axes[1].pcolormesh(times, np.arange(spec.n_mels), normalised.T, vmax=top, shading="nearest", rasterized=True)
fig.colorbar(image, ax=axes[1], label="PCEN", pad=0.01)
axes[1].set(xlabel="time (s)", ylabel="mel band", title="PCEN")
show(fig, alt="The same clip as log-mel and as PCEN: PCEN darkens what stays constant and keeps what has just begun.")

# %%
say(f"20 dB of gain move log-mel by {shift_log:.1f} dB on average, and PCEN by {100 * shift_pcen:.0f} % of its mean. The course stays with log-mel: its time scales are the window and the hop alone.")

# %% [markdown]
# ## What we saw

# %%
say(f"""- {bank.shape[0]} bins become {bank.shape[1]} mel bands; the logarithm spreads {100 * below:.0f} % of all cells that power would crush into one bar.
- numpy, torch and librosa agree, within 80 dB of the top, to {programs_table['largest difference (dB)'].max():.0e} dB.
- A hop {hops[-1] / hops[0]:.0f} times longer gives {finest['frames a clip'] / coarsest['frames a clip']:.0f} times fewer frames and leaves the mean level within {abs(finest['mean level (dB)'] - coarsest['mean level (dB)']):.2f} dB.
- Neighbouring frames correlate {finest['correlation']:.2f} at {hops[0]:g} ms: much of a fine hop is repetition, **for these sounds**.
- For sounds that differ in timing alone, {hops[-1]:g} ms leaves {100 * found.iloc[-1].mean():.0f} % on average, where guessing gives 50 %: **what looks like repetition can be all there is to know.**""")

# %% [markdown]
# ## What next
#
# Notebook 03 changes the clip itself: shift, stretch, pitch, trim. Notebooks 05 and 07 return to the hop, first fixed and then learnt.
# Before you go on: [questions to test yourself](quizzes/02_log_mel_features.md).
#
# ## References
#
# - S. S. Stevens, J. Volkmann, E. B. Newman, "A scale for the measurement of the psychological magnitude pitch", J. Acoust. Soc. Am. 8, 1937. doi:10.1121/1.1915893
# - Y. Wang, P. Getreuer, T. Hughes, R. F. Lyon, R. A. Saurous, "Trainable frontend for robust and far-field keyword spotting", ICASSP 2017. doi:10.1109/ICASSP.2017.7953242
# - R. D. Patterson, "The sound of a sinusoid: spectral models", J. Acoust. Soc. Am. 96, 1994, p. 1409

# %% tags=["record"]
for hop_ms in size.hops_ms:
    record(f"frames_at_{hop_ms:g}_ms", int(costs.loc[hop_ms, "frames a clip"]), unit="frames", kind="exact")
    record(f"correlation_at_{hop_ms:g}_ms", float(costs.loc[hop_ms, "correlation"]))
record("bins_a_band", bank.shape[0] / bank.shape[1], kind="rel", rel=1e-9)
agreement = programs_table["largest difference (dB)"].max()
record("programs_agree_within_0.01_dB", "yes" if agreement < 0.01 else "no", kind="exact")
one_clip = 1 / probe.table["task"].value_counts().min()
record("probe_where_fine_enough", float(fine_enough), step=one_clip)
record("probe_where_far_too_coarse", float(far_too_coarse), step=one_clip)
record("probe_gap_at_5_ms", float(found.loc[5.0, "gap"]), step=one_clip)
record("gain_in_log_mel", shift_log, unit="dB")
record("gain_in_pcen", shift_pcen)
record("ms_a_clip_at_10_ms", float(costs.loc[10.0, "ms a clip"]), unit="ms", kind="info")
