"""`RunSpec`: everything that decides the numbers of one run of the study, and the key that names it."""

import hashlib
import json
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from functools import lru_cache
from typing import Literal

from course_lib.audio.features import FeatureSpec
from course_lib.checked import Count, CountOrZero, checked, fitting
from course_lib.models import classifier, crnn
from course_lib.scenes import features as kinds
from course_lib.scenes.scenes import SceneSpec
from course_lib.training.mean_teacher import TeacherRecipe
from course_lib.training.supervised import Recipe

# Today's names of fields, and the names that they had when the first rows were published. Grids, rows and parameters
# may use either; keys are hashes over the older ones, so that a published row keeps its key.
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
# Fields that came after rows had been published: at these values they stay out of the key, which so stays what it was
BACKFILL_DEFAULTS = {"recipe.guide": 0.0, "recipe.mask_value": "mean", "refit": False, "plugin": "none"}
NONE = "none"  # how a grid says None, which TOML has no word for


@checked
class RunSpec:
    """One training and one reading of its test fold.

    Attributes
    ----------
    dataset : name from the registry, or the path of a manifest as `load` takes it.
    fold, seed : the fold tested on; seed of weights, order and augmentation. The clips stay the same whatever the seed.
    features : the log-mel that the network gets.
    copies : copies of the training clips: `none`, or `naa`, the six waveform transforms of the paper.
    frame_reducer : what stands between the features and the classifier: `none`, or as `diffres:0.5`, a name of
        `models.classifier` and the share of frames that it saves.
    model : a name of `models.classifier`.
    recipe : how to train.
    clips_per_class : take so many clips a class, spread over the folds; None takes all.
    refit : learn from the clips for validation too, and keep the last step: for a recipe that other runs have chosen.
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
    plugin: str = "none"

    def __post_init__(self) -> None:
        classifier.check_model(self.model)
        _check_reducer(self.frame_reducer)

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this run: a hash of every field."""
        return key_of(to_dict(self))


def _check_reducer(frame_reducer: str) -> None:
    if frame_reducer != NONE:
        classifier.parse_reducer(frame_reducer)


def current_name(name: str) -> str:
    """Today's name of the field `name`, which may be its first one."""
    return ALIASES.get(name, name)


def key_of(fields: Mapping[str, object]) -> str:
    """16 hexadecimal digits that name these fields and values, each field under its first name."""
    counted = {name: value for name, value in fields.items() if (name, value) not in BACKFILL_DEFAULTS.items()}
    first = {FIRST_NAMES.get(name, name): value for name, value in counted.items()}
    canonical = json.dumps(first, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def to_dict(spec: object) -> dict[str, object]:
    """Every field by its dotted name, such as `features.hop_ms`, as in a grid and in a row."""
    found: dict[str, object] = {}
    for name, value in asdict(spec).items():
        if isinstance(value, dict):
            found |= {f"{name}.{inner}": inner_value for inner, inner_value in value.items()}
        else:
            found[name] = value
    return found


@lru_cache
def field_names(kind: type) -> tuple[str, ...]:
    """Names of all fields of a `kind` of run, dotted."""
    return tuple(to_dict(kind(dataset="synth10", fold=1, seed=0)))


REQUIRED = ("dataset", "fold", "seed")


def from_dict(given: Mapping[str, object], kind: type = RunSpec):
    """The run, a `kind`, of which `given` holds fields by dotted name, first names too; what is missing has its
    default.

    Raises
    ------
    ValueError
        A value of the wrong type or out of range, a name that is no field, or one of dataset, fold, seed missing.
    """
    given = {current_name(name): value for name, value in given.items()}
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise ValueError(f"{missing[0]}: not given; every run needs {', '.join(REQUIRED)}")
    plain: dict[str, object] = {}
    nested: dict[str, dict] = {}
    for name, value in given.items():
        if name not in field_names(kind):
            raise ValueError(f"{name}: no such field")
        group, dot, inner = name.partition(".")
        if dot:
            nested.setdefault(group, {})[inner] = typed(name, value, kind)
        else:
            plain[name] = typed(name, value, kind)
    for group, values in nested.items():
        default = kind.__dataclass_fields__[group].default_factory()
        try:
            plain[group] = replace(default, **values)
        except ValueError as error:
            raise ValueError(f"{group}.{error}") from None
    return kind(**plain)


@lru_cache
def _hint(kind: type, name: str) -> typing.Any:
    """The annotation of a field by its dotted name."""
    for part in name.split("."):
        kind = typing.get_type_hints(kind, include_extras=True)[part]
    return kind


def typed(name: str, value: object, kind: type = RunSpec) -> object:
    """`value` as the field `name` of `kind` holds it: a whole number becomes a float, "none" None where that may be.

    Raises
    ------
    ValueError
        It is of another type, or out of range.
    """
    hint = _hint(kind, name)
    optional = types.NoneType in typing.get_args(hint)
    if optional and value == NONE:
        return None
    try:
        return fitting(hint, value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}" + (' or "none"' if optional else "")) from None


# --- `TagRun`: a `RunSpec` for clips with several labels each, all of which are asked for


@checked
class TagRun(RunSpec):
    """One training on clips with several labels and one reading of its test fold, by mean average precision.

    Fields are those of `RunSpec`; the data set is one whose clips have several labels, and `label_smoothing` has no
    effect.
    """

    task: Literal["tags"] = "tags"


# --- `SceneRun`: everything that decides the numbers of one run on scenes, as `RunSpec` does for clips


@checked
class SceneRun:
    """One training on weakly labelled scenes and one reading of those for testing.

    Attributes
    ----------
    dataset, fold, seed : where the sounds come from, or recorded scenes as `ave:FOLDER`; the fold of those that are
        tested on; seed of weights, order and augmentation. The scenes stay the same whatever the seed.
    features : the log-mel of the spectral stream; its frames are the time base of the network, used or not.
    scenes : how many scenes, and how hard.
    streams : what the network gets: `spectral`, `auditory`, `visual`, joined by `+`.
    auditory, auditory_ms : the pretrained network for sound and the hop of its features; 0 is one vector a scene.
    frame_rate_hz : pictures a second.
    fusion, align, frame_reducer : as `models.crnn.CRNN` takes them.
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
    recipe: TeacherRecipe = field(default_factory=TeacherRecipe)
    plugin: str = "none"
    task: Literal["scenes"] = "scenes"

    def __post_init__(self) -> None:
        names = self.streams.split("+")
        if set(names) - set(kinds.NAMES) or len(set(names)) < len(names):
            raise ValueError(f"streams={self.streams!r}: expected some of {', '.join(kinds.NAMES)}, joined by +")
        _check_reducer(self.frame_reducer)

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this run: a hash of every field."""
        return key_of(to_dict(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The streams in their usual order, whatever order they were given in."""
        return tuple(name for name in kinds.NAMES if name in self.streams.split("+"))


# --- What a grid may be of: clips with one label or several, or scenes. Each has its specification and its runner

SPECS: dict[str, type] = {"clips": RunSpec, "tags": TagRun, "scenes": SceneRun}
FIELDS = field_names(RunSpec)
Run = RunSpec | SceneRun


def from_fields(row: Mapping[str, object]) -> Run:
    """The run that a row is of, whatever its kind. Errors as `from_dict`."""
    kind = SPECS[str(row.get("task", "clips"))]
    return from_dict({name: _from_table(row[name]) for name in field_names(kind) if name in row}, kind)


def _from_table(value: object) -> object:
    """`value` as it was before a table made NaN of None, and floats of the whole numbers beside it."""
    if not isinstance(value, float):
        return value
    if math.isnan(value):
        return None
    return int(value) if value.is_integer() else value
