"""Probabilities and events of a stream: the same as of the whole, however it is cut; and what duplicates become."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from course_lib.audio import windows
from course_lib.data import events
from course_lib.evaluation import streams
from course_lib.evaluation.streams import Event

CLASSES = ["cat", "dog"]


def slow_aggregate(starts, probabilities, window, frame, n_samples, how):
    """Frame by frame: the mean or maximum over the windows that cover its middle, or its last sample if cut off."""
    rows = []
    for j in range(-(-n_samples // frame)):
        middle = min((j + 0.5) * frame, n_samples - 0.5)
        over = [p for start, p in zip(starts, probabilities, strict=True) if start <= middle < start + window]
        rows.append(np.mean(over, axis=0) if how == "mean" else np.max(over, axis=0))
    return np.array(rows)


@given(st.data())
def test_frames_are_the_mean_or_maximum_of_the_windows_over_them(data):
    n_samples = data.draw(st.integers(1, 120))
    window = data.draw(st.integers(1, 50))
    hop, frame = data.draw(st.integers(1, window)), data.draw(st.integers(1, window))
    how = data.draw(st.sampled_from(streams.HOW))
    starts = windows.window_starts(n_samples, window, hop)
    given_p = np.random.default_rng(n_samples).random((len(starts), 2))
    found = streams.aggregate(starts, given_p, window, frame, n_samples, how)
    np.testing.assert_allclose(found, slow_aggregate(starts, given_p, window, frame, n_samples, how), atol=1e-6)


def test_steps_within_a_window_keep_their_place():
    """Two windows of four steps, half overlapping: each step is a frame, and the middle is the mean of both."""
    probabilities = np.array([[[1], [2], [3], [4]], [[5], [6], [7], [8]]], np.float32)
    found = streams.aggregate([0, 20], probabilities, window_samples=40, frame_samples=10)
    assert found[:, 0].tolist() == [1, 2, 4, 5, 7, 8]


def test_frames_leave_before_the_end_and_few_are_held():
    """After each window all frames before it have left: a stream of any length needs no more memory than this."""
    left = 0

    def endless():
        for k in range(500):
            assert left >= max(0, k - 1) * 5 - 1
            yield 5 * k, np.zeros(3, np.float32)

    for block in streams.aggregate_stream(endless(), window_samples=20, frame_samples=1):
        assert len(block) <= 20
        left += len(block)
    assert left == 499 * 5 + 20


@pytest.mark.parametrize(
    ("starts", "settings", "message"),
    [
        ([0], {"how": "sum"}, "how='sum': choose one of mean, max"),
        ([0], {"frame_samples": 30}, "frame_samples=30: must be from 1 to window_samples=20"),
        ([5, 0], {}, "a window starts at 0, after one at 5"),
        ([0, 50], {}, "no window covers some frame"),
    ],
)
def test_what_makes_no_time_axis_is_refused(starts, settings, message):
    with pytest.raises(ValueError, match=message):
        streams.aggregate(starts, np.zeros((len(starts), 2)), 20, **({"frame_samples": 10} | settings))


@given(st.data())
def test_events_of_a_stream_are_those_of_the_whole(data):
    """Against `from_frames`, scipy's median filter and `merge_touching`, whatever the cuts."""
    n_frames = data.draw(st.integers(1, 60))
    cuts = sorted(data.draw(st.lists(st.integers(0, n_frames), max_size=6)))
    median, gap = data.draw(st.sampled_from([1, 3, 5])), data.draw(st.integers(0, 3))
    probabilities = np.random.default_rng(n_frames).random((n_frames, 2))
    active = median_filter(probabilities > 0.6, size=(median, 1), mode="nearest")
    whole = events.merge_touching(events.from_frames(active[None], ["a"], CLASSES, 0.5), gap_s=0.5 * gap)
    found = streams.find_events(
        np.split(probabilities, cuts), 0.5, threshold=0.6, median_frames=median, gap_s=0.5 * gap
    )
    table = streams.event_table(found, "a", CLASSES)
    expected = whole.sort_values(["onset", "event_label"]).reset_index(drop=True)
    assert table[events.COLUMNS].values.tolist() == expected.values.tolist()


def found(rows, **settings):
    """Events of one class whose probabilities come in these blocks."""
    return list(streams.find_events([np.array(row, float)[:, None] for row in rows], 1.0, **settings))


def test_an_event_goes_on_over_the_seam_of_two_blocks():
    assert found([[0, 0.9], [0.7, 0]]) == [Event(1, 3, 0, 0.9)]


def test_an_event_comes_as_soon_as_it_is_over():
    blocks = iter([np.array([[0.0], [0.8], [0.0]]), np.array([[0.9]])])
    events_found = streams.find_events(blocks, 1.0)
    assert next(events_found) == Event(1, 2, 0, 0.8)
    assert len(list(blocks)) == 1, "the second block was read although the event could change no more"


def test_a_bridged_pause_and_the_higher_confidence():
    assert found([[0.6, 0], [0.9, 0, 0, 0.7]], gap_s=1.0) == [Event(0, 3, 0, 0.9), Event(5, 6, 0, 0.7)]


def test_short_events_are_dropped_but_not_those_that_were_cut_off():
    assert found([[0.9, 0, 0.9, 0, 0.9, 0.9, 0, 0.9]], min_s=2.0, end_s=7.5) == [
        Event(0, 1, 0, 0.9),
        Event(4, 6, 0, 0.9),
        Event(7, 7.5, 0, 0.9),
    ]


def test_a_threshold_for_each_class():
    block = np.array([[0.4, 0.4]])
    assert [e.label for e in streams.find_events([block], 1.0, threshold=np.array([0.3, 0.5]))] == [0]


def test_no_frames_no_events_and_an_even_median_is_refused():
    assert found([]) == [] and found([[], []], median_frames=3) == []
    with pytest.raises(ValueError, match="median_frames=2: must be an odd number"):
        found([[0.9]], median_frames=2)
