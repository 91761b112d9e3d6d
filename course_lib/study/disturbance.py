"""What a trained network answers when the clips of its test fold are shifted, change in level, or get noise.

A row with `disturb = true` keeps these answers beside the usual ones. The plan is in study/protocol.md, *Shift and
noise*; `course_lib.analysis.disturbance` reads the rows.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from course_lib.audio import augment
from course_lib.audio.features import FeatureSpec, log_mel_torch
from course_lib.data.clips import Clips
from course_lib.training import supervised

N_SHIFTS = 16  # shifts of the sound, each a sixteenth of a hop later than the last, up to a whole hop
GAINS_DB = (-6.0, 6.0)
SNRS_DB = (20.0, 10.0, 0.0)
MOST_CLIPS = 200  # clips of a test fold that are disturbed, evenly spread over it
UNCHANGED = "unchanged"
NAMES = (
    UNCHANGED,
    *(f"shift {k}/{N_SHIFTS} hop" for k in range(N_SHIFTS + 1)),
    *(f"gain {gain_db:+g} dB" for gain_db in GAINS_DB),
    *(f"noise {snr_db:g} dB" for snr_db in SNRS_DB),
)


def answers(model: nn.Module, clips: Clips, test: np.ndarray, spec: FeatureSpec, *, precision: str) -> dict:
    """The columns of a row about disturbed clips: predicted classes for each of `NAMES`, on the same clips.

    `test` `(clips,)` is true for the clips of the test fold. Of these, at most `MOST_CLIPS` are taken. Lists:
    `disturbed_clips` and `disturbed_targets` have an entry per clip; `disturbed_predicted` has those of all clips for
    the first of `disturbed_names`, then for the second, and so on.
    """
    chosen = np.flatnonzero(test)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_CLIPS)).round().astype(int)]
    mask = np.isin(np.arange(len(clips)), chosen)
    waves = clips.where(mask).waves(spec.rate_hz)
    predicted: list[int] = []
    for _, disturbed in disturbances(waves, spec.hop_samples):
        with torch.inference_mode():
            x = log_mel_torch(torch.tensor(disturbed), spec).numpy()
        predicted += supervised.predict(model, x, precision=precision).argmax(1).tolist()
    return {
        "disturbed_names": list(NAMES),
        "disturbed_clips": clips.table["clip"][mask].astype(str).tolist(),
        "disturbed_targets": clips.targets[mask].tolist(),
        "disturbed_predicted": predicted,
    }


def disturbances(waves: np.ndarray, hop_samples: int) -> Iterator[tuple[str, np.ndarray]]:
    """Each of `NAMES` with the disturbed `waves` `(clips, samples)`, float32.

    For the shifts, every clip is made longer by a hop of silence. A shift moves this silence from the end to the
    beginning, so that no part of the clip is lost or put elsewhere; after a shift of one hop, a frame holds what the
    one before it held. The noise is white, and the same for a clip at every signal-to-noise ratio and every hop.
    """
    yield UNCHANGED, waves
    for k in range(N_SHIFTS + 1):
        before = round(k * hop_samples / N_SHIFTS)
        yield f"shift {k}/{N_SHIFTS} hop", np.pad(waves, ((0, 0), (before, hop_samples - before)))
    for gain_db in GAINS_DB:
        yield f"gain {gain_db:+g} dB", waves * np.float32(10 ** (gain_db / 20))
    for snr_db in SNRS_DB:
        generators = [np.random.default_rng([0, place]) for place in range(len(waves))]
        noisy = [augment.add_noise(wave, rng, snr_db) for wave, rng in zip(waves, generators, strict=True)]
        yield f"noise {snr_db:g} dB", np.stack(noisy)
