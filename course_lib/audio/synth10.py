"""`synth10`: an embedded data set of ten procedural classes, named after those of ESC-10, that needs no download.

A *source* is one draw of every range in `SOUNDS`, with one room, one microphone and one kind of background; its *takes*
differ only in timing and noise, like neighbouring pieces of one recording. A clip depends only on (seed, class, source,
take), so any part of the set equals the same rows of the whole.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.random import Generator
from scipy.fft import irfft, rfft, rfftfreq
from scipy.integrate import cumulative_trapezoid
from scipy.signal import iirpeak, lfilter, oaconvolve
from tqdm import tqdm

from course_lib.audio.timebase import seconds_to_samples

# Each class is a function of a generator, a score and explicit parameters
RATE_HZ = 16_000
LENGTH_S = 5.0
HIGHEST_HZ = 7500  # closer to half the rate, a resonator no longer works as one


@dataclass(frozen=True)
class Score:
    """When the events of a clip happen, for every sample.

    Attributes
    ----------
    times_s : time of each sample, shape `(samples,)`.
    starts_s, ends_s : the events, shape `(events,)`, in order and without overlap.
    event : index of the latest event begun, shape `(samples,)`; 0 before the first.
    part : share of that event that has passed, 0 to 1 inside it, outside that range elsewhere. Shape `(samples,)`.
    """

    times_s: np.ndarray
    starts_s: np.ndarray
    ends_s: np.ndarray
    event: np.ndarray
    part: np.ndarray

    @property
    def active(self) -> np.ndarray:
        """True for the samples inside an event."""
        return (self.part >= 0) & (self.part < 1)

    def envelope(self, attack: float) -> np.ndarray:
        """A linear rise over the share `attack` of each event, times the fall of a quarter cosine; 0 outside."""
        shape = np.minimum(self.part / attack, 1) * np.cos(np.pi / 2 * np.clip(self.part, 0, 1))
        return np.where(self.active, shape, 0)

    def vary(self, rng: Generator, spread: float) -> np.ndarray:
        """One random factor near 1 per event, constant while it lasts, shape `(samples,)`."""
        return np.exp(spread * rng.standard_normal(len(self.starts_s)))[self.event]


def score(starts_s: np.ndarray, ends_s: np.ndarray) -> Score:
    """The `Score` of a clip whose events last from `starts_s` to `ends_s`."""
    times_s = np.arange(seconds_to_samples(LENGTH_S, RATE_HZ)) / RATE_HZ
    event = np.maximum(np.searchsorted(starts_s, times_s, side="right") - 1, 0)
    part = (times_s - starts_s[event]) / (ends_s - starts_s)[event]
    return Score(times_s, starts_s, ends_s, event, part)


def coloured_noise(rng: Generator, n_samples: int, db_per_octave: float) -> np.ndarray:
    """Noise of unit power whose spectrum falls or rises by `db_per_octave`; 0 white, -3 pink, -6 brown."""
    return _unit_power(tilted(rng.standard_normal(n_samples, dtype=np.float32), db_per_octave))


def tilted(x: np.ndarray, db_per_octave: float) -> np.ndarray:
    """`x` with its spectrum tilted by `db_per_octave`: gain 0 dB at 1 kHz, constant below 60 Hz."""
    freqs_hz = np.maximum(rfftfreq(len(x), 1 / RATE_HZ), 60)
    gain = (freqs_hz / 1000) ** (db_per_octave / (20 * np.log10(2)))
    return irfft(rfft(x.astype(np.float32)) * gain.astype(np.float32), len(x))  # twice as fast as float64


def voice(f0_hz: np.ndarray, times_s: np.ndarray, brightness: float) -> np.ndarray:
    """Harmonics of a gliding pitch, amplitudes proportional to `brightness ** k`: a geometric series in closed form."""
    phase = 2 * np.pi * cumulative_trapezoid(f0_hz, times_s, initial=0)
    return np.sin(phase) * (1 - brightness**2) / (1 - 2 * brightness * np.cos(phase) + brightness**2)


def resonate(x: np.ndarray, centres_hz: list[float], q: float) -> np.ndarray:
    """`x` through parallel resonators of quality `q`, each half as strong as the one before."""
    peaks = [iirpeak(min(centre_hz, HIGHEST_HZ), q, fs=RATE_HZ) for centre_hz in centres_hz]
    return sum(0.5**k * lfilter(b, a, x) for k, (b, a) in enumerate(peaks))


def impulses(times_s: np.ndarray, at_s: np.ndarray, heights: np.ndarray) -> np.ndarray:
    """Single samples of `heights` at the times `at_s`, zeros elsewhere."""
    at = np.minimum(np.floor(at_s * RATE_HZ + 0.5).astype(np.int64), len(times_s) - 1)
    return np.bincount(at, weights=heights, minlength=len(times_s))


def poisson_times_s(rng: Generator, rate_per_s: float, length_s: float) -> np.ndarray:
    """Times of the events of a Poisson process, unsorted."""
    return rng.uniform(0, length_s, rng.poisson(rate_per_s * length_s))


def _unit_power(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt(np.mean(x**2) + 1e-20)


def dog(rng: Generator, score: Score, *, pitch_hz: float, tract: float, breath: float) -> np.ndarray:
    """Barks: a glottis whose pitch jumps up and falls, with breath, through a vocal tract."""
    f0_hz = pitch_hz * score.vary(rng, 0.06) * (0.7 + 0.5 * np.sin(np.pi * np.sqrt(np.clip(score.part, 0, 1))))
    glottis = voice(f0_hz, score.times_s, 0.85) + breath * rng.standard_normal(len(f0_hz))
    loud = score.envelope(0.12) ** 1.5 * score.vary(rng, 0.2)
    return resonate(glottis * loud, [tract * f for f in (700, 1500, 2900)], 3)


def rain(rng: Generator, score: Score, *, drops_per_s: float, drop_hz: float, hiss: float) -> np.ndarray:
    """Poisson drops that each ring for milliseconds, over the hiss of drops too many and too distant to hear singly."""
    at_s = poisson_times_s(rng, drops_per_s, score.times_s[-1])
    drops = impulses(score.times_s, at_s, rng.lognormal(0, 0.8, len(at_s)))
    ringing = resonate(drops, [drop_hz, 1.7 * drop_hz, 0.6 * drop_hz], 8)
    return _unit_power(ringing) + hiss * coloured_noise(rng, len(ringing), 1.0)


def sea_waves(rng: Generator, score: Score, *, period_s: float, depth_db: float, foam: float) -> np.ndarray:
    """Noise that swells and ebbs every few seconds, brighter at the crest, where the wave breaks."""
    cycles = score.times_s / period_s + rng.uniform() + 0.1 * np.sin(score.times_s * rng.uniform(0.5, 1.5))
    crest = np.sin(np.pi * (cycles % 1) ** 0.6) ** 2  # rises faster than it ebbs
    surge = 10 ** (depth_db * (crest - 1) / 20)
    body = coloured_noise(rng, len(crest), -5.0)
    return surge * (body + foam * crest * coloured_noise(rng, len(crest), 0.0))


def crying_baby(
    rng: Generator, score: Score, *, pitch_hz: float, tract: float, vibrato: float, hoarse: float
) -> np.ndarray:
    """Long vowels whose pitch rises and falls in an arc, with a trembling voice."""
    arc = 0.8 + 0.3 * np.sin(np.pi * np.clip(score.part, 0, 1)) ** 0.7
    tremble = 1 + vibrato * np.sin(2 * np.pi * 6 * score.times_s)
    f0_hz = pitch_hz * arc * tremble * score.vary(rng, 0.05)
    glottis = voice(f0_hz, score.times_s, 0.88) + hoarse * rng.standard_normal(len(f0_hz))
    return resonate(glottis * score.envelope(0.1), [tract * f for f in (1100, 1900, 3600)], 4)


def clock_tick(rng: Generator, score: Score, *, case_hz: float, q: float, uneven: float) -> np.ndarray:
    """Blows on a small case: three strongly damped resonances; every second blow is weaker."""
    n_blows = len(score.starts_s)
    heights = np.where(np.arange(n_blows) % 2, 1 - uneven, 1) + 0.05 * rng.standard_normal(n_blows)
    blows = impulses(score.times_s, score.starts_s, heights)
    return resonate(blows, [case_hz, 1.63 * case_hz, 2.4 * case_hz], q)


def sneeze(rng: Generator, score: Score, *, pitch_hz: float, tract: float, voiced: float, inhale: float) -> np.ndarray:
    """A breath drawn in, growing; a short hold; then a burst of noise over a falling voice."""
    part = np.clip(score.part, 0, 1)
    drawn = np.where(part < 0.5, part / 0.5, 0) * score.active
    after = np.clip((part - 0.55) / 0.45, 0, 1)
    burst = np.minimum(after / 0.06, 1) * (1 - after) ** 1.5 * score.active
    breath = resonate(inhale * drawn * rng.standard_normal(len(part)), [tract * 1800.0], 1.5)
    spray = resonate(burst * rng.standard_normal(len(part)), [tract * f for f in (2600, 1300, 5000)], 1.2)
    vowel = voice(pitch_hz * (1.3 - 0.6 * after), score.times_s, 0.8) * burst
    return breath + spray + voiced * resonate(vowel, [tract * f for f in (600, 1200)], 3)


def helicopter(
    rng: Generator, score: Score, *, blade_hz: float, slap_s: float, body_hz: float, turbine: float
) -> np.ndarray:
    """Blades slap the air at a steady rate: low noise in a pulse train, under the rush of the turbine."""
    drift = 1 + 0.02 * np.sin(score.times_s * rng.uniform(0.5, 2))
    cycle = (cumulative_trapezoid(blade_hz * drift, score.times_s, initial=0) + rng.uniform()) % 1
    slap = np.exp(-cycle / (blade_hz * slap_s))
    distance = 10 ** (rng.uniform(-6, 6) * (score.times_s / score.times_s[-1] - 0.5) / 20)  # comes or goes
    blades = _unit_power(resonate(slap * coloured_noise(rng, len(slap), -3.0), [body_hz, 3 * body_hz], 1))
    return distance * (blades + turbine * coloured_noise(rng, len(slap), -1.0))


def chainsaw(rng: Generator, score: Score, *, idle_hz: float, revs: float, bite_hz: float, grit: float) -> np.ndarray:
    """A two-stroke engine: a train of explosions whose rate climbs and drops as it revs, with chain noise in each."""
    revving = np.sin(np.pi * (score.times_s / rng.uniform(1.5, 4) + rng.uniform())) ** 2
    uneven = 1 + 0.03 * np.repeat(rng.standard_normal(len(revving) // 200 + 1), 200)[: len(revving)]
    f0_hz = idle_hz * (1 + revs * revving) * uneven
    engine = voice(f0_hz, score.times_s, 0.93)
    teeth = grit * rng.standard_normal(len(revving)) * (0.3 + np.abs(engine)) * (0.4 + revving)
    return (0.5 + revving) * resonate(engine + teeth, [bite_hz, 2.3 * bite_hz, 4.1 * bite_hz], 1.5)


def rooster(rng: Generator, score: Score, *, pitch_hz: float, tract: float, rasp: float) -> np.ndarray:
    """Cock-a-doodle-doo: two short notes, a long one that climbs, a longer one that sinks."""
    glide_at = [0, 0.10, 0.15, 0.24, 0.30, 0.52, 0.60, 0.75, 1]
    glide = np.interp(score.part, glide_at, [0.7, 0.8, 0.9, 1, 1, 1.25, 1.15, 1.1, 0.65])
    beak_at = [0, 0.02, 0.09, 0.10, 0.15, 0.17, 0.23, 0.24, 0.30, 0.32, 0.51, 0.53, 0.58, 0.60, 0.9, 1]
    beak = np.interp(score.part, beak_at, [0, 0.7, 0.7, 0, 0, 0.8, 0.8, 0, 0, 1, 1, 0, 0, 1, 0.6, 0])
    f0_hz = pitch_hz * glide * score.vary(rng, 0.04)
    syrinx = voice(f0_hz, score.times_s, 0.8) * (1 + rasp * rng.standard_normal(len(glide)))
    return resonate(syrinx * beak, [tract * f for f in (1300, 2500, 4000)], 2.5)


def crackling_fire(
    rng: Generator, score: Score, *, clicks_per_s: float, power: float, wood_hz: float, rumble: float
) -> np.ndarray:
    """Poisson clicks whose heights follow a power law (few loud, many faint), over a low flicker of flames."""
    at_s = poisson_times_s(rng, clicks_per_s, score.times_s[-1])
    heights = np.minimum(1 + rng.pareto(power, len(at_s)), 60) * rng.choice([-1, 1], len(at_s))
    clicks = resonate(impulses(score.times_s, at_s, heights), [wood_hz, 2.2 * wood_hz], 1.5)
    flicker = 1 + 0.4 * np.sin(2 * np.pi * 3 * score.times_s + rng.uniform(0, 6) + 2 * np.sin(2 * score.times_s))
    return _unit_power(clicks) + rumble * flicker * coloured_noise(rng, len(clicks), -5.0)


@dataclass(frozen=True)
class Pace:
    """How the events of a class follow one another; both ranges are sampled uniformly on a logarithmic scale.

    `lasting_s` is the length of one event, `pause_s` the silence after it, `spread` how far a take deviates from the
    source's lengths, and `n_events` the range of the number of events in a clip, as far as they fit.
    """

    lasting_s: tuple[float, float]
    pause_s: tuple[float, float]
    spread: float
    n_events: tuple[int, int]


@dataclass(frozen=True)
class Sound:
    """A class: its model, the range of each parameter (sampled uniformly on a logarithmic scale), and its events.

    Without a pace the sound fills the clip as a single event.
    """

    make: Callable[..., np.ndarray]
    ranges: dict[str, tuple[float, float]]
    pace: Pace | None = None


SOUNDS = {
    "dog": Sound(
        dog,
        {"pitch_hz": (220, 800), "tract": (0.7, 1.5), "breath": (0.1, 0.6)},
        Pace(lasting_s=(0.1, 0.35), pause_s=(0.12, 0.9), spread=0.25, n_events=(1, 8)),
    ),
    "rain": Sound(
        rain,
        {"drops_per_s": (60, 1500), "drop_hz": (1200, 4000), "hiss": (0.3, 2)},
    ),
    "sea_waves": Sound(
        sea_waves,
        {"period_s": (2.5, 7), "depth_db": (8, 24), "foam": (0.2, 1.5)},
    ),
    "crying_baby": Sound(
        crying_baby,
        {"pitch_hz": (300, 600), "tract": (0.8, 1.25), "vibrato": (0.005, 0.04), "hoarse": (0.03, 0.4)},
        Pace(lasting_s=(0.4, 1.3), pause_s=(0.15, 0.6), spread=0.25, n_events=(1, 5)),
    ),
    "clock_tick": Sound(
        clock_tick,
        {"case_hz": (900, 3500), "q": (4, 25), "uneven": (0.05, 0.6)},
        Pace(lasting_s=(0.04, 0.07), pause_s=(0.15, 0.9), spread=0.01, n_events=(50, 50)),
    ),
    "sneeze": Sound(
        sneeze,
        {"pitch_hz": (150, 450), "tract": (0.75, 1.3), "voiced": (0.3, 3), "inhale": (0.1, 0.4)},
        Pace(lasting_s=(0.6, 1.4), pause_s=(0.5, 1.5), spread=0.15, n_events=(1, 2)),
    ),
    "helicopter": Sound(
        helicopter,
        {"blade_hz": (9, 25), "slap_s": (0.008, 0.025), "body_hz": (80, 400), "turbine": (0.1, 1)},
    ),
    "chainsaw": Sound(
        chainsaw,
        {"idle_hz": (50, 120), "revs": (0.3, 1.5), "bite_hz": (300, 1000), "grit": (0.1, 0.8)},
    ),
    "rooster": Sound(
        rooster,
        {"pitch_hz": (350, 900), "tract": (0.8, 1.3), "rasp": (0.05, 0.5)},
        Pace(lasting_s=(1.2, 2.4), pause_s=(0.6, 1.5), spread=0.1, n_events=(1, 2)),
    ),
    "crackling_fire": Sound(
        crackling_fire,
        {"clicks_per_s": (8, 120), "power": (1.1, 2.2), "wood_hz": (800, 3000), "rumble": (0.2, 1.5)},
    ),
}

# Version of the clips, part of their `content`. Raise it when the clips of a table change; a test pins their samples.
SYNTH10_VERSION = 1
LABELS = tuple(SOUNDS)
FOLDS = 5
SNR_DB = (-3.0, 20.0)  # sound to background while the sound lasts: the main control of difficulty
BACKGROUND_DB_PER_OCTAVE = (-7.0, 2.0)  # from traffic, steeper than brown noise, to hiss
TILT_DB_PER_OCTAVE = (-4.0, 4.0)  # of the microphone and the distance
REVERBERATION_S = (0.08, 0.6)  # time in which the reverberation decays by 60 dB
LEVEL_DB = (-20.0, -1.0)  # peak of the finished clip relative to full scale


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
    """One row per clip: `clip`, `label`, `fold` (1 to 5), `source`, `take`, and `number` and `seed` to regenerate it.

    Sources come in rounds of five, one per fold, and each source of a round has 1, 2, 3, 1, 2, 3, ... takes: every
    source lies in one fold, the folds of a class differ by at most one clip, and a smaller set is the beginning of a
    larger one.

    Raises
    ------
    ValueError
        Fewer than one clip per class.
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


def synth10_events(table: pd.DataFrame) -> pd.DataFrame:
    """Strong labels of the clips in `table`: columns `clip`, `onset_s`, `offset_s`, `label`.

    Rain, sea, helicopter, chainsaw and fire sound throughout and are one event each. An offset is where the dry sound
    ends; its resonances and the room ring on.
    """
    rows = []
    for row in table.itertuples():
        source = draw_source(row.label, row.number, row.seed)
        timing = _rng(row.seed, row.label, row.number, row.take, 0)
        starts_s, ends_s = plan_events(timing, SOUNDS[row.label].pace, source)
        rows.append(pd.DataFrame({"clip": row.clip, "onset_s": starts_s, "offset_s": ends_s, "label": row.label}))
    return pd.concat(rows, ignore_index=True)


def synth10_waves(table: pd.DataFrame) -> np.ndarray:
    """The clips in `table` at 16 kHz, 5 s each, shape `(clips, samples)`, float32 within ±1. About 35 ms per clip."""
    waves = np.empty((len(table), seconds_to_samples(LENGTH_S, RATE_HZ)), dtype=np.float32)
    # The bar appears after a second, so that quick jobs show none, and never in logs and executed notebooks
    bar = tqdm(table.itertuples(), "synth10", len(table), delay=1, disable=None, unit="clip")
    for wave, row in zip(waves, bar, strict=True):
        wave[:] = _clip(row)
    return waves


def draw_source(label: str, number: int, seed: int) -> Source:
    """Source `number` of the class `label`."""
    rng, sound = _rng(seed, label, number), SOUNDS[label]
    parameters = {name: _log_uniform(rng, limits) for name, limits in sound.ranges.items()}
    mean_s = None
    if sound.pace is not None:
        mean_s = _log_uniform(rng, sound.pace.lasting_s), _log_uniform(rng, sound.pace.pause_s)
    return Source(
        parameters=parameters,
        mean_s=mean_s,
        snr_db=rng.uniform(*SNR_DB),
        level_db=rng.uniform(*LEVEL_DB),
        background_db_per_octave=rng.uniform(*BACKGROUND_DB_PER_OCTAVE),
        tilt_db_per_octave=rng.uniform(*TILT_DB_PER_OCTAVE),
        room=_room(rng, _log_uniform(rng, REVERBERATION_S), echo=rng.uniform(0.1, 1)),
    )


def plan_events(rng: np.random.Generator, pace: Pace | None, source: Source) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends of a take's events in seconds, at least one, in order, without overlap, within the clip."""
    if pace is None:
        return np.zeros(1), np.full(1, LENGTH_S)
    n_planned = rng.integers(*pace.n_events, endpoint=True)
    means_s = np.array(source.mean_s)[:, np.newaxis]
    lasts_s, pauses_s = means_s * np.exp(pace.spread * rng.standard_normal((2, n_planned)))
    ends_s = np.cumsum(lasts_s + pauses_s) - pauses_s
    n_fit = max(1, np.searchsorted(ends_s, LENGTH_S, side="right"))
    events_s = np.array([ends_s - lasts_s, np.minimum(ends_s, LENGTH_S)])[:, :n_fit]
    return tuple(np.clip(events_s + rng.uniform(0, LENGTH_S - events_s[1, -1]), 0, LENGTH_S))  # clips rounding errors


def _clip(row) -> np.ndarray:
    """One clip, float64: the sound in its room and the background at the source's SNR, both through the microphone."""
    sound, source = SOUNDS[row.label], draw_source(row.label, row.number, row.seed)
    timing, noise = (_rng(row.seed, row.label, row.number, row.take, part) for part in range(2))
    laid = score(*plan_events(timing, sound.pace, source))
    dry = sound.make(noise, laid, **source.parameters)
    wet = oaconvolve(dry, source.room)[: len(dry)]
    wet /= np.sqrt(np.mean(wet[laid.active] ** 2))  # the SNR is that while the sound lasts, without the silence
    background = coloured_noise(noise, len(wet), source.background_db_per_octave)
    x = tilted(10 ** (source.snr_db / 20) * wet + background, source.tilt_db_per_octave)
    return x * 10 ** (source.level_db / 20) / np.max(np.abs(x))


def _room(rng: np.random.Generator, reverberation_s: float, echo: float) -> np.ndarray:
    """Impulse response: the direct sound, then noise that decays exponentially, with `echo` times its energy."""
    n_samples = seconds_to_samples(reverberation_s, RATE_HZ)
    tail = rng.standard_normal(n_samples) * 10 ** (-3 * np.linspace(0, 1, n_samples))
    response = np.sqrt(echo / np.sum(tail**2)) * tail
    response[0] = 1
    return response


def _log_uniform(rng: np.random.Generator, limits: tuple[float, float]) -> float:
    """A draw from `limits`, uniform on a logarithmic scale."""
    return float(np.exp(rng.uniform(*np.log(limits))))


def _rng(seed: int, label: str, number: int, *take: int) -> np.random.Generator:
    """The generator of a source, or of one part of a take. Its key is numbers, so it is the same everywhere."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(LABELS.index(label), number, *take)))
