"""study/RESULTS.md once more: its findings and verdicts computed from the rows with pandas and scipy, and nothing else.

Nothing here uses the code that prints the page. Rules: study/protocol.md, *The published rows judged again*.
"""

import json
import math
import re

import pandas as pd
import pytest
from rows_again import (
    ALL,
    BY_DESIGN,
    COVERED,
    DIFFRES,
    LARGER,
    LESSON,
    LIGHT,
    MIXED,
    PROBE,
    QUARTER,
    STUDY,
    TITLES,
    answer,
    assert_all,
    best,
    block,
    covered,
    digits,
    esc,
    holm,
    in_full,
    interval,
    localised,
    means,
    on_larger_set,
    p_of,
    pick,
    points,
    questions,
    residual_std,
    rows_of,
    scene_truth,
    scenes,
    transformer,
    words,
)
from scipy.stats import beta, fisher_exact

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
    assert_all(block("finding-hop"), found, "1", "-10", "-50", "25", "2.5", "800", gaps)  # A1, ESC-10


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


def larger_table(grid):
    """The tables of a larger set, whose numbers and answers are computed in `test_results_tables`."""
    return block("larger").split(f"**{TITLES[grid]}**")[1].split("\n**")[0]


def headline_on(grid):
    """What the headline says of the losses of DiffRes, and in brackets of its rivals, where the loss is answered."""
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
        if verdict not in ("holds", "contradicted"):
            continue
        lost = "less than two" if verdict == "holds" else f"{-100 * loss['mean']:.1f}"
        better = answer(gain, 0, p["A2"][place["A2"]])
        rivals = ["equal widths: " + said_of_a_rival(better, gain)]
        for cells in re.findall(rf"DiffRes better than widths by flux, {kept} \| (.*)", larger_table(grid)):
            word = re.search(r"\*(\w+( \w+)*)\*", cells)[1]
            over_flux = gap(light, (f"flux:{share}", 10.0))
            rivals.append("*flux*, a rule: " + said_of_a_rival(word, over_flux))
        texts.append(f"{lost} points on {LARGER[grid]} ({'; '.join(rivals)})")
    return texts


def said_of_a_rival(verdict, gain):
    """How much more than DiffRes it loses, if that is answered."""
    return {
        "holds": f"{100 * gain['mean']:.1f} more", "contradicted": f"{-100 * gain['mean']:.1f} less"
    }.get(verdict, "no difference shown")  # fmt: skip


def test_the_finding_on_the_probe():
    found = []
    for (reducer, _), rows in PROBE.groupby(["reducer", "hop"]):
        good, n = int((rows["test_accuracy"] >= 0.95).sum()), len(rows)
        low = beta.ppf(0.025, good, n - good + 1) if good else 0.0
        high = beta.ppf(0.975, good + 1, n - good) if good < n else 1.0
        mean = f"{100 * rows['test_accuracy'].mean():.1f}"
        found.append(f"{good} of {n} | {100 * low:.0f} to {100 * high:.0f} | {mean} | {100 * best(rows).mean():.1f} |")
        if reducer == QUARTER[0]:
            reached = rows["test_accuracy"] >= 0.95
            of_these, others = 100 * rows.loc[reached, "test_accuracy"], 100 * rows.loc[~reached, "test_accuracy"]
            found.append(f"{good} of {n} runs of DiffRes reach 95 %, with a mean of {of_these.mean():.1f} %")
            found.append(f"the others end between {others.min():.0f} and {others.max():.0f} %")
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
    found = [f"that reach 95 % are {later[0]}, {later[1]} and {later[2]} of the frames"]
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
                found.append((f"{kept} % of the frames, over {words_}: {points(gap)} points, *", gap, shared))
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
    assert_all(block("finding-localisation"), found, "1", "-10")


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
    hops = ", ".join(f"{data} {points(one)}" for data, one in over_40.items() if one)
    accuracy = {name: f"{100 * means(of).mean():.1f} %" for name, of in rows.items()}
    for text in (
        f"In points, 5 over 10 ms: ESC-10 {points(esc(('none', 5.0), ALL))}; 10 over 40 ms: {hops}; "
        f"10 over 20 ms: spoken digits {points(digits(ALL, ('none', 20.0)))}; "
        f"10 over 50 ms: timing probe {points(covered(10.0, 50.0))}.",
        f"Half the frames on ESC-10: {points(esc(LIGHT, ALL))} points against all frames, "
        f"{points(esc(LIGHT, ('uniform:0.5', 10.0)))} against equal widths.",
        f"{good['diffres-light']} runs of DiffRes (light scorer) and {good['diffres-contrast']} of our "
        f"variant reach 95 % accuracy; if the best of three runs of the variant is chosen by validation, {chosen} of "
        f"{len(groups)} do. Mean accuracy of all runs: {accuracy['diffres-light']} (light scorer), "
        f"{accuracy['diffres-contrast']} (variant), {accuracy['flux']} (*flux*, a rule: rises in level), "
        f"{100 * means(pick(COVERED, hop=25.0)).mean():.1f} % (hop of 25 ms), {accuracy['uniform']} (equal widths).",
        f"{half[0]:.2f} times the multiply-accumulates of all frames of 10 ms, and take {half[1]:.2f} times as long "
        f"for one clip, {half[2]:.2f} times in batches of 16. A hop of 40 ms takes {hop_40[1]:.2f} and "
        f"{hop_40[2]:.2f} times as long.",
        f"over the log-mel: {points(scenes('tagging', 'auditory', 'spectral'))} points",
        f"both recognise: {points(localised(('auditory', 320), ('spectral', 320)))} (one fold of scenes)",
    ):
        assert text in readme, text


# --- verdicts ----------------------------------------------------------------------------------------------------


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
    by_rows = {(claim, data) for claim, found in asked.items() for data, _, _ in found}
    by_rows |= {("A5", "")} if "A5" in asked else set()  # one line, until one of its data sets has rows
    wanted = {at: word for at, word in BY_DESIGN.items() if at not in by_rows}
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


def test_every_difference_behind_a_verdict_is_the_one_printed(asked):
    table = block("claims")
    for claim, found in asked.items():
        lines = [line for line in table.splitlines() if line.startswith(f"| {claim} |")]
        lines = [line for line in lines if (claim, line.split("|")[2].partition(":")[0].strip()) not in BY_DESIGN]
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
        assert f"{value['siblings_met_random']:.0f} % of the test clips have a clip of the same recording" in table
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
