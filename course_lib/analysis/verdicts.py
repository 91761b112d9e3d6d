"""Verdicts from intervals: on a question, on a claim of several questions, and the sentence that gives the reason.

`evaluation.intervals.verdict` judges a question. A claim of several questions holds when all of them hold, is
contradicted when one is contradicted and none holds, and is not shown otherwise. Notebook: 12.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from course_lib.evaluation.intervals import Interval, verdict

HOLDS, NOT_SHOWN, CONTRADICTED = "holds", "not shown", "contradicted"
NOT_TESTABLE, NOT_RUN = "not testable here", "not run"
VERDICTS = (HOLDS, NOT_SHOWN, CONTRADICTED, NOT_TESTABLE, NOT_RUN)
COUNTED = "counted"  # the design of a part whose number is counted, not estimated
VERBS = {
    HOLDS: ("holds", "hold"), NOT_SHOWN: ("is not shown", "are not shown"), NOT_RUN: ("was not run", "were not run"),
    CONTRADICTED: ("is contradicted", "are contradicted"),
}  # fmt: skip


def signed(gap: Interval, digits: int = 1) -> str:
    """A difference with its interval, every number with its sign."""
    return f"{gap.mean:+.{digits}f} ({gap.low:+.{digits}f} to {gap.high:+.{digits}f})"


def difference_text(gap: Interval) -> str:
    """A difference in points in the words that its interval allows: higher, lower, or no difference shown."""
    ends = f"({gap.low:+.1f} to {gap.high:+.1f})"
    word = {HOLDS: "higher by", CONTRADICTED: "lower by"}.get(verdict(gap))
    amount = f"{word} {abs(gap.mean):.1f}" if word else f"no difference shown, {gap.mean:+.1f}"
    return f"{amount} points {ends}"


@dataclass(frozen=True)
class Part:
    """One question of a claim: is the true difference above `-margin`? `gap` is None if it was not run.

    `design` is the number of folds and seeds; `shown` is printed instead of the difference, in `unit`.
    """

    about: str
    gap: Interval | None
    margin: float = 0.0
    design: str = ""
    unit: str = "points"
    shown: str = ""

    @property
    def verdict(self) -> str:
        """What the interval and the margin say."""
        return NOT_RUN if self.gap is None else verdict(self.gap, self.margin)

    @property
    def text(self) -> str:
        """The question and its answer, of a part that was run."""
        unit = "" if self.unit == "points" else f" {self.unit}"
        return f"{self.about}: {self.shown or signed(self.gap)}{unit}"


def overall(parts: Sequence[Part]) -> str:
    """The verdict on a claim from those of its parts; it cannot hold while a part is not run."""
    found = {part.verdict for part in parts}
    if found <= {NOT_RUN}:
        return NOT_RUN
    if found == {HOLDS}:
        return HOLDS
    return CONTRADICTED if CONTRADICTED in found and HOLDS not in found else NOT_SHOWN


def first_sentence(parts: Sequence[Part]) -> str:
    """One sentence on where the intervals lie."""
    if len(parts) > 1:
        found = [part.verdict for part in parts]
        counts = [f"{found.count(word)} {VERBS[word][found.count(word) > 1]}" for word in VERBS if word in found]
        listed = counts[0] if len(counts) == 1 else f"{', '.join(counts[:-1])} and {counts[-1]}"
        return f"Of {len(parts)} questions {listed}."
    part = parts[0]
    if part.gap is None:
        return "Its rows have not been run."
    if part.design == COUNTED:
        return "This is counted, not estimated."
    limit = f"{-part.margin:+.0f}" if part.margin else "0"
    return {
        HOLDS: f"The whole interval lies above {limit}.",
        CONTRADICTED: f"The whole interval lies below {limit}.",
        NOT_SHOWN: f"The interval has {limit} in it.",
    }[part.verdict]
