"""One function that turns the name of a data set, or the path of your own list of sounds, into `Clips`."""

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.audio import io as audio_io
from course_lib.audio import synth10, timebase, timing_probe
from course_lib.audio.io import DECODING_VERSION
from course_lib.data import clips, download, folds, registry
from course_lib.data.cache import cached, digest
from course_lib.data.clips import BETWEEN, Clips, clips_from_files
from course_lib.data.manifest import load_folder, load_manifest
from course_lib.errors import CourseError, UsageError, expect
from course_lib.profiles import Profile

# --- The data sets that the course makes instead of downloading: `synth10`, `timing` and `timing10s`

SYNTH10_CLIPS_PER_CLASS = 40  # as ESC-10
TIMING_CLIPS_PER_CLASS = 100


def load_synth10(clips_per_class: int | None = None, seed: int = 0) -> Clips:
    """Ten procedural classes with strong labels, 5 s per clip; None makes 40 clips per class, as in ESC-10.

    Raises
    ------
    ValueError
        Fewer than one clip per class.
    """
    table = synth10.synth10_table(SYNTH10_CLIPS_PER_CLASS if clips_per_class is None else clips_per_class, seed)
    events = synth10.synth10_events(table)
    return _made_clips("synth10", synth10.SYNTH10_VERSION, table, events, synth10.LENGTH_S, synth10.synth10_waves)


def load_timing(
    clips_per_class: int | None = None,
    seed: int = 0,
    *,
    tasks: tuple[str, ...] = timing_probe.TASKS,
    fineness_ms: float | None = None,
) -> Clips:
    """Six classes, or two for each of `tasks`, that differ in timing only, 1 s per clip; None makes 100 per class.

    Raises
    ------
    ValueError
        Fewer than one clip per class, an unknown task, a fineness out of range.
    """
    n_clips = TIMING_CLIPS_PER_CLASS if clips_per_class is None else clips_per_class
    table = timing_probe.timing_table(n_clips, seed, tasks=tasks, fineness_ms=fineness_ms)
    events = timing_probe.timing_events(table)
    return _made_clips(
        "timing", timing_probe.TIMING_VERSION, table, events, timing_probe.LENGTH_S, timing_probe.timing_waves
    )


def load_timing10s(clips_per_class: int | None = None, seed: int = 0) -> Clips:
    """The classes of `load_timing` in clips of 10 s; None makes 100 clips per class.

    Raises
    ------
    ValueError
        Fewer than one clip per class.
    """
    table = timing_probe.timing_table(TIMING_CLIPS_PER_CLASS if clips_per_class is None else clips_per_class, seed)
    events = timing_probe.timing_events(table, timing_probe.LONG_S)
    make = partial(timing_probe.timing_waves, length_s=timing_probe.LONG_S)
    return _made_clips("timing10s", timing_probe.TIMING_VERSION, table, events, timing_probe.LONG_S, make)


def _made_clips(
    name: str,
    version: int,
    table: pd.DataFrame,
    events: pd.DataFrame,
    length_s: float,
    make: Callable[[pd.DataFrame], np.ndarray],
) -> Clips:
    """`Clips` over all of `table`, made once; a subset of the clips is a part of that array."""
    # Each row of the table contains all that its sound depends on; the version stands for the code that makes it
    content = digest(f"{name} {version}", table.to_csv(index=False))

    def reader(asked: pd.DataFrame, rate_hz: int, length_s: float) -> np.ndarray:
        made = cached("render", (content,), lambda: make(table))
        every = made
        if rate_hz != synth10.RATE_HZ:
            every = cached("at_rate", (content, rate_hz, DECODING_VERSION), lambda: _at_rate(made, rate_hz))
        n_samples = timebase.seconds_to_samples(length_s, rate_hz)
        part = clips.rows_of(every, table, asked)[:, :n_samples]  # a view; the copy that padding makes is rarely needed
        if part.shape[1] < n_samples:
            part = np.pad(part, ((0, 0), (0, n_samples - part.shape[1])))
        part.setflags(write=False)
        return part

    return Clips(name, table, length_s, synth10.RATE_HZ, content, reader, events)


def _at_rate(waves: np.ndarray, rate_hz: int) -> np.ndarray:
    """All clips at another rate, `(clips, samples)`, float32 within ±1."""
    resampled = audio_io.resample(np.ascontiguousarray(waves.T), synth10.RATE_HZ, rate_hz).T
    return np.clip(resampled, -1, 1, order="C")


def with_fold_in_source(table: pd.DataFrame) -> pd.DataFrame:
    """`table` in which a source that lies in several official folds counts as one source per fold.

    Official folds are kept for comparability. A source `131943` in folds 2 and 3 becomes `131943 in fold 2` and
    `131943 in fold 3`, so that copies, splits and intervals treat each part as whole; the cards say what leaks.
    """
    crossing = table["source"].isin(folds.crossing_sources(table))
    named = table["source"] + " in fold " + table["fold"].astype(str)
    return table.assign(source=table["source"].mask(crossing, named))


# --- ESC-10 and ESC-50: environmental sounds in five official folds (Piczak 2015)

# In the order of the folders, which are numbered from 1, with the names in ESC-50's own table
LABELS = ("dog", "rain", "sea_waves", "crying_baby", "clock_tick",
          "sneeze", "helicopter", "chainsaw", "rooster", "crackling_fire")  # fmt: skip


def esc10(folder: Path) -> pd.DataFrame:
    """One row per clip, from names like `001 - Dog bark/1-30226-A.ogg`: fold 1, source 30226, take A."""
    rows = []
    for path in sorted(folder.glob("0* - */*.ogg")):
        fold, source, take = path.stem.split("-")
        label = LABELS[int(path.parent.name[:3]) - 1]
        rows.append((path.stem, label, int(fold), source, take, path.relative_to(folder).as_posix()))
    return pd.DataFrame(rows, columns=["clip", "label", "fold", "source", "take", "path"])


def esc50(folder: Path, ending: str = ".wav") -> pd.DataFrame:
    """One row per clip, from `meta/esc50.csv`; the column `esc10` marks the clips of the smaller set.

    Four recordings are in two official folds, with another class in each: see the card. The copy at 16 kHz has the same
    table, and names that end in `.ogg`.
    """
    meta = clips.read_csv(folder / "meta" / "esc50.csv", ["filename", "fold", "category", "esc10", "src_file", "take"])
    clip = meta["filename"].str.removesuffix(".wav")
    table = pd.DataFrame(
        {
            "clip": clip,
            "label": meta["category"],
            "fold": meta["fold"].astype(int),
            "source": meta["src_file"],
            "take": meta["take"],
            "esc10": meta["esc10"] == "True",
            "path": "audio/" + clip + ending,
        }
    )
    return with_fold_in_source(table)


# --- Free Spoken Digit Dataset: ten digits, six speakers, fifty takes of each

OFFICIAL_TEST = 5  # takes 0 to 4 are the authors' test set


def fsdd(folder: Path) -> pd.DataFrame:
    """One row per clip, from names like `recordings/7_jackson_32.wav`.

    Fold and source are the speaker, so a test is on a voice not heard in training. `official_test` marks the authors'
    own test set, whose speakers all occur in training.
    """
    rows = [(path.stem, *path.stem.split("_")) for path in sorted((folder / "recordings").glob("*_*_*.wav"))]
    table = pd.DataFrame(rows, columns=["clip", "label", "source", "take"])
    table["take"] = table["take"].astype(int)
    speakers = sorted(table["source"].unique())
    table.insert(2, "fold", table["source"].map({speaker: fold for fold, speaker in enumerate(speakers, 1)}))
    return table.assign(
        speaker=table["source"],
        official_test=table["take"] < OFFICIAL_TEST,
        path="recordings/" + table["clip"] + ".wav",
    )


# --- UrbanSound8K: ten classes of street sound in ten official folds (Salamon, Jacoby & Bello 2014)


def urbansound8k(folder: Path) -> pd.DataFrame:
    """One row per clip, from `metadata/UrbanSound8K.csv`. The source is the Freesound recording.

    Five recordings are in two or more official folds, with another class in each: see the card.
    """
    columns = ["slice_file_name", "fsID", "salience", "fold", "class"]
    meta = clips.read_csv(folder / "metadata" / "UrbanSound8K.csv", columns)
    table = pd.DataFrame(
        {
            "clip": meta["slice_file_name"].str.removesuffix(".wav"),
            "label": meta["class"],
            "fold": meta["fold"].astype(int),
            "source": meta["fsID"],
            "salience": meta["salience"].astype(int),
            "path": "audio/fold" + meta["fold"] + "/" + meta["slice_file_name"],
        }
    )
    return with_fold_in_source(table)


# --- Speech Commands v0.02: 35 words, one second each (Warden 2018)

LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def speechcommands(folder: Path) -> pd.DataFrame:
    """One row per clip, from names like `yes/0a7c2a8d_nohash_0.wav`: the source is the speaker `0a7c2a8d`.

    Part and fold come from the official lists; a clip in neither is for training. Background noise is left out.
    """
    listed = {}
    for part, name in LISTS.items():
        listed |= dict.fromkeys((folder / name).read_text(encoding="utf-8").split(), part)
    paths = (path.relative_to(folder) for path in sorted(folder.glob("[!_.]*/*.wav")))
    rows = [
        (path.with_suffix("").as_posix(), path.parent.name, path.name.split("_nohash_")[0], path.as_posix())
        for path in paths
    ]
    table = pd.DataFrame(rows, columns=["clip", "label", "source", "path"])
    table["part"] = table["path"].map(listed).fillna("train")
    return table.assign(fold=table["part"].map(clips.PARTS))


def speechcommands10(folder: Path) -> pd.DataFrame:
    """One row per clip, from names like `audio/yes/0a7c2a8d_nohash_0.flac`: the source is the speaker `0a7c2a8d`.

    The archive is published as a test set only. The five folds are ours: the SHA-1 of the speaker modulo 5.
    """
    paths = [path.relative_to(folder) for path in sorted(folder.glob("audio/*/*.flac"))]
    rows = [(f"{p.parent.name}/{p.stem}", p.parent.name, p.stem.split("_nohash_")[0], p.as_posix()) for p in paths]
    table = pd.DataFrame(rows, columns=["clip", "label", "source", "path"])
    sums = table["source"].map(lambda speaker: int(hashlib.sha1(speaker.encode()).hexdigest(), 16))
    return table.assign(fold=(sums % 5 + 1).astype(int))


# --- NSynth: single notes of about a thousand instruments in eleven families (Engel et al. 2017)

FOLDERS = {"train": "nsynth-train", "validation": "nsynth-valid", "test": "nsynth-test"}


def nsynth(folder: Path) -> pd.DataFrame:
    """One row per note, from the three `examples.json`: the label is the family, the source the instrument."""
    rows = []
    for part, name in FOLDERS.items():
        notes = json.loads((folder / name / "examples.json").read_text(encoding="utf-8"))
        rows += [
            (note, d["instrument_family_str"], d["instrument_str"], d["pitch"], d["velocity"], part,
             f"{name}/audio/{note}.wav")
            for note, d in sorted(notes.items())
        ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["clip", "label", "source", "pitch", "velocity", "part", "path"])
    return table.assign(fold=table["part"].map(clips.PARTS))


# --- FSD50K: clips from Freesound, each with several of two hundred labels (Fonseca et al. 2020)


def fsd50k(folder: Path) -> pd.DataFrame:
    """One row per clip, from `dev.csv` and `eval.csv`; `labels` holds all its labels, `label` the first.

    The published task uses all labels: grids with `task = "tags"`. The first label gives each clip one class, which is
    good for an exercise but not comparable with published numbers.
    """
    truth = folder / "FSD50K.ground_truth"
    dev = clips.read_csv(truth / "dev.csv", ["fname", "labels", "split"])
    held_out = clips.read_csv(truth / "eval.csv", ["fname", "labels"])
    dev["part"] = dev["split"].map({"train": "train", "val": "validation"})
    dev["path"] = "FSD50K.dev_audio/" + dev["fname"] + ".wav"
    held_out["part"] = "test"
    held_out["path"] = "FSD50K.eval_audio/" + held_out["fname"] + ".wav"
    both = pd.concat([dev, held_out], ignore_index=True)
    table = both[["part", "path"]].assign(clip=both["fname"], source=both["fname"])
    table["label"] = both["labels"].str.split(",").str[0]
    table["labels"] = both["labels"].str.replace(",", BETWEEN)
    return table.assign(fold=table["part"].map(clips.PARTS))


# --- One function for all of them

READERS = (esc10, esc50, fsdd, urbansound8k, speechcommands, speechcommands10, nsynth, fsd50k)
TABLES = {reader.__name__: reader for reader in READERS} | {"esc50-16k": partial(esc50, ending=".ogg")}


def load(dataset: str | Path, profile: Profile | None = None, seed: int = 0, *, clip_s: float | None = None) -> Clips:
    """The clips of `dataset`: a name from the registry, a manifest, or a folder with a sub-folder per class.

    All clips, or at most as many per class as `profile` allows, drawn by `seed`, spread over the folds. For your own
    sounds see `manifest.py`; `clip_s` is the length of their clips in seconds. Nothing is downloaded here; a set in the
    mirror is unpacked, and if only another form of it is there, such as `esc50-16k`, that form is taken.

    Raises
    ------
    UsageError
        No such data set, `profile` is not a profile, or `clip_s` is given for a set that has its own length.
    CourseError
        The set is not on this machine (the line says how to get it), its files or the manifest are at fault, or a class
        is missing from a fold.
    """
    expect("dataset", dataset, str | Path, "the name of a data set, or the path of a manifest or folder")
    if profile is not None:
        expect("profile", profile, Profile, "such as course_lib.profiles.get('smoke'); leave it out for all clips")
    name = str(dataset)
    most = profile.real_clips_per_class if profile else None
    if is_own(name):
        read = load_folder if Path(name).expanduser().is_dir() else load_manifest
        return read(name, most, seed, clip_s)
    e = registry.entry(download.available(name))
    if clip_s is not None:
        raise UsageError(f"clip_s: is for your own sounds; clips of {name} are {e.length_s:g} s long")
    if e.embedded:
        make = {"synth10": load_synth10, "timing": load_timing, "timing10s": load_timing10s}[name]
        return make(profile.clips_per_class if profile else None, seed)
    folder = download.get(e.name, network=False)
    table = TABLES[e.name](folder)
    if len(table) != e.clips:
        raise CourseError(
            f"{folder}: has {len(table)} clips, expected {e.clips}; run: course data get {e.name} --force"
        )
    table = folds.subsample(table, most, seed)
    folds.check_classes(e.name, table)
    return clips_from_files(e.name, table, folder, e.length_s, e.rate_hz, download.content(e.name))


def own_card(dataset: str) -> str:
    """What `load` makes of your own sounds, in Markdown like the card of a data set; raises like `load`."""
    own = load(dataset)
    sources, n_folds = own.table["source"].nunique(), own.table["fold"].nunique()
    of_class = own.table["label"].value_counts()
    rows = {
        "clips": f"{len(own):,} in {own.n_classes} classes, {of_class.min()} to {of_class.max()} per class",
        "length": f"{own.length_s:g} s",
        "rate": f"{own.native_rate_hz:,} Hz",
        "sources": f"{sources:,}, such as `{own.table['source'][0]}`; to change them: `course data manifest`",
        "folds": f"{n_folds}; every fold contains every class, and no source is in two folds",
    }
    lines = [f"## `{own.name}`: your own sounds", "", "| | |", "|---|---|"]
    return "\n".join([*lines, *(f"| {key} | {text} |" for key, text in rows.items())]) + "\n"


def is_own(dataset: str) -> bool:
    """Whether `dataset` is the path of a manifest or folder of your own, not the name of a data set."""
    path = Path(dataset).expanduser()
    return dataset not in registry.names() and (dataset.lower().endswith(".csv") or path.exists())


def resolve_dataset(dataset: str) -> str:
    """`dataset` as a notebook in another folder needs it: a registered name, or the absolute path of your own sounds.

    Raises
    ------
    UsageError
        No data set has that name.
    CourseError
        There is no such manifest.
    """
    if not is_own(dataset):
        return registry.entry(dataset).name
    path = Path(dataset).expanduser().resolve()
    if not path.exists():
        raise CourseError(f"{path}: No such file; give the path of a CSV file with the columns filename,label")
    return str(path)
