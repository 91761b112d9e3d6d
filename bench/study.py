"""Speed of the study's engine: rows per minute with one and two workers, and what it adds to a row run by itself.

    python bench/study.py [--json FILE] [--workers 1 2] [--rows 12] [--steps 60] [--repeats 4]

All run the same rows, which differ only in their seed, on the CPU with one thread each and the allocator settings of
the engine's workers, from features computed before the clock starts. The contenders take turns, and the fastest repeat
counts, because another process can only slow a run down. What the engine adds is measured in one process by timing
`run_one` and its checkpoints: a difference between two loops would be lost in 2 % of noise. Rows per minute are
reported with the start of the workers and without it, that is, once each worker has delivered its first row: in a grid
of hours the start does not matter.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

HOP_MS, CLIPS_PER_CLASS = 40.0, 20


def made_rows(n_rows: int, steps: int) -> list:
    """Runs of one size that differ only in their seed."""
    from course_lib.audio.features import FeatureSpec
    from course_lib.study.config import RunSpec
    from course_lib.training.supervised import Recipe

    chosen = {"features": FeatureSpec(hop_ms=HOP_MS), "recipe": Recipe(steps=steps), "clips_per_class": CLIPS_PER_CLASS}
    return [RunSpec("synth10", 1, seed, **chosen) for seed in range(n_rows)]


@contextmanager
def clocked(module: ModuleType, name: str, seconds: list[float]) -> Iterator[None]:
    """Append to `seconds`, inside the `with` block, the duration of every call of the function `name` of `module`."""
    function = getattr(module, name)

    def with_clock(*given, **named):
        start = time.perf_counter()
        try:
            return function(*given, **named)
        finally:
            seconds.append(time.perf_counter() - start)

    setattr(module, name, with_clock)
    try:
        yield
    finally:
        setattr(module, name, function)


def ends_s(specs: list, workers: int) -> list[float]:
    """Seconds after the start of `run_grid` at which each row was delivered, in order."""
    from course_lib.study import engine

    ends: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        records = engine.run_grid(
            specs, Path(folder), jobs=workers, device="cpu", on_done=lambda _: ends.append(time.perf_counter() - start)
        )
    if any(record["status"] != "done" for record in records):
        sys.exit(f"a row failed: {next(r['error'] for r in records if r['status'] != 'done')}")
    return ends


def rates(specs: list, workers: int) -> dict:
    """Rows per minute with this many workers, with their start and once each has delivered a row."""
    ends = ends_s(specs, workers)
    steady = 60 * (len(ends) - workers) / (ends[-1] - ends[workers - 1])
    return {"workers": workers, "rows_a_minute": steady, "with_start": 60 * len(ends) / ends[-1]}


def fastest_rates(specs: list, workers: list[int], repeats: int) -> list[dict]:
    """`rates` of each number of workers, the fastest of `repeats`, taken in turns, with the ratio to the first."""
    taken = [[rates(specs, n) for n in workers] for _ in range(repeats)]
    fastest = [{name: max(turn[k][name] for turn in taken) for name in taken[0][k]} for k in range(len(workers))]
    return [row | {"ratio": row["rows_a_minute"] / fastest[0]["rows_a_minute"]} for row in fastest]


def overhead(specs: list, repeats: int) -> dict:
    """Seconds per row in `run_one` without its checkpoints, and seconds beyond that: the lowest of `repeats`."""
    from course_lib.study import clip_run
    from course_lib.training import checkpoint

    alone, added = [], []
    for _ in range(repeats):
        in_row, kept = [], []
        with clocked(clip_run, "run_one", in_row), clocked(checkpoint, "write_if_due", kept):
            whole = ends_s(specs, 1)[-1]
        alone.append((sum(in_row) - sum(kept)) / len(specs))
        added.append((whole - sum(in_row) + sum(kept)) / len(specs))
    return {"by_itself_s": min(alone), "added_s": min(added), "overhead": min(added) / min(alone)}


def table(added: dict, rows: list[dict]) -> str:
    """The numbers as aligned text."""
    lines = [
        f"a row by itself {added['by_itself_s']:.2f} s, the engine {1000 * added['added_s']:.0f} ms more: "
        f"{100 * added['overhead']:.1f} %",
        f"{'workers':>8}{'rows / minute':>15}{'ratio':>7}{'with their start':>18}",
    ]
    lines += [
        f"{row['workers']:8}{row['rows_a_minute']:15.1f}{row['ratio']:7.2f}{row['with_start']:18.1f}" for row in rows
    ]
    return "\n".join(lines)


def as_a_worker() -> None:
    """Restart this process in the environment of a worker: settings of threads and memory are read when it starts."""
    from course_lib.study.engine import WORKER_ENVIRONMENT

    if not WORKER_ENVIRONMENT.items() <= os.environ.items():
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | WORKER_ENVIRONMENT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rows", type=int, default=12, help="rows in each measurement of speed; more than workers")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=4)
    chosen = parser.parse_args()
    as_a_worker()
    specs = made_rows(chosen.rows, chosen.steps)
    ends_s(specs[:1], 1)  # makes the features and imports what the first row imports
    added = overhead(specs, chosen.repeats)
    rows = fastest_rates(specs, chosen.workers, chosen.repeats)
    print(table(added, rows))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "hop_ms": HOP_MS, "clips_per_class": CLIPS_PER_CLASS}
        about |= {"steps": chosen.steps, "rows_each": chosen.rows, "repeats": chosen.repeats}
        chosen.json.write_text(json.dumps(about | {"engine": added, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
