# %% [markdown]
# # 03 · Waveform augmentation
#
# A dog barks in a yard, and a classifier learns from that one bark; the same dog on
# another day, a little farther away or a little more excited, is still a dog.
# *Augmentation* shows the classifier such variants, which we make ourselves, and every
# variant makes a claim: "this, too, is a dog". In a course about milliseconds we ask what
# each transform does to *time*: one popular method moves onsets by tens of milliseconds
# and turns a click into a puff of noise.

# %% [markdown]
# ## You will be able to
#
# - **predict** the length of a stretched clip (exercise 03.1), and **measure** a change
#   of pitch in cents (exercise 03.2);
# - **explain** why a phase vocoder keeps tones and smears clicks, and choose its window
#   (exercise 03.3);
# - **write** a shift and say what it loses (exercise 03.4), and add noise at a given
#   signal-to-noise ratio (exercise 03.5);
# - **say** which sound, if any, a transformed picture stands for.

# %% [markdown]
# ## Before you start
#
# You need notebooks 01 and 02: STFT, window, hop, phase, log-mel.
# Reading takes 50 minutes, the five exercises 40.
# The machine needs less than a minute in every profile. Use headphones if you can.

# %%
import librosa
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from numpy.lib.stride_tricks import sliding_window_view

from course_lib import plots, profiles
from course_lib.audio import spec_augment, timebase
from course_lib.audio.augment import (
    add_noise,
    pitch_shift,
    shift,
    time_stretch,
    trim_silence,
)
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.data.load import load
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
seed: int = 0  # seed of the data, the noise and the places of the clicks

# %%
rate_hz = 16_000
rng = seed_everything(seed)
clips = load(dataset, profiles.get(profile), seed)

label = "dog" if "dog" in clips.classes else clips.classes[0]
of_label = (clips.table["label"] == label).to_numpy()
whole = clips.waves(rate_hz)[of_label.argmax()]  # argmax: the first True
if len(whole) < rate_hz:
    whole = np.pad(whole, (0, rate_hz - len(whole)))

# %% [markdown]
# The example of this notebook is the loudest second of a clip: a dog, if the data set has
# one. We scale it to a peak of two thirds, since transforms can raise the peak.

# %%
# Energy of every excerpt of one second, from differences of a running sum
energy_before = np.concatenate([[0], np.cumsum(whole.astype(np.float64) ** 2)])
energy_of_second = energy_before[rate_hz:] - energy_before[:-rate_hz]
start = energy_of_second.argmax()
clip = whole[start : start + rate_hz]
clip = clip / (1.5 * max(np.abs(clip).max(), 1e-9))

play(clip, rate_hz, describe=f"The example: one second of a clip labelled {label}.")

# %% [markdown]
# ## 1. Six things to do to a clip
#
# Each function takes samples and returns samples. Anything random comes from a generator
# that we pass in, so the same seed gives the same variant. `rate` is a speed: above 1 the
# sound is faster and *shorter*.

# %%
predict(
    "03.a", ...,
    "Time stretch, pitch shift, shift, trimming, noise: how many of the five can "
    "change the length of a clip?",
)

# %%
padded = np.pad(clip, timebase.ms_to_samples(200, rate_hz))  # silence, to be trimmed
variants = {
    "slow 0.7": time_stretch(clip, 0.7, rate_hz=rate_hz),
    "fast 1.2": time_stretch(clip, 1.2, rate_hz=rate_hz),
    "pitch +4": pitch_shift(clip, 4, rate_hz=rate_hz),
    "shift 300 ms": shift(clip, timebase.ms_to_samples(300, rate_hz)),
    "trim 30 dB": trim_silence(padded, 30, rate_hz=rate_hz),
    "noise 10 dB": add_noise(clip, rng, 10),
}

# %% tags=["hide-input"]
spec = FeatureSpec(hop_ms=10)
fig, axes = plt.subplots(2, 3, figsize=(11, 5.6), sharey=True)
top_db = max(log_mel(x, spec).max() for x in variants.values())
for ax, (name, x) in zip(axes.flat, variants.items(), strict=True):
    levels_db = log_mel(x, spec)
    plots.mel_spectrogram(
        levels_db, spec.frame_centres_s(len(levels_db)), ax, range_db=60,
        top_db=top_db, centres_hz=spec.mel_centres_hz, bar=False,
    )
    ax.set(title=f"{name}: {len(x) / rate_hz:.2f} s", xlim=(0, 1 / 0.7))
    ax.set_facecolor("white")
for ax in axes[:, 1:].flat:
    ax.set_ylabel("")
for ax in axes[0]:
    ax.set_xlabel("")
plots.level_bar(axes.flat)
show(
    fig,
    alt="Six log-mel pictures of one clip of 1 s. Slow 0.7 is 1.43 s long and fast "
    "1.2 is 0.83 s long, both at the original frequencies. Pitch +4 lies higher at the "
    "same length, the shifted clip starts with 300 ms of silence, the trimmed one has "
    "no silence at its ends, and in the last one noise fills the pauses.",
    caption="The example, transformed in six ways.",
)

# %%
answer("03.a", 2)
say(
    "Stretching changes the length, and so does trimming if an end is silent. Here we "
    f"added 200 ms of silence at either end; of {len(padded) / rate_hz:.2f} s, "
    f"trimming keeps {len(variants['trim 30 dB']) / rate_hz:.2f} s. Only the pitch "
    "shift changes the pitch."
)
sounds = {}
for name in ("slow 0.7", "pitch +4"):
    x = variants[name]
    sounds[name] = x / max(1, np.abs(x).max())
play_pair(
    sounds,
    rate_hz,
    describe="The example at 0.7 times its speed, at the same pitch; then at its own "
    "speed, four semitones higher.",
)

# %% [markdown]
# A classifier usually needs clips of one length. Clips that have become longer are cut,
# and those that have become shorter are padded with zeros; the cut and the silence are
# then part of the augmentation.
#
# ### Exercise 03.1
#
# How many samples does a clip of `n_samples` have after stretching by `rate`?

# %% tags=["exercise"]
def stretched_length(n_samples, rate):
    ### BEGIN SOLUTION
    return round(n_samples / rate)
    ### END SOLUTION


check("03.1", stretched_length)

# %% [markdown]
# ### Exercise 03.2
#
# Musicians measure pitch intervals in cents: an octave has 1200 and a semitone 100,
# anywhere on the keyboard. Write a function that returns the interval between two
# frequencies in cents, positive if the second is higher.

# %% tags=["exercise"]
def cents(from_hz, to_hz):
    ### BEGIN SOLUTION
    return 1200 * np.log2(to_hz / from_hz)
    ### END SOLUTION


check("03.2", cents)

# %% [markdown]
# ## 2. How to stretch time: the phase vocoder
#
# Play a recording at 0.7 times its speed, and everything becomes lower as well as
# slower. To keep the pitch, take the STFT of notebook 01 and read its *frames* more
# slowly: to make output frame $k$, look at input position $p = k \cdot \text{rate}$,
# which usually lies between two frames.
#
# The magnitude is easy: interpolate between the two neighbours. The phase is less
# obvious. Take a tone $\cos(\omega t + \varphi)$. From one frame to the next,
# $H$ samples later, the phase of its bin advances by $\omega H$. The output frames are
# also $H$ samples apart, so their phases must advance by the same amount, however slowly
# we read. We therefore *measure* the advance between the two input frames and *add it up*
# in the output:
#
# $$ \varphi_{k+1} = \varphi_k
# + \bigl(\arg X_{\lfloor p \rfloor + 1} - \arg X_{\lfloor p \rfloor}\bigr). $$
#
# A phase is defined only modulo $2\pi$, so it does not matter how many full turns the
# advance contains. That is the whole phase vocoder (Flanagan & Golden, 1966, in
# today's STFT form).

# %%
def phase_vocoder(frames, rate):
    """Complex STFT frames (frames, bins), read `rate` times as fast."""
    padded = np.pad(frames, ((0, 2), (0, 0)))  # so that the last frame has a neighbour
    phase = np.angle(frames[0])
    stretched = []
    for position in np.arange(0, len(frames), rate):
        before = int(position)
        share = position - before
        first = padded[before]
        second = padded[before + 1]
        magnitude = (1 - share) * np.abs(first) + share * np.abs(second)
        stretched.append(magnitude * np.exp(1j * phase))
        phase = phase + np.angle(second) - np.angle(first)
    return np.array(stretched)


def stretch_by_hand(x, rate, n_fft=2048):
    hop = n_fft // 4
    frames = librosa.stft(x, n_fft=n_fft, hop_length=hop).T
    stretched = phase_vocoder(frames, rate)
    length = round(len(x) / rate)
    return librosa.istft(stretched.T, n_fft=n_fft, hop_length=hop, length=length)


# %%
by_hand = stretch_by_hand(clip.astype(np.float64), 0.7)
by_librosa = librosa.effects.time_stretch(clip.astype(np.float64), rate=0.7)
difference = np.abs(by_hand - by_librosa).max() / np.abs(by_librosa).max()

seconds = np.arange(rate_hz) / rate_hz
tone = 0.5 * np.sin(2 * np.pi * 440 * seconds)
slow_tone = stretch_by_hand(tone, 0.7)


def frequency_hz(x):
    """Frequency of a steady tone: peak of the spectrum, refined by a parabola."""
    middle = x[len(x) // 4 : 3 * len(x) // 4]
    n = 8 * len(middle)
    spectrum = np.log(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), n)))
    k = spectrum.argmax()
    left, top, right = spectrum[k - 1 : k + 2]
    # From bin k to the top of the parabola through these three values, in bins
    to_peak = 0.5 * (left - right) / (left - 2 * top + right)
    return (k + to_peak) * rate_hz / n


say(
    f"Our version agrees with `librosa.effects.time_stretch` to {difference:.0e} "
    f"of the peak. A tone of 440 Hz comes out {len(slow_tone) / len(tone):.2f} times "
    f"as long and at {frequency_hz(slow_tone):.2f} Hz."
)

# %% [markdown]
# For a tone this works perfectly. Each bin continues its own phase smoothly *along time*.
# This is called *horizontal* phase coherence, because time runs horizontally in a
# spectrogram.
#
# ## 3. Why clicks suffer
#
# Now a click. All of its energy is at one instant, $t_0$ after the start of the frame,
# and the spectrum of the frame is
#
# $$ X(f) = a\, e^{-2\pi i f t_0}, \qquad \arg X(f) = -2\pi f t_0 : $$
#
# equally strong at all frequencies, with a phase that falls *linearly over frequency*.
# The slope of that line, $-2\pi t_0$, gives the time of the click. Two neighbouring bins,
# $\Delta f$ apart, are enough to read it off:
#
# $$ t_0 = -\frac{1}{2\pi}\,\frac{\arg X(f + \Delta f) - \arg X(f)}{\Delta f} . $$
#
# The phases of *all* bins must fit together for the click to stay a click. That is
# *vertical* coherence, and the vocoder does nothing to keep it: each bin adds up advances
# on its own. At a rate of 1 that does no harm. Every pair of frames is read once, the sum
# telescopes, and each bin keeps its original phase. At 0.7, some pairs are read *twice*
# (at 1.2, some are skipped). Every repetition adds one advance too many, and a different
# one in each bin.
#
# How much does that matter? We slow a click down twice: in digital silence, where all
# phases before the click are zero, and over noise that you can hardly hear, about 80 dB
# below the click's peak. For comparison, Signalsmith, the stretcher that this course
# uses, slows down the second one as well.

# %%
predict(
    "03.b", ...,
    "A click over faint noise is slowed down by the vocoder, with a window of 128 ms. "
    "How many milliseconds long is it afterwards?",
)

# %%
n_samples = rate_hz
place = 6000  # the click is at 375 ms
rate = 0.7
right_place = place / rate
faint = 1e-4 * np.random.default_rng(0).standard_normal(n_samples)


def click_at(sample, background=0.0):
    x = np.zeros(n_samples) + background
    x[sample] = 0.9
    return x


in_silence = click_at(place)
over_noise = click_at(place, faint)
slow_clicks = {
    "vocoder, in silence": stretch_by_hand(in_silence, rate),
    "vocoder, over faint noise": stretch_by_hand(over_noise, rate),
    "Signalsmith, over faint noise": time_stretch(over_noise, rate, rate_hz=rate_hz),
}


def times_by_bin_ms(x, at_sample, n_fft=2048):
    """Time of the click according to each pair of neighbouring bins, in ms."""
    start = round(at_sample) - n_fft // 2
    spectrum = np.fft.rfft(x[start : start + n_fft] * np.hanning(n_fft))
    # The angle of b * conj(a) is the phase of b minus that of a
    phase_step = np.angle(spectrum[1:] * np.conj(spectrum[:-1]))
    # The formula for t_0, in samples: neighbouring bins are 1 / n_fft cycles per sample
    # apart. A phase is known modulo 2 pi, and so the time modulo n_fft samples
    delay = np.mod(-phase_step * n_fft / (2 * np.pi), n_fft)
    return (start + delay) * 1000 / rate_hz


def duration_ms(x, near_sample):
    """Length in ms of the middle 90 % of the energy within 200 ms of a sample."""
    around = round(near_sample)
    reach = timebase.ms_to_samples(200, rate_hz)
    energy_so_far = np.cumsum(x[around - reach : around + reach] ** 2)
    share = energy_so_far / energy_so_far[-1]
    early, late = np.searchsorted(share, [0.05, 0.95])  # where it passes 5 and 95 %
    return float((late - early) * 1000 / rate_hz)


# %% tags=["hide-input"]
def draw_click(x, delays_ms, right_ms, top, bottom, colour):
    khz = np.arange(len(delays_ms)) * 8 / len(delays_ms)
    top.plot(delays_ms - right_ms, khz, ".", markersize=2, color=colour)
    top.axvline(0, color="grey", linewidth=1, linestyle=":")
    bottom.plot(np.arange(len(x)) / 16 - right_ms, x, "-", linewidth=0.8, color=colour)
    bottom.axvline(0, color="grey", linewidth=1, linestyle=":")
    bottom.set(xlim=(-90, 90))
    reach = 1.15 * np.abs(x).max()
    bottom.set_ylim(-reach, reach)


fig, axes = plt.subplots(
    2, 4, figsize=(13, 4.8), sharex=True, height_ratios=[1.4, 1]
)
shown = {"the click": over_noise, **slow_clicks}
for column, (name, x) in enumerate(shown.items()):
    at_sample = place if column == 0 else right_place
    delays_ms = times_by_bin_ms(x, at_sample)
    draw_click(
        x, delays_ms, at_sample / 16, axes[0, column], axes[1, column],
        plots.COLOURS[min(column, 3)],
    )
    axes[0, column].set_title(name.replace(", ", ",\n"))
axes[0, 0].set_ylabel("frequency (kHz)")
axes[1, 0].set_ylabel("amplitude")
fig.supxlabel("time from where the click belongs (ms)", fontsize=12)
show(
    fig,
    alt="Four columns. Above, the time that each frequency bin gives for the click; "
    "below, the waveform. The original: all bins agree, one spike. Vocoder in "
    "silence: all bins agree, one spike, about 10 ms too early. Vocoder over faint "
    "noise: the times are scattered over the whole window, and the click has become "
    "a burst of noise about 100 ms long, less than a tenth as high. Signalsmith: "
    "the bins agree again, one spike at the right place.",
    caption="Above: the time of the click according to each frequency bin. Below: the "
    "waveforms, each on its own scale.",
)

# %%
moved_ms = {}
for name, x in slow_clicks.items():
    moved_ms[name] = float((np.abs(x).argmax() - right_place) * 1000 / rate_hz)
smeared_ms = duration_ms(slow_clicks["vocoder, over faint noise"], right_place)
peak = np.abs(slow_clicks["vocoder, over faint noise"]).max()
kept_ms = duration_ms(slow_clicks["Signalsmith, over faint noise"], right_place)
answer("03.b", round(smeared_ms), unit="ms", within=0.2)
say(
    "In digital silence, all bins agree until the click arrives, and it stays whole. "
    f"But it arrives **{-moved_ms['vocoder, in silence']:.1f} ms** too early: some "
    "pairs that hold the click are read twice, which moves all bins alike. Over faint "
    "noise, every bin has already collected random extra advances, "
    f"and the click inherits them. It is spread over **{smeared_ms:.0f} ms**, and its "
    f"peak falls from 0.9 to {peak:.2f}. Signalsmith keeps the click within "
    f"{kept_ms:.1f} ms."
)

# %% [markdown]
# Real recordings are hardly ever digitally silent, so the attack of a bark, a step or a
# consonant fares like the click in the third column. This loss of vertical coherence is
# the classic weakness of the phase vocoder (Laroche & Dolson, 1999). Signalsmith
# (Luff, 2023) chooses each phase so that its relation to the frame before *and* to
# neighbouring bins stays that of the original. Its window, as we set it, is also
# shorter: 60 ms.
#
# Listen to five clicks over the same faint noise.

# %%
pattern = np.zeros(int(0.8 * rate_hz)) + faint[: int(0.8 * rate_hz)]
for at_s in (0.1, 0.2, 0.45, 0.55, 0.6):
    pattern[int(at_s * rate_hz)] = 0.9

slow_patterns = {
    "the clicks": pattern,
    "phase vocoder (librosa), 0.7": stretch_by_hand(pattern, rate),
    "Signalsmith, 0.7": time_stretch(pattern, rate, rate_hz=rate_hz),
}
for name, x in slow_patterns.items():
    slow_patterns[name] = 0.8 * x / np.abs(x).max()

play_pair(
    slow_patterns,
    rate_hz,
    describe="Five sharp clicks in an uneven rhythm. Slowed down by the vocoder they "
    "are soft puffs of noise that run into each other; by Signalsmith, five sharp "
    "clicks.",
)

# %% [markdown]
# Would a shorter window help the vocoder? Move the slider. On the left is the click.
# The window also decides how well tones fare, so on the right is the spectrum of two
# steady tones, 60 Hz apart, slowed down in the same way.

# %% tags=["hide-input"]
two_tones = np.sin(2 * np.pi * 1000 * seconds) + np.sin(2 * np.pi * 1060 * seconds)
pictures = {}
for n_fft in (128, 256, 512, 1024, 2048, 4096):
    x = stretch_by_hand(over_noise, rate, n_fft)
    tones = stretch_by_hand(two_tones, rate, n_fft)
    middle = tones[len(tones) // 4 : 3 * len(tones) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 2**17))
    spectrum_db = 20 * np.log10(spectrum / spectrum.max() + 1e-6)
    hz = np.fft.rfftfreq(2**17, 1 / rate_hz)
    fig, (left, right) = plt.subplots(1, 2, figsize=(8, 2.9))
    left.plot(np.arange(len(x)) / 16 - right_place / 16, x, "-", linewidth=0.8)
    left.set(xlabel="time from the right place (ms)", ylabel="amplitude")
    reach = 1.15 * np.abs(x).max()
    left.set(xlim=(-120, 120), ylim=(-reach, reach))
    left.set_title(f"click: {duration_ms(x, right_place):.0f} ms")
    near = (hz > 960) & (hz < 1100)
    right.plot(hz[near], spectrum_db[near], "-", color=plots.COLOURS[1])
    for true_hz in (1000, 1060):
        right.axvline(true_hz, color="grey", linestyle=":", linewidth=1)
    right.set(xlabel="frequency (Hz)", ylabel="level (dB)", ylim=(-50, 3))
    right.set_title("tones at 1000 and 1060 Hz")
    pictures[f"{n_fft} samples, {n_fft / 16:.0f} ms"] = fig
scrub(
    pictures,
    label="window of the vocoder",
    start="2048 samples, 128 ms",
    caption="A click over faint noise and two tones, at 0.7 times their speed.",
    alt="For windows of 8 to 256 ms: left, the stretched click, a burst of noise "
    "that grows with the window from 6 to about 200 ms. Right, the spectrum of the "
    "two tones: with 8 and 16 ms there are four peaks, at 1000, 1018, 1042 and 1060 "
    "Hz; with 32 ms two peaks stand out from clutter about 15 dB lower; from 64 ms "
    "on there are only the two true ones.",
)

# %% [markdown]
# The smear is a little shorter than the window, whatever the window. But with the two
# shortest windows, each tone has acquired a companion 42 Hz away. Such short windows do
# not separate the tones: both fall into the same bins, where they beat 60 times per
# second, and the vocoder takes the beat for a rhythm and slows it down to
# $0.7 \cdot 60 = 42$. At 32 ms the companions are gone and weaker clutter remains; from
# 64 ms on the spectrum is clean. **No single window is right for both clicks and tones**,
# the same conflict as in notebook 01.
#
# ### Exercise 03.3
#
# Which is the shortest window, a power of two in samples, with which neither tone has a
# companion, at 1018 or at 1042 Hz? Weaker clutter at other frequencies does not count.
# And how long, in ms, will a click over faint noise be then?
#
# Notebook 01's rule $N \ge 2/\Delta f$, with $N$ in seconds, gives 533 samples, between
# two powers of two. But the rule asks for a dip of 3 dB between the tones, which is not
# the same as having no companion. So look at *both* powers of two on the slider. Take the
# length of the click from the slider as well, or measure it with `stretch_by_hand` and
# `duration_ms`. Return both numbers.

# %% tags=["exercise"]
def shortest_window_and_click():
    ### BEGIN SOLUTION
    n_fft = 512  # the companions, there at 256, are gone; 1024 is longer than needed
    slow_click = stretch_by_hand(over_noise, rate, n_fft)
    click_ms = duration_ms(slow_click, right_place)
    return n_fft, click_ms
    ### END SOLUTION


check("03.3", shortest_window_and_click)

# %% [markdown]
# Your own sound, in a live kernel: what does it look like at half speed?

# %% tags=["hide-input"]
def slow_picture(x, rate_hz, speed):
    """Log-mels of a sound, slowed down by the vocoder and by Signalsmith."""
    at_rate = FeatureSpec(rate_hz=rate_hz, hop_ms=5)
    x = x[:rate_hz]
    fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    for ax, engine in zip(axes, ("librosa", "signalsmith"), strict=True):
        slow = time_stretch(x, speed, rate_hz=rate_hz, engine=engine)
        levels_db = log_mel(slow, at_rate)
        plots.mel_spectrogram(
            levels_db, at_rate.frame_centres_s(len(levels_db)), ax, range_db=60,
            centres_hz=at_rate.mel_centres_hz, bar=False,
        )
        ax.set_title(f"{engine}, speed {speed:g}")
    return fig


live(
    slow_picture, label="speed", values=[0.5, 0.7, 0.85, 1.2, 1.5],
    sound=clip, rate_hz=rate_hz,
)

# %% [markdown]
# ## 4. How large is the damage?
#
# One click could be a special case. We take thirty, at random places, and make them
# slower, faster, higher and lower, with librosa's vocoder at two window lengths and
# with Signalsmith. (A pitch shift is a time stretch followed by resampling.) On signals
# whose correct result is known, we measure four things:
#
# - **moved**: a click in silence; how far from where it belongs is its peak?
# - **smeared**: a click over faint noise; how long is it afterwards?
# - **pitch**: a tone of 440 Hz; how many cents off is it?
# - **level**: white noise; how much louder or quieter is it?

# %%
ENGINES = {
    "librosa, window 2048": {"engine": "librosa", "n_fft": 2048},
    "librosa, window 512": {"engine": "librosa", "n_fft": 512},
    "Signalsmith": {"engine": "signalsmith"},
}
JOBS = {  # rate, semitones
    "slow 0.7": (0.7, 0),
    "fast 1.2": (1.2, 0),
    "pitch +2": (1, 2),
    "pitch -2": (1, -2),
}
places = rng.integers(int(0.35 * rate_hz), int(0.75 * rate_hz), 30)
noise = 0.1 * rng.standard_normal(rate_hz)


def apply(job, engine, x):
    rate, semitones = JOBS[job]
    if semitones:
        return pitch_shift(x, semitones, rate_hz=rate_hz, **ENGINES[engine])
    return time_stretch(x, rate, rate_hz=rate_hz, **ENGINES[engine])


def measure_clicks(job, engine):
    """For each click: how far it was moved and how long it is, both in ms."""
    rate, _ = JOBS[job]
    measured = []
    for place in places:
        right_place = place / rate
        click = apply(job, engine, click_at(place))
        noisy_click = apply(job, engine, click_at(place, faint))
        moved = np.abs(click).argmax() - right_place
        smeared = duration_ms(noisy_click, right_place)
        measured.append((abs(moved) * 1000 / rate_hz, smeared))
    return measured


# %%
one_by_one = []
rows = []
for engine in ENGINES:
    for job in JOBS:
        for moved, smeared in measure_clicks(job, engine):
            one_by_one.append((engine, job, moved, smeared))
        _, semitones = JOBS[job]
        wanted_hz = 440 * 2 ** (semitones / 12)
        found_hz = frequency_hz(apply(job, engine, tone))
        power_ratio = np.mean(apply(job, engine, noise) ** 2) / np.mean(noise**2)
        rows.append({
            "engine": engine,
            "transform": job,
            "pitch error (cents)": 1200 * np.log2(found_hz / wanted_hz),
            "level of noise (dB)": 10 * np.log10(power_ratio),
        })

clicks = pd.DataFrame(one_by_one, columns=["engine", "transform", "moved", "smeared"])
worst = clicks.groupby("engine")["moved"].max()
median = clicks.groupby("engine")["moved"].median()
smear = clicks.groupby("engine")["smeared"].median()

by_job = clicks.groupby(["engine", "transform"], sort=False)
damage = pd.DataFrame(rows).set_index(["engine", "transform"])
damage.insert(0, "moved, median (ms)", by_job["moved"].median())
damage.insert(1, "moved, worst (ms)", by_job["moved"].max())
damage.insert(2, "smeared, median (ms)", by_job["smeared"].median())
display(damage.style.format("{:.2f}"))

# %% tags=["cover", "hide-input"]
fig, axes = plt.subplots(1, 2, figsize=(11, 4.2))
for ax, column in zip(axes, ("moved", "smeared"), strict=True):
    sns.stripplot(
        clicks, x="transform", y=column, hue="engine", dodge=True, ax=ax, size=4,
        palette=list(plots.COLOURS[:3]), legend=False,
    )
    markers = np.resize(plots.MARKERS[:3], len(ax.collections))
    for collection, marker in zip(ax.collections, markers, strict=True):
        style = plt.matplotlib.markers.MarkerStyle(marker)
        collection.set_paths([style.get_path().transformed(style.get_transform())])
    ax.axhline(10, color="grey", linestyle="--", linewidth=1)
    ax.set_xlabel("")
axes[0].set_ylabel("click moved by (ms)")
axes[1].set_ylabel("length of the click (ms)")
axes[1].text(3.45, 11.5, "one hop of 10 ms", ha="right", fontsize=11)
for place, engine in enumerate(ENGINES):
    axes[0].plot(
        [], [], marker=plots.MARKERS[place], linestyle="none", markersize=5,
        color=plots.COLOURS[place], label=engine,
    )
fig.legend(loc="outside upper center", ncols=3)
show(
    fig,
    alt="Thirty clicks for each engine and transform, one dot each. Left, how far they "
    f"were moved: librosa with its default window up to "
    f"{worst['librosa, window 2048']:.0f} ms, with a short window up to "
    f"{worst['librosa, window 512']:.0f} ms, Signalsmith at most "
    f"{worst['Signalsmith']:.1f} ms. Right, how long they became: about "
    f"{smear['librosa, window 2048']:.0f}, {smear['librosa, window 512']:.0f} and "
    f"{smear['Signalsmith']:.1f} ms. A dashed line marks one hop of 10 ms.",
    caption="Thirty clicks per engine and transform; the dashed line is one hop.",
)

# %%
default, short, ours = ENGINES  # the names of the three
conclude(
    "vocoder_moves_clicks", float(median[default] - median[ours]), unit="ms",
    if_clear=f"librosa's default moves a click by a median of {median[default]:.0f} ms "
    f"and by up to **{worst[default]:.0f} ms**, several hops. The largest move is "
    f"{worst[short]:.1f} ms with a window of 512 samples and "
    f"**{worst[ours]:.1f} ms** with Signalsmith.",
    if_not=f"librosa's default moves a click by a median of {median[default]:.0f} ms, "
    f"Signalsmith by {median[ours]:.1f} ms. One run with one seed does not "
    "show how much of that is chance.",
)
conclude(
    "vocoder_smears_clicks", float(smear[default] - smear[ours]), unit="ms",
    if_clear=f"A click over faint noise becomes {smear[default]:.0f} ms long with the "
    f"default, {smear[short]:.0f} ms with the short window and {smear[ours]:.1f} ms "
    "with Signalsmith.",
    if_not=f"A click over faint noise becomes {smear[default]:.0f} ms long with "
    f"librosa's default and {smear[ours]:.1f} ms with Signalsmith. One run with one "
    "seed does not show how much of that is chance.",
)
say(
    "All of them keep the pitch; the largest error is "
    f"{damage['pitch error (cents)'].abs().max():.1g} cents. Noise loses up to "
    f"{-damage['level of noise (dB)'].min():.1f} dB, since overlapping frames with new "
    "phases partly cancel each other; a pitch shift upwards also loses what would rise "
    "above half the sampling rate."
)

# %% [markdown]
# When does this matter? Often it does not. If the label "dog" applies to the whole
# clip, it stays true when a bark moves by 40 ms, and a comparison of hops feeds the
# same displaced clip to all of them. It matters where *when* is part of the answer, as
# with the onset times of notebook 11, and where the attack is part of the sound: a
# click that lasts 100 ms is no longer a click. The course therefore stretches with
# Signalsmith.
#
# ## 5. Shifting and trimming
#
# Two transforms have nothing to do with spectra. A **shift** moves a clip in time. The
# gap that opens at one end is filled with zeros or, in a *circular* shift, with what fell
# off the other end. A shift by a whole number of samples does not alter the sound that
# remains, but it moves every onset, so *strong labels*, which give the times of onsets
# and offsets, must move with it.
#
# ### Exercise 03.4
#
# Write a shift: positive `n_samples` moves the clip later, negative earlier. Zeros enter,
# and the length stays the same.

# %% tags=["exercise"]
def my_shift(x, n_samples):
    ### BEGIN SOLUTION
    moved = np.zeros_like(x)
    if n_samples >= 0:
        moved[n_samples:] = x[: max(len(x) - n_samples, 0)]
    else:
        moved[:n_samples] = x[-n_samples:]
    return moved
    ### END SOLUTION


check("03.4", my_shift)

# %% [markdown]
# **Trimming** removes silence at both ends. But what is silence? The usual answer is
# relative: measure the level of short frames, and cut at either end until a frame comes
# within a *threshold* of the loudest one.

# %%
def frame_levels_db(x):
    """Level of frames of 25 ms, one every 10 ms, relative to the loudest."""
    n_window, hop = 400, 160
    frames = sliding_window_view(np.pad(x, n_window // 2), n_window)[::hop]
    power = np.mean(frames.astype(np.float64) ** 2, axis=1)
    return 10 * np.log10(np.maximum(power, 1e-10) / max(power.max(), 1e-10))


def trim_by_hand(x, threshold_db):
    hop = 160
    loud = np.flatnonzero(frame_levels_db(x) > -threshold_db)
    first = loud[0] * hop
    last = min(len(x), (loud[-1] + 1) * hop)
    return x[first:last]


same = np.array_equal(
    trim_by_hand(padded, 30), trim_silence(padded, 30, rate_hz=rate_hz)
)
verdict = "the same, sample by sample" if same else "not the same"
say(f"Our trimmed clip and the library's are **{verdict}**.")

# %% [markdown]
# The threshold decides how much of a decay is kept. Here is a bell, struck at 300 ms,
# whose level falls by 60 dB per second.

# %%
bell_s = np.arange(int(1.5 * rate_hz)) / rate_hz - 0.3
# After a second the amplitude is 10**-3, which is -60 dB
decay = np.where(bell_s >= 0, 10 ** (-3 * np.maximum(bell_s, 0)), 0)
partials = [np.sin(2 * np.pi * f * bell_s) for f in (700, 1890, 3710)]
bell = 0.25 * decay * np.sum(partials, axis=0)

predict(
    "03.c", ...,
    "With a threshold of 20 dB, how many milliseconds of the bell will be left?",
)

# %% tags=["hide-input"]
def trim_picture(x, rate_hz, threshold_db):
    """Level of the frames, the threshold, and what trimming keeps."""
    levels_db = frame_levels_db(x)
    times_s = np.arange(len(levels_db)) * 0.01
    loud = np.flatnonzero(levels_db > -threshold_db)
    kept_ms = 10 * (loud[-1] + 1 - loud[0])
    fig, ax = plt.subplots(figsize=(8, 2.9))
    ax.axvspan(loud[0] * 0.01, (loud[-1] + 1) * 0.01, color=plots.COLOURS[4], alpha=0.3)
    ax.plot(times_s, np.maximum(levels_db, -90), "-", color=plots.COLOURS[0])
    ax.axhline(-threshold_db, color=plots.COLOURS[1], linestyle="--")
    ax.set(xlabel="time (s)", ylabel="level (dB)", ylim=(-85, 5))
    ax.set_title(f"threshold {threshold_db:g} dB: {kept_ms:.0f} ms kept")
    return fig


pictures = {}
for threshold_db in (10, 20, 30, 40, 50, 60):
    pictures[f"{threshold_db} dB"] = trim_picture(bell, rate_hz, threshold_db)
scrub(
    pictures,
    label="threshold",
    start="30 dB",
    caption="The level of a bell; the shaded part is kept.",
    alt="Level of a bell over 1.5 s: silence until 0.3 s, then a jump to 0 dB and a "
    "straight fall of 60 dB per second. The shaded part that trimming keeps grows with "
    "the threshold from 200 ms at 10 dB to about 1 s at 60 dB.",
)

# %%
left_ms = len(trim_by_hand(bell, 20)) * 1000 / rate_hz
answer("03.c", round(left_ms), unit="ms", within=0.15)
say(
    f"A fall of 60 dB per second takes a third of a second for 20 dB, and "
    f"{left_ms:.0f} ms are left (the window adds a little). The bell's attack is safe "
    "at any threshold, but where its *decay* ends is our decision. If the sounds "
    "of your classes differ in how they die away, as a gong and a saucepan lid do, "
    "trimming removes part of the difference."
)

# %% [markdown]
# Trimming does one more thing: every sound now begins at the start of its clip. That is
# harmless for clip labels; strong labels have to be moved earlier by as much as was cut
# off at the start.
#
# ## 6. Noise, and which transforms can be undone
#
# Adding noise changes neither time nor pitch. Its strength is given as a signal-to-noise
# ratio, the power of the sound over the power of the noise, in dB.
#
# ### Exercise 03.5
#
# By what factor must `noise` be multiplied so that the ratio of the power of `x` to the
# power of the multiplied noise is `snr_db`, in dB?

# %% tags=["exercise"]
def noise_factor(x, noise, snr_db):
    ### BEGIN SOLUTION
    return np.sqrt(np.mean(x**2) / np.mean(noise**2)) / 10 ** (snr_db / 20)
    ### END SOLUTION


check("03.5", noise_factor)

# %% [markdown]
# A good way to understand a transform is to try to undo it.

# %%
predict(
    "03.d", ...,
    "Shift and back, circular shift and back, pitch up 4 and down 4, noise added and "
    "subtracted: how many of the four return the clip, up to rounding?",
)

# %%
n = timebase.ms_to_samples(300, rate_hz)
there = shift(clip, n)
round_the_end = shift(clip, n, circular=True)
higher = pitch_shift(clip, 4, rate_hz=rate_hz)
noisy = add_noise(clip, np.random.default_rng(seed), 10)
same_noise = add_noise(clip, np.random.default_rng(seed), 10) - clip

trips = {
    "shift there and back": shift(there, -n),
    "circular shift there and back": shift(round_the_end, -n, circular=True),
    "pitch +4, then -4": pitch_shift(higher, -4, rate_hz=rate_hz),
    "noise added and subtracted": noisy - same_noise,
}
lost = {}
for name, x in trips.items():
    error = np.sum((x - clip) ** 2) / max(np.sum(clip**2), 1e-12)
    lost[name] = float(10 * np.log10(error + 1e-15))
display(pd.DataFrame({"error against the clip (dB)": lost}).style.format("{:.1f}"))

# %%
answer("03.d", sum(error_db < -100 for error_db in lost.values()))
# Four semitones up, anything above this frequency passes half the sampling rate
kept_khz = rate_hz / 2 / 2 ** (4 / 12) / 1000
say(
    "At 0 dB, the error has as much energy as the clip itself. A circular shift and a "
    "known noise are undone up to rounding. A shift with zeros has lost what fell off "
    f"the end ({lost['shift there and back']:.1f} dB). Pitch up and down restores the "
    f"pitch but not the waveform ({lost['pitch +4, then -4']:.1f} dB), for two "
    f"reasons. The phases are new; and whatever lay above {kept_khz:.1f} kHz was moved "
    "beyond half the sampling rate and is lost. The two may still sound alike, but "
    "sample by sample they differ."
)

# %% [markdown]
# ## 7. Augmenting the picture
#
# A log-mel looks like a picture, and there are many tools that augment pictures: zoom,
# shift, rotate, shear, brighten, flip. The paper that this part of the course examines
# (Mushtaq, Su & Tran, 2021) calls this *traditional* augmentation and compares it with
# transforms of the sound. A photograph of a dog, turned by 30 degrees, still shows a dog.
# What is a *sound* turned by 30 degrees? We try it on two very simple sounds, a tone and
# a click.

# %%
predict(
    "03.e", ...,
    "What does a steady tone become when its picture is rotated? (One word.)",
)

# %%
fine = FeatureSpec(hop_ms=5)
edge = 10  # frames at either end that see where the sound begins and ends
n_frames = 201
# Just enough samples for the frames that we keep and those at the edges
n_long = (n_frames + 2 * edge - 1) * fine.hop_samples + 1
long_s = np.arange(n_long) / rate_hz

steady = 0.3 * np.sin(2 * np.pi * 1000 * long_s)
one_click = np.zeros(n_long)
one_click[(edge + n_frames // 4) * fine.hop_samples] = 0.9


def picture_of(sound, at_hop=fine):
    """Log-mel in dB below its maximum, at most 60, without the frames at the edges."""
    levels_db = log_mel(sound, at_hop)[edge:-edge]
    levels_db = np.maximum(levels_db - levels_db.max(), -60)
    return torch.from_numpy(levels_db)


CHANGES = {
    "as it is": lambda p: p,
    "rotated 30°": lambda p: spec_augment.warp(p, degrees=30),
    "sheared 0.3": lambda p: spec_augment.warp(p, frames_per_mel=0.3),
    "flipped": spec_augment.flip,
    "height +0.2": lambda p: spec_augment.warp(p, height=0.2),
    "width +0.2": lambda p: spec_augment.warp(p, width=0.2),
    "zoom 1.25": lambda p: spec_augment.warp(p, zoom_time=1.25, zoom_mel=1.25),
    "brightness 0.5": lambda p: spec_augment.brightness(p, 0.5),
}

# %% tags=["hide-input"]
pictures = {}
for name, change in CHANGES.items():
    fig, axes = plt.subplots(1, 2, figsize=(8, 3), sharey=True)
    for ax, what in zip(axes, ("tone", "click"), strict=True):
        picture = picture_of(steady if what == "tone" else one_click)
        plots.mel_spectrogram(
            change(picture).numpy(), 0.005 * np.arange(n_frames), ax, range_db=60,
            top_db=0, centres_hz=fine.mel_centres_hz, bar=False,
        )
        ax.set_title(f"{what}, {name}")
    axes[1].set_ylabel("")
    plots.level_bar(axes, "dB below maximum")
    pictures[name] = fig
scrub(
    pictures,
    label="transform",
    start="rotated 30°",
    caption="A tone and a click, and what transforms of the picture make of them.",
    alt="A tone of 1 kHz and a click as log-mel pictures under eight transforms. "
    "Rotated by 30 degrees anticlockwise, the tone rises and the high frequencies of "
    "the click come first; sheared, its low frequencies come first; flipped, the "
    "click moves from one quarter of the clip to three quarters; height lifts the "
    "tone; width moves the click later by 0.2 s; zoom thickens both, lowers the tone "
    "and moves the click earlier; brightness halves all level differences.",
)

# %% [markdown]
# Some of these have a meaning in sound:
#
# - **width** is a shift in time, **flip** is time reversal (dogs do not bark backwards);
# - **shear** and **rotation** turn a click into a sweep: with this shear, low frequencies
#   come before high ones, and with this rotation, after them;
# - **brightness** is not a gain. A gain would *add* the same number of decibels
#   everywhere; here the distance to the darkest cell is *multiplied* by a half, so all
#   level differences shrink, as in a compressor;
# - **zoom** moves everything away from the middle of the picture. That is why the tone,
#   which lies below the middle, falls, and the click, which lies to the left, comes
#   earlier.
#
# And a rotated tone?

# %%
def rotated_tone_hz(at_hop):
    """Centre of the loudest band in every frame of the rotated tone, in Hz."""
    rotated = spec_augment.warp(picture_of(steady, at_hop), degrees=30).numpy()
    return at_hop.mel_centres_hz[rotated.argmax(axis=1)]


loudest_hz = rotated_tone_hz(fine)
first = n_frames // 2 - 20
last = n_frames // 2 + 20
risen_hz = loudest_hz[last] - loudest_hz[first]
chirp_hz_per_s = float(risen_hz / ((last - first) * 0.005))
answer("03.e", "chirp")
say(
    f"A rotated tone is a **chirp**: in the 0.2 s around the middle it rises from "
    f"{loudest_hz[first]:.0f} to {loudest_hz[last]:.0f} Hz, "
    f"or by {chirp_hz_per_s / 1000:.1f} kHz per second."
)

# The rotated tone as sound: half a second, or 100 frames of 80 samples each
part = loudest_hz[n_frames // 2 - 40 : n_frames // 2 + 60]
glide_hz = np.interp(np.arange(8000) / 80, np.arange(len(part)), part)
phase = 2 * np.pi * np.cumsum(glide_hz) / rate_hz  # the sum of all frequencies so far
chirp = 0.3 * np.sin(phase)
play_pair(
    {"a tone": steady[:8000], "its picture rotated by 30°": chirp},
    rate_hz,
    describe="A steady tone of 1 kHz; then a sound that sweeps upwards like a siren.",
)

# %% [markdown]
# That was at a hop of 5 ms. A rotation counts in frames and bands, not in milliseconds.
# What does the same rotation do at a hop of 10 ms?

# %%
at_10_ms_hz = rotated_tone_hz(FeatureSpec(hop_ms=10))
middle = len(at_10_ms_hz) // 2
# The same 0.2 s, now 20 frames
risen_hz = at_10_ms_hz[middle + 10] - at_10_ms_hz[middle - 10]
chirp_at_10_ms = float(risen_hz / 0.2)
say(
    f"At a hop of 10 ms, the 30 degrees give a chirp of {chirp_at_10_ms / 1000:.1f} "
    f"kHz per second instead of {chirp_hz_per_s / 1000:.1f}. In bands per second it is "
    "half as steep. Shear counts in frames and bands as well. **At another hop, the "
    "same setting of either is another augmentation.**"
)

# %% [markdown]
# Is a flip really time reversal? We flip the picture of the click and compare it with the
# picture of the reversed click.

# %%
of_the_reversed = picture_of(one_click[::-1])
flipped = spec_augment.flip(picture_of(one_click))
flip_error_db = float((of_the_reversed - flipped).abs().max())
say(f"The largest difference between the two is {flip_error_db:.3f} dB.")

# %% [markdown]
# And a shift upwards? It looks like a pitch shift, but in general it is not one. A pitch
# shift multiplies every frequency by the same factor. A height shift moves every *band*
# by the same number of bands, and our mel bands are equally wide in Hz below 1 kHz and in
# octaves above. So it adds the same number of Hz to all frequencies that stay below 1 kHz
# and multiplies all those above by the same factor. An interval above 1 kHz survives; one
# that reaches below 1 kHz does not. Take two tones three octaves apart, one on each side
# of 1 kHz.

# %%
narrow = FeatureSpec(window_ms=64, n_mels=128)
low_tone = 0.3 * np.sin(2 * np.pi * 400 * long_s)
high_tone = 0.3 * np.sin(2 * np.pi * 3200 * long_s)


def octaves_apart(low_picture, high_picture):
    """Distance between the loudest bands of two log-mels, in octaves."""
    low_band = np.asarray(low_picture)[20:-20].mean(axis=0).argmax()
    high_band = np.asarray(high_picture)[20:-20].mean(axis=0).argmax()
    centres_hz = narrow.mel_centres_hz
    return float(np.log2(centres_hz[high_band] / centres_hz[low_band]))


low_db = log_mel(low_tone, narrow)
high_db = log_mel(high_tone, narrow)
before = octaves_apart(low_db, high_db)
by_pitch = octaves_apart(
    log_mel(pitch_shift(low_tone, 7, rate_hz=rate_hz), narrow),
    log_mel(pitch_shift(high_tone, 7, rate_hz=rate_hz), narrow),
)
by_height = octaves_apart(
    spec_augment.warp(torch.from_numpy(low_db), height=0.1),
    spec_augment.warp(torch.from_numpy(high_db), height=0.1),
)
say(
    f"Two tones {before:.2f} octaves apart are {by_pitch:.2f} octaves apart after a "
    "pitch shift of 7 semitones, the same to within a mel band, but "
    f"**{by_height:.2f}** octaves apart after a height shift of a tenth of the "
    "picture. Where the partials of a voice or a flute reach below 1 kHz, the "
    "overtones no longer fit their fundamental. Such sounds exist, bells and stiff "
    "strings among them, but a bark raised in this way is neither a higher bark nor a "
    "bell."
)

# %% [markdown]
# None of this shows that picture augmentation does not help: a network may profit from
# sounds that cannot exist. What it does show is that the two kinds of augmentation make
# different claims. Notebook 06 compares them on equal terms.
#
# ## 8. SpecAugment in milliseconds
#
# SpecAugment (Park et al., 2019) hides stretches of time and bands of frequency, so that
# a network cannot rely on any single one; here they are replaced by the clip's mean
# level. Most programs count *frames*: "up to 20 frames". Halve the hop, and the same
# setting hides half as much sound, so that a comparison of hops becomes a comparison of
# augmentations. Ours counts milliseconds and hertz. Here is the same seed at three hops.

# %%
hidden_ms = {}
masked = {}
for hop_ms in (5, 10, 20):
    at_hop = FeatureSpec(hop_ms=hop_ms)
    levels_db = log_mel(clip, at_hop)
    masked[hop_ms] = spec_augment.spec_augment(
        torch.from_numpy(levels_db), np.random.default_rng(seed + 1), at_hop,
        widest_time_ms=300, widest_band_hz=3000, n_time=1, n_bands=2,
    ).numpy()
    share_changed = (masked[hop_ms] != levels_db).mean(axis=1)  # of each frame's bands
    n_hidden = np.sum(share_changed > 0.9)  # a mask in time changes all bands
    hidden_ms[hop_ms] = float(n_hidden * hop_ms)

# %% tags=["hide-input"]
fig, axes = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True)
top_db = max(picture.max() for picture in masked.values())
for ax, (hop_ms, picture) in zip(axes, masked.items(), strict=True):
    at_hop = FeatureSpec(hop_ms=hop_ms)
    plots.mel_spectrogram(
        picture, at_hop.frame_centres_s(len(picture)), ax, range_db=60, top_db=top_db,
        centres_hz=at_hop.mel_centres_hz, bar=False,
    )
    ax.set_title(f"hop {hop_ms} ms: {hidden_ms[hop_ms] / hop_ms:.0f} frames hidden")
for ax in axes[1:]:
    ax.set_ylabel("")
plots.level_bar(axes)
show(
    fig,
    alt="The example at hops of 5, 10 and 20 ms with one stretch of time and two "
    "bands of frequency, which may overlap, covered by one even colour: the same piece "
    "of sound in all three. Hidden: "
    + ", ".join(f"{ms:.0f} ms at {hop} ms" for hop, ms in hidden_ms.items()) + ".",
    caption="The same seed at three hops hides the same piece of sound.",
)

# %%
spread_ms = max(hidden_ms.values()) - min(hidden_ms.values())
parts = [f"**{ms:.0f} ms** at a hop of {hop} ms" for hop, ms in hidden_ms.items()]
say(
    "Hidden: " + ", ".join(parts) + ". The number of frames differs; the piece of "
    "sound is the same, up to the width of a frame."
)

# %% [markdown]
# ## What we saw

# %%
say(f"""- A phase vocoder adds up the phase of each bin on its own. That keeps tones,
  and a click only if all bins agree: over faint noise, a window of 128 ms spreads it
  over {smeared_ms:.0f} ms. Signalsmith, which ties phases together over frequency,
  keeps it within {kept_ms:.1f} ms.
- A short window smears clicks less, but turns the beating of two tones into a false
  rhythm.
- Where trimming cuts a decay depends on the threshold: at 20 dB, {left_ms:.0f} ms of
  the bell remain.
- A circular shift can be undone, and a shift with zeros cannot. Shifting the pitch up
  and down again restores the pitch but not the waveform (an error of
  {lost['pitch +4, then -4']:.0f} dB).
- A rotated tone is a chirp, of {chirp_hz_per_s / 1000:.1f} kHz per second at a hop of
  5 ms and {chirp_at_10_ms / 1000:.1f} at 10 ms. A flip is time reversal. A height shift
  changed an interval that reaches below 1 kHz by {by_height - before:+.2f} octaves.
- Masks in ms hide the same sound at every hop.""")

# %% [markdown]
# ## What next
#
# Variants of a clip are not new recordings. Notebook 04 shows what happens if you treat
# them as if they were.
#
# Before you go on: [questions to test yourself](quizzes/03_waveform_augmentation.md).
#
# ## References
#
# - J. L. Flanagan, R. M. Golden, "Phase vocoder", Bell System Technical Journal 45, 1966.
#   doi:10.1002/j.1538-7305.1966.tb01706.x
# - J. Laroche, M. Dolson, "Improved phase vocoder time-scale modification of audio", IEEE
#   Trans. Speech Audio Process. 7, 1999. doi:10.1109/89.759041
# - G. Luff, "The design of Signalsmith Stretch", 2023.
#   https://signalsmith-audio.co.uk/writing/2023/stretch-design/
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound
#   classification using CNN with meaningful data augmentation", Applied Acoustics 172,
#   107581, 2021
# - D. S. Park et al., "SpecAugment: a simple data augmentation method for automatic
#   speech recognition", Interspeech 2019. doi:10.21437/Interspeech.2019-2680

# %% tags=["record"]
is_librosas = "yes" if difference < 1e-6 else "no"
record("vocoder_by_hand_is_librosas", is_librosas, kind="exact")
moved_in_silence = moved_ms["vocoder, in silence"]
record("click_moved_in_silence", moved_in_silence, unit="ms", kind="rel", rel=0.02)
record("click_smeared_over_noise", smeared_ms, unit="ms", kind="rel", rel=0.02)
for engine in ENGINES:
    name = engine.replace(", window ", "_").replace(" ", "_")
    record(f"click_worst_{name}", float(worst[engine]), unit="ms")
    record(f"click_median_{name}", float(median[engine]), unit="ms")
    record(f"click_smear_{name}", float(smear[engine]), unit="ms")
in_tune = damage["pitch error (cents)"].abs().max() < 0.1
record("pitch_within_a_tenth_of_a_cent", "yes" if in_tune else "no", kind="exact")
record("trim_by_hand_is_the_librarys", "yes" if same else "no", kind="exact")
record("bell_left_at_20_dB", left_ms, unit="ms", kind="rel", rel=1e-6)
exact = lost["circular shift there and back"] < -100
record("circular_round_trip", "exact" if exact else "lossy", kind="exact")
is_reversal = "yes" if flip_error_db < 1 else "no"
record("flip_is_reversal_within_1_dB", is_reversal, kind="exact")
bent = by_height - before
record("height_shift_bends_intervals", bent, unit="octaves", kind="rel", rel=0.01)
record("chirp", chirp_hz_per_s, unit="Hz/s", kind="rel", rel=0.02)
same_hidden = "yes" if spread_ms < 25 else "no"
record("same_sound_hidden_at_every_hop", same_hidden, kind="exact")
