"""Every classifier of the course by its name."""

from collections.abc import Callable
from functools import partial

from torch import nn

from course_lib.errors import UsageError
from course_lib.models import backbones, cnn


def _backbone(name: str, pretrained: bool, three: str, n_classes: int, channels: int) -> nn.Module:
    # One channel becomes three, three are taken as they are: no weight depends on it
    return backbones.Backbone(name, n_classes, pretrained=pretrained, three=three)


MODELS: dict[str, Callable[[int, int], nn.Module]] = {
    "cnn7": lambda n_classes, channels: cnn.CNN(n_classes, cnn.CNN7, channels=channels),
    "cnn9": lambda n_classes, channels: cnn.CNN(n_classes, cnn.CNN9, channels=channels),
} | {
    # A backbone's name alone is pretrained, with three copies of the log-mel
    f"{name}{start}{'' if three == 'copy' else f'-{three}'}": partial(_backbone, name, start == "", three)
    for name in backbones.NAMES
    for start in ("", "-scratch")
    for three in backbones.THREE
}


def build(name: str, n_classes: int, *, channels: int = 1) -> nn.Module:
    """The classifier `name` with fresh weights (or pretrained ones where its name says so), `n_classes` outputs.

    It takes `(clips, frames, mels)`, or `(clips, channels, frames, mels)` with 1 or 3 channels, gives logits
    `(clips, classes)`, and has `stages`, its parts from input to head.

    Raises
    ------
    UsageError
        There is none of that name.
    """
    if name not in MODELS:
        raise UsageError(f"model {name!r} is unknown; choose one of {', '.join(MODELS)}")
    return MODELS[name](n_classes, channels)
