"""A MobileNetV3 that has heard AudioSet: its front end, the network, and its features at four rates from its depth.

Every halving of time in the network doubles the hop. So one network, trained once on clip labels, describes a sound
every 40, 80, 160 and 320 ms, and with one vector a clip: the same knowledge at five temporal resolutions.

Each convolution is padded so that its output `k` sits on its input `k * stride`, so what frame `k` can see lies evenly
around `k * hop_ms`. What it has learnt to listen to lies later (`AHEAD_MS`).

| hop    | channels x bands  | a frame can see | gates before it |
|--------|-------------------|-----------------|-----------------|
| 40 ms  | 16 x 32 = 512     | 205 ms          | none            |
| 80 ms  | 16 x 16 = 256     | 1,005 ms        | 3               |
| 160 ms | 48 x 8 = 384      | 2,765 ms        | 5               |
| 320 ms | 384, bands' mean  | 5,965 ms        | 8               |

A gate (squeeze and excitation) scales channels by what their mean over the *whole clip* says. Features behind one know
faintly of all that is in the clip, wherever it is; those at 40 ms do not. Notebook: 11.

Source: Schmid, Koutini & Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge distillation",
ICASSP 2023; Howard et al., "Searching for MobileNetV3", ICCV 2019, table 1.
"""

import pickle
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_lib.audio import timebase
from course_lib.errors import CourseError

RATE_HZ, HOP_MS, MELS = 32_000, 10, 128
N_FFT, WINDOW_SAMPLES, HOP_SAMPLES = 1024, 800, 320
LOW_HZ, HIGH_HZ = 0.0, 15_000.0
PRE_EMPHASIS, FLOOR = 0.97, 1e-5
MEAN_LEVEL, SPREAD = -4.5, 5.0  # chosen by its authors, so that levels lie around 0
LAST_LAYER = {40: 3, 80: 6, 160: 12, 320: 16}  # the deepest layer of each hop; 0 is the first convolution
# How long after `k * hop_ms` the published network listens on average in frame `k`. Measured on mn04_as with clicks,
# beeps, chirps and bursts of up to 100 ms over noise at three levels, as the time at which features change most and as
# the centroid of the change; their mean, to 5 ms
AHEAD_MS = {40: 15, 80: 35, 160: 35, 320: 90}
HOPS_MS = (*LAST_LAYER, None)  # None: one vector a clip
FEWEST_SAMPLES = N_FFT // 2 + 2  # the ends of a clip are mirrored, half a transform deep


def front_end(waves: torch.Tensor) -> torch.Tensor:
    """Log-mel that the network was trained on, `(clips, frames, 128)`, float32.

    `waves` is `(clips, samples)` at 32 kHz. Pre-emphasis 0.97, a symmetric Hann window of 25 ms in a transform of 1024
    samples every 10 ms, Kaldi's mel bank from 0 to 15 kHz on the power, `(ln(power + 1e-5) + 4.5) / 5`. The clip's ends
    are mirrored.

    Raises
    ------
    ValueError
        Another shape, whole numbers instead of floats, or a clip shorter than the mirrored part.
    """
    if waves.ndim != 2 or 0 in waves.shape or not waves.is_floating_point():
        raise ValueError(f"waves: {waves.dtype} {tuple(waves.shape)}, expected floats (clips, samples), none of them 0")
    if waves.shape[1] < FEWEST_SAMPLES:
        raise ValueError(f"waves: {waves.shape[1]} samples at 32 kHz, expected {FEWEST_SAMPLES} or more; pad the clips")
    window, bank = _constants(waves.device)
    x = waves.float()
    emphasised = x[:, 1:] - PRE_EMPHASIS * x[:, :-1]
    spectrum = torch.stft(emphasised, N_FFT, HOP_SAMPLES, WINDOW_SAMPLES, window, return_complex=True)
    # The bank, each row twice, adds the squares of real and imaginary parts: torch is slow at a sum of two
    parts = torch.view_as_real(spectrum.transpose(1, 2)).flatten(-2)
    return ((parts.square() @ bank).add(FLOOR).log() - MEAN_LEVEL) / SPREAD


@lru_cache
def _constants(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Window `(800,)` and mel bank `(2 * 513, 128)`, every bin twice."""
    from torchaudio.compliance.kaldi import get_mel_banks

    with torch.inference_mode(False):  # or a first call inside inference mode would leave tensors unfit for training
        # The numbers after the band belong to a warp of speakers' voices, which 1.0 switches off
        bank, _ = get_mel_banks(MELS, N_FFT, float(RATE_HZ), LOW_HZ, HIGH_HZ, 100.0, -500.0, 1.0)
        bank = nn.functional.pad(bank, (0, 1)).T.repeat_interleave(2, dim=0)  # Kaldi leaves the last bin out
        return torch.hann_window(WINDOW_SAMPLES, periodic=False).to(device), bank.contiguous().to(device)


def frame_count(n_samples: int, hop_ms: int | None) -> int:
    """Frames that a clip of `n_samples` at 32 kHz has at a hop of `HOPS_MS`; 1 for None. ValueError for another hop."""
    _check_hops([hop_ms])
    if hop_ms is None:
        return 1
    frames = timebase.frame_count(n_samples - 1, N_FFT, HOP_SAMPLES)  # pre-emphasis takes one sample
    return -(-frames // (hop_ms // HOP_MS))


def frame_centres_s(n_frames: int, hop_ms: int) -> np.ndarray:
    """Time that each frame at a hop of 40, 80, 160 or 320 ms tells of, in seconds, shape `(n_frames,)`, float64.

    `k * hop_ms` and what the network listens ahead of it: without that, all that it says would come 15 to 90 ms early.

    Raises
    ------
    ValueError
        Another hop; one vector a clip has no time.
    """
    if hop_ms not in AHEAD_MS:
        raise ValueError(f"hop_ms={hop_ms}: frames come every {', '.join(map(str, AHEAD_MS))} ms")
    hop_samples = timebase.ms_to_samples(hop_ms, RATE_HZ)
    return timebase.frame_centres_s(n_frames, N_FFT, hop_samples, RATE_HZ) + AHEAD_MS[hop_ms] / 1000


def _check_hops(hops_ms: Sequence[int | None]) -> None:
    foreign = [hop for hop in hops_ms if hop not in HOPS_MS]
    if foreign or not hops_ms:
        known = ", ".join(map(str, HOPS_MS))
        raise ValueError(f"hops_ms={tuple(hops_ms)}: choose of {known} (None: one vector a clip)")


class AudioMobileNet(nn.Module):
    """MobileNetV3-Large of a given width for one channel of log-mel, gates with a sigmoid.

    Input `(clips, frames, mels)` from `front_end`; output logits `(clips, classes)`, one a class of AudioSet with the
    published weights. `width` scales the channels of every layer. Notebook: 11.
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
        return self.net(_picture(x))

    def maps(self, x: torch.Tensor, hops_ms: Sequence[int | None] = (320,)) -> dict[int | None, torch.Tensor]:
        """Features at each of `hops_ms`, `(clips, frames, dims)`, of a log-mel `(clips, frames, mels)`.

        At 40, 80 and 160 ms a frame is channels x bands, the bands of one channel side by side; at 320 ms the mean over
        bands. None is the mean over bands and time, one frame a clip: what the network's own classifier gets. Layers
        behind the deepest asked for are not computed.

        Raises
        ------
        ValueError
            A hop that the network does not have, or `x` of another shape.
        """
        _check_hops(hops_ms)
        picture, by_layer = _picture(x), {LAST_LAYER[hop or 320]: hop or 320 for hop in hops_ms}
        found = {}
        for k, layer in enumerate(self.net.features[: max(by_layer) + 1]):
            picture = layer(picture)  # (clips, channels, bands, frames)
            if k in by_layer:
                found[by_layer[k]] = (
                    picture.mean(2).mT if k == LAST_LAYER[320] else picture.permute(0, 3, 1, 2).flatten(2)
                )
        if None in hops_ms:
            found[None] = found[320].mean(1, keepdim=True)
        return {hop: found[hop] for hop in hops_ms}

    def receptive_field(self, hop_ms: int) -> tuple[int, int]:
        """`(field, jump)` of a frame at `hop_ms`, in frames of 10 ms: what it sees but for the gates, and its hop."""
        layers = self.net.features[: LAST_LAYER[hop_ms] + 1].modules()
        sizes = [(m.kernel_size[1], m.stride[1]) for m in layers if isinstance(m, nn.Conv2d)]
        return timebase.receptive_field(*zip(*sizes, strict=True))

    def fused(self) -> "AudioMobileNet":
        """Itself for inference, changed in place: normalisations become part of the convolutions. Twice as fast."""
        from torchvision.ops import Conv2dNormActivation

        self.eval()
        for part in self.modules():
            if isinstance(part, Conv2dNormActivation) and isinstance(part[1], nn.BatchNorm2d):
                part[0], part[1] = nn.utils.fuse_conv_bn_eval(part[0], part[1]), nn.Identity()
        return self.to(memory_format=torch.channels_last).requires_grad_(False)


def _picture(x: torch.Tensor) -> torch.Tensor:
    """`(clips, 1, mels, frames)` from `(clips, frames, mels)`."""
    if x.ndim != 3 or x.shape[2] != MELS or x.shape[1] == 0:
        raise ValueError(f"x: shape {tuple(x.shape)}, expected (clips, frames, {MELS}) from `front_end`")
    return x.mT[:, None]


def load(path: Path, width: float = 0.4) -> AudioMobileNet:
    """The network with the weights of a file as EfficientAT publishes them, in evaluation mode.

    Raises
    ------
    CourseError
        The file cannot be read, holds something else, or weights of other layers than a network of this width has.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {_our_name(key): value for key, value in state.items()}
        state = {key: value[:, :, None, None] if _is_gate(key) else value for key, value in state.items()}
        n_classes = len(state["net.classifier.3.bias"])
    except (OSError, RuntimeError, ValueError, EOFError, AttributeError, LookupError, pickle.PickleError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise CourseError(f"{path}: holds no weights of an audio MobileNet ({reason[:80]}); get it again") from error
    net = AudioMobileNet(width, n_classes)
    expected = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in state.items()}
    wrong = [key for key in expected | found if expected.get(key) != found.get(key)]
    if wrong:
        has, wants = found.get(wrong[0], "nothing"), expected.get(wrong[0], "nothing")
        raise CourseError(
            f"{path}: {len(wrong)} of its layers do not fit width {width:g}; {wrong[0].removeprefix('net.')} "
            f"is {has}, expected {wants}; get the weights of this network"
        )
    net.load_state_dict(state)
    return net.eval()


def extractor(
    path: Path, width: float = 0.4
) -> Callable[[np.ndarray, Sequence[int | None]], dict[int | None, np.ndarray]]:
    """What gives features of `(clips, samples)` at 32 kHz by hop, `(clips, frames, dims)`. Errors as `load`."""
    net = load(path, width).fused()

    def extract(x: np.ndarray, hops_ms: Sequence[int | None]) -> dict[int | None, np.ndarray]:
        return {hop: found.numpy() for hop, found in net.maps(front_end(torch.tensor(x)), hops_ms).items()}

    return extract


def _our_name(key: str) -> str:
    """Name of a weight in `AudioMobileNet`. Published, the gates have a room of their own and pooling counts as two."""
    key = key.replace("conc_se_layers.0.", "")
    return "net." + key.replace("classifier.2.", "classifier.0.").replace("classifier.5.", "classifier.3.")


def _is_gate(key: str) -> bool:
    """True for the matrices of the gates: published as such, convolutions of 1 x 1 here."""
    return key.endswith((".fc1.weight", ".fc2.weight"))
