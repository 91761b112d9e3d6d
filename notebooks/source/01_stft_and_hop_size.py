# %% [markdown]
# # 01 · STFT and hop size
#
# Tap on a table. The tap is over within a few milliseconds. A spectrogram that takes one
# look of 40 ms every 40 ms shows a blur; one that takes a look of a millisecond every
# millisecond shows the tap sharply, and spends nearly all of its columns on the silence
# around it. Two settings decide what you see: the **window**, which is how long each look
# lasts, and the **hop**, which is how often you look.

# %% [markdown]
# ## You will be able to
#
# - **build** a spectrogram step by step, and **count** its frames (exercise 01.1);
# - **measure** what the shape of a window costs in bandwidth (exercise 01.2);
# - **choose** a window that shows two clicks and two notes (exercise 01.3);
# - **predict** the false rhythm that frames report if the hop is too long (exercise
#   01.4);
# - **choose** the window that removes a false rhythm (exercise 01.5).

# %% [markdown]
# ## Before you start
#
# You need notebook 00, and should have met sine waves, complex numbers, the Fourier
# transform and the decibel before. (In decibels, a power of one half is -3 dB and one
# of a tenth -10 dB; an amplitude of one half is -6 dB and one of a tenth -20 dB.)
#
# Reading takes about 60 minutes, the five exercises 45. On a first reading you can leave
# out what is marked as optional, which saves about ten minutes; run those cells all the
# same. The machine needs less than a minute in every profile: all signals are made on the
# spot, so we always know the right answer.

# %%
import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

from course_lib import plots
from course_lib.audio import timebase
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
profile: str = "lesson"  # smoke, lesson or study: the same here in all three
dataset: str = "synth10"  # not used: this notebook makes its own signals
seed: int = 0  # seed of the noise and the random phases in sections 6 and 8
rate_hz: int = 16000  # sample rate of every signal here

# %% [markdown]
# ## 1. How a spectrogram is made
#
# To a computer, sound is a long row of numbers, here 16,000 per second. One number on its
# own means nothing; what we hear is how the numbers change over some milliseconds. So we
# work piece by piece:
#
# 1. Cut out a **frame** of $N$ samples.
# 2. Multiply it by a **window** $w$, which fades the frame in and out.
# 3. Take the Fourier transform: how much of each frequency is in this frame?
# 4. Write the result down as one column, move on by $H$ samples, the **hop**, and start
#    again.
#
# In one formula, this is the *short-time Fourier transform* (STFT):
#
# $$ X[m, k] = \sum_{n=0}^{N-1} w[n] \; x[n + mH] \; e^{-2\pi i k n / N} $$
#
# Here $m$ counts the frames and $k$ the frequency *bins*. With the sample rate $f_s$, bin
# $k$ lies at $k f_s / N$. The squared magnitudes $|X[m, k]|^2$ are the *spectrogram*.
#
# Let us go through the four steps with two plucked notes.

# %%
def plucked(pitch_hz, start_s, length_s=0.6):
    """A note of six harmonics that begins at `start_s` and dies away."""
    n_samples = timebase.seconds_to_samples(length_s, rate_hz)
    t = np.arange(n_samples) / rate_hz - start_s
    note = np.zeros(len(t))
    for harmonic in range(1, 7):
        note += np.sin(2 * np.pi * harmonic * pitch_hz * t) / harmonic
    decay = np.exp(-np.maximum(t, 0) / 0.12)
    return np.where(t >= 0, 0.25 * decay * note, 0)


pluck = plucked(440, start_s=0.1) + plucked(660, start_s=0.35)
play(pluck, rate_hz, describe="Two plucked notes, the second a fifth higher.")

# %%
N = timebase.ms_to_samples(25, rate_hz)  # window length in samples
H = timebase.ms_to_samples(10, rate_hz)  # hop in samples
hann = signal.get_window("hann", N)

m = 12  # one frame of many, soon after the first note begins
frame = pluck[m * H : m * H + N]  # step 1: cut
windowed = hann * frame  # step 2: fade in and out
column = np.fft.rfft(windowed)  # step 3: Fourier transform

# %% [markdown]
# `np.fft.rfft` hides the sum in the formula. For a single bin we can write the sum out,
# and check that it gives the same number:

# %%
k = 11
n = np.arange(N)
by_hand = np.sum(windowed * np.exp(-2j * np.pi * k * n / N))

say(f"Bin {k} lies at {k * rate_hz / N:.0f} Hz, the pitch of the first note. The sum "
    f"gives {by_hand:.3f} and `np.fft.rfft` gives {column[k]:.3f}.")

# %% [markdown]
# Step 4 repeats this for every frame:

# %%
def stft(x, window_length, hop):
    """Short-time Fourier transform, shape (frames, bins)."""
    window = signal.get_window("hann", window_length)
    n_frames = 1 + (len(x) - window_length) // hop
    columns = []
    for m in range(n_frames):
        frame = x[m * hop : m * hop + window_length]
        columns.append(np.fft.rfft(window * frame))
    return np.array(columns)


X = stft(pluck, N, H)
# librosa returns (bins, frames); center=False switches its padding off (section 2)
library = librosa.stft(pluck, n_fft=N, hop_length=H, window="hann", center=False).T
largest_difference = np.abs(X - library).max()
say(f"{X.shape[0]} frames of {X.shape[1]} bins. The largest difference between "
    f"librosa's STFT and ours is {largest_difference:.1g}.")

# %% tags=["hide-input"]
fig = plt.figure(figsize=(8.6, 5))
grid = fig.add_gridspec(2, 4, height_ratios=[1, 1.35], width_ratios=[1, 1, 1, 1.5])

ax = fig.add_subplot(grid[0, :])
plots.waveform(pluck, rate_hz, ax)
first_ms = timebase.samples_to_ms(m * H, rate_hz)
last_ms = timebase.samples_to_ms(m * H + N, rate_hz)
ax.axvspan(first_ms, last_ms, color=plots.COLOURS[5], alpha=0.5)
ax.set_title("The waveform, and one frame of it")

frame_ms = first_ms + timebase.samples_to_ms(np.arange(N), rate_hz)
limit = 1.1 * np.abs(frame).max()
ax = fig.add_subplot(grid[1, 0])
ax.plot(frame_ms, frame, linestyle="-")
ax.set(title="1. cut", xlabel="time (ms)", ylim=(-limit, limit), ylabel="amplitude")

ax = fig.add_subplot(grid[1, 1])
ax.plot(frame_ms, windowed, linestyle="-")
ax.plot(frame_ms, hann * limit, color=plots.COLOURS[1], linestyle="--")
ax.plot(frame_ms, -hann * limit, color=plots.COLOURS[1], linestyle="--")
ax.set(title="2. window", xlabel="time (ms)", ylim=(-limit, limit), yticks=[])

bins_khz = np.fft.rfftfreq(N, 1 / rate_hz) / 1000
ax = fig.add_subplot(grid[1, 2])
ax.plot(20 * np.log10(np.abs(column) + 1e-6), bins_khz, linestyle="-")
ax.set(title="3. transform", xlabel="level (dB)", ylabel="frequency (kHz)", ylim=(0, 5))

ax = fig.add_subplot(grid[1, 3])
levels_db = 20 * np.log10(np.abs(X) + 1e-6)
centres_s = (np.arange(len(X)) * H + N / 2) / rate_hz
plots.spectrogram(levels_db, centres_s, 1000 * bins_khz, ax, range_db=60)
here_ms = 1000 * centres_s[m]
ax.plot([here_ms, here_ms], [0, 5], color="white", linestyle="--")
ax.set(title="4. column by column", ylim=(0, 5))
show(fig, alt="Five panels from waveform to spectrogram. Two notes with a frame of 25 "
     "ms marked; the frame cut out; the frame times a bell-shaped window; its spectrum "
     "with peaks at multiples of 440 Hz; and the spectrogram, in which the frame is "
     "one column.",
     caption="One frame on its way from the waveform to a column of the spectrogram.")

# %% [markdown]
# The spectrum in panel 3 peaks at 440 Hz and its multiples, and becomes the marked column
# of panel 4. Do not confuse the two settings: **the window is how long each look lasts,
# the hop is how often we look.** Here a look lasts 25 ms and there is one every 10 ms, so
# neighbouring frames share more than half of their samples.
#
# From here on we need frames at hops down to a single sample. `sliding_window_view` cuts
# them all at once, without copying anything:

# %%
def frames_of(x, window_length, hop):
    """Frames of `x` without padding, shape (frames, window_length)."""
    return sliding_window_view(x, window_length)[::hop]


print(frames_of(np.arange(12), window_length=6, hop=3))

# %% [markdown]
# Twelve samples, a window of six and a hop of three give three frames. Samples 3 to 8
# appear in two of them.

# %% [markdown]
# ## 2. How many frames?
#
# A signal has $L$ samples. Without padding, the first frame starts at sample 0 and the
# last one must still fit. After the first frame, $L - N$ samples are left, and each
# further frame needs $H$ of them. So the number of frames is
#
# $$ M = 1 + \left\lfloor \frac{L - N}{H} \right\rfloor $$
#
# Most libraries *centre* their frames instead. They pad the signal by half a window on
# both sides, and then the middle of frame $m$ is at sample $mH$ for every window length.
# Without centring it is at $mH + N/2$: change the window, and all frames shift in time.
#
# **Predict:** one second at 16 kHz, a window of 400 samples and a hop of 160 give 98
# frames without centring. How many are there with it?

# %%
predict("01.a", ..., "How many centred frames does one second give?")

# %%
cases = [
    ("1 s at 16 kHz", 16_000, 400, 160),
    ("1 s at 16 kHz, odd window", 16_000, 401, 160),
    ("5 s at 22.05 kHz", 110_250, 1024, 220),
    ("5 s at 44.1 kHz", 220_500, 1024, 441),
    ("10 s at 32 kHz", 320_000, 1024, 320),
]
counts = pd.DataFrame(cases, columns=["signal", "samples", "window", "hop"])
for column_name, centred in [("not centred", False), ("centred", True)]:
    counts[column_name] = [
        timebase.frame_count(samples, window, hop, centred=centred)
        for _, samples, window, hop in cases
    ]
display(counts.style.hide(axis="index"))
centred_frames = int(counts.loc[0, "centred"])
answer("01.a", centred_frames, unit="frames")

# %% [markdown]
# The second row is a trap. With an *odd* window of 401 samples there are only 100 centred
# frames: half of 401 is 200.5, the half sample is dropped on both sides, and the last
# frame no longer fits. Two libraries that round differently disagree by one frame, and
# labels made for the frames of one do not fit those of the other.

# %% [markdown]
# ### Exercise 01.1
#
# Count the frames yourself. `n_fft` is the length of the Fourier transform in samples.
# Here it equals the length of the window. A library may also take a shorter window
# (`win_length`), which it pads with zeros to `n_fft`; the number of frames then depends
# on `n_fft`. If `centred` is true, pad the signal by `n_fft // 2` samples on each side.
# A signal that is shorter than `n_fft`, padding included, has no frame.
#
# <details><summary>Hint</summary>
#
# First find the length of the signal after padding. The formula above does the rest,
# except where that length is shorter than `n_fft`.
#
# </details>

# %% tags=["exercise"]
def frame_count(n_samples, n_fft, hop, centred):
    ### BEGIN SOLUTION
    length = n_samples
    if centred:
        length = n_samples + 2 * (n_fft // 2)
    if length < n_fft:
        return 0
    return 1 + (length - n_fft) // hop
    ### END SOLUTION


check("01.1", frame_count)

# %% [markdown]
# ## 3. Why a window, and which one?
#
# Why not leave out step 2 and transform the frame as it is? Because the Fourier transform
# treats a frame as one period of something that repeats for ever. Unless a whole number
# of periods of a tone fits into the frame, the frame's end does not meet its beginning.
# The jump is a click, and a click contains every frequency.
#
# Here is a tone half-way between two bins, and a second one at 3 kHz with a thousandth
# of its amplitude (60 dB below). **Predict:** which spectrum shows the weak tone: that
# of the plain frame (`"rectangular"`), that of the windowed one (`"Hann"`), or
# `"both"`?

# %%
predict("01.b", ..., "Which window shows the weak tone: rectangular, Hann or both?")

# %%
bin_hz = rate_hz / N
t = np.arange(N) / rate_hz
loud = np.cos(2 * np.pi * 25.5 * bin_hz * t)  # half-way between bins 25 and 26
weak = 0.001 * np.sin(2 * np.pi * 75 * bin_hz * t)  # exactly on bin 75
tones = loud + weak


def level_db(frame, window):
    """Spectrum of a windowed frame in dB; a tone of amplitude 1 on a bin has 0 dB."""
    amplitude = np.abs(np.fft.rfft(window * frame)) / (window.sum() / 2)
    return 20 * np.log10(amplitude + 1e-6)  # 1e-6: no logarithm of zero


rectangular_db = level_db(tones, np.ones(N))
hann_db = level_db(tones, hann)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), width_ratios=[1, 1.5])
twice_ms = timebase.samples_to_ms(np.arange(2 * N), rate_hz)
near_the_seam = (twice_ms > 21) & (twice_ms < 29)
for shape, offset, place in [(np.ones(N), 1.3, 0), (hann, -1.3, 1)]:
    repeated = np.tile(shape * tones, 2) + offset
    axes[0].plot(twice_ms[near_the_seam], repeated[near_the_seam],
                 color=plots.COLOURS[place], linestyle=plots.LINES[place])
axes[0].axvline(25, color="black", linestyle=":")
axes[0].text(21.2, 2.55, "rectangular", color=plots.COLOURS[0])
axes[0].text(21.2, -0.35, "Hann", color=plots.COLOURS[1])
axes[0].set(xlabel="time (ms)", yticks=[], ylim=(-2.6, 3), title="A frame, repeated")
spectra = {"rectangular": rectangular_db, "Hann": hann_db}
plots.lines(bin_hz * np.arange(N // 2 + 1) / 1000, spectra, axes[1],
            xlabel="frequency (kHz)", ylabel="level (dB)")
axes[1].annotate("weak tone", (75 * bin_hz / 1000, -58), (3.9, -25),
                 arrowprops={"arrowstyle": "->"})
axes[1].set(xlim=(0, 6), ylim=(-110, 5), title="Its spectrum")
show(fig, alt="Left: a frame of a tone, repeated. The rectangular frame jumps at the "
     "seam, the Hann-windowed one fades to zero there. Right: spectra. The rectangular "
     "one stays above -50 dB everywhere; with Hann the level falls steeply on both "
     "sides of the loud tone, and the weak tone at 3 kHz stands out at -60 dB.",
     caption="A loud tone between two bins and a weak one 60 dB below it.")

# %%
around = [60, 61, 62, 88, 89, 90]  # bins on both sides of the weak tone
rectangular_leak_db = rectangular_db[around].mean()
hann_leak_db = hann_db[around].mean()
answer("01.b", "Hann")
say(f"Around 3 kHz the loud tone leaks at {rectangular_leak_db:.0f} dB through the "
    f"rectangular window and at {hann_leak_db:.0f} dB through Hann. The weak tone lies "
    "at -60 dB: the plain frame drowns it, and the windowed frame shows it.")

# %% [markdown]
# This is **leakage**: energy of a tone that shows up at other frequencies. The Hann
# window reduces it, at the price of a wider peak.
#
# Why wider? Multiplying in time means convolving in frequency, so every line of the
# spectrum takes the shape of the window's own transform. For the Hann window
#
# $$ w[n] = \tfrac12 - \tfrac12 \cos\frac{2\pi n}{N} $$
#
# we can read that shape off. In frequency, the formula is the sum of three copies of the
# rectangular window's transform: one as it is and, from the cosine, one moved up and one
# moved down by one bin. Their weights are $\frac12, -\frac14, -\frac14$. Each copy is
# zero at every whole bin except its own, because a wave sums to zero over whole
# periods. So the magnitude of the sum is, in units of $N$, $\frac12$ at bin 0,
# $\frac14$ at bins $\pm 1$, and zero at all other whole bins. The main lobe ends at the
# first of these zeros:
#
# $$ \text{main lobe from } -\frac{2}{N} \text{ to } +\frac{2}{N},
#    \quad \text{half as high at } \pm\frac{1}{N} \text{ as at its top.} $$
#
# With $N$ in seconds these are frequencies in Hz. Section 5 needs the points at
# half height, and section 6 the ends of the main lobe. The next cell measures the width
# at half height, and more, for four common windows.

# %%
PAD = 64  # points per bin, by adding zeros to the window before the transform


def transform_db(window):
    """A window's transform in dB below its top, `PAD` points per bin."""
    spectrum = np.abs(np.fft.rfft(window, len(window) * PAD))
    return 20 * np.log10(np.maximum(spectrum / spectrum[0], 1e-9))


def describe_window(window):
    """Four numbers that characterise the shape of a window."""
    db = transform_db(window)
    # The level falls from the top to the end of the main lobe, then rises again
    first_zero = np.flatnonzero(np.diff(db) > 0)[0]
    main_lobe = db[:first_zero]
    # At how many bins has the main lobe fallen to half its height, that is, by 6.02 dB?
    # (np.interp needs rising values, hence the minus sign)
    half_height = np.interp(6.02, -main_lobe, np.arange(first_zero)) / PAD
    power = np.abs(np.fft.fft(window)) ** 2  # one value per bin
    return {
        "width (bins)": 2 * half_height,
        "side lobe (dB)": db[first_zero:].max(),
        "ENBW (bins)": power.sum() / power[0],
        "scalloping (dB)": -db[PAD // 2],  # half a bin from the top
    }


SHAPES = {"rectangular": "boxcar", "Hann": "hann", "Hamming": "hamming",
          "Blackman": "blackman"}
windows = {name: signal.get_window(shape, 1024) for name, shape in SHAPES.items()}
shapes = pd.DataFrame({name: describe_window(w) for name, w in windows.items()}).T
display(shapes.round(2))

# %% [markdown]
# - **width**: the width of the main lobe at half its height. Two equal tones closer than
#   this merge while they are in phase (Harris, 1978). Averaged over all phases, as in
#   section 5, they show a dip of about 3 dB at this distance, and a shallower one when
#   they are a little closer.
# - **side lobe**: the level of the highest side lobe, the most that leaks outside the
#   main lobe.
# - **ENBW**, the *equivalent noise bandwidth*: the width of an ideal filter with the same
#   peak that lets the same amount of noise through.
# - **scalloping**: how much level a tone loses if it lies half-way between two bins.

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 3.2))
curves = {}
for name in ("rectangular", "Hann", "Blackman"):
    curves[name] = transform_db(windows[name])[: 10 * PAD]
plots.lines(np.arange(10 * PAD) / PAD, curves, ax,
            xlabel="distance from the tone (bins)", ylabel="level (dB)")
ax.set(ylim=(-100, 3), xlim=(0, 10))
show(fig, alt="Level against distance from a tone in bins. The rectangular window has "
     "the narrowest main lobe and the highest side lobes, Hann a main lobe of two bins "
     "to each side and lower side lobes, Blackman three bins and the lowest side "
     "lobes.",
     caption="What one tone looks like through three windows.")

# %%
width = shapes["width (bins)"]
side_lobe = shapes["side lobe (dB)"]
say("To separate two tones in phase, the rectangular window needs "
    f"{width['rectangular']:.1f} bins between them, but its side lobes reach "
    f"{side_lobe['rectangular']:.0f} dB. Hann needs {width['Hann']:.1f} bins; its side "
    f"lobes reach {side_lobe['Hann']:.0f} dB and fall off faster. Every shape is a "
    "compromise. This course uses Hann.")

# %% [markdown]
# ### Exercise 01.2
#
# The cell above the table computed the equivalent noise bandwidth in frequency: the
# area under the power spectrum of the window, divided by its peak. Compute it from the
# samples of the window, without a Fourier transform:
#
# $$ \mathrm{ENBW} = N \; \frac{\sum_n w_n^2}{\left(\sum_n w_n\right)^2} $$
#
# Before you write it, explain why a window that fades in and out has a larger bandwidth
# than the rectangular one. Then compare your explanation with ours.
#
# <details><summary>Hint</summary>
#
# `w` is an array. The sum of the squares is not the square of the sum.
#
# </details>
#
# <details><summary>Our explanation</summary>
#
# The samples near the ends hardly count, so the window is effectively shorter, and the
# main lobe of a shorter window is wider. It lets through more noise *relative to a tone*
# at its peak, not more noise as such: the window also weakens the tone. In the formula,
# $N \sum w_n^2 / (\sum w_n)^2$ is 1 if all $w_n$ are equal, and grows as they become less
# equal. (It is one plus the variance of $w_n$ divided by the square of their mean.)
#
# </details>

# %% tags=["exercise"]
def enbw_bins(w):
    ### BEGIN SOLUTION
    return len(w) * np.sum(w**2) / np.sum(w) ** 2
    ### END SOLUTION


check("01.2", enbw_bins)

# %% [markdown]
# ## 4. How close may two clicks be?
#
# Two clicks lie $d$ apart. We take a frame at every single sample, so the hop is as fine
# as it can be. **Predict:** how far apart must the clicks be, as a fraction of the window
# length $N$, before the energy of the frames dips between them?

# %%
predict("01.c", ..., "At which fraction of N does a dip first appear?")

# %%
CLICK_WINDOW = 1200  # window length in samples; only fractions of it matter here


def energy_of_two_clicks(distance):
    """Energy of all frames at hop 1 around two clicks `distance` samples apart."""
    x = np.zeros(4 * CLICK_WINDOW)
    first = 2 * CLICK_WINDOW - distance // 2
    x[first] = 1.0
    x[first + distance] = 1.0
    frames = frames_of(x, CLICK_WINDOW, hop=1) * signal.get_window("hann", CLICK_WINDOW)
    return np.sum(frames**2, axis=1)


def dip_db(energy):
    """How far the energy half-way between the clicks lies below its maximum, in dB."""
    half_way = energy[len(energy) // 2]  # the frame centred between the clicks
    return 10 * np.log10(energy.max() / half_way)


fractions = [0.3, 0.4, 0.5, 0.6, 0.75]
dips = {}
for fraction in fractions:
    energy = energy_of_two_clicks(round(fraction * CLICK_WINDOW))
    dips[fraction] = dip_db(energy)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 3.6))
traces = {}
for fraction in (0.3, 0.5, 0.75):
    energy = energy_of_two_clicks(round(fraction * CLICK_WINDOW))
    traces[f"d = {fraction:g} N"] = 10 * np.log10(np.maximum(energy, 1e-4))
middles = (np.arange(len(energy)) - 1.5 * CLICK_WINDOW) / CLICK_WINDOW
plots.lines(middles, traces, ax, xlabel="middle of the frame (window lengths)",
            ylabel="energy (dB)")
ax.set(ylim=(-20, 3), xlim=(-1, 1))
show(fig, alt="Energy of the frames against time for two clicks. At a distance of 0.3 "
     "window lengths there is a single hump, at 0.5 a shallow dip of 3 dB, at 0.75 two "
     "separate humps.",
     caption="Two clicks through a Hann window at a hop of one sample.")

# %%
first_dip = CLICK_WINDOW
# The first distance whose dip exceeds a thousandth of a decibel
for distance in range(CLICK_WINDOW // 4, CLICK_WINDOW // 2):
    if dip_db(energy_of_two_clicks(distance)) > 0.001:
        first_dip = distance
        break
answer("01.c", first_dip / CLICK_WINDOW, unit="of N", within=0.05)
listed = ", ".join(f"{dip:.1f} dB at {fraction:g} N" for fraction, dip in dips.items())
say(f"Depth of the dip between the clicks: {listed}.")

# %% [markdown]
# Why at about a third? Measured from its middle, the Hann window is $\cos^2(\pi t/N)$, so
# it weights energy by $w^2(t) = \cos^4(\pi t/N)$. Each click adds one such hump to the
# energy curve. Half-way between the clicks, each hump has its value at $t = d/2$, and the
# sum is $2\cos^4(\pi d / 2N)$.
#
# *Where the dip begins.* The sum has a dip in the middle if both humps curve upwards
# there, and a hump curves upwards beyond its inflection point. With $u = \pi t/N$,
#
# $$ \frac{d^2}{du^2}\cos^4 u = 4\cos^2 u \,(3\sin^2 u - \cos^2 u) = 0
#    \;\Rightarrow\; \tan^2 u = \tfrac13 \;\Rightarrow\; u = \tfrac{\pi}{6}, $$
#
# that is $t = d/2 = N/6$, and so $d = N/3$. (The cell above finds slightly more, because
# it looks for a dip that is large enough to measure.)
#
# *How deep it is at half a window.* If $d = N/2$, a frame centred on one click does not
# reach the other, so its energy is 1. Half-way it is $2\cos^4(\pi/4) = \frac12$, which is
# $-3.01$ dB.
#
# **Two clicks must be more than a third of the window apart to show any dip, and half a
# window apart for a clear dip of 3 dB.** A finer hop does not help: ours was already a
# single sample.

# %% [markdown]
# ## 5. One window for two clicks and two notes?
#
# Let us put sections 3 and 4 together. The next sound has two clicks, 20 ms apart, and
# underneath them two notes, 60 Hz apart. Is there a window that separates both the
# clicks and the notes?
#
# Section 4 gives an upper limit: for a dip of 3 dB between the clicks, $N \le 2d$.
#
# Section 3 gives a lower limit. The frequency half-way between two notes $\Delta f$ apart
# is $\Delta f/2$ away from each. If that distance is $1/N$, each note appears there with
# half its amplitude, a quarter of its power. Averaged over time, the two quarters add
# up to half the power of one note: again a dip of 3 dB. So $N \ge 2/\Delta f$, and
# both limits together are
#
# $$ \frac{2}{\Delta f} = \frac{2}{60\,\text{Hz}} \approx 33\,\text{ms}
#    \;\le\; N \;\le\; 2d = 2 \cdot 20\,\text{ms} = 40\,\text{ms}. $$
#
# So such windows exist, within a range of 7 ms. Before you move the slider below, decide:
# what becomes of the notes with a window of 4 ms, and of the clicks with one of 64 ms?

# %%
CLICKS_S = (0.14, 0.16)
NOTES_HZ = (1000, 1060)

t = np.arange(timebase.seconds_to_samples(0.3, rate_hz)) / rate_hz
notes = np.zeros(len(t))
for note_hz in NOTES_HZ:
    notes += 0.03 * np.sin(2 * np.pi * note_hz * t)
clicks = np.zeros(len(t))
for click_s in CLICKS_S:
    clicks[timebase.seconds_to_samples(click_s, rate_hz)] = 0.9

play_pair(
    {"notes": notes, "notes and clicks": notes + clicks},
    rate_hz,
    describe="A rough tone; then the same with two clicks that nearly fuse.",
)

# %%
N_FFT = 4096  # zero padding: more points along the frequency axis, the same resolution


def power_spectrogram(x, rate_hz, window_ms, hop):
    """Power (frames, bins), centres of the frames in s, frequencies in Hz."""
    window_length = timebase.ms_to_samples(window_ms, rate_hz)
    window = signal.get_window("hann", window_length)
    frames = frames_of(x, window_length, hop) * window
    power = np.abs(np.fft.rfft(frames, N_FFT)) ** 2 / window.sum() ** 2
    centres_s = (np.arange(len(frames)) * hop + window_length / 2) / rate_hz
    return power, centres_s, np.fft.rfftfreq(N_FFT, 1 / rate_hz)


def click_dip_db(window_ms):
    """Dip in the energy of the frames half-way between the clicks, in dB."""
    window_length = timebase.ms_to_samples(window_ms, rate_hz)
    frames = frames_of(clicks, window_length, hop=1)
    energy = np.sum((frames * signal.get_window("hann", window_length)) ** 2, axis=1)
    half_way = timebase.seconds_to_samples(np.mean(CLICKS_S), rate_hz)
    energy_half_way = energy[half_way - window_length // 2]  # the frame centred there
    return 10 * np.log10(energy.max() / max(energy_half_way, 1e-9))


def note_dip_db(window_ms):
    """Dip in the spectrum half-way between the notes, averaged over beats, in dB."""
    hop = timebase.ms_to_samples(0.5, rate_hz)
    power, centres_s, freqs_hz = power_spectrogram(notes, rate_hz, window_ms, hop)
    beat_s = 1 / (NOTES_HZ[1] - NOTES_HZ[0])
    # Over two whole beats, in which the two notes drift in and out of phase
    average = power[centres_s < centres_s[0] + 2 * beat_s].mean(axis=0)
    half_way = np.abs(freqs_hz - np.mean(NOTES_HZ)).argmin()
    near = np.abs(freqs_hz - np.mean(NOTES_HZ)) < 70
    return 10 * np.log10(average[near].max() / average[half_way])

# %% tags=["hide-input"]
def against_top(power):
    """Power in dB below its maximum."""
    return 10 * np.log10(power / power.max() + 1e-6)


def three_views(window_ms):
    """Spectrogram of both; the notes alone beside it, the clicks alone below it."""
    hop = timebase.ms_to_samples(0.5, rate_hz)
    both = notes + clicks
    power, centres_s, freqs_hz = power_spectrogram(both, rate_hz, window_ms, hop)
    click_power, _, _ = power_spectrogram(clicks, rate_hz, window_ms, hop)
    note_power, _, _ = power_spectrogram(notes, rate_hz, window_ms, hop)
    times = (centres_s > 0.09) & (centres_s < 0.21)
    bins = (freqs_hz > 700) & (freqs_hz < 1360)
    times_ms = 1000 * centres_s[times]
    freqs_khz = freqs_hz[bins] / 1000

    fig = plt.figure(figsize=(6.4, 3.9))
    grid = fig.add_gridspec(2, 2, height_ratios=[3, 1], width_ratios=[4, 1])
    image = fig.add_subplot(grid[0, 0])
    shown = against_top(power[times][:, bins])
    image.pcolormesh(times_ms, freqs_khz, shown.T, vmin=-30, vmax=0, shading="nearest")
    image.set(title=f"window {window_ms} ms", ylabel="frequency (kHz)", xlim=(90, 210))

    beside = fig.add_subplot(grid[0, 1], sharey=image)
    whole_beats = centres_s < centres_s[0] + 2 / 60
    spectrum = note_power[whole_beats].mean(axis=0)[bins]
    beside.plot(against_top(spectrum), freqs_khz, linestyle="-")
    beside.set(title="notes", xlim=(-15, 1), xlabel="level (dB)")

    below = fig.add_subplot(grid[1, 0], sharex=image)
    below.plot(times_ms, against_top(click_power.sum(axis=1))[times], linestyle="-")
    below.set(xlabel="time (ms)", ylabel="level (dB)")
    below.set(ylim=(-15, 1), yticks=[-12, -6, 0])
    below.text(92, -13.5, "clicks")
    return fig


WINDOWS_MS = (4, 16, 24, 34, 36, 40, 48, 64, 96)
pictures = {f"{window_ms} ms": three_views(window_ms) for window_ms in WINDOWS_MS}
scrub(
    pictures,
    label="window length",
    start="16 ms",
    caption="Two clicks and two notes, 30 dB from dark to light, at a hop of 0.5 ms.",
    alt="A spectrogram for each window length, with the level of the notes over "
    "frequency at its side and that of the clicks over time below it. At 4, 16 and 24 "
    "ms there are two columns for the clicks and a single band for the notes. At 34, "
    "36 and 40 ms both curves have two humps with a clear dip. At 48 ms the notes are "
    "two lines and the dip between the clicks is slight; from 64 ms on the clicks are "
    "a single blur, crossed by thin horizontal stripes.",
)

# %% [markdown]
# As the window grows, the notes separate and the clicks merge. Around 36 ms both pairs
# are separate. Here are the two dips for every window length from 20 to 60 ms:

# %%
lengths_ms = np.arange(20, 61)
click_dips = np.array([click_dip_db(window_ms) for window_ms in lengths_ms])
note_dips = np.array([note_dip_db(window_ms) for window_ms in lengths_ms])

both_clear = (click_dips >= 3) & (note_dips >= 3)
shortest_ms = int(lengths_ms[both_clear].min())
longest_ms = int(lengths_ms[both_clear].max())

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 3.6))
dip_curves = {"between the clicks": click_dips, "between the notes": note_dips}
plots.lines(lengths_ms, dip_curves, ax, xlabel="window length (ms)", ylabel="dip (dB)")
ax.axhline(3, color="grey", linestyle=":")
ax.axvspan(shortest_ms, longest_ms, color=plots.COLOURS[5], alpha=0.35)
ax.set(ylim=(0, 15), xlim=(20, 60))
show(fig, alt="Depth of the dip in dB against window length. Between the clicks it "
     "falls from above 15 dB to 3 dB at 40 ms; between the notes it rises from 0 "
     "through 3 dB at about 34 ms. A band from about 34 to 40 ms, where both exceed 3 "
     "dB, is shaded.",
     caption="Where both curves exceed 3 dB (shaded), one window shows both pairs.")

# %%
say(f"With windows of {shortest_ms} to {longest_ms} ms, both dips are at least 3 dB "
    f"deep. At 36 ms they are {click_dip_db(36):.1f} dB between the clicks and "
    f"{note_dip_db(36):.1f} dB between the notes.")

# %% [markdown]
# The two limits also say when no window will do. Some window lies between them only if
# $2/\Delta f \le 2d$, that is, if
#
# $$ d \cdot \Delta f \ge 1. $$
#
# Here the product is 20 ms × 60 Hz = 1.2. With the clicks 15 ms apart it would be 0.9,
# and no Hann window of any length could give both pairs a dip of 3 dB.
#
# The hop played no part in this. It was half a millisecond in all pictures, twenty times
# finer than usual. **The hop decides how often you look; the window decides what a look
# can tell apart.**
#
# ### Would another window do better? (optional)
#
# Hardly. Gabor (1946) measured the width of a window by the standard deviations of its
# energy, $\sigma_t$ in time and $\sigma_f$ in frequency, and showed that
# $\sigma_t \, \sigma_f \ge 1/(4\pi)$ for every shape.

# %%
def spread_product(window):
    """Standard deviation of the energy in time times that in frequency."""
    n = np.arange(len(window))
    energy = window**2 / np.sum(window**2)
    mean = np.sum(n * energy)
    sigma_t = np.sqrt(np.sum((n - mean) ** 2 * energy))

    power = np.abs(np.fft.fft(window, PAD * len(window))) ** 2
    freqs = np.fft.fftfreq(PAD * len(window))
    sigma_f = np.sqrt(np.sum(freqs**2 * power) / np.sum(power))
    return sigma_t * sigma_f


bound = 1 / (4 * np.pi)
hann_product = spread_product(signal.get_window("hann", 1024)) / bound
gaussian = signal.get_window(("gaussian", 128), 1024)  # standard deviation 128 samples
gaussian_product = spread_product(gaussian) / bound
say(f"Hann stands at {hann_product:.3f} times the bound, a Gaussian at "
    f"{gaussian_product:.3f} times. By this measure there is little left to gain.")

# %% [markdown]
# (The dips of 3 dB are another measure. For a Gaussian they need a product
# $d \cdot \Delta f$ of $2\ln 4/\pi \approx 0.88$ instead of 1.)
#
# ### What are the stripes? (optional)
#
# At 64 ms the clicks can no longer be told apart in time, but thin horizontal stripes
# appear where they were. Two equal clicks, one at time 0 and one at time $d$, have the
# transform $1 + e^{-2\pi i f d}$. Its power, $2 + 2\cos(2\pi f d)$, rises and falls every
# $1/d$ = 50 Hz. So a frame that contains both clicks still holds their distance. It has
# moved from the *energy* over time into a pattern over *frequency*.

# %%
window_length = timebase.ms_to_samples(64, rate_hz)
half_way = timebase.seconds_to_samples(np.mean(CLICKS_S), rate_hz)
start = half_way - window_length // 2
one_frame = clicks[start : start + window_length]
stripes = np.fft.rfft(one_frame * signal.get_window("hann", window_length), 2**16)
freqs_hz = np.fft.rfftfreq(2**16, 1 / rate_hz)

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(8, 2.8))
low = freqs_hz < 500
stripes_db = 20 * np.log10(np.abs(stripes) / np.abs(stripes).max() + 1e-6)
ax.plot(freqs_hz[low], stripes_db[low], linestyle="-")
ax.set(xlabel="frequency (Hz)", ylabel="level (dB)", ylim=(-50, 3), xlim=(0, 500))
show(fig, alt="Spectrum of one frame of 64 ms with two clicks in it, from 0 to 500 Hz: "
     "it rises and falls every 50 Hz, with deep notches at 25, 75, 125 Hz and so on.",
     caption="One frame that contains both clicks, and nothing else.")

# %% [markdown]
# A classifier can use these stripes if its frequency bands are narrower than the
# stripes. Most mel bands of notebook 02 are wider, and average the stripes away.
#
# ### A sound of your own (optional)
#
# In a live kernel you can look at a sound of your own through any of these windows. (The
# explorer of the course's website does the same with a microphone.)

# %% tags=["hide-input"]
def look_through(x, rate_hz, window_ms):
    """A sound through one window, up to 4 kHz, with about 400 frames."""
    power, centres_s, freqs_hz = power_spectrogram(x, rate_hz, window_ms, len(x) // 400)
    shown = freqs_hz < 4000
    levels_db = 10 * np.log10(power[:, shown] + 1e-14)
    fig, ax = plt.subplots(figsize=(9, 4))
    plots.spectrogram(levels_db, centres_s, freqs_hz[shown], ax, range_db=60)
    ax.set(title=f"window {window_ms} ms")
    return fig


live(look_through, label="window (ms)", values=list(WINDOWS_MS), sound=notes + clicks,
     rate_hz=rate_hz)

# %% [markdown]
# ### Exercise 01.3
#
# The notes are now `tone_distance_hz` apart, and a single Hann window has to show both
# notes and both clicks with dips of at least 3 dB. How close may the clicks be? Return
# the shortest distance in milliseconds.
#
# <details><summary>Hint</summary>
#
# What is the shortest window that separates the notes? How close may clicks be for that
# window to separate them?
#
# </details>

# %% tags=["exercise"]
def closest_clicks_ms(tone_distance_hz):
    ### BEGIN SOLUTION
    window_ms = 1000 * 2 / tone_distance_hz  # lower limit, from the notes
    return window_ms / 2  # upper limit N = 2 d, solved for d
    ### END SOLUTION


check("01.3", closest_clicks_ms)

# %% [markdown]
# ## 6. How short must the hop be? (optional)
#
# If the window decides the resolution, what is the hop for? It has to be short enough
# that nothing is missed *between* the frames.
#
# Pick one frequency bin and compute it for a frame at every sample. The values form a
# signal of their own, which changes slowly, because each of them averages over a whole
# window. A hop of $H$ keeps every $H$-th value. If those are enough, interpolation brings
# back the values in between. Let us try it on white noise.

# %%
BIN_WINDOW = 256
BIN = 64

generator = seed_everything(seed)
noise = generator.standard_normal(BIN_WINDOW * 1024)

# The sum of section 1 for one bin and all frames at hop 1: slide a windowed complex
# wave along the noise. np.correlate conjugates the wave, which gives the minus sign
wave = np.exp(2j * np.pi * BIN * np.arange(BIN_WINDOW) / BIN_WINDOW)
window = signal.get_window("hann", BIN_WINDOW)
bin_values = np.correlate(noise, window * wave, mode="valid")
# At this bin's frequency the phase advances by 2 pi * BIN / BIN_WINDOW per sample.
# Turn it back by as much, so that only the slow changes remain
m = np.arange(len(bin_values))
bin_values = bin_values * np.exp(-2j * np.pi * BIN * m / BIN_WINDOW)
bin_power = np.abs(bin_values) ** 2
bin_db = 10 * np.log10(bin_power)

# %%
def interpolated(values, hop):
    """Keep every `hop`-th value and interpolate back to hop 1."""
    kept = values[::hop]
    # Writes the kept values as a sum of sine waves and evaluates that at hop 1
    return signal.resample(kept, len(kept) * hop)[: len(values)]


def error_db(guess, truth):
    """Mean squared error relative to the variance of the truth, in dB."""
    inside = slice(100 * BIN_WINDOW, -100 * BIN_WINDOW)  # away from both ends
    error = np.abs(guess[inside] - truth[inside]) ** 2
    return 10 * np.log10(np.mean(error) / np.var(truth[inside]))


rows = {}
for divisor in (2, 4, 8, 16):
    hop = BIN_WINDOW // divisor
    complex_guess = interpolated(bin_values, hop)
    rows[f"N/{divisor}"] = {
        "complex": error_db(complex_guess, bin_values),
        "power": error_db(interpolated(bin_power, hop), bin_power),
        "log power": error_db(interpolated(bin_db, hop), bin_db),
        "complex, then log": error_db(20 * np.log10(np.abs(complex_guess)), bin_db),
    }
errors = pd.DataFrame(rows).T
display(errors.style.format("{:.0f}"))

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(9, 3.3))
stretch = np.arange(500 * BIN_WINDOW, 506 * BIN_WINDOW)
lengths = (stretch - stretch[0]) / BIN_WINDOW
hop = BIN_WINDOW // 8
kept = stretch[stretch % hop == 0]
scale = bin_power[stretch].mean()
for ax, truth, label in [(axes[0], bin_power / scale, "power / mean"),
                         (axes[1], bin_db - 10 * np.log10(scale), "power (dB)")]:
    ax.plot(lengths, truth[stretch], linestyle="-", label="hop 1")
    ax.plot(lengths, interpolated(truth, hop)[stretch], linestyle="--",
            label="interpolated from N/8")
    ax.plot((kept - stretch[0]) / BIN_WINDOW, truth[kept], "o", markersize=4,
            color="black")
    ax.set(xlabel="time (window lengths)", ylabel=label)
axes[1].legend(loc="lower center")
show(fig, alt="One frequency bin over six window lengths. Left, its power at hop 1 and "
     "interpolated from every eighth of a window: the curves lie on each other. Right, "
     "the same in dB: they differ at the sharp notches, where the power comes close to "
     "zero.",
     caption="One bin of white noise. Dots: the frames that a hop of N/8 keeps.")

# %% [markdown]
# The table gives the error of interpolation in dB; at -20 dB, the mean squared error is
# a hundredth of the variance. Theory predicts where its first two columns become small.
# The Hann main lobe reaches $\pm 2/N$, so the complex value hardly changes faster than
# that and needs $4/N$ samples per second: a hop of $N/4$. Squaring doubles the
# bandwidth, so power needs a hop of $N/8$.
#
# The logarithm behaves differently. Wherever the power comes close to zero, its
# logarithm has a narrow notch, and no usual hop is short enough to follow it. The last
# column shows that nothing is missing from the frames themselves: interpolate the
# complex values first, take the logarithm afterwards, and the notches come back.

# %%
log_penalty_db = float(errors.loc["N/8", "log power"] - errors.loc["N/8", "power"])
conclude(
    "log_penalty",
    log_penalty_db,
    unit="dB",
    if_clear=f"At a hop of N/8 the error of log power is {log_penalty_db:.0f} dB above "
    "that of power. A finer hop adds next to nothing to complex values or power, but "
    "log power, which most classifiers get, still gains from one.",
    if_not="This run cannot tell whether log power is harder to interpolate.",
)

# %% [markdown]
# The usual setting, a window of 25 ms with a hop of 10 ms, has a hop of $0.4\,N$. For
# a single bin that is too long, even for the complex values. All bins together still
# hold everything, as section 8 will show. But a classifier gets one level per band and
# frame, and that level can mislead. The next section shows how.

# %% [markdown]
# ## 7. What happens when the hop is too long?
#
# ### The sampling theorem
#
# A signal that contains nothing above a frequency $B$ can be recovered from its samples
# if there are more than $2B$ of them per second. This is the *sampling theorem* (Nyquist,
# 1928; Shannon, 1949). With fewer samples, a component above half the sampling rate $f_s$
# does not vanish. It *folds* back and appears at another frequency, which is called
# *aliasing*:
#
# $$ f_{\text{reported}} = \min_j \, |f - j f_s|, \qquad j = 0, 1, 2, \dots $$
#
# You can hear this. A tone glides from 0.2 to 7.8 kHz. Then we keep every second sample,
# so that anything above 4 kHz folds. **Predict** what you will hear before you press
# play.

# %%
duration_s = 0.5
t = np.arange(timebase.seconds_to_samples(duration_s, rate_hz)) / rate_hz
top_hz = rate_hz / 2 - 200
glide = 0.5 * signal.chirp(t, f0=200, t1=duration_s, f1=top_hz)
every_second = signal.resample(glide[::2], len(glide))  # at the old rate, to play it

play_pair(
    {"all samples": glide, "every second sample": every_second},
    rate_hz,
    describe="A tone that glides up to the highest pitch; then one that glides up half "
    "as far, turns and glides down again.",
)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(10, 3.4), sharey=True)
hop = timebase.ms_to_samples(5, rate_hz)
for ax, x, title in [(axes[0], glide, "all samples"),
                     (axes[1], every_second, "every second sample")]:
    power, centres_s, freqs_hz = power_spectrogram(x, rate_hz, 25, hop)
    coarse = slice(None, None, 8)
    levels_db = 10 * np.log10(power[:, coarse] + 1e-14)
    plots.spectrogram(levels_db, centres_s, freqs_hz[coarse], ax, range_db=50)
    ax.set(title=title)
axes[1].set_ylabel("")
show(fig, alt="Two spectrograms. Left, a line that rises from 0.2 to 7.8 kHz. Right, "
     "with every second sample only, it rises to 4 kHz and falls back again.",
     caption="Above half the sampling rate, a rising tone falls.")

# %% [markdown]
# ### Frames are samples too
#
# The same happens to everything that a spectrogram measures once per frame. Take a 2 kHz
# tone whose energy rises and falls 60 times per second,
# $e(t) = 1 + 0.8\cos(2\pi \cdot 60\,t)$. This is called *modulation*, here with a rate of
# 60 Hz and a depth of 0.8. Look at the tone every 10 ms, which makes 100 frames per
# second. **Predict:** which modulation rate do the energies of the frames report?

# %%
predict("01.d", ..., "Which modulation rate, in Hz, do the frames report?")

# %%
def buzz(modulation_hz, length_s):
    """A 2 kHz tone whose energy is modulated at `modulation_hz`."""
    t = np.arange(timebase.seconds_to_samples(length_s, rate_hz)) / rate_hz
    energy = 1 + 0.8 * np.cos(2 * np.pi * modulation_hz * t)
    return 0.5 * np.sqrt(energy) * np.sin(2 * np.pi * 2000 * t)


def frame_energy(x, window_ms, hop_ms):
    """Energy of each frame, divided by its mean over all frames."""
    window_length = timebase.ms_to_samples(window_ms, rate_hz)
    hop = timebase.ms_to_samples(hop_ms, rate_hz)
    window = signal.get_window("hann", window_length)
    energy = np.sum((frames_of(x, window_length, hop) * window) ** 2, axis=1)
    return energy / energy.mean()


def strongest_modulation(energy, hop_ms):
    """Rate in Hz and depth of the strongest modulation."""
    taper = signal.get_window("hann", len(energy))
    spectrum = np.abs(np.fft.rfft((energy - energy.mean()) * taper, 2**16))
    rates_hz = np.fft.rfftfreq(2**16, hop_ms / 1000)
    peak = spectrum.argmax()
    depth = 2 * spectrum[peak] / taper.sum()  # amplitude of the cosine, as in section 3
    return rates_hz[peak], depth


modulated = buzz(60, length_s=4)
every_1_ms = frame_energy(modulated, window_ms=4, hop_ms=1)
every_10_ms = frame_energy(modulated, window_ms=4, hop_ms=10)
true_rate_hz, _ = strongest_modulation(every_1_ms, hop_ms=1)
false_rate_hz, false_depth = strongest_modulation(every_10_ms, hop_ms=10)
answer("01.d", round(float(false_rate_hz), 1), unit="Hz", within=0.02)
say(f"With a hop of 1 ms the frames report {true_rate_hz:.0f} Hz, and with a hop of 10 "
    f"ms {false_rate_hz:.0f} Hz at a depth of {false_depth:.2f}: 60 Hz has folded to "
    "|60 - 100| = 40 Hz.")

# %% tags=["hide-input"]
HOPS_MS = (1, 8, 10, 12, 14, 16.6875, 20)
fine = frame_energy(modulated, 4, 1)
pictures = {}
for hop_ms in HOPS_MS:
    energy = frame_energy(modulated, 4, hop_ms)
    reported, _ = strongest_modulation(energy, hop_ms)
    fig, ax = plt.subplots(figsize=(6, 2.3))
    ax.plot(np.arange(len(fine)), fine, "-", color="silver")
    ax.plot(np.arange(len(energy)) * hop_ms, energy, "o--", color=plots.COLOURS[1])
    ax.set(xlim=(0, 150), ylim=(0, 2), xlabel="start of the frame (ms)")
    ax.set_ylabel("energy / mean")
    if reported < 1:
        ax.set_title(f"hop {hop_ms:.3g} ms: the frames seem to stand still")
    else:
        ax.set_title(f"hop {hop_ms:.3g} ms: the frames report {reported:.0f} Hz")
    pictures[f"{hop_ms:.3g} ms"] = fig

scrub(
    pictures,
    label="hop",
    start="10 ms",
    caption="Grey: a modulation of 60 Hz. Dots: the energy of the frames, 4 ms window.",
    alt="Energy of the frames over 150 ms for hops of 1 to 20 ms, over a grey curve "
    "that rises and falls 60 times per second. Up to 8 ms the points follow it. From "
    "10 ms on they form slower rhythms of 40, 23 and 11 Hz, stand still at 16.7 ms, "
    "and make one of 10 Hz with a hop of 20 ms.",
)

# %% [markdown]
# Once the modulation is faster than half the frame rate, the frames show a rhythm that is
# not in the sound. As the hop approaches 16.7 ms, one period of the modulation, the false
# rhythm slows down until it stands still, like the spokes of a wheel in a film. Listen to
# the sound, and then to a sound with the rhythm that frames every 10 ms report:

# %%
play_pair(
    {"60 Hz, the sound": buzz(60, length_s=0.4),
     "40 Hz, as reported": buzz(40, length_s=0.4)},
    rate_hz,
    describe="A 2 kHz tone that buzzes 60 times per second; then one that buzzes more "
    "slowly, 40 times per second.",
)

# %% [markdown]
# ### The window as a low-pass filter
#
# Before sound is sampled, a low-pass filter removes what would fold. Frames have such a
# filter built in, the window: the energy of a frame is an average of $e(t)$, weighted by
# $w^2$. A longer window averages the modulation away before the hop can fold it.

# %%
rows = []
for window_ms in (4, 10, 25, 40, 50, 64):
    energy = frame_energy(modulated, window_ms, hop_ms=10)
    _, depth = strongest_modulation(energy, hop_ms=10)
    rows.append((window_ms, depth))
filtered = pd.DataFrame(rows, columns=["window (ms)", "depth"])
display(filtered.style.format({"depth": "{:.3f}"}).hide(axis="index"))

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 3.2))
window_lengths_ms = np.arange(2, 81, 2)
depths = []
for window_ms in window_lengths_ms:
    _, depth = strongest_modulation(frame_energy(modulated, window_ms, 10), hop_ms=10)
    depths.append(depth)
ax.plot(window_lengths_ms, depths, linestyle="-", marker="o", markersize=4)
ax.set(xlabel="window length (ms)", ylabel="depth of the false rhythm", ylim=(0, 0.85))
show(fig, alt="Depth of the false 40 Hz rhythm against window length: it falls from "
     "0.8 at 2 ms to zero at 50 ms and stays close to zero for longer windows.",
     caption="A longer window removes the modulation before the hop can fold it.")

# %% [markdown]
# The 4 ms window leaves the false rhythm nearly at its full depth of 0.8. The usual
# window of 25 ms weakens it, and one of 50 ms removes it. So the window does two jobs: it
# sets the resolution, and it keeps the hop from inventing rhythms. **The window is the
# low-pass filter that the hop needs.**

# %% [markdown]
# ### Exercise 01.4
#
# A sound is modulated at `modulation_hz`, and the window is too short to remove the
# modulation. Return the rate that frames at a hop of `hop_ms` report. It lies between 0
# and half the frame rate.
#
# <details><summary>Hint</summary>
#
# The remainder of a division by the frame rate lies between 0 and the frame rate. What
# happens to a remainder in the upper half of that range?
#
# </details>

# %% tags=["exercise"]
def reported_hz(modulation_hz, hop_ms):
    ### BEGIN SOLUTION
    frame_rate = 1000 / hop_ms
    remainder = modulation_hz % frame_rate
    return min(remainder, frame_rate - remainder)
    ### END SOLUTION


check("01.4", reported_hz)

# %% [markdown]
# ### Exercise 01.5
#
# Change a setting, predict and explain. A modulation of 60 Hz vanishes from the frames
# when the window is 50 ms long. What is the shortest window that removes one of 80 Hz?
# Write down your prediction. Then try some lengths:
#
# `strongest_modulation(frame_energy(buzz(80, 4), window_ms, 10), 10)`
#
# Use a formula to explain what you find, and return the length in ms for any rate.
#
# <details><summary>Hint</summary>
#
# The weight of the energy is
# $w^2 = \frac38 - \frac12\cos\frac{2\pi n}{N} + \frac18\cos\frac{4\pi n}{N}$. Do with it
# what section 3 did with the Hann window: how many bins from the centre is the first
# zero of its transform?
#
# </details>

# %% tags=["exercise"]
def removing_window_ms(modulation_hz):
    ### BEGIN SOLUTION
    # w**2 has components at 0, 1 and 2 bins: the first zero lies at 3 bins, 3 / N
    return 1000 * 3 / modulation_hz
    ### END SOLUTION


check("01.5", removing_window_ms)

# %% [markdown]
# ## 8. What is lost, and where?
#
# ### Nothing, as long as we keep the complex values
#
# The complex STFT gives back the waveform exactly: transform every column back, multiply
# it by the window again, add the frames up where they overlap, and divide by the sum of
# the squared windows. This works wherever that sum is not zero.

# %%
def inverse_stft(columns, window_length, hop):
    """Waveform from the complex STFT, by overlap and add."""
    window = signal.get_window("hann", window_length)
    n_samples = window_length + (len(columns) - 1) * hop
    total = np.zeros(n_samples)
    weight = np.zeros(n_samples)
    for m, column in enumerate(columns):
        here = slice(m * hop, m * hop + window_length)
        total[here] += window * np.fft.irfft(column, window_length)
        weight[here] += window**2
    return total / np.maximum(weight, 1e-10)


one_second = noise[:16_000]  # of the white noise made in section 6
rows = []
for window_length, hop in [(400, 160), (512, 128), (512, 256), (512, 512)]:
    columns = stft(one_second, window_length, hop)
    returned = inverse_stft(columns, window_length, hop)
    inside = slice(window_length, len(returned) - window_length)  # away from the ends
    largest_error = np.abs(returned[inside] - one_second[inside]).max()
    every_sample_counts = signal.check_NOLA("hann", window_length, window_length - hop)
    rows.append((window_length, hop, every_sample_counts, largest_error))
returns = pd.DataFrame(rows, columns=["window", "hop", "sum above 0", "error"])
display(returns.style.format({"error": "{:.0e}"}).hide(axis="index"))

# %% [markdown]
# The first row is the usual 25 ms with a hop of 10 ms, and it loses nothing: its errors
# are rounding errors. The last row does lose something. With a hop as long as the window,
# the first sample of each frame has the weight 0, and no other frame contains it. (The
# condition is called NOLA, *nonzero overlap-add*.)
#
# How can that be, when a hop of 10 ms invented a rhythm in section 7? There we kept *one
# number* per frame, its energy, and 100 numbers per second cannot follow a modulation
# of 60 Hz. The complex frames of 25 ms have 201 numbers each, and together they hold
# it. (Complex frames of 4 ms would not: at a hop of 10 ms they skip most of the
# samples.)
#
# ### Phase, and what it does
#
# A complex number has a magnitude and a phase. Spectrograms, and all features made from
# them, keep the magnitude and drop the phase. To hear what the phase does, take two
# ticks, keep all magnitudes, replace the phases by random ones, and go back to a
# waveform.

# %%
ticks = np.zeros(timebase.seconds_to_samples(0.6, rate_hz))
# A burst of 33 samples at a fifth of the sample rate
knock = signal.get_window("hann", 33) * np.sin(2 * np.pi * np.arange(33) / 5)
for tick_s in (0.15, 0.45):
    start = timebase.seconds_to_samples(tick_s, rate_hz)
    ticks[start : start + len(knock)] = 0.9 * knock / np.abs(knock).max()


def with_random_phase(x, window_ms):
    """Keep the magnitudes of the STFT of `x`, replace its phases, and go back."""
    window_length = timebase.ms_to_samples(window_ms, rate_hz)
    hop = window_length // 4
    padded = np.pad(x, window_length)
    magnitudes = np.abs(stft(padded, window_length, hop))
    # `generator` is the random generator made in section 6
    phases = generator.uniform(0, 2 * np.pi, magnitudes.shape)
    y = inverse_stft(magnitudes * np.exp(1j * phases), window_length, hop)
    return y[window_length : window_length + len(x)]


short_window = with_random_phase(ticks, 4)
long_window = with_random_phase(ticks, 64)

# %% tags=["hide-input"]
fig, axes = plt.subplots(3, 1, figsize=(9, 4.6), sharex=True)
versions = {
    "the ticks": ticks,
    "magnitudes of 4 ms windows, random phase": short_window,
    "magnitudes of 64 ms windows, random phase": long_window,
}
for row, (title, y) in enumerate(versions.items()):
    ax = axes[row]
    peak = np.abs(y).max()
    plots.waveform(y / peak, rate_hz, ax)
    ax.set(title=title, xlabel="", ylabel="", yticks=[])
axes[-1].set_xlabel("time (ms)")
show(fig, alt="Three waveforms of 0.6 s. Two ticks; the ticks from magnitudes of 4 ms "
     "windows with random phases, still sharp; and from 64 ms windows, where each tick "
     "has become a puff of noise about 100 ms long.",
     caption="Ticks with their own and with random phases, scaled to equal height.")

# %%
play_pair(
    {"4 ms windows": 0.7 * short_window / np.abs(short_window).max(),
     "64 ms windows": 0.7 * long_window / np.abs(long_window).max()},
    rate_hz,
    describe="Two ticks, still sharp; then two soft puffs of noise in their place.",
)

# %% [markdown]
# How long is a tick now? Let us measure it by the standard deviation of its energy in
# time:

# %%
def tick_spread_ms(y):
    """Standard deviation in time of the energy around the first tick, in ms."""
    t_ms = timebase.samples_to_ms(np.arange(len(y)), rate_hz)
    near = t_ms < 300
    energy = y[near] ** 2 / np.sum(y[near] ** 2)
    mean_ms = np.sum(t_ms[near] * energy)
    return np.sqrt(np.sum((t_ms[near] - mean_ms) ** 2 * energy))


short_ms = tick_spread_ms(short_window)
long_ms = tick_spread_ms(long_window)
conclude(
    "phase_smear",
    long_ms - short_ms,
    unit="ms",
    if_clear=f"With random phases, the standard deviation is {short_ms:.1f} ms for "
    f"windows of 4 ms and {long_ms:.0f} ms for windows of 64 ms: the longer the "
    "window, the further a tick spreads.",
    if_not="This run does not show that a longer window spreads the tick further.",
)

# %% [markdown]
# The magnitudes of a frame show *that* it contains a tick; the phases hold *where*.
# Random phases therefore spread the tick over the whole window. Overlapping frames give
# some of this back, since a tick at the edge of one frame is in the middle of another,
# and notebook 02 uses that to make sound from magnitudes. But a classifier does not
# rebuild the sound. It gets the magnitudes as they are, and for them the limits of
# sections 4 and 5 hold.

# %% [markdown]
# ## 9. Can phase sharpen a spectrogram? (optional)
#
# If the phase holds where inside a frame the energy lies, we can compute that place.
# Transform every frame twice, once with the window $w[n]$ and once with the window times
# time, $n\,w[n]$, where $n = 0$ is the middle of the frame. For a click at $n_0$ the
# first transform is $w[n_0]\,e^{-2\pi i k n_0/N}$. The second is the same times
# $n_0$, so dividing it by the first gives $n_0$. *Reassignment* moves every value to
# the time found in this way (Auger and Flandrin, 1995).

# %%
def reassigned_time_s(x, window_length, hop):
    """Centres of the frames, and where reassignment puts their energy, both in s."""
    window = signal.get_window("hann", window_length)
    n = np.arange(window_length) - window_length / 2
    frames = frames_of(x, window_length, hop)
    plain = np.fft.rfft(frames * window)
    ramped = np.fft.rfft(frames * window * n)
    power = np.abs(plain) ** 2
    # Each bin finds the time Re(ramped / plain). We need their mean, weighted by power.
    # Time * power needs no division: ramped / plain * |plain|**2 = ramped * conj(plain)
    products = (ramped * plain.conj()).real
    moved_by = np.sum(products, axis=1) / (np.sum(power, axis=1) + 1e-20)
    centres = np.arange(len(frames)) * hop + window_length / 2
    return centres / rate_hz, (centres + moved_by) / rate_hz


window_length = timebase.ms_to_samples(25, rate_hz)
centres_s, found_s = reassigned_time_s(clicks, window_length, hop=8)
# Frames of 25 ms that contain the first click and not the second, 20 ms later
first_only = (centres_s > CLICKS_S[0] - 0.010) & (centres_s < CLICKS_S[0] + 0.005)
first_found_ms = 1000 * found_s[first_only]

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 3.6))
seen = (centres_s > CLICKS_S[0] - 0.012) & (centres_s < CLICKS_S[1] + 0.012)
ax.plot(1000 * centres_s[seen], 1000 * centres_s[seen], linestyle="--",
        color=plots.COLOURS[1], label="without reassignment")
ax.plot(1000 * centres_s[seen], 1000 * found_s[seen], linestyle="-",
        color=plots.COLOURS[0], label="with reassignment")
for click_s in CLICKS_S:
    ax.axhline(1000 * click_s, color="grey", linestyle=":")
ax.set(xlabel="centre of the frame (ms)", ylabel="time of its energy (ms)")
ax.legend(loc="upper left")
show(fig, alt="Time that reassignment finds against the centre of the frame, for "
     "clicks at 140 and 160 ms and a window of 25 ms. The curve is flat at 140 ms, "
     "slopes from one click to the other where the frame contains both, and is flat at "
     "160 ms.",
     caption="Where 25 ms frames place the two clicks (dotted lines).")

# %% [markdown]
# Every frame that contains one click finds its exact time, so the curve is flat at 140
# and at 160 ms. A frame that contains both clicks has one answer for two events, and the
# answer lies somewhere between them. Reassignment sharpens a single event, but does not
# separate two.
#
# Librosa does the same for every bin, both in time and in frequency. It finds the
# frequency from the way the phase changes over time:

# %%
import warnings

tone = np.sin(2 * np.pi * 1013.7 * np.arange(rate_hz) / rate_hz)
with warnings.catch_warnings(action="ignore"):  # librosa 0.11 warns about empty bins
    freqs, _, magnitudes = librosa.reassigned_spectrogram(
        tone, sr=rate_hz, n_fft=512, win_length=400, hop_length=160
    )
loudest = magnitudes[:, 50].argmax()  # bin; frame 50 is in the middle of the second
tone_hz = float(freqs[loudest, 50])
largest_error_ms = np.abs(first_found_ms - 1000 * CLICKS_S[0]).max()
bin_of_tone_hz = loudest * rate_hz / 512
say(f"In {len(first_found_ms)} frames that contain only the first click, the largest "
    f"error in its time is {largest_error_ms:.1g} ms. A tone at 1013.7 Hz falls into "
    f"the bin at {bin_of_tone_hz:.0f} Hz, and librosa reassigns it to {tone_hz:.1f} "
    "Hz.")

# %% [markdown]
# ## What we saw

# %%
say(f"""- One second at 16 kHz gives {centred_frames} centred frames at 25 / 10 ms. An
  odd window can lose one.
- Through a Hann window, two clicks more than a third of its length apart begin to show
  a dip, and at half its length the dip is {dips[0.5]:.1f} dB. No hop changes that.
- With a window of {shortest_ms} to {longest_ms} ms, clicks 20 ms apart and notes 60 Hz
  apart both show a dip of at least 3 dB. That is possible only if the product of the
  two distances is at least 1.
- A hop of 10 ms turned a modulation of 60 Hz into one of {false_rate_hz:.0f} Hz. A
  window of 50 ms removes it.
- The complex STFT keeps the whole signal. The phase, which spectrograms drop, holds
  where in a frame something happens.""")

# %% [markdown]
# ## What next
#
# Notebook 02 turns these spectra into log-mel features and measures what a hop costs.
# Whether a classifier *needs* the frames of a fine hop is the question of notebooks 05
# to 08. Before you go on: [questions to test
# yourself](quizzes/01_stft_and_hop_size.md).
#
# ## References
#
# - F. Auger, P. Flandrin, "Improving the readability of time-frequency and time-scale
#   representations by the reassignment method", IEEE Trans. Signal Process. 43, 1995.
#   doi:10.1109/78.382394
# - D. Gabor, "Theory of communication", J. IEE 93, 1946. doi:10.1049/ji-3-2.1946.0074
# - F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier
#   transform", Proc. IEEE 66, 1978. doi:10.1109/PROC.1978.10837
# - H. Nyquist, "Certain topics in telegraph transmission theory", Trans. AIEE 47, 1928.
#   doi:10.1109/T-AIEE.1928.5055024
# - C. E. Shannon, "Communication in the presence of noise", Proc. IRE 37, 1949.
#   doi:10.1109/JRPROC.1949.232969

# %% tags=["record"]
centred_counts = counts["centred"].tolist()
record("frames_1s_centred", centred_counts[0], unit="frames", kind="exact")
record("frames_1s_odd_window", centred_counts[1], unit="frames", kind="exact")
record("frames_5s_22k_hop_220", centred_counts[2], unit="frames", kind="exact")
record("first_dip", first_dip / CLICK_WINDOW, unit="of N", kind="rel", rel=0.01)
for fraction in (0.4, 0.5, 0.75):
    dip = float(dips[fraction])
    record(f"dip_at_{fraction:g}_N", dip, unit="dB", kind="rel", rel=0.01)
for name in ("rectangular", "Hann", "Blackman"):
    highest = float(side_lobe[name])
    scalloping = float(shapes.loc[name, "scalloping (dB)"])
    record(f"side_lobe_{name}", highest, unit="dB", kind="rel", rel=1e-3)
    record(f"scalloping_{name}", scalloping, unit="dB", kind="rel", rel=1e-3)
record("shortest_window_for_both", shortest_ms, unit="ms", kind="exact")
record("longest_window_for_both", longest_ms, unit="ms", kind="exact")
record("click_dip_at_36_ms", float(click_dip_db(36)), unit="dB", kind="rel", rel=0.01)
record("note_dip_at_36_ms", float(note_dip_db(36)), unit="dB", kind="rel", rel=0.01)
record("spread_product_Hann", float(hann_product), kind="rel", rel=1e-3)
for divisor in (2, 4, 8, 16):
    value = float(errors.loc[f"N/{divisor}", "power"])
    record(f"interpolation_power_N/{divisor}", value, unit="dB")
record("modulation_at_hop_10_ms", float(false_rate_hz), unit="Hz", kind="rel", rel=1e-3)
depth_25_ms = float(filtered.loc[2, "depth"])
record("modulation_depth_25_ms_window", depth_25_ms, kind="rel", rel=0.02)
record("reassigned_tone", tone_hz, unit="Hz", kind="rel", rel=1e-5)
