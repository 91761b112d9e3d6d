"""Networks: shapes, sizes by closed formula, what does not fit, and weights that are checked."""

import hashlib

import pytest
import torch

from course_lib.errors import CourseError, UsageError
from course_lib.models import backbones, classifier, cnn


def cnn_parameters(layers, n_classes):
    """Weights of the convolutions (no bias), two numbers a channel of normalisation, two dense layers."""
    total, n_in = 0, 1
    for n_out, _ in layers:
        total, n_in = total + 9 * n_in * n_out + 2 * n_out, n_out
    return total + n_in * n_in + n_in + n_in * n_classes + n_classes


@pytest.mark.parametrize(("layers", "depth"), [(cnn.CNN7, 7), (cnn.CNN9, 9)])
def test_a_cnn_has_the_layers_of_its_name_and_the_size_of_the_formula(layers, depth):
    net = cnn.CNN(10, layers)
    learnt = [m for m in net.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert len(learnt) == depth
    assert sum(p.numel() for p in net.parameters()) == cnn_parameters(layers, 10)


@pytest.mark.parametrize("n_frames", [16, 17, 63, 501])
def test_a_cnn_takes_any_number_of_frames(n_frames):
    assert cnn.CNN(7).eval()(torch.randn(3, n_frames, 64)).shape == (3, 7)


@pytest.mark.parametrize("shape", [(2, 15, 64), (2, 64, 15), (64, 64), (2, 2, 64, 64)])
def test_an_input_that_does_not_fit_is_refused_in_one_line(shape):
    with pytest.raises(ValueError, match=r"expected \(clips, frames, mels\) with at least 16 frames and 16 mels"):
        cnn.CNN(10)(torch.zeros(shape))


def test_a_clip_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    net, x = cnn.CNN(10).eval(), torch.randn(5, 40, 64)
    assert torch.allclose(net(x)[2:3], net(x[2:3]), atol=1e-6)


def test_silence_after_a_sound_does_not_hide_it():
    """The maximum over time keeps what happens once: the logits still differ from those of silence."""
    torch.manual_seed(0)
    net, x = cnn.CNN(10).eval(), torch.zeros(1, 400, 64)
    x[:, 10:14] = 5.0
    assert (net(x) - net(torch.zeros(1, 400, 64))).abs().max() > 1e-3


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="model 'cnn8' is unknown; did you mean cnn9 or cnn7"):
        classifier.build("cnn8", 10)
    with pytest.raises(UsageError, match="backbone 'vgg99'"):
        backbones.Backbone("vgg99", 10)


@pytest.mark.parametrize("name", ["lite0", "squeezenet1_1", "alexnet"])
def test_stages_hold_every_parameter_once_and_end_with_the_new_layer(name):
    net = backbones.Backbone(name, 10, pretrained=False)
    counted = [id(p) for stage in net.stages for p in stage.parameters()]
    assert sorted(counted) == sorted(id(p) for p in net.parameters())
    assert net.eval()(torch.zeros(2, 80, 64)).shape == (2, 10)
    assert next(net.stages[-1].parameters()).shape[0] == 10


@pytest.mark.parametrize("name", ["lite0", "squeezenet1_1"])
def test_the_last_layer_of_features_is_the_whole_backbone(name):
    """Squeezenet's last layer is a convolution, whose answers are averaged over the image behind a ReLU."""
    net = backbones.Backbone(name, 10, pretrained=False).eval()
    x = torch.randn(2, 80, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features, logits = net.features(x), net(x)
        assert features.ndim == 2 and len(features) == 2
        if name == "lite0":
            assert torch.allclose(net.stages[-1](features), logits, atol=1e-5)
        else:  # the layer sees each place of the image; the features are their mean
            seen = []
            hook = net.stages[-1].register_forward_pre_hook(lambda layer, given: seen.append(given[0]))
            net(x)
            hook.remove()
            assert seen[0].shape[:2] == features.shape and seen[0][0, 0].numel() > 1
            assert torch.allclose(features, seen[0].mean((2, 3)), atol=1e-5)
    assert not net.stages[-1]._forward_pre_hooks, "nothing stays behind"


def test_an_input_too_small_for_a_backbone_is_refused():
    with pytest.raises(ValueError, match="at least 64 x 64"):
        backbones.Backbone("squeezenet1_1", 10, pretrained=False)(torch.zeros(1, 63, 64))


def test_lite0_is_as_large_as_published():
    """4.7 M; that it recognises photographs is tested with `pretrained.visual`."""
    assert sum(p.numel() for p in backbones._lite0(pretrained=False).parameters()) == 4_652_008


def test_three_channels():
    x = torch.arange(2 * 6 * 4, dtype=torch.float32).reshape(2, 6, 4)  # rises by 4 a frame
    copied, deltas, smoothed = (backbones.three_channels(x, channel_mode) for channel_mode in backbones.CHANNEL_MODES)
    assert (copied == x[:, None]).all()
    assert (deltas[:, 0] == x).all() and (deltas[:, 1] == 4).all() and (deltas[:, 2] == 0).all()
    assert (smoothed[:, 0] == x).all()
    assert torch.allclose(smoothed[:, 1, 1:-1], x[:, 1:-1])  # the mean of three on a line is its middle
    assert smoothed.shape == copied.shape == deltas.shape == (2, 3, 6, 4)
    click = torch.zeros(1, 20, 2)
    click[:, 10] = 9.0
    assert [int((row > 0).sum()) for row in backbones.three_channels(click, "smoothed")[0, :, :, 0]] == [1, 3, 9]
    torch.testing.assert_close(backbones.three_channels(torch.ones(1, 20, 2), "smoothed"), torch.ones(1, 3, 20, 2))


class TestWeights:
    def test_the_mirror_comes_first_and_its_checksum_is_verified(self, tmp_path, monkeypatch):
        monkeypatch.setenv("COURSE_MIRROR", str(tmp_path))
        file = tmp_path / "net-12345678.pth"
        file.write_bytes(b"weights")
        right = hashlib.sha256(b"weights").hexdigest()[:8]
        assert backbones.weights_file("https://example.org/a/net-12345678.pth", right) == file
        with pytest.raises(CourseError, match=r"net-12345678\.pth: its sha256 begins with .* expected 12345678"):
            backbones.weights_file("https://example.org/a/net-12345678.pth", "12345678")

    def test_offline_says_where_to_put_the_file(self, tmp_path, monkeypatch):
        monkeypatch.delenv("COURSE_MIRROR", raising=False)
        monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("COURSE_OFFLINE", "1")
        with pytest.raises(CourseError, match=r"download https://example.org/net.pth and put it into .*weights"):
            backbones.weights_file("https://example.org/net.pth", "00")

    def test_no_network_is_one_line(self, tmp_path, monkeypatch):
        monkeypatch.delenv("COURSE_MIRROR", raising=False)
        monkeypatch.delenv("COURSE_OFFLINE", raising=False)
        monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
        with pytest.raises(CourseError, match=r"^https://127.0.0.1:9/net.pth: cannot be reached"):
            backbones.weights_file("https://127.0.0.1:9/net.pth", "00")
        assert not list((tmp_path / "weights").iterdir())


@pytest.mark.parametrize("channel_mode", backbones.CHANNEL_MODES)
def test_a_backbone_gets_time_to_the_right_and_frequency_upwards(channel_mode):
    net, seen = backbones.Backbone("squeezenet1_1", 3, pretrained=False, channel_mode=channel_mode).eval(), []
    net.net.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    x = torch.zeros(1, 80, 64)
    x[0, 70, 5] = 1.0
    net(x)
    assert seen[0].shape == (1, 3, 64, 80)
    assert divmod(int(seen[0][0, 0].argmax()), 80) == (63 - 5, 70), "band 5 is the sixth from below"


def test_hops_fit_a_clip_that_has_a_frame_for_every_halving():
    assert cnn.hops_that_fit((5.0, 20.0, 40.0, 80.0), 1.0) == [5.0, 20.0, 40.0]
    assert cnn.hops_that_fit((80.0,), 1.2) == [80.0]
    cnn.CNN(3)(torch.zeros(2, 16, 16))  # 1.2 s at 80 ms are 16 frames


def test_clips_that_are_too_short_at_every_hop_are_one_line():
    with pytest.raises(
        CourseError, match=r"clips of 0.05 s have 11 frames at a hop of 5 ms; .* at least 0.075 s"
    ) as found:
        cnn.hops_that_fit((5.0, 10.0), 0.05)
    assert "\n" not in str(found.value)


def test_a_cnn_keeps_what_happens_once_in_a_window_of_two():
    pool = next(part for part in cnn.CNN(3, ((4, True),)).modules() if "Pool" in type(part).__name__)
    assert pool(torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])).item() == 1.0
