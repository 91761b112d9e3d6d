"""`course predict` and `course export`: what they write and print, and one line for every bad input."""

import csv
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile as sf
from helpers import PATIENCE_S, wait_for

from course_lib.cli import main as cli
from course_lib.models import export
from course_lib.tools import predict

MODEL = "esc10-fixed"


@pytest.fixture
def course(monkeypatch, capsys, tmp_path):
    """Call `course` with some words in a folder of its own; returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["course", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


def noise(path, length_s=6.0, rate_hz=16_000, level=0.1, **kwargs):
    x = level * np.random.default_rng(0).standard_normal(round(length_s * rate_hz))
    sf.write(path, np.clip(x, -1, 1), rate_hz, **kwargs)


def events_in(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_events_and_labels_of_each_file(course, tmp_path):
    noise(tmp_path / "a.wav")
    noise(tmp_path / "b.flac", rate_hz=44_100)
    code, out, err = course("predict", "a.wav", "b.flac", "--model", MODEL, "--threshold", 0.2, "--output", "found/x")
    assert (code, err) == (0, "")
    for name, line in zip(("a.wav", "b.flac"), out.splitlines(), strict=True):
        stem = name.partition(".")[0]
        rows = events_in(tmp_path / "found" / "x" / f"{stem}.events.csv")
        labels = (tmp_path / "found" / "x" / f"{stem}.labels.txt").read_text(encoding="utf-8").splitlines()
        assert rows and list(rows[0]) == ["onset", "offset", "label", "confidence"]
        assert [line.split("\t") for line in labels] == [
            [f"{float(row['onset']):.6f}", f"{float(row['offset']):.6f}", row["label"]] for row in rows
        ]
        assert all(0 <= float(r["onset"]) < float(r["offset"]) <= 6 and float(r["confidence"]) > 0.2 for r in rows)
        assert line.startswith(f"{name}: 6.0 s, {len(rows)} event")
        assert f"-> found/x/{stem}.events.csv, .labels.txt (" in line and "times real time" in line


@pytest.mark.parametrize(
    ("make", "printed"),
    [
        (lambda path: noise(path, 0.3), "x.wav: 0.3 s, "),
        (lambda path: noise(path, 5, 8_000), "x.wav: 5.0 s, "),
        (lambda path: sf.write(path, np.zeros(80_000), 16_000), "x.wav: 5.0 s, no events -> x.events.csv"),
        (lambda path: noise(path, level=9), "of the samples are at full scale; lower the recording level"),
    ],
    ids=["short", "8 kHz", "silent", "clipped"],
)
def test_recordings_out_of_the_ordinary(course, tmp_path, make, printed):
    make(tmp_path / "x.wav")
    code, out, err = course("predict", "x.wav", "--model", MODEL)
    assert (code, err) == (0, "") and printed in out
    assert all(float(row["offset"]) <= 6 for row in events_in(tmp_path / "x.events.csv"))


def bad(name, message):
    return pytest.param(name, message, id=name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        bad("nowhere.wav", "nowhere.wav: no such file"),
        bad("text.wav", "text.wav: cannot be read as audio"),
        bad("empty.wav", "empty.wav: the file is empty (0 bytes)"),
        bad("none.wav", "none.wav: holds no samples"),
        bad("folder", "folder: is a folder, expected a sound file"),
    ],
)
def test_a_bad_file_is_one_line_and_the_others_are_done(course, tmp_path, name, message):
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    sf.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    noise(tmp_path / "good.wav")
    code, out, err = course("predict", name, "good.wav", "--model", MODEL, "--output", "found")
    assert code == 1 and err.startswith(f"course: {message}") and len(err.splitlines()) == 1
    assert out.startswith("good.wav: 6.0 s")
    assert sorted(path.name for path in (tmp_path / "found").iterdir()) == ["good.events.csv", "good.labels.txt"]


def test_nan_ends_a_file_and_keeps_what_came_before(course, tmp_path):
    x = 0.1 * np.random.default_rng(0).standard_normal(16_000 * 120)
    x[16_000 * 100] = np.nan
    sf.write(tmp_path / "x.wav", x, 16_000, subtype="FLOAT")
    code, _, err = course("predict", "x.wav", "--model", MODEL, "--threshold", 0.2, "--min-s", 0)
    assert code == 1 and len(err.splitlines()) == 1
    n_kept = len(events_in(tmp_path / "x.events.csv"))
    assert "x.wav: contains NaN or infinite samples at 100.000 s; save it again with finite values; " in err
    assert f"{n_kept} event" in err and "up to there: x.events.csv" in err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["x.wav", "--model", "esc10-fixd"], 2, "model 'esc10-fixd': no such network; did you mean esc10-fixed"),
        (["x.wav", "--model", "my.safetensors"], 2, "there is no file my.safetensors"),
        (["x.wav", "--output", "file"], 2, "--output file: "),
        (["x.wav", "--output", "/proc/found"], 1, "/proc/found: "),
        (["x.wav", "--window-s", "0.1"], 2, "window of 0.1 s: esc10-fixed cannot take it"),
        (["x.wav", "--median-frames", "4"], 2, "--median-frames 4: expected an odd number, such as 5"),
        (["x.wav", "sub/x.flac"], 2, "x.wav and sub/x.flac: the results of both would be x.events.csv"),
    ],
)
def test_a_wrong_request_is_one_line(course, tmp_path, words, code, message):
    noise(tmp_path / "x.wav", 1.0)
    (tmp_path / "file").touch()
    model = [] if "--model" in words else ["--model", MODEL]
    given, _, err = course("predict", *words, *model)
    assert given == code and message in err and len(err.splitlines()) == 1
    assert not (tmp_path / "x.events.csv").exists()


def test_the_default_without_weights_says_what_to_do(course, tmp_path, monkeypatch):
    noise(tmp_path / "x.wav", 1.0)
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "none"))
    code, _, err = course("predict", "x.wav")
    assert code == 1 and "is not on this machine and COURSE_OFFLINE forbids the network; download https://" in err
    assert "or choose --model esc10-fixed, which needs no download" in err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_keeps_what_was_found(tmp_path):
    rng = np.random.default_rng(0)
    with sf.SoundFile(tmp_path / "long.wav", "w", 16_000, 1) as file:
        for k in range(360):  # an hour: ten seconds of noise, ten of silence
            file.write(0.1 * (k % 2) * rng.standard_normal(160_000))
    command = [sys.executable, "-m", "course_lib.cli", "predict", "long.wav", "--model", MODEL, "--threshold", "0.2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=tmp_path, **pipes)
    found = tmp_path / "long.events.csv"
    try:
        wait_for(lambda: found.exists() and len(found.read_text().splitlines()) > 2)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert (process.returncode, out) == (predict.INTERRUPTED, "") and len(err.splitlines()) == 1
    rows = events_in(found)
    assert "course: interrupted after " in err and f"{len(rows)} events up to there: long.events.csv" in err
    assert len((tmp_path / "long.labels.txt").read_text().splitlines()) == len(rows) >= 2


def test_export_writes_a_file_and_says_so(course, tmp_path):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (uv sync --group export)")
    code, out, err = course("export", MODEL, "--output", "net.onnx")
    assert (code, err) == (0, "") and out.startswith("net.onnx: ") and (tmp_path / "net.onnx").stat().st_size > 1e5


def test_export_without_onnx_says_what_to_install(course, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    code, _, err = course("export", MODEL, "--output", "net.onnx")
    assert code == 1 and "onnx is not installed; run: uv sync --inexact --group export" in err
