"""Augmentation of the sound itself: shift, stretch, pitch, trim, gain, noise, and the paper's set of six by name.

Every transform is a pure function: samples in, new float32 samples out, all that is drawn from a generator of yours.
What is wrong with an argument is one `ValueError` with its name, its value and the range that is allowed.

Two engines stretch time. `signalsmith` keeps an onset within 0.5 ms of its place. `librosa`, a phase vocoder with
windows of 2048 samples, moves it by 10 to 40 ms at 16 kHz, by whole hops: good to know, and bad in a study of hops.
Their figures are measured in notebook 03. Notebook: 03.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from course_lib.audio import io as audio_io
from course_lib.audio import timebase

Engine = Literal["signalsmith", "librosa"]
Transform = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]  # (x, rate_hz, rng) -> x

ENGINES = ("signalsmith", "librosa")
# Signalsmith's own preset, 120 ms every 30 ms, moves a click by up to 1.3 ms at rates from 0.5 to 2. Half the window
# and two fifths of the interval keep it within 0.4 ms, in about the same time.
WINDOW_MS, INTERVAL_MS = 60.0, 12.0
RATES = (0.1, 10.0)
SEMITONES = (-24.0, 24.0)
GAINS_DB = (-120.0, 120.0)
DIRECTIONS = {"left": (-1, 0), "right": (0, 1), "both": (-1, 1)}


def shift(x: np.ndarray, n_samples: int | np.ndarray, *, circular: bool = False) -> np.ndarray:
    """`x` later by `n_samples`, earlier where that is negative; zeros enter, or with `circular` what left at the end.

    `x` is `(samples,)` or `(clips, samples)`; `n_samples` a whole number, or one a clip, `(clips,)`.

    Raises
    ------
    ValueError
        `x` is no waveform, or `n_samples` not whole. Notebook: 03.
    """
    x = _waveform(x, batch=True)
    later = np.asarray(n_samples)
    if not np.issubdtype(later.dtype, np.integer) or later.shape not in ((), x.shape[:-1]):
        raise ValueError(f"n_samples={n_samples!r}: must be a whole number, or one a clip (timebase.ms_to_samples)")
    length = x.shape[-1]
    place = np.broadcast_to(np.arange(length) - later[..., None], x.shape)  # where each sample comes from
    moved = np.take_along_axis(x, place % length, axis=-1)
    return moved if circular else np.where((place >= 0) & (place < length), moved, np.float32(0))


def random_shift(
    x: np.ndarray,
    rng: np.random.Generator,
    largest_fraction: float = 0.2,
    direction: Literal["both", "left", "right"] = "both",
    *,
    circular: bool = False,
) -> np.ndarray:
    """`shift` by a number of samples drawn evenly up to `largest_fraction` of the clip, for each clip of a batch anew.

    `left` is earlier, `right` is later, as on a time axis.

    Raises
    ------
    ValueError
        As `shift`; `largest_fraction` is not within 0 to 1, or `direction` is unknown. Notebook: 03.
    """
    x = _waveform(x, batch=True)
    _within("largest_fraction", largest_fraction, 0, 1)
    if direction not in DIRECTIONS:
        raise ValueError(f"direction={direction!r}: choose one of {', '.join(DIRECTIONS)}")
    largest = int(largest_fraction * x.shape[-1])
    low, high = (sign * largest for sign in DIRECTIONS[direction])
    return shift(x, rng.integers(low, high, size=x.shape[:-1], endpoint=True), circular=circular)


def time_stretch(
    x: np.ndarray,
    rate: float,
    *,
    rate_hz: int,
    engine: Engine = "signalsmith",
    n_fft: int = 2048,
    keep_length: bool = False,
) -> np.ndarray:
    """`x` `(samples,)` played `rate` times as fast at the same pitch, `round(samples / rate)` samples.

    A rate above 1 is faster and shorter. What was at sample `k` is then at `k / rate`. With `keep_length` the result
    has the length of `x`: its end is cut off (slow) or filled with zeros (fast). `n_fft` is the window of `librosa`,
    whose hop is a quarter of it; `signalsmith` sees 60 ms. Noise loses level, since overlapping windows no longer agree
    on its phases: 1 dB, with `librosa` up to 3.

    Raises
    ------
    ValueError
        `x` is no single waveform or shorter than one window; `rate` is not within 0.1 to 10; an unknown engine.
        Notebook: 03.
    """
    x = _waveform(x)
    _within("rate", rate, *RATES)
    stretched = audio_io.fix_length(_stretched(x, rate, rate_hz, engine, n_fft), round(len(x) / rate))
    return audio_io.fix_length(stretched, len(x)) if keep_length else stretched


def pitch_shift(
    x: np.ndarray, semitones: float, *, rate_hz: int, engine: Engine = "signalsmith", n_fft: int = 2048
) -> np.ndarray:
    """`x` `(samples,)` with every frequency times `2 ** (semitones / 12)`, at the same length.

    Stretched in time and then resampled back, with either engine, so that the pitch is exact: Signalsmith's own way to
    transpose errs by up to 5 cents at 220 Hz. What would rise above half the sampling rate is gone.

    Raises
    ------
    ValueError
        As `time_stretch`; `semitones` is not within -24 to 24. Notebook: 03.
    """
    x = _waveform(x)
    _within("semitones", semitones, *SEMITONES)
    slower = 2 ** (-semitones / 12)
    stretched = _stretched(x, slower, rate_hz, engine, n_fft)
    return audio_io.fix_length(audio_io.resample(stretched, rate_hz / slower, rate_hz), len(x))


def _stretched(x: np.ndarray, rate: float, rate_hz: int, engine: str, n_fft: int) -> np.ndarray:
    """About `len(x) / rate` samples: the engines round the length in their own ways."""
    if engine not in ENGINES:
        raise ValueError(f"engine={engine!r}: choose one of {', '.join(ENGINES)}")
    window = n_fft if engine == "librosa" else timebase.ms_to_samples(WINDOW_MS, rate_hz)
    if len(x) < window:
        raise ValueError(f"x: {len(x)} samples, {engine} needs at least one window of {window}; pad the clip first")
    if rate == 1:
        return x.copy()
    if engine == "librosa":
        import librosa

        return librosa.effects.time_stretch(x, rate=rate, n_fft=n_fft)
    from python_stretch import Signalsmith

    stretch = Signalsmith.Stretch(0)  # a seed of its own, or some rates would differ from call to call
    stretch.configure(1, window, timebase.ms_to_samples(INTERVAL_MS, rate_hz))
    stretch.setTimeFactor(rate)
    return stretch.process(np.array(x[None]))[0]  # a copy: it refuses arrays that are read-only, as a cache hands out


def silence_bounds(
    x: np.ndarray, threshold_db: float = 40.0, *, rate_hz: int, window_ms: float = 25.0, hop_ms: float = 10.0
) -> tuple[int, int]:
    """`(first, end)` samples of the part of `x` `(samples,)` between the silences at its two ends.

    Kept is all from the first to the last frame whose root mean square lies less than `threshold_db` below that of the
    loudest. Both bounds are whole hops, or the end of the clip: a sharp onset is met to half a window and a hop. A clip
    that is silent throughout stays whole. Source: `librosa.effects.trim`.

    Raises
    ------
    ValueError
        `x` is no single waveform, `threshold_db` not above 0 and finite, a window or hop below one sample.
    """
    import librosa

    x = _waveform(x)
    if not 0 < threshold_db < np.inf:
        raise ValueError(f"threshold_db={threshold_db}: must be above 0 and finite")
    window, hop = (timebase.ms_to_samples(ms, rate_hz) for ms in (window_ms, hop_ms))
    if min(window, hop) < 1:
        raise ValueError(f"window_ms={window_ms}, hop_ms={hop_ms}: must be above 0")
    _, (first, end) = librosa.effects.trim(x, top_db=threshold_db, frame_length=window, hop_length=hop)
    return int(first), int(end)


def trim_silence(
    x: np.ndarray, threshold_db: float = 40.0, *, rate_hz: int, window_ms: float = 25.0, hop_ms: float = 10.0
) -> np.ndarray:
    """`x` `(samples,)` without the silence at its two ends, as `silence_bounds` finds it; its errors too.

    A second trim finds nothing more to cut at a sharp onset or end; of a slow fade it may take a few frames, since the
    outermost frame now looks at zeros where the fade was. Notebook: 03.
    """
    first, end = silence_bounds(x, threshold_db, rate_hz=rate_hz, window_ms=window_ms, hop_ms=hop_ms)
    return _waveform(x)[first:end].copy()


def gain(x: np.ndarray, gain_db: float) -> np.ndarray:
    """`x` `(samples,)` or `(clips, samples)` louder by `gain_db`; not clipped, so it may leave ±1.

    Raises
    ------
    ValueError
        `x` is no waveform, `gain_db` is not within -120 to 120. Notebook: 03.
    """
    x = _waveform(x, batch=True)
    _within("gain_db", gain_db, *GAINS_DB)
    return x * np.float32(10 ** (gain_db / 20))


def add_noise(x: np.ndarray, noise: np.ndarray | np.random.Generator, snr_db: float) -> np.ndarray:
    """`x` `(samples,)` or `(clips, samples)` plus noise, `snr_db` below each clip's mean power over its whole length.

    `noise` is a recording `(samples,)`, repeated or cut to the length of `x`, or a generator that draws white noise.
    A silent clip stays silent: there is nothing to be above.

    Raises
    ------
    ValueError
        `x` or `noise` is no waveform, the noise is silent, `snr_db` is not within -120 to 120. Notebook: 03.
    """
    x = _waveform(x, batch=True)
    _within("snr_db", snr_db, *GAINS_DB)
    if isinstance(noise, np.random.Generator):
        noise = noise.standard_normal(x.shape, dtype=np.float32)
    else:
        noise = np.resize(_waveform(noise, name="noise"), x.shape[-1])
    powers = [np.mean(np.square(part, dtype=np.float64), axis=-1, keepdims=True) for part in (x, noise)]
    if not np.all(powers[1] > 0):
        raise ValueError("noise: is silent, no factor brings it to a level; give a recording that sounds")
    return x + (np.sqrt(powers[0] / powers[1]) * 10 ** (-snr_db / 20)).astype(np.float32) * noise


def naa(
    *,
    semitones: float = 2.0,
    largest_fraction: float = 0.2,
    threshold_db: float = 40.0,
    engine: Engine = "signalsmith",
) -> dict[str, Transform]:
    """The six transforms of the paper's set NAA by name, each a function `(x, rate_hz, rng)` of one clip `(samples,)`.

    The rates 0.7 and 1.20 are the paper's. It does not publish pitch steps, size of the shift or trim threshold: these
    are free choices of ours (40 dB is what the same group used elsewhere). Source: Mushtaq, Su & Tran, "Spectral images
    based environmental sound classification using CNN with meaningful data augmentation", Applied Acoustics 172 (2021).
    Notebook: 03.
    """
    kind = {"engine": engine}
    return {
        "pitch_up": lambda x, rate_hz, rng: pitch_shift(x, semitones, rate_hz=rate_hz, **kind),
        "pitch_down": lambda x, rate_hz, rng: pitch_shift(x, -semitones, rate_hz=rate_hz, **kind),
        "slow": lambda x, rate_hz, rng: time_stretch(x, 0.7, rate_hz=rate_hz, **kind),
        "fast": lambda x, rate_hz, rng: time_stretch(x, 1.2, rate_hz=rate_hz, **kind),
        "shift": lambda x, rate_hz, rng: random_shift(x, rng, largest_fraction),
        "trim": lambda x, rate_hz, rng: trim_silence(x, threshold_db, rate_hz=rate_hz),
    }


NAA = naa()


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # also true of NaN
        raise ValueError(f"{name}={value}: must lie within {low:g} to {high:g}")


def _waveform(x: np.ndarray, *, batch: bool = False, name: str = "x") -> np.ndarray:
    """`x` as float32; a ValueError unless it is finite and `(samples,)`, or with `batch` also `(clips, samples)`."""
    x = np.asarray(x)
    expected = "(samples,) or (clips, samples)" if batch else "(samples,)"
    if x.ndim not in ((1, 2) if batch else (1,)):
        raise ValueError(f"{name}: shape {x.shape}, expected {expected}; average the channels of a stereo clip first")
    if x.size == 0:
        raise ValueError(f"{name}: shape {x.shape}, expected {expected} with at least one sample")
    if not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"{name}: {x.dtype}, expected floats within ±1; divide whole numbers by their largest value")
    x = x.astype(np.float32, copy=False)
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: holds NaN or infinity, expected finite samples")
    return x
