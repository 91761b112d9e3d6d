"""Videos made here with known pictures and sounds at known times, read back on the clock of the file."""

import os
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile as sf

from course_lib.audio import io as audio_io
from course_lib.audio import video
from course_lib.errors import CourseError

RATE_HZ = 16_000
WIDTH, HEIGHT = 64, 48
COLOURS = np.array([[230, 20, 20], [20, 200, 20], [20, 20, 230], [220, 220, 20], [20, 200, 200]])
CODECS = {"mp4": ("libx264", "aac"), "mkv": ("mpeg4", "pcm_s16le")}


def solid(colour):
    return np.broadcast_to(np.asarray(colour, np.uint8), (HEIGHT, WIDTH, 3)).copy()


def make(path, starts_ms, pictures, last_ms=0, sound=None, sound_from_ms=0, sound_hz=RATE_HZ, aspect=1, options=None):
    """A video whose picture `k` is shown from `starts_ms[k]`; the last for `last_ms`; sound `(channels, samples)`."""
    codecs = CODECS[path.suffix[1:]]
    with av.open(str(path), "w", options=options) as file:
        file.metadata["title"] = "cafe"
        if len(starts_ms):
            stream = file.add_stream(codecs[0], rate=25, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            stream.bit_rate, stream.codec_context.sample_aspect_ratio = 2_000_000, aspect
        if sound is not None:
            layout = {1: "mono", 2: "stereo"}[len(sound)]
            voice = file.add_stream(codecs[1], rate=sound_hz, layout=layout)
        ends = [*starts_ms[1:], starts_ms[-1] + last_ms] if len(starts_ms) else []
        lasts = {start: end - start for start, end in zip(starts_ms, ends, strict=True)}
        for start, picture in zip(starts_ms, pictures, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24")
            frame.pts, frame.time_base = int(start), Fraction(1, 1000)
            put(file, stream.encode(frame), lasts)
        if len(starts_ms):
            put(file, stream.encode(None), lasts)
        if sound is not None:
            for at in range(0, sound.shape[1], 1024):
                piece = np.ascontiguousarray(sound[:, at : at + 1024].astype(np.float32))
                frame = av.AudioFrame.from_ndarray(piece, "fltp", layout)
                frame.sample_rate, frame.time_base = sound_hz, Fraction(1, sound_hz)
                frame.pts = at + sound_from_ms * sound_hz // 1000
                file.mux(voice.encode(frame))
            file.mux(voice.encode(None))
    return path


def put(file, packets, lasts):
    """The encoder gives every picture the same length; here each has its own."""
    for packet in packets:
        packet.duration = int(Fraction(lasts[round(packet.pts * packet.time_base * 1000)], 1000) / packet.time_base)
        file.mux(packet)


def noise(length_s=2.0, seed=0, channels=1):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, round(length_s * RATE_HZ)))


def colour_of(pictures):
    """Which of `COLOURS` the middle of each picture has; -1 for black."""
    middle = pictures[:, pictures.shape[1] // 2, pictures.shape[2] // 2].astype(int)
    nearest = np.abs(middle[:, None] - COLOURS).sum(axis=2).argmin(axis=1)
    return np.where(middle.max(axis=1) < 8, -1, nearest).tolist()


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_picture_is_the_one_that_is_seen_at_that_time(tmp_path, ending):
    """25 pictures a second, another colour each second: at 4 a second the change falls between frames 3 and 4."""
    path = make(tmp_path / f"a.{ending}", range(0, 2000, 40), [solid(COLOURS[k // 25]) for k in range(50)], 40)
    pictures = video.read_frames(path, 4, 32, 2)
    assert pictures.shape == (8, 32, 32, 3) and pictures.dtype == np.uint8
    assert colour_of(pictures) == [0] * 4 + [1] * 4
    assert np.abs(pictures[0].astype(int) - COLOURS[0]).max() < 16, "red, green and blue in this order, whole picture"


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_variable_frame_rate_moves_nothing(tmp_path, ending):
    """Counting pictures instead of reading their times would put the colours elsewhere, for they last unequally."""
    starts = [0, 40, 80, 120, 1300, 1420, 2600]
    path = make(tmp_path / f"a.{ending}", starts, [solid(COLOURS[k]) for k in (0, 1, 2, 3, 4, 0, 1)], 400)
    pictures = video.read_frames(path, 2, 16, 3)  # at 0.25, 0.75, 1.25, 1.75, 2.25 and 2.75 s
    assert colour_of(pictures) == [3, 3, 3, 0, 0, 1]
    fine = video.read_frames(path, 25, 16, 0.16)  # at 20, 60, 100 and 140 ms
    assert colour_of(fine) == [0, 1, 2, 3]


def test_after_the_end_it_is_black_and_counted(tmp_path):
    path = make(tmp_path / "a.mp4", range(0, 1000, 40), [solid(COLOURS[3])] * 25, 40)
    pictures = video.read_frames(path, 4, 16, 3)
    assert colour_of(pictures) == [3] * 4 + [-1] * 8 and not pictures[4:].any()


@pytest.mark.parametrize(
    ("name", "aspect", "edges", "red", "blue"),
    [("a.mp4", 1, (8, 32, 56), slice(3, 20), slice(28, 45)), ("a.mkv", 2, (20, 32, 44), slice(5, 18), slice(30, 43))],
)
def test_the_middle_square_is_kept(tmp_path, name, aspect, edges, red, blue):
    """Yellow at both sides is cut off, the red and the blue half stay, in this order, each 24 of 48 wide as seen.

    Of 64 x 48 an eighth goes on either side; pixels twice as wide as high make 128 x 48 of them, and 24 columns stay.
    """
    image = solid(COLOURS[3])
    image[:, edges[0] : edges[1]], image[:, edges[1] : edges[2]] = COLOURS[0], COLOURS[2]
    path = make(tmp_path / name, range(0, 400, 40), [image] * 10, 40, aspect=aspect)
    found = video.read_frames(path, 5, 48, 0.2)[0].astype(int)
    assert np.abs(found[:, red] - COLOURS[0]).max() < 40 and np.abs(found[:, blue] - COLOURS[2]).max() < 40


def test_a_turned_video_is_upright(tmp_path):
    """A telephone stores the picture as the sensor lies and a matrix that turns it: here a quarter clockwise."""
    picture = solid(COLOURS[0])
    picture[HEIGHT // 2 :] = COLOURS[2]  # red above blue, as stored
    path = make(tmp_path / "a.mp4", range(0, 400, 40), [picture] * 10, 40)
    upright, clockwise = (
        struct.pack(">9i", *(v * unit for v, unit in zip(matrix, [65536, 65536, 2**30] * 3, strict=True)))
        for matrix in ((1, 0, 0, 0, 1, 0, 0, 0, 1), (0, 1, 0, -1, 0, 0, HEIGHT, 0, 1))
    )
    whole = path.read_bytes()
    place = whole.index(upright, whole.index(b"tkhd"))
    path.write_bytes(whole[:place] + clockwise + whole[place + len(clockwise) :])
    found = video.read_frames(path, 5, 32, 0.2)
    left, right = found[0][:, :12].astype(int), found[0][:, 20:].astype(int)
    assert np.abs(left - COLOURS[2]).max() < 40 and np.abs(right - COLOURS[0]).max() < 40


def test_sound_equals_the_sound_file(tmp_path):
    """Lossless sound of two channels at 22.05 kHz, against the course's own reader of sound files."""
    x = noise(2, channels=2)
    path = make(tmp_path / "a.mkv", range(0, 2000, 40), [solid(COLOURS[0])] * 50, 40, x, sound_hz=22_050)
    sf.write(tmp_path / "a.wav", x.T, 22_050, subtype="PCM_16")
    expected, _ = audio_io.read(tmp_path / "a.wav", RATE_HZ, 1.0)
    found = video.read_sound(path, RATE_HZ, 1.0)
    assert found.shape == (RATE_HZ,) and found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-4


def test_channels_that_cancel_are_named(tmp_path, caplog):
    """As of sound files: one warning; unlike channels are nothing to warn of."""
    x = noise(1)
    video.read_sound(make(tmp_path / "good.mkv", [], [], 0, noise(1, channels=2)), RATE_HZ, 1.0)
    path = make(tmp_path / "opposed.mkv", [], [], 0, np.concatenate([x, -x]))
    video.read_sound(path, RATE_HZ, 0.5)
    (message,) = caplog.messages
    assert message.startswith(f"{path}: the channels cancel each other when averaged")


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_sound_and_picture_keep_together(tmp_path, ending):
    """A click and a change of colour at the same instant, in a file whose sound begins a quarter of a second late."""
    x = np.zeros((1, 2 * RATE_HZ))
    x[:, RATE_HZ : RATE_HZ + 160] = 0.9
    starts = range(0, 2300, 50)
    pictures = [solid(COLOURS[int(start >= 1250)]) for start in starts]
    path = make(tmp_path / f"a.{ending}", starts, pictures, 50, x, sound_from_ms=250)
    heard = np.flatnonzero(np.abs(video.read_sound(path, RATE_HZ, 2.25)) > 0.3)
    seen = colour_of(video.read_frames(path, 100, 16, 2.25)).index(1)
    assert abs(heard[0] / RATE_HZ - 1.25) < 0.005 and seen == 125


def test_a_file_whose_clock_starts_late_begins_at_its_start(tmp_path):
    """Recordings of a stream count on from the stream's start: nothing of this file is at 0 s of its time stamps."""
    x = np.zeros((1, RATE_HZ))
    x[:, RATE_HZ // 2 :] = 0.5
    starts = range(5000, 6000, 40)
    path = make(tmp_path / "a.mkv", starts, [solid(COLOURS[int(s >= 5500)]) for s in starts], 40, x, 5000)
    assert colour_of(video.read_frames(path, 4, 16, 1)) == [0, 0, 1, 1]
    heard = np.flatnonzero(video.read_sound(path, RATE_HZ, 1) > 0.25)
    assert abs(heard[0] - RATE_HZ // 2) < 20 and len(heard) > RATE_HZ // 2 - 40


def test_sound_before_the_start_is_not_heard(tmp_path):
    """An encoder's run-up has times below 0: moved to 0 it would delay all that follows."""
    x = np.zeros((1, RATE_HZ))
    x[:, RATE_HZ // 2 :] = 0.5
    path = make(tmp_path / "a.mkv", [], [], 0, x, -250, options={"avoid_negative_ts": "disabled"})
    heard = np.flatnonzero(video.read_sound(path, RATE_HZ, 1) > 0.25) / RATE_HZ
    assert abs(heard[0] - 0.25) < 0.002 and abs(heard[-1] - 0.75) < 0.002


@pytest.mark.parametrize("value", [np.nan, 3.0])
def test_sound_that_is_no_sound_is_told(tmp_path, monkeypatch, value):
    monkeypatch.setitem(CODECS, "mkv", ("mpeg4", "pcm_f32le"))
    x = noise(0.5)
    x[0, 100] = value
    with pytest.raises(CourseError, match=r"a\.mkv: its sound contains NaN or values far outside ±1"):
        video.read_sound(make(tmp_path / "a.mkv", [], [], 0, x), RATE_HZ, 0.5)


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no colon in a name")
def test_names_and_titles_are_as_people_write_them(both, monkeypatch):
    """A colon is how a protocol begins, and a title may be in an encoding of the last century."""
    path = both("a:-b.mkv")
    path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))
    monkeypatch.chdir(path.parent)
    assert video.read_sound(path.name, RATE_HZ, 1).any() and video.read_frames(path.name, 1, 16, 1).any()


def test_a_gap_in_the_sound_is_silence(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as file:
        voice = file.add_stream("pcm_s16le", rate=RATE_HZ, layout="mono")
        for at in [*range(0, 8000, 1000), *range(16_000, 24_000, 1000)]:
            frame = av.AudioFrame.from_ndarray(np.full((1, 1000), 0.5, np.float32), "fltp", "mono")
            frame.sample_rate, frame.time_base, frame.pts = RATE_HZ, Fraction(1, RATE_HZ), at
            file.mux(voice.encode(frame))
    x = video.read_sound(path, RATE_HZ, 2)
    expected = np.repeat([0.5, 0, 0.5, 0], RATE_HZ // 2)
    assert np.abs(x - expected).max() < 1e-3


def test_a_video_cut_without_new_encoding_begins_at_the_cut(tmp_path):
    """Most clips are cut so: pictures from the last key picture on stay in the file, to be decoded and not shown."""
    x = np.zeros((1, 6 * RATE_HZ))
    x[:, 4 * RATE_HZ : 4 * RATE_HZ + 160] = 0.9
    whole = make(tmp_path / "whole.mp4", range(0, 6000, 40), [solid(COLOURS[k // 25 % 5]) for k in range(150)], 40, x)
    with av.open(str(whole)) as file, av.open(str(tmp_path / "cut.mp4"), "w") as cut:
        copies = {stream.index: cut.add_stream_from_template(stream) for stream in file.streams}
        for packet in file.demux():
            from_cut = packet.dts is not None and packet.pts - int(Fraction(5, 2) / packet.time_base)
            if from_cut is False or (packet.stream.type == "audio" and from_cut < 0):
                continue
            packet.pts, packet.dts = from_cut, packet.dts - int(Fraction(5, 2) / packet.time_base)
            packet.stream = copies[packet.stream.index]
            cut.mux(packet)
    pictures = video.read_frames(tmp_path / "cut.mp4", 4, 16, 4)
    assert colour_of(pictures) == [2] * 2 + [3] * 4 + [4] * 4 + [0] * 4 + [-1] * 2
    heard = np.flatnonzero(np.abs(video.read_sound(tmp_path / "cut.mp4", RATE_HZ, 3)) > 0.3)
    assert abs(heard[0] / RATE_HZ - 1.5) < 0.005


def truncated(path, share=0.5):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.fixture
def both(tmp_path):
    pictures = [np.random.default_rng(k).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8) for k in range(50)]
    return lambda name: make(tmp_path / name, range(0, 2000, 40), pictures, 40, noise())


@pytest.mark.parametrize("read", [video.read_sound, lambda p, _, s: video.read_frames(p, 4, 16, s)])
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_truncated_file_is_told(both, read, name):
    path = both(name)
    assert len(read(path, RATE_HZ, 2))
    with pytest.raises(CourseError, match=rf"{name}: .*truncated"):
        read(truncated(path), RATE_HZ, 2)


def test_of_a_truncated_file_what_is_there_can_be_used(both):
    """Nobody asked for what is missing."""
    assert video.read_sound(truncated(both("a.mkv"), 0.8), RATE_HZ, 0.5).any()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda p: p.unlink(), r"a\.mkv: no such file"),
        (lambda p: p.write_bytes(b""), r"a\.mkv: the file is empty"),
        (lambda p: p.write_bytes(b"hello " * 1000), r"a\.mkv: is not a video"),
        (lambda p: p.write_bytes(np.random.default_rng(0).bytes(9000)), r"a\.mkv: is not a video"),
        (lambda p: (p.unlink(), p.mkdir()), r"a\.mkv: is a folder"),
    ],
)
def test_what_is_no_video_is_one_line(both, spoil, words):
    path = both("a.mkv")
    spoil(path)
    for read in (lambda: video.read_sound(path, RATE_HZ, 1), lambda: video.read_frames(path, 4, 16, 1)):
        with pytest.raises(CourseError, match=words) as told:
            read()
        assert "\n" not in str(told.value)


def test_without_sound_or_pictures_is_one_line(tmp_path):
    silent = make(tmp_path / "silent.mp4", range(0, 400, 40), [solid(COLOURS[0])] * 10, 40)
    blind = make(tmp_path / "blind.mkv", [], [], sound=noise(0.5))
    with pytest.raises(CourseError, match=r"silent\.mp4: has no sound"):
        video.read_sound(silent, RATE_HZ, 1)
    with pytest.raises(CourseError, match=r"blind\.mkv: has no video frames"):
        video.read_frames(blind, 4, 16, 1)
    x = video.read_sound(blind, RATE_HZ, 1)
    assert x[: RATE_HZ // 2].any() and not x[RATE_HZ // 2 + 100 :].any()


def test_a_picture_is_no_video(tmp_path):
    with av.open(str(tmp_path / "a.jpg"), "w", format="image2") as file:
        stream = file.add_stream("mjpeg", rate=1, width=WIDTH, height=HEIGHT, pix_fmt="yuvj420p")
        file.mux(stream.encode(av.VideoFrame.from_ndarray(solid(COLOURS[0]), "rgb24")))
        file.mux(stream.encode(None))
    (tmp_path / "a.jpg").rename(tmp_path / "a.mp4")
    with pytest.raises(CourseError, match=r"a\.mp4: .*expected a video"):
        video.read_frames(tmp_path / "a.mp4", 4, 16, 1)


@pytest.mark.parametrize(("rate", "length_s"), [(0, 1), (1, 0.1)])
def test_an_impossible_request_is_a_value_error(both, rate, length_s):
    with pytest.raises(ValueError, match="gives no frame"):
        video.read_frames(both("a.mkv"), rate, 16, length_s)
