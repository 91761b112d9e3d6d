"""Temporal resolution in audio classification: the library behind the course.

The names below are all you need to load sounds, compute log-mels, and train and evaluate a classifier. Each is imported
on first use, so that `import course_lib` itself is quick. `docs/library.md` shows them in use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "Clips",
    "CourseError",
    "FeatureSpec",
    "Interval",
    "Recipe",
    "TrainResult",
    "accuracy",
    "classifier",
    "features",
    "fit",
    "load",
    "log_mel",
    "predict",
]
_MODULES = {  # where each of these names is defined
    "errors": ("CourseError",),
    "audio.features": ("FeatureSpec", "log_mel"),
    "data.clips": ("Clips", "features"),
    "data.load": ("load",),
    "models.classifier": ("classifier",),
    "evaluation.intervals": ("Interval",),
    "training.supervised": ("Recipe", "TrainResult"),
    "api": ("accuracy", "fit", "predict"),
}

if TYPE_CHECKING:  # the same for editors and type checkers, which do not run the code
    from course_lib.api import accuracy, fit, predict
    from course_lib.audio.features import FeatureSpec, log_mel
    from course_lib.data.clips import Clips, features
    from course_lib.data.load import load
    from course_lib.errors import CourseError
    from course_lib.evaluation.intervals import Interval
    from course_lib.models.classifier import classifier
    from course_lib.training.supervised import Recipe, TrainResult


def __getattr__(name: str) -> object:
    """The public name `name`, imported from its module on first use."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """The names that `dir` and tab completion show."""
    return sorted({*globals(), *__all__})
