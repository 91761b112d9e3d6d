"""A verdict follows from differences, their p values and margins."""

import numpy as np
import pytest

from course_lib.analysis import verdicts
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_RUN, NOT_SHOWN, ONE_FOLD, UNCONVERGED, Part
from course_lib.evaluation.intervals import Interval
from course_lib.study import stats


def part(mean, spread=0.01, *, pairs=5, paired_by="fold", overlap=0.0, **more):
    """A part whose differences have this mean, and end at `spread` on both sides."""
    values = mean + spread * np.linspace(-1, 1, pairs)
    return Part("a question", "a set", stats.of_values(values, paired_by=paired_by, overlap=overlap), **more)


MISSING = Part("a question", "a set", None)


@pytest.mark.parametrize(
    ("words", "word"),
    [
        ([HOLDS], HOLDS), ([NOT_SHOWN], NOT_SHOWN), ([CONTRADICTED], CONTRADICTED), ([NOT_RUN], NOT_RUN),
        ([HOLDS, HOLDS], HOLDS), ([HOLDS, NOT_SHOWN], NOT_SHOWN), ([HOLDS, CONTRADICTED], NOT_SHOWN),
        ([NOT_SHOWN, CONTRADICTED], CONTRADICTED), ([HOLDS, NOT_RUN], NOT_SHOWN), ([NOT_RUN, NOT_RUN], NOT_RUN),
        ([HOLDS, ONE_FOLD], ONE_FOLD), ([ONE_FOLD], ONE_FOLD),
        ([HOLDS, UNCONVERGED], UNCONVERGED),
    ],
)  # fmt: skip
def test_a_claim_holds_when_all_of_it_does(words, word):
    assert verdicts.overall(words) == verdicts.overall(words[::-1]) == word


def test_one_question_has_the_verdict_of_its_interval():
    for mean, word in ((0.03, HOLDS), (-0.03, CONTRADICTED), (0.001, NOT_SHOWN)):
        [found] = verdicts.corrected([part(mean)])
        assert found.verdict == word
        assert (found.found.interval.low > 0, found.found.interval.high < 0) == (word == HOLDS, word == CONTRADICTED)


def test_a_margin_is_what_may_be_lost():
    [kept, lost] = verdicts.corrected([part(-0.001, margin=0.02), part(-0.05, margin=0.02)])
    assert (kept.verdict, lost.verdict) == (HOLDS, CONTRADICTED)


def test_many_questions_are_corrected_and_those_without_verdict_do_not_count():
    close = part(0.01)  # p = 0.034
    assert verdicts.corrected([close])[0].verdict == HOLDS
    pair = verdicts.corrected([close, part(0.0)])
    assert pair[0].verdict == NOT_SHOWN and pair[0].p == pytest.approx(2 * close.found.p())
    few = part(0.5, pairs=3, paired_by="seed")
    found = verdicts.corrected([close, few, MISSING])
    assert [p.verdict for p in found] == [NOT_SHOWN, ONE_FOLD, NOT_RUN]
    assert found[0].p == pytest.approx(2 * close.found.p()), "the missing one counts, the one on a single fold does not"
    assert verdicts.corrected([part(0.5, pairs=5, paired_by="seed")])[0].verdict == HOLDS


def test_without_convergence_there_is_no_verdict_whatever_the_interval():
    assert [each.verdict for each in verdicts.corrected([part(0.5, converged=False), part(0.5)])] == [
        UNCONVERGED,
        HOLDS,
    ]
    assert Part("a question", "a set", None, converged=False).verdict == NOT_RUN


def test_what_only_holds_while_folds_are_independent_is_marked():
    [near] = verdicts.corrected([part(0.012, overlap=1 / 3)])
    [far] = verdicts.corrected([part(0.1, overlap=1 / 3)])
    assert (near.verdict, near.lost) == (HOLDS, True) and (far.verdict, far.lost) == (HOLDS, False)
    assert not verdicts.corrected([part(0.012)])[0].lost and not part(0.0, overlap=1 / 3).lost


def test_a_part_is_printed_in_its_unit():
    assert part(0.02, 0).text == "a question: +2.0 (+2.0 to +2.0)"
    assert part(0.5, 0, unit="nats", scale=1, digits=2).difference == "+0.50 (+0.50 to +0.50) nats"


def test_differences_are_described_in_words_that_their_interval_allows():
    assert verdicts.difference_text(Interval(2.0, 0.5, 3.5)) == "higher by 2.0 points (+0.5 to +3.5)"
    assert verdicts.difference_text(Interval(-2.0, -3.5, -0.5)) == "lower by 2.0 points (-3.5 to -0.5)"
    assert verdicts.difference_text(Interval(2.0, -0.5, 4.5)) == "no difference shown, +2.0 points (-0.5 to +4.5)"
