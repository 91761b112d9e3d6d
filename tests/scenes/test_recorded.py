"""Real sets with labels in time, on tiny folders of their published layout."""

import logging

import av
import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from course_lib.audio import timebase, video
from course_lib.errors import CourseError, UsageError
from course_lib.scenes import recorded
from course_lib.scenes.load import load_scenes
from course_lib.scenes.scenes import SceneSpec

RATE_HZ = 8000


def sound(path, level=0.1, length_s=10.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.full(round(length_s * RATE_HZ), level), RATE_HZ)


def tsv(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))


def spoil(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def names_of(scenes, part):
    return scenes.part(part).table["filename"].tolist()


def rows_of(table, name):
    return table[table["filename"] == name].drop(columns="filename").to_numpy().tolist()


STRONG = ("filename", "onset", "offset", "event_label")
WEAK_NAMES = [f"Yweak{k}_{k}.000_{k + 10}.000.wav" for k in range(4)]
HELD_NAMES = [f"Y-h_{k}_{k}.000_{k + 10}.000.wav" for k in range(12)]
PUBLIC_NAMES = [f"Ypub{k}_{k}.000_{k + 10}.000.wav" for k in range(2)]


@pytest.fixture
def desed(tmp_path):
    """Layout of DCASE below `dataset`; level of a sound: its place in its list, in hundredths."""
    root = tmp_path / "dataset"
    for folder, names in (("train/weak", WEAK_NAMES), ("validation/validation", HELD_NAMES)):
        for k, name in enumerate(names):
            sound(root / "audio" / folder / name, (k + 1) / 100)
    for k in range(3):
        sound(root / "audio/train/unlabel_in_domain" / f"Yun{k}_0.000_10.000.wav", 0.5)
    tags = ["Speech,Dog", "Cat", "Frying", "Dog"]
    tsv(root / "metadata/train/weak.tsv", ("filename", "event_labels"), *zip(WEAK_NAMES, tags, strict=True))
    unlabelled = [(f"Yun{k}_0.000_10.000.wav",) for k in range(3)]
    tsv(root / "metadata/train/unlabel_in_domain.tsv", ("filename",), *unlabelled)
    rows = [(name, "0.500", "2.250", "Dog") for name in HELD_NAMES[:-1]] + [(HELD_NAMES[0], 1, 10.05, "Speech")]
    tsv(root / "metadata/validation/validation.tsv", STRONG, *rows, (HELD_NAMES[-1], "", "", ""))
    return tmp_path


def test_desed_has_its_four_parts_and_their_labels(desed, caplog):
    scenes = recorded.desed(desed)
    parts = {part: names_of(scenes, part) for part in ("weak", "unlabelled", "validation", "test")}
    assert parts["weak"] == WEAK_NAMES and len(parts["unlabelled"]) == 3 and scenes.video_reader is None
    assert sorted(parts["validation"] + parts["test"]) == sorted(HELD_NAMES)
    assert 3 <= len(parts["validation"]) <= 9, "about a half"
    assert rows_of(scenes.tags, WEAK_NAMES[0]) == [["Speech"], ["Dog"]]
    assert rows_of(scenes.events, HELD_NAMES[0]) == [[0.5, 2.25, "Dog"], [1.0, 10.0, "Speech"]]
    assert HELD_NAMES[-1] in parts["validation"] + parts["test"] and not rows_of(scenes.events, HELD_NAMES[-1])
    assert sorted(rows_of(scenes.tags, HELD_NAMES[0])) == [["Dog"], ["Speech"]]
    assert set(scenes.table.loc[:3, "source"]) == {f"Yweak{k}" for k in range(4)}
    assert "Y-h_3" in set(scenes.table["source"]) and not caplog.records


def test_sounds_come_in_the_order_of_the_table(desed):
    weak = recorded.desed(desed).part("weak")
    waves = weak.reader(weak.table.iloc[[2, 0]], RATE_HZ)
    assert waves.shape == (2, 10 * RATE_HZ) and waves.dtype == np.float32 and not waves.flags.writeable
    assert np.allclose(waves.mean(axis=1), [0.03, 0.01], atol=1e-3)


def test_desed_tests_on_the_public_part_where_it_is(desed):
    before = recorded.desed(desed)
    for name in PUBLIC_NAMES:
        sound(desed / "dataset/audio/eval/public" / name)
    tsv(desed / "dataset/metadata/eval/public.tsv", STRONG, *((name, 0, 10, "Blender") for name in PUBLIC_NAMES))
    scenes = recorded.desed(desed / "dataset")
    assert names_of(scenes, "test") == PUBLIC_NAMES
    assert names_of(scenes, "validation") == names_of(before, "validation")
    assert scenes.content != before.content


def test_older_lists_and_resampled_copies_do(desed):
    """Lists of 2019 end in `.csv`; the unlabelled clips have no list since 2021; copies at 16 kHz lie beside."""
    before = recorded.desed(desed).table
    metadata = desed / "dataset/metadata"
    for name in ("train/weak", "validation/validation"):
        (metadata / f"{name}.tsv").rename(metadata / f"{name}.csv")
    (metadata / "train/unlabel_in_domain.tsv").unlink()
    for name in WEAK_NAMES:
        sound(desed / "dataset/audio/train/weak_16k" / name)
    pd.testing.assert_frame_equal(recorded.desed(desed).table, before)


def test_the_content_follows_sounds_and_labels(desed):
    found = [recorded.desed(desed).content for _ in range(2)]
    sound(next(desed.rglob(WEAK_NAMES[0])), length_s=9.0)
    found.append(recorded.desed(desed).content)
    spoil(desed / "dataset/metadata/train/weak.tsv", "Frying", "Blender")
    found.append(recorded.desed(desed).content)
    assert found[0] == found[1] and len(set(found)) == 3


def test_missing_clips_are_counted_in_one_line(desed, caplog):
    for name in (WEAK_NAMES[1], HELD_NAMES[0]):
        next(desed.rglob(name)).unlink()
    with caplog.at_level(logging.WARNING):
        scenes = recorded.desed(desed)
    assert len(caplog.records) == 1
    assert "17 of 19 listed clips are there, 2 are missing" in caplog.text and "weak 1" in caplog.text
    assert not {WEAK_NAMES[1], HELD_NAMES[0]} & {*scenes.table["filename"], *scenes.tags["filename"]}
    assert HELD_NAMES[0] not in set(scenes.events["filename"])


@pytest.mark.parametrize("kind", ["desed", "mine"])
def test_a_clip_in_which_nothing_sounds_is_learnt_from_and_counted(request, kind, caplog):
    folder = request.getfixturevalue(kind)
    listing, clips = {
        "desed": ("dataset/metadata/train/weak.tsv", "dataset/audio/train/weak"), "mine": ("lists/weak.tsv", "clips")
    }[kind]  # fmt: skip
    sound(folder / clips / "silent.wav")
    with (folder / listing).open("a") as file:
        file.write("silent.wav\t\n")

    def load():
        return (
            recorded.desed(folder)
            if kind == "desed"
            else recorded.video_folder(folder / "clips", folder / "lists", 2.0)
        )

    weak = load().part("weak")
    silent = weak.table["filename"] == "silent.wav"
    assert weak.targets[silent].tolist() == [[0.0] * len(weak.classes)] and weak.targets[~silent].any(axis=1).all()
    assert not caplog.records
    (folder / clips / "silent.wav").unlink()
    load()
    assert "1 are missing (weak 1)" in caplog.text


def test_a_recording_that_tests_is_not_learnt_from(desed, caplog):
    """The same video in the weak and in the validation list, cut at another place."""
    other = "Y-h_0_77.000_87.000.wav"
    sound(desed / "dataset/audio/train/weak" / other)
    with (desed / "dataset/metadata/train/weak.tsv").open("a") as file:
        file.write(f"{other}\tDog\n")
    scenes = recorded.desed(desed)
    assert other not in set(scenes.table["filename"]) and other not in set(scenes.tags["filename"])
    assert "1 clips are left out" in caplog.text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("validation/validation", "Dog\n", "Wolf\n"), r"validation\.tsv, line 2: event_label 'Wolf' is unknown"),
        (("train/weak", "Frying", "Wok"), r"weak\.tsv, line 4: event_label 'Wok' is unknown"),
        (("validation/validation", "0.500\t2.250", "3\t2.250"), r"validation\.tsv, line 2: offset .*before onset"),
        (("validation/validation", "0.500\t2.250", "-1\t2.250"), r"validation\.tsv, line 2: onset .*below 0"),
        (("validation/validation", "10.05", "10.5"), r"validation\.tsv, line 13: offset .*beyond the end"),
        (("validation/validation", HELD_NAMES[1], HELD_NAMES[0]), r"validation\.tsv, line 3: .*there already"),
        (("validation/validation", "offset", "end"), r"validation\.tsv: lacks the column offset"),
        (("train/unlabel_in_domain", "filename", "file"), r"unlabel_in_domain\.tsv: lacks the column filename"),
    ],
)
def test_a_bad_row_is_told_with_file_and_line(desed, change, words):
    name, old, new = change
    spoil(desed / f"dataset/metadata/{name}.tsv", old, new)
    with pytest.raises(CourseError, match=words) as told:
        recorded.desed(desed)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        ("metadata/train/weak.tsv", r"weak\.tsv: cannot be read"),
        ("metadata/validation/validation.tsv", r"validation\.tsv: cannot be read"),
        ("audio/train/weak", "has none of 4 listed clips of the part weak"),
        ("audio/train/unlabel_in_domain", "has none of 3 listed clips of the part unlabelled"),
        ("audio/validation", "listed clips of the part validation"),
        ("", "no such folder"),
    ],
)
def test_what_is_missing_is_told(desed, where, words):
    path = desed / "dataset" / where
    path.rename(desed / "elsewhere")
    with pytest.raises(CourseError, match=words):
        recorded.desed(desed / "dataset")


SEGMENTS = ("segment_id", "start_time_seconds", "end_time_seconds", "label")


@pytest.fixture
def audioset(tmp_path):
    """Forty videos to learn from, eight to test on; every second barks, every third speaks; the rest is music."""
    tsv(tmp_path / "mid.tsv", ("/m/bark", "Bark"), ("/m/speech", '"Hello", man'), ("/m/music", "Music"))
    for listing, names in (("train", range(40)), ("eval", range(40, 48))):
        rows = []
        for k in names:
            segment = f"-a_{k}_{k}000"
            rows.append((segment, 0, 10, "/m/music"))
            if k % 2 == 0:
                rows += [(segment, 1, 3, "/m/bark"), (segment, 2.5, 4, "/m/bark"), (segment, 1, 3, "/m/bark")]
            if k % 3 == 0:
                rows.append((segment, 5, 10.02, "/m/speech"))
            sound(tmp_path / "clips" / f"{k % 2}" / f"{segment if k % 4 else f'-a_{k}'}.flac")
        tsv(tmp_path / f"{listing}.tsv", SEGMENTS, *rows)
    return tmp_path


def load_audioset(folder, classes=("Bark", '"Hello", man')):
    lists = [folder / f"{name}.tsv" for name in ("train", "eval", "mid")]
    return recorded.audioset_strong(*lists, folder / "clips", classes)


def test_audioset_keeps_the_classes_that_are_asked_for(audioset, caplog):
    (audioset / "clips/0/-a_2_2000.flac").unlink()
    scenes = load_audioset(audioset)
    assert "31 of 32 listed clips are there, 1 are missing" in caplog.text
    assert scenes.classes == ["Bark", '"Hello", man'] and len(scenes) == 31
    assert set(names_of(scenes, "test")) == {f"-a_{k}_{k}000" for k in (40, 42, 44, 45, 46)}
    assert rows_of(scenes.events, "-a_42_42000") == [[1.0, 4.0, "Bark"], [5.0, 10.0, '"Hello", man']]
    learnt, held = (set(scenes.part(part).table["source"]) for part in ("weak", "validation"))
    assert not learnt & held and len(learnt) > len(held) >= 1 and "-a_6" in learnt | held
    assert not set(scenes.events["filename"]) & set(names_of(scenes, "weak"))
    weak = scenes.part("weak")
    assert weak.targets.sum(axis=0).tolist() == [
        sum(int(s[3:]) % 2 == 0 for s in learnt), sum(int(s[3:]) % 3 == 0 for s in learnt)
    ]  # fmt: skip
    assert load_audioset(audioset, ["Bark"]).part("test").targets.sum() == 4


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("/m/bark", "/m/wolf", r"train\.tsv, row 2: label '/m/wolf' is not in .*mid\.tsv"),
        ("1\t3", "4\t3", r"train\.tsv, row 2: offset .*before onset"),
        ("1\t3", "1\t30", r"train\.tsv, row 2: offset .*beyond the end"),
        ("1\t3", "one\t3", r"train\.tsv, row 2: onset 'one' is no time"),
        ("segment_id", "id", r"train\.tsv: lacks the column segment_id"),
    ],
)
def test_a_bad_row_of_audioset_is_told(audioset, old, new, words):
    spoil(audioset / "train.tsv", old, new)
    with pytest.raises(CourseError, match=words):
        load_audioset(audioset)


def test_a_folder_of_audioset_is_scenes_for_the_study(audioset):
    with pytest.raises(CourseError, match=r"classes\.txt: cannot be read \(No such file.*one display name per line"):
        load_scenes(f"audioset:{audioset}", 1, SceneSpec())
    (audioset / "classes.txt").write_text('Bark\n\n"Hello", man\n')
    scenes, same = load_scenes(f"audioset:{audioset}", 1, SceneSpec()), load_audioset(audioset)
    assert scenes.classes == same.classes and scenes.table["filename"].tolist() == same.table["filename"].tolist()


def test_a_class_that_is_no_display_name_is_a_usage_error(audioset):
    with pytest.raises(UsageError, match=r"class 'bark' is named twice or not in .*mid\.tsv"):
        load_audioset(audioset, ["bark"])


def small_video(path, colour, length_s=2):
    """A video of one colour, with sound of one level."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        voice = file.add_stream("aac", rate=RATE_HZ, layout="mono")
        picture = np.broadcast_to(np.asarray(colour, np.uint8), (32, 32, 3)).copy()
        for _ in range(5 * length_s):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        wave = np.full((1, length_s * RATE_HZ), 0.25, np.float32)
        frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
        frame.sample_rate = RATE_HZ
        file.mux(voice.encode(frame))
        file.mux(stream.encode(None))
        file.mux(voice.encode(None))


@pytest.fixture
def ave(tmp_path):
    """Six videos, two a list; one is in two lists, one row has no length, one video has two events and equal rows."""
    rows = {
        "trainSet.txt": [
            "Church bell&-bell_000001&good&0&10", "Bark&dog00000002&good&2&5", "Bark&both0000003&good&1&4",
        ],
        "valSet.txt": ["Bark&val00000004&good&3&6", "Male speech, man speaking&val00000005&good&0&0"],
        "testSet.txt": [
            "Church bell&both0000003&good&5&9", "Bark&test0000006&good&0&2", "Bark&test0000006&good&2&3",
            "Bark&test0000006&good&2&3",
        ],
    }  # fmt: skip
    for name, lines in rows.items():
        (tmp_path / name).write_text("\n".join(lines) + "\n")
    everything = ["Category&VideoID&Quality&StartTime&EndTime", *(line for lines in rows.values() for line in lines)]
    (tmp_path / "Annotations.txt").write_text("\n".join(everything))
    names = ["-bell_000001", "dog00000002", "both0000003", "val00000004", "val00000005", "test0000006"]
    for k, name in enumerate(names):
        small_video(tmp_path / "AVE" / f"{name}.mp4", (40 * k, 0, 200))
    return tmp_path


def test_ave_has_labels_in_seconds_and_pictures(ave, caplog):
    scenes = recorded.ave(ave)
    assert scenes.classes == ["Bark", "Church bell", "Male speech, man speaking"]
    assert names_of(scenes, "weak") == ["-bell_000001", "dog00000002"] and names_of(scenes, "validation") == [
        "val00000004"
    ]
    assert rows_of(scenes.events, "both0000003") == [[1.0, 4.0, "Bark"], [5.0, 9.0, "Church bell"]]
    assert rows_of(scenes.events, "test0000006") == [[0.0, 3.0, "Bark"]]
    assert rows_of(scenes.tags, "dog00000002") == [["Bark"]]
    assert "1 rows have no length" in caplog.text and "1 clips are left out" in caplog.text
    test = scenes.part("test")
    pictures, waves = test.video_frames(1.0, 16), test.waves(RATE_HZ)
    assert pictures.shape == (2, 10, 16, 16, 3) and waves.shape == (2, 10 * RATE_HZ)
    assert np.abs(pictures[:, 0, 8, 8].astype(int) - [[80, 0, 200], [200, 0, 200]]).max() < 20
    assert not pictures[:, 2:].any(), "the videos last 2 s"
    assert np.abs(waves[:, RATE_HZ] - 0.25).max() < 0.05 and not waves[:, 3 * RATE_HZ :].any()
    # half a frame at the end is none, as in the times that features of pictures get
    assert test.video_frames(0.25, 8).shape[1] == len(timebase.video_frame_times_s(10.0, 0.25)) == 2


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("trainSet.txt", "Bark&dog", "Woof&dog", r"trainSet\.txt, row 2: label 'Woof' is not in .*Annotations\.txt"),
        ("trainSet.txt", "2&5", "5&2", r"trainSet\.txt, row 2: offset .*before onset"),
        ("testSet.txt", "5&9", "5&19", r"testSet\.txt, row 1: offset .*beyond the end"),
        ("valSet.txt", "&3&6", "&3", r"valSet\.txt, row 1: offset .*no time"),
    ],
)
def test_a_bad_row_of_ave_is_told(ave, name, old, new, words):
    spoil(ave / name, old, new)
    with pytest.raises(CourseError, match=words) as told:
        recorded.ave(ave)
    assert "\n" not in str(told.value)


def test_ave_without_its_lists_or_videos_is_told(ave):
    (ave / "AVE/val00000004.mp4").unlink()
    with pytest.raises(CourseError, match="has none of 1 listed clips of the part validation"):
        recorded.ave(ave)
    (ave / "valSet.txt").unlink()
    with pytest.raises(CourseError, match=r"valSet\.txt: cannot be read as a list \(No such file"):
        recorded.ave(ave)


@pytest.fixture
def mine(tmp_path):
    """Clips of the same name in two folders, a recording cut in two, and no unlabelled part."""
    for k, name in enumerate(["a/1.mp4", "b/1.mp4", "walk_0_2.mp4", "walk_2_4.mp4", "test.mkv"]):
        small_video(tmp_path / "clips" / name, (50 * k, 100, 0))
    weak = [("a/1.mp4", "dog, cat"), ("b\\1.mp4", "cat")]
    tsv(tmp_path / "lists/weak.tsv", ("filename", "event_labels"), *weak)
    validation = [("walk_0_2.mp4", 0.5, 1.5, "dog"), ("walk_2_4.mp4", "", "", "")]
    tsv(tmp_path / "lists/validation.tsv", STRONG, *validation)
    tsv(tmp_path / "lists/test.tsv", STRONG, ("test.mkv", 0, 2, "cat"))
    return tmp_path


def test_a_folder_of_videos(mine):
    scenes = recorded.video_folder(mine / "clips", mine / "lists", clip_s=2.0)
    assert scenes.classes == ["cat", "dog"] and scenes.table["part"].tolist() == ["weak"] * 2 + ["validation"] * 2 + [
        "test"
    ]
    assert scenes.table["source"].tolist() == ["a/1", "b\\1", "walk", "walk", "test"]
    assert rows_of(scenes.events, "walk_0_2.mp4") == [[0.5, 1.5, "dog"]]
    red = scenes.video_frames(1.0, 8)[:, 0, 4, 4, 0].astype(int)
    assert np.abs(red - [0, 50, 100, 150, 200]).max() < 20
    sound(mine / "clips/more.wav")
    tsv(mine / "lists/unlabelled.tsv", ("filename",), ("more.wav",))
    scenes = recorded.video_folder(mine / "clips", mine / "lists", clip_s=2.0)
    assert names_of(scenes, "unlabelled") == ["more.wav"] and scenes.waves(RATE_HZ).shape == (6, 2 * RATE_HZ)
    with pytest.raises(CourseError, match="has no video frames"):
        scenes.video_frames()


def test_a_video_wins_over_a_sound_of_its_name(ave):
    sound(ave / "AVE/dog00000002.wav")
    sound(ave / "0wavs/test0000006.wav")
    assert recorded.ave(ave).table["path"].str.endswith(video.ENDINGS).all()


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("test", "cat", "cow", r"test\.tsv, line 2: event_label 'cow' is unknown; expected one of cat, dog"),
        ("test", "0\t2", "0\t12", r"test\.tsv, line 2: offset .*beyond the end of the clip"),
        ("test", "test.mkv", "walk_4_6.mp4", "has none of 1 listed clips of the part test"),
        ("test", "test.mkv", "walk_2_4.mp4", "source 'walk' is in 2 parts"),
        ("weak", "event_labels", "labels", r"weak\.tsv: lacks the column event_labels"),
    ],
)
def test_bad_lists_of_ones_own_are_told(mine, name, old, new, words):
    spoil(mine / f"lists/{name}.tsv", old, new)
    with pytest.raises(CourseError, match=words):
        recorded.video_folder(mine / "clips", mine / "lists", clip_s=2.0)
