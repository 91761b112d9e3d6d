"""AST, the audio spectrogram transformer: patches of a log-mel as words, one resolution from first layer to last.

Source: Gong, Chung & Glass, "AST: Audio spectrogram transformer", arXiv 2104.01778, and its published code, whose names
of weights are kept, so that its checkpoints can be read. Notebook: 09.
"""

import math
from collections.abc import Mapping
from functools import partial

import torch
from torch import nn
from torch.nn import functional

from course_lib.models.tokens import Mlp, check_clips, fresh, placed, valid_columns

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
        self.apply(fresh)
        for name in (*self.special, "pos_embed"):
            nn.init.trunc_normal_(getattr(self, name), std=0.02)

    def forward(self, picture: torch.Tensor, n_columns: torch.Tensor | None) -> torch.Tensor:
        """Tokens `(clips, special + rows * columns, dim)` of a picture `(clips, channels, mels, frames)`."""
        patches = self.patch_embed["proj"](picture)  # (clips, dim, rows, columns)
        n_special, columns = len(self.special), patches.shape[3]
        table = self.pos_embed[0, n_special:].unflatten(0, self.grid)
        where = placed(table, columns if n_columns is None else n_columns, columns)
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
        self.mlp_head.apply(fresh)

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
    table = placed(table.transpose(0, 1), grid[0], grid[0])[0].transpose(0, 1)  # along the mels
    table = placed(table, grid[1], grid[1])[0]  # along time
    return torch.cat([positions[:, :special], table.flatten(0, 1)[None]], dim=1)
