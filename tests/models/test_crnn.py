"""The network for scenes: shapes, what meets where, alignment in time, a frame reducer that is undone."""

import numpy as np
import pytest
import torch

from course_lib.audio import timebase
from course_lib.models import crnn
from course_lib.models.crnn import ALIGNMENTS, CRNN, FUSIONS, linear_softmax_pool

FRAMES_S = 0.02 * np.arange(501)
STREAMS = {
    "spectral": (FRAMES_S, 64),
    "auditory": (0.32 * np.arange(32), 24),
    "visual": (timebase.video_frame_times_s(10.0, 4.0), 40),
}


def made(names=tuple(STREAMS), **options):
    torch.manual_seed(0)
    return CRNN(10, {name: STREAMS[name] for name in names}, FRAMES_S, **options).eval()


def features(names=tuple(STREAMS), n_scenes=2):
    rng = torch.Generator().manual_seed(1)
    return {n: torch.randn(n_scenes, len(STREAMS[n][0]), STREAMS[n][1], generator=rng) for n in names}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("names", [("spectral",), ("visual",), ("auditory", "visual"), tuple(STREAMS)])
def test_any_streams_give_probabilities_per_frame_and_scene(names, fusion):
    model = made(names, fusion=fusion)
    strong, weak = model(features(names))
    assert strong.shape == (2, 125, 10) and weak.shape == (2, 10) and len(model.out_s) == 125
    assert strong.min() > 0 and strong.max() < 1
    # a mean in which the likely frames weigh more
    assert (weak >= strong.mean(1)).all() and (weak <= strong.amax(1)).all()


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_an_event_in_a_stream_arrives_at_its_time(align):
    """A step in the features at 5 s is a step at 5 s in what the recurrent layers get."""
    model = made(("auditory",), align=align)
    x = torch.zeros(1, 32, 24)
    x[:, STREAMS["auditory"][0] >= 5] = 1
    got = model.projected["auditory"](x)[0]
    moved = (got - got[0]).norm(dim=1) > 1e-4
    if align == "repeat":
        assert not moved.any(), "one vector per scene has no time"
    else:
        assert model.out_s[int(moved.to(torch.uint8).argmax())] == pytest.approx(5.0, abs=0.17)


def test_the_receptive_field_lies_one_and_a_half_frames_before_the_time_of_the_output():
    """Published rows are of this network, so the offset stays; it is undone when they are read."""
    model = made(("spectral",)).eval()
    x = torch.randn(1, 1, len(FRAMES_S), STREAMS["spectral"][1], requires_grad=True)
    middle = len(model.out_s) // 2
    model.encoder(x)[0, middle].sum().backward()
    seen_s = FRAMES_S[(x.grad[0, 0].abs().amax(1) > 0).numpy()]
    late_s = model.out_s[middle] - (seen_s[0] + seen_s[-1]) / 2
    assert late_s == pytest.approx(crnn.EARLY_FRAMES * (FRAMES_S[1] - FRAMES_S[0]))


def test_centred_convolutions_look_at_the_time_of_the_output():
    model = made(("spectral",), centred=True)
    x = torch.randn(1, 1, len(FRAMES_S), STREAMS["spectral"][1], requires_grad=True)
    middle = len(model.out_s) // 2
    encoded = model.encoder(x)
    assert encoded.shape[1] == len(model.out_s), "four frames each, and no further one made from fewer"
    encoded[0, middle].sum().backward()
    seen_s = FRAMES_S[(x.grad[0, 0].abs().amax(1) > 0).numpy()]
    assert (seen_s[0] + seen_s[-1]) / 2 == pytest.approx(model.out_s[middle])


def test_a_learned_alignment_begins_as_the_nearest_frame_and_learns():
    x = features(("auditory",))["auditory"]
    nearest, learned = (made(("auditory",), align=a).projected["auditory"] for a in ("nearest", "learned"))
    learned.linear.load_state_dict(nearest.linear.state_dict())
    torch.testing.assert_close(nearest(x), learned(x))
    learned(x).square().sum().backward()
    assert (learned.over_time.weight.grad != 0).all()


def test_a_missing_stream_changes_nothing_but_itself():
    """Mid fusion: with the weights of the others' columns at zero a stream has no say."""
    model, x = made(), features()
    before = model(x)[0]
    with torch.no_grad():
        model.recurrent.weight_ih_l0[:, 64:128] = 0
        model.recurrent.weight_ih_l0_reverse[:, 64:128] = 0
    without = model(x)[0]
    assert not torch.allclose(before, without)
    torch.testing.assert_close(model(x | {"auditory": torch.randn(2, 32, 24)})[0], without)


def test_a_scenes_probability_is_the_linear_softmax():
    strong = torch.tensor([[[0.9], [0.1], [0.0]]])
    assert linear_softmax_pool(strong).item() == pytest.approx((0.81 + 0.01) / 1.0)
    assert linear_softmax_pool(torch.zeros(1, 4, 2)).tolist() == [[0.0, 0.0]]


def test_a_frame_reducer_is_undone_in_time():
    """Probabilities that count the merged frames come back in the order of time, at twice the rate."""
    model = made(("spectral",), frame_reducer="uniform:0.5")
    x = {"spectral": torch.full((1, 501, 64), -80.0)}
    strong, weak = model(x)
    assert strong.shape == (1, 125, 10) and torch.isfinite(strong).all() and weak.shape == (1, 10)
    model._classified = lambda fused: (torch.arange(fused.shape[1]).float()[None, :, None], None)
    np.testing.assert_allclose(model(x)[0][0, :, 0], np.arange(125) / 2, atol=0.6)


def test_steady_noise_and_the_microphone_change_nothing():
    """Another level and tilt of a whole scene leave what the network says as it was."""
    model, x = made(("spectral",)), features(("spectral",))
    model.standardise("spectral", [x["spectral"].numpy()])
    tilted = {"spectral": x["spectral"] + torch.linspace(-30, 10, 64)}
    torch.testing.assert_close(model(tilted)[0], model(x)[0], atol=1e-4, rtol=1e-4)


def test_features_are_brought_to_mean_0_and_standard_deviation_1():
    model = made()
    parts = [np.random.default_rng(k).normal(5, 3, size=(70, 32, 24)).astype(np.float16) for k in range(2)]
    model.standardise("auditory", parts)
    every = np.concatenate(parts).astype(np.float64).reshape(-1, 24)
    np.testing.assert_allclose(model.auditory_mean, every.mean(0), rtol=1e-5)
    np.testing.assert_allclose(model.auditory_deviation, every.std(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("names", "options", "said"),
    [
        (tuple(STREAMS), {"fusion": "late"}, "fusion='late'"),
        (tuple(STREAMS), {"align": "warp"}, "align='warp'"),
        (tuple(STREAMS), {"frame_reducer": "diffres:0.5"}, "must be the only stream"),
        (("spectral",), {"frame_reducer": "average:0.5"}, "only frame reducers that merge by widths"),
        (("spectral",), {"frame_reducer": "uniform:0.5", "log": "none"}, "log='none': a frame reducer merges power"),
    ],
)
def test_bad_requests(names, options, said):
    with pytest.raises(ValueError, match=said):
        made(names, **options)


def test_too_few_bands_are_one_line():
    with pytest.raises(ValueError, match="the encoder halves them 5 times"):
        CRNN(10, {"spectral": (FRAMES_S, 16)}, FRAMES_S)


@pytest.mark.parametrize("how", timebase.ALIGNMENTS)
def test_alignment_weights_are_means(how):
    times_s, at_s = 0.32 * np.arange(32), 0.03 + 0.08 * np.arange(125)
    weights = timebase.alignment(times_s, at_s, how)
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    if how == "nearest":
        assert np.abs(weights @ times_s - at_s).max() < 0.17
    finer = timebase.alignment(at_s, times_s, how)
    if how == "interpolate":
        inside = (at_s >= times_s[0]) & (at_s <= times_s[-1])
        np.testing.assert_allclose((weights @ times_s)[inside], at_s[inside], atol=1e-6)
        assert (weights @ times_s)[0] == pytest.approx(0.03) and weights[-1, -1] == 1, "the last frame is repeated"
    if how == "average":  # the middle of the frames that fall together
        np.testing.assert_allclose((finer @ at_s)[1:-1], times_s[1:-1], atol=0.05)
    for bad, said in ((([], at_s), "expected at least one"), ((times_s[::-1], at_s), "increasing")):
        with pytest.raises(ValueError, match=said):
            timebase.alignment(*map(np.asarray, bad), how)
    with pytest.raises(ValueError, match="how='warp'"):
        timebase.alignment(times_s, at_s, "warp")


def test_video_frames_are_taken_in_the_middle_of_their_time():
    np.testing.assert_allclose(timebase.video_frame_times_s(2.0, 2.0), [0.25, 0.75, 1.25, 1.75])
    with pytest.raises(ValueError, match="gives no frame"):
        timebase.video_frame_times_s(1.0, 0.5)


def test_a_frame_reducer_merges_power_and_works_alike_in_decibels_and_nats():
    """The encoder behind equal widths sees means of the power of two frames, in the unit of the log-mel."""
    x, seen = torch.randn(1, 500, 64, generator=torch.Generator().manual_seed(0)) * 8 - 40, []
    power = 10 * torch.log10((10 ** (x / 10)).view(1, 250, 2, 64).mean(2))
    for log, unit in (("db", 1.0), ("ln", np.log(10) / 10)):
        model = made(("spectral",), frame_reducer="uniform:0.5", log=log)
        model.encoder.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        with torch.no_grad():
            model({"spectral": x * unit})
        wanted = unit * (power - power.median(1, keepdim=True).values)
        torch.testing.assert_close(seen.pop()[:, 0], wanted, atol=1e-3, rtol=0)


def test_a_learned_frame_reducer_is_the_same_in_decibels_and_nats_and_gets_a_gradient():
    x, said = torch.randn(2, 501, 64, generator=torch.Generator().manual_seed(0)) * 8 - 40, []
    for log, unit in (("db", 1.0), ("ln", np.log(10) / 10)):
        model = made(("spectral",), frame_reducer="diffres-light:0.5", log=log)
        model.standardise("spectral", [(x * unit).numpy()])
        said.append(model({"spectral": x * unit})[0])
    torch.testing.assert_close(*said, atol=1e-4, rtol=1e-3)
    said[1].sum().backward()
    grads = [p.grad.abs().sum().item() for p in model.frame_reducer.parameters()]
    assert sum(g > 0 for g in grads) > len(grads) / 2


def test_a_gate_weights_the_streams_of_each_frame():
    model = made(("spectral", "auditory"), fusion="gate")
    with torch.no_grad():
        model.gate.weight.zero_()
        model.gate.bias.copy_(torch.tensor([0.0, np.log(3.0)]))
        fused = model._fused([torch.ones(2, 125, 64), 3 * torch.ones(2, 125, 64)])
    torch.testing.assert_close(fused, torch.full((2, 125, 64), 0.25 * 1 + 0.75 * 3))
