"""Checking a learner's answer: four outcomes, and a message that says what differs.

- *passed*;
- *not yet*: the answer is wrong, and the message says how (shape, type, unit, value, or a known slip);
- *not attempted*: the answer is still the `...` of the exercise;
- *cannot check*: the fault is not the learner's.

Nothing is raised in a learner's notebook. With `COURSE_STRICT=1` (the solutions in the tests, a teacher's grading run)
everything but *passed* is an error.
"""

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from IPython.display import display

CHECK_MIME = "application/vnd.course.check+json"
PASSED, NOT_YET, NOT_ATTEMPTED, CANNOT_CHECK = "passed", "not yet", "not attempted", "cannot check"
SIGNS = {PASSED: "✔", NOT_YET: "✘", NOT_ATTEMPTED: "…", CANNOT_CHECK: "?"}


class NotYet(Exception):
    """The answer is wrong; the text says how."""


class NotAttempted(Exception):
    """The answer is still the placeholder."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check."""

    exercise: str
    state: str
    message: str


def judge(exercise: str, answer: object) -> Outcome:
    """The outcome of `answer` for the exercise called `exercise` (`"01.2"`: notebook 01, second exercise)."""
    try:
        module = importlib.import_module(f"course_lib.lesson.exercises.nb{exercise[:2]}")
        test = module.EXERCISES[exercise]
    except (ImportError, KeyError):
        return Outcome(exercise, CANNOT_CHECK, f"there is no exercise {exercise!r}; has the cell been edited?")
    try:
        if answer is Ellipsis:
            raise NotAttempted
        praise = test(answer)
    except NotAttempted:
        return Outcome(exercise, NOT_ATTEMPTED, "replace the `...` and run the cell again")
    except NotYet as wrong:
        return Outcome(exercise, NOT_YET, str(wrong))
    except Exception as error:  # a broken test is not the learner's fault and must not stop the notebook
        return Outcome(exercise, CANNOT_CHECK, f"the check itself failed ({type(error).__name__}: {error})")
    return Outcome(exercise, PASSED, praise or "")


def check(exercise: str, answer: object) -> None:
    """Show the outcome of `answer`. Raises `AssertionError` on anything but *passed* when `COURSE_STRICT=1`."""
    outcome = judge(exercise, answer)
    text = f"{SIGNS[outcome.state]} Exercise {exercise}: {outcome.state}. {outcome.message}".rstrip()
    display({"text/plain": text, CHECK_MIME: vars(outcome)}, raw=True)
    if os.environ.get("COURSE_STRICT") == "1" and outcome.state != PASSED:
        raise AssertionError(text)


def outcomes(notebook: dict) -> list[dict]:
    """Outcomes of all checks in an executed notebook, in order."""
    code = (cell for cell in notebook["cells"] if cell["cell_type"] == "code")  # only these are executed
    outputs = (output for cell in code for output in cell["outputs"])
    return [output["data"][CHECK_MIME] for output in outputs if CHECK_MIME in output.get("data", {})]


def expect_number(answer: object, expected: float, *, unit: str, slips: Mapping[float, str] | None = None) -> None:
    """Pass when `answer` is `expected`, up to rounding.

    `slips` maps the wrong value that a known mistake produces to the sentence that names the mistake.
    """
    if answer is None:
        raise NotAttempted
    if isinstance(answer, bool) or not isinstance(answer, int | float | np.number):
        raise NotYet(f"expected one number in {unit}, got {type(answer).__name__} {answer!r}")
    for wrong, reason in (slips or {}).items():
        if np.isclose(answer, wrong, rtol=1e-6) and not np.isclose(answer, expected, rtol=1e-9):
            raise NotYet(f"{answer:g} {unit}: {reason}")
    if not np.isclose(answer, expected, rtol=1e-9, atol=0):
        raise NotYet(f"{answer:g} {unit} is too {'small' if answer < expected else 'large'}")


def expect_array(
    answer: object,
    expected: np.ndarray,
    *,
    what: str,
    rel: float = 1e-5,
    slips: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Pass when `answer` has `expected`'s shape and values (to the fraction `rel` of its largest value).

    `slips` maps the sentence that names a known mistake to the array that the mistake produces.
    """
    if answer is None:
        raise NotAttempted
    try:
        got = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        raise NotYet(f"{what}: expected an array of shape {expected.shape}, got {type(answer).__name__}") from None
    for reason, slip in (slips or {}).items():
        mistaken = expected.shape != slip.shape or not np.allclose(slip, expected)  # else this case cannot reveal it
        if mistaken and got.shape == slip.shape and np.allclose(got, slip):
            raise NotYet(reason)
    if got.shape != expected.shape:
        hint = "; the axes are swapped" if got.shape == expected.shape[::-1] and got.ndim > 1 else ""
        raise NotYet(f"{what}: expected shape {expected.shape}, got {got.shape}{hint}")
    if not np.isfinite(got).all():
        raise NotYet(f"{what}: {np.count_nonzero(~np.isfinite(got))} values are not finite")
    error = np.abs(got - expected)
    if error.max(initial=0) > rel * np.abs(expected).max(initial=0):
        place = tuple(int(i) for i in np.unravel_index(error.argmax(), error.shape))
        raise NotYet(
            f"{what}: right shape, but at {place} it is {got[place]:.4g} where {expected[place]:.4g} is expected"
        )


def call(answer: object, *arguments: object, **named: object) -> object:
    """Result of the learner's function; what it raises becomes a message with the arguments it was given."""
    if not callable(answer):
        raise NotYet(f"expected a function, got {type(answer).__name__} {answer!r}")
    given = ", ".join([_brief(a) for a in arguments] + [f"{k}={_brief(v)}" for k, v in named.items()])
    try:
        result = answer(*arguments, **named)
    except Exception as error:
        raise NotYet(f"called with ({given}) it raised {type(error).__name__}: {error}") from None
    if result is None or result is Ellipsis:
        raise NotAttempted
    return result


def expect_function(
    answer: object,
    reference: Callable,
    cases: Sequence[tuple],
    *,
    unit: str,
    rel: float = 0.0,
    slips: Mapping[str, Callable] | None = None,
    names: Sequence[str] = (),
) -> None:
    """Pass when the learner's function gives `reference`'s number for every tuple of arguments in `cases`.

    `slips` maps the sentence that names a mistake to the function that makes it; a sentence is used when its function
    explains every wrong result. If `names` is given, the function returns several numbers, which have these names.
    """
    got = [_numbers(call(answer, *case), unit, names) for case in cases]
    wanted = [np.atleast_1d(reference(*case)) for case in cases]
    rel = max(rel, 1e-9)
    wrong = [k for k, (g, w) in enumerate(zip(got, wanted, strict=True)) if not np.allclose(g, w, rtol=rel, atol=0)]
    if not wrong:
        return
    for reason, mistaken in (slips or {}).items():
        if all(np.allclose(got[k], mistaken(*cases[k]), rtol=rel) for k in wrong):
            raise NotYet(reason)
    first = wrong[0]
    given = ", ".join(_brief(a) for a in cases[first])
    result, expected = (", ".join(f"{value:g}" for value in x[first]) for x in (got, wanted))
    raise NotYet(f"for ({given}) it gives {result}, expected {expected} {unit}; {len(wrong)} of {len(cases)} differ")


def _numbers(found: object, unit: str, names: Sequence[str]) -> np.ndarray:
    """A learner's result, one number or one for each of `names`, as an array."""
    expected = f"{len(names)} numbers ({', '.join(names)})" if names else f"one number in {unit}"
    values = found if names and isinstance(found, tuple | list) else [found]
    if len(values) != max(1, len(names)) or not all(isinstance(v, int | float | np.number) for v in values):
        raise NotYet(f"expected {expected}, got {type(found).__name__}" + (f" {found!r}" if names else ""))
    return np.array(values, dtype=np.float64)


def _brief(value: object) -> str:
    """A value in few characters, arrays by their shape."""
    return f"array{value.shape}" if isinstance(value, np.ndarray) else repr(value)
