"""Fewer tokens inside AST: nothing changes where nothing is removed, counts and sizes, and what merging averages."""

import pytest
import torch

from course_lib.models.token_reduction import class_attention, merge, prune, reduced_logits
from course_lib.models.transformers import AST, ast_tiny

N_TOKENS = 24  # of two rows and twelve columns


@pytest.fixture(params=[1, 2], ids=["class token", "class and distillation token"])
def net(request):
    torch.manual_seed(0)
    return AST(126, 26, 5, embed_dim=24, depth=3, num_heads=3, num_prefix_tokens=request.param).eval()


@pytest.fixture
def x():
    return torch.randn(4, 126, 26, generator=torch.Generator().manual_seed(1))


def of_all(net, x, how, **more):
    with torch.no_grad():
        return reduced_logits(net, x, N_TOKENS, how, **more)


@pytest.mark.parametrize("how", ["merge", "attention", torch.rand(4, N_TOKENS)], ids=["merge", "attention", "scores"])
@pytest.mark.parametrize("after", [1, 3])
def test_all_tokens_kept_are_the_network_itself(net, x, how, after):
    with torch.no_grad():
        torch.testing.assert_close(of_all(net, x, how, after=after), net(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize("how", ["merge", "attention", torch.rand(4, N_TOKENS)], ids=["merge", "attention", "scores"])
def test_later_blocks_get_fewer_tokens(net, x, how):
    seen = []
    for block in net.v.blocks:
        block.mlp.register_forward_hook(lambda module, given, out: seen.append(out.shape[1]))
    with torch.no_grad():
        logits = reduced_logits(net, x, 7, how, after=2)
    n_prefix = net.v.num_prefix_tokens
    assert seen == [N_TOKENS + n_prefix, N_TOKENS + n_prefix, 7 + n_prefix]
    assert logits.shape == (4, 5) and torch.isfinite(logits).all()


def test_a_clip_does_not_depend_on_its_batch(net, x):
    with torch.no_grad():
        for how in ("merge", "attention"):
            together = reduced_logits(net, x, 6, how)
            torch.testing.assert_close(together[1:2], reduced_logits(net, x[1:2], 6, how), atol=1e-5, rtol=0)


def test_pruning_keeps_the_highest_scores_in_their_order():
    x = torch.arange(10.0).reshape(1, 5, 2)
    kept = prune(x, torch.tensor([[3.0, 9.0, 1.0, 2.0, 5.0]]), 3)
    assert torch.equal(kept, x[:, [0, 1, 4]])


def test_the_most_similar_pair_is_merged_by_size():
    keys = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.1], [-2.0, 0.0]]])  # places 2 and 3 point the same way
    x = torch.tensor([[[0.0], [10.0], [20.0], [30.0]]])
    sizes = torch.tensor([[1.0, 1.0, 3.0, 1.0]])
    merged, new = merge(x, sizes, keys, 3)
    assert merged.flatten().tolist() == [0.0, 10.0, (3 * 20 + 30) / 4]
    assert new.tolist() == [[1.0, 1.0, 4.0]]


@pytest.mark.parametrize("n_out", [1, 2, 5, 8, 9])
def test_merging_loses_nothing_of_the_sum(n_out):
    generator = torch.Generator().manual_seed(2)
    x, keys = torch.randn(3, 9, 4, generator=generator), torch.randn(3, 9, 4, generator=generator)
    sizes = torch.rand(3, 9, generator=generator) + 0.5
    merged, new = merge(x, sizes, keys, n_out)
    assert merged.shape == (3, n_out, 4) and new.shape == (3, n_out)
    torch.testing.assert_close(new.sum(1), sizes.sum(1))
    torch.testing.assert_close((merged * new[..., None]).sum(1), (x * sizes[..., None]).sum(1))


def test_merging_equal_tokens_changes_nothing():
    """A token of size s counts as s equal tokens: a clip in which all tokens are equal keeps its logits."""
    torch.manual_seed(0)
    net = AST(126, 26, 5, embed_dim=24, depth=3, num_heads=3, num_prefix_tokens=1).eval()
    with torch.no_grad():
        net.v.pos_embed.zero_()
        x = torch.full((1, 126, 26), 0.7)
        torch.testing.assert_close(reduced_logits(net, x, 5, "merge"), net(x), atol=1e-5, rtol=0)


def test_attention_of_the_class_token_is_that_of_the_table_of_weights(net, x):
    seen = []
    block = net.v.blocks[1]
    block.norm1.register_forward_hook(lambda module, given, out: seen.append(out))
    with torch.no_grad():
        shares = class_attention(net, x, block=1)
        net(x)
        q, k, _ = block.attn.qkv(seen[-1]).chunk(3, dim=2)
        table = q.unflatten(2, (3, -1)).transpose(1, 2) @ k.unflatten(2, (3, -1)).permute(0, 2, 3, 1) / 8**0.5
    of_grid = table.softmax(3)[:, :, 0, net.v.num_prefix_tokens :]
    of_grid = of_grid / of_grid.sum(2, keepdim=True)
    torch.testing.assert_close(shares.flatten(2), of_grid, atol=1e-5, rtol=0)
    assert shares.shape == (4, 3, 2, 12)
    assert torch.equal(class_attention(net, x, block=-2), shares)


@pytest.mark.parametrize(
    ("n_out", "after", "words"),
    [(0, 1, "expected 1 to 24"), (25, 1, "expected 1 to 24"), (5, 0, "expected 1 to 3"), (5, 4, "expected 1 to 3")],
)
def test_impossible_reductions_are_one_line(net, x, n_out, after, words):
    for how in ("merge", "attention"):
        with pytest.raises(ValueError, match=words):
            reduced_logits(net, x, n_out, how, after=after)


def test_an_unknown_way_is_one_line(net, x):
    with pytest.raises(ValueError, match="how='atention': choose attention, merge or a tensor of scores"):
        reduced_logits(net, x, 5, "atention")


def test_the_small_size_of_the_course_is_supported():
    net = ast_tiny(100, 64, 4).eval()
    with torch.no_grad():
        assert reduced_logits(net, torch.randn(2, 100, 64), 10, "merge").shape == (2, 4)
