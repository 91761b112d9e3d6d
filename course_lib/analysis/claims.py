"""The claims of the four papers, judged by published rows. They are listed in `study/claims.toml`; see `verdicts`.

A claim has parts, each an interval and a margin. Most parts are a question of `study/questions.toml`; what takes more
than one question is computed by the functions at the end of this file. Notebook: 12.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import pairwise

import numpy as np
import pandas as pd

from course_lib.analysis import per_class, questions
from course_lib.analysis.questions import ALL_STREAMS, SHORT, chosen
from course_lib.analysis.verdicts import COUNTED, NOT_TESTABLE, Part, first_sentence, overall, signed
from course_lib.errors import CourseError
from course_lib.evaluation.intervals import Interval, paired_difference
from course_lib.evaluation.separability import RANGES
from course_lib.paths import published_dir
from course_lib.study import scene_run, stats
from course_lib.training import cost

HALF = "DiffRes, half the frames, no worse than 10 ms"
SWEEP = {"recipe.steps": 240, "features.window_ms": 25.0}
CHANCE = 10.0  # % of ten classes, 40 clips each
SEPARABILITY = "09_spectrogram_transformers-study-esc10.json"
LEAKAGE = "04_folds_and_leakage-study-esc10.json"
COLUMNS = ("id", "claim", "paper", "ours", "design", "control", "verdict", "reason")


class Evidence:
    """Answers to every question of the course, from the rows that `published` gives by the name of a grid."""

    def __init__(self, published: Callable[[str], pd.DataFrame] = questions.published) -> None:
        self.rows = published

    @cached_property
    def answers(self) -> pd.DataFrame:
        """Those of `questions.answers` of all grids, `grid` beside."""
        grids = dict.fromkeys(question.grid for question in questions.questions())
        found = [questions.answers(grid, self.rows(grid)).assign(grid=grid) for grid in grids]
        return pd.concat([table for table in found if len(table)] or found[:1], ignore_index=True)

    def part(
        self, question: str, where: str, about: str = "", *, turned: bool = False, margin: float = 0, macs: bool = False
    ) -> Part:
        """The part that asks a question of one place.

        `turned` asks for the opposite, with a `margin` as a share; `macs` says what the first condition costs.

        Raises
        ------
        CourseError
            There is no such question.
        """
        if not any(q.text == question and q.where == where for q in questions.questions()):
            raise CourseError(f"claims.toml: questions.toml has no question {question!r} to {where!r}")
        about = about or f"{question} ({where})"
        rows = self.answers[(self.answers["question"] == question) & (self.answers["where"] == where)]
        if rows.empty:
            return Part(about, None)
        row = rows.iloc[0]
        gap = questions.points(row)
        if turned:
            gap = Interval(-gap.mean, -gap.high, -gap.low)
        design = f"{row['pairs']} folds x {row['seeds']}" if row["paired_by"] == "fold" else f"1 fold x {row['pairs']}"
        if row["mixed"]:
            design += f", {row['mixed']} runs against one of another kind of machine"
        if macs:
            about += f", {row['macs']:.2f} of the MACs"
        return Part(about, gap, 100 * (margin if turned else row["margin"]), design)


@dataclass(frozen=True)
class Claim:
    """A claim of a paper: what it `says`, its figure in `paper`, its `parts` and the `control` beside them.

    `why` is the second sentence of the reason and true whatever the verdict; the first is made from the parts. Where
    nothing here can test the claim, it has no parts, `ours` says what we have in its place and `why` holds the reason.
    Parts, controls and `ours` are tables of `study/claims.toml`.
    """

    id: str
    says: str
    why: str
    paper: str = ""
    parts: Sequence[Mapping] = ()
    control: Sequence[Mapping] = ()
    ours: Sequence[Mapping] = ()


@cache
def claims() -> tuple[Claim, ...]:
    """Every claim, in the order of the papers.

    Raises
    ------
    CourseError
        `study/claims.toml` cannot be read.
    """
    return tuple(Claim(**given) for given in questions.read_toml("claims.toml")["claim"])


def found_by(entry: Mapping, evidence: Evidence) -> list[Part | str]:
    """The parts, or the text, of one entry of a claim: a question, or a function with the other keys as arguments."""
    options = dict(entry)
    if "question" in entry:
        return [evidence.part(**options)]
    found = COMPUTED[options.pop("compute")](evidence, **options)
    return found if isinstance(found, list) else [found]


def evidence_text(entries: Sequence[Mapping], evidence: Evidence) -> str:
    """What stands beside a claim, as text: questions with their verdicts, and whatever the functions say."""
    texts = []
    for entry in entries:
        for found in found_by(entry, evidence):
            if isinstance(found, str):
                texts.append(found)
            elif found.gap is not None:
                texts.append(f"{found.text}, {found.verdict}")
    return "; ".join(text for text in texts if text)


def judged(claim: Claim, evidence: Evidence) -> dict[str, str]:
    """The row of a claim in the table: what the paper says, what we measured, its design, control, verdict, reason."""
    row = {"id": claim.id, "claim": claim.says, "paper": claim.paper, "ours": evidence_text(claim.ours, evidence),
           "design": "", "control": evidence_text(claim.control, evidence), "verdict": NOT_TESTABLE,
           "reason": claim.why}  # fmt: skip
    if not claim.parts:
        return row
    parts = [part for entry in claim.parts for part in found_by(entry, evidence)]
    texts = [part.text for part in parts if part.gap is not None]
    missing = len(parts) - len(texts)
    if missing:
        texts.append(f"{missing} not run")
    return row | {
        "ours": "; ".join(texts),
        "design": ", ".join(dict.fromkeys(part.design for part in parts if part.design)),
        "verdict": overall(parts),
        "reason": f"{first_sentence(parts)} {claim.why}",
    }


def table(evidence: Evidence) -> pd.DataFrame:
    """`judged` of all claims, one row each."""
    return pd.DataFrame([judged(claim, evidence) for claim in claims()], columns=list(COLUMNS))


# --- What takes more than one question. Each function gets the evidence and gives parts, or a text for a control


def design_of(rows: pd.DataFrame) -> str:
    """How many folds and seeds rows on clips are of, nothing for no rows."""
    return f"{rows['fold'].nunique()} folds x {rows['seed'].nunique()}" if len(rows) else ""


def sweep(evidence: Evidence) -> pd.DataFrame:
    """Rows of the hop sweep at one window and one budget, those hops alone that have as many seeds as any."""
    rows = chosen(evidence.rows("lesson"), SWEEP)
    if rows.empty:
        return rows
    seeds = rows.groupby("features.hop_ms")["seed"].transform("nunique")
    return rows[seeds == seeds.max()].reset_index(drop=True)


def hop_parts(evidence: Evidence) -> list[Part]:
    """A1: does the hop move accuracy, and do classes want different ones?"""
    rows, moved, own = sweep(evidence), None, None
    if len(rows):
        usual = rows[rows["features.hop_ms"] == per_class.USUAL_MS]
        longest = rows[rows["features.hop_ms"] == rows["features.hop_ms"].max()]
        moved = stats.difference(usual, longest).interval.scaled(100)
        own = per_class.own_hop(rows)[0].scaled(100)
    return [
        Part("10 ms over 80 ms", moved, 0.0, design_of(rows)),
        Part("each class at a hop of its own, chosen on other folds, over one hop for all", own, 0.0, design_of(rows)),
    ]


def wide_windows(evidence: Evidence) -> str:
    """A1: the same with windows as wide as 2.5 hops."""
    rows = evidence.rows("lesson")
    if rows.empty:
        return ""
    usual = chosen(rows, {"features.hop_ms": 10.0, "features.window_ms": 25.0, "recipe.steps": 240})
    longest = chosen(rows, {"features.hop_ms": 80.0, "features.window_ms": 200.0, "recipe.steps": 240})
    seen = stats.difference(usual, longest)
    return f"10 ms less 80 ms with a window as wide: {signed(seen.interval.scaled(100))}" if seen else ""


def cheap_enough(evidence: Evidence) -> list[Part]:
    """A3: its questions to the long budgets whose MACs are a quarter less or better, the layer charged."""
    rows = evidence.answers
    rows = rows[(rows["claim"] == "A3") & (rows["grid"] == "diffres") & (rows["where"] != SHORT)]
    cheap = rows[rows["macs"] <= 0.75]
    found = [evidence.part(row.question, row.where, row.where, macs=True) for row in cheap.itertuples()]
    return found or [Part(HALF, None)]


@cache
def base_networks(frames: int, n_classes: int) -> dict[str, dict]:
    """AST and our MAST of base size, counted: `macs` and `parameters` (millions), and MAST's `grids` and `widths`."""
    import torch

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


def stages(evidence: Evidence) -> list[Part]:
    """B1: do tokens fall and widths grow from stage to stage?"""
    both = base_networks(500, 50)  # 5 s of ESC-50 at a hop of 10 ms
    tokens, widths = [rows * columns for rows, columns in both["grids"]], both["widths"]
    falling = all(a > b for a, b in pairwise(tokens))
    widening = all(a < b for a, b in pairwise(widths))
    sign = 1.0 if falling and widening else -1.0
    shown = f"{' > '.join(map(str, tokens))} tokens, {' < '.join(map(str, widths))} wide"
    return [Part("tokens and widths by stage at 5 s", Interval(sign, sign, sign), design=COUNTED, shown=shown)]


def counted_cost(
    evidence: Evidence, length: str, frames: int, n_classes: int, times_fewer: float, percent_fewer: float
) -> list[Part]:
    """B4: MACs and parameters of both networks beside what is claimed, which may be rounded."""
    both = base_networks(frames, n_classes)
    times = both["AST"]["macs"] / both["MAST"]["macs"]
    percent = 100 * (1 - both["MAST"]["parameters"] / both["AST"]["parameters"])
    over = {"times": Interval(*3 * (times - times_fewer,)), "percent": Interval(*3 * (percent - percent_fewer,))}
    return [
        Part(f"MACs at {length}", over["times"], 0.5, COUNTED, "times fewer", f"{times:.2f}"),
        Part(f"parameters at {length}", over["percent"], 0.5, COUNTED, "% fewer", f"{percent:.1f}"),
    ]


def measured_cost(evidence: Evidence) -> str:
    """B4: what fewer MACs are in time, of the small twins."""
    rows = chosen(evidence.rows("transformers"), {"dataset": "esc10"})
    if rows.empty:
        return ""
    by_model = rows.groupby("model")[["macs", "latency_ms"]].median()
    share = by_model.loc["mast-tiny"] / by_model.loc["ast-tiny"]
    return f"small twins, measured: {share['macs']:.2f} of AST's MACs take {share['latency_ms']:.2f} of its time"


def recorded(name: str) -> dict[str, float]:
    """What a published run of a notebook recorded, by name; nothing where there is no such run."""
    path = published_dir() / name
    if not path.is_file():
        return {}
    entries = json.loads(path.read_text(encoding="utf-8"))["recorded"]
    return {name: entry["value"] for name, entry in entries.items()}


def separability(evidence: Evidence) -> list[Part]:
    """B5: four measures of a published run of notebook 09, MAST less AST, as if the intervals were independent."""
    value, parts = recorded(SEPARABILITY), []
    for measure in RANGES:
        name = measure.replace("_", "-")
        if f"{measure}_MAST" not in value:
            parts.append(Part(name, None, unit="of its scale"))
            continue
        sign = -1 if measure == "davies_bouldin" else 1  # of which less is better
        mean = sign * (value[f"{measure}_MAST"] - value[f"{measure}_AST"])
        reach = float(np.hypot(value[f"{measure}_AST_reach"], value[f"{measure}_MAST_reach"]))
        gap = Interval(mean, mean - reach, mean + reach)
        parts.append(Part(name, gap, design="1 fold x 1", unit="of its scale", shown=signed(gap, 2)))
    return parts


def separability_accuracy(evidence: Evidence) -> str:
    """B5: what the same two networks know."""
    value = recorded(SEPARABILITY)
    if not value:
        return ""
    levels = ", ".join(f"{name} {value[f'accuracy_{name}']:.0f} %" for name in ("AST", "MAST"))
    return f"accuracy of the same networks on their test fold: {levels}"


def level(evidence: Evidence, score: str, streams: str) -> str:
    """C1 to C4: our level of one score of one input, in %."""
    found = questions.levels(evidence.rows("scenes"))
    found = found[(found["score"] == score) & (found["streams"] == streams)]
    return "".join(f"level {r.mean:.1f} ({r.low:.1f} to {r.high:.1f}), other scenes" for r in found.itertuples())


def gain_in_segments(evidence: Evidence) -> Part:
    """C8: what all streams add to the spectral one by segments, less what they add by events."""
    rows, gap, design = evidence.rows("scenes"), None, ""
    if len(rows):
        usual = questions.usual_fields("event")
        first, second = (chosen(rows, usual | {"streams": names}) for names in (ALL_STREAMS, "spectral"))
        both = first.merge(second, on=list(stats.REPEATS), suffixes=("", "_base"))
        gain = {s: (both[f"test_{s}_f1"] - both[f"test_{s}_f1_base"]).to_numpy() for s in ("segment", "event")}
        gap = paired_difference(gain["segment"], gain["event"]).scaled(100) if len(both) > 1 else None
        design = f"1 fold x {len(both)}"
    return Part("gain in segments over gain by events", gap, design=design)


def offsets_undone(evidence: Evidence) -> str:
    """C8: the hops once more, with the offset of each undone."""
    found, offsets = questions.offsets_undone(evidence.rows("scenes"), scene_run.published())
    if found.empty:
        return ""
    moved = ", ".join(f"{offset:+.0f} ms at {hop} ms" for hop, offset in offsets.items())
    parts = [Part(f"events, {row['question'].split()[2]} over 320 ms", questions.points(row))
             for row in found.to_dict("records")]  # fmt: skip
    answers = "; ".join(f"{part.text}, {part.verdict}" for part in parts)
    return f"with what the nearest frame moves undone ({moved}): {answers}"


def lite0_at_its_best(evidence: Evidence) -> str:
    """D2: accuracy of Lite0 trained as validation chose, and once it has learnt from four folds."""
    rows = evidence.rows("transfer")
    best, refit = (chosen(rows, f"Lite0, 224 bands{how}") for how in ("", ", half the steps, refit"))
    if best.empty:
        return ""
    text = f"EfficientNet-Lite0 on ESC-10, folds by recording: {_percent(best)}"
    return f"{text}; refit on four folds {_percent(refit)}" if len(refit) else text


def _percent(rows: pd.DataFrame) -> str:
    """Accuracy of one condition in % with its interval."""
    got = stats.accuracy(rows).scaled(100)
    return f"{got.mean:.1f} ({got.low:.1f} to {got.high:.1f})"


def worth_of_a_leak(evidence: Evidence) -> str:
    """D2: what a leak is worth, from the published run of notebook 04."""
    value = recorded(LEAKAGE)
    if not value:
        return ""
    worth = value["accuracy_E_SVM"] - value["accuracy_A_SVM"]
    return f"copies made before a random split are worth {worth:+.1f} points to an SVM of 26 numbers (notebook 04)"


def from_scratch(evidence: Evidence, model: str) -> list[Part]:
    """D4: is a network better than chance, and its last loss on validation lower with augmentation?"""
    rows = chosen(evidence.rows("scratch"), {"model": model})
    plain, over = chosen(rows, "neither augmented"), None
    if len(plain):
        got = stats.accuracy(plain).scaled(100)
        over = Interval(got.mean - CHANCE, got.low - CHANCE, got.high - CHANCE)
    parts = [Part(f"{model.upper()} over chance", over, design=design_of(rows))]
    for what in ("clips", "pictures"):
        augmented = chosen(rows, f"{what} augmented")
        gap = loss_saved(plain, augmented) if len(plain) and len(augmented) else None
        about = f"{model.upper()}, last validation loss saved by {what} augmented"
        parts.append(Part(about, gap, 0.0, design_of(rows), "nats", signed(gap, 2) if gap else ""))
    return parts


def loss_saved(first: pd.DataFrame, second: pd.DataFrame) -> Interval:
    """Validation loss at the last step of `first` less that of `second`, in nats, the seeds of a fold averaged."""
    last = [
        rows.assign(loss=[losses[-1] for losses in rows["history.validation_loss"]]).groupby("fold")["loss"].mean()
        for rows in (first, second)
    ]
    both = pd.concat(last, axis=1, join="inner").to_numpy()
    return paired_difference(both[:, 0], both[:, 1])


def risen_losses(evidence: Evidence) -> str:
    """D4: how far the loss on validation has risen by the last step where nothing is augmented."""
    plain = chosen(evidence.rows("scratch"), "neither augmented")
    if plain.empty:
        return ""
    losses = plain["history.validation_loss"]
    risen = (losses.map(lambda values: values[-1]) - losses.map(min)).groupby(plain["model"]).mean()
    ends = ", ".join(f"{model.upper()} {value:.2f}" for model, value in risen.items())
    return f"with neither, nats between the least loss on validation and the last: {ends}"


COMPUTED: dict[str, Callable] = {
    function.__name__: function
    for function in (
        hop_parts, wide_windows, cheap_enough, stages, counted_cost, measured_cost, separability, separability_accuracy,
        level, gain_in_segments, offsets_undone, lite0_at_its_best, worth_of_a_leak, from_scratch, risen_losses,
    )
}  # fmt: skip
