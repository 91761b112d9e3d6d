"""How a claim of a paper is judged by published rows: its parts, each an interval and a margin, and one verdict.

Nothing here is typed in: a verdict follows from intervals by two rules. `metrics.verdict` judges a part; a claim of
several parts holds when all of them hold, is contradicted when one is and none holds, and is not shown otherwise. The
claims themselves are in `all_claims`. Notebook: 12.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pandas as pd

from course_lib.analysis import questions as claims
from course_lib.analysis import scene_questions
from course_lib.evaluation.intervals import Interval, verdict
from course_lib.study import stats

HOLDS, NOT_SHOWN, CONTRADICTED = "holds", "not shown", "contradicted"
NOT_TESTABLE, NOT_RUN = "not testable here", "not run"
VERDICTS = (HOLDS, NOT_SHOWN, CONTRADICTED, NOT_TESTABLE, NOT_RUN)


@dataclass(frozen=True)
class Part:
    """One question of a claim: is the truth above `-margin`? Both in `unit`; `gap` is None if it was not run.

    `design` says what the interval rests on, `shown` replaces the difference where something else says more.
    """

    about: str
    gap: Interval | None
    margin: float = 0.0
    design: str = ""
    unit: str = "points"
    shown: str = ""

    @property
    def verdict(self) -> str:
        """By the interval and the margin alone."""
        return NOT_RUN if self.gap is None else verdict(self.gap, self.margin)

    @property
    def text(self) -> str:
        """What was asked and what came of it, of a part that was run."""
        unit = "" if self.unit == "points" else f" {self.unit}"
        return f"{self.about}: {self.shown or signed(self.gap)}{unit}"


def signed(gap: Interval, digits: int = 1) -> str:
    """A difference with its interval, every number with its sign."""
    mean, low, high = (f"{value:+.{digits}f}" for value in (gap.mean, gap.low, gap.high))
    return f"{mean} ({low} to {high})"


def overall(parts: Sequence[Part]) -> str:
    """One verdict from those of the parts, by the rule above; with a part not run a claim does not hold yet."""
    found = [part.verdict for part in parts]
    run = [one for one in found if one != NOT_RUN]
    if not run:
        return NOT_RUN
    if set(found) == {HOLDS}:
        return HOLDS
    return CONTRADICTED if CONTRADICTED in run and HOLDS not in run else NOT_SHOWN


class Evidence:
    """Answers to every question of the course, from the rows that `published` gives by the name of a grid."""

    def __init__(self, published: Callable[[str], pd.DataFrame] = claims.published) -> None:
        self.rows = published

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Answers of rows on clips, as `claims.answers` gives them, `grid` beside."""
        asked = {"diffres": claims.DIFFRES, "transformers": claims.TWINS, "transfer": claims.TRANSFER}
        asked |= {name: claims.of_task(name, where) for name, where in claims.TASKS.items()}
        found = [claims.answers(self.rows(grid), questions).assign(grid=grid) for grid, questions in asked.items()]
        return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)

    @cached_property
    def scenes(self) -> pd.DataFrame:
        """Answers of rows on scenes, as `scene_claims.answers` gives them."""
        return scene_questions.answers(self.rows("scenes"))

    def clip(self, question: str, where: str, about: str = "") -> Part:
        """The part that asks `question` of the rows of one place, with the margin that it was given there."""
        rows = self.clips[(self.clips["question"] == question) & (self.clips["where"] == where)]
        if rows.empty:
            return Part(about or f"{question} ({where})", None)
        row = rows.iloc[0]
        gap = Interval(row["difference"], row["low"], row["high"]).scaled(100)
        design = f"{row['pairs']} folds x {row['seeds']}"
        design += f", {row['mixed']} runs against one of another kind of machine" if row["mixed"] else ""
        return Part(about or f"{question} ({where})", gap, 100 * row["margin"], design)

    def scene(self, question: str, score: str, about: str = "", *, turned: bool = False, margin: float = 0.0) -> Part:
        """The part that asks `question` of one score of the rows on scenes; `turned` asks for the opposite."""
        rows = self.scenes[(self.scenes["question"] == question) & (self.scenes["score"] == score)]
        if rows.empty:
            return Part(about or f"{question} ({score})", None)
        row = rows.iloc[0]
        gap = Interval(row["difference"], row["low"], row["high"]).scaled(100)
        gap = Interval(-gap.mean, -gap.high, -gap.low) if turned else gap
        return Part(about or f"{question} ({score})", gap, margin, f"1 fold x {row['pairs']}")

    def level(self, grid: str, fields: dict[str, object]) -> Interval | None:
        """Accuracy in % of one condition of a grid on clips, None where it was not run."""
        rows = self.rows(grid)
        rows = claims.chosen(rows, fields) if len(rows) else rows
        return stats.accuracy(rows).scaled(100) if len(rows) else None


@dataclass(frozen=True)
class Claim:
    """A claim of a paper: `says`, its figure in `paper`, the parts that `ask` finds, and the `control` beside them.

    `why` is the second sentence of the reason and true whatever the verdict; the first is made from the parts. Where
    nothing here can test the claim, `ask` is None, `ours` says what we have in its place and `why` holds the reason.
    """

    key: str
    says: str
    why: str
    ask: Callable[[Evidence], list[Part]] | None = None
    paper: str = ""
    control: Callable[[Evidence], str] = field(default=lambda evidence: "")
    ours: Callable[[Evidence], str] = field(default=lambda evidence: "")


COLUMNS = ("id", "claim", "paper", "ours", "design", "control", "verdict", "reason")


def judged(claim: Claim, evidence: Evidence) -> dict[str, str]:
    """The row of a claim in the table: what the paper says, what we measured, its design, control, verdict, reason."""
    parts = claim.ask(evidence) if claim.ask else []
    word = overall(parts) if claim.ask else NOT_TESTABLE
    run = [part.text for part in parts if part.gap is not None]
    left = [f"{len(parts) - len(run)} not run"] if len(run) < len(parts) else []
    ours = "; ".join(run + left) if parts else claim.ours(evidence)
    design = ", ".join(dict.fromkeys(part.design for part in parts if part.design))
    reason = f"{first_sentence(parts)} {claim.why}" if claim.ask else claim.why
    cells = (claim.key, claim.says, claim.paper, ours, design, claim.control(evidence), word, reason)
    return dict(zip(COLUMNS, cells, strict=True))


VERBS = {
    HOLDS: ("holds", "hold"), NOT_SHOWN: ("is not shown", "are not shown"), NOT_RUN: ("was not run", "were not run"),
    CONTRADICTED: ("is contradicted", "are contradicted"),
}  # fmt: skip


def first_sentence(parts: Sequence[Part]) -> str:
    """Where the intervals lie, in one sentence that follows from them."""
    if len(parts) > 1:
        counts = {word: sum(part.verdict == word for part in parts) for word in VERBS}
        told = [f"{n} {VERBS[word][n > 1]}" for word, n in counts.items() if n]
        return f"Of {len(parts)} questions {' and '.join([', '.join(told[:-1]), told[-1]] if told[1:] else told)}."
    part = parts[0]
    if part.gap is None:
        return "Its rows have not been run."
    if part.design == "counted":
        return "This is counted, not estimated."
    limit = f"{-part.margin:+.0f}" if part.margin else "0"
    return {
        HOLDS: f"The whole interval lies above {limit}.",
        CONTRADICTED: f"The whole interval lies below {limit}.",
        NOT_SHOWN: f"The interval has {limit} in it.",
    }[part.verdict]


def table(claims_asked: Sequence[Claim], evidence: Evidence) -> pd.DataFrame:
    """`judged` of all claims, one row each."""
    return pd.DataFrame([judged(claim, evidence) for claim in claims_asked], columns=list(COLUMNS))
