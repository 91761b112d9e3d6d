"""The networks that the course ships: trains them and writes `study/networks/`.

Run it with `python -m course_lib.study.networks`. It takes some ten minutes on two cores and needs ESC-10. What was
trained is kept in `runs/networks/`, so that an interrupted call goes on. Another processor rounds differently, and may
find a success where this one found a failure; README.md in the folder says on which these were made.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from course_lib import paths
from course_lib.analysis.probe import SUCCESS
from course_lib.audio.features import FeatureSpec
from course_lib.data import folds
from course_lib.models import trained
from course_lib.models.trained import Trained
from course_lib.profiles import one_thread
from course_lib.study import clip_run
from course_lib.study.config import RunSpec, to_dict
from course_lib.training import supervised
from course_lib.training.supervised import Recipe

FOLD = 1
MOST_SEEDS = 12  # runs to wait for a success and for a failure
# As in the grid `failures`
PROBE = {
    "features": FeatureSpec(hop_ms=2.5, window_ms=5.0, n_mels=16, fmin_hz=200.0),
    "recipe": Recipe(steps=2400, batch_size=16, learning_rate=3e-3, mixup=0.0, roll=False, spec_augment=False),
    "clips_per_class": 100,
}
# As in the part `patience` of the grid `diffres`
ESC10 = {
    "features": FeatureSpec(hop_ms=10.0),
    "recipe": Recipe(steps=800, batch_size=16, learning_rate=3e-3, mixup=0.2, spec_augment=False),
}


def probe_run(frame_reducer: str, seed: int) -> RunSpec:
    """A run on the timing probe."""
    return RunSpec("timing", FOLD, seed, frame_reducer=frame_reducer, **PROBE)


def esc10_run(frame_reducer: str) -> RunSpec:
    """A run on ESC-10."""
    return RunSpec("esc10", FOLD, 0, frame_reducer=frame_reducer, **ESC10)


def train(spec: RunSpec, folder: Path) -> Trained:
    """The network of `spec`, in the state chosen on validation, from `folder` if it was trained before.

    It is stored and read again before it is tested, so `test_accuracy` is that of the file.
    """
    path = folder / f"{spec.key}{trained.ENDING}"
    if path.is_file():
        return trained.load(path)
    folder.mkdir(parents=True, exist_ok=True)
    clips = clip_run.clips_of(spec.dataset, spec.clips_per_class)
    x = clip_run.features_of(spec)
    learning, validation = clip_run.learning_data(spec, clips, x)
    torch.manual_seed(spec.seed)
    model = clip_run.network(spec, learning.n_classes, x.shape[1:])
    with one_thread():
        fitted = supervised.fit(model, learning, validation, spec.recipe, spec.features, seed=spec.seed)
    chosen = supervised.best_eval(fitted.history)
    found = {name: chosen[name] for name in ("validation_accuracy", "validation_loss")}
    found |= {"chosen_step": fitted.chosen_step}
    names = ("step", "loss", "validation_loss", "validation_accuracy")
    origin = clip_run.origin("cpu")
    about = {
        "run": to_dict(spec),
        "classes": clips.classes,
        "history": [{name: entry[name] for name in names} for entry in fitted.history],
        "found": found,
        "origin": {
            "commit": origin["commit"],
            "processor": origin["device_name"],
            "torch": origin["env.torch"],
            "date": origin["date"],
            "content": clips.content,
        },
    }
    paths.atomic_write(path, trained.save_network(fitted.model, about))
    stored = trained.load(path)
    tested = clip_run.read_test(stored.model, spec, clips, x, precision="fp32", log=folder / "test_readings.jsonl")
    _, _, test = folds.split(clips, spec.fold)
    exact = supervised.predict(fitted.model, np.asarray(x[test]))
    rounded = supervised.predict(stored.model, np.asarray(x[test]))
    found |= {"test_accuracy": tested["test_accuracy"], "n_test": tested["n_test"]}
    found |= {
        "same_answers": int((exact.argmax(1) == rounded.argmax(1)).sum()),
        "largest_change": float(np.abs(exact - rounded).max()),
    }
    paths.atomic_write(path, trained.save_network(fitted.model, about))
    return trained.load(path)


def first(runs: Iterable[Trained], succeeds: bool) -> Trained:
    """The first of `runs` that succeeds, or that fails."""
    for run in runs:
        if (run.found["test_accuracy"] >= SUCCESS) == succeeds:
            return run
    raise LookupError(f"none of {MOST_SEEDS} runs {'succeeded' if succeeds else 'failed'}")


def chosen(folder: Path) -> dict[str, Trained]:
    """The networks to ship, by name."""

    def on_probe(frame_reducer: str) -> Iterable[Trained]:
        return (train(probe_run(frame_reducer, seed), folder) for seed in range(MOST_SEEDS))

    def on_esc10(*frame_reducers: str) -> Trained:
        runs = [train(esc10_run(frame_reducer), folder) for frame_reducer in frame_reducers]
        return max(runs, key=lambda run: (run.found["validation_accuracy"], -run.found["validation_loss"]))

    return {
        "probe-contrast": first(on_probe("diffres-contrast:0.9"), succeeds=True),
        "probe-light-succeeds": first(on_probe("diffres-light:0.9"), succeeds=True),
        "probe-light-fails": first(on_probe("diffres-light:0.9"), succeeds=False),
        "esc10-diffres": on_esc10("diffres-light:0.75", "diffres-contrast:0.75"),
        "esc10-fixed": on_esc10("none"),
    }


if __name__ == "__main__":
    print({name: run.found for name, run in chosen(paths.runs_dir() / "networks").items()})
