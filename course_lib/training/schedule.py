"""When both training loops evaluate on validation, and how fast they learn at each step."""

import math


def eval_steps(steps: int, n_evals: int) -> set[int]:
    """Numbers of the steps that an evaluation follows: `n_evals` of them, evenly spaced, the last among them."""
    return {math.ceil(steps * k / n_evals) for k in range(1, n_evals + 1)}


def lr_multiplier(done: float) -> float:
    """Share of the highest learning rate once the share `done` of the steps is taken: up for a tenth, then a cosine.

    Both loops ask with the step in hand counted as taken, so that the last one of a training moves nothing.
    """
    return min(1.0, done / 0.1) * 0.5 * (1 + math.cos(math.pi * max(0.0, done - 0.1) / 0.9))
