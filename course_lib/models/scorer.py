"""The small network of DiffRes that tells which frames matter, in two sizes. Notebook: 07."""

import torch
from torch import nn
from torch.nn import functional

from course_lib.models.levels import full

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
