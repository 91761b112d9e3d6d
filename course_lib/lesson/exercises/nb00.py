"""Tests of the exercises in notebook 00."""

import numpy as np

from course_lib.audio import timebase
from course_lib.lesson.checks import expect_function, expect_number


def samples_between_two_looks(answer: object) -> str:
    """00.1: a hop of 10 ms at 16 kHz."""
    slips = {
        1_600_000.0: "that is the rate times 100; 10 ms is a hundredth of a second, so divide by 100",
        160_000.0: "that is 10 seconds; the distance is 10 milliseconds",
        500.0: "that is how often we look in 5 seconds; the question is how many samples lie between two looks",
        1600.0: "that is 100 ms; 10 ms is a hundredth of a second, not a tenth",
        80_000.0: "that is the whole clip; the question is about two neighbouring looks",
    }
    expect_number(answer, timebase.ms_to_samples(10, 16_000), unit="samples", slips=slips)
    return "16,000 samples per second times 0.010 s. That distance is called the hop."


def busiest_tenth(answer: object) -> str:
    """00.2: per cent of the energy in the busiest tenth of the frames."""

    def reference(energy: np.ndarray) -> float:
        return float(100 * np.sort(energy)[-(len(energy) // 10) :].sum() / energy.sum())

    rng = np.random.default_rng(0)
    cases = [(rng.exponential(size=n) ** 2,) for n in (20, 105, 500)] + [(np.ones(40),)]
    slips = {
        "that is a share between 0 and 1; the question asks for per cent": lambda e: reference(e) / 100,
        "that is the first tenth in time; sort by energy before you cut": lambda e: (
            100 * e[: len(e) // 10].sum() / e.sum()
        ),
        "that is the quietest tenth; np.sort begins with the smallest": lambda e: (
            100 * np.sort(e)[: len(e) // 10].sum() / e.sum()
        ),
        "that is only the single busiest frame; the question is about a tenth of the frames": lambda e: (
            100 * e.max() / e.sum()
        ),
        "these are all frames above the mean; take the busiest tenth of the frames instead": lambda e: (
            100 * e[e > e.mean()].sum() / e.sum()
        ),
    }
    expect_function(answer, reference, cases, unit="%", rel=1e-6, slips=slips)
    return "If all frames have the same energy, it gives 10 %."


def affordable_hop_ms(answer: object) -> str:
    """00.3: the hop at which a cost that is proportional to the number of looks meets a budget."""

    def reference(hop_ms: float, cost: float, budget: float) -> float:
        return hop_ms * cost / budget

    slips = {
        "the other way round: a smaller budget buys fewer looks, and those lie further apart": lambda h, c, b: (
            h * b / c
        ),
        "that is the factor by which the cost exceeds the budget; multiply the hop by it": lambda h, c, b: c / b,
        "cost times hop stays the same, so divide; do not subtract": lambda h, c, b: h + c - b,
    }
    cases = [(10.0, 100.0, 25.0), (10.0, 60.0, 90.0), (20.0, 8.0, 5.0), (2.5, 1000.0, 50.0)]
    expect_function(answer, reference, cases, unit="ms", rel=1e-6, slips=slips)
    return "For a quarter of the cost you need four times the hop. The rest of the course is about what you lose."


EXERCISES = {"00.1": samples_between_two_looks, "00.2": busiest_tenth, "00.3": affordable_hop_ms}
