"""Tests of the exercises in notebook 05."""

import numpy as np

from course_lib.lesson.checks import NotYet, call, expect_function


def conv_macs(answer: object) -> str:
    """05.1: multiply-accumulates of a 3 x 3 convolution."""

    def reference(frames: int, mels: int, n_in: int, n_out: int) -> int:
        return 9 * frames * mels * n_in * n_out

    slips = {
        "every output value also sums over the channels of the input: times `n_in`": lambda f, m, i, o: 9 * f * m * o,
        "the convolution makes `n_out` such pictures: times `n_out`": lambda f, m, i, o: 9 * f * m * i,
        "each value of the output multiplies 3 x 3 neighbours, nine and not three": lambda f, m, i, o: (
            3 * f * m * i * o
        ),
        "the 3 x 3 of the kernel is missing": lambda f, m, i, o: f * m * i * o,
        "these are FLOPs: a multiply-accumulate counts once, not twice": lambda f, m, i, o: 18 * f * m * i * o,
        "that is after the pooling; the convolution runs on the whole picture": lambda f, m, i, o: (
            9 * (f // 2) * (m // 2) * i * o
        ),
        "that counts the weights; each of them is used at every frame and mel": lambda f, m, i, o: 9 * i * o,
    }
    cases = [(501, 64, 1, 16), (250, 32, 16, 32), (31, 4, 128, 128)]
    expect_function(answer, reference, cases, unit="MACs", slips=slips)
    return "The same number as torch counts; five times the length costs five times as much."


def receptive_field_ms(answer: object) -> str:
    """05.2: a receptive field in milliseconds."""

    def reference(field: int, window_ms: float, hop_ms: float) -> float:
        return window_ms + (field - 1) * hop_ms

    slips = {
        "that is the distance from the start of the first frame to the start of the last; the last window is missing": (
            lambda field, window_ms, hop_ms: (field - 1) * hop_ms
        ),
        "the first frame adds its window, each of the *others* a hop: field - 1 hops": (
            lambda field, window_ms, hop_ms: window_ms + field * hop_ms
        ),
        "frames are one hop apart, and the last one is as long as a window": lambda field, window_ms, hop_ms: (
            field * hop_ms
        ),
        "frames overlap: the windows do not follow each other end to end": lambda field, window_ms, hop_ms: (
            field * window_ms
        ),
    }
    expect_function(answer, reference, [(78, 25.0, 10.0), (78, 25.0, 2.5), (1, 40.0, 5.0)], unit="ms", slips=slips)
    return "With windows of 25 ms, 78 frames are 795 ms at a hop of 10 ms and 6.2 s at 80 ms."


def chosen_step(answer: object) -> str:
    """05.3: the evaluation whose weights are kept."""
    rows = [(10, 2.1, 2.2, 0.3), (20, 1.5, 1.6, 0.6), (30, 1.2, 1.5, 0.65), (40, 1.0, 1.3, 0.65)]
    rows += [(50, 0.6, 1.4, 0.65), (60, 0.7, 1.6, 0.65), (70, 0.3, 1.2, 0.5)]  # among equals, 40 wins by one rule only
    keys = ("step", "loss", "validation_loss", "validation_accuracy")
    history = [dict(zip(keys, row, strict=True)) for row in rows]
    slips = {
        70: "that is the last evaluation, which has the lowest losses; choose by the accuracy on validation",
        30: "30 to 60 are equally accurate; among these take the lowest validation loss, not the first evaluation",
        50: "30 to 60 are equally accurate; among these take the lowest loss on validation, not on training",
        60: "30 to 60 are equally accurate; among these take the lowest validation loss, not the last evaluation",
        10: "that has the lowest accuracy of all; take the highest",
    }
    for entries in (history, history[::-1]):  # with two orders a tie cannot be won by chance
        got = call(answer, [dict(entry) for entry in entries])
        if isinstance(got, dict):
            raise NotYet("that is the whole evaluation; return its `step`")
        if isinstance(got, bool) or not isinstance(got, int | float | np.number):
            raise NotYet(f"expected a number of steps, got {type(got).__name__}")
        if got != 40 and got not in [row[0] for row in rows]:
            raise NotYet(f"there was no evaluation at step {got:g}; is that the position in the list, or the accuracy?")
        if got != 40:
            raise NotYet(slips.get(int(got), f"step {got:g} is not the most accurate on validation"))
    return "As in `supervised.best_eval`: neither the test loss nor the training loss counts."


def undominated(answer: object) -> str:
    """05.4: the Pareto front."""
    macs, accuracies = [8, 1, 4, 2, 2, 6, 1], [80, 50, 60, 70, 65, 80, 50]
    wanted = [1, 3, 5, 6]
    got = call(answer, list(macs), list(accuracies))
    try:
        got = [int(position) for position in got]
    except (TypeError, ValueError):
        raise NotYet(f"expected a list of positions, got {type(got).__name__}") from None
    if sorted(got) == wanted and got != wanted:
        raise NotYet("the right systems, but not sorted")
    if got == [0, 5] or got == [5]:
        raise NotYet("these are the most accurate; a cheaper system that is less accurate is not dominated by them")
    if 0 in got:
        raise NotYet("system 5 dominates system 0: it is as accurate and costs less")
    if 1 not in got or 6 not in got:
        raise NotYet("systems 1 and 6 are equal in both: neither dominates the other, and no other dominates them")
    missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    if missing or extra:
        raise NotYet(f"missing: {missing or 'none'}; too many: {extra or 'none'}")
    if list(call(answer, [3.0], [10.0])) != [0]:
        raise NotYet("a single system is not dominated")
    return "Four of seven remain. Which of them to use depends on what you need."


KEPT, LOST = 90.0, 75.0  # accuracy in %: at least this for "separated", at most this for "lost"
FEWEST_HOPS, CLOSE = 4, 2.0


def hop_that_loses_a_class(answer: object) -> str:
    """05.5: hops of the learner's choice around the cliff, with the accuracies measured there."""
    got = call(answer)
    if not isinstance(got, dict):
        raise NotYet(f"expected a dictionary from the hop in ms to the accuracy in %, got {type(got).__name__}")
    try:
        found = {float(hop_ms): float(accuracy) for hop_ms, accuracy in sorted(got.items())}
    except (TypeError, ValueError):
        raise NotYet("expected numbers, the hop in ms and the accuracy in %; one of yours is not a number") from None
    if any(not 0 <= accuracy <= 100 for accuracy in found.values()):
        raise NotYet("an accuracy is not between 0 and 100 %")
    if found and max(found.values()) <= 1:
        raise NotYet("these are fractions; return the accuracies in %, as `two_class_accuracy` does")
    if len(found) < FEWEST_HOPS:
        raise NotYet(f"you tried {len(found)} hops; try at least {FEWEST_HOPS}")
    kept = [hop_ms for hop_ms, accuracy in found.items() if accuracy >= KEPT]
    lost = [hop_ms for hop_ms, accuracy in found.items() if accuracy <= LOST]
    if not kept:
        raise NotYet(f"none of your hops separates the classes: try shorter ones, until one reaches {KEPT:g} %")
    if not lost:
        raise NotYet(f"all of your hops separate the classes: try longer ones, until one has at most {LOST:g} %")
    last = max(kept)
    behind = [hop_ms for hop_ms in lost if hop_ms > last]
    if not behind:
        raise NotYet(
            f"at {last:g} ms it is {found[last]:.0f} %, but at {max(lost):g} ms, a shorter hop, "
            f"{found[max(lost)]:.0f} %. Are hop and window the right way round?"
        )
    if behind[0] > CLOSE * last:
        raise NotYet(
            f"it works at {last:g} ms and is lost at {behind[0]:g} ms; try hops in between, until the two are no more "
            f"than a factor of {CLOSE:g} apart"
        )
    return (
        f"The class is lost between {last:g} ms ({found[last]:.0f} %) and {behind[0]:g} ms ({found[behind[0]]:.0f} %)."
    )


EXERCISES = {
    "05.1": conv_macs,
    "05.2": receptive_field_ms,
    "05.3": chosen_step,
    "05.4": undominated,
    "05.5": hop_that_loses_a_class,
}
