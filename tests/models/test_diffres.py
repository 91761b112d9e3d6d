"""DiffRes: invariants over many kinds of scores, the published formulas as a peer, gradients, bad input."""

import importlib.util
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from course_lib.audio.timebase import out_frames
from course_lib.models import diffres
from course_lib.models.diffres import DiffRes, DiffResContrast, Scorer, merge, rectify, warp_matrix
from course_lib.paths import repo_root


def peer():
    """The published, dense formulation, from the folder of benches."""
    where = importlib.util.spec_from_file_location("published", repo_root() / "bench" / "published_diffres.py")
    module = importlib.util.module_from_spec(where)
    where.loader.exec_module(module)
    return module


published = peer()
FAMILIES = {
    "ordinary": lambda shape, g: 0.05 + 0.9 * torch.rand(shape, generator=g),
    "sparse": lambda shape, g: torch.where(torch.rand(shape, generator=g) < 0.1, 0.9, 1e-6),
    "constant": lambda shape, g: torch.full(shape, 0.3),
    "near one": lambda shape, g: 1 - 1e-3 * torch.rand(shape, generator=g),
    "silent": lambda shape, g: torch.zeros(shape),
    "one frame": lambda shape, g: torch.nn.functional.one_hot(
        torch.zeros(shape[0], dtype=torch.long), shape[1]
    ).float(),
}
family = pytest.mark.parametrize("kind", FAMILIES)
SILENCE = math.log(1e-10)  # the floor of the course's log-mels
REDUCTIONS = (0.0, 0.25, 0.5, 0.75, 0.9)


def drawn(kind, n_frames, seed=0, clips=3):
    return FAMILIES[kind]((clips, n_frames), torch.Generator().manual_seed(seed))


def levels(clips, n_frames, n_mels, seed=0):
    """Natural log power like that of sounds: around -9, quiet and loud stretches."""
    g = torch.Generator().manual_seed(seed)
    loud = 6 * torch.randn(clips, n_frames, 1, generator=g)
    return -9 + loud.cumsum(1) / n_frames**0.5 + torch.randn(clips, n_frames, n_mels, generator=g)


def settled(n_mels, reduction=0.5, **more):
    """A layer whose normalisation has seen some clips: before, its scores may be equal and every test of them empty."""
    torch.manual_seed(0)
    layer = DiffRes(n_mels, reduction, **more)
    layer.standardise(torch.full((n_mels,), -9.0), torch.full((n_mels,), 6.0))
    for seed in range(30):
        layer(levels(8, 120, n_mels, seed))
    return layer.eval()


@family
@given(n_frames=st.integers(2, 200), reduction=st.sampled_from(REDUCTIONS), seed=st.integers(0, 99))
def test_widths_are_widths_and_every_piece_weighs_one(kind, n_frames, reduction, seed):
    n_out = max(1, out_frames(n_frames, min(reduction, 1 - 1 / n_frames)))
    raw = drawn(kind, n_frames, seed)
    s = rectify(raw, n_out)
    assert s.min() >= 0 and s.max() <= 1 + 1e-5
    assert torch.allclose(s.sum(1), torch.full((3,), float(n_out)), rtol=1e-5, atol=1e-4)
    assert torch.allclose(rectify(s, n_out), s, atol=1e-5), "a second call changes nothing"
    assert torch.allclose(rectify(raw * 0.25, n_out), s, atol=1e-4), "nor does a factor"
    w = warp_matrix(s, n_out)
    assert w.min() >= 0
    assert torch.allclose(w.sum(1), torch.ones(3, n_out), atol=1e-4)
    assert torch.allclose(w.sum(2), s, atol=4e-5)
    touched = w > 0
    assert touched.sum(2).max() <= 2
    for clip in touched:
        columns = [row.nonzero()[:, 0] for row in clip]
        firsts = [c.min().item() for c in columns if len(c)]
        assert firsts == sorted(firsts) and all((c.diff() == 1).all() for c in columns)


@family
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_merging_by_edges_equals_the_matrix(kind, reduction):
    x, n_out = levels(3, 100, 5).double(), out_frames(100, reduction)
    s = rectify(drawn(kind, 100).double(), n_out)
    w = warp_matrix(s, n_out)
    mean, peak = merge(x, s, n_out)
    assert torch.allclose(mean, torch.einsum("bjk,bjf->bkf", w, x.exp()).log(), atol=1e-6)
    exact = (w[..., None] * x.exp()[:, :, None]).amax(1) * 100 / n_out
    assert torch.allclose(peak, exact.log(), atol=1e-6), "the exact maximum of every column"
    assert (peak + math.log(n_out / 100) <= mean + 1e-9).all()


@pytest.mark.parametrize("reduction", [0.25, 0.75])
def test_the_third_channel_says_where_the_frames_of_a_piece_were(reduction):
    layer, n_out = settled(32, reduction), out_frames(90, reduction)
    with torch.no_grad():
        found = layer(levels(3, 90, 32))
    where = torch.einsum("bjk,jf->bkf", warp_matrix(found.scores, n_out), diffres.encoding(90, 32))
    torch.testing.assert_close(found.features[:, 2], where, atol=1e-5, rtol=1e-5)


def test_no_reduction_changes_nothing():
    x = levels(2, 50, 7)
    s = rectify(drawn("ordinary", 50, clips=2), 50)
    assert torch.allclose(warp_matrix(s, 50), torch.eye(50).expand(2, -1, -1), atol=1e-5)
    for merged in merge(x, s, 50):
        assert torch.allclose(merged, x, atol=1e-4)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_equal_widths_pool_power(factor):
    x, n_out = levels(2, 60, 6), 60 // factor
    mean, peak = merge(x, rectify(torch.ones(2, 60), n_out), n_out)
    power = x.exp().transpose(1, 2)
    average = torch.nn.functional.adaptive_avg_pool1d(power, n_out).transpose(1, 2)
    highest = torch.nn.functional.adaptive_max_pool1d(power, n_out).transpose(1, 2)
    assert torch.allclose(mean, average.log(), atol=1e-5) and torch.allclose(peak, highest.log(), atol=1e-5)


def test_a_loud_neighbour_does_not_leak_over_a_cut_that_falls_between_frames():
    x = torch.full((1, 300, 2), -20.0)
    x[:, ::2] = 3.0  # a hundred decibels above
    thirds = torch.full((1, 300), 1 / 3)
    thirds[:, 150:] = torch.tensor([0.5, 0.5]).repeat(75)
    s = rectify(thirds, 125)
    quiet = torch.full((1, 4, 2), -20.0)
    quiet[:, :2] = 3.0
    mean, _ = merge(quiet, torch.full((1, 4), 0.5), 2)
    assert mean[0, :, 0].tolist() == pytest.approx([3.0, -20.0], abs=1e-4)
    assert merge(x, s, 125)[0].isfinite().all()


# Against the published formulas


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("reduction", [0.25, 0.5, 0.75])
def test_ordinary_scores_give_the_published_numbers(seed, reduction):
    n_out = out_frames(200, reduction)
    raw = drawn("ordinary", 200, seed)
    theirs = published.rescale(raw, n_out)
    whole = (n_out - theirs.sum(1)).abs() < 1e-3  # where theirs lacks a part of a frame, ours cannot be the same
    ours = rectify(raw, n_out)
    assert whole.any() and torch.allclose(ours[whole], theirs[whole], atol=1e-5)
    w = published.dense_warp(theirs, n_out)
    assert (warp_matrix(ours, n_out) - w)[whole].abs().max() < 1e-4
    x = levels(3, 200, 8, seed).clamp(min=-18)  # far above the 1e-12 that the published formula adds
    mean, peak = merge(x, ours, n_out)
    their_mean, their_peak = published.dense_merge(x, w, reduction)
    assert (mean - their_mean)[whole].abs().max() < 1e-3
    assert ((peak - their_peak)[whole].abs() < 1e-2).float().mean() > 0.99


def test_what_the_published_formulas_do_otherwise():
    half = torch.where(torch.arange(500) < 250, 0.9, 5e-5)[None]
    theirs = published.dense_warp(published.rescale(half, 375), 375)
    assert (theirs.sum(1) < 1e-3).sum() > 100, "there a quarter of the output is empty"
    assert torch.allclose(warp_matrix(rectify(half, 375), 375).sum(1), torch.ones(1, 375), atol=1e-4)
    lacking = next(
        raw
        for seed in range(50)
        for raw in [drawn("ordinary", 40, seed, clips=1)]
        if 0.3 < 20 - published.rescale(raw, 20).sum() < 1
    )
    assert published.dense_warp(published.rescale(lacking, 20), 20).sum(1)[0, -1] < 0.7
    assert warp_matrix(rectify(lacking, 20), 20).sum(1)[0, -1] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize(("frames", "reduction", "left"), [(1000, 0.9, 100), (100, 0.8, 20), (98, 0.25, 74)])
def test_lengths_are_rounded(frames, reduction, left):
    assert out_frames(frames, reduction) == left


# The layer


@pytest.mark.parametrize("n_mels", [1, 32, 33, 40, 64, 80, 96, 128])
@pytest.mark.parametrize("scorer", ["published", "light"])
def test_any_number_of_mels_and_frames(n_mels, scorer):
    layer = DiffRes(n_mels, 0.5, scorer=scorer)
    for n_frames in (2, 61):
        found = layer(levels(2, n_frames, n_mels))
        n_out = out_frames(n_frames, 0.5)
        assert found.features.shape == (2, 3, n_out, n_mels) and found.scores.shape == (2, n_frames)
        assert found.guide_loss.shape == (2,) and found.features.isfinite().all()


@pytest.mark.parametrize(("n_mels", "size"), [(128, 82_371), (64, 63_579), (40, 25_041)])
def test_the_scorer_is_as_large_as_published(n_mels, size):
    assert sum(p.numel() for p in Scorer(n_mels).parameters()) == size


def macs(scorer, n_mels):
    with FlopCounterMode(display=False) as counter:
        scorer(torch.zeros(1, 100, n_mels))
    return counter.get_total_flops() // 200  # a frame


@pytest.mark.parametrize("n_mels", [40, 64, 80, 96, 128])
def test_the_light_scorer_costs_a_tenth_at_most(n_mels):
    assert macs(Scorer(n_mels, "light"), n_mels) <= macs(Scorer(n_mels), n_mels) / 10
    assert n_mels != 128 or macs(Scorer(128), 128) == 81_645


@pytest.mark.parametrize("kind", ["published", "light"])
def test_a_score_sees_41_frames(kind):
    scorer = settled(64, scorer=kind).scorer.double()
    x = torch.randn(99, 121, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    touched = x.clone()
    touched[:, 60] += 3
    with torch.inference_mode():
        moved = (scorer(x) != scorer(touched)).any(0).nonzero()[:, 0]
    assert (moved.min(), moved.max()) == (40, 80)


def test_scores_differ_from_clip_to_clip_and_frame_to_frame():
    found = settled(64)(levels(4, 200, 64, seed=7))
    assert found.scores.std(1).min() > 0.01 and (found.scores[0] - found.scores[1]).abs().max() > 0.01


def test_a_clip_does_not_depend_on_its_batch():
    layer, x = settled(64), levels(5, 150, 64)
    x[0, 20:90] = SILENCE  # empty frames in one clip alone
    together = layer(x)
    for k in range(5):
        alone = layer(x[k : k + 1])
        assert torch.allclose(together.features[k], alone.features[0], atol=3e-3)
        assert torch.allclose(together.guide_loss[k], alone.guide_loss[0], atol=1e-6)


def test_the_guide_loss_is_the_mean_width_of_empty_frames_where_it_is_large():
    x = levels(2, 60, 64)
    x[:, 10:30] = SILENCE
    found = settled(64)(x)
    mean = found.scores[:, 10:30].mean(1)
    expected = torch.where(mean > 0.25, mean, 0.0)
    assert torch.allclose(found.guide_loss, expected, atol=1e-6) and found.guide_loss.requires_grad


def test_the_guide_loss_teaches_that_empty_frames_need_no_width():
    torch.manual_seed(0)
    layer, x = DiffRes(64, 0.5, scorer="light"), levels(8, 80, 64)
    layer.standardise(torch.full((64,), -9.0), torch.full((64,), 6.0))
    x[:, 20:50] = SILENCE
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
    before = layer(x).scores[:, 20:50].mean().item()
    for _ in range(25):
        optimiser.zero_grad()
        layer(x).guide_loss.mean().backward()
        optimiser.step()
    assert layer(x).scores[:, 20:50].mean() < 0.6 * before


@pytest.mark.parametrize("reduction", [0.25, 0.75, 0.95])
def test_our_variant_starts_with_the_contrast_that_its_reduction_needs(reduction):
    """At high reductions, a frame two standard deviations above the mean scores 0.5."""
    torch.manual_seed(0)
    layer, published, x = (
        DiffResContrast(64, reduction),
        DiffRes(64, reduction, scorer="light"),
        levels(8, 400, 64),
    )
    scores = layer.raw_scores(x)
    typical = torch.sigmoid(torch.tensor([0.0, 2.0]) * layer.gain + layer.bias)
    assert typical[0].item() == pytest.approx(1 - reduction)
    assert reduction < 0.6 or typical[1].item() == pytest.approx(0.5)
    spread = [found.std(1).mean() / found.mean() for found in (scores, published.raw_scores(x))]
    assert (spread[0] > 3 * spread[1]) == (reduction > 0.9)


def test_our_variant_gives_equal_widths_to_a_clip_without_changes():
    layer = DiffResContrast(64, 0.75).eval()
    found = layer(torch.full((2, 101, 64), -9.0)).scores[:, 20:-20]  # the scorer sees the padding at both ends
    assert torch.allclose(found, found[:, :1].expand_as(found))


def test_gradients_are_those_of_finite_differences():
    raw = drawn("ordinary", 12, clips=2).double().requires_grad_()
    x = levels(2, 12, 3).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda r: rectify(r, 7), raw, eps=1e-7, atol=1e-5)
    s = rectify(raw.detach(), 7).requires_grad_()
    for which in (0, 1):
        assert torch.autograd.gradcheck(lambda v, w: merge(v, w, 7)[which], (x, s), eps=1e-7, atol=1e-4)  # noqa: B023


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_gradients_reach_the_scorer_from_every_channel(channel):
    layer = DiffRes(64, 0.5)
    layer(levels(4, 100, 64)).features[:, channel].square().mean().backward()
    assert all(p.grad.abs().sum() > 0 for p in layer.scorer.blocks[0].first.parameters())


class Counted(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.n = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.n += 1
        return func(*args, **(kwargs or {}))


def by_operations(values, column, weight, crossing, crossing_weight):
    """Logarithm of sums and peaks of pieces as torch's own operations give them, one row per part of a frame."""
    (clips, n_frames, n_mels), n_out = values.shape, crossing.shape[1] + 1
    frames = torch.cat([torch.arange(n_frames).expand(clips, -1), crossing], 1)
    pieces = torch.cat([column, torch.arange(n_out - 1).expand(clips, -1)], 1)[..., None].expand(-1, -1, n_mels)
    parts = (
        values.gather(1, frames[..., None].expand(-1, -1, n_mels)) * torch.cat([weight, crossing_weight], 1)[..., None]
    )
    empty, tiny = values.new_zeros(clips, n_out, n_mels), torch.finfo(values.dtype).tiny
    found = empty.scatter_add(1, pieces, parts), empty.scatter_reduce(1, pieces, parts, "amax")
    return tuple(one.clamp(min=tiny).log() for one in found)


@pytest.mark.parametrize("kind", ["all differ", "equals", "silence"])
def test_the_way_back_through_merging_is_that_of_torch(kind):
    g, n_out = torch.Generator().manual_seed(0), 9
    values, widths = torch.rand(3, 40, 6, generator=g).double(), torch.rand(3, 40, generator=g).double()
    if kind == "equals":
        values, widths = (values * 3).ceil(), torch.ones_like(widths)
    if kind == "silence":
        values[:, 10:25] = 0
    weights = torch.randn(2, 3, n_out, 6, generator=g).double()
    found = []
    for way in (diffres.LogSumsAndPeaks.apply, by_operations):
        x, s = values.clone().requires_grad_(), rectify(widths, n_out).requires_grad_()
        both = torch.stack(way(x.mT.contiguous().mT, *diffres.sparse_warp(s, n_out)))  # and in any layout
        assert (kind == "silence") == (both.detach() < -100).any().item()
        (both * weights).sum().backward()
        found.append((both.detach(), x.grad, s.grad))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_no_loop_over_clips_or_frames_and_no_matrix_of_both_lengths():
    layer, calls = settled(32), []
    for clips, n_frames in ((2, 100), (16, 100), (2, 400)):
        diffres.encoding.cache_clear()  # so that each of them makes it
        with Counted() as counted, torch.no_grad():
            layer(levels(clips, n_frames, 32))
        calls.append(counted.n)
    assert max(calls) - min(calls) <= 2


def test_half_precision_and_a_compiler_change_little():
    layer, x = settled(64), levels(2, 80, 64)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x)
    assert found.features.dtype == torch.float32 and torch.allclose(found.scores.sum(1), torch.tensor(40.0), atol=1e-3)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    assert torch.allclose(compiled(x).features, layer(x).features, atol=1e-4)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("scorer", ["published", "light"])
def test_the_same_on_a_gpu_which_never_waits(scorer, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # 10 bits would move some frames over a cut
    layer, x = settled(64, scorer=scorer), levels(4, 200, 64)
    weights = torch.randn(4, 3, 100, 64, generator=torch.Generator().manual_seed(1))
    (layer(x).features * weights).sum().backward()
    here, gradients = layer(x), [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    x, weights = x.cuda(), weights.cuda()
    layer.cuda()
    layer(x)  # the first call chooses kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        there = layer(x)
        (there.features * weights).sum().backward()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.allclose(here.features, there.features.cpu(), atol=2e-2)
    for ours, theirs in zip(gradients, layer.parameters(), strict=True):
        assert torch.allclose(ours, theirs.grad.cpu(), rtol=0.05, atol=0.02 * float(ours.abs().max()) + 1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_half_precision_and_a_compiler_on_a_gpu():
    layer, x = settled(64).cuda(), levels(4, 200, 64).cuda()
    with torch.autocast("cuda", torch.bfloat16):
        found = layer(x)
    assert found.features.dtype == torch.float32
    assert torch.allclose(found.scores.sum(1), torch.full((4,), 100.0, device="cuda"), atol=1e-3)
    assert torch.allclose(torch.compile(layer)(x).features, layer(x).features, atol=2e-2)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: DiffRes(64, 0.5, scorer="heavy"), r"scorer='heavy': choose one of published, light"),
        (lambda: DiffRes(64, 0.99)(torch.zeros(1, 10, 64)), r"reduction=0.99: leaves none of 10 frames"),
        (lambda: DiffRes(64, 0.5)(torch.zeros(1, 10, 64, dtype=torch.long)), r"x: torch.int64.*expected floats"),
        (lambda: rectify(torch.ones(3), 1), r"scores: shape \(3,\), expected \(clips, frames\)"),
        (lambda: rectify(torch.tensor([[1.0, float("nan")]]), 1), r"scores: contains NaN"),
        (lambda: rectify(torch.ones(1, 3), 0), r"n_out=0: must be between 1 and 3"),
        (lambda: rectify(torch.ones(1, 3), 4), r"n_out=4: must be between 1 and 3"),
        (lambda: merge(torch.zeros(1, 4, 2), torch.ones(1, 5), 2), r"s: shape \(1, 5\), expected \(1, 4\)"),
    ],
)
def test_bad_input_is_one_line(call, words):
    with pytest.raises(ValueError, match=words) as found:
        call()
    assert "\n" not in str(found.value)


def test_positions_are_encoded_as_in_the_transformer():
    """Vaswani et al. 2017, section 3.5: sines and cosines, wavelengths from 2 pi to 10,000 times that."""
    t = torch.arange(5.0)
    wanted = torch.stack([t.sin(), t.cos(), (t / 100).sin(), (t / 100).cos()], 1)
    torch.testing.assert_close(diffres.encoding(5, 4), wanted)


def test_the_encoding_that_a_network_in_use_has_made_can_be_trained_with():
    layer = settled(32)
    diffres.encoding.cache_clear()
    with torch.inference_mode():
        layer(levels(1, 70, 32))
    layer(levels(1, 70, 32)).features.sum().backward()
    assert any(parameter.grad is not None for parameter in layer.parameters())
