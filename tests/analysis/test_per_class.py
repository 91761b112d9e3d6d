"""What each class needs: known recalls give known differences, and noise is not taken for a need."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from course_lib.analysis import per_class

CLASSES = ["dog", "rain"]
TAKES = 10  # clips a class and fold


def row(hop_ms, fold, seed, right):
    """A row with so many of each class right, and the others taken for a third class that is not there."""
    targets = np.repeat([0, 1], TAKES)
    correct = np.concatenate([np.arange(TAKES) < n for n in right])
    return {"features.hop_ms": float(hop_ms), "fold": fold, "seed": seed, "classes": [*CLASSES, "none"],
            "test_targets": targets.tolist(), "test_predicted": np.where(correct, targets, 2).tolist()}  # fmt: skip


def f1(right):
    """F1 of a class of which so many of ten are found, and nothing else is called so."""
    return 2 * right / (right + TAKES)


def rows(right, folds=5, seeds=2):
    """`right(hop, fold, seed)` gives how many of each class are right."""
    return pd.DataFrame([row(h, f, s, right(h, f, s)) for h in (5, 10, 40) for f in range(1, folds + 1)
                         for s in range(seeds)])  # fmt: skip


def test_starts_of_a_fold_are_averaged():
    table = per_class.scores(rows(lambda h, f, s: (8 if s else 6, 10)))
    assert len(table) == 2 * 3 * 5
    assert sorted(set(table["f1"].round(9))) == pytest.approx([(f1(8) + f1(6)) / 2, 1])


def test_a_class_is_not_better_for_being_named_more_often():
    """All dogs are found in both, and in one all rain is taken for dogs too: recall would not tell them apart."""
    named = rows(lambda h, f, s: (TAKES, TAKES), folds=2, seeds=1)
    always = named.assign(test_predicted=[[0] * 2 * TAKES] * len(named))
    dogs = [table[table["label"] == "dog"]["f1"].mean() for table in map(per_class.scores, (named, always))]
    assert dogs == pytest.approx([1, 2 / 3])


def test_a_clear_need_is_marked_and_a_wavering_one_is_not():
    """Dogs lose two clips of ten in every fold at 40 ms; rain gains and loses as the folds like."""
    found = per_class.against(rows(lambda h, f, s: (8 - 2 * (h == 40) + (f == 1), 5 + (f % 2 if h == 40 else 0))))
    cell = found.set_index(["label", "hop_ms"])
    assert cell.loc[("dog", 40), "difference"] == pytest.approx((f1(7) - f1(9) + 4 * (f1(6) - f1(8))) / 5)
    assert cell.loc[("dog", 40), "sure"] and cell.loc[("dog", 40), "high"] < 0
    rain = cell.loc[("rain", 40)]
    assert not rain["sure"] and rain["difference"] == pytest.approx(0.6 * (f1(6) - f1(5)))
    assert cell.loc[("rain", 5), "p"] == 1 and not found.loc[found["hop_ms"] == 10, "sure"].any()
    assert cell.loc[("rain", 10), "difference"] == 0


def test_a_hop_of_its_own_is_worth_what_it_gives_on_folds_that_did_not_choose():
    """Dogs want 5 ms and rain wants 40, by three clips each, in all folds alike."""
    gain, needs = per_class.own_hop(rows(lambda h, f, s: (5 + 3 * (h == 5), 5 + 3 * (h == 40))))
    assert gain.mean == pytest.approx((f1(8) - f1(5)) / 2) and gain.low == pytest.approx(gain.mean)
    assert needs.set_index("label")["hop_ms"].to_dict() == {"dog": 5, "rain": 40} and set(needs["agree"]) == {5}


def test_noise_gains_nothing_by_choosing():
    """Chosen and judged on the same folds, noise alone would seem to gain."""
    rng = np.random.default_rng(1)
    gains = [per_class.own_hop(rows(lambda h, f, s: tuple(rng.integers(0, 11, 2))))[0].mean for _ in range(30)]
    assert abs(np.mean(gains)) < 0.02


def test_of_equal_hops_the_coarsest_is_chosen():
    _, needs = per_class.own_hop(rows(lambda h, f, s: (5, 5)))
    assert set(needs["hop_ms"]) == {40}


def test_equal_shares_that_come_in_another_order_are_equal():
    """A sum of the same five numbers in another order ends in another digit, and would let the finer hop win."""
    shares = [1, 1, 1, 1, 2]
    assert np.mean(np.array(shares[::-1]) / TAKES) != np.mean(np.array(shares) / TAKES)  # or this would test nothing
    for fine, coarse in ((shares, shares[::-1]), (shares[::-1], shares)):
        right = lambda h, f, s, fine=fine, coarse=coarse: ((fine if h == 5 else coarse)[f - 1] * (h != 10), 5)  # noqa: E731
        assert per_class.own_hop(rows(right))[1].set_index("label")["hop_ms"].to_dict() == {"dog": 40, "rain": 40}


def test_a_fold_that_lacks_a_class_or_a_hop_has_no_say():
    given = rows(lambda h, f, s: (8 - 2 * (h == 40) + (f == 1), 5 + f % 2))
    rain_alone = [row(h, 6, 0, (0, 10)) | {"test_targets": [1] * 2 * TAKES} for h in (5, 10, 40)]
    for more in (pd.DataFrame(rain_alone), pd.DataFrame([row(5, 7, 0, (0, 0))])):
        both = pd.concat([given, more], ignore_index=True)
        pd.testing.assert_frame_equal(per_class.against(both), per_class.against(given))
        assert per_class.own_hop(both)[0] == per_class.own_hop(given)[0]


def test_the_picture_holds_the_numbers_and_frames_what_is_sure():
    table = per_class.against(rows(lambda h, f, s: (8 - 2 * (h == 40), 5)))
    fig = per_class.classes_figure(table)
    ax = fig.axes[0]
    assert [t.get_text() for t in ax.texts] == ["0", "-14", "0", "0"]
    assert len([p for p in ax.patches if not p.get_fill()]) == 1
    assert [t.get_text() for t in ax.get_xticklabels()] == ["5", "40"]
    text = per_class.classes_text(table)
    assert "1 of 4 differences" in text and "dog 0 at 5 ms, -14 at 40 ms" in text
    plt.close(fig)
