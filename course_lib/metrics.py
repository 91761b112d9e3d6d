"""How good, and how sure: accuracy with an interval by source, and differences with an interval by pairs.

Clips of one source are right or wrong together. An interval that treats them as independent is too narrow, so the
sources are drawn again, not the clips. Notebook: 04.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from course_lib import events, matching


@dataclass(frozen=True)
class Interval:
    """A mean with the interval that covers the truth `level` of the time."""

    mean: float
    low: float
    high: float
    level: float = 0.95

    def __str__(self) -> str:
        return f"{self.mean:.3g} ({self.low:.3g} to {self.high:.3g})"

    def scaled(self, factor: float) -> "Interval":
        """The same in another unit, such as per cent."""
        return Interval(self.mean * factor, self.low * factor, self.high * factor, self.level)


def accuracy_by_source(
    correct: np.ndarray,
    sources: np.ndarray,
    *,
    weights: np.ndarray | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> Interval:
    """Accuracy and its percentile bootstrap interval over sources.

    `correct` is `(clips,)` of 0 and 1 (or of shares, where several runs judged a clip), `sources` `(clips,)`. The
    difference of two such arrays, from -1 to 1, gives the difference of two models on the same clips. `weights`
    `(clips,)` is how much each clip counts, None for all alike.
    Source: Efron & Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13; drawn by cluster.

    Raises
    ------
    ValueError
        Other shapes, no clips, or a single source, from which no spread can be told.
    """
    correct, sources = np.asarray(correct, dtype=np.float64), np.asarray(sources)
    if correct.ndim != 1 or correct.shape != sources.shape or not len(correct):
        raise ValueError(f"one source a clip: got shapes {correct.shape} and {sources.shape}")
    weights = np.ones(len(correct)) if weights is None else np.asarray(weights, dtype=np.float64)
    _, place = np.unique(sources, return_inverse=True)
    clips, hits = np.bincount(place, weights), np.bincount(place, weights * correct)
    if len(clips) < 2:
        raise ValueError("all clips are of one source; an interval needs at least two")
    drawn = np.random.default_rng(seed).multinomial(len(clips), np.full(len(clips), 1 / len(clips)), size=draws)
    low, high = np.quantile(drawn @ hits / (drawn @ clips), [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.average(correct, weights=weights)), float(low), float(high), level)


def paired_difference(first: np.ndarray, second: np.ndarray, *, level: float = 0.95) -> Interval:
    """Mean of `first - second` and its t interval, over pairs such as fold x seed.

    Folds differ by many points from each other; the same fold under two conditions differs by few. Only the pairs tell.

    Raises
    ------
    ValueError
        Other shapes, or fewer than two pairs.
    """
    first, second = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1 or len(first) < 2:
        raise ValueError(f"at least two pairs: got shapes {first.shape} and {second.shape}")
    difference = first - second
    if np.ptp(difference) == 0:  # scipy warns and returns no number
        return Interval(float(difference[0]), float(difference[0]), float(difference[0]), level)
    from scipy.stats import ttest_1samp

    found = ttest_1samp(difference, 0).confidence_interval(level)
    return Interval(float(difference.mean()), float(found.low), float(found.high), level)


def verdict(difference: Interval, margin: float = 0.0) -> str:
    """What an interval of a difference says of the claim that the truth is above `-margin`.

    `holds` where the whole interval lies above, `contradicted` where it lies below, `not shown` where `-margin` is in
    it. With a margin above 0 this is a test of non-inferiority; the margin has to be chosen before the numbers are
    seen. Notebook: 08.

    Raises
    ------
    ValueError
        The margin is negative, or the interval has no ends.
    """
    if not margin >= 0 or not difference.low <= difference.high:
        raise ValueError(f"margin={margin}, {difference}: expected a margin of 0 or more and an interval with ends")
    if difference.low > -margin:
        return "holds"
    return "contradicted" if difference.high < -margin else "not shown"


@dataclass(frozen=True, eq=False)
class Detection:
    """How well sounds are found. All of it follows from counts, which are there by class and by file.

    `micro_*` come from the counts of all classes together, `macro_f1` is the mean over the classes whose F1 is defined;
    what is not is NaN. `error_rate` is the sum of the three rates after it, each in parts of what is in the reference.
    `by_class` has the columns n_ref, n_sys, tp, f1, precision, recall, error_rate, deletion_rate, insertion_rate;
    `by_file` has n_ref, n_sys, tp over all classes, to draw files from: `2 tp / (n_ref + n_sys)`, of the sums over a
    draw, is its micro F1.
    """

    micro_f1: float
    micro_precision: float
    micro_recall: float
    macro_f1: float
    error_rate: float
    substitution_rate: float
    deletion_rate: float
    insertion_rate: float
    by_class: pd.DataFrame = field(repr=False)
    by_file: pd.DataFrame = field(repr=False)


def tagging_f1(
    reference: np.ndarray, estimated: np.ndarray, classes: Sequence[str] | None = None, *, silent_zero: bool = False
) -> Detection:
    """Whether clips hold sounds: bool `(clips, classes)` each. A clip counts as one segment does in `segment_based_f1`.

    Raises
    ------
    ValueError
        Other shapes, or scores instead of decisions: compare them with a threshold first.
    """
    reference, estimated = np.asarray(reference), np.asarray(estimated)
    if reference.ndim != 2 or reference.shape != estimated.shape or reference.dtype != bool or estimated.dtype != bool:
        raise ValueError(
            f"reference {reference.dtype} {reference.shape}, estimated {estimated.dtype} {estimated.shape}: expected "
            "bool (clips, classes) for both; compare scores with a threshold first"
        )
    classes = range(reference.shape[1]) if classes is None else classes
    counts = [reference, estimated, reference & estimated]
    errors = _confused(*(count.sum(axis=1) for count in counts))
    return _detection(counts, errors, pd.RangeIndex(len(reference), name="clip"), classes, silent_zero)


def segment_based_f1(
    reference: pd.DataFrame,
    estimated: pd.DataFrame,
    classes: Sequence[str],
    clip_s: float,
    segment_s: float = 1.0,
    *,
    silent_zero: bool = False,
) -> Detection:
    """Whether sounds are found in the right segments of `segment_s`, all clips being `clip_s` long.

    Both are event lists (see `course_lib.events`); the files are those that either names. An event counts in every
    segment that it touches, events beyond `clip_s` do not. In a segment, a missed class and a false one are together
    one substitution. Source: Mesaros, Heittola & Virtanen, "Metrics for polyphonic sound event detection", Applied
    Sciences 6(6), 2016; numbers as those of sed_eval 0.2.1, also where nothing is in the reference (F1 is NaN, an
    insertion rate huge) or nothing in the estimate (precision and F1 are NaN; with `silent_zero` precision is 0, and so
    is F1 where there is a reference, as DCASE task 4 has it). Notebook: 11.

    Raises
    ------
    CourseError
        One of both is no event list of these classes.
    ValueError
        `clip_s` or `segment_s` is not above 0.
    """
    if not (clip_s > 0 and segment_s > 0):
        raise ValueError(f"clip_s={clip_s}, segment_s={segment_s}: both must be above 0")
    files, both = _both(reference, estimated, classes)
    n_segments, n_labels = int(np.ceil(clip_s / segment_s)), len(classes)
    cells = [matching.cells(table, segment_s, n_segments, n_labels) for table in both]
    cells.append(np.intersect1d(*cells, assume_unique=True))
    counts = [_table(x // n_labels // n_segments, x % n_labels, files, classes) for x in cells]
    errors = _confused(*(np.bincount(x // n_labels, minlength=len(files) * n_segments) for x in cells))
    return _detection(counts, errors, files, classes, silent_zero)


def event_based_f1(
    reference: pd.DataFrame,
    estimated: pd.DataFrame,
    classes: Sequence[str],
    onset_collar_s: float = 0.2,
    offset_collar_s: float = 0.2,
    offset_ratio: float = 0.2,
    *,
    silent_zero: bool = False,
) -> Detection:
    """Whether events are found with their onsets and offsets, as in DCASE task 4.

    An event is right if one of its file and label has its onset within `onset_collar_s` and its offset within
    `offset_collar_s` or `offset_ratio` of the reference's length, whichever is more. Each is matched once, so that as
    many as possible are. A substitution is one left over that would be right but for its label. Lists, files,
    `silent_zero`, source and agreement with sed_eval (whose own `offset_ratio` is 0.5) as in `segment_based_f1`.
    Notebook: 11.

    Raises
    ------
    CourseError
        One of both is no event list of these classes.
    ValueError
        A collar or the ratio is negative.
    """
    if not min(onset_collar_s, offset_collar_s, offset_ratio) >= 0:
        raise ValueError(f"collars {onset_collar_s} and {offset_collar_s}, ratio {offset_ratio}: must be 0 or more")
    files, (ref, est) = _both(reference, estimated, classes)
    row, row_2 = matching.close_pairs(ref, est, onset_collar_s, offset_collar_s, offset_ratio)
    same = ref["label"].to_numpy()[row] == est["label"].to_numpy()[row_2]
    right_2, right = matching.one_to_one(row_2[same], row[same], largest=True)
    left = ~np.isin(row, right) & ~np.isin(row_2, right_2)
    substituted = len(matching.one_to_one(row[left], row_2[left], largest=False)[0])
    counts = [_table(x["file"], x["label"], files, classes) for x in (ref, est, ref.iloc[right])]
    spent = substituted + len(right)
    return _detection(counts, (substituted, len(ref) - spent, len(est) - spent), files, classes, silent_zero)


def _both(reference: pd.DataFrame, estimated: pd.DataFrame, classes: Sequence[str]) -> tuple[pd.Index, list]:
    """The files of both lists, and both in numbers."""
    for table, name in ((reference, "reference"), (estimated, "estimated")):
        events.check(table, classes, where=name)
    files = pd.Index(pd.concat([reference["filename"], estimated["filename"]]).unique(), name="filename")
    return files, [events.coded(table, files, classes) for table in (reference, estimated)]


def _table(file: np.ndarray, label: np.ndarray, files: Sequence, classes: Sequence) -> np.ndarray:
    """How often each file and label comes, `(files, classes)`."""
    shape = len(files), len(classes)
    return np.bincount(np.asarray(file) * shape[1] + label, minlength=shape[0] * shape[1]).reshape(shape)


def _confused(n_ref: np.ndarray, n_sys: np.ndarray, tp: np.ndarray) -> tuple[int, int, int]:
    """Substitutions, deletions and insertions of places with so many classes each."""
    return (np.minimum(n_ref, n_sys) - tp).sum(), np.maximum(n_ref - n_sys, 0).sum(), np.maximum(n_sys - n_ref, 0).sum()


def _detection(counts: list, errors: tuple, files: pd.Index, classes: Sequence, silent_zero: bool) -> Detection:
    """The scores of reference, estimate and what is right of it, each counted `(files, classes)`."""
    n_ref, n_sys, tp = (np.append(x.sum(axis=0), x.sum()) for x in counts)  # the last entry is over all classes
    with np.errstate(invalid="ignore"):  # 0 of 0 is NaN
        precision, recall = tp / n_sys, tp / n_ref
        if silent_zero:
            precision[n_sys == 0] = 0
        f1 = np.where((precision == 0) & (recall == 0), 0, 2 * precision * recall / (precision + recall))
    parts = n_ref + np.spacing(1)  # as sed_eval has it, so that no reference gives a number
    deletion, insertion = (n_ref - tp) / parts, (n_sys - tp) / parts
    by_class = {"n_ref": n_ref, "n_sys": n_sys, "tp": tp, "f1": f1, "precision": precision, "recall": recall}
    by_class |= {"error_rate": deletion + insertion, "deletion_rate": deletion, "insertion_rate": insertion}
    by_class = pd.DataFrame({name: x[:-1] for name, x in by_class.items()}, pd.Index(classes, name="event_label"))
    by_file = pd.DataFrame({n: x.sum(axis=1) for n, x in zip(("n_ref", "n_sys", "tp"), counts, strict=True)}, files)
    rates = [float(x / parts[-1]) for x in errors]
    overall = [float(x[-1]) for x in (f1, precision, recall)]
    return Detection(*overall, float(by_class["f1"].mean()), sum(rates), *rates, by_class, by_file)
