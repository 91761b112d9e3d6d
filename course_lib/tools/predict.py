"""`course predict`: which sounds occur when, in files of any length; events are written as they are found.

Each file gives `NAME.events.csv` (onset, offset, label, confidence) and `NAME.labels.txt`, a label track for Audacity.
Both grow while the file is read, so that an interrupted prediction keeps what it has found.
"""

import csv
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console

from course_lib import paths
from course_lib.audio import io as audio_io
from course_lib.errors import CourseError, UsageError
from course_lib.evaluation import recordings
from course_lib.evaluation.streams import Event
from course_lib.models import wave_classifier
from course_lib.models.wave_classifier import WaveClassifier

COLUMNS = ("onset", "offset", "label", "confidence")
EVENTS, LABELS = ".events.csv", ".labels.txt"
FULL_SCALE = 0.999  # a sample from here on is at full scale
CLIPPED = 1e-3  # share of such samples from which a recording is called clipped
INTERRUPTED = 130
HERE = "esc10-fixed"  # a network that the course ships


@dataclass
class Heard:
    """What has been read of a file so far, and what was found in it."""

    n_samples: int = 0
    n_full: int = 0
    n_events: int = 0
    labels: set[str] = field(default_factory=set)

    def note_block(self, x: np.ndarray) -> None:
        """Count the samples of a block."""
        self.n_samples += len(x)
        self.n_full += int(np.count_nonzero(np.abs(x) >= FULL_SCALE))

    def note_event(self, label: str) -> None:
        """Count an event."""
        self.n_events += 1
        self.labels.add(label)


def predict_files(
    files: Sequence[Path], model: str, output: Path, settings: dict[str, object], console: Console, complain
) -> int:
    """Write the events of `files` to the folder `output` and print a line for each; returns the exit code.

    `settings` go to `recordings.stream_events`. A file that cannot be read is reported by `complain`, which takes a
    line, and the others are done: the exit code is then 1. After Ctrl-C it is 130.

    Raises
    ------
    UsageError
        Unknown model, settings out of range, or two files whose results would have the same name.
    CourseError
        The model cannot be obtained, or `output` cannot be written to.
    """
    names = _result_names(files)
    paths.as_folder(output, "--output")
    failed, heard, path = 0, Heard(), files[0]
    try:
        classifier = _loaded(model)
        classifier.check_window(settings["window_s"])
        output.mkdir(parents=True, exist_ok=True)
        for path in files:
            heard, begun = Heard(), time.perf_counter()
            try:
                _predict_file(path, classifier, output / names[path], settings, heard)
            except OSError as error:
                error.filename = error.filename or f"{output / names[path]}{EVENTS}"  # a full disk does not say
                raise
            except UsageError:
                raise
            except CourseError as error:
                complain(f"{error}{_kept(heard, output / names[path])}")
                failed += 1
                continue
            _report(path, classifier, output / names[path], heard, time.perf_counter() - begun, console)
    except KeyboardInterrupt:
        done_s = heard.n_samples / classifier.rate_hz if heard.n_samples else 0.0
        complain(f"interrupted after {done_s:.0f} s of {path}{_kept(heard, output / names[path])}")
        return INTERRUPTED
    return 1 if failed else 0


def _loaded(model: str) -> WaveClassifier:
    """The classifier `model`; if published weights cannot be obtained, the error names one that needs no download."""
    try:
        return wave_classifier.load(model)
    except UsageError:
        raise
    except CourseError as error:
        if model != wave_classifier.DEFAULT:
            raise
        raise CourseError(f"{error}; or choose --model {HERE}, which needs no download") from error


def _kept(heard: Heard, target: Path) -> str:
    """What is left of a file that was not read to its end."""
    return f"; {_counted(heard.n_events, 'event')} up to there: {target}{EVENTS}" if heard.n_samples else ""


def _counted(n: int, word: str, plural: str = "") -> str:
    return f"{n} {word}" if n == 1 else f"{n} {plural or word + 's'}"


def _result_names(files: Sequence[Path]) -> dict[Path, str]:
    """Name of the results of each file, without folder and ending."""
    names: dict[str, Path] = {}
    for path in dict.fromkeys(files):
        other = names.setdefault(path.stem, path)
        if other != path:
            raise UsageError(
                f"{other} and {path}: the results of both would be {path.stem}{EVENTS}; predict them one at a time, "
                "with different --output"
            )
    return {path: name for name, path in names.items()}


def _predict_file(
    path: Path, classifier: WaveClassifier, target: Path, settings: dict[str, object], heard: Heard
) -> None:
    """Write the events of one file as they are found."""
    audio_io.probe(path)  # a file that cannot be read leaves no empty results
    with _written(target, EVENTS) as events, _written(target, LABELS) as labels:
        table = csv.writer(events, lineterminator="\n")
        table.writerow(COLUMNS)
        events.flush()
        for event in recordings.stream_events(path, classifier, **settings, on_block=heard.note_block):
            name = classifier.classes[event.label]
            table.writerow(_row(event, name))
            labels.write(f"{event.onset_s:.6f}\t{event.offset_s:.6f}\t{name}\n")
            heard.note_event(name)
            events.flush()
            labels.flush()


def _row(event: Event, name: str) -> tuple[str, str, str, str]:
    return f"{event.onset_s:.3f}", f"{event.offset_s:.3f}", name, f"{event.confidence:.3f}"


@contextmanager
def _written(target: Path, ending: str) -> Iterator:
    """A text file beside `target`, open for writing."""
    path = target.with_name(f"{target.name}{ending}")
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file


def _report(
    path: Path, classifier: WaveClassifier, target: Path, heard: Heard, taken_s: float, console: Console
) -> None:
    """Print one line on a file that is done, and one more if it is clipped."""
    length_s = heard.n_samples / classifier.rate_hz
    kinds = _counted(len(heard.labels), "class", "classes")
    found = f"{_counted(heard.n_events, 'event')} of {kinds}" if heard.n_events else "no events"
    speed = f"{1000 * taken_s / length_s:.1f} ms per second of audio, {length_s / taken_s:.0f} times real time"
    say = {"soft_wrap": True, "markup": False}
    console.print(f"{path}: {length_s:.1f} s, {found} -> {target}{EVENTS}, {LABELS} ({speed})", **say)
    share = heard.n_full / heard.n_samples
    if share >= CLIPPED:
        console.print(
            f"{path}: clipped, {100 * share:.1f} % of the samples are at full scale; lower the recording level", **say
        )
