"""Tests of the exercises in notebook 11."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from course_lib.lesson.checks import NotYet, call, expect_function

Spans = list[tuple[float, float]]


def events_of(answer: object) -> str:
    """11.1: events from a row of decisions."""

    def runs(active: Sequence[bool]) -> list[tuple[int, int]]:
        edges = np.diff(np.r_[0, np.asarray(active, dtype=int), 0])
        return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))

    cases = [
        ([False, True, True, False, False, True, False, True], 0.08),
        ([True, True, True, False], 0.5),
        ([False, False, False], 0.02),
        ([True], 1.0),
    ]
    for active, frame_s in cases:
        got = _spans(call(answer, active, frame_s))
        wanted = [(a * frame_s, b * frame_s) for a, b in runs(active)]
        if _same(got, wanted):
            continue
        whole = [(a, b) for a, b in wanted if b < len(active) * frame_s - 1e-9]
        slips = {
            "an event lasts to the end of its last frame, not to its beginning": [(a, b - frame_s) for a, b in wanted],
            "frame k begins at k * frame_s; these times are half a frame late": (
                [(a + frame_s / 2, b + frame_s / 2) for a, b in wanted]
            ),
            "these are the middles of the first and the last frame; use their outer edges": (
                [(a + frame_s / 2, b - frame_s / 2) for a, b in wanted]
            ),
            "these are frame numbers; multiply by frame_s to get seconds": [(a, b) for a, b in runs(active)],
            "an event that is still active in the last frame is missing; it ends with that frame": whole,
            "an event of one active frame is missing": [(a, b) for a, b in wanted if b - a > 1.5 * frame_s],
            "these are onsets and lengths; return onsets and offsets": [(a, b - a) for a, b in wanted],
            "every active frame is listed separately; neighbours belong to one event": (
                [(k * frame_s, (k + 1) * frame_s) for k, on in enumerate(active) if on]
            ),
        }
        for reason, slip in slips.items():
            if _same(got, slip):
                raise NotYet(reason)
        told = [[(round(a, 6), round(b, 6)) for a, b in found] for found in (wanted, got)]
        raise NotYet(f"for {active} and frames of {frame_s:g} s: expected {told[0]}, got {told[1]}")
    return "A row of silence gives an empty list, and the last event may end with the clip."


def segment_f1(answer: object) -> str:
    """11.2: F1 over segments, of one class in one clip."""

    def shares(reference: Spans, estimated: Spans, segment_s: float, **rounding) -> tuple[int, int, int]:
        ref, est = (set(_touched(found, segment_s, **rounding)) for found in (reference, estimated))
        return len(ref & est), len(ref), len(est)

    def f1(reference: Spans, estimated: Spans, segment_s: float, **rounding) -> float:
        hits, n_ref, n_est = shares(reference, estimated, segment_s, **rounding)
        return 2 * hits / max(n_ref + n_est, 1)

    def doubled(reference: Spans, estimated: Spans, segment_s: float) -> float:
        hits, _, _ = shares(reference, estimated, segment_s)
        return 2 * hits / sum(len(_touched(found, segment_s)) for found in (reference, estimated))

    def share(of: int):
        return lambda r, e, s: shares(r, e, s)[0] / shares(r, e, s)[of]

    def union(reference: Spans, estimated: Spans, segment_s: float) -> float:
        hits, n_ref, n_est = shares(reference, estimated, segment_s)
        return hits / (n_ref + n_est - hits)

    slips = {
        "the segment in which an event ends also counts: round the offset up": lambda r, e, s: f1(
            r, e, s, last=math.floor
        ),
        "an event that ends on a boundary does not touch the next segment": lambda r, e, s: f1(
            r, e, s, last=lambda x: math.floor(x) + 1
        ),
        "any touch counts; do not round to the nearest segment": lambda r, e, s: f1(r, e, s, first=round, last=round),
        "a segment counts once, however many events touch it": doubled,
        "that is precision, the share of hits in what the detector lists": share(2),
        "that is recall, the share of hits in what the reference lists": share(1),
        "that divides by the union; F1 is 2 hits / (listed by the reference + listed by the detector)": union,
        "count the hits twice: each is listed on both sides": lambda r, e, s: f1(r, e, s) / 2,
        "segments last segment_s, not always 1 s": lambda r, e, s: f1(r, e, 1.0),
    }
    cases = [
        ([(1.25, 1.5)], [(1.0, 2.25), (3.25, 3.5)], 1.0),
        ([(0.25, 2.75), (1.5, 2.25)], [(0.5, 2.0), (2.0, 3.5)], 0.5),
        ([(0.75, 2.0), (6.25, 7.5)], [(1.75, 2.25)], 1.0),
        ([(0.0, 1.25)], [(0.75, 1.75), (1.75, 2.5)], 0.25),
        ([(2.0, 3.0)], [(5.0, 6.0)], 1.0),
    ]
    expect_function(answer, f1, cases, unit="", slips=slips)
    return "The last pair shares no segment, so its F1 is 0. Silence that both agree on never counts."


def _touched(found: Spans, segment_s: float, first: Callable = math.floor, last: Callable = math.ceil) -> list[int]:
    """Every segment of every event."""
    return [k for a, b in found for k in range(first(a / segment_s), last(b / segment_s))]


def needed_collar(answer: object) -> str:
    """11.3: the smallest collar with which a detected event is right."""

    def off(reference: tuple[float, float], estimated: tuple[float, float]) -> tuple[float, float]:
        return abs(estimated[0] - reference[0]), abs(estimated[1] - reference[1])

    def needed(reference: tuple, estimated: tuple, share: float = 0.2, length_s: float | None = None) -> float:
        onset_s, offset_s = off(reference, estimated)
        length_s = reference[1] - reference[0] if length_s is None else length_s
        return onset_s if offset_s <= share * length_s else max(onset_s, offset_s)

    slips = {
        "20 % of the reference's length, not of the detected event's": lambda r, e: needed(r, e, length_s=e[1] - e[0]),
        "the offset may be off by 20 % of the reference's length, collar or not": lambda r, e: max(off(r, e)),
        "that is only the onset; the offset must be right too": lambda r, e: off(r, e)[0],
        "each end may use the whole collar: take the larger, not the sum": lambda r, e: sum(off(r, e)),
        "both ends must be right: take the larger": lambda r, e: min(off(r, e)),
        "the 20 % are not subtracted: an offset beyond them needs the whole collar": lambda r, e: max(
            off(r, e)[0], off(r, e)[1] - 0.2 * (r[1] - r[0])
        ),
        "early and late count alike: use the absolute difference": lambda r, e: max(
            e[0] - r[0], e[1] - r[1] if off(r, e)[1] > 0.2 * (r[1] - r[0]) else 0
        ),
        "the 20 % apply to the offset only": lambda r, e: max(x if x > 0.2 * (r[1] - r[0]) else 0 for x in off(r, e)),
    }
    cases = [
        ((1.0, 1.5), (1.25, 2.25)),
        ((0.5, 8.5), (0.25, 7.5)),
        ((2.0, 3.0), (1.5, 3.125)),
        ((0.0, 1.0), (0.125, 4.25)),
        ((4.0, 6.0), (4.25, 5.25)),
        ((1.0, 2.0), (0.5, 1.25)),
        ((3.0, 7.0), (3.125, 6.0)),
        ((2.0, 6.0), (2.5, 6.25)),
        ((1.0, 2.0), (0.875, 2.25)),
    ]
    expect_function(answer, needed, cases, unit="s", slips=slips)
    return "The second detection ends a second early, yet a collar of 0.25 s is enough: a fifth of the 8 s is 1.6 s."


def reported(answer: object) -> str:
    """11.4: the test score of the filter that validation chose."""
    first = [
        {"median_ms": 1200, "validation_f1": 0.34, "test_f1": 0.29},
        {"median_ms": 80, "validation_f1": 0.25, "test_f1": 0.21},
        {"median_ms": 720, "validation_f1": 0.34, "test_f1": 0.31},
        {"median_ms": 400, "validation_f1": 0.33, "test_f1": 0.36},
        {"median_ms": 2960, "validation_f1": 0.19, "test_f1": 0.23},
    ]
    second = [dict(row, validation_f1=row["test_f1"], test_f1=row["validation_f1"] + 0.05) for row in first[:3]]
    for swept, wanted in ((first, 0.31), (second, 0.39)):
        got = call(answer, [dict(row) for row in swept])
        if isinstance(got, dict):
            raise NotYet("that is a whole row; return its test F1")
        if isinstance(got, bool) or not isinstance(got, int | float | np.number):
            raise NotYet(f"expected one number, got {type(got).__name__} {got!r}")
        if np.isclose(got, wanted):
            continue
        for reason, slip in _choices(swept).items():
            if np.isclose(got, slip):
                raise NotYet(reason)
        raise NotYet(
            f"it gives {got:g}, expected {wanted:g}, the test F1 of the shortest of the best filters on validation"
        )
    return "Another filter in the list has a higher test F1. It may not be reported."


def _choices(swept: list[dict]) -> dict[str, float]:
    """What wrong choices from `swept` return, by the sentence that names the mistake."""
    best = max(row["validation_f1"] for row in swept)
    equals = sorted((row for row in swept if row["validation_f1"] == best), key=lambda row: row["median_ms"])
    lowest = min(swept, key=lambda row: row["validation_f1"])
    return {
        "that is the best on the test: the test has chosen, and can no longer judge": max(r["test_f1"] for r in swept),
        "that is the validation F1 of the chosen filter; it was chosen by that number, so it flatters": best,
        "that is the filter; return its test F1": equals[0]["median_ms"],
        "of filters that are equally good on validation, take the shortest": equals[-1]["test_f1"],
        "that is the lowest on validation; take the highest": lowest["test_f1"],
        "that is a mean over filters, the score of none of them": float(np.mean([row["test_f1"] for row in swept])),
    }


def _spans(found: object) -> Spans:
    """The learner's list as pairs of numbers."""
    if not isinstance(found, list | tuple | np.ndarray):
        raise NotYet(f"expected a list of (onset, offset), got {type(found).__name__} {found!r}")
    try:
        return [(float(a), float(b)) for a, b in found]
    except (TypeError, ValueError):
        raise NotYet(f"expected pairs (onset, offset), got {found!r}") from None


def _same(first: Sequence, second: Sequence) -> bool:
    return len(first) == len(second) and np.allclose(np.array(first).reshape(-1), np.array(second).reshape(-1))


def alarm(answer: object) -> str:
    """11.5: an alarm that cannot look ahead; what it must do is tested, not how."""
    for frame_s in (0.08, 0.05):
        _alarm_at(answer, frame_s)
    return "It cannot look ahead, and it holds. Run the next cell, then move your thresholds."


def _alarm_at(answer: object, frame_s: float) -> None:
    """Raise `NotYet` for the first demand that an alarm does not meet with frames of `frame_s`."""

    def row(*parts: tuple[float, float]) -> np.ndarray:
        return np.concatenate([np.full(max(1, round(length_s / frame_s)), level) for level, length_s in parts])

    def state(p: np.ndarray) -> np.ndarray:
        got = np.asarray(call(answer, p.copy(), frame_s))
        if got.shape != p.shape:
            raise NotYet(f"expected one state per frame, shape {p.shape}; got {got.shape}")
        if got.dtype != bool and not np.isin(got, (0, 1)).all():
            raise NotYet(f"the alarm is on or off: return True or False per frame, got values such as {got.flat[0]!r}")
        return got.astype(bool)

    rng = np.random.default_rng(11)
    wild = rng.uniform(0, 1, round(6 / frame_s))
    whole = state(wild)
    for cut in (len(wild) // 3, len(wild) // 2, len(wild) - 1):
        if not np.array_equal(state(wild[:cut]), whole[:cut]):
            raise NotYet("it looks ahead: with the same past, another future changes the alarm")
    if state(row((0.05, 2), (0.19, 2))).any():
        raise NotYet("it rings although the probability never exceeds 0.2")
    if state(np.concatenate([row((0.05, 2)), [0.95], row((0.05, 2))])).any():
        raise NotYet("a single frame of 0.95 sets it off; wait until the probability has been high for a while")
    before_s, high_s = 1.0, 2.0
    on = state(row((0.05, before_s), (0.9, high_s), (0.05, 3)))
    rises, falls = round(before_s / frame_s), round(before_s / frame_s) + round(high_s / frame_s)
    if on[:rises].any():
        raise NotYet("it rings before the probability has risen")
    latest = rises + int(0.4 / frame_s + 1e-9)
    if not on[latest:falls].all():
        first = np.flatnonzero(on)
        when = f"{(first[0] - rises) * frame_s:.2f} s after the rise" if len(first) else "not at all"
        raise NotYet(f"with 0.9 that stays, it must be on after 0.4 s, and stay on; it comes on {when}")
    if on[falls + int(1.5 / frame_s + 1e-9) :].any():
        raise NotYet("it is still on 1.5 s after the probability has fallen to 0.05")
    dip = state(row((0.05, 1), (0.9, 1), (0.3, 0.3), (0.9, 1), (0.05, 3)))
    if np.count_nonzero(np.diff(dip.astype(int)) == 1) != 1:
        raise NotYet("a dip to 0.3 of 0.3 s makes it ring twice; switch off only after a longer or deeper dip")


EXERCISES = {"11.1": events_of, "11.2": segment_f1, "11.3": needed_collar, "11.4": reported, "11.5": alarm}
