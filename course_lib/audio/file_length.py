"""The number of samples in a sound file, checked: a truncated or joined file is never read as a shorter one.

libsndfile reads what is left of a truncated file, and only the first of several recordings joined end to end, without
an error. What it found is in its log for most containers; for the others we inspect the file itself.
"""

import itertools
import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import soundfile as sf

from course_lib.errors import CourseError

NO_HEADER = "has no header with its rate and format; save it as WAV or FLAC"
# Containers whose length can be checked. For others that libsndfile reads, header and log do not show what is missing.
CHECKED = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST", "FLAC", "OGG", "MP3")
# `data : 32000 (should be 15978)`: what the header announces, and how many bytes libsndfile found
ANNOUNCED = re.compile(r"^ *(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)\)", re.MULTILINE)
UNKNOWN_BYTES = 0x7F000000  # programs that write to a pipe announce this or more, though the file is complete
UNKNOWN_FRAMES = 2**40  # libsndfile's answer for a FLAC stream of unknown length is far above, any real file below
BEGINNING = {  # bytes that begin a file of this kind and should occur nowhere else in it
    "FLAC": re.compile(rb"fLaC[\x00\x80]\0\0\x22"),
    "AU": re.compile(rb"\.snd\0\0|dns\..\0\0\0", re.DOTALL),
    "NIST": re.compile(rb"NIST_1A"),
    "CAF": re.compile(rb"caff\0\x01\0\0"),
    "RF64": re.compile(rb"RF64.{4}WAVEds64", re.DOTALL),
    "W64": re.compile(rb"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb"),
}
OGG_FIRST_PAGE, OGG_LAST_PAGE = 2, 4  # flags of the pages that begin and end a stream, RFC 3533, section 6
NIST_COUNT = re.compile(rb"sample_count -i (\d+)")
MP3_COUNT = re.compile(rb"\xff[\xe2-\xff].{2,36}(?:Xing|Info|VBRI)", re.DOTALL)  # a frame with the number of frames
MP3_SPARE = 4  # frames: an encoder's delay and padding are shorter


def samples(path: Path, file: sf.SoundFile) -> int:
    """Samples per channel of `file`, which was opened from `path`.

    Raises
    ------
    CourseError
        The file is truncated, holds no samples or several recordings, or its length cannot be determined.
    """
    if file.format == "RAW":  # libsndfile's guess for .gsm and .vox
        raise CourseError(f"{path}: {NO_HEADER}")
    if file.format not in CHECKED:
        known = ", ".join(name for name in CHECKED if name != "WAVEX")
        raise CourseError(f"{path}: is a {file.format} file, whose length cannot be checked; expected {known}")
    announced = ANNOUNCED.search(file.extra_info)
    if announced:
        expected, found = (int(number) for number in announced.groups())
        if found < expected < UNKNOWN_BYTES:
            raise CourseError(f"{path}: truncated, {found} of {expected} bytes of sound are there; get it again")
    if not 0 < file.frames < UNKNOWN_FRAMES:
        found = "does not state its length" if file.frames else "holds no samples, or its header was never completed"
        raise CourseError(f"{path}: {found}; save it again from an audio editor")
    if file.format == "MP3":
        return _mp3_samples(path, file.frames)
    if file.format == "NIST":
        _check_nist(path, file.frames)
    if file.format in BEGINNING:
        with _content(path) as content:
            n_beginnings = len(BEGINNING[file.format].findall(content))
        if n_beginnings > 1:
            _refuse_joined(path)
    return file.frames


@contextmanager
def _content(path: Path) -> Iterator[mmap.mmap]:
    """The bytes of a file, which is not empty, without reading them into memory: recordings can last for hours."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        yield content


def _refuse_joined(path: Path) -> None:
    raise CourseError(
        f"{path}: several recordings joined end to end, of which only the first would be read; save it again as one "
        "recording, or cut it into several files"
    )


def check_ogg(path: Path) -> None:
    """Raise CourseError if `path` is an OGG file whose last page is incomplete or unmarked, or holds two recordings.

    libsndfile's log does not help here: it has the same line for half a page as for a tag after the last page.
    """
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return
    place, flags = 0, []
    with _content(path) as whole:
        n_bytes = len(whole)
        while whole[place : place + 4] == b"OggS" and n_bytes > place + 26:  # RFC 3533, section 6: head, sizes, content
            n_sizes = whole[place + 26]
            flags.append(whole[place + 5])
            place += 27 + n_sizes + sum(whole[place + 27 : place + 27 + n_sizes])
    if place > n_bytes or not flags or not flags[-1] & OGG_LAST_PAGE:
        raise CourseError(f"{path}: truncated, its last page is missing; get it again")
    begins = [bool(flag & OGG_FIRST_PAGE) for flag in flags]
    if any(later > earlier for earlier, later in itertools.pairwise(begins)):
        _refuse_joined(path)  # parallel streams, such as sound and picture, all begin before any other page


def _check_nist(path: Path, found: int) -> None:
    """Raise CourseError if the header, which libsndfile ignores, announces more than the `found` samples."""
    count = NIST_COUNT.search(path.read_bytes()[:1024])
    if count and int(count[1]) > found:
        raise CourseError(f"{path}: truncated, {found} of {int(count[1])} samples are there; get it again")


def _mp3_samples(path: Path, announced: int) -> int:
    """Samples of an MP3 file: `announced` if its first frame holds a count, else the sum over its frames.

    Without a count libsndfile guesses from the size of the file and the first frame's bit rate: too many if there is a
    cover picture, too few if the bit rate varies.
    """
    import av  # only for MP3: FFmpeg lists the frames without decoding them

    try:
        with av.open(str(path.absolute()), format="mp3", metadata_errors="replace") as file:
            stream = file.streams.audio[0]
            places, lengths = [], []
            for packet in file.demux(stream):
                if packet.size and packet.duration:
                    places.append(packet.pos)
                    lengths.append(round(packet.duration * stream.time_base * stream.rate))
    except (av.FFmpegError, ValueError) as error:
        raise CourseError(f"{path}: damaged audio ({error}); get a new copy or save it again") from error
    if not lengths:
        raise CourseError(f"{path}: damaged audio (no whole frame); get a new copy or save it again")
    held = sum(lengths)
    with path.open("rb") as file:
        before_sound = file.read(places[0])
    if MP3_COUNT.search(before_sound):
        if held > announced + MP3_SPARE * max(lengths):
            _refuse_joined(path)
        if held < announced:
            raise CourseError(f"{path}: truncated, {held} of {announced} samples are there; get it again")
        return announced
    if held > announced:
        raise CourseError(
            f"{path}: does not state its length (a variable bit rate without a Xing header), only {announced} of "
            f"{held} samples would be read; save it again as WAV or FLAC"
        )
    return held
