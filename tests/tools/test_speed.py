"""bench/README.md: made from what was measured, and no missed bar without a reason."""

import json
import re

import pytest

from course_lib.paths import repo_root
from course_lib.tools import readme

EVERY = [one for path in readme.results() for one in readme.reached(path)]


def test_the_page_has_a_row_for_every_bar():
    text = (repo_root() / "bench" / "README.md").read_text(encoding="utf-8")
    assert text.count("\n| `") == len(EVERY) > 10


def test_a_missed_bar_has_a_reason_and_a_met_one_has_none():
    assert {(one.file, one.what) for one in EVERY if not one.met} == readme.reasons().keys()


@pytest.mark.parametrize("path", readme.results(), ids=lambda path: path.stem)
def test_every_benchmark_is_told_of_with_its_origin(path):
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert {"date", "commit", "machine", "torch"} <= set(kept["provenance"])
    assert readme.reached(path) or f"`{path.stem}`" in (repo_root() / "bench" / "README.md").read_text(encoding="utf-8")
    assert (repo_root() / "bench" / f"{re.sub('_(cuda|fp32)$', '', path.stem)}.py").is_file()


@pytest.mark.parametrize(("what", "value", "met"), [
    ("speed at 500 frames", 3.1, True), ("speed at 500 frames", 2.9, False),
    ("memory at 1000 frames, 25 % saved", 2.9, True), ("memory at 1000 frames, 25 % saved", 3.1, False),
])  # fmt: skip
def test_some_numbers_are_to_be_low(what, value, met):
    assert readme.Reached("diffres", what, value, 3.0).met is met
