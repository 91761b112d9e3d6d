# %% [markdown]
# # 02 · Log-mel features
#
# A helicopter's blades slap the air about eleven times per second; you hear every slap.
# A spectrogram shows them with hundreds of numbers per frame; your ear makes do with
# far fewer, because it groups frequencies into bands. It also hears ratios of power
# rather than differences. *Log-mel features* do the same, and most audio classifiers
# start from them. In this notebook you build them by hand, and see how a careless
# choice of one setting, the hop, turns those eleven slaps per second into fewer than
# two.

# %% [markdown]
# ## You will be able to
#
# - **turn** power spectra into mel bands (exercise 02.1), and powers into decibels
#   without breaking on silence (exercise 02.2);
# - **calculate** how much memory a hop costs (exercise 02.3);
# - **predict** the false rhythm that a coarse hop reports (exercise 02.4), and suppress
#   most of it (exercise 02.5);
# - **tell** how much correlation overlapping windows produce by themselves;
# - **read** from an experiment how long frames may be before a classifier misses a
#   difference in timing.

# %% [markdown]
# ## Before you start
#
# You need notebook 01: frame, window, hop, decibel, and what aliasing means.
# Reading takes 50 minutes, the five exercises 40.
# The machine needs less than a minute in every profile. Headphones help in section 7.

# %%
import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from course_lib import plots, profiles
from course_lib.audio import synth10, timebase, timing_probe
from course_lib.audio.features import FeatureSpec, log_mel, log_mel_torch, mel_bank
from course_lib.data.clips import features
from course_lib.data.load import load, load_timing
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

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # lesson, study, or smoke, which only tests the code
dataset: str = "synth10"  # a name from `course data list`, or your own folder of sounds
seed: int = 0  # seed of the data and of the classifier in section 8
probe_clips: int = 150  # clips per class of the timing probe in section 8

# %%
seed_everything(seed)
size = profiles.get(profile)
clips = load(dataset, size, seed)

# %% [markdown]
# ## 1. The spectrogram of one clip
#
# We start where notebook 01 stopped. The clip is cut into frames of 25 ms, one every
# 10 ms; each frame is multiplied by a Hann window and Fourier-transformed; the squared
# magnitudes are the *power* in each frequency bin. `FeatureSpec` only holds the settings.

# %%
spec = FeatureSpec(rate_hz=16_000, window_ms=25, hop_ms=10, n_mels=64, fmin_hz=50)
rate_hz = spec.rate_hz
n_window = spec.window_samples  # 400 samples in 25 ms
n_fft = spec.fft_samples  # 512: the window, with zeros on both sides
hop = spec.hop_samples  # 160 samples in 10 ms

hann = signal.get_window("hann", n_window)
margin = (n_fft - n_window) // 2
window = np.pad(hann, margin)


def stft_power(x):
    """Power of every frequency bin in every frame, shape (frames, bins)."""
    padded = np.pad(x, n_fft // 2)  # so that frame k is centred on sample k * hop
    frames = sliding_window_view(padded, n_fft)[::hop]
    return np.abs(np.fft.rfft(frames * window)) ** 2


# %% [markdown]
# Our example is a rooster if the data set has one, and otherwise a clip of its first
# class. We take its loudest 1.5 s.

# %%
label = "rooster" if "rooster" in clips.classes else clips.classes[0]
of_label = (clips.table["label"] == label).to_numpy()
whole = clips.waves(rate_hz)[of_label.argmax()]  # argmax: the first True

# Energy of every 1.5 s excerpt, from differences of a running sum
n_excerpt = min(int(1.5 * rate_hz), len(whole))
energy_before = np.concatenate([[0], np.cumsum(whole.astype(np.float64) ** 2)])
energy_of_excerpt = energy_before[n_excerpt:] - energy_before[:-n_excerpt]
start = energy_of_excerpt.argmax()
clip = whole[start : start + n_excerpt]

power = stft_power(clip)
n_frames, n_bins = power.shape
bins_hz = np.fft.rfftfreq(n_fft, 1 / rate_hz)
frame_times_s = np.arange(n_frames) * hop / rate_hz

say(
    f"*{label.replace('_', ' ')}*, from *{clips.name}*: {len(clip) / rate_hz:g} s "
    f"become {n_frames} frames of {n_bins} bins, one bin every {bins_hz[1]:g} Hz. That "
    f"is {power.size:,} numbers for {len(clip):,} samples."
)
play(
    0.8 * clip / max(np.abs(clip).max(), 1e-9),
    rate_hz,
    describe=f"The clip of this section: its loudest 1.5 s, labelled {label}.",
)

# %% [markdown]
# The spectrogram has *more* numbers than the sound, and they are poorly distributed. The
# bins are 31.25 Hz apart everywhere. Around 100 Hz that is a third of the frequency,
# nearly five semitones; at 7 kHz it is a difference that hardly anyone can hear.
#
# ## 2. The mel scale
#
# How does the ear divide the frequency axis? One answer came from asking listeners to
# tune a tone until it sounded half as high as another (Stevens, Volkmann & Newman, 1937,
# who named the unit *mel*, after melody). Another came from experiments on masking, which
# measure how close in frequency two sounds must be before one hides the other: the
# *critical bands* of Zwicker (1961) and the *equivalent rectangular bandwidths* of
# Glasberg & Moore (1990). The first is a scale of pitch and the others are bandwidths,
# but they agree on the trend: fine at low frequencies, and coarser and coarser towards
# high ones.
#
# Programs use a formula with that trend. Ours, from Slaney's *Auditory Toolbox*, is
# linear up to 1 kHz and logarithmic above:
#
# $$ m(f) = \begin{cases} \dfrac{3 f}{200} & f < 1000\ \text{Hz} \\[2ex]
# 15 + 27\,\dfrac{\ln(f / 1000)}{\ln 6.4} & f \ge 1000\ \text{Hz} \end{cases} $$
#
# Solving for $f$ gives the inverse.

# %%
def hz_to_mel(hz):
    linear = 3 * hz / 200
    logarithmic = 15 + 27 * np.log(np.maximum(hz, 1000) / 1000) / np.log(6.4)
    return np.where(hz < 1000, linear, logarithmic)


def mel_to_hz(mel):
    linear = 200 * mel / 3
    exponential = 1000 * 6.4 ** ((mel - 15) / 27)
    return np.where(mel < 15, linear, exponential)


# %% [markdown]
# For 64 bands we need 66 points, equally spaced in mel: each band starts at the centre
# of the one below and ends at the centre of the one above.

# %%
lowest_mel = hz_to_mel(50)
highest_mel = hz_to_mel(8000)
points_hz = mel_to_hz(np.linspace(lowest_mel, highest_mel, spec.n_mels + 2))
centres_hz = points_hz[1:-1]

librosas_hz = librosa.mel_frequencies(spec.n_mels + 2, fmin=50, fmax=8000)
htk_hz = librosa.mel_frequencies(spec.n_mels + 2, fmin=50, fmax=8000, htk=True)
difference_hz = np.abs(points_hz - librosas_hz).max()
htk_difference_hz = np.abs(points_hz - htk_hz).max()

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(11, 3.8))
hz = np.linspace(0, 8000, 500)
axes[0].plot(hz / 1000, hz_to_mel(hz), color=plots.COLOURS[0])
for point in points_hz[::5]:
    mel = hz_to_mel(point)
    khz = point / 1000
    axes[0].plot([0, khz, khz], [mel, mel, 0], "-", color="grey", linewidth=0.7)
axes[0].set(xlabel="frequency (kHz)", ylabel="mel", xlim=(0, 8), ylim=(0, None))
axes[0].set_title("every fifth point of the 66")
ear_hz = 24.7 * (4.37 * centres_hz / 1000 + 1)
band_hz = (points_hz[2:] - points_hz[:-2]) / 2
axes[1].plot(centres_hz / 1000, ear_hz, color=plots.COLOURS[1], linestyle="--")
axes[1].plot(centres_hz / 1000, band_hz, color=plots.COLOURS[0])
axes[1].text(1.5, 300, "ear (Glasberg & Moore)", color=plots.COLOURS[1], ha="right")
axes[1].text(1.1, 38, "our 64 mel bands", color=plots.COLOURS[0])
axes[1].set(xscale="log", yscale="log", ylim=(25, 1100))
axes[1].set(xlabel="centre frequency (kHz)", ylabel="bandwidth (Hz)")
axes[1].set_title("equivalent rectangular bandwidth")
plots.log_ticks(axes[1].xaxis, [0.1, 0.3, 1, 3, 8])
plots.log_ticks(axes[1].yaxis, [30, 100, 300, 1000])
show(
    fig,
    alt="Left: mel against frequency, straight up to 1 kHz and then flattening, so "
    "that above 1 kHz equal steps in mel are ever wider steps in Hz. Right: bandwidth "
    "against centre frequency on logarithmic axes. The ear's bandwidth grows from 35 "
    "to 850 Hz. That of the mel bands is 46 Hz up to 1 kHz and then grows to 360 Hz; "
    "the two curves cross near 200 Hz.",
    caption="Equal steps in mel are ever wider steps in hertz above 1 kHz.",
)

# %%
say(
    f"Our points agree with librosa's to {difference_hz:.0e} Hz. The lowest band is "
    f"{points_hz[2] - points_hz[0]:.0f} Hz wide from edge to edge, the highest "
    f"{points_hz[-1] - points_hz[-3]:.0f} Hz."
)
say(
    "There is a second formula in wide use, $2595 \\log_{10}(1 + f/700)$, known from "
    "the speech toolkit HTK. It would move some of our 66 points by up to "
    f"{htk_difference_hz:.0f} Hz. If your features differ from somebody else's, look "
    "here first."
)

# %% [markdown]
# Our 64 mel bands follow the *trend* of the ear's resolution, not the resolution itself.
# Above 200 Hz they are narrower than the ear's own filters, at 1 kHz by a factor of
# nearly three, and 128 bands would be narrower still. The number of bands is our choice.
#
# ## 3. From bins to bands
#
# A mel band is a weighted sum of bin powers. The weights form a triangle: highest at the
# band's centre $c_b$, zero at the centres of its two neighbours,
#
# $$ W_b(f) = \frac{2}{c_{b+1} - c_{b-1}}\,
# \max\!\left(0,\ \min\!\left(\frac{f - c_{b-1}}{c_b - c_{b-1}},\
# \frac{c_{b+1} - f}{c_{b+1} - c_b}\right)\right). $$
#
# The fraction in front, two divided by the base, is the height that gives every triangle
# an area of 1, so that a wide band is not louder merely because it is wide.

# %%
def triangle(freqs_hz, low_hz, centre_hz, high_hz):
    """Weights of one mel band at the given frequencies; the area below them is 1."""
    rising = (freqs_hz - low_hz) / (centre_hz - low_hz)
    falling = (high_hz - freqs_hz) / (high_hz - centre_hz)
    height = 2 / (high_hz - low_hz)
    return height * np.maximum(0, np.minimum(rising, falling))


bank = np.zeros((n_bins, spec.n_mels))
for band in range(spec.n_mels):
    low_hz, centre_hz, high_hz = points_hz[band : band + 3]
    bank[:, band] = triangle(bins_hz, low_hz, centre_hz, high_hz)

bank_difference = np.abs(bank - mel_bank(spec)).max() / bank.max()
say(
    f"`bank` has shape {bank.shape}: bins by bands. It agrees with the library's "
    f"`mel_bank` to {bank_difference:.0e} of its largest weight."
)

# %% [markdown]
# White noise has, on average, the same power in every hertz. Triangles of equal area
# should therefore report the same level in every band. Do they?

# %%
bin_spacing_hz = bins_hz[1]
area = bank.sum(axis=0) * bin_spacing_hz  # of each triangle, as the bins sample it
white_db = 10 * np.log10(area)  # 0 dB is an area of exactly 1

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(11, 3.4))
for place, band in enumerate(range(3, spec.n_mels, 12)):
    in_band = np.flatnonzero(bank[:, band])
    inside = slice(in_band[0] - 1, in_band[-1] + 2)  # with the zero on either side
    axes[0].plot(
        bins_hz[inside] / 1000,
        bank[inside, band],
        color=plots.COLOURS[place % 6],
        linestyle=plots.LINES[place % 6],
        marker=plots.MARKERS[place % 6],
        markersize=3,
        label=f"band {band}",
    )
axes[0].set(xlabel="frequency (kHz)", ylabel="weight (1/Hz)", xlim=(0, 8))
axes[0].legend(ncols=2)
axes[1].plot(white_db, marker="o", markersize=3, linewidth=1)
axes[1].axhline(0, color="grey", linewidth=1)
axes[1].set(xlabel="centre of the band (kHz)", ylabel="level of white noise (dB)")
axes[1].set(ylim=(-1, 1))
plots.mel_ticks(axes[1].xaxis, centres_hz)
show(
    fig,
    alt="Left: six of the 64 triangles over frequency, tall and narrow at the "
    "bottom, low and wide at the top, with a dot for each bin: the narrowest holds "
    "two or three. Right: the level that white noise would have in each band "
    "scatters by up to 0.45 dB below 1 kHz and stays within a few hundredths of 0 dB "
    "above 3 kHz.",
    caption="Six of the 64 bands, and the level that white noise gets in all of them.",
)

# %%
say(
    f"Nearly. The bins sample each triangle every {bins_hz[1]:g} Hz, and a narrow "
    "triangle catches only two or three bins, sometimes near its tip and sometimes "
    f"not. That leaves errors from {white_db.min():+.2f} to {white_db.max():+.2f} dB, "
    "which a "
    "longer Fourier transform would reduce."
)

# %% [markdown]
# Now apply the bank to one column of the spectrogram. Band $b$ gets
#
# $$ M_b = \sum_k W_{b}(f_k)\, P_k , $$
#
# which, for one frame, is a loop over the bands.

# %%
def mel_column(column):
    """Mel power of one frame: bins (257,) become bands (64,)."""
    bands = np.zeros(spec.n_mels)
    for band in range(spec.n_mels):
        bands[band] = np.sum(bank[:, band] * column)
    return bands


loudest = power.sum(axis=1).argmax()
column = power[loudest]
bands = mel_column(column)

# %% tags=["hide-input"]
fig = plt.figure(figsize=(11, 4.2))
grid = fig.add_gridspec(1, 4, width_ratios=[4, 0.6, 0.6, 6], wspace=0.05)
matrix, bins_image, bands_image, curves = [fig.add_subplot(g) for g in grid]
matrix.imshow(
    np.sqrt(bank.T), origin="lower", aspect="auto", cmap="Greys",
    interpolation="nearest",
)
matrix.set(xlabel="bin (257)", ylabel="band (64)", title="weights")
column_db = 10 * np.log10(np.maximum(column, spec.floor))
bands_db = 10 * np.log10(np.maximum(bands, spec.floor))
to_density_db = 10 * np.log10(bins_hz[1])  # a band is a mean of bins times 1/31.25 Hz
top_db = column_db.max()
for ax, values, sign, name in (
    (bins_image, column_db, "×", "frame"),
    (bands_image, bands_db + to_density_db, "=", "bands"),
):
    ax.imshow(
        values[:, None], origin="lower", aspect="auto", interpolation="nearest",
        vmin=top_db - 60, vmax=top_db,
    )
    ax.set(xticks=[], yticks=[], title=sign)
    ax.set_xlabel(name, fontsize=11)
curves.plot(
    bins_hz / 1000, column_db, color="grey", linewidth=0.9, label="257 bins"
)
curves.plot(
    centres_hz / 1000, bands_db + to_density_db, color=plots.COLOURS[1],
    marker="o", markersize=3, linewidth=1.2, label="64 bands",
)
curves.set(xlabel="frequency (kHz)", ylabel="level (dB)", xlim=(0, 8))
curves.set_ylim(max(bands_db.min() + to_density_db, top_db - 80) - 15, top_db + 5)
curves.legend(loc="upper right")
show(
    fig,
    alt="One frame of the clip on its way through the mel bank. Left, the matrix of "
    "weights, a curved diagonal that widens towards high frequencies, times a column "
    "of 257 bins, gives a column of 64 bands. Right, both as curves over frequency: "
    "the bands follow the bins closely at low frequencies and smooth them at high "
    "ones.",
    caption="The loudest frame of the clip: weights times bins gives bands.",
)

# %% [markdown]
# The right-hand panel shows what is kept and what is not. (A band is a mean of bins
# divided by their spacing of 31.25 Hz, which puts it 15 dB lower. The figure adds the
# 15 dB back, so that one curve lies on the other.) At low frequencies a band holds two
# or three bins, and the detail survives. At high frequencies one band averages a dozen
# bins or more, and their ups and downs are gone for good: **the mel bank is a blur
# along frequency.** It does nothing along time.
#
# ### Exercise 02.1
#
# The loop above handles one frame, band by band. Write the mel power of *all* frames at
# once, without a loop: `power` is `(frames, bins)`, `bank` is `(bins, bands)`, and the
# result should be `(frames, bands)`.

# %% tags=["exercise"]
def mel_power(power, bank):
    ### BEGIN SOLUTION
    return power @ bank
    ### END SOLUTION


check("02.1", mel_power)

# %%
mels = np.array([mel_column(column) for column in power])  # one frame at a time
print("mel power:", mels.shape, "(frames, bands)")

# %% [markdown]
# ## 4. The logarithm
#
# The powers of a real sound span many orders of magnitude. How many of them are small?
# We call the value of one band in one frame a *cell* of the picture.

# %%
predict(
    "02.a", ...,
    "What percentage of the cells have less than a hundredth of the largest power?",
)

# %%
share_below = float(np.mean(mels < 0.01 * mels.max()))
sounding = mels[mels > 0]  # a power of exactly 0 has no logarithm: see below
sounding_db = 10 * np.log10(sounding)
low_db, high_db = np.percentile(sounding_db, [5, 95])

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(11, 3.2))
axes[0].hist(mels.ravel() / mels.max(), bins=60, color=plots.COLOURS[0])
axes[0].set(xlabel="mel power / largest mel power", ylabel="cells")
axes[1].hist(sounding_db, bins=60, color=plots.COLOURS[0])
axes[1].set(xlabel="level (dB)", ylabel="cells")
show(
    fig,
    alt=f"Two histograms of the same clip. As power, {100 * share_below:.0f} % of the "
    "cells have less than a hundredth of the maximum and stand in the first bar. In "
    "decibels they spread out: nine in ten lie within a range of "
    f"{high_db - low_db:.0f} dB.",
    caption="The same cells as power and in decibels.",
)

# %%
answer("02.a", round(100 * share_below), unit="%", within=0.03)
spread = f"nine cells in ten lie within a range of {high_db - low_db:.0f} dB."
if share_below > 0.5:
    say(
        "As power, these cells crowd together next to zero, and a network would learn "
        "mostly from the few loudest. In decibels they spread out: " + spread
    )
else:
    say("This clip is unusually even, in time as well as in frequency: " + spread)

# %% [markdown]
# There is a second reason for the logarithm. Amplify the recording by a factor $g$, and
# every power is multiplied by $g^2$. In decibels,
#
# $$ 10 \log_{10}(g^2 P) = 10 \log_{10} P + 20 \log_{10} g , $$
#
# so the gain becomes one constant added to every cell, and a network can learn to ignore
# a constant. **Ratios become differences.**
#
# But there is a problem with silence. The logarithm of zero is minus infinity, and one
# silent frame would ruin every mean. So we first raise powers below a *floor*
# $P_0$ to that floor:
#
# $$ L = 10 \log_{10} \max(P, P_0). $$
#
# How low should the floor be? Low enough to hide nothing that was recorded. A 16-bit file
# rounds each sample, which lies between -1 and 1, to a multiple of $q = 2^{-15}$. The
# rounding error behaves like white noise of variance $q^2/12$. After the window, a bin
# holds $q^2/12 \cdot \sum_n w_n^2$ of it on average. A band is a mean of bins divided by
# their spacing $\Delta f$ of 31.25 Hz, so it holds
#
# $$ P_q = \frac{1}{\Delta f}\,\frac{q^2}{12} \sum_n w_n^2 . $$

# %%
q = 2.0**-15
rounding_power = q**2 / 12 * np.sum(window**2) / bin_spacing_hz
rounding_db = 10 * np.log10(rounding_power)
floor_db = 10 * np.log10(spec.floor)
say(
    f"The rounding noise of a 16-bit file is {rounding_power:.1e}, or "
    f"{rounding_db:.0f} dB. Our floor is {spec.floor:g}, or {floor_db:.0f} dB, which "
    f"is {rounding_db - floor_db:.0f} dB lower. The silences of a recording lie above "
    "it; what lies below is mostly digital zeros, from editing or from padding."
)

# %% [markdown]
# ### Exercise 02.2
#
# Write a function that turns an array of powers, of any shape, into levels in dB, with a
# floor.

# %% tags=["exercise"]
def to_db(power, floor):
    ### BEGIN SOLUTION
    return 10 * np.log10(np.maximum(power, floor))
    ### END SOLUTION


check("02.2", to_db)

# %% [markdown]
# ## 5. The log-mel, assembled
#
# Three steps, three lines: spectrogram, mel bank, logarithm.

# %%
def log_mel_by_hand(x):
    """Levels in dB, shape (frames, bands)."""
    power = stft_power(x)
    mels = power @ bank
    return 10 * np.log10(np.maximum(mels, spec.floor))


by_hand = log_mel_by_hand(clip)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.2))
power_db = 10 * np.log10(np.maximum(power, spec.floor))
relative_db = power_db - power_db.max()
image = axes[0].pcolormesh(
    frame_times_s, bins_hz / 1000, relative_db.T, vmin=-50, vmax=0,
    shading="nearest", rasterized=True,
)
axes[0].set(xlabel="time (s)", ylabel="frequency (kHz)", title="power, 257 bins")
plots.mel_spectrogram(
    by_hand - by_hand.max(), frame_times_s, axes[1], range_db=50,
    centres_hz=centres_hz, top_db=0, bar=False,
)
axes[1].set_title("log-mel, 64 bands")
plots.level_bar(axes, "level below the maximum (dB)")
show(
    fig,
    alt="The clip as a spectrogram with 257 linear bins and as a log-mel picture "
    "with 64 bands, in the same colours. The log-mel stretches the low frequencies "
    "and squeezes the high ones: the lower half of the picture ends near 1.7 kHz.",
    caption="The same clip with linear bins and with mel bands.",
)

# %% [markdown]
# Formulas leave choices open, and programs choose differently. Is the window periodic or
# symmetric? Are the edges of the clip padded with zeros or with a mirror image? Do the
# triangles have unit height or unit area? Some of these choices hardly matter:

# %%
symmetric = signal.get_window("hann", n_window, fftbins=False)  # ours is periodic
window_changes_db = 10 * np.log10(np.sum(symmetric**2) / np.sum(hann**2))
base_hz = points_hz[2:] - points_hz[:-2]
height_raises_db = 10 * np.log10(base_hz / 2)  # from a height of 2 / base to 1
say(
    f"A symmetric window would change the level of white noise by "
    f"{window_changes_db:.2f} dB, and a mirror image would change only the first and "
    "last frames. But triangles of unit height would raise our bands by "
    f"**{height_raises_db.min():.0f} to {height_raises_db.max():.0f} dB**, each by a "
    "different amount."
)

# %% [markdown]
# Our library implements the steps above twice, in numpy for reading (`log_mel`) and in
# torch for speed (`log_mel_torch`), and librosa implements them as well. We compare all
# three with our version, down to 80 dB below the clip's maximum. Differences farther
# down would be rounding errors.

# %%
def with_librosa(x):
    mels = librosa.feature.melspectrogram(
        y=x, sr=rate_hz, n_fft=n_fft, win_length=n_window, hop_length=hop,
        n_mels=spec.n_mels, fmin=spec.fmin_hz, fmax=spec.top_hz, pad_mode="constant",
    )
    return 10 * np.log10(np.maximum(mels.T, spec.floor))


results = {
    "log_mel (numpy)": log_mel(clip, spec),
    "log_mel_torch": log_mel_torch(torch.tensor(clip), spec).numpy(),
    "librosa": with_librosa(clip),
}
audible = by_hand > by_hand.max() - 80
differences = {}
for name, result in results.items():
    differences[name] = float(np.abs(result - by_hand)[audible].max())

table = pd.DataFrame({"largest difference from ours (dB)": differences})
display(table.style.format("{:.0e}"))

# %%
largest_difference = max(differences.values())
say(
    f"All agree with the version by hand to {largest_difference:.0e} dB. From here on "
    "we use the library."
)

# %% [markdown]
# ## 6. What a hop costs, and what overlap is worth
#
# Frames come once per hop, so their number is about the clip's length divided by the
# hop, and memory grows with that number. So does the cost of everything that follows
# the features: a network visits every frame, and some networks even compare every frame
# with every other (notebook 09). A coarser hop is therefore the easiest way to save
# memory and time, but we need to know what a finer one is good for.
#
# One way to find out is to ask how similar neighbouring frames are. For each band, we
# correlate the level in one frame with the level in the next.

# %%
def neighbour_correlation(levels_db):
    """Correlation of each frame with the next, one number over all bands and clips.

    `levels_db` has the shape (clips, frames, bands). What lies more than 60 dB below
    the top of a clip counts as silence.
    """
    top_db = levels_db.max(axis=(1, 2), keepdims=True)
    levels_db = np.maximum(levels_db, top_db - 60)
    centred = levels_db - levels_db.mean(axis=1, keepdims=True)
    return float(np.sum(centred[:, 1:] * centred[:, :-1]) / np.sum(centred**2))


# %% [markdown]
# A high correlation has two possible causes. The level of the *sound* may change slowly;
# or the two *windows* may overlap and see, in part, the same samples. A control shows how
# much the overlap produces by itself: white noise has a constant level, so any
# correlation between its frames comes from the overlap.
#
# That correlation can be calculated. For white noise, the complex values of one bin in
# two frames $H$ samples apart have the correlation
#
# $$ \rho(H) = \frac{\sum_n w_n\, w_{n+H}}{\sum_n w_n^2} , $$
#
# in magnitude, and their *powers* have the correlation $\rho^2$. For the level in dB
# of a band of several bins it is slightly higher.

# %%
def overlap_correlation(hop_ms):
    """The correlation that overlapping windows alone would give, rho squared."""
    shift = timebase.ms_to_samples(hop_ms, rate_hz)
    if shift >= n_window:
        return 0.0
    rho = np.sum(hann[shift:] * hann[: n_window - shift]) / np.sum(hann**2)
    return float(rho**2)


# %%
predict(
    "02.b", ...,
    "What is the correlation of neighbouring frames of white noise at a hop of 5 ms?",
)

# %%
white_noise = 0.1 * np.random.default_rng(0).standard_normal((8, 5 * rate_hz))
rows = []
for hop_ms in size.hops_ms:
    at_hop = FeatureSpec(hop_ms=hop_ms)  # everything else as in section 1
    levels_db = features(clips, at_hop, progress=False)
    inner = levels_db[:, 1:-1].astype(np.float64)  # without the frames at the edges
    mean_power = np.mean(10 ** (inner / 10))
    rows.append({
        "hop (ms)": hop_ms,
        "frames per clip": levels_db.shape[1],
        "MB per clip": levels_db.nbytes / len(levels_db) / 1e6,
        "mean level (dB)": 10 * np.log10(mean_power),
        "correlation": neighbour_correlation(levels_db),
        "white noise": neighbour_correlation(log_mel(white_noise, at_hop)),
        "overlap": overlap_correlation(hop_ms),
    })

costs = pd.DataFrame(rows).set_index("hop (ms)")
finest, coarsest = costs.iloc[0], costs.iloc[-1]
table = costs.style.format("{:.2f}").format("{:.0f}", subset=["frames per clip"])
display(table.format_index("{:g}"))

# %% tags=["hide-input"]
hops_ms = costs.index.to_numpy()
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6))
plots.lines(
    hops_ms, {"frames": costs["frames per clip"].to_numpy()}, axes[0],
    xlabel="hop (ms)", ylabel="frames per clip", markers=True,
)
curves = {
    clips.name if len(clips.name) < 15 else "your sounds": costs["correlation"],
    "white noise": costs["white noise"],
    "overlap, calculated": costs["overlap"],
}
plots.lines(
    hops_ms, {name: c.to_numpy() for name, c in curves.items()}, axes[1],
    xlabel="hop (ms)", ylabel="correlation with the next frame", markers=True,
)
for ax in axes:
    ax.set_xscale("log")
    ax.set_xticks(hops_ms, [f"{h:g}" for h in hops_ms])
    ax.minorticks_off()
axes[0].set_yscale("log")
plots.log_ticks(axes[0].yaxis, costs["frames per clip"].to_numpy())
axes[1].axhline(0, color="grey", linewidth=1)
show(
    fig,
    alt="Left: frames per clip against hop, a straight falling line on logarithmic "
    f"axes, from {finest['frames per clip']:.0f} to "
    f"{coarsest['frames per clip']:.0f}. Right: the correlation of neighbouring "
    f"frames against hop. White noise falls from {finest['white noise']:.2f} to zero, "
    "as calculated from the overlap of the windows; the clips go from "
    f"{finest['correlation']:.2f} to {coarsest['correlation']:.2f}.",
    caption="Frames, and what neighbouring frames share, as the hop grows.",
)

# %%
at_5 = costs.loc[5.0]
answer("02.b", round(float(at_5["white noise"]), 2), within=0.1)
level_moved_db = abs(finest["mean level (dB)"] - coarsest["mean level (dB)"])
# The finest hop at which the windows no longer overlap, or hardly
apart = costs[costs["overlap"] < 0.01].iloc[0]
say(
    f"At 5 ms, neighbouring frames of these clips have a correlation of "
    f"{at_5['correlation']:.2f}. White noise, whose level is constant, already "
    f"reaches {at_5['white noise']:.2f}; the overlap of the windows predicts "
    f"{at_5['overlap']:.2f}. At 10 ms the correlation is "
    f"{costs.loc[10.0, 'correlation']:.2f} for the clips and "
    f"{costs.loc[10.0, 'white noise']:.2f} for noise."
)
say(
    "Can we subtract one from the other? No: correlations with two causes do not add "
    "up. (If a level is a slow curve plus fluctuations that are independent of it, its "
    "correlation is a weighted *mean* of theirs.) To see what the sound contributes, "
    "look at hops where the control is near zero. At "
    f"{apart.name:g} ms the clips have a correlation of {apart['correlation']:.2f}, "
    "and all of it belongs to the sound."
)
say(
    f"The mean level moves by {level_moved_db:.2f} dB over the whole range. The "
    "hop decides *how many* numbers there are, not how large they are. A *sum* over "
    "frames, however, shrinks with their number, so take the mean instead."
)

# %% [markdown]
# ### Exercise 02.3
#
# How many megabytes ($10^6$ bytes) do the features of a data set take? The frames are
# centred, as in notebook 01, which counted them; the numbers are float32; the sampling
# rate is 16 kHz.

# %% tags=["exercise"]
def megabytes(n_clips, length_s, hop_ms, n_mels):
    ### BEGIN SOLUTION
    n_frames = 1 + int(length_s * 16_000) // int(hop_ms * 16)
    return n_clips * n_frames * n_mels * 4 / 1e6
    ### END SOLUTION


check("02.3", megabytes)

# %% [markdown]
# ## 7. A false rhythm
#
# A correlation over many clips and bands is an average, and an average can hide what
# matters in a single clip. Here is the helicopter of the first paragraph, one of the
# sounds that the course makes itself.

# %%
made = synth10.synth10_table(clips_per_class=40, seed=0)
row = made[(made["label"] == "helicopter") & (made["number"] == 7)].head(1)
helicopter = synth10.synth10_waves(row)[0]


def rhythm_hz(levels_db, hop_ms):
    """The strongest rhythm, in pulses per second, of the level averaged over bands."""
    level = levels_db.mean(axis=1)
    level = (level - level.mean()) * np.hanning(len(level))
    spectrum = np.abs(np.fft.rfft(level, 8192))
    rhythms_hz = np.fft.rfftfreq(8192, hop_ms / 1000)
    spectrum[rhythms_hz < 0.5] = 0  # slower than that is a change of distance
    return float(rhythms_hz[spectrum.argmax()])


blades_hz = rhythm_hz(log_mel(helicopter, FeatureSpec(hop_ms=5)), 5)
say(f"At a hop of 5 ms we count **{blades_hz:.1f}** slaps per second.")
play(
    0.8 * helicopter[: rate_hz] / np.abs(helicopter).max(),
    rate_hz,
    describe="A helicopter: low, soft slaps, ten or eleven per second, over a hiss.",
)

# %%
predict(
    "02.c", ...,
    "At a hop of 80 ms there are 12.5 frames per second. How many slaps per second "
    "will they show?",
)

# %% tags=["hide-input"]
def picture_at_hop(x, rate_hz, hop_ms):
    """Log-mel of the first 2 s at one hop, and its level averaged over bands."""
    at_hop = FeatureSpec(rate_hz=rate_hz, hop_ms=hop_ms, n_mels=40)
    levels_db = log_mel(x[: 2 * rate_hz], at_hop)
    times_s = at_hop.frame_centres_s(len(levels_db))
    level = levels_db.mean(axis=1)
    level = level - level.mean()
    fig, (top, bottom) = plt.subplots(
        2, 1, figsize=(6.4, 4), sharex=True, height_ratios=[2, 1]
    )
    plots.mel_spectrogram(
        levels_db, times_s, top, range_db=50, bar=False,
        centres_hz=at_hop.mel_centres_hz,
    )
    per_s = 1000 / hop_ms
    top.set(xlabel="", title=f"hop {hop_ms:g} ms, {per_s:.4g} frames per second")
    bottom.plot(times_s, level, "o-", markersize=3, linewidth=1, color=plots.COLOURS[0])
    reach = max(10, np.abs(level).max())
    bottom.set(xlabel="time (s)", ylabel="level (dB)")
    bottom.set(xlim=(0, 2), ylim=(-reach, reach))
    return fig


pictures = {}
for hop_ms in (5, 10, 20, 40, 50, 60, 70, 80):
    pictures[f"{hop_ms} ms"] = picture_at_hop(helicopter, rate_hz, hop_ms)
scrub(
    pictures,
    label="hop",
    start="10 ms",
    caption="Two seconds of a helicopter. Below: the level, averaged over bands.",
    alt="Log-mel pictures of a helicopter at hops from 5 to 80 ms, each with its "
    "mean level over time. Up to 40 ms the level rises and falls about 21 times in 2 "
    "s. At 50 ms the swings are irregular, at 60 ms there are about 12, at 70 ms 7, "
    "and at 80 ms fewer than 4 slow waves.",
)

# %%
slow_hz = rhythm_hz(log_mel(helicopter, FeatureSpec(hop_ms=80)), 80)
answer("02.c", round(slow_hz, 1), unit="slaps per second", within=0.15)

# %% [markdown]
# Nothing in the 80 ms picture looks wrong. It shows a calm, slow beat, but not the beat
# of this helicopter. Compare the shapes, too: a real slap starts abruptly and dies
# away. At 70 and 80 ms the level climbs slowly and then drops: the slaps run backwards.
#
# The reason is the sampling theorem of notebook 01. Frames sample the level
# $f_s = 1/\text{hop}$ times per second. At the times $t_k = k / f_s$ of the frames, a
# rhythm of $f$ and one of $f - n f_s$ agree for every whole number $n$,
#
# $$ \cos(2\pi (f - n f_s)\, t_k) = \cos(2\pi f t_k - 2\pi n k) = \cos(2\pi f t_k) , $$
#
# because $nk$ full turns change nothing. Of all these rhythms we see the slowest: here
# $10.7 - 12.5 = -1.8$, a beat of 1.8 per second. The minus sign means that it runs
# backwards, like the wheels of a stagecoach in a film.
#
# To *hear* what the frames hold, we go back from log-mel to sound: we spread each band's
# power over its bins and let the algorithm of Griffin and Lim (1984) find phases that
# fit. Where frames are 80 ms apart, we first interpolate the levels linearly, the
# simplest guess that agrees with the frames.

# %%
def to_sound(levels_db, hop_ms, n_samples):
    """A sound whose log-mel at this hop is about `levels_db`."""
    fine_s = np.arange(1 + n_samples // hop) * hop / rate_hz  # frames 10 ms apart
    coarse_s = np.arange(len(levels_db)) * hop_ms / 1000
    between = [np.interp(fine_s, coarse_s, band) for band in levels_db.T]
    mels = 10 ** (np.array(between).T / 10)
    # A band is a weighted sum of bins: divided by its weights, it is their mean power
    mean_power = mels / bank.sum(axis=0)
    # A bin that lies in two bands gets a weighted mean of them; its shares add up to 1
    shares = bank / np.maximum(bank.sum(axis=1, keepdims=True), 1e-12)
    magnitude = np.sqrt(mean_power @ shares.T)  # from bands back to bins
    return librosa.griffinlim(
        magnitude.T, n_iter=32, hop_length=hop, win_length=n_window, n_fft=n_fft,
        pad_mode="constant", length=n_samples, random_state=0,
    )


excerpt = helicopter[: int(1.2 * rate_hz)]
returned = {}
for hop_ms in (10, 80):
    levels_db = log_mel(excerpt, FeatureSpec(hop_ms=hop_ms))
    sound = to_sound(levels_db, hop_ms, len(excerpt))
    returned[f"from frames every {hop_ms} ms"] = 0.7 * sound / np.abs(sound).max()

play_pair(
    returned,
    rate_hz,
    describe="The helicopter, resynthesised from its log-mel. At a hop of 10 ms the "
    "fast slaps are there, roughened; at 80 ms a noise swells slowly, not quite twice "
    "a second.",
)

# %% [markdown]
# Is 10 ms safe, then? It depends on how fast the sound changes. Below, the energy of a
# tone swings 60 times per second, as in the buzz of a small motor. Frames of 4 ms, one
# every 10 ms, sample it 100 times per second, and $60 - 100 = -40$. We measure the energy
# of the frames, interpolate between them, and impose the result on the tone.

# %%
times_s = np.arange(rate_hz) / rate_hz  # one second
tone = np.sin(2 * np.pi * 1000 * times_s)
buzz = np.sqrt(1 + np.cos(2 * np.pi * 60 * times_s)) * tone


def frame_energy(x, window_ms, hop_ms=10):
    """Energy of each frame, divided by the mean over frames."""
    n = timebase.ms_to_samples(window_ms, rate_hz)
    step = timebase.ms_to_samples(hop_ms, rate_hz)
    weights = signal.get_window("hann", n)
    padded = np.pad(x, (n // 2, n // 2))
    frames = sliding_window_view(padded, n)[: len(x) : step] * weights
    energy = np.sum(frames**2, axis=1)
    return energy / energy.mean()


energy = frame_energy(buzz, window_ms=4)
# Interpolate from 100 frames to 16,000 samples; an energy is never below 0
smooth = np.maximum(signal.resample(energy, rate_hz), 0)
reported = np.sqrt(smooth) * tone

spectrum = np.abs(np.fft.rfft(energy - energy.mean()))
rates_hz = np.fft.rfftfreq(len(energy), 0.01)  # one frame every 0.01 s
reported_hz = float(rates_hz[spectrum.argmax()])

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 2.8))
ms = np.arange(rate_hz) / 16
true_energy = 1 + np.cos(2 * np.pi * 60 * times_s)
ax.plot(ms, true_energy, color="grey", lw=1.2, linestyle="-", label="60 Hz, true")
ax.plot(
    ms, smooth, color=plots.COLOURS[1], linestyle="--", label="what the frames report"
)
ax.plot(
    10 * np.arange(len(energy)), energy, "o", color=plots.COLOURS[1], label="frames"
)
ax.set(xlabel="time (ms)", ylabel="energy / mean", xlim=(300, 450), ylim=(-0.1, 3.2))
ax.legend(ncols=3, loc="upper center")
show(
    fig,
    alt="150 ms of the energy of the tone: a grey curve with nine swings, a dot on it "
    "every 10 ms, and a dashed curve through the dots that has only six swings.",
    caption="Nine swings in 150 ms; the frames report six.",
)

# %%
depths = {}
for window_ms in (4, 25):
    values = frame_energy(buzz, window_ms)[5:-5]  # without the frames at the edges
    # The amplitude of a sine is its standard deviation times the square root of 2
    depths[window_ms] = float(np.std(values) * np.sqrt(2) / values.mean())
say(
    f"The frames report a swing of **{reported_hz:.0f} Hz**. With the usual window of "
    f"25 ms its depth falls from {depths[4]:.2f} to {depths[25]:.2f}, because a long "
    "window averages over the swing. The window acts as an anti-aliasing filter, but "
    "25 ms is not long enough to remove this alias at a hop of 10 ms."
)
play_pair(
    {
        "the sound: 60 Hz": 0.4 * buzz[: int(0.5 * rate_hz)],
        "what the frames report": 0.4 * reported[: int(0.5 * rate_hz)],
    },
    rate_hz,
    describe="A tone of 1 kHz that trembles 60 times per second, a rough buzz; then "
    "the same tone trembling 40 times per second, audibly slower.",
)

# %% [markdown]
# Try your own sounds in a live kernel: anything with a steady beat, such as a motor, a
# fan close to the microphone, or a rolled *r*. The explorer of the course's website draws
# the log-mel of whatever you say into it.

# %%
live(
    picture_at_hop, label="hop (ms)", values=[5, 10, 20, 40, 60, 80, 100],
    sound=helicopter, rate_hz=rate_hz,
)

# %% [markdown]
# ### Exercise 02.4
#
# Choose a hop between 45 and 150 ms that is not on the slider, and predict the rhythm
# that the helicopter will show there, in slaps per second. Return both numbers. The check
# computes the log-mel at your hop and measures its rhythm. Then explain to yourself: what
# would you see at 94 ms, and why is that hop the most misleading of all?

# %% tags=["exercise"]
def my_hop_and_rhythm():
    ### BEGIN SOLUTION
    hop_ms = 75
    rhythm_hz = 1000 / hop_ms - 10.7  # 13.3 frames per second
    return hop_ms, rhythm_hz
    ### END SOLUTION


check("02.4", my_hop_and_rhythm)

# %% [markdown]
# ### Exercise 02.5
#
# There is a remedy. A long hop *skips* sound; instead, we can compute frames at a fine
# hop and *average* groups of them. Then every sample counts, and most of what is too fast
# for the new frame rate is smoothed out before it can alias.
#
# Write `average_frames`. It takes levels in dB, `(frames, bands)`, and returns the level
# of the mean *power* of each group of `factor` frames, again in dB. Frames that do not
# fill a group at the end are left out.
#
# (The mean of the decibels would be another quantity. It does not keep the energy,
# because a single quiet frame pulls it down. Would it suppress the false rhythm as well?
# Make a guess; the sentence below the next figure has the answer.)

# %% tags=["exercise"]
def average_frames(levels_db, factor):
    ### BEGIN SOLUTION
    power = 10 ** (levels_db / 10)
    n_groups = len(power) // factor
    groups = power[: n_groups * factor].reshape(n_groups, factor, -1)
    return 10 * np.log10(groups.mean(axis=1))
    ### END SOLUTION


check("02.5", average_frames)

# %% tags=["hide-input"]
fine_db = log_mel(helicopter, FeatureSpec(hop_ms=10))[:400]
skipped_db = fine_db[::8]
group_power = (10 ** (fine_db / 10)).reshape(50, 8, -1).mean(axis=1)
averaged_db = 10 * np.log10(group_power)
mean_of_db = fine_db.reshape(50, 8, -1).mean(axis=1)
fig, axes = plt.subplots(1, 2, figsize=(11, 3.4), sharey=True)
swings_db = {}
for ax, name, picture, first_s in (
    (axes[0], "every eighth frame", skipped_db, 0.0),
    (axes[1], "mean of eight frames", averaged_db, 0.035),
):
    plots.mel_spectrogram(
        picture, first_s + 0.08 * np.arange(50), ax, range_db=50,
        top_db=skipped_db.max(), centres_hz=centres_hz, bar=False,
    )
    swings_db[name] = float(np.std(picture.mean(axis=1)))
    ax.set_title(f"{name}: level ± {swings_db[name]:.1f} dB")
axes[1].set_ylabel("")
plots.level_bar(axes)
show(
    fig,
    alt="Four seconds of the helicopter with a frame every 80 ms. Taking every eighth "
    "frame of 10 ms shows slow waves in all bands; the mean of eight frames is almost "
    f"steady. The level varies by {swings_db['every eighth frame']:.1f} and "
    f"{swings_db['mean of eight frames']:.1f} dB (standard deviation).",
    caption="A frame every 80 ms, made by skipping and by averaging.",
)

# %%
say(
    f"The mean of the decibels gives ± {np.std(mean_of_db.mean(axis=1)):.1f} dB: it "
    "suppresses the false rhythm about as well. But its level is "
    f"{np.mean(averaged_db - mean_of_db):.1f} dB lower on average, and how much lower "
    "depends on how uneven the sound is."
)

# %% [markdown]
# The average does not bring the blades back; at 12.5 frames per second, nothing can. But
# little is left of the false rhythm, and the energy of everything in between is kept.
# Most frame-reduction methods in the later notebooks average too, among them DiffRes
# (notebook 07), which learns together with the classifier which frames to merge.
#
# ## 8. The timing probe: where does a hop lose what matters?
#
# At 80 ms you can still recognise the helicopter, by its timbre. A coarse hop should fail
# where nothing but timing differs and each frame keeps only its energy. The data set
# `timing` is made to test this. Each of its three tasks has two classes. Both are white
# noise, shaped in time, with the same spectrum and the same energy:
#
# - **gap**: two clicks of noise with a gap of 5 or 10 ms between them;
# - **am** (amplitude modulation): noise that swells slowly and breaks off, about every
#   40 ms, or the same reversed (ramped and damped sounds; Patterson, 1994);
# - **order**: a burst of 20 ms, then one of 40 ms, or the other way round.
#
# How long may the frames be? We say that a task *needs* frames no longer than the detail
# that sets its classes apart: the gap of 5 ms in *gap*, the burst of 20 ms in *order*.
# At least half of some frame then lies inside that detail. *am* needs 10 ms, for another
# reason. Each clip starts at a random point of a swell, so the first harmonic of the
# swelling, with its period of 40 ms, is alike in both classes. The second, with a period
# of 20 ms, is not, and the sampling theorem asks for at least two frames per period.

# %%
probe = load_timing(probe_clips, seed)
probe_waves = probe.waves(rate_hz)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(13, 3), sharey=True)
for ax, task in zip(axes, timing_probe.TASKS, strict=True):
    of_task = probe.table[probe.table["task"] == task]
    one_of_each = of_task.groupby("label").head(1)
    for place, index in enumerate(one_of_each.index):
        own_events = probe.events["clip"] == probe.table["clip"][index]
        onset_s = probe.events.loc[own_events, "onset_s"].min()
        start = timebase.seconds_to_samples(max(onset_s - 0.01, 0), rate_hz)
        x = probe_waves[index, start : start + 1600]
        height = -1.2 * place
        ax.plot(np.arange(len(x)) / 16, x / np.abs(x).max() / 2.5 + height, "-", lw=0.7)
        name = one_of_each["label"][index].replace("_", " ")
        ax.text(0, height + 0.47, name, color=plots.COLOURS[place])
    needed_ms = timing_probe.needed_resolution_ms(task)
    ax.set(xlabel="time (ms)", title=f"{task}: needs {needed_ms:g} ms")
    ax.set(yticks=[], ylim=(-1.7, 0.8))
show(
    fig,
    alt="One clip of each of the six classes, 100 ms long. Gap: two clicks 5 or 10 "
    "ms apart. Am: noise that swells slowly and breaks off, or the reverse. "
    "Order: a short and then a long burst, or a long and then a short one.",
    caption="100 ms of each class. Only the timing differs.",
)

# %% [markdown]
# The mean power over time says nothing here, since both classes of a task have the same
# long-term spectrum. What differs is *when* the energy comes. We therefore give a
# classifier two things: the energies of twelve frames in order, starting at the first
# loud one, and the *autocorrelation* of the energies of all frames. It subtracts the
# mean and then, for each lag of 0 to 11 frames, multiplies energies that lie that far
# apart and adds up the products. This shows how similar the sequence is to itself that
# many frames later, and does not depend on where the sound starts.
#
# This time the window is as long as the hop, so every sample lies in exactly one frame.
# The classifier cannot use overlapping frames to find out what happened inside one.

# %%
def energy_of_frames(waves, frame_ms):
    """Energy of frames that touch and do not overlap, (clips, frames), sum 1."""
    # Power in 8 mel bands, without the logarithm; their sum stands for the energy
    touching = FeatureSpec(
        hop_ms=frame_ms, window_ms=frame_ms, window="boxcar", n_mels=8, log="none"
    )
    energy = log_mel_torch(torch.tensor(waves), touching).sum(dim=2).numpy()
    return energy / energy.sum(axis=1, keepdims=True)


def in_order(energy, n_kept=12):
    """The frames from the first loud one on, and the autocorrelation of all frames."""
    loud = energy > 0.1 * energy.max(axis=1, keepdims=True)
    first = loud.argmax(axis=1)  # the first loud frame of each clip
    padded = np.pad(energy, ((0, 0), (0, n_kept)))  # in case a sound begins late
    places = first[:, None] + np.arange(n_kept)  # (clips, n_kept)
    # For every clip, the frames at its own places
    aligned = np.take_along_axis(padded, places, axis=1)
    # All lags at once: the autocorrelation is the inverse transform of the power
    # spectrum. Without the zeros that double the length, the end of the sequence would
    # be compared with its beginning
    centred = energy - energy.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, 2 * energy.shape[1])
    autocorrelation = np.fft.irfft(np.abs(spectrum) ** 2)
    return np.hstack([aligned, autocorrelation[:, :n_kept]])


# %% [markdown]
# The clips are divided into five groups, called *folds* (notebook 04). A hundred
# randomised decision trees learn from four folds and are tested on the fifth; each fold
# is the test fold once.

# %%
def waves_of(task):
    return probe_waves[(probe.table["task"] == task).to_numpy()]


def accuracy(task, inputs):
    """Share of the clips of a task that the trees classify correctly from `inputs`."""
    own = probe.table[probe.table["task"] == task]
    trees = ExtraTreesClassifier(100, random_state=seed)
    folds = PredefinedSplit(own["fold"])
    guesses = cross_val_predict(trees, inputs, own["label"], cv=folds)
    return float(np.mean(guesses == own["label"]))


# %%
predict(
    "02.d", ...,
    "At 80 ms, one frame usually covers both clicks of *gap*. What percentage of the "
    "clips will be classified correctly?",
)

# %%
found = pd.DataFrame(index=pd.Index(size.hops_ms, name="frame (ms)"))
for task in timing_probe.TASKS:
    found[task] = [
        accuracy(task, in_order(energy_of_frames(waves_of(task), frame_ms)))
        for frame_ms in size.hops_ms
    ]
display((100 * found).style.format("{:.0f} %").format_index("{:g}"))

# %% tags=["cover", "hide-input"]
fig, ax = plt.subplots(figsize=(9, 3.8))
curves = {}
for task in found:
    needed_ms = timing_probe.needed_resolution_ms(task)
    curves[f"{task}, needs {needed_ms:g} ms"] = 100 * found[task].to_numpy()
plots.lines(
    found.index.to_numpy(), curves, ax,
    xlabel="frame length (ms): window = hop", ylabel="accuracy (%)", markers=True,
)
ax.axhline(50, color="grey", linestyle=":", linewidth=1)
ax.text(found.index[0], 44, "guessing", color="dimgrey", fontsize=11)
ax.set(xscale="log", ylim=(35, 103))
ax.set_xticks(found.index, [f"{h:g}" for h in found.index])
ax.minorticks_off()
ends = []
for task in found:
    first, last = 100 * found[task].iloc[0], 100 * found[task].iloc[-1]
    ends.append(f"{task} from {first:.0f} to {last:.0f} %")
show(
    fig,
    alt="Accuracy against frame length for the three tasks of the probe. "
    + "; ".join(ends) + f" between {found.index[0]:g} and {found.index[-1]:g} ms; "
    "guessing gives 50 %.",
    caption="What the classifier gets right as the frames grow longer.",
)

# %% [markdown]
# Read off for each task the longest frame with which the trees still reach 90 %, and
# compare it with what the task needs. The next cell does the same. (The need is a limit,
# not a promise: frames of exactly that length barely resolve the difference.)

# %%
answer("02.d", round(100 * found["gap"].iloc[-1]), unit="%", within=0.1)
limits = []
for task in found:
    good_ms = found.index[found[task] >= 0.9]
    reached = f"{good_ms.max():g} ms" if len(good_ms) else "none"
    needed_ms = timing_probe.needed_resolution_ms(task)
    limits.append(f"*{task}* {reached} (needs {needed_ms:g} ms)")
say("The longest frames with at least 90 %: " + ", ".join(limits) + ".")

# Accuracies with frames that are fine enough for their task, and with far too long ones
fine = []
coarse = []
for task in found:
    needed_ms = timing_probe.needed_resolution_ms(task)
    fine.extend(found.loc[found.index <= needed_ms / 2, task])
    coarse.extend(found.loc[found.index >= 4 * needed_ms, task])
fine_percent = 100 * float(np.mean(fine))
coarse_percent = 100 * float(np.mean(coarse))
# By how many points one clip changes an accuracy
one_clip = 100 / probe.table["task"].value_counts().min()

conclude(
    "probe_fine_over_coarse", fine_percent - coarse_percent, unit="points",
    step=one_clip,
    if_clear="With frames at most half as long as the task needs, the trees are "
    f"right for **{fine_percent:.0f} %** of the clips; with frames at least four "
    f"times as long as that, for **{coarse_percent:.0f} %**, where guessing gives "
    "50 %. The trees find little of the timing in the energies of such long frames.",
    if_not=f"With short frames the trees are right for {fine_percent:.0f} % of the "
    f"clips, with long ones for {coarse_percent:.0f} %. One run with one seed does not "
    "show how much of that is chance.",
)

# %% [markdown]
# Is the timing lost from the long frames, or only from their energies? In notebook 01, a
# frame with two clicks $d$ apart still held their distance: its spectrum rose and fell
# every $1/d$. The clicks of *gap* are different pieces of noise, so their ripples are
# irregular, but they still have a period of about $1/d$. We compute a fine spectrum of
# the loudest long frame of each clip and then, by a second transform, how strongly it
# ripples for each $d$. (This is the autocorrelation of the samples of the frame.)

# %%
def ripples(waves, frame_ms):
    """Ripples in the spectrum of each clip's loudest frame, for d = 0, 1 ... 19 ms."""
    n = timebase.ms_to_samples(frame_ms, rate_hz)
    n_whole = waves.shape[1] // n  # frames in a clip
    frames = waves[:, : n_whole * n].reshape(len(waves), n_whole, n)
    loudest = np.sum(frames**2, axis=2).argmax(axis=1)
    frame = frames[np.arange(len(waves)), loudest]
    fine_spectrum = np.abs(np.fft.rfft(frame, 2 * n)) ** 2
    strength = np.abs(np.fft.irfft(fine_spectrum))  # one value per sample of distance
    ms = timebase.ms_to_samples(1, rate_hz)
    strength = strength[:, : 20 * ms].reshape(len(waves), 20, ms).sum(axis=2)
    return strength / strength.sum(axis=1, keepdims=True)


longest_ms = float(found.index[-1])
by_energies = 100 * found["gap"].iloc[-1]
by_ripples = 100 * accuracy("gap", ripples(waves_of("gap"), longest_ms))
conclude(
    "gap_in_fine_spectrum", by_ripples - by_energies, unit="points", step=one_clip,
    if_clear=f"From the energies of frames of {longest_ms:g} ms, the trees are right "
    f"for {by_energies:.0f} % of the clips of *gap*. From the ripples in one such "
    f"frame they are right for **{by_ripples:.0f} %**. So the frame still holds the "
    "timing; it is its energy that does not show it.",
    if_not=f"From the energies of frames of {longest_ms:g} ms, the trees are right for "
    f"{by_energies:.0f} % of the clips of *gap*, and from the ripples in one such "
    f"frame for {by_ripples:.0f} %. One run with one seed does not show how much of "
    "that is chance.",
)

# %% [markdown]
# Most of our mel bands are wider than these ripples and would average them away.
#
# Compare this with section 6. A high correlation between neighbouring frames suggests
# that half of them could go. For clips that also differ in pitch, timbre or length, that
# may well be true; in the probe, with one energy per frame, it would throw away the only
# difference there is. Whether a hop is fine enough depends on the sounds, on the question
# *and* on what each frame keeps.
#
# ## 9. An aside: PCEN
#
# The logarithm turns a gain into an offset, but the offset is still there: the same sound
# recorded 20 dB louder has different features. *Per-channel energy normalisation* (PCEN;
# Wang et al., 2017) divides each band by a running mean of its recent past, so that a
# constant gain nearly cancels. The running mean has a time constant, so PCEN has a
# temporal resolution of its own.

# %%
def pcen(x):
    magnitudes = np.sqrt(stft_power(x)) @ bank
    # librosa's default settings expect magnitudes, of samples that are 32-bit integers
    return librosa.pcen(magnitudes.T * 2**31, sr=rate_hz, hop_length=hop).T


loud = clip
quiet = 0.1 * clip  # 20 dB quieter
log_mel_moved = float(np.mean(log_mel_by_hand(loud) - log_mel_by_hand(quiet)))
pcen_moved = float(np.mean(np.abs(pcen(loud) - pcen(quiet))) / np.mean(pcen(loud)))

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(6.4, 2.8))
normalised = pcen(clip)
image = ax.pcolormesh(
    frame_times_s, np.arange(spec.n_mels), normalised.T,
    vmax=np.percentile(normalised, 99), shading="nearest", rasterized=True,
)
fig.colorbar(image, ax=ax, label="PCEN (no unit)", pad=0.01)
ax.set(xlabel="time (s)", ylabel="frequency (kHz)")
plots.mel_ticks(ax.yaxis, centres_hz)
show(
    fig,
    alt="The clip of section 5 after PCEN: what stays constant fades into the "
    "background and what has just begun stands out; the first tenth of a second is "
    "bright all over.",
    caption="PCEN of the clip. Its first frames are bright because they have no past.",
)

# %%
say(
    f"A gain of 20 dB moves log-mel by {log_mel_moved:.1f} dB on average, and PCEN by "
    f"{100 * pcen_moved:.0f} % of its mean. The course stays with log-mel, whose only "
    "time scales are the window and the hop."
)

# %% [markdown]
# ## What we saw

# %%
say(f"""- A log-mel takes three steps: power spectrum, triangles equally wide in mel,
  logarithm with a floor. Written by hand, it agrees with three programs to
  {largest_difference:.0e} dB.
- The mel bank blurs along frequency, {n_bins} bins into {spec.n_mels} bands, and leaves
  time alone.
- As the hop grows from {hops_ms[0]:g} to {hops_ms[-1]:g} ms, the number of frames per
  clip falls from {finest['frames per clip']:.0f} to
  {coarsest['frames per clip']:.0f}.
- At 5 ms, white noise already reaches a correlation of
  {at_5['white noise']:.2f} between neighbours, through overlap alone.
- A rhythm faster than half the frame rate comes back as a slower one:
  {blades_hz:.1f} per second as {slow_hz:.1f} at a hop of 80 ms, 60 as
  {reported_hz:.0f} at 10 ms.
- Where two classes differ only in timing, trees that see the energies of frames were
  right for {fine_percent:.0f} % of the clips with short frames and for
  {coarse_percent:.0f} % with frames far too long. From the fine spectrum of one long
  frame, they were right for {by_ripples:.0f} % of the clips of *gap*.""")

# %% [markdown]
# ## What next
#
# Notebook 03 changes the sound itself: shift, stretch, pitch, trim. Notebooks 05 and 07
# return to the hop, first fixed, then learned.
#
# Before you go on: [questions to test yourself](quizzes/02_log_mel_features.md).
#
# ## References
#
# - S. S. Stevens, J. Volkmann, E. B. Newman, "A scale for the measurement of the
#   psychological magnitude pitch", J. Acoust. Soc. Am. 8, 1937.
#   doi:10.1121/1.1915893
# - E. Zwicker, "Subdivision of the audible frequency range into critical bands", J.
#   Acoust. Soc. Am. 33, 1961. doi:10.1121/1.1908630
# - B. R. Glasberg, B. C. J. Moore, "Derivation of auditory filter shapes from
#   notched-noise data", Hearing Research 47, 1990.
#   doi:10.1016/0378-5955(90)90170-T
# - M. Slaney, "Auditory Toolbox", Interval Research, technical report 1998-010, 1998
# - D. W. Griffin, J. S. Lim, "Signal estimation from modified short-time Fourier
#   transform", IEEE Trans. Acoust., Speech, Signal Process. 32, 1984.
#   doi:10.1109/TASSP.1984.1164317
# - R. D. Patterson, "The sound of a sinusoid: spectral models", J. Acoust. Soc. Am. 96,
#   1994, p. 1409
# - Y. Wang, P. Getreuer, T. Hughes, R. F. Lyon, R. A. Saurous, "Trainable frontend for
#   robust and far-field keyword spotting", ICASSP 2017.
#   doi:10.1109/ICASSP.2017.7953242

# %% tags=["record"]
for hop_ms in size.hops_ms:
    n_at_hop = int(costs.loc[hop_ms, "frames per clip"])
    record(f"frames_at_{hop_ms:g}_ms", n_at_hop, unit="frames", kind="exact")
    record(f"correlation_at_{hop_ms:g}_ms", float(costs.loc[hop_ms, "correlation"]))
    in_noise = float(costs.loc[hop_ms, "white noise"])
    # Beside an uncertainty of a hundredth, a correlation near 0 has no relative size
    record(f"white_noise_at_{hop_ms:g}_ms", round(in_noise, 2), kind="rel", rel=1e-6)
agree = "yes" if largest_difference < 0.01 else "no"
record("programs_agree_within_0.01_dB", agree, kind="exact")
record("floor_below_rounding", rounding_db - floor_db, unit="dB", kind="rel", rel=1e-6)
record("helicopter", blades_hz, unit="per second", kind="rel", rel=1e-3)
record("helicopter_at_80_ms", slow_hz, unit="per second", kind="rel", rel=5e-3)
record("60_Hz_at_10_ms", reported_hz, unit="Hz", kind="rel", rel=1e-6)
record("probe_where_fine_enough", fine_percent, unit="%", step=one_clip)
record("probe_where_far_too_coarse", coarse_percent, unit="%", step=one_clip)
record("probe_gap_at_5_ms", 100 * float(found.loc[5.0, "gap"]), unit="%", step=one_clip)
record("probe_gap_from_ripples", by_ripples, unit="%", step=one_clip)
record("gain_in_log_mel", log_mel_moved, unit="dB")
record("gain_in_pcen", pcen_moved)
