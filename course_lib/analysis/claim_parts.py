"""What the rows say to single claims: parts and controls that take more than one question to gather."""

import json
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pandas as pd
import torch

from course_lib.analysis import per_class, scene_questions
from course_lib.analysis import questions as claims
from course_lib.analysis.questions import LONG, SHORT
from course_lib.analysis.verdicts import Evidence, Part, signed
from course_lib.evaluation.intervals import Interval, paired_difference
from course_lib.evaluation.separability import RANGES
from course_lib.paths import published_dir
from course_lib.study import scene_run, scene_stats, stats
from course_lib.training import cost

ALL = scene_questions.ALL
TEN_MS = {"recipe.steps": 240, "features.window_ms": 25.0}
CHANCE = 10.0  # % of ten classes, 40 clips each
SEPARABILITY = "09_spectrogram_transformers-study-esc10.json"


def sweep(evidence: Evidence) -> pd.DataFrame:
    """Rows of the hop sweep at one window and one budget, at every hop with as many starts."""
    rows = evidence.rows("lesson")
    if rows.empty:
        return rows
    rows = claims.chosen(rows, TEN_MS)
    starts = rows.groupby("features.hop_ms")["seed"].transform("nunique")
    return rows[starts == starts.max()].reset_index(drop=True)


def a1(evidence: Evidence) -> list[Part]:
    """A1: does the hop move accuracy, and do classes want different ones?"""
    rows, moved, own = sweep(evidence), None, None
    if len(rows):
        hops = [rows[rows["features.hop_ms"] == hop] for hop in (per_class.USUAL_MS, rows["features.hop_ms"].max())]
        moved = stats.difference(*hops).interval.scaled(100)
        own = per_class.own_hop(rows)[0].scaled(100)
    design = f"{rows['fold'].nunique()} folds x {rows['seed'].nunique()}" if len(rows) else ""
    return [
        Part("10 ms over 80 ms", moved, 0.0, design),
        Part("each class at a hop of its own, chosen on other folds, over one hop for all", own, 0.0, design),
    ]


def a1_control(evidence: Evidence) -> str:
    """A1: the same with windows as wide as 2.5 hops, and at the longer budget."""
    rows = evidence.rows("lesson")
    if rows.empty:
        return ""
    wide, usual = (rows[(rows["features.hop_ms"] == h) & (rows["features.window_ms"] == 2.5 * h) &
                        (rows["recipe.steps"] == 240)] for h in (80.0, 10.0))  # fmt: skip
    gap = stats.difference(usual, wide)
    window = f"10 ms less 80 ms with a window as wide: {signed(gap.interval.scaled(100))}; " if gap else ""
    return window + told(evidence, (("a hop of 40 ms no worse than 10 ms", LONG),))


def told(evidence: Evidence, questions: tuple[tuple[str, str], ...]) -> str:
    """Answers to questions of rows on clips, `(question, where)`, for the control of a claim."""
    parts = [evidence.clip(question, where) for question, where in questions]
    return "; ".join(f"{part.text}, {part.verdict}" for part in parts if part.gap)


def told_scenes(evidence: Evidence, questions: tuple[tuple[str, str], ...]) -> str:
    """Answers to questions of rows on scenes, `(question, score)`, for the control of a claim."""
    parts = [evidence.scene(question, score) for question, score in questions]
    return "; ".join(f"{part.text}, {part.verdict}" for part in parts if part.gap)


HALF, FINER = "DiffRes, half the frames, no worse than 10 ms", "DiffRes from {} ms better than 10 ms"


def a3(evidence: Evidence) -> list[Part]:
    """Every question of A3 at the long budget whose MACs are a quarter less or better, the layer charged."""
    table = evidence.clips
    rows = table[(table["claim"] == "A3") & (table["grid"] == "diffres") & (table["where"] != SHORT)]
    cheap = rows[rows["macs"] <= 0.75]
    found = [evidence.clip(r.question, r.where, f"{r.where}, {r.macs:.2f} of the MACs") for r in cheap.itertuples()]
    return found or [Part(HALF, None)]


def a4(evidence: Evidence) -> list[Part]:
    """A4: finer hops merged to the frames of 10 ms, with what they cost beside it."""
    found = []
    for hop in ("5", "2.5"):
        question, table = FINER.format(hop), evidence.clips
        macs = table[(table["question"] == question) & (table["where"] == LONG)]["macs"]
        charged = f", {macs.iloc[0]:.2f} of the MACs" if len(macs) else ""
        found.append(evidence.clip(question, LONG, f"from {hop} ms over 10 ms{charged}"))
    return found


def a5(evidence: Evidence) -> str:
    """A5: what other sets have rows, if any."""
    found = [evidence.clip(HALF, where) for where in claims.TASKS.values()]
    return "; ".join(part.text for part in found if part.gap)


@lru_cache(maxsize=2)
def base_networks(frames: int, n_classes: int) -> dict[str, dict]:
    """AST and our MAST of base size, counted: `macs` and `parameters` (millions), and MAST's `grids` and `widths`."""
    from course_lib.models import transformers

    with torch.device("meta"):  # where shapes are followed and nothing is computed
        nets = {
            "AST": transformers.ast_base(frames, 128, n_classes),
            "MAST": transformers.mast_base(frames, 128, n_classes),
        }
    seen: list[tuple[tuple[int, int], int]] = []
    for stage in nets["MAST"].v.stages:
        stage["blocks"][-1].register_forward_hook(lambda module, given, out: seen.append((out[1], out[0].shape[2])))
    found = {
        name: {"macs": cost.macs(net, frames, 128) / 1e6, "parameters": cost.parameters(net) / 1e6}
        for name, net in nets.items()
    }
    return found | {"grids": [grid for grid, _ in seen], "widths": [width for _, width in seen]}


SIZES = ((1024, 527), (500, 50))  # 10 s of AudioSet's classes and 5 s of ESC-50's, at a hop of 10 ms


def b1(evidence: Evidence) -> list[Part]:
    """B1: do tokens fall and widths grow from stage to stage?"""
    both = base_networks(*SIZES[1])
    tokens = [rows * columns for rows, columns in both["grids"]]
    falls = all(a > b for a, b in pairwise(tokens))
    wider = all(a < b for a, b in pairwise(both["widths"]))
    sign = 1.0 if falls and wider else -1.0
    shown = f"{' > '.join(map(str, tokens))} tokens, {' < '.join(map(str, both['widths']))} wide"
    return [Part("tokens and widths by stage at 5 s", Interval(sign, sign, sign), 0.0, "counted", shown=shown)]


def b4(evidence: Evidence) -> list[Part]:
    """B4: MACs and parameters of both networks, counted; the claims may round."""
    parts = []
    for (frames, n_classes), length in zip(SIZES, ("10 s", "5 s"), strict=True):
        both = base_networks(frames, n_classes)
        times = both["AST"]["macs"] / both["MAST"]["macs"]
        fewer = 100 * (1 - both["MAST"]["parameters"] / both["AST"]["parameters"])
        for about, value, claimed, margin, unit in (
            (f"MACs at {length}", times, 5, 0.5, "times fewer"), (f"parameters at {length}", fewer, 42, 0.5, "% fewer"),
        ):  # fmt: skip
            gap = Interval(*3 * (value - claimed,))
            parts.append(Part(about, gap, margin, "counted", unit, f"{value:.2f}" if claimed == 5 else f"{value:.1f}"))
    return parts


def b4_control(evidence: Evidence) -> str:
    """B4: what fewer MACs are in time, of the small twins."""
    rows = evidence.rows("transformers")
    if rows.empty:
        return ""
    of = rows[rows["dataset"] == "esc10"].groupby("model")[["macs", "latency_ms"]].median()
    share = of.loc["mast-tiny"] / of.loc["ast-tiny"]
    return f"small twins, measured: {share['macs']:.2f} of AST's MACs take {share['latency_ms']:.2f} of its time"


def recorded(name: str) -> dict[str, float]:
    """What a published run of a notebook recorded, by name; nothing where there is no such run."""
    path = published_dir() / name
    if not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["recorded"]
    return {name: entry["value"] for name, entry in entries.items()}


def b5(evidence: Evidence) -> list[Part]:
    """B5: four measures of a published run of notebook 09, MAST less AST, as if the intervals were independent."""
    value, parts = recorded(SEPARABILITY), []
    for measure in RANGES:
        gap = None
        if f"{measure}_MAST" in value:
            sign = -1 if measure == "davies_bouldin" else 1  # of which less is better
            middle = sign * (value[f"{measure}_MAST"] - value[f"{measure}_AST"])
            reach = float(np.hypot(*(value[f"{measure}_{name}_reach"] for name in ("AST", "MAST"))))
            gap = Interval(middle, middle - reach, middle + reach)
        shown = signed(gap, 2) if gap else ""
        parts.append(Part(measure.replace("_", "-"), gap, 0.0, "1 fold x 1" if gap else "", "of its scale", shown))
    return parts


def b5_control(evidence: Evidence) -> str:
    """B5: what the same two networks know."""
    value = recorded(SEPARABILITY)
    levels = ", ".join(f"{name} {value[f'accuracy_{name}']:.0f} %" for name in ("AST", "MAST")) if value else ""
    return f"accuracy of the same networks on their test fold: {levels}" if levels else ""


def level(score: str, streams: str) -> Callable[[Evidence], str]:
    """Our level of one score of one input, in %, as text."""

    def answer(evidence: Evidence) -> str:
        found = scene_questions.levels(evidence.rows("scenes"))
        found = found[(found["score"] == score) & (found["streams"] == streams)]
        return "".join(f"level {r.mean:.1f} ({r.low:.1f} to {r.high:.1f}), other scenes" for r in found.itertuples())

    return answer


def c8(evidence: Evidence) -> list[Part]:
    """C8: what should be seen if missing time were the cause."""
    rows, gap, design = evidence.rows("scenes"), None, ""
    if len(rows):
        usual = scene_questions.usual_fields(rows)
        first, second = (claims.chosen(rows, usual | {"streams": names}) for names in (ALL, "spectral"))
        both = first.merge(second, on=["fold", "seed"], suffixes=("", "_base"))
        gain = {s: (both[f"test_{s}_f1"] - both[f"test_{s}_f1_base"]).to_numpy() for s in scene_stats.SCORES}
        gap = paired_difference(gain["segment"], gain["event"]).scaled(100) if len(both) > 1 else None
        design = f"1 fold x {len(both)}"
    return [
        Part("gain in segments over gain by events", gap, 0.0, design),
        *(evidence.scene(f"auditory every {hop} ms better than every 320 ms", "event", f"events, {hop} over 320 ms")
          for hop in (40, 80, 160)),
        *(evidence.scene(f"pictures that change at the onset better than usual ones, {names}", "event",
                         f"events, pictures that change at the onset, {names}")
          for names in ("visual", "auditory+visual")),
    ]  # fmt: skip


def c8_control(evidence: Evidence) -> str:
    """C8: the hops once more, with the offset of each undone, and other ways to align."""
    found, offsets = scene_questions.hops_set_right(evidence.rows("scenes"), scene_run.published())
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    parts = [
        Part(f"events, {row.question.split()[2]} over 320 ms",
             Interval(row.difference, row.low, row.high).scaled(100)) for row in found.itertuples()
    ]  # fmt: skip
    told = "; ".join(f"{part.text}, {part.verdict}" for part in parts)
    undone = f"with what the nearest frame moves undone ({moved}): {told}" if told else ""
    ways = told_scenes(evidence, tuple((f"frames of 40 ms, alignment {how} better than nearest", "event")
                                       for how in ("average", "learned", "repeat")))  # fmt: skip
    return "; ".join(text for text in (undone, ways) if text)


def c9(evidence: Evidence) -> list[Part]:
    """C9: what mean teacher and unlabelled scenes are worth to each score."""
    question = "teacher and unlabelled scenes better than neither"
    return [evidence.scene(question, score, f"{score}, with both over neither") for score in scene_stats.SCORES]


def lite(fields: dict[str, object], refit: dict[str, object]) -> Callable[[Evidence], str]:
    """Accuracy of Lite0 trained in one way, as text, and that of `refit`, which learnt from four folds."""

    def answer(evidence: Evidence) -> str:
        got = evidence.level("transfer", fields)
        where = "EfficientNet-Lite0 on ESC-10, folds by recording"
        again = evidence.level("transfer", refit)
        more = f"; refit on four folds {again.mean:.1f} ({again.low:.1f} to {again.high:.1f})" if again else ""
        return f"{where}: {got.mean:.1f} ({got.low:.1f} to {got.high:.1f}){more}" if got else ""

    return answer


def leak(evidence: Evidence) -> str:
    """What a leak is worth, from the published run of notebook 04."""
    value = recorded("04_folds_and_leakage-study-esc10.json")
    if not value:
        return ""
    worth = value["accuracy_E_SVM"] - value["accuracy_A_SVM"]
    return f"copies made before a random split are worth {worth:+.1f} points to an SVM of 26 numbers (notebook 04)"


def d4(evidence: Evidence) -> list[Part]:
    """D4: better than chance, and a lower loss at the end with augmentation, for both networks."""
    rows, parts = evidence.rows("scratch"), []
    for model in ("cnn7", "cnn9"):
        of = rows[rows["model"] == model] if len(rows) else rows
        ways = (claims.PLAIN, claims.CLIPS, claims.PICTURED)
        plain, *augmented = (claims.chosen(of, how) if len(of) else of for how in ways)
        got = stats.accuracy(plain).scaled(100) if len(plain) else None
        over = Interval(got.mean - CHANCE, got.low - CHANCE, got.high - CHANCE) if got else None
        design = f"{of['fold'].nunique()} folds x {of['seed'].nunique()}" if len(of) else ""
        parts.append(Part(f"{model.upper()} over chance", over, 0.0, design))
        for how, others in zip(("clips", "pictures"), augmented, strict=True):
            gap = last_loss(plain, others) if len(plain) and len(others) else None
            shown = signed(gap, 2) if gap else ""
            about = f"{model.upper()}, last validation loss saved by {how} augmented"
            parts.append(Part(about, gap, 0.0, design, "nats", shown))
    return parts


def d4_control(evidence: Evidence) -> str:
    """D4: how far the loss on validation has risen by the last step where nothing is augmented."""
    rows = evidence.rows("scratch")
    plain = claims.chosen(rows, claims.PLAIN) if len(rows) else rows
    if plain.empty:
        return ""
    losses = plain["history.validation_loss"]
    risen = (losses.map(lambda looks: looks[-1]) - losses.map(min)).groupby(plain["model"]).mean()
    ends = ", ".join(f"{model.upper()} {value:.2f}" for model, value in risen.items())
    return f"with neither, nats between the least loss on validation and the last: {ends}"


def last_loss(first: pd.DataFrame, second: pd.DataFrame) -> Interval:
    """Validation loss at the last step of `first` less that of `second`, in nats, the starts of a fold averaged."""
    ends = [
        rows.assign(last=[look[-1] for look in rows["history.validation_loss"]]).groupby("fold")["last"].mean()
        for rows in (first, second)
    ]
    both = pd.concat(ends, axis=1, join="inner").to_numpy()
    return paired_difference(both[:, 0], both[:, 1])
