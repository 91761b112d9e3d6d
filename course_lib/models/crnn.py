"""A CRNN for sound event detection: convolutions, two bidirectional recurrent layers, probabilities per frame.

It takes any of three streams of a scene, each at its own rate: log-mel (`spectral`), and features of pretrained
networks for sound (`auditory`) and images (`visual`). Notebook: 10.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import nn

from course_lib.audio import timebase
from course_lib.models import classifier

FUSIONS = ("early", "mid", "gate")
ALIGNMENTS = (*timebase.ALIGNMENTS, "learned")
CHANNELS, POOLS = (16, 32, 32, 32, 32), ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2))
TIME_POOL, STRIDED = 4, 2
EARLY_FRAMES = (TIME_POOL - 1) / 2  # the receptive field of strided convolutions is centred on the first of four frames
SMOOTHING = 9  # output frames that a learned alignment sees


class Projected(nn.Module):
    """A stream `(scenes, frames, dims)` as `(scenes, out, width)`: projected to `width`, aligned with the times `at_s`.

    `learned` starts as `nearest` and can learn to smooth, sharpen and shift each dimension in time.
    """

    def __init__(
        self, n_dims: int, width: int, times_s: np.ndarray, at_s: np.ndarray, align: str, dropout: float
    ) -> None:
        super().__init__()
        weights = timebase.alignment(times_s, at_s, "nearest" if align == "learned" else align)
        self.register_buffer("weights", torch.as_tensor(weights))
        self.dropout, self.linear = nn.Dropout(dropout), nn.Linear(n_dims, width)
        self.over_time = None
        if align == "learned":
            self.over_time = nn.Conv1d(width, width, SMOOTHING, padding=SMOOTHING // 2, groups=width, bias=False)
            with torch.no_grad():
                self.over_time.weight.zero_()[:, :, SMOOTHING // 2] = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.weights @ self.linear(self.dropout(x))  # project first: alignment adds frames
        return x if self.over_time is None else self.over_time(x.transpose(1, 2)).transpose(1, 2)


class CRNN(nn.Module):
    """Probabilities per frame, `strong` `(scenes, out, classes)`, and per scene, `weak` `(scenes, classes)`.

    `streams` has the frame times in seconds and the number of dimensions of every stream that is used. `frames_s` are
    the times of the log-mel's frames, whether it is used or not: four of them make one output frame, centred at
    `out_s`. `fusion` is where streams meet: `early`, before the convolutions, concatenated like further mel bands (the
    paper's way, as far as it is described); `mid`, after them, concatenated; `gate`, after them, as a sum with weights
    that are learned frame by frame. `align` is one of `ALIGNMENTS`, for all streams but the log-mel. With
    `frame_reducer` the log-mel first goes through a frame reducer of `models.classifier`, and the probabilities are
    brought back to the times of its input; the guide loss of DiffRes is not used. Unless `centred`, the convolutions
    are centred `EARLY_FRAMES` frames of the log-mel before `out_s`, so events come out late by that much; the first
    published rows are from this network, and `study.scene_run` undoes the offset.

    A scene's probability is the linear softmax of those of its frames. Source: Boes & Van hamme, Interspeech 2021, for
    the parts; Wang, Li & Metze, ICASSP 2019, for the pooling. The sizes are ours; we do not know the paper's.

    Raises
    ------
    ValueError
        No streams, no such fusion or alignment, or a frame reducer with other streams than the log-mel or with
        `log="none"`.
    """

    def __init__(
        self,
        n_classes: int,
        streams: Mapping[str, tuple[np.ndarray, int]],
        frames_s: np.ndarray,
        *,
        fusion: str = "mid",
        align: str = "nearest",
        frame_reducer: str = "none",
        log: str = "db",
        centred: bool = False,
        width: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if not streams or fusion not in FUSIONS or align not in ALIGNMENTS:
            raise ValueError(
                f"streams={list(streams)}, fusion={fusion!r}, align={align!r}: expected at least one stream, "
                f"{' or '.join(FUSIONS)}, and {' or '.join(ALIGNMENTS)}"
            )
        if frame_reducer != "none" and list(streams) != ["spectral"]:
            raise ValueError(
                f"frame_reducer={frame_reducer!r}: merges frames of the log-mel, which must be the only stream"
            )
        self.names, self.fusion = tuple(streams), fusion
        self.out_s = output_times_s(frames_s)
        for name, (_, n_dims) in streams.items():
            self.register_buffer(f"{name}_mean", torch.zeros(n_dims))
            self.register_buffer(f"{name}_deviation", torch.ones(n_dims))
        n_mels = streams["spectral"][1] if "spectral" in streams else width
        at_s = frames_s if fusion == "early" else self.out_s
        wide = n_mels if fusion == "early" else width
        others = {name: shape for name, shape in streams.items() if name != "spectral"}
        self.projected = nn.ModuleDict(
            {name: Projected(n, wide, times_s, at_s, align, dropout) for name, (times_s, n) in others.items()}
        )
        self.frame_reducer, self.nat = None, 1.0
        if frame_reducer != "none":
            name, reduction = classifier.parse_reducer(frame_reducer)
            self.nat = classifier.nats_of(log)
            self.frame_reducer = classifier.REDUCERS[name](n_mels, reduction)
            if self.frame_reducer.channels != 3:
                raise ValueError(
                    f"frame_reducer={frame_reducer!r}: only frame reducers that merge by widths can be undone in time"
                )
        bands = n_mels * (len(streams) if fusion == "early" else 1)
        convolved = fusion == "early" or "spectral" in streams
        channels = 1 if self.frame_reducer is None else 3
        self.encoder = Encoder(channels, bands, width, dropout, centred=centred) if convolved else None
        meeting = 1 if fusion == "early" else len(streams)
        self.gate = nn.Linear(meeting * width, meeting) if fusion == "gate" else None
        self.dropout = nn.Dropout(dropout)
        n_in = width if fusion == "gate" else meeting * width
        self.recurrent = nn.GRU(n_in, width, num_layers=2, batch_first=True, bidirectional=True, dropout=dropout)
        self.head = nn.Linear(2 * width, n_classes)
        nn.init.constant_(self.head.bias, -1.5)  # most frames contain no event of a class: start below a half

    def standardise(self, name: str, parts: Sequence[np.ndarray]) -> None:
        """Set a stream's mean and standard deviation to those of `parts`, each `(scenes, frames, dims)`."""
        mean, std = _statistics(parts, subtract_median if name == "spectral" else None)
        getattr(self, f"{name}_mean").copy_(mean)
        getattr(self, f"{name}_deviation").copy_(std.clamp(min=1e-5))
        if hasattr(self.frame_reducer, "standardise"):
            mean, std = _statistics(parts)
            self.frame_reducer.standardise(mean / self.nat, std / self.nat)

    def forward(self, x: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """`x` has the features of each stream, `(scenes, frames, dims)`."""
        if self.frame_reducer is not None:
            return self._forward_reduced(x["spectral"])
        parts = {name: self._standardised(name, x[name]) for name in self.names}
        parts |= {name: projected(parts[name]) for name, projected in self.projected.items()}
        if self.fusion == "early":
            parts = {"all": torch.cat(list(parts.values()), 2)}
        if self.encoder is not None:
            name = "all" if self.fusion == "early" else "spectral"
            encoded = self.encoder(parts[name][:, None])
            parts[name] = encoded[:, : len(self.out_s)]  # without a last frame made from fewer than four
        return self._classified(self._fused(list(parts.values())))

    def _standardised(self, name: str, x: torch.Tensor) -> torch.Tensor:
        x = subtract_median(x) if name == "spectral" else x
        return (x - getattr(self, f"{name}_mean")) / getattr(self, f"{name}_deviation")

    def _fused(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Streams `(scenes, out, width)` as one."""
        side_by_side = torch.cat(list(parts), 2)
        if self.gate is None:
            return side_by_side
        shares = self.gate(side_by_side).softmax(2)  # (scenes, out, streams)
        return (torch.stack(list(parts), 3) * shares[:, :, None]).sum(3)

    def _classified(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        strong = self.head(self.dropout(self.recurrent(x)[0])).sigmoid()
        return strong, linear_softmax_pool(strong)

    def _forward_reduced(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Through the frame reducer and back: each frame gets the probabilities of the merged frame at its middle."""
        merged = self.frame_reducer(x / self.nat)
        levels, positions = merged.features[:, :2] * self.nat, merged.features[:, 2:]
        image = torch.cat([self._standardised("spectral", levels), positions], 1)
        strong, _ = self._classified(self._fused([self.encoder(image)]))
        middle = (merged.scores.cumsum(1) - merged.scores / 2)[:, : len(self.out_s) * TIME_POOL]
        place = (middle / TIME_POOL).long().clamp(0, strong.shape[1] - 1)  # (scenes, frames)
        back = strong.gather(1, place[..., None].expand(-1, -1, strong.shape[2]))
        strong = back.unflatten(1, (-1, TIME_POOL)).mean(2)
        return strong, linear_softmax_pool(strong)


def output_times_s(frames_s: np.ndarray) -> np.ndarray:
    """Middles of the output frames, `(out,)`: means over four of the log-mel's frames each; fewer make none."""
    return frames_s[: len(frames_s) // TIME_POOL * TIME_POOL].reshape(-1, TIME_POOL).mean(1)


def subtract_median(x: torch.Tensor) -> torch.Tensor:
    """Log-mel `(..., frames, mels)` minus the median of each band over the scene, which removes steady noise.

    A network from scratch learns several times faster from it; sounds longer than half of a scene are lost.
    """
    return x - x.median(-2, keepdim=True).values


def linear_softmax_pool(strong: torch.Tensor) -> torch.Tensor:
    """Probability of a scene from those of its frames `(scenes, frames, classes)`: linear softmax, `(scenes, classes)`.

    Source: Wang, Li & Metze, "A comparison of five multiple instance learning pooling functions", ICASSP 2019.
    """
    return strong.square().sum(1) / strong.sum(1).clamp(min=1e-7)


class Encoder(nn.Sequential):
    """Five convolutions that leave a quarter of the frames and a thirty-second of the bands, and a dense layer.

    `(scenes, channels, frames, bands)` to `(scenes, frames / 4, width)`. The first two halve by their stride, because
    pooling their large maps would take half of the time. Their kernels have an odd number of frames, so that an output
    frame looks at its first input frame; with one more frame, `centred`, it looks at the middle of its four.
    """

    def __init__(self, n_in: int, bands: int, width: int, dropout: float, *, centred: bool = False) -> None:
        layers: list[nn.Module] = []
        for k, (n_out, pool) in enumerate(zip(CHANNELS, POOLS, strict=True)):
            size, strided = (5, 3, 3, 3, 3)[k], k < STRIDED
            n_frames = size + 1 if strided and centred else size
            stride = pool if strided else 1
            layers.append(nn.Conv2d(n_in, n_out, (n_frames, size), stride, size // 2, bias=False))
            layers += [] if strided else [nn.MaxPool2d(pool)]
            layers += [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
            n_in = n_out
        left = bands // 2 ** len(POOLS)
        if left < 1:
            fewest = 2 ** len(POOLS)
            raise ValueError(f"{bands} bands: the encoder halves them {len(POOLS)} times; use at least {fewest}")
        super().__init__(*layers, _Flat(), nn.Dropout(dropout), nn.Linear(n_in * left, width), nn.ReLU(inplace=True))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return super().forward(image.contiguous(memory_format=torch.channels_last))


class _Flat(nn.Module):
    """`(scenes, channels, frames, bands)` as `(scenes, frames, channels * bands)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(1, 2).flatten(2)


def _statistics(parts: Sequence[np.ndarray], work: Callable | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of each dimension over all frames, `(dims,)`, after `work` if given."""
    count, total, squares = 0, 0.0, 0.0
    for part in parts:
        for start in range(0, len(part), 64):  # a few scenes at a time, because a whole set does not fit twice
            x = torch.tensor(np.asarray(part[start : start + 64], dtype=np.float32))
            flat = (x if work is None else work(x)).flatten(0, 1).double()
            count = count + len(flat)
            total = total + flat.sum(0)
            squares = squares + flat.square().sum(0)
    mean = total / count
    return mean.float(), (squares / count - mean.square()).clamp(min=0).sqrt().float()
