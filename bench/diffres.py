"""Speed and memory of DiffRes against the published, dense method, and what the layer adds to a training step.

    python bench/diffres.py [--json FILE] [--repeats 9] [--device cpu]

First, widths, warp and merge of 8 clips of 128 mels, forward and backward. `published` is `bench/published_diffres.py`,
the formulas of the paper written out; both get the same clips and the same raw scores. Then a whole training step of
EfficientNet-B2 (forward, backward, AdamW) behind DiffRes, against the same behind average pooling to as many frames.
All use one thread and a C library that keeps freed memory, like the workers of the study. The repeats alternate between
the contenders, and the lowest time counts, on a CPU the lowest CPU time. Memory is what one step needs beyond what was
held before, on a CPU in a fresh process.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.nn import functional

from course_lib.study.engine import WORKER_ENVIRONMENT

CLIPS, MELS = 8, 128
LENGTHS, REDUCTIONS = (500, 1000, 2000, 4000), (0.25, 0.5, 0.75)
CONTENDERS = ("published", "course_lib")
REDUCERS = ("average", "diffres-light", "diffres")
BARS = {"speed at 500 frames": 3.0, "speed at 1000 frames": 5.0, "4000 frames against 1000": 5.0,
        "memory at 1000 frames, 25 % saved": 0.2, "step against average pooling": 1.05}  # fmt: skip


def merging(contender: str, n_frames: int, reduction: float, device: str = "cpu") -> Callable[[], None]:
    """One step of widths, warp and merge, forward and backward, as a call."""
    from course_lib.audio.timebase import out_frames
    from course_lib.models import diffres

    g, n_out = torch.Generator().manual_seed(0), out_frames(n_frames, reduction)
    x = (-9 + 3 * torch.randn(CLIPS, n_frames, MELS, generator=g)).to(device).requires_grad_()
    scores = (0.05 + 0.9 * torch.rand(CLIPS, n_frames, generator=g)).to(device).requires_grad_()

    def step() -> None:
        if contender == "course_lib":
            mean, peak = diffres.merge(x, diffres.rectify(scores, n_out), n_out)
        else:
            import published_diffres as published

            s = published.rescale(scores, n_out)
            mean, peak = published.dense_merge(x, published.dense_warp(s, n_out), reduction)
        (mean.sum() + peak.sum()).backward()
        x.grad = scores.grad = None

    return step


def training(frame_reducer: str, n_frames: int, reduction: float, device: str = "cpu") -> Callable[[], None]:
    """One training step of EfficientNet-B2 behind `frame_reducer`, as a call."""
    from torchvision.models import efficientnet_b2

    from course_lib.models import classifier

    torch.manual_seed(0)
    layer, net = (
        classifier.REDUCERS[frame_reducer](MELS, reduction).to(device),
        efficientnet_b2(num_classes=10).to(device),
    )
    optimiser = torch.optim.AdamW([*layer.parameters(), *net.parameters()])
    x = (-9 + 3 * torch.randn(CLIPS, n_frames, MELS)).to(device)
    y = (torch.arange(CLIPS) % 10).to(device)

    def step() -> None:
        picture = layer(x).features
        loss = functional.cross_entropy(net(picture.expand(-1, 3, -1, -1)), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def seconds(steps: dict[str, Callable[[], None]], repeats: int, device: str) -> dict[str, float]:
    """Lowest time in s of one call of each, the calls in turns."""
    gpu = device.startswith("cuda")
    clock, wait = (time.perf_counter, torch.cuda.synchronize) if gpu else (time.process_time, lambda: None)
    least = dict.fromkeys(steps, float("inf"))
    for step in steps.values():
        step()
    for _ in range(repeats):
        for name, step in steps.items():
            wait()
            begun = clock()
            step()
            wait()
            least[name] = min(least[name], clock() - begun)
    return least


def megabytes(contender: str, n_frames: int, reduction: float, device: str) -> float:
    """What one step needs beyond what was held before, in MB."""
    if device.startswith("cuda"):
        return _memory_here(contender, n_frames, reduction, device)
    asked = [sys.executable, __file__, "--device", device, "--memory", contender, str(n_frames), str(reduction)]
    return float(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)


def _memory_here(contender: str, n_frames: int, reduction: float, device: str) -> float:
    small, step = (merging(contender, frames, reduction, device) for frames in (16, n_frames))
    small()  # what torch loads with the first step does not belong to the method
    if device.startswith("cuda"):
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    before = _status_kb("VmRSS")
    step()
    return (_status_kb("VmHWM") - before) * 1024 / 1e6


def _status_kb(name: str) -> int:
    """One figure in kB of what Linux knows about this process. Its peak memory is that since the program started."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith(name))


def merge_rows(repeats: int, device: str) -> list[dict]:
    """One row per length and reduction: time and memory of both, and their ratios."""
    found = []
    for n_frames in LENGTHS:
        for reduction in REDUCTIONS:
            steps = {name: merging(name, n_frames, reduction, device) for name in CONTENDERS}
            took = seconds(steps, repeats, device)
            held = {name: megabytes(name, n_frames, reduction, device) for name in CONTENDERS}
            found.append({
                "frames": n_frames, "reduction": reduction, "milliseconds": {k: 1e3 * v for k, v in took.items()},
                "megabytes": held, "times_as_fast": took["published"] / took["course_lib"],
                "share_of_memory": held["course_lib"] / held["published"],
            })  # fmt: skip
    return found


def step_rows(repeats: int, device: str) -> list[dict]:
    """One row per length, reduction and frame reducer: time of a training step, and its ratio to average pooling."""
    found = []
    for n_frames, reduction in ((500, 0.25), (1000, 0.25), (1000, 0.5)):
        took = seconds({name: training(name, n_frames, reduction, device) for name in REDUCERS}, repeats, device)
        found += [
            {"frames": n_frames, "reduction": reduction, "frame_reducer": name, "milliseconds": 1e3 * took[name],
             "to_average": took[name] / took["average"]}
            for name in REDUCERS
        ]  # fmt: skip
    return found


def judged(merges: list[dict], steps: list[dict]) -> dict[str, float]:
    """The number that each of `BARS` is about: the worst reduction if none is named; for steps, the light scorer's."""
    at = {n: [row for row in merges if row["frames"] == n] for n in LENGTHS}
    grown = [
        long["milliseconds"]["course_lib"] / short["milliseconds"]["course_lib"]
        for long, short in zip(at[4000], at[1000], strict=True)
    ]
    return {
        "speed at 500 frames": min(row["times_as_fast"] for row in at[500]),
        "speed at 1000 frames": min(row["times_as_fast"] for row in at[1000]),
        "4000 frames against 1000": max(grown),
        "memory at 1000 frames, 25 % saved": next(r["share_of_memory"] for r in at[1000] if r["reduction"] == 0.25),
        "step against average pooling": max(
            row["to_average"] for row in steps if row["frame_reducer"] == "diffres-light"
        ),
    }


def table(merges: list[dict], steps: list[dict], reached: dict[str, float]) -> str:
    """All rows as aligned text."""
    lines = [f"frames  saved {'published':>12} {'course_lib':>12} {'ratio':>7} {'memory':>18}  share"]
    for row in merges:
        ms, mb = row["milliseconds"], row["megabytes"]
        lines.append(
            f"{row['frames']:6} {row['reduction']:6.0%} {ms['published']:9.1f} ms {ms['course_lib']:9.1f} ms "
            f"{row['times_as_fast']:6.1f}x {mb['published']:8.0f} {mb['course_lib']:6.0f} MB "
            f"{row['share_of_memory']:6.2f}"
        )
    lines.append("\nframes  saved  step of EfficientNet-B2 behind")
    for row in steps:
        lines.append(
            f"{row['frames']:6} {row['reduction']:6.0%}  {row['frame_reducer']:14} {row['milliseconds']:8.1f} ms "
            f"{row['to_average']:6.3f} of average"
        )
    lines.append("")
    for name, bar in BARS.items():
        least = name.startswith("speed")
        met = reached[name] >= bar if least else reached[name] <= bar
        wanted = f"at {'least' if least else 'most'} {bar:g}, {'met' if met else 'missed'}"
        lines.append(f"{name:30} {reached[name]:7.2f}  (bar: {wanted})")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--memory", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if any(name not in os.environ for name in WORKER_ENVIRONMENT):  # the C library reads it when a process starts
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | WORKER_ENVIRONMENT)
    torch.set_num_threads(1)
    if chosen.memory:
        contender, n_frames, reduction = chosen.memory
        print(_memory_here(contender, int(n_frames), float(reduction), chosen.device))
        return
    merges, steps = merge_rows(chosen.repeats, chosen.device), step_rows(chosen.repeats, chosen.device)
    reached = judged(merges, steps)
    print(table(merges, steps, reached))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "clips": CLIPS, "mels": MELS, "device": chosen.device, "bars": BARS}
        found = about | {"reached": reached, "merges": merges, "steps": steps}
        chosen.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
