"""Augmentation of features: identities, directions, one draw a clip, masks that a change of hop leaves alone."""

import numpy as np
import pytest
import torch

from course_lib.audio import spec_augment as module
from course_lib.audio.features import FeatureSpec, mel_bank
from course_lib.audio.spec_augment import augment_image, brightness, flip, mixup, spec_augment, warp

FRAMES, MELS, DARK = 101, 64, -80.0


def some(n_clips: int = 3, n_frames: int = FRAMES) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).uniform(-80, 0, (n_clips, n_frames, MELS)).astype(np.float32))


def tone(mel: int = 32) -> torch.Tensor:
    x = torch.full((FRAMES, MELS), DARK)
    x[:, mel] = 0
    return x


def click(frame: int = 50) -> torch.Tensor:
    x = torch.full((FRAMES, MELS), DARK)
    x[frame] = 0
    return x


@pytest.mark.parametrize(
    "nothing",
    [
        warp,
        lambda x: brightness(x, 1),
        lambda x: flip(flip(x)),
    ],
)
def test_identities(nothing):
    for x in (some(), some(1)[0], some(2, 1)):
        before = x.clone()
        out = nothing(x)
        assert out.dtype == torch.float32
        torch.testing.assert_close(out, x, rtol=0, atol=1e-4)
        assert torch.equal(x, before)


def test_time_runs_right_and_mels_upwards():
    assert warp(click(50), width=10 / FRAMES)[:, 3].argmax() == 60
    assert warp(tone(32), height=8 / MELS)[5].argmax() == 40
    assert torch.equal(flip(click(10)), click(FRAMES - 11))
    chirp = warp(tone(), degrees=30)
    assert [int(chirp[frame].argmax()) for frame in (40, 50, 60)] == [26, 32, 38]  # tan(30 degrees) a frame
    sweep = warp(click(), frames_per_mel=0.3)
    assert [int(sweep[:, mel].argmax()) for mel in (12, 32, 52)] == [44, 50, 56]


def test_zoom_enlarges_each_axis_about_the_middle():
    half = DARK / 2
    assert (
        (warp(click(), zoom_time=2) > half - 1).sum(0) == 3
    ).all()  # interpolated: half as bright one frame to either side
    step = torch.full((FRAMES, MELS), DARK)
    step[:, 40:] = 0
    assert int((warp(step, zoom_mel=2)[0] > half).sum()) == MELS // 2 - 2 * (40 - MELS // 2)
    assert int((warp(step, zoom_mel=0.5)[0] > half).sum()) == MELS // 2 - (40 - MELS // 2) // 2


def test_what_enters_repeats_the_edge():
    x = some(1)[0]
    moved = warp(x, width=10 / FRAMES)
    torch.testing.assert_close(moved[:10], x[0].expand(10, MELS), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[10:], x[:-10], atol=1e-4, rtol=0)


def test_brightness_stretches_level_differences_and_is_no_gain():
    x = some()
    black = x.amin((1, 2), keepdim=True)
    torch.testing.assert_close(brightness(x, 0.5) - black, 0.5 * (x - black))
    brighter = brightness(x, 1.5)
    assert torch.equal(brighter.amax((1, 2)), x.amax((1, 2)))
    unclipped = brighter < x.amax((1, 2), keepdim=True)
    change = (brighter - x)[unclipped]
    assert change.max() - change.min() > 20  # a gain would be one number


def test_each_clip_has_its_own_parameter():
    x = some()
    angles = np.array([0.0, 20.0, -30.0])
    alone = torch.stack([warp(clip, degrees=angle) for clip, angle in zip(x, angles, strict=True)])
    torch.testing.assert_close(warp(x, degrees=angles), alone)
    factors = torch.tensor([0.5, 1.0, 1.5])
    torch.testing.assert_close(brightness(x, factors)[2], brightness(x[2], 1.5))


def test_image_augmentation_draws_for_each_clip_and_repeats_with_its_seed():
    x = some(1).expand(8, -1, -1)
    first, again, other = (augment_image(x, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == x.shape and torch.equal(first, again) and not torch.equal(first, other)
    assert len({clip.numpy().tobytes() for clip in first}) == 8
    assert x.min() - 1e-3 <= first.min() and first.max() <= x.max() + 1e-3


def test_image_augmentation_flips_half_of_the_clips():
    """A step in time that no other transform of the set turns round."""
    step = torch.full((400, FRAMES, MELS), DARK)
    step[:, FRAMES // 2 :] = 0
    ends = augment_image(step, np.random.default_rng(0)).mean(2)
    assert 0.4 < (ends[:, 0] > ends[:, -1]).float().mean() < 0.6


def test_arrays_and_read_only_arrays_are_welcome():
    x = some().numpy()
    x.setflags(write=False)
    torch.testing.assert_close(warp(x, degrees=10), warp(torch.tensor(x), degrees=10))
    torch.testing.assert_close(flip(x), flip(torch.tensor(x)))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: warp(some(), degrees=float("nan")), "degrees=nan: must be finite"),
        (lambda: warp(some(), degrees=[1.0, 2.0]), r"degrees: shape \(2,\), expected one number or 3, one per clip"),
        (lambda: warp(some(), zoom_time=0), "zoom_time=0.0: must be finite and at least 0.001"),
        (lambda: brightness(some(), -1), "factor=-1.0: must be finite and at least 0"),
        (lambda: flip(torch.zeros(5)), r"features: shape \(5,\), expected \(frames, mels\)"),
        (lambda: flip(torch.zeros(2, 0, 5)), r"features: shape \(2, 0, 5\)"),
        (lambda: flip(torch.zeros(5, 5, dtype=torch.int64)), "features: must be floats"),
        (lambda: flip(torch.full((5, 5), torch.nan)), "features: must be floats, none of them NaN"),
    ],
)
def test_what_cannot_be_done_is_named(call, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        call()


def hidden(spec: FeatureSpec, seed: int, **given) -> tuple[np.ndarray, np.ndarray]:
    """Masked frames `(clips, frames)` and masked bands `(clips, mels)` of five clips of 5 s."""
    n_frames = spec.frame_count(5 * spec.rate_hz)
    x = torch.from_numpy(np.random.default_rng(9).normal(size=(5, n_frames, spec.n_mels)).astype(np.float32))
    out = spec_augment(x, np.random.default_rng(seed), spec, **given)
    changed = (out != x).numpy()
    fill = x.mean((1, 2), keepdim=True).expand_as(x).numpy()
    np.testing.assert_array_equal(out.numpy()[changed], fill[changed])
    return changed.all(2), changed.all(1)


@pytest.mark.parametrize("seed", range(5))
def test_a_change_of_hop_leaves_the_masks_where_they_are(seed):
    """The trap: widths in frames would hide four times as much sound at a hop of 20 ms as at 5 ms."""
    finest_ms = {}
    for hop_ms in (5.0, 10.0, 20.0):
        spec = FeatureSpec(hop_ms=hop_ms)
        frames, _ = hidden(spec, seed, widest_time_ms=800, n_time=1, n_bands=0)
        for clip, row in enumerate(frames):
            at_ms = np.flatnonzero(row) * hop_ms
            if hop_ms == 5:
                finest_ms[clip] = (at_ms.min(), at_ms.max()) if len(at_ms) else None
            elif len(at_ms) and finest_ms[clip]:
                assert abs(at_ms.min() - finest_ms[clip][0]) <= hop_ms
                assert abs(at_ms.max() - finest_ms[clip][1]) <= hop_ms
                assert abs(len(at_ms) * hop_ms - (np.ptp(finest_ms[clip]) + 5)) <= hop_ms


def test_masks_are_as_wide_as_said_and_drawn_for_each_clip():
    spec = FeatureSpec()
    widths_ms = []
    for seed in range(40):
        frames, _ = hidden(spec, seed, widest_time_ms=400, n_time=1, n_bands=0)
        widths_ms += (frames.sum(1) * spec.hop_ms).tolist()
        assert len({row.tobytes() for row in frames}) > 1
    assert max(widths_ms) <= 410
    assert 150 < np.mean(widths_ms) < 250
    _, bands = hidden(spec, 0, widest_band_hz=4000, n_time=0, n_bands=2)
    assert bands.any()
    assert (bands.sum(1) < spec.n_mels).all()
    frames, bands = hidden(spec, 0, widest_time_ms=0, widest_band_hz=0)
    assert not frames.any()
    assert not bands.any()


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"widest_time_ms": -1}, "widest_time_ms=-1: must be between 0 and 1000"),
        ({"widest_time_ms": 1001}, "widest_time_ms=1001: must be between 0 and 1000"),
        ({"widest_band_hz": float("nan")}, "widest_band_hz=nan: must be between 0 and 7950"),
        ({"n_time": -1}, "n_time=-1, n_bands=2: must be 0 or more"),
        ({"spec": FeatureSpec(n_mels=40)}, "features: 64 mels, spec has 40"),
    ],
)
def test_masks_that_cannot_be_are_named(given, says):
    with pytest.raises(ValueError, match=f"^{says}"):
        spec_augment(some(), np.random.default_rng(0), **({"spec": FeatureSpec()} | given))


def test_mixup_mixes_sound_and_target_in_the_same_share():
    n = 6
    targets = torch.eye(n)
    features = targets[:, None, :].repeat(1, 4, 1)  # each clip shows its own number, and so the mixture
    mixed, mixed_targets = mixup(features, targets, 0.4, np.random.default_rng(0))
    torch.testing.assert_close(mixed[:, 0], mixed_targets)
    torch.testing.assert_close(mixed_targets.sum(1), torch.ones(n))
    assert len(set(mixed_targets.diagonal().tolist())) > 3  # a share a clip
    partners = {
        tuple((mixup(features, targets, 0.4, np.random.default_rng(seed))[1] - torch.eye(n)).argmax(1).tolist())
        for seed in range(5)
    }
    assert len(partners) == 5
    again, _ = mixup(features, targets, 0.4, np.random.default_rng(0))
    assert torch.equal(mixed, again)
    with pytest.raises(ValueError, match=r"^alpha=0: must be above 0"):
        mixup(features, targets, 0, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"^targets: shape \(5, 6\), expected \(6, classes\)"):
        mixup(features, targets[:5], 1, np.random.default_rng(0))


def test_bands_are_masked_by_the_frequency_that_they_hear_best():
    """A mask of 1 kHz covers the bands whose loudest bins lie within 1 kHz, give or take a bin."""
    spec = FeatureSpec(n_mels=64, n_fft=4096)
    bins_hz = np.fft.rfftfreq(4096, 1 / spec.rate_hz)
    best_hz = bins_hz[mel_bank(spec).argmax(0)]
    width, place = np.random.default_rng(5).random((2, 1, 1, 1)).ravel()
    low = spec.fmin_hz + place * (spec.top_hz - spec.fmin_hz - 1000 * width)
    x = torch.from_numpy(np.random.default_rng(9).normal(size=(101, 64)).astype(np.float32))
    out = spec_augment(x, np.random.default_rng(5), spec, widest_band_hz=1000, n_time=0, n_bands=1)
    masked = (out != x).all(0).numpy()
    sure = np.minimum(np.abs(best_hz - low), np.abs(best_hz - low - 1000 * width)) > bins_hz[1]
    inside = (best_hz >= low) & (best_hz < low + 1000 * width)
    assert masked.any() and (masked == inside)[sure].all()


def test_zoom_along_time_and_along_mels_are_drawn_apart(monkeypatch):
    given = {}
    monkeypatch.setattr(module, "warp", lambda x, **more: given.update(more) or x)
    augment_image(torch.rand(50, 20, 10), np.random.default_rng(0))
    assert abs(np.corrcoef(given["zoom_time"], given["zoom_mel"])[0, 1]) < 0.5
