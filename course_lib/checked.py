"""Settings that are validated on creation: frozen pydantic dataclasses with one-line errors."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, dataclass_transform

import numpy as np
from pydantic import ConfigDict, Field, ValidationError
from pydantic.dataclasses import dataclass

# Strict: "10" and True do not count as numbers, but 10 is accepted for a float and becomes 10.0. Nested dataclasses of
# other kinds are checked and converted in the same way.
CONFIG = ConfigDict(strict=True, extra="forbid", revalidate_instances="always")
WORDS = {
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "a valid string": "text",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
}
Count = Annotated[int, Field(ge=1)]  # what is counted: at least 1
CountOrZero = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass_transform(frozen_default=True)
def checked(kind: type) -> type:
    """The class `kind` as a frozen, hashable dataclass whose fields are checked against their annotations.

    A check that involves several fields belongs in `__post_init__`, as a `ValueError` that begins with the field.
    Invalid arguments raise a one-line `ValueError`: the field, what was found, what was expected.
    """
    made = dataclass(frozen=True, config=CONFIG)(kind)
    names = list(made.__dataclass_fields__)
    fill = made.__init__

    def __init__(self, *given: Any, **named: Any) -> None:
        # NumPy scalars become Python ones, which JSON, keys and pydantic understand
        given = tuple(v.item() if isinstance(v, np.generic) else v for v in given)
        named = {name: v.item() if isinstance(v, np.generic) else v for name, v in named.items()}
        try:
            fill(self, *given, **named)
        except ValidationError as error:
            raise ValueError(one_line(error, names)) from None

    made.__init__ = __init__
    return made


def one_line(error: ValidationError, names: list[str]) -> str:
    """The first error in one line; `names` supplies the field names of positional arguments."""
    first = error.errors(include_url=False)[0]
    path = ".".join(names[part] if isinstance(part, int) else part for part in first["loc"])
    if first["type"] == "value_error":  # raised by a __post_init__, which names the field
        return f"{path}.{first['ctx']['error']}".removeprefix(".")
    if first["type"] == "missing":
        return f"{path}: not given"
    if first["type"] == "unexpected_keyword_argument":
        return f"{path}: no such field; {nearest(path, names)}"
    expected = first["msg"].replace("Input should be", "expected")
    for theirs, ours in WORDS.items():
        expected = expected.replace(theirs, ours)
    return f"{path}: found {first['input']!r}, {expected}"


def nearest(given: str, known: Iterable[str]) -> str:
    """The end of an error about an unknown name: up to three similar names from `known`, or all of them."""
    known = list(known)
    close = difflib.get_close_matches(given, known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"expected one of {', '.join(known)}"
