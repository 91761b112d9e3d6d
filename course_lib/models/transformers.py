"""AST, the audio spectrogram transformer: patches of a log-mel as words, one resolution from first layer to last.

Source: Gong, Chung & Glass, "AST: Audio spectrogram transformer", arXiv 2104.01778, and its published code, whose names
of weights are kept, so that its checkpoints can be read. Notebook: 09.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn
from torch.nn import functional

# --- What spectrogram transformers share: where a token stands, which tokens hold sound, the layers behind attention


def interpolate_pos_embed(table: torch.Tensor, n_columns: int | torch.Tensor, width: int) -> torch.Tensor:
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


def init_weights(module: nn.Module) -> None:
    """Weights as vision transformers begin: truncated normal of standard deviation 0.02, biases 0; none on `meta`."""
    if isinstance(module, nn.Linear | nn.Conv2d) and not module.weight.is_meta:
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


# ---

SPECIAL = ("cls_token", "dist_token")
PUBLISHED_MELS = 128


class Attention(nn.Module):
    """Every token looks at every other one; fused, so the table of all pairs is never kept."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
        q, k, v = self.qkv(x).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        found = functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
        return self.proj(found.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then two layers for each token alone, both behind a normalisation and added to what came."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim, eps=1e-6), Attention(dim, heads)
        self.norm2, self.mlp = nn.LayerNorm(dim, eps=1e-6), Mlp(dim)

    def forward(self, x: torch.Tensor, seen: torch.Tensor | None) -> torch.Tensor:
        x = x + self.attn(self.norm1(x), seen)
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    """Patches, positions, blocks; the part that image transformers have as well, under their names."""

    def __init__(
        self, grid: tuple[int, int], channels: int, dim: int, depth: int, heads: int, patch: int, stride: int,
        special: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid = grid
        for name in SPECIAL[:special]:
            self.register_parameter(name, nn.Parameter(torch.zeros(1, 1, dim)))
        self.special = SPECIAL[:special]
        self.pos_embed = nn.Parameter(torch.zeros(1, special + grid[0] * grid[1], dim))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(channels, dim, patch, stride)})
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.apply(init_weights)
        for name in (*self.special, "pos_embed"):
            nn.init.trunc_normal_(getattr(self, name), std=0.02)

    def forward(self, picture: torch.Tensor, n_columns: torch.Tensor | None) -> torch.Tensor:
        """Tokens `(clips, special + rows * columns, dim)` of a picture `(clips, channels, mels, frames)`."""
        patches = self.patch_embed["proj"](picture)  # (clips, dim, rows, columns)
        n_special, columns = len(self.special), patches.shape[3]
        table = self.pos_embed[0, n_special:].unflatten(0, self.grid)
        where = interpolate_pos_embed(table, columns if n_columns is None else n_columns, columns)
        tokens = patches.flatten(2).transpose(1, 2) + where.flatten(1, 2)
        heads = torch.cat([getattr(self, name) for name in self.special], dim=1) + self.pos_embed[:, :n_special]
        x = torch.cat([heads.expand(len(tokens), -1, -1), tokens], dim=1)
        seen = valid_columns(n_columns, columns)
        if seen is not None:
            seen = seen[:, None].expand(-1, patches.shape[2], -1).flatten(1)
            seen = functional.pad(seen, (n_special, 0), value=True)[:, None, None]  # every head and query sees the same
        for block in self.blocks:
            x = block(x, seen)
        return self.norm(x)


class AST(nn.Module):
    """A spectrogram transformer; input `(clips, frames, mels)` or with `channels` in the second place, output logits.

    Made for `n_frames` frames: positions of a clip with fewer tokens in time are those around the middle, of one with
    more they are interpolated. A token sees `patch` frames and mels, the next begins `stride` later. The answer is read
    off the mean of `special` tokens (1: class; 2: class and distillation). `lengths` `(clips,)` says how many frames
    are no padding; padding then changes nothing.

    Raises
    ------
    ValueError
        Frames or mels fewer than a patch, or a size that is not whole; `forward`: see `check_clips`.
    """

    def __init__(
        self, n_frames: int, n_mels: int, n_classes: int, *, dim: int = 768, depth: int = 12, heads: int = 12,
        patch: int = 16, stride: int = 10, special: int = 2, channels: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(n_frames, n_mels) < patch:
            raise ValueError(f"n_frames={n_frames}, n_mels={n_mels}: a patch needs at least {patch} of both")
        if dim % heads or special not in (1, 2) or stride < 1:
            raise ValueError(
                f"dim={dim}, heads={heads}, special={special}, stride={stride}: heads must divide dim, special be 1 or "
                "2, stride at least 1"
            )
        self.patch, self.stride, self.n_mels, self.channels = patch, stride, n_mels, channels
        grid = ((n_mels - patch) // stride + 1, (n_frames - patch) // stride + 1)
        self.v = Encoder(grid, channels, dim, depth, heads, patch, stride, special)
        self.mlp_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, n_classes))
        self.mlp_head.apply(init_weights)

    @property
    def stages(self) -> list[nn.Module]:
        """The encoder, then the head."""
        return [self.v, self.mlp_head]

    def features(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        """One vector a clip, `(clips, dim)`: what the head reads."""
        picture, lengths = check_clips(x, lengths, self.channels, self.n_mels, self.patch)
        n_columns = None if lengths is None else (lengths - self.patch) // self.stride + 1
        return self.v(picture, n_columns)[:, : len(self.v.special)].mean(1)

    def forward(self, x: torch.Tensor, lengths: torch.Tensor | None = None) -> torch.Tensor:
        return self.mlp_head(self.features(x, lengths))


ast_base = partial(AST)
ast_tiny = partial(AST, dim=192, depth=4, heads=3, special=1)


def load_weights(model: AST, state: Mapping[str, torch.Tensor]) -> None:
    """Put published weights into `model`, whose head is kept where the classes are others.

    `state` is a checkpoint of AST (`module.v.blocks...`) or of a vision transformer as timm names its weights
    (`blocks...`, three input channels, which are added up). Positions are fitted to the grid of `model`: those around
    the middle where it is smaller, interpolated where it is larger. A vision transformer without a distillation token
    lends its class token to both. Read files with `torch.load(..., weights_only=True)`.

    Raises
    ------
    ValueError
        A weight is missing or has another shape.
    """
    state = {name.removeprefix("module."): value for name, value in state.items()}
    vision = "pos_embed" in state
    if vision:
        state = {f"v.{name}": value for name, value in state.items() if not name.startswith("head")}
    if vision and "v.dist_token" not in state and "v.cls_token" in state:
        state["v.dist_token"] = state["v.cls_token"]
        state["v.pos_embed"] = torch.cat([state["v.pos_embed"][:, :1], state["v.pos_embed"]], dim=1)
    rows = None if vision else (PUBLISHED_MELS - model.patch) // model.stride + 1
    found = {}
    for name, wanted in model.state_dict().items():
        if name not in state and not (vision and name.startswith("mlp_head")):
            raise ValueError(f"weights: {name} is missing; expected a checkpoint of AST or of a vision transformer")
        value = state.get(name, wanted)
        if name.startswith("mlp_head.1.") and value.shape != wanted.shape:
            value = wanted  # other classes
        if name == "v.patch_embed.proj.weight" and value.shape[1] != wanted.shape[1]:
            value = value.sum(1, keepdim=True).expand(-1, model.channels, -1, -1) / model.channels
        if name == "v.pos_embed":
            value = _fitted(value, len(model.v.special), rows, model.v.grid)
        if value.shape != wanted.shape:
            raise ValueError(f"weights: {name} has shape {tuple(value.shape)}, expected {tuple(wanted.shape)}")
        found[name] = value
    model.load_state_dict(found)


def _fitted(positions: torch.Tensor, special: int, rows: int | None, grid: tuple[int, int]) -> torch.Tensor:
    """A position table for `grid` from a published one with two special tokens and so many rows, None as columns."""
    table = positions[0, 2:]
    rows = rows or math.isqrt(len(table))
    if len(table) % rows:
        raise ValueError(f"weights: v.pos_embed has {len(table)} places, expected a grid of {rows} rows")
    table = table.unflatten(0, (rows, -1))
    table = interpolate_pos_embed(table.transpose(0, 1), grid[0], grid[0])[0].transpose(0, 1)  # along the mels
    table = interpolate_pos_embed(table, grid[1], grid[1])[0]  # along time
    return torch.cat([positions[:, :special], table.flatten(0, 1)[None]], dim=1)


# --- MAST, a multiscale spectrogram transformer: tokens are pooled in stages, along time or along time and frequency

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


class PoolingBlock(nn.Module):
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
                blocks.append(PoolingBlock(before, dim, n_heads, grid, pooled, kv_stride, kernel, relative))
                before, grid = dim, _after(grid, pooled)
            stages.append(nn.ModuleDict({"blocks": blocks}))
        self.stages = nn.ModuleList(stages)
        self.norm = nn.LayerNorm(dims[-1], eps=1e-6)
        self.apply(init_weights)
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
            x = x + interpolate_pos_embed(table, grid[1] if columns is None else columns, grid[1]).flatten(1, 2)
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

     A stem turns `stem_stride` (mels, frames) into one token; the first block of every later stage pools the grid by
     its stride of `q_strides` and widens the tokens to the next of `dims`. Keys and values are pooled by `kv_stride`
     in the first stage, by what is left of it after the pooling of the queries in the others. `positions` is
     `absolute` (a table added once, made for `n_frames`, see `interpolate_pos_embed`) or `relative`; `read` is `mean`
     over tokens, or `class` for
    a     token of its own. `kernel` is that of the pooling convolutions, in mels and frames. `lengths` `(clips,)` says
    how
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
        init_weights(self.head)

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
