"""Every classifier of the course by its name."""

from collections.abc import Callable
from functools import partial

from torch import nn

from course_lib.errors import UsageError
from course_lib.models import ast, backbones, cnn, mast

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
    "ast-tiny": ast.ast_tiny, "mast-tiny": mast.mast_tiny, "ast-base": ast.ast_base, "mast-base": mast.mast_base,
}  # fmt: skip
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
