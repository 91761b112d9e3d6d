"""ONNX files: the log-mel by convolution, and the same probabilities as torch for any number and length of clips."""

import json

import numpy as np
import pytest
import torch

from course_lib.audio.features import FeatureSpec, log_mel_torch
from course_lib.errors import CourseError, UsageError
from course_lib.models import export, mobilenet, pretrained, wave_classifier
from course_lib.models.backbones import local_file

SPECS = [
    FeatureSpec(),
    FeatureSpec(hop_ms=2.5, window_ms=5, n_mels=16, fmin_hz=200),
    FeatureSpec(n_fft=1024, log="ln"),
    FeatureSpec(n_fft=513, window_ms=20, n_mels=32, log="none"),
]


def noise(n_clips, n_samples, seed=0):
    return (0.1 * np.random.default_rng(seed).standard_normal((n_clips, n_samples))).astype(np.float32)


@pytest.fixture(scope="module")
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed (uv sync --group export)")


@pytest.fixture(scope="module")
def runtime(onnx):
    return pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (uv sync --group export)")


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("n_samples", [16_000, 12_345])
def test_log_mel_by_convolution(spec, n_samples):
    waves = torch.tensor(noise(2, n_samples))
    expected = log_mel_torch(waves, spec)
    found = export.ConvLogMel(spec)(waves)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=1e-4)  # dB, nats or power


@pytest.mark.parametrize("n_samples", [32_000, 54_321])
def test_front_end_of_the_mobilenet_by_convolution(n_samples):
    waves = torch.tensor(noise(2, n_samples))
    torch.testing.assert_close(export.ConvFrontEnd()(waves), mobilenet.front_end(waves), atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def exported(runtime, tmp_path_factory):
    """A shipped network, its ONNX file and what was said of it."""
    path = tmp_path_factory.mktemp("onnx") / "net.onnx"
    classifier = wave_classifier.load("esc10-fixed")
    return classifier, path, export.to_onnx(classifier, path)


@pytest.mark.parametrize("shape", [(1, 16_000), (3, 16_000), (2, 81_234), (2, 4_000)])
def test_any_number_and_length_of_clips(exported, shape):
    classifier, path, _ = exported
    waves = noise(*shape, seed=shape[1])
    (found,) = export.session_of(path).run(None, {"waves": waves})
    assert np.abs(found - classifier.probabilities(waves)).max() < export.LARGEST_DIFFERENCE


def test_loud_soft_and_silent_clips(exported):
    classifier, path, _ = exported
    tone = 0.5 * np.sin(np.arange(16_000) / 7)
    waves = np.stack([tone, 1e-3 * tone, 0 * tone, np.sign(tone)]).astype(np.float32)
    (found,) = export.session_of(path).run(None, {"waves": waves})
    assert np.abs(found - classifier.probabilities(waves)).max() < export.LARGEST_DIFFERENCE


def test_the_file_says_what_it_takes_and_gives(exported, onnx):
    classifier, path, line = exported
    model = onnx.load(path)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["rate_hz"] == "16000" and json.loads(about["classes"]) == classifier.classes
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", export.OPSET)]
    assert [node.name for node in (*model.graph.input, *model.graph.output)] == ["waves", "probabilities"]
    assert "waveforms at 16,000 Hz to 10 probabilities" in line


@pytest.mark.skipif(
    not pretrained.available() or local_file(pretrained.published("mn04_as").url) is None, reason="mn04_as is not here"
)
def test_the_network_of_audioset(runtime, tmp_path):
    names = [f"class {k}" for k in range(527)]
    classifier = wave_classifier.WaveClassifier("mn04_as", pretrained.network().fused(), names, None, multilabel=True)
    export.to_onnx(classifier, tmp_path / "mn04.onnx")
    waves = noise(2, 77_777)
    (found,) = export.session_of(tmp_path / "mn04.onnx").run(None, {"waves": waves})
    assert np.abs(found - classifier.probabilities(waves)).max() < export.LARGEST_DIFFERENCE


def test_what_onnx_does_not_know_is_one_line_and_no_file(runtime, tmp_path, capfd):
    path = tmp_path / "diffres.onnx"
    with pytest.raises(CourseError, match=r"esc10-diffres: has parts that cannot be written as ONNX .*searchsorted"):
        export.to_onnx(wave_classifier.load("esc10-diffres"), path)
    assert not path.exists() and "graph" not in capfd.readouterr().out


def test_a_network_that_fails_without_a_message_is_one_line(runtime, tmp_path):
    class Failing(torch.nn.Module):
        def forward(self, x):
            raise AssertionError

    classifier = wave_classifier.WaveClassifier("failing", Failing(), ["a", "b"], FeatureSpec(), multilabel=False)
    with pytest.raises(CourseError, match=r"failing: has parts that cannot be written as ONNX \(AssertionError\)"):
        export.to_onnx(classifier, tmp_path / "failing.onnx")


def test_a_file_that_differs_from_torch_is_not_written(runtime, tmp_path, monkeypatch):
    true = export.fourier_kernels
    monkeypatch.setattr(export, "fourier_kernels", lambda window, n_fft: true(window**2, n_fft))
    with pytest.raises(CourseError, match=r"the ONNX file differs from torch by .*; nothing was written"):
        export.to_onnx(wave_classifier.load("esc10-fixed"), tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_missing_packages_and_a_wrong_ending_are_told(tmp_path, monkeypatch):
    classifier = wave_classifier.load("esc10-fixed")
    with pytest.raises(UsageError, match=r"x\.pt: expected a name that ends in \.onnx"):
        export.to_onnx(classifier, tmp_path / "x.pt")
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(CourseError, match="onnx is not installed; run: uv sync --inexact --group export"):
        export.to_onnx(classifier, tmp_path / "x.onnx")
