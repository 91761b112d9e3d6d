"""`run_one` for scenes: from a `SceneRun` to one flat row. Only `read_test` reads the test scenes."""

import io
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from course_lib import profiles
from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec
from course_lib.data.events import COLUMNS
from course_lib.evaluation import detection
from course_lib.evaluation.psds import PSDS1, PSDS2, Tolerance, psds
from course_lib.models import crnn, pretrained
from course_lib.models.crnn import CRNN
from course_lib.paths import atomic_write, published_dir
from course_lib.scenes import features as streams
from course_lib.scenes.features import Stream
from course_lib.scenes.load import load_scenes
from course_lib.scenes.scenes import Scenes, SceneSpec
from course_lib.study import plugins
from course_lib.study.clip_run import log_reading, origin, weights_hash
from course_lib.study.config import SceneRun, from_fields, to_dict
from course_lib.study.records import current
from course_lib.training import cost, mean_teacher
from course_lib.training.mean_teacher import EvalSet

SEGMENTS_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)  # lengths of segments and collars for the curves
COLLARS_S = (0.05, 0.1, 0.2, 0.3, 0.5, 1.0)
TOLERANCES = {"psds1": PSDS1, "psds2": PSDS2}


@lru_cache(maxsize=4)
def scenes_of(dataset: str, fold: int, spec: SceneSpec) -> Scenes:
    """The scenes of a run, all parts, cached for the next rows. Errors as in `load_scenes`."""
    return load_scenes(dataset, fold, spec)


def content_of(spec: SceneRun) -> str:
    """The hash of the scenes of a run, as stored in its row."""
    return scenes_of(spec.dataset, spec.fold, spec.scenes).content


def features_of(spec: SceneRun) -> dict[str, Stream]:
    """The streams of a run for all its scenes, cached."""
    scenes = scenes_of(spec.dataset, spec.fold, spec.scenes)
    return {name: _stream(name, scenes, spec) for name in spec.names}


def prefetch_key(spec: SceneRun) -> tuple:
    """Everything that the features of `spec` depend on."""
    sounds = (spec.auditory,) if "auditory" in spec.names else ()
    pictures = (spec.frame_rate_hz,) if "visual" in spec.names else ()
    return (spec.dataset, spec.fold, spec.scenes, spec.names, spec.features, sounds, pictures)


def _stream(name: str, scenes: Scenes, spec: SceneRun) -> Stream:
    if name == "spectral":
        return streams.spectral(scenes, spec.features)
    if name == "auditory":
        return streams.auditory(scenes, spec.auditory_ms, net=spec.auditory)
    return streams.visual(scenes, spec.frame_rate_hz)


def shapes_of(spec: SceneRun, clip_s: float) -> dict[str, tuple[np.ndarray, int]]:
    """Frame times in s and number of dimensions of every stream of a run, without computing the streams."""
    found = {
        "spectral": (frame_times_s(spec.features, clip_s), spec.features.n_mels),
        "visual": (timebase.video_frame_times_s(clip_s, spec.frame_rate_hz), pretrained.VISUAL_DIMS),
    }
    if "auditory" in spec.names:
        found["auditory"] = streams.auditory_shape(spec.auditory, spec.auditory_ms, clip_s)
    return {name: found[name] for name in spec.names}


def network(spec: SceneRun, n_classes: int, shapes: dict[str, tuple[np.ndarray, int]], clip_s: float) -> CRNN:
    """The initialised network of a run."""
    plugins.use(spec.plugin)
    return CRNN(
        n_classes,
        shapes,
        frame_times_s(spec.features, clip_s),
        fusion=spec.fusion,
        align=spec.align,
        frame_reducer=spec.frame_reducer,
        log=spec.features.log,
        centred=spec.centred,
    )


def frame_times_s(features: FeatureSpec, clip_s: float) -> np.ndarray:
    """The centre of every log-mel frame of a scene in s, `(frames,)`."""
    n_samples = timebase.seconds_to_samples(clip_s, features.rate_hz)
    return features.frame_centres_s(features.frame_count(n_samples))


def run_one(
    spec: SceneRun, *, device: str | None = None, checkpoint: Path | None = None, readings: Path | None = None
) -> dict:
    """The row of `spec`: its fields, the step chosen on validation, scores on the test scenes, curves, costs.

    Errors as in `scenes_of`, `features_of` and `mean_teacher.teach`.
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
    chosen = mean_teacher.best_eval(learnt.history)
    row = to_dict(spec) | {"key": spec.key, "content": scenes.content, "classes": scenes.classes}
    row |= {name: chosen[name] for name in chosen if name.startswith("validation_")}
    row |= {"chosen_step": learnt.chosen_step, "weights": weights_hash(learnt.model)}
    row |= {"n_train": int((scenes.table["part"] == "weak").sum())}
    row |= read_test(learnt.model, spec, scenes, found, log=readings)
    row |= {f"history.{name}": [entry[name] for entry in learnt.history] for name in chosen if name != "seconds"}
    row |= {"parameters": cost.parameters(learnt.model), "peak_memory_mb": cost.peak_memory_mb(device)}
    row |= {"train_seconds": learnt.seconds} | origin(device)
    return row | {"minutes": (time.perf_counter() - begun) / 60}


def learning_data(scenes: Scenes, found: dict[str, Stream]) -> tuple:
    """Features and weak labels of training scenes, features of unlabelled scenes or None, and the validation scenes."""
    part = scenes.table["part"].to_numpy()
    weak, unlabelled = ({name: s.x[part == kind] for name, s in found.items()} for kind in ("weak", "unlabelled"))
    there = unlabelled if "unlabelled" in part else None
    return weak, scenes.part("weak").targets, there, judged(scenes, found, "validation")


def judged(scenes: Scenes, found: dict[str, Stream], part: str) -> EvalSet:
    """The features and strong labels of one part of the scenes."""
    mine, rows = scenes.part(part), (scenes.table["part"] == part).to_numpy()
    x = {name: s.x[rows] for name, s in found.items()}
    return EvalSet(x, mine.table["filename"].tolist(), mine.events, scenes.classes, scenes.clip_s)


def read_test(model: CRNN, spec: SceneRun, scenes: Scenes, found: dict[str, Stream], *, log: Path | None) -> dict:
    """The columns of a row about the test scenes, which no other function reads; appends a line to `log`.

    F1 as shares for tagging, segments of 1 s and events within 200 ms: micro, macro and by class, with error rates;
    micro F1 also as lists over `SEGMENTS_S` and `COLLARS_S`; PSDS1 and PSDS2. `test_estimated` holds the detected
    events as CSV, from which other scores can be computed later.
    """
    test = judged(scenes, found, "test")
    log_reading(log, spec, scenes=len(test.filenames))
    got = mean_teacher.scores(model, test, spec.recipe.median_ms)
    row: dict = {"n_test": len(test.filenames), "n_events": len(test.events)}
    for name in ("tagging", "segment", "event"):
        row |= {f"test_{name}_f1": got[name].micro_f1, f"test_{name}_macro_f1": got[name].macro_f1}
        row[f"test_{name}_by_class"] = [float(v) for v in got[name].by_class["f1"].reindex(scenes.classes)]
        row[f"test_{name}_error_rate"] = got[name].error_rate
    lists = (test.events, got["estimated"], test.classes)
    row["test_segment_curve"] = [
        detection.segment_based_f1(*lists, test.clip_s, length_s, zero_division=0).micro_f1 for length_s in SEGMENTS_S
    ]
    row["test_event_curve"] = [
        detection.event_based_f1(*lists, collar_s, collar_s, zero_division=0).micro_f1 for collar_s in COLLARS_S
    ]
    row["test_estimated"] = got["estimated"].to_csv(index=False, float_format="%.3f")
    smoothed = mean_teacher.smoothed(got["strong"], model.out_s, spec.recipe.median_ms)
    return row | {f"test_{name}": psds_of(smoothed, test, model.out_s, how) for name, how in TOLERANCES.items()}


def psds_of(strong: np.ndarray, judged: EvalSet, out_s: np.ndarray, tolerance: Tolerance) -> float:
    """PSDS of probabilities `(scenes, frames, classes)`, over the classes that occur in `judged`; NaN if none does."""
    occur = np.isin(judged.classes, judged.events["event_label"].unique())
    if not occur.any():
        return float("nan")
    classes = np.array(judged.classes)[occur].tolist()
    frame_s = float(np.median(np.diff(out_s)))
    return psds(
        judged.events, strong[:, :, occur], judged.filenames, classes, frame_s, judged.clip_s, tolerance,
        first_s=out_s[0] - frame_s / 2,
    ).score  # fmt: skip


# --- The strong labels of the test scenes, stored beside the rows; and scores corrected for the offset of features

TRUTH = "truth.parquet"


def keep(specs: Iterable[SceneRun], folder: Path) -> Path:
    """The file in `folder` to which the strong labels of all test scenes of `specs` are written.

    Columns: `content`, the hash of the scenes as in rows, `filename`, `onset`, `offset` (s) and `event_label`. Rows
    hold the detected events; with the true events, other scores can be computed later.
    """
    sets = {(spec.dataset, spec.fold, spec.scenes) for spec in specs}
    found = {scenes.content: scenes.part("test").events[COLUMNS] for scenes in (scenes_of(*s) for s in sets)}
    table = pd.concat([events.assign(content=content) for content, events in sorted(found.items())])
    atomic_write(folder / TRUTH, table[["content", *COLUMNS]].to_parquet(None, compression="zstd", index=False))
    return folder / TRUTH


def published(grid: str = "scenes") -> pd.DataFrame:
    """The table that `keep` wrote beside the published rows of `grid`; empty if there is none."""
    path = published_dir() / grid / TRUTH
    if not path.is_file():
        return pd.DataFrame(columns=["content", *COLUMNS])
    return current(pd.read_parquet(path))


def offset_s(spec: SceneRun) -> float:
    """Mean time in s of the sound that an output frame describes, minus the frame's own time, for one stream.

    Negative if the sound is earlier. If one hop divides the other, alignment by the nearest frame shifts all frames in
    the same direction, by an amount that depends on both hops; and unless they are `centred`, the strided convolutions
    on the log-mel look one and a half frames before `out_s`. Events detected from such frames are early or late.

    Raises
    ------
    ValueError
        The run has several streams, or a frame reducer: there is no single offset.
    """
    if len(spec.names) > 1 or spec.frame_reducer != "none":
        raise ValueError(
            f"streams={spec.streams!r}, frame_reducer={spec.frame_reducer!r}: expected one stream and no frame reducer"
        )
    frames_s = frame_times_s(spec.features, spec.scenes.clip_s)
    if spec.names == ("spectral",):
        if spec.centred:
            return 0.0
        return crnn.EARLY_FRAMES * spec.features.hop_ms / -1000
    (times_s, _), out_s = shapes_of(spec, spec.scenes.clip_s)[spec.names[0]], crnn.output_times_s(frames_s)
    inside = (times_s[0] <= out_s) & (out_s <= times_s[-1])  # outside, the first or last frame is repeated
    seen_s = timebase.alignment(times_s, out_s, "nearest" if spec.align == "learned" else spec.align) @ times_s
    return float(np.mean((seen_s - out_s)[inside])) if inside.any() else 0.0


def set_right(rows: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """`rows` of one stream each, with their event F1 corrected for their `offset_s`."""
    found = []
    for row in rows.to_dict("records"):
        spec, of_row = from_fields(row), truth[truth["content"] == row["content"]]
        estimated = pd.read_csv(io.StringIO(row["test_estimated"]))
        times = estimated[["onset", "offset"]] + offset_s(spec)
        estimated[["onset", "offset"]] = times.clip(0, spec.scenes.clip_s)
        lists, collar_s = (of_row[COLUMNS], estimated, list(row["classes"])), mean_teacher.COLLAR_S
        found.append(detection.event_based_f1(*lists, collar_s, collar_s, zero_division=0).micro_f1)
    return rows.assign(test_event_f1=found)
