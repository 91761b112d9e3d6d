"""Networks that the study trained, kept with the course: notebook 07 shows what two of them learned and one did not.

`load("probe-contrast")` returns one of them with its features, its classes and the history of its training. The files
are in `study/networks/`, whose README says how each was chosen; `course_lib.study.networks` makes them. They are
safetensors: numbers and text, nothing that is executed. Large tensors are stored as whole numbers from -127 to 127 with
one scale per output channel, the others as they are.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from course_lib.audio.features import FeatureSpec
from course_lib.audio.timebase import out_frames
from course_lib.checked import nearest
from course_lib.errors import CourseError, UsageError, expect, first_line
from course_lib.models.classifier import SCRATCH, Normalised, classifier, nats_of
from course_lib.models.diffres import WarpMerge, check_log_power
from course_lib.paths import atomic_write, study_dir

LARGE = 10_000  # tensors with this many numbers or more are stored as 8-bit integers
SCALE = ".scale"  # ends the name under which the scales of such a tensor are stored
ENDING = ".safetensors"


@dataclass(frozen=True)
class Trained:
    """A trained network and what it was trained for.

    Attributes
    ----------
    name : as `load` takes it.
    model : log-mels `(clips, frames, mels)` to logits `(clips, classes)`, in evaluation mode.
    spec : the log-mel that it expects.
    classes : names of its outputs.
    run : every setting of its training by dotted name, as in a row of the study.
    found : results of the training: `validation_accuracy`, `test_accuracy` (shares), `chosen_step`.
    history : one entry per evaluation: `step`, `loss`, `validation_loss`, `validation_accuracy`.
    origin : commit, processor, versions and date.
    """

    name: str
    model: Normalised
    spec: FeatureSpec
    classes: list[str]
    run: dict
    found: dict
    history: list[dict]
    origin: dict

    def widths(self, x: np.ndarray, reduction: float | None = None) -> np.ndarray:
        """The widths that the layer gives to the frames of log-mels `x` `(clips, frames, mels)`, `(clips, frames)`.

        They sum to the number of output frames at `reduction`, the share of frames to remove; None is what it was
        trained for.

        Raises
        ------
        UsageError
            The network has no layer that gives widths.
        ValueError
            `x` has another shape or another number of mels, or `reduction` leaves no frame or is not within 0 and 1.
        """
        layer = getattr(self.model.model, "frame_reducer", None)
        if not isinstance(layer, WarpMerge):
            raise UsageError(f"{self.name}: this network gives no widths (frame_reducer {self.run['frame_reducer']!r})")
        levels = torch.as_tensor(x, dtype=torch.float32) / nats_of(self.spec.log)
        check_log_power(levels, layer.n_mels)
        n_out = out_frames(levels.shape[1], layer.reduction if reduction is None else reduction)
        with torch.inference_mode():
            return layer.widths(levels, n_out).numpy()


def folder() -> Path:
    """Folder of the networks that the course ships."""
    return study_dir() / "networks"


def names() -> list[str]:
    """Names of the networks that the course ships."""
    return sorted(path.stem for path in folder().glob(f"*{ENDING}"))


def load(name: str | Path) -> Trained:
    """The network `name`, one of `names()`, or one in a file of yours that `write` wrote.

    Raises
    ------
    UsageError
        No such network or file.
    CourseError
        The file is damaged, is of another kind, or its weights do not fit the network that it names.
    """
    path = Path(name) if str(name).endswith(ENDING) else folder() / f"{name}{ENDING}"
    if not path.is_file():
        known = nearest(str(name), names()) if names() else f"{folder()} holds no networks"
        raise UsageError(f"trained network {str(name)!r}: there is no file {path}; {known}")
    stored, about = _read(path)
    try:
        model, spec = _described(about["run"], len(about["classes"]))
        fields = {key: about[key] for key in ("classes", "run", "found", "history", "origin")}
    except (KeyError, TypeError, ValueError, AttributeError, UsageError) as error:
        raise CourseError(f"{path}: does not describe a network of this course ({error}); fetch it again") from error
    weights = _whole(stored)
    misfit = _misfit(model, weights)
    if misfit is not None:
        raise CourseError(f"{path}: {misfit}: weights of another net")
    model.load_state_dict(weights)
    return Trained(path.stem, model.eval().requires_grad_(False), spec, **fields)


def _described(run: Mapping[str, object], n_classes: int) -> tuple[Normalised, FeatureSpec]:
    """The network that `run` describes, with fresh weights, and the log-mel that it takes.

    A backbone begins without its pretrained weights, which are replaced in any case. Errors as `classifier`.
    """
    features = {key.removeprefix("features."): v for key, v in run.items() if key.startswith("features.")}
    spec = FeatureSpec(**features)
    net = classifier(
        SCRATCH.get(run["model"], run["model"]),
        n_classes,
        reducer=run["frame_reducer"],
        n_mels=spec.n_mels,
        n_frames=run.get("n_frames"),
        log=spec.log,
    )
    return Normalised(net, np.zeros((1, 1, spec.n_mels), np.float32)), spec


def _misfit(model: Normalised, weights: Mapping[str, torch.Tensor]) -> str | None:
    """The first of `weights` that does not fit `model`, in words; None if all fit."""
    wanted = model.state_dict()
    for name, value in wanted.items():
        found = tuple(weights[name].shape) if name in weights else "missing"
        if found != tuple(value.shape):
            return f"{name} is {found}, expected shape {tuple(value.shape)}"
    extra = sorted(weights.keys() - wanted.keys())
    return f"{extra[0]} is not part of the network" if extra else None


def save_network(model: Normalised, about: Mapping[str, object]) -> bytes:
    """The content of a file with `model` and `about`, the fields of `Trained` that `load` returns beside it."""
    tensors = _small({name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()})
    text = json.dumps(about)
    return save(tensors, {"about": text, "sha256": _sum_of(tensors, text)})


def write(
    path: str | Path,
    model: Normalised,
    spec: FeatureSpec,
    classes: Sequence[str],
    *,
    network: str = "cnn7",
    reducer: str = "none",
    n_frames: int | None = None,
    multilabel: bool = False,
) -> None:
    """Write a network of your own to `path`, which `load` and `course predict --model` then take.

    `model` is that of the result of `fit`, `spec` the log-mel it was trained on, `network`, `reducer` and, for a
    transformer, `n_frames` what `classifier` was given; with `multilabel` each of the `classes` has its own
    probability. Large tensors of weights are rounded to 8 bits, which changes the logits a little. A network that is
    not from the course must be known to `classifier.register_model`, here and in the process that loads it.

    Raises
    ------
    UsageError
        The ending is not `.safetensors`, `model` does not come from `fit`, or it is another network than described.
    """
    expect("model", model, Normalised, "the model of what fit() returned")
    if not str(path).endswith(ENDING):
        raise UsageError(f"{path}: expected a name that ends in {ENDING}")
    run = {"model": network, "frame_reducer": reducer, "n_frames": n_frames, "multilabel": multilabel}
    run |= {f"features.{name}": value for name, value in asdict(spec).items()}
    given = f"network={network!r}, reducer={reducer!r}"
    try:
        with torch.random.fork_rng(devices=[]):  # fresh weights for the comparison move nothing that is drawn later
            described, _ = _described(run, len(classes))
    except (ValueError, UsageError) as error:
        raise UsageError(f"{given}: {error}; give what classifier was given, n_frames too if it was") from None
    misfit = _misfit(described, model.state_dict())
    if misfit is not None:
        raise UsageError(f"{given}: {misfit}; give what classifier was given, and one class per output")
    about = {"run": run, "classes": list(classes), "found": {}, "history": [], "origin": {}}
    atomic_write(Path(path), save_network(model, about))


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and description in a file, after its sum was checked."""
    try:
        with safe_open(path, framework="pt") as file:
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is not a dict
            given = file.metadata() or {}
        text = given.get("about", "null")
        about = json.loads(text)
    except (SafetensorError, OSError, ValueError) as error:
        reason = first_line(error)
        raise CourseError(f"{path}: is damaged or not a safetensors file ({reason}); fetch it again") from error
    if not isinstance(about, dict) or "sha256" not in given:
        raise CourseError(f"{path}: holds weights, but not which network they are for; expected a file of this course")
    if _sum_of(stored, text) != given["sha256"]:
        raise CourseError(f"{path}: its content is not what was saved (SHA-256 differs); fetch it again")
    return stored, about


def _small(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`tensors` with large ones as 8-bit integers, and beside them a scale for each of their output channels."""
    stored = {}
    for name, value in tensors.items():
        if value.numel() < LARGE:
            stored[name] = value
            continue
        per_channel = value.flatten(1)
        scale = per_channel.abs().amax(1).clamp(min=1e-12) / 127
        stored[name] = (per_channel / scale[:, None]).round().to(torch.int8).view(value.shape)
        stored[name + SCALE] = scale
    return stored


def _whole(stored: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors that `_small` was given, to 8-bit precision."""
    tensors = {}
    for name, value in stored.items():
        if name + SCALE in stored:
            shape = (-1,) + (1,) * (value.ndim - 1)
            value = value.float() * stored[name + SCALE].view(shape)
        if not (name.endswith(SCALE) and name.removesuffix(SCALE) in stored):
            tensors[name] = value
    return tensors


def _sum_of(stored: dict[str, torch.Tensor], text: str) -> str:
    """SHA-256 of the description and of names, types, shapes and values."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(stored):
        value = stored[name].contiguous()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode() + value.numpy().tobytes())
    return digest.hexdigest()
