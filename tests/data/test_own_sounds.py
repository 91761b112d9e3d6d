"""Anyone's sounds: classes and folds, equal files, text, lengths, sources from file names; each right, or one line."""

import logging
import unicodedata
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from helpers import sound
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from course_lib import profiles
from course_lib.audio import io as audio_io
from course_lib.cli import main as cli
from course_lib.data import folds, manifest
from course_lib.data.load import is_own, load, resolve_dataset, with_fold_in_source
from course_lib.data.manifest import load_folder, load_manifest
from course_lib.errors import CourseError, UsageError


@pytest.fixture
def own(tmp_path, caplog):
    """A function that writes tones `name: (label, ...)` and a manifest of them, and loads it."""

    def load_it(files, columns="filename,label", lengths=(), **kwargs):
        rows = [columns]
        for n, (name, cells) in enumerate(files.items()):
            sound(tmp_path / name, 200 + 7 * n, lengths[n] if lengths else 1.0)
            rows.append(",".join([name, *map(str, cells)]))
        (tmp_path / "my.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            return load_manifest(tmp_path / "my.csv", **kwargs)

    return load_it


# --- every split knows every class


def test_a_class_missing_from_a_fold_is_named_with_it(own):
    with pytest.raises(CourseError, match=r"my\.csv: class 'k1' has no clip in fold 1 \(2 such classes\); every split"):
        own({f"{c}{i}.wav": (f"k{c}", c + 1) for c in range(3) for i in range(6)}, "filename,label,fold")
    rows = {f"{c}{i}.wav": (f"k{c}", i % 4 + 1) for c in range(3) for i in range(8) if (c, i % 4) != (2, 3)}
    with pytest.raises(CourseError, match=r"class 'k2' has no clip in fold 4; "):
        own(rows, "filename,label,fold")


def test_a_class_that_only_a_subsample_loses_is_named_too(own):
    rows = {f"{c}{i}.wav": ("ab"[c], i % 4 + 1) for c in range(2) for i in range(8 if c else 4)}
    assert len(own(rows, "filename,label,fold", clips_per_class=4)) == 8
    uneven = {**{f"a{i}.wav": ("a", i + 1) for i in range(3)}, **{f"b{i}.wav": ("b", i % 3 + 1) for i in range(9)}}
    assert own(uneven, "filename,label,fold", clips_per_class=3).table["fold"].value_counts().eq(2).all()


def test_clips_with_several_labels_are_exempt(own):
    rows = {f"{i}.wav": ("ab"[i % 3 == 0], "a|b" if i % 3 == 0 else "a", i % 3 + 1) for i in range(9)}
    assert own(rows, "filename,label,labels,fold").multilabel


def test_an_official_split_must_teach_every_class(caplog):
    table = pd.DataFrame({"label": list("aabbab"), "part": ["train", "test", "train", "test", "validation", "train"]})
    folds.check_classes("made", table)
    assert "made: class 'b' has no clip in part validation" in caplog.text
    with pytest.raises(CourseError, match="made: class 'a' has no clip in part train"):
        folds.check_classes("made", table.drop(index=0))


def test_speakers_who_say_several_words_get_complete_folds():
    """Each source holds two labels; the first try of scikit-learn leaves a fold without a class here."""
    pairs = [
        ("s0", "ab"),
        ("s1", "ab"),
        ("s2", "ac"),
        ("s3", "bc"),
        ("s4", "bc"),
        ("s5", "ac"),
        ("s6", "c"),
        ("s7", "a"),
    ]
    table = pd.DataFrame([(label, s) for s, labels in pairs for label in labels], columns=["label", "source"])
    table["clip"] = [f"c{n}" for n in range(len(table))]
    for seed in range(5):
        fold = folds.made_folds(table, seed)
        assert (pd.crosstab(table["label"], fold) > 0).all(axis=None)
        folds.check_sources_whole(table.assign(fold=fold))
        assert fold.tolist() == folds.made_folds(table.sample(frac=1, random_state=1), seed)[
            np.argsort(table.sample(frac=1, random_state=1).index)
        ].tolist()  # fmt: skip


def possible(table, n_folds):
    """Whether any of all assignments of sources to folds has every class in every fold."""
    holds = table.groupby("source")["label"].agg(set).tolist()
    classes = set(table["label"])
    ways = product(range(n_folds), repeat=len(holds))
    return any(
        all(set().union(*[h for h, f in zip(holds, way, strict=True) if f == n]) == classes for n in range(n_folds))
        for way in ways
    )


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2)), min_size=6, max_size=18), st.integers(0, 3))
def test_made_folds_are_complete_whenever_any_are(pairs, seed):
    table = pd.DataFrame([(f"k{label}", f"s{s}") for s, label in pairs], columns=["label", "source"])
    table["clip"] = [f"c{n}" for n in range(len(table))]
    try:
        fold = folds.made_folds(table, seed)
    except CourseError as error:
        assert not possible(table, 3), error
        return
    assert (pd.crosstab(table["label"], fold) > 0).all(axis=None)
    folds.check_sources_whole(table.assign(fold=fold))
    assert 3 <= len(set(fold)) <= 5


# --- equal bytes


def three_copies(folder, label):
    rows = []
    for c, i, k in product(range(2), range(3), range(3)):
        sound(folder / f"c{c}_{i}_{k}.wav", 200 + 50 * c + 7 * i, 1.0)
        rows.append(f"c{c}_{i}_{k}.wav,{label(c, i, k)}")
    return rows


def test_equal_files_are_one_source(tmp_path, caplog):
    rows = three_copies(tmp_path, lambda c, i, k: f"k{c}")
    (tmp_path / "m.csv").write_text("\n".join(["filename,label", *rows]))
    clips = load_manifest(tmp_path / "m.csv")
    assert clips.table["source"].nunique() == 6 and clips.table["fold"].nunique() == 3
    folds.check_sources_whole(clips.table)
    assert "m.csv: 18 files are the same as another, byte for byte; equal files count as one source" in caplog.text


def test_sources_that_share_an_equal_file_become_one(tmp_path):
    rows = three_copies(tmp_path, lambda c, i, k: f"k{c},tape{(c, i, k) if k else c}")
    (tmp_path / "m.csv").write_text("\n".join(["filename,label,source", *rows]).replace(", ", "-"))
    with pytest.raises(CourseError, match="class 'k0' has 1 sources"):  # tape0 holds one of each three equal files
        load_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("columns", "label", "said"),
    [
        ("filename,label", lambda c, i, k: f"k{(c + (k == 2)) % 2}",
         r"0.wav on line 2 is labelled k0, but c0_0_2.wav on line 4, byte for byte the same sound, is labelled k1"),
        ("filename,label,fold", lambda c, i, k: f"k{c},{k + 1}",
         r"c0_0_0.wav on line 2 is in fold 1, but c0_0_1.wav on line 3, byte for byte the same sound, is in fold 2;"),
        ("filename,label,labels", lambda c, i, k: f"k{c},k{c}" + ("|rain" if k == 1 else ""),
         r"0.wav on line 2 is labelled k0, but c0_0_1.wav on line 3, byte for byte the same sound, is labelled k0\|"),
    ],
)  # fmt: skip
def test_equal_files_that_disagree_are_named(tmp_path, columns, label, said):
    (tmp_path / "m.csv").write_text("\n".join([columns, *three_copies(tmp_path, label)]))
    with pytest.raises(CourseError, match=said):
        load_manifest(tmp_path / "m.csv")


def test_an_equal_file_in_the_folder_of_another_class(tmp_path):
    for n in range(8):
        sound(tmp_path / "ab"[n % 2] / f"{n}.wav", 200 + n)
    sound(tmp_path / "b" / "9.wav", 200)
    with pytest.raises(CourseError, match=r"a/0\.wav is labelled a, but b/9\.wav, .* the same sound, is labelled b"):
        load_folder(tmp_path)


# --- text


@pytest.mark.parametrize(
    "other",
    [unicodedata.normalize("NFD", "Vögel"), "Vö\u200bgel", "\ufeffVögel ", " Vögel\u00a0", "Vo\u0308\u2060gel"],
)
def test_labels_that_look_alike_are_one_class(own, other):
    clips = own({f"{i}.wav": (("Vögel", other)[i % 2] if i < 6 else "Hund",) for i in range(12)})
    assert clips.classes == ["Hund", "Vögel"]


def test_sources_that_look_alike_are_one(own):
    names = ["Gärten", unicodedata.normalize("NFD", "Gärten"), "Gärten \u200b"]
    clips = own({f"{i}.wav": ("ab"[i % 2], names[i // 2 % 3] if i < 6 else f"s{i}") for i in range(14)},
                "filename,label,source")  # fmt: skip
    assert clips.table["source"][:6].eq("Gärten").all()


@pytest.mark.parametrize(("written", "stored"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_file_names_are_found_in_either_form(tmp_path, written, stored):
    for n in range(12):
        sound(tmp_path / unicodedata.normalize(stored, f"Möwe{n}.wav"), 200 + n)
    rows = [unicodedata.normalize(written, f"Möwe{n}.wav,{'ab'[n % 2]}") for n in range(12)]
    (tmp_path / "m.csv").write_text("\n".join(["filename,label", *rows]), encoding="utf-8")
    clips = load_manifest(tmp_path / "m.csv")
    assert clips.waves(8_000).any(axis=1).all() and clips.table["clip"][0] == "Möwe0.wav"


def test_two_files_whose_names_look_alike(tmp_path):
    for n in range(8):
        sound(tmp_path / "ab"[n % 2] / f"{n}.wav", 200 + n)
    sound(tmp_path / "a" / "Ä.wav", 300)
    sound(tmp_path / "a" / unicodedata.normalize("NFD", "Ä.wav"), 301)
    with pytest.raises(CourseError, match=r"names 'a/A\\u0308\.wav' and 'a/\\xc4\.wav' look alike; rename"):
        load_folder(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        '"filename";"label";"a, b, c, d"\n{0};{1};x',
        'sep=;\nfilename;label\n{0};{1}',
        '"note, as dictated, by her"\tLabel\tFileName\nx\t{1}\t{0}',
        "\ufeffFilename ,\u200bLABEL\n{0},{1}",
    ],
)  # fmt: skip
def test_tables_as_programs_write_them(tmp_path, text):
    head, _, row = text.rpartition("\n")
    for n in range(8):
        sound(tmp_path / f"{n}.WAV", 200 + n)
    rows = [row.format(f"{n}.WAV", "ab"[n % 2]) for n in range(8)]
    (tmp_path / "LIST.CSV").write_text("\n".join([head, *rows]), encoding="utf-8")
    assert load(tmp_path / "LIST.CSV").classes == ["a", "b"]
    assert resolve_dataset(str(tmp_path / "LIST.CSV")) == str(tmp_path / "LIST.CSV")


# --- lengths


def test_the_length_follows_the_bulk_and_long_files_are_cut(own, caplog):
    lengths = [2.0] * 23 + [40.0]
    clips = own({f"{i}.wav": ("ab"[i % 2],) for i in range(24)}, lengths=lengths)
    assert clips.length_s == 2.0 and len(clips) == 43
    assert "my.csv: clips of 2 s: 1 longer cut into 20 pieces" in caplog.text
    pieces = clips.table[clips.table["source"] == "23.wav"]
    assert pieces["clip"].tolist() == ["23.wav", *(f"23.wav#{n}" for n in range(2, 21))]
    assert pieces["fold"].nunique() == 1
    whole = audio_io.read(Path(clips.name).parent / "23.wav", 8_000)[0]
    np.testing.assert_allclose(clips.waves(8_000)[pieces.index].ravel(), whole, atol=1e-6)


def test_what_is_padded_and_dropped_is_counted(own, caplog):
    lengths = [2.0] * 9 + [0.05, 2.9, 5.2]
    clips = own({f"{i}.wav": ("ab"[i % 2],) for i in range(12)}, lengths=lengths)
    said = "clips of 2 s: 1 longer cut into 3 pieces, 1 shorter padded, 1 ends dropped (0.9 s in all)"
    assert said in caplog.text and len(clips) == 14


def test_sets_of_one_length_are_as_they_were(own, caplog):
    clips = own({f"{i}.wav": ("ab"[i % 2],) for i in range(10)}, lengths=[3.0] * 10)
    assert (clips.length_s, len(clips), caplog.text) == (3.0, 10, "")
    assert "start_s" not in clips.table


@pytest.mark.parametrize(("length_s", "clip_length_s", "n"), [(0.05, 1.0, 10), (1.0, 1.0, 10), (25.0, 10.0, 30)])
def test_short_and_long_sounds(own, length_s, clip_length_s, n):
    clips = own({f"{i}.wav": ("ab"[i % 2],) for i in range(10)}, lengths=[length_s] * 10)
    assert (clips.length_s, len(clips)) == (clip_length_s, n)


def test_the_length_can_be_chosen(own, monkeypatch, tmp_path):
    files = {f"{i}.wav": ("ab"[i % 2],) for i in range(10)}
    usual, half = own(files, lengths=[4.0] * 10), own(files, lengths=[4.0] * 10, clip_s=2)
    assert (half.length_s, len(half)) == (2.0, 20) and usual.content != half.content
    assert own(files, lengths=[4.0] * 10, clip_s=5).content != usual.content
    monkeypatch.setenv("COURSE_CLIP_S", "2")
    assert load(tmp_path / "my.csv").content == half.content
    assert load("synth10", profiles.get("smoke")).length_s == 5.0  # a set with a length of its own keeps it
    with pytest.raises(UsageError, match=r"clip_s: is for your own sounds; clips of synth10 are 5 s long"):
        load("synth10", clip_s=2)
    monkeypatch.setenv("COURSE_CLIP_S", "two")
    with pytest.raises(UsageError, match="COURSE_CLIP_S=two: expected seconds, such as 4"):
        load(tmp_path / "my.csv")
    with pytest.raises(UsageError, match="clip_s: found -1, expected seconds above 0"):
        load(tmp_path / "my.csv", clip_s=-1)


@pytest.mark.parametrize("ending", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_a_piece_is_what_the_whole_file_holds_there(tmp_path, ending):
    rng = np.random.default_rng(0)
    sf.write(tmp_path / f"a.{ending}", 0.1 * rng.standard_normal(5 * 16_000), 16_000)
    whole = audio_io.read(tmp_path / f"a.{ending}")[0]
    piece = audio_io.read(tmp_path / f"a.{ending}", length_s=1.5, start_s=3.0)[0]
    np.testing.assert_allclose(piece, whole[3 * 16_000 : 72_000], atol=1e-4)


def test_formats_that_libsndfile_reads(tmp_path):
    for n in range(12):
        ending = ("wav", "FLAC", "ogg", "mp3", "aiff", "au")[n // 2]
        (tmp_path / "ab"[n % 2]).mkdir(exist_ok=True)
        sf.write(tmp_path / "ab"[n % 2] / f"x{n}.{ending}", 0.1 * np.sin(np.arange(16_000) * (0.1 + n / 50)), 16_000)
    clips = load_folder(tmp_path)
    assert len(clips) == 12 and clips.waves().any(axis=1).all()


# --- sources from file names


def in_folders(tmp_path, names):
    for n, name in enumerate(names):
        sound(tmp_path / name, 200 + 3 * n, 1.0)
    return load_folder(tmp_path)


@pytest.mark.parametrize(
    "pattern", ["{c}/{s}_{k}.wav", "{c}/{s} ({k}).wav", "{c}/site-{s}-take_{k:03d}.wav", "{c}/{s}/{k}.wav"]
)
def test_numbers_at_the_end_are_takes_of_a_recording(tmp_path, caplog, pattern):
    names = [pattern.format(c=c, s=s, k=k) for c in ("bark", "meow") for s in ("anna", "ben", "cleo") for k in range(3)]
    clips = in_folders(tmp_path, names)
    assert clips.table["source"].nunique() == 3 and clips.table["fold"].nunique() == 3
    assert "3 sources from the names of 18 files, such as '" in caplog.text


@pytest.mark.parametrize("pattern", ["{c}/take {n}.wav", "{c}/{n}.wav", "{c}/{c}_{n}.wav", "{c}/{n}-x.wav"])
def test_numbers_of_recordings_are_not_takes(tmp_path, caplog, pattern):
    clips = in_folders(tmp_path, [pattern.format(c=c, n=n) for c in ("bark", "meow") for n in range(6)])
    assert clips.table["source"].tolist() == clips.table["clip"].tolist()
    assert "each of the 12 files is its own source, because the names show no pattern" in caplog.text


def test_the_table_of_a_folder_can_be_written_and_edited(tmp_path):
    names = [f"{c}/{s}_{k}.wav" for c in ("bark", "meow") for s in "abc" for k in range(2)]
    clips = in_folders(tmp_path / "sounds", names)
    given = ["data", "manifest", "folder", str(tmp_path / "sounds"), "--output", str(tmp_path / "m.csv")]
    done = CliRunner().invoke(cli.app, given)
    assert done.exit_code == 0 and "12 files of 2 classes from 3 sources; check the column source" in done.output
    card = CliRunner().invoke(cli.app, ["data", "card", str(tmp_path / "m.csv")]).output
    card = " ".join(card.split())
    assert "12 in 2 classes, 6 to 6 per class" in card and "3, such as a" in card
    edited = load_manifest(tmp_path / "m.csv")
    assert edited.table[["label", "source"]].equals(clips.table[["label", "source"]])
    np.testing.assert_array_equal(edited.waves(8_000), clips.waves(8_000))
    wrong = CliRunner().invoke(cli.app, [*given, "--folder", "x"])
    assert isinstance(wrong.exception, UsageError)
    wrong = CliRunner().invoke(cli.app, ["data", "manifest", "folder", str(tmp_path / "none")])
    assert isinstance(wrong.exception, CourseError) and "no such folder" in str(wrong.exception)


# --- official sets whose recordings cross the folds


def test_the_part_of_a_source_in_another_fold_is_its_own():
    rows = [("a", 1, "7"), ("a", 1, "7"), ("b", 2, "7"), ("a", 2, "8")]
    table = with_fold_in_source(pd.DataFrame(rows, columns=["label", "fold", "source"]))
    assert table["source"].tolist() == ["7 in fold 1", "7 in fold 1", "7 in fold 2", "8"]
    folds.check_sources_whole(table)


def test_names_and_paths():
    assert not is_own("esc10") and is_own("none.csv") and is_own(".") and not is_own("none")


# --- anything at all


LABELS = ["a", "b", "Vögel", unicodedata.normalize("NFD", "Vögel"), "c\u200b", "c", " c "]
ROWS = st.lists(
    st.tuples(st.sampled_from(LABELS), st.integers(0, 7), st.sampled_from(["", "1", "2", "3", "4"]), st.integers(0, 5)),
    min_size=2,
    max_size=24,
)  # fmt: skip


@pytest.fixture(scope="module")
def six_sounds(tmp_path_factory):
    """Twenty-four names, each in six lengths; some of equal bytes."""
    folder = tmp_path_factory.mktemp("any")
    for n, k in product(range(24), range(6)):
        sound(folder / f"{n}-{k}.wav", 200 + 10 * (n % 20), (0.05, 0.3, 1.0, 1.4, 2.0, 5.5)[k], rate_hz=1_000)
    return folder


@settings(max_examples=150)
@given(
    rows=ROWS,
    given_columns=st.sets(st.sampled_from(["fold", "source"])),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "latin-1", "utf-16"]),
    separator=st.sampled_from(",;\t"),
    most=st.sampled_from([None, 2, 6]),
)
def test_any_table_is_read_rightly_or_refused_in_one_line(six_sounds, rows, given_columns, encoding, separator, most):
    columns = ["filename", "label", *sorted(given_columns)]
    lines = [separator.join(columns)]
    for n, (label, source, fold, k) in enumerate(rows):
        cells = {"filename": f"{n}-{k}.wav", "label": label, "fold": fold, "source": f"s{source}"}
        lines.append(separator.join(cells[column] for column in columns))
    path = six_sounds / "any.csv"
    path.write_bytes("\n".join(lines).encode(encoding, errors="replace"))
    try:
        clips = load_manifest(path, most)
    except CourseError as error:
        assert "\n" not in str(error) and "any.csv" in str(error)
        return
    folds.check_sources_whole(clips.table)
    assert clips.table["clip"].is_unique and 1.0 <= clips.length_s <= 10.0
    assert all(label == manifest.clean(label) for label in clips.classes)
    if clips.table["fold"].nunique() < folds.FEWEST:
        with pytest.raises(UsageError):
            folds.split(clips, folds.testable_folds(clips)[0])
        return
    for fold in folds.testable_folds(clips):
        parts = [set(clips.table["source"][mask]) for mask in clips.split(fold)]
        assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]
        assert all(set(clips.table["label"][mask]) == set(clips.classes) for mask in clips.split(fold))
