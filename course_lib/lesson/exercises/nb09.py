"""Tests of the exercises in notebook 09."""

import math
from collections.abc import Callable

import numpy as np

from course_lib.lesson.checks import NotYet, call, expect_function


def token_count(answer: object) -> str:
    """09.1: tokens of a log-mel that is cut into patches."""

    def reference(n_frames: int, n_mels: int, patch: int, stride: int) -> int:
        return ((n_frames - patch) // stride + 1) * ((n_mels - patch) // stride + 1)

    slips = {
        "the first patch needs no stride: add 1 along each axis": lambda t, f, p, s: (t - p) // s * ((f - p) // s),
        "a patch begins after every stride: divide by the stride, not by the patch": lambda t, f, p, s: (
            (t // p) * (f // p)
        ),
        "the last patch must fit completely: subtract the patch before you divide": lambda t, f, p, s: (
            (t // s) * (f // s)
        ),
        "nothing is padded, and what does not fill a patch is lost: round down": lambda t, f, p, s: (
            (math.ceil((t - p) / s) + 1) * (math.ceil((f - p) / s) + 1)
        ),
        "those are the columns; multiply by the rows": lambda t, f, p, s: (t - p) // s + 1,
    }
    cases = [(1024, 128, 16, 10), (500, 128, 16, 10), (501, 64, 16, 16), (98, 40, 8, 8), (16, 16, 16, 10)]
    expect_function(answer, reference, cases, unit="tokens", slips=slips)
    return "1024 frames of 128 mels give 1212 tokens, as in the published AST."


def attention_share(answer: object) -> str:
    """09.2: the share of a block's multiply-accumulates that attention takes."""

    def reference(n_tokens: int, width: int) -> float:
        return 2 * n_tokens**2 * width / (12 * n_tokens * width**2 + 2 * n_tokens**2 * width)

    slips = {
        "that is the ratio of attention to the matrices; divide by the sum of both": lambda t, d: t / (6 * d),
        "that is the share of the matrices": lambda t, d: 6 * d / (6 * d + t),
        "attention has two products of t by t by D: similarities, and weighted sums": lambda t, d: t / (12 * d + t),
        "the two MLP layers count as well: 12 D squared per token, not 4": lambda t, d: t / (2 * d + t),
        "that is in per cent; return a share between 0 and 1": lambda t, d: 100 * t / (6 * d + t),
    }
    expect_function(answer, reference, [(1214, 768), (590, 768), (4608, 768), (589, 192)], unit="", slips=slips)
    return "At t = 6 D the share is exactly one half."


def grids(answer: object) -> str:
    """09.3: the grids of tokens through a pyramid."""

    def through(first: tuple, strides: list, rounded: Callable = math.ceil) -> list[tuple[int, int]]:
        found = [first]
        for a, b in strides:
            found.append((rounded(found[-1][0] / a), rounded(found[-1][1] / b)))
        return found

    cases = [
        ((16, 125), [(1, 2), (2, 2), (2, 2)]),
        ((16, 256), [(1, 2), (2, 2), (2, 2)]),
        ((8, 63), [(2, 2)]),
        ((5, 7), []),
    ]
    for first, strides in cases:
        found, wanted = call(answer, first, strides), through(first, strides)
        if not isinstance(found, list | tuple):
            raise NotYet(f"expected a list of (rows, columns), got {type(found).__name__} {found!r}")
        try:
            got = [(int(r), int(c)) for r, c in found]
        except (TypeError, ValueError):
            raise NotYet(f"expected pairs (rows, columns), got {found!r}") from None
        if got == wanted:
            continue
        if got == wanted[1:]:
            raise NotYet("the first grid is missing: it belongs in the list as well")
        if len(got) != len(wanted):
            raise NotYet(f"from {first} with {len(strides)} strides: expected {len(wanted)} grids, got {len(got)}")
        slips = {
            f"rounded down; a padded pooling keeps the last place: expected {wanted}, got {got}": (
                through(first, strides, math.floor)
            ),
            "rows and columns are exchanged: a stride is (rows, columns), like a grid": (
                through(first, [(b, a) for a, b in strides])
            ),
            "each pooling starts from the grid before it, not from the first": (
                [first, *(through(first, [stride])[1] for stride in strides)]
            ),
        }
        for reason, slip in slips.items():
            if got == slip:
                raise NotYet(reason)
        raise NotYet(f"from {first} with strides {strides}: expected {wanted}, got {got}")
    return "The first case is our MAST at 5 s: from 2,000 tokens to 64."


def quantum_ms(answer: object) -> str:
    """09.4: the shortest shift that moves all tokens by a whole place."""

    def reference(hop_ms: float, strides: tuple[int, ...]) -> float:
        return hop_ms * math.prod(strides)

    slips = {
        "strides multiply, because each one counts columns of the grid before it": lambda h, s: h * sum(s),
        "that is a number of frames; multiply by the hop to get a time": lambda h, s: math.prod(s),
        "that is only the largest stride; the others count as well": lambda h, s: h * max(s),
        "a coarser grid has a longer quantum: multiply, do not divide": lambda h, s: h / math.prod(s),
        "that is in seconds; return ms": lambda h, s: h * math.prod(s) / 1000,
    }
    expect_function(answer, reference, [(10.0, (4, 2, 2, 2)), (10.0, (10,)), (5.0, (4, 2, 2))], unit="ms", slips=slips)
    return "320 ms for our MAST, 100 ms for AST."


N_FRAMES, N_MELS, PATCH, STRIDE = 216, 16, 16, 10  # of the clips on which a learner's score is tried
N_TOKENS = (N_FRAMES - PATCH) // STRIDE + 1
QUARTER = N_TOKENS // 4
PLACES = (42, 87, 141)  # frames in which the pattern begins


def token_scores(answer: object) -> str:
    """09.5: a score for every token that finds short events, and that a loud, steady sound does not fool."""
    for start in PLACES:
        if missed := _missed(answer, _clip(start), start):
            raise NotYet(
                f"two bursts from frame {start} on, in quiet noise: {missed} of the tokens that touch them are not "
                f"among the {QUARTER} with the highest scores"
            )
    for start in PLACES:
        if _missed(answer, _clip(start) - 20, start):
            raise NotYet("the same clip, 20 dB quieter, keeps other tokens: use no fixed threshold")
    for start in PLACES:
        if missed := _missed(answer, _clip(start, steady=True), start):
            raise NotYet(
                f"with a loud, steady noise in the other part of the clip, {missed} of the tokens that touch the "
                "bursts are lost: score changes of level, not the level"
            )
    return f"All tokens that touch the bursts are among the {QUARTER} of {N_TOKENS} with the highest scores."


def _clip(start: int, steady: bool = False) -> np.ndarray:
    """Levels in dB, `(frames, mels)`: two bursts from frame `start` on; `steady` noise fills the half without them."""
    levels = np.random.default_rng(start).normal(-70, 1, (N_FRAMES, N_MELS))
    for first, last in ((start, start + 4), (start + 8, start + 16)):
        levels[first:last] += 40
    if steady:
        half = slice(115, None) if start < 100 else slice(None, 115)
        levels[half] += 50
    return levels


def _missed(answer: object, levels: np.ndarray, start: int) -> int:
    """How many of the tokens that touch the bursts are not kept."""
    got = call(answer, levels.copy())
    try:
        scores = np.asarray(got, dtype=np.float64)
    except (TypeError, ValueError):
        raise NotYet(f"expected an array of numbers, one score per token; got {type(got).__name__}") from None
    if scores.shape == (N_FRAMES,):
        raise NotYet(f"that is one score per frame; return one per token, shape ({N_TOKENS},)")
    if scores.shape != (N_TOKENS,):
        raise NotYet(f"expected one score per token, shape ({N_TOKENS},), got {scores.shape}")
    if not np.isfinite(scores).all():
        raise NotYet("some scores are not finite")
    first = STRIDE * np.arange(N_TOKENS)
    touched = (first < start + 16) & (first + PATCH > start)
    kept = np.argsort(-scores, kind="stable")[:QUARTER]
    return int(np.setdiff1d(np.flatnonzero(touched), kept).size)


EXERCISES = {
    "09.1": token_count,
    "09.2": attention_share,
    "09.3": grids,
    "09.4": quantum_ms,
    "09.5": token_scores,
}
