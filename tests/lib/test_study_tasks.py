"""The grids of other data sets, on tiny made sets of the same layout: ready to run, and from files to a row."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from course_lib.datasets import fetch, registry
from course_lib.study import grid, run
from course_lib.study.spec import to_dict

RATE_HZ = 8_000
TAKES = {"train": 6, "validation": 2, "test": 2}


def sound(path, hz):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, 0.5 * np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ), RATE_HZ)


def esc50(folder):
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for target, name in enumerate(("dog", "rain")):
        for fold in range(1, 6):
            for take in "AB":
                source = 10 * target + fold
                rows.append(f"{fold}-{source}-{take}-{target}.wav,{fold},{target},{name},False,{source},{take}")
                sound(folder / "audio" / f"{fold}-{source}-{take}-{target}.wav", 300 + 600 * target)
    (folder / "meta").mkdir()
    (folder / "meta" / "esc50.csv").write_text("\n".join(rows) + "\n")


def speechcommands(folder):
    listed = {part: [] for part in TAKES}
    for hz, word in ((300, "yes"), (900, "no")):
        for part, takes in TAKES.items():
            for k in range(takes):
                name = f"{word}/{part}{k}_nohash_0.wav"
                sound(folder / name, hz)
                listed[part].append(name)
    (folder / "validation_list.txt").write_text("\n".join(listed["validation"]) + "\n")
    (folder / "testing_list.txt").write_text("\n".join(listed["test"]) + "\n")


def nsynth(folder):
    for part, name in (("train", "train"), ("validation", "valid"), ("test", "test")):
        notes = {}
        for hz, family in ((300, "bass"), (900, "flute")):
            for k in range(TAKES[part]):
                note = f"{family}_{part}_{k}-060-100"
                about = {"instrument_family_str": family, "instrument_str": note[:-8], "pitch": 60, "velocity": 100}
                notes[note] = about
                sound(folder / f"nsynth-{name}" / "audio" / f"{note}.wav", hz)
        (folder / f"nsynth-{name}" / "examples.json").write_text(json.dumps(notes))


def urbansound8k(folder):
    rows = ["slice_file_name,fsID,start,end,salience,fold,classID,class"]
    for target, name in enumerate(("dog_bark", "siren")):
        for fold in range(1, 11):
            for part in range(2):
                source = 100 * target + fold
                rows.append(f"{source}-{target}-0-{part}.wav,{source},0.0,1.0,1,{fold},{target},{name}")
                sound(folder / "audio" / f"fold{fold}" / f"{source}-{target}-0-{part}.wav", 300 + 600 * target)
    (folder / "metadata").mkdir()
    (folder / "metadata" / "UrbanSound8K.csv").write_text("\n".join(rows) + "\n")


LAYOUTS = {"esc50": esc50, "speechcommands": speechcommands, "nsynth": nsynth, "urbansound8k": urbansound8k}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Puts a tiny set of the layout of `name` where the real one would be, by hand."""
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    real = registry.entry

    def put(name):
        LAYOUTS[name](tmp_path / name)
        entry = replace(real(name), clips=40 if name == "urbansound8k" else 20, manifest="", by_hand="unpack it")
        monkeypatch.setattr(registry, "entry", lambda other: entry if other == name else real(other))

    yield put
    run.clips_of.cache_clear()


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_grid_of_another_set_is_ready_to_run(tiny, name):
    """Data, folds, hops, and one forward through every network behind every front."""
    tiny(name)
    fetch.get(name, network=False)  # unpacked by hand: looked at, and stamped
    grid.check(grid.read(grid.find(name)))


@pytest.mark.parametrize(
    ("name", "part", "asked"),
    [
        ("esc50", "fronts", {"front": "diffres-light:0.5"}),
        ("esc50", "backbone", {"copies": "naa"}),
        ("urbansound8k", "hop", {"features.hop_ms": 20.0}),
        ("urbansound8k", "backbone", {"recipe.picture": True}),
        ("speechcommands", "fronts", {"front": "uniform:0.5"}),
        ("speechcommands", "backbone", {"model": "lite0-scratch"}),
        ("nsynth", "finer", {"front": "diffres-light:0.75"}),
    ],
)
def test_a_run_of_it_goes_from_its_files_to_a_row(tiny, name, part, asked):
    tiny(name)
    runs = dict(grid.read(grid.find(name)).parts)[part]
    spec = next(s for s in runs if all(to_dict(s)[field] == value for field, value in asked.items()))
    spec = replace(spec, recipe=replace(spec.recipe, steps=2, batch=4, looks=1))
    row = run.run_one(spec, device="cpu")
    assert row["n_test"] == 4 and row["classes"] == sorted(row["classes"]) and len(row["classes"]) == 2
    assert 0 <= row["test_accuracy"] <= 1 and {field: row[field] for field in asked} == asked
