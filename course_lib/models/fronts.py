"""What stands between log-mel and classifier, by its name: `diffres:0.5` saves half of the frames.

Levels are made comparable once, behind the front: it merges power, which a normalisation would spoil.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from course_lib.models import diffres, reductions
from course_lib.models.build import build
from course_lib.timebase import out_frames

NATS = {"ln": 1.0, "db": 10 / math.log(10)}  # what one nat of power is in the unit of the log-mel
FRONTS: dict[str, Callable[[int, float], nn.Module]] = {
    "diffres": diffres.DiffRes,
    "diffres-light": partial(diffres.DiffRes, scorer="light"),
    "uniform": reductions.Uniform,
    "random": reductions.Random,
    "frozen": partial(reductions.Random, frozen=True),
    "energy": reductions.Energy,
    "flux": reductions.Flux,
    "shuffled": reductions.Shuffled,
    "similarity": reductions.Similarity,
    "distortion": reductions.Distortion,
} | {how: partial(reductions.Pooling, how=how) for how in reductions.POOLINGS}


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
