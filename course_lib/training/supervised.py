"""Training a classifier of clips: one loop, short enough to read in class, for one label per clip or for several.

The result depends on a `Recipe`, the clips, the model and a seed. The budget counts steps and clips, never epochs of
frames, so it is the same for every hop. The best state is chosen on a validation fold; no test clip is involved.
Notebook: 05, which derives the loop.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from course_lib.audio import spec_augment
from course_lib.audio.features import FeatureSpec
from course_lib.checked import Count, CountOrZero, Share, Weight, checked
from course_lib.evaluation import tagging
from course_lib.models.classifier import Normalised
from course_lib.training import schedule
from course_lib.training.checkpoint import Progress, TrainResult

BATCH = 64  # clips at a time outside training
SCORES = ("validation_accuracy", "validation_map")  # what the best state is chosen by: one label per clip, or several


@checked
class Recipe:
    """How to train. Hashable, so that it can be part of a key.

    Attributes
    ----------
    steps : updates of the weights.
    batch_size : clips per update.
    learning_rate : highest learning rate of AdamW; it rises over the first tenth of the steps and falls as a cosine to
        zero at the last.
    weight_decay : weight decay of AdamW.
    freeze_steps : for this many steps only the last stage learns and the others stay fixed (transfer).
    layer_decay : the learning rate of each stage is that of the next one times this factor (discriminative rates).
    roll : shift each clip circularly by a random part of its length.
    spec_augment : `spec_augment`, in ms and Hz.
    image_augment : `augment_image`, the image augmentation of the paper (TAA).
    mixup : Beta parameter of mixup; 0 is none.
    label_smoothing : part of each target spread over all classes; unused if clips have several labels.
    n_evals : evaluations on validation, evenly over the steps; the best state is kept.
    guide : weight of the guide loss of a frame reducer that scores frames (DiffRes); 0 leaves it out.
    mask_value : the value inside masks, `mean` or `floor` (see `spec_augment`).
    precision : `fp32`, `bf16` (autocast), or `auto`: bf16 where the device computes in it, else fp32.
    """

    steps: Count = 200
    batch_size: Count = 32
    learning_rate: Weight = 2e-3
    weight_decay: Weight = 0.05
    freeze_steps: CountOrZero = 0
    layer_decay: Share = 1.0
    roll: bool = True
    spec_augment: bool = True
    image_augment: bool = False
    mixup: Weight = 0.2
    label_smoothing: Share = 0.1
    n_evals: Count = 8
    guide: Weight = 0.0
    mask_value: Literal["mean", "floor"] = "mean"
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    def __post_init__(self) -> None:
        if self.freeze_steps > self.steps:
            raise ValueError(f"freeze_steps={self.freeze_steps}: must be at most steps={self.steps}")


@dataclass(frozen=True)
class Split:
    """Features `x` `(clips, frames, mels)`, float32, and targets `y`.

    These are classes, whole numbers `(clips,)`, or, if clips have several labels, 0 and 1 `(clips, n_classes)`.
    """

    x: np.ndarray
    y: np.ndarray
    n_classes: int

    def __post_init__(self) -> None:
        fits = ((len(self.x),), (len(self.x), self.n_classes))
        if self.x.ndim != 3 or self.y.shape not in fits or not len(self.y):
            raise ValueError(
                f"x {self.x.shape}, y {self.y.shape}: expected (clips, frames, mels) and (clips,) or "
                f"(clips, {self.n_classes}), at least one clip"
            )
        highest = 1 if self.multilabel else self.n_classes - 1
        if not 0 <= self.y.min() <= self.y.max() <= highest:
            raise ValueError(f"y: {self.y.min()} to {self.y.max()}, expected 0 to {highest}")

    @property
    def multilabel(self) -> bool:
        """Whether clips have several labels each."""
        return self.y.ndim == 2

    @property
    def tags(self) -> np.ndarray:
        """`y` as 0 and 1 for each class, `(clips, n_classes)`, float32, however many labels a clip has."""
        return self.y.astype(np.float32) if self.multilabel else np.eye(self.n_classes, dtype=np.float32)[self.y]


def precision_on(device: str, wanted: str = "auto", model: nn.Module | None = None) -> str:
    """`fp32` or `bf16`: what `auto` means on `device`, for `model` if one is given.

    A CPU without bf16 units is slower in bf16 than in fp32, and so is any CPU in the backward pass of depthwise
    convolutions: EfficientNet-Lite0 takes 1.6 times as long in bf16, MAST 1.7 times.
    """
    if wanted != "auto":
        return wanted
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    parts = () if model is None else model.modules()
    depthwise = any(isinstance(part, nn.Conv2d) and part.groups > 1 for part in parts)
    return "bf16" if device == "cpu" and not depthwise and torch.cpu._is_avx512_bf16_supported() else "fp32"


def fit(
    model: nn.Module,
    train: Split,
    validation: Split | None,
    recipe: Recipe,
    spec: FeatureSpec,
    *,
    seed: int = 0,
    device: str = "cpu",
    checkpoint: Path | None = None,
    on_eval: Callable[[dict[str, float]], None] | None = None,
    progress: bool = False,
) -> TrainResult:
    """`model` trained on `train`, in the state that did best on `validation` (one of `SCORES`; ties by loss).

    Without `validation` it is the state after the last step. The same arguments give the same weights on the same
    machine with the same number of threads. The order of clips and the draws of augmentation depend only on `seed` and
    the step, not on the hop. With `checkpoint` the state is kept in that file after evaluations, some seconds apart,
    and an interrupted training resumes to the same result. `on_eval` is called with each new entry of the history. With
    `progress` a bar shows steps, time left and validation.

    Raises
    ------
    CourseError
        The loss is no longer finite, or the checkpoint belongs to another training.
    ValueError
        `model` is already normalised, has parameters outside its `stages`, or has more or fewer outputs than classes.
    """
    model = Normalised(model, train.x).to(device=device, memory_format=torch.channels_last)
    precision = precision_on(device, recipe.precision, model)
    optimiser = torch.optim.AdamW(_groups(model, recipe), weight_decay=recipe.weight_decay, fused=device != "mps")
    x, y = (torch.tensor(array, device=device) for array in (train.x, train.tags))
    arrays = [array for part in (train, validation) if part is not None for array in (part.x, part.y)]
    settings = (recipe, spec, seed, precision, train.n_classes)
    parts = {"weights": model, "optimiser": optimiser}
    reached = Progress(checkpoint, settings, arrays, parts, evaluated="weights", best_eval=best_eval)
    bar = tqdm(desc="training", unit="step", total=recipe.steps, initial=reached.step, disable=not progress)
    eval_steps = schedule.eval_steps(recipe.steps, recipe.n_evals)
    for step, chosen in _batches(len(y), recipe, seed, first=reached.step):
        _set_stages(model, optimiser, recipe, step)
        clips, targets = augmented(x[chosen], y[chosen], recipe, spec, np.random.default_rng([seed, 1, step]))
        torch.manual_seed(seed * 1_000_003 + step)  # for dropout: a resumed training draws as an unbroken one does
        with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = model(clips)
        loss = _loss(model, logits, targets, recipe, train.multilabel)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        reached.losses.append(loss.detach())
        bar.update()
        if step + 1 in eval_steps:
            entry = reached.evaluate(step + 1, partial(_evaluate, model, validation, precision))
            bar.set_postfix({name: entry[name] for name in SCORES if name in entry})
            if on_eval is not None:
                on_eval(entry)
    bar.close()
    return reached.result(precision)


def augmented(
    x: torch.Tensor, y: torch.Tensor, recipe: Recipe, spec: FeatureSpec, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """A batch `(clips, frames, mels)` and its targets `(clips, classes)`, as the network gets them.

    The number of draws from `rng` depends on neither frames nor mels: the same happens to the sound at every hop.
    """
    if recipe.roll:
        x = _rolled(x, rng.random(len(x)))
    if recipe.image_augment:
        x = spec_augment.augment_image(x, rng)
    if recipe.spec_augment:
        x = spec_augment.spec_augment(x, rng, spec, mask_value=recipe.mask_value)
    if recipe.mixup:
        x, y = spec_augment.mixup(x, y, recipe.mixup, rng)
    return x, y


def predict(model: nn.Module, x: np.ndarray, *, precision: str = "fp32", multilabel: bool = False) -> np.ndarray:
    """Probabilities of every class, `(clips, classes)`, float32, for features `x` `(clips, frames, mels)`.

    They sum to 1 for each clip, or with `multilabel` each label has its own. `model` is set to evaluation mode and left
    in it.
    """
    device = next(model.parameters()).device
    model.eval()
    parts = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
        for start in range(0, len(x), BATCH):
            logits = model(torch.tensor(x[start : start + BATCH], device=device))
            parts.append((logits.float().sigmoid() if multilabel else logits.float().softmax(1)).cpu().numpy())
    return np.concatenate(parts)


def _loss(
    model: Normalised, logits: torch.Tensor, targets: torch.Tensor, recipe: Recipe, multilabel: bool
) -> torch.Tensor:
    """The loss of the task, plus the guide loss of a frame reducer with the recipe's weight."""
    if logits.shape != targets.shape:
        raise ValueError(f"the network has {logits.shape[1]} outputs, the targets have {targets.shape[1]} classes")
    if multilabel:
        loss = functional.binary_cross_entropy_with_logits(logits.float(), targets)
    else:
        loss = functional.cross_entropy(logits.float(), targets, label_smoothing=recipe.label_smoothing)
    return loss + recipe.guide * model.guide_loss


def best_eval(history: list[dict[str, float]]) -> dict[str, float]:
    """The entry with the highest of `SCORES` on validation; among equals the lowest loss, then the first.

    Without validation, the last entry.
    """
    score = next((name for name in SCORES if name in history[0]), None)
    if score is None:
        return history[-1]
    return max(history, key=lambda entry: (entry[score], -entry["validation_loss"]))


def _evaluate(model: nn.Module, validation: Split | None, precision: str) -> dict[str, float]:
    """Loss and score on validation, if there is any; leaves the model in evaluation mode."""
    if validation is None:
        return {}
    found = predict(model, validation.x, precision=precision, multilabel=validation.multilabel)
    y = validation.y
    if validation.multilabel:
        of_truth = np.where(y, found, 1 - found).astype(np.float64)
        score = {"validation_map": tagging.mean_average_precision(y, found)}
    else:
        of_truth = found[np.arange(len(y)), y].astype(np.float64)
        score = {"validation_accuracy": float(np.mean(found.argmax(1) == y))}
    return {"validation_loss": float(-np.log(np.maximum(of_truth, 1e-12)).mean())} | score


def _batches(n_clips: int, recipe: Recipe, seed: int, first: int) -> Iterator[tuple[int, torch.Tensor]]:
    """Each step from `first`, and the clips of its batch, reshuffled after each pass over all clips."""
    turns = math.ceil(recipe.steps * recipe.batch_size / n_clips)
    order = torch.tensor(
        np.concatenate([np.random.default_rng([seed, 0, k]).permutation(n_clips) for k in range(turns)])
    )
    for step in range(first, recipe.steps):
        yield step, order[step * recipe.batch_size : (step + 1) * recipe.batch_size]


def _rolled(x: torch.Tensor, part: np.ndarray) -> torch.Tensor:
    """Each clip shifted circularly by `part` `(clips,)` of its frames, from 0 to 1."""
    n_frames = x.shape[1]
    start = torch.tensor(np.floor(part * n_frames).astype(np.int64), device=x.device)
    frames = (torch.arange(n_frames, device=x.device) + start[:, None]) % n_frames  # (clips, frames)
    return x[torch.arange(len(x), device=x.device)[:, None], frames]


def _groups(model: nn.Module, recipe: Recipe) -> list[dict]:
    """Parameters for the optimiser, one group per stage, with the `factor` of its learning rate."""
    stages = model.stages
    found = {parameter for stage in stages for parameter in stage.parameters()}
    missing = [name for name, parameter in model.named_parameters() if parameter not in found]
    if missing:
        raise ValueError(f"the model's stages lack {missing[0]}: name all its parts there, from input to head")
    return [
        {
            "params": list(stage.parameters()),
            "lr": recipe.learning_rate,
            "factor": recipe.layer_decay ** (len(stages) - 1 - k),
        }
        for k, stage in enumerate(stages)
    ]


def _set_stages(model: nn.Module, optimiser: torch.optim.Optimizer, recipe: Recipe, step: int) -> None:
    """Set which stages learn at `step`, and how fast: a short rise, then a cosine to zero, in each phase."""
    only_head = step < recipe.freeze_steps
    first, last = (0, recipe.freeze_steps) if only_head else (recipe.freeze_steps, recipe.steps)
    multiplier = schedule.lr_multiplier((step - first + 1) / (last - first))
    model.train()
    for k, (stage, group) in enumerate(zip(model.stages, optimiser.param_groups, strict=True)):
        learns = not only_head or k == len(model.stages) - 1
        stage.train(learns)  # a frozen stage keeps the statistics of its normalisation too
        stage.requires_grad_(learns)
        group["lr"] = recipe.learning_rate * multiplier * group["factor"]
