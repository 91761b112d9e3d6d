"""Sound at one sampling rate and frames at one frame rate from videos, both on the clock of the file.

Time 0 is where the file begins. Sound and frames are placed by their presentation time stamps, never by counting, so
that a late start, a gap or a variable frame rate shifts nothing. One pass forwards, one frame in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np

from course_lib.audio import io as audio_io
from course_lib.audio import timebase
from course_lib.errors import CourseError

ENDINGS = (".mp4", ".mkv", ".webm", ".mov", ".avi", ".m4v")
HEADED = ("mp4", "matroska", "avi")  # containers whose header gives their duration; for others it is a guess
LACKING_S = 0.5  # a file that ends more than this before its announced end is truncated
GAP_S = 0.05  # some containers round time stamps to a millisecond: less than this is not a gap in the sound
EDGE_S = 0.1  # extra sound after the wanted length, for the resampler


def read_sound(path: str | Path, rate_hz: int, length_s: float, *, cancelled: list[str] | None = None) -> np.ndarray:
    """The first `length_s` seconds of sound of a video: `(samples,)`, float32 within ±1, mono, at `rate_hz`.

    Channels are averaged. Where the sound begins late, has a gap or ends early, there is silence. `cancelled` as in
    `audio.io.read`.

    Raises
    ------
    CourseError
        The file is missing, not a video, truncated or damaged, or its sound is missing or far outside ±1.
    """
    path = Path(path)
    n_samples = timebase.seconds_to_samples(length_s, rate_hz)
    with _opened(path, "audio") as (file, stream):
        stored_hz = stream.rate
        x = np.zeros(timebase.seconds_to_samples(length_s + EDGE_S, stored_hz), np.float32)
        gap = timebase.seconds_to_samples(GAP_S, stored_hz)
        as_floats = av.AudioResampler(format="fltp", rate=stored_hz)  # the rate stays, so that nothing is delayed
        end, power = 0, 0.0
        for frame, start_s in _frames(file, stream, path):
            at = int(np.sign(start_s)) * int(timebase.nearest_frame(abs(start_s), 1, 1, stored_hz))
            at = end if end and abs(at - end) < gap else at
            for part in as_floats.resample(frame):
                channels = part.to_ndarray()[:, max(-at, 0) : max(len(x) - at, 0)]  # what lies within x
                piece = channels.mean(axis=0)
                power += np.square(channels).sum() / len(channels)
                x[max(at, 0) :][: len(piece)] = piece
                at += part.samples
            end = at
            if end >= len(x):
                break
    if end <= 0:
        raise CourseError(f"{path}: its sound has no samples; get it again")
    if not np.abs(x).max() <= audio_io.OVERSHOOT:
        raise CourseError(f"{path}: its sound contains NaN or values far outside ±1; save it again within full scale")
    audio_io.note_cancelled(path, np.square(x).sum(), power, cancelled)
    return np.clip(audio_io.fix_length(audio_io.resample(x, stored_hz, rate_hz), n_samples), -1, 1)


def read_frames(path: str | Path, frame_rate_hz: float, size_px: int, length_s: float) -> np.ndarray:
    """Frames `(frames, size_px, size_px, 3)`, RGB, uint8.

    Frame `k` is what a viewer sees at `(k + 0.5) / frame_rate_hz` seconds: the last stored frame whose time stamp is
    not later. Each is turned upright, cropped to its central square and resized by area. Before the first time stamp
    the first frame is shown, as players do; after the end of the last, frames are black.

    Raises
    ------
    CourseError
        The file is missing, not a video, truncated or damaged, or has no video frames.
    ValueError
        `length_s` is shorter than a frame.
    """
    path = Path(path)
    wanted_s = timebase.video_frame_times_s(length_s, frame_rate_hz)
    frames = np.zeros((len(wanted_s), size_px, size_px, 3), np.uint8)
    shown, end_s, filled = None, 0.0, 0
    with _opened(path, "video") as (file, stream):
        aspect = float(stream.sample_aspect_ratio or 1)
        for frame, start_s in _frames(file, stream, path):
            filled = _show(frames, filled, shown, int(np.searchsorted(wanted_s, start_s)), aspect)
            shown, end_s = frame, start_s + _lasts_s(frame, stream)
            if filled == len(frames):
                break
        if shown is None:
            raise CourseError(f"{path}: has no whole video frame; get it again")
        _show(frames, filled, shown, int(np.searchsorted(wanted_s, end_s)), aspect)
    return frames


def _show(frames: np.ndarray, first: int, frame: av.VideoFrame | None, until: int, aspect: float) -> int:
    """The index of the first frame still black, after `frame` is written to `frames[first:until]`."""
    if frame is None or until <= first:
        return first
    frames[first:until] = _square(frame, frames.shape[1], aspect)
    return until


def _square(frame: av.VideoFrame, size_px: int, aspect: float) -> np.ndarray:
    """The middle of a frame, upright, `(size_px, size_px, 3)`, RGB; `aspect` is a pixel's width over its height."""
    width = frame.width * aspect
    scale = size_px / min(width, frame.height)
    width, height = max(round(width * scale), size_px), max(round(frame.height * scale), size_px)
    left, top = (width - size_px) // 2, (height - size_px) // 2
    image = frame.reformat(width, height, "rgb24", interpolation="AREA").to_ndarray()
    image = image[top : top + size_px, left : left + size_px]
    return np.rot90(image, round(frame.rotation / 90))  # phones store how they were held, as degrees anticlockwise


def _lasts_s(frame: av.VideoFrame, stream: av.VideoStream) -> float:
    """Seconds for which a frame is shown: from the file, else the period of the average rate."""
    if frame.duration:
        return float(frame.duration * frame.time_base)
    return float(1 / stream.average_rate) if stream.average_rate else 0.0


@contextmanager
def _opened(path: Path, kind: str) -> Iterator[tuple[av.container.InputContainer, av.stream.Stream]]:
    """The file and its first stream of kind `audio` or `video`; errors inside become one line with the file's name."""
    audio_io.check_there(path, "a video")
    try:
        # Absolute, because a name like `a:b.mp4` reads as a protocol; tags in old encodings must not stop it
        file = av.open(str(path.absolute()), metadata_errors="replace")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise CourseError(
            f"{path}: is not a video, or is truncated ({audio_io.reason_of(error)}); get it again"
        ) from error
    with file:
        if file.format.name.endswith("_pipe") or file.format.name in ("image2", "tty"):
            raise CourseError(
                f"{path}: is {file.format.long_name or 'not a video'}, expected a video such as MP4 or MKV"
            )
        streams = [s for s in getattr(file.streams, kind) if not _is_cover(s)]
        if not streams:
            lacks = (
                "sound; give a copy with sound" if kind == "audio" else "video frames; choose features of sound only"
            )
            raise CourseError(f"{path}: has no {lacks}, or leave it out of the list")
        try:
            yield file, streams[0]
        except (av.FFmpegError, MemoryError, ValueError) as error:
            raise CourseError(
                f"{path}: damaged or truncated video ({audio_io.reason_of(error)}); get it again"
            ) from error


def _frames(file, stream, path: Path) -> Iterator[tuple[av.VideoFrame | av.AudioFrame, float]]:
    """Every decoded frame of a stream in presentation order, and the time in seconds at which it begins.

    At the end, the duration in the header is compared with what was read, because FFmpeg reads truncated files
    silently.
    """
    zero_s = max(file.start_time or 0, 0) / av.time_base  # before 0 lies only what a sound decoder needs to start up
    reached_s, next_s = 0.0, 0.0
    for packet in file.demux():
        if packet.pts is not None:
            reached_s = max(reached_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        for frame in packet.decode() if packet.stream is stream else ():
            # Some files leave out a time stamp: the frame then follows the one before it
            start_s = next_s if frame.pts is None else float(frame.pts * frame.time_base) - zero_s
            yield frame, start_s
            sounds = isinstance(frame, av.AudioFrame)
            next_s = start_s + (frame.samples / frame.sample_rate if sounds else _lasts_s(frame, stream))
    announced_s = (file.duration or 0) / av.time_base  # Matroska: the last time stamp; others: from the first one
    if any(name in file.format.name for name in HEADED) and reached_s < announced_s - LACKING_S:
        raise CourseError(f"{path}: truncated, {reached_s:.2f} of {announced_s:.2f} s are there; get it again")


def _is_cover(stream: av.stream.Stream) -> bool:
    """Whether a video stream is cover art."""
    return bool(stream.disposition & av.stream.Disposition.attached_pic)
