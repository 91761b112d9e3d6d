"""The grid of the paper's other tasks, on tiny made sets of the same layout: from files to a row."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile as sf

from course_lib import paths
from course_lib.datasets import registry
from course_lib.study import grid, run

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


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Puts a tiny set of the layout of `name` where the real one would be, by hand."""
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    real = registry.entry

    def put(name):
        {"esc50": esc50, "speechcommands": speechcommands, "nsynth": nsynth}[name](tmp_path / name)
        entry = replace(real(name), clips=20, manifest="", by_hand="unpack it")
        monkeypatch.setattr(registry, "entry", lambda other: entry if other == name else real(other))

    yield put
    run.clips_of.cache_clear()


@pytest.mark.parametrize("name", ["esc50", "speechcommands", "nsynth"])
@pytest.mark.parametrize("front", ["diffres-light:0.5", "none"])
def test_a_task_of_the_paper_runs_from_its_files_to_a_row(tiny, name, front):
    tiny(name)
    specs = [s for s in grid.read(paths.grids_dir() / "tasks.toml").specs if s.dataset == name and s.front == front]
    spec = next(s for s in specs if s.features.hop_ms == 10)
    spec = replace(spec, recipe=replace(spec.recipe, steps=3, batch=4, looks=1))
    row = run.run_one(spec, device="cpu")
    assert row["n_test"] == 4 and row["classes"] == sorted(row["classes"]) and len(row["classes"]) == 2
    assert 0 <= row["test_accuracy"] <= 1 and row["front"] == front
