"""Tests of the exercises in notebook 10."""

from typing import TYPE_CHECKING

import numpy as np

from course_lib.lesson.checks import NotYet, call, expect_array, expect_function

if TYPE_CHECKING:
    import torch


def nearest_places(answer: object) -> str:
    """10.1: for each time the place of the nearest frame."""
    cases = [
        (0.09 + 0.32 * np.arange(6), 0.03 + 0.08 * np.arange(20)),
        ((np.arange(8) + 0.5) / 4, np.array([0.0, 0.25, 0.9, 1.9, 2.5])),
        (np.array([1.0, 2.0]), np.array([0.1, 1.5, 1.6, 7.0])),
    ]
    for times_s, at_s in cases:
        got = call(answer, times_s.copy(), at_s.copy())
        apart = np.abs(at_s[:, None] - times_s)
        wanted = apart.argmin(1)
        last = len(times_s) - 1
        slips = {
            "these are the times of the nearest frames; return their indices": times_s[wanted],
            "that is an index into `at_s` for each frame; return an index into `times_s` for each time": apart.argmin(
                0
            ),
            "that is the frame after each time; the one before may be nearer": (
                np.searchsorted(times_s, at_s).clip(0, last)
            ),
            "that is the frame before each time; the one after may be nearer": (
                (np.searchsorted(times_s, at_s, "right") - 1).clip(0, last)
            ),
            "where two frames are equally near, take the earlier one": last - apart[:, ::-1].argmin(1),
            "that is the frame farthest away": apart.argmax(1),
            "these are the smallest distances; return where they are smallest": apart.min(1),
        }
        if np.shape(got) == apart.shape:
            raise NotYet("that is a matrix with one row per time; return the index of the smallest entry of each row")
        expect_array(got, wanted.astype(float), what="indices", slips=slips)
    return "Each index is the column of the single 1 in a row of `timebase.alignment`."


def pool(answer: object) -> str:
    """10.2: linear softmax pooling of frames."""
    rng = np.random.default_rng(2)
    cases = [rng.uniform(0.05, 0.95, (6, 3)), rng.uniform(0.05, 0.95, (4, 2)), np.full((5, 2), 0.3)]
    for y in cases:
        got = call(answer, y.copy())
        wanted = (y**2).sum(0) / y.sum(0)
        slips = {
            "that is the mean: every frame has the same weight": y.mean(0),
            "that is the maximum: a single frame decides": y.max(0),
            "that is the mean of the squares; divide by the sum of the probabilities": (y**2).mean(0),
            "divide the sum of squares by the sum": (y**2).sum(0),
            "square each probability before summing: the square of the sum is not the sum of the squares": y.sum(0) ** 2
            / y.sum(0),
            "that is the reciprocal: the squares belong in the numerator": y.sum(0) / (y**2).sum(0),
            "that is the root mean square; take no root": np.sqrt((y**2).mean(0)),
            "that is exponential softmax; in linear softmax, a frame's weight is its own probability": (
                (y * np.exp(y)).sum(0) / np.exp(y).sum(0)
            ),
            "that sums over the classes; sum over the frames, the first axis": (y**2).sum(1) / y.sum(1),
            "that sums over frames and classes together; keep the classes apart": np.array((y**2).sum() / y.sum()),
        }
        expect_array(got, wanted, what="probabilities", slips=slips)
    return "In the last case all frames are equal, and the pooled probability is that of a frame."


def followed(answer: object) -> str:
    """10.3: one update of the mean teacher."""

    def reference(teacher: float, student: float, step: int, past: float) -> float:
        share = min(1 - 1 / (step + 1), past)
        return share * teacher + (1 - share) * student

    slips = {
        "the share is the weight of the teacher's own past; the student gets the rest": lambda t, s, k, a: (
            (share := min(1 - 1 / (k + 1), a)) * s + (1 - share) * t
        ),
        "that always keeps `past`; in the first steps the share is smaller, 1 - 1 / (step + 1)": lambda t, s, k, a: (
            a * t + (1 - a) * s
        ),
        "that is the mean of all steps so far, which soon hardly moves; `past` limits the share": lambda t, s, k, a: (
            (1 - 1 / (k + 1)) * t + s / (k + 1)
        ),
        "that is the larger of the two shares; `past` is the highest share allowed": lambda t, s, k, a: (
            (share := max(1 - 1 / (k + 1), a)) * t + (1 - share) * s
        ),
        "steps count from 0: 1 - 1 / (step + 1)": lambda t, s, k, a: (
            (share := min(1 - 1 / max(k, 1), a)) * t + (1 - share) * s
        ),
        "that is the share; return the weight": lambda t, s, k, a: min(1 - 1 / (k + 1), a),
        "that is only the change; add it to the teacher's weight": lambda t, s, k, a: (
            (1 - min(1 - 1 / (k + 1), a)) * (s - t)
        ),
    }
    cases = [(0.4, 1.0, 0, 0.99), (0.4, 1.0, 3, 0.99), (-0.5, 0.7, 1000, 0.99), (2.0, -1.0, 50, 0.9)]
    expect_function(answer, reference, cases, unit="", slips=slips)
    return "At step 0 the teacher becomes equal to the student. At step 1000, one update closes a hundredth of the gap."


def micro_f1(answer: object) -> str:
    """10.4: micro F1 of tags from counts by class."""

    def reference(n_ref: np.ndarray, n_sys: np.ndarray, right: np.ndarray) -> float:
        return float(2 * right.sum() / (n_ref.sum() + n_sys.sum()))

    slips = {
        "that is macro F1, the mean over classes; add up the counts first": lambda r, s, t: np.nanmean(2 * t / (r + s)),
        "that is precision, the correct share of what was named": lambda r, s, t: t.sum() / s.sum(),
        "that is recall, the share of what was there that was named": lambda r, s, t: t.sum() / r.sum(),
        "correct tags are part of both counts below the line, so count them twice above it": lambda r, s, t: (
            t.sum() / (r.sum() + s.sum())
        ),
        "that is the Jaccard index, which counts correct tags once in the denominator": lambda r, s, t: (
            t.sum() / (r.sum() + s.sum() - t.sum())
        ),
        "that is the mean of precision and recall; F1 is their harmonic mean": lambda r, s, t: (
            (t.sum() / r.sum() + t.sum() / s.sum()) / 2
        ),
        "that is in per cent; return a fraction between 0 and 1": lambda r, s, t: 200 * t.sum() / (r.sum() + s.sum()),
    }
    cases = [
        (np.array([10, 40, 5]), np.array([12, 30, 1]), np.array([8, 24, 1])),
        (np.array([7, 9]), np.array([20, 3]), np.array([7, 2])),
        (np.array([4, 6, 3, 2]), np.array([0, 8, 9, 1]), np.array([0, 5, 3, 0])),
    ]
    got = call(answer, *(a.copy() for a in cases[0]))
    if isinstance(got, np.ndarray) and got.ndim:
        raise NotYet(f"return one number for all classes, not an array of shape {got.shape}: add up the counts first")
    expect_function(answer, reference, cases, unit="", slips=slips)
    return "In the third case, one class is never named and another only once, wrongly: both lower the score."


N_FRAMES, N_SHORT = 40, 4  # of the scenes that a learner's pooling is tried on; frames of the short event


def own_pool(answer: object) -> str:
    """10.5: a pooling function for training, judged by its properties."""
    import torch

    rng = np.random.default_rng(5)
    mixed = torch.tensor(rng.uniform(0.02, 0.98, (2, N_FRAMES, 3)), dtype=torch.float32)
    got = _pooled(answer, mixed)
    lowest, highest = mixed.amin(1), mixed.amax(1)
    if (got < lowest - 1e-5).any() or (got > highest + 1e-5).any():
        raise NotYet("some pooled values lie below the lowest or above the highest frame of their scene and class")
    for level in (0.02, 0.3, 0.97):
        equal = float(_pooled(answer, torch.full((1, N_FRAMES, 2), level)).detach()[0, 0])
        if abs(equal - level) > 1e-3:
            raise NotYet(f"if all frames have {level:g}, the pooled value is {equal:.3f}; it should be {level:g} too")
    shuffled = _pooled(answer, mixed[:, torch.tensor(rng.permutation(N_FRAMES))])
    if not torch.allclose(shuffled, got, atol=1e-4):
        raise NotYet("with the same frames in another order, the pooled value changes")
    event = torch.full((1, N_FRAMES, 1), 0.05)
    event[:, 10 : 10 + N_SHORT] = 0.9
    heard = float(_pooled(answer, event).detach())
    if heard <= 0.5:
        raise NotYet(f"a tenth of the frames at 0.9 and the others at 0.05 give {heard:.2f}; it should exceed 0.5")
    quiet = torch.tensor(rng.uniform(0.0, 0.1, (1, N_FRAMES, 1)), dtype=torch.float32)
    silent = float(_pooled(answer, quiet).detach())
    if silent >= 0.2:
        raise NotYet(f"frames below 0.1 give {silent:.2f}; it should stay below 0.2")
    _check_gradient(answer, mixed)
    return f"A tenth of the frames at 0.9 gives {heard:.2f}; linear softmax gives 0.62."


def _check_gradient(answer: object, mixed: "torch.Tensor") -> None:
    """Raise `NotYet` unless at least two frames of each scene and class have a gradient."""
    import torch

    y = mixed.clone().requires_grad_()
    out = _pooled(answer, y)
    if not out.requires_grad:
        raise NotYet("torch cannot follow the gradient: use torch functions only, without numpy, detach or item")
    [gradient] = torch.autograd.grad(out.sum(), y)
    if not torch.isfinite(gradient).all():
        raise NotYet("some gradients are not finite")
    strength = gradient.abs()
    reached = int((strength > 0.01 * strength.amax(1, keepdim=True)).sum(1).min())
    if reached < 2:
        raise NotYet("the gradient reaches a single frame, as with the maximum; spread it over at least two")


def _pooled(answer: object, y: "torch.Tensor") -> "torch.Tensor":
    """What a learner's pooling makes of `y` `(scenes, frames, classes)`."""
    import torch

    got = call(answer, y)
    if not isinstance(got, torch.Tensor):
        raise NotYet(f"expected a torch tensor, got {type(got).__name__}")
    wanted = (y.shape[0], y.shape[2])
    if tuple(got.shape) != wanted:
        raise NotYet(
            f"expected shape (scenes, classes), here {wanted}, got {tuple(got.shape)}; pool over the frames, dim=1"
        )
    if not torch.isfinite(got).all():
        raise NotYet("some pooled values are not finite")
    return got


EXERCISES = {"10.1": nearest_places, "10.2": pool, "10.3": followed, "10.4": micro_f1, "10.5": own_pool}
