"""Tests of the exercises in notebook 10."""

import numpy as np

from course_lib.lesson.checks import NotYet, call, expect_array, expect_function


def nearest_places(answer: object) -> str:
    """10.1: for each time the place of the nearest frame."""
    cases = [
        (0.09 + 0.32 * np.arange(6), 0.03 + 0.08 * np.arange(20)),
        ((np.arange(8) + 0.5) / 4, np.array([0.0, 0.25, 0.9, 1.9, 2.5])),
        (np.array([1.0, 2.0]), np.array([0.1, 1.5, 1.6, 7.0])),
    ]
    for times_s, at_s in cases:
        got = call(answer, times_s.copy(), at_s.copy())
        apart = np.abs(at_s[:, None] - times_s)
        wanted = apart.argmin(1)
        last = len(times_s) - 1
        slips = {
            "these are the times of the nearest frames; their places are asked": times_s[wanted],
            "a place of `at_s` for each frame is the other way round; asked is a frame for each time": apart.argmin(0),
            "that is the frame after each time; the one before it may be nearer": (
                np.searchsorted(times_s, at_s).clip(0, last)
            ),
            "that is the frame before each time; the one after it may be nearer": (
                (np.searchsorted(times_s, at_s, "right") - 1).clip(0, last)
            ),
            "where two frames are equally near, take the earlier one": last - apart[:, ::-1].argmin(1),
            "that is the farthest frame": apart.argmax(1),
            "these are the distances; asked is where they are smallest": apart.min(1),
        }
        if np.shape(got) == apart.shape:
            raise NotYet("that is a matrix, one row per time; asked is the place of the nearest frame in each row")
        expect_array(got, wanted.astype(float), what="places", slips=slips)
    return "Rows of a matrix with a single 1: `timebase.alignment` in one line."


def pool(answer: object) -> str:
    """10.2: linear softmax pooling of frames."""
    rng = np.random.default_rng(2)
    cases = [rng.uniform(0.05, 0.95, (6, 3)), rng.uniform(0.05, 0.95, (4, 2)), np.full((5, 2), 0.3)]
    for y in cases:
        got = call(answer, y.copy())
        wanted = (y**2).sum(0) / y.sum(0)
        slips = {
            "that is the mean: every frame weighs the same": y.mean(0),
            "that is the maximum: one frame decides": y.max(0),
            "that is the mean of the squares; divide by the sum of the probabilities": (y**2).mean(0),
            "the sum of squares still has to be divided by the sum": (y**2).sum(0),
            "squared too late: the square of the sum is not the sum of the squares": y.sum(0) ** 2 / y.sum(0),
            "turned round: the squares stand above": y.sum(0) / (y**2).sum(0),
            "that is the root of the mean square; no root is taken": np.sqrt((y**2).mean(0)),
            "that is exponential softmax; here a frame's weight is its probability itself": (
                (y * np.exp(y)).sum(0) / np.exp(y).sum(0)
            ),
            "summed over the classes; sum over the frames, the first axis": (y**2).sum(1) / y.sum(1),
            "summed over frames and classes together; keep the classes apart": np.array((y**2).sum() / y.sum()),
        }
        expect_array(got, wanted, what="probabilities", slips=slips)
    return "Frames that are all alike give their own probability, whatever their number: the last case."


def followed(answer: object) -> str:
    """10.3: one update of the mean teacher."""

    def reference(teacher: float, student: float, step: int, past: float) -> float:
        share = min(1 - 1 / (step + 1), past)
        return share * teacher + (1 - share) * student

    slips = {
        "the share belongs to the teacher's own past, the rest to the student": lambda t, s, k, a: (
            (share := min(1 - 1 / (k + 1), a)) * s + (1 - share) * t
        ),
        "`past` alone: in the first steps the share of the past is smaller, 1 - 1 / (step + 1)": lambda t, s, k, a: (
            a * t + (1 - a) * s
        ),
        "`past` never comes in: that is the mean of all steps so far, and soon stands still": lambda t, s, k, a: (
            (1 - 1 / (k + 1)) * t + s / (k + 1)
        ),
        "the larger of both shares; `past` is the highest that is allowed": lambda t, s, k, a: (
            (share := max(1 - 1 / (k + 1), a)) * t + (1 - share) * s
        ),
        "steps count from 0: 1 - 1 / (step + 1)": lambda t, s, k, a: (
            (share := min(1 - 1 / max(k, 1), a)) * t + (1 - share) * s
        ),
        "that is the share, not the weights": lambda t, s, k, a: min(1 - 1 / (k + 1), a),
        "that is the move; add it to the teacher": lambda t, s, k, a: (1 - min(1 - 1 / (k + 1), a)) * (s - t),
    }
    cases = [(0.4, 1.0, 0, 0.99), (0.4, 1.0, 3, 0.99), (-0.5, 0.7, 1000, 0.99), (2.0, -1.0, 50, 0.9)]
    expect_function(answer, reference, cases, unit="", slips=slips)
    return "At step 0 the teacher is the student; a thousand steps later it moves by a hundredth."


def micro_f1(answer: object) -> str:
    """10.4: micro F1 of tags from counts by class."""

    def reference(n_ref: np.ndarray, n_sys: np.ndarray, right: np.ndarray) -> float:
        return float(2 * right.sum() / (n_ref.sum() + n_sys.sum()))

    slips = {
        "that is the mean over the classes, macro F1; put the counts together first": lambda r, s, t: np.nanmean(
            2 * t / (r + s)
        ),
        "that is precision, of what was named alone": lambda r, s, t: t.sum() / s.sum(),
        "that is recall, of what was there alone": lambda r, s, t: t.sum() / r.sum(),
        "right ones stand in both counts below, so they count twice above": lambda r, s, t: (
            t.sum() / (r.sum() + s.sum())
        ),
        "right over all that is there or named, each once, is Jaccard's measure, not F1": lambda r, s, t: (
            t.sum() / (r.sum() + s.sum() - t.sum())
        ),
        "that is the mean of precision and recall; F1 is their harmonic mean": lambda r, s, t: (
            (t.sum() / r.sum() + t.sum() / s.sum()) / 2
        ),
        "a share lies between 0 and 1": lambda r, s, t: 200 * t.sum() / (r.sum() + s.sum()),
    }
    cases = [
        (np.array([10, 40, 5]), np.array([12, 30, 1]), np.array([8, 24, 1])),
        (np.array([7, 9]), np.array([20, 3]), np.array([7, 2])),
        (np.array([4, 6, 3, 2]), np.array([0, 8, 9, 1]), np.array([0, 5, 3, 0])),
    ]
    got = call(answer, *(a.copy() for a in cases[0]))
    if isinstance(got, np.ndarray) and got.ndim:
        raise NotYet(f"one number for all classes is asked, got an array of {got.shape}: add the counts up first")
    expect_function(answer, reference, cases, unit="", slips=slips)
    return "The third case has a class that is never named: it costs what it had."


EXERCISES = {"10.1": nearest_places, "10.2": pool, "10.3": followed, "10.4": micro_f1}
