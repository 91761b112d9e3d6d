"""Baselines of DiffRes: other frame reducers with the same interface.

A frame reducer takes natural log power `(clips, frames, mels)` and returns a `Reduced`. Some score frames by a rule
instead of a learned network and merge as DiffRes does, so that only the scores differ. The others pool, into one
channel. Source of the poolings: Liu et al., "SimPFs", arXiv 2210.00943, and the code of DiffRes. Notebook: 08.
"""

import math
from collections.abc import Callable

import torch
from torch import nn

from course_lib.audio.timebase import out_frames
from course_lib.models.diffres import Block, DiffRes, Reduced, WarpMerge, check_log_power

TABLE = 2**16
CLIP_KEY = 1e4  # turns a level into a position in the table: a change of 1e-4 nat runs through all of it
LONGEST = 4  # the distortion merge makes segments of at most this many times the mean length


class Uniform(WarpMerge):
    """Equal widths: DiffRes without learning."""

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Ones, `(clips, frames)`."""
        return torch.ones_like(x[..., 0])


class Random(WarpMerge):
    """Scores drawn uniformly from 0 to 1, by the clip (`frozen`: the same for all).

    A clip's highest level selects its section of a table of random numbers, so its scores are the same in every batch.
    In float32 the levels of loud clips leave only some hundred sections to choose from, so such clips may share one.
    """

    def __init__(self, n_mels: int, reduction: float, *, frozen: bool = False) -> None:
        super().__init__(n_mels, reduction)
        self.frozen = frozen
        table = torch.rand(TABLE, generator=torch.Generator().manual_seed(0))
        self.register_buffer("table", table, persistent=False)

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """A section of the table for each clip, `(clips, frames)`."""
        level = x.amax((1, 2))
        start = torch.zeros_like(level) if self.frozen else (level * CLIP_KEY).frac().abs() * TABLE
        return self.table[(start.long()[:, None] + torch.arange(x.shape[1], device=x.device)) % TABLE]


class Energy(WarpMerge):
    """Scores by amplitude: the square root of a frame's mean power over all mels."""

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Amplitudes relative to the loudest value of the clip, `(clips, frames)`."""
        return (x.float() - x.float().amax((1, 2), keepdim=True)).exp().mean(2).sqrt()


class Flux(WarpMerge):
    """Scores by increase over the previous frame: the mean over mels of the increases of log power.

    Source: spectral flux as in librosa's `onset_strength`, without its smoothing.
    """

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """Mean increases in nats, 0 for the first frame, `(clips, frames)`."""
        return x.diff(dim=1, prepend=x[:, :1]).clamp(min=0).mean(2)


class Oracle(WarpMerge):
    """Scores from the true events: what merging could gain if it knew where the sound is.

    The last band of `x` marks where the events are (1 in a frame that touches one or a short pause between two, else 0;
    `clip_run.with_events` adds it). The classifier gets zeros in its place. Needs a data set with strong labels, such
    as `timing`.
    """

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """The last band, `(clips, frames)`."""
        return x[..., -1].clamp(min=0)

    def forward(self, x: torch.Tensor) -> Reduced:
        """As `WarpMerge.forward`, with zeros for mean and peak of the last band."""
        reduced = super().forward(x)
        reduced.features[:, :2, :, -1] = 0
        return reduced


class Shuffled(DiffRes):
    """DiffRes in training; in evaluation its scores are shuffled over the frames, always in the same order.

    That is so in evaluation, also on the validation clips by which the step is chosen. If accuracy does not fall, the
    network did not need the scores that it learned.
    """

    def __init__(self, n_mels: int, reduction: float) -> None:
        super().__init__(n_mels, reduction, scorer="light")
        table = torch.rand(TABLE, generator=torch.Generator().manual_seed(0))
        self.register_buffer("table", table, persistent=False)

    def raw_scores(self, x: torch.Tensor) -> torch.Tensor:
        """The scorer's output, `(clips, frames)`, shuffled in evaluation."""
        scores = super().raw_scores(x)
        if self.training:
            return scores
        return scores[:, self.table[: x.shape[1]].argsort()]


class Similarity(WarpMerge):
    """Segments end where neighbouring frames differ most: the most similar neighbours are merged.

    After Bolya et al., "Token merging", ICLR 2023, which merges any two tokens; here only neighbouring frames, by the
    squared distance of their log power.
    """

    def widths(self, x: torch.Tensor, n_out: int) -> torch.Tensor:
        """One over the length of the segment, `(clips, frames)`."""
        distance = x.diff(dim=1).square().sum(2)
        rank = distance.argsort(dim=1, descending=True, stable=True).argsort(dim=1)  # 0 for the largest difference
        return _segment_widths(nn.functional.pad(rank < n_out - 1, (1, 0), value=True))


class Distortion(WarpMerge):
    """The optimal segmentation: of all ways to cut a clip, the one with the least squared error of log power.

    Found by dynamic programming over segments of at most four times the mean length, with one step per segment in
    Python. That is slow: use it as a bound for other methods. It has no gradient, because nothing is learned.
    """

    @torch.no_grad()
    def widths(self, x: torch.Tensor, n_out: int) -> torch.Tensor:
        """One over the length of the segment, `(clips, frames)`."""
        n_clips, n_frames, _ = x.shape
        most = math.ceil(round(LONGEST / (1 - self.reduction), 6))  # 1 - 0.9 is a little less than 0.1
        costs = _segment_costs(x, min(n_frames, most))
        longest = costs.shape[2]
        best = torch.full((n_clips, n_frames + 1), torch.inf, device=x.device, dtype=costs.dtype)
        best[:, 0] = 0
        lengths = []  # of the last segment of the best segmentation that ends at each frame
        for _ in range(n_out):  # best[j]: least error of the first j frames in this many segments
            before = nn.functional.pad(best, (longest, 0), value=torch.inf).unfold(1, longest, 1)[:, :-1]
            best, choice = (before + costs).min(2)  # the last choice is the shortest segment
            lengths.append(longest - choice)
        starts = torch.zeros(n_clips, n_frames, dtype=torch.bool, device=x.device)
        at = torch.full((n_clips, 1), n_frames, device=x.device)
        for length in reversed(lengths):
            at = at - length.gather(1, at)
            starts.scatter_(1, at, True)
        return _segment_widths(starts)


def _segment_costs(x: torch.Tensor, longest: int) -> torch.Tensor:
    """Squared error of the segments that end before frame j, `(clips, frames + 1, longest)`, the longest first."""
    x = x.double() - x.double().mean((1, 2), keepdim=True)
    sums = nn.functional.pad(x.cumsum(1), (0, 0, 1, 0))
    squares = nn.functional.pad(x.square().sum(2).cumsum(1), (1, 0))
    costs = torch.full((len(x), x.shape[1] + 1, longest), torch.inf, device=x.device, dtype=torch.float64)
    for length in range(1, longest + 1):
        explained = (sums[:, length:] - sums[:, :-length]).square().sum(2) / length
        costs[:, length:, longest - length] = squares[:, length:] - squares[:, :-length] - explained
    return costs


def _segment_widths(starts: torch.Tensor) -> torch.Tensor:
    """One over the number of frames of the segment, `(clips, frames)`, from True where segments start."""
    segment = starts.cumsum(1) - 1
    ones = torch.ones_like(starts, dtype=torch.float32)
    n_frames = torch.zeros_like(ones).scatter_add(1, segment, ones)
    return ones / n_frames.gather(1, segment)


class Pooling(nn.Module):
    """Neighbouring frames pooled into one channel; `how` is one of `POOLINGS`.

    Output frame k of n pools the frames from floor(k T / n) up to, but not including, ceil((k + 1) T / n), as adaptive
    pooling in torch does; `subsample` takes single frames, evenly spaced from the first to the last. `average` is that
    of log power, `linear` that of power; `average-max` is the mean of average and maximum. `convolution` averages after
    three residual blocks over all mels, which are trained.

    Raises
    ------
    ValueError
        `how` is unknown, or `reduction` is not in [0, 1). `forward`: `x` is not natural log power of `n_mels` bands.
    """

    channels = 1

    def __init__(self, n_mels: int, reduction: float, how: str = "average") -> None:
        super().__init__()
        if how not in POOLINGS:
            raise ValueError(f"how={how!r}: choose one of {', '.join(POOLINGS)}")
        out_frames(2**20, reduction)
        self.n_mels, self.reduction, self.how = n_mels, reduction, how
        self.blocks = nn.ModuleList(Block(n_mels, n_mels, 1) for _ in range(3 if how == "convolution" else 0))

    def forward(self, x: torch.Tensor) -> Reduced:
        """As `WarpMerge.forward`; there are no scores."""
        check_log_power(x, self.n_mels)
        if self.blocks:
            residual = x.transpose(1, 2)
            for block in self.blocks:
                residual = block(residual)
            x = x + residual.transpose(1, 2)
        pooled = POOLINGS[self.how](x, out_frames(x.shape[1], self.reduction))
        return Reduced(pooled[:, None], scores=None, guide_loss=x.new_zeros(len(x)))


def _bins(x: torch.Tensor, n_out: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames of each output frame, `(clips, n_out, most, mels)`, and True where they are in it, `(n_out, most, 1)`.

    As in torch's adaptive pooling, which on Apple's GPUs works only where the lengths divide (torch issue 96056).
    """
    n_frames, k = x.shape[1], torch.arange(n_out, device=x.device)
    first = k * n_frames // n_out
    last = -(-(k + 1) * n_frames // n_out)
    most = min(n_frames, math.ceil(n_frames / n_out) + 1)
    frame = first[:, None] + torch.arange(most, device=x.device)
    return x[:, frame.clamp(max=n_frames - 1)], (frame < last[:, None])[..., None]


def _subsample(x: torch.Tensor, n_out: int) -> torch.Tensor:
    frame = torch.arange(n_out, device=x.device) * (x.shape[1] - 1) / max(n_out - 1, 1)
    return x[:, frame.round().long()]


def _average(x: torch.Tensor, n_out: int) -> torch.Tensor:
    values, inside = _bins(x, n_out)
    return (values * inside).sum(2) / inside.sum(1)


def _linear(x: torch.Tensor, n_out: int) -> torch.Tensor:
    values, inside = _bins(x, n_out)
    return values.masked_fill(~inside, -torch.inf).logsumexp(2) - inside.sum(1).log()


def _average_max(x: torch.Tensor, n_out: int) -> torch.Tensor:
    values, inside = _bins(x, n_out)
    return (_average(x, n_out) + values.masked_fill(~inside, -torch.inf).amax(2)) / 2


POOLINGS: dict[str, Callable[[torch.Tensor, int], torch.Tensor]] = {
    "subsample": _subsample, "average": _average, "linear": _linear, "average-max": _average_max,
    "convolution": _average,
}  # fmt: skip
