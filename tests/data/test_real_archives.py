"""The published archives themselves, where a folder of them is at hand (`COURSE_MIRROR`)."""

import os
from pathlib import Path

import numpy as np
import pytest

from course_lib import profiles
from course_lib.data import download, folds, registry
from course_lib.data.load import load

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


def test_fsdd_is_what_its_card_says(data):
    require("fsdd")
    clips = load("fsdd", STUDY)
    assert len(clips) == 3_000 and clips.classes == [str(digit) for digit in range(10)]
    assert clips.table.groupby(["speaker", "label"]).size().tolist() == [50] * 60
    assert clips.table["fold"].nunique() == 6 and clips.table["official_test"].sum() == 300
    assert clips.waves(8_000).shape == (3_000, 8_000)
