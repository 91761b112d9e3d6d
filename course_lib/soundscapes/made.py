"""Illustrated soundscapes: made scenes of recorded sounds, with pictures that stand for those of a video.

What they are good for: real sounds, real pretrained networks, exact labels in time, and pictures that mislead about as
often as those of real videos do. What they are not: video. The pictures are drawings paired with the sounds by us,
and nothing moves in them, so that no mouth opens at the bark. Notebook: 10.
"""

import hashlib
from dataclasses import asdict

import numpy as np
import pandas as pd

from course_lib import audio, events, timebase
from course_lib.datasets import folds
from course_lib.datasets.clips import Clips
from course_lib.errors import CourseError
from course_lib.soundscapes import illustrate, mix
from course_lib.soundscapes.mix import SceneSpec
from course_lib.soundscapes.scenes import PARTS, Scenes


def made_scenes(clips: Clips, fold: int, spec: SceneSpec) -> Scenes:
    """Scenes of the sounds in `clips`; those for testing are of the test fold, and so on.

    Of the sources of the training folds every other one of a class goes to the weakly labelled scenes and the rest to
    the unlabelled ones: no recording is in two parts. The strong labels of both stay out; see `truth`.

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
    parts = (clips.content, planned.to_csv(), strong.to_csv(), asdict(spec), mix.SCENES_VERSION)
    content = hashlib.sha256(repr(parts).encode()).hexdigest()
    of_scene = dict(list(planned.groupby("filename")))

    def reader(asked: pd.DataFrame, rate_hz: int) -> np.ndarray:
        waves = clips.waves(mix.MIX_RATE_HZ)
        names = asked["filename"].tolist()
        out = np.empty((len(names), timebase.seconds_to_samples(spec.clip_s, rate_hz)), np.float32)

        def fill(row: int) -> None:
            name = names[row]
            x = mix.at_rate(mix.mixed(of_scene[name], name, waves, spec), rate_hz)
            out[row] = audio.fix_length(x, out.shape[1])

        audio.threaded(fill, range(len(names)), "mixing", "scene")
        out.setflags(write=False)
        return out

    def picture_reader(asked: pd.DataFrame, frame_rate_hz: float, size_px: int) -> np.ndarray:
        times_s = timebase.picture_times_s(spec.clip_s, frame_rate_hz)
        out = np.empty((len(asked), len(times_s), size_px, size_px, 3), np.uint8)
        for row, (name, part) in enumerate(zip(asked["filename"], asked["part"], strict=True)):
            things = illustrate.in_view(of_scene[name], name, part, spec)
            out[row] = illustrate.frames(things, name, part, spec, times_s, size_px)
        return out

    return Scenes(
        name=clips.name,
        table=table,
        classes=clips.classes,
        clip_s=spec.clip_s,
        content=content,
        reader=reader,
        picture_reader=picture_reader,
        tags=strong[strong["filename"].isin(labelled)][["filename", "event_label"]].drop_duplicates(ignore_index=True),
        events=strong[strong["filename"].isin(held)].reset_index(drop=True),
    )


def truth(clips: Clips, fold: int, spec: SceneSpec) -> pd.DataFrame:
    """Strong labels of every scene of `made_scenes`, those to learn from included: for figures, never for training."""
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
    strange = sorted(set(clips.classes) - illustrate.SEEN.keys())
    if strange:
        raise CourseError(f"{clips.name}: no picture is known for {strange[0]!r}; use esc10 or synth10")
    part, items = parts_of(clips, fold), mix.bank(clips)
    found = []
    for name in PARTS:
        mine = items[part[items["row"]] == name].reset_index(drop=True)
        lacking = sorted(set(clips.classes) - set(mine["label"]))
        if lacking:
            raise CourseError(f"{clips.name}: no sound of {lacking[0]!r} for the part {name}; take more clips a class")
        found.append(mix.plan(mine, name, getattr(spec, name), spec).assign(part=name))
    return pd.concat(found, ignore_index=True)


def _strong(planned: pd.DataFrame) -> pd.DataFrame:
    """Event list of what was planned; events of one class that touch are one."""
    return events.merge_touching(planned[["filename", "onset", "offset", "event_label"]])
