"""DiffRes: a layer that learns which frames matter and merges the others, between log-mel and classifier.

From T frames of log-mel to t < T, in four steps, each a section of this file:

1. Scores: a small network gives every frame a score p_j in (0, 1) (`Scorer`).
2. Widths: scores are rescaled to widths 0 <= s_j <= 1 that sum to t (`rectify`).
3. Warp: frames are laid end to end, each as wide as its width, so that frame j reaches from e_(j-1) to e_j, where
   e_j = s_1 + ... + s_j. The line is cut into t pieces of width 1, the output frames. The warp matrix says how much
   frame j gives to output frame k: w_jk = max(0, min(e_j, k) - max(e_(j-1), k - 1)) (`sparse_warp`, `warp_matrix`).
4. Merge: with the power P_j = exp(x_j) of the frames, output frame k has the mean log(sum_j w_jk P_j) and the peak
   log(T / t max_j w_jk P_j) (`merge`); a third channel merges a position encoding in the same way.

A frame of width 1 keeps an output frame to itself, ten frames of width 0.1 share one. A frame that lies across a cut
contributes to both sides, so each output frame has a total weight of exactly 1 and gradients reach the scores. A frame
touches at most two output frames, so time and memory grow linearly with T.

Source: Liu et al., "Learning temporal resolution in spectrogram for audio classification", AAAI 2024, and its published
code (pydiffres). Differences from that code: its last output frame may have a total weight below 1 and others may be
empty, ours never; its maxima are wrong in up to 0.3 % of the values, ours are exact; its guide loss of a clip depends
on the rest of the batch; it truncates the output length where we round; it fails on silent clips and on levels of 0 and
above. Its activeness, which is for display only, is left out. Notebook: 07.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from course_lib.audio.timebase import out_frames

# Input: log power as tensors


def check_log_power(x: torch.Tensor, n_mels: int | None = None) -> None:
    """Raise a ValueError unless `x` is floats `(clips, frames, mels)`, with `n_mels` mels and, on a CPU, all finite."""
    if x.ndim != 3 or 0 in x.shape or not x.is_floating_point():
        raise ValueError(
            f"x: {x.dtype} of shape {tuple(x.shape)}, expected floats (clips, frames, mels), no axis of size 0"
        )
    if n_mels is not None and x.shape[2] != n_mels:
        raise ValueError(f"x: {x.shape[2]} mels, expected {n_mels}, for which this layer was built")
    check_finite("x", x)


def check_finite(name: str, values: torch.Tensor) -> None:
    """Raise a ValueError for NaN and infinity, on a CPU only: a GPU would have to wait for the answer."""
    checked = values.device.type == "cpu" and not torch.compiler.is_compiling()
    if checked and not values.detach().sum(dtype=torch.float64).isfinite():
        raise ValueError(f"{name}: contains NaN or infinite values; expected finite ones, with a floor under silence")


def at_least_float32(x: torch.Tensor) -> torch.Tensor:
    """`x`, in single precision if it is in half precision."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def relative_power(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Power relative to the loudest value of each clip, and the natural logarithm of that value, `(clips, 1, 1)`."""
    x = at_least_float32(x)
    top = x.detach().amax((1, 2), keepdim=True)
    return (x - top).exp(), top


# 1. Scores: a small network says which frames matter

SCORERS = ("published", "light")
LIGHT_BANDS, LIGHT_DILATIONS = 16, (1, 2, 2)


class Scorer(nn.Module):
    """A score in (0, 1) for every frame, `(clips, frames)`, from `(clips, frames, mels)`.

    `published`: five residual blocks over all mels, with channels that decrease to one; 82,371 parameters for 128 mels.
    `light`: three blocks over the means of 16 groups of neighbouring mels. Both have a receptive field of 41 frames.
    Source: paper, and its code for the numbers of channels.

    Raises
    ------
    ValueError
        There is no such kind.
    """

    def __init__(self, n_mels: int, kind: str = "published") -> None:
        super().__init__()
        if kind not in SCORERS:
            raise ValueError(f"scorer={kind!r}: choose one of {', '.join(SCORERS)}")
        self.bands = min(n_mels, LIGHT_BANDS) if kind == "light" else n_mels
        n = self.bands
        if kind == "light":
            channels, dilations = [n, (n + 1) // 2, (n + 1) // 2, 1], LIGHT_DILATIONS
        else:  # halved from the first block on, or from the second where there are few mels
            divisors = (1, 2, 4, 8, 16) if n >= 128 else (1, 1, 2, 4, 4)
            channels, dilations = [*(max(1, n // divisor) for divisor in divisors), 1], (1,) * 5
        self.blocks = nn.ModuleList(map(Block, channels, channels[1:], dilations))

    def logits(self, x: torch.Tensor) -> torch.Tensor:
        """Scores before the sigmoid, `(clips, frames)`."""
        if self.bands < x.shape[2]:
            x = functional.adaptive_avg_pool1d(x, self.bands)
        x = x.transpose(1, 2)  # (clips, bands, frames)
        for block in self.blocks:
            x = block(x)
        return at_least_float32(x[:, 0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.logits(x).sigmoid()


class Block(nn.Module):
    """Two convolutions over 5 frames, each with ReLU and batch norm, and a residual connection around the second.

    `(clips, n_in, frames)` to `(clips, n_out, frames)`.
    """

    def __init__(self, n_in: int, n_out: int, dilation: int) -> None:
        super().__init__()
        shape = {"kernel_size": 5, "padding": 2 * dilation, "dilation": dilation}
        self.first = nn.Conv1d(n_in, n_out, **shape)
        self.second = nn.Conv1d(n_out, n_out, **shape)
        self.norms = nn.ModuleList([nn.BatchNorm1d(n_out), nn.BatchNorm1d(n_out)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.norms[0](functional.relu(self.first(x)))
        return self.norms[1](functional.relu(self.second(first))) + first


# 2. Widths: scores rescaled to sum to the number of output frames


def rectify(scores: torch.Tensor, n_out: int) -> torch.Tensor:
    """Widths `(clips, frames)` within 0 and 1 that sum to `n_out`, from raw scores of 0 or more.

    Scores are scaled to that sum. If one then exceeds 1, all are scaled down to a maximum of 1, and the deficit is
    distributed over all frames in proportion to their distance from 1. A common factor on all scores changes nothing,
    nor does a second call.

    Source: paper, rescaling of the importance score; there the deficit is distributed only if it is a frame or more,
    and not to scores below 1e-4. Notebook: 07.

    Raises
    ------
    ValueError
        Another rank, scores that are not finite (checked on a CPU only), or `n_out` not within 1 and the frames.
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores: shape {tuple(scores.shape)}, expected (clips, frames), no axis of size 0")
    if not 1 <= n_out <= scores.shape[1]:
        raise ValueError(f"n_out={n_out}: must be between 1 and {scores.shape[1]}, the number of frames")
    check_finite("scores", scores)
    s = at_least_float32(scores) + 1e-12  # all-zero scores become equal ones
    s = s * (n_out / s.sum(1, keepdim=True))
    s = s / s.amax(1, keepdim=True).clamp(min=1)
    room = 1 - s
    missing = (n_out - s.sum(1, keepdim=True)).clamp(min=0)
    return s + room * (missing / room.sum(1, keepdim=True).clamp(min=1e-6)).clamp(max=1)


# 3. Warp: how much each frame gives to each output frame

SNAP = 1e-5  # frame edges closer than this to a cut are moved onto it


class SparseWarp(NamedTuple):
    """The non-zero entries of the warp matrix, at most two per frame.

    Frame j ends in output frame `column[j]` and gives it `weight[j]`, both `(clips, frames)`. The cut between output
    frames k and k + 1 goes through frame `crossing[k]`, which gives `crossing_weight[k]` to output frame k, both
    `(clips, out_frames - 1)`.
    """

    column: torch.Tensor
    weight: torch.Tensor
    crossing: torch.Tensor
    crossing_weight: torch.Tensor


def sparse_warp(s: torch.Tensor, n_out: int) -> SparseWarp:
    """The warp matrix of widths `s` `(clips, frames)` that sum to `n_out`. Source: paper, warp matrix.

    Edges are summed in double precision: a sum over thousands of frames must end at a whole number.
    """
    exact = torch.float32 if s.device.type == "mps" else torch.float64
    ends = s.to(exact).cumsum(1)
    total = torch.full_like(ends[:, -1:], n_out)  # a tensor: torch multiplies a number by a rounded reciprocal
    ends = ends * (total / ends[:, -1:])
    near = ends.detach().round()  # an edge that rounding moved across a cut would leak a loud frame into a silent one
    ends = torch.where((ends.detach() - near).abs() < SNAP, ends + (near - ends.detach()), ends)
    starts = functional.pad(ends[:, :-1], (1, 0))
    column = (ends.detach().ceil() - 1).clamp(0, n_out - 1)
    weight = ends - torch.maximum(starts, column)
    cuts = torch.arange(1, n_out, device=s.device, dtype=exact).expand(len(s), -1)
    crossing = torch.searchsorted(ends.detach(), cuts.contiguous(), right=True)
    crossing = crossing.clamp(max=s.shape[1] - 1)  # NaN, which is not checked on a GPU, would point past the last frame
    crossing_weight = (cuts - starts.gather(1, crossing)).clamp(min=0)
    return SparseWarp(column.long(), weight.to(s.dtype), crossing, crossing_weight.to(s.dtype))


def warp_matrix(s: torch.Tensor, n_out: int) -> torch.Tensor:
    """How much each frame gives to each output frame, `(clips, frames, n_out)`, from widths `s` `(clips, frames)`.

    Columns sum to 1, rows to the width of their frame. For figures and tests: its size is the product of both lengths,
    and `merge` does not need it. Source: paper, warp matrix, transposed. Notebook: 07.
    """
    column, weight, crossing, crossing_weight = sparse_warp(s, n_out)
    w = s.new_zeros(*s.shape, n_out).scatter(2, column[..., None], weight[..., None])
    columns = torch.arange(n_out - 1, device=s.device).expand_as(crossing)
    clips = torch.arange(len(s), device=s.device)[:, None].expand_as(crossing)
    return w.index_put((clips, crossing, columns), crossing_weight, accumulate=True)


# 4. Merge: sums and maxima of the weighted frames of each output frame


def merge(x: torch.Tensor, s: torch.Tensor, n_out: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and peak of the frames of every output frame, each `(clips, n_out, mels)`, natural log power as `x`.

    `x` is `(clips, frames, mels)`, natural log power; `s` are the widths from `rectify`. The mean is that of power, not
    of its logarithm. The peak is the largest product of width and power, times the frames per output frame, so that
    equal widths give the maximum.

    Source: paper, mean and max aggregation. Notebook: 07.

    Raises
    ------
    ValueError
        Shapes that do not match, or levels that are not finite (checked on a CPU only).
    """
    check_log_power(x)
    if s.shape != x.shape[:2]:
        raise ValueError(f"s: shape {tuple(s.shape)}, expected {tuple(x.shape[:2])}, one width for each frame of x")
    with torch.autocast(x.device.type, enabled=False):
        power, top = relative_power(x)
        return _mean_and_peak(power, top, sparse_warp(s.to(power.dtype), n_out))


def _mean_and_peak(power: torch.Tensor, top: torch.Tensor, warp: SparseWarp) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and peak in natural log power, from `relative_power` and the warp."""
    mean, peak = LogSumsAndPeaks.apply(power, *warp)
    frames_per_output = power.new_full((1, 1, 1), power.shape[1]) / mean.shape[1]
    return mean + top, peak + top + frames_per_output.log()


def _flat_rows(index: torch.Tensor, length: int) -> torch.Tensor:
    """Row numbers `index` `(clips, n)` when clips of `length` rows are stacked into one table, `(clips * n,)`."""
    return (index + torch.arange(len(index), device=index.device)[:, None] * length).reshape(-1)


def _weighted(values: torch.Tensor, warp: SparseWarp) -> tuple[torch.Tensor, torch.Tensor]:
    """Values times weight: of each frame `(clips, frames, mels)`, and at each cut `(clips, out_frames - 1, mels)`."""
    n_mels = values.shape[-1]
    rows = warp.crossing.reshape(-1) if values.ndim == 2 else _flat_rows(warp.crossing, values.shape[1])
    crossed = values.reshape(-1, n_mels).index_select(0, rows).view(*warp.crossing.shape, n_mels)
    return values * warp.weight[..., None], crossed * warp.crossing_weight[..., None]


def weighted_sums(values: torch.Tensor, warp: SparseWarp) -> torch.Tensor:
    """Sum over the frames of each output frame, `(clips, out_frames, mels)`.

    `values` is `(clips, frames, mels)`, or `(frames, mels)` if all clips share them.
    """
    given, crossed = _weighted(values, warp)
    n_clips, n_out, n_mels = len(given), crossed.shape[1] + 1, given.shape[2]
    # As rows of one table: torch sums whole rows ten times as fast as slices of three-axis tensors
    rows = _flat_rows(warp.column, n_out)
    sums = given.new_zeros(n_clips * n_out, n_mels).index_add(0, rows, given.reshape(-1, n_mels))
    return sums.view(n_clips, n_out, n_mels) + functional.pad(crossed, (0, 0, 0, 1))


class LogSumsAndPeaks(torch.autograd.Function):
    """Natural logarithm of the sum and of the maximum over each output frame, each `(clips, out_frames, mels)`.

    Both are taken over the products of weight and value, from `values` `(clips, frames, mels)` of 0 or more and the
    fields of a `SparseWarp`. Output frames of zeros give the logarithm of the smallest normal number. The gradient is
    that of torch's own operations (equal maxima share it), in less time and memory: products are recomputed instead of
    stored, and two arrays of the size of `values` are reused.
    """

    @staticmethod
    def forward(
        ctx,
        values: torch.Tensor,
        column: torch.Tensor,
        weight: torch.Tensor,
        crossing: torch.Tensor,
        crossing_weight: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        values, tiny = values.contiguous(), torch.finfo(values.dtype).tiny
        n_clips, n_out, n_mels = len(values), crossing.shape[1] + 1, values.shape[2]
        given, crossed = _weighted(values, SparseWarp(column, weight, crossing, crossing_weight))
        given, rows = given.view(-1, n_mels), _flat_rows(column, n_out)
        sums = given.new_zeros(n_clips, n_out, n_mels)
        sums.view(-1, n_mels).index_add_(0, rows, given)
        sums[:, :-1] += crossed
        peaks = given.new_zeros(n_clips, n_out, n_mels)
        peaks.view(-1, n_mels).scatter_reduce_(0, rows[:, None].expand_as(given), given, "amax")
        peaks[:, :-1].clamp_(min=crossed)
        sums.clamp_(min=tiny)
        peaks.clamp_(min=tiny)
        ctx.save_for_backward(values, column, weight, crossing, crossing_weight, sums, peaks)
        return sums.log(), peaks.log()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, grad_sums: torch.Tensor, grad_peaks: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, column, weight, crossing, crossing_weight, sums, peaks = ctx.saved_tensors
        n_mels = sums.shape[2]
        rows, crossing_rows = _flat_rows(column, sums.shape[1]), _flat_rows(crossing, values.shape[1])

        def of_frames(table: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
            """The rows of a table of output frames in which the frames end, `(clips * frames, mels)`."""
            return torch.index_select(table.reshape(-1, n_mels), 0, rows, out=out)

        # 1 for the maxima of an output frame, else 0; silent ones have none, as no frame has the tiny value
        crossing_values = values.view(-1, n_mels).index_select(0, crossing_rows).view(*crossing.shape, n_mels)
        products = (values * weight[..., None]).view(-1, n_mels)
        buffer = of_frames(peaks)
        is_max = products.eq_(buffer)
        crossing_is_max = (crossing_values * crossing_weight[..., None]).eq_(peaks[:, :-1])
        count = torch.zeros_like(peaks)
        count.view(-1, n_mels).index_add_(0, rows, is_max)
        count[:, :-1] += crossing_is_max
        silent = count == 0
        grad_peaks = grad_peaks / count.mul_(peaks).masked_fill_(silent, torch.inf)
        grad_sums = (grad_sums / sums).masked_fill_(sums <= torch.finfo(sums.dtype).tiny, 0)
        del count, silent
        is_max.mul_(of_frames(grad_peaks, out=buffer))
        grad_products = of_frames(grad_sums, out=buffer).add_(is_max).view_as(values)
        grad_crossed = crossing_is_max.mul_(grad_peaks[:, :-1]).add_(grad_sums[:, :-1])
        grad_weight = torch.mul(grad_products, values, out=is_max.view_as(values)).sum(2)
        grad_crossing_weight = (grad_crossed * crossing_values).sum(2)
        if not ctx.needs_input_grad[0]:  # as in training, where values are data
            return None, None, grad_weight, None, grad_crossing_weight
        grad_values = grad_products.mul_(weight[..., None])
        grad_crossing_values = grad_crossed.mul_(crossing_weight[..., None])
        grad_values.view(-1, n_mels).index_add_(0, crossing_rows, grad_crossing_values.view(-1, n_mels))
        return grad_values, None, grad_weight, None, grad_crossing_weight


@lru_cache(maxsize=8)
def encoding(n_frames: int, n_mels: int, device: torch.device | None = None) -> torch.Tensor:
    """Sinusoidal position encoding, `(n_frames, n_mels)`, cached for the next clip of the same length.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.
    """
    with torch.inference_mode(False):  # else a later training could not use the cached tensor
        rates = torch.exp(torch.arange(0, n_mels, 2, device=device) * (-math.log(10_000) / n_mels))
        angles = torch.arange(n_frames, device=device)[:, None] * rates
        return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :n_mels]


# The layer

EMPTY = 1e-9  # power above a clip's quietest frame up to which a frame counts as empty, with a floor of 1e-10


class Reduced(NamedTuple):
    """Result of a frame reducer.

    `features` `(clips, channels, out_frames, mels)`: natural log power, except for the last of three channels, which is
    the merged position encoding. `scores` `(clips, frames)`: widths that sum to the output length; None for methods
    without widths. `guide_loss` `(clips,)`: 0 where there are no scores to guide, and without gradients.
    """

    features: torch.Tensor
    scores: torch.Tensor | None
    guide_loss: torch.Tensor


class WarpMerge(nn.Module):
    """From raw scores to a `Reduced`: what `DiffRes` and its baselines that score frames have in common.

    `reduction` is the share of frames to remove, `n_mels` the mels of the input. Subclasses define `raw_scores`, or
    `widths` directly.

    Raises
    ------
    ValueError
        `reduction` not in [0, 1); `forward`: see `check_log_power`, or no output frame would be left.
    """

    channels = 3

    def __init__(self, n_mels: int, reduction: float) -> None:
        super().__init__()
        out_frames(2**20, reduction)
        self.n_mels, self.reduction = n_mels, reduction

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Scores of 0 or more, `(clips, frames)`, for `x` `(clips, frames, mels)`; every subclass defines its own."""
        raise NotImplementedError(f"{type(self).__name__}: define raw_scores, or widths")

    def widths(self, x: torch.Tensor, n_out: int) -> torch.Tensor:
        """Widths that sum to `n_out`, `(clips, frames)`."""
        return rectify(self.raw_scores(x), n_out)

    def forward(self, x: torch.Tensor) -> Reduced:
        """`x` is `(clips, frames, mels)`, natural log power."""
        check_log_power(x, self.n_mels)
        n_frames, n_out = x.shape[1], out_frames(x.shape[1], self.reduction)
        s = self.widths(x, n_out)
        with torch.autocast(x.device.type, enabled=False):
            power, top = relative_power(x)
            s = s.to(power.dtype)
            warp = sparse_warp(s, n_out)
            mean, peak = _mean_and_peak(power, top, warp)
            positions = encoding(n_frames, self.n_mels, x.device).to(power.dtype)
            position = weighted_sums(positions, warp)
            needs_loss = torch.is_grad_enabled()  # no loss is needed in inference
            guide_loss = _guide_loss(s, power.mean(2) * top[..., 0].exp()) if needs_loss else s.new_zeros(len(s))
        return Reduced(torch.stack([mean, peak, position], dim=1), s, guide_loss)


def _guide_loss(s: torch.Tensor, power: torch.Tensor) -> torch.Tensor:
    """Guide loss of each clip, `(clips,)`, from widths and mean power of its frames `(clips, frames)`.

    The mean width of empty frames if that is more than half the mean width of all frames, else 0. Source: paper and its
    code, except that the quietest frame is the clip's own.
    """
    quietest = power.amin(1, keepdim=True)
    empty = power.detach() <= quietest.detach() + EMPTY
    mean = (s * empty).sum(1) / empty.sum(1).clamp(min=1)
    return mean * (mean > 0.5 * s.sum(1) / s.shape[1])


class DiffRes(WarpMerge):
    """The published layer: a small network scores the frames, trained jointly with the classifier behind it.

    `scorer` is `published` (five residual blocks over all mels) or `light` (three over 16 bands, with the same
    receptive field at a tenth of the cost or less). The scorer sees `(x - mean) / std`, with 0 and 1 until
    `standardise` is called. `guide_loss` is for training: add it to the loss of the task. Source: paper, section on
    DiffRes.

    Raises
    ------
    ValueError
        As `WarpMerge`, or no such scorer.
    """

    def __init__(self, n_mels: int, reduction: float, *, scorer: str = "published") -> None:
        super().__init__(n_mels, reduction)
        self.scorer = Scorer(n_mels, scorer)
        self.register_buffer("mean", torch.zeros(n_mels))
        self.register_buffer("std", torch.ones(n_mels))

    def standardise(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Bring the scorer's input to mean 0 and standard deviation 1; both `(mels,)`, in natural log power."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """The scorer's output, `(clips, frames)`."""
        return self.scorer((x - self.mean) / self.std)


class DiffResContrast(DiffRes):
    """Our variant of the layer, whose scorer starts with as much contrast as the reduction needs.

    To remove 95 % of the frames, most widths must be near 0 and a few near 1. The published scorer starts with scores
    around 0.5 and has to grow that contrast; some runs never do. Here the logits of a clip are standardised, z_j, and
    the score is sigmoid(gain z_j + bias), with learned `gain` and `bias`:

    - `bias` starts at the logit of the share of frames kept, so that scores are about that share on average;
    - `gain` starts at -bias / 2, so that a frame two standard deviations above the mean gets a score of 0.5, but at
      least at 0.3.

    Source: none, it is ours; study/protocol.md says how it was chosen. Notebook: 08.

    Raises
    ------
    ValueError
        As `DiffRes`.
    """

    def __init__(self, n_mels: int, reduction: float) -> None:
        super().__init__(n_mels, reduction, scorer="light")
        bias = math.log((1 - reduction) / max(reduction, 0.01))  # if nothing is removed, any finite number will do
        self.gain = nn.Parameter(torch.tensor(max(0.3, -bias / 2)))
        self.bias = nn.Parameter(torch.tensor(bias))

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Scores with the contrast of `gain` and `bias`, `(clips, frames)`; all equal in a constant clip."""
        logits = self.scorer.logits((x - self.mean) / self.std)
        centred = logits - logits.mean(1, keepdim=True)
        z = centred / (centred.square().mean(1, keepdim=True) + 1e-4).sqrt()
        return (self.gain * z + self.bias).sigmoid()
