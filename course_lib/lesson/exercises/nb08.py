"""Tests of the exercises in notebook 08."""

from course_lib.evaluation.intervals import Interval, verdict
from course_lib.lesson.checks import NotYet, call, expect_function


def saved_share(answer: object) -> str:
    """08.1: what a layer saves, its own cost charged."""

    def reference(reduction: float, scorer: float, classifier: float) -> float:
        return reduction - scorer / classifier

    slips = {
        "that is what the classifier saves; the scorer still has to be paid": lambda r, s, c: r,
        "the scorer looks at all frames, also at those that are dropped": lambda r, s, c: r - (1 - r) * s / c,
        "that is the share that is still spent; the share saved is asked for": lambda r, s, c: 1 - r + s / c,
        "the scorer's cost is to be compared with the classifier's: divide by it": lambda r, s, c: r - s,
        "a share is asked for, not MACs": lambda r, s, c: r * c - s,
        "paid twice over: the scorer's cost is subtracted, not added": lambda r, s, c: r + s / c,
    }
    cases = [(0.25, 81_645, 1_688_000), (0.5, 63_000, 265_900), (0.25, 63_000, 132_000), (0.0, 10, 1000)]
    expect_function(answer, reference, cases, unit="(share of the MACs)", slips=slips)
    return "The third case is negative: there the layer costs more than it saves."


def matching_reduction(answer: object) -> str:
    """08.2: the reduction from a fine hop to the frames of a coarse one."""

    def reference(fine_ms: float, coarse_ms: float) -> float:
        return 1 - fine_ms / coarse_ms

    slips = {
        "that is the share that is kept; the reduction is the share that is saved": lambda f, c: f / c,
        "fine and coarse are exchanged": lambda f, c: 1 - c / f,
        "that is how many times as many frames there are, not which share of them to save": lambda f, c: c / f,
        "saving is counted in frames of the fine hop: divide by the coarse hop": lambda f, c: (c - f) / f,
    }
    expect_function(answer, reference, [(5.0, 10.0), (2.5, 10.0), (1.25, 10.0), (10.0, 10.0)], unit="", slips=slips)
    return "1.25 ms to 10 ms: seven eighths of the frames go, and the classifier does not notice."


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
            raise NotYet(f"{place}: the margin is forgotten; no worse than minus the margin is asked")
        if wanted == "not shown" and got == "contradicted":
            raise NotYet(f"{place}: an interval that holds the border contradicts nothing; it cannot tell")
        if wanted == "not shown":
            raise NotYet(f"{place}: the whole interval must lie above the border, not only its middle or upper end")
        raise NotYet(f"{place}, expected {wanted!r}")
    return "The same as `intervals.verdict`. The margin was fixed before the runs; afterwards it would be a wish."


EXERCISES = {"08.1": saved_share, "08.2": matching_reduction, "08.3": judged_claim}
