"""Schedules of both training loops: when they evaluate on validation, and the learning rate at each step."""

import math


def eval_steps(steps: int, n_evals: int) -> set[int]:
    """The steps after which the model is evaluated: `n_evals` of them, evenly spaced, including the last."""
    return {math.ceil(steps * k / n_evals) for k in range(1, n_evals + 1)}


def lr_multiplier(done: float) -> float:
    """Factor on the peak learning rate, 0 to 1, after the share `done` of the steps: linear warm-up, then cosine decay.

    The warm-up takes a tenth of the steps. Both loops count the current step as done, so the last step of a training
    has a learning rate of 0.
    """
    return min(1.0, done / 0.1) * 0.5 * (1 + math.cos(math.pi * max(0.0, done - 0.1) / 0.9))
