"""The learner's own sounds: what a manifest may look like, and what each mistake in it is told."""

import os

import numpy as np
import pytest
from helpers import sound
from typer.testing import CliRunner

from course_lib import profiles
from course_lib.cli import main as cli
from course_lib.data import folds
from course_lib.data.load import load
from course_lib.data.manifest import held_out, load_manifest, manifest_from_list
from course_lib.errors import CourseError, UsageError


@pytest.fixture
def mine(tmp_path):
    """Five sounds each of `cat` and `dog`, and a function that writes a manifest and loads it."""
    for n in range(5):
        sound(tmp_path / f"cat{n}.wav", 300 + 100 * n)
        sound(tmp_path / "dogs" / f"dog {n}.wav", 350 + 100 * n)

    def write(text, encoding="utf-8", **kwargs):
        (tmp_path / "my.csv").write_bytes(text.encode(encoding))
        return load_manifest(tmp_path / "my.csv", **kwargs)

    return write


def listed(*, columns="filename,label", cells="", end="\n"):
    names = [(f"cat{n}.wav", "cat") for n in range(5)] + [(f"dogs/dog {n}.wav", "dog") for n in range(5)]
    return columns + end + "".join(f"{name},{label}{cells}{end}" for name, label in names)


def test_two_columns_are_enough(mine, tmp_path):
    clips = mine(listed())
    assert clips.name == str(tmp_path / "my.csv")
    assert clips.classes == ["cat", "dog"] and len(clips) == 10
    assert clips.table.groupby("fold")["label"].apply(list).tolist() == [["cat", "dog"]] * 5
    assert clips.table["source"].tolist() == clips.table["clip"].tolist()
    assert (clips.length_s, clips.native_rate_hz) == (1.0, 8_000)
    waves = clips.waves(8_000, 0.2)
    assert waves.shape == (10, 1_600)
    peaks = 5 * np.abs(np.fft.rfft(waves)).argmax(axis=1)
    assert peaks.tolist() == [300, 400, 500, 600, 700, 350, 450, 550, 650, 750]


def test_load_takes_a_path_and_a_profile(mine, tmp_path):
    mine(listed())
    assert len(load(str(tmp_path / "my.csv"), profiles.get("smoke"))) == 10
    few = load_manifest(tmp_path / "my.csv", clips_per_class=2, seed=0)
    assert few.table["label"].tolist() == ["cat", "cat", "dog", "dog"]


@pytest.mark.parametrize(
    ("end", "encoding", "separator"),
    [("\r\n", "utf-8-sig", ","), ("\n", "utf-8", ";"), ("\r\n", "utf-8-sig", ";"), ("\r", "utf-8", "\t")],
)
def test_as_spreadsheets_write_it(mine, end, encoding, separator):
    text = listed(end=end).replace(",", separator) + end + separator + end
    assert len(mine(text, encoding)) == 10


def test_header_in_capitals_quotes_further_columns_and_windows_paths(mine):
    text = listed(columns="No,Label,FileName").splitlines()
    rows = [f'{n},"{row.split(",")[1]}","{row.split(",")[0]}",extra' for n, row in enumerate(text[1:])]
    clips = mine("\n".join([text[0], *rows]).replace("dogs/", "dogs\\"))
    assert clips.table["clip"][9] == "dogs/dog 4.wav" and clips.classes == ["cat", "dog"]


def test_given_folds_and_sources(mine):
    text = "filename,label,fold,source\n" + "".join(
        f"cat{n}.wav,cat,{n % 3 + 1},tape {n % 3}\ndogs/dog {n}.wav,dog,{n % 3 + 1},\n" for n in range(5)
    )
    clips = mine(text)
    assert clips.table["fold"].tolist() == [1, 1, 2, 2, 3, 3, 1, 1, 2, 2]
    assert clips.table["source"][0] == "tape 0" and clips.table["source"][1] == "dogs/dog 0.wav"


def test_made_folds_keep_sources_whole_and_obey_the_seed(tmp_path):
    rows = []
    for n in range(24):
        sound(tmp_path / f"{n}.wav", 200 + 10 * n)
        rows.append(f"{n}.wav,{'ab'[n % 2]},tape{n // 3}")
    (tmp_path / "m.csv").write_text("filename,label,source\n" + "\n".join(rows))
    clips = load_manifest(tmp_path / "m.csv", seed=3)
    folds.check_sources_whole(clips.table)
    assert set(clips.table["fold"]) == {1, 2, 3, 4, 5}
    assert clips.table.equals(load_manifest(tmp_path / "m.csv", seed=3).table)
    assert not clips.table.equals(load_manifest(tmp_path / "m.csv", seed=4).table)


def test_absolute_names(mine, tmp_path):
    text = listed().replace("cat0.wav", str(tmp_path / "cat0.wav"))
    assert mine(text).waves(8_000).shape == (10, 8_000)


def test_a_changed_file_is_decoded_again(mine, tmp_path):
    before = mine(listed())
    old = before.waves(8_000).copy()
    stat = (tmp_path / "cat0.wav").stat()
    sound(tmp_path / "cat0.wav", 3_000)  # as long as before, and below with the same time
    os.utime(tmp_path / "cat0.wav", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = mine(listed())
    assert after.content != before.content
    assert np.abs(after.waves(8_000)[0] - old[0]).max() > 0.5


FOLDED = listed(columns="filename,label,fold", cells=",1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "my.csv:1: column filename is not among no names; the first line must name the columns filename,label"),
        ("filename,label\n", "my.csv: lists no files"),
        ("file,label\ncat0.wav,cat\n", "my.csv:1: column filename is not among file, label"),
        ("filename\ncat0.wav\n", "my.csv:1: column label is not among filename"),
        ("filename,label,label\ncat0.wav,cat,dog\n", "my.csv:1: column label is twice"),
        (listed() + "cat9.wav,cat\n", "my.csv:12: no such file: "),
        (listed() + "/nowhere/x.wav,cat\n", "my.csv:12: no such file: /nowhere/x.wav"),
        (listed() + "dogs,dog\n", "my.csv:12: no such file: "),
        (listed() + "cat0.wav\n", "my.csv:12: has 1 cells, fewer than the first line"),
        (listed().replace("cat1.wav,cat", "cat1.wav, "), "my.csv:3: the label is empty"),
        (listed().replace("cat1.wav,cat", ",cat"), "my.csv:3: the filename is empty"),
        (listed(columns="filename,label,labels", cells=","), "my.csv:2: one of the labels '' is empty"),
        (listed(columns="filename,label,labels", cells=",cat||dog"), "my.csv:2: one of the labels 'cat||dog' is empty"),
        (listed(columns="filename,label,labels", cells=",dog"), "my.csv:2: label 'cat' is not among the labels 'dog'"),
        (listed() + "cat0.wav,dog\n", "my.csv:12: cat0.wav is already on line 2"),
        (listed() + "dogs/../cat0.wav,dog\n", "my.csv:12: dogs/../cat0.wav is already on line 2"),
        (listed().replace(",dog", ",cat"), "my.csv: has only one label, 'cat'; a classifier needs at least two"),
        (FOLDED.replace("cat1.wav,cat,1", "cat1.wav,cat,x"), "my.csv:3: fold 'x' is not a whole number from 1"),
        (FOLDED.replace("cat1.wav,cat,1", "cat1.wav,cat,1.5"), "my.csv:3: fold '1.5' is not a whole number"),
        (FOLDED.replace("cat1.wav,cat,1", "cat1.wav,cat,0"), "my.csv:3: fold '0' is not a whole number"),
        (FOLDED.replace("cat1.wav,cat,1", "cat1.wav,cat,"), "my.csv:3: fold '' is not a whole number from 1; give all"),
        (FOLDED.replace("cat1.wav,cat,1", "cat1.wav,cat,-1"), "my.csv:3: fold '-1' is not a whole number"),
        (FOLDED, "my.csv: has 1 folds; training, validation and test need 3"),
        (
            "filename,label,fold,source\ncat0.wav,cat,1,tape\ncat1.wav,cat,2,other\ncat2.wav,dog,2,tape\n",
            "my.csv:4: source 'tape' is in fold 2 here and in fold 1 on line 2; put a source into one fold",
        ),
        (
            listed(columns="filename,label,source").replace("wav,dog", "wav,dog,one"),
            "my.csv:2: has 2 cells, fewer than the first line",
        ),
        (
            listed(columns="filename,label,source", cells=",x").replace("dog,x", "dog,y"),
            "my.csv: class 'cat' has 1 sources; 3 folds need at least 3; training",
        ),
        ('filename,label\n"cat0.wav,cat\n', "not a table (unexpected end of data)"),
    ],
)  # fmt: skip
def test_mistakes(mine, text, said):
    with pytest.raises(CourseError) as caught:
        mine(text)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_line_numbers_count_blank_lines_and_breaks_in_cells(mine):
    text = listed().replace("cat1.wav,cat", '\n"cat1.wav","ca\nt"') + "none.wav,cat\n"
    with pytest.raises(CourseError, match=r"my\.csv:14: no such file"):
        mine(text)


def test_sound_that_is_none_is_told_with_its_line(mine, tmp_path):
    (tmp_path / "cat3.wav").write_text("no sound")
    with pytest.raises(CourseError, match=r"my\.csv:5: .*cat3\.wav: cannot be read as audio"):
        mine(listed())


def test_other_encodings_and_folders(mine, tmp_path):
    with pytest.raises(CourseError, match=r"my\.csv: is not UTF-8 text; save it as CSV, UTF-8"):
        mine(listed().replace("cat\n", "Kätzchen\n"), "latin-1")
    with pytest.raises(CourseError, match="is not UTF-8 text"):
        mine(listed(), "utf-16")
    with pytest.raises(CourseError, match="Is a directory; expected a CSV file with the columns"):
        load_manifest(tmp_path)


def test_a_seed_draws_the_clips_and_one_odd_file_does_not_set_the_rate(tmp_path):
    for n in range(20):
        sound(tmp_path / f"{n}.wav", 300 + 10 * n, rate_hz=16_000 if n == 0 else 8_000)
    lines = [f"{n}.wav,{'ab'[n % 2]},{n // 2 % 5 + 1}\n" for n in range(20)]
    (tmp_path / "m.csv").write_text("filename,label,fold\n" + "".join(lines))
    drawn = [load_manifest(tmp_path / "m.csv", 5, seed=seed).table["clip"].tolist() for seed in (0, 0, 1, 2)]
    assert drawn[0] == drawn[1] and len({*map(tuple, drawn)}) == 3
    assert load_manifest(tmp_path / "m.csv").native_rate_hz == 8_000


# --- manifests from official lists, on tiny lists of the published layout ------------------------------------------


def made(kind, folder, *listings):
    """Runs `course data manifest` and loads what it wrote."""
    lists = [str(folder / name) for name in listings]
    given = ["--folder", str(folder / "audio"), "--output", str(folder / "manifest.csv")]
    done = CliRunner().invoke(cli.app, ["data", "manifest", kind, *lists, *given])
    assert done.exit_code == 0, done.exception
    return done.output, load(str(folder / "manifest.csv"), profiles.get("study"))


@pytest.fixture
def vgg(tmp_path):
    """Forty videos of two classes, the last ten for the test; one sound is missing, one is no clip of the list."""
    lines = []
    for k in range(40):
        name, label = f"{'-_'[k % 2]}video{k:05d}", ("dog barking", 'playing violin, "fiddle"')[k % 2]
        quoted = '"' + label.replace('"', '""') + '"'
        lines.append(f"{name},{30 * k},{quoted},{'test' if k >= 30 else 'train'}")
        if k != 7:
            sound(tmp_path / "audio" / f"{k % 3}" / f"{name}_{30 * k:06d}.wav", 300 + 20 * k)
    sound(tmp_path / "audio" / "stranger_000000.wav")
    (tmp_path / "vggsound.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_vggsound_becomes_a_manifest_that_loads(vgg):
    printed, clips = made("vggsound", vgg, "vggsound.csv", "vggsound.csv")  # a row that is listed twice is one clip
    assert "39 of 40 listed clips are there, 1 are missing" in printed
    assert len(clips) == 39 and clips.classes == ["dog barking", 'playing violin, "fiddle"']
    train, validation, test = folds.split(clips, 3)
    assert (train.sum() + validation.sum(), test.sum()) == (29, 10)
    source = clips.table["source"]
    assert source.str.match(r"[-_]video\d{5}$").all()
    assert source[validation].tolist() == [name for name in source[~test] if held_out(name)] != []
    assert train.sum() > 20 > validation.sum()


def test_audioset_keeps_all_labels_of_a_clip(tmp_path):
    kinds = ("/m/bark", "/m/rain", "/m/bark,/m/rain,/t/both")
    for name, n in (("balanced_train_segments", 30), ("eval_segments", 6)):
        lines = ["# Segments csv created", "# num_ytids=2", "# YTID, start_seconds, end_seconds, positive_labels"]
        for k in range(n):
            lines.append(f'-{name[0]}{k:04d}, {30 + k}.000, {40 + k}.000, "{kinds[k % 3]}"')
            sound(tmp_path / "audio" / f"-{name[0]}{k:04d}_{30_000 + 1000 * k}.wav", 30 * n + 20 * k)
        (tmp_path / f"{name}.csv").write_text("\n".join(lines) + "\n")
    printed, clips = made("audioset", tmp_path, "balanced_train_segments.csv", "eval_segments.csv")
    assert "36 of 36 listed clips are there" in printed
    assert clips.multilabel and clips.tag_names == ["/m/bark", "/m/rain", "/t/both"]
    assert clips.tags[:3].tolist() == [[1, 0, 0], [0, 1, 0], [1, 1, 1]]
    assert clips.table["label"][:3].tolist() == ["/m/bark", "/m/rain", "/m/bark"]
    _, validation, test = folds.split(clips, 3)
    assert test.sum() == 6 and validation.any()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: (p / "vggsound.csv").unlink(), r"vggsound\.csv: cannot be read as a list of id, start, label, part"),
        (lambda p: (p / "vggsound.csv").write_text("\n"), r"vggsound\.csv: cannot be read as a list"),
        (lambda p: (p / "vggsound.csv").write_text("a,b,c,train\n"), r"vggsound\.csv: cannot be read .*could not conv"),
        (lambda p: (p / "vggsound.csv").write_text("id,30,dog,train,0\n"), r"vggsound\.csv: cannot be read as a list"),
        (
            lambda p: (p / "vggsound.csv").write_text("id,30,dog,train\nid,4,dog,tran\n"),
            "row 2: .*tran; expected .*test",
        ),
        (lambda p: (p / "vggsound.csv").write_text("id,30,dog,train\nid,40,,test\n"), "row 2: found id, 40.0, , test"),
        (lambda p: (p / "audio").rename(p / "elsewhere"), "audio: no such folder"),
        (lambda p: [f.unlink() for f in (p / "audio").rglob("*_*.wav")], r"among 40 listed.*-video00000_000000\.wav"),
        (
            lambda p: (p / "vggsound.csv").write_text((p / "vggsound.csv").read_text().replace("test", "train")),
            "no clip of the test part",
        ),
        (lambda p: (p / "manifest.csv").mkdir(), r"manifest\.csv: cannot be written"),
    ],
)
def test_what_is_wrong_with_a_list_is_one_line(vgg, spoil, said):
    spoil(vgg)
    with pytest.raises(CourseError, match=said) as caught:
        manifest_from_list("vggsound", [vgg / "vggsound.csv"], vgg / "audio", vgg / "manifest.csv")
    assert "\n" not in str(caught.value)


def test_an_unknown_kind_of_list(vgg):
    with pytest.raises(UsageError, match="kind 'freesound' is unknown; choose one of vggsound, audioset"):
        manifest_from_list("freesound", [vgg / "vggsound.csv"], vgg / "audio", vgg / "manifest.csv")
