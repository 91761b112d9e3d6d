"""Features of scenes as streams: log-mel, and what pretrained networks extract from sound and from video frames.

Every stream keeps its own rate and the times of its frames; `timebase.alignment` brings them together. All are computed
once per content and kept on disk. Scenes are mixed and drawn in blocks, so that memory does not grow with their number.
Notebook: 10.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from course_lib.audio import timebase
from course_lib.audio.features import FEATURES_VERSION, FeatureSpec, log_mel_torch
from course_lib.audio.io import DECODING_VERSION
from course_lib.data.cache import cached
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


def spectral(scenes: Scenes, spec: FeatureSpec, *, progress: bool = True) -> Stream:
    """Log-mel, float32."""
    made = cached(_spectral, _key(scenes), spec, FEATURES_VERSION, given=(scenes, progress))
    return Stream(made, spec.frame_centres_s(made.shape[1]))


def auditory(scenes: Scenes, hop_ms: int, *, net: str = "mn04_as", progress: bool = True) -> Stream:
    """What the pretrained network `net` hears, a frame every `hop_ms`, float16; 0 is one vector a scene.

    Raises
    ------
    CourseError
        The weights are not on this machine; the line says how to get them.
    UsageError
        The network gives no frames of that hop.
    """
    times_s, dims = auditory_shape(net, hop_ms, scenes.clip_s)
    made = cached(_auditory, _key(scenes), net, _auditory_version(), given=(scenes, progress))
    first = 0
    for hop in pretrained.published(net).hops_ms:
        if hop == (hop_ms or None):
            break
        before_s, before_dims = auditory_shape(net, hop or 0, scenes.clip_s)
        first += len(before_s) * before_dims
    part = made[:, first : first + len(times_s) * dims]
    return Stream(part.reshape(len(scenes), len(times_s), dims), times_s)


def auditory_shape(net: str, hop_ms: int, clip_s: float) -> tuple[np.ndarray, int]:
    """Times of the frames that `net` gives of a scene, in seconds, and their dimensions; for 0 one in the middle.

    Raises
    ------
    UsageError
        There is no such network, or it gives no frames of that hop.
    """
    dims = pretrained.published(net).dims
    if (hop_ms or None) not in dims:
        known = ", ".join(str(hop or 0) for hop in dims)
        raise UsageError(f"auditory_ms={hop_ms}: {net} has frames of {known} ms (0: one vector a scene)")
    if not hop_ms:
        return np.array([clip_s / 2]), dims[None]
    n_samples = timebase.seconds_to_samples(clip_s, mobilenet.RATE_HZ)
    times_s = mobilenet.frame_centres_s(mobilenet.frame_count(n_samples, hop_ms), hop_ms)
    return times_s, dims[hop_ms]


def visual(scenes: Scenes, frame_rate_hz: float, *, progress: bool = True) -> Stream:
    """What a network for photographs sees, `frame_rate_hz` frames a second, float16.

    A frame that equals the one before it is not computed twice.
    """
    key = (_key(scenes), float(frame_rate_hz), FRAME_PX, pretrained.EXTRACTION_VERSION)
    made = cached(_visual, *key, given=(scenes, progress))
    return Stream(made, timebase.video_frame_times_s(scenes.clip_s, frame_rate_hz))


def _key(scenes: Scenes) -> str:
    names = "\n".join(scenes.table["filename"].astype(str))
    return hashlib.sha256(f"{scenes.content}\n{names}".encode()).hexdigest()


def _auditory_version() -> tuple[int, int]:
    return pretrained.EXTRACTION_VERSION, DECODING_VERSION


def _blocks(scenes: Scenes, title: str, progress: bool, work: Callable[[slice], np.ndarray]) -> np.ndarray:
    """`work` on a few scenes after the other, `(scenes, ...)`; the bar stays away from logs and executed notebooks."""
    found = []
    with tqdm(total=len(scenes), desc=title, unit="scene", delay=2, disable=None if progress else True) as bar:
        for start in range(0, len(scenes), BLOCK):
            found.append(work(slice(start, start + BLOCK)))
            bar.update(len(found[-1]))
    return np.concatenate(found)


def _spectral(key: str, spec: FeatureSpec, version: int, scenes: Scenes, progress: bool) -> np.ndarray:
    def work(rows: slice) -> np.ndarray:
        with torch.inference_mode():
            return log_mel_torch(torch.tensor(scenes.waves(spec.rate_hz, rows)), spec).numpy()

    return _blocks(scenes, "log-mel", progress, work)


def _auditory(key: str, net: str, version: tuple, scenes: Scenes, progress: bool) -> np.ndarray:
    """Frames of every hop behind each other, `(scenes, numbers)`: the network runs once for all of them."""
    hops_ms, rate_hz = pretrained.published(net).hops_ms, mobilenet.RATE_HZ

    def work(rows: slice) -> np.ndarray:
        waves = np.array(scenes.waves(rate_hz, rows))  # torch warns of arrays that it must not write to
        found = pretrained.auditory(waves, rate_hz, hops_ms, name=net)
        return np.concatenate([found[hop].reshape(len(waves), -1) for hop in hops_ms], axis=1).astype(np.float16)

    return _blocks(scenes, net, progress, work)


def _visual(key: str, frame_rate_hz: float, size_px: int, version: int, scenes: Scenes, progress: bool) -> np.ndarray:
    def work(rows: slice) -> np.ndarray:
        images = scenes.video_frames(frame_rate_hz, size_px, rows)
        flat = images.reshape(-1, *images.shape[2:])
        new = np.r_[True, (flat[1:] != flat[:-1]).any(axis=(1, 2, 3))]
        seen = pretrained.visual(flat[new])
        return seen[np.cumsum(new) - 1].reshape(*images.shape[:2], -1).astype(np.float16)

    return _blocks(scenes, "video frames", progress, work)


def own_auditory(scenes: Scenes, net: CNN, mean: np.ndarray, std: np.ndarray, spec: FeatureSpec) -> Stream:
    """What a CNN that was trained in the course hears, a frame every 16 frames of the log-mel, float32.

    `net` was trained on log-mels of `spec` brought to mean 0 and standard deviation 1 with `mean` and `std`,
    `(mels,)`. It stands in for a published network where there are no weights of one.
    """
    x = (spectral(scenes, spec, progress=False).x - mean) / std
    net.eval()
    with torch.inference_mode():
        image = torch.tensor(x, dtype=torch.float32)[:, None].contiguous(memory_format=torch.channels_last)
        found = torch.cat([net.blocks(part).mean(3).mT for part in image.split(BLOCK)]).numpy()
    whole = found.shape[1] * net.smallest
    times_s = spec.frame_centres_s(x.shape[1])[:whole].reshape(-1, net.smallest).mean(1)
    return Stream(found, times_s)
