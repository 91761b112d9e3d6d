"""One function that turns the name of a set, or of a kind of set and a folder, into `Scenes`."""

from collections.abc import Callable
from pathlib import Path

from course_lib.data.load import load
from course_lib.scenes import recorded
from course_lib.scenes.mixing import made_scenes
from course_lib.scenes.scenes import Scenes, SceneSpec

# Recorded scenes, as KIND:FOLDER
REAL: dict[str, Callable[[Path], Scenes]] = {"videos": recorded.video_folder, "ave": recorded.ave}


def is_real(dataset: str) -> bool:
    """Whether `dataset` names recorded scenes, as `ave:FOLDER` does, rather than sounds to mix."""
    return dataset.partition(":")[0] in REAL and ":" in dataset


def load_scenes(dataset: str, fold: int, spec: SceneSpec) -> Scenes:
    """Scenes mixed from the sounds of a data set, with test scenes from `fold`, or recorded ones, as `ave:FOLDER`.

    Recorded scenes have their own parts, so `fold` and `spec` do not affect them.

    Raises
    ------
    UsageError, CourseError
        As `data.load.load`, `made_scenes` and the loaders in `recorded`.
    """
    if is_real(dataset):
        kind, _, folder = dataset.partition(":")
        return REAL[kind](Path(folder).expanduser())
    return made_scenes(load(dataset), fold, spec)
