"""What networks that were trained elsewhere hear and see: features of waveforms and of pictures, ready to align.

`auditory` is a network that has heard AudioSet's two million clips, `visual` one that has seen ImageNet's photographs.
Neither was asked *when*: both learnt from one label a clip or a picture. Notebooks: 10, 11.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from course_lib.audio import io as audio_io
from course_lib.audio import timebase
from course_lib.errors import UsageError
from course_lib.models import backbones, mobilenet, yamnet
from course_lib.profiles import one_thread

# Part of the key of cached features: raise it when the code below, or that of a network, changes numbers
EXTRACTION_VERSION = 1
VISUAL_DIMS = 1280
SMALLEST_PIXELS = 32  # one place of the last feature map
CLIP_SAMPLES = 2**20  # a block of clips for one thread: four of 10 s
IMAGE_PIXELS = 2**18  # a block of pictures: sixteen of 128 x 128


@dataclass(frozen=True)
class Published:
    """Weights that others have published: where, how they are checked, and their features.

    Attributes
    ----------
    width : how many channels the network has, beside the published one of width 1.
    dims : numbers a frame by hop in ms; None among the hops is one vector a clip.
    kind : the module that knows its rate, its frames and how to run it.
    """

    url: str
    bytes: int
    sha256: str
    licence: str
    citation: str
    width: float
    dims: dict[int | None, int] = field(hash=False)
    kind: ModuleType = field(default=mobilenet, compare=False)

    @property
    def hops_ms(self) -> tuple[int | None, ...]:
        """Hops at which it gives features."""
        return tuple(self.dims)


AUDITORY = {
    "mn04_as": Published(
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
        bytes=4_066_513,
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        licence="MIT",
        citation='Schmid, Koutini & Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge '
        'distillation", ICASSP 2023, doi 10.1109/ICASSP49357.2023.10096110',
        width=0.4,
        dims={40: 512, 80: 256, 160: 384, 320: 384, None: 384},
    ),
    "yamnet": Published(
        url="https://storage.googleapis.com/download.tensorflow.org/models/tflite/task_library/audio_classification/"
        "android/lite-model_yamnet_classification_tflite_1.tflite",
        bytes=4_126_810,
        sha256="10c95ea3eb9a7bb4cb8bddf6feb023250381008177ac162ce169694d05c317de",
        licence="Apache-2.0",
        citation='Hershey et al., "CNN architectures for large-scale audio classification", ICASSP 2017, '
        'doi 10.1109/ICASSP.2017.7952132; Howard et al., "MobileNets", 2017, doi 10.48550/arXiv.1704.04861',
        width=1.0,
        dims={480: 1024, None: 1024},
        kind=yamnet,
    ),
}


def published(name: str) -> Published:
    """What is known of the auditory network `name`. Raises UsageError where there is none of that name."""
    if name not in AUDITORY:
        raise UsageError(f"auditory network {name!r} is unknown; choose one of {', '.join(AUDITORY)}")
    return AUDITORY[name]


def available(name: str = "mn04_as") -> bool:
    """Whether the weights of `name` lie on this machine; the network is not touched, nor are the weights checked."""
    return backbones.at_hand(published(name).url) is not None


def network(name: str = "mn04_as") -> mobilenet.AudioMobileNet:
    """The auditory network `name` with its published weights, in evaluation mode, fit for training.

    Raises
    ------
    UsageError
        There is none of that name, or it gives features alone.
    CourseError
        Its weights are not here and cannot be fetched, or are not the published ones.
    """
    if published(name).kind is not mobilenet:
        raise UsageError(f"auditory network {name!r} comes ready to run and cannot be trained; take its features")
    return mobilenet.load(_file(name), published(name).width)


def _file(name: str) -> Path:
    net = published(name)
    return backbones.weights_file(net.url, net.sha256, net.bytes)


def auditory(
    waves: np.ndarray,
    rate_hz: int,
    hops_ms: Sequence[int | None] = (320,),
    *,
    name: str = "mn04_as",
    batch: int | None = None,
) -> dict[int | None, np.ndarray]:
    """Features of `waves` `(clips, samples)` at each of `hops_ms`: `(clips, frames, dims)`, float32.

    Hops of `mn04_as` are 40, 80, 160 and 320 ms, that of `yamnet` is 480 ms, and None is one frame a clip. The kind of
    a network (`mobilenet`, `yamnet`) says by `frame_centres_s` when frames are, and the rate that it hears: others are
    resampled, and a band that was never recorded stays silent. `batch` clips go through it at a time, on a thread a
    core; it decides the memory used, and of the features only their rounding.

    Raises
    ------
    UsageError
        No such network, or it has no such hop.
    CourseError
        The weights cannot be had, or what runs them.
    ValueError
        `waves` has another shape or no floats, clips are shorter than 17 ms, or `batch` is below 1.
    """
    foreign = [hop for hop in hops_ms if hop not in published(name).dims]
    if foreign or not hops_ms:
        known = ", ".join(map(str, published(name).hops_ms))
        raise UsageError(f"hops_ms={tuple(hops_ms)}: {name} has {known} (None: one vector a clip)")
    if waves.ndim != 2 or 0 in waves.shape or not np.issubdtype(waves.dtype, np.floating):
        raise ValueError(f"waves: {waves.dtype} {waves.shape}, expected floats (clips, samples), none of them 0")
    kind, dims = published(name).kind, published(name).dims
    n_samples = timebase.ms_to_samples(timebase.samples_to_ms(waves.shape[1], rate_hz), kind.RATE_HZ)
    batch = max(1, CLIP_SAMPLES // n_samples) if batch is None else batch
    net = _ready(_file(name), name)
    out = {hop: np.empty((len(waves), kind.frame_count(n_samples, hop), dims[hop]), np.float32) for hop in hops_ms}

    def extract(rows: slice) -> None:
        x = audio_io.resample(waves[rows].astype(np.float32, copy=False).T, rate_hz, kind.RATE_HZ).T
        for hop, found in net(x, hops_ms).items():
            out[hop][rows] = found

    _in_blocks(extract, len(waves), batch, "hearing")
    return out


def visual(frames: np.ndarray, *, batch: int | None = None) -> np.ndarray:
    """What EfficientNet-Lite0 sees in pictures `frames` `(n, height, width, 3)`, uint8 RGB: `(n, 1280)`, float32.

    The mean over space of its last feature map. Trained on ImageNet at 224 x 224; of smaller pictures it recognises
    less. Sides are best multiples of 32.

    Raises
    ------
    ValueError
        Pictures of another shape or type, or smaller than 32 x 32, or `batch` below 1.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
        raise ValueError(f"frames: {frames.dtype} {frames.shape}, expected uint8 (n, height, width, 3)")
    if min(frames.shape[1:3]) < SMALLEST_PIXELS:
        raise ValueError(f"frames: {frames.shape[1]} x {frames.shape[2]} pixels, expected 32 x 32 or more")
    net = _lite0()
    batch = max(1, IMAGE_PIXELS // (frames.shape[1] * frames.shape[2])) if batch is None else batch
    out = np.empty((len(frames), VISUAL_DIMS), np.float32)

    def see(rows: slice) -> None:
        x = (torch.tensor(frames[rows]).permute(0, 3, 1, 2).float() - 127) / 128
        out[rows] = net.extract_features(x).mean((2, 3)).numpy()

    _in_blocks(see, len(frames), batch, "seeing")
    return out


@lru_cache(maxsize=2)
def _ready(path: Path, name: str) -> yamnet.Hear:
    """What hears with the network of a checked file."""
    return published(name).kind.extractor(path, published(name).width)


@lru_cache(maxsize=1)
def _lite0() -> torch.nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights; its last layer is not used here."""
    net = backbones.Backbone("lite0", 1).net
    return net.eval().to(memory_format=torch.channels_last).requires_grad_(False)


def _in_blocks(work, n: int, batch: int, title: str) -> None:
    """`work(slice)` for blocks of `batch` of `n` rows, a thread a core, each with one thread of torch.

    Layers this small are over before torch's own threads have met: four clips at a time take half as long this way.
    """
    if batch < 1:
        raise ValueError(f"batch={batch}: must be at least 1")

    @torch.inference_mode()
    def one(start: int) -> None:
        work(slice(start, min(start + batch, n)))

    with one_thread():
        audio_io.threaded(one, range(0, n, batch), title, "block")
