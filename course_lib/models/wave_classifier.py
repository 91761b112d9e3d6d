"""Classifiers of waveforms: a trained network with its log-mel in front and its probabilities behind.

`load("mn04_as")` is the network that was trained on AudioSet, `load("esc10-fixed")` one that the course ships, and
`load("mine.safetensors")` one that you saved with `course_lib.models.trained.write`. Notebook: 12.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import nn

from course_lib.audio import timebase
from course_lib.audio.features import FeatureSpec, log_mel_torch
from course_lib.checked import nearest
from course_lib.errors import UsageError, first_line
from course_lib.models import mobilenet, pretrained, trained
from course_lib.profiles import one_thread

DEFAULT = "mn04_as"
BLOCK_SAMPLES = 2**19  # clips per block for one thread: eight of 2 s at 32 kHz


class WaveClassifier(nn.Module):
    """From waveforms `(clips, samples)`, float32 within ±1 at `rate_hz`, to probabilities `(clips, classes)`.

    `net` takes log-mels and returns logits. `spec` says which log-mel; None is that of `models.mobilenet`. With
    `multilabel` each class has its own probability, otherwise they sum to 1: a network that knows ten sounds then gives
    one of the ten names to everything, speech included. Notebook: 12.
    """

    def __init__(
        self, name: str, net: nn.Module, classes: list[str], spec: FeatureSpec | None, *, multilabel: bool
    ) -> None:
        super().__init__()
        self.name = name
        self.net = net.eval()
        self.classes = classes
        self.spec = spec
        self.multilabel = multilabel
        self.rate_hz = mobilenet.RATE_HZ if spec is None else spec.rate_hz

    def log_mel(self, waves: torch.Tensor) -> torch.Tensor:
        """What the network gets, `(clips, frames, mels)`."""
        return mobilenet.front_end(waves) if self.spec is None else log_mel_torch(waves, self.spec)

    def forward(self, waves: torch.Tensor) -> torch.Tensor:
        logits = self.net(self.log_mel(waves))
        return logits.sigmoid() if self.multilabel else logits.softmax(dim=1)

    def probabilities(self, waves: np.ndarray) -> np.ndarray:
        """Probabilities `(clips, classes)`, float32, of `waves` `(clips, samples)`; blocks of clips on all cores.

        Raises
        ------
        ValueError
            Another shape, or clips too short for the network.
        """
        cores = os.cpu_count() or 1
        batch = max(1, min(-(-len(waves) // cores), BLOCK_SAMPLES // max(1, waves.shape[-1])))

        @torch.inference_mode()
        def block(start: int) -> np.ndarray:
            return self(torch.as_tensor(waves[start : start + batch])).numpy()

        starts = range(0, len(waves), batch)
        with one_thread(), ThreadPoolExecutor(cores) as pool:  # layers this small gain nothing from threads
            return np.concatenate(list(pool.map(block, starts)))

    def check_window(self, window_s: float) -> int:
        """Samples of a window of `window_s` seconds, after the network has tried one of silence.

        Raises
        ------
        UsageError
            The network cannot take a window of that length.
        """
        try:
            n_samples = timebase.seconds_to_samples(window_s, self.rate_hz)
            self.probabilities(np.zeros((1, n_samples), np.float32))
        except (ValueError, RuntimeError) as error:
            reason = first_line(error)
            raise UsageError(f"window of {window_s:g} s: {self.name} cannot take it ({reason})") from None
        return n_samples


def names() -> list[str]:
    """Names that `load` knows."""
    return [*pretrained.AUDITORY, *trained.names()]


def load(name: str | Path = DEFAULT) -> WaveClassifier:
    """The classifier `name`, one of `names()`, or one in a file that `trained.write` wrote.

    Raises
    ------
    UsageError
        There is none of that name, no such file, or a file of weights that does not say what they are for.
    CourseError
        The file is damaged, or published weights are not here and cannot be downloaded.
    """
    text = str(name)
    if text in pretrained.AUDITORY:
        return WaveClassifier(
            text, pretrained.network(text).fused(), pretrained.class_names(text), None, multilabel=True
        )
    if text.endswith((".pt", ".pth", ".ckpt")) and Path(text).is_file():
        raise UsageError(
            f"model {text}: holds weights, but neither their features nor their classes; save the network with "
            "course_lib.models.trained.write, as .safetensors"
        )
    if not text.endswith(trained.ENDING) and text not in trained.names():
        found = "no such file" if Path(text).suffix else "no such network"
        raise UsageError(f"model {text!r}: {found}; {nearest(text, names())}, or give a {trained.ENDING} file")
    run = trained.load(name)
    multilabel = bool(run.run.get("multilabel", False))
    return WaveClassifier(run.name, run.model, run.classes, run.spec, multilabel=multilabel)
