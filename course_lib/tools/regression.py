"""Expected values: what a notebook should record, and whether it did.

`tests/expected/<profile>.json` holds `{data set: {notebook: {"provenance": {...}, "metrics": {name: expectation}}}}`.
An expectation has a `kind` (see `display.record`): `exact` and `rel` compare with one `value`; `band` holds `low` and
`high`, measured over seeds, and the `step` of a share of clips; `effect` is a band with `mean` and `sd` over seeds,
from which `display.conclude` knows whether the effect is clear. A notebook without an entry for a data set is not
judged by its numbers there.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from course_lib.errors import CourseError
from course_lib.lesson import expected
from course_lib.lesson.display import OF_SEEDS
from course_lib.paths import atomic_write

MIN_SEEDS = 5


@dataclass(frozen=True)
class Verdict:
    """One metric beside what was expected of it. `ok` is None where nothing was expected."""

    name: str
    shown: str
    expected: str
    ok: bool | None


def expectations(profile: str, dataset: str, notebook: str) -> dict[str, dict] | None:
    """Expectations for one notebook on one data set, by metric; None where there are none."""
    entry = expected.stored(profile).get(dataset, {}).get(notebook)
    return entry["metrics"] if entry else None


def minutes(profile: str, dataset: str, notebook: str) -> str:
    """Minutes that one notebook took where its expected values were measured; empty where they were not."""
    entry = expected.stored(profile).get(dataset, {}).get(notebook)
    return f"{entry['provenance']['minutes']:.1f}" if entry else ""


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def judge_metric(name: str, found: Mapping | None, wanted: Mapping | None) -> Verdict:
    """Verdict on one metric: `found` as recorded (None: missing), `wanted` as expected (None: unknown)."""
    if found is None:
        return Verdict(name, "missing", _expectation_text(wanted), False)
    shown = f"{_text(found['value'])} {found['unit']}".rstrip()
    if found["kind"] == "info":
        return Verdict(name, shown, "not judged", None)
    if wanted is None:
        return Verdict(name, shown, "none on file", False)
    return Verdict(name, shown, _expectation_text(wanted), _meets(found["value"], wanted))


def _meets(value: object, wanted: Mapping) -> bool:
    if wanted["kind"] == "exact" or isinstance(value, str):
        return value == wanted["value"]
    if wanted["kind"] == "rel":
        return math.isclose(value, wanted["value"], rel_tol=wanted["rel"], abs_tol=1e-300)
    return wanted["low"] <= value <= wanted["high"]


def _expectation_text(wanted: Mapping) -> str:
    if wanted["kind"] in OF_SEEDS:
        spread = f", mean {_text(wanted['mean'])} ± {_text(wanted['sd'])}" if wanted["kind"] == "effect" else ""
        return f"{_text(wanted['low'])} to {_text(wanted['high'])}{spread}"
    return _text(wanted["value"]) + (f" ± {wanted['rel']:.0e} of it" if wanted["kind"] == "rel" else "")


def judge_all(found: Mapping[str, Mapping], wanted: Mapping[str, Mapping] | None) -> list[Verdict]:
    """Verdicts on everything recorded and everything expected. Without expectations nothing is judged."""
    if wanted is None:
        return [
            Verdict(n, f"{_text(f['value'])} {f['unit']}".rstrip(), "no values on file", None) for n, f in found.items()
        ]
    names = list(found) + [name for name in wanted if name not in found]
    return [judge_metric(name, found.get(name), wanted.get(name)) for name in names]


def band(values: Sequence[float], step: float = 0.0) -> tuple[float, float]:
    """Interval into which one more seed falls 99 times in 100, if the seeds so far show the spread.

    It extends to either side by at least a thousandth of the mean and one `step`, the smallest change of the value:
    even a value that no seed changes may differ by one clip on another machine.

    Source: prediction interval for one normal observation, mean ± t(0.995, n-1) s sqrt(1 + 1/n).

    Raises
    ------
    CourseError
        Fewer than five values: the spread would be a guess.
    """
    if len(values) < MIN_SEEDS:
        raise CourseError(f"a band needs at least {MIN_SEEDS} seeds, got {len(values)}")
    from scipy import stats  # takes seconds to import, and only an authors' command needs it

    mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
    half = float(stats.t.ppf(0.995, len(values) - 1)) * spread * math.sqrt(1 + 1 / len(values))
    half = max(half, 1e-3 * abs(mean), step * (1 + 1e-9))  # slightly more, or rounding would fail a value one step away
    return mean - half, mean + half


def measure(per_seed: Sequence[Mapping[str, Mapping]], earlier: Mapping[str, Mapping] | None = None) -> dict[str, dict]:
    """Expectations, by metric, from what one notebook recorded in several runs, one per seed.

    Bands and effects also take in the values of `earlier`, expectations that were measured on another machine.

    Raises
    ------
    CourseError
        A metric that should not depend on the seed does, or one is missing in a run.
    """
    expectations, on_file = {}, earlier or {}
    for name, first in per_seed[0].items():
        if first["kind"] == "info":
            continue
        if any(name not in run for run in per_seed):
            raise CourseError(f"{name!r} is recorded with some seeds but not with others")
        values = [run[name]["value"] for run in per_seed]
        entry = {"kind": first["kind"], "unit": first["unit"]}
        if first["kind"] in OF_SEEDS:
            step = max(run[name].get("step", 0.0) for run in per_seed)
            values = [*on_file.get(name, {}).get("values", []), *values]
            low, high = band(values, step)
            entries = {"low": low, "high": high, "values": values} | ({"step": step} if step else {})
            if first["kind"] == "effect":
                entries |= {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}
        else:
            if any(not _meets(v, {**first, "value": values[0]}) for v in values):
                raise CourseError(f"{name!r} is recorded as {first['kind']} but changes with the seed: {values}")
            entries = {"value": values[0]} | ({"rel": first["rel"]} if first["kind"] == "rel" else {})
        expectations[name] = entry | entries
    return expectations


def unclear_effects(metrics: Mapping[str, Mapping]) -> list[str]:
    """One line per effect whose mean lies within three standard deviations of zero, so that a run may not show it."""
    return [
        f"{name} is {_text(m['mean'])} {m['unit']} with a standard deviation of {_text(m['sd'])} over seeds"
        for name, m in metrics.items()
        if m["kind"] == "effect" and not expected.is_clear(m["mean"], m)
    ]


def store(profile: str, dataset: str, notebook: str, metrics: Mapping, provenance: Mapping) -> Path:
    """Put one notebook's expectations into the file of `profile`; the rest of the file stays."""
    path, everything = expected.expected_path(profile), expected.stored(profile)
    everything.setdefault(dataset, {})[notebook] = {"provenance": dict(provenance), "metrics": dict(metrics)}
    path.parent.mkdir(parents=True, exist_ok=True)
    ordered = {d: dict(sorted(everything[d].items())) for d in sorted(everything)}
    atomic_write(path, json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    return path
