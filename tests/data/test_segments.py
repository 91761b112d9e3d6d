"""From an official list and a folder of sounds to a manifest, on tiny lists of the published layout."""

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from typer.testing import CliRunner

from course_lib import profiles
from course_lib.cli import main as cli
from course_lib.data import folds, segments
from course_lib.data.load import load
from course_lib.errors import CourseError, UsageError

RATE_HZ = 8000


def sound(path, hz=440):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, 0.5 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ), RATE_HZ)


@pytest.fixture
def vgg(tmp_path):
    """Forty videos of two classes, the last ten for the test; one sound is missing, one is no clip of the list."""
    lines = []
    for k in range(40):
        name, label = f"{'-_'[k % 2]}video{k:05d}", ("dog barking", 'playing violin, "fiddle"')[k % 2]
        quoted = '"' + label.replace('"', '""') + '"'
        lines.append(f"{name},{30 * k},{quoted},{'test' if k >= 30 else 'train'}")
        if k != 7:
            sound(tmp_path / "audio" / f"{k % 3}" / f"{name}_{30 * k:06d}.wav", 300 + 400 * (k % 2))
    sound(tmp_path / "audio" / "stranger_000000.wav")
    (tmp_path / "vggsound.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_vggsound_becomes_a_manifest_that_loads(vgg):
    result = CliRunner().invoke(
        cli.app, ["data", "manifest", "vggsound", f"{vgg / 'vggsound.csv'}", "--folder", f"{vgg / 'audio'}",
                  "--output", f"{vgg / 'manifest.csv'}"]
    )  # fmt: skip
    assert result.exit_code == 0 and "39 of 40 listed clips are there, 1 are missing" in result.output
    clips = load(str(vgg / "manifest.csv"), profiles.get("study"))
    assert len(clips) == 39 and clips.classes == ["dog barking", 'playing violin, "fiddle"']
    assert clips.waves(RATE_HZ).shape == (39, RATE_HZ)
    training, validation, test = folds.split(clips, 3)
    assert (training.sum() + validation.sum(), test.sum()) == (29, 10) and validation.sum() >= 1
    sources = clips.table["source"]
    assert not set(sources[training]) & set(sources[validation]) and sources.str.match(r"[-_]video\d{5}$").all()


def test_validation_is_the_same_on_every_machine_and_a_tenth_of_the_sources():
    table = pd.DataFrame({"source": [f"v{k}" for k in range(2000)]})
    kept = table["source"].map(lambda s: segments.held_out(s))
    assert 0.07 < kept.mean() < 0.13 and kept[:12].tolist() == [segments.held_out(f"v{k}") for k in range(12)]


def test_epic_sounds_takes_both_lists(tmp_path):
    header = "annotation_id,participant_id,video_id,start_timestamp,stop_timestamp,description,class,class_id\n"
    for part, videos in (("train", range(20)), ("validation", range(20, 24))):
        rows = []
        for video in videos:
            for k, kind in enumerate(("rustle", "water")):
                rows.append(f"P01_{video:02d}_{k},P01,P01_{video:02d},00:00:01.0,00:00:02.0,x,{kind},{k}")
                sound(tmp_path / "clips" / f"P01_{video:02d}_{k}.wav")
        (tmp_path / f"EPIC_Sounds_{part}.csv").write_text(header + "\n".join(rows) + "\n")
    lists = [tmp_path / f"EPIC_Sounds_{part}.csv" for part in ("train", "validation")]
    found = segments.manifest("epic-sounds", lists, tmp_path / "clips")
    assert found.listed == len(found.table) == 48
    by_fold = found.table.groupby("fold")["source"].unique().map(set)
    assert by_fold[3] == {f"P01_{k}" for k in range(20, 24)} and not by_fold[1] & by_fold[2]


def test_kinetics_keeps_the_classes_that_are_asked_for(tmp_path):
    rows = ["label,youtube_id,time_start,time_end,split,is_cc"]
    for k, part in enumerate(("train", "train", "val", "test") * 3):
        label = ("tap dancing", "archery", "bowling")[k // 4]
        rows.append(f"{label},id{k:09d},{k},{k + 10},{part},0")
        sound(tmp_path / "a" / f"id{k:09d}_{k:06d}_{k + 10:06d}.wav")
    (tmp_path / "k400.csv").write_text("\n".join(rows))
    (tmp_path / "sounds.txt").write_text("tap dancing\nbowling\n\n")
    found = segments.manifest("kinetics", [tmp_path / "k400.csv"], tmp_path / "a", tmp_path / "sounds.txt")
    assert found.listed == 8 and set(found.table["label"]) == {"tap dancing", "bowling"}
    assert found.table["fold"].tolist() == [1, 1, 2, 3] * 2
    (tmp_path / "sounds.txt").write_text("tapdancing\n")
    with pytest.raises(CourseError, match=r"sounds\.txt: 'tapdancing' is no label of the list"):
        segments.manifest("kinetics", [tmp_path / "k400.csv"], tmp_path / "a", tmp_path / "sounds.txt")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: (p / "vggsound.csv").unlink(), r"vggsound\.csv: cannot be read"),
        (lambda p: (p / "vggsound.csv").write_text("a,b,c,train\n"), r"vggsound\.csv: cannot be read"),
        (lambda p: (p / "audio").rename(p / "elsewhere"), "audio: no such folder"),
        (lambda p: [f.unlink() for f in (p / "audio").rglob("*_*.wav")], r"none of 40 listed clips; .*ID_000030\.wav"),
        (
            lambda p: (p / "vggsound.csv").write_text((p / "vggsound.csv").read_text().replace("test", "train")),
            "no clip of the test part",
        ),
    ],
)
def test_what_is_wrong_is_one_line(vgg, spoil, words):
    spoil(vgg)
    with pytest.raises(CourseError, match=words):
        segments.manifest("vggsound", [vgg / "vggsound.csv"], vgg / "audio")


NO_PART, KINETICS = "expected one of train, validation, test", "label,youtube_id,time_start,time_end,split\n"


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("vggsound", "id,30,dog,train\n\nid,40,dog\n", rf"line 3: part is '', {NO_PART}; get the list again"),
        ("vggsound", "id,30,dog,tran\n", rf"line 1: part is 'tran', {NO_PART}"),
        ("vggsound", "id,30,dog,train\nid,40,,train\n", r"line 2: label is '', expected a text"),
        ("vggsound", ",30,dog,train\n", r"line 1: source is '', expected a text"),
        ("vggsound", "id,30,dog,train\nid,40,dog,train,0\n", r"cannot be read .*line 2, saw 5\)"),
        ("vggsound", "id,30,dog,train,0\n", r"cannot be read as VGGSound's list \(invalid literal"),
        ("vggsound", "\n", r"cannot be read as VGGSound's list \(it is empty"),
        ("kinetics", KINETICS + "dog,id,1,2,train\ndog,id,1,2\n", "line 3: part is ''"),
        ("kinetics", KINETICS + "dog,id,1,2,holdout\n", "line 2: part is 'holdout'"),
        ("epic-sounds", "annotation_id,video_id,class\na,b\n", r"line 2: label is '', expected a text"),
    ],
)  # fmt: skip
def test_a_line_that_is_not_whole_is_told_by_its_number(tmp_path, kind, text, words):
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(CourseError, match=rf"list\.csv.* {words}") as told:
        segments.manifest(kind, [tmp_path / "list.csv"], tmp_path)
    assert "\n" not in str(told.value)


def test_a_line_that_is_listed_twice_is_one_clip(vgg):
    listing = vgg / "vggsound.csv"
    once = segments.manifest("vggsound", [listing], vgg / "audio")
    twice = vgg / "twice.csv"
    twice.write_text(listing.read_text() + "".join(listing.read_text().splitlines(keepends=True)[:3]))
    for lists in ([twice], [listing, twice]):
        found = segments.manifest("vggsound", lists, vgg / "audio")
        pd.testing.assert_frame_equal(found.table, once.table)
        assert found.listed == 40
    segments.write_manifest(found, vgg / "manifest.csv")
    assert len(load(str(vgg / "manifest.csv"), profiles.get("study"))) == 39


def test_an_unknown_kind_and_a_place_that_cannot_be_written_are_one_line(vgg):
    with pytest.raises(UsageError, match="kind 'freesound' is unknown; choose one of vggsound"):
        segments.manifest("freesound", [vgg / "vggsound.csv"], vgg / "audio")
    found = segments.manifest("vggsound", [vgg / "vggsound.csv"], vgg / "audio")
    with pytest.raises(CourseError, match="cannot be written"):
        segments.write_manifest(found, vgg / "no such folder" / "manifest.csv")


@pytest.fixture
def audioset(tmp_path):
    """Thirty clips to learn from and six to test, as published: remarks, blanks after commas, lists of labels."""
    kinds = ("/m/bark", "/m/rain", "/m/bark,/m/rain,/t/both")
    for name, n in (("balanced_train_segments", 30), ("eval_segments", 6)):
        lines = ["# Segments csv created", "# num_ytids=2", "# YTID, start_seconds, end_seconds, positive_labels"]
        for k in range(n):
            lines.append(f'-{name[0]}{k:04d}, {30 + k}.000, {40 + k}.000, "{kinds[k % 3]}"')
            sound(tmp_path / "audio" / f"-{name[0]}{k:04d}_{30_000 + 1000 * k}.wav", 300 + 300 * (k % 3))
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def made_of(folder, *more):
    lists = [str(folder / f"{name}.csv") for name in ("balanced_train_segments", "eval_segments")]
    given = ["--folder", f"{folder / 'audio'}", "--output", f"{folder / 'manifest.csv'}", *more]
    return CliRunner().invoke(cli.app, ["data", "manifest", "audioset", *lists, *given])


def test_audioset_keeps_all_labels_of_a_clip(audioset):
    done = made_of(audioset)
    assert done.exit_code == 0 and "36 of 36 listed clips are there" in done.output
    clips = load(str(audioset / "manifest.csv"), profiles.get("study"))
    assert clips.multilabel and clips.tag_names == ["/m/bark", "/m/rain", "/t/both"]
    table = clips.table.assign(labels=clips.table["labels"].str.split("|"))
    assert [[n for n, t in zip(clips.tag_names, row, strict=True) if t] for row in clips.tags] == table[
        "labels"
    ].tolist()
    assert clips.table["label"].tolist() == table["labels"].str[0].tolist()
    _, validation, test = folds.split(clips, 3)
    assert test.sum() == 6 and validation.any()


def test_classes_keep_of_a_clips_labels_those_alone(audioset):
    (audioset / "few.txt").write_text("/m/rain\n/t/both\n")
    assert made_of(audioset, "--classes", f"{audioset / 'few.txt'}").exit_code == 0
    table = pd.read_csv(audioset / "manifest.csv")
    assert (
        len(table) == 24
        and set(table["labels"]) == {"/m/rain", "/m/rain|/t/both"}
        and set(table["label"]) == {"/m/rain"}
    )


@pytest.mark.parametrize(("line", "said"), [
    ('-x, 1.0, "/m/bark"', "fewer than 4 cells"), ('-x, one, 2.0, "/m/bark"', "could not convert string to float"),
])  # fmt: skip
def test_a_list_of_audioset_that_is_none(audioset, line, said):
    (audioset / "eval_segments.csv").write_text(line + "\n")
    with pytest.raises(CourseError, match=rf"eval_segments.csv: cannot be read as AudioSet's list .*{said}"):
        segments.audioset(audioset / "eval_segments.csv")
