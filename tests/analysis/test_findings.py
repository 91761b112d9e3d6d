"""The sentences of the five findings: said only while the answers behind them support it. With made answers."""

import pytest

from course_lib.analysis import findings
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_RUN, Part
from course_lib.evaluation.intervals import Interval
from course_lib.study.stats import Difference

LOW_P, HIGH_P = 0.001, 0.5


def part(about, data, mean, p=LOW_P, *, margin=0.0, reach=0.01, converged=True):
    """A part about a difference, a share, with its p value."""
    found = Difference(
        Interval(mean, mean - reach, mean + reach), Interval(mean, mean - reach, mean + reach), 5, "fold"
    )
    return Part(about, data, found, margin, p, converged=converged)


def test_each_hop_is_said_to_be_better_only_where_it_was_asked_and_holds():
    asked = [
        part("5 ms over 10 ms", "ESC-10", 0.00, HIGH_P),
        part("10 ms over 40 ms", "ESC-10", 0.05),
        part("10 ms over 20 ms", "spoken digits", 0.03),
        part("10 ms over 50 ms", "timing probe", 0.42),
    ]
    assert findings.hop_meaning(asked) == (
        "A hop of 10 ms is better than 40 ms on ESC-10, and better than 20 ms on spoken digits, and better than 50 ms "
        "on the timing probe. We cannot show a difference between 5 and 10 ms on ESC-10."
    )


def test_the_hop_has_no_sentence_without_a_part_that_holds_or_with_one_contradicted():
    still_open, better = part("5 ms over 10 ms", "ESC-10", 0.0, HIGH_P), part("10 ms over 40 ms", "ESC-50", 0.05)
    worse = part("10 ms over 40 ms", "ESC-10", -0.05)
    assert findings.hop_meaning([still_open]) == findings.hop_meaning([]) == ""
    assert findings.hop_meaning([better, worse]) == ""
    assert findings.hop_meaning([part("10 ms over 40 ms", "ESC-50", 0.05, converged=False)]) == ""


@pytest.mark.parametrize(
    ("loss", "gain", "said"),
    [
        ((-0.017, 0.02), (-0.018, 0.019), True),
        ((-0.065, 0.005), (-0.018, 0.019), False),  # a loss of six points is possible
        ((-0.017, 0.02), (0.002, 0.03), False),  # learning helps
        ((-0.017, 0.02), (-0.03, -0.001), False),  # learning harms
    ],
)
def test_merging_costs_little_only_if_a_loss_of_two_points_is_excluded(loss, gain, said):
    full, equal = ({"low": low, "high": high} for low, high in (loss, gain))
    assert bool(findings.merging_meaning(full, equal)) is said


def test_pretrained_features_do_not_place_events_only_if_they_are_not_better_and_five_folds_agree():
    recognised = part("auditory over spectral", "scenes of ESC-10", 0.17)
    worse = part("spectral over auditory, no worse", "scenes of ESC-10", 0.03, margin=0.02)
    slightly_better = part("spectral over auditory, no worse", "scenes of ESC-10", -0.01, margin=0.02, reach=0.003)
    assert "not to place them in time" in findings.localisation_meaning(recognised, worse, {NOT_RUN})
    assert findings.localisation_meaning(recognised, worse, {HOLDS})
    assert slightly_better.verdict == HOLDS and findings.localisation_meaning(recognised, slightly_better) == ""
    assert findings.localisation_meaning(recognised, worse, {HOLDS, CONTRADICTED}) == ""
    assert findings.localisation_meaning(part("", "", 0.17, HIGH_P), worse) == ""
