"""Rivals of DiffRes: other ways from many frames to few, behind the same face.

A rival takes natural log power `(clips, frames, mels)` and gives a `Reduced`. Some score frames by a rule instead of by
learning, and merge as DiffRes does: with them only the scores differ. The others pool, into one channel. Source of the
pooling ones: Liu et al., "SimPFs", arXiv 2210.00943, and the code of DiffRes. Notebook: 08.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from course_lib.audio.timebase import out_frames
from course_lib.models.diffres import SILENCE, Block, DiffRes, Reduced, WarpMerge, check, valid_frames

TABLE = 2**16
CLIP_KEY = 1e4  # what turns a level into a place of the table: a ten-thousandth of a nat is another place
LONGEST = 4  # pieces of the distortion merge last at most so many times the mean


class Uniform(WarpMerge):
    """Equal widths: what is left of DiffRes when nothing is learnt."""

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Ones, `(clips, frames)`."""
        return torch.ones_like(x[..., 0])


class Random(WarpMerge):
    """Scores drawn evenly from 0 to 1, other ones for every clip (`frozen`: the same for all).

    A clip's own highest level chooses where it reads a table of random numbers: the same scores in every batch.
    """

    def __init__(self, n_mels: int, reduction: float, *, frozen: bool = False) -> None:
        super().__init__(n_mels, reduction)
        self.frozen = frozen
        table = torch.rand(TABLE, generator=torch.Generator().manual_seed(0))
        self.register_buffer("table", table, persistent=False)

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """A stretch of the table for each clip, `(clips, frames)`."""
        level = x.amax((1, 2))
        start = torch.zeros_like(level) if self.frozen else (level * CLIP_KEY).frac().abs() * TABLE
        return self.table[(start.long()[:, None] + torch.arange(x.shape[1], device=x.device)) % TABLE]


class Energy(WarpMerge):
    """Scores by amplitude: the root of a frame's mean power over all mels."""

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Amplitudes relative to the loudest value of the clip, `(clips, frames)`."""
        return (x.float() - x.float().amax((1, 2), keepdim=True)).exp().mean(2).sqrt()


class Flux(WarpMerge):
    """Scores by how much a frame rises over the one before it: the mean over mels of increases of log power.

    Source: spectral flux as in librosa's `onset_strength`, without its smoothing.
    """

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """Mean increases in nats, 0 for the first frame, `(clips, frames)`."""
        rise = x.diff(dim=1, prepend=x[:, :1]).clamp(min=0).mean(2)
        return rise if valid is None else rise * valid


class Shuffled(DiffRes):
    """DiffRes in training; in evaluation its scores are dealt out to the frames anew, always in the same order.

    If its accuracy does not fall, the network did not need the scores that it had learnt to use.
    """

    def __init__(self, n_mels: int, reduction: float, *, scorer: str = "light") -> None:
        super().__init__(n_mels, reduction, scorer=scorer)
        table = torch.rand(TABLE, generator=torch.Generator().manual_seed(0))
        self.register_buffer("table", table, persistent=False)

    def raw_scores(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """The scorer's, `(clips, frames)`, of other frames of the clip while evaluating."""
        scores = super().raw_scores(x, valid)
        if self.training:
            return scores
        order = self.table[: x.shape[1]].expand_as(scores)
        return scores.gather(1, (order if valid is None else order.masked_fill(~valid, 2.0)).argsort(dim=1))


class Similarity(WarpMerge):
    """Pieces end where neighbouring frames differ most: the most alike are merged, in their order in time.

    After Bolya et al., "Token merging", ICLR 2023, which merges any two; here only neighbours, by the square distance
    of their log power.
    """

    def widths(self, x: torch.Tensor, n_out: int | torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """One over the length of the piece, `(clips, frames)`."""
        apart = x.diff(dim=1).square().sum(2)
        if valid is not None:
            apart = apart.masked_fill(~valid[:, 1:], -1.0)
        place = apart.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # 0 for the largest difference
        most = n_out if isinstance(n_out, int) else n_out[:, None]
        return _widths_of(nn.functional.pad(place < most - 1, (1, 0), value=True), valid)


class Distortion(WarpMerge):
    """Pieces that lose least: of all ways to cut a clip, the one with the smallest square error of its log power.

    Found by dynamic programming over pieces of at most four times the mean length. One step a piece in Python, which is
    slow: a bound for others to be measured by, not for use. Without a gradient, for nothing is learnt.
    """

    @torch.no_grad()
    def widths(self, x: torch.Tensor, n_out: int | torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """One over the length of the piece, `(clips, frames)`."""
        n_clips, n_frames, _ = x.shape
        n_all = out_frames(n_frames, self.reduction)
        left = torch.full((n_clips,), n_all, device=x.device) if isinstance(n_out, int) else n_out
        ends = torch.full_like(left, n_frames) if valid is None else valid.sum(1)
        costs = _piece_costs(x, min(n_frames, math.ceil(LONGEST / (1 - self.reduction))))
        longest = costs.shape[2]
        best = torch.full((n_clips, n_frames + 1), torch.inf, device=x.device, dtype=costs.dtype)
        best[:, 0] = 0
        choices = []
        for _ in range(n_all):  # best[j]: least error of the first j frames in so many pieces
            before = nn.functional.pad(best, (longest, 0), value=torch.inf).unfold(1, longest, 1)[:, :-1]
            best, length = (before + costs).min(2)  # the last place is the shortest piece
            choices.append(longest - length)
        starts = torch.zeros(n_clips, n_frames + 1, dtype=torch.bool, device=x.device)
        at = ends.clone()
        for k in range(n_all - 1, -1, -1):
            used = k < left
            at = torch.where(used, at - choices[k].gather(1, at[:, None])[:, 0], at)
            starts.scatter_(1, torch.where(used, at, n_frames)[:, None], True)
        return _widths_of(starts[:, :-1], valid)


def _piece_costs(x: torch.Tensor, longest: int) -> torch.Tensor:
    """Square error of the piece of l frames that ends before frame j, `(clips, frames + 1, longest)`, longest first."""
    x = x.double() - x.double().mean((1, 2), keepdim=True)
    sums = nn.functional.pad(x.cumsum(1), (0, 0, 1, 0))
    squares = nn.functional.pad(x.square().sum(2).cumsum(1), (1, 0))
    costs = torch.full((len(x), x.shape[1] + 1, longest), torch.inf, device=x.device, dtype=torch.float64)
    for length in range(1, longest + 1):
        of_sum = (sums[:, length:] - sums[:, :-length]).square().sum(2) / length
        costs[:, length:, longest - length] = squares[:, length:] - squares[:, :-length] - of_sum
    return costs


def _widths_of(starts: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
    """One over the number of frames of the piece, `(clips, frames)`, from where pieces start; 0 on padding."""
    there = torch.ones_like(starts, dtype=torch.float32) if valid is None else valid.float()
    piece = starts.cumsum(1) - 1
    frames = torch.zeros_like(there).scatter_add(1, piece, there)
    return there / frames.gather(1, piece).clamp(min=1)


class Pooling(nn.Module):
    """Neighbouring frames pooled into one channel, `how` one of `POOLINGS`.

    Output frame k of n takes the frames from floor(k T / n) to ceil((k + 1) T / n), as adaptive pooling in torch does;
    `subsample` takes single frames, evenly spaced from the first to the last. `average` is of log power, `linear` of
    power; `average-max` is half the sum of average and maximum. `convolution` averages after three residual blocks as
    wide as the mels, which learn.
    """

    channels = 1

    def __init__(self, n_mels: int, reduction: float, how: str = "average") -> None:
        super().__init__()
        if how not in POOLINGS:
            raise ValueError(f"how={how!r}: choose one of {', '.join(POOLINGS)}")
        out_frames(2**20, reduction)
        self.n_mels, self.reduction, self.how = n_mels, reduction, how
        self.blocks = nn.ModuleList(Block(n_mels, n_mels, 1) for _ in range(3 if how == "convolution" else 0))

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> Reduced:
        """As `WarpMerge.forward`; there are no scores."""
        check(x, self.n_mels)
        n_out, left, valid = out_frames(x.shape[1], self.reduction), None, None
        ends = torch.full((len(x),), x.shape[1], device=x.device)
        if lengths is not None:
            valid, left = valid_frames(x, lengths, self.reduction)
            ends = valid.sum(1)
        x = self._convolved(x, valid) if self.blocks else x
        pooled = POOLINGS[self.how](x, n_out, ends, torch.full_like(ends, n_out) if left is None else left)
        if left is not None:
            past = torch.arange(n_out, device=x.device) >= left[:, None]
            pooled = pooled.masked_fill(past[..., None], SILENCE)
        nothing = x.new_zeros(len(x))
        return Reduced(pooled[:, None], None, nothing, nothing, left)

    def _convolved(self, x: torch.Tensor, valid: torch.Tensor | None) -> torch.Tensor:
        """`x` plus what the blocks make of it."""
        there = None if valid is None else valid[:, None]
        out = x.transpose(1, 2) if there is None else x.transpose(1, 2) * there
        for block in self.blocks:
            out = block(out, there)
        return x + out.transpose(1, 2)


def _bins(x: torch.Tensor, n_out: int, ends: torch.Tensor, left: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames of each output frame, `(clips, n_out, most, mels)`, and which of them are its own."""
    k = torch.arange(n_out, device=x.device)
    first = (k * ends[:, None]) // left[:, None]
    last = -(-(k + 1) * ends[:, None] // left[:, None])
    most = min(x.shape[1], math.ceil(x.shape[1] / n_out) + 1)
    place = first[..., None] + torch.arange(most, device=x.device)
    own = (place < last[..., None]) & (place < ends[:, None, None])
    clips = torch.arange(len(x), device=x.device)[:, None, None]
    return x[clips, place.clamp(max=x.shape[1] - 1)], own[..., None]


def _subsample(x: torch.Tensor, n_out: int, ends: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    steps = torch.arange(n_out, device=x.device) * (ends - 1)[:, None] / (left - 1).clamp(min=1)[:, None]
    place = steps.round().long().clamp(max=x.shape[1] - 1)
    return x[torch.arange(len(x), device=x.device)[:, None], place]


def _average(x: torch.Tensor, n_out: int, ends: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    values, own = _bins(x, n_out, ends, left)
    return (values * own).sum(2) / own.sum(2).clamp(min=1)


def _linear(x: torch.Tensor, n_out: int, ends: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    values, own = _bins(x, n_out, ends, left)
    sums = values.masked_fill(~own, -torch.inf).logsumexp(2)
    return torch.where(own.any(2), sums - own.sum(2).clamp(min=1).log(), SILENCE)


def _average_max(x: torch.Tensor, n_out: int, ends: torch.Tensor, left: torch.Tensor) -> torch.Tensor:
    values, own = _bins(x, n_out, ends, left)
    highest = values.masked_fill(~own, -torch.inf).amax(2)
    return (_average(x, n_out, ends, left) + highest) / 2


POOLINGS: dict[str, Callable] = {
    "subsample": _subsample, "average": _average, "linear": _linear, "average-max": _average_max,
    "convolution": _average,
}  # fmt: skip
