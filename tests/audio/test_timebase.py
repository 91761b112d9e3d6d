"""Times, samples and frames against the libraries that count them too."""

import librosa
import numpy as np
import pytest
import torch
from hypothesis import assume, example, given
from hypothesis import strategies as st

from course_lib.audio import timebase

lengths = st.integers(1, 5000)
ffts = st.integers(1, 700)
hops = st.integers(1, 1500)
rates = st.sampled_from([8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000])


def framed(n_samples: int, n_fft: int, hop_samples: int) -> int:
    """Frames that numpy itself cuts."""
    return len(np.lib.stride_tricks.sliding_window_view(np.zeros(n_samples), n_fft)[::hop_samples])


@given(lengths, ffts, hops)
@example(16_000, 400, 160)
@example(400, 400, 1)
@example(110_250, 1024, 220)
def test_uncentred_count_is_the_number_of_whole_windows(n_samples, n_fft, hop_samples):
    assume(n_samples >= n_fft)
    count = timebase.frame_count(n_samples, n_fft, hop_samples, centred=False)
    assert count == framed(n_samples, n_fft, hop_samples)
    assert count == librosa.util.frame(np.zeros(n_samples), frame_length=n_fft, hop_length=hop_samples).shape[-1]
    assert count == torch.zeros(n_samples).unfold(0, n_fft, hop_samples).shape[0]


@pytest.mark.filterwarnings("ignore:n_fft=.* is too large")
@given(lengths, st.integers(2, 700), hops)
@example(16_000, 401, 160)
@example(16_000, 400, 160)
@example(10, 512, 80)
def test_centred_count_is_that_of_both_stfts(n_samples, n_fft, hop_samples):
    count = timebase.frame_count(n_samples, n_fft, hop_samples)
    x = np.zeros(n_samples, dtype=np.float32)
    assert count == librosa.stft(x, n_fft=n_fft, hop_length=hop_samples, pad_mode="constant").shape[-1]
    window = torch.ones(n_fft)
    spectrum = torch.stft(
        torch.from_numpy(x), n_fft, hop_samples, window=window, pad_mode="constant", return_complex=True
    )
    assert count == spectrum.shape[-1]


@given(ffts, hops, st.data())
def test_no_frame_in_less_than_a_window(n_fft, hop_samples, data):
    n_samples = data.draw(st.integers(0, n_fft - 1))
    assert timebase.frame_count(n_samples, n_fft, hop_samples, centred=False) == 0


@pytest.mark.parametrize("bad", [(-1, 10, 1), (10, 0, 1), (10, 10, 0)])
def test_counting_refuses_nonsense(bad):
    with pytest.raises(ValueError, match="n_samples >= 0"):
        timebase.frame_count(*bad)


@given(st.integers(0, 400), ffts, hops, rates, st.booleans())
def test_centres_are_those_of_librosa(n_frames, n_fft, hop_samples, rate_hz, centred):
    ours = timebase.frame_centres_s(n_frames, n_fft, hop_samples, rate_hz, centred=centred)
    theirs = librosa.frames_to_time(
        np.arange(n_frames), sr=rate_hz, hop_length=hop_samples, n_fft=None if centred else n_fft
    )
    assert ours.dtype == np.float64
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)


@given(st.integers(1, 400), ffts, hops, rates, st.booleans())
def test_nearest_frame_undoes_the_centres(n_frames, n_fft, hop_samples, rate_hz, centred):
    centres = timebase.frame_centres_s(n_frames, n_fft, hop_samples, rate_hz, centred=centred)
    found = timebase.nearest_frame(centres, n_fft, hop_samples, rate_hz, centred=centred)
    np.testing.assert_array_equal(found, np.arange(n_frames))


@given(st.floats(0, 3), ffts, hops, rates, st.booleans())
def test_no_frame_is_nearer_than_the_nearest(time_s, n_fft, hop_samples, rate_hz, centred):
    found = int(timebase.nearest_frame(time_s, n_fft, hop_samples, rate_hz, centred=centred))
    centres = timebase.frame_centres_s(found + 2, n_fft, hop_samples, rate_hz, centred=centred)
    assert abs(centres[found] - time_s) <= np.abs(centres - time_s).min() + 1e-9


@given(st.integers(1, 10**7), rates)
def test_samples_survive_the_way_through_milliseconds(n_samples, rate_hz):
    assert timebase.ms_to_samples(timebase.samples_to_ms(n_samples, rate_hz), rate_hz) == n_samples
    assert timebase.seconds_to_samples(n_samples / rate_hz, rate_hz) == n_samples


@given(st.floats(0.2, 1e6), rates)
def test_rounding_is_to_the_nearest_sample(duration_ms, rate_hz):
    exact = duration_ms * rate_hz / 1000
    assert abs(timebase.ms_to_samples(duration_ms, rate_hz) - exact) <= 0.5 + 1e-6


@given(st.integers(0, 10**6), rates)
def test_half_a_sample_goes_up_whatever_floating_point_does(n_samples, rate_hz):
    assert timebase.ms_to_samples(1000 * (n_samples + 0.5) / rate_hz, rate_hz) == n_samples + 1


@pytest.mark.parametrize(
    ("duration_ms", "rate_hz", "samples"),
    [(10, 16_000, 160), (2.5, 22_050, 55), (0.5, 44_100, 22), (2.5, 11_000, 28), (0, 16_000, 0), (-2.5, 16_000, -40)],
)
def test_rounding_worked_out_by_hand(duration_ms, rate_hz, samples):
    assert timebase.ms_to_samples(duration_ms, rate_hz) == samples


@pytest.mark.parametrize(
    ("duration_ms", "rate_hz"),
    [(0.01, 16_000), (10, 0), (10, -1), (10, float("nan")), (float("nan"), 16_000), (float("inf"), 16_000)],
)
def test_durations_that_make_no_sample_are_refused(duration_ms, rate_hz):
    with pytest.raises(ValueError, match=r"less than one sample|rate_hz|finite"):
        timebase.ms_to_samples(duration_ms, rate_hz)


layers = st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4)


@given(layers)
def test_receptive_field_is_where_the_gradient_of_one_output_reaches(stack):
    kernels, strides, dilations = zip(*stack, strict=True)
    field, jump = timebase.receptive_field(kernels, strides, dilations)
    x = torch.ones(1, 1, field + jump, requires_grad=True)
    y = x
    for kernel, stride, dilation in stack:
        y = torch.nn.functional.conv1d(y, torch.ones(1, 1, kernel), stride=stride, dilation=dilation)
    assert y.shape[-1] == 2
    reached = [torch.autograd.grad(y[0, 0, k], x, retain_graph=True)[0][0, 0].nonzero().flatten() for k in (0, 1)]
    assert [int(r[-1] - r[0]) + 1 for r in reached] == [field, field]
    assert int(reached[1][0] - reached[0][0]) == jump


def test_receptive_field_wants_one_entry_a_layer():
    with pytest.raises(ValueError, match="one entry per layer"):
        timebase.receptive_field([3, 3], [1])


@given(st.integers(1, 50), ffts, hops, rates)
def test_span_is_what_the_frames_cover(n_frames, n_fft, hop_samples, rate_hz):
    n_samples = timebase.ms_to_samples(timebase.span_ms(n_frames, n_fft, hop_samples, rate_hz), rate_hz)
    assert timebase.frame_count(n_samples, n_fft, hop_samples, centred=False) == n_frames
    assert timebase.frame_count(n_samples - 1, n_fft, hop_samples, centred=False) == n_frames - 1
    assert timebase.span_ms(0, n_fft, hop_samples, rate_hz) == 0


def test_an_average_takes_the_frames_that_fall_to_a_time_and_no_others():
    found = timebase.alignment(np.arange(9.0), np.array([1.0, 4.0, 7.0]), "average")
    np.testing.assert_allclose(found, np.repeat(np.eye(3), 3, axis=1) / 3, rtol=1e-6)
