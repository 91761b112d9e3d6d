# %% [markdown]
# # 03 · Waveform augmentation
#
# The same dog, a little further away, a little older, on another day: still a dog. A classifier that has heard it once in one yard does not know that. *Augmentation* shows it variants that we make ourselves. Each variant is a claim:
# "this, too, is a dog". So one should know what a transform changes, what it keeps, and what it breaks without being asked. In a course about milliseconds, a transform that moves an onset by thirty of them is not innocent.

# %% [markdown]
# ## You will be able to
#
# - **predict** the length of a stretched clip (exercise 03.1);
# - **measure** what a transform does to pitch, in cents (exercise 03.2), to onsets, in ms, and to level, in dB;
# - **write** a shift and say what it loses (exercise 03.3), and add noise at a given ratio (exercise 03.4);
# - **say** what sound a transformed picture would be, and when there is none.

# %% [markdown]
# ## Before you start
#
# You need notebooks 01 and 02. Reading takes 40 minutes, the four exercises 35. The machine needs less than a minute in every profile. Use headphones if you can.

# %%
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch

from course_lib import plots, profiles
from course_lib.audio import spec_augment, timebase
from course_lib.audio.augment import add_noise, pitch_shift, shift, time_stretch, trim_silence
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.data.load import load
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show

plots.use_style()

# %% tags=["parameters"]
profile: str = "smoke"  # smoke, lesson or study
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of the noise and of the places of the clicks

# %%
RATE_HZ = 16_000
rng = seed_everything(seed)
clips = load(dataset, profiles.get(profile), seed)
label = next((name for name in ("dog", "rooster") if name in clips.classes), clips.classes[0])
whole = clips.waves(RATE_HZ)[(clips.table["label"] == label).to_numpy().argmax()]
length = timebase.seconds_to_samples(1.5, RATE_HZ)
first = np.convolve(whole**2, np.ones(length), mode="valid").argmax() if len(whole) > length else 0
clip = whole[first:][:length] / (1.5 * np.abs(whole).max())  # its loudest 1.5 s, with room above
spec = FeatureSpec(hop_ms=5)
play(clip, RATE_HZ, describe=f"The clip of this notebook: 1.5 s of {label.replace('_', ' ')}, as it was recorded.")

# %% [markdown]
# ## 1. Six things to do to a clip
#
# Each function takes samples and gives samples. What is drawn at random comes from a generator that we hand in, so that the same seed gives the same variant. `rate` is the tape's speed: above 1 is faster and *shorter*.
#
# **Predict** before you run: which of the six changes the length, which the pitch, which neither?

# %%
padded = np.pad(clip, timebase.ms_to_samples(300, RATE_HZ))  # an excerpt need not have a silent end of its own
variants = {
    "slow 0.7": time_stretch(clip, 0.7, rate_hz=RATE_HZ),
    "fast 1.2": time_stretch(clip, 1.2, rate_hz=RATE_HZ),
    "pitch +4": pitch_shift(clip, 4, rate_hz=RATE_HZ),
    "shift 300 ms": shift(clip, timebase.ms_to_samples(300, RATE_HZ)),
    "trim 30 dB": trim_silence(padded, 30, rate_hz=RATE_HZ),
    "noise 10 dB": add_noise(clip, rng, 10),
}
fig, axes = plt.subplots(2, 3, figsize=(13, 6), sharey=True)
for ax, (name, x) in zip(axes.flat, variants.items(), strict=True):
    levels = log_mel(x, spec)
    plots.mel_spectrogram(levels, spec.frame_centres_s(len(levels)), ax, range_db=60)
    ax.set(title=f"{name}: {len(x) / RATE_HZ:.2f} s", xlim=(0, 1.5 / 0.7))
show(fig, alt="Six log-mel pictures of one clip: slow is longer and fast shorter at the same height, pitch +4 sits higher at the same length, "
     "the shifted clip starts with silence, trimming has taken silence off the ends, noise fills the gaps.")
say(f"The clip has {len(clip) / RATE_HZ:.2f} s. For trimming we put 300 ms of silence at either end of it: of {len(padded) / RATE_HZ:.2f} s **{len(variants['trim 30 dB']) / RATE_HZ:.2f} s** are left.")

# %%
for name in ("slow 0.7", "pitch +4", "noise 10 dB"):
    play(variants[name][: 2 * RATE_HZ] / max(1, np.abs(variants[name]).max()), RATE_HZ, describe=f"The same clip, {name}.")

# %% [markdown]
# Stretching changes the length, and trimming does where an end is silent; only the pitch shift changes the pitch; shift and noise change neither. A classifier wants all clips equally long, so what is longer is cut and what is shorter gets zeros at the end, and that, too, is part of the augmentation.
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
# Musicians measure pitch in cents: 1200 to the octave, 100 to the semitone, the same everywhere on the keyboard. Write the interval between two frequencies in cents.

# %% tags=["exercise"]
def cents(from_hz, to_hz):
    ### BEGIN SOLUTION
    return 1200 * np.log2(to_hz / from_hz)
    ### END SOLUTION


check("03.2", cents)

# %% [markdown]
# ## 2. What a transform breaks
#
# To stretch time, one must invent time. The classic way, the *phase vocoder* (librosa has it), takes an STFT (notebook 01), moves its frames apart, and turns the phases so that sinusoids go on smoothly. A click has no smooth phases: it is spread over every window that sees it, and comes out
# where the phases happen to agree. A newer way (Signalsmith's) treats peaks and what surrounds them as one. We measure both, on signals whose truth we know:
#
# - **pitch**: a tone of 440 Hz; where is it afterwards, in cents from where it should be?
# - **onset**: a click at a random place; where is it afterwards, in ms from where it should be?
# - **level**: noise; how much louder or weaker is it?
#
# **Predict:** our frames are 10 ms apart. By how many of them may a click be moved?

# %%
tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE_HZ) / RATE_HZ)
noise = 0.1 * rng.standard_normal(2 * RATE_HZ)
places = rng.integers(RATE_HZ // 2, 3 * RATE_HZ // 2, 30)


def frequency_hz(x):
    """Frequency of a steady tone: the peak of the spectrum's middle, refined by a parabola through its logarithm."""
    middle = x[len(x) // 4 : 3 * len(x) // 4]
    spectrum = np.log(np.abs(np.fft.rfft(middle * np.hanning(len(middle)), 8 * len(middle))))
    k = spectrum.argmax()
    left, top, right = spectrum[k - 1 : k + 2]
    return (k + 0.5 * (left - right) / (left - 2 * top + right)) * RATE_HZ / (8 * len(middle))


def click_error_ms(transform, place, rate):
    x = np.zeros(2 * RATE_HZ)
    x[place] = 0.9
    return timebase.samples_to_ms(float(np.abs(transform(x)).argmax() - place / rate), RATE_HZ)


# %% [markdown]
# Two engines, one of them with two windows, get the same four jobs: slower, faster, higher, lower. Each is measured on the tone (is the pitch right?) and on thirty clicks at random places (is the onset where it belongs?).

# %%
ENGINES = {
    "librosa, window 2048": dict(engine="librosa"),
    "librosa, window 512": dict(engine="librosa", n_fft=512),
    "Signalsmith": dict(engine="signalsmith"),
}
JOBS = {"slow 0.7": (0.7, 0), "fast 1.2": (1.2, 0), "pitch +2": (1, 2), "pitch -2": (1, -2)}


# %%
def apply(x, rate, semitones, options):
    if semitones:
        return pitch_shift(x, semitones, rate_hz=RATE_HZ, **options)
    return time_stretch(x, rate, rate_hz=RATE_HZ, **options)


rows, moved = [], []
for engine, options in ENGINES.items():
    for job, (rate, semitones) in JOBS.items():
        errors = [click_error_ms(partial(apply, rate=rate, semitones=semitones, options=options), p, rate) for p in places]
        moved += [(engine, job, abs(e)) for e in errors]
        pitch = 1200 * np.log2(frequency_hz(apply(tone, rate, semitones, options)) / 440) - 100 * semitones
        level = 10 * np.log10(np.mean(apply(noise, rate, semitones, options) ** 2) / np.mean(noise**2))
        rows.append((engine, job, pitch, np.median(np.abs(errors)), np.abs(errors).max(), level))
columns = ["engine", "transform", "pitch error (cents)", "onset, median (ms)", "onset, worst (ms)", "level of noise (dB)"]
broken = pd.DataFrame(rows, columns=columns).set_index(["engine", "transform"])
display(broken.round(2))

# %% tags=["cover"]
fig, ax = plt.subplots(figsize=(9, 3.8))
points = pd.DataFrame(moved, columns=["engine", "transform", "ms"])
sns.stripplot(points, x="transform", y="ms", hue="engine", dodge=True, ax=ax, size=4, palette=list(plots.COLOURS[:3]))
for collection, marker in zip(ax.collections, np.resize(["o", "s", "^"], len(ax.collections)), strict=True):
    style = plt.matplotlib.markers.MarkerStyle(marker)
    collection.set_paths([style.get_path().transformed(style.get_transform())])
ax.axhline(10, color="grey", linestyle="--", linewidth=1)
ax.text(3.45, 10.5, "one hop of 10 ms", ha="right", fontsize=11)
ax.set(xlabel="", ylabel="click moved by (ms)")
ax.legend(title=None)
worst = broken["onset, worst (ms)"].groupby("engine").max()
show(fig, alt=f"How far 30 clicks were moved by each engine, one dot a click: librosa with its default window up to {worst['librosa, window 2048']:.0f} ms, "
     f"with a short window up to {worst['librosa, window 512']:.0f} ms, Signalsmith at most {worst['Signalsmith']:.1f} ms; a dashed line marks one hop of 10 ms.")

# %%
median = broken["onset, median (ms)"].groupby("engine").median()
say(f"librosa's default moves a click by {median['librosa, window 2048']:.0f} ms in the median and up to **{worst['librosa, window 2048']:.0f} ms**, {worst['librosa, window 2048'] / 10:.0f} frames of 10 ms. "
    f"A window of 512 brings that to {worst['librosa, window 512']:.1f} ms, Signalsmith to **{worst['Signalsmith']:.1f} ms**. Pitch is right for all: at most {broken['pitch error (cents)'].abs().max():.2f} cents. "
    "Whoever compares hops of 5 and 10 ms on data stretched with the first engine compares noise. The course stretches with Signalsmith.")

# %% [markdown]
# ### Exercise 03.3
#
# Write a shift: positive `n_samples` moves the clip later, negative earlier, zeros enter, and the length stays.

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


check("03.3", my_shift)

# %% [markdown]
# ## 3. Round trips
#
# A good way to know a transform is to undo it. **Predict** which of these pairs gives the clip back: shift by 300 ms and back; circular shift and back; pitch up 4 and down 4; noise added and subtracted.

# %%
n = timebase.ms_to_samples(300, RATE_HZ)
drawn = [np.random.default_rng(seed) for _ in range(2)]
trips = {
    "shift there and back": shift(shift(clip, n), -n),
    "circular shift there and back": shift(shift(clip, n, circular=True), -n, circular=True),
    "pitch +4, then -4": pitch_shift(pitch_shift(clip, 4, rate_hz=RATE_HZ), -4, rate_hz=RATE_HZ),
    "noise, and the same noise taken off": add_noise(clip, drawn[0], 10) - (add_noise(clip, drawn[1], 10) - clip),
}
lost = {name: 10 * np.log10(np.sum((x - clip) ** 2) / np.sum(clip**2) + 1e-15) for name, x in trips.items()}
display(pd.Series(lost, name="error against the clip (dB)").to_frame().round(1))

# %%
say(f"A circular shift is undone exactly ({lost['circular shift there and back']:.0f} dB is rounding). A shift with zeros has lost what fell off the end ({lost['shift there and back']:.1f} dB). "
    f"Pitch up and down comes back at the same pitch, yet as another waveform ({lost['pitch +4, then -4']:.1f} dB): the phases are new. To the ear it is nearly the same, to a subtraction it is not.")

# %% [markdown]
# ### Exercise 03.4
#
# By what factor must `noise` be multiplied so that the ratio of the power of `x` to the power of the noise is `snr_db`?

# %% tags=["exercise"]
def noise_factor(x, noise, snr_db):
    ### BEGIN SOLUTION
    return np.sqrt(np.mean(x**2) / np.mean(noise**2)) / 10 ** (snr_db / 20)
    ### END SOLUTION


check("03.4", noise_factor)

# %% [markdown]
# ## 4. Augmenting the picture
#
# A log-mel looks like a picture, and there are many tools that augment pictures: zoom, shift, rotate, shear, brighten, flip. The paper that this part of the course re-examines (Mushtaq, Su and Tran, 2021) calls that *traditional* augmentation and compares it with transforms of the clip.
# A photograph of a dog turned by 30 degrees is a dog. What is a *sound* turned by 30 degrees? We ask with the two simplest sounds there are.
#
# **Predict** what a tone and a click become when their picture is rotated, sheared, flipped, shifted upwards.

# %%
m = 200  # frames; one sample more than whole hops, so that the reversed sound has its frames on the same samples
steady = 0.3 * np.sin(2 * np.pi * 1000 * np.arange(m * spec.hop_samples + 1) / RATE_HZ)
one_click = np.zeros_like(steady)
one_click[len(steady) // 4] = 0.9
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
fig, axes = plt.subplots(2, len(CHANGES), figsize=(15, 4.2), sharex=True, sharey=True)
for row, sound, what in zip(axes, (steady, one_click), ("tone", "click"), strict=True):
    picture = torch.from_numpy(np.maximum(log_mel(sound, spec), -60))
    for ax, (name, change) in zip(row, CHANGES.items(), strict=True):
        ax.pcolormesh(change(picture).numpy().T, vmin=-60, vmax=float(picture.max()), rasterized=True)
        ax.set_title(name if what == "tone" else "", fontsize=12)
    row[0].set_ylabel(f"{what}: mel band")
fig.supxlabel("frame")
show(fig, alt="A tone and a click as log-mel pictures under eight transforms of the picture: rotated, the tone rises and the click leans; sheared, the click leans; flipped, the click moves to the other end; "
     "height shifts the tone up; width moves the click; zoom widens both; brightness dims.")

# %%
import librosa

centres_hz = librosa.mel_frequencies(spec.n_mels + 2, fmin=spec.fmin_hz, fmax=spec.top_hz)[1:-1]


def loudest_hz(picture):
    """Frequency of the loudest band of every frame."""
    return centres_hz[np.asarray(picture).argmax(axis=1)]


turned = loudest_hz(spec_augment.warp(torch.from_numpy(log_mel(steady, spec)), degrees=30))[m // 2 - 20 : m // 2 + 20]
chirp_hz_per_s = (turned[-1] - turned[0]) / timebase.samples_to_ms(39 * spec.hop_samples, RATE_HZ) * 1000
reversed_sound, flipped_picture = log_mel(one_click[::-1], spec), spec_augment.flip(torch.from_numpy(log_mel(one_click, spec))).numpy()
audible = reversed_sound > reversed_sound.max() - 60
flip_error = float(np.abs(reversed_sound - flipped_picture)[audible].max())
say(f"A rotated tone is a **chirp**: in 0.2 s around the middle it rises from {turned[0]:.0f} to {turned[-1]:.0f} Hz, {chirp_hz_per_s / 1000:.0f} kHz a second. A leaning click is a sweep as well. "
    f"A flip is exactly time reversal: the picture of the reversed click differs by {flip_error:.2f} dB at most. Few things that bark do so backwards.")

# %% [markdown]
# And a shift upwards? It looks like a higher pitch. A pitch shift multiplies every frequency by the same factor. A height shift moves every *band* by the same number, and mel bands are neither equally wide in Hz nor in octaves.

# %%
two_hz = (400.0, 3200.0)  # three octaves apart
tones = [0.3 * np.sin(2 * np.pi * f * np.arange(len(steady)) / RATE_HZ) for f in two_hz]
narrow = FeatureSpec(window_ms=64, n_mels=128)


def octaves_apart(features):
    """Distance of the loudest bands of two features, in octaves."""
    hz = librosa.mel_frequencies(narrow.n_mels + 2, fmin=narrow.fmin_hz, fmax=narrow.top_hz)[1:-1]
    low, high = (hz[np.asarray(f)[20:-20].mean(axis=0).argmax()] for f in features)
    return float(np.log2(high / low))


before = octaves_apart([log_mel(x, narrow) for x in tones])
by_pitch = octaves_apart([log_mel(pitch_shift(x, 7, rate_hz=RATE_HZ), narrow) for x in tones])
by_height = octaves_apart([spec_augment.warp(torch.from_numpy(log_mel(x, narrow)), height=0.1) for x in tones])
say(f"Two tones {before:.2f} octaves apart stay {by_pitch:.2f} octaves apart under a pitch shift of 7 semitones, and come out **{by_height:.2f}** octaves apart under a height shift of a tenth. Harmonics no longer fit their fundamental: no instrument and no throat makes that sound.")

# %% [markdown]
# None of this proves that picture augmentation does not help. A network may profit from sounds that cannot exist. It does say that the two kinds of augmentation make different promises, and notebook 06 compares them on equal terms.
#
# ## 5. SpecAugment that does not know the hop
#
# SpecAugment (Park et al., 2019) hides stretches of time and bands of frequency. The usual programs count *frames*: "up to 20 frames". Halve the hop, and the same setting hides half as much sound. A comparison of hops would then be a comparison of augmentations.
# Ours counts milliseconds and Hz. **Predict** what the same seed hides at three hops.

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 3.6), sharey=True)
hidden_ms = {}
for ax, hop_ms in zip(axes, (5, 10, 20), strict=True):
    at_hop = FeatureSpec(hop_ms=hop_ms)
    features = torch.from_numpy(log_mel(clip, at_hop))
    masked = spec_augment.spec_augment(features, np.random.default_rng(seed + 1), at_hop, widest_time_ms=300, widest_band_hz=3000, n_time=1, n_bands=2).numpy()
    changed = (masked != features.numpy()).mean(axis=1) > 0.9
    hidden_ms[hop_ms] = float(changed.sum() * hop_ms)
    plots.mel_spectrogram(masked, at_hop.frame_centres_s(len(masked)), ax, range_db=60)
    ax.set_title(f"hop {hop_ms} ms: {int(changed.sum())} frames hidden")
show(fig, alt="The same clip at hops of 5, 10 and 20 ms with one stretch of time and two bands of frequency hidden: the same piece of sound in all three. "
     "Hidden: " + ", ".join(f"{ms:.0f} ms at {hop} ms" for hop, ms in hidden_ms.items()) + ".")

# %%
say("Hidden: " + ", ".join(f"**{ms:.0f} ms** at a hop of {hop} ms" for hop, ms in hidden_ms.items()) + ". The number of frames differs, the sound that is hidden does not, up to the width of a hop.")

# %% [markdown]
# ## What we saw

# %%
say(f"""- Signalsmith keeps a click within {worst['Signalsmith']:.1f} ms; librosa's default moves it by up to {worst['librosa, window 2048']:.0f} ms, more than a hop.
- Pitch is exact to {broken['pitch error (cents)'].abs().max():.2f} cents with either; noise loses up to {-broken['level of noise (dB)'].min():.1f} dB.
- A circular shift is undone exactly, a shift with zeros is not, a pitch shift comes back with other phases ({lost['pitch +4, then -4']:.0f} dB).
- A rotated tone is a chirp of {chirp_hz_per_s / 1000:.0f} kHz a second, a flip is time reversal, a height shift changes intervals by {by_height - before:+.2f} octaves.
- Masks in ms hide the same sound at every hop.""")

# %% [markdown]
# ## What next
#
# Variants of a clip are not new clips. Notebook 04 shows what happens to those who forget it.
# Before you go on: [questions to test yourself](quizzes/03_waveform_augmentation.md).
#
# ## References
#
# - Z. Mushtaq, S.-F. Su, Q.-V. Tran, "Spectral images based environmental sound classification using CNN with meaningful data augmentation", Applied Acoustics 172, 107581, 2021
# - D. S. Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic Speech Recognition", Interspeech 2019. doi:10.21437/Interspeech.2019-2680

# %% tags=["record"]
for engine in ENGINES:
    name = engine.replace(", window ", "_").replace(" ", "_")
    record(f"click_worst_{name}", float(worst[engine]), unit="ms")
    record(f"click_median_{name}", float(median[engine]), unit="ms")
record("pitch_within_a_tenth_of_a_cent", "yes" if broken["pitch error (cents)"].abs().max() < 0.1 else "no", kind="exact")
record("circular_round_trip", "exact" if lost["circular shift there and back"] < -100 else "lossy", kind="exact")
record("flip_is_reversal_within_1_dB", "yes" if flip_error < 1 else "no", kind="exact")
record("height_shift_bends_intervals", by_height - before, unit="octaves", kind="rel", rel=0.01)
record("chirp", float(chirp_hz_per_s), unit="Hz/s", kind="rel", rel=0.02)
spread_ms = max(hidden_ms.values()) - min(hidden_ms.values())
record("same_sound_hidden_at_every_hop", "yes" if spread_ms < 25 else "no", kind="exact")
