"""Fewer tokens inside a trained AST: pruning by any score, and merging of similar tokens. Nothing is trained.

After the first blocks, only some tokens of the grid go on; the class token always does.

- Pruning keeps the tokens with the highest scores, for example the attention that the class token pays to them. Source:
  Liang et al., "EViT", arXiv 2202.07800, without its token for the rest.
- Merging ("ToMe") averages pairs of similar tokens. A merged token counts in attention as many times as it has parts.
  Source: Bolya et al., "Token merging: your ViT but faster", arXiv 2210.09461, section 3.

Both papers reduce inside a block, between attention and MLP, and in several blocks; here it is done once, after a
block.

Notebook: 09.
"""

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from course_lib.models.transformers import AST, PATCH, Block, as_image


def prune(x: torch.Tensor, scores: torch.Tensor, n_out: int) -> torch.Tensor:
    """The `n_out` tokens with the highest `scores` `(clips, tokens)`, in their order, `(clips, n_out, dim)`.

    Raises
    ------
    ValueError
        `n_out` is not from 1 to the number of tokens.
    """
    _check(x, n_out)
    kept = scores.topk(n_out, dim=1).indices.sort(dim=1).values
    return _gathered(x, kept)


def merge(x: torch.Tensor, sizes: torch.Tensor, keys: torch.Tensor, n_out: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens `(clips, n_out, dim)` and their sizes `(clips, n_out)` after merging those with the most similar `keys`.

    Tokens in even places look for their most similar token in odd places, by cosine. The pairs with the highest
    similarity become means, weighted by the `sizes` `(clips, tokens)`, and sizes add up. One round removes at most half
    of the tokens, so there may be several. The order of the tokens is not kept: each carries its position in itself.

    Raises
    ------
    ValueError
        `n_out` is not from 1 to the number of tokens.
    """
    _check(x, n_out)
    while x.shape[1] > n_out:
        n_merged = min(x.shape[1] - n_out, x.shape[1] // 2)
        x, sizes, keys = _merged_once(x, sizes, keys, n_merged)
    return x, sizes


def _merged_once(
    x: torch.Tensor, sizes: torch.Tensor, keys: torch.Tensor, n_merged: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """One round of `merge`; the keys are merged in the same way."""
    unit = functional.normalize(keys, dim=2)
    similarity = unit[:, ::2] @ unit[:, 1::2].mT  # (clips, even places, odd places)
    highest, partner = similarity.max(dim=2)
    order = highest.argsort(dim=1, descending=True)
    merged, others = order[:, :n_merged], order[:, n_merged:].sort(dim=1).values
    into = partner.gather(1, merged)
    even, odd = sizes[:, ::2], sizes[:, 1::2]
    new_odd = odd.scatter_add(1, into, even.gather(1, merged))

    def of_tokens(values: torch.Tensor) -> torch.Tensor:
        """Means of `values` `(clips, tokens, dim)`, weighted by the sizes; what was not merged comes first."""
        weighted = values * sizes[..., None]
        sums = weighted[:, 1::2].scatter_add(1, _wide(into, values), _gathered(weighted[:, ::2], merged))
        return torch.cat([_gathered(values[:, ::2], others), sums / new_odd[..., None]], dim=1)

    return of_tokens(x), torch.cat([even.gather(1, others), new_odd], dim=1), of_tokens(keys)


def class_attention(net: AST, x: torch.Tensor, block: int = -1) -> torch.Tensor:
    """How the class token shares its attention among the tokens of the grid, `(clips, heads, rows, columns)`.

    `x` are log-mels `(clips, frames, mels)` as `net` takes them, and `block` is the number of the block. Over a clip
    the shares of a head sum to 1: what the prefix tokens get is left out.
    """
    tokens = net.v.embed(as_image(x, net.in_chans, net.n_mels, min_frames=PATCH))
    blocks = list(net.v.blocks)
    for earlier in blocks[: block % len(blocks)]:
        tokens = earlier(tokens)
    _, q, k = _through(blocks[block], tokens)
    shares = _of_class_token(q, k, net.v.num_prefix_tokens)
    return shares.unflatten(2, (net.v.grid_size[0], -1))


def reduced_logits(
    net: AST, x: torch.Tensor, n_out: int, how: torch.Tensor | Literal["merge", "attention"], *, after: int = 1
) -> torch.Tensor:
    """Logits `(clips, classes)` of `net` when only `n_out` tokens of its grid are left after the first `after` blocks.

    `x` are log-mels `(clips, frames, mels)` as `net` takes them. `how` is `"merge"`, `"attention"` (the tokens to which
    the class token attends most in block `after`), or scores `(clips, tokens)`, of which the highest are kept.

    Raises
    ------
    ValueError
        `after` is not from 1 to the number of blocks, `n_out` not from 1 to the number of tokens, or `how` unknown.
    """
    if not isinstance(how, torch.Tensor) and how not in ("merge", "attention"):
        raise ValueError(f"how={how!r}: choose attention, merge or a tensor of scores")
    if not 1 <= after <= len(net.v.blocks):
        raise ValueError(f"after={after}: expected 1 to {len(net.v.blocks)}, the number of blocks")
    n_prefix = net.v.num_prefix_tokens
    x = net.v.embed(as_image(x, net.in_chans, net.n_mels, min_frames=PATCH))
    sizes = None
    for number, block in enumerate(net.v.blocks, start=1):
        x, q, k = _through(block, x, sizes)
        if number != after:
            continue
        prefix, tokens = x[:, :n_prefix], x[:, n_prefix:]
        if isinstance(how, torch.Tensor):
            tokens = prune(tokens, how, n_out)
        elif how == "attention":
            tokens = prune(tokens, _of_class_token(q, k, n_prefix).mean(1), n_out)
        else:
            ones = torch.ones_like(tokens[..., 0])
            tokens, of_tokens = merge(tokens, ones, k[:, :, n_prefix:].mean(1), n_out)
            sizes = torch.cat([ones.new_ones(len(x), n_prefix), of_tokens], dim=1)
        x = torch.cat([prefix, tokens], dim=1)
    return net.mlp_head(net.v.norm(x)[:, :n_prefix].mean(1))


def _through(
    block: Block, x: torch.Tensor, sizes: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The output of a block, and its queries and keys `(clips, heads, tokens, dim / heads)`.

    A token of size s gets the attention of s equal tokens.
    """
    attn: nn.Module = block.attn
    q, k, v = attn.qkv(block.norm1(x)).unflatten(2, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)
    mask = None if sizes is None else sizes.log()[:, None, None]
    mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    x = x + attn.proj(mixed.transpose(1, 2).flatten(2))
    return x + block.mlp(block.norm2(x)), q, k


def _of_class_token(q: torch.Tensor, k: torch.Tensor, n_prefix: int) -> torch.Tensor:
    """Shares of attention among the tokens of the grid, `(clips, heads, tokens)`."""
    scores = q[:, :, :1] @ k[:, :, n_prefix:].mT / q.shape[-1] ** 0.5
    return scores.softmax(dim=3)[:, :, 0]


def _gathered(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """The tokens of `x` `(clips, tokens, dim)` in `places` `(clips, n)`, `(clips, n, dim)`."""
    return x.gather(1, _wide(places, x))


def _wide(places: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return places[..., None].expand(-1, -1, x.shape[2])


def _check(x: torch.Tensor, n_out: int) -> None:
    if not 1 <= n_out <= x.shape[1]:
        raise ValueError(f"n_out={n_out}: expected 1 to {x.shape[1]}, the number of tokens")
