"""Claims of the papers as questions to the published rows of the study, each answered by a paired difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from course_lib import paths
from course_lib.metrics import verdict
from course_lib.study import stats

EQUAL = 0.02  # how much worse may still be called as good, as a share: two points, chosen before the runs
USUAL = {"dataset": "esc10", "features.hop_ms": 10.0, "front": "none", "recipe.masks": False, "recipe.steps": 240}


@dataclass(frozen=True)
class Question:
    """Is `first` better than `second` (or no worse than `margin` below it)?

    `claim` is the paper's, or empty where the paper has no such control; `first` and `second` are fields of runs by
    dotted name, on top of `USUAL`.
    """

    claim: str
    text: str
    first: Mapping[str, object]
    second: Mapping[str, object]
    margin: float = 0.0
    usual: Mapping[str, object] = field(default_factory=lambda: USUAL)


COLUMNS = ("claim", "question", "first", "second", "difference", "low", "high", "smallest", "margin", "pairs", "seeds",
           "macs", "verdict")  # fmt: skip
LIGHT = {"front": "diffres-light:0.5"}
LONG, DIGITS, TIMING = {"recipe.steps": 800}, {"dataset": "fsdd"}, {"dataset": "timing", "features.hop_ms": 2.5}
DIFFRES = (
    Question("A3", "DiffRes, light scorer, a quarter fewer frames, no worse than 10 ms",
             {"front": "diffres-light:0.25"}, {}, EQUAL),
    Question("A3", "DiffRes, light scorer, half the frames, no worse than 10 ms", LIGHT, {}, EQUAL),
    Question("A3", "DiffRes, published scorer, half the frames, no worse than 10 ms", {"front": "diffres:0.5"}, {},
             EQUAL),
    Question("A3", "DiffRes, light scorer, three quarters fewer frames, no worse than 10 ms",
             {"front": "diffres-light:0.75"}, {}, EQUAL),
    Question("A4", "DiffRes from 5 ms better than 10 ms, at as many frames",
             LIGHT | {"features.hop_ms": 5.0}, {}),
    Question("A4", "DiffRes from 2.5 ms better than 10 ms, at as many frames",
             {"front": "diffres-light:0.75", "features.hop_ms": 2.5}, {}),
    Question("A4", "DiffRes from 1.25 ms better than 10 ms, at as many frames",
             {"front": "diffres-light:0.875", "features.hop_ms": 1.25}, {}),
    Question("", "DiffRes better than a hop of 20 ms", LIGHT, {"features.hop_ms": 20.0}),
    Question("", "DiffRes better than equal widths", LIGHT, {"front": "uniform:0.5"}),
    Question("", "DiffRes better than random widths", LIGHT, {"front": "random:0.5"}),
    Question("", "DiffRes better than widths by energy", LIGHT, {"front": "energy:0.5"}),
    Question("", "DiffRes better than average pooling", LIGHT, {"front": "average:0.5"}),
    Question("", "DiffRes from 5 ms better than equal widths from 5 ms",
             LIGHT | {"features.hop_ms": 5.0}, {"front": "uniform:0.5", "features.hop_ms": 5.0}),
    Question("A3", "800 steps: DiffRes, half the frames, no worse than 10 ms", LONG | LIGHT, LONG, EQUAL),
    Question("", "800 steps: DiffRes better than a hop of 20 ms", LONG | LIGHT, LONG | {"features.hop_ms": 20.0}),
    Question("", "800 steps: DiffRes better than equal widths", LONG | LIGHT, LONG | {"front": "uniform:0.5"}),
    Question("A3", "digits: DiffRes, half the frames, no worse than 10 ms", DIGITS | LIGHT, DIGITS, EQUAL),
    Question("", "digits: DiffRes better than equal widths", DIGITS | LIGHT, DIGITS | {"front": "uniform:0.5"}),
    Question("A3", "timing: DiffRes, a quarter of the frames, no worse than 2.5 ms",
             TIMING | {"front": "diffres-light:0.75"}, TIMING, EQUAL),
    Question("", "timing: DiffRes better than equal widths",
             TIMING | {"front": "diffres-light:0.75"}, TIMING | {"front": "uniform:0.75"}),
    Question("", "timing: DiffRes better than widths by energy",
             TIMING | {"front": "diffres-light:0.75"}, TIMING | {"front": "energy:0.75"}),
)  # fmt: skip


def chosen(rows: pd.DataFrame, fields: Mapping[str, object]) -> pd.DataFrame:
    """Rows of one condition: those with all of `fields`."""
    for name, value in fields.items():
        rows = rows[rows[name] == value]
    return rows


def answers(rows: pd.DataFrame, questions: Sequence[Question] = DIFFRES) -> pd.DataFrame:
    """One row a question that `rows` can answer: both accuracies, the difference with its t interval, a verdict.

    Columns: `claim`, `question`, `first`, `second` (accuracies), `difference`, `low`, `high`, `smallest` (the smallest
    effect that the pairs could have seen), `margin`, `pairs`, `seeds`, `macs` (of the first, as a share of those of the
    second, features not counted) and `verdict`; accuracies and differences are shares.
    """
    found = []
    for q in questions if len(rows) else ():
        first, second = (chosen(rows, {**q.usual, **fields}) for fields in (q.first, q.second))
        seen = stats.difference(first, second) if len(first) and len(second) else None
        if seen is None:
            continue
        gap = seen.interval
        found.append({
            "claim": q.claim, "question": q.text, "first": stats.accuracy(first).mean,
            "second": stats.accuracy(second).mean, "difference": gap.mean, "low": gap.low, "high": gap.high,
            "smallest": seen.smallest, "margin": q.margin, "pairs": seen.pairs,
            "seeds": len(set(first["seed"]) & set(second["seed"])),
            "macs": first["macs"].median() / second["macs"].median(), "verdict": verdict(gap, q.margin),
        })  # fmt: skip
    return pd.DataFrame(found, columns=COLUMNS)


def published(grid: str = "diffres") -> pd.DataFrame:
    """The published rows of a grid that did not fail; no rows where nothing is published."""
    path = paths.published_dir() / grid / "rows.parquet"
    if not path.is_file():
        return pd.DataFrame()
    rows = pd.read_parquet(path)
    return rows[rows["status"] == "done"].reset_index(drop=True)
