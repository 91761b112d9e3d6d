"""Values on file: what the notebooks recorded over several seeds, for comparison with a run.

`tests/expected/<profile>.json` holds `{data set: {notebook: {"provenance": {...}, "metrics": {name: expectation}}}}`;
`course_lib.tools.regression` writes it and says what an expectation is.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from course_lib.errors import UsageError
from course_lib.paths import repo_root

LEAST_SDS = 3.0  # an effect is clear if it is this many standard deviations over seeds away from zero


def expected_path(profile: str) -> Path:
    """File of the expected values of `profile`."""
    return repo_root() / "tests" / "expected" / f"{profile}.json"


def stored(profile: str) -> dict[str, dict[str, dict]]:
    """What the file of `profile` holds: `{data set: {notebook: entry}}`; empty if there is no file."""
    path = expected_path(profile)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def effect(profile: str, dataset: str, name: str) -> Mapping | None:
    """The effect `name` on file, with its `mean` and `sd` over seeds; None if it was not measured on this data set.

    Names of effects are unique in the course, so the notebook need not be known.
    """
    try:
        notebooks = stored(profile).get(dataset, {})
    except UsageError:  # the library was installed without the course
        return None
    for entry in notebooks.values():
        found = entry["metrics"].get(name)
        if found is not None and found["kind"] == "effect":
            return found
    return None


def is_clear(value: float, on_file: Mapping | None) -> bool:
    """Whether `value` is at least three standard deviations on file away from zero, on the side of the mean.

    An effect that has the same value with every seed is not clear: seeds do not show how uncertain it is.
    """
    if on_file is None:
        return False
    depends_on_seed = on_file["sd"] > 1e-9 * abs(on_file["mean"])  # more than rounding
    same_side = math.copysign(1, value) == math.copysign(1, on_file["mean"])
    return depends_on_seed and same_side and abs(value) >= LEAST_SDS * on_file["sd"]
