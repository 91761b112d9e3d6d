"""`run_one`: from a `RunSpec` to one flat row. Only `read_test` reads the test fold, once, at the end.

Training and the choice of the step use `learning_data`, which holds no test clip. `read_test` logs every reading, so
the log shows how often a test fold was read.
"""

import hashlib
import json
import time
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_lib import profiles
from course_lib.audio import timebase
from course_lib.audio.augment import NAA
from course_lib.audio.features import FeatureSpec
from course_lib.data import folds
from course_lib.data.augmented import AugmentedClips, with_copies
from course_lib.data.clips import Clips, features
from course_lib.data.load import load
from course_lib.errors import CourseError, UsageError
from course_lib.evaluation import tagging
from course_lib.models.classifier import classifier
from course_lib.provenance import code_hash, now, processor, provenance
from course_lib.study import disturbance, plugins
from course_lib.study.config import Run, RunSpec, TagRun, to_dict
from course_lib.training import cost, supervised

PAUSE_S = 0.1  # the frame reducer `oracle` counts a silence of at most this length between two events as active

_provenance = lru_cache(provenance)  # once per process, which keeps running the code it loaded


@lru_cache(maxsize=8)
def clips_of(dataset: str, clips_per_class: int | None, copies: str = "none") -> Clips:
    """The clips of a run, with copies if it uses them; cached for the next rows. Errors as in `load`, `with_copies`."""
    profile = replace(profiles.get("study"), clips_per_class=clips_per_class, real_clips_per_class=clips_per_class)
    clips = load(dataset, profile)
    return with_copies(clips, NAA) if copies == "naa" else clips


def content_of(spec: RunSpec) -> str:
    """The hash of the clips of a run, as stored in its row."""
    return clips_of(spec.dataset, spec.clips_per_class, spec.copies).content


def features_of(spec: RunSpec) -> np.ndarray:
    """Log-mels of all clips and copies of a run, `(rows, frames, mels)`, float32, read-only, cached.

    For the frame reducer `oracle` there is one extra band (see `with_events`).
    """
    clips = clips_of(spec.dataset, spec.clips_per_class, spec.copies)
    x = features(clips, spec.features, progress=False)
    return with_events(x, clips, spec.features) if spec.frame_reducer.startswith("oracle:") else x


def with_events(x: np.ndarray, clips: Clips, spec: FeatureSpec) -> np.ndarray:
    """Log-mels `x` `(clips, frames, mels)` with one extra band: 1 in frames whose window touches an event, else 0.

    A silence of at most `PAUSE_S` between two events of a clip counts as part of them, because its length may be what
    distinguishes the classes.

    Raises
    ------
    UsageError
        The data set has no strong labels.
    """
    if clips.events is None:
        raise UsageError(f"{clips.name}: has no strong labels, which the frame reducer oracle needs; take timing")
    centres_s = spec.frame_centres_s(x.shape[1])
    half_s = spec.window_ms / 2000
    active = np.zeros((*x.shape[:2], 1), dtype=x.dtype)
    place = {clip: k for k, clip in enumerate(clips.table["clip"])}
    for clip, events in clips.events.sort_values("onset_s").groupby("clip", sort=False):
        ended_s = -np.inf
        for event in events.itertuples():
            begun_s = ended_s if event.onset_s - ended_s <= PAUSE_S else event.onset_s
            touched = (centres_s > begun_s - half_s) & (centres_s < event.offset_s + half_s)
            active[place[clip], touched] = 1
            ended_s = max(ended_s, event.offset_s)
    return np.concatenate([x, active], axis=2)


def prefetch_key(spec: RunSpec) -> tuple:
    """Everything that the features of `spec` depend on."""
    return (spec.dataset, spec.clips_per_class, spec.copies, spec.features)


def run_one(
    spec: RunSpec, *, device: str | None = None, checkpoint: Path | None = None, readings: Path | None = None
) -> dict:
    """The row of `spec`: its fields by dotted name, the step chosen on validation, every test clip, costs.

    With `device` None the fastest device is used. An interrupted run resumes from the file `checkpoint` and gives the
    same row, apart from times. `readings` is the log that `read_test` appends to.

    Raises
    ------
    CourseError
        As in `load`, `with_copies`, `folds.split` and `supervised.fit`.
    """
    begun = time.perf_counter()
    device = device or profiles.device()
    cost.reset_peak_memory(device)
    clips = clips_of(spec.dataset, spec.clips_per_class, spec.copies)
    x = features_of(spec)
    learning, validation = learning_data(spec, clips, x)
    torch.manual_seed(spec.seed)
    model = network(spec, learning.n_classes, x.shape[1:])
    fitted = supervised.fit(
        model, learning, validation, spec.recipe, spec.features, seed=spec.seed, device=device, checkpoint=checkpoint
    )
    chosen = supervised.best_eval(fitted.history)
    row = to_dict(spec) | {
        "key": spec.key,
        "form": clips.name,
        "content": clips.content,
        "classes": asked_of(spec, clips)[0],
    }
    row |= {"n_train": len(learning.y), "n_validation": 0 if validation is None else len(validation.y)}
    row |= {name: chosen[name] for name in (*supervised.SCORES, "validation_loss") if name in chosen}
    row |= {"chosen_step": fitted.chosen_step, "weights": weights_hash(fitted.model)}
    row |= read_test(fitted.model, spec, clips, x, precision=fitted.precision, log=readings)
    row |= {f"history.{name}": [entry[name] for entry in fitted.history] for name in chosen if name != "seconds"}
    row |= costs(spec, fitted.model, clips, x.shape[1:], device)
    row |= {"precision": fitted.precision, "train_seconds": fitted.seconds}
    return row | origin(device) | {"minutes": (time.perf_counter() - begun) / 60}


def asked_of(spec: RunSpec, clips: Clips) -> tuple[list[str], np.ndarray]:
    """Names of the classes (for a `TagRun`, of all labels), and the targets of `clips` as in `supervised.Split`.

    Raises
    ------
    UsageError
        `spec` is a `TagRun`, but the clips have one label each.
    """
    if not isinstance(spec, TagRun):
        return clips.classes, clips.targets
    if not clips.multilabel:
        raise UsageError(f"{clips.name}: its clips have one label each; leave out task = {spec.task!r}")
    return clips.tag_names, clips.tags


def network(spec: RunSpec, n_classes: int, shape: tuple[int, int]) -> nn.Module:
    """The initialised classifier of a run, frame reducer included, for clips of `shape` (frames, mels)."""
    plugins.use(spec.plugin)
    n_frames, n_mels = shape
    return classifier(
        spec.model,
        n_classes,
        reducer=spec.frame_reducer,
        n_mels=n_mels,
        n_frames=n_frames,
        log=spec.features.log,
    )


def learning_data(spec: RunSpec, clips: Clips, x: np.ndarray) -> tuple[supervised.Split, supervised.Split | None]:
    """The training split, copies included, and the validation split, originals only; neither holds a test clip.

    With `refit` the validation clips are part of the first, and the second is None.
    """
    training, validation, _ = folds.split(clips, spec.fold)
    names, targets = asked_of(spec, clips)
    masks = [training | validation] if spec.refit else [training, _originals(clips, validation)]
    if not all(mask.any() for mask in masks):
        raise CourseError(f"{clips.name}: no clips are left to learn from or to validate on; take more clips a class")
    parts = [supervised.Split(np.asarray(x[mask]), targets[mask], len(names)) for mask in masks]
    return parts[0], None if spec.refit else parts[1]


def read_test(
    model: nn.Module, spec: RunSpec, clips: Clips, x: np.ndarray, *, precision: str, log: Path | None
) -> dict:
    """The columns of a row about the test fold, originals only; no other function of a run reads that fold.

    Lists have one entry per clip: its name, its source, its class and the predicted class (indices into
    `clips.classes`), and 1 if the two agree, else 0. For clips with several labels, the mean average precision and the
    average precision of each label take their place. With `disturb`, the columns of `disturbance.answers` are added.
    Appends a line to `log` (see `log_reading`).
    """
    _, _, test = folds.split(clips, spec.fold)
    test = _originals(clips, test)
    log_reading(log, spec, clips=int(test.sum()))
    targets = asked_of(spec, clips)[1][test]
    found = supervised.predict(model, np.asarray(x[test]), precision=precision, multilabel=targets.ndim == 2)
    if targets.ndim == 2:
        each = tagging.average_precisions(targets, found)
        precisions = [None if np.isnan(value) else float(value) for value in each]  # JSON has no NaN
        return {"n_test": len(targets), "test_map": float(np.nanmean(each)), "test_average_precisions": precisions}
    predicted = found.argmax(1)
    correct = predicted == targets
    row = {
        "n_test": len(targets),
        "test_accuracy": float(correct.mean()),
        "test_clips": clips.table["clip"][test].astype(str).tolist(),
        "test_sources": clips.table["source"][test].astype(str).tolist(),
        "test_targets": targets.tolist(),
        "test_predicted": predicted.tolist(),
        "test_correct": correct.astype(int).tolist(),
    }
    if spec.disturb:
        originals = clips_of(spec.dataset, spec.clips_per_class)
        _, _, test = folds.split(originals, spec.fold)
        row |= disturbance.answers(model, originals, test, spec.features, precision=precision)
    return row


def log_reading(log: Path | None, spec: Run, **read: int) -> None:
    """Append a JSON line to `log`, if there is one: which run reads which test fold, and how many clips or scenes."""
    if log is None:
        return
    line = {"time": now(), "key": spec.key, "dataset": spec.dataset, "fold": spec.fold} | read
    with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def costs(spec: RunSpec, model: nn.Module, clips: Clips, shape: tuple[int, ...], device: str) -> dict:
    """Parameters, MACs of network and features per clip of `shape` (frames, mels), latency in ms, peak memory in MB."""
    n_samples = timebase.seconds_to_samples(clips.length_s, spec.features.rate_hz)
    return {
        "frames": int(shape[0]),
        "parameters": cost.parameters(model),
        "macs": cost.macs(model, *shape),
        "feature_macs": cost.feature_macs(spec.features, n_samples),
        "latency_ms": cost.latency_ms(model, *shape),
        "peak_memory_mb": cost.peak_memory_mb(device),
    }


def weights_hash(model: nn.Module) -> str:
    """A hash of all weights and buffers, 16 hexadecimal digits: equal only for bit-identical networks."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def origin(device: str) -> dict:
    """Device and threads; commit, code and versions when this process ran its first row; the current time."""
    named = torch.cuda.get_device_name(device) if device.startswith("cuda") else processor()
    environment = dict(_provenance())
    del environment["date"], environment["threads"]
    commit = environment.pop("commit")
    return {
        "device": device,
        "device_name": named,
        "threads": torch.get_num_threads(),
        **{f"env.{name}": value for name, value in environment.items()},
        "date": now(),
        "commit": commit,
        "code": code_hash(),
    }


def _originals(clips: Clips, mask: np.ndarray) -> np.ndarray:
    """`mask` without copies: only sounds as they were recorded are scored."""
    return clips.originals_only(mask) if isinstance(clips, AugmentedClips) else mask
