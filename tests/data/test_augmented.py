"""Copies keep label, fold and source of their clip; nothing parts them; sounds are made once."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import psutil
import pytest

from course_lib.audio import augment
from course_lib.audio import io as audio_io
from course_lib.data import augmented, folds, workers
from course_lib.data.augmented import AugmentedClips, with_copies
from course_lib.data.clips import Clips
from course_lib.errors import CourseError, UsageError

RATE_HZ, LENGTH_S = 16_000, 0.25
SOURCES, TAKES, LABELS = 10, 2, ("dog", "rain")


def small(name: str = "small", content: str = "small") -> Clips:
    """Two classes, five folds, ten sources a class of two clips each; every clip is noise of its own."""
    rows = [
        (f"{label}-{source}-{take}", label, 1 + source % 5, f"{label}-{source}")
        for label in LABELS
        for source in range(SOURCES)
        for take in range(TAKES)
    ]
    table = pd.DataFrame(rows, columns=["clip", "label", "fold", "source"]).assign(take="A")
    order = {clip: seed for seed, clip in enumerate(table["clip"])}

    def reader(asked: pd.DataFrame, rate_hz: int, length_s: float) -> np.ndarray:
        n_samples = round(length_s * rate_hz)
        waves = [np.random.default_rng(order[clip]).uniform(-0.5, 0.5, n_samples) for clip in asked["clip"]]
        return np.array(waves, np.float32)

    events = pd.DataFrame({"clip": table["clip"], "onset_s": 0.1, "offset_s": 0.2, "label": table["label"]})
    return Clips(name, table, LENGTH_S, RATE_HZ, content, reader, events)


def gain(x, gain_db):
    return x * np.float32(10 ** (gain_db / 20))


def quieter(x, rate_hz, rng):
    return gain(x, -6)


def drawn(x, rate_hz, rng):
    return augment.add_noise(x, rng, 20)


TWO = {"quieter": quieter, "drawn": drawn}


@pytest.fixture(autouse=True)
def own_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "data"))


# --- the table -----------------------------------------------------------------------------------------------------


def test_copies_inherit_label_fold_source_and_all_else():
    clips = small()
    copies = with_copies(clips, TWO)
    n = len(clips)
    assert isinstance(copies, AugmentedClips)
    assert len(copies) == 3 * n
    assert copies.table["transform"].tolist() == ["original"] * n + ["quieter"] * n + ["drawn"] * n
    assert copies.is_original.tolist() == [True] * n + [False] * 2 * n
    assert copies.table["clip"].is_unique
    for start in (0, n, 2 * n):
        block = copies.table.iloc[start : start + n].reset_index(drop=True)
        pd.testing.assert_frame_equal(block[["label", "fold", "source", "take"]], clips.table.drop(columns="clip"))
        assert block["original"].tolist() == clips.table["clip"].tolist()
    assert copies.table["clip"].iloc[:n].tolist() == clips.table["clip"].tolist()
    assert set(copies.events["clip"]) == set(clips.table["clip"])
    assert copies.classes == clips.classes


def test_copies_of_copies_and_the_name_original_are_refused():
    with pytest.raises(UsageError, match="already contains copies"):
        with_copies(with_copies(small(), TWO), TWO)
    with pytest.raises(UsageError, match="cannot be called 'original'"):
        with_copies(small(), {"original": quieter})


# --- what may and what may not be parted ---------------------------------------------------------------------------


def test_the_protocol_that_is_honest_is_easy():
    copies = with_copies(small(), TWO)
    for test_fold in range(1, 6):
        train, validation, test = folds.split(copies, test_fold)
        assert (train.astype(int) + validation + test == 1).all()
        learnt, tested = copies.where(train), copies.where(copies.originals_only(test))
        assert len(learnt) == 3 * 24
        assert len(tested) == 8
        assert tested.is_original.all()
        assert not set(learnt.table["source"]) & set(tested.table["source"])
        assert set(tested.events["clip"]) == set(tested.table["clip"])


PARTINGS = {
    "a clip and its copies, without its sibling": lambda copies: copies.table["original"] == "dog-0-0",
    "copies without their clips": lambda copies: ~copies.is_original,
    "originals and one transform": lambda copies: copies.table["transform"] != "drawn",
}


@pytest.mark.parametrize("name", PARTINGS)
def test_a_mask_that_parts_copies_raises(name):
    copies = with_copies(small(), TWO)
    with pytest.raises(CourseError, match=r"small: the mask separates copies of source '.*folds.split"):
        copies.where(PARTINGS[name](copies))
    with pytest.raises(CourseError, match="separates copies"):
        copies.originals_only(PARTINGS[name](copies))


def test_two_masks_that_pass_and_share_no_row_share_no_source():
    """Over all 256 masks of four sources with an original and a copy: the promise of `where`."""
    clips = small().where(np.isin(small().table["source"], ["dog-0", "dog-1", "rain-0", "rain-1"]))
    copies = with_copies(clips.where(clips.table["clip"].str.endswith("-0")), {"quieter": quieter})
    source = copies.table["source"].to_numpy()
    passed = []
    for number in range(2 ** len(copies)):
        mask = np.array([number >> bit & 1 for bit in range(len(copies))], bool)
        try:
            copies.where(mask)
        except CourseError:
            continue
        passed.append(mask)
    assert len(passed) == 3**4  # all, none or the originals of each source
    for first in passed:
        for second in passed:
            if not (first & second).any():
                assert not set(source[first]) & set(source[second])


def test_a_mask_of_numbers_or_of_another_length_is_refused():
    copies = with_copies(small(), TWO)
    for mask in (np.arange(len(copies)), np.ones(5, bool)):
        with pytest.raises(ValueError, match=r"^mask: .* expected bool of shape \(120,\)"):
            copies.where(mask)


@pytest.mark.parametrize("column", ["fold", "source", "label"])
def test_a_table_whose_copies_differ_from_their_clip_cannot_be_copies(column):
    copies = with_copies(small(), TWO)
    table = copies.table.copy()
    other = {"fold": 5, "source": "another", "label": "rain"}[column]
    table.loc[table.index[-20], column] = other if table.loc[table.index[-20], column] != other else "dog"
    with pytest.raises(CourseError, match=r"is in folds|another label, fold or source"):
        replace(copies, table=table)
    with pytest.raises(UsageError, match="lacks `original` and `transform`; make copies with with_copies"):
        replace(copies, table=copies.table.drop(columns="original"))


@pytest.mark.parametrize("by", ["clip", "original"])
def test_folds_that_leak_cannot_enter_copies(by):
    copies = with_copies(small(), TWO)
    leaky = copies.table.assign(fold=folds.folds_by_source(copies.table.assign(source=copies.table[by])))
    with pytest.raises(CourseError, match=r"source '.*' is in folds"):
        replace(copies, table=leaky)
    clips = small()
    leaky = clips.table.assign(fold=folds.folds_by_source(clips.table.assign(source=clips.table["clip"])))
    with pytest.raises(CourseError, match=r"source '.*' is in folds"):
        with_copies(replace(clips, table=leaky), TWO)


# --- the sounds ----------------------------------------------------------------------------------------------------


def test_waves_are_the_originals_and_then_what_each_transform_makes_of_them():
    clips = small()
    waves = with_copies(clips, TWO).waves()
    n = len(clips)
    assert waves.dtype == np.float32
    assert waves.shape == (3 * n, round(LENGTH_S * RATE_HZ))
    assert not waves.flags.writeable
    np.testing.assert_array_equal(waves[:n], clips.waves())
    np.testing.assert_allclose(waves[n : 2 * n], clips.waves() * 10 ** (-6 / 20), rtol=1e-6)
    added = waves[2 * n :] - waves[:n]
    likeness = np.corrcoef(added) - np.eye(n)
    assert np.abs(likeness).max() < 0.1  # each clip draws its own
    twice = with_copies(clips, {"first": drawn, "second": drawn}).waves()
    assert (twice[n : 2 * n] != twice[2 * n :]).any(axis=1).all()  # and each transform


def test_a_part_in_any_order_sounds_as_in_the_whole():
    clips = small()
    whole = with_copies(clips, TWO)
    sound = dict(zip(whole.table["clip"], whole.waves(), strict=True))
    some_folds = whole.where(whole.table["fold"] <= 2)
    backwards = clips.where((clips.table["fold"] == 1).to_numpy())
    backwards = replace(backwards, table=backwards.table.iloc[::-1].reset_index(drop=True))
    for part in (some_folds, with_copies(backwards, dict(reversed(TWO.items())))):
        for clip, wave in zip(part.table["clip"], part.waves(), strict=True):
            np.testing.assert_array_equal(wave, sound[clip])
    other_seed = with_copies(clips, TWO, seed=1).waves()
    np.testing.assert_array_equal(other_seed[: 2 * len(clips)], whole.waves()[: 2 * len(clips)])
    assert (other_seed[2 * len(clips) :] != whole.waves()[2 * len(clips) :]).any()


def test_another_length_is_cut_or_filled_at_the_end():
    def longer(x, rate_hz, rng):
        return np.concatenate([x, np.full(100, 3, np.float32)])

    def shorter(x, rate_hz, rng):
        return 4 * x[:1000]

    clips = small()
    copies = with_copies(clips, {"longer": longer, "shorter": shorter})
    for length_s in (LENGTH_S, 0.1, 0.5):
        n_samples = round(length_s * RATE_HZ)
        waves = copies.waves(length_s=length_s)
        assert waves.shape == (len(copies), n_samples)
        own, long, short = np.split(waves, 3)
        kept = min(n_samples, round(LENGTH_S * RATE_HZ))
        np.testing.assert_array_equal(long[:, :kept], own[:, :kept])
        assert not long[:, kept:].any()
        assert not short[:, 1000:].any()
        np.testing.assert_array_equal(short[:, :1000], np.clip(4 * own[:, :1000], -1, 1))


def test_each_transform_is_made_once_and_kept(monkeypatch):
    made = []
    real = workers.copy_of

    def counted(x, clip, *, name, **more):
        made.append(name)
        return real(x, clip, name=name, **more)

    monkeypatch.setattr(workers, "copy_of", counted)
    monkeypatch.setattr(workers, "WORTH_PROCESSES_S", 60.0)  # what a process makes would not be counted
    clips, n = small(), len(small())
    with_copies(clips, TWO).waves()
    assert made == ["quieter"] * n + ["drawn"] * n
    copies = with_copies(clips, TWO)
    copies.waves()
    copies.where(copies.table["fold"] == 3).waves(length_s=0.1)
    with_copies(clips, {"drawn": drawn}).waves()
    assert len(made) == 2 * n
    with_copies(clips, TWO | {"third": quieter}).waves()
    assert made[2 * n :] == ["third"] * n
    of_before = with_copies(clips, TWO).content
    for other in (
        lambda: with_copies(small(content="changed"), TWO).waves(),
        lambda: with_copies(clips, TWO, seed=1).waves(),
        lambda: with_copies(clips, TWO).waves(8000),
        lambda: monkeypatch.setattr(augmented, "DECODING_VERSION", 0) or with_copies(clips, TWO).waves(),
    ):
        del made[:]
        other()
        assert len(made) == 2 * n
    assert with_copies(clips, TWO).content == of_before


def test_a_changed_transform_of_the_same_name_is_another():
    """Wherever its setting is: in a partial, in a closure, in a global name, or too small for the probe to show."""
    global THRESHOLD_DB
    clips = small()

    def content(transform):
        return with_copies(clips, {"name": transform}).content

    def closed(threshold_db):
        return lambda x, rate_hz, rng: augment.trim_silence(x, threshold_db, rate_hz=rate_hz)

    def from_global(x, rate_hz, rng):
        return gain(x, THRESHOLD_DB)

    def keyword(x, rate_hz, rng, *, gain_db):
        return gain(x, gain_db)

    THRESHOLD_DB = 3
    three = content(from_global)
    THRESHOLD_DB = 4
    assert content(from_global) != three
    assert content(closed(40)) == content(closed(40))
    assert content(closed(40)) != content(closed(40.001))
    assert content(partial(keyword, gain_db=3)) != content(partial(keyword, gain_db=4))
    assert content(augment.NAA["slow"]) == content(augment.naa()["slow"])
    assert content(augment.NAA["slow"]) != content(augment.naa(engine="librosa")["slow"])


class Chain:
    """Several transforms, one after the other."""

    def __init__(self, *transforms):
        self.transforms = transforms

    def of(self, x, rate_hz, rng):
        for transform in self.transforms:
            x = transform(x, rate_hz, rng)
        return x


def test_a_transform_made_of_functions_is_the_same_in_another_process():
    """Where a function lies in memory is not what it does; what it closes over is, also where no probe shows it."""
    clips = small()

    def trimmed(threshold_db, table):
        return lambda x, rate_hz, rng: augment.trim_silence(x, threshold_db, rate_hz=rate_hz)[: len(table) or None]

    def again(x, rate_hz, rng):
        return x if len(x) < 10 else np.append(again(x[:9], rate_hz, rng), x[9:])

    def twice(first):
        return lambda x, rate_hz, rng: first(first(x, rate_hz, rng), rate_hz, rng)

    def listed(transforms, x, rate_hz, rng):
        return Chain(*transforms).of(x, rate_hz, rng)

    def chained(*transforms):
        chain = Chain(*transforms)
        return lambda x, rate_hz, rng: chain.of(x, rate_hz, rng)

    table = np.zeros(100_000)
    other_table = table.copy()
    other_table[50_000] = 1  # which the text of an array leaves out
    settings = ((40, table), (40.001, table), (40, other_table))
    for make in (twice, chained, lambda first: partial(listed, [first, quieter])):
        made = [make(trimmed(*setting)) for setting in (*settings, *settings)]
        contents = [with_copies(clips, {"name": transform}).content for transform in made]
        assert contents[:3] == contents[3:] and len(set(contents)) == 3
    assert with_copies(clips, {"name": twice(again)}).content  # a function that closes over itself


def running_workers():
    commands = []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # or it is dead and not yet buried
            commands.append(" ".join(child.cmdline()))
    return [command for command in commands if "popen_loky" in command]


@pytest.fixture
def two_workers(monkeypatch):
    """Two processes for everything, however small."""
    monkeypatch.setattr(workers, "WORTH_PROCESSES_S", 0.0)
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "2")


def where_am_i(x, rate_hz, rng):
    time.sleep(0.01)  # or one process could make all
    return np.full(len(x), os.getpid() % 1000 / 1000, np.float32)


def made_at(transform):
    """Which processes made copies."""
    clips = small().where(small().table["fold"] <= 2)
    return set(with_copies(clips, {"where": transform}).waves()[len(clips) :, 0].tolist())


def test_processes_make_the_same_copies_as_this_one(request, monkeypatch, tmp_path):
    clips = small().where(small().table["fold"] <= 2)
    few = {name: augment.NAA[name] for name in ("slow", "fast", "shift")}
    monkeypatch.setattr(workers, "WORTH_PROCESSES_S", 60.0)
    here = with_copies(clips, few).waves()
    assert made_at(where_am_i) == {np.float32(os.getpid() % 1000 / 1000)}
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "elsewhere"))
    request.getfixturevalue("two_workers")
    np.testing.assert_array_equal(with_copies(clips, few).waves(), here)
    assert len(made_at(where_am_i)) == 3, "this process makes the first two, two others the rest"


def test_a_worker_that_grows_is_replaced_and_nobody_is_bothered(two_workers, recwarn):
    parent = os.getpid()

    def hoards(x, rate_hz, rng):
        if os.getpid() != parent:
            workers.hoard = [*getattr(workers, "hoard", []), np.ones(2**24)]  # 128 MB each
            time.sleep(0.4)
        return where_am_i(x, rate_hz, rng)

    assert len(made_at(hoards)) > 3, "this process and two workers: none was replaced, the test is too mild"
    assert not [str(warning.message) for warning in recwarn]


@pytest.mark.skipif(os.name == "nt", reason="there os.kill ends a process whatever the signal")
def test_an_interrupt_leaves_neither_workers_nor_half_an_array(two_workers, tmp_path):
    parent = os.getpid()

    def interrupts(x, rate_hz, rng):
        if os.getpid() != parent:
            os.kill(parent, signal.SIGINT)
            time.sleep(60)
        return x

    with pytest.raises(KeyboardInterrupt):
        with_copies(small(), {"quieter": quieter, "interrupts": interrupts}).waves()
    assert not running_workers()
    kept = list(tmp_path.rglob("make_copies/*.npy"))
    assert len(kept) == 1  # the whole array of `quieter`


def test_workers_import_little():
    code = "import sys; import course_lib.data.workers; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"pandas", "scipy", "numba", "torch", "sklearn"} & set(run.stdout.split())


def picky(x, rate_hz, rng):
    if len(x) < 2000:
        raise ValueError("x: too short")
    return x


def test_a_clip_that_a_transform_refuses_is_named():
    copies = with_copies(small(), {"picky": picky})
    with pytest.raises(ValueError, match=r"^transform 'picky' of clip 'dog-0-0': x: too short$"):
        copies.waves(4000)


def test_a_clip_that_is_refused_in_a_worker_is_named_too(two_workers):
    parent = os.getpid()

    def fails(x, rate_hz, rng):
        return picky(x if os.getpid() == parent else x[:1], rate_hz, rng)

    with pytest.raises(ValueError, match=r"^transform 'fails' of clip 'dog-\d-\d': x: too short$"):
        with_copies(small(), {"fails": fails}).waves()


def test_more_than_fits_into_memory_is_said_before_it_is_made(monkeypatch):
    monkeypatch.setattr(audio_io.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 10})())
    with pytest.raises(CourseError, match=r"120 clips need 0.0 GB of memory, 0.0 GB are free; take one fold, fewer tr"):
        with_copies(small(), TWO).waves()
