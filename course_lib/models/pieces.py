"""Frames laid end to end, each as wide as its score, and cut into pieces of width one: what `diffres` merges by.

A frame is at most as wide as a piece, so it lies in one of them or across one cut. Notebook: 07.
"""

from typing import NamedTuple

import torch
from torch.nn import functional

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
