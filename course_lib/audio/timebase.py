"""Conversions between milliseconds, samples and frames, which no other module makes.

Convention: a frame is *centred* when its window is centred on sample `k * hop_samples` (the signal is padded by half a
window on both sides), and *uncentred* when its window begins there. Notebook: 01.
"""

from collections.abc import Sequence

import numpy as np


def nearest_whole(exact: float) -> int:
    """The whole number nearest to `exact`, ties upwards."""
    # To a millionth first: a tie that floating point left just below one half must still go up
    return int(np.floor(np.round(exact, 6) + 0.5))


def ms_to_samples(duration_ms: float, rate_hz: float) -> int:
    """Whole number of samples nearest to `duration_ms`, ties upwards.

    Raises
    ------
    ValueError
        `rate_hz` is not above zero, a duration is not finite, or a positive one rounds to no sample.
    """
    if not rate_hz > 0:
        raise ValueError(f"rate_hz must be above 0, got {rate_hz}")
    if not np.isfinite(duration_ms):
        raise ValueError(f"a duration must be finite, got {duration_ms} ms")
    samples = nearest_whole(duration_ms * rate_hz / 1000)
    if duration_ms > 0 and samples < 1:
        raise ValueError(
            f"{duration_ms} ms is less than one sample at {rate_hz} Hz; use at least {1000 / rate_hz:.3g} ms"
        )
    return samples


def samples_to_ms(n_samples: float, rate_hz: float) -> float:
    """Duration of `n_samples` in milliseconds."""
    return 1000 * n_samples / rate_hz


def seconds_to_samples(duration_s: float, rate_hz: float) -> int:
    """Whole number of samples nearest to `duration_s`, ties upwards. Errors as `ms_to_samples`."""
    return ms_to_samples(1000 * duration_s, rate_hz)


def resampled_count(n_samples: int, from_hz: float, to_hz: float) -> int:
    """Samples at `to_hz` of a recording of `n_samples` at `from_hz`, at least one: rounded, halves up."""
    return max(1, nearest_whole(n_samples * to_hz / from_hz))


def centre_padding(n_fft: int) -> int:
    """Samples added on each side of a signal before centred framing: half a window, rounded down."""
    return n_fft // 2


def frame_count(n_samples: int, n_fft: int, hop_samples: int, *, centred: bool = True) -> int:
    """Number of whole frames of `n_fft` samples, `hop_samples` apart.

    Uncentred frames lie within the signal: there are none if it is shorter than a window. Of centred frames of an even
    window there are `1 + n_samples // hop_samples`, at least one; with an odd window there can be one fewer, because
    both paddings round down.

    Raises
    ------
    ValueError
        A negative signal length, or a window or hop below one sample.
    """
    if n_samples < 0 or n_fft < 1 or hop_samples < 1:
        raise ValueError(f"need n_samples >= 0, n_fft >= 1, hop_samples >= 1; got {n_samples}, {n_fft}, {hop_samples}")
    padded = n_samples + 2 * centre_padding(n_fft) if centred else n_samples
    return 0 if padded < n_fft else 1 + (padded - n_fft) // hop_samples


def frame_centres_s(n_frames: int, n_fft: int, hop_samples: int, rate_hz: float, *, centred: bool = True) -> np.ndarray:
    """Time of the middle of each frame in seconds, shape `(n_frames,)`, float64.

    Centred frames of an even window are centred on multiples of the hop, uncentred ones half a window later.
    """
    first = 0 if centred else n_fft // 2
    return (first + hop_samples * np.arange(n_frames)) / rate_hz


def nearest_frame(
    time_s: float | np.ndarray, n_fft: int, hop_samples: int, rate_hz: float, *, centred: bool = True
) -> np.ndarray:
    """Index of the frame whose middle is nearest to `time_s`, not below 0; the inverse of `frame_centres_s`."""
    first = 0 if centred else n_fft // 2
    exact = (np.asarray(time_s, dtype=np.float64) * rate_hz - first) / hop_samples
    return np.maximum(np.floor(exact + 0.5), 0).astype(np.int64)


def out_frames(n_frames: int, reduction: float) -> int:
    """Frames left of `n_frames` when the share `reduction` is removed: rounded, ties upwards. Notebook: 07.

    Raises
    ------
    ValueError
        `reduction` is not in [0, 1), or nothing would be left.
    """
    if not 0 <= reduction < 1:
        raise ValueError(f"reduction={reduction}: must be at least 0 and below 1, the share of frames to remove")
    left = nearest_whole(n_frames * (1 - reduction))
    if left < 1:
        raise ValueError(f"reduction={reduction}: leaves none of {n_frames} frames; use at most {1 - 0.5 / n_frames:g}")
    return left


def receptive_field(
    kernels: Sequence[int], strides: Sequence[int], dilations: Sequence[int] | None = None
) -> tuple[int, int]:
    """`(size, jump)` of a stack of convolutions or poolings along one axis, in steps of its input.

    `size` is how many input steps one output sees, `jump` how many input steps lie between two outputs.
    Source: Araujo, Norris & Sim, "Computing receptive fields of convolutional neural networks", Distill 2019, eq. 2.
    """
    dilations = [1] * len(kernels) if dilations is None else dilations
    if not len(kernels) == len(strides) == len(dilations):
        raise ValueError(
            f"one entry per layer: {len(kernels)} kernels, {len(strides)} strides, {len(dilations)} dilations"
        )
    size, jump = 1, 1
    for kernel, stride, dilation in zip(kernels, strides, dilations, strict=True):
        size += (kernel - 1) * dilation * jump
        jump *= stride
    return size, jump


def span_ms(n_frames: int, n_fft: int, hop_samples: int, rate_hz: float) -> float:
    """Milliseconds of signal that `n_frames` neighbouring frames cover together, windows included."""
    return samples_to_ms(n_fft + (n_frames - 1) * hop_samples, rate_hz) if n_frames else 0.0


def video_frame_times_s(length_s: float, frame_rate_hz: float) -> np.ndarray:
    """Middle of each whole frame of `length_s` seconds of video, in seconds, `(frames,)`.

    Raises
    ------
    ValueError
        No frame fits.
    """
    n_frames = int(np.floor(np.round(length_s * frame_rate_hz, 6)))
    if n_frames < 1:
        raise ValueError(f"frame_rate_hz={frame_rate_hz}: gives no frame in {length_s} s; use at least {1 / length_s}")
    return (np.arange(n_frames) + 0.5) / frame_rate_hz


ALIGNMENTS = ("repeat", "nearest", "average", "interpolate")


def alignment(times_s: np.ndarray, at_s: np.ndarray, how: str = "nearest") -> np.ndarray:
    """Weights that bring frames centred at `times_s` to frames centred at `at_s`, `(at, times)`, float32.

    Each row sums to 1: `weights @ x` is `x` `(times, dims)` on the other time base. `nearest` takes one frame;
    `average` the mean of the frames within half the spacing of `at_s`, or the nearest if there is none; `interpolate`
    the two neighbours, weighted linearly, so that no frame is moved in time; `repeat` the mean of all frames,
    everywhere, which discards time. Outside `times_s`, the first or last frame is repeated. Notebook: 10.

    Raises
    ------
    ValueError
        No frames, times that do not increase, or an unknown `how`.
    """
    times_s, at_s = np.asarray(times_s, dtype=np.float64), np.asarray(at_s, dtype=np.float64)
    if how not in ALIGNMENTS:
        raise ValueError(f"how={how!r}: choose one of {', '.join(ALIGNMENTS)}")
    if not len(times_s) or not len(at_s) or np.any(np.diff(times_s) <= 0) or np.any(np.diff(at_s) <= 0):
        raise ValueError("times_s, at_s: expected at least one time each, in increasing order")
    if how == "repeat":
        return np.full((len(at_s), len(times_s)), 1 / len(times_s), dtype=np.float32)
    if how == "interpolate":
        each_frame = np.eye(len(times_s))
        return np.stack([np.interp(at_s, times_s, frame) for frame in each_frame], axis=1).astype(np.float32)
    apart = np.abs(at_s[:, None] - times_s)
    weights = np.zeros(apart.shape)
    weights[np.arange(len(at_s)), apart.argmin(1)] = 1
    if how == "average" and len(at_s) > 1:
        near = apart < np.median(np.diff(at_s)) / 2 + 1e-9
        weights = np.where(near.any(1, keepdims=True), near, weights)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)
