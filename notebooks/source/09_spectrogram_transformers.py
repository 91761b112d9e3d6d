# %% [markdown]
# # 09 · Spectrogram transformers
#
# A convolution looks at a neighbourhood. A transformer cuts the picture into patches and lets every patch look at every other one, from the first layer on. AST, the *audio spectrogram transformer*, does so at one temporal resolution, from the bottom to the top. MAST, a *multiscale* AST, begins finer, and pools its tokens in stages, along time or along both axes.
# So the question of the course comes back in a new form: **how much time is one token, and how long must the network keep it that fine?** We count what the answer costs, train small twins of both from scratch, and ask which differences a few hundred clips can show.

# %% [markdown]
# ## You will be able to
#
# - **count** the tokens of a log-mel, and say how much time one of them stands for (exercise 09.1);
# - **say** from which length on attention costs more than the rest (exercise 09.2);
# - **follow** a grid of tokens through the stages of a pyramid (exercise 09.3);
# - **find** the shortest shift that moves every token of a network by a whole place (exercise 09.4);
# - **check** a published claim of efficiency for what was counted.

# %% [markdown]
# ## Before you start
#
# You need notebook 05, and to have met attention once. Reading takes 50 minutes, the four exercises 40. The machine needs less than a minute in `smoke`, five or six in `lesson`, an hour or more in `study`, all on one core.
#
# In `smoke` every network gets a dozen steps. Sections 1 to 5 count and prove, and are exact all the same; from section 6 on the numbers then mean little, and the text says so.

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from course_lib import paths, plots, profiles
from course_lib.analysis import figures, questions
from course_lib.audio.features import FeatureSpec
from course_lib.data import folds
from course_lib.data.clips import features
from course_lib.data.load import load
from course_lib.evaluation.intervals import accuracy_by_source, verdict
from course_lib.evaluation.separability import separability
from course_lib.lesson.checks import check
from course_lib.lesson.display import play, record, say, seed_everything, show
from course_lib.models import transformers
from course_lib.models.classifier import build
from course_lib.training import cost, supervised
from course_lib.training.supervised import Recipe, Split

plots.use_style()

# %% tags=["parameters"]
profile: str = "lesson"  # lesson, study, or smoke (a test, no conclusions)
dataset: str = "synth10"  # a name from `course data list`, or the path of your own manifest.csv
seed: int = 0  # seed of the weights and the order of the clips; the clips are the same for every seed
n_steps: int = 0  # steps of each training, the same for every network; 0 takes 12 in smoke, 120 in lesson, 640 in study
test_fold: int = 1  # the fold that is read once, at the end of section 7

# %% [markdown]
# ## 1. A log-mel as a sentence
#
# AST cuts patches of 16 frames and 16 mels, a new one every 10 frames and 10 mels, so that neighbours overlap by 6. Each patch becomes one token: a vector, made of all its 256 numbers by one matrix.
#
# **Predict:** at a hop of 10 ms, how much time does one token see, and how often does a new one begin?

# %%
started = time.perf_counter()
size, device = profiles.get(profile), profiles.device()
clips = load(dataset, size)
training, validation, test = folds.split(clips, test_fold)
targets, sources, classes = clips.targets, clips.table["source"].to_numpy(), clips.classes
groups = np.arange(len(clips)) if len(set(sources[test])) == 1 else sources  # what an interval draws again
steps = n_steps or {"smoke": size.steps, "lesson": 120, "study": size.steps}[profile]
spec = FeatureSpec(hop_ms=10.0 if profile == "study" else 20.0)
x = features(clips, spec, progress=False)
n_frames, n_mels = x.shape[1:]
PATCH, STRIDE = 16, 10
rows, columns = ((n - PATCH) // STRIDE + 1 for n in (n_mels, n_frames))
token_ms, every_ms = PATCH * spec.hop_ms, STRIDE * spec.hop_ms
fig, ax = plt.subplots(figsize=(11, 3.4))
loudest = int(np.flatnonzero(training)[x[training].mean(2).std(1).argmax()])
plots.mel_spectrogram(x[loudest], spec.frame_centres_s(n_frames), ax)
for k in range(columns):
    for row in range(rows):
        ax.add_patch(plt.Rectangle((k * every_ms / 1000, row * STRIDE), token_ms / 1000, PATCH, fill=False, edgecolor="white", linewidth=0.4, alpha=0.6))
ax.set_title(f"{classes[targets[loudest]].replace('_', ' ')}: {rows} × {columns} patches")
show(fig, alt=f"Log-mel of one clip with the outlines of {rows} rows of {columns} overlapping patches; each is {token_ms:g} ms wide and a new column begins every {every_ms:g} ms.")
wave = clips.where(np.arange(len(clips)) == loudest).waves()[0][:32_000]
play(0.8 * wave / max(np.abs(wave).max(), 1e-9), 16_000, describe=f"The beginning of the clip of the figure: {classes[targets[loudest]].replace('_', ' ')}.")
say(f"{n_frames} frames of {n_mels} mels become **{rows * columns} tokens**. A token sees {token_ms:g} ms and its neighbour begins {every_ms:g} ms later: whatever the hop was, from here on the network has one column in {every_ms:g} ms, and keeps it to the last layer.")

# %% [markdown]
# ### Exercise 09.1
#
# Write the number of tokens of a log-mel: from its frames, its mels, the patch and the stride, both the same along both axes. Nothing is padded; what does not fill a patch is lost.

# %% tags=["exercise"]
def token_count(n_frames, n_mels, patch, stride):
    ### BEGIN SOLUTION
    return ((n_frames - patch) // stride + 1) * ((n_mels - patch) // stride + 1)
    ### END SOLUTION


check("09.1", token_count)

# %% [markdown]
# ## 2. What looking at everything costs
#
# A block of a transformer of width D does two things to its t tokens. Its matrices cost $12 t D^2$ multiply-accumulates (MACs): four D by D for queries, keys, values and their mixing, and two of four times that size. Attention itself compares all tokens with all, and adds them up: $2 t^2 D$. The first grows with the length of the clip, the second with its square.
#
# **Predict:** is attention the larger part at 10 s?

# %%
seconds = np.geomspace(1, 300, 40)
tokens = np.array([12 * ((round(100 * s) - PATCH) // STRIDE + 1) + 2 for s in seconds])  # 128 mels, hop 10 ms
D = 768
linear, attention = 12 * 12 * tokens * D**2 / 1e9, 12 * 2 * tokens**2 * D / 1e9
cross_s = float(np.interp(6 * D, tokens, seconds))
fig, ax = plt.subplots(figsize=(8, 3.8))
plots.lines(seconds, {"matrices": linear, "attention": attention}, ax, xlabel="length of the clip (s)", ylabel="MACs of 12 blocks (billions)")
ax.set(xscale="log", yscale="log")
ax.axvline(cross_s, color="black", linestyle=":", linewidth=1)
plots.log_ticks(ax.xaxis, (1, 3, 10, 30, 100, 300))
of_ten = float(np.interp(10, seconds, attention / (attention + linear)))
show(fig, alt=f"MACs of AST's twelve blocks against the length of the clip, two rising lines on logarithmic axes: matrices lie above attention up to {cross_s:.0f} s, attention above from there on.")
say(f"At 10 s attention is **{100 * of_ten:.0f} %** of the blocks. The two are equal at t = 6 D = {6 * D} tokens, that is, at **{cross_s:.0f} s**. A finer stride gets there sooner: tokens grow with the square of it, for there are two axes.")

# %% [markdown]
# ### Exercise 09.2
#
# Write the share of a block's MACs that attention takes, from the number of tokens and the width.

# %% tags=["exercise"]
def attention_share(n_tokens, width):
    ### BEGIN SOLUTION
    return n_tokens / (6 * width + n_tokens)
    ### END SOLUTION


check("09.2", attention_share)

# %% [markdown]
# ## 3. A pyramid of tokens
#
# MAST starts from a finer grid and gives it up on the way. Between two stages the grid is pooled, and the tokens become twice as wide: fewer places, more to say about each. The paper tells us that some stages pool along time alone (1-D) and others along time and frequency (2-D). Which, it does not say; its stage table is not public. Ours is the member of a published family, MViTv2, that fits the cost the paper states. **That is our inference, not the authors' network.**

# %%
pyramid = transformers.mast_base(500, 128, 50).eval()
seen = []
hooks = [stage["blocks"][-1].register_forward_hook(lambda module, given, out: seen.append((out[1], out[0].shape[2]))) for stage in pyramid.v.stages]
with torch.no_grad():
    pyramid(torch.zeros(1, 500, 128))
for hook in hooks:
    hook.remove()
table = pd.DataFrame([(k + 1, f"{r} × {c}", r * c, width, 5000 / c) for k, ((r, c), width) in enumerate(seen)], columns=["stage", "rows × columns", "tokens", "width", "ms a column"])
display(table.round(0))
fig, ax = plt.subplots(figsize=(9, 2.8))
left = 0.0
for k, ((r, c), width) in enumerate(seen):
    ax.add_patch(plt.Rectangle((left, 0), c / 20, r / 4, facecolor=plots.COLOURS[k], edgecolor="black"))
    ax.text(left, r / 4 + 0.25, f"stage {k + 1}: {r} × {c}, width {width}", fontsize=11)
    left += max(c / 20, 5.0) + 1.0
ax.set(xlim=(-0.3, left), ylim=(-0.3, 5.2))
ax.axis("off")
show(fig, alt="The grid of tokens after each of four stages, drawn to scale: " + "; ".join(f"{r} rows of {c} columns, {width} wide" for (r, c), width in seen) + ".")
say(f"At 5 s MAST begins with a column in {5000 / seen[0][0][1]:.0f} ms, {100 / (5000 / seen[0][0][1]):.1f} times as fine as AST's 100 ms, and ends with one in {5000 / seen[-1][0][1]:.0f} ms. From {seen[0][0][0] * seen[0][0][1]} tokens {seen[-1][0][0] * seen[-1][0][1]} are left.")

# %% [markdown]
# ### Exercise 09.3
#
# A padded pooling with an odd kernel leaves ⌈n / s⌉ of n places. Write the grids of a pyramid as a list of `(rows, columns)`, the first one included, from that first grid and the strides `(rows, columns)` between stages.

# %% tags=["exercise"]
def grids(first, strides):
    ### BEGIN SOLUTION
    found = [first]
    for along_rows, along_columns in strides:
        r, c = found[-1]
        found.append((-(-r // along_rows), -(-c // along_columns)))
    return found
    ### END SOLUTION


check("09.3", grids)

# %% [markdown]
# ## 4. One axis or two
#
# Does it matter along which axis one pools? Here is a test that needs no training. Deal the rows of the grid, the frequencies, out in another order. A layer that pools along time alone treats every row alike: it gives the same tokens, in that order. A layer whose kernel spans rows mixes neighbours, and who the neighbours are has changed.
#
# **Predict:** by how much will either be off?

# %%
generator = torch.Generator().manual_seed(seed)
grid, places = (6, 16), torch.randn(1, 96, 24, generator=generator)
order = torch.tensor([3, 0, 5, 1, 4, 2])
off = {}
for name, kernel, stride in (("1-D, time", (1, 3), transformers.TIME), ("2-D, time and frequency", (3, 3), transformers.BOTH)):
    torch.manual_seed(seed)
    layer = transformers.PoolingAttention(24, 24, 2, stride, stride, kernel)
    with torch.no_grad():
        straight, new = layer(places, grid)
        dealt, _ = layer(places.unflatten(1, grid)[:, order].flatten(1, 2), grid)
    straight, dealt = straight.unflatten(1, new), dealt.unflatten(1, new)
    off[name] = float((dealt - (straight[:, order] if new[0] == len(order) else straight)).abs().max() / straight.std())
say("; ".join(f"{name}: **{value:.2g}** deviations" for name, value in off.items()) + ". Pooling time alone does not know which frequencies are neighbours. What a network should know of pitch it must then have learnt in its first layers, which make the tokens, or from its table of positions.")

# %% [markdown]
# The other axis has a test as well. Let the strides along time multiply to q frames, and shift a clip by a whole number of q. Apart from the table of positions and the borders, each patch and each pooled place of the last grid then sees the same numbers as before, as many places later as there are q in the shift. After any other shift it sees other numbers. That product is the network's **temporal quantum**.
#
# ### Exercise 09.4
#
# Write the temporal quantum in ms, from the hop and the strides in time from the stem to the last pooling.

# %% tags=["exercise"]
def quantum_ms(hop_ms, strides):
    ### BEGIN SOLUTION
    return hop_ms * int(np.prod(strides))
    ### END SOLUTION


check("09.4", quantum_ms)

# %% [markdown]
# ## 5. Five times, three times, three per cent
#
# What seems to be the same encoder was announced three times: *5 times fewer MACs and 42 % fewer parameters* (2023), *3 times fewer FLOPs* (2022; a multiply-accumulate is two of them), *about 3 % fewer FLOPs* (2024). Accuracy gains are the same in all three. None of them can be wrong for lack of a number that fits, because what is counted was not the same. Two choices decide: whether attention's own products are counted, and how long the clip is.
#
# **Predict:** which choice flatters MAST more?

# %%
bills = []
for frames, n_classes in ((1024, 527), (500, 50)):
    with torch.device("meta"):  # shapes are followed, nothing is stored or computed: counting needs no numbers
        both = {"AST": transformers.ast_base(frames, 128, n_classes), "MAST": transformers.mast_base(frames, 128, n_classes)}
    macs = {name: cost.macs(net, frames, 128) / 1e9 for name, net in both.items()}
    t = 12 * ((frames - PATCH) // STRIDE + 1) + 2
    without = macs["AST"] - 12 * 2 * t**2 * D / 1e9
    sizes = {name: cost.parameters(net) / 1e6 for name, net in both.items()}
    bills.append({"frames": frames, "AST (G MACs)": macs["AST"], "AST, attention not counted": without, "MAST (G MACs)": macs["MAST"], "times fewer": macs["AST"] / macs["MAST"], "times fewer, not counted": without / macs["MAST"], "parameters fewer (%)": 100 * (1 - sizes["MAST"] / sizes["AST"])})
bill = pd.DataFrame(bills)
display(bill.round(2))
del both
say(f"With attention counted on both sides our MAST has **{bill['times fewer'][0]:.2f} times** fewer MACs at 10 s and {bill['times fewer'][1]:.2f} times at 5 s, and {bill['parameters fewer (%)'][0]:.1f} % fewer parameters. If AST is counted without its attention, as published figures of this family often are, {bill['times fewer, not counted'][0]:.2f} times are left.")

# %% [markdown]
# The design was chosen to fit these numbers, so meeting them proves that they *can* be met, with attention counted, at both lengths, and no more. It says nothing about accuracy. For that, something must be trained.
#
# ## 6. Twins from scratch
#
# Networks of this size need a hundred thousand clips or the weights of somebody who had them. We train small ones instead: AST of four blocks and MAST of one block a stage, and beside them the 7-layer CNN of notebook 05. Same clips, same batches, same steps, one rate. Once with augmentation (notebook 03) and once without.
#
# **Predict:** which of the three gains most from augmentation?

# %%
NAMES = {"AST": "ast-tiny", "MAST": "mast-tiny", "CNN": "cnn7"}
plain = {"steps": steps, "batch_size": 16, "learning_rate": 1e-3, "n_evals": 2 if profile == "smoke" else 8, "precision": "fp32"}
recipes = {"augmented": Recipe(**plain, mixup=0.3), "bare": Recipe(**plain, roll=False, spec_augment=False, mixup=0.0)}


def trained(model, recipe):
    """A network trained from scratch, and what it costs."""
    seed_everything(seed)
    parts = (Split(x[mask], targets[mask], len(classes)) for mask in (training, validation))
    fitted = supervised.fit(build(model, len(classes), shape=(n_frames, n_mels)), *parts, recipe, spec, seed=seed, device=device)
    size = {"parameters": cost.parameters(fitted.model) / 1e6, "macs": cost.macs(fitted.model, n_frames, n_mels) / 1e6}
    best = 100 * supervised.best_eval(fitted.history)["validation_accuracy"]
    return {"fitted": fitted, "validation": best, "latency": cost.latency_ms(fitted.model, n_frames, n_mels)} | size


jobs = [(name, kind) for name in NAMES for kind in recipes]
runs = {job: trained(NAMES[job[0]], recipes[job[1]]) for job in tqdm(jobs, desc="networks")}
display(pd.DataFrame([(*job, r["parameters"], r["macs"], r["latency"], r["fitted"].seconds / 60, r["validation"]) for job, r in runs.items()], columns=["network", "recipe", "parameters (M)", "MACs (M)", "latency (ms)", "training (minutes)", "validation (%)"]).round(2))

# %%
fig, axes = plt.subplots(1, 2, figsize=(12, 3.8), sharey=True)
for ax, kind in zip(axes, recipes, strict=True):
    curves = {name: [100 * look["validation_accuracy"] for look in runs[name, kind]["fitted"].history] for name in NAMES}
    looked = [look["step"] for look in runs["AST", kind]["fitted"].history]
    plots.lines(np.array(looked), {name: np.array(curve) for name, curve in curves.items()}, ax, xlabel="step", ylabel="validation accuracy (%)" if kind == "augmented" else "")
    ax.set_title(kind)
gains = {name: runs[name, "augmented"]["validation"] - runs[name, "bare"]["validation"] for name in NAMES}
show(fig, alt="Validation accuracy in % against the step, one panel a recipe, one line a network; at best " + "; ".join(f"{name} {runs[name, 'augmented']['validation']:.0f} augmented and {runs[name, 'bare']['validation']:.0f} bare" for name in NAMES) + ".")
say("Augmentation changes the best look by " + ", ".join(f"**{gain:+.0f} points** ({name})" for name, gain in gains.items()) + (". After a dozen steps that is noise." if profile == "smoke" else ", on one fold and one seed."))

# %% [markdown]
# A plain transformer knows nothing about pictures: that neighbours belong together, it has to find in the data, and augmentation is more data. The first layers of a pyramid, its stem, and its pooling are small convolutions, and bring that knowledge along.
#
# ## 7. The test, once, and its price

# %%
kind = "augmented"
right = {name: (supervised.predict(runs[name, kind]["fitted"].model, x[test]).argmax(1) == targets[test]).astype(float) for name in NAMES}
accuracy = {name: accuracy_by_source(r, groups[test], seed=seed).scaled(100) for name, r in right.items()}
pairs = {f"{a} less {b}": accuracy_by_source(right[a] - right[b], groups[test], seed=seed).scaled(100) for a, b in (("MAST", "AST"), ("CNN", "AST"), ("CNN", "MAST"))}
fig, axes = plt.subplots(1, 2, figsize=(13, 3.8), sharey=True)
points = np.array([accuracy[name].mean for name in NAMES])
for ax, key, label in zip(axes, ("macs", "latency"), ("multiply-accumulates a clip (millions)", "latency of one clip (ms)"), strict=True):
    plots.pareto(np.array([runs[name, kind][key] for name in NAMES]), points, list(NAMES), ax, xlabel=label, ylabel="test accuracy (%)" if key == "macs" else "")
    ax.margins(x=0.15, y=0.15)
show(fig, alt="Test accuracy in % against millions of MACs and against latency in ms, one dot a network: " + "; ".join(f"{name} {accuracy[name].mean:.0f} % at {runs[name, kind]['macs']:.0f} million and {runs[name, kind]['latency']:.1f} ms" for name in NAMES) + ".")
say("; ".join(f"{name} **{value} %**" for name, value in accuracy.items()) + ". In pairs: " + "; ".join(f"{name} {d.mean:+.1f} ({d.low:+.1f} to {d.high:+.1f})" for name, d in pairs.items()) + f". MAST has {runs['AST', kind]['macs'] / runs['MAST', kind]['macs']:.1f} times fewer MACs than AST and takes {runs['MAST', kind]['latency'] / runs['AST', kind]['latency']:.2f} of its time.")

# %% [markdown]
# Compare the two pictures. MACs of a pyramid are spread over many small operations, each of which touches memory once more; a plain transformer does a few large products. Counting is exact, and not the same as waiting.
#
# ## 8. Where does it look?
#
# The class token of AST collects what the answer is read from. In the last block its attention says from where. We compute it once more, with the table of weights that the fused operation never writes down.

# %%
model = runs["AST", kind]["fitted"].model.cpu().eval()
example = int(np.flatnonzero(test)[0])
caught = []
block = model.model.v.blocks[-1]
hook = block.norm1.register_forward_hook(lambda module, given, out: caught.append(out))
with torch.no_grad():
    model(torch.tensor(x[example : example + 1]))
    q, k, _ = block.attn.qkv(caught[0]).unflatten(2, (3, block.attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    looks = (q[:, :, :1] @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(3)[0, :, 0, 1:].mean(0)
hook.remove()
seen_at = looks.unflatten(0, model.model.v.grid_size).numpy()
fig, axes = plt.subplots(2, 1, figsize=(9, 4.8), sharex=True)
plots.mel_spectrogram(x[example], spec.frame_centres_s(n_frames), axes[0])
drawn = axes[1].imshow(seen_at * seen_at.size, origin="lower", aspect="auto", extent=((token_ms - every_ms) / 2000, columns * every_ms / 1000 + (token_ms - every_ms) / 2000, 0, rows), cmap="cividis")
fig.colorbar(drawn, ax=axes[1], label="weight (1: even)")
axes[1].set(ylabel="row of tokens", xlabel="time (s)")
by_time = seen_at.sum(0)
loud = x[example].mean(1)[np.minimum(np.arange(columns) * STRIDE + PATCH // 2, n_frames - 1)]
follows = float(np.corrcoef(by_time, loud)[0, 1]) if np.ptp(loud) and np.ptp(by_time) else 0.0
show(fig, alt=f"Above, the log-mel of a test clip ({classes[targets[example]].replace('_', ' ')}). Below, the attention of the class token over the grid of tokens, from {seen_at.min() * seen_at.size:.2f} to {seen_at.max() * seen_at.size:.2f} times an even share; its correlation with the level over time is {follows:+.2f}.")
say(f"The weights go up to **{seen_at.max() * seen_at.size:.1f} times** an even share; over time they correlate with the level by {follows:+.2f}. Attention is a clue to what the network uses and no proof: a token that is looked at may be ignored further on.")

# %% [markdown]
# ## 9. Are the classes farther apart?
#
# The paper's last claim is that MAST's features are *more separable*. Four measures, computed on the vectors before the head, of the test clips (with those of validation, where the test has too few): *silhouette* compares the distance to the own class with that to the next one, *nmi* says how well clusters that were found without labels agree with the classes, *purity* how many of a clip's nearest neighbours are of its class, and *Davies-Bouldin*, of which less is better, sets the spread of the classes against their distance. **Predict:** will all four agree on an order?

# %%
fewest = min(len(set(groups[test & (targets == k)])) for k in np.unique(targets))
held = test if fewest >= 4 else test | validation  # a class of fewer sources has no spread to speak of


def vectors(name):
    """What the head reads, one vector a clip that was not learnt from."""
    net = runs[name, kind]["fitted"].model.cpu().eval()
    heard = (torch.tensor(x[held]) - net.mean) / net.std
    with torch.no_grad():
        return torch.cat([net.model.features(part) for part in heard.split(32)]).numpy()


embedded = {name: vectors(name) for name in ("AST", "MAST")}

# %% [markdown]
# Intervals come from random halves of the sources: clips of one source lie together, and must not vouch for each other.

# %%
apart = {name: separability(e, targets[held], groups[held], draws=20 if profile == "smoke" else 100, seed=seed) for name, e in embedded.items()}
measures = list(apart["AST"])
fig, axes = plt.subplots(1, 4, figsize=(13, 2.6))
for ax, measure in zip(axes, measures, strict=True):
    for place, name in enumerate(apart):
        value = apart[name][measure]
        ax.errorbar(value.mean, place, xerr=[[value.mean - value.low], [value.high - value.mean]], fmt="os"[place], capsize=3, color=plots.COLOURS[place])
    ax.set_yticks([0, 1], list(apart) if measure == measures[0] else ["", ""])
    ax.set(title=measure.replace("_", "-"), ylim=(1.5, -0.5))
show(fig, alt="Four measures of separability with 95 % intervals, AST and MAST in each: " + "; ".join(f"{m} {apart['AST'][m]} and {apart['MAST'][m]}" for m in measures) + ". Of Davies-Bouldin less is better.")
better = [m for m in measures if (apart["MAST"][m].mean > apart["AST"][m].mean) != (m == "davies_bouldin")]
clear = [m for m in measures if apart["MAST"][m].low > apart["AST"][m].high or apart["MAST"][m].high < apart["AST"][m].low]
say(f"MAST is ahead by **{len(better)} of {len(measures)}** measures; by {len(clear)} of them the intervals do not touch." + (" After a dozen steps neither has learnt much to separate." if profile == "smoke" else ""))

# %% [markdown]
# A picture in two dimensions is convincing and proves nothing: t-SNE shows neighbourhoods and makes up distances. It is drawn here with the same colours and marks for both, and to be looked at after the numbers.

# %%
from sklearn.manifold import TSNE

fig, axes = plt.subplots(1, 2, figsize=(11, 4.6))
for ax, (name, e) in zip(axes, embedded.items(), strict=True):
    flat = TSNE(2, init="pca", perplexity=min(20, len(e) // 4), random_state=seed).fit_transform((e - e.mean(0)) / np.maximum(e.std(0), 1e-9))
    for k in np.unique(targets[held]):
        ax.scatter(*flat[targets[held] == k].T, s=30, marker=plots.MARKERS[k % len(plots.MARKERS)], color=plots.COLOURS[(k + k // len(plots.MARKERS)) % len(plots.COLOURS)], label=classes[k].replace("_", " "))
    ax.set(title=name, xticks=[], yticks=[])
axes[1].legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize="small")
show(fig, alt=f"The vectors of {held.sum()} clips in two dimensions by t-SNE, one panel for AST and one for MAST, one mark and colour a class; silhouettes in full dimension are {apart['AST']['silhouette'].mean:.2f} and {apart['MAST']['silhouette'].mean:.2f}.")

# %% [markdown]
# ## 10. The stride as a resolution
#
# AST's own knob of temporal resolution is the stride of its patches. Published: on AudioSet, the large set of labelled sound from videos, the mean average precision falls from 0.450 at a stride of 10 to 0.442 at 16, for little more than a third of the multiply-accumulates. Ours, small and from scratch:

# %%
strides = (16, 10) if profile == "smoke" else (16, 14, 12, 10)
knob = {}
for stride in tqdm(strides, desc="strides"):
    seed_everything(seed)
    net = transformers.ast_tiny(n_frames, n_mels, len(classes), stride=stride)
    parts = (Split(x[mask], targets[mask], len(classes)) for mask in (training, validation))
    fitted = supervised.fit(net, *parts, recipes["augmented"], spec, seed=seed, device=device)
    knob[stride] = (stride * spec.hop_ms, cost.macs(fitted.model, n_frames, n_mels) / 1e6, 100 * supervised.best_eval(fitted.history)["validation_accuracy"])
display(pd.DataFrame([(stride, *values) for stride, values in knob.items()], columns=["stride", "a column every (ms)", "MACs (M)", "validation (%)"]).round(1))
fig, ax = plt.subplots(figsize=(7, 3.2))
plots.pareto(np.array([v[1] for v in knob.values()]), np.array([v[2] for v in knob.values()]), [f"stride {stride}" for stride in knob], ax, xlabel="multiply-accumulates a clip (millions)", ylabel="validation accuracy (%)")
ax.margins(x=0.15, y=0.15)
show(fig, alt="Validation accuracy in % against millions of MACs, one dot a stride: " + "; ".join(f"{stride} {v[2]:.0f} % at {v[1]:.0f} million" for stride, v in knob.items()) + ".")
say(f"From stride {strides[0]} to {strides[-1]} the cost grows {knob[strides[-1]][1] / knob[strides[0]][1]:.1f} times, and the best look at validation changes by {knob[strides[-1]][2] - knob[strides[0]][2]:+.0f} points, one clip of validation being worth {100 / validation.sum():.1f}.")

# %% [markdown]
# ## 11. Five folds
#
# One fold decides nothing between three networks. The study trains the same three on five folds of ESC-10, and of spoken digits, where no speaker is in two folds, and compares them in pairs: same fold, same start.
#
# A patch of AST covers 16 frames, and the stem of MAST looks at 7: at a hop of 20 ms that is 320 and 140 ms of a word. **Predict:** if AST is behind on digits because of that, what will half the hop do?

# %%
# STUDY GRID
published = paths.published_dir() / "transformers" / "summary.csv"
study = pd.read_csv(published) if published.is_file() else pd.DataFrame({"part": []})
shown = {name: "{:.1f}" for name in ("accuracy", "low", "high", "difference", "difference_low", "difference_high")}
titles = {"twins": "ESC-10", "digits": "Spoken digits", "digits, finer": "Spoken digits, AST at two hops"}
called = {model: name for name, model in NAMES.items()}
for part, found in study.groupby("part", sort=False):
    names = found["model"].map(called).fillna(found["features.hop_ms"].map("AST at {:g} ms".format))
    found = found.assign(**{name: 100 * found[name] for name in shown}, macs=found["macs"] / 1e6, network=names)
    say(f"**{titles[part]}**")
    display(found[["network", *shown, "macs", "folds", "seeds"]].style.format(shown | {"macs": "{:.1f}"}, na_rep="").hide(axis="index"))
    base, against = found.iloc[0], found[found["pairs"] > 0]
    say(f"Seeds a fold: {found['seeds'].max()}. Against {base.network}, in pairs: " + "; ".join(
        f"**{row.network} {row.difference:+.1f} points** ({row.difference_low:+.1f} to {row.difference_high:+.1f}) at {row.macs / base.macs:.2f} of its MACs" for row in against.itertuples()
    ) + f". So many pairs could have missed a true difference of up to {100 * against['minimum_detectable_effect'].max():.0f} points.")
if study.empty:
    say("The study of this notebook has not been run yet: `course study run transformers --jobs 2`, then `course study report transformers --publish`.")

# %% [markdown]
# All the questions that were put to these rows, as the study report asks them. A square with a filled face has its whole interval on one side of 0.

# %%
# STUDY GRID
answers = questions.answers("transformers")
if len(answers):
    show(figures.claims_figure(answers), alt=figures.claims_text(answers))
    apart_from_0 = answers[(answers["low"] > 0) | (answers["high"] < 0)]
    say(f"{len(apart_from_0)} of {len(answers)} intervals stay clear of 0: " + "; ".join(f"{row.where.partition(',')[0]}, {row.question} ({100 * row.difference:+.1f})" for row in apart_from_0.itertuples()) + ".")

# %% [markdown]
# ## What we saw

# %%
gap = pairs["MAST less AST"]
of_study = "; ".join(f"{row.where.partition(',')[0]} {100 * row.difference:+.1f} ({100 * row.low:+.1f} to {100 * row.high:+.1f}), {row.verdict}" for row in answers[answers["claim"] == "B2"].itertuples()) or "not run"
say(f"""| claim | in the paper's words, shortened | our number |
|---|---|---|
| B1 | pooling along time and along both axes, fewer tokens, wider features | {" → ".join(f"{r} × {c}" for (r, c), _ in seen)} tokens, {" → ".join(str(w) for _, w in seen)} wide, by construction |
| B2 | better accuracy than AST without external data | small twins, one fold: {gap.mean:+.1f} points ({gap.low:+.1f} to {gap.high:+.1f}): {"too few steps to read" if profile == "smoke" else verdict(gap)}; the study: {of_study} |
| B4 | 5 times fewer MACs, 42 % fewer parameters | {bill['times fewer'][0]:.2f} and {bill['times fewer'][1]:.2f} times at 10 and 5 s, {bill['parameters fewer (%)'][0]:.1f} % fewer parameters, attention counted: can be met; in latency the twins stand at {runs['MAST', kind]['latency'] / runs['AST', kind]['latency']:.2f} |
| B5 | more separable features | ahead by {len(better)} of {len(measures)} measures, clearly by {len(clear)}{"; too few steps to read" if profile == "smoke" else ""} |

The paper's stage table is not public and our twins are small: B2 and B5 are asked of our networks, not of theirs. B3, on AudioSet, cannot be tested here.""")

# %% [markdown]
# - A token is a choice of temporal resolution, and a transformer keeps it or pools it.
# - Attention grows with the square of the length, and is the smaller part until clips are long.
# - What was counted decides a ratio; say which products, at which length.
# - Small data asks for knowledge of pictures, by design or by augmentation.
#
# ## What next
#
# Notebooks 10 and 11 bring in features that somebody else has learnt, and go from the question *which* sound to the question *when*.
# Before you go on: [questions to test yourself](quizzes/09_spectrogram_transformers.md).
#
# ## References
#
# - Y. Gong, Y.-A. Chung, J. Glass, "AST: Audio spectrogram transformer", 2021. doi:10.48550/arXiv.2104.01778
# - W. Zhu, M. Omar, "Multiscale audio spectrogram transformer for efficient audio classification", 2023. doi:10.48550/arXiv.2303.10757
# - Y. Li, C.-Y. Wu, H. Fan, K. Mangalam, B. Xiong, J. Malik, C. Feichtenhofer, "MViTv2: Improved multiscale vision transformers for classification and detection", 2021. doi:10.48550/arXiv.2112.01526

# %% tags=["record"]
one_clip = 100 / int(test.sum())


def judged(step):
    """How a trained network's number is judged: within a band, but not after the dozen steps of `smoke`."""
    return {"kind": "info"} if profile == "smoke" else {"step": step}


record("tokens", rows * columns, kind="exact")
record("attention_share_10_s", 100 * of_ten, unit="%", kind="rel", rel=1e-3)
for row in bill.to_dict("records"):
    record(f"times_fewer_macs_{row['frames']}", row["times fewer"], kind="rel", rel=1e-4)
    record(f"parameters_fewer_{row['frames']}", row["parameters fewer (%)"], unit="%", kind="rel", rel=1e-4)
for name, value in off.items():
    record(f"off_{name.partition(',')[0]}", value, kind="info")
for name in NAMES:
    record(f"accuracy_{name}", accuracy[name].mean, unit="%", **judged(one_clip))
for name, values in apart.items():
    for measure, value in values.items():
        record(f"{measure}_{name}", value.mean, kind="info")
        record(f"{measure}_{name}_reach", (value.high - value.low) / 2, kind="info")
record("steps", steps, kind="info")
record("minutes", (time.perf_counter() - started) / 60, kind="info")
