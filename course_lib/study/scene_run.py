"""`run_one` for scenes: from a `SceneRun` to one flat row; `read_test` alone looks at the scenes for testing."""

import json
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from course_lib import cost, mean_teacher, metrics, profiles, streams, timebase
from course_lib.features import FeatureSpec
from course_lib.mean_teacher import Judged
from course_lib.models import pretrained
from course_lib.models.crnn import CRNN
from course_lib.provenance import now
from course_lib.soundscapes.load import load_scenes
from course_lib.soundscapes.mix import SceneSpec
from course_lib.soundscapes.scenes import Scenes
from course_lib.streams import Stream
from course_lib.study.run import origin, weights_hash
from course_lib.study.scene_spec import SceneRun
from course_lib.study.spec import to_dict

SEGMENTS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # how coarsely detection is judged, for the curves
COLLARS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)


@lru_cache(maxsize=4)
def scenes_of(dataset: str, fold: int, spec: SceneSpec) -> Scenes:
    """The scenes of a run, all parts. Errors as `load_scenes`."""
    return load_scenes(dataset, fold, spec)


def content_of(spec: SceneRun) -> str:
    """The hash of what a run hears and sees now, as its row keeps it."""
    return scenes_of(spec.dataset, spec.fold, spec.scenes).content


def features_of(spec: SceneRun) -> dict[str, Stream]:
    """The streams of a run for all its scenes, each made once a content."""
    scenes = scenes_of(spec.dataset, spec.fold, spec.scenes)
    return {name: _stream(name, scenes, spec) for name in spec.names}


def warm_key(spec: SceneRun) -> tuple:
    """What decides the features of `spec`."""
    sounds = (spec.auditory,) if "auditory" in spec.names else ()
    pictures = (spec.frame_rate_hz,) if "visual" in spec.names else ()
    return (spec.dataset, spec.fold, spec.scenes, spec.names, spec.features, sounds, pictures)


def _stream(name: str, scenes: Scenes, spec: SceneRun) -> Stream:
    if name == "spectral":
        return streams.spectral(scenes, spec.features, progress=False)
    if name == "auditory":
        return streams.auditory(scenes, spec.auditory_ms, net=spec.auditory, progress=False)
    return streams.visual(scenes, spec.frame_rate_hz, progress=False)


def shapes_of(spec: SceneRun, clip_s: float) -> dict[str, tuple[np.ndarray, int]]:
    """Times of frames and dimensions of every stream of a run, without making any."""
    found = {
        "spectral": (frame_times_s(spec.features, clip_s), spec.features.n_mels),
        "visual": (timebase.picture_times_s(clip_s, spec.frame_rate_hz), pretrained.VISUAL_DIMS),
    }
    if "auditory" in spec.names:
        found["auditory"] = streams.auditory_shape(spec.auditory, spec.auditory_ms, clip_s)
    return {name: found[name] for name in spec.names}


def network(spec: SceneRun, n_classes: int, shapes: dict[str, tuple[np.ndarray, int]], clip_s: float) -> CRNN:
    """The network of a run with fresh weights."""
    options = {"fusion": spec.fusion, "align": spec.align, "front": spec.front, "log": spec.features.log}
    return CRNN(n_classes, shapes, frame_times_s(spec.features, clip_s), **options)


def frame_times_s(features: FeatureSpec, clip_s: float) -> np.ndarray:
    """The middle of every frame of the log-mel of a scene."""
    n_samples = timebase.seconds_to_samples(clip_s, features.rate_hz)
    return features.frame_centres_s(features.frame_count(n_samples))


def run_one(
    spec: SceneRun, *, device: str | None = None, checkpoint: Path | None = None, readings: Path | None = None
) -> dict:
    """The row of `spec`: its fields, what was chosen on validation, scores of the test scenes, curves, costs.

    Errors as `scenes_of`, `features_of` and `mean_teacher.teach`.
    """
    begun = time.perf_counter()
    device = device or profiles.device()
    cost.reset_peak_memory(device)
    scenes = scenes_of(spec.dataset, spec.fold, spec.scenes)
    found = features_of(spec)
    torch.manual_seed(spec.seed)
    model = network(spec, len(scenes.classes), shapes_of(spec, scenes.clip_s), scenes.clip_s)
    learnt = mean_teacher.teach(
        model, *learning_data(scenes, found), spec.recipe, spec.features,
        seed=spec.seed, device=device, checkpoint=checkpoint,
    )  # fmt: skip
    chosen = mean_teacher.best_look(learnt.history)
    row = to_dict(spec) | {"key": spec.key, "content": scenes.content, "classes": scenes.classes}
    row |= {name: chosen[name] for name in chosen if name.startswith("validation_")}
    row |= {"chosen_step": learnt.chosen_step, "weights": weights_hash(learnt.model)}
    row |= read_test(learnt.model, spec, scenes, found, log=readings)
    row |= {f"history.{name}": [look[name] for look in learnt.history] for name in chosen if name != "seconds"}
    row |= {"parameters": cost.parameters(learnt.model), "peak_memory_mb": cost.peak_memory_mb(device)}
    row |= {"train_seconds": learnt.seconds} | origin(device)
    return row | {"minutes": (time.perf_counter() - begun) / 60}


def learning_data(scenes: Scenes, found: dict[str, Stream]) -> tuple:
    """Features and weak labels, features without labels, and validation scenes; no scene for testing is in any.

    Sets without unlabelled scenes have None for them.
    """
    part = scenes.table["part"].to_numpy()
    weak, unlabelled = ({name: s.x[part == kind] for name, s in found.items()} for kind in ("weak", "unlabelled"))
    there = unlabelled if "unlabelled" in part else None
    return weak, scenes.part("weak").targets, there, judged(scenes, found, "validation")


def judged(scenes: Scenes, found: dict[str, Stream], part: str) -> Judged:
    """The scenes of a part with their strong labels."""
    mine, rows = scenes.part(part), (scenes.table["part"] == part).to_numpy()
    x = {name: s.x[rows] for name, s in found.items()}
    return Judged(x, mine.table["filename"].tolist(), mine.events, scenes.classes, scenes.clip_s)


def read_test(model: CRNN, spec: SceneRun, scenes: Scenes, found: dict[str, Stream], *, log: Path | None) -> dict:
    """Scores of the scenes for testing, the only function that looks at them; appends a line to `log`.

    Micro F1 as shares: tagging, segments of 1 s, events within 200 ms; their means over classes and by class; as lists
    over `SEGMENTS_S` and `COLLARS_S`. `test_estimated` is the list of detected events as CSV, for other scores later.
    """
    test = judged(scenes, found, "test")
    if log is not None:
        line = {
            "time": now(),
            "key": spec.key,
            "dataset": spec.dataset,
            "fold": spec.fold,
            "scenes": len(test.filenames),
        }
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
    got = mean_teacher.scores(model, test, spec.recipe.median_ms)
    row: dict = {"n_test": len(test.filenames), "n_events": len(test.events)}
    for name in ("tagging", "segment", "event"):
        row |= {f"test_{name}_f1": got[name].micro_f1, f"test_{name}_macro_f1": got[name].macro_f1}
        row[f"test_{name}_by_class"] = [float(v) for v in got[name].by_class["f1"].reindex(scenes.classes)]
        row[f"test_{name}_error_rate"] = got[name].error_rate
    lists = (test.events, got["estimated"], test.classes)
    row["test_segment_curve"] = [
        metrics.segment_based_f1(*lists, test.clip_s, length_s, silent_zero=True).micro_f1 for length_s in SEGMENTS_S
    ]
    row["test_event_curve"] = [
        metrics.event_based_f1(*lists, collar_s, collar_s, silent_zero=True).micro_f1 for collar_s in COLLARS_S
    ]
    row["test_estimated"] = got["estimated"].to_csv(index=False, float_format="%.3f")
    return row
