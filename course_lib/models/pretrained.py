"""Features from pretrained networks: of waveforms (`auditory`) and of images (`visual`).

`auditory` uses a network trained on AudioSet's two million clips, `visual` one trained on ImageNet's photographs.
Neither learned *when* anything happens: both were trained with one label set per clip or image. Notebooks: 10, 11.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch

from course_lib.audio import io as audio_io
from course_lib.audio import timebase
from course_lib.errors import UsageError
from course_lib.models import backbones, mobilenet
from course_lib.profiles import one_thread

# Part of the key of cached features: raise it when the code below, or that of a network, changes numbers
EXTRACTION_VERSION = 1
VISUAL_DIMS = 1280
SMALLEST_PIXELS = 32  # one cell of the last feature map
BLOCK_SAMPLES = 2**20  # clips per block for one thread: four of 10 s
BLOCK_PIXELS = 2**18  # images per block: sixteen of 128 x 128


@dataclass(frozen=True)
class Published:
    """Published weights of an audio MobileNet: where they are, how they are checked, and the features they give.

    `width` is the number of channels relative to the network of width 1; `dims` has the dimensions of a frame by hop in
    ms, and None for one vector per clip. `classes_url` is a table with the names of its outputs.
    """

    url: str
    sha256: str
    width: float
    dims: dict[int | None, int]
    classes_url: str
    classes_sha256: str

    @property
    def hops_ms(self) -> tuple[int | None, ...]:
        """Hops at which the network gives features."""
        return tuple(self.dims)


AUDITORY = {
    # MIT licence; Schmid, Koutini & Widmer, ICASSP 2023, doi 10.1109/ICASSP49357.2023.10096110
    "mn04_as": Published(
        url="https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt",
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        width=0.4,
        dims={40: 512, 80: 256, 160: 384, 320: 384, None: 384},
        # AudioSet's own list in the order of its outputs; Google, CC BY 4.0
        classes_url="https://raw.githubusercontent.com/fschmid56/EfficientAT/a425fdce92572e602a1d5634799bd9f1f2efa806/metadata/class_labels_indices.csv",
        classes_sha256="cdd1049833c4b86127c2773ac0d14a2754b6a6d0d1798002ed5c66e699708429",
    ),
}


def published(name: str) -> Published:
    """The entry of the auditory network `name`. Raises UsageError if there is none."""
    if name not in AUDITORY:
        raise UsageError(f"auditory network {name!r} is unknown; choose one of {', '.join(AUDITORY)}")
    return AUDITORY[name]


def available(name: str = "mn04_as") -> bool:
    """Whether the weights of `name` are on this machine, checked or not."""
    return backbones.local_file(published(name).url) is not None


def network(name: str = "mn04_as") -> mobilenet.AudioMobileNet:
    """The auditory network `name` with its published weights, in evaluation mode; it can be trained further.

    Raises
    ------
    UsageError
        No such network.
    CourseError
        Its weights are not here and cannot be downloaded, or are not the published ones.
    """
    return mobilenet.load(_file(name), published(name).width)


def class_names(name: str = "mn04_as") -> list[str]:
    """Names of the outputs of the auditory network `name`, such as the 527 classes of AudioSet.

    Raises
    ------
    UsageError
        There is no network of that name.
    CourseError
        The list is not here and cannot be downloaded, or is not the published one.
    """
    about = published(name)
    path = backbones.weights_file(about.classes_url, about.classes_sha256)
    with path.open(encoding="utf-8", newline="") as file:
        return [row["display_name"] for row in csv.DictReader(file)]


def _file(name: str) -> Path:
    return backbones.weights_file(published(name).url, published(name).sha256)


def auditory(
    waves: np.ndarray,
    rate_hz: int,
    hops_ms: Sequence[int | None] = (320,),
    *,
    name: str = "mn04_as",
) -> dict[int | None, np.ndarray]:
    """Features of `waves` `(clips, samples)` at each of `hops_ms`: `(clips, frames, dims)`, float32.

    `mn04_as` has hops of 40, 80, 160 and 320 ms; None is one frame per clip. `mobilenet.frame_centres_s` gives the
    times of the frames. The network works at 32 kHz: other rates are resampled, and a band that was never recorded
    stays silent.

    Raises
    ------
    UsageError
        No such network, or no such hop.
    CourseError
        The weights are not here and cannot be downloaded.
    ValueError
        `waves` has another shape or is not floats, or clips are shorter than 514 samples at 32 kHz (16 ms).
    """
    dims = published(name).dims
    if not hops_ms or any(hop not in dims for hop in hops_ms):
        known = ", ".join(map(str, dims))
        raise UsageError(f"hops_ms={tuple(hops_ms)}: {name} has {known} (None: one vector per clip)")
    if waves.ndim != 2 or 0 in waves.shape or not np.issubdtype(waves.dtype, np.floating):
        raise ValueError(f"waves: {waves.dtype} {waves.shape}, expected floats (clips, samples), no axis of size 0")
    n_samples = timebase.ms_to_samples(timebase.samples_to_ms(waves.shape[1], rate_hz), mobilenet.RATE_HZ)
    net = _fused(_file(name), published(name).width)
    out = {hop: np.empty((len(waves), mobilenet.frame_count(n_samples, hop), dims[hop]), np.float32) for hop in hops_ms}

    def extract_rows(rows: slice) -> None:
        x = audio_io.resample(waves[rows].astype(np.float32, copy=False).T, rate_hz, mobilenet.RATE_HZ).T
        for hop, features in net.maps(mobilenet.front_end(torch.tensor(x)), hops_ms).items():
            out[hop][rows] = features.numpy()

    _in_blocks(extract_rows, len(waves), max(1, BLOCK_SAMPLES // n_samples), "auditory features")
    return out


def visual(frames: np.ndarray) -> np.ndarray:
    """Features of EfficientNet-Lite0 for images `frames` `(n, height, width, 3)`, uint8 RGB: `(n, 1280)`, float32.

    The mean over space of its last feature map. It was trained on ImageNet at 224 x 224 and recognises less in smaller
    images. Sides should be multiples of 32.

    Raises
    ------
    ValueError
        Images of another shape or type, or smaller than 32 x 32.
    """
    if frames.ndim != 4 or frames.shape[3] != 3 or frames.dtype != np.uint8 or len(frames) == 0:
        raise ValueError(f"frames: {frames.dtype} {frames.shape}, expected uint8 (n, height, width, 3)")
    if min(frames.shape[1:3]) < SMALLEST_PIXELS:
        raise ValueError(f"frames: {frames.shape[1]} x {frames.shape[2]} pixels, expected 32 x 32 or more")
    net = _lite0()
    batch = max(1, BLOCK_PIXELS // (frames.shape[1] * frames.shape[2]))
    out = np.empty((len(frames), VISUAL_DIMS), np.float32)

    def extract_rows(rows: slice) -> None:
        x = (torch.tensor(frames[rows]).permute(0, 3, 1, 2).float() - 127) / 128
        out[rows] = net.extract_features(x).mean((2, 3)).numpy()

    _in_blocks(extract_rows, len(frames), batch, "visual features")
    return out


@lru_cache(maxsize=1)
def _fused(path: Path, width: float) -> mobilenet.AudioMobileNet:
    """The network of a checked file for extraction, kept between calls."""
    return mobilenet.load(path, width).fused()


@lru_cache(maxsize=1)
def _lite0() -> torch.nn.Module:
    """EfficientNet-Lite0 with its ImageNet weights; its last layer is not used here."""
    net = backbones.Backbone("lite0", 1).net
    return net.eval().to(memory_format=torch.channels_last).requires_grad_(False)


def _in_blocks(work: Callable[[slice], None], n: int, batch: int, title: str) -> None:
    """`work(slice)` for blocks of `batch` of `n` rows, on one thread per core, each with one thread of torch.

    Layers this small finish before torch's own threads have synchronised: four clips at a time take half as long this
    way.
    """

    @torch.inference_mode()
    def block(start: int) -> None:
        work(slice(start, min(start + batch, n)))

    with one_thread():
        audio_io.threaded(block, range(0, n, batch), title, "block")
