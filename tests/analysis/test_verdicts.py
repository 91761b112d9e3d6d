"""A verdict follows from intervals and margins, and from nothing else."""

import pytest

from course_lib.analysis import verdicts
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_RUN, NOT_SHOWN, Part
from course_lib.evaluation.intervals import Interval

UP, DOWN, OPEN = Interval(2.0, 1.0, 3.0), Interval(-5.0, -7.0, -3.0), Interval(0.0, -1.0, 1.0)


def part(gap, **more):
    return Part("a question", gap, **more)


@pytest.mark.parametrize(
    ("gaps", "word"),
    [
        ([UP], HOLDS), ([OPEN], NOT_SHOWN), ([DOWN], CONTRADICTED), ([None], NOT_RUN), ([UP, UP], HOLDS),
        ([UP, OPEN], NOT_SHOWN), ([UP, DOWN], NOT_SHOWN), ([OPEN, DOWN], CONTRADICTED), ([UP, None], NOT_SHOWN),
        ([DOWN, None], CONTRADICTED), ([None, None], NOT_RUN),
    ],
)  # fmt: skip
def test_a_claim_holds_when_all_of_it_does(gaps, word):
    assert verdicts.overall([part(gap) for gap in gaps]) == word
    assert verdicts.overall([part(gap) for gap in gaps[::-1]]) == word


def test_a_margin_is_what_may_be_lost():
    assert part(OPEN, margin=2.0).verdict == HOLDS and part(DOWN, margin=2.0).verdict == CONTRADICTED
    assert verdicts.first_sentence([part(OPEN, margin=2.0)]) == "The whole interval lies above -2."


@pytest.mark.parametrize("gap", [UP, DOWN, OPEN, None, Interval(1.0, 1.0, 1.0)])
def test_the_first_sentence_says_what_the_verdict_says(gap):
    said = verdicts.first_sentence([part(gap)])
    assert gap is None or verdicts.first_sentence([part(gap, design="counted")]) == "This is counted, not estimated."
    words = {HOLDS: "above 0", CONTRADICTED: "below 0", NOT_SHOWN: "has 0 in it", NOT_RUN: "not been run"}
    assert words[part(gap).verdict] in said, "pairs that all agree are an estimate too"
    several = verdicts.first_sentence([part(gap), part(UP), part(UP), part(None)])
    held = 2 + (part(gap).verdict == HOLDS)
    assert several.startswith(f"Of 4 questions {held} hold") and ("2 were" if gap is None else "1 was") in several


def test_differences_are_described_in_words_that_their_interval_allows():
    assert verdicts.difference_text(Interval(2.0, 0.5, 3.5)) == "higher by 2.0 points (+0.5 to +3.5)"
    assert verdicts.difference_text(Interval(-2.0, -3.5, -0.5)) == "lower by 2.0 points (-3.5 to -0.5)"
    assert verdicts.difference_text(Interval(2.0, -0.5, 4.5)) == "no difference shown, +2.0 points (-0.5 to +4.5)"
