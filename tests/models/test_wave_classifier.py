"""Classifiers of waveforms: by name and from files, and one line for each that cannot be had."""

import numpy as np
import pytest
import torch

from course_lib.audio.features import FeatureSpec, log_mel_torch
from course_lib.errors import CourseError, UsageError
from course_lib.models import pretrained, trained, wave_classifier
from course_lib.models.classifier import MODELS, SCRATCH, Normalised, classifier


def noise(n_clips, n_samples=16_000):
    return (0.1 * np.random.default_rng(0).standard_normal((n_clips, n_samples))).astype(np.float32)


def test_a_shipped_network_gives_its_own_probabilities_in_blocks_and_at_once():
    found = wave_classifier.load("esc10-fixed")
    run = trained.load("esc10-fixed")
    waves = noise(40)
    with torch.inference_mode():
        expected = run.model(log_mel_torch(torch.tensor(waves), run.spec)).softmax(1).numpy()
    probabilities = found.probabilities(waves)
    assert found.classes == run.classes and found.rate_hz == 16_000
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("multilabel", [False, True])
def test_a_network_of_your_own_is_written_and_read(tmp_path, multilabel):
    spec = FeatureSpec(rate_hz=8_000, n_mels=32)
    model = Normalised(classifier("cnn9", 3), np.random.default_rng(0).normal(size=(4, 50, 32)).astype(np.float32))
    path = tmp_path / "mine.safetensors"
    trained.write(path, model, spec, ["a", "b", "c"], network="cnn9", multilabel=multilabel)
    found = wave_classifier.load(path)
    assert (found.classes, found.rate_hz, found.spec) == (["a", "b", "c"], 8_000, spec)
    waves = noise(2, 8_000)
    logits = model.eval()(log_mel_torch(torch.tensor(waves), spec))
    expected = logits.sigmoid() if multilabel else logits.softmax(1)
    np.testing.assert_allclose(found.probabilities(waves), expected.detach().numpy(), atol=0.02)  # 8-bit weights


@pytest.mark.parametrize(
    ("network", "reducer"),
    [("ast-tiny", "none"), ("mast-tiny", "uniform:0.5"), ("squeezenet1_1", "none"), ("squeezenet1_1-deltas", "none")],
)
def test_any_network_of_the_course_is_written_and_read_without_a_download(tmp_path, monkeypatch, network, reducer):
    """A file holds every weight: those for photographs, which a backbone begins with, are not needed."""
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    x = np.random.default_rng(0).normal(-50, 10, (2, 101, 64)).astype(np.float32)
    model = Normalised(classifier(SCRATCH.get(network, network), 2, reducer=reducer, n_frames=101), x)
    path = tmp_path / "mine.safetensors"
    trained.write(path, model, FeatureSpec(), ["a", "b"], network=network, reducer=reducer, n_frames=101)
    with torch.inference_mode():
        logits, back = model.eval()(torch.tensor(x)), trained.load(path).model(torch.tensor(x))
    np.testing.assert_allclose(back, logits, atol=0.05)  # 8-bit weights


class Gained(torch.nn.Module):
    """The mean level times a parameter that has the name of what is stored beside rounded weights."""

    def __init__(self):
        super().__init__()
        self.scale, self.weight = torch.nn.Parameter(torch.tensor([3.0, 5.0])), torch.nn.Parameter(torch.rand(100, 100))

    def forward(self, x):
        return x.mean((-2, -1))[:, None] * self.scale * self.weight.sum()


def test_a_parameter_called_scale_is_not_lost(tmp_path, monkeypatch):
    monkeypatch.setitem(MODELS, "gained", lambda n_classes, channels, shape: Gained())
    model = Normalised(classifier("gained", 2), np.zeros((1, 20, 64), np.float32))
    path = tmp_path / "mine.safetensors"
    trained.write(path, model, FeatureSpec(), ["a", "b"], network="gained")
    assert trained.load(path).model.model.scale.tolist() == [3.0, 5.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"network='cnn7', reducer='none': model\.blocks\.\S+ is .*, expected .*; give what classifier was given"),
        ({"network": "cnn9", "reducer": "diffres-light:0.5"}, "is missing, expected"),
        ({"network": "cnn8"}, "model 'cnn8' is unknown"),
        ({"network": "ast-tiny"}, "a position embedding for every token.*n_frames"),
        ({"network": "cnn9", "reducer": "difres:0.5"}, "did you mean diffres"),
    ],
)
def test_what_does_not_describe_the_network_is_refused_before_it_is_written(tmp_path, given, message):
    model = Normalised(classifier("cnn9", 2), np.zeros((1, 20, 64), np.float32))
    before = torch.random.get_rng_state()
    with pytest.raises(UsageError, match=message):
        trained.write(tmp_path / "mine.safetensors", model, FeatureSpec(), ["a", "b"], **given)
    assert not list(tmp_path.iterdir())
    assert torch.equal(before, torch.random.get_rng_state()), "the check moves nothing that is drawn later"


def test_writing_checks_what_it_is_given(tmp_path):
    spec = FeatureSpec()
    with pytest.raises(UsageError, match="model: got CNN, expected Normalised"):
        trained.write(tmp_path / "x.safetensors", classifier("cnn7", 2), spec, ["a", "b"])
    model = Normalised(classifier("cnn7", 2), np.zeros((1, 20, 64), np.float32))
    with pytest.raises(UsageError, match=r"x\.pt: expected a name that ends in \.safetensors"):
        trained.write(tmp_path / "x.pt", model, spec, ["a", "b"])


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("esc10-fixd", UsageError, "model 'esc10-fixd': no such network; did you mean esc10-fixed"),
        ("no.pt", UsageError, "model 'no.pt': no such file; expected one of mn04_as, esc10-diffres"),
        ("no.safetensors", UsageError, "trained network 'no.safetensors': there is no file no.safetensors"),
        ("weights.pt", UsageError, r"weights\.pt: holds weights, but neither their features nor their classes"),
        ("broken.safetensors", CourseError, r"broken\.safetensors: is damaged or not a safetensors file"),
    ],
)
def test_models_that_cannot_be_had(tmp_path, monkeypatch, name, kind, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.pt").write_bytes(b"any")
    (tmp_path / "broken.safetensors").write_bytes(b"any")
    with pytest.raises(kind, match=message):
        wave_classifier.load(name)


def test_a_window_that_the_network_refuses_without_a_message():
    class Failing(torch.nn.Module):
        def forward(self, x):
            raise ValueError

    found = wave_classifier.WaveClassifier("failing", Failing(), ["a", "b"], FeatureSpec(), multilabel=False)
    with pytest.raises(UsageError, match=r"window of 0\.5 s: failing cannot take it \(ValueError\)"):
        found.check_window(0.5)


def test_a_window_that_the_network_cannot_take():
    found = wave_classifier.load("esc10-fixed")
    assert found.check_window(0.5) == 8_000
    with pytest.raises(UsageError, match=r"window of 0\.1 s: esc10-fixed cannot take it .*at least 16 frames"):
        found.check_window(0.1)


def test_class_names_come_from_the_published_list_or_not_at_all(tmp_path, monkeypatch):
    monkeypatch.delenv("COURSE_MIRROR", raising=False)
    monkeypatch.setenv("COURSE_OFFLINE", "1")
    monkeypatch.setenv("COURSE_DATA_DIR", str(tmp_path))
    with pytest.raises(CourseError, match=r"class_labels_indices\.csv is not on this machine .*; download https"):
        pretrained.class_names()
    (tmp_path / "weights").mkdir()
    listed = tmp_path / "weights" / "class_labels_indices.csv"
    listed.write_text('index,mid,display_name\n0,/m/1,"Meow, loud"\n1,/m/2,"Bark"\n')
    with pytest.raises(CourseError, match="its sha256 begins with"):
        pretrained.class_names()
    monkeypatch.setattr("course_lib.models.backbones.weights_file", lambda url, sha256: listed)
    assert pretrained.class_names() == ["Meow, loud", "Bark"]
