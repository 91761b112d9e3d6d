"""Tests of the exercises in notebook 04."""

import numpy as np
import pandas as pd

from course_lib.data import folds
from course_lib.lesson.checks import NotYet, call, expect_function


def _table() -> pd.DataFrame:
    """Twelve clips of six sources, two of which lie in two folds."""
    return pd.DataFrame(
        {
            "clip": [f"clip{i}" for i in range(12)],
            "label": ["dog", "rain"] * 6,
            "source": ["s1", "s1", "s2", "s2", "s3", "s3", "s4", "s4", "s5", "s5", "s6", "s6"],
            "fold": [1, 1, 2, 3, 1, 1, 2, 2, 3, 1, 2, 2],
        }
    )


def _names(got: object) -> list[str]:
    """Names as a list of texts, from a list, a tuple, or an array or index of pandas and numpy."""
    if not isinstance(got, list | tuple | np.ndarray | pd.Index | pd.Series):
        raise NotYet(f"expected a list of names, got {type(got).__name__}")
    return [str(name) for name in got]


def crossing_sources(answer: object) -> str:
    """04.1: sources in more than one fold."""
    table = _table()
    wanted, got = folds.crossing_sources(table), _names(call(answer, table.copy()))
    if len(set(got)) < len(got):
        raise NotYet(f"each name once: yours are {len(got)} for {len(set(got))} sources, a row of the table each")
    if got == sorted(table["source"].unique()):
        raise NotYet("these are all sources with several clips; several *folds* are asked for (nunique, not size)")
    if sorted(got) == wanted and got != wanted:
        raise NotYet("the right names, not sorted")
    missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    if missing or extra:
        raise NotYet(f"missing: {', '.join(missing) or 'none'}; too many: {', '.join(extra) or 'none'}")
    if _names(call(answer, table.assign(fold=1))):
        raise NotYet("in a table with one fold nothing crosses; yours still finds something")
    return "The same as `course_lib.data.folds.crossing_sources`."


def folds_by_source(answer: object) -> str:
    """04.2: a split that keeps sources whole."""
    table = _table().sample(frac=1, random_state=0)  # rows of a source need not be neighbours
    for n_folds in (2, 3):
        got = np.asarray(call(answer, table.copy(), n_folds))
        if got.shape != (len(table),):
            raise NotYet(f"expected one fold a row, shape ({len(table)},), got {got.shape}")
        found = sorted({int(k) for k in got})
        if found != list(range(1, n_folds + 1)):
            raise NotYet(f"with n_folds={n_folds} the folds are {found}, expected 1 to {n_folds}, all of them in use")
        crossing = folds.crossing_sources(table.assign(fold=got))
        if crossing:
            raise NotYet(f"source {crossing[0]} lies in two folds; give the number to the source, then to its rows")
    return "Nothing crosses. The library's `folds_by_source` also balances the classes."


def meets_a_twin(answer: object) -> str:
    """04.3: the chance that a copy in the test has a twin in training."""

    def reference(versions: int, n_folds: int) -> float:
        return 1 - (1 / n_folds) ** (versions - 1)

    slips = {
        "that is the chance that *all* twins are in the test fold too; the opposite is asked": lambda v, k: (
            (1 / k) ** (v - 1)
        ),
        "a version is not its own twin: versions - 1 others": lambda v, k: 1 - (1 / k) ** v,
        "that is the chance for one twin; with several it is enough that one is in training": lambda v, k: 1 - 1 / k,
        "that is the chance that *all* twins are in training; one is enough": lambda v, k: (1 - 1 / k) ** (v - 1),
    }
    expect_function(answer, reference, [(7, 5), (2, 5), (3, 10), (1, 5)], unit="", rel=1e-9, slips=slips)
    return "With seven versions and five folds: 99.99 %. Nearly every test clip has been seen."


EXERCISES = {"04.1": crossing_sources, "04.2": folds_by_source, "04.3": meets_a_twin}
