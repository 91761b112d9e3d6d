"""Every frame reducer through one interface: shapes, gradients; the scores of each rival; pooling against torch."""

import itertools

import pytest
import torch
from torch.nn import functional

from course_lib.audio.timebase import out_frames
from course_lib.models import frame_pooling
from course_lib.models.classifier import REDUCERS
from course_lib.models.diffres import DiffRes, Reduced
from course_lib.models.frame_pooling import Distortion, Energy, Flux, Pooling, Random, Similarity, Uniform

each = pytest.mark.parametrize("name", [name for name in REDUCERS if name != "oracle"])  # whose last band is no level
LEARN = {"diffres", "diffres-light", "diffres-contrast", "shuffled", "convolution"}


def levels(clips, n_frames, n_mels=16, seed=0):
    """Natural log power like that of sounds: around -9, quiet and loud stretches."""
    g = torch.Generator().manual_seed(seed)
    loud = 6 * torch.randn(clips, n_frames, 1, generator=g)
    return -9 + loud.cumsum(1) / n_frames**0.5 + torch.randn(clips, n_frames, n_mels, generator=g)


def made(name, n_mels=16, reduction=0.5):
    """A frame reducer as after some training: its normalisation has seen clips."""
    torch.manual_seed(0)
    frame_reducer = REDUCERS[name](n_mels, reduction)
    for seed in range(20):
        frame_reducer(levels(8, 60, n_mels, seed))
    return frame_reducer.eval()


@each
@pytest.mark.parametrize(("n_frames", "reduction"), [(1, 0.0), (2, 0.5), (7, 0.25), (100, 0.9), (101, 0.5), (40, 0.75)])
def test_one_interface(name, n_frames, reduction):
    found = made(name, reduction=reduction)(levels(3, n_frames))
    n_out = out_frames(n_frames, reduction)
    assert isinstance(found, Reduced)
    assert found.features.shape == (3, REDUCERS[name](16, reduction).channels, n_out, 16)
    assert torch.isfinite(found.features).all()
    assert found.guide_loss.shape == (3,)
    if found.scores is not None:
        assert found.scores.shape == (3, n_frames) and 0 <= found.scores.min() <= found.scores.max() <= 1 + 1e-6
        assert torch.allclose(found.scores.sum(1), torch.tensor(float(n_out)), rtol=1e-4)


@each
def test_a_clip_does_not_depend_on_its_batch(name):
    frame_reducer, x = made(name), levels(4, 50)
    assert torch.allclose(frame_reducer(x).features[2], frame_reducer(x[2:3]).features[0], atol=1e-4)


@each
def test_gradients_reach_the_clip_and_what_learns(name):
    frame_reducer = made(name).train()
    x = levels(2, 50).requires_grad_()
    found = frame_reducer(x).features
    (found * torch.randn(found.shape, generator=torch.Generator().manual_seed(1))).sum().backward()
    assert torch.isfinite(x.grad).all() and x.grad.abs().sum() > 0
    learnt = [p.grad for p in frame_reducer.parameters()]
    assert bool(learnt) == (name in LEARN)
    assert all(g is not None and torch.isfinite(g).all() for g in learnt)
    assert sum(float(g.abs().sum()) for g in learnt) > 0 or not learnt


@each
def test_a_constant_clip_stays_what_it_is(name):
    x = torch.full((2, 40, 16), -7.0)
    found = REDUCERS[name](16, 0.5).eval()(x).features
    tolerance = 3.0 if name == "convolution" else 1e-3  # its blocks add what they make of it
    assert (found[:, :1] + 7).abs().max() < tolerance


@each
@pytest.mark.parametrize("level", [-23.0, 0.0, 30.0])
def test_silence_and_loud_levels_are_fine(name, level):
    found = REDUCERS[name](16, 0.25)(torch.full((2, 20, 16), level))
    assert found.features.isfinite().all() and found.guide_loss.isfinite().all()


@each
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(2, 20), "expected floats"),
        (torch.zeros(2, 20, 15), "15 mels, expected 16"),
        (torch.full((2, 20, 16), torch.nan), "NaN or infinite"),
        (torch.zeros(2, 0, 16), "no axis of size 0"),
    ],
)
def test_bad_clips_are_one_line(name, x, words):
    with pytest.raises(ValueError, match=words):
        REDUCERS[name](16, 0.5)(x)


@each
@pytest.mark.parametrize("reduction", [-0.1, 1.0, float("nan")])
def test_bad_reductions_are_one_line(name, reduction):
    with pytest.raises(ValueError, match="reduction"):
        REDUCERS[name](16, reduction)


def test_energy_is_the_amplitude_whatever_the_gain():
    x = levels(2, 30)
    scores = Energy(16, 0.5).raw_scores(x)
    amplitude = x.exp().mean(2).sqrt()
    ratio = scores / amplitude
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-4)
    assert torch.allclose(scores, Energy(16, 0.5).raw_scores(x + 3), rtol=1e-4)


def test_flux_is_the_onset_strength_of_librosa():
    import librosa
    import numpy as np

    x = levels(1, 50)
    ours = Flux(16, 0.5).raw_scores(x)[0].numpy()
    theirs = librosa.onset.onset_strength(S=x[0].T.numpy(), lag=1, center=False)
    assert np.allclose(ours, theirs, atol=1e-5) and ours.max() > 0.1


def test_random_scores_are_a_clip_s_own_or_all_the_same():
    x = levels(3, 40)
    own, frozen = Random(16, 0.5).raw_scores(x), Random(16, 0.5, frozen=True).raw_scores(x)
    assert not torch.equal(own[0], own[1]) and torch.equal(frozen[0], frozen[1])
    assert torch.equal(own, Random(16, 0.5).raw_scores(x))
    assert 0.2 < own.std() < 0.4 and 0.4 < own.mean() < 0.6


def test_shuffled_is_diffres_in_training_and_shuffles_its_scores_in_evaluation():
    frame_reducer, x = made("shuffled"), levels(3, 60)
    twin = DiffRes(16, 0.5, scorer="light").eval()
    twin.load_state_dict(frame_reducer.state_dict())
    shuffled, own = frame_reducer.raw_scores(x), twin.raw_scores(x)
    assert torch.allclose(shuffled.sort(1).values, own.sort(1).values) and not torch.allclose(shuffled, own)
    frame_reducer.train(), twin.train()
    assert torch.allclose(frame_reducer.raw_scores(x), twin.raw_scores(x))


def pieces(widths):
    """Lengths of the pieces that a merge by cuts between frames made, from its widths."""
    found, at = [], 0
    while at < len(widths):
        found.append(round(1 / float(widths[at])))
        at += found[-1]
    return found


def error(x, lengths):
    """Square error of log power when pieces of `lengths` are replaced by their means."""
    return sum(float((part - part.mean(0)).square().sum()) for part in x.split(lengths))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reduction", [0.4, 0.5, 0.7])
def test_the_distortion_merge_finds_what_trying_all_cuts_finds(seed, reduction):
    x, n_out = levels(1, 10, 3, seed), out_frames(10, reduction)
    found = pieces(Distortion(3, reduction)(x).scores[0])
    all_cuts = itertools.combinations(range(1, 10), n_out - 1)
    ways = [[b - a for a, b in itertools.pairwise((0, *cuts, 10))] for cuts in all_cuts]
    allowed = [way for way in ways if max(way) <= frame_pooling.LONGEST / (1 - reduction)]
    assert sum(found) == 10 and len(found) == n_out
    assert error(x[0], found) == pytest.approx(min(error(x[0], way) for way in allowed), rel=1e-5)


def test_similar_neighbours_are_merged_first():
    x = torch.tensor([0.0, 0.0, 5.0, 5.1, 9.0, 0.0, 0.2, 0.2]).view(1, 8, 1)
    # the largest jumps: 9 to 0, 0 to 5, 5.1 to 9
    assert pieces(Similarity(1, 0.5)(x).scores[0]) == [2, 2, 1, 3]


@pytest.mark.parametrize("n_frames", [40, 41, 53])
@pytest.mark.parametrize("reduction", [0.25, 0.5, 0.75])
def test_poolings_are_those_of_torch(n_frames, reduction):
    x, n_out = levels(3, n_frames), out_frames(n_frames, reduction)

    def adaptive(pool, values):
        return pool(values.transpose(1, 2), n_out).transpose(1, 2)

    average = adaptive(functional.adaptive_avg_pool1d, x)
    highest = adaptive(functional.adaptive_max_pool1d, x)
    linear = adaptive(functional.adaptive_avg_pool1d, x.exp()).log()
    places = torch.linspace(0, n_frames - 1, n_out).round().long()
    wanted = {"average": average, "linear": linear, "average-max": (average + highest) / 2, "subsample": x[:, places]}
    for how, value in wanted.items():
        found = Pooling(16, reduction, how)(x).features[:, 0]
        assert torch.allclose(found, value, atol=1e-4), how


def test_equal_widths_are_the_linear_pooling_where_frames_divide():
    x = levels(2, 40)
    pooled = Pooling(16, 0.75, "linear")(x).features[:, 0]
    assert torch.allclose(Uniform(16, 0.75)(x).features[:, 0], pooled, atol=1e-4)


def test_the_optimal_segmentation_has_no_segment_of_more_than_four_mean_lengths():
    """Forty frames where one in ten is left. Of a silence of 41 and nine steady sounds, the silence loses a frame."""
    lengths, heights = [41, 7, *4 * [6, 7]], [0, 1, *4 * [11, 21]]  # the nearest sound is the most like silence
    x = torch.tensor(heights).repeat_interleave(torch.tensor(lengths)).float()[None, :, None].expand(1, 100, 16)
    assert 1 / float(Distortion(16, 0.9).widths(x, 10).min()) == pytest.approx(40)


def test_an_unknown_pooling_is_one_line():
    with pytest.raises(ValueError, match=r"how='median': choose one of subsample, average"):
        Pooling(16, 0.5, "median")


def test_the_oracle_spends_all_frames_on_the_events_and_hides_where_they_are():
    x = torch.randn(2, 40, 17, generator=torch.Generator().manual_seed(0)) - 10
    x[..., -1] = 0
    x[0, 8:16, -1] = x[1, 30:34, -1] = 1
    frame_reducer = REDUCERS["oracle"](17, 0.9)
    found = frame_reducer(x)
    assert torch.allclose(found.scores[0, 8:16], torch.tensor(0.5)) and found.scores[0].sum() == pytest.approx(4)
    assert torch.allclose(found.scores[1, 30:34], torch.tensor(1.0))
    assert not found.features[:, :2, :, -1].any()
    mean = x[1, 30:34, :-1]  # each of the four frames has an output frame to itself
    assert torch.allclose(found.features[1, 0, :, :-1], mean, atol=1e-4)
