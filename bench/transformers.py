"""Speed and memory of MAST against AST, and of AST against those of timm and transformers, all of base size.

    python bench/transformers.py [--json FILE] [--repeats 5]

Four clips of 500 frames and 128 mels, 50 classes. Forward in inference mode and a whole training step (forward,
backward, AdamW); the repeats alternate between the networks, and the lowest CPU time counts, on one thread and on two.
`timm` is its vision transformer with distillation token on as many patches, `transformers` its `ASTModel`; each is left
out if its package is not installed (pip install transformers). Memory is the peak of a process that makes a single
training step.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

# This file has the name of a package that it measures, and Python looks into a script's folder first
sys.path = [folder for folder in sys.path if Path(folder).resolve() != Path(__file__).resolve().parent]
CLIPS, FRAMES, MELS, CLASSES = 4, 500, 128, 50
BARS = {"AST over MAST, CPU time forward, 1 thread": 5.0, "AST over MAST, CPU time forward, 2 threads": 4.0}


class Patches(nn.Module):
    """Patches of 16 x 16 every 10, which timm's own layer does not offer."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, 768, 16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class Timm(nn.Module):
    """The vision transformer of timm on the patches of AST."""

    def __init__(self) -> None:
        super().__init__()
        import timm

        name = "deit_base_distilled_patch16_384"
        self.net = timm.create_model(name, pretrained=False, in_chans=1, num_classes=CLASSES)
        self.net.patch_embed = Patches()
        tokens = ((MELS - 16) // 10 + 1) * ((FRAMES - 16) // 10 + 1)
        self.net.pos_embed = nn.Parameter(torch.zeros(1, 2 + tokens, 768))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self.net(x.transpose(1, 2)[:, None])
        return sum(found) / 2 if isinstance(found, tuple) else found


class Transformers(nn.Module):
    """`ASTModel` of transformers with a head."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import ASTConfig, ASTForAudioClassification

        self.net = ASTForAudioClassification(ASTConfig(max_length=FRAMES, num_mel_bins=MELS, num_labels=CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x).logits


def network(name: str) -> nn.Module:
    """The contender `name` with fresh weights. Raises ImportError if its package is missing."""
    from course_lib.models.transformers import ast_base, mast_base

    torch.manual_seed(0)
    ours = {"AST": ast_base, "MAST": mast_base}
    return ours[name](FRAMES, MELS, CLASSES) if name in ours else {"timm": Timm, "transformers": Transformers}[name]()


def steps(name: str) -> dict[str, Callable[[], None]]:
    """Forward and training step of a contender, as calls."""
    net, x = network(name), torch.randn(CLIPS, FRAMES, MELS)
    optimiser, y = torch.optim.AdamW(net.parameters()), torch.arange(CLIPS)

    def forward() -> None:
        net.eval()
        with torch.inference_mode():
            net(x)

    def training() -> None:
        net.train()
        loss = functional.cross_entropy(net(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return {"forward": forward, "training step": training}


def cpu_seconds(names: list[str], threads: int, repeats: int) -> dict[str, dict[str, float]]:
    """Lowest CPU time in s of each contender's calls, in turns."""
    torch.set_num_threads(threads)
    calls = {name: steps(name) for name in names}
    least = {name: dict.fromkeys(found, float("inf")) for name, found in calls.items()}
    for k in range(repeats + 1):  # the first round also chooses kernels
        for name, found in calls.items():
            for what, call in found.items():
                begun = time.process_time()
                call()
                if k:
                    least[name][what] = min(least[name][what], time.process_time() - begun)
    return least


def megabytes(name: str) -> float:
    """Peak memory in MB of a process that makes one training step."""
    command = [sys.executable, __file__, "--memory", name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def installed(name: str) -> bool:
    try:
        network(name)
    except ImportError:
        return False
    return True


def rows(repeats: int) -> list[dict]:
    """One row per contender: parameters, MACs, CPU seconds on one and two threads, memory."""
    from course_lib.training import cost

    names = [name for name in ("AST", "MAST", "timm", "transformers") if installed(name)]
    took = {threads: cpu_seconds(names, threads, repeats) for threads in (1, 2)}
    found = []
    for name in names:
        net = network(name)
        seconds = {f"{what}, {n} thread{'s' * (n > 1)}": took[n][name][what] for n in took for what in took[n][name]}
        found.append({
            "name": name, "parameters": cost.parameters(net), "macs": cost.macs(net, FRAMES, MELS),
            "cpu_seconds": seconds, "megabytes": megabytes(name),
            "of_ast": {k: v / found[0]["cpu_seconds"][k] if found else 1.0 for k, v in seconds.items()},
        })  # fmt: skip
    return found


def judged(found: list[dict]) -> dict[str, float]:
    """The numbers that `BARS` are about."""
    of = {row["name"]: row["of_ast"] for row in found}
    return {
        "AST over MAST, CPU time forward, 1 thread": 1 / of["MAST"]["forward, 1 thread"],
        "AST over MAST, CPU time forward, 2 threads": 1 / of["MAST"]["forward, 2 threads"],
    }


def table(found: list[dict], reached: dict[str, float]) -> str:
    """All rows as aligned text."""
    kinds = list(found[0]["cpu_seconds"])
    lines = [f"{'':14}{'params':>9}{'GMACs':>8}" + "".join(f"{kind:>26}" for kind in kinds) + f"{'memory':>11}"]
    for row in found:
        cells = "".join(f"{row['cpu_seconds'][k]:13.2f} s ({row['of_ast'][k]:5.2f} AST)" for k in kinds)
        size = f"{row['name']:14}{row['parameters'] / 1e6:7.1f} M{row['macs'] / 1e9:8.2f}"
        lines.append(f"{size}{cells}{row['megabytes']:8.0f} MB")
    for name, bar in BARS.items():
        met = "met" if reached[name] >= bar else "missed"
        lines.append(f"{name:36} {reached[name]:5.2f}  (bar: at least {bar:g}, {met})")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--memory", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.memory:
        from course_lib.training import cost

        torch.set_num_threads(1)
        steps(chosen.memory)["training step"]()
        print(cost.peak_memory_mb("cpu"))
        return
    found = rows(chosen.repeats)
    reached = judged(found)
    print(table(found, reached))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "clips": CLIPS, "frames": FRAMES, "mels": MELS, "bars": BARS}
        chosen.json.write_text(json.dumps(about | {"reached": reached, "rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
