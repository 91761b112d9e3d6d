"""The networks that the course ships: trains them and writes `study/networks/`.

Run it with `python -m course_lib.study.networks`. It takes about ten minutes on two cores and needs ESC-10. Trained
networks are kept in `runs/networks/`, so that an interrupted call can resume. Another processor rounds differently, so
a run that failed on one may succeed on another; README.md in the folder names the processors that were used.
"""

from pathlib import Path

import numpy as np
import torch

from course_lib import paths
from course_lib.audio.features import FeatureSpec
from course_lib.data import folds
from course_lib.data.clips import Clips
from course_lib.errors import CourseError
from course_lib.models import trained
from course_lib.models.trained import Trained
from course_lib.profiles import one_thread
from course_lib.study import clip_run
from course_lib.study.config import RunSpec, to_dict
from course_lib.study.records import READINGS
from course_lib.training import supervised
from course_lib.training.supervised import Recipe

FOLD = 1
SUCCESS = 0.95  # lowest test accuracy that counts as a success on the probe, as in `analysis.probe`
SEEDS = {"diffres-light": (0, 1, 2, 3), "diffres-contrast": (0, 1, 2)}  # on the probe
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
README = """# Trained networks

The networks that notebook 07 uses. `course_lib.models.trained.load("probe-contrast")` loads one of them; its file also
holds its feature settings, its classes, all training settings and its learning curve.

{table}

- All are CNN7 with test fold 1. The probe networks were trained as in the grid `failures` (frames of 2.5 ms, 90 % of
  them removed, 2,400 steps), the ESC-10 networks as in the part `patience` of the grid `diffres` (frames of 10 ms, 800
  steps).
- `probe-light-succeeds` and `probe-contrast`: among seeds 0 to 3 and 0 to 2, the run with a test accuracy of at least
  95 % whose widths follow the patterns of the *validation* clips best. `probe-light-fails`: among seeds 0 to 3, the
  run with the lowest validation accuracy. They are examples; `study/results/failures` counts how often runs succeed.
- `esc10-diffres`: of two runs with seed 0 and 75 % of the frames removed, one with the published form of the light
  scorer and one with the variant, the one with the lower validation loss: {losses}.
  `esc10-fixed`: the same recipe on all frames, seed 0.
- The rules of choosing by validation loss and by the correlation of widths were adopted after test accuracies had been
  seen. For `esc10-diffres` the first rule was validation accuracy. It chose `diffres-contrast:0.75`, with 93.8 % on
  validation and 82.5 % on the test fold. These five networks are therefore illustrations, not results: do not compare
  their accuracies with one another or with those of the study.
- Large tensors are stored as 8-bit integers with one scale per output channel, the others unchanged. The accuracies
  above are those of the stored networks. The last column counts the test clips that the network classifies as it did
  before rounding; no probability changes by more than {change}.
- Made on {date}: {origins}.

The candidate runs on the probe, with the correlation of widths and patterns on the validation clips. A run can succeed
even if its widths hardly follow the patterns:

{tried}

To make them again: `python -m course_lib.study.networks`. Another processor rounds differently, so another seed may
fail there.

`mn04_as-impulse.json` is no network but a measurement of one: how far a frame of the published network `mn04_as`
spreads a burst of 20 ms, at its four hops. Notebook 11 shows it. The file says how, on which weights (SHA-256), when
and on which processor it was measured; `python -m course_lib.study.impulse` measures it again.
"""


def probe_run(frame_reducer: str, seed: int) -> RunSpec:
    """A run on the timing probe."""
    return RunSpec("timing", FOLD, seed, frame_reducer=frame_reducer, **PROBE)


def esc10_run(frame_reducer: str) -> RunSpec:
    """A run on ESC-10."""
    return RunSpec("esc10", FOLD, 0, frame_reducer=frame_reducer, **ESC10)


def train(spec: RunSpec, folder: Path) -> Trained:
    """The network of `spec`, in the state chosen on validation; read from `folder` if it was trained before.

    It is stored and read again before it is tested, so `test_accuracy` is that of the stored network.
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
    untested = folder / f"{spec.key}.untested{trained.ENDING}"
    paths.atomic_write(untested, trained.save_network(fitted.model, about))
    stored = trained.load(untested)
    untested.unlink()
    tested = clip_run.read_test(stored.model, spec, clips, x, precision="fp32", log=folder / READINGS)
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


def on_probe(folder: Path) -> dict[str, list[Trained]]:
    """The candidate runs on the probe, by frame reducer."""
    return {layer: [train(probe_run(f"{layer}:0.9", seed), folder) for seed in seeds] for layer, seeds in SEEDS.items()}


def on_esc10(folder: Path) -> list[Trained]:
    """The candidate runs on ESC-10 with a frame reducer."""
    return [train(esc10_run(f"{layer}:0.75"), folder) for layer in SEEDS]


def chosen(folder: Path) -> dict[str, Trained]:
    """The networks to ship, by name; README.md states the rules."""
    light, variant = on_probe(folder).values()
    with_layer = on_esc10(folder)
    return {
        "probe-light-succeeds": max(successes(light), key=follows_pattern),
        "probe-light-fails": min(light, key=by_validation),
        "probe-contrast": max(successes(variant), key=follows_pattern),
        "esc10-diffres": min(with_layer, key=lambda run: run.found["validation_loss"]),
        "esc10-fixed": train(esc10_run("none"), folder),
    }


def successes(runs: list[Trained]) -> list[Trained]:
    """The runs on the probe that count as successes.

    Raises
    ------
    CourseError
        There is none.
    """
    found = [run for run in runs if run.found["test_accuracy"] >= SUCCESS]
    if not found:
        layer, seeds = runs[0].run["frame_reducer"], [run.run["seed"] for run in runs]
        raise CourseError(f"{layer}: no run with seeds {seeds} reached {SUCCESS:.0%} here; add seeds to SEEDS")
    return found


def by_validation(run: Trained) -> tuple[float, float]:
    """Sorting key of a run: its validation accuracy; among equals, the lower validation loss ranks higher."""
    return run.found["validation_accuracy"], -run.found["validation_loss"]


def follows_pattern(run: Trained) -> float:
    """Correlation of widths and pattern over the frames of a clip, averaged over the validation clips of the probe."""
    clips = clip_run.clips_of("timing", PROBE["clips_per_class"])
    _, validation, _ = folds.split(clips, FOLD)
    x = np.asarray(clip_run.features_of(probe_run("none", 0))[validation])
    inside = pattern_frames(clips.where(validation), run.spec, x.shape[1])
    return float(np.mean([np.corrcoef(w, p)[0, 1] for w, p in zip(run.widths(x), inside, strict=True)]))


def pattern_frames(clips: Clips, spec: FeatureSpec, n_frames: int) -> np.ndarray:
    """True for frames whose window touches the pattern of their clip, `(clips, frames)`.

    The pattern lasts from the start of the first event to the end of the last, with the pauses between them.
    """
    centres_s, half_s = spec.frame_centres_s(n_frames), spec.window_ms / 2000
    events = clips.events.groupby("clip")
    names = clips.table["clip"]
    starts_s = events["onset_s"].min()[names].to_numpy()[:, None]
    ends_s = events["offset_s"].max()[names].to_numpy()[:, None]
    return (centres_s > starts_s - half_s) & (centres_s < ends_s + half_s)


def ship(source: Path, folder: Path) -> list[Path]:
    """Paths of the networks and README.md, written to `folder` from the networks trained in `source`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    networks = chosen(source)
    for name, run in networks.items():
        written.append(folder / f"{name}{trained.ENDING}")
        paths.atomic_write(written[-1], (source / f"{run.name}{trained.ENDING}").read_bytes())
    written.append(folder / "README.md")
    paths.atomic_write(written[-1], readme(networks, on_probe(source), on_esc10(source)))
    return written


def readme(networks: dict[str, Trained], candidates: dict[str, list[Trained]], with_layer: list[Trained]) -> str:
    """The text of README.md in the folder, from what the files record."""
    rows = [
        "| network | frame reducer | seed | step | validation | test | as unrounded |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, run in networks.items():
        found = run.found
        rows.append(
            f"| `{name}` | `{run.run['frame_reducer']}` | {run.run['seed']} | {found['chosen_step']} "
            f"| {100 * found['validation_accuracy']:.1f} % | {100 * found['test_accuracy']:.1f} % "
            f"| {found['same_answers']} of {found['n_test']} |"
        )
    tried = ["| frame reducer | seed | validation | test | widths and pattern |", "|---|---:|---:|---:|---:|"]
    for run in [run for runs in candidates.values() for run in runs]:
        tried.append(
            f"| `{run.run['frame_reducer']}` | {run.run['seed']} | {100 * run.found['validation_accuracy']:.1f} % "
            f"| {100 * run.found['test_accuracy']:.1f} % | {follows_pattern(run):+.2f} |"
        )
    made = {
        f"commit `{r.origin['commit']}`, {r.origin['processor']}, torch {r.origin['torch']}" for r in networks.values()
    }
    losses = ", ".join(
        f"{run.found['validation_loss']:.3f} at {100 * run.found['validation_accuracy']:.1f} % for "
        f"`{run.run['frame_reducer']}`"
        for run in with_layer
    )
    return README.format(
        losses=losses,
        table="\n".join(rows),
        tried="\n".join(tried),
        origins="; ".join(sorted(made)),
        change=f"{max(run.found['largest_change'] for run in networks.values()):.3f}",
        date=min(run.origin["date"] for run in networks.values())[:10],
    )


if __name__ == "__main__":
    kept = paths.runs_dir() / "networks"
    for path in ship(kept, trained.folder()):
        print(f"{path.stat().st_size:9,} bytes  {path}")
