"""The published archives themselves, where a folder of them is at hand (`COURSE_MIRROR`)."""

import os
from pathlib import Path

import numpy as np
import pytest

from course_lib import profiles
from course_lib.audio import io as audio_io
from course_lib.data import download, folds, registry
from course_lib.data.load import load
from course_lib.errors import CourseError
from course_lib.paths import grids_dir
from course_lib.study import clip_run, grid

STUDY = profiles.get("study")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data folder of this module's own, so that the tests share what they fetch."""
    folder = tmp_path_factory.mktemp("real")
    before = os.environ.get("COURSE_DATA_DIR")
    os.environ["COURSE_DATA_DIR"] = str(folder)
    yield folder
    os.environ.pop("COURSE_DATA_DIR")
    if before:
        os.environ["COURSE_DATA_DIR"] = before


def require(name):
    mirror = os.environ.get("COURSE_MIRROR")
    if not mirror:
        pytest.skip("COURSE_MIRROR is not set")
    for file in registry.entry(name).files:
        if not (Path(mirror) / file.filename).is_file():
            pytest.skip(f"{file.filename} is not in COURSE_MIRROR")


def test_esc10_is_fetched_and_verified(data):
    require("esc10")
    download.get("esc10", network=False)
    assert download.verify("esc10") == "esc10: 400 files match the checksums published with the course"
    assert sorted(p.name for p in data.iterdir()) == ["esc10"]


def test_esc10_is_what_its_card_says(data):
    require("esc10")
    clips = load("esc10", STUDY)
    assert clips.table.groupby("label").size().tolist() == [40] * 10
    assert clips.table.groupby("fold").size().tolist() == [80] * 5
    assert clips.table["source"].nunique() == 304
    assert clips.table.groupby("source").size().max() == 7
    assert (clips.table.groupby("source")["clip"].transform("size") > 1).sum() == 163
    folds.check_sources_whole(clips.table)
    assert clips.classes == [
        "chainsaw", "clock_tick", "crackling_fire", "crying_baby", "dog", "helicopter", "rain", "rooster", "sea_waves",
        "sneeze",
    ]  # fmt: skip


def test_esc10_decodes(data):
    require("esc10")
    clips = load("esc10", profiles.get("smoke"))
    waves = clips.waves(16_000)
    assert waves.shape == (400, 80_000) and waves.dtype == np.float32
    assert np.abs(waves).max() <= 1 and (np.abs(waves).max(axis=1) > 0.001).all()
    assert clips.table.groupby(["label", "fold"]).size().tolist() == [8] * 50


def test_esc50_is_found_in_its_form_at_16_khz(data, monkeypatch):
    require("esc50-16k")
    assert download.available("esc50") == "esc50-16k"
    clips = load("esc50", STUDY)
    assert (clips.name, clips.native_rate_hz, len(clips), clips.n_classes) == ("esc50-16k", 16_000, 2_000, 50)
    assert clips.table.groupby(["fold", "label"]).size().tolist() == [8] * 250
    assert clips.table["esc10"].sum() == 400
    part = clips.where(np.arange(2_000) < 3)
    assert audio_io.read(data / "esc50-16k" / part.table["path"][0])[0].shape == (80_000,)
    (data / "esc50").mkdir()
    assert download.available("esc50") == "esc50"
    (data / "esc50").rmdir()
    monkeypatch.delenv("COURSE_MIRROR")
    assert download.available("esc50") == "esc50-16k" and download.available("esc10") == "esc10"
    monkeypatch.setenv("COURSE_DATA_DIR", str(data / "empty"))
    with pytest.raises(CourseError, match="esc50 is not on this machine; run: course data get esc50"):
        load("esc50", STUDY)
    with pytest.raises(CourseError, match=r"put ESC-50-16k\.zip into a folder and set COURSE_MIRROR to it"):
        load("esc50-16k", STUDY)


@pytest.mark.parametrize("name", ["esc50", "paper_backbones"])
def test_grids_on_esc50_accept_its_real_table(data, name):
    """Copies can be made and every fold is whole: what the grids ask before they train."""
    require("esc50-16k")
    runs = [run for _, runs in grid.read(grids_dir() / f"{name}.toml").parts for run in runs]
    runs = [run for run in runs if run.dataset == "esc50"]
    assert {run.copies for run in runs} == {"none", "naa"} and {run.fold for run in runs} == {1, 2, 3, 4, 5}
    for copies in ("none", "naa"):
        clips = clip_run.clips_of("esc50", None, copies)
        folds.check_sources_whole(clips.table)
        for fold in range(1, 6):
            parts = [clips.where(mask) for mask in folds.split(clips, fold)]
            assert [part.n_classes for part in parts] == [50, 50, 50]
    crossing = clips.table["source"][clips.table["source"].str.contains(" in fold ")].unique()
    numbers = ("131943", "134049", "209698", "234879")
    assert sorted({source.split()[0] for source in crossing}) == sorted(numbers) and len(crossing) == 8


def test_speechcommands10_is_what_its_card_says(data):
    require("speechcommands10")
    clips = load("speechcommands10", STUDY)
    assert len(clips) == 4_074 and clips.table["source"].nunique() == 239
    assert clips.classes == ["down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes"]
    assert clips.table["fold"].value_counts().sort_index().tolist() == [872, 719, 786, 757, 940]
    folds.check_sources_whole(clips.table)
    assert audio_io.probe(data / "speechcommands10" / clips.table["path"][0]) == (16_000, 16_000)


def test_fsdd_is_what_its_card_says(data):
    require("fsdd")
    clips = load("fsdd", STUDY)
    assert len(clips) == 3_000 and clips.classes == [str(digit) for digit in range(10)]
    assert clips.table.groupby(["speaker", "label"]).size().tolist() == [50] * 60
    assert clips.table["fold"].nunique() == 6 and clips.table["official_test"].sum() == 300
    assert clips.waves(8_000).shape == (3_000, 8_000)
