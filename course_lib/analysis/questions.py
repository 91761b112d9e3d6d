"""Claims of the papers as questions to the published rows of the study, each answered by a paired difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from course_lib import paths
from course_lib.evaluation.intervals import verdict
from course_lib.study import stats
from course_lib.study.records import done, gather

EQUAL = 0.02  # how much worse may still be called as good, as a share: two points (study/protocol.md)
USUAL = {
    "refit": False,
    "dataset": "esc10",
    "features.hop_ms": 10.0,
    "frame_reducer": "none",
    "recipe.spec_augment": False,
}


@dataclass(frozen=True)
class Question:
    """Is `first` better than `second` (or no worse than `margin` below it)?

    `claim` is the paper's, or empty where the paper has no such control. `first` and `second` are fields of runs by
    dotted name, on top of `USUAL` and of `usual`, which is what the runs of one place (`where`) have in common.
    """

    claim: str
    text: str
    first: Mapping[str, object]
    second: Mapping[str, object]
    margin: float = 0.0
    where: str = ""
    usual: Mapping[str, object] = field(default_factory=dict)


COLUMNS = ("where", "claim", "question", "first", "second", "difference", "low", "high", "smallest", "margin", "pairs",
           "seeds", "macs", "mixed", "verdict")  # fmt: skip
LONG, SHORT = "ESC-10, 800 steps", "ESC-10, 240 steps"
PLACES: dict[str, dict[str, object]] = {
    LONG: {"recipe.steps": 800},
    SHORT: {"recipe.steps": 240},
    "spoken digits": {"dataset": "fsdd", "recipe.steps": 2000},
    "timing probe": {"dataset": "timing", "recipe.steps": 800},
}


def _reduced(name: str, hop_ms: float = 10.0) -> dict[str, object]:
    """Fields of a frame reducer from frames of a hop."""
    return {"frame_reducer": name, "features.hop_ms": hop_ms}


LIGHT, QUARTER, ALL, TIMED = (
    _reduced("diffres-light:0.5"),
    _reduced("diffres-light:0.75"),
    _reduced("none"),
    2.5,
)
# claim, question, first, second, margin; asked at both budgets
ESC = (
    ("A3", "DiffRes, a quarter fewer frames, no worse than 10 ms", _reduced("diffres-light:0.25"), ALL, EQUAL),
    ("A3", "DiffRes, half the frames, no worse than 10 ms", LIGHT, ALL, EQUAL),
    ("A3", "DiffRes, published scorer, half the frames, no worse than 10 ms", _reduced("diffres:0.5"), ALL, EQUAL),
    ("A3", "DiffRes, three quarters fewer frames, no worse than 10 ms", QUARTER, ALL, EQUAL),
    ("A4", "DiffRes from 5 ms better than 10 ms", _reduced("diffres-light:0.5", 5.0), ALL, 0.0),
    ("A4", "DiffRes from 2.5 ms better than 10 ms", _reduced("diffres-light:0.75", 2.5), ALL, 0.0),
    ("", "equal widths, half the frames, no worse than 10 ms", _reduced("uniform:0.5"), ALL, EQUAL),
    ("", "a hop of 20 ms no worse than 10 ms", _reduced("none", 20.0), ALL, EQUAL),
    ("", "a hop of 40 ms no worse than 10 ms", _reduced("none", 40.0), ALL, EQUAL),
    ("", "DiffRes, half the frames, better than a hop of 20 ms", LIGHT, _reduced("none", 20.0), 0.0),
    ("", "DiffRes, three quarters fewer frames, better than a hop of 40 ms", QUARTER, _reduced("none", 40.0), 0.0),
    ("", "DiffRes better than equal widths", LIGHT, _reduced("uniform:0.5"), 0.0),
    ("", "DiffRes better than random widths", LIGHT, _reduced("random:0.5"), 0.0),
    ("", "DiffRes better than widths by energy", LIGHT, _reduced("energy:0.5"), 0.0),
    ("", "DiffRes better than average pooling", LIGHT, _reduced("average:0.5"), 0.0),
    ("", "DiffRes better than its own widths dealt out to other frames", LIGHT, _reduced("shuffled:0.5"), 0.0),
    ("", "DiffRes from 5 ms better than equal widths from 5 ms",
     _reduced("diffres-light:0.5", 5.0), _reduced("uniform:0.5", 5.0), 0.0),
)  # fmt: skip
ONLY = {
    LONG: (
        ("", "DiffRes from 2.5 ms better than equal widths from 2.5 ms",
         _reduced("diffres-light:0.75", 2.5), _reduced("uniform:0.75", 2.5), 0.0),
        ("", "all frames of 5 ms better than all frames of 10 ms", _reduced("none", 5.0), ALL, 0.0),
    ),
    SHORT: (
        ("A4", "DiffRes from 1.25 ms better than 10 ms", _reduced("diffres-light:0.875", 1.25), ALL, 0.0),
    ),
    "spoken digits": (
        ("A3", "DiffRes, half the frames, no worse than 10 ms", LIGHT, ALL, EQUAL),
        ("", "DiffRes, half the frames, better than a hop of 20 ms", LIGHT, _reduced("none", 20.0), 0.0),
        ("", "DiffRes better than equal widths", LIGHT, _reduced("uniform:0.5"), 0.0),
        ("", "DiffRes better than average pooling", LIGHT, _reduced("average:0.5"), 0.0),
    ),
    "timing probe": (
        ("A3", "DiffRes, a quarter of the frames, no worse than 2.5 ms",
         _reduced("diffres-light:0.75", TIMED), _reduced("none", TIMED), EQUAL),
        ("", "DiffRes better than equal widths",
         _reduced("diffres-light:0.75", TIMED), _reduced("uniform:0.75", TIMED), 0.0),
        ("", "DiffRes better than widths by energy",
         _reduced("diffres-light:0.75", TIMED), _reduced("energy:0.75", TIMED), 0.0),
        ("", "DiffRes better than widths by rising levels",
         _reduced("diffres-light:0.75", TIMED), _reduced("flux:0.75", TIMED), 0.0),
    ),
}  # fmt: skip
DIFFRES = tuple(
    Question(*asked, where=where, usual=usual)
    for where, usual in PLACES.items()
    for asked in ((*ESC, *ONLY[where]) if where in (LONG, SHORT) else ONLY[where])
)


# The same network at one temporal resolution and with its tokens pooled; and a CNN of no more cost. From scratch
SMALL = {"features.hop_ms": 20.0, "recipe.spec_augment": True, "recipe.steps": 600}
SPOKEN = {"dataset": "fsdd", "features.hop_ms": 20.0, "recipe.steps": 1000}
AST, MAST, SEVEN = ({"model": name} for name in ("ast-tiny", "mast-tiny", "cnn7"))
THREE = (
    ("B2", "MAST better than AST", MAST, AST),
    ("", "a CNN of 7 layers better than MAST", SEVEN, MAST),
    ("", "a CNN of 7 layers better than AST", SEVEN, AST),
)
FINER = ("", "AST at 10 ms better than AST at 20 ms", AST | {"features.hop_ms": 10.0}, AST)
TWINS = tuple(
    Question(*asked, where=f"{place}, small and from scratch", usual=usual)
    for place, usual, questions in (("ESC-10", SMALL, THREE), ("spoken digits", SPOKEN, (*THREE, FINER)))
    for asked in questions
)
PICTURES = {"features.hop_ms": 40.0, "features.n_mels": 128, "recipe.steps": 400, "model": "lite0"}
PLAIN, CLIPS = ({"copies": copies, "recipe.image_augment": False} for copies in ("none", "naa"))
PICTURED = {"copies": "none", "recipe.image_augment": True}
FINER_PICTURES = {"model": "lite0", "features.hop_ms": 20.0, "features.n_mels": 128, "refit": False}
# The backbone at its best, chosen by validation; with half the steps; and these learning from all that is not the test
LARGE = {"model": "lite0", "features.n_mels": 224, "recipe.steps": 800, "refit": False}
HALF = LARGE | {"recipe.steps": 400}
WHOLE = HALF | {"refit": True}
TUNED = PLAIN | {"recipe.freeze_steps": 0}
FROZEN, FRESH = PLAIN | {"recipe.freeze_steps": 400}, PLAIN | {"model": "lite0-scratch"}
TRANSFER = tuple(
    Question(claim, text, first, second, where="ESC-10, Lite0, 400 steps", usual=PICTURES)
    for claim, text, first, second in (
        ("D1", "clips augmented better than pictures augmented", CLIPS, PICTURED),
        ("", "clips augmented better than neither", CLIPS, TUNED),
        ("", "pictures augmented better than neither", PICTURED, TUNED),
        ("D5", "fine-tuned better than from scratch", TUNED, FRESH),
        ("", "only the last layer learning better than from scratch", FROZEN, FRESH),
        ("", "fine-tuned better than only the last layer learning", TUNED, FROZEN),
    )
)


# Other data sets with a grid of the same design, by the name of grid and set
TASKS = {
    "esc50": "ESC-50", "speechcommands": "Speech Commands", "nsynth": "NSynth", "fsd50k": "FSD50K",
    "urbansound8k": "UrbanSound8K",
}  # fmt: skip


def of_task(dataset: str, where: str) -> tuple[Question, ...]:
    """Questions A3 and A4 and their controls of `DIFFRES`, to the rows of another data set (one budget)."""
    return tuple(Question(*asked, where=where, usual={"dataset": dataset, "model": "cnn7"}) for asked in ESC)


def chosen(rows: pd.DataFrame, fields: Mapping[str, object]) -> pd.DataFrame:
    """Rows of one condition: those with all of `fields`."""
    wanted = np.ones(len(rows), bool)
    for name, value in fields.items():
        wanted &= (rows[name] == value).to_numpy()
    return rows[wanted]


def _shared(rows: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Those of `rows` whose fold and seed `others` have too."""
    pair = ["fold", "seed"]
    return rows.merge(others[pair].drop_duplicates(), on=pair)


def _mixed(first: pd.DataFrame, second: pd.DataFrame) -> str:
    """How many of the runs that stand against each other ran on another kind of machine; nothing where none did."""
    both = first.merge(second, on=["fold", "seed"], suffixes=("", "_second"))
    kinds = both[["device", "device_second"]].apply(lambda names: names.str.partition(":")[0])
    other = int((kinds["device"] != kinds["device_second"]).sum())
    return f"{other} of {len(both)}" if other else ""


def answers(rows: pd.DataFrame, questions: Sequence[Question] = DIFFRES) -> pd.DataFrame:
    """One row a question that `rows` can answer: both accuracies, the difference with its t interval, a verdict.

    Columns: `where`, `claim`, `question`, `first`, `second` (accuracies over the folds and seeds that both have),
    `difference`, `low`, `high`, `smallest` (the smallest effect that the pairs could have seen), `margin`, `pairs`,
    `seeds`, `macs` (of the first, as a share of those of the second, features not counted), `mixed` (runs that stand
    against one of another kind of machine, as `4 of 15`, or nothing) and `verdict`; accuracies and differences are
    shares. Of clips with several labels all are of mean average precision.
    """
    found, score = [], stats.score_of(rows)
    for q in questions if len(rows) else ():
        first, second = (chosen(rows, {**USUAL, **q.usual, **fields}) for fields in (q.first, q.second))
        first, second = _shared(first, second), _shared(second, first)
        seen = stats.difference(first, second, score=score) if len(first) and len(second) else None
        if seen is None:
            continue
        gap = seen.interval
        found.append({
            "where": q.where, "claim": q.claim, "question": q.text, "first": stats.mean_score(first, score),
            "second": stats.mean_score(second, score), "difference": gap.mean, "low": gap.low, "high": gap.high,
            "smallest": seen.smallest, "margin": q.margin, "pairs": seen.pairs,
            "seeds": first["seed"].nunique(),
            "macs": first["macs"].median() / second["macs"].median(), "mixed": _mixed(first, second),
            "verdict": verdict(gap, q.margin),
        })  # fmt: skip
    return pd.DataFrame(found, columns=COLUMNS)


def published(grid: str = "diffres") -> pd.DataFrame:
    """The published rows of a grid that did not fail; no rows where nothing is published."""
    path = paths.published_dir() / grid / "rows.parquet"
    if not path.is_file():
        return pd.DataFrame()
    return done(gather(path.parent))
