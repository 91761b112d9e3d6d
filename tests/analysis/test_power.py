"""How far the study carries: what designs can see, and costs from measured steps."""

import math

import pandas as pd
import pytest

from course_lib.analysis import power, questions
from course_lib.analysis.claims import Evidence
from course_lib.study import grid
from course_lib.study.stats import minimum_detectable_effect


def test_designs_tell_what_they_could_see():
    found = power.designs(Evidence()).set_index("design")
    answers = questions.answers("diffres")
    effects = 100 * answers.loc[answers["where"] == questions.LONG, "minimum_detectable_effect"]
    assert found.loc[questions.LONG, "minimum_detectable_effect"] == pytest.approx(effects.median())
    assert found.loc["scenes, event", "claimed"] == pytest.approx(0.38) and not found.loc["scenes, event", "sees"]
    single_class = found.loc["ESC-10, one class, one hop", "minimum_detectable_effect"]
    assert single_class > found.loc[questions.SHORT, "minimum_detectable_effect"]
    assert not found["sees"][found["claimed"].isna()].any()


def rows(**of_model):
    """Rows of 100 steps by `model_device=(seconds a step)`."""
    made = []
    for name, step in of_model.items():
        model, device = name.split("_")
        made.append({"model": model, "device": device, "frame_reducer": "none", "recipe.batch_size": 16,
                     "recipe.steps": 100,
                     "train_seconds": 100 * step, "minutes": (100 * step + 6) / 60})  # fmt: skip
    return pd.DataFrame(made)


def test_seconds_a_step_are_told_by_device_and_reducer():
    table = rows(cnn7_cuda=0.01, cnn7_cpu=0.06)
    table = pd.concat([table, table[:1].assign(frame_reducer="diffres:0.5", train_seconds=3.0)])
    assert power.seconds_a_step(table) == {("cnn7", False): pytest.approx(0.01), ("cnn7", True): pytest.approx(0.03)}
    assert power.seconds_a_step(table, gpu=False) == {("cnn7", False): pytest.approx(0.06)}


def test_the_next_runs_cost_what_their_steps_did(monkeypatch):
    """Every run of a grid by hand: steps, a batch twice as large, what a row takes beside training."""
    spent = questions.published("diffres").assign(train_seconds=0.0, minutes=0.1)
    spent.loc[:, ["device", "recipe.batch_size"]] = ["cuda", 16]
    spent["train_seconds"] = 0.02 * spent["recipe.steps"]
    spent["minutes"] = (spent["train_seconds"] + 6) / 60
    found = power.next_runs(lambda name: spent if name == "diffres" else pd.DataFrame()).set_index("grid")
    runs = grid.read(grid.find("nsynth")).specs
    assert found.loc["nsynth", "rows"] == len(runs) and found.loc["nsynth", "unknown"] == 0
    assert found.loc["nsynth", "hours"] == pytest.approx(len(runs) * (0.02 * 20_000 * 2 + 6) / 3600)
    lite = [run for run in grid.read(grid.find("urbansound8k")).specs if run.model.startswith("lite0")]
    unknown = found.loc["urbansound8k", "unknown"]
    assert unknown == len(lite) > 0, "no row tells what a network costs that was never run"
    assert math.isnan(found.loc["speechcommands", "minimum_detectable_effect"]), "one split has no folds to pair"
    effects = found["minimum_detectable_effect"]
    assert effects.idxmin() == "urbansound8k" and effects["urbansound8k"] < 1, "ten folds of many clips see most"


def test_what_ran_on_a_cpu_alone_is_scaled_by_what_ran_on_both():
    gpu, cpu = {("cnn7", False): 0.01}, {("cnn7", False): 0.05, ("lite0", False): 0.5}
    run = next(r for r in grid.read(grid.find("urbansound8k")).specs if r.model == "lite0-scratch")
    assert power._seconds(run, gpu, cpu) == pytest.approx(0.1 * run.recipe.steps * run.recipe.batch_size / 16)
    assert math.isnan(power._seconds(run, {}, cpu))
    assert minimum_detectable_effect(1.0, 10) < minimum_detectable_effect(1.0, 5)
