"""The command line: exit codes, and one clear line for every mistake of a user."""

import errno
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from helpers import sound

import course_lib
from course_lib import paths
from course_lib.cli import main as cli
from course_lib.errors import UsageError
from course_lib.tools import runner


@pytest.fixture
def course(monkeypatch, capsys):
    """Call `course` with some words; returns exit code, output and errors."""

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["course", *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        printed = capsys.readouterr()
        return stop.value.code or 0, printed.out, printed.err

    return call


@pytest.fixture
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path / "empty"))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "--profile", "huge"], 2, "profile 'huge' is unknown; choose one of smoke, lesson, study"),
        (["run", "--dataset", "esc11"], 2, "choose one of synth10, timing, timing10s, esc10"),
        (["run", "--dataset", "nowhere.csv"], 1, "nowhere.csv: No such file"),
        (["run", "--only", "01,77"], 2, "no notebook 77; there are 00, 01, 02"),
        (["run", "--only", "05-77"], 2, "no notebook 05-77; there are 00, 01, 02"),
        (["run", "--only", "03_waveform_augmentatoin"], 2, "no notebook 03_waveform_augmentatoin; there are 00, 01"),
        (["run", "--only", ","], 2, "--only ,: names no notebook; there are 00, 01, 02"),
        (["expect", "--only", " "], 2, "--only  : names no notebook; there are 00, 01, 02"),
        (["run", "-p", "nonsense"], 2, "--param nonsense: expected name=value"),
        (["run", "-p", "seed=1"], 2, "--param seed=1: seed has an option of its own; use --seed 1"),
        (["run", "-p", "profile=study"], 2, "use --profile study"),
        (["run", "-p", "dataset=esc10"], 2, "use --dataset esc10"),
        (["run", "-p", "sead=1", "--only", "1"], 2, "01_stft_and_hop_size: no parameter 'sead'; it takes profile"),
        (["run", "-p", "rate_hz=fast", "--only", "01"], 2, "rate_hz='fast' is str, expected int"),
        (["run", "--dataset", "esc10"], 1, "COURSE_OFFLINE forbids the network; download https://"),
        (["site", "--run", "nowhere"], 1, "nowhere: no results.json there; run `make course` first"),
        (["data", "get", "esc10"], 1, "COURSE_OFFLINE forbids the network"),
        (["data", "get", "synth10"], 2, "nothing to fetch"),
        (["data", "get", "nope"], 2, "data set 'nope' is unknown"),
        (["data", "verify", "esc10"], 1, "run: course data get esc10"),
        (["data", "card", "nope"], 2, "data set 'nope' is unknown"),
    ],
)
def test_a_mistake_is_one_line_and_a_code(course, offline, words, code, message):
    got, _, errors = course(*words)
    assert got == code
    assert errors.startswith("course: ") and message in errors
    assert "Traceback" not in errors and len(errors.strip().splitlines()) == 1


@pytest.mark.parametrize("words", [["--nope"], ["run", "--jobs", "0"], ["fly"], ["data"], ["expect", "--seeds", "2"]])
def test_wrong_use_is_code_2(course, words):
    assert course(*words)[0] == 2


def test_list_card_verify_doctor(course, offline):
    code, out, _ = course("data", "list")
    assert code == 0 and "synth10" in out and "generated" in out
    code, out, _ = course("data", "card", "esc10")
    assert code == 0 and "CC BY" in out and "doi:10.1145/2733373.2806390" in out
    assert course("data", "verify", "synth10")[0] == 0
    code, out, _ = course("doctor")
    assert code == 0 and "all is well" in out and "forbidden by COURSE_OFFLINE" in out


def test_doctor_says_that_torch_does_not_load(course, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    code, out, _ = course("doctor")
    assert code == 1 and "torch does not load" in out and "--reinstall-package torch" in out


def test_doctor_finds_a_mirror_that_is_not_there(course, monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_MIRROR", str(tmp_path / "gone"))
    code, out, _ = course("doctor")
    assert code == 1 and "no such folder" in " ".join(out.split())


def test_help_is_quick():
    """What takes seconds to import is imported by the command that needs it."""
    code = (
        "import sys; from course_lib.cli.main import app; app(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    loaded = set(printed.splitlines()[-1].split())
    assert "typer" in loaded and not loaded & {"torch", "pandas", "librosa", "papermill", "numpy", "scipy", "pooch"}


@pytest.mark.parametrize("words", [[], ["run"], ["data", "get"], ["study", "run"]])
def test_h_is_help(course, words):
    assert course(*words, "-h")[:2] == course(*words, "--help")[:2]


def test_version(course):
    assert course("--version")[:2] == (0, f"course {course_lib.__version__}\n")


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("course ru", ["run"]),
        ("course data card esc", ["esc10", "esc50"]),
        ("course run --profile s", ["smoke", "study"]),
        ("course study report less", ["lesson"]),
    ],
)
def test_tab_completes_commands_and_names(course, monkeypatch, words, offered):
    monkeypatch.setenv("_COURSE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert set(offered) <= set(course()[1].split())


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ("0", ["00"]),
        ("00-02", ["00", "01", "02"]),
        ("7, 0-1", ["00", "01", "07"]),
        ("00_start_here", ["00"]),
        ("notebooks/00_start_here.ipynb,03_Waveform_Augmentation", ["00", "03"]),
    ],
)
def test_notebooks_are_named_by_number_range_or_name(course, monkeypatch, tmp_path, only, chosen):
    taken = []

    def prepared(notebooks, *_):
        taken.extend(path.stem[:2] for path in notebooks)
        raise UsageError("enough")

    monkeypatch.setattr(runner, "prepare", prepared)
    course("run", "--only", only, "--output", tmp_path / "run")
    assert taken == chosen


def test_names_are_known_in_any_case(course, monkeypatch, offline, tmp_path):
    given = []
    monkeypatch.setattr(runner, "run_course", lambda parameters, **_: given.append(parameters) or 0)
    assert course("run", "--profile", "Smoke", "--dataset", "Synth10")[0] == 0
    assert (given[0]["profile"], given[0]["dataset"]) == ("smoke", "synth10")
    assert course("data", "card", "ESC10")[1] == course("data", "card", "esc10")[1]
    assert "run: course data get esc10" in course("data", "verify", "ESC10")[2]
    (tmp_path / "ESC10").mkdir()
    monkeypatch.chdir(tmp_path)
    course("run", "--dataset", "ESC10")
    assert given[1]["dataset"] == "ESC10", "a folder of one's own is not mistaken for the set"


def test_the_card_is_rendered(course):
    out = course("data", "card", "esc10")[1]
    assert "|" not in out and "**" not in out and "#" not in out
    assert " • licence: CC BY 3.0" in out and "553c8f1743b9dba6b282e1323c3ca8fa76923448.zip" in out


def test_the_table_of_a_run_is_whole_and_says_what_the_clock_says(course, monkeypatch, tmp_path):
    def done(jobs, **_):
        verdicts = [{"name": "a", "ok": True}] * 11 + [{"name": "b", "ok": None}]
        return [runner.Result(job.name, runner.PASSED, 2.5, "", str(job.output), "", verdicts) for job in jobs]

    monkeypatch.setattr(runner, "run", done)
    monkeypatch.setattr(runner, "prepare_data", lambda *_: ("", 1))
    code, out, _ = course("run", "--only", "00,07", "--output", tmp_path / ("long" * 30))
    assert code == 0 and "11 of 11 as expected" in out and "…" not in out
    total, clock = (line for line in out.splitlines() if line.startswith(("│ all", "│ elapsed")))
    assert "2 of 2 passed" in total and "5.00" in total and float(clock.split("│")[3]) < 1


def test_help_shows_examples(course):
    assert "course run --dataset esc10" in course("run", "--help")[1]


def test_parameters_are_literals_or_texts():
    assert cli.parsed_parameters(["a=1", "b=2.5", "c=x", "d='1'", "e=a=b"]) == {
        "a": 1, "b": 2.5, "c": "x", "d": "1", "e": "a=b"
    }  # fmt: skip
    with pytest.raises(UsageError):
        cli.parsed_parameters(["=1"])


def test_an_interrupted_run_ends_with_130_and_keeps_its_reports(course, monkeypatch, tmp_path):
    def interrupted(jobs, **_):
        return [runner.Result(job.name, runner.NOT_RUN, 0.0, "interrupted", str(job.output), "") for job in jobs]

    monkeypatch.setattr(runner, "run", interrupted)
    code, out, _ = course("run", "--only", "00", "--output", tmp_path / "run")
    assert code == 130 and "--resume" in out
    assert json.loads((tmp_path / "run" / "results.json").read_text())["notebooks"][0]["state"] == "not run"
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_changed_label_or_sound_of_ones_own_is_another_run(course, monkeypatch, tmp_path):
    """What `--resume` keeps goes by the keys of the jobs."""
    keys, names = [], [f"{label}{k}.wav" for label in ("low", "high") for k in range(3)]

    def seen(jobs, **_):
        keys.extend(job.key() for job in jobs)
        return [runner.Result(job.name, runner.PASSED, 0.0, "", str(job.output), job.key()) for job in jobs]

    monkeypatch.setattr(runner, "run", seen)
    for k, name in enumerate(names):
        sound(tmp_path / name, 300 + 100 * k)
    listing = tmp_path / "manifest.csv"
    listing.write_text("filename,label\n" + "".join(f"{name},{name[:-5]}\n" for name in names))
    words = ("run", "--only", "00", "--dataset", listing, "--output", tmp_path / "run")
    for change in ("none", "none", "sound", "label"):
        if change == "sound":
            sound(tmp_path / names[0], 310)
        elif change == "label":
            listing.write_text(listing.read_text().replace(",low", ",deep"))
        assert course(*words)[0] == 0
    assert keys[0] == keys[1] and len({*keys}) == 3


def test_a_notebook_runs_on_a_teachers_own_sounds(course, tmp_path):
    """Beeps and hisses of several rates and lengths, without folds or sources, through the real command."""
    rng = np.random.default_rng(0)
    lines = ["filename,label"]
    for i in range(12):
        rate, seconds = (8_000, 0.7) if i % 2 else (22_050, 1.4)
        time = np.arange(int(rate * seconds)) / rate
        beep, hiss = np.sin(2 * np.pi * (300 + 40 * i) * time), rng.standard_normal(len(time)) / 4
        for label, x in (("beep", beep), ("hiss", hiss)):
            soundfile.write(tmp_path / f"{label}{i}.wav", 0.3 * x, rate)
            lines.append(f"{label}{i}.wav,{label}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines))
    code, out, errors = course(
        "run", "--dataset", tmp_path / "manifest.csv", "--only", "00", "--output", tmp_path / "run"
    )
    assert code == 0, out + errors
    result = json.loads((tmp_path / "run" / "results.json").read_text())
    assert [n["state"] for n in result["notebooks"]] == ["passed"]
    assert result["notebooks"][0]["recorded"]["classes"]["value"] == 2
    assert (tmp_path / "run" / "index.html").exists()


@pytest.mark.parametrize("below", ["", "/x"])
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "--only", "00", "--output"], 2, "--output {0}: {1} is a file, expected a folder; name another"),
        (["study", "run", "smoke", "--output"], 2, "--output {0}: {1} is a file, expected a folder; name another"),
        (["site", "--output"], 2, "--output {0}: {1} is a file, expected a folder; name another"),
        (["site", "--run"], 1, "{0}: no results.json there; run `make course` first"),
    ],
)
def test_a_file_where_a_folder_is_expected_is_one_line(course, tmp_path, below, words, code, message):
    (tmp_path / "mine").write_text("precious")
    named = f"{tmp_path / 'mine'}{below}"
    got, _, errors = course(*words, named)
    assert got == code and errors.startswith(f"course: {message.format(named, tmp_path / 'mine')}")
    assert len(errors.splitlines()) == 1 and (tmp_path / "mine").read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("file/table.csv", "file/table.csv: leads through a file, expected a folder; name another place"),
        ("folder", "folder: is a folder, expected a file; name another place (--output, COURSE_DATA_DIR)"),
        ("none/table.csv", "none/table.csv: does not exist; name another place"),
    ],
)
def test_what_cannot_be_written_there_is_one_line(course, monkeypatch, tmp_path, name, words):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(runner, "run_course", lambda *_, **__: paths.atomic_write(tmp_path / name, "text"))
    code, _, errors = course("run")
    assert code == 1 and errors.startswith(f"course: {tmp_path}/{words}") and len(errors.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "folder"]


@pytest.mark.parametrize(("number", "one_line"), [(errno.ENOSPC, True), (errno.EROFS, True), (errno.ECONNRESET, False)])
def test_a_full_disk_is_one_line_and_a_bug_is_a_traceback(course, monkeypatch, number, one_line):
    def broken(*_, **__):
        raise OSError(number, os.strerror(number), "/media/usb/results.json")

    monkeypatch.setattr(runner, "run_course", broken)
    if one_line:
        code, _, errors = course("run")
        expected = f"course: /media/usb/results.json: {os.strerror(number)}; make room or allow writing, or name"
        assert code == 1 and errors.startswith(expected) and len(errors.splitlines()) == 1
    else:
        with pytest.raises(OSError, match="results"):
            course("run")
