"""What a trained network answers when clips of its test fold are shifted, change in level, get noise, or are cut short.

A row with `disturb = true` keeps these answers beside the usual ones. The plans are in study/protocol.md, *Shift and
noise* and *Hearing the beginning*; `course_lib.analysis.disturbance` reads the rows.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from course_lib.audio import augment, timebase
from course_lib.audio.features import FeatureSpec, log_mel_torch
from course_lib.data.clips import Clips
from course_lib.models.classifier import ReducedClassifier
from course_lib.models.cnn import CNN
from course_lib.models.diffres import WarpMerge
from course_lib.training import supervised

N_SHIFTS = 16  # shifts of the sound, each a sixteenth of a hop later than the last, up to a whole hop
GAINS_DB = (-6.0, 6.0)
SNRS_DB = (20.0, 10.0, 0.0)
HEARD_S = (1.0, 2.0, 3.0, 4.0, 5.0)  # how much of a clip of several seconds a network hears, from its beginning
CHUNK_S = 1.0  # length of the chunks in which widths are assigned while a sound is still arriving
MOST_CLIPS = 200  # clips of a test fold that are disturbed, evenly spread over it
UNCHANGED = "unchanged"
NAMES = (
    UNCHANGED,
    *(f"shift {k}/{N_SHIFTS} hop" for k in range(N_SHIFTS + 1)),
    *(f"gain {gain_db:+g} dB" for gain_db in GAINS_DB),
    *(f"noise {snr_db:g} dB" for snr_db in SNRS_DB),
)


def answers(model: nn.Module, clips: Clips, test: np.ndarray, spec: FeatureSpec, *, precision: str) -> dict:
    """The columns of a row about disturbed clips: predicted classes for each of `NAMES` and `beginnings`.

    `test` `(clips,)` is true for the clips of the test fold. Of these, at most `MOST_CLIPS` are taken. Lists:
    `disturbed_clips` and `disturbed_targets` have an entry per clip; `disturbed_predicted` has those of all clips for
    the first of `disturbed_names`, then for the second, and so on.
    """
    chosen = np.flatnonzero(test)
    chosen = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_CLIPS)).round().astype(int)]
    mask = np.isin(np.arange(len(clips)), chosen)
    waves = clips.where(mask).waves(spec.rate_hz)
    predicted = {
        name: _classes(model, _log_mels(disturbed, spec), precision)
        for name, disturbed in disturbances(waves, spec.hop_samples)
    }
    predicted |= beginnings(model, waves, spec, precision=precision)
    return {
        "disturbed_names": list(predicted),
        "disturbed_clips": clips.table["clip"][mask].astype(str).tolist(),
        "disturbed_targets": clips.targets[mask].tolist(),
        "disturbed_predicted": np.concatenate(list(predicted.values())).tolist(),
    }


def _log_mels(waves: np.ndarray, spec: FeatureSpec) -> np.ndarray:
    with torch.inference_mode():
        return log_mel_torch(torch.tensor(waves), spec).numpy()


def _classes(model: nn.Module, x: np.ndarray, precision: str) -> np.ndarray:
    return supervised.predict(model, x, precision=precision).argmax(1)


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


def beginnings(model: nn.Module, waves: np.ndarray, spec: FeatureSpec, *, precision: str) -> dict[str, np.ndarray]:
    """Predicted classes `(clips,)` from the first seconds of each clip; empty for clips of less than two seconds.

    There is an entry for each of `HEARD_S` that is no longer than a clip and leaves enough frames. For a network behind
    a frame reducer that assigns widths, these are also assigned in chunks of `CHUNK_S`, each by itself, as they can be
    while a sound is still arriving.
    """
    n_samples = waves.shape[1]
    if n_samples < 2 * spec.rate_hz:
        return {}
    net, reducer = model.model, None
    if isinstance(net, ReducedClassifier):
        net, reducer = net.net, net.frame_reducer
    fewest = net.smallest if isinstance(net, CNN) else 1
    found = {}
    for heard_s in HEARD_S:
        n_heard = timebase.seconds_to_samples(heard_s, spec.rate_hz)
        n_frames = n_heard // spec.hop_samples
        left = timebase.out_frames(n_frames, getattr(reducer, "reduction", 0.0))
        if n_heard > n_samples or left < fewest:
            continue
        x = _log_mels(waves[:, :n_heard], spec)[:, :n_frames]
        found[f"first {heard_s:g} s"] = _classes(model, x, precision)
        if isinstance(reducer, WarpMerge):
            n_chunk = timebase.seconds_to_samples(CHUNK_S, spec.rate_hz) // spec.hop_samples
            whole_chunks = x[:, : n_frames // n_chunk * n_chunk]  # fewer frames only if the hop does not divide CHUNK_S
            if timebase.out_frames(whole_chunks.shape[1], reducer.reduction) < fewest:
                continue
            with in_chunks(reducer, n_chunk):
                found[f"first {heard_s:g} s, in chunks"] = _classes(model, whole_chunks, precision)
    return found


@contextmanager
def in_chunks(reducer: WarpMerge, n_chunk: int) -> Iterator[None]:
    """Inside this context, `reducer` assigns widths to each `n_chunk` frames by themselves; it then takes whole chunks.

    The frames are still merged and numbered as one clip: the widths of a chunk sum to a whole number of frames.
    """
    whole_clip = reducer.widths

    def widths(x: torch.Tensor, n_out: int) -> torch.Tensor:
        chunks = x.unflatten(1, (-1, n_chunk)).flatten(0, 1)
        return whole_clip(chunks, timebase.out_frames(n_chunk, reducer.reduction)).reshape(len(x), -1)

    reducer.widths = widths
    try:
        yield
    finally:
        del reducer.widths
