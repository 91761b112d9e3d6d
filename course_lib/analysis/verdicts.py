"""Verdicts: on a question, and on a claim with several questions about one data set. Rules: study/protocol.md.

Notebook: 13.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from course_lib.evaluation.intervals import Interval, verdict
from course_lib.study import stats
from course_lib.study.stats import Difference

HOLDS, NOT_SHOWN, CONTRADICTED = "holds", "not shown", "contradicted"
BY_CONSTRUCTION, NOT_TESTABLE = "met by construction", "not testable here"
ONE_FOLD, UNCONVERGED, NOT_RUN = "one fold: no verdict", "not converged: no verdict", "not run"
VERDICTS = (HOLDS, NOT_SHOWN, CONTRADICTED, BY_CONSTRUCTION, ONE_FOLD, UNCONVERGED, NOT_TESTABLE, NOT_RUN)
ENOUGH = 5  # fewest pairs on a single fold that get a verdict, about training on these sounds
LEVEL = 0.05  # probability of a false answer to any question of a claim


def signed(gap: Interval, digits: int = 1) -> str:
    """A difference with its interval, every number with its sign."""
    return f"{gap.mean:+.{digits}f} ({gap.low:+.{digits}f} to {gap.high:+.{digits}f})"


def level_text(mean: float, low: float, high: float) -> str:
    """A level with its interval, in %."""
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"


def difference_text(gap: Interval) -> str:
    """A difference in points, in the words that its interval supports: higher, lower, or no difference shown."""
    ends = f"({gap.low:+.1f} to {gap.high:+.1f})"
    word = {HOLDS: "higher by", CONTRADICTED: "lower by"}.get(verdict(gap))
    amount = f"{word} {abs(gap.mean):.1f}" if word else f"no difference shown, {gap.mean:+.1f}"
    return f"{amount} points {ends}"


def judged(found: Difference, margin: float, p: float) -> str:
    """Is the true difference above `-margin`, a share? `p` is the p value, corrected for the number of questions."""
    if found.paired_by == "seed" and found.pairs < ENOUGH:
        return ONE_FOLD
    if p >= LEVEL:
        return NOT_SHOWN
    return HOLDS if found.interval.mean > -margin else CONTRADICTED


@dataclass(frozen=True)
class Part:
    """One question of a claim about a data set: is the true difference above `-margin`?

    Attributes
    ----------
    about, data : the question in short, and the data set.
    found : the difference as a share, None if it was not run.
    margin : a share.
    p : the p value, corrected for the number of questions of the claim (`corrected`).
    unit, scale, digits : the unit of the printed difference, how many units make a share of 1, and its decimals.
    design : number of folds and seeds.
    converged : False if one of the conditions was still improving when its training ended; there is then no verdict.
    """

    about: str
    data: str
    found: Difference | None
    margin: float = 0.0
    p: float = 1.0
    unit: str = ""
    scale: float = 100
    digits: int = 1
    design: str = ""
    converged: bool = True

    @property
    def verdict(self) -> str:
        """The answer to the question."""
        if self.found is None:
            return NOT_RUN
        return judged(self.found, self.margin, self.p) if self.converged else UNCONVERGED

    @property
    def lost(self) -> bool:
        """Whether `HOLDS` or `CONTRADICTED` would be lost with the interval for folds that share training clips."""
        if self.verdict not in (HOLDS, CONTRADICTED):
            return False
        return self.found.corrected.low <= -self.margin <= self.found.corrected.high

    @property
    def difference(self) -> str:
        """The difference with its interval, in its unit."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{signed(self.found.interval.scaled(self.scale), self.digits)}{unit}"

    @property
    def text(self) -> str:
        """The question and its answer, of a part that was run."""
        return f"{self.about}: {self.difference}"


def corrected(parts: Sequence[Part]) -> list[Part]:
    """The parts of one claim with p values corrected for their number.

    A part that has not been run counts with a p value of 1, so that the correction does not become stricter when it is.
    Only parts that can never get a verdict, because a single fold has too few pairs, are not counted.
    """
    counted = [part.found is None or judged(part.found, part.margin, 0) != ONE_FOLD for part in parts]
    alone = [1.0 if part.found is None else part.found.p(part.margin) for part in parts]
    raised = iter(stats.holm([p for p, counts in zip(alone, counted, strict=True) if counts]))
    return [
        replace(part, p=float(next(raised))) if counts else part for part, counts in zip(parts, counted, strict=True)
    ]


def overall(words: Sequence[str]) -> str:
    """The verdict on a claim from the verdicts on its questions, all about one data set."""
    found = set(words)
    if found <= {NOT_RUN}:
        return NOT_RUN
    if found == {HOLDS}:
        return HOLDS
    for without in (ONE_FOLD, UNCONVERGED):
        if without in found:
            return without
    return CONTRADICTED if CONTRADICTED in found and HOLDS not in found else NOT_SHOWN
