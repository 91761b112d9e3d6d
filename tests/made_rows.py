"""Made rows of the study, of which statistics, questions and claims are known."""

import pandas as pd

from course_lib.analysis import questions
from course_lib.study.config import RunSpec, to_dict
from course_lib.training.supervised import Recipe


def clip_row(right, fold=1, seed=0, *, n=20, **fields):
    """A row of 240 steps on `n` clips of a fold, each of its own source, of which the first `right` were right."""
    spec = RunSpec("esc10", fold, seed, recipe=Recipe(steps=240, spec_augment=False))
    names = [f"{fold}-{k}" for k in range(n)]
    scores = {"test_accuracy": right / n, "test_correct": [1] * right + [0] * (n - right)}
    return to_dict(spec) | scores | {"status": "done", "test_clips": names, "test_sources": names} | fields


def publisher(monkeypatch, grid, *empty):
    """A function that publishes rows of `grid`; of the grids `empty`, none are published."""

    def publish(rows):
        tables = {grid: pd.DataFrame(rows)} | {name: pd.DataFrame() for name in empty}
        monkeypatch.setattr(questions, "published", tables.get)

    return publish
