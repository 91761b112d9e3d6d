"""Features of scenes: what is kept, when its frames are, and that blocks do not matter."""

import numpy as np
import pytest
import torch

from course_lib import profiles
from course_lib.audio.features import FeatureSpec, log_mel
from course_lib.data.load import load
from course_lib.errors import UsageError
from course_lib.models import pretrained
from course_lib.models.cnn import CNN
from course_lib.scenes import features
from course_lib.scenes.mixing import made_scenes
from course_lib.scenes.scenes import SceneSpec

SPEC = FeatureSpec(hop_ms=20.0)
needs_weights = pytest.mark.skipif(not pretrained.available(), reason="the weights of mn04_as are not here")


@pytest.fixture(scope="module")
def scenes():
    clips = load("synth10", profiles.get("smoke"))
    return made_scenes(clips, 1, SceneSpec(weak=3, unlabelled=2, validation=2, test=2))


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path_factory.getbasetemp() / "streams"))


def test_the_spectral_stream_is_the_log_mel_of_the_scenes(scenes, monkeypatch):
    monkeypatch.setattr(features, "BLOCK", 4)
    found = features.spectral(scenes, SPEC)
    assert found.x.shape == (9, 501, 64) and found.times_s[1] == pytest.approx(0.02)
    np.testing.assert_allclose(found.x[5], log_mel(scenes.waves(16_000)[5], SPEC), atol=1e-3)


def test_features_are_made_once(scenes, monkeypatch):
    first = features.visual(scenes, 2.0)
    monkeypatch.setattr(pretrained, "visual", None)
    np.testing.assert_array_equal(features.visual(scenes, 2.0).x, first.x)
    with pytest.raises(TypeError):
        features.visual(scenes, 1.0)


def test_sounds_and_frames_that_are_read_in_another_way_are_computed_again(scenes, monkeypatch):
    keys = []

    def kept(name, scenes, key, make):
        keys.append((name, key))
        return np.zeros((len(scenes), {"spectral": 501, "visual": 20}[name], 1), np.float32)

    monkeypatch.setattr(features, "_cached", kept)
    for version in (1, 2):
        monkeypatch.setattr(features, "DECODING_VERSION", version)
        features.spectral(scenes, SPEC)
        features.visual(scenes, 2.0)
    assert len(set(keys)) == 4


def test_equal_frames_are_computed_once(scenes, monkeypatch):
    looked = []

    def seen(frames):
        looked.append(len(frames))
        return np.arange(len(frames), dtype=np.float32)[:, None]

    monkeypatch.setattr(pretrained, "visual", seen)
    monkeypatch.setattr(features, "FRAME_PX", 64)  # another key than that of the other tests
    found = features.visual(scenes, 4.0)
    images = scenes.video_frames(4.0, 64).reshape(-1, 64 * 64 * 3)
    assert found.x.shape == (9, 40, 1) and found.times_s[0] == 0.125
    changes = 1 + int((images[1:] != images[:-1]).any(1).sum())
    assert looked == [changes] and changes < 100
    flat = found.x.ravel()
    for k in range(1, len(flat)):
        assert (flat[k] == flat[k - 1]) == bool((images[k] == images[k - 1]).all())


@needs_weights
@pytest.mark.parametrize(("hop_ms", "frames", "dims"), [(40, 250, 512), (80, 125, 256), (320, 32, 384), (0, 1, 384)])
def test_each_hop_is_what_the_network_gives_at_it(scenes, hop_ms, frames, dims):
    found = features.auditory(scenes, hop_ms)
    assert found.x.shape == (9, frames, dims) == (9, len(features.auditory_shape("mn04_as", hop_ms, 10.0)[0]), dims)
    direct = pretrained.auditory(np.array(scenes.waves(32_000)), 32_000, (hop_ms or None,))[hop_ms or None]
    np.testing.assert_allclose(found.x, direct, atol=2e-2, rtol=2e-3)
    assert found.times_s[-1] <= 10.2


def test_a_hop_that_a_network_does_not_have(scenes):
    with pytest.raises(UsageError, match="auditory_ms=50: mn04_as has frames of 40, 80, 160, 320, 0 ms"):
        features.auditory(scenes, 50)


def test_an_own_network_hears_frames_in_their_middle(scenes):
    torch.manual_seed(0)
    spec = FeatureSpec()
    x = features.spectral(scenes, spec).x
    found = features.own_auditory(scenes, CNN(10), x.mean((0, 1)), x.std((0, 1)), spec)
    assert found.x.shape == (9, 62, 128)
    np.testing.assert_allclose(found.times_s[:2], [0.075, 0.235])
    with pytest.raises(ValueError, match="expected a time for each frame"):
        features.Stream(found.x, found.times_s[:-1])
