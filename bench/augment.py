"""Speed of the course's augmented copies and how far they move a click, against other libraries.

    python bench/augment.py [--json FILE] [--workers 1 2] [--repeats 3] [--clips 64]

All get the same clips of 5 s at 16 kHz and the same six transforms. librosa and audiomentations process clip by clip,
as their users do; the course spreads the clips over workers, which start with the first job and wait ten seconds for
the next. Nothing is cached. The contenders take turns in one process, and the fastest of their repeats counts, so that
a busy machine slows all of them alike. Each library uses its best-known default: librosa its phase vocoder,
audiomentations Signalsmith's preset.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

RATE_HZ, LENGTH_S = 16_000, 5.0
SEMITONES, SLOW, FAST, SHIFT, TRIM_DB = 2.0, 0.7, 1.2, 0.2, 40.0
JOBS = {
    "pitch": ("pitch_up",),
    "stretch": ("slow",),
    "NAA": ("pitch_up", "pitch_down", "slow", "fast", "shift", "trim"),
}
CLICKS, WITHIN_S = 40, 3.0  # a later click would be cut off by the slow transform
Make = Callable  # (names of transforms, waves) -> list of batches, one per transform


def noise(n_clips: int):
    """Waveforms `(clips, samples)`, float32."""
    import numpy as np

    return np.random.default_rng(0).uniform(-0.5, 0.5, (n_clips, int(LENGTH_S * RATE_HZ))).astype(np.float32)


def ours(count: int) -> Make:
    """The course's copies with at most `count` workers."""
    import pandas as pd

    from course_lib.audio.augment import naa
    from course_lib.data.augmented import make_copies
    from course_lib.data.clips import Clips

    chosen = naa(semitones=SEMITONES, largest_fraction=SHIFT, threshold_db=TRIM_DB)

    def make(names: Sequence[str], x) -> list:
        os.environ["LOKY_MAX_CPU_COUNT"] = str(count)
        table = pd.DataFrame({"clip": range(len(x)), "label": "noise", "fold": 1, "source": range(len(x))})
        clips = Clips("noise", table, LENGTH_S, RATE_HZ, "noise", lambda *_: x)
        return [make_copies(clips, name, chosen[name], 0, RATE_HZ) for name in names]

    return make


def one_by_one(transforms: dict[str, Callable]) -> Make:
    """Each of `transforms`, applied clip by clip."""
    return lambda names, x: [[transforms[name](y) for y in x] for name in names]


def librosa_loop(count: int) -> Make:
    import librosa
    import numpy as np

    rng = np.random.default_rng(0)
    largest = int(SHIFT * LENGTH_S * RATE_HZ)

    def shifted(y):
        return librosa.util.fix_length(np.pad(y, (largest, largest))[rng.integers(2 * largest) :], size=len(y))

    one = {
        "pitch_up": partial(librosa.effects.pitch_shift, sr=RATE_HZ, n_steps=SEMITONES),
        "pitch_down": partial(librosa.effects.pitch_shift, sr=RATE_HZ, n_steps=-SEMITONES),
        "slow": partial(librosa.effects.time_stretch, rate=SLOW),
        "fast": partial(librosa.effects.time_stretch, rate=FAST),
        "shift": shifted,
        "trim": lambda y: librosa.effects.trim(y, top_db=TRIM_DB)[0],
    }
    return one_by_one(one)


def audiomentations_loop(count: int) -> Make:
    import audiomentations as am

    one = {
        "pitch_up": am.PitchShift(SEMITONES, SEMITONES, p=1.0),
        "pitch_down": am.PitchShift(-SEMITONES, -SEMITONES, p=1.0),
        "slow": am.TimeStretch(SLOW, SLOW, leave_length_unchanged=False, p=1.0),
        "fast": am.TimeStretch(FAST, FAST, leave_length_unchanged=False, p=1.0),
        "shift": am.Shift(-SHIFT, SHIFT, rollover=False, p=1.0),
        "trim": am.Trim(TRIM_DB, p=1.0),
    }
    return one_by_one({name: partial(transform, sample_rate=RATE_HZ) for name, transform in one.items()})


CONTENDERS = {"course_lib": ours, "librosa": librosa_loop, "audiomentations": audiomentations_loop}


def build(names: list[str], workers: list[int]) -> dict[str, Make]:
    """Contenders, the course's once for each number of workers; and a line on stderr for each not installed."""
    built = {}
    for name in names:
        try:
            for count in workers if name == "course_lib" else [1]:
                built[f"{name}, {count} worker{'s' * (count > 1)}" if name == "course_lib" else name] = CONTENDERS[
                    name
                ](count)
        except ModuleNotFoundError as error:
            print(f"{name}: left out, {error.name} is not installed (it is in the group `bench`)", file=sys.stderr)
    return built


def times_ms(calls: dict[str, Make], n_clips: int, repeats: int) -> dict[str, dict[str, float]]:
    """Milliseconds per clip for each contender and job, the fastest of `repeats`, taken in turns."""
    x = noise(n_clips)
    best = {name: dict.fromkeys(JOBS, float("inf")) for name in calls}
    for turn in range(repeats + 1):  # the first turn imports and fills caches, and does not count
        for job, transforms in JOBS.items():
            for name, make in calls.items():
                start = time.perf_counter()
                make(transforms, x)
                taken = 1000 * (time.perf_counter() - start) / n_clips
                best[name][job] = min(best[name][job], taken) if turn else float("inf")
    return best


def moved_ms(make: Make) -> dict[str, float]:
    """Largest distance in ms of a click from where it belongs, over random places."""
    import numpy as np

    places = np.random.default_rng(1).integers(0, int(WITHIN_S * RATE_HZ), CLICKS)
    clicks = np.zeros((CLICKS, int(LENGTH_S * RATE_HZ)), np.float32)
    clicks[np.arange(CLICKS), places] = 0.9
    largest = {}
    for job, rate in (("pitch", 1.0), ("stretch", SLOW)):
        found = [int(np.abs(y).argmax()) for y in make(JOBS[job], clicks)[0]]
        largest[job] = float(1000 / RATE_HZ * np.abs(np.array(found) - places / rate).max())
    return largest


def table(rows: list[dict], n_clips: int) -> str:
    """The rows as aligned text."""
    titles = "".join(f"{f'{job}, ms per clip':>20}{'ratio':>7}" for job in JOBS)
    lines = [f"{n_clips} clips of {LENGTH_S:g} s at {RATE_HZ} Hz; ratio: time against course_lib with one worker"]
    lines += [f"{'':24}{titles}{'click moved, ms: pitch':>25}{'stretch':>9}"]
    for row in rows:
        numbers = "".join(f"{row['ms'][job]:20.1f}{row['ratio'][job]:7.2f}" for job in JOBS)
        lines += [f"{row['name']:24}{numbers}{row['moved_ms']['pitch']:25.2f}{row['moved_ms']['stretch']:9.2f}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clips", type=int, default=64)
    chosen = parser.parse_args()
    for library in ("OMP", "MKL", "OPENBLAS"):  # read once, when the libraries are imported below
        os.environ[f"{library}_NUM_THREADS"] = "1"
    calls = build(list(CONTENDERS), chosen.workers)
    ms = times_ms(calls, chosen.clips, chosen.repeats)
    first = ms[next(iter(calls))]
    rows = [
        {"name": name, "ms": ms[name], "ratio": {job: ms[name][job] / first[job] for job in JOBS},
         "moved_ms": moved_ms(make)}
        for name, make in calls.items()
    ]  # fmt: skip
    print(table(rows, chosen.clips))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "clips": chosen.clips, "length_s": LENGTH_S, "rate_hz": RATE_HZ}
        about |= {"repeats": chosen.repeats, "rows": rows}
        chosen.json.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
