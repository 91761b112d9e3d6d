"""What a made data set is called follows its samples, not its source text.

A version constant names the data; here the samples themselves, or hashes of them, guard it. If one of these tests goes
red, the sound has changed: undo that, or raise the version and say in the changelog that published rows heard other
clips.
"""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from course_lib.audio import synth10, timing_probe
from course_lib.data import load
from course_lib.paths import published_dir, repo_root
from course_lib.scenes import images, mixing
from course_lib.scenes.scenes import SceneSpec
from course_lib.study import records

# The packages that make sounds; a comment in them must not rename a data set
SOUND_PACKAGES = ("audio", "scenes")
ASK = """
from course_lib.data import load as embedded
from course_lib.profiles import get
from course_lib.scenes.mixing import made_scenes
from course_lib.scenes.scenes import SceneSpec
clips = embedded.load_synth10(20)
small = SceneSpec(weak=4, unlabelled=4, validation=4, test=4)
print(clips.content, embedded.load_timing(5).content, made_scenes(clips, 1, small).content)
"""


def fingerprint(x: np.ndarray, bits: int = 12) -> str:
    """Hash of `x` rounded to `bits` after the binary point: the last digits of a machine's arithmetic do not count."""
    return hashlib.sha256(np.round(np.asarray(x, np.float64) * 2**bits).astype(np.int32).tobytes()).hexdigest()[:16]


def test_the_samples_of_synth10_are_those_of_its_version():
    """Samples and levels within a tolerance: processors round these sounds so differently that a hash would not do."""
    waves = synth10.synth10_waves(synth10.synth10_table(clips_per_class=2, seed=0)).astype(np.float64)
    pinned = json.loads(Path(__file__).with_name("synth10_version_1.json").read_text())
    assert synth10.SYNTH10_VERSION == 1
    np.testing.assert_allclose(waves[:, ::4001], pinned["samples"], atol=5e-4)
    levels = np.sqrt((waves.reshape(len(waves), 20, -1) ** 2).mean(2))
    np.testing.assert_allclose(levels, pinned["levels"], rtol=1e-3, atol=1e-5)


def test_the_samples_of_the_timing_probe_are_those_of_its_version():
    waves = timing_probe.timing_waves(timing_probe.timing_table(clips_per_class=10, seed=0))
    assert (timing_probe.TIMING_VERSION, fingerprint(waves)) == (1, "8d3fe7932f3a1d5a")


def test_sounds_and_pictures_of_made_scenes_are_those_of_their_version():
    spec = SceneSpec()
    noise = np.random.default_rng(0).standard_normal((2, 5 * mixing.MIX_RATE_HZ)).astype(np.float32)
    columns = ["filename", "event_label", "onset", "offset", "row", "start_s", "snr_db"]
    events = [("test-0000.wav", "dog", 1.0, 2.5, 0, 0.5, 6.0), ("test-0000.wav", "rain", 2.0, 6.0, 1, 0.0, 12.0)]
    planned = pd.DataFrame(events, columns=columns)
    mixed = mixing.mixed(planned, "test-0000.wav", noise, spec)
    things = images.in_view(planned, "test-0000.wav", "test", spec)
    frames = images.frames(things, "test-0000.wav", "test", spec, np.array([0.5, 1.5, 3.5]), 64)
    found = (mixing.SCENES_VERSION, fingerprint(mixed), hashlib.sha256(frames.tobytes()).hexdigest()[:16])
    assert found == (1, "0c9f681ed2519efe", "fa5e91a1c5ec0bc0")


def contents(root) -> list[str]:
    """Hashes of the made data sets as the library in the folder `root` names them."""
    run = subprocess.run([sys.executable, "-c", ASK], cwd=root, capture_output=True, text=True, check=True)
    return run.stdout.split()


def test_a_comment_renames_no_data(tmp_path):
    before = contents(repo_root())
    shutil.copytree(repo_root() / "course_lib", tmp_path / "course_lib", ignore=shutil.ignore_patterns("__pycache__"))
    changed = 0
    for name in SOUND_PACKAGES:
        for path in (tmp_path / "course_lib" / name).glob("*.py"):
            path.write_text("# A comment that nobody hears\n" + path.read_text(encoding="utf-8"), encoding="utf-8")
            changed += 1
    assert changed >= 10
    assert contents(tmp_path) == before


def test_published_rows_name_their_sounds_as_they_are_named_today():
    timed = records.gather(published_dir() / "diffres").query("dataset == 'timing'")
    assert set(timed["content"]) == {load.load_timing().content}


def test_a_fresh_row_and_a_published_one_are_the_same_where_their_numbers_are():
    published = pd.read_parquet(published_dir() / "diffres" / records.ROWS)
    one = published[published["dataset"] == "timing"].iloc[[0]]
    fresh = one.assign(content=load.load_timing().content)
    (found,) = records.compare(records.current(one), records.current(fresh))["state"]
    assert found == "same"
    moved = fresh.assign(test_accuracy=fresh["test_accuracy"] + 0.01)
    (found,) = records.compare(records.current(one), records.current(moved))["state"]
    assert found == "differs"


@pytest.mark.parametrize("flash", [False, True])
def test_published_scenes_keep_their_truth(flash):
    """Rows and the true events beside them are renamed together."""
    from course_lib.study import scene_run

    of_rows = records.gather(published_dir() / "scenes").query(f"`scenes.flash` == {flash}")["content"]
    assert len(of_rows)
    assert set(of_rows) <= set(scene_run.published()["content"])
