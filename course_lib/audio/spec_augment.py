"""Augmentation of features: the log-mel treated as an image (the paper's set TAA), SpecAugment and mixup.

Features are `(frames, mels)` or `(clips, frames, mels)`, tensors or arrays; every function returns a new float32 tensor
of the same shape. The image has time to the right and mel bands upwards, and its unit is the pixel: one frame by one
mel band. A rotation by 30 degrees therefore changes the sound differently at another hop, whereas SpecAugment, defined
in ms and Hz, does the same at every hop.

Zoom, shifts, shear and rotation are one affine map about the centre of the image, with linear interpolation; what
enters repeats the nearest edge. torchvision's `affine` can only fill with a constant and transforms all clips alike, so
we use torch's `grid_sample` with border padding. Notebook: 03.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from torch.nn.functional import affine_grid, grid_sample

from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec, floor_level

Features = np.ndarray | torch.Tensor
PerClip = float | np.ndarray | torch.Tensor

MASK_VALUES = ("mean", "floor")  # what SpecAugment puts into its masks
# The paper's image augmentation; Source: Mushtaq, Su & Tran, Applied Acoustics 172 (2021), 107581. Its numbers are
# arguments of Keras' ImageDataGenerator, which draws as we do: uniformly, zoom separately for each axis, flip or not.
TAA = {
    "zoom": (0.75, 1.25),
    "width": (-0.2, 0.2),
    "height": (-0.2, 0.2),
    "shear": (-0.3, 0.3),
    "degrees": (-30.0, 30.0),
    "brightness": (0.5, 1.5),
}


def flip(features: Features) -> torch.Tensor:
    """`features` reversed in time. Raises ValueError as `warp`. Notebook: 03."""
    x, _ = _batch(features)
    return x.flip(-2).reshape(features.shape)


def brightness(features: Features, factor: PerClip) -> torch.Tensor:
    """Each value's distance from its image's minimum times `factor`, clipped at the maximum, as in an 8-bit image.

    On decibels this is not a gain, which would add the same to every value: it expands (above 1) or compresses level
    differences, and clips what leaves the range. Raises ValueError as `warp`; factors are 0 or more. Notebook: 03.
    """
    x, one_each = _batch(features)
    factor = one_each("factor", factor, low=0).float()[:, None, None]
    black, white = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
    return (black + factor * (x - black)).minimum(white).reshape(features.shape)


def warp(
    features: Features,
    *,
    zoom_time: PerClip = 1.0,
    zoom_mel: PerClip = 1.0,
    width: PerClip = 0.0,
    height: PerClip = 0.0,
    frames_per_mel: PerClip = 0.0,
    degrees: PerClip = 0.0,
) -> torch.Tensor:
    """The image zoomed, then sheared, then rotated, all about its middle, and shifted last; interpolated once.

    Each parameter is one number for all clips or one per clip, `(clips,)`. Notebook: 03.

    Parameters
    ----------
    zoom_time, zoom_mel : factors; above 1 the image gets longer in time or wider in mels.
    width : the image moves later by this fraction of its length, or earlier if negative.
    height : it moves up by this fraction of its mel bands. This is not a pitch shift, as bands are not octaves.
    frames_per_mel : shear; each mel band is delayed by this many frames relative to the one below: a click becomes a
        sweep. We take the paper's 0.3 as this slope. Early versions of Keras read it in radians, which is nearly the
        same; later ones in degrees, where 0.3 does next to nothing. We do not know which version the
        paper used.
    degrees : anticlockwise rotation; a steady tone becomes a chirp that rises `tan(degrees)` mel bands per frame.

    Raises
    ------
    ValueError
        `features` are not floats of shape `(frames, mels)` or `(clips, frames, mels)`; a parameter is not finite, out
        of its range, or neither one number nor one per clip.
    """
    x, one_each = _batch(features)
    time, mel = one_each("zoom_time", zoom_time, low=1e-3), one_each("zoom_mel", zoom_mel, low=1e-3)
    slope, angle = one_each("frames_per_mel", frames_per_mel), torch.deg2rad(one_each("degrees", degrees))
    cos, sin, nothing = angle.cos(), angle.sin(), torch.zeros_like(angle)
    turned = _matrix(cos, -sin, sin, cos)
    map_pixels = turned @ _matrix(time, slope * mel, nothing, mel)  # acts on (frames, mels) counted from the centre
    # grid_sample counts each axis from -1 to 1 and takes the inverse map, from the result to the image
    half = torch.tensor([x.shape[1] / 2, x.shape[2] / 2], dtype=torch.float64, device=x.device)
    back = torch.linalg.inv(map_pixels) * half / half[:, None]
    moved = 2 * torch.stack([one_each("width", width), one_each("height", height)], dim=-1)[..., None]
    theta = torch.cat([back, -back @ moved], dim=-1)
    image = x.transpose(1, 2)[:, None]  # grid_sample's first axis runs to the right: time
    # In double precision: at 1000 frames, rounding a position to float32 would show in the third digit of a level in dB
    grid = affine_grid(theta, list(image.shape), align_corners=False)
    warped = grid_sample(image.double(), grid, mode="bilinear", padding_mode="border", align_corners=False)
    return warped[:, 0].transpose(1, 2).float().reshape(features.shape)


def augment_image(features: Features, rng: np.random.Generator) -> torch.Tensor:
    """The paper's image augmentation, drawn for each clip: an affine map, a flip or none, and brightness, within `TAA`.

    Raises ValueError as `warp`. Notebook: 03.
    """
    x, _ = _batch(features)
    drawn = {name: rng.uniform(*ends, size=len(x)) for name, ends in TAA.items()}
    warped = warp(
        x, zoom_time=drawn["zoom"], zoom_mel=rng.uniform(*TAA["zoom"], size=len(x)), width=drawn["width"],
        height=drawn["height"], frames_per_mel=drawn["shear"], degrees=drawn["degrees"],
    )  # fmt: skip
    flipped = torch.as_tensor(rng.random(len(x)) < 0.5, device=x.device)[:, None, None]
    return brightness(torch.where(flipped, warped.flip(-2), warped), drawn["brightness"]).reshape(features.shape)


def spec_augment(
    features: Features,
    rng: np.random.Generator,
    spec: FeatureSpec,
    *,
    widest_time_ms: float = 200.0,
    widest_band_hz: float = 1000.0,
    n_time: int = 2,
    n_bands: int = 2,
    mask_value: str = "mean",
) -> torch.Tensor:
    """`features` in which random time intervals and frequency bands of each clip are masked.

    `mask_value` is `mean`, the clip's mean, or `floor`, the level of silence, so that masked parts are empty in the
    linear spectrogram, where a 0 in the logarithm would be loud. The guide loss of DiffRes needs `floor`.

    The width of each mask is drawn uniformly from 0 to the widest, in ms or Hz, then its start from where it fits. A
    frame or mel band is masked if its centre lies inside: the same `rng` hides the same piece of sound at every hop and
    every number of mels. Source: Park et al., "SpecAugment", Interspeech 2019, which counts frames and bands instead.
    Notebook: 03.

    Raises
    ------
    ValueError
        `features` are invalid or have another number of mels than `spec`; a width is negative, or wider than the clip
        or the mel bands; a number of masks is negative; `mask_value` is unknown.
    """
    x, _ = _batch(features)
    n_frames, n_mels = x.shape[1:]
    if n_mels != spec.n_mels:
        raise ValueError(f"features: {n_mels} mels, spec has {spec.n_mels}; give the spec that they were made with")
    if min(n_time, n_bands) < 0:
        raise ValueError(f"n_time={n_time}, n_bands={n_bands}: must be 0 or more")
    if mask_value not in MASK_VALUES:
        raise ValueError(f"mask_value={mask_value!r}: choose one of {', '.join(MASK_VALUES)}")
    centres_ms = 1000 * spec.frame_centres_s(n_frames)
    length_ms = timebase.samples_to_ms((n_frames - 1) * spec.hop_samples, spec.rate_hz)
    masked_time = _masks(rng, "widest_time_ms", widest_time_ms, (len(x), n_time), (0, length_ms), centres_ms)
    limits_hz = (spec.fmin_hz, spec.top_hz)
    masked_mel = _masks(rng, "widest_band_hz", widest_band_hz, (len(x), n_bands), limits_hz, spec.mel_centres_hz)
    hidden = torch.as_tensor(masked_time[:, :, None] | masked_mel[:, None, :], device=x.device)
    filler = x.mean((1, 2), keepdim=True) if mask_value == "mean" else floor_level(spec)
    return torch.where(hidden, filler, x).reshape(features.shape)


def mixup(
    features: torch.Tensor, targets: torch.Tensor, alpha: float, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Each clip mixed with another of the batch, `share * own + (1 - share) * other`, and its target likewise.

    `features` are `(clips, ...)`, `targets` `(clips, classes)`, one-hot or any probabilities. The share of each clip is
    drawn from Beta(alpha, alpha). torchvision's MixUp draws one share for the whole batch, from a global generator.
    Source: Zhang et al., "mixup: beyond empirical risk minimization", ICLR 2018, equation 1.

    Raises
    ------
    ValueError
        `alpha` is not above 0 and finite, or targets and features do not have the same number of clips.
    """
    if not 0 < alpha < math.inf:
        raise ValueError(f"alpha={alpha}: must be above 0 and finite")
    if targets.ndim != 2 or len(targets) != len(features):
        raise ValueError(
            f"targets: shape {tuple(targets.shape)}, expected ({len(features)}, classes), one row per clip"
        )
    share = torch.as_tensor(rng.beta(alpha, alpha, len(features)), dtype=torch.float32)
    other = torch.as_tensor(rng.permutation(len(features)), device=features.device)
    mixed = []
    for own in (features, targets.to(features.dtype)):
        part = share.to(own).reshape(-1, *[1] * (own.ndim - 1))
        mixed.append(part * own + (1 - part) * own[other])
    return mixed[0], mixed[1]


def _masks(
    rng: np.random.Generator,
    name: str,
    widest: float,
    shape: tuple[int, int],
    limits: tuple[float, float],
    centres: np.ndarray,
) -> np.ndarray:
    """True where one of the masks covers a centre, `(clips, centres)`; `shape` is `(clips, masks)`."""
    low, high = limits
    if not 0 <= widest <= high - low:
        raise ValueError(f"{name}={widest}: must be between 0 and {high - low:g}, the full extent")
    # Both drawn as fractions, so that the number of draws does not depend on the hop
    width, place = rng.random((2, *shape, 1))
    width = width * widest
    start = low + place * (high - low - width)
    return ((centres >= start) & (centres < start + width)).any(axis=1)


def _matrix(*rows: torch.Tensor) -> torch.Tensor:
    """Matrices `(clips, 2, 2)` from four numbers per clip."""
    return torch.stack(rows, dim=-1).reshape(-1, 2, 2)


def _batch(features: Features) -> tuple[torch.Tensor, Callable[..., torch.Tensor]]:
    """`features` as a float32 tensor `(clips, frames, mels)`, and a function that checks a parameter given per clip."""
    x = features if isinstance(features, torch.Tensor) else torch.tensor(np.asarray(features))
    if x.ndim not in (2, 3) or 0 in x.shape:
        raise ValueError(
            f"features: shape {tuple(x.shape)}, expected (frames, mels) or (clips, frames, mels), no axis of size 0"
        )
    if not x.is_floating_point() or not x.isfinite().all():
        raise ValueError("features: must be floats, none of them NaN or infinite")
    x = x.float().reshape(-1, *x.shape[-2:])

    def one_each(name: str, value: PerClip, low: float = -math.inf) -> torch.Tensor:
        """`value` as `(clips,)`, float64."""
        value = torch.as_tensor(value, dtype=torch.float64, device=x.device)
        if value.shape not in ((), (len(x),)):
            raise ValueError(f"{name}: shape {tuple(value.shape)}, expected one number or {len(x)}, one per clip")
        if not value.isfinite().all() or (value < low).any():
            least = "" if low == -math.inf else f" and at least {low:g}"
            raise ValueError(f"{name}={value.tolist()}: must be finite{least}")
        return value.expand(len(x))

    return x, one_each
