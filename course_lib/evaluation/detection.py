"""Detection scores: F1 of tags, segments and events, with the matching of events that they count on.

Matching works on lists of numbers: a table with the columns `file`, `label` (whole numbers), `onset` and `offset`
(seconds), as `events.encode_events` makes it, over all files at once. Notebook: 11.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from course_lib.data import events

SLACK_S = 1e-3  # pairs are first looked for a little beyond the collar, so that no rounding loses one


def cells(coded: pd.DataFrame, segment_s: float, n_segments: int, n_labels: int) -> np.ndarray:
    """Numbers of the cells `(file, segment, label)` that any event touches, each once and in order, `(cells,)`.

    An event touches the segments from `floor(onset / segment_s)` up to, without it, `ceil(offset / segment_s)`; those
    after the last are cut off. So an event without length touches one segment, or none where it lies on the grid.
    """
    first = np.floor(coded["onset"].to_numpy() / segment_s).astype(np.int64)
    last = np.minimum(np.ceil(coded["offset"].to_numpy() / segment_s).astype(np.int64), n_segments)
    event, segment = ranges(first, last)
    place = coded["file"].to_numpy()[event] * n_segments + segment
    return np.unique(place * n_labels + coded["label"].to_numpy()[event])


def ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All whole numbers from `first[k]` up to, without it, `last[k]`, one range after another, and their `k`."""
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
    """Rows of `reference` and of `estimated` that are of one file and close, whatever their labels, in their order.

    Close: the onsets are at most `onset_collar_s` apart, and the offsets at most `offset_collar_s` or `offset_ratio` of
    the reference's length, whichever is more.
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
    """The pairs of `left` and `right` (numbers from 0) that remain when each of either may be in one pair only.

    The lefts choose in the order of their first pairs, each the first free right in the order of its own pairs. With
    `largest`, choices are then changed as long as that makes more pairs.

    Which of several largest matchings comes out decides what is left over, and with it the error rate. So this keeps
    the order of sed_eval's, which `scipy.sparse.csgraph.maximum_bipartite_matching` does not.
    """
    alone = (np.bincount(left)[left] == 1) & (np.bincount(right)[right] == 1)  # most pairs leave nothing to choose
    choices: dict[int, list[int]] = {}
    for u, v in zip(left[~alone].tolist(), right[~alone].tolist(), strict=True):
        choices.setdefault(u, []).append(v)
    taken: dict[int, int] = {}  # the left that holds a right
    for u, rights in choices.items():
        free = next((v for v in rights if v not in taken), None)
        if free is not None:
            taken[free] = u
    while largest and _more_pairs(choices, taken):
        pass
    lefts, rights = (np.fromiter(x, np.int64, len(taken)) for x in (taken.values(), taken.keys()))
    return np.concatenate([left[alone], lefts]), np.concatenate([right[alone], rights])


def _more_pairs(choices: dict[int, list[int]], taken: dict[int, int]) -> bool:
    """Change `taken` along shortest paths from free lefts to free rights; False where there is none.

    Source: Hopcroft & Karp, "An n^(5/2) algorithm for maximum matchings in bipartite graphs", 1973, one phase.
    """
    holders = set(taken.values())
    held: dict[int, int | None] = {u: None for u in choices if u not in holders}  # the right a left would give up
    asked: dict[int, list[int]] = {}  # the lefts that would come to a right
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
        _change(end, asked, held, taken)
    return bool(ends)


def _change(end: int, asked: dict[int, list[int]], held: dict[int, int | None], taken: dict[int, int]) -> None:
    """Follow one path back from the free right `end`; what it passes is struck off, for paths share nothing."""
    path, comers = [end], [iter(asked.pop(end))]
    movers: list[int] = []
    while path:
        u = next((u for u in comers[-1] if u in held), None)
        if u is None:  # a dead end: one step back
            path.pop(), comers.pop()
            movers = movers[: len(path) - 1] if path else []
            continue
        movers.append(u)
        given_up = held.pop(u)
        if given_up is None:
            taken.update(zip(path, movers, strict=True))
            return
        path.append(given_up)
        comers.append(iter(asked.pop(given_up, ())))


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
    reference: np.ndarray, estimated: np.ndarray, classes: Sequence[str] | None = None, *, zero_division: float = np.nan
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
    """Whether sounds are found in the right segments of `segment_s`, all clips being `clip_s` long.

    Both are event lists (see `course_lib.data.events`); the files are those that either names. An event counts in every
    segment that it touches, events beyond `clip_s` do not. In a segment, a missed class and a false one are together
    one substitution. Source: Mesaros, Heittola & Virtanen, "Metrics for polyphonic sound event detection", Applied
    Sciences 6(6), 2016; numbers as those of sed_eval 0.2.1, also where nothing is in the reference (F1 is NaN, an
    insertion rate huge). `zero_division` is the precision where nothing was estimated: NaN leaves the class out of
    `macro_f1`; with 0, its F1 is 0 if it is in the reference, as in DCASE task 4. Notebook: 11.

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
    """Whether events are found with their onsets and offsets, as in DCASE task 4.

    An event is right if one of its file and label has its onset within `onset_collar_s` and its offset within
    `offset_collar_s` or `offset_ratio` of the reference's length, whichever is more. Each is matched once, so that as
    many as possible are. A substitution is one left over that would be right but for its label. Lists, files,
    `zero_division`, source and agreement with sed_eval (whose own `offset_ratio` is 0.5) as in `segment_based_f1`.
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
    row, row_2 = close_pairs(ref, est, onset_collar_s, offset_collar_s, offset_ratio)
    same = ref["label"].to_numpy()[row] == est["label"].to_numpy()[row_2]
    right_2, right = one_to_one(row_2[same], row[same], largest=True)
    left = ~np.isin(row, right) & ~np.isin(row_2, right_2)
    substituted = len(one_to_one(row[left], row_2[left], largest=False)[0])
    counts = [_table(x["file"], x["label"], files, classes) for x in (ref, est, ref.iloc[right])]
    spent = substituted + len(right)
    return _detection(counts, (substituted, len(ref) - spent, len(est) - spent), files, classes, zero_division)


def _both(reference: pd.DataFrame, estimated: pd.DataFrame, classes: Sequence[str]) -> tuple[pd.Index, list]:
    """The files of both lists, and both in numbers."""
    for table, name in ((reference, "reference"), (estimated, "estimated")):
        events.check(table, classes, where=name)
    files = pd.Index(pd.concat([reference["filename"], estimated["filename"]]).unique(), name="filename")
    return files, [events.encode_events(table, files, classes) for table in (reference, estimated)]


def _table(file: np.ndarray, label: np.ndarray, files: Sequence, classes: Sequence) -> np.ndarray:
    """How often each file and label comes, `(files, classes)`."""
    shape = len(files), len(classes)
    return np.bincount(np.asarray(file) * shape[1] + label, minlength=shape[0] * shape[1]).reshape(shape)


def _confused(n_ref: np.ndarray, n_sys: np.ndarray, tp: np.ndarray) -> tuple[int, int, int]:
    """Substitutions, deletions and insertions of places with so many classes each."""
    return (np.minimum(n_ref, n_sys) - tp).sum(), np.maximum(n_ref - n_sys, 0).sum(), np.maximum(n_sys - n_ref, 0).sum()


def _detection(counts: list, errors: tuple, files: pd.Index, classes: Sequence, zero_division: float) -> Detection:
    """The scores of reference, estimate and what is right of it, each counted `(files, classes)`."""
    n_ref, n_sys, tp = (np.append(x.sum(axis=0), x.sum()) for x in counts)  # the last entry is over all classes
    with np.errstate(invalid="ignore"):  # 0 of 0 is NaN
        precision, recall = tp / n_sys, tp / n_ref
        precision[n_sys == 0] = zero_division
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
