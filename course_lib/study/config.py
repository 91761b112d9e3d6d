"""`RunSpec`: everything that decides the numbers of one run of the study, and the key that names it."""

import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache

from course_lib.audio.features import FeatureSpec
from course_lib.models import classifier, crnn
from course_lib.models.classifier import MODELS
from course_lib.scenes import features as kinds
from course_lib.scenes.scenes import SceneSpec
from course_lib.training.mean_teacher import TeacherRecipe
from course_lib.training.supervised import Recipe

COPIES = ("none", "naa")
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
BACKFILL_DEFAULTS = {"recipe.guide": 0.0, "recipe.mask_value": "mean", "refit": False}
NONE = "none"  # how a grid says None, which TOML has no word for


@dataclass(frozen=True)
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
    """

    dataset: str
    fold: int
    seed: int
    features: FeatureSpec = field(default_factory=FeatureSpec)
    copies: str = "none"
    frame_reducer: str = "none"
    model: str = "cnn7"
    recipe: Recipe = field(default_factory=Recipe)
    clips_per_class: int | None = None
    refit: bool = False

    def __post_init__(self) -> None:
        if self.frame_reducer != "none":
            classifier.parse_reducer(self.frame_reducer)
        for name, known in (("copies", COPIES), ("model", tuple(MODELS))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(known)}")
        for name, least in (("fold", 1), ("seed", 0), ("clips_per_class", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"{name}={value}: must be at least {least}")

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this run: a hash of every field."""
        return key_of(
            {name: value for name, value in to_dict(self).items() if (name, value) not in BACKFILL_DEFAULTS.items()}
        )


def current_name(name: str) -> str:
    """Today's name of the field `name`, which may be its first one."""
    return ALIASES.get(name, name)


def key_of(fields: Mapping[str, object]) -> str:
    """16 hexadecimal digits that name these fields and values, each field under its first name."""
    first = {FIRST_NAMES.get(name, name): value for name, value in fields.items()}
    canonical = json.dumps(first, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@lru_cache
def flat_types(kind: type, prefix: str = "") -> dict[str, tuple[type, bool]]:
    """Type of every plain field below `kind`, and whether it may be None, by a name such as `features.hop_ms`."""
    found: dict[str, tuple[type, bool]] = {}
    hints = typing.get_type_hints(kind)
    for f in fields(kind):
        hint = hints[f.name]
        if is_dataclass(hint):
            found |= flat_types(hint, f"{prefix}{f.name}.")
            continue
        options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        plain = [option for option in options if option is not types.NoneType]
        found[prefix + f.name] = (plain[0], len(options) > 1)
    return found


FIELDS = flat_types(RunSpec)  # name -> (type, may be None)
REQUIRED = ("dataset", "fold", "seed")


def to_dict(spec: object) -> dict[str, object]:
    """Every field by its dotted name, as in a grid and in a row; floats are floats even where 10 was given for 10.0."""
    found = {}
    for name, (kind, _) in flat_types(type(spec)).items():
        value: object = spec
        for part in name.split("."):
            value = getattr(value, part)
        found[name] = value if value is None else kind(value)
    return found


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
    hints = typing.get_type_hints(kind)
    nested: dict[str, dict] = {f.name: {} for f in fields(kind) if is_dataclass(hints[f.name])}
    for name, value in given.items():
        if name not in flat_types(kind):
            raise ValueError(f"{name}: no such field")
        group, dot, inner = name.partition(".")
        (nested[group] if dot else plain)[inner or group] = typed(name, value, kind)
    starting = {f.name: f.default_factory() for f in fields(kind) if f.name in nested}
    built = {}
    for group, values in nested.items():
        try:
            built[group] = replace(starting[group], **values)
        except ValueError as error:
            raise ValueError(f"{group}.{error}") from None
    return kind(**plain, **built)


def typed(name: str, value: object, kind: type = RunSpec) -> object:
    """`value` as the field `name` of `kind` holds it: a whole number becomes a float, "none" None where that may be.

    Raises
    ------
    ValueError
        It is of another type.
    """
    held, optional = flat_types(kind)[name]
    if optional and value in (None, NONE):
        return None
    fitting = (int, float) if held is float else (held,)
    if not isinstance(value, fitting) or (isinstance(value, bool) and held is not bool):
        wanted = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}[held]
        raise ValueError(f"{name}: found {value!r}, expected {wanted}" + (' or "none"' if optional else ""))
    return held(value)


# --- `TagRun`: a `RunSpec` for clips with several labels each, all of which are asked for

TAGS = "tags"


@dataclass(frozen=True)
class TagRun(RunSpec):
    """One training on clips with several labels and one reading of its test fold, by mean average precision.

    Fields are those of `RunSpec`; the data set is one whose clips have several labels, and `smoothing` has no effect.
    """

    task: str = TAGS

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.task != TAGS:
            raise ValueError(f"task={self.task!r}: expected {TAGS}")


# --- `SceneRun`: everything that decides the numbers of one run on scenes, as `RunSpec` does for clips

SCENES = "scenes"


@dataclass(frozen=True)
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
    """

    dataset: str
    fold: int
    seed: int
    features: FeatureSpec = field(default_factory=lambda: FeatureSpec(hop_ms=20.0))
    scenes: SceneSpec = field(default_factory=SceneSpec)
    streams: str = "spectral"
    auditory: str = "mn04_as"
    auditory_ms: int = 320
    frame_rate_hz: float = 4.0
    fusion: str = "mid"
    align: str = "nearest"
    frame_reducer: str = "none"
    recipe: TeacherRecipe = field(default_factory=TeacherRecipe)
    task: str = SCENES

    def __post_init__(self) -> None:
        names = self.streams.split("+")
        if set(names) - set(kinds.NAMES) or len(set(names)) < len(names):
            raise ValueError(f"streams={self.streams!r}: expected some of {', '.join(kinds.NAMES)}, joined by +")
        for name, known in (("fusion", crnn.FUSIONS), ("align", crnn.ALIGNMENTS), ("task", (SCENES,))):
            if getattr(self, name) not in known:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(known)}")
        if self.frame_reducer != "none":
            classifier.parse_reducer(self.frame_reducer)
        for name, least in (("fold", 1), ("seed", 0), ("auditory_ms", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least {least}")

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name this run: a hash of every field."""
        return key_of(to_dict(self))

    @property
    def names(self) -> tuple[str, ...]:
        """The streams in their usual order, whatever order they were given in."""
        return tuple(name for name in kinds.NAMES if name in self.streams.split("+"))


# --- What a grid may be of: clips with one label or several, or scenes. Each has its specification and its runner

SPECS: dict[str, type] = {
    "clips": RunSpec, TAGS: TagRun, SCENES: SceneRun,
}  # fmt: skip
Run = RunSpec | SceneRun


def from_fields(fields: Mapping[str, object]) -> Run:
    """The run that `to_dict` gave `fields` of, whatever its kind. Errors as `spec.from_dict`."""
    return from_dict(fields, SPECS[str(fields.get("task", "clips"))])
