"""Reading sound files: what is read well, and what each bad file is told."""

import numpy as np
import pytest
import soundfile as sf

from course_lib.audio import io as audio_io
from course_lib.errors import CourseError


def tone(rate_hz=16_000, length_s=0.5, hz=440.0):
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * length_s)) / rate_hz)


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
    assert "cannot be read as audio (Format not recognised); expected WAV, FLAC or OGG" in complaint(
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
    ],
)
@pytest.mark.parametrize("left", [0.3, 0.9, 0.99])
def test_truncated(saved, name, said, left):
    path = saved(name, np.random.default_rng(0).uniform(-0.5, 0.5, 16_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole))])
    assert said in complaint(path)


def test_ogg_that_ends_between_two_pages(saved):
    path = saved("t.ogg", np.random.default_rng(0).uniform(-0.5, 0.5, 64_000))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"OggS")])
    assert "truncated, its last page is missing" in complaint(path)


def test_wav_of_unknown_length_is_read(saved):
    path = saved("pipe.wav")
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"  # as a program leaves it that writes into a pipe
    path.write_bytes(data)
    assert audio_io.read(path)[0].shape == (8_000,)


def test_flac_of_unknown_length_is_refused_before_memory_is(saved):
    path = saved("pipe.flac")
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    path.write_bytes(data)
    assert "does not tell its length" in complaint(path)


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
