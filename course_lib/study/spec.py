"""`RunSpec`: everything that decides the numbers of one run of the study, and the key that names it."""

import hashlib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import lru_cache

from course_lib.features import FeatureSpec
from course_lib.models import fronts
from course_lib.models.build import MODELS
from course_lib.train import Recipe

COPIES = ("none", "naa")
# Fields that came after rows had been published: at these values they stay out of the key, which so stays what it was
LATER = {"recipe.guide": 0.0, "recipe.mask_fill": "mean", "refit": False}
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
    front : what stands between the features and the classifier: `none`, or as `diffres:0.5`, a name of `models.fronts`
        and the share of frames that it saves.
    model : a name of `models.build`.
    recipe : how to train.
    clips_per_class : take so many clips a class, spread over the folds; None takes all.
    refit : learn from the clips for validation too, and keep the last step: for a recipe that other runs have chosen.
    """

    dataset: str
    fold: int
    seed: int
    features: FeatureSpec = field(default_factory=FeatureSpec)
    copies: str = "none"
    front: str = "none"
    model: str = "cnn7"
    recipe: Recipe = field(default_factory=Recipe)
    clips_per_class: int | None = None
    refit: bool = False

    def __post_init__(self) -> None:
        if self.front != "none":
            fronts.parse(self.front)
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
        return key_of({name: value for name, value in to_dict(self).items() if (name, value) not in LATER.items()})


def key_of(fields: Mapping[str, object]) -> str:
    """16 hexadecimal digits that name these fields and values."""
    canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
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
    """The run, a `kind`, of which `given` holds fields by dotted name; what is missing has its default.

    Raises
    ------
    ValueError
        A value of the wrong type or out of range, a name that is no field, or one of dataset, fold, seed missing.
    """
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
