"""Time of fixed hops and frame reducers, features included, in milliseconds per second of audio.

    python bench/frontier.py [--json FILE] [--repeats 15]

Clips of 5 s go through log-mel and classifier, one at a time and sixteen at once, on one thread and on two, in
inference mode. The repeats take all conditions in turns, and the lowest time counts. The number of multiply-accumulates
says what must be computed, not how long it takes: a layer of many small operations costs time that no count shows.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch

CLIP_S, CLASSES, MELS = 5.0, 10, 64
BATCHES, THREADS = (1, 16), (1, 2)
USUAL = ("cnn7", 10.0, "none")  # the baseline for all others
HOPS_MS = (2.5, 5.0, 10.0, 20.0, 40.0, 80.0)
FROM_10_MS = [
    f"{name}:{share}"
    for name in ("average", "uniform", "flux", "diffres-light", "diffres-contrast", "diffres")
    for share in (0.5, 0.75)
]
CONDITIONS = [
    *(("cnn7", hop_ms, "none") for hop_ms in HOPS_MS),
    *(("cnn7", 10.0, reducer) for reducer in (*FROM_10_MS, "diffres-light:0.25", "diffres-light:0.9")),
    *(("cnn7", 5.0, reducer) for reducer in ("diffres-light:0.5", "diffres-light:0.75")),
    *(("cnn7", 2.5, reducer) for reducer in ("diffres-light:0.75", "diffres-light:0.9")),
    *((model, 10.0, "none") for model in ("cnn9", "ast-tiny", "mast-tiny")),
]
BARS = {
    "half the frames, one clip, one thread, over all frames": 0.8,
    "half the frames, 16 clips, one thread, over all frames": 0.6,
}


def steps(model: str, hop_ms: float, reducer: str, batch: int) -> tuple[Callable[[], None], Callable[[], None], int]:
    """Two calls, the log-mels of a batch of clips and the classifier on them, and the MACs of the classifier."""
    from course_lib.audio.features import FeatureSpec, log_mel_torch
    from course_lib.models.classifier import classifier
    from course_lib.training import cost

    spec = FeatureSpec(hop_ms=hop_ms, n_mels=MELS)
    waves = 0.1 * torch.randn(batch, round(CLIP_S * spec.rate_hz), generator=torch.Generator().manual_seed(0))
    x = log_mel_torch(waves, spec)
    torch.manual_seed(0)
    net = classifier(model, CLASSES, reducer=reducer, n_mels=MELS, n_frames=x.shape[1], log=spec.log)
    net = net.eval().to(memory_format=torch.channels_last)
    return lambda: log_mel_torch(waves, spec), lambda: net(x), cost.macs(net, x.shape[1], MELS)


def measure(batch: int, repeats: int) -> list[dict]:
    """One row per condition: lowest milliseconds per second of audio, of features and of the network."""
    made = {condition: steps(*condition, batch) for condition in CONDITIONS}
    least = {condition: [float("inf"), float("inf")] for condition in CONDITIONS}
    with torch.inference_mode():
        for repeat in range(repeats + 1):
            for condition, (features, network, _) in made.items():
                for place, call in enumerate((features, network)):
                    begun = time.perf_counter()
                    call()
                    taken = 1000 * (time.perf_counter() - begun) / (batch * CLIP_S)
                    if repeat:  # the first round loads kernels
                        least[condition][place] = min(least[condition][place], taken)
    return [
        {
            "model": model, "hop_ms": hop_ms, "frame_reducer": reducer, "batch": batch,
            "threads": torch.get_num_threads(), "macs": made[model, hop_ms, reducer][2],
            "features_ms": features_ms, "network_ms": network_ms,
        }
        for (model, hop_ms, reducer), (features_ms, network_ms) in least.items()
    ]  # fmt: skip


def judged(rows: list[dict]) -> dict[str, float]:
    """The numbers that `BARS` are about: time of the network behind DiffRes, relative to all frames."""
    found = {}
    for name, batch in zip(BARS, BATCHES, strict=True):
        at = {
            row["frame_reducer"]: row["network_ms"]
            for row in rows
            if (row["model"], row["hop_ms"], row["batch"], row["threads"]) == (*USUAL[:2], batch, 1)
        }
        found[name] = at["diffres-light:0.5"] / at["none"]
    return found


def table(rows: list[dict]) -> str:
    """All rows as aligned text, the time of the network also as a share of the usual one."""
    usual = {(r["batch"], r["threads"]): r for r in rows if (r["model"], r["hop_ms"], r["frame_reducer"]) == USUAL}
    lines = ["batch threads model      hop (ms)  frame reducer          features   network  of 10 ms  MACs of 10 ms"]
    for row in rows:
        base = usual[row["batch"], row["threads"]]
        lines.append(
            f"{row['batch']:5} {row['threads']:7} {row['model']:10} {row['hop_ms']:8g}  {row['frame_reducer']:22}"
            f"{row['features_ms']:9.3f} {row['network_ms']:9.3f} {row['network_ms'] / base['network_ms']:9.2f}"
            f" {row['macs'] / base['macs']:14.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--repeats", type=int, default=15)
    chosen = parser.parse_args()
    rows = []
    for threads in THREADS:
        torch.set_num_threads(threads)
        for batch in BATCHES:
            rows += measure(batch, chosen.repeats)
    reached = judged(rows)
    print(table(rows))
    for name, bar in BARS.items():
        print(f"{name}: {reached[name]:.2f} (bar: at most {bar:g}, {'met' if reached[name] <= bar else 'missed'})")
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "clip_s": CLIP_S, "mels": MELS, "bars": BARS}
        chosen.json.write_text(json.dumps(about | {"reached": reached, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
