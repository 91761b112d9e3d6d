"""Augmentation of waveforms: shift, stretch, pitch, trim, noise, and the paper's set of six by name.

Every transform is a pure function: samples `(samples,)` in, new float32 samples out; random ones draw from the
generator that you pass. A bad argument raises one `ValueError` with its name, its value and the allowed range.

Two engines stretch time. At 16 kHz and rates from 0.5 to 2, they move an onset by (a test measures it):

- `signalsmith`: at most 0.4 ms for the peak of a click; for the beginning of noise, or of a tone that decays over
  30 ms, at most 2 ms at rates from 0.5 to 1.2 and at most 4.5 ms at 2;
- `librosa`: a median of 6 to 64 ms for all of these, least near rate 1 and most at 0.5.

The beginning is the first sample that reaches a quarter of the peak. `librosa` is a phase vocoder with windows of 2048
samples and moves sounds by up to whole hops, too far for a study of hops. Notebook: 03.
"""

from collections.abc import Callable
from typing import Literal

import librosa
import numpy as np
from python_stretch import Signalsmith

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
SNRS_DB = (-120.0, 120.0)


def shift(x: np.ndarray, n_samples: int, *, circular: bool = False) -> np.ndarray:
    """`x` `(samples,)` delayed by `n_samples`, or advanced if negative; padded with zeros, or wrapped with `circular`.

    Notebook: 03.

    Raises
    ------
    ValueError
        `x` is not a waveform, or `n_samples` not an integer.
    """
    x = _waveform(x)
    if not isinstance(n_samples, int | np.integer):
        raise ValueError(f"n_samples={n_samples!r}: must be a whole number (timebase.ms_to_samples)")
    moved = np.roll(x, n_samples)
    if not circular and n_samples > 0:
        moved[:n_samples] = 0
    if not circular and n_samples < 0:
        moved[n_samples:] = 0
    return moved


def random_shift(x: np.ndarray, rng: np.random.Generator, largest_fraction: float = 0.2) -> np.ndarray:
    """`x` shifted by a number of samples drawn uniformly, up to `largest_fraction` of the clip in either direction.

    Notebook: 03.

    Raises
    ------
    ValueError
        As `shift`; `largest_fraction` is not within 0 to 1.
    """
    x = _waveform(x)
    _within("largest_fraction", largest_fraction, 0, 1)
    largest = int(largest_fraction * len(x))
    return shift(x, rng.integers(-largest, largest, endpoint=True))


def time_stretch(
    x: np.ndarray,
    rate: float,
    *,
    rate_hz: int,
    engine: Engine = "signalsmith",
    n_fft: int = 2048,
) -> np.ndarray:
    """`x` `(samples,)` played `rate` times as fast at the same pitch, `round(samples / rate)` samples.

    A rate above 1 is faster and shorter. What was at sample `k` is then at `k / rate`, to the accuracy given at the top
    of this module. `n_fft` is the window of `librosa`, whose hop is a quarter of it; that of `signalsmith` is 60 ms.
    Noise loses level, because overlapping windows no longer agree on its phases: 1 dB, or up to 3 dB with `librosa`.
    Notebook: 03.

    Raises
    ------
    ValueError
        `x` is not a single waveform, or shorter than one window; `rate` is not within 0.1 to 10; an unknown engine.
    """
    x = _waveform(x)
    _within("rate", rate, *RATES)
    return audio_io.fix_length(_stretched(x, rate, rate_hz, engine, n_fft), round(len(x) / rate))


def pitch_shift(
    x: np.ndarray, semitones: float, *, rate_hz: int, engine: Engine = "signalsmith", n_fft: int = 2048
) -> np.ndarray:
    """`x` `(samples,)` with every frequency times `2 ** (semitones / 12)`, at the same length.

    Stretched in time and then resampled back, with either engine, so that the pitch is exact; Signalsmith's own
    transposition is off by up to 5 cents at 220 Hz. What would rise above half the sampling rate is lost. Notebook: 03.

    Raises
    ------
    ValueError
        As `time_stretch`; `semitones` is not within -24 to 24.
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
        return librosa.effects.time_stretch(x, rate=rate, n_fft=n_fft)
    stretch = Signalsmith.Stretch(0)  # a fixed seed; otherwise some rates differ from call to call
    stretch.configure(1, window, timebase.ms_to_samples(INTERVAL_MS, rate_hz))
    stretch.setTimeFactor(rate)
    return stretch.process(np.array(x[None]))[0]  # a copy: it refuses read-only arrays, such as cached ones


def trim_silence(x: np.ndarray, threshold_db: float = 40.0, *, rate_hz: int) -> np.ndarray:
    """`x` `(samples,)` without the silence at its two ends.

    It keeps everything from the first to the last frame of 25 ms whose root mean square lies less than `threshold_db`
    below that of the loudest frame. Both cuts fall on whole hops of 10 ms, or the end of the clip, so a sharp onset is
    located to within half a window plus a hop. A silent clip stays whole. Source: `librosa.effects.trim`. Notebook: 03.

    Raises
    ------
    ValueError
        `x` is not a waveform, or `threshold_db` not above 0 and finite.
    """
    x = _waveform(x)
    if not 0 < threshold_db < np.inf:
        raise ValueError(f"threshold_db={threshold_db}: must be above 0 and finite")
    window, hop = (timebase.ms_to_samples(ms, rate_hz) for ms in (25, 10))
    trimmed, _ = librosa.effects.trim(x, top_db=threshold_db, frame_length=window, hop_length=hop)
    return trimmed.copy()


def add_noise(x: np.ndarray, noise: np.ndarray | np.random.Generator, snr_db: float) -> np.ndarray:
    """`x` `(samples,)` plus noise, `snr_db` below the mean power of the whole clip.

    `noise` is a recording `(samples,)`, repeated or cut to the length of `x`, or a generator that draws white noise.
    A silent clip stays silent. Notebook: 03.

    Raises
    ------
    ValueError
        `x` or `noise` is not a waveform, the noise is silent, or `snr_db` is not within -120 to 120.
    """
    x = _waveform(x)
    _within("snr_db", snr_db, *SNRS_DB)
    if isinstance(noise, np.random.Generator):
        noise = noise.standard_normal(len(x), dtype=np.float32)
    else:
        noise = np.resize(_waveform(noise, name="noise"), len(x))
    power, noise_power = (np.mean(np.square(part, dtype=np.float64)) for part in (x, noise))
    if not noise_power > 0:
        raise ValueError("noise: is silent, so it cannot be scaled to a level; give a recording with sound")
    return x + np.float32(np.sqrt(power / noise_power) * 10 ** (-snr_db / 20)) * noise


def naa(
    *,
    semitones: float = 2.0,
    largest_fraction: float = 0.2,
    threshold_db: float = 40.0,
    engine: Engine = "signalsmith",
) -> dict[str, Transform]:
    """The six transforms of the paper's set NAA by name, each a function `(x, rate_hz, rng)` of one clip `(samples,)`.

    The rates 0.7 and 1.20 are the paper's. It does not give the pitch steps, the size of the shift or the trim
    threshold, so these are our choices (the same group used 40 dB elsewhere). The hash of augmented data covers the
    settings that these functions close over (see `data.augmented`): other settings make another data set. Source:
    Mushtaq, Su & Tran, "Spectral images based environmental sound classification using CNN with meaningful data
    augmentation", Applied Acoustics 172 (2021). Notebook: 03.
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
        raise ValueError(f"{name}={value}: must be between {low:g} and {high:g}")


def _waveform(x: np.ndarray, *, name: str = "x") -> np.ndarray:
    """`x` as float32; a ValueError unless it is finite and `(samples,)`."""
    x = np.asarray(x)
    if x.ndim != 1:
        raise ValueError(f"{name}: shape {x.shape}, expected (samples,); average the channels of a stereo clip first")
    if x.size == 0:
        raise ValueError(f"{name}: shape {x.shape}, expected (samples,) with at least one sample")
    if not np.issubdtype(x.dtype, np.floating):
        raise ValueError(f"{name}: {x.dtype}, expected floats within ±1; divide integers by full scale")
    x = x.astype(np.float32, copy=False)
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: contains NaN or infinity, expected finite samples")
    return x
