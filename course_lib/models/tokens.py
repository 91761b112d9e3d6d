"""What spectrogram transformers share: where a token stands, which tokens hold sound, the layers behind attention."""

import torch
from torch import nn
from torch.nn import functional


def placed(table: torch.Tensor, n_columns: int | torch.Tensor, width: int) -> torch.Tensor:
    """Positions of a grid with another number of columns than the table has, `(1 or clips, rows, width, dim)`.

    `table` is `(rows, columns, dim)`. `n_columns` is the columns of all clips, or of each one `(clips,)`; what lies
    beyond them up to `width` is not meant to be used. Fewer columns than the table's take those around its middle,
    more are interpolated between. As many are the table itself. Source: Gong et al., "AST", arXiv 2104.01778, section
    2.2, and its code.
    """
    size = table.shape[1]
    if isinstance(n_columns, int):
        if n_columns == size == width:
            return table[None]
        n_columns = torch.tensor([n_columns], device=table.device)
    n, k = n_columns[:, None], torch.arange(width, device=table.device)
    middle = (size // 2 - n // 2 + k).to(table.dtype)
    between = (k + 0.5) * (size / n) - 0.5  # as `interpolate` does, corners not aligned
    at = torch.where(n <= size, middle, between.to(table.dtype)).clamp(0, size - 1)
    left = at.floor()
    part = (at - left)[..., None]
    columns = table.transpose(0, 1)  # (columns, rows, dim)
    left = left.long()
    near, far = columns[left].flatten(2), columns[(left + 1).clamp(max=size - 1)].flatten(2)
    found = near + (far - near) * part
    return found.view(*at.shape, *columns.shape[1:]).transpose(1, 2)


def valid_columns(n_columns: torch.Tensor | None, width: int) -> torch.Tensor | None:
    """True for columns that hold sound, `(clips, width)`; None where all do."""
    if n_columns is None:
        return None
    return torch.arange(width, device=n_columns.device) < n_columns[:, None]


def check_clips(
    x: torch.Tensor, lengths: torch.Tensor | None, channels: int, n_mels: int, fewest: int
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """The picture `(clips, channels, mels, frames)` of clips `(clips, [channels,] frames, mels)`, and their lengths.

    Raises
    ------
    ValueError
        Another shape, other mels than the network was made for, fewer frames than `fewest`, lengths that do not fit.
    """
    picture = x[:, None] if x.ndim == 3 else x
    if picture.ndim != 4 or picture.shape[1] != channels or not x.is_floating_point() or not len(x):
        shape = "(clips, frames, mels)" if channels == 1 else f"(clips, {channels}, frames, mels)"
        raise ValueError(f"x: {x.dtype} of shape {tuple(x.shape)}, expected floats {shape}, at least one clip")
    n_frames = picture.shape[2]
    if picture.shape[3] != n_mels:
        raise ValueError(f"x: {picture.shape[3]} mels, expected {n_mels}, which this network was made for")
    if n_frames < fewest:
        raise ValueError(f"x: {n_frames} frames, expected at least {fewest}; take longer clips or a shorter hop")
    if lengths is not None:
        lengths = torch.as_tensor(lengths, device=x.device)
        if lengths.shape != (len(x),) or lengths.is_floating_point():
            raise ValueError(f"lengths: shape {tuple(lengths.shape)}, expected ({len(x)},) whole numbers, one a clip")
        if x.device.type == "cpu" and not fewest <= lengths.amin() <= lengths.amax() <= n_frames:
            raise ValueError(f"lengths: {lengths.tolist()}, expected {fewest} to {n_frames} frames")
    return picture.transpose(2, 3), lengths


class Mlp(nn.Module):
    """Four times as wide, GELU, and back."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


def fresh(module: nn.Module) -> None:
    """Weights as vision transformers begin: truncated normal of deviation 0.02, biases 0; on `meta` there are none."""
    if isinstance(module, nn.Linear | nn.Conv2d) and not module.weight.is_meta:
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
