"""The last three steps of an experiment: train on a data set, predict, and estimate accuracy with its uncertainty.

Thin wrappers around `training.supervised` and `evaluation.intervals` for your own scripts and notebooks; the study
calls those modules directly. `import course_lib` provides them together with `load`, `features` and `classifier`.
"""

from dataclasses import dataclass, replace

import numpy as np
from torch import nn

from course_lib import profiles
from course_lib.audio.features import FeatureSpec
from course_lib.data.clips import Clips
from course_lib.errors import UsageError, expect
from course_lib.evaluation.intervals import Interval, accuracy_by_source
from course_lib.training import supervised
from course_lib.training.supervised import Recipe, Split, TrainResult

OF_X = "features (clips, frames, mels) as features() returns them"
OF_RESULT = "what fit() returned"
UNEVEN = 1.5  # largest class over smallest, in clips: from here on accuracy and balanced accuracy can differ a lot


@dataclass(frozen=True)
class Accuracy(Interval):
    """The share of correct clips, from 0 to 1, with its interval over sources; printed as a percentage.

    `balanced` is the mean of the accuracies of the classes, printed too if the tested classes are `uneven`: a network
    that always predicts the largest class has a high accuracy, but a balanced accuracy of only 1 / classes.
    """

    balanced: float = float("nan")
    uneven: bool = False

    def __str__(self) -> str:
        balanced = f"; balanced {100 * self.balanced:.1f} % (uneven classes)" if self.uneven else ""
        return f"{100 * self.mean:.1f} % ({100 * self.low:.1f} to {100 * self.high:.1f}), by source{balanced}"


def fit(
    net: nn.Module,
    x: np.ndarray,
    targets: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray | None = None,
    *,
    spec: FeatureSpec | None = None,
    steps: int | None = None,
    recipe: Recipe | None = None,
    seed: int = 0,
    device: str | None = None,
    progress: bool = True,
) -> TrainResult:
    """`net` trained on the clips in `train`, in the state that did best on those in `validation`.

    `x` is `(clips, frames, mels)`; `targets` are class numbers `(clips,)`, or 0 and 1 per label `(clips, labels)`;
    `train` and `validation` are masks `(clips,)`, as `clips.split` returns them. `net` takes unnormalised log-mels and
    returns logits; the normalisation is estimated from the training clips. `recipe` holds every training setting, and
    `steps` overrides its number of steps. SpecAugment needs `spec`, the specification of `x`, because its masks are in
    ms and Hz; with neither `spec` nor `recipe`, nothing is masked. `device=None` chooses the fastest one here.
    Notebook: 05.

    Raises
    ------
    UsageError
        Arguments of the wrong type or shape, or a recipe with SpecAugment and no `spec`.
    CourseError
        The loss is no longer finite.
    ValueError
        `net` is already normalised, or has more or fewer outputs than classes; a class number is negative, or a label
        neither 0 nor 1.
    """
    expect("net", net, nn.Module, "such as classifier('cnn7', clips.n_classes)")
    expect("x", x, np.ndarray, OF_X)
    if recipe is None:
        recipe = Recipe(spec_augment=spec is not None)
    if recipe.spec_augment and spec is None:
        raise UsageError("recipe: spec_augment needs spec, the FeatureSpec of x; give it, or set spec_augment=False")
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    targets = np.asarray(targets)
    if x.ndim != 3 or targets.ndim not in (1, 2) or len(targets) != len(x):
        raise UsageError(f"x {x.shape}, targets {targets.shape}: expected {OF_X}, and one target per clip")
    if targets.dtype.kind not in ("iu" if targets.ndim == 1 else "iufb"):
        raise UsageError(f"targets: got {targets.dtype}, expected class numbers such as clips.targets, or clips.tags")
    n_classes = targets.shape[1] if targets.ndim == 2 else int(targets.max()) + 1
    parts = []
    for name, mask in (("train", train), ("validation", validation)):
        parts.append(None if mask is None else Split(*_chosen(name, mask, x, targets), n_classes))
    device = profiles.device() if device is None else device
    given = spec or FeatureSpec()  # without masks nothing depends on it
    return supervised.fit(net, *parts, recipe, given, seed=seed, device=device, progress=progress)


def predict(result: TrainResult, x: np.ndarray, *, multilabel: bool = False) -> np.ndarray:
    """Probability of every class, `(clips, classes)`, float32, for features `x` `(clips, frames, mels)`.

    They sum to 1 for each clip; with `multilabel`, each label has an independent probability.

    Raises
    ------
    UsageError
        `result` does not come from `fit`, or `x` is not an array of features.
    """
    expect("result", result, TrainResult, OF_RESULT)
    expect("x", x, np.ndarray, OF_X)
    if x.ndim != 3 or not len(x):
        raise UsageError(f"x {x.shape}: expected {OF_X}")
    return supervised.predict(result.model, x, precision=result.precision, multilabel=multilabel)


def accuracy(result: TrainResult, x: np.ndarray, clips: Clips, test: np.ndarray) -> Accuracy:
    """Share of the clips in `test` that are classified correctly, with its 95 % bootstrap interval over sources.

    `x` holds the features of all `clips`; `test` is a mask `(clips,)`. Clips from one source tend to be right or wrong
    together, so the bootstrap resamples sources, not clips. Balanced accuracy is printed beside it if the largest class
    has at least one and a half times the test clips of the smallest. Notebook: 04.

    Raises
    ------
    UsageError
        Arguments of the wrong type or shape, or clips with several labels each, for which accuracy is not defined.
    ValueError
        All tested clips come from one source.
    """
    expect("result", result, TrainResult, OF_RESULT)
    expect("x", x, np.ndarray, OF_X)
    expect("clips", clips, Clips, "clips as load() returns them")
    if clips.multilabel:
        raise UsageError(f"{clips.name}: clips have several labels; score predict(..., multilabel=True) instead")
    tested, truth = _chosen("test", test, x, clips.targets)
    correct = predict(result, tested).argmax(axis=1) == truth
    sources = clips.table["source"].to_numpy()[np.asarray(test)]
    found = accuracy_by_source(correct, sources)
    _, of_class, clips_per_class = np.unique(truth, return_inverse=True, return_counts=True)
    balanced = float(np.mean(np.bincount(of_class, correct) / clips_per_class))
    uneven = bool(clips_per_class.max() >= UNEVEN * clips_per_class.min())
    return Accuracy(found.mean, found.low, found.high, found.level, balanced, uneven)


def _chosen(name: str, mask: np.ndarray, x: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Features and targets where `mask` is true; `name` is what the errors call it."""
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape != (len(x),) or len(targets) != len(x):
        raise UsageError(
            f"{name}: got {mask.dtype} {mask.shape} for {len(x)} features of {len(targets)} clips; "
            "expected a mask with one True or False per clip, as clips.split() returns it"
        )
    if not mask.any():
        raise UsageError(f"{name}: got no clips, expected a mask that is True for at least one")
    return x[mask], targets[mask]
