"""What sounds in a recording of any length: a classifier on overlapping windows, with constant memory.

`course predict` writes the result to files; here it comes as arrays and events. Notebook: 12.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from course_lib.audio import io as audio_io
from course_lib.audio import timebase, windows
from course_lib.errors import CourseError
from course_lib.evaluation import streams
from course_lib.evaluation.streams import Event
from course_lib.models.wave_classifier import WaveClassifier

WINDOW_S, OVERLAP = 2.0, 0.5
SILENT = 1e-4  # -80 dB of full scale: a window whose samples all stay below has probability 0 for every class
WINDOWS_AT_A_TIME = 16  # computed together, on all cores


def frame_probabilities(
    blocks: Iterable[np.ndarray],
    classifier: WaveClassifier,
    *,
    window_samples: int,
    hop_samples: int,
    n_samples: int | None = None,
    how: str = "mean",
) -> Iterator[np.ndarray]:
    """Probabilities per frame of `hop_samples`, as consecutive blocks `(frames, classes)`, float32.

    `blocks` are consecutive parts `(samples,)` of a waveform at the classifier's rate, such as `audio.io.read_blocks`
    yields, and `n_samples` its length, by default the end of the last window. A window without any sound is not given
    to the network: none of its classes is there. Errors as `streams.aggregate_stream`.
    """
    found = _window_probabilities(windows.stream_windows(blocks, window_samples, hop_samples), classifier)
    return streams.aggregate_stream(found, window_samples, hop_samples, n_samples, how)


def _window_probabilities(
    given: Iterator[tuple[int, np.ndarray]], classifier: WaveClassifier
) -> Iterator[tuple[int, np.ndarray]]:
    """Start and probabilities `(classes,)` of each window, computed for some at a time.

    Where the recording cannot be read on, the windows before that place come first, then the error.
    """
    error = None
    while error is None:
        group = []
        try:
            for pair in itertools.islice(given, WINDOWS_AT_A_TIME):
                group.append(pair)
        except CourseError as caught:
            error = caught
        if not group:
            break
        waves = np.stack([window for _, window in group])
        sounding = np.abs(waves).max(axis=1) >= SILENT
        probabilities = np.zeros((len(group), len(classifier.classes)), np.float32)
        if sounding.any():
            probabilities[sounding] = classifier.probabilities(waves[sounding])
        for (start, _), row in zip(group, probabilities, strict=True):
            yield start, row
    if error is not None:
        raise error


def stream_events(
    path: str | Path,
    classifier: WaveClassifier,
    *,
    window_s: float = WINDOW_S,
    overlap: float = OVERLAP,
    how: str = "mean",
    threshold: float | np.ndarray = 0.5,
    median_frames: int = 1,
    gap_s: float = 0.0,
    min_s: float = 0.0,
    on_block: Callable[[np.ndarray], None] | None = None,
) -> Iterator[Event]:
    """The events in a sound file, each as soon as it can change no more (see `streams.find_events`).

    A frame lasts as long as the distance between two windows. `on_block` gets each part of the waveform as it is read.

    Raises
    ------
    CourseError
        The file cannot be read (see `audio.io.read_blocks`).
    UsageError
        The network cannot take windows of `window_s`.
    ValueError
        `overlap`, `how` or `median_frames` is out of range.
    """
    rate_hz = classifier.rate_hz
    window_samples = classifier.check_window(window_s)
    hop_samples = windows.hop_for(window_samples, overlap)
    stored_hz, n_stored = audio_io.probe(path)
    n_samples = timebase.resampled_count(n_stored, stored_hz, rate_hz)
    blocks = audio_io.read_blocks(path, rate_hz)
    blocks = blocks if on_block is None else _watched(blocks, on_block)
    how_cut = {"window_samples": window_samples, "hop_samples": hop_samples, "n_samples": n_samples}
    probabilities = frame_probabilities(blocks, classifier, **how_cut, how=how)
    yield from streams.find_events(
        probabilities,
        hop_samples / rate_hz,
        threshold=threshold,
        median_frames=median_frames,
        gap_s=gap_s,
        min_s=min_s,
        end_s=n_stored / stored_hz,
    )


def _watched(blocks: Iterable[np.ndarray], on_block: Callable[[np.ndarray], None]) -> Iterator[np.ndarray]:
    for block in blocks:
        on_block(block)
        yield block


def detect(path: str | Path, classifier: WaveClassifier, **settings: object) -> pd.DataFrame:
    """All events of `stream_events` as an event list with `confidence`, sorted by onset; `filename` is the file's."""
    return streams.event_table(stream_events(path, classifier, **settings), Path(path).name, classifier.classes)
