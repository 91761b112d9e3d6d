"""PSDS, the polyphonic sound detection score: detection by overlap, over all thresholds.

F1 within a collar evaluates one list of events, obtained with one threshold. PSDS evaluates the probabilities: at each
threshold, a detection is relevant if enough of it lies within events of its class, and an event is found if enough of
it lies within relevant detections. The share of events found, plotted against false detections per hour, is a curve,
and the score is the area under it. The tolerance says how much is enough. Scores equal those of sed_scores_eval.
Source: Bilen, Ferroni, Tuveri, Azcarreta & Krstulovic, "A framework for the robust evaluation of sound event
detection", ICASSP 2020, arXiv:1910.08440; every threshold: Ebbers, Haeb-Umbach & Serizel, ICASSP 2022. Notebook: 11.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from course_lib.data import events
from course_lib.evaluation import detection

LARGEST = 2**24  # entries of the table of decisions held in memory at a time


@dataclass(frozen=True)
class Tolerance:
    """How much overlap is required, and what mistakes cost.

    Attributes
    ----------
    dtc : share of a detection that must lie within events of its class (detection tolerance criterion).
    gtc : share of an event that must lie within relevant detections (ground truth intersection criterion).
    cttc : share of a false detection that must lie within events of another class to make it a cross trigger.
    alpha_ct : weight of cross triggers relative to false detections.
    alpha_st : weight of the standard deviation over classes, which is subtracted from their mean.
    max_efpr : highest effective false positive rate, in false detections per hour, at which the curve ends.
    """

    dtc: float
    gtc: float
    cttc: float = 0.3
    alpha_ct: float = 0.0
    alpha_st: float = 1.0
    max_efpr: float = 100.0

    def __post_init__(self) -> None:
        for name in ("dtc", "gtc", "cttc"):
            if not 0 < getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)}: must be a share above 0, at most 1")
        if min(self.alpha_ct, self.alpha_st) < 0 or self.max_efpr <= 0:
            raise ValueError("alpha_ct and alpha_st must be 0 or more, max_efpr above 0")


PSDS1 = Tolerance(0.7, 0.7)  # PSDS1 of DCASE task 4, 2021 to 2023: where the sound is
PSDS2 = Tolerance(0.1, 0.1, alpha_ct=0.5)  # PSDS2: which sound it is


@dataclass(frozen=True)
class Psds:
    """`score`, from 0 to 1; `curve` with columns `efpr` (false detections per hour) and `found`; `by_class`, areas."""

    score: float
    curve: pd.DataFrame
    by_class: pd.Series


def psds(
    reference: pd.DataFrame,
    scores: np.ndarray,
    filenames: Sequence[str],
    classes: Sequence[str],
    frame_s: float,
    clip_s: float,
    tolerance: Tolerance = PSDS1,
    *,
    first_s: float = 0.0,
) -> Psds:
    """PSDS of `scores` `(files, frames, classes)`, higher where a class is more likely active, against an event list.

    Frame `k` begins at `first_s + k * frame_s` and lasts `frame_s`, clipped to the file, from 0 to `clip_s`. Frames may
    end before the file does; an event is still measured to its end. Events of the same file and class that overlap or
    touch are merged. Every value of `scores` is a threshold, so only the order of scores within a class matters.

    Raises
    ------
    ValueError
        Scores do not fit the files and classes, or are NaN; a class has no event in `reference`; an event is of another
        file or class, has no length, or ends after `clip_s`; a time is not above 0; or no frame lies within a file.
    """
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 3 or scores.shape[::2] != (len(filenames), len(classes)) or np.isnan(scores).any():
        raise ValueError(
            f"scores {scores.shape}: expected numbers (files, frames, classes) for {len(filenames)} files and "
            f"{len(classes)} classes"
        )
    if not (frame_s > 0 and clip_s > 0):
        raise ValueError(f"frame_s={frame_s}, clip_s={clip_s}: both must be above 0")
    coded = events.encode_events(events.merge_touching(reference), filenames, classes)
    coded = coded.sort_values(["file", "label"], kind="stable")
    wrong = (coded["offset"] - coded["onset"] <= events.ROUNDING_S) | (coded["offset"] > clip_s + events.ROUNDING_S)
    if wrong.any():  # no detection could cover it
        bad = coded[wrong].iloc[0]
        raise ValueError(f"event from {bad['onset']:g} to {bad['offset']:g} s: expected a length, within {clip_s:g} s")
    number = np.bincount(coded["label"], minlength=len(classes))
    if not number.all():
        raise ValueError(f"{classes[int(number.argmin())]}: no such event in the reference; leave out the class")
    edges = np.clip(first_s + frame_s * np.arange(scores.shape[1] + 1), 0, clip_s)
    real = np.diff(edges) > events.ROUNDING_S  # padding has no length
    if not real.any():
        raise ValueError(f"first_s={first_s}: no frame lies within the {clip_s} s of a file")
    edges = np.r_[edges[:-1][real], edges[1:][real][-1]]
    by_class = scores[:, real].transpose(0, 2, 1)  # (files, classes, frames)
    levels = np.sort(by_class, axis=2)
    found, false = _counts(coded, levels, by_class, edges, clip_s, tolerance)
    rates = [_curve(levels[:, k], found[:, k] / number[k], false[:, k]) for k in range(len(classes))]
    return _score(rates, classes, tolerance)


def _counts(
    coded: pd.DataFrame, levels: np.ndarray, scores: np.ndarray, edges: np.ndarray, clip_s: float, tolerance: Tolerance
) -> tuple[np.ndarray, np.ndarray]:
    """Events found and false detections per hour, for each file, class and threshold of `levels`: two arrays like it.

    At a threshold, all frames that score at least as much are active. False detections include weighted cross triggers.
    """
    n_files, n_classes, _ = levels.shape
    onset, offset = (coded[name].to_numpy()[:, None] for name in ("onset", "offset"))
    within = np.clip(edges, onset, offset) - onset  # (events, edges): seconds of the event before each edge
    sound = np.zeros((n_files, n_classes, len(edges)))
    np.add.at(sound, (coded["file"].to_numpy(), coded["label"].to_numpy()), within)
    lasting = np.bincount(coded["label"], (offset - onset)[:, 0], n_classes)
    parts, at_once = [], max(1, LARGEST // max(1, n_classes * len(edges) ** 2))
    for first in range(0, n_files, at_once):
        some = slice(first, first + at_once)
        mine = coded["file"].between(first, first + at_once - 1).to_numpy()
        runs = _runs(scores[some, :, None, :] >= levels[some, :, :, None])
        of_part = coded[mine].assign(file=lambda t, first=first: t["file"] - first)
        parts.append(_judged(runs, of_part, within[mine], sound[some], lasting, edges, n_files * clip_s, tolerance))
    found, false = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return found, false


def _runs(active: np.ndarray) -> tuple[np.ndarray, ...]:
    """Every run of True along the last axis: its other three indices, first frame, and the frame after its last."""
    change = np.diff(active.astype(np.int8), axis=3, prepend=0, append=0)
    return *np.nonzero(change == 1), np.nonzero(change == -1)[3]


def _judged(
    runs: tuple[np.ndarray, ...],
    coded: pd.DataFrame,
    within: np.ndarray,
    sound: np.ndarray,
    lasting: np.ndarray,
    edges: np.ndarray,
    total_s: float,
    tolerance: Tolerance,
) -> tuple[np.ndarray, np.ndarray]:
    """`_counts` of some files; `runs` are their detections: file, class, threshold, first and last edge."""
    file, label, level, a, b = runs
    shape = (*sound.shape[:2], len(edges) - 1)
    length = edges[b] - edges[a]
    relevant = sound[file, label, b] - sound[file, label, a] >= tolerance.dtc * length - events.ROUNDING_S
    row = file * shape[1] + label
    keys = coded["file"].to_numpy() * shape[1] + coded["label"].to_numpy()  # in order
    run, event = detection.ranges(*(np.searchsorted(keys, row[relevant], side) for side in ("left", "right")))
    overlap = within[event, b[relevant][run]] - within[event, a[relevant][run]]
    covered = np.bincount(event * shape[2] + level[relevant][run], overlap, len(keys) * shape[2])
    length_s = (coded["offset"] - coded["onset"]).to_numpy()[:, None]  # to its end, also past the last frame
    enough = tolerance.gtc * length_s - events.ROUNDING_S
    found = np.zeros((shape[0] * shape[1], shape[2]))
    np.add.at(found, keys, covered.reshape(-1, shape[2]) >= enough)
    place = (row * shape[2] + level)[~relevant]
    cost = np.full(len(place), 1 / total_s)
    if tolerance.alpha_ct and shape[1] > 1:
        file, label, a, b, length = (array[~relevant] for array in (file, label, a, b, length))
        crossed = sound[file, :, b] - sound[file, :, a] >= tolerance.cttc * length[:, None] - events.ROUNDING_S
        crossed[np.arange(len(label)), label] = False
        cost += tolerance.alpha_ct * (crossed / lasting).sum(1) / (shape[1] - 1)
    false = 3600 * np.bincount(place, cost, found.size)
    return found.reshape(shape), false.reshape(shape)


def _curve(levels: np.ndarray, found: np.ndarray, false: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The curve of one class over all files: rising false detections per hour, and the largest share found by then.

    All three arguments are `(files, thresholds)`, with rising thresholds. Files have different thresholds, so the
    changes of all files are sorted by threshold and then summed.
    """
    order = np.argsort(-levels, axis=None, kind="stable")
    level = levels.ravel()[order]
    last = np.r_[level[1:] != level[:-1], True]  # the last of equal thresholds
    sums = [np.cumsum(-np.diff(count, axis=1, append=0).ravel()[order])[last] for count in (false, found)]
    order = np.lexsort(sums[::-1])
    false, found = (np.r_[0, np.round(total[order], 9)] for total in sums)  # equal sums may differ by rounding
    return false, np.maximum.accumulate(found)


def _score(rates: list[tuple[np.ndarray, np.ndarray]], classes: Sequence[str], tolerance: Tolerance) -> Psds:
    """The mean curve over classes, minus their weighted standard deviation, and the areas under all curves."""
    end = tolerance.max_efpr
    ends = np.unique(np.concatenate([false for false, _ in rates]))
    grid = np.r_[ends[ends < end], end]
    by_class = np.array([found[np.searchsorted(false, grid, side="right") - 1] for false, found in rates])
    together = np.maximum(by_class.mean(0) - tolerance.alpha_st * by_class.std(0), 0)
    share = np.diff(grid) / end
    areas = pd.Series((by_class[:, :-1] * share).sum(1), index=list(classes), name="psds")
    curve = pd.DataFrame({"efpr": grid, "found": together})
    return Psds(float(together[:-1] @ share), curve, areas)
