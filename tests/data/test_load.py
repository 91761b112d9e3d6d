"""Each data set's layout, made small; folds, splits and thinning; one array behind all parts."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import sound
from hypothesis import given
from hypothesis import strategies as st

from course_lib import profiles
from course_lib.audio import io as audio_io
from course_lib.audio.augment import NAA
from course_lib.data import clips as files
from course_lib.data import download, folds, load, registry
from course_lib.data.augmented import with_copies
from course_lib.data.clips import Clips
from course_lib.errors import CourseError, UsageError

SMOKE, STUDY = profiles.get("smoke"), profiles.get("study")


def lines(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


def one(table, clip):
    row = table[table["clip"] == clip]
    assert len(row) == 1
    return row.iloc[0].to_dict()


def test_esc10_layout(tmp_path):
    for name in ("001 - Dog bark/1-30226-A.ogg", "001 - Dog bark/5-9032-B.ogg", "010 - Fire crackling/2-7-A.ogg"):
        sound(tmp_path / name)
    (tmp_path / "README.md").touch()
    table = load.TABLES["esc10"](tmp_path)
    assert len(table) == 3
    assert one(table, "5-9032-B") == {
        "clip": "5-9032-B", "label": "dog", "fold": 5, "source": "9032", "take": "B",
        "path": "001 - Dog bark/5-9032-B.ogg",
    }  # fmt: skip
    assert one(table, "2-7-A")["label"] == "crackling_fire"


def test_esc50_layout(tmp_path):
    lines(
        tmp_path / "meta" / "esc50.csv",
        "filename,fold,target,category,esc10,src_file,take",
        "1-100032-A-0.wav,1,0,dog,True,100032,A",
        "4-7-C-14.wav,4,14,chirping_birds,False,7,C",
    )
    row = one(load.TABLES["esc50"](tmp_path), "4-7-C-14")
    assert (row["label"], row["fold"], row["source"], row["esc10"]) == ("chirping_birds", 4, "7", False)
    assert row["path"] == "audio/4-7-C-14.wav"


def test_fsdd_layout(tmp_path):
    for name in ("0_george_0", "0_george_5", "9_theo_49", "3_jackson_4"):
        sound(tmp_path / "recordings" / f"{name}.wav")
    table = load.TABLES["fsdd"](tmp_path)
    row = one(table, "9_theo_49")
    assert (row["label"], row["fold"], row["source"], row["speaker"]) == ("9", 3, "theo", "theo")
    assert table.set_index("clip")["official_test"].to_dict() == {
        "0_george_0": True, "0_george_5": False, "3_jackson_4": True, "9_theo_49": False,
    }  # fmt: skip
    folds.check_sources_whole(table)


def test_urbansound8k_layout(tmp_path):
    lines(
        tmp_path / "metadata" / "UrbanSound8K.csv",
        "slice_file_name,fsID,start,end,salience,fold,classID,class",
        "100032-3-0-0.wav,100032,0.0,0.317551,1,5,3,dog_bark",
        "9-1-0-0.wav,9,0.0,4,2,10,1,car_horn",
        "77-3-0-0.wav,77,0.0,4,1,1,3,dog_bark",
        "77-1-0-1.wav,77,4.0,8,1,2,1,car_horn",
    )
    row = one(load.TABLES["urbansound8k"](tmp_path), "9-1-0-0")
    assert (row["label"], row["fold"], row["source"], row["salience"]) == ("car_horn", 10, "9", 2)
    assert row["path"] == "audio/fold10/9-1-0-0.wav"
    table = load.TABLES["urbansound8k"](tmp_path)
    assert table["source"].tolist() == ["100032", "9", "77 in fold 1", "77 in fold 2"]
    with_copies(as_clips(table), NAA)  # refuses sources that cross folds


def test_speechcommands_layout(tmp_path):
    for name in ("yes/aa_nohash_0", "yes/bb_nohash_1", "no/cc_nohash_0.wav", "_background_noise_/pink"):
        sound(tmp_path / f"{name}.wav")
    lines(tmp_path / "validation_list.txt", "yes/bb_nohash_1.wav")
    lines(tmp_path / "testing_list.txt", "no/cc_nohash_0.wav.wav")
    table = load.TABLES["speechcommands"](tmp_path)
    assert table[["label", "source", "part", "fold"]].to_numpy().tolist() == [
        ["no", "cc", "test", 3], ["yes", "aa", "train", 1], ["yes", "bb", "validation", 2],
    ]  # fmt: skip


def test_nsynth_layout(tmp_path):
    note = {"instrument_family_str": "bass", "instrument_str": "bass_electronic_001", "pitch": 60, "velocity": 100}
    for part in ("train", "valid", "test"):
        lines(tmp_path / f"nsynth-{part}" / "examples.json", json.dumps({f"bass_{part}-060-100": note}))
    row = one(load.TABLES["nsynth"](tmp_path), "bass_valid-060-100")
    assert (row["label"], row["source"], row["part"], row["fold"]) == ("bass", "bass_electronic_001", "validation", 2)
    assert row["path"] == "nsynth-valid/audio/bass_valid-060-100.wav"


def test_fsd50k_layout(tmp_path):
    truth = tmp_path / "FSD50K.ground_truth"
    lines(truth / "dev.csv", "fname,labels,mids,split", '1,"Bark,Dog",/m/1,train', "2,Rain,/m/2,val")
    lines(truth / "eval.csv", "fname,labels,mids", '3,"Rain,Water","/m/2,/m/3"')
    table = load.TABLES["fsd50k"](tmp_path)
    assert table["fold"].tolist() == [1, 2, 3]
    assert one(table, "3")["labels"] == "Rain|Water" and one(table, "3")["label"] == "Rain"
    assert one(table, "2")["path"] == "FSD50K.dev_audio/2.wav"


def test_listed_sound_that_is_not_there(tmp_path):
    rows = table(("a", 1, "s")).assign(path="none.wav")
    with pytest.raises(CourseError, match=r"none\.wav: No such file or directory, but it is listed"):
        files.clips_from_files("made", rows, tmp_path, 1.0, 8_000, "x")


def test_tables_that_cannot_be_read(tmp_path):
    lines(tmp_path / "t.csv", "a,b", "1,2")
    with pytest.raises(CourseError, match=r"t\.csv: lacks the column c; get the data set again"):
        files.read_csv(tmp_path / "t.csv", ["a", "c"])
    with pytest.raises(CourseError, match=r"none\.csv: cannot be read as a table"):
        files.read_csv(tmp_path / "none.csv", ["a"])


# --- load --------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_fsdd(tmp_path, monkeypatch):
    """Three speakers, two digits, four takes, each with a pitch of its own; put there by hand."""
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    names = [f"{d}_{s}_{t}" for d in (0, 1) for s in ("ann", "bob", "eve") for t in range(4)]
    for n, name in enumerate(names):
        sound(tmp_path / "fsdd" / "recordings" / f"{name}.wav", hz=100 + 50 * n)
    real = registry.entry
    entry = replace(real("fsdd"), clips=24, manifest="", by_hand="unpack it")
    monkeypatch.setattr(registry, "entry", lambda name: entry if name == "fsdd" else real(name))
    return tmp_path / "fsdd"


def test_load_decodes_once_for_all_parts(small_fsdd, monkeypatch):
    calls = []
    real = audio_io.read_many
    monkeypatch.setattr(audio_io, "read_many", lambda *args: calls.append(1) or real(*args))
    clips = load.load("fsdd", STUDY)
    waves = clips.waves(8_000, 0.1)
    assert waves.shape == (24, 800) and waves.dtype == np.float32 and not waves.flags.writeable
    train, validation, test = folds.split(clips, 3)
    for mask in (train, validation, test):
        part = clips.where(mask)
        np.testing.assert_array_equal(part.waves(8_000, 0.1), waves[mask])
        assert not part.waves(8_000, 0.1).flags.writeable
    np.testing.assert_array_equal(load.load("fsdd", STUDY).waves(8_000, 0.1), waves)
    assert len(calls) == 1
    peaks = 10 * np.abs(np.fft.rfft(waves)).argmax(axis=1)
    assert peaks.tolist() == [100 + 50 * n for n in range(24)], "each row is the sound of its own file"


def test_changed_sounds_are_not_stale(small_fsdd):
    before = load.load("fsdd", STUDY)
    old = before.waves(8_000, 0.1).copy()
    sound(small_fsdd / "recordings" / "0_ann_0.wav", hz=3_000)
    with pytest.raises(CourseError, match=r"0_ann_0\.wav differs from the published file"):
        load.load("fsdd", STUDY)
    (small_fsdd / download.OWN_CHECKSUMS).unlink()
    after = load.load("fsdd", STUDY)
    assert after.content != before.content
    assert np.abs(after.waves(8_000, 0.1)[0] - old[0]).max() > 0.5
    np.testing.assert_array_equal(before.waves(8_000, 0.1), old)
    with pytest.raises(CourseError, match="a sound has changed since the data set was loaded"):
        before.waves(4_000, 0.1)


def test_load_takes_a_few_of_each_class(small_fsdd):
    clips = load.load("fsdd", replace(SMOKE, real_clips_per_class=6), seed=1)
    assert clips.table.groupby(["label", "fold"]).size().tolist() == [2] * 6
    assert clips.content != load.load("fsdd", STUDY).content
    assert clips.waves(8_000, 0.1).shape == (12, 800)


def test_load_refuses_a_set_whose_fold_lacks_a_class(small_fsdd, monkeypatch):
    for take in range(4):
        (small_fsdd / "recordings" / f"1_eve_{take}.wav").unlink()
    twenty = replace(registry.entry("fsdd"), clips=20)
    monkeypatch.setattr(registry, "entry", lambda name: twenty)
    with pytest.raises(CourseError, match="fsdd: class '1' has no clip in fold 3; every split"):
        load.load("fsdd", STUDY)


def test_load_counts_the_clips(small_fsdd, monkeypatch):
    (small_fsdd / "recordings" / "0_ann_0.wav").unlink()
    with pytest.raises(CourseError, match="has 23 clips, expected 24; run: course data get fsdd --force"):
        load.load("fsdd", STUDY)


def test_load_unknown_and_absent(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    with pytest.raises(UsageError, match=r"'esc12' is unknown; choose one of synth10, .* path of a manifest\.csv"):
        load.load("esc12", SMOKE)
    with pytest.raises(CourseError, match=r"^esc10 is not on this machine; run: course data get esc10$"):
        load.load("esc10", SMOKE)
    with pytest.raises(CourseError, match=r"my\.csv: No such file or directory; expected a CSV file"):
        load.load("my.csv", SMOKE)


# --- folds -------------------------------------------------------------------------------------------------------


def table(*rows):
    """Rows of `(label, fold, source)`."""
    out = pd.DataFrame(rows, columns=["label", "fold", "source"])
    return out.assign(clip=[f"c{n}" for n in range(len(out))])


def as_clips(t):
    return Clips("made", t, 1.0, 8_000, "x", lambda *args: np.zeros((len(args[0]), 1), np.float32))


@given(takes=st.lists(st.integers(1, 7), min_size=10, max_size=40), n_folds=st.integers(2, 5), seed=st.integers(0, 99))
def test_folds_by_source_keep_sources_whole_and_fill_every_fold(takes, n_folds, seed):
    t = table(*((f"label{s % 2}", 0, f"s{s}") for s, n in enumerate(takes) for _ in range(n)))
    t["fold"] = folds.folds_by_source(t, n_folds, seed)
    folds.check_sources_whole(t)
    assert set(t["fold"]) == set(range(1, n_folds + 1))


def test_folds_by_source_spread_classes_and_ignore_the_order():
    t = table(*((label, 0, f"{label}{s}") for label in "abc" for s in range(10) for _ in range(2)))
    found = folds.folds_by_source(t, 5, 0)
    assert pd.crosstab(t["label"], found).to_numpy().tolist() == [[4] * 5] * 3
    shuffled = t.sample(frac=1, random_state=1)
    assert folds.folds_by_source(shuffled, 5, 0).tolist() == found[shuffled.index].tolist()
    assert folds.folds_by_source(t, 5, 1).tolist() != found.tolist()
    with pytest.raises(UsageError, match="class 'a' has 10 sources; 11 folds need at least 11"):
        folds.folds_by_source(t, 11)


def test_crossing_sources_are_named():
    t = table(("a", 1, "s"), ("a", 2, "s"), ("b", 2, "t"))
    assert folds.crossing_sources(t) == ["s"]
    with pytest.raises(CourseError, match=r"source 's' is in folds 1 and 2 \(1 such\); put a source into one fold"):
        folds.check_sources_whole(t)


def test_split_rotates_and_misses_nothing():
    clips = as_clips(table(*(("a", fold, f"s{fold}") for fold in (1, 2, 4, 5) for _ in range(3))))
    for test_fold, validation_fold in ((1, 2), (2, 4), (4, 5), (5, 1)):
        train, validation, test = folds.split(clips, test_fold)
        assert (train.astype(int) + validation + test).tolist() == [1] * 12
        assert set(clips.table["fold"][test]) == {test_fold}
        assert set(clips.table["fold"][validation]) == {validation_fold}
    with pytest.raises(UsageError, match="made: cannot test on fold 3; choose one of 1, 2, 4, 5"):
        folds.split(clips, 3)


def test_split_keeps_to_an_official_one():
    t = table(("a", 1, "r"), ("a", 2, "s"), ("a", 3, "t")).assign(part=["train", "validation", "test"])
    assert folds.testable_folds(as_clips(t)) == [3]
    assert [m.tolist() for m in folds.split(as_clips(t), 3)] == np.eye(3, dtype=bool).tolist()
    with pytest.raises(UsageError, match="cannot test on fold 1; choose one of 3"):
        folds.split(as_clips(t), 1)


def test_split_needs_three_folds():
    with pytest.raises(UsageError, match="has 2 folds; training, validation and test need 3"):
        folds.split(as_clips(table(("a", 1, "r"), ("a", 2, "s"))), 1)


def test_thin_out_takes_whole_sources_in_all_folds():
    t = table(*(("a", fold, f"{fold}-{s}") for fold in range(1, 6) for s in range(4) for _ in range(3)))
    thin = folds.subsample(t, 30, 0)
    assert thin["fold"].value_counts().tolist() == [6] * 5
    assert thin["source"].value_counts().tolist() == [3] * 10
    assert thin.index.tolist() == list(range(30))
    pd.testing.assert_frame_equal(thin, folds.subsample(t, 30, 0))
    assert folds.subsample(t, 30, 1)["clip"].tolist() != thin["clip"].tolist()
    assert len(folds.subsample(t, None, 0)) == len(folds.subsample(t, 1_000, 0)) == 60


def test_thin_out_makes_up_for_a_small_fold():
    t = table(("a", 1, "s"), *(("a", 2, f"t{n}") for n in range(9)))
    assert folds.subsample(t, 6, 0)["fold"].value_counts().to_dict() == {1: 1, 2: 5}
