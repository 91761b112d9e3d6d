"""The five findings of the study, a line each: the meaning, if the rows support it, and the numbers. Notebook: 13."""

from collections.abc import Sequence
from functools import cache

import pandas as pd

from course_lib.analysis import budget, claims, frontier, questions
from course_lib.analysis.claims import Evidence
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_SHOWN, UNCONVERGED, Part, signed


@cache
def evidence() -> Evidence:
    """The evidence of the published rows; computed once per process."""
    return Evidence()


@cache
def claims_table() -> pd.DataFrame:
    """The verdict on every claim and data set; computed once per process."""
    return claims.table(evidence())


@cache
def parts(claim: str) -> list[Part | str]:
    """`claims.parts_of` the claim with this id; computed once per process."""
    [found] = [each for each in claims.claims() if each.id == claim]
    return claims.parts_of(found, evidence())


def verdict_on(claim: str, data: str) -> str:
    """The verdict on a claim on one data set."""
    found = claims_table().set_index(["id", "data"])["verdict"]
    return found[claim, data]


COMPARED = {  # the hops between which A1 asks for a difference, by data set
    "ESC-10": "hops of 5 to 40 ms on ESC-10 after 800 steps",
    "spoken digits": "hops of 10 and 20 ms on spoken digits",
    "ten spoken words": "hops of 10 and 40 ms on ten spoken words",
    "ESC-50": "hops of 10 and 40 ms on ESC-50",
}
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
    texts = []
    for about in HOPS_SHOWN:
        shown = [part for part in parts("A1") if part.found is not None and part.about == about]
        each = [
            f"{gap(part)} on {part.data.replace('timing', 'the timing')}"
            f"{'' if part.converged else ' (training not converged)'}"
            for part in shown
        ]
        texts.append(f"{about}: {', '.join(each)}")
    verdicts = {part.data: verdict_on("A1", part.data) for part in parts("A1") if part.found is not None}
    probe = verdicts.pop("timing probe")
    verdicts = {data: verdict for data, verdict in verdicts.items() if verdict != UNCONVERGED}
    still_open = [data for data, verdict in verdicts.items() if verdict == NOT_SHOWN]
    holding = [data for data, verdict in verdicts.items() if verdict == HOLDS]
    between = " or between ".join(COMPARED[data] for data in still_open)
    better = f"better than 40 ms on {joined(holding)}, and " if holding else ""
    meaning = (
        f"We cannot show a difference between {between}; 10 ms is {better}far better than 50 ms on the timing probe, "
        "where milliseconds define the classes."
    )
    expected = probe == HOLDS and still_open and len(still_open) + len(holding) == len(verdicts)
    return "Hop", meaning if expected else "", f"In points, {'; '.join(texts)}."


def widths_headline() -> Headline:
    """2. Learned widths on recordings."""
    rows = evidence().answers.query("where == @questions.LONG").set_index("question")
    full, equal = (rows.loc[name] for name in (claims.HALF, "DiffRes better than equal widths"))
    numbers = (
        f"Half the frames on ESC-10: {signed(questions.points(full))} points against all frames, "
        f"{signed(questions.points(equal))} against equal widths."
    )
    open_question = all(row["low"] < 0 < row["high"] for row in (full, equal))
    meaning = (
        "On ESC-10 after 800 steps, we see no loss from merging half of the frames, and no gain from learning which "
        "ones to merge."
    )
    return "Merging", f"{meaning}{merging_on_larger_sets()}" if open_question else "", numbers


def merging_on_larger_sets() -> str:
    """A sentence for each larger set about half of the frames and a quarter, as far as these questions are answered."""
    sentences = ""
    for data in (questions.DATA["speechcommands10"], questions.DATA["esc50"]):
        clauses = [
            clause for share in ("half the frames", "a quarter of the frames") if (clause := _merged(data, share))
        ]
        sentences += f" On {data}, {'; '.join(clauses)}." if clauses else ""
    return sentences


def _merged(data: str, share: str) -> str:
    """What DiffRes loses with `share` of the frames, and gains over equal widths; empty if that is not answered."""
    [loss] = [part for part in parts("A3") if part.data == data and part.about.startswith(f"{share}, no worse")]
    [gain] = [part for part in parts("A2") if part.data == data and part.about == f"over equal widths, {share}"]
    if loss.verdict == CONTRADICTED:
        clause = f"DiffRes with {share} loses {-100 * loss.found.interval.mean:.1f} points against all frames"
    elif loss.verdict == HOLDS:
        clause = f"DiffRes with {share} loses less than two points"
    else:
        return ""
    if gain.verdict == HOLDS:
        clause += f", {100 * gain.found.interval.mean:.1f} fewer than equal widths"
    return clause


def probe_headline() -> Headline:
    """3. Learned widths on the timing probe."""
    rows = budget.curve()
    rows = rows[rows["saved"] == 0.9].set_index("frame_reducer")
    published, variant, hop = (rows.loc[name] for name in (budget.PUBLISHED, budget.VARIANT, "none"))
    single = budget.failures().set_index("saved").loc[0.9]
    chosen = (
        f"; if the best of three runs of the variant is chosen by validation, {single['groups_met']} of "
        f"{single['groups']} do"
        if single["groups"]
        else ""
    )
    numbers = (
        f"With a tenth of the frames and the same seeds, {single['published']} of {single['published_runs']} runs of "
        f"DiffRes (light scorer) and {single['variant']} of {single['variant_runs']} of our variant reach 95 % "
        f"accuracy{chosen}. The mean is {hop['accuracy']:.1f} % with a hop of 25 ms, "
        f"{rows.loc['uniform', 'accuracy']:.1f} % with equal widths, and {rows.loc['flux', 'accuracy']:.1f} % with "
        "widths by a rule (rises in level)."
    )
    sometimes = all(0 < form["successes"] < form["runs"] for form in (published, variant))
    better = not hop["successes"] and min(published["accuracy"], variant["accuracy"]) > hop["high"]
    meaning = (
        "Learned widths can keep timing that a longer hop with as many frames loses, but not in every training run."
    )
    return "Learning where to look", meaning if sometimes and better else "", numbers


def time_headline() -> Headline:
    """4. Multiply-accumulates and time."""
    half, hop_40 = cost_beside_all_frames("diffres-light:0.5", 10.0), cost_beside_all_frames("none", 40.0)
    numbers = (
        f"Half the frames need {half['macs']:.2f} times the multiply-accumulates of all frames of 10 ms, and take "
        f"{half[1]:.2f} times as long for one clip and {half[16]:.2f} times as long in batches of 16. A plain hop of "
        f"40 ms takes {hop_40[1]:.2f} and {hop_40[16]:.2f} times as long."
    )
    meaning = "With half the frames, DiffRes saves time in batches, but not for one clip at a time."
    return "Time", meaning if half[16] < 1 < half[1] else "", numbers


def localisation_headline() -> Headline:
    """5. Pretrained features."""
    recognised, instead = parts("C2")[0], parts("C7b")[0]  # the scenes of one fold
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


def gap(part: Part) -> str:
    """The difference of a part that was run, with its interval, as a number of points."""
    return signed(part.found.interval.scaled(100))


def points(part: Part) -> str:
    """`gap` with its unit."""
    return f"{gap(part)} points"


def cost_beside_all_frames(reducer: str, hop_ms: float) -> dict[str | int, float]:
    """The cost of a condition relative to all frames of 10 ms: `macs`, and the time on one thread by batch size."""
    found = frontier.times().query("model == 'cnn7' and threads == 1")
    rows = found[(found["frame_reducer"] == reducer) & (found["hop_ms"] == hop_ms)].set_index("batch")
    return {"macs": rows["macs_ratio"].iloc[0], **rows["ms_ratio"]}
