"""One ONNX file for a classifier of waveforms, with the log-mel inside: what runs it needs neither Python nor torch.

Few runtimes of ONNX have complex numbers, so the Fourier transform is a convolution of the waveform with the windowed
cosines and sines of all bins, with a stride of one hop. The power of a bin is the sum of two squares. Notebook: 12.
"""

import io
import json
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec, mel_bank, padded_window
from course_lib.errors import CourseError, UsageError, first_line
from course_lib.models import mobilenet
from course_lib.models.wave_classifier import WaveClassifier
from course_lib.paths import atomic_write

OPSET = 17
NEEDED = ("onnx", "onnxruntime")
LARGEST_DIFFERENCE = 1e-4  # between torch and ONNX, in probability
TRACED_S = 2.0  # length of the clips that the export is traced with; the file takes any other
TRIED_S = (2.0, 3.3)  # lengths at which the file is compared with torch


def check_installed() -> None:
    """Raise CourseError, with what to install, unless the packages for ONNX are here."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise CourseError(
            f"{missing[0]} is not installed; run: uv sync --inexact --group export (or: pip install onnx onnxruntime)"
        )


def fourier_kernels(window: np.ndarray, n_fft: int) -> torch.Tensor:
    """Windowed cosines and negative sines of all bins, `(2 * bins, 1, window)`, float32.

    `window` `(samples,)` may be shorter than `n_fft`. The squares of what bin `b` gives with its cosine and its sine
    add up to its power; where the phase is counted from does not matter for that.
    """
    bins, samples = np.arange(n_fft // 2 + 1), np.arange(len(window))
    angle = 2 * np.pi * np.outer(bins, samples) / n_fft
    kernels = np.concatenate([window * np.cos(angle), -window * np.sin(angle)])
    return torch.tensor(kernels[:, None], dtype=torch.float32)


class ConvLogMel(nn.Module):
    """`log_mel_torch` of waveforms `(clips, samples)` by convolution: `(clips, frames, mels)`."""

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        before = (spec.fft_samples - spec.window_samples) // 2  # the zeros beside the window need no kernel
        window = padded_window(spec)[before : before + spec.window_samples]
        left = timebase.centre_padding(spec.fft_samples) - before
        right = 2 * timebase.centre_padding(spec.fft_samples) - spec.fft_samples + spec.window_samples - left
        self.padding, self.hop_samples, self.spec = (left, right), spec.hop_samples, spec
        self.register_buffer("kernels", fourier_kernels(window, spec.fft_samples))
        self.register_buffer("bank", torch.tensor(np.tile(mel_bank(spec), (2, 1)), dtype=torch.float32))
        self.unit = {"db": 10 / np.log(10), "ln": 1.0, "none": None}[spec.log]

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(waves, self.padding)
        parts = functional.conv1d(padded[:, None], self.kernels, stride=self.hop_samples)
        power = parts.square().transpose(1, 2) @ self.bank
        return power if self.unit is None else power.clamp(min=self.spec.floor).log() * self.unit


class ConvFrontEnd(nn.Module):
    """`mobilenet.front_end` of waveforms `(clips, samples)` at 32 kHz by convolution: `(clips, frames, 128)`."""

    def __init__(self) -> None:
        super().__init__()
        window, bank = mobilenet.constants()
        self.register_buffer("kernels", fourier_kernels(window.double().numpy(), mobilenet.N_FFT))
        self.register_buffer("bank", bank[::2].repeat(2, 1).clone())
        self.edge = mobilenet.N_FFT // 2
        self.beside = (mobilenet.N_FFT - mobilenet.WINDOW_SAMPLES) // 2

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        emphasised = waves[:, 1:] - mobilenet.PRE_EMPHASIS * waves[:, :-1]
        mirrored = functional.pad(emphasised[:, None], (self.edge, self.edge), mode="reflect")
        inner = mirrored[:, :, self.beside : -self.beside]
        parts = functional.conv1d(inner, self.kernels, stride=mobilenet.HOP_SAMPLES)
        power = parts.square().transpose(1, 2) @ self.bank
        return (power.add(mobilenet.FLOOR).log() - mobilenet.MEAN_LEVEL) / mobilenet.SPREAD


class Exportable(nn.Module):
    """A `WaveClassifier` whose log-mel is a convolution; the same probabilities."""

    def __init__(self, classifier: WaveClassifier) -> None:
        super().__init__()
        self.log_mel = ConvFrontEnd() if classifier.spec is None else ConvLogMel(classifier.spec)
        self.net, self.multilabel = classifier.net, classifier.multilabel

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        logits = self.net(self.log_mel(waves))
        return logits.sigmoid() if self.multilabel else logits.softmax(dim=1)


def to_onnx(classifier: WaveClassifier, path: str | Path) -> str:
    """Write `classifier` to the file `path` and compare it with torch; returns one line on the file.

    Input `waves` `(clips, samples)`, float32 within ±1 at the rate of the classifier, any number of both; output
    `probabilities` `(clips, classes)`. The file's metadata hold `rate_hz`, `classes` (JSON) and `model`.

    Raises
    ------
    UsageError
        The ending is not `.onnx`.
    CourseError
        The packages are missing, the network has parts that ONNX does not know, or the file differs from torch.
    """
    path = Path(path)
    if path.suffix != ".onnx":
        raise UsageError(f"{path}: expected a name that ends in .onnx")
    check_installed()
    import onnx

    module = Exportable(classifier).eval()
    n_traced = timebase.seconds_to_samples(TRACED_S, classifier.rate_hz)
    buffer = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad(), _without_output():
            warnings.simplefilter("ignore")  # the tracer warns of every check of a shape
            torch.onnx.export(
                module,
                (0.1 * torch.randn(2, n_traced, generator=torch.Generator().manual_seed(0)),),
                buffer,
                dynamo=False,
                opset_version=OPSET,
                input_names=["waves"],
                output_names=["probabilities"],
                dynamic_axes={"waves": {0: "clips", 1: "samples"}, "probabilities": {0: "clips"}},
            )
    except Exception as error:  # the exporter has its own exceptions for what it cannot write
        reason = first_line(error)
        raise CourseError(f"{classifier.name}: has parts that cannot be written as ONNX ({reason})") from error
    model = onnx.load_from_string(buffer.getvalue())
    about = {"rate_hz": str(classifier.rate_hz), "classes": json.dumps(classifier.classes), "model": classifier.name}
    onnx.helper.set_model_props(model, about)
    content = model.SerializeToString()
    difference = _difference(content, classifier)
    if not difference <= LARGEST_DIFFERENCE:
        raise CourseError(
            f"{classifier.name}: the ONNX file differs from torch by {difference:.2g}; nothing was written"
        )
    atomic_write(path, content)
    return (
        f"{path}: {len(content) / 1e6:.1f} MB, waveforms at {classifier.rate_hz:,} Hz to {len(classifier.classes)} "
        f"probabilities, at most {difference:.0e} from torch"
    )


@contextmanager
def _without_output() -> Iterator[None]:
    """Nothing is printed inside: on an error the exporter's C++ code writes the whole graph to the screen."""
    sys.stdout.flush()
    screen, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(screen, 1)
        os.close(screen)
        os.close(nowhere)


def _difference(content: bytes, classifier: WaveClassifier) -> float:
    """Largest difference in probability between the ONNX file and torch, over noise, a tone and silence."""
    largest = 0.0
    session = session_of(content)
    for length_s in TRIED_S:
        n_samples = timebase.seconds_to_samples(length_s, classifier.rate_hz)
        noise = 0.1 * np.random.default_rng(0).standard_normal(n_samples)
        tone = 0.5 * np.sin(np.arange(n_samples) / 7)
        for waves in (np.stack([noise, tone, np.zeros(n_samples)]), noise[None]):
            waves = waves.astype(np.float32)
            (found,) = session.run(None, {"waves": waves})
            largest = max(largest, float(np.abs(found - classifier.probabilities(waves)).max()))
    return largest


def session_of(model: bytes | str | Path, threads: int = 1):
    """An `onnxruntime.InferenceSession` on `threads` threads, for a file or its content.

    `session.run(None, {"waves": waves})[0]` gives the probabilities. Raises CourseError if onnxruntime is missing.
    """
    check_installed()
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    given = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(given, options, providers=["CPUExecutionProvider"])
