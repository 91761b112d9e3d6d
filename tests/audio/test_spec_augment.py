"""Augmentation of features: identities, directions, one draw a clip, masks that a change of hop leaves alone."""

import numpy as np
import pytest
import torch

from course_lib.audio import spec_augment as pictures
from course_lib.audio.features import FeatureSpec, mel_bank
from course_lib.audio.spec_augment import (
    brightness,
    flip,
    mixup,
    random_picture,
    rotate,
    shear,
    spec_augment,
    warp,
    zoom,
)

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


# --- pictures ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "nothing",
    [
        warp,
        lambda x: zoom(x, 1),
        lambda x: pictures.shift_width(x, 0),
        lambda x: pictures.shift_height(x, 0),
        lambda x: shear(x, 0),
        lambda x: rotate(x, 0),
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
    assert pictures.shift_width(click(50), 10 / FRAMES)[:, 3].argmax() == 60
    assert pictures.shift_height(tone(32), 8 / MELS)[5].argmax() == 40
    assert torch.equal(flip(click(10)), click(FRAMES - 11))
    chirp = rotate(tone(), 30)
    assert [int(chirp[frame].argmax()) for frame in (40, 50, 60)] == [26, 32, 38]  # tan(30 degrees) a frame
    sweep = shear(click(), 0.3)
    assert [int(sweep[:, mel].argmax()) for mel in (12, 32, 52)] == [44, 50, 56]


def test_zoom_enlarges_each_axis_about_the_middle():
    half = DARK / 2
    assert ((zoom(click(), 2, 1) > half - 1).sum(0) == 3).all()  # interpolated: half as bright one frame to either side
    step = torch.full((FRAMES, MELS), DARK)
    step[:, 40:] = 0
    assert int((zoom(step, 1, 2)[0] > half).sum()) == MELS // 2 - 2 * (40 - MELS // 2)
    assert int((zoom(step, 1, 0.5)[0] > half).sum()) == MELS // 2 - (40 - MELS // 2) // 2


def test_what_enters_repeats_the_edge():
    x = some(1)[0]
    moved = pictures.shift_width(x, 10 / FRAMES)
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
    alone = torch.stack([rotate(clip, angle) for clip, angle in zip(x, angles, strict=True)])
    torch.testing.assert_close(rotate(x, angles), alone)
    factors = torch.tensor([0.5, 1.0, 1.5])
    torch.testing.assert_close(brightness(x, factors)[2], brightness(x[2], 1.5))


def test_random_picture_draws_for_each_clip_and_repeats_with_its_seed():
    x = some(1).expand(8, -1, -1)
    first, again, other = (random_picture(x, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.shape == x.shape
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len({clip.numpy().tobytes() for clip in first}) == 8
    assert first.min() >= x.min() - 1e-3
    assert first.max() <= x.max() + 1e-3
    still = dict.fromkeys(pictures.TAA, (0.0, 0.0)) | {"zoom": (1.0, 1.0), "brightness": (1.0, 1.0)}
    rng = np.random.default_rng(0)
    torch.testing.assert_close(random_picture(x, rng, still, flip_probability=0), x, atol=1e-4, rtol=0)
    torch.testing.assert_close(random_picture(x, rng, still, flip_probability=1), flip(x), atol=1e-4, rtol=0)


def test_arrays_and_read_only_arrays_are_welcome():
    x = some().numpy()
    x.setflags(write=False)
    torch.testing.assert_close(rotate(x, 10), rotate(torch.tensor(x), 10))
    torch.testing.assert_close(flip(x), flip(torch.tensor(x)))


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: rotate(some(), float("nan")), "degrees=nan: must be finite"),
        (lambda: rotate(some(), [1.0, 2.0]), r"degrees: shape \(2,\), expected one number or 3, one a clip"),
        (lambda: zoom(some(), 0), "zoom_time=0.0: must be finite and at least 0.001"),
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


# --- SpecAugment and mixup -----------------------------------------------------------------------------------------


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
        ({"widest_time_ms": -1}, "widest_time_ms=-1: must lie within 0 to 1000"),
        ({"widest_time_ms": 1001}, "widest_time_ms=1001: must lie within 0 to 1000"),
        ({"widest_band_hz": float("nan")}, "widest_band_hz=nan: must lie within 0 to 7950"),
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


def test_bands_are_masked_by_the_frequency_that_they_hear_best(monkeypatch):
    spec, asked = FeatureSpec(n_mels=64, n_fft=4096), {}
    real = pictures._masks

    def masks(rng, name, widest, shape, limits, centres):
        asked[name] = centres
        return real(rng, name, widest, shape, limits, centres)

    monkeypatch.setattr(pictures, "_masks", masks)
    pictures.spec_augment(torch.zeros(1, 101, 64), np.random.default_rng(0), spec)
    bins_hz = np.fft.rfftfreq(4096, 1 / spec.rate_hz)
    np.testing.assert_allclose(asked["widest_band_hz"], bins_hz[mel_bank(spec).argmax(0)], atol=bins_hz[1])
    np.testing.assert_allclose(asked["widest_time_ms"], 10.0 * np.arange(101))


def test_the_ranges_are_those_that_the_paper_states():
    """Zoom 0.25, shifts 0.20, shear 0.30, rotation 30 degrees, brightness 0.5 to 1.5."""
    around = {"zoom": (1, 0.25), "width": (0, 0.2), "height": (0, 0.2), "shear": (0, 0.3), "degrees": (0, 30),
              "brightness": (1, 0.5)}  # fmt: skip
    assert set(pictures.TAA) == set(around)
    for name, (middle, reach) in around.items():
        assert pictures.TAA[name] == pytest.approx((middle - reach, middle + reach)), name


def test_zoom_along_time_and_along_mels_are_drawn_apart(monkeypatch):
    given = {}
    monkeypatch.setattr(pictures, "warp", lambda x, **more: given.update(more) or x)
    pictures.random_picture(torch.rand(50, 20, 10), np.random.default_rng(0))
    assert abs(np.corrcoef(given["zoom_time"], given["zoom_mel"])[0, 1]) < 0.5
