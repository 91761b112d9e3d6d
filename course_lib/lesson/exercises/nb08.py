"""Tests of the exercises in notebook 08."""

import numpy as np

from course_lib.analysis.probe import success_interval
from course_lib.evaluation.intervals import Interval, verdict
from course_lib.lesson.checks import NotYet, call, expect_function


def saved_share(answer: object) -> str:
    """08.1: what a layer saves once its own cost is counted."""

    def reference(reduction: float, scorer: float, classifier: float) -> float:
        return reduction - scorer / classifier

    slips = {
        "that is what the classifier saves; the scorer costs something too": lambda r, s, c: r,
        "the scorer looks at all frames, including the merged ones": lambda r, s, c: r - (1 - r) * s / c,
        "that is the share still needed; return the share saved": lambda r, s, c: 1 - r + s / c,
        "compare the scorer's cost with the classifier's: divide by it": lambda r, s, c: r - s,
        "that is in MACs; return a share": lambda r, s, c: r * c - s,
        "the scorer's cost reduces what is saved: subtract it": lambda r, s, c: r + s / c,
    }
    cases = [(0.25, 81_645, 1_688_000), (0.5, 63_000, 265_900), (0.25, 63_000, 132_000), (0.0, 10, 1000)]
    expect_function(answer, reference, cases, unit="(share of the MACs)", slips=slips)
    return "The third case is negative: there the layer costs more than it saves."


def matching_reduction(answer: object) -> str:
    """08.2: the reduction from a fine hop to the frames of a coarse one."""

    def reference(fine_ms: float, coarse_ms: float) -> float:
        return 1 - fine_ms / coarse_ms

    slips = {
        "that is the share kept; return the share saved": lambda f, c: f / c,
        "fine and coarse are swapped": lambda f, c: 1 - c / f,
        "that is the ratio of the numbers of frames; return the share saved": lambda f, c: c / f,
        "the share refers to the fine frames: divide by the coarse hop": lambda f, c: (c - f) / f,
    }
    expect_function(answer, reference, [(5.0, 10.0), (2.5, 10.0), (1.25, 10.0), (10.0, 10.0)], unit="", slips=slips)
    return (
        "From 2.5 ms, a silence of 5 ms survives until half the frames are saved, one "
        "of 10 ms until three quarters are."
    )


def judged_claim(answer: object) -> str:
    """08.3: the verdict on a claim from an interval."""
    cases = [(-0.01, 0.03, 0.02), (-0.03, 0.03, 0.02), (-0.06, -0.03, 0.02), (0.01, 0.04, 0.0), (-0.04, 0.01, 0.0),
             (-0.05, -0.01, 0.0), (-0.05, -0.01, 0.02), (-0.02, 0.05, 0.02)]  # fmt: skip
    forgotten = [verdict(Interval((low + high) / 2, low, high), 0.0) for low, high, _ in cases]
    forgot = [call(answer, *case) for case in cases] == forgotten
    for low, high, margin in cases:
        got, wanted = call(answer, low, high, margin), verdict(Interval((low + high) / 2, low, high), margin)
        if got not in ("holds", "contradicted", "not shown"):
            raise NotYet(f"got {got!r}; return 'holds', 'contradicted' or 'not shown'")
        if got == wanted:
            continue
        place = f"for {low:+g} to {high:+g} with a margin of {margin:g} it says {got!r}"
        if forgot:
            raise NotYet(f"{place}: the margin is missing; compare the interval with minus the margin, not with 0")
        if wanted == "not shown" and got == "contradicted":
            raise NotYet(f"{place}: an interval that contains minus the margin contradicts nothing")
        if wanted == "not shown":
            raise NotYet(f"{place}: the whole interval must lie above minus the margin, not only its upper part")
        raise NotYet(f"{place}, expected {wanted!r}")
    return "The same as `intervals.verdict`."


def success_limits(answer: object) -> str:
    """08.4: the exact interval of a probability of success."""
    cases = [(10, 10), (0, 10), (9, 10), (28, 30), (3, 15)]
    found = []
    for successes, runs in cases:
        got = call(answer, successes, runs)
        try:
            low, high = np.asarray(got, dtype=np.float64)
        except (TypeError, ValueError):
            raise NotYet(f"return two numbers, the lowest and the highest probability; got {got!r}") from None
        found.append((float(low), float(high)))
    exact = [success_interval(*case) for case in cases]
    one_sided = [success_interval(*case, level=0.90) for case in cases]
    wald = [_normal(*case) for case in cases]
    if _near(found, [(e.low, e.high) for e in exact]):
        return "Ten of ten successes are compatible with a failure rate of up to 31 %."
    for (low, high), (successes, runs) in zip(found, cases, strict=True):
        if not 0 <= low <= high <= 1:
            raise NotYet(f"for {successes} of {runs} it gives {low:g} to {high:g}; probabilities, the lower one first")
    if _near(found, [(e.low, e.high) for e in one_sided]):
        raise NotYet("these are limits for 5 % on each side; a 95 % interval leaves 2.5 % on each")
    if _near(found, wald):
        raise NotYet("that is the normal approximation: for ten of ten it has no width at all; use the binomial")
    k = next(k for k, e in enumerate(exact) if not _near([found[k]], [(e.low, e.high)]))
    (successes, runs), expected = cases[k], exact[k]
    raise NotYet(
        f"for {successes} of {runs} it gives {found[k][0]:.4f} to {found[k][1]:.4f}, expected {expected.low:.4f} to "
        f"{expected.high:.4f}; the tails include the count itself: at least {successes}, and at most {successes}"
    )


def _near(found: list[tuple[float, float]], wanted: list[tuple[float, float]]) -> bool:
    return bool(np.allclose(found, wanted, rtol=0, atol=6e-4))


def _normal(successes: int, runs: int) -> tuple[float, float]:
    share = successes / runs
    half = 1.96 * np.sqrt(share * (1 - share) / runs)
    return max(0.0, share - half), min(1.0, share + half)


SHARE, EVENTS, N = 0.1, (150, 280), 400  # share to spend, event frames and length of the clip that tests a rule
RIGHT_AFTER = 12  # frames that count as right after an event, from its first frame on
BEYOND_MEAN = 1.5  # times the mean width of the clip that these frames have to exceed


def causal_widths(answer: object) -> str:
    """08.5: widths that depend on the past only and never spend more than was earned."""
    flux = np.random.default_rng(8).uniform(0.0, 0.2, N)
    for event in EVENTS:
        flux[event : event + 2] = 5.0
    widths = _widths(answer, flux)
    if widths.min() < -1e-9 or widths.max() > 1 + 1e-9:
        raise NotYet(f"widths from {widths.min():.2f} to {widths.max():.2f}; they have to lie between 0 and 1")
    for at in (40, EVENTS[0], EVENTS[1] - 1):
        other = flux.copy()
        other[at:] = np.random.default_rng(at).uniform(0.0, 9.0, N - at)
        if not np.allclose(_widths(answer, other)[:at], widths[:at]):
            raise NotYet(
                f"if the sound from frame {at} on is different, earlier widths change: they depend on the future"
            )
        if not np.allclose(_widths(answer, flux[:at]), widths[:at]):
            raise NotYet(f"in a clip that ends after {at} frames, widths differ: they depend on the clip's length")
    earned = SHARE * np.arange(1, N + 1)
    overspent = np.cumsum(widths) - earned
    if overspent.max() > 1 + 1e-6:
        j = int(overspent.argmax())
        raise NotYet(f"by frame {j}, {widths[: j + 1].sum():.1f} frames are spent, but only {earned[j]:.1f} earned")
    if widths.sum() < 0.5 * earned[-1]:
        raise NotYet(f"{widths.sum():.1f} of {earned[-1]:.0f} frames are spent; spend at least half of what you earn")
    after = np.concatenate([widths[event : event + RIGHT_AFTER] for event in EVENTS])
    if after.mean() <= BEYOND_MEAN * widths.mean():
        raise NotYet(
            f"in the {RIGHT_AFTER} frames from each of the two events on, the mean width is {after.mean():.2f}; it has "
            f"to exceed {BEYOND_MEAN} times the mean of the clip, {widths.mean():.2f}: save up, and spend it there"
        )
    return f"Right after an event, frames get {after.mean() / widths.mean():.1f} times the mean width."


def _widths(answer: object, flux: np.ndarray) -> np.ndarray:
    """A learner's widths, one per frame."""
    got = call(answer, flux.copy(), SHARE)
    try:
        got = np.asarray(got, dtype=np.float64)
    except (TypeError, ValueError):
        raise NotYet(f"expected an array of numbers, one width per frame; got {type(got).__name__}") from None
    if got.shape != flux.shape:
        raise NotYet(f"expected one width per frame, shape {flux.shape}, got {got.shape}")
    if not np.isfinite(got).all():
        raise NotYet("some widths are not finite")
    return got


EXERCISES = {
    "08.1": saved_share,
    "08.2": matching_reduction,
    "08.3": judged_claim,
    "08.4": success_limits,
    "08.5": causal_widths,
}
