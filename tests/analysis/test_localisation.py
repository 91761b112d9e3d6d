"""Localisation apart from recognition, on events whose answer is known; and answers that do not listen."""

import pandas as pd
import pytest

from course_lib.analysis import localisation
from course_lib.data.events import COLUMNS
from course_lib.study.config import SceneRun, to_dict

TRUE = pd.DataFrame(
    [("a", 1.0, 2.0, "dog"), ("a", 5.0, 6.0, "rain"), ("b", 3.0, 4.0, "dog"), ("b", 7.0, 8.0, "rain")], columns=COLUMNS
)
CLASSES = ["dog", "rain"]


def row(seed, *found, streams="spectral+auditory"):
    """A row that detected these events; of two streams, so that no offset is undone."""
    text = pd.DataFrame(found, columns=COLUMNS).to_csv(index=False)
    fields = to_dict(SceneRun("esc10", 1, seed, streams=streams))
    return fields | {"content": "made", "classes": CLASSES, "test_estimated": text}


def test_only_events_that_both_recognise_are_scored():
    """The first hears every dog at its time and no rain; the second hears all, half of it a second late."""
    first = row(0, ("a", 1.0, 2.0, "dog"), ("b", 3.0, 4.0, "dog"))
    second = row(0, ("a", 1.0, 2.0, "dog"), ("b", 4.0, 5.0, "dog"), ("a", 5.0, 6.0, "rain"), ("b", 8.0, 9.0, "rain"))
    truth = TRUE.assign(content="made")
    [found] = localisation.on_shared_pairs(pd.DataFrame([first]), pd.DataFrame([second]), truth).to_dict("records")
    assert found == {"fold": 1, "seed": 0, "pairs": 2, "first": 1.0, "second": 0.5}
    alone = localisation.on_shared_pairs(pd.DataFrame([first]), pd.DataFrame([second | {"seed": 1}]), truth)
    assert alone.empty, "seeds are compared one by one"
    elsewhere = localisation.on_shared_pairs(pd.DataFrame([first]), pd.DataFrame([second | {"fold": 2}]), truth)
    assert elsewhere.empty, "and folds"


def test_the_error_of_an_onset_is_that_of_the_nearest_one_detected_there():
    """An event may be detected twice, or by two events at once; a scene and class without detection has no error."""
    found = pd.DataFrame(
        [("a", 1.5, 2.0, "dog"), ("a", 0.8, 1.0, "dog"), ("a", 4.0, 9.0, "rain"), ("b", 7.0, 8.0, "dog")],
        columns=COLUMNS,
    )
    true = pd.concat([TRUE, pd.DataFrame([("a", 4.5, 5.5, "rain")], columns=COLUMNS)])
    errors = localisation.onset_errors_s(true, found)
    assert sorted(errors) == pytest.approx([-1.0, -0.5, -0.2, 4.0])


def test_onsets_are_compared_on_events_that_both_recognise():
    early = row(0, ("a", 0.9, 2.0, "dog"), ("b", 2.9, 4.0, "dog"), ("b", 7.5, 8.0, "rain"))
    late = row(0, ("a", 1.3, 2.0, "dog"), ("b", 3.1, 4.0, "dog"))
    conditions = {"log-mel": pd.DataFrame([early]), "auditory every 320 ms": pd.DataFrame([late])}
    [found] = localisation.onset_table(conditions, TRUE.assign(content="made")).to_dict("records")
    assert (found["first"], found["second"], found["events"]) == ("log-mel", "auditory every 320 ms", 2)
    assert [found["first 0.5"], found["second 0.5"]] == pytest.approx([-100, 200])


def test_events_of_a_class_that_is_not_there_are_no_shared_pair():
    both = row(0, ("a", 1.0, 2.0, "dog"), ("c", 1.0, 2.0, "rain"))
    [found] = localisation.on_shared_pairs(
        pd.DataFrame([both]), pd.DataFrame([both]), TRUE.assign(content="made")
    ).to_dict("records")
    assert found["pairs"] == 1 and found["first"] == found["second"] == 1


def test_the_offset_of_a_single_stream_is_undone():
    """Log-mel features describe the sound one and a half frames before."""
    early = row(0, ("a", 1.0, 2.0, "dog"), ("b", 0.0, 9.99, "dog"), streams="spectral")
    hop_s = early["features.hop_ms"] / 1000
    events = localisation.estimated(early)
    assert events["onset"].tolist() == pytest.approx([1 - 1.5 * hop_s, 0]), "and no event begins before its scene"
    assert events["offset"].tolist() == pytest.approx([2 - 1.5 * hop_s, 9.99 - 1.5 * hop_s])


def test_constant_answers_are_those_of_every_class_all_the_time():
    found = localisation.constant_answers(TRUE, 3, 10.0)
    assert found["tagging"] == pytest.approx(2 * 4 / (4 + 6)), "four of six tags are there, one scene is empty"
    assert found["segment"] == pytest.approx(2 * 4 / (4 + 60)) and found["event"] == 0
    whole = pd.DataFrame([("a", 0.0, 10.0, label) for label in CLASSES], columns=COLUMNS)
    assert localisation.constant_answers(whole, 1, 10.0) == {"tagging": 1, "segment": 1, "event": 1}


def test_constant_answers_on_several_folds_are_averaged():
    """On the second fold every scene has every class from start to end."""
    whole = pd.DataFrame([(name, 0.0, 10.0, label) for name in "ab" for label in CLASSES], columns=COLUMNS)
    truth = pd.concat([TRUE.assign(content="one"), whole.assign(content="other")])
    runs = [{"content": content, "n_test": 2, "scenes.clip_s": 10.0} for content in ("one", "other", "one")]
    found = localisation.mean_baselines(pd.DataFrame(runs), truth)
    first = localisation.constant_answers(TRUE, 2, 10.0)
    assert found == pytest.approx({score: (f1 + 1) / 2 for score, f1 in first.items()})
    assert localisation.mean_baselines(pd.DataFrame(runs[:0]), truth) == {}
