# %% [markdown]
# # 00 · Start here
#
# A dog barks twice, with 50 ms of silence between the barks. Rain sounds the same from
# one second to the next. A computer that has to tell them apart can look at the sound a
# hundred times per second, or only six times, and the cost of everything it does
# afterwards grows with that number. This course asks how often it has to look: which
# **temporal resolution** audio classification needs.
#
# Listen first.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import signal

from course_lib import plots, profiles
from course_lib.audio import synth10, timebase
from course_lib.data.load import load
from course_lib.lesson import doctor
from course_lib.lesson.checks import check
from course_lib.lesson.display import (
    answer,
    conclude,
    play_pair,
    predict,
    record,
    say,
    scrub,
    show,
)
from course_lib.lesson.gallery import gallery

plots.use_style()

RATE_HZ = 16_000
OPENING_S = 0.96

# Two barks, from 0.20 to 0.30 s and from 0.35 to 0.46 s
barks = synth10.score(np.array([0.2, 0.35]), np.array([0.3, 0.46]))
shower = synth10.score(np.array([0.0]), np.array([5.0]))
dog = synth10.dog(
    np.random.default_rng(3), barks, pitch_hz=420, tract=1.0, breath=0.15
)
rain = synth10.rain(
    np.random.default_rng(4), shower, drops_per_s=400, drop_hz=2500, hiss=1.0
)
opening = {}
for name, x in [("dog", dog), ("rain", rain)]:
    x = x[: timebase.seconds_to_samples(OPENING_S, RATE_HZ)]
    opening[name] = 0.8 * x / np.abs(x).max()

play_pair(
    opening,
    RATE_HZ,
    describe="A dog that barks twice in quick succession; then steady rain.",
)

# %% [markdown]
# Now look. In both pictures time runs to the right, frequency upwards, and brighter means
# louder. Each column is one look at the sound and shows the average over its own width.
# **Move the slider, and look less and less often.**

# %% tags=["hide-input"]
FINE_HOP = timebase.ms_to_samples(5, RATE_HZ)
FINE_WINDOW = timebase.ms_to_samples(10, RATE_HZ)
STFT = {"fs": RATE_HZ, "nperseg": FINE_WINDOW, "noverlap": FINE_WINDOW - FINE_HOP}
N_FINE = timebase.frame_count(len(opening["dog"]), 2 * FINE_HOP, FINE_HOP) - 1


def looks(x, hop_ms):
    """Power (bins, looks) when we look every `hop_ms`, averaged in between."""
    _, _, spectrum = signal.stft(x, **STFT)
    power = np.abs(spectrum[:80, :N_FINE]) ** 2
    per_look = round(hop_ms / 5)
    return power.reshape(80, -1, per_look).mean(axis=2)


def draw_looks(hop_ms):
    """Dog and rain, side by side, with one column every `hop_ms`."""
    fig, axes = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
    for side, (name, x) in enumerate(opening.items()):
        ax = axes[side]
        power = looks(x, hop_ms)
        pairs_of_bins = power.reshape(40, 2, -1).mean(axis=1)
        levels_db = 10 * np.log10(pairs_of_bins + 1e-12)
        top_db = 10 * np.log10(looks(x, 10).max())
        edges_s = np.arange(power.shape[1] + 1) * hop_ms / 1000
        edges_khz = np.arange(41) * RATE_HZ / FINE_WINDOW * 2 / 1000
        ax.pcolormesh(edges_s, edges_khz, levels_db, vmin=top_db - 50, vmax=top_db)
        ax.set(title=name, xlabel="time (s)")
    axes[0].set_ylabel("frequency (kHz)")
    return fig


HOPS_MS = (10, 20, 40, 80, 160, 320)
scrub(
    {f"every {hop_ms} ms": draw_looks(hop_ms) for hop_ms in HOPS_MS},
    label="we look",
    start="every 10 ms",
    caption="The same 0.96 s of sound in 96, 48, 24, 12, 6 or 3 looks.",
    alt="Spectrograms of a dog and of rain, side by side, with ever wider columns. At "
    "10 ms the two barks are separate, each a stack of bright bands that sink. At 80 "
    "ms the gap between them is gone; at 320 ms there are two wide blocks that touch. "
    "The rain keeps its two bright horizontal bands at every step.",
)

# %% [markdown]
# Up to 40 ms you can see two barks. A look of 80 ms is longer than the silence between
# them, so no look falls within the silence. The gap is gone, and this computer no longer
# knows whether the dog barked once or twice. The rain hardly changes. For rain, six looks
# per second would do.
#
# You can hear the difference, too. The next three sounds are noise, shaped to have the
# levels of the picture: one level for each frequency in each look, and nothing else. The
# two dogs are made of the same noise and differ only in how often we look.

# %% tags=["hide-input"]
def rebuilt(x, hop_ms, seed):
    """Noise with the levels that looking every `hop_ms` leaves of `x`."""
    noise = np.random.default_rng(seed).standard_normal(len(x))
    _, _, noise_spectrum = signal.stft(noise, **STFT)
    noise_spectrum = noise_spectrum[:80, :N_FINE]
    levels = np.repeat(np.sqrt(looks(x, hop_ms)), round(hop_ms / 5), axis=1)
    spectrum = levels * noise_spectrum / np.abs(noise_spectrum).mean()
    _, y = signal.istft(np.pad(spectrum, ((0, 1), (0, 1))), **STFT)
    return 0.8 * y / np.abs(y).max()


play_pair(
    {"dog, every 10 ms": rebuilt(opening["dog"], 10, 0),
     "dog, every 160 ms": rebuilt(opening["dog"], 160, 0),
     "rain, every 160 ms": rebuilt(opening["rain"], 160, 1)},
    RATE_HZ,
    describe="Two hoarse barks; one dull burst in their place; then rain, still rain.",
)

# %% [markdown]
# Looking every 10 ms keeps both the dog and the rain. But it takes sixteen times as many
# columns as looking every 160 ms, and for the rain they are hardly worth it. So the
# coarsest resolution that will do depends on the sounds, and on the question. The course
# shows how to find out which resolution *you* need, and whether a network can find out by
# itself.

# %% [markdown]
# ## You will be able to
#
# - **read** a spectrogram, and **count** the samples between two looks (exercise 00.1);
# - **measure** how concentrated a sound is in time (exercise 00.2);
# - **compute** how finely a given budget lets you look (exercise 00.3);
# - **run** a notebook, solve an exercise and understand what its check says.

# %% [markdown]
# ## Before you start
#
# You need basic Python but no knowledge of audio. Reading takes about 20 minutes, the
# three exercises 15. The machine needs less than a minute in every profile.
#
# Run a cell with Shift+Enter. The cells that only draw are folded; open them if you want
# to see how a figure is made. Every notebook runs from top to bottom even if you skip its
# exercises.
#
# The next cell holds the settings. `dataset` says which sounds to use (section 2), and
# `profile` how much to compute (section 6).

# %% tags=["parameters"]
profile: str = "lesson"  # smoke, lesson or study
dataset: str = "synth10"  # a name from `course data list`, or your own folder
seed: int = 0  # seed of everything drawn at random

# %% [markdown]
# ## 1. How to read a spectrogram
#
# A microphone measures the pressure of the air, here 16,000 times per second. Each
# measurement is one number, a *sample*, and the samples, one after another, form the
# *waveform*. Let us zoom in on the first bark.

# %% tags=["hide-input"]
fig, axes = plt.subplots(3, 1, figsize=(9, 5.4))
bark = opening["dog"]
views_ms = [(0, 960), (200, 260), (228, 233)]
for row, (start_ms, end_ms) in enumerate(views_ms):
    ax = axes[row]
    start = timebase.ms_to_samples(start_ms, RATE_HZ)
    end = timebase.ms_to_samples(end_ms, RATE_HZ)
    times_ms = timebase.samples_to_ms(np.arange(start, end), RATE_HZ)
    if end - start < 100:
        ax.plot(times_ms, bark[start:end], "o-", markersize=4)
    else:
        ax.plot(times_ms, bark[start:end], linestyle="-", linewidth=0.8)
    ax.set(xlim=(start_ms, end_ms), ylabel="amplitude")
    if row > 0:
        axes[row - 1].axvspan(start_ms, end_ms, color=plots.COLOURS[5], alpha=0.5)
axes[-1].set_xlabel("time (ms)")
show(
    fig,
    alt="The waveform of the two barks at three scales. Over a second, two bursts; "
    "over 60 ms, a regular pattern that repeats about every 2 ms; over 5 ms, single "
    "samples as dots joined by a line. Shaded areas mark what the next panel enlarges.",
    caption="The dog at three scales; what is shaded is enlarged in the panel below.",
)

# %% [markdown]
# The top panel shows *when* the dog barks. In the middle panel a pattern repeats about
# every two milliseconds; we hear that rate as the pitch. The bottom panel shows the
# samples themselves, and a single sample says nothing about the sound.
#
# A spectrogram sums up what the middle panel shows: it cuts the waveform into short
# pieces and writes down, for each piece, how loud every frequency is. The result is a
# picture with one column per piece. Go back to the picture with the slider. A bark
# *starts* where the bright area begins. Its bright bands lie at multiples of its *pitch*,
# and they sink because the pitch falls. Rain has no pitch; its two bands stay level.
#
# The time from one column to the next is called the **hop**. It is the number that this
# course varies.

# %% [markdown]
# ### Exercise 00.1
#
# We look at a clip every 10 ms. It is 5 seconds long and has 16,000 samples per second.
# How many samples lie between two looks?
#
# Replace the `...` with your answer and run the cell. The check answers in one of four
# ways: *passed*; *not yet* (your answer is wrong, and the check says how); *not
# attempted* (the `...` is still there); or *cannot check* (the check itself failed, which
# is not your fault).
#
# <details><summary>Hint</summary>
#
# 10 ms is a hundredth of a second. One of the three numbers is not needed.
#
# </details>

# %% tags=["exercise"]
samples_between_two_looks = (
    ### BEGIN SOLUTION
    16_000 * 10 // 1000  # samples per second, times 10 thousandths of a second
    ### END SOLUTION
)
check("00.1", samples_between_two_looks)

# %% [markdown]
# ## 2. The sounds of this course
#
# `synth10`, the default, has ten classes of synthetic sounds. They are computed on the
# spot from simple physical models and random numbers. `esc10` has recordings of the same
# ten classes from Freesound (Piczak, 2015); get it with `course data get esc10` in a
# terminal (section 6 says where to find the command `course`). A folder of your own works
# as well, with one sub-folder per class.

# %%
size = profiles.get(profile)
clips = load(dataset, size, seed)
waves = clips.waves(rate_hz=RATE_HZ)
labels = clips.table["label"].to_numpy()
say(f"**{clips.name}**: {len(clips)} clips of {clips.length_s:g} s, {clips.n_classes} "
    f"classes. As an array: {waves.shape[0]} clips × {waves.shape[1]} samples.")

# %% tags=["hide-input"]
def loudest_part(x, length_s):
    """The `length_s` of `x` with the most energy, scaled to a peak of 0.8."""
    n_samples = min(len(x), timebase.seconds_to_samples(length_s, RATE_HZ))
    energy_so_far = np.concatenate([[0], np.cumsum(x.astype(float) ** 2)])
    energy = energy_so_far[n_samples:] - energy_so_far[:-n_samples]
    start = energy.argmax()
    part = x[start : start + n_samples]
    return 0.8 * part / max(np.abs(part).max(), 1e-9)


examples = {}
for name in clips.classes[:12]:
    first = np.flatnonzero(labels == name)[0]
    examples[name] = loudest_part(waves[first], length_s=1.5)
gallery(examples, RATE_HZ)

# %% [markdown]
# Each picture shows the loudest part of one clip, up to 8 kHz. (At most twelve classes
# are shown.) Play a few, and sort them into two groups before you go on: for which of
# them does it matter *when* something happens, and for which would any second do?
#
# Each row of the table below describes one clip. The **label** says what it is. The
# **source** is the recording that it was cut from or, in `synth10`, the set of random
# settings that it was computed from. The **fold** is the part of the data that it
# belongs to. All clips from one source are in the same fold, so that a classifier is
# never tested on a source that it was trained on. Notebook 04 shows what happens when
# that rule is broken.

# %%
one_of_each = clips.table.groupby("label").head(1)
shown = one_of_each[["clip", "label", "source", "fold"]].head(5)
display(shown.style.hide(axis="index"))
n_folds = clips.table["fold"].nunique()
n_sources = clips.table["source"].nunique()
say(f"{n_sources} sources in {n_folds} folds. With {clips.n_classes} classes, a random "
    f"guess is right {100 / clips.n_classes:.0f} % of the time.")

# %% [markdown]
# ## 3. Where in time does a sound happen?
#
# Let us put a number on your two groups. Cut each clip into pieces of 10 ms, called
# *frames*, and add up the squared samples in each: the sum is the frame's energy. Then
# ask what share of the clip's energy lies in the busiest tenth of its frames. If all
# frames were equally loud, the share would be 10 %.
#
# **Predict:** which class has the largest share of its energy in the busiest tenth?

# %%
predict("00.a", ..., "Which class is the most concentrated?")

# %%
def frame_energy(x, frame_ms):
    """Energy of consecutive frames of `frame_ms`, shape (frames,)."""
    frame_length = timebase.ms_to_samples(frame_ms, RATE_HZ)
    n_frames = len(x) // frame_length
    frames = x[: n_frames * frame_length].reshape(n_frames, frame_length)
    return np.sum(frames.astype(float) ** 2, axis=1)

# %% tags=["hide-input"]
# Folded, because you will write this function yourself in exercise 00.2
def percent_in_busiest_tenth(energy):
    """Percentage of the whole energy that the busiest tenth of the frames holds."""
    from_loud_to_quiet = np.sort(energy)[::-1]
    n_busiest = max(1, len(energy) // 10)
    return 100 * from_loud_to_quiet[:n_busiest].sum() / max(energy.sum(), 1e-12)

# %%
def median_per_class(frame_ms):
    """Median over the clips of each class, from the least to the most concentrated."""
    shares = [percent_in_busiest_tenth(frame_energy(x, frame_ms)) for x in waves]
    return pd.Series(shares).groupby(labels).median().sort_values()


concentration = median_per_class(frame_ms=10)
least, most = concentration.index[0], concentration.index[-1]
answer("00.a", most.replace("_", " "))

# %%
white_noise = np.random.default_rng(0).standard_normal(waves.shape[1])
noise_share = percent_in_busiest_tenth(frame_energy(white_noise, 10))

# %% tags=["hide-input"]
fig, ax = plt.subplots(figsize=(9, 0.34 * len(concentration) + 1))
names = [name.replace("_", " ") for name in concentration.index]
ax.barh(names, concentration, color=plots.COLOURS[0])
ax.axvline(noise_share, color=plots.COLOURS[1], linestyle="--")
ax.set(xlabel="energy in the busiest tenth of the frames (%)", xlim=(0, 100))
show(
    fig,
    alt="Horizontal bars, one per class, sorted by the percentage of energy in the "
    f"busiest tenth of the frames: {concentration.iloc[0]:.0f} % for "
    f"{least.replace('_', ' ')} up to {concentration.iloc[-1]:.0f} % for "
    f"{most.replace('_', ' ')}; a dashed line marks white noise at {noise_share:.0f} "
    "%.",
    caption="Median per class. Dashed line: steady white noise.",
)

# %%
# Shows `if_clear` if the number is at least three standard deviations from 0, as
# measured over several seeds; else `if_not`
conclude(
    "concentration_range",
    float(concentration.iloc[-1] - concentration.iloc[0]),
    unit="points",
    if_clear=f"*{most.replace('_', ' ')}* has {concentration.iloc[-1]:.0f} % of its "
    f"energy in a tenth of its frames, *{least.replace('_', ' ')}* "
    f"{concentration.iloc[0]:.0f} %. Steady white noise has {noise_share:.0f} % and "
    "not 10, because frames of 10 ms differ by chance.",
    if_not=f"Here the shares range from {concentration.iloc[0]:.0f} % to "
    f"{concentration.iloc[-1]:.0f} %. How much they would change with other clips of "
    "these classes has not been measured for this data set.",
)

# %% [markdown]
# Careful: energy is not information. The silence between two ticks carries no energy, and
# yet it *is* the rhythm of a clock. Leave it out, and you no longer know how fast the
# clock ticks. All that a high number tells us is that most frames are quiet. How many of
# them a classifier can do without is a question for experiments, from notebook 05 on.

# %% [markdown]
# ### Exercise 00.2
#
# Write the function that section 3 folded away. `energy` is an array with the energy of
# each frame of one clip. What **percentage** of the whole lies in the busiest tenth of
# the frames? Round the tenth down: of 105 frames, it is 10.
#
# <details><summary>Hint</summary>
#
# `np.sort` sorts from small to large, and `[::-1]` reverses an array.
#
# </details>

# %% tags=["exercise"]
def busiest_tenth(energy):
    ### BEGIN SOLUTION
    from_loud_to_quiet = np.sort(energy)[::-1]
    n_busiest = len(energy) // 10
    return 100 * from_loud_to_quiet[:n_busiest].sum() / energy.sum()
    ### END SOLUTION


check("00.2", busiest_tenth)

# %% [markdown]
# **Change a setting.** Make the frames ten times as long, 100 ms. The share of the most
# concentrated class then falls: by how many points? Enter your prediction and run both
# cells. Before you read on, explain why it could not have risen.

# %%
predict("00.b", ..., "With frames of 100 ms, by how many points does the share fall?")

# %%
coarse_ms = 100  # try other lengths
coarse = median_per_class(coarse_ms)
answer("00.b", round(concentration[most] - coarse[most], 1), unit="points", within=0.2)
say(f"*{most.replace('_', ' ')}*: {concentration[most]:.0f} % with frames of 10 ms, "
    f"{coarse[most]:.0f} % with frames of {coarse_ms} ms.")

# %% [markdown]
# In a clip of 5 s, the busiest tenth is five frames of 100 ms. They consist of fifty
# frames of 10 ms, and no fifty frames hold more energy than the busiest fifty, so the
# share cannot rise. How far it falls depends on the sound: a long frame around a short
# event also contains the silence next to it. The wide columns at the top did the same to
# the barks.

# %% [markdown]
# ## 4. What does a finer look cost?
#
# Twice as many looks mean twice as many columns to store, and about twice as much work
# for most networks. (Notebook 09 meets networks for which it is more.)

# %%
rows = []
for hop_ms in (2.5, 5, 10, 20, 40, 80, 160):
    hop = timebase.ms_to_samples(hop_ms, RATE_HZ)
    columns = 1 + waves.shape[1] // hop  # one at the start, one more after every hop
    rows.append((hop_ms, columns, 64 * columns))
costs = pd.DataFrame(rows, columns=["hop (ms)", "columns per clip", "numbers per clip"])
display(costs.style.format({"hop (ms)": "{:g}"}).hide(axis="index"))

# %% [markdown]
# The last column counts 64 numbers per look, the usual number in this course. For
# comparison, the waveform has 16,000 numbers per second, which is 80,000 for a clip of
# 5 s.
#
# ### Exercise 00.3
#
# A classifier looks every `hop_ms` milliseconds and costs `cost` (in any unit). The cost
# is proportional to the number of looks. At which hop is it equal to `budget`?
# **Predict** first: for a quarter of the cost, do you need a quarter of the hop or four
# times the hop?
#
# <details><summary>Hint</summary>
#
# Twice the hop means half as many looks and half the cost. Which product stays the same?
#
# </details>

# %% tags=["exercise"]
def affordable_hop_ms(hop_ms, cost, budget):
    ### BEGIN SOLUTION
    return hop_ms * cost / budget
    ### END SOLUTION


check("00.3", affordable_hop_ms)

# %% [markdown]
# ## 5. The course on one page

# %% tags=["hide-input"]
COURSE = [
    ("Look", [("01", "For how long, and how often?"),
              ("02", "What do log-mel features keep?")]),
    ("Prepare", [("03", "What does augmentation do to time?"),
                 ("04", "When is a test fair?")]),
    ("Fix the hop", [("05", "Which hop does a network need?"),
                     ("06", "What do pretrained networks bring?")]),
    ("Learn it", [("07", "Can a network choose its resolution?"),
                  ("08", "Does that beat a fixed hop?")]),
    ("Attend", [("09", "What does attention cost?")]),
    ("Ask when", [("10", "Which sounds, with pictures to help?"),
                  ("11", "When does each event begin and end?")]),
    ("Listen on", [("12", "What if sound does not come in clips?")]),
    ("Sum up", [("13", "What did the study find?")]),
]

fig, ax = plt.subplots(figsize=(9, 5))
for row, (name, notebooks) in enumerate(COURSE):
    colour = plots.COLOURS[0] if row % 2 == 0 else plots.COLOURS[2]
    middle = -row
    ax.text(0.0, middle, name, va="center", weight="bold", color=colour)
    for column, (number, question) in enumerate(notebooks):
        left = 1.5 + 4.4 * column
        box = {"boxstyle": "round,pad=0.35", "facecolor": "white", "edgecolor": colour}
        ax.text(left, middle, f"{number}  {question}", va="center", bbox=box)
    if row > 0:
        ax.annotate("", (0.3, middle + 0.3), (0.3, middle + 0.7),
                    arrowprops={"arrowstyle": "->", "color": "grey"})
ax.set(xlim=(0, 10), ylim=(-len(COURSE) + 0.4, 0.6))
ax.axis("off")
show(
    fig,
    alt="Map of the course in eight steps from top to bottom. Look: 01 and 02, "
    "windows, hops and log-mel features. Prepare: 03 and 04, augmentation and fair "
    "tests. Fix the hop: 05 and 06, networks at fixed hops. Learn it: 07 and 08, "
    "learned resolution. Attend: 09, transformers. Ask when: 10 and 11, pictures and "
    "events. Listen on: 12, streams. Sum up: 13, the study.",
    caption="Thirteen more notebooks, in order. Each asks one question.",
)

# %% [markdown]
# Notebooks 01 to 04 are about sound and data, and train no neural network. From 05 on we
# train networks that are small enough for two cores. If you have only a day, read 01, 02,
# 04 and 05; if you are interested in learned resolution, go on with 07 and 08.

# %% [markdown]
# ## 6. Your machine and your settings
#
# | profile | what it is for |
# |---|---|
# | `smoke` | to test whether everything runs; no conclusions are drawn |
# | `lesson` | for a class or an evening; where an effect is unclear, the text says so |
# | `study` | all clips, longer training; `course study` runs the study itself |
#
# `lesson` is the default. In the `parameters` cell above you can choose another profile
# or another data set. In a terminal, the command `course run` runs all of the course's
# notebooks, but not your copies of them, with the profile and the data set that you name:
# `course run --profile smoke --dataset esc10`. Your terminal finds `course` after
# `source .venv/bin/activate`, typed in the course's folder. (Windows:
# `.venv\Scripts\activate`; conda: `conda activate temporal-resolution`.)
#
# The course runs on two cores and 4 GB of memory, without a graphics card. Here is what
# this machine has. Where something is missing, the last column says what to do.

# %%
findings = pd.DataFrame(doctor.findings(), columns=["what", "found", "what to do"])
needs_attention = findings["what to do"] != ""
# Folders are listed only if something is wrong with them
is_path = findings["what"].isin(["data folder", "mirror"])
display(findings[needs_attention | ~is_path].style.hide(axis="index"))
n_problems = int(needs_attention.sum())
if n_problems == 0:
    say("Your machine is ready.")
else:
    say(f"**Lines that need your attention: {n_problems}.**")

# %% [markdown]
# ## What we saw

# %%
say(f"""- Looking every 80 ms merges two barks with 50 ms of silence between them, and
  hardly changes rain.
- {len(clips)} clips of {clips.n_classes} classes in {n_folds} folds; all clips from one
  source are in the same fold.
- Depending on the class, the busiest tenth of the frames holds between
  {concentration.iloc[0]:.0f} and {concentration.iloc[-1]:.0f} % of the energy.
- Where the cost is proportional to the number of looks, four times the hop means a
  quarter of the cost.""")

# %% [markdown]
# ## What next
#
# Notebook 01 splits the word "look" into window and hop, and finds out what each of them
# can and cannot show. If you would rather try first and read later, use the explorer: you
# choose a window and a hop, and see and hear what is left of your own voice. It is a page
# of the course's website, which you build with `make course` and then `make site`.
#
# Before you go on: [questions to test yourself](quizzes/00_start_here.md).
#
# ## References
#
# - K. J. Piczak, "ESC: Dataset for Environmental Sound Classification", ACM Multimedia
#   2015. doi:10.1145/2733373.2806390

# %% tags=["record"]
crossing = (clips.table.groupby("source")["fold"].nunique() > 1).sum()
record("clips", len(clips), unit="clips", kind="exact")
record("classes", clips.n_classes, unit="classes", kind="exact")
record("folds", int(n_folds), unit="folds", kind="exact")
record("sources_in_two_folds", int(crossing), unit="sources", kind="exact")
record("samples_per_clip", waves.shape[1], unit="samples", kind="exact")
record("busiest_tenth_most", float(concentration.iloc[-1]), unit="%")
record("busiest_tenth_least", float(concentration.iloc[0]), unit="%")
record("busiest_tenth_white_noise", float(noise_share), unit="%", kind="rel", rel=0.01)
record("device", profiles.device(), kind="info")
