"""Reading sound files: what is read well, and what each bad file is told."""

import re
import struct

import av
import numpy as np
import pytest
import soundfile as sf
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.audio import io as audio_io
from course_lib.errors import CourseError, UsageError


def tone(rate_hz=16_000, length_s=0.5, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * length_s)) / rate_hz)


def path_format(name):
    """What soundfile must be told where the ending is no format of its own; None elsewhere."""
    return {"rf64": "RF64", "nist": "NIST", "opus": "OGG"}.get(name.rpartition(".")[2])


@pytest.fixture
def saved(tmp_path):
    def save(name, x=None, rate_hz=16_000, **kwargs):
        sf.write(tmp_path / name, tone(rate_hz) if x is None else x, rate_hz, **kwargs)
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    ("name", "subtype", "error"),
    [
        ("a.wav", "PCM_U8", 1 / 127),
        ("a.wav", "PCM_16", 1 / 32_000),
        ("a.wav", "PCM_24", 1e-6),
        ("a.wav", "FLOAT", 1e-7),
        ("a.flac", "PCM_16", 1 / 32_000),
        ("a.ogg", "VORBIS", 0.02),
    ],
)
def test_formats_and_depths(saved, name, subtype, error):
    x, rate_hz = audio_io.read(saved(name, subtype=subtype))
    assert (x.dtype, x.shape, rate_hz) == (np.float32, (8_000,), 16_000)
    assert np.abs(x - tone()).max() < error


def test_stereo_is_averaged(saved):
    x, _ = audio_io.read(saved("s.wav", np.stack([tone(), -tone() / 2], axis=1), subtype="FLOAT"))
    np.testing.assert_allclose(x, tone() / 4, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 192_000])
def test_any_rate_becomes_the_asked_one_without_moving_in_time(saved, rate_hz):
    x, _ = audio_io.read(saved("r.wav", rate_hz=rate_hz, subtype="FLOAT"), 16_000, 0.5)
    assert x.shape == (8_000,)
    np.testing.assert_allclose(x[400:-400], tone()[400:-400], atol=2e-3)


def test_shortest_clip_is_padded_to_the_asked_length(saved):
    x, rate_hz = audio_io.read(saved("short.wav", tone(8_000, 0.05), 8_000), 16_000, 1.0)
    assert (x.shape, rate_hz) == ((16_000,), 16_000)
    assert np.abs(x[:700]).max() > 0.4
    assert not x[800:].any()


def test_long_clip_is_cut_at_its_end(saved):
    x, _ = audio_io.read(saved("long.wav", subtype="FLOAT"), length_s=0.25)
    np.testing.assert_array_equal(x, tone().astype(np.float32)[:4_000])


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"start_s": 0.5, "length_s": 0.1}, "start_s=0.5: the sound lasts 0.5 s; choose an earlier start"),
        ({"start_s": 9, "length_s": 0.1}, "start_s=9: the sound lasts 0.5 s; choose an earlier start"),
        ({"start_s": -0.1, "length_s": 0.1}, "start_s=-0.1: expected 0 or more"),
        ({"start_s": 0.1}, "start_s=0.1: needs length_s, the seconds to read from there"),
    ],
)
def test_a_part_that_there_is_not(saved, part, said):
    path = saved("part.wav")
    with pytest.raises(UsageError, match=said) as caught:
        audio_io.read(path, **part)
    assert str(caught.value).startswith(str(path))


def test_overshoot_is_clipped(saved):
    x, _ = audio_io.read(saved("loud.wav", 1.5 * np.sign(tone()), subtype="FLOAT"), 44_100)
    assert np.abs(x).max() == 1


def test_probe_reads_the_header(saved):
    assert audio_io.probe(saved("p.wav", rate_hz=44_100)) == (44_100, 22_050)


def complaint(path):
    with pytest.raises(CourseError) as caught:
        audio_io.read(path)
    text = str(caught.value)
    assert text.startswith(str(path)), "the file is named first"
    assert "\n" not in text
    return text


def test_missing_folder_empty_and_foreign_files(tmp_path):
    assert "no such file" in complaint(tmp_path / "none.wav")
    assert "is a folder" in complaint(tmp_path)
    (tmp_path / "nothing.wav").touch()
    assert "empty (0 bytes)" in complaint(tmp_path / "nothing.wav")
    (tmp_path / "text.wav").write_text("not a sound " * 100)
    assert "cannot be read as audio (Format not recognised); expected WAV, FLAC, OGG or MP3" in complaint(
        tmp_path / "text.wav"
    )


def test_no_samples(saved):
    assert "holds no samples" in complaint(saved("none.wav", np.zeros(0)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_finite(saved, value):
    x = tone()
    x[100] = value
    assert "NaN or infinite" in complaint(saved("n.wav", x, subtype="FLOAT"))


def test_integers_saved_as_floats(saved):
    assert "samples reach 16383.5, expected within ±1" in complaint(
        saved("i.wav", 32767 * tone(hz=4000), subtype="FLOAT")
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("t.wav", "bytes of sound are there"),
        ("t.aiff", "bytes of sound are there"),
        ("t.au", "bytes of sound are there"),
        ("t.ogg", "truncated, its last page is missing"),
        ("t.flac", "damaged"),
        ("t.w64", "truncated"),
        ("t.rf64", "truncated"),
        ("t.caf", r"truncated|malformed"),
        ("t.nist", "truncated"),
        ("t.mp3", "truncated"),
    ],
)
@pytest.mark.parametrize("left", [0.3, 0.9, 0.99])
def test_truncated(saved, name, said, left):
    path = saved(name, np.random.default_rng(0).uniform(-0.5, 0.5, 16_000), format=path_format(name))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    assert re.search(said, complaint(path))


CODINGS = [
    (kind, subtype)
    for kind in ("WAV", "AIFF", "AU", "CAF", "W64", "RF64", "FLAC", "NIST")
    for subtype in ("PCM_24", "FLOAT", "IMA_ADPCM", "GSM610", "ALAC_16", "ULAW")
    if sf.check_format(kind, subtype)
]


@pytest.mark.parametrize(("kind", "subtype"), CODINGS)
@pytest.mark.parametrize("left", [1, 0.5, 0.97])
def test_every_coding_is_whole_or_refused(saved, tmp_path, kind, subtype, left):
    whole = saved("a", np.random.default_rng(0).uniform(-0.5, 0.5, 16_000), format=kind, subtype=subtype).read_bytes()
    (cut := tmp_path / "cut").write_bytes(whole[: int(left * len(whole))])
    if left == 1:
        x, rate_hz = audio_io.read(cut)
        assert 16_000 <= len(x) < 16_500, "blocks are whole"
        assert audio_io.probe(cut) == (rate_hz, len(x))
    else:
        complaint(cut)


@pytest.mark.parametrize("name", ["a.flac", "a.ogg", "a.opus", "a.mp3", "a.au", "a.caf", "a.w64", "a.rf64", "a.nist"])
@pytest.mark.parametrize("other_s", [0.5, 0.2])
def test_recordings_joined_end_to_end_are_refused(saved, tmp_path, name, other_s):
    """Of most of them libsndfile reads the first alone, of the others the second's header as sound."""
    first = saved(name, format=path_format(name))
    other = saved(f"other-{name}", tone(length_s=other_s), format=path_format(name))
    assert audio_io.probe(first) == (16_000, 8_000)
    (joined := tmp_path / f"joined-{name}").write_bytes(first.read_bytes() + other.read_bytes())
    assert "several recordings joined end to end" in complaint(joined)
    with pytest.raises(CourseError, match="joined end to end"):
        audio_io.probe(joined)


def test_wav_joined_end_to_end_is_refused(saved, tmp_path):
    (joined := tmp_path / "joined.wav").write_bytes(2 * saved("a.wav").read_bytes())
    assert "cannot be read as audio" in complaint(joined)


def mp3(path, x, rate_hz=44_100, *, counted, **options):
    """`x` as MP3, with or without the frame that holds the number of frames."""
    head = {"write_xing": str(int(counted)), "id3v2_version": "0"}
    with av.open(str(path), "w", format="mp3", options=head) as file:
        stream = file.add_stream("libmp3lame", rate=rate_hz, options=options)
        stream.layout, stream.format = "mono", "s16p"
        frame = av.AudioFrame.from_ndarray((x * 32767).astype(np.int16)[None], format="s16p", layout="mono")
        frame.sample_rate = rate_hz
        for packet in (*stream.encode(frame), *stream.encode(None)):
            file.mux(packet)
    return path


CONSTANT, VARIABLE = {"b": "128000"}, {"global_quality": "236", "flags": "+qscale"}
FRAME = 1152  # samples of an MP3 frame at 44.1 kHz
LOUD = np.random.default_rng(0).uniform(-0.5, 0.5, 88_200)


@pytest.mark.parametrize("options", [CONSTANT, VARIABLE])
@pytest.mark.parametrize("x", [np.r_[LOUD / 500, LOUD], np.r_[LOUD, LOUD / 500]], ids=["rising", "falling"])
def test_mp3_that_counts_its_frames_is_whole(tmp_path, options, x):
    path = mp3(tmp_path / "a.mp3", x, counted=True, **options)
    assert audio_io.probe(path) == (44_100, len(x)) and audio_io.read(path)[0].shape == x.shape


@pytest.mark.parametrize("x", [np.r_[LOUD / 500, LOUD], np.r_[LOUD, LOUD / 500]], ids=["rising", "falling"])
def test_mp3_of_varying_bit_rate_without_a_count_is_refused(tmp_path, x):
    """libsndfile guesses a length from the first frame: 71,099 samples of 178,560."""
    assert "(a variable bit rate without a Xing header)" in complaint(
        mp3(tmp_path / "a.mp3", x, counted=False, **VARIABLE)
    )


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
@pytest.mark.parametrize("before", [b"", b"ID3\x04\0\0\0\x04\0\0" + bytes(4 << 14)], ids=["bare", "with a picture"])
@pytest.mark.parametrize("after", [b"", b"TAG" + bytes(125)], ids=["", "tagged"])
def test_mp3_of_constant_bit_rate_without_a_count_is_whole(tmp_path, rate_hz, before, after):
    path = mp3(tmp_path / "a.mp3", LOUD, rate_hz, counted=False, **CONSTANT)
    path.write_bytes(before + path.read_bytes() + after)
    x, _ = audio_io.read(path)
    assert audio_io.probe(path) == (rate_hz, len(x))
    assert len(LOUD) < len(x) < len(LOUD) + 4 * FRAME and len(x) % FRAME == 0


def test_a_truncated_mp3_is_told_from_its_header(tmp_path):
    path = mp3(tmp_path / "a.mp3", LOUD, counted=True, **CONSTANT)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(CourseError, match="truncated, "):
        audio_io.probe(path)


def test_mp3_without_counts_joined_end_to_end_is_whole(tmp_path):
    path = mp3(tmp_path / "a.mp3", LOUD, counted=False, **CONSTANT)
    alone = len(audio_io.read(path)[0])
    path.write_bytes(2 * path.read_bytes())
    assert len(audio_io.read(path)[0]) == 2 * alone


def test_ogg_with_a_tag_behind_it_is_read(saved):
    path = saved("a.ogg")
    path.write_bytes(path.read_bytes() + b"TAG" + bytes(125))
    assert audio_io.read(path)[0].shape == (8_000,)


def test_ogg_that_ends_between_two_pages(saved):
    path = saved("t.ogg", np.random.default_rng(0).uniform(-0.5, 0.5, 64_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"OggS")])
    assert "truncated, its last page is missing" in complaint(path)


@pytest.mark.parametrize("announced", [0x7FFFF000, 0x7FFFFFDC, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_wav_of_unknown_length_is_read(saved, announced):
    """What sox, arecord, ffmpeg and others leave in the header when they write to a pipe."""
    path = saved("pipe.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = struct.pack("<I", announced)
    path.write_bytes(data)
    assert audio_io.read(path)[0].shape == (8_000,)
    assert audio_io.probe(path) == (16_000, 8_000)


@pytest.mark.parametrize("announced", [0x7FFFF000, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1])
@pytest.mark.parametrize("counts", [False, True])
def test_rf64_of_unknown_length_is_read(saved, announced, counts):
    path = saved("pipe.rf64", format="RF64")
    data = bytearray(path.read_bytes())
    place = data.index(b"ds64") + 8
    data[place : place + 24] = struct.pack("<QQQ", announced, announced, announced // 2 if counts else 0)
    path.write_bytes(data)
    assert audio_io.read(path)[0].shape == (8_000,)


@pytest.mark.parametrize(
    ("name", "mark", "announced"),
    [
        ("a.aiff", b"SSND", struct.pack(">I", 0x7F000008)),
        ("a.aiff", b"SSND", struct.pack(">I", 0xFFFFFFFF)),
        ("a.au", b".snd\0\0\0\x18", struct.pack(">I", 0xFFFFFFFF)),
        ("a.au", b".snd\0\0\0\x18", struct.pack(">I", 0x7FFFF000)),
        ("a.w64", b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0", struct.pack("<Q", 2**64 - 1)),
    ],
)
def test_other_containers_of_unknown_length_are_read(saved, name, mark, announced):
    path = saved(name)
    data = path.read_bytes()
    place = data.index(mark) + len(mark)
    path.write_bytes(data[:place] + announced + data[place + len(announced) :])
    assert audio_io.read(path)[0].shape == (8_000,)


def test_a_header_that_was_never_completed_is_refused(saved):
    path = saved("crashed.wav")
    data = bytearray(path.read_bytes())
    data[40:44] = bytes(4)
    path.write_bytes(data)
    assert "holds no samples, or its header was never completed" in complaint(path)


@pytest.mark.parametrize("name", ["x.raw", "x.RAW", "x.gsm", "x.vox"])
def test_samples_without_a_header_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(3200))
    assert "has no header with its rate and format; save it as WAV or FLAC" in complaint(tmp_path / name)


@pytest.mark.parametrize("name", ["x.pcm", "x.bin"])
def test_other_files_without_a_header_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(range(256)) * 13)
    assert "cannot be read as audio" in complaint(tmp_path / name)


@pytest.mark.parametrize(("name", "kind"), [("x.paf", "PAF"), ("x.avr", "AVR"), ("x.xi", "XI")])
def test_containers_whose_length_cannot_be_checked_are_refused_by_name(saved, name, kind):
    path = saved(name, format=kind, subtype="DPCM_16" if kind == "XI" else "PCM_16")
    assert f"is a {kind} file, whose length cannot be checked; expected WAV, RF64" in complaint(path)


def opposed(n_channels=2, left=0.0):
    x = np.repeat(tone()[:, None], n_channels, axis=1)
    x[:, 1::2] *= left - 1
    return x


@pytest.mark.parametrize("x", [opposed(), opposed(4), opposed(left=0.05)])
def test_channels_that_cancel_are_named(saved, caplog, x):
    path = saved("s.wav", x, subtype="FLOAT")
    audio_io.read(path)
    (message,) = caplog.messages
    assert message.startswith(f"{path}: the channels cancel each other when averaged")


def test_channels_that_cancel_are_named_once_for_a_set(saved, caplog):
    paths = [saved(f"{k}.wav", opposed() if k % 2 else tone()) for k in range(6)]
    audio_io.read_many(paths, 16_000, 0.5)
    (message,) = caplog.messages
    assert "1.wav: the channels cancel" in message and "(3 of 6 files)" in message


def test_other_channels_are_nothing_to_warn_of(saved, caplog):
    """One channel silent, unlike channels, silence in both."""
    noises = np.random.default_rng(0).uniform(-0.5, 0.5, (8_000, 2))
    for k, x in enumerate((noises, noises * [1, 0], np.zeros((8_000, 2)), noises.repeat(4, axis=1))):
        audio_io.read(saved(f"{k}.wav", x))
    assert not caplog.messages


def test_flac_of_unknown_length_is_refused_before_memory_is(saved):
    path = saved("pipe.flac")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert "does not state its length" in complaint(path)


@given(data=st.data())
@settings(max_examples=60)
def test_whatever_happens_to_a_file_it_is_read_or_refused_in_one_line(tmp_path_factory, data):
    """Bytes changed or taken out anywhere: what is read is as long as `probe` says, and nothing else is raised."""
    name = data.draw(st.sampled_from(["a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.w64", "a.rf64", "a.nist"]))
    path = tmp_path_factory.getbasetemp() / f"spoilt-{name}"
    sf.write(path, tone(length_s=0.2), 16_000, format=path_format(name))
    spoilt = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))
    place = data.draw(st.integers(0, len(spoilt)))
    del spoilt[place : place + data.draw(st.sampled_from([0, 0, 1, 50]))]
    path.write_bytes(spoilt)
    try:
        x, rate_hz = audio_io.read(path)
        assert audio_io.probe(path) == (rate_hz, len(x))
    except CourseError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


def test_read_many_keeps_the_order(saved):
    paths = [saved(f"{hz}.wav", tone(hz=hz)) for hz in (300, 600, 1200)]
    waves = audio_io.read_many(paths, 8_000, 0.25)
    assert (waves.shape, waves.dtype) == ((3, 2_000), np.float32)
    for x, path in zip(waves, paths, strict=True):
        np.testing.assert_array_equal(x, audio_io.read(path, 8_000, 0.25)[0])


def test_read_many_names_the_bad_file(saved, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    with pytest.raises(CourseError, match=r"bad\.wav: cannot be read as audio"):
        audio_io.read_many([saved("good.wav"), tmp_path / "bad.wav"], 8_000, 0.25)


def test_read_many_says_when_memory_is_short(saved):
    with pytest.raises(CourseError, match=r"need .* GB of memory, .* choose a smaller profile"):
        audio_io.read_many([saved("a.wav")] * 10, 16_000, 1e9)


@pytest.mark.parametrize("rate_hz", [None, 8_000, 16_000, 32_000])
@pytest.mark.parametrize("stored_hz", [8_000, 16_000, 44_100])
def test_blocks_joined_are_the_whole(saved, stored_hz, rate_hz):
    """Also where the resampler rounds: no seam, no sample more or less."""
    x = 0.2 * np.random.default_rng(0).standard_normal((stored_hz * 2 + 17, 2))
    path = saved("long.wav", x, stored_hz, subtype="FLOAT")
    blocks = list(audio_io.read_blocks(path, rate_hz, block_s=0.3))
    assert len(blocks) > 5 and all(block.dtype == np.float32 and len(block) for block in blocks)
    np.testing.assert_allclose(np.concatenate(blocks), audio_io.read(path, rate_hz)[0], atol=1e-6)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, r"contains NaN or infinite samples at 0\.750 s"),
        (7.0, r"samples reach 7 at 0\.750 s, expected within ±1"),
    ],
)
def test_blocks_say_when_a_value_is_wrong(saved, value, message):
    x = np.zeros(16_000)
    x[12_000] = value
    blocks = audio_io.read_blocks(saved("bad.wav", x, subtype="FLOAT"), block_s=0.2)
    assert len([next(blocks) for _ in range(3)]) == 3
    with pytest.raises(CourseError, match=message):
        next(blocks)


def test_blocks_of_channels_that_cancel_are_warned_of(saved, caplog):
    list(audio_io.read_blocks(saved("c.wav", np.stack([tone(), -tone()], axis=1))))
    assert "c.wav: the channels cancel each other" in caplog.text


def test_blocks_of_a_file_that_is_cut_off(saved):
    path = saved("t.flac", np.tile(tone(), 20))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(CourseError, match=r"t\.flac: (damaged audio|truncated)"):
        list(audio_io.read_blocks(path))
