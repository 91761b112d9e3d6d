"""The five findings of the study, a line each: the meaning, if the rows support it, and the numbers. Notebook: 13."""

from functools import cache

import pandas as pd

from course_lib.analysis import budget, claims, frontier, questions
from course_lib.analysis.claims import Evidence
from course_lib.analysis.verdicts import HOLDS, NOT_SHOWN, Part, signed


@cache
def judged() -> tuple[Evidence, pd.DataFrame]:
    """The evidence of the published rows, and the table of verdicts; computed once per process."""
    evidence = Evidence()
    return evidence, claims.table(evidence)


@cache
def parts() -> dict[str, list[Part | str]]:
    """`claims.parts_of` every claim, by its id."""
    return {claim.id: claims.parts_of(claim, judged()[0]) for claim in claims.claims()}


def verdict_on(claim: str, data: str) -> str:
    """The verdict on a claim on one data set."""
    found = judged()[1].set_index(["id", "data"])["verdict"]
    return found[claim, data]


Headline = tuple[str, str, str]  # what a finding is about, what it means, its numbers


def headlines() -> list[Headline]:
    """The five findings in a line each.

    The meaning is given only while the verdicts or intervals behind it support it; otherwise it is empty, and only the
    numbers are shown.
    """
    return [hop_headline(), widths_headline(), probe_headline(), time_headline(), localisation_headline()]


def hop_headline() -> Headline:
    """1. The hop."""
    by_set = {(part.data, part.about): part for part in parts()["A1"] if part.found is not None}
    recordings, probed = by_set["ESC-10", "10 ms over 40 ms"], by_set["timing probe", "10 ms over 50 ms"]
    numbers = f"10 ms over 40 ms on ESC-10: {points(recordings)}; "
    numbers += f"10 ms over 50 ms on the timing probe: {points(probed)}."
    expected = verdict_on("A1", "ESC-10") == NOT_SHOWN and verdict_on("A1", "timing probe") == HOLDS
    meaning = "On recordings we cannot show that the hop matters; where milliseconds define the classes, it decides."
    return "Hop", meaning if expected else "", numbers


def widths_headline() -> Headline:
    """2. Learned widths on recordings."""
    rows = judged()[0].answers.query("where == @questions.LONG").set_index("question")
    full, equal = (rows.loc[name] for name in (claims.HALF, "DiffRes better than equal widths"))
    numbers = (
        f"DiffRes with half the frames on ESC-10: {signed(questions.points(full))} points against all frames, "
        f"{signed(questions.points(equal))} against equal widths."
    )
    open_question = all(row["low"] < 0 < row["high"] for row in (full, equal))
    meaning = "On recordings, we see no loss from merging frames, and no gain from learning which ones to merge."
    return "Merging", meaning if open_question else "", numbers


def probe_headline() -> Headline:
    """3. Learned widths on the timing probe."""
    rows = budget.curve()
    rows = rows[rows["saved"] == 0.9].set_index("frame_reducer")
    published, variant, hop = (rows.loc[name] for name in (budget.PUBLISHED, budget.VARIANT, "none"))
    numbers = (
        f"With a tenth of the frames, {published['successes']} of {published['runs']} training runs of DiffRes and "
        f"{variant['successes']} of {variant['runs']} of our variant reach 95 %; a plain hop of 25 ms, which keeps as "
        f"few, reaches {hop['accuracy']:.1f} % on average, equal widths {rows.loc['uniform', 'accuracy']:.1f} %."
    )
    sometimes = all(0 < form["successes"] < form["runs"] for form in (published, variant))
    better = not hop["successes"] and min(published["accuracy"], variant["accuracy"]) > hop["high"]
    meaning = "Where milliseconds decide, learned widths keep what a longer hop loses, but not in every training run."
    return "Learning where to look", meaning if sometimes and better else "", numbers


def time_headline() -> Headline:
    """4. Multiply-accumulates and time."""
    half, hop_40 = cost_beside_all_frames("diffres-light:0.5", 10.0), cost_beside_all_frames("none", 40.0)
    numbers = (
        f"With half the frames, DiffRes needs {half['macs']:.2f} times the multiply-accumulates of all frames, "
        f"{half[1]:.2f} times the time for one clip and {half[16]:.2f} times in batches of 16; a plain hop of 40 ms "
        f"takes {hop_40[1]:.2f} and {hop_40[16]:.2f} times the time."
    )
    meaning = "With half the frames, merging saves time in batches, but not for one clip at a time."
    return "Time", meaning if half[16] < 1 < half[1] else "", numbers


def localisation_headline() -> Headline:
    """5. Pretrained features."""
    recognised, [instead] = parts()["C7a"][0], parts()["C7b"]
    numbers = (
        f"Tagging F1 with all inputs over the log-mel: {points(recognised)}; event F1 of the log-mel over auditory "
        f"features, on events that both recognise: {points(instead)}."
    )
    expected = verdict_on("C7a", "scenes of ESC-10") == verdict_on("C7b", "scenes of ESC-10") == HOLDS
    meaning = "Pretrained features every 320 ms help to recognise sounds, but not to place them in time."
    return "Pretrained features", meaning if expected else "", numbers


def points(part: Part) -> str:
    """The difference of a part that was run, with its interval, in points."""
    return f"{signed(part.found.interval.scaled(100))} points"


def cost_beside_all_frames(reducer: str, hop_ms: float) -> dict[str | int, float]:
    """The cost of a condition relative to all frames of 10 ms: `macs`, and the time on one thread by batch size."""
    found = frontier.times().query("model == 'cnn7' and threads == 1")
    rows = found[(found["frame_reducer"] == reducer) & (found["hop_ms"] == hop_ms)].set_index("batch")
    return {"macs": rows["macs_ratio"].iloc[0], **rows["ms_ratio"]}
