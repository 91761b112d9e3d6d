"""Speed and memory of the course's log-mels, against other libraries.

    python bench/features.py [--json FILE] [--threads 2] [--repeats 9]

All get the same 64 clips of 5 s at 16 kHz and the same settings, and must return the same levels; the largest
difference is printed beside the times. The contenders take turns in one process, and the fastest of their repeats
counts, so that a busy machine slows all of them alike. Memory is the rise of the resident set from before the first
call, in a fresh process for each contender, so it includes the result (8 MB for 64 clips).
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CLIPS, LENGTH_S = 64, 5
GROWTH = (64, 128, 256)
MB = 2**20


def waves(n_clips: int):
    """Noise, shape `(clips, samples)`, float32."""
    import numpy as np

    return np.random.default_rng(0).uniform(-0.5, 0.5, (n_clips, LENGTH_S * 16_000)).astype(np.float32)


def ours(spec, threads: int) -> Callable:
    import torch

    from course_lib.audio.features import log_mel_torch

    return lambda x: log_mel_torch(torch.from_numpy(x), spec).numpy()


def librosa_clip(spec, threads: int) -> Callable:
    """One clip after the other, as its users do."""
    import librosa
    import numpy as np

    frame = {"n_fft": spec.fft_samples, "win_length": spec.window_samples, "hop_length": spec.hop_samples}
    band = {"n_mels": spec.n_mels, "fmin": spec.fmin_hz, "fmax": spec.top_hz}

    def one(clip):
        power = librosa.feature.melspectrogram(y=clip, sr=spec.rate_hz, pad_mode="constant", **frame, **band)
        return librosa.power_to_db(power, amin=spec.floor, top_db=None).T

    return lambda x: np.stack([one(clip) for clip in x])


def librosa_pool(spec, threads: int) -> Callable:
    """The same with a pool of threads: librosa by itself uses one."""
    import numpy as np

    call = librosa_clip(spec, threads)
    pool = ThreadPoolExecutor(threads)
    return lambda x: np.concatenate(list(pool.map(lambda clip: call(clip[None]), x)))


def torchaudio_transform(spec, threads: int) -> Callable:
    import torch
    import torchaudio

    frame = {"n_fft": spec.fft_samples, "win_length": spec.window_samples, "hop_length": spec.hop_samples}
    band = {"n_mels": spec.n_mels, "f_min": spec.fmin_hz, "f_max": spec.top_hz, "norm": "slaney", "mel_scale": "slaney"}
    mel = torchaudio.transforms.MelSpectrogram(spec.rate_hz, pad_mode="constant", **frame, **band)
    level = torchaudio.transforms.AmplitudeToDB("power")
    return lambda x: level(mel(torch.from_numpy(x))).transpose(1, 2).numpy()


def nnaudio_layer(spec, threads: int) -> Callable:
    import torch
    from nnAudio.features.mel import MelSpectrogram

    frame = {"n_fft": spec.fft_samples, "win_length": spec.window_samples, "hop_length": spec.hop_samples}
    band = {"n_mels": spec.n_mels, "fmin": spec.fmin_hz, "fmax": spec.top_hz, "norm": 1, "htk": False}
    layer = MelSpectrogram(sr=spec.rate_hz, pad_mode="constant", power=2.0, verbose=False, **frame, **band)

    def call(x):
        return layer(torch.from_numpy(x)).clamp(min=spec.floor).log10().mul(10).transpose(1, 2).numpy()

    return call


CONTENDERS = {
    "course_lib": ours,
    "librosa": librosa_clip,
    "librosa, pool": librosa_pool,
    "torchaudio": torchaudio_transform,
    "nnAudio": nnaudio_layer,
}


def build(name: str, threads: int) -> Callable | None:
    """The contender, warmed up on one clip; or None, after printing what is missing."""
    import torch

    from course_lib.audio.features import FeatureSpec

    torch.set_num_threads(threads)
    try:
        call = CONTENDERS[name](FeatureSpec(), threads)
    except ModuleNotFoundError as error:
        print(f"{name}: left out, {error.name} is not installed (it is in the group `bench`)", file=sys.stderr)
        return None
    with torch.inference_mode():
        call(waves(1))
    return call


def times_ms(calls: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Milliseconds of the fastest of `repeats` runs of each, taken in turns."""
    import torch

    x = waves(CLIPS)
    best = dict.fromkeys(calls, float("inf"))
    with torch.inference_mode():
        for _ in range(repeats):
            for name, call in calls.items():
                start = time.perf_counter()
                call(x)
                best[name] = min(best[name], 1000 * (time.perf_counter() - start))
    return best


def differences_db(calls: dict[str, Callable]) -> dict[str, float]:
    """Largest difference in dB of each from the double-precision reference."""
    import numpy as np
    import torch

    from course_lib.audio.features import FeatureSpec, log_mel

    x = waves(4)
    reference = log_mel(x, FeatureSpec())
    with torch.inference_mode():
        return {name: float(np.abs(call(x) - reference).max()) for name, call in calls.items()}


def resident_bytes(field: str) -> int:
    """`VmRSS` (now) or `VmHWM` (highest since the last reset) of this process. Linux only."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(field))


def print_memory(name: str, threads: int) -> None:
    """Print, as JSON, the megabytes that the contender adds for each size in GROWTH, smallest first."""
    import torch

    call = build(name, threads)
    x = waves(max(GROWTH))
    before = resident_bytes("VmRSS")
    rises = []
    with torch.inference_mode():
        for n_clips in GROWTH:
            Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
            call(x[:n_clips])
            rises.append((resident_bytes("VmHWM") - before) / MB)
    print(json.dumps(rises))


def memory_mb(name: str, threads: int) -> list[float] | None:
    """`print_memory` from a fresh process, or None where the system cannot say."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    command = [sys.executable, __file__, "--threads", str(threads), "--memory-of", name]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def table(rows: list[dict], threads: int) -> str:
    """The rows as aligned text."""
    sizes = "".join(f"{f'MB, {n} clips':>15}" for n in GROWTH)
    lines = [f"{CLIPS} clips of {LENGTH_S} s at 16 kHz, {threads} threads"]
    lines += [f"{'':15}{'ms':>8}{'ratio':>8}{sizes}{'max. difference, dB':>22}"]
    for row in rows:
        memory = "".join(f"{mb:15.0f}" for mb in row["memory_mb"]) if row["memory_mb"] else f"{'-':>15}" * len(GROWTH)
        lines += [f"{row['name']:15}{row['ms']:8.1f}{row['ratio']:8.2f}{memory}{row['difference_db']:22.5f}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--memory-of", choices=CONTENDERS, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    for library in ("OMP", "MKL", "OPENBLAS"):  # read once, when the libraries are imported below
        os.environ[f"{library}_NUM_THREADS"] = str(chosen.threads)
    if chosen.memory_of:
        return print_memory(chosen.memory_of, chosen.threads)
    calls = {name: call for name in CONTENDERS if (call := build(name, chosen.threads))}
    ms, difference = times_ms(calls, chosen.repeats), differences_db(calls)
    rows = [
        {"name": name, "ms": ms[name], "ratio": ms[name] / ms["course_lib"], "difference_db": difference[name],
         "memory_mb": memory_mb(name, chosen.threads)}
        for name in calls
    ]  # fmt: skip
    print(table(rows, chosen.threads))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "threads": chosen.threads, "repeats": chosen.repeats}
        about |= {"clips": CLIPS, "length_s": LENGTH_S, "growth": GROWTH, "rows": rows}
        chosen.json.write_text(json.dumps(about, indent=1) + "\n")
    return None


if __name__ == "__main__":
    main()
