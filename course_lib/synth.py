"""`synth10`: an embedded data set of ten procedural classes, named after those of ESC-10, that needs no download.

A *source* is one draw of every range in `SOUNDS`, with one room, one microphone and one kind of background; its *takes*
differ in timing and noise alone, as neighbouring pieces of one recording do. A clip is a function of (seed, class,
source, take) and of nothing else, so any part of the set equals the same rows of the whole.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.signal import oaconvolve
from tqdm import tqdm

from course_lib.sounds import RATE_HZ, SOUNDS, Pace, coloured_noise, score, tilted
from course_lib.timebase import seconds_to_samples

# What the data set *is*: part of its `content`. Raise it when the clips of a table change; a test pins their samples.
SYNTH10_VERSION = 1
LABELS = tuple(SOUNDS)
FOLDS = 5
LENGTH_S = 5.0
SNR_DB = (-3.0, 20.0)  # sound against background while the sound lasts: the main control of difficulty
BACKGROUND_DB_PER_OCTAVE = (-7.0, 2.0)  # from traffic, browner than brown, to hiss
TILT_DB_PER_OCTAVE = (-4.0, 4.0)  # of the microphone and the distance
REVERBERATION_S = (0.08, 0.6)  # until 60 dB below the direct sound
LEVEL_DB = (-20.0, -1.0)  # highest sample of the finished clip against full scale


@dataclass(frozen=True)
class Source:
    """What all takes of a source share: parameters and pace of its sound, microphone, room and background."""

    parameters: dict[str, float]
    mean_s: tuple[float, float] | None  # of an event and of the pause after it
    snr_db: float
    level_db: float
    background_db_per_octave: float
    tilt_db_per_octave: float
    room: np.ndarray


def synth10_table(clips_per_class: int = 40, seed: int = 0) -> pd.DataFrame:
    """One row a clip: `clip`, `label`, `fold` (1 to 5), `source`, `take`, and `number` and `seed` to make it again.

    Sources come in rounds of five, one a fold, and the rounds have 1, 2, 3, 1, 2, 3, ... takes: every source lies in
    one fold, the folds of a class differ by at most one clip, and a smaller set is the beginning of a larger one.

    Raises
    ------
    ValueError
        Fewer than one clip a class.
    """
    if clips_per_class < 1:
        raise ValueError(f"clips_per_class must be at least 1, got {clips_per_class}")
    enough_rounds = range(-(-clips_per_class // FOLDS))
    turns = [(turn, take) for turn in enough_rounds for take in range(1, 2 + turn % 3)]
    places = [(FOLDS * turn + fold, take, fold + 1) for turn, take in turns for fold in range(FOLDS)]
    number, take, fold = np.tile(np.array(places[:clips_per_class]).T, len(LABELS))
    table = pd.DataFrame({"label": np.repeat(LABELS, clips_per_class), "fold": fold, "take": take, "number": number})
    table["source"] = table["label"] + "-" + table["number"].astype(str).str.zfill(3)
    table["clip"] = table["source"] + "-" + table["take"].astype(str)
    return table[["clip", "label", "fold", "source", "take", "number"]].assign(seed=seed)


def synth10_events(table: pd.DataFrame, length_s: float = LENGTH_S) -> pd.DataFrame:
    """Strong labels of the clips in `table`: columns `clip`, `onset_s`, `offset_s`, `label`.

    Rain, sea, helicopter, chainsaw and fire sound throughout and are one event each. An offset is where the dry sound
    ends; its resonances and the room ring on.
    """
    rows = []
    for row in table.itertuples():
        source = draw_source(row.label, row.number, row.seed)
        timing = _rng(row.seed, row.label, row.number, row.take, 0)
        starts_s, ends_s = plan_events(timing, SOUNDS[row.label].pace, source, length_s)
        rows.append(pd.DataFrame({"clip": row.clip, "onset_s": starts_s, "offset_s": ends_s, "label": row.label}))
    return pd.concat(rows, ignore_index=True)


def synth10_waves(
    table: pd.DataFrame, length_s: float = LENGTH_S, *, snr_db: tuple[float, float] = SNR_DB
) -> np.ndarray:
    """The clips in `table` at 16 kHz, shape `(clips, samples)`, float32 within ±1. About 35 ms a clip.

    `snr_db` is the range that the ratio of sound to background is drawn from; nothing else depends on it.
    """
    waves = np.empty((len(table), seconds_to_samples(length_s, RATE_HZ)), dtype=np.float32)
    # The bar waits a second, so that quick jobs leave no trace, and stays away from logs and executed notebooks
    bar = tqdm(table.itertuples(), "synth10", len(table), delay=1, disable=None, unit="clip")
    for wave, row in zip(waves, bar, strict=True):
        wave[:] = _clip(row, length_s, snr_db)
    return waves


def draw_source(label: str, number: int, seed: int, snr_db: tuple[float, float] = SNR_DB) -> Source:
    """The source of that number in that class."""
    rng, ranges, pace = _rng(seed, label, number), SOUNDS[label].ranges, SOUNDS[label].pace
    return Source(
        parameters={name: _log_uniform(rng, limits) for name, limits in ranges.items()},
        mean_s=pace and (_log_uniform(rng, pace.lasting_s), _log_uniform(rng, pace.pause_s)),
        snr_db=rng.uniform(*snr_db),
        level_db=rng.uniform(*LEVEL_DB),
        background_db_per_octave=rng.uniform(*BACKGROUND_DB_PER_OCTAVE),
        tilt_db_per_octave=rng.uniform(*TILT_DB_PER_OCTAVE),
        room=_room(rng, _log_uniform(rng, REVERBERATION_S), echo=rng.uniform(0.1, 1)),
    )


def plan_events(
    rng: np.random.Generator, pace: Pace | None, source: Source, length_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends in seconds of a take's events, in order and apart, all within the clip. At least one."""
    if pace is None:
        return np.zeros(1), np.full(1, length_s)
    n_planned = rng.integers(*pace.n_events, endpoint=True)
    means_s = np.array(source.mean_s)[:, np.newaxis]
    lasts_s, pauses_s = means_s * np.exp(pace.spread * rng.standard_normal((2, n_planned)))
    ends_s = np.cumsum(lasts_s + pauses_s) - pauses_s
    n_fit = max(1, np.searchsorted(ends_s, length_s, side="right"))
    events_s = np.array([ends_s - lasts_s, np.minimum(ends_s, length_s)])[:, :n_fit]
    return tuple(np.clip(events_s + rng.uniform(0, length_s - events_s[1, -1]), 0, length_s))  # of rounding errors


def _clip(row, length_s: float, snr_db: tuple[float, float]) -> np.ndarray:
    """One clip, float64: sound in its room, background at its distance below it, both through the microphone."""
    sound, source = SOUNDS[row.label], draw_source(row.label, row.number, row.seed, snr_db)
    timing, noise = (_rng(row.seed, row.label, row.number, row.take, part) for part in range(2))
    laid = score(*plan_events(timing, sound.pace, source, length_s), length_s)
    dry = sound.make(noise, laid, **source.parameters)
    wet = oaconvolve(dry, source.room)[: len(dry)]
    wet /= np.sqrt(np.mean(wet[laid.active] ** 2))  # the ratio holds while the sound lasts, not over the silence too
    background = coloured_noise(noise, len(wet), source.background_db_per_octave)
    x = tilted(10 ** (source.snr_db / 20) * wet + background, source.tilt_db_per_octave)
    return x * 10 ** (source.level_db / 20) / np.max(np.abs(x))


def _room(rng: np.random.Generator, reverberation_s: float, echo: float) -> np.ndarray:
    """Impulse response: the direct sound, then noise that decays exponentially, of `echo` times its energy."""
    n_samples = seconds_to_samples(reverberation_s, RATE_HZ)
    tail = rng.standard_normal(n_samples) * 10 ** (-3 * np.linspace(0, 1, n_samples))
    response = np.sqrt(echo / np.sum(tail**2)) * tail
    response[0] = 1
    return response


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A draw for which doubling is equally likely all along the range."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def _rng(seed: int, label: str, number: int, *take: int) -> np.random.Generator:
    """The generator of a source, or of one part of a take. Its key is numbers, no hash of text: the same everywhere."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(LABELS.index(label), number, *take)))
