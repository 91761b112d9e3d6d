"""Tests of the exercises in notebook 06."""

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from course_lib.lesson.checks import NotYet, call, expect_array, expect_function

if TYPE_CHECKING:
    import torch


def one_channel_filters(answer: object) -> str:
    """06.1: filters for one channel that answer like those for three equal ones."""
    filters = np.random.default_rng(0).standard_normal((4, 3, 5, 5))
    wanted = filters.sum(axis=1)
    try:
        got = np.asarray(call(answer, filters.copy()))
    except NotYet as wrong:  # the notebook's filters are torch's, whose functions take `dim` where numpy's take `axis`
        import torch

        try:
            got = np.asarray(call(answer, torch.from_numpy(filters.copy())))
        except NotYet:
            raise wrong from None
    slips = {
        "that is the mean; equal channels are added up, so the answers would be a third as big": filters.mean(axis=1),
        "that is the first channel alone; the other two see the same picture and answer too": filters[:, 0],
        "that sums over the filters; the channels are axis 1": filters.sum(axis=0),
        "that sums over the height; the channels are axis 1": filters.sum(axis=2),
        "keep the signs: opposite colours cancel": np.abs(filters).sum(axis=1),
    }
    if got.shape == (4, 1, 5, 5):
        raise NotYet("expected shape (4, 5, 5), got (4, 1, 5, 5): drop the axis (no keepdims)")
    expect_array(got, wanted, what="filters of one channel", slips=slips)
    return "A filter whose colours cancel becomes zero: it does not respond to a grey picture."


def stage_rates(answer: object) -> str:
    """06.2: discriminative rates."""
    for rate, factor, n_stages in ((2e-3, 0.6, 4), (1e-2, 0.5, 3), (1e-3, 1.0, 2), (3e-3, 0.3, 1)):
        wanted = np.array([rate * factor ** (n_stages - 1 - k) for k in range(n_stages)])
        got = call(answer, rate, factor, n_stages)
        if np.ndim(got) == 0:
            raise NotYet(f"expected a list of {n_stages} rates, got {type(got).__name__}")
        slips = {
            "reversed: the first part learns slowest, the last at `rate`": wanted[::-1],
            "the last part learns at `rate` itself: start with the power 0": wanted * factor,
            "each part learns at `factor` times the rate of the *next* one, so use powers": np.array(
                [rate * factor] * (n_stages - 1) + [rate]
            ),
        }
        expect_array(got, wanted, what=f"{n_stages} stages, rate {rate:g}, factor {factor:g}", slips=slips)
    return "With four parts and a factor of 0.6, the first learns at about a fifth of the last one's rate."


def batches_to_forget(answer: object) -> str:
    """06.3: how long a running mean remembers."""

    def reference(share: float, momentum: float) -> int:
        return math.ceil(math.log(share) / math.log(1 - momentum) - 1e-9)

    slips = {
        "rounded down: a little more than `share` is still left; round up": lambda s, m: int(
            math.log(s) / math.log(1 - m)
        ),
        "not a whole number: round up": lambda s, m: math.log(s) / math.log(1 - m),
        "each batch *keeps* 1 - momentum of it; you multiplied by the momentum": lambda s, m: math.ceil(
            math.log(s) / math.log(m)
        ),
        "it does not lose the same amount each time, but the same share of what is left": lambda s, m: math.ceil(
            (1 - s) / m
        ),
        "that is when `share` is forgotten; find when only `share` is left": lambda s, m: math.ceil(
            math.log(1 - s) / math.log(1 - m)
        ),
    }
    cases = [(0.1, 0.01), (0.1, 0.1), (0.05, 0.1), (0.3, 0.2), (0.01, 0.05)]
    expect_function(answer, reference, cases, unit="batches", slips=slips)
    return "230 batches at 0.01, 22 at 0.1: at 0.01, training in a lesson would end before photographs are forgotten."


def honest_masks(answer: object) -> str:
    """06.4: who trains, who chooses, who is tested."""
    kinds = ["original", "slow", "fast"]
    table = pd.DataFrame({"fold": np.repeat([1, 2, 3, 4], 6), "transform": kinds * 8})
    for chooses, tested in ((2, 1), (1, 4)):
        fold, original = table["fold"], table["transform"] == "original"
        wanted = (~fold.isin([chooses, tested]), original & (fold == chooses), original & (fold == tested))
        got = call(answer, table.copy(), chooses, tested)
        if not isinstance(got, tuple | list) or len(got) != 3:
            raise NotYet(f"expected three masks (train, validation, test), got {type(got).__name__}")
        masks = [np.asarray(mask) for mask in got]
        for name, mask in zip(("train", "validation", "test"), masks, strict=True):
            if mask.shape != (len(table),) or mask.dtype != bool:
                raise NotYet(f"{name}: expected {len(table)} times True or False, got {mask.dtype} {mask.shape}")
        train, choose, test = masks
        held_out = fold.isin([chooses, tested]).to_numpy()
        if (train & held_out).any():
            which = "copies of " if not (train & held_out & original).any() else ""
            raise NotYet(f"training contains {which}clips of the validation or the test fold: scores would be too good")
        if np.array_equal(choose, wanted[2]) and np.array_equal(test, wanted[1]):
            raise NotYet("validation and test are swapped")
        for name, mask in (("validation", choose), ("test", test)):
            if (mask & ~original).any():
                raise NotYet(f"{name} contains copies: use only sounds as they were recorded")
        if not (train & ~original).any():
            raise NotYet("training contains no copies; copies of training clips are what augmentation is for")
        for name, mask, right in zip(("train", "validation", "test"), masks, wanted, strict=True):
            if not np.array_equal(mask, right):
                raise NotYet(f"{name}: {mask.sum()} rows, expected {right.sum()}")
    return "Copies are used only for training, and each stays in the fold of its clip."


def my_channels(answer: object) -> str:
    """06.5: three channels designed by the learner; their properties are tested, not their accuracy."""
    import torch

    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.standard_normal((3, 70, 66)), axis=1)  # levels that change slowly, like those of sounds
    levels = torch.from_numpy((-50 + 3 * steps).astype(np.float32))
    got = _channels(call(answer, levels.clone()), levels)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        if _same_picture(got[:, a], got[:, b]):
            raise NotYet(f"channels {a} and {b} are the same picture; three channels can show three things")
    alone = _channels(call(answer, levels[:1].clone()), levels[:1])
    if not torch.allclose(alone[0], got[0], atol=1e-3):
        raise NotYet("a clip's channels depend on other clips: compute them from each clip by itself")
    louder = _channels(call(answer, levels + 10), levels)
    change = (louder - got).abs().amax((0, 2, 3))
    if change.min() > 1e-2:
        found = ", ".join(f"{value:.3g}" for value in change.tolist())
        raise NotYet(f"10 dB more change the three channels by up to {found}; at least one should not change")
    return "Three pictures of one sound, one of which does not depend on the gain."


def _channels(got: object, levels: "torch.Tensor") -> "torch.Tensor":
    """What a learner's function made of `levels` `(clips, frames, mels)`, if it has the right type and shape."""
    import torch

    if not isinstance(got, torch.Tensor):
        raise NotYet(f"expected a torch tensor, got {type(got).__name__}")
    expected = (len(levels), 3, *levels.shape[1:])
    if tuple(got.shape) != expected:
        raise NotYet(f"expected shape {expected}, got {tuple(got.shape)}: (clips, 3, frames, mels)")
    if not got.is_floating_point() or not torch.isfinite(got).all():
        raise NotYet("expected finite floats in all three channels")
    return got


def _same_picture(first: "torch.Tensor", second: "torch.Tensor") -> bool:
    """Whether two channels `(clips, frames, mels)` differ only by a factor and an offset."""
    together = np.stack([first.numpy().ravel(), second.numpy().ravel()])
    if (np.ptp(together, axis=1) == 0).any():
        return bool(np.ptp(together, axis=1).max() == 0)
    return bool(abs(np.corrcoef(together)[0, 1]) > 0.999)


EXERCISES = {
    "06.1": one_channel_filters,
    "06.2": stage_rates,
    "06.3": batches_to_forget,
    "06.4": honest_masks,
    "06.5": my_channels,
}
