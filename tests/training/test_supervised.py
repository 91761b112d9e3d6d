"""The training loop: reproducible, resumable, the same budget at every hop, chosen on validation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from course_lib.audio.features import FeatureSpec
from course_lib.errors import CourseError
from course_lib.models import cnn
from course_lib.training import checkpoint, supervised

LAYERS = ((8, True), (8, True))
RECIPE = supervised.Recipe(steps=12, batch_size=8, n_evals=3, precision="fp32")
SPEC = FeatureSpec(n_mels=16)


def toy(n=40, n_frames=40, seed=0, n_classes=2):
    """Clips of noise; class 0 is louder in the lower bands, class 1 in the upper ones."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % n_classes
    x = rng.normal(-40, 5, (n, n_frames, 16)).astype(np.float32)
    for k in range(n_classes):
        x[y == k, :, 16 * k // n_classes : 16 * (k + 1) // n_classes] += 8
    return supervised.Split(x, y, n_classes)


def fitted(recipe=RECIPE, seed=0, data=None, **given):
    torch.manual_seed(seed)
    return supervised.fit(cnn.CNN(2, LAYERS), data or toy(), toy(16, seed=1), recipe, SPEC, seed=seed, **given)


def weights(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def without_times(history):
    return [{k: v for k, v in entry.items() if k != "seconds"} for entry in history]


def test_it_learns_what_can_be_learnt():
    found = fitted(replace(RECIPE, steps=60))
    assert found.history[-1]["validation_accuracy"] == 1
    assert found.history[-1]["loss"] < found.history[0]["loss"]


def test_same_seed_same_numbers_other_seed_others():
    first, second, other = fitted(), fitted(), fitted(seed=1)
    assert same(weights(first.model), weights(second.model))
    assert without_times(first.history) == without_times(second.history)
    assert not same(weights(first.model), weights(other.model))


@pytest.mark.parametrize(("every_s", "left"), [(0.0, [12]), (60.0, [8, 12])])
def test_an_interrupted_training_resumes_to_the_same_result(tmp_path, monkeypatch, every_s, left):
    monkeypatch.setattr(checkpoint, "EVERY_S", every_s)

    def interrupt(entry):
        if entry["step"] == 8:
            raise KeyboardInterrupt

    file = tmp_path / "state.pt"
    with pytest.raises(KeyboardInterrupt):
        fitted(checkpoint=file, on_eval=interrupt)
    steps = []
    resumed = fitted(checkpoint=file, on_eval=lambda entry: steps.append(entry["step"]))
    whole = fitted()
    assert steps == left, "only what was missing was trained"
    assert same(weights(resumed.model), weights(whole.model))
    assert without_times(resumed.history) == without_times(whole.history)
    assert resumed.chosen_step == whole.chosen_step


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    file = tmp_path / "state.pt"
    fitted(checkpoint=file)
    with pytest.raises(CourseError, match=r"state\.pt: belongs to another training; remove it"):
        fitted(replace(RECIPE, learning_rate=1e-3), checkpoint=file)
    same_shape, validation = toy(seed=3), toy(16, seed=1)
    cases = [  # another fold, corrected labels, other clips to choose by, another network
        (LAYERS, same_shape, validation),
        (LAYERS, replace(toy(), y=1 - toy().y), validation),
        (LAYERS, toy(), same_shape),
        (LAYERS[:1], toy(), validation),
    ]
    for layers, train, judged in cases:
        with pytest.raises(checkpoint.OtherTraining, match="belongs to another training"):
            supervised.fit(cnn.CNN(2, layers), train, judged, RECIPE, SPEC, checkpoint=file)
    file.write_bytes(b"no checkpoint")
    with pytest.raises(CourseError, match=r"state\.pt: cannot be read as a checkpoint"):
        fitted(checkpoint=file)


def test_the_weights_of_the_best_evaluation_are_returned():
    found, validation = fitted(replace(RECIPE, steps=24, n_evals=8)), toy(16, seed=1)
    best = supervised.best_eval(found.history)
    assert found.chosen_step == best["step"]
    probabilities = supervised.predict(found.model, validation.x)
    assert np.mean(probabilities.argmax(1) == validation.y) == best["validation_accuracy"]
    loss = -np.log(probabilities[np.arange(16), validation.y]).mean()
    assert loss == pytest.approx(best["validation_loss"], rel=1e-5)


def test_the_best_evaluation_is_by_accuracy_then_loss_then_the_first():
    scores = [(0.5, 0.1), (0.8, 0.9), (0.8, 0.7), (0.8, 0.7)]
    history = [{"step": k, "validation_accuracy": a, "validation_loss": b} for k, (a, b) in enumerate(scores)]
    assert supervised.best_eval(history)["step"] == 2


def test_without_validation_the_state_after_the_last_step_is_returned():
    torch.manual_seed(0)
    found = supervised.fit(cnn.CNN(2, LAYERS), toy(), None, RECIPE, SPEC, seed=0)
    assert found.chosen_step == RECIPE.steps
    assert [set(entry) for entry in found.history] == [{"step", "loss", "seconds"}] * 3
    once = fitted(replace(RECIPE, n_evals=1))
    assert same(weights(found.model), weights(once.model)), "evaluation changes nothing"


@pytest.mark.parametrize("hops_ms", [(20.0, 2.5), (10.0, 8.0)])
def test_the_hop_does_not_move_what_is_drawn(hops_ms):
    """Same pieces of sound turned and hidden in clips of 400 ms, whatever the number of frames."""
    recipe, ends, moved, hidden = supervised.Recipe(steps=5, batch_size=8), [], [], []
    y, only_roll = torch.eye(2)[torch.arange(8) % 2], replace(recipe, mixup=0.0, spec_augment=False)
    for hop_ms in hops_ms:
        rng, n_frames, spec = np.random.default_rng(3), round(400 / hop_ms) + 1, replace(SPEC, hop_ms=hop_ms)
        x = torch.linspace(0, 1, n_frames)[None, :, None].expand(8, n_frames, 16)  # each frame knows its time
        moved.append(supervised.augmented(x, y, only_roll, spec, rng)[0][:, 0, 0])
        masked, _ = supervised.augmented(x, y, replace(only_roll, roll=False, spec_augment=True), spec, rng)
        hidden.append((masked != x).all(2).float().mean(1))  # of the frames of each clip
        supervised.augmented(x, y, replace(recipe, image_augment=True), spec, rng)
        ends.append(rng.bit_generator.state)
    one_frame = max(hops_ms) / 400
    assert recipe.spec_augment and ends[0] == ends[1]
    assert (moved[0] - moved[1]).abs().max() < 2 * one_frame
    assert (hidden[0] - hidden[1]).abs().max() < 4 * one_frame and hidden[0].max() > 0.2  # two masks, four edges


def test_every_clip_has_its_turn_before_any_has_its_second():
    recipe = supervised.Recipe(steps=10, batch_size=8)
    seen = torch.cat([chosen for _, chosen in supervised._batches(40, recipe, 0, 0)]).tolist()
    assert len(seen) == 80
    assert sorted(seen[:40]) == sorted(seen[40:]) == list(range(40))
    assert seen[:40] != seen[40:]


def test_statistics_come_from_training_clips_and_travel_with_the_weights():
    data = toy()
    model = supervised.Normalised(cnn.CNN(2, LAYERS), data.x)
    normal = (torch.tensor(data.x) - model.mean) / model.std
    assert normal.mean((0, 1)).abs().max() < 1e-4
    assert (normal.std((0, 1)) - 1).abs().max() < 1e-2
    assert {"mean", "std"} <= model.state_dict().keys()
    silent = supervised.Normalised(cnn.CNN(2, LAYERS), np.full((4, 8, 16), -100, np.float32))
    assert torch.isfinite(silent(torch.full((1, 8, 16), -100.0))).all()


def test_a_frozen_body_stays_as_it_was_statistics_and_all():
    torch.manual_seed(0)
    net = cnn.CNN(2, LAYERS)
    body, head = weights(net.blocks), weights(net.head)
    supervised.fit(net, toy(), toy(16, seed=1), replace(RECIPE, freeze_steps=12), SPEC)
    assert same(body, weights(net.blocks))
    assert not same(head, weights(net.head))


def test_stages_learn_at_their_own_rates_once_they_may():
    torch.manual_seed(0)
    model = supervised.Normalised(cnn.CNN(2, LAYERS), toy().x)
    recipe = replace(RECIPE, steps=40, freeze_steps=20, layer_decay=0.25, learning_rate=0.01)
    optimiser = torch.optim.AdamW(supervised._groups(model, recipe))
    rates = []
    for step in range(40):
        supervised._set_stages(model, optimiser, recipe, step)
        assert next(model.model.blocks.parameters()).requires_grad == (step >= 20)
        rates.append([group["lr"] for group in optimiser.param_groups])
    rates = np.array(rates)
    assert np.allclose(rates[:, 0], 0.25 * rates[:, 1])
    for phase in (rates[:20, 1], rates[20:, 1]):
        assert phase.max() == pytest.approx(0.01) and phase.argmax() == 1 and phase[-1] < 1e-8


def test_a_loss_that_is_not_finite_is_told_in_one_line():
    data = toy()
    data.x[0] = np.nan
    with pytest.raises((CourseError, ValueError), match="finite"):
        fitted(data=data)
    with pytest.raises(CourseError, match=r"the loss is nan after \d+ steps; use a lower learning rate"):
        fitted(replace(RECIPE, spec_augment=False, mixup=0.0), data=data)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"steps": 0}, "steps: found 0, expected at least 1"),
        ({"batch_size": 2.5}, "batch_size: found 2.5, expected a whole number"),
        ({"freeze_steps": 300}, "freeze_steps=300: must be at most steps=200"),
        ({"learning_rate": float("inf")}, "learning_rate: found inf, expected a finite number"),
        ({"label_smoothing": 2}, "label_smoothing: found 2, expected at most 1"),
        ({"precision": "fp8"}, "precision: found 'fp8', expected 'auto', 'fp32' or 'bf16'"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        supervised.Recipe(**given)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.zeros(3, int), r"expected \(clips, frames, mels\) and \(clips,\)"),
        (np.array([0, 1, 2, 0]), "y: 0 to 2, expected 0 to 1"),
        (np.zeros((4, 3), int), r"\(4, 3\): expected .* or \(clips, 2\)"),
        (2 * np.eye(4, 2, dtype=int), "y: 0 to 2, expected 0 to 1"),
    ],
)
def test_examples_that_cannot_be_are_refused(y, words):
    with pytest.raises(ValueError, match=words):
        supervised.Split(np.zeros((4, 8, 16), np.float32), y, 2)


def test_several_labels_a_clip_have_a_loss_and_a_probability_each():
    """Both, one or no half of the bands is louder; the first loss is that of a coin for each label."""
    y = np.array([(0, 0), (0, 1), (1, 0), (1, 1)] * 10)
    x = np.random.default_rng(0).normal(-40, 5, (40, 40, 16)).astype(np.float32)
    x += 8 * np.repeat(y, 8, axis=1)[:, None, :]
    data = supervised.Split(x, y, 2)
    torch.manual_seed(0)
    bare = replace(RECIPE, steps=200, learning_rate=1e-2, spec_augment=False, mixup=0.0, n_evals=20)
    found = supervised.fit(cnn.CNN(2, LAYERS), data, data, bare, SPEC, seed=0)
    assert found.history[0]["loss"] == pytest.approx(np.log(2), abs=0.15)
    assert (
        supervised.best_eval(found.history)["validation_map"] > 0.95 and "validation_accuracy" not in found.history[0]
    )
    said = supervised.predict(found.model, x, multilabel=True)
    assert (np.abs(said - y) < 0.5).mean() > 0.95 and said[y.sum(1) == 2].sum(1).min() > 1.1


def test_bf16_learns_the_same(monkeypatch):
    accuracy = fitted(replace(RECIPE, steps=60, precision="bf16")).history[-1]["validation_accuracy"]
    assert accuracy >= 15 / 16
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    assert supervised.precision_on("cpu") == "fp32"
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert supervised.precision_on("cpu") == "bf16"
    assert supervised.precision_on("cpu", "fp32") == "fp32"
    assert supervised.precision_on("cpu", model=cnn.CNN(2, LAYERS)) == "bf16"
    depthwise = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, groups=4))
    assert supervised.precision_on("cpu", model=depthwise) == "fp32", "its way back is slower in bf16"
    assert supervised.precision_on("cpu", "bf16", depthwise) == "bf16"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_it_learns_too():
    found = fitted(replace(RECIPE, steps=60, precision="auto"), device="cuda")
    assert found.history[-1]["validation_accuracy"] == 1


class Bare(torch.nn.Module):
    """As little as the loss asks for."""

    guide_loss = 0.0


@pytest.mark.parametrize("part", [0.0, 0.2])
def test_smoothing_spreads_a_part_of_the_target_over_all_classes(part):
    logits, y = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0]])
    wanted = -(logits.log_softmax(1)[0] * torch.tensor([1 - part / 2, part / 2])).sum()
    torch.testing.assert_close(
        supervised._loss(Bare(), logits, y, supervised.Recipe(label_smoothing=part), False), wanted
    )


def test_each_kind_of_augmentation_is_there_when_it_is_asked_for_and_only_then():
    x, y = torch.rand(8, 101, 64) * 40 - 60, torch.eye(8)
    off = supervised.Recipe(roll=False, spec_augment=False, image_augment=False, mixup=0.0)

    def out(**on):
        return supervised.augmented(x, y, replace(off, **on), FeatureSpec(), np.random.default_rng(0))

    assert torch.equal(out()[0], x) and torch.equal(out()[1], y)
    assert not any(torch.equal(out(**{name: True})[0], x) for name in ("roll", "spec_augment", "image_augment"))
    floor, mean = ((out(spec_augment=True, mask_value=fill)[0] == -100).any() for fill in ("floor", "mean"))
    assert floor and not mean
    little, much = (out(mixup=part)[1].amax(1).median() for part in (0.05, 50.0))
    assert little > 0.9 and much < 0.7, "a small parameter mostly leaves clips alone, a large one halves them"
