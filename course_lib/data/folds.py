"""Folds that keep every source whole, and the split into training, validation and test that follows from them.

Notebook: 04.
"""

import logging
from typing import Protocol

import numpy as np
import pandas as pd

from course_lib.errors import CourseError, UsageError

FEWEST = 3  # one fold each for training, validation and test
MOST = 5
SEARCH_S = 10  # how long we look for folds that hold every class; tables of a few hundred sources take far less
NODES = 2000  # of the search tree: a limit that is the same on every machine, unlike one in seconds
log = logging.getLogger(__name__)


class Labelled(Protocol):
    """What folds need to know of clips: a name for errors, and a table with the columns `label`, `fold`, `source`."""

    @property
    def name(self) -> str:
        """Name of the data set."""

    @property
    def table(self) -> pd.DataFrame:
        """One row per clip."""


def folds_by_source(table: pd.DataFrame, n_folds: int = MOST, seed: int = 0) -> np.ndarray:
    """Fold of each row, `(clips,)`, from 1: sources stay whole, classes are spread as evenly as that allows.

    Every fold contains every class. scikit-learn's `StratifiedGroupKFold` places one source after another, which may
    leave a fold without a class if sources contain several (speakers, sites); then an integer program looks for
    complete folds of sizes as even as possible. The folds depend on the clips and on `seed`, not on the order of the
    rows.

    Raises
    ------
    UsageError
        No such folds were found: a class has fewer sources than there are folds, or shares them with others.
    """
    sources = table.groupby("label")["source"].nunique()
    rare, fewest = sources.idxmin(), sources.min()
    if fewest < n_folds:
        raise UsageError(f"class {rare!r} has {fewest} sources; {n_folds} folds need at least {n_folds}")
    from sklearn.model_selection import StratifiedGroupKFold  # seconds to import, and most data sets have folds

    order = table.sort_values(["source", "clip"]).index
    rows = table.loc[order]
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    fold = pd.Series(0, index=order)
    for number, (_, test) in enumerate(splitter.split(rows, rows["label"], rows["source"]), 1):
        fold.iloc[test] = number
    if (pd.crosstab(rows["label"], fold).reindex(columns=range(1, n_folds + 1), fill_value=0) == 0).any(axis=None):
        of_source = _complete_folds(rows, n_folds, seed)
        if of_source is None:
            raise UsageError(
                f"found no {n_folds} folds that keep sources whole and contain every class; class {rare!r} has "
                f"{fewest} sources, which other classes share"
            )
        fold = rows["source"].map(of_source)
    return fold.loc[table.index].to_numpy()


def _complete_folds(rows: pd.DataFrame, n_folds: int, seed: int) -> pd.Series | None:
    """Fold of each source, from 1, such that every fold contains every class; None if no such folds were found.

    Binary variables assign sources to folds; one more, which we minimise, bounds the clips of the largest fold.
    """
    from scipy import sparse
    from scipy.optimize import Bounds, LinearConstraint, milp

    holds = pd.crosstab(rows["source"], rows["label"]).sample(frac=1, random_state=seed)  # clips by source and class
    n_sources, n_classes = holds.shape
    n_choices = n_folds * n_sources  # fold after fold, in each source after source; the last variable is the bound
    every_fold = sparse.eye(n_folds)
    one_fold_each = sparse.kron(np.ones((1, n_folds)), sparse.eye(n_sources))
    known = sparse.kron(every_fold, (holds.to_numpy() > 0).T.astype(float))
    sizes = sparse.kron(every_fold, holds.sum(axis=1).to_numpy(float)[None])
    rules = sparse.block_array([[one_fold_each, None], [known, None], [sizes, -np.ones((n_folds, 1))]], format="csr")
    n_known = n_folds * n_classes
    low = np.r_[np.ones(n_sources + n_known), np.full(n_folds, -np.inf)]
    high = np.r_[np.ones(n_sources), np.full(n_known, np.inf), np.zeros(n_folds)]
    found = milp(
        np.r_[np.zeros(n_choices), 1],
        constraints=LinearConstraint(rules, low, high),
        integrality=np.r_[np.ones(n_choices), 0],
        bounds=Bounds(0, np.r_[np.ones(n_choices), np.inf]),
        options={"time_limit": SEARCH_S, "node_limit": NODES, "mip_rel_gap": 0.05},
    )
    if found.x is None:
        return None
    chosen = found.x[:-1].reshape(n_folds, n_sources).argmax(axis=0)
    return pd.Series(chosen + 1, index=holds.index)


def made_folds(table: pd.DataFrame, seed: int = 0) -> np.ndarray:
    """Folds from `folds_by_source`, `(clips,)`: five, or fewer, but at least three, if not every class fits into five.

    Raises
    ------
    CourseError
        Not even three folds can contain every class.
    """
    refusal = ""
    for n_folds in range(MOST, FEWEST - 1, -1):
        try:
            return folds_by_source(table, n_folds, seed)
        except UsageError as error:
            refusal = str(error)
    raise CourseError(f"{refusal}; training, validation and test need {FEWEST}, so add recordings")


def check_classes(name: str, table: pd.DataFrame) -> None:
    """Raise CourseError if a class is missing from a fold: some split could not train, validate or test on it.

    Every fold is used for testing and for validation, so every fold must contain every class. In a set with one
    official split, training must; a class missing from its validation or test is only a warning. Sets with several
    labels per clip (column `labels`) are exempt, because they are scored label by label.
    """
    if "labels" in table.columns:
        return
    kind = "part" if "part" in table.columns else "fold"
    clips = pd.crosstab(table["label"], table[kind])
    for place in clips.columns:
        missing = clips.index[clips[place] == 0]
        if missing.empty:
            continue
        more = f" ({len(missing)} such classes)" if len(missing) > 1 else ""
        found = f"{name}: class {missing[0]!r} has no clip in {kind} {place}{more}"
        if kind == "part" and place != "train":
            log.warning("%s, so it is trained on but not scored there", found)
            continue
        raise CourseError(
            f"{found}; every split into training, validation and test must contain every "
            "class: add clips of it there, leave the class out, or give no folds and let the course make them"
        )


def crossing_sources(table: pd.DataFrame) -> list[str]:
    """Sources with clips in more than one fold, sorted."""
    folds = table.groupby("source")["fold"].nunique()
    return sorted(folds.index[folds > 1])


def check_sources_whole(table: pd.DataFrame) -> None:
    """Raise CourseError if a source has clips in two folds, which would leak from training into the test."""
    crossing = crossing_sources(table)
    if crossing:
        first = table[table["source"] == crossing[0]]
        folds = " and ".join(str(f) for f in sorted(first["fold"].unique()))
        raise CourseError(
            f"source {crossing[0]!r} is in folds {folds} ({len(crossing)} such); put a source into one fold"
        )


def testable_folds(clips: Labelled) -> list[int]:
    """Folds that may be tested on: all, or the test fold of a set with one official split (column `part`)."""
    table = clips.table
    if "part" in table.columns:
        table = table[table["part"] == "test"]
    return sorted(int(fold) for fold in table["fold"].unique())


def split(clips: Labelled, test_fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masks `(clips,)` of training, validation and test; every clip is in exactly one.

    Validation is the fold after `test_fold` (the first after the last), training is the rest: a model is chosen without
    looking at the test fold. A set with one official split keeps it.

    Raises
    ------
    UsageError
        `test_fold` may not be tested on, or there are fewer than three folds.
    """
    fold = clips.table["fold"].to_numpy()
    allowed = testable_folds(clips)
    if test_fold not in allowed:
        raise UsageError(f"{clips.name}: cannot test on fold {test_fold}; choose one of {', '.join(map(str, allowed))}")
    present = sorted(set(fold.tolist()))
    if len(present) < FEWEST:
        raise UsageError(f"{clips.name}: has {len(present)} folds; training, validation and test need {FEWEST}")
    if "part" in clips.table.columns:
        validation = (clips.table["part"] == "validation").to_numpy()
    else:
        validation = fold == present[(present.index(test_fold) + 1) % len(present)]
    test = fold == test_fold
    return ~(validation | test), validation, test


def subsample(table: pd.DataFrame, clips_per_class: int | None, seed: int) -> pd.DataFrame:
    """At most `clips_per_class` rows per class, spread evenly over the folds, in the order of `table`, index 0 .. n-1.

    Sources are drawn at random and taken whole while they fit; the last one is cut to the number. None keeps every row.
    """
    if clips_per_class is None:
        return table.reset_index(drop=True)
    rng = np.random.default_rng(seed)
    kept = []
    for _, of_class in table.groupby("label", sort=True):
        queues = [_queue(of_fold, rng) for _, of_fold in of_class.groupby("fold", sort=True)]
        shares = _shares([len(queue) for queue in queues], clips_per_class)
        kept += [row for queue, share in zip(queues, shares, strict=True) for row in queue[:share]]
    return table.loc[sorted(kept)].reset_index(drop=True)


def _queue(rows: pd.DataFrame, rng: np.random.Generator) -> list[int]:
    """Index labels of `rows`, source after source in random order."""
    rank = {source: place for place, source in enumerate(rng.permutation(sorted(rows["source"].unique())))}
    return rows["source"].map(rank).sort_values(kind="stable").index.tolist()


def _shares(available: list[int], wanted: int) -> list[int]:
    """How many to take from each of `available`, one at a time in turns, until `wanted` are taken or none is left."""
    shares = [0] * len(available)
    while sum(shares) < min(wanted, sum(available)):
        for place, there in enumerate(available):
            if shares[place] < there and sum(shares) < wanted:
                shares[place] += 1
    return shares
