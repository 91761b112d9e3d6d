"""YAMNet: a MobileNetV1 that has heard AudioSet, as TensorFlow publishes it for phones, run by Google's own runtime.

It takes 0.975 s of sound at a time and was made to move on by half of that: one vector of 1024 numbers every 480 ms,
the mean over the last feature map. Weights and activations are whole numbers of eight bits. The file holds its front
end too, so that nothing of it is rebuilt here. Beside `mobilenet` it is the coarse one: whatever happens inside a
second, it says once.

Source: Howard et al., "MobileNets", 2017, doi:10.48550/arXiv.1704.04861; Hershey et al., "CNN architectures for
large-scale audio classification", ICASSP 2017, doi:10.1109/ICASSP.2017.7952132.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import local

import numpy as np

from course_lib.errors import CourseError

RATE_HZ, HOP_MS, DIMS = 16_000, 480, 1024
PATCH_SAMPLES, HOP_SAMPLES = 15_600, 7_680
HOPS_MS = (HOP_MS, None)  # None: one vector a clip
POOLED = "layer28/reduce_mean"  # the tensor that its authors call the embedding
Hear = Callable[[np.ndarray, Sequence[int | None]], dict[int | None, np.ndarray]]


def frame_count(n_samples: int, hop_ms: int | None) -> int:
    """Frames of a clip of `n_samples` at 16 kHz, its end filled up with silence; 1 for None. ValueError otherwise."""
    if hop_ms not in HOPS_MS:
        raise ValueError(f"hop_ms={hop_ms}: choose of {HOP_MS} and None (one vector a clip)")
    return 1 if hop_ms is None else 1 + max(0, -(-(n_samples - PATCH_SAMPLES) // HOP_SAMPLES))


def frame_centres_s(n_frames: int, hop_ms: int) -> np.ndarray:
    """Middle of what each frame hears, in seconds, `(n_frames,)`, float64. ValueError for another hop than 480 ms."""
    if hop_ms != HOP_MS:
        raise ValueError(f"hop_ms={hop_ms}: frames come every {HOP_MS} ms")
    starts = np.arange(n_frames) * HOP_SAMPLES
    return (starts + PATCH_SAMPLES / 2) / RATE_HZ


def extractor(path: Path, width: float = 1.0) -> Hear:
    """What gives features of `(clips, samples)` at 16 kHz, float32, by hop: `(clips, frames, 1024)`. For threads.

    Raises
    ------
    CourseError
        The runtime is not installed, or the file is no such network.
    """
    mine = local()  # an interpreter holds one patch at a time: each thread has its own
    _interpreter(path)

    def extract(x: np.ndarray, hops_ms: Sequence[int | None]) -> dict[int | None, np.ndarray]:
        if not hasattr(mine, "net"):
            mine.net = _interpreter(path)
        n_frames = frame_count(x.shape[1], HOP_MS)
        padded = np.zeros((len(x), PATCH_SAMPLES + (n_frames - 1) * HOP_SAMPLES), np.float32)
        padded[:, : x.shape[1]] = x
        patches = np.lib.stride_tricks.sliding_window_view(padded, PATCH_SAMPLES, axis=1)[:, ::HOP_SAMPLES]
        frames = np.stack([_of_patch(mine.net, patch) for patch in patches.reshape(-1, PATCH_SAMPLES)])
        frames = frames.reshape(len(x), n_frames, DIMS)
        return {hop: frames.mean(1, keepdims=True) if hop is None else frames for hop in hops_ms}

    return extract


def _interpreter(path: Path):
    """Google's interpreter with the network, and the places of its input and of the embedding."""
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        raise CourseError("yamnet runs in Google's LiteRT: pip install ai-edge-litert") from None
    try:
        # The embedding lies inside the network: it is kept only where no delegate has swallowed its layers
        net = Interpreter(
            str(path),
            num_threads=1,
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        net.allocate_tensors()
        (pooled,) = (t for t in net.get_tensor_details() if t["name"].endswith(POOLED))
    except (ValueError, RuntimeError) as error:
        raise CourseError(f"{path}: not YAMNet as TensorFlow publishes it ({str(error).splitlines()[0]})") from None
    return net, net.get_input_details()[0]["index"], pooled


def _of_patch(interpreter, patch: np.ndarray) -> np.ndarray:
    net, given, pooled = interpreter
    net.set_tensor(given, np.ascontiguousarray(patch))
    net.invoke()
    scale, zero = pooled["quantization"]
    return scale * (net.get_tensor(pooled["index"]).reshape(-1).astype(np.float32) - zero)
