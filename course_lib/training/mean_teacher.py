"""Mean-teacher training on weakly labelled and unlabelled scenes: the teacher is a running mean of the student.

The student learns the weak labels, and to agree with the teacher on every frame of every scene. Otherwise the loop is
that of `supervised`: a budget in steps, a seed, the best state on validation. It uses no strong labels of training
scenes. Notebook: 10.
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.ndimage import median_filter
from torch import nn
from torch.nn import functional

from course_lib.audio import spec_augment
from course_lib.audio.features import FeatureSpec
from course_lib.checked import Count, CountOrZero, Share, Weight, checked
from course_lib.data import events
from course_lib.evaluation import detection
from course_lib.training import schedule
from course_lib.training.checkpoint import Progress, TrainResult

Features = Mapping[str, np.ndarray]  # by stream, (scenes, frames, dims)
THRESHOLD = 0.5
BATCH = 64  # scenes at a time outside training
COLLAR_S, SEGMENT_S = 0.2, 1.0  # of the event and segment scores by which the best state is chosen


@checked
class TeacherRecipe:
    """How to train. Hashable, so that it can be part of a key.

    Attributes
    ----------
    steps : updates of the student.
    weak, unlabelled : scenes of each kind per step; 0 unlabelled leaves them out.
    learning_rate, weight_decay : highest learning rate of AdamW, which rises over a tenth of the steps and falls as a
        cosine, and its weight decay.
    ema_decay : weight of the old teacher in each update; at update `step`, counted from 0, it is
        `min(1 - 1 / (step + 1), ema_decay)`. The first update thus drops the initial weights; DESED's baseline counts
        from 1, so its first update keeps half of them. 0 trains without a teacher.
    consistency : highest weight of the squared distance to the teacher, reached after half of the steps.
    spec_augment : `spec_augment` on the student's log-mel, in ms and Hz.
    mixup : Beta parameter of mixup; 0 is none.
    median_ms : length of the median filter over the decisions of the frames.
    n_evals : evaluations on validation, evenly over the steps; the best state is kept.
    """

    steps: Count = 600
    weak: Count = 12
    unlabelled: CountOrZero = 6
    learning_rate: Share = 1e-3
    weight_decay: Share = 1e-4
    ema_decay: Share = 0.98
    consistency: Weight = 1.0
    spec_augment: bool = True
    mixup: Weight = 0.0
    median_ms: float = 400.0
    n_evals: Count = 6

    def __post_init__(self) -> None:
        if self.unlabelled and not self.ema_decay:
            raise ValueError(
                f"unlabelled={self.unlabelled}, ema_decay=0: unlabelled scenes need a teacher; set ema_decay above 0, "
                "or unlabelled=0"
            )


@dataclass(frozen=True)
class EvalSet:
    """Labelled scenes to evaluate on: features by stream, file names, strong labels, classes, length in seconds."""

    x: Features
    filenames: list[str]
    events: pd.DataFrame
    classes: list[str]
    clip_s: float


def teach(
    model: nn.Module,
    weak: Features,
    tags: np.ndarray,
    unlabelled: Features | None,
    validation: EvalSet,
    recipe: TeacherRecipe,
    spec: FeatureSpec,
    *,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    on_eval: Callable[[dict[str, float]], None] | None = None,
) -> TrainResult:
    """`model`, or its teacher, trained on scenes with known `tags` `(scenes, classes)` and on unlabelled ones.

    The state kept is that with the highest mean of tagging, segment and event F1 on `validation`. The same arguments
    give the same weights on the same machine with the same number of threads; with `checkpoint` also after an
    interruption.

    Raises
    ------
    CourseError
        The loss is no longer finite, or the checkpoint belongs to another training.
    """
    both = [weak] if unlabelled is None or not recipe.unlabelled else [weak, unlabelled]
    for name in weak:
        model.standardise(name, [part[name] for part in both])
    model.to(device)
    teacher = copy.deepcopy(model).requires_grad_(False) if recipe.ema_decay else model
    optimiser = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    settings = (recipe, spec, seed, sorted(weak), validation.events.to_csv())
    arrays = [tags, *(part[name] for part in (*both, validation.x) for name in sorted(part))]
    parts = {"student": model, "teacher": teacher, "optimiser": optimiser}
    reached = Progress(checkpoint, settings, arrays, parts, evaluated="teacher", best_eval=best_eval)
    eval_steps = schedule.eval_steps(recipe.steps, recipe.n_evals)
    for step in range(reached.step, recipe.steps):
        reached.losses.append(_step(model, teacher, optimiser, both, tags, recipe, spec, seed, step))
        if step + 1 in eval_steps:
            entry = reached.evaluate(step + 1, partial(_evaluate, teacher, validation, recipe.median_ms))
            if on_eval is not None:
                on_eval(entry)
    return reached.result()


def _step(model, teacher, optimiser, both, tags, recipe: TeacherRecipe, spec, seed: int, step: int) -> torch.Tensor:
    """One update of the student, and of the teacher after it; returns the loss."""
    rng = np.random.default_rng([seed, step])
    torch.manual_seed(seed * 1_000_003 + step)  # for dropout: a resumed training draws as an unbroken one does
    x, y = _batch(both, tags, recipe, seed, step, next(model.parameters()).device)
    if recipe.mixup:
        x, y = _mixed(x, y, recipe, rng)
    for group in optimiser.param_groups:
        group["lr"] = recipe.learning_rate * schedule.lr_multiplier((step + 1) / recipe.steps)
    loss = _loss(model, teacher, x, y, recipe, spec, rng, step)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    if recipe.ema_decay:
        update_ema(teacher, model, min(1 - 1 / (step + 1), recipe.ema_decay))
    return loss.detach()


def best_eval(history: list[dict[str, float]]) -> dict[str, float]:
    """The entry with the highest mean of the three scores on validation; the first among equals."""
    return max(history, key=lambda entry: entry["validation_score"])


def probabilities(model: nn.Module, x: Features) -> tuple[np.ndarray, np.ndarray]:
    """`(scenes, frames, classes)` and `(scenes, classes)`, float32; the model is left in evaluation mode."""
    model.eval()
    device = next(model.parameters()).device
    n_scenes = len(next(iter(x.values())))
    strong, weak = [], []
    with torch.inference_mode():
        for start in range(0, n_scenes, BATCH):
            found = model({k: _tensor(v[start : start + BATCH], device) for k, v in x.items()})
            strong.append(found[0].cpu().numpy())
            weak.append(found[1].cpu().numpy())
    return np.concatenate(strong), np.concatenate(weak)


def detected(
    strong: np.ndarray, filenames: list[str], classes: list[str], out_s: np.ndarray, clip_s: float, median_ms: float
) -> pd.DataFrame:
    """Event list from probabilities `(scenes, frames, classes)`: above a half, smoothed over `median_ms`.

    `out_s` are the middles of the frames in seconds; an event begins half a frame before the middle of its first active
    frame.
    """
    active = smoothed(strong > THRESHOLD, out_s, median_ms)
    frame_s = float(np.median(np.diff(out_s)))
    return events.from_frames(active, filenames, classes, frame_s, clip_s, first_s=out_s[0] - frame_s / 2)


def smoothed(frames: np.ndarray, out_s: np.ndarray, median_ms: float) -> np.ndarray:
    """Decisions or probabilities `(scenes, frames, classes)` after a median filter of `median_ms` over time.

    It does not matter whether decisions are smoothed or the probabilities that they are taken from.
    """
    width = max(1, int(median_ms / 1000 / np.median(np.diff(out_s))) | 1)
    return median_filter(frames, size=(1, width, 1), mode="nearest")


def scores(model: nn.Module, judged: EvalSet, median_ms: float) -> dict[str, object]:
    """Scores of `judged`: `tagging`, `segment` and `event`, each a `Detection`, and the `estimated` events.

    `strong` and `weak` are the probabilities `(scenes, frames, classes)` and `(scenes, classes)`. A class that is never
    predicted has F1 0, as in DCASE task 4.
    """
    strong, weak = probabilities(model, judged.x)
    found = detected(strong, judged.filenames, judged.classes, model.out_s, judged.clip_s, median_ms)
    tags = tags_of(judged)
    lists = judged.events, found, judged.classes
    return {
        "tagging": detection.tagging_f1(tags, weak > THRESHOLD, judged.classes, zero_division=0),
        "segment": detection.segment_based_f1(*lists, judged.clip_s, SEGMENT_S, zero_division=0),
        "event": detection.event_based_f1(*lists, COLLAR_S, COLLAR_S, zero_division=0),
        "estimated": found,
        "strong": strong,
        "weak": weak,
    }


def tags_of(judged: EvalSet) -> np.ndarray:
    """Which classes are in which scene, `(scenes, classes)`, bool."""
    return events.to_tags(judged.events, judged.filenames, judged.classes)


def _evaluate(model: nn.Module, validation: EvalSet, median_ms: float) -> dict[str, float]:
    """The mean of the three micro F1 scores on validation, `validation_score`, then each of them."""
    found = scores(model, validation, median_ms)
    f1 = {f"validation_{name}": found[name].micro_f1 for name in ("tagging", "segment", "event")}
    return {"validation_score": float(np.mean(list(f1.values())))} | f1


def _loss(student, teacher, x, y, recipe: TeacherRecipe, spec: FeatureSpec, rng, step: int) -> torch.Tensor:
    """Cross-entropy of the weak labels of the first `len(y)` scenes, plus the distance to the teacher on all."""
    student.train()
    seen = dict(x)
    if recipe.spec_augment and "spectral" in seen:
        seen["spectral"] = spec_augment.spec_augment(seen["spectral"], rng, spec)
    strong, weak = student(seen)
    loss = functional.binary_cross_entropy(weak[: len(y)].clamp(1e-6, 1 - 1e-6), y)
    if not recipe.ema_decay:
        return loss
    teacher.train()  # normalisation and dropout as in the student, as in the published baselines
    with torch.no_grad():
        said, said_of_scene = teacher(x)
    ramp_up = min(1.0, 2 * step / recipe.steps)  # over the first half of the training
    weight = recipe.consistency * math.exp(-5 * (1 - ramp_up) ** 2)
    distance = functional.mse_loss(strong, said) + functional.mse_loss(weak, said_of_scene)
    return loss + weight * distance


def _batch(both, tags, recipe: TeacherRecipe, seed: int, step: int, device):
    """Features by stream, labelled scenes first, and the labels of these; each kind in shuffled rounds."""
    parts = []
    for kind, (part, size) in enumerate(zip(both, (recipe.weak, recipe.unlabelled), strict=False)):
        n_scenes = len(next(iter(part.values())))
        turn, place = divmod(step * size + np.arange(size), n_scenes)
        rounds = {k: np.random.default_rng([seed, kind, int(k)]).permutation(n_scenes) for k in np.unique(turn)}
        rows = np.array([rounds[k][p] for k, p in zip(turn, place, strict=True)])
        parts.append((part, rows))
    x = {name: torch.cat([_tensor(part[name][rows], device) for part, rows in parts]) for name in both[0]}
    return x, torch.tensor(tags[parts[0][1]], device=device)


def _mixed(x, y, recipe: TeacherRecipe, rng):
    """Each scene mixed with another of its kind, with the same share for all its streams."""
    n_weak, n_scenes = len(y), len(next(iter(x.values())))
    share = torch.as_tensor(rng.beta(recipe.mixup, recipe.mixup, n_scenes), dtype=y.dtype, device=y.device)
    share = torch.maximum(share, 1 - share)
    other = np.r_[rng.permutation(n_weak), n_weak + rng.permutation(n_scenes - n_weak)]
    part = share[:, None, None]
    x = {name: part * value + (1 - part) * value[other] for name, value in x.items()}
    part = share[:n_weak, None]
    return x, part * y + (1 - part) * y[other[:n_weak]]


def _tensor(x: np.ndarray, device) -> torch.Tensor:
    return torch.tensor(np.asarray(x, dtype=np.float32), device=device)


@torch.no_grad()
def update_ema(teacher: nn.Module, student: nn.Module, past: float) -> None:
    """Move the teacher's weights towards the student's by the share `1 - past`; batch-norm statistics stay its own."""
    for old, new in zip(teacher.parameters(), student.parameters(), strict=True):
        old.lerp_(new, 1 - past)
