"""Tests of the exercises in notebook 07."""

import math

import numpy as np

from course_lib.audio.timebase import out_frames
from course_lib.lesson.checks import NotAttempted, NotYet, call, expect_array, expect_function


def widths(answer: object) -> str:
    """07.1: from scores of 0 or more to widths that sum to the output length."""
    cases = [(np.array([0.1, 0.9, 0.2, 0.3, 0.1, 0.4]), 3), (np.array([0.5, 0.4, 0.6, 0.3]), 2), (np.ones(5), 5)]
    for scores, n_out in cases:
        scaled = scores * n_out / scores.sum()
        capped = scaled / max(1, scaled.max())
        missing = n_out - capped.sum()
        room = 1 - capped
        wanted = capped + (room * missing / room.sum() if room.sum() > 0 else 0)
        got = call(answer, scores.copy(), n_out)
        slips = {
            "only scaled to the sum; one frame is wider than 1": scaled,
            "cut off at 1: scale all of them down together, which keeps their ratios": np.minimum(scaled, 1),
            "the largest is 1 now, but the sum is too small: distribute what is missing": capped,
            "what is missing was distributed equally; do it in proportion to the distance from 1": (
                capped + missing / len(scores)
            ),
            "the widths sum to 1; they must sum to the output length": scores / scores.sum(),
        }
        expect_array(got, wanted, what=f"widths of {len(scores)} scores for {n_out} output frames", slips=slips)
    return "The same as `diffres.rectify`: between 0 and 1, and the sum is the output length to the last digit."


def shares(answer: object) -> str:
    """07.2: a frame that is shared between two output frames."""

    def reference(start: float, end: float) -> tuple[int, float, float]:
        column = math.ceil(end) - 1
        own = end - max(start, column)
        return column, own, end - start - own

    slips = {
        "a frame that ends on a cut belongs to the piece before it: ceil(end) - 1, not floor(end)": lambda a, b: (
            math.floor(b), b - max(a, math.floor(b)), b - a - (b - max(a, math.floor(b)))
        ),
        "own is counted from the frame's start if that lies after the cut: max(start, column)": lambda a, b: (
            math.ceil(b) - 1, b - (math.ceil(b) - 1), b - a - (b - (math.ceil(b) - 1))
        ),
        "own and before are swapped: own goes to the piece in which the frame ends": lambda a, b: (
            reference(a, b)[0], reference(a, b)[2], reference(a, b)[1]
        ),
        "that is the piece in which the frame starts; return the one in which it ends": lambda a, b: (
            math.floor(a), *reference(a, b)[1:]
        ),
        "columns count from 0: ceil(end) - 1": lambda a, b: (math.ceil(b), *reference(a, b)[1:]),
        "the two shares must add up to the width of the frame, end - start": lambda a, b: (
            reference(a, b)[0], reference(a, b)[1], b - a
        ),
    }  # fmt: skip
    cases = [(0.25, 0.5), (0.75, 1.25), (1.5, 2.0), (2.0, 3.0), (2.875, 3.25), (0.0, 1.0)]
    expect_function(answer, reference, cases, unit="", slips=slips, names=("column", "own", "before"))
    return "That is the whole warp matrix: two numbers per frame, and where they belong."


def merged_db(answer: object) -> str:
    """07.3: two levels merged as power."""

    def reference(first_db: float, second_db: float, share: float) -> float:
        return 10 * math.log10(share * 10 ** (first_db / 10) + (1 - share) * 10 ** (second_db / 10))

    slips = {
        "that is the mean of the decibels; go back to power first": lambda a, b, w: w * a + (1 - w) * b,
        "these are levels of power: 10 dB is a factor of ten, not 20 dB": lambda a, b, w: (
            20 * math.log10(w * 10 ** (a / 20) + (1 - w) * 10 ** (b / 20))
        ),
        "`share` belongs to the first level, the rest to the second": lambda a, b, w: reference(b, a, w),
        "that is the sum of the powers; weight them by `share` and 1 - `share`": lambda a, b, w: (
            10 * math.log10(10 ** (a / 10) + 10 ** (b / 10))
        ),
        "the merged power is right; now convert it to decibels": lambda a, b, w: 10 ** (reference(a, b, w) / 10),
        "that is the natural logarithm; decibels use base 10": lambda a, b, w: reference(a, b, w) * math.log(10),
        "that is the louder of the two, the peak and not the mean": lambda a, b, w: max(a, b),
    }
    cases = [(-10.0, -50.0, 0.25), (-60.0, -20.0, 0.5), (-30.0, -30.0, 0.75), (-12.0, -20.0, 0.125)]
    expect_function(answer, reference, cases, unit="dB", rel=1e-6, slips=slips)
    return "Half a frame at -20 dB and half a frame at -60 dB make -23 dB; the mean of the decibels would be -40."


def reduced_cost(answer: object) -> str:
    """07.4: output frames and multiply-accumulates of scorer and classifier."""

    def reference(n_frames: int, reduction: float, scorer: int, network: int) -> tuple[int, float]:
        left = out_frames(n_frames, reduction)
        return left, n_frames * scorer + left * network

    slips = {
        "the number of frames was rounded down; round to the nearest whole number": lambda n, r, s, c: (
            int(n * (1 - r)), n * s + int(n * (1 - r)) * c
        ),
        "that keeps the share `reduction`; it is the share to remove": lambda n, r, s, c: (
            round(n * r), n * s + round(n * r) * c
        ),
        "the scorer sees every frame, including the merged ones": lambda n, r, s, c: (
            reference(n, r, s, c)[0], reference(n, r, s, c)[0] * (s + c)
        ),
        "the network sees only the output frames": lambda n, r, s, c: (reference(n, r, s, c)[0], n * (s + c)),
        "the scorer costs something too": lambda n, r, s, c: (
            reference(n, r, s, c)[0], reference(n, r, s, c)[0] * c
        ),
        "that is the difference; add the MACs of scorer and network": lambda n, r, s, c: (
            reference(n, r, s, c)[0], reference(n, r, s, c)[0] * c - n * s
        ),
    }  # fmt: skip
    cases = [(500, 0.25, 5_000, 130_000), (1000, 0.9, 80_000, 130_000), (98, 0.3, 3_000, 50_000)]
    expect_function(answer, reference, cases, unit="", slips=slips, names=("frames", "MACs"))
    return "In the second case the scorer sees 1000 frames, the network 100: the scorer costs more."


def gradient_by_scores(answer: object) -> str:
    """07.5: from the gradient with respect to the edges to that with respect to the scores."""
    rng = np.random.default_rng(5)
    for n_frames, n_out in ((6, 2), (9, 4)):
        by_edge, scores = rng.standard_normal(n_frames), rng.uniform(0.3, 0.5, n_frames)
        by_width = np.cumsum(by_edge[::-1])[::-1]
        factor, widths = n_out / scores.sum(), n_out * scores / scores.sum()

        def centred(g: np.ndarray, weights: np.ndarray = widths) -> np.ndarray:
            return g - np.sum(weights * g) / np.sum(weights)

        slips = {
            "that is the gradient with respect to the widths; the scores come in through n p_i / sum(p)": by_width,
            "the factor is right; the denominator sum(p) depends on every score too": factor * by_width,
            "the cumulative sum runs from the last frame to the first": factor * centred(np.cumsum(by_edge)),
            "the mean is weighted by the widths": factor * (by_width - by_width.mean()),
            "the factor n / sum(p) is missing": centred(by_width),
            "`by_edge` has to be summed first: the width of a frame is part of every later edge": (
                factor * centred(by_edge)
            ),
        }
        got = call(answer, by_edge.copy(), scores.copy(), n_out)
        what = f"gradient of {n_frames} scores for {n_out} output frames"
        expect_array(got, factor * centred(by_width), what=what, slips=slips)
    return "Scores times gradients sum to zero: scaling all scores by one factor changes nothing."


CHANCE, LEARNED, LONG = 50, 85, 300  # accuracy in % on two classes; steps after which a run should have learned


def start_of_scores(answer: object) -> str:
    """07.6 (open): the result of training from the learner's own gain and bias."""
    if answer is None or answer is Ellipsis:
        raise NotAttempted
    if not isinstance(answer, dict) or not answer.keys() >= {"start_widths", "gain", "bias", "steps", "accuracy"}:
        raise NotYet(f"`my_start` returns two finite numbers, gain and bias; yours gave {answer!r}")
    widths = np.asarray(answer["start_widths"])
    contrast = np.mean(np.quantile(widths, 0.95, axis=1) / np.quantile(widths, 0.5, axis=1))
    tried = f"gain {answer['gain']:g} and bias {answer['bias']:g}"
    if contrast < 1.1:
        raise NotYet(
            f"with {tried}, the widest twentieth of the frames starts only {contrast:.2f} times as wide as the middle "
            "one: the widths are nearly equal, and the layer only averages neighbours"
        )
    idle = np.mean(widths < 1e-3)
    if idle > 0.5:
        raise NotYet(
            f"with {tried}, {100 * idle:.0f} % of the frames start with a width near zero: the sigmoid is flat there, "
            "and their scores hardly get a gradient"
        )
    if answer["steps"] >= LONG and answer["accuracy"] < LEARNED:
        raise NotYet(
            f"with {tried}, {answer['accuracy']:.0f} % of the test clips are right, and guessing gives {CHANCE} %; the "
            "initial values look plausible; try another seed, then other values"
        )
    return (
        f"From {tried}, the widest twentieth starts {contrast:.1f} times as wide as the middle frame, and "
        f"{answer['accuracy']:.0f} % of the test clips are right. Does another seed agree?"
    )


EXERCISES = {
    "07.1": widths,
    "07.2": shares,
    "07.3": merged_db,
    "07.4": reduced_cost,
    "07.5": gradient_by_scores,
    "07.6": start_of_scores,
}
