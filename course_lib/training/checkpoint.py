"""What both training loops share: evaluations, the best state, and a file from which a training resumes."""

import hashlib
import io
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_lib.errors import CourseError
from course_lib.paths import atomic_write

EVERY_S = 10.0


@dataclass(frozen=True)
class TrainResult:
    """A trained model in evaluation mode, on its device, and how it got there.

    `history` has one entry per evaluation: `step`, `loss` (training, mean since the last one), the scores on validation
    if there is any, `seconds`. In supervised training these are `validation_loss` and `validation_accuracy` (share; for
    several labels per clip `validation_map`, mean average precision). `chosen_step` is the step whose weights the model
    has, `precision` the one that it was trained in, `fp32` or `bf16`, and `seconds` the time that the training took.
    """

    model: nn.Module
    history: list[dict[str, float]]
    chosen_step: int
    precision: str
    seconds: float


class OtherTraining(CourseError):
    """A checkpoint was written by a training with other settings, other data or another network."""


class Progress:
    """How far a training has come: `step`, `losses` since the last evaluation, `history` and the `best` state.

    `parts` are the networks and the optimiser, by their names in the file `path`; if it exists, they are loaded from
    it. `evaluated` is the name of the network that is evaluated, `best_eval` chooses an entry of the history. The file
    belongs to the training with the same `settings`, data (`arrays`) and network. Initial weights do not matter.

    Raises
    ------
    CourseError
        The file is not a checkpoint.
    OtherTraining
        It belongs to another training.
    """

    def __init__(
        self,
        path: Path | None,
        settings: object,
        arrays: Iterable[np.ndarray],
        parts: Mapping[str, nn.Module | torch.optim.Optimizer],
        evaluated: str,
        best_eval: Callable[[list[dict[str, float]]], dict[str, float]],
    ) -> None:
        self.path = path
        self.parts = parts
        self.network = parts[evaluated]
        self.best_eval = best_eval
        self.step = 0
        self.losses = []
        self.history = []
        self.best = {}
        self.started = time.perf_counter()
        self.identity = _identity(settings, arrays, self.network) if path is not None else ""
        if path is not None and path.exists():
            kept = _read(path, self.identity)
            for name, part in parts.items():
                part.load_state_dict(kept[name])
            self.history, self.best = kept["history"], kept["best"]
            self.step = self.history[-1]["step"]
            self.started -= self.history[-1]["seconds"]

    def evaluate(self, step: int, scores: Callable[[], dict[str, float]]) -> dict[str, float]:
        """A new entry of the history: `step`, `loss` (mean since the last one), those of `scores()`, `seconds`.

        Raises
        ------
        CourseError
            The loss is no longer finite.
        """
        loss = float(torch.stack(self.losses).mean())
        if not math.isfinite(loss):
            raise CourseError(f"the loss is {loss} after {step} steps; use a lower learning rate")
        seconds = time.perf_counter() - self.started
        entry = {"step": step, "loss": loss} | scores() | {"seconds": seconds}
        self.losses = []
        self.history.append(entry)
        if entry is self.best_eval(self.history):
            self.best = {name: value.clone() for name, value in self.network.state_dict().items()}
        if self.path is not None:
            states = {name: part.state_dict() for name, part in self.parts.items()}
            write_if_due(self.path, {"identity": self.identity, "history": self.history, "best": self.best} | states)
        return entry

    def result(self, precision: str = "fp32") -> TrainResult:
        """The evaluated network in its best state."""
        self.network.load_state_dict(self.best)
        chosen = self.best_eval(self.history)
        return TrainResult(self.network.eval(), self.history, chosen["step"], precision, self.history[-1]["seconds"])


def write_if_due(path: Path, kept: dict) -> None:
    """Write the state to `path` atomically, unless the one there is younger than `EVERY_S`.

    An interrupted training loses a few seconds, and a short one does not spend them on writing.
    """
    if path.exists() and 0 <= time.time() - path.stat().st_mtime < EVERY_S:
        return
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    atomic_write(path, buffer.getvalue())


def _read(path: Path, identity: str) -> dict:
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
        same = kept["identity"] == identity
    except Exception as error:  # torch raises many kinds for a file that is not a checkpoint
        raise CourseError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}); remove it") from error
    if not same:
        raise OtherTraining(f"{path}: belongs to another training; remove it or name another file")
    return kept


def _identity(settings: object, arrays: Iterable[np.ndarray], network: nn.Module) -> str:
    """64 hexadecimal digits from the settings, the data, and the network's names, shapes and buffers."""
    digest = hashlib.sha256(repr(settings).encode())
    for name, value in network.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
    for value in network.buffers():
        digest.update(value.detach().cpu().contiguous().numpy())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype)).encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()
