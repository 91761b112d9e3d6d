"""Scores of detection equal those of sed_eval, over thousands of odd files, and numbers worked out by hand."""

import importlib
import sys
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from course_lib.data.events import COLUMNS
from course_lib.errors import CourseError
from course_lib.evaluation import detection
from course_lib.evaluation.detection import event_based_f1, segment_based_f1, tagging_f1

CLIP_S = 10.0
OVERALL = {"micro_f1": ("f_measure", "f_measure"), "micro_precision": ("f_measure", "precision"),
           "micro_recall": ("f_measure", "recall"), "error_rate": ("error_rate", "error_rate"),
           "substitution_rate": ("error_rate", "substitution_rate"),
           "deletion_rate": ("error_rate", "deletion_rate"),
           "insertion_rate": ("error_rate", "insertion_rate")}  # fmt: skip
BY_CLASS = {"f1": ("f_measure", "f_measure"), "precision": ("f_measure", "precision"),
            "recall": ("f_measure", "recall"), "error_rate": ("error_rate", "error_rate"),
            "deletion_rate": ("error_rate", "deletion_rate"), "insertion_rate": ("error_rate", "insertion_rate"),
            "n_ref": ("count", "Nref"), "n_sys": ("count", "Nsys")}  # fmt: skip


@pytest.fixture(scope="module")
def sed_eval():
    """sed_eval asks for a module that new releases of setuptools do not have, and uses nothing of it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pkg_resources", ModuleType("pkg_resources"))
        return importlib.import_module("sed_eval")  # missing, it must be missed: it is the judge


def table(*rows):
    return pd.DataFrame(rows, columns=COLUMNS).astype({"onset": float, "offset": float})


def pair_of_lists(rng, dense=False):
    """A reference and an estimate of a few files: mostly like what a net makes of it, with all that may go wrong.

    `dense` lists are of few classes whose events crowd together, so that collars overlap and matchings have ties.
    """
    n_files, classes = rng.integers(1, 12), list("abcde"[: rng.integers(1, 4 if dense else 6)])
    rows = []
    for k in range(n_files):
        n = rng.integers(0, 9 if dense else 6)
        onset = rng.uniform(4, 6, n) if dense else rng.uniform(0, CLIP_S + 0.5, n)  # some begin after the end
        length = rng.exponential(0.3 if dense else 2, n) * (rng.random(n) > 0.1)  # some have no length
        rows += zip([f"{k}.wav"] * n, onset, onset + length, rng.choice(classes, n), strict=True)
    reference = table(*rows)
    n = len(reference)
    shift = rng.normal(0, rng.choice([0.05, 0.2]), (2, n))
    onset = np.maximum(reference["onset"] + shift[0], 0)
    estimated = reference.assign(onset=onset, offset=np.maximum(reference["offset"] + shift[1], onset))
    estimated["event_label"] = np.where(rng.random(n) < 0.3, rng.choice(classes, n), estimated["event_label"])
    more = estimated[rng.random(n) < 0.2]  # said twice, or where there is nothing
    more = more.assign(offset=more["offset"] + 0.01, filename=np.where(rng.random(len(more)) < 0.3, "x.wav", "0.wav"))
    estimated = pd.concat([estimated[rng.random(n) > 0.2], more])
    lists = [reference, estimated.sample(frac=1, random_state=rng.integers(1000))]
    if rng.random() < 0.3:  # times on a grid: touching events, onsets on segments' edges, differences on the collar
        lists = [x.assign(onset=x["onset"].round(1), offset=x["offset"].round(1)) for x in lists]
    if rng.random() < 0.1:
        lists[rng.integers(2)] = table()
    return [x.drop_duplicates() for x in lists], [*classes, "never"]


def judged(judge, lists, **given):
    for name in sorted(set(lists[0]["filename"]) | set(lists[1]["filename"])):
        judge.evaluate(*(x[x["filename"] == name].to_dict("records") for x in lists), **given)
    return judge.results()


def agree(ours, theirs):
    """Every number that both have."""
    for name, (group, key) in OVERALL.items():
        expected = theirs["overall"][group][key]
        np.testing.assert_allclose(getattr(ours, name), expected, rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(ours.macro_f1, theirs["class_wise_average"]["f_measure"]["f_measure"], rtol=1e-12)
    for name, (group, key) in BY_CLASS.items():
        expected = [theirs["class_wise"][label][group][key] for label in ours.by_class.index]
        np.testing.assert_allclose(ours.by_class[name], expected, rtol=1e-12, err_msg=name)
    assert ours.by_file.sum().tolist() == ours.by_class[["n_ref", "n_sys", "tp"]].sum().tolist()


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize(("collar_s", "ratio"), [(0.05, 0.2), (0.2, 0.2), (0.2, 0.0), (1.0, 0.5)])
def test_event_based_scores_equal_sed_eval(sed_eval, collar_s, ratio, dense):
    rng = np.random.default_rng([int(100 * collar_s), int(10 * ratio), dense])
    for k in range(50):
        lists, classes = pair_of_lists(rng, dense)
        handling = {"empty_system_output_handling": "zero_score"} if k % 2 else {}
        judge = sed_eval.sound_event.EventBasedMetrics(
            classes, t_collar=collar_s, percentage_of_length=ratio, **handling
        )
        ours = event_based_f1(*lists, classes, collar_s, collar_s, ratio, zero_division=0 if handling else np.nan)
        agree(ours, judged(judge, lists))


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("segment_s", [0.1, 0.5, 1.0, 5.0])
def test_segment_based_scores_equal_sed_eval(sed_eval, segment_s):
    rng = np.random.default_rng(int(10 * segment_s))
    for k in range(20 if segment_s == 0.1 else 50):
        lists, classes = pair_of_lists(rng)
        judge = sed_eval.sound_event.SegmentBasedMetrics(classes, time_resolution=segment_s)
        judge.empty_system_output_handling = "zero_score" if k % 2 else None
        ours = segment_based_f1(*lists, classes, CLIP_S, segment_s, zero_division=0 if k % 2 else np.nan)
        agree(ours, judged(judge, lists, evaluated_length_seconds=CLIP_S))


def test_segments_by_hand():
    reference = table(
        ("1", 0.2, 1.0, "dog"),  # segment 0: the end on an edge touches no more
        ("1", 2.5, 3.5, "cat"),  # segment 2; 3 is beyond the end
        ("1", 1.0, 1.0, "dog"),  # no length and on an edge: nothing
        ("2", 1.2, 1.2, "dog"),  # no length within a segment: segment 1
    )
    estimated = table(("1", 0.9, 1.1, "dog"), ("1", 2.0, 3.0, "dog"), ("3", 0.0, 0.5, "cat"))
    found = segment_based_f1(reference, estimated, ["cat", "dog"], 3.0)
    assert found.by_file.to_dict("split") == {
        "index": ["1", "2", "3"], "columns": ["n_ref", "n_sys", "tp"], "data": [[2, 3, 1], [1, 0, 0], [0, 1, 0]],
    }  # fmt: skip
    assert found.by_class[["n_ref", "n_sys", "tp"]].to_numpy().tolist() == [[1, 1, 0], [2, 3, 1]]
    assert (found.micro_precision, found.micro_recall) == (1 / 4, 1 / 3) and found.macro_f1 == pytest.approx(0.2)
    # file 1: dog for cat in segment 2, an insertion in 1; file 2: a deletion; file 3: an insertion
    rates = (found.substitution_rate, found.deletion_rate, found.insertion_rate, found.error_rate)
    assert rates == pytest.approx((1 / 3, 1 / 3, 2 / 3, 4 / 3))


def test_events_by_hand():
    reference = table(("1", 1.0, 2.0, "dog"), ("1", 3.0, 8.0, "dog"), ("1", 8.5, 9.0, "cat"), ("2", 0.0, 1.0, "cat"))
    estimated = table(
        ("1", 1.1, 2.15, "dog"),  # within both collars
        ("1", 2.9, 8.9, "dog"),  # 0.9 s late at the end, within a fifth of 5 s
        ("1", 8.4, 9.1, "dog"),  # right but for its label
        ("2", 0.3, 1.0, "cat"),  # late
        ("3", 0.0, 1.0, "cat"),
    )
    found = event_based_f1(reference, estimated, ["dog", "cat"])
    assert found.by_class[["n_ref", "n_sys", "tp"]].to_numpy().tolist() == [[2, 3, 2], [2, 2, 0]]
    assert (found.micro_f1, found.micro_precision, found.micro_recall) == pytest.approx((4 / 9, 2 / 5, 2 / 4))
    assert found.macro_f1 == pytest.approx((0.8 + 0) / 2)
    rates = (found.substitution_rate, found.deletion_rate, found.insertion_rate)
    assert rates == pytest.approx((1 / 4, 1 / 4, 2 / 4)) and found.error_rate == pytest.approx(1)
    assert event_based_f1(reference, estimated, ["dog", "cat"], offset_ratio=0).by_class["tp"].tolist() == [1, 0]
    assert event_based_f1(reference, estimated, ["dog", "cat"], 0.35).by_class["tp"].tolist() == [2, 1]
    assert event_based_f1(reference, estimated, ["dog", "cat"], 0.35, 0.1, 0).by_class["tp"].tolist() == [0, 1]


def test_events_are_matched_so_that_most_are_right():
    """The first estimate is near both, the second only near the first: first come, first served would find one."""
    reference = table(("1", 1.0, 2.0, "dog"), ("1", 1.3, 2.3, "dog"))
    estimated = table(("1", 1.15, 2.15, "dog"), ("1", 0.85, 1.85, "dog"))
    assert event_based_f1(reference, estimated, ["dog"]).micro_f1 == 1


def test_a_class_without_output_is_left_out_or_zero():
    reference, estimated = table(("1", 0, 1, "dog"), ("1", 2, 3, "cat")), table(("1", 0, 1, "dog"))
    for score in (event_based_f1, lambda *given, **more: segment_based_f1(*given, CLIP_S, **more)):
        classes = ["dog", "cat", "cow"]
        assert score(reference, estimated, classes).macro_f1 == 1
        assert score(reference, estimated, classes, zero_division=0).macro_f1 == 0.5  # no cow anywhere: left out still
        assert np.isnan(score(reference, table(), classes).micro_f1)
        assert score(reference, table(), classes, zero_division=0).micro_f1 == 0
        nothing = score(table(), table(), classes)
        assert np.isnan(nothing.micro_f1) and nothing.error_rate == 0 and nothing.by_file.empty


def test_a_file_alone_has_the_counts_that_it_has_among_others():
    rng = np.random.default_rng(5)
    (reference, estimated), classes = pair_of_lists(rng, dense=True)
    whole = event_based_f1(reference, estimated, classes, 1.0, 1.0).by_file
    for name, row in whole.iterrows():
        alone = (x[x["filename"] == name] for x in (reference, estimated))
        assert event_based_f1(*alone, classes, 1.0, 1.0).by_file.loc[name].tolist() == row.tolist()


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_tags_are_segments_as_long_as_the_clip(sed_eval):
    rng = np.random.default_rng(6)
    classes = ["dog", "cat", "cow", "never"]
    reference, estimated = (rng.random((40, 4)) < (0.5, 0.3, 0.1, 0) for _ in range(2))
    found = tagging_f1(reference, estimated, classes)
    clip, label = np.nonzero(reference)
    clip_2, label_2 = np.nonzero(estimated)
    lists = [
        table(*((str(c), 0.0, CLIP_S, classes[k]) for c, k in zip(*where, strict=True)))
        for where in ((clip, label), (clip_2, label_2))
    ]
    judge = sed_eval.sound_event.SegmentBasedMetrics(classes, time_resolution=CLIP_S)
    agree(found, judged(judge, lists, evaluated_length_seconds=CLIP_S))
    assert found.by_file["n_ref"].tolist() == reference.sum(axis=1).tolist()
    tags = [
        [{"filename": str(c), "tags": [k for k, on in zip(classes, row, strict=True) if on]} for c, row in enumerate(x)]
        for x in (reference, estimated)
    ]
    overall = sed_eval.audio_tag.AudioTaggingMetrics(classes).evaluate(*tags).results()["overall"]["f_measure"]
    assert (overall["f_measure"], overall["precision"]) == pytest.approx((found.micro_f1, found.micro_precision))


def test_tags_by_hand():
    found = tagging_f1(np.array([[1, 1], [0, 1], [0, 0]]) > 0, np.array([[1, 0], [1, 0], [1, 0]]) > 0)
    assert (found.micro_precision, found.micro_recall, found.micro_f1) == (1 / 3, 1 / 3, 1 / 3)
    assert found.by_class["tp"].tolist() == [1, 0] and found.macro_f1 == pytest.approx(2 / 4)
    assert (found.substitution_rate, found.deletion_rate, found.insertion_rate) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=60, unique=True))
def test_matchings_are_valid_and_as_large_as_can_be(pairs):
    left, right = np.array(sorted(pairs), dtype=np.int64).reshape(-1, 2).T
    for largest in (True, False):
        a, b = detection.one_to_one(left, right, largest=largest)
        assert len(set(a.tolist())) == len(a) == len(set(b.tolist())) and set(zip(a, b, strict=True)) <= set(pairs)
        if largest:
            graph = coo_array((np.ones(len(left)), (left, right)), shape=(13, 13)).tocsr()
            assert len(a) == (maximum_bipartite_matching(graph) >= 0).sum()


def test_ties_fall_as_in_sed_eval(sed_eval):
    """What a matching leaves over decides what counts as substituted, so the very same pairs must come out."""
    rng = np.random.default_rng(7)
    for _ in range(3000):
        ref, est = np.nonzero(rng.random(rng.integers(1, 12, 2)) < rng.uniform(0.05, 0.5))
        graph = {}
        for k, i in zip(ref.tolist(), est.tolist(), strict=True):
            graph.setdefault(i, []).append(k)
        ours = zip(*(x.tolist() for x in detection.one_to_one(est, ref, largest=True)), strict=True)
        assert {k: i for i, k in ours} == sed_eval.util.event_matching.bipartite_match(graph)


def test_a_long_chain_of_changes_is_no_problem():
    """All have taken the later of their two: one more at the end makes everyone move."""
    n = 3000
    left = np.repeat(np.arange(n), 2)
    right = np.stack([np.arange(1, n + 1), np.arange(n)], axis=1).ravel()
    a, _ = detection.one_to_one(np.append(left, n), np.append(right, n), largest=True)
    assert len(a) == n + 1


def test_what_is_no_list_is_refused_by_its_name():
    good = table(("1", 0.0, 1.0, "dog"))
    for score in (event_based_f1, lambda *given: segment_based_f1(*given, CLIP_S)):
        with pytest.raises(CourseError, match="estimated, row 1: event_label 'dgo' is unknown; expected one of dog"):
            score(good, good.assign(event_label="dgo"), ["dog"])


def test_sizes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="both must be above 0"):
        segment_based_f1(table(), table(), ["dog"], CLIP_S, 0.0)
    with pytest.raises(ValueError, match="must be 0 or more"):
        event_based_f1(table(), table(), ["dog"], np.nan)
    with pytest.raises(ValueError, match="apply a threshold to scores first"):
        tagging_f1(np.ones((3, 2), bool), np.full((3, 2), 0.3))


def test_an_onset_exactly_one_collar_late_is_decided_by_rounding_as_in_sed_eval():
    """Floating-point numbers: 1.2 - 1.0 is a little less than 0.2, and 2.2 - 2.0 a little more."""
    found = []
    for onset in (1.0, 2.0):
        both = [pd.DataFrame([("f", t, t + 3, "a")], columns=COLUMNS) for t in (onset, onset + 0.2)]
        found.append(event_based_f1(*both, ["a"]).micro_f1)
    assert found == [1.0, 0.0]
