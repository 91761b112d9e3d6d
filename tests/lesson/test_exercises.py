"""Every exercise: the right answer passes, and each known slip gets its own message."""

import importlib
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import signal
from scipy.stats import beta

from course_lib.lesson import checks, exercises
from course_lib.lesson.checks import CANNOT_CHECK, NOT_ATTEMPTED, NOT_YET, PASSED, judge


def pyramid(first, strides, rounded=math.ceil):
    """Exercise 09.3."""
    found = [first]
    for a, b in strides:
        found.append((rounded(found[-1][0] / a), rounded(found[-1][1] / b)))
    return found


def of_patches(levels, score):
    """Exercise 09.5 with a score of a patch of 16 frames, one every 10."""
    return np.array([score(levels[first : first + 16]) for first in range(0, len(levels) - 15, 10)])


def given_out(scaled, n_out):
    """Exercise 07.1 from scaled scores on: capped, and what is missing given out."""
    capped = scaled / max(1, scaled.max())
    room = 1 - capped
    return capped + room * (n_out - capped.sum()) / max(room.sum(), 1e-12)


def reversed_sum(values):
    """The sum of each value and all values after it."""
    return np.cumsum(values[::-1])[::-1]


def by_scores(by_width, scores, n_out):
    """Exercise 07.5 from the gradient by the widths on."""
    share = scores / scores.sum()
    return n_out / scores.sum() * (by_width - np.sum(share * by_width))


def trial(gain, bias, accuracy=100.0, steps=400):
    """What notebook 07 finds for a start, with the widths of two clips of 400 frames and an accuracy made up."""
    z = np.random.default_rng(0).standard_normal((2, 400))
    widths = 1 / (1 + np.exp(-(gain * z + bias)))
    widths *= 40 / widths.sum(1, keepdims=True)
    return {"gain": gain, "bias": bias, "steps": steps, "start_widths": widths, "accuracy": accuracy}


def paired_interval(first, second, sources, n_draws, rng, level=0.95, shared=True, by_clip=False):
    """Exercise 04.5, with counts per source; also its mistakes: a draw for each classifier, and clips as units."""
    _, unit = np.unique(np.arange(len(sources)) if by_clip else sources, return_inverse=True)
    n_units = unit.max() + 1
    clips, hits = np.bincount(unit), [np.bincount(unit, x) for x in (first, second)]
    counts = [rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=n_draws) for _ in hits]
    if shared:
        counts[1] = counts[0]
    a, b = (c @ h / (c @ clips) for c, h in zip(counts, hits, strict=True))
    return tuple(np.quantile(a - b, [(1 - level) / 2, (1 + level) / 2]))


def runs(active, frame_s):
    """Exercise 11.1."""
    edges = np.diff(np.r_[0, np.asarray(active, dtype=int), 0])
    ends = zip(np.flatnonzero(edges == 1), np.flatnonzero(edges == -1), strict=True)
    return [(a * frame_s, b * frame_s) for a, b in ends]


def segment_f1(reference, estimated, segment_s):
    """Exercise 11.2."""
    both = (reference, estimated)
    ref, est = ({k for a, b in x for k in range(int(a / segment_s), math.ceil(b / segment_s))} for x in both)
    return 2 * len(ref & est) / max(len(ref) + len(est), 1)


def collar(reference, estimated):
    """Exercise 11.3."""
    onset, offset = abs(estimated[0] - reference[0]), abs(estimated[1] - reference[1])
    return max(onset, offset if offset > 0.2 * (reference[1] - reference[0]) else 0)


def shortest_best(swept):
    """Exercise 11.4."""
    return max(swept, key=lambda row: (row["validation_f1"], -row["median_ms"]))["test_f1"]


def hysteresis(p, frame_s, wait_s=0.15, hold_s=0.5):
    """Exercise 11.5."""
    on, state, high_s, low_s = False, [], 0.0, 0.0
    for level in p:
        high_s = high_s + frame_s if level > 0.5 else 0.0
        low_s = low_s + frame_s if level < 0.35 else 0.0
        on = (on or high_s > wait_s) and low_s <= hold_s
        state.append(on)
    return np.array(state)


def success_limits(successes, runs, tail=0.025):
    """Exercise 08.4."""
    low = beta.ppf(tail, successes, runs - successes + 1) if successes else 0.0
    return low, beta.ppf(1 - tail, successes + 1, runs - successes) if successes < runs else 1.0


def purse(flux, share, wanted=1.0, usual=0.5):
    """Exercise 08.5: saves half of what it earns, and spends it in the dozen frames after a sudden rise."""
    widths, saved, watched = np.zeros(len(flux)), 0.0, 0
    for j, rise in enumerate(flux):
        saved += share
        watched = 12 if rise > 1 else watched - 1
        widths[j] = min(wanted if watched > 0 else usual * share, saved)
        saved -= widths[j]
    return widths


def exponential_pool(y):
    """Exercise 10.5, one of many."""
    return ((5 * y).softmax(1) * y).sum(1)


def covering(n, w, h):
    """Exercise 12.1."""
    starts = list(range(0, max(n - w, 0) + 1, h))
    return starts if starts[-1] + w >= n else [*starts, n - w]


def merged_reports(reports, gap_s, *, order=True, by_label=True, longest=True, touching=True):
    """Exercise 12.2; also its mistakes: unsorted, over labels, a later offset lost, a gap of exactly `gap_s` kept."""
    found = []
    for onset, offset, label in sorted(reports) if order else reports:
        mine = [k for k, event in enumerate(found) if event[2] == label or not by_label]
        if mine:
            first, reached, name = found[mine[-1]]
            if onset < reached + gap_s or (touching and onset == reached + gap_s):
                found[mine[-1]] = (first, max(reached, offset) if longest else offset, name)
                continue
        found.append((onset, offset, label))
    return sorted(found, key=lambda event: (event[0], event[2])) if order else found


def answered_s(onset, needed, window, hop, compute):
    """Exercise 12.4."""
    k = 0
    while window + k * hop < onset + needed - 1e-9:
        k += 1
    return window + k * hop + compute - onset


def rung(settings=(0.5, 0.8, 0.9), within=0.5, false=5.0, cost=5.0, steps=300):
    """What notebook 12 finds for an alarm, made up."""
    return {
        "settings": settings, "within_500_ms": within, "false_per_minute": false, "cost": cost, "n_events": 130,
        "steps": steps,
    }  # fmt: skip


def fold_differences(first, second):
    """Exercise 13.1."""
    both = pd.DataFrame(first).merge(pd.DataFrame(second), on=["fold", "seed"])
    return (both["accuracy_x"] - both["accuracy_y"]).groupby(both["fold"]).mean().tolist()


ASKED = {"dataset": "esc10", "recipe.steps": 800, "features.hop_ms": 10.0, "frame_reducer": "diffres-light:0.5"}


def asked_of_rows(**changed):
    """Exercise 13.4, with some of its entries `changed`."""
    question = {"first": ASKED, "second": ASKED | {"frame_reducer": "uniform:0.5"}, "margin": 2, "expected": "holds"}
    return question | changed


def verdict_of(parts, margin=lambda m: m, whole=True, some=all, mixed="not shown"):
    """Exercise 13.2."""
    run = [p for p in parts if p]
    above, below = [low > -margin(m) for low, _, m in run], [high < -margin(m) for _, high, m in run]
    if not run:
        return "not run"
    if some(above) and (len(run) == len(parts) or not whole):
        return "holds"
    return ("contradicted" if not any(above) else mixed) if any(below) else "not shown"


def pooled(x, k):
    """Means of groups of `k` rows."""
    return x[: len(x) // k * k].reshape(-1, k, x.shape[1]).mean(axis=1)


def groups(x, k):
    """Groups of `k` rows, the last one shorter."""
    return [x[start : start + k] for start in range(0, len(x), k)]


def own_channels(levels):
    """Level, what stands out of the mean over time, and the change over mel bands, `(clips, 3, frames, mels)`."""
    import torch

    bands = torch.gradient(levels, dim=2)[0]
    return torch.stack([levels, levels - levels.mean(1, keepdim=True), bands], 1)


RIGHT = {
    "00.1": 160,
    "00.2": lambda energy: 100 * np.sort(energy)[::-1][: len(energy) // 10].sum() / energy.sum(),
    "00.3": lambda hop_ms, cost, budget: hop_ms * cost / budget,
    "01.1": lambda n, w, h, c: 0 if n + c * 2 * (w // 2) < w else 1 + (n + c * 2 * (w // 2) - w) // h,
    "01.2": lambda w: len(w) * np.sum(w**2) / np.sum(w) ** 2,
    "01.3": lambda tone_distance_hz: 1000 / tone_distance_hz,
    "01.4": lambda f, h: min(f % (1000 / h), 1000 / h - f % (1000 / h)),
    "01.5": lambda modulation_hz: 3000 / modulation_hz,
    "02.1": lambda power, bank: power @ bank,
    "02.2": lambda power, floor: 10 * np.log10(np.maximum(power, floor)),
    "02.3": lambda n, s, h, m: n * (1 + int(s * 16_000) // int(h * 16)) * m * 4 / 1e6,
    "02.4": lambda: (110, 1.6),
    "02.5": lambda db, k: 10 * np.log10(pooled(10 ** (db / 10), k)),
    "03.1": lambda n, rate: round(n / rate),
    "03.2": lambda a, b: 1200 * np.log2(b / a),
    "03.3": lambda: (512, 27),
    "03.4": lambda x, n: np.where((np.arange(6) >= n) & (np.arange(6) < 6 + n), np.roll(x, n), 0),
    "03.5": lambda x, noise, snr: np.sqrt(np.mean(x**2) / np.mean(noise**2)) / 10 ** (snr / 20),
    "04.1": lambda t: sorted(t.groupby("source").filter(lambda rows: rows["fold"].nunique() > 1)["source"].unique()),
    "04.2": lambda t, k: pd.factorize(t["source"])[0] % k + 1,
    "04.3": lambda v, k: 1 - k ** (1.0 - v),
    "04.4": lambda n, h, w: math.ceil(n * (h / w) ** 2),
    "04.5": paired_interval,
    "05.1": lambda f, m, i, o: 9 * f * m * i * o,
    "05.2": lambda field, window, hop: window + (field - 1) * hop,
    "05.3": lambda looks: max(looks, key=lambda k: (k["validation_accuracy"], -k["validation_loss"]))["step"],
    "05.4": lambda macs, acc: [
        i
        for i, (m, a) in enumerate(zip(macs, acc, strict=True))
        if not any(n <= m and b >= a and (n, b) != (m, a) for n, b in zip(macs, acc, strict=True))
    ],
    "05.5": lambda: {10.0: 100.0, 20.0: 95.0, 28.0: 70.0, 40.0: 57.5},
    "06.1": lambda filters: np.einsum("ncij->nij", filters),
    "06.2": lambda rate, factor, n: rate * factor ** np.arange(n - 1, -1, -1),
    "06.3": lambda share, momentum: next(n for n in range(1000) if (1 - momentum) ** n <= share),
    "06.4": lambda t, v, k: (
        ~t["fold"].isin([v, k]),
        (t["transform"] == "original") & (t["fold"] == v),
        (t["transform"] == "original") & (t["fold"] == k),
    ),
    "06.5": lambda levels: own_channels(levels),
    "07.1": lambda s, n: given_out(s * n / s.sum(), n),
    "07.2": lambda a, b: (math.ceil(b) - 1, b - max(a, math.ceil(b) - 1), max(a, math.ceil(b) - 1) - a),
    "07.3": lambda a, b, w: 10 * np.log10(w * 10 ** (a / 10) + (1 - w) * 10 ** (b / 10)),
    "07.4": lambda n, r, s, c: (round(n * (1 - r)), n * s + round(n * (1 - r)) * c),
    "07.5": lambda e, p, n: by_scores(reversed_sum(e), p, n),
    "07.6": trial(1.1, -2.2),
    "08.1": lambda r, s, c: r - s / c,
    "08.2": lambda fine, coarse: 1 - fine / coarse,
    "08.3": lambda low, high, margin: "holds" if low > -margin else "contradicted" if high < -margin else "not shown",
    "08.4": success_limits,
    "08.5": purse,
    "09.1": lambda t, f, p, s: ((t - p) // s + 1) * ((f - p) // s + 1),
    "09.2": lambda t, d: t / (6 * d + t),
    "09.3": pyramid,
    "09.4": lambda hop_ms, strides: hop_ms * math.prod(strides),
    "09.5": lambda levels: of_patches(levels, lambda patch: patch.mean(1).std()),
    "10.1": lambda times_s, at_s: np.abs(at_s[:, None] - times_s).argmin(1),
    "10.2": lambda y: (y**2).sum(0) / y.sum(0),
    "10.3": lambda t, s, k, a: min(1 - 1 / (k + 1), a) * t + (1 - min(1 - 1 / (k + 1), a)) * s,
    "10.4": lambda n_ref, n_sys, right: 2 * right.sum() / (n_ref.sum() + n_sys.sum()),
    "10.5": exponential_pool,
    "11.1": runs,
    "11.2": segment_f1,
    "11.3": collar,
    "11.4": shortest_best,
    "11.5": hysteresis,
    "12.1": covering,
    "12.2": merged_reports,
    "12.3": lambda stamp_s, hop_ms, rate_hz: (
        stamp_s / hop_ms * 1000 * math.floor(hop_ms * rate_hz / 1000 + 0.5) / rate_hz
    ),
    "12.4": answered_s,
    "12.5": rung(),
    "13.1": fold_differences,
    "13.2": verdict_of,
    "13.3": lambda sd, effect: math.ceil((2.8 * sd / effect) ** 2),
    "13.4": lambda: asked_of_rows(),
}

SLIPS = [  # beside those that an exercise gives to `expect_function` and `expect_number` as functions and values
    ("00.1", 159, "too small"),
    ("00.1", "160", "expected one number in samples, got str"),
    ("00.1", True, "got bool"),
    ("00.2", lambda e: 100 * np.sort(e)[-round(len(e) / 9) :].sum() / e.sum(), "expected"),
    ("00.3", 40.0, "expected a function, got float"),
    ("01.1", lambda n, w, h: 1, "raised TypeError"),
    ("01.1", lambda n, w, h, c: [1], "expected one number in frames, got list"),
    ("01.1", lambda n, w, h, c: 7, "it gives 7, expected 101 frames"),
    ("01.2", lambda w: np.sum(w**2) / np.sum(w) ** 2, "multiply by the length"),
    ("01.2", lambda w: len(w) * np.sum(w) ** 2 / np.sum(w**2), "bins"),
    ("01.2", lambda w: np.mean(w), "expected"),
    ("01.2", lambda w: w, "expected one number, got ndarray"),
    ("02.1", lambda power, bank: (power @ bank).T, "the axes are swapped"),
    ("02.1", lambda power, bank: np.sqrt(power) @ bank, "do not take the root"),
    ("02.1", lambda power, bank: power * bank, "raised ValueError"),
    ("02.1", lambda power, bank: power @ bank + 1, "right shape, but at"),
    ("02.2", lambda power, floor: 20 * np.log10(np.maximum(power, floor)), "not 20"),
    ("02.2", lambda power, floor: 10 * np.log10(power), "minus infinity"),
    ("02.2", lambda power, floor: np.log(np.maximum(power, floor)), "natural logarithm"),
    ("02.2", lambda power, floor: np.log10(np.maximum(power, floor)), "bels"),
    ("02.2", lambda power, floor: 10 * np.log10(power + floor), "np.maximum"),
    ("02.4", lambda: 110, "return two numbers"),
    ("02.4", lambda: (30, 10.7), "between 45 and 150"),
    ("02.4", lambda: (80, 1.8), "on the slider"),
    ("02.4", lambda: (110, 10.7), "the limit is half of that"),
    ("02.4", lambda: (94, 0), "all but stand still"),
    ("02.4", lambda: (110, 4), "the picture shows 1.6"),
    ("02.5", pooled, "the mean of the decibels"),
    ("02.5", lambda db, k: db[::k][: len(db) // k], "skips frames"),
    ("02.5", lambda db, k: 10 * np.log10(k * pooled(10 ** (db / 10), k)), "that is a sum"),
    ("02.5", lambda db, k: pooled(10 ** (db / 10), k), "take the logarithm again"),
    (
        "02.5",
        lambda db, k: np.array([10 * np.log10(np.mean(10 ** (g / 10), axis=0)) for g in groups(db, k)]),
        "leave out the rest",
    ),
    ("03.3", lambda: 512, "return two numbers"),
    ("03.3", lambda: (500, 27), "a power of two"),
    ("03.3", lambda: (256, 13), "more than two tones"),
    ("03.3", lambda: (2048, 105), "a shorter window"),
    ("03.3", lambda: (512, 100), "the window is right"),
    ("03.4", np.roll, "fill with zeros instead"),
    ("03.4", lambda x, n: RIGHT["03.4"](x, -n), "positive is later"),
    ("03.4", lambda x, n: np.r_[x[-n:], np.zeros(-n)] if n < 0 else RIGHT["03.4"](x, n), "shift by -9"),
    ("03.4", lambda x, n: x[n:], "expected shape (6,), got (4,)"),
    ("03.5", lambda x, noise, snr: RIGHT["03.5"](x, noise, snr) ** 2, "square root"),
    ("03.5", lambda x, noise, snr: RIGHT["03.5"](x, noise, -snr), "sign of the dB is reversed"),
    ("03.5", lambda x, noise, snr: np.std(x) / np.std(noise) / 10 ** (snr / 20), "which subtracts the mean first"),
    (
        "03.5",
        lambda x, noise, snr: np.sqrt(np.var(x) / np.var(noise) / 10 ** (snr / 10)),
        "that is the standard deviation",
    ),
    ("03.5", lambda x, noise, snr: np.std(x) * 10 ** (-snr / 20), "it gives"),
    ("03.5", lambda x, noise, snr: noise, "return only the factor"),
    ("04.1", lambda t: sorted(t["source"].unique()), "several *folds*"),
    ("04.1", lambda t: RIGHT["04.1"](t)[::-1], "not sorted"),
    ("04.1", lambda t: ["s2"], "missing: s5"),
    ("04.1", lambda t: sorted(t.loc[t["source"].isin(RIGHT["04.1"](t)), "source"]), "each name once"),
    ("04.1", lambda t: set(RIGHT["04.1"](t)), "expected a list of names, got set"),
    ("04.1", lambda t: np.array(["s2", "s5"]), "still finds something"),
    ("04.1", lambda t: 2, "expected a list of names"),
    ("04.2", lambda t, k: np.arange(len(t)) % k + 1, "lies in two folds"),
    ("04.2", lambda t, k: pd.factorize(t["source"])[0] % k, "expected 1 to"),
    ("04.2", lambda t, k: np.ones(3), "expected one fold per row"),
    ("04.4", lambda n, h, w: 10 * n, "of 4 differ"),
    ("04.5", lambda a, b, s, n, rng: 0.2, "expected two numbers"),
    ("04.5", lambda a, b, s, n, rng: (math.nan, 0.2), "not a number"),
    ("04.5", lambda *given: paired_interval(*given, by_clip=True), "you have resampled clips"),
    ("04.5", lambda *given: paired_interval(*given, shared=False), "on the *same* draw"),
    ("04.5", lambda *given: paired_interval(*given)[::-1], "the lower limit comes first"),
    ("04.5", lambda a, b, *rest: paired_interval(b, a, *rest), "second minus first"),
    ("04.5", lambda *given: tuple(100 * limit for limit in paired_interval(*given)), "in per cent"),
    ("04.5", lambda *given: paired_interval(*given, level=0.1), "far too narrow"),
    ("04.5", lambda *given: tuple(limit + 0.04 for limit in paired_interval(*given)), "expected about"),
    ("04.5", lambda a, b, *rest: paired_interval(np.maximum(a, b), np.minimum(a, b), *rest), "change its sign"),
    ("05.3", lambda looks: max(looks, key=lambda k: k["validation_accuracy"])["step"], "among these take"),
    ("05.3", lambda looks: max(looks, key=lambda k: (k["validation_accuracy"], -k["loss"]))["step"], "not on training"),
    (
        "05.3",
        lambda looks: max(looks, key=lambda k: (k["validation_accuracy"], k["step"]))["step"],
        "not the last evaluation",
    ),
    (
        "05.3",
        lambda looks: max(looks, key=lambda k: (k["validation_accuracy"], -k["step"]))["step"],
        "not the first evaluation",
    ),
    ("05.3", lambda looks: min(looks, key=lambda k: k["validation_loss"])["step"], "that is the last evaluation"),
    ("05.3", lambda looks: min(looks, key=lambda k: k["validation_accuracy"])["step"], "take the highest"),
    ("05.3", lambda looks: RIGHT["05.3"](looks) - 20, "step 20 is not the most accurate"),
    ("05.3", lambda looks: looks[3], "the whole evaluation"),
    ("05.3", lambda looks: 3, "there was no evaluation at step 3"),
    ("05.3", lambda looks: "40", "expected a number of steps"),
    ("05.4", lambda macs, acc: [0, 5], "these are the most accurate"),
    ("05.4", lambda macs, acc: [0, 1, 3, 5, 6], "system 5 dominates system 0"),
    ("05.4", lambda macs, acc: [1, 3, 5], "neither dominates the other"),
    ("05.4", lambda macs, acc: [1, 3, 4, 5, 6], "too many: [4]"),
    ("05.4", lambda macs, acc: RIGHT["05.4"](macs, acc)[::-1], "not sorted"),
    ("05.4", lambda macs, acc: [1, 3, 5, 6], "a single system"),
    ("05.4", lambda macs, acc: 5, "expected a list of positions"),
    ("05.5", lambda: {10.0: 100, 20.0: 95}, "you tried 2 hops"),
    ("05.5", lambda: {5.0: 100, 10.0: 100, 14.0: 98, 20.0: 95}, "try longer ones"),
    ("05.5", lambda: {30.0: 70, 40.0: 57, 50.0: 60, 60.0: 50}, "try shorter ones"),
    ("05.5", lambda: {5.0: 100, 8.0: 100, 10.0: 100, 40.0: 57}, "try hops in between"),
    ("05.5", lambda: {5.0: 50, 8.0: 52, 20.0: 95, 40.0: 99}, "the right way round"),
    ("05.5", lambda: {5.0: 1.0, 10.0: 1.0, 20.0: 0.95, 28.0: 0.7}, "these are fractions"),
    ("05.5", lambda: {5.0: 100, 10.0: 130, 20.0: 95, 28.0: 70}, "not between 0 and 100"),
    ("05.5", lambda: {5.0: "high", 10.0: 100, 20.0: 95, 28.0: 70}, "not a number"),
    ("05.5", lambda: [100, 95, 70, 50], "got list"),
    ("06.1", lambda filters: filters.mean(axis=1), "that is the mean"),
    ("06.1", lambda filters: filters[:, 0], "the first channel alone"),
    ("06.1", lambda filters: filters.sum(axis=0), "sums over the filters"),
    ("06.1", lambda filters: filters.sum(axis=2), "sums over the height"),
    ("06.1", lambda filters: np.abs(filters).sum(axis=1), "keep the signs"),
    ("06.1", lambda filters: filters.sum(axis=1, keepdims=True), "drop the axis"),
    ("06.1", lambda filters: filters.sum(), "expected shape (4, 5, 5), got ()"),
    ("06.1", lambda filters: filters.mean(dim=1), "that is the mean"),
    ("06.1", lambda filters: filters.sum(axis=7), "called with (array(4, 3, 5, 5)) it raised AxisError"),
    ("06.1", lambda filters: filters.max(axis=1), "right shape, but at"),
    ("06.5", lambda levels: levels.numpy(), "expected a torch tensor, got ndarray"),
    ("06.5", lambda levels: levels, "expected shape (3, 3, 70, 66), got (3, 70, 66)"),
    ("06.5", lambda levels: levels[:, None].expand(-1, 3, -1, -1), "channels 0 and 1 are the same picture"),
    ("06.5", lambda levels: own_channels(levels) / 0, "expected finite floats"),
    ("06.5", lambda levels: own_channels(levels - levels.mean(0)), "compute them from each clip by itself"),
    ("06.5", lambda levels: own_channels(levels) + levels.mean((1, 2))[:, None, None, None], "at least one should not"),
    ("06.2", lambda rate, factor, n: RIGHT["06.2"](rate, factor, n)[::-1], "reversed"),
    ("06.2", lambda rate, factor, n: factor * RIGHT["06.2"](rate, factor, n), "start with the power 0"),
    ("06.2", lambda rate, factor, n: [rate * factor] * (n - 1) + [rate], "powers"),
    ("06.2", lambda rate, factor, n: [rate] * n, "right shape, but at"),
    ("06.2", lambda rate, factor, n: rate * factor, "expected a list of 4 rates, got float"),
    ("06.2", lambda rate, factor, n: RIGHT["06.2"](rate, factor, n + 1), "expected shape (4,), got (5,)"),
    ("06.4", lambda t, v, k: t["fold"] == k, "expected three masks"),
    ("06.4", lambda t, v, k: (RIGHT["06.4"](t, v, k)[0], t["fold"] == v, t["fold"] == k), "contains copies"),
    ("06.4", lambda t, v, k: (t["fold"] != k, *RIGHT["06.4"](t, v, k)[1:]), "training contains clips of"),
    (
        "06.4",
        lambda t, v, k: (RIGHT["06.4"](t, v, k)[0] | (t["transform"] == "slow"), *RIGHT["06.4"](t, v, k)[1:]),
        "copies of",
    ),
    ("06.4", lambda t, v, k: tuple(np.array(RIGHT["06.4"](t, v, k))[[0, 2, 1]]), "swapped"),
    (
        "06.4",
        lambda t, v, k: (RIGHT["06.4"](t, v, k)[0] & (t["transform"] == "original"), *RIGHT["06.4"](t, v, k)[1:]),
        "no copies",
    ),
    ("06.4", lambda t, v, k: (np.flatnonzero(m) for m in RIGHT["06.4"](t, v, k)), "expected three masks"),
    ("06.4", lambda t, v, k: [np.flatnonzero(m) for m in RIGHT["06.4"](t, v, k)], "times True or False"),
    (
        "06.4",
        lambda t, v, k: (RIGHT["06.4"](t, v, k)[0] & (t["transform"] != "fast"), *RIGHT["06.4"](t, v, k)[1:]),
        "rows, expected",
    ),
    ("07.5", lambda e, p, n: reversed_sum(e), "that is the gradient with respect to the widths"),
    ("07.5", lambda e, p, n: by_scores(np.cumsum(e), p, n), "from the last frame to the first"),
    ("07.5", lambda e, p, n: by_scores(e, p, n), "has to be summed first"),
    ("07.5", lambda e, p, n: n / p.sum() * reversed_sum(e), "depends on every score too"),
    ("07.6", (1.0,), "returns two finite numbers"),
    ("07.6", trial(0.05, -2.2), "nearly equal"),
    ("07.6", trial(8.0, -20.0), "the sigmoid is flat there"),
    ("07.6", trial(1.1, -2.2, accuracy=52.0), "guessing gives 50 %"),
    ("07.1", lambda s, n: s * n / s.sum(), "one frame is wider than 1"),
    ("07.1", lambda s, n: np.minimum(s * n / s.sum(), 1), "cut off at 1"),
    ("07.1", lambda s, n: (s * n / s.sum()) / max(1, (s * n / s.sum()).max()), "distribute what is missing"),
    ("07.1", lambda s, n: s / s.sum(), "they must sum to the output length"),
    ("07.1", lambda s, n: np.ones(2), "expected shape (6,), got (2,)"),
    ("07.2", lambda a, b: 3, "expected 3 numbers (column, own, before), got int 3"),
    ("08.3", lambda low, high, margin: RIGHT["08.3"](low, high, 0.0), "the margin is missing"),
    ("08.3", lambda low, high, margin: "holds" if low > -margin else "contradicted", "contradicts nothing"),
    ("08.3", lambda low, high, margin: "holds" if high > -margin else "contradicted", "the whole interval"),
    ("08.3", lambda low, high, margin: True, "return 'holds', 'contradicted' or 'not shown'"),
    ("08.3", lambda low, high, margin: "not shown", "expected 'holds'"),
    ("08.4", lambda k, n: success_limits(k, n, tail=0.05), "leaves 2.5 % on each"),
    ("08.4", lambda k, n: (k / n, k / n), "for 10 of 10 it gives 1.0000 to 1.0000"),
    ("08.4", lambda k, n: success_limits(k, n)[::-1], "the lower one first"),
    ("08.4", lambda k, n: k / n, "return two numbers"),
    (
        "08.4",
        lambda k, n: tuple(np.clip(k / n + np.array([-1.96, 1.96]) * np.sqrt(k / n * (1 - k / n) / n), 0, 1)),
        "normal approximation",
    ),
    ("08.5", lambda flux, share: flux, "between 0 and 1"),
    ("08.5", lambda flux, share: flux / flux.max(), "they depend on the future"),
    ("08.5", lambda flux, share: np.linspace(0, share, len(flux)), "the clip's length"),
    ("08.5", lambda flux, share: np.minimum(flux, 1), "frames are spent, but only"),
    ("08.5", lambda flux, share: np.full(len(flux), share / 4), "spend at least half"),
    ("08.5", lambda flux, share: np.full(len(flux), share), "save up, and spend it there"),
    ("08.5", lambda flux, share: purse(flux, share)[:-1], "one width per frame"),
    ("08.5", lambda flux, share: purse(flux, share) + np.nan, "not finite"),
    ("09.3", lambda first, strides: pyramid(first, strides)[1:], "the first grid is missing"),
    ("09.3", lambda first, strides: pyramid(first, strides, math.floor), "keeps the last place"),
    ("09.3", lambda first, strides: pyramid(first, [(b, a) for a, b in strides]), "rows and columns are exchanged"),
    ("09.3", lambda first, strides: [first, *(pyramid(first, [s])[1] for s in strides)], "from the grid before it"),
    ("09.3", lambda first, strides: pyramid(first, strides)[:2], "expected 4 grids, got 2"),
    ("09.3", lambda first, strides: [(1, 1)] * (len(strides) + 1), "expected [(16, 125), "),
    ("09.3", lambda first, strides: 7, "expected a list of (rows, columns), got int"),
    ("09.3", lambda first, strides: [1, 2, 3, 4], "expected pairs"),
    ("09.5", lambda levels: of_patches(levels, np.mean), "score changes of level, not the level"),
    ("09.5", lambda levels: of_patches(levels, lambda patch: (patch > -45).mean()), "the same clip, 20 dB quieter"),
    ("09.5", lambda levels: np.arange(21.0), "two bursts from frame 42 on"),
    ("09.5", lambda levels: levels.mean(1), "one score per frame"),
    ("09.5", lambda levels: of_patches(levels, np.mean)[:-1], "one score per token, shape (21,), got (20,)"),
    ("09.5", lambda levels: of_patches(levels, np.mean) + np.nan, "not finite"),
    ("09.5", lambda levels: "loud", "expected an array of numbers"),
    ("10.1", lambda t, at: t[RIGHT["10.1"](t, at)], "return their indices"),
    ("10.1", lambda t, at: RIGHT["10.1"](at, t), "an index into `at_s` for each frame"),
    ("10.1", lambda t, at: np.searchsorted(t, at).clip(0, len(t) - 1), "the one before may be nearer"),
    ("10.1", lambda t, at: (np.searchsorted(t, at, "right") - 1).clip(0), "the one after may be nearer"),
    ("10.1", lambda t, at: len(t) - 1 - RIGHT["10.1"](-t[::-1], -at), "take the earlier one"),
    ("10.1", lambda t, at: np.abs(at[:, None] - t).argmax(1), "the frame farthest away"),
    ("10.1", lambda t, at: np.abs(at[:, None] - t).min(1), "these are the smallest distances"),
    ("10.1", lambda t, at: np.abs(at[:, None] - t), "that is a matrix"),
    ("10.1", lambda t, at: RIGHT["10.1"](t, at) + 1, "right shape, but at"),
    ("10.1", lambda t, at: 3, "expected shape (20,), got ()"),
    ("10.2", lambda y: y.mean(0), "every frame has the same weight"),
    ("10.2", lambda y: y.max(0), "a single frame decides"),
    ("10.2", lambda y: (y**2).mean(0), "divide by the sum of the probabilities"),
    ("10.2", lambda y: (y**2).sum(0), "divide the sum of squares by the sum"),
    ("10.2", lambda y: y.sum(0) ** 2 / y.sum(0), "square each probability before summing"),
    ("10.2", lambda y: 1 / RIGHT["10.2"](y), "the reciprocal"),
    ("10.2", lambda y: np.sqrt((y**2).mean(0)), "take no root"),
    ("10.2", lambda y: (y * np.exp(y)).sum(0) / np.exp(y).sum(0), "exponential softmax"),
    ("10.2", lambda y: RIGHT["10.2"](y.T), "sum over the frames"),
    ("10.2", lambda y: (y**2).sum() / y.sum(), "keep the classes apart"),
    ("10.2", lambda y: RIGHT["10.2"](y) + 0.1, "right shape, but at"),
    ("10.2", lambda y: "half", "expected an array of shape (3,), got str"),
    ("10.3", lambda t, s, k, a: 0.5, "4 of 4 differ"),
    ("10.4", lambda r, s, t: 2 * t / (r + s), "one number for all classes"),
    ("10.5", lambda y: y.mean(1), "a tenth of the frames at 0.9"),
    ("10.5", lambda y: y.amax(1), "the gradient reaches a single frame"),
    ("10.5", lambda y: y.mean(2), "pool over the frames, dim=1"),
    ("10.5", lambda y: y.sum(1), "above the highest frame"),
    ("10.5", lambda y: y.square().mean(1).clamp(min=0.05), "if all frames have 0.02"),
    ("10.5", lambda y: y[:, 0], "in another order"),
    ("10.5", lambda y: y.detach().square().sum(1) / y.detach().sum(1), "cannot follow the gradient"),
    ("10.5", lambda y: y.numpy().mean(1), "expected a torch tensor, got ndarray"),
    ("10.5", lambda y: y.mean(1) * float("nan"), "not finite"),
    ("10.5", 0.5, "expected a function, got float"),
    ("11.1", lambda active, h: [(a, b - h) for a, b in runs(active, h)], "not to its beginning"),
    ("11.1", lambda active, h: [(a + h / 2, b + h / 2) for a, b in runs(active, h)], "half a frame late"),
    ("11.1", lambda active, h: [(a + h / 2, b - h / 2) for a, b in runs(active, h)], "use their outer edges"),
    ("11.1", lambda active, h: runs(active, 1), "frame numbers"),
    (
        "11.1",
        lambda active, h: [e for e in runs(active, h) if e[1] < len(active) * h - 1e-9],
        "still active in the last frame",
    ),
    ("11.1", lambda active, h: [(a, b) for a, b in runs(active, h) if b - a > 1.5 * h], "one active frame"),
    ("11.1", lambda active, h: [(a, b - a) for a, b in runs(active, h)], "onsets and lengths"),
    ("11.1", lambda active, h: [(k * h, k * h + h) for k in np.flatnonzero(active)], "neighbours belong to one event"),
    ("11.1", lambda active, h: [(0.0, 9.0)], "expected [(0.08, 0.24), (0.4, 0.48), (0.56, 0.64)]"),
    ("11.1", lambda active, h: 3, "expected a list of (onset, offset), got int"),
    ("11.1", lambda active, h: [1.0], "expected pairs"),
    ("11.4", lambda swept: max(row["test_f1"] for row in swept), "the test has chosen"),
    ("11.4", lambda swept: max(row["validation_f1"] for row in swept), "so it flatters"),
    ("11.4", lambda swept: max(swept, key=lambda row: row["validation_f1"])["test_f1"], "take the shortest"),
    ("11.4", lambda swept: min(swept, key=lambda row: row["validation_f1"])["test_f1"], "the lowest on validation"),
    ("11.4", lambda swept: float(np.mean([row["test_f1"] for row in swept])), "the score of none of them"),
    (
        "11.4",
        lambda swept: max(swept, key=lambda r: (r["validation_f1"], -r["median_ms"]))["median_ms"],
        "is the filter",
    ),
    ("11.4", lambda swept: swept[2], "a whole row"),
    ("11.4", lambda swept: "0.31", "expected one number, got str"),
    ("11.4", lambda swept: 0.5, "expected 0.31"),
    ("11.5", lambda p, h: p, "return True or False"),
    ("11.5", lambda p, h: p[1:] > 0.5, "one state per frame"),
    ("11.5", lambda p, h: p[::-1] > 0.5, "it looks ahead"),
    ("11.5", lambda p, h: p > 0.1, "never exceeds 0.2"),
    ("11.5", lambda p, h: p > 0.5, "a single frame of 0.95"),
    ("11.5", lambda p, h: hysteresis(p, h, wait_s=0.7), "on after 0.4 s"),
    ("11.5", lambda p, h: hysteresis(p, h, hold_s=9), "still on 1.5 s after"),
    ("11.5", lambda p, h: hysteresis(p, h, hold_s=0.1), "ring twice"),
    ("11.5", lambda p, h: np.zeros(len(p), dtype=bool), "not at all"),
    ("12.1", lambda n, w, h: list(range(0, n - w + 1, h)) or [0], "the last 3 samples are in no window"),
    ("12.1", lambda n, w, h: covering(n, w, h) if n >= w else [], "gets one that starts at 0"),
    ("12.1", lambda n, w, h: [*range(0, max(n - w, 0) + 1, h), n - w], "a window comes twice"),
    ("12.1", lambda n, w, h: list(range(0, n, h)), "beyond the end"),
    ("12.1", lambda n, w, h: [*covering(n, w, h)[:-1], n - w], "before the recording"),
    ("12.1", lambda n, w, h: covering(n, w, h)[1:], "the starts are [5, 10, 15, 20, ..., 90]"),
    ("12.1", lambda n, w, h: n, "expected a list of whole numbers"),
    ("12.2", lambda reports, gap: reports, "two reports that overlap are one event"),
    ("12.2", lambda reports, gap: merged_reports(reports, 0.0), "the pause is shorter than `gap_s`"),
    ("12.2", lambda reports, gap: merged_reports(reports, gap, touching=False), "a pause of exactly `gap_s`"),
    ("12.2", lambda reports, gap: merged_reports(reports, gap, by_label=False), "different labels"),
    ("12.2", lambda reports, gap: merged_reports(reports, gap, longest=False), "must not shorten it"),
    ("12.2", lambda reports, gap: merged_reports(reports, gap, order=False), "sort them first"),
    ("12.2", lambda reports, gap: merged_reports(reports, gap)[::-1], "must both stay, as they are"),
    ("12.2", lambda reports, gap: 3, "expected a list of (onset_s, offset_s, label)"),
    ("12.4", lambda o, n, w, h, c: "late", "expected one number in s, got str"),
    ("12.5", [0.5, 0.8], "a window of 0.5, 1 or 2 s"),
    ("12.5", rung(cost=10.0), "it computes 10.0 times as much"),
    ("12.5", rung(within=0.3), "30 % of the events are answered within 500 ms"),
    ("12.5", rung(false=23.0), "23.0 false alarms per minute"),
    ("13.1", lambda a, b: [0.125, 0.25, -0.25, -0.25], "so average them"),
    ("13.1", lambda a, b: [-v for v in fold_differences(a, b)], "return first minus second"),
    ("13.1", lambda a, b: [0.4375 - 0.875, 0.0, -0.25], "only over the seeds that both have"),
    ("13.1", lambda a, b: [0.0, 0.125, -0.25], "in the order of the folds"),
    ("13.1", lambda a, b: [100 * v for v in fold_differences(a, b)], "do not multiply by 100"),
    ("13.1", lambda a, b: [float(np.mean(fold_differences(a, b)))], "one number per fold"),
    ("13.1", lambda a, b: [0.125, 0.0, -0.25, 0.5], "expected [0.125, 0.0, -0.25]"),
    ("13.1", lambda a, b: {1: 0.125}, "not a dict"),
    ("13.1", lambda a, b: 0.125, "expected a list of numbers, got float"),
    ("13.1", lambda a, b: ["a"], "expected a list of numbers"),
    ("13.2", lambda parts: verdict_of(parts, margin=lambda m: -m), "the loss that is allowed"),
    ("13.2", lambda parts: verdict_of(parts, margin=lambda m: 0), "the margin is missing"),
    ("13.2", lambda parts: verdict_of(parts, whole=False), "keeps the claim from holding"),
    ("13.2", lambda parts: verdict_of(parts, some=any, whole=False), "all questions must hold"),
    ("13.2", lambda parts: verdict_of(parts, mixed="contradicted"), "nothing is shown"),
    ("13.2", lambda parts: "holds", "expected 'not shown', got 'holds'"),
    ("13.2", lambda parts: True, "expected a text such as 'holds', got bool"),
    ("13.2", lambda parts: 0.5, "expected a text"),
    ("13.4", lambda: "DiffRes against flux", "return a dict with the keys"),
    ("13.4", lambda: asked_of_rows() | {"why": "to see"}, "return a dict with the keys"),
    ("13.4", lambda: asked_of_rows(second={"frame_reducer": "flux:0.5"}), "'second' must be a dict with the keys"),
    ("13.4", lambda: asked_of_rows(second=ASKED), "they are equal"),
    ("13.4", lambda: asked_of_rows(second=ASKED | {"frame_reducer": "none", "recipe.steps": 240}), "they differ in"),
    ("13.4", lambda: asked_of_rows(second=ASKED | {"dataset": "fsdd"}), "two data sets have different folds"),
    ("13.4", lambda: asked_of_rows(margin=-2), "a number of points from 0 to 10, got -2"),
    ("13.4", lambda: asked_of_rows(margin=True), "got True"),
    ("13.4", lambda: asked_of_rows(margin="2"), "got '2'"),
    ("13.4", lambda: asked_of_rows(expected="true"), "'expected' is one of"),
    (
        "13.4",
        lambda: asked_of_rows(second=ASKED | {"frame_reducer": "flux:0.11"}),
        "no run with the settings of 'second'",
    ),
    ("13.4", lambda: asked_of_rows(first=ASKED | {"recipe.steps": 7}, second=ASKED), "settings of 'first'"),
]


def every_exercise():
    names = [m.stem for m in Path(exercises.__file__).parent.glob("nb*.py")]
    return sorted(e for name in names for e in importlib.import_module(f"course_lib.lesson.exercises.{name}").EXERCISES)


def known_slips(exercise, monkeypatch):
    """Answers that make the mistakes an exercise knows, and the sentence for each: what it hands to the checks."""
    module = importlib.import_module(f"course_lib.lesson.exercises.nb{exercise[:2]}")
    found = []
    monkeypatch.setattr(module, "expect_function", lambda *_, slips, **more: found.extend(slips.items()), raising=False)
    turned = lambda *_, slips, **more: found.extend((reason, value) for value, reason in slips.items())  # noqa: E731
    monkeypatch.setattr(module, "expect_number", turned, raising=False)
    judge(exercise, RIGHT[exercise])
    monkeypatch.undo()
    return found


def test_every_exercise_has_an_answer_here_and_slips(monkeypatch):
    assert every_exercise() == sorted(RIGHT)
    listed = {exercise for exercise, _, _ in SLIPS}
    assert all(exercise in listed or known_slips(exercise, monkeypatch) for exercise in RIGHT)


@pytest.mark.parametrize("exercise", RIGHT)
def test_no_known_slip_passes_or_gets_the_sentence_of_another(exercise, monkeypatch):
    for reason, mistaken in known_slips(exercise, monkeypatch):
        outcome = judge(exercise, mistaken)
        assert outcome.state == NOT_YET and reason in outcome.message, outcome


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_right_answer_passes_with_a_word_of_praise(exercise):
    outcome = judge(exercise, RIGHT[exercise])
    assert outcome.state == PASSED, outcome.message
    assert outcome.message


ALSO_RIGHT = {  # what a learner may well return, or take for granted of what is given
    "an array of numpy": ("04.1", lambda table: np.array(RIGHT["04.1"](table))),
    "an index of pandas": ("04.1", lambda table: pd.Index(RIGHT["04.1"](table))),
    "a tuple": ("04.1", lambda table: tuple(RIGHT["04.1"](table))),
    "channels that are all free of the gain": ("06.5", lambda levels: own_channels(levels - levels.mean((1, 2), True))),
    "filters of torch, as the notebook has them": ("06.1", lambda filters: filters.sum(dim=1)),
    "a function of numpy": ("06.1", lambda filters: np.sum(filters, axis=1)),
}


@pytest.mark.parametrize(("exercise", "answer"), ALSO_RIGHT.values(), ids=ALSO_RIGHT)
def test_another_form_of_the_right_answer_passes_too(exercise, answer):
    outcome = judge(exercise, answer)
    assert outcome.state == PASSED, outcome.message


@pytest.mark.parametrize(("exercise", "answer", "words"), SLIPS)
def test_a_slip_is_not_yet_and_named(exercise, answer, words):
    outcome = judge(exercise, answer)
    assert outcome.state == NOT_YET, outcome
    assert words in outcome.message


@pytest.mark.parametrize("exercise", RIGHT)
def test_the_placeholder_is_not_attempted(exercise):
    assert judge(exercise, ...).state == NOT_ATTEMPTED
    if callable(RIGHT[exercise]):
        assert judge(exercise, lambda *args: None).state == NOT_ATTEMPTED


def test_a_broken_check_is_not_the_learners_fault(monkeypatch):
    monkeypatch.setattr(signal, "get_window", lambda *args: 1 / 0)
    assert judge("01.2", RIGHT["01.2"]).state == CANNOT_CHECK
    assert judge("99.1", 1).state == CANNOT_CHECK
    assert judge("01.9", 1).state == CANNOT_CHECK


def test_strict_raises_on_everything_but_passed(monkeypatch):
    checks.check("00.1", 5)  # shown, not raised
    monkeypatch.setenv("COURSE_STRICT", "1")
    checks.check("00.1", 160)
    for wrong in (5, ...):
        with pytest.raises(AssertionError, match=r"Exercise 00\.1: not"):
            checks.check("00.1", wrong)
