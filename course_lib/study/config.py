"""`RunSpec`, `TagRun`, `SceneRun`: everything that the numbers of a run depend on, and the key that names it."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from functools import lru_cache
from typing import Literal

from course_lib.audio.features import FeatureSpec
from course_lib.checked import Count, CountOrZero, checked
from course_lib.models import classifier, crnn
from course_lib.scenes import features as kinds
from course_lib.scenes.scenes import SceneSpec
from course_lib.training.mean_teacher import TeacherRecipe
from course_lib.training.supervised import Recipe

# The current names of fields, and their names when the first rows were published. Grids, rows and parameters may use
# either; keys are hashes over the older names, so that a published row keeps its key.
FIRST_NAMES = {
    "frame_reducer": "front",
    "recipe.batch_size": "recipe.batch",
    "recipe.learning_rate": "recipe.rate",
    "recipe.weight_decay": "recipe.decay",
    "recipe.freeze_steps": "recipe.head_steps",
    "recipe.layer_decay": "recipe.stage_factor",
    "recipe.spec_augment": "recipe.masks",
    "recipe.image_augment": "recipe.picture",
    "recipe.label_smoothing": "recipe.smoothing",
    "recipe.n_evals": "recipe.looks",
    "recipe.mask_value": "recipe.mask_fill",
    "recipe.ema_decay": "recipe.teacher",
}
ALIASES = {first: today for today, first in FIRST_NAMES.items()}
# Fields added after rows had been published. At these values they are left out of the key, so older keys stay valid
BACKFILL_DEFAULTS = {
    "recipe.guide": 0.0,
    "recipe.mask_value": "mean",
    "refit": False,
    "disturb": False,
    "plugin": "none",
    "centred": False,
}
NONE = "none"  # stands for None in a grid, because TOML has no null


@checked
class RunSpec:
    """One training run on clips with one label each, and one reading of its test fold.

    Attributes
    ----------
    dataset : a name from the registry, or the path of a manifest (see `load`).
    fold, seed : the test fold; the seed of weights, order and augmentation, which does not affect the clips.
    features : the log-mel that the network receives.
    copies : copies of the training clips: `none`, or `naa`, the six waveform transforms of the paper.
    frame_reducer : the layer before the classifier: `none`, or a name from `models.classifier` and the share of frames
        that it removes, such as `diffres:0.5`.
    model : a name from `models.classifier`.
    recipe : how to train.
    clips_per_class : how many clips per class to take, spread over the folds; None takes all.
    refit : train on the validation clips too, and keep the last step; for a recipe already chosen by other runs.
    disturb : also keep the answers to test clips that are shifted, louder, softer, noisy or cut short (see
        `study.disturbance`).
    plugin : hash of the user's file that `model` or `frame_reducer` comes from (see `study.plugins`), or `none`.
    """

    dataset: str
    fold: Count
    seed: CountOrZero
    features: FeatureSpec = field(default_factory=FeatureSpec)
    copies: Literal["none", "naa"] = "none"
    frame_reducer: str = "none"
    model: str = "cnn7"
    recipe: Recipe = field(default_factory=Recipe)
    clips_per_class: Count | None = None
    refit: bool = False
    disturb: bool = False
    plugin: str = "none"

    def __post_init__(self) -> None:
        classifier.check_model(self.model)
        _check_reducer(self.frame_reducer)
        if self.disturb and self.frame_reducer.startswith("oracle:"):
            raise ValueError("disturb=True: the oracle does not know where shifted events are; take another reducer")
        _check_log(self.frame_reducer, self.features.log)
        if self.recipe.spec_augment and self.frame_reducer.startswith("oracle:"):
            raise ValueError("recipe.spec_augment=True: would mask the band that tells the oracle; set it to false")

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this run (see `key_of`)."""
        return key_of(to_dict(self))


def _check_reducer(frame_reducer: str) -> None:
    if frame_reducer != NONE:
        classifier.parse_reducer(frame_reducer)


def _check_log(frame_reducer: str, log: str) -> None:
    if frame_reducer == NONE:
        return
    try:
        classifier.nats_of(log)
    except ValueError as error:
        raise ValueError(f"features.{error}") from None


def current_name(name: str) -> str:
    """The current name of the field `name`, which may be its first name."""
    return ALIASES.get(name, name)


def key_of(fields: Mapping[str, object]) -> str:
    """16 hexadecimal digits: a hash of these fields and values, under first names and without `BACKFILL_DEFAULTS`."""
    counted = {name: value for name, value in fields.items() if (name, value) not in BACKFILL_DEFAULTS.items()}
    first = {FIRST_NAMES.get(name, name): value for name, value in counted.items()}
    canonical = json.dumps(first, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def to_dict(spec: object) -> dict[str, object]:
    """Every field by its dotted name, such as `features.hop_ms`, as in a grid and in a row."""
    return dotted(asdict(spec))


def dotted(table: Mapping[str, object]) -> dict[str, object]:
    """`table` flattened: the keys of nested tables become dotted names, such as `features.hop_ms`."""
    found: dict[str, object] = {}
    for name, value in table.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            found[name] = value
    return found


@lru_cache
def defaults(kind: type) -> dict[str, object]:
    """Every field of the class `kind` of runs by its dotted name, with its default."""
    return to_dict(kind(dataset="synth10", fold=1, seed=0))


def from_dict(given: Mapping[str, object], kind: type = RunSpec):
    """The run of the class `kind` with the fields `given`, by dotted name, and defaults for the rest.

    First names are accepted too, and values as a grid has them: 10 for 10.0, "none" for None.

    Raises
    ------
    ValueError
        A value is of the wrong type or out of range, a name is not a field, or dataset, fold or seed is missing.
    """
    plain: dict[str, object] = {}
    nested: dict[str, dict] = {}
    for name, value in given.items():
        name = current_name(name)
        if name not in defaults(kind):
            raise ValueError(f"{name}: no such field")
        if value == NONE and defaults(kind)[name] is None:
            value = None
        group, dot, inner = name.partition(".")
        if dot:
            nested.setdefault(group, {})[inner] = value
        else:
            plain[name] = value
    for group, values in nested.items():
        default = kind.__dataclass_fields__[group].default_factory()
        try:
            plain[group] = replace(default, **values)
        except ValueError as error:
            raise ValueError(f"{group}.{error}") from None
    return kind(**plain)


def typed(fields: Mapping[str, object], run: "Run") -> dict[str, object]:
    """`fields` with their values converted to the types that `run` holds. Errors as in `from_dict`."""
    changed = to_dict(from_dict(to_dict(run) | fields, type(run)))
    return {name: changed[name] for name in fields}


@checked
class TagRun(RunSpec):
    """Like `RunSpec`, for clips with several labels each: scored by mean average precision, without label smoothing."""

    task: Literal["tags"] = "tags"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.disturb:
            raise ValueError("disturb=True: only for clips with one label each, whose answer is a single class")


@checked
class SceneRun:
    """One training run on weakly labelled scenes, and one reading of its test scenes.

    Attributes
    ----------
    dataset, fold, seed : the data set that the sounds come from, or recorded scenes such as `ave:FOLDER`; the fold
        whose sounds make up the test scenes; the seed of weights, order and augmentation, which does not affect the
        scenes.
    features : the log-mel of the spectral stream; its frames are the time base of the network even without this stream.
    scenes : the number of scenes and their difficulty.
    streams : the inputs of the network: `spectral`, `auditory`, `visual`, joined by `+`.
    auditory, auditory_ms : the pretrained audio network and the hop of its features; 0 is one vector per scene.
    frame_rate_hz : video frames per second.
    fusion, align, frame_reducer, centred : see `models.crnn.CRNN`.
    recipe : how to train.
    plugin : hash of the user's file that `frame_reducer` comes from (see `study.plugins`), or `none`.
    """

    dataset: str
    fold: Count
    seed: CountOrZero
    features: FeatureSpec = field(default_factory=lambda: FeatureSpec(hop_ms=20.0))
    scenes: SceneSpec = field(default_factory=SceneSpec)
    streams: str = "spectral"
    auditory: str = "mn04_as"
    auditory_ms: CountOrZero = 320
    frame_rate_hz: float = 4.0
    fusion: Literal[*crnn.FUSIONS] = "mid"
    align: Literal[*crnn.ALIGNMENTS] = "nearest"
    frame_reducer: str = "none"
    centred: bool = False
    recipe: TeacherRecipe = field(default_factory=TeacherRecipe)
    plugin: str = "none"
    task: Literal["scenes"] = "scenes"

    def __post_init__(self) -> None:
        names = self.streams.split("+")
        if set(names) - set(kinds.NAMES) or len(set(names)) < len(names):
            raise ValueError(f"streams={self.streams!r}: expected some of {', '.join(kinds.NAMES)}, joined by +")
        _check_reducer(self.frame_reducer)
        _check_log(self.frame_reducer, self.features.log)
        if self.frame_reducer.startswith("oracle:"):
            raise ValueError(
                f"frame_reducer={self.frame_reducer!r}: training scenes have no times of events, which the oracle "
                "needs; take another reducer"
            )

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this run (see `key_of`)."""
        return key_of(to_dict(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The streams in their standard order, whatever order they were given in."""
        return tuple(name for name in kinds.NAMES if name in self.streams.split("+"))


SPECS: dict[str, type] = {"clips": RunSpec, "tags": TagRun, "scenes": SceneRun}
FIELDS = tuple(defaults(RunSpec))
Run = RunSpec | SceneRun


def from_fields(row: Mapping[str, object]) -> Run:
    """The run that a row describes, of any kind. Errors as in `from_dict`."""
    kind = SPECS[str(row.get("task", "clips"))]
    return from_dict({name: _from_table(row[name]) for name in defaults(kind) if name in row}, kind)


def _from_table(value: object) -> object:
    """`value` as it was before a table turned None into NaN and whole numbers in the same column into floats."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else value
