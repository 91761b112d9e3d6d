"""What both training loops share: when to look at validation, how fast to learn, and a state that outlives a cut."""

import io
import math
import time
from collections.abc import Mapping
from pathlib import Path

import torch

from course_lib.errors import CourseError
from course_lib.paths import write_whole

EVERY_S = 10.0


def look_steps(steps: int, looks: int) -> set[int]:
    """Numbers of steps after which validation is looked at: `looks` of them, evenly, the last among them."""
    return {math.ceil(steps * k / looks) for k in range(1, looks + 1)}


def height(done: float) -> float:
    """Share of the highest learning rate once the share `done` of the steps is taken: up for a tenth, then a cosine."""
    return min(1.0, done / 0.1) * 0.5 * (1 + math.cos(math.pi * max(0.0, done - 0.1) / 0.9))


def resumed(path: Path | None, identity: str, parts: Mapping[str, object], device: torch.device) -> dict:
    """What is kept of a training: of one just begun, or read from `path`, its states loaded into `parts` by name.

    Raises
    ------
    CourseError
        The file is no checkpoint, or that of a training with another `identity`.
    """
    if path is None or not path.exists():
        return {"step": 0, "seconds": 0.0, "history": []}
    try:
        kept = torch.load(path, map_location=device, weights_only=True)
        same = kept["identity"] == identity
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise CourseError(f"{path}: cannot be read as a checkpoint ({type(error).__name__}); remove it") from error
    if not same:
        raise CourseError(f"{path}: belongs to another training; remove it or name another file")
    for name, part in parts.items():
        part.load_state_dict(kept[name])
    return kept


def write(path: Path, kept: dict) -> None:
    """Keep the state in `path`, whole or not at all, unless one is there that is younger than `EVERY_S`.

    A training that is cut off so loses some seconds, and a short one does not spend them on writing.
    """
    if path.exists() and 0 <= time.time() - path.stat().st_mtime < EVERY_S:
        return
    buffer = io.BytesIO()
    torch.save(kept, buffer)
    write_whole(path, buffer.getvalue())


def copied(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Weights and statistics as they are now, whatever training does to the model later."""
    return {name: value.clone() for name, value in model.state_dict().items()}
