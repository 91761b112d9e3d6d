"""study/RESULTS.md once more: its findings and verdicts computed from the rows with pandas and scipy, and nothing else.

Nothing here uses the code that prints the page. Rules: study/protocol.md, *The published rows judged again*.
"""

import io
import json
import math
import re

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.stats import beta, fisher_exact, t

from course_lib.paths import repo_root

STUDY = repo_root() / "study"
PAGE = (STUDY / "RESULTS.md").read_text(encoding="utf-8")
SCENES = "scenes of ESC-10"


def rows_of(grid):
    """The published rows of a grid under today's names of the fields that are used here."""
    rows = pd.read_parquet(STUDY / "results" / grid / "rows.parquet")
    rows = rows.rename(columns={"front": "reducer", "features.hop_ms": "hop", "recipe.steps": "steps",
                                "frame_reducer": "reducer", "recipe.image_augment": "pictures",
                                "recipe.picture": "pictures", "recipe.head_steps": "frozen",
                                "recipe.freeze_steps": "frozen", "features.window_ms": "window"})  # fmt: skip
    return rows[rows["status"] == "done"]


DIFFRES, LESSON, SCRATCH = rows_of("diffres"), rows_of("lesson"), rows_of("scratch")
TRANSFER, TRANSFORMERS, MIXED = rows_of("transfer"), rows_of("transformers"), rows_of("scenes")


def pick(rows, **fields):
    for name, value in fields.items():
        rows = rows[rows[name] == value]
    return rows


def interval(values, std=None, df=None):
    """Mean, ends, and p value against 0 shifted by a margin: `values` are differences of pairs."""
    values = np.asarray(values, dtype=float)
    if std is None:
        std, df = values.std(ddof=1), len(values) - 1
    error = std / math.sqrt(len(values))
    reach = t.ppf(0.975, df) * error
    mean = values.mean()
    return {"mean": mean, "low": mean - reach, "high": mean + reach, "error": error, "df": df, "n": len(values)}


def p_of(found, margin=0.0):
    return 2 * t.sf(abs(found["mean"] + margin) / found["error"], found["df"])


def means(rows, block="fold", score="test_accuracy"):
    return rows.groupby(block)[score].mean()


def residual_std(rows, by, block="fold", score="test_accuracy"):
    """Standard deviation of a difference of two conditions from a two-way table without interaction."""
    table = rows.groupby([*by, block])[score].mean().unstack(block).to_numpy()
    left = table - table.mean(axis=1)[:, None] - table.mean(axis=0)[None, :] + table.mean()
    df = (table.shape[0] - 1) * (table.shape[1] - 1)
    return math.sqrt(2 * (left**2).sum() / df), df


def points(found, digits=1):
    """A difference as the page prints it."""
    return "{:+.{d}f} ({:+.{d}f} to {:+.{d}f})".format(*(100 * found[key] for key in ("mean", "low", "high")), d=digits)


# --- differences that the claims and findings rest on ------------------------------------------------------------

ESC_800 = pick(DIFFRES, dataset="esc10", steps=800)
DIGITS, PROBE = pick(DIFFRES, dataset="fsdd"), pick(DIFFRES, dataset="timing")
COVERED = pick(rows_of("budget"), reducer="none")  # hops of the timing probe, with windows of 2.5 hops
LONG_STD = residual_std(ESC_800, ["reducer", "hop"])
DIGITS_STD = residual_std(DIGITS, ["reducer", "hop"])


def esc(first, second):
    values = means(pick(ESC_800, reducer=first[0], hop=first[1])) - means(
        pick(ESC_800, reducer=second[0], hop=second[1])
    )
    return interval(values, *LONG_STD)


def digits(first, second):
    values = means(pick(DIGITS, reducer=first[0], hop=first[1])) - means(pick(DIGITS, reducer=second[0], hop=second[1]))
    return interval(values, *DIGITS_STD)


def probe(first, second):
    values = means(pick(PROBE, reducer=first[0], hop=first[1])) - means(pick(PROBE, reducer=second[0], hop=second[1]))
    return interval(values)


def covered(first, second):
    """A hop of the timing probe over another, both with windows that leave no gap."""
    return interval(means(pick(COVERED, hop=first)) - means(pick(COVERED, hop=second)))


ALL, LIGHT, QUARTER = ("none", 10.0), ("diffres-light:0.5", 10.0), ("diffres-light:0.75", 2.5)


def scenes(score, first, second):
    """Differences of the seven inputs with five seeds each."""
    usual = MIXED[
        (MIXED["auditory_ms"] == 320) & (MIXED["align"] == "nearest") & (MIXED["fusion"] == "mid")
        & (MIXED["reducer"] == "none") & ~MIXED["scenes.flash"] & (MIXED["recipe.unlabelled"] == 6)
    ]  # fmt: skip
    usual = usual[usual.groupby("streams")["seed"].transform("size") == 5]
    column = f"test_{score}_f1"
    values = means(pick(usual, streams=first), "seed", column) - means(pick(usual, streams=second), "seed", column)
    return interval(values, *residual_std(usual, ["streams"], "seed", column))


TRUTH = pd.read_parquet(STUDY / "results" / "scenes" / "truth.parquet")


# How far features lie off their frames: the nearest frame every 80 ms, and one and a half log-mel frames of 20 ms
OFFSET_S = {40: -0.015, 80: 0.005, 160: -0.035, 320: 0.020}


def offset_s(row):
    if row["streams"] == "spectral":
        return -0.03
    return OFFSET_S[row["auditory_ms"]] if row["streams"] == "auditory" else 0.0


def event_f1(true, found):
    """Micro F1: onsets within 200 ms, offsets within 200 ms or a fifth of the length; as many matches as possible."""
    true, found = (events.reset_index(drop=True).rename_axis("at").reset_index() for events in (true, found))
    pairs = true.merge(found, on=["filename", "event_label"], suffixes=("", "_2"))
    reach = np.maximum(0.2, 0.2 * (pairs["offset"] - pairs["onset"]))
    close = (pairs["onset"] - pairs["onset_2"]).abs() <= 0.2
    close &= (pairs["offset"] - pairs["offset_2"]).abs() <= reach
    graph = csr_matrix((close[close], (pairs["at"][close], pairs["at_2"][close])), shape=(len(true), len(found)))
    hits = (maximum_bipartite_matching(graph) >= 0).sum()
    return 2 * hits / (len(true) + len(found))


def localised(first, second):
    """Event F1 of two conditions on the pairs of scene and class that both recognise, differences by seed."""
    values = []
    usual = MIXED[(MIXED["align"] == "nearest") & (MIXED["fusion"] == "mid") & (MIXED["reducer"] == "none")
                  & ~MIXED["scenes.flash"] & (MIXED["recipe.unlabelled"] == 6)]  # fmt: skip
    sides = [pick(usual, streams=streams, auditory_ms=hop) for streams, hop in (first, second)]
    for seed in sorted(set(sides[0]["seed"]) & set(sides[1]["seed"])):
        lists = []
        for side in sides:
            row = pick(side, seed=seed).iloc[0]
            events = pd.read_csv(io.StringIO(row["test_estimated"]))
            for end in ("onset", "offset"):
                events[end] = (events[end] + offset_s(row)).clip(0, 10)
            lists.append(events)
        true = scene_truth()
        names = [set(zip(e["filename"], e["event_label"], strict=True)) for e in (true, *lists)]
        both = set.intersection(*names)
        kept = [e[[pair in both for pair in zip(e["filename"], e["event_label"], strict=True)]] for e in (true, *lists)]
        values.append(event_f1(kept[0], kept[1]) - event_f1(kept[0], kept[2]))
    return interval(values)


def scene_truth():
    """The true events of the usual scenes, those whose pictures do not flash."""
    [content] = MIXED.loc[~MIXED["scenes.flash"], "content"].unique()
    return TRUTH[TRUTH["content"] == content]


def block(name):
    """A generated part of the page, without its picture."""
    text = PAGE.split(f"<!-- {name} -->\n")[1].split(f"<!-- /{name} -->")[0]
    return "\n".join(line for line in text.splitlines() if not line.startswith("!["))


def numbers(text):
    return set(re.findall(r"[+-]?\d+(?:\.\d+)?", re.sub(r"(\d),(\d{3})", r"\1\2", text)))


def assert_all(text, computed, *constants):
    """All that was computed is in `text`, and every number of `text` was computed or is one of the constants."""
    allowed = set()
    for each in computed:
        assert each in text, f"{each} is not on the page"
        allowed |= numbers(each)
    assert numbers(text) - allowed - set(constants) == set(), "a number that this test does not compute"


def words(found):
    """A difference as the page puts it into words."""
    amounts = {key: 100 * found[key] for key in ("mean", "low", "high")}
    ends = f"({amounts['low']:+.1f} to {amounts['high']:+.1f})"
    if found["low"] > 0:
        return f"higher by {amounts['mean']:.1f} points {ends}"
    if found["high"] < 0:
        return f"lower by {-amounts['mean']:.1f} points {ends}"
    return f"no difference shown, {amounts['mean']:+.1f} points {ends}"


# --- findings ----------------------------------------------------------------------------------------------------


def test_the_finding_on_hops():
    sweep = pick(LESSON, steps=240, window=25.0)
    three = sweep[sweep["hop"] > 2.5]
    short = interval(means(pick(three, hop=10.0)) - means(pick(three, hop=80.0)), *residual_std(three, ["hop"]))
    all_windows = pick(LESSON, steps=240, seed=0)
    wide = means(pick(all_windows, hop=10.0, window=25.0)) - means(pick(all_windows, hop=80.0, window=200.0))
    wide = interval(wide, *residual_std(all_windows, ["hop", "window"]))
    found = [
        f"5 ms over 10 ms: {words(esc(('none', 5.0), ALL))}", f"10 ms over 40 ms: {words(esc(ALL, ('none', 40.0)))}",
        f"10 ms over 20 ms: {words(digits(ALL, ('none', 20.0)))}",
        f"10 ms over 50 ms: {words(covered(10.0, 50.0))}",
        f"10 ms over 80 ms after 240 steps: {points(short)} points", f"with windows of 2.5 hops {points(wide)}",
    ]  # fmt: skip
    larger = [on_larger_set(grid)(ALL, ("none", 40.0)) for grid in LARGER]
    found += [f"10 ms over 40 ms: {words(one)}" for one in larger if one]
    found += [f"A word has {1000 // 40 + 1} frames of 40 ms"] if larger[0] else []
    gaps = f"{100 * (1 - 25 / 80):.0f}"  # % of the signal in no window
    assert_all(block("finding-hop"), found, "1", "-10", "-50", "25", "800", gaps)  # A1, ESC-10, ESC-50


def test_the_finding_on_widths():
    others = [("uniform:0.5", 10.0), ("random:0.5", 10.0), ("energy:0.5", 10.0), ("average:0.5", 10.0),
              ("shuffled:0.5", 10.0), ALL, ("none", 20.0)]  # fmt: skip
    found = [esc(LIGHT, other) for other in others]
    apart = sum(one["low"] > 0 or one["high"] < 0 for one in found)
    short = pick(DIFFRES, dataset="esc10", steps=240)  # of all conditions, those with three seeds and no masks
    sides = [pick(short[~short["recipe.masks"]], reducer=name, hop=10.0) for name in (LIGHT[0], "none")]
    short = short.fillna({"recipe.guide": 0.0})
    full = short[short.groupby(["reducer", "hop", "recipe.masks", "recipe.guide"])["fold"].transform("size") == 15]
    early = interval(means(sides[0]) - means(sides[1]), *residual_std(full, ["reducer", "hop"]))
    said = [
        f"{apart} of {len(found)} intervals", f"against equal widths: {words(found[0])}",
        f"shuffled among the frames: {words(found[4])}", f"all frames of 10 ms: {words(found[5])}",
        f"after 240 steps: {words(early)}.",
    ]  # fmt: skip
    for grid in LARGER:
        said += gains_and_losses(grid, TITLES[grid]) + headline_on(grid)
    assert_all(block("finding-widths"), said, "-10", "-50", "800", "0", "2", "3")


def gains_and_losses(grid, title):
    """What DiffRes gains over equal widths on a larger set, and loses against all frames, as far as there are rows."""
    gap, clauses = on_larger_set(grid), []
    shares = {"half the frames": "0.5", "a quarter of the frames": "0.75"}
    for rival, words_ in (("uniform", "equal widths"), ("none", "all frames of 10 ms")):
        each = []
        for kept, share in shares.items():
            one = gap((f"diffres-light:{share}", 10.0), (rival if rival == "none" else f"{rival}:{share}", 10.0))
            each += [f"{words(one)}, with {kept}"] if one else []
        clauses += [f"against {words_}: {'; '.join(each)}."] if each else []
    if not clauses:
        return []
    text = f"- {title}, {clauses[0]}" + "".join(f" A{clause[1:]}" for clause in clauses[1:])
    assert f"{text}\n" in block("finding-widths"), "the line goes on, or is missing"
    return [text]


def headline_on(grid):
    """What the headline says of the losses of DiffRes, and of its gains over equal widths, where both are answered."""
    gap, texts = on_larger_set(grid), []
    claims = questions()
    p = {name: holm([p_of(one, margin) if one else 1.0 for _, one, margin in claims[name]]) for name in ("A2", "A3")}
    for share, kept in (("0.5", "half the frames"), ("0.75", "a quarter of the frames")):
        light, equal = (f"diffres-light:{share}", 10.0), (f"uniform:{share}", 10.0)
        loss, gain = gap(light, ALL), gap(light, equal)
        if not loss:
            continue
        place = {name: next(k for k, each in enumerate(claims[name]) if each[1] == one) for name, one in
                 (("A2", gain), ("A3", loss))}  # fmt: skip
        verdict = answer(loss, 0.02, p["A3"][place["A3"]])
        better = answer(gain, 0, p["A2"][place["A2"]]) == "holds"
        if verdict == "contradicted":
            texts.append(f"DiffRes with {kept} loses {-100 * loss['mean']:.1f} points")
        elif verdict == "holds":
            texts.append(f"DiffRes with {kept} loses less than two points")
        if verdict in ("contradicted", "holds") and better:
            texts[-1] += f", {100 * gain['mean']:.1f} fewer than equal widths"
    return texts


def in_full(one, margin, p):
    """The verdict on a question, and why it is not certain, as the page prints it."""
    word = answer(one, margin, p)
    if word not in ("holds", "contradicted"):
        return f"*{word}*" + (f" (p {p:.2f})" if word == "not shown" and p_of(one, margin) < 0.05 else "")
    wider = math.sqrt(1 + 5 * one["shared"]) * (one["high"] - one["mean"])
    return f"*{word}*" + (r" \*" if wider > abs(one["mean"] + margin) else "")


def best(rows):
    """Of each fold the run with the highest validation accuracy, of equals the one with the lowest loss."""
    order = rows.assign(minus=-rows["validation_accuracy"]).sort_values(["fold", "minus", "validation_loss"])
    return order.drop_duplicates("fold").set_index("fold")["test_accuracy"]


def test_the_finding_on_the_probe():
    found = []
    for (reducer, _), rows in PROBE.groupby(["reducer", "hop"]):
        good, n = int((rows["test_accuracy"] >= 0.95).sum()), len(rows)
        low = beta.ppf(0.025, good, n - good + 1) if good else 0.0
        high = beta.ppf(0.975, good + 1, n - good) if good < n else 1.0
        of_these = rows.loc[rows["test_accuracy"] >= 0.95, "test_accuracy"].mean()
        of_these = "" if math.isnan(of_these) else f"{100 * of_these:.1f}"
        found.append(
            f"{good} of {n} | {100 * low:.0f} to {100 * high:.0f} | {of_these} | {100 * best(rows).mean():.1f} |"
        )
        if reducer == QUARTER[0]:
            found.append(f"{good} of {n} runs of DiffRes reach 95 %, with a mean of {of_these} %")
    chosen = best(pick(PROBE, reducer=QUARTER[0]))
    for reducer, name in (
        ("uniform:0.75", "equal widths"),
        ("flux:0.75", "widths by flux"),
        ("none", "all frames of 2.5 ms"),
    ):
        gap = interval(chosen - best(pick(PROBE, reducer=reducer, hop=2.5)))
        found.append(f"over {name}{', 25 % of the frames' if reducer != 'none' else ''}: {points(gap)}")
    found += longer_training() + counted_failures() + curve_answers()
    assert_all(
        block("finding-probe"), found, "95", "2.5", "10", "25", "5", "2400", "800", "18", "20", "-10", "-50", "3", "1"
    )


def longer_training():
    """Cells and counts of the table on the grids `failures` and `budget`."""
    folders = [STUDY / "results" / name for name in ("failures", "budget")]
    folders = [folder for folder in folders if folder.is_dir()]
    rows = pd.concat([rows_of(folder.name) for folder in folders])
    by_hop = (1 - 2.5 / rows["hop"]).round(4).astype(str).str.cat(rows["reducer"].str.partition(":")[0], sep=" ")
    kind = rows["reducer"].where(rows["reducer"] != "none", by_hop)
    found = []
    for name, alike in rows.groupby(kind):
        if re.search(r"0\.75|0\.9", name):
            good = int((alike["test_accuracy"] >= 0.95).sum())
            found.append(f"{100 * means(alike).mean():.1f} ({good} of {len(alike)})")
    missing = sum(
        len(json.loads((folder / "provenance.json").read_text(encoding="utf-8")).get("missing", []))
        for folder in folders
    )
    state = f"{len(rows)} rows are published and {missing} are still" if missing else f"All {len(rows)} planned rows"
    return [*found, state]


def counted_failures():
    """Successes of both forms among the runs with seeds 0 to 3, with and without the seed of the pilots."""
    rows = pd.concat([rows_of("failures"), rows_of("budget")])
    rows = rows.assign(good=rows["test_accuracy"] >= 0.95)
    kinds = ("diffres-contrast", "diffres-light")
    later = []
    for kept, saved in ((25, "0.75"), (10, "0.9"), (5, "0.95")):
        good = [pick(rows, reducer=f"{kind}:{saved}").query("0 < seed < 4")["good"] for kind in kinds]
        later.append(f"{good[0].sum()} of {len(good[0])} and {good[1].sum()} of {len(good[1])} at {kept} %")
    found = [f"seeds 1 to 3, {later[0]}, {later[1]} and {later[2]} of the frames"]
    cells, alone = [], []
    for kept, saved in ((25, "0.75"), (10, "0.9"), (5, "0.95")):
        sides = [pick(rows, reducer=f"{kind}:{saved}") for kind in kinds]
        single = [side[side["seed"] < 4] for side in sides]
        if any(len(side) < 20 for side in single):
            return found
        counts = [int(side["good"].sum()) for side in single]
        alone.append(fisher_exact([[count, 20 - count] for count in counts]).pvalue)
        texts = []
        for count, side in zip(counts, single, strict=True):
            low = beta.ppf(0.025, count, 21 - count) if count else 0.0
            high = beta.ppf(0.975, count + 1, 20 - count) if count < 20 else 1.0
            mean = f"mean {100 * side.loc[side['good'], 'test_accuracy'].mean():.1f}" if count else "none"
            texts.append(f"{count} of 20 ({100 * low:.0f} to {100 * high:.0f} %), {mean}")
        groups = [group for _, group in sides[0].groupby(["fold", sides[0]["seed"] // 3]) if len(group) == 3]
        met = sum(best(group).iloc[0] >= 0.95 for group in groups)
        cells.append((f"| {kept} % | {texts[0]} | {texts[1]} |", f"| {met} of {len(groups)} |"))
    for (before, after), p in zip(cells, holm(alone), strict=True):
        found.append(f"{before} {'< 0.001' if p < 0.001 else f'{p:.2f}'} {after}")
    return found


def curve_answers():
    """The variant against its rivals on the budget curve, once all rows that this needs are published."""
    rows = pd.concat([rows_of("failures"), rows_of("budget")])
    rows = rows[rows["seed"].isin([0, 1])]
    conditions = ["reducer", "hop", "recipe.guide"]
    full = rows[rows.groupby(conditions)["reducer"].transform("size") == 10]
    spread, found, complete = residual_std(full, conditions), [], True
    for kept, saved in ((25, "0.75"), (10, "0.9"), (5, "0.95")):
        variant = pick(rows, reducer=f"diffres-contrast:{saved}")
        for name, words_ in (
            ("uniform", "equal widths"), ("flux", "widths by flux"), ("diffres-light", "DiffRes, light scorer"),
        ):  # fmt: skip
            rival = pick(rows, reducer=f"{name}:{saved}")
            complete &= len(variant) == len(rival) == 10
            if complete:
                gap = interval(means(variant) - means(rival), *spread)
                shared = variant["n_test"].median() / variant["n_train"].min()
                found.append((f"{kept} % of the frames, over {words_}: {words(gap)}; *", gap, shared))
    if not complete:
        return []
    texts = []
    for (text, gap, shared), p in zip(found, holm([p_of(gap) for _, gap, _ in found]), strict=True):
        if p < 0.05:
            wider = math.sqrt(1 + 5 * shared) * (gap["high"] - gap["mean"])
            verdict = "holds*" if gap["mean"] > 0 else "contradicted*"
            texts.append(text + verdict + (r" \*" if wider > abs(gap["mean"]) else ""))
        else:
            texts.append(f"{text}not shown*" + (f" (p {p:.2f})" if p_of(gap) < 0.05 else ""))
    assert all(f"{text}\n" in block("finding-probe") for text in texts), "an answer goes on, or is missing"
    return texts


def needed(reducer, hop):
    """Multiply-accumulates, time for one clip and time in batches of 16 over all frames of 10 ms, on one thread."""
    timed = pd.DataFrame(json.loads((STUDY.parent / "bench/results/frontier.json").read_text(encoding="utf-8"))["rows"])
    timed = timed[(timed["threads"] == 1) & (timed["model"] == "cnn7")]
    found = []
    for batch in (1, 16):
        of_batch = timed[timed["batch"] == batch]
        total = []
        for name, hop_ms in ((reducer, hop), ("none", 10.0)):
            of_hop = of_batch[of_batch["hop_ms"] == hop_ms]
            [network] = of_hop.loc[of_hop["frame_reducer"] == name, "network_ms"]
            total.append(network + of_hop["features_ms"].min())
        found.append(total[0] / total[1])
    macs = of_batch.set_index(["frame_reducer", "hop_ms"])["macs"]
    return macs[reducer, hop] / macs["none", 10.0], *found


def test_the_finding_on_time():
    half, equal, hop_40 = needed(*LIGHT), needed("uniform:0.5", 10.0), needed("none", 40.0)
    found = [
        f"{half[0]:.2f} times the multiply-accumulates of all frames of 10 ms, {half[1]:.2f} times the time for one "
        f"clip, {half[2]:.2f} times in batches of 16 clips",
        f"Equal widths with half the frames: {equal[0]:.2f}, {equal[1]:.2f} and {equal[2]:.2f}.",
        f"A plain hop of 40 ms: {hop_40[0]:.2f}, {hop_40[1]:.2f} and {hop_40[2]:.2f}.",
    ]
    on_gpu = pick(DIFFRES, dataset="esc10", device="cuda")
    full, merged = (pick(on_gpu, reducer=name, hop=10.0)["latency_ms"].median() for name in ("none", LIGHT[0]))
    found.append(f"takes {full:.1f} ms with all frames and {merged:.1f} ms with DiffRes")
    timed = json.loads((STUDY.parent / "bench/results/frontier.json").read_text(encoding="utf-8"))
    day = timed["provenance"]["date"][:10]
    assert f", {day})" in block("finding-time")
    text = block("finding-time").replace(day, "")
    assert_all(text, found, "10", "40", "16", "-10", "800", "100", "80", "3")


def test_the_finding_on_localisation():
    spectral, auditory, everything = ("spectral", 320), ("auditory", 320), ("spectral+auditory+visual", 320)
    found = [
        f"auditory features every 320 ms, {words(scenes('tagging', 'auditory', 'spectral'))}",
        f"all three inputs, {words(scenes('tagging', everything[0], 'spectral'))}",
        f"auditory features every 320 ms, {words(localised(auditory, spectral))}",
        f"all three inputs, {words(localised(everything, spectral))}",
    ]
    usual = MIXED[(MIXED["align"] == "nearest") & (MIXED["fusion"] == "mid") & (MIXED["reducer"] == "none")
                  & ~MIXED["scenes.flash"] & (MIXED["recipe.unlabelled"] == 6)]  # fmt: skip
    for hop in (40, 80, 160, 320):
        level = pick(usual, streams="auditory", auditory_ms=hop)["test_tagging_f1"].mean()
        found += [f"{100 * level:.1f} at {hop} ms", f"{points(localised(('auditory', hop), spectral))} at {hop} ms"]
    found.append(f"{100 * pick(usual, streams='spectral')['test_tagging_f1'].mean():.1f} from the log-mel")
    true = scene_truth()
    tags, classes = len(true.drop_duplicates(["filename", "event_label"])), true["event_label"].nunique()
    found.append(f"{200 * tags / (tags + 300 * classes):.1f} from the constant answer")
    assert_all(block("finding-localisation"), found, "1")


def test_the_numbers_of_the_readme():
    readme = " ".join((STUDY.parent / "README.md").read_text(encoding="utf-8").split())
    longer = pd.concat([rows_of("failures"), rows_of("budget")])
    rows = {
        name: pick(longer, reducer=f"{name}:0.9") for name in ("diffres-light", "diffres-contrast", "uniform", "flux")
    }
    single = {name: of[of["seed"] < 4]["test_accuracy"] for name, of in rows.items()}
    good = {name: f"{int(accuracies.ge(0.95).sum())} of {len(accuracies)}" for name, accuracies in single.items()}
    variant = rows["diffres-contrast"]
    groups = [group for _, group in variant.groupby(["fold", variant["seed"] // 3]) if len(group) == 3]
    chosen = sum(best(group).iloc[0] >= 0.95 for group in groups)
    half, hop_40 = needed(*LIGHT), needed("none", 40.0)
    over_40 = {"ESC-10": esc(ALL, ("none", 40.0))}
    over_40 |= {data: on_larger_set(grid)(ALL, ("none", 40.0)) for grid, data in LARGER.items()}
    hops = ", ".join(f"{points(one)} on {data}" for data, one in over_40.items() if one)
    for text in (
        f"In points, 10 ms over 40 ms: {hops}; 10 ms over 50 ms: {points(covered(10.0, 50.0))} on the timing probe.",
        f"Half the frames on ESC-10: {points(esc(LIGHT, ALL))} points against all frames, "
        f"{points(esc(LIGHT, ('uniform:0.5', 10.0)))} against equal widths.",
        f"{good['diffres-light']} runs of DiffRes (light scorer) and {good['diffres-contrast']} of our "
        f"variant reach 95 % accuracy; if the best of three runs of the variant is chosen by validation, {chosen} of "
        f"{len(groups)} do. The mean is {100 * means(pick(COVERED, hop=25.0)).mean():.1f} % with a hop of "
        f"25 ms, {100 * means(rows['uniform']).mean():.1f} % with equal widths, and "
        f"{100 * means(rows['flux']).mean():.1f} % with widths by a rule",
        f"{half[0]:.2f} times the multiply-accumulates of all frames of 10 ms, and take {half[1]:.2f} times as long "
        f"for one clip and {half[2]:.2f} times as long in batches of 16. A plain hop of 40 ms takes {hop_40[1]:.2f} "
        f"and {hop_40[2]:.2f} times as long.",
        f"over the log-mel: {points(scenes('tagging', 'auditory', 'spectral'))} points",
        f"both recognise: {points(localised(('auditory', 320), ('spectral', 320)))} points",
    ):
        assert text in readme, text


# --- verdicts ----------------------------------------------------------------------------------------------------


def holm(p):
    """Holm's procedure, written as it is defined."""
    found, largest = [0.0] * len(p), 0.0
    for rank, k in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        largest = max(largest, min(1.0, p[k] * (len(p) - rank)))
        found[k] = largest
    return found


def last_losses(model, **fields):
    rows = pick(SCRATCH, model=model, **fields)
    return pd.Series(
        [losses[-1] for losses in rows["history.validation_loss"]], index=rows["fold"].to_numpy()
    ).sort_index()


def lite0(model, copies):
    ours = pick(TRANSFER, model="lite0", steps=400, copies=copies, pictures=False, frozen=0, hop=40.0)
    return interval(means(ours) - means(pick(SCRATCH, model=model, copies=copies, pictures=False)))


def transformer(dataset):
    rows = pick(TRANSFORMERS, dataset=dataset, hop=20.0)
    return interval(
        means(pick(rows, model="mast-tiny")) - means(pick(rows, model="ast-tiny")), *residual_std(rows, ["model"])
    )


def augmented():
    rows = pick(TRANSFER, model="lite0", steps=400, hop=40.0)
    rows = rows[rows["copies"].isin(["none", "naa"])]
    std = residual_std(rows, ["copies", "pictures", "frozen"])
    plain = pick(rows, frozen=0)
    return interval(means(pick(plain, copies="naa")) - means(pick(plain, pictures=True)), *std)


LARGER = {"words": "ten spoken words", "esc50": "ESC-50"}
TITLES = {"words": "Ten spoken words", "esc50": "ESC-50"}


def on_larger_set(grid):
    """Differences of conditions of `grid`, None while one of them lacks any of its ten runs.

    A condition is its reducer and hop, then its copies and "pictures" if augmented. The standard deviation is pooled
    over the conditions that have all runs.
    """
    path, by = STUDY / "results" / grid / "rows.parquet", ["reducer", "hop", "copies", "pictures"]
    if not path.is_file():
        return lambda first, second: None
    rows = rows_of(grid)
    rows = rows[rows.groupby(by)["fold"].transform("size") == 10]

    def gap(first, second):
        sides = [
            pick(rows, reducer=reducer, hop=hop, copies=more[0] if more else "none", pictures="pictures" in more)
            for reducer, hop, *more in (first, second)
        ]
        if not all(len(side) for side in sides):
            return None
        curves = [side["history.validation_accuracy"] for side in sides]
        rises = [np.mean([curve[-1] - curve[-1 - len(curve) // 4] for curve in of_side]) for of_side in curves]
        found = interval(means(sides[0]) - means(sides[1]), *residual_std(rows, by))
        shared = sides[0]["n_test"].median() / min(side["n_train"].min() for side in sides)
        return found | {"converged": max(rises) <= 0.02, "shared": shared}

    return gap


def questions():
    """The questions of every claim whose verdict follows from rows: data set, difference (None: not run), margin."""
    found = questions_of_the_first_study()
    for grid, data in LARGER.items():
        gap = on_larger_set(grid)
        found["A1"].append((data, gap(ALL, ("none", 40.0)), 0))
        for share in ("0.5", "0.75"):
            light = (f"diffres-light:{share}", 10.0)
            found["A2"].append((data, gap(light, (f"uniform:{share}", 10.0)), 0))
            found["A3"].append((data, gap(light, ALL), 0.02))
    esc50 = on_larger_set("esc50")
    found["D1"].append(("ESC-50", esc50(("none", 40.0, "naa"), ("none", 40.0, "none", "pictures")), 0))
    on_esc50 = esc50(LIGHT, ALL)
    if on_esc50:  # until then, A5 has a single line without a data set
        found["A5"] = [(data, on_esc50 if data == "ESC-50" else None, 0.02) for data in TASKS]
    return found


def questions_of_the_first_study():
    esc10, probe_, digits_ = "ESC-10", "timing probe", "spoken digits"
    reduced = [("diffres-light:0.25", 10.0), LIGHT, ("diffres:0.5", 10.0), ("diffres-light:0.75", 10.0)]
    plain, clips = {"copies": "none", "pictures": False}, {"copies": "naa", "pictures": False}
    every = "spectral+auditory+visual"
    return {
        "A1": [(esc10, esc(("none", 5.0), ALL), 0), (esc10, esc(ALL, ("none", 40.0)), 0),
               (digits_, digits(ALL, ("none", 20.0)), 0), (probe_, covered(10.0, 50.0), 0)],
        "A2": [(esc10, esc(LIGHT, ("uniform:0.5", 10.0)), 0), (esc10, esc(LIGHT, ("shuffled:0.5", 10.0)), 0),
               (digits_, digits(LIGHT, ("uniform:0.5", 10.0)), 0), (probe_, probe(QUARTER, ("uniform:0.75", 2.5)), 0)],
        "A3": [*((esc10, esc(one, ALL), 0.02) for one in reduced), (digits_, digits(LIGHT, ALL), 0.02),
               (probe_, probe(QUARTER, ("none", 2.5)), 0.02)],
        "A4": [(esc10, esc(("diffres-light:0.5", 5.0), ALL), 0), (esc10, esc(("diffres-light:0.75", 2.5), ALL), 0),
               (probe_, probe(QUARTER, ("none", 10.0)), 0)],
        "C2": [(SCENES, scenes("tagging", "auditory", "spectral"), 0)],
        "C5a": [(SCENES, scenes("tagging", every, "spectral"), 0)],
        "C6": [(SCENES, scenes("segment", every, "spectral"), 0)],
        "C7a": [(SCENES, scenes("tagging", every, "spectral"), 0)],
        "C7b": [(SCENES, localised(("spectral", 320), ("auditory", 320)), 0.02)],
        "C7c": [(SCENES, localised(("spectral", 320), (every, 320)), 0.02)],
        "D1": [(esc10, augmented(), 0)],
        "D4a": [(esc10, interval(means(pick(SCRATCH, model=m, **plain)) - 0.1), 0) for m in ("cnn7", "cnn9")],
        "D4b": [(esc10, interval(last_losses(m, **plain) - last_losses(m, **clips)), 0) for m in ("cnn7", "cnn9")],
        "D4c": [(esc10, interval(last_losses(m, **plain) - last_losses(m, copies="none", pictures=True)), 0)
                for m in ("cnn7", "cnn9")],
        "D5a": [(esc10, lite0(m, "none"), 0) for m in ("cnn7", "cnn9")],
        "D5b": [(esc10, lite0(m, "naa"), 0) for m in ("cnn7", "cnn9")],
    }  # fmt: skip


TASKS = ("ESC-50", "Speech Commands", "NSynth", "FSD50K")  # of A5
BY_DESIGN = {
    ("A5", ""): "not run", ("B1", ""): "met by construction", ("B2", "ESC-10"): "not shown",
    ("B2", "spoken digits"): "not shown", ("B3", ""): "not testable here", ("B4", ""): "met by construction",
    ("B5", "timing probe"): "one fold: no verdict", ("C1", ""): "not testable here",
    ("C3", SCENES): "not testable here",
    ("C4", SCENES): "not testable here", ("C5b", SCENES): "not testable here", ("C8", SCENES): "one fold: no verdict",
    ("C9", SCENES): "one fold: no verdict", ("D2", ""): "not testable here", ("D3", ""): "not testable here",
}  # fmt: skip


@pytest.fixture(scope="module")
def asked():
    return questions()


def printed():
    """The table of verdicts on the page: the verdict on every claim and data set."""
    found = {}
    for line in block("verdicts").splitlines()[2:]:
        claim, _, clauses = line.strip("| ").split(" | ")
        for word, places in re.findall(r"\*\*(.+?)\*\*(?: on ([^;]+))?", clauses):
            for place in re.split(", | and ", places):
                found[claim, place.replace(r" \*", "").removeprefix("the ")] = word
    return found


def test_every_verdict_follows_from_the_rows(asked):
    wanted = {at: word for at, word in BY_DESIGN.items() if at[0] not in asked}
    for claim, found in asked.items():
        p = holm([p_of(one, margin) if one else 1.0 for _, one, margin in found])
        answers = [
            (data, answer(one, margin, p[k]) if one else "not run") for k, (data, one, margin) in enumerate(found)
        ]
        for data in dict.fromkeys(data for data, _ in answers):
            verdicts = {word for its, word in answers if its == data}
            if len(verdicts) == 1:
                [wanted[claim, data]] = verdicts
            elif "not converged: no verdict" in verdicts:
                wanted[claim, data] = "not converged: no verdict"
            else:
                wanted[claim, data] = (
                    "contradicted" if "contradicted" in verdicts and "holds" not in verdicts else "not shown"
                )
    assert printed() == wanted


def answer(one, margin, p):
    """The verdict on a question, from its difference and its corrected p value."""
    if not one.get("converged", True):
        return "not converged: no verdict"
    if p >= 0.05:
        return "not shown"
    return "holds" if one["mean"] > -margin else "contradicted"


def test_every_difference_behind_a_verdict_is_the_one_printed(asked):
    table = block("claims")
    for claim, found in asked.items():
        lines = [line for line in table.splitlines() if line.startswith(f"| {claim} |")]
        assert len(lines) == len(found)
        for line, (data, one, _) in zip(lines, found, strict=True):
            if one is None:
                assert f"| {data}: " in line and line.endswith("|  |  | not run |")
                continue
            unit = "{:+.2f} ({:+.2f} to {:+.2f}) nats".format(one["mean"], one["low"], one["high"])
            assert f"| {data}: " in line and (unit if claim in ("D4b", "D4c") else points(one)) in line


def test_transformers_are_printed_without_a_verdict_of_their_own():
    lines = [line for line in block("claims").splitlines() if line.startswith("| B2 |")]
    assert [points(transformer(name)) in line for name, line in zip(("esc10", "fsdd"), lines, strict=True)] == [
        True,
        True,
    ]


def test_the_corrected_interval_is_wider_by_what_folds_share():
    """Nadeau and Bengio: a third as many test clips as training clips, five folds."""
    found = esc(LIGHT, ALL)
    reach = math.sqrt(1 + 5 / 3) * (found["high"] - found["mean"])
    ends = f"{100 * (found['mean'] - reach):+.1f} to {100 * (found['mean'] + reach):+.1f}"
    [line] = [line for line in block("claims").splitlines() if "ESC-10: half the frames, no worse" in line]
    assert ends in line


def test_the_tables_of_leaks():
    text = block("leak")
    for dataset, title in (("esc10", "ESC-10"), ("esc50", "ESC-50")):
        file = STUDY / "results" / f"04_folds_and_leakage-study-{dataset}.json"
        value = {name: one["value"] for name, one in json.loads(file.read_text(encoding="utf-8"))["recorded"].items()}
        table = text.split(f"**{title}**")[1].split("**")[0]
        assert f"{value['siblings_met_random']:.0f} % meet a sibling" in table
        for protocol in "ABCDE":
            cells = [
                f"{value[f'accuracy_{protocol}_{name}']:.1f} ({value[f'interval_{protocol}_{name}']})"
                for name in ("forest", "SVM", "1-NN")
            ]
            assert f"| {' | '.join(cells)} |" in table
            for name in ("forest", "SVM", "1-NN"):
                low, high = map(float, value[f"interval_{protocol}_{name}"].split(" to "))
                assert low < value[f"accuracy_{protocol}_{name}"] < high


def test_the_bar_on_esc10():
    gap, family = on_larger_set("contrast"), {}
    for kept, share in (("three quarters", "0.25"), ("half", "0.5"), ("a quarter", "0.75")):
        both = [(f"{form}:{share}", 10.0) for form in ("diffres-contrast", "diffres-light")]
        family[f"| the variant, {kept} of the frames, no worse than the light scorer | "] = gap(*both)
    family = {about.replace("half of", "half"): one for about, one in family.items()}
    p = holm([p_of(one, 0.02) if one else 1.0 for one in family.values()])
    text = block("larger").split("both forms of DiffRes**")[1]
    for (about, one), corrected in zip(family.items(), p, strict=True):
        if one is None:
            assert about not in text
        else:
            [line] = [line for line in text.splitlines() if line.startswith(about)]
            assert f"{about}{points(one)} |" in line and line.endswith(f"| {in_full(one, 0.02, corrected)} |")
