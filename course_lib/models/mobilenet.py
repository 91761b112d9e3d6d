"""A MobileNetV3 trained on AudioSet: its front end, the network, and its features at four frame rates.

Every halving of time inside the network doubles the hop. So one network, trained once with clip labels, describes a
sound every 40, 80, 160 and 320 ms and with one vector per clip: the same knowledge at five temporal resolutions.

Each convolution is padded so that its output `k` is centred on its input `k * stride`: the receptive field of frame `k`
is centred on `k * hop_ms`. What the trained network responds to lies later (`AHEAD_MS`).

| hop    | channels x bands  | receptive field | gates before it |
|--------|-------------------|-----------------|-----------------|
| 40 ms  | 16 x 32 = 512     | 205 ms          | none            |
| 80 ms  | 16 x 16 = 256     | 1,005 ms        | 3               |
| 160 ms | 48 x 8 = 384      | 2,765 ms        | 5               |
| 320 ms | 384, bands' mean  | 5,965 ms        | 8               |

A gate (squeeze and excitation) scales the channels by a function of their means over the *whole clip*. Features behind
a gate depend weakly on everything in the clip, wherever it is; those at 40 ms do not. Notebook: 11.

Source: Schmid, Koutini & Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge distillation",
ICASSP 2023; Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1.
"""

from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_lib.audio import timebase

RATE_HZ, HOP_MS, MELS = 32_000, 10, 128
N_FFT, WINDOW_SAMPLES, HOP_SAMPLES = 1024, 800, 320
LOW_HZ, HIGH_HZ = 0.0, 15_000.0
PRE_EMPHASIS, FLOOR = 0.97, 1e-5
MEAN_LEVEL, SPREAD = -4.5, 5.0  # chosen by its authors to centre the levels on 0
LAST_LAYER = {40: 3, 80: 6, 160: 12, 320: 16}  # the deepest layer of each hop; 0 is the first convolution
# How long after `k * hop_ms` the sound occurs to which frame `k` of the published network responds, on average.
# Measured on mn04_as with clicks, beeps, chirps and bursts of up to 100 ms in noise at three levels: the mean of the
# time at which features change most and the centroid of the change, rounded to 5 ms
AHEAD_MS = {40: 15, 80: 35, 160: 35, 320: 90}
HOPS_MS = (*LAST_LAYER, None)  # None: one vector per clip
FEWEST_SAMPLES = N_FFT // 2 + 2  # the ends of a clip are mirrored, half a transform deep


def front_end(waves: torch.Tensor) -> torch.Tensor:
    """The log-mel on which the network was trained, `(clips, frames, 128)`, float32.

    `waves` is `(clips, samples)` at 32 kHz. Pre-emphasis 0.97, a symmetric Hann window of 25 ms in a transform of 1024
    samples every 10 ms, Kaldi's mel bank from 0 to 15 kHz on the power, `(ln(power + 1e-5) + 4.5) / 5`. The clip's ends
    are mirrored.

    Raises
    ------
    ValueError
        Another shape, integers instead of floats, or clips shorter than the mirrored part.
    """
    if waves.ndim != 2 or 0 in waves.shape or not waves.is_floating_point():
        shape = tuple(waves.shape)
        raise ValueError(f"waves: {waves.dtype} {shape}, expected floats (clips, samples), no axis of size 0")
    if waves.shape[1] < FEWEST_SAMPLES:
        raise ValueError(f"waves: {waves.shape[1]} samples at 32 kHz, expected {FEWEST_SAMPLES} or more; pad the clips")
    window, bank = constants(waves.device)
    x = waves.float()
    emphasised = x[:, 1:] - PRE_EMPHASIS * x[:, :-1]
    spectrum = torch.stft(emphasised, N_FFT, HOP_SAMPLES, WINDOW_SAMPLES, window, return_complex=True)
    # Each row of the bank occurs twice: the product adds the squares of real and imaginary parts, faster than a sum
    parts = torch.view_as_real(spectrum.transpose(1, 2)).flatten(-2)
    return ((parts.square() @ bank).add(FLOOR).log() - MEAN_LEVEL) / SPREAD


@lru_cache
def constants(device: torch.device | str = "cpu") -> tuple[torch.Tensor, torch.Tensor]:
    """Window `(800,)` and mel filter bank `(2 * 513, 128)`, each bin twice."""
    from torchaudio.compliance.kaldi import get_mel_banks

    with torch.inference_mode(False):  # else a first call in inference mode would cache tensors unusable in training
        # The numbers after the band are for vocal tract length normalisation, which a warp of 1.0 switches off
        bank, _ = get_mel_banks(MELS, N_FFT, float(RATE_HZ), LOW_HZ, HIGH_HZ, 100.0, -500.0, 1.0)
        bank = nn.functional.pad(bank, (0, 1)).T.repeat_interleave(2, dim=0)  # Kaldi leaves the last bin out
        return torch.hann_window(WINDOW_SAMPLES, periodic=False).to(device), bank.contiguous().to(device)


def frame_count(n_samples: int, hop_ms: int | None) -> int:
    """Frames of a clip of `n_samples` at 32 kHz at one of `HOPS_MS`; 1 for None."""
    if hop_ms is None:
        return 1
    frames = timebase.frame_count(n_samples - 1, N_FFT, HOP_SAMPLES)  # pre-emphasis takes one sample
    return -(-frames // (hop_ms // HOP_MS))


def frame_centres_s(n_frames: int, hop_ms: int) -> np.ndarray:
    """Time that each frame at a hop of 40, 80, 160 or 320 ms describes, in seconds, shape `(n_frames,)`, float64.

    `k * hop_ms` plus `AHEAD_MS`: without the latter all events would come 15 to 90 ms early.

    Raises
    ------
    ValueError
        Another hop; one vector per clip has no time.
    """
    if hop_ms not in AHEAD_MS:
        raise ValueError(f"hop_ms={hop_ms}: frames come every {', '.join(map(str, AHEAD_MS))} ms")
    hop_samples = timebase.ms_to_samples(hop_ms, RATE_HZ)
    return timebase.frame_centres_s(n_frames, N_FFT, hop_samples, RATE_HZ) + AHEAD_MS[hop_ms] / 1000


class AudioMobileNet(nn.Module):
    """MobileNetV3-Large of a given width for one channel of log-mel, gates with a sigmoid.

    Input `(clips, frames, mels)` from `front_end`; output logits `(clips, classes)`, with the published weights one per
    class of AudioSet. `width` scales the channels of every layer. Notebook: 11.
    """

    def __init__(self, width: float = 0.4, n_classes: int = 527) -> None:
        super().__init__()
        from torchvision.models import mobilenet_v3_large  # two seconds to import
        from torchvision.models.mobilenetv3 import InvertedResidual
        from torchvision.ops import SqueezeExcitation

        gate = partial(SqueezeExcitation, scale_activation=nn.Sigmoid)
        block = partial(InvertedResidual, se_layer=gate)
        self.net = mobilenet_v3_large(weights=None, width_mult=width, num_classes=n_classes, block=block)
        first = self.net.features[0][0]
        self.net.features[0][0] = nn.Conv2d(1, first.out_channels, 3, 2, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(_as_image(x))

    def maps(self, x: torch.Tensor, hops_ms: Sequence[int | None] = (320,)) -> dict[int | None, torch.Tensor]:
        """Features at each of `hops_ms`, `(clips, frames, dims)`, of a log-mel `(clips, frames, mels)`.

        At 40, 80 and 160 ms a frame is channels x bands, the bands of each channel together; at 320 ms the mean over
        bands. None is the mean over bands and time, one frame per clip: the input of the network's own classifier.
        Layers after the last one needed are not computed.

        Raises
        ------
        ValueError
            A hop that the network does not have, or `x` of another shape.
        """
        if not hops_ms or any(hop not in HOPS_MS for hop in hops_ms):
            known = ", ".join(map(str, HOPS_MS))
            raise ValueError(f"hops_ms={tuple(hops_ms)}: choose from {known} (None: one vector per clip)")
        needed_ms = [320 if hop is None else hop for hop in hops_ms]  # one vector is the mean of the frames of 320 ms
        hop_of_layer = {LAST_LAYER[hop]: hop for hop in needed_ms}
        image, features = _as_image(x), {}
        for k, layer in enumerate(self.net.features[: max(hop_of_layer) + 1]):
            image = layer(image)  # (clips, channels, bands, frames)
            if k == LAST_LAYER[320]:
                features[320] = image.mean(2).mT
            elif k in hop_of_layer:
                features[hop_of_layer[k]] = image.permute(0, 3, 1, 2).flatten(2)
        if None in hops_ms:
            features[None] = features[320].mean(1, keepdim=True)
        return {hop: features[hop] for hop in hops_ms}

    def receptive_field(self, hop_ms: int) -> tuple[int, int]:
        """Receptive field of a frame at `hop_ms`, ignoring gates, and its hop, both in log-mel frames of 10 ms."""
        layers = self.net.features[: LAST_LAYER[hop_ms] + 1].modules()
        sizes = [(m.kernel_size[1], m.stride[1]) for m in layers if isinstance(m, nn.Conv2d)]
        return timebase.receptive_field(*zip(*sizes, strict=True))

    def fused(self) -> "AudioMobileNet":
        """This network, changed in place for inference: batch norm is folded into the convolutions. Twice as fast."""
        from torchvision.ops import Conv2dNormActivation

        self.eval()
        for part in self.modules():
            if isinstance(part, Conv2dNormActivation) and isinstance(part[1], nn.BatchNorm2d):
                part[0], part[1] = nn.utils.fuse_conv_bn_eval(part[0], part[1]), nn.Identity()
        return self.to(memory_format=torch.channels_last).requires_grad_(False)


def _as_image(x: torch.Tensor) -> torch.Tensor:
    """`(clips, 1, mels, frames)` from `(clips, frames, mels)`."""
    if x.ndim != 3 or x.shape[2] != MELS or x.shape[1] == 0:
        raise ValueError(f"x: shape {tuple(x.shape)}, expected (clips, frames, {MELS}) from `front_end`")
    return x.transpose(1, 2)[:, None]  # `mT` cannot be exported to ONNX


def load(path: Path, width: float = 0.4) -> AudioMobileNet:
    """The network with the weights of a file as published by EfficientAT, in evaluation mode."""
    state = {}
    for key, value in torch.load(path, map_location="cpu", weights_only=True).items():
        # There, gates are nested deeper and are linear layers, not 1 x 1 convolutions; pooling takes up two numbers
        name = key.replace("conc_se_layers.0.", "")
        name = name.replace("classifier.2.", "classifier.0.").replace("classifier.5.", "classifier.3.")
        is_gate = name.endswith((".fc1.weight", ".fc2.weight"))
        state[f"net.{name}"] = value[:, :, None, None] if is_gate else value
    net = AudioMobileNet(width)
    net.load_state_dict(state)
    return net.eval()
