"""Made scenes: what sounds when, in whose part, and what is seen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from course_lib import profiles
from course_lib.data import events
from course_lib.data.load import load
from course_lib.errors import CourseError
from course_lib.scenes import images, mixing
from course_lib.scenes.mixing import MIX_RATE_HZ
from course_lib.scenes.scenes import PARTS, SceneSpec

SPEC = SceneSpec(weak=12, unlabelled=12, validation=6, test=12)


@pytest.fixture(scope="module")
def clips():
    return load("synth10", profiles.get("smoke"))


@pytest.fixture(scope="module")
def scenes(clips):
    return mixing.made_scenes(clips, 1, SPEC)


def test_no_recording_is_in_two_parts(clips):
    part = mixing.parts_of(clips, 1)
    table = clips.table.assign(part=part)
    assert set(part) == set(PARTS)
    assert table.groupby("source")["part"].nunique().max() == 1
    assert set(table.loc[table["part"] == "test", "fold"]) == {1}
    assert set(table.loc[table["part"] == "validation", "fold"]) == {2}
    assert (table.groupby(["label", "part"])["clip"].size() > 0).all()


def test_an_event_sounds_where_it_was_planned_at_its_level_and_nowhere_else(clips):
    """With the background taken away, energy is where the labels say."""
    planned = mixing._planned(clips, 1, SPEC)
    one = planned[planned["part"] == "test"].iloc[:1].assign(snr_db=12.0)
    name = one["filename"].iloc[0]
    x, noise = (mixing.mixed(p, name, clips.waves(MIX_RATE_HZ), SPEC).astype(float) for p in (one, one.iloc[:0]))
    first, last = (int(one[side].iloc[0] * MIX_RATE_HZ) for side in ("onset", "offset"))
    outside = np.r_[0 : max(first - 10, 0), last + 10 : len(x)]
    # Both are scaled to their own peak: the scale is found where nothing sounds
    event = x / (x[outside] @ noise[outside] / (noise[outside] @ noise[outside])) - noise
    level = 10 * np.log10(np.mean(event[first:last] ** 2) / np.mean(noise**2))
    assert level == pytest.approx(12.0, abs=0.3)
    assert np.abs(event[outside]).max() < 1e-4 * np.abs(event).max()


def test_scenes_are_the_same_whatever_is_asked_beside_them(clips, scenes):
    again = mixing.made_scenes(clips, 1, SPEC)
    assert again.content == scenes.content
    few = scenes.waves(16_000, slice(3, 5))
    np.testing.assert_array_equal(few, scenes.waves(16_000)[3:5])
    assert few.shape == (2, 160_000) and few.dtype == np.float32 and np.abs(few).max() <= 1
    assert mixing.made_scenes(clips, 1, replace(SPEC, seed=1)).content != scenes.content
    assert mixing.made_scenes(clips, 2, SPEC).content != scenes.content


def test_strong_labels_of_scenes_to_learn_from_stay_out(clips, scenes):
    told = set(scenes.events["filename"].str.split("-").str[0])
    assert told == {"validation", "test"}
    assert set(scenes.tags["filename"].str.split("-").str[0]) == {"weak", "validation", "test"}
    with pytest.raises(CourseError, match="unlabelled scenes have no targets"):
        _ = scenes.part("unlabelled").targets
    truth = mixing.truth(clips, 1, SPEC)
    tags = truth.loc[truth["filename"].str.startswith("weak"), ["filename", "event_label"]].drop_duplicates()
    found = scenes.part("weak").targets
    assert found.sum() == len(tags) and found.shape == (12, 10)
    first = tags[tags["filename"] == "weak-0000.wav"]["event_label"]
    assert {scenes.classes[k] for k in np.flatnonzero(found[0])} == set(first)


def test_same_class_events_never_touch(clips):
    truth = mixing.truth(clips, 1, replace(SPEC, test=100))
    assert len(events.merge_touching(truth)) == len(truth)
    assert truth["offset"].max() <= SPEC.clip_s and truth["onset"].min() >= 0


def test_active_parts_bridge_short_pauses_and_drop_specks():
    rate_hz = 16_000
    x = np.zeros(5 * rate_hz, np.float32)
    rng = np.random.default_rng(0)
    for start, end in ((0.5, 1.0), (1.3, 1.8), (3.0, 3.02), (4.0, 4.5)):
        x[int(start * rate_hz) : int(end * rate_hz)] = rng.normal(size=int(end * rate_hz) - int(start * rate_hz)) * 0.1
    np.testing.assert_allclose(mixing.active_parts(x, rate_hz), [[0.5, 1.8], [4.0, 4.5]], atol=0.03)
    assert len(mixing.active_parts(np.zeros(100, np.float32), rate_hz)) == 0


def test_a_thing_is_seen_from_before_its_sound_to_after_it(clips):
    planned = pd.DataFrame({"filename": "x", "event_label": ["dog"] * 2, "onset": [4.0, 6.0], "offset": [4.5, 6.5]})
    spans = [
        (thing.start_s, thing.end_s)
        for k in range(200)
        for thing in images.in_view(planned, f"s{k}", "test", SPEC)
        if thing.name in images.EMOJI["dog"] and thing.start_s > -90 and thing.start_s != 0
    ]
    assert all(start <= 4.0 and end >= 6.5 for start, end in spans)
    assert 0.85 < len(spans) / 200 < 0.97  # 0.91 of the scenes in which a dog is heard
    flash = replace(SPEC, flash=True)
    spans = {
        (thing.start_s, thing.end_s)
        for k in range(20)
        for thing in images.in_view(planned, f"s{k}", "test", flash)
        if thing.name in images.EMOJI["dog"] and thing.start_s != 0
    }
    assert spans == {(4.0, 4.5), (6.0, 6.5)}


def test_where_everything_that_can_be_drawn_sounds_nothing_is_left_to_mislead():
    labels = sorted(images.STYLES["phosphor"])
    planned = pd.DataFrame({"filename": "x", "event_label": labels, "onset": 4.0, "offset": 6.0})
    for k in range(60):  # one scene in seven has something silent in view
        things = images.in_view(planned, f"s{k}", "validation", SPEC)
        assert all(t.name in images.CLUTTER[t.style] or t.start_s > 0 or t.end_s > 6 for t in things)


def test_another_style_of_the_part_draws_what_one_lacks():
    planned = pd.DataFrame({"filename": "x", "event_label": ["chainsaw"], "onset": [4.0], "offset": [6.0]})
    seen = {part: [] for part in images.STYLES_OF}
    for part in seen:
        for k in range(100):
            things = images.in_view(planned, f"s{k}", part, SPEC)
            saws = [t.style for t in things if t.name in images.STYLES[t.style].get("chainsaw", ()) and t.start_s]
            seen[part] += saws
    assert set(seen["weak"]) == {"openmoji", "mdi"} and len(seen["weak"]) > 90  # Font Awesome has no saw
    assert set(seen["test"]) == {"twemoji"} and not seen["validation"]  # nor has Phosphor


def test_frames_change_when_something_enters_or_leaves_and_at_no_other_time(clips):
    things = [images.Thing("mdi", "dog", (0.2, 0.2), 0.5, (255, 0, 0), 2.0, 5.0)]
    times_s = np.arange(20) / 2 + 0.25
    x = images.frames(things, "test-0001.wav", "test", SPEC, times_s, 64)
    assert x.shape == (20, 64, 64, 3) and x.dtype == np.uint8
    changed = np.flatnonzero((x[1:] != x[:-1]).any(axis=(1, 2, 3))) + 1
    np.testing.assert_array_equal(times_s[changed], [2.25, 5.25])


def test_a_style_and_a_photograph_serve_one_part():
    learnt = [set(images.STYLES_OF[p]) | set(images.PHOTOS_OF[p]) for p in ("weak", "validation", "test")]
    assert not learnt[0] & learnt[1] and not learnt[0] & learnt[2] and not learnt[1] & learnt[2]
    assert images.STYLES_OF["unlabelled"] == images.STYLES_OF["weak"]


def test_every_pictogram_and_photograph_is_there():
    for style, classes in images.STYLES.items():
        for name in {n for names in (*classes.values(), images.CLUTTER[style]) for n in names}:
            drawn = images.pictogram(style, name)
            assert drawn.shape == (128, 128, 4) and 0.02 < (drawn[..., 3] > 128).mean() < 0.95, (style, name)
    for name in {n for names in images.PHOTOS_OF.values() for n in names}:
        assert images.photo(name).ndim == 3
    with pytest.raises(CourseError, match="pictogram 'nothing' of mdi: not found"):
        images.pictogram("mdi", "nothing")


def test_bad_scenes_are_refused(scenes):
    with pytest.raises(CourseError, match="has no scenes in the part nowhere"):
        scenes.part("nowhere")
    with pytest.raises(CourseError, match="is in 4 parts"):
        replace(scenes, table=scenes.table.assign(source="one"))
    with pytest.raises(CourseError, match="part 'train' is unknown"):
        replace(scenes, table=scenes.table.assign(part="train"))
    with pytest.raises(CourseError, match="has strong labels of training scenes"):
        replace(scenes, events=scenes.events.assign(filename="weak-0000.wav"))
    with pytest.raises(CourseError, match="has no video frames"):
        replace(scenes, video_reader=None).video_frames()
    with pytest.raises(CourseError, match="there is no pictogram for"):
        mixing.made_scenes(load("timing", profiles.get("smoke")), 1, SPEC)
    for wrong, said in (
        ({"test": 0}, "test: found 0"),
        ({"longest_s": 11.0}, "longest_s=11.0"),
        ({"quietest_db": 20.0}, "loudest"),
    ):
        with pytest.raises(ValueError, match=said):
            SceneSpec(**wrong)


def test_what_is_drawn_is_what_the_specification_says():
    """Class a: nine events of one source and one of another; class b: one event, of nine seconds."""
    items = pd.DataFrame({"row": range(11), "label": ["a"] * 10 + ["b"], "source": ["s"] * 9 + ["t", "u"],
                          "start_s": 0.5, "end_s": [1.5] * 10 + [9.5], "fold": 1})  # fmt: skip
    planned = mixing.plan(items, "test", 2000, SceneSpec(quietest_db=3.0, loudest_db=6.0))
    of_b, lasting = planned["event_label"] == "b", planned["offset"] - planned["onset"]
    assert of_b.mean() == pytest.approx(0.5, abs=0.03), "classes are equally likely, however many events they have"
    assert (planned.loc[~of_b, "row"] == 9).mean() == pytest.approx(0.5, abs=0.04), "and so are sources of a class"
    assert planned["snr_db"].between(3, 6).all() and np.ptp(planned["snr_db"]) > 2.9
    ends = planned["start_s"] + lasting
    assert (planned["start_s"] >= 0.5).all() and (ends[of_b] <= 9.5 + 1e-9).all() and ends[of_b].max() > 8
