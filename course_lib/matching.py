"""Which event belongs to which: cells that events cover, pairs within collars, and one partner for each.

Works on lists of numbers: a table with the columns `file`, `label` (whole numbers), `onset` and `offset` (seconds), as
`events.coded` makes it, over all files at once. Notebook: 11.
"""

import numpy as np
import pandas as pd

SLACK_S = 1e-3  # pairs are first looked for a little beyond the collar, so that no rounding loses one


def cells(coded: pd.DataFrame, segment_s: float, n_segments: int, n_labels: int) -> np.ndarray:
    """Numbers of the cells `(file, segment, label)` that any event touches, each once and in order, `(cells,)`.

    An event touches the segments from `floor(onset / segment_s)` up to, without it, `ceil(offset / segment_s)`; those
    after the last are cut off. So an event without length touches one segment, or none where it lies on the grid.
    """
    first = np.floor(coded["onset"].to_numpy() / segment_s).astype(np.int64)
    last = np.minimum(np.ceil(coded["offset"].to_numpy() / segment_s).astype(np.int64), n_segments)
    event, segment = ranges(first, last)
    place = coded["file"].to_numpy()[event] * n_segments + segment
    return np.unique(place * n_labels + coded["label"].to_numpy()[event])


def ranges(first: np.ndarray, last: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All whole numbers from `first[k]` up to, without it, `last[k]`, one range after another, and their `k`."""
    sizes = np.maximum(last - first, 0)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return owner, np.arange(len(owner)) + (first - np.cumsum(sizes) + sizes)[owner]


def close_pairs(
    reference: pd.DataFrame,
    estimated: pd.DataFrame,
    onset_collar_s: float,
    offset_collar_s: float,
    offset_ratio: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `reference` and of `estimated` that are of one file and close, whatever their labels, in their order.

    Close: the onsets are at most `onset_collar_s` apart, and the offsets at most `offset_collar_s` or `offset_ratio` of
    the reference's length, whichever is more.
    """
    onset, offset, file = (reference[name].to_numpy() for name in ("onset", "offset", "file"))
    onset_2, offset_2, file_2 = (estimated[name].to_numpy() for name in ("onset", "offset", "file"))
    reach_s = onset_collar_s + SLACK_S
    span_s = max(onset.max(initial=0), onset_2.max(initial=0)) + 2 * reach_s + 1  # lays the files end to end
    order = np.lexsort((onset_2, file_2))
    line = (file_2 * span_s + onset_2)[order]
    place = file * span_s + onset
    row, nearby = ranges(np.searchsorted(line, place - reach_s), np.searchsorted(line, place + reach_s, "right"))
    row_2 = order[nearby]
    tolerance_s = np.maximum(offset_collar_s, offset_ratio * (offset - onset))[row]
    close = (np.abs(onset[row] - onset_2[row_2]) <= onset_collar_s) & (
        np.abs(offset[row] - offset_2[row_2]) <= tolerance_s
    )
    row, row_2 = row[close], row_2[close]
    order = np.lexsort((row_2, row))
    return row[order], row_2[order]


def one_to_one(left: np.ndarray, right: np.ndarray, *, largest: bool) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of `left` and `right` (numbers from 0) that remain when each of either may be in one pair only.

    The lefts choose in the order of their first pairs, each the first free right in the order of its own pairs. With
    `largest`, choices are then changed as long as that makes more pairs.

    Which of several largest matchings comes out decides what is left over, and with it the error rate. So this keeps
    the order of sed_eval's, which `scipy.sparse.csgraph.maximum_bipartite_matching` does not.
    """
    alone = (np.bincount(left)[left] == 1) & (np.bincount(right)[right] == 1)  # most pairs leave nothing to choose
    choices: dict[int, list[int]] = {}
    for u, v in zip(left[~alone].tolist(), right[~alone].tolist(), strict=True):
        choices.setdefault(u, []).append(v)
    taken: dict[int, int] = {}  # the left that holds a right
    for u, rights in choices.items():
        free = next((v for v in rights if v not in taken), None)
        if free is not None:
            taken[free] = u
    while largest and _more_pairs(choices, taken):
        pass
    lefts, rights = (np.fromiter(x, np.int64, len(taken)) for x in (taken.values(), taken.keys()))
    return np.concatenate([left[alone], lefts]), np.concatenate([right[alone], rights])


def _more_pairs(choices: dict[int, list[int]], taken: dict[int, int]) -> bool:
    """Change `taken` along shortest paths from free lefts to free rights; False where there is none.

    Source: Hopcroft & Karp, "An n^(5/2) algorithm for maximum matchings in bipartite graphs", 1973, one phase.
    """
    holders = set(taken.values())
    held: dict[int, int | None] = {u: None for u in choices if u not in holders}  # the right a left would give up
    asked: dict[int, list[int]] = {}  # the lefts that would come to a right
    layer, ends = list(held), []
    while layer and not ends:
        fresh: dict[int, list[int]] = {}
        for u in layer:
            for v in choices[u]:
                if v not in asked:
                    fresh.setdefault(v, []).append(u)
        asked |= fresh
        held |= {taken[v]: v for v in fresh if v in taken}
        layer = [taken[v] for v in fresh if v in taken]
        ends = [v for v in fresh if v not in taken]
    for end in ends:
        _change(end, asked, held, taken)
    return bool(ends)


def _change(end: int, asked: dict[int, list[int]], held: dict[int, int | None], taken: dict[int, int]) -> None:
    """Follow one path back from the free right `end`; what it passes is struck off, for paths share nothing."""
    path, comers = [end], [iter(asked.pop(end))]
    movers: list[int] = []
    while path:
        u = next((u for u in comers[-1] if u in held), None)
        if u is None:  # a dead end: one step back
            path.pop(), comers.pop()
            movers = movers[: len(path) - 1] if path else []
            continue
        movers.append(u)
        given_up = held.pop(u)
        if given_up is None:
            taken.update(zip(path, movers, strict=True))
            return
        path.append(given_up)
        comers.append(iter(asked.pop(given_up, ())))
