"""MAST, a multiscale spectrogram transformer: tokens are pooled in stages, along time or along time and frequency.

Source: Zhu & Omar, "Multiscale audio spectrogram transformer for efficient audio classification", arXiv 2303.10757,
whose stage table is not public. `mast_base` is the member of the family of Li et al., "MViTv2", arXiv 2112.01526, that
fits what the paper says of its cost: our inference, not the authors' network. Names of weights are timm's.
Notebook: 09.
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from course_lib.models.tokens import Mlp, check_clips, fresh, placed, valid_columns

Grid = tuple[int, int]  # rows (frequency), columns (time)
TIME, BOTH = (1, 2), (2, 2)  # 1-D and 2-D pooling, as strides in frequency and time


def _after(grid: Grid, stride: Grid) -> Grid:
    """The grid that a padded pooling with an odd kernel leaves."""
    return -(-grid[0] // stride[0]), -(-grid[1] // stride[1])


class PoolingAttention(nn.Module):
    """Attention whose queries, keys and values are pooled first, each by a small convolution of every channel alone.

    Tokens lie as rows of a picture with the channels last, so the convolutions need no copy; heads share their kernels.
    `relative` adds to every pair what its distance in rows and in columns is worth to the query, two learnt tables for
    the grid that the layer was made for; farther distances count as the farthest.
    """

    def __init__(
        self, dim: int, dim_out: int, heads: int, grid: Grid, q_stride: Grid, kv_stride: Grid, kernel: Grid,
        relative: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads, self.strides, self.kernel = heads, (q_stride, kv_stride, kv_stride), kernel
        each = dim_out // heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim_out), nn.Linear(dim_out, dim_out)
        for name in "qkv":
            setattr(self, f"pool_{name}", nn.Conv2d(each, each, kernel, groups=each, bias=False))
            setattr(self, f"norm_{name}", nn.LayerNorm(each, eps=1e-6))
        self.relative = relative
        for name, n, q, kv in zip("hw" if relative else "", grid, q_stride, kv_stride, strict=False):
            n_q, n_k = -(-n // q), -(-n // kv)
            table = nn.Parameter(nn.init.trunc_normal_(torch.empty(2 * max(n_q, n_k) - 1, each), std=0.02))
            self.register_parameter(f"rel_pos_{name}", table)

    def forward(
        self, x: torch.Tensor, grid: Grid, n_first: int, columns: torch.Tensor | None
    ) -> tuple[torch.Tensor, Grid]:
        """Tokens `(clips, n_first + rows * columns, dim_out)` of the pooled grid, and that grid."""
        there = valid_columns(columns, grid[1])
        parts, grids = [], []
        for name, weight, bias, stride in zip(
            "qkv", self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), self.strides, strict=True
        ):
            pooled, size = self._pooled(name, functional.linear(x, weight, bias), grid, stride, n_first, there)
            parts.append(pooled)
            grids.append(size)
        q, k, v = (part.transpose(1, 2) for part in parts)  # (clips, heads, tokens, each)
        bias = self._bias(q[:, :, n_first:], grids[0], grids[1], n_first) if self.relative else None
        if columns is not None:
            seen = valid_columns(-(-columns // self.strides[1][1]), grids[1][1])
            seen = seen[:, None].expand(-1, grids[1][0], -1).flatten(1)
            seen = functional.pad(seen, (n_first, 0), value=True)[:, None, None]
            bias = seen if bias is None else bias.masked_fill(~seen, -torch.inf)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias) + q  # the pooled query goes round it
        return self.proj(found.transpose(1, 2).flatten(2)), grids[0]

    def _pooled(
        self, name: str, x: torch.Tensor, grid: Grid, stride: Grid, n_first: int, there: torch.Tensor | None
    ) -> tuple[torch.Tensor, Grid]:
        """`x` with its grid convolved, `(clips, tokens, heads, each)`, normalised, and the new grid."""
        first, tokens = x[:, :n_first], x[:, n_first:]
        picture = tokens.unflatten(1, grid)
        if there is not None:
            picture = picture.masked_fill(~there[:, None, :, None], 0)
        kernel = getattr(self, f"pool_{name}").weight.repeat(self.heads, 1, 1, 1)
        padding = [size // 2 for size in self.kernel]
        picture = functional.conv2d(picture.permute(0, 3, 1, 2), kernel, None, stride, padding, groups=x.shape[2])
        size = tuple(picture.shape[2:])
        tokens = picture.permute(0, 2, 3, 1).flatten(1, 2)
        tokens = torch.cat([first, tokens], dim=1) if n_first else tokens
        return getattr(self, f"norm_{name}")(tokens.unflatten(2, (self.heads, -1))), size

    def _bias(self, q: torch.Tensor, q_grid: Grid, k_grid: Grid, n_first: int) -> torch.Tensor:
        """What the distances add to every pair, `(clips, heads, queries, keys)`; nothing for tokens off the grid."""
        q = q.unflatten(2, q_grid)
        rows = torch.einsum("bhrce,rke->bhrck", q, self._distances(0, q_grid[0], k_grid[0]))
        columns = torch.einsum("bhrce,cke->bhrck", q, self._distances(1, q_grid[1], k_grid[1]))
        bias = (rows[..., :, None] + columns[..., None, :]).flatten(2, 3).flatten(3)
        return functional.pad(bias, (n_first, 0, n_first, 0))

    def _distances(self, axis: int, n_q: int, n_k: int) -> torch.Tensor:
        """Rows of a table for every query and key along one axis, `(n_q, n_k, each)`."""
        table = getattr(self, f"rel_pos_{'hw'[axis]}")
        q_stride, k_stride = self.strides[0][axis], self.strides[1][axis]
        of_q, of_k = max(q_stride / k_stride, 1.0), max(k_stride / q_stride, 1.0)
        nothing = (len(table) + 1) // 2 - max(of_k, 1)  # the row of distance 0: as many before as the last key is away
        q, k = (torch.arange(n, device=table.device) for n in (n_q, n_k))
        apart = (q[:, None] * of_q - k * of_k + nothing).long()
        return table[apart.clamp(0, len(table) - 1)]


class Block(nn.Module):
    """Pooling attention beside a maximum over as many tokens, then two layers for each token alone."""

    def __init__(
        self, dim: int, dim_out: int, heads: int, grid: Grid, q_stride: Grid, kv_stride: Grid, kernel: Grid,
        relative: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.q_stride = q_stride
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim_out, eps=1e-6)
        self.attn = PoolingAttention(dim, dim_out, heads, grid, q_stride, kv_stride, kernel, relative)
        self.shortcut_proj_attn = nn.Linear(dim, dim_out) if dim != dim_out else None
        self.mlp = Mlp(dim_out)

    def forward(
        self, x: torch.Tensor, grid: Grid, n_first: int, columns: torch.Tensor | None
    ) -> tuple[torch.Tensor, Grid]:
        normed = self.norm1(x)
        past = x if self.shortcut_proj_attn is None else self.shortcut_proj_attn(normed)
        found, new = self.attn(normed, grid, n_first, columns)
        x = found + (past if self.q_stride == (1, 1) else self._highest(past, grid, n_first, columns))
        return x + self.mlp(self.norm2(x)), new

    def _highest(self, x: torch.Tensor, grid: Grid, n_first: int, columns: torch.Tensor | None) -> torch.Tensor:
        picture = x[:, n_first:].unflatten(1, grid)
        there = valid_columns(columns, grid[1])
        if there is not None:
            picture = picture.masked_fill(~there[:, None, :, None], torch.finfo(x.dtype).min)
        kernel = [s + 1 if s > 1 else 1 for s in self.q_stride]
        padding = [k // 2 for k in kernel]
        picture = functional.max_pool2d(picture.permute(0, 3, 1, 2), kernel, self.q_stride, padding)
        if there is not None:  # a maximum over nothing is no number to go on with
            past = ~valid_columns(-(-columns // self.q_stride[1]), picture.shape[3])
            picture = picture.masked_fill(past[:, None, None], 0)
        return torch.cat([x[:, :n_first], picture.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


class Pyramid(nn.Module):
    """Stem, positions, stages of blocks, normalisation: all but the head, under timm's names. See `MAST`."""

    def __init__(
        self, grid: Grid, channels: int, dims: Sequence[int], heads: Sequence[int], depths: Sequence[int],
        q_strides: Sequence[Grid], kv_stride: Grid, stem_kernel: Grid, stem_stride: Grid, kernel: Grid, relative: bool,
        n_first: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid, self.n_first = grid, n_first
        padding = tuple(size // 2 for size in stem_kernel)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, dims[0], stem_kernel, stem_stride, padding)})
        stages, before = [], dims[0]
        for dim, n_heads, depth, stride in zip(dims, heads, depths, ((1, 1), *q_strides), strict=True):
            kv_stride = tuple(max(kv // q, 1) for kv, q in zip(kv_stride, stride, strict=True))
            blocks = nn.ModuleList()
            for k in range(depth):
                pooled = stride if k == 0 else (1, 1)
                blocks.append(Block(before, dim, n_heads, grid, pooled, kv_stride, kernel, relative))
                before, grid = dim, _after(grid, pooled)
            stages.append(nn.ModuleDict({"blocks": blocks}))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(dims[-1], eps=1e-6)
        self.apply(fresh)
        if n_first:
            self.cls_token = nn.Parameter(nn.init.trunc_normal_(torch.empty(1, 1, dims[0]), std=0.02))
        if not relative:
            table = torch.empty(1, self.grid[0] * self.grid[1], dims[0])
            self.pos_embed = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))

    def forward(self, picture: torch.Tensor, lengths: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Tokens of the last grid behind the class token, `(clips, tokens, dim)`, and which hold sound, None for all.

        `picture` is `(clips, channels, mels, frames)`.
        """
        stem = self.patch_embed["proj"]
        if lengths is not None:
            picture = picture.masked_fill(~valid_columns(lengths, picture.shape[3])[:, None, None], 0)
        patches = stem(picture)
        grid, columns = tuple(patches.shape[2:]), None if lengths is None else -(-lengths // stem.stride[1])
        x = patches.flatten(2).transpose(1, 2)
        if hasattr(self, "pos_embed"):
            table = self.pos_embed[0].unflatten(0, self.grid)
            x = x + placed(table, grid[1] if columns is None else columns, grid[1]).flatten(1, 2)
        if self.n_first:
            x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], dim=1)
        for stage in self.stages:
            for block in stage["blocks"]:
                x, grid = block(x, grid, self.n_first, columns)
                columns = None if columns is None else -(-columns // block.q_stride[1])
        there = valid_columns(columns, grid[1])
        return self.norm(x), None if there is None else there[:, None].expand(-1, grid[0], -1).flatten(1)


class MAST(nn.Module):
    """A multiscale transformer; input `(clips, frames, mels)` or with `channels` in the second place, output logits.

    A stem turns `stem_stride` (mels, frames) into one token; the first block of every later stage pools the grid by its
    stride of `q_strides` and widens the tokens to the next of `dims`. Keys and values are pooled by `kv_stride` in the
    first stage, by what is left of it after the pooling of the queries in the others. `positions` is `absolute` (a
    table added once, made for `n_frames`, see `placed`) or `relative`; `read` is `mean` over tokens, or `class` for a
    token of its own. `kernel` is that of the pooling convolutions, in mels and frames. `lengths` `(clips,)` says how
    many frames are no padding; padding then changes nothing.

    Raises
    ------
    ValueError
        Sizes that do not belong together; `forward`: see `check_clips`.
    """

    def __init__(
        self, n_frames: int, n_mels: int, n_classes: int, *, dims: Sequence[int] = (96, 192, 384, 768),
        heads: Sequence[int] = (1, 2, 4, 8), depths: Sequence[int] = (2, 3, 15, 3),
        q_strides: Sequence[Grid] = (TIME, BOTH, BOTH), kv_stride: Grid = (4, 8), stem_kernel: Grid = (15, 7),
        stem_stride: Grid = (8, 4), kernel: Grid = (3, 3), positions: str = "absolute", read: str = "mean",
        channels: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        if not len(dims) == len(heads) == len(depths) == len(q_strides) + 1 or any(
            dim % n for dim, n in zip(dims, heads, strict=False)
        ):
            raise ValueError(
                f"dims={tuple(dims)}, heads={tuple(heads)}, depths={tuple(depths)}, q_strides={tuple(q_strides)}: "
                "expected one dim, one depth and a number of heads that divides the dim a stage, one stride between two"
            )
        for name, value, known in (
            ("positions", positions, ("absolute", "relative")), ("read", read, ("mean", "class")),
        ):  # fmt: skip
            if value not in known:
                raise ValueError(f"{name}={value!r}: choose one of {', '.join(known)}")
        if min(n_frames, n_mels) < 1 or any(size % 2 == 0 for size in (*stem_kernel, *kernel)):
            raise ValueError(
                f"n_frames={n_frames}, n_mels={n_mels}, stem_kernel={stem_kernel}, kernel={kernel}: expected at least "
                "one frame and mel, and odd kernels"
            )
        self.n_mels, self.channels = n_mels, channels
        self.v = Pyramid(
            _after((n_mels, n_frames), stem_stride), channels, dims, heads, depths, q_strides, kv_stride, stem_kernel,
            stem_stride, kernel, positions == "relative", int(read == "class"),
        )  # fmt: skip
        self.head = nn.Linear(dims[-1], n_classes)
        fresh(self.head)

    @property
    def stages(self) -> list[nn.Module]:
        """The pyramid, then the head."""
        return [self.v, self.head]

    def features(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """One vector a clip, `(clips, dims[-1])`: what the head reads."""
        picture, lengths = check_clips(x, lengths, self.channels, self.n_mels, 1)
        tokens, there = self.v(picture, lengths)
        if self.v.n_first:
            return tokens[:, 0]
        if there is None:
            return tokens.mean(1)
        return tokens.masked_fill(~there[..., None], 0).sum(1) / there.sum(1, keepdim=True)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        return self.head(self.features(x, lengths))


mast_base = partial(MAST)
mast_tiny = partial(MAST, dims=(32, 64, 128, 256), depths=(1, 1, 1, 1))
