"""YAMNet beside mn04: its frames in time, what its scores are made of, and what is said when it cannot run."""

import os
import sys

import numpy as np
import pytest

from course_lib.errors import CourseError
from course_lib.models import backbones, pretrained, yamnet

RATE_HZ = yamnet.RATE_HZ
NAME = "yamnet"
needs_it = pytest.mark.skipif(
    not os.environ.get("COURSE_MIRROR") or not pretrained.available(NAME), reason="YAMNet is not in COURSE_MIRROR"
)


def noise(n_clips, n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((n_clips, n_samples))).astype(np.float32)


@pytest.fixture(scope="module")
def file():
    return backbones.at_hand(pretrained.published(NAME).url)


@pytest.mark.parametrize(
    ("n_samples", "frames"), [(1, 1), (15_600, 1), (15_601, 2), (23_280, 2), (23_281, 3), (160_000, 20)]
)
def test_every_sample_is_heard_and_no_frame_is_silence_alone(n_samples, frames):
    assert yamnet.frame_count(n_samples, 480) == frames
    assert yamnet.PATCH_SAMPLES + (frames - 1) * yamnet.HOP_SAMPLES >= n_samples
    assert frames == 1 or yamnet.PATCH_SAMPLES + (frames - 2) * yamnet.HOP_SAMPLES < n_samples
    assert yamnet.frame_count(n_samples, None) == 1


def test_frames_sit_in_the_middle_of_what_they_hear():
    assert yamnet.frame_centres_s(3, 480).tolist() == pytest.approx([0.4875, 0.9675, 1.4475])
    for ask in (lambda: yamnet.frame_count(10, 320), lambda: yamnet.frame_centres_s(3, 320)):
        with pytest.raises(ValueError, match="hop_ms=320"):
            ask()


@needs_it
@pytest.mark.timeout(300)
def test_the_vector_is_what_the_published_network_decides_from(file):
    """The file's own last layer, applied to our vector, gives the file's own logits, to the step they are kept in."""
    x = noise(1, yamnet.PATCH_SAMPLES)
    vector = pretrained.auditory(x, RATE_HZ, (480,), name=NAME)[480][0, 0]
    net, given, _ = yamnet._interpreter(file)
    net.set_tensor(given, x[0])
    net.invoke()
    named = {t["name"]: t for t in net.get_tensor_details()}
    last = "tower0/network/layer29/fc/MatMul"
    matrix, bias, out = (
        named[name] for name in (last, "network/layer29/fc/biases", f"{last};tower0/network/layer29/fc/BiasAdd")
    )
    scale, zero = matrix["quantization"]
    assert zero == 0
    biases = bias["quantization"][0] * net.get_tensor(bias["index"])
    logits = scale * net.get_tensor(matrix["index"]).astype(np.float64) @ vector + biases
    step, zero = out["quantization"]
    kept = np.clip(np.round(logits / step) + zero, -128, 127)
    assert np.abs(kept - net.get_tensor(out["index"])[0]).max() <= 1 and kept.std() > 10


@needs_it
def test_a_sound_one_hop_later_is_heard_one_frame_later():
    x = np.zeros((2, 10 * RATE_HZ), np.float32)
    x[0, 30_000:34_000] = x[1, 30_000 + yamnet.HOP_SAMPLES : 34_000 + yamnet.HOP_SAMPLES] = noise(1, 4_000)[0]
    first, later = pretrained.auditory(x, RATE_HZ, (480,), name=NAME)[480]
    assert (first[:-1] == later[1:]).all()
    assert np.abs(np.diff(first, axis=0)).max() > 0.1


@needs_it
def test_clips_do_not_hear_each_other_and_a_clip_is_the_mean_of_its_frames():
    x = noise(5, 3 * RATE_HZ)
    many = pretrained.auditory(x, RATE_HZ, (480, None), name=NAME, batch=2)
    assert many[480].shape == (5, 6, 1024) and many[None].shape == (5, 1, 1024)
    assert many[480].dtype == many[None].dtype == np.float32
    assert (pretrained.auditory(x[3:4], RATE_HZ, (480,), name=NAME)[480] == many[480][3:4]).all()
    assert np.allclose(many[None][:, 0], many[480].mean(1), atol=1e-5)


@needs_it
def test_without_its_runtime_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    pretrained._ready.cache_clear()
    with pytest.raises(CourseError, match=r"^yamnet runs in Google's LiteRT: pip install ai-edge-litert$"):
        pretrained.auditory(noise(1, RATE_HZ), RATE_HZ, (480,), name=NAME)


@pytest.mark.parametrize("content", [b"", b"x" * 5000])
def test_another_file_is_one_line(tmp_path, content):
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "net.tflite").write_bytes(content)
    with pytest.raises(CourseError, match=r"net\.tflite: not YAMNet as TensorFlow publishes it \("):
        yamnet.extractor(tmp_path / "net.tflite")
