"""Speed of the pretrained features for sounds and pictures, and of the audio front end against torchaudio's.

    python bench/pretrained.py [--json FILE] [--repeats 5]

Thirty-two clips of 10 s and 64 pictures of 128 x 128, on one thread and on two. Features of sounds are computed at all
five rates, as the course stores them. "Real time" is seconds of sound per second of elapsed time, or of CPU time; the
repeats alternate between the contenders, and the best counts. `torchaudio` is its `compliance.kaldi.fbank` with the
same window, hop, bands and pre-emphasis, clip by clip as it is written; its frames are half a hop away from ours, so
the levels are compared after averaging over time, in the network's units (one is 22 dB).
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import torch

from course_lib.models import mobilenet, pretrained

CLIPS, LENGTH_S, PICTURES, PICTURE_PX = 32, 10, 64, 128
THREADS = (1, 2)
BARS = {"auditory, times real time, 2 threads": 50.0}


def waves(rate_hz: int) -> np.ndarray:
    """Noise, shape `(clips, samples)`, float32."""
    return np.random.default_rng(0).uniform(-0.5, 0.5, (CLIPS, LENGTH_S * rate_hz)).astype(np.float32)


def front_end(x: torch.Tensor) -> torch.Tensor:
    """Ours, four clips at a time, as `auditory` calls it."""
    return torch.cat([mobilenet.front_end(part) for part in x.split(4)])


def kaldi(x: torch.Tensor) -> torch.Tensor:
    """torchaudio's, clip by clip."""
    from torchaudio.compliance.kaldi import fbank

    settings = {
        "sample_frequency": mobilenet.RATE_HZ, "frame_length": 25.0, "frame_shift": 10.0, "window_type": "hanning",
        "preemphasis_coefficient": mobilenet.PRE_EMPHASIS, "remove_dc_offset": False, "snip_edges": False,
        "num_mel_bins": mobilenet.MELS, "low_freq": mobilenet.LOW_HZ, "high_freq": mobilenet.HIGH_HZ,
    }  # fmt: skip
    rows = torch.stack([fbank(clip[None], **settings) for clip in x])
    return (rows - mobilenet.MEAN_LEVEL) / mobilenet.SPREAD


def contenders() -> dict[str, tuple[Callable[[], object], float]]:
    """What is measured, and how many seconds of sound, or pictures, a call processes."""
    sound_s = CLIPS * LENGTH_S
    at_32k, at_16k = waves(mobilenet.RATE_HZ), waves(16_000)
    as_tensor = torch.from_numpy(at_32k)
    pictures = np.random.default_rng(0).integers(0, 256, (PICTURES, PICTURE_PX, PICTURE_PX, 3), dtype=np.uint8)
    hops_ms = mobilenet.HOPS_MS
    return {
        "front end": (lambda: front_end(as_tensor), sound_s),
        "front end, torchaudio": (lambda: kaldi(as_tensor), sound_s),
        "auditory": (lambda: pretrained.auditory(at_32k, mobilenet.RATE_HZ, hops_ms), sound_s),
        "auditory, of 16 kHz": (lambda: pretrained.auditory(at_16k, 16_000, hops_ms), sound_s),
        "auditory, 320 ms only": (lambda: pretrained.auditory(at_32k, mobilenet.RATE_HZ), sound_s),
        "visual": (lambda: pretrained.visual(pictures), PICTURES),
    }


@torch.inference_mode()
def rows(repeats: int) -> list[dict]:
    """One row per contender and number of threads: amount per second of elapsed time, and per second of CPU time."""
    calls = contenders()
    if not pretrained.available():
        print("auditory: left out, the weights of mn04_as are not on this machine")
        calls = {name: call for name, call in calls.items() if not name.startswith("auditory")}
    found = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        best = {name: [float("inf"), float("inf")] for name in calls}
        with mock.patch("os.cpu_count", return_value=threads):  # which the thread pools ask for
            for k in range(repeats + 1):  # the first round also loads weights
                for name, (call, _) in calls.items():
                    clock, cores = time.perf_counter(), time.process_time()
                    call()
                    took = time.perf_counter() - clock, time.process_time() - cores
                    best[name] = [min(a, b) for a, b in zip(best[name], took, strict=True)] if k else best[name]
        found += [
            {
                "name": name,
                "threads": threads,
                "a_second": amount / best[name][0],
                "a_cpu_second": amount / best[name][1],
            }
            for name, (_, amount) in calls.items()
        ]
    return found


@torch.inference_mode()
def judged(found: list[dict]) -> dict[str, float]:
    """The numbers to report beside the rows; some of them have a bar."""
    of = {(row["name"], row["threads"]): row["a_second"] for row in found}
    x = torch.from_numpy(waves(mobilenet.RATE_HZ)[:2])
    reached = {f"front end over torchaudio, {n} thread{'s' * (n > 1)}":
               of["front end", n] / of["front end, torchaudio", n] for n in THREADS}  # fmt: skip
    reached["front end, largest difference of mean levels"] = float(
        (front_end(x).mean(1) - kaldi(x).mean(1)).abs().max()
    )
    if ("auditory", 2) in of:
        reached["auditory, times real time, 2 threads"] = of["auditory", 2]
    return reached


def table(found: list[dict], reached: dict[str, float]) -> str:
    """All rows as aligned text."""
    lines = [f"{'':24}{'threads':>8}{'per second':>12}{'per CPU s':>14}   (seconds of sound; pictures)"]
    for row in found:
        lines.append(f"{row['name']:24}{row['threads']:8}{row['a_second']:12.0f}{row['a_cpu_second']:14.0f}")
    for name, value in reached.items():
        bar = f"  (bar: at least {BARS[name]:g}, {'met' if value >= BARS[name] else 'missed'})" if name in BARS else ""
        lines.append(f"{name:46}{value:10.3g}{bar}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    found = rows(chosen.repeats)
    reached = judged(found)
    print(table(found, reached))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "cores": os.cpu_count(), "clips": CLIPS, "length_s": LENGTH_S}
        about |= {"pictures": PICTURES, "picture_px": PICTURE_PX, "bars": BARS, "reached": reached, "rows": found}
        chosen.json.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
