"""Mean-teacher training: the loss, the teacher, the choice on validation, resuming from a checkpoint."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from course_lib.audio.features import FeatureSpec
from course_lib.errors import CourseError
from course_lib.models.crnn import CRNN
from course_lib.training import mean_teacher
from course_lib.training.mean_teacher import EvalSet, TeacherRecipe, detected, probabilities, tags_of, teach

SPEC = FeatureSpec(hop_ms=20.0, n_mels=32)
FRAMES_S = 0.02 * np.arange(101)  # scenes of 2 s
CLASSES = ["high", "low"]
RECIPE = TeacherRecipe(
    steps=60, weak=8, unlabelled=8, learning_rate=1e-2, n_evals=3, spec_augment=False, mixup=0.0, median_ms=160.0
)


def scenes(n, seed):
    """Noise with one band louder for a while: features, labels in time."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 101, 32)).astype(np.float32)
    rows = []
    for k in range(n):
        label = int(rng.integers(2))
        onset = rng.uniform(0.1, 0.9)
        offset = onset + rng.uniform(0.4, 1.0)
        x[k, int(onset * 50) : int(offset * 50), 16 * (1 - label) : 16 * (2 - label)] += 3
        rows.append((f"{seed}-{k}", onset, offset, CLASSES[label]))
    return {"spectral": x}, pd.DataFrame(rows, columns=["filename", "onset", "offset", "event_label"])


def everything():
    weak, labels = scenes(40, 1)
    tags = np.stack([labels["event_label"] == c for c in CLASSES], 1).astype(np.float32)
    x, known = scenes(30, 3)
    return weak, tags, scenes(40, 2)[0], EvalSet(x, known["filename"].tolist(), known, CLASSES, 2.0)


def taught(recipe=RECIPE, data=None, **options):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    network = CRNN(2, {"spectral": (FRAMES_S, 32)}, FRAMES_S, width=16)
    return teach(network, *(data or everything()), recipe, SPEC, **options)


def same(one, other):
    pairs = zip(one.model.state_dict().values(), other.model.state_dict().values(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


@pytest.fixture(scope="module")
def learnt():
    return taught()


def test_events_are_found_in_time_with_weak_labels_alone(learnt):
    best = mean_teacher.best_eval(learnt.history)
    assert best["validation_tagging"] > 0.9 and best["validation_segment"] > 0.8
    assert learnt.chosen_step == best["step"] and len(learnt.history) == 3
    judged = everything()[3]
    found = mean_teacher.scores(learnt.model, judged, RECIPE.median_ms)
    assert found["tagging"].micro_f1 == best["validation_tagging"], "the state kept is the one that was chosen"


def test_a_network_behind_a_learned_reducer_can_be_taught_again():
    torch.manual_seed(0)
    network = CRNN(2, {"spectral": (FRAMES_S, 32)}, FRAMES_S, width=16, frame_reducer="diffres-light:0.5")
    for _ in range(2):
        found = teach(network, *everything(), replace(RECIPE, steps=2, n_evals=1), SPEC)
        assert np.isfinite(found.history[0]["loss"])


def test_the_same_seed_gives_the_same_weights(learnt):
    assert same(learnt, taught()) and not same(learnt, taught(seed=1))


def test_an_interrupted_training_resumes_to_the_same_weights(tmp_path, learnt):
    def interrupt(entry):
        if entry["step"] == 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        taught(checkpoint=tmp_path / "c.pt", on_eval=interrupt)
    assert same(learnt, taught(checkpoint=tmp_path / "c.pt"))
    with pytest.raises(CourseError, match="belongs to another training"):
        taught(replace(RECIPE, learning_rate=1e-3), checkpoint=tmp_path / "c.pt")
    weak, tags, unlabelled, known = everything()
    moved = replace(known, events=known.events.assign(onset=known.events["onset"] / 2))
    for data in ((weak, 1 - tags, unlabelled, known), (unlabelled, tags, weak, known), (weak, tags, unlabelled, moved)):
        with pytest.raises(CourseError, match="belongs to another training"):
            taught(data=data, checkpoint=tmp_path / "c.pt")


def test_the_teacher_is_the_mean_of_the_students_past():
    student, teacher = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    old, new = teacher.weight.clone(), student.weight.clone()
    mean_teacher.update_ema(teacher, student, 0.9)
    torch.testing.assert_close(teacher.weight, 0.9 * old + 0.1 * new)
    mean_teacher.update_ema(teacher, student, 0.0)
    torch.testing.assert_close(teacher.weight, new)


class Said(torch.nn.Module):
    """Says the same of every frame, half of it of the scene, and keeps what it was given."""

    def __init__(self, says):
        super().__init__()
        self.weight, self.seen = torch.nn.Parameter(torch.tensor(says)), []

    def forward(self, x):
        self.seen.append(x["spectral"])
        strong = self.weight * torch.ones(len(x["spectral"]), 4, 2)
        return strong, strong[:, 0] / 2


@pytest.mark.parametrize(("step", "rise"), [(0, 0.0), (5, 0.5), (10, 1.0), (19, 1.0)])
def test_the_loss_is_that_of_the_labels_and_the_distance_to_the_teacher_on_all(step, rise):
    """Two labelled scenes and one without; the weight of the distance rises over the first half of the steps."""
    recipe = replace(RECIPE, steps=20, consistency=3.0, spec_augment=True)
    student, teacher, x = Said(0.8), Said(0.2), {"spectral": torch.randn(3, 101, 32)}
    found = mean_teacher._loss(student, teacher, x, torch.ones(2, 2), recipe, SPEC, np.random.default_rng(0), step)
    wanted = -np.log(0.4) + 3 * np.exp(-5 * (1 - rise) ** 2) * (0.6**2 + 0.3**2)
    assert found.item() == pytest.approx(wanted, rel=1e-5)
    assert torch.equal(teacher.seen[0], x["spectral"]), "masks are for the student"
    assert not torch.equal(student.seen[0], x["spectral"])


def test_the_teacher_follows_fast_at_first_and_slowly_later(monkeypatch):
    past, student = [], Said(0.5)
    monkeypatch.setattr(mean_teacher, "update_ema", lambda teacher, student, part: past.append(part))
    optimiser, data = torch.optim.AdamW(student.parameters()), [{"spectral": np.zeros((4, 101, 32), np.float32)}]
    recipe = replace(RECIPE, steps=100, weak=2, unlabelled=0, ema_decay=0.98)
    for step in (0, 1, 9, 99):
        mean_teacher._step(student, Said(0.5), optimiser, data, np.ones((4, 2), np.float32), recipe, SPEC, 0, step)
    assert past == pytest.approx([0, 0.5, 0.9, 0.98])


def test_scenes_are_mixed_with_their_own_kind_and_labels_with_them():
    """Each scene shows its own number, so that what was mixed can be read off."""
    x, tags = {"a": torch.eye(6)[:, None], "b": 2 * torch.eye(6)[:, None]}, torch.eye(6)[:4]
    mixed, y = mean_teacher._mixed(x, tags, replace(RECIPE, mixup=0.4), np.random.default_rng(1))
    torch.testing.assert_close(mixed["a"][:4, 0], y)
    torch.testing.assert_close(mixed["b"], 2 * mixed["a"])
    assert (mixed["a"][:4, 0, 4:] == 0).all() and (mixed["a"][4:, 0, :4] == 0).all() and not torch.equal(y, tags)


def test_strong_labels_of_validation_only_choose(learnt):
    """Wrong validation labels leave every loss as it was."""
    weak, tags, unlabelled, judged = everything()
    wrong = replace(judged, events=judged.events.assign(event_label="low"))
    poisoned = taught(data=(weak, tags, unlabelled, wrong))
    assert [entry["loss"] for entry in poisoned.history] == [entry["loss"] for entry in learnt.history]
    assert poisoned.history[-1]["validation_tagging"] < learnt.history[-1]["validation_tagging"]


def test_detected_events_are_what_lies_above_a_half_for_long_enough():
    strong = np.zeros((2, 25, 2), np.float32)
    strong[0, 5:15, 0] = 0.9
    strong[0, 9, 0] = 0.1  # a hole that the filter closes
    strong[1, 20, 1] = 0.9  # a speck that it removes
    out_s = 0.03 + 0.08 * np.arange(25)  # each frame from 10 ms before a multiple of 80 ms, as those of the CRNN
    found = detected(strong, ["a", "b"], CLASSES, out_s, 2.0, median_ms=240.0)
    assert found.to_dict("records") == [
        {"filename": "a", "onset": pytest.approx(0.39), "offset": pytest.approx(1.19), "event_label": "high"}
    ]
    assert len(detected(strong, ["a", "b"], CLASSES, out_s, 2.0, median_ms=1.0)) == 3


def test_probabilities_do_not_depend_on_the_batch(learnt):
    x = everything()[3].x["spectral"]
    few, many = (probabilities(learnt.model, {"spectral": part}) for part in (x[:7], np.tile(x, (3, 1, 1))))
    for one, other in zip(few, many, strict=True):
        np.testing.assert_allclose(one, other[60:67], atol=1e-6)
    assert tags_of(everything()[3]).sum() == 30


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"steps": 0}, "steps: found 0"),
        ({"weak": 1.5}, "weak: found 1.5"),
        ({"ema_decay": 2.0}, "ema_decay: found 2.0"),
        ({"ema_decay": 0.0}, "ema_decay=0"),
    ],
)
def test_bad_recipes(wrong, said):
    with pytest.raises(ValueError, match=said):
        TeacherRecipe(**wrong)
