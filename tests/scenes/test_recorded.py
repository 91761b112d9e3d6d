"""Recorded scenes with labels in time: a tiny folder of videos with DCASE's lists, and AVE's layout."""

import logging
from itertools import chain

import av
import numpy as np
import pytest
import soundfile as sf

from course_lib.audio import timebase
from course_lib.errors import CourseError
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
def mine(tmp_path, monkeypatch):
    """Clips of the same name in two folders, a recording cut in two, and no unlabelled part."""
    monkeypatch.setattr(recorded, "CLIP_S", 2.0)
    for k, name in enumerate(["a/1.mp4", "b/1.mp4", "walk_0_2.mp4", "walk_2_4.mp4", "test.mkv"]):
        small_video(tmp_path / name, (50 * k, 100, 0))
    weak = [("a/1.mp4", "dog, cat"), ("b\\1.mp4", "cat")]
    tsv(tmp_path / "weak.tsv", ("filename", "event_labels"), *weak)
    validation = [("walk_0_2.mp4", 0.5, 1.5, "dog"), ("walk_2_4.mp4", "", "", "")]
    tsv(tmp_path / "validation.tsv", STRONG, *validation)
    tsv(tmp_path / "test.tsv", STRONG, ("test.mkv", 0, 2.05, "cat"))
    return tmp_path


def test_a_folder_of_videos(mine, caplog):
    scenes = recorded.video_folder(mine)
    assert scenes.classes == ["cat", "dog"]
    assert scenes.table["part"].tolist() == ["weak"] * 2 + ["validation"] * 2 + ["test"]
    assert scenes.table["source"].tolist() == ["a/1", "b\\1", "walk", "walk", "test"]
    assert rows_of(scenes.tags, "a/1.mp4") == [["dog"], ["cat"]]
    assert rows_of(scenes.events, "walk_0_2.mp4") == [[0.5, 1.5, "dog"]]
    assert rows_of(scenes.events, "test.mkv") == [[0, 2, "cat"]], "cut at the end of the clip"
    red = scenes.video_frames(1.0, 8)[:, 0, 4, 4, 0].astype(int)
    assert np.abs(red - [0, 50, 100, 150, 200]).max() < 20 and not caplog.records
    sound(mine / "more.wav")
    tsv(mine / "unlabelled.tsv", ("filename",), ("more.wav",))
    scenes = recorded.video_folder(mine)
    assert names_of(scenes, "unlabelled") == ["more.wav"] and scenes.waves(RATE_HZ).shape == (6, 2 * RATE_HZ)
    with pytest.raises(CourseError, match="has no video frames"):
        scenes.video_frames()


def test_sounds_come_in_the_order_of_the_table(tmp_path):
    """DESED's names: `YID_FROM_TO.wav`, and bare names in the lists."""
    names = {"weak": ["Y-a_0.000_10.000.wav", "Yb_30.000_40.000.wav"], "validation": ["Yc_0.000_10.000.wav"],
             "test": ["Yd_1.000_11.000.wav"]}  # fmt: skip
    for k, name in enumerate(chain(*names.values())):
        sound(tmp_path / name, (k + 1) / 100)
    tsv(tmp_path / "weak.tsv", ("filename", "event_labels"), *((name, "Dog") for name in names["weak"]))
    for part in ("validation", "test"):
        tsv(tmp_path / f"{part}.tsv", STRONG, *((name, 0, 10.05, "Dog") for name in names[part]))
    scenes = load_scenes(f"videos:{tmp_path}", 1, SceneSpec())
    assert scenes.table["source"].tolist() == ["Y-a", "Yb", "Yc", "Yd"] and scenes.video_reader is None
    waves = scenes.reader(scenes.table.iloc[[2, 0]], RATE_HZ)
    assert waves.shape == (2, 10 * RATE_HZ) and waves.dtype == np.float32 and not waves.flags.writeable
    assert np.allclose(waves.mean(axis=1), [0.03, 0.01], atol=1e-3)


def test_the_content_follows_sounds_and_labels(mine):
    found = [recorded.video_folder(mine).content for _ in range(2)]
    small_video(mine / "a/1.mp4", (250, 0, 0), length_s=1)
    found.append(recorded.video_folder(mine).content)
    spoil(mine / "weak.tsv", "dog, cat", "dog")
    found.append(recorded.video_folder(mine).content)
    assert found[0] == found[1] and len(set(found)) == 3


def test_missing_clips_are_counted_in_one_line(mine, caplog):
    for name in ("a/1.mp4", "walk_0_2.mp4"):
        (mine / name).unlink()
    with caplog.at_level(logging.WARNING):
        scenes = recorded.video_folder(mine)
    assert len(caplog.records) == 1
    assert "3 of 5 listed clips are there, missing: " in caplog.text and "weak 1" in caplog.text
    assert not {"a/1.mp4", "walk_0_2.mp4"} & {*scenes.table["filename"], *scenes.tags["filename"]}
    assert scenes.events["filename"].tolist() == ["test.mkv"]


def test_a_clip_in_which_nothing_sounds_is_learnt_from(mine):
    sound(mine / "silent.wav")
    with (mine / "weak.tsv").open("a") as file:
        file.write("silent.wav\t\n")
    weak = recorded.video_folder(mine).part("weak")
    assert weak.table["filename"].tolist()[-1] == "silent.wav"
    assert weak.targets.tolist() == [[1, 1], [1, 0], [0, 0]]


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("test", "cat", "cow", r"test\.tsv, line 2: event_label 'cow' is unknown; expected one of cat, dog"),
        ("test", "0\t2", "0\t12", r"test\.tsv, line 2: offset .*beyond the end of the clip"),
        ("validation", "0.5\t", "-1\t", r"validation\.tsv, line 2: onset .*below 0"),
        ("test", "test.mkv", "walk_4_6.mp4", "has none of the 1 listed clips of the part test"),
        ("test", "test.mkv", "walk_2_4.mp4", "source 'walk' is in 2 parts"),
        ("weak", "event_labels", "labels", r"weak\.tsv: lacks the column event_labels"),
    ],
)
def test_bad_lists_of_ones_own_are_reported(mine, name, old, new, words):
    spoil(mine / f"{name}.tsv", old, new)
    with pytest.raises(CourseError, match=words) as caught:
        recorded.video_folder(mine)
    assert "\n" not in str(caught.value)


def test_missing_lists_and_folders_are_reported(mine):
    (mine / "weak.tsv").unlink()
    for folder in (mine, mine / "nowhere"):
        with pytest.raises(CourseError, match=r"weak\.tsv: cannot be read"):
            recorded.video_folder(folder)


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
    assert names_of(scenes, "weak") == ["AVE/-bell_000001.mp4", "AVE/dog00000002.mp4"]
    assert names_of(scenes, "validation") == ["AVE/val00000004.mp4"]
    assert rows_of(scenes.events, "AVE/both0000003.mp4") == [[5.0, 9.0, "Church bell"]]
    assert rows_of(scenes.events, "AVE/test0000006.mp4") == [[0.0, 3.0, "Bark"]]
    assert rows_of(scenes.tags, "AVE/dog00000002.mp4") == [["Bark"]]
    assert "AVE: 2 rows without length, or of videos that also validate or test, are left out" in caplog.text
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
        (
            "trainSet.txt",
            "Bark&dog",
            "Woof&dog",
            r"trainSet\.txt, row 2: event_label 'Woof' is unknown; expected one of Bark",
        ),
        ("trainSet.txt", "2&5", "5&2", r"trainSet\.txt, row 2: offset .*before onset"),
        ("testSet.txt", "5&9", "5&19", r"testSet\.txt, row 1: offset .*beyond the end"),
        ("valSet.txt", "&3&6", "&3", r"valSet\.txt, row 1: offset .*not a time"),
    ],
)
def test_a_bad_row_of_ave_is_told(ave, name, old, new, words):
    spoil(ave / name, old, new)
    with pytest.raises(CourseError, match=words) as told:
        recorded.ave(ave)
    assert "\n" not in str(told.value)


def test_ave_without_its_lists_or_videos_is_told(ave):
    (ave / "AVE/val00000004.mp4").unlink()
    with pytest.raises(CourseError, match="has none of the 1 listed clips of the part validation"):
        recorded.ave(ave)
    (ave / "valSet.txt").unlink()
    with pytest.raises(CourseError, match=r"valSet\.txt: cannot be read as a list \(No such file"):
        recorded.ave(ave)
