"""Costs against closed formulas, with the traps of counting closed."""

import math

import pytest
import torch
from torch import nn

from course_lib.audio.features import FeatureSpec, mel_bank
from course_lib.models import cnn
from course_lib.training import cost


def test_macs_of_the_cnn_by_formula():
    frames, mels, total, n_in = 251, 64, 0, 1
    for n_out, halved in cnn.CNN7:
        total += frames * mels * 9 * n_in * n_out
        n_in, frames, mels = n_out, frames // (1 + halved), mels // (1 + halved)
    assert cost.macs(cnn.CNN(10), 251, 64) == total + n_in * n_in + n_in * 10


def test_attention_is_counted():
    """Fused attention and the fused encoder layer count as nothing unless they are switched off."""
    width, heads, tokens, hidden = 32, 4, 50, 64
    layer = nn.TransformerEncoderLayer(width, heads, hidden, batch_first=True, dropout=0.0)
    products = 4 * tokens * width**2 + 2 * tokens**2 * width  # q, k, v, output; scores and their use
    assert cost.macs(layer, tokens, width) == products + 2 * tokens * width * hidden


def test_counting_leaves_the_model_as_it_was():
    net = cnn.CNN(10).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    cost.macs(net, 64, 64)
    assert net.training and torch.backends.mha.get_fastpath_enabled()
    frozen = net.blocks[0].eval()  # as a stage that does not learn
    cost.macs(net, 64, 64)
    assert net.training and net.blocks[1].training and not any(part.training for part in frozen.modules())
    assert all((value == before[name]).all() for name, value in net.state_dict().items())


def test_cost_of_the_features():
    spec = FeatureSpec(hop_ms=10, window_ms=32, n_fft=512)
    a_frame = 512 * 9 // 2 + int((mel_bank(spec) > 0).sum())
    assert cost.feature_macs(spec, 16_000) == 101 * a_frame
    coarser = cost.feature_macs(FeatureSpec(hop_ms=20, window_ms=32, n_fft=512), 16_000)
    assert coarser == 51 * a_frame
    odd = FeatureSpec(hop_ms=10, window_ms=25, n_fft=400)
    assert cost.feature_macs(odd, 160) == 2 * (round(200 * math.log2(400)) + int((mel_bank(odd) > 0).sum()))


def test_latency_and_memory_are_measured():
    net = cnn.CNN(10)
    assert 0 < cost.latency_ms(net, 64, 64, repeats=3) < 5000
    assert cost.latency_ms(net, 2000, 64, repeats=3) > cost.latency_ms(net, 64, 64, repeats=3)
    assert cost.peak_memory_mb("cpu") > 100


@pytest.mark.skipif(not cost.OF_PROCESS.exists(), reason="only on Linux")
def test_memory_is_the_peak_and_can_be_reset():
    cost.reset_peak_memory("cpu")
    before = cost.peak_memory_mb("cpu")
    held = torch.ones(50_000_000)  # 200 MB
    del held
    assert before + 190 < cost.peak_memory_mb("cpu") < before + 260
    cost.reset_peak_memory("cpu")
    assert cost.peak_memory_mb("cpu") < before + 60
