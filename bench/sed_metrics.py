"""Speed of the course's detection scores against sed_eval's, on the same lists and with the same results.

    python bench/sed_metrics.py [--json FILE] [--repeats 5] [--files 200 1000]

Files of 10 s with 4 events from 10 classes, and an estimate with late, wrong, missing and invented events. The course
takes tables; sed_eval gets lists of dictionaries file by file, as its users have them, prepared before the clock
starts. First, both must return the same numbers. CPU time of one thread counts, the contenders take turns, and the
fastest of the repeats is reported.
"""

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

CLIP_S, SEGMENT_S, COLLAR_S, RATIO = 10.0, 1.0, 0.2, 0.2
EVENTS, CLASSES = 4, [f"class {k}" for k in range(10)]
BAR = 5.0
RATES = ("error_rate", "substitution_rate", "deletion_rate", "insertion_rate")


def lists(n_files: int) -> tuple:
    """Reference and estimate for this many files, as tables."""
    import numpy as np
    import pandas as pd

    rng, n = np.random.default_rng(0), n_files * EVENTS
    onset = rng.uniform(0, 0.9 * CLIP_S, n)
    reference = pd.DataFrame({
        "filename": np.repeat([f"{k:05d}.wav" for k in range(n_files)], EVENTS), "onset": onset,
        "offset": np.minimum(onset + rng.exponential(2, n), CLIP_S), "event_label": rng.choice(CLASSES, n),
    })  # fmt: skip
    begun = np.clip(onset + rng.normal(0, 0.15, n), 0, CLIP_S)
    estimated = reference.assign(
        onset=begun, offset=np.clip(reference["offset"] + rng.normal(0, 0.2, n), begun, CLIP_S)
    )
    estimated["event_label"] = np.where(rng.random(n) < 0.3, rng.choice(CLASSES, n), estimated["event_label"])
    more = estimated[rng.random(n) < 0.2]
    more = more.assign(event_label=rng.choice(CLASSES, len(more)), offset=np.minimum(more["offset"] + 0.1, CLIP_S))
    return reference, pd.concat([estimated[rng.random(n) > 0.2], more]).drop_duplicates(ignore_index=True)


def ours(reference, estimated) -> dict[str, Callable]:
    """The course's scores as calls."""
    from course_lib.evaluation.detection import event_based_f1, segment_based_f1

    return {
        "segment": lambda: segment_based_f1(reference, estimated, CLASSES, CLIP_S, SEGMENT_S),
        "event": lambda: event_based_f1(reference, estimated, CLASSES, COLLAR_S, COLLAR_S, RATIO),
    }


def theirs(reference, estimated) -> dict[str, Callable]:
    """Those of sed_eval."""
    sys.modules.setdefault("pkg_resources", ModuleType("pkg_resources"))  # imported, not used, and gone from setuptools
    from sed_eval import sound_event

    by_file = [{k: x.to_dict("records") for k, x in table.groupby("filename")} for table in (reference, estimated)]
    files = sorted(by_file[0].keys() | by_file[1].keys())
    pairs = [tuple(found.get(name, []) for found in by_file) for name in files]

    def judged(judge, **more) -> dict:
        for pair in pairs:
            judge.evaluate(*pair, **more)
        return judge.results()

    return {
        "segment": lambda: judged(
            sound_event.SegmentBasedMetrics(CLASSES, time_resolution=SEGMENT_S), evaluated_length_seconds=CLIP_S
        ),
        "event": lambda: judged(
            sound_event.EventBasedMetrics(CLASSES, t_collar=COLLAR_S, percentage_of_length=RATIO)
        ),
    }  # fmt: skip


def difference(found, judged: dict) -> float:
    """Largest difference between any of our numbers and sed_eval's."""
    overall, by_class = judged["overall"], judged["class_wise"]
    pairs = [(found.micro_f1, overall["f_measure"]["f_measure"]), (found.micro_recall, overall["f_measure"]["recall"])]
    pairs += [(found.macro_f1, judged["class_wise_average"]["f_measure"]["f_measure"])]
    pairs += [(getattr(found, name), overall["error_rate"][name]) for name in RATES]
    for label, row in found.by_class.iterrows():
        pairs += [(row["f1"], by_class[label]["f_measure"]["f_measure"])]
        pairs += [(row["error_rate"], by_class[label]["error_rate"]["error_rate"])]
    return max(abs(a - b) for a, b in pairs)


def seconds(calls: dict[str, Callable], repeats: int) -> dict[str, float]:
    """Lowest CPU time in s of one call of each, the calls in turns."""
    least = dict.fromkeys(calls, math.inf)
    for _ in range(repeats):
        for name, call in calls.items():
            begun = time.process_time()
            call()
            least[name] = min(least[name], time.process_time() - begun)
    return least


def compared(n_files: int, repeats: int) -> list[dict]:
    """One row per score: first the numbers must agree, then the times are taken."""
    given = lists(n_files)
    contenders = {"course_lib": ours(*given), "sed_eval": theirs(*given)}
    rows = []
    for score in ("segment", "event"):
        calls = {name: of[score] for name, of in contenders.items()}
        apart = difference(*(call() for call in calls.values()))
        if not apart < 1e-12:
            sys.exit(f"{score}, {n_files} files: numbers differ by {apart:.3g}, so their times cannot be compared")
        took = seconds(calls, repeats)
        rows.append({"files": n_files, "score": score, "milliseconds": {k: 1e3 * v for k, v in took.items()},
                     "times_as_fast": took["sed_eval"] / took["course_lib"], "difference": apart})  # fmt: skip
    return rows


def table(rows: list[dict]) -> str:
    """The rows as aligned text."""
    lines = [f"{'files':>6}  {'score':8}{'sed_eval':>14}{'course_lib':>14}{'ratio':>9}   largest difference"]
    for row in rows:
        ms = row["milliseconds"]
        lines.append(
            f"{row['files']:6}  {row['score']:8}{ms['sed_eval']:11.1f} ms{ms['course_lib']:11.1f} ms"
            f"{row['times_as_fast']:8.1f}x   {row['difference']:.1e}"
        )
    worst = min(row["times_as_fast"] for row in rows)
    lines.append(f"slowest of them: {worst:.1f}x  (bar: at least {BAR:g}, {'met' if worst >= BAR else 'missed'})")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the numbers here")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--files", type=int, nargs="+", default=[200, 1000])
    chosen = parser.parse_args()
    for library in ("OMP", "MKL", "OPENBLAS"):  # read once, when the libraries are imported below
        os.environ[f"{library}_NUM_THREADS"] = "1"
    rows = [row for n_files in chosen.files for row in compared(n_files, chosen.repeats)]
    print(table(rows))
    if chosen.json:
        from course_lib.provenance import provenance

        about = {"provenance": provenance(), "clip_s": CLIP_S, "events": EVENTS, "classes": len(CLASSES)}
        about |= {"segment_s": SEGMENT_S, "collar_s": COLLAR_S, "offset_ratio": RATIO, "repeats": chosen.repeats}
        chosen.json.write_text(json.dumps(about | {"bar": BAR, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
