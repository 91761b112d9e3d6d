"""Clips of one class each, trimmed to where they sound, and scenes mixed from them, with strong labels.

A scene is background noise with, by default, one to four events, each at its own level above that noise. Its labels are
the times at which the events were placed, exact to a sample, so nobody had to annotate them. Notebook: 10.
"""

from dataclasses import asdict

import librosa
import numpy as np
import pandas as pd

from course_lib.audio import io as audio_io
from course_lib.audio import timebase
from course_lib.audio.io import DECODING_VERSION
from course_lib.audio.synth10 import coloured_noise
from course_lib.data import events, folds
from course_lib.data.cache import cached, digest
from course_lib.data.clips import Clips
from course_lib.errors import CourseError
from course_lib.scenes import images
from course_lib.scenes.scenes import PARTS, Scenes, SceneSpec

# Version of mixed scenes, sound and video, part of their `content`. Raise it when either changes; tests pin both.
SCENES_VERSION = 1
# All mixing is done at one rate and resampled to others, so that the noise is the same at 16 kHz as at 32.
MIX_RATE_HZ = 32_000
ACTIVE_DB = 30.0  # what lies further below the loudest frame of a clip counts as silence
GAP_S = 0.5  # shorter pauses belong to the event, as between barks or the ticks of a clock
SHORTEST_S = 0.25  # shortest event that the annotators of DCASE 2019 task 4 marked
FADE_MS = 10.0
BACKGROUND_DB_PER_OCTAVE = (-7.0, 2.0)  # from traffic to hiss, as in synth10
LEVEL_DB = (-20.0, -1.0)  # peak of a scene relative to full scale


def active_parts(x: np.ndarray, rate_hz: int) -> np.ndarray:
    """Where `x` `(samples,)` sounds: starts and ends in seconds, `(events, 2)`, in order; none for silence.

    Pauses up to `GAP_S` are bridged; what is then shorter than `SHORTEST_S` is dropped, unless nothing else is there.
    """
    if not np.any(x):
        return np.zeros((0, 2))
    hop = timebase.ms_to_samples(10, rate_hz)
    found = librosa.effects.split(x, top_db=ACTIVE_DB, frame_length=2 * hop, hop_length=hop) / rate_hz
    breaks = np.flatnonzero(found[1:, 0] - found[:-1, 1] > GAP_S)
    joined = np.column_stack([found[np.r_[0, breaks + 1], 0], found[np.r_[breaks, len(found) - 1], 1]])
    long_enough = joined[joined[:, 1] - joined[:, 0] >= SHORTEST_S]
    return long_enough if len(long_enough) else np.array([[found[0, 0], found[-1, 1]]])


def bank(clips: Clips) -> pd.DataFrame:
    """The events in `clips`, one row each: `row` of the clip, `label`, `fold`, `source`, `start_s`, `end_s`.

    From the strong labels of the set if it has any, with pauses bridged; else from `active_parts`.
    """
    if clips.events is not None:
        listed = clips.events.rename(columns={"clip": "filename", "onset_s": "onset", "offset_s": "offset"})
        listed = events.merge_touching(listed.rename(columns={"label": "event_label"}), gap_s=GAP_S)
        place = pd.Series(range(len(clips)), index=clips.table["clip"])
        rows = np.column_stack([place[listed["filename"]], listed["onset"], listed["offset"]])
    else:
        names = "\n".join(clips.table["clip"].astype(str))
        rows = cached("sounding", (clips.content, names, (SCENES_VERSION, DECODING_VERSION)), lambda: _sounding(clips))
    found = pd.DataFrame({"row": rows[:, 0].astype(int), "start_s": rows[:, 1], "end_s": rows[:, 2]})
    of_clip = clips.table.iloc[found["row"]].reset_index(drop=True)
    return found.assign(label=of_clip["label"], fold=of_clip["fold"], source=of_clip["source"])


def _sounding(clips: Clips) -> np.ndarray:
    """Row, start and end in seconds of every active part, `(events, 3)`."""
    rate_hz = min(16_000, clips.native_rate_hz)
    parts = [active_parts(x, rate_hz) for x in clips.waves(rate_hz)]
    row = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return np.column_stack([row, np.concatenate(parts)])


def plan(items: pd.DataFrame, part: str, n_scenes: int, spec: SceneSpec) -> pd.DataFrame:
    """The events of `n_scenes` scenes, one row per event.

    Columns: `filename`, `event_label`, `onset`, `offset` (s), `row` of the clip, `start_s` (in the clip), `snr_db`.
    `items` are rows of a `bank`. Classes are equally likely, as are the sources of a class and the events of a source.
    """
    number = int.from_bytes(part.encode(), "little") % 2**32
    rng = np.random.default_rng([spec.seed, number])
    scene = np.repeat(np.arange(n_scenes), rng.integers(1, spec.most_events, size=n_scenes, endpoint=True))
    labels = np.array(sorted(items["label"].unique()))
    wanted = labels[rng.integers(len(labels), size=len(scene))]
    weight = 1 / items.groupby(["label", "source"])["row"].transform("size")  # a source with many events counts once
    taken = np.empty(len(scene), dtype=np.int64)
    for label in labels:
        mine = items["label"] == label
        share = weight[mine]
        chosen = rng.choice(np.flatnonzero(mine), size=int(np.sum(wanted == label)), p=share / share.sum())
        taken[wanted == label] = chosen
    item = items.iloc[taken].reset_index(drop=True)
    whole_s = (item["end_s"] - item["start_s"]).to_numpy()
    cut_s = rng.uniform(1.0, spec.longest_s, size=len(scene))
    lasting_s = np.where(whole_s > spec.longest_s, cut_s, whole_s)
    skipped_s = rng.uniform(size=len(scene)) * (whole_s - lasting_s)
    onset = rng.uniform(size=len(scene)) * (spec.clip_s - lasting_s)
    return pd.DataFrame(
        {
            "filename": [f"{part}-{k:04d}.wav" for k in scene],
            "event_label": item["label"],
            "onset": onset,
            "offset": np.minimum(onset + lasting_s, spec.clip_s),
            "row": item["row"],
            "start_s": item["start_s"] + skipped_s,
            "snr_db": rng.uniform(spec.quietest_db, spec.loudest_db, size=len(scene)),
        }
    )


def mixed(planned: pd.DataFrame, filename: str, waves: np.ndarray, spec: SceneSpec) -> np.ndarray:
    """One scene at `MIX_RATE_HZ`, `(samples,)`, float32; `waves` `(clips, samples)` are at that rate too.

    The background and the level depend only on the scene's name and the seed.
    """
    rng = np.random.default_rng([spec.seed, *filename.encode()])
    n_samples = timebase.seconds_to_samples(spec.clip_s, MIX_RATE_HZ)
    x = coloured_noise(rng, n_samples, rng.uniform(*BACKGROUND_DB_PER_OCTAVE))
    x /= np.sqrt(np.mean(x**2))
    for event in planned.itertuples():
        lasting = timebase.seconds_to_samples(event.offset - event.onset, MIX_RATE_HZ)
        first = timebase.seconds_to_samples(event.start_s, MIX_RATE_HZ)
        piece = _faded(waves[event.row, first : first + lasting].astype(np.float64))
        loudness = np.sqrt(np.mean(piece**2))
        at = timebase.seconds_to_samples(event.onset, MIX_RATE_HZ)
        piece = piece[: n_samples - at]
        if loudness > 0:
            x[at : at + len(piece)] += 10 ** (event.snr_db / 20) * piece / loudness
    return (x * 10 ** (rng.uniform(*LEVEL_DB) / 20) / np.max(np.abs(x))).astype(np.float32)


def _faded(x: np.ndarray) -> np.ndarray:
    """`x` with a short rise and fall, so that cutting makes no click."""
    n = min(timebase.ms_to_samples(FADE_MS, MIX_RATE_HZ), len(x) // 2)
    ramp = np.sin(np.linspace(0, np.pi / 2, n)) ** 2
    x[:n] *= ramp
    x[len(x) - n :] *= ramp[::-1]
    return x


def made_scenes(clips: Clips, fold: int, spec: SceneSpec) -> Scenes:
    """Scenes mixed from the sounds in `clips`: test scenes from the test fold, and so on.

    Of the sources of each class in the training folds, every other one goes to the weakly labelled scenes and the rest
    to the unlabelled ones: no recording is in two parts. The strong labels of both are left out; see `truth`.

    Raises
    ------
    CourseError
        A part has no recording of some class, or a class has no pictogram.
    """
    planned = _planned(clips, fold, spec)
    table = planned[["filename", "part"]].drop_duplicates(ignore_index=True).assign(source=lambda t: t["filename"])
    strong = _strong(planned)
    held = planned.loc[planned["part"].isin(["validation", "test"]), "filename"]
    labelled = planned.loc[planned["part"] != "unlabelled", "filename"]
    content = digest((clips.content, planned.to_csv(), strong.to_csv(), asdict(spec), SCENES_VERSION))
    of_scene = dict(list(planned.groupby("filename")))

    def reader(asked: pd.DataFrame, rate_hz: int) -> np.ndarray:
        waves = clips.waves(MIX_RATE_HZ)
        names = asked["filename"].tolist()
        out = np.empty((len(names), timebase.seconds_to_samples(spec.clip_s, rate_hz)), np.float32)

        def fill(row: int) -> None:
            name = names[row]
            x = audio_io.resample(mixed(of_scene[name], name, waves, spec), MIX_RATE_HZ, rate_hz)
            out[row] = audio_io.fix_length(np.clip(x, -1, 1), out.shape[1])

        audio_io.threaded(fill, range(len(names)), "mixing", "scene")
        out.setflags(write=False)
        return out

    def video_reader(asked: pd.DataFrame, frame_rate_hz: float, size_px: int) -> np.ndarray:
        times_s = timebase.video_frame_times_s(spec.clip_s, frame_rate_hz)
        out = np.empty((len(asked), len(times_s), size_px, size_px, 3), np.uint8)
        for row, (name, part) in enumerate(zip(asked["filename"], asked["part"], strict=True)):
            things = images.in_view(of_scene[name], name, part, spec)
            out[row] = images.frames(things, name, part, spec, times_s, size_px)
        return out

    return Scenes(
        name=clips.name,
        table=table,
        classes=clips.classes,
        clip_s=spec.clip_s,
        content=content,
        reader=reader,
        video_reader=video_reader,
        tags=strong[strong["filename"].isin(labelled)][["filename", "event_label"]].drop_duplicates(ignore_index=True),
        events=strong[strong["filename"].isin(held)].reset_index(drop=True),
    )


def truth(clips: Clips, fold: int, spec: SceneSpec) -> pd.DataFrame:
    """Strong labels of every scene of `made_scenes`, training scenes included: for figures, never for training."""
    return _strong(_planned(clips, fold, spec))


def parts_of(clips: Clips, fold: int) -> np.ndarray:
    """The part that each clip's recording may be used in, `(clips,)` of text."""
    train, validation, test = folds.split(clips, fold)
    table = clips.table[["label", "source"]].assign(train=train)
    learnt = table[table["train"]].drop_duplicates("source")
    turn = learnt.groupby("label").cumcount() % 2
    weak = set(learnt["source"][turn == 0])
    part = np.where(clips.table["source"].isin(weak), "weak", "unlabelled").astype("<U10")
    part[validation], part[test] = "validation", "test"
    return part


def _planned(clips: Clips, fold: int, spec: SceneSpec) -> pd.DataFrame:
    strange = sorted(set(clips.classes) - images.SEEN.keys())
    if strange:
        raise CourseError(f"{clips.name}: there is no pictogram for {strange[0]!r}; use esc10 or synth10")
    part, items = parts_of(clips, fold), bank(clips)
    found = []
    for name in PARTS:
        mine = items[part[items["row"]] == name].reset_index(drop=True)
        lacking = sorted(set(clips.classes) - set(mine["label"]))
        if lacking:
            raise CourseError(f"{clips.name}: no sound of {lacking[0]!r} for part {name}; take more clips per class")
        found.append(plan(mine, name, getattr(spec, name), spec).assign(part=name))
    return pd.concat(found, ignore_index=True)


def _strong(planned: pd.DataFrame) -> pd.DataFrame:
    """Event list of what was planned; events of one class that touch are one."""
    return events.merge_touching(planned[["filename", "onset", "offset", "event_label"]])
