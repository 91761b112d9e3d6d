"""Two spectrogram transformers: AST, with one resolution throughout, and MAST, which pools its tokens in stages.

The log-mel of a clip is an image of mels (rows) and frames (columns). A strided convolution turns it into a grid of
tokens, a learned position embedding says where each token was, blocks of attention compare every token with every
other, and a linear head reads the class logits off the result.

- AST: patches of 16 x 16 every 10; twelve blocks on one grid, named as in the published code. Source: Gong, Chung &
  Glass, "AST: Audio spectrogram transformer", arXiv 2104.01778.
- MAST: a finer grid that is pooled between four stages, along time or along time and frequency, while the tokens get
  wider. We do not have the authors' table of stages; ours follows MViTv2, with depths that fit the published cost.
  Source: Zhu & Omar, "Multiscale audio spectrogram transformer for efficient audio classification", arXiv 2303.10757;
  Li et al., "MViTv2", arXiv 2112.01526, with timm's names of the weights.

Notebook: 09.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import nn
from torch.nn import functional

Grid = tuple[int, int]  # rows (frequency), columns (time)

# Parts of both networks


def as_image(x: torch.Tensor, in_chans: int, n_mels: int, min_frames: int) -> torch.Tensor:
    """Clips `(clips, [channels,] frames, mels)` as images `(clips, channels, mels, frames)`.

    Raises
    ------
    ValueError
        Another shape, another number of mels than the network was built for, or fewer frames than `min_frames`.
    """
    image = x[:, None] if x.ndim == 3 else x
    if image.ndim != 4 or image.shape[1] != in_chans or not x.is_floating_point() or not len(x):
        shape = "(clips, frames, mels)" if in_chans == 1 else f"(clips, {in_chans}, frames, mels)"
        raise ValueError(f"x: {x.dtype} of shape {tuple(x.shape)}, expected floats {shape}, at least one clip")
    n_frames = image.shape[2]
    if image.shape[3] != n_mels:
        raise ValueError(f"x: {image.shape[3]} mels, expected {n_mels}, as this network was built for")
    if n_frames < min_frames:
        raise ValueError(f"x: {n_frames} frames, expected at least {min_frames}; use longer clips or a shorter hop")
    return image.transpose(2, 3)


def interpolate_pos_embed(table: torch.Tensor, n_columns: int) -> torch.Tensor:
    """Position embeddings `(rows, columns, dim)` for a grid with `n_columns` columns, `(rows, n_columns, dim)`.

    Fewer columns are cut out of the middle, more are interpolated. Source: Gong et al., "AST", arXiv 2104.01778,
    section 2.2, and its code.
    """
    n_rows, size, _ = table.shape
    if n_columns <= size:
        first = size // 2 - n_columns // 2
        return table[:, first : first + n_columns]
    image = table.permute(2, 0, 1)[None]  # (1, dim, rows, columns)
    return functional.interpolate(image, size=(n_rows, n_columns), mode="bilinear")[0].permute(1, 2, 0)


def init_weights(module: nn.Module) -> None:
    """Initialise as vision transformers do: truncated normal of standard deviation 0.02, biases 0; none on `meta`."""
    if isinstance(module, nn.Linear | nn.Conv2d) and not module.weight.is_meta:
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class Mlp(nn.Module):
    """Two linear layers with a GELU between them, applied to each token; the hidden one is four times as wide."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, 4 * dim)
        self.fc2 = nn.Linear(4 * dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc2(functional.gelu(self.fc1(x)))


# AST: one grid from the first block to the last


class Attention(nn.Module):
    """Multi-head self-attention; fused, so the matrix of all pairs of tokens is never stored."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        qkv = self.qkv(x).unflatten(2, (3, self.num_heads, -1))  # (clips, tokens, 3, heads, dim / heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        x = functional.scaled_dot_product_attention(q, k, v)  # (clips, heads, tokens, dim / heads)
        return self.proj(x.transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Attention, then an MLP, each after a layer norm and with a residual connection."""

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.attn = Attention(dim, num_heads)
        self.norm2 = nn.LayerNorm(dim, eps=1e-6)
        self.mlp = Mlp(dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


PATCH = 16  # mels and frames of a token
PREFIX_TOKENS = ("cls_token", "dist_token")


class Encoder(nn.Module):
    """Patch embedding, position embedding and blocks: all of AST but the head, named as in timm's vision transformer.

    Input images `(clips, channels, mels, frames)`; output tokens `(clips, prefix + rows * columns, dim)`.
    """

    def __init__(
        self, grid_size: Grid, embed_dim: int, depth: int, num_heads: int, stride: int, num_prefix_tokens: int,
        in_chans: int,
    ) -> None:  # fmt: skip
        super().__init__()
        self.grid_size, self.num_prefix_tokens = grid_size, num_prefix_tokens
        for name in PREFIX_TOKENS[:num_prefix_tokens]:
            self.register_parameter(name, nn.Parameter(torch.zeros(1, 1, embed_dim)))
        n_tokens = num_prefix_tokens + grid_size[0] * grid_size[1]
        self.pos_embed = nn.Parameter(torch.zeros(1, n_tokens, embed_dim))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(in_chans, embed_dim, PATCH, stride)})
        self.blocks = nn.ModuleList(Block(embed_dim, num_heads) for _ in range(depth))
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.apply(init_weights)
        for name in (*PREFIX_TOKENS[:num_prefix_tokens], "pos_embed"):
            nn.init.trunc_normal_(getattr(self, name), std=0.02)

    def embed(self, image: torch.Tensor) -> torch.Tensor:
        """What the first block reads: prefix and patches with their positions, `(clips, prefix + tokens, dim)`."""
        patches = self.patch_embed["proj"](image)  # (clips, dim, rows, columns)
        of_prefix, of_grid = self.pos_embed[0].split([self.num_prefix_tokens, math.prod(self.grid_size)])
        of_grid = interpolate_pos_embed(of_grid.unflatten(0, self.grid_size), patches.shape[3])
        tokens = patches.flatten(2).transpose(1, 2) + of_grid.flatten(0, 1)
        prefix = [getattr(self, name) for name in PREFIX_TOKENS[: self.num_prefix_tokens]]
        prefix = torch.cat(prefix, dim=1) + of_prefix
        return torch.cat([prefix.expand(len(tokens), -1, -1), tokens], dim=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.embed(image)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class AST(nn.Module):
    """The audio spectrogram transformer, from log-mels to logits `(clips, classes)`. Defaults are the published size.

    Input `(clips, frames, mels)`, or `(clips, channels, frames, mels)` with `in_chans` channels. A token covers 16
    frames and mels, and the next begins `stride` later. Position embeddings are for clips of `n_frames`; see
    `interpolate_pos_embed` for others. The head reads the mean of the `num_prefix_tokens` (1: class token; 2: class and
    distillation tokens). Notebook: 09.

    Raises
    ------
    ValueError
        Fewer frames or mels than a patch has, or sizes that do not fit together; `forward`: see `as_image`.
    """

    def __init__(
        self, n_frames: int, n_mels: int, n_classes: int, *, embed_dim: int = 768, depth: int = 12,
        num_heads: int = 12, stride: int = 10, num_prefix_tokens: int = 2, in_chans: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        if min(n_frames, n_mels) < PATCH:
            raise ValueError(f"n_frames={n_frames}, n_mels={n_mels}: a patch needs at least {PATCH} of both")
        if embed_dim % num_heads or num_prefix_tokens not in (1, 2) or stride < 1:
            raise ValueError(
                f"embed_dim={embed_dim}, num_heads={num_heads}, num_prefix_tokens={num_prefix_tokens}, "
                f"stride={stride}: num_heads must divide embed_dim, num_prefix_tokens be 1 or 2, stride at least 1"
            )
        self.n_mels, self.in_chans = n_mels, in_chans
        grid_size = ((n_mels - PATCH) // stride + 1, (n_frames - PATCH) // stride + 1)
        self.v = Encoder(grid_size, embed_dim, depth, num_heads, stride, num_prefix_tokens, in_chans)
        self.mlp_head = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, n_classes))
        self.mlp_head.apply(init_weights)

    @property
    def stages(self) -> list[nn.Module]:
        """The encoder, then the head."""
        return [self.v, self.mlp_head]

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """One vector per clip, `(clips, embed_dim)`: the input of the head."""
        tokens = self.v(as_image(x, self.in_chans, self.n_mels, min_frames=PATCH))
        return tokens[:, : self.v.num_prefix_tokens].mean(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.mlp_head(self.features(x))


ast_base = AST
ast_tiny = partial(AST, embed_dim=192, depth=4, num_heads=3, num_prefix_tokens=1)

# MAST: the grid is pooled between stages

TIME, BOTH = (1, 2), (2, 2)  # 1-D and 2-D pooling, as strides in frequency and time
PATCH_KERNEL, PATCH_STRIDE = (15, 7), (8, 4)  # of the convolution that makes the tokens, in mels and frames
NUM_HEADS = (1, 2, 4, 8)  # of each stage
STRIDE_Q = ((1, 1), TIME, BOTH, BOTH)  # by which the first block of each stage pools the grid
STRIDE_KV = ((4, 8), (4, 4), (2, 2), (1, 1))  # by which blocks pool keys and values: less, the coarser the grid


def pooled_size(grid: Grid, stride: Grid) -> Grid:
    """The grid after a pooling with an odd kernel, padded by half of it."""
    return math.ceil(grid[0] / stride[0]), math.ceil(grid[1] / stride[1])


class PoolingAttention(nn.Module):
    """Attention whose queries, keys and values are pooled first, by a strided depthwise convolution and a layer norm.

    The heads share the kernels of the convolutions, of size `kernel` in mels and frames.
    """

    def __init__(
        self, dim: int, dim_out: int, num_heads: int, stride_q: Grid, stride_kv: Grid, kernel: Grid = (3, 3)
    ) -> None:
        super().__init__()
        self.num_heads, self.stride_q, self.stride_kv, self.kernel = num_heads, stride_q, stride_kv, kernel
        head_dim = dim_out // num_heads
        self.qkv = nn.Linear(dim, 3 * dim_out)
        self.proj = nn.Linear(dim_out, dim_out)
        for name in ("q", "k", "v"):
            self.add_module(f"pool_{name}", nn.Conv2d(head_dim, head_dim, kernel, groups=head_dim, bias=False))
            self.add_module(f"norm_{name}", nn.LayerNorm(head_dim, eps=1e-6))

    def forward(self, x: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, Grid]:
        """Tokens `(clips, rows * columns, dim_out)` of the grid that is left after pooling the queries, and that grid.

        `x` is `(clips, rows * columns, dim)`.
        """
        q, k, v = (
            functional.linear(x, weight, bias)
            for weight, bias in zip(self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), strict=True)
        )
        q = self._pool(q, grid, self.stride_q, self.pool_q, self.norm_q)
        k = self._pool(k, grid, self.stride_kv, self.pool_k, self.norm_k)
        v = self._pool(v, grid, self.stride_kv, self.pool_v, self.norm_v)
        x = functional.scaled_dot_product_attention(q, k, v) + q  # a residual connection of the pooled queries
        return self.proj(x.transpose(1, 2).flatten(2)), pooled_size(grid, self.stride_q)

    def _pool(self, x: torch.Tensor, grid: Grid, stride: Grid, pool: nn.Conv2d, norm: nn.LayerNorm) -> torch.Tensor:
        """Tokens `(clips, tokens, dim_out)` pooled and split into heads, `(clips, heads, tokens, head_dim)`."""
        # One kernel for each channel, equal for all heads; `repeat` gives the same and takes far longer for one clip
        kernel = pool.weight.expand(self.num_heads, -1, -1, -1, -1).flatten(0, 1)
        padding = [size // 2 for size in self.kernel]
        image = x.unflatten(1, grid).permute(0, 3, 1, 2)  # (clips, dim_out, rows, columns), channels last: no copy
        image = functional.conv2d(image, kernel, None, stride, padding, groups=x.shape[2])
        tokens = image.permute(0, 2, 3, 1).flatten(1, 2)
        return norm(tokens.unflatten(2, (self.num_heads, -1))).transpose(1, 2)


class PoolingBlock(nn.Module):
    """Pooling attention, then an MLP, with residual connections; where the grid shrinks, the first one is a max pool.

    Named as in timm's MViTv2.
    """

    def __init__(self, dim: int, dim_out: int, num_heads: int, stride_q: Grid, stride_kv: Grid) -> None:
        super().__init__()
        self.stride_q = stride_q
        self.norm1 = nn.LayerNorm(dim, eps=1e-6)
        self.norm2 = nn.LayerNorm(dim_out, eps=1e-6)
        self.attn = PoolingAttention(dim, dim_out, num_heads, stride_q, stride_kv)
        self.shortcut_proj_attn = nn.Linear(dim, dim_out) if dim != dim_out else None
        self.mlp = Mlp(dim_out)

    def forward(self, x: torch.Tensor, grid: Grid) -> tuple[torch.Tensor, Grid]:
        normed = self.norm1(x)
        shortcut = x if self.shortcut_proj_attn is None else self.shortcut_proj_attn(normed)
        if self.stride_q != (1, 1):
            shortcut = self._max_pool(shortcut, grid)
        x, grid = self.attn(normed, grid)
        x = x + shortcut
        return x + self.mlp(self.norm2(x)), grid

    def _max_pool(self, x: torch.Tensor, grid: Grid) -> torch.Tensor:
        kernel = [stride + 1 if stride > 1 else 1 for stride in self.stride_q]
        padding = [size // 2 for size in kernel]
        image = x.unflatten(1, grid).permute(0, 3, 1, 2)
        return functional.max_pool2d(image, kernel, self.stride_q, padding).permute(0, 2, 3, 1).flatten(1, 2)


class Pyramid(nn.Module):
    """Patch embedding, position embedding and stages of blocks: all of MAST but the head, named as in timm's MViTv2.

    Input images `(clips, channels, mels, frames)`; output tokens `(clips, rows * columns, embed_dims[-1])` of the last
    grid.
    """

    def __init__(self, grid_size: Grid, embed_dims: Sequence[int], depths: Sequence[int], in_chans: int) -> None:
        super().__init__()
        self.grid_size = grid_size
        padding = [size // 2 for size in PATCH_KERNEL]
        patches = nn.Conv2d(in_chans, embed_dims[0], PATCH_KERNEL, PATCH_STRIDE, padding)
        self.patch_embed = nn.ModuleDict({"proj": patches})
        self.stages = nn.ModuleList()
        dim = embed_dims[0]
        for dim_out, depth, heads, stride_q, stride_kv in zip(
            embed_dims, depths, NUM_HEADS, STRIDE_Q, STRIDE_KV, strict=True
        ):
            blocks = [PoolingBlock(dim, dim_out, heads, stride_q, stride_kv)]
            blocks += [PoolingBlock(dim_out, dim_out, heads, (1, 1), stride_kv) for _ in range(depth - 1)]
            self.stages.append(nn.ModuleDict({"blocks": nn.ModuleList(blocks)}))
            dim = dim_out
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.apply(init_weights)
        table = torch.empty(1, grid_size[0] * grid_size[1], embed_dims[0])
        self.pos_embed = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embed["proj"](image)  # (clips, dim, rows, columns)
        grid = tuple(patches.shape[2:])
        pos_embed = interpolate_pos_embed(self.pos_embed[0].unflatten(0, self.grid_size), grid[1])
        x = patches.flatten(2).transpose(1, 2) + pos_embed.flatten(0, 1)
        for stage in self.stages:
            for block in stage["blocks"]:
                x, grid = block(x, grid)
        return self.norm(x)


class MAST(nn.Module):
    """A multiscale spectrogram transformer, from log-mels to logits `(clips, classes)`.

    Input `(clips, frames, mels)`, or `(clips, channels, frames, mels)` with `in_chans` channels. Each of the four
    stages has one of `embed_dims` and `depths`. Position embeddings are for clips of `n_frames`; see
    `interpolate_pos_embed` for others. The head reads the mean of all tokens. Notebook: 09.

    Raises
    ------
    ValueError
        Sizes that do not fit together; `forward`: see `as_image`.
    """

    def __init__(
        self, n_frames: int, n_mels: int, n_classes: int, *, embed_dims: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 3, 15, 3), in_chans: int = 1,
    ) -> None:  # fmt: skip
        super().__init__()
        four = len(embed_dims) == len(depths) == len(NUM_HEADS)
        if not four or any(dim % n for dim, n in zip(embed_dims, NUM_HEADS, strict=True)):
            raise ValueError(
                f"embed_dims={tuple(embed_dims)}, depths={tuple(depths)}: expected four of each, dimensions divisible "
                f"by the heads {NUM_HEADS}"
            )
        if min(n_frames, n_mels) < 1:
            raise ValueError(f"n_frames={n_frames}, n_mels={n_mels}: expected at least one frame and mel")
        self.n_mels, self.in_chans = n_mels, in_chans
        self.v = Pyramid(pooled_size((n_mels, n_frames), PATCH_STRIDE), embed_dims, depths, in_chans)
        self.head = nn.Linear(embed_dims[-1], n_classes)
        init_weights(self.head)

    @property
    def stages(self) -> list[nn.Module]:
        """The pyramid, then the head."""
        return [self.v, self.head]

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """One vector per clip, `(clips, embed_dims[-1])`: the input of the head."""
        return self.v(as_image(x, self.in_chans, self.n_mels, min_frames=1)).mean(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(x))


mast_base = MAST
mast_tiny = partial(MAST, embed_dims=(32, 64, 128, 256), depths=(1, 1, 1, 1))
