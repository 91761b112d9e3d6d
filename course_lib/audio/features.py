"""Log-mel features: their settings (`FeatureSpec`), a NumPy reference, and a fast version in torch.

Frame `k` is centred on sample `k * hop_samples`. Clips are padded with zeros, not by reflection: a clip may then be
shorter than the window, and its edges gain no sound that was not in it. This is `center=True, pad_mode="constant"` in
librosa and torch. Notebook: 02.
"""

import math
import sys
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

import librosa
import numpy as np

from course_lib.audio import timebase
from course_lib.checked import checked
from course_lib.errors import expect

if TYPE_CHECKING:
    import torch  # otherwise inside functions: it takes seconds to import, and a specification does not need it

FEATURES_VERSION = 1  # part of the key of every cached log-mel: raise it when the formula changes numbers
LOGS = ("db", "ln", "none")
NATS = {"ln": 1.0, "db": 10 / math.log(10)}  # one nat of power in the unit of the log-mel
SPEC_MEANS = "the settings of a log-mel, such as FeatureSpec(hop_ms=10)"  # for the error about any other type
# Sizes for the torch version on a CPU. A block of frames stays in the processor's cache between window, transform and
# mel bank; a group of clips is padded at once. Neither grows with the batch, nor does memory beyond the result.
BLOCK_SAMPLES = 2**19
GROUP_SAMPLES = 2**20


@checked
class FeatureSpec:
    """All settings of a log-mel. Hashable, so that it can be a key.

    Attributes
    ----------
    rate_hz : sampling rate of the waveforms.
    window_ms : length of the window.
    hop_ms : distance between the starts of two frames.
    n_fft : length of the Fourier transform in samples, at least that of the window, which is centred in it between
        zeros. None takes `fft_samples`, the smallest power of two that holds the window and puts a bin into every mel
        band.
    n_mels : number of mel bands.
    fmin_hz : lower edge of the lowest band. 50 Hz has a period of 20 ms; a window of 25 ms cannot distinguish lower
        frequencies from an offset.
    fmax_hz : upper edge of the highest band; None is half the sampling rate.
    log : `db` is 10 log10 of power, `ln` its natural logarithm, `none` the power itself.
    floor : smallest mel power that the logarithm sees. 1e-10 (-100 dB) lies 6 dB below the mean rounding noise of
        16-bit audio with the default window, so it hides nothing that was recorded.
    window : shape, a name that `scipy.signal.get_window` knows; its periodic form is used.
    """

    rate_hz: int = 16_000
    window_ms: float = 25.0
    hop_ms: float = 10.0
    n_fft: int | None = None
    n_mels: int = 64
    fmin_hz: float = 50.0
    fmax_hz: float | None = None
    log: str = "db"
    floor: float = 1e-10
    window: str = "hann"

    def __post_init__(self) -> None:
        for name in ("rate_hz", "window_ms", "hop_ms", "n_mels", "floor"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name}={getattr(self, name)}: must be above 0 and finite")
        shortest_ms = timebase.samples_to_ms(1, self.rate_hz)
        for name in ("window_ms", "hop_ms"):
            if getattr(self, name) < shortest_ms:
                raise ValueError(f"{name}={getattr(self, name)}: must be at least one sample, {shortest_ms:.4g} ms")
        if self.n_fft is not None and self.n_fft < self.window_samples:
            raise ValueError(f"n_fft={self.n_fft}: must hold the window, at least {self.window_samples} samples")
        if not 0 <= self.fmin_hz < self.top_hz <= self.rate_hz / 2:
            raise ValueError(
                f"fmin_hz={self.fmin_hz}, fmax_hz={self.fmax_hz}: need 0 <= fmin_hz < fmax_hz <= {self.rate_hz / 2:g}, "
                "half the sampling rate"
            )
        if self.log not in LOGS:
            raise ValueError(f"log={self.log!r}: choose one of {', '.join(LOGS)}")

    @property
    def window_samples(self) -> int:
        """Length of the window, in samples."""
        return timebase.ms_to_samples(self.window_ms, self.rate_hz)

    @property
    def hop_samples(self) -> int:
        """Distance between the starts of two frames, in samples."""
        return timebase.ms_to_samples(self.hop_ms, self.rate_hz)

    @property
    def top_hz(self) -> float:
        """Upper edge of the highest mel band."""
        return self.rate_hz / 2 if self.fmax_hz is None else self.fmax_hz

    @property
    def fft_samples(self) -> int:
        """Length of the Fourier transform, in samples: `n_fft`, or the one chosen if that is None."""
        return _chosen_fft_samples(self) if self.n_fft is None else self.n_fft

    @property
    def mel_centres_hz(self) -> np.ndarray:
        """Frequency at the peak of each mel band, shape `(n_mels,)`."""
        return librosa.mel_frequencies(self.n_mels + 2, fmin=self.fmin_hz, fmax=self.top_hz)[1:-1]

    def frame_count(self, n_samples: int) -> int:
        """Frames of a clip of `n_samples`."""
        return timebase.frame_count(n_samples, self.fft_samples, self.hop_samples)

    def frame_centres_s(self, n_frames: int) -> np.ndarray:
        """Time of the middle of each frame in seconds, shape `(n_frames,)`."""
        return timebase.frame_centres_s(n_frames, self.fft_samples, self.hop_samples, self.rate_hz)


@lru_cache
def _chosen_fft_samples(spec: FeatureSpec) -> int:
    """Smallest power of two that holds the window and spaces its bins no wider than the narrowest mel band."""
    edges_hz = librosa.mel_frequencies(spec.n_mels + 2, fmin=spec.fmin_hz, fmax=spec.top_hz)
    narrowest_hz = np.min(edges_hz[2:] - edges_hz[:-2])
    enough = max(spec.window_samples, math.ceil(spec.rate_hz / narrowest_hz))
    return 1 << (enough - 1).bit_length()


@lru_cache
def padded_window(spec: FeatureSpec) -> np.ndarray:
    """The window in the middle of `fft_samples` zeros, shape `(fft_samples,)`, float64, read-only.

    Raises
    ------
    ValueError
        `spec.window` is not a window that SciPy makes from its name without parameters.
    """
    from scipy.signal import get_window

    try:
        shape = get_window(spec.window, spec.window_samples, fftbins=True)
    except ValueError as error:
        raise ValueError(f"window={spec.window!r}: give a name that SciPy knows, such as 'hann' ({error})") from None
    before = (spec.fft_samples - spec.window_samples) // 2
    padded = np.pad(shape, (before, spec.fft_samples - spec.window_samples - before))
    padded.setflags(write=False)
    return padded


@lru_cache
def mel_bank(spec: FeatureSpec) -> np.ndarray:
    """Weights that sum Fourier bins into mel bands, shape `(bins, mels)`, float64, read-only.

    Triangles of equal area, wider as they rise. Source: Slaney, "Auditory Toolbox", Interval Research report 1998-010.

    Raises
    ------
    ValueError
        A band is so narrow that no bin falls into it; it would always be silent.
    """
    band = {"n_mels": spec.n_mels, "fmin": spec.fmin_hz, "fmax": spec.top_hz}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa only warns of empty bands; the error below says more
        bank = librosa.filters.mel(sr=spec.rate_hz, n_fft=spec.fft_samples, **band, dtype=np.float64).T
    empty = int(np.sum(bank.max(axis=0) == 0))
    if empty:
        enough = _chosen_fft_samples(spec)
        raise ValueError(
            f"n_mels={spec.n_mels}: {empty} mel bands hold no bin of n_fft={spec.fft_samples}; "
            f"use n_fft={enough} (zero padding) or fewer bands"
        )
    bank.setflags(write=False)
    return bank


def power_spectrogram(x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Squared magnitude of every bin of every frame, shape `(frames, bins)` or `(clips, frames, bins)`, float64.

    `x` is `(samples,)` or `(clips, samples)`. Everything is held in memory at once: this is a reference to read, not a
    fast version.

    Raises
    ------
    UsageError
        `spec` is not a `FeatureSpec`.
    ValueError
        `x` has another shape, no samples, or integers instead of floats within ±1.
    """
    x = np.asarray(x)
    expect("spec", spec, FeatureSpec, SPEC_MEANS)
    _check(tuple(x.shape), floating=np.issubdtype(x.dtype, np.floating))
    padding = timebase.centre_padding(spec.fft_samples)
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(padding, padding)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, spec.fft_samples, axis=-1)[..., :: spec.hop_samples, :]
    return np.abs(np.fft.rfft(frames * padded_window(spec))) ** 2


def mel_power(x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Power in each mel band, `(frames, mels)` or `(clips, frames, mels)`, float64. Errors as `power_spectrogram`."""
    return power_spectrogram(x, spec) @ mel_bank(spec)


def log_mel(x: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    """Log-mel of `(samples,)` or `(clips, samples)`, shape `(frames, mels)` or `(clips, frames, mels)`, float32.

    The reference that `log_mel_torch` is tested against. Errors as `power_spectrogram`. Notebook: 02.
    """
    power = mel_power(x, spec)
    if spec.log != "none":
        power = np.log(np.maximum(power, spec.floor)) * NATS[spec.log]
    return power.astype(np.float32)


def floor_level(spec: FeatureSpec) -> float:
    """The level of silence in a log-mel of `spec`, in its unit: -100 dB with the defaults.

    With `log="none"`, where silence is 0, it is `spec.floor`, which has no effect there.
    """
    return spec.floor if spec.log == "none" else math.log(spec.floor) * NATS[spec.log]


def _check(shape: tuple[int, ...], *, floating: bool) -> None:
    """Raise a ValueError unless an array of this shape and kind holds waveforms."""
    if len(shape) not in (1, 2) or 0 in shape:
        raise ValueError(f"waveforms have shape (samples,) or (clips, samples), no axis of size 0; got {shape}")
    if not floating:
        raise ValueError("waveforms are floats within ±1; divide integers by full scale first")


def log_mel_torch(waves: "torch.Tensor", spec: FeatureSpec) -> "torch.Tensor":
    """Log-mel of a batch on its own device, shape `(frames, mels)` or `(clips, frames, mels)`, float32.

    Equal to `log_mel`, several times faster and with bounded memory. Differentiable with respect to `waves`; autograd
    then keeps every frame, so memory does grow with the batch. Always float32: in the half precision of autocast
    the power of quiet bands would be lost. Errors as `power_spectrogram`. Notebook: 02.
    """
    import torch

    expect("spec", spec, FeatureSpec, SPEC_MEANS)
    expect("waves", waves, torch.Tensor, "a batch of waveforms; log_mel takes NumPy arrays")
    _check(tuple(waves.shape), floating=waves.is_floating_point())
    x = waves.float().reshape(-1, waves.shape[-1])
    n_frames = spec.frame_count(x.shape[1])
    out = x.new_empty(len(x), n_frames, spec.n_mels)
    group, block = len(x), sys.maxsize
    if x.device.type == "cpu" and not (x.requires_grad and torch.is_grad_enabled()):
        group = max(1, GROUP_SAMPLES // max(x.shape[1], n_frames * spec.n_mels))
        block = max(1, BLOCK_SAMPLES // spec.fft_samples)
    with torch.autocast(x.device.type, enabled=False):
        for start in range(0, len(x), group):
            clips = x[start : start + group]
            blocks = _frames(clips, spec).split(block)
            rows = torch.cat([_log_mel_of_frames(frames, spec) for frames in blocks])
            out[start : start + group] = rows.view(len(clips), -1, spec.n_mels)[:, :n_frames]
    return out.reshape(*waves.shape[:-1], n_frames, spec.n_mels)


def _frames(x: "torch.Tensor", spec: FeatureSpec) -> "torch.Tensor":
    """Frames of all clips as one view `(clips * rows, fft_samples)`, without copies.

    The clips are laid end to end, each padded to a whole number of hops. A few rows at the end of each clip then
    reach into the next one; the caller drops them.
    """
    from torch.nn.functional import pad

    n_samples, hop, n_fft = x.shape[1], spec.hop_samples, spec.fft_samples
    before = timebase.centre_padding(n_fft)
    needed = (spec.frame_count(n_samples) - 1) * hop + n_fft
    whole_hops = -(-needed // hop) * hop
    end_to_end = pad(x, (before, whole_hops - before - n_samples)).flatten()
    return pad(end_to_end, (0, n_fft - hop)).unfold(0, n_fft, hop)


def _log_mel_of_frames(frames: "torch.Tensor", spec: FeatureSpec) -> "torch.Tensor":
    """Log-mel of frames `(rows, fft_samples)`, shape `(rows, mels)`."""
    import torch

    shape, banks = _constants(spec, frames.device)
    spectrum = torch.fft.rfft(frames * shape)
    # Real and imaginary parts stay side by side, and a bank with each row twice adds their squares: torch is slow at
    # selecting one of the two, or at adding them.
    squares = torch.view_as_real(spectrum).flatten(-2).square_()
    mels = torch.cat([squares[:, bins] @ bank for bins, bank in banks], dim=-1)
    return mels if spec.log == "none" else mels.clamp(min=spec.floor).log() * NATS[spec.log]


@lru_cache
def _constants(spec: FeatureSpec, device: "torch.device") -> tuple["torch.Tensor", list[tuple[slice, "torch.Tensor"]]]:
    """Window, and the mel bank in four parts of neighbouring bands, each with the slice of squares that it needs.

    A band touches few bins, so four narrow products skip most of the zeros of the whole bank and take half the time.
    """
    import torch

    parts = []
    with torch.inference_mode(False):  # else a first call in inference mode would cache tensors unusable in training
        for part in np.array_split(np.repeat(mel_bank(spec), 2, axis=0), min(4, spec.n_mels), axis=1):
            used = np.flatnonzero(part.any(axis=1))
            bins = slice(int(used[0]), int(used[-1]) + 1)
            parts.append((bins, torch.tensor(part[bins], dtype=torch.float32, device=device)))
        return torch.tensor(padded_window(spec), dtype=torch.float32, device=device), parts
