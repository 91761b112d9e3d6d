"""Tests of the exercises in notebook 09."""

import math
from collections.abc import Callable

from course_lib.lesson.checks import NotYet, call, expect_function


def token_count(answer: object) -> str:
    """09.1: tokens of a log-mel that is cut into patches."""

    def reference(n_frames: int, n_mels: int, patch: int, stride: int) -> int:
        return ((n_frames - patch) // stride + 1) * ((n_mels - patch) // stride + 1)

    slips = {
        "the first patch is there before any stride is gone: add 1 along each axis": lambda t, f, p, s: (
            (t - p) // s * ((f - p) // s)
        ),
        "patches begin every stride, not every patch": lambda t, f, p, s: (t // p) * (f // p),
        "the last patch must fit as a whole: take the patch off before you divide": lambda t, f, p, s: (
            (t // s) * (f // s)
        ),
        "nothing is padded: what does not fill a patch is lost, so round down": lambda t, f, p, s: (
            (math.ceil((t - p) / s) + 1) * (math.ceil((f - p) / s) + 1)
        ),
        "that is the columns; there are rows as well": lambda t, f, p, s: (t - p) // s + 1,
    }
    cases = [(1024, 128, 16, 10), (500, 128, 16, 10), (501, 64, 16, 16), (98, 40, 8, 8), (16, 16, 16, 10)]
    expect_function(answer, reference, cases, unit="tokens", slips=slips)
    return "1024 frames and 128 mels give 1212 tokens: those of the published AST."


def attention_share(answer: object) -> str:
    """09.2: the share of a block's multiply-accumulates that attention takes."""

    def reference(n_tokens: int, width: int) -> float:
        return 2 * n_tokens**2 * width / (12 * n_tokens * width**2 + 2 * n_tokens**2 * width)

    slips = {
        "that is attention against the matrices; the share is of both together": lambda t, d: t / (6 * d),
        "that is the share of the matrices": lambda t, d: 6 * d / (6 * d + t),
        "attention compares and adds up: two products of t by t by D": lambda t, d: t / (12 * d + t),
        "the two layers behind attention count as well: 12 D squared a token, not 4": lambda t, d: t / (2 * d + t),
        "a share lies between 0 and 1": lambda t, d: 100 * t / (6 * d + t),
    }
    expect_function(answer, reference, [(1214, 768), (590, 768), (4608, 768), (589, 192)], unit="", slips=slips)
    return "The third case is t = 6 D: half and half."


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
            raise NotYet("the first grid is missing: it belongs into the list as well")
        if len(got) != len(wanted):
            raise NotYet(f"from {first} with {len(strides)} strides: expected {len(wanted)} grids, got {len(got)}")
        slips = {
            f"rounded down; a padded pooling keeps the last place: {wanted} and not {got}": (
                through(first, strides, math.floor)
            ),
            "rows and columns are exchanged: a stride is (rows, columns), as a grid is": (
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
    return "The first is our MAST at 5 s: from 2000 places to 64."


def quantum_ms(answer: object) -> str:
    """09.4: the shortest shift that moves all tokens by a whole place."""

    def reference(hop_ms: float, strides: tuple[int, ...]) -> float:
        return hop_ms * math.prod(strides)

    slips = {
        "strides multiply, for each counts places of the grid before it": lambda h, s: h * sum(s),
        "that is a number of frames; times the hop it is a time": lambda h, s: math.prod(s),
        "only the coarsest pooling: the stem and the others count as well": lambda h, s: h * max(s),
        "a coarser grid has a longer quantum: multiply, do not divide": lambda h, s: h / math.prod(s),
        "that is in seconds": lambda h, s: h * math.prod(s) / 1000,
    }
    expect_function(answer, reference, [(10.0, (4, 2, 2, 2)), (10.0, (10,)), (5.0, (4, 2, 2))], unit="ms", slips=slips)
    return "320 ms for MAST in the end, 100 ms for AST all the way."


EXERCISES = {"09.1": token_count, "09.2": attention_share, "09.3": grids, "09.4": quantum_ms}
