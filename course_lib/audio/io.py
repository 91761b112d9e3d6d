"""Sound files in, float32 mono waveforms of one rate and one length out."""

import logging
import math
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import soundfile as sf
import soxr
from tqdm import tqdm

from course_lib.audio import file_length, timebase
from course_lib.errors import CourseError, UsageError

log = logging.getLogger(__name__)
# Part of the key of every cached array of decoded or resampled sound, and of features of video frames: raise it if
# `read`, `resample` or `audio.video` change numbers
DECODING_VERSION = 1
# A lossy decoder or a resampler exceeds full scale by a few tenths, integers saved as floats exceed it by thousands
OVERSHOOT = 2.0
# Channels that cancel leave less than this share of their power in the average; uncorrelated channels leave half
CANCELLED = 0.01


def read(
    path: str | Path,
    rate_hz: int | None = None,
    length_s: float | None = None,
    start_s: float | None = None,
    *,
    cancelled: list[str] | None = None,
) -> tuple[np.ndarray, int]:
    """Waveform `(samples,)`, float32 within ±1, mono, and its rate in Hz.

    Channels are averaged. `rate_hz` resamples, `length_s` then cuts or pads at the end; None leaves either as stored.
    With `start_s`, which needs `length_s`, only that part of the file is decoded. If the channels cancel each other in
    the average, the path is added to `cancelled`, or logged as a warning.

    Raises
    ------
    CourseError
        The file is missing, a folder, empty, truncated, several recordings joined, not audio, without samples, or
        contains NaN, infinity or values far outside ±1.
    UsageError
        `start_s` without `length_s`, below 0, or not before the end of the sound.
    """
    path = Path(path)
    if start_s is not None and length_s is None:
        raise UsageError(f"{path}: start_s={start_s}: needs length_s, the seconds to read from there")
    if start_s is not None and start_s < 0:
        raise UsageError(f"{path}: start_s={start_s}: expected 0 or more")
    file, n_samples = _open(path)
    with file:
        stored_hz = file.samplerate
        start = None
        n_read, expected = file.frames, n_samples  # with some formats the only way to read everything
        if start_s is not None:
            start = timebase.seconds_to_samples(start_s, stored_hz)
            if start >= n_samples:
                lasts_s = n_samples / stored_hz
                raise UsageError(f"{path}: start_s={start_s}: the sound lasts {lasts_s:g} s; choose an earlier start")
            n_read = expected = min(n_samples - start, timebase.seconds_to_samples(length_s, stored_hz))
        channels = _decode(path, file, n_read, start)
    x = channels.mean(axis=1)
    if len(x) < expected:
        raise CourseError(f"{path}: truncated, {len(x)} of {expected} samples are there; get it again")
    _check_values(path, x)
    note_cancelled(path, np.square(x).sum(), np.square(channels).sum() / channels.shape[1], cancelled)
    rate_hz = stored_hz if rate_hz is None else rate_hz
    x = resample(x, stored_hz, rate_hz)
    if length_s is not None:
        x = fix_length(x, timebase.seconds_to_samples(length_s, rate_hz))
    return np.clip(x, -1, 1), rate_hz


def read_blocks(path: str | Path, rate_hz: int | None = None, block_s: float = 10.0) -> Iterator[np.ndarray]:
    """The waveform that `read` returns, in consecutive blocks `(samples,)` of about `block_s` seconds.

    Memory does not grow with the length of the file. The resampler keeps its state between blocks, so no seam is heard
    or seen: the blocks joined are the whole, resampled at once.

    Raises
    ------
    CourseError
        As `read`; of samples that are NaN, infinite or far outside ±1 only when their block is reached, with the time.
    """
    path = Path(path)
    file, n_samples = _open(path)
    with file:
        stored_hz = file.samplerate
        rate_hz = stored_hz if rate_hz is None else rate_hz
        missing = timebase.resampled_count(n_samples, stored_hz, rate_hz)  # of the waveform that is still to come
        resampler = soxr.ResampleStream(stored_hz, rate_hz, 1, quality="HQ") if stored_hz != rate_hz else None
        block_samples = timebase.seconds_to_samples(block_s, stored_hz)
        done, power, power_of_channels = 0, 0.0, 0.0
        while done < n_samples:
            wanted = min(block_samples, n_samples - done)
            channels = _decode(path, file, wanted)
            if len(channels) < wanted:
                found = done + len(channels)
                raise CourseError(f"{path}: truncated, {found} of {n_samples} samples are there; get it again")
            x = channels.mean(axis=1)
            _check_values(path, x, done, stored_hz)
            power += float(np.square(x).sum())
            power_of_channels += float(np.square(channels).sum()) / channels.shape[1]
            done += len(x)
            if resampler is not None:
                x = resampler.resample_chunk(x, last=done == n_samples)
            x = x[:missing] if done < n_samples else fix_length(x, missing)  # the resampler rounds in its own way
            missing -= len(x)
            if len(x):
                yield np.clip(x, -1, 1)
    note_cancelled(path, power, power_of_channels, None)


def _decode(path: Path, file: sf.SoundFile, n_samples: int, start: int | None = None) -> np.ndarray:
    """Up to `n_samples` of a file, `(samples, channels)`, float32, from sample `start`, or from where it is read to."""
    try:
        if start is not None:
            file.seek(start)
        return file.read(n_samples, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, MemoryError, ValueError) as error:
        raise CourseError(f"{path}: damaged audio ({reason_of(error)}); get a new copy or save it again") from error


def _check_values(path: Path, x: np.ndarray, start: int = 0, rate_hz: int | None = None) -> None:
    """Raise CourseError for values in `x` that no waveform has; with `rate_hz` it says when the first of them comes.

    `x` is the part of the file from sample `start` on.
    """
    peak = np.abs(x).max()
    if peak <= OVERSHOOT:
        return
    first = int(np.argmax(~(np.abs(x) <= OVERSHOOT)))
    place = "" if rate_hz is None else f" at {(start + first) / rate_hz:.3f} s"
    if not np.isfinite(peak):
        raise CourseError(f"{path}: contains NaN or infinite samples{place}; save it again with finite values")
    raise CourseError(
        f"{path}: samples reach {peak:.6g}{place}, expected within ±1; divide them by full scale and save it again"
    )


def note_cancelled(path: Path, power: float, power_of_channels: float, cancelled: list[str] | None) -> None:
    """Add `path` to `cancelled`, or log it, if the average of its channels has almost none of their mean power."""
    if power < CANCELLED * power_of_channels:
        if cancelled is None:
            warn_cancelled([str(path)], 1)
        else:
            cancelled.append(str(path))


def warn_cancelled(paths: Sequence[str], n_files: int) -> None:
    """One warning that of `n_files` files those in `paths` have channels that cancel; none if `paths` is empty."""
    if paths:
        log.warning(
            "%s: the channels cancel each other when averaged, and almost nothing is left (%d of %d files); save one "
            "channel of each as mono",
            min(paths),
            len(paths),
            n_files,
        )


def resample(x: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """`x` `(samples,)` at `to_hz`, float32, by soxr's HQ filter; the same array if the rates are equal.

    The filter has linear phase, so events keep their times to a fraction of a sample.
    """
    return x if from_hz == to_hz else soxr.resample(x, from_hz, to_hz, quality="HQ")


def fix_length(x: np.ndarray, n_samples: int) -> np.ndarray:
    """`x` `(samples,)` cut at its end, or padded there with zeros, to `n_samples`."""
    return x[:n_samples] if len(x) >= n_samples else np.pad(x, (0, n_samples - len(x)))


def probe(path: str | Path) -> tuple[int, int]:
    """`(rate in Hz, samples)` of a file, from its header. Raises CourseError like `read`, but decodes no samples."""
    file, n_samples = _open(Path(path))
    with file:
        return file.samplerate, n_samples


def read_many(
    paths: Sequence[str | Path], rate_hz: int, length_s: float, starts_s: Sequence[float] | None = None
) -> np.ndarray:
    """Waveforms of all `paths`, `(clips, samples)`, float32 within ±1; one array, filled by one thread per core.

    `starts_s` are the times at which the clips begin in their files; NaN, or None for all, is the start.

    Raises
    ------
    CourseError
        As `read` for the first bad file, or the array would not fit into memory.
    """
    shape = (len(paths), timebase.seconds_to_samples(length_s, rate_hz))
    out = room_for(shape, np.float32, "choose a smaller profile, rate or length")

    cancelled: list[str] = []

    def fill(row: int) -> None:
        piece = starts_s is not None and not math.isnan(starts_s[row])
        start_s = starts_s[row] if piece else None
        out[row] = read(paths[row], rate_hz, length_s, start_s, cancelled=cancelled)[0]

    threaded(fill, range(len(paths)), "decoding", "clip")
    warn_cancelled(cancelled, len(paths))
    return out


def room_for(shape: tuple[int, ...], dtype: type, remedy: str) -> np.ndarray:
    """Zeros of that shape, one row per clip; a CourseError, ending in `remedy`, if they would not fit into memory."""
    needed = math.prod(shape) * np.dtype(dtype).itemsize
    free = psutil.virtual_memory().available
    if needed > free:
        found = f"need {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free"
        raise CourseError(f"{shape[0]} clips {found}; {remedy}")
    return np.zeros(shape, dtype)


def threaded(work, items: Sequence, title: str, unit: str) -> list:
    """`[work(item) for item in items]` on one thread per core, with a bar that shows the time left.

    The first error ends it; items not yet started are skipped.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            # The bar appears after a second, so that quick jobs show none, and never in logs and executed notebooks
            return list(tqdm(pool.map(work, items), title, len(items), delay=1, disable=None, unit=unit))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _open(path: Path) -> tuple[sf.SoundFile, int]:
    """The sound file and its number of samples, at least one, as checked by `file_length`."""
    try:
        check_there(path, "a sound file")
        file_length.check_ogg(path)
        file = sf.SoundFile(path)
    except (sf.LibsndfileError, OSError) as error:
        raise CourseError(
            f"{path}: cannot be read as audio ({reason_of(error)}); expected WAV, FLAC, OGG or MP3"
        ) from error
    except TypeError as error:  # soundfile's answer to the ending .raw
        raise CourseError(f"{path}: {file_length.NO_HEADER}") from error
    try:
        return file, file_length.samples(path, file)
    except BaseException:
        file.close()
        raise


def check_there(path: Path, expected: str) -> None:
    """Raise CourseError if there is no file `path`, or an empty one; `expected` says in words what it should be."""
    if not path.is_file():
        raise CourseError(f"{path}: is a folder, expected {expected}" if path.is_dir() else f"{path}: no such file")
    if path.stat().st_size == 0:
        raise CourseError(f"{path}: the file is empty (0 bytes); get it again")


def reason_of(error: Exception) -> str:
    """What went wrong, without the file name that messages of libsndfile and FFmpeg repeat."""
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error).strip().rstrip(".")
