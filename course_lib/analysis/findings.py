"""The five findings of the study, a line each: the meaning, if the rows support it, and the numbers. Notebook: 13."""

from collections.abc import Mapping, Sequence, Set
from functools import cache

import pandas as pd

from course_lib.analysis import budget, claims, frontier, questions
from course_lib.analysis.claims import Evidence
from course_lib.analysis.verdicts import CONTRADICTED, HOLDS, NOT_RUN, NOT_SHOWN, Part, signed


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


Headline = tuple[str, str, str]  # what a finding is about, what it means, its numbers


def headlines() -> list[Headline]:
    """The five findings in a line each.

    The meaning is given only while the verdicts or intervals behind it support it; otherwise it is empty, and only the
    numbers are shown.
    """
    return [hop_headline(), widths_headline(), probe_headline(), time_headline(), localisation_headline()]


def hop_headline() -> Headline:
    """1. The hop."""
    run = [part for part in parts("A1") if part.found is not None]
    texts = []
    for about in dict.fromkeys(part.about for part in run):
        each = [
            f"{part.data} {gap(part)}{'' if part.converged else ' (training not converged)'}"
            for part in run
            if part.about == about
        ]
        texts.append(f"{about.replace(' ms over ', ' over ')}: {', '.join(each)}")
    return "Hop", hop_meaning(run), f"In points, {'; '.join(texts)}."


def hop_meaning(run: Sequence[Part]) -> str:
    """Where a shorter hop is better, and where the rows leave that open; `run` are the parts of A1 that were run.

    Empty if no part holds, or if one is contradicted.
    """
    settled = [part for part in run if part.converged]
    if not settled or any(part.verdict not in (HOLDS, NOT_SHOWN) for part in settled):
        return ""
    better: dict[str, list[str]] = {}  # clauses about each hop
    for about in dict.fromkeys(part.about for part in settled if part.verdict == HOLDS):
        first, _, second = about.partition(" over ")
        sets = [_set_in_text(part.data) for part in settled if (part.about, part.verdict) == (about, HOLDS)]
        better.setdefault(first, []).append(f"better than {second} on {joined(sets)}")
    unclear = []
    for data in dict.fromkeys(part.data for part in settled if part.verdict == NOT_SHOWN):
        pairs = [part.about.replace(" ms over ", " and ") for part in settled
                 if (part.data, part.verdict) == (data, NOT_SHOWN)]  # fmt: skip
        unclear.append(f"{' or '.join(pairs)} on {_set_in_text(data)}")
    if not better:
        return ""
    open_questions = f" We cannot show a difference between {', or '.join(unclear)}." if unclear else ""
    sentences = [f"A hop of {first} is {', and '.join(clauses)}." for first, clauses in better.items()]
    return f"{' '.join(sentences)}{open_questions}"


def _set_in_text(data: str) -> str:
    """The name of a data set within a sentence."""
    return data.replace("timing", "the timing")


def widths_headline() -> Headline:
    """2. Learned widths on recordings."""
    rows = evidence().answers.query("where == @questions.LONG").set_index("question")
    full, equal = (rows.loc[name] for name in (claims.HALF, "DiffRes better than equal widths"))
    numbers = (
        f"Half the frames on ESC-10: {signed(questions.points(full))} points against all frames, "
        f"{signed(questions.points(equal))} against equal widths."
    )
    meaning = merging_meaning(full, equal)
    return "Merging", meaning + merging_on_larger_sets() if meaning else "", numbers


def merging_meaning(full: Mapping[str, float], equal: Mapping[str, float]) -> str:
    """What half the frames cost on ESC-10, from DiffRes minus all frames and minus equal widths, with their intervals.

    Empty unless the loss is below two points and the gain from learning is open.
    """
    if full["low"] <= -questions.EQUAL or not equal["low"] < 0 < equal["high"]:
        return ""
    return (
        "On ESC-10 after 800 steps, merging half the frames costs less than two points, and we cannot show that "
        "learning which ones to merge helps."
    )


def merging_on_larger_sets() -> str:
    """A sentence for half of the frames and one for a quarter, on the larger sets where the loss is answered."""
    sentences = ""
    for share in ("half the frames", "a quarter of the frames"):
        clauses = [clause for grid in ("words", "esc50") if (clause := _merged(grid, share))]
        sentences += f" With {share}, DiffRes loses {joined(clauses)}." if clauses else ""
    return sentences


def _merged(grid: str, share: str) -> str:
    """What DiffRes loses against all frames on the set of `grid`, and in brackets how its rivals compare.

    Empty if the loss is open.
    """
    data = {"words": questions.DATA["speechcommands10"], "esc50": questions.DATA["esc50"]}[grid]
    [loss] = [part for part in parts("A3") if part.data == data and part.about.startswith(f"{share}, no worse")]
    if loss.verdict not in (HOLDS, CONTRADICTED):
        return ""
    lost = "less than two" if loss.verdict == HOLDS else f"{-100 * loss.found.interval.mean:.1f}"
    [equal] = [part for part in parts("A2") if part.data == data and part.about == f"over equal widths, {share}"]
    rivals = [_rival("equal widths", equal.verdict, equal.found.interval.mean)] if equal.found else []
    answers = evidence().answers_of(grid)
    for row in answers[answers["question"] == f"DiffRes better than widths by flux, {share}"].to_dict("records"):
        rivals.append(_rival("*flux*, a rule", row["verdict"], row["difference"]))
    return f"{lost} points on {data} ({'; '.join(rivals)})" if rivals else f"{lost} points on {data}"


def _rival(name: str, verdict: str, gain: float) -> str:
    """How much more than DiffRes a rival loses, from the answer whether DiffRes is better and its gain, a share."""
    if verdict == HOLDS:
        return f"{name}: {100 * gain:.1f} more"
    return f"{name}: {-100 * gain:.1f} less" if verdict == CONTRADICTED else f"{name}: no difference shown"


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
        f"accuracy{chosen}. Mean accuracy of all runs: {published['accuracy']:.1f} % (light scorer), "
        f"{variant['accuracy']:.1f} % (variant), {rows.loc['flux', 'accuracy']:.1f} % (*flux*, a rule: rises in "
        "level), "
        f"{hop['accuracy']:.1f} % (hop of 25 ms), {rows.loc['uniform', 'accuracy']:.1f} % (equal widths)."
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
        f"{half[1]:.2f} times as long for one clip, {half[16]:.2f} times in batches of 16. A hop of 40 ms takes "
        f"{hop_40[1]:.2f} and {hop_40[16]:.2f} times as long."
    )
    meaning = "With half the frames, DiffRes saves time in batches, but not for one clip at a time."
    return "Time", meaning if half[16] < 1 < half[1] else "", numbers


def localisation_headline() -> Headline:
    """5. Pretrained features."""
    recognised, instead = (parts(claim)[0] for claim in ("C2", "C7b"))  # of the scenes of one fold
    numbers = (
        f"Tagging F1 of auditory features over the log-mel: {points(recognised)}; event F1 on events that both "
        f"recognise: {signed(instead.found.reversed().interval.scaled(100))} (one fold of scenes)."
    )
    on_five_folds = {part.verdict for claim in ("C2", "C7b") for part in parts(claim)[1:]}
    return "Pretrained features", localisation_meaning(recognised, instead, on_five_folds), numbers


def localisation_meaning(recognised: Part, instead: Part, on_five_folds: Set[str] = frozenset()) -> str:
    """What pretrained features are good for, from the parts of C2 and C7b, and the verdicts on them on five folds.

    Empty unless recognition improves, localisation does not, and five folds do not say otherwise.
    """
    no_gain = instead.verdict == HOLDS and instead.found.interval.low > 0  # the log-mel minus the features
    if recognised.verdict != HOLDS or not no_gain or not on_five_folds <= {HOLDS, NOT_RUN}:
        return ""
    return (
        "In place of the log-mel, pretrained features every 320 ms help to recognise sounds, but not to place them in "
        "time."
    )


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
