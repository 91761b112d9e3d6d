"""Checkpoints of both training loops: a state on disk from which an interrupted training resumes."""

import hashlib
import io
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import torch

from course_lib.errors import CourseError
from course_lib.paths import atomic_write

EVERY_S = 10.0


class OtherTraining(CourseError):
    """A checkpoint was written by a training of other settings, other data or another network."""


def identity(path: Path | None, settings: object, model: torch.nn.Module, arrays: Iterable[np.ndarray]) -> str:
    """64 hexadecimal digits that name a training: its settings, its data, and the network before the first step.

    Of the network names, shapes and buffers count, not the initial weights, which come from the checkpoint. Without a
    `path` nothing is read and the name is empty.
    """
    if path is None:
        return ""
    digest = hashlib.sha256(repr(settings).encode())
    for name, value in model.state_dict().items():
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
    for value in model.buffers():
        digest.update(value.detach().cpu().contiguous().numpy())
    for array in arrays:
        digest.update(repr((array.shape, array.dtype)).encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def resumed(path: Path | None, identity: str, parts: Mapping[str, object], device: torch.device) -> dict:
    """The state of a training: a new one, or the one in `path`, whose parts are loaded into `parts` by name.

    Raises
    ------
    CourseError
        The file is no checkpoint.
    OtherTraining
        It belongs to a training with another `identity`.
    """
    if path is None or not path.exists():
        return {"step": 0, "seconds": 0.0, "history": []}
    try:
        kept = torch.load(path, map_location=device, weights_only=True)
        same = kept["identity"] == identity
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise CourseError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}); remove it") from error
    if not same:
        raise OtherTraining(f"{path}: belongs to another training; remove it or name another file")
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return kept


def write(path: Path, kept: dict) -> None:
    """Write the state to `path` atomically, unless the one there is younger than `EVERY_S`.

    An interrupted training loses some seconds, and a short one does not spend them on writing.
    """
    if path.exists() and 0 <= time.time() - path.stat().st_mtime < EVERY_S:
        return
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    atomic_write(path, buffer.getvalue())


def copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of the weights and statistics, which later training does not change."""
    return {name: value.clone() for name, value in model.state_dict().items()}
