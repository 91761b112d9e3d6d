"""Speed of the course's training step against the plain loop of any tutorial: same network, clips and batch.

    python bench/train.py [--json FILE] [--steps 10] [--repeats 3] [--hop-ms 20]

`plain` is float32 in torch's default memory layout with torch's default threads, one process on all cores. The course
uses one thread per worker, channels-last memory, bf16 where the CPU computes in it, and a C library that keeps freed
memory; once with one worker, and once with one for every core, all running at the same time. `textbook` is `plain` with
pooling after normalisation and ReLU, as most tutorials order them: another network of the same size. Every contender
runs in fresh processes, in turns, and the fastest of its repeats counts. Accuracy is that on the validation fold of
synth10 after 200 steps.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

CLIPS, BATCH, MELS, LENGTH_S = 64, 16, 64, 5.0
CONTENDERS = ("textbook", "plain", "course_lib")
ACCURACY_STEPS = 200
# Read by the C library when a process starts: each step frees and allocates the same hundreds of megabytes
KEPT = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}


def network(contender: str, n_classes: int = 10):
    """The course's CNN in the memory layout, and with the order of layers, of the contender."""
    import torch
    from torch import nn

    from course_lib.models import cnn

    class Plain(cnn.CNN):
        """Like `CNN`, without any memory layout."""

        def forward(self, x):
            over_time = self.blocks(x[:, None]).mean(3)
            return self.head(over_time.mean(2) + over_time.amax(2))

    torch.manual_seed(0)
    net = (cnn.CNN if contender == "course_lib" else Plain)(n_classes)
    if contender == "textbook":
        for place, block in enumerate(net.blocks):
            net.blocks[place] = nn.Sequential(*sorted(block, key=lambda part: isinstance(part, nn.MaxPool2d)))
    return net


def clips_a_second(contender: str, n_steps: int, hop_ms: float) -> float:
    """Clips per second through training steps in this process."""
    import numpy as np
    import torch

    from course_lib.audio.features import FeatureSpec
    from course_lib.training import supervised

    spec = FeatureSpec(hop_ms=hop_ms, n_mels=MELS)
    frames = spec.frame_count(int(LENGTH_S * spec.rate_hz))
    x = np.random.default_rng(0).normal(-40, 10, (CLIPS, frames, MELS)).astype(np.float32)
    y = np.arange(CLIPS) % 10
    net, warm = network(contender), 2
    if contender == "course_lib":
        recipe = supervised.Recipe(
            steps=n_steps + warm, batch_size=BATCH, n_evals=1, roll=False, spec_augment=False, mixup=0.0
        )
        start = None

        def begin(module, given):  # the first steps also choose kernels: the clock starts after them
            nonlocal start, seen
            seen += 1
            if seen == warm + 1:
                start = time.perf_counter()

        seen = 0
        net.register_forward_pre_hook(begin)
        examples = supervised.Split(x, y, 10)
        fitted = supervised.fit(net, examples, supervised.Split(x[:1], y[:1], 10), recipe, spec)
        assert fitted.history
        return n_steps * BATCH / (time.perf_counter() - start)
    x, y = torch.tensor(x), torch.tensor(y)
    optimiser = torch.optim.AdamW(net.parameters())
    for step in range(n_steps + warm):
        if step == warm:
            start = time.perf_counter()
        chosen = torch.randint(CLIPS, (BATCH,))
        loss = torch.nn.functional.cross_entropy(net((x[chosen] + 40) / 10), y[chosen])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return n_steps * BATCH / (time.perf_counter() - start)


def validation_accuracy(contender: str) -> dict:
    """Validation accuracy in % on synth10 and its interval by source, trained as the contender trains."""
    import numpy as np

    from course_lib import profiles
    from course_lib.audio.features import FeatureSpec
    from course_lib.data import folds
    from course_lib.data.clips import features
    from course_lib.data.load import load
    from course_lib.evaluation import intervals
    from course_lib.training import supervised

    clips, spec = load("synth10", profiles.get("lesson")), FeatureSpec(hop_ms=20)
    x, (learnt, judged, _) = features(clips, spec), folds.split(clips, 1)
    parts = [supervised.Split(x[mask], clips.targets[mask], len(clips.classes)) for mask in (learnt, judged)]
    precision = "auto" if contender == "course_lib" else "fp32"
    recipe = supervised.Recipe(steps=ACCURACY_STEPS, batch_size=BATCH, precision=precision)
    fitted = supervised.fit(network(contender), *parts, recipe, spec)
    right = supervised.predict(fitted.model, parts[1].x, precision=fitted.precision).argmax(1) == parts[1].y
    found = intervals.accuracy_by_source(np.asarray(right), clips.table["source"].to_numpy()[judged]).scaled(100)
    return {"mean": found.mean, "low": found.low, "high": found.high, "precision": fitted.precision}


def measured(contender: str, workers: int, task: list[str]) -> list:
    """What `task` returns in each of `workers` processes that run at the same time."""
    environment = os.environ | ({"OMP_NUM_THREADS": "1"} | KEPT if contender == "course_lib" else {})
    command = [sys.executable, __file__, "--contender", contender, *task]
    running = [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(workers)]
    answers = [process.communicate()[0] for process in running]
    if any(process.returncode for process in running):
        raise SystemExit(f"{contender}: a process failed")
    return [json.loads(answer.splitlines()[-1]) for answer in answers]


def rows(n_steps: int, repeats: int, hop_ms: float) -> list[dict]:
    """One row per contender: clips per second, the ratio per core to `plain`, that to one core of it, accuracy."""
    cores = os.cpu_count() or 1
    arms = [("textbook", 1, cores), ("plain", 1, cores), ("course_lib", 1, 1), ("course_lib", cores, cores)]
    best = dict.fromkeys(arms, 0.0)
    for _ in range(repeats):
        for arm in arms:
            together = sum(measured(arm[0], arm[1], ["--steps", str(n_steps), "--hop-ms", str(hop_ms)]))
            best[arm] = max(best[arm], together)
    accuracy = {name: measured(name, 1, ["--accuracy"])[0] for name in CONTENDERS}
    plain_a_core = best[arms[1]] / cores
    return [
        {"name": name, "workers": workers, "cores": used, "clips_a_second": best[name, workers, used],
         "ratio_a_core": best[name, workers, used] / used / plain_a_core,
         "ratio_to_one_core": best[name, workers, used] / plain_a_core, "accuracy": accuracy[name]}
        for name, workers, used in arms
    ]  # fmt: skip


def table(found: list[dict]) -> str:
    """The rows as aligned text."""
    lines = [f"{'':26}{'clips/s':>9}{'per core':>9}{'ratio / core':>14}{'accuracy % (95 %)':>24}"]
    for row in found:
        name = f"{row['name']}, {row['workers']} worker{'s' * (row['workers'] > 1)}"
        a = row["accuracy"]
        speed = row["clips_a_second"]
        lines.append(
            f"{name:26}{speed:9.1f}{speed / row['cores']:9.1f}{row['ratio_a_core']:14.2f}"
            f"{a['mean']:10.1f} ({a['low']:.1f} to {a['high']:.1f}) {a['precision']}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--hop-ms", type=float, default=20.0)
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--accuracy", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.contender:
        answer = (
            validation_accuracy(chosen.contender)
            if chosen.accuracy
            else clips_a_second(chosen.contender, chosen.steps, chosen.hop_ms)
        )
        print(json.dumps(answer))
        return
    found = rows(chosen.steps, chosen.repeats, chosen.hop_ms)
    print(table(found))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "batch": BATCH, "steps": chosen.steps, "hop_ms": chosen.hop_ms}
        chosen.json.write_text(json.dumps(about | {"rows": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
