"""The published, dense form of DiffRes, from its formulas: the peer for the benchmark and the tests.

Source: Liu et al., "Learning temporal resolution in spectrogram for audio classification", AAAI 2024, and what its code
adds: a loop over clips that waits for their numbers, masks of frames times output frames, two maxima in turn. None of
that code is copied. `course_lib.models.diffres` does the same using only the edges of frames.
"""

import torch
from torch.nn import functional

LIFTED = 1e-4  # frames within this distance of a width of 0 or 1 are not widened
TINY = 1e-12  # power under every logarithm


def rescale(scores: torch.Tensor, t: int) -> torch.Tensor:
    """Widths `(clips, frames)` that sum to at most `t`, from scores above 0. The peer of `rectify`.

    What is missing is distributed only if it is a frame or more, and only to frames clear of 0 and 1.
    """
    widths = []
    for s in scores:
        s = s * t / s.sum()
        if s.max().item() >= 1:
            s = s / s.max()
        gap = t - s.sum()
        if gap.item() >= 1:
            room = torch.where((s > LIFTED) & (s < 1 - LIFTED), 1 - s, 0)
            if room.sum().item() > 0:
                s = s + room * (gap / room.sum()).clamp(max=1)
        widths.append(s)
    return torch.stack(widths)


def dense_warp(s: torch.Tensor, t: int) -> torch.Tensor:
    """What each frame gives to each output frame, `(clips, frames, t)`, from widths. The peer of `warp_matrix`.

    A frame belongs to the column it ends in; what a column then lacks, it gets from the first frame of the next.
    """
    ends = s.cumsum(1).clamp(max=t)[..., None]  # a last edge rounded past the last column would be lost
    k = torch.arange(t, device=s.device)
    mask = ((ends > k) & (ends <= k + 1)).to(s.dtype)
    w = s[..., None] * mask
    lacks = (1 - w.sum(1, keepdim=True)).cumsum(2)
    first = mask * (mask.cumsum(1) == 1)
    w = w + functional.pad(first[:, :, 1:] * lacks[:, :, :-1], (0, 1))
    w = w - functional.pad(first[:, :, 1:] * lacks[:, :, :-1], (1, 0))
    return w.clamp(0, 1)


def dense_merge(x: torch.Tensor, w: torch.Tensor, reduction: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and peak of every piece, each `(clips, t, mels)`, natural log power as `x`. The peer of `merge`."""
    power = x.exp()
    mean = torch.einsum("bjk,bjf->bkf", w, power)
    return (mean + TINY).log(), (_peaks(power, w) / (1 - reduction) + TINY).log()


def _peaks(power: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """Largest product of width and power in every column, `(clips, t, mels)`.

    A frame touches at most one even and one odd column, so each kind takes one maximum.
    """
    peaks = power.new_zeros(len(w), w.shape[2], power.shape[2])
    for parity in (0, 1):
        columns = w[:, :, parity::2]
        if not columns.shape[2]:
            continue
        width, place = columns.max(2)
        weighted = width[..., None] * power
        index = place[..., None].expand_as(weighted)
        highest = power.new_zeros(len(w), columns.shape[2], power.shape[2])
        peaks[:, parity::2] = highest.scatter_reduce(1, index, weighted, "amax")
    return peaks
