"""Windows of long recordings: none of the samples is left out, and a stream gives what the whole gives."""

import numpy as np
import pytest
from helpers import cut_windows
from hypothesis import given
from hypothesis import strategies as st

from course_lib.audio import windows


@st.composite
def cuts(draw):
    """A recording in blocks of any sizes, a window and a hop."""
    n_samples = draw(st.integers(1, 120))
    window = draw(st.integers(1, 50))
    hop = draw(st.integers(1, window))
    places = sorted(draw(st.lists(st.integers(0, n_samples), max_size=6)))
    return n_samples, window, hop, places


@given(cuts())
def test_every_sample_is_in_a_window_and_no_window_beyond_the_end(given_cuts):
    n_samples, window, hop, _ = given_cuts
    starts = windows.window_starts(n_samples, window, hop)
    covered = np.zeros(n_samples, bool)
    for start in starts:
        covered[start : start + window] = True
    assert covered.all()
    assert starts[0] == 0 and starts[-1] == max(0, n_samples - window)
    assert (np.diff(starts) > 0).all() and (np.diff(starts)[:-1] == hop).all()


@given(cuts())
def test_a_stream_gives_the_windows_of_the_whole(given_cuts):
    n_samples, window, hop, places = given_cuts
    x = np.arange(1, n_samples + 1, dtype=np.float32)
    starts, whole = cut_windows(x, window, hop)
    streamed = list(windows.stream_windows(np.split(x, places), window, hop))
    assert [start for start, _ in streamed] == starts.tolist()
    np.testing.assert_array_equal(np.stack([w for _, w in streamed]), whole)


def test_a_short_recording_is_padded_at_its_end():
    [(start, found)] = windows.stream_windows([np.ones(3, np.float32)], 5, 2)
    assert start == 0 and found.tolist() == [1, 1, 1, 0, 0]


def test_no_sound_gives_no_window():
    assert list(windows.stream_windows([], 4, 2)) == []
    assert list(windows.stream_windows([np.zeros(0, np.float32)], 4, 2)) == []


def test_a_stream_holds_one_window_and_one_block():
    """Seen from the views that it yields: what they are cut from is never longer."""
    blocks = (np.zeros(7, np.float32) for _ in range(1000))
    longest = max(window.base.shape[0] for _, window in windows.stream_windows(blocks, 20, 5))
    assert longest <= 20 + 5 + 7


@pytest.mark.parametrize(("window", "overlap", "hop"), [(100, 0, 100), (100, 0.5, 50), (101, 0.5, 51), (3, 0.9, 1)])
def test_hop_for_an_overlap(window, overlap, hop):
    assert windows.hop_for(window, overlap) == hop


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: windows.hop_for(10, 1.0), "overlap=1.0: must be at least 0 and below 1"),
        (lambda: windows.window_starts(0, 10, 5), "n_samples=0: a recording has at least one sample"),
        (lambda: windows.window_starts(100, 10, 11), "hop_samples=11: must be from 1 to window_samples=10"),
        (lambda: list(windows.stream_windows([], 10, 0)), "hop_samples=0: must be from 1"),
    ],
)
def test_what_would_leave_samples_out_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
