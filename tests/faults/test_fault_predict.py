"""What can go wrong while a long recording is searched for events: what was found before is kept."""

import re
import signal

import numpy as np
import pytest
import soundfile as sf
import torch
from helpers import wait_for

from course_lib.audio.features import FeatureSpec
from course_lib.models import trained
from course_lib.models.classifier import Normalised, classifier

pytestmark = pytest.mark.timeout(900)  # for a busy machine
RATE_HZ = 8_000
# An untrained network gives every class of a window with sound about a half, and none of a silent one
NETWORK = ("--model", "net.safetensors", "--threshold", "0.1", "--window-s", "0.5", "--overlap", "0")
KEPT = "nothing that was found: {} events up to there are in both files"


@pytest.fixture
def network(course):
    """A network in the folder that `course` is run from."""
    torch.manual_seed(0)
    model = Normalised(classifier("cnn7", 2), np.random.default_rng(0).normal(-50, 20, (1, 50, 32)).astype(np.float32))
    spec = FeatureSpec(rate_hz=RATE_HZ, n_mels=32)
    trained.write(course.here / "net.safetensors", model, spec, ["one", "other"])


def beeps(path, length_s, bad_s=None):
    """Half a second of noise, half of silence, and so on: two events every second. A NaN at `bad_s`."""
    rng = np.random.default_rng(0)
    with sf.SoundFile(path, "w", RATE_HZ, 1, subtype="FLOAT") as file:
        for second in range(length_s):
            x = 0.1 * rng.standard_normal(RATE_HZ)
            x[RATE_HZ // 2 :] = np.nan if second == bad_s else 0
            file.write(x)


def kept(folder, name="long"):
    """Rows of events; as many are in the label track."""
    rows = (folder / f"{name}.events.csv").read_text().splitlines()[1:]
    assert len((folder / f"{name}.labels.txt").read_text().splitlines()) == len(rows)
    assert all(len(row.split(",")) == 4 for row in rows)
    return rows


@pytest.mark.fault("NaN in a long recording", "`course predict long.wav`; half a second from 50.5 s on is NaN")
def test_nan(course, network, tell):
    beeps(course.here / "long.wav", 60, bad_s=50)
    code, printed = course("predict", "long.wav", *NETWORK)
    rows = kept(course.here)
    assert len(rows) > 50 and f"; {len(rows)} events up to there: long.events.csv" in printed
    tell(printed.splitlines(), code, KEPT.format(len(rows)))


@pytest.mark.fault("interrupted prediction", "Ctrl-C to `course predict` in a recording of two hours")
def test_interrupted(course, network, tell):
    beeps(course.here / "long.wav", 7200)
    process = course.start("predict", "long.wav", *NETWORK)
    events = course.here / "long.events.csv"
    wait_for(lambda: events.exists() and len(events.read_text().splitlines()) > 10)
    process.send_signal(signal.SIGINT)
    code, printed = course.end(process)
    rows = kept(course.here)
    assert len(rows) >= 10 and f"; {len(rows)} events up to there: long.events.csv" in printed
    seen = re.sub(r"\b\d+ (s|events)\b", r"N \1", printed)
    tell(seen.splitlines(), code, KEPT.format("the"))


@pytest.mark.fault("full disk, prediction", "`course predict` into a disk of 4 kB")
def test_full_disk(course, network, tell, small_disk):
    beeps(course.here / "long.wav", 300)
    small_disk("4k")
    code, printed = course("predict", "long.wav", *NETWORK, "--output", "disk")
    tell(printed.splitlines(), code, "nothing found earlier: give the command again with more room")


@pytest.mark.fault("recording that is no sound", "`course predict text.wav good.wav`, where `text.wav` holds a text")
def test_no_sound(course, network, tell):
    beeps(course.here / "good.wav", 3)
    (course.here / "text.wav").write_text("no sound")
    code, printed = course("predict", "text.wav", "good.wav", *NETWORK)
    assert len(kept(course.here, "good")) == 6 and not (course.here / "text.events.csv").exists()
    seen = re.sub(r"\(\d.*\)", "(N ms per second of audio, N times real time)", printed)
    tell(seen.splitlines(), code, "nothing: the other recording is done")


@pytest.mark.fault("misspelt model", "`course predict long.wav --model net.safetensor`")
def test_misspelt_model(course, network, tell):
    beeps(course.here / "long.wav", 3)
    code, printed = course("predict", "long.wav", "--model", "net.safetensor")
    assert not (course.here / "long.events.csv").exists()
    tell(printed.splitlines(), code, "nothing: told before the recording is read")
