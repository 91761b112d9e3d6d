# %% [markdown]
# # 01 · STFT and hop size
#
# A clock ticks. The tick lasts three milliseconds, the silence between two of them a second. A spectrogram that looks once every 40 ms
# sees the same clock as a smear; one that looks every millisecond spends almost all of its frames on silence.
# How often should we look, and for how long each time? These are two questions, with two answers: the **hop** and the **window**.

# %% [markdown]
# ## You will be able to
#
# - **count** the frames that a signal of any length gives, before computing them (exercise 01.1);
# - **measure** what a window's shape costs in bandwidth (exercise 01.2);
# - **choose** a window that keeps two events apart (exercise 01.3);
# - **predict** where a periodic event lands when the hop is too long for it (exercise 01.4);
# - **say** from what hop on more frames bring no more information.

# %% [markdown]
# ## Before you start
#
# You need notebook 00, and to know what a sine wave, a Fourier transform and a decibel are. Reading takes about 45 minutes, the four exercises 40.
# The machine needs less than a minute, the same in every profile: everything here is computed on signals made on the spot, so that you know the truth.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

from course_lib import plots
from course_lib.audio import timebase
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show

plots.use_style()

# %% tags=["parameters"]
profile: str = "smoke"  # smoke, lesson or study; this notebook is the same in all three
dataset: str = "synth10"  # kept for uniformity: this notebook makes its own signals
seed: int = 0  # seed of the noise in section 6
rate_hz: int = 16000  # sample rate of every signal here

# %% [markdown]
# ## 1. Frames: looking at a signal piece by piece
#
# Sound is a long row of numbers. Nothing in it says "dog" at any one number; what matters is how the numbers move over some milliseconds. So we cut the row into pieces and describe each of them.
#
# A *frame* is `window` samples of the signal. The next frame begins `hop` samples later. When the hop is shorter than the window, frames overlap,
# and a sample is seen more than once. When it is longer, some samples are never seen. `sliding_window_view` gives all frames at hop 1 without copying anything; every `hop`-th of them is our framing.
# The spectra of all frames, one after another, are the *short-time Fourier transform*, or STFT; their squared magnitudes are the spectrogram.

# %%
def frames_of(x, window, hop):
    """Whole frames of `x`, shape (frames, window), a view and not a copy."""
    return sliding_window_view(x, window)[::hop]


ramp = np.arange(12)
print(frames_of(ramp, window=6, hop=3))

# %% [markdown]
# Twelve samples, a window of six, a hop of three: three frames, and samples 3 to 8 stand in two of them. Nothing was padded, so the last
# frame ends where the signal ends.

# %%
fig, ax = plt.subplots(figsize=(9, 2.6))
window, hop = 400, 160
hann = signal.get_window("hann", window)
for k in range(5):
    start_ms = timebase.samples_to_ms(k * hop, rate_hz)
    times = start_ms + timebase.samples_to_ms(np.arange(window), rate_hz)
    ax.plot(times, hann, color=plots.COLOURS[k], linestyle=plots.LINES[k], label=f"frame {k}")
ax.annotate("", (10, 1.08), (0, 1.08), arrowprops={"arrowstyle": "<->"})
ax.text(5, 1.12, "hop 10 ms", ha="center")
ax.set(xlabel="time (ms)", ylabel="weight", ylim=(0, 1.3), title="window 25 ms, hop 10 ms, 16 kHz")
ax.legend(ncols=5, loc="upper right")
show(fig, alt="Five bell-shaped Hann windows of 25 ms along a time axis in ms; each starts 10 ms after the one before.")

# %% [markdown]
# Each bell is one frame's window: 25 ms wide. Two bells start 10 ms apart: that distance is the hop. **The window says how long a frame looks, the hop how often.**

# %% [markdown]
# ## 2. How many frames?
#
# Without padding, the first frame starts at 0, and the last must still fit. Most libraries *centre* their frames instead: they pad half a window on both sides,
# so that frame $k$ has its middle on sample $k \cdot \mathrm{hop}$.
#
# **Predict:** one second at 16 kHz, window 400, hop 160 (25 ms and 10 ms). How many frames without centring, how many with it?

# %%
rows = [
    ("1 s at 16 kHz", 16_000, 400, 160),
    ("1 s at 16 kHz, odd window", 16_000, 401, 160),
    ("5 s at 22.05 kHz", 110_250, 1024, 220),
    ("5 s at 44.1 kHz", 220_500, 1024, 441),
    ("10 s at 32 kHz", 320_000, 1024, 320),
]
table = pd.DataFrame(rows, columns=["signal", "samples", "window", "hop"])
for column, centred in (("uncentred", False), ("centred", True)):
    table[column] = [timebase.frame_count(n, w, h, centred=centred) for _, n, w, h in rows]
display(table)

# %% [markdown]
# Why centre at all? Because then the time of frame $k$ is easy to tell, $k$ times the hop, whatever the window. Without centring, a longer window moves every frame to the right, and a comparison of windows compares delays as well.
#
# One second gives 98 frames uncentred and 101 centred. Look at the second row: an **odd** window of 401 gives 100 centred frames, not 101. Half of 401 is 200 and a half,
# and the half is dropped on both sides, so one sample is missing at the end. Two programs that differ in this disagree by a frame, and every label after it is shifted.

# %% [markdown]
# ### Exercise 01.1
#
# Write the count yourself. `n_fft` is the length of the window in samples, as most libraries call it. `centred` pads `n_fft // 2` samples on each side; a signal shorter than a window has no frame.

# %% tags=["exercise"]
def frame_count(n_samples, n_fft, hop, centred):
    ### BEGIN SOLUTION
    padded = n_samples + 2 * (n_fft // 2) if centred else n_samples
    return 0 if padded < n_fft else 1 + (padded - n_fft) // hop
    ### END SOLUTION


check("01.1", frame_count)

# %% [markdown]
# ## 3. The window's shape
#
# Cutting a frame out of a signal multiplies it by a window, and a product in time is a convolution in frequency: every line of the spectrum takes the window's own shape.
# Four numbers describe that shape, all of them in *bins* (a bin is the sample rate divided by the window's length) or dB:
#
# - **width** of the main lobe where its amplitude is half of its top, 6 dB below: roughly how close two equal tones may lie (Harris, 1978);
# - **side lobe**: how far a loud tone leaks into distant bins;
# - **ENBW**, the equivalent noise bandwidth: how much noise a bin collects;
# - **scalloping**: how much weaker a tone looks when it falls half-way between two bins.

# %%
SHAPES = {"rectangular": "boxcar", "Hann": "hann", "Hamming": "hamming", "Blackman": "blackman", "B.-Harris": "blackmanharris"}
N, PAD = 1024, 64


def lobes_db(w):
    """Level of a window's transform in dB below its top; `PAD` points a bin."""
    spectrum = np.abs(np.fft.rfft(w, len(w) * PAD))
    return 20 * np.log10(np.maximum(spectrum / spectrum[0], 1e-9))


def window_figures(w):
    db = lobes_db(w)
    first_null = np.flatnonzero(np.diff(db) > 0)[0]
    return {
        "width (bins)": 2 * np.interp(20 * np.log10(2), -db[:first_null], np.arange(first_null)) / PAD,
        "side lobe (dB)": db[first_null:].max(),
        "ENBW (bins)": len(w) * np.sum(w**2) / np.sum(w) ** 2,
        "scalloping (dB)": -db[PAD // 2],
    }


figures = pd.DataFrame({name: window_figures(signal.get_window(shape, N)) for name, shape in SHAPES.items()}).T
display(figures.round(2))

# %%
fig, ax = plt.subplots()
bins = np.arange(12 * PAD) / PAD
curves = {name: lobes_db(signal.get_window(SHAPES[name], N))[: 12 * PAD] for name in ("rectangular", "Hann", "Blackman")}
plots.lines(bins, curves, ax, xlabel="distance from the tone (bins)", ylabel="level (dB)")
ax.set_ylim(-110, 3)
show(fig, alt="Level against distance from a tone in bins: the rectangular window has the narrowest main lobe but side lobes "
     f"at {figures.loc['rectangular', 'side lobe (dB)']:.0f} dB, Hann {figures.loc['Hann', 'side lobe (dB)']:.0f} dB, Blackman lower still and wider.")
say(f"A rectangular window parts equal tones from roughly {figures.loc['rectangular', 'width (bins)']:.1f} bins on, and leaks only "
    f"{-figures.loc['rectangular', 'side lobe (dB)']:.1f} dB below the top. Hann pays with {figures.loc['Hann', 'width (bins)']:.1f} bins and leaks "
    f"{-figures.loc['Hann', 'side lobe (dB)']:.1f} dB below. No window wins everywhere; the course uses Hann from here on.")

# %% [markdown]
# ### Exercise 01.2
#
# Write the equivalent noise bandwidth of any window, in bins: how many times more noise power it collects than one ideal bin.
# $$\mathrm{ENBW} = N \, \frac{\sum_n w_n^2}{\left(\sum_n w_n\right)^2}$$

# %% tags=["exercise"]
def enbw_bins(w):
    ### BEGIN SOLUTION
    return len(w) * np.sum(w**2) / np.sum(w) ** 2
    ### END SOLUTION


check("01.2", enbw_bins)

# %% [markdown]
# ## 4. Time against frequency
#
# A long window has narrow lobes, so it resolves tones. It also sees everything within its length at once, so it cannot say *when*. Spread in time times spread in angular frequency
# is never below one half (Gabor, 1946), and only a Gaussian reaches that.

# %%
def spreads(w):
    """Standard deviations of a window's energy in time (samples) and angular frequency (radians a sample)."""
    n, energy = np.arange(len(w)), w**2 / np.sum(w**2)
    in_time = np.sqrt(np.sum((n - np.sum(n * energy)) ** 2 * energy))
    power = np.abs(np.fft.fft(w, PAD * len(w))) ** 2
    omega = 2 * np.pi * np.fft.fftfreq(PAD * len(w))
    return in_time, np.sqrt(np.sum(omega**2 * power) / power.sum())


products = {name: np.prod(spreads(signal.get_window(shape, N))) for name, shape in {"Hann": "hann", "Gaussian": ("gaussian", N / 8)}.items()}
say(f"Time spread x frequency spread: Hann **{products['Hann']:.4f}**, Gaussian **{products['Gaussian']:.4f}**; the bound is 0.5.")

# %% [markdown]
# The bound does not care about the length: halve the window and one spread halves while the other doubles. Here is a signal with two clicks 20 ms apart and two tones 60 Hz apart, seen through three
# windows. **Predict:** which window shows two clicks, which shows two tones, and does one show both?

# %%
def spectrogram_db(x, window, hop, n_fft=4096):
    power = np.abs(np.fft.rfft(frames_of(x, window, hop) * signal.get_window("hann", window), n_fft)) ** 2
    middles = (np.arange(len(power)) * hop + window / 2) / rate_hz
    return 10 * np.log10(power + 1e-10), middles, np.fft.rfftfreq(n_fft, 1 / rate_hz)


t = np.arange(int(0.3 * rate_hz)) / rate_hz
tones_and_clicks = 0.05 * (np.sin(2 * np.pi * 1000 * t) + np.sin(2 * np.pi * 1060 * t))
tones_and_clicks[timebase.seconds_to_samples(0.14, rate_hz)] += 0.9
tones_and_clicks[timebase.seconds_to_samples(0.16, rate_hz)] += 0.9
fig, axes = plt.subplots(1, 3, figsize=(13, 3.8), sharey=True)
for ax, window_ms in zip(axes, (4, 16, 64), strict=True):
    levels, times, freqs = spectrogram_db(tones_and_clicks, timebase.ms_to_samples(window_ms, rate_hz), hop=8)
    low = freqs < 2000
    plots.spectrogram(levels[:, low], times, freqs[low], ax, range_db=50)
    ax.set(title=f"window {window_ms} ms", xlim=(90, 210))
show(fig, alt="Three spectrograms of two clicks 20 ms apart over two tones 60 Hz apart. The 4 ms window shows two clicks and one thick tone; "
     "the 64 ms window shows two tones and one broad smear for the clicks; 16 ms is in between.")

# %% [markdown]
# At 4 ms the clicks are two and the tones one thick band, which swells and fades 60 times a second as they beat. At 64 ms the tones are two and the clicks one smear. All three pictures have a hop of half a millisecond. **A finer hop did not help the 64 ms window to see two clicks.**

# %%
play(tones_and_clicks, rate_hz, describe="0.3 s: a rough low tone, which is two tones 60 Hz apart beating, with two sharp clicks so close that they almost sound as one.")

# %% [markdown]
# ## 5. The window sets the resolution, not the hop
#
# Now with numbers. Two clicks lie $d$ apart, the hop is one sample, as fine as it can be. If the energy between the clicks dips, we can tell that there were two. **Predict:** for a Hann window
# of length $N$, does the energy dip for $d = 0.3\,N$? For $0.5\,N$?

# %%
def energy_of_two_clicks(distance, window):
    """Energy of every frame at hop 1 around two clicks `distance` samples apart."""
    x = np.zeros(4 * window)
    x[2 * window - distance // 2] = x[2 * window - distance // 2 + distance] = 1.0
    return np.sum((frames_of(x, window, hop=1) * signal.get_window("hann", window)) ** 2, axis=1)


def dip_db(energy):
    middle = energy[len(energy) // 2 - 2 : len(energy) // 2 + 3].min()
    return 10 * np.log10(middle / energy.max())


shares = (0.3, 0.4, 0.5, 0.6, 0.75)
traces = {f"{share:g} N": energy_of_two_clicks(round(share * N), N) for share in shares}
dips = {share: round(dip_db(traces[f"{share:g} N"]), 2) + 0.0 for share in shares}
fig, ax = plt.subplots()
shown = {name: 10 * np.log10(np.maximum(traces[name], 1e-4)) for name in ("0.3 N", "0.5 N", "0.75 N")}
plots.lines((np.arange(len(traces["0.3 N"])) - 1.5 * N) / N, shown, ax, xlabel="middle of the frame (window lengths)", ylabel="energy (dB)")
ax.set(ylim=(-20, 3), xlim=(-1, 1))
show(fig, alt=f"Frame energy in dB against time for two clicks: no dip at 0.3 N, a dip of {dips[0.5]:.1f} dB at 0.5 N, of {dips[0.75]:.1f} dB at 0.75 N.")

# %%
say("Dip between the clicks at hop 1: " + ", ".join(f"**{share:g} N** {dip:.1f} dB" for share, dip in dips.items()) + ". "
    "Below a third of N two clicks are one bump, however often we look. At half a window the dip is 3 dB: take that as the resolution of a Hann window.")

# %% [markdown]
# ### Exercise 01.3
#
# A cricket's pulses come in pairs 6 ms apart. What is the longest Hann window, in ms, that shows a dip of 3 dB between the two?

# %% tags=["exercise"]
longest_window_ms = ...
### BEGIN SOLUTION
longest_window_ms = 12.0
### END SOLUTION
check("01.3", longest_window_ms)

# %% [markdown]
# ## 6. The hop is a sampling interval
#
# If the hop does not set the resolution, what does it do? It decides whether anything falls *between* the frames.
#
# One frequency bin, followed over time at hop 1, is a signal: slow, because the window has smoothed it. Taking every $H$-th value samples it. If the samples suffice, the values between can be
# interpolated back. Let us try: white noise, one bin, hops from $N/2$ to $N/16$, interpolate, compare with the truth at hop 1. We do this for the complex value, for its power,
# and for the power in dB, which is what classifiers get.

# %%
def errors_db(hop_share, x, window):
    """Error of interpolation from a hop of `window / hop_share`, in dB of the variance: complex, power, log power."""
    carrier = np.exp(-0.5j * np.pi * np.arange(len(x)))  # brings the bin at a quarter of the sample rate down to zero
    shape = np.fft.fft(signal.get_window("hann", window), len(x))
    value = np.fft.ifft(np.fft.fft(x * carrier) * shape)
    power = np.abs(value) ** 2
    found = []
    for truth in (value, power, 10 * np.log10(power)):
        guess = signal.resample(truth[:: window // hop_share], len(x))
        found.append(10 * np.log10(np.mean(np.abs(guess - truth) ** 2) / np.var(truth)))
    return found


generator = seed_everything(seed)
noise = generator.standard_normal(256 * 2048)
hop_shares = (2, 4, 8, 16)
errors = pd.DataFrame([errors_db(share, noise, 256) for share in hop_shares], columns=["complex", "power", "log power"],
                      index=[f"N/{share}" for share in hop_shares])
display(errors.round(1))

# %%
fig, ax = plt.subplots()
plots.lines(np.arange(4), dict(errors.items()), ax, xlabel="hop", ylabel="error of interpolation (dB)", markers=True)
ax.set_xticks(np.arange(4), errors.index)
show(fig, alt=f"Interpolation error in dB falls as the hop goes from N/2 to N/16: complex to {errors.iloc[-1, 0]:.0f} dB, power to {errors.iloc[-1, 1]:.0f} dB, log power only to {errors.iloc[-1, 2]:.0f} dB.")
say(f"The complex bin is nearly complete at N/4 ({errors.loc['N/4', 'complex']:.0f} dB), its power at N/8 ({errors.loc['N/8', 'power']:.0f} dB). "
    f"The logarithm makes sharp notches that no hop samples fully: still {errors.loc['N/8', 'log power']:.0f} dB at N/8.")

# %% [markdown]
# Theory agrees. Hann's main lobe reaches ±2 bins, so the complex value needs a hop of at most $N/4$; its power is twice as wide and needs $N/8$. **Below about $N/8$ a smaller hop adds frames, cost and redundancy, and no
# information.** The usual 25 ms with 10 ms is a hop of $0.4\,N$: it throws away part of the envelope, and mostly gets away with it.

# %% [markdown]
# ## 7. What happens when the hop is too long
#
# A sampling interval that is too long folds high frequencies onto low ones. A 2 kHz tone whose loudness swings 60 times a second goes through frames every 10 ms: 100 frames a second.
# **Predict:** at what rate does the energy of the frames swing?

# %%
t = np.arange(4 * rate_hz) / rate_hz
warble = 0.4 * (1 + np.cos(2 * np.pi * 60 * t)) * np.sin(2 * np.pi * 2000 * t)


def swing(x, window_ms, hop_ms):
    """Rate (Hz) and depth of the strongest swing of the frames' energy; depth is its amplitude over the mean."""
    window, hop = (timebase.ms_to_samples(ms, rate_hz) for ms in (window_ms, hop_ms))
    energy = np.sum((frames_of(x, window, hop) * signal.get_window("hann", window)) ** 2, axis=1)
    energy = energy[: len(energy) // 100 * 100]  # whole periods, so that every rate falls on a bin
    spectrum = np.abs(np.fft.rfft(energy * signal.get_window("hann", len(energy))))
    peak = 5 + spectrum[5:].argmax()
    return np.fft.rfftfreq(len(energy), hop_ms / 1000)[peak], 2 * spectrum[peak] / spectrum[0]


settings = [(4, 1), (4, 10), (25, 10), (64, 10)]
swings = pd.DataFrame([(*s, *swing(warble, *s)) for s in settings], columns=["window (ms)", "hop (ms)", "swing (Hz)", "depth"])
display(swings.round(3))
play(warble[: 2 * rate_hz], rate_hz, describe="2 s of a 2 kHz tone that buzzes: its loudness swings 60 times a second.")

# %% tags=["cover"]
fig, axes = plt.subplots(1, 2, figsize=(12, 3.4), sharey=True)
for ax, (window_ms, hop_ms) in zip(axes, [(4, 10), (64, 10)], strict=True):
    for name, h in (("hop 1 ms", 1), (f"hop {hop_ms} ms", hop_ms)):
        window, hop = timebase.ms_to_samples(window_ms, rate_hz), timebase.ms_to_samples(h, rate_hz)
        energy = np.sum((frames_of(warble, window, hop) * signal.get_window("hann", window)) ** 2, axis=1)
        ax.plot(np.arange(len(energy)) * h, energy / energy.mean(), "-" if h == 1 else "o--", label=name)
    ax.set(xlim=(0, 150), xlabel="start of the frame (ms)", title=f"window {window_ms} ms")
axes[0].set_ylabel("energy over its mean")
axes[1].legend(loc="upper right")
show(fig, alt="Energy of frames over 150 ms. With a 4 ms window, hop 1 ms follows nine swings at 60 Hz and hop 10 ms joins points into six false swings "
     "at 40 Hz. With a 64 ms window both are flat.")
say(f"Hop 1 ms reports {swings.loc[0, 'swing (Hz)']:.0f} Hz, the truth. Hop 10 ms reports **{swings.loc[1, 'swing (Hz)']:.0f} Hz**, at the same depth: a sound that was never there, folded down because 100 - 60 = 40. "
    f"The 25 ms window weakens it to {swings.loc[2, 'depth']:.2f}, the 64 ms window removes it ({swings.loc[3, 'depth']:.3f}). **The window is the anti-alias filter of the hop.**")

# %% [markdown]
# ### Exercise 01.4
#
# Write the rate that frames report for a swing of `swing_hz` at a hop of `hop_ms`, when the window is short enough not to remove it. It lies between 0 and half the frame rate.

# %% tags=["exercise"]
def reported_hz(swing_hz, hop_ms):
    ### BEGIN SOLUTION
    frame_rate = 1000 / hop_ms
    remainder = swing_hz % frame_rate
    return min(remainder, frame_rate - remainder)
    ### END SOLUTION


check("01.4", reported_hz)

# %% [markdown]
# ## 8. Nothing lost: overlap, energy and the way back
#
# When is the spectrogram a complete description? When the overlapping windows together weigh every sample. If their sum is constant (COLA, *constant overlap-add*) adding the frames up again gives the signal at once;
# if the sum of their squares is never zero (NOLA) dividing by it does.

# %%
def overlap_sums(window, hop):
    w = signal.get_window("hann", window)
    return [np.array([v[i::hop].sum() for i in range(hop)]) for v in (w, w**2)]


def round_trip_error(x, window, hop):
    framing = dict(window="hann", nperseg=window, noverlap=window - hop)
    if not signal.check_NOLA(**framing):
        return np.inf  # a sample without weight in any frame cannot come back
    return np.abs(signal.istft(signal.stft(x, **framing)[2], **framing)[1][: len(x)] - x).max()


rows = []
for window, hop in [(400, 160), (512, 256), (512, 128), (512, 512)]:
    flat = [np.ptp(s) / s.mean() for s in overlap_sums(window, hop)]
    rows.append((window, hop, *flat, signal.check_NOLA("hann", window, window - hop), round_trip_error(noise[:16_000], window, hop)))
ways = pd.DataFrame(rows, columns=["window", "hop", "ripple of sum", "ripple of squares", "NOLA", "round-trip error"])
display(ways.style.format({"ripple of sum": "{:.1%}", "ripple of squares": "{:.1%}", "round-trip error": "{:.0e}"}))

# %% [markdown]
# 25 ms with 10 ms (first row) is not COLA: the sum ripples by 9.4 %. It is NOLA, so the signal still comes back exactly. A hop as long as the window (last row) gives some samples no weight at all, and they are lost.
#
# Energy is kept as well (Parseval): at a hop where the squares sum to a constant, the energy of all frames, divided by that constant, is the energy of the signal.

# %%
window, hop = 512, 128
padded = np.pad(noise[:16_000], window)
spectra = np.fft.fft(frames_of(padded, window, hop) * signal.get_window("hann", window))
energy_in_frames = np.sum(np.abs(spectra) ** 2) / window / (np.sum(signal.get_window("hann", window) ** 2) / hop)
parseval_error = abs(energy_in_frames / np.sum(noise[:16_000] ** 2) - 1)
say(f"Energy from the frames differs from the energy of the samples by {parseval_error:.0e} of it: rounding, nothing else.")

# %% [markdown]
# ## 9. Looking twice: reassignment
#
# A frame knows more than its magnitude. The phases of neighbouring bins say where *inside* the window the energy lies; the phases of neighbouring frames, at what frequency between the bins. Reassignment moves
# each value there (Auger & Flandrin, 1995). It sharpens one event. But a value gets one place alone: within one frame that sees two clicks, it cannot part them.

# %%
import warnings

import librosa

tone = np.sin(2 * np.pi * 1013.7 * np.arange(rate_hz) / rate_hz)
click = np.zeros(rate_hz)
click[8003] = 1.0
grid = dict(sr=rate_hz, n_fft=512, win_length=400, hop_length=160, fill_nan=False)
with warnings.catch_warnings(action="ignore"):  # librosa 0.11 leaves an unused array unset, and numpy says so
    freqs, _, tone_levels = librosa.reassigned_spectrogram(tone, **grid, ref_power=1e-12)
    _, times, click_levels = librosa.reassigned_spectrogram(click, **grid, ref_power=1e-12)
loudest = tone_levels[:, 50].argmax()
lit = np.flatnonzero((click_levels**2).sum(axis=0) > 1e-9)
tone_found, click_found = freqs[loudest, 50], np.nanmedian(times[:, lit])
say(f"A tone at 1013.7 Hz: nearest bin {loudest * rate_hz / 512:.0f} Hz, reassigned **{tone_found:.2f} Hz**. "
    f"A click at {8003 / rate_hz * 1000:.4f} ms is seen by {len(lit)} frames 10 ms apart; all point to **{click_found * 1000:.3f} ms**.")

# %% [markdown]
# ## What we saw

# %%
say(f"""- One second at 16 kHz has {timebase.frame_count(16_000, 400, 160)} centred frames at 25 / 10 ms; an odd window can lose one.
- Two clicks {0.3:g} N apart are one at any hop; {0.5:g} N apart they dip by {-dips[0.5]:.1f} dB. **The window sets the resolution.**
- From hop N/8 down, power is sampled to {errors.loc['N/8', 'power']:.0f} dB. Finer hops repeat what is known.
- A hop of 10 ms turned 60 Hz into {swings.loc[1, 'swing (Hz)']:.0f} Hz; a 64 ms window left {swings.loc[3, 'depth']:.3f} of it.
- Every hop up to NOLA's limit keeps the whole signal: what is lost is lost later, by what notebook 02 does to it.""")

# %% [markdown]
# ## What next
#
# Notebook 02 turns these spectra into log-mel features, and counts what a hop costs in frames, bytes and time. Whether a classifier *needs* the frames is the question of notebooks 05 to 08.
# Before you go on: [questions to test yourself](quizzes/01_stft_and_hop_size.md).
#
# ## References
#
# - D. Gabor, "Theory of communication", J. IEE 93, 1946. doi:10.1049/ji-3-2.1946.0074
# - F. J. Harris, "On the use of windows for harmonic analysis with the discrete Fourier transform", Proc. IEEE 66, 1978. doi:10.1109/PROC.1978.10837
# - F. Auger, P. Flandrin, "Improving the readability of time-frequency and time-scale representations by the reassignment method", IEEE Trans. Signal Process. 43, 1995. doi:10.1109/78.382394

# %% tags=["record"]
record("frames_1s_centred", timebase.frame_count(16_000, 400, 160), unit="frames", kind="exact")
record("frames_1s_odd_window", timebase.frame_count(16_000, 401, 160), unit="frames", kind="exact")
record("frames_5s_22k_hop_220", timebase.frame_count(110_250, 1024, 220), unit="frames", kind="exact")
for share in (0.4, 0.5, 0.75):
    record(f"dip_at_{share:g}_N", float(dips[share]), unit="dB", kind="rel", rel=0.01)
for name in ("rectangular", "Hann", "Blackman"):
    record(f"side_lobe_{name}", float(figures.loc[name, "side lobe (dB)"]), unit="dB", kind="rel", rel=1e-3)
    record(f"scalloping_{name}", float(figures.loc[name, "scalloping (dB)"]), unit="dB", kind="rel", rel=1e-3)
record("spread_product_Hann", float(products["Hann"]), kind="rel", rel=1e-3)
for share in hop_shares:
    record(f"interpolation_power_N/{share}", float(errors.loc[f"N/{share}", "power"]), unit="dB")
record("swing_at_hop_10_ms", float(swings.loc[1, "swing (Hz)"]), unit="Hz", kind="rel", rel=1e-6)
record("swing_depth_64_ms_window", float(swings.loc[3, "depth"]), kind="rel", rel=0.05)
record("reassigned_tone", float(tone_found), unit="Hz", kind="rel", rel=1e-5)
record("reassigned_click", float(click_found), unit="s", kind="rel", rel=1e-5)
