"""The five findings of the study, a line each: the meaning, if the rows support it, and the numbers. Notebook: 13."""

from functools import cache

import pandas as pd

from course_lib.analysis import claims, frontier, probe, questions
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
    coarse, fine = by_set["ESC-10", "10 ms over 40 ms"], by_set["timing probe", "2.5 ms over 10 ms"]
    numbers = f"10 ms over 40 ms on ESC-10: {points(coarse)}; 2.5 ms over 10 ms on the timing probe: {points(fine)}."
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
    rows = probe.successes(probe.runs()).set_index("frame_reducer")
    learned, equal = rows.loc["diffres-light:0.75"], rows.loc["uniform:0.75"]
    numbers = (
        f"{learned['successes']} of {learned['runs']} runs with a quarter of the frames reach 95 %, with a mean of "
        f"{100 * learned['succeeded']:.1f} %; with equal widths {equal['successes']} of {equal['runs']} do."
    )
    both = 0 < learned["successes"] < learned["runs"]
    meaning = "Where milliseconds decide, a training run of DiffRes either learns where to look or fails."
    return "Learning where to look", meaning if both else "", numbers


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
    meaning = "Pretrained features every 320 ms recognise sounds better, but do not place them better in time."
    return "Pretrained features", meaning if expected else "", numbers


def points(part: Part) -> str:
    """The difference of a part that was run, with its interval, in points."""
    return f"{signed(part.found.interval.scaled(100))} points"


def cost_beside_all_frames(reducer: str, hop_ms: float) -> dict[str | int, float]:
    """The cost of a condition relative to all frames of 10 ms: `macs`, and the time on one thread by batch size."""
    found = frontier.times().query("model == 'cnn7' and threads == 1")
    rows = found[(found["frame_reducer"] == reducer) & (found["hop_ms"] == hop_ms)].set_index("batch")
    return {"macs": rows["macs_ratio"].iloc[0], **rows["ms_ratio"]}
