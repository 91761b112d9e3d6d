"""Sound files in, float32 mono waveforms of one rate and one length out."""

import math
import os
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import soundfile as sf
import soxr
from tqdm import tqdm

from course_lib.audio import timebase
from course_lib.errors import CourseError

# Part of the key of every cached array of decoded or resampled sound: raise it when `read` or `resample` change numbers
DECODING_VERSION = 1
# A lossy decoder or a resampler overshoots full scale by some tenths; a file of integers saved as floats by thousands
OVERSHOOT = 2.0
# libsndfile plays what is left of a WAV, AIFF or AU file without an error, but notes in its log what the header says
ANNOUNCED = re.compile(r"^ *(?:data|SSND|Data Size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
UNKNOWN_LENGTH = 0xFFFFFFFF  # what a writer leaves in the header when it cannot go back to fill it in
UNKNOWN_FRAMES = 2**40  # libsndfile's answer for a FLAC stream of unknown length is far above, any real file below
OGG_LAST_PAGE = 4  # flag of the page that ends a stream, RFC 3533, section 6
OGG_PAGE_BYTES = 65_307  # largest page, RFC 3533, section 6


def read(
    path: str | Path, rate_hz: int | None = None, length_s: float | None = None, start_s: float | None = None
) -> tuple[np.ndarray, int]:
    """Waveform `(samples,)`, float32 within ±1, mono, and its rate in Hz.

    Channels are averaged. `rate_hz` resamples, `length_s` then cuts or pads at the end; None leaves either as stored.
    With `start_s` only the `length_s` seconds from there are decoded.

    Raises
    ------
    CourseError
        The file is missing, a folder, empty, truncated, no audio, without samples, or holds NaN, infinity or values far
        outside ±1.
    """
    path = Path(path)
    with _open(path) as file:
        expected, stored_hz = file.frames, file.samplerate
        if start_s is not None:
            start = min(timebase.seconds_to_samples(start_s, stored_hz), file.frames)
            expected = min(file.frames - start, timebase.seconds_to_samples(length_s, stored_hz))
        try:
            if start_s is not None:
                file.seek(start)
            x = file.read(expected, dtype="float32", always_2d=True).mean(axis=1)
        except (sf.LibsndfileError, MemoryError, ValueError) as error:
            raise CourseError(f"{path}: damaged audio ({_reason(error)}); get it again or save it anew") from error
    if len(x) < expected:
        raise CourseError(f"{path}: truncated, {len(x)} of {expected} samples are there; get it again")
    peak = np.abs(x).max()
    if not np.isfinite(peak):
        raise CourseError(f"{path}: holds NaN or infinite samples; save it anew with finite values")
    if peak > OVERSHOOT:
        raise CourseError(
            f"{path}: samples reach {peak:.6g}, expected within ±1; divide them by full scale and save it anew"
        )
    rate_hz = stored_hz if rate_hz is None else rate_hz
    x = resample(x, stored_hz, rate_hz)
    if length_s is not None:
        x = fix_length(x, timebase.seconds_to_samples(length_s, rate_hz))
    return np.clip(x, -1, 1), rate_hz


def resample(x: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    """`x` `(samples,)` at `to_hz`, float32, by soxr's HQ filter; the same array where the rates agree.

    Linear phase: an event keeps its place to a fraction of a sample, which a course on time cannot do without.
    """
    return x if from_hz == to_hz else soxr.resample(x, from_hz, to_hz, quality="HQ")


def fix_length(x: np.ndarray, n_samples: int) -> np.ndarray:
    """`x` `(samples,)` cut at its end, or padded there with zeros, to `n_samples`."""
    return x[:n_samples] if len(x) >= n_samples else np.pad(x, (0, n_samples - len(x)))


def probe(path: str | Path) -> tuple[int, int]:
    """`(rate in Hz, samples)` of a file, from its header. Raises CourseError like `read`, but sees no sample."""
    with _open(Path(path)) as file:
        return file.samplerate, file.frames


def read_many(
    paths: Sequence[str | Path], rate_hz: int, length_s: float, starts_s: Sequence[float] | None = None
) -> np.ndarray:
    """Waveforms of all `paths`, `(clips, samples)`, float32 within ±1; one array, filled by one thread per core.

    `starts_s` says where in its file each begins; a NaN there, or None for all, reads the file from its start.

    Raises
    ------
    CourseError
        What `read` says of the first bad file, or the array would not fit into memory.
    """
    shape = (len(paths), timebase.seconds_to_samples(length_s, rate_hz))
    out = room_for(shape, np.float32, "choose a smaller profile, rate or length")

    def fill(row: int) -> None:
        piece = starts_s is not None and not math.isnan(starts_s[row])
        out[row] = read(paths[row], rate_hz, length_s, starts_s[row] if piece else None)[0]

    threaded(fill, range(len(paths)), "decoding", "clip")
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

    The first error ends it: what has not begun is not begun.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            # The bar waits a second, so that quick jobs leave no trace, and stays away from logs and executed notebooks
            return list(tqdm(pool.map(work, items), title, len(items), delay=1, disable=None, unit=unit))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _open(path: Path) -> sf.SoundFile:
    """The sound file, known to hold at least one sample and to be as long as its header says."""
    if not path.is_file():
        raise CourseError(f"{path}: is a folder, expected a sound file" if path.is_dir() else f"{path}: no such file")
    try:
        if path.stat().st_size == 0:
            raise CourseError(f"{path}: the file is empty (0 bytes); get it again")
        _refuse_truncated_ogg(path)
        file = sf.SoundFile(path)
    except (sf.LibsndfileError, OSError) as error:
        raise CourseError(f"{path}: cannot be read as audio ({_reason(error)}); expected WAV, FLAC or OGG") from error
    announced = ANNOUNCED.search(file.extra_info)
    if announced:
        expected, found = (int(number) for number in announced.groups())
        if found < expected != UNKNOWN_LENGTH:
            raise CourseError(f"{path}: truncated, {found} of {expected} bytes of sound are there; get it again")
    if not 0 < file.frames < UNKNOWN_FRAMES:
        file.close()
        found = "does not tell its length" if file.frames else "holds no samples"
        raise CourseError(f"{path}: {found}; save it anew from an audio editor")
    return file


def _reason(error: Exception) -> str:
    """What went wrong, without the file name that libsndfile's message repeats."""
    return str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error).strip().rstrip(".")


def _refuse_truncated_ogg(path: Path) -> None:
    """Raise CourseError if `path` is an OGG file whose last page is not whole, or not marked as the last.

    libsndfile's log cannot be asked here: it notes the same line for half a page as for a tag after the last page.
    """
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return
        file.seek(max(0, path.stat().st_size - 2 * OGG_PAGE_BYTES))
        tail = file.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    segments = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) >= 27 and len(page) >= 27 + page[26] + sum(segments)
    if not (whole and page[5] & OGG_LAST_PAGE):
        raise CourseError(f"{path}: truncated, its last page is missing; get it again")
