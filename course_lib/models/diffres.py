"""DiffRes: a layer that learns which frames matter and merges the others, between log-mel and classifier.

A scorer gives every frame a number. `rectify` turns the numbers into widths that add up to the number of frames wanted.
`merge` lays the frames end to end, each as wide as its score, and cuts the line into pieces of width one: a frame of
width 1 keeps a piece to itself, ten frames of width 0.1 share one. A frame that lies across a cut gives to both sides,
so every piece weighs exactly one, and gradients reach the scores. Time and memory grow as the frames do.

Source: Liu et al., "Learning temporal resolution in spectrogram for audio classification", AAAI 2024, and its published
code (pydiffres). Where that code does otherwise: its last piece may weigh less than one and pieces may be empty, here
none is; its maxima are of slightly other frames in up to 0.3 % of the values, here they are exact; its guide loss and
activeness of a clip depend on the rest of the batch; it knows no padding; it cuts off the output length where we round;
it cannot take all-silent clips or levels of 0 and above. Notebook: 07.
"""

import math
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from course_lib.audio.timebase import out_frames

# --- Log power as tensors: what is refused, and the way back from the logarithm


def check(x: torch.Tensor, n_mels: int | None = None) -> None:
    """Raise a ValueError unless `x` is floats `(clips, frames, mels)`, with `n_mels` mels and, on a CPU, all finite."""
    if x.ndim != 3 or 0 in x.shape or not x.is_floating_point():
        raise ValueError(
            f"x: {x.dtype} of shape {tuple(x.shape)}, expected floats (clips, frames, mels), none of them 0"
        )
    if n_mels is not None and x.shape[2] != n_mels:
        raise ValueError(f"x: {x.shape[2]} mels, expected {n_mels}, which this layer was made for")
    finite("x", x)


def finite(name: str, values: torch.Tensor) -> None:
    """Raise a ValueError for NaN and infinity, on a CPU; a GPU would have to stop and wait for the answer."""
    looked_at = values.device.type == "cpu" and not torch.compiler.is_compiling()
    if looked_at and not values.detach().sum(dtype=torch.float64).isfinite():
        raise ValueError(f"{name}: holds NaN or infinite values; expected finite ones, with a floor under silence")


def full(x: torch.Tensor) -> torch.Tensor:
    """`x` in single precision where it is in half."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def relative_power(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Power relative to the loudest value of the clip, and the natural logarithm of that value, `(clips, 1, 1)`."""
    x = full(x)
    top = x.detach().amax((1, 2), keepdim=True)
    return (x - top).exp(), top


# --- Frames laid end to end, each as wide as its score, and cut into pieces of width one: what `diffres` merges by

HAIR = 1e-5  # cuts that fall so near to the edge of a frame fall on it


class Cuts(NamedTuple):
    """Which frame gives how much to which output frame.

    Frame j ends in `column[j]` and gives it `own[j]`, both `(clips, frames)`. The cut before output frame k + 1 goes
    through frame `crossing[k]`, which gives `before[k]` to output frame k, both `(clips, out_frames - 1)`.
    """

    column: torch.Tensor
    own: torch.Tensor
    crossing: torch.Tensor
    before: torch.Tensor


def cut(s: torch.Tensor, n_out: int) -> Cuts:
    """Where widths `s` `(clips, frames)`, which sum to `n_out` or to less in a shorter clip, are cut.

    Edges are added up in double precision: a sum over thousands of frames must end whole.
    """
    exact = torch.float32 if s.device.type == "mps" else torch.float64
    ends = s.to(exact).cumsum(1)
    whole = ends[:, -1:].detach().round()
    ends = ends * (whole / ends[:, -1:])
    near = ends.detach().round()  # a cut that rounding moved by a hair would let a loud frame into a silent piece
    ends = torch.where((ends.detach() - near).abs() < HAIR, ends + (near - ends.detach()), ends)
    starts = functional.pad(ends[:, :-1], (1, 0))
    column = (ends.detach().ceil() - 1).clamp(0, n_out - 1)
    own = ends - torch.maximum(starts, column)
    at = torch.arange(1, n_out, device=s.device, dtype=exact).expand(len(s), -1)
    crossing = torch.searchsorted(ends.detach(), at.contiguous(), right=True)
    inside = crossing < s.shape[1]  # past the end of a shorter clip there is nothing to cut
    crossing = crossing.clamp(max=s.shape[1] - 1)
    before = torch.where(inside, (at - starts.gather(1, crossing)).clamp(min=0), 0)
    return Cuts(column.long(), own.to(s.dtype), crossing, before.to(s.dtype))


def _rows(index: torch.Tensor, length: int) -> torch.Tensor:
    """Numbers of the rows `index` `(clips, n)` when clips of `length` rows lie one below the other, `(clips * n,)`."""
    return (index + torch.arange(len(index), device=index.device)[:, None] * length).reshape(-1)


def _weighted(values: torch.Tensor, cuts: Cuts) -> tuple[torch.Tensor, torch.Tensor]:
    """Values times width: of each frame `(clips, frames, mels)`, and before each cut."""
    n_mels = values.shape[-1]
    rows = cuts.crossing.reshape(-1) if values.ndim == 2 else _rows(cuts.crossing, values.shape[1])
    crossed = values.reshape(-1, n_mels).index_select(0, rows).view(*cuts.crossing.shape, n_mels)
    return values * cuts.own[..., None], crossed * cuts.before[..., None]


def sums(values: torch.Tensor, cuts: Cuts) -> torch.Tensor:
    """Sum of every piece, `(clips, out_frames, mels)`; all clips may share their values, then `(frames, mels)`."""
    given, crossed = _weighted(values, cuts)
    n_clips, n_out, n_mels = len(given), crossed.shape[1] + 1, given.shape[2]
    # As rows of one table: torch adds up whole rows of it ten times as fast as slices of three axes
    found = given.new_zeros(n_clips * n_out, n_mels).index_add(0, _rows(cuts.column, n_out), given.reshape(-1, n_mels))
    return found.view(n_clips, n_out, n_mels) + functional.pad(crossed, (0, 0, 0, 1))


def log_sums_and_peaks(values: torch.Tensor, cuts: Cuts) -> tuple[torch.Tensor, torch.Tensor]:
    """Natural logarithm of the sum and of the largest part of every piece, each `(clips, out_frames, mels)`.

    A part is a value, 0 or more, times the width that lies in the piece. A piece of zeros gives the logarithm of the
    smallest normal number.
    """
    return _LogSumsAndPeaks.apply(values, *cuts)


class _LogSumsAndPeaks(torch.autograd.Function):
    """`log_sums_and_peaks` of values and the fields of `Cuts`.

    The way back is that of torch's own operations, equals sharing the gradient, in less time and memory: products are
    worked out again instead of kept, and two arrays of the size of `values` take turns.
    """

    @staticmethod
    def forward(
        ctx, values: torch.Tensor, column: torch.Tensor, own: torch.Tensor, crossing: torch.Tensor, before: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        values, tiny = values.contiguous(), torch.finfo(values.dtype).tiny
        n_clips, n_out, n_mels = len(values), before.shape[1] + 1, values.shape[2]
        given, crossed = _weighted(values, Cuts(column, own, crossing, before))
        given, rows = given.view(-1, n_mels), _rows(column, n_out)
        sums, peaks = (given.new_zeros(n_clips, n_out, n_mels) for _ in range(2))
        sums.view(-1, n_mels).index_add_(0, rows, given)
        peaks.view(-1, n_mels).scatter_reduce_(0, rows[:, None].expand_as(given), given, "amax")
        sums[:, :-1] += crossed
        peaks[:, :-1].clamp_(min=crossed)
        ctx.save_for_backward(values, column, own, crossing, before, sums.clamp_(min=tiny), peaks.clamp_(min=tiny))
        return sums.log(), peaks.log()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, to_sums: torch.Tensor, to_peaks: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        values, column, own, crossing, before, sums, peaks = ctx.saved_tensors
        n_mels, rows, at = sums.shape[2], _rows(column, sums.shape[1]), _rows(crossing, values.shape[1])

        def each(table: torch.Tensor, into: torch.Tensor | None = None) -> torch.Tensor:
            """Of a table of pieces the rows that frames end in, `(clips * frames, mels)`."""
            return torch.index_select(table.reshape(-1, n_mels), 0, rows, out=into)

        # 1 for the highest of a piece, else 0. A piece without sound has none: its tiny value is no frame's
        over = values.view(-1, n_mels).index_select(0, at).view(*crossing.shape, n_mels)
        highest, gathered = (values * own[..., None]).view(-1, n_mels), each(peaks)
        highest, crossed = highest.eq_(gathered), (over * before[..., None]).eq_(peaks[:, :-1])
        count = torch.zeros_like(peaks)
        count.view(-1, n_mels).index_add_(0, rows, highest)
        count[:, :-1] += crossed
        none = count == 0
        to_peaks = to_peaks / count.mul_(peaks).masked_fill_(none, torch.inf)
        to_sums = (to_sums / sums).masked_fill_(sums <= torch.finfo(sums.dtype).tiny, 0)
        del count, none
        highest.mul_(each(to_peaks, into=gathered))
        to_given = each(to_sums, into=gathered).add_(highest).view_as(values)
        to_crossed = crossed.mul_(to_peaks[:, :-1]).add_(to_sums[:, :-1])
        to_own = torch.mul(to_given, values, out=highest.view_as(values)).sum(2)
        to_before = (to_crossed * over).sum(2)
        if not ctx.needs_input_grad[0]:  # as in training, where values are data
            return None, None, to_own, None, to_before
        to_values, to_over = to_given.mul_(own[..., None]), to_crossed.mul_(before[..., None])
        to_values.view(-1, n_mels).index_add_(0, at, to_over.view(-1, n_mels))
        return to_values, None, to_own, None, to_before


# --- The small network of DiffRes that tells which frames matter, in two sizes. Notebook: 07

SCORERS = ("published", "light")
LIGHT_BANDS, LIGHT_DILATIONS = 16, (1, 2, 2)


class Scorer(nn.Module):
    """A score in (0, 1) for every frame, `(clips, frames)`, from `(clips, frames, mels)`.

    `published`: five residual blocks over all mels, their channels falling to one; for 128 mels 82,371 parameters.
    `light`: three blocks over 16 means of neighbouring mels. A score looks at 41 frames in both. Source: paper, and its
    code for the channels.

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
            widths, dilations = [n, (n + 1) // 2, (n + 1) // 2, 1], LIGHT_DILATIONS
        else:  # halved from the first block on, or from the second where there are few mels
            shares = (1, 2, 4, 8, 16) if n >= 128 else (1, 1, 2, 4, 4)
            widths, dilations = [*(max(1, n // share) for share in shares), 1], (1,) * 5
        self.blocks = nn.ModuleList(map(Block, widths, widths[1:], dilations))

    def forward(self, x: torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
        """`valid` `(clips, frames)` is False on padding, which counts as zeros past the end and in no statistics."""
        there = None if valid is None else valid[:, None]
        seen = functional.adaptive_avg_pool1d(x, self.bands) if self.bands < x.shape[2] else x
        seen = seen.transpose(1, 2)  # (clips, bands, frames)
        seen = seen if there is None else seen * there
        for block in self.blocks:
            seen = block(seen, there)
        return full(seen[:, 0]).sigmoid()


class Block(nn.Module):
    """Two convolutions over 5 frames, each followed by ReLU and then normalisation, the second added to the first."""

    def __init__(self, n_in: int, n_out: int, dilation: int) -> None:
        super().__init__()
        shape = {"kernel_size": 5, "padding": 2 * dilation, "dilation": dilation}
        self.first, self.second = nn.Conv1d(n_in, n_out, **shape), nn.Conv1d(n_out, n_out, **shape)
        self.norms = nn.ModuleList([nn.BatchNorm1d(n_out), nn.BatchNorm1d(n_out)])

    def forward(self, x: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
        first = _normalised(self.norms[0], functional.relu(self.first(x)), there)
        return _normalised(self.norms[1], functional.relu(self.second(first)), there) + first


def _normalised(norm: nn.BatchNorm1d, x: torch.Tensor, there: torch.Tensor | None) -> torch.Tensor:
    """`norm` of `x` `(clips, channels, frames)`, zeros where `there` is False: padding is in no statistics."""
    if there is None:
        return norm(x)
    frames, valid = x.mT, there[:, 0]
    out = torch.zeros_like(frames)
    out[valid] = norm(frames[valid]).to(out.dtype)
    return out.mT


# --- The layer

SILENCE = math.log(1e-10)  # natural log power of output frames that hold no sound: the floor of the course's log-mels
EMPTY = 1e-9  # power above a clip's quietest frame up to which a frame counts as empty, with a floor of 1e-10


class Reduced(NamedTuple):
    """What a reduction gives back.

    `features` `(clips, channels, out_frames, mels)`: natural log power, but for the last of three channels, which is
    the merged position encoding. `scores` `(clips, frames)`: widths that sum to the output length; None where a method
    has none. `guide_loss` and `activeness` `(clips,)`, 0 where there is nothing to guide. `lengths` `(clips,)`: output
    frames that hold sound, or None where all do.
    """

    features: torch.Tensor
    scores: torch.Tensor | None
    guide_loss: torch.Tensor
    activeness: torch.Tensor
    lengths: torch.Tensor | None


def rectify(scores: torch.Tensor, n_out: int | torch.Tensor, valid: torch.Tensor | None = None) -> torch.Tensor:
    """Widths `(clips, frames)` within 0 and 1, that sum to `n_out`, from raw scores of 0 or more.

    Scores are scaled to the sum; if one would be wider than 1, all are scaled down to a largest of 1, and what is then
    missing is given to all frames in proportion to their distance from 1. Padding, where `valid` is False, gets 0;
    `n_out` is then one number a clip, `(clips,)`. A factor on all scores changes nothing, nor does a second call.

    Source: paper, rescaling of the importance score; there what is missing is given only if it is a frame or more, and
    not to scores below 1e-4.

    Raises
    ------
    ValueError
        Another rank, scores that are not finite (looked for on a CPU alone), or `n_out` not within 1 and the frames.
    """
    if scores.ndim != 2 or 0 in scores.shape:
        raise ValueError(f"scores: shape {tuple(scores.shape)}, expected (clips, frames), none of them 0")
    if isinstance(n_out, int) and not 1 <= n_out <= scores.shape[1]:
        raise ValueError(f"n_out={n_out}: must be within 1 and {scores.shape[1]}, the frames")
    finite("scores", scores)
    scores = full(scores)
    there = torch.ones_like(scores) if valid is None else valid.to(scores.dtype)
    wanted = n_out if isinstance(n_out, int) else n_out.to(scores)[:, None]
    s = (scores + 1e-12) * there  # all-zero scores become equal ones
    s = s * (wanted / s.sum(1, keepdim=True))
    s = s / s.amax(1, keepdim=True).clamp(min=1)
    room = (1 - s) * there
    missing = (wanted - s.sum(1, keepdim=True)).clamp(min=0)
    return s + room * (missing / room.sum(1, keepdim=True).clamp(min=1e-6)).clamp(max=1)


def warp_matrix(s: torch.Tensor, n_out: int) -> torch.Tensor:
    """What each frame gives to each output frame, `(clips, frames, n_out)`, from widths `s` `(clips, frames)`.

    Columns sum to 1, rows to the width of their frame. For pictures and tests: its size is the product of both lengths,
    and `merge` does without. Source: paper, warp matrix, transposed.
    """
    column, own, crossing, before = cut(s, n_out)
    w = s.new_zeros(*s.shape, n_out).scatter(2, column[..., None], own[..., None])
    columns = torch.arange(n_out - 1, device=s.device).expand_as(crossing)
    clips = torch.arange(len(s), device=s.device)[:, None].expand_as(crossing)
    return w.index_put((clips, crossing, columns), before, accumulate=True)


def merge(
    x: torch.Tensor, s: torch.Tensor, n_out: int, valid: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and peak of the frames of every piece, each `(clips, n_out, mels)`, natural log power as `x`.

    `x` is `(clips, frames, mels)`, natural log power; `s` are the widths from `rectify`. The mean is one of power, not
    of its logarithm. The peak is the largest product of width and power, times the frames per output frame, so that
    equal widths give the maximum. Pieces past the end of a shorter clip hold `SILENCE`.

    Source: paper, mean and max aggregation.

    Raises
    ------
    ValueError
        Shapes that do not belong together, or levels that are not finite (not looked for on a GPU, which would have to
        wait for the answer).
    """
    check(x)
    if s.shape != x.shape[:2]:
        raise ValueError(f"s: shape {tuple(s.shape)}, expected {tuple(x.shape[:2])}, one width a frame of x")
    with torch.autocast(x.device.type, enabled=False):
        power, top = relative_power(x)
        s = s.to(power.dtype)
        return _merged(power, top, cut(s, n_out), s, valid)


def _merged(
    power: torch.Tensor, top: torch.Tensor, cuts: Cuts, s: torch.Tensor, valid: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and peak in natural log power, from `relative_power` and `pieces.cut`."""
    mean, peak = log_sums_and_peaks(power, cuts)
    total = s.detach().sum(1).round()
    frames = torch.full_like(total, s.shape[1]) if valid is None else valid.sum(1)
    mean = mean + top
    peak = peak + top + (frames / total).log()[:, None, None]
    if valid is None:
        return mean, peak
    past = (torch.arange(mean.shape[1], device=mean.device) >= total[:, None])[..., None]
    return mean.masked_fill(past, SILENCE), peak.masked_fill(past, SILENCE)


def encoding(n_frames: int, n_mels: int, device: torch.device | None = None) -> torch.Tensor:
    """Sines and cosines that tell where a frame was, `(n_frames, n_mels)`.

    Source: Vaswani et al., "Attention is all you need", NeurIPS 2017, section 3.5.
    """
    rates = torch.exp(torch.arange(0, n_mels, 2, device=device) * (-math.log(10_000) / n_mels))
    angles = torch.arange(n_frames, device=device)[:, None] * rates
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :n_mels]


class WarpMerge(nn.Module):
    """From raw scores to a `Reduced`: what `DiffRes` and every rival that scores frames have in common.

    `reduction` is the share of frames to save, `n_mels` the mels of the input. Subclasses give `raw_scores`.

    Raises
    ------
    ValueError
        `reduction` not in [0, 1); `forward`: see `check`, and clips of no frames or more than there are.
    """

    channels = 3

    def __init__(self, n_mels: int, reduction: float) -> None:
        super().__init__()
        out_frames(2**20, reduction)
        self.n_mels, self.reduction = n_mels, reduction

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Scores of 0 or more, `(clips, frames)`, for `x` `(clips, frames, mels)`."""
        raise NotImplementedError

    def widths(self, x: torch.Tensor, n_out: int | torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Rectified scores, `(clips, frames)`."""
        return rectify(self.raw_scores(x, valid), n_out, valid)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> Reduced:
        """`x` `(clips, frames, mels)`, natural log power; `lengths` `(clips,)` frames that are no padding, None all."""
        check(x, self.n_mels)
        n_frames, n_out = x.shape[1], out_frames(x.shape[1], self.reduction)
        valid, left = None, n_out
        if lengths is not None:
            valid, left = valid_frames(x, lengths, self.reduction)
            x = torch.where(valid[..., None], x, SILENCE)
        s = self.widths(x, left, valid)
        with torch.autocast(x.device.type, enabled=False):
            power, top = relative_power(x)
            s = s.to(power.dtype)
            cuts = cut(s, n_out)
            mean, peak = _merged(power, top, cuts, s, valid)
            places = encoding(n_frames, self.n_mels, x.device).to(power.dtype)
            where = sums(places, cuts)
            guide, active = _guide(s, power.mean(2) * top[..., 0].exp(), valid)
        left = left if isinstance(left, torch.Tensor) else None
        return Reduced(torch.stack([mean, peak, where], dim=1), s, guide, active, left)


def valid_frames(x: torch.Tensor, lengths: torch.Tensor, reduction: float) -> tuple[torch.Tensor, torch.Tensor]:
    """True where frames are no padding, `(clips, frames)`, and the output frames of each clip, at least 1."""
    lengths = torch.as_tensor(lengths, device=x.device)
    if lengths.shape != (len(x),) or lengths.is_floating_point():
        raise ValueError(f"lengths: shape {tuple(lengths.shape)}, expected ({len(x)},) whole numbers, one a clip")
    looked_at = x.device.type == "cpu" and not torch.compiler.is_compiling()
    if looked_at and not 1 <= lengths.amin() <= lengths.amax() <= x.shape[1]:
        raise ValueError(f"lengths: {lengths.tolist()}, expected 1 to {x.shape[1]} frames")
    # As `out_frames`, in whole millionths: no float64, which some devices lack
    millionths = lengths.long() * round(1e6 * (1 - reduction))
    left = ((millionths + 500_000) // 1_000_000).clamp(min=1)
    return torch.arange(x.shape[1], device=x.device) < lengths[:, None], left


def _guide(s: torch.Tensor, power: torch.Tensor, valid: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Guide loss and activeness of each clip, `(clips,)`, from widths and mean power of its frames `(clips, frames)`.

    The guide loss is the mean width of empty frames where it is more than half the mean width of all, else 0. The
    activeness is the standard deviation of the widths of the other frames. Source: paper and its code, but for the
    quietest frame, which is the clip's own.
    """
    there = torch.ones_like(s, dtype=torch.bool) if valid is None else valid
    quietest = torch.where(there, power, torch.inf).amin(1, keepdim=True)
    empty = (power.detach() <= quietest.detach() + EMPTY) & there
    mean = (s * empty).sum(1) / empty.sum(1).clamp(min=1)
    guide = mean * (mean > 0.5 * s.sum(1) / there.sum(1))
    full, fixed = there & ~empty, s.detach()
    count = full.sum(1)
    middle = (fixed * full).sum(1) / count.clamp(min=1)
    spread = ((fixed - middle[:, None]).square() * full).sum(1) / (count - 1).clamp(min=1)
    return guide, spread.sqrt()


class DiffRes(WarpMerge):
    """The published layer: a small network scores the frames, trained with whatever stands behind it.

    `scorer` is `published` (five residual blocks over all mels, 41 frames wide) or `light` (three over 16 bands, as
    wide, a tenth of the cost or less). The scorer sees `(x - mean) / deviation`, 0 and 1 unless `standardise` was
    called. `guide_loss` is for training: add it to the loss of the task. Source: paper, section on DiffRes.

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
        """Let the scorer see levels of mean 0 and standard deviation 1; both `(mels,)`, in natural log power."""
        self.mean.copy_(mean)
        self.std.copy_(std)

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Sigmoid of the scorer's output, `(clips, frames)`."""
        return self.scorer((x - self.mean) / self.std, valid)
