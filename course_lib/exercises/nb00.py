"""Test of the exercise in notebook 00."""

from course_lib import timebase
from course_lib.checks import expect_number


def samples_between_two_looks(answer: object) -> str:
    """00.1: a hop of 10 ms at 16 kHz."""
    slips = {
        1_600_000.0: "that is rate times 10 seconds times 10; 10 ms is a hundredth of a second",
        160_000.0: "that is 10 seconds; the distance is 10 milliseconds",
        500.0: "that is how often we look in 5 seconds; the question is how many samples lie between two looks",
        1600.0: "that is 100 ms; 10 ms is a hundredth of a second, not a tenth",
        80_000.0: "that is the whole clip; the question is about two neighbouring looks",
    }
    expect_number(answer, timebase.ms_to_samples(10, 16_000), unit="samples", slips=slips)
    return "16,000 samples a second times 0.010 s. That distance is called the hop."


EXERCISES = {"00.1": samples_between_two_looks}
