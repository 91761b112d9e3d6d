"""Faults of one's own sounds: each is one line before any notebook starts, or a warning and the right numbers."""

import numpy as np
import pytest
import soundfile as sf
from helpers import sound

NOTHING_RUN = "nothing: reported before any notebook starts"


@pytest.fixture
def refused(course, tell):
    """`course run` on the table of these rows; its lines go into the table of faults."""

    def run(*rows, header="filename,label"):
        (course.here / "my.csv").write_text("\n".join([header, *rows]))
        code, printed = course("run", "--dataset", "my.csv", "--only", "0", "--output", "run")
        assert not (course.here / "run").exists()
        tell(printed.splitlines(), code, NOTHING_RUN)

    return run


@pytest.mark.fault("class missing from a fold", "`course run --dataset my.csv`; all clips of a class are in one fold")
def test_class_missing_from_a_fold(course, refused):
    names = [f"{label}{n}.wav" for label in "abc" for n in range(3)]
    for n, name in enumerate(names):
        sound(course.here / name, hz=300 + 50 * n, length_s=1.0)
    refused(*(f"{name},{name[0]},{1 + 'abc'.index(name[0])}" for name in names), header="filename,label,fold")


@pytest.mark.fault("equal sounds, two labels", "`course run --dataset my.csv`; two equal files differ in their labels")
def test_equal_sounds_with_two_labels(course, refused):
    for n in range(8):
        sound(course.here / f"{n}.wav", hz=300 + 50 * (n % 7))
    refused(*(f"{n}.wav,{'cat' if n < 4 else 'dog'}" for n in range(8)))


@pytest.mark.fault("recordings joined end to end", "`course run --dataset my.csv`; an OGG file holds two recordings")
def test_joined_recordings(course, refused):
    for n in range(8):
        sf.write(course.here / f"{n}.ogg", 0.1 * np.sin(np.arange(8_000) * (0.1 + 0.02 * n)), 8_000)
    joined = course.here / "3.ogg"
    joined.write_bytes(joined.read_bytes() + (course.here / "4.ogg").read_bytes())
    refused(*(f"{n}.ogg,{'cat' if n < 4 else 'dog'}" for n in range(8)))


@pytest.mark.fault("sound without a header", "`course run --dataset my.csv`; a row names a `.raw` file")
def test_sound_without_a_header(course, refused):
    for n in range(8):
        sound(course.here / f"{n}.wav", hz=300 + 50 * n)
    (course.here / "x.raw").write_bytes(bytes(3_200))
    refused("x.raw,cat", *(f"{n}.wav,{'cat' if n < 4 else 'dog'}" for n in range(8)))


@pytest.mark.fault("too few sounds for a notebook", "`course run --dataset my.csv` with three clips per class")
def test_too_few_sounds(course, tell):
    lines = ["filename,label"]
    for n in range(6):
        sound(course.here / f"{n}.wav", hz=300 + 50 * n)
        lines.append(f"{n}.wav,{'cat' if n < 3 else 'dog'}")
    (course.here / "my.csv").write_text("\n".join(lines))
    needs = course.copy / "notebooks" / "needs.toml"
    needs.write_text('["00_good"]\nheld_out = 4\nbecause = "it compares sources"\n')
    try:
        code, printed = course("run", "--dataset", "my.csv", "--only", "0", "--output", "run")
    finally:
        needs.unlink()
    assert not (course.here / "run").exists()
    tell(printed.splitlines()[-1:], code, NOTHING_RUN)
