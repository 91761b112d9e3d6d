"""Detection scores: F1 of tags, segments and events, and the event matching behind them.

Matching works on encoded event lists from `events.encode_events`: tables with integer columns `file` and `label`, and
`onset` and `offset` in seconds, over all files at once. Notebook: 11.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from course_lib.data import events

SLACK_S = 1e-3  # candidates are searched a little beyond the collar, so that rounding loses none


def cells(coded: pd.DataFrame, segment_s: float, n_segments: int, n_labels: int) -> np.ndarray:
    """Sorted unique indices of the cells `(file, segment, label)` that any event touches, `(cells,)`.

    An event touches the segments from `floor(onset / segment_s)` up to, but not including, `ceil(offset / segment_s)`;
    segments after the last are dropped. An event of length zero touches one segment, or none if it lies on a boundary.
    """
    first = np.floor(coded["onset"].to_numpy() / segment_s).astype(np.int64)
    last = np.minimum(np.ceil(coded["offset"].to_numpy() / segment_s).astype(np.int64), n_segments)
    event, segment = ranges(first, last)
    place = coded["file"].to_numpy()[event] * n_segments + segment
    return np.unique(place * n_labels + coded["label"].to_numpy()[event])


def ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The integers `first[k]`, ..., `last[k] - 1` of all `k` in turn: two arrays, the `k` of each and the integer."""
    sizes = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return owner, np.arange(len(owner)) + (first - np.cumsum(sizes) + sizes)[owner]


def close_pairs(
    reference: pd.DataFrame,
    estimated: pd.DataFrame,
    onset_collar_s: float,
    offset_collar_s: float,
    offset_ratio: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers of all pairs of a reference and an estimated event in the same file that are close, sorted.

    Close means that the onsets differ by at most `onset_collar_s`, and the offsets by at most `offset_collar_s` or
    `offset_ratio` times the length of the reference event, whichever is larger. Labels are not compared.
    """
    onset, offset, file = (reference[name].to_numpy() for name in ("onset", "offset", "file"))
    onset_2, offset_2, file_2 = (estimated[name].to_numpy() for name in ("onset", "offset", "file"))
    reach_s = onset_collar_s + SLACK_S
    span_s = max(onset.max(initial=0), onset_2.max(initial=0)) + 2 * reach_s + 1  # lays the files end to end
    order = np.lexsort((onset_2, file_2))
    line = (file_2 * span_s + onset_2)[order]
    place = file * span_s + onset
    row, nearby = ranges(np.searchsorted(line, place - reach_s), np.searchsorted(line, place + reach_s, "right"))
    row_2 = order[nearby]
    tolerance_s = np.maximum(offset_collar_s, offset_ratio * (offset - onset))[row]
    close = (np.abs(onset[row] - onset_2[row_2]) <= onset_collar_s) & (
        np.abs(offset[row] - offset_2[row_2]) <= tolerance_s
    )
    row, row_2 = row[close], row_2[close]
    order = np.lexsort((row_2, row))
    return row[order], row_2[order]


def one_to_one(left: np.ndarray, right: np.ndarray, *, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """A one-to-one matching among the candidate pairs `(left[k], right[k])` of numbers from 0.

    First greedy: each left, in the order of its first pair, takes the first right that is still free. With `largest`,
    the matching is then enlarged to a maximum one.

    Several maximum matchings may exist, and which one is returned decides which events are left over and so the error
    rate. This one is that of sed_eval; `scipy.sparse.csgraph.maximum_bipartite_matching` returns others.
    """
    alone = (np.bincount(left)[left] == 1) & (np.bincount(right)[right] == 1)  # most pairs have no alternative
    choices: dict[int, list[int]] = {}
    for u, v in zip(left[~alone].tolist(), right[~alone].tolist(), strict=True):
        choices.setdefault(u, []).append(v)
    taken: dict[int, int] = {}  # from a right to the left that it is matched with
    for u, rights in choices.items():
        free = next((v for v in rights if v not in taken), None)
        if free is not None:
            taken[free] = u
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + len(choices))  # a path may pass through every left
    try:
        while largest and _more_pairs(choices, taken):
            pass
    finally:
        sys.setrecursionlimit(limit)
    lefts, rights = (np.fromiter(x, np.int64, len(taken)) for x in (taken.values(), taken.keys()))
    return np.concatenate([left[alone], lefts]), np.concatenate([right[alone], rights])


def _more_pairs(choices: dict[int, list[int]], taken: dict[int, int]) -> bool:
    """Enlarge the matching `taken` along shortest augmenting paths; False if there is none.

    Source: Hopcroft & Karp, "An n^(5/2) algorithm for maximum matchings in bipartite graphs", 1973, one phase.
    """
    holders = set(taken.values())
    held: dict[int, int | None] = {u: None for u in choices if u not in holders}  # the right that a left would give up
    asked: dict[int, list[int]] = {}  # the lefts from which a right was reached
    layer, ends = list(held), []
    while layer and not ends:
        fresh: dict[int, list[int]] = {}
        for u in layer:
            for v in choices[u]:
                if v not in asked:
                    fresh.setdefault(v, []).append(u)
        asked |= fresh
        held |= {taken[v]: v for v in fresh if v in taken}
        layer = [taken[v] for v in fresh if v in taken]
        ends = [v for v in fresh if v not in taken]
    for end in ends:
        _take(end, asked, held, taken)
    return bool(ends)


def _take(v: int, asked: dict[int, list[int]], held: dict[int, int | None], taken: dict[int, int]) -> bool:
    """Augment the matching along a path that ends in the right `v`; False if no path is left.

    Nodes that were tried are removed, because the paths of one phase may not share any.
    """
    for u in asked.pop(v, ()):
        if u in held:
            given_up = held.pop(u)
            if given_up is None or _take(given_up, asked, held, taken):
                taken[v] = u
                return True
    return False


@dataclass(frozen=True, eq=False)
class Detection:
    """Detection scores, with the counts per class and per file that they follow from.

    The `micro_*` scores pool the counts of all classes; `macro_f1` is the mean over the classes whose F1 is defined.
    Undefined scores are NaN. `error_rate` is the sum of the three rates below it, each relative to the number of
    reference events. `by_class` has the columns n_ref, n_sys, tp, f1, precision, recall, error_rate, deletion_rate,
    insertion_rate. `by_file` has n_ref, n_sys, tp over all classes, for a bootstrap over files: the micro F1 of a
    resample is `2 tp / (n_ref + n_sys)` of its sums.
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
    reference: np.ndarray, estimated: np.ndarray, classes: Sequence[str] | None = None, *, zero_division: float = np.nan
) -> Detection:
    """F1 of tags, from bool arrays `(clips, classes)`. A clip counts like one segment in `segment_based_f1`.

    Raises
    ------
    ValueError
        The shapes differ, or the arrays are scores instead of decisions: apply a threshold first.
    """
    reference, estimated = np.asarray(reference), np.asarray(estimated)
    if reference.ndim != 2 or reference.shape != estimated.shape or reference.dtype != bool or estimated.dtype != bool:
        raise ValueError(
            f"reference {reference.dtype} {reference.shape}, estimated {estimated.dtype} {estimated.shape}: expected "
            "bool (clips, classes) for both; apply a threshold to scores first"
        )
    classes = range(reference.shape[1]) if classes is None else classes
    counts = [reference, estimated, reference & estimated]
    errors = _confused(*(count.sum(axis=1) for count in counts))
    return _detection(counts, errors, pd.RangeIndex(len(reference), name="clip"), classes, zero_division)


def segment_based_f1(
    reference: pd.DataFrame,
    estimated: pd.DataFrame,
    classes: Sequence[str],
    clip_s: float,
    segment_s: float = 1.0,
    *,
    zero_division: float = np.nan,
) -> Detection:
    """F1 over segments of `segment_s` seconds, for clips that are all `clip_s` long.

    Both arguments are event lists (see `course_lib.data.events`); the files are all that either of them names. An event
    is active in every segment that it touches; what lies beyond `clip_s` is ignored. A missed class and a false one in
    the same segment count as one substitution.

    The numbers equal those of sed_eval 0.2.1, also when the reference is empty (F1 is NaN, the insertion rate huge).
    `zero_division` is the precision of a class that was never estimated: NaN excludes the class from `macro_f1`; 0
    gives it an F1 of 0 if the reference has it, as in DCASE task 4. Source: Mesaros, Heittola & Virtanen, "Metrics for
    polyphonic sound event detection", Applied Sciences 6(6), 2016. Notebook: 11.

    Raises
    ------
    CourseError
        An argument is not an event list of these classes.
    ValueError
        `clip_s` or `segment_s` is not above 0.
    """
    if not (clip_s > 0 and segment_s > 0):
        raise ValueError(f"clip_s={clip_s}, segment_s={segment_s}: both must be above 0")
    files, both = _both(reference, estimated, classes)
    n_segments, n_labels = int(np.ceil(clip_s / segment_s)), len(classes)
    touched = [cells(table, segment_s, n_segments, n_labels) for table in both]
    touched.append(np.intersect1d(*touched, assume_unique=True))
    counts = [_table(x // n_labels // n_segments, x % n_labels, files, classes) for x in touched]
    errors = _confused(*(np.bincount(x // n_labels, minlength=len(files) * n_segments) for x in touched))
    return _detection(counts, errors, files, classes, zero_division)


def event_based_f1(
    reference: pd.DataFrame,
    estimated: pd.DataFrame,
    classes: Sequence[str],
    onset_collar_s: float = 0.2,
    offset_collar_s: float = 0.2,
    offset_ratio: float = 0.2,
    *,
    zero_division: float = np.nan,
) -> Detection:
    """F1 over events, which must have the right label, onset and offset, as in DCASE task 4.

    An estimated event is correct if it matches a reference event of the same file and label whose onset is within
    `onset_collar_s` and whose offset is within `offset_collar_s` or `offset_ratio` times its length, whichever is
    larger. The matching is one-to-one and as large as possible. A substitution is a pair of events left over that would
    match but for the label. Event lists, files, `zero_division`, source and agreement with sed_eval (whose default
    `offset_ratio` is 0.5) are as in `segment_based_f1`. Notebook: 11.

    Times are compared as they are, without rounding, as sed_eval does. An event exactly one collar late is therefore
    decided by floating-point error: with a collar of 0.2 s, an onset at 1.2 s instead of 1.0 s is correct, one at 2.2 s
    instead of 2.0 s is not. mir_eval rounds instead. Real estimates hardly ever lie exactly on the collar; frames on a
    grid may, so avoid collars that are a multiple of the frame.

    Raises
    ------
    CourseError
        An argument is not an event list of these classes.
    ValueError
        A collar or the ratio is negative.
    """
    if not min(onset_collar_s, offset_collar_s, offset_ratio) >= 0:
        raise ValueError(f"collars {onset_collar_s} and {offset_collar_s}, ratio {offset_ratio}: must be 0 or more")
    files, (ref, est) = _both(reference, estimated, classes)
    row, row_2 = close_pairs(ref, est, onset_collar_s, offset_collar_s, offset_ratio)
    same = ref["label"].to_numpy()[row] == est["label"].to_numpy()[row_2]
    right_2, right = one_to_one(row_2[same], row[same], largest=True)
    left = ~np.isin(row, right) & ~np.isin(row_2, right_2)
    substituted = len(one_to_one(row[left], row_2[left], largest=False)[0])
    counts = [_table(x["file"], x["label"], files, classes) for x in (ref, est, ref.iloc[right])]
    spent = substituted + len(right)
    return _detection(counts, (substituted, len(ref) - spent, len(est) - spent), files, classes, zero_division)


def _both(reference: pd.DataFrame, estimated: pd.DataFrame, classes: Sequence[str]) -> tuple[pd.Index, list]:
    """All files that either list names, and both lists encoded."""
    for table, name in ((reference, "reference"), (estimated, "estimated")):
        events.check(table, classes, where=name)
    files = pd.Index(pd.concat([reference["filename"], estimated["filename"]]).unique(), name="filename")
    return files, [events.encode_events(table, files, classes) for table in (reference, estimated)]


def _table(file: np.ndarray, label: np.ndarray, files: Sequence, classes: Sequence) -> np.ndarray:
    """Number of events per file and class, `(files, classes)`."""
    shape = len(files), len(classes)
    return np.bincount(np.asarray(file) * shape[1] + label, minlength=shape[0] * shape[1]).reshape(shape)


def _confused(n_ref: np.ndarray, n_sys: np.ndarray, tp: np.ndarray) -> tuple[int, int, int]:
    """Substitutions, deletions and insertions, from the class counts per segment."""
    return (np.minimum(n_ref, n_sys) - tp).sum(), np.maximum(n_ref - n_sys, 0).sum(), np.maximum(n_sys - n_ref, 0).sum()


def _detection(counts: list, errors: tuple, files: pd.Index, classes: Sequence, zero_division: float) -> Detection:
    """Scores from the counts of reference, estimated and correct events, each `(files, classes)`."""
    n_ref, n_sys, tp = (np.append(x.sum(axis=0), x.sum()) for x in counts)  # the last entry is over all classes
    with np.errstate(invalid="ignore"):  # 0 of 0 is NaN
        precision, recall = tp / n_sys, tp / n_ref
        precision[n_sys == 0] = zero_division
        f1 = np.where((precision == 0) & (recall == 0), 0, 2 * precision * recall / (precision + recall))
    parts = n_ref + np.spacing(1)  # as in sed_eval, so that an empty reference gives a number
    deletion, insertion = (n_ref - tp) / parts, (n_sys - tp) / parts
    by_class = {"n_ref": n_ref, "n_sys": n_sys, "tp": tp, "f1": f1, "precision": precision, "recall": recall}
    by_class |= {"error_rate": deletion + insertion, "deletion_rate": deletion, "insertion_rate": insertion}
    by_class = pd.DataFrame({name: x[:-1] for name, x in by_class.items()}, pd.Index(classes, name="event_label"))
    by_file = pd.DataFrame({n: x.sum(axis=1) for n, x in zip(("n_ref", "n_sys", "tp"), counts, strict=True)}, files)
    rates = [float(x / parts[-1]) for x in errors]
    return Detection(
        micro_f1=float(f1[-1]),
        micro_precision=float(precision[-1]),
        micro_recall=float(recall[-1]),
        macro_f1=float(by_class["f1"].mean()),
        error_rate=sum(rates),
        substitution_rate=rates[0],
        deletion_rate=rates[1],
        insertion_rate=rates[2],
        by_class=by_class,
        by_file=by_file,
    )
