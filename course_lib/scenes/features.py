"""Features of scenes as streams: log-mel, and what pretrained networks extract from sound and from video frames.

Every stream keeps its own rate and the times of its frames; `timebase.alignment` brings them together. All are computed
once per content and kept on disk. Scenes are rendered in blocks, so that memory does not grow with their number.
Notebook: 10.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from course_lib.audio import timebase
from course_lib.audio.features import FEATURES_VERSION, FeatureSpec, log_mel_torch
from course_lib.audio.io import DECODING_VERSION
from course_lib.data.cache import cached, digest
from course_lib.errors import UsageError
from course_lib.models import mobilenet, pretrained
from course_lib.models.cnn import CNN
from course_lib.scenes.scenes import Scenes

BLOCK = 32  # scenes in memory at a time, as sound or video frames
NAMES = ("spectral", "auditory", "visual")
FRAME_PX = 192


@dataclass(frozen=True)
class Stream:
    """Features `x` `(scenes, frames, dims)` and the middle of each frame in seconds, `times_s` `(frames,)`."""

    x: np.ndarray
    times_s: np.ndarray

    def __post_init__(self) -> None:
        if self.x.ndim != 3 or self.x.shape[1] != len(self.times_s):
            raise ValueError(f"x {self.x.shape}, times_s {self.times_s.shape}: expected a time for each frame")


def spectral(scenes: Scenes, spec: FeatureSpec) -> Stream:
    """Log-mel of the scenes, float32."""

    def make(rows: slice) -> np.ndarray:
        with torch.inference_mode():
            return log_mel_torch(torch.tensor(scenes.waves(spec.rate_hz, rows)), spec).numpy()

    made = _cached("spectral", scenes, (spec, (FEATURES_VERSION, DECODING_VERSION)), make)
    return Stream(made, spec.frame_centres_s(made.shape[1]))


def auditory(scenes: Scenes, hop_ms: int, *, net: str = "mn04_as") -> Stream:
    """Embeddings from the pretrained network `net`, a frame every `hop_ms`, float16; 0 is one vector per scene.

    Raises
    ------
    CourseError
        The weights are not on this machine; the line says how to get them.
    UsageError
        The network gives no frames of that hop.
    """
    wanted = _hop_of(net, hop_ms)
    times_s, dims = _auditory_shape(net, wanted, scenes.clip_s)
    hops_ms, rate_hz = pretrained.published(net).hops_ms, mobilenet.RATE_HZ

    def make(rows: slice) -> np.ndarray:
        """Frames of every hop one after the other, `(scenes, numbers)`: the network runs once for all of them."""
        waves = np.array(scenes.waves(rate_hz, rows))  # torch warns about read-only arrays
        found = pretrained.auditory(waves, rate_hz, hops_ms, name=net)
        return np.concatenate([found[hop].reshape(len(waves), -1) for hop in hops_ms], axis=1).astype(np.float16)

    made = _cached("auditory", scenes, (net, (pretrained.EXTRACTION_VERSION, DECODING_VERSION)), make)
    first = 0
    for hop in hops_ms:
        if hop == wanted:
            break
        before_s, before_dims = _auditory_shape(net, hop, scenes.clip_s)
        first += len(before_s) * before_dims
    part = made[:, first : first + len(times_s) * dims]
    return Stream(part.reshape(len(scenes), len(times_s), dims), times_s)


def auditory_shape(net: str, hop_ms: int, clip_s: float) -> tuple[np.ndarray, int]:
    """Times in seconds of the frames that `net` gives for a scene, and their dimensions; for 0, one in the middle.

    Raises
    ------
    UsageError
        There is no such network, or it gives no frames of that hop.
    """
    return _auditory_shape(net, _hop_of(net, hop_ms), clip_s)


def _hop_of(net: str, hop_ms: int) -> int | None:
    """`hop_ms` as `net` takes it: None for 0, one vector per scene."""
    hop = None if hop_ms == 0 else hop_ms
    dims = pretrained.published(net).dims
    if hop not in dims:
        known = ", ".join("0" if other is None else str(other) for other in dims)
        raise UsageError(f"auditory_ms={hop_ms}: {net} has frames of {known} ms (0: one vector per scene)")
    return hop


def _auditory_shape(net: str, hop: int | None, clip_s: float) -> tuple[np.ndarray, int]:
    """`auditory_shape` for a hop as the network takes it."""
    dims = pretrained.published(net).dims[hop]
    if hop is None:
        return np.array([clip_s / 2]), dims
    n_samples = timebase.seconds_to_samples(clip_s, mobilenet.RATE_HZ)
    return mobilenet.frame_centres_s(mobilenet.frame_count(n_samples, hop), hop), dims


def visual(scenes: Scenes, frame_rate_hz: float) -> Stream:
    """Embeddings from a network for photographs, `frame_rate_hz` frames per second, float16.

    A frame that equals the one before it is not computed twice.
    """

    def make(rows: slice) -> np.ndarray:
        images = scenes.video_frames(frame_rate_hz, FRAME_PX, rows)
        flat = images.reshape(-1, *images.shape[2:])
        new = np.r_[True, (flat[1:] != flat[:-1]).any(axis=(1, 2, 3))]
        seen = pretrained.visual(flat[new])
        return seen[np.cumsum(new) - 1].reshape(*images.shape[:2], -1).astype(np.float16)

    key = (float(frame_rate_hz), FRAME_PX, (pretrained.EXTRACTION_VERSION, DECODING_VERSION))
    made = _cached("visual", scenes, key, make)
    return Stream(made, timebase.video_frame_times_s(scenes.clip_s, frame_rate_hz))


def _cached(name: str, scenes: Scenes, key: tuple, make: Callable[[slice], np.ndarray]) -> np.ndarray:
    """`make` of all scenes, a few at a time, `(scenes, ...)`; from disk if it was made before."""
    content = digest(scenes.content, *scenes.table["filename"])
    blocks = [slice(start, start + BLOCK) for start in range(0, len(scenes), BLOCK)]
    return cached(name, (content, *key), lambda: np.concatenate([make(rows) for rows in blocks]))


def own_auditory(scenes: Scenes, net: CNN, mean: np.ndarray, std: np.ndarray, spec: FeatureSpec) -> Stream:
    """Embeddings from a CNN that was trained in the course, a frame every 16 frames of the log-mel, float32.

    `net` was trained on log-mels of `spec` brought to mean 0 and standard deviation 1 with `mean` and `std`,
    `(mels,)`. It stands in for a published network whose weights are not there.
    """
    x = (spectral(scenes, spec).x - mean) / std
    net.eval()
    with torch.inference_mode():
        image = torch.tensor(x, dtype=torch.float32)[:, None].contiguous(memory_format=torch.channels_last)
        found = torch.cat([net.blocks(part).mean(3).mT for part in image.split(BLOCK)]).numpy()
    whole = found.shape[1] * net.smallest
    times_s = spec.frame_centres_s(x.shape[1])[:whole].reshape(-1, net.smallest).mean(1)
    return Stream(found, times_s)
