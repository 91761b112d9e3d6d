"""The grids of other data sets, on tiny made sets of the same layout: ready to run, and from files to a row."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import soundfile as sf
from typer.testing import CliRunner

from course_lib.cli.main import app
from course_lib.data import download, registry
from course_lib.errors import UsageError
from course_lib.study import clip_run, grid, records
from course_lib.study.config import to_dict

RATE_HZ = 8_000
TAKES = {"train": 6, "validation": 2, "test": 2}


def sound(path, *tones_hz):
    path.parent.mkdir(parents=True, exist_ok=True)
    tones = [np.sin(2 * np.pi * hz * np.arange(RATE_HZ) / RATE_HZ) for hz in tones_hz]
    sf.write(path, 0.4 * np.sum(tones, axis=0), RATE_HZ)


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


def fsd50k(folder):
    """Low, high, and both at once: no label alone names a clip of the third kind."""
    kinds = (((300,), "Bark"), ((900,), "Rain"), ((300, 900), "Bark,Rain"))
    listed = {"dev": ["fname,labels,mids,split"], "eval": ["fname,labels,mids"]}
    for part, takes in TAKES.items():
        for k in range(takes):
            for which, (hz, labels) in enumerate(kinds):
                name, place = f"{part}{which}{k}", "eval" if part == "test" else "dev"
                sound(folder / f"FSD50K.{place}_audio" / f"{name}.wav", *hz)
                line = f'{name},"{labels}","/m/1"'
                split = {"train": ",train", "validation": ",val", "test": ""}[part]
                listed[place].append(line + split)
    (folder / "FSD50K.ground_truth").mkdir()
    for place, lines in listed.items():
        (folder / "FSD50K.ground_truth" / f"{place}.csv").write_text("\n".join(lines) + "\n")


LAYOUTS = {
    "esc50": esc50, "speechcommands": speechcommands, "nsynth": nsynth, "urbansound8k": urbansound8k, "fsd50k": fsd50k,
}  # fmt: skip


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Puts a tiny set of the layout of `name` where the real one would be, by hand."""
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    real = registry.entry

    def put(name):
        LAYOUTS[name](tmp_path / name)
        clips = {"urbansound8k": 40, "fsd50k": 30}.get(name, 20)
        entry = replace(real(name), clips=clips, manifest="", by_hand="unpack it")
        monkeypatch.setattr(registry, "entry", lambda other: entry if other == name else real(other))

    yield put
    clip_run.clips_of.cache_clear()


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_grid_of_another_set_is_ready_to_run(tiny, name):
    """Data, folds, hops, and one forward through every network behind every front."""
    tiny(name)
    download.get(name, network=False)  # unpacked by hand: looked at, and stamped
    grid.check(grid.read(grid.find(name)))


@pytest.mark.parametrize(
    ("name", "part", "asked"),
    [
        ("esc50", "reducers", {"frame_reducer": "diffres-contrast:0.5"}),
        ("esc50", "augmentation", {"copies": "naa"}),
        ("urbansound8k", "hop", {"features.hop_ms": 20.0}),
        ("urbansound8k", "backbone", {"recipe.image_augment": True}),
        ("speechcommands", "fronts", {"frame_reducer": "uniform:0.5"}),
        ("speechcommands", "backbone", {"model": "lite0-scratch"}),
        ("nsynth", "finer", {"frame_reducer": "diffres-light:0.75"}),
    ],
)
def test_a_run_of_it_goes_from_its_files_to_a_row(tiny, name, part, asked):
    tiny(name)
    runs = dict(grid.read(grid.find(name)).parts)[part]
    spec = next(s for s in runs if all(to_dict(s)[field] == value for field, value in asked.items()))
    spec = replace(spec, recipe=replace(spec.recipe, steps=2, batch_size=4, n_evals=1))
    row = clip_run.run_one(spec, device="cpu")
    assert row["n_test"] == 4 and row["classes"] == sorted(row["classes"]) and len(row["classes"]) == 2
    assert 0 <= row["test_accuracy"] <= 1 and {field: row[field] for field in asked} == asked


def test_of_clips_with_several_labels_all_are_learnt_and_judged(tiny):
    """Two tones, alone and together: a network that may name one label alone could not be right on the third kind."""
    tiny("fsd50k")
    spec = dict(grid.read(grid.find("fsd50k")).parts)["hop"][4]
    features = replace(spec.features, rate_hz=RATE_HZ, n_mels=32)
    spec = replace(spec, features=features, recipe=replace(spec.recipe, steps=60, batch_size=18, n_evals=4, mixup=0.0))
    row = clip_run.run_one(spec, device="cpu")
    assert row["classes"] == ["Bark", "Rain"] and (row["n_train"], row["n_validation"], row["n_test"]) == (18, 6, 6)
    assert row["test_map"] == pytest.approx(np.mean(row["test_average_precisions"])) and row["test_map"] > 0.95
    assert "test_accuracy" not in row and row["history.validation_map"][-1] > 0.95
    assert row["validation_map"] == max(row["history.validation_map"])
    json.dumps(row, allow_nan=False)


def test_sets_of_one_label_a_clip_are_not_asked_for_several(tmp_path):
    (tmp_path / "tags.toml").write_text(
        'task = "tags"\n[[part]]\nname = "a"\ndataset = "synth10"\nfold = 1\nseed = 0\n'
    )
    with pytest.raises(UsageError, match=r"part 'a': dataset: synth10: its clips have one label each; leave out task"):
        grid.check(grid.read(tmp_path / "tags.toml"))


def test_a_manifest_with_several_labels_goes_from_its_lines_to_a_report(tmp_path):
    """Through the real commands: rows, their lines, a table of mean average precision."""
    rows = ["filename,label,labels,fold"]
    for fold in (1, 2, 3):
        for which, (tones, labels) in enumerate((((300,), "low"), ((900,), "high"), ((300, 900), "low|high"))):
            for k in range(4):
                name = f"{fold}{which}{k}.wav"
                sound(tmp_path / name, *(hz + 4 * fold + k for hz in tones))
                rows.append(f"{name},{labels.split('|')[0]},{labels.replace('|', ' | ')},{fold}")
    (tmp_path / "manifest.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "tags.toml").write_text(f"""
        task = "tags"
        [common]
        dataset = "{(tmp_path / "manifest.csv").as_posix()}"
        fold = [1, 2]
        seed = 0
        recipe.steps = 8
        recipe.batch_size = 8
        recipe.n_evals = 2
        features.rate_hz = {RATE_HZ}
        features.n_mels = 16
        [[part]]
        name = "hop"
        features.hop_ms = [20.0, 40.0]
    """)
    course = partial(CliRunner().invoke, app)
    given = [str(tmp_path / "tags.toml"), "--output", str(tmp_path / "run")]
    done = course(["study", "run", *given, "--device", "cpu"])
    assert done.exit_code == 0 and "4 rows done, 0 failed" in done.output and "test mAP" in done.output, done.output
    told = course(["study", "report", *given])
    assert told.exit_code == 0 and "mAP" in told.output, told.output
    summary = pd.read_csv(tmp_path / "run" / "summary.csv")
    assert summary["pairs"].tolist() == [0, 2] and summary["map"].between(0, 1).all()
    found = records.gather(tmp_path / "run")
    assert set(found["task"]) == {"tags"} and found["test_map"].between(0, 1).all()
    assert found["classes"].map(list).tolist() == [["high", "low"]] * 4
