"""The rows once more, with pandas and scipy and nothing else: what the tests of study/RESULTS.md compute alike.

Nothing here uses the code that prints the page. Rules: study/protocol.md, *The published rows judged again*.
"""

import io
import math
import re
from functools import cache

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.stats import t

from course_lib.paths import repo_root

STUDY = repo_root() / "study"
PAGE = (STUDY / "RESULTS.md").read_text(encoding="utf-8")
SCENES = "scenes of ESC-10"
RARE = "timing probe of 10 s"
FIVE_FOLDS = "scenes of ESC-10 (five folds)"


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
    right = np.ones(len(rows), dtype=bool)
    for name, value in fields.items():
        right &= (rows[name] == value).to_numpy()
    return rows[right]


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
    if row.get("centred", False):  # on five folds nothing is moved
        return 0.0
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
    usual = MIXED[(MIXED["align"] == "nearest") & (MIXED["fusion"] == "mid") & (MIXED["reducer"] == "none")
                  & ~MIXED["scenes.flash"] & (MIXED["recipe.unlabelled"] == 6)]  # fmt: skip
    sides = [pick(usual, streams=streams, auditory_ms=hop) for streams, hop in (first, second)]
    values = []
    for seed in sorted(set(sides[0]["seed"]) & set(sides[1]["seed"])):
        true, *lists = both_recognise(scene_truth(), *(pick(side, seed=seed).iloc[0] for side in sides))
        values.append(event_f1(true, lists[0]) - event_f1(true, lists[1]))
    return interval(values)


def both_recognise(true, *rows):
    """The true events, and those that each of the runs detected, of the scenes and classes that all of them have."""
    lists = []
    for row in rows:
        events = pd.read_csv(io.StringIO(row["test_estimated"]))
        for end in ("onset", "offset"):
            events[end] = (events[end] + offset_s(row)).clip(0, 10)
        lists.append(events)
    names = [set(zip(e["filename"], e["event_label"], strict=True)) for e in (true, *lists)]
    shared = set.intersection(*names)
    return [e[[pair in shared for pair in zip(e["filename"], e["event_label"], strict=True)]] for e in (true, *lists)]


def scene_truth():
    """The true events of the usual scenes, those whose pictures do not flash."""
    [content] = MIXED.loc[~MIXED["scenes.flash"], "content"].unique()
    return TRUTH[TRUTH["content"] == content]


# --- scenes on five folds ----------------------------------------------------------------------------------------

INPUTS_ON_FOLDS = {  # streams and hop of the auditory features
    "log-mel": ("spectral", 320), "auditory every 80 ms": ("auditory", 80), "auditory every 160 ms": ("auditory", 160),
    "auditory every 320 ms": ("auditory", 320), "log-mel and auditory every 320 ms": ("spectral+auditory", 320),
}  # fmt: skip


@cache
def rows_on_folds():
    """The rows of the conditions that have all ten runs, and the true events of all test scenes; None before that."""
    folder = STUDY / "results" / "events"
    if not (folder / "rows.parquet").is_file():
        return None
    rows = rows_of("events")
    rows = rows[rows.groupby(["streams", "auditory_ms"])["fold"].transform("size") == 10]
    return (rows, pd.read_parquet(folder / "truth.parquet")) if len(rows) else None


def runs_on_folds(name):
    """The ten runs of a condition, none if it does not have them all."""
    found = rows_on_folds()
    streams, hop_ms = INPUTS_ON_FOLDS[name]
    return [] if found is None else pick(found[0], streams=streams, auditory_ms=hop_ms)


def pairs_on_folds(first, second):
    """For each fold and seed: the fold, the true events that both recognise, and those that each detected."""
    _, truth = rows_on_folds()
    sides = [runs_on_folds(name).set_index(["fold", "seed"]).sort_index() for name in (first, second)]
    for at in sides[0].index:
        runs = [side.loc[at] for side in sides]
        yield at[0], *both_recognise(truth[truth["content"] == runs[0]["content"]], *runs)


def on_folds(score, first, second):
    """The difference of two conditions over five folds, None if one of them was not run: F1, or `localised`."""
    sides = [runs_on_folds(name) for name in (first, second)]
    if not all(len(side) for side in sides):
        return None
    rises = [np.mean([curve[-1] - curve[-1 - len(curve) // 4] for curve in side["history.validation_tagging"]])
             for side in sides]  # fmt: skip
    shared = sides[0]["n_test"].median() / sides[0]["n_train"].min()
    if score == "localised":
        gaps = [(fold, event_f1(true, one) - event_f1(true, other))
                for fold, true, one, other in pairs_on_folds(first, second)]  # fmt: skip
        found = interval(pd.DataFrame(gaps, columns=["fold", "gap"]).groupby("fold")["gap"].mean())
    else:
        column = f"test_{score}_f1"
        std = residual_std(rows_on_folds()[0], ["streams", "auditory_ms"], "fold", column)
        found = interval(means(sides[0], "fold", column) - means(sides[1], "fold", column), *std)
    return found | {"converged": max(rises) <= 0.02, "shared": shared}


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


def holm(p):
    """Holm's procedure, written as it is defined."""
    found, largest = [0.0] * len(p), 0.0
    for rank, k in enumerate(sorted(range(len(p)), key=lambda k: p[k])):
        largest = max(largest, min(1.0, p[k] * (len(p) - rank)))
        found[k] = largest
    return found


def answer(one, margin, p):
    """The verdict on a question, from its difference and its corrected p value."""
    if not one.get("converged", True):
        return "not converged: no verdict"
    if p >= 0.05:
        return "not shown"
    return "holds" if one["mean"] > -margin else "contradicted"


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


# --- questions of the claims -------------------------------------------------------------------------------------


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


def rare(first, second):
    """A frame reducer over another on the timing probe of 10 s, None while one of them lacks any of its ten runs."""
    if not (STUDY / "results" / "sparse" / "rows.parquet").is_file():
        return None
    sides = [pick(rows_of("sparse"), reducer=reducer) for reducer in (first, second)]
    if any(len(side) < 10 for side in sides):
        return None
    rises = [np.mean([curve[-1] - curve[-1 - len(curve) // 4] for curve in side["history.validation_accuracy"]])
             for side in sides]  # fmt: skip
    shared = sides[0]["n_test"].median() / min(side["n_train"].min() for side in sides)
    return interval(means(sides[0]) - means(sides[1])) | {"converged": max(rises) <= 0.02, "shared": shared}


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
    usual, both = "auditory every 320 ms", "log-mel and auditory every 320 ms"
    return {
        "A1": [(esc10, esc(("none", 5.0), ALL), 0), (esc10, esc(ALL, ("none", 40.0)), 0),
               (digits_, digits(ALL, ("none", 20.0)), 0), (probe_, covered(10.0, 50.0), 0)],
        "A2": [(esc10, esc(LIGHT, ("uniform:0.5", 10.0)), 0), (esc10, esc(LIGHT, ("shuffled:0.5", 10.0)), 0),
               (digits_, digits(LIGHT, ("uniform:0.5", 10.0)), 0), (probe_, probe(QUARTER, ("uniform:0.75", 2.5)), 0),
               *((RARE, rare(f"diffres-light:{saved}", f"uniform:{saved}"), 0) for saved in (0.95, 0.98))],
        "A3": [*((esc10, esc(one, ALL), 0.02) for one in reduced), (digits_, digits(LIGHT, ALL), 0.02),
               (probe_, probe(QUARTER, ("none", 2.5)), 0.02)],
        "A4": [(esc10, esc(("diffres-light:0.5", 5.0), ALL), 0), (esc10, esc(("diffres-light:0.75", 2.5), ALL), 0),
               (probe_, probe(QUARTER, ("none", 10.0)), 0)],
        "C2": [(SCENES, scenes("tagging", "auditory", "spectral"), 0),
               (FIVE_FOLDS, on_folds("tagging", usual, "log-mel"), 0)],
        "C5a": [(SCENES, scenes("tagging", every, "spectral"), 0)],
        "C6": [(SCENES, scenes("segment", every, "spectral"), 0),
               (FIVE_FOLDS, on_folds("segment", both, "log-mel"), 0)],
        "C7a": [(SCENES, scenes("tagging", every, "spectral"), 0),
                (FIVE_FOLDS, on_folds("tagging", both, "log-mel"), 0)],
        "C7b": [(SCENES, localised(("spectral", 320), ("auditory", 320)), 0.02),
                (FIVE_FOLDS, on_folds("localised", "log-mel", usual), 0.02)],
        "C7c": [(SCENES, localised(("spectral", 320), (every, 320)), 0.02),
                (FIVE_FOLDS, on_folds("localised", "log-mel", both), 0.02)],
        "C8": [(FIVE_FOLDS, on_folds("localised", f"auditory every {hop_ms} ms", usual), 0) for hop_ms in (80, 160)],
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
