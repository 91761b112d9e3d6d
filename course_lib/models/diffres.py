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

from course_lib.models import pieces
from course_lib.models.levels import check, finite, full, relative_power
from course_lib.models.scorer import Scorer
from course_lib.timebase import out_frames

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
    column, own, crossing, before = pieces.cut(s, n_out)
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
        return _merged(power, top, pieces.cut(s, n_out), s, valid)


def _merged(
    power: torch.Tensor, top: torch.Tensor, cuts: pieces.Cuts, s: torch.Tensor, valid: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and peak in natural log power, from `relative_power` and `pieces.cut`."""
    mean, peak = pieces.log_sums_and_peaks(power, cuts)
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
            cuts = pieces.cut(s, n_out)
            mean, peak = _merged(power, top, cuts, s, valid)
            places = encoding(n_frames, self.n_mels, x.device).to(power.dtype)
            where = pieces.sums(places, cuts)
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
    activeness is the deviation of the widths of the other frames. Source: paper and its code, but for the
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
        self.register_buffer("deviation", torch.ones(n_mels))

    def standardise(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        """Let the scorer see levels of mean 0 and deviation 1; both `(mels,)`, in natural log power."""
        self.mean.copy_(mean)
        self.deviation.copy_(deviation)

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Sigmoid of the scorer's output, `(clips, frames)`."""
        return self.scorer((x - self.mean) / self.deviation, valid)
