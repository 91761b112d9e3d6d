"""Probabilities of overlapping windows on one time axis, and the events in them, while a recording is still arriving.

Frame `j` covers the samples from `j * frame_samples` up to the next frame; the last frame ends with the recording. A
window contributes to the frames whose middle it covers: with its one vector of probabilities, or, if the network gives
several per window, with the one at that time. What no later window can change is passed on at once, so that hours need
no more memory than a minute. Notebook: 12.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.data.events import COLUMNS, ROUNDING_S

HOW = ("mean", "max")


def aggregate(
    starts: Sequence[int],
    probabilities: np.ndarray,
    window_samples: int,
    frame_samples: int,
    n_samples: int | None = None,
    how: str = "mean",
) -> np.ndarray:
    """Probabilities per frame, `(frames, classes)`, float32, from those of windows that start at `starts`.

    `probabilities` is `(windows, classes)`, or `(windows, steps, classes)` for a network that gives several equally
    spaced vectors per window. `how` is the `mean` over the windows that cover a frame, or their `max`. `n_samples` is
    the length of the recording, by default the end of the last window. Errors as `aggregate_stream`.
    """
    pairs = zip(starts, probabilities, strict=True)
    blocks = list(aggregate_stream(pairs, window_samples, frame_samples, n_samples, how))
    return np.concatenate(blocks) if blocks else np.zeros((0, np.shape(probabilities)[-1]), np.float32)


def aggregate_stream(
    windows: Iterable[tuple[int, np.ndarray]],
    window_samples: int,
    frame_samples: int,
    n_samples: int | None = None,
    how: str = "mean",
) -> Iterator[np.ndarray]:
    """The same frame by frame, as consecutive blocks `(frames, classes)` that no later window can change.

    `windows` gives each start with its probabilities, `(classes,)` or `(steps, classes)`, in order of the starts.

    Raises
    ------
    ValueError
        Another `how`, frames longer than windows, windows out of order, or frames that no window covers.
    """
    if how not in HOW:
        raise ValueError(f"how={how!r}: choose one of {', '.join(HOW)}")
    if not 1 <= frame_samples <= window_samples:
        raise ValueError(f"frame_samples={frame_samples}: must be from 1 to window_samples={window_samples}")
    total, count, first = None, None, 0  # of the frames from `first` on: sums or maxima, and how many windows
    start, end, last = 0, 0, None
    for next_start, given in windows:
        if next_start < start:
            raise ValueError(f"a window starts at {next_start}, after one at {start}; give them in order")
        start, end = next_start, next_start + window_samples
        last = np.atleast_2d(np.asarray(given, dtype=np.float32))
        if total is None:
            total, count = np.zeros((0, last.shape[1]), np.float32), np.zeros(0, np.int64)
        begin, stop = _first_middle(start, frame_samples), _first_middle(end, frame_samples)
        if begin > first:  # the middles of these frames lie before this window, and so before all later ones
            yield _finished(total[: begin - first], count[: begin - first], begin - first, how)
            total, count, first = total[begin - first :], count[begin - first :], begin
        missing = stop - first - len(total)
        if missing > 0:
            total = np.pad(total, ((0, missing), (0, 0)))
            count = np.pad(count, (0, missing))
        frames = np.arange(begin, stop)
        step = ((2 * frames + 1) * frame_samples - 2 * start) * len(last) // (2 * window_samples)
        rows = slice(begin - first, stop - first)
        total[rows] = np.maximum(total[rows], last[step]) if how == "max" else total[rows] + last[step]
        count[rows] += 1
    if last is None:
        return
    end = end if n_samples is None else n_samples
    n_left = -(-end // frame_samples) - first
    if n_left > len(total):  # the recording ends before the middle of its last frame, which is in the last window
        total, count = np.concatenate([total, last[-1:]]), np.append(count, 1)
    if n_left > 0:
        yield _finished(total[:n_left], count[:n_left], n_left, how)


def _first_middle(sample: int, frame_samples: int) -> int:
    """The first frame whose middle does not lie before `sample`."""
    return max(0, -((frame_samples - 2 * sample) // (2 * frame_samples)))


def _finished(total: np.ndarray, count: np.ndarray, n_frames: int, how: str) -> np.ndarray:
    """The probabilities of `n_frames` frames from sums or maxima `total` over `count` windows."""
    if len(count) < n_frames or not count.all():
        raise ValueError("no window covers some frame; windows must be at most their own length apart")
    return total if how == "max" else total / count[:, None].astype(np.float32)


@dataclass(frozen=True)
class Event:
    """A sound of the class number `label` from `onset_s` to `offset_s`; `confidence` is its highest probability."""

    onset_s: float
    offset_s: float
    label: int
    confidence: float


def find_events(
    blocks: Iterable[np.ndarray],
    frame_s: float,
    *,
    threshold: float | np.ndarray = 0.5,
    median_frames: int = 1,
    gap_s: float = 0.0,
    min_s: float = 0.0,
    end_s: float = np.inf,
) -> Iterator[Event]:
    """The events in consecutive `blocks` `(frames, classes)` of probabilities, each as soon as it can change no more.

    A frame is active above `threshold` (a number, or one per class) after a median filter over `median_frames`, an odd
    number. Runs of active frames that are at most `gap_s` apart are one event, as they are at the seam of two blocks;
    an event shorter than `min_s` is dropped, unless it begins at 0 or reaches `end_s`, the end of the recording, where
    it may have been cut off. Events come in the order in which they became final, not in that of their onsets.

    With a whole recording as a single block and no gap these are the runs of `data.events.from_frames`.

    Raises
    ------
    ValueError
        `median_frames` is not an odd number of at least 1.
    """
    if median_frames < 1 or median_frames % 2 == 0:
        raise ValueError(f"median_frames={median_frames}: must be an odd number of at least 1")
    longest_gap = int(np.floor((gap_s + ROUNDING_S) / frame_s))
    runs: dict[int, list] = {}  # of each class that was active lately: first frame, frame after the last, peak
    now = 0
    for probabilities, active in _smoothed(blocks, threshold, median_frames):
        for label in np.flatnonzero(active.any(axis=0)).tolist():
            column = probabilities[:, label]
            for begin, stop in _runs(active[:, label]):
                peak = float(column[begin:stop].max())
                run = runs.get(label)
                if run is not None and now + begin - run[1] <= longest_gap:
                    run[1], run[2] = now + stop, max(run[2], peak)
                    continue
                if run is not None:
                    yield from _event(label, run, frame_s, min_s, end_s)
                runs[label] = [now + begin, now + stop, peak]
        now += len(active)
        over = [label for label, run in runs.items() if now - run[1] > longest_gap]
        for label in sorted(over, key=lambda label: runs[label][1]):
            yield from _event(label, runs.pop(label), frame_s, min_s, end_s)
    for label in sorted(runs, key=lambda label: runs[label][0]):
        yield from _event(label, runs[label], frame_s, min_s, end_s)


def _smoothed(
    blocks: Iterable[np.ndarray], threshold: float | np.ndarray, median_frames: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Probabilities and which of them are active, both `(frames, classes)`, after the median filter.

    It looks `median_frames // 2` frames ahead, so that frames leave later than they come; the first and the last frame
    are repeated beyond the ends.
    """
    half = median_frames // 2
    waiting, context = None, None  # probabilities that wait for their context; activity from `half` before them on
    for block in blocks:
        if not len(block):
            continue
        active = block > threshold
        if waiting is None:
            waiting, context = block[:0], np.repeat(active[:1], half, axis=0)
        waiting, context = np.concatenate([waiting, block]), np.concatenate([context, active])
        n_ready = len(context) - 2 * half
        if n_ready > 0:
            yield waiting[:n_ready], _median(context, median_frames)
            waiting, context = waiting[n_ready:], context[n_ready:]
    if waiting is not None and half:
        context = np.concatenate([context, np.repeat(context[-1:], half, axis=0)])
        yield waiting, _median(context, median_frames)


def _median(active: np.ndarray, median_frames: int) -> np.ndarray:
    """Whether more than half of `median_frames` are active, for each place where that many are there."""
    if median_frames == 1:
        return active
    sums = np.pad(active.cumsum(axis=0), ((1, 0), (0, 0)))
    return sums[median_frames:] - sums[:-median_frames] > median_frames // 2


def _runs(active: np.ndarray) -> list[tuple[int, int]]:
    """First frame and frame after the last of each run of bool `(frames,)`."""
    change = np.flatnonzero(np.diff(active, prepend=False, append=False))
    return list(zip(change[::2].tolist(), change[1::2].tolist(), strict=True))


def _event(label: int, run: list, frame_s: float, min_s: float, end_s: float) -> Iterator[Event]:
    """The event of a run, unless it is too short or begins where the recording has ended."""
    first, after, peak = run
    onset_s, offset_s = first * frame_s, min(after * frame_s, end_s)
    cut_off = first == 0 or after * frame_s >= end_s
    long_enough = after * frame_s - onset_s >= min_s - ROUNDING_S
    if onset_s < end_s - ROUNDING_S and (long_enough or cut_off):
        yield Event(onset_s, offset_s, label, peak)


def event_table(found: Iterable[Event], filename: str, classes: Sequence[str]) -> pd.DataFrame:
    """The event list of `data.events` for one file, with a column `confidence`; sorted by onset and label."""
    ordered = sorted(found, key=lambda event: (event.onset_s, event.label))
    rows = [(filename, e.onset_s, e.offset_s, classes[e.label], e.confidence) for e in ordered]
    kinds = {"filename": "str", "onset": float, "offset": float, "event_label": "str", "confidence": float}
    return pd.DataFrame(rows, columns=[*COLUMNS, "confidence"]).astype(kinds)
