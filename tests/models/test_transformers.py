"""AST and MAST: sizes and costs to the last digit, peers with copied weights, pooling, bad input."""

import pytest
import torch
from torch import nn

from course_lib.errors import UsageError
from course_lib.models.classifier import build
from course_lib.models.transformers import (
    BOTH,
    STRIDE_KV,
    STRIDE_Q,
    TIME,
    Block,
    PoolingAttention,
    ast_base,
    ast_tiny,
    interpolate_pos_embed,
    mast_base,
    mast_tiny,
)
from course_lib.training import cost

VARIANTS = {
    "ast": ast_tiny,
    "ast, two prefix tokens": lambda *shape, **more: ast_tiny(*shape, num_prefix_tokens=2, **more),
    "mast": mast_tiny,
}
each = pytest.mark.parametrize("name", VARIANTS)


def made(name, n_frames=200, n_mels=64, n_classes=5, **more):
    torch.manual_seed(0)
    return VARIANTS[name](n_frames, n_mels, n_classes, **more).eval()


def clips(n=3, n_frames=200, n_mels=64, seed=0):
    return torch.randn(n, n_frames, n_mels, generator=torch.Generator().manual_seed(seed))


# Sizes and costs: Gong et al. for AST, the family of MViTv2 for MAST


def ast_parameters(d, depth, tokens, special, classes, patch=16):
    return (
        d * patch**2 + d + (tokens + special) * d + special * d + depth * (12 * d**2 + 13 * d) + 4 * d
        + d * classes + classes
    )  # fmt: skip


def ast_macs(d, depth, tokens, special, classes, patch=16):
    t = tokens + special
    return tokens * d * patch**2 + depth * (12 * t * d**2 + 2 * t**2 * d) + d * classes


@pytest.mark.parametrize(
    ("n_frames", "n_classes", "columns", "of_ast", "of_mast"),
    [
        (1024, 527, 101, (86_594_063, 130_514_373_888), (49_547_759, 22_540_000_000)),
        (500, 50, 49, (85_748_018, 56_643_270_144), (48_979_730, 10_812_902_400)),
    ],
)
def test_mast_has_a_fifth_of_the_macs_of_ast_and_42_percent_fewer_parameters(
    n_frames, n_classes, columns, of_ast, of_mast
):
    with torch.device("meta"):
        ast, mast = (make(n_frames, 128, n_classes) for make in (ast_base, mast_base))
    assert ast.v.grid_size == (12, columns)
    assert cost.parameters(ast) == ast_parameters(768, 12, 12 * columns, 2, n_classes) == of_ast[0]
    assert ast_macs(768, 12, 12 * columns, 2, n_classes) == of_ast[1]
    macs = cost.macs(mast, n_frames, 128)
    assert cost.parameters(mast) == of_mast[0] <= (1 - 0.42) * of_ast[0]
    assert macs == pytest.approx(of_mast[1], rel=1e-3) and 5 * macs <= of_ast[1]


def test_the_counter_does_not_miss_attention():
    """It takes fused attention for nothing unless it is told otherwise; much of a long clip's cost would be gone."""
    tiny = ast_tiny(500, 128, 10)
    assert cost.parameters(tiny) == 1_944_778
    assert cost.macs(tiny, 500, 128) == ast_macs(192, 4, 12 * 49, 1, 10) == 1_603_992_960


def mast_block_macs(before, dim, n, n_q, n_k):
    return (
        3 * n * before * dim + 9 * (n_q + 2 * n_k) * dim + 2 * n_q * n_k * dim + n_q * dim**2
        + (n * before * dim if before != dim else 0) + 8 * n_q * dim**2
    )  # fmt: skip


def test_mast_costs_what_the_formula_says():
    net = mast_tiny(500, 128, 10)
    # grids 16 x 125, 16 x 63, 8 x 32, 4 x 16; keys pooled by (4, 8), (4, 4), (2, 2), (1, 1) of the grid that came in
    stem = 16 * 125 * 32 * 15 * 7
    blocks = (
        mast_block_macs(32, 32, 2000, 2000, 4 * 16) + mast_block_macs(32, 64, 2000, 16 * 63, 4 * 32)
        + mast_block_macs(64, 128, 16 * 63, 8 * 32, 8 * 32) + mast_block_macs(128, 256, 8 * 32, 4 * 16, 8 * 32)
    )  # fmt: skip
    assert cost.parameters(net) == 1_039_402
    assert cost.macs(net, 500, 128) == stem + blocks + 256 * 10 == 280_349_184


# Equal to peers with copied weights


def test_mast_is_mvitv2_of_timm():
    from timm.models.mvitv2 import MultiScaleVit, MultiScaleVitCfg  # takes seconds to import

    cfg = MultiScaleVitCfg(
        depths=(1, 1, 1, 1), embed_dim=(32, 64, 128, 256), num_heads=(1, 2, 4, 8), use_abs_pos=True, rel_pos_type="",
        stride_q=STRIDE_Q, stride_kv=STRIDE_KV, patch_kernel=(15, 7), patch_stride=(8, 4), patch_padding=(7, 3),
    )  # fmt: skip
    theirs = MultiScaleVit(cfg, img_size=(128, 500), in_chans=1, num_classes=10).eval()
    torch.manual_seed(0)
    ours = mast_tiny(500, 128, 10).eval()
    state = {name.removeprefix("v."): value for name, value in ours.state_dict().items()}
    theirs.load_state_dict({name.replace("head.", "head.fc."): value for name, value in state.items()})
    x = clips(2, 500, 128)
    with torch.no_grad():
        wanted, found = theirs(x.mT[:, None]), ours(x)
    assert wanted.std() > 0.05 and torch.allclose(wanted, found, atol=1e-5)


def test_equal_to_the_encoder_layer_of_torch():
    torch.manual_seed(0)
    ours, x = Block(48, 3), torch.randn(2, 20, 48)
    theirs = nn.TransformerEncoderLayer(
        48, 3, 192, dropout=0, activation="gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
    )
    pairs = {"norm1": "norm1", "norm2": "norm2", "mlp.fc1": "linear1", "mlp.fc2": "linear2"}
    pairs["attn.proj"] = "self_attn.out_proj"
    for name, value in ours.named_parameters():
        if "qkv" in name:
            getattr(theirs.self_attn, f"in_proj_{name.rsplit('.', 1)[1]}").data.copy_(value)
        else:
            layer, kind = name.rsplit(".", 1)
            theirs.get_parameter(f"{pairs[layer]}.{kind}").data.copy_(value)
    assert torch.allclose(theirs(x), ours(x), atol=1e-5)


# Time and frequency


@each
@pytest.mark.parametrize("n_frames", [16, 17, 100, 333])
def test_any_number_of_frames(name, n_frames):
    net = made(name)
    with torch.no_grad():
        assert torch.isfinite(net(clips(2, n_frames))).all()


@each
def test_gradients_reach_every_weight_and_a_clip_does_not_depend_on_its_batch(name):
    net = made(name, in_chans=3)
    x = torch.stack([clips(seed=k) for k in range(3)], dim=1)
    logits = net(x)
    assert torch.allclose(logits[1:2], net(x[1:2]), atol=1e-5)
    logits.square().sum().backward()
    for part, parameter in net.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), part
        assert parameter.grad.abs().sum() > 0, part
    inside = {id(p) for stage in net.stages for p in stage.parameters()}
    assert inside == {id(p) for p in net.parameters()}, "a weight that no stage has is never trained"


def test_pooling_time_alone_does_not_care_about_the_order_of_the_rows():
    torch.manual_seed(0)
    grid, order = (6, 16), torch.randperm(6)
    for kernel, stride, equal in (((1, 3), TIME, True), ((3, 3), BOTH, False)):
        layer = PoolingAttention(8, 8, 2, stride, stride, kernel)
        x = torch.randn(1, 96, 8)
        shuffled = x.unflatten(1, grid)[:, order].flatten(1, 2)
        (found, new), (other, _) = layer(x, grid), layer(shuffled, grid)
        rows = found.unflatten(1, new)[:, order] if equal else found.unflatten(1, new)
        assert torch.allclose(rows, other.unflatten(1, new), atol=1e-5) == equal


def test_grids_halve_upwards():
    seen = []
    net = mast_tiny(500, 128, 10)
    for stage in net.v.stages:
        stage["blocks"][-1].register_forward_hook(lambda module, given, out: seen.append(out[1]))
    net(clips(1, 500, 128))
    assert net.v.grid_size == (16, 125) and seen == [(16, 125), (16, 63), (8, 32), (4, 16)]


def test_a_shift_of_32_frames_moves_the_last_grid_by_one_column():
    """The product of all strides in time, 4 x 2 x 2 x 2, is the temporal quantum of the network."""
    torch.manual_seed(0)
    net = mast_tiny(512, 64, 5).eval()
    with torch.no_grad():
        net.v.pos_embed.zero_()
        x = torch.zeros(1, 512, 64)
        x[:, 200:232] = clips(1, 32, 64)
        last = {}
        for shift in (0, 16, 32):
            tokens = net.v(x.roll(shift, 1)[:, None].transpose(2, 3))
            last[shift] = tokens.unflatten(1, (2, 16))
    moved = last[0].roll(1, 2)
    assert torch.allclose(moved[:, :, 2:-2], last[32][:, :, 2:-2], atol=1e-4)
    assert not torch.allclose(moved[:, :, 2:-2], last[16][:, :, 2:-2], atol=1e-2)


def test_position_embeddings_are_cut_from_the_middle_or_interpolated():
    table = torch.arange(101.0)[None, :, None]
    assert torch.equal(interpolate_pos_embed(table, 101), table)
    assert interpolate_pos_embed(table, 50)[0, :, 0].tolist() == list(range(25, 75))
    assert interpolate_pos_embed(table, 49)[0, :, 0].tolist() == list(range(26, 75))
    rising = torch.arange(7.0).expand(4, 7)[..., None]  # along time, in four rows
    finer = interpolate_pos_embed(rising, 14)
    assert finer.shape == (4, 14, 1) and torch.allclose(finer[:, 1:-1, 0], torch.arange(0.25, 6, 0.5))


# Bad input


@each
@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.zeros(2, 200, 63), "63 mels, expected 64"),
        (torch.zeros(200, 64), r"expected floats \(clips, frames, mels\)"),
        (torch.zeros(2, 3, 200, 64), r"expected floats \(clips, frames, mels\)"),
        (torch.zeros(2, 0, 64), "0 frames, expected at least"),
    ],
)
def test_bad_clips_are_one_line(name, x, words):
    with pytest.raises(ValueError, match=words):
        made(name)(x)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: made("ast")(clips(1, 15)), "15 frames, expected at least 16"),
        (lambda: ast_tiny(500, 8, 10), "a patch needs at least 16 of both"),
        (lambda: ast_tiny(500, 64, 10, num_heads=5), "num_heads must divide embed_dim"),
        (lambda: mast_tiny(500, 64, 10, depths=(1, 1, 1)), "expected four of each"),
    ],
)
def test_bad_sizes_are_one_line(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("name", ["ast-tiny", "mast-tiny"])
def test_by_name_they_need_a_shape(name):
    assert build(name, 5, shape=(100, 64))(clips(1, 100)).shape == (1, 5)
    with pytest.raises(UsageError, match="give the shape"):
        build(name, 5)


def test_the_head_of_ast_reads_the_mean_of_its_prefix_tokens():
    net, said = ast_tiny(100, 64, 5, num_prefix_tokens=2).eval(), []
    net.v.norm.register_forward_hook(lambda module, given, out: said.append(out))
    with torch.no_grad():
        torch.testing.assert_close(net.features(torch.randn(2, 100, 64)), said[0][:, :2].mean(1))
