"""The tables of study/RESULTS.md once more: every cell computed from the rows with pandas, numpy and scipy.

Nothing here uses the code that prints the page. For each block of the page, a function of the same name returns its
tables, each a list of lines, and the other texts with numbers that it must contain, then numbers that no row
determines. A larger set may have been run in part or not at all: what must be printed follows from the rows that are
there. Rules: study/protocol.md.
"""

import io
import json
import math
import re
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rows_again import (
    ALL,
    DIFFRES,
    DIGITS,
    ESC_800,
    INPUTS_ON_FOLDS,
    LARGER,
    LESSON,
    MIXED,
    OFFSET_S,
    PAGE,
    PROBE,
    SCRATCH,
    STUDY,
    TASKS,
    TRANSFER,
    TRANSFORMERS,
    answer,
    assert_all,
    best,
    block,
    covered,
    event_f1,
    holm,
    in_full,
    interval,
    localised,
    means,
    on_larger_set,
    p_of,
    pairs_on_folds,
    pick,
    points,
    questions,
    rare,
    residual_std,
    rows_of,
    rows_on_folds,
    runs_on_folds,
    scene_truth,
    transformer,
    words,
)

SHARES = {"half the frames": "0.5", "a quarter of the frames": "0.75"}
N_RUNS = 10  # five folds with two seeds: a condition of a larger set is shown once it has all of them


# --- cells -------------------------------------------------------------------------------------------------------


def line(*cells):
    """A line of a table."""
    return f"| {' | '.join(cells)} |"


def level(mean, low, high):
    """Shares as a level with its interval, in %."""
    return f"{100 * mean:.1f} ({100 * low:.1f} to {100 * high:.1f})"


def over_repeats(values):
    """Mean and ends of the t interval over folds, or over seeds."""
    found = interval(values)
    return found["mean"], found["low"], found["high"]


@cache
def drawn_sources(n):
    """How often each of `n` sources counts in each of 2,000 draws of `n` sources."""
    return np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), size=2000)


def accuracy(rows):
    """Accuracy of a condition with the middle 95 % of 2,000 draws of its sources.

    A clip counts once, with the mean of its seeds; every fold has the same weight.
    """
    n_clips = rows["test_clips"].map(len)
    clips = pd.DataFrame({"fold": np.repeat(rows["fold"].to_numpy(), n_clips)})
    for name in ("clips", "sources", "correct"):
        clips[name] = np.concatenate(rows[f"test_{name}"].to_list())
    shares = clips.groupby(["fold", "clips", "sources"], as_index=False)["correct"].mean()
    shares["weight"] = len(shares) / shares["fold"].nunique() / shares.groupby("fold")["clips"].transform("size")
    shares["right"] = shares["weight"] * shares["correct"]
    of_source = shares.groupby("sources")[["right", "weight"]].sum()
    drawn = drawn_sources(len(of_source))
    low, high = np.quantile((drawn @ of_source["right"]) / (drawn @ of_source["weight"]), [0.025, 0.975])
    return rows.groupby("fold")["test_accuracy"].mean().mean(), low, high


def kinds_of(rows):
    """The kind of machine of each row: CPU or GPU."""
    return rows["device"].str.split(":").str[0].map({"cpu": "CPU", "cuda": "GPU"})


def milliseconds(rows, **network):
    """Median time of one clip by kind of machine, of all rows with this network, however it was trained."""
    rows = pick(rows, **network)
    return rows.groupby(kinds_of(rows))["latency_ms"].median()


def times(found):
    """Milliseconds as in a cell, such as `4.6 CPU, 1.0 GPU`."""
    return ", ".join(f"{ms:.1f} {kind}" for kind, ms in found.items())


def million_macs(rows):
    return f"{rows['macs'].median() / 1e6:.0f}"


def origin(grid):
    """How many rows of a grid are published, and where and with which code they were run; and how many are missing."""
    every = pd.read_parquet(STUDY / "results" / grid / "rows.parquet")
    rows = every[every["status"] == "done"]
    devices = " and ".join(sorted(rows["device_name"].unique()))
    made = json.loads((STUDY / "results" / grid / "provenance.json").read_text(encoding="utf-8"))
    missing = len(made.get("missing", []))
    texts = [f"{len(every)} rows on {devices}, commits {', '.join(sorted(rows['commit'].unique()))}"]
    return texts + ([f"{missing} rows are still to be run"] if missing else [])


def machines(rows):
    """The machines behind milliseconds."""
    names = {kind: " and ".join(sorted(of.unique())) for kind, of in rows["device_name"].groupby(kinds_of(rows))}
    texts = [f"CPU: one thread of a processor ({names['CPU']})"] if "CPU" in names else []
    return texts + ([f"GPU: {names['GPU']}"] if "GPU" in names else [])


NAMES = {
    "uniform": "equal widths", "flux": "widths by flux", "diffres": "DiffRes (published scorer)",
    "diffres-light": "DiffRes (light scorer)", "diffres-contrast": "DiffRes (contrast variant)",
}  # fmt: skip


def condition(reducer, hop):
    """The name of a condition of a larger set."""
    if reducer == "none":
        return f"all frames of {hop:g} ms"
    kind, saved = reducer.split(":")
    return f"{NAMES[kind]}, {100 - 100 * float(saved):g} % of the frames"


def compared(first, second, design, by, block="fold", score="test_accuracy"):
    """The difference of two conditions, over the runs that both have.

    Its standard deviation is pooled over the conditions of `design`, which differ in the fields `by`, that have all of
    these runs; without a design it is that of the pairs. Beside the difference stand both levels.
    """
    runs = ["fold", "seed"]
    both = first[[*runs, score]].merge(second[[*runs, score]], on=runs, suffixes=("", "_2"))
    means = both.groupby(block)[[score, f"{score}_2"]].mean()
    spread = ()
    if design is not None:
        alike = design[[*runs, *by, score]].merge(both[runs], on=runs)
        alike = alike[alike.groupby(by)["seed"].transform("size") == len(both)]
        spread = residual_std(alike, by, block, score)
    levels = {"first": means[score].mean(), "second": means[f"{score}_2"].mean()}
    return interval(means[score] - means[f"{score}_2"], *spread) | levels


def corrected_ends(found):
    """The ends of the interval for folds that share training clips (Nadeau and Bengio), in points; "" without any."""
    if "shared" not in found:
        return ""
    reach = math.sqrt(1 + found["n"] * found["shared"]) * (found["high"] - found["mean"])
    return f"{100 * (found['mean'] - reach):+.1f} to {100 * (found['mean'] + reach):+.1f}"


# --- hop and classes ---------------------------------------------------------------------------------------------


def hop():
    """The hop sweep with windows of 25 ms and 240 steps; at 2.5 ms, it has one seed."""
    sweep = pick(LESSON, steps=240, window=25.0)
    table = ["| hop | test accuracy | minus 10 ms | million MACs | ms |"]
    for hop_ms, rows in sweep.groupby("hop"):
        gap = points(compared(rows, pick(sweep, hop=10.0), sweep, ["hop"])) if hop_ms != 10 else ""
        ms = milliseconds(LESSON, hop=hop_ms)
        table.append(line(f"{hop_ms:g} ms", level(*accuracy(rows)), gap, million_macs(rows), times(ms)))
    return [table], [*origin("lesson"), *machines(LESSON)], "95", "2.5", "10"


def classes():
    """What hops of their own bring to the classes, and how many of them differ from 10 ms at another hop."""
    sweep = pick(LESSON, steps=240, window=25.0)
    scores = f1_by_class(sweep[sweep.groupby("hop")["seed"].transform("nunique") == 3])
    gaps = [scores[hop_ms, label] - scores[10.0, label] for hop_ms, label in scores if hop_ms != 10]
    p = holm([p_of(interval(gap)) if gap.any() else 1.0 for gap in gaps])
    significant = sum(each < 0.05 for each in p)
    own = (
        f"A separate hop for each class, chosen on four folds and judged on the fifth: {words(own_hops(scores))} of F1."
    )
    return [], [f"{significant} of {len(p)} differences are significant", own], "1"


def f1_by_class(rows):
    """F1 of each class: a row for each fold, a column for each hop and class; the seeds of a fold are averaged."""
    found = []
    for row in rows.to_dict("records"):
        true, predicted = np.asarray(row["test_targets"]), np.asarray(row["test_predicted"])
        for k, label in enumerate(row["classes"]):
            hits = ((true == k) & (predicted == k)).sum()
            f1 = 2 * hits / ((true == k).sum() + (predicted == k).sum())
            found.append((row["fold"], row["hop"], label, f1))
    table = pd.DataFrame(found, columns=["fold", "hop", "label", "f1"])
    return table.pivot_table(index="fold", columns=["hop", "label"], values="f1")


def own_hops(scores):
    """The gain in F1 from a hop for each class over one for all, chosen on the other folds, the coarsest of equals."""
    gains = []
    for fold in scores.index:
        others = scores.drop(fold).mean().unstack("label").sort_index(ascending=False)
        own, one = others.round(9).idxmax(), others.mean(axis=1).round(9).idxmax()
        here = scores.loc[fold]
        gains.append(np.mean([here[hop_ms, label] for label, hop_ms in own.items()]) - here[one].mean())
    return interval(gains)


# --- DiffRes and its controls ------------------------------------------------------------------------------------

HALF, QUARTER_FEWER, THREE_QUARTERS_FEWER = (f"diffres-light:{saved}" for saved in ("0.5", "0.25", "0.75"))
ON_ESC10 = {  # questions at both budgets: the two conditions
    "DiffRes, a quarter fewer frames, no worse than 10 ms": ((QUARTER_FEWER, 10.0), ALL),
    "DiffRes, half the frames, no worse than 10 ms": ((HALF, 10.0), ALL),
    "DiffRes, published scorer, half the frames, no worse than 10 ms": (("diffres:0.5", 10.0), ALL),
    "DiffRes, three quarters fewer frames, no worse than 10 ms": ((THREE_QUARTERS_FEWER, 10.0), ALL),
    "DiffRes from 5 ms better than 10 ms": ((HALF, 5.0), ALL),
    "DiffRes from 2.5 ms better than 10 ms": ((THREE_QUARTERS_FEWER, 2.5), ALL),
    "equal widths, half the frames, no worse than 10 ms": (("uniform:0.5", 10.0), ALL),
    "a hop of 20 ms no worse than 10 ms": (("none", 20.0), ALL),
    "a hop of 40 ms no worse than 10 ms": (("none", 40.0), ALL),
    "DiffRes, half the frames, better than a hop of 20 ms": ((HALF, 10.0), ("none", 20.0)),
    "DiffRes, three quarters fewer frames, better than a hop of 40 ms": ((THREE_QUARTERS_FEWER, 10.0), ("none", 40.0)),
    "DiffRes better than equal widths": ((HALF, 10.0), ("uniform:0.5", 10.0)),
    "DiffRes better than random widths": ((HALF, 10.0), ("random:0.5", 10.0)),
    "DiffRes better than widths by energy": ((HALF, 10.0), ("energy:0.5", 10.0)),
    "DiffRes better than average pooling": ((HALF, 10.0), ("average:0.5", 10.0)),
    "DiffRes better than its own widths, shuffled": ((HALF, 10.0), ("shuffled:0.5", 10.0)),
    "DiffRes from 5 ms better than equal widths from 5 ms": ((HALF, 5.0), ("uniform:0.5", 5.0)),
}
AT_800 = ON_ESC10 | {
    "DiffRes from 2.5 ms better than equal widths from 2.5 ms": ((THREE_QUARTERS_FEWER, 2.5), ("uniform:0.75", 2.5)),
    "all frames of 5 ms better than all frames of 10 ms": (("none", 5.0), ALL),
    "all frames of 10 ms better than all frames of 40 ms": (ALL, ("none", 40.0)),
}
AT_240 = ON_ESC10 | {"DiffRes from 1.25 ms better than 10 ms": (("diffres-light:0.875", 1.25), ALL)}
ON_DIGITS = {
    "all frames of 10 ms better than all frames of 20 ms": (ALL, ("none", 20.0)),
    "DiffRes, half the frames, no worse than 10 ms": ((HALF, 10.0), ALL),
    "DiffRes, half the frames, better than a hop of 20 ms": ((HALF, 10.0), ("none", 20.0)),
    "DiffRes better than equal widths": ((HALF, 10.0), ("uniform:0.5", 10.0)),
    "DiffRes better than average pooling": ((HALF, 10.0), ("average:0.5", 10.0)),
}
ON_PROBE = {
    "all frames of 2.5 ms better than all frames of 10 ms": (("none", 2.5), ALL),
    "DiffRes from 2.5 ms better than all frames of 10 ms": ((THREE_QUARTERS_FEWER, 2.5), ALL),
    "equal widths from 2.5 ms better than all frames of 10 ms": (("uniform:0.75", 2.5), ALL),
    "DiffRes, a quarter of the frames, no worse than 2.5 ms": ((THREE_QUARTERS_FEWER, 2.5), ("none", 2.5)),
    "DiffRes better than equal widths": ((THREE_QUARTERS_FEWER, 2.5), ("uniform:0.75", 2.5)),
    "DiffRes better than widths by energy": ((THREE_QUARTERS_FEWER, 2.5), ("energy:0.75", 2.5)),
    "DiffRes better than widths by flux": ((THREE_QUARTERS_FEWER, 2.5), ("flux:0.75", 2.5)),
}
PLACES = {  # data set, steps, questions; whether differences share one standard deviation
    "ESC-10, 800 steps": ("esc10", 800, AT_800, True), "ESC-10, 240 steps": ("esc10", 240, AT_240, True),
    "spoken digits": ("fsdd", 2000, ON_DIGITS, True), "timing probe": ("timing", 800, ON_PROBE, False),
}  # fmt: skip
DIFFRES_FIELDS = ["reducer", "hop", "recipe.masks", "recipe.guide"]


@cache
def rows_at(place):
    """The rows of a place of the grid `diffres`."""
    dataset, steps, _, _ = PLACES[place]
    return pick(DIFFRES, dataset=dataset, steps=steps).fillna({"recipe.guide": 0.0})


def reduced(place, first, second):
    """The difference of two conditions (frame reducer, hop) of a place of the grid `diffres`, and their rows."""
    design, pooled = rows_at(place), PLACES[place][3]
    plain = design[~design["recipe.masks"]]
    sides = [pick(plain, reducer=reducer, hop=hop_ms) for reducer, hop_ms in (first, second)]
    return compared(*sides, design if pooled else None, DIFFRES_FIELDS), sides


def diffres():
    """Every question about DiffRes and its controls, a table for each place."""
    tables, mixed = [], []
    for place, (dataset, _, asked, _) in PLACES.items():
        tables.append(["| question | accuracies (%) | difference | MACs | ms |"])
        for about, conditions in asked.items():
            found, sides = reduced(place, *conditions)
            ms = [milliseconds(DIFFRES, dataset=dataset, reducer=name, hop=hop_ms) for name, hop_ms in conditions]
            both = [f"{ms[0][kind]:.1f} and {ms[1][kind]:.1f} {kind}" for kind in ms[0].index if kind in ms[1].index]
            levels = f"{100 * found['first']:.1f} and {100 * found['second']:.1f}"
            macs = f"{sides[0]['macs'].median() / sides[1]['macs'].median():.2f}"
            tables[-1].append(line(about, levels, points(found), macs, ", ".join(both)))
            kinds = [side.set_index(["fold", "seed"])["device"].str.split(":").str[0] for side in sides]
            pairs = pd.concat(kinds, axis=1, join="inner")
            other = (pairs.iloc[:, 0] != pairs.iloc[:, 1]).sum()
            mixed += [f"*{about}* ({place}) {other} of {len(pairs)}"] if other else []
    listed = f"Pairs on two kinds of machine: {'; '.join(mixed)}."
    return tables, [listed, *origin("diffres"), *machines(DIFFRES)], "95", "-10", "800", "240"


# --- larger sets -------------------------------------------------------------------------------------------------


def published(grid):
    """Whether rows of a grid are published."""
    return (STUDY / "results" / grid / "rows.parquet").is_file()


def about_a_hop(hop_ms):
    """Both questions about a hop: family, question, first and second condition, margin."""
    other = ("none", hop_ms)
    return [
        ("better", f"all frames of 10 ms better than all frames of {hop_ms:g} ms", ALL, other, 0.0),
        ("no worse", f"a hop of {hop_ms:g} ms no worse than 10 ms", other, ALL, 0.02),
    ]


def about_a_form(name, form):
    """The six questions about DiffRes or its variant on a larger set, as in `about_a_hop`."""
    asked = []
    for kept, share in SHARES.items():
        ours = (f"{form}:{share}", 10.0)
        asked.append((name, f"{name}, {kept}, no worse than 10 ms", ours, ALL, 0.02))
        for rival, called in (("uniform", "equal widths"), ("flux", "widths by flux")):
            asked.append((name, f"{name} better than {called}, {kept}", ours, (f"{rival}:{share}", 10.0), 0.0))
    return asked


def about_the_bar(kept, share):
    """Does the variant lose accuracy against the light scorer? As in `about_a_hop`."""
    both = [(f"{form}:{share}", 10.0) for form in ("diffres-contrast", "diffres-light")]
    return [("light scorer", f"the variant, {kept}, no worse than the light scorer", *both, 0.02)]


def asked_of(grid):
    """All questions about a larger set in the order of its table, as in `about_a_hop`."""
    if grid == "contrast":
        return [*about_the_bar("three quarters of the frames", "0.25"), *about_the_bar("half the frames", "0.5"),
                *about_the_bar("a quarter of the frames", "0.75")]  # fmt: skip
    asked = [*about_a_hop(5.0), *about_a_hop(20.0), *about_a_hop(40.0), *about_a_form("DiffRes", "diffres-light")]
    for kept, share in SHARES.items():
        asked += about_the_bar(kept, share)
    asked += about_a_form("the variant", "diffres-contrast")
    if grid == "words":
        return asked + about_a_hop(60.0)
    clips, pictures, neither = ("none", 40.0, "naa"), ("none", 40.0, "none", "pictures"), ("none", 40.0)
    asked += [
        ("augmentation", "clips augmented better than pictures augmented, hop of 40 ms", clips, pictures, 0.0),
        ("augmentation", "clips augmented better than neither, hop of 40 ms", clips, neither, 0.0),
        ("augmentation", "pictures augmented better than neither, hop of 40 ms", pictures, neither, 0.0),
    ]
    return asked + about_a_hop(80.0)


def answered(grid):
    """Of each question about a larger set with all its rows: question, difference, margin, p corrected in its family.

    A question without all its rows counts with a p value of 1.
    """
    gap, found = on_larger_set(grid), []
    for family, about, first, second, margin in asked_of(grid):
        one = gap(first, second)
        found.append((family, about, one, margin, p_of(one, margin) if one else 1.0))
    texts = []
    for family, about, one, margin, _ in found:
        if one:
            alike = [each for each in found if each[0] == family]
            corrected = dict(zip([each[1] for each in alike], holm([each[4] for each in alike]), strict=True))
            texts.append((about, one, margin, corrected[about]))
    return texts


PUBLISHED_ON_ESC50 = ("44.3", "64.5", "81.3", "84.9", "8", "-2")  # accuracies in %, what our clips lack, EnvNet-v2


def larger():
    """Levels of the finished conditions of each larger set, then its answers."""
    tables, texts = [], []
    for grid in (*LARGER, "contrast"):
        if not published(grid):
            texts.append("No row has been published.")
            continue
        rows = rows_of(grid)
        texts += [*origin(grid), *machines(rows)]
        tables.append(["| condition | test accuracy | million MACs | ms |"])
        plain_first = (rows["copies"] == "naa") | rows["pictures"]
        fields = ["plain first", "merged", "hop", "recipe.guide", "reducer", "copies", "pictures"]
        marked = rows.assign(**{"merged": rows["reducer"] != "none", "plain first": plain_first})
        for values, alike in marked.groupby(fields):
            if len(alike) == N_RUNS:
                _, _, hop_ms, guide, reducer, copies, pictures = values
                how = ", clips augmented" if copies == "naa" else ", pictures augmented" if pictures else ""
                how += ", guide loss" if guide else ""
                rise = np.mean(
                    [curve[-1] - curve[-1 - len(curve) // 4] for curve in alike["history.validation_accuracy"]]
                )
                how += ", not converged" if rise > 0.02 else ""
                ms = times(milliseconds(rows, reducer=reducer, hop=hop_ms))
                cells = level(*accuracy(alike)), million_macs(alike), ms
                tables[-1].append(line(condition(reducer, hop_ms) + how, *cells))
                if grid == "esc50" and (reducer, hop_ms, how) == ("none", 40.0, ""):
                    texts.append(f"All frames of 40 ms without augmentation: {cells[0]}.")
        answers = answered(grid)
        if answers:
            tables.append(["| question | difference | shared clips | answer |"])
        of_bar = []
        for about, one, margin, p in answers:
            tables[-1].append(line(about, points(one), corrected_ends(one), in_full(one, margin, p)))
            if about.startswith("the variant, ") and about.endswith("than the light scorer"):
                of_bar.append(f"*{answer(one, margin, p)}* with {about.split(', ')[1]}")
        name = {"words": "Ten spoken words", "esc50": "ESC-50", "contrast": "ESC-10"}[grid]
        texts.append(f"{name}: {', '.join(of_bar) or 'not run'}")
    return tables, texts, "10", "-10", "-50", *(PUBLISHED_ON_ESC50 if published("esc50") else ())


RARE_NAMES = {"uniform": "equal widths", "flux": "widths by flux", "diffres-light": "DiffRes, light scorer",
              "diffres-contrast": "DiffRes, contrast variant", "oracle": "oracle"}  # fmt: skip


def sparse():
    """Accuracies and successful runs where events are rare, and ten answers from five pairs of folds each."""
    rows = rows_of("sparse") if published("sparse") else pd.DataFrame(columns=["reducer"])
    rows = rows[rows.groupby("reducer")["reducer"].transform("size") == N_RUNS]
    if not len(rows):
        return [], ["No condition has been run completely yet"]
    kinds = rows["reducer"].str.split(":", expand=True)
    rows = rows.assign(kind=kinds[0], saved=kinds[1].astype(float))
    shares = sorted(rows["saved"].unique())
    tables = [[line("condition", *(f"{100 * (1 - saved):g} % of the frames" for saved in shares))]]
    for kind, called in RARE_NAMES.items():
        alike = [pick(rows, kind=kind, saved=saved) for saved in shares]
        cells = [f"{100 * means(each).mean():.1f} ({(each['test_accuracy'] >= 0.95).sum()} of {len(each)})"
                 if len(each) else "" for each in alike]  # fmt: skip
        if any(cells):
            tables[0].append(line(called, *cells))
    asked = [("DiffRes", "diffres-light", "uniform"), ("DiffRes", "diffres-light", "flux"),
             ("the variant", "diffres-contrast", "uniform"), ("the variant", "diffres-contrast", "flux"),
             ("the variant", "diffres-contrast", "diffres-light")]  # fmt: skip
    rivals = {"uniform": "equal widths", "flux": "widths by flux", "diffres-light": "the light scorer"}
    found = []
    for ours, kind, rival in asked:
        for saved, kept in ((0.95, "twentieth"), (0.98, "fiftieth")):
            about = f"{ours} better than {rivals[rival]}, a {kept} of the frames"
            found.append((about, rare(f"{kind}:{saved}", f"{rival}:{saved}")))
    p = holm([p_of(one, 0) if one else 1.0 for _, one in found])
    answers = ["| question | difference | shared clips | answer |"]
    for (about, one), corrected in zip(found, p, strict=True):
        if one:
            answers.append(line(about, points(one), corrected_ends(one), in_full(one, 0, corrected)))
    return tables + [answers] * (len(answers) > 1), origin("sparse")


# --- disturbed clips ---------------------------------------------------------------------------------------------


def disturbed(grid):
    """Rows of the conditions with all runs, without augmentation and guide loss, and with the columns of `rates`."""
    if not published(grid):
        return pd.DataFrame()
    rows = pick(rows_of(grid), copies="none", pictures=False).query("`recipe.guide` == 0")
    rows = rows[rows.groupby(["reducer", "hop"])["fold"].transform("size") == N_RUNS]
    if not len(rows):
        return rows
    return pd.DataFrame([row | rates(row) for row in rows.to_dict("records")])


LEVELS = ("unchanged", "gain -6 dB", "gain +6 dB", "noise 20 dB", "noise 10 dB", "noise 0 dB")


def rates(row):
    """The rates of changed answers of a row, and its accuracies on disturbed and shortened clips, as shares."""
    targets = np.asarray(row["disturbed_targets"])
    by_name = np.reshape(row["disturbed_predicted"], (-1, len(targets)))
    predicted = dict(zip(row["disturbed_names"], by_name, strict=True))
    before = predicted["shift 0/16 hop"]
    changed = {k * row["hop"] / 16: predicted[f"shift {k}/16 hop"] != before for k in range(1, 17)}  # by shift in ms
    alike = [changed.get(shift_ms) for shift_ms in (2.5, 5.0, 7.5, 10.0)]
    right = before == targets
    found = {
        "changed": np.mean(list(changed.values())),
        "of_right": np.mean([each[right] for each in changed.values()]),
        "alike": math.nan if any(each is None for each in alike) else np.mean(alike),
        "by_hop": changed[row["hop"]].mean(),
    }
    kept = [name for name in predicted if name in LEVELS or name.startswith("first ")]
    return found | {name: (predicted[name] == targets).mean() for name in kept}


def in_order(rows):
    """Every condition of `rows`, with its frame reducer and hop: fixed hops first."""
    rows = rows.assign(merged=rows["reducer"] != "none")
    for (_, hop_ms, reducer), alike in rows.groupby(["merged", "hop", "reducer"]):
        yield reducer, hop_ms, alike


def share(rows, name):
    """The mean over folds of a share, in %; empty if it was not measured."""
    mean = 100 * rows.groupby("fold")[name].mean().mean() if name in rows else math.nan
    return "" if math.isnan(mean) else f"{mean:.1f}"


def of_disturbed(found, *sides):
    """A difference between conditions, with what its answer depends on: what folds share, and convergence."""
    rises = []
    for side in sides:
        curves = side["history.validation_accuracy"]
        rises.append(np.mean([curve[-1] - curve[-1 - len(curve) // 4] for curve in curves]))
    n_disturbed = sides[0]["disturbed_targets"].map(len).median()
    shared = n_disturbed / min(side["n_train"].min() for side in sides)
    return found | {"shared": shared, "converged": max(rises) <= 0.02}


def bullets(about, answers, margin):
    """Lines for questions with their differences, once all can be asked: their p values are corrected together."""
    p = holm([p_of(one, margin) for one in answers])
    each = zip(about, answers, p, strict=True)
    return [f"- {text}: {points(one)} points, {in_full(one, margin, corrected)}\n" for text, one, corrected in each]


def disturbance():
    """Rates of changed answers and accuracies of every condition, then the answers about these rates."""
    tables, texts = [], []
    for grid in LARGER:
        rows = disturbed(grid)
        if not len(rows):
            continue
        tables.append(["| condition | changed | of right answers | at 2.5 to 10 ms | by a whole hop | accuracy | -6 dB "
                     "| +6 dB | SNR 20 dB | SNR 10 dB | SNR 0 dB |"])  # fmt: skip
        for reducer, hop_ms, alike in in_order(rows):
            changed = level(*over_repeats(alike.groupby("fold")["changed"].mean()))
            shares = [share(alike, name) for name in ("of_right", "alike", "by_hop", *LEVELS)]
            tables[-1].append(line(condition(reducer, hop_ms), changed, *shares))
        texts += changed_answers(rows)
    return tables, texts if tables else ["No condition has been run completely yet."], "50", "-10", "-50"


def changed_answers(rows):
    """Do more answers change at a hop of 40 ms than at 10 ms, and more with learned widths than with equal ones?"""
    conditions = {(reducer, hop_ms): alike for reducer, hop_ms, alike in in_order(rows)}
    forms = {"DiffRes": "diffres-light", "the variant": "diffres-contrast"}
    asked = {"all frames, 40 ms over 10 ms, shifts of 2.5 to 10 ms": ("alike", ("none", 40.0), ALL)}
    for name, form in forms.items():
        for kept, saved in SHARES.items():
            both = (f"{form}:{saved}", 10.0), (f"uniform:{saved}", 10.0)
            asked[f"{name} over equal widths, {kept}"] = ("changed", *both)
    wanted = {key for _, *both in asked.values() for key in both}
    if not wanted <= conditions.keys():
        return []
    design = pd.concat([conditions[key] for key in wanted])
    answers = []
    for rate, *both in asked.values():
        sides = [conditions[key] for key in both]
        answers.append(of_disturbed(compared(*sides, design, ["reducer", "hop"], score=rate), *sides))
    return bullets(asked, answers, 0.0)


def beginnings():
    """Accuracy after the first seconds, in brackets with widths in chunks, and what these chunks cost after 5 s."""
    rows = disturbed("esc50")
    if not len(rows):
        return [], ["No condition has been run completely yet."]
    table = ["| condition | frames per second | after 1 s | after 2 s | after 3 s | after 4 s | after 5 s |"]
    for reducer, hop_ms, alike in in_order(rows):
        kept = 1 - float(reducer.split(":")[1]) if reducer != "none" else 1
        cells = [condition(reducer, hop_ms), f"{1000 / hop_ms * kept:g}"]
        for heard_s in range(1, 6):
            whole, chunks = (share(alike, f"first {heard_s} s{how}") for how in ("", ", in chunks"))
            cells.append(f"{whole} ({chunks})" if chunks else whole)
        table.append(line(*cells))
    forms = {"DiffRes": "diffres-light", "the variant": "diffres-contrast"}
    asked = {f"{name}, {kept}, in chunks no worse": f"{form}:{saved}"
             for name, form in forms.items() for kept, saved in SHARES.items()}  # fmt: skip
    sides = [pick(rows, reducer=reducer, hop=10.0) for reducer in asked.values()]
    if not all(len(side) for side in sides):
        return [table], []
    answers = []
    for side in sides:
        gap = side["first 5 s, in chunks"] - side["first 5 s"]
        answers.append(of_disturbed(interval(gap.groupby(side["fold"]).mean()), side))
    return [table], bullets(asked, answers, 0.02)


# --- systems -----------------------------------------------------------------------------------------------------

NETWORK = ["dataset", "model", "reducer", "hop", "features.n_mels", "features.rate_hz"]
PLAIN_NAMES = {"ast-tiny": "AST", "mast-tiny": "MAST", "cnn7": "CNN7", "cnn9": "CNN9", "lite0": "Lite0",
               "lite0-scratch": "Lite0 from scratch"}  # fmt: skip


def reduced_name(row):
    """The name of a condition at 800 steps, such as `light -50 % from 5 ms`."""
    if row["reducer"] == "none":
        return f"{row['hop']:g} ms"
    kind, saved = row["reducer"].replace("diffres-light", "light").split(":")
    return f"{kind} -{100 * float(saved):.0f} %" + (f" from {row['hop']:g} ms" if row["hop"] != 10 else "")


def augmented_name(row):
    """The name of a network with what was augmented or frozen."""
    name = PLAIN_NAMES[row["model"]]
    if row["frozen"]:
        return f"{name}, last layer only"
    return name + (", clips" if row["copies"] == "naa" else ", pictures" if row["pictures"] else "")


def large_name(row):
    """The name of a recipe of Lite0 with mixup."""
    more = ", 4 folds" if row["refit"] else ""
    return f"{row['hop']:g} ms, {row['features.n_mels']} bands, {row['steps']} steps{more}"


def systems():
    """Every system on ESC-10, a table for each panel of equal training, by multiply-accumulates."""
    lite0 = TRANSFER["recipe.mixup"] == 0
    rules = ESC_800["reducer"].str.startswith("diffres").map({True: 1, False: 2}).where(ESC_800["reducer"] != "none", 0)
    panels = [  # rows in the order of their families, the grid with their times, and how systems are named
        (pick(LESSON, steps=240, window=25.0), LESSON, reduced_name),
        (ESC_800.assign(family=rules).sort_values("family", kind="stable"), DIFFRES, reduced_name),
        (pick(TRANSFORMERS, dataset="esc10"), TRANSFORMERS, lambda row: PLAIN_NAMES[row["model"]]),
        (pd.concat([SCRATCH, TRANSFER[lite0]]), pd.concat([SCRATCH, TRANSFER]), augmented_name),
        (TRANSFER[~lite0], TRANSFER, large_name),
    ]
    tables = []
    for rows, grid, named in panels:
        rows, found = rows.assign(name=[named(row) for row in rows.to_dict("records")]), []
        for name, alike in rows.groupby("name", sort=False):
            ms = milliseconds(grid, **alike[NETWORK].iloc[0])
            cells = [f"{ms[kind]:.1f}" if kind in ms.index else "" for kind in ("CPU", "GPU")]
            cost = alike["macs"].median()
            found.append((cost, line(name, level(*accuracy(alike)), million_macs(alike), *cells)))
        by_cost = [text for _, text in sorted(found, key=lambda each: each[0])]
        tables.append(["| system | test accuracy | million MACs | ms, CPU | ms, GPU |", *by_cost])
    titles = [f"**CNN7, {steps} steps**" for steps in (240, 800)]
    titles += ["**small networks, 600 steps**", "**Lite0 and CNNs, 400 steps**"]
    return tables, titles, "10", "-10", "95", "4"


# --- scenes ------------------------------------------------------------------------------------------------------

EVERY = "spectral+auditory+visual"
PAPER = {  # micro F1 in % of the audiovisual paper
    "tagging": {"spectral": 76.22, "auditory": 81.03, "visual": 61.60, "auditory+visual": 80.04, EVERY: 83.72},
    "segment": {"spectral": 70.09, EVERY: 76.86},
    "event": {"spectral": 33.03, EVERY: 32.65},
}
SCORES = {"tagging": "tagging", "segment": "segments of 1 s", "event": "events within 200 ms"}
USUAL = {"auditory_ms": 320, "align": "nearest", "fusion": "mid", "reducer": "none", "scenes.flash": False,
         "recipe.unlabelled": 6, "recipe.teacher": 0.98}  # fmt: skip
AUDITORY, VISUAL, BOTH = {"streams": "auditory"}, {"streams": "visual"}, {"streams": "spectral+auditory"}
WITH_PICTURES = {"streams": "auditory+visual"}
STREAMS = {"spectral": "spectral", "auditory": "auditory", "visual": "visual", "all three": EVERY,
           "spectral+auditory": "spectral+auditory", "auditory+visual": "auditory+visual",
           "spectral+visual": "spectral+visual"}  # fmt: skip
INPUTS = {  # by score: which inputs are compared with which
    "tagging": ("auditory better than spectral", "all three better than spectral", "all three better than auditory",
                "auditory+visual better than auditory", "spectral+auditory better than auditory",
                "all three better than spectral+auditory", "auditory better than visual",
                "spectral better than visual", "spectral+visual better than spectral"),
    "segment": ("all three better than spectral", "auditory better than spectral",
                "spectral+auditory better than spectral", "auditory+visual better than auditory",
                "all three better than spectral+auditory"),
}  # fmt: skip
INPUTS["event"] = INPUTS["segment"]
HOPS = {f"auditory every {hop_ms} ms better than every 320 ms": (AUDITORY | {"auditory_ms": hop_ms}, AUDITORY)
        for hop_ms in (40, 80, 160)}  # fmt: skip
FINE, ONE_VECTOR = AUDITORY | {"auditory_ms": 40}, AUDITORY | {"auditory_ms": 0}
VECTOR = {"auditory every 320 ms better than one vector per scene": (AUDITORY, ONE_VECTOR)}
ALIGNED = {f"frames of 40 ms, alignment {how} better than nearest": (FINE | {"align": how}, FINE)
           for how in ("average", "learned", "repeat")}  # fmt: skip
FLASHES = {
    f"pictures that change at the onset better than usual ones, {streams}": (
        {"streams": streams, "scenes.flash": True},
        {"streams": streams},
    )
    for streams in ("visual", "auditory+visual")
}
SPECTRAL = {"streams": "spectral"}
MERGED = SPECTRAL | {"reducer": "diffres-light:0.5"}
REDUCED = {"DiffRes, half the frames, better than all frames": (MERGED, SPECTRAL)}
EQUAL = {"DiffRes, half the frames, better than equal widths": (MERGED, SPECTRAL | {"reducer": "uniform:0.5"})}
TAUGHT = {
    "unlabelled scenes better than none": (BOTH, BOTH | {"recipe.unlabelled": 0}),
    "teacher and unlabelled scenes better than neither": (
        BOTH,
        BOTH | {"recipe.unlabelled": 0, "recipe.teacher": 0.0},
    ),
}
FUSED = {f"fusion {how} better than mid": ({"streams": EVERY, "fusion": how}, {"streams": EVERY})
         for how in ("early", "gate")}  # fmt: skip
MORE = {
    "tagging": VECTOR | TAUGHT,
    "segment": VECTOR | REDUCED | TAUGHT,
    "event": HOPS | VECTOR | ALIGNED | FLASHES | REDUCED | EQUAL | TAUGHT | FUSED,
}


def about_scenes(score):
    """Every question about a score: the fields of its two conditions that are not usual ones."""
    asked = {}
    for about in INPUTS[score]:
        first, second = about.split(" better than ")
        asked[about] = {"streams": STREAMS[first]}, {"streams": STREAMS[second]}
    return asked | MORE[score]


def of_scenes(score, first, second, rows=MIXED):
    """The difference of two conditions of the scenes over the seeds that both have."""
    sides = [pick(rows, **USUAL | fields) for fields in (first, second)]
    return compared(*sides, rows, ["streams", *USUAL], "seed", f"test_{score}_f1")


def level_of_scenes(score, streams):
    return level(*over_repeats(pick(MIXED, streams=streams, **USUAL)[f"test_{score}_f1"]))


@cache
def constant_f1():
    """Micro F1, in %, of the answer that every class is active in every scene, from start to end."""
    return {score: f"{100 * f1:.1f}" for score, f1 in constant_on(scene_truth(), int(MIXED["n_test"].iloc[0])).items()}


def constant_on(true, n_scenes):
    """The same as a share, from the true events of so many scenes."""
    labels = sorted(true["event_label"].unique())
    tags = len(true.drop_duplicates(["filename", "event_label"]))
    active = {
        (event["filename"], event["event_label"], second)
        for event in true.to_dict("records")
        for second in range(math.floor(event["onset"]), math.ceil(event["offset"]))
    }
    names = true["filename"].unique()
    always = pd.DataFrame([(name, 0.0, 10.0, label) for name in names for label in labels],
                          columns=["filename", "onset", "offset", "event_label"])  # fmt: skip
    n_answers = n_scenes * len(labels)
    return {
        "tagging": 2 * tags / (tags + n_answers),
        "segment": 2 * len(active) / (len(active) + 10 * n_answers),
        "event": event_f1(true, always),
    }


@cache
def offsets_undone():
    """The questions about hops once more, with detected events moved by the offset of their features."""
    true = scene_truth()
    rows = pick(MIXED, streams="auditory", **{name: value for name, value in USUAL.items() if name != "auditory_ms"})
    rows = rows[rows["auditory_ms"] > 0]
    scores = []
    for row in rows.to_dict("records"):
        events = pd.read_csv(io.StringIO(row["test_estimated"]))
        for end in ("onset", "offset"):
            events[end] = (events[end] + OFFSET_S[row["auditory_ms"]]).clip(0, 10)
        scores.append(event_f1(true, events))
    rows = rows.assign(test_event_f1=scores)
    return {hop_ms: points(of_scenes("event", AUDITORY | {"auditory_ms": hop_ms}, AUDITORY, rows))
            for hop_ms in (40, 80, 160)}  # fmt: skip


def scenes():
    """Levels beside the paper's and those of a constant answer, then the questions about each score."""
    constant = constant_f1()
    tables, texts = [["| micro F1 in % | the network gets | paper | here |"]], []
    for score, called in SCORES.items():
        for streams, paper in PAPER[score].items():
            here = level_of_scenes(score, streams)
            tables[-1].append(line(called, streams.replace("+", ", "), f"{paper:.2f}", here))
        tables[-1].append(line(called, "*every class, active all the time*", "", constant[score]))
    for score, called in SCORES.items():
        tables.append(["| question | paper | difference | seeds |"])
        for about, both in about_scenes(score).items():
            found = of_scenes(score, *both)
            streams = [fields["streams"] for fields in both]
            told = about in INPUTS[score] and all(each in PAPER[score] for each in streams)
            paper = f"{PAPER[score][streams[0]] - PAPER[score][streams[1]]:+.2f}" if told else ""
            tables[-1].append(line(about, paper, points(found), str(found["n"])))
        texts.append(f"**{called.capitalize()}** (the constant answer has {constant[score]})")
    offsets = ", ".join(f"{1000 * offset:+.0f} ms at {hop_ms} ms" for hop_ms, offset in OFFSET_S.items())
    again = ", ".join(offsets_undone().values())
    texts += [f"depends on the hop: {offsets}.", f"every 40, 80 and 160 ms minus 320 ms is {again} points"]
    return tables, [*texts, *origin("scenes")], "1", "200", "80"


def folds():
    """Levels of the scenes on five folds beside a constant answer; and quantiles of the error of detected onsets."""
    if rows_on_folds() is None:
        return [], ["No condition has been run completely yet"]
    rows, truth = rows_on_folds()
    columns = ["tagging_f1", "segment_f1", "event_f1", "psds1", "psds2"]
    levels = ["| the network gets | tagging | segments of 1 s | events within 200 ms | PSDS1 | PSDS2 |"]
    run = [name for name in INPUTS_ON_FOLDS if len(runs_on_folds(name))]
    for name in run:
        found = [over_repeats(means(runs_on_folds(name), "fold", f"test_{column}")) for column in columns]
        levels.append(line(name, *(level(*each) for each in found)))
    sets = rows.drop_duplicates("content")
    constant = pd.DataFrame([constant_on(truth[truth["content"] == content], n)
                             for content, n in zip(sets["content"], sets["n_test"], strict=True)]).mean()  # fmt: skip
    cells = [f"{100 * constant[score]:.1f}" for score in SCORES]
    levels.append(f"| *every class, active all the time* | {' | '.join(cells)} |  |  |")
    errors = ["| the first gets | the second gets | events | the first (ms) | the second (ms) |"]
    usual, both = "auditory every 320 ms", "log-mel and auditory every 320 ms"
    compared_pairs = [("log-mel", usual), ("log-mel", both),
                      *((f"auditory every {hop_ms} ms", usual) for hop_ms in (80, 160))]  # fmt: skip
    for pair in compared_pairs:
        if not set(pair) <= set(run):
            continue
        runs, cells = list(pairs_on_folds(*pair)), []
        for side in (2, 3):
            off = 1000 * np.concatenate([onset_errors(each[1], each[side]) for each in runs])
            cells.append(" / ".join(f"{np.quantile(off, q):+.0f}" for q in (0.1, 0.5, 0.9)))
        errors.append(line(*pair, f"{sum(len(each[1]) for each in runs):,}", *cells))
    return [levels, errors][: 1 + (len(errors) > 1)], origin("events"), "1", "2", "6", "8"  # F1, claims


def onset_errors(true, found):
    """The nearest detected onset of a true event's scene and class, minus its own."""
    pairs = true.reset_index(drop=True).rename_axis("at").reset_index()
    pairs = pairs.merge(found, on=["filename", "event_label"], suffixes=("", "_found"))
    off = pairs["onset_found"] - pairs["onset"]
    nearest = off.abs().groupby(pairs["at"]).idxmin()
    return off[nearest].to_numpy()


# --- leaks -------------------------------------------------------------------------------------------------------


def recorded(name):
    """A published run of a notebook: what it recorded, and its commit."""
    run = json.loads((STUDY / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return {name: one["value"] for name, one in run["recorded"].items()}, run["provenance"]["commit"]


SPLITS = {
    "A": "official folds",
    "B": "official folds, copies of training clips in training",
    "C": "random folds by clip",
    "D": "random folds by clip, copies of training clips in training",
    "E": "copies of everything first, random folds afterwards",
}


def leak():
    """Accuracies of three classifiers under five protocols, as notebook 04 recorded them."""
    tables, texts = [], []
    for dataset, title in (("esc10", "ESC-10"), ("esc50", "ESC-50")):
        value, commit = recorded(f"04_folds_and_leakage-study-{dataset}")
        texts.append(f"**{title}**. With random folds, {value['siblings_met_random']:.0f} % of the test clips have")
        texts.append(f"({value['seeds']} seeds, {value['trees']} trees, commit {commit})")
        tables.append(["| | how the clips were split | forest | SVM | 1-NN |"])
        for protocol, how in SPLITS.items():
            names = [f"{protocol}_{model}" for model in ("forest", "SVM", "1-NN")]
            cells = [f"{value[f'accuracy_{name}']:.1f} ({value[f'interval_{name}']})" for name in names]
            tables[-1].append(line(protocol, how, *cells))
    return tables, texts, "95"


# --- claims and verdicts -----------------------------------------------------------------------------------------

BY_DESIGN = {  # verdicts that no row can change
    "B1": "met by construction", "B2": "not shown", "B4": "met by construction", "B5": "one fold: no verdict",
    "C1": "not testable here", "C3": "not testable here", "C4": "not testable here", "C5b": "not testable here",
    "C8": "one fold: no verdict", "C9": "one fold: no verdict", "D2": "not testable here",
}  # fmt: skip
SHARED = {  # test clips of a fold as a share of the training clips, by data set
    data: rows["n_test"].median() / rows["n_train"].min()
    for data, rows in (("ESC-10", ESC_800), ("spoken digits", DIGITS), ("timing probe", PROBE))
}


def by_rows():
    """What `questions` returns, with A5 where none of its sets was run, and with the share of clips that folds have."""
    found = {}
    for claim, asked in ({"A5": [(data, None, 0.02) for data in TASKS]} | questions()).items():
        found[claim] = []
        for data, one, margin in asked:
            shared = {"shared": SHARED[data]} if data in SHARED else {}
            found[claim].append((data, shared | one if one else None, margin))
    return found


def verdict_of(one, margin, p):
    """The answer to a question of a claim, as its table prints it, and whether the wider interval would lose it."""
    word = answer(one, margin, p)
    if word == "not shown" and p_of(one, margin) < 0.05:
        return f"{word} (p {p:.2f})", False
    reach = math.sqrt(1 + one["n"] * one.get("shared", 0)) * (one["high"] - one["mean"])
    lost = word in ("holds", "contradicted") and reach > abs(one["mean"] + margin)
    return word + (" *" if lost else ""), lost


def macs_of(rows, first, second):
    """The multiply-accumulates of a condition (frame reducer, hop) as a share of those of another, in words."""
    sides = [pick(rows, reducer=reducer, hop=hop_ms)["macs"].median() for reducer, hop_ms in (first, second)]
    return f"{sides[0] / sides[1]:.2f} of the MACs"


def on_a_larger_set(grid, *shares):
    """The multiply-accumulates of DiffRes on a larger set, for each share of frames; nothing where it was not run."""
    if not published(grid) or not shares:
        return ["" for _ in shares]
    gap = on_larger_set(grid)
    forms = [(f"diffres-light:{share}", 10.0) for share in shares]
    return [macs_of(rows_of(grid), form, ALL) if gap(form, ALL) else "" for form in forms]


def labels():
    """What the questions of a claim say of multiply-accumulates, in order, by claim."""
    short = [(name, 10.0) for name in (QUARTER_FEWER, HALF, "diffres:0.5", THREE_QUARTERS_FEWER)]
    quarter = (THREE_QUARTERS_FEWER, 2.5)
    return {
        "A3": [*(macs_of(ESC_800, one, ALL) for one in short), macs_of(DIGITS, (HALF, 10.0), ALL),
               macs_of(PROBE, quarter, ("none", 2.5)), *on_a_larger_set("words", "0.5", "0.75"),
               *on_a_larger_set("esc50", "0.5", "0.75")],
        "A4": [macs_of(ESC_800, (HALF, 5.0), ALL), macs_of(ESC_800, quarter, ALL), macs_of(PROBE, quarter, ALL)],
    }  # fmt: skip


def stages():
    """Tokens and widths of MAST's stages on 5 s: 500 frames and 128 bands in patches of 4 by 8, halved thrice."""
    frames, bands, width, tokens, widths = 500 // 4, 128 // 8, 96, [], []
    for halved_bands in (False, True, True, False):
        tokens.append(str(frames * bands))
        widths.append(str(width))
        frames, width = math.ceil(frames / 2), 2 * width
        bands = bands // 2 if halved_bands else bands
    return f"from stage to stage at 5 s: {', '.join(tokens)} tokens, {', '.join(widths)} wide"


def without_rows():
    """Claims whose verdict no row can change: the text, or the difference with a part of its label, by claim."""
    value, _ = recorded("09_spectrogram_transformers-study-synth10")
    measures = {"silhouette": "silhouette", "nmi": "normalised mutual information", "purity": "purity",
                "davies_bouldin": "Davies-Bouldin index, sign reversed"}  # fmt: skip
    separable = []
    for measure, called in measures.items():
        ast, mast = (f"probe_{measure}_{name}_long" for name in ("AST", "MAST"))
        gap = (value[mast] - value[ast]) * (-1 if measure == "davies_bouldin" else 1)
        reach = math.hypot(value[f"{ast}_reach"], value[f"{mast}_reach"])
        separable.append((f"MAST minus AST, {called}", f"{gap:+.2f} ({gap - reach:+.2f} to {gap + reach:+.2f})", ""))
    transformers = []
    for dataset, data in (("esc10", "ESC-10"), ("fsdd", "spoken digits")):
        rows = pick(TRANSFORMERS, dataset=dataset)
        found = transformer(dataset) | {"shared": rows["n_test"].median() / rows["n_train"].min()}
        transformers.append((f"{data}: MAST over AST", points(found), corrected_ends(found)))
    costs = []
    for length, frames in (("10 s", 1024), ("5 s", 500)):
        times_fewer, fewer = value[f"times_fewer_macs_{frames}"], value[f"parameters_fewer_{frames}"]
        costs.append(f"at {length} AST needs {times_fewer:.1f} times the MACs; MAST has {fewer:.1f} % fewer parameters")
    best = [level(*accuracy(pick(TRANSFER, **{"features.n_mels": 224}, steps=steps, refit=refit)))
            for steps, refit in ((800, False), (400, False), (400, True))]  # fmt: skip
    finer = [AUDITORY | {"auditory_ms": hop_ms} for hop_ms in (40, 80, 160)]
    taught = TAUGHT["teacher and unlabelled scenes better than neither"]
    return {
        "B1": [(stages(), "", "")],
        "B2": transformers,
        "B4": [(text, "", "") for text in costs],
        "B5": separable,
        "C1": [(f"spectral {level_of_scenes('tagging', 'spectral')} on our scenes", "", "")],
        "C3": [("spectral over visual", points(of_scenes("tagging", SPECTRAL, VISUAL)), "")],
        "C4": [("auditory minus auditory+visual", points(of_scenes("tagging", AUDITORY, WITH_PICTURES)), "")],
        "C5b": [("all three over spectral+auditory", points(of_scenes("tagging", {"streams": EVERY}, BOTH)), "")],
        "C8": [(f"every {one['auditory_ms']} ms over every 320 ms",
                points(localised(("auditory", one["auditory_ms"]), ("auditory", 320))), "") for one in finer],
        "C9": [(f"{called}, with both over neither", points(of_scenes(score, *taught)), "")
               for score, called in (("tagging", "tagging"), ("segment", "segments"), ("event", "events"))],
        "D2": [(f"EfficientNet-Lite0 on ESC-10, folds by recording: 800 steps {best[0]}; 400 steps {best[1]}; "
                f"400 steps on four folds {best[2]}", "", "")],
    }  # fmt: skip


@cache
def claims_again():
    """The lines behind all verdicts: claim, a part of the label, difference, shared clips, answer.

    And by claim and data set the answers, with *not shown* for those that the interval for folds that share clips would
    leave open.
    """
    lines, careful, macs = {}, {}, labels()
    for claim, asked in by_rows().items():
        p = holm([p_of(one, margin) if one else 1.0 for _, one, margin in asked])
        said = macs.get(claim, [""] * len(asked))
        lines[claim] = []
        for (data, one, margin), corrected, about in zip(asked, p, said, strict=True):
            if one is None:
                lines[claim].append((data, about, "", "", "not run"))
                careful.setdefault((claim, data), []).append("not run")
                continue
            word, is_lost = verdict_of(one, margin, corrected)
            unit = "{:+.2f} ({:+.2f} to {:+.2f}) nats".format(*(one[end] for end in ("mean", "low", "high")))
            wide = corrected_ends(one)
            if claim in ("D4b", "D4c"):
                reach = math.sqrt(1 + one["n"] * one["shared"]) * (one["high"] - one["mean"])
                wide = f"{one['mean'] - reach:+.2f} to {one['mean'] + reach:+.2f}"
            lines[claim].append((data, about, unit if claim in ("D4b", "D4c") else points(one), wide, word))
            careful.setdefault((claim, data), []).append("not shown" if is_lost else word.partition(" (p")[0])
    for claim, found in without_rows().items():
        lines[claim] = [("", *cells, BY_DESIGN[claim]) for cells in found] + lines.get(claim, [])
    return lines, careful


def test_every_cell_behind_a_verdict_follows_from_the_rows():
    """The words of a question are those of the claim; all that was computed is compared."""
    wanted, _ = claims_again()
    lines = [each for table in tables_in(block("claims")) for each in table[1:]]
    cells = [[cell.strip() for cell in each.strip("|").split("|")] for each in lines]
    assert {each[0] for each in cells} == set(wanted)
    for claim, lines in wanted.items():
        printed = [each[1:] for each in cells if each[0] == claim]
        assert len(printed) == len(lines)
        for (label, *found), (data, about, *computed) in zip(printed, lines, strict=True):
            assert label.startswith(data) and label.endswith(about) and found == computed, (claim, label)
            assert not re.search(r"\d\.\d\d", label.removesuffix(about)), f"{label}: a number that is not computed"


def test_a_verdict_has_an_asterisk_if_the_wider_interval_would_change_it():
    _, careful = claims_again()
    marked, changed = set(), set()
    [table] = tables_in(block("verdicts"))
    for each in table[1:]:
        claim, _, clauses = each.strip("| ").split(" | ")
        for word, places in re.findall(r"\*\*(.+?)\*\*(?: on ([^;]+))?", clauses):
            for place in re.split(", | and ", places):
                data = place.removesuffix(r" \*").removeprefix("the ")
                marked |= {(claim, data)} if place.endswith(r" \*") else set()
                if word in ("holds", "contradicted"):
                    answers = careful[claim, data]
                    stays = word in answers if word == "contradicted" else set(answers) == {"holds"}
                    changed |= set() if stays else {(claim, data)}
    assert marked == changed


# --- what stands beside a verdict --------------------------------------------------------------------------------


def beside_reduced(place, *questions_there):
    """Questions about DiffRes at a place, as they stand beside a claim."""
    found = {about: reduced(place, *PLACES[place][2][about])[0] for about in questions_there}
    return [f"{about} ({place}): {points(one)}" for about, one in found.items()]


def beside_scenes(score, *questions_there):
    """Questions about scenes, as they stand beside a claim."""
    found = {about: of_scenes(score, *about_scenes(score)[about]) for about in questions_there}
    return [f"{about} ({score}): {points(one)}" for about, one in found.items()]


def beside_best(reducer, called):
    """The best of three seeds on the timing probe over another condition, by validation."""
    sides = [best(pick(PROBE, reducer=name, hop=2.5)) for name in (THREE_QUARTERS_FEWER, reducer)]
    return f"timing probe, best of three seeds, over {called}: {points(interval(sides[0] - sides[1]))}"


def beside_hops():
    """Controls of A1: other hops of the timing probe, short training, wide windows, a hop for each class."""
    short = pick(LESSON, steps=240)
    sweep = pick(short, window=25.0)
    narrow = compared(pick(sweep, hop=10.0), pick(sweep, hop=80.0), sweep, ["hop"])
    wide = compared(pick(sweep, hop=10.0), pick(short, hop=80.0, window=200.0), short, ["hop", "window"])
    own = own_hops(f1_by_class(pick(ESC_800, reducer="none")))
    all_frames = "all frames of 5 ms better than all frames of 10 ms"
    return [
        f"{all_frames} (timing probe, windows of 2.5 hops): {points(covered(5.0, 10.0))}",
        *beside_reduced("timing probe", "all frames of 2.5 ms better than all frames of 10 ms"),
        f"10 ms over 80 ms after 240 steps: {points(narrow)}",
        f"with windows of 2.5 hops {points(wide)}",
        f"a separate hop for each class, chosen on other folds, over one hop for all, 800 steps: F1 {points(own)}",
    ]


def beside_transformers():
    """Controls of B2: how far the loss still fell, what both networks cost, and a CNN beside MAST."""
    at_20_ms, falls, over = pick(TRANSFORMERS, hop=20.0), [], []
    for dataset, data in (("esc10", "ESC-10"), ("fsdd", "spoken digits")):
        rows = pick(at_20_ms, dataset=dataset)
        fall = rows["history.validation_loss"].map(lambda losses: losses[-2] - losses[-1]).groupby(rows["model"]).mean()
        falls.append(f"{data} AST {fall['ast-tiny']:.3f}, MAST {fall['mast-tiny']:.3f}")
        cnn, mast = (pick(rows, model=model) for model in ("cnn7", "mast-tiny"))
        gap = compared(cnn, mast, pick(TRANSFORMERS, dataset=dataset), ["model", "hop"])
        over.append(f"a CNN of 7 layers better than MAST ({data}, small and from scratch): {points(gap)}")
    fallen = f"fall of the validation loss (nats) between the last two evaluations: {'; '.join(falls)}"
    return [fallen, beside_cost(), *over]


def beside_cost():
    """Time and multiply-accumulates of the small transformers on ESC-10."""
    median = pick(TRANSFORMERS, dataset="esc10").groupby("model")[["macs", "latency_ms"]].median()
    mast, ast = (
        (median.loc[model, "latency_ms"], median.loc[model, "macs"] / 1e6) for model in ("mast-tiny", "ast-tiny")
    )
    return (
        f"small networks, one clip on a CPU: MAST {mast[0]:.1f} ms at {mast[1]:.0f} million MACs, "
        f"AST {ast[0]:.1f} ms at {ast[1]:.0f}"
    )


def beside_lite0():
    """Controls of D1 and D5a: each augmentation of Lite0 over none, and fine-tuning over training from scratch."""
    design = pick(TRANSFER, steps=400, refit=False)
    fields = ["model", "hop", "copies", "pictures", "frozen"]
    usual = pick(design, hop=40.0, frozen=0)
    plain, scratch = (pick(usual, model=model, copies="none", pictures=False) for model in ("lite0", "lite0-scratch"))
    clips, pictures = pick(usual, model="lite0", copies="naa"), pick(usual, model="lite0", pictures=True)
    lite0 = pick(design, model="lite0")
    augmented = [
        f"{called} augmented better than neither (ESC-10, Lite0, 400 steps): "
        f"{points(compared(side, plain, lite0, fields))}"
        for called, side in (("clips", clips), ("pictures", pictures))
    ]
    tuned = points(compared(plain, scratch, design, fields))
    return augmented, [f"fine-tuned better than from scratch (ESC-10, Lite0, 400 steps): {tuned}"]


def beside_losses():
    """Controls of D4: rise of the validation loss without augmentation, and the last training losses."""
    plain = pick(SCRATCH, copies="none", pictures=False)
    risen = plain["history.validation_loss"].map(lambda losses: losses[-1] - min(losses)).groupby(plain["model"]).mean()
    last = []
    for called, rows in (("pictures", pick(SCRATCH, pictures=True)), ("neither", plain)):
        ends = rows["history.loss"].map(lambda losses: losses[-1]).groupby(rows["model"]).mean()
        last.append(f"{called} augmented CNN7 {ends['cnn7']:.2f}, CNN9 {ends['cnn9']:.2f}")
    rise = f"CNN7 {risen['cnn7']:.2f}, CNN9 {risen['cnn9']:.2f}"
    return (
        [f"without augmentation, rise of the validation loss from its minimum (nats): {rise}"],
        [f"last training loss (nats): {'; '.join(last)}"],
    )


def beside():
    """What stands beside each claim, by claim."""
    value, _ = recorded("09_spectrogram_transformers-study-synth10")
    leaks = []
    for dataset, title in (("esc10", "ESC-10"), ("esc50", "ESC-50")):
        of_set, _ = recorded(f"04_folds_and_leakage-study-{dataset}")
        leaks.append(f"{of_set['accuracy_E_SVM'] - of_set['accuracy_A_SVM']:+.1f} points on {title}")
    constant = {score: f"every class in every scene, from start to end: {f1}" for score, f1 in constant_f1().items()}
    inputs = {name: f"{name} {level_of_scenes('tagging', name)} on our scenes" for name in ("auditory", "visual")}
    moved = ", ".join(f"{1000 * offset:+.0f} ms at {hop_ms} ms" for hop_ms, offset in OFFSET_S.items())
    undone = ", ".join(f"{hop_ms} over 320 ms {gap}" for hop_ms, gap in offsets_undone().items())
    both_recognise = "events that both recognise,"
    over_auditory = points(localised(("spectral+auditory", 320), ("auditory", 320)))
    over_spectral = points(localised(("auditory", 80), ("spectral", 320)))
    augmented, tuned = beside_lite0()
    risen, last = beside_losses()
    rule, merged = "25 % of the frames", "DiffRes, half the frames, no worse than 10 ms"
    return {
        "A1": beside_hops(),
        "A2": [
            beside_best("uniform:0.75", f"equal widths, {rule}"),
            beside_best("energy:0.75", f"widths by energy, {rule}"),
            beside_best("flux:0.75", f"widths by flux, {rule}"),
            *beside_reduced("ESC-10, 800 steps", "DiffRes better than widths by energy"),
            *beside_reduced("ESC-10, 240 steps", "DiffRes better than equal widths"),
        ],
        "A3": [
            beside_best("none", "all frames of 2.5 ms"),
            *beside_reduced("ESC-10, 800 steps", "equal widths, half the frames, no worse than 10 ms"),
            *beside_reduced("ESC-10, 240 steps", merged),
        ],
        "A4": [
            *beside_reduced("timing probe", "equal widths from 2.5 ms better than all frames of 10 ms"),
            *beside_reduced("ESC-10, 800 steps", "all frames of 5 ms better than all frames of 10 ms",
                            "DiffRes from 5 ms better than equal widths from 5 ms"),
        ],
        "B2": beside_transformers(),
        "B4": [  # 5.6 is counted on a network that no published run has
            f"with the depths of MViTv2-B 5.6 times the MACs, {value['own_parameters_fewer_1024']:.1f} % fewer "
            "parameters at 10 s", beside_cost(),
        ],
        "B5": ["accuracy of the same networks on their test fold: "
               f"AST {value['probe_accuracy_AST_long']:.0f} %, MAST {value['probe_accuracy_MAST_long']:.0f} %"],
        "C2": [inputs["auditory"]],
        "C3": [constant["tagging"], inputs["visual"]],
        "C4": [constant["tagging"], inputs["visual"]],
        "C5a": beside_scenes("tagging", "all three better than auditory"),
        "C5b": [constant["tagging"]],
        "C6": [*beside_scenes("segment", "spectral+auditory better than spectral"), constant["segment"]],
        "C7a": beside_scenes("event", "all three better than spectral"),
        "C7b": beside_scenes("event", "auditory better than spectral"),
        "C7c": [f"{both_recognise} spectral+auditory over auditory: {over_auditory}"],
        "C8": [
            f"{both_recognise} auditory every 80 ms over spectral: {over_spectral}",
            f"event F1, corrected for the offset of the nearest frame ({moved}): {undone}",
            *beside_scenes("event", "pictures that change at the onset better than usual ones, visual",
                           "frames of 40 ms, alignment average better than nearest"),
        ],
        "C9": [text for score in SCORES for text in beside_scenes(score, "unlabelled scenes better than none")],
        "D1": augmented,
        "D2": [f"making copies before a random split adds {' and '.join(leaks)} to the accuracy of an SVM on 26 "
               "numbers (notebook 04)"],
        "D4b": risen,
        "D4c": last,
        "D5a": tuned,
    }  # fmt: skip


def test_every_control_beside_a_claim_follows_from_the_rows():
    found = re.findall(r"^- \*\*(\w+)\*\*, .* For comparison: (.*)\.$", block("claims"), flags=re.MULTILINE)
    assert dict(found) == {claim: "; ".join(texts) for claim, texts in beside().items()}
    constant = ", ".join(f"{f1} in {SCORES[score]}" for score, f1 in constant_f1().items())
    assert f"*every class, active all the time*: {constant}.\n" in block("claims")


# --- all blocks --------------------------------------------------------------------------------------------------

BLOCKS = {function.__name__: function for function in
          (hop, classes, diffres, larger, sparse, disturbance, beginnings, systems, scenes, folds, leak)}  # fmt: skip


def tables_in(text):
    """The tables of a text, each a list of lines without the line below its head."""
    paragraphs = [each.splitlines() for each in text.split("\n\n") if each.strip().startswith("|")]
    return [[each for each in lines if each and not each.startswith("|---")] for lines in paragraphs]


@pytest.mark.parametrize("name", BLOCKS)
def test_every_number_of_a_block_follows_from_the_rows(name):
    text = block(name)
    tables, texts, *constants = BLOCKS[name]()
    printed = tables_in(text)
    if name == "systems":  # where several cost the same, any of them may come first
        tables, printed = ([sorted(table) for table in each] for each in (tables, printed))
    assert printed == tables
    assert_all("\n".join(each for each in [*text.splitlines(), ""] if not each.startswith("|")), texts, *constants)


def test_every_generated_block_is_computed_again():
    """A finding is compared number by number in test_results.py, the tables here, claims and verdicts in both."""
    on_page = re.findall(r"<!-- ([\w-]+) -->", PAGE)
    source = Path(__file__).with_name("test_results.py").read_text(encoding="utf-8")
    tests = [each for each in source.split("\ndef ") if "assert_all(" in each]
    findings = [name for name in on_page if any(f'block("{name}")' in each for each in tests)]
    assert sorted(on_page) == sorted([*BLOCKS, *findings, "claims", "verdicts"])
