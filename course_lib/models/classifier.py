"""What stands between log-mel and classifier, by its name: `diffres:0.5` saves half of the frames.

Levels are made comparable once, behind the frame reducer: it merges power, which a normalisation would spoil.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import nn

from course_lib.audio.timebase import out_frames
from course_lib.errors import UsageError, nearest
from course_lib.models import backbones, cnn, diffres, frame_pooling, transformers

NATS = {"ln": 1.0, "db": 10 / math.log(10)}  # what one nat of power is in the unit of the log-mel
REDUCERS: dict[str, Callable[[int, float], nn.Module]] = {
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


def parse_reducer(reducer: str) -> tuple[str, float]:
    """Name and reduction of a frame reducer such as `diffres:0.5`.

    Raises
    ------
    ValueError
        No such name, or no share of at least 0 and below 1 behind a colon.
    """
    name, _, text = reducer.partition(":")
    if name not in REDUCERS:
        raise ValueError(f"reducer {reducer!r}: choose none, or NAME:SHARE; {nearest(name, REDUCERS)}")
    try:
        reduction = float(text)
    except ValueError:
        reduction = math.nan
    if not 0 <= reduction < 1:
        raise ValueError(f"reducer {reducer!r}: expected {name}:SHARE, the share of frames to save, such as {name}:0.5")
    return name, reduction


class ReducedClassifier(nn.Module):
    """A frame reducer, a normalisation, a classifier: from `(clips, frames, mels)` to logits `(clips, classes)`.

    The frame reducer gets natural log power; its levels are then brought to mean 0 and standard deviation 1 with what
    `standardise` was told, and the position encoding is left as it is. `guide_loss` is that of the last batch, its
    mean.
    """

    def __init__(self, frame_reducer: nn.Module, net: nn.Module, n_mels: int, log: str) -> None:
        super().__init__()
        if log not in NATS:
            raise ValueError(
                f"log={log!r}: a frame reducer merges power, which it can only find from {' or '.join(NATS)}"
            )
        self.frame_reducer, self.net, self.nat = frame_reducer, net, NATS[log]
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("std", torch.ones(n_mels))
        self.guide_loss = torch.zeros(())

    @property
    def stages(self) -> list[nn.Module]:
        """The frame reducer, if it learns, then those of the classifier."""
        return [*([self.frame_reducer] if any(True for _ in self.frame_reducer.parameters()) else []), *self.net.stages]

    def standardise(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Statistics of the log-mels of the training clips, both `(mels,)`, in the unit of the log-mel.

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
        if isinstance(self.frame_reducer, diffres.DiffRes):
            self.frame_reducer.standardise(mean / self.nat, std / self.nat)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.frame_reducer(x / self.nat)
        self.guide_loss = found.guide_loss.mean()
        levels, places = found.features[:, :2], found.features[:, 2:]  # a pooling has one channel and no places
        levels = (levels * self.nat - self.mean) / self.std
        return self.net(torch.cat([levels, places], dim=1))


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

    It takes log-mels `(clips, frames, mels)` and gives logits `(clips, n_classes)`. `reducer` is a name and the share
    of frames to save, such as `diffres:0.5`. It merges power, so `n_mels` and `log` have to be those of the log-mel.
    `n_frames` is how many frames come in, which a transformer has to know. Notebooks: 05, 07. Errors as `build` and
    `parse_reducer`.
    """
    if reducer == "none":
        return build(model, n_classes, shape=None if n_frames is None else (n_frames, n_mels))
    name, reduction = parse_reducer(reducer)
    made = REDUCERS[name](n_mels, reduction)
    shape = None if n_frames is None else (out_frames(n_frames, reduction), n_mels)
    return ReducedClassifier(made, build(model, n_classes, channels=made.channels, shape=shape), n_mels, log)


class Normalised(nn.Module):
    """`model` behind a normalisation to mean 0 and standard deviation 1 in every mel band, found on training clips at
    their hop.

    The statistics travel with the weights: those of one hop cannot be used at another by accident. A model with a
    frame reducer normalises behind it, with the same statistics.

    Raises
    ------
    ValueError
        `model` is normalised already: twice, a frame reducer would get normalised levels for power.
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
        """Those of the model; a module without stages is one stage."""
        return getattr(self.model, "stages", [self.model])

    @property
    def guide_loss(self) -> torch.Tensor | float:
        """That of the frame reducer for the last batch; 0 for a model without one."""
        return self.model.guide_loss if isinstance(self.model, ReducedClassifier) else 0.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x if isinstance(self.model, ReducedClassifier) else (x - self.mean) / self.std)


# --- Every classifier of the course by its name

Shape = tuple[int, int]  # frames and mels


def _backbone(
    name: str, pretrained: bool, channel_mode: str, n_classes: int, channels: int, shape: Shape | None
) -> nn.Module:
    # One channel becomes three, three are taken as they are: no weight depends on it
    return backbones.Backbone(name, n_classes, pretrained=pretrained, channel_mode=channel_mode)


def _cnn(layers: tuple, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    return cnn.CNN(n_classes, layers, channels=channels)


def _transformer(name: str, make: Callable, n_classes: int, channels: int, shape: Shape | None) -> nn.Module:
    if shape is None:
        raise UsageError(f"model {name!r} has a place for every token: give the shape (frames, mels) that it is for")
    return make(*shape, n_classes, in_chans=channels)


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
        f"{name}{start}{'' if channel_mode == 'copy' else f'-{channel_mode}'}": partial(
            _backbone, name, start == "", channel_mode
        )
        for name in backbones.NAMES
        for start in ("", "-scratch")
        for channel_mode in backbones.CHANNEL_MODES
    }
)


BUILT_IN = frozenset(MODELS) | frozenset(REDUCERS)


def register_model(name: str, make: Callable[[int, int, Shape | None], nn.Module]) -> None:
    """Let `name` mean your own network: wherever this process takes the name of a model, it takes this one.

    `make(n_classes, channels, shape)` gives a module from `(clips, channels, frames, mels)`, with one channel also from
    `(clips, frames, mels)`, to logits `(clips, n_classes)`. `shape` is (frames, mels), or None where it is not known.
    The module may have `stages`, a list of its parts from input to head, for training that tells them apart. A name
    that you registered before gets the new meaning.

    Raises
    ------
    UsageError
        The course has a model or a frame reducer of that name.
    """
    _check_free(name)
    MODELS[name] = make


def register_reducer(name: str, make: Callable[[int, float], nn.Module]) -> None:
    """Let `name:SHARE` mean your own frame reducer, as `register_model` does for networks.

    `make(n_mels, reduction)` gives a module from natural log power `(clips, frames, mels)` to a `diffres.Reduced`, with
    the attribute `channels`: how many channels its features have. Errors as `register_model`.
    """
    _check_free(name)
    REDUCERS[name] = make


def _check_free(name: str) -> None:
    if name in BUILT_IN or name == "none":
        raise UsageError(f"{name!r} is a name of the course's own; give yours another")


def check_model(name: str) -> None:
    """Raise a `ValueError` of one line for a name that no model has, with those that look like it."""
    if name not in MODELS:
        raise ValueError(f"model={name!r}: unknown; {nearest(name, MODELS)}")


def build(name: str, n_classes: int, *, channels: int = 1, shape: Shape | None = None) -> nn.Module:
    """The classifier `name` with fresh weights (or pretrained ones where its name says so), `n_classes` outputs.

    It takes `(clips, frames, mels)`, or `(clips, channels, frames, mels)` with 1 or 3 channels, gives logits
    `(clips, classes)`, and has `stages`, its parts from input to head. `shape` is the frames and mels that it will
    mostly see; transformers need it, for they learn a place for every token.

    Raises
    ------
    UsageError
        There is none of that name, `n_classes` is no whole number above 0, or a transformer without a shape.
    """
    if not isinstance(n_classes, int | np.integer) or n_classes < 1:
        raise UsageError(f"n_classes={n_classes!r}: must be a whole number of at least 1")
    if name not in MODELS:
        raise UsageError(f"model {name!r} is unknown; {nearest(name, MODELS)}")
    net = MODELS[name](n_classes, channels, shape)
    if not hasattr(net, "stages"):
        net.stages = [net]  # a network of the user's that has no parts to tell apart
    return net
