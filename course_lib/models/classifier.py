"""What stands between log-mel and classifier, by its name: `diffres:0.5` saves half of the frames.

Levels are made comparable once, behind the front: it merges power, which a normalisation would spoil.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from course_lib.audio.timebase import out_frames
from course_lib.errors import UsageError
from course_lib.models import backbones, cnn, diffres, frame_pooling, transformers

NATS = {"ln": 1.0, "db": 10 / math.log(10)}  # what one nat of power is in the unit of the log-mel
FRONTS: dict[str, Callable[[int, float], nn.Module]] = {
    "diffres": diffres.DiffRes,
    "diffres-light": partial(diffres.DiffRes, scorer="light"),
    "uniform": frame_pooling.Uniform,
    "random": frame_pooling.Random,
    "frozen": partial(frame_pooling.Random, frozen=True),
    "energy": frame_pooling.Energy,
    "flux": frame_pooling.Flux,
    "shuffled": frame_pooling.Shuffled,
    "similarity": frame_pooling.Similarity,
    "distortion": frame_pooling.Distortion,
} | {how: partial(frame_pooling.Pooling, how=how) for how in frame_pooling.POOLINGS}


def parse(front: str) -> tuple[str, float]:
    """Name and reduction of a front such as `diffres:0.5`.

    Raises
    ------
    ValueError
        No such name, or no share of at least 0 and below 1 behind a colon.
    """
    name, _, text = front.partition(":")
    if name not in FRONTS:
        raise ValueError(f"front={front!r}: choose none, or NAME:SHARE with a name of {', '.join(FRONTS)}")
    try:
        reduction = float(text)
    except ValueError:
        reduction = math.nan
    if not 0 <= reduction < 1:
        raise ValueError(f"front={front!r}: expected {name}:SHARE, the share of frames to save, such as {name}:0.5")
    return name, reduction


class Fronted(nn.Module):
    """A front, a normalisation, a classifier: from `(clips, frames, mels)` to logits `(clips, classes)`.

    The front gets natural log power; its levels are then brought to mean 0 and deviation 1 with what `standardise` was
    told, and the position encoding is left as it is. `guide_loss` is that of the last batch, its mean.
    """

    def __init__(self, front: nn.Module, net: nn.Module, n_mels: int, log: str) -> None:
        super().__init__()
        if log not in NATS:
            raise ValueError(f"log={log!r}: a front merges power, which it can only find from {' or '.join(NATS)}")
        self.front, self.net, self.nat = front, net, NATS[log]
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("deviation", torch.ones(n_mels))
        self.guide_loss = torch.zeros(())

    @property
    def stages(self) -> list[nn.Module]:
        """The front, if it learns, then those of the classifier."""
        return [*([self.front] if any(True for _ in self.front.parameters()) else []), *self.net.stages]

    def standardise(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        """Statistics of the log-mels of the training clips, both `(mels,)`, in the unit of the log-mel."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)
        if isinstance(self.front, diffres.DiffRes):
            self.front.standardise(mean / self.nat, deviation / self.nat)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.front(x / self.nat)
        self.guide_loss = found.guide_loss.mean()
        levels, places = found.features[:, :2], found.features[:, 2:]  # a pooling has one channel and no places
        levels = (levels * self.nat - self.mean) / self.deviation
        return self.net(torch.cat([levels, places], dim=1))


def classifier(
    model: str, n_classes: int, *, front: str = "none", n_mels: int = 64, n_frames: int | None = None, log: str = "db"
) -> nn.Module:
    """The network `model` with fresh weights, behind `front` unless that is `none`. Errors as `build` and `parse`.

    `n_frames` is how many frames come in, which a transformer has to know.
    """
    if front == "none":
        return build(model, n_classes, shape=None if n_frames is None else (n_frames, n_mels))
    name, reduction = parse(front)
    made = FRONTS[name](n_mels, reduction)
    shape = None if n_frames is None else (out_frames(n_frames, reduction), n_mels)
    return Fronted(made, build(model, n_classes, channels=made.channels, shape=shape), n_mels, log)


class Normalised(nn.Module):
    """`model` behind a normalisation to mean 0 and deviation 1 in every mel band, found on training clips at their hop.

    The statistics travel with the weights: those of one hop cannot be used at another by accident. A model with a front
    normalises behind it, with the same statistics.
    """

    def __init__(self, model: nn.Module, train: np.ndarray) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(train.mean((0, 1), dtype=np.float64), dtype=torch.float32))
        deviation = torch.tensor(train.std((0, 1), dtype=np.float64), dtype=torch.float32)
        self.register_buffer("deviation", deviation.clamp(min=1e-3))  # a silent band stays silent
        if isinstance(model, Fronted):
            model.standardise(self.mean, self.deviation)

    @property
    def stages(self) -> list[nn.Module]:
        """Those of the model."""
        return self.model.stages

    @property
    def guide_loss(self) -> torch.Tensor | float:
        """That of the front for the last batch; 0 for a model without one."""
        return self.model.guide_loss if isinstance(self.model, Fronted) else 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x if isinstance(self.model, Fronted) else (x - self.mean) / self.deviation)


# --- Every classifier of the course by its name

Shape = tuple[int, int]  # frames and mels


def _backbone(name: str, pretrained: bool, three: str, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    # One channel becomes three, three are taken as they are: no weight depends on it
    return backbones.Backbone(name, n_classes, pretrained=pretrained, three=three)


def _cnn(layers: tuple, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    return cnn.CNN(n_classes, layers, channels=channels)


def _transformer(name: str, make: Callable, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    if shape is None:
        raise UsageError(f"model {name!r} has a place for every token: give the shape (frames, mels) that it is for")
    return make(*shape, n_classes, channels=channels)


TRANSFORMERS = {
    "ast-tiny": transformers.ast_tiny,
    "mast-tiny": transformers.mast_tiny,
    "ast-base": transformers.ast_base,
    "mast-base": transformers.mast_base,
}
MODELS: dict[str, Callable[[int, int, Shape | None], nn.Module]] = (
    {
        "cnn7": partial(_cnn, cnn.CNN7),
        "cnn9": partial(_cnn, cnn.CNN9),
    }
    | {name: partial(_transformer, name, make) for name, make in TRANSFORMERS.items()}
    | {
        # A backbone's name alone is pretrained, with three copies of the log-mel
        f"{name}{start}{'' if three == 'copy' else f'-{three}'}": partial(_backbone, name, start == "", three)
        for name in backbones.NAMES
        for start in ("", "-scratch")
        for three in backbones.THREE
    }
)


def build(name: str, n_classes: int, *, channels: int = 1, shape: Shape | None = None) -> nn.Module:
    """The classifier `name` with fresh weights (or pretrained ones where its name says so), `n_classes` outputs.

    It takes `(clips, frames, mels)`, or `(clips, channels, frames, mels)` with 1 or 3 channels, gives logits
    `(clips, classes)`, and has `stages`, its parts from input to head. `shape` is the frames and mels that it will
    mostly see; transformers need it, for they learn a place for every token.

    Raises
    ------
    UsageError
        There is none of that name, or a transformer without a shape.
    """
    if name not in MODELS:
        raise UsageError(f"model {name!r} is unknown; choose one of {', '.join(MODELS)}")
    return MODELS[name](n_classes, channels, shape)
