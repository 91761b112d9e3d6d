# %% [markdown]
# # 00 · Start here
#
# A dog barks twice, 150 ms apart. Rain falls for five seconds and is the same in every one of them. To tell one from the other a computer may look at a sound a thousand times a second or ten times a second,
# and the cost of everything that follows grows with that choice. This course asks how finely one needs to look: the **temporal resolution** of audio classification.

# %% [markdown]
# ## You will be able to
#
# - **check** that your machine can run the course;
# - **choose** a profile and a data set;
# - **listen** to clips and see them as waveform and spectrogram;
# - **solve** an exercise and read what its check says (exercise 00.1);
# - **measure** how much of a sound lies in few moments, and **say** which hop a budget buys (exercises 00.2, 00.3).

# %% [markdown]
# ## Before you start
#
# You need Python as a language, and no knowledge of audio. Reading takes 15 minutes, the three exercises 15. The machine needs less than a minute in every profile.
#
# Run a cell with Shift+Enter. Every notebook can be run from top to bottom without solving its exercises.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import signal

from course_lib import plots, profiles
from course_lib.audio import timebase
from course_lib.data.load import load
from course_lib.lesson import doctor
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, show

plots.use_style()

# %% [markdown]
# ## 1. Two choices: profile and data set
#
# The next cell is the only one in a notebook that is meant to be changed from outside. `course run` fills it in; here you edit it.
#
# | profile | what for |
# |---|---|
# | `smoke` | does everything run? minutes for the whole course, numbers mean little |
# | `lesson` | a class or an evening: enough data to see every effect, one fold |
# | `study` | every fold and three seeds, the numbers that the report is made of |

# %% tags=["parameters"]
profile: str = "smoke"  # smoke, lesson or study
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of everything drawn at random

# %% [markdown]
# `synth10` needs no download: ten classes of sound, computed from physics and a seed. `esc10` is the real thing, 400 recordings from Freesound; get it with `course data get esc10`. Your own sounds
# need a table with the columns `filename,label` and, if you know them, `fold,source`.

# %%
size = profiles.get(profile)
clips = load(dataset, size, seed)
waves = clips.waves(rate_hz=16_000)
say(f"**{clips.name}**: {len(clips)} clips of {clips.length_s:g} s, {len(clips.classes)} classes, {clips.table['fold'].nunique()} folds, "
    f"{clips.table['source'].nunique()} sources. As an array: {waves.shape[0]} clips x {waves.shape[1]} samples.")

# %% [markdown]
# ## 2. Is this machine ready?
#
# The course runs on two cores and 4 GB, without a graphics card. The third column below says what to do where something is missing; empty is good.

# %%
findings = pd.DataFrame(doctor.findings(), columns=["what", "found", "what to do"])
display(findings[~findings["what"].isin(["data folder", "mirror"])].style.hide(axis="index"))
problems = int((findings["what to do"] != "").sum())
say("Your machine is ready." if not problems else f"**{problems} lines above need your attention.**")

# %% [markdown]
# ## 3. What is in a data set
#
# Each clip has a *label*. It also has a *source*, the recording it was cut from, and a *fold*, a part of the data. All clips of a source lie in one fold, so that a classifier is never
# asked about a recording it was trained on. Notebook 04 shows what happens when that rule is broken.

# %%
display(clips.table[["clip", "label", "fold", "source"]].groupby("label").head(1).head(5))
counts = clips.table.groupby(["label", "fold"]).size().unstack(fill_value=0)
fewest, most = (int(f(counts.sum(axis=1))) for f in (min, max))
clips_a_class = str(most) if fewest == most else f"{fewest} to {most}"
fig, ax = plt.subplots(figsize=(9, 3.4))
bottom = np.zeros(len(counts))
for place, fold in enumerate(counts.columns):
    ax.bar(counts.index, counts[fold], bottom=bottom, color=plots.COLOURS[place % 6], hatch=["", "//", "..", "xx", "--", "oo"][place % 6],
           edgecolor="white", label=f"fold {fold}")
    bottom += counts[fold]
ax.set(ylabel="clips", ylim=(0, bottom.max() * 1.05))
ax.tick_params(axis="x", rotation=35)
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
show(fig, alt=f"Stacked bars of clips a class, one colour and hatch a fold: {len(counts)} classes of {clips_a_class} clips.")

# %%
say(f"Every class has {clips_a_class} clips, and a share of them in each of {len(counts.columns)} folds: "
    f"guessing would be right once in {len(counts)} times.")

# %% [markdown]
# ## 4. Listen and look
#
# We take one clip of two classes and look at the two seconds around its loudest moment, first as a waveform, then as a *spectrogram*: time to the right, frequency upwards, brightness for level.
#
# **Predict** before you run: for which of the two does it matter *when* something happens?

# %%
RATE_HZ = 16_000
EXCERPT = timebase.seconds_to_samples(2.0, RATE_HZ)


def loudest_excerpt(x):
    """The 2 s of `x` with the most energy, scaled to a peak of 0.8."""
    energy = np.convolve(x**2, np.ones(EXCERPT), mode="valid")
    excerpt = x[energy.argmax() :][:EXCERPT]
    return 0.8 * excerpt / np.abs(excerpt).max()


wanted = [name for name in ("clock_tick", "rain") if name in clips.classes] or clips.classes[:2]
excerpts = {name: loudest_excerpt(waves[(clips.table["label"] == name).to_numpy().argmax()]) for name in wanted[:2]}

# %%
def draw(name, x):
    fig, axes = plt.subplots(2, 1, figsize=(9, 4.6), sharex=True, height_ratios=[1, 2])
    plots.waveform(x, RATE_HZ, axes[0])
    freqs, times, power = signal.spectrogram(x, RATE_HZ, window="hann", nperseg=400, noverlap=240)
    plots.spectrogram(10 * np.log10(power.T + 1e-12), times, freqs, axes[1], range_db=60)
    axes[0].set(title=name.replace("_", " "), xlabel="")
    show(fig, alt=f"Waveform and spectrogram, 2 s of one clip of class {name}: amplitude and frequency (0 to 8 kHz) against time in seconds.")
    play(x, RATE_HZ, describe=f"2 s of a clip labelled {name.replace('_', ' ')}, the same samples as in the picture above.")


for name, x in excerpts.items():
    draw(name, x)

# %% [markdown]
# A clock is silent nearly all the time: whoever looks only at its ticks has lost nothing. Steady rain has no such moments. Let us put a number on that for every class: cut each clip into frames of 10 ms and ask how much of its energy
# lies in the busiest tenth of them. If all frames were alike it would be 10 %.

# %% tags=["cover"]
FRAME = timebase.ms_to_samples(10, RATE_HZ)
frames = waves[:, : waves.shape[1] // FRAME * FRAME].reshape(len(waves), -1, FRAME)
energy = np.sort(np.square(frames).sum(axis=2), axis=1)[:, ::-1]
share = energy[:, : energy.shape[1] // 10].sum(axis=1) / np.maximum(energy.sum(axis=1), 1e-12)
shares = pd.Series(100 * share).groupby(clips.table["label"]).median().sort_values()
fig, ax = plt.subplots(figsize=(9, 0.34 * len(shares) + 1))
ax.barh([name.replace("_", " ") for name in shares.index], shares, color=plots.COLOURS[0])
ax.axvline(10, color=plots.COLOURS[1], linestyle="--")
ax.set(xlabel="energy in the busiest tenth of the frames (%), median of the class", xlim=(0, 100))
show(fig, alt=f"Bars, one a class, sorted: the busiest tenth of the frames holds {shares.iloc[0]:.0f} % of the energy of {shares.index[0].replace('_', ' ')} "
     f"and {shares.iloc[-1]:.0f} % of {shares.index[-1].replace('_', ' ')}; a dashed line marks 10 %.")
say(f"From *{shares.index[0].replace('_', ' ')}* ({shares.iloc[0]:.0f} %) to *{shares.index[-1].replace('_', ' ')}* ({shares.iloc[-1]:.0f} %): near 10 % all frames are alike and most could go; "
    "near 100 % a few frames say everything, and the rest are paid for nothing.")

# %% [markdown]
# ## 5. Your first exercises
#
# Replace the `...` with your answer and run the cell. The check answers in one of four ways: *passed*, *not yet* (with the reason), *not attempted*, or *cannot check*.
#
# ### Exercise 00.1
#
# A clip is 5 seconds long and has 16,000 samples a second. We look at it every 10 ms. How many samples lie between two looks?

# %% tags=["exercise"]
samples_between_two_looks = ...
### BEGIN SOLUTION
samples_between_two_looks = 160
### END SOLUTION
check("00.1", samples_between_two_looks)

# %% [markdown]
# ### Exercise 00.2
#
# Write the measure of the last figure for one clip: from the energy of each of its frames, an array, how many **percent** of the whole lie in the busiest tenth of the frames? Of 105 frames a tenth is 10.

# %% tags=["exercise"]
def busiest_tenth(energy):
    ### BEGIN SOLUTION
    busiest = np.sort(energy)[::-1][: len(energy) // 10]
    return 100 * busiest.sum() / energy.sum()
    ### END SOLUTION


check("00.2", busiest_tenth)

# %% [markdown]
# ### Exercise 00.3
#
# A classifier that looks every `hop_ms` milliseconds costs `cost`, and all of that cost grows with the number of looks. Which hop, in milliseconds, brings it to `budget`? **Predict** first: four times cheaper, is that a
# hop of a quarter or four times as long?

# %% tags=["exercise"]
def affordable_hop_ms(hop_ms, cost, budget):
    ### BEGIN SOLUTION
    return hop_ms * cost / budget
    ### END SOLUTION


check("00.3", affordable_hop_ms)

# %% [markdown]
# ## What we saw

# %%
say(f"""- This machine: {findings.set_index('what').loc['cores', 'found']} cores, {findings.set_index('what').loc['memory', 'found']} of memory, device {findings.set_index('what').loc['device', 'found']}.
- The data: {len(clips)} clips of {len(clips.classes)} classes in {clips.table['fold'].nunique()} folds; a source never lies in two folds.
- Some sounds put {shares.iloc[-1]:.0f} % of their energy into a tenth of their frames, others {shares.iloc[0]:.0f} %. That difference is what this course is about.""")

# %% [markdown]
# ## What next
#
# Notebook 01 takes the word "look" apart into window and hop, and finds what each of them can and cannot show.
# Before you go on: [questions to test yourself](quizzes/00_start_here.md).
#
# ## References
#
# - K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia 2015. doi:10.1145/2733373.2806390

# %% tags=["record"]
record("clips", len(clips), unit="clips", kind="exact")
record("classes", len(clips.classes), unit="classes", kind="exact")
record("folds", int(clips.table["fold"].nunique()), unit="folds", kind="exact")
record("sources_in_two_folds", int((clips.table.groupby("source")["fold"].nunique() > 1).sum()), unit="sources", kind="exact")
record("samples_a_clip", waves.shape[1], unit="samples", kind="exact")
record("busiest_tenth_most", float(shares.iloc[-1]), unit="%")
record("busiest_tenth_least", float(shares.iloc[0]), unit="%")
record("device", profiles.device(), kind="info")
