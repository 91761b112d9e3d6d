# %% [markdown]
# # 10 · Audiovisual tagging
#
# What this notebook calls *illustrated soundscapes* stands for videos, and is none. The sounds are recordings that we mixed into scenes of ten seconds, so we know to the sample what sounds when. The pictures are drawings that **we** paired with the sounds, on photographs, and nothing in them moves: no mouth opens at the bark. What they can show is how often a picture that tells the truth, or misleads, helps a network to say *what* is heard. What they cannot show is anything about real video.
#
# Imagine a dog that barks in the rain. A spectrogram hears it through the rain, if it has learnt barks from some hundred scenes. A network that has heard two million clips knows barks already. A third has never heard a sound, but sees the dog. Which of the three should a tagger ask, and is it worth asking all?
#
# The code is the same for real videos: `scenes/recorded.py` loads AVE and any folder of videos that you have.

# %% [markdown]
# ## You will be able to
#
# - **bring** streams of different frame rates to one time base (exercise 10.1);
# - **derive** linear softmax pooling, and say which frames it teaches (exercise 10.2);
# - **update** a mean teacher by hand, and say why it gets by without labels (exercise 10.3);
# - **score** tags by micro F1 from counts (exercise 10.4);
# - **judge** whether pictures add to sound, in pairs of starts, overall and class by class.

# %% [markdown]
# ## Before you start
#
# You need notebooks 05 and 06. Reading takes 60 minutes, the four exercises 40. The machine needs a minute in `smoke`, seven or so in `lesson`, more than an hour in `study`.
#
# Scenes are mixed from `synth10` or from `esc10`; other sets have no drawings. In `smoke` there are forty labelled scenes and two dozen steps: every line runs, and the numbers of section 6 mean little. Sections 1 to 5 are counted or proved, and the published study in section 7 does not depend on your profile.

# %%
import copy
import time
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from course_lib import plots, profiles
from course_lib.analysis import figures, questions, verdicts
from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec
from course_lib.data import events
from course_lib.data.clips import features
from course_lib.data.load import load
from course_lib.evaluation.intervals import Interval, verdict
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show
from course_lib.models import crnn, pretrained
from course_lib.models.classifier import build
from course_lib.scenes import features as streams
from course_lib.scenes import images, mixing
from course_lib.scenes.scenes import SceneSpec
from course_lib.study import scene_run, stats
from course_lib.training import cost, mean_teacher, supervised

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # lesson, study, or smoke (a test, no conclusions)
dataset: str = "synth10"  # where the sounds come from: synth10 or esc10
seed: int = 0  # seed of weights, order and augmentation; the scenes are the same for every seed
n_steps: int = 0  # steps of each training; 0 takes 24 in smoke, 240 in lesson, 1000 in study
test_fold: int = 1  # the fold whose sounds are only in scenes for testing

# %%
started, device = time.perf_counter(), profiles.device()
many = {"smoke": (40, 40, 20, 40), "lesson": (200, 200, 80, 120), "study": (1200, 1200, 150, 300)}[profile]
asked = SceneSpec(*many)
clips = load(dataset if dataset in ("synth10", "esc10") else "synth10", profiles.get("study"))  # other sets have no drawings; all clips, for every part needs its own
scenes = mixing.made_scenes(clips, test_fold, asked)
names = [label.replace("_", " ") for label in scenes.classes]
spec = FeatureSpec(hop_ms=20.0)
steps = n_steps or {"smoke": 24, "lesson": 240, "study": 1000}[profile]
usual = mean_teacher.TeacherRecipe(steps=steps)
recipe = usual if profile != "smoke" else replace(usual, learning_rate=5e-3, ema_decay=0.8, n_evals=4)  # in haste
say(f"{len(clips)} clips of *{clips.name}*, {len(names)} classes, make {len(scenes)} scenes of {scenes.clip_s:g} s: **{asked.weak}** of which we know what sounds in them, **{asked.unlabelled}** of which we know nothing, {asked.validation} to choose by, {asked.test} to be tested on. No recording, no style of drawing that is tested and no photograph behind it is in two of the roles *learn*, *choose*, *test*.")


def in_view(filename, heard, spec):
    """When things of our classes are in view in a scene: an event list. Clutter, which never sounds, is left out."""
    part, rows = filename.split("-")[0], []
    for thing in images.in_view(heard, filename, part, spec):
        rows += [(filename, max(0.0, thing.start_s), min(spec.clip_s, thing.end_s), label) for label, known in images.STYLES[thing.style].items() if thing.name in known]
    return pd.DataFrame(rows, columns=events.COLUMNS)

# %% [markdown]
# ## 1. A scene
#
# A scene is noise with one to four events on it, each 0 to 15 dB above that noise, over each other too. Below is one from the part that we choose by, whose labels in time we may see. A full bar says that a thing is heard, a hatched one that it is in view. The lowest row is the film: one picture a second.
#
# **Predict:** how well will the bars of one class agree?
#
# We take a scene in which much goes on: of those with most events the one whose picture changes most often. The two seconds that you can play begin with its first event.

# %%
held = scenes.part("validation")
said_of = {name: (rows, in_view(name, rows, asked)) for name, rows in held.events.groupby("filename")}
rich = max(said_of, key=lambda name: (min(3, said_of[name][0]["event_label"].nunique()), len(set(said_of[name][1]["onset"]) | set(said_of[name][1]["offset"]))))
heard, seen = said_of[rich]
at = held.table["filename"].tolist().index(rich)
wave, film = held.waves(16_000, slice(at, at + 1))[0], held.video_frames(1.0, 128, slice(at, at + 1))[0]
row = int(np.flatnonzero(scenes.table["filename"] == rich)[0])  # its place among all scenes
spectral = streams.spectral(scenes, spec)
fig, axes = plt.subplots(4, 1, figsize=(13, 7.4), sharex=True, height_ratios=(1.3, 0.8, 1.4, 0.75))
figures.lanes(heard, seen, scenes.clip_s, axes[0])
plots.waveform(wave, 16_000, axes[1])
plots.mel_spectrogram(spectral.x[row], spectral.times_s, axes[2])
axes[3].imshow(np.concatenate(list(film), axis=1), extent=(0, scenes.clip_s, 0, 1), aspect="auto")
axes[3].vlines(np.arange(1, len(film)), 0, 1, color="white", linewidth=2)
axes[3].set(yticks=[], xlabel="time (s)", xlim=(0, scenes.clip_s))
axes[1].set_xlabel(""), axes[2].set_xlabel("")
known = sorted(set(heard["event_label"]))
show(fig, alt=f"One scene over 10 s, four rows: bars of what is heard ({', '.join(known)}) and hatched bars of what is in view ({', '.join(sorted(set(seen['event_label']))) or 'nothing of our classes'}); waveform; log-mel; ten pictures, a drawing or more on a photograph.")
first = max(0.0, min(heard["onset"].min() - 0.2, scenes.clip_s - 2))
play(0.9 * wave[int(16_000 * first) :][:32_000] / np.abs(wave).max(), 16_000, describe=f"Two seconds of the scene of the figure from {first:.1f} s on, with the beginning of its first event: {heard.sort_values('onset')['event_label'].iloc[0].replace('_', ' ')}.")
silent = sorted(set(seen["event_label"]) - set(known))
say(f"Heard: {', '.join(known)}. In view: {', '.join(sorted(set(seen['event_label']))) or 'none of our classes'}" + (f"; {', '.join(silent)} can be seen and makes no sound" if silent else "") + f". Sound covers **{(heard['offset'] - heard['onset']).sum():.1f} s** of bars, the pictures **{(seen['offset'] - seen['onset']).sum():.1f} s**.")

# %% [markdown]
# ## 2. Three witnesses, three clocks
#
# Each stream is a network's, or a formula's, account of the scene. What it can tell depends on what its network was once asked, and that was never our question:
#
# - **spectral**: the log-mel of notebook 02. It was asked nothing, so it leaves nothing out, and explains nothing;
# - **auditory**: mn04, a small network that learnt from AudioSet, two million clips of videos, which of 527 labels a clip of ten seconds has. Asked *what*, once a clip;
# - **visual**: EfficientNet-Lite0 of notebook 06, which learnt from ImageNet what is on a photograph. It sees one picture at a time and knows no time at all, and it has not been shown drawings.
#
# Without the weights of mn04 on your machine, a small CNN takes its place, trained here on the recordings that the labelled scenes are made of. The table says which one you got.

# %%
def own_network():
    """A 7-layer CNN that has learnt the ten classes from the recordings of the labelled scenes: mean, deviation, network."""
    part = mixing.parts_of(clips, test_fold)
    x = features(clips, spec, progress=False)
    learn = supervised.Recipe(steps=12 if profile == "smoke" else 160, batch_size=16, n_evals=2, precision="fp32")
    parts = (supervised.Split(x[part == name], clips.targets[part == name], len(names)) for name in ("weak", "validation"))
    seed_everything(0)
    learnt = supervised.fit(build("cnn7", len(names)), *parts, learn, spec, seed=0, device=device).model.cpu()
    return learnt.model, learnt.mean.numpy(), learnt.std.numpy()


published = pretrained.available()
heard_by = "mn04, AudioSet" if published else f"CNN of this notebook, {clips.name}"
auditory = streams.auditory(scenes, 320) if published else streams.own_auditory(scenes, *own_network(), spec)
visual = streams.visual(scenes, 4.0)
found = {"spectral": spectral, "auditory": auditory, "visual": visual}
asked_once = {"spectral": ("formula", "nothing"), "auditory": (heard_by, "what is in a clip"), "visual": ("Lite0, ImageNet", "what is on a photograph")}
display(pd.DataFrame([(n, *asked_once[n], s.x.shape[1], s.x.shape[2], 1000 * np.median(np.diff(s.times_s)), 1000 * s.times_s[0]) for n, s in found.items()], columns=["stream", "network, learnt from", "was asked", "frames", "numbers a frame", "a frame every (ms)", "first frame at (ms)"]).round(0))

# %% [markdown]
# Now all three over one time axis, for the scene from above. Of the two networks the 40 features are drawn that change most in this scene, each from its lowest value in the scene to its highest. **Predict:** in which of them can you see when a sound begins?

# %%
def lively(stream, n=40):
    """The features of the scene that change most beside all scenes, from 0 (lowest in the scene) to 1, `(frames, n)`."""
    x = stream.x.astype(np.float32)
    most = np.sort((x[row].std(0) / (x.std((0, 1)) + 1e-3)).argsort()[-n:])
    return (x[row] - x[row].min(0))[:, most] / np.ptp(x[row], axis=0)[most]


fig, axes = plt.subplots(4, 1, figsize=(10, 7.6), sharex=True, height_ratios=(1, 1.2, 1.2, 1.2))
figures.lanes(heard, seen, scenes.clip_s, axes[0])
plots.mel_spectrogram(spectral.x[row], spectral.times_s, axes[1])
axes[1].set_xlabel("")
for ax, name in zip(axes[2:], ("auditory", "visual"), strict=True):
    drawn = ax.pcolormesh(found[name].times_s, np.arange(40), lively(found[name]).T, cmap="cividis", shading="nearest", rasterized=True)
    ax.plot(found[name].times_s, np.full(len(found[name].times_s), -2.0), "|", color="black", markersize=6, clip_on=False)
    fig.colorbar(drawn, ax=ax, label="lowest to highest", pad=0.01)
    ax.set(ylabel=f"{name} feature", ylim=(-3.5, 39.5))
axes[-1].set(xlabel="time (s)", xlim=(0, scenes.clip_s))
kinds = 1 + int((np.diff(visual.x[row].astype(np.float32), axis=0) != 0).any(1).sum())
show(fig, alt=f"The scene's bars, and below them the log-mel of {spectral.x.shape[1]} frames, 40 auditory features of {auditory.x.shape[1]} frames, 40 visual features of {visual.x.shape[1]} frames, on one time axis; ticks mark the middle of each frame. The visual rows change {kinds - 1} times in 10 s.")
say(f"One second holds {spectral.x.shape[1] / scenes.clip_s:.0f} spectral, {auditory.x.shape[1] / scenes.clip_s:.1f} auditory and {visual.x.shape[1] / scenes.clip_s:.0f} visual frames. The pictures of this scene are of **{kinds}** kinds, so the visual stream changes {kinds - 1} times; the events have {2 * len(heard)} beginnings and ends.")

# %% [markdown]
# ### One time base
#
# The network speaks once in 80 ms. For each of those times, every stream must bring something. The plainest way takes the frame whose middle is **nearest**; another takes the **mean** of all that fall to it; and one **repeats** a single mean everywhere, which keeps *what* and throws *when* away. Each is a matrix whose rows sum to 1: `timebase.alignment` makes it, and `weights @ x` brings `x` over.

# %%
out_s = spectral.times_s[: len(spectral.times_s) // 4 * 4].reshape(-1, 4).mean(1)  # four frames of 20 ms make one of the network
one = lively(auditory, 1)[:, 0]
brought = {how: timebase.alignment(auditory.times_s, out_s, how) @ one for how in timebase.ALIGNMENTS}
fig, ax = plt.subplots(figsize=(10, 3.2))
ax.plot(auditory.times_s, one, "o", color="black", label=f"as it comes, {len(one)} frames")
for place, how in enumerate(("nearest", "repeat")):
    ax.step(out_s, brought[how], where="mid", color=plots.COLOURS[place], linestyle=plots.LINES[place], label=f"{how}, {len(out_s)} frames")
ax.set(xlabel="time (s)", ylabel="one auditory feature", xlim=(0, scenes.clip_s))
ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3)
apart = float(np.abs(brought["average"] - brought["nearest"]).max())
show(fig, alt=f"One auditory feature of the scene against time: {len(one)} dots as it comes, a staircase of {len(out_s)} frames by the nearest, and a flat line where the mean is repeated.")
say(f"The staircase has {len(out_s)} steps and {len(np.unique(timebase.alignment(auditory.times_s, out_s).argmax(1)))} heights: a finer grid does not make finer knowledge. *Average* differs from *nearest* by {apart:.2g} here, since there are fewer frames than places to fill.")

# %% [markdown]
# ### Exercise 10.1
#
# Write the alignment by the nearest frame. From the middles of the frames, `times_s`, and the times at which something is needed, `at_s`, both rising arrays in seconds, return for each of `at_s` the **place** of the nearest frame in `times_s`. Where two are equally near, take the earlier one.

# %% tags=["exercise"]
def nearest_places(times_s, at_s):
    ### BEGIN SOLUTION
    return np.abs(at_s[:, None] - times_s).argmin(axis=1)
    ### END SOLUTION


check("10.1", nearest_places)

# %% [markdown]
# ## 3. Seen when heard, heard when seen
#
# Do pictures tell what sounds? In real videos that has been counted: LLP, a set of videos of everyday events, has labels a second, by ear and by eye, for 1,857 of them. A dog that barks somewhere in a clip is in view in 91 % of the clips. But of the seconds in which a dog is in view, it barks in 55 %. The picture says **what**, and not **when**.
#
# We built the scenes after such counts where LLP has the class, and after 0.5, or LLP's mean of 0.63, where not. For how many seconds a thing stays in view before and after its sound is our choice. **Predict:** in our scenes, will a dog in view bark for a larger part of the time than in LLP, or a smaller one?

# %%
LLP = {"dog": (0.91, 0.90, 0.55), "rooster": (0.92, 0.90, 0.71), "crying_baby": (0.83, 0.80, 0.91), "helicopter": (0.91, 0.87, 0.97), "chainsaw": (0.98, 0.89, 0.91)}
whole = SceneSpec()  # the scenes of the study; nothing has to be mixed to count them
strong = mixing.truth(clips, test_fold, whole)
strong = strong[strong["filename"].str.startswith(("weak", "unlabelled"))]
files = strong["filename"].unique().tolist()
shown = events.merge_touching(pd.concat([in_view(name, rows, whole) for name, rows in strong.groupby("filename")]))
grid = (files, scenes.classes, int(4 * whole.clip_s), 0.25)
is_heard, is_seen = events.to_frames(strong, *grid), events.to_frames(shown, *grid)
both = (is_heard & is_seen).sum((0, 1))
counted = pd.DataFrame({
    "seen in the scene, if heard in it": (is_heard.any(1) & is_seen.any(1)).sum(0) / is_heard.any(1).sum(0),
    "seen now, if heard now": both / is_heard.sum((0, 1)),
    "heard now, if seen now": both / is_seen.sum((0, 1)),
}, index=scenes.classes)
fig, axes = plt.subplots(1, 3, figsize=(13, 3.9), sharey=True)
for k, (ax, what) in enumerate(zip(axes, counted, strict=True)):
    ax.barh(range(len(names)), 100 * counted[what], color=plots.COLOURS[0])
    ax.plot([100 * LLP[c][k] if c in LLP else np.nan for c in scenes.classes], range(len(names)), "D", color=plots.COLOURS[1], label="LLP, real videos")
    ax.set(title=what, xlabel="share (%)", xlim=(0, 102))
axes[0].set_yticks(range(len(names)), names)
fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center")
show(fig, alt="Three panels of bars, one a class, in %, with LLP's counts as diamonds for five classes; " + "; ".join(f"{what}: " + ", ".join(f"{c} {100 * v:.0f}" for c, v in counted[what].items()) for what in counted) + ".")

# %%
dog = 100 * counted.loc["dog"]
unseen = {part: [c.replace("_", " ") for c in scenes.classes if not any(c in images.STYLES[style] for style in hands)] for part, hands in images.STYLES_OF.items()}
say(f"In {len(files)} scenes to learn from, a dog is in view in **{dog.iloc[0]:.0f} %** of those in which it barks (LLP: {100 * LLP['dog'][0]:.0f} %), and barks in **{dog.iloc[2]:.0f} %** of the time in which it is in view (LLP: {100 * LLP['dog'][2]:.0f} %). Our events last {whole.longest_s:g} s at most, so drawn things are silent longer than filmed ones. Over all classes a thing in view is heard {100 * both.sum() / is_seen.sum():.0f} % of the time, and a thing that is heard is in view {100 * both.sum() / is_heard.sum():.0f} % of it.")
say("A second difference is not meant, and had better be told. Each part of the scenes is drawn by other hands: " + "; ".join(f"*{part}* by {', '.join(hands)}" for part, hands in images.STYLES_OF.items()) + ". Where no hand of a part has a picture of a class, it is never seen there: " + "; ".join(f"no {' and no '.join(missing)} in *{part}*" for part, missing in unseen.items() if missing) + ". So the state to keep is chosen without these pictures. The test has them all.")

# %% [markdown]
# ## 4. From frames to a scene
#
# The network is a CRNN: convolutions hear patterns, two recurrent layers that run both ways remember what was before and what comes after, and a sigmoid says for every frame and class how probable it is. In a few lines:

# %%
class Small(torch.nn.Module):
    """A CRNN by hand: log-mel (scenes, frames, mels) to probabilities a frame and a scene."""

    def __init__(self, n_mels, n_classes, width=32):
        super().__init__()
        conv = torch.nn.Conv2d
        self.hear = torch.nn.Sequential(conv(1, 16, 3, 2, 1), torch.nn.ReLU(), conv(16, width, 3, 2, 1), torch.nn.ReLU())
        self.remember = torch.nn.GRU(width * n_mels // 4, width, num_layers=2, batch_first=True, bidirectional=True)
        self.judge = torch.nn.Linear(2 * width, n_classes)

    def forward(self, x):
        maps = self.hear(x[:, None])  # (scenes, width, frames / 4, mels / 4)
        x = maps.transpose(1, 2).flatten(2)  # (scenes, frames / 4, width * mels / 4)
        strong = self.judge(self.remember(x)[0]).sigmoid()  # (scenes, frames / 4, classes)
        return strong, strong.square().sum(1) / strong.sum(1)


seed_everything(seed)
with torch.no_grad():
    strong_p, weak_p = Small(spec.n_mels, len(names))((torch.tensor(spectral.x[row : row + 1]) + 40) / 20)
say(f"Untrained, it gives {strong_p.shape[1]} frames of {strong_p.shape[2]} probabilities, all between {strong_p.min():.2f} and {strong_p.max():.2f}, and {weak_p.shape[1]} for the scene. A frame is one in {1000 * scenes.clip_s / strong_p.shape[1]:.0f} ms.")

# %% [markdown]
# The course's `CRNN` does the same with five convolutions, and takes any of the three streams. The log-mel goes through the convolutions; the other two are brought to its 80 ms, each through a matrix to 64 numbers, and set beside what the convolutions heard. That is *mid* fusion and **our choice**. The paper joins streams before the encoder, as far as we could read; section 7 compares.
#
# ### Labels for ten seconds, probabilities for 80 ms
#
# A weak label says that a dog barks somewhere in the scene. So the frames' probabilities $y_1 \dots y_n$ must become one. The mean forgets short events among silent frames. The maximum remembers them, and teaches one frame at a time. Linear softmax lets every frame weigh itself:
#
# $$Y = \frac{\sum_i y_i^2}{\sum_i y_i}, \qquad \frac{\partial Y}{\partial y_i} = \frac{2 y_i - Y}{\sum_j y_j}.$$
#
# The second formula is the quotient rule: $2 y_i \sum y$ less $\sum y^2$, over $(\sum y)^2$. Read its sign. Where the label says *yes*, frames above half of Y are pushed up and those below are pushed **down**. **Predict:** a bark of one second, 0.9 in its frames and 0.05 elsewhere: what do mean, maximum and linear softmax make of it?

# %%
n, high, low = len(out_s), 0.9, 0.05
lengths = np.arange(1, n + 1)
frames = torch.where(torch.arange(n) < torch.tensor(lengths)[:, None], high, low)[..., None]  # a row a length
curves = {"mean": frames.mean(1), "maximum": frames.amax(1), "linear softmax": crnn.linear_softmax_pool(frames)}
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.6))
plots.lines(lengths * 0.08, {name: y[:, 0].numpy() for name, y in curves.items()}, left, xlabel="length of the event (s)", ylabel="probability of the scene")
left.axhline(0.5, color="grey", linewidth=1, linestyle=":")
y = torch.tensor(np.linspace(0.01, 0.99, n, dtype=np.float32)[:, None], requires_grad=True)
pushes = {}
for name, pool in {"mean": lambda y: y.mean(0), "maximum": lambda y: y.amax(0), "linear softmax": lambda y: crnn.linear_softmax_pool(y[None])[0]}.items():
    pushes[name] = n * torch.autograd.grad(pool(y).sum(), y)[0][:, 0].numpy()
total = crnn.linear_softmax_pool(y[None]).item()
off = float(np.abs(pushes["linear softmax"] - n * ((2 * y - total) / y.sum()).detach().numpy()[:, 0]).max())
plots.lines(y.detach().numpy()[:, 0], {name: np.minimum(push, 4) for name, push in pushes.items()}, right, xlabel="probability of a frame", ylabel="push on it, times frames")
right.axhline(0, color="grey", linewidth=1, linestyle=":")
second = {name: float(np.interp(1.0, lengths * 0.08, curve[:, 0].numpy())) for name, curve in curves.items()}
show(fig, alt="Left, the scene's probability against the length of one event: the mean rises in a straight line, the maximum is flat at 0.9, linear softmax rises steeply and flattens. Right, the push on a frame against its probability, for evenly spread frames: constant for the mean, only at the top for the maximum (cut at 4), a rising line through 0 for linear softmax.")
say("One second in ten: " + ", ".join(f"{name} **{value:.2f}**" for name, value in second.items()) + f". With a threshold of a half, the mean misses it. On the right the push of linear softmax changes its sign at {total / 2:.2f}, half of Y = {total:.2f}; formula and torch differ by {off:.1g}. So a label without times pulls frames apart: the likely ones up, the unlikely ones down.")

# %% [markdown]
# ### Exercise 10.2
#
# Write linear softmax pooling: from probabilities `(frames, classes)`, all above 0, an array `(classes,)`.

# %% tags=["exercise"]
def pool(y):
    ### BEGIN SOLUTION
    return (y**2).sum(axis=0) / y.sum(axis=0)
    ### END SOLUTION


check("10.2", pool)

# %% [markdown]
# ## 5. A teacher who is your own past
#
# Of half of the scenes to learn from we have no label. What can they teach? That an answer must not hang on accidents. A **mean teacher** is a second copy of the network whose weights follow the student's slowly: after each step they move towards the student's by a small share, $w \leftarrow a\,w + (1 - a)\,v$, with $a$ near 1, and less in the first steps. Such an average over many steps is a better network than any one of them, for their errors cancel.
#
# The student hears each scene with masks over its log-mel and other neurons dropped, and is asked to agree with the teacher, on labelled scenes and on unlabelled ones. The teacher may be wrong. So agreement counts little at first, and its weight rises over the first half of the steps. **Predict:** how many steps does a teacher lag behind that keeps 98 % of its past at each?

# %%
rng, at_step = np.random.default_rng(0), np.arange(600)
weight = 1 - np.exp(-at_step / 80) + rng.normal(0, 0.15, 600)  # a weight on its way to 1, shaken by every batch
averages = {}
for past in (0.9, usual.ema_decay):
    mean, path = weight[0], []
    for k in at_step:
        share = min(1 - 1 / (k + 1), past)
        mean = share * mean + (1 - share) * weight[k]
        path.append(mean)
    averages[past] = np.array(path)
ramp = usual.consistency * np.exp(-5 * (1 - np.minimum(1, 2 * at_step / 600)) ** 2)
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 3.4))
left.plot(at_step, weight, color="lightgrey", linewidth=0.8, linestyle="-", label="student")
for place, (past, path) in enumerate(averages.items()):
    left.plot(at_step, path, color=plots.COLOURS[place], linestyle=plots.LINES[place], label=f"teacher, a = {past}")
left.set(xlabel="step", ylabel="one weight (drawn, not trained)")
left.legend()
plots.lines(at_step, {"agreement": ramp}, right, xlabel="step of 600", ylabel="weight of agreement in the loss")
shake = {past: float(path[400:].std()) for past, path in averages.items()}
lag = int((averages[usual.ema_decay] >= 0.5).argmax()) - 80 * np.log(2)
show(fig, alt=f"Left, a noisy weight rising to 1 and two running averages of it: with a = 0.9 close behind and a little rough, with a = {usual.ema_decay:g} smooth and late. Right, the weight of agreement against the step, from {ramp[0]:.3f} to {ramp[-1]:g} at half of the steps.")
say(f"Once it has arrived, the student's weight shakes by {weight[400:].std():.3f}, the teacher's by {shake[0.9]:.3f} (a = 0.9) and **{shake[usual.ema_decay]:.3f}** (a = {usual.ema_decay:g}, as in our recipe). It is half of the way up {lag:.0f} steps later than the student, near a / (1 - a) = {usual.ema_decay / (1 - usual.ema_decay):.0f}. At step 0, agreement counts {ramp[0]:.3f}; from half of the steps on, {ramp[-1]:g}.")

# %% [markdown]
# ### Exercise 10.3
#
# Write one update of the teacher: from its weights, the student's, the number of the step (from 0) and `past`, the highest share of the past. The share is `min(1 - 1 / (step + 1), past)`.

# %% tags=["exercise"]
def followed(teacher, student, step, past):
    ### BEGIN SOLUTION
    share = min(1 - 1 / (step + 1), past)
    return share * teacher + (1 - share) * student
    ### END SOLUTION


check("10.3", followed)

# %% [markdown]
# Now the loss of one step, by hand, on some labelled scenes and some unlabelled ones. Cross-entropy knows the labelled ones alone. The distance to the teacher knows all, frame by frame and scene by scene.

# %%
def fresh(*wanted):
    """The course's CRNN with new weights, for some of the streams."""
    seed_everything(seed)
    shapes = {name: (found[name].times_s, found[name].x.shape[2]) for name in streams.NAMES if name in wanted}
    return crnn.CRNN(len(names), shapes, spectral.times_s, log=spec.log)


weak_x, tags, free_x, held_x = scene_run.learning_data(scenes, {"auditory": auditory})
student = fresh("auditory")
student.standardise("auditory", [weak_x["auditory"], free_x["auditory"]])
teacher = copy.deepcopy(student)
batch = {"auditory": torch.tensor(np.concatenate([weak_x["auditory"][: recipe.weak], free_x["auditory"][: recipe.unlabelled]]).astype(np.float32))}
strong_p, weak_p = student(batch)
with torch.no_grad():
    told, told_of_scene = teacher(batch)  # the same weights, but other neurons dropped
known = functional.binary_cross_entropy(weak_p[: recipe.weak], torch.tensor(tags[: recipe.weak]))
apart = functional.mse_loss(strong_p, told) + functional.mse_loss(weak_p, told_of_scene)
free = functional.mse_loss(strong_p[recipe.weak :], told[recipe.weak :])
push = float(torch.autograd.grad(free, student.head.weight, retain_graph=True)[0].norm() / torch.autograd.grad(known, student.head.weight)[0].norm())
say(f"Before the first step, with {recipe.weak} labelled scenes and {recipe.unlabelled} others: cross-entropy **{known.item():.3f}** (guesses of a half would cost ln 2 = {np.log(2):.3f}); distance to the teacher **{apart.item():.5f}**. They have equal weights and disagree all the same, for other neurons were dropped. The unlabelled scenes push the last layer with {push:.2g} of the force of the labels: little, as yet. In the middle of training, that is weighed {ramp[300] / ramp[0]:.0f} times as much.")

# %% [markdown]
# ## 6. A small run of your own
#
# One start each, with the recipe of the study but fewer steps (and, in `smoke`, a hasty one): SpecAugment on the log-mel (in ms and Hz), mean teacher, unlabelled scenes in every batch. The state kept is the best on validation, by **F1**: twice the right tags, over all that were there plus all that were named; exercise 10.4 takes it apart. **Predict** the order of what you get.

# %%
subsets = [("spectral",), ("auditory",), ("visual",), ("auditory", "visual"), streams.NAMES]
if profile == "smoke":
    subsets = [("spectral",), ("auditory",), streams.NAMES]
runs = {}
for wanted in tqdm(subsets, desc="networks"):
    mine = {name: found[name] for name in wanted}
    runs["+".join(wanted)] = mean_teacher.teach(fresh(*wanted), *scene_run.learning_data(scenes, mine), recipe, spec, seed=seed, device=device)
display(pd.DataFrame([(name, cost.parameters(run.model) / 1e3, run.seconds / 60, run.chosen_step, 100 * mean_teacher.best_eval(run.history)["validation_tagging"]) for name, run in runs.items()], columns=["streams", "parameters (thousands)", "training (minutes)", "step kept", "validation tagging F1 (%)"]).round(1))
fig, axes = plt.subplots(1, 2, figsize=(12, 3.6))
looked = np.array([look["step"] for look in next(iter(runs.values())).history])
for ax, what, label in zip(axes, ("loss", "validation_tagging"), ("loss of training", "validation tagging F1 (%)"), strict=True):
    factor = 1 if what == "loss" else 100
    plots.lines(looked, {name: factor * np.array([look[what] for look in run.history]) for name, run in runs.items()}, ax, xlabel="step", ylabel=label, markers=True)
    ax.set_xticks(looked)
axes[0].legend_.remove()
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5))
last = {name: run.history[-1] for name, run in runs.items()}
show(fig, alt=f"Loss and validation tagging F1 against the step up to {steps}, one line a subset of the streams; at the end " + "; ".join(f"{name} loss {look['loss']:.2f}, F1 {100 * look['validation_tagging']:.0f} %" for name, look in last.items()) + ".")
say("The teacher is what is looked at and kept. " + ("Two dozen steps, at a rate five times as high, are for trying the lines out." if profile == "smoke" else f"Highest at the last look: *{max(last, key=lambda name: last[name]['validation_tagging'])}*. The loss holds the weighted disagreement with the teacher too, and says little across subsets; the F1 of validation decides."))

# %% [markdown]
# Tags are decided at a half, and counted. **Micro F1** puts the counts of all classes together before it divides: twice what is right, over what was there plus what was named. Frequent classes weigh more; a class that is never named costs what it had.
#
# ### Exercise 10.4
#
# Write the micro F1 of tags from three arrays of counts, an entry a class: `n_ref` scenes that have it, `n_sys` in which it was named, `right` of these that are right.

# %% tags=["exercise"]
def micro_f1(n_ref, n_sys, right):
    ### BEGIN SOLUTION
    return 2 * np.sum(right) / (np.sum(n_ref) + np.sum(n_sys))
    ### END SOLUTION


check("10.4", micro_f1)

# %% [markdown]
# Now the test, once. Intervals come from drawing scenes again; the start of training, which matters as much, they do not know. And a question that needs no second training: what does the network with all three streams do when it is shown the pictures of *another* scene? If its F1 stays, it did not look.

# %%
def tested(name, deal=None):
    """Counts of a network's tags a test scene, `(scenes, 3)`: right, there, named. With `deal` pictures are dealt out anew."""
    judged = scene_run.judged(scenes, {part: found[part] for part in name.split("+")}, "test")
    if deal is not None:
        judged.x["visual"] = judged.x["visual"][deal]
    got = mean_teacher.scores(runs[name].model, judged, recipe.median_ms)["tagging"]
    return got.by_file[["tp", "n_ref", "n_sys"]].to_numpy()


full, dealt = "+".join(streams.NAMES), "all, pictures of other scenes"
counts = {name: tested(name) for name in runs} | {dealt: tested(full, np.roll(np.arange(asked.test), 1))}
drawn = np.random.default_rng(0).integers(asked.test, size=(2000, asked.test))
drawn[0] = np.arange(asked.test)  # the scenes as they are
sums = {name: table[drawn].sum(1) for name, table in counts.items()}
again = {name: 200 * s[:, 0] / s[:, 1:].sum(1) for name, s in sums.items()}
again["fall"] = again[dealt] - again[full]
score = {name: Interval(float(f1[0]), *np.nanpercentile(f1, [2.5, 97.5])) for name, f1 in again.items()}
fall = score.pop("fall")
fig, ax = plt.subplots(figsize=(9, 0.45 * len(score) + 1.2))
for place, (name, value) in enumerate(score.items()):
    ax.errorbar(value.mean, place, xerr=[[value.mean - value.low], [value.high - value.mean]], fmt="s" if "other" in name else "o", capsize=3, color=plots.COLOURS["other" in name])
ax.set_yticks(range(len(score)), list(score))
ax.set(xlabel=f"tagging micro F1 of {asked.test} test scenes (%)", ylim=(len(score) - 0.5, -0.5))
show(fig, alt="Tagging F1 in % with 95 % intervals over scenes, one line a subset of the streams: " + "; ".join(f"{name} {value}" for name, value in score.items()) + ".")
say(f"The network of all streams, shown the pictures of other scenes, against its own score: **{verdicts.difference_text(fall)}**." + (" After two dozen steps that means little." if profile == "smoke" else " Whatever it lost, it had leant on its pictures for; that does not yet say that it is better with pictures than without."))

# %% [markdown]
# ## 7. The study: seven subsets, several starts
#
# One start on small data decides nothing. The study trains all seven subsets of the three streams on ESC-10, each from several starts, on the same scenes: differences are paired by start. The intervals tell what another start would do. They do not tell of other sounds or other drawings, for there is one test fold.
#
# Crosses are the paper's five published numbers, on real videos of other classes and with a network whose sizes we do not know. So do not compare heights. Compare the **order**, and the **differences**. **Predict** three signs: auditory less spectral, auditory+visual less auditory, all less spectral+auditory.

# %%
# STUDY GRID
study = figures.scene_rows()
subset_rows = figures.usual_scenes(study, "streams")
answers = questions.answers("scenes", study).query("where == 'tagging'")
pairs = answers[~answers["question"].str.contains("unlabelled|every|fusion")]
gaps = {q.question: Interval(100 * q.difference, 100 * q.low, 100 * q.high) for q in pairs.itertuples()}
if len(pairs):
    from_study = figures.scenes_subsets_figure(study, pairs, questions.paper_scores("tagging"))
    show(from_study, alt=figures.scenes_subsets_text(study, pairs, questions.paper_scores("tagging")))
    starts = f"{pairs['pairs'].min()}" if pairs["pairs"].nunique() == 1 else f"{pairs['pairs'].min()} to {pairs['pairs'].max()}"
    say(f"{subset_rows['dataset'].iloc[0]}, {starts} starts, {int(subset_rows['n_test'].iloc[0])} test scenes. Is it better? " + "; ".join(f"{text.replace(' better than ', ' against ')}: **{verdicts.difference_text(gap)}**" for text, gap in gaps.items()) + ".")
else:
    say("The study of this notebook has not been run far enough yet, two starts of two subsets at least: `course study run scenes --jobs 2`, then `course study report scenes --publish`.")

# %% [markdown]
# Five published numbers make ten pairs. In how many of them are we and the paper of one mind about the order?

# %%
levels = questions.levels(study).query("score == 'tagging'").set_index("streams")[["paper", "mean", "low", "high"]]
couples = [(a, b) for place, a in enumerate(levels.index) for b in levels.index[:place]]
alike = sum((levels.loc[a] - levels.loc[b])[["paper", "mean"]].prod() > 0 for a, b in couples)
if couples:
    against = {f"{what}, against {levels.index[0]}": levels[column] - levels[column].iloc[0] for what, column in (("paper", "paper"), ("ours", "mean"))}
    display(levels.rename(columns={"paper": "the paper's claim: tagging micro F1 (%)", "mean": "our measured number (%)", "low": "from", "high": "to"}).assign(**against).round(2))
    orders = [", ".join(levels[column].sort_values(ascending=False).index) for column in ("paper", "mean")]
    say(f"**{alike} of {len(couples)}** pairs are in the same order. The paper, best first: {orders[0]}. Ours: {orders[1]}. Other data, another network, other pretrained networks: the levels are not to be compared.")

# %% [markdown]
# ### Class by class
#
# A mean over ten classes can hide that fusion helps one and hurts another. **Predict:** which class gains most from pictures, and which cannot?

# %%
fusion, sound = questions.ALL_STREAMS, "spectral+auditory"
if "all three better than spectral+auditory" in gaps:
    by_class = {name: np.stack(subset_rows.loc[subset_rows["streams"] == name, "test_tagging_by_class"]) for name in figures.SUBSETS if name in set(subset_rows["streams"])}
    labels = [label.replace("_", " ") for label in subset_rows["classes"].iloc[0]]
    heat = 100 * np.array([values.mean(0) for values in by_class.values()])
    fig, ax = plt.subplots(figsize=(11, 3.8))
    drawn = ax.imshow(heat, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for (k, j), value in np.ndenumerate(heat):
        ax.text(j, k, f"{value:.0f}", ha="center", va="center", fontsize=11, color="white" if value < 55 else "black")
    ax.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    ax.set_yticks(range(len(by_class)), list(by_class))
    fig.colorbar(drawn, ax=ax, label="tagging F1 (%)", pad=0.01)
    show(fig, alt="Tagging F1 in % by class, a row a subset of the streams; " + "; ".join(f"{name}: " + ", ".join(f"{c} {v:.0f}" for c, v in zip(labels, values, strict=True)) for name, values in zip(by_class, heat, strict=True)) + ".")
    with_class = {c: subset_rows.assign(test_class_f1=[100 * v[j] for v in subset_rows["test_tagging_by_class"]]) for j, c in enumerate(labels)}
    gain = {c: stats.difference(t[t["streams"] == fusion], t[t["streams"] == sound], score="test_class_f1") for c, t in with_class.items()}
    gain = {c: seen.interval for c, seen in sorted(gain.items(), key=lambda item: -item[1].interval.mean)}
    surely = {word: [c for c, gap in gain.items() if verdict(gap) == word] for word in ("holds", "contradicted")}
    say(f"Pictures on top of both kinds of sound: most for **{next(iter(gain))}** ({verdicts.difference_text(next(iter(gain.values())))}), least for **{list(gain)[-1]}** ({verdicts.difference_text(list(gain.values())[-1])}). Intervals leave out 0 for {len(surely['holds'])} classes above ({', '.join(surely['holds']) or 'none'}) and {len(surely['contradicted'])} below ({', '.join(surely['contradicted']) or 'none'}). Of {len(gain)} true zeros, one in twenty would be outside by chance.")

# %% [markdown]
# ### What the unlabelled scenes, the teacher, and the place of fusion are worth
#
# Take one part away and leave the rest. Differences are against the full recipe with the same streams, by pairs of starts. Without unlabelled scenes the teacher remains and watches the labelled ones; without both there is a plain network.

# %%
WORDS = {"recipe.unlabelled": lambda v: "" if v else "no unlabelled scenes", "recipe.ema_decay": lambda v: f"teacher {v:g}" if v else "no teacher", "fusion": lambda v: f"{v} fusion"}
changed = []
for which, fields in ((sound, ["recipe.unlabelled", "recipe.ema_decay"]), (fusion, ["fusion"])) if len(pairs) else ():
    chosen, base = (rows[rows["streams"] == which] for rows in (figures.usual_scenes(study, "streams", *fields), subset_rows))
    if len(base) < 2 or len(chosen) == len(base):
        continue
    for case in stats.summarise(pd.concat([base, chosen.drop(base.index)]), fields).iloc[1:].to_dict("records"):
        other = [name for name in fields if case[name] != base[name].iloc[0]]
        gap = Interval(*(100 * case[f"tagging_difference{end}"] for end in ("", "_low", "_high")))
        changed.append((f"{', '.join(filter(None, (WORDS[n](case[n]) for n in other)))} ({which.replace(fusion, 'all')})", gap, int(case["seeds"])))
changed = [entry for entry in changed if np.isfinite(entry[1].low)]
if changed:
    fig, ax = plt.subplots(figsize=(9, 0.45 * len(changed) + 1.2))
    plots.forest([(gap.mean, gap.low, gap.high) for _, gap, _ in changed], [label for label, _, _ in changed], ax, xlabel="tagging F1 against the full recipe (points)")
    show(fig, alt="Differences in tagging F1 to the full recipe in points, with 95 % intervals over starts: " + "; ".join(f"{label} {gap.mean:+.1f}" for label, gap, _ in changed) + ".")
    say("; ".join(f"{label}: **{verdicts.difference_text(gap)}** over {starts} starts" for label, gap, starts in changed) + ".")

# %% [markdown]
# The recipe was tried out on validation scenes with one start, never on those for testing. That it was tried out *with* unlabelled scenes and a teacher speaks for them; the comparison leans to their side by as much.
#
# ## What we saw

# %%
def line_of(question):
    """A line of the table: what is asked, the paper's difference, ours in words."""
    paper = "not told" if pd.isna(question["paper"]) else f"{question['paper']:+.2f} points"
    gap = Interval(*(100 * question[name] for name in ("difference", "low", "high")))
    return f"| {question['question']}? | {paper} | **{verdicts.difference_text(gap)}** |"


here = "; ".join(f"{name} {value.mean:.0f}" for name, value in score.items()) + (": too few steps to read" if profile == "smoke" else "")
lines = ["| is it better at tagging? | the paper | our number, by pairs of starts |", "|---|---|---|", *map(line_of, answers.to_dict("records")), f"| this run, one start, F1 in % | | {here} |"]
say("\n".join(lines) + """

*Not shown* is not *false*: the interval holds 0. We could not read the paper's tables; its numbers are those that a summary tells. Its networks and data are not ours, so no row confirms or refutes a number of theirs.""")

# %% [markdown]
# - A stream knows what its network was once asked; none of the three was asked *when*.
# - Frames of different clocks meet through a matrix whose rows sum to 1. A finer grid does not make finer knowledge.
# - Linear softmax teaches frames from labels without times, by pulling likely and unlikely ones apart.
# - A mean teacher turns unlabelled scenes into a demand for steady answers.
# - A picture tells what, not when: in view is not in sound.
#
# ## What next
#
# Notebook 11 takes the same streams and asks the other question: **when?**
# Before you go on: [questions to test yourself](quizzes/10_audiovisual_tagging.md).
#
# ## References
#
# - W. Boes, H. Van hamme, "Audiovisual transfer learning for audio tagging and sound event detection", Interspeech 2021. doi:10.48550/arXiv.2106.05408
# - Y. Tian, D. Li, C. Xu, "Unified multisensory perception: Weakly-supervised audio-visual video parsing", ECCV 2020. The labels of LLP, which we counted.
# - Y. Wang, J. Li, F. Metze, "A comparison of five multiple instance learning pooling functions for sound event detection with weak labeling", ICASSP 2019. Linear softmax.
# - F. Schmid, K. Koutini, G. Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge distillation", ICASSP 2023. doi:10.1109/ICASSP49357.2023.10096110

# %% tags=["record"]
one_tag = 100 / int(counts[full][:, 1].sum())


def judged(name, step):
    """How a score is judged: within a band, but not after the two dozen steps of `smoke`, nor with ears of our own making."""
    of_published = published or not ("auditory" in name or "all" in name)
    return {"step": step} if profile != "smoke" and of_published else {"kind": "info"}


record("scenes", len(scenes), kind="exact")
for name, stream in found.items():
    record(f"frames_{name}", stream.x.shape[1], kind="info" if name == "auditory" else "exact")  # which network hears may differ
record("auditory_network", heard_by, kind="info")
record("steps_of_the_staircase", len(out_s), kind="exact")
for what, short in zip(counted, ("seen_in_scene", "seen_now", "heard_now"), strict=True):
    record(f"{short}_dog", 100 * counted.loc["dog", what], unit="%", kind="rel", rel=1e-3)
for name, value in second.items():
    record(f"one_second_{name}", value, kind="rel", rel=1e-4)
record("shake_of_the_teacher", shake[usual.ema_decay], kind="rel", rel=1e-3)
for name, value in score.items():
    record(f"tagging_{name}", value.mean, unit="%", **judged(name, one_tag))
record("verdicts", ", ".join(f"{n} {v}" for v, n in sorted(answers["verdict"].value_counts().items())) or "none", kind="info")
for text, gap in gaps.items():
    record(f"study_{text}", gap.mean, unit="points", kind="info")
record("minutes", (time.perf_counter() - started) / 60, kind="info")
