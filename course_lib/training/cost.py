"""What a classifier costs: parameters, multiply-accumulates, time and memory. Notebook: 05."""

import math
import statistics
import time
from contextlib import suppress
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from course_lib.audio.features import FeatureSpec, mel_bank

OF_PROCESS = Path("/proc/self/status")  # Linux


def parameters(model: nn.Module) -> int:
    """Number of weights and biases; running statistics do not count."""
    return sum(p.numel() for p in model.parameters())


def macs(model: nn.Module, *shape: int) -> int:
    """Multiply-accumulates of one clip `(frames, mels)` through `model`: convolutions, matrix products, attention.

    Half of what torch counts as FLOPs on the CPU, without the fused kernels of attention and the encoder layer, which
    its counter misses. Normalisation, activations and pooling are not counted, as in the papers. Leaves the model as it
    was. A model on torch's `meta` device is counted there, without computing. Errors as the model's own.
    """
    device, modes = next(model.parameters()).device, {part: part.training for part in model.modules()}
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        where = "meta" if device.type == "meta" else "cpu"
        model.to(where).eval()
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, *shape, device=where))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        model.to(device)
        for part, was_training in modes.items():
            part.training = was_training
    return counter.get_total_flops() // 2


def feature_macs(spec: FeatureSpec, n_samples: int) -> int:
    """Multiply-accumulates of the log-mel of one clip: transform and mel bank, by formula.

    A real FFT of N samples counts N/2 log2 N, the bank one for each bin that each band touches.
    """
    transform = round(spec.fft_samples * math.log2(spec.fft_samples) / 2)
    return spec.frame_count(n_samples) * (transform + int((mel_bank(spec) > 0).sum()))


def latency_ms(model: nn.Module, *shape: int, repeats: int = 7) -> float:
    """Median milliseconds of one clip `(frames, mels)` through `model` on its device; it is left in evaluation mode."""
    device = next(model.parameters()).device
    x, taken = torch.zeros(1, *shape, device=device), []
    model.eval()
    with torch.inference_mode():
        for _ in range(repeats + 2):
            start = time.perf_counter()
            model(x)
            if device.type in ("cuda", "mps"):  # where a call returns before its work is done
                getattr(torch, device.type).synchronize()
            taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken[2:])  # the first two also choose and load kernels


def reset_peak_memory(device: str) -> None:
    """Reset `peak_memory_mb`, on a GPU and on Linux."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    elif OF_PROCESS.exists():
        with suppress(OSError):
            OF_PROCESS.with_name("clear_refs").write_text("5")


def peak_memory_mb(device: str) -> float:
    """Most memory held since `reset_peak_memory`: by tensors on a GPU, by the whole process on a CPU.

    macOS and Windows cannot reset a peak: there it is the memory held now, or the peak since the process began.
    """
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e6
    if OF_PROCESS.exists():
        highest = next(line for line in OF_PROCESS.read_text().splitlines() if line.startswith("VmHWM"))
        return int(highest.split()[1]) * 1024 / 1e6
    import psutil

    used = psutil.Process().memory_info()
    return getattr(used, "peak_wset", used.rss) / 1e6
