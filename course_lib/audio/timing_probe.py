"""`timing`, `timing10s`: classes that differ only in fine temporal structure, so the resolution they need is known.

Every clip is gated white noise, scaled to unit energy. Gated white noise has a flat expected power spectrum whatever
the gate, so the two classes of a task share their long-term spectrum, their energy, and how their starts and levels are
drawn. What differs is *when* the energy arrives. With f the `fineness_ms` of a task:

| task    | the two classes                                                     | at f = 10 ms                     |
|---------|---------------------------------------------------------------------|----------------------------------|
| `gap`   | two clicks of f/2 with a silence of f, or of 2f, between them       | `gap_10ms`, `gap_20ms`           |
| `am`    | 0.5 s with a sawtooth amplitude of period 4f, rising or falling     | `am_rising_40ms`, `am_falling_…` |
| `order` | a burst of f, a silence of f, a burst of 2f, or the reverse         | `order_10_20ms`, `order_20_10ms` |

The clicks are independent pieces of noise: two equal ones would act as a comb filter, and the spectrum would reveal the
gap without any timing. The modulations are time reversals of each other rather than a slow and a fast one, which a
window of fixed length would smooth to different degrees at any hop. (Ramped and damped sounds: Patterson, J. Acoust.
Soc. Am. 96, 1994, p. 1409.)

A clip of `timing` has 1 s, one of `timing10s` has 10 s with the same background: the same events, ten times rarer.

The classes match in the mean over time of *power*. The mean of log power does depend on timing: it grows with the
number of frames that contain any energy.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from course_lib.audio.timebase import seconds_to_samples

# Version of the clips, part of their `content`. Raise it when the clips of a table change; a test pins their samples.
TIMING_VERSION = 1
RATE_HZ = 16_000
LENGTH_S = 1.0
LONG_S = 10.0  # of the clips of `timing10s`
FOLDS = 5
FINENESS_MS = {"gap": 5.0, "am": 10.0, "order": 20.0}  # an octave apart: tasks are lost one by one as the hop grows
TASKS = tuple(FINENESS_MS)
FINENESS_RANGE_MS = (0.25, 50.0)  # below, a click lasts under two samples; above, `am` has few periods
AM_LENGTH_S = 0.5
AM_SPREAD = 0.25  # of the period: a constant one would show through aliasing at hops far too long
BACKGROUND_DB = -30.0  # energy of a second of background relative to the gated noise
LEVEL_DB = (-12.0, -1.0)


def needed_resolution_ms(task: str, fineness_ms: float | None = None) -> float:
    """The longest hop in ms, with a window no longer, that resolves what distinguishes the two classes of `task`.

    By construction it is f: the shorter silence of `gap`; the silence and the shorter burst of `order`; half the period
    of the second harmonic of `am`, the lowest that distinguishes rising from falling. A random forest on frame energies
    classifies 96 to 100 % of the clips correctly at a hop of f/2, 83 to 99 % at f, and is at chance at 8f.
    `fineness_ms=None` takes the default of the task.

    Raises
    ------
    ValueError
        There is no such task, or its fineness is out of range.
    """
    if task not in TASKS:
        raise ValueError(f"timing task {task!r} is unknown; choose from {', '.join(TASKS)}")
    chosen_ms = FINENESS_MS[task] if fineness_ms is None else float(fineness_ms)
    if not FINENESS_RANGE_MS[0] <= chosen_ms <= FINENESS_RANGE_MS[1]:
        raise ValueError(f"fineness_ms must be within {FINENESS_RANGE_MS}, got {chosen_ms}")
    return chosen_ms


def timing_table(
    clips_per_class: int = 100, seed: int = 0, *, tasks: Sequence[str] = TASKS, fineness_ms: float | None = None
) -> pd.DataFrame:
    """One row per clip: `clip`, `label`, `fold` (1 to 5), `source`, `task`, and what is needed to regenerate it.

    `tasks` chooses among `gap`, `am` and `order`; `fineness_ms` sets one f for all of them in place of each task's own.
    Every clip is its own source. A smaller set is the beginning, class by class, of a larger one. With the defaults,
    recognising only the task of a clip gives an accuracy of one half.

    Raises
    ------
    ValueError
        Fewer than one clip per class, an unknown task, a fineness out of range.
    """
    if clips_per_class < 1:
        raise ValueError(f"clips_per_class must be at least 1, got {clips_per_class}")
    classes = pd.DataFrame(
        [(task, needed_resolution_ms(task, fineness_ms), variant) for task in tasks for variant in (0, 1)],
        columns=["task", "fineness_ms", "variant"],
    )
    classes.insert(0, "label", [_label(row.task, row.fineness_ms, row.variant) for row in classes.itertuples()])
    table = classes.merge(pd.DataFrame({"number": np.arange(clips_per_class)}), how="cross")
    clip = table["label"] + "-" + table["number"].astype(str).str.zfill(4)
    table.insert(0, "clip", clip)
    table.insert(2, "fold", table["number"] % FOLDS + 1)
    table.insert(3, "source", clip)
    return table.assign(seed=seed)


def timing_events(table: pd.DataFrame, length_s: float = LENGTH_S) -> pd.DataFrame:
    """The bursts of noise, one per clip for `am`, otherwise two: columns `clip`, `onset_s`, `offset_s`, `label`.

    `length_s` is the length of the clips.
    """
    bursts = [_bursts_s(row, length_s) for row in table.itertuples()]
    each = table.loc[table.index.repeat([len(b) for b in bursts]), ["clip", "label"]].reset_index(drop=True)
    onset_s, offset_s = np.concatenate(bursts).T
    return pd.DataFrame({"clip": each["clip"], "onset_s": onset_s, "offset_s": offset_s, "label": each["label"]})


def timing_waves(table: pd.DataFrame, length_s: float = LENGTH_S) -> np.ndarray:
    """The clips in `table` at 16 kHz, shape `(clips, samples)`, float32 within ±1. About 1 ms per second of sound."""
    waves = np.empty((len(table), seconds_to_samples(length_s, RATE_HZ)), dtype=np.float32)
    for wave, row in zip(waves, table.itertuples(), strict=True):
        wave[:] = _clip(row, length_s)
    return waves


def _clip(row, length_s: float) -> np.ndarray:
    """One clip, shape `(samples,)`, float64."""
    rng = _rng(row, part=1)
    times_s = np.arange(seconds_to_samples(length_s, RATE_HZ)) / RATE_HZ
    starts_s, ends_s = _bursts_s(row, length_s).T[..., np.newaxis]
    gate = np.any((times_s >= starts_s) & (times_s < ends_s), axis=0).astype(float)
    if row.task == "am":
        period_s = 4 * row.fineness_ms / 1000 * (1 + rng.uniform(-AM_SPREAD, AM_SPREAD))
        rising = (times_s / period_s + rng.uniform()) % 1
        gate *= 1 - rising if row.variant else rising
    level_db = rng.uniform(*LEVEL_DB)
    sound, background = rng.standard_normal((2, len(times_s)))
    # With unit energy no sample can exceed 1, however short the gate
    faint = 10 ** (BACKGROUND_DB / 20) * np.sqrt(length_s)  # as faint however long the clip
    x = _unit_energy(sound * gate) + faint * _unit_energy(background)
    return 10 ** (level_db / 20) * _unit_energy(x)


def _bursts_s(row, length_s: float) -> np.ndarray:
    """Start and end of each burst of a clip in seconds, shape `(bursts, 2)`, at a random place in the clip."""
    f_s = row.fineness_ms / 1000
    patterns_s = {
        "gap": f_s * np.array([[[0, 0.5], [1.5, 2]], [[0, 0.5], [2.5, 3]]]),
        "order": f_s * np.array([[[0, 1], [2, 4]], [[0, 2], [3, 4]]]),
        "am": np.array([[[0, AM_LENGTH_S]]] * 2),
    }[row.task]
    latest_s = length_s - patterns_s.max()  # of both classes: the start must not distinguish them
    return patterns_s[row.variant] + _rng(row, part=0).uniform(0, latest_s)


def _label(task: str, fineness_ms: float, variant: int) -> str:
    """Name of a class, with the milliseconds of its pattern."""
    first, second = fineness_ms * (1 + variant), fineness_ms * (2 - variant)
    return {
        "gap": f"gap_{first:g}ms",
        "am": f"am_{('rising', 'falling')[variant]}_{4 * fineness_ms:g}ms",
        "order": f"order_{first:g}_{second:g}ms",
    }[task]


def _unit_energy(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.sum(x**2))


def _rng(row, part: int) -> np.random.Generator:
    """The generator for the place (part 0) or the noise (part 1) of a clip."""
    key = (TASKS.index(row.task), row.variant, row.number, part)
    return np.random.default_rng(np.random.SeedSequence(row.seed, spawn_key=key))
