"""CNNs from scratch: the 7- and the 9-layer network of the course.

We do not know the layers of the paper's two networks (Mushtaq, Su & Tran, Applied Acoustics 172 (2021), 107581). These
are ours: five or seven convolutions and two dense layers. Notebook: 05.
"""

from collections.abc import Sequence

import torch
from torch import nn

from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec
from course_lib.errors import CourseError

# For each convolution its channels, and whether time and frequency are halved after it
CNN7 = ((16, True), (32, True), (64, True), (128, True), (128, False))
CNN9 = ((16, True), (32, True), (32, False), (64, True), (64, False), (128, True), (128, False))


def hops_that_fit(hops_ms: Sequence[float], length_s: float) -> list[float]:
    """Those of `hops_ms` at which a clip of `length_s` seconds has enough centred frames for the poolings of `CNN7`.

    Raises
    ------
    CourseError
        The clip has too few frames at every one of them.
    """
    halvings = sum(halved for _, halved in CNN7)
    needed = 2**halvings
    frames = {hop_ms: _frames(length_s, hop_ms) for hop_ms in hops_ms}
    fitting = [hop_ms for hop_ms in hops_ms if frames[hop_ms] >= needed]
    if not fitting:
        finest_ms = min(hops_ms)
        found = f"clips of {length_s:g} s have {frames[finest_ms]} frames at a hop of {finest_ms:g} ms"
        wanted = f"use clips of at least {(needed - 1) * finest_ms / 1000:g} s or a shorter hop"
        raise CourseError(f"{found}; this network halves them {halvings} times and needs {needed}: {wanted}")
    return fitting


def _frames(length_s: float, hop_ms: float) -> int:
    """Frames of a clip of `length_s` seconds."""
    spec = FeatureSpec(hop_ms=hop_ms)
    return spec.frame_count(timebase.seconds_to_samples(length_s, spec.rate_hz))


class CNN(nn.Module):
    """Convolutions, a mean over frequency, mean plus maximum over time, two dense layers.

    Input `(clips, frames, mels)` with 16 frames or more, or `(clips, channels, frames, mels)`; output logits
    `(clips, classes)`. Pooling comes before normalisation and ReLU, which then process a quarter of the values. Mean
    plus maximum over time is from Kong et al., "PANNs", IEEE/ACM TASLP 28, 2020: the mean responds to what lasts, the
    maximum to what happens once. Notebook: 05.

    Raises
    ------
    ValueError
        `forward`: fewer frames or mels than the poolings need.
    """

    def __init__(
        self, n_classes: int, layers: Sequence[tuple[int, bool]] = CNN7, dropout: float = 0.3, channels: int = 1
    ) -> None:
        super().__init__()
        blocks, n_in, self.channels = [], channels, channels
        for n_out, halved in layers:
            blocks.append(_block(n_in, n_out, halved))
            n_in = n_out
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(n_in, n_in), nn.ReLU(), nn.Dropout(dropout), nn.Linear(n_in, n_classes)
        )
        self.smallest = 2 ** sum(halved for _, halved in layers)

    @property
    def stages(self) -> list[nn.Module]:
        """Parts from the input to the head, for training that treats them differently."""
        return [self.blocks, self.head]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        image = x[:, None] if x.ndim == 3 else x  # (clips, channels, frames, mels)
        if image.ndim != 4 or image.shape[1] != self.channels or min(image.shape[2:]) < self.smallest:
            shape = "(clips, frames, mels)" if self.channels == 1 else f"(clips, {self.channels}, frames, mels)"
            raise ValueError(
                f"x: shape {tuple(x.shape)}, expected {shape} with at least {self.smallest} frames and "
                f"{self.smallest} mels; take a shorter hop or a network with fewer poolings"
            )
        image = image.contiguous(memory_format=torch.channels_last)
        over_time = self.blocks(image).mean(3)  # (clips, channels, frames / smallest)
        return self.head(over_time.mean(2) + over_time.amax(2))


def _block(n_in: int, n_out: int, halved: bool) -> nn.Sequential:
    pool = [nn.MaxPool2d(2)] if halved else []
    return nn.Sequential(
        nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), *pool, nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)
    )
