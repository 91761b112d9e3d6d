"""The five findings of the study, a line each: the meaning, if the rows support it, and the numbers. Notebook: 13."""

from collections.abc import Sequence
from functools import cache

import pandas as pd

from course_lib.analysis import budget, claims, frontier, questions
from course_lib.analysis.claims import Evidence
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_SHOWN, Part, signed


@cache
def evidence() -> Evidence:
    """The evidence of the published rows; computed once per process."""
    return Evidence()


@cache
def claims_table() -> pd.DataFrame:
    """The verdict on every claim and data set; computed once per process."""
    return claims.table(evidence())


@cache
def parts() -> dict[str, list[Part | str]]:
    """`claims.parts_of` every claim, by its id."""
    return {claim.id: claims.parts_of(claim, evidence()) for claim in claims.claims()}


def verdict_on(claim: str, data: str) -> str:
    """The verdict on a claim on one data set."""
    found = claims_table().set_index(["id", "data"])["verdict"]
    return found[claim, data]


HOPS_SHOWN = ("10 ms over 40 ms", "10 ms over 50 ms")  # the questions of A1 whose numbers the headline gives
Headline = tuple[str, str, str]  # what a finding is about, what it means, its numbers


def headlines() -> list[Headline]:
    """The five findings in a line each.

    The meaning is given only while the verdicts or intervals behind it support it; otherwise it is empty, and only the
    numbers are shown.
    """
    return [hop_headline(), widths_headline(), probe_headline(), time_headline(), localisation_headline()]


def hop_headline() -> Headline:
    """1. The hop."""
    shown = [part for part in parts()["A1"] if part.found is not None and part.about in HOPS_SHOWN]
    texts = [f"{part.about} on {part.data.replace('timing', 'the timing')}: {points(part)}" for part in shown]
    verdicts = {part.data: verdict_on("A1", part.data) for part in parts()["A1"] if part.found is not None}
    probe = verdicts.pop("timing probe")
    still_open = [data for data, verdict in verdicts.items() if verdict == NOT_SHOWN]
    holding = [data for data, verdict in verdicts.items() if verdict == HOLDS]
    meaning = f"With hops of 5 to 40 ms, we cannot show a difference on {joined(still_open)}"
    better = f"on {joined(holding)} the shorter hop is better, and " if holding else ""
    meaning += f"; {better}on the timing probe, where milliseconds define the classes, a shorter hop is far better."
    expected = probe == HOLDS and still_open and len(still_open) + len(holding) == len(verdicts)
    return "Hop", meaning if expected else "", f"{'; '.join(texts)}."


def widths_headline() -> Headline:
    """2. Learned widths on recordings."""
    rows = evidence().answers.query("where == @questions.LONG").set_index("question")
    full, equal = (rows.loc[name] for name in (claims.HALF, "DiffRes better than equal widths"))
    numbers = (
        f"DiffRes with half the frames on ESC-10: {signed(questions.points(full))} points against all frames, "
        f"{signed(questions.points(equal))} against equal widths."
    )
    open_question = all(row["low"] < 0 < row["high"] for row in (full, equal))
    meaning = (
        "On ESC-10 after 800 steps, we see no loss from merging half of the frames, and no gain from learning which "
        "ones to merge."
    )
    return "Merging", f"{meaning}{merging_on_larger_sets()}" if open_question else "", numbers


def merging_on_larger_sets() -> str:
    """A sentence for each larger set with a verdict on A3, that merging loses nothing there, or on the loss."""
    sentences = ""
    for data in (questions.DATA["speechcommands10"], questions.DATA["esc50"]):
        loss, learning = verdict_on("A3", data), verdict_on("A2", data)
        if loss not in (HOLDS, CONTRADICTED):
            continue
        said = "costs accuracy" if loss == CONTRADICTED else "costs no accuracy"
        learned = "do better than equal ones" if learning == HOLDS else "are not shown to do better than equal ones"
        sentences += (
            f" On {data}, merging a half and three quarters of the frames {said}, and learned widths {learned}."
        )
    return sentences


def probe_headline() -> Headline:
    """3. Learned widths on the timing probe."""
    rows = budget.curve()
    rows = rows[rows["saved"] == 0.9].set_index("frame_reducer")
    published, variant, hop = (rows.loc[name] for name in (budget.PUBLISHED, budget.VARIANT, "none"))
    numbers = (
        f"With a tenth of the frames, {published['successes']} of {published['runs']} training runs of DiffRes (light "
        f"scorer) and {variant['successes']} of {variant['runs']} of our variant reach 95 %; on average, a plain hop "
        f"of 25 ms, which keeps as few frames, reaches {hop['accuracy']:.1f} %, equal widths "
        f"{rows.loc['uniform', 'accuracy']:.1f} %, and widths by flux, which are not learned, "
        f"{rows.loc['flux', 'accuracy']:.1f} %."
    )
    sometimes = all(0 < form["successes"] < form["runs"] for form in (published, variant))
    better = not hop["successes"] and min(published["accuracy"], variant["accuracy"]) > hop["high"]
    meaning = (
        "Learned widths can keep timing that a longer hop with as many frames loses, but they do not in every training "
        "run."
    )
    return "Learning where to look", meaning if sometimes and better else "", numbers


def time_headline() -> Headline:
    """4. Multiply-accumulates and time."""
    half, hop_40 = cost_beside_all_frames("diffres-light:0.5", 10.0), cost_beside_all_frames("none", 40.0)
    numbers = (
        f"With half the frames, DiffRes needs {half['macs']:.2f} times the multiply-accumulates of all frames, "
        f"{half[1]:.2f} times the time for one clip and {half[16]:.2f} times in batches of 16; a plain hop of 40 ms "
        f"takes {hop_40[1]:.2f} and {hop_40[16]:.2f} times the time."
    )
    meaning = "With half the frames, DiffRes saves time in batches, but not for one clip at a time."
    return "Time", meaning if half[16] < 1 < half[1] else "", numbers


def localisation_headline() -> Headline:
    """5. Pretrained features."""
    [recognised], [instead] = parts()["C2"], parts()["C7b"]
    numbers = (
        f"Tagging F1 of auditory features over the log-mel: {points(recognised)}; event F1 on events that both "
        f"recognise: {signed(instead.found.reversed().interval.scaled(100))} points."
    )
    expected = verdict_on("C2", "scenes of ESC-10") == verdict_on("C7b", "scenes of ESC-10") == HOLDS
    meaning = (
        "In place of the log-mel, pretrained features every 320 ms help to recognise sounds, but not to place them in "
        "time."
    )
    return "Pretrained features", meaning if expected else "", numbers


def joined(words: Sequence[str]) -> str:
    """Words joined by commas, the last two by *and*."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def points(part: Part) -> str:
    """The difference of a part that was run, with its interval, in points."""
    return f"{signed(part.found.interval.scaled(100))} points"


def cost_beside_all_frames(reducer: str, hop_ms: float) -> dict[str | int, float]:
    """The cost of a condition relative to all frames of 10 ms: `macs`, and the time on one thread by batch size."""
    found = frontier.times().query("model == 'cnn7' and threads == 1")
    rows = found[(found["frame_reducer"] == reducer) & (found["hop_ms"] == hop_ms)].set_index("batch")
    return {"macs": rows["macs_ratio"].iloc[0], **rows["ms_ratio"]}
