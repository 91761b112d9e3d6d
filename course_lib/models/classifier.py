"""Every classifier of the course by name, behind a frame reducer and a normalisation.

`classifier("cnn7", 10, reducer="diffres:0.5")` is a CNN behind DiffRes that removes half of the frames. Levels are
normalised once, after the frame reducer: it merges power, which cannot be recovered from normalised levels.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from course_lib.audio.features import NATS
from course_lib.audio.timebase import out_frames
from course_lib.checked import nearest
from course_lib.errors import UsageError
from course_lib.models import backbones, cnn, diffres, frame_pooling, transformers

REDUCERS: dict[str, Callable[[int, float], nn.Module]] = {
    "diffres": diffres.DiffRes,
    "diffres-light": partial(diffres.DiffRes, scorer="light"),
    "diffres-contrast": diffres.DiffResContrast,
    "uniform": frame_pooling.Uniform,
    "random": frame_pooling.Random,
    "frozen": partial(frame_pooling.Random, frozen=True),
    "energy": frame_pooling.Energy,
    "flux": frame_pooling.Flux,
    "oracle": frame_pooling.Oracle,
    "shuffled": frame_pooling.Shuffled,
    "similarity": frame_pooling.Similarity,
    "distortion": frame_pooling.Distortion,
} | {how: partial(frame_pooling.Pooling, how=how) for how in frame_pooling.POOLINGS}


def parse_reducer(reducer: str) -> tuple[str, float]:
    """Name and reduction of a frame reducer such as `diffres:0.5`.

    Raises
    ------
    ValueError
        No such name, or not followed by a colon and a share of at least 0 and below 1.
    """
    name, _, text = reducer.partition(":")
    if name not in REDUCERS:
        raise ValueError(f"reducer {reducer!r}: choose none, or NAME:SHARE; {nearest(name, REDUCERS)}")
    try:
        reduction = float(text)
    except ValueError:
        reduction = math.nan
    if not 0 <= reduction < 1:
        raise ValueError(f"reducer {reducer!r}: expected {name}:SHARE, the share of frames removed, such as {name}:0.5")
    return name, reduction


def nats_of(log: str) -> float:
    """One nat of power in the unit of a log-mel with this `log`, for a frame reducer to divide by.

    Raises
    ------
    ValueError
        The log-mel is no logarithm.
    """
    if log not in NATS:
        raise ValueError(
            f"log={log!r}: a frame reducer merges power, which it can only recover from {' or '.join(NATS)}"
        )
    return NATS[log]


class ReducedClassifier(nn.Module):
    """A frame reducer, a normalisation and a classifier: from `(clips, frames, mels)` to logits `(clips, classes)`.

    The frame reducer gets natural log power. The levels it returns are brought to mean 0 and standard deviation 1 with
    the statistics given to `standardise`; the position encoding is left unchanged. `guide_loss` is the mean over the
    last batch.
    """

    def __init__(self, frame_reducer: nn.Module, net: nn.Module, n_mels: int, log: str) -> None:
        super().__init__()
        self.frame_reducer, self.net, self.nat = frame_reducer, net, nats_of(log)
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("std", torch.ones(n_mels))
        self.guide_loss = torch.zeros(())

    @property
    def stages(self) -> list[nn.Module]:
        """The frame reducer, if it has parameters, then the stages of the classifier."""
        return [*([self.frame_reducer] if any(True for _ in self.frame_reducer.parameters()) else []), *self.net.stages]

    def standardise(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Set the statistics of the log-mels of the training clips, both `(mels,)`, in the unit of the log-mel.

        Raises
        ------
        ValueError
            There are more or fewer mel bands than the reducer was made for.
        """
        if mean.shape != self.mean.shape:
            found, made = len(mean), len(self.mean)
            raise ValueError(f"the log-mel has {found} bands, the classifier expects {made}: give it n_mels={found}")
        self.mean.copy_(mean)
        self.std.copy_(std)
        if hasattr(self.frame_reducer, "standardise"):
            self.frame_reducer.standardise(mean / self.nat, std / self.nat)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        reduced = self.frame_reducer(x / self.nat)
        self.guide_loss = reduced.guide_loss.mean()
        levels, positions = reduced.features[:, :2], reduced.features[:, 2:]  # a pooling has one channel, no positions
        levels = (levels * self.nat - self.mean) / self.std
        return self.net(torch.cat([levels, positions], dim=1))


def classifier(
    model: str,
    n_classes: int,
    *,
    reducer: str = "none",
    n_mels: int = 64,
    n_frames: int | None = None,
    log: str = "db",
) -> nn.Module:
    """The network `model` with fresh weights, behind the frame reducer `reducer` unless that is `none`.

    It takes log-mels `(clips, frames, mels)` and returns logits `(clips, n_classes)`. `reducer` is a name and the share
    of frames to remove, such as `diffres:0.5`. It merges power, so `n_mels` and `log` must be those of the log-mel.
    `n_frames` is the number of input frames, which a transformer needs to know. Notebooks: 05, 07. Errors as `build`
    and `parse_reducer`, and ValueError for a reducer with `log="none"`.
    """
    if reducer == "none":
        return build(model, n_classes, shape=None if n_frames is None else (n_frames, n_mels))
    name, reduction = parse_reducer(reducer)
    made = REDUCERS[name](n_mels, reduction)
    shape = None if n_frames is None else (out_frames(n_frames, reduction), n_mels)
    return ReducedClassifier(made, build(model, n_classes, channels=made.channels, shape=shape), n_mels, log)


class Normalised(nn.Module):
    """`model` behind a normalisation of each mel band to mean 0 and standard deviation 1 over the training clips.

    `train` is `(clips, frames, mels)`. The statistics are saved with the weights, so those of one hop cannot be used at
    another by accident. A model with a frame reducer normalises after it, with the same statistics.

    Raises
    ------
    ValueError
        `model` is already normalised; its frame reducer would get normalised levels instead of power.
    """

    def __init__(self, model: nn.Module, train: np.ndarray) -> None:
        super().__init__()
        if isinstance(model, Normalised):
            raise ValueError("the model is normalised already; to train it again, give the one inside it (net.model)")
        self.model = model
        self.register_buffer("mean", torch.tensor(train.mean((0, 1), dtype=np.float64), dtype=torch.float32))
        std = torch.tensor(train.std((0, 1), dtype=np.float64), dtype=torch.float32)
        self.register_buffer("std", std.clamp(min=1e-3))  # a silent band stays silent
        if isinstance(model, ReducedClassifier):
            model.standardise(self.mean, self.std)

    @property
    def stages(self) -> list[nn.Module]:
        """The stages of the model; a module without stages is one stage."""
        return getattr(self.model, "stages", [self.model])

    @property
    def guide_loss(self) -> torch.Tensor | float:
        """The guide loss of the frame reducer for the last batch; 0 for a model without one."""
        return self.model.guide_loss if isinstance(self.model, ReducedClassifier) else 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x if isinstance(self.model, ReducedClassifier) else (x - self.mean) / self.std)


# The networks by name

Shape = tuple[int, int]  # frames and mels


def _cnn(layers: tuple, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    return cnn.CNN(n_classes, layers, channels=channels)


def _transformer(name: str, make: Callable, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    if shape is None:
        raise UsageError(f"model {name!r} has a position embedding for every token: give the shape (frames, mels)")
    return make(*shape, n_classes, in_chans=channels)


def _backbone(name: str, pretrained: bool, mode: str, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    # `channels` is not needed: one channel becomes three, and three are used as they are
    return backbones.Backbone(name, n_classes, pretrained=pretrained, channel_mode=mode)


MODELS: dict[str, Callable[[int, int, Shape | None], nn.Module]] = {
    "cnn7": partial(_cnn, cnn.CNN7),
    "cnn9": partial(_cnn, cnn.CNN9),
    "ast-tiny": partial(_transformer, "ast-tiny", transformers.ast_tiny),
    "mast-tiny": partial(_transformer, "mast-tiny", transformers.mast_tiny),
    "ast-base": partial(_transformer, "ast-base", transformers.ast_base),
    "mast-base": partial(_transformer, "mast-base", transformers.mast_base),
}
SCRATCH: dict[str, str] = {}  # pretrained network -> the same one with random weights
for _name in backbones.NAMES:
    for _mode in backbones.CHANNEL_MODES:
        _suffix = "" if _mode == "copy" else f"-{_mode}"
        MODELS[f"{_name}{_suffix}"] = partial(_backbone, _name, True, _mode)
        MODELS[f"{_name}-scratch{_suffix}"] = partial(_backbone, _name, False, _mode)
        SCRATCH[f"{_name}{_suffix}"] = f"{_name}-scratch{_suffix}"

BUILT_IN = frozenset(MODELS) | frozenset(REDUCERS)


def register_model(name: str, make: Callable[[int, int, Shape | None], nn.Module]) -> None:
    """Register your own network under `name`, for use wherever this process takes the name of a model.

    `make(n_classes, channels, shape)` returns a module from `(clips, channels, frames, mels)`, with one channel also
    from `(clips, frames, mels)`, to logits `(clips, n_classes)`. `shape` is (frames, mels), or None if unknown. The
    module may have `stages`, a list of its parts from input to head, for training that treats them differently.
    Registering a name again replaces its network.

    Raises
    ------
    UsageError
        The course already has a model or a frame reducer of that name.
    """
    _check_free(name)
    MODELS[name] = make


def register_reducer(name: str, make: Callable[[int, float], nn.Module]) -> None:
    """Register your own frame reducer under `name`, for use as `name:SHARE`; like `register_model` for networks.

    `make(n_mels, reduction)` returns a module from natural log power `(clips, frames, mels)` to a `diffres.Reduced`,
    with the attribute `channels`, the number of channels of its features. If it has a method `standardise(mean, std)`,
    it gets the statistics of the training clips in natural log power, both `(mels,)`. Errors as `register_model`.
    """
    _check_free(name)
    REDUCERS[name] = make


def _check_free(name: str) -> None:
    if name in BUILT_IN or name == "none":
        raise UsageError(f"{name!r} is a name of the course's own; choose another")


def check_model(name: str) -> None:
    """Raise a one-line `ValueError` with similar names unless there is a model `name`."""
    if name not in MODELS:
        raise ValueError(f"model={name!r}: unknown; {nearest(name, MODELS)}")


def build(name: str, n_classes: int, *, channels: int = 1, shape: Shape | None = None) -> nn.Module:
    """The classifier `name` with `n_classes` outputs; a backbone is pretrained unless `-scratch` is in its name.

    Input `(clips, frames, mels)`, or `(clips, channels, frames, mels)` with 1 or 3 `channels`; output logits
    `(clips, classes)`. Its `stages` are its parts from input to head. `shape` is the usual number of frames and mels,
    which transformers need for their position embeddings.

    Raises
    ------
    UsageError
        No such model, `n_classes` is not a whole number above 0, or a transformer is built without a shape.
    CourseError
        The pretrained weights are not here and cannot be downloaded.
    """
    if not isinstance(n_classes, int | np.integer) or n_classes < 1:
        raise UsageError(f"n_classes={n_classes!r}: must be a whole number of at least 1")
    if name not in MODELS:
        raise UsageError(f"model {name!r} is unknown; {nearest(name, MODELS)}")
    net = MODELS[name](n_classes, channels, shape)
    if not hasattr(net, "stages"):
        net.stages = [net]  # a user's network that names no stages
    return net
